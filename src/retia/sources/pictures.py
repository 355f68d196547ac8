"""Things drawn as small pictures for people: pictures, masks and boxes over them, sounds as curves."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia._late import pillow_draw, pillow_image, pillow_ops
from retia.codecs.meanings import palette
from retia.codecs.overlap import to_corners
from retia.codecs.pictures import in_colour, name_of, open_picture
from retia.codecs.sounds import open_sound
from retia.errors import CodecError, DataError
from retia.sources.archives import Member
from retia.sources.media import PICTURES, SOUNDS, is_file

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from retia.codecs.boxes import Boxes

CLASSES = 64
"""A picture of more different values than these is no mask."""

LONG = 64
"""Numbers in a row are drawn as a curve from so many on."""

INK = (31, 102, 181)


def is_picture(thing: Any) -> bool:
    """Whether a thing is a picture: a file's name, Pillow's, an array (h, w), (h, w, 1|3|4), (1|3, h, w)."""
    if isinstance(thing, str | os.PathLike | Member):
        return is_file(thing, PICTURES)
    if isinstance(thing, pillow_image.Image):
        return True
    shape: tuple[int, ...] = tuple(getattr(thing, "shape", ()))
    return len(shape) == 2 or (len(shape) == 3 and (shape[2] in (1, 3, 4) or shape[0] in (1, 3)))


def is_curve(thing: Any) -> bool:
    """Whether a thing is a sound, a file or samples with their rate, or a long row of numbers."""
    if isinstance(thing, tuple) and len(thing) == 2 and not isinstance(thing[0], str):
        return np.ndim(thing[0]) == 1 and np.ndim(thing[1]) == 0
    shape: tuple[int, ...] = tuple(getattr(thing, "shape", ()))
    return is_file(thing, SOUNDS) or (len(shape) == 1 and shape[0] >= LONG)


def is_boxes(thing: Any) -> bool:
    """Whether a thing is labelled boxes, as ``rt.Boxes`` takes them."""
    return isinstance(thing, Mapping) and "boxes" in thing


def drawn(thing: Any) -> Image:
    """A picture in red, green and blue. Raises ``DataError`` where it cannot be read."""
    try:
        if isinstance(thing, str | os.PathLike | Member | pillow_image.Image):
            shown = in_colour(open_picture(thing), "rgb", name_of(thing))
            return shown if isinstance(shown, pillow_image.Image) else _of_pixels(shown / 255)
        return _of_pixels(np.asarray(thing))
    except CodecError as error:
        raise DataError(f"A picture cannot be shown: {error.message}", got=thing) from None
    except (ValueError, TypeError) as error:
        raise DataError(f"A picture cannot be shown: {error}.", got=thing) from None


def fitted(picture: Image, side: int) -> Image:
    """A picture in a square of ``side`` pixels; a small one by whole times, its pixels as squares."""
    if max(picture.size) * 2 <= side:
        factor = side // max(picture.size)
        return picture.resize(
            (picture.width * factor, picture.height * factor), pillow_image.Resampling.NEAREST
        )
    return pillow_ops.contain(picture, (side, side))


def mask_of(thing: Any, size: tuple[int, int]) -> NDArray[Any] | None:
    """The numbers of a mask: of a picture or array of the given (height, width) with few different values.

    Args:
        thing: that may be a mask.
        size: of the picture that it would belong to.
    """
    if not is_picture(thing):
        return None
    if isinstance(thing, str | os.PathLike | Member | pillow_image.Image):
        try:
            thing = open_picture(thing)
        except CodecError as error:
            raise DataError(f"A mask cannot be shown: {error.message}", got=thing) from None
    numbers = np.asarray(thing)
    if numbers.shape != size or numbers.dtype.kind not in "biu":
        return None
    values, places = np.unique(numbers, return_inverse=True)
    if len(values) > CLASSES:
        return None
    ranks: NDArray[Any] = places.reshape(size) + int(values[0] != 0)  # the number 0 is clear, as black is
    return ranks


def mask_over(picture: Image, numbers: NDArray[Any]) -> Image:
    """A picture under a mask of class numbers, half clear; where it is 0 the picture stays as it is."""
    colors = np.array(palette(int(numbers.max()) + 1), np.uint8)[numbers]
    paint = pillow_image.fromarray(colors).resize(picture.size, pillow_image.Resampling.NEAREST)
    there = pillow_image.fromarray((numbers > 0).astype(np.uint8) * 128)
    clear = there.resize(picture.size, pillow_image.Resampling.NEAREST)
    return pillow_image.composite(paint, picture, clear)


def boxes_over(picture: Image, thing: Mapping[str, Any], size: tuple[int, int], codec: Boxes | None) -> Image:
    """A picture with boxes and their labels.

    Args:
        picture: to draw on, of any scale.
        thing: the boxes: corners, relative where none is above 1, unless the codec says otherwise.
        size: height and width that boxes in pixels are of.
        codec: of the boxes, if it is known.
    """
    found = np.asarray(thing["boxes"], np.float64).reshape(-1, 4)
    relative = codec.units == "relative" if codec is not None else bool((found <= 1).all())
    corners = to_corners(found, codec.corners if codec is not None else "corners")
    corners = corners if relative else corners / np.tile(size[::-1], 2)
    places = (corners * np.tile(picture.size, 2)).round().tolist()
    labels = [str(label) for label in thing.get("labels", [""] * len(places))]
    colors = palette(256)
    kinds = sorted(set(labels))
    picture = picture.copy()
    draw = pillow_draw.Draw(picture)
    for label, (left, top, right, bottom) in zip(labels, places, strict=True):
        color = colors[1 + kinds.index(label) % 255]
        box = (min(left, right), min(top, bottom), max(left, right), max(top, bottom))
        draw.rectangle(box, outline=color, width=2)
        if label:
            where = (box[0] + 3, box[1] + 1)
            draw.rectangle(draw.textbbox(where, latin(label)), fill="white")
            draw.text(where, latin(label), fill=color)
    return picture


def curve(thing: Any, side: int) -> Image:
    """A sound, or a row of numbers, from its lowest to its highest at each place, in a square."""
    row = isinstance(thing, np.ndarray)
    try:
        sound = thing if row else open_sound(thing, 0, "a sound").samples.mean(axis=1)
    except CodecError as error:
        raise DataError(f"A sound cannot be shown: {error.message}", got=thing) from None
    numbers = np.nan_to_num(np.asarray(sound, np.float64))
    low, high = (float(numbers.min()), float(numbers.max())) if row else (-32768.0, 32768.0)
    edges = np.linspace(0, len(numbers), side + 1).astype(np.int64)
    starts = np.minimum(edges[:-1], len(numbers) - 1)
    lows, highs = np.minimum.reduceat(numbers, starts), np.maximum.reduceat(numbers, starts)
    scale = (side - 1) / max(high - low, 1e-12)
    page = pillow_image.new("RGB", (side, side), (246, 248, 250))
    draw = pillow_draw.Draw(page)
    for place, (down, up) in enumerate(zip(lows.tolist(), highs.tolist(), strict=True)):
        ends = [(place, round((high - each) * scale)) for each in (up, down)]
        draw.line(ends, fill=INK)
    return page


def latin(text: str) -> str:
    """A text in characters that Pillow's own font has."""
    return text.encode("latin-1", "replace").decode("latin-1")


def _of_pixels(array: NDArray[Any]) -> Image:
    if array.ndim == 3 and array.shape[2] not in (1, 3, 4):
        array = np.moveaxis(array, 0, 2)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    return pillow_image.fromarray(_bytes(array)).convert("RGB")


def _bytes(array: NDArray[Any]) -> NDArray[Any]:
    """Pixels as bytes: real numbers from 0..1, 16 bit by the upper byte, truth values as black and white."""
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.dtype.kind == "f":
        return (array.clip(0, 1) * 255).round().astype(np.uint8)
    if array.dtype == np.uint16:
        return (array >> 8).astype(np.uint8)
    return array.astype(np.uint8) * 255 if array.dtype == bool else array.clip(0, 255).astype(np.uint8)
