"""Schedules that count steps or epochs, and do not look at how many there will be."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import KW_ONLY
from typing import Any

from retia.errors import ArgumentError
from retia.nets.settings import choice, declared, real, setting, whole
from retia.training.schedule import Moment, Schedule

SHARE = real(0, 1)
PER = choice("epoch", "step")


def _count(per: str, at: Moment) -> int:
    return at.epoch if per == "epoch" else at.step


def _moments(name: str, value: Any) -> tuple[int, ...]:
    """A rule: whole numbers that rise."""
    several = isinstance(value, Sequence) and not isinstance(value, str)
    found = tuple(whole(1)(name, each) for each in value) if several else ()
    if not found or any(a >= b for a, b in zip(found, found[1:], strict=False)):
        raise ArgumentError(
            f"{name} are whole numbers that rise, like (30, 60, 80); got {value!r}.", got=value
        )
    return found


@declared
class Steady(Schedule):
    """The learning rate stays as it is.

    Example:
        >>> Steady().factor(Moment(7, 10))
        1.0
    """

    def factor(self, at: Moment) -> float:
        """1."""
        return 1.0

    def extends(self) -> bool:
        """It does."""
        return True

    def by_epoch(self) -> bool:
        """It is."""
        return True


@declared
class StepDecay(Schedule):
    """After every so many epochs the learning rate is multiplied by a factor.

    Args:
        every: at least 1, epochs between two falls.
        factor: 0..1, of each.
        per: ``"epoch"``, or ``"step"`` to count steps.
    Example:
        >>> [StepDecay(2).factor(Moment(0, 1, epoch, 5)) for epoch in range(5)]
        [1.0, 1.0, 0.1, 0.1, 0.010000000000000002]
    """

    every: int = setting(whole(1))
    multiplier: float = setting(SHARE, default=0.1, alias="factor")
    _: KW_ONLY
    per: str = setting(PER, default="epoch")

    def factor(self, at: Moment) -> float:
        """``factor ** (count // every)``."""
        return float(self.multiplier ** (_count(self.per, at) // self.every))

    def extends(self) -> bool:
        """It does."""
        return True

    def by_epoch(self) -> bool:
        """Where it counts them."""
        return self.per == "epoch"


@declared
class Milestones(Schedule):
    """At each of some epochs the learning rate is multiplied by a factor.

    Args:
        at: those epochs, rising; after 30 of them, if it begins with 30.
        factor: 0..1, of each.
        per: ``"epoch"``, or ``"step"`` to count steps.
    Example:
        >>> Milestones((30, 60, 80)).factor(Moment(0, 1, epoch=65, epochs=90))
        0.010000000000000002
    """

    at: tuple[int, ...] = setting(_moments)
    multiplier: float = setting(SHARE, default=0.1, alias="factor")
    _: KW_ONLY
    per: str = setting(PER, default="epoch")

    def factor(self, at: Moment) -> float:
        """``factor`` to the number of milestones passed."""
        return float(self.multiplier ** bisect_right(self.at, _count(self.per, at)))

    def extends(self) -> bool:
        """It does."""
        return True

    def by_epoch(self) -> bool:
        """Where it counts them."""
        return self.per == "epoch"


@declared
class ExponentialDecay(Schedule):
    """After every epoch the learning rate is multiplied by a factor.

    Args:
        factor: 0..1, of each epoch.
        per: ``"epoch"``, or ``"step"`` to count steps.
    Example:
        >>> ExponentialDecay(0.5).factor(Moment(0, 1, epoch=3, epochs=9))
        0.125
    """

    multiplier: float = setting(SHARE, alias="factor")
    _: KW_ONLY
    per: str = setting(PER, default="epoch")

    def factor(self, at: Moment) -> float:
        """``factor ** count``."""
        return float(self.multiplier ** _count(self.per, at))

    def extends(self) -> bool:
        """It does."""
        return True

    def by_epoch(self) -> bool:
        """Where it counts them."""
        return self.per == "epoch"
