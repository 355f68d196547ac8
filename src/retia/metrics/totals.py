"""Totals over batches: right decisions and losses, counted by the example and not by the batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from retia.metrics.examples import Batch
from retia.metrics.objective import Objective
from retia.metrics.scores import BOOLEAN, CLASSES, decider
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
        self._deciders = [(term, each) for term, each in made if each.sense in (CLASSES, BOOLEAN)]
        self.right: dict[str, Tensor] = {}
        self.all: dict[str, int] = {}

    def found(self, values: Mapping[Value, Tensor], batch: Batch) -> dict[str, tuple[Tensor, int]]:
        """Of a batch, the number of right decisions (a tensor) and of all, by port."""
        hits = {
            term.port: each.hits(values[term.reads].detach(), batch.targets[term.port])
            for term, each in self._deciders
        }
        return {port: (each.sum(), each.numel()) for port, each in hits.items()}

    def add(self, values: Mapping[Value, Tensor], batch: Batch) -> None:
        """Add a batch, from the values that the objective reads."""
        for port, (right, every) in self.found(values, batch).items():
            self.put(port, right, every)

    def put(self, port: str, right: Tensor, every: int) -> None:
        """Add what was counted elsewhere; the total stays where it stands, for programs add to it too."""
        if port in self.right:
            self.right[port].add_(right)
        else:
            self.right[port] = right.clone()
        self.all[port] = self.all.get(port, 0) + every

    def clear(self) -> None:
        """Begin anew, in the same memory."""
        for right in self.right.values():
            right.zero_()
        self.all = dict.fromkeys(self.all, 0)

    def shares(self) -> dict[str, float]:
        """The share of right decisions: ``"accuracy"``, with the port before it where several decide."""
        alone = len(self._deciders) == 1
        return {
            "accuracy" if alone else f"{port}_accuracy": int(right) / self.all[port]
            for port, right in self.right.items()
            if self.all[port]
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
        return summed / count


def _mean(parts: list[tuple[float, float, int]]) -> float:
    return sum(weight * summed / count for weight, summed, count in parts)
