"""Adam and AdamW: a mean of the gradient divided by the root of a mean of its square."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY
from typing import Any

from retia._torch import torch
from retia.engine import kernels
from retia.nets.settings import declared, flag, setting
from retia.training.optimizer import Group, Optimizer
from retia.training.optimizers.rules import RATE, Tensors, decayed, shares


@declared
class Adam(Optimizer):
    """Adam: steps of about ``learning_rate``, whatever the gradient's size.

    ``m = b1 m + (1 - b1) g``, ``s = b2 s + (1 - b2) g^2``, both divided by what their start at 0 takes
    away, and ``w = w - learning_rate * m / (sqrt(s) + eps)``.

    Args:
        learning_rate: at least 0.
        betas: 0..1, how slowly the mean and the square of the gradient change.
        eps: at least 0, added to the root.
        weight_decay: at least 0; that share of w is added to g. ``AdamW`` decays w itself.
        amsgrad: divide by the largest s there has been, so that steps never grow again.
    Source: Kingma and Ba 2015; Reddi, Kale and Kumar 2018 for amsgrad.
    Example:
        >>> Adam(1e-3)
        Adam()
    """

    learning_rate: float = setting(RATE, default=0.001)
    _: KW_ONLY
    betas: tuple[float, float] = setting(shares, default=(0.9, 0.999))
    eps: float = setting(RATE, default=1e-8)
    weight_decay: float = setting(RATE, default=0.0)
    amsgrad: bool = setting(flag, default=False)

    def slots(self) -> Mapping[str, float]:
        """The means of the gradient and of its square; the largest of these with amsgrad."""
        return _slots(self)

    def move(self, group: Group) -> None:
        """One step in place."""
        _adam(self, group, decayed(group, self.weight_decay))

    def sweep(self, group: Group) -> None:
        """The same in one call of PyTorch's."""
        _fused(kernels.fused_adam(), self, group)


@declared
class AdamW(Optimizer):
    """Adam whose weight decay is apart from the gradient: ``w = w - learning_rate * weight_decay * w``.

    Args:
        learning_rate: at least 0.
        betas: 0..1, how slowly the mean and the square of the gradient change.
        eps: at least 0, added to the root.
        weight_decay: at least 0.
        amsgrad: divide by the largest s there has been, so that steps never grow again.
    Source: Loshchilov and Hutter 2019.
    Example:
        >>> AdamW(3e-4, weight_decay=0.1)
        AdamW(0.0003, weight_decay=0.1)
    """

    learning_rate: float = setting(RATE, default=0.001)
    _: KW_ONLY
    betas: tuple[float, float] = setting(shares, default=(0.9, 0.999))
    eps: float = setting(RATE, default=1e-8)
    weight_decay: float = setting(RATE, default=0.01)
    amsgrad: bool = setting(flag, default=False)

    def slots(self) -> Mapping[str, float]:
        """The means of the gradient and of its square; the largest of these with amsgrad."""
        return _slots(self)

    def move(self, group: Group) -> None:
        """One step in place."""
        if self.weight_decay:
            torch._foreach_mul_(group.arrays, 1 - group.rate * self.weight_decay)
        _adam(self, group, group.gradients)

    def sweep(self, group: Group) -> None:
        """The same in one call of PyTorch's."""
        _fused(kernels.fused_adamw(), self, group)


def _slots(how: Adam | AdamW) -> Mapping[str, float]:
    kept = {"mean": 0.0, "square": 0.0}
    return {**kept, "largest": 0.0} if how.amsgrad else kept


def _adam(how: Adam | AdamW, group: Group, gradients: Tensors) -> None:
    mean, square = group.slots["mean"], group.slots["square"]
    b1, b2 = how.betas
    torch._foreach_lerp_(mean, gradients, 1 - b1)
    torch._foreach_mul_(square, b2)
    torch._foreach_addcmul_(square, gradients, gradients, 1 - b2)
    if how.amsgrad:
        torch._foreach_maximum_(group.slots["largest"], square)
        square = group.slots["largest"]
    root = torch._foreach_sqrt(square)
    torch._foreach_div_(root, (1 - b2**group.count) ** 0.5)
    torch._foreach_add_(root, how.eps)
    torch._foreach_addcdiv_(group.arrays, mean, root, -(group.rate / (1 - b1**group.count)))


def _fused(call: Callable[..., Any] | None, how: Adam | AdamW, group: Group) -> None:
    """A step in one call; by the formula where this PyTorch has none."""
    if call is None:
        how.move(group)
        return
    for step in group.steps:
        step.fill_(group.count)
    call(
        group.arrays,
        group.gradients,
        group.slots["mean"],
        group.slots["square"],
        group.slots.get("largest", []),
        group.steps,
        lr=group.rate,
        beta1=how.betas[0],
        beta2=how.betas[1],
        weight_decay=how.weight_decay,
        eps=how.eps,
        amsgrad=how.amsgrad,
        maximize=False,
    )
