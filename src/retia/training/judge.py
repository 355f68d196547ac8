"""Loss and right decisions of a whole set in inference behaviour: what validation does after every epoch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from retia._torch import torch
from retia.engine import rules
from retia.engine.plan import Target
from retia.engine.rewrite import rewritten
from retia.engine.trace import Fact, NotFlatError, record
from retia.metrics.examples import Batch, Examples
from retia.metrics.totals import Counts, Means
from retia.training.job import SUM, Job
from retia.training.stage import Stage, zero
from retia.training.step import State, Step

if TYPE_CHECKING:
    from torch import Tensor

Fault: TypeAlias = "Callable[[Batch, float], Exception]"
"""Makes the error of a batch whose loss is not finite."""


class Judge:
    """Judges a state by a set of examples.

    Args:
        step: whose net and objective are meant.
        examples: to judge by.
        state: that is judged, as it stands.
        size: examples at once.
        flat: as a program; else, and for the last batch, by the walk.
    """

    def __init__(self, step: Step, examples: Examples, state: State, size: int, *, flat: bool) -> None:
        self._step, self._examples, self._state, self._size = step, examples, state, size
        self._checked = examples.check_all()
        self._sums: dict[str, Tensor] = {}
        self._right: dict[str, Tensor] = {}
        self._job = Job(step, examples)
        self._stage: Stage | None = None
        if flat and len(examples) >= size and self._checked:
            self._stage = self._planned()

    def __call__(self, fault: Fault) -> dict[str, float]:
        """Loss and shares of right decisions.

        Raises: what ``fault`` makes of a batch whose loss is not finite.
        """
        counts, means = Counts(self._step.objective), Means(self._step.objective)
        whole = len(self._examples) // self._size * self._size if self._stage is not None else 0
        if whole and not self._by_program(whole, counts, means):
            whole, counts, means = 0, Counts(self._step.objective), Means(self._step.objective)
        for rows in torch.split(torch.arange(whole, len(self._examples)), self._size):
            self._by_walk(self._examples.batch(rows), counts, means, fault)
        self._checked = True
        return {"loss": means.mean(), **counts.shares()}

    def _by_walk(self, batch: Batch, counts: Counts, means: Means, fault: Fault) -> None:
        if not self._checked:
            self._examples.check(batch)
        with torch.no_grad():
            values = self._job.judged_values(batch, self._state.arrays)
            loss = means.add(values, batch)
            counts.add(values, batch)
        if not math.isfinite(loss):
            raise fault(batch, loss)

    def _by_program(self, whole: int, counts: Counts, means: Means) -> bool:
        """Judge the full batches; answers whether their losses are finite."""
        stage = self._stage
        assert stage is not None
        for total in (*self._sums.values(), *self._right.values()):
            total.zero_()
        with torch.inference_mode():
            for rows in torch.split(torch.arange(whole, device=self._examples.device), self._size):
                stage.fill(rows, None, self._state.count)
                stage.run()
        times = whole // self._size
        sums = [float(total) for total in self._sums.values()]
        means.put([(w, s, n * times) for (w, n), s in zip(self._job.terms, sums, strict=True)])
        for port, right in self._right.items():
            counts.put(port, right, self._job.decisions[port, self._size] * times)
        return all(map(math.isfinite, sums))

    def _planned(self) -> Stage | None:
        """The program of a full batch; None where the net decides by the numbers it sees."""
        given = self._job.first(self._size, self._state.arrays)
        try:
            tape = rewritten(record(self._job.judged, given), rules.TRAINING)
        except NotFlatError:
            return None
        return Stage(self._job, tape, self._state.arrays, self._target, self._size)

    def _target(self, name: str, fact: Fact) -> Target:
        kind, _, path = name.partition(":")
        home = self._sums if kind + ":" == SUM else self._right
        if home is self._sums and fact.dtype == torch.float32 and fact.device.type != "mps":
            home[path] = zero(fact).double()
        else:
            home[path] = zero(fact)
        return Target(home[path], adds=True)
