"""A diagram as text: boxes, frames and lines of box-drawing characters on whole cells.

It is the scene that pictures have, measured in characters. Where it is wider than what it is printed on, long
texts are cut first; then fewer levels of groups are opened, and a last line says so. A line that is crossed
goes on behind the one that crosses it; where lines part, they are joined.
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from retia.view.layering import Item, Laid, Line, Point
from retia.view.marks import Box, Edge, Frame, Scene, name_beside
from retia.view.measures import Measures
from retia.view.model import View
from retia.view.scene import MOST, deepest, scene
from retia.view.tracks import arrange_cells

WIDTHS = (64, 40, 28, 22, 16)
"""Of a box's text, at most; the first that fits is taken."""

UP, DOWN, LEFT, RIGHT = 1, 2, 4, 8
JOINTS = " ││││┘┐┤─└┌├─┴┬┼"
"""What is drawn where a line goes to such sides: the sum of their numbers is the place."""

PLAIN, ROUND, SHARED = tuple("┌─┐│└┘"), tuple("╭─╮│╰╯"), tuple("╔═╗║╚╝")
"""Corners and sides of boxes, as one reads."""

ARROW, PARTING = "▼", {"─": "┬", "═": "╤"}
ASCII = str.maketrans("┌┐└┘├┤┬┴┼╭╮╰╯╔╗╚╝╤─│║═▼×·≈", "++++++++++++++++++-||=vx-~")


@dataclass(frozen=True)
class Sketch:
    """A net's diagram, to be drawn as wide as there is room.

    Attributes:
        view: of the net.
        depth: levels of groups that are opened; None for as many as a picture has.
        unfold: whether equal blocks are drawn one by one.
        most: boxes of one group.
    """

    view: View
    depth: int | None = None
    unfold: bool = False
    most: int = MOST

    def lines(self, width: int) -> list[str]:
        """The diagram, at most so wide; where that is not to be had, a sentence on how to have it.

        Example:
            >>> import retia as rt
            >>> from retia.view.model import view
            >>> for line in Sketch(view(rt.ReLU(input=2))).lines(80)[3:8]:
            ...     print(line[1:])
                │ (2)
            ┌───▼───┐
            │ ReLU  │
            └───┬───┘
                │ (2)
        """
        wanted, needed = self._depth(), 0
        for depth in range(wanted, -1, -1):
            made = self._fitted(depth, width)
            if made.width <= width:
                said = f"Opened {wanted} level{'s' * (wanted != 1)} deep, it"
                return [*drawn(made), *(["", *_note(said, needed, width)] if needed else [])]
            needed = needed or int(made.width)
        return _note("Even with all groups closed, it", int(made.width), width)

    def _depth(self) -> int:
        if self.depth is None:
            return deepest(self.view, unfold=self.unfold, most=self.most)
        return min(self.depth, max(path.count(".") for path in self.view.parts) + 1)

    def _fitted(self, depth: int, width: int) -> Scene:
        """With texts as long as there is room for; where there is none, as narrow as can be."""
        widest = self._scene(depth, WIDTHS[0])
        if widest.width <= width:
            return widest
        narrowest = self._scene(depth, WIDTHS[-1])
        if narrowest.width > width:
            return narrowest
        between = (self._scene(depth, texts) for texts in WIDTHS[1:-1])
        return next((made for made in between if made.width <= width), narrowest)

    def _scene(self, depth: int, texts: int) -> Scene:
        how = measures(texts)
        return scene(self.view, depth=depth, unfold=self.unfold, most=self.most, measures=how)


def measures(widest: int) -> Measures:
    """Those of whole cells; texts of boxes are so long at most."""
    titles = 5 * widest // 4
    return Measures(
        box=partial(_box, widest), width=columns, title_width=columns, cut=shortened, spread=_spread,
        whole=_odd, arrange=_arranged, widest=widest, title=titles, many=titles, pad=2, head=1, foot=1,
        behind=1, sideways=2, port=1, inset=3, clear=1.5, past=2.5, trail=3, before=1.5, below=0,
        beside=1.5, two_sided=False, apart=2,
    )  # fmt: skip


def columns(text: str) -> int:
    """How many cells a text takes.

    Example:
        >>> columns("ReLU"), columns("層")
        (4, 2)
    """
    return len(text) if text.isascii() else sum(map(_columns, text))


def shortened(text: str, room: float) -> str:
    """The text, or as much of it as fits, with three points; what no terminal shows is a question mark.

    Example:
        >>> shortened("Conv2d(64, 3, padding=1)", 12)
        'Conv2d(64...'
    """
    text = text if text.isprintable() else "".join(each if each.isprintable() else "?" for each in text)
    if columns(text) <= room:
        return text
    while text and columns(text) + 3 > room:
        text = text[:-1]
    return f"{text.rstrip()}..."


def encodable(text: str, encoding: str) -> str:
    """The text itself; or in plain characters, where an encoding has no others.

    Example:
        >>> encodable("┌──┬──┐ ×3", "ascii")
        '+--+--+ x3'
    """
    if _can(text, encoding):
        return text
    plain = text.translate(ASCII)
    return "".join(each if _can(each, encoding) else "?" * columns(each) for each in plain)


def drawn(made: Scene) -> list[str]:
    """A scene of whole cells as lines of text."""
    cells = [[" "] * int(made.width) for _ in range(int(made.height))]
    for frame in made.frames:
        _outline(cells, frame, SHARED if frame.shared else PLAIN)
        _put(cells, frame.title_x - 1, frame.y, f" {frame.title} ")
    for box in made.boxes:
        _outline(cells, box, SHARED if box.shared else ROUND if box.round else PLAIN)
        for n, text in enumerate(next(each for each in _forms(box) if len(each) + 2 == box.height)):
            _put(cells, box.x + 1 + (box.width - 2 - columns(text)) // 2, box.y + 1 + n, text)
    joints = dict(_joints(made.edges))
    tops = {(frame.y, frame.x + n) for frame in made.frames for n in range(int(frame.width))}
    for x, y in (edge.points[0] for edge in made.edges):
        row, column = int(y), int(x)
        if (row - 1, column) not in joints:  # it begins at a box, or at a frame that nothing brings it to
            begin = row if (row, column) in tops else row - 1
            joints[begin, column] = PARTING[cells[begin][column]]
    for (row, column), joint in joints.items():
        cells[row][column] = joint
    for x, y in (edge.points[-1] for edge in made.edges if edge.arrow):
        cells[int(y)][int(x)] = ARROW
    for label in made.labels:
        _put(cells, label.x, label.y, label.text)
    return ["".join(row).rstrip() for row in cells]


# Lines --------------------------------------------------------------------------------------------


def _joints(edges: Iterable[Edge]) -> Iterator[tuple[tuple[int, int], str]]:
    """What stands in every cell that a line goes through; lines that begin in one place are one."""
    sides: dict[tuple[int, int], dict[Point, int]] = defaultdict(lambda: defaultdict(int))
    for edge in edges:
        for (x1, y1), (x2, y2) in zip(edge.points, edge.points[1:], strict=False):
            for row, up, down in _passed(y1, y2) if x1 == x2 else ():
                sides[row, int(x1)][edge.points[0]] |= UP * up | DOWN * down
            for column, left, right in _passed(*sorted((x1, x2))) if x1 != x2 else ():
                sides[int(y1), column][edge.points[0]] |= LEFT * left | RIGHT * right
    for cell, lines in sides.items():
        yield cell, JOINTS[next(iter(lines.values()))] if len(lines) == 1 else JOINTS[UP | DOWN]


def _passed(start: float, end: float) -> Iterator[tuple[int, bool, bool]]:
    """The cells from one place to another, and whether their first and second halves are passed."""
    for cell in range(int(start), -int(-end // 1)):
        yield cell, start <= cell, cell + 1 <= end


def _arranged(items: Sequence[Item], lines: Sequence[Line], _: bool) -> Laid:
    return arrange_cells(items, lines)


# Boxes --------------------------------------------------------------------------------------------


def _box(widest: int, part: str, family: str, name: str, label: str, under: str, whole: str) -> Box:
    """A box with its texts in as few lines as there is room for."""
    name, label, under = (shortened(text, widest) for text in (name_beside(name, label), label, under))
    box = Box(0, 0, 0, 0, part, family, name, label, under, whole)
    texts = next(texts for texts in _forms(box) if max(map(columns, texts)) <= widest)
    return replace(box, width=_odd(max(map(columns, texts)) + 4), height=len(texts) + 2)


def _forms(box: Box) -> Iterator[list[str]]:
    """The lines that a box's texts may stand in, the fewest first."""
    head = "  ".join(filter(None, (box.name, box.label)))
    yield [" · ".join(filter(None, (head, box.under)))]
    yield [text for text in (head, box.under) if text]
    yield [text for text in (box.name, box.label, box.under) if text]


def _spread(ports: Iterable[str], width: float) -> dict[str, float]:
    names = list(ports)
    return {name: width * (n + 1) // (len(names) + 1) + 0.5 for n, name in enumerate(names)}


def _odd(width: float) -> float:
    return width + (width + 1) % 2


def _outline(cells: list[list[str]], box: Box | Frame, style: Sequence[str]) -> None:
    """A rectangle, empty within; before it, the copies that look out behind it."""
    corner, across, right, down, low, end = style
    wide = int(box.width) - 2
    for behind in (1, 0) if box.times > 1 else (0,):
        x, y, height = box.x + behind, int(box.y) + behind, int(box.height)
        _put(cells, x, y, corner + across * wide + right)
        for row in range(y + 1, y + height - 1):
            _put(cells, x, row, down + " " * wide + down)
        _put(cells, x, y + height - 1, low + across * wide + end)


def _put(cells: list[list[str]], x: float, row: float, text: str) -> None:
    """Write from a cell on: wide characters take two, accents none."""
    line, column = cells[int(row)], int(x)
    for each in text:
        wide = _columns(each)
        if not wide:
            line[column - 1] += each
            continue
        line[column : column + wide] = [each, ""][:wide]
        column += wide


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _can(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _note(said: str, needed: int, width: int) -> list[str]:
    words = (
        f'{said} takes {needed} columns, more than the {width} here: .text({needed}), or .save("net.svg").'
    )
    return textwrap.wrap(words, width)
