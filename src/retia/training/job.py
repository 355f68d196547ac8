"""A training step as a function of tensors alone, so that it can be recorded.

What changes from step to step comes in by name: packed columns of the data, arrays, the examples' numbers
and the keys of random draws. What comes out: the loss, gradients, new statistics, the sums of metrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.engine import rules
from retia.engine.folding import FOLDING
from retia.engine.rewrite import rewritten
from retia.engine.trace import NotFlatError, Tape, record
from retia.engine.walk import Run, asks, draw_key, walk_values
from retia.metrics.examples import Batch, Examples
from retia.metrics.tally import Tally
from retia.nets.wiring import Node, Value
from retia.training.frozen import resting
from retia.training.mixing import PATH
from retia.training.step import Step

if TYPE_CHECKING:
    from torch import Tensor

COLUMN, ARRAY, KEY, ROWS = "column:", "array:", "key:", "rows"
LOSS, GRADIENT, UPDATE, FIGURE, SUM = "loss", "gradient:", "update:", "figure:", "sum:"


@dataclass(frozen=True)
class Job:
    """One step of a training.

    Attributes:
        step: what is done.
        examples: how packed columns become a batch.
        counts: what the metrics' sums of a batch are of, by its size; known when it was recorded.
        terms: of the loss in judging, the weight of each and how many positions a batch has.
    """

    step: Step
    examples: Examples
    counts: dict[int, dict[str, int]] = field(default_factory=dict)
    terms: list[tuple[float, int]] = field(default_factory=list)

    def draws(self) -> tuple[str, ...]:
        """Paths of the layers that may draw random numbers, and of the mixing of examples."""
        layers = tuple(n.path for n in self.step.net.wiring.nodes if asks(type(n.layer)))
        return layers if self.step.mix is None else (*layers, PATH)

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
        """The step: loss before it, gradients, updates, sums of metrics."""
        batch = self.examples.arrive(_named(given, COLUMN), given[ROWS])
        keys = {path: (key[0], key[1]) for path, key in _named(given, KEY).items()}
        pull = self.step.pull(_named(given, ARRAY), batch, 0, keys=keys)
        sums, self.counts[len(batch)] = Tally(self.step.objective, self.step.gauges).found(pull.values, batch)
        return {
            LOSS: pull.loss,
            **{GRADIENT + path: tensor for path, tensor in pull.gradients.items()},
            **{UPDATE + path: tensor for path, tensor in pull.updates.items()},
            **{FIGURE + key: tensor for key, tensor in sums.items()},
        }

    def judged(self, **given: Tensor) -> dict[str, Tensor]:
        """Judging a batch in inference behaviour: the sum of each term's losses, sums of metrics."""
        batch = self.examples.arrive(_named(given, COLUMN), given[ROWS])
        with torch.no_grad():
            values = self.judged_values(batch, _named(given, ARRAY))
            parts = self.step.objective.parts(values, batch.targets)
        self.terms[:] = [(weight, int(count)) for weight, _, count in parts]
        tally = Tally(self.step.objective, self.step.gauges)
        found, self.counts[len(batch)] = tally.found(values, batch)
        sums = {SUM + str(number): summed for number, (_, summed, _) in enumerate(parts)}
        return sums | {FIGURE + key: tensor for key, tensor in found.items()}

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

    def key(self, path: str, count: int, epoch: int | None) -> tuple[int, int]:
        """The key of a layer's draws in a step."""
        if self.step.mix is not None and path == PATH:
            return self.step.mix.key(self.step.seed, count)
        return draw_key(self._nodes[path], self.step.seed, count, epoch)

    @cached_property
    def _nodes(self) -> dict[str, Node]:
        return {node.path: node for node in self.step.net.wiring.nodes}


def _named(given: Mapping[str, Tensor], kind: str) -> dict[str, Any]:
    return {name.removeprefix(kind): tensor for name, tensor in given.items() if name.startswith(kind)}
