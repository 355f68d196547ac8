"""Convolution and its transpose along one, two or three axes; the channels come first.

What the ranks have in common stands in three interfaces; the layers themselves only name their axes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any, ClassVar

from retia._torch import torch
from retia.errors import ArgumentError, ShapeError
from retia.layers.windows import Scatter, Slide, check_axes, kernel, solve_axes, span, spatial
from retia.nets.layer import ZEROS, Array, Layer, layer
from retia.nets.settings import declared, flag, per_axis, setting, spread, whole
from retia.shapes import Extent

if TYPE_CHECKING:
    from torch import Tensor


@declared
class Kernel(Layer):
    """The interface of layers with a weight for every place of a window."""

    axes: ClassVar[Mapping[str, str]] = {"in": "refuse", "*": "mix"}
    grouped: ClassVar[str] = "in"

    channels: int | None = setting(whole(1, optional=True), default=None)
    kernel_size: int | tuple[int, ...] = setting(kernel, default=None)
    _: KW_ONLY
    stride: int | tuple[int, ...] = setting(per_axis(1), default=1)
    padding: Any = setting(per_axis(0), default=0)
    dilation: int | tuple[int, ...] = setting(per_axis(1), default=1)
    groups: int = setting(whole(1), default=1)
    bias: bool = setting(flag, default=True)

    @abstractmethod
    def moves(self) -> Sequence[Slide | Scatter]:
        """The arithmetic of sizes along each spatial axis."""

    def validate(self) -> None:
        check_axes(self, "kernel_size", "stride", "padding", "dilation")
        if self.channels is not None and self.channels % self.groups:
            fitting = self.channels + self.groups - self.channels % self.groups
            raise ArgumentError(
                f"{type(self).__name__}: groups must divide channels; "
                f"{self.channels} channels cannot be {self.groups} groups.",
                fix=f"channels={fitting}, or groups that divide {self.channels}",
                expected=fitting,
                got=self.channels,
            )

    def sizes(self) -> Mapping[str, Any]:
        return {"out": self.channels}

    def owns(self) -> Mapping[str, Array]:
        outer = "out" if self.grouped == "in" else "in"
        inner = self.grouped if self.groups == 1 else "per_group"
        window = " ".join(map(str, self._each(self.kernel_size)))
        bias = {"bias": Array("out", ZEROS)} if self.bias else {}
        return {"weight": Array(f"{outer} {inner} {window}"), **bias}

    def solve(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**self._solve_groups(known), **solve_axes(self, self.moves(), known)}

    def _solve_groups(self, known: Mapping[str, Any]) -> dict[str, Any]:
        for name, side in (("in", "input"), ("out", "output")):
            size = known[name]
            if isinstance(size, int) and size % self.groups:
                raise ShapeError(
                    f"groups must divide the channels of its {side}; "
                    f"{size} channels cannot be {self.groups} groups.",
                    fix=f"groups that divide {size}",
                    got=size,
                )
        if isinstance(known[self.grouped], int):
            return {"per_group": known[self.grouped] // self.groups}
        if known["per_group"] is not None:
            return {self.grouped: known["per_group"] * self.groups}
        return {}

    def _each(self, value: int | tuple[int, ...]) -> tuple[int, ...]:
        return spread(value, len(spatial(self)[0]))

    def _spans(self) -> list[int]:
        sizes = zip(self._each(self.kernel_size), self._each(self.dilation), strict=True)
        return [span(size, dilation) for size, dilation in sizes]


@declared
class Convolution(Kernel):
    """The interface of convolutions."""

    _: KW_ONLY
    padding: int | str | tuple[int, ...] = setting(per_axis(0, words=("same", "valid")), default=0)

    def moves(self) -> Sequence[Slide]:
        if self.padding == "same":
            return [Slide(-1, stride, 1) for stride in self._each(self.stride)]
        offsets = [2 * pad - reach for pad, reach in zip(self._pads(), self._spans(), strict=True)]
        return [
            Slide(offset, stride, max(1, -offset))
            for offset, stride in zip(offsets, self._each(self.stride), strict=True)
        ]

    def solve(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.padding == "same":
            self._check_same(known)
        return super().solve(known)

    def _check_same(self, known: Mapping[str, Any]) -> None:
        """Padding that depends on an example's length cannot be that of the batch."""
        for axis, reach, stride in zip(spatial(self)[0], self._spans(), self._each(self.stride), strict=True):
            left = {same_padding(size, reach, stride)[0] for size in range(1, stride + 1)}
            if isinstance(known[axis], Extent) and len(left) > 1:
                raise ShapeError(
                    f"{axis} varies from example to example ({known[axis]}), and padding='same' "
                    f"with stride {stride} would begin each example elsewhere.",
                    fix=f"padding={(reach - 1) // 2}",
                    got=known[axis],
                )

    def _pads(self) -> tuple[int, ...]:
        return self._each(0 if isinstance(self.padding, str) else self.padding)

    def forward(self, x: Tensor, *, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        stride, dilation = self._each(self.stride), self._each(self.dilation)
        pads = self._pads()
        if self.padding == "same":
            both = [same_padding(*each) for each in zip(x.shape[2:], self._spans(), stride, strict=True)]
            pads = tuple(left for left, _ in both)
            uneven = [n for left, right in reversed(both) for n in (0, right - left)]
            if any(uneven):
                x = torch.nn.functional.pad(x, uneven)
        convolve = getattr(torch.nn.functional, f"conv{len(stride)}d")
        return convolve(x, weight, bias, stride, pads, dilation, self.groups)  # type: ignore[no-any-return]


def same_padding(size: int, span: int, stride: int) -> tuple[int, int]:
    """Zeros before and after an axis so that ``ceil(size / stride)`` places of a window come out."""
    total = max(span - 1 - (size - 1) % stride, 0)
    return total // 2, total - total // 2


@declared
class Transposed(Kernel):
    """The interface of transposed convolutions."""

    grouped = "out"

    _: KW_ONLY
    output_padding: int | tuple[int, ...] = setting(per_axis(0), default=0)

    def validate(self) -> None:
        super().validate()
        check_axes(self, "output_padding")
        strides, dilations = self._each(self.stride), self._each(self.dilation)
        for extra, stride, dilation in zip(self._each(self.output_padding), strides, dilations, strict=True):
            if extra >= max(stride, dilation):
                raise ArgumentError(
                    f"{type(self).__name__}: output_padding is below the stride or the dilation; "
                    f"got {extra} for stride {stride} and dilation {dilation}.",
                    fix=f"output_padding={max(stride, dilation) - 1}, or a larger stride",
                    expected=max(stride, dilation) - 1,
                    got=extra,
                )

    def moves(self) -> Sequence[Scatter]:
        pads, extra = self._each(self.padding), self._each(self.output_padding)
        return [
            Scatter(reach - stride - 2 * pad + more, stride)
            for reach, stride, pad, more in zip(
                self._spans(), self._each(self.stride), pads, extra, strict=True
            )
        ]

    def forward(self, x: Tensor, *, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        stride, padding = self._each(self.stride), self._each(self.padding)
        extra, dilation = self._each(self.output_padding), self._each(self.dilation)
        convolve = getattr(torch.nn.functional, f"conv_transpose{len(stride)}d")
        result: Tensor = convolve(x, weight, bias, stride, padding, extra, self.groups, dilation)
        return result


@layer
class Conv1d(Convolution):
    """Convolution along one axis: a window of weights moved over the input.

    ``y[o, m] = b[o] + sum over i, k of weight[o, i, k] x[i, stride m + dilation k - padding]``,
    zeros beyond the edges. With groups, each group of outputs reads its own group of inputs only.

    Shape:  (in, n) -> (out, m), m = floor((n + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1
    Arrays: weight (out, in / groups, k), bias (out)
    Args:
        channels: number of outputs, at least 1; inferred when left out.
        kernel_size: size of the window, at least 1.
        stride: from one place of the window to the next, at least 1.
        padding: zeros at either end; ``"valid"`` for none; ``"same"`` for
            m = ceil(n / stride), as TensorFlow has it: of an odd number of zeros, the odd one stands at
            the end.
        dilation: from one element of the window to the next, at least 1.
        groups: must divide the channels of input and output; as many as the input's is depthwise.
        bias: add b.
        init: how the weight starts (Kaiming uniform by default; b starts at 0).
    Raises:
        ArgumentError: groups do not divide channels.
        ShapeError: the input is smaller than the window; no input could give the output; n
            varies and ``"same"`` with a stride would begin each example elsewhere.
    Source: Waibel et al. 1989 (time-delay nets); computed by ``torch.nn.functional.conv1d``.
    Example:
        >>> import retia as rt
        >>> rt.Conv1d(8, 3, stride=2, input=(4, "n")).outputs["output"].shape[1].evaluate({"n": 9})
        4
    """

    signature = "in n -> out m"
    solves = ("in", "out", "per_group", "n", "m")
    cure = "Conv1d(32, 3) makes 32 channels with windows of 3; PyTorch's Conv1d(1, 32, 3) is Conv1d(32, 3)"


@layer
class Conv2d(Convolution):
    """Convolution along two axes: a window of weights moved over the input.

    ``y[o, p] = b[o] + sum over i, k of weight[o, i, k] x[i, stride p + dilation k - padding]``,
    zeros beyond the edges. With groups, each group of outputs reads its own group of inputs only.

    Shape:  (in, h, w) -> (out, y, x),
        y = floor((h + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1
    Arrays: weight (out, in / groups, kh, kw), bias (out)
    Args:
        channels: number of outputs, at least 1; inferred when left out.
        kernel_size: size of the window, at least 1; or one for each axis.
        stride: from one place of the window to the next, at least 1; or one for each axis.
        padding: zeros at either end; or one for each axis; ``"valid"`` for none; ``"same"`` for
            y = ceil(h / stride), as TensorFlow has it: of an odd number of zeros, the odd one stands at
            the end.
        dilation: from one element of the window to the next, at least 1; or one for each axis.
        groups: must divide the channels of input and output; as many as the input's is depthwise.
        bias: add b.
        init: how the weight starts (Kaiming uniform by default; b starts at 0).
    Raises:
        ArgumentError: groups do not divide channels.
        ShapeError: the input is smaller than the window; no input could give the output; a size
            varies and ``"same"`` with a stride would begin each example elsewhere.
    Source: LeCun et al. 1989; He et al. 2015 for the start; computed by ``torch.nn.functional.conv2d``.
    Example:
        >>> import retia as rt
        >>> rt.Conv2d(8, 5, input=(1, 28, 28)).outputs["output"].shape
        (8, 24, 24)
    """

    signature = "in h w -> out y x"
    solves = ("in", "out", "per_group", "h", "w", "y", "x")
    cure = "Conv2d(32, 3) makes 32 channels with windows of 3; PyTorch's Conv2d(1, 32, 3) is Conv2d(32, 3)"


@layer
class Conv3d(Convolution):
    """Convolution along three axes: a window of weights moved over the input.

    ``y[o, p] = b[o] + sum over i, k of weight[o, i, k] x[i, stride p + dilation k - padding]``,
    zeros beyond the edges. With groups, each group of outputs reads its own group of inputs only.

    Shape:  (in, d, h, w) -> (out, z, y, x),
        z = floor((d + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1
    Arrays: weight (out, in / groups, kd, kh, kw), bias (out)
    Args:
        channels: number of outputs, at least 1; inferred when left out.
        kernel_size: size of the window, at least 1; or one for each axis.
        stride: from one place of the window to the next, at least 1; or one for each axis.
        padding: zeros at either end; or one for each axis; ``"valid"`` for none; ``"same"`` for
            z = ceil(d / stride), as TensorFlow has it: of an odd number of zeros, the odd one stands at
            the end.
        dilation: from one element of the window to the next, at least 1; or one for each axis.
        groups: must divide the channels of input and output; as many as the input's is depthwise.
        bias: add b.
        init: how the weight starts (Kaiming uniform by default; b starts at 0).
    Raises:
        ArgumentError: groups do not divide channels.
        ShapeError: the input is smaller than the window; no input could give the output; a size
            varies and ``"same"`` with a stride would begin each example elsewhere.
    Source: Ji et al. 2013; computed by ``torch.nn.functional.conv3d``.
    Example:
        >>> import retia as rt
        >>> rt.Conv3d(8, 3, padding="same", input=(1, 9, 16, 16)).outputs["output"].shape
        (8, 9, 16, 16)
    """

    signature = "in d h w -> out z y x"
    solves = ("in", "out", "per_group", "d", "h", "w", "z", "y", "x")
    cure = "Conv3d(32, 3) makes 32 channels with windows of 3; PyTorch's Conv3d(1, 32, 3) is Conv3d(32, 3)"


@layer
class ConvTranspose1d(Transposed):
    """Transposed convolution along one axis: every input lays a window of weights out.

    ``y[o, stride p + dilation k - padding] = b[o] + sum of weight[i, o, k] x[i, p] over i, p, k``:
    the derivative of ``Conv1d`` by its input, used to make things larger. ``Upsample`` and ``Conv1d`` after
    it do so without the checkerboard that a stride which does not divide kernel_size leaves.

    Shape:  (in, n) -> (out, m),
        m = (n - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1
    Arrays: weight (in, out / groups, k), bias (out)
    Args:
        channels: number of outputs, at least 1; inferred when left out.
        kernel_size: size of the window, at least 1.
        stride: from one window to the next at the output, at least 1.
        padding: so much is taken away at either end of the output.
        dilation: from one element of the window to the next, at least 1.
        groups: must divide the channels of input and output.
        bias: add b.
        output_padding: so much is added at the end, below stride or dilation.
        init: how the weight starts (Kaiming uniform by default, its fan-in read from the weight's second
            axis as PyTorch does; b starts at 0).
    Raises:
        ArgumentError: groups do not divide channels; output_padding is too large.
        ShapeError: nothing is left of the output; no input could give the output.
    Source: Zeiler et al. 2010; computed by ``torch.nn.functional.conv_transpose1d``.
    Example:
        >>> import retia as rt
        >>> rt.ConvTranspose1d(1, 2, stride=2, input=(4, 10)).outputs["output"].shape
        (1, 20)
    """

    signature = "in n -> out m"
    solves = ("in", "out", "per_group", "n", "m")
    cure = (
        "ConvTranspose1d(32, 3) makes 32 channels with windows of 3; "
        "PyTorch's ConvTranspose1d(1, 32, 3) is ConvTranspose1d(32, 3)"
    )


@layer
class ConvTranspose2d(Transposed):
    """Transposed convolution along two axes: every input lays a window of weights out.

    ``y[o, stride p + dilation k - padding] = b[o] + sum of weight[i, o, k] x[i, p] over i, p, k``:
    the derivative of ``Conv2d`` by its input, used to make things larger. ``Upsample`` and ``Conv2d`` after
    it do so without the checkerboard that a stride which does not divide kernel_size leaves.

    Shape:  (in, h, w) -> (out, y, x),
        y = (h - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1
    Arrays: weight (in, out / groups, kh, kw), bias (out)
    Args:
        channels: number of outputs, at least 1; inferred when left out.
        kernel_size: size of the window, at least 1; or one for each axis.
        stride: from one window to the next at the output, at least 1; or one for each axis.
        padding: so much is taken away at either end of the output; or one for each axis.
        dilation: from one element of the window to the next, at least 1; or one for each axis.
        groups: must divide the channels of input and output.
        bias: add b.
        output_padding: so much is added at the end, below stride or dilation; or one for each axis.
        init: how the weight starts (Kaiming uniform by default, its fan-in read from the weight's second
            axis as PyTorch does; b starts at 0).
    Raises:
        ArgumentError: groups do not divide channels; output_padding is too large.
        ShapeError: nothing is left of the output; no input could give the output.
    Source: Zeiler et al. 2010; Odena et al. 2016 for the checkerboard.
    Example:
        >>> import retia as rt
        >>> rt.ConvTranspose2d(3, 4, stride=2, padding=1, output=(3, 64, 64)).inputs["input"].shape
        (None, 32, 32)
    """

    signature = "in h w -> out y x"
    solves = ("in", "out", "per_group", "h", "w", "y", "x")
    cure = (
        "ConvTranspose2d(32, 3) makes 32 channels with windows of 3; "
        "PyTorch's ConvTranspose2d(1, 32, 3) is ConvTranspose2d(32, 3)"
    )


@layer
class ConvTranspose3d(Transposed):
    """Transposed convolution along three axes: every input lays a window of weights out.

    ``y[o, stride p + dilation k - padding] = b[o] + sum of weight[i, o, k] x[i, p] over i, p, k``:
    the derivative of ``Conv3d`` by its input, used to make things larger. ``Upsample`` and ``Conv3d`` after
    it do so without the checkerboard that a stride which does not divide kernel_size leaves.

    Shape:  (in, d, h, w) -> (out, z, y, x),
        z = (d - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1
    Arrays: weight (in, out / groups, kd, kh, kw), bias (out)
    Args:
        channels: number of outputs, at least 1; inferred when left out.
        kernel_size: size of the window, at least 1; or one for each axis.
        stride: from one window to the next at the output, at least 1; or one for each axis.
        padding: so much is taken away at either end of the output; or one for each axis.
        dilation: from one element of the window to the next, at least 1; or one for each axis.
        groups: must divide the channels of input and output.
        bias: add b.
        output_padding: so much is added at the end, below stride or dilation; or one for each axis.
        init: how the weight starts (Kaiming uniform by default, its fan-in read from the weight's second
            axis as PyTorch does; b starts at 0).
    Raises:
        ArgumentError: groups do not divide channels; output_padding is too large.
        ShapeError: nothing is left of the output; no input could give the output.
    Source: Zeiler et al. 2010; computed by ``torch.nn.functional.conv_transpose3d``.
    Example:
        >>> import retia as rt
        >>> rt.ConvTranspose3d(1, 2, stride=2, input=(4, 5, 8, 8)).outputs["output"].shape
        (1, 10, 16, 16)
    """

    signature = "in d h w -> out z y x"
    solves = ("in", "out", "per_group", "d", "h", "w", "z", "y", "x")
    cure = (
        "ConvTranspose3d(32, 3) makes 32 channels with windows of 3; "
        "PyTorch's ConvTranspose3d(1, 32, 3) is ConvTranspose3d(32, 3)"
    )
