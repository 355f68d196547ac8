"""Looking over a set of examples: its table, unreadable files, numbers that are not finite."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._columns import hanging
from retia._late import numpy as np
from retia.errors import ArgumentError, DataError, RetiaWarning
from retia.sources import media, selection
from retia.sources.archives import MemberColumn
from retia.sources.columns import Arrays, Column, FileColumn
from retia.sources.natural import sort_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retia.sources.columns import Label
    from retia.sources.dataset import Data


def table(data: Data) -> str:
    """How many examples there are, what each column holds, how often each label occurs."""
    sizes = [f"{len(part):,} ({name})" for name, part in data.parts.items()] or [f"{len(data):,}"]
    lines = [f"{data.name or 'Data'}: {', '.join(sizes)} examples"]
    width = max(map(len, data.columns))
    for name, column in data.columns.items():
        lines.append(f"  {name:<{width}}  {column.kind()}")
        if name == data.label_column:
            lines.append(hanging(f"  {'':<{width}}  ", _tell(data.counts(name))))
    return "\n".join(lines)


def warn_of_lost(labels: Sequence[Label], parts: Sequence[NDArray[Any]], by: str) -> None:
    """Warn of labels that a part of a split has no example of, though there are as many as parts."""
    often = {label for label, count in Counter(labels).items() if count >= len(parts)}
    for number, rows in enumerate(parts, 1):
        lost = sort_labels(often - {labels[row] for row in rows.tolist()})
        if lost:
            warnings.warn(
                f"split by {by!r}: part {number} has no example of {', '.join(map(repr, lost[:10]))}"
                f"{', ...' if len(lost) > 10 else ''}.",
                RetiaWarning,
                stacklevel=4,
            )


def _tell(counts: Mapping[Label, int]) -> str:
    if len(counts) > 12 and 2 * len(counts) > sum(counts.values()):  # texts rather than labels
        return f"{len(counts):,} different"
    shown = ", ".join(f"{label} {count:,}" for label, count in [*counts.items()][:12])
    return f"{len(counts):,} labels: {shown}{', ...' if len(counts) > 12 else ''}"


def common_length(columns: Mapping[str, Column]) -> int:
    """How many rows the columns of a set have. Raises ``DataError`` where they differ, or have none."""
    if not columns:
        raise DataError("A set of examples needs columns.", fix="rt.data((x, y)), rt.data({'input': x, ...})")
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name!r} has {length:,}" for name, length in lengths.items())
        raise DataError(f"The columns have different numbers of examples: {told}.", got=lengths)
    length = next(iter(lengths.values()))
    if length == 0:
        raise DataError(f"The set is empty: {', '.join(map(repr, columns))} hold no examples.")
    return length


def check(data: Data, on_error: str) -> Data:
    """The set, its parts too, without its unreadable files; see ``Data.check``."""
    if on_error not in ("raise", "skip"):
        raise ArgumentError(f"on_error is 'raise' or 'skip'; got {on_error!r}.", got=on_error)
    if data.parts:
        parts = {name: check(part, on_error) for name, part in data.parts.items()}
        return data.of_parts(parts, name=data.name, about=data.about)
    bad: dict[int, str] = {}
    names: list[str] = []
    kinds: set[str] = set()
    for column in _files(data):
        files = column.things(data.rows)
        found = {place: told for place, told in media.unreadable(files).items() if place not in bad}
        bad |= found
        names += [media.listed(files, found)] if found else []
        kinds |= {column.kind().partition(" ")[0]} if found else set()
    if not bad:
        return data
    what = f"{kinds.pop()}s" if kinds in ({"picture"}, {"sound"}) else "files"
    told = f"{len(bad):,} of {len(data):,} unreadable {what}: {', '.join(names)}"
    if on_error == "raise" or len(bad) == len(data):
        raise DataError(
            f"There are {told}",
            because=[*bad.values()][:10],
            fix='rt.data(folder, on_error="skip") leaves them out' if len(bad) < len(data) else None,
            got=sorted(bad),
        )
    warnings.warn(f"skipped {told}", RetiaWarning, stacklevel=3)
    return data[[n for n in range(len(data)) if n not in bad]]  # type: ignore[no-any-return]


def _files(data: Data) -> list[FileColumn | MemberColumn]:
    """The columns of files, those in rows too."""
    every = [*selection.spread(data.columns).values()]
    return [column for column in every if isinstance(column, FileColumn | MemberColumn)]


CHUNK = 4096
"""Rows are looked at so many at once."""


@dataclass(frozen=True)
class Gaps:
    """Numbers of a column that are NaN or infinite.

    Attributes:
        column: its name.
        count: of the numbers.
        rows: that hold them, how many.
        first: the first few: row (of the columns), place in the row (an index for each axis), number.
    """

    column: str
    count: int
    rows: int
    first: tuple[tuple[int, tuple[int, ...], float], ...]


def gaps(data: Data, most: int = 5) -> list[Gaps]:
    """Numbers that are not finite in a set's arrays, column by column.

    Args:
        data: whose parts are not looked at.
        most: of them, to tell with their places.
    Example:
        >>> import retia as rt
        >>> [found] = gaps(rt.data(([[1.0, 2.0], [float("nan"), 4.0]], [0, 1])))
        >>> found.column, found.count, found.first
        ('input', 1, ((1, (0,), nan),))
    """
    found = []
    for name, column in data.columns.items():
        if isinstance(column, Arrays) and column.dtype.kind == "f":
            each = _gaps(data, name, column, most)
            found += [each] if each.count else []
    return found


def _gaps(data: Data, name: str, column: Arrays, most: int) -> Gaps:
    count, rows = 0, 0
    first: list[tuple[int, tuple[int, ...], float]] = []
    for start in range(0, len(data), CHUNK):
        numbers = data.rows[start : start + CHUNK]
        chunk = np.asarray(column.things(numbers))
        wrong = ~np.isfinite(chunk)
        if not wrong.any():
            continue
        count += int(wrong.sum())
        rows += int(wrong.reshape(len(chunk), -1).any(1).sum())
        for row, *place in np.argwhere(wrong)[: most - len(first)].tolist():
            first.append((int(numbers[row]), tuple(place), float(chunk[row, *place])))
    return Gaps(name, count, rows, tuple(first))
