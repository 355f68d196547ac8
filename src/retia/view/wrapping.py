"""A layout that is too tall for a page, in columns beside each other.

It is cut where a single line goes on; that line runs under its column, up between the two, and into the next.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from retia.view.layering import Item, Laid, Line, Point, arrange

TALLEST = 860.0
"""Above this height columns are looked for."""

SLENDER = 1.25
"""Height over width that a page may have."""

GAIN = 0.8
"""Columns are at most so tall, as a share of one column; else they are not worth it."""

BETWEEN = 56.0
MARGIN = 16.0


def wrapped(items: Sequence[Item], lines: Sequence[Line], laid: Laid, tallest: float = TALLEST) -> Laid:
    """The layout itself, or the same boxes in columns, where that makes it a good deal less tall.

    Args:
        items: the boxes. lines: between them.
        laid: them in one column.
        tallest: the height up to which it stays as it is.
    Example:
        >>> items = [Item(100, 30)] * 40
        >>> lines = [Line(n, "", n + 1, "") for n in range(39)]
        >>> tall = arrange(items, lines)
        >>> wide = wrapped(items, lines, tall)
        >>> tall.height > 2000 and 3 * wide.height < tall.height
        True
    """
    number = math.ceil(math.sqrt(laid.height / SLENDER / (laid.width + BETWEEN)))
    cuts = _cuts(items, lines, laid) if laid.height > tallest and number > 1 else []
    if not cuts:
        return laid
    aims = [laid.height * n / number for n in range(1, number)]
    chosen = sorted({_nearest(cuts, aim) for aim in aims})
    made = _beside(items, lines, laid, chosen)
    return made if made.height < GAIN * laid.height else laid


def _nearest(cuts: Sequence[tuple[int, float]], aim: float) -> int:
    return min(cuts, key=lambda cut: abs(cut[1] - aim))[0]


def _cuts(items: Sequence[Item], lines: Sequence[Line], laid: Laid) -> list[tuple[int, float]]:
    """The layers after which a single line goes on, to the very next one, and the heights there."""
    passing = [0] * (max(laid.layers) + 2)
    for line in lines:
        passing[laid.layers[line.source]] += 1
        passing[laid.layers[line.target]] -= 1
    bottom: dict[int, float] = {}
    for item, layer, top in zip(items, laid.layers, laid.top, strict=True):
        bottom[layer] = max(bottom.get(layer, 0.0), top + item.height)
    through, single = 0, set()
    for layer, change in enumerate(passing):
        through += change
        if through == 1:
            single.add(layer)
    return [
        (laid.layers[line.source], bottom[laid.layers[line.source]])
        for line in lines
        if laid.layers[line.target] == laid.layers[line.source] + 1 and laid.layers[line.source] in single
    ]


def _beside(items: Sequence[Item], lines: Sequence[Line], laid: Laid, cuts: Sequence[int]) -> Laid:
    column = [sum(layer > cut for cut in cuts) for layer in laid.layers]
    left, top = [0.0] * len(items), [0.0] * len(items)
    routes: list[list[Point]] = [[] for _ in lines]
    edges, heights, x = [], [], 0.0
    for number in range(len(cuts) + 1):
        boxes = [i for i, at in enumerate(column) if at == number]
        inner = [n for n, line in enumerate(lines) if column[line.source] == column[line.target] == number]
        place = {box: n for n, box in enumerate(boxes)}
        moved = [
            Line(place[lines[n].source], lines[n].source_port, place[lines[n].target], lines[n].target_port)
            for n in inner
        ]
        part = arrange([items[i] for i in boxes], moved)
        for n, box in enumerate(boxes):
            left[box], top[box] = x + part.left[n], MARGIN + part.top[n]
        for n, route in zip(inner, part.routes, strict=True):
            routes[n] = [(x + a, MARGIN + b) for a, b in route]
        x += part.width
        edges.append(x + BETWEEN / 2)
        heights.append(MARGIN + part.height)
        x += BETWEEN
    for n, line in enumerate(lines):
        if column[line.source] != column[line.target]:
            start, end, number = items[line.source], items[line.target], column[line.source]
            x1 = left[line.source] + start.outs.get(line.source_port, start.width / 2)
            x2 = left[line.target] + end.ins.get(line.target_port, end.width / 2)
            under = heights[number] + MARGIN
            routes[n] = [
                (x1, top[line.source] + start.height), (x1, under), (edges[number], under),
                (edges[number], 0.0), (x2, 0.0), (x2, top[line.target]),
            ]  # fmt: skip
    height = max([*(h + MARGIN for h in heights[:-1]), heights[-1]])
    return Laid(left, top, routes, laid.layers, x - BETWEEN, height)
