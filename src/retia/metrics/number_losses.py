"""Losses of outputs that are numbers: each compares element by element."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING

from retia._torch import torch
from retia.errors import ArgumentError
from retia.metrics.loss import Loss, loss
from retia.nets.settings import flag, real, setting

if TYPE_CHECKING:
    from torch import Tensor


def above(name: str, value: object) -> float:
    """The rule of a number above 0."""
    number: float = real(0)(name, value)
    if number == 0:
        raise ArgumentError(f"{name} is above 0; got {value!r}.", got=value)
    return number


@loss
class MSE(Loss):
    """Squared error: ``(y - t)^2``.

    Shape:   (*s) -> (*s)
    Targets: numbers of the output's shape
    Example:
        >>> MSE().formula(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 5.0]))
        tensor([1., 9.])
    """

    name = "mse"

    def formula(self, output: Tensor, target: Tensor, axis: int = -1, mask: Tensor | None = None) -> Tensor:
        return torch.nn.functional.mse_loss(output, target.to(output.dtype), reduction="none")


@loss
class MAE(Loss):
    """Absolute error: ``|y - t|``. It heeds outliers less than the squared one.

    Shape:   (*s) -> (*s)
    Targets: numbers of the output's shape
    Example:
        >>> MAE().formula(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 5.0]))
        tensor([1., 3.])
    """

    name = "mae"

    def formula(self, output: Tensor, target: Tensor, axis: int = -1, mask: Tensor | None = None) -> Tensor:
        return torch.nn.functional.l1_loss(output, target.to(output.dtype), reduction="none")


@loss
class Huber(Loss):
    """Huber's loss: ``(y - t)^2 / 2`` up to an error of delta, ``delta (|y - t| - delta / 2)`` beyond.

    Shape:   (*s) -> (*s)
    Targets: numbers of the output's shape
    Args:
        delta: above 0, in the units of the targets.
    Source: Huber 1964.
    Example:
        >>> Huber().formula(torch.tensor([1.0, 2.0]), torch.tensor([0.5, 5.0]))
        tensor([0.1250, 2.5000])
    """

    name = "huber"

    delta: float = setting(above, default=1.0)

    def formula(self, output: Tensor, target: Tensor, axis: int = -1, mask: Tensor | None = None) -> Tensor:
        wanted = target.to(output.dtype)
        return torch.nn.functional.huber_loss(output, wanted, reduction="none", delta=self.delta)


@loss
class Hinge(Loss):
    """The loss of support vector machines: ``max(0, margin - s y)``, with s = 1 for True and -1 for False.

    The output is a score, whose sign decides; probabilities are refused. With an output of several classes
    each score says whether it is that class.

    Shape:   (*s) -> (*s)
    Targets: truth values, or -1 and 1, of the output's shape
    Args:
        margin: above 0.
        squared: square it.
    Source: Cortes and Vapnik 1995.
    Example:
        >>> Hinge().formula(torch.tensor([0.3, 2.0, 0.3]), torch.tensor([True, True, False]))
        tensor([0.7000, 0.0000, 1.3000])
    """

    name = "hinge"
    sense = "boolean"
    scores = True
    low, high = -1.0, 1.0

    margin: float = setting(above, default=1.0)
    _: KW_ONLY
    squared: bool = setting(flag, default=False)

    def formula(self, output: Tensor, target: Tensor, axis: int = -1, mask: Tensor | None = None) -> Tensor:
        missing = torch.where(target > 0, self.margin - output, self.margin + output).clamp_min(0)
        return missing.square() if self.squared else missing


@loss
class Poisson(Loss):
    """The loss of counts that come at a rate: ``exp(y) - t y``, with y the logarithm of the rate.

    Shape:   (*s) -> (*s)
    Targets: counts, at least 0, of the output's shape
    Args:
        log: the output is the logarithm of the rate; else it is the rate, above 0 (end in
            ``rt.Softplus()``), and the loss ``y - t log(y)``.
    Example:
        >>> Poisson().formula(torch.tensor([0.0]), torch.tensor([3.0]))
        tensor([1.])
        >>> Poisson(log=False).formula(torch.tensor([1.0]), torch.tensor([3.0]))
        tensor([1.])
    """

    name = "poisson"
    low, high = 0.0, math.inf

    _: KW_ONLY
    log: bool = setting(flag, default=True)

    def formula(self, output: Tensor, target: Tensor, axis: int = -1, mask: Tensor | None = None) -> Tensor:
        wanted = target.to(output.dtype)
        return torch.nn.functional.poisson_nll_loss(output, wanted, log_input=self.log, reduction="none")
