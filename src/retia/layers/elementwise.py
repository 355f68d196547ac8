"""Layers that change every element by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any, ClassVar

from retia._torch import torch
from retia.errors import ArgumentError
from retia.nets.layer import Layer, layer
from retia.nets.settings import choice, flag, real, setting

if TYPE_CHECKING:
    from torch import Tensor


class Unary(Layer):
    """The interface of layers that map each element alone."""

    signature: ClassVar[str] = "*s -> *s"
    axes: ClassVar[Mapping[str, str]] = {"*s": "pass"}


@layer
class ReLU(Unary):
    """Rectified linear unit: ``y = max(x, 0)``.

    Shape:  (*s) -> (*s)
    Source: Nair and Hinton 2010.
    Example:
        >>> import retia as rt
        >>> rt.ReLU(input=2)([-1.0, 2.0])
        tensor([0., 2.])
    """

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x)


@layer
class Tanh(Unary):
    """Hyperbolic tangent: ``y = (e^x - e^-x) / (e^x + e^-x)``, from -1 to 1.

    Shape:  (*s) -> (*s)
    Example:
        >>> import retia as rt
        >>> rt.Tanh(input=())(0.0)
        tensor(0.)
    """

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x)


@layer
class Sigmoid(Unary):
    """Logistic function: ``y = 1 / (1 + e^-x)``, from 0 to 1.

    Shape:  (*s) -> (*s)
    Example:
        >>> import retia as rt
        >>> rt.Sigmoid(input=())(0.0)
        tensor(0.5000)
    """

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x)


@layer
class Softmax(Layer):
    """Exponentials divided by their sum along an axis: ``y_i = e^x_i / sum_j e^x_j``.

    Shape:  (*s) -> (*s)
    Args:
        axis: along which the results sum to 1; the last by default. Negative ones count from the last.
    Example:
        >>> import retia as rt
        >>> rt.Softmax(input=2)([0.0, 0.0])
        tensor([0.5000, 0.5000])
    """

    signature = "*s -> *s"
    axes = {"*s": "mix"}

    _: KW_ONLY
    axis: int = setting(-1)

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        mask = moment.mask()
        axis = self.axis if self.axis < 0 else self.axis + 1
        if mask is None:
            return torch.softmax(x, axis)
        return torch.softmax(x.masked_fill(~mask, -torch.inf), axis).nan_to_num(0.0)
