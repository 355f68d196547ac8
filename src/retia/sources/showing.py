"""Examples to look at: a contact sheet where there is something to draw, else a table of them."""

from __future__ import annotations

import html
import io
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from retia._columns import columns
from retia._figures import Bundle
from retia._late import numpy as np
from retia._late import pillow_draw, pillow_image
from retia.codecs.boxes import Boxes
from retia.codecs.image import Image as ImageCodec
from retia.codecs.mask import Mask
from retia.errors import DataError
from retia.nets import Codec
from retia.sources import pictures
from retia.sources.archives import Member

if TYPE_CHECKING:
    from PIL.Image import Image

    from retia.sources.dataset import Data

TILE, WIDE = 96, 160
"""Pixels of a tile, and of one that has something drawn over its picture."""

GAP, LINE = 8, 14
CELL = "padding: 0.15em 0.8em; text-align: left; vertical-align: top; white-space: pre-wrap"


@dataclass(frozen=True, eq=False, repr=False)
class Sheet:
    """Examples to look at; ``data.show()`` makes it. Printed, a table; in a notebook, a picture or a table.

    Attributes:
        title: the set's name and size.
        heads: the names of the columns.
        rows: what they hold, in words, one row an example.
        drawn: a contact sheet, a Pillow picture; None where nothing can be drawn.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    drawn: Image | None

    @property
    def picture(self) -> Image:
        """The contact sheet.

        Raises:
            DataError: there is nothing to draw.
        """
        if self.drawn is None:
            raise DataError(
                f"The set has no pictures to show: {', '.join(self.heads)}.", fix="print(data.show())"
            )
        return self.drawn

    def __str__(self) -> str:
        told = columns([self.heads, *self.rows], [False] * len(self.heads), indent="  ")
        return f"{self.title}\n{told}"

    def __repr__(self) -> str:
        return str(self)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Bundle:
        if self.drawn is None:
            return {"text/plain": str(self), "text/html": self._html()}, {}
        file = io.BytesIO()
        self.drawn.save(file, "PNG")
        return {"text/plain": str(self), "image/png": file.getvalue()}, {"image/png": {"alt": self.title}}

    def _html(self) -> str:
        lines = [_row(self.heads, "th"), *(_row(row, "td") for row in self.rows)]
        note = f'<caption style="text-align: left">{html.escape(self.title)}</caption>'
        return f'<table style="border-collapse: collapse; color: inherit">{note}{"".join(lines)}</table>'


def show(data: Data, codecs: Mapping[str, Codec], total: int) -> Sheet:
    """The sheet of all examples of a set.

    Args:
        data: the examples to show.
        codecs: by column: pictures stand as the net sees them, masks and boxes are read as it reads them.
        total: examples of the set that they are from.
    Raises:
        DataError: the set is empty, or a picture cannot be read.
    """
    if not len(data):
        raise DataError("The set is empty: there is nothing to show.")
    examples = [_seen(data, int(row), codecs) for row in data.rows]
    told = [_told(example) for example in examples]
    heads = tuple(dict.fromkeys(name for each in told for name in each))
    rows = tuple(tuple(each.get(name, "") for name in heads) for each in told)
    shown = f"{len(data):,} of {total:,}" if len(data) < total else f"{total:,}"
    return Sheet(f"{data.name or 'Data'}: {shown} examples", heads, rows, _page(examples, codecs))


def _seen(data: Data, row: int, codecs: Mapping[str, Codec]) -> dict[str, Any]:
    """An example by column; pictures, masks and boxes as they come out of codecs that know their sizes."""
    example = {name: column.item(row) for name, column in data.columns.items()}
    for name, codec in codecs.items():
        if name not in example or not codec.is_fitted():
            continue
        if isinstance(codec, ImageCodec | Boxes):
            example[name] = codec.decode(codec.encode(example[name]))
        elif isinstance(codec, Mask):
            example[name] = codec.encode(example[name]).numpy().astype(np.uint8)
    return example


def tiles(data: Data, codecs: Mapping[str, Codec] = MappingProxyType({})) -> list[Image]:
    """What ``show`` draws of each example, one picture each.

    Raises:
        DataError: the set is empty, or there is nothing to draw.
    """
    if not len(data):
        raise DataError("The set is empty: there is nothing to show.")
    examples = [_seen(data, int(row), codecs) for row in data.rows]
    found = [_tile(example, WIDE, codecs) for example in examples]
    if not all(found):
        raise DataError(f"The set has no pictures to show: {', '.join(data.columns)}.", fix="print it")
    return [_beside(each) for each in found]


def _beside(drawn: Sequence[Image]) -> Image:
    if len(drawn) == 1:
        return drawn[0]
    across = GAP * (len(drawn) - 1) + sum(each.width for each in drawn)
    page = pillow_image.new("RGB", (across, max(each.height for each in drawn)), "white")
    left = 0
    for each in drawn:
        page.paste(each, (left, 0))
        left += each.width + GAP
    return page


# A page of tiles ----------------------------------------------------------------------------------


def _page(examples: Sequence[Mapping[str, Any]], codecs: Mapping[str, Codec]) -> Image | None:
    over = any(pictures.is_boxes(thing) for thing in examples[0].values()) or _has_mask(examples[0])
    side = WIDE if over else TILE
    tiles = [_tile(example, side, codecs) for example in examples]
    if not any(tiles):
        return None
    named = [_caption(example) for example in examples]
    across = math.ceil(math.sqrt(len(tiles)))
    down = math.ceil(len(tiles) / across)
    wide = max((side + GAP) * len(tile) for tile in tiles)
    high = side + GAP + (LINE if any(named) else 0)
    page = pillow_image.new("RGB", (GAP + across * wide, GAP + down * high), "white")
    draw = pillow_draw.Draw(page)
    for place, (tile, caption) in enumerate(zip(tiles, named, strict=True)):
        left, top = GAP + place % across * wide, GAP + place // across * high
        for number, each in enumerate(tile):
            at = left + number * (side + GAP)
            page.paste(each, (at + (side - each.width) // 2, top + (side - each.height) // 2))
        draw.text((left, top + side), _cut(caption, (wide - GAP) // 6), fill="black")
    return page


def _tile(example: Mapping[str, Any], side: int, codecs: Mapping[str, Codec]) -> list[Image]:
    """What is drawn of an example: its first picture with all that belongs over it, and the others."""
    found: list[Image] = []
    size = (0, 0)
    for thing in example.values():
        if found and (numbers := pictures.mask_of(thing, size)) is not None:
            found[0] = pictures.mask_over(found[0], numbers)
        elif pictures.is_picture(thing):
            picture = pictures.drawn(thing)
            size = size if found else (picture.height, picture.width)
            found.append(pictures.fitted(picture, side))
        elif pictures.is_curve(thing):
            found.append(pictures.curve(thing, side))
    for name, thing in example.items():
        if size != (0, 0) and pictures.is_boxes(thing):
            codec = codecs.get(name)
            known = codec if isinstance(codec, Boxes) else None
            own = (known.size if known is not None else None) or thing.get("size", size)
            found[0] = pictures.boxes_over(found[0], thing, own, known)
    return found


def _has_mask(example: Mapping[str, Any]) -> bool:
    every = [thing for thing in example.values() if pictures.is_picture(thing)]
    if len(every) < 2:
        return False
    first = pictures.drawn(every[0])
    return any(pictures.mask_of(each, (first.height, first.width)) is not None for each in every[1:])


def _caption(example: Mapping[str, Any]) -> str:
    """What stands below a tile: the output where it is short, or the first label or number."""
    ordered = sorted(example.items(), key=lambda each: each[0] != "output")
    plain = [(n, t) for n, t in ordered if isinstance(t, str | int | float) and not _is_drawn(t)]
    return pictures.latin(_text(plain[0][1])) if plain else ""


def _is_drawn(thing: Any) -> bool:
    return pictures.is_picture(thing) or pictures.is_curve(thing)


# A table ------------------------------------------------------------------------------------------


def _told(example: Mapping[str, Any]) -> dict[str, str]:
    """An example in words, by column; rows by theirs."""
    found: dict[str, str] = {}
    for name, thing in example.items():
        if isinstance(thing, Mapping) and not pictures.is_boxes(thing):
            found |= {str(key): _text(each) for key, each in thing.items()}
        else:
            found[name] = _text(thing)
    return found


def _text(thing: Any) -> str:
    """One thing in one line."""
    if thing is None:
        return ""
    if isinstance(thing, str):
        return " ".join(thing.split())
    if isinstance(thing, os.PathLike | Member):
        return os.path.basename(thing.path if isinstance(thing, Member) else os.fsdecode(thing))
    if isinstance(thing, bool | int):
        return str(thing)
    if isinstance(thing, float):
        return f"{thing:.4g}"
    if pictures.is_boxes(thing):
        labels = ", ".join(map(str, thing.get("labels", ())))
        return f"{len(thing['boxes'])} boxes{f': {labels}' if labels else ''}"
    return _many(thing)


def _many(thing: Any) -> str:
    """Something of many numbers in one line."""
    if isinstance(thing, pillow_image.Image):
        return f"picture {thing.height} x {thing.width}"
    if pictures.is_curve(thing) and isinstance(thing, tuple):
        return f"{len(thing[0]) / float(thing[1]):.2f} s of sound"
    shape = np.shape(thing) if hasattr(thing, "shape") else ()
    if len(shape) > 1:
        return f"{' x '.join(map(str, shape))} {thing.dtype}"
    if isinstance(thing, list | tuple | np.ndarray):
        between = ", " if any(isinstance(each, str) for each in thing[:1]) else "  "
        return between.join(_text(each.item() if hasattr(each, "item") else each) for each in thing[:LONGEST])
    return " ".join(repr(thing).split())


LONGEST = 40
"""Numbers of a list that are told."""


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(0, width - 1)] + "~"  # Pillow's font has no dots in one


def _row(cells: Sequence[str], tag: str) -> str:
    cells_of = [f'<{tag} style="{CELL}">{html.escape(cell)}</{tag}>' for cell in cells]
    return f"<tr>{''.join(cells_of)}</tr>"
