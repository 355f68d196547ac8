"""A scene of layers as SVG: frames below, then lines, boxes and the shapes beside the lines."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from retia.view import svg
from retia.view.layering import Point
from retia.view.lettering import text_width
from retia.view.marks import BEHIND, SMALL, TITLE, Box, Edge, Frame, Label, Scene
from retia.view.model import View, number, show_sizes

TOLD = 200
"""Layers that a picture's description tells one by one."""


def painted(seen: View, drawn: Scene, theme: str) -> tuple[str, str]:
    """The SVG of a scene, and its title."""
    title = titled(seen)
    marks = [
        *(mark for frame in drawn.frames for mark in _frame(frame)),
        *(mark for edge in drawn.edges for mark in _edge(edge)),
        *(mark for box in drawn.boxes for mark in _box(box)),
        *map(_label, drawn.labels),
    ]
    made = svg.sheet(drawn.width, drawn.height, marks, title=title, description=told(seen), theme=theme)
    return made, title


def titled(seen: View) -> str:
    """A net in a few words."""
    count = len(seen.layers)
    layers = f"{count:,} layer{'s' * (count != 1)}"
    return f"{seen.parts[''].type}, {layers}, {number(seen.count)} parameters"


def told(seen: View) -> str:
    """What a diagram shows, in words."""
    said = [f"Input {port.name} {show_sizes(port.shape)}." for port in seen.inputs]
    for part in seen.layers[:TOLD]:
        shapes = ", ".join(show_sizes(shape) for shape in part.outputs.values())
        count = f", {number(part.count)} parameters" if part.count != 0 else ""
        said.append(f"{part.path or 'The layer'} {part.label} gives {shapes}{count}.")
    if len(seen.layers) > TOLD:
        said.append(f"And {len(seen.layers) - TOLD:,} more layers.")
    said += [f"Output {port.name} {show_sizes(port.shape)}." for port in seen.outputs]
    return " ".join(said)


def arrow(tip: Point, before: Point) -> str:
    """A small triangle at the end of a line that comes from above or from the left."""
    x, y = tip
    if abs(before[0] - x) >= abs(before[1] - y):
        return svg.element("path", d=f"M{svg.num(x)} {svg.num(y)}l-7 -3.5v7z", kind="arrow")
    return svg.element("path", d=f"M{svg.num(x)} {svg.num(y)}l-3.5 -7h7z", kind="arrow")


def _frame(frame: Frame) -> Iterator[str]:
    kind = "frame shared" if frame.shared else "frame"
    for behind in (BEHIND, BEHIND / 2) if frame.times > 1 else ():
        yield svg.element(
            "rect", kind="frame", x=frame.x + behind, y=frame.y + behind, width=frame.width,
            height=frame.height, rx="8",
        )  # fmt: skip
    yield svg.element(
        "rect", f"<title>{escape(frame.part)}</title>", kind=kind, x=frame.x, y=frame.y, width=frame.width,
        height=frame.height, rx="8", data_part=frame.part,
    )  # fmt: skip
    yield svg.text(frame.x + (frame.title_x - frame.x), frame.y + 16, frame.title, SMALL, bold=True)


def _edge(edge: Edge) -> Iterator[str]:
    yield svg.element("path", d=svg.path_of(edge.points), kind="edge", data_in=edge.around)
    if edge.arrow:
        (x, y), one = edge.points[-1], edge.points[-2]
        yield arrow((x, y), (x, y - 9) if abs(one[0] - x) > 0.3 else one)


def _box(box: Box) -> Iterator[str]:
    kinds = f"box {box.family}" + (" shared" if box.shared else "")
    radius = box.height / 2 if box.round and not box.under else 12.0 if box.round else 4.0
    for behind in (BEHIND, BEHIND / 2) if box.times > 1 else ():
        yield svg.element(
            "rect", kind=f"box {box.family}", x=box.x + behind, y=box.y + behind, width=box.width,
            height=box.height, rx=radius,
        )  # fmt: skip
    yield svg.element(
        "rect", f"<title>{escape(box.whole)}</title>", kind=kinds, x=box.x, y=box.y, width=box.width,
        height=box.height, rx=radius, data_part=box.part,
    )  # fmt: skip
    name, label = text_width(box.name, SMALL), text_width(box.label, TITLE, bold=True)
    gap = 6.0 if box.name else 0.0
    x, y = box.x + (box.width - name - gap - label) / 2, box.y + 16.0
    yield svg.text(x, y, box.name, SMALL, "m")
    yield svg.text(x + name + gap, y, box.label, TITLE, bold=True)
    yield svg.text(box.x + (box.width - text_width(box.under, SMALL)) / 2, y + 14, box.under, SMALL)


def _label(label: Label) -> str:
    return svg.text(label.x, label.y, label.text, SMALL, "m halo")
