"""How good outputs are, example by example: right or wrong, and in which place the right answer came."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from retia._torch import torch
from retia.metrics.losses import Loss
from retia.metrics.objective import Term
from retia.nets.net import Net

if TYPE_CHECKING:
    from torch import Tensor

CLASSES, BOOLEAN, NUMBERS = "classes", "boolean", "numbers"


def sense(net: Net, term: Term) -> str:
    """What an output says: ``"classes"``, ``"boolean"`` or ``"numbers"``, from its codec, else its loss."""
    codec = net.outputs[term.port].codec
    trained = term.loss.name if isinstance(term.loss, Loss) else ""
    name = trained if codec is None else codec.loss()
    return {"cross-entropy": CLASSES, "binary-cross-entropy": BOOLEAN}.get(name, NUMBERS)


@dataclass(frozen=True)
class Decider:
    """How the values of an output are read as decisions.

    Attributes:
        sense: ``"classes"`` or ``"boolean"``; ``"numbers"`` decide nothing.
        axis: of the classes in a batch.
        cut: above which value a yes-or-no output says yes.
    """

    sense: str
    axis: int
    cut: float

    def answers(self, value: Tensor) -> Tensor:
        """Class numbers, or True and False."""
        return value.argmax(self.axis) if self.sense == CLASSES else value > self.cut

    def truths(self, value: Tensor, target: Tensor) -> Tensor:
        """Targets in the form of the answers, also where they are one-hot or probabilities."""
        if self.sense == CLASSES:
            return target if target.dim() == value.dim() - 1 else target.argmax(self.axis)
        return target > 0.5

    def hits(self, value: Tensor, target: Tensor) -> Tensor:
        """Which decisions of a batch are right."""
        return self.answers(value) == self.truths(value, target)


def decider(net: Net, term: Term) -> Decider:
    """How an output of a net decides, by its codec, its loss and its ending."""
    return Decider(sense(net, term), term.axis, _cut(net, term))


def _cut(net: Net, term: Term) -> float:
    threshold = getattr(net.outputs[term.port].codec, "threshold", None)
    chance = 0.5 if threshold is None else float(threshold)
    if not term.of_logits and term.ending is not None:
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
