"""Splitting rows: seeded, with each label's fair share in all parts; or by whole groups, or by time."""

from __future__ import annotations

import datetime
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia.errors import ArgumentError, DataError
from retia.sources.inspection import warn_of_lost
from retia.sources.natural import sort_labels
from retia.sources.order import permutation
from retia.sources.selection import named_column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retia.sources.columns import Label
    from retia.sources.dataset import Data


TOLD = 12
"""Labels whose counts are printed."""


class Parts(tuple[Any, ...]):
    """The sets that a split made, a tuple of them; printed, a table with the counts of each label in each.

    Example:
        >>> import retia as rt
        >>> rt.data((range(10), ["cat", "dog"] * 5)).split((0.6, 0.2, 0.2))
        part  examples  cat  dog
           1         6    3    3
           2         2    1    1
           3         2    1    1
    """

    __slots__ = ()

    def __str__(self) -> str:
        name = self[0].label_column
        counts = [part.counts(name) if name is not None else {} for part in self]
        labels = sort_labels({label for each in counts for label in each})
        more = ["..."] if len(labels) > TOLD else []
        lines = [["part", "examples", *map(str, labels[:TOLD]), *more]]
        for number, (part, each) in enumerate(zip(self, counts, strict=True), 1):
            told = (f"{each.get(label, 0):,}" for label in labels[:TOLD])
            lines.append([f"{number}", f"{len(part):,}", *told, *([""] if more else [])])
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        padded = ([cell.rjust(w) for cell, w in zip(line, widths, strict=True)] for line in lines)
        return "\n".join("  ".join(line).rstrip() for line in padded)

    def __repr__(self) -> str:
        return str(self)


def split(
    data: Data, size: Any, seed: int, stratify: bool, group: str | None, time: str | None
) -> tuple[Data, ...]:
    """See ``Data.split``."""
    sizes = sizes_of(size, len(data))
    name = data.label_column if stratify or group or time else None
    labels = None if name is None else data.columns[name].labels(data.rows)
    if group is not None and time is not None:
        raise ArgumentError("split: by group or by time, not both.", fix="leave one of them out")
    if group is not None:
        found = by_group(_listed(data, group), sizes, seed)
    elif time is not None:
        found = by_time(_listed(data, time), sizes, time)
    else:
        found = parts_of(len(data), sizes, seed, labels)
    parts = Parts(data[rows] for rows in found)
    if labels is not None and (group is not None or time is not None) and name not in (group, time):
        warn_of_lost(labels, found, str(group or time))
    return parts


def _listed(data: Data, name: str) -> list[Any]:
    found = named_column(data, name, "split").things(data.rows)
    return list(found.tolist() if hasattr(found, "tolist") else found)


def sizes_of(size: Any, n: int) -> tuple[int, ...]:
    """How many of ``n`` examples the parts of a split get.

    Args:
        size: of the first part, a fraction between 0 and 1 or a count, the second being the rest; or a list
            with the sizes of all parts.
        n: number of examples.
    Raises:
        ArgumentError: it is neither. DataError: a part would be empty, or there are too few examples.
    """
    several = isinstance(size, tuple | list)
    if several and len(size) < 2:
        raise ArgumentError(
            f"split makes at least two parts; got {len(size)} sizes.",
            fix="split(0.8), split((0.8, 0.1, 0.1))",
            got=size,
        )
    if several:
        sizes = [_count(each, n) for each in size]
        if all(isinstance(each, float) for each in size) and abs(sum(size) - 1) < 1e-9:
            sizes[-1] = n - sum(sizes[:-1])  # all were rounded
    else:
        first = _count(size, n)
        sizes = [first, n - first]
    if sum(sizes) > n:
        told = f"{', '.join(f'{each:,}' for each in sizes[:-1])} and {sizes[-1]:,}"
        raise DataError(f"split: {told} examples are asked for, but there are {n:,}.", got=size)
    if min(sizes) < 1:
        raise DataError(f"split({size!r}) of {n:,} examples leaves {_place(sizes)} part empty.", got=size)
    return tuple(sizes)


def _place(sizes: Sequence[int]) -> str:
    places = ["first", "second", "third"]
    number = next(n for n, size in enumerate(sizes) if size < 1)
    return f"the {places[number]}" if number < len(places) else f"part {number + 1}, which is a"


def _count(size: Any, n: int) -> int:
    if isinstance(size, float) and 0 < size < 1:
        return round(size * n)
    try:
        count = -1 if isinstance(size, bool) else operator.index(size)
    except TypeError:
        count = -1
    if count < 0:
        raise ArgumentError(
            f"split: the size of a part is a fraction between 0 and 1 or a number of examples; got {size!r}.",
            fix="split(0.8) or split(800)",
            got=size,
        )
    return count


def parts_of(n: int, sizes: Sequence[int], seed: int, labels: Sequence[Label] | None) -> list[NDArray[Any]]:
    """The rows of each part, ascending, drawn one part after the other.

    Args:
        n: number of rows.
        sizes: of the parts; what is over is left out.
        seed: of the draw.
        labels: one a row; each gets its share of every part. None: drawn from all alike.
    """
    parts, left = [], np.arange(n)
    for size in sizes:
        if size == len(left):
            parts.append(left)
            break
        own = None if labels is None else [labels[row] for row in left.tolist()]
        drawn = left[draw(len(left), size, seed, own)]
        parts.append(drawn)
        left = np.setdiff1d(left, drawn, assume_unique=True)
    return parts


def by_group(groups: Sequence[Any], sizes: Sequence[int], seed: int) -> list[NDArray[Any]]:
    """The rows of each part where no group is in two parts; sizes as near as whole groups can come.

    Groups go out from the largest on, equals in a drawn order, each to the part that lacks most.

    Raises:
        DataError: there are fewer groups than parts.
    """
    numbers = codes(groups)
    counts = np.bincount(numbers)
    if len(counts) < len(sizes):
        raise DataError(
            f"split: {len(counts)} groups do not make {len(sizes)} parts.",
            expected=len(sizes),
            got=len(counts),
        )
    mixed = permutation(len(counts), "groups", seed)
    lacking = np.asarray([*sizes, len(numbers) - sum(sizes)], np.float64)
    chosen = np.empty(len(counts), np.int64)
    for group in mixed[np.argsort(-counts[mixed], kind="stable")]:
        chosen[group] = lacking.argmax()
        lacking[chosen[group]] -= counts[group]
    parts = [np.flatnonzero(chosen[numbers] == part) for part in range(len(sizes))]
    if empty := [n for n, part in enumerate(parts, 1) if not len(part)]:
        raise DataError(
            f"split: the groups are too large: part {empty[0]} of {len(sizes)} has none.", got=counts.max()
        )
    return parts


def by_time(times: Sequence[Any], sizes: Sequence[int], name: str) -> list[NDArray[Any]]:
    """The rows of each part, the earliest first; equal times stay in their order.

    Raises:
        DataError: times are neither numbers nor dates in ISO's form.
    """
    moments = [_moment(each) for each in times]
    wrong = [n for n, each in enumerate(moments) if each is None]
    if wrong or len({type(each) for each in moments}) > 1:
        row = wrong[0] if wrong else next(n for n, m in enumerate(moments) if type(m) is not type(moments[0]))
        raise DataError(
            f"split: times are numbers or dates such as 2024-05-31; {name!r}, row {row}, has {times[row]!r}.",
            path=f"row {row}",
            got=times[row],
        )
    rows = sorted(range(len(moments)), key=moments.__getitem__)  # type: ignore[arg-type]
    ends = np.cumsum([0, *sizes])
    return [np.asarray(rows[a:b], np.int64) for a, b in zip(ends[:-1], ends[1:], strict=True)]


def _moment(time: Any) -> float | datetime.datetime | None:
    if isinstance(time, int | float):
        return None if time != time else float(time)
    try:
        moment = datetime.datetime.fromisoformat(time)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo is None else moment.astimezone(datetime.UTC).replace(tzinfo=None)


def draw(n: int, size: int, seed: int, labels: Sequence[Label] | None) -> NDArray[Any]:
    """Which ``size`` of ``n`` rows come first, ascending.

    Args:
        n: number of rows.
        size: of the first part.
        seed: of the draw.
        labels: one a row; each gets its share of ``size``, rounded up or down. None: drawn from all alike.
    """
    mixed = permutation(n, "split", seed)
    if labels is None or not 1 < len(set(labels)) < n:
        return np.sort(mixed[:size])
    numbers = codes(labels)[mixed]
    grouped = mixed[np.argsort(numbers, kind="stable")]  # by label, each in its mixed order
    counts = np.bincount(numbers)
    starts = np.cumsum(counts) - counts
    shares = fair(counts, size)
    return np.sort(np.concatenate([grouped[s : s + k] for s, k in zip(starts, shares, strict=True)]))


def fair(counts: NDArray[Any], size: int) -> NDArray[Any]:
    """Shares of ``size`` in proportion to ``counts``, each rounded up or down, adding up to ``size``.

    Source: the method of largest remainders (Hamilton); of equal remainders the first wins.
    """
    total = int(counts.sum())
    shares = [int(count) * size // total for count in counts]  # exact: Python's whole numbers
    remainders = [-(int(count) * size % total) for count in counts]
    for place in np.argsort(remainders, kind="stable")[: size - sum(shares)]:
        shares[place] += 1
    return np.asarray(shares, dtype=np.int64)


def codes(labels: Sequence[Label]) -> NDArray[Any]:
    """Labels as numbers from 0, in the order in which they are first met; 1, True and "1" are three."""
    numbers: dict[tuple[type, Label], int] = {}
    return np.asarray([numbers.setdefault((type(label), label), len(numbers)) for label in labels])
