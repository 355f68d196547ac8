"""The interface of a table's columns: what each becomes in the vector, with all that was learned of it.

A column is a value of its own, so a fitted table shows how every column is treated. A missing thing is None
by the time it gets here (``rows.py``). What is wrong is gathered as faults, so that one error tells them all.
"""

from __future__ import annotations

import decimal
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, dataclass_transform

from retia._late import numpy as np
from retia.codecs.arrays import brief
from retia.errors import CodecError
from retia.nets import registry
from retia.nets.expression import Content
from retia.nets.settings import Rule, declared, setting, settle

if TYPE_CHECKING:
    from numpy.typing import NDArray

Things = Sequence[Any]
"""What stands in a column, None where it is missing."""

TOLD = 10
"""Faults that one error tells."""


@dataclass
class Faults:
    """What is wrong in the rows of a table, by row and column."""

    found: list[tuple[int, str, str, str | None, Any]] = field(default_factory=list)

    def add(
        self, row: int, column: str, what: str, *, hint: str = "", fix: str | None = None, got: Any = None
    ) -> None:
        """Add one: ``what`` is said of the thing there, ``hint`` is a sentence after it."""
        self.found.append((row, column, f"{what}.{hint}", fix, got))

    def settle(self) -> None:
        """Raise one ``CodecError`` that tells the faults, if there are any."""
        if not self.found:
            return
        faults = sorted(self.found, key=lambda fault: (fault[0], fault[1]))
        row, column, what, fix, got = faults[0]
        because = [f"row {r}: column {name!r}: {told.rstrip('.')}" for r, name, told, _, _ in faults[1:TOLD]]
        if len(faults) > TOLD:
            because.append(f"and {len(faults) - TOLD:,} more")
        raise CodecError(
            f"Table: row {row}: column {column!r}: {what}",
            because=because,
            fix=fix,
            path=f"row {row}, column {column!r}",
            got=got,
        )


@dataclass(frozen=True)
class Learning:
    """How a table learns its columns; see ``Table`` for the words.

    Attributes:
        scale: ``"data"``, ``"robust"`` or None.
        other: whether unknown categories have an entry of their own.
        rare: categories seen less often are unknown.
        always: whether every column has an entry for missing things.
    """

    scale: str | None = "data"
    other: bool = False
    rare: int = 0
    always: bool = False


def maybe(rule: Rule) -> Rule:
    """A rule that also takes None: what is learned from the data."""
    return lambda name, value: None if value is None else rule(name, value)


class TableColumn(Content, ABC):
    """The interface of a table's columns. Settings that are None are learned from the training part."""

    cure: ClassVar[str] = ""
    word: ClassVar[str] = ""

    missing: bool | None

    def __post_init__(self) -> None:
        settle(self)

    # For leaves -----------------------------------------------------------------------------------

    @abstractmethod
    def is_fitted(self) -> bool:
        """Whether nothing is left to learn."""

    @abstractmethod
    def fit(self, name: str, things: Things, how: Learning) -> TableColumn:
        """The column that has learned from training examples what was left open."""

    @abstractmethod
    def entries(self, name: str) -> tuple[str, ...]:
        """What each place of the vector is called."""

    @abstractmethod
    def encode(self, name: str, things: Things, faults: Faults) -> NDArray[Any]:
        """The vectors in float64, one row for each thing."""

    @abstractmethod
    def decode(self, vectors: NDArray[Any]) -> list[Any]:
        """Vectors back to things, as far as they say it."""

    def choices(self) -> int | None:
        """How many categories there are, where things are categories."""
        return None

    def number(self, name: str, things: Things, faults: Faults) -> NDArray[Any]:
        """Categories as their numbers, int64."""
        raise NotImplementedError  # the table asks only columns with choices

    def unnumber(self, numbers: NDArray[Any]) -> list[Any]:
        """Numbers of categories back to things."""
        raise NotImplementedError  # the table asks only columns with choices

    # Finished -------------------------------------------------------------------------------------

    def flags(self, name: str, things: Things, faults: Faults) -> NDArray[Any]:
        """Which things are missing; a fault where the column has no place for that."""
        gaps = np.fromiter((thing is None for thing in things), bool, len(things))
        if gaps.any() and self.missing is False:
            fix = f'Table({{{name!r}: rt.{type(self).__name__}(missing=True)}}) or Table(missing="always")'
            for row in np.flatnonzero(gaps).tolist():
                faults.add(row, name, "nothing is there, and no row of the training part missed it", fix=fix)
        return gaps

    def learned_gaps(self, things: Things, how: Learning) -> bool:
        """Whether the column has an entry for missing things."""
        if self.missing is not None:
            return self.missing
        return how.always or any(thing is None for thing in things)


K = TypeVar("K", bound=TableColumn)


@dataclass_transform(frozen_default=True, field_specifiers=(setting,))
def table_column(cls: type[K]) -> type[K]:
    """Make a class a column of tables: a frozen value, known to expressions under its name."""
    made = declared(cls)
    registry.register(made)
    return made


def present(name: str, things: Things) -> list[Any]:
    """What is there of a column to learn from."""
    found = [thing for thing in things if thing is not None]
    if not found:
        raise CodecError(
            f"Table: column {name!r}: all {len(things):,} rows miss it, so there is nothing to learn.",
            fix="leave the column out",
            path=name,
        )
    return found


def read_numbers(name: str, things: Things, faults: Faults) -> NDArray[Any]:
    """The numbers of a column in float64, NaN where they are missing."""
    found = np.full(len(things), np.nan)
    for row, thing in enumerate(things):
        if type(thing) is float or type(thing) is int:
            found[row] = _float(thing)
        elif isinstance(thing, int | float | decimal.Decimal) and not isinstance(thing, bool):
            found[row] = float(thing)
        elif thing is not None:
            fix = "float(...) of it, if it is a number written as text" if isinstance(thing, str) else None
            faults.add(row, name, f"{brief(thing)} is no number", fix=fix, got=thing)
        if np.isinf(found[row]):
            faults.add(row, name, f"{brief(thing)} is not a finite number", got=thing)
    return found


def _float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("inf")
