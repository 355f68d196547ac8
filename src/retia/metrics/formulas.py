"""Formulas of decisions, from how often each class was right, was meant and was answered.

The same numbers are added up over the batches of a training and counted by ``rt.measure``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia.errors import ArgumentError, did_you_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

AVERAGES = ("macro", "micro", "weighted")


@dataclass(frozen=True)
class Rates:
    """Precision, recall, F1 and IoU, of one class or averaged over the classes.

    Attributes:
        precision: share of those answered so that are; 0 where none was answered so.
        recall: share of those that are so that were answered so; 0 where none is.
        f1: harmonic mean of the two.
        examples: how many are so.
        iou: those that are so and were answered so, by those that either holds for (the Jaccard index).
    """

    precision: float
    recall: float
    f1: float
    examples: int
    iou: float


@dataclass(frozen=True)
class Counted:
    """Decisions, counted by class.

    Attributes:
        right: of each class, how often it was answered where it was meant.
        true: how often it was meant.
        answered: how often it was answered.
        ignored: the number of a class that has no part in averages, for it is never meant.
    """

    right: NDArray[Any]
    true: NDArray[Any]
    answered: NDArray[Any]
    ignored: int | None = None

    @property
    def accuracy(self) -> float:
        """Share of right decisions."""
        return float(self.right.sum() / self.true.sum())

    @property
    def precision(self) -> NDArray[Any]:
        """Of each class."""
        return shares(self.right, self.answered)

    @property
    def recall(self) -> NDArray[Any]:
        """Of each class."""
        return shares(self.right, self.true)

    @property
    def f1(self) -> NDArray[Any]:
        """Of each class."""
        return shares(2 * self.right, self.true + self.answered)

    @property
    def iou(self) -> NDArray[Any]:
        """Of each class."""
        return shares(self.right, self.true + self.answered - self.right)

    def of(self, number: int) -> Rates:
        """The rates of one class."""
        return Rates(
            float(self.precision[number]), float(self.recall[number]), float(self.f1[number]),
            int(self.true[number]), float(self.iou[number]),
        )  # fmt: skip

    def averaged(self, how: str) -> Rates:
        """The rates of all classes in one.

        Args:
            how: ``"macro"`` (every class that is meant or answered counts alike), ``"weighted"`` (by how
                often it is meant) or ``"micro"`` (every decision counts alike).
        Raises:
            ArgumentError: another average.
        """
        if how not in AVERAGES:
            raise ArgumentError(
                f"averaged: there is no {how!r}.{did_you_mean(how, AVERAGES)}",
                fix=f"one of {', '.join(map(repr, AVERAGES))}",
                got=how,
            )
        examples = int(self.true.sum())
        if how == "micro":
            right, every = float(self.right.sum()), float((self.true + self.answered).sum())
            return Rates(self.accuracy, self.accuracy, self.accuracy, examples, right / (every - right))
        weights = self.true if how == "weighted" else self._occurring
        rates = (self.precision, self.recall, self.f1, self.iou)
        precision, recall, f1, iou = (float(np.average(each, weights=weights)) for each in rates)
        return Rates(precision, recall, f1, examples, iou)

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that occur."""
        return float(self.recall[self.true > 0].mean())

    @property
    def mean_iou(self) -> float:
        """Mean IoU of the classes that are meant or answered."""
        return float(self.iou[self._occurring].mean())

    @property
    def _occurring(self) -> NDArray[Any]:
        """Which classes are meant or answered, and not ignored."""
        occurring = self.true + self.answered > 0
        if self.ignored is not None:
            occurring = occurring & (np.arange(len(occurring)) != self.ignored)
        return np.asarray(occurring)

    @property
    def cohen_kappa(self) -> float:
        """How much more often than by chance: ``(a - c) / (1 - c)``; NaN where only one label occurs.

        Source: Cohen 1960.
        """
        every = float(self.true.sum())
        chance = float((self.true / every * (self.answered / every)).sum())
        return (self.accuracy - chance) / (1 - chance) if chance < 1 else math.nan

    @property
    def matthews(self) -> float:
        """Correlation of truths and answers, -1..1; 0 where one of them is always the same.

        Source: Matthews 1975; for several classes Gorodkin 2004.
        """
        every = float(self.true.sum())
        true, answered = self.true / every, self.answered / every
        spread = (1 - float((true**2).sum())) * (1 - float((answered**2).sum()))
        both = self.accuracy - float((true * answered).sum())
        return both / math.sqrt(spread) if spread > 1e-15 else 0.0


def counted(true: NDArray[Any], answered: NDArray[Any], classes: int, ignored: int | None = None) -> Counted:
    """Class numbers, counted; those that are ignored are left out before."""
    true, answered = np.ravel(true), np.ravel(answered)
    return Counted(
        np.bincount(true[true == answered], minlength=classes),
        np.bincount(true, minlength=classes),
        np.bincount(answered, minlength=classes),
        ignored,
    )


def shares(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[Any]:
    """Quotients, 0 where the whole is 0."""
    return np.asarray(part / np.where(whole > 0, whole, 1))


def explained(wrong: NDArray[Any], spread: NDArray[Any]) -> float:
    """Mean share of a spread that is explained: 1 - wrong / spread, by position.

    Where there is no spread, 1 for a perfect answer and 0 for another.
    """
    flat = np.where(wrong == 0, 1.0, 0.0)
    return float(np.where(spread > 0, 1 - wrong / np.where(spread > 0, spread, 1), flat).mean())
