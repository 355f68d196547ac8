"""Rows of any make as columns: dicts, lists of them, dicts of columns, and frames through narwhals.

What comes out is plain Python, by the names of the columns, None where something is missing: None itself,
NaN, NaT, pandas' NA, and the words that are said to mean it.
"""

from __future__ import annotations

import decimal
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from retia._late import Late
from retia._late import numpy as np
from retia.codecs.arrays import as_array, brief, is_array
from retia.codecs.columns import Faults
from retia.errors import CodecError, did_you_mean

narwhals: Any = Late("narwhals", extra="frames")

FRAMES = {"DataFrame", "LazyFrame", "Table", "RecordBatch"}
ROOMS = {"pandas", "polars", "pyarrow", "narwhals", "modin", "cudf", "duckdb"}

Columns = dict[str, list[Any]]


def is_frame(thing: Any) -> bool:
    """Whether a thing is a frame of a package that narwhals reads."""
    kinds = ((each.__module__.partition(".")[0], each.__name__) for each in type(thing).__mro__)
    return any(room in ROOMS and name in FRAMES for room, name in kinds)


def row_of(thing: Any) -> Mapping[str, Any] | None:
    """A row or a dict of columns as a mapping, also a named tuple or a row of pandas; None for others."""
    if isinstance(thing, Mapping):
        return thing
    if isinstance(thing, tuple) and hasattr(thing, "_asdict"):
        return thing._asdict()  # type: ignore[no-any-return]
    if type(thing).__name__ == "Series" and hasattr(thing, "to_dict"):
        return thing.to_dict()  # type: ignore[no-any-return]
    return None


def is_one_row(thing: Any) -> bool:
    """Whether a thing is one row; else it is many. Raises ``CodecError`` for what is neither."""
    row = row_of(thing)
    if row is None:
        if is_frame(thing) or isinstance(thing, list | tuple):
            return False
        raise _no_row("Table", thing)
    columns = [name for name, each in row.items() if _is_column(each)]
    if columns and len(columns) < len(row):
        alone = next(name for name in row if name not in columns)
        raise CodecError(
            f"Table: column {columns[0]!r} holds many things, but {alone!r} is {brief(row[alone])}; this is "
            "neither a row nor a dict of columns.",
            fix="net.one(x) or net.batch(xs)",
            got=row,
        )
    return not columns


def columns_of(
    things: Any, wanted: Collection[str] | None, *, ignores: bool, blanks: Collection[str]
) -> tuple[Columns, int]:
    """Rows as columns, and how many rows there are.

    Args:
        things: a list of rows, a dict of columns, or a frame.
        wanted: the columns that are asked for; all that there are when None.
        ignores: whether other columns may be there.
        blanks: texts that mean a missing thing.
    Raises:
        CodecError: no rows, or columns that are missing or unknown, by row and name.
    """
    if is_frame(things):
        found = _of_frame(things)
    elif isinstance(things, Mapping):
        found = _of_columns(things)
    elif isinstance(things, Sequence) and not isinstance(things, str | bytes):
        columns = _of_rows(things, wanted, ignores)
        return _tidied(columns, blanks), len(things)
    else:
        raise _no_row("Table", things)
    _check_names(found, wanted, ignores)
    lengths = {name: len(each) for name, each in found.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name!r} has {length:,}" for name, length in lengths.items())
        raise CodecError(f"Table: the columns have different numbers of rows: {told}.", got=lengths)
    kept = {name: found[name] for name in (found if wanted is None else sorted(wanted))}
    return _tidied(kept, blanks), next(iter(lengths.values()), 0)


def _of_frame(frame: Any) -> Columns:
    # Only eager frames can have a name twice, and lazy ones have none before they are collected.
    lazy = type(frame).__name__ == "LazyFrame"
    names = [] if lazy else list(getattr(frame, "column_names", None) or frame.columns)
    twice = sorted({str(name) for name in names if names.count(name) > 1})
    if twice:
        raise CodecError(
            f"Table: the frame has the column {twice[0]!r} more than once.",
            because=[f"{name!r} too" for name in twice[1:10]],
            fix="rename one of them",
            path=twice[0],
            got=twice,
        )
    found = narwhals.from_native(frame)
    found = found.collect() if isinstance(found, narwhals.LazyFrame) else found
    return {name: found[name].to_list() for name in found.columns}


def _of_columns(columns: Mapping[Any, Any]) -> Columns:
    return {name: _listed(name, each) for name, each in columns.items()}


def _listed(name: Any, column: Any) -> list[Any]:
    if not _is_column(column):
        raise CodecError(
            f"Table: column {name!r} is {brief(column)}, which has no rows.",
            fix="net.one(x), if this is one row",
            path=str(name),
            got=column,
        )
    if isinstance(column, list | tuple | range):
        return list(column)
    array = as_array(column, f"Table: column {name!r}")
    if array.ndim != 1:
        raise CodecError(
            f"Table: column {name!r} has one thing for each row; got shape {array.shape}.",
            path=str(name),
            got=array.shape,
        )
    # Python has no nanoseconds, so tolist() would make whole numbers of them.
    return (array.astype("datetime64[us]") if array.dtype.kind == "M" else array).tolist()  # type: ignore[no-any-return]


def _of_rows(things: Sequence[Any], wanted: Collection[str] | None, ignores: bool) -> Columns:
    rows = [row_of(thing) for thing in things]
    faults = Faults()
    if None in rows:
        number = rows.index(None)
        raise _no_row(f"Table: row {number}", things[number])
    names = sorted(wanted if wanted is not None else rows[0] or () if rows else (), key=str)
    for number, row in enumerate(rows):
        if row is None or row.keys() == set(names):
            continue
        known = [str(name) for name in row]
        for name in names:
            if name not in row:
                faults.add(number, name, "the row does not have it", hint=did_you_mean(name, known))
        for name in [] if ignores and wanted is not None else sorted(row.keys() - set(names), key=str):
            hint, fix = did_you_mean(name, names), 'Table(surplus="ignore") leaves out what it does not know'
            faults.add(number, name, "the table has no such column", hint=hint, fix=fix)
    faults.settle()
    return {name: [row[name] for row in rows if row is not None] for name in names}


def _check_names(found: Columns, wanted: Collection[str] | None, ignores: bool) -> None:
    """Make sure that the columns are those that are wanted."""
    if wanted is None:
        return
    absent = sorted(name for name in wanted if name not in found)
    surplus = [] if ignores else sorted((name for name in found if name not in wanted), key=str)
    if absent:
        raise CodecError(
            f"Table: there is no column {absent[0]!r}.{did_you_mean(absent[0], map(str, found))}",
            because=[*(f"{name!r} is missing too" for name in absent[1:10]), f"there are {_shown(found)}"],
            path=absent[0],
            expected=sorted(wanted),
            got=list(found),
        )
    if surplus:
        raise CodecError(
            f"Table: it has no column {surplus[0]!r}.{did_you_mean(surplus[0], wanted)}",
            because=[*(f"{name!r} neither" for name in surplus[1:10]), f"it has {_shown(sorted(wanted))}"],
            fix='Table(surplus="ignore") leaves out what it does not know',
            path=str(surplus[0]),
            expected=sorted(wanted),
            got=list(found),
        )


def _tidied(columns: Columns, blanks: Collection[str]) -> Columns:
    return {name: [_plain(thing, blanks) for thing in column] for name, column in columns.items()}


def _plain(thing: Any, blanks: Collection[str]) -> Any:
    """A thing as plain Python has it, None where it is missing."""
    if thing is None or type(thing) is int:
        return thing
    if isinstance(thing, str):
        return None if thing in blanks else str.__str__(thing)
    if isinstance(thing, np.datetime64):
        return thing.astype("datetime64[us]").item()  # None for NaT
    if type(thing).__name__ in ("NaTType", "NAType"):
        return None
    if getattr(thing, "shape", None) == ():
        thing = thing.item()
    return None if isinstance(thing, float | decimal.Decimal) and thing != thing else thing


def _is_column(thing: Any) -> bool:
    if isinstance(thing, list | tuple | range):
        return True
    return is_array(thing) and getattr(thing, "shape", None) != ()


def _shown(names: Collection[Any]) -> str:
    first = list(names)[:10]
    return ", ".join(map(repr, first)) + (", ..." if len(names) > 10 else "")


def _no_row(where: str, thing: Any) -> CodecError:
    return CodecError(
        f"{where}: a row is a dict by the names of the columns; got {brief(thing)}.",
        fix="a list of dicts, a dict of columns or a frame holds many rows",
        got=thing,
    )
