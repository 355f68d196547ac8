"""How much each number of an input says for an answer: the methods, on tensors alone.

Each takes an example and a score and answers an ``Attributed``. What is drawn of it stands in ``saliency``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.errors import ArgumentError, ShapeError, StructureError
from retia.layers.convolution import Convolution, Transposed
from retia.nets import Net
from retia.nets.wiring import Node, Value
from retia.view.asked import Example, Score, baseline_of

if TYPE_CHECKING:
    from torch import Tensor

ROOM = 256
"""Rows that are asked for together; they are computed in smaller pieces."""

KEEPS = (
    "BatchNorm",
    "GroupNorm",
    "InstanceNorm",
    "LayerNorm",
    "LocalResponseNorm",
    "Plus",
    "Dropout",
    "DropPath",
)
"""Layers after a convolution that belong to its feature maps, besides the activations."""


@dataclass(frozen=True)
class Attributed:
    """What a method found.

    Attributes:
        values: one for each number of what is derived by; for Grad-CAM and occlusion one for each place.
        score: of the example.
        baseline: the score of the baseline; None where there is none.
        steps: how often the net was asked.
        path: the layer that was looked at, if one was.
    """

    values: Tensor
    score: float
    baseline: float | None = None
    steps: int = 1
    path: str | None = None


def space(example: Example) -> tuple[int, ...]:
    """The axes of an example that are places: without the colours of a picture and what a vector holds."""
    rank = example.start.dim() - 1
    if example.is_looked_up:
        return tuple(range(rank - 1))
    return (1, 2) if rank == 3 else tuple(range(rank))


def gradient(example: Example, score: Score) -> Attributed:
    """The derivatives of the score."""
    scores, slopes = score.slopes(example, example.start)
    return Attributed(slopes[0], float(scores[0]))


def smooth(example: Example, score: Score, *, samples: int, noise: float, seed: int) -> Attributed:
    """The mean of the derivatives at inputs with normal noise."""
    start = example.start
    spread = float(start.max() - start.min()) * noise
    draws = torch.Generator().manual_seed(seed)
    drawn = torch.randn((samples, *start.shape[1:]), generator=draws).to(start)
    _, slopes = score.slopes(example, start + spread * drawn)
    own = score.of_rows(example, start)
    return Attributed(slopes.mean(0), float(own[0]), steps=samples)


# Occlusion ------------------------------------------------------------------------------------------


def occlusion(example: Example, score: Score, *, baseline: Any, window: Any, stride: Any) -> Attributed:
    """How far the score falls where a window hides the input; of each place the mean over the windows."""
    start, axes = example.start, space(example)
    filler = baseline_of(example, baseline)
    sizes = [start.shape[axis + 1] for axis in axes]
    windows = _per_axis(
        "window", window, [max(size // 7, 1) if len(sizes) > 1 else 1 for size in sizes], sizes
    )
    strides = _per_axis("stride", stride, [max(size // 2, 1) for size in windows], sizes)
    own = score.of_rows(example, start)[0]
    drops = torch.zeros(sizes, dtype=torch.float64)
    seen = torch.zeros(sizes, dtype=torch.float64)
    asked = 0
    size = len(example.pieces(start.expand(ROOM, *start.shape[1:]))[0])
    for batch in _batched(_windows(sizes, windows, strides), size):
        hidden = start.repeat(len(batch), *[1] * (start.dim() - 1))
        for row, place in enumerate(batch):
            around = _around(axes, start.dim() - 1, place)
            hidden[row][around] = filler[0][around]
        with torch.no_grad():
            fallen = (own - score.of_rows(example, hidden)).double().tolist()
        for place, fall in zip(batch, fallen, strict=True):
            drops[place] += fall
            seen[place] += 1
        asked += len(batch)
    return Attributed((drops / seen.clamp(min=1)).to(start.dtype), float(own), steps=asked)


def _per_axis(name: str, value: Any, default: list[int], sizes: list[int]) -> list[int]:
    if value is None:
        return default
    found = [*value] if isinstance(value, tuple | list) else [value] * len(sizes)
    good = len(found) == len(sizes) and all(isinstance(n, int) and not isinstance(n, bool) for n in found)
    if not good or not all(1 <= n <= size for n, size in zip(found, sizes, strict=True)):
        raise ArgumentError(
            f"saliency: {name} is a whole number from 1, at most the input's {tuple(sizes)}, or one for each "
            f"axis; got {value!r}.",
            got=value,
        )
    return found


def _windows(sizes: list[int], windows: list[int], strides: list[int]) -> Iterator[tuple[slice, ...]]:
    """The places of a window, the last of each axis at its end."""
    along = []
    for size, window, stride in zip(sizes, windows, strides, strict=True):
        starts = [*range(0, size - window + 1, stride)]
        starts += [size - window] if starts[-1] < size - window else []
        along.append([slice(start, start + window) for start in starts])
    return itertools.product(*along)


def _around(axes: tuple[int, ...], rank: int, place: tuple[slice, ...]) -> tuple[slice, ...]:
    """A place among all axes of an example."""
    at = dict(zip(axes, place, strict=True))
    return tuple(at.get(axis, slice(None)) for axis in range(rank))


def _batched(places: Iterator[tuple[slice, ...]], size: int) -> Iterator[list[tuple[slice, ...]]]:
    while batch := list(itertools.islice(places, size)):
        yield batch


# Grad-CAM -------------------------------------------------------------------------------------------


def grad_cam(example: Example, score: Score, *, path: str | None) -> Attributed:
    """Feature maps, each weighted by its mean derivative, summed; what is above 0, at the input's size."""
    path, value = feature_maps(example, score, path)
    maps = example.values((value,), {example.at: example.start})[value]
    scores, slopes = score.slopes(example, maps, value)
    places = tuple(range(2, maps.dim()))
    weights = slopes.mean(places, keepdim=True)
    heat = torch.relu((weights * maps).sum(1, keepdim=True))
    sizes = [example.start.shape[axis + 1] for axis in space(example)]
    if len(sizes) < len(places):
        raise ShapeError(
            f"saliency: the maps of {path} have {len(places)} axes of places, the input {len(sizes)}.",
            path=path,
        )
    sizes = sizes[-len(places) :]  # the channels of a sequence come first
    how = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(sizes)]
    heat = torch.nn.functional.interpolate(heat, sizes, mode=how, align_corners=False)
    return Attributed(heat[0, 0], float(scores[0]), path=path)


def feature_maps(example: Example, score: Score, path: str | None) -> tuple[str, Value]:
    """The part whose feature maps are looked at, and their value: by default what the last convolution makes.

    Raises:
        StructureError: no convolution, or a part that gives no feature maps.
    """
    net = example.net
    if path is not None:
        net.part(path)
        ends = [*net.wiring.ends[path].values()]
        shape = net.solution.shape(ends[0]) if len(ends) == 1 else None
        if shape is None or not 2 <= len(shape) <= 4:
            raise StructureError(
                f"saliency: {path} gives no feature maps, (channels, places).", path=path, got=shape
            )
        return path, ends[0]
    leading = net.wiring.needed([score.before])
    found = [node for node in leading if isinstance(node.layer, Convolution | Transposed)]
    if not found:
        raise StructureError(
            "saliency: Grad-CAM looks at the feature maps of a convolution, and there is none.",
            fix="method='integrated', or path= of a layer with feature maps",
        )
    node = _followed(net, found[-1], leading)
    return node.path, node.outputs[0]


def _followed(net: Net, node: Node, nodes: Sequence[Node]) -> Node:
    """The last of the nodes that normalises, adds to and activates the maps of a convolution."""
    shape = net.solution.shape(node.outputs[0])
    for later in nodes:
        if node.outputs[0] not in later.sources:
            continue
        kind = type(later.layer)
        is_activation = kind.__module__.endswith((".elementwise", ".functions"))
        if (is_activation or kind.__name__ in KEEPS) and net.solution.shape(later.outputs[0]) == shape:
            node = later
    return node
