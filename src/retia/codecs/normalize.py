"""Mean and deviation by which the pixels of pictures are normalised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from retia.codecs.arrays import brief, is_array
from retia.errors import ArgumentError, NotYetError
from retia.nets.settings import real

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and deviation of the pixels of ImageNet, as most trained nets for pictures expect them."""


def read_normalize(name: str, value: Any) -> Any:
    """The rule of ``normalize=``: None, ``"imagenet"``, or (mean, deviation), for all colours or for each."""
    if value is None or (isinstance(value, str) and value == "imagenet"):
        return value
    if isinstance(value, str) and value == "data":
        raise NotYetError(
            f"{name}='data' is not there yet.",
            fix="give the numbers, normalize=(mean, deviation), or 'imagenet'",
        )
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 2:
        raise ArgumentError(
            f"{name} is None, 'imagenet', or a pair (mean, deviation); got {brief(value)}.", got=value
        )
    return _per_colour(f"{name}: mean", value[0], -1e6), _per_colour(f"{name}: deviation", value[1], 1e-12)


def scale_of(normalize: Any, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Mean and deviation of each channel; None where pixels stay in 0..1."""
    if normalize is None:
        return None
    pair = IMAGENET if normalize == "imagenet" else normalize
    mean, deviation = (each if isinstance(each, tuple) else (each,) * channels for each in pair)
    return mean, deviation


def _per_colour(name: str, value: Any, low: float) -> Any:
    rule = real(low, 1e6)
    value = value.tolist() if is_array(value) else value
    return tuple(rule(name, each) for each in value) if isinstance(value, list | tuple) else rule(name, value)
