"""Graphs: nets whose values branch and meet."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType
from typing import Any

from retia.errors import ArgumentError, FormatError, StructureError, did_you_mean
from retia.nets import registry
from retia.nets.chain import check_part, spec_text
from retia.nets.net import Net
from retia.nets.ports import read_specs
from retia.nets.wires import Collected, Input, Wire
from retia.nets.wiring import Value, Wiring, join

End = tuple[str, str]
"""(node, port); the node is "" for a port of the graph."""


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Graph(Net):
    """Nets whose values branch and meet.

    Two occurrences of a layer are two sets of arrays, also when they are one Python object (in Keras
    and PyTorch they would share); sharing is written, ``rt.Shared("name", layer)``.

    Written in one of three ways: from wires, ``x = rt.Input(64); rt.Graph(rt.ReLU()(x) * x)``; from a
    function of wires, ``rt.Graph(lambda x: rt.ReLU()(x) * x)``, which runs once (its arguments without a
    default are the inputs); or from named nodes and edges. An edge ``"a -> b -> c"`` names nodes,
    ``"node.port"`` where a node has several ports, and the graph's own ports, ``"input"``, ``"output"`` or
    those named by ``input=`` and ``output=`` (``"output.a"`` where a node has that name too). What nothing
    feeds becomes an input, what feeds nothing an output. Edges into a node with several inputs count in the
    order written.

    Args:
        nodes: a dict of nets; a wire, or a dict or tuple of wires; a function.
        edges: lines of ``"a -> b"``.
        input: what comes in, by port. output: what goes out, by port.
    Raises:
        StructureError: cycles, unknown, unused or repeated names, inputs that nothing feeds.
    Example:
        >>> import retia as rt
        >>> net = rt.Graph(lambda x: rt.ReLU()(x) * rt.Tanh()(x), input=3)
        >>> net
        Graph({'relu': ReLU(), 'tanh': Tanh(), 'times': Times()}, 'input -> relu', \
'input -> tanh', 'relu -> times', 'tanh -> times -> output', input=3)
    """

    nodes: Mapping[str, Net]
    links: Mapping[str, Mapping[str, End]]
    ends: Mapping[str, End]
    input: Any
    output: Any

    def __init__(self, nodes: Any, *edges: str, input: Any = None, output: Any = None) -> None:
        read = {"input": read_specs("Graph: input", input), "output": read_specs("Graph: output", output)}
        if isinstance(nodes, Mapping) and all(isinstance(n, Net) for n in nodes.values()) and nodes:
            plan = _from_edges(dict(nodes), edges, read)
        else:
            plan = _from_wires(nodes, edges, read)
        self.__dict__.update(
            nodes=MappingProxyType(plan.nodes),
            links=MappingProxyType(plan.links),
            ends=MappingProxyType(plan.outputs),
            names=tuple(plan.inputs),
            input=_by_name(read["input"], plan.inputs, "input"),
            output=_by_name(read["output"], list(plan.outputs), "output"),
        )
        _check(self)
        _ = self.solution

    @property
    def children(self) -> Mapping[str, Net]:
        """The nodes, by name."""
        return self.nodes

    def with_children(self, children: Mapping[str, Net]) -> Graph:
        """The same graph with other nets at its nodes."""
        made = object.__new__(Graph)
        made.__dict__.update({k: self.__dict__[k] for k in ("links", "ends", "names", "input", "output")})
        made.__dict__["nodes"] = MappingProxyType(dict(children))
        return made

    def input_names(self, arity: int | None = None) -> tuple[str, ...]:
        """Names of the graph's inputs."""
        return self.__dict__["names"]  # type: ignore[no-any-return]

    def output_names(self) -> tuple[str, ...]:
        """Names of the graph's outputs."""
        return tuple(self.ends)

    def lay(self, wiring: Wiring, path: str, key: str, sources: Mapping[str, Value]) -> dict[str, Value]:
        """Lay the nodes in an order in which each comes after what feeds it."""
        values: dict[End, Value] = {("", name): value for name, value in sources.items()}
        for name in order(self.nodes, self.links):
            feeds = {port: values[end] for port, end in self.links[name].items()}
            made = wiring.place(self.nodes[name], join(path, name), join(key, name), feeds)
            values.update({(name, port): value for port, value in made.items()})
        return {name: values[end] for name, end in self.ends.items()}

    def edges(self) -> tuple[str, ...]:
        """The edges, one line a path, in a fixed order."""
        pairs = []
        for name in order(self.nodes, self.links):
            for port, (source, from_port) in self.links[name].items():
                pairs.append((self._name(source, from_port), self._target(name, port)))
        for name, end in self.ends.items():
            pairs.append((self._name(*end), f"output.{name}" if name in self.nodes else name))
        return tuple(_merge(pairs))

    def _name(self, node: str, port: str) -> str:
        if not node:
            return f"input.{port}" if port in self.nodes else port
        return node if len(self.nodes[node].output_names()) == 1 else f"{node}.{port}"

    def _target(self, node: str, port: str) -> str:
        net = self.nodes[node]
        names = tuple(self.links[node])
        by_order = net.input_names(len(names)) == names and getattr(net, "variadic", False)
        return node if by_order or len(names) == 1 else f"{node}.{port}"

    def settings(self) -> dict[str, Any]:
        """Nodes, edges and ports, as JSON stores them."""
        links = {n: {p: list(end) for p, end in links.items()} for n, links in self.links.items()}
        ends = {name: list(end) for name, end in self.ends.items()}
        return {
            "nodes": self.nodes, "links": links, "ends": ends, "names": list(self.input_names()),
            "input": self.input, "output": self.output,
        }  # fmt: skip

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Graph:
        """The graph of these settings; sizes are solved with the whole net, once."""
        if set(settings) != {"nodes", "links", "ends", "names", "input", "output"}:
            raise FormatError("A Graph has nodes, links, ends, names, input and output.")
        made = object.__new__(cls)
        made.__dict__.update(
            nodes=MappingProxyType(dict(_table(settings["nodes"]))),
            links={name: _stored_ends(feeds) for name, feeds in _table(settings["links"]).items()},
            ends=_stored_ends(settings["ends"]),
            names=_stored_names(settings["names"]),
            input=read_specs("Graph: input", settings["input"]),
            output=read_specs("Graph: output", settings["output"]),
        )
        for name, net in made.nodes.items():
            check_part("Graph", name, net)
        _check(made)
        return made

    def __repr__(self) -> str:
        nodes = "{" + ", ".join(f"{name!r}: {net!r}" for name, net in self.nodes.items()) + "}"
        inside = [nodes, *map(repr, self.edges())]
        for side, spec in (("input", self.input), ("output", self.output)):
            inside += [] if spec is None else [f"{side}={spec_text(spec)}"]
        return f"Graph({', '.join(inside)})"


@dataclass
class _Plan:
    nodes: dict[str, Net]
    links: dict[str, dict[str, End]]
    outputs: dict[str, End]
    inputs: list[str]


def _by_name(spec: Any, names: list[str], side: str) -> Any:
    """The one stored form of declared ports: a spec for the port of the usual name, else a dict of all."""
    if names == [side]:
        return spec.get(side) if isinstance(spec, Mapping) else spec
    if isinstance(spec, Mapping):
        if extra := [name for name in spec if name not in names]:
            raise StructureError(f"Graph: there is no {side} {extra[0]!r}; there are {', '.join(names)}.")
        return MappingProxyType({name: spec.get(name) for name in names})
    if spec is not None and len(names) != 1:
        raise ArgumentError(
            f"Graph: {side}= is one type, but there are {len(names)} ports: {', '.join(names)}.",
            fix=f"{side}={{" + ", ".join(f"{name!r}: ..." for name in names) + "}",
        )
    return MappingProxyType(dict.fromkeys(names, spec))


def _from_wires(given: Any, edges: tuple[str, ...], read: dict[str, Any]) -> _Plan:
    declared: dict[str, Any] = {}
    if edges and not isinstance(given, Mapping):
        raise ArgumentError("Graph: edges go with a dict of nodes.", got=given)
    if inspect.isfunction(given) or inspect.ismethod(given):
        given, declared = _run(given, read["input"])
    outputs = _named_wires(given, edges)
    collected = Collected()
    ends = {name: collected.source(wire) for name, wire in outputs.items()}
    unused = [name for name in declared if name not in collected.inputs]
    if unused:
        raise StructureError(f"Graph: the input {unused[0]!r} is not used.", path=unused[0])
    specs = {name: collected.inputs[name].as_spec for name in declared or collected.inputs}
    if read["input"] is None:
        read["input"] = MappingProxyType(specs)
    links: dict[str, dict[str, End]] = {name: {} for name in collected.nodes}
    for source, port, name, to_port in collected.edges:
        links[name][to_port] = (source, port)
    return _Plan(collected.nodes, links, ends, list(specs))


def _named_wires(given: Any, edges: tuple[str, ...]) -> dict[str, Wire]:
    """The wires that go out, by the names of the outputs."""
    if isinstance(given, Wire):
        return {"output": given}
    if isinstance(given, tuple | list) and given and all(isinstance(wire, Wire) for wire in given):
        return {f"output{i}": wire for i, wire in enumerate(given, 1)}
    if isinstance(given, Mapping):
        if given and not edges and all(isinstance(wire, Wire) for wire in given.values()):
            return dict(given)
        for name, part in given.items():
            check_part("Graph", name, part)
        raise ArgumentError("Graph: there are no nodes.")
    raise ArgumentError(
        f"Graph is made of wires, a function of wires, or a dict of nodes and edges; got {given!r}.",
        got=given,
    )


def _run(function: Callable[..., Any], said: Any) -> tuple[Any, dict[str, Any]]:
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters):
        raise ArgumentError("Graph: the function's arguments are its inputs, so they need names.")
    names = [p.name for p in parameters if p.default is p.empty]
    ports = ["input"] if len(names) == 1 and not isinstance(said, Mapping) else names
    wires = {port: Input(name=port) for port in ports}
    return function(*wires.values()), wires


def _from_edges(nodes: dict[str, Net], edges: tuple[str, ...], read: dict[str, Any]) -> _Plan:
    for name, net in nodes.items():
        check_part("Graph", name, net)
    names = {side: ([*spec] if isinstance(spec, Mapping) else [side]) for side, spec in read.items()}
    clash = [side for side, spec in read.items() if side in nodes and not isinstance(spec, Mapping)]
    if clash:
        raise StructureError(f"Graph: {clash[0]!r} is both a node and a port.", path=clash[0])
    into: dict[str, list[tuple[str | None, End]]] = {name: [] for name in nodes}
    outputs: dict[str, End] = {}
    used: list[str] = []
    for source, target in _pairs(edges):
        end = _source(source, nodes, names["input"])
        if not end[0] and end[1] not in used:
            used.append(end[1])
        node, _, port = target.partition(".")
        if node in nodes:
            into[node].append((port or None, end))
            continue
        target = port if node == "output" and port in names["output"] else target
        if target in names["output"]:
            if target in outputs:
                raise StructureError(f"Graph: two edges lead to the output {target!r}.", path=target)
            outputs[target] = end
        else:
            _unknown(target, [*nodes, *names["output"]])
    links = {name: _feeds(name, net, into[name]) for name, net in nodes.items()}
    inputs = _open_inputs(nodes, links, used, names["input"], read["input"])
    return _Plan(nodes, links, outputs or _open_outputs(nodes, links), inputs)


def _pairs(edges: Iterable[str]) -> Iterable[tuple[str, str]]:
    for edge in edges:
        if not isinstance(edge, str):
            raise ArgumentError(f"Graph: an edge is a text like 'a -> b'; got {edge!r}.", got=edge)
        stops = [stop.strip() for stop in edge.split("->")]
        if len(stops) < 2 or not all(stops):
            raise StructureError(f"Graph: the edge {edge!r} does not say 'a -> b'.", got=edge)
        yield from zip(stops, stops[1:], strict=False)


def _source(text: str, nodes: Mapping[str, Net], inputs: list[str]) -> End:
    node, _, port = text.partition(".")
    if text in inputs and text not in nodes:
        return ("", text)
    if node == "input" and node not in nodes and port in inputs:
        return ("", port)
    if node not in nodes:
        _unknown(text, [*nodes, *inputs])
    ports = nodes[node].output_names()
    if not port and len(ports) == 1:
        return (node, ports[0])
    if port not in ports:
        raise StructureError(
            f"Graph: {text!r} is no output of {node}; it has {', '.join(ports)}.{did_you_mean(port, ports)}",
            path=node,
        )
    return (node, port)


def _unknown(name: str, known: list[str]) -> None:
    raise StructureError(
        f"Graph: an edge names {name!r}, but the nodes and ports are {', '.join(known)}."
        + did_you_mean(name, known),
        path=name,
    )


def _feeds(name: str, net: Net, edges: list[tuple[str | None, End]]) -> dict[str, End]:
    ports = net.input_names(len(edges)) if edges else net.input_names()
    feeds: dict[str, End] = {}
    for port, end in edges:
        chosen = port if port is not None else next((p for p in ports if p not in feeds), None)
        if chosen is None or (port is not None and port not in ports):
            raise StructureError(
                f"Graph: {name} ({net!r}) takes {', '.join(ports) or 'no input'}; "
                + (f"there is no {port!r}." if port else f"{len(edges)} edges lead to it."),
                path=name,
            )
        if chosen in feeds:
            raise StructureError(f"Graph: two edges lead to {name}.{chosen}.", path=name)
        feeds[chosen] = end
    return {port: feeds[port] for port in ports if port in feeds}


def _open_inputs(
    nodes: Mapping[str, Net], links: dict[str, dict[str, End]], used: list[str], named: list[str], said: Any
) -> list[str]:
    unfed = []
    for name, net in nodes.items():
        ports = net.input_names(len(links[name])) if links[name] else net.input_names()
        unfed += [(name, port) for port in ports if port not in links[name]]
    if isinstance(said, Mapping):
        unused = [name for name in named if name not in used]
        if unused and not (len(unfed) == len(unused) == 1):
            raise StructureError(f"Graph: the input {unused[0]!r} is not used.", path=unused[0])
    if used and unfed:
        raise StructureError(
            f"Graph: nothing leads to {unfed[0][0]}.{unfed[0][1]}.", fix=f"'... -> {unfed[0][0]}'"
        )
    if not unfed:
        return [name for name in named if name in used]
    inputs = []
    for node, port in unfed:
        several = sum(n == node for n, _ in unfed) > 1
        name = named[0] if len(unfed) == 1 else (f"{node}_{port}" if several else node)
        links[node][port] = ("", name)
        order = nodes[node].input_names(len(links[node]))
        links[node] = {p: links[node][p] for p in order if p in links[node]}
        inputs.append(name)
    return inputs


def _open_outputs(nodes: Mapping[str, Net], links: Mapping[str, Mapping[str, End]]) -> dict[str, End]:
    eaten = {end for feeds in links.values() for end in feeds.values()}
    free = [
        (name, port)
        for name, net in nodes.items()
        for port in net.output_names()
        if (name, port) not in eaten
    ]
    if len(free) == 1:
        return {"output": free[0]}
    several = {name for name, _ in free if sum(n == name for n, _ in free) > 1}
    return {(f"{name}_{port}" if name in several else name): (name, port) for name, port in free}


def order(nodes: Mapping[str, Net], links: Mapping[str, Mapping[str, End]]) -> list[str]:
    """The nodes of a graph, each after what feeds it."""
    feeds = {name: [end[0] for end in links[name].values() if end[0]] for name in nodes}
    try:
        return list(TopologicalSorter(feeds).static_order())
    except CycleError as error:
        cycle = error.args[1]
        raise StructureError(f"Graph: {' -> '.join(cycle[::-1])} is a cycle.", path=cycle[0]) from None


def _table(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) and key for key in value):
        raise FormatError("A Graph's nodes, links and ends are tables by name.")
    return value


def _stored_names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, tuple | list) or not all(isinstance(name, str) for name in value):
        raise FormatError("A Graph's names are texts.")
    if len(set(value)) != len(value):
        raise FormatError("A Graph's inputs have different names.")
    return tuple(value)


def _stored_ends(value: Any) -> dict[str, End]:
    ends: dict[str, End] = {}
    for name, end in _table(value).items():
        if not isinstance(end, tuple | list) or len(end) != 2 or not all(isinstance(e, str) for e in end):
            raise FormatError("A Graph's links and ends are pairs of a node's name and a port's.")
        ends[name] = (end[0], end[1])
    return ends


def _check(graph: Graph) -> None:
    nodes, links = graph.nodes, graph.links
    known = {("", name) for name in graph.input_names()}
    known |= {(name, port) for name, net in nodes.items() for port in net.output_names()}
    if set(links) != set(nodes):
        raise StructureError("Graph: nodes and links name different parts.")
    for name, net in nodes.items():
        if tuple(links[name]) != net.input_names(len(links[name])):
            missing = ", ".join(net.input_names())
            raise StructureError(f"Graph: {name} takes {missing}; got {', '.join(links[name]) or 'nothing'}.")
    for end in [*(e for feeds in links.values() for e in feeds.values()), *graph.ends.values()]:
        if end not in known:
            raise StructureError(f"Graph: there is no {'.'.join(filter(None, end))}.")
    order(nodes, links)
    if not graph.ends:
        raise StructureError("Graph: there is no output.")
    used = {end for feeds in links.values() for end in feeds.values()} | set(graph.ends.values())
    for name in graph.input_names():
        if ("", name) not in used:
            raise StructureError(f"Graph: the input {name!r} is not used.", path=name)
    for name, net in nodes.items():
        if all((name, port) not in used for port in net.output_names()):
            raise StructureError(
                f"Graph: {name} leads to nothing, so it is computed for nothing.",
                fix=f"add '{name} -> ...', or leave it out",
                path=name,
            )


def _merge(pairs: list[tuple[str, str]]) -> list[str]:
    """Pairs as fewer lines, in the same order: the last line goes on where a pair begins at its end."""
    lines: list[list[str]] = []
    for source, target in pairs:
        if lines and lines[-1][-1] == source:
            lines[-1].append(target)
        else:
            lines.append([source, target])
    return [" -> ".join(line) for line in lines]


registry.register(Graph)
