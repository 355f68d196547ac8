"""Parts that come and go within a net: insert and delete."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from retia.errors import ArgumentError, StructureError, did_you_mean
from retia.nets.chain import Chain
from retia.nets.graph import End
from retia.nets.net import Net
from retia.nets.surgery.names import chained, newly_named, numbered, read_parts
from retia.nets.surgery.paths import (
    above,
    container,
    deep,
    finished,
    is_pattern,
    matching_paths,
    put,
    read_path,
    words,
)
from retia.nets.surgery.sketch import Sketch, Wire, apart
from retia.nets.wiring import join


def insert(net: Net, place: Any, given: tuple[Any, ...], named: Mapping[str, Any], after: bool) -> Net:
    """The net with parts before or after another one, or on an edge. See ``Net.insert``."""
    new = read_parts("insert", given, named)
    told = words("insert", place, *given, **named, **({"after": True} if after else {}))
    if isinstance(place, str) and "->" in place:
        if after:
            raise ArgumentError(f"insert: {place!r} is an edge, and parts are put on it; leave out after=.")
        parent, edge = _read_edge(net, place)
        made = put("insert", net, parent, lambda at: _on_edge(at, edge, new), within=True)
    else:
        if isinstance(net, Chain) and place == len(net) > 0:
            place, after = place - 1, True
        parent, name = above(read_path("insert", net, place))
        made = put("insert", net, parent, lambda at: _beside(at, name, new, after), within=True)
    return finished(made, net, told)


def delete(net: Net, places: tuple[Any, ...]) -> Net:
    """The net without some parts. See ``Net.delete``."""
    paths: list[str] = []
    for place in places:
        if is_pattern(place):
            paths += matching_paths("delete", net, place)
        else:
            paths.append(read_path("delete", net, place))
    by_parent: dict[str, list[str]] = {}
    for path in dict.fromkeys(paths):
        parent, name = above(path)
        by_parent.setdefault(parent, []).append(name)
    made = net
    for parent in sorted(by_parent, key=deep, reverse=True):
        made = put("delete", made, parent, _without(by_parent[parent]), within=True)
    return finished(made, net, words("delete", *places))


def _beside(at: Net, name: str, new: Mapping[str, Net], after: bool) -> Net:
    whole = container("insert", at)
    if isinstance(whole, Chain):
        return _in_chain(whole, list(whole.parts).index(name) + after, new)
    sketch = apart(whole)
    if after:
        ports = sketch.nodes[name].output_names()
        if len(ports) != 1:
            said = f"{name} has {len(ports)} outputs"
            raise _several("insert", said, [f"{name}.{port} -> ..." for port in ports], name)
        fed = [wire for wire in sketch.wires() if wire[0] == (name, ports[0])]
    else:
        fed = [wire for wire in sketch.wires() if wire[1] == name]
        if len(fed) != 1:
            said = f"{len(fed)} wires lead to {name}" if fed else f"no wire leads to {name}"
            raise _several("insert", said, [sketch.told(wire) for wire in fed], name)
    return _on_wires(sketch, fed, new)


def _on_edge(at: Net, edge: str, new: Mapping[str, Net]) -> Net:
    whole = container("insert", at)
    sketch = apart(whole)
    source, target = (text.strip() for text in edge.split("->"))
    wires = list(sketch.wires())
    found = [wire for wire in wires if source in _said(wire[0]) and target in _said(wire[1:])]
    if len(found) != 1:
        told = [sketch.told(wire) for wire in found or wires]
        said = f"{len(found)} wires are {edge!r}." if found else f"there is no wire {edge!r}."
        raise StructureError(
            f"insert: {said}{'' if found else did_you_mean(edge, told)}",
            fix=f"the wires are {', '.join(told[:8])}{', ...' if len(told) > 8 else ''}",
            path=edge,
            expected=told,
        )
    if isinstance(whole, Chain):
        names = list(whole.parts)
        return _in_chain(whole, names.index(found[0][1]) if found[0][1] else len(names), new)
    return _on_wires(sketch, found, new)


def _said(end: End) -> tuple[str, ...]:
    """How an edge may name a value, or what it leads to."""
    node, port = end
    return (node, f"{node}.{port}") if node else (port,)


def _read_edge(net: Net, edge: str) -> tuple[str, str]:
    """The chain or graph in which an edge is, and the edge as that would say it."""
    stops = [stop.strip().split(".") for stop in edge.split("->")]
    if len(stops) != 2 or not all(name for stop in stops for name in stop):
        raise ArgumentError(f"insert: an edge is written 'a -> b'; got {edge!r}.", got=edge)
    (*source,), (*target,) = stops
    path, at = "", net
    while min(len(source), len(target)) > 1 and source[0] == target[0] and source[0] in at.children:
        path, at = join(path, source[0]), at.children[source[0]]
        source, target = source[1:], target[1:]
    return path, f"{'.'.join(source)} -> {'.'.join(target)}"


def _in_chain(chain: Chain, place: int, new: Mapping[str, Net]) -> Net:
    items = list(chain.parts.items())
    items[place:place] = new.items()
    return chained(numbered("insert", items), chain.input, chain.output)


def _on_wires(sketch: Sketch, fed: list[Wire], new: Mapping[str, Net]) -> Net:
    """The graph with a line of parts between a value and some of what it feeds."""
    last = fed[0][0]
    nodes = list(sketch.nodes.items())
    place = list(sketch.nodes).index(last[0]) + 1 if last[0] else 0
    for node, part in newly_named("insert", sketch, new):
        takes, gives = part.input_names(1), part.output_names()
        if len(takes) != 1 or len(gives) != 1:
            raise StructureError(
                f"insert: {part!r} takes {', '.join(takes) or 'nothing'} and gives {', '.join(gives)}; "
                "what stands on a wire has one input and one output.",
                fix="say which goes where with rt.Graph",
            )
        nodes.insert(place, (node, part))
        sketch.nodes, sketch.links[node] = dict(nodes), {takes[0]: last}
        last, place = (node, gives[0]), place + 1
    for _, target, port in fed:
        (sketch.links[target] if target else sketch.ends)[port] = last
    return sketch.made()


def _without(names: list[str]) -> Callable[[Net], Net]:
    def change(at: Net) -> Net:
        whole = container("delete", at)
        if isinstance(whole, Chain):
            items = [(name, part) for name, part in whole.parts.items() if name not in names]
            return chained(numbered("delete", items), whole.input, whole.output)
        sketch = apart(whole)
        for name in names:
            _bridge(sketch, name)
        return sketch.made()

    return change


def _bridge(sketch: Sketch, name: str) -> None:
    """Take a node out; what fed it feeds what it fed."""
    into = [wire for wire in sketch.wires() if wire[1] == name]
    out = [wire for wire in sketch.wires() if wire[0][0] == name]
    gives = sketch.nodes[name].output_names()
    if len(into) != 1:
        said = f"{len(into)} wires lead to {name}" if into else f"no wire leads to {name}"
        raise _several("delete", said, [sketch.told(wire) for wire in into or out], name)
    if len(gives) != 1:
        raise _several("delete", f"{name} has {len(gives)} outputs", [*map(sketch.told, out)], name)
    sketch.turn((name, gives[0]), into[0][0])
    del sketch.nodes[name], sketch.links[name]


def _several(verb: str, said: str, wires: list[str], name: str) -> StructureError:
    """The error of a place with more than one wire."""
    what = "on which of them the new parts stand" if verb == "insert" else "what would take its place"
    fix = f"net.insert({wires[0]!r}, ...)" if wires and verb == "insert" else f"net.replace({name!r}, ...)"
    listed = f": {', '.join(wires)}" if wires else ""
    return StructureError(f"{verb}: {said}, so nothing says {what}{listed}.", fix=fix, path=name, got=wires)
