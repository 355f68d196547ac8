"""Loss and metrics of a whole set in inference behaviour: what validation does after every epoch."""

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
from retia.metrics.tally import Tally
from retia.metrics.totals import Means
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
        self._tally = Tally(step.objective, step.gauges, whole=True)
        self._job = Job(step, examples)
        self._stage: Stage | None = None
        extents = examples.extents()
        self._order = torch.arange(len(examples)) if extents is None else extents.argsort(stable=True)
        if (
            flat
            and len(examples) >= size
            and self._checked
            and not (self._tally.kept or examples.feed.varies)
        ):
            self._stage = self._planned()

    def __call__(self, fault: Fault) -> dict[str, float]:
        """Loss and metrics.

        Raises: what ``fault`` makes of a batch whose loss is not finite.
        """
        means = Means(self._step.objective)
        whole = len(self._examples) // self._size * self._size if self._stage is not None else 0
        self._begin()
        if whole and not self._by_program(whole, means):
            whole, means = 0, Means(self._step.objective)
            self._begin()
        for rows in torch.split(self._order[whole:], self._size):
            self._by_walk(self._examples.batch(rows), means, fault)
        self._checked = True
        return {"loss": means.mean(), **self._tally.figures()}

    def _begin(self) -> None:
        for total in self._sums.values():
            total.zero_()
        self._tally.clear()

    def _by_walk(self, batch: Batch, means: Means, fault: Fault) -> None:
        if not self._checked:
            self._examples.check(batch)
        with torch.no_grad():
            values = self._job.judged_values(batch, self._arrays)
            loss = means.add(values, batch)
            self._tally.add(values, batch)
        if not math.isfinite(loss):
            raise fault(batch, loss)

    def _by_program(self, whole: int, means: Means) -> bool:
        """Judge the full batches; answers whether their losses are finite."""
        stage = self._stage
        assert stage is not None
        with torch.inference_mode():
            for rows in torch.split(torch.arange(whole, device=self._examples.device), self._size):
                stage.fill(rows, None, self._state.count)
                stage.run()
        times = whole // self._size
        sums = [float(total) for total in self._sums.values()]
        means.put([(w, s, n * times) for (w, n), s in zip(self._job.terms, sums, strict=True)])
        counts = self._job.counts[self._size]
        self._tally.count({key: every * times for key, every in counts.items()})
        return all(map(math.isfinite, sums))

    @property
    def _arrays(self) -> dict[str, Tensor]:
        """What is judged, as it stands now."""
        return self._state.chosen

    def _planned(self) -> Stage | None:
        """The program of a full batch; None where the net decides by the numbers it sees."""
        given = self._job.first(self._size, self._arrays)
        try:
            tape = rewritten(record(self._job.judged, given), rules.TRAINING)
        except NotFlatError:
            return None
        return Stage(self._job, tape, self._arrays, self._target, self._size)

    def _target(self, name: str, fact: Fact) -> Target:
        kind, _, path = name.partition(":")
        home = self._sums if kind + ":" == SUM else self._tally.sums
        if home is self._sums and fact.dtype == torch.float32 and fact.device.type != "mps":
            home[path] = zero(fact).double()
        else:
            home[path] = zero(fact)
        return Target(home[path], adds=True)
