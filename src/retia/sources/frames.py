"""Frames of pandas, polars and Arrow, read through narwhals; Parquet files, read by pyarrow.

Columns come over by name; a frame's index does not. Numbers with missing values become float64 with NaN,
dates and times their ISO text, other things with missing values have None.
"""

from __future__ import annotations

import datetime
import decimal
from pathlib import Path
from typing import Any

from retia._late import Late
from retia._late import numpy as np
from retia.errors import DataError
from retia.sources.columns import ArrayColumn, Column, ListColumn, column
from retia.sources.dataset import Data

ENDINGS = frozenset({".parquet", ".pq"})


def read_parquet(path: Path) -> Data:
    """The columns of a Parquet file; see ``rt.data``."""
    parquet: Any = Late("pyarrow.parquet", extra="parquet")
    try:
        table = parquet.read_table(str(path), partitioning=None)
    except (OSError, ValueError) as error:  # what pyarrow raises is one of them
        raise DataError(f"{path} cannot be read: {error}.", path=str(path)) from None
    return read_frame(table, str(path), path.stem)


def read_frame(frame: Any, called: str = "the frame", name: str = "") -> Data:
    """The columns of a frame; see ``rt.data``."""
    _check_names(frame, called)
    narwhals: Any = Late("narwhals", extra="frames")
    found = narwhals.from_native(frame)
    if isinstance(found, narwhals.LazyFrame):
        found = found.collect()
    if not found.columns or not len(found):
        raise DataError(f"{called} has no {'rows' if found.columns else 'columns'}.", path=called)
    return Data({each: _column(each, found[each], narwhals) for each in found.columns}, name=name)


def _check_names(frame: Any, called: str) -> None:
    names = list(getattr(frame, "column_names", None) or getattr(frame, "columns", []))
    strange = [name for name in names if not isinstance(name, str) or not name]
    if strange:
        raise DataError(
            f"{called}: the name of a column is a word; got {strange[0]!r}.",
            fix="frame.rename(columns=str)",
            path=called,
            got=strange,
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            f"{called} has {len(twice)} names of columns more than once: {', '.join(map(repr, twice[:10]))}.",
            fix="rename them",
            path=called,
            got=twice,
        )


def _column(name: str, series: Any, narwhals: Any) -> Column:
    gaps = bool(series.is_null().any())
    if series.dtype.is_numeric() and not series.dtype.is_decimal():
        return ArrayColumn((series.cast(narwhals.Float64) if gaps else series).to_numpy())
    if series.dtype == narwhals.Boolean and not gaps:
        return ArrayColumn(series.to_numpy().astype(bool))
    things = [_plain(thing) for thing in series.to_list()]
    if all(thing is None or isinstance(thing, float) for thing in things):
        return ArrayColumn(np.asarray(things, np.float64))
    return ListColumn(things) if gaps else column(name, things)


def _plain(thing: Any) -> Any:
    """A value as columns hold it."""
    if thing is None or isinstance(thing, float) and thing != thing:
        return None
    if isinstance(thing, datetime.date | datetime.time):
        return None if str(thing) == "NaT" else thing.isoformat()
    return float(thing) if isinstance(thing, decimal.Decimal) else thing
