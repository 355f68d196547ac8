"""The one table of names: every layer, container and codec that an expression may name.

A file can only name what the running program has registered; nothing is imported for it. Names of
other frameworks are known here too, so that an error can say what they are called in Retia.
"""

from __future__ import annotations

from typing import Any

from retia.errors import StructureError, UnknownNameError, did_you_mean

_KINDS: dict[str, type[Any]] = {}

FOREIGN = {
    "Dense": "Linear", "LinearLayer": "Linear", "FullyConnected": "Linear", "LazyLinear": "Linear",
    "Sequential": "Chain", "NetChain": "Chain", "NetGraph": "Graph", "Functional": "Graph", "Model": "Graph",
    "Conv1D": "Conv1d", "Conv2D": "Conv2d", "Conv3D": "Conv3d", "Convolution2D": "Conv2d",
    "ConvolutionLayer": "Conv2d", "DeconvolutionLayer": "ConvTranspose2d",
    "Conv1DTranspose": "ConvTranspose1d", "Conv2DTranspose": "ConvTranspose2d",
    "Conv3DTranspose": "ConvTranspose3d", "MaxPooling1D": "MaxPool1d", "MaxPooling2D": "MaxPool2d",
    "MaxPooling3D": "MaxPool3d", "AveragePooling1D": "AvgPool1d", "AveragePooling2D": "AvgPool2d",
    "AveragePooling3D": "AvgPool3d", "PoolingLayer": "MaxPool2d", "GlobalAveragePooling2D": "GlobalAvgPool",
    "GlobalAveragePooling1D": "GlobalAvgPool", "GlobalMaxPooling2D": "GlobalMaxPool",
    "GlobalMaxPooling1D": "GlobalMaxPool", "AdaptiveAvgPool2d": "GlobalAvgPool",
    "AdaptiveMaxPool2d": "GlobalMaxPool", "AggregationLayer": "GlobalAvgPool",
    "BatchNorm1d": "BatchNorm", "BatchNorm2d": "BatchNorm", "BatchNorm3d": "BatchNorm",
    "BatchNormalization": "BatchNorm", "BatchNormalizationLayer": "BatchNorm",
    "LayerNormalization": "LayerNorm", "GroupNormalization": "GroupNorm",
    "InstanceNorm1d": "InstanceNorm", "InstanceNorm2d": "InstanceNorm", "InstanceNorm3d": "InstanceNorm",
    "LocalResponseNormalizationLayer": "LocalResponseNorm",
    "Dropout1d": "Dropout", "Dropout2d": "Dropout", "Dropout3d": "Dropout", "SpatialDropout1D": "Dropout",
    "SpatialDropout2D": "Dropout", "SpatialDropout3D": "Dropout", "FeatureAlphaDropout": "AlphaDropout",
    "StochasticDepth": "DropPath", "RandomHorizontalFlip": "RandomFlip", "RandomVerticalFlip": "RandomFlip",
    "RandomRotate": "RandomRotation", "RandomScale": "RandomZoom", "RandomShift": "RandomTranslation",
    "RandomErase": "RandomErasing", "RandomColor": "ColorJitter", "RandomColorJitter": "ColorJitter",
    "RandomBrightness": "ColorJitter", "RandomContrast": "ColorJitter", "RandomSaturation": "ColorJitter",
    "RandomHue": "ColorJitter", "RandomNoise": "GaussianNoise", "DropoutLayer": "Dropout",
    "EmbeddingLayer": "Embedding",
    "Ramp": "ReLU", "Relu": "ReLU", "Swish": "SiLU", "LogisticSigmoid": "Sigmoid",
    "Hardsigmoid": "HardSigmoid", "ParametricRampLayer": "PReLU", "LeakyRelu": "LeakyReLU",
    "ElementwiseLayer": "Elementwise",
    "Activation": "Elementwise", "SoftmaxLayer": "Softmax", "Add": "Plus", "Sum": "Plus",
    "TotalLayer": "Plus", "Multiply": "Times", "ThreadingLayer": "Plus", "Concatenate": "Concat",
    "Cat": "Concat",
    "CatenateLayer": "Concat", "Matmul": "Dot", "MatMul": "Dot", "DotLayer": "Dot", "Permute": "Transpose",
    "TransposeLayer": "Transpose", "FlattenLayer": "Flatten", "ReshapeLayer": "Reshape", "View": "Reshape",
    "Unflatten": "Reshape", "ZeroPad2d": "Pad", "ZeroPadding2D": "Pad", "PaddingLayer": "Pad",
    "PartLayer": "Part", "Squeeze": "Part", "Unsqueeze": "Part", "ExpandDims": "Part",
    "ReplicateLayer": "Replicate", "RepeatVector": "Replicate", "ResizeLayer": "Resize",
    "UpSampling2D": "Upsample", "UpSampling1D": "Upsample", "NetArrayLayer": "Parameter",
    "ConstantArrayLayer": "Constant", "InputLayer": "Input", "fit": "train", "NetTrain": "train",
    "NetModel": "model", "NetEncoder": "Image", "NetDecoder": "Classes", "Class": "Classes",
    "CrossEntropyLoss": "CrossEntropy", "NLLLoss": "CrossEntropy", "CategoricalCrossentropy": "CrossEntropy",
    "SparseCategoricalCrossentropy": "CrossEntropy", "CrossEntropyLossLayer": "CrossEntropy",
    "BCELoss": "BinaryCrossEntropy", "BCEWithLogitsLoss": "BinaryCrossEntropy",
    "BinaryCrossentropy": "BinaryCrossEntropy", "CategoricalFocalCrossentropy": "Focal",
    "FocalLoss": "Focal", "BinaryFocalCrossentropy": "BinaryFocal", "MSELoss": "MSE",
    "MeanSquaredError": "MSE", "MeanSquaredLossLayer": "MSE", "L1Loss": "MAE", "MeanAbsoluteError": "MAE",
    "MeanAbsoluteLossLayer": "MAE", "HuberLoss": "Huber", "SmoothL1Loss": "Huber", "HingeLoss": "Hinge",
    "PoissonNLLLoss": "Poisson", "KLDivLoss": "KL", "KLDivergence": "KL",
    "ContrastiveLoss": "Contrastive", "ContrastiveLossLayer": "Contrastive",
    "SimpleRNN": "RNN", "BasicRecurrentLayer": "RNN", "GatedRecurrentLayer": "GRU", "CuDNNGRU": "GRU",
    "LongShortTermMemoryLayer": "LSTM", "CuDNNLSTM": "LSTM", "SequenceLastLayer": "Last",
    "SequenceMostLayer": "Most", "SequenceRestLayer": "Rest", "SequenceReverseLayer": "Reverse",
    "AttentionLayer": "Attention", "DotProductAttention": "Attention",
    "MultiheadAttention": "MultiHeadAttention", "GroupedQueryAttention": "MultiHeadAttention",
    "GroupQueryAttention": "MultiHeadAttention",
    "TransformerEncoderLayer": "TransformerEncoder", "TransformerDecoderLayer": "TransformerDecoder",
    "PositionalEmbedding": "PositionEmbedding", "PositionalEncoding": "SinusoidalPositions",
    "SinePositionEncoding": "SinusoidalPositions",
    "NetMapOperator": "Map", "TimeDistributed": "Map", "NetMapThreadOperator": "MapThread",
    "NetFoldOperator": "Fold", "NetNestOperator": "Nest", "NetBidirectionalOperator": "Bidirectional",
    "NetPairEmbeddingOperator": "Pair", "NetGANOperator": "GAN",
    "TripletMarginLoss": "Triplet", "TripletSemiHardLoss": "Triplet", "CTCLoss": "CTC", "CTCLossLayer": "CTC",
}  # fmt: skip


def register(cls: type[Any], name: str | None = None) -> None:
    """Make a class known to expressions, under its own name."""
    name = name or cls.__name__
    known = _KINDS.get(name)
    if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
        raise StructureError(
            f"{name} is registered already, by {known.__module__}.",
            fix="give your class another name",
            path=name,
        )
    _KINDS[name] = cls


def find(name: str) -> type[Any]:
    """The class registered under a name; an unknown one is an error that helps."""
    if name in _KINDS:
        return _KINDS[name]
    raise UnknownNameError(
        f"{name!r} is not a layer, container or codec that this program knows.{suggestion(name)}",
        fix="import the module that registers it, before loading",
        path=name,
    )


def suggestion(name: str) -> str:
    """What a name of another framework is called here, or the nearest known name."""
    if name in FOREIGN:
        return f" It is called {FOREIGN[name]} here."
    return did_you_mean(name, _KINDS)


def registered(base: type[Any]) -> dict[str, type[Any]]:
    """All registered classes below a base, by name."""
    return {name: cls for name, cls in sorted(_KINDS.items()) if issubclass(cls, base)}
