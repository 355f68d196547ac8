"""What a measurement keeps of an output: a few numbers a decision, and every score where they are few.

Whatever the size of the data, a decision leaves 11 to 20 bytes and numbers leave sums. All scores of all
examples (``KEPT`` numbers at most, unless they are asked for by a figure's name) give the rest: curves,
temperature, medians, probabilities.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia.codecs.boxes import Boxes
from retia.errors import UnknownNameError
from retia.metrics.calibration import Calibration, calibration
from retia.metrics.detections import AveragePrecision, Found, average_precisions
from retia.metrics.formulas import Counted, counted, explained
from retia.metrics.scores import BOOLEAN, BOXES, CLASSES, NOTHING, NUMBERS, Scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEPT = 2**24
"""So many scores are kept unasked; in float32 they are 64 MB."""

Arrays = Mapping[str, Any]


class Kept(ABC):
    """The interface of what is kept of one output. ``arrays`` has one row an example, in their order.

    Where their lengths vary, rows of decisions are padded, numbers stand one after the other, and ``sizes``
    says how many positions, or numbers, each example has.
    """

    sense: str
    arrays: Arrays

    def all_of(self, name: str, asked: str) -> NDArray[Any]:
        """An array that is kept of few examples, or when it was asked for.

        Raises:
            UnknownNameError: it was not kept.
        """
        if name not in self.arrays:
            figure = "median_absolute_error" if self.sense == NUMBERS else "auc"
            raise UnknownNameError(
                f"{asked} needs every score, and unasked only {KEPT:,} are kept.",
                fix=f'rt.measure(net, data, metrics=["{figure}"]) keeps all of them, in 4 bytes each',
                path=asked,
            )
        return np.asarray(self.arrays[name])


class Decisions(Kept):
    """The interface of outputs that decide. Truths and answers are class numbers (n, *positions)."""

    labels: tuple[Any, ...]
    ignored: int | None = None

    @property
    def true(self) -> NDArray[Any]:
        """What is meant."""
        return np.asarray(self.arrays["true"])

    @property
    def answered(self) -> NDArray[Any]:
        """What the net answers."""
        return np.asarray(self.arrays["answered"])

    @property
    def known(self) -> NDArray[Any] | None:
        """True for decisions that count, (n, *positions); None where all do."""
        found = self.arrays.get("known")
        return None if found is None else np.asarray(found)

    @property
    def hits(self) -> NDArray[Any]:
        """Which decisions are right, or do not count: (n, *positions)."""
        right = self.true == self.answered
        return np.asarray(right if self.known is None else right | ~self.known)

    @property
    @abstractmethod
    def confidence(self) -> NDArray[Any]:
        """The probability of each answer, (n, *positions)."""

    def flat(self, array: NDArray[Any]) -> NDArray[Any]:
        """What counts of an array with an entry, or a row, for each decision: (k), or (k, n)."""
        axes = self.true.ndim
        if self.known is not None:
            return np.asarray(array[self.known])
        return array.reshape(-1, *array.shape[axes:])

    @cached_property
    def counted(self) -> Counted:
        """Decisions by class."""
        return counted(self.flat(self.true), self.flat(self.answered), len(self.labels), self.ignored)

    @property
    @abstractmethod
    def log_loss(self) -> float:
        """Mean of -log p of the truth."""

    @property
    @abstractmethod
    def brier(self) -> float:
        """Mean squared error of the probabilities."""

    @abstractmethod
    def calibration(self, bins: int) -> Calibration:
        """Probabilities against how often they came true."""

    @abstractmethod
    def scores(self, number: int, asked: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Of one class against the rest: scores, whether it is meant, and probabilities; all flat."""

    @abstractmethod
    def logits(self) -> NDArray[Any]:
        """Logits (decisions, classes), each row but for a number added to it."""

    @abstractmethod
    def probabilities(self) -> NDArray[Any]:
        """As the decoder has them: (n, *positions, classes), or of True alone."""


@dataclass(frozen=True, eq=False)
class ClassDecisions(Decisions):
    """What is kept of an output of classes."""

    arrays: Arrays
    labels: tuple[Any, ...]
    sense: str = CLASSES
    ignored: int | None = None

    @property
    def log_loss(self) -> float:
        return float(self.arrays["log_losses"] / len(self.flat(self.true)))

    @property
    def brier(self) -> float:
        return float(self.arrays["briers"] / len(self.flat(self.true)))

    @property
    def confidence(self) -> NDArray[Any]:
        return np.asarray(self.arrays["confidence"])

    @property
    def mae(self) -> float:
        """Mean number of steps that the answers are off."""
        return float(np.abs(self.flat(self.true).astype(np.int64) - self.flat(self.answered)).mean())

    def calibration(self, bins: int) -> Calibration:
        came = self.flat(self.true == self.answered)
        return calibration(self.flat(self.arrays["confidence"]), came, bins, "probability of the answer")

    def scores(self, number: int, asked: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        logs = self.flat(self.all_of("logs", asked)[..., number])
        return logs, self.flat(self.true == number), np.exp(logs.astype(np.float64))

    def logits(self) -> NDArray[Any]:
        return self.flat(self.all_of("logs", "temperature"))

    def probabilities(self) -> NDArray[Any]:
        return np.asarray(np.exp(self.all_of("logs", "probabilities").astype(np.float64)))


@dataclass(frozen=True, eq=False)
class BooleanDecisions(Decisions):
    """What is kept of an output that says yes or no: logits in float64."""

    arrays: Arrays
    labels: tuple[Any, ...] = (False, True)
    sense: str = BOOLEAN

    @property
    def log_loss(self) -> float:
        logit = self.flat(self.arrays["logit"])
        return float(np.logaddexp(0, np.where(self.flat(self.true) == 1, -logit, logit)).mean())

    @property
    def confidence(self) -> NDArray[Any]:
        chance = self.probabilities()
        return np.asarray(np.where(self.answered == 1, chance, 1 - chance))

    @property
    def brier(self) -> float:
        return float(self.flat((self.probabilities() - self.true) ** 2).mean())

    def calibration(self, bins: int) -> Calibration:
        came = self.flat(self.true == 1)
        return calibration(self.flat(self.probabilities()), came, bins, "probability of True")

    def scores(self, number: int, asked: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        sign = 1 if number else -1
        chances = self.flat(self.probabilities())
        logits = sign * self.flat(self.arrays["logit"])
        return logits, self.flat(self.true == number), chances if number else 1 - chances

    def logits(self) -> NDArray[Any]:
        logit = self.flat(self.arrays["logit"])
        return np.stack([np.zeros_like(logit), logit], 1)

    def probabilities(self) -> NDArray[Any]:
        return np.asarray(0.5 * (1 + np.tanh(0.5 * self.arrays["logit"])))


@dataclass(frozen=True, eq=False)
class Numbers(Kept):
    """What is kept of an output of numbers: sums by position; values and targets where they are few.

    Sums are in the data's own units; values and targets are as the net has them, for float32 keeps more of
    them so, and ``own`` multiplies out.
    """

    arrays: Arrays
    examples: int
    scale: Scale | None = None
    sense: str = NUMBERS

    @property
    def mse(self) -> float:
        """Mean of the squared errors."""
        return float(self.arrays["squares"].mean() / self.examples)

    @property
    def mae(self) -> float:
        """Mean of the absolute errors."""
        return float(self.arrays["absolutes"].mean() / self.examples)

    @property
    def r2(self) -> float:
        """Share of the variance that is explained, the mean over the positions."""
        return explained(self.arrays["squares"], self.arrays["spread"])

    @property
    def explained_variance(self) -> float:
        """As r2, with the mean error taken out."""
        return explained(self.arrays["error_spread"], self.arrays["spread"])

    def errors(self, asked: str) -> NDArray[Any]:
        """All errors, in float64."""
        values, targets = self.all_of("value", asked), self.all_of("target", asked)
        error = values.astype(np.float64) - targets
        return np.asarray(error if self.scale is None else error * self.scale.deviation)

    def own(self, name: str, asked: str) -> NDArray[Any]:
        """Values or targets in the data's own units; a copy."""
        found = self.all_of(name, asked)
        if self.scale is None:
            return found.copy()
        return np.asarray(found.astype(np.float64) * self.scale.deviation + self.scale.mean)


@dataclass(frozen=True, eq=False)
class Detections(Kept):
    """What is kept of an output of boxes: those that were found, whatever their score, and the true ones."""

    arrays: Arrays
    found: list[dict[str, Any]]
    true: list[dict[str, Any]]
    codec: Boxes
    sense: str = BOXES

    @cached_property
    def per_class(self) -> Mapping[Any, AveragePrecision]:
        """The average precision of each label."""
        found, true = ([self._plain(each) for each in side] for side in (self.found, self.true))
        return average_precisions(found, true, self.codec.labels)

    def mean(self, name: str) -> float:
        """A figure of the labels that occur, averaged over them; NaN where none does."""
        known = [getattr(each, name) for each in self.per_class.values() if each.boxes]
        return float(np.mean(known)) if known else math.nan

    def decided(self) -> list[dict[str, Any]]:
        """The boxes that the codec answers: those found with its score or a better one."""
        return [self._above(each, self.codec.score) for each in self.found]

    def _above(self, thing: dict[str, Any], least: float) -> dict[str, Any]:
        count = int((thing["scores"] >= least).sum())
        return {name: each[:count] for name, each in thing.items()}

    def _plain(self, thing: dict[str, Any]) -> Found:
        return Found(self.codec.corners_of(thing["boxes"]), thing["labels"], thing["scores"])


@dataclass(frozen=True, eq=False)
class Nothing(Kept):
    """What is kept of an output that has no targets of its own: its loss is all there is to say."""

    arrays: Arrays
    sense: str = NOTHING
