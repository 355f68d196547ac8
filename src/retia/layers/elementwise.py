"""Layers that change every element by itself: the activations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, ClassVar

from retia._torch import torch
from retia.errors import ArgumentError
from retia.nets.initial import Initial
from retia.nets.layer import Array, Layer, layer
from retia.nets.settings import choice, flag, real, setting
from retia.shapes import Signature, signature

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
class ReLU6(Unary):
    """Rectified linear unit, cut at 6: ``y = min(max(x, 0), 6)``.

    Shape:  (*s) -> (*s)
    Source: Howard et al. 2017 (MobileNets).
    Example:
        >>> import retia as rt
        >>> rt.ReLU6(input=2)([-1.0, 7.0])
        tensor([0., 6.])
    """

    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.relu6(x)


@layer
class LeakyReLU(Unary):
    """Rectified linear unit with a slope below 0: ``y = max(x, 0) + slope * min(x, 0)``.

    Shape:  (*s) -> (*s)
    Args:
        slope: below 0, any number.
    Source: Maas, Hannun and Ng 2013.
    Example:
        >>> import retia as rt
        >>> rt.LeakyReLU(0.5, input=2)([-1.0, 2.0])
        tensor([-0.5000,  2.0000])
    """

    slope: float = setting(real(), default=0.01)

    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.leaky_relu(x, self.slope)


@layer
class PReLU(Layer):
    """Rectified linear unit with learned slopes below 0: ``y = max(x, 0) + w_c * min(x, 0)``.

    The channels are the first axis.

    Shape:  (c, *s) -> (c, *s); (*s) -> (*s) with ``shared``
    Arrays: weight (c), or (1) with ``shared``; starts at 0.25
    Args:
        shared: one slope for all channels.
    Source: He et al. 2015.
    Example:
        >>> import retia as rt
        >>> rt.PReLU(input=2).init()([-1.0, 2.0])
        tensor([-0.2500,  2.0000])
    """

    axes = {"*s": "pass"}
    cure = "PReLU() has a slope for each channel, however many there are; PReLU(shared=True) has one"

    _: KW_ONLY
    shared: bool = setting(flag, default=False)

    def ports(self, arity: int | None = None) -> Signature:
        return signature("*s -> *s" if self.shared else "c *s -> c *s")

    def owns(self) -> Mapping[str, Array]:
        return {"weight": Array("1" if self.shared else "c", Initial("constant", value=0.25))}

    def forward(self, x: Tensor, *, weight: Tensor) -> Tensor:
        return torch.nn.functional.prelu(x, weight)


@layer
class ELU(Unary):
    """Exponential linear unit: ``y = x`` above 0, ``alpha * (e^x - 1)`` below.

    Shape:  (*s) -> (*s)
    Args:
        alpha: the limit below is -alpha.
    Source: Clevert, Unterthiner and Hochreiter 2016.
    Example:
        >>> import retia as rt
        >>> rt.ELU(input=2)([-1.0, 2.0])
        tensor([-0.6321,  2.0000])
    """

    alpha: float = setting(real(), default=1.0)

    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.elu(x, self.alpha)


@layer
class SELU(Unary):
    """Self-normalising ELU: ``y = 1.0507 * (max(x, 0) + min(0, 1.6733 * (e^x - 1)))``.

    Shape:  (*s) -> (*s)
    Source: Klambauer et al. 2017.
    Example:
        >>> import retia as rt
        >>> rt.SELU(input=2)([-1.0, 2.0])
        tensor([-1.1113,  2.1014])
    """

    def forward(self, x: Tensor) -> Tensor:
        return torch.selu(x)


@layer
class GELU(Unary):
    """Gaussian error linear unit: ``y = x * P(X <= x)`` for a standard normal X.

    Shape:  (*s) -> (*s)
    Args:
        approximate: ``"none"`` for the exact function, ``"tanh"`` for the approximation by tanh.
    Source: Hendrycks and Gimpel 2016.
    Example:
        >>> import retia as rt
        >>> rt.GELU(input=2)([-1.0, 2.0])
        tensor([-0.1587,  1.9545])
    """

    _: KW_ONLY
    approximate: str = setting(choice("none", "tanh"), default="none")

    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.gelu(x, approximate=self.approximate)


@layer
class SiLU(Unary):
    """Sigmoid linear unit, also called swish: ``y = x / (1 + e^-x)``.

    Shape:  (*s) -> (*s)
    Source: Elfwing, Uchibe and Doya 2018; Ramachandran, Zoph and Le 2017.
    Example:
        >>> import retia as rt
        >>> rt.SiLU(input=2)([-1.0, 2.0])
        tensor([-0.2689,  1.7616])
    """

    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.silu(x)


@layer
class Mish(Unary):
    """``y = x * tanh(log(1 + e^x))``.

    Shape:  (*s) -> (*s)
    Source: Misra 2019.
    Example:
        >>> import retia as rt
        >>> rt.Mish(input=2)([-1.0, 2.0])
        tensor([-0.3034,  1.9440])
    """

    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.mish(x)


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
class Softplus(Unary):
    """A smooth ReLU: ``y = log(1 + e^(beta x)) / beta``, computed so that it never overflows.

    Shape:  (*s) -> (*s)
    Args:
        beta: above 0; the larger, the nearer to ReLU.
    Source: Dugas et al. 2001.
    Example:
        >>> import retia as rt
        >>> rt.Softplus(input=())(0.0)
        tensor(0.6931)
    """

    beta: float = setting(real(0), default=1.0)

    def validate(self) -> None:
        if not self.beta:
            raise ArgumentError("Softplus: beta is a number above 0; got 0.", got=self.beta)

    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.softplus(x, self.beta)


@layer
class Softsign(Unary):
    """``y = x / (1 + |x|)``, from -1 to 1.

    Shape:  (*s) -> (*s)
    Source: Turian, Bergstra and Bengio 2009.
    Example:
        >>> import retia as rt
        >>> rt.Softsign(input=2)([-1.0, 3.0])
        tensor([-0.5000,  0.7500])
    """

    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.softsign(x)


@layer
class HardSigmoid(Unary):
    """A sigmoid of straight lines: ``y = min(max(x + 3, 0), 6) / 6``.

    Shape:  (*s) -> (*s)
    Source: Howard et al. 2019 (MobileNetV3); Keras's of old had the slope 1/5.
    Example:
        >>> import retia as rt
        >>> rt.HardSigmoid(input=3)([-3.0, 0.0, 4.0])
        tensor([0.0000, 0.5000, 1.0000])
    """

    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.hardsigmoid(x)


@layer
class HardSwish(Unary):
    """A swish of straight lines and a parabola: ``y = x * min(max(x + 3, 0), 6) / 6``.

    Shape:  (*s) -> (*s)
    Source: Howard et al. 2019 (MobileNetV3).
    Example:
        >>> import retia as rt
        >>> rt.HardSwish(input=3)([-3.0, 1.5, 4.0])
        tensor([-0.0000, 1.1250, 4.0000])
    """

    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.hardswish(x)


@layer
class HardTanh(Unary):
    """The identity between two bounds, constant beyond: ``y = min(max(x, low), high)``.

    Shape:  (*s) -> (*s)
    Args:
        low: the least value. high: the greatest value, above low.
    Source: Collobert 2004.
    Example:
        >>> import retia as rt
        >>> rt.HardTanh(input=3)([-2.0, 0.5, 2.0])
        tensor([-1.0000,  0.5000,  1.0000])
    """

    low: float = setting(real(), default=-1.0)
    high: float = setting(real(), default=1.0)

    def validate(self) -> None:
        if self.low >= self.high:
            raise ArgumentError(f"HardTanh: low is {self.low}, not below high, {self.high}.")

    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.hardtanh(x, self.low, self.high)
