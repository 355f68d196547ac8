"""What a sweep tries: every combination of listed values, or draws from lists and ranges."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import product
from typing import Any

from retia.errors import ArgumentError
from retia.nets.settings import flag, real
from retia.sources.order import permutation


@dataclass(frozen=True)
class Between:
    """A range that ``rt.sweep`` draws from.

    Args:
        low: the lowest value.
        high: above ``low``; the highest value.
        log: draw evenly over the logarithm: as many from 0.001 to 0.01 as from 0.01 to 0.1.
        whole: draw whole numbers, both ends included.
    Raises:
        ArgumentError: a range that is empty, a logarithm of what is not above 0, ends that are not whole.
    Example:
        >>> Between(1e-4, 1e-2, log=True).draw(0.5)
        0.001
        >>> [Between(1, 3, whole=True).draw(share) for share in (0.0, 0.5, 0.999)]
        [1, 2, 3]
    """

    low: float
    high: float
    _: KW_ONLY
    log: bool = False
    whole: bool = False

    def __post_init__(self) -> None:
        real()("Between: low", self.low)
        real()("Between: high", self.high)
        flag("Between: log", self.log)
        flag("Between: whole", self.whole)
        if not self.low < self.high:
            raise ArgumentError(f"{self!r}: low is below high.", fix=f"rt.Between({self.high}, {self.low})")
        if self.log and self.low <= 0:
            raise ArgumentError(f"{self!r}: a logarithm needs a low above 0.", got=self.low)
        if self.whole and not (float(self.low).is_integer() and float(self.high).is_integer()):
            raise ArgumentError(f"{self!r}: the ends of a range of whole numbers are whole.", got=self)

    def draw(self, share: float) -> float:
        """The value at a share of the range, 0 to below 1."""
        low, high = float(self.low), float(self.high)
        if self.whole:
            low, high = low - 0.5, high + 0.5
        if self.log:
            value = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        else:
            value = low + share * (high - low)
        if self.whole:
            return min(max(round(value), round(self.low)), round(self.high))
        return float(f"{value:.6g}")  # what a table shows is what was tried


@dataclass(frozen=True)
class Choice:
    """A value that a trial tries.

    Attributes:
        value: as it was listed or drawn.
        mark: tells it from other values of the same name; values themselves may not be comparable.
    """

    value: Any
    mark: Any


def read_over(over: Any) -> dict[str, Between | list[Any]]:
    """What is swept over, by name: a range or a list of values.

    Raises:
        ArgumentError: no dict, or something else, or a list with nothing in it.
    """
    if not isinstance(over, Mapping) or not over:
        raise ArgumentError(
            f"sweep: over is a dict from names to values; got {over!r}.",
            fix='over={"batch_size": [32, 64], "learning_rate": rt.Between(1e-4, 1e-1, log=True)}',
            got=over,
        )
    read: dict[str, Between | list[Any]] = {}
    for name, given in over.items():
        listed = isinstance(given, Sequence | range) and not isinstance(given, str)
        if not isinstance(given, Between) and not (listed and len(given)):
            raise ArgumentError(
                f"sweep: over[{name!r}] is a list of values or an rt.Between; got {given!r}.",
                fix=f"over={{{name!r}: [{given!r}]}}",
                got=given,
            )
        read[str(name)] = given if isinstance(given, Between) else [*given]
    return read


def grid(over: Mapping[str, Between | list[Any]]) -> list[dict[str, Choice]]:
    """Every combination, the last name changing fastest.

    Raises:
        ArgumentError: there is a range.
    """
    for name, given in over.items():
        if isinstance(given, Between):
            raise ArgumentError(
                f"sweep: a grid needs lists, but over[{name!r}] is {given!r}.",
                fix="method='random'",
                path=name,
            )
    listed = [[Choice(value, place) for place, value in enumerate(v)] for v in over.values()]  # type: ignore[arg-type]
    return [dict(zip(over, chosen, strict=True)) for chosen in product(*listed)]


def drawn(over: Mapping[str, Between | list[Any]], trials: int, seed: int) -> list[dict[str, Choice]]:
    """Draws that depend on the seed alone; where all are lists, no combination comes twice."""
    if not any(isinstance(given, Between) for given in over.values()):
        every = grid(over)
        return [every[place] for place in permutation(len(every), "sweep", seed)[:trials]]
    return [
        {name: _choice(given, _share(seed, trial, name)) for name, given in over.items()}
        for trial in range(trials)
    ]


def _choice(given: Between | list[Any], share: float) -> Choice:
    if isinstance(given, Between):
        value = given.draw(share)
        return Choice(value, value)
    place = int(share * len(given))
    return Choice(given[place], place)


def _share(seed: int, trial: int, name: str) -> float:
    """A number from 0 to below 1 that depends on what it is for alone."""
    digest = hashlib.sha256(f"sweep/{seed}/{trial}/{name}".encode()).digest()
    return (int.from_bytes(digest[:8], "little") >> 11) / 2**53
