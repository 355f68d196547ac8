"""The optimizers, and how one is read from what the user said.

The formulas are PyTorch's own (``torch.optim``), bit for bit, written with its operations on lists of
tensors. ``torch.optim`` itself is not imported: it is slow to import, and it owns what it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any, TypeAlias

from retia._torch import torch
from retia.engine import kernels
from retia.errors import ArgumentError, did_you_mean
from retia.nets import registry
from retia.nets.settings import declared, flag, real, setting
from retia.training.optimizer import Group, Optimizer

if TYPE_CHECKING:
    from torch import Tensor

Tensors: TypeAlias = "list[Tensor] | tuple[Tensor, ...]"


_RATE = real(0)
_SHARE = real(0, 1, open_high=True)


def _shares(name: str, value: Any) -> tuple[float, float]:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise ArgumentError(f"{name} is two numbers from 0 to below 1; got {value!r}.", got=value)
    return (_SHARE(name, value[0]), _SHARE(name, value[1]))


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

    learning_rate: float = setting(_RATE, default=0.01)
    _: KW_ONLY
    momentum: float = setting(_SHARE, default=0.0)
    nesterov: bool = setting(flag, default=False)
    weight_decay: float = setting(_RATE, default=0.0)

    def validate(self) -> None:
        """Nesterov needs momentum."""
        if self.nesterov and not self.momentum:
            raise ArgumentError("SGD: nesterov looks ahead by the momentum, which is 0.", fix="momentum=0.9")

    def slots(self) -> Mapping[str, float]:
        """The velocity, with momentum."""
        return {"momentum": 0.0} if self.momentum else {}

    def move(self, group: Group) -> None:
        """One step in place."""
        g: Tensors = group.gradients
        if self.weight_decay:
            g = torch._foreach_add(g, group.arrays, alpha=self.weight_decay)
        if self.momentum:
            v = group.slots["momentum"]
            torch._foreach_mul_(v, self.momentum)
            torch._foreach_add_(v, g)
            g = torch._foreach_add(g, v, alpha=self.momentum) if self.nesterov else v
        torch._foreach_add_(group.arrays, g, alpha=-group.rate)


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
    Source: Kingma and Ba 2015.
    Example:
        >>> Adam(1e-3)
        Adam()
    """

    learning_rate: float = setting(_RATE, default=0.001)
    _: KW_ONLY
    betas: tuple[float, float] = setting(_shares, default=(0.9, 0.999))
    eps: float = setting(_RATE, default=1e-8)
    weight_decay: float = setting(_RATE, default=0.0)

    def slots(self) -> Mapping[str, float]:
        """The means of the gradient and of its square."""
        return {"mean": 0.0, "square": 0.0}

    def move(self, group: Group) -> None:
        """One step in place."""
        g: Tensors = group.gradients
        if self.weight_decay:
            g = torch._foreach_add(g, group.arrays, alpha=self.weight_decay)
        _adam(self, group, g)

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
    Source: Loshchilov and Hutter 2019.
    Example:
        >>> AdamW(3e-4, weight_decay=0.1)
        AdamW(0.0003, weight_decay=0.1)
    """

    learning_rate: float = setting(_RATE, default=0.001)
    _: KW_ONLY
    betas: tuple[float, float] = setting(_shares, default=(0.9, 0.999))
    eps: float = setting(_RATE, default=1e-8)
    weight_decay: float = setting(_RATE, default=0.01)

    def slots(self) -> Mapping[str, float]:
        """The means of the gradient and of its square."""
        return {"mean": 0.0, "square": 0.0}

    def move(self, group: Group) -> None:
        """One step in place."""
        if self.weight_decay:
            torch._foreach_mul_(group.arrays, 1 - group.rate * self.weight_decay)
        _adam(self, group, group.gradients)

    def sweep(self, group: Group) -> None:
        """The same in one call of PyTorch's."""
        _fused(kernels.fused_adamw(), self, group)


def _adam(how: Adam | AdamW, group: Group, gradients: Tensors) -> None:
    mean, square = group.slots["mean"], group.slots["square"]
    b1, b2 = how.betas
    torch._foreach_lerp_(mean, gradients, 1 - b1)
    torch._foreach_mul_(square, b2)
    torch._foreach_addcmul_(square, gradients, gradients, 1 - b2)
    root = torch._foreach_sqrt(square)
    torch._foreach_div_(root, (1 - b2**group.count) ** 0.5)
    torch._foreach_add_(root, how.eps)
    torch._foreach_addcdiv_(group.arrays, mean, root, -(group.rate / (1 - b1**group.count)))


def _fused(call: Callable[..., Any] | None, how: Adam | AdamW, group: Group) -> None:
    """A step in one call; by the formula where this PyTorch has none."""
    if call is None:
        how.move(group)
        return
    steps = [torch.tensor(float(group.count), device=array.device) for array in group.arrays]
    call(
        group.arrays,
        group.gradients,
        group.slots["mean"],
        group.slots["square"],
        [],
        steps,
        lr=group.rate,
        beta1=how.betas[0],
        beta2=how.betas[1],
        weight_decay=how.weight_decay,
        eps=how.eps,
        amsgrad=False,
        maximize=False,
    )


@declared
class RMSprop(Optimizer):
    """RMSprop: the gradient divided by the root of a running mean of its square.

    ``s = alpha s + (1 - alpha) g^2`` and ``w = w - learning_rate * g / (sqrt(s) + eps)``.

    Args:
        learning_rate: at least 0.
        alpha: 0..1, how slowly the mean of the square changes.
        momentum: 0..1, how much of the last step is kept.
        eps: at least 0, added to the root.
        weight_decay: at least 0; that share of w is added to g.
    Source: Tieleman and Hinton 2012, lecture 6.5.
    Example:
        >>> RMSprop(0.01, momentum=0.9)
        RMSprop(momentum=0.9)
    """

    learning_rate: float = setting(_RATE, default=0.01)
    _: KW_ONLY
    alpha: float = setting(_SHARE, default=0.99)
    momentum: float = setting(_SHARE, default=0.0)
    eps: float = setting(_RATE, default=1e-8)
    weight_decay: float = setting(_RATE, default=0.0)

    def slots(self) -> Mapping[str, float]:
        """The mean of the square, and the velocity with momentum."""
        return {"square": 0.0, "momentum": 0.0} if self.momentum else {"square": 0.0}

    def move(self, group: Group) -> None:
        """One step in place."""
        g: Tensors = group.gradients
        square = group.slots["square"]
        if self.weight_decay:
            g = torch._foreach_add(g, group.arrays, alpha=self.weight_decay)
        torch._foreach_mul_(square, self.alpha)
        torch._foreach_addcmul_(square, g, g, 1 - self.alpha)
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

    learning_rate: float = setting(_RATE, default=0.01)
    _: KW_ONLY
    initial_accumulator_value: float = setting(_RATE, default=0.0)
    eps: float = setting(_RATE, default=1e-10)
    weight_decay: float = setting(_RATE, default=0.0)

    def slots(self) -> Mapping[str, float]:
        """The sum of squares."""
        return {"square": self.initial_accumulator_value}

    def move(self, group: Group) -> None:
        """One step in place."""
        g: Tensors = group.gradients
        square = group.slots["square"]
        if self.weight_decay:
            g = torch._foreach_add(g, group.arrays, alpha=self.weight_decay)
        torch._foreach_addcmul_(square, g, g)
        root = torch._foreach_sqrt(square)
        torch._foreach_add_(root, self.eps)
        torch._foreach_addcdiv_(group.arrays, torch._foreach_mul(g, -group.rate), root)


OPTIMIZERS: dict[str, type[Optimizer]] = {c.__name__: c for c in (SGD, Adam, AdamW, RMSprop, Adagrad)}

for _kind in OPTIMIZERS.values():
    registry.register(_kind)


def read_optimizer(given: Any) -> Optimizer:
    """An optimizer as a value, by name, or the default, ``Adam(1e-3)``.

    Raises:
        ArgumentError: it is none.
    Example:
        >>> read_optimizer("sgd"), read_optimizer(None)
        (SGD(), Adam())
    """
    if isinstance(given, Optimizer):
        return given
    given = "Adam" if given is None else given
    choices = ", ".join(f"rt.{name}" for name in OPTIMIZERS)
    if isinstance(given, str):
        for name, kind in OPTIMIZERS.items():
            if given.lower() == name.lower():
                return kind()
        raise ArgumentError(
            f"optimizer: there is none called {given!r}.{did_you_mean(given, OPTIMIZERS)}",
            fix=f"one of {choices}",
            got=given,
        )
    if isinstance(given, type) and issubclass(given, Optimizer):
        raise ArgumentError(
            f"optimizer is the class {given.__name__}, not a value.", fix=f"rt.{given.__name__}()", got=given
        )
    named = type(given).__name__ if type(given).__module__.startswith("torch.optim") else None
    if named is not None:
        raise ArgumentError(
            f"optimizer is PyTorch's {named}, which owns its arrays.",
            fix=f"rt.{named}(learning_rate)" if named in OPTIMIZERS else f"one of {choices}",
            got=given,
        )
    raise ArgumentError(f"optimizer is one of {choices}, or its name; got {given!r}.", got=given)
