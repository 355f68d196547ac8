"""Pictures of any make, opened and brought to one colour.

A file is looked at before it is decoded: which format it has (``FORMATS`` and no other), how many
pixels (``LIMIT``). Orientation tags are obeyed, the first frame of several is taken, colour profiles are
not applied. Transparent pixels stand on a background, white as a page where nothing else is said.
"""

from __future__ import annotations

import io
import operator
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO

from retia._late import numpy as np
from retia._late import pillow_image, pillow_ops
from retia.codecs.arrays import brief
from retia.errors import ArgumentError, CodecError

if TYPE_CHECKING:
    from numpy.typing import NDArray

LIMIT = 64_000_000
"""Pixels of the largest picture that is decoded; a small file can unfold to any number of them."""

LARGEST_FILE = 1 << 28
"""Bytes of the largest file that is read."""

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000", "ICO")
WHITE = (255, 255, 255)
NAMED = {"white": WHITE, "black": (0, 0, 0)}
MODES = {"gray": "L", "rgb": "RGB", "rgba": "RGBA"}
DEEP = ("I", "I;16", "I;16B", "I;16L", "F")
"""Pillow's modes of one channel with more than 8 bits."""

ORIENTATION = 0x0112
LUMA = (0.299, 0.587, 0.114)
"""Share of red, green and blue in gray: ITU-R BT.601, as Pillow has it."""


def is_picture(thing: Any) -> bool:
    """Whether a thing is one picture that is not an array: a path, bytes, an open file, a Pillow image."""
    if isinstance(thing, str | os.PathLike | bytes | bytearray | memoryview) or hasattr(thing, "read"):
        return True
    return hasattr(thing, "getexif") and hasattr(thing, "convert")


def name_of(thing: Any) -> str:
    """What errors call a picture."""
    if isinstance(thing, str | os.PathLike):
        return os.fspath(thing) if isinstance(os.fspath(thing), str) else os.fsdecode(thing)
    if isinstance(thing, bytes | bytearray | memoryview):
        return f"a picture of {len(thing)} bytes"
    return str(getattr(thing, "name", None) or getattr(thing, "filename", None) or "the picture")


@contextmanager
def named(where: str) -> Iterator[None]:
    """Errors about one of several pictures say which: ``where`` is ``"Image: row 3"``."""
    try:
        yield
    except CodecError as error:
        if ": row" not in where or error.message.startswith(where):
            raise
        raise CodecError(
            f"{where}: {error.message}",
            because=error.because,
            fix=error.fix,
            path=error.path,
            expected=error.expected,
            got=error.got,
        ) from error


def read_color(name: str, value: Any) -> tuple[int, int, int]:
    """The rule of a colour: (red, green, blue) from 0 to 255, ``"#rrggbb"``, ``"white"`` or ``"black"``."""
    if isinstance(value, str) and value in NAMED:
        return NAMED[value]
    with suppress(ValueError, TypeError):
        if isinstance(value, str) and len(value) == 7 and value[0] == "#":
            return tuple(bytes.fromhex(value[1:]))  # type: ignore[return-value]
        if isinstance(value, tuple | list) and len(value) == 3:
            return tuple(bytes(map(operator.index, value)))  # type: ignore[return-value]
    raise ArgumentError(
        f"{name} is (red, green, blue) from 0 to 255, '#rrggbb', 'white' or 'black'; got {brief(value)}.",
        got=value,
    )


def open_picture(thing: Any) -> pillow_image.Image:
    """A picture, decoded and turned upright, in whatever mode it has. Raises ``CodecError``."""
    name = name_of(thing)
    if hasattr(thing, "getexif"):
        return _decoded(thing, name)
    with _stream(thing, name) as stream, _recognised(stream, name) as image:
        return _decoded(image, name)


def size_of(thing: Any) -> tuple[int, int]:
    """Height and width of a picture, upright, without decoding it."""
    name = name_of(thing)
    if hasattr(thing, "getexif"):
        return _upright_size(thing)
    with _stream(thing, name) as stream, _recognised(stream, name) as image:
        return _upright_size(image)


def in_colour(
    image: pillow_image.Image, color: str, name: str, background: tuple[int, ...] = WHITE
) -> pillow_image.Image | NDArray[Any]:
    """A picture as ``L``, ``RGB`` or ``RGBA``; one of more than 8 bits as an array (h, w, c), 0..255."""
    if image.mode in DEEP:
        return real_in_colour(_deep(image, name), color, background)
    try:
        if image.has_transparency_data:
            image = image.convert("RGBA")
        elif image.mode not in ("L", "RGB", "RGBA"):
            image = image.convert("L" if image.mode == "1" else "RGB")
        if image.mode == "RGBA" and color != "rgba":
            page = pillow_image.new("RGBA", image.size, (*background, 255))
            image = pillow_image.alpha_composite(page, image).convert("RGB")
        return image if image.mode == MODES[color] else image.convert(MODES[color])
    except ValueError as error:
        raise CodecError(
            f"{name}: its colours ({image.mode}) cannot be converted: {error}.", path=name
        ) from None


def real_in_colour(pixels: NDArray[Any], color: str, background: tuple[int, ...] = WHITE) -> NDArray[Any]:
    """Real pixels (..., c) from 0 to 255 in another colour, by the rules for 8-bit pictures."""
    if pixels.shape[-1] == 4 and color != "rgba":
        alpha = pixels[..., 3:] / 255
        pixels = pixels[..., :3] * alpha + np.array(background, pixels.dtype) * (1 - alpha)
    if color == "gray":
        if pixels.shape[-1] == 3:
            pixels = pixels @ np.array(LUMA, pixels.dtype)[:, None]
        return pixels
    if pixels.shape[-1] == 1:
        pixels = np.repeat(pixels, 3, axis=-1)
    if color == "rgba" and pixels.shape[-1] == 3:
        pixels = np.concatenate([pixels, np.full_like(pixels[..., :1], 255)], axis=-1)
    return pixels


def _stream(thing: Any, name: str) -> BinaryIO:
    """The bytes of a picture as an open file."""
    if isinstance(thing, bytes | bytearray | memoryview):
        return io.BytesIO(thing)
    if isinstance(thing, str | os.PathLike):
        return _opened(os.fspath(thing), name)
    data = thing.read(LARGEST_FILE + 1)
    if not isinstance(data, bytes) or len(data) > LARGEST_FILE:
        what = f"more than {LARGEST_FILE:,} bytes" if isinstance(data, bytes) else "text"
        raise CodecError(f"{name} gives {what}, no picture.", fix='open(path, "rb")', path=name)
    return io.BytesIO(data)


def _opened(path: str | bytes, name: str) -> BinaryIO:
    try:
        kind = os.stat(path).st_mode
        if stat.S_ISREG(kind):
            return open(path, "rb")
        what = "is a folder" if stat.S_ISDIR(kind) else "is no ordinary file"
    except FileNotFoundError:
        what = "is not there"
    except (OSError, ValueError) as error:
        what = f"cannot be read: {getattr(error, 'strerror', None) or error}"
    fix = "download it first" if "://" in name else None
    raise CodecError(f"{name} {what}.", fix=fix, path=name)


def _recognised(stream: BinaryIO, name: str) -> pillow_image.Image:
    """A picture whose format and size are known and whose pixels are not decoded yet."""
    pillow_image.init()
    formats = [each for each in FORMATS if each in pillow_image.OPEN]
    try:
        image = pillow_image.open(stream, formats=formats)
    except (pillow_image.DecompressionBombError, pillow_image.DecompressionBombWarning):
        raise _too_large(name, "") from None
    except Exception as error:  # damaged files make Pillow's readers raise whatever went wrong in them
        empty = stream.seek(0, io.SEEK_END) == 0
        why = "it is empty" if empty else f"expected {', '.join(formats)}"
        raise CodecError(f"{name} is not a picture that can be read: {why}.", path=name) from error
    return image


def _decoded(image: pillow_image.Image, name: str) -> pillow_image.Image:
    if image.width * image.height > LIMIT:
        raise _too_large(name, f"{image.width} x {image.height}, ")
    if not image.width * image.height:
        raise CodecError(f"{name} has no pixels: {image.width} x {image.height}.", path=name)
    try:
        image.load()
        if image.getexif().get(ORIENTATION, 1) != 1:
            image = pillow_ops.exif_transpose(image)
    except Exception as error:  # as above
        raise CodecError(f"{name} is damaged and cannot be decoded: {error}.", path=name) from error
    return image


def _upright_size(image: pillow_image.Image) -> tuple[int, int]:
    lying = image.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)
    return (image.width, image.height) if lying else (image.height, image.width)


def _too_large(name: str, size: str) -> CodecError:
    return CodecError(
        f"{name} is {size}more than the {LIMIT:,} pixels that are decoded.",
        fix="make it smaller first",
        path=name,
        expected=LIMIT,
    )


def _deep(image: pillow_image.Image, name: str) -> NDArray[Any]:
    pixels = np.asarray(image)
    if image.mode != "F" and pixels.size and pixels.min() >= 0 and pixels.max() <= 65535:
        pixels = pixels.astype(np.uint16)
    gray = to_255(pixels, name).astype(np.float32)[..., None]
    clear = image.info.get("transparency")
    if clear is None:
        return gray
    alpha = np.where(pixels == clear, np.float32(0), np.float32(255))[..., None]
    return np.concatenate([gray, gray, gray, alpha], axis=-1)


def to_255(pixels: NDArray[Any], name: str) -> NDArray[Any]:
    """Pixels by the table of ranges in ``layouts.py``: uint8, or float32 from 0 to 255."""
    kind = pixels.dtype.kind
    if pixels.dtype == np.uint8:
        return pixels
    if kind == "b":
        return pixels.astype(np.uint8) * np.uint8(255)
    if kind == "u" and pixels.dtype.itemsize == 2:
        return pixels.astype(np.float32) / np.float32(257)
    low, high = (pixels.min(), pixels.max()) if pixels.size else (0, 0)
    if kind in "iu":
        if low < 0 or high > 255:
            deep = low >= 0 and high <= 65535
            raise CodecError(
                f"{name}: whole pixels are 0..255 ({pixels.dtype} here); got {low}..{high}.",
                fix='x.astype("uint16"), whose pixels are 0..65535' if deep else "scale them to 0..255",
                path=name,
            )
        return pixels.astype(np.uint8)
    if kind != "f":
        raise CodecError(f"{name}: {brief(pixels)} is not made of real pixels ({pixels.dtype}).", path=name)
    if not np.isfinite(low) or not np.isfinite(high):
        raise CodecError(f"{name} has pixels that are NaN or infinite.", path=name)
    if low < -SLACK or high > 1 + SLACK:
        scaled = low >= 0 and high <= 255
        raise CodecError(
            f"{name}: real pixels ({pixels.dtype}) are 0..1; got {low:g}..{high:g}.",
            fix='x / 255, or x.astype("uint8")'
            if scaled
            else "scale them to 0..1; normalize= comes after that",
            path=name,
        )
    return pixels.astype(np.float32).clip(0, 1) * np.float32(255)


SLACK = 1e-3
"""So far may real pixels be outside 0..1, as rounding leaves them."""
