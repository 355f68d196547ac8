"""Rows of a table at a port: named columns to one vector, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from retia._late import numpy as np
from retia._torch import torch
from retia.codecs.arrays import brief, is_array
from retia.codecs.choices import scores_of
from retia.codecs.columns import Faults, Learning, TableColumn, Things, present
from retia.codecs.dates import DateColumn, is_date
from retia.codecs.derived import bin_words, compute, given, read_derived
from retia.codecs.kinds import BooleanColumn, CategoryColumn, NumberColumn
from retia.codecs.rows import Columns, columns_of, is_one_row, row_of
from retia.errors import ArgumentError, CodecError
from retia.nets.codec import Codec, Reading, codec
from retia.nets.settings import choice, make, setting, whole
from retia.shapes import Shape

if TYPE_CHECKING:
    from torch import Tensor

KINDS = {kind.word: kind for kind in (NumberColumn, CategoryColumn, BooleanColumn, DateColumn)}


def read_columns(name: str, value: Any) -> Mapping[str, TableColumn | None] | None:
    """The rule of ``columns=``: names, or a dict from names to columns, kinds or labels; sorted by name."""
    if value is None:
        return None
    if isinstance(value, list | tuple):
        twice = sorted({str(each) for each in value if value.count(each) > 1})
        if twice:
            raise ArgumentError(f"{name}: {twice[0]!r} is there more than once.", got=twice)
        value = dict.fromkeys(value)
    if not isinstance(value, Mapping) or not value:
        raise ArgumentError(
            f"{name} are the names of columns, or a dict from names to columns; got {brief(value)}.",
            fix='Table(["age", "sex"]), Table({"age": "number", "sex": ["female", "male"]})',
            got=value,
        )
    for key in value:
        if not isinstance(key, str) or not key:
            raise ArgumentError(f"{name}: the name of a column is a text; got {key!r}.", got=key)
    return MappingProxyType({key: _read_column(f"{name}[{key!r}]", value[key]) for key in sorted(value)})


def _read_column(where: str, value: Any) -> TableColumn | None:
    if value is None or isinstance(value, TableColumn):
        return value
    if isinstance(value, str) and value in KINDS:
        return KINDS[value]()
    if isinstance(value, list | tuple | range) or is_array(value):
        return CategoryColumn(value)
    raise ArgumentError(
        f"{where} is a column, one of {', '.join(map(repr, KINDS))}, or a list of labels; "
        f"got {brief(value)}.",
        fix="rt.NumberColumn(mean, deviation), rt.CategoryColumn(labels), ...",
        got=value,
    )


def read_blanks(name: str, value: Any) -> tuple[str, ...]:
    """The rule of ``blanks=``: texts."""
    words = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Sequence) else (None,)
    if not all(isinstance(word, str) for word in words):
        raise ArgumentError(f"{name} are texts that mean a missing thing; got {brief(value)}.", got=value)
    return words


@codec
class Table(Codec):
    """A row of named columns: one vector where it is encoded, a row again where it is decoded.

    Numbers are standardised, categories one-hot, truth values 0 or 1, dates as numbers and turns; a column
    in which something is missing has one more entry that says so. What the columns hold is learned from the
    training part: numbers, truth values, dates (also as ISO texts) and texts as categories; whole numbers
    that are codes have to be declared as categories. The order of columns never matters: entries stand by
    name. A row is a dict; many rows are a list of dicts, a dict of columns, or a frame of pandas, polars or
    Arrow.

    With ``form="index"`` the categories of a row are whole numbers, each column's after the one's before, so
    that one ``Embedding`` learns vectors for all; numbers then stand in a table of their own at another port.

    Shape:  (n); with ``form="index"`` whole numbers, (number of columns)
    Loss:   squared error
    Args:
        columns: names, or a dict from names to ``NumberColumn``, ``CategoryColumn``, ``BooleanColumn``,
            ``DateColumn``, one of the words ``"number"``, ``"category"``, ``"boolean"``, ``"date"``, a list
            of labels, or None for what is learned; all columns that there are when left out.
        derived: columns computed from others, a dict from names to ``("sum", a, b, ...)``,
            ``("product", a, b, ...)``, ``("difference", a, b)``, ``("ratio", a, b)``, ``("log", a)`` or
            ``("bins", a, edges)``.
        form: ``"one-hot"`` or ``"index"``.
        normalize: how numbers are standardised where it is learned: ``"data"`` (mean and deviation),
            ``"robust"`` (median and quartiles) or None.
        unknown: what a category is that was not learned: an ``"error"``, or ``"other"``, an entry of its own.
        rare: learned categories seen less often are unknown, so that ``"other"`` has examples to learn from.
        missing: which columns have an entry for missing things: those where some were ``"seen"`` to be
            missing in the training part (elsewhere they are an error), or ``"always"`` all.
        blanks: texts that mean a missing thing, such as ``("", "NA")``.
        surplus: whether a column that the table does not know is an ``"error"``, or to ``"ignore"``.
    Raises:
        CodecError: a column that is missing or unknown, an unknown category, a thing of another type, with
            row and column.
    Example:
        >>> import retia as rt
        >>> rows = [{"age": 20, "sex": "f"}, {"age": 40, "sex": "m"}, {"age": None, "sex": "m"}]
        >>> table = rt.Table().fit(rows)
        >>> table.entries
        ('age', 'age missing', 'sex=f', 'sex=m')
        >>> table.encode({"sex": "m", "age": 50})
        tensor([2., 0., 0., 1.])
        >>> table.decode([2.0, 0.0, 0.0, 1.0])
        {'age': 50.0, 'sex': 'm'}
    """

    cure: ClassVar[str] = 'Table(["age", "sex"]) takes the columns as one list or dict'

    columns: Mapping[str, TableColumn | None] | None = setting(read_columns, default=None)
    _: KW_ONLY
    derived: Mapping[str, Any] | None = setting(read_derived, default=None)
    form: str = setting(choice("one-hot", "index"), default="one-hot")
    normalize: str | None = setting(choice("data", "robust", None), default="data")
    unknown: str = setting(choice("error", "other"), default="error")
    rare: int = setting(whole(0), default=0)
    missing: str = setting(choice("seen", "always"), default="seen")
    blanks: tuple[str, ...] = setting(read_blanks, default=())
    surplus: str = setting(choice("error", "ignore"), default="error")

    @property
    def shape(self) -> Shape | None:
        if not self.is_fitted():
            return (None,)
        return (len(self._fitted),) if self.form == "index" else (len(self.entries),)

    @property
    def kind(self) -> str:
        return "int" if self.form == "index" else "float"

    @property
    def class_count(self) -> int | None:
        """With ``form="index"``, how many categories all columns have together."""
        return sum(self._choices()) if self.form == "index" and self.is_fitted() else None

    @property
    def entries(self) -> tuple[str, ...]:
        """What each place of the vector is called; with ``form="index"``, the columns."""
        if self.form == "index":
            return tuple(self._fitted)
        return tuple(word for name, column in self._fitted.items() for word in column.entries(name))

    def is_one(self, thing: Any) -> bool:
        return is_one_row(thing)

    # Learning -------------------------------------------------------------------------------------

    def is_fitted(self) -> bool:
        columns = self.columns or {}
        fitted = [column is not None and column.is_fitted() for column in columns.values()]
        return bool(fitted) and all(fitted) and all(name in columns for name in self._derived)

    def fit(self, things: Any) -> Table:
        if self.is_fitted():
            return self
        wanted = None if self.columns is None else given({*self.columns, *self._derived}, self._derived)
        read, count = self._read(things, wanted)
        if not count:
            raise CodecError("Table: there are no rows to learn from.", fix="Table({...}) with its columns")
        names = {*(self.columns or read), *self._derived}
        self._check_clash(read)
        faults = Faults()
        columns = {**read, **{name: compute(name, self._derived, read, faults) for name in self._derived}}
        faults.settle()
        how = Learning(self.normalize, self.unknown == "other", self.rare, self.missing == "always")
        kinds = {name: self._kind(name, columns[name]) for name in sorted(names)}
        learned = {name: kind.fit(name, columns[name], how) for name, kind in kinds.items()}
        made = make(Table, {**self.settings(), "columns": learned})
        made.check_form()
        return made

    def check_form(self) -> None:
        """Make sure that with ``form="index"`` all columns are categories."""
        wrong = [name for name, column in self._fitted.items() if column.choices() is None]
        if self.form == "index" and wrong:
            raise CodecError(
                f"Table: column {wrong[0]!r} is no category, which form='index' takes.",
                because=[f"{name!r} neither" for name in wrong[1:10]],
                fix='another Table(..., surplus="ignore") for them at a port of its own, or bins in derived=',
                path=wrong[0],
            )

    def validate(self) -> None:
        if self.is_fitted():
            self.check_form()

    def _kind(self, name: str, things: Things) -> TableColumn:
        """The column as it was declared, else of the kind of the things in it."""
        declared = (self.columns or {}).get(name)
        if declared is not None:
            return declared
        if name in self._derived and self._derived[name][0] == "bins":
            return CategoryColumn(bin_words(self._derived[name][2]), other=False)
        return _kind_of(name, things)

    def _check_clash(self, read: Columns) -> None:
        both = sorted(set(read) & set(self._derived))
        if both:
            raise CodecError(
                f"Table: {both[0]!r} is both a column of the rows and a derived one.",
                fix="another name for the derived one",
                path=both[0],
            )

    # Both ways ------------------------------------------------------------------------------------

    def pack(self, things: Any) -> Tensor:
        derived = self._derived
        columns, count = self._read(things, self.needed)
        faults = Faults()
        every = {**columns}
        for name in self._fitted:
            if name in derived:
                every[name] = compute(name, derived, columns, faults)
        faults.settle()
        if self.form == "index":
            parts = [column.number(name, every[name], faults) for name, column in self._fitted.items()]
            packed = np.stack(parts, axis=1) + self._starts()
        else:
            blocks = [column.encode(name, every[name], faults) for name, column in self._fitted.items()]
            packed = np.concatenate(blocks, axis=1)
        faults.settle()
        assert len(packed) == count
        return torch.from_numpy(packed.astype(np.int64 if self.form == "index" else np.float32))

    def unpack(self, batch: Tensor, reading: Reading) -> list[Any]:
        self.asked(reading)
        vectors = scores_of("Table", batch, (len(self.entries),))
        found: dict[str, list[Any]] = {}
        place = 0
        for number, (name, column) in enumerate(self._fitted.items()):
            width = 1 if self.form == "index" else len(column.entries(name))
            block = vectors[:, place : place + width]
            place += width
            if name in self._derived:
                continue
            if self.form == "index":
                found[name] = column.unnumber(np.rint(block[:, 0] - self._starts()[number]).astype(int))
            else:
                found[name] = column.decode(block)
        return [{name: things[row] for name, things in found.items()} for row in range(len(vectors))]

    @cached_property
    def needed(self) -> frozenset[str]:
        """The columns that a row must have."""
        return frozenset(given(set(self._fitted), self._derived))

    @property
    def _derived(self) -> Mapping[str, Any]:
        return self.derived or {}

    @cached_property
    def _fitted(self) -> dict[str, TableColumn]:
        if not self.is_fitted():
            raise CodecError(
                "Table: it has learned no columns yet.", fix="codec.fit(rows), or rt.train", got=self.columns
            )
        return {name: column for name, column in (self.columns or {}).items() if column is not None}

    def _choices(self) -> list[int]:
        return [column.choices() or 0 for column in self._fitted.values()]

    def _starts(self) -> Any:
        """The number of each column's first category."""
        return np.cumsum([0, *self._choices()[:-1]])

    def _read(self, things: Any, wanted: Any) -> tuple[Columns, int]:
        things = [things] if row_of(things) is not None and is_one_row(things) and things else things
        return columns_of(things, wanted, ignores=self.surplus == "ignore", blanks=self.blanks)


def _kind_of(name: str, things: Things) -> TableColumn:
    """The column, with all left to learn, that suits what stands in it."""
    rows: dict[str, int] = {}
    for row, thing in enumerate(things):
        if thing is not None:
            rows.setdefault(_word(name, row, thing), row)
    present(name, things)
    if set(rows) == {"date", "category"} and all(thing is None or isinstance(thing, str) for thing in things):
        return CategoryColumn()  # texts, some of which look like dates
    if len(rows) > 1:
        told = " and ".join(f"{word} (row {row}: {brief(things[row])})" for word, row in rows.items())
        raise CodecError(
            f"Table: column {name!r} holds things of several kinds: {told}.",
            fix=f"Table({{{name!r}: 'category'}}) says what it is; blanks= names words for missing things",
            path=name,
            got=sorted(rows),
        )
    return KINDS[next(iter(rows))]()


def _word(name: str, row: int, thing: Any) -> str:
    if isinstance(thing, bool):
        return BooleanColumn.word
    if is_date(thing):
        return DateColumn.word
    if isinstance(thing, str):
        return CategoryColumn.word
    if isinstance(thing, list | tuple | dict | set | bytes) or is_array(thing):
        raise CodecError(
            f"Table: row {row}: column {name!r}: {brief(thing)} is no number, text, truth value or date.",
            path=f"row {row}, column {name!r}",
            got=thing,
        )
    return NumberColumn.word
