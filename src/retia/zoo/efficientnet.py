"""EfficientNet-lite0, a net for pictures that is small and fast, and how its published arrays fit it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from retia.codecs import Classes, Image
from retia.layers import BatchNorm, Conv2d, Dropout, GlobalAvgPool, Linear, Plus, ReLU6, Softmax
from retia.nets import Chain, Graph, Net

STAGES = (
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320),
)  # fmt: skip
"""Of each stage: number of blocks, kernel size, stride of its first block, expansion, channels."""

NORMALIZE = (127 / 255, 128 / 255)
"""Mean and deviation of the pixels in 0..1, as the published arrays expect them."""

PUBLISHED = {
    "stem.conv": "_conv_stem", "stem.norm": "_bn0", "head.conv": "_conv_head", "head.norm": "_bn1",
    "expand.conv": "_expand_conv", "expand.norm": "_bn0", "depthwise.conv": "_depthwise_conv",
    "depthwise.norm": "_bn1", "project.conv": "_project_conv", "project.norm": "_bn2", "classifier": "_fc",
}  # fmt: skip
"""The published names of layers, by the ends of their paths here."""


def efficientnet_lite0(*, labels: Iterable[str | int] | None = range(1000)) -> Net:
    """EfficientNet-lite0, for pictures of 224 x 224 pixels in colour.

    ``net[:-2]`` is the trunk, which makes 1,280 numbers of a picture. ``net["blocks"]`` are its 16 blocks.
    Pictures are cropped to their middle square. Stochastic depth, which the published arrays were trained
    with, is not part of the net.

    Args:
        labels: the classes; None where training is to learn them from the data.
    Source: Tan and Le 2019 (EfficientNet-B0), without squeeze-and-excitation and with ReLU6, as Google
        published it in 2020; blocks by Sandler et al. 2018 (MobileNetV2).
    Example:
        >>> efficientnet_lite0().count
        4652008
    """
    return Chain(
        stem=_unit(32, 3, stride=2),
        blocks=Chain(*_blocks(32)),
        head=_unit(1280, 1),
        pool=GlobalAvgPool(), dropout=Dropout(0.2), classifier=Linear(), probabilities=Softmax(),
        input=Image(224, 224, fit="crop", resample="bicubic", normalize=NORMALIZE),
        output=Classes() if labels is None else Classes(tuple(labels)),
    )  # fmt: skip


def published_names() -> dict[str, str]:
    """The net's path of every array that was published for PyTorch, by its name there.

    The names are those of Melas-Kyriazi's EfficientNet for PyTorch, which others kept:
    ``net.with_state_dict(file, rename=published_names())`` takes their arrays over.

    Example:
        >>> published_names()["_blocks.1._expand_conv.weight"]
        'blocks.1.expand.conv.weight'
    """
    return {_published(path): path for path in efficientnet_lite0().array_shapes()}


def _published(path: str) -> str:
    place, _, name = path.rpartition(".")
    words = place.split(".")
    if words[0] != "blocks":
        return f"{PUBLISHED[place]}.{name}"
    return f"_blocks.{words[1]}.{PUBLISHED['.'.join(words[2:])]}.{name}"


def _blocks(channels: int) -> Iterator[Net]:
    for repeats, kernel_size, stride, expansion, wide in STAGES:
        for number in range(repeats):
            yield _block(channels, kernel_size, stride if number == 0 else 1, expansion, wide)
            channels = wide


def _block(channels: int, kernel_size: int, stride: int, expansion: int, wide: int) -> Net:
    """An inverted bottleneck; where it keeps the shape, what comes in is added to what it makes."""
    inner = channels * expansion
    parts: dict[str, Net] = {"expand": _unit(inner, 1)} if expansion > 1 else {}
    parts["depthwise"] = _unit(inner, kernel_size, stride=stride, groups=inner)
    parts["project"] = _unit(wide, 1, activation=False)
    if stride > 1 or channels != wide:
        return Chain(parts)
    inside = " -> ".join(["input", *parts, "plus"])
    return Graph({**parts, "plus": Plus()}, inside, "input -> plus -> output")


def _unit(channels: int, kernel_size: int, *, activation: bool = True, **how: int) -> Chain:
    """A convolution, normalised, and bounded unless it is a block's last."""
    parts: dict[str, Net] = {
        "conv": Conv2d(channels, kernel_size, padding="same", bias=False, **how),
        "norm": BatchNorm(eps=1e-3, momentum=0.01),
    }
    return Chain({**parts, "relu": ReLU6()} if activation else parts)
