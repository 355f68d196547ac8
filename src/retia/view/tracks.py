"""Boxes and lines on whole cells, for the terminal: between layers lines turn in rows of their own.

What stands beside what is found as for pictures. Lines of one port are one line that branches; lines of
different ports share no cell, but where one goes straight down through another that goes straight across.

Source: Hashimoto and Stevens 1971 (rows of a channel filled one by one); Deutsch 1976 (a line goes aside,
where two would change places).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import count
from typing import TypeAlias

from retia.view.layering import Grid, Item, Laid, Line, Point, Spacing, layers_of, plain

CELLS = Spacing(beside=2.0, along=1.0, line=1.0, corner=1.5, ends=2.0, bundled=True)

SLACK = 1e-3
"""Less than this is no way to the left."""

Port: TypeAlias = "tuple[int, str]"

Wire: TypeAlias = "tuple[float, set[float]]"
"""Where a line comes into a gap from above, and where it goes to below."""

Turn: TypeAlias = "tuple[int, float | None]"
"""The row in which a line turns, and the column that it goes to; None for where it ends."""


def arrange_cells(items: Sequence[Item], lines: Sequence[Line]) -> Laid:
    """Boxes in layers as ``arrange`` has them, with corners between cells and lines in the middles of cells.

    Args:
        items: the boxes, whose widths are odd.
        lines: between them, without circles.
    Example:
        >>> lines = [Line(0, "", 1, ""), Line(0, "", 2, "")]
        >>> laid = arrange_cells([Item(9, 3), Item(5, 3), Item(5, 3)], lines)
        >>> laid.left, laid.top
        ([2.0, 0.0, 7.0], [0.0, 5.0, 5.0])
        >>> laid.routes[0]
        [(6.5, 3.0), (6.5, 4.5), (2.5, 4.5), (2.5, 5.0)]
    """
    if not items:
        return Laid([], [], [], [], 0.0, 0.0)
    grid = Grid(items, lines, layers_of(items, lines), CELLS)
    grid.order()
    grid.spread()
    _settle(grid)
    ends = _ends(grid)
    gaps = [turns_of(wires) for wires in _wires(grid, ends)]
    tops, bottoms, firsts = _heights(grid, gaps)
    left = [grid.x[i] - item.width / 2 for i, item in enumerate(items)]
    top = []
    for i, item in enumerate(items):
        row = grid.layer[i]
        top.append(tops[row] + (bottoms[row] - tops[row] - item.height) // 2)
    routes = [_route(grid, n, ends[n], top, (firsts, gaps)) for n in range(len(lines))]
    width = max(grid.x[i] + grid.right(i) for i in range(len(grid.x)))
    width = max([width, *(x + 0.5 for route in routes for x, _ in route)])
    return Laid(left, top, routes, grid.layer[: grid.boxes], width, bottoms[-1])


def _middle(x: float) -> float:
    """The middle of a cell."""
    return math.floor(x + SLACK) + 0.5


def _settle(grid: Grid) -> None:
    """The middles of cells that are nearest, as far as what stands to the left allows."""
    for row in grid.rows:
        for n, i in enumerate(row):
            least = grid.x[row[n - 1]] + grid.apart(row[n - 1], i) if n else -math.inf
            grid.x[i] = max(_middle(grid.x[i]), least)
    leftmost = min(grid.x[i] - grid.left(i) for i in range(len(grid.x)))
    grid.x = [x - leftmost for x in grid.x]


def _ends(grid: Grid) -> list[Point]:
    """Where each line begins and ends: in the middle of a box, if it is alone and comes from beside it."""
    coming = Counter(line.target for line in grid.lines)
    ends = []
    for line, way, (start, end) in zip(grid.lines, grid.ways, grid.ends(), strict=True):
        above = start if len(way) == 2 else grid.x[way[-2]]
        is_free = coming[line.target] == 1 and line.target_port not in grid.items[line.target].ins
        ends.append((start, grid.x[line.target] if is_free and _middle(end) != above else _middle(end)))
    return ends


def _wires(grid: Grid, ends: Sequence[Point]) -> list[dict[Port, Wire]]:
    """What is in the gap below every layer."""
    found: list[dict[Port, Wire]] = [{} for _ in grid.rows]
    for line, way, (start, end) in zip(grid.lines, grid.ways, ends, strict=True):
        xs = [start, *(grid.x[i] for i in way[1:-1]), end]
        for i, above, below in zip(way, xs, xs[1:], strict=False):
            wires = found[grid.layer[i]]
            wires.setdefault((line.source, line.source_port), (above, set()))[1].add(below)
    return found


def turns_of(wires: Mapping[Port, Wire]) -> dict[Port, list[Turn]]:
    """Where the lines of one gap turn, in rows from 0.

    A line from above turns off before another one takes its column below; where two wait for each other, one
    goes aside first.
    """
    taken = {x for above, below in wires.values() for x in (above, *below)}
    waiting = {port: wire for port, wire in wires.items() if wire[1] != {wire[0]}}
    waiting = dict(sorted(waiting.items(), key=lambda each: _rank(each[1])))
    rows: dict[int, list[tuple[float, float]]] = defaultdict(list)
    left: dict[float, int] = {}  # of every column, the row in which the line from above has turned off
    found: dict[Port, list[Turn]] = {port: [] for port in wires}
    while waiting:
        coming = {above: port for port, (above, _) in waiting.items()}
        blocked = {
            port: {coming[x] for x in below if x in coming} - {port} for port, (_, below) in waiting.items()
        }
        port = next((port for port in waiting if not blocked[port]), None)
        if port is not None:
            above, below = waiting.pop(port)
            least = max((left[x] + 1 for x in below if x in left), default=0)
            if found[port]:
                least = max(least, found[port][-1][0] + 1)
            row = _fit(rows, min(above, *below), max(above, *below), least)
            found[port].append((row, None))
        else:
            port = next(each for each in waiting if any(each in others for others in blocked.values()))
            above, below = waiting.pop(port)
            aside = next(x for n in count(1) for x in (above + n, above - n) if x > 0 and x not in taken)
            taken.add(aside)
            row = _fit(rows, min(above, aside), max(above, aside), 0)
            found[port].append((row, aside))
            waiting[port] = (aside, below)
        left[above] = row
    return found


def _rank(wire: Wire) -> float:
    """Of lines that go the same way, first the one that is ahead: so they do not cross."""
    above, below = wire
    return -above if sum(below) > above * len(below) else above


def _fit(rows: dict[int, list[tuple[float, float]]], low: float, high: float, least: int) -> int:
    """The first row, from ``least`` on, with room for a line across; it is taken."""
    row = next(n for n in count(least) if all(b + 1 < low or high + 1 < a for a, b in rows[n]))
    rows[row].append((low, high))
    return row


def _heights(
    grid: Grid, gaps: Sequence[Mapping[Port, list[Turn]]]
) -> tuple[list[float], list[float], list[float]]:
    """Tops and bottoms of the layers, and the first rows for turns; one is left for shapes."""
    boxes = [[grid.items[i] for i in row if i < grid.boxes] for row in grid.rows]
    tall = [max((item.height for item in row), default=0.0) for row in boxes]
    tops, bottoms, firsts, y = [], [], [], 0.0
    for row, high, under, gap in zip(boxes, tall, [*tall[1:], 0.0], gaps, strict=True):
        tops.append(y)
        bottoms.append(y + high)
        firsts.append(y + high + bool(high and under or any(item.right for item in row)))
        y = firsts[-1] + max((at + 1 for turns in gap.values() for at, _ in turns), default=0)
    return tops, bottoms, firsts


def _route(
    grid: Grid, number: int, ends: Point, top: Sequence[float],
    turning: tuple[Sequence[float], Sequence[Mapping[Port, list[Turn]]]],
) -> list[Point]:  # fmt: skip
    """The points of a line: down, across, down."""
    line, way, (firsts, gaps) = grid.lines[number], grid.ways[number], turning
    xs = [ends[0], *(grid.x[i] for i in way[1:-1]), ends[1]]
    points = [(xs[0], top[line.source] + grid.items[line.source].height)]
    for i, x, below in zip(way, xs, xs[1:], strict=False):
        layer = grid.layer[i]
        for row, column in gaps[layer][line.source, line.source_port]:
            y, end = firsts[layer] + row + 0.5, below if column is None else column
            points += [(x, y), (end, y)]
            x = end
    return plain([*points, (xs[-1], top[line.target])])
