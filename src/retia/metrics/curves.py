"""Curves over all thresholds: ROC, and precision against recall."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._figures import DASHES, SERIES, Drawable, answer, axes, grid, ink, legend
from retia._late import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROC, PRECISION_RECALL = "roc", "precision-recall"
_AXES = {ROC: ("false positive rate", "true positive rate"), PRECISION_RECALL: ("recall", "precision")}
_AREAS = {ROC: "AUC", PRECISION_RECALL: "average precision"}


@dataclass(frozen=True, eq=False, repr=False)
class Curve(Drawable):
    """How two rates move as the threshold goes down, from answering no one yes to everyone.

    Attributes:
        kind: ``"roc"`` (false against true positives) or ``"precision-recall"``.
        label: of which class.
        x: false positive rate, or recall; 0..1, rising.
        y: true positive rate, or precision; 0..1.
        thresholds: an example is a yes from this probability on; the first is above all.
        area: under the ROC curve, or the average precision; NaN where it is not defined.
        share: of the examples that are of the class.
    Example:
        >>> import retia as rt
        >>> net = rt.Chain(rt.Sigmoid(), input=(), output=rt.Boolean())
        >>> m = rt.measure(net, ([-1.0, 0.5, 2.0], [False, True, True]))
        >>> m.roc()
        <Curve roc of True: AUC 1.0000>
    """

    kind: str
    label: Any
    x: NDArray[Any]
    y: NDArray[Any]
    thresholds: NDArray[Any]
    area: float
    share: float

    def plot(self, path: str | os.PathLike[str] | None = None, ax: Any = None) -> Any:
        """Draw the curve, and with dots what chance would give.

        Args:
            path: where to save the picture (.png, .svg, .pdf), if anywhere.
            ax: matplotlib axes to draw on, instead of a figure of its own; several curves share one.
        Returns:
            The matplotlib figure, or the axes that were given. Nothing global is changed.
        """
        place = axes(ax, 4.2, 3.9)
        number = len(place.lines) // 2  # each curve has its line of chance
        look = {"color": SERIES[number % len(SERIES)], "linestyle": DASHES[number % (len(DASHES) - 1)]}
        is_roc = self.kind == ROC
        told = f"{self.label}: {_AREAS[self.kind]} {self.area:.3f}"
        way = "default" if is_roc else "steps-pre"
        place.plot(self.x, self.y, drawstyle=way, label=told, clip_on=False, linewidth=1.8, **look)
        chance = [0, 1] if is_roc else [self.share] * 2
        place.plot([0, 1], chance, color=ink(place), alpha=0.5, linewidth=1, linestyle=":")
        place.set(xlim=(0, 1), ylim=(0, 1.02), xlabel=_AXES[self.kind][0], ylabel=_AXES[self.kind][1])
        grid(place)
        legend(place, loc="lower right" if is_roc else "lower left")
        return answer(place, ax, path)

    def __repr__(self) -> str:
        return f"<Curve {self.kind} of {self.label}: {_AREAS[self.kind]} {self.area:.4f}>"


def roc(label: Any, scores: NDArray[Any], true: NDArray[Any], chances: NDArray[Any]) -> Curve:
    """The ROC curve; its area is how often a yes scores above a no, ties counting half.

    Args:
        label: of the class.
        scores: rising with how likely a yes is. true: what is a yes.
        chances: the probabilities, for the thresholds.
    """
    yes, no, cuts = _steps(scores, true, chances)
    with np.errstate(invalid="ignore"):
        x, y = no / no[-1], yes / yes[-1]
    return Curve(ROC, label, x, y, cuts, auc(scores, true), float(true.mean()))


def precision_recall(label: Any, scores: NDArray[Any], true: NDArray[Any], chances: NDArray[Any]) -> Curve:
    """Precision against recall; its area is the average precision. The arguments are as of ``roc``."""
    yes, no, cuts = _steps(scores, true, chances)
    with np.errstate(invalid="ignore"):
        recall = yes / yes[-1]
    precision = np.concatenate([[1.0], yes[1:] / (yes + no)[1:]])
    area = average_precision(scores, true)
    return Curve(PRECISION_RECALL, label, recall, precision, cuts, area, float(true.mean()))


def auc(scores: NDArray[Any], true: NDArray[Any]) -> float:
    """Area under the ROC curve; NaN where all examples are alike."""
    yes, no, _ = _steps(scores, true, scores)
    every = int(yes[-1]) * int(no[-1])
    return float((np.diff(no) * (yes[1:] + yes[:-1])).sum() / 2 / every) if every else float("nan")


def average_precision(scores: NDArray[Any], true: NDArray[Any]) -> float:
    """Precision at every threshold, weighted by what recall gains there; NaN where nothing is a yes."""
    yes, no, _ = _steps(scores, true, scores)
    if not yes[-1]:
        return float("nan")
    return float((np.diff(yes) / yes[-1] * yes[1:] / (yes + no)[1:]).sum())


def _steps(
    scores: NDArray[Any], true: NDArray[Any], chances: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """How many are answered yes rightly and wrongly from each different score on, the highest first."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)  # of equal scores the last
    yes = np.cumsum(true[order])[last]
    none = np.zeros(1, np.int64)
    cuts = np.concatenate([[np.inf], chances[order][last]])
    return np.concatenate([none, yes]), np.concatenate([none, last + 1 - yes]), cuts
