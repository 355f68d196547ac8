"""The layers, one file a family. Each is one class: signature, arrays, forward, docstring."""

from retia.layers.combine import Concat, Divide, Dot, Maximum, Minimum, Minus, Plus, Power, Times
from retia.layers.convolution import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from retia.layers.elementwise import ReLU, Sigmoid, Softmax, Tanh
from retia.layers.linear import Linear
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
from retia.layers.resize import Resize, Upsample
from retia.layers.structure import Flatten

__all__ = [
    "AvgPool1d", "AvgPool2d", "AvgPool3d", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d",
    "ConvTranspose3d", "GlobalAvgPool", "GlobalMaxPool", "MaxPool1d", "MaxPool2d", "MaxPool3d", "Resize",
    "Upsample",
    "Concat", "Divide", "Dot", "Flatten", "Linear", "Maximum", "Minimum", "Minus", "Plus", "Power", "ReLU",
    "Sigmoid", "Softmax", "Tanh", "Times",
]  # fmt: skip
