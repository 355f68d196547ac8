"""Steps of one length for every element, up or down: SignSGD and Lion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY

from retia._torch import torch
from retia.nets.settings import declared, setting
from retia.training.optimizer import Group, Optimizer
from retia.training.optimizers.rules import RATE, SHARE, Tensors, shares


@declared
class SignSGD(Optimizer):
    """The sign of the gradient alone: ``w = w - learning_rate * (sign(g) + weight_decay * w)``.

    With momentum (then known as Signum) the sign is that of ``m = momentum * m + (1 - momentum) * g``.

    Args:
        learning_rate: at least 0; every element moves so far, so take about a tenth of SGD's.
        momentum: 0..1, how slowly the mean of the gradient changes.
        weight_decay: at least 0; it acts on w itself.
    Source: Bernstein, Wang, Azizzadenesheli and Anandkumar 2018.
    Example:
        >>> SignSGD(1e-3, momentum=0.9)
        SignSGD(momentum=0.9)
    """

    learning_rate: float = setting(RATE, default=0.001)
    _: KW_ONLY
    momentum: float = setting(SHARE, default=0.0)
    weight_decay: float = setting(RATE, default=0.0)

    def slots(self) -> Mapping[str, float]:
        """The mean of the gradient, with momentum."""
        return {"mean": 0.0} if self.momentum else {}

    def move(self, group: Group) -> None:
        """One step in place."""
        pull: Tensors = group.gradients
        if self.momentum:
            pull = group.slots["mean"]
            torch._foreach_lerp_(pull, group.gradients, 1 - self.momentum)
        _step(group, torch._foreach_sign(pull), self.weight_decay)


@declared
class Lion(Optimizer):
    """Lion: the sign of a mean of the gradient, with one slot where Adam has two.

    ``w = w - learning_rate * (sign(b1 m + (1 - b1) g) + weight_decay * w)``, then
    ``m = b2 m + (1 - b2) g``.

    Args:
        learning_rate: at least 0; a third to a tenth of AdamW's, with as much more weight decay.
        betas: 0..1, how slowly the mean that moves and the mean that is kept change.
        weight_decay: at least 0; it acts on w itself.
    Source: Chen et al. 2023, Symbolic discovery of optimization algorithms.
    Example:
        >>> Lion(3e-4, weight_decay=0.1)
        Lion(0.0003, weight_decay=0.1)
    """

    learning_rate: float = setting(RATE, default=0.0001)
    _: KW_ONLY
    betas: tuple[float, float] = setting(shares, default=(0.9, 0.99))
    weight_decay: float = setting(RATE, default=0.0)

    def slots(self) -> Mapping[str, float]:
        """The mean of the gradient."""
        return {"mean": 0.0}

    def move(self, group: Group) -> None:
        """One step in place."""
        mean, (b1, b2) = group.slots["mean"], self.betas
        pull = torch._foreach_lerp(mean, group.gradients, 1 - b1)
        torch._foreach_sign_(pull)
        _step(group, pull, self.weight_decay)
        torch._foreach_lerp_(mean, group.gradients, 1 - b2)


def _step(group: Group, signs: Tensors, weight_decay: float) -> None:
    if weight_decay:
        torch._foreach_mul_(group.arrays, 1 - group.rate * weight_decay)
    torch._foreach_add_(group.arrays, signs, alpha=-group.rate)
