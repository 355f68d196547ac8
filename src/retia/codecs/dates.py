"""Dates and times in a table: years as numbers, what comes round again as a point on a circle."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from dataclasses import KW_ONLY, replace
from typing import TYPE_CHECKING, Any, ClassVar

from retia._late import numpy as np
from retia.codecs.arrays import brief
from retia.codecs.columns import Faults, Learning, TableColumn, Things, maybe, present, table_column
from retia.codecs.scaling import learn_scale
from retia.errors import ArgumentError, CodecError, did_you_mean
from retia.nets.settings import flag, real, setting

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROUNDS = {"month": 12, "day": 31, "weekday": 7, "yearday": 366, "hour": 24, "minute": 60, "second": 60}
"""After how many steps each part comes round again."""

PARTS = ("year", *ROUNDS)
FIRST = {"month": 1, "day": 1, "yearday": 1}
"""Where parts begin to count; the others begin at 0 (a weekday's 0 is Monday)."""

ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?")


def read_parts(name: str, value: Any) -> tuple[str, ...] | None:
    """The rule of ``parts=``: words out of ``PARTS``, all different, kept in the order of these."""
    if value is None:
        return None
    words = [value] if isinstance(value, str) else list(value) if isinstance(value, Sequence) else []
    wrong = [word for word in words if word not in PARTS]
    if wrong or not words or len(set(words)) != len(words):
        hint = did_you_mean(wrong[0], PARTS) if wrong else ""
        raise ArgumentError(
            f"{name} are different words out of {', '.join(map(repr, PARTS))}; got {brief(value)}.{hint}",
            expected=PARTS,
            got=value,
        )
    return tuple(part for part in PARTS if part in words)


def is_date(thing: Any) -> bool:
    """Whether a thing is a date or a time, or its ISO text."""
    return isinstance(thing, datetime.date | datetime.time) or (
        isinstance(thing, str) and ISO.fullmatch(thing) is not None
    )


@table_column
class DateColumn(TableColumn):
    """A column of dates and times: the year as a number, the other parts as sine and cosine of their turn.

    So December stands beside January. Takes dates, times, both together, and their ISO texts; a time of day
    has no date, so of its parts only hour, minute and second mean anything. Clock times are taken as they
    stand, whatever their zone. What is missing is 0 everywhere and 1 in the entry for that.

    Args:
        parts: of ``"year"``, ``"month"``, ``"day"``, ``"weekday"``, ``"yearday"``, ``"hour"``, ``"minute"``
            and ``"second"``; when left out, of year, month, day, weekday, hour and minute those that vary in
            the training part.
        mean: of the year; learned when left out.
        deviation: of the year, above 0; learned when left out.
        missing: whether dates may be missing; learned when left out.
    Example:
        >>> import retia as rt
        >>> day = rt.DateColumn(["year", "weekday"], mean=2020, deviation=2, missing=False)
        >>> rt.Table({"day": day}).encode({"day": "2024-01-01"})
        tensor([2., 0., 1.])
    """

    word: ClassVar[str] = "date"

    parts: tuple[str, ...] | None = setting(read_parts, default=None)
    _: KW_ONLY
    mean: float | None = setting(real(-1e6, 1e6, optional=True), default=None)
    deviation: float | None = setting(real(1e-6, 1e6, optional=True), default=None)
    missing: bool | None = setting(maybe(flag), default=None)

    def is_fitted(self) -> bool:
        return None not in (self.parts, self.mean, self.deviation, self.missing)

    def fit(self, name: str, things: Things, how: Learning) -> DateColumn:
        faults = Faults()
        present(name, things)
        moments = _moments(name, things, faults)
        faults.settle()
        found = _fields(moments[~np.isnat(moments)])
        parts = self.parts
        if parts is None:
            usual = [part for part in PARTS if part not in ("yearday", "second")]
            parts = tuple(part for part in usual if (found[part] != found[part][0]).any())
        if not parts:
            raise CodecError(
                f"Table: column {name!r}: it is always the same date, so there is nothing to learn.",
                fix="leave the column out",
                path=name,
            )
        mean, deviation = learn_scale(found["year"], "data", f"Table: column {name!r}")
        return replace(
            self,
            parts=parts,
            mean=float(mean) if self.mean is None else self.mean,
            deviation=float(deviation) if self.deviation is None else self.deviation,
            missing=self.learned_gaps(things, how),
        )

    def entries(self, name: str) -> tuple[str, ...]:
        words: list[str] = []
        for part in self.parts or ():
            words += [f"{name} year"] if part == "year" else [f"{name} {part} sin", f"{name} {part} cos"]
        return (*words, *[f"{name} missing"] * bool(self.missing))

    def encode(self, name: str, things: Things, faults: Faults) -> NDArray[Any]:
        gaps = self.flags(name, things, faults)
        moments = _moments(name, things, faults)
        found = _fields(np.where(np.isnat(moments), np.datetime64(0, "us"), moments))
        columns = []
        for part in self.parts or ():
            if part == "year":
                mean, deviation = self._scale
                columns.append((found[part] - mean) / deviation)
                continue
            turn = 2 * np.pi * (found[part] - FIRST.get(part, 0)) / ROUNDS[part]
            columns += [np.sin(turn), np.cos(turn)]
        vectors = np.where(gaps[:, None], 0.0, np.stack(columns, axis=1))
        return np.concatenate([vectors, gaps[:, None]], axis=1) if self.missing else vectors

    def decode(self, vectors: NDArray[Any]) -> list[Any]:
        """Dates where year, month and day are among the parts, else dicts of the parts."""
        gaps = vectors[:, -1] > 0.5 if self.missing else np.zeros(len(vectors), bool)
        found: dict[str, list[int]] = {}
        place = 0
        for part in self.parts or ():
            if part == "year":
                mean, deviation = self._scale
                found[part] = np.rint(vectors[:, place] * deviation + mean).astype(int).tolist()
                place += 1
                continue
            turn = np.arctan2(vectors[:, place], vectors[:, place + 1]) / (2 * np.pi)
            steps = np.rint(turn * ROUNDS[part]).astype(int) % ROUNDS[part]
            found[part] = (steps + FIRST.get(part, 0)).tolist()
            place += 2
        rows = [dict(zip(found, row, strict=True)) for row in zip(*found.values(), strict=True)]
        return [None if gap else _date(row) for row, gap in zip(rows, gaps, strict=True)]

    @property
    def _scale(self) -> tuple[float, float]:
        assert self.mean is not None
        assert self.deviation is not None
        return self.mean, self.deviation


def _moments(name: str, things: Things, faults: Faults) -> NDArray[Any]:
    """Dates and times as NumPy's, to the microsecond; NaT where they are missing or wrong."""
    found = np.full(len(things), np.datetime64("NaT"), "datetime64[us]")
    for row, thing in enumerate(things):
        if thing is None:
            continue
        moment = _moment(thing)
        if moment is None:
            fix = 'ISO texts, "2024-12-31" or "2024-12-31T23:59"' if isinstance(thing, str) else None
            faults.add(row, name, f"{brief(thing)} is no date or time", fix=fix, got=thing)
        else:
            found[row] = np.datetime64(moment, "us")
    return found


def _moment(thing: Any) -> datetime.datetime | None:
    if isinstance(thing, str):
        try:
            thing = datetime.datetime.fromisoformat(thing)
        except ValueError:
            return None
    if isinstance(thing, datetime.datetime):
        return thing.replace(tzinfo=None)
    if isinstance(thing, datetime.date):
        return datetime.datetime(thing.year, thing.month, thing.day)
    if isinstance(thing, datetime.time):
        return datetime.datetime.combine(datetime.date(1970, 1, 1), thing.replace(tzinfo=None))
    return None


def _fields(moments: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Every part of some dates, as numbers."""
    days, months = moments.astype("datetime64[D]"), moments.astype("datetime64[M]")
    years = moments.astype("datetime64[Y]")
    seconds = (moments - days).astype("timedelta64[s]").astype(np.int64)
    return {
        "year": years.astype(np.int64) + 1970,
        "month": months.astype(np.int64) % 12 + 1,
        "day": (days - months.astype("datetime64[D]")).astype(np.int64) + 1,
        "weekday": (days.astype(np.int64) + 3) % 7,  # the first of January 1970 was a Thursday
        "yearday": (days - years.astype("datetime64[D]")).astype(np.int64) + 1,
        "hour": seconds // 3600,
        "minute": seconds // 60 % 60,
        "second": seconds % 60,
    }


def _date(parts: dict[str, int]) -> Any:
    """A date where the parts name one, with its time where they have an hour; else the parts."""
    if not {"year", "month", "day"} <= set(parts):
        return parts
    time = datetime.time(parts.get("hour", 0), parts.get("minute", 0), parts.get("second", 0))
    try:
        date = datetime.date(parts["year"], parts["month"], parts["day"])
        return datetime.datetime.combine(date, time) if "hour" in parts else date
    except ValueError:  # a net's answer may be the 31st of June
        return parts
