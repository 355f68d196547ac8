"""From an expression in a file to its net without arrays, bounded, and whether a file's arrays fit it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from retia.errors import FormatError
from retia.formats.header import Entry
from retia.formats.strict import quote
from retia.nets import expression
from retia.nets.net import Net
from retia.shapes import Shape, show

MOST_PARTS = 15_000
MOST_LEVELS = 64
MOST_WORK = 200_000
"""Bounds of a net in a file: its parts, parts within parts, and the sum over all parts of their depth."""

MOST_TOLD = 20


def build(data: Any) -> Net:
    """The net of an expression, without arrays. Its sizes are solved, and so the arrays' shapes."""
    _check_extent(data)
    net = expression.from_json(data)
    if not isinstance(net, Net):
        raise FormatError("its expression is not that of a net.")
    _ = net.solution
    return net


def check_arrays(net: Net, entries: Iterable[Entry], missing: Iterable[str]) -> None:
    """Raise one error with everything in which a file's arrays differ from what its net owns."""
    shapes = net.array_shapes()
    kinds = _kinds(net)
    found = {entry.path: entry for entry in entries}
    absent = set(missing)
    faults = [f"{quote(path)} is missing" for path in shapes if path not in found and path not in absent]
    faults += [
        f"{quote(path)} is said to be missing" for path in absent if path in found or path not in shapes
    ]
    for path, entry in found.items():
        if path not in shapes:
            faults.append(f"{quote(path)} belongs to no layer")
        elif not _fits(shapes[path], entry.shape):
            faults.append(f"{quote(path)} has shape {show(entry.shape)}, expected {show(shapes[path])}")
        elif (kinds[path] == "float") != entry.dtype.startswith(("F", "BF")):
            faults.append(f"{quote(path)} is {entry.dtype}, expected {kinds[path]}")
    if faults:
        more = [f"and {len(faults) - MOST_TOLD:,} more"] if len(faults) > MOST_TOLD else []
        raise FormatError(
            f"its arrays do not fit its net: {faults[0]}.", because=[*faults[1:MOST_TOLD], *more]
        )


def _check_extent(data: Any) -> None:
    level, levels, parts, work = [data], 0, 0, 0
    while level:
        found = [part for value in level for part in _parts(value)]
        parts, work, levels = parts + len(found), work + levels * len(found), levels + bool(found)
        _bound("parts", parts, MOST_PARTS)
        _bound("levels of parts", levels, MOST_LEVELS)
        _bound("parts times levels", work, MOST_WORK)
        level = [value for part in found for value in part.values()]


def _bound(unit: str, number: int, most: int) -> None:
    if number > most:
        raise FormatError(
            f"its net has {number:,} {unit} or more, at most {most:,}.", expected=most, got=number
        )


def _parts(value: Any) -> Iterator[dict[str, Any]]:
    """The nets and codecs in a piece of an expression, without those within them."""
    stack = [value]
    while stack:
        each = stack.pop()
        if isinstance(each, list):
            stack += each
        elif isinstance(each, dict) and each.get("type") == "dict":
            stack.append(each.get("items"))
        elif isinstance(each, dict):
            yield each


def _kinds(net: Net) -> dict[str, str]:
    return {
        node.at(name): array.kind for node in net.wiring.nodes for name, array in node.layer.owns().items()
    }


def _fits(shape: Shape | None, got: tuple[int, ...]) -> bool:
    if shape is None:
        return True
    return len(shape) == len(got) and all(s is None or s == g for s, g in zip(shape, got, strict=True))
