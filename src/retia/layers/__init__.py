"""The layers, one file a family. Each is one class: signature, arrays, forward, docstring."""

from retia.layers.affine import RandomAffine, RandomRotation, RandomShear, RandomTranslation, RandomZoom
from retia.layers.attention import Attention, MultiHeadAttention
from retia.layers.augmentation import RandomCrop, RandomErasing, RandomFlip
from retia.layers.colors import ColorJitter
from retia.layers.combine import Concat, Divide, Dot, Maximum, Minimum, Minus, Plus, Power, Times
from retia.layers.composed import GAN, Bidirectional, Nest, Pair, Repeat
from retia.layers.constants import Constant, Parameter
from retia.layers.convolution import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from retia.layers.distances import CosineSimilarity, PairwiseDistance
from retia.layers.elementwise import (
    ELU,
    GELU,
    SELU,
    HardSigmoid,
    HardSwish,
    HardTanh,
    LeakyReLU,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softplus,
    Softsign,
    Tanh,
)
from retia.layers.embedding import Embedding, OneHot
from retia.layers.fold import Fold
from retia.layers.functions import Arithmetic, Elementwise
from retia.layers.gather import Append, ArgSort, Gather, Positions, Prepend, Sort
from retia.layers.linear import Linear
from retia.layers.normalization import (
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LocalResponseNorm,
    RMSNorm,
)
from retia.layers.operation import Operation
from retia.layers.operators import Map, MapThread
from retia.layers.part import Pad, Part
from retia.layers.placeholder import Placeholder
from retia.layers.pooling import (
    AvgPool1d,
    AvgPool2d,
    AvgPool3d,
    GlobalAvgPool,
    GlobalMaxPool,
    MaxPool1d,
    MaxPool2d,
    MaxPool3d,
)
from retia.layers.positions import PositionEmbedding, SinusoidalPositions
from retia.layers.random import RandomArray
from retia.layers.recurrent import GRU, LSTM, RNN
from retia.layers.reduce import Reduce
from retia.layers.regularization import AlphaDropout, Dropout, DropPath, GaussianNoise
from retia.layers.resize import Resize, Upsample
from retia.layers.sequences import First, Join, Last, Most, Rest, Reverse
from retia.layers.softmax import LogSoftmax, Softmax
from retia.layers.spectrum import Spectrum
from retia.layers.stop import StopGradient
from retia.layers.structure import Flatten, Replicate, Reshape, Transpose
from retia.layers.transformer import TransformerDecoder, TransformerEncoder
from retia.layers.transforms import Fourier, InverseFourier, WalshHadamard
from retia.layers.warp import SpatialTransform

__all__ = [
    "AlphaDropout", "Append", "ArgSort", "Arithmetic", "Attention", "AvgPool1d", "AvgPool2d", "AvgPool3d",
    "BatchNorm", "Bidirectional", "ColorJitter", "Concat", "Constant", "Conv1d", "Conv2d", "Conv3d",
    "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "CosineSimilarity", "Divide", "Dot", "DropPath",
    "Dropout", "ELU", "Elementwise", "Embedding", "First", "Flatten", "Fold", "Fourier", "GAN", "GELU", "GRU",
    "Gather", "GaussianNoise", "GlobalAvgPool", "GlobalMaxPool", "GroupNorm", "HardSigmoid", "HardSwish",
    "HardTanh", "InstanceNorm", "InverseFourier", "Join", "LSTM", "Last", "LayerNorm", "LeakyReLU", "Linear",
    "LocalResponseNorm", "LogSoftmax", "Map", "MapThread", "MaxPool1d", "MaxPool2d", "MaxPool3d", "Maximum",
    "Minimum", "Minus", "Mish", "Most", "MultiHeadAttention", "Nest", "OneHot", "Operation", "PReLU", "Pad",
    "Pair", "PairwiseDistance", "Parameter", "Part", "Placeholder", "Plus", "PositionEmbedding", "Positions",
    "Power", "Prepend", "RMSNorm", "RNN", "RandomAffine", "RandomArray", "RandomCrop", "RandomErasing",
    "RandomFlip", "RandomRotation", "RandomShear", "RandomTranslation", "RandomZoom", "ReLU", "ReLU6",
    "Reduce", "Repeat", "Replicate", "Reshape", "Resize", "Rest", "Reverse", "SELU", "SiLU", "Sigmoid",
    "SinusoidalPositions", "Softmax", "Softplus", "Softsign", "Sort", "SpatialTransform", "Spectrum",
    "StopGradient", "Tanh", "Times", "TransformerDecoder", "TransformerEncoder", "Transpose", "Upsample",
    "WalshHadamard",
]  # fmt: skip
