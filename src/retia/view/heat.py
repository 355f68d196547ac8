"""Draws where an answer comes from: over a picture, behind the tokens of a text, as bars of a table."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from retia._figures import FIRST, LABEL, SECOND, answer, axes, grid, ink, key, shades
from retia._late import Late
from retia._late import numpy as np
from retia.view.arrays import picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retia.view.saliency import Saliency

_patches: Any = Late("matplotlib.patches", extra="plots")

BARS = 40
"""Columns that have a bar, the strongest ones."""

WIDE = 60
"""Characters in a line of a text."""

LINES = 40
"""Lines of a text, at most."""

CLIPPED = 10_000
"""From so many places on a scale ends at the 99.5th percentile, or single ones would leave no colour."""

SPACING, SIZE = 2.0, 11.0
"""From line to line of a text in sizes of its letters, and this size in points, at most."""

UNDER = 0.3
"""The picture under a heat map is this much lighter than black, and darker than white, so that both show."""


def draw(found: Saliency, path: str | os.PathLike[str] | None, ax: Any) -> Any:
    """Draw it on axes; answers these, or the figure that was made for them."""
    if found.picture is not None:
        drawn = _over_picture(found, ax)
    elif found.map.ndim == 1 and found.is_text:
        drawn = _behind_tokens(found, ax)
    elif found.map.ndim == 1 and (found.names or found.map.size <= BARS):
        drawn = _bars(found, ax)
    else:
        return picture(found.map, title=found.title).plot(path, ax)
    drawn.set_title(found.title + _clipped(found), fontsize=LABEL, loc="left", color=ink(drawn))
    return answer(drawn, ax, path)


def _clipped(found: Saliency) -> str:
    """A line on what the scale leaves out."""
    most = limits(found.map)[1]
    beyond = int((np.abs(found.map) > most).sum())
    return f"\n{beyond:,} of {found.map.size:,} places clipped at {most:.3g}" if beyond else ""


def _over_picture(found: Saliency, ax: Any) -> Any:
    """The picture in gray, and over it the map, the clearer the nearer to 0."""
    assert found.picture is not None
    height, width = found.picture.shape[:2]
    ratio = min(max(height / width, 0.3), 3.0)
    drawn = axes(ax, 4.4, 3.6 * ratio + 0.4)
    gray = found.picture if found.picture.ndim == 2 else found.picture[..., :3] @ (0.299, 0.587, 0.114)
    gray = UNDER + (1 - 2 * UNDER) * gray
    drawn.imshow(gray, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    low, high = limits(found.map)
    heat = drawn.imshow(found.map, cmap=scale(low, high), vmin=low, vmax=high, interpolation="nearest")
    drawn.set_xticks([])
    drawn.set_yticks([])
    for spine in drawn.spines.values():
        spine.set_visible(False)
    clipped = bool((np.abs(found.map) > high).any())
    key(drawn, heat, "neither" if not clipped else "both" if low < 0 else "max")
    return drawn


def limits(numbers: NDArray[Any]) -> tuple[float, float]:
    """From 0 to the greatest number, or as far to both sides."""
    far = np.abs(numbers[np.isfinite(numbers)])
    most = float(far.max()) if far.size else 1.0
    if far.size >= CLIPPED:
        most = float(np.percentile(far, 99.5)) or most
    return (-(most or 1.0) if (numbers < 0).any() else 0.0), most or 1.0


def scale(low: float, high: float) -> Any:
    """Orange for numbers above 0, blue below it, clear at 0."""
    return shades(FIRST, SECOND) if low < 0 else shades(SECOND)


def _bars(found: Saliency, ax: Any) -> Any:
    """A bar for each column, or for the strongest of many."""
    strongest = np.argsort(-np.abs(found.map), kind="stable")[:BARS]
    shown = sorted(strongest.tolist())
    drawn = axes(ax, 5.5, 0.22 * len(shown) + 0.9)
    numbers = found.map[shown]
    drawn.barh(range(len(shown)), numbers, color=[SECOND if number >= 0 else FIRST for number in numbers])
    drawn.set_yticks(range(len(shown)), [found.names[i] if found.names else str(i) for i in shown])
    drawn.tick_params(labelsize=8)
    drawn.invert_yaxis()
    drawn.axvline(0, color=ink(drawn), linewidth=0.8)
    grid(drawn, "x")
    more = found.map.size - len(shown)
    drawn.set_xlabel(found.measure + (f"; +{more:,} weaker ones" if more else ""), fontsize=LABEL)
    return drawn


def _behind_tokens(found: Saliency, ax: Any) -> Any:
    """The text, each token on its colour; a token that does not fit begins a new line."""
    low, high = limits(found.map)
    colours = scale(low, high)
    apart = any(len(token) > 1 for token in found.names)  # words, with a space between them
    places, at, line = [], 0, 0
    for token in found.names:
        length = max(len(_shown(token)), 1)
        if at and at + length > WIDE:
            at, line = 0, line + 1
        places.append((at, line, min(length, WIDE)))
        at += length + apart
    lines = min(line + 1, LINES)
    drawn = axes(ax, 7.0, SPACING * SIZE / 72 * lines + 0.5)
    box, points = drawn.get_window_extent(), 72 / drawn.figure.dpi
    size = min(SIZE, box.width * points / WIDE / 0.62)
    drawn.set_xlim(0, WIDE)
    drawn.set_ylim(max(lines, box.height * points / (SPACING * size)), 0)
    for token, number, (column, row, length) in zip(found.names, found.map.tolist(), places, strict=True):
        if row < lines:
            colour = colours((number - low) / (high - low))
            drawn.add_patch(_patches.Rectangle((column, row + 0.08), length, 0.84, color=colour, linewidth=0))
            if number < 0:  # a sign besides the colour
                drawn.plot([column, column + length], [row + 0.92] * 2, ":", color=ink(drawn), linewidth=1)
            text = _shown(token)[:WIDE]
            drawn.text(
                column + length / 2, row + 0.5, text, family="monospace", fontsize=size,
                ha="center", va="center", color=ink(drawn),
            )  # fmt: skip
    drawn.set_axis_off()
    left = sum(row >= lines for _, row, _ in places)
    if left:
        drawn.text(0, lines + 0.4, f"+{left:,} more tokens", fontsize=LABEL, color=ink(drawn))
    return drawn


def _shown(token: str) -> str:
    """A token with its spaces and line ends to be seen."""
    return token.replace("\n", "⏎").replace(" ", "·").replace("\t", "→")
