"""What a measurement keeps of an output: a few numbers a decision, and every score where they are few.

Whatever the size of the data, a decision leaves 11 to 20 bytes and numbers leave sums. All scores of all
examples (``KEPT`` numbers at most, unless they are asked for by a figure's name) give the rest: curves,
temperature, medians, probabilities.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia._torch import torch
from retia.errors import UnknownNameError
from retia.metrics.calibration import Calibration, calibration
from retia.metrics.formulas import Counted, counted, explained
from retia.metrics.scores import BOOLEAN, CLASSES, NOTHING, NUMBERS, decider, ranks
from retia.metrics.terms import Term
from retia.nets.net import Net

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

KEPT = 2**24
"""So many scores are kept unasked; in float32 they are 64 MB."""

Arrays = Mapping[str, Any]


class Kept(ABC):
    """The interface of what is kept of one output. ``arrays`` has one row an example, in their order."""

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

    @cached_property
    def counted(self) -> Counted:
        """Decisions by class."""
        return counted(self.true, self.answered, len(self.labels))

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
        return float(self.arrays["log_losses"] / self.true.size)

    @property
    def brier(self) -> float:
        return float(self.arrays["briers"] / self.true.size)

    def calibration(self, bins: int) -> Calibration:
        came = (self.true == self.answered).ravel()
        return calibration(self.arrays["confidence"].ravel(), came, bins, "probability of the answer")

    def scores(self, number: int, asked: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        logs = self.all_of("logs", asked)[..., number].ravel()
        return logs, (self.true == number).ravel(), np.exp(logs.astype(np.float64))

    def logits(self) -> NDArray[Any]:
        return self.all_of("logs", "temperature").reshape(-1, len(self.labels))

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
        logit = self.arrays["logit"]
        return float(np.logaddexp(0, np.where(self.true == 1, -logit, logit)).mean())

    @property
    def brier(self) -> float:
        return float(((self.probabilities() - self.true) ** 2).mean())

    def calibration(self, bins: int) -> Calibration:
        return calibration(self.probabilities().ravel(), self.true.ravel() == 1, bins, "probability of True")

    def scores(self, number: int, asked: str) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        sign = 1 if number else -1
        chances = self.probabilities().ravel()
        logits = sign * self.arrays["logit"].ravel()
        return logits, (self.true == number).ravel(), chances if number else 1 - chances

    def logits(self) -> NDArray[Any]:
        logit = self.arrays["logit"].ravel()
        return np.stack([np.zeros_like(logit), logit], 1)

    def probabilities(self) -> NDArray[Any]:
        return np.asarray(0.5 * (1 + np.tanh(0.5 * self.arrays["logit"])))


@dataclass(frozen=True, eq=False)
class Numbers(Kept):
    """What is kept of an output of numbers: sums by position; values and targets where they are few."""

    arrays: Arrays
    examples: int
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
        return np.asarray(values.astype(np.float64) - targets)


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
    """

    def __init__(self, net: Net, term: Term, examples: int, *, every: bool = False) -> None:
        self.decider = decider(net, term)
        self._labels = getattr(net.outputs[term.port].codec, "labels", None)
        self._examples, self._every = examples, every
        self._parts: dict[str, list[NDArray[Any]]] = {}
        self._targets, self._errors = _Spread(), _Spread()
        self._squares: Any = 0.0
        self._absolutes: Any = 0.0
        self._log_losses = self._briers = 0.0
        self._classes = 0

    def add(self, value: Tensor, target: Tensor | None) -> None:
        """Add a batch, from the value that the objective reads."""
        if self.decider.sense == NOTHING or target is None:
            return
        value, target = value.detach().cpu(), target.cpu()
        if self.decider.sense == NUMBERS:
            self._add_numbers(value, target)
            return
        truths, answers = self.decider.truths(value, target), self.decider.answers(value)
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
        self._keep("rank", ranks(value, truths, self.decider.axis), small)
        self._keep("confidence", logs.amax(-1).exp())
        self._log_losses -= float(logs.gather(-1, truths.unsqueeze(-1)).sum())
        self._briers += float(brier_of(logs, truths).sum())
        if self._is_kept(logs):
            self._keep("logs", logs, torch.float32)

    @property
    def seen(self) -> bool:
        """Whether anything was added."""
        return bool(self._parts) or self._targets.count > 0

    def kept(self) -> Kept:
        """What was gathered."""
        arrays = {name: np.concatenate(parts) for name, parts in self._parts.items()}
        if self.decider.sense == CLASSES:
            arrays |= {"log_losses": np.array(self._log_losses), "briers": np.array(self._briers)}
            return ClassDecisions(arrays, self._labels or tuple(range(self._classes)))
        if self.decider.sense == BOOLEAN:
            return BooleanDecisions(arrays)
        if self.decider.sense == NOTHING:
            return Nothing(arrays)
        sums = {
            "squares": self._squares, "absolutes": self._absolutes, "spread": self._targets.spread,
            "error_spread": self._errors.spread,
        }  # fmt: skip
        return Numbers(arrays | {name: np.asarray(s) for name, s in sums.items()}, self._targets.count)

    def _add_numbers(self, value: Tensor, target: Tensor) -> None:
        if self._is_kept(value):
            self._keep("value", value, torch.float32)
            self._keep("target", target, torch.float32)
        values, targets = value.double().numpy(), target.double().numpy()
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
