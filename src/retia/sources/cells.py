"""Cells of text to columns of one type: whole numbers, numbers, truth values or words.

A column's type is what all of its cells are. Where most cells are numbers and some are not, the type is not
guessed: those cells are faults, told by their place. Words that stand for a missing cell count as missing
in columns of numbers and truth values alone; in a column of words only the empty cell is, for "NA" may be
a country. What a caller names as missing is missing everywhere.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from retia._late import numpy as np
from retia.sources.columns import ArrayColumn, Column, ListColumn, Places

if TYPE_CHECKING:
    from numpy.typing import NDArray

Kind: TypeAlias = "type[str] | type[int] | type[float] | type[bool]"

NO_NUMBER = frozenset(
    {"", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "Null", "null", "None", "none", "-", "?"}
)
"""Cells that mean nothing in a column of numbers."""

TRUTH = {"true": True, "false": False}
WHOLE = re.compile(r"[+-]?[0-9]+")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?inf(inity)?", re.IGNORECASE)
PADDED = re.compile(r"0[0-9]+")
"""A code that a number would lose the beginning of: 01234."""

LEAST, MOST = -(2**63), 2**63 - 1
WORDS = {str: "words", int: "whole numbers", float: "numbers", bool: "True or False"}


@dataclass(frozen=True)
class Typed:
    """A column's values, and what is wrong with some of its cells.

    Attributes:
        values: an array where the cells are numbers or truth values, else words and None.
        faults: what is wrong, by row.
    """

    values: NDArray[Any] | list[Any]
    faults: Mapping[int, str] = field(default_factory=dict)

    def column(self, places: Places) -> Column:
        """The values as a column."""
        if isinstance(self.values, list):
            return ListColumn(self.values, places)
        return ArrayColumn(self.values, places)


def typed(cells: Sequence[str], kind: Kind | None, missing: frozenset[str]) -> Typed:
    """Cells as values of one type.

    Args:
        cells: of one column, in order.
        kind: the type they should have; found out where it is None.
        missing: words that mean a missing cell in every column.
    Example:
        >>> typed(["1", "2.5", "NA"], None, frozenset()).values
        array([1. , 2.5, nan])
        >>> typed(["1", "2", "x"], None, frozenset()).faults
        {2: "'x' is no number, but 2 of the column's 3 cells are"}
    """
    bare = [cell.strip() for cell in cells]
    if kind is str:
        return Typed(_words(cells, bare, missing))
    empty = missing | NO_NUMBER
    present = [cell for cell in bare if cell not in empty]
    if kind is None:
        kind, told = _kind_of(present)
    else:
        told = f"types= says {WORDS[kind]}"
    if kind is str:
        return Typed(_words(cells, bare, missing))
    if kind is bool:
        return _truths(bare, empty, told)
    return _numbers(bare, empty, told, whole=kind is int)


def _kind_of(present: Sequence[str]) -> tuple[Kind, str]:
    """The type of the cells that are not missing, and how it was found."""
    if not present:
        return float, "the column is empty"
    if all(cell.lower() in TRUTH for cell in present):
        return bool, "all are"
    numbers = sum(NUMBER.fullmatch(cell) is not None for cell in present)
    if 2 * numbers <= len(present) or any(PADDED.fullmatch(cell) for cell in present):
        return str, "most are words"
    whole = all(WHOLE.fullmatch(cell) for cell in present if NUMBER.fullmatch(cell))
    return int if whole else float, f"but {numbers:,} of the column's {len(present):,} cells are"


def _words(cells: Sequence[str], bare: Sequence[str], missing: frozenset[str]) -> list[Any]:
    return [None if not short or short in missing else cell for cell, short in zip(cells, bare, strict=True)]


def _truths(bare: Sequence[str], empty: frozenset[str], told: str) -> Typed:
    faults = {
        row: f"{_short(cell)} is neither true nor false; {told}"
        for row, cell in enumerate(bare)
        if cell not in empty and cell.lower() not in TRUTH
    }
    values = [TRUTH.get(cell.lower()) for cell in bare]
    return Typed(values if None in values else np.asarray(values, bool), faults)


def _numbers(bare: Sequence[str], empty: frozenset[str], told: str, *, whole: bool) -> Typed:
    faults: dict[int, str] = {}
    pattern, what = (WHOLE, "no whole number") if whole else (NUMBER, "no number")
    values: list[float | int] = []
    for row, cell in enumerate(bare):
        value: float | int = math.nan
        if cell not in empty:
            if pattern.fullmatch(cell) is None:
                also = what if NUMBER.fullmatch(cell) else "no number"
                faults[row] = f"{_short(cell)} is {also}, {told}"
            elif whole and len(cell) > 20 or whole and not LEAST <= int(cell) <= MOST:
                faults[row] = f"{_short(cell)} has more than 64 bits"
            else:
                value = int(cell) if whole else float(cell)
                if value in (math.inf, -math.inf) and "n" not in cell.lower():
                    faults[row] = f"{_short(cell)} is more than a number can hold"
        values.append(value)
    plain = whole and not any(isinstance(value, float) for value in values)
    return Typed(np.asarray(values, np.int64 if plain else np.float64), faults)


def _short(cell: str) -> str:
    return repr(cell if len(cell) <= 40 else cell[:37] + "...")
