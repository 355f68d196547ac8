"""What is done with sets of examples: map, filter, join, balance. ``Data`` has these as methods.

Mapping reads nothing before it is asked for; what chooses rows looks at the columns that it needs, now.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia.errors import ArgumentError, DataError, Error
from retia.nets import Net
from retia.sources.columns import Arrays, Column, Label, LateColumn, Rows
from retia.sources.made import JoinedColumn, MappedColumn, NetColumn, PickedColumn, called
from retia.sources.order import permutation
from retia.sources.selection import named_column

if TYPE_CHECKING:
    from retia.sources.dataset import Data


def map_columns(data: Data, made: Mapping[str, Any]) -> Data:
    """See ``Data.map``."""
    if not made:
        raise ArgumentError("map: name a column and what makes it.", fix="data.map(input=function)")
    if data.parts:
        parts = {name: map_columns(part, made) for name, part in data.parts.items()}
        return data.of_parts(parts, name=data.name, about=data.about)
    return replace(data, columns={**data.columns, **{n: _made(data, n, by) for n, by in made.items()}})


def _made(data: Data, name: str, by: Any) -> Column:
    if isinstance(by, Net):
        if len(by.outputs) != 1:
            raise ArgumentError(
                f"map: {name!r} is one column, and the net has the outputs {', '.join(by.outputs)}.",
                fix='net[:"layer"] has one output',
                got=tuple(by.outputs),
            )
        return NetColumn(by, {port: named_column(data, port, "map") for port in by.inputs})
    if not callable(by):
        raise ArgumentError(f"map: {name!r} is made by a function or a net; got {by!r}.", got=by)
    if name in data.columns:
        column = data.columns[name]
        return MappedColumn(name, by, column.item, column)
    return MappedColumn(name, by, data.at, next(iter(data.columns.values())))


def keep(data: Data, test: Callable[[Any], Any] | None, tests: Mapping[str, Any]) -> Data:
    """See ``Data.filter``."""
    every: list[tuple[str, Any, Callable[[int], Any]]] = []
    if test is not None:
        every.append(("example", test, data.at))
    every += [(name, one, named_column(data, name, "filter").item) for name, one in tests.items()]
    if not every or not all(callable(one) for _, one, _ in every):
        raise ArgumentError(
            "filter: give a function of an example, or of a column's things by the column's name.",
            fix='data.filter(output=lambda label: label != "bird")',
        )
    kept = [n for n, row in enumerate(data.rows) if all(_passes(*one, int(row)) for one in every)]
    return data[kept]  # type: ignore[no-any-return]


def _passes(name: str, test: Callable[[Any], Any], take: Callable[[int], Any], row: int) -> bool:
    thing = take(row)
    try:
        return bool(test(thing))
    except Error:
        raise
    except Exception as error:
        raise DataError(
            f"filter: {called(test)} failed for {name!r}, row {row}: {type(error).__name__}: {error}",
            path=f"row {row}",
            got=thing,
        ) from error


def join(data: Data, others: tuple[Any, ...]) -> Data:
    """See ``Data.join``."""
    every = [data, *others]
    for number, other in enumerate(every):
        if set(getattr(other, "columns", ())) != set(data.columns):
            got = ", ".join(getattr(other, "columns", ())) or type(other).__name__
            raise DataError(
                f"join: the sets have other columns: {', '.join(data.columns)} here, number {number} {got}.",
                fix='data.join(other, on="column") sets columns side by side, by what stands in one',
                expected=tuple(data.columns),
                got=got,
            )
    return replace(
        data,
        columns={n: _end_to_end([(each.columns[n], each.rows) for each in every]) for n in data.columns},
        rows=range(sum(map(len, every))),
        parts={},
    )


def _end_to_end(parts: list[tuple[Column, Rows]]) -> Column:
    """Columns one after the other; arrays of one kind as one array, made when it is asked for."""
    arrays = [(column, rows) for column, rows in parts if isinstance(column, Arrays)]
    kinds = {(column.dtype, column.shape[1:]) for column, _ in arrays}
    named = any(len(rows) and column.name_of(int(rows[0])) for column, rows in parts)
    if len(arrays) < len(parts) or len(kinds) > 1 or named:
        return JoinedColumn(parts)
    [(dtype, shape)] = kinds
    length = sum(len(rows) for _, rows in parts)
    return LateColumn(
        (length, *shape), dtype.str, lambda: np.concatenate([column.things(rows) for column, rows in arrays])
    )


def join_on(data: Data, other: Data, on: str) -> Data:
    """See ``Data.join``."""
    own = named_column(data, on, "join").things(data.rows)
    keys = named_column(other, on, "join").things(other.rows)
    own, keys = (each.tolist() if hasattr(each, "tolist") else each for each in (own, keys))
    twice = [key for key, count in Counter(keys).items() if count > 1]
    if twice:
        raise DataError(
            f"join: {len(twice):,} values stand more than once in {on!r} of the other set: "
            f"{', '.join(map(repr, twice[:5]))}.",
            path=on,
            got=twice,
        )
    places = dict(zip(keys, other.rows, strict=True))
    lost = [n for n, key in enumerate(own) if key not in places]
    if lost:
        at = data.columns[on].name_of(int(data.rows[lost[0]])) if on in data.columns else ""
        raise DataError(
            f"join: {len(lost):,} of {len(own):,} examples have a {on!r} that the other set does not: "
            f"row {lost[0]}{f' ({at})' if at else ''}, {own[lost[0]]!r}.",
            fix=f"data.filter({on}=known.__contains__)",
            path=on,
            got=[own[n] for n in lost],
        )
    both = sorted({*data.columns} & {*other.columns} - {on})
    if both:
        raise DataError(f"join: both sets have {', '.join(map(repr, both))}.", fix="select() columns first")
    found = [int(places[key]) for key in own]
    columns: dict[str, Column] = {
        n: PickedColumn(c, [int(row) for row in data.rows], "joined") for n, c in data.columns.items()
    }
    columns |= {n: PickedColumn(c, found, "joined") for n, c in other.columns.items() if n != on}
    return replace(data, columns=columns, rows=range(len(own)), parts={})


def balance(data: Data, to: str, column: str | None, seed: int) -> Data:
    """See ``Data.balance``."""
    if to not in ("most", "fewest"):
        raise ArgumentError(f"balance: to is 'most' or 'fewest'; got {to!r}.", got=to)
    name = data.label_column if column is None else column
    data.counts(name)  # refuses what holds no labels
    assert name is not None
    labels = data.columns[name].labels(data.rows)
    assert labels is not None
    rows: dict[tuple[type, Label], list[int]] = {}
    for place, label in enumerate(labels):
        rows.setdefault((type(label), label), []).append(place)
    size = (max if to == "most" else min)(map(len, rows.values()))
    chosen = [_dealt(own, size, seed, number) for number, own in enumerate(rows.values())]
    return data[np.sort(np.concatenate(chosen))]  # type: ignore[no-any-return]


def _dealt(rows: list[int], size: int, seed: int, number: int) -> Any:
    """So many of the rows: all of them equally often, and the rest drawn."""
    whole, rest = divmod(size, len(rows))
    drawn = permutation(len(rows), "balance", seed, number)[:rest]
    return np.asarray([*rows * whole, *(rows[place] for place in drawn)], np.int64)


def rename(data: Data, names: Mapping[str, str]) -> Data:
    """See ``Data.rename``."""
    for old in names:
        named_column(data, old, "rename")
    new = [names.get(name, name) for name in data.columns]
    twice = sorted({name for name in new if new.count(name) > 1})
    if twice:
        raise DataError(f"rename: two columns would be called {twice[0]!r}.", path=twice[0], got=new)
    parts = {name: rename(part, names) for name, part in data.parts.items()}
    return replace(data, columns=dict(zip(new, data.columns.values(), strict=True)), parts=parts)


def windows(data: Data, length: Any, step: Any, column: str, ahead: Any) -> Data:
    """See ``Data.windows``."""
    try:
        length = operator.index(length)
        step = length if step is None else operator.index(step)
        further = 0 if ahead is None else operator.index(ahead)
    except TypeError:
        length, step, further = 0, 0, -1
    if length < 1 or step < 1 or further < (ahead is not None):
        raise ArgumentError(
            "windows: length, step and ahead are whole numbers of at least 1.", got=(length, step, ahead)
        )
    if ahead is not None and (column == "output" or "output" in data.columns):
        raise DataError(
            "windows: ahead= makes a column 'output', and there is one.",
            fix="data.select(input=...) leaves others out",
            path="output",
        )
    if data.parts:
        parts = {name: windows(part, length, step, column, ahead) for name, part in data.parts.items()}
        return data.of_parts(parts, name=data.name, about=data.about)
    source = named_column(data, column, "windows")
    starts: list[tuple[int, int]] = []
    for row in data.rows:
        size = len(source.item(int(row)))
        starts += [(int(row), start) for start in range(0, size - length - further + 1, step)]
    if not starts:
        needed = length + further
        raise DataError(f"windows: nothing in {column!r} is {needed:,} long.", path=column, expected=needed)

    def cut(name: str, by: int) -> MappedColumn:
        def windows(place: tuple[int, int]) -> Any:
            return source.item(place[0])[place[1] + by : place[1] + by + length]

        origin = PickedColumn(source, [row for row, _ in starts], "windows")
        return MappedColumn(name, windows, starts.__getitem__, origin)

    made = {column: cut(column, 0)} | ({"output": cut("output", further)} if further else {})
    rest = {
        name: PickedColumn(other, [row for row, _ in starts], "of the window's example")
        for name, other in data.columns.items()
        if name != column
    }
    return replace(data, columns={**made, **rest}, rows=range(len(starts)), parts={})
