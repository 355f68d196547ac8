"""How a curve goes when its noise is looked through: smoothing, noise, turns, and the fall an epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median


def smooth(values: Sequence[float]) -> list[float]:
    """Medians of each value and its neighbours: one that jumps out alone leaves no trace.

    Source: Tukey 1977 (running medians of 3).
    Example:
        >>> smooth([4.0, 3.0, 9.0, 2.0, 1.0])
        [3.5, 4.0, 3.0, 2.0, 1.5]
    """
    return [median(values[max(at - 1, 0) : at + 2]) for at in range(len(values))]


def noise(values: Sequence[float]) -> float:
    """The standard deviation of what a curve does beside its trend; 0 for fewer than four values.

    It is read from how far each value is from the line between its neighbours, by the median.

    Source: Gasser, Sroka and Jennen-Steinmetz 1986, with the median of Hampel 1974.
    Example:
        >>> noise([4.0, 3.0, 2.0, 1.0]), round(noise([1.0, 3.0, 1.0, 3.0, 1.0]), 1)
        (0.0, 2.4)
    """
    apart = [abs(a - 2 * b + c) for a, b, c in zip(values, values[1:], values[2:], strict=False)]
    return median(apart) / (0.6745 * math.sqrt(6)) if len(apart) > 1 else 0.0


def turns(values: Sequence[float]) -> float:
    """The share of values that are above or below both neighbours: 0 for a trend, 2/3 for pure noise.

    Source: Bienayme 1874 (the turning point test).
    Example:
        >>> turns([4.0, 3.0, 2.0, 1.0]), turns([1.0, 3.0, 1.0, 3.0])
        (0.0, 1.0)
    """
    inner = [*zip(values, values[1:], values[2:], strict=False)]
    return sum((b - a) * (c - b) < 0 for a, b, c in inner) / len(inner) if inner else 0.0


def fall(values: Sequence[float]) -> float:
    """By which share a curve falls an epoch at its end: over its last third, at least two epochs.

    Negative where it rises; 0 where it is too short, or not above 0.

    Example:
        >>> round(fall([8.0, 4.0, 2.0, 1.0]), 3)
        0.5
    """
    back = max(2, len(values) // 3)
    if len(values) <= back or min(values[-1], values[-1 - back]) <= 0:
        return 0.0
    return 1 - math.exp(math.log(values[-1] / values[-1 - back]) / back)
