"""How large the marks of a diagram are: in pixels for a picture, in characters for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from retia.view.layering import Item, Laid, Line, arrange
from retia.view.lettering import cut, text_width
from retia.view.marks import BEHIND, FOOT, HEAD, PAD, SMALL, WIDEST, Box, box_of, spread
from retia.view.wrapping import TALLEST, wrapped

INNER = 1800.0
"""Height above which a group within the net is put into columns; the net itself is much earlier."""


@dataclass(frozen=True)
class Measures:
    """What a scene is measured with.

    Attributes:
        box: makes a box as large as its texts.
        width: of a shape. title_width: of a frame's title.
        cut: a text to the room that there is.
        spread: places of ports along a side of a box.
        whole: a width that a frame may have.
        arrange: puts boxes and lines into layers; told whether they are the whole net.
        widest: of what is said within a title. title: of one group's. many: of several's.
        pad: of a frame, to the sides. head: above. foot: below.
        behind: how far copies look out below. sideways: what they take to the side.
        port: the width of a frame's port.
        inset: from a frame's side to its title. clear: from there to a line. past: from a line to a title.
        trail: behind a title.
        before: from a line to its shape. below: from its beginning down. beside: what it takes besides.
        two_sided: whether shapes stand on both sides of lines.
        apart: between the ends of lines on a box, at least.
    """

    box: Callable[[str, str, str, str, str, str], Box] = box_of
    width: Callable[[str], float] = lambda text: text_width(text, SMALL)
    title_width: Callable[[str], float] = lambda text: text_width(text, SMALL, bold=True)
    cut: Callable[[str, float], str] = lambda text, room: cut(text, SMALL, room)
    spread: Callable[[Iterable[str], float], dict[str, float]] = spread
    whole: Callable[[float], float] = lambda width: width
    arrange: Callable[[Sequence[Item], Sequence[Line], bool], Laid] = lambda items, lines, whole: wrapped(
        items, lines, arrange(items, lines), TALLEST if whole else INNER
    )
    widest: float = WIDEST
    title: float = 300.0
    many: float = float("inf")
    pad: float = PAD
    head: float = HEAD
    foot: float = FOOT
    behind: float = BEHIND
    sideways: float = BEHIND
    port: float = 0.0
    inset: float = 8.0
    clear: float = 10.0
    past: float = 8.0
    trail: float = 16.0
    before: float = 5.0
    below: float = 11.0
    beside: float = 7.0
    two_sided: bool = True
    apart: float = 0.0


PIXELS = Measures()
