"""How good outputs are, example by example: right or wrong, and in which place the right answer came."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from retia._torch import torch
from retia.metrics.loss import Loss
from retia.metrics.objective import Term
from retia.nets.net import Net

if TYPE_CHECKING:
    from torch import Tensor

CLASSES, BOOLEAN, NUMBERS, NOTHING = "classes", "boolean", "numbers", "nothing"
LOGITS, LOGS, PROBABILITIES = "logits", "logs", "probabilities"


def sense(net: Net, term: Term) -> str:
    """What an output says: ``"classes"``, ``"boolean"`` or ``"numbers"``, from its codec, else its loss.

    ``"nothing"`` where there are no targets that it could be measured against one by one.
    """
    trained = term.loss.sense if isinstance(term.loss, Loss) else NUMBERS
    codec = net.outputs[term.port].codec
    if codec is None or trained == NOTHING:
        return trained
    return {"cross-entropy": CLASSES, "binary-cross-entropy": BOOLEAN}.get(codec.loss(), NUMBERS)


@dataclass(frozen=True)
class Decider:
    """How the values of an output are read as decisions.

    Attributes:
        sense: ``"classes"`` or ``"boolean"``; others decide nothing.
        axis: of the classes in a batch.
        cut: above which value a yes-or-no output says yes.
        form: what the values are: ``"logits"``, ``"logs"`` (of probabilities) or ``"probabilities"``.
        apart: whether each class has a probability of its own, as after Sigmoid.
    """

    sense: str
    axis: int
    cut: float
    form: str
    apart: bool

    def answers(self, value: Tensor) -> Tensor:
        """Class numbers, or True and False."""
        return value.argmax(self.axis) if self.sense == CLASSES else value > self.cut

    def truths(self, value: Tensor, target: Tensor) -> Tensor:
        """Targets in the form of the answers, also where they are one-hot or probabilities."""
        if self.sense == CLASSES:
            return target.long() if target.dim() == value.dim() - 1 else target.argmax(self.axis)
        return target > 0.5

    def hits(self, value: Tensor, target: Tensor) -> Tensor:
        """Which decisions of a batch are right."""
        return self.answers(value) == self.truths(value, target)

    def logs(self, value: Tensor) -> Tensor:
        """Logarithms of the classes' probabilities in float64, the classes last.

        Probabilities that each class has by itself are divided by their sum.

        Shape:  (batch, *s) -> (batch, *positions, classes)
        """
        least = torch.finfo(value.dtype).tiny
        value = wide(value).movedim(self.axis, -1)
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
    return Decider(sense(net, term), term.axis, _cut(net, term), _form(term), term.ending == "sigmoid")


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


def ranks(value: Tensor, target: Tensor, axis: int) -> Tensor:
    """The place of the right class among the scores, from 0; of equal scores the first comes first.

    Shape:  (batch, *s, classes), (batch, *s) -> (batch, *s)
    """
    value = value.movedim(axis, -1)
    own = value.gather(-1, target.unsqueeze(-1))
    numbers = torch.arange(value.shape[-1], device=value.device)
    before = (value > own) | ((value == own) & (numbers < target.unsqueeze(-1)))
    return before.sum(-1)
