"""The kinds of columns that a table has, but for dates: numbers, truth values and categories."""

from __future__ import annotations

from dataclasses import KW_ONLY, replace
from typing import TYPE_CHECKING, Any, ClassVar

from retia._late import numpy as np
from retia.codecs.arrays import brief
from retia.codecs.columns import (
    Faults,
    Learning,
    TableColumn,
    Things,
    maybe,
    present,
    read_numbers,
    table_column,
)
from retia.codecs.labels import Label, Places, alike, label_order, read_label, read_labels, shown
from retia.codecs.scaling import learn_scale
from retia.errors import CodecError
from retia.nets.settings import flag, real, setting

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _beside(vectors: NDArray[Any], gaps: NDArray[Any], missing: bool | None) -> NDArray[Any]:
    """Vectors, with the flags of what is missing beside them."""
    columns = vectors[:, None]
    return np.concatenate([columns, gaps[:, None]], axis=1) if missing else columns


@table_column
class NumberColumn(TableColumn):
    """A column of numbers: ``(number - mean) / deviation``, and a 0 or 1 beside it for what is missing.

    What is missing counts as the mean, 0 in the vector.

    Args:
        mean: learned when left out.
        deviation: above 0; learned when left out. 1 for what is always the same.
        missing: whether numbers may be missing; learned when left out.
    Example:
        >>> import retia as rt
        >>> rt.Table({"age": rt.NumberColumn(30, 10, missing=True)}).encode({"age": None})
        tensor([0., 1.])
    """

    word: ClassVar[str] = "number"

    mean: float | None = setting(real(-1e300, 1e300, optional=True), default=None)
    deviation: float | None = setting(real(1e-300, 1e300, optional=True), default=None)
    _: KW_ONLY
    missing: bool | None = setting(maybe(flag), default=None)

    def is_fitted(self) -> bool:
        return None not in (self.mean, self.deviation, self.missing)

    def fit(self, name: str, things: Things, how: Learning) -> NumberColumn:
        faults = Faults()
        numbers = read_numbers(name, things, faults)
        faults.settle()
        mean, deviation = 0.0, 1.0
        if how.scale is not None:
            present(name, things)
            learned = learn_scale(numbers[~np.isnan(numbers)], how.scale, f"Table: column {name!r}")
            mean, deviation = map(float, learned)
        return NumberColumn(
            mean if self.mean is None else self.mean,
            deviation if self.deviation is None else self.deviation,
            missing=self.learned_gaps(things, how),
        )

    def entries(self, name: str) -> tuple[str, ...]:
        return (name, f"{name} missing") if self.missing else (name,)

    def encode(self, name: str, things: Things, faults: Faults) -> NDArray[Any]:
        mean, deviation = self._scale
        numbers = read_numbers(name, things, faults)
        gaps = self.flags(name, things, faults)
        scaled = (np.where(gaps, mean, numbers) - mean) / deviation
        far = np.abs(scaled) > np.finfo(np.float32).max
        for row in np.flatnonzero(far & np.isfinite(numbers)).tolist():
            faults.add(row, name, f"{things[row]!r} is beyond float32", got=things[row])
        return _beside(scaled, gaps, self.missing)

    def decode(self, vectors: NDArray[Any]) -> list[Any]:
        mean, deviation = self._scale
        numbers = (vectors[:, 0] * deviation + mean).tolist()
        gaps = vectors[:, 1] > 0.5 if self.missing else [False] * len(numbers)
        return [None if gap else number for number, gap in zip(numbers, gaps, strict=True)]

    @property
    def _scale(self) -> tuple[float, float]:
        assert self.mean is not None
        assert self.deviation is not None
        return self.mean, self.deviation


@table_column
class BooleanColumn(TableColumn):
    """A column of truth values: 1 or 0, and a 0 or 1 beside it for what is missing, which counts as 0.5.

    Args:
        missing: whether values may be missing; learned when left out.
    Example:
        >>> import retia as rt
        >>> rt.Table({"alone": rt.BooleanColumn(missing=False)}).encode([{"alone": True}, {"alone": False}])
        tensor([[1.],
                [0.]])
    """

    word: ClassVar[str] = "boolean"

    _: KW_ONLY
    missing: bool | None = setting(maybe(flag), default=None)

    def is_fitted(self) -> bool:
        return self.missing is not None

    def fit(self, name: str, things: Things, how: Learning) -> BooleanColumn:
        return BooleanColumn(missing=self.learned_gaps(things, how))

    def entries(self, name: str) -> tuple[str, ...]:
        return (name, f"{name} missing") if self.missing else (name,)

    def encode(self, name: str, things: Things, faults: Faults) -> NDArray[Any]:
        numbers = self.number(name, things, faults)
        gaps = numbers == 2
        return _beside(np.where(gaps, 0.5, numbers), gaps, self.missing)

    def decode(self, vectors: NDArray[Any]) -> list[Any]:
        gaps = vectors[:, 1] > 0.5 if self.missing else np.zeros(len(vectors), bool)
        return [None if gap else bool(value > 0.5) for value, gap in zip(vectors[:, 0], gaps, strict=True)]

    def choices(self) -> int:
        return 3 if self.missing else 2

    def number(self, name: str, things: Things, faults: Faults) -> NDArray[Any]:
        self.flags(name, things, faults)
        found = np.full(len(things), 2, np.int64)
        for row, thing in enumerate(things):
            if isinstance(thing, bool | int | float) and thing in (0, 1):
                found[row] = thing
            elif thing is not None:
                faults.add(row, name, f"{brief(thing)} is not True, False, 1 or 0", got=thing)
        return found

    def unnumber(self, numbers: NDArray[Any]) -> list[Any]:
        return [(False, True, None)[number] for number in numbers.clip(0, 2).tolist()]


@table_column
class CategoryColumn(TableColumn):
    """A column of categories: a vector of zeros with a 1, or a number for an embedding.

    After the labels come the entries for what is none of them and for what is missing, where there are such.

    Args:
        labels: texts, whole numbers or truth values, all different; learned when left out, in the order of
            ``Classes``.
        missing: whether categories may be missing; learned when left out.
        other: whether what is none of the labels has an entry of its own, else it is an error; as the
            table's ``unknown=`` says when left out.
    Example:
        >>> import retia as rt
        >>> port = rt.CategoryColumn(["C", "S"], missing=False, other=True)
        >>> rt.Table({"port": port}).encode([{"port": "S"}, {"port": "Q"}])
        tensor([[0., 1., 0.],
                [0., 0., 1.]])
    """

    word: ClassVar[str] = "category"
    cure: ClassVar[str] = 'CategoryColumn(["red", "blue"]) takes the labels as one list'

    labels: tuple[Label, ...] | None = setting(read_labels, default=None)
    _: KW_ONLY
    missing: bool | None = setting(maybe(flag), default=None)
    other: bool | None = setting(maybe(flag), default=None)

    def is_fitted(self) -> bool:
        return None not in (self.labels, self.missing, self.other)

    def fit(self, name: str, things: Things, how: Learning) -> CategoryColumn:
        labels = self.labels or _learned(name, present(name, things), things, how.rare)
        other = how.other if self.other is None else self.other
        return replace(self, labels=labels, missing=self.learned_gaps(things, how), other=other)

    def entries(self, name: str) -> tuple[str, ...]:
        words = [f"{name}={label}" for label in self.labels or ()]
        return (*words, *[f"{name} other"] * bool(self.other), *[f"{name} missing"] * bool(self.missing))

    def encode(self, name: str, things: Things, faults: Faults) -> NDArray[Any]:
        return np.asarray(np.eye(self.choices())[self.number(name, things, faults)])

    def decode(self, vectors: NDArray[Any]) -> list[Any]:
        return self.unnumber(vectors.argmax(axis=1))

    def choices(self) -> int:
        return len(self.labels or ()) + bool(self.other) + bool(self.missing)

    def number(self, name: str, things: Things, faults: Faults) -> NDArray[Any]:
        labels = self.labels or ()
        places = Places("Table", labels)
        self.flags(name, things, faults)
        found = np.full(len(things), self.choices() - 1, np.int64)  # where missing things stand
        for row, thing in enumerate(things):
            if thing is None:
                continue
            place = places.place(_code(thing))
            if place < 0:
                place = len(labels)
                self._refuse(row, name, thing, faults)
            found[row] = min(place, self.choices() - 1)
        return found

    def _refuse(self, row: int, name: str, thing: Any, faults: Faults) -> None:
        label = read_label(_code(thing))
        if label is None:
            faults.add(row, name, f"{brief(thing)} is no text, whole number or truth value", got=thing)
        elif not self.other:
            labels = self.labels or ()
            what = f"{label!r} is not one of the {len(labels)} categories, {shown(labels)}"
            fix = 'Table(unknown="other") has an entry for what is new'
            faults.add(row, name, what, hint=alike(label, labels), fix=fix, got=label)

    def unnumber(self, numbers: NDArray[Any]) -> list[Any]:
        words: list[Any] = [*(self.labels or ()), *["other"] * bool(self.other), *[None] * bool(self.missing)]
        return [words[number] for number in numbers.clip(0, len(words) - 1).tolist()]


def _code(thing: Any) -> Any:
    """A thing as a label: whole numbers that stand as floats, for others of the column are missing, too."""
    return int(thing) if isinstance(thing, float) and thing.is_integer() else thing


def _learned(name: str, found: list[Any], things: Things, rare: int) -> tuple[Label, ...]:
    """The labels that a column holds often enough."""
    counts: dict[tuple[type, Label], int] = {}
    faults = Faults()
    for row, thing in enumerate(things):
        label = read_label(_code(thing))
        if label is not None:
            counts[type(label), label] = counts.get((type(label), label), 0) + 1
        elif thing is not None:
            faults.add(row, name, f"{brief(thing)} is no text, whole number or truth value", got=thing)
    faults.settle()
    if len(counts) > 20 and 2 * len(counts) > len(found):
        raise CodecError(
            f"Table: column {name!r}: {len(counts):,} different things in {len(found):,} rows are no "
            "categories.",
            fix="leave the column out, or name its labels, rt.CategoryColumn([...])",
            path=name,
        )
    kept = [label for (_, label), count in counts.items() if count >= rare]
    if not kept:
        raise CodecError(
            f"Table: column {name!r}: no category is there {rare} times.", fix="a smaller rare=", path=name
        )
    return tuple(sorted(kept, key=label_order))
