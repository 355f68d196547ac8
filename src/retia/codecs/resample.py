"""Waveforms brought to another rate: one windowed sinc for every kind of sound.

What is below 0.9 of the lower of both half rates stays as it is, what is above that half rate is gone (100
dB). The result is a part of what a net learned from: a change here is a new version of ``Audio``.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ZEROS = 64
"""Zero crossings of the sinc on either side."""

CUTOFF = 0.95
"""Of the lower half rate: the middle of the filter's slope, which is 0.1 of it wide."""

BETA = 10.0
"""Of the Kaiser window: 100 dB."""


def resampled(samples: NDArray[Any], old: int, new: int) -> NDArray[Any]:
    """One channel at another rate, in float64, silence before and after: ``ceil(n * new / old)`` samples.

    Output k stands at the time of input ``k * old / new``. As the place between two inputs takes only
    ``up`` different values, there is one row of weights for each of them.
    """
    divisor = math.gcd(old, new)
    up, down = new // divisor, old // divisor
    if up == down:
        return samples.astype(np.float64)
    size = -(-len(samples) * up // down)
    reach, weights = _weights(up, down, min(up, size))
    padded = np.concatenate([np.zeros(reach), samples, np.zeros(reach + down + 1)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    result = np.empty(size)
    for phase, row in enumerate(weights):
        count = len(range(phase, size, up))
        result[phase::up] = windows[phase * down // up :: down][:count] @ row
    return result


@lru_cache(maxsize=4)
def _weights(up: int, down: int, phases: int) -> tuple[int, NDArray[Any]]:
    """How far a window reaches to either side, and its weights for each phase; each row sums to 1."""
    band = CUTOFF * min(1.0, up / down)
    width = ZEROS / band
    reach = math.ceil(width)
    shift = (np.arange(phases) * down % up / up)[:, None]
    away = np.arange(-reach, reach + 1) - shift
    inside = np.sqrt(np.maximum(1 - (away / width) ** 2, 0))
    weights = np.where(np.abs(away) <= width, np.sinc(band * away) * np.i0(BETA * inside), 0.0)
    return reach, weights / weights.sum(axis=1, keepdims=True)
