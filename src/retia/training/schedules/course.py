"""Schedules that spread a curve over the run: warm-up, polynomial and cosine decay, one cycle."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, replace

from retia.errors import ArgumentError
from retia.nets.settings import choice, declared, real, setting
from retia.training.schedule import Moment, Schedule, span, steps_of
from retia.training.schedules.decay import Steady

SHARE = real(0, 1)


def _schedule(name: str, value: object) -> Schedule:
    """A rule: a schedule."""
    if not isinstance(value, Schedule):
        raise ArgumentError(
            f"{name} is a schedule; got {value!r}.", fix="then=rt.StepDecay(30), for example", got=value
        )
    return value


def _passed(at: Moment) -> float:
    """The share of the run that is over, 0..1."""
    return min(at.step / max(at.steps, 1), 1.0)


@declared
class Warmup(Schedule):
    """A linear rise over the first steps, and then another schedule.

    Of n such steps, counted from 0, step k has the factor ``(k + 1) / (n + 1)``, so that none is in vain.
    What comes then counts its steps from where the rise ends, and epochs from the start of the run.

    Args:
        length: at least 0, in steps; or 0.0..1.0, a share of the run.
        then: the schedule after it.
    Source: Goyal et al. 2017, Accurate, large minibatch SGD.
    Example:
        >>> [Warmup(3).factor(Moment(step, 100)) for step in range(5)]
        [0.25, 0.5, 0.75, 1.0, 1.0]
    """

    length: int | float = setting(span)
    _: KW_ONLY
    then: Schedule = setting(_schedule, default=Steady())

    def factor(self, at: Moment) -> float:
        """``(step + 1) / (length + 1)``, then that of ``then``."""
        length = steps_of(self.length, at.steps)
        rise = min((at.step + 1) / (length + 1), 1.0)
        after = replace(at, step=max(at.step - length, 0), steps=max(at.steps - length, 1))
        return rise * self.then.factor(after)

    def extends(self) -> bool:
        """Where its length is in steps, and what follows does."""
        return isinstance(self.length, int) and self.then.extends()

    def needs(self) -> tuple[str, ...]:
        """What follows needs them."""
        return self.then.needs()


@declared
class PolynomialDecay(Schedule):
    """A fall to nothing at the end of the run: a straight line, or a power of one.

    Args:
        power: above 0; 1 is a straight line.
        least: 0..1, the factor at the end.
        warmup: at least 0, steps; or 0.0..1.0, a share of the run. See ``Warmup``.
    Example:
        >>> [PolynomialDecay().factor(Moment(step, 4)) for step in range(4)]
        [1.0, 0.75, 0.5, 0.25]
    """

    power: float = setting(real(1e-6), default=1.0)
    _: KW_ONLY
    least: float = setting(SHARE, default=0.0)
    warmup: int | float = setting(span, default=0)

    def factor(self, at: Moment) -> float:
        """``least + (1 - least) * (1 - passed) ** power``."""
        if self.warmup:
            return Warmup(self.warmup, then=replace(self, warmup=0)).factor(at)
        return self.least + (1 - self.least) * math.pow(1 - _passed(at), self.power)

    def extends(self) -> bool:
        """It ends with the run."""
        return False


@declared
class CosineDecay(Schedule):
    """A fall to nothing at the end of the run along half a cosine: slow, fast, slow.

    Args:
        least: 0..1, the factor at the end.
        warmup: at least 0, steps; or 0.0..1.0, a share of the run. See ``Warmup``.
    Source: Loshchilov and Hutter 2017, SGDR.
    Example:
        >>> [round(CosineDecay(warmup=1).factor(Moment(step, 5)), 3) for step in range(5)]
        [0.5, 1.0, 0.854, 0.5, 0.146]
    """

    _: KW_ONLY
    least: float = setting(SHARE, default=0.0)
    warmup: int | float = setting(span, default=0)

    def factor(self, at: Moment) -> float:
        """``least + (1 - least) * (1 + cos(pi * passed)) / 2``."""
        if self.warmup:
            return Warmup(self.warmup, then=replace(self, warmup=0)).factor(at)
        return _half_cosine(1.0, self.least, _passed(at))

    def extends(self) -> bool:
        """It ends with the run."""
        return False


@declared
class OneCycle(Schedule):
    """A rise to the optimizer's learning rate and a long fall far below its start.

    That rate may be some three to ten times as high as without a schedule; ``rt.find_rate`` tells. The
    momentum stays as it is.

    Args:
        peak: at least 0, the steps of the rise; or 0.0..1.0, a share of the run.
        first: 0..1, the factor of the first step.
        last: 0..1, that of the last.
        curve: ``"cosine"`` or ``"linear"``.
    Source: Smith and Topin 2018, Super-convergence.
    Example:
        >>> [round(OneCycle(0.5).factor(Moment(step, 6)), 3) for step in range(6)]
        [0.04, 0.52, 1.0, 0.75, 0.25, 0.0]
    """

    peak: int | float = setting(span, default=0.3)
    _: KW_ONLY
    first: float = setting(SHARE, default=0.04)
    last: float = setting(SHARE, default=4e-6)
    curve: str = setting(choice("cosine", "linear"), default="cosine")

    def factor(self, at: Moment) -> float:
        """From ``first`` to 1 at the peak, from there to ``last`` at the end."""
        end = at.steps - 1.0
        peak = min((self.peak if isinstance(self.peak, int) else self.peak * at.steps) - 1.0, end)
        if at.step <= peak:
            return self._between(self.first, 1.0, at.step, 0.0, peak)
        return self._between(1.0, self.last, at.step, peak, end)

    def _between(self, first: float, last: float, step: int, begin: float, end: float) -> float:
        share = min((step - begin) / (end - begin), 1.0) if end > begin else 1.0
        if self.curve == "linear":
            return first + (last - first) * share
        return _half_cosine(first, last, share)

    def extends(self) -> bool:
        """It ends with the run."""
        return False


def _half_cosine(first: float, last: float, share: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2
