"""Adam's relatives: NAdam, RAdam and Adamax."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from dataclasses import KW_ONLY
from functools import lru_cache

from retia._torch import torch
from retia.nets.settings import declared, flag, setting
from retia.training.optimizer import Group, Optimizer
from retia.training.optimizers.rules import RATE, Tensors, decayed, shares

NOTHING = 2.0**-60
"""So small a product leaves 1 as it is when it is taken away."""


@declared
class NAdam(Optimizer):
    """Adam that looks ahead by its mean, as Nesterov's momentum does, with a momentum that warms up.

    ``u_t = b1 (1 - 0.96^(t momentum_decay) / 2)`` takes b1's place in the step,
    ``w = w - learning_rate * ((1 - u_t) g / (1 - u_1...u_t) + u_(t+1) m / (1 - u_1...u_(t+1))) / root``.

    Args:
        learning_rate: at least 0.
        betas: 0..1, how slowly the mean and the square of the gradient change.
        eps: at least 0, added to the root.
        weight_decay: at least 0; that share of w is added to g.
        momentum_decay: at least 0, how fast the momentum warms up.
        decoupled_weight_decay: decay w itself, as ``AdamW`` does.
    Source: Dozat 2016.
    Example:
        >>> NAdam(1e-3)
        NAdam(0.001)
    """

    learning_rate: float = setting(RATE, default=0.002)
    _: KW_ONLY
    betas: tuple[float, float] = setting(shares, default=(0.9, 0.999))
    eps: float = setting(RATE, default=1e-8)
    weight_decay: float = setting(RATE, default=0.0)
    momentum_decay: float = setting(RATE, default=0.004)
    decoupled_weight_decay: bool = setting(flag, default=False)

    def slots(self) -> Mapping[str, float]:
        """The means of the gradient and of its square."""
        return {"mean": 0.0, "square": 0.0}

    def move(self, group: Group) -> None:
        """One step in place."""
        g, t, (b1, b2) = _pull(self, group), group.count, self.betas
        mean, square = group.slots["mean"], group.slots["square"]
        _average(self, group, g)
        root = torch._foreach_div(square, 1 - b2**t)
        torch._foreach_sqrt_(root)
        torch._foreach_add_(root, self.eps)
        now, then = (_momentum(b1, self.momentum_decay, step) for step in (t, t + 1))
        product = _product(b1, self.momentum_decay, t)
        torch._foreach_addcdiv_(group.arrays, g, root, -group.rate * (1.0 - now) / (1.0 - product))
        torch._foreach_addcdiv_(group.arrays, mean, root, -group.rate * then / (1.0 - product * then))


def _momentum(b1: float, decay: float, step: int) -> float:
    return b1 * (1.0 - 0.5 * math.pow(0.96, step * decay))


def _product(b1: float, decay: float, step: int) -> float:
    """The product of the momenta of all steps up to this one."""
    products = _products(b1, decay)
    return products[min(step, len(products) - 1)]


@lru_cache(maxsize=16)
def _products(b1: float, decay: float) -> array[float]:
    """The product after every step until it no longer counts: in single precision, as PyTorch keeps it.

    A function of the step, and no memory of it, so that a run goes on from anywhere.
    """
    products, each = array("f", [1.0]), array("f", [0.0])
    while products[-1] > NOTHING:
        each[0] = _momentum(b1, decay, len(products))
        products.append(products[-1] * each[0])
    return products


@declared
class RAdam(Optimizer):
    """Adam that rectifies its first steps, whose squares are too few to divide by: no warm-up is needed.

    Args:
        learning_rate: at least 0.
        betas: 0..1, how slowly the mean and the square of the gradient change.
        eps: at least 0, added to the root.
        weight_decay: at least 0; that share of w is added to g.
        decoupled_weight_decay: decay w itself, as ``AdamW`` does.
    Source: Liu et al. 2020, On the variance of the adaptive learning rate and beyond.
    Example:
        >>> RAdam(1e-3, weight_decay=0.01, decoupled_weight_decay=True)
        RAdam(weight_decay=0.01, decoupled_weight_decay=True)
    """

    learning_rate: float = setting(RATE, default=0.001)
    _: KW_ONLY
    betas: tuple[float, float] = setting(shares, default=(0.9, 0.999))
    eps: float = setting(RATE, default=1e-8)
    weight_decay: float = setting(RATE, default=0.0)
    decoupled_weight_decay: bool = setting(flag, default=False)

    def slots(self) -> Mapping[str, float]:
        """The means of the gradient and of its square."""
        return {"mean": 0.0, "square": 0.0}

    def move(self, group: Group) -> None:
        """One step in place."""
        g, t, (b1, b2) = _pull(self, group), group.count, self.betas
        _average(self, group, g)
        step = torch._foreach_div(group.slots["mean"], 1 - b1**t)
        torch._foreach_mul_(step, group.rate)
        most = 2 / (1 - b2) - 1
        seen = most - 2 * t * b2**t / (1 - b2**t)
        if seen > 5:  # squares enough to know their mean by
            root = torch._foreach_sqrt(group.slots["square"])
            torch._foreach_add_(root, self.eps)
            torch._foreach_reciprocal_(root)
            torch._foreach_mul_(root, (1 - b2**t) ** 0.5)
            torch._foreach_mul_(step, root)
            share = (seen - 4) * (seen - 2) * most / ((most - 4) * (most - 2) * seen)
            torch._foreach_mul_(step, share**0.5)
        torch._foreach_sub_(group.arrays, step)


@declared
class Adamax(Optimizer):
    """Adam that divides by the largest gradient of late instead of a root of squares.

    ``m = b1 m + (1 - b1) g``, ``u = max(b2 u, |g| + eps)`` and
    ``w = w - learning_rate / (1 - b1^t) * m / u``.

    Args:
        learning_rate: at least 0.
        betas: 0..1, how slowly the mean changes and the largest is forgotten.
        eps: at least 0, added to the gradient's size.
        weight_decay: at least 0; that share of w is added to g.
    Source: Kingma and Ba 2015, section 7.1.
    Example:
        >>> Adamax(0.01)
        Adamax(0.01)
    """

    learning_rate: float = setting(RATE, default=0.002)
    _: KW_ONLY
    betas: tuple[float, float] = setting(shares, default=(0.9, 0.999))
    eps: float = setting(RATE, default=1e-8)
    weight_decay: float = setting(RATE, default=0.0)

    def slots(self) -> Mapping[str, float]:
        """The mean of the gradient, and its largest size of late."""
        return {"mean": 0.0, "largest": 0.0}

    def move(self, group: Group) -> None:
        """One step in place."""
        g, (b1, b2) = decayed(group, self.weight_decay), self.betas
        mean, largest = group.slots["mean"], group.slots["largest"]
        torch._foreach_lerp_(mean, g, 1 - b1)
        torch._foreach_mul_(largest, b2)
        sizes = torch._foreach_abs(g)
        torch._foreach_add_(sizes, self.eps)
        torch._foreach_maximum_(largest, sizes)
        torch._foreach_addcdiv_(group.arrays, mean, largest, -(group.rate / (1 - b1**group.count)))


def _pull(how: NAdam | RAdam, group: Group) -> Tensors:
    """The gradients with the weight decay, which acts on the arrays at once where it is decoupled."""
    if not how.decoupled_weight_decay:
        return decayed(group, how.weight_decay)
    if how.weight_decay:
        torch._foreach_mul_(group.arrays, 1 - group.rate * how.weight_decay)
    return group.gradients


def _average(how: NAdam | RAdam, group: Group, gradients: Tensors) -> None:
    """Bring the means of the gradient and of its square up to date."""
    b1, b2 = how.betas
    torch._foreach_lerp_(group.slots["mean"], gradients, 1 - b1)
    torch._foreach_mul_(group.slots["square"], b2)
    torch._foreach_addcmul_(group.slots["square"], gradients, gradients, 1 - b2)
