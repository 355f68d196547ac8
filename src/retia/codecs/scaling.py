"""Mean and deviation by which numbers are standardised: given, or learned from the training part.

The deviation is that of the examples themselves (over n). ``"robust"`` takes the median instead of the mean,
and the distance of the quartiles in deviations of a normal distribution, so that outliers count little.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia.codecs.arrays import brief, is_array
from retia.errors import ArgumentError, CodecError
from retia.nets.settings import real

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEARNED = ("data", "robust")
QUARTILES = 1.3489795003921634
"""How far the quartiles of a normal distribution are apart, in its deviations."""

_MEAN, _DEVIATION = real(-1e300, 1e300), real(1e-300, 1e300)


def read_normalize(name: str, value: Any) -> Any:
    """The rule of ``normalize=``: None, ``"data"``, ``"robust"``, or (mean, deviation), numbers or tuples."""
    if value is None or (isinstance(value, str) and value in LEARNED):
        return value
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 2:
        raise ArgumentError(
            f"{name} is None, 'data', 'robust', or a pair (mean, deviation); got {brief(value)}.", got=value
        )
    return _each(f"{name}: mean", value[0], _MEAN), _each(f"{name}: deviation", value[1], _DEVIATION)


def learn_scale(values: NDArray[Any], how: str, where: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean and deviation along the first axis; the deviation of what is always the same is 1.

    Args:
        values: at least one row, finite.
        how: ``"data"`` or ``"robust"``.
        where: how errors call them.
    Raises:
        CodecError: numbers so large that their squares cannot be added.
    """
    values = values.astype(np.float64)
    middle, high, low = values.mean(axis=0), values.max(axis=0), values.min(axis=0)
    with np.errstate(over="ignore", invalid="ignore"):
        spread = values.std(axis=0)
    if not (np.isfinite(middle).all() and np.isfinite(spread).all()):
        raise CodecError(f"{where}: the numbers are too large to be standardised.", fix="normalize=None")
    if how == "robust":
        quarter, middle, rest = np.quantile(values, (0.25, 0.5, 0.75), axis=0)
        # Where nearly all are the same the quartiles say nothing of the rest.
        spread = np.where(rest - quarter > 1e-12 * (high - low), (rest - quarter) / QUARTILES, spread)
    same = (high == low) | (spread < 1e-300)
    return middle, np.where(same, 1.0, spread)


def plain(values: NDArray[Any]) -> Any:
    """A number, or a tuple of numbers, as settings hold them."""
    return float(values) if values.ndim == 0 else tuple(values.tolist())


def _each(name: str, value: Any, rule: Any) -> Any:
    value = value.tolist() if is_array(value) else value
    return tuple(rule(name, each) for each in value) if isinstance(value, list | tuple) else rule(name, value)
