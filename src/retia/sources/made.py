"""Columns made of other columns when their things are asked for: by a function, by a net, end to end, by key.

Nothing is kept: what is asked for twice is made twice. A set that is fed from memory asks once.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from retia._late import numpy as np
from retia.errors import DataError, Error
from retia.nets import Net
from retia.sources.columns import Column, Label, ListColumn, Rows


class MadeColumn(Column):
    """What is common to columns that make their things."""

    @abstractmethod
    def make(self, rows: Sequence[int]) -> list[Any]:
        """The things of these rows."""

    @abstractmethod
    def how(self) -> str:
        """How they are made, in a few words."""

    def item(self, row: int) -> Any:
        return self.make([row])[0]

    def things(self, rows: Rows) -> list[Any]:
        return self.make([int(row) for row in rows])

    def labels(self, rows: Rows) -> list[Label] | None:
        if not self._is_label:
            return None
        found = self.things(rows)
        return found if all(isinstance(each, str | int | bool) for each in found) else None

    @cached_property
    def _is_label(self) -> bool:
        return len(self) > 0 and isinstance(self.item(0), str | int | bool)

    def kind(self) -> str:
        first = ListColumn([self.item(0)]) if len(self) else ListColumn([])
        return f"{first.kind()}, {self.how()}"

    def feed_hash(self, rows: Rows, update: Callable[[bytes], None]) -> None:
        for start in range(0, len(rows), 256):
            part = self.things(rows[start : start + 256])
            ListColumn(part).feed_hash(range(len(part)), update)


class MappedColumn(MadeColumn):
    """What a function makes of each thing.

    Args:
        name: of the column, for errors.
        function: of one thing.
        take: gives a row's thing.
        source: the column whose rows these are.
    """

    def __init__(
        self, name: str, function: Callable[[Any], Any], take: Callable[[int], Any], source: Column
    ) -> None:
        self._name = name
        self._function = function
        self._take = take
        self._source = source

    def __len__(self) -> int:
        return len(self._source)

    def make(self, rows: Sequence[int]) -> list[Any]:
        return [_plain(self._called(row)) for row in rows]

    def _called(self, row: int) -> Any:
        thing = self._take(row)
        try:
            return self._function(thing)
        except Error:
            raise
        except Exception as error:
            at = self.name_of(row) or f"row {row}"
            raise DataError(
                f"map: {called(self._function)} failed for {self._name!r}, {at}: "
                f"{type(error).__name__}: {error}",
                path=at,
                got=thing,
            ) from error

    def how(self) -> str:
        return f"made by {called(self._function)}"

    def name_of(self, row: int) -> str:
        return self._source.name_of(row)


class NetColumn(MadeColumn):
    """A net's outputs, made by the batch.

    Args:
        net: with one output.
        inputs: the columns of its input ports.
    """

    def __init__(self, net: Net, inputs: dict[str, Column]) -> None:
        self._net = net
        self._inputs = inputs

    def __len__(self) -> int:
        return len(next(iter(self._inputs.values())))

    def make(self, rows: Sequence[int]) -> list[Any]:
        if not rows:
            return []
        given = {name: column.things(np.asarray(rows)) for name, column in self._inputs.items()}
        alone = given[next(iter(given))] if len(given) == 1 else given
        return [_plain(each) for each in self._net.batch(alone)]

    def how(self) -> str:
        return "made by a net"

    def name_of(self, row: int) -> str:
        return next((name for each in self._inputs.values() if (name := each.name_of(row))), "")


class JoinedColumn(MadeColumn):
    """Columns end to end.

    Args:
        columns: each with the rows of it that are taken.
    """

    def __init__(self, columns: Sequence[tuple[Column, Rows]]) -> None:
        self._columns = list(columns)
        self._ends = np.cumsum([len(rows) for _, rows in self._columns])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def _place(self, row: int) -> tuple[Column, int]:
        part = int(np.searchsorted(self._ends, row, side="right"))
        column, rows = self._columns[part]
        return column, int(rows[row - (int(self._ends[part - 1]) if part else 0)])

    def make(self, rows: Sequence[int]) -> list[Any]:
        return [column.item(row) for column, row in map(self._place, rows)]

    def how(self) -> str:
        return f"{len(self._columns)} sets end to end"

    def name_of(self, row: int) -> str:
        column, place = self._place(row)
        return column.name_of(place)


class PickedColumn(MadeColumn):
    """Rows of another column, in an order of their own.

    Args:
        column: the other one.
        rows: of it; they may come twice.
        why: in a few words.
    """

    def __init__(self, column: Column, rows: Sequence[int], why: str) -> None:
        self._column = column
        self._rows = list(rows)
        self._why = why

    def __len__(self) -> int:
        return len(self._rows)

    def make(self, rows: Sequence[int]) -> list[Any]:
        return [self._column.item(self._rows[row]) for row in rows]

    def how(self) -> str:
        return self._why

    def name_of(self, row: int) -> str:
        return self._column.name_of(self._rows[row])


def called(function: Any) -> str:
    """What a function is called in messages."""
    return str(getattr(function, "__name__", None) or type(function).__name__)


def _plain(thing: Any) -> Any:
    return thing.item() if getattr(thing, "ndim", None) == 0 else thing
