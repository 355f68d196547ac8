"""A training step as a function of tensors alone, so that it can be recorded.

What changes from step to step comes in by name: packed columns of the data, arrays, the examples' numbers
and the keys of random draws. What comes out: the loss, gradients, new statistics, right decisions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.engine import draws, rules
from retia.engine.folding import FOLDING
from retia.engine.rewrite import rewritten
from retia.engine.trace import NotFlatError, Tape, record
from retia.engine.walk import Run, asks, walk_values
from retia.metrics.examples import Batch, Examples
from retia.metrics.totals import Counts
from retia.nets.wiring import Value
from retia.training.frozen import resting
from retia.training.step import Step

if TYPE_CHECKING:
    from torch import Tensor

COLUMN, ARRAY, KEY, ROWS = "column:", "array:", "key:", "rows"
LOSS, GRADIENT, UPDATE, RIGHT, SUM = "loss", "gradient:", "update:", "right:", "sum:"


@dataclass(frozen=True)
class Job:
    """One step of a training.

    Attributes:
        step: what is done.
        examples: how packed columns become a batch.
        decisions: how many a batch of a size has, by port; known when it was recorded.
        terms: of the loss in judging, the weight of each and how many positions a batch has.
    """

    step: Step
    examples: Examples
    decisions: dict[tuple[str, int], int] = field(default_factory=dict)
    terms: list[tuple[float, int]] = field(default_factory=list)

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

    def first(self, size: int, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The inputs of a batch of the first examples, to record with; again from the first when too few."""
        rows, device = torch.arange(size) % len(self.examples), self.examples.device
        columns = {name: tensor.to(device) for name, tensor in self.examples.feed.take(rows).items()}
        return self.inputs(columns, arrays, rows.to(device))

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

    def judged(self, **given: Tensor) -> dict[str, Tensor]:
        """Judging a batch in inference behaviour: the sum of each term's losses, right decisions."""
        batch = self.examples.arrive(_named(given, COLUMN), given[ROWS])
        with torch.no_grad():
            values = self.judged_values(batch, _named(given, ARRAY))
            parts = self.step.objective.parts(values, batch.targets)
            counts = Counts(self.step.objective).found(values, batch)
        self.terms[:] = [(weight, int(count)) for weight, _, count in parts]
        self.decisions.update({(port, len(batch)): every for port, (_, every) in counts.items()})
        sums = {SUM + str(number): summed for number, (_, summed, _) in enumerate(parts)}
        return sums | {RIGHT + port: right for port, (right, _) in counts.items()}

    def judged_values(self, batch: Batch, arrays: Mapping[str, Tensor]) -> dict[Value, Tensor]:
        """What the objective reads, in inference behaviour."""
        step = self.step
        run = Run(seed=step.seed, lengths=batch.lengths)
        return walk_values(step.net, batch.inputs, arrays, run, step.objective.wanted, batch.given)

    def tape(self, size: int, arrays: Mapping[str, Tensor]) -> Tape:
        """The step on a batch of a size, recorded and rewritten.

        Raises:
            NotFlatError: the net decides by the numbers it sees, or the loss function changes.
        """
        inputs = self.first(size, arrays)
        tape = record(self, inputs)
        if self.step.objective.has_functions and str(tape) != str(record(self, inputs)):
            raise NotFlatError("the loss function does something else at every call", fix='engine="walk"')
        rest = resting(self.step.net, self.step.paces)
        for path in rest:  # as constants they can be folded into each other
            tape.constants[tape.inputs.pop(ARRAY + path).number] = arrays[path]
        return rewritten(rewritten(tape, FOLDING) if rest else tape, rules.TRAINING)

    def key(self, path: str, count: int) -> tuple[int, int]:
        """The key of a layer's draws in a step."""
        return draws.halves(self.step.seed, count, path)


def _named(given: Mapping[str, Tensor], kind: str) -> dict[str, Any]:
    return {name.removeprefix(kind): tensor for name, tensor in given.items() if name.startswith(kind)}
