"""How good outputs are, example by example: right or wrong, and in which place the right answer came."""

from __future__ import annotations

import math
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


def class_numbers(target: Tensor, value: Tensor, axis: int) -> Tensor:
    """Targets as class numbers, also where they are one-hot or probabilities."""
    return target if target.dim() == value.dim() - 1 else target.argmax(axis)


def cut(net: Net, term: Term) -> float:
    """Above which value a yes-or-no output says yes."""
    threshold = getattr(net.outputs[term.port].codec, "threshold", None)
    chance = 0.5 if threshold is None else float(threshold)
    if not term.of_logits and term.ending is not None:
        return chance
    return math.log(chance / (1 - chance)) if 0 < chance < 1 else math.copysign(math.inf, chance - 0.5)


def hits(net: Net, term: Term, value: Tensor, target: Tensor) -> Tensor:
    """Which decisions of a batch are right; for outputs that are classes or booleans.

    Shape:  (batch, ...) -> (batch, ...), True or False
    """
    if sense(net, term) == CLASSES:
        return value.argmax(term.axis) == class_numbers(target, value, term.axis)
    return (value > cut(net, term)) == (target > 0.5)


def ranks(value: Tensor, target: Tensor, axis: int) -> Tensor:
    """The place of the right class among the scores, from 0; of equal scores the first comes first.

    Shape:  (batch, *s, classes), (batch, *s) -> (batch, *s)
    """
    value = value.movedim(axis, -1)
    own = value.gather(-1, target.unsqueeze(-1))
    numbers = torch.arange(value.shape[-1], device=value.device)
    before = (value > own) | ((value == own) & (numbers < target.unsqueeze(-1)))
    return before.sum(-1)
