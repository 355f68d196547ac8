"""One maker of examples for every registered layer: ``CASES[name](random)`` is a layer and what it takes.

A layer that has no maker here fails the contract.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import torch

import retia as rt
from retia.nets.layer import Layer
from retia.nets.settings import make


@dataclass(frozen=True)
class Case:
    """A layer without ports, and the shapes of what it takes.

    ``classes`` is above the whole numbers that it takes, None where it takes real ones, which are drawn
    from ``low`` to ``high``. Where it takes both, ``numbered`` has the inputs of whole numbers.
    """

    layer: Layer
    shapes: tuple[tuple[int, ...], ...]
    classes: int | None = None
    low: float = -2.0
    high: float = 2.0
    numbered: tuple[int, ...] | None = None

    def net(self, shapes: tuple[tuple[int | str, ...], ...] | None = None) -> Layer:
        """The layer with these shapes at its inputs."""
        shapes = self.shapes if shapes is None else shapes
        if not shapes:
            return self.layer
        names = self.layer.input_names(len(shapes))
        spec = dict(zip(names, shapes, strict=True)) if self.layer.variadic or len(shapes) > 1 else shapes[0]
        return make(type(self.layer), {**self.layer.settings(), "input": spec})

    def draw(self, shape: tuple[int, ...], generator: torch.Generator, place: int = 0) -> torch.Tensor:
        """An array that it takes at an input, the first by default."""
        if self.classes is not None and (self.numbered is None or place in self.numbered):
            return torch.randint(self.classes, shape, generator=generator)
        unit = torch.rand(shape, generator=generator, dtype=torch.float64)
        return self.low + (self.high - self.low) * unit


def size(r: Random, low: int = 1, high: int = 4) -> int:
    return r.randint(low, high)


def shape(r: Random, least: int = 0, most: int = 3) -> tuple[int, ...]:
    return tuple(size(r) for _ in range(r.randint(least, most)))


def unary(*variants: Layer) -> Callable[[Random], Case]:
    return lambda r: Case(again(r.choice(variants)), (shape(r),))


def again(made: Layer) -> Layer:
    """An equal layer that is another object."""
    return make(type(made), made.settings())


def combiner(kind: type[Layer], low: float = -2.0, most: int = 2) -> Callable[[Random], Case]:
    """Inputs that broadcast: of each other's sizes, or 1, or fewer axes."""

    def made(r: Random) -> Case:
        whole = shape(r)
        shapes = [whole]
        for _ in range(r.randint(1, most - 1)):
            cut = whole[r.randint(0, len(whole)) :]
            shapes.append(tuple(1 if r.random() < 0.2 else n for n in cut))
        r.shuffle(shapes)
        return Case(kind(), tuple(shapes), low=low)

    return made


def concat(r: Random) -> Case:
    whole = list(shape(r, 1))
    axis = r.randrange(len(whole))
    shapes = []
    for _ in range(r.randint(1, 3)):
        whole[axis] = size(r)
        shapes.append(tuple(whole))
    return Case(rt.Concat(r.choice([axis, axis - len(whole)])), tuple(shapes))


def dot(r: Random) -> Case:
    k = size(r)
    return Case(rt.Dot(), ((*shape(r, 0, 1), k), (k, *shape(r, 0, 1))))


def axis_of(r: Random, rank: int) -> int:
    return r.randrange(-rank, rank)


def along(kind: type[Layer]) -> Callable[[Random], Case]:
    def made(r: Random) -> Case:
        s = shape(r, 1)
        return Case(kind(axis=axis_of(r, len(s))), (s,))

    return made


def channels(*variants: Layer, least: int = 1, low: float = -2.0) -> Callable[[Random], Case]:
    return lambda r: Case(again(r.choice(variants)), (shape(r, least, 4),), low=low)


def group_norm(r: Random) -> Case:
    groups = size(r, 1, 3)
    return Case(rt.GroupNorm(groups, affine=r.random() < 0.7), ((groups * size(r, 1, 2), *shape(r, 1)),))


def last_axes(kind: type[Layer]) -> Callable[[Random], Case]:
    def made(r: Random) -> Case:
        axes = size(r, 1, 2)
        return Case(
            kind(axes=axes, affine=r.random() < 0.7, eps=1e-3), ((*shape(r, 0, 2), *shape(r, axes, 3)),)
        )

    return made


def reshape(r: Random) -> Case:
    s = shape(r, 0)
    parts = [n for n in s for n in ([2, n // 2] if n == 4 else [n])]
    r.shuffle(parts)
    if parts and r.random() < 0.7:
        parts[0] = r.choice([None, -1])
    return Case(rt.Reshape(tuple(parts)), (s,))


def transpose(r: Random) -> Case:
    s = shape(r)
    return Case(rt.Transpose(tuple(r.sample(range(len(s)), len(s)))), (s,))


def part(r: Random) -> Case:
    s = shape(r, 1)
    items = []
    for n in s[: r.randint(1, len(s))]:
        items += [None] * (r.random() < 0.2)
        whole, half = slice(None), slice(n // 2, None)
        items.append(r.choice([0, -1, n - 1, whole, half, slice(None, -1), slice(0, n, 2)]))
    items += [...] * (r.random() < 0.3)
    return Case(rt.Part(tuple(items)), (s,))


def spectrum(r: Random) -> Case:
    form = r.choice(("spectrogram", "mel", "mfcc"))
    window = r.randint(24, 32)
    how = {} if form == "spectrogram" else {"bands": 3}
    how |= {"window": window, "step": size(r, 1, 9), "padding": r.choice((0, 5)), "log": r.random() < 0.5}
    made = rt.Spectrum(form, rate=8000, **how)
    return Case(made, ((*shape(r, most=1), window + r.randint(0, 20)),))


def pad(r: Random) -> Case:
    mode = r.choice(["constant", "reflect", "replicate"])
    s = (*shape(r, 0, 2), size(r, 2, 4))
    amounts = [(size(r, 0, 1), size(r, 0, 1))]
    if mode != "reflect" and len(s) > 1 and r.random() < 0.5:
        amounts.insert(0, (2, 0))
    value = r.choice([0.0, 1.5]) if mode == "constant" else 0.0
    return Case(rt.Pad(*amounts, mode=mode, value=value), (s,))


def replicate(r: Random) -> Case:
    s = shape(r)
    return Case(rt.Replicate(size(r), axis_of(r, len(s) + 1)), (s,))


def reduce(r: Random) -> Case:
    s = shape(r, 0)
    how = r.choice(["sum", "mean", "max", "min"])
    if not s or r.random() < 0.3:
        return Case(rt.Reduce(how), (s,))
    if r.random() < 0.5:
        return Case(rt.Reduce(how, axis_of(r, len(s))), (s,))
    axes = r.sample(range(len(s)), r.randint(1, len(s)))
    return Case(rt.Reduce(how, tuple(axes) if r.random() < 0.5 else tuple(a - len(s) for a in axes)), (s,))


def constant(r: Random) -> Case:
    s = shape(r)
    numbers = torch.Generator().manual_seed(r.randrange(1000))
    array = torch.rand(s if r.random() < 0.7 else (7, 16), generator=numbers)
    return Case(rt.Constant(array), ())


def embedding(r: Random) -> Case:
    classes = size(r)
    return Case(rt.Embedding(size(r), classes=classes), (shape(r, 0, 2),), classes=classes)


def one_hot(r: Random) -> Case:
    classes = size(r)
    return Case(rt.OneHot(classes), (shape(r, 0, 2),), classes=classes)


def picture(r: Random, axes: int, least: int = 3, most: int = 6) -> tuple[int, ...]:
    return (size(r, 1, 2) * 2, *(size(r, least, most) for _ in range(axes)))


def window(r: Random) -> dict[str, int]:
    return {"stride": size(r, 1, 2), "padding": size(r, 0, 1)}


def conv(axes: int) -> Callable[[Random], Case]:
    def made(r: Random) -> Case:
        kind = getattr(rt, f"Conv{axes}d")
        settings = {**window(r), "groups": r.choice([1, 2]), "bias": r.random() < 0.7}
        return Case(kind(2 * size(r, 1, 2), size(r, 2, 3), **settings), (picture(r, axes, 3, 4),))

    return made


def conv_transpose(axes: int) -> Callable[[Random], Case]:
    def made(r: Random) -> Case:
        kind = getattr(rt, f"ConvTranspose{axes}d")
        return Case(
            kind(2, size(r, 2, 3), stride=size(r, 1, 2), groups=r.choice([1, 2])), (picture(r, axes, 2, 3),)
        )

    return made


def pool(kind: str, axes: int) -> Callable[[Random], Case]:
    def made(r: Random) -> Case:
        return Case(
            getattr(rt, f"{kind}{axes}d")(size(r, 2, 3), stride=size(r, 1, 2)), (picture(r, axes, 3, 4),)
        )

    return made


def upsample(r: Random) -> Case:
    axes = size(r, 1, 2)
    mode = r.choice(["nearest", "linear"])
    return Case(rt.Upsample(2, mode=mode), (picture(r, axes, 2, 4),))


def resize(r: Random) -> Case:
    axes = size(r, 1, 2)
    return Case(rt.Resize(tuple(size(r, 2, 5) for _ in range(axes))), (picture(r, axes, 2, 4),))


def colored(*variants: Layer, channels: int | None = None) -> Callable[[Random], Case]:
    return lambda r: Case(again(r.choice(variants)), ((channels or size(r), size(r), size(r)),))


colors = colored(rt.ColorJitter(saturation=0.2), rt.ColorJitter(contrast=(0.5, 2), hue=0.1), channels=3)


def random_crop(r: Random) -> Case:
    high, wide = size(r, 1, 4), size(r, 1, 4)
    made = rt.RandomCrop(min(high, wide))
    if r.random() < 0.5:
        made = rt.RandomCrop((high + 1, size(r, 1, wide)), padding=1, fill=r.choice([0.0, 0.5, "edge"]))
    return Case(made, ((size(r), high, wide),))


def recurrent(kind: type[Layer]) -> Callable[[Random], Case]:
    def made(r: Random) -> Case:
        more = r.choice([{}, {"layers": 2}, {"layers": 2, "dropout": 0.3}, {"bidirectional": True}])
        return Case(kind(size(r, 1, 2), bias=r.random() < 0.7, **more), ((size(r, 2), size(r, 1, 2)),))

    return made


def attention(r: Random) -> Case:
    m, n, d = size(r), size(r), size(r)
    settings = {"causal": r.random() < 0.5, "scale": r.choice([None, 0.3]), "dropout": r.choice([0.0, 0.3])}
    return Case(rt.Attention(**settings), ((r.choice([m, n]), d), (n, d), (n, r.choice([d, size(r)]))))


def multi_head_attention(r: Random) -> Case:
    heads, n, m, taken = size(r, 1, 2), size(r), size(r), 4
    settings = {"causal": r.random() < 0.5, "bias": r.random() < 0.7, "dropout": r.choice([0.0, 0.3])}
    settings["key_value_heads"] = r.choice([None, 1])
    if r.random() < 0.5:
        taken = size(r)
        settings["size"] = 4
    if r.random() < 0.5:
        return Case(rt.MultiHeadAttention(heads, rotary=r.random() < 0.5, **settings), ((n, taken),))
    separate = r.random() < 0.5
    keys, values = (size(r), size(r)) if separate else (taken, taken)
    made = rt.MultiHeadAttention(heads, cross=True, separate=separate, **settings)
    return Case(made, ((n, taken), (m, keys), (m, values)))


def position_embedding(r: Random) -> Case:
    s = (size(r), size(r))
    return Case(rt.PositionEmbedding(s[0] + size(r, 0)), (s,))


def join(r: Random) -> Case:
    rest = shape(r, 0, 2)
    return Case(rt.Join(), tuple((size(r), *rest) for _ in range(r.randint(1, 3))))


def gather(r: Random) -> Case:
    rest = shape(r, 0, 2)
    # Number 0 is there at each length.
    return Case(rt.Gather(), ((size(r), *rest), shape(r, 0, 2)), classes=1, numbered=(1,))


def adding(kind: type[Layer]) -> Callable[[Random], Case]:
    def made(r: Random) -> Case:
        rest = shape(r, 0, 2)
        return Case(kind(), ((size(r), *rest), rest))

    return made


def sorting(kind: type[Layer]) -> Callable[[Random], Case]:
    def made(r: Random) -> Case:
        s = shape(r, 1)
        return Case(kind(axis_of(r, len(s)), descending=r.random() < 0.5), (s,))

    return made


def comparison(kind: type[Layer], **settings: float) -> Callable[[Random], Case]:
    def made(r: Random) -> Case:
        s = shape(r, 1)
        return Case(kind(axis_of(r, len(s)), **settings), (s, s))

    return made


NORMS = ("backward", "ortho", "forward")


def fourier(r: Random) -> Case:
    axes = size(r, 1, 2)
    return Case(rt.Fourier(axes=axes, norm=r.choice(NORMS)), ((*shape(r, 0, 1), *shape(r, axes, axes)),))


def inverse_fourier(r: Random) -> Case:
    axes = size(r, 1, 2)
    made = rt.InverseFourier(odd=r.random() < 0.5, axes=axes, norm=r.choice(NORMS))
    return Case(made, ((*shape(r, 0, 1), *shape(r, axes - 1, axes - 1), size(r, 2), 2),))


def random_array(r: Random) -> Case:
    name = r.choice(("normal", "uniform", "bernoulli", "exponential", "laplace", "gumbel"))
    return Case(rt.RandomArray(shape(r), distribution=name, seed=size(r, 0)), ())


def spatial_transform(r: Random) -> Case:
    s = (size(r), size(r), size(r))
    how = {"size": r.choice([None, (size(r), size(r))]), "fill": r.choice([0.0, 0.5, "edge"])}
    return Case(rt.SpatialTransform(**how), (s, (6,)))


def mapped(r: Random) -> Case:
    wide = r.choice([True, False])
    nets = [rt.Linear(size(r)), rt.Chain(rt.Softmax(), rt.Linear(size(r)))]
    if wide:
        nets += [rt.Chain(rt.Reduce("mean", -1)), rt.Chain(rt.Flatten(), rt.Linear(size(r)), rt.Tanh())]
    return Case(rt.Map(r.choice(nets)), ((size(r), *shape(r, wide, 1), size(r, 2)),))


def map_thread(r: Random) -> Case:
    k, n = size(r), size(r)
    net = rt.Graph(lambda a, b: rt.Linear(k)(a) * rt.Tanh()(b))
    still = r.random() < 0.5
    return Case(rt.MapThread(net, constants="b" if still else ()), ((n, size(r)), (k,) if still else (n, k)))


def fold(r: Random) -> Case:
    k, n = size(r), size(r, 2)
    how = {"size": k, "truncate": None, "states": r.choice([None, "in"])}
    if r.random() < 0.5:
        net = rt.Graph(lambda x, h: rt.Tanh()(rt.Linear(k)(x) + rt.Linear(k)(h)))
    else:
        net = rt.Graph(_counted(k))
    return Case(rt.Fold(net, **how), ((n, size(r)), (k,)) if how["states"] else ((n, size(r)),))


def _counted(k: int) -> Callable[..., dict[str, rt.Wire]]:
    """A cell whose output is not its state."""

    def cell(x: rt.Wire, h: rt.Wire) -> dict[str, rt.Wire]:
        after = rt.Sigmoid()(rt.Linear(k)(x) - h)
        return {"y": rt.Linear(2)(after), "h": after}

    return cell


def operation(r: Random) -> Case:
    """Operations with the batch in several places: first, second, between other rows."""
    n, k = size(r, 2), size(r, 2)
    x, y, places = {"input": 0}, {"input": 1}, {"array": 0}
    second, within = (1, 1, 1), (1, n, k)
    made = [
        Case(rt.Operation("roll", (x, (1,), (1,))), ((n, *shape(r)),)),
        Case(rt.Operation("add.Tensor", (x, y), named={"alpha": 2}), ((n, k), (n, k))),
        Case(rt.Operation("transpose.int", (x, 0, 1), places=(second,)), ((n, k),)),
        Case(rt.Operation("index_select", (x, 1, places), constants=(("int", 3),)), ((n, k),)),
        Case(rt.Operation("flip", (x, (0,)), places=(within,), place=within), ((2, n, k),)),
        Case(rt.Operation("split.Tensor", (x, 1, 1), result=1), ((n, k),)),
    ]
    return r.choice(made)


CASES: dict[str, Callable[[Random], Case]] = {
    **{
        name: unary(getattr(rt, name)())
        for name in (
            "ReLU", "ReLU6", "SELU", "SiLU", "Mish", "Tanh", "Sigmoid", "Softsign", "HardSigmoid",
            "HardSwish",
        )
    },
    "LeakyReLU": unary(rt.LeakyReLU(), rt.LeakyReLU(0.3)),
    "ELU": unary(rt.ELU(), rt.ELU(0.5)),
    "GELU": unary(rt.GELU(), rt.GELU(approximate="tanh")),
    "Softplus": unary(rt.Softplus(), rt.Softplus(2.0)),
    "HardTanh": unary(rt.HardTanh(), rt.HardTanh(-0.5, 2)),
    "PReLU": lambda r: Case(rt.PReLU(shared=r.random() < 0.5), (shape(r, 1),)),
    "Elementwise": lambda r: Case(
        rt.Elementwise(r.choice(["exp", "log", "sqrt", "square", "abs", "reciprocal", "erf", "tan"])),
        (shape(r),),
        low=0.2,
        high=1.4,
    ),
    "Arithmetic": lambda r: Case(
        rt.Arithmetic(r.choice(["+", "-", "*", "/", "**"]), r.choice([2, 0.5]), reverse=r.random() < 0.5),
        (shape(r),),
        low=0.2,
    ),
    "Softmax": along(rt.Softmax),
    "LogSoftmax": along(rt.LogSoftmax),
    "BatchNorm": channels(rt.BatchNorm(), rt.BatchNorm(affine=False, eps=0.1)),
    "InstanceNorm": channels(rt.InstanceNorm(eps=0.1), rt.InstanceNorm(affine=True, eps=0.1), least=2),
    "GroupNorm": group_norm,
    "LayerNorm": last_axes(rt.LayerNorm),
    "RMSNorm": last_axes(rt.RMSNorm),
    "LocalResponseNorm": channels(rt.LocalResponseNorm(3, alpha=0.5), rt.LocalResponseNorm(2, alpha=1, k=2)),
    "Dropout": lambda r: Case(rt.Dropout(0.3, channels=r.random() < 0.5), (shape(r, 1),)),
    "AlphaDropout": lambda r: Case(rt.AlphaDropout(0.3, channels=r.random() < 0.5), (shape(r, 1),)),
    "DropPath": unary(rt.DropPath(0.3), rt.DropPath(0.1)),
    "GaussianNoise": unary(rt.GaussianNoise(0.3), rt.GaussianNoise(2)),
    "RandomCrop": random_crop,
    "RandomFlip": colored(rt.RandomFlip(), rt.RandomFlip("both", chance=1)),
    "RandomErasing": colored(rt.RandomErasing(), rt.RandomErasing(1, area=(0.1, 0.2), fill=0.5)),
    "RandomAffine": colored(rt.RandomAffine(degrees=9), rt.RandomAffine(shift=0.1, fill="edge")),
    "RandomRotation": colored(rt.RandomRotation(30), rt.RandomRotation((0, 90), mode="nearest")),
    "RandomZoom": colored(rt.RandomZoom(0.2), rt.RandomZoom((1, 2), fill=1.0)),
    "RandomShear": colored(rt.RandomShear(10), rt.RandomShear((-5, 10), fill="edge")),
    "RandomTranslation": colored(rt.RandomTranslation(0.1), rt.RandomTranslation(0.5, mode="nearest")),
    "ColorJitter": lambda r: r.choice([colored(rt.ColorJitter(brightness=0.2, range=(0, 255))), colors])(r),
    "Linear": lambda r: Case(rt.Linear(size(r), bias=r.random() < 0.7), (shape(r, 1),)),
    "Embedding": embedding,
    "OneHot": one_hot,
    "Constant": constant,
    "Parameter": lambda r: Case(rt.Parameter(shape(r), nameless=r.random() < 0.5), ()),
    "Flatten": lambda r: Case(rt.Flatten(), (shape(r),)),
    "Reshape": reshape,
    "Transpose": transpose,
    "Part": part,
    "Pad": pad,
    "Spectrum": spectrum,
    "Replicate": replicate,
    "Reduce": reduce,
    "Plus": combiner(rt.Plus, most=4),
    "Times": combiner(rt.Times, most=4),
    "Minus": combiner(rt.Minus),
    "Divide": combiner(rt.Divide, low=0.5),
    "Power": combiner(rt.Power, low=0.5),
    "Maximum": combiner(rt.Maximum, most=3),
    "Minimum": combiner(rt.Minimum, most=3),
    "Concat": concat,
    "Join": join,
    "Attention": attention,
    "MultiHeadAttention": multi_head_attention,
    "PositionEmbedding": position_embedding,
    "SinusoidalPositions": lambda r: Case(rt.SinusoidalPositions(), ((size(r), size(r)),)),
    **{
        name: lambda r, name=name: Case(getattr(rt, name)(), (shape(r, 1),))
        for name in ("First", "Last", "Most", "Rest", "Reverse")
    },
    "Gather": gather,
    "Operation": operation,
    "Positions": lambda r: Case(rt.Positions(), (shape(r, 1),)),
    "Sort": sorting(rt.Sort),
    "ArgSort": sorting(rt.ArgSort),
    "Prepend": adding(rt.Prepend),
    "Append": adding(rt.Append),
    "CosineSimilarity": comparison(rt.CosineSimilarity),
    "PairwiseDistance": comparison(rt.PairwiseDistance, order=3),
    "Fourier": fourier,
    "InverseFourier": inverse_fourier,
    "WalshHadamard": lambda r: Case(
        rt.WalshHadamard(norm=r.choice(NORMS)), ((*shape(r, 0, 2), r.choice([1, 2, 4, 8])),)
    ),
    "RandomArray": random_array,
    "SpatialTransform": spatial_transform,
    **{name: recurrent(getattr(rt, name)) for name in ("RNN", "GRU", "LSTM")},
    "Dot": dot,
    **{f"Conv{n}d": conv(n) for n in (1, 2, 3)},
    **{f"ConvTranspose{n}d": conv_transpose(n) for n in (1, 2, 3)},
    **{f"{kind}{n}d": pool(kind, n) for kind in ("MaxPool", "AvgPool") for n in (1, 2, 3)},
    "GlobalAvgPool": lambda r: Case(rt.GlobalAvgPool(), (picture(r, size(r, 1, 3), 1, 3),)),
    "GlobalMaxPool": lambda r: Case(rt.GlobalMaxPool(), (picture(r, size(r, 1, 3), 1, 3),)),
    "Map": mapped,
    "MapThread": map_thread,
    "Fold": fold,
    "StopGradient": unary(rt.StopGradient()),
    "Upsample": upsample,
    "Resize": resize,
}  # fmt: skip
