"""Results as a table: lines of text, or a frame of pandas.

A table is a list of rows, and a row a dict by column. Columns stand in the order in which they are first
met; a row that has none of a column leaves it empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from retia import _columns
from retia._late import Late

Rows: TypeAlias = "Sequence[Mapping[str, Any]]"
WIDEST = 40
"""Characters of a cell at most."""


def text(rows: Rows) -> str:
    """The rows as lines of text that fit the terminal: numbers to the right, words to the left.

    Example:
        >>> print(text([{"net": "small", "loss": 0.51234}, {"net": "large", "loss": 0.25, "why": "it fits"}]))
        net      loss  why
        small  0.5123
        large    0.25  it fits
    """
    names = columns(rows)
    cells = [[show(row.get(name, "")) for name in names] for row in rows]
    right = [any(_is_number(row.get(name)) for row in rows) for name in names]
    return _columns.columns([names, *cells], right)


def frame(rows: Rows) -> Any:
    """The rows as a ``pandas.DataFrame``.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    pandas: Any = Late("pandas", extra="pandas")
    return pandas.DataFrame([dict(row) for row in rows], columns=columns(rows))


def columns(rows: Rows) -> list[str]:
    """All columns, in the order in which they are first met.

    Example:
        >>> columns([{"a": 1}, {"b": 2, "a": 3}])
        ['a', 'b']
    """
    return [*dict.fromkeys(name for row in rows for name in row)]


def show(value: Any) -> str:
    """A value as a cell shows it.

    Example:
        >>> show(0.000123456), show(1234567), show("word")
        ('0.0001235', '1,234,567', 'word')
    """
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    told = value if isinstance(value, str) else repr(value)
    return told if len(told) <= WIDEST else told[: WIDEST - 3] + "..."


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
