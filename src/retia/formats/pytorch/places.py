"""Where the batch stands in what a module computes, and what that is in a net, where it stands first.

A module's tensor has at most one axis that grows with the batch. A ``Place`` is that axis; it may hold the
batch between rows that count slower and rows that count faster (windows of pictures, heads of attention).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from retia.errors import StructureError

Place = tuple[int, int, int]
"""The axis, the rows that count slower than the batch, and those that count faster."""

FIRST: Place = (0, 1, 1)


@dataclass(frozen=True)
class Sizes:
    """Sizes of a module's tensor; on the axis of the batch stands how many rows an example has.

    Attributes:
        dims: one for each axis.
        axis: which one grows with the batch; None where none does.
    """

    dims: tuple[int, ...]
    axis: int | None

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.dims)


def times(size: Any) -> tuple[int, bool]:
    """A size as a number, and whether it is that many times the batch."""
    if isinstance(size, int):
        return size, False
    symbol = next(iter(size.node.expr.free_symbols))
    found = [int(size.node.expr.subs(symbol, n)) for n in (1, 2, 3, 5)]
    if found != [found[0] * n for n in (1, 2, 3, 5)]:
        raise StructureError(f"a size is {size}, which is no multiple of the batch's, {symbol}.")
    return found[0], True


def measured(shape: Sequence[Any]) -> Sizes:
    """The sizes of a traced tensor."""
    pairs = [times(size) for size in shape]
    grows = [axis for axis, (_, batched) in enumerate(pairs) if batched]
    if len(grows) > 1:
        raise StructureError("it sets every example of the batch against every other.")
    return Sizes(tuple(size for size, _ in pairs), grows[0] if grows else None)


def regrouped(before: Sizes, place: Place | None, after: Sizes) -> Place | None:
    """The place of the batch when the same elements, in the same order, have other sizes."""
    if place is None or after.axis is None:
        return None
    slower = math.prod(before.dims[: place[0]]) * place[1]
    outer = math.prod(after.dims[: after.axis])
    rows = after.dims[after.axis]
    first, rest = divmod(slower, outer)
    if rest or rows % first:
        raise StructureError("it puts rows of different examples into one.")
    return (after.axis, first, rows // first)


def labels(rank: int, place: Place | None) -> list[list[Any]]:
    """For each axis of a module's tensor those that a net has for it, by names; the batch's own is none."""
    found: list[list[Any]] = [[axis] for axis in range(rank)]
    if place is not None:
        axis, slower, faster = place
        found[axis] = (["slower"] if slower != 1 else []) + (["faster"] if faster != 1 else [])
    return found


def of_example(sizes: Sizes, place: Place | None) -> tuple[int, ...]:
    """The shape of one example in the net."""
    found: list[int] = []
    for axis, size in enumerate(sizes.dims):
        if place is None or axis != place[0]:
            found.append(size)
        else:
            found += [rows for rows in place[1:] if rows != 1]
    return tuple(found)


def axis_in_net(axis: int, rank: int, place: Place | None) -> int | None:
    """Which axis of one example is an axis of the module's tensor; None for the batch's."""
    axis %= max(rank, 1)
    if place is not None and axis == place[0]:
        return None
    flat = [label for group in labels(rank, place) for label in group]
    return flat.index(axis)
