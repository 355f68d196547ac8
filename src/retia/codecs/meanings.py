"""What the pixels of masks mean: numbers or colours to classes, and classes back to a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia._late import pillow_image
from retia.codecs.arrays import brief
from retia.codecs.pictures import read_color
from retia.errors import ArgumentError, CodecError

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEEPEST = 65535
NUMBERS = ("1", "L", "P", "I;16", "I;16B", "I;16L", "I")
"""Pillow's modes whose pixels are numbers; of a palette, its entries."""


@dataclass(frozen=True)
class Meanings:
    """The classes of pixels.

    Attributes:
        labels: of the classes.
        colors: of each class, or None.
        levels: of each class: a number or a pair (first, last); None for 0, 1, 2, ...
        other: the class of all other pixels, or None.
    """

    labels: tuple[Any, ...]
    colors: tuple[tuple[int, int, int], ...] | None
    levels: tuple[Any, ...] | None
    other: int | None

    def of_picture(self, image: pillow_image.Image, name: str) -> NDArray[Any]:
        """The class numbers (h, w), bytes, of a decoded picture. Raises ``CodecError``."""
        if self.colors is not None:
            return self._of_colors(np.asarray(image.convert("RGB")), name)
        if image.mode not in NUMBERS:
            raise CodecError(
                f"{name} has colours ({image.mode}), but the labels have none.",
                fix='Mask(labels, colors={"person": (255, 0, 0), ...})',
                path=name,
                got=image.mode,
            )
        return self._of_levels(np.asarray(image), name)

    def of_array(self, array: NDArray[Any], where: str) -> NDArray[Any]:
        """The same of an array: (h, w) of whole numbers, or (h, w, 3) of colours."""
        axes = "(h, w)" if self.colors is None else "(h, w, 3)"
        fits = array.ndim == 2 if self.colors is None else array.ndim == 3 and array.shape[2] == 3
        if not fits or not array.size:
            raise CodecError(
                f"{where}: a mask is {axes}; got shape {array.shape}.", path=where, got=array.shape
            )
        if array.dtype.kind not in "biu":
            raise CodecError(
                f"{where}: the pixels of a mask are whole numbers; these are {array.dtype}.",
                fix="x.astype(int), if they are",
                path=where,
                got=array.dtype,
            )
        return self._of_levels(array, where) if self.colors is None else self._of_colors(array, where)

    def picture(self, classes: NDArray[Any]) -> pillow_image.Image:
        """A picture that means these classes: numbers, with the classes' colours as its palette."""
        numbers = self._numbers[classes]
        if int(self._numbers.max()) > 255:
            return pillow_image.fromarray(numbers)
        entries = np.zeros((256, 3), np.uint8)
        entries[self._numbers] = palette(len(self.labels)) if self.colors is None else self.colors
        made = pillow_image.fromarray(numbers.astype(np.uint8))
        made.putpalette(entries.tobytes())
        return made

    @cached_property
    def _numbers(self) -> NDArray[Any]:
        """The number that stands for each class where it is written: the first of its levels."""
        firsts = [first for first, _ in self._ranges] if self.colors is None else range(len(self.labels))
        return np.array(firsts, np.uint16)

    @cached_property
    def _ranges(self) -> list[tuple[int, int]]:
        return _ranges(range(len(self.labels)) if self.levels is None else self.levels)

    @cached_property
    def _table(self) -> NDArray[Any]:
        """The class of every level; -1 for none."""
        table = np.full(DEEPEST + 1, -1 if self.other is None else self.other, np.int16)
        for number, (first, last) in enumerate(self._ranges):
            table[first : last + 1] = number
        return table

    def _of_levels(self, pixels: NDArray[Any], name: str) -> NDArray[Any]:
        outside = (pixels < 0) | (pixels > DEEPEST) if pixels.dtype.itemsize > 1 else np.False_
        if outside.any():
            raise self._unknown(pixels[outside], name, "numbers")
        numbers = self._table[pixels.astype(np.uint16)]
        if numbers.min() < 0:
            raise self._unknown(pixels[numbers < 0].astype(int), name, "numbers")
        return np.asarray(numbers, np.uint8)

    def _of_colors(self, pixels: NDArray[Any], name: str) -> NDArray[Any]:
        if pixels.dtype.kind not in "iu" or int(pixels.min()) < 0 or int(pixels.max()) > 255:
            raise CodecError(f"{name}: colours are whole numbers from 0 to 255.", path=name)
        assert self.colors is not None
        codes = _code(pixels)
        known = _code(np.array(self.colors))
        order = np.argsort(known)
        places = np.searchsorted(known[order], codes).clip(0, len(known) - 1)
        numbers = order[places]
        wrong = known[numbers] != codes
        if wrong.any():
            if self.other is None:
                raise self._unknown(codes[wrong], name, "colours")
            numbers = np.where(wrong, self.other, numbers)
        return np.asarray(numbers, np.uint8)

    def _unknown(self, values: NDArray[Any], name: str, what: str) -> CodecError:
        found = np.unique(values).tolist()
        shown = [f"#{each:06x}" for each in found] if what == "colours" else list(map(str, found))
        told = ", ".join(shown[:5]) + (", ..." if len(shown) > 5 else "")
        return CodecError(
            f"{name}: {values.size} of the pixels have {what} that mean no label: {told}.",
            fix=f"{'colors' if what == 'colours' else 'levels'}= says what pixels mean, "
            "other= which label all others have",
            path=name,
            got=found[:5],
        )


def read_colors(labels: Sequence[Any], value: Any) -> tuple[tuple[int, int, int], ...] | None:
    """``colors=`` as one for each label, all different. Raises ``ArgumentError``."""
    if value is None:
        return None
    colors = tuple(read_color("Mask: a colour", each) for each in _one_each(labels, "colors", value))
    if len(set(colors)) < len(colors):
        raise ArgumentError(f"Mask: colors are different from each other; got {brief(value)}.", got=value)
    return colors


def read_levels(labels: Sequence[Any], value: Any) -> tuple[Any, ...] | None:
    """``levels=`` as a number or a pair (first, last) for each label. Raises ``ArgumentError``."""
    if value is None:
        return None
    levels = tuple(_level(each) for each in _one_each(labels, "levels", value))
    ranges = sorted(_ranges(levels))
    if any(before[1] >= after[0] for before, after in zip(ranges, ranges[1:], strict=False)):
        raise ArgumentError(f"Mask: a level has one label; got {brief(value)}.", got=value)
    return levels


def palette(classes: int) -> list[tuple[int, int, int]]:
    """A colour for each of up to 256 classes, black first, neighbours far apart.

    Source: the colour map of the PASCAL VOC challenge (bits of the class number, spread over three colours).
    """
    return [
        tuple(sum(((i >> (3 * bit + c)) & 1) << (7 - bit) for bit in range(3)) for c in range(3))  # type: ignore[misc]
        for i in range(classes)
    ]


def _one_each(labels: Sequence[Any], what: str, value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        odd = [each for each in (*value, *labels) if each not in labels or each not in value]
        if odd:
            raise ArgumentError(
                f"Mask: {what} has one for each label; not so: {', '.join(map(repr, odd[:5]))}.", got=value
            )
        return [value[label] for label in labels]
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != len(labels):
        raise ArgumentError(
            f"Mask: {what} is a list, or a dict by label, of one for each of the {len(labels)} labels; "
            f"got {brief(value)}.",
            got=value,
        )
    return list(value)


def _level(value: Any) -> int | tuple[int, int]:
    pair: Any = value
    if isinstance(value, range) and len(value) and value.step == 1:
        pair = (value[0], value[-1])
    if isinstance(pair, int) and not isinstance(pair, bool):
        pair = (pair, pair)
    whole = isinstance(pair, tuple | list) and len(pair) == 2 and all(type(each) is int for each in pair)
    if not whole or not 0 <= pair[0] <= pair[1] <= DEEPEST:
        raise ArgumentError(
            f"Mask: a level is a whole number from 0 to {DEEPEST}, a range, or a pair (first, last); "
            f"got {value!r}.",
            got=value,
        )
    return pair[0] if pair[0] == pair[1] else (pair[0], pair[1])


def _ranges(levels: Sequence[Any]) -> list[tuple[int, int]]:
    return [each if isinstance(each, tuple) else (each, each) for each in levels]


def _code(pixels: NDArray[Any]) -> NDArray[Any]:
    """Colours (..., 3) as one number each."""
    wide = pixels.astype(np.int32)
    return np.asarray(wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2])
