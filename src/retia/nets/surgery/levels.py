"""Nets within nets: flatten, nest, and inner values as outputs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import count
from typing import Any

from retia.errors import ArgumentError, StructureError
from retia.nets.chain import Chain, check_part
from retia.nets.codec import Codec
from retia.nets.graph import End, Graph
from retia.nets.net import Net
from retia.nets.operator import Operator
from retia.nets.ports import Spec
from retia.nets.sharing import At, Shared
from retia.nets.surgery.names import chained, numbered, refuse_twice
from retia.nets.surgery.paths import above, container, finished, put, read_path, swap, words
from retia.nets.surgery.sketch import Sketch, apart


def flatten(net: Net, levels: int | None) -> Net:
    """The net with its nested chains and graphs dissolved. See ``Net.flatten``."""
    if levels is not None and (isinstance(levels, bool) or not isinstance(levels, int) or levels < 0):
        raise ArgumentError(
            f"flatten: levels is a whole number from 0 on, or None; got {levels!r}.", got=levels
        )
    return finished(_flat(net, levels), net, words("flatten", *([] if levels is None else [levels])))


def _flat(net: Net, levels: int | None) -> Net:
    if isinstance(net, Shared):
        return net.around(_flat(net.net, levels))
    if isinstance(net, Operator):
        return swap("flatten", net, {"net": _flat(net.net, levels)})
    if not isinstance(net, Chain | Graph) or levels == 0:
        return net
    below = None if levels is None else levels - 1
    sketch, chains = apart(net), isinstance(net, Chain)
    for name, part in net.children.items():
        flat = _flat(part, below)
        if isinstance(flat, Chain | Graph):
            chains = chains and isinstance(flat, Chain)
            _dissolve(sketch, name, flat)
        elif flat is not part:
            sketch.refit(name, flat, "flatten")
    line = list(sketch.nodes) if chains else _line(sketch)
    if line is None:
        return (sketch if isinstance(net, Graph) else _named(sketch)).made()
    items = numbered("flatten", [(name, sketch.nodes[name]) for name in line])
    return chained(items, _said(sketch.input), _said(sketch.output))


def _said(specs: Mapping[str, Spec]) -> Any:
    """Types as a chain says them: of its only port alone."""
    return next(iter(specs.values()), None) if len(specs) < 2 else dict(specs)


def _dissolve(sketch: Sketch, name: str, net: Net) -> None:
    """Put the parts of a node into the net around it; what it says of its ports, those that are left say."""
    feeds = sketch.links.pop(name)
    inner = apart(net, feeds)
    new = _inner_names(sketch, name, inner)
    values: dict[End, End] = {("", port): end for port, end in feeds.items()}
    values.update(
        {(n, port): (new[n], port) for n, part in inner.nodes.items() for port in part.output_names()}
    )
    for port, spec in inner.input.items():
        node, fed = feeds[port]
        _say(sketch.input, inner, "input", port, spec, None if node else fed)
    for port, spec in inner.output.items():
        outer = next((out for out, end in sketch.ends.items() if end == (name, port)), None)
        _say(sketch.output, inner, "output", port, spec, outer)
    nodes = list(sketch.nodes.items())
    place = list(sketch.nodes).index(name)
    nodes[place : place + 1] = [(new[n], part) for n, part in inner.nodes.items()]
    sketch.nodes = dict(nodes)
    for n, links in inner.links.items():
        sketch.links[new[n]] = {port: values[end] for port, end in links.items()}
    for port, end in inner.ends.items():
        sketch.turn((name, port), values[end])


def _say(said: dict[str, Spec], inner: Sketch, side: str, port: str, spec: Spec, outer: str | None) -> None:
    """Let the outer port say what an inner one said; a size that comes inside is said by the part there."""
    if outer is not None:
        said.setdefault(outer, spec)
    elif not isinstance(spec, Codec):
        inner.say(side, port, spec)


def _inner_names(sketch: Sketch, name: str, inner: Sketch) -> dict[str, str]:
    """What the parts of a node are called in the net around it: those without names stay without."""
    taken = {*sketch.nodes} - {name}
    numbers = count(1 + max([int(each) for each in (*taken, "0") if each.isdigit()]))
    new = {}
    for each in inner.nodes:
        base = f"{name}_{each}"
        if name.isdigit():
            base = str(next(numbers)) if each.isdigit() else each
        new[each] = base
        again = count(2)
        while new[each] in taken:
            new[each] = f"{base}_{next(again)}"
        taken.add(new[each])
    return new


def _line(sketch: Sketch) -> list[str] | None:
    """The nodes in their order, where each feeds the next alone and the ports are those of the ends."""
    if len(sketch.inputs) != 1 or len(sketch.ends) != 1 or not sketch.nodes:
        return None
    wires = list(sketch.wires())
    line: list[str] = []
    at = ("", sketch.inputs[0])
    while True:
        out = [wire for wire in wires if wire[0] == at]
        if len(out) != 1:
            return None
        _, node, port = out[0]
        if not node:
            break
        gives = sketch.nodes[node].output_names()
        if len(sketch.links[node]) != 1 or len(gives) != 1 or (not line and port != sketch.inputs[0]):
            return None
        line.append(node)
        at = (node, gives[0])
    return line if len(line) == len(sketch.nodes) and at[1] in sketch.ends else None


def _named(sketch: Sketch) -> Sketch:
    """Parts that had numbers in a chain, named as a graph names them."""
    new: dict[str, str] = {}
    for name, net in sketch.nodes.items():
        if name.isdigit():
            new[name] = sketch.free_name(type(net).__name__.lower(), new.values())
    return sketch.renamed(new)


def nest(net: Net, name: str, start: Any, stop: Any) -> Net:
    """The net with some parts as one named part. See ``Net.nest``."""
    parents = {above(place)[0] for place in (start, stop) if isinstance(place, str)}
    if len(parents) > 1:
        raise ArgumentError(
            f"nest: {start} and {stop} stand in different parts of the net.", got=(start, stop)
        )
    parent = parents.pop() if parents else ""
    ends = [
        above(read_path("nest", net, place))[1] if isinstance(place, str) else place
        for place in (start, stop)
    ]
    made = put("nest", net, parent, lambda at: _nested(container("nest", at), name, *ends), within=True)
    return finished(made, net, words("nest", name, start, stop))


def _nested(whole: Chain | Graph, name: str, start: Any, stop: Any) -> Net:
    check_part("nest", name, whole)
    if isinstance(whole, Chain):
        names = list(whole.parts)
        places = [names.index(place) if isinstance(place, str) else place for place in (start, stop)]
        first, last, _ = slice(*places).indices(len(names))
        items = list(whole.parts.items())
        _refuse_nothing(items[first:last], start, stop)
        inner = chained(numbered("nest", items[first:last]))
        parts = [*items[:first], (name, inner), *items[last:]]
        return chained(numbered("nest", parts), whole.input, whole.output)
    for place in (start, stop):
        if place is not None:
            read_path("nest", whole, place)
    sketch = apart(whole)
    chosen = sketch.before(stop) if stop is not None else set(sketch.nodes)
    chosen -= sketch.before(start) if start is not None else set()
    _refuse_nothing(chosen, start, stop)
    return _gathered(sketch, name, chosen).made()


def _refuse_nothing(chosen: Collection[Any], start: Any, stop: Any) -> None:
    if not chosen:
        raise ArgumentError(f"nest: there is no part from {start!r} to before {stop!r}.", got=(start, stop))


def _gathered(sketch: Sketch, name: str, chosen: set[str]) -> Sketch:
    """The net with some nodes as one."""
    wires = list(sketch.wires())
    into = dict.fromkeys(end for end, node, _ in wires if node in chosen and end[0] not in chosen)
    out = dict.fromkeys(end for end, node, _ in wires if node not in chosen and end[0] in chosen)
    takes, gives = _port_names(sketch, into, "input"), _port_names(sketch, out, "output")
    inner = Sketch(
        {node: net for node, net in sketch.nodes.items() if node in chosen},
        {
            node: {p: ("", takes[e]) if e in takes else e for p, e in sketch.links[node].items()}
            for node in chosen
        },
        {port: end for end, port in gives.items()},
        list(takes.values()),
        {},
        {},
    )
    nodes: dict[str, Net] = {}
    for node, net in sketch.nodes.items():
        if node not in chosen:
            nodes[node] = net
        elif name not in nodes:
            nodes[name] = inner.made()
    refuse_twice("nest", [*(node for node in sketch.nodes if node not in chosen), name])
    links = {node: feeds for node, feeds in sketch.links.items() if node not in chosen}
    links[name] = {port: end for end, port in takes.items()}
    made = Sketch(nodes, links, sketch.ends, sketch.inputs, sketch.input, sketch.output)
    for end, port in gives.items():
        made.turn(end, (name, port))
    return made


def _port_names(sketch: Sketch, ends: Collection[End], alone: str) -> dict[End, str]:
    """Names of ports for values: the usual one for the only, else by what gives them."""
    if len(ends) == 1:
        return {next(iter(ends)): alone}
    found: dict[End, str] = {}
    for node, port in ends:
        one = not node or len(sketch.nodes[node].output_names()) == 1
        found[node, port] = (node or port) if one else f"{node}_{port}"
    return found


def expose(net: Net, paths: tuple[str, ...], named: Mapping[str, str]) -> Net:
    """The net with inner values as further outputs. See ``Net.expose``."""
    made = net
    wanted = [(path.replace(".", "_") if isinstance(path, str) else "", path) for path in paths]
    for name, path in [*wanted, *named.items()]:
        made = _exposed(made, read_path("expose", net, path).split("."), name)
    return finished(made, net, words("expose", *paths, **named))


def _exposed(net: Net, names: list[str], output: str) -> Net:
    """A net with an output for an inner value; a chain becomes a graph of the same names."""
    if isinstance(net, Shared | Operator | At):
        what = "is shared" if isinstance(net, Shared) else f"runs within {net!r}"
        raise StructureError(
            f"expose: {'.'.join(names)} {what}, so that it has no value of its own in the net around it.",
            fix="expose the part around it",
        )
    sketch = apart(container("expose", net))
    name, *rest = names
    if output in sketch.ends:
        raise StructureError(
            f"expose: there is an output {output!r} already.",
            fix=f"net.expose(another={name!r})",
            path=output,
        )
    if rest:
        sketch.nodes[name] = _exposed(sketch.nodes[name], rest, output)
        sketch.ends[output] = (name, output)
        return sketch.made()
    ports = sketch.nodes[name].output_names()
    for port in ports:
        sketch.ends[output if len(ports) == 1 else f"{output}_{port}"] = (name, port)
    return sketch.made()
