"""The one affine map that a net of straight pieces is at an input.

A net of linear layers, ReLUs, maxima and their like is linear on each of many regions of its inputs. Within
the region of an input its answer is ``W x + b``, whose rows can be looked at as the input is.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from retia._figures import Drawable
from retia._late import numpy as np
from retia._torch import torch
from retia.codecs import Classes, Table, Tags
from retia.engine.ending import ending
from retia.errors import ArgumentError, StructureError
from retia.metrics.confusion import number_of
from retia.nets import Layer, Net
from retia.nets.wiring import Node, Value
from retia.view.arrays import picture
from retia.view.asked import Example, example, numbers_of, which_output

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

STRAIGHT = {
    "Linear", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d",
    "BatchNorm", "ReLU", "ReLU6", "LeakyReLU", "PReLU", "HardSigmoid", "HardTanh", "MaxPool1d", "MaxPool2d",
    "MaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d", "GlobalAvgPool", "GlobalMaxPool", "Plus", "Minus",
    "Maximum", "Minimum", "Concat", "Join", "Append", "Prepend", "Part", "Pad", "First", "Last", "Most",
    "Rest", "Reverse", "Flatten", "Reshape", "Transpose", "Replicate", "Reduce", "Sort", "Upsample",
    "Resize", "Dropout", "AlphaDropout", "DropPath", "GaussianNoise", "RandomAffine", "RandomRotation",
    "RandomZoom", "RandomShear", "RandomTranslation", "RandomCrop", "RandomFlip", "RandomErasing",
    "ColorJitter", "Map", "MapThread",
}  # fmt: skip
"""Layers that are linear on each of finitely many regions, as a net is called."""

FACTORS = ("Times", "Dot")
"""Layers that are linear where only one of their inputs depends on the net's."""

ROWS, NUMBERS = 64, 2**22
"""Rows that are derived at once at most, and numbers of the input in them."""

LARGEST = 2**26
"""Numbers of a map, at most: half a GB."""


@dataclass(frozen=True, eq=False, repr=False)
class LinearMap(Drawable):
    """What a net is around an input: ``weight @ input.ravel() + bias``; ``net.linear_at`` makes it.

    Attributes:
        weight: (outputs, inputs), float64.
        bias: (outputs).
        input: what stands at the input port, in the port's shape.
        output: what the net answers there, (outputs): the logits before a Softmax or Sigmoid at its end.
        ending: that activation, ``"softmax"``, ``"log_softmax"`` or ``"sigmoid"``; None where there is none.
        labels: of the rows: those of the output's classes, else their numbers.
        entries: of the columns: those of a table; empty for others.
        on: by the path of an activation, which of its units are on: not in a part where they are constant
            or have the smaller slope.
        borders: how many units stand just at a bend, where the map is that of one side.
        is_picture: whether the input is a picture.
    """

    weight: NDArray[Any]
    bias: NDArray[Any]
    input: NDArray[Any]
    output: NDArray[Any]
    ending: str | None
    labels: tuple[Any, ...]
    entries: tuple[str, ...]
    on: dict[str, NDArray[Any]]
    borders: int
    is_picture: bool

    @property
    def rows(self) -> NDArray[Any]:
        """The rows of the weight in the shape of the input, (outputs, *input)."""
        return self.weight.reshape(len(self.weight), *self.input.shape)

    @property
    def norms(self) -> NDArray[Any]:
        """The length of each row: how fast an output can change."""
        return np.asarray(np.linalg.norm(self.weight, axis=1))

    @property
    def angles(self) -> NDArray[Any]:
        """Between each row and the input, in degrees from 0 to 180; NaN where one of them is 0."""
        x = self.input.ravel()
        with np.errstate(invalid="ignore", divide="ignore"):
            cosines = self.weight @ x / (self.norms * np.linalg.norm(x))
        return np.asarray(np.degrees(np.arccos(np.clip(cosines, -1, 1))))

    def plot(self, path: str | os.PathLike[str] | None = None, ax: Any = None) -> Any:
        """Draw the rows as the input is: a picture for each output, or a line of a map.

        Args:
            path: where to save it (.png, .svg, .pdf), if anywhere.
            ax: matplotlib axes to draw on, instead of a figure of its own.
        Returns:
            The axes that were given, or else the figure.
        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        rows, title = self.rows, "rows of W, by output: angle to the input"
        if not self.is_picture:
            return picture(self.weight, title="W: a row for each output").plot(path, ax)
        color = rows.shape[1] == 3
        names = [f"{label}: {angle:.0f}°" for label, angle in zip(self.labels, self.angles, strict=True)]
        array = rows if color else rows[:, 0] if rows.shape[1] == 1 else rows
        return picture(array, title=title, names=names, color=color).plot(path, ax)

    def __repr__(self) -> str:
        units = sum(each.size for each in self.on.values())
        on = sum(int(each.sum()) for each in self.on.values())
        outputs, inputs = self.weight.shape
        return f"<LinearMap of {inputs:,} inputs to {outputs:,} outputs: {on:,} of {units:,} units on>"


def linear_at(net: Net, thing: Any, of: Any = None, input: str | None = None) -> LinearMap:
    """See ``Net.linear_at``."""
    with torch.inference_mode(False):  # no derivatives are known within it
        return _linear_at(net, thing, of, input)


def _linear_at(net: Net, thing: Any, of: Any, input: str | None) -> LinearMap:
    asked = example("linear_at", net, thing, input)
    port, of = which_output("linear_at", net, of)
    codec = net.outputs[port].codec
    kind, before = ending(net, net.wiring.outputs[port], -1 if codec is None else codec.axis)
    nodes = _between(asked, before)
    _refuse(net, nodes, asked.at)
    exact = replace(
        asked,
        arrays={path: t.double() if t.is_floating_point() else t for path, t in asked.arrays.items()},
        start=asked.start.double(),
    )
    output = exact.values((before,), {exact.at: exact.start})[before][0].flatten()
    labels = codec.labels if isinstance(codec, Classes | Tags) and codec.labels else tuple(range(len(output)))
    chosen = _chosen(labels, of)
    if len(chosen) * asked.start.numel() > LARGEST:
        raise ArgumentError(
            f"linear_at: a map of {len(chosen):,} outputs and {asked.start.numel():,} inputs is too large.",
            fix=f"net.linear_at(x, of=[{labels[0]!r}]), for some of the outputs",
            got=len(chosen) * asked.start.numel(),
        )
    weight = _rows(exact, before, chosen)
    x = exact.start[0].flatten()
    on, borders = _units(exact, nodes)
    found = net.inputs[asked.port].codec
    return LinearMap(
        weight=numbers_of(weight),
        bias=numbers_of(output[chosen] - weight @ x),
        input=numbers_of(exact.start[0]),
        output=numbers_of(output[chosen]),
        ending=kind,
        labels=tuple(labels[place] for place in chosen),
        entries=found.entries if isinstance(found, Table) else (),
        on=on,
        borders=borders,
        is_picture=exact.is_picture,
    )


def _chosen(labels: Sequence[Any], of: Any) -> list[int]:
    if of is None:
        return [*range(len(labels))]
    several = of if isinstance(of, list | tuple) else [of]
    return [number_of(tuple(labels), each) for each in several]


def _rows(exact: Example, before: Value, chosen: list[int]) -> Tensor:
    """The derivatives of some outputs: as many rows of the same example as there are outputs."""
    size = max(1, min(ROWS, NUMBERS // exact.start.numel()))
    made = []
    for start in range(0, len(chosen), size):
        places = torch.tensor(chosen[start : start + size], device=exact.start.device)
        leaf = exact.start.repeat(len(places), *[1] * (exact.start.dim() - 1)).requires_grad_(True)
        with torch.enable_grad():
            found = exact.values((before,), {exact.at: leaf})[before].flatten(1)
            total = found.gather(1, places.unsqueeze(1)).sum()
            made.append(torch.autograd.grad(total, leaf)[0].flatten(1))
    return torch.cat(made)


# What is straight -----------------------------------------------------------------------------------


def _between(asked: Example, before: Value) -> list[Node]:
    """The layers on the ways from the input to a value, and those within operators, in order."""
    kept, moved = [], {asked.at}
    for node in asked.net.wiring.needed([before]):
        if moved & set(node.sources):
            moved |= set(node.outputs)
            kept.append(node)
    return kept


def _refuse(net: Net, nodes: Sequence[Node], start: Value) -> None:
    moved = {start, *(value for node in nodes for value in node.outputs)}
    for node in nodes:
        for part in node.parts:
            if part is node and is_straight(node.layer, [source in moved for source in node.sources]):
                continue
            if part is not node and is_straight(part.layer, [True] * len(part.sources)):
                continue
            first = next((source[0] for source in node.sources if source in moved and source[0]), None)
            raise StructureError(
                f"linear_at: {part.label} is not made of straight pieces, so no one map is the net there.",
                fix=f"net.at({first!r}).linear_at(x), the map of what stands before it" if first else None,
                path=part.path,
            )


def is_straight(layer: Layer, moved: Sequence[bool]) -> bool:
    """Whether a layer is linear on each of finitely many regions.

    Args:
        layer: as a net is called.
        moved: for each of its inputs, whether it depends on the net's.
    Example:
        >>> import retia as rt
        >>> is_straight(rt.ReLU(), [True]), is_straight(rt.Times(), [True, True])
        (True, False)
    """
    kind = type(layer).__name__
    if not type(layer).__module__.startswith("retia."):
        return False
    settings = layer.settings()
    if kind in FACTORS:
        return sum(moved) == 1
    if kind == "Divide":
        return moved == [True, False]
    if kind == "Elementwise":
        return settings["function"] in ("abs", "neg", "relu")
    if kind == "Arithmetic":
        return settings["operator"] in "+-*" or (settings["operator"] == "/" and not settings.get("reverse"))
    return kind in STRAIGHT


def _units(exact: Example, nodes: Sequence[Node]) -> tuple[dict[str, NDArray[Any]], int]:
    """Which units of the activations are on, by path, and how many stand at a bend."""
    bent = {node.path: (node.sources[0], _bends(node.layer)) for node in nodes if _bends(node.layer)}
    values = exact.values(tuple(value for value, _ in bent.values()), {exact.at: exact.start})
    on, borders = {}, 0
    for path, (value, bends) in bent.items():
        found = values[value][0]
        inside = found > bends[0]
        for bend in bends[1:]:
            inside = inside & (found < bend)
        borders += sum(int((found == bend).sum()) for bend in bends)
        on[path] = numbers_of(inside)
    return on, borders


def _bends(layer: Layer) -> tuple[float, ...]:
    kind = type(layer).__name__
    if kind == "HardTanh":
        return layer.settings()["low"], layer.settings()["high"]
    return {
        "ReLU": (0.0,),
        "LeakyReLU": (0.0,),
        "PReLU": (0.0,),
        "ReLU6": (0.0, 6.0),
        "HardSigmoid": (-3.0, 3.0),
    }.get(kind, ())
