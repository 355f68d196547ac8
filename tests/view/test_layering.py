"""Layered layouts of random graphs: what a reader must be able to rely on, by geometry."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import isotonic_regression

from retia.view.layering import Grid, Item, Line, arrange, layers_of, pooled
from retia.view.svg import path_of
from retia.view.wrapping import wrapped
from view.sketches import crosses, overlap, sampled


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Item], list[Line]]:
    """Boxes of all sizes, with ports or without, and lines from earlier to later ones."""
    number = draw(st.integers(1, 40))
    sizes = st.integers(10, 220)
    items = []
    for _ in range(number):
        width, height = draw(sizes), draw(st.integers(10, 120))
        ports = {"a": width * 0.2, "b": width * 0.9} if draw(st.booleans()) else {}
        items.append(Item(width, height, draw(st.integers(0, 150)), ports, ports))
    lines = set()
    for target in range(1, number):
        for _ in range(draw(st.integers(0, 3))):
            source = draw(st.integers(0, target - 1))
            lines.add(Line(source, draw(st.sampled_from("ab")), target, draw(st.sampled_from("ab"))))
    return items, sorted(lines, key=str)


@given(graph=graphs(), columns=st.booleans())
def test_boxes_do_not_overlap_and_no_line_crosses_one(
    graph: tuple[list[Item], list[Line]], columns: bool
) -> None:
    items, lines = graph
    laid = arrange(items, lines)
    if columns:
        laid = wrapped(items, lines, laid, 100)
    boxes = [
        (x, y, x + item.width, y + item.height) for item, x, y in zip(items, laid.left, laid.top, strict=True)
    ]
    assert not any(overlap(one, two) for one, two in itertools.combinations(boxes, 2))
    for line, route in zip(lines, laid.routes, strict=True):
        points = sampled(path_of(route))
        assert not any(crosses(points, box) for box in boxes)
        assert points[0][1] == pytest.approx(boxes[line.source][3], abs=0.1)
        assert points[-1][1] == pytest.approx(boxes[line.target][1], abs=0.1)
        assert boxes[line.source][0] - 0.1 <= points[0][0] <= boxes[line.source][2] + 0.1
        assert boxes[line.target][0] - 0.1 <= points[-1][0] <= boxes[line.target][2] + 0.1
        assert all(-0.1 <= x <= laid.width + 30 and -0.1 <= y <= laid.height + 0.1 for x, y in points)
    assert all(x >= -0.01 and x + i.width <= laid.width + 0.01 for x, i in zip(laid.left, items, strict=True))


@given(graph=graphs())
def test_what_is_fed_stands_in_a_later_layer(graph: tuple[list[Item], list[Line]]) -> None:
    items, lines = graph
    layers = layers_of(items, lines)
    assert all(layers[line.source] < layers[line.target] for line in lines)
    assert set(layers) == set(range(max(layers) + 1))


@given(graph=graphs())
def test_crossings_are_counted_as_pairs_of_lines_show(graph: tuple[list[Item], list[Line]]) -> None:
    items, lines = graph
    grid = Grid(items, lines, layers_of(items, lines))
    before = grid._crossings()
    place = {i: n for row in grid.rows for n, i in enumerate(row)}
    pairs = [(place[i], place[j]) for row in grid.rows for i in row for j in grid.below[i]]
    at = [grid.layer[i] for row in grid.rows for i in row for _ in grid.below[i]]
    found = sum(
        layer == other and (a - c) * (b - d) < 0
        for (layer, (a, b)), (other, (c, d)) in itertools.combinations(zip(at, pairs, strict=True), 2)
    )
    assert before == found
    grid.order()
    assert grid._crossings() <= before


@given(
    wanted=st.lists(st.integers(-100, 100), min_size=1, max_size=20),
    weights=st.lists(st.integers(1, 10), min_size=20, max_size=20),
)
def test_pooled_numbers_are_the_isotonic_regression(wanted: list[float], weights: list[float]) -> None:
    weights = weights[: len(wanted)]
    ours = pooled(wanted, weights)
    theirs = isotonic_regression(np.array(wanted, float), sample_weight=np.array(weights, float))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_a_row_of_boxes_is_straight_and_a_skip_beside_it_too() -> None:
    items = [Item(60 + 40 * (n % 3), 30) for n in range(8)]
    lines = [Line(n, "", n + 1, "") for n in range(7)] + [Line(1, "", 6, "")]
    laid = arrange(items, lines)
    middles = {round(x + item.width / 2, 1) for x, item in zip(laid.left, items, strict=True)}
    assert len(middles) == 1
    assert all(len(route) == 2 for route in laid.routes[:-1])
    assert len({round(x, 1) for x, _ in laid.routes[-1][1:-1]}) <= 2


def test_two_rows_that_meet_have_no_crossing() -> None:
    items = [Item(50, 20)] * 6
    ends = [(0, 1), (0, 2), (1, 4), (2, 3), (3, 5), (4, 5)]
    grid = Grid(
        items, [Line(a, "", b, "") for a, b in ends], layers_of(items, [Line(a, "", b, "") for a, b in ends])
    )
    grid.order()
    assert grid._crossings() == 0
