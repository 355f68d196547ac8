"""Random nets of every layer, for properties that hold of all nets."""

import numpy as np
from hypothesis import strategies as st

import retia as rt

UNARY = ["exp", "tanh", "square", "sigmoid", "abs"]


def candidates(rng, shape):
    """Layers that fit a shape, each by its class's name."""
    rank = len(shape)
    some = int(rng.integers(1, 6))
    elementwise = [
        "ReLU", "LeakyReLU", "ELU", "SELU", "GELU", "SiLU", "Mish", "Sigmoid", "Tanh", "Softplus", "Softsign",
        "HardSigmoid", "HardTanh", "HardSwish", "ReLU6",
    ]  # fmt: skip
    fitting = {name: getattr(rt, name)() for name in elementwise}
    fitting["Elementwise"] = rt.Elementwise(str(rng.choice(UNARY)))
    fitting["Arithmetic"] = rt.Arithmetic(str(rng.choice(list("+-*"))), float(some))
    fitting["Dropout"] = rt.Dropout(0.5)
    fitting["AlphaDropout"] = rt.AlphaDropout(0.5)
    fitting["DropPath"] = rt.DropPath(0.5)
    fitting["GaussianNoise"] = rt.GaussianNoise(0.5)
    fitting["Flatten"] = rt.Flatten()
    fitting["Replicate"] = rt.Replicate(2)
    fitting["StopGradient"] = rt.StopGradient()
    if rank:
        axes = [int(a) for a in rng.permutation(rank)]
        fitting["Linear"] = rt.Linear(some)
        fitting["LayerNorm"] = rt.LayerNorm()
        fitting["RMSNorm"] = rt.RMSNorm()
        fitting["Softmax"] = rt.Softmax()
        fitting["LogSoftmax"] = rt.LogSoftmax()
        fitting["Reshape"] = rt.Reshape(-1)
        fitting["Transpose"] = rt.Transpose(*axes)
        fitting["Sort"] = rt.Sort()
        fitting["RandomArray"] = rt.Graph(lambda x: x + rt.RandomArray(*shape))
        fitting["Fourier"] = rt.Fourier()
        if shape[-1] in (1, 2, 4, 8):
            fitting["WalshHadamard"] = rt.WalshHadamard()
        fitting["Part"] = rt.Part(slice(0, max(1, shape[0] - 1)))
        fitting["Pad"] = rt.Pad(*[(1, 0)] * rank)
        fitting["Reduce"] = rt.Reduce("mean")
        fitting["BatchNorm"] = rt.BatchNorm()
        fitting["PReLU"] = rt.PReLU()
        fitting["GroupNorm"] = rt.GroupNorm(1)
        fitting |= {name: getattr(rt, name)() for name in ("First", "Last", "Most", "Rest", "Reverse")}
        fitting["Map"] = rt.Map(rt.Chain(rt.Flatten(), rt.Dropout(0.5), rt.Linear(some)))
        fitting["MapThread"] = rt.MapThread(rt.Chain(rt.Flatten(), rt.Linear(some), rt.Tanh()))
        if shape[0] <= 8:
            fitting["Fold"] = rt.Fold(rt.Graph(lambda x, h: rt.Tanh()(x + h)), shape[1:])
    if rank == 2 and shape[0] <= 8:  # a program has calls for each element of a sequence
        both = bool(rng.integers(2))
        fitting |= {n: getattr(rt, n)(some, bidirectional=both) for n in ("RNN", "GRU", "LSTM")}
        fitting["MultiHeadAttention"] = rt.MultiHeadAttention(1, causal=both)
        fitting["PositionEmbedding"] = rt.PositionEmbedding(shape[0])
        fitting["SinusoidalPositions"] = rt.SinusoidalPositions()
    if rank == 3:
        fitting |= augmentation(tuple(int(rng.integers(1, n + 1)) for n in shape[1:]))
    if rank in (2, 3, 4):
        n = rank - 1
        kernel = int(rng.integers(1, min(shape[1:]) + 1))
        stride = int(rng.integers(1, 3))
        fitting[f"Conv{n}d"] = getattr(rt, f"Conv{n}d")(some, kernel, stride=stride)
        fitting[f"ConvTranspose{n}d"] = getattr(rt, f"ConvTranspose{n}d")(some, kernel)
        fitting[f"MaxPool{n}d"] = getattr(rt, f"MaxPool{n}d")(kernel, stride=stride)
        fitting[f"AvgPool{n}d"] = getattr(rt, f"AvgPool{n}d")(kernel)
        fitting["GlobalAvgPool"] = rt.GlobalAvgPool()
        fitting["GlobalMaxPool"] = rt.GlobalMaxPool()
        fitting["InstanceNorm"] = rt.InstanceNorm()
        fitting["LocalResponseNorm"] = rt.LocalResponseNorm(3)
        if np.prod(shape) < 400:
            fitting["Upsample"] = rt.Upsample(2)
        fitting["Resize"] = rt.Resize(*[int(s) for s in rng.integers(1, 5, n)])
    return fitting


def augmentation(size):
    """Layers for pictures that disturb them in training."""
    layers = [
        rt.RandomCrop(size), rt.RandomFlip("both"), rt.RandomErasing(), rt.RandomAffine(degrees=9, shift=0.1),
        rt.RandomRotation(30), rt.RandomZoom(0.2), rt.RandomShear(10), rt.RandomTranslation(0.1),
        rt.ColorJitter(brightness=0.2, contrast=0.2),
    ]  # fmt: skip
    return {type(layer).__name__: layer for layer in layers}


@st.composite
def nets(draw):
    """A random chain with branches that meet again, on a random input."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    first = tuple(int(s) for s in rng.integers(2, 6, rng.integers(0, 5)))
    layers, shape = [], first
    for _ in range(int(rng.integers(1, 7))):
        fitting = candidates(rng, shape)
        layer = fitting[str(rng.choice(sorted(fitting)))]
        if rng.random() < 0.3:
            combiner = getattr(
                rt, str(rng.choice(["Plus", "Times", "Minus", "Maximum", "Minimum", "Concat", "Join"]))
            )
            inner = layer
            x = rt.Input(shape)
            try:
                layer = rt.Graph(combiner()(inner(x), rt.Linear(1)(x) if shape else x))
            except rt.ShapeError:
                layer = inner
        out = rt.Chain(layer, input=shape).outputs["output"].shape
        if np.prod(out) > 3000 or len(out) > 5 or 0 in out:
            continue
        layers.append(layer)
        shape = out
    return rt.Chain(*layers, input=first)
