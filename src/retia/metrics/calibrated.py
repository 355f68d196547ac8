"""``rt.calibrated``: the same net with the temperature that makes its probabilities honest."""

from __future__ import annotations

from typing import Any

from retia.engine.ending import ENDINGS
from retia.errors import StructureError
from retia.layers import Arithmetic
from retia.metrics.kept import Decisions
from retia.metrics.measure import measured
from retia.metrics.scores import ORDERED
from retia.nets.chain import Chain
from retia.nets.net import Net
from retia.nets.wiring import Node

NAME = "temperature"


def calibrated(net: Net, data: Any) -> Net:
    """The net with its logits divided by the temperature that lowers the log-loss on these examples most.

    Which class is the likeliest does not change, only how sure the net is of it. Take validation examples:
    training examples have been learned, and a test set that is used so is no longer one. Every output of
    classes or booleans gets a temperature of its own: ``rt.Arithmetic("/", temperature)`` before its
    ``Softmax`` or ``Sigmoid``, or at the end of a chain that gives logits. Arrays and their paths stay.

    Args:
        net: with all its arrays.
        data: as in ``rt.measure``.
    Returns:
        The new net; the same where the probabilities cannot be made better.
    Raises:
        StructureError: the logits of an output cannot be reached, or no output decides.
    Source: Guo et al. 2017.
    Example:
        >>> import retia as rt
        >>> net = rt.Chain(rt.Softmax(), input=2, output=rt.Classes(["cat", "dog"]))
        >>> examples = ([[0.0, 3.0], [0.0, 3.0], [0.0, 3.0], [3.0, 0.0]], ["dog", "dog", "cat", "cat"])
        >>> new = rt.calibrated(net, examples)
        >>> round(new([0.0, 3.0], ("probability", "dog")), 4), rt.measure(net, examples).temperature > 1
        (0.75, True)
    """
    found = measured(net, data, every=True)
    parts = found.parts or {next(iter(net.outputs)): found}
    temperatures = {
        port: part.temperature
        for port, part in parts.items()
        if isinstance(part.kept, Decisions) and part.kept.sense != ORDERED
    }
    if not temperatures:
        raise StructureError(
            f"No output of the net is of classes or booleans ({', '.join(net.outputs)}), so none has a "
            "temperature.",
            fix="output=rt.Classes(...) or rt.Boolean()",
        )
    for port, temperature in temperatures.items():
        net = net if temperature == 1 else _cooled(net, port, temperature)
    return net


def _cooled(net: Net, port: str, temperature: float) -> Net:
    value = net.wiring.outputs[port]
    node = net.wiring.producer(value)
    divided = Arithmetic("/", temperature)
    if node is not None and type(node.layer).__name__ in ENDINGS:
        if any(value in each.sources for each in net.wiring.nodes):
            raise StructureError(
                f"{port}: {node.label} is also read within the net, which a temperature would change.",
                fix="give the output a Softmax of its own",
                path=node.path,
            )
        return _put_before(net, node, divided)
    if isinstance(net, Chain) and len(net.outputs) == 1:
        return Chain({**net.parts, _free(net): divided}, input=net.input, output=net.output)
    raise StructureError(
        f"{port}: its logits are the last thing in the net, and it is no chain that could go on.",
        fix="end it in rt.Softmax() or rt.Sigmoid()",
        path=port,
    )


def _put_before(net: Net, node: Node, divided: Net) -> Net:
    """The net with a layer before one that has no arrays."""
    if not node.path:
        return Chain(divided, node.layer.bare(), input=net.input, output=net.output)
    return _replaced(net, node.path.split("."), divided)


def _replaced(net: Net, path: list[str], divided: Net) -> Net:
    name, *rest = path
    child = net.children[name]
    new = _replaced(child, rest, divided) if rest else Chain(divided, child)
    return net.with_children({**net.children, name: new})


def _free(net: Chain) -> str:
    number = len(net)
    if all(name.isdigit() for name in net.parts):
        return str(number)
    names = [NAME, *(f"{NAME}{place}" for place in range(2, number + 2))]
    return next(name for name in names if name not in net.parts)
