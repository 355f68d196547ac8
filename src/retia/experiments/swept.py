"""What a sweep answers: its trials as a table and a picture, the best first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from retia._figures import FIRST, SECOND, Drawable, figure, grid, legend, save
from retia.errors import TrainingError
from retia.experiments.ranges import Between
from retia.training import table
from retia.training.direction import LOWER
from retia.training.result import Training

CROWDED = 30
"""Letters below an axis, from which on its labels are turned."""


@dataclass(frozen=True, eq=False)
class Trial:
    """One of a sweep's trainings.

    Attributes:
        number: from 1, in the order of the grid or the draws.
        values: what was tried, by name.
        run: the training; None where there was an error before it.
        figures: of ``run.net``: what its epoch's entry in the history says.
        epochs: how many it was to have.
        error: what went wrong, if anything.
    """

    number: int
    values: Mapping[str, Any]
    run: Training | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    epochs: int = 0
    error: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class Sweep(Drawable):
    """What ``rt.sweep`` answers; ``print`` shows it as a table, the best first.

    Attributes:
        trials: the best first; those with an error last.
        by: the figure that they are compared by, as the history calls it.
        better: ``"higher"`` or ``"lower"``.
        why: the reason it ended.
    """

    trials: tuple[Trial, ...]
    by: str
    better: str
    why: str
    over: Mapping[str, Any]

    @property
    def best(self) -> Training:
        """The training of the best trial.

        Raises:
            TrainingError: none has the figure.
        """
        return self._best[1]

    @property
    def best_values(self) -> dict[str, Any]:
        """What the best trial tried, by name."""
        return dict(self._best[0].values)

    @property
    def _best(self) -> tuple[Trial, Training]:
        first = next(iter(self.trials), None)
        if first is None or first.run is None or self.by not in first.figures:
            said = [f"trial {trial.number}: {trial.error}" for trial in self.trials if trial.error]
            raise TrainingError(f"sweep: no trial has a {self.by}.", because=said[:3])
        return first, first.run

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One dict a trial: its values, its figures, its epochs and why it stopped, the best first."""
        return [
            {
                "trial": trial.number,
                **trial.values,
                **dict(sorted(trial.figures.items(), key=lambda told: self._rank(told[0]))),
                "epochs": len(trial.run.history) if trial.run is not None else 0,
                "stopped": trial.error or (trial.run.why if trial.run is not None else ""),
            }
            for trial in self.trials
        ]

    def _rank(self, figure: str) -> tuple[bool, bool]:
        """Figures that trials are compared by come first, then those of the validation part."""
        return figure != self.by, not figure.startswith("val_")

    def table(self) -> str:
        """The trials as lines of text."""
        return table.text(self.rows)

    def to_pandas(self) -> Any:
        """The trials as a ``pandas.DataFrame``.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return table.frame(self.rows)

    def plot(self, path: Any = None) -> Any:
        """Draw the figure against each of the values, with the best trial.

        Args:
            path: where to save the picture (.png, .svg, .pdf), if anywhere.
        Returns:
            The matplotlib figure.
        Raises:
            TrainingError: no trial has the figure.
        """
        best, _ = self._best
        done = [trial for trial in self.trials if math.isfinite(trial.figures.get(self.by, math.nan))]
        points = [(trial.values, trial.figures[self.by]) for trial in done]
        return _draw(points, self.over, self.by, (best.values, best.figures[self.by]), path)

    def __str__(self) -> str:
        return f"{self.table()}\nsorted by {self.by} ({self.better} is better); {self.why}"

    def __repr__(self) -> str:
        told = [f"{name} {table.show(value)}" for row in self.rows[:1] for name, value in row.items()]
        return f"<Sweep of {len(self.trials)} trials, best: {', '.join(told)}>"


def in_order(trials: Sequence[Trial], figure: str, better: str) -> list[Trial]:
    """The best first: those that went further, then by the figure; those without it last."""
    sign = 1 if better == LOWER else -1

    def place(trial: Trial) -> tuple[bool, int, float, int]:
        value = trial.figures.get(figure, math.nan)
        return (
            not math.isfinite(value),
            -trial.epochs,
            sign * value if math.isfinite(value) else 0.0,
            trial.number,
        )

    return sorted(trials, key=place)


def _draw(
    points: Sequence[tuple[Mapping[str, Any], float]],
    over: Mapping[str, Any],
    by: str,
    best: tuple[Mapping[str, Any], float],
    path: Any,
) -> Any:
    """One picture a name: the figure of each trial against its value; the best in colour."""
    made, axes = figure(1 + 2.6 * len(over), 3.0, len(over))
    for ax, (name, swept) in zip(axes, over.items(), strict=True):
        places = _places(ax, [tried[name] for tried, _ in points], swept)
        ax.plot(places, [value for _, value in points], "o", color=FIRST, alpha=0.6)
        ax.plot(
            _places(ax, [best[0][name]], swept), [best[1]], "*", color=SECOND, markersize=13, label="best"
        )
        ax.set_xlabel(name)
        grid(ax)
    axes[0].set_ylabel(by)
    legend(axes[0])
    return save(made, path)


def _places(ax: Any, values: Sequence[Any], swept: Any) -> list[Any]:
    """Where values stand on an axis: draws as they are, what was listed one beside the other."""
    if isinstance(swept, Between):
        ax.set_xscale("log" if swept.log else "linear")
        return [*values]
    labels = [table.show(each) for each in swept]
    ax.set_xticks(range(len(labels)), labels, rotation=20 if sum(map(len, labels)) > CROWDED else 0)
    ax.set_xlim(-0.5, len(labels) - 0.5)
    return [labels.index(table.show(value)) for value in values]
