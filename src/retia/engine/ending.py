"""How a net ends: the activation that its output comes from, and what stands before it."""

from __future__ import annotations

from retia.nets.net import Net
from retia.nets.wiring import Value

ENDINGS = {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Sigmoid": "sigmoid"}


def ending(net: Net, value: Value, axis: int = -1) -> tuple[str | None, Value]:
    """The activation that gives a value, and the value before it (the logits).

    Args:
        net: any net.
        value: one of its outputs.
        axis: along which the scores of classes stand, of one example.
    Returns:
        ``("softmax" | "log_softmax" | "sigmoid", before)``, or ``(None, value)`` where there is none.
    """
    node = net.wiring.producer(value)
    kind = ENDINGS.get(type(node.layer).__name__) if node is not None else None
    if node is None or kind is None:
        return None, value
    own, rank = getattr(node.layer, "axis", axis), len(net.solution.shape(value) or ())
    if own != axis and (not rank or own % rank != axis % rank):
        return None, value
    return kind, node.sources[0]
