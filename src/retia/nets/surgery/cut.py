"""Cutting a net in two at a path: slices of graphs, take, drop, split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from retia.errors import ArgumentError, StructureError
from retia.nets.chain import Chain
from retia.nets.graph import End, Graph
from retia.nets.net import Net
from retia.nets.sharing import Shared
from retia.nets.surgery.ends import meeting
from retia.nets.surgery.names import renamed
from retia.nets.surgery.paths import container, finished, put, read_path, words
from retia.nets.surgery.sketch import Sketch, Wire, apart
from retia.nets.wiring import join

Halves = tuple[Net, Net]


def sliced(net: Net, key: slice) -> Net:
    """What stands from a path on and before another one. See ``Net.__getitem__``."""
    if key.step is not None:
        raise ArgumentError(f"A {type(net).__name__} is not sliced with a step.", got=key.step)
    said = f"{type(net).__name__}[{_said(key.start)}:{_said(key.stop)}]"
    made = net
    if key.stop is not None:
        made = divided(said, made, read_path(said, net, key.stop))[0]
    if key.start is not None:
        start = read_path(said, net, key.start)
        if key.stop is not None and not _has(made, start):
            raise StructureError(f"{said}: {key.stop} does not come after {key.start}.", path=start)
        made = divided(said, made, start)[1]
    return finished(made, net, said.removeprefix(type(net).__name__))


def take(net: Net, what: Any, to: Any = None) -> Net:
    """The beginning of a net. See ``Net.take``."""
    told = words("take", what, *([] if to is None else [to]))
    if to is None:
        return finished(_halves("take", net, what)[from_the_end(what)], net, told)
    if isinstance(what, int) or isinstance(to, int):
        raise ArgumentError(f"take: from one part to another one goes by names; got {what!r}, {to!r}.")
    start, stop = read_path("take", net, what), read_path("take", net, to)
    first = divided("take", net, stop, after=True)[0]
    if not _has(first, start):
        raise StructureError(f"take: {stop} does not come after {start}.", path=start)
    return finished(divided("take", first, start)[1], net, told)


def drop(net: Net, what: Any) -> Net:
    """The rest of a net without its beginning. See ``Net.drop``."""
    return finished(_halves("drop", net, what)[not from_the_end(what)], net, words("drop", what))


def split(net: Net, path: Any) -> Halves:
    """What a part depends on, and the rest. See ``Net.split``."""
    first, second = divided("split", net, read_path("split", net, path), strict=False)
    told = words("split", path)
    return finished(first, net, f"{told}[0]"), finished(second, net, f"{told}[1]")


def from_the_end(what: Any) -> bool:
    """Whether a number counts from the end."""
    return isinstance(what, int) and what < 0


def _halves(verb: str, net: Net, what: Any) -> Halves:
    if isinstance(what, str):
        return divided(verb, net, read_path(verb, net, what), after=True)
    if isinstance(what, bool) or not isinstance(what, int):
        raise ArgumentError(f"{verb}: a number of parts, or the path of the last; got {what!r}.", got=what)
    if not isinstance(net, Chain):
        raise ArgumentError(
            f"{verb}: numbers count the parts of a chain; those of a {type(net).__name__} have names: "
            f"{', '.join(net.children) or 'none'}.",
            got=what,
        )
    if abs(what) > len(net):
        raise ArgumentError(f"{verb}: {abs(what)} of {len(net)} parts.", expected=len(net), got=what)
    return net[:what], net[what:]


def divided(
    verb: str, net: Net, path: str, *, after: bool = False, strict: bool = True, around: str = ""
) -> Halves:
    """A net in two: what a part depends on, and the rest, the part among it.

    Args:
        verb: as errors call the operation.
        path: of the part.
        after: the part belongs to the first half.
        strict: refuse to cut wires that pass by the part; else both halves have ports for them.
        around: path of the net itself, as errors tell it.
    Raises:
        StructureError: wires that pass by; a part within what cannot be cut in two.
    """
    name, _, rest = path.partition(".")
    whole = container(verb, net)
    if rest:
        inside = whole.children[name]
        if not isinstance(inside, Chain | Graph):
            what = "is shared" if isinstance(inside, Shared) else f"runs within {name}"
            raise StructureError(
                f"{verb}: {path} {what}, so that the net cannot be cut there.",
                fix=f"cut at {name!r}",
                path=path,
            )
        first, second = divided(verb, inside, rest, after=after, strict=strict, around=join(around, name))
        if not first.children or not second.children:
            after = not second.children
        elif isinstance(whole, Chain):
            return _apart_in_chain(verb, whole, name, first, second)
        else:
            return _apart_in_graph(verb, whole, name, (first, second), strict, around)
    if isinstance(whole, Chain):
        place = list(whole.parts).index(name) + after
        return whole[:place], whole[place:]
    return _cut(verb, apart(whole), name, after=after, strict=strict, around=around, shown={})


def _has(net: Net, path: str) -> bool:
    at = net
    for name in path.split("."):
        if name not in at.children:
            return False
        at = at.children[name]
    return True


def _apart_in_chain(verb: str, chain: Chain, name: str, first: Net, second: Net) -> Halves:
    place = list(chain.parts).index(name)
    head, tail = chain[: place + 1], chain[place:]
    return (
        put(verb, head, list(head.children)[-1], lambda _: first),
        put(verb, tail, next(iter(tail.children)), lambda _: second),
    )


def _apart_in_graph(verb: str, graph: Graph, name: str, halves: Halves, strict: bool, around: str) -> Halves:
    """Put both halves of a node into the graph, and cut between them."""
    first, second = halves
    sketch = apart(graph)
    feeds, later = sketch.links[name], sketch.free_name(name)
    nodes = [*sketch.nodes.items()]
    place = list(sketch.nodes).index(name)
    sketch.nodes = dict([*nodes[:place], (name, first), (later, second), *nodes[place + 1 :]])
    for port in second.output_names():
        sketch.turn((name, port), (later, port))
    met = meeting(verb, first.output_names(), second.input_names())
    sketch.links[name] = {port: feeds[port] for port in first.input_names()}
    sketch.links[later] = {
        port: (name, met[port]) if port in met else feeds[port] for port in second.input_names()
    }
    before, rest = _cut(verb, sketch, later, after=False, strict=strict, around=around, shown={later: name})
    return before, put(verb, rest, "", lambda net: renamed(container(verb, net), {later: name}))


def _cut(
    verb: str,
    sketch: Sketch,
    name: str,
    *,
    after: bool,
    strict: bool,
    around: str,
    shown: Mapping[str, str],
) -> Halves:
    left = sketch.before(name) | ({name} if after else set())
    right = [node for node in sketch.nodes if node not in left]
    if not left or not right:
        whole = sketch.made()
        return (whole, Chain()) if left else (Chain(), whole)
    across = [wire for wire in _across(sketch, left) if wire[1]]
    if strict:
        dangling = [wire for wire in across if (wire[0][0] != name if after else wire[1] != name)]
        path = join(around, shown.get(name, name))
        said = f"{verb}: the cut {'after' if after else 'before'} {path} would leave"
        _refuse_dangling(said, [sketch.told(wire, shown) for wire in dangling], path)
    crossing = list(dict.fromkeys(wire[0] for wire in across if wire[0][0]))
    first, second = _half(sketch, [*left]), _half(sketch, right)
    if len(crossing) == 1 and not first.ends and not second.inputs:
        given, taken = {crossing[0]: "output"}, {crossing[0]: "input"}
    else:
        given = taken = {end: _crossing_name(sketch, end, right) for end in crossing}
    first.ends.update({port: end for end, port in given.items()})
    second.inputs += taken.values()
    for end, port in taken.items():
        second.turn(end, ("", port))
    return first.made(), second.made()


def _across(sketch: Sketch, left: set[str]) -> Iterable[Wire]:
    """The wires that lead from one half into the other, also from an input that both of them read."""
    read = {end for node in left for end in sketch.links[node].values()}
    for wire in sketch.wires():
        end, target, _ = wire
        if target not in left and (end[0] in left or (not end[0] and end in read)):
            yield wire


def _refuse_dangling(said: str, wires: list[str], path: str) -> None:
    if wires:
        within = f" within {path.rpartition('.')[0]}" if "." in path else ""
        one = len(wires) == 1
        raise StructureError(
            f"{said} {'a wire' if one else f'{len(wires)} wires'}{within} dangling: {', '.join(wires)}.",
            fix=f"cut where nothing passes by, or net.split({path!r}), whose parts have ports for "
            + ("it" if one else "them"),
            path=path,
            got=wires,
        )


def _crossing_name(sketch: Sketch, end: End, right: list[str]) -> str:
    node, port = end
    name = node if len(sketch.nodes[node].output_names()) == 1 else f"{node}_{port}"
    taken = {*sketch.inputs, *sketch.ends, *right}
    while name in taken:
        name += "_"
    return name


def _half(sketch: Sketch, nodes: list[str]) -> Sketch:
    """Some nodes with the net's own ports that are theirs."""
    chosen = [name for name in sketch.nodes if name in nodes]
    links = {name: dict(sketch.links[name]) for name in chosen}
    ends = {name: end for name, end in sketch.ends.items() if end[0] in nodes}
    read = {end for feeds in links.values() for end in feeds.values()}
    inputs = [name for name in sketch.inputs if ("", name) in read]
    return Sketch(
        {name: sketch.nodes[name] for name in chosen},
        links,
        ends,
        inputs,
        {name: spec for name, spec in sketch.input.items() if name in inputs},
        {name: spec for name, spec in sketch.output.items() if name in ends},
    )


def _said(place: Any) -> str:
    return "" if place is None else repr(place)
