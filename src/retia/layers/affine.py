"""Layers that turn, stretch, shear and shift pictures in training, each example in its own way.

All of them are one map of places, whose result is read off the picture in one call.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.layers.augmentation import FILL, Span, between, ends, numbers, span
from retia.layers.resize import mode_of
from retia.nets.layer import Layer, layer
from retia.nets.settings import real, setting

if TYPE_CHECKING:
    from torch import Tensor

MODE = setting(mode_of("linear", "nearest"), default="linear")
DEGREES = span(360, -360, 360)
SCALE = span(0.99, 0.01, 100)
SHEAR = span(89, -89, 89)
SHIFT = real(0, 1)


@layer
class RandomAffine(Layer):
    """In training, shears, turns, scales and shifts each picture about its middle, else lets it pass.

    All in one: every pixel of the result is read off once, between the four nearest of the picture. The
    result of several such layers is more and more blurred.

    Shape:  (c, h, w) -> (c, h, w)
    Args:
        degrees: to turn counter-clockwise: a number d for -d to d, or (least, most); 0..360.
        scale: factor of size: a number s for 1 - s to 1 + s, or (least, most); 0..0.99, 0.01..100.
        shear: degrees by which columns lean to the right, as ``degrees``; 0..89.
        shift: up to that share of height and width, to any side, 0..1.
        mode: ``"linear"`` (PyTorch's ``"bilinear"`` names it too), or ``"nearest"``.
        fill: what is outside the picture: a number (0 is black where pictures go from 0 to 1), or
            ``"edge"`` for what its nearest pixel holds.
    Source: computed by ``torch.nn.functional.grid_sample``.
    Example:
        >>> import retia as rt
        >>> rt.RandomAffine(degrees=10, shift=0.1, input=(1, 1, 2))([[[1.0, 2.0]]])
        tensor([[[1., 2.]]])
    """

    signature = "c h w -> c h w"
    drawn = "epoch"

    _: KW_ONLY
    degrees: Span = setting(DEGREES, default=0.0)
    scale: Span = setting(SCALE, default=0.0)
    shear: Span = setting(SHEAR, default=0.0)
    shift: float = setting(SHIFT, default=0.0)
    mode: str = MODE
    fill: float | str = FILL

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        how = (self.degrees, self.scale, self.shear, self.shift)
        return _moved(x, moment, *how, mode=self.mode, fill=self.fill)


def _moved(
    x: Tensor,
    moment: Any,
    degrees: Span = 0.0,
    scale: Span = 0.0,
    shear: Span = 0.0,
    shift: float = 0.0,
    *,
    mode: str,
    fill: float | str,
) -> Tensor:
    """What ``RandomAffine`` does."""
    if not moment.training or not any((degrees, scale, shear, shift)):
        return x
    angle, size, lean, down, right = numbers(x, 5, moment)
    angle = between(angle, ends(degrees, 0.0)) * (math.pi / 180)
    slope = (between(lean, ends(shear, 0.0)) * (math.pi / 180)).tan()
    down, right = (
        between(drawn, (-shift, shift)) * n for drawn, n in zip((down, right), x.shape[2:], strict=True)
    )
    return _read(x, _origin(angle, between(size, ends(scale, 1.0)), slope, down, right), mode, fill)


def _origin(angle: Tensor, scale: Tensor, slope: Tensor, down: Tensor, right: Tensor) -> list[Tensor]:
    """From where a pixel is read: (column, row) = (a x + b y + c, d x + e y + f), from the middle on.

    Forwards, (x, y) with y downwards becomes ``scale turn(x - slope y, y) + (right, down)``.
    """
    cos, sin = angle.cos() / scale, angle.sin() / scale
    a, b = cos + slope * sin, slope * cos - sin
    return [a, b, -(a * right + b * down), sin, cos, -(sin * right + cos * down)]


def _read(x: Tensor, origin: list[Tensor], mode: str, fill: float | str) -> Tensor:
    """Read every pixel off each picture, as ``_origin`` says from where."""
    height, width = x.shape[2:]
    a, b, c, d, e, f = (each.reshape(-1, 1, 1) for each in origin)
    across = torch.arange(width, dtype=a.dtype, device=x.device) - (width - 1) / 2
    along = (torch.arange(height, dtype=a.dtype, device=x.device) - (height - 1) / 2).unsqueeze(1)
    columns = (a * across + (b * along + c)) * (2 / width)  # (batch, h, w), from -1 to 1
    rows = (d * across + (e * along + f)) * (2 / height)
    grid = torch.stack([columns, rows], 3)
    given = x.to(a.dtype)
    outside = "border" if fill == "edge" else "zeros"
    given = given - fill if isinstance(fill, float | int) and fill else given
    read = torch.nn.functional.grid_sample(
        given, grid, "bilinear" if mode == "linear" else mode, outside, align_corners=False
    )
    read = read + fill if isinstance(fill, float | int) and fill else read
    return read.to(x.dtype)


@layer
class RandomRotation(Layer):
    """In training, turns each picture about its middle, else lets it pass.

    With others of its kind at once, and less blurred: ``RandomAffine``.

    Shape:  (c, h, w) -> (c, h, w)
    Args:
        degrees: counter-clockwise: a number d for -d to d, or (least, most); 0..360.
        mode: ``"linear"`` (PyTorch's ``"bilinear"`` names it too), or ``"nearest"``.
        fill: what is outside the picture, as in ``RandomAffine``.
    Example:
        >>> import retia as rt
        >>> rt.RandomRotation(15, input=(1, 1, 2))([[[1.0, 2.0]]])
        tensor([[[1., 2.]]])
    """

    signature = "c h w -> c h w"
    drawn = "epoch"

    degrees: Span = setting(DEGREES)
    _: KW_ONLY
    mode: str = MODE
    fill: float | str = FILL

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        return _moved(x, moment, degrees=self.degrees, mode=self.mode, fill=self.fill)


@layer
class RandomZoom(Layer):
    """In training, makes each picture larger or smaller about its middle, else lets it pass.

    With others of its kind at once, and less blurred: ``RandomAffine``.

    Shape:  (c, h, w) -> (c, h, w)
    Args:
        scale: factor of size: a number s for 1 - s to 1 + s, or (least, most); 0..0.99, 0.01..100.
        mode: ``"linear"`` (PyTorch's ``"bilinear"`` names it too), or ``"nearest"``.
        fill: what is outside the picture, as in ``RandomAffine``.
    Example:
        >>> import retia as rt
        >>> rt.RandomZoom(0.2, input=(1, 1, 2))([[[1.0, 2.0]]])
        tensor([[[1., 2.]]])
    """

    signature = "c h w -> c h w"
    drawn = "epoch"

    scale: Span = setting(SCALE)
    _: KW_ONLY
    mode: str = MODE
    fill: float | str = FILL

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        return _moved(x, moment, scale=self.scale, mode=self.mode, fill=self.fill)


@layer
class RandomShear(Layer):
    """In training, shears each picture about its middle, else lets it pass.

    With others of its kind at once, and less blurred: ``RandomAffine``.

    Shape:  (c, h, w) -> (c, h, w)
    Args:
        degrees: by which columns lean to the right: a number d for -d to d, or (least, most); 0..89.
        mode: ``"linear"`` (PyTorch's ``"bilinear"`` names it too), or ``"nearest"``.
        fill: what is outside the picture, as in ``RandomAffine``.
    Example:
        >>> import retia as rt
        >>> rt.RandomShear(10, input=(1, 1, 2))([[[1.0, 2.0]]])
        tensor([[[1., 2.]]])
    """

    signature = "c h w -> c h w"
    drawn = "epoch"

    degrees: Span = setting(SHEAR)
    _: KW_ONLY
    mode: str = MODE
    fill: float | str = FILL

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        return _moved(x, moment, shear=self.degrees, mode=self.mode, fill=self.fill)


@layer
class RandomTranslation(Layer):
    """In training, shifts each picture, else lets it pass.

    With others of its kind at once, and less blurred: ``RandomAffine``.

    Shape:  (c, h, w) -> (c, h, w)
    Args:
        shift: up to that share of height and width, to any side, 0..1.
        mode: ``"linear"`` (PyTorch's ``"bilinear"`` names it too), or ``"nearest"``.
        fill: what is outside the picture, as in ``RandomAffine``.
    Example:
        >>> import retia as rt
        >>> rt.RandomTranslation(0.1, input=(1, 1, 2))([[[1.0, 2.0]]])
        tensor([[[1., 2.]]])
    """

    signature = "c h w -> c h w"
    drawn = "epoch"

    shift: float = setting(SHIFT)
    _: KW_ONLY
    mode: str = MODE
    fill: float | str = FILL

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        return _moved(x, moment, shift=self.shift, mode=self.mode, fill=self.fill)
