"""Arrays of any rank laid out as tiles: pure numbers, of which ``picture`` draws.

An array of two axes is one tile; of three a tile for each place of the first axis; of four the first two
axes are rows and columns of tiles. What is too large is summarised, and the notes say how.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST = 200_000
"""Cells of a picture, at most."""

SMALL = 12
"""Tiles are not summarised to fewer cells on a side."""

LINE = 64
"""Numbers of an array of one axis that stand in one row."""

MANY = 64
"""Tiles on a side of a picture, at most."""


@dataclass(frozen=True, eq=False)
class Tiles:
    """What is drawn of an array.

    Attributes:
        cells: (tiles, height, width), or (tiles, height, width, 3) for colours; NaN, inf as they are.
        down: rows of tiles. across: columns of tiles.
        grid: whether rows and columns of tiles are two axes of the array.
        block: rows and columns of numbers that a cell stands for.
        filled: how many cells of the last tile are the array's, where it was wrapped into rows.
        notes: what was left out, summarised or wrapped.
    """

    cells: NDArray[Any]
    down: int
    across: int
    grid: bool = False
    block: tuple[int, int] = (1, 1)
    filled: int | None = None
    notes: tuple[str, ...] = ()


def lay(array: NDArray[Any], color: bool = False, middle: float = 0.0) -> Tiles:
    """The tiles of an array.

    Args:
        array: of real numbers and any rank.
        color: the axis before the last two is red, green and blue.
        middle: of the scale; of cells that are summarised, the one farthest from it stands for all.
    Example:
        >>> import numpy as np
        >>> laid = lay(np.zeros((6, 4, 4)))
        >>> laid.cells.shape, laid.down, laid.across
        ((6, 4, 4), 2, 3)
    """
    if array.ndim < 2:
        return _line(array.reshape(-1), middle)
    if color:
        array = np.moveaxis(array, -3, -1)
    height, width = array.shape[array.ndim - 2 - color : array.ndim - color]
    lead = array.shape[: array.ndim - 2 - color]
    rest = array.shape[array.ndim - color :]
    notes = []
    if len(lead) > 2:
        lead = (lead[0], math.prod(lead[1:]))
        notes.append(f"axes 1 to {array.ndim - 3} side by side")
    if len(lead) == 2 and 1 in lead:
        lead = (math.prod(lead),)
    cells = array.reshape(*lead, height, width, *rest)
    cells, told = _fewer(cells, len(lead), height * width)
    notes += told
    cells, block = _smaller(cells, len(lead), middle)
    if block != (1, 1):
        notes.append(f"each cell the one of {block[0]} × {block[1]} numbers that is farthest from {middle:g}")
    shown = cells.shape[: len(lead)]
    height, width = cells.shape[len(lead) : len(lead) + 2]
    count = math.prod(shown)
    if len(lead) == 2:
        down, across = shown
    else:
        across = _across(count, height, width)
        down = -(-count // across)
    tiles = cells.reshape(count, *cells.shape[len(lead) :])
    return Tiles(tiles, down, across, len(lead) == 2, block, notes=tuple(notes))


def _line(array: NDArray[Any], middle: float) -> Tiles:
    """One axis as rows of equal length, like a text."""
    size = array.size
    notes = []
    step = -(-size // MOST)
    if step > 1:
        array = strongest(array.reshape(1, size, 1), (step, 1), middle).reshape(-1)
        notes.append(f"each cell the one of {step} numbers that is farthest from {middle:g}")
    width = array.size if array.size <= LINE else max(LINE, math.isqrt(array.size - 1) + 1)
    if width < array.size:
        notes.append(f"{width} in a row")
    height = -(-array.size // width)
    cells = np.zeros(height * width, array.dtype)
    cells[: array.size] = array
    return Tiles(cells.reshape(1, height, -1), 1, 1, filled=array.size, notes=tuple(notes))


def _fewer(cells: NDArray[Any], lead: int, area: int) -> tuple[NDArray[Any], list[str]]:
    """The first of too many tiles."""
    if not lead:
        return cells, []
    least = min(area, SMALL * SMALL)
    room = MOST // least
    sizes = cells.shape[:lead]
    if lead == 1:
        kept: tuple[int, ...] = (min(sizes[0], room, MANY * MANY),)
    else:
        kept = (min(sizes[0], MANY), min(sizes[1], MANY))
        while math.prod(kept) > room:
            kept = (-(-kept[0] // 2), kept[1]) if kept[0] > kept[1] else (kept[0], -(-kept[1] // 2))
    told = [
        f"first {k} of {n:,} along axis {axis}, +{n - k:,} more"
        for axis, (k, n) in enumerate(zip(kept, sizes, strict=True))
        if k < n
    ]
    return cells[tuple(slice(k) for k in kept)], told


def _smaller(cells: NDArray[Any], lead: int, middle: float) -> tuple[NDArray[Any], tuple[int, int]]:
    """Tiles of fewer cells, each standing for a block, whose size is answered too."""
    count = math.prod(cells.shape[:lead])
    height, width = cells.shape[lead : lead + 2]
    step = 1
    while -(-height // step) * -(-width // step) * count > MOST:
        step += 1
    if step == 1:
        return cells, (1, 1)
    block = (min(step, height), min(step, width))
    flat = cells.reshape(count, height, width, -1)
    made = np.stack([strongest(flat[..., c], block, middle) for c in range(flat.shape[-1])], axis=-1)
    return made.reshape(*cells.shape[:lead], *made.shape[1:3], *cells.shape[lead + 2 :]), block


def strongest(tiles: NDArray[Any], block: tuple[int, int], middle: float) -> NDArray[Any]:
    """Of each block of (n, h, w) the number farthest from the middle; NaN and infinities are farthest.

    Example:
        >>> import numpy as np
        >>> strongest(np.array([[[1.0, -3.0], [2.0, np.nan]]]), (1, 2), 0.0).tolist()
        [[[-3.0], [nan]]]
    """
    tall, wide = block
    count, height, width = tiles.shape
    room = ((0, 0), (0, -height % tall), (0, -width % wide))
    padded = np.pad(tiles.astype(np.float64), room, constant_values=middle)
    split = padded.reshape(count, padded.shape[1] // tall, tall, padded.shape[2] // wide, wide)
    blocks = split.transpose(0, 1, 3, 2, 4).reshape(*split.shape[:2], split.shape[3], -1)
    far = np.abs(blocks - middle)
    far[np.isnan(far)] = np.inf
    return np.asarray(np.take_along_axis(blocks, far.argmax(-1)[..., None], -1)[..., 0])


def _across(count: int, height: int, width: int) -> int:
    """Columns of tiles that make a picture about a third wider than high."""
    wanted = math.sqrt(1.3 * count * height / width)
    across = min(max(round(wanted), 1), count)
    return -(-count // -(-count // across))
