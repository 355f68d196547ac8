"""Arrays as pictures: any tensor as tiles of colours on one scale, NaN and infinities marked and counted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._figures import FIRST, LABEL, SECOND, Drawable, answer, axes, ink, key, legend, shades
from retia._late import Late
from retia._late import numpy as np
from retia.codecs.arrays import as_array, brief
from retia.errors import ArgumentError
from retia.view.tiles import Tiles, lay

if TYPE_CHECKING:
    from numpy.typing import NDArray

_colors: Any = Late("matplotlib.colors", extra="plots")
_patches: Any = Late("matplotlib.patches", extra="plots")
_ticker: Any = Late("matplotlib.ticker", extra="plots")

FAR = 4.0
"""Numbers beyond so many times the 99.5th percentile are outliers: the scale ends before them."""

NAMED = 100
"""Tiles that are named, at most."""

MARKED = 300
"""Cells that are NaN or infinite and get a sign besides the colour, at most."""

ODD = (("NaN", "#d6008c", "x"), ("inf", "#12a150", "^"), ("-inf", "#00a3b4", "v"))
"""What is no number on the scale: its name, a colour that no number has, and a sign."""

FAINT = (0.5, 0.5, 0.5, 0.1)
"""Under all cells, so that those of 0 are seen to be there, on light pages and dark ones."""


@dataclass(frozen=True, eq=False, repr=False)
class Picture(Drawable):
    """An array as a picture; ``rt.picture`` makes it. A notebook shows it.

    Attributes:
        array: the numbers, read-only.
        tiles: what is drawn of them.
        limits: the ends of the scale; what lies beyond has the colour of the end.
        title: what they are.
        names: of the tiles.
        color: whether a tile is a picture in red, green and blue.
        nans: how many are NaN. infinite: how many are infinity, and minus infinity.
        clipped: how many finite ones lie beyond the limits.
        notes: what was left out, summarised, wrapped or clipped.
    """

    array: NDArray[Any]
    tiles: Tiles
    limits: tuple[float, float]
    title: str = ""
    names: tuple[str, ...] = ()
    color: bool = False
    nans: int = 0
    infinite: tuple[int, int] = (0, 0)
    clipped: int = 0
    notes: tuple[str, ...] = ()

    def plot(self, path: str | os.PathLike[str] | None = None, ax: Any = None) -> Any:
        """Draw it.

        Args:
            path: where to save it (.png, .svg, .pdf), if anywhere.
            ax: matplotlib axes to draw on, instead of a figure of its own.
        Returns:
            The axes that were given, or else the figure.
        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        place = _Place(self.tiles, bool(self.names) and len(self.tiles.cells) <= NAMED)
        told = [*filter(None, (self.title, self._told(), *self.notes))]
        wide, high = place.size(self.color)
        odd = self.nans + sum(self.infinite) > 0
        drawn = axes(ax, wide, high + 0.2 * len(told) + 0.4 + 0.3 * odd)
        cells = self._cells(drawn, place)
        place.frame(drawn)
        if place.named:
            for x, y, name in zip(*place.corners(), self.names, strict=False):
                drawn.text(x, y - 0.05 * place.gap, name, fontsize=7, va="bottom", color=ink(drawn))
        drawn.set_title(
            "\n".join(told), fontsize=LABEL, loc="left", color=ink(drawn), pad=16 if place.named else 6
        )
        if not self.color:
            key(drawn, cells, ("neither", "max", "min", "both")[self._beyond()])
        return answer(drawn, ax, path)

    def _cells(self, ax: Any, place: _Place) -> Any:
        """Draw the numbers, and over them what is NaN or infinite."""
        mosaic, odd = place.mosaic()
        low, high = self.limits
        if self.color:
            clear = np.where(place.real[..., None], 1.0, 0.0)
            colours = np.ma.filled(np.ma.clip((mosaic - low) / (high - low), 0, 1), 0.5)
            drawn = ax.pcolorfast(place.x, place.y, np.concatenate([colours, clear], axis=-1))
        else:
            ax.pcolorfast(place.x, place.y, np.where(place.real[..., None], FAINT, 0.0))
            ends = (FIRST, SECOND) if low < 0 < high else (SECOND,) if high > 0 else (FIRST,)
            cmap = shades(*ends) if high > 0 else shades(*ends).reversed()
            drawn = ax.pcolorfast(place.x, place.y, mosaic, cmap=cmap, vmin=low, vmax=high)
        if odd.any():
            _mark(ax, place, odd)
        return drawn

    def _beyond(self) -> int:
        finite = self.array[np.isfinite(self.array)]
        low, high = self.limits
        return int((finite > high).any()) + 2 * int((finite < low).any())

    def _told(self) -> str:
        finite = self.array[np.isfinite(self.array)]
        shape = " × ".join(f"{size:,}" for size in self.array.shape) or "one number"
        span = f", {finite.min():.4g} to {finite.max():.4g}" if finite.size else ""
        odd = zip(("NaN", "inf", "-inf"), (self.nans, *self.infinite), strict=True)
        return shape + span + "".join(f", {count:,} {word}" for word, count in odd if count)

    def __repr__(self) -> str:
        return (
            f"<Picture{' of ' + self.title if self.title else ''}: {'; '.join((self._told(), *self.notes))}>"
        )


def picture(
    array: Any,
    *,
    title: str = "",
    names: Sequence[Any] = (),
    limits: tuple[float, float] | None = None,
    color: bool = False,
) -> Picture:
    """Any array as a picture: weights, activations, gradients, whatever has numbers.

    Two axes are one map. Of three the first is a row of maps, wrapped; of four, as in the weight of a
    convolution, the first two are rows and columns of maps. One axis is written like a text, line by line.
    Where there are numbers below 0, blue is below it and orange above, on a scale that is equal on both
    sides. Single outliers are clipped, and too large arrays summarised; the picture says how.

    Args:
        array: of any make: NumPy, PyTorch, lists.
        title: what it is.
        names: of the maps; their numbers where they are left out and no axes tell them.
        limits: ends of the scale, (low, high); by default those of the numbers, without outliers.
        color: the axis before the last two is red, green and blue, and the maps are in colour: pixels from
            0 to 1, or 0 as gray where some are below it.
    Raises:
        ArgumentError: no numbers or no real ones, limits the wrong way round, colours that are not three.
    Example:
        >>> import retia as rt
        >>> rt.picture([[1.0, -2.0], [float("nan"), 0.5]])
        <Picture: 2 × 2, -2 to 1, 1 NaN>
    """
    numbers = _numbers(array)
    if color and (numbers.ndim < 3 or numbers.shape[-3] != 3):
        raise ArgumentError(
            f"picture: color=True takes (..., 3, height, width); got {numbers.shape}.", got=numbers.shape
        )
    finite = numbers[np.isfinite(numbers)]
    low, high = _limits(finite, color) if limits is None else _read_limits(limits)
    clipped = int(((finite < low) | (finite > high)).sum())
    tiles = lay(numbers, color, middle=0.0 if low <= 0 <= high else low)
    notes = [*tiles.notes]
    if not names and not tiles.grid and len(tiles.cells) > 1:
        names = range(len(tiles.cells))
    if clipped:
        notes.append(f"{clipped:,} of {numbers.size:,} clipped at {low:.4g} and {high:.4g}")
    if color and low < 0:
        notes.append(f"gray is 0; black {low:.4g}, white {high:.4g} of each colour")
    return Picture(
        array=numbers,
        tiles=tiles,
        limits=(low, high),
        title=title,
        names=tuple(map(str, names)),
        color=color,
        nans=int(np.isnan(numbers).sum()),
        infinite=(int(np.isposinf(numbers).sum()), int(np.isneginf(numbers).sum())),
        clipped=clipped,
        notes=tuple(notes),
    )


def _numbers(array: Any) -> NDArray[Any]:
    found = as_array(array, "picture")
    if found.dtype.kind not in "biuf":
        raise ArgumentError(
            f"picture: an array of real numbers is drawn; got {brief(array)} ({found.dtype}).", got=array
        )
    if not found.size:
        raise ArgumentError(f"picture: there are no numbers in an array of shape {found.shape}.", got=array)
    wide = np.float64 if found.dtype.kind in "iu" or found.dtype.itemsize > 4 else np.float32
    copied = np.array(found, wide)
    copied.flags.writeable = False
    return copied


def _read_limits(limits: Any) -> tuple[float, float]:
    low, high = limits
    if not low < high:
        raise ArgumentError(f"picture: limits are (low, high); got {limits!r}.", got=limits)
    return float(low), float(high)


def _limits(finite: NDArray[Any], color: bool) -> tuple[float, float]:
    """The ends of the scale: 0 and the greatest number, or as far to both sides; outliers left out."""
    if not finite.size:
        return 0.0, 1.0
    far = np.abs(finite)
    most, usual = float(far.max()), float(np.percentile(far, 99.5))
    if 0 < FAR * usual < most:
        most = float(far[far <= FAR * usual].max())
    low, high = float(finite.min()), float(finite.max())
    if color and low >= 0 and high <= 1:
        return 0.0, 1.0
    if low >= 0:
        return 0.0, most or 1.0
    return (-most, 0.0) if high <= 0 else (-most, most)


class _Place:
    """Where the tiles stand on the axes: their edges, with seams between them."""

    def __init__(self, tiles: Tiles, named: bool) -> None:
        self.tiles = tiles
        self.named = named
        count, self.height, self.width = tiles.cells.shape[:3]
        self.gap = max(0.3, 0.24 * self.height) if named else max(0.5, 0.04 * self.width, 0.04 * self.height)
        self.alone = tiles.down * tiles.across == 1
        if self.alone:
            self.gap = 0.0
        self.seam = min(self.gap, max(0.5, 0.05 * self.width))
        self.x = _edges(tiles.across, self.width, self.seam)
        self.y = _edges(tiles.down, self.height, self.gap)
        if self.alone:  # ticks are the numbers of rows and columns, at their middles
            self.x = self.x * tiles.block[1] - 0.5
            self.y = self.y * tiles.block[0] - 0.5
        shape = (tiles.down * (self.height + 1), tiles.across * (self.width + 1))
        self.real = np.zeros(shape, bool)
        for index in range(count):
            self.real[self._part(index)] = True
        if tiles.filled is not None:
            self.real[:-1, :-1].flat[tiles.filled :] = False

    def mosaic(self) -> tuple[Any, NDArray[Any]]:
        """All cells in one array, masked in the seams and where they are not finite; and these latter."""
        cells = self.tiles.cells
        whole = np.zeros(self.real.shape + cells.shape[3:])
        for index, tile in enumerate(cells):
            whole[self._part(index)] = tile
        blank = ~self.real if whole.ndim == 2 else np.repeat(~self.real[..., None], 3, axis=-1)
        odd = np.where(np.isfinite(whole) | blank, 0.0, whole)
        return np.ma.masked_array(whole, blank | ~np.isfinite(whole)), odd if odd.ndim == 2 else odd.sum(-1)

    def corners(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """The upper left corners of the tiles."""
        down, across = np.divmod(np.arange(len(self.tiles.cells)), self.tiles.across)
        return across * (self.width + self.seam), down * (self.height + self.gap)

    def size(self, color: bool) -> tuple[float, float]:
        """Inches of a figure of its own."""
        ratio = self._ratio() if self._is_square() else 0.55
        width = min(8.0, max(4.0, 0.9 * self.tiles.across if self.named else 0.3 * self.tiles.across + 3.2))
        width = min(width, max(9.0 / ratio, 2.0))
        return width + (0.0 if color else 0.8), max(width * ratio, 0.8)

    def frame(self, ax: Any) -> None:
        """Limits and ticks."""
        tiles = self.tiles
        ax.set_xlim(self.x[0], self.x[-1] - self.seam)
        ax.set_ylim(self.y[-1] - self.gap, self.y[0])
        ax.set_aspect("equal" if self._is_square() else "auto")
        ax.tick_params(labelsize=8, length=2)
        for side in ax.spines.values():
            side.set_visible(False)
        if tiles.grid:
            _ticks(ax.set_xticks, tiles.across, self.width, self.seam)
            _ticks(ax.set_yticks, tiles.down, self.height, self.gap)
            ax.set_xlabel("axis 1", fontsize=LABEL)
            ax.set_ylabel("axis 0", fontsize=LABEL)
        elif not self.alone or tiles.filled is not None:
            ax.set_xticks([])
            ax.set_yticks([])
        else:
            for axis, size in ((ax.xaxis, self.x[-1]), (ax.yaxis, self.y[-1])):
                axis.set_major_locator(_ticker.MaxNLocator(min(8, int(size + 1)), integer=True))

    def _ratio(self) -> float:
        return float((self.y[-1] - self.y[0]) / (self.x[-1] - self.x[0]))

    def _is_square(self) -> bool:
        """Whether cells are squares: but for maps that would be a line."""
        return 1 / 8 <= self._ratio() <= 8

    def _part(self, index: int) -> tuple[slice, slice]:
        down, across = divmod(index, self.tiles.across)
        top, left = down * (self.height + 1), across * (self.width + 1)
        return slice(top, top + self.height), slice(left, left + self.width)


def _edges(count: int, size: int, gap: float) -> NDArray[Any]:
    steps = np.tile([1.0] * size + [gap], count)
    return np.concatenate([[0.0], np.cumsum(steps)])


def _ticks(put: Any, count: int, size: int, gap: float) -> None:
    """Numbers of rows or columns of tiles, about a dozen."""
    every = np.arange(0, count, max(-(-count // 12), 1))
    put(every * (size + gap) + size / 2, [str(number) for number in every])


def _mark(ax: Any, place: _Place, odd: NDArray[Any]) -> None:
    """Colour what is NaN or infinite, with a legend, and signs where they are few."""
    over = np.zeros((*odd.shape, 4))
    told = []
    few = np.count_nonzero(odd) <= MARKED
    x, y = (place.x[1:] + place.x[:-1]) / 2, (place.y[1:] + place.y[:-1]) / 2
    every = np.isnan(odd), np.isposinf(odd), np.isneginf(odd)
    for (word, color, sign), here in zip(ODD, every, strict=True):
        if here.any():
            over[here] = _colors.to_rgba(color)
            told.append(_patches.Patch(color=color, label=word))
            rows, columns = np.nonzero(here)
            if few:
                ax.plot(x[columns], y[rows], linestyle="none", marker=sign, color="white", markersize=4)
    ax.pcolorfast(place.x, place.y, over)
    legend(ax, handles=told, loc="upper left", bbox_to_anchor=(0, -0.06), ncols=3)
