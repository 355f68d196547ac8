"""Who runs the steps of an epoch: the walk, or a flat program of the whole step.

Both move one state and count the same things. Which one runs is settled before the first step, from the net
and the number of steps, and is written in the run's settings.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, TypeAlias

from retia._torch import torch
from retia.engine.cost import flops
from retia.engine.devices import program_on
from retia.engine.layouts import weight_layouts
from retia.engine.plan import Target
from retia.engine.process import threads_for
from retia.engine.trace import Fact, NotFlatError, Tape
from retia.metrics.examples import Examples
from retia.metrics.totals import Counts
from retia.sources.feeds import ResidentFeed
from retia.training.flat import Flat, flattened
from retia.training.job import ARRAY, GRADIENT, LOSS, UPDATE, Job
from retia.training.optimizer import Memory
from retia.training.stage import Stage, zero
from retia.training.step import State, Step

if TYPE_CHECKING:
    from torch import Tensor

REPAYS = 30
"""From so many steps of one size on, planning a program costs less than it saves."""

FAR = 32
"""On a device of its own, so many steps run between two looks at their losses."""

Watch: TypeAlias = "Callable[[Tensor, float], bool]"
"""Told of every step: the rows of its batch and the loss before it. True ends the epoch there."""


class Runner(ABC):
    """The interface of what runs steps.

    Attributes:
        step: what one is.
        examples: that it learns from.
        state: that it moves.
        counts: right decisions since they were cleared.
        told: how it runs, in words.
        threads: as many as it runs on.
        by_program: whether steps are flat programs, so that judging had better be one too.
    """

    step: Step
    examples: Examples
    state: State
    counts: Counts
    told: str
    threads: int
    by_program: bool = False

    @abstractmethod
    def epoch(self, batches: Sequence[Tensor], watch: Watch) -> None:
        """One step for each batch of rows, until ``watch`` says stop.

        A step whose loss is not finite is watched but does not move the arrays; on a device of its own,
        where losses are read many at once, it and the steps after it may have.
        """


class Walking(Runner):
    """The reference: every step is walked layer by layer."""

    def __init__(self, step: Step, examples: Examples, state: State) -> None:
        self.step, self.examples, self.state = step, examples, state
        self.counts = Counts(step.objective)
        self.told = "walk"
        self.threads = torch.get_num_threads()
        self._checked = examples.check_all()

    def epoch(self, batches: Sequence[Tensor], watch: Watch) -> None:
        for rows, packed in zip(batches, self.examples.feed.stream(batches), strict=True):
            if watch(rows, self.advance(packed, rows)):
                return
        self._checked = True

    def advance(self, packed: Mapping[str, Tensor], rows: Tensor) -> float:
        """One step; the loss before it."""
        batch = self.examples.arrive(packed, rows)
        if not self._checked:
            self.examples.check(batch)
        pull = self.step.pull(self.state.arrays, batch, self.state.count)
        loss = pull.loss.item()
        if math.isfinite(loss):
            self.counts.add(pull.values, batch)
            self.step.apply(self.state, pull)
        return loss


class Flowing(Runner):
    """Steps as flat programs, one for each size of batch that comes often; the rest is walked.

    Args:
        step: what one is.
        examples: that it learns from.
        arrays: to begin with, by path; they are copied into flat memory.
        sizes: how many batches of each size there will be in all.
        by_compiler: leave the plan to ``torch.compile``.
    Raises:
        NotFlatError: the net decides by the numbers it sees.
    """

    by_program = True

    def __init__(
        self,
        step: Step,
        examples: Examples,
        arrays: Mapping[str, Tensor],
        sizes: dict[int, int],
        *,
        by_compiler: bool = False,
    ) -> None:
        self._by_compiler = by_compiler
        self._checked = examples.check_all()
        begin = time.perf_counter()
        self.step, self.examples = step, examples
        self.job = Job(step, examples)
        self._often = [size for size, times in sizes.items() if times >= REPAYS] or [max(sizes)]
        self._device = examples.device
        self._reads = 1 if examples.device.type == "cpu" else FAR
        state = State({path: tensor.detach() for path, tensor in arrays.items()}, Memory())
        tape = self.job.tape(max(self._often), state.arrays)
        layouts = {name.removeprefix(ARRAY): way for name, way in weight_layouts(tape).items()}
        moved = {path: step.paces.of[path] for path in step.learned}
        self.flat: Flat = flattened(state, moved, layouts, step.optimizer)
        self.state = self.flat.state
        self.counts = Counts(step.objective)
        self.walking = Walking(step, examples, self.state)
        self.walking.counts = self.counts
        self._loss = zero(tape.fact(tape.outputs[LOSS]))
        self._stages = {max(self._often): self._stage(tape, max(self._often))}
        for size in self._often:
            if size not in self._stages:
                self._stages[size] = self._stage(self.job.tape(size, self.state.arrays), size)
        self.threads = threads_for(max(flops(tape), default=0))
        self.told = (
            f"{'compile' if by_compiler else 'program'}, planned in {time.perf_counter() - begin:.2f} s"
        )

    def epoch(self, batches: Sequence[Tensor], watch: Watch) -> None:
        with torch.inference_mode():  # once for all steps: entering it costs as much as a small operation
            for rows, loss in self._far(batches) if self._reads > 1 else self._near(batches):
                if watch(rows, loss):
                    return
        self._checked = True

    def _near(self, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, float]]:
        """Steps whose losses are read one by one, which costs nothing on the processor itself."""
        for rows, packed in zip(batches, self._packed(batches), strict=False):
            stage = self._stages.get(len(rows))
            if stage is None:
                yield rows, self._walked(rows, packed)
                continue
            stage.fill(rows, packed, self.state.count)
            stage.run()
            loss = self._loss.item()
            if math.isfinite(loss):
                self.flat.sweep(self.step.optimizer)
                self._count(len(rows))
            yield rows, loss

    def _far(self, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, float]]:
        """Steps whose losses are read many at once, for each reading waits for the device."""
        losses = self._loss.new_zeros(self._reads)
        waiting: list[Tensor] = []
        for rows, packed in zip(batches, self._packed(batches), strict=False):
            stage = self._stages.get(len(rows))
            if stage is None or len(waiting) == self._reads:
                yield from zip(waiting, losses.tolist(), strict=False)
                waiting = []
            if stage is None:
                yield rows, self._walked(rows, packed)
                continue
            stage.fill(rows.to(self._device), packed, self.state.count)
            stage.run()
            losses[len(waiting)].copy_(self._loss)
            self.flat.sweep(self.step.optimizer)
            self._count(len(rows))
            waiting.append(rows)
        yield from zip(waiting, losses.tolist(), strict=False)

    def _packed(self, batches: Sequence[Tensor]) -> Iterator[Mapping[str, Tensor] | None]:
        """The packed columns of the batches; None for each where stages have all of them at hand."""
        feed = self.examples.feed
        if isinstance(feed, ResidentFeed):
            yield from repeat(None, len(batches))
            return
        for rows, packed in zip(batches, feed.stream(batches), strict=True):
            if not self._checked:
                self.examples.check(self.examples.arrive(packed, rows))
            yield packed

    def _walked(self, rows: Tensor, packed: Mapping[str, Tensor] | None) -> float:
        with torch.inference_mode(False):
            return self.walking.advance(packed or self.examples.feed.take(rows), rows)

    def _count(self, size: int) -> None:
        """Count the decisions of a batch that was stepped on."""
        for port in self.counts.right:
            self.counts.all[port] = self.counts.all.get(port, 0) + self.job.decisions[port, size]

    def _stage(self, tape: Tape, size: int) -> Stage:
        return Stage(self.job, tape, self.state.arrays, self._target, size, by_compiler=self._by_compiler)

    def _target(self, name: str, fact: Fact) -> Target:
        """Where an output of a step goes."""
        kind, _, path = name.partition(":")
        if kind == LOSS:
            return Target(self._loss, early=True)
        if name.startswith(GRADIENT):
            return Target(self.flat.gradients[path], early=True)
        if name.startswith(UPDATE):
            return Target(self.state.arrays[path])
        return Target(self.counts.right.setdefault(path, zero(fact)), adds=True)


def runner_of(
    engine: str, step: Step, examples: Examples, arrays: Mapping[str, Tensor], sizes: dict[int, int]
) -> Runner:
    """Who runs a training.

    Args:
        engine: ``"auto"``, ``"program"``, ``"compile"`` or ``"walk"``.
        arrays: to begin with, by path, on the device.
        sizes: how many batches of each size there will be in all.
    Raises:
        NotFlatError: a program was asked for, and the net decides by the numbers it sees.
    """
    why = ""
    if engine == "auto" and max(sizes.values(), default=0) < REPAYS:
        why = ", for so few steps"
    elif engine == "auto" and not program_on(examples.device):
        why = f", as on every {examples.device.type}"
    elif engine != "walk" and sizes:
        try:
            return Flowing(step, examples, arrays, sizes, by_compiler=engine == "compile")
        except NotFlatError as error:
            if engine != "auto":
                raise
            why = f": {error.message}"
    walking = Walking(step, examples, step.start(arrays))
    walking.told += why
    return walking
