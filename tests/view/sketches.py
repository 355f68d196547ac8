"""Pictures read back: what an SVG draws, as boxes and points, for tests that hold geometry against it."""

import math
import re
from xml.etree import ElementTree

SVG = "{http://www.w3.org/2000/svg}"
Box = tuple[float, float, float, float]
Point = tuple[float, float]


class Read:
    """The marks of a diagram of layers."""

    def __init__(self, svg: str) -> None:
        self.root = ElementTree.fromstring(svg)
        rects = [rect for rect in self.root.iter(f"{SVG}rect") if rect.get("data-part") is not None]
        self.boxes = {r.get("data-part"): corners(r) for r in rects if "box" in kinds(r)}
        self.frames = [(r.get("data-part"), corners(r)) for r in rects if "frame" in kinds(r)]
        self.number = len([r for r in rects if "box" in kinds(r)])
        self.edges = [p for p in self.root.iter(f"{SVG}path") if "edge" in kinds(p)]
        self.texts = [text for text in self.root.iter(f"{SVG}text")]

    @property
    def words(self) -> list[str]:
        return [text.text or "" for text in self.texts]

    @property
    def sheet(self) -> Box:
        x, y, width, height = map(float, self.root.get("viewBox").split())
        return x, y, x + width, y + height


def kinds(mark: ElementTree.Element) -> list[str]:
    return (mark.get("class") or "").split()


def corners(rect: ElementTree.Element) -> Box:
    x, y, width, height = (float(rect.get(name)) for name in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


def span(text: ElementTree.Element) -> Box:
    """Where a text stands, by what the SVG says of its width."""
    x, y, size = (float(text.get(name)) for name in ("x", "y", "font-size"))
    return x, y - 0.75 * size, x + float(text.get("textLength")), y + 0.22 * size


def sampled(d: str, apart: float = 3.0) -> list[Point]:
    """Points along a path of straight ways and curves, closer together than any box is small."""
    points: list[Point] = []
    for command, numbers in re.findall(r"([MLCQ])([-\d. ]+)", d):
        values = [float(number) for number in numbers.split()]
        ends = list(zip(values[::2], values[1::2], strict=True))
        if command == "M":
            points.append(ends[0])
            continue
        poles = [points[-1], *ends]
        steps = int(sum(map(math.dist, poles, poles[1:])) / apart) + 1
        for step in range(1, steps + 1):
            points.append(bezier(poles, step / steps))
    return points


def bezier(poles: list[Point], t: float) -> Point:
    while len(poles) > 1:
        poles = [
            (a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t)
            for a, b in zip(poles, poles[1:], strict=False)
        ]
    return poles[0]


def overlap(one: Box, two: Box, slack: float = 0.2) -> bool:
    return (
        one[0] < two[2] - slack
        and two[0] < one[2] - slack
        and one[1] < two[3] - slack
        and two[1] < one[3] - slack
    )


def crosses(points: list[Point], box: Box, slack: float = 0.3) -> bool:
    """Whether a line goes through the inside of a box."""
    left, top, right, bottom = box[0] + slack, box[1] + slack, box[2] - slack, box[3] - slack
    return any(left < x < right and top < y < bottom for x, y in points)


def within(inner: Box, outer: Box, slack: float = 0.5) -> bool:
    return (
        inner[0] >= outer[0] - slack and inner[1] >= outer[1] - slack
        and inner[2] <= outer[2] + slack and inner[3] <= outer[3] + slack
    )  # fmt: skip
