"""Small nets for pictures, untrained: what the command line trains by name.

Each function is ten lines of the public language; copy one to start a net of your own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from retia.codecs import Classes, Image
from retia.errors import ArgumentError
from retia.layers import Conv2d, Flatten, GlobalAvgPool, Linear, MaxPool2d, ReLU, Sigmoid, Softmax, Tanh
from retia.nets import Chain, Net

ACTIVATIONS: dict[str, Callable[[], Net]] = {"relu": ReLU, "sigmoid": Sigmoid, "tanh": Tanh}


def dense(
    sizes: Sequence[int], *, activation: str = "relu", labels: Iterable[str | int] | None = range(10)
) -> Chain:
    """Fully connected layers from the pixels of a square gray picture to classes.

    Args:
        sizes: so many pixels (a square number), the hidden sizes, and the number of classes.
        activation: ``"relu"``, ``"sigmoid"`` or ``"tanh"``, after every hidden layer.
        labels: the classes; None where training is to learn them from the data.
    Raises:
        ArgumentError: sizes that are no picture, or an activation that is not there.
    Example:
        >>> dense([784, 15, 10], activation="sigmoid").count
        11935
    """
    side = math.isqrt(sizes[0]) if len(sizes) > 1 and min(sizes) > 0 else 0
    if not side or side * side != sizes[0]:
        raise ArgumentError(
            f"A dense net goes from a square picture's pixels to classes; got {'-'.join(map(str, sizes))}.",
            fix="784-200-60-10 takes pictures of 28 x 28 pixels",
            got=tuple(sizes),
        )
    if activation not in ACTIVATIONS:
        raise ArgumentError(
            f"activation is one of {', '.join(ACTIVATIONS)}; got {activation!r}.", got=activation
        )
    hidden: list[Net] = []
    for size in sizes[1:-1]:
        hidden += [Linear(size), ACTIVATIONS[activation]()]
    return Chain(
        Flatten(), *hidden, Linear(sizes[-1]), Softmax(),
        input=Image(side, side, color="gray"), output=_classes(labels),
    )  # fmt: skip


def lenet(*, labels: Iterable[str | int] | None = range(10)) -> Chain:
    """LeNet for pictures of 28 x 28 gray pixels: two convolutions with pooling, two linear layers.

    Args:
        labels: the classes; None where training is to learn them from the data.
    Source: LeCun, Bottou, Bengio and Haffner 1998; with ReLU and max pooling, 20 and 50 channels and 500
        units, as it became usual with Caffe (Jia et al. 2014).
    Example:
        >>> lenet().count
        431080
    """
    return Chain(
        Conv2d(20, 5), ReLU(), MaxPool2d(2), Conv2d(50, 5), ReLU(), MaxPool2d(2),
        Flatten(), Linear(500), ReLU(), Linear(), Softmax(),
        input=Image(28, 28, color="gray"), output=_classes(labels),
    )  # fmt: skip


def convolutional(size: int = 64, *, color: str = "rgb", labels: Iterable[str | int] | None = None) -> Chain:
    """Three convolutions and a pooled head, for square pictures of any kind.

    Args:
        size: pixels on a side, at least 8; pictures are brought to it.
        color: ``"rgb"`` or ``"gray"``.
        labels: the classes; None where training is to learn them from the data.
    Example:
        >>> convolutional(32, labels=["cat", "dog"]).count
        23714
    """
    return Chain(
        Conv2d(16, 3, padding=1), ReLU(), MaxPool2d(2),
        Conv2d(32, 3, padding=1), ReLU(), MaxPool2d(2),
        Conv2d(64, 3, padding=1), ReLU(), GlobalAvgPool(), Linear(), Softmax(),
        input=Image(size, size, color=color), output=_classes(labels),
    )  # fmt: skip


def _classes(labels: Iterable[str | int] | None) -> Classes:
    return Classes() if labels is None else Classes(tuple(labels))
