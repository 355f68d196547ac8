"""A net with other types at its outer ports: how what was learned from data becomes part of it."""

from __future__ import annotations

from collections.abc import Mapping

from retia.nets.chain import Chain
from retia.nets.graph import Graph
from retia.nets.layer import Layer
from retia.nets.net import Net
from retia.nets.ports import Spec, specs
from retia.nets.settings import make
from retia.nets.sharing import Shared


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
        return Shared(net.name, with_specs(net.net, input, output))
    if not isinstance(net, Chain | Graph | Layer):
        net = Chain(net)
    said = {
        "input": _merged(net.input, net.input_names(), "input", input or {}),
        "output": _merged(net.output, net.output_names(), "output", output or {}),
    }
    if isinstance(net, Layer):
        return make(type(net), {**net.settings(), **said}).with_held(net.held)
    made = type(net).from_settings({**net.settings(), **said})
    _ = made.solution
    return made


def _merged(old: object, names: tuple[str, ...], side: str, new: Mapping[str, Spec]) -> object:
    if not new:
        return old
    merged = {**specs(old, names, side), **new}
    return next(iter(merged.values())) if names == (side,) else merged
