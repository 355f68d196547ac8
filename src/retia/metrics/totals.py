"""Totals over batches: right decisions and losses, counted by the example and not by the batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from retia.metrics.examples import Batch
from retia.metrics.objective import Objective
from retia.metrics.scores import NUMBERS, decider
from retia.nets.wiring import Value

if TYPE_CHECKING:
    from torch import Tensor


class Counts:
    """Right decisions of the outputs that decide; the host reads them only when they are told.

    Args:
        objective: whose outputs are meant.
    """

    def __init__(self, objective: Objective) -> None:
        made = [(term, decider(objective.net, term)) for term in objective.terms]
        self._deciders = [(term, each) for term, each in made if each.sense != NUMBERS]
        self._right: dict[str, Tensor | int] = {}
        self._all: dict[str, int] = {}

    def add(self, values: Mapping[Value, Tensor], batch: Batch) -> None:
        """Add a batch, from the values that the objective reads."""
        for term, each in self._deciders:
            found = each.hits(values[term.reads].detach(), batch.targets[term.port])
            self._right[term.port] = self._right.get(term.port, 0) + found.sum()
            self._all[term.port] = self._all.get(term.port, 0) + found.numel()

    def shares(self) -> dict[str, float]:
        """The share of right decisions: ``"accuracy"``, with the port before it where several decide."""
        alone = len(self._deciders) == 1
        return {
            "accuracy" if alone else f"{port}_accuracy": int(right) / self._all[port]
            for port, right in self._right.items()
        }


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
        before = self._parts or [(weight, 0.0, 0) for weight, _, _ in new]
        self._parts = [(w, s + t, c + n) for (w, s, c), (_, t, n) in zip(before, new, strict=True)]
        return _mean(new)

    def mean(self) -> float:
        """The loss over everything that was added."""
        return _mean(self._parts)

    def of(self, port: str) -> float:
        """The loss of one output, without its weight."""
        ports = [term.port for term in self._objective.terms]
        _, summed, count = self._parts[ports.index(port)]
        return summed / count


def _mean(parts: list[tuple[float, float, int]]) -> float:
    return sum(weight * summed / count for weight, summed, count in parts)
