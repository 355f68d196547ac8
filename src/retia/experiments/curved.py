"""What a learning curve answers: its points, its picture, and in words whether more data is worth it."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._figures import FIRST, SECOND, Drawable, answer, axes, grid, legend
from retia._late import numpy as np
from retia.errors import TrainingError
from retia.training import table
from retia.training.direction import HIGHER
from retia.training.result import Training

if TYPE_CHECKING:
    from numpy.typing import NDArray

MATTERS = 0.05
"""A doubling of the examples matters from such a share of what is missing on."""


@dataclass(frozen=True, eq=False)
class Point:
    """One size of the training set.

    Attributes:
        size: examples. epochs: that each net was trained for.
        runs: one training a seed.
        trained: the figure on the training examples, in inference behaviour, one a seed.
        validated: the same on the validation part.
        pieces: the same on pieces of the validation part, (pieces, seeds).
    """

    size: int
    epochs: int
    runs: tuple[Training, ...]
    trained: Sequence[float]
    validated: Sequence[float]
    pieces: NDArray[Any]

    @property
    def training(self) -> float:
        """The mean over the seeds on the training examples."""
        return float(np.mean(self.trained))

    @property
    def validation(self) -> float:
        """The mean over the seeds on the validation part."""
        return float(np.mean(self.validated))

    @property
    def error(self) -> float:
        """The standard error of ``validation``, by its pieces and seeds; NaN where there is one of each."""
        return standard_error(self.pieces)


@dataclass(frozen=True, eq=False, repr=False)
class LearningCurve(Drawable):
    """What ``rt.learning_curve`` answers; ``print`` shows a table and the verdict.

    Attributes:
        points: by size, ascending.
        by: the figure.
        better: ``"higher"`` or ``"lower"``.
    """

    points: tuple[Point, ...]
    by: str
    better: str

    @property
    def gain(self) -> float:
        """By how much the last stretch improved the figure for each doubling of the examples.

        Raises:
            TrainingError: fewer than two sizes were trained.
        """
        before, last = self._stretch
        return self._sign * (last.validation - before.validation) / math.log2(last.size / before.size)

    @property
    def uncertainty(self) -> float:
        """Two standard errors of ``gain``: the same examples are compared, piece by piece; NaN if unknown."""
        before, last = self._stretch
        return 2 * standard_error(last.pieces - before.pieces) / math.log2(last.size / before.size)

    @property
    def verdict(self) -> str:
        """In words: whether more data is worth it."""
        if len(self.points) < 2:
            return "Fewer than two sizes were trained, so nothing can be told."
        before, last = self._stretch
        gain, spread, missing = self.gain, self.uncertainty, self._missing
        change = "improved" if gain >= 0 else "worsened"
        told = f"from {before.size:,} to {last.size:,} examples {self.by} {change} by {abs(gain):.2g}"
        told += f" ± {spread:.1g} with each doubling" if math.isfinite(spread) else " with each doubling"
        unknown = f"It cannot be told whether more data is worth it: {told}"
        if not math.isfinite(spread):
            return f"{unknown}, but nobody knows how certain that is."
        if gain > spread and gain >= MATTERS * missing:
            value = last.validation + self._sign * gain
            return f"More data is worth it: {told}. {2 * last.size:,} may give about {value:.3g}."
        if gain + spread < MATTERS * missing:
            return f"More data is hardly worth it: {told}.{self._instead()}"
        return f"{unknown}. More seeds, or more examples for validation, would tell."

    def _instead(self) -> str:
        """What may help where more data does not."""
        last = self.points[-1]
        if self._sign * (last.training - last.validation) > 2 * MATTERS * self._missing:
            return ""
        return " The net does no better on what it has seen: a larger one, or more epochs, may help more."

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One dict a size."""
        return [
            {
                "examples": point.size,
                "epochs": point.epochs,
                "seeds": len(point.runs),
                self.by: point.training,
                f"val_{self.by}": point.validation,
                "error": point.error,
            }
            for point in self.points
        ]

    def table(self) -> str:
        """The sizes as lines of text; ``error`` is the standard error of the validation figure."""
        return table.text(self.rows)

    def to_pandas(self) -> Any:
        """The sizes as a ``pandas.DataFrame``.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return table.frame(self.rows)

    def plot(self, path: str | os.PathLike[str] | None = None, ax: Any = None) -> Any:
        """Draw the figure against the number of examples, for training and validation.

        Args:
            path: where to save the picture (.png, .svg, .pdf), if anywhere.
            ax: matplotlib axes to draw on, instead of a figure of its own.
        Returns:
            The matplotlib figure, or the axes that were given.
        Raises:
            TrainingError: no size was trained.
        """
        if not self.points:
            raise TrainingError("No size was trained, so there is no curve.")
        place = axes(ax, 5.6, 3.3)
        sizes = [point.size for point in self.points]
        found = [point.validation for point in self.points]
        errors = [2 * point.error if math.isfinite(point.error) else 0.0 for point in self.points]
        trained = [point.training for point in self.points]
        place.plot(sizes, trained, marker=".", color=FIRST, linewidth=1.8, label="training")
        told = "validation, ± 2 standard errors"
        look = {"color": SECOND, "linestyle": "--", "linewidth": 1.8, "elinewidth": 1.2, "capsize": 3}
        place.errorbar(sizes, found, errors, marker=".", label=told, **look)
        place.fill_between(sizes, trained, found, color=SECOND, alpha=0.15, linewidth=0)
        place.set_xscale("log")
        place.set_xticks(sizes, [f"{size:,}" for size in sizes])
        place.set_xticks([], minor=True)
        place.set_xlabel("training examples")
        place.set_ylabel(self.by)
        grid(place)
        legend(place)
        return answer(place, ax, path)

    def __str__(self) -> str:
        return f"{self.table()}\n{self.verdict}"

    def __repr__(self) -> str:
        told = ", ".join(f"{point.size:,}: {point.validation:.4g}" for point in self.points)
        return f"<LearningCurve of val_{self.by}, {told}>"

    @property
    def _stretch(self) -> tuple[Point, Point]:
        if len(self.points) < 2:
            raise TrainingError("Fewer than two sizes were trained, so there is no last stretch.")
        return self.points[-2], self.points[-1]

    @property
    def _sign(self) -> int:
        return 1 if self.better == HIGHER else -1

    @property
    def _missing(self) -> float:
        """How far the last figure is from the best there can be: 1 where more is better, else 0."""
        return abs(self.points[-1].validation - (1.0 if self.better == HIGHER else 0.0))


def standard_error(values: NDArray[Any]) -> float:
    """The standard error of the mean of a table of figures, from pieces (rows) and seeds (columns).

    Where there is one row or one column, the other tells alone; NaN where there is one of each.
    """
    parts = [
        np.var(values.mean(1 - axis), ddof=1) / values.shape[axis]
        for axis in (0, 1)
        if values.shape[axis] > 1
    ]
    return math.sqrt(sum(parts)) if parts else math.nan
