"""Layers that turn numbers along an axis into probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any, ClassVar

from retia._torch import torch
from retia.layers.axes import MOST, PASS, around, filled, in_batch
from retia.nets.layer import Layer, layer
from retia.nets.settings import declared, setting, whole
from retia.shapes import Signature, signature

if TYPE_CHECKING:
    from torch import Tensor


@declared
class Normalized(Layer):
    """The interface of layers whose results along an axis belong together."""

    axes: ClassVar[Mapping[str, str]] = {**PASS, "n": "mix"}

    _: KW_ONLY
    axis: int = setting(whole(-MOST, MOST - 1), default=-1)

    def ports(self, arity: int | None = None) -> Signature:
        shape = around(self.axis, "n")
        return signature(f"{shape} -> {shape}")


@layer
class Softmax(Normalized):
    """Exponentials divided by their sum along an axis: ``y_i = e^x_i / sum_j e^x_j``.

    Where the axis varies, the sum goes over what each example has.

    Shape:  (*s, n) -> (*s, n), or n at another axis
    Args:
        axis: along which the results sum to 1; the last by default. Negative ones count from the last.
    Raises:
        ShapeError: the input has no such axis.
    Example:
        >>> import retia as rt
        >>> rt.Softmax(input=2)([0.0, 0.0])
        tensor([0.5000, 0.5000])
    """

    cure = (
        "Softmax() goes along the last axis, Softmax(axis=0) along the first; "
        "the batch is not counted, so PyTorch's Softmax(1) of vectors is Softmax()"
    )

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        mask = moment.mask()
        y = torch.softmax(filled(x, mask, -torch.inf), in_batch(self.axis))
        return filled(y, mask, 0.0)


@layer
class LogSoftmax(Normalized):
    """Logarithm of softmax, in its stable form: ``y_i = x_i - log sum_j e^x_j``.

    Where the axis varies, the sum goes over what each example has.

    Shape:  (*s, n) -> (*s, n), or n at another axis
    Args:
        axis: along which the exponentials sum to 1; the last by default. Negative ones count from the last.
    Raises:
        ShapeError: the input has no such axis.
    Example:
        >>> import retia as rt
        >>> rt.LogSoftmax(input=2)([0.0, 0.0])
        tensor([-0.6931, -0.6931])
    """

    cure = (
        "LogSoftmax() goes along the last axis, LogSoftmax(axis=0) along the first; "
        "the batch is not counted, so PyTorch's LogSoftmax(1) of vectors is LogSoftmax()"
    )

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        mask = moment.mask()
        y = torch.log_softmax(filled(x, mask, -torch.inf), in_batch(self.axis))
        return filled(y, mask, 0.0)
