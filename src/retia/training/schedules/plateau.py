"""A schedule that looks at how the training goes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import KW_ONLY
from typing import Any

from retia.errors import ArgumentError, did_you_mean
from retia.nets.settings import choice, declared, real, setting, whole
from retia.training.direction import HIGHER, LOWER, better_of
from retia.training.schedule import Moment, Schedule

SHARE = real(0, 1)
RATE = real(0)


def _figure(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ArgumentError(f'{name} is the name of a figure, like "val_loss"; got {value!r}.', got=value)
    return value


@declared
class OnPlateau(Schedule):
    """When a figure has not become better for some epochs, the learning rate is multiplied by a factor.

    Args:
        factor: 0..1, of each fall.
        on: the figure's name, as in the history.
        patience: at least 1, epochs in a row without a better figure after which the factor falls, as in
            ``EarlyStopping``; PyTorch's scheduler waits for one more.
        better: ``"lower"`` or ``"higher"``; left out, it follows from the figure's name.
        least_change: at least 0, by how much a better figure must be better.
        cooldown: at least 0, epochs after a fall in which none is counted.
        least: 0..1, below which the factor does not fall.
    Raises:
        ArgumentError: no one knows which direction of the figure is better.
    Example:
        >>> seen = [{"val_loss": loss} for loss in (0.9, 0.5, 0.6, 0.5)]
        >>> OnPlateau(0.5, patience=2).factor(Moment(0, 1, 4, 9, seen))
        0.5
    """

    multiplier: float = setting(SHARE, default=0.1, alias="factor")
    _: KW_ONLY
    on: str = setting(_figure, default="val_loss")
    patience: int = setting(whole(1), default=3)
    better: str | None = setting(choice(None, LOWER, HIGHER), default=None)
    least_change: float = setting(RATE, default=0.0)
    cooldown: int = setting(whole(0), default=0)
    least: float = setting(SHARE, default=0.0)

    def validate(self) -> None:
        """The direction must be known."""
        self._direction()

    def factor(self, at: Moment) -> float:
        """That of the falls so far, which the history tells."""
        best, factor, waited, cooling = math.inf, 1.0, 0, 0
        for figure in self._figures(at):
            if figure < best - self.least_change:
                best, waited = figure, 0
            else:
                waited += 1
            if cooling:
                cooling, waited = cooling - 1, 0
            if waited >= self.patience:
                factor = max(factor * self.multiplier, self.least)
                waited, cooling = 0, self.cooldown
        return factor

    def _figures(self, at: Moment) -> Iterator[float]:
        """Those of the epochs before, turned so that lower is better."""
        sign = -1.0 if self._direction() == HIGHER else 1.0
        for entry in at.history:
            if self.on not in entry:
                known = [name for name, value in entry.items() if isinstance(value, float)]
                raise ArgumentError(
                    f"OnPlateau: the history has no {self.on!r}.{did_you_mean(self.on, known)}",
                    fix=f"on= one of {', '.join(known)}",
                    got=self.on,
                )
            yield sign * entry[self.on]

    def _direction(self) -> str:
        if self.better is not None:
            return self.better
        return better_of(self.on, "OnPlateau")

    def extends(self) -> bool:
        """It does."""
        return True

    def by_epoch(self) -> bool:
        """It is."""
        return True

    def needs(self) -> tuple[str, ...]:
        """The figure."""
        return (self.on,)
