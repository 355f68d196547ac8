"""Mean and deviation by which the pixels of pictures are normalised: given, ImageNet's, or the data's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia.codecs.arrays import brief, is_array
from retia.errors import ArgumentError, CodecError
from retia.nets.settings import real

if TYPE_CHECKING:
    from numpy.typing import NDArray

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and deviation of the pixels of ImageNet, as most trained nets for pictures expect them."""

MOST = 10_000
"""Pictures that mean and deviation are learned from at most; more would not change their third digit."""

AT_ONCE = 64
"""Pictures that stand in memory at once meanwhile."""


def read_normalize(name: str, value: Any) -> Any:
    """The rule of ``normalize=``: None, ``"imagenet"``, ``"data"``, or (mean, deviation)."""
    if value is None or (isinstance(value, str) and value in ("imagenet", "data")):
        return value
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 2:
        raise ArgumentError(
            f"{name} is None, 'imagenet', 'data', or a pair (mean, deviation); got {brief(value)}.",
            got=value,
        )
    return _per_colour(f"{name}: mean", value[0], -1e6), _per_colour(f"{name}: deviation", value[1], 1e-12)


def scale_of(normalize: Any, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Mean and deviation of each channel; None where pixels stay in 0..1.

    Raises:
        CodecError: they are the data's, and no data has been seen.
    """
    if normalize is None:
        return None
    if normalize == "data":
        raise CodecError(
            "Image(normalize='data') has learned nothing yet.",
            fix="rt.train(net, data), codec.fit(pictures), or normalize=(mean, deviation)",
        )
    pair = IMAGENET if normalize == "imagenet" else normalize
    mean, deviation = (each if isinstance(each, tuple) else (each,) * channels for each in pair)
    return mean, deviation


def learned(things: Sequence[Any], pixels: Callable[[Sequence[Any]], NDArray[Any]]) -> tuple[Any, Any]:
    """Mean and deviation of the pixels of pictures, of each colour by itself, to 6 places.

    A colour that never changes keeps the deviation 1. Of more than ``MOST`` pictures as many are looked at,
    evenly spaced.

    Args:
        things: pictures, as the codec takes them.
        pixels: what gives a batch (n, h, w, c) from 0 to 255 of some of them.
    """
    step = -(-len(things) // MOST) or 1
    total: Any = 0.0
    squares: Any = 0.0
    count = 0
    for start in range(0, len(things), AT_ONCE * step):
        batch = pixels(things[start : start + AT_ONCE * step : step])
        flat = batch.reshape(-1, batch.shape[-1]).astype(np.float64) / 255
        total, squares, count = total + flat.sum(axis=0), squares + (flat**2).sum(axis=0), count + len(flat)
    if not count:
        raise CodecError("Image: there are no pictures to learn mean and deviation from.")
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0)).round(6)
    deviation[deviation == 0] = 1
    means, deviations = tuple(mean.round(6).tolist()), tuple(deviation.tolist())
    return (means[0], deviations[0]) if len(means) == 1 else (means, deviations)


def _per_colour(name: str, value: Any, low: float) -> Any:
    rule = real(low, 1e6)
    value = value.tolist() if is_array(value) else value
    return tuple(rule(name, each) for each in value) if isinstance(value, list | tuple) else rule(name, value)
