"""JSON Lines: an object a line, whose names are the columns; a name that an object leaves out is missing.

The types are the file's own. A column of whole numbers and numbers is one of numbers; else a value whose
type is not that of most of its column is a fault, told by its line and column.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

from retia._late import numpy as np
from retia.errors import ArgumentError, DataError, did_you_mean
from retia.sources.cells import LEAST, MOST
from retia.sources.columns import ArrayColumn, Column, ListColumn
from retia.sources.dataset import Data
from retia.sources.lines import Faults, Places, lines_of, stem
from retia.sources.tables import TableFormat

ENDINGS = frozenset({".jsonl", ".ndjson"})
NAMES = {str: "words", float: "numbers", bool: "truth values", list: "lists", dict: "objects"}


def read_jsonlines(path: Path, how: TableFormat, on_error: str) -> Data:
    """The columns of a JSON Lines file; see ``rt.data``."""
    faults = Faults(path, on_error)
    rows: dict[int, dict[str, Any]] = {}
    for line, text in enumerate(lines_of(path, how.encoding), 1):
        if text.strip():
            _read(text, line, rows, faults)
    total = len(rows) + len(faults.lines)
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    if total == len(faults.lines):
        faults.settle(total, "mend the file")
    if not total or not names:
        raise DataError(f"{path} has no {'names in its objects' if total else 'rows'}.", path=str(path))
    for name in how.types:
        if name not in names:
            hint = did_you_mean(name, names)
            raise ArgumentError(f"types: {path} has no column {name!r}.{hint}", expected=names, got=name)
    for name in names:
        _check(name, rows, how, faults)
    faults.settle(total, "mend the file")
    lines = [line for line in rows if line not in faults.lines]
    places = Places(path.name, lines)
    return Data(
        {name: _column([rows[line].get(name) for line in lines], places) for name in names}, name=stem(path)
    )


def _read(text: str, line: int, rows: dict[int, dict[str, Any]], faults: Faults) -> None:
    try:
        found = json.loads(text.strip(), object_pairs_hook=_once, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        faults.add(line, f" is no JSON: {error.msg} at character {error.pos}")
        return
    except (ValueError, RecursionError) as error:
        faults.add(line, f" is no JSON: {error}")
        return
    if isinstance(found, dict):
        rows[line] = found
    else:
        faults.add(line, f" is no object but {type(found).__name__}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ValueError(f"{twice!r} stands in it twice")
    return found


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no number in JSON")


def _check(name: str, rows: dict[int, dict[str, Any]], how: TableFormat, faults: Faults) -> None:
    """Bring a column's values to one type; those of another are faults."""
    asked = how.types.get(name)
    values = {line: row[name] for line, row in rows.items() if row.get(name) is not None}
    if asked is str:
        for line, value in values.items():
            rows[line][name] = value if isinstance(value, str) else json.dumps(value)
    kinds = Counter(_kind(rows[line][name]) for line in values)
    wanted = (float if asked is int else asked) or (kinds.most_common(1)[0][0] if kinds else str)
    for line in values:
        value = rows[line][name]
        if value in how.missing if isinstance(value, str) else False:
            rows[line][name] = None
        elif _kind(value) is not wanted:
            faults.add(
                line,
                f", column {name!r}: {_short(value)} among {NAMES[wanted]}",
            )
        elif wanted is float and not (math.isfinite(value) and LEAST <= value <= MOST or _fits(value)):
            faults.add(line, f", column {name!r}: {_short(value)} is more than a number can hold")


def _fits(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def _kind(value: Any) -> type:
    return float if type(value) is int else type(value)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _column(values: list[Any], places: Places) -> Column:
    present = [value for value in values if value is not None]
    if not present or _kind(present[0]) is float:
        whole = len(present) == len(values) and all(type(value) is int for value in values)
        numbers = [math.nan if value is None else value for value in values]
        return ArrayColumn(np.asarray(numbers, np.int64 if whole else np.float64), places)
    if type(present[0]) is bool and len(present) == len(values):
        return ArrayColumn(np.asarray(values), places)
    return ListColumn(values, places)
