"""The marks that a diagram of layers is made of: boxes, frames, lines and the shapes beside them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from retia.view.layering import Point
from retia.view.lettering import cut, text_width

TITLE, SMALL = 12.0, 10.0
"""Sizes of the letters, in pixels."""

WIDEST = 230.0
"""Of a box's text."""

PAD, HEAD, FOOT = 14.0, 26.0, 12.0
"""Of a frame: to the sides, above (the title stands there) and below."""

BEHIND = 8.0
"""How far the copies of what is folded look out behind it."""


@dataclass(frozen=True)
class Box:
    """A layer, a port, or a group that is not opened, as a rectangle with one or two lines of text."""

    x: float
    y: float
    width: float
    height: float
    part: str
    family: str
    name: str
    label: str
    under: str
    whole: str
    shared: bool = False
    round: bool = False
    times: int = 1


@dataclass(frozen=True)
class Frame:
    """A group that is opened, as a rectangle with a title; ``times`` is how often it stands there."""

    x: float
    y: float
    width: float
    height: float
    part: str
    title: str
    title_x: float
    times: int
    shared: bool = False


@dataclass(frozen=True)
class Edge:
    """A line; with an arrow where it ends at a box. ``around`` is the group that it runs in."""

    points: tuple[Point, ...]
    arrow: bool
    around: str


@dataclass(frozen=True)
class Label:
    """The shape of what a line carries, beside its beginning."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Scene:
    """Everything that is drawn, with places on one sheet."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    frames: tuple[Frame, ...]
    edges: tuple[Edge, ...]
    labels: tuple[Label, ...]


@dataclass
class Placed:
    """A box or a group with all that is in it, placed around its own corner.

    Attributes:
        width: what it takes. height: of it.
        ins: where lines come in, from the left, by port. outs: where they leave.
        opened: whether it is a group that is drawn with what is in it.
        reach: what is needed to each side of its middle.
    """

    width: float
    height: float
    ins: dict[str, float] = field(default_factory=dict)
    outs: dict[str, float] = field(default_factory=dict)
    boxes: list[Box] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    opened: bool = False
    reach: float = 0.0

    def take(self, other: Placed, x: float, y: float) -> None:
        """Put another one's marks here, moved."""
        self.boxes += [replace(box, x=box.x + x, y=box.y + y) for box in other.boxes]
        self.frames += [replace(f, x=f.x + x, y=f.y + y, title_x=f.title_x + x) for f in other.frames]
        self.edges += [replace(e, points=tuple((a + x, b + y) for a, b in e.points)) for e in other.edges]
        self.labels += [replace(label, x=label.x + x, y=label.y + y) for label in other.labels]


def box_of(part: str, family: str, name: str, label: str, under: str, whole: str) -> Box:
    """A box as large as its text, which is cut where it is long."""
    name = cut(name_beside(name, label), SMALL, WIDEST / 2)
    before = text_width(name, SMALL) + 6 if name else 0.0
    label = cut(label, TITLE, WIDEST - before, bold=True)
    under = cut(under, SMALL, WIDEST)
    width = max(before + text_width(label, TITLE, bold=True), text_width(under, SMALL), 34.0) + 20
    return Box(0, 0, round(width, 1), 38.0 if under else 24.0, part, family, name, label, under, whole)


def name_beside(name: str, label: str) -> str:
    """The name that stands beside a label; none where the label says the same.

    Example:
        >>> name_beside("relu", "ReLU"), name_beside("first", "ReLU")
        ('', 'first')
    """
    return "" if name.lower() == label.partition("(")[0].lower() else name


def spread(ports: Iterable[str], width: float) -> dict[str, float]:
    """Places of ports along a side of a box."""
    names = list(ports)
    return {name: width * (n + 1) / (len(names) + 1) for n, name in enumerate(names)}
