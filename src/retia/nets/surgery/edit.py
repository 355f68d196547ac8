"""Parts that come and go within a net: insert, delete, replace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from retia.errors import ArgumentError, StructureError, UnknownNameError, did_you_mean
from retia.nets.chain import Chain, check_part
from retia.nets.graph import End
from retia.nets.layer import Layer
from retia.nets.net import Net
from retia.nets.sharing import At, Shared
from retia.nets.surgery.names import chained, newly_named, numbered, read_parts
from retia.nets.surgery.paths import above, container, finished, parts, put, read_path, swap, words
from retia.nets.surgery.sketch import Sketch, Wire, apart
from retia.nets.wiring import join


def insert(net: Net, place: Any, given: tuple[Any, ...], named: Mapping[str, Any], after: bool) -> Net:
    """The net with parts before or after another one, or on an edge. See ``Net.insert``."""
    new = read_parts("insert", given, named)
    if isinstance(place, str) and "->" in place:
        if after:
            raise ArgumentError(f"insert: {place!r} is an edge, and parts are put on it; leave out after=.")
        parent, edge = _read_edge(net, place)
        made = put("insert", net, parent, lambda at: _on_edge(at, edge, new), within=True)
    else:
        parent, name = above(read_path("insert", net, place))
        made = put("insert", net, parent, lambda at: _beside(at, name, new, after), within=True)
    told = words("insert", place, *given, **named, **({"after": True} if after else {}))
    return finished(made, net, told)


def delete(net: Net, places: tuple[Any, ...]) -> Net:
    """The net without some parts. See ``Net.delete``."""
    paths: list[str] = []
    for place in places:
        paths += _matching("delete", net, place) if _is_pattern(place) else [read_path("delete", net, place)]
    order = {path: number for number, (path, _) in enumerate(parts(net))}
    made = net
    for path in sorted(dict.fromkeys(paths), key=lambda path: order.get(path, 0), reverse=True):
        parent, name = above(path)
        made = put("delete", made, parent, _without(name), within=True)
    return finished(made, net, words("delete", *places))


def replace(net: Net, what: Any, new: Any) -> Net:
    """The net with other parts in the place of some. See ``Net.replace``."""
    if not isinstance(new, Net) and (isinstance(new, type) or not callable(new)):
        check_part("replace", "new", new)
    if isinstance(what, type) or (callable(what) and not isinstance(what, Net)):
        made = _replaced_layers(net, what, new)
    else:
        several = _is_pattern(what)
        made = net
        for path in _matching("replace", net, what) if several else [read_path("replace", net, what)]:
            made = put("replace", made, path, lambda old: _new_for(old, new))
    return finished(made, net, words("replace", what, new))


def _new_for(old: Net, new: Any) -> Net:
    made = new if isinstance(new, Net) else new(old)
    check_part("replace", "new", made)
    return made


def _is_pattern(what: Any) -> bool:
    return isinstance(what, str) and any(sign in what for sign in "*?[")


def _matching(verb: str, net: Net, pattern: str) -> list[str]:
    """The outermost parts whose paths a pattern matches."""
    known = [path for path, _ in parts(net)]
    found: list[str] = []
    for path in known:
        if fnmatchcase(path, pattern) and not (found and path.startswith(f"{found[-1]}.")):
            found.append(path)
    if not found:
        raise UnknownNameError(
            f"{verb}: {pattern!r} matches no part.{did_you_mean(pattern, known)}",
            fix=f"the net has {', '.join(known[:8])}{', ...' if len(known) > 8 else ''}",
            path=pattern,
        )
    return found


def _replaced_layers(net: Net, wanted: Any, new: Any) -> Net:
    """The net with every layer replaced that is of a class, or that a function says yes to."""
    found = []

    def change(path: str, layer: Layer) -> Net:
        if not (isinstance(layer, wanted) if isinstance(wanted, type) else wanted(layer)):
            return layer
        found.append(path)
        return _new_for(layer, new)

    made = _mapped("replace", net, change, "", {})
    if not found:
        known = sorted({type(layer).__name__ for _, layer in net.layers()})
        name = wanted.__name__ if isinstance(wanted, type) else "the function"
        raise UnknownNameError(
            f"replace: {name} matches no layer.{did_you_mean(name, known)}",
            fix=f"the net has layers of {', '.join(known)}" if known else None,
        )
    return made


def map_layers(net: Net, change: Callable[[str, Layer], Net]) -> Net:
    """The net with every layer changed. See ``Net.map_layers``."""

    def checked(path: str, layer: Layer) -> Net:
        new = change(path, layer)
        check_part("map_layers", above(path)[1] or "net", new)
        return new

    return finished(_mapped("map_layers", net, checked, "", {}), net, words("map_layers", change))


def _mapped(
    verb: str, net: Net, change: Callable[[str, Layer], Net], path: str, shared: dict[str, Net]
) -> Net:
    """The net with its layers changed, those within an operator before it, what is shared once."""
    if isinstance(net, Shared):
        if net.only or net.name not in shared:
            inner = _mapped(verb, net.net, change, path, shared)
            around = net if inner is net.net else net.around(inner)
            if net.only:
                return around
            shared[net.name] = around
        return shared[net.name]
    if isinstance(net, At):
        inner = _mapped(verb, net.net, change, path, shared)
        return net if inner is net.net else At(inner, *net.paths)
    made = net
    for name, part in net.children.items():
        new = _mapped(verb, part, change, join(path, name), shared)
        made = made if new is part else swap(verb, made, name, new)
    return change(path, made) if isinstance(made, Layer) else made


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


def _without(name: str) -> Callable[[Net], Net]:
    def change(at: Net) -> Net:
        whole = container("delete", at)
        if isinstance(whole, Chain):
            items = [(each, part) for each, part in whole.parts.items() if each != name]
            return chained(numbered("delete", items), whole.input, whole.output)
        sketch = apart(whole)
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
        return sketch.made()

    return change


def _several(verb: str, said: str, wires: list[str], name: str) -> StructureError:
    """The error of a place with more than one wire."""
    what = "on which of them the new parts stand" if verb == "insert" else "what would take its place"
    fix = f"net.insert({wires[0]!r}, ...)" if wires and verb == "insert" else f"net.replace({name!r}, ...)"
    listed = f": {', '.join(wires)}" if wires else ""
    return StructureError(f"{verb}: {said}, so nothing says {what}{listed}.", fix=fix, path=name, got=wires)
