"""Ensembles: several nets as one, which answers the mean of what they answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from retia.engine.ending import ENDINGS
from retia.errors import ArgumentError, StructureError
from retia.layers import LogSoftmax, Plus, Sigmoid, Softmax
from retia.layers.functions import Elementwise
from retia.nets.graph import Graph
from retia.nets.layer import Layer
from retia.nets.net import Net, missing_arrays
from retia.nets.ports import Port
from retia.nets.wires import Input, Wire

TINY = 1e-37
"""Added to probabilities before their logarithm is taken, for 0 has none; far less than float32 can tell."""


def ensemble(nets: Sequence[Net] | Mapping[str, Net]) -> Net:
    """One net that answers the mean of what several nets answer.

    It is a net like any other: called, measured, sliced, trained on and saved in one file. Probabilities are
    averaged as probabilities, also where nets end in logits; numbers as numbers.

    Args:
        nets: two or more, with all their arrays and the same ports, as ``[run.net for run in runs]``; or a
            dict of them. Their arrays stand under their names, ``"net1.0.weight"``; in a list they are
            called ``net1``, ``net2``, ...
    Raises:
        ArgumentError: fewer than two nets. StructureError: ports that differ. ArraysError: missing arrays.
    Source: Hansen and Salamon 1990, *Neural Network Ensembles*.
    Example:
        >>> import retia as rt
        >>> runs = rt.train(rt.Linear(1), ([[0.0], [1.0]], [[1.0], [3.0]]), seed=range(3), progress=False)
        >>> net = rt.ensemble([run.net for run in runs])
        >>> alone = [float(run.net([2.0])) for run in runs]
        >>> bool(abs(net([2.0]) - sum(alone) / 3) < 1e-6)
        True
    """
    members = _named(nets)
    first = next(iter(members.values()))
    for name, net in members.items():
        missing_arrays(net)
        _refuse_other_ports(name, net, first)
    nodes, edges = dict(members), []
    for port in first.inputs:
        edges += [f"{port} -> {name}.{port}" for name in members]
    for port in first.outputs:
        node = "mean" if len(first.outputs) == 1 else f"mean_{port}"
        while node in nodes:
            node += "_"
        nodes[node] = _mean(members, port)
        edges += [f"{name}.{port} -> {node}.{name}" for name in members] + [f"{node} -> {port}"]
    return Graph(nodes, *edges, input=_specs(first.inputs), output=_specs(first.outputs))


def _named(nets: Any) -> dict[str, Net]:
    given = nets if isinstance(nets, Mapping) else None
    if given is None and isinstance(nets, Sequence):
        given = {f"net{number}": net for number, net in enumerate(nets, 1)}
    if given is None or len(given) < 2 or not all(isinstance(net, Net) for net in given.values()):
        raise ArgumentError(
            f"ensemble takes two or more nets; got {nets!r}.",
            fix="rt.ensemble([run.net for run in runs])",
            got=nets,
        )
    return dict(given)


def _refuse_other_ports(name: str, net: Net, first: Net) -> None:
    for side in ("inputs", "outputs"):
        own, other = getattr(net, side), getattr(first, side)
        if own != other:
            raise StructureError(
                f"ensemble: {name} has the {side} {', '.join(map(str, own.values()))}, but the first net has "
                f"{', '.join(map(str, other.values()))}.",
                path=name,
                expected=other,
                got=own,
            )


def _specs(ports: Mapping[str, Port]) -> dict[str, Any]:
    return {name: port.codec if port.codec is not None else port.shape for name, port in ports.items()}


def _mean(members: Mapping[str, Net], port: str) -> Net:
    """The net that takes one output of every member and gives their mean.

    Probabilities go through logits again, so that what follows (decoders, losses) sees how the net ends.
    """
    ends = [_closing(net, port) for net in members.values()]
    if len({_sense(end) for end in ends}) > 1:
        told = ", ".join(f"{name} gives {_sense(end)}" for name, end in zip(members, ends, strict=True))
        raise StructureError(f"ensemble: outputs of one kind have a mean, but {told}.", path=port)
    wires = {name: Input(name=name) for name in members}
    first = ends[0]
    if first is None:
        return Graph(_average([*wires.values()]))
    mean = _average([_as_probability(members[name], port, wire) for name, wire in wires.items()])
    return Graph(first(_log(mean) - _log(1 - mean) if isinstance(first, Sigmoid) else _log(mean)))


def _last(net: Net, port: str) -> Layer | None:
    """The activation that an output comes from, where it is one that makes probabilities."""
    node = net.wiring.producer(net.wiring.outputs[port])
    return node.layer if node is not None and type(node.layer).__name__ in ENDINGS else None


def _closing(net: Net, port: str) -> Layer | None:
    """The activation that makes probabilities of an output, be it there or not; None for numbers."""
    codec = net.outputs[port].codec
    made = _last(net, port)
    if made is not None or codec is None:
        return made
    return {"cross-entropy": Softmax(), "binary-cross-entropy": Sigmoid()}.get(codec.loss())


def _sense(end: Layer | None) -> str:
    if end is None:
        return "numbers"
    return "chances" if isinstance(end, Sigmoid) else "probabilities of classes"


def _as_probability(net: Net, port: str, wire: Wire) -> Any:
    """An output as probabilities: logits and logarithms are brought to them."""
    made = _last(net, port)
    if isinstance(made, LogSoftmax):
        return Elementwise("exp")(wire)
    closing = _closing(net, port)
    return wire if made is not None or closing is None else closing(wire)


def _average(wires: Sequence[Any]) -> Any:
    return Plus()(*wires) / len(wires)


def _log(wire: Any) -> Any:
    return Elementwise("log")(wire + TINY)
