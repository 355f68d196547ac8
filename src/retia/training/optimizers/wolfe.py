"""A line search: how far to go in a direction so that both of Wolfe's strong conditions hold.

A bracket is widened until it must hold such a point, then narrowed by cubic interpolation. The numbers are
those of PyTorch's search (``torch.optim.LBFGS``), bit for bit. Where the loss is not finite, that one goes
astray and this one comes back.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

Number: TypeAlias = Any
"""A float or a tensor of one number, whichever the arithmetic gives: they round differently."""

ENOUGH = 1e-4
"""The loss must fall by this share of what the slope at the start promises."""

LEVEL = 0.9
"""The slope must come down to this share of that at the start."""


@dataclass(frozen=True)
class Point:
    """A place on the line.

    Attributes:
        at: how many times the direction it is from the start.
        loss: there; NaN for one that is not finite.
        gradient: of the loss, flat.
        slope: of the loss along the direction.
    """

    at: Number
    loss: float
    gradient: Tensor
    slope: Tensor


@dataclass
class Search:
    """One search along a line.

    Args:
        look: answers the point at so many times the direction.
        start: the point at 0.
        width: the largest element of the direction.
        least: a bracket in which no element moves further than this is not narrowed.
        most: looks after the first.
    Attributes:
        looks: done so far.
    """

    look: Callable[[Number], Point]
    start: Point
    width: Tensor
    least: float
    most: int
    looks: int = 0
    _slow: bool = False

    def run(self, first: Number) -> Point:
        """The point where both conditions hold, or else the lowest that was found.

        Args:
            first: how many times the direction to try first.
        """
        found = self._bracket(first)
        while len(found) == 2 and self.looks <= self.most:
            if abs(found[1].at - found[0].at) * self.width <= self.least:
                break
            found = self._narrow(*found)
        return found[0] if len(found) == 1 or _is_lower(*found) else found[1]

    def _bracket(self, first: Number) -> tuple[Point, ...]:
        """The point that was sought, or two with one like it between them."""
        last, new = self.start, self._look(first)
        while self.looks <= self.most:
            if self._is_high(new) or (self.looks > 2 and new.loss >= last.loss):
                return last, new
            if self._is_level(new):
                return (new,)
            if new.slope >= 0:
                return last, new
            bounds = (new.at + 0.01 * (new.at - last.at), new.at * 10)
            last, new = new, self._look(_lowest(last, new, bounds))
        return self.start, new

    def _narrow(self, one: Point, other: Point) -> tuple[Point, ...]:
        """The point that was sought, or a narrower bracket."""
        low, high = (one, other) if _is_lower(one, other) else (other, one)
        first = low is one
        new = self._look(self._inside(_lowest(one, other), one.at, other.at))
        if self._is_high(new) or new.loss >= low.loss:
            high = new
        elif self._is_level(new):
            return (new,)
        elif new.slope * (high.at - low.at) >= 0:
            low, high = new, low
        else:
            low = new
        return (low, high) if first else (high, low)

    def _inside(self, at: Number, one: Number, other: Number) -> Number:
        """The same place, or one further inside where the bracket would narrow too slowly."""
        low, high = min(one, other), max(one, other)
        edge = 0.1 * (high - low)
        if not min(high - at, at - low) < edge:
            self._slow = False
            return at
        if self._slow or at >= high or at <= low:
            self._slow = False
            return high - edge if abs(at - high) < abs(at - low) else low + edge
        self._slow = True
        return at

    def _look(self, at: Number) -> Point:
        self.looks += 1
        return self.look(at)

    def _is_high(self, new: Point) -> bool:
        most = self.start.loss + ENOUGH * new.at * self.start.slope
        return math.isnan(new.loss) or bool(new.loss > most)

    def _is_level(self, new: Point) -> bool:
        return bool(abs(new.slope) <= -LEVEL * self.start.slope)


def _is_lower(one: Point, other: Point) -> bool:
    return one.loss <= other.loss or math.isnan(other.loss)


def _lowest(one: Point, other: Point, bounds: tuple[Number, Number] | None = None) -> Number:
    """Where the cubic through both points with their slopes is lowest, within the bounds.

    Source: Nocedal and Wright 2006, Numerical Optimization, equation 3.59.
    """
    left, right = (one, other) if one.at <= other.at else (other, one)
    low, high = bounds or (left.at, right.at)
    bend = left.slope + right.slope - 3 * (left.loss - right.loss) / (left.at - right.at)
    square = bend**2 - left.slope * right.slope
    if not square >= 0:
        return (low + high) / 2.0
    root = square.sqrt()
    share = (right.slope + root - bend) / (right.slope - left.slope + 2 * root)
    return min(max(right.at - (right.at - left.at) * share, low), high)
