"""Diagrams as text, read back character by character: boxes, texts, and where every line leads."""

import itertools
import math
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

import retia as rt
from nets.random_nets import nets
from retia.view.box_art import ASCII, WIDTHS, columns, drawn, measures
from retia.view.layering import Item, Line, plain
from retia.view.marks import Box, Frame, Scene
from retia.view.model import View, view
from retia.view.scene import scene
from retia.view.tracks import arrange_cells, turns_of
from retia.zoo.small import dense
from view.sketches import Read, overlap, within
from view.test_diagram import NETS, inception

Cell = tuple[int, int]

UP, DOWN, LEFT, RIGHT = (-1, 0), (1, 0), (0, -1), (0, 1)
ARMS = {
    "│": {UP, DOWN}, "─": {LEFT, RIGHT}, "┌": {DOWN, RIGHT}, "┐": {DOWN, LEFT}, "└": {UP, RIGHT},
    "┘": {UP, LEFT}, "├": {UP, DOWN, RIGHT}, "┤": {UP, DOWN, LEFT}, "┬": {LEFT, RIGHT, DOWN},
    "┴": {LEFT, RIGHT, UP}, "┼": {UP, DOWN, LEFT, RIGHT},
}  # fmt: skip


def sketched(net: rt.Net, texts: int = WIDTHS[0], **how: object) -> tuple[Scene, list[list[str]]]:
    """A net's scene on cells, and its characters, a cell each."""
    made = scene(view(net), measures=measures(texts), **how)
    return made, [cells(line, int(made.width)) for line in drawn(made)]


def cells(line: str, width: int = 0) -> list[str]:
    found: list[str] = []
    for each in line:
        wide = columns(each)
        if wide:
            found += [each, ""][:wide]
        else:
            found[-1] += each
    return found + [" "] * (width - len(found))


def area(mark: Box | Frame) -> tuple[float, float, float, float]:
    return mark.x, mark.y, mark.x + mark.width, mark.y + mark.height


def check(made: Scene, rows: list[list[str]]) -> dict[str, set[str]]:
    """Everything that a diagram promises a reader; answers which boxes feed each box."""
    boxes, frames = made.boxes, made.frames
    assert all(value == int(value) for mark in (*boxes, *frames) for value in area(mark))
    for one, two in itertools.combinations(map(area, boxes), 2):
        assert not overlap(one, two)
    for one, two in itertools.combinations(map(area, frames), 2):
        assert within(one, two) or within(two, one) or not overlap(one, two)
    for box, frame in itertools.product(map(area, boxes), map(area, frames)):
        assert within(box, frame) or not overlap(box, frame)
    inside: dict[Cell, str] = {}
    for box in boxes:
        x, y, right, bottom = map(int, area(box))
        inside.update({(row, column): box.part for row in range(y, bottom) for column in range(x, right)})
        assert "".join(rows[y][x:right]).strip("┌─┐╭╮╔═╗▼") == ""
        assert "".join(rows[bottom - 1][x:right]).strip("└─┘╰╯╚═╝┬╤") == ""
        said = ["".join(rows[row][x + 1 : right - 1]).strip() for row in range(y + 1, bottom - 1)]
        assert (
            " ".join(said).replace(" · ", " ").split()
            == f"{box.name} {box.label} {box.under}".replace(" · ", " ").split()
        )
        assert all({rows[row][x], rows[row][right - 1]} <= set("│║├") for row in range(y + 1, bottom - 1))
    known = set(inside)
    for frame in frames:
        start = int(frame.title_x)
        assert "".join(rows[int(frame.y)][start:]).startswith(frame.title)
        known |= {(int(frame.y), start + n) for n in range(columns(frame.title))}
        for behind in (0, 1) if frame.times > 1 else (0,):
            x, y, right, bottom = (int(v) + behind for v in area(frame))
            known |= {(row, column) for row in range(y, bottom) for column in (x, right - 1)}
            known |= {(row, column) for row in (y, bottom - 1) for column in range(x, right)}
    for box in (box for box in boxes if box.times > 1):
        x, y, right, bottom = (int(v) + 1 for v in area(box))
        known |= {(row, right - 1) for row in range(y, bottom)} | {(bottom - 1, n) for n in range(x, right)}
    for label in made.labels:
        row, start = int(label.y), int(label.x)
        written = {(row, start + n) for n in range(len(label.text))}
        assert "".join(rows[row][start : start + len(label.text)]) == label.text
        assert not written & known
        assert rows[row][start - 1] == " "
        assert rows[row][start - 2] in "│├┤┼"
        known |= written
    feeds: dict[str, set[str]] = {box.part: set() for box in boxes}
    for box in boxes:
        bottom, behind = int(box.y + box.height) - (box.times == 1), box.times > 1
        ends = [(bottom, n) for n in range(int(box.x), int(box.x + box.width) + behind)]
        for part in followed(ends, rows, inside, known):
            feeds[part].add(box.part)
    for frame in frames:  # what an operator gives to the net within
        x, y, right, _ = map(int, area(frame))
        followed([(y, n) for n in range(x, right)], rows, inside, known)
    assert all(rows[r][c] == " " or (r, c) in known for r, row in enumerate(rows) for c in range(len(row)))
    return feeds


def followed(ends: list[Cell], rows: list[list[str]], inside: dict[Cell, str], known: set[Cell]) -> set[str]:
    """The boxes that are reached by the lines that begin at some cells, by what is drawn alone."""
    ways = [((row, column), DOWN) for row, column in ends if rows[row][column] in "┬╤"]
    reached, seen = set(), set(ways)
    while ways:
        (row, column), (down, right) = ways.pop()
        at = row + down, column + right
        drawn_there, back = rows[at[0]][at[1]], (-down, -right)
        if drawn_there == "▼":
            assert (down, right) == DOWN
            reached.add(inside[at])
            continue
        assert at not in inside
        known.add(at)
        is_copy = drawn_there in "┬╤" and (down, right) == DOWN  # behind a frame
        arms = {UP, DOWN} if is_copy else ARMS[drawn_there]
        if back not in arms:  # behind the line that crosses
            assert drawn_there == "│"
            arms = {back, (down, right)}
        for arm in arms - {back}:
            if (at, arm) not in seen:
                seen.add((at, arm))
                ways.append((at, arm))
    return reached


def sources(seen: View) -> dict[str, set[str]]:
    """What feeds every layer and output, by the view alone."""

    def origin(around: str, end: tuple[str, str]) -> set[str]:
        name, port = end
        if name:
            part = seen.parts[f"{around}.{name}" if around else name]
            return origin(part.path, part.ends[port]) if part.kind == "group" else {part.path}
        if around == "":
            return {f"input {port}"}
        part = seen.parts[around]
        outer = around.rpartition(".")[0]
        return origin(outer, part.sources[port]) if port in part.sources else set()

    found: dict[str, set[str]] = {f"input {port.name}": set() for port in seen.inputs}
    for part in seen.layers:
        ends = part.sources.values() if part.path else [("", name) for name in part.inputs]
        found[part.path] = set().union(*(origin(part.path.rpartition(".")[0], end) for end in ends))
    root = seen.parts[""]
    for port in seen.outputs:
        found[f"output {port.name}"] = origin("", root.ends[port.name]) if root.ends else {""}
    return found


@st.composite
def graphs(draw: st.DrawFn) -> rt.Net:
    """Graphs with many skips, some of whose nodes are groups."""
    number = draw(st.integers(1, 25))
    nodes: dict[str, rt.Net] = {}
    edges = []
    for n in range(number):
        feeds = draw(st.lists(st.integers(-1, n - 1), min_size=1, max_size=4, unique=True))
        group = rt.Chain(rt.Tanh(), rt.Chain(rt.Sigmoid())) if n % 3 else rt.Graph(lambda x: rt.ReLU()(x) + x)
        nodes[f"n{n}"] = rt.Plus() if len(feeds) > 1 else group if draw(st.booleans()) else rt.ReLU()
        edges += [f"n{feed} -> n{n}" if feed >= 0 else f"input -> n{n}" for feed in feeds]
    return rt.Graph(nodes, *edges, input=3)


@given(net=graphs(), texts=st.sampled_from(WIDTHS))
def test_every_line_leads_from_its_source_to_its_target(net: rt.Net, texts: int) -> None:
    assert check(*sketched(net, texts, depth=9, unfold=True)) == sources(view(net))
    check(*sketched(net, texts, most=5))


@given(net=nets())
def test_so_it_does_in_random_nets(net: rt.Net) -> None:
    check(*sketched(net))
    assert check(*sketched(net, depth=9, unfold=True)) == sources(view(net))


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("depth", [None, 0, 1, 2])
@pytest.mark.parametrize("texts", [WIDTHS[0], WIDTHS[-1]])
def test_boxes_lines_and_texts_keep_apart(name: str, depth: int | None, texts: int) -> None:
    check(*sketched(NETS[name](), texts, depth=depth))


@pytest.mark.parametrize("name", NETS)
def test_every_layer_is_fed_by_what_feeds_it(name: str) -> None:
    net = NETS[name]()
    assert check(*sketched(net, depth=99, unfold=True)) == sources(view(net))


@st.composite
def boxes(draw: st.DrawFn) -> tuple[list[Item], list[Line]]:
    """Boxes of odd widths in which there is room for all lines, with ports or without."""
    number = draw(st.integers(1, 30))
    lines = [
        Line(draw(st.integers(0, target - 1)), draw(st.sampled_from("ab")), target, port)
        for target in range(1, number)
        for port in draw(st.lists(st.sampled_from("ab"), unique=True))
    ]
    items = []
    for n in range(number):
        least = max(sum(line.target == n for line in lines), 3)
        width = 2 * draw(st.integers(least, 20)) + 1
        ports = {"a": 2.5, "b": width - 2.5}
        ins = ports if draw(st.booleans()) else {}
        items.append(Item(width, draw(st.integers(3, 5)), 0.0, ins, ports, 0, draw(st.integers(0, 12)) + 0.5))
    return items, lines


@given(
    starts=st.permutations(range(1, 20)), ends=st.permutations(range(1, 20)), number=st.integers(1, 12),
    branches=st.lists(st.integers(1, 3), min_size=12, max_size=12),
)  # fmt: skip
def test_lines_may_change_places(
    starts: list[int], ends: list[int], number: int, branches: list[int]
) -> None:
    wires = {}
    for n in range(number):
        some, ends = ends[: branches[n]], ends[branches[n] :]
        if some:
            wires[n, ""] = (starts[n] + 0.5, {end + 0.5 for end in some})
    found = turns_of(wires)
    bottom = max((row + 1 for turns in found.values() for row, _ in turns), default=0)
    passed: dict[Cell, dict[object, set[str]]] = {}
    for port, (above, below) in wires.items():
        for end in below:
            points = [(above, 0.0)]
            for row, column in found[port]:
                points += [(points[-1][0], row + 0.5), (end if column is None else column, row + 0.5)]
            for way in itertools.pairwise(plain([*points, (end, float(bottom))])):
                for cell, how in through(*way) if way[0] != way[1] else ():
                    passed.setdefault(cell, {}).setdefault(port, set()).add(how)
            assert points[-1][0] == end
    check_passed(passed)


def check_passed(passed: Mapping[Cell, Mapping[object, set[str]]]) -> None:
    """Lines meet only at right angles, and those that turn are a cell apart."""
    for (row, column), lines in passed.items():
        assert len(lines) == 1 or sorted(map(sorted, lines.values())) == [["across"], ["down"]]
        for port, hows in passed.get((row, column + 1), {}).items():
            assert port in lines or hows == {"down"} or {"down"} in lines.values()


@given(graph=boxes())
def test_lines_of_different_ports_share_no_cell_but_where_they_cross(
    graph: tuple[list[Item], list[Line]],
) -> None:
    items, lines = graph
    laid = arrange_cells(items, lines)
    areas = [(x, y, x + i.width, y + i.height) for i, x, y in zip(items, laid.left, laid.top, strict=True)]
    assert not any(overlap(one, two) for one, two in itertools.combinations(areas, 2))
    passed: dict[Cell, dict[tuple[int, str], set[str]]] = {}
    for line, route in zip(lines, laid.routes, strict=True):
        start, end = items[line.source], items[line.target]
        assert route[0] == (areas[line.source][0] + start.outs[line.source_port], areas[line.source][3])
        assert route[-1][1] == areas[line.target][1]
        assert areas[line.target][0] + 1 < route[-1][0] < areas[line.target][2] - 1
        if end.ins:
            assert route[-1][0] == areas[line.target][0] + end.ins[line.target_port]
        for way in itertools.pairwise(route):
            for cell, how in through(*way):
                passed.setdefault(cell, {}).setdefault((line.source, line.source_port), set()).add(how)
    for row, column in passed:
        assert not any(x <= column < right and y <= row < bottom for x, y, right, bottom in areas)
    check_passed(passed)


def through(start: tuple[float, float], end: tuple[float, float]) -> list[tuple[Cell, str]]:
    """The cells of a straight way, and how it passes them."""
    (x1, y1), (x2, y2) = start, end
    assert x1 % 1 == x2 % 1 == 0.5
    assert (x1 == x2) != (y1 == y2)
    if x1 == x2:
        assert y1 < y2
        rows = range(math.floor(y1), math.ceil(y2))
        return [((row, int(x1)), "down" if y1 <= row and row + 1 <= y2 else "turn") for row in rows]
    low, high = sorted((int(x1), int(x2)))
    assert y1 % 1 == 0.5
    return [((int(y1), n), "across" if low < n < high else "turn") for n in range(low, high + 1)]


def test_a_chain_runs_down_with_names_counts_and_shapes() -> None:
    net = rt.Chain(rt.Linear(30), first=rt.Tanh(), second=rt.Linear(3), input=2)
    assert net.diagram().text(80, ascii=False) == dedent("""\
        Chain, 3 layers, 183 parameters

                 ╭───────╮
                 │ input │
                 ╰───┬───╯
                     │ (2)
          ┌──────────▼──────────┐
          │ 0  Linear(30) · 90  │
          └──────────┬──────────┘
                     │ (30)
              ┌──────▼──────┐
              │ first  Tanh │
              └──────┬──────┘
                     │ (30)
        ┌────────────▼────────────┐
        │ second  Linear(3) · 93  │
        └────────────┬────────────┘
                     │ (3)
                ╭────▼────╮
                │ output  │
                ╰─────────╯""")


def test_what_is_folded_stands_once_with_its_number_and_a_copy_behind() -> None:
    net = rt.Chain(*[rt.Chain(rt.Linear(8), rt.ReLU())] * 12, input=8)
    closed = net.diagram(depth=1).text(80, ascii=False).splitlines()
    assert [line.strip() for line in closed[6:10]] == [
        "┌─────────────────────▼─────────────────────┐",
        "│ ×12  0 to 11  Chain · 2 layers · 72 each  │┐",
        "└───────────────────────────────────────────┘│",
        "└────────────────────┬──────────────────────┘",
    ]
    opened = net.diagram().text(80, ascii=False)
    assert "─ ×12  0 to 11  Chain · 72 each ─" in opened
    assert opened.count("Linear(8)") == 1
    assert net.diagram(unfold=True).text(80).count("Linear(8)") == 12


def test_shared_layers_have_double_lines_and_their_name() -> None:
    shared = rt.Shared("twin", rt.Linear(3))
    net = rt.Graph(lambda a, b: shared(a) - shared(b), input={"a": 2, "b": 2})
    art = net.diagram().text(100, ascii=False)
    assert art.count("shared: twin") == art.count("╔") == art.count("╤") == 2
    assert net.diagram().text(100, ascii=True).count("==v==") == 2


@pytest.mark.parametrize("name", NETS)
def test_what_is_printed_has_the_boxes_and_the_shapes_of_the_picture(name: str) -> None:
    made = NETS[name]().diagram(depth=1)
    art, seen = made.text(10_000, ascii=False), Read(made.svg)
    assert art.count("╮") + art.count("┐") + art.count("╗") >= len(seen.boxes)
    shapes = Counter(text for text in seen.words if re.fullmatch(r"\(.*\)", text))
    assert Counter(re.findall(r"[│├┤┼] (\([^()]*\))(?= |$)", art, re.M)) == shapes


@given(net=st.one_of(nets(), graphs()), width=st.integers(60, 140), ascii=st.booleans())
def test_it_is_never_wider_than_it_may_be(net: rt.Net, width: int, ascii: bool) -> None:
    text = net.diagram(depth=9).text(width, ascii=ascii)
    assert max(columns(line) for line in text.splitlines()) <= width


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_net_is_wider_than_the_terminal(name: str, width: int) -> None:
    lines = NETS[name]().diagram().text(width).splitlines()
    assert max(map(columns, lines)) <= width
    assert all(line == line.rstrip() for line in lines)


def test_long_texts_are_cut_before_levels_are_closed_and_a_note_says_so() -> None:
    block = rt.Graph(lambda x: rt.Concat(0)(*[rt.Conv2d(16, 3, padding=1, stride=1)(x) for _ in range(3)]))
    net = rt.Chain(block, rt.ReLU(), input=(3, 8, 8))
    wide, lines, cut, closed = (net.diagram().text(width, ascii=False) for width in (140, 100, 78, 60))
    assert wide.count("Conv2d(16, 3, padding=1) · 448") == 3
    assert lines.count("Conv2d(16, 3, padding=1) ") == 3
    assert cut.count("Conv2d(16, 3,...") == 3
    assert "takes" not in wide + lines + cut
    assert "Graph · 4 layers · 1,344" in closed
    needed = re.search(
        r"Opened 2 levels deep, it takes (\d+) columns, more than the 60 here", " ".join(closed.split())
    )
    assert needed
    assert "takes" not in net.diagram().text(int(needed[1]))
    assert "takes" in net.diagram().text(int(needed[1]) - 1)


def test_where_not_even_the_ports_have_room_a_sentence_says_so() -> None:
    edges = [f"port{n} -> all" for n in range(20)]
    net = rt.Graph({"all": rt.Concat(0)}, *edges, input={f"port{n}": 2 for n in range(20)})
    title, _, *said = net.diagram().text(60).splitlines()
    assert title == "Graph, 1 layer, 0 parameters"
    assert re.fullmatch(
        r"Even with all groups closed, it takes (\d+) columns, more than the 60 here: \.text\(\1\), "
        r'or \.save\("net\.svg"\)\.',
        " ".join(said),
    )


@pytest.mark.parametrize("name", NETS)
def test_ascii_draws_the_same_picture(name: str) -> None:
    made = NETS[name]().diagram()
    art, plain = made.text(120, ascii=False), made.text(120, ascii=True)
    assert plain.isascii()
    for line, other in zip(art.splitlines(), plain.splitlines(), strict=True):
        for one, two in zip(cells(line), cells(other), strict=True):
            said = one.translate(ASCII)  # nothing, in the second cell of a wide character
            assert two == (said if said and said.isascii() else "?")


@pytest.mark.parametrize(
    ("encoding", "boxes"), [("utf-8", True), ("ascii", False), ("latin-1", False), ("cp1252", False)]
)
def test_print_writes_what_the_stream_can_take(encoding: str, boxes: bool) -> None:
    code = (
        "import retia as rt; block = rt.Chain(rt.Linear(8), rt.ReLU());"
        "print(rt.Chain({'日本': block, 'é': block, '\\x1b[2J': rt.ReLU()}, input=8).diagram(depth=1))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )  # fmt: skip
    text = done.stdout.decode(encoding)
    assert done.stderr == b""
    assert ("┌" in text) == boxes
    assert ("日本" in text) == boxes
    assert max(map(columns, text.splitlines())) <= 80


def test_the_width_is_the_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    made = inception().diagram()
    monkeypatch.setenv("COLUMNS", "120")
    assert str(made) == made.text(120)
    monkeypatch.setenv("COLUMNS", "10")
    assert str(made) == made.text(60) == made.text(1)
    with pytest.raises(rt.ArgumentError, match=r"text: width is a whole number, or None; got 'wide'\."):
        made.text("wide")


def test_wide_characters_take_two_cells_and_accents_none() -> None:
    net = rt.Chain({"層" * 3: rt.ReLU(), "e\u0301te\u0301": rt.Tanh(), "\x1b[2J": rt.ReLU()}, input=3)
    lines = net.diagram().text(80, ascii=False).splitlines()
    for n, line in enumerate(lines):
        for said in ("層層層  ReLU", "e\u0301te\u0301  Tanh", "?[2J  ReLU"):
            if said in line:
                assert columns(line) == columns(lines[n - 1]) == columns(lines[n + 1])
                lines[n] = ""
    assert lines.count("") == 4


def test_units_and_neurons_are_told_in_words() -> None:
    net = dense([784, 200, 10]).init(seed=0)
    assert net.diagram(view="units").text(80).splitlines() == [
        "Chain, 5 layers, 159,010 parameters", "784 units: input, Flatten", "200 units: Linear(200), ReLU",
        "10 units: Linear(10), Softmax",
    ]  # fmt: skip
    small = rt.Chain(rt.Linear(2), rt.Tanh(), input=3).init(seed=1)
    made = small.diagram(view="neuron", x=[0.5, -1.0, 2.0])
    title, *words = made.text(60).splitlines()
    assert title == "Unit 0 of 0, Linear(2)"
    assert " ".join(words) == Read(made.svg).root.findtext("{http://www.w3.org/2000/svg}desc")


def test_the_gallery_shows_what_is_printed() -> None:
    page = (Path(__file__).parents[2] / "docs" / "gallery.md").read_text(encoding="utf8")
    names: dict[str, object] = {"rt": rt}
    exec(re.findall(r"```python\n(.*?)```", page, re.S)[1], names)
    shown = re.search(r"```text\n(.*?)```", page, re.S)
    assert shown
    assert shown[1] == f"{names['net'].diagram().text(80, ascii=False)}\n"
