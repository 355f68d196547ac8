"""Nets of linear layers as columns of units, with the numbers that a picture of units shows.

``columns`` reads the view model. ``numbered`` attaches what it takes from the net itself: weights, and the
values that the units have for one example.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from retia._torch import torch
from retia.errors import ArgumentError, ShapeError
from retia.nets import Net
from retia.view.model import Part, View, show_sizes

BETWEEN = ("activation", "random")
"""Families that may stand between linear layers: they keep every unit in its place."""


@dataclass(frozen=True)
class Column:
    """The units that one linear layer makes, or the inputs.

    Attributes:
        size: how many.
        linear: the path of the layer; None for the inputs.
        last: the path of what follows it in the same units; None where it is the input itself.
        titles: what stands there, each in a few words.
    """

    size: int
    linear: str | None
    last: str | None
    titles: tuple[str, ...]


def columns(view: View) -> tuple[Column, ...]:
    """The columns of a net of linear layers.

    Raises:
        ArgumentError: another layer, or a net that branches. ShapeError: sizes that are not known.
    Example:
        >>> import retia as rt
        >>> from retia.view.model import view
        >>> [(c.size, c.titles) for c in columns(view(rt.Chain(rt.Linear(3), rt.ReLU(), input=2)))]
        [(2, ('input',)), (3, ('Linear(3)', 'ReLU'))]
    """
    layers = view.layers
    _check_row(view)
    found: list[Column] = []
    sizes = view.inputs[0].shape
    titles, last = ["input"], None
    linear: str | None = None
    for part in layers:
        if part.type == "Linear":
            found.append(Column(_size(sizes, last), linear, last, tuple(titles)))
            titles, linear = [], part.path
        elif part.type != "Flatten" and part.family not in BETWEEN:
            _refuse(part)
        titles.append(part.label.removesuffix("()"))
        sizes, last = next(iter(part.outputs.values())), part.path
    if linear is None:
        _refuse(layers[0])
    return (*found, Column(_size(sizes, last), linear, last, tuple(titles)))


def numbered(net: Net, view: View, found: Sequence[Column], x: Any = None) -> View:
    """The view with ``"weights"`` (tensors, by path) where they are made, and ``"values"`` where x is given.

    Args:
        net: the net of the view.
        view: of it.
        found: its columns.
        x: one example, as the net is called with it.
    """
    arrays = net.arrays
    weights: dict[str, dict[str, Any]] = {}
    for column in found[1:]:
        held = {h.name: h.path for h in view.parts[column.linear or ""].arrays}
        if all(path in arrays for path in held.values()):
            weights[column.linear or ""] = {name: arrays[path].detach().cpu() for name, path in held.items()}
    view = view.attach("weights", weights)
    if x is None:
        return view
    values = {path: _value(net, path, x) for c in found for path in (c.linear, c.last) if path is not None}
    if found[0].last is None:
        view = view.attach("input", {"": _given(net, x)})
    return view.attach("values", values)


def inputs_of(view: View, column: Column) -> list[float] | None:
    """What the units of a column have for the example; None without one."""
    if "values" not in view.attached:
        return None
    found = view.attached["values"][column.last] if column.last is not None else view.attached["input"][""]
    return [float(each) for each in found]


def _value(net: Net, path: str, x: Any) -> Any:
    made = (net.at(path) if path else net)(x, None)
    if made.dim() != 1:
        raise ArgumentError(
            f"diagram: x is one example; got what gives an array of shape {tuple(made.shape)}.", fix="x=xs[0]"
        )
    return made.detach().cpu()


def _given(net: Net, x: Any) -> Any:
    codec = next(iter(net.inputs.values())).codec
    return torch.as_tensor(x if codec is None else codec.encode(x), dtype=torch.float32).cpu()


def _check_row(view: View) -> None:
    if len(view.inputs) != 1 or len(view.outputs) != 1:
        raise ArgumentError(
            'diagram: view="units" draws nets with one input and one output.', fix='view="layers"'
        )
    for part in view.parts.values():
        if part.kind == "group" and part.type not in ("Chain", "Graph"):
            _refuse(part)
        used = [name for child in part.children for name, _ in view.parts[child].sources.values()]
        if len(used) != len(set(used)):
            raise ArgumentError(
                f'diagram: view="units" draws nets that do not branch; {part.path or part.type} does.',
                fix='view="layers"',
                path=part.path,
            )


def _size(shape: Any, path: str | None) -> int:
    if shape is None or len(shape) != 1 or not isinstance(shape[0], int):
        raise ShapeError(
            f'diagram: view="units" draws vectors of known size; {path or "the input"} gives '
            f"{show_sizes(shape)}.",
            fix="net.init(), or rt.Flatten() before the first Linear" if shape else "input=...",
            path=path,
        )
    return int(shape[0])


def _refuse(part: Part) -> None:
    raise ArgumentError(
        'diagram: view="units" draws Linear layers with activations between them; '
        f"{part.path or 'the net'} is {part.label}.",
        fix='view="layers"',
        path=part.path,
    )
