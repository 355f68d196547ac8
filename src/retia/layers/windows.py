"""Windows that slide along axes: what convolution and pooling have in common.

Here are the sizes that a window gives and needs, both ways, and the rules of the settings that both
families take. Tensors are not touched here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia.errors import ArgumentError, ShapeError
from retia.nets.settings import per_axis
from retia.shapes import Extent, Size

if TYPE_CHECKING:
    from retia.nets.layer import Layer


@dataclass(frozen=True)
class Slide:
    """A window moved along an axis: ``out = (size + offset) // stride + 1``.

    Attributes:
        offset: what padding adds and the window takes.
        stride: from one place of the window to the next, at least 1.
        least: the smallest size that has a place for the window.
    """

    offset: int
    stride: int
    least: int

    def after(self, axis: str, size: Size) -> Size:
        """The number of places along an axis. Raises ``ShapeError`` where there is none."""
        if isinstance(size, int) and size < self.least:
            raise ShapeError(
                f"its window needs {axis} to be at least {self.least}; got {size}.",
                fix="a smaller kernel_size, more padding, or a larger input",
                expected=self.least,
                got=size,
            )
        return (size + self.offset) // self.stride + 1

    def before(self, axis: str, out: Size) -> Size | None:
        """The size with so many places; None where several have."""
        low = (out - 1) * self.stride - self.offset
        if isinstance(low, Extent):
            return low if self.stride == 1 else None
        high = low + self.stride - 1
        low = max(low, self.least)
        if low > high:
            raise ShapeError(
                f"no size of {axis} gives {out} places; the smallest, {self.least}, "
                f"gives {self.after(axis, self.least)}.",
                fix="a larger output, a larger kernel_size or less padding",
                expected=self.after(axis, self.least),
                got=out,
            )
        return low if low == high else None


@dataclass(frozen=True)
class Scatter:
    """A window laid out from every place of an axis: ``out = size * stride + offset``.

    Attributes:
        offset: what the window adds and padding takes away.
        stride: from one window to the next, at least 1.
    """

    offset: int
    stride: int

    @property
    def least(self) -> int:
        """The smallest size from which something is left."""
        return max(1, (self.stride - self.offset) // self.stride)

    def after(self, axis: str, size: Size) -> Size:
        """The size that so many places are laid out to."""
        if isinstance(size, int) and size < self.least:
            raise ShapeError(
                f"its padding needs {axis} to be at least {self.least}; got {size}.",
                fix="less padding, or a larger input",
                expected=self.least,
                got=size,
            )
        return size * self.stride + self.offset

    def before(self, axis: str, out: Size) -> Size | None:
        """The number of places that are laid out to a size."""
        size = (out - self.offset) // self.stride
        if isinstance(size, Extent):
            return size if size * self.stride + self.offset == out else None
        if size < self.least or size * self.stride + self.offset != out:
            near = max(size, self.least)
            raise ShapeError(
                f"no size of {axis} gives {out}; {near} gives {self.after(axis, near)}, "
                f"{near + 1} gives {self.after(axis, near + 1)}.",
                fix="an output size that the stride can give, or another output_padding",
                got=out,
            )
        return size


def solve_axes(layer: Layer, steps: Sequence[Slide | Scatter], known: Mapping[str, Any]) -> dict[str, Any]:
    """What follows for the spatial sizes of a layer: forward where the input is known, else backward."""
    found: dict[str, Any] = {}
    for step, axis, place in zip(steps, *spatial(layer), strict=True):
        if known[axis] is not None:
            found[place] = step.after(axis, known[axis])
        elif known[place] is not None:
            found[axis] = step.before(axis, known[place])
    return found


def spatial(layer: Layer) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the spatial axes of a layer, as its signature has them: at the input and at the output."""
    ports = layer.ports()
    return ports.inputs[0].dims[1:], ports.outputs[0].dims[1:]


def span(kernel_size: int, dilation: int) -> int:
    """How far a window reaches from its first to its last element."""
    return (kernel_size - 1) * dilation + 1


def kernel(name: str, value: Any) -> Any:
    """The rule of ``kernel_size``, which every window needs."""
    if value is None:
        raise ArgumentError(
            f"{name} is missing.", fix="kernel_size=3, or one for each axis", expected="kernel_size"
        )
    return per_axis(1)(name, value)


def check_axes(layer: Layer, *names: str) -> None:
    """Make sure that settings given for each axis are as many as there are axes."""
    axes = len(spatial(layer)[0])
    for name in names:
        value = getattr(layer, name)
        if isinstance(value, tuple) and len(value) != axes:
            raise ArgumentError(
                f"{type(layer).__name__}: {name} is a whole number, or {axes} of them; got {value!r}.",
                fix=f"{name}={value[0] if value else 1}",
                expected=axes,
                got=value,
            )
