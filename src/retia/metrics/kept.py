"""What a measurement keeps of an output: a few numbers a decision, and every score where they are few.

Whatever the size of the data, a decision leaves 11 to 20 bytes and numbers leave sums. All scores of all
examples (``KEPT`` numbers at most, unless they are asked for by a figure's name) give the rest: curves,
temperature, medians, probabilities.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia._torch import torch
from retia.codecs.boxes import Boxes
from retia.engine.walk import mask_of
from retia.errors import UnknownNameError
from retia.metrics.calibration import Calibration, calibration
from retia.metrics.detections import AveragePrecision, Found, average_precisions
from retia.metrics.formulas import Counted, counted, explained
from retia.metrics.scores import BOOLEAN, BOXES, CLASSES, NOTHING, NUMBERS, ORDERED, Scale, decider, scale_of
from retia.metrics.terms import Term
from retia.nets.codec import Reading
from retia.nets.net import Net

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

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

    def flat(self, array: NDArray[Any]) -> NDArray[Any]:
        """What counts of an array with an entry, or a row, for each decision: (k), or (k, n)."""
        axes = self.true.ndim
        if self.known is not None:
            return np.asarray(array[self.known])
        return array.reshape(-1, *array.shape[axes:])

    @cached_property
    def counted(self) -> Counted:
        """Decisions by class."""
        return counted(self.flat(self.true), self.flat(self.answered), len(self.labels))

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

    @property
    def log_loss(self) -> float:
        return float(self.arrays["log_losses"] / len(self.flat(self.true)))

    @property
    def brier(self) -> float:
        return float(self.arrays["briers"] / len(self.flat(self.true)))

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


class Collector:
    """Gathers what is kept of one output, batch by batch.

    Args:
        net: whose output it is.
        term: of the objective, for the output.
        examples: how many there will be.
        every: keep all scores, however many.
        things: what the data has at an output of boxes, in its order; else they are read off the targets,
            where of two boxes in a cell of the grid there is one.
    """

    def __init__(
        self,
        net: Net,
        term: Term,
        examples: int,
        *,
        every: bool = False,
        things: Sequence[Any] | None = None,
    ) -> None:
        self.decider = decider(net, term)
        self._term, self._codec = term, net.outputs[term.port].codec
        self._shape, self._scale = net.solution.shape(term.reads), scale_of(net, term)
        self._things = things
        self._found: list[dict[str, Any]] = []
        self._true: list[dict[str, Any]] = []
        self._labels = getattr(net.outputs[term.port].codec, "labels", None)
        self._examples, self._every = examples, every
        self._parts: dict[str, list[NDArray[Any]]] = {}
        self._targets, self._errors = _Spread(), _Spread()
        self._squares: Any = 0.0
        self._absolutes: Any = 0.0
        self._log_losses = self._briers = 0.0
        self._classes = 0

    def add(self, value: Tensor, target: Tensor | None, lengths: Mapping[str, Tensor] | None = None) -> None:
        """Add a batch, from the value that the objective reads."""
        if self.decider.sense == NOTHING or target is None:
            return
        value, target = value.detach().cpu(), target.cpu()
        if self.decider.sense == BOXES:
            self._add_boxes(value, target)
            return
        mask = mask_of(self._shape, value, lengths) if lengths else None
        known = self.decider.known(value, target, mask)
        if mask is not None:
            real = mask.expand_as(value) if self.decider.sense == NUMBERS else mask
            self._parts.setdefault("sizes", []).append(real.flatten(1).sum(1).numpy())
        if self.decider.sense == NUMBERS:
            self._add_numbers(value, target, known)
            return
        truths, answers = self.decider.truths(value, target), self.decider.answers(value)
        if known is not None:
            self._keep("known", known)
        if self.decider.sense == BOOLEAN:
            self._keep("true", truths, torch.uint8)
            self._keep("answered", answers, torch.uint8)
            self._keep("logit", self.decider.logit(value))
            return
        logs = self.decider.logs(value)
        self._classes = logs.shape[-1]
        small = torch.uint8 if self._classes <= 256 else torch.int32
        self._keep("true", truths, small)
        self._keep("answered", answers, small)
        self._keep("rank", self.decider.ranks(value, truths), small)
        self._keep("confidence", logs.amax(-1).exp())
        losses, briers = logs.gather(-1, truths.unsqueeze(-1)).squeeze(-1), brier_of(logs, truths)
        self._log_losses -= float((losses if known is None else losses[known]).sum())
        self._briers += float((briers if known is None else briers[known]).sum())
        if self._is_kept(logs):
            self._keep("logs", logs, torch.float32)

    @property
    def seen(self) -> bool:
        """Whether anything was added."""
        return bool(self._parts) or self._targets.count > 0 or bool(self._found)

    def kept(self) -> Kept:
        """What was gathered."""
        arrays = {name: _stacked(parts) for name, parts in self._parts.items()}
        if self.decider.sense in (CLASSES, ORDERED):
            arrays |= {"log_losses": np.array(self._log_losses), "briers": np.array(self._briers)}
            labels = self._labels or tuple(range(self._classes))
            return ClassDecisions(arrays, labels, self.decider.sense)
        if self.decider.sense == BOOLEAN:
            return BooleanDecisions(arrays)
        if self.decider.sense == NOTHING:
            return Nothing(arrays)
        if isinstance(self._codec, Boxes):
            return Detections(arrays, self._found, self._true, self._codec)
        sums = {
            "squares": self._squares, "absolutes": self._absolutes, "spread": self._targets.spread,
            "error_spread": self._errors.spread,
        }  # fmt: skip
        arrays |= {name: np.asarray(s) for name, s in sums.items()}
        return Numbers(arrays, self._targets.count, self._scale)

    def _add_boxes(self, value: Tensor, target: Tensor) -> None:
        codec = self._codec
        assert isinstance(codec, Boxes)
        rows = range(len(self._found), len(self._found) + len(value))
        ending = None if self._term.of_logits else self._term.ending
        self._found += codec.unpack(value, Reading(("above", 0.0), ending=ending))
        if self._things is not None:
            self._true += [codec.seen(self._things[row]) for row in rows]
            return
        placed = codec.unpack(target, Reading("candidates", ending=codec.ending))
        for each in placed:
            count = int((each["scores"] == 1).sum())
            self._true.append({name: column[:count] for name, column in each.items()})

    def _add_numbers(self, value: Tensor, target: Tensor, known: Tensor | None) -> None:
        if known is not None:  # what is real of padded sequences, one position after the other
            value, target = value[known], target[known]
        if self._is_kept(value):
            self._keep("value", value, torch.float32)
            self._keep("target", target, torch.float32)
        values, targets = value.double().numpy(), target.double().numpy()
        if self._scale is not None:  # no mean: what is shifted has the same errors and the same spread
            values, targets = values * self._scale.deviation, targets * self._scale.deviation
        error = values - targets
        self._squares = self._squares + (error**2).sum(0)
        self._absolutes = self._absolutes + abs(error).sum(0)
        self._targets.add(targets)
        self._errors.add(error)

    def _is_kept(self, value: Tensor) -> bool:
        return self._every or self._examples * value[0].numel() <= KEPT

    def _keep(self, name: str, values: Tensor, dtype: torch.dtype | None = None) -> None:
        if values.shape[1:] == (1,):  # a yes or no that stands in a column
            values = values.squeeze(1) if self.decider.sense == BOOLEAN else values
        self._parts.setdefault(name, []).append(values.to(dtype or values.dtype).numpy())


def _stacked(parts: list[NDArray[Any]]) -> NDArray[Any]:
    """Batches one after the other; where they are padded to different lengths, to the greatest."""
    sizes = [max(each) for each in zip(*(part.shape[1:] for part in parts), strict=True)]
    if all(part.shape[1:] == parts[0].shape[1:] for part in parts):
        return np.concatenate(parts)
    padded = [
        np.pad(part, [(0, 0), *((0, size - own) for size, own in zip(sizes, part.shape[1:], strict=True))])
        for part in parts
    ]
    return np.concatenate(padded)


class _Spread:
    """Squared distances from the mean, by position, added up in float64 without losing digits.

    Source: Chan, Golub and LeVeque 1983, for joining the spreads of batches.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: Any = 0.0
        self.spread: Any = 0.0

    def add(self, values: NDArray[Any]) -> None:
        count, mean = len(values), values.mean(0)
        total = self.count + count
        apart = mean - self.mean
        self.spread = self.spread + ((values - mean) ** 2).sum(0) + apart**2 * (self.count * count / total)
        self.mean = self.mean + apart * (count / total)
        self.count = total


def brier_of(logs: Tensor, truths: Tensor) -> Tensor:
    """The sum over the classes of the squared errors of their probabilities.

    Shape:  (*s, classes), (*s) -> (*s)
    """
    chances = logs.exp()
    own = chances.gather(-1, truths.unsqueeze(-1)).squeeze(-1)
    return (chances**2).sum(-1) - 2 * own + 1
