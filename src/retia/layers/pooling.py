"""Pooling: windows or whole axes brought down to their greatest element or their average.

What the ranks have in common stands in interfaces; the layers themselves only name their axes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any, ClassVar

from retia._torch import torch
from retia.errors import ArgumentError, ShapeError
from retia.layers.windows import Slide, check_axes, solve_axes, span, spatial
from retia.nets.layer import Layer, layer
from retia.nets.settings import declared, flag, per_axis, setting, spread
from retia.shapes import Extent

if TYPE_CHECKING:
    from torch import Tensor


def _stride(name: str, value: Any) -> Any:
    return None if value is None else per_axis(1)(name, value)


@declared
class Pooling(Layer):
    """The interface of layers that bring each window of each channel down to one element.

    Class attributes:
        function: PyTorch's, without the number of axes.
        fits_bare: the window must fit into the input without its padding.
    """

    axes: ClassVar[Mapping[str, str]] = {"c": "refuse", "*": "mix"}
    function: ClassVar[str] = ""
    fits_bare: ClassVar[bool] = False

    kernel_size: int | tuple[int, ...] = setting(per_axis(1))
    _: KW_ONLY
    stride: int | tuple[int, ...] | None = setting(_stride, default=None)
    padding: int | tuple[int, ...] = setting(per_axis(0), default=0)
    ceil_mode: bool = setting(flag, default=False)

    @abstractmethod
    def options(self) -> Mapping[str, Any]:
        """The settings that only this kind of pooling has, as PyTorch takes them."""

    def dilations(self) -> tuple[int, ...]:
        """From one element of the window to the next, along each axis."""
        return self._each(1)

    def validate(self) -> None:
        check_axes(self, "kernel_size", "stride", "padding")
        for pad, size in zip(self._each(self.padding), self._each(self.kernel_size), strict=True):
            if 2 * pad > size:
                raise ArgumentError(
                    f"{type(self).__name__}: padding is at most half of kernel_size, so that every window "
                    f"meets the input; got {pad} for {size}.",
                    fix=f"padding={size // 2}",
                    expected=size // 2,
                    got=pad,
                )

    def solve(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        return solve_axes(self, self._steps(), known)

    def _steps(self) -> Sequence[Slide]:
        steps = []
        for size, dilation, stride, pad in zip(
            self._each(self.kernel_size),
            self.dilations(),
            self._strides(),
            self._each(self.padding),
            strict=True,
        ):
            reach = span(size, dilation)
            offset = 2 * pad - reach
            if self.ceil_mode:
                # A window may reach over the end, but must begin before it and its padding.
                offset = pad - 1 + min(0, pad + stride - reach)
            # With padding, a window whose elements lie further apart than the input is long could miss it.
            least = max(1, -offset, dilation if pad else 1, size if self.fits_bare else 1)
            steps.append(Slide(offset, stride, least))
        return steps

    def _pool(self, x: Tensor, options: Mapping[str, Any]) -> Tensor:
        pool = getattr(torch.nn.functional, f"{self.function}{len(spatial(self)[0])}d")
        result: Tensor = pool(
            x,
            self._each(self.kernel_size),
            self._strides(),
            self._each(self.padding),
            ceil_mode=self.ceil_mode,
            **options,
        )
        return result

    def _strides(self) -> tuple[int, ...]:
        return self._each(self.kernel_size if self.stride is None else self.stride)

    def _each(self, value: int | tuple[int, ...]) -> tuple[int, ...]:
        return spread(value, len(spatial(self)[0]))


@declared
class MaxPooling(Pooling):
    """The interface of layers that keep the greatest element of each window."""

    function = "max_pool"

    _: KW_ONLY
    dilation: int | tuple[int, ...] = setting(per_axis(1), default=1)

    def validate(self) -> None:
        check_axes(self, "dilation")
        super().validate()

    def dilations(self) -> tuple[int, ...]:
        return self._each(self.dilation)

    def options(self) -> Mapping[str, Any]:
        return {"dilation": self.dilations()}

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        mask = moment.mask()
        if mask is None:
            return self._pool(x, self.options())
        # Windows that hold nothing real become 0, for an infinity there would spoil later derivatives.
        real = self._pool(_full(mask, x), self.options()) > 0
        pooled = self._pool(x.masked_fill(~mask, -torch.inf), self.options())
        return torch.where(real, pooled, pooled.new_zeros(()))


@declared
class AveragePooling(Pooling):
    """The interface of layers that average each window."""

    function = "avg_pool"

    _: KW_ONLY
    count_include_pad: bool = setting(flag, default=True)

    def solve(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        counted = self.count_include_pad and any(self._each(self.padding))
        for axis in spatial(self)[0]:
            if self.ceil_mode and counted and isinstance(known[axis], Extent):
                raise ShapeError(
                    f"{axis} varies from example to example ({known[axis]}), and with ceil_mode the padding "
                    "that counts in the last window would be that of the batch.",
                    fix="count_include_pad=False, or ceil_mode=False",
                    got=known[axis],
                )
        return super().solve(known)

    def options(self) -> Mapping[str, Any]:
        return {"count_include_pad": self.count_include_pad}

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        mask = moment.mask()
        padded = any(self._each(self.padding))
        pooled = self._pool(x, self.options())
        if mask is None or not (self.ceil_mode or (padded and not self.count_include_pad)):
            return pooled
        # Both averages have the same divisors, so their quotient divides by the real elements alone.
        real = self._pool(_full(mask, x), self.options())
        return pooled / torch.where(real > 0, real, real.new_ones(()))


class GlobalPooling(Layer):
    """The interface of layers that bring all axes after the first down to one element."""

    signature: ClassVar[str] = "c *s -> c"
    solves: ClassVar[tuple[str, ...]] = ("*s",)
    axes: ClassVar[Mapping[str, str]] = {"*s": "mix"}

    def solve(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        if 0 in (known["*s"] or ()):
            raise ShapeError("there is nothing to pool along an axis of size 0.", got=known["*s"])
        return {}


def _full(mask: Tensor, x: Tensor) -> Tensor:
    """A mask as numbers, one channel of the size of a batch."""
    return mask.expand(-1, 1, *x.shape[2:]).to(x.dtype)


def _flat(x: Tensor) -> Tensor:
    """All axes after the channels as one."""
    return x.flatten(2) if x.dim() > 2 else x.unsqueeze(2)


@layer
class MaxPool1d(MaxPooling):
    """The greatest element of each window along one axis.

    ``y[c, p] = max over k of x[c, stride p + dilation k - padding]``; padding never wins. Where a size
    varies, each example is pooled as if it were alone.

    Shape:  (c, n) -> (c, m),
        m = floor((n + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1
    Args:
        kernel_size: size of the window, at least 1.
        stride: from one place of the window to the next, at least 1;
            kernel_size where it is left out.
        padding: widens either end, by at most half of kernel_size.
        ceil_mode: also take the last window that begins in the input but reaches over its end.
        dilation: from one element of the window to the next, at least 1.
    Raises:
        ArgumentError: padding is more than half of kernel_size.
        ShapeError: the input is smaller than the window, or, with padding, than the dilation; no input
            could give the output.
    Source: Collobert et al. 2011 (pooling over time); computed by ``torch.nn.functional.max_pool1d``.
    Example:
        >>> import retia as rt
        >>> rt.MaxPool1d(2, input=(1, 5))([[1.0, 3.0, 2.0, 0.0, 9.0]])
        tensor([[3., 2.]])
    """

    signature = "c n -> c m"
    solves = ("n", "m")
    cure = "MaxPool1d(2) halves each axis; PyTorch's MaxPool1d(3, 2) is MaxPool1d(3, stride=2)"


@layer
class MaxPool2d(MaxPooling):
    """The greatest element of each window along two axes.

    ``y[c, p] = max over k of x[c, stride p + dilation k - padding]``; padding never wins. Where a size
    varies, each example is pooled as if it were alone.

    Shape:  (c, h, w) -> (c, y, x),
        y = floor((h + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1
    Args:
        kernel_size: size of the window, at least 1; or one for each axis.
        stride: from one place of the window to the next, at least 1; or one for each axis;
            kernel_size where it is left out.
        padding: widens either end, by at most half of kernel_size; or one for each axis.
        ceil_mode: also take the last window that begins in the input but reaches over its end.
        dilation: from one element of the window to the next, at least 1; or one for each axis.
    Raises:
        ArgumentError: padding is more than half of kernel_size.
        ShapeError: the input is smaller than the window, or, with padding, than the dilation; no input
            could give the output.
    Source: Ranzato et al. 2007; computed by ``torch.nn.functional.max_pool2d``.
    Example:
        >>> import retia as rt
        >>> rt.MaxPool2d(3, stride=2, padding=1, input=(8, 32, 32)).outputs["output"].shape
        (8, 16, 16)
    """

    signature = "c h w -> c y x"
    solves = ("h", "w", "y", "x")
    cure = "MaxPool2d(2) halves each axis; PyTorch's MaxPool2d(3, 2) is MaxPool2d(3, stride=2)"


@layer
class MaxPool3d(MaxPooling):
    """The greatest element of each window along three axes.

    ``y[c, p] = max over k of x[c, stride p + dilation k - padding]``; padding never wins. Where a size
    varies, each example is pooled as if it were alone.

    Shape:  (c, d, h, w) -> (c, z, y, x),
        z = floor((d + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1
    Args:
        kernel_size: size of the window, at least 1; or one for each axis.
        stride: from one place of the window to the next, at least 1; or one for each axis;
            kernel_size where it is left out.
        padding: widens either end, by at most half of kernel_size; or one for each axis.
        ceil_mode: also take the last window that begins in the input but reaches over its end.
        dilation: from one element of the window to the next, at least 1; or one for each axis.
    Raises:
        ArgumentError: padding is more than half of kernel_size.
        ShapeError: the input is smaller than the window, or, with padding, than the dilation; no input
            could give the output.
    Source: Tran et al. 2015; computed by ``torch.nn.functional.max_pool3d``.
    Example:
        >>> import retia as rt
        >>> rt.MaxPool3d((1, 2, 2), input=(8, 9, 32, 32)).outputs["output"].shape
        (8, 9, 16, 16)
    """

    signature = "c d h w -> c z y x"
    solves = ("d", "h", "w", "z", "y", "x")
    cure = "MaxPool3d(2) halves each axis; PyTorch's MaxPool3d(3, 2) is MaxPool3d(3, stride=2)"


@layer
class AvgPool1d(AveragePooling):
    """The average of each window along one axis.

    ``y[c, p] = mean over k of x[c, stride p + k - padding]``, with zeros as padding. Where a size varies,
    each example is pooled as if it were alone.

    Shape:  (c, n) -> (c, m), m = floor((n + 2 padding - kernel_size) / stride) + 1
    Args:
        kernel_size: size of the window, at least 1.
        stride: from one place of the window to the next, at least 1;
            kernel_size where it is left out.
        padding: zeros at either end, at most half of kernel_size.
        ceil_mode: also take the last window that begins in the input but reaches over its end; what lies
            beyond the padding never counts.
        count_include_pad: whether the zeros of the padding count in the divisor.
    Raises:
        ArgumentError: padding is more than half of kernel_size.
        ShapeError: the input is smaller than the window; no input could give the output; a size varies
            and both ceil_mode and padding that counts are asked for.
    Source: computed by ``torch.nn.functional.avg_pool1d``.
    Example:
        >>> import retia as rt
        >>> rt.AvgPool1d(2, input=(1, 4))([[1.0, 3.0, 2.0, 0.0]])
        tensor([[2., 1.]])
    """

    signature = "c n -> c m"
    solves = ("n", "m")
    cure = "AvgPool1d(2) halves each axis; PyTorch's AvgPool1d(3, 2) is AvgPool1d(3, stride=2)"


@layer
class AvgPool2d(AveragePooling):
    """The average of each window along two axes.

    ``y[c, p] = mean over k of x[c, stride p + k - padding]``, with zeros as padding. Where a size varies,
    each example is pooled as if it were alone.

    Shape:  (c, h, w) -> (c, y, x), y = floor((h + 2 padding - kernel_size) / stride) + 1
    Args:
        kernel_size: size of the window, at least 1; or one for each axis.
        stride: from one place of the window to the next, at least 1; or one for each axis;
            kernel_size where it is left out.
        padding: zeros at either end, at most half of kernel_size; or one for each axis.
        ceil_mode: also take the last window that begins in the input but reaches over its end; what lies
            beyond the padding never counts.
        count_include_pad: whether the zeros of the padding count in the divisor.
    Raises:
        ArgumentError: padding is more than half of kernel_size.
        ShapeError: the input is smaller than the window; no input could give the output; a size varies
            and both ceil_mode and padding that counts are asked for.
    Source: LeCun et al. 1989; computed by ``torch.nn.functional.avg_pool2d``.
    Example:
        >>> import retia as rt
        >>> rt.AvgPool2d(2, input=(8, 32, 32)).outputs["output"].shape
        (8, 16, 16)
    """

    signature = "c h w -> c y x"
    solves = ("h", "w", "y", "x")
    cure = "AvgPool2d(2) halves each axis; PyTorch's AvgPool2d(3, 2) is AvgPool2d(3, stride=2)"


@layer
class AvgPool3d(AveragePooling):
    """The average of each window along three axes.

    ``y[c, p] = mean over k of x[c, stride p + k - padding]``, with zeros as padding. Where a size varies,
    each example is pooled as if it were alone.

    Shape:  (c, d, h, w) -> (c, z, y, x), z = floor((d + 2 padding - kernel_size) / stride) + 1
    Args:
        kernel_size: size of the window, at least 1; or one for each axis.
        stride: from one place of the window to the next, at least 1; or one for each axis;
            kernel_size where it is left out.
        padding: zeros at either end, at most half of kernel_size; or one for each axis.
        ceil_mode: also take the last window that begins in the input but reaches over its end; what lies
            beyond the padding never counts.
        count_include_pad: whether the zeros of the padding count in the divisor.
    Raises:
        ArgumentError: padding is more than half of kernel_size.
        ShapeError: the input without its padding is smaller than the window (PyTorch's rule for three
            axes); no input could give the output; a size varies and both ceil_mode and padding that counts
            are asked for.
    Source: computed by ``torch.nn.functional.avg_pool3d``.
    Example:
        >>> import retia as rt
        >>> rt.AvgPool3d((1, 2, 2), input=(8, 9, 32, 32)).outputs["output"].shape
        (8, 9, 16, 16)
    """

    signature = "c d h w -> c z y x"
    solves = ("d", "h", "w", "z", "y", "x")
    fits_bare = True
    cure = "AvgPool3d(2) halves each axis; PyTorch's AvgPool3d(3, 2) is AvgPool3d(3, stride=2)"


@layer
class GlobalAvgPool(GlobalPooling):
    """The average of each channel: ``y[c] = mean over s of x[c, s]``, over all axes after the first.

    Where a size varies, each example is divided by its own number of elements; the average of none is 0.

    Shape:  (c, *s) -> (c), for any number of axes s
    Raises:
        ShapeError: an axis has size 0.
    Source: Lin et al. 2014.
    Example:
        >>> import retia as rt
        >>> rt.GlobalAvgPool(input=(2, "n"))([[[1.0, 3.0], [0.0, 2.0]], [[5.0], [7.0]]])
        tensor([[2., 1.],
                [5., 7.]])
    """

    cure = "GlobalAvgPool() takes all axes after the channels; AvgPool2d(7) takes windows"

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        mask = moment.mask()
        if mask is None:
            return _flat(x).mean(2)
        return _flat(x).sum(2) / _flat(_full(mask, x)).sum(2).clamp(min=1)


@layer
class GlobalMaxPool(GlobalPooling):
    """The greatest element of each channel: ``y[c] = max over s of x[c, s]``, over all axes after the first.

    Where a size varies, what lies beyond an example's own is left out; the greatest of none is 0.

    Shape:  (c, *s) -> (c), for any number of axes s
    Raises:
        ShapeError: an axis has size 0.
    Source: Collobert et al. 2011 (max over time).
    Example:
        >>> import retia as rt
        >>> rt.GlobalMaxPool(input=(2, 2))([[1.0, 3.0], [-4.0, -2.0]])
        tensor([ 3., -2.])
    """

    cure = "GlobalMaxPool() takes all axes after the channels; MaxPool2d(7) takes windows"

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        mask, flat = moment.mask(), _flat(x)
        if mask is None:
            return flat.max(2).values
        if flat.shape[2] == 0:
            return flat.sum(2)
        real = _flat(_full(mask, x)) > 0
        greatest = flat.masked_fill(~real, -torch.inf).max(2).values
        return torch.where(real.any(2), greatest, greatest.new_zeros(()))
