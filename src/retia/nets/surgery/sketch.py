"""A net taken apart into named nodes and the wires between them, to be changed and made into a net again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from retia.errors import StructureError
from retia.nets.chain import Chain, hand_over
from retia.nets.graph import End, Graph, order
from retia.nets.net import Net
from retia.nets.outer import with_specs
from retia.nets.ports import Spec, specs

Wire = tuple[End, str, str]
"""What a value feeds: (where it comes from, node, port); the node is "" for an output of the net."""


@dataclass
class Sketch:
    """A net in pieces.

    Attributes:
        nodes: parts by name. links: for each part what feeds its ports.
        ends: what feeds the outputs. inputs: names of the inputs.
        input: types declared at inputs, by port. output: at outputs.
    """

    nodes: dict[str, Net]
    links: dict[str, dict[str, End]]
    ends: dict[str, End]
    inputs: list[str]
    input: dict[str, Spec]
    output: dict[str, Spec]

    def made(self) -> Graph:
        """The graph of these pieces; its sizes are solved with the whole net."""
        return Graph.from_settings(
            {
                "nodes": self.nodes,
                "links": {name: self.links[name] for name in self.nodes},
                "ends": self.ends,
                "names": self.inputs,
                "input": _stored(self.input, self.inputs, "input"),
                "output": _stored(self.output, list(self.ends), "output"),
            }
        )

    def order(self) -> list[str]:
        """The nodes, each after what feeds it."""
        return order(self.nodes, self.links)

    def wires(self) -> Iterable[Wire]:
        """All wires, those to the outputs last."""
        for name in self.order():
            for port, end in self.links[name].items():
                yield end, name, port
        for name, end in self.ends.items():
            yield end, "", name

    def told(self, wire: Wire, shown: Mapping[str, str] | None = None) -> str:
        """A wire as an edge is written, some nodes under the names by which they are shown."""
        (node, port), target, to_port = wire
        shown = shown or {}
        one = not node or len(self.nodes[node].output_names()) == 1
        source = (shown.get(node, node) or port) if one else f"{shown.get(node, node)}.{port}"
        goal = shown.get(target, target) or to_port
        feeds = [*self.links[target].values()] if target else []
        alike = len(feeds) < 2 or getattr(self.nodes[target], "variadic", False)
        return (
            f"{source} -> {goal}" if alike and feeds.count(wire[0]) < 2 else f"{source} -> {goal}.{to_port}"
        )

    def turn(self, old: End, new: End) -> None:
        """Feed by one value whatever another one fed."""
        for name, feeds in self.links.items():
            self.links[name] = {port: new if end == old else end for port, end in feeds.items()}
        self.ends = {name: new if end == old else end for name, end in self.ends.items()}

    def before(self, name: str) -> set[str]:
        """The nodes that a node depends on."""
        found: set[str] = set()
        ahead = [name]
        while ahead:
            fresh = {end[0] for end in self.links[ahead.pop()].values() if end[0]} - found
            found |= fresh
            ahead += fresh
        return found

    def free_name(self, base: str, taken: Collection[str] = ()) -> str:
        """A name for a node that no other has: ``relu``, then ``relu2``."""
        name, number = base, 1
        while any(name in names for names in (self.nodes, self.inputs, self.ends, taken)):
            number += 1
            name = f"{base}{number}"
        return name

    def renamed(self, new: Mapping[str, str]) -> Sketch:
        """The pieces with other names, where wires still have the old ones."""

        def moved(end: End) -> End:
            return (new.get(end[0], end[0]), end[1])

        links = {
            new.get(name, name): {port: moved(end) for port, end in feeds.items()}
            for name, feeds in self.links.items()
        }
        nodes = {new.get(name, name): net for name, net in self.nodes.items()}
        ends = {name: moved(end) for name, end in self.ends.items()}
        return Sketch(nodes, links, ends, self.inputs, self.input, self.output)

    def say(self, side: str, port: str, spec: Spec) -> None:
        """Let the part at a port say what the net says of it."""
        if side == "output":
            node, name = self.ends[port]
            if node:
                self.nodes[node] = with_specs(self.nodes[node], output={name: spec})
            return
        for end, node, name in self.wires():
            if end == ("", port) and node:
                self.nodes[node] = with_specs(self.nodes[node], input={name: spec})
                return

    def refit(self, name: str, new: Net, verb: str) -> None:
        """Put another net at a node, its ports wired as the old one's were."""
        old, feeds = self.nodes[name], self.links[name]
        said = f"{verb}: {name}"
        takes = matching(said, "takes", tuple(feeds), new.input_names(len(feeds)))
        self.nodes[name] = new
        self.links[name] = {port: feeds[before] for before, port in takes.items()}
        if old.output_names() == new.output_names():
            return
        read = {end[1] for end, _, _ in self.wires() if end[0] == name}
        gives = matching(said, "gives", old.output_names(), new.output_names(), read)
        for before, port in gives.items():
            if before != port:
                self.turn((name, before), (name, port))


def matching(
    said: str, does: str, old: tuple[str, ...], new: tuple[str, ...], needed: set[str] | None = None
) -> dict[str, str]:
    """Which new port stands for which old one: the only one, else that of its name.

    Args:
        needed: the old ports that must be there; all by default, and then there may be no others.
    """
    if len(old) == len(new) == 1:
        return {old[0]: new[0]}
    if set(old) == set(new) or (needed is not None and needed <= set(new)):
        return {name: name for name in new if name in old}
    raise StructureError(
        f"{said} {does} {_listed(old)} in this place, but the new net {does} {_listed(new)}.",
        fix="a net with the same ports, rt.Graph(..., input={...}, output={...})",
        expected=old,
        got=new,
    )


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "nothing"


def apart(net: Net, ports: Iterable[str] | None = None) -> Sketch:
    """A net in pieces: those of a graph or a chain, else itself as the only one.

    Args:
        ports: names of its inputs, where its surroundings say how many there are.
    """
    inputs = list(net.input_names() if ports is None else ports)
    read = specs(net.input, tuple(inputs), "input")
    if isinstance(net, Graph):
        links = {name: dict(net.links[name]) for name in net.nodes}
        return Sketch(dict(net.nodes), links, dict(net.ends), inputs, read, _given(net))
    nodes = dict(net.parts) if isinstance(net, Chain) else {type(net).__name__.lower(): net}
    values: Mapping[str, End] = {name: ("", name) for name in inputs}
    links = {}
    for number, (name, part) in enumerate(nodes.items()):
        links[name] = dict(hand_over(name, part, values) if number else values)
        values = {port: (name, port) for port in part.output_names()}
    ends = dict(values) if nodes else {"output": ("", inputs[0])}
    if isinstance(net, Chain):
        return Sketch(nodes, links, ends, inputs, read, _given(net))
    return Sketch(nodes, links, ends, inputs, {}, {})


def _given(net: Net) -> dict[str, Spec]:
    return specs(net.output, net.output_names(), "output")


def _stored(said: Mapping[str, Spec], names: list[str], side: str) -> Any:
    """Types as a graph stores them: the only one of the usual name alone, else all of them by name."""
    return said.get(side) if names == [side] else {name: said.get(name) for name in names}
