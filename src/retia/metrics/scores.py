"""How good outputs are, example by example: right or wrong, and in which place the right answer came.

What an output says follows from its codec, else from its loss: one of several classes, or of classes that
stand in an order, yes or no, numbers, or boxes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia._torch import torch
from retia.codecs import numbers as codecs
from retia.codecs.boxes import Boxes
from retia.codecs.ordinal import Ordinal
from retia.metrics.loss import Loss
from retia.metrics.objective import Term
from retia.nets.net import Net

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

CLASSES, BOOLEAN, NUMBERS, NOTHING = "classes", "boolean", "numbers", "nothing"
ORDERED, BOXES = "ordered classes", "boxes"
LOGITS, LOGS, PROBABILITIES = "logits", "logs", "probabilities"


def sense(net: Net, term: Term) -> str:
    """What an output says: ``"classes"``, ``"boolean"``, ``"numbers"``, ..., from its codec, else its loss.

    ``"nothing"`` where there are no targets that it could be measured against one by one.
    """
    trained = term.loss.sense if isinstance(term.loss, Loss) else NUMBERS
    codec = net.outputs[term.port].codec
    if codec is None or trained == NOTHING:
        return trained
    if isinstance(codec, Boxes | Ordinal):
        return BOXES if isinstance(codec, Boxes) else ORDERED
    return {"cross-entropy": CLASSES, "binary-cross-entropy": BOOLEAN}.get(codec.loss(), NUMBERS)


@dataclass(frozen=True, eq=False)
class Scale:
    """What the numbers of an output are multiplied by and shifted to, to be in the data's own units.

    Attributes:
        mean: one number, or one for each place of an example.
        deviation: the same.
        unit: such as ``"kg"``, where it is known.
    """

    mean: NDArray[Any]
    deviation: NDArray[Any]
    unit: str | None


def scale_of(net: Net, term: Term) -> Scale | None:
    """How an output is standardised; None where its numbers are as the data has them, in no unit."""
    codec = net.outputs[term.port].codec
    if not isinstance(codec, codecs.Numbers):
        return None
    mean, deviation = codec.scale if isinstance(codec.scale, tuple) else (0.0, 1.0)
    unit = getattr(codec, "unit", None)
    if not isinstance(codec.scale, tuple) and unit is None:
        return None
    return Scale(np.asarray(mean, np.float64), np.asarray(deviation, np.float64), unit)


@dataclass(frozen=True)
class Decider:
    """How the values of an output are read as decisions.

    Classes in an order have a value for each step between two: the decision is how many of the first steps
    are passed, and a class's probability that of passing the steps before it and not its own.

    Attributes:
        sense: ``"classes"``, ``"ordered classes"`` or ``"boolean"``; others decide nothing.
        axis: of the classes, or steps, in a batch.
        cut: above which value a yes-or-no output says yes.
        form: what the values are: ``"logits"``, ``"logs"`` (of probabilities) or ``"probabilities"``.
        apart: whether each class has a probability of its own, as after Sigmoid.
        term: of the objective, which may ignore a class.
    """

    sense: str
    axis: int
    cut: float
    form: str
    apart: bool
    term: Term

    def classes(self, value: Tensor) -> int:
        """How many classes there are, True and False being two."""
        if self.sense == BOOLEAN:
            return 2
        return value.shape[self.axis] + (self.sense == ORDERED)

    def positions(self, value: Tensor) -> int:
        """How many decisions a batch has."""
        return value.numel() // (1 if self.sense == BOOLEAN else value.shape[self.axis])

    def answers(self, value: Tensor) -> Tensor:
        """Class numbers, or True and False."""
        if self.sense == ORDERED:
            return (value > self.cut).long().cumprod(self.axis).sum(self.axis)
        return value.argmax(self.axis) if self.sense == CLASSES else value > self.cut

    def truths(self, value: Tensor, target: Tensor) -> Tensor:
        """Targets in the form of the answers, also where they are one-hot or probabilities.

        Where the number that is ignored is none of the classes, one that is stands for it.
        """
        if self.sense == ORDERED:
            return (target > 0.5).sum(self.axis)
        if self.sense == CLASSES and target.dim() == value.dim() - 1:
            numbers: Tensor = self.term.within(value, target)
            return numbers.long()
        return target.argmax(self.axis) if self.sense == CLASSES else target > 0.5

    def known(self, value: Tensor, target: Tensor, mask: Tensor | None) -> Tensor | None:
        """True where a decision counts; None where all do.

        Args:
            mask: True where the value is real and not padding, broadcastable to it.
        """
        known = self.term.known(value, target)
        if mask is None:
            return known
        mask = mask.expand_as(value)
        real = mask if self.sense in (BOOLEAN, NUMBERS) else mask.select(self.axis, 0)
        return real if known is None else real & known

    def hits(self, value: Tensor, target: Tensor) -> Tensor:
        """Which decisions of a batch are right."""
        return self.answers(value) == self.truths(value, target)

    def ranks(self, value: Tensor, truths: Tensor) -> Tensor:
        """The place of the right class among the scores, from 0; of equal scores the first comes first.

        Shape:  (batch, *s, classes), (batch, *s) -> (batch, *s)
        """
        value = self.logs(value) if self.sense == ORDERED else value.movedim(self.axis, -1)
        own = value.gather(-1, truths.unsqueeze(-1))
        numbers = torch.arange(value.shape[-1], device=value.device)
        before = (value > own) | ((value == own) & (numbers < truths.unsqueeze(-1)))
        return before.sum(-1)

    def logs(self, value: Tensor) -> Tensor:
        """Logarithms of the classes' probabilities in float64, the classes last.

        Probabilities that each class has by itself are divided by their sum.

        Shape:  (batch, *s) -> (batch, *positions, classes)
        """
        least = torch.finfo(value.dtype).tiny
        value = wide(value).movedim(self.axis, -1)
        if self.sense == ORDERED:
            above = (value.sigmoid() if self.form == LOGITS else value).cummin(-1).values
            above = torch.nn.functional.pad(torch.nn.functional.pad(above, (1, 0), value=1.0), (0, 1))
            return (above[..., :-1] - above[..., 1:]).clamp_min(least).log()
        if self.form == LOGS:
            return value
        if self.form == PROBABILITIES:
            logs = value.clamp_min(least).log()
            return logs - logs.logsumexp(-1, keepdim=True) if self.apart else logs
        return (torch.nn.functional.logsigmoid(value) if self.apart else value).log_softmax(-1)

    def logit(self, value: Tensor) -> Tensor:
        """The logit of a yes, in float64."""
        if self.form == LOGITS:
            return wide(value)
        least = torch.finfo(value.dtype).tiny
        value = wide(value)
        return value.clamp_min(least).log() - (1 - value).clamp_min(least).log()


def decider(net: Net, term: Term) -> Decider:
    """How an output of a net decides, by its codec, its loss and its ending."""
    said = sense(net, term)
    return Decider(said, term.axis, _cut(net, term), _form(term), term.ending == "sigmoid", term)


def wide(value: Tensor) -> Tensor:
    """A value in float64, so that sums over many examples lose nothing; MPS has only float32."""
    return value.detach().to(torch.float32 if value.device.type == "mps" else torch.float64)


def _form(term: Term) -> str:
    if term.of_logits:
        return LOGITS
    if term.ending is not None:
        return LOGS if term.ending == "log_softmax" else PROBABILITIES
    made = isinstance(term.loss, Loss) and bool(term.loss.suits)
    return PROBABILITIES if made else LOGITS


def _cut(net: Net, term: Term) -> float:
    threshold = getattr(net.outputs[term.port].codec, "threshold", None)
    chance = 0.5 if threshold is None else float(threshold)
    if _form(term) != LOGITS:
        return chance
    return math.log(chance / (1 - chance)) if 0 < chance < 1 else math.copysign(math.inf, chance - 0.5)


def brier_of(logs: Tensor, truths: Tensor) -> Tensor:
    """The sum over the classes of the squared errors of their probabilities.

    Shape:  (*s, classes), (*s) -> (*s)
    """
    chances = logs.exp()
    own = chances.gather(-1, truths.unsqueeze(-1)).squeeze(-1)
    return (chances**2).sum(-1) - 2 * own + 1
