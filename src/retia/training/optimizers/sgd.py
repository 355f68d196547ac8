"""Steps along the gradient itself: SGD."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY

from retia._torch import torch
from retia.errors import ArgumentError
from retia.nets.settings import declared, flag, setting
from retia.training.optimizer import Group, Optimizer
from retia.training.optimizers.rules import RATE, SHARE, decayed


@declared
class SGD(Optimizer):
    """Stochastic gradient descent: ``w = w - learning_rate * g``.

    With momentum: ``v = momentum * v + g`` and ``w = w - learning_rate * v``; Nesterov's form moves by
    ``g + momentum * v``.

    Args:
        learning_rate: at least 0.
        momentum: 0..1, how much of the last step is kept.
        nesterov: look ahead; needs momentum.
        weight_decay: at least 0; that share of w is added to g.
    Source: Robbins and Monro 1951; Sutskever et al. 2013 for the momentum.
    Example:
        >>> SGD(0.1, momentum=0.9)
        SGD(0.1, momentum=0.9)
    """

    learning_rate: float = setting(RATE, default=0.01)
    _: KW_ONLY
    momentum: float = setting(SHARE, default=0.0)
    nesterov: bool = setting(flag, default=False)
    weight_decay: float = setting(RATE, default=0.0)

    def validate(self) -> None:
        """Nesterov needs momentum."""
        if self.nesterov and not self.momentum:
            raise ArgumentError("SGD: nesterov looks ahead by the momentum, which is 0.", fix="momentum=0.9")

    def slots(self) -> Mapping[str, float]:
        """The velocity, with momentum."""
        return {"momentum": 0.0} if self.momentum else {}

    def move(self, group: Group) -> None:
        """One step in place."""
        g = decayed(group, self.weight_decay)
        if self.momentum:
            v = group.slots["momentum"]
            torch._foreach_mul_(v, self.momentum)
            torch._foreach_add_(v, g)
            g = torch._foreach_add(g, v, alpha=self.momentum) if self.nesterov else v
        torch._foreach_add_(group.arrays, g, alpha=-group.rate)
