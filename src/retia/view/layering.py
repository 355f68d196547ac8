"""Boxes and lines into layers, from top to bottom: a layered layout that knows nothing of nets.

Every line goes through the gaps between layers and, where it passes one, through a place of its own there,
so that none crosses a box. The search for few crossings is bounded: large ones take time in proportion.

Source: Sugiyama, Tagawa and Toda 1981 (layers, dummies, barycentres); Gansner, Koutsofios, North and Vo 1993
(lines as straight as boxes allow); Barth, Juenger and Mutzel 2002 (counting crossings); Ayer et al. 1955
(adjacent violators pooled: the places in one layer that are nearest to the wanted ones).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

Point: TypeAlias = "tuple[float, float]"

GAP = 26.0
"""Between two layers, at least; where lines go far to the side it is more."""

PORT_GAP = 16.0
"""The same above and below layers of nothing but ports, which have no height."""

WIDEST_GAP = 90.0
FIRMNESS = 1e4
"""How much more a box's wish counts than that of a line that passes by."""

WORK = 60_000
"""Places times sweeps that the search for few crossings may take."""


@dataclass(frozen=True)
class Spacing:
    """How far things stand apart.

    Attributes:
        beside: between two boxes of one layer.
        along: beside a line that passes a layer.
        line: how wide such a line is.
        corner: from the side of a box to the first place where a line may come in.
        ends: between two of these, at most.
        bundled: whether lines of one port are one line as far as they go together.
    """

    beside: float = 22.0
    along: float = 12.0
    line: float = 0.0
    corner: float = 8.0
    ends: float = 14.0
    bundled: bool = False


@dataclass(frozen=True)
class Item:
    """A box.

    Attributes:
        width: of the box. height: of it.
        reach: what is needed to each side of its middle, where that is more than half the width.
        right: the same of the right side alone.
        ins: where lines come in, from the left, by port; without it, anywhere on its top.
        outs: where they leave, from the left, by port; without it, the middle.
        pin: -1 in the first layer, 1 in the last.
    """

    width: float
    height: float
    reach: float = 0.0
    ins: Mapping[str, float] = field(default_factory=dict)
    outs: Mapping[str, float] = field(default_factory=dict)
    pin: int = 0
    right: float = 0.0


@dataclass(frozen=True)
class Line:
    """A line between two boxes, by their numbers, with the ports that it joins."""

    source: int
    source_port: str
    target: int
    target_port: str


@dataclass(frozen=True)
class Laid:
    """Where everything stands.

    Attributes:
        left: of every box. top: of every box.
        routes: the points of every line: between two above each other it is straight, else a curve.
        layers: the layer of every box.
        width: of all. height: of all.
    """

    left: list[float]
    top: list[float]
    routes: list[list[Point]]
    layers: list[int]
    width: float
    height: float


def arrange(items: Sequence[Item], lines: Sequence[Line]) -> Laid:
    """Boxes in layers, each below what feeds it.

    Args:
        items: the boxes.
        lines: between them, without circles.
    Example:
        >>> laid = arrange([Item(40, 20), Item(40, 20)], [Line(0, "", 1, "")])
        >>> laid.left, laid.top, laid.routes
        ([0.0, 0.0], [0.0, 46.0], [[(20.0, 20.0), (20.0, 46.0)]])
    """
    if not items:
        return Laid([], [], [], [], 0.0, 0.0)
    grid = Grid(items, lines, layers_of(items, lines))
    grid.order()
    grid.spread()
    return grid.laid()


def layers_of(items: Sequence[Item], lines: Sequence[Line]) -> list[int]:
    """The layer of every box: the longest way to it, and what nothing feeds right above what it feeds."""
    after: list[list[int]] = [[] for _ in items]
    waits = [0] * len(items)
    for line in lines:
        after[line.source].append(line.target)
        waits[line.target] += 1
    fed = [count > 0 for count in waits]
    pinned = any(item.pin < 0 for item in items)
    layer = [0 if item.pin < 0 or not pinned else 1 for item in items]
    ready, order = [i for i, count in enumerate(waits) if not count], []
    while ready:
        i = ready.pop()
        order.append(i)
        for j in after[i]:
            layer[j] = max(layer[j], layer[i] + 1)
            waits[j] -= 1
            if not waits[j]:
                ready.append(j)
    for i in reversed(order):
        if not fed[i] and after[i] and items[i].pin >= 0:
            layer[i] = min(layer[j] for j in after[i]) - 1
    last = max([layer[i] for i, item in enumerate(items) if item.pin <= 0], default=0)
    found = [max(last + 1, layer[i]) if item.pin > 0 else layer[i] for i, item in enumerate(items)]
    used = {each: n for n, each in enumerate(sorted(set(found)))}
    return [used[each] for each in found]


@dataclass
class Grid:
    """The boxes and the places where lines pass layers, numbered after them."""

    items: Sequence[Item]
    lines: Sequence[Line]
    layer: list[int]
    spacing: Spacing = field(default_factory=Spacing)

    def __post_init__(self) -> None:
        self.layer = list(self.layer)
        self.boxes = len(self.items)
        self.ways: list[list[int]] = []  # of every line, what it goes through
        self.runs: dict[object, list[int]] = {}  # of every line or bundle, the places where it passes
        for number, line in enumerate(self.lines):
            key = (line.source, line.source_port) if self.spacing.bundled else number
            run = self.runs.setdefault(key, [])
            passed = range(self.layer[line.source] + 1, self.layer[line.target])
            for at in passed[len(run) :]:
                run.append(len(self.layer))
                self.layer.append(at)
            self.ways.append([line.source, *run[: len(passed)], line.target])
        number = len(self.layer)
        self.above: list[list[int]] = [[] for _ in range(number)]
        self.below: list[list[int]] = [[] for _ in range(number)]
        for way in self.ways:
            for one, two in zip(way, way[1:], strict=False):
                self.below[one].append(two)
                self.above[two].append(one)
        self.shift: dict[tuple[int, int], float] = defaultdict(float)  # from a box's middle to a line's end
        for line, way in zip(self.lines, self.ways, strict=True):
            start, end = self.items[line.source], self.items[line.target]
            if line.source_port in start.outs:
                self.shift[line.source, way[1]] = start.outs[line.source_port] - start.width / 2
            if line.target_port in end.ins:
                self.shift[line.target, way[-2]] = end.ins[line.target_port] - end.width / 2
        self.rows: list[list[int]] = [[] for _ in range(max(self.layer) + 1)]
        self.x = [0.0] * number
        self._begin()

    # The order in each layer ----------------------------------------------------------------------

    def _begin(self) -> None:
        """An order in which what hangs together stands together."""
        seen = [False] * len(self.layer)
        starts = sorted(range(self.boxes), key=lambda i: (self.layer[i], i))
        for start in starts:
            stack = [start]
            while stack:
                i = stack.pop()
                if not seen[i]:
                    seen[i] = True
                    self.rows[self.layer[i]].append(i)
                    stack += reversed(self.below[i])

    def order(self) -> None:
        """Few crossings, by the mean place of neighbours, down and up in turns."""
        if all(len(row) == 1 for row in self.rows):
            return
        best, fewest = [list(row) for row in self.rows], self._crossings()
        for sweep in range(max(2, min(12, WORK // len(self.layer)))):
            if not fewest:
                break
            down = sweep % 2 == 0
            neighbours = self.above if down else self.below
            rows = self.rows if down else self.rows[::-1]
            for before, row in zip(rows, rows[1:], strict=False):
                place = {i: n for n, i in enumerate(before)}
                self._sort(row, neighbours, place)
            crossings = self._crossings()
            if crossings < fewest:
                best, fewest = [list(row) for row in self.rows], crossings
        self.rows = best

    def _sort(self, row: list[int], neighbours: list[list[int]], place: Mapping[int, int]) -> None:
        wanted = {}
        for n, i in enumerate(row):
            near = [place[j] + self.shift.get((j, i), 0.0) * 1e-3 for j in neighbours[i]]
            wanted[i] = sum(near) / len(near) if near else float(n)
        row.sort(key=wanted.__getitem__)

    def _crossings(self) -> int:
        count = 0
        for row, under in zip(self.rows, self.rows[1:], strict=False):
            place = {i: n for n, i in enumerate(under)}
            ends: list[int] = []
            for i in row:
                reached = sorted(place[j] for j in self.below[i])
                count += sum(len(ends) - bisect_left(ends, end + 1) for end in reached)
                for end in reached:
                    insort(ends, end)
        return count

    # Places ---------------------------------------------------------------------------------------

    def spread(self) -> None:
        """Places across: what is joined stands above each other, as far as boxes leave room."""
        for row in self.rows:
            self._place(row, [0.0] * len(row))
        sweeps = max(2, min(10, WORK // len(self.layer)))
        for sweep in range(sweeps):
            down = sweep % 2 == 0
            for row in self.rows if down else reversed(self.rows):
                near = self.above if down else self.below
                self._place(row, [self._wish(i, near[i] or (self.above[i] or self.below[i])) for i in row])
        for row in self.rows:
            self._place(row, [self._wish(i, [*self.above[i], *self.below[i]]) for i in row])
        for row in self.rows:
            self._place(row, [self._wish(i, self.above[i] or self.below[i]) for i in row])
        self._straighten()

    def _wish(self, i: int, near: Iterable[int]) -> float:
        """Below or above its neighbours; boxes look at boxes, lines that pass at such lines."""
        is_box = i < self.boxes
        same = [j for j in near if (j < self.boxes) == is_box] or list(near)
        if not same:
            return self.x[i]
        shift = self.shift
        return sum(self.x[j] + shift.get((j, i), 0.0) - shift.get((i, j), 0.0) for j in same) / len(same)

    def left(self, i: int) -> float:
        """What is needed from its middle to the left."""
        return max(self.items[i].width / 2, self.items[i].reach) if i < self.boxes else self.spacing.line / 2

    def right(self, i: int) -> float:
        """The same to the right."""
        return max(self.left(i), self.items[i].right) if i < self.boxes else self.spacing.line / 2

    def apart(self, one: int, two: int) -> float:
        """Between the middles of two neighbours, at least."""
        are_boxes = one < self.boxes and two < self.boxes
        return self.right(one) + self.left(two) + (self.spacing.beside if are_boxes else self.spacing.along)

    def _place(self, row: list[int], wishes: list[float]) -> None:
        """The places nearest to what is wanted, in this order and apart."""
        if len(row) == 1:
            self.x[row[0]] = wishes[0]
            return
        at = [0.0]
        for one, two in zip(row, row[1:], strict=False):
            at.append(at[-1] + self.apart(one, two))
        weights = [FIRMNESS if i < self.boxes else 1.0 for i in row]
        for i, place in zip(
            row, pooled([w - a for w, a in zip(wishes, at, strict=True)], weights), strict=True
        ):
            self.x[i] = place
        for i, offset in zip(row, at, strict=True):
            self.x[i] += offset

    def _straighten(self) -> None:
        """Lines that pass several layers go straight down as far as there is room."""
        beside: dict[int, tuple[int | None, int | None]] = {}
        for row in self.rows:
            for n, i in enumerate(row):
                if i >= self.boxes:
                    beside[i] = (row[n - 1] if n else None, row[n + 1] if n + 1 < len(row) else None)
        for passed in self.runs.values():
            run: list[int] = []
            low, high = float("-inf"), float("inf")
            for i in passed:
                left, right = beside[i]
                least = float("-inf") if left is None else self.x[left] + self.apart(left, i)
                most = float("inf") if right is None else self.x[right] - self.apart(i, right)
                if run and max(low, least) > min(high, most):
                    self._align(run, low, high)
                    run, low, high = [], float("-inf"), float("inf")
                run.append(i)
                low, high = max(low, least), min(high, most)
            self._align(run, low, high)

    def _align(self, run: list[int], low: float, high: float) -> None:
        if run and low <= high:
            wanted = sorted(self.x[i] for i in run)[len(run) // 2]
            for i in run:
                self.x[i] = min(max(wanted, low), high)

    # The result -----------------------------------------------------------------------------------

    def laid(self) -> Laid:
        """Places, heights of the gaps, and the lines' points."""
        leftmost = min(self.x[i] - self.left(i) for i in range(len(self.x)))
        self.x = [x - leftmost for x in self.x]
        ends = self.ends()
        tops, bottoms = self._heights(ends)
        left = [self.x[i] - item.width / 2 for i, item in enumerate(self.items)]
        top = []
        for i, item in enumerate(self.items):
            room = bottoms[self.layer[i]] - tops[self.layer[i]]
            top.append(tops[self.layer[i]] + (room - item.height) / 2)
        routes = []
        for number, way in enumerate(self.ways):
            start, end = ends[number]
            points = [(start, top[way[0]] + self.items[way[0]].height), (start, bottoms[self.layer[way[0]]])]
            for i in way[1:-1]:
                points += [(self.x[i], tops[self.layer[i]]), (self.x[i], bottoms[self.layer[i]])]
            points += [(end, tops[self.layer[way[-1]]]), (end, top[way[-1]])]
            routes.append(plain(points))
        width = max(self.x[i] + self.right(i) for i in range(len(self.x)))
        return Laid(left, top, routes, self.layer[: self.boxes], width, bottoms[-1])

    def _heights(self, ends: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
        tall = [max([self.items[i].height for i in row if i < self.boxes], default=0.0) for row in self.rows]
        aside = [0.0] * len(self.rows)
        for way, (start, end) in zip(self.ways, ends, strict=True):
            xs = [start, *(self.x[i] for i in way[1:-1]), end]
            for n, (one, two) in enumerate(zip(xs, xs[1:], strict=False)):
                at = self.layer[way[n]]
                aside[at] = max(aside[at], abs(two - one))
        tops, bottoms, y = [], [], 0.0
        for height, under, far in zip(tall, [*tall[1:], 0.0], aside, strict=True):
            tops.append(y)
            bottoms.append(y + height)
            gap = GAP if height and under else PORT_GAP
            y += height + min(max(gap + far / 12, far / 8), WIDEST_GAP)
        return tops, bottoms

    def ends(self) -> list[tuple[float, float]]:
        """Where each line leaves its box and where it comes in."""
        into: dict[int, list[int]] = defaultdict(list)
        starts, ends = [], []
        for number, line in enumerate(self.lines):
            start, end = self.items[line.source], self.items[line.target]
            middle = start.width / 2
            starts.append(self.x[line.source] + (start.outs.get(line.source_port, middle) - middle))
            middle = end.width / 2
            ends.append(self.x[line.target] + (end.ins.get(line.target_port, middle) - middle))
            if line.target_port not in end.ins:
                into[line.target].append(number)
        for box, numbers in into.items():
            half = max(self.items[box].width / 2 - self.spacing.corner, 0.0)
            came = {n: starts[n] if len(self.ways[n]) == 2 else self.x[self.ways[n][-2]] for n in numbers}
            numbers.sort(key=came.__getitem__)
            apart = min(self.spacing.ends, 2 * half / max(len(numbers) - 1, 1))
            shifts = [apart * n for n in range(len(numbers))]
            wanted = [min(max(came[n] - self.x[box], -half), half) for n in numbers]
            places = pooled([w - s for w, s in zip(wanted, shifts, strict=True)], [1.0] * len(numbers))
            slack = 2 * half - shifts[-1]
            for n, place, shift in zip(numbers, places, shifts, strict=True):
                ends[n] = self.x[box] + min(max(place, -half), -half + slack) + shift
        return list(zip(starts, ends, strict=True))


def pooled(wanted: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The numbers in rising order that are nearest to the wanted ones, by weighted squares.

    Example:
        >>> pooled([3.0, 1.0, 5.0], [1.0, 1.0, 1.0])
        [2.0, 2.0, 5.0]
    """
    blocks: list[tuple[float, float, int]] = []  # mean, weight, number
    for value, weight in zip(wanted, weights, strict=True):
        count = 1
        while blocks and blocks[-1][0] > value:
            mean, heavy, number = blocks.pop()
            value = (mean * heavy + value * weight) / (heavy + weight)
            weight, count = heavy + weight, count + number
        blocks.append((value, weight, count))
    return [mean for mean, _, number in blocks for _ in range(number)]


def plain(points: Iterable[Point]) -> list[Point]:
    """The points without those that repeat or lie on the straight way between two others."""
    kept: list[Point] = []
    for point in points:
        if kept and abs(kept[-1][0] - point[0]) < 0.05 and abs(kept[-1][1] - point[1]) < 0.05:
            continue
        if len(kept) > 1 and abs(kept[-2][0] - point[0]) < 0.05 and abs(kept[-1][0] - point[0]) < 0.05:
            kept.pop()
        kept.append(point)
    return kept
