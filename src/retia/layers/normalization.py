"""Layers that bring what they are given to mean 0 and variance 1, along one axis or another.

Variances divide by the number of elements. Where sizes vary from example to example, mean and variance
are those of the elements that an example has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.errors import ShapeError, TrainingError
from retia.nets.layer import ONES, ZEROS, Array, Layer, layer
from retia.nets.settings import flag, real, setting, whole
from retia.shapes import Signature, signature

if TYPE_CHECKING:
    from torch import Tensor


def affine(shape: str, weight: bool, bias: bool = True) -> dict[str, Array]:
    """The arrays of a scale that starts at 1 and a shift that starts at 0."""
    if not weight:
        return {}
    return {"weight": Array(shape, ONES), **({"bias": Array(shape, ZEROS)} if bias else {})}


def moments(x: Tensor, mask: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, variance and number of what is real, along some axes, which are kept."""
    real = mask.expand_as(x)
    count = real.sum(dims, keepdim=True).clamp(min=1)
    mean = torch.where(real, x, 0.0).sum(dims, keepdim=True) / count
    variance = torch.where(real, x - mean, 0.0).square().sum(dims, keepdim=True) / count
    return mean, variance, count


def by_channel(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """Scale and shift the channels, the axis after the batch."""
    shape = (-1, *(1,) * (x.dim() - 2))
    x = x if weight is None else x * weight.reshape(shape)
    return x if bias is None else x + bias.reshape(shape)


@layer
class BatchNorm(Layer):
    """Each channel to mean 0 and variance 1.

    ``y = (x - mean_c) / sqrt(var_c + eps) * w_c + b_c``. The channels are the first axis. In training,
    mean and variance are those of the batch, and the running ones follow, ``running = (1 - momentum) *
    running + momentum * batch`` (with the variance that divides by the number less 1, as in PyTorch);
    else they are the running ones. With small batches take GroupNorm.

    Shape:  (c, *s) -> (c, *s)
    Arrays: weight (c), bias (c); not learned: running_mean (c), running_var (c), num_batches_tracked ()
    Args:
        eps: at least 0; added to variances.
        momentum: 0..1, the part of the newest batch in the running statistics (Keras's is 1 less this).
        affine: have weight and bias.
    Raises:
        TrainingError: a batch with one value a channel, which has no variance.
    Source: Ioffe and Szegedy 2015.
    Example:
        >>> import retia as rt
        >>> rt.BatchNorm(input=(64, 8, 8)).count
        128
    """

    signature = "c *s -> c *s"
    axes = {"*s": "mix"}
    mixes_batch = True
    cure = "BatchNorm() has as many channels as come in; BatchNorm(input=(64, 8, 8)) says so"

    _: KW_ONLY
    eps: float = setting(real(0), default=1e-5)
    momentum: float = setting(real(0, 1), default=0.1)
    affine: bool = setting(flag, default=True)

    def owns(self) -> Mapping[str, Array]:
        return {
            **affine("c", self.affine),
            "running_mean": Array("c", ZEROS, learned=False),
            "running_var": Array("c", ONES, learned=False),
            "num_batches_tracked": Array("()", ZEROS, learned=False, kind="int"),
        }

    def forward(
        self,
        x: Tensor,
        *,
        running_mean: Tensor,
        running_var: Tensor,
        num_batches_tracked: Tensor,
        moment: Any,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
    ) -> Tensor:
        if not moment.training:
            return _batch_norm(x, running_mean, running_var, weight, bias, False, 0.0, self.eps)
        if x.shape[0] * math.prod(x.shape[2:]) == 1:
            raise TrainingError(
                f"{moment.node.label}: one value for each channel has no variance to train with.",
                fix="a batch_size of at least 2; or rt.GroupNorm, which needs no batch",
                path=moment.node.path,
            )
        mask = moment.mask()
        if mask is None:
            mean, variance = running_mean.clone(), running_var.clone()
            y = _batch_norm(x, mean, variance, weight, bias, True, self.momentum, self.eps)
        else:
            y, mean, variance = self._masked(x, mask, running_mean, running_var)
            y = by_channel(y, weight, bias)
        moment.update("running_mean", mean)
        moment.update("running_var", variance)
        moment.update("num_batches_tracked", num_batches_tracked + 1)
        return y

    def _masked(self, x: Tensor, mask: Tensor, old_mean: Tensor, old_var: Tensor) -> tuple[Tensor, ...]:
        mean, variance, count = moments(x, mask, (0, *range(2, x.dim())))
        y = (x - mean) * torch.rsqrt(variance + self.eps)
        unbiased = variance * count / (count - 1).clamp(min=1)
        new_mean = torch.lerp(old_mean, mean.detach().flatten(), self.momentum)
        return y, new_mean, torch.lerp(old_var, unbiased.detach().flatten(), self.momentum)


def _batch_norm(x: Tensor, *settings: Any) -> Tensor:
    """PyTorch's batch normalization, with derivatives that are right beside an axis of size 1.

    There its backward kernel reads pulls wrongly that stand in another order of axes than ``x``.
    """
    if 1 not in x.shape[2:]:
        return torch.nn.functional.batch_norm(x, *settings)
    y = torch.nn.functional.batch_norm(x.contiguous(), *settings)
    if y.requires_grad:
        y.register_hook(_in_rows)  # type: ignore[no-untyped-call]
    return y


def _in_rows(pull: Tensor | None) -> Tensor | None:
    return None if pull is None else pull.contiguous()


@layer
class LayerNorm(Layer):
    """Each example's last axes to mean 0 and variance 1: ``y = (x - mean) / sqrt(var + eps) * w + b``.

    Shape:  (*s, n) -> (*s, n); (*s, n1, n2) -> (*s, n1, n2) for two axes
    Arrays: weight (n), bias (n), with as many axes as are normalized
    Args:
        axes: how many of the last axes, at least 1.
        eps: at least 0; added to variances.
        affine: have weight and bias.
        bias: have a bias.
    Source: Ba, Kiros and Hinton 2016.
    Example:
        >>> import retia as rt
        >>> rt.LayerNorm(input=2).init()([1.0, 3.0])
        tensor([-1.0000,  1.0000])
    """

    cure = "LayerNorm() takes the last axis, however long it is; LayerNorm(axes=2) the last two"

    _: KW_ONLY
    last: int = setting(whole(1, 16), default=1, alias="axes")
    eps: float = setting(real(0), default=1e-5)
    affine: bool = setting(flag, default=True)
    bias: bool = setting(flag, default=True)

    axes = {"*s": "pass"}

    def ports(self, arity: int | None = None) -> Signature:
        return signature(f"*s {_last(self.last)} -> *s {_last(self.last)}")

    def owns(self) -> Mapping[str, Array]:
        return affine(_last(self.last), self.affine, self.bias)

    def forward(self, x: Tensor, *, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        shape = x.shape[x.dim() - self.last :]
        return torch.nn.functional.layer_norm(x, shape, weight, bias, self.eps)


@layer
class RMSNorm(Layer):
    """Each example's last axes to mean square 1: ``y = x / sqrt(mean(x^2) + eps) * w``.

    Shape:  (*s, n) -> (*s, n); (*s, n1, n2) -> (*s, n1, n2) for two axes
    Arrays: weight (n), with as many axes as are normalized
    Args:
        axes: how many of the last axes, at least 1.
        eps: at least 0; added to mean squares; the real type's own precision if None.
        affine: have a weight.
    Source: Zhang and Sennrich 2019.
    Example:
        >>> import retia as rt
        >>> rt.RMSNorm(input=2).init()([1.0, 7.0])
        tensor([0.2000, 1.4000])
    """

    cure = "RMSNorm() takes the last axis, however long it is; RMSNorm(axes=2) the last two"

    _: KW_ONLY
    last: int = setting(whole(1, 16), default=1, alias="axes")
    eps: float | None = setting(real(0, optional=True), default=None)
    affine: bool = setting(flag, default=True)

    axes = {"*s": "pass"}

    def ports(self, arity: int | None = None) -> Signature:
        return signature(f"*s {_last(self.last)} -> *s {_last(self.last)}")

    def owns(self) -> Mapping[str, Array]:
        return affine(_last(self.last), self.affine, bias=False)

    def forward(self, x: Tensor, *, weight: Tensor | None = None) -> Tensor:
        if weight is not None:  # what precedes may come in half precision, with another eps
            x = x.to(weight.dtype)
        return torch.nn.functional.rms_norm(x, x.shape[x.dim() - self.last :], weight, self.eps)


def _last(axes: int) -> str:
    return "n" if axes == 1 else " ".join(f"n{i}" for i in range(1, axes + 1))


@layer
class GroupNorm(Layer):
    """Groups of an example's channels to mean 0 and variance 1.

    ``y = (x - mean_g) / sqrt(var_g + eps) * w_c + b_c``. The channels are the first axis; neighbours
    make a group.

    Shape:  (c, *s) -> (c, *s), c a multiple of ``groups``
    Arrays: weight (c), bias (c)
    Args:
        groups: how many, at least 1.
        eps: at least 0; added to variances.
        affine: have weight and bias.
    Raises:
        ShapeError: the channels are no multiple of the groups.
    Source: Wu and He 2018.
    Example:
        >>> import retia as rt
        >>> rt.GroupNorm(1, input=2).init()([1.0, 3.0])
        tensor([-1.0000,  1.0000])
    """

    signature = "c *s -> c *s"
    solves = ("c",)
    axes = {"*s": "mix"}
    cure = "GroupNorm(8) makes 8 groups of however many channels; PyTorch's GroupNorm(8, 64) is GroupNorm(8)"

    groups: int = setting(whole(1))
    _: KW_ONLY
    eps: float = setting(real(0), default=1e-5)
    affine: bool = setting(flag, default=True)

    def solve(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        if isinstance(known["c"], int) and known["c"] % self.groups:
            raise ShapeError(f"{known['c']} channels do not make {self.groups} equal groups.", got=known["c"])
        return {}

    def owns(self) -> Mapping[str, Array]:
        return affine("c", self.affine)

    def forward(
        self, x: Tensor, *, moment: Any, weight: Tensor | None = None, bias: Tensor | None = None
    ) -> Tensor:
        return by_groups(x, moment.mask(), self.groups, weight, bias, self.eps)


@layer
class InstanceNorm(Layer):
    """Each channel of each example to mean 0 and variance 1.

    ``y = (x - mean_c) / sqrt(var_c + eps) * w_c + b_c``. The channels are the first axis; at least one
    other is needed. There are no running statistics.

    Shape:  (c, n, *s) -> (c, n, *s)
    Arrays: with ``affine``: weight (c), bias (c)
    Args:
        eps: at least 0; added to variances.
        affine: have weight and bias (not by default, as in PyTorch).
    Source: Ulyanov, Vedaldi and Lempitsky 2016.
    Example:
        >>> import retia as rt
        >>> rt.InstanceNorm(input=(1, 2))([[1.0, 3.0]])
        tensor([[-1.0000,  1.0000]])
    """

    signature = "c n *s -> c n *s"
    axes = {"n": "mix", "*s": "mix"}
    cure = "InstanceNorm() has as many channels as come in; InstanceNorm(affine=True) has weights"

    _: KW_ONLY
    eps: float = setting(real(0), default=1e-5)
    affine: bool = setting(flag, default=False)

    def owns(self) -> Mapping[str, Array]:
        return affine("c", self.affine)

    def forward(
        self, x: Tensor, *, moment: Any, weight: Tensor | None = None, bias: Tensor | None = None
    ) -> Tensor:
        return by_groups(x, moment.mask(), x.shape[1], weight, bias, self.eps)


def by_groups(
    x: Tensor, mask: Tensor | None, groups: int, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """Normalize groups of channels, each example alone."""
    if mask is None:
        return torch.group_norm(x, groups, weight, bias, eps)
    split = (x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])
    parts = x.reshape(split)  # (batch, c, *s) -> (batch, groups, c / groups, *s)
    mean, variance, _ = moments(parts, mask.unsqueeze(1), tuple(range(2, parts.dim())))
    y = ((parts - mean) * torch.rsqrt(variance + eps)).flatten(1, 2)  # -> (batch, c, *s)
    return by_channel(y, weight, bias)


@layer
class LocalResponseNorm(Layer):
    """Each element over a measure of its neighbours in other channels.

    ``y = x / (k + alpha * mean(x^2))^beta``. The mean goes over ``size`` neighbouring channels, of which
    those beyond the ends are 0. The channels are the first axis.

    Shape:  (c, *s) -> (c, *s)
    Args:
        size: of the neighbourhood, at least 1.
        alpha: factor of the mean square. beta: exponent. k: addend, above 0.
    Source: Krizhevsky, Sutskever and Hinton 2012, with alpha as in PyTorch, divided by the size.
    Example:
        >>> import retia as rt
        >>> rt.LocalResponseNorm(1, alpha=1.0, beta=1.0, input=2)([1.0, 3.0])
        tensor([0.5000, 0.3000])
    """

    signature = "c *s -> c *s"
    axes = {"*s": "pass"}

    size: int = setting(whole(1))
    _: KW_ONLY
    alpha: float = setting(real(), default=1e-4)
    beta: float = setting(real(), default=0.75)
    k: float = setting(real(0), default=1.0)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.reshape(*x.shape[:2], math.prod(x.shape[2:]))  # (batch, c, *s) -> (batch, c, positions)
        norm = torch.nn.functional.local_response_norm
        return norm(flat, self.size, self.alpha, self.beta, self.k).reshape(x.shape)
