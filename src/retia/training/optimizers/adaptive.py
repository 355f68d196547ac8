"""Steps divided by the size that gradients have had, without Adam's mean: RMSprop, Adagrad, Adadelta."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY

from retia._torch import torch
from retia.nets.settings import declared, flag, setting
from retia.training.optimizer import Group, Optimizer
from retia.training.optimizers.rules import RATE, SHARE, decayed


@declared
class RMSprop(Optimizer):
    """RMSprop: the gradient divided by the root of a running mean of its square.

    ``s = alpha s + (1 - alpha) g^2`` and ``w = w - learning_rate * g / (sqrt(s) + eps)``.

    Args:
        learning_rate: at least 0.
        alpha: 0..1, how slowly the mean of the square changes.
        momentum: 0..1, how much of the last step is kept.
        centered: divide by the deviation from the gradient's mean instead.
        eps: at least 0, added to the root.
        weight_decay: at least 0; that share of w is added to g.
    Source: Tieleman and Hinton 2012, lecture 6.5; Graves 2013 for the centered form.
    Example:
        >>> RMSprop(0.01, momentum=0.9)
        RMSprop(momentum=0.9)
    """

    learning_rate: float = setting(RATE, default=0.01)
    _: KW_ONLY
    alpha: float = setting(SHARE, default=0.99)
    momentum: float = setting(SHARE, default=0.0)
    centered: bool = setting(flag, default=False)
    eps: float = setting(RATE, default=1e-8)
    weight_decay: float = setting(RATE, default=0.0)

    def slots(self) -> Mapping[str, float]:
        """The mean of the square; the velocity with momentum, the mean where centered."""
        kept = {"square": True, "momentum": self.momentum > 0, "mean": self.centered}
        return {name: 0.0 for name, is_kept in kept.items() if is_kept}

    def move(self, group: Group) -> None:
        """One step in place."""
        g = decayed(group, self.weight_decay)
        square = group.slots["square"]
        torch._foreach_mul_(square, self.alpha)
        torch._foreach_addcmul_(square, g, g, 1 - self.alpha)
        if self.centered:
            mean = group.slots["mean"]
            torch._foreach_lerp_(mean, g, 1 - self.alpha)
            root = torch._foreach_addcmul(square, mean, mean, -1)
            torch._foreach_sqrt_(root)
        else:
            root = torch._foreach_sqrt(square)
        torch._foreach_add_(root, self.eps)
        if self.momentum:
            torch._foreach_mul_(group.slots["momentum"], self.momentum)
            torch._foreach_addcdiv_(group.slots["momentum"], g, root)
            torch._foreach_add_(group.arrays, group.slots["momentum"], alpha=-group.rate)
        else:
            torch._foreach_addcdiv_(group.arrays, g, root, -group.rate)


@declared
class Adagrad(Optimizer):
    """Adagrad: the gradient divided by the root of the sum of all its squares.

    ``s = s + g^2`` and ``w = w - learning_rate * g / (sqrt(s) + eps)``.

    Args:
        learning_rate: at least 0.
        initial_accumulator_value: at least 0, where s starts.
        eps: at least 0, added to the root.
        weight_decay: at least 0; that share of w is added to g.
    Source: Duchi, Hazan and Singer 2011.
    Example:
        >>> Adagrad(0.05)
        Adagrad(0.05)
    """

    learning_rate: float = setting(RATE, default=0.01)
    _: KW_ONLY
    initial_accumulator_value: float = setting(RATE, default=0.0)
    eps: float = setting(RATE, default=1e-10)
    weight_decay: float = setting(RATE, default=0.0)

    def slots(self) -> Mapping[str, float]:
        """The sum of squares."""
        return {"square": self.initial_accumulator_value}

    def move(self, group: Group) -> None:
        """One step in place."""
        g = decayed(group, self.weight_decay)
        torch._foreach_addcmul_(group.slots["square"], g, g)
        root = torch._foreach_sqrt(group.slots["square"])
        torch._foreach_add_(root, self.eps)
        torch._foreach_addcdiv_(group.arrays, g, root, -group.rate)


@declared
class Adadelta(Optimizer):
    """Adadelta: steps in the units of w, so that the learning rate hardly matters.

    ``s = rho s + (1 - rho) g^2``, ``d = g sqrt(u + eps) / sqrt(s + eps)``, ``u = rho u + (1 - rho) d^2``
    and ``w = w - learning_rate * d``.

    Args:
        learning_rate: at least 0.
        rho: 0..1, how slowly both means change.
        eps: at least 0, added under the roots; the first steps are about its root.
        weight_decay: at least 0; that share of w is added to g.
    Source: Zeiler 2012.
    Example:
        >>> Adadelta(rho=0.95)
        Adadelta(rho=0.95)
    """

    learning_rate: float = setting(RATE, default=1.0)
    _: KW_ONLY
    rho: float = setting(SHARE, default=0.9)
    eps: float = setting(RATE, default=1e-6)
    weight_decay: float = setting(RATE, default=0.0)

    def slots(self) -> Mapping[str, float]:
        """The means of the gradient's square and of the step's."""
        return {"square": 0.0, "moved": 0.0}

    def move(self, group: Group) -> None:
        """One step in place."""
        g = decayed(group, self.weight_decay)
        square, moved = group.slots["square"], group.slots["moved"]
        torch._foreach_mul_(square, self.rho)
        torch._foreach_addcmul_(square, g, g, 1 - self.rho)
        root = torch._foreach_add(square, self.eps)
        torch._foreach_sqrt_(root)
        delta = torch._foreach_add(moved, self.eps)
        torch._foreach_sqrt_(delta)
        torch._foreach_div_(delta, root)
        torch._foreach_mul_(delta, g)
        torch._foreach_mul_(moved, self.rho)
        torch._foreach_addcmul_(moved, delta, delta, 1 - self.rho)
        torch._foreach_add_(group.arrays, delta, alpha=-group.rate)
