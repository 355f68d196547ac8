"""A layer that changes the colours of pictures in training, each example in its own way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.errors import ArgumentError, ShapeError
from retia.layers.augmentation import Pair, Span, between, ends, every, numbers, pair, span
from retia.nets.layer import Layer, layer
from retia.nets.settings import setting

if TYPE_CHECKING:
    from torch import Tensor

LUMINANCE = (0.299, 0.587, 0.114)
"""How bright red, green and blue are (ITU-R BT.601), as in Pillow and PyTorch."""

FACTOR = span(1, 0, 100)


@layer
class ColorJitter(Layer):
    """In training, changes each picture's brightness, contrast, saturation and hue, else lets it pass.

    With v going from 0 (black) to 1 and g its gray: ``v = f v``, then ``v = m + f (v - m)`` with m the mean
    of g over the picture, then ``v = g + f (v - g)``, each with a factor f of its own and cut off at 0 and 1;
    then the hue is turned.

    Shape:  (c, h, w) -> (c, h, w)
    Args:
        brightness: factor: a number b for 1 - b to 1 + b, or (least, most); 0..1, 0..100.
        contrast: the same.
        saturation: the same, for three channels.
        hue: part of the circle of colours: a number h for -h to h, or (least, most); 0..0.5, -0.5..0.5; for
            three channels.
        range: what black and white are in the picture's numbers. What is outside is cut off.
    Raises:
        ShapeError: saturation or hue of a picture without three channels.
    Example:
        >>> import retia as rt
        >>> rt.ColorJitter(brightness=0.2, input=(1, 1, 2))([[[0.5, 1.0]]])
        tensor([[[0.5000, 1.0000]]])
    """

    signature = "c h w -> c h w"
    solves = ("c",)
    drawn = "epoch"

    _: KW_ONLY
    brightness: Span = setting(FACTOR, default=0.0)
    contrast: Span = setting(FACTOR, default=0.0)
    saturation: Span = setting(FACTOR, default=0.0)
    hue: Span = setting(span(0.5, -0.5, 0.5), default=0.0)
    range: Pair = setting(pair(-1e6, 1e6), default=(0.0, 1.0))

    def validate(self) -> None:
        if self.range[0] == self.range[1]:
            raise ArgumentError(
                f"ColorJitter: range is black and white, two different numbers; got {self.range!r}.",
                fix="range=(0, 255)",
                got=self.range,
            )

    def solve(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        if (self.saturation or self.hue) and known["c"] not in (None, 3):
            raise ShapeError(
                f"saturation and hue are those of three channels (red, green, blue); got {known['c']}.",
                fix='rt.Image(..., color="rgb"), or brightness and contrast alone',
                expected=3,
                got=known["c"],
            )
        return {}

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        if not moment.training or not any((self.brightness, self.contrast, self.saturation, self.hue)):
            return x
        brightness, contrast, saturation, hue = (every(each) for each in numbers(x, 4, moment))
        black, white = self.range
        v = ((x - black) / (white - black)).clamp(0, 1)
        if self.brightness:
            v = (v * between(brightness, ends(self.brightness, 1.0))).clamp(0, 1)
        if self.contrast:
            v = _apart(v, every(_mean(_gray(v))), between(contrast, ends(self.contrast, 1.0)))
        if self.saturation:
            v = _apart(v, _gray(v), between(saturation, ends(self.saturation, 1.0)))
        if self.hue:
            v = _turned(v, between(hue, ends(self.hue, 0.0)))
        return (black + (white - black) * v).to(x.dtype)


def _apart(v: Tensor, middle: Tensor, factor: Tensor) -> Tensor:
    """Numbers moved away from a middle, or towards it."""
    return (middle + factor * (v - middle)).clamp(0, 1)


def _gray(v: Tensor) -> Tensor:
    """(batch, c, h, w) -> (batch, 1, h, w); the mean of channels that are not three."""
    if v.shape[1] != 3:
        return v.mean(1, keepdim=True)
    red, green, blue = (v[:, c : c + 1] * share for c, share in enumerate(LUMINANCE))
    return red + green + blue


def _mean(v: Tensor) -> Tensor:
    """Means of examples: (batch, ...) -> (batch,), each added up in one order, whatever the batch's size."""
    rest = v.flatten(1)
    count = rest.shape[1]
    rest = torch.nn.functional.pad(rest, (0, (1 << (count - 1).bit_length()) - count))
    while rest.shape[1] > 1:
        half = rest.shape[1] // 2
        rest = rest[:, :half] + rest[:, half:]
    return rest.squeeze(1) / count


def _turned(v: Tensor, share: Tensor) -> Tensor:
    """Colours with their hue turned by a share of the circle.

    A colour is its largest channel, and how far the least is below it; the hue says, in sixths of the circle,
    where each channel stands between.
    """
    red, green, blue = v.unbind(1)
    largest, chroma = v.amax(1), v.amax(1) - v.amin(1)
    some = torch.where(chroma == 0, 1.0, chroma)  # gray has no hue
    hue = torch.where(
        largest == red,
        (green - blue) / some,
        torch.where(largest == green, 2 + (blue - red) / some, 4 + (red - green) / some),
    )
    hue = hue + 6 * share.squeeze(1)
    below = []
    for first in (5, 3, 1):  # where red, green and blue begin to fall
        place = torch.remainder(hue + first, 6)
        below.append(chroma * torch.minimum(place, 4 - place).clamp(0, 1))
    return largest.unsqueeze(1) - torch.stack(below, 1)
