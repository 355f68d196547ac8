"""The interface of schedules: frozen values that answer by how much the learning rate is multiplied.

A factor is a pure function of the moment. Nothing has a state, so a run goes on from anywhere.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from retia._figures import DASHES, SERIES, answer, axes, grid, legend
from retia.errors import ArgumentError
from retia.nets.expression import Content
from retia.nets.settings import settle, whole

FOREIGN = {
    "optimizer": "a schedule stands beside the optimizer in rt.train, so leave it out",
    "gamma": "it is called factor",
    "decay_rate": "it is called factor",
    "step_size": "it is called every, and comes first",
    "milestones": "they are called at, and come first",
    "boundaries": "they are called at, and come first",
    "T_max": "a run knows its length, so leave it out",
    "decay_steps": "a run knows its length, so leave it out",
    "total_steps": "a run knows its length, so leave it out",
    "total_iters": "a run knows its length; that of a warm-up is called length",
    "warmup_steps": "it is called warmup",
    "warmup_target": "it is the optimizer's learning_rate",
    "initial_learning_rate": "it is the optimizer's learning_rate",
    "max_lr": "it is the optimizer's learning_rate",
    "eta_min": "it is called least, a share of the learning rate",
    "min_lr": "it is called least, a share of the learning rate",
    "alpha": "it is called least",
    "end_learning_rate": "it is called least, a share of the learning rate",
    "pct_start": "it is called peak, and comes first",
    "div_factor": "it is first=1 / div_factor",
    "final_div_factor": "it is last=first / final_div_factor",
    "anneal_strategy": 'it is called curve, "cosine" or "linear"',
    "monitor": "it is called on",
    "mode": 'it is called better, "lower" or "higher"',
    "threshold": "it is called least_change",
    "min_delta": "it is called least_change",
    "last_epoch": "a run goes on where it was, so leave it out",
}
"""Arguments of other frameworks' schedules, and what is said here instead."""


@dataclass(frozen=True)
class Moment:
    """Where in a run a step is about to be made.

    Attributes:
        step: its number in the run, from 0.
        steps: of the whole run.
        epoch: that it belongs to, from 0.
        epochs: of the whole run.
        history: the entries of the epochs before, with their figures by name.
    """

    step: int
    steps: int
    epoch: int = 0
    epochs: int = 1
    history: Sequence[Mapping[str, Any]] = ()


class Schedule(Content, ABC):
    """The interface of schedules.

    ``rt.train(net, data, schedule=...)`` takes one, its name, or a function of the step's number.
    """

    cure: ClassVar[str] = ""
    foreign: ClassVar[Mapping[str, str]] = FOREIGN

    def __post_init__(self) -> None:
        settle(self)
        self.validate()

    def validate(self) -> None:  # noqa: B027 (most leaves have nothing to check)
        """Check settings against each other; for leaves to fill in."""

    @abstractmethod
    def factor(self, at: Moment) -> float:
        """By how much the learning rate of this step is multiplied, at least 0."""

    @abstractmethod
    def extends(self) -> bool:
        """Whether ten epochs and then ten more are twenty: it does not look at how long the run will be."""

    def plot(
        self,
        path: str | os.PathLike[str] | None = None,
        ax: Any = None,
        *,
        steps: int = 1000,
        epochs: int = 10,
    ) -> Any:
        """Draw the factor of every step of a run; the history of one has its rates.

        Args:
            path: where to save the picture (.png, .svg, .pdf), if anywhere.
            ax: matplotlib axes to draw on, instead of a figure of its own.
            steps: of the run, at least 1. epochs: that they make, at least 1.
        Returns:
            The matplotlib figure, or the axes that were given. Nothing global is changed.
        Raises:
            ArgumentError: it looks at the history, so there is no curve before a run.
        Example:
            >>> import retia as rt
            >>> drawn = rt.CosineDecay(warmup=10).plot(steps=100)
            >>> float(drawn.axes[0].lines[0].get_ydata().max())
            1.0
        """
        if self.needs():
            raise ArgumentError(
                f"plot: {self!r} looks at {', '.join(self.needs())}, so it has no curve before a run.",
                fix='[entry["rate"] for entry in run.history]',
            )
        whole(1)("plot: steps", steps)
        whole(1)("plot: epochs", epochs)
        moments = [Moment(step, steps, step * epochs // steps, epochs) for step in range(steps)]
        place = axes(ax, 4.6, 2.8)
        look = {"color": SERIES[len(place.lines) % len(SERIES)], "linestyle": DASHES[len(place.lines) % 3]}
        factors = [self.factor(moment) for moment in moments]
        place.plot(range(steps), factors, linewidth=1.8, label=repr(self), **look)
        place.set_xlabel("step")
        place.set_ylabel("factor of the learning rate")
        grid(place)
        legend(place)
        return answer(place, ax, path)

    def by_epoch(self) -> bool:
        """Whether all steps of an epoch have one factor, so that it need be asked for but once."""
        return False

    def needs(self) -> tuple[str, ...]:
        """The figures that every entry of the history must have."""
        return ()


def span(name: str, value: Any) -> int | float:
    """A rule: a number of steps (int), or a share of the run (float, 0..1)."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, float) and 0 <= value <= 1:
        return value
    raise ArgumentError(
        f"{name} is a whole number of steps, or a share of the run from 0.0 to 1.0; got {value!r}.", got=value
    )


def steps_of(length: int | float, steps: int) -> int:
    """A span as steps of a run of so many."""
    return length if isinstance(length, int) else round(length * steps)
