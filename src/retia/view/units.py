"""A net of linear layers as circles, joined by its weights: colour and dashes say their sign."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from retia.view import svg
from retia.view.dense import Column, inputs_of
from retia.view.lettering import text_width
from retia.view.marks import SMALL
from retia.view.model import View
from retia.view.paint import titled

MOST = 16
"""Places of a column; of more units the first ones and the last are drawn, and the number of the others."""

APART = 170.0
FEW_EDGES = 24
"""Weights between two columns that are told as numbers."""

TINY = 9.0


@dataclass(frozen=True)
class _Drawn:
    """A column in its place: for each unit that is drawn, its number and how high it stands."""

    column: Column
    x: float
    places: tuple[tuple[int, float], ...]
    radius: float
    hidden: int
    gap: float


def units(view: View, found: Sequence[Column], theme: str, most: int = MOST) -> tuple[str, str]:
    """The SVG and its title.

    Args:
        view: with ``weights`` and, if there are any, ``values``.
        found: its columns.
        theme: of the picture.
        most: places in a column, at least 4.
    """
    tall = min(max(column.size for column in found), most)
    radius = 20.0 if tall <= 8 else 12.0 if tall <= 20 else 8.0
    pitch = 2 * radius + (14 if radius == 20.0 else 8)
    height = pitch * tall
    drawn = [_drawn(column, n, pitch, radius, height, most) for n, column in enumerate(found)]
    marks = [mark for one, two in zip(drawn, drawn[1:], strict=False) for mark in _edges(view, one, two)]
    marks += [mark for each in drawn for mark in _column(view, each, height)]
    marks.append(svg.text(0, height + 80, _legend(view), SMALL, "m"))
    width = max(drawn[-1].x + 60, text_width(_legend(view), SMALL))
    told = " ".join(f"Column {n}: {c.size:,} units, {', '.join(c.titles)}." for n, c in enumerate(found))
    title = titled(view)
    return svg.sheet(width, height + 84, marks, title=title, description=told, theme=theme), title


def _drawn(column: Column, n: int, pitch: float, radius: float, height: float, most: int) -> _Drawn:
    x = 60 + n * APART
    if column.size <= most:
        top = (height - pitch * column.size) / 2 + pitch / 2
        return _Drawn(column, x, tuple((i, top + i * pitch) for i in range(column.size)), radius, 0, 0.0)
    top = pitch / 2
    places = [(i, top + i * pitch) for i in range(most - 2)]
    places.append((column.size - 1, top + (most - 1) * pitch))
    return _Drawn(column, x, tuple(places), radius, column.size - len(places), top + (most - 2) * pitch)


def _edges(view: View, one: _Drawn, two: _Drawn) -> Iterator[str]:
    weight = view.attached["weights"].get(two.column.linear or "", {}).get("weight")
    largest = float(weight.abs().max()) if weight is not None else 0.0
    few = len(one.places) * len(two.places) <= FEW_EDGES
    labels = []
    for i, y1 in one.places:
        for n, (j, y2) in enumerate(two.places):
            x1, x2 = one.x + one.radius, two.x - two.radius
            way = svg.straight((x1, y1), (x2, y2))
            if weight is None:
                yield svg.element("path", d=way, kind="edge", stroke_opacity="0.5")
                continue
            value = float(weight[j, i])
            share = abs(value) / largest if largest else 0.0
            yield svg.element(
                "path", f"<title>{j} from {i}: {value:.4g}</title>", d=way, fill="none",
                kind="positive" if value >= 0 else "negative",
                stroke_width=0.4 + 3.2 * share if few else 0.3 + 1.5 * share,
                stroke_opacity=str(round(0.25 + 0.75 * share if few else 0.08 + 0.8 * share**2, 2)),
            )  # fmt: skip
            if few:
                labels.append(_weight(x1, y1, x2, y2, 0.24 + 0.15 * (n % 3), value))
    yield from labels


def _weight(x1: float, y1: float, x2: float, y2: float, part: float, value: float) -> str:
    words = f"{value:.3g}"
    x, y = x1 + (x2 - x1) * part, y1 + (y2 - y1) * part
    turn = math.degrees(math.atan2(y2 - y1, x2 - x1))
    inner = svg.text(-text_width(words, TINY) / 2, 3, words, TINY, "halo")
    return svg.element("g", inner, transform=f"translate({svg.num(x)} {svg.num(y)}) rotate({svg.num(turn)})")


def _column(view: View, drawn: _Drawn, height: float) -> Iterator[str]:
    values = inputs_of(view, drawn.column)
    bias = view.attached["weights"].get(drawn.column.linear or "", {}).get("bias")
    largest = max((abs(v) for v in values), default=0.0) if values else 0.0
    for i, y in drawn.places:
        said = f"unit {i}"
        yield svg.element("circle", cx=drawn.x, cy=y, r=drawn.radius, kind="unit", stroke_width="1.3")
        if values is not None:
            share = abs(values[i]) / largest if largest else 0.0
            said += f": {values[i]:.4g}"
            yield svg.element(
                "circle", f"<title>{said}</title>", cx=drawn.x, cy=y, r=drawn.radius,
                kind="up" if values[i] >= 0 else "down", fill_opacity=str(round(0.55 * share, 2)),
            )  # fmt: skip
        if drawn.radius < 20:
            continue
        lines = [f"{values[i]:.3g}"] if values is not None else []
        lines += [f"b {float(bias[i]):.2g}"] if bias is not None else []
        for n, words in enumerate(lines):
            size = SMALL if n == 0 and values is not None else TINY
            place = y + 3.5 + (n - (len(lines) - 1) / 2) * 11
            yield svg.text(drawn.x - text_width(words, size) / 2, place, words, size)
    if drawn.hidden:
        words = f"+{drawn.hidden:,} more"
        yield svg.text(drawn.x - text_width(words, SMALL) / 2, drawn.gap + 3.5, words, SMALL, "halo")
    for n, words in enumerate((f"{drawn.column.size:,}", *drawn.column.titles[-3:])):
        y = height + 18 + 13 * n
        yield svg.text(drawn.x - text_width(words, SMALL, bold=n == 0) / 2, y, words, SMALL, bold=n == 0)


def _legend(view: View) -> str:
    if not view.attached["weights"]:
        return "Its weights are not made yet."
    words = "Lines: weights, solid + and dashed −, wider is larger."
    if "values" in view.attached:
        words += " Circles: values, the fuller the larger in their column."
    return words
