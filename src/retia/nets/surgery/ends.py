"""Nets one after another: join, append, prepend, and what becomes of the ports where they meet."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from retia.errors import RetiaWarning, StructureError
from retia.nets.chain import Chain, check_part
from retia.nets.codec import Codec
from retia.nets.graph import End, Graph
from retia.nets.net import Net
from retia.nets.outer import with_ports
from retia.nets.ports import Spec, specs
from retia.nets.surgery.names import chained, is_automatic, newly_named, numbered, read_parts, refuse_twice
from retia.nets.surgery.paths import finished, words
from retia.nets.surgery.sketch import Sketch, apart

Given = tuple[Any, ...]


def join(net: Net, others: tuple[Net, ...]) -> Net:
    """Nets end to end. See ``Net.join``."""
    made = net
    for number, other in enumerate(others, 1):
        check_part("join", str(number), other)
        if any(isinstance(each, Chain) and not each.parts for each in (made, other)):
            made = _with_nothing(made, other)
        else:
            made = _joined(unsealed("join", made, "output"), unsealed("join", other, "input"))
    return finished(made, net, words("join", *others))


def append(net: Net, given: Given, named: Mapping[str, Any]) -> Net:
    """The net with parts after its end. See ``Net.append``."""
    parts = read_parts("append", given, named)
    before, said = _freed(net, "output")
    if parts:
        said = _not_said_by([*parts.values()][-1], said, "append", "output")
    return finished(_extended("append", before, parts, said, "output"), net, words("append", *given, **named))


def prepend(net: Net, given: Given, named: Mapping[str, Any]) -> Net:
    """The net with parts before its beginning. See ``Net.prepend``."""
    parts = read_parts("prepend", given, named)
    after, said = _freed(net, "input")
    if parts:
        said = _not_said_by(next(iter(parts.values())), said, "prepend", "input")
    return finished(_extended("prepend", after, parts, said, "input"), net, words("prepend", *given, **named))


def _extended(verb: str, net: Net, parts: Mapping[str, Net], said: dict[str, Spec], side: str) -> Net:
    """A net with parts at one side, where the types that were said of the port stay with the port."""
    if isinstance(net, Graph):
        return _graph_extended(verb, net, parts, said, side)
    own = list(net.parts.items()) if isinstance(net, Chain) else [("0", net)]
    items = numbered(verb, [*own, *parts.items()] if side == "output" else [*parts.items(), *own])
    ports = {each: getattr(net, each) if isinstance(net, Chain) else None for each in ("input", "output")}
    bare = chained(items)
    names = bare.output_names() if side == "output" else bare.input_names()
    if len(said) == len(names) == 1:
        ports[side] = next(iter(said.values()))
    else:
        ports[side] = {name: spec for name, spec in said.items() if name in names} or None
    return chained(items, **ports)


def _graph_extended(
    verb: str, graph: Graph, parts: Mapping[str, Net], said: dict[str, Spec], side: str
) -> Net:
    own = apart(graph)
    (own.output if side == "output" else own.input).clear()
    others = [apart(Chain({name: part})) for name, part in newly_named(verb, own, parts)]
    line = [own, *others] if side == "output" else [*others, own]
    sketch = line[0]
    for each in line[1:]:
        sketch = series(verb, sketch, each)
    if side == "output" and len(own.ends) == len(sketch.ends) == 1:
        sketch.ends = {next(iter(own.ends)): next(iter(sketch.ends.values()))}
    if side == "input" and len(own.inputs) == len(sketch.inputs) == 1:
        sketch.turn(("", sketch.inputs[0]), ("", own.inputs[0]))
        sketch.inputs = list(own.inputs)
    sketch.input, sketch.output = (own.input, said) if side == "output" else (said, own.output)
    names = sketch.ends if side == "output" else sketch.inputs
    for name in [name for name in said if name not in names]:
        del said[name]
    return sketch.made()


def _with_nothing(first: Net, second: Net) -> Net:
    """Two nets of which one has no parts: the other, and what the one says of the end that it stands at."""
    if isinstance(first, Chain) and not first.parts:
        return second if second.input is not None else with_ports(second, input=first.input or ...)
    return first if first.output is not None else with_ports(first, output=second.output or ...)


def _joined(first: Net, second: Net) -> Net:
    kinds = [type(net) for net in (first, second)]
    if Graph in kinds and Chain not in kinds:
        return series("join", apart(first), apart(second)).made()
    return chained(
        numbered("join", [*_children(first, "output"), *_children(second, "input")]),
        first.input if isinstance(first, Chain) else None,
        second.output if isinstance(second, Chain) else None,
    )


def _children(net: Net, side: str) -> list[tuple[str, Net]]:
    """The parts of a chain, what it says of one side's sizes said by the part there; else the net itself."""
    if not isinstance(net, Chain):
        return [("0", net)]
    sketch = apart(net)
    for name, spec in (sketch.output if side == "output" else sketch.input).items():
        sketch.say(side, name, spec)
    return list(sketch.nodes.items())


def series(verb: str, first: Sketch, second: Sketch) -> Sketch:
    """Two nets in pieces as one, outputs feeding inputs: the only ones, else those of one name.

    Outputs that feed nothing stay outputs. Inputs that nothing feeds stay inputs; one that both nets have is
    one.
    """
    met = meeting(verb, tuple(first.ends), tuple(second.inputs))
    for taken, given in met.items():
        if taken in second.input:
            second.say("input", taken, second.input.pop(taken))
        if given in first.output:
            first.say("output", given, first.output.pop(given))
    new = _names(verb, first, second)
    values: dict[End, End] = {("", name): ("", name) for name in second.inputs}
    values.update({("", taken): first.ends[given] for taken, given in met.items()})
    values.update(
        {(name, port): (new[name], port) for name, net in second.nodes.items() for port in _out(net)}
    )
    links = {new[n]: {p: values[end] for p, end in feeds.items()} for n, feeds in second.links.items()}
    left = {name: end for name, end in first.ends.items() if name not in met.values()}
    ends = {name: values[end] for name, end in second.ends.items()}
    twice = [name for name in left if name in ends]
    if twice:
        raise StructureError(f"{verb}: both nets have an output {twice[0]!r}.", path=twice[0])
    inputs = [name for name in second.inputs if name not in met and name not in first.inputs]
    return Sketch(
        {**first.nodes, **{new[name]: net for name, net in second.nodes.items()}},
        {**first.links, **links},
        {**ends, **left},
        [*first.inputs, *inputs],
        {**second.input, **first.input},
        {**second.output, **first.output},
    )


def meeting(verb: str, gives: tuple[str, ...], takes: tuple[str, ...]) -> dict[str, str]:
    """Which input is fed by which output: the only one by the only one, else by name."""
    if len(gives) == len(takes) == 1:
        return {takes[0]: gives[0]}
    common = {name: name for name in takes if name in gives}
    if not common:
        raise StructureError(
            f"{verb}: what comes before gives {', '.join(gives)}, but what comes after takes "
            f"{', '.join(takes) or 'nothing'}: no two have one name.",
            fix="say which goes where with rt.Graph",
            expected=takes,
            got=gives,
        )
    return common


def _out(net: Net) -> tuple[str, ...]:
    return net.output_names()


def _names(verb: str, first: Sketch, second: Sketch) -> dict[str, str]:
    """What the nodes of the second net are called beside those of the first."""
    own = [name for name, net in second.nodes.items() if not is_automatic(name, net)]
    refuse_twice(verb, [*first.nodes, *own])
    taken = {*first.nodes, *own}
    new = {}
    for name, net in second.nodes.items():
        if name not in own:
            base, number = type(net).__name__.lower(), 1
            new[name] = name
            while new[name] in taken:
                number += 1
                new[name] = f"{base}{number}"
            taken.add(new[name])
    return {name: new.get(name, name) for name in second.nodes}


def unsealed(verb: str, net: Net, side: str) -> Net:
    """The net without the codecs of one side, which come inside; each is told."""
    found = _codecs(net, side)
    for name, codec in found.items():
        _tell(verb, side, name, codec)
    return with_ports(net, **{side: dict.fromkeys(found)}) if found else net


def _freed(net: Net, side: str) -> tuple[Net, dict[str, Spec]]:
    """The net without codecs on one side, and all that is to be said of the port that stands there."""
    names = net.output_names() if side == "output" else net.input_names()
    own = specs(getattr(net, side), names, side) if isinstance(net, Chain | Graph) else {}
    found = _codecs(net, side)
    return with_ports(net, **{side: dict.fromkeys(found)}) if found else net, {**own, **found}


def _not_said_by(part: Net, said: dict[str, Spec], verb: str, side: str) -> dict[str, Spec]:
    """What is said of a port, unless the part that comes there says it itself."""
    new = _codecs(part, side)
    if not new:
        return said
    for name, spec in said.items():
        if isinstance(spec, Codec) and spec not in new.values():
            _tell(verb, side, name, spec)
    return {}


def _codecs(net: Net, side: str) -> dict[str, Codec]:
    """The codecs at the ports of one side, by port, as the outermost part declares them."""
    wiring = net.wiring
    ports = {n: ("", n) for n in wiring.inputs} if side == "input" else wiring.outputs
    found: dict[str, Codec] = {}
    for name, value in ports.items():
        told = [
            d for d in wiring.declared if (d.side, d.value) == (side, value) and isinstance(d.spec, Codec)
        ]
        if told:
            spec = min(told, key=lambda d: d.path.count(".") + bool(d.path)).spec
            assert isinstance(spec, Codec)
            found[name] = spec
    return found


def _tell(verb: str, side: str, port: str, codec: Codec) -> None:
    named = "" if port == side else f" of {port!r}"
    warnings.warn(
        f"{verb}: the {side} codec{named}, {codec!r}, would come inside and is dropped; "
        "codecs act at the outer ports.",
        RetiaWarning,
        stacklevel=6,  # whoever called the method
    )
