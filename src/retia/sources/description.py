"""What the columns of a set hold, told as a table: types, missing things, ranges, counts, sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._columns import hanging
from retia._late import numpy as np
from retia.codecs.pictures import is_picture, size_of
from retia.errors import CodecError
from retia.sources.archives import MemberColumn
from retia.sources.columns import Arrays, Column, FileColumn, Rows
from retia.sources.natural import sort_labels
from retia.sources.selection import RowColumn

if TYPE_CHECKING:
    from retia.sources.dataset import Data

CHUNK = 4096
SHOWN = 12
"""Labels that are told with their counts."""


@dataclass(frozen=True)
class Described:
    """What one column holds.

    Attributes:
        column: its name; ``input.weight`` for a column in the rows of another.
        type: of its things.
        missing: how many things are None or NaN.
        holds: range and mean, counts of labels, lengths, or sizes.
        low: the lowest number, or None.
        high: the highest number, or None.
        counts: of labels, or None.
    """

    column: str
    type: str
    missing: int
    holds: str
    low: float | None = None
    high: float | None = None
    counts: dict[Any, int] | None = None


@dataclass(frozen=True, repr=False)
class Description:
    """The columns of a set; printed, a table.

    Attributes:
        title: the set's name and sizes.
        columns: what each holds.
    """

    title: str
    columns: tuple[Described, ...]

    def __getitem__(self, name: str) -> Described:
        """What the column of this name holds."""
        return next(each for each in self.columns if each.column == name)

    def __str__(self) -> str:
        head = ("column", "type", "missing", "holds")
        rows = [head, *((c.column, c.type, f"{c.missing:,}", c.holds) for c in self.columns)]
        name, kind, gaps = (max(len(row[n]) for row in rows) for n in range(3))
        lines = [hanging(f"  {a:<{name}}  {b:<{kind}}  {c:>{gaps}}  ", d) for a, b, c, d in rows]
        return "\n".join([self.title, *lines])

    def __repr__(self) -> str:
        return str(self)


def describe(data: Data) -> Description:
    """See ``Data.describe``."""
    sizes = [f"{len(part):,} ({name})" for name, part in data.parts.items()] or [f"{len(data):,}"]
    found: list[Described] = []
    for name, column in data.columns.items():
        if isinstance(column, RowColumn):
            found += [_column(f"{name}.{key}", each, data.rows) for key, each in column.columns.items()]
        else:
            found.append(_column(name, column, data.rows))
    return Description(f"{data.name or 'Data'}: {', '.join(sizes)} examples", tuple(found))


def _column(name: str, column: Column, rows: Rows) -> Described:
    if isinstance(column, Arrays) and (column.dtype.kind == "f" or len(column.shape) > 1):
        return _numbers(name, column, rows)
    if not len(rows):
        return Described(name, column.kind(), 0, "nothing")
    if _holds_pictures(column, rows):
        return _pictures(name, column, rows)
    things = column.things(rows)
    things = things.tolist() if hasattr(things, "tolist") else things
    present = [thing for thing in things if thing is not None]
    missing = len(things) - len(present)
    if present and all(isinstance(thing, str | int | bool) for thing in present):
        return _labels(name, column.kind(), missing, present)
    return Described(name, column.kind(), missing, _lengths(present))


def _holds_pictures(column: Column, rows: Rows) -> bool:
    if isinstance(column, FileColumn | MemberColumn):
        return column.kind().startswith("picture")
    first = column.item(int(rows[0]))
    return is_picture(first) and not isinstance(first, str | bytes)


def _numbers(name: str, column: Arrays, rows: Rows) -> Described:
    """Range and mean of finite numbers, a stretch of rows at a time."""
    low, high, total, count, missing, infinite = np.inf, -np.inf, 0.0, 0, 0, 0
    for start in range(0, len(rows), CHUNK):
        chunk = np.asarray(column.things(rows[start : start + CHUNK]))
        if chunk.dtype.kind == "f":
            gaps = np.isnan(chunk)
            missing += int(gaps.sum())
            infinite += int(np.isinf(chunk).sum())
            chunk = chunk[np.isfinite(chunk)]
        if chunk.size:
            low, high = min(low, float(chunk.min())), max(high, float(chunk.max()))
            total += float(chunk.sum(dtype=np.float64))
            count += chunk.size
    if not count:
        return Described(name, column.kind(), missing, "no numbers")
    also = f", {infinite:,} infinite" if infinite else ""
    holds = f"{low:g} to {high:g}, mean {total / count:.4g}{also}"
    return Described(name, column.kind(), missing, holds, low, high)


def _labels(name: str, kind: str, missing: int, things: Sequence[Any]) -> Described:
    counts = Counter(things)
    whole = all(type(thing) is int for thing in things)
    low, high = (min(things), max(things)) if whole else (None, None)
    if len(things) == 1 and isinstance(things[0], str):
        return Described(name, kind, missing, _lengths(things))
    if len(counts) > SHOWN and len(counts) * 2 > len(things):
        holds = f"{low:,} to {high:,}" if whole else _lengths(things)
        return Described(name, kind, missing, f"{len(counts):,} different, {holds}", low, high)
    ordered = {label: counts[label] for label in sort_labels(counts)}
    told = ", ".join(f"{_short(label)} {ordered[label]:,}" for label in [*ordered][:SHOWN])
    more = ", ..." if len(ordered) > SHOWN else ""
    labels = "label" if len(ordered) == 1 else "labels"
    return Described(name, kind, missing, f"{len(ordered):,} {labels}: {told}{more}", low, high, ordered)


def _short(label: Any) -> str:
    text = " ".join(str(label).split())
    return text if len(text) <= 24 else text[:21] + "..."


def _lengths(things: Sequence[Any]) -> str:
    sizes = [len(thing) for thing in things if hasattr(thing, "__len__")]
    if not sizes or len(sizes) < len(things):
        return f"{len(things):,} things"
    what = "characters" if isinstance(things[0], str) else "long"
    return f"{_span(sizes, ' to ')} {what}"


def _pictures(name: str, column: Column, rows: Rows) -> Described:
    """How tall and wide pictures are, from the beginnings of their files."""
    sizes: Counter[tuple[int, int]] = Counter()
    bad = 0
    for row in rows:
        try:
            sizes[size_of(column.item(int(row)))] += 1
        except CodecError:
            bad += 1
    if not sizes:
        return Described(name, column.kind(), 0, f"{bad:,} files that are no pictures")
    heights, widths = zip(*sizes, strict=True)
    many = f"{len(sizes):,} sizes, " if len(sizes) > 1 else ""
    told = f"{_span(heights)} x {_span(widths)} pixels"
    return Described(name, column.kind(), 0, many + told + (f", {bad:,} unreadable" if bad else ""))


def _span(sizes: Sequence[int], between: str = "..") -> str:
    low, high = min(sizes), max(sizes)
    return f"{low:,}" if low == high else f"{low:,}{between}{high:,}"
