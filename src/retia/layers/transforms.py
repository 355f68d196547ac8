"""Transforms of arrays to other bases: Fourier's, of real numbers, and Walsh's and Hadamard's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any, ClassVar

from retia._torch import torch
from retia.errors import ShapeError
from retia.nets.layer import Layer, layer
from retia.nets.settings import choice, declared, flag, setting, whole
from retia.shapes import Signature, signature

if TYPE_CHECKING:
    from torch import Tensor

NORM = choice("backward", "ortho", "forward")


def _exact(x: Tensor) -> Tensor:
    """Single precision at least: half precision has no transform everywhere."""
    return x if x.dtype == torch.float64 else x.float()


@declared
class Transform(Layer):
    """The interface of Fourier transforms over the last axes."""

    solves: ClassVar[tuple[str, ...]] = ("n", "bins")
    axes: ClassVar[Mapping[str, str]] = {"*s": "pass"}

    _: KW_ONLY
    over: int = setting(whole(1, 3), default=1, alias="axes")
    norm: str = setting(NORM, default="backward")

    def _shapes(self) -> tuple[str, str]:
        """The shape in numbers, and in frequencies."""
        before = "*s" + "".join(f" n{i}" for i in range(self.over - 1))
        return f"{before} n", f"{before} bins 2"

    def _dims(self) -> tuple[int, ...]:
        return tuple(range(-self.over, 0))


@layer
class Fourier(Transform):
    """Discrete Fourier transform of real numbers: ``y_k = sum_j x_j e^(-2 pi i j k / n)``, k from 0 to n / 2.

    The last axis of the result has the real and the imaginary part. The other half of the frequencies
    follows from these, ``y_(n-k) = conj(y_k)``, and is left out. The power of windows of a sound:
    ``Spectrum``.

    Shape:  (*s, n) -> (*s, n // 2 + 1, 2); with more axes, those before the last keep their sizes
    Args:
        axes: over how many of the last axes it goes, 1 to 3.
        norm: ``"backward"`` (the sum as it is), ``"ortho"`` (divided by sqrt n) or ``"forward"`` (by n), n
            being how many numbers are summed.
    Raises:
        ShapeError: an axis of size 0, or one that varies from example to example.
    Source: computed by ``torch.fft.rfftn``.
    Example:
        >>> import retia as rt
        >>> rt.Fourier(input=4)([1.0, 2.0, 3.0, 4.0])
        tensor([[10.,  0.],
                [-2.,  2.],
                [-2.,  0.]])
    """

    def ports(self, arity: int | None = None) -> Signature:
        return signature(" -> ".join(self._shapes()))

    def solve(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        if known["n"] is None:
            return {}  # 2 bins - 1 numbers would do, and one less
        if known["n"] == 0:
            raise ShapeError("there is no spectrum of no numbers.", expected=1, got=0)
        return {"bins": known["n"] // 2 + 1}

    def forward(self, x: Tensor) -> Tensor:
        if not x.numel():  # of a batch of none there is no transform everywhere
            return x.new_zeros((*x.shape[:-1], x.shape[-1] // 2 + 1, 2))
        waves = torch.fft.rfftn(_exact(x), dim=self._dims(), norm=self.norm)
        return torch.view_as_real(waves).to(x.dtype)


@layer
class InverseFourier(Transform):
    """Real numbers from the half of their spectrum that ``Fourier`` gives: its inverse, for the same norm.

    Imaginary parts that no spectrum of real numbers has are left out of account, as in ``torch.fft``.

    Shape:  (*s, bins, 2) -> (*s, n), n = 2 bins - 2, or 2 bins - 1 where it is odd
    Args:
        odd: whether n is.
        axes: over how many of the last axes (without that of the parts) it goes, 1 to 3.
        norm: that of the transform which it undoes.
    Raises:
        ShapeError: an even n of one bin; a size that varies; an n that is not odd, or is, against ``odd``.
    Source: computed by ``torch.fft.irfftn``.
    Example:
        >>> import retia as rt
        >>> rt.InverseFourier(input=(3, 2))([[10.0, 0.0], [-2.0, 2.0], [-2.0, 0.0]])
        tensor([1., 2., 3., 4.])
    """

    odd: bool = setting(flag, default=False)

    def ports(self, arity: int | None = None) -> Signature:
        return signature(" -> ".join(reversed(self._shapes())))

    def solve(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        bins, n = known["bins"], known["n"]
        if bins is not None:
            n = 2 * bins - 1 - (not self.odd)
            if n == 0:
                raise ShapeError("one frequency makes one number, which is odd.", fix="odd=True", got=bins)
            return {"n": n}
        if isinstance(n, int) and (n < 1 or n % 2 != self.odd):
            kind = "odd" if self.odd else "even and above 0"
            raise ShapeError(f"it makes a number of values that is {kind}; got {n}.", expected=kind, got=n)
        return {} if n is None else {"bins": n // 2 + 1}

    def forward(self, x: Tensor) -> Tensor:
        n = 2 * x.shape[-2] - 1 - (not self.odd)
        if not x.numel():
            return x.new_zeros((*x.shape[:-2], n))
        waves = torch.complex(*_exact(x).unbind(-1))
        sizes = (*waves.shape[-self.over : -1], n)
        y: Tensor = torch.fft.irfftn(waves, s=sizes, dim=self._dims(), norm=self.norm)
        return y.to(x.dtype)


@layer
class WalshHadamard(Layer):
    """Walsh-Hadamard transform of the last axis: ``y_k = sum_j (-1)^bits(j & k) x_j / sqrt n``.

    ``bits`` counts the ones of a binary number; the order is Hadamard's (natural). With the usual norm it is
    its own inverse. n log n additions, nothing learned: a cheap way to mix all elements.

    Shape:  (*s, n) -> (*s, n), n a power of 2
    Args:
        norm: ``"ortho"`` (divided by sqrt n), ``"backward"`` (the sum as it is) or ``"forward"`` (by n).
    Raises:
        ShapeError: n is no power of 2, or varies from example to example.
    Source: Fino and Algazi 1976.
    Example:
        >>> import retia as rt
        >>> rt.WalshHadamard(norm="backward", input=4)([1.0, 2.0, 3.0, 4.0])
        tensor([10., -2., -4.,  0.])
    """

    signature = "*s n -> *s n"
    solves = ("n",)
    axes = {"*s": "pass"}

    _: KW_ONLY
    norm: str = setting(NORM, default="ortho")

    def solve(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        n = known["n"]
        if isinstance(n, int) and (n < 1 or n & (n - 1)):
            more = 1 << max(n - 1, 0).bit_length()
            raise ShapeError(
                f"{n} is no power of 2.",
                fix=f"Pad((0, {more - n})) before it makes {more}",
                expected=more,
                got=n,
            )
        return {}

    def forward(self, x: Tensor) -> Tensor:
        lead, n = x.shape[:-1], x.shape[-1]
        x = x * {"backward": 1.0, "ortho": n**-0.5, "forward": 1 / n}[self.norm]
        half = 1
        while half < n:
            first, second = x.reshape(*lead, n // (2 * half), 2, half).unbind(-2)
            x = torch.stack([first + second, first - second], -2)
            half *= 2
        return x.reshape(*lead, n)
