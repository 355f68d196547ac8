"""Layers that disturb what they are given in training, and let it pass else."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.nets.layer import Layer, layer
from retia.nets.settings import flag, real, setting
from retia.shapes import Signature, signature

if TYPE_CHECKING:
    from torch import Tensor


@layer
class Dropout(Layer):
    """In training, each element is 0 with a probability, else ``y = x / (1 - rate)``; else ``y = x``.

    The draws are a function of seed, step, layer, example and element alone: they do not depend on
    devices, workers or the order of examples.

    Shape:  (*s) -> (*s); (c, *s) -> (c, *s) with ``channels``
    Args:
        rate: probability of 0, from 0 to below 1.
        channels: one draw for each channel (the first axis), for pictures; PyTorch's Dropout2d.
    Source: Srivastava et al. 2014; Tompson et al. 2015 for channels.
    Example:
        >>> import retia as rt
        >>> rt.Dropout(0.5, input=2)([1.0, 2.0])
        tensor([1., 2.])
    """

    axes = {"c": "pass", "*s": "pass"}

    rate: float = setting(real(0, 1, open_high=True), default=0.5)
    _: KW_ONLY
    channels: bool = setting(flag, default=False)

    def ports(self, arity: int | None = None) -> Signature:
        return signature("c *s -> c *s" if self.channels else "*s -> *s")

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        if not moment.training or self.rate == 0:
            return x
        unit = x.new_empty(x.shape[:2]) if self.channels else x
        kept = moment.uniform(unit) >= self.rate
        kept = kept.reshape(*kept.shape, *(1,) * (x.dim() - kept.dim()))
        return torch.where(kept, x / (1 - self.rate), 0.0)
