"""How long examples are, where that varies: read from what a feed gives, and held against the targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.errors import DataError
from retia.metrics.loss import SEQUENCE, Loss
from retia.metrics.objective import Objective
from retia.nets.net import Net
from retia.shapes import Extent, Shape, varies
from retia.sources.ragged import SIZES

if TYPE_CHECKING:
    from torch import Tensor


class Lengths:
    """Knows where the sizes that vary stand.

    Args:
        net: with known sizes.
        objective: says which outputs have targets.
        columns: of the data, by port.
    """

    def __init__(self, net: Net, objective: Objective, columns: Mapping[str, str]) -> None:
        inputs, outputs = net.inputs, net.outputs
        self._inputs = [
            (columns[name], axis, str(size))
            for name, port in inputs.items()
            for axis, size in enumerate(port.shape or ())
            if isinstance(size, Extent)
        ]
        free = {t.port for t in objective.terms if isinstance(t.loss, Loss) and t.loss.form == SEQUENCE}
        axes = {term.port: term.axis for term in objective.terms}
        self._targets: list[tuple[str, str, Shape, int]] = [
            (name, columns[name], outputs[name].shape or (), axes.get(name, -1))
            for name in objective.ports
            if name not in free and varies(outputs[name].shape)
        ]

    def of(self, packed: Mapping[str, Tensor], rows: Tensor) -> dict[str, Tensor]:
        """Lengths by name, one for each example; none where all examples of the set are of one size.

        Args:
            packed: rows of the feed.
            rows: their numbers.
        Raises:
            DataError: two inputs, or a target and what the net gives, differ in an example.
        """
        if not self._inputs:
            return {}
        found: dict[str, Any] = {}
        for column, axis, name in self._inputs:
            if column not in packed:
                continue  # what it leads to is known
            got = _size(packed, column, axis)
            if name in found and _differ(found[name], got):
                row, one, other = _first(found[name], got, rows)
                raise DataError(
                    f"{column}: row {row} has {other} along {name}, but {one} at the input before.",
                    fix="sizes that differ have different names",
                    path=column,
                    expected=one,
                    got=other,
                )
            found[name] = got
        self._check_targets(packed, found, rows)
        if not any(isinstance(length, torch.Tensor) for length in found.values()):
            return {}
        return {
            name: length if isinstance(length, torch.Tensor) else torch.full((len(rows),), length)
            for name, length in found.items()
        }

    def _check_targets(self, packed: Mapping[str, Tensor], found: Mapping[str, Any], rows: Tensor) -> None:
        for port, column, shape, axis in self._targets:
            rank = packed[column].dim() - 1
            for place, size in _varying(shape, rank, axis):
                if not size.names <= found.keys():
                    continue
                wanted, got = size.evaluate(found), _size(packed, column, place)
                if _differ(wanted, got):
                    row, one, other = _first(wanted, got, rows)
                    raise DataError(
                        f"{port}: the target in row {row} is {other} long, but the net gives {one} there "
                        f"({size} of its input).",
                        fix="targets of the length that the net gives; a text's begin and end count too",
                        path=port,
                        expected=one,
                        got=other,
                    )


def _varying(shape: Shape, rank: int, axis: int) -> Iterator[tuple[int, Extent]]:
    """The axes of a target that vary; it has none for the classes where these are numbered."""
    if rank == len(shape) - 1:
        place = (axis if axis < 0 else axis - 1) % len(shape)
        shape = shape[:place] + shape[place + 1 :]
    for number, size in enumerate(shape[:rank]):
        if isinstance(size, Extent):
            yield number, size


def _size(packed: Mapping[str, Tensor], column: str, axis: int) -> Any:
    """A size of each row: a tensor where they differ over the set, else one number."""
    sizes = packed.get(SIZES + column)
    return packed[column].shape[axis + 1] if sizes is None else sizes[:, axis]


def _differ(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor) or isinstance(other, torch.Tensor):
        return bool((one != other).any())
    return bool(one != other)


def _first(one: Any, other: Any, rows: Tensor) -> tuple[int, int, int]:
    """The first row in which two sizes differ, with these."""
    ones, others = (
        each if isinstance(each, torch.Tensor) else torch.full((len(rows),), each) for each in (one, other)
    )
    at = int((ones != others).nonzero()[0])
    return int(rows[at]), int(ones[at]), int(others[at])
