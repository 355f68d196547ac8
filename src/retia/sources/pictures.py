"""Pictures as people look at them: whether files can be read, and the contact sheet of a set."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia._late import pillow_draw, pillow_image, pillow_ops
from retia.errors import DataError
from retia.sources.archives import Member

if TYPE_CHECKING:
    from PIL.Image import Image

    from retia.sources.dataset import Data

TILE = 96
GAP = 8
LINE = 14


def unreadable(files: Sequence[Path | Member]) -> dict[int, str]:
    """Which files cannot be read as pictures: their places in the list, each with its path and the reason."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return {place: told for place, told in enumerate(pool.map(_fault, files)) if told}


def listed(bad: Mapping[int, str], most: int = 10) -> str:
    """The names of unreadable files, for one line."""
    names = [os.path.basename(told.partition(": ")[0]) for told in bad.values()]
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _fault(file: Path | Member) -> str:
    try:
        with pillow_image.open(_source(file)) as opened:
            opened.load()
    except Exception as error:  # Pillow's readers raise whatever their formats' code meets
        return f"{file.name if isinstance(file, Member) else file}: {error}"
    return ""


def _source(file: Any) -> Any:
    """What Pillow opens: a path as it is, a file in an archive by its bytes."""
    return io.BytesIO(file.read()) if isinstance(file, Member) else file


def sheet(data: Data, path: str | os.PathLike[str] | None) -> Image:
    """A contact sheet of all examples of a set, each with its label below.

    Args:
        data: the examples to show.
        path: where to save it as well, or None.
    Raises:
        DataError: the set is empty, has no pictures, or one cannot be read.
    """
    label_column = data.label_column
    if not len(data):
        raise DataError("The set is empty: there is nothing to show.")
    column = next(
        (c for n, c in data.columns.items() if n != label_column and is_picture(c.item(int(data.rows[0])))),
        None,
    )
    if column is None:
        raise DataError(f"The set has no pictures to show: {', '.join(data.columns)}.", fix="print(data)")
    across = math.ceil(math.sqrt(len(data)))
    down = math.ceil(len(data) / across)
    below = LINE if label_column else 0
    page = pillow_image.new("RGB", (GAP + across * (TILE + GAP), GAP + down * (TILE + below + GAP)), "white")
    draw = pillow_draw.Draw(page)
    for place, row in enumerate(data.rows):
        left = GAP + place % across * (TILE + GAP)
        top = GAP + place // across * (TILE + below + GAP)
        tile = _tile(column.item(int(row)))
        page.paste(tile, (left + (TILE - tile.width) // 2, top + (TILE - tile.height) // 2))
        if label_column:
            label = str(data.columns[label_column].item(int(row)))
            draw.text((left, top + TILE), _short(label), fill="black")
    if path is not None:
        page.save(path)
    return page


def is_picture(thing: Any) -> bool:
    """Whether a thing is a picture: a file's name, Pillow's, an array (h, w), (h, w, 1|3|4), (1|3, h, w)."""
    if isinstance(thing, str | os.PathLike | Member):
        name = thing.path if isinstance(thing, Member) else thing
        return os.path.splitext(name)[1].lower() in SUFFIXES
    if isinstance(thing, pillow_image.Image):
        return True
    shape: tuple[int, ...] = tuple(getattr(thing, "shape", ()))
    return len(shape) == 2 or (len(shape) == 3 and (shape[2] in (1, 3, 4) or shape[0] in (1, 3)))


SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""Endings of the files that count as pictures."""


def _tile(thing: Any) -> Image:
    try:
        picture = _opened(thing)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"A picture cannot be shown: {error}.", got=thing) from None
    if max(picture.size) * 2 <= TILE:
        factor = TILE // max(picture.size)
        return picture.resize(
            (picture.width * factor, picture.height * factor), pillow_image.Resampling.NEAREST
        )
    return pillow_ops.contain(picture, (TILE, TILE))


def _opened(thing: Any) -> Image:
    if isinstance(thing, str | os.PathLike | Member):
        with pillow_image.open(_source(thing)) as opened:
            return opened.convert("RGB")
    if isinstance(thing, pillow_image.Image):
        return thing.convert("RGB")
    array = np.asarray(thing)
    if array.ndim == 3 and array.shape[2] not in (1, 3, 4):
        array = np.moveaxis(array, 0, 2)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    return pillow_image.fromarray(_bytes(array)).convert("RGB")


def _bytes(array: Any) -> Any:
    """Pixels as bytes: real numbers from 0..1, 16 bit by the upper byte, truth values as black and white."""
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.dtype.kind == "f":
        return (array.clip(0, 1) * 255).round().astype(np.uint8)
    if array.dtype == np.uint16:
        return (array >> 8).astype(np.uint8)
    return array.astype(np.uint8) * 255 if array.dtype == bool else array.clip(0, 255).astype(np.uint8)


def _short(label: str) -> str:
    """What fits below a picture, in characters that Pillow's own font has."""
    label = label if len(label) <= 15 else label[:14] + "~"
    return label.encode("latin-1", "replace").decode("latin-1")
