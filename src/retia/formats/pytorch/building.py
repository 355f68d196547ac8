"""From layers in one row to a net of nets that has the module's tree.

A part of the tree becomes a chain where it is one, else a graph. What a part computes between two calls of
its own children goes into it; lists of modules whose entries take turns with those of others cannot stand as
parts, and their entries stand beside each other: ``norms.0`` becomes ``norms_0``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from retia.formats.pytorch.values import Flow, Item
from retia.nets.chain import Chain
from retia.nets.graph import Graph
from retia.nets.net import Net

Source = tuple[int | None, str]
"""The number of a layer, None for the net's inputs, and the port."""


@dataclass
class Part:
    """A part of the tree: a net, where its inputs come from, and what each of its outputs is."""

    net: Net
    sources: tuple[Source, ...]
    outputs: Mapping[Source, str]


def built(
    items: Sequence[Item], inputs: Mapping[str, tuple[int, ...]], outputs: Mapping[str, Flow]
) -> tuple[Net, dict[str, Any]]:
    """The net of all items, and its arrays by path."""
    wanted = {name: (flow.item, flow.port) for name, flow in outputs.items()}
    kept = _needed(items, wanted.values())
    items = [*items]
    if len(kept) == 1 and items[kept[0]].path == ():
        return _alone(items[kept[0]], inputs), dict(items[kept[0]].arrays)
    for number, path in zip(kept, _named([items[k] for k in kept]), strict=True):
        items[number] = replace(items[number], path=path)
    tree = _Tree(items, wanted)
    net = tree.whole(kept, inputs)
    homes = {(node.path, name): node.at(name) for node in net.wiring.nodes for name in node.layer.owns()}
    arrays = {
        homes[".".join(items[k].path), name]: array for k in kept for name, array in items[k].arrays.items()
    }
    return net, arrays


def _alone(item: Item, inputs: Mapping[str, tuple[int, ...]]) -> Net:
    made: Net = type(item.net).from_settings({**item.net.settings(), "input": next(iter(inputs.values()))})  # type: ignore[attr-defined]
    return made


def _needed(items: Sequence[Item], ends: Iterable[Source]) -> list[int]:
    wanted = {number for number, _ in ends if number is not None}
    for number in range(len(items) - 1, -1, -1):
        if number in wanted:
            wanted |= {flow.item for flow in items[number].sources if flow.item is not None}
    return sorted(wanted)


def _named(items: Sequence[Item]) -> list[tuple[str, ...]]:
    """Paths of which none is within another and none is there twice; those of parameters stay if they can."""
    taken: set[tuple[str, ...]] = set()
    paths: dict[int, tuple[str, ...]] = {}
    for number in sorted(range(len(items)), key=lambda n: (not items[n].said, len(items[n].path), n)):
        path = items[number].path or ("layer",)
        while within := next((path[:cut] for cut in range(1, len(path)) if path[:cut] in taken), None):
            path = (*within[:-1], "_".join((within[-1], *path[len(within) :])))
        again, count = path, 1
        parents = {each[:cut] for each in paths.values() for cut in range(1, len(each))}
        while again in taken or again in parents:
            count += 1
            again = (*path[:-1], f"{path[-1]}_{count}")
        taken.add(again)
        paths[number] = again
    return [paths[n] for n in range(len(items))]


class _Tree:
    def __init__(self, items: list[Item], outputs: Mapping[str, Source]) -> None:
        self.items = items
        self.outputs = outputs
        self.users: dict[Source, set[int]] = {}
        for number, item in enumerate(items):
            for flow in item.sources:
                self.users.setdefault((flow.item, flow.port), set()).add(number)

    def whole(self, kept: list[int], inputs: Mapping[str, tuple[int, ...]]) -> Net:
        """The outermost net, with the names of its ports."""
        self._settle(kept, 0)
        parts = self._parts(kept, 0)
        taken = [*self.outputs.values(), *(source for part in parts.values() for source in part.sources)]
        used = {port for number, port in taken if number is None}
        ports = {name: shape for name, shape in inputs.items() if name in used}
        ends = dict(self.outputs)
        chain = _as_chain(parts, [*ends.values()], [(None, name) for name in ports])
        if chain is not None and list(ends) == ["output"]:
            spec = next(iter(ports.values())) if ports else None
            first = next((part.net.input_names() for part in parts.values()), ("input",))
            if (*ports,) == first:
                return Chain.from_settings({"parts": chain, "input": spec, "output": None})
        return _graph(parts, [(None, name) for name in ports], ends, ports, {(None, n): n for n in ports})

    # Which items belong together --------------------------------------------------------------------

    def _settle(self, members: list[int], depth: int) -> None:
        """Change paths until parts at this depth do not wait for each other."""
        for _ in range(len(members) + 1):
            groups = self._groups(members, depth)
            knots = _knots(groups, self._edges(groups))
            if not knots:
                break
            self._untie(groups, knots[0], depth)
        for name, group in self._groups(members, depth).items():
            if any(len(self.items[n].path) > depth + 1 for n in group):
                self._settle(group, depth + 1)
            del name

    def _groups(self, members: list[int], depth: int) -> dict[str, list[int]]:
        groups: dict[str, list[int]] = {}
        for number in members:
            groups.setdefault(self.items[number].path[depth], []).append(number)
        return groups

    def _edges(self, groups: Mapping[str, list[int]]) -> dict[str, set[str]]:
        home = {number: name for name, group in groups.items() for number in group}
        edges: dict[str, set[str]] = {name: set() for name in groups}
        for number, name in home.items():
            for flow in self.items[number].sources:
                if flow.item in home and home[flow.item] != name:
                    edges[home[flow.item]].add(name)
        return edges

    def _untie(self, groups: Mapping[str, list[int]], knot: set[str], depth: int) -> None:
        nested = [name for name in knot if any(len(self.items[n].path) > depth + 1 for n in groups[name])]
        broken = [name for name in nested if self._leaves_and_returns(groups, knot, name)] or nested
        if len(broken) == 1:
            between = self._between(groups, broken[0], knot)
            loose = [n for n in between if not self.items[n].said]
            if len(loose) == len(between):
                for number in loose:
                    self._move(number, (*self.items[number].path[:depth], broken[0]), depth)
                return
        for name in broken:
            for number in groups[name]:
                path = self.items[number].path
                if len(path) > depth + 1:
                    self._rename(
                        number, (*path[:depth], f"{path[depth]}_{path[depth + 1]}", *path[depth + 2 :])
                    )

    def _between(self, groups: Mapping[str, list[int]], name: str, knot: set[str]) -> list[int]:
        """What stands on a way out of a group and back into it."""
        inside = set(groups[name])
        others = sorted(n for each in knot if each != name for n in groups[each])
        after = self._reached(inside, others)
        before = self._reaching(inside, others)
        return [n for n in others if n in after and n in before]

    def _leaves_and_returns(self, groups: Mapping[str, list[int]], knot: set[str], name: str) -> bool:
        return bool(self._between(groups, name, knot))

    def _reached(self, start: set[int], among: list[int]) -> set[int]:
        found = set(start)
        for number in among:
            if any(flow.item in found for flow in self.items[number].sources):
                found.add(number)
        return found

    def _reaching(self, start: set[int], among: list[int]) -> set[int]:
        found = {flow.item for number in start for flow in self.items[number].sources}
        for number in reversed(among):
            if number in found:
                found |= {flow.item for flow in self.items[number].sources}
        return {n for n in found if n is not None}

    def _move(self, number: int, prefix: tuple[str, ...], depth: int) -> None:
        self._rename(number, (*prefix, *self.items[number].path[depth:]))

    def _rename(self, number: int, path: tuple[str, ...]) -> None:
        taken = {item.path for n, item in enumerate(self.items) if n != number}
        taken |= {each[:cut] for each in taken for cut in range(1, len(each))}
        new, count = path, 1
        while new in taken:
            count += 1
            new = (*path[:-1], f"{path[-1]}_{count}")
        self.items[number] = replace(self.items[number], path=new)

    # The nets ---------------------------------------------------------------------------------------

    def _parts(self, members: list[int], depth: int) -> dict[str, Part]:
        found = {name: self._part(group, depth) for name, group in self._groups(members, depth).items()}
        order = _sorted(found)
        return {name: found[name] for name in order}

    def _part(self, group: list[int], depth: int) -> Part:
        first = self.items[group[0]]
        if len(group) == 1 and len(first.path) == depth + 1:
            return self._leaf(group[0])
        if len(group) == 1 and len(first.path) == depth + 2 and not first.said:
            # A module that is one operation is that operation.
            self.items[group[0]] = replace(first, path=first.path[:-1])
            return self._leaf(group[0])
        parts = self._parts(group, depth + 1)
        inside = set(group)
        sources = [*dict.fromkeys(
            source for part in parts.values() for source in part.sources if source[0] not in inside
        )]  # fmt: skip
        ends = [
            source
            for part in parts.values()
            for source in part.outputs
            if self.users.get(source, set()) - inside or source in self.outputs.values()
        ]
        chain = _as_chain(parts, ends, sources)
        if chain is not None:
            net: Net = Chain.from_settings({"parts": chain, "input": None, "output": None})
            return Part(net, tuple(sources), {ends[0]: net.output_names()[0]})
        inputs = [
            name if number is None else port
            for (number, name), port in zip(sources, _ports("input", len(sources)), strict=True)
        ]
        outputs = _ports("output", len(ends))
        named = dict(zip(sources, inputs, strict=True))
        net = _graph(parts, sources, dict(zip(outputs, ends, strict=True)), None, named)
        return Part(net, tuple(sources), dict(zip(ends, outputs, strict=True)))

    def _leaf(self, number: int) -> Part:
        item = self.items[number]
        sources = tuple((flow.item, flow.port) for flow in item.sources)
        return Part(item.net, sources, {(number, "output"): item.net.output_names()[0]})


def _ports(word: str, count: int) -> list[str]:
    return [word] if count == 1 else [f"{word}{i}" for i in range(1, count + 1)]


def _as_chain(
    parts: Mapping[str, Part], ends: Sequence[Source], sources: Sequence[Source]
) -> dict[str, Net] | None:
    """The parts one after another, where each takes what the one before gives and nobody else does."""
    if len(ends) != 1 or len(sources) != 1:
        return None
    now = sources[0]
    for place, (name, part) in enumerate(parts.items()):
        if part.sources != (now,) or len(part.outputs) != 1 or (name.isdigit() and name != str(place)):
            return None
        now = next(iter(part.outputs))
    return {name: part.net for name, part in parts.items()} if now == ends[0] else None


def _graph(
    parts: Mapping[str, Part],
    sources: Sequence[Source],
    ends: Mapping[str, Source],
    spec: Any,
    named: Mapping[Source, str],
) -> Graph:
    homes = {source: (name, port) for name, part in parts.items() for source, port in part.outputs.items()}
    homes.update({source: ("", named[source]) for source in sources})
    links = {}
    for name, part in parts.items():
        ports = part.net.input_names(len(part.sources)) if part.sources else ()
        links[name] = {port: list(homes[source]) for port, source in zip(ports, part.sources, strict=True)}
    names = [named[source] for source in sources]
    return Graph.from_settings(
        {
            "nodes": {name: part.net for name, part in parts.items()},
            "links": links,
            "ends": {name: list(homes[source]) for name, source in ends.items()},
            "names": names,
            "input": _spec(names, spec, "input"),
            "output": _spec([*ends], None, "output"),
        }
    )


def _spec(names: list[str], shapes: Any, side: str) -> Any:
    """Declared ports as a graph stores them."""
    if names == [side]:
        return None if shapes is None else shapes[side]
    return {name: None if shapes is None else shapes[name] for name in names}


def _sorted(parts: Mapping[str, Part]) -> list[str]:
    """Names in an order in which each comes after what feeds it, else in the order of computation."""
    homes = {source: name for name, part in parts.items() for source in part.outputs}
    waits = {
        name: {homes[source] for source in part.sources if source in homes and homes[source] != name}
        for name, part in parts.items()
    }
    order: list[str] = []
    left = [*parts]
    while left:
        name = next(name for name in left if waits[name] <= {*order})
        order.append(name)
        left.remove(name)
    return order


def _knots(groups: Mapping[str, Any], edges: Mapping[str, set[str]]) -> list[set[str]]:
    """Sets of names that wait for each other."""
    left = Counter(to for name in groups for to in edges[name])
    free = [name for name in groups if not left[name]]
    alive = set(groups)
    while free:
        name = free.pop()
        alive.discard(name)
        for to in edges[name]:
            left[to] -= 1
            if not left[to]:
                free.append(to)
    while alive:
        name = next(iter(sorted(alive)))
        knot = _around(name, edges, alive) & _around(name, _turned(edges), alive)
        if len(knot) > 1:
            return [knot]
        alive.discard(name)
    return []


def _around(name: str, edges: Mapping[str, set[str]], alive: set[str]) -> set[str]:
    found, todo = {name}, [name]
    while todo:
        for to in edges[todo.pop()] & alive:
            if to not in found:
                found.add(to)
                todo.append(to)
    return found


def _turned(edges: Mapping[str, set[str]]) -> dict[str, set[str]]:
    turned: dict[str, set[str]] = {name: set() for name in edges}
    for name, targets in edges.items():
        for to in targets:
            turned[to].add(name)
    return turned
