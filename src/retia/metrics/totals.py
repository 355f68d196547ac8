"""The loss over many batches, counted by the example and not by the batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from retia.metrics.examples import Batch
from retia.metrics.objective import Objective
from retia.nets.wiring import Value

if TYPE_CHECKING:
    from torch import Tensor


class Means:
    """The loss over many batches.

    Args:
        objective: the loss.
    """

    def __init__(self, objective: Objective) -> None:
        self._objective = objective
        self._parts: list[tuple[float, float, int]] = []

    def add(self, values: Mapping[Value, Tensor], batch: Batch) -> float:
        """Add a batch; answers its own loss."""
        found = self._objective.parts(values, batch.targets, batch.lengths)
        new = [(weight, float(summed), int(count)) for weight, summed, count in found]
        self.put(new)
        return _mean(new)

    def put(self, new: list[tuple[float, float, int]]) -> None:
        """Add what was summed elsewhere: for every term its weight, sum and count."""
        before = self._parts or [(weight, 0.0, 0) for weight, _, _ in new]
        self._parts = [(w, s + t, c + n) for (w, s, c), (_, t, n) in zip(before, new, strict=True)]

    def mean(self) -> float:
        """The loss over everything that was added."""
        return _mean(self._parts)

    def of(self, port: str) -> float:
        """The loss of one output, without its weight."""
        ports = [term.port for term in self._objective.terms]
        _, summed, count = self._parts[ports.index(port)]
        return summed / max(count, 1)


def _mean(parts: list[tuple[float, float, int]]) -> float:
    return sum(weight * summed / max(count, 1) for weight, summed, count in parts)
