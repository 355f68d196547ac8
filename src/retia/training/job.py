"""A training step as a function of tensors alone, so that it can be recorded.

What changes from step to step comes in by name: packed columns of the data, arrays, the examples' numbers
and the keys of random draws. What comes out: the loss, gradients, new statistics, right decisions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.engine import draws
from retia.engine.walk import asks
from retia.metrics.examples import Examples
from retia.metrics.totals import Counts
from retia.training.step import Step

if TYPE_CHECKING:
    from torch import Tensor

COLUMN, ARRAY, KEY, ROWS = "column:", "array:", "key:", "rows"
LOSS, GRADIENT, UPDATE, RIGHT = "loss", "gradient:", "update:", "right:"


@dataclass(frozen=True)
class Job:
    """One step of a training.

    Attributes:
        step: what is done.
        examples: how packed columns become a batch.
        decisions: how many a batch of a size has, by port; known when it was recorded.
    """

    step: Step
    examples: Examples
    decisions: dict[tuple[str, int], int] = field(default_factory=dict)

    def draws(self) -> tuple[str, ...]:
        """Paths of the layers that may draw random numbers."""
        return tuple(n.path for n in self.step.net.wiring.nodes if asks(type(n.layer)))

    def inputs(
        self, columns: Mapping[str, Tensor], arrays: Mapping[str, Tensor], rows: Tensor
    ) -> dict[str, Tensor]:
        """Everything that the step reads, by name."""
        keys = {KEY + path: torch.zeros(2, dtype=torch.int64, device=rows.device) for path in self.draws()}
        named = {COLUMN + name: tensor for name, tensor in columns.items()}
        return {**named, **{ARRAY + p: t.detach() for p, t in arrays.items()}, **keys, ROWS: rows}

    def __call__(self, **given: Tensor) -> dict[str, Tensor]:
        """The step: loss before it, gradients, updates, right decisions."""
        batch = self.examples.arrive(_named(given, COLUMN), given[ROWS])
        keys = {path: (key[0], key[1]) for path, key in _named(given, KEY).items()}
        pull = self.step.pull(_named(given, ARRAY), batch, 0, keys)
        counts = Counts(self.step.objective).found(pull.values, batch)
        self.decisions.update({(port, len(batch)): every for port, (_, every) in counts.items()})
        return {
            LOSS: pull.loss,
            **{GRADIENT + path: tensor for path, tensor in pull.gradients.items()},
            **{UPDATE + path: tensor for path, tensor in pull.updates.items()},
            **{RIGHT + port: right for port, (right, _) in counts.items()},
        }

    def key(self, path: str, count: int) -> tuple[int, int]:
        """The key of a layer's draws in a step."""
        return draws.halves(self.step.seed, count, path)


def _named(given: Mapping[str, Tensor], kind: str) -> dict[str, Any]:
    return {name.removeprefix(kind): tensor for name, tensor in given.items() if name.startswith(kind)}
