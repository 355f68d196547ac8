"""A net with other types at its outer ports: by surgery, and as what was learned from data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from retia.errors import ArgumentError, did_you_mean
from retia.nets.chain import Chain, spec_text
from retia.nets.graph import Graph
from retia.nets.layer import Layer
from retia.nets.lineage import descended
from retia.nets.net import Net
from retia.nets.ports import Spec, read_specs, specs
from retia.nets.settings import make
from retia.nets.sharing import At, Shared
from retia.nets.wiring import join


def with_ports(net: Net, input: Any = ..., output: Any = ...) -> Net:
    """The same net with other types or codecs at its ports; ``...`` leaves a side as it is.

    What parts of the net declare for such a port goes, for the net's own word is the only one then.

    Args:
        net: any net.
        input: a size, a shape, a codec, or None for nothing; a dict of these where there are several ports.
        output: the same way.
    Raises:
        ArgumentError: ports that are not there, all of them. ShapeError: types that do not fit the net.
    Example:
        >>> import retia as rt
        >>> with_ports(rt.Chain(rt.Linear(2), input=3), output=rt.Classes(["cat", "dog"]))
        Chain(Linear(2), input=3, output=Classes(('cat', 'dog')))
    """
    given = {"input": input, "output": output}
    said = {
        side: read_specs(f"with_ports: {side}", value) for side, value in given.items() if value is not ...
    }
    names = {"input": net.input_names(), "output": net.output_names()}
    wanted = {side: _by_port(side, value, names[side]) for side, value in said.items()}
    _refuse_unknown(wanted, names)
    made = net
    for side, ports in wanted.items():
        made = _cleared(made, "", side, _declaring(made, side, ports))
    set_to = {side: {n: s for n, s in ports.items() if s is not None} for side, ports in wanted.items()}
    made = with_specs(made, **set_to)
    _ = made.solution
    words = ", ".join(f"{side}={spec_text(value)}" for side, value in said.items())
    return descended(made, net, f"with_ports({words})")


def _by_port(side: str, value: Any, names: tuple[str, ...]) -> dict[str, Spec | None]:
    if isinstance(value, Mapping):
        return dict(value)
    if len(names) != 1:
        raise ArgumentError(
            f"with_ports: {side}= is one type, but there are {len(names)} ports: {', '.join(names)}.",
            fix=f"{side}={{" + ", ".join(f"{name!r}: ..." for name in names) + "}",
        )
    return {names[0]: value}


def _refuse_unknown(wanted: Mapping[str, Mapping[str, Any]], names: Mapping[str, tuple[str, ...]]) -> None:
    unknown = [
        f"there is no {side} {port!r}; there are {', '.join(names[side])}.{did_you_mean(port, names[side])}"
        for side, ports in wanted.items()
        for port in ports
        if port not in names[side]
    ]
    if unknown:
        raise ArgumentError(f"with_ports: {unknown[0]}", because=unknown[1:])


def _declaring(net: Net, side: str, ports: Mapping[str, Any]) -> dict[str, list[str]]:
    """The parts that declare something for some ports of the net, with their own names of these ports."""
    wiring = net.wiring
    values = [("", name) if side == "input" else wiring.outputs[name] for name in ports]
    found: dict[str, list[str]] = {}
    for declared in wiring.declared:
        if declared.side == side and declared.value in values:
            found.setdefault(declared.path, []).append(declared.port)
    return found


def _cleared(net: Net, path: str, side: str, doomed: Mapping[str, list[str]]) -> Net:
    """The net without what the parts in ``doomed`` declare."""
    if not any(f"{each}.".startswith(f"{path}.") or not path for each in doomed):
        return net
    if isinstance(net, Shared):
        return net.around(_cleared(net.net, path, side, doomed))
    if isinstance(net, At):
        return At(_cleared(net.net, path, side, doomed), *net.paths)
    children = {name: _cleared(part, join(path, name), side, doomed) for name, part in net.children.items()}
    if any(children[name] is not part for name, part in net.children.items()):
        net = net.with_children(children)
    ports = doomed.get(path, [])
    names = net.input_names() if side == "input" else net.output_names()
    own = specs(getattr(net, side), names, side)
    if not set(ports) & set(own):
        return net
    return _saying(net, side, {name: spec for name, spec in own.items() if name not in ports})


def with_specs(
    net: Net, input: Mapping[str, Spec] | None = None, output: Mapping[str, Spec] | None = None
) -> Net:
    """The same net, arrays and all, with these types at these ports.

    Args:
        net: any net.
        input: sizes, shapes or codecs by input port. output: the same by output port.
    Raises:
        ShapeError: they do not fit the net.
    Example:
        >>> import retia as rt
        >>> with_specs(rt.Chain(rt.Linear(2)), input={"input": 3})
        Chain(Linear(2), input=3)
    """
    if not input and not output:
        return net
    if isinstance(net, Shared):
        return net.around(with_specs(net.net, input, output))
    if not isinstance(net, Chain | Graph | Layer):
        net = Chain(net)
    for side, new in (("input", input), ("output", output)):
        if new:
            names = net.input_names() if side == "input" else net.output_names()
            net = _saying(net, side, {**specs(getattr(net, side), names, side), **new})
    _ = net.solution
    return net


def _saying(net: Net, side: str, by_port: Mapping[str, Spec]) -> Net:
    """A chain, graph or layer that declares this on one side, and nothing else there."""
    names = net.input_names() if side == "input" else net.output_names()
    said: object = {name: by_port[name] for name in names if name in by_port} or None
    if names == (side,):
        said = by_port.get(side)
    elif isinstance(net, Graph) or getattr(net, "variadic", False):
        said = {name: by_port.get(name) for name in names}
    settings = {**net.settings(), side: said}
    if isinstance(net, Layer):
        return make(type(net), settings).with_held(net.held)
    made: Net = type(net).from_settings(settings)  # type: ignore[attr-defined]
    return made
