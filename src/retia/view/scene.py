"""What a diagram of layers shows, and where: boxes, frames around groups, lines between them.

It reads the view model, and gives marks with places; ``paint`` turns these into SVG, ``box_art`` into text.
How large they are is a matter of its measures. A group is laid out by itself, and stands in the one around it
as a box whose ports are where its lines go in and out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from retia.view.folding import Entry, entries
from retia.view.layering import Item, Line, Point
from retia.view.marks import Edge, Frame, Label, Placed, Scene
from retia.view.measures import PIXELS, Measures
from retia.view.model import End, Held, Part, PortFacts, View, number, show_sizes, total

MOST = 300
"""Boxes of one group; of more, those in the middle become one."""

PLAIN = ("Chain", "Graph", "At")
"""Groups that do nothing but hold their parts."""

FEW = 50
"""Boxes that a diagram has at most where its depth is left open."""


@dataclass(frozen=True)
class _Group:
    """Entries that are laid out together, what feeds each part of them, and the ports around."""

    path: str
    entries: tuple[Entry, ...]
    sources: Mapping[str, Mapping[str, End]]
    ends: Mapping[str, End]
    ins: tuple[str, ...]
    ports: Mapping[str, PortFacts] = field(default_factory=dict)
    results: Mapping[str, PortFacts] = field(default_factory=dict)


def scene(
    view: View,
    *,
    depth: int | None = None,
    unfold: bool = False,
    most: int = MOST,
    measures: Measures = PIXELS,
) -> Scene:
    """The diagram of a net.

    Args:
        view: of the net.
        depth: levels of groups that are opened; None for as many as 50 boxes allow.
        unfold: draw equal blocks in a row each.
        most: boxes of one group; of more, those in the middle become one that tells their number.
        measures: how large things are; in pixels where they are left out.
    Example:
        >>> import retia as rt
        >>> from retia.view.model import view
        >>> made = scene(view(rt.Chain(rt.Linear(30), rt.Tanh(), input=2)))
        >>> [(box.label, box.under) for box in made.boxes]
        [('Linear(30)', '90'), ('Tanh', ''), ('input', ''), ('output', '')]
    """
    maker = _Maker(view, not unfold, most, measures)
    whole = maker.whole(deepest(view, unfold=unfold, most=most) if depth is None else depth)
    return Scene(
        whole.width, whole.height, tuple(whole.boxes), tuple(whole.frames), tuple(whole.edges),
        tuple(whole.labels),
    )  # fmt: skip


def deepest(view: View, *, unfold: bool = False, most: int = MOST) -> int:
    """The levels of groups that are opened where nothing else is said.

    Example:
        >>> import retia as rt
        >>> from retia.view.model import view
        >>> deepest(view(rt.Chain(rt.Chain(rt.ReLU()), input=2)))
        2
    """
    return _Maker(view, not unfold, most, PIXELS).deepest()


class _Maker:
    """Lays out the groups of one net."""

    def __init__(self, view: View, fold: bool, most: int, measures: Measures) -> None:
        self.view = view
        self.fold = fold
        self.most = most
        self.measures = measures
        self.known: dict[str, tuple[Entry, ...]] = {}

    def deepest(self) -> int:
        """As many levels as a few boxes allow, at least one."""
        depth, fits = 1, [""]
        while True:
            fits = [path for group in fits for path in self._groups(group)]
            if not fits or self._count("", depth + 1) > FEW:
                return depth
            depth += 1

    def whole(self, depth: int) -> Placed:
        """The net with its ports."""
        root = self.view.parts[""]
        inputs = {port.name: port for port in self.view.inputs}
        outputs = {port.name: port for port in self.view.outputs}
        if root.kind == "group" and depth > 0 and root.type in PLAIN:
            made = replace(self._open(""), ports=inputs, results=outputs)
        else:
            made = _Group(
                "", (Entry(("",), 1, ("",)),), {"": {name: ("", name) for name in root.inputs}},
                {name: ("", name) for name in root.outputs}, tuple(inputs), inputs, outputs,
            )  # fmt: skip
        return self._interior(made, depth - 1)

    # What is in a group ---------------------------------------------------------------------------

    def _entries(self, path: str) -> tuple[Entry, ...]:
        if path not in self.known:
            self.known[path] = entries(self.view, path, fold=self.fold, most=self.most)
        return self.known[path]

    def _groups(self, path: str) -> Iterator[str]:
        for entry in self._entries(path) if self.view.parts[path].kind == "group" else ():
            yield from (p for p in entry.paths if self.view.parts[p].kind == "group" and not entry.hidden)

    def _count(self, path: str, depth: int) -> int:
        """Boxes of a group that is opened so deep."""
        if self.view.parts[path].kind == "layer" or depth == 0:
            return 1
        total = 0
        for entry in self._entries(path):
            total += 1 if entry.hidden else sum(self._count(p, depth - 1) for p in entry.paths)
            if total > FEW:
                break
        return total

    def _open(self, path: str) -> _Group:
        """A group with its entries; of one that holds only another group, that one's."""
        part = self.view.parts[path]
        only = self.view.parts[part.children[0]] if len(part.children) == 1 else None
        is_told = path != "" or part.type not in PLAIN  # by the title of its frame
        if only is not None and only.kind == "group" and not only.shared and is_told:
            inner = self._open(only.path)
            names = {port: end[1] for port, end in only.sources.items()}
            sources: dict[str, Mapping[str, End]] = {}
            for at, feeds in inner.sources.items():
                sources[at] = {
                    p: end if end[0] else ("", names.get(end[1], end[1])) for p, end in feeds.items()
                }
            ends = {port: inner.ends[end[1]] for port, end in part.ends.items()}
            ins = (*part.inputs, *only.carried, *part.carried)
            return replace(inner, path=path, sources=sources, ends=ends, ins=ins)
        found = self._entries(path)
        sources = {child: self.view.parts[child].sources for child in part.children}
        return _Group(path, found, sources, part.ends, (*part.inputs, *part.carried))

    def _copy(self, entry: Entry) -> _Group:
        """One of the copies of a block, as a group of its own."""
        first, last = self.view.parts[entry.paths[0]], self.view.parts[entry.paths[-1]]
        sources = {path: self.view.parts[path].sources for path in entry.paths[1:]}
        sources[first.path] = {port: ("", port) for port in first.inputs}
        found = tuple(Entry((path,), 1, (path,)) for path in entry.paths)
        ends = {port: (last.name, port) for port in last.outputs}
        return _Group(first.path.rpartition(".")[0], found, sources, ends, tuple(first.inputs))

    # Places ---------------------------------------------------------------------------------------

    def _entry(self, entry: Entry, depth: int) -> Placed:
        part = self.view.parts[entry.paths[0]]
        if entry.hidden:
            return self._hidden(entry)
        if len(entry.paths) > 1:
            return self._framed(self._interior(self._copy(entry), depth), part, entry)
        if part.kind == "group" and depth > 0:
            return self._framed(self._interior(self._open(part.path), depth - 1), part, entry)
        return self._layer(part, entry)

    def _layer(self, part: Part, entry: Entry) -> Placed:
        """A layer or a group that stays closed; the copies of it stand behind it."""
        label = part.label.removesuffix("()")
        said = []
        if part.kind == "group":
            inside = self._layers(part.path)
            said.append(f"{inside:,} layer{'s' * (inside != 1)}")
        if part.count != 0:
            each = " each" if entry.times > 1 and not part.shared else ""
            said.append("? parameters" if part.count is None else f"{part.count:,}{each}")
        said += [f"shared: {part.shared}"] if part.shared else []
        said += ["frozen"] if part.frozen and part.count != 0 else []
        whole = f"{part.path or part.type}: {part.expression}"
        name = part.name
        if entry.times > 1:
            name = f"×{entry.times}  {name} to {self.view.parts[entry.covered[-1]].name}"
        m = self.measures
        box = m.box(part.path, part.family, name, label, " · ".join(said), whole)
        box = replace(box, shared=bool(part.shared), round=part.family == "combine", times=entry.times)
        placed = Placed(box.width, box.height, boxes=[box])
        placed.outs = m.spread(part.outputs, box.width)
        placed.ins = m.spread(part.inputs, box.width) if entry.times > 1 else {}
        return self._backed(placed, entry)

    def _backed(self, placed: Placed, entry: Entry) -> Placed:
        """With room for the copies behind."""
        if entry.times > 1:
            placed.width += self.measures.sideways
            placed.height += self.measures.behind
        return placed

    def _layers(self, path: str) -> int:
        """How many layers a part is or has."""
        part = self.view.parts[path]
        return 1 if part.kind == "layer" else sum(map(self._layers, part.children))

    def _hidden(self, entry: Entry) -> Placed:
        """The box that stands for parts that are not drawn."""
        arrays = {held.path: held.count for path in entry.covered for held in self._learned(path)}
        count = total(arrays.values())
        said = f"{entry.covered[0]} to {entry.covered[-1]} · {number(count)}"
        more = f"+{sum(map(self._layers, entry.covered)):,} more layers"
        box = self.measures.box(entry.covered[0], "group", "", more, said, said)
        return Placed(box.width, box.height, boxes=[box])

    def _learned(self, path: str) -> Iterator[Held]:
        part = self.view.parts[path]
        yield from (held for held in part.arrays if held.learned)
        for child in part.children:
            yield from self._learned(child)

    def _port(self, port: PortFacts, side: str) -> Placed:
        what = port.codec.partition("(")[0] or ("whole numbers" if port.kind == "int" else "")
        name = port.name if port.name == side else f"{side} {port.name}"
        box = self.measures.box(
            f"{side} {port.name}", "port", "", name, what, f"{name}: {port.codec or show_sizes(port.shape)}"
        )
        return Placed(box.width, box.height, boxes=[replace(box, round=True)])

    def _framed(self, inner: Placed, part: Part, entry: Entry) -> Placed:
        """A group's inside in its frame, whose title stands where no line goes in."""
        m = self.measures
        title = _title(self.view, part, entry, m)
        wide = m.title_width(title)
        ins = {port: x + m.pad for port, x in inner.ins.items()}
        title_x = m.inset
        if ins and min(ins.values()) < title_x + wide + m.clear:
            title_x = max(ins.values()) + m.past
        width = m.whole(max(inner.width + 2 * m.pad, title_x + wide + m.trail))
        height = inner.height + m.head + m.foot
        made = Placed(width, height, ins, {port: x + m.pad for port, x in inner.outs.items()}, opened=True)
        around = ", ".join(entry.paths)
        made.frames.append(Frame(0, 0, width, height, around, title, title_x, entry.times, bool(part.shared)))
        made.take(inner, m.pad, m.head)
        return self._backed(made, entry)

    def _interior(self, group: _Group, depth: int) -> Placed:
        """Entries and ports in layers."""
        placed = [self._entry(entry, depth) for entry in group.entries]
        at = {path: n for n, entry in enumerate(group.entries) for path in entry.covered}
        names = {self.view.parts[path].name: path for path in at}
        ins, outs = self._ports(group, placed)
        lines: dict[Line, str] = {}
        heads = {path for entry in group.entries for path in _heads(entry)}
        for path, feeds in group.sources.items():
            if path not in heads:
                continue
            for port, end in feeds.items():
                self._join(lines, group, placed, at, names, ins, end, (at[path], port))
        for port, end in group.ends.items():
            if port in outs:
                self._join(lines, group, placed, at, names, ins, end, (outs[port], ""))
        return self._drawn(group, placed, lines, ins, outs)

    def _ports(self, group: _Group, placed: list[Placed]) -> tuple[dict[str, int], dict[str, int]]:
        """The numbers of the ports' boxes, which are put behind the others."""
        used = {end[1] for feeds in group.sources.values() for end in feeds.values() if end[0] == ""}
        used |= {end[1] for end in group.ends.values() if end[0] == ""}
        ins, outs = {}, {}
        for name in group.ins:
            if name in used or name in group.ports or self.measures.port:
                ins[name] = len(placed)
                placed.append(self._port(group.ports[name], "input") if group.ports else self._end())
        for name in group.ends:
            outs[name] = len(placed)
            placed.append(self._port(group.results[name], "output") if group.results else self._end())
        return ins, outs

    def _end(self) -> Placed:
        """Where a line goes through a frame."""
        return Placed(self.measures.port, 0)

    def _join(
        self, lines: dict[Line, str], group: _Group, placed: list[Placed], at: Mapping[str, int],
        names: Mapping[str, str], ins: Mapping[str, int], end: End, target: tuple[int, str],
    ) -> None:  # fmt: skip
        """Add a line, with the shape of what it carries."""
        name, port = end
        if name == "" and not (group.path == "" and "" in at and target[0] >= len(group.entries)):
            if port in ins:
                lines.setdefault(Line(ins[port], "", *target), show_sizes(self._given(group, port)))
            return
        path = names[name]
        if at[path] != target[0]:
            shape = self.view.parts[path].outputs.get(port)
            lines.setdefault(Line(at[path], port, *target), show_sizes(shape))

    def _given(self, group: _Group, port: str) -> tuple[int | str | None, ...] | None:
        return group.ports[port].shape if port in group.ports else None

    def _drawn(
        self, group: _Group, placed: list[Placed], lines: Mapping[Line, str], ins: Mapping[str, int],
        outs: Mapping[str, int],
    ) -> Placed:  # fmt: skip
        m, number = self.measures, len(group.entries)
        told = {
            line: text for line, text in lines.items()
            if not placed[line.source].opened and (line.source < number or group.ports)
        }  # fmt: skip
        self._widen(placed, told, lines)
        for line, text in told.items():
            start = placed[line.source]
            beyond = start.outs.get(line.source_port, start.width / 2) - start.width / 2
            start.reach = max(start.reach, beyond + m.beside + m.width(text))
        ends = {**dict.fromkeys(ins.values(), -1), **dict.fromkeys(outs.values(), 1)}
        items = [
            Item(p.width, p.height, p.reach * m.two_sided, p.ins, p.outs, ends.get(n, 0), p.reach)
            for n, p in enumerate(placed)
        ]
        flat = list(lines)
        laid = m.arrange(items, flat, bool(group.ports))
        made = Placed(laid.width, laid.height)
        for n, each in enumerate(placed):
            made.take(each, laid.left[n], laid.top[n])
        made.ins = {name: laid.left[n] + m.port / 2 for name, n in ins.items() if not group.ports}
        made.outs = {name: laid.left[n] + m.port / 2 for name, n in outs.items() if not group.results}
        made.labels += self._labels(told, dict(zip(flat, laid.routes, strict=True)))
        for line, route in zip(flat, laid.routes, strict=True):
            points = list(route)
            if line.source in ins.values() and not group.ports:
                points.insert(0, (points[0][0], -m.head))
            is_out = line.target in outs.values() and not group.results
            if is_out:
                points.append((points[-1][0], laid.height + m.foot))
            made.edges.append(Edge(tuple(points), not is_out and not placed[line.target].opened, group.path))
        return made

    def _widen(self, placed: list[Placed], told: Mapping[Line, str], lines: Mapping[Line, str]) -> None:
        """On cells, boxes have room for the lines that come in, and for shapes between those that go out."""
        m = self.measures
        coming = Counter(line.target for line in lines)
        leaving: dict[int, dict[str, float]] = defaultdict(dict)
        for line in lines:
            leaving[line.source][line.source_port] = m.width(told.get(line, ""))
        for n, each in enumerate(placed):
            if not m.apart or each.opened or not each.boxes:
                continue
            ports = leaving[n]
            between = (len(each.outs or ports) + 1) * (max(ports.values()) + 3) if len(ports) > 1 else 0.0
            box = each.boxes[0]
            width = m.whole(max(box.width, m.apart * coming[n] + 1, between))
            each.boxes, each.width = [replace(box, width=width)], each.width + width - box.width
            each.outs, each.ins = m.spread(each.outs or ports, width), m.spread(each.ins, width)

    def _labels(self, told: Mapping[Line, str], routes: Mapping[Line, list[Point]]) -> Iterator[Label]:
        """The shape of every value once, on the side to which fewer of its lines turn."""
        m = self.measures
        turns: dict[tuple[int, str], list[float]] = {}
        for line in told:
            turn = next(
                (x - routes[line][0][0] for x, _ in routes[line] if abs(x - routes[line][0][0]) > 1), 0.0
            )
            turns.setdefault((line.source, line.source_port), []).append(turn)
        for line, shape in told.items():
            found = turns.pop((line.source, line.source_port), None)
            if found is not None:
                x, y = routes[line][0]
                is_left = m.two_sided and sum(turn > 1 for turn in found) > sum(turn < -1 for turn in found)
                yield Label(x - m.before - m.width(shape) if is_left else x + m.before, y + m.below, shape)


def _heads(entry: Entry) -> tuple[str, ...]:
    """The parts of an entry that lines from outside go to."""
    return entry.covered if entry.hidden else entry.paths[:1]


def _title(view: View, part: Part, entry: Entry, m: Measures) -> str:
    """The name, the class, the parameters of one copy, and how many there are."""
    copies = [view.parts[path] for path in entry.paths]
    counts = [copy.count for copy in copies]
    count = number(total(counts))
    if entry.times > 1:
        first, last = view.parts[entry.covered[0]], view.parts[entry.covered[-1]]
        once = f"shared: {part.shared}" if part.shared else "each"
        what = part.label.removesuffix("()") if len(copies) == 1 else f"{len(copies)} layers"
        named = f"×{entry.times}  {first.name} to {last.name}"
        return m.cut(f"{named}  {m.cut(what, m.widest)} · {count} {once}", m.many)
    said = [f"{part.name}  {part.type}".strip(), *([f"shared: {part.shared}"] if part.shared else [])]
    said += [*([count] if count != "0" else []), *(["frozen"] if part.frozen else [])]
    return m.cut(" · ".join(said), m.title)
