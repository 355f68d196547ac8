"""Layers that crop, mirror and erase pictures in training, each example in its own way.

What is drawn follows from seed, epoch, layer and the example's number alone, so neither the batch that an
example comes in nor the number of workers matters. Layers that turn and stretch stand in ``affine.py``, those
that change colours in ``colors.py``; here are the rules that they share.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any, TypeAlias

from retia._torch import torch
from retia.errors import ArgumentError, ShapeError
from retia.nets.layer import Layer, layer
from retia.nets.settings import Rule, choice, per_axis, real, setting, spread, whole

if TYPE_CHECKING:
    from torch import Tensor

Pair: TypeAlias = tuple[float, float]
Span: TypeAlias = "float | Pair"
"""How far to either side of what changes nothing, or the least and the most."""


def pair(low: float, high: float) -> Rule:
    """The rule of what is drawn between the least and the most."""
    each = real(low, high)

    def rule(name: str, value: Any) -> Pair:
        with suppress(ValueError, TypeError):
            least, most = (each(name, one) for one in value)
            if least <= most:
                return least, most
        raise ArgumentError(
            f"{name} is a pair (least, most) of numbers from {low:g} to {high:g}; got {value!r}.", got=value
        )

    return rule


def span(far: float, low: float, high: float) -> Rule:
    """The rule of a ``Span``: a number up to ``far``, or a pair from ``low`` to ``high``."""
    alone, both = real(0, far), pair(low, high)

    def rule(name: str, value: Any) -> Span:
        with suppress(ValueError):
            found: Span = both(name, value) if isinstance(value, tuple | list) else alone(name, value)
            return found
        raise ArgumentError(
            f"{name} is a number from 0 to {far:g}, or a pair (least, most) of numbers from {low:g} to "
            f"{high:g}; got {value!r}.",
            got=value,
        )

    return rule


def ends(given: Span, still: float) -> Pair:
    """The least and the most of what is drawn, ``still`` being what changes nothing."""
    return given if isinstance(given, tuple) else (still - given, still + given)


def between(drawn: Tensor, range: Pair) -> Tensor:
    """Numbers from [0, 1) brought between two others."""
    least, most = range
    return least + (most - least) * drawn


def numbers(x: Tensor, count: int, moment: Any) -> Tensor:
    """So many numbers in [0, 1) for each example: (count, batch), in the type that places are computed in."""
    drawn: Tensor = moment.uniform(x.new_empty(len(x), count))
    return drawn.to(torch.promote_types(x.dtype, torch.float32)).T


def every(x: Tensor) -> Tensor:
    """One number an example, to go with pictures: (batch,) -> (batch, 1, 1, 1)."""
    return x.reshape(-1, 1, 1, 1)


def _fill(name: str, value: Any) -> float | str:
    """The rule of what stands outside a picture."""
    if value == "edge":
        return "edge"
    with suppress(ValueError):
        number: float = real()(name, value)
        return number
    raise ArgumentError(f"{name} is a finite number, or 'edge'; got {value!r}.", got=value)


FILL = setting(_fill, default=0.0)


@layer
class RandomCrop(Layer):
    """In training, takes a part of each picture from anywhere, else from its middle.

    Every place has the same chance; pixels are copied as they are.

    Shape:  (c, h, w) -> (c, y, x), (y, x) = size
    Args:
        size: of the part: of both axes, or (height, width), at least 1.
        padding: at least 0, so many pixels are put to each side of the picture before.
        fill: what they hold: a number (0 is black where pictures go from 0 to 1), or ``"edge"`` for what
            the picture's nearest pixel holds.
    Raises:
        ShapeError: a picture and its padding are smaller than the part.
    Source: Krizhevsky et al. 2012.
    Example:
        >>> import retia as rt
        >>> rt.RandomCrop(1, input=(1, 1, 3))([[[1.0, 2.0, 3.0]]])
        tensor([[[2.]]])
    """

    signature = "c h w -> c y x"
    solves = ("h", "w")
    drawn = "epoch"
    cure = "RandomCrop((24, 32)) is 24 high and 32 wide"

    size: int | tuple[int, int] = setting(per_axis(1, axes=2))
    _: KW_ONLY
    padding: int = setting(whole(0), default=0)
    fill: float | str = FILL

    def sizes(self) -> Mapping[str, Any]:
        return dict(zip("yx", spread(self.size, 2), strict=True))

    def solve(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        for axis, size, way in zip("hw", spread(self.size, 2), ("high", "wide"), strict=True):
            most = known[axis] + 2 * self.padding if isinstance(known[axis], int) else size
            if most < size:
                raise ShapeError(
                    f"it takes a part that is {size} {way} of a picture that is {known[axis]} {way}"
                    f" ({most} with padding).",
                    fix=f"padding={-(-(size - known[axis]) // 2)}, or a smaller size",
                    expected=size,
                    got=known[axis],
                )
        return {}

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        size = spread(self.size, 2)
        free = [n - part for n, part in zip(x.shape[2:], size, strict=True)]
        if not moment.training:
            top, left = (n // 2 for n in free)
            if min(top, left) >= 0:
                return x[:, :, top : top + size[0], left : left + size[1]]
            whole_batch = torch.zeros(len(x), dtype=torch.int64, device=x.device)
            return _part(x, whole_batch + top, whole_batch + left, size, self.fill)
        down, right = (
            (drawn * (n + 2 * self.padding + 1)).floor().to(torch.int64) - self.padding
            for drawn, n in zip(numbers(x, 2, moment), free, strict=True)
        )
        return _part(x, down, right, size, self.fill if self.padding else "edge")


def _part(x: Tensor, top: Tensor, left: Tensor, size: tuple[int, ...], fill: float | str) -> Tensor:
    """The part of each picture that begins at its own place, which may be outside."""
    channels, height, width = x.shape[1:]
    rows = top.unsqueeze(1) + torch.arange(size[0], device=x.device)  # (batch, y)
    columns = left.unsqueeze(1) + torch.arange(size[1], device=x.device)  # (batch, x)
    at = rows.clamp(0, height - 1).unsqueeze(2) * width + columns.clamp(0, width - 1).unsqueeze(1)
    pixels = at.flatten(1).unsqueeze(1).expand(-1, channels, -1)  # (batch, c, y x)
    part = x.flatten(2).gather(2, pixels).reshape(len(x), channels, *size)
    if isinstance(fill, str):
        return part
    high, wide = (rows >= 0) & (rows < height), (columns >= 0) & (columns < width)
    return torch.where((high.unsqueeze(2) & wide.unsqueeze(1)).unsqueeze(1), part, fill)


@layer
class RandomFlip(Layer):
    """In training, mirrors each picture with a probability, else lets it pass.

    Shape:  (c, h, w) -> (c, h, w)
    Args:
        mode: ``"horizontal"`` (left and right change places), ``"vertical"`` (top and bottom), or
            ``"both"``, one without regard to the other.
        chance: probability of each, 0..1.
    Example:
        >>> import retia as rt
        >>> rt.RandomFlip(input=(1, 1, 2))([[[1.0, 2.0]]])
        tensor([[[1., 2.]]])
    """

    signature = "c h w -> c h w"
    drawn = "epoch"

    mode: str = setting(choice("horizontal", "vertical", "both"), default="horizontal")
    _: KW_ONLY
    chance: float = setting(real(0, 1), default=0.5)

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        if not moment.training or self.chance == 0:
            return x
        across, down = numbers(x, 2, moment) < self.chance
        if self.mode != "vertical":
            x = torch.where(every(across), x.flip(3), x)
        return x if self.mode == "horizontal" else torch.where(every(down), x.flip(2), x)


@layer
class RandomErasing(Layer):
    """In training, puts one colour over a part of each picture with a probability, else lets it pass.

    The part is a rectangle of a random size, form and place, as much of it as the picture holds.

    Shape:  (c, h, w) -> (c, h, w)
    Args:
        chance: probability, 0..1.
        area: the rectangle's share of the picture, (least, most), 0..1.
        ratio: its height by its width, (least, most), 0.01..100; 1 / r is drawn as often as r.
        fill: the number that its pixels get.
    Source: Zhong et al. 2017.
    Example:
        >>> import retia as rt
        >>> rt.RandomErasing(input=(1, 1, 2))([[[1.0, 2.0]]])
        tensor([[[1., 2.]]])
    """

    signature = "c h w -> c h w"
    drawn = "epoch"

    chance: float = setting(real(0, 1), default=0.5)
    _: KW_ONLY
    area: Pair = setting(pair(0, 1), default=(0.02, 0.33))
    ratio: Pair = setting(pair(0.01, 100), default=(0.3, 3.3))
    fill: float = setting(real(), default=0.0)

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        if not moment.training or self.chance == 0:
            return x
        height, width = x.shape[2:]
        drawn, area, ratio, top, left = numbers(x, 5, moment)
        pixels = between(area, self.area) * (height * width)
        least, most = self.ratio
        ratio = between(ratio, (math.log(least), math.log(most))).exp()
        rows = _within(height, (pixels * ratio).sqrt(), top)  # (batch, h)
        columns = _within(width, (pixels / ratio).sqrt(), left)  # (batch, w)
        erased = rows.unsqueeze(2) & columns.unsqueeze(1) & (drawn < self.chance).reshape(-1, 1, 1)
        return torch.where(erased.unsqueeze(1), self.fill, x)


def _within(size: int, length: Tensor, drawn: Tensor) -> Tensor:
    """Which places of an axis are within a stretch of about this length, put where ``drawn`` says."""
    length = length.round().clamp(1, size)
    start = (drawn * (size - length + 1)).floor()
    places = torch.arange(size, device=drawn.device)
    return (places >= start.unsqueeze(1)) & (places < (start + length).unsqueeze(1))
