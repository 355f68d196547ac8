"""Which columns are a net's input and output: one by its name, several as vectors, the rest as rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia.errors import ArgumentError, DataError, did_you_mean
from retia.sources.columns import ArrayColumn, Arrays, Column, Rows

if TYPE_CHECKING:
    from retia.sources.dataset import Data


class RowColumn(Column):
    """A column of rows: a thing is a dict, by the names of other columns.

    Args:
        columns: of one length.
    """

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self.columns = dict(columns)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def item(self, row: int) -> dict[str, Any]:
        return {name: column.item(row) for name, column in self.columns.items()}

    def things(self, rows: Rows) -> list[dict[str, Any]]:
        found = [column.things(rows) for column in self.columns.values()]
        plain = [each.tolist() if getattr(each, "ndim", 0) == 1 else each for each in found]
        return [dict(zip(self.columns, values, strict=True)) for values in zip(*plain, strict=True)]

    def labels(self, rows: Rows) -> None:
        return None

    def kind(self) -> str:
        return f"row of {len(self.columns)}: {', '.join(self.columns)}"

    def feed_hash(self, rows: Rows, update: Callable[[bytes], None]) -> None:
        for name, column in self.columns.items():
            update(f"{name}\0".encode())
            column.feed_hash(rows, update)

    def name_of(self, row: int) -> str:
        return next((name for each in self.columns.values() if (name := each.name_of(row))), "")


def select(data: Data, given: Any, wanted: Any) -> Data:
    """The set with the columns ``input`` and ``output`` chosen; see ``Data.select``."""
    if given is None and wanted is None:
        return data
    if data.parts:
        parts = {name: select(part, given, wanted) for name, part in data.parts.items()}
        return data.of_parts(parts, name=data.name, about=data.about)
    known = spread(data.columns)
    taken = {*_names("input", given, known), *_names("output", wanted, known)}
    columns: dict[str, Column] = {}
    if given is not None:
        columns["input"] = _chosen("input", given, known)
    elif "input" in data.columns and "input" not in taken and data.columns["input"] in known.values():
        columns |= {name: column for name, column in data.columns.items() if name not in taken}
    elif rest := {name: column for name, column in known.items() if name not in taken}:
        columns["input"] = RowColumn(rest)
    if wanted is not None:
        columns["output"] = _chosen("output", wanted, known)
    elif "output" in data.columns:
        columns["output"] = data.columns["output"]
    return replace(data, columns=columns)


def named_column(data: Data, name: Any, doing: str) -> Column:
    """A set's column by its name, also one that stands in its rows.

    Raises:
        DataError: there is none.
    """
    known = {**spread(data.columns), **data.columns}
    if name not in known:
        raise _unknown(doing, name, known)
    return known[name]


def spread(columns: Mapping[str, Column]) -> dict[str, Column]:
    """All columns by name, those in rows too."""
    found: dict[str, Column] = {}
    for name, column in columns.items():
        found |= column.columns if isinstance(column, RowColumn) else {name: column}
    return found


def _names(side: str, chosen: Any, known: Mapping[str, Column]) -> list[str]:
    names = [] if chosen is None else [chosen] if isinstance(chosen, str) else chosen
    if not isinstance(names, list | tuple) or (chosen is not None and not names):
        raise ArgumentError(f"{side} is a column's name or a list of names; got {chosen!r}.", got=chosen)
    for name in names:
        if name not in known:
            raise _unknown(side, name, known)
    return list(names)


def _unknown(doing: str, name: Any, known: Mapping[str, Column]) -> DataError:
    shown = ", ".join([*known][:20]) + (", ..." if len(known) > 20 else "")
    return DataError(
        f"{doing}: there is no column {name!r}; there are {shown}.{did_you_mean(name, known)}",
        path=str(name),
        expected=tuple(known),
        got=name,
    )


def _chosen(side: str, chosen: str | Sequence[str], known: Mapping[str, Column]) -> Column:
    return (
        known[chosen] if isinstance(chosen, str) else _vectors(side, {name: known[name] for name in chosen})
    )


def _vectors(side: str, columns: Mapping[str, Column]) -> Column:
    """Several columns of numbers as one of vectors."""
    words = [name for name, column in columns.items() if not _is_numbers(column)]
    if words:
        first = words[0]
        told = "" if len(words) == 1 else f" (nor do {', '.join(map(repr, words[1:10]))})"
        raise DataError(
            f"{side}: a vector needs numbers, and column {first!r} holds {columns[first].kind()}{told}.",
            fix=f"name the columns of numbers alone, or leave {side}= out for rows by name",
            path=first,
            got=words,
        )
    first_column = next(iter(columns.values()))
    every = range(len(first_column))
    arrays = [np.asarray(column.things(every)) for column in columns.values()]
    return ArrayColumn(np.stack(arrays, axis=1), first_column.name_of)


def _is_numbers(column: Column) -> bool:
    if isinstance(column, Arrays):
        return len(column.shape) == 1 and column.dtype.kind in "biuf"
    return all(type(thing) in (int, float) for thing in column.things(range(len(column))))
