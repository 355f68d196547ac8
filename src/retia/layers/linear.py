"""Layers that multiply by a matrix of weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.nets.layer import ZEROS, Array, Layer, layer
from retia.nets.settings import flag, setting, whole

if TYPE_CHECKING:
    from torch import Tensor


@layer
class Linear(Layer):
    """Affine map of the last axis: ``y = x W^T + b``.

    Shape:  (*s, in) -> (*s, out)
    Arrays: weight (out, in), bias (out)
    Args:
        size: number of outputs, at least 1; inferred when left out.
        bias: add b.
        init: how the weight starts (Kaiming uniform by default; b starts at 0).
    Raises:
        ShapeError: the last axis has no size that can be known, once arrays are made.
    Source: the affine layer of every introduction; He et al. 2015 for the start.
    Example:
        >>> import retia as rt
        >>> rt.Linear(10, input=784).count
        7850
    """

    signature = "*s in -> *s out"
    axes = {"*s": "pass"}
    cure = "Linear(10) gives 10 outputs; PyTorch's Linear(784, 10) is Linear(10) or Linear(10, input=784)"

    size: int | None = setting(whole(1, optional=True), default=None)
    _: KW_ONLY
    bias: bool = setting(flag, default=True)

    def sizes(self) -> Mapping[str, Any]:
        return {"out": self.size}

    def owns(self) -> Mapping[str, Array]:
        bias = {"bias": Array("out", ZEROS)} if self.bias else {}
        return {"weight": Array("out in"), **bias}

    def forward(self, x: Tensor, *, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return torch.nn.functional.linear(x, weight, bias)
