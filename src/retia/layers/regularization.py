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


RATE = real(0, 1, open_high=True)

LOWEST = -1.7580993408473766
"""What ``SELU`` goes to for large negative numbers."""


@layer
class Dropout(Layer):
    """In training, each element is 0 with a probability, else ``y = x / (1 - rate)``; else ``y = x``.

    The draws are a function of seed, step, layer, example and element alone: they do not depend on
    devices, workers or the order of examples. Behind ``SELU``: ``AlphaDropout``.

    Shape:  (*s) -> (*s); (c, *s) -> (c, *s) with ``channels``
    Args:
        rate: probability of 0, from 0 to below 1.
        channels: one draw for each channel (the first axis), for pictures; PyTorch's Dropout1d, 2d and 3d.
    Source: Srivastava et al. 2014; Tompson et al. 2015 for channels.
    Example:
        >>> import retia as rt
        >>> rt.Dropout(0.5, input=2)([1.0, 2.0])
        tensor([1., 2.])
    """

    axes = {"c": "pass", "*s": "pass"}

    rate: float = setting(RATE, default=0.5)
    _: KW_ONLY
    channels: bool = setting(flag, default=False)

    def ports(self, arity: int | None = None) -> Signature:
        return signature("c *s -> c *s" if self.channels else "*s -> *s")

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        if not moment.training or self.rate == 0:
            return x
        kept = _kept(x, 2 if self.channels else x.dim(), self.rate, moment)
        return torch.where(kept, x / (1 - self.rate), 0.0)


@layer
class AlphaDropout(Layer):
    """In training, each element is set to the lowest value of ``SELU`` with a probability, else ``y = x``.

    The result is then scaled and shifted, so that numbers of mean 0 and deviation 1 keep both.

    Shape:  (*s) -> (*s); (c, *s) -> (c, *s) with ``channels``
    Args:
        rate: probability, from 0 to below 1.
        channels: one draw for each channel (the first axis); PyTorch's FeatureAlphaDropout.
    Source: Klambauer et al. 2017.
    Example:
        >>> import retia as rt
        >>> rt.AlphaDropout(0.1, input=2)([1.0, 2.0])
        tensor([1., 2.])
    """

    axes = {"c": "pass", "*s": "pass"}

    rate: float = setting(RATE, default=0.5)
    _: KW_ONLY
    channels: bool = setting(flag, default=False)

    def ports(self, arity: int | None = None) -> Signature:
        return signature("c *s -> c *s" if self.channels else "*s -> *s")

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        if not moment.training or self.rate == 0:
            return x
        scale = ((1 - self.rate) * (1 + self.rate * LOWEST**2)) ** -0.5
        shift = -scale * LOWEST * self.rate
        kept = _kept(x, 2 if self.channels else x.dim(), self.rate, moment)
        result: Tensor = torch.where(kept, x, LOWEST) * scale + shift
        return result


@layer
class DropPath(Layer):
    """In training, a whole example becomes 0 with a probability, else ``y = x / (1 - rate)``; else ``y = x``.

    At the end of a residual branch it leaves the branch out: stochastic depth.

    Shape:  (*s) -> (*s)
    Args:
        rate: probability, from 0 to below 1.
    Source: Huang et al. 2016.
    Example:
        >>> import retia as rt
        >>> rt.Graph(lambda x: x + rt.DropPath(0.1)(rt.Tanh()(x)), input=2)([0.0, 0.0])
        tensor([0., 0.])
    """

    signature = "*s -> *s"
    axes = {"*s": "pass"}

    rate: float = setting(RATE)

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        if not moment.training or self.rate == 0:
            return x
        return torch.where(_kept(x, 1, self.rate, moment), x / (1 - self.rate), 0.0)


@layer
class GaussianNoise(Layer):
    """In training, adds a normal number to each element, ``y = x + std n``; else ``y = x``.

    An example gets the same noise wherever it stands in an epoch, and another one in each epoch.

    Shape:  (*s) -> (*s)
    Args:
        std: standard deviation, at least 0, in the units of x.
    Source: Sietsma and Dow 1991.
    Example:
        >>> import retia as rt
        >>> rt.GaussianNoise(0.1, input=2)([1.0, 2.0])
        tensor([1., 2.])
    """

    signature = "*s -> *s"
    axes = {"*s": "pass"}
    drawn = "epoch"

    std: float = setting(real(0))

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        if not moment.training or self.std == 0:
            return x
        # The numbers drawn are multiples of 2**-24 from 0 on; those between them are never -1 or 1 here.
        even = moment.uniform(x) * 2 - (1 - 2.0**-24)
        return x + (torch.erfinv(even) * (self.std * 2**0.5)).to(x.dtype)


def _kept(x: Tensor, axes: int, rate: float, moment: Any) -> Tensor:
    """One draw for each place along the first axes of a batch: True where what is there stays."""
    drawn = moment.uniform(x if axes == x.dim() else x.new_empty(x.shape[:axes]))
    kept: Tensor = drawn >= rate
    return kept.reshape(*kept.shape, *(1,) * (x.dim() - axes))
