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
from typing import TYPE_CHECKING, Any, TypeAlias

from retia._torch import torch
from retia.engine.cost import flops
from retia.engine.devices import program_on
from retia.engine.layouts import weight_layouts
from retia.engine.plan import Target
from retia.engine.process import threads_for
from retia.engine.trace import Fact, NotFlatError, Tape
from retia.metrics.examples import Examples
from retia.metrics.tally import Tally
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

Factor: TypeAlias = "Callable[[int], float]"
"""The factor of the learning rate, so many steps after the one that is told of next."""


def always(ahead: int) -> float:
    """The factor of a learning rate that stays."""
    return 1.0


class Runner(ABC):
    """The interface of what runs steps.

    Attributes:
        step: what one is.
        examples: that it learns from.
        state: that it moves.
        tally: of the metrics since it was cleared.
        told: how it runs, in words.
        threads: as many as it runs on.
        by_program: whether steps are flat programs, so that judging had better be one too.
        engine: ``"walk"``, ``"program"`` or ``"compile"``.
        sizes: of the batches that have programs.
    """

    step: Step
    examples: Examples
    state: State
    tally: Tally
    told: str
    threads: int
    by_program: bool = False
    engine: str = "walk"
    sizes: tuple[int, ...] = ()

    @property
    def is_settled(self) -> bool:
        """Whether every step that was made has been told of."""
        return True

    @abstractmethod
    def epoch(
        self, batches: Sequence[Tensor], watch: Watch, number: int = 1, factor: Factor = always
    ) -> None:
        """One step for each batch of rows, the last ones of an epoch, until ``watch`` says stop.

        A step whose loss is not finite is watched but does not move the arrays; on a device of its own,
        where losses are read many at once, it and the steps after it may have.

        Args:
            batches: rows of each.
            watch: told of every step.
            number: of the epoch, from 1.
            factor: asked before every step, with how many steps are not told of yet.
        """


class Walking(Runner):
    """The reference: every step is walked layer by layer."""

    def __init__(self, step: Step, examples: Examples, state: State) -> None:
        self.step, self.examples, self.state = step, examples, state
        self.tally = Tally(step.objective, step.gauges)
        self.told = "walk"
        self.threads = torch.get_num_threads()
        self._checked = examples.check_all()

    def epoch(
        self, batches: Sequence[Tensor], watch: Watch, number: int = 1, factor: Factor = always
    ) -> None:
        left = len(batches)
        for rows, packed in zip(batches, self.examples.feed.stream(batches), strict=True):
            left -= 1
            if watch(rows, self.advance(packed, rows, number, factor(0), last=not left)):
                return
        self._checked = True

    def advance(
        self,
        packed: Mapping[str, Tensor],
        rows: Tensor,
        epoch: int = 1,
        factor: float = 1.0,
        *,
        last: bool = False,
    ) -> float:
        """One step; the loss before it."""
        batch = self.examples.arrive(packed, rows)
        if not self._checked:
            self.examples.check(batch)
        step, state = self.step, self.state
        pull = step.seen(state, batch, epoch)
        loss = pull.total.item()
        if math.isfinite(loss):
            self.tally.add(pull.values, batch)
            step.apply(state, pull, factor=factor, last=last, again=step.again(state, batch, epoch))
        return pull.loss.item() if math.isfinite(loss) else loss


class Flowing(Runner):
    """Steps as flat programs, one for each size of batch that comes often; the rest is walked.

    Args:
        step: what one is.
        examples: that it learns from.
        arrays: to begin with, by path; they are copied into flat memory.
        sizes: how many batches of each size there will be in all.
        by_compiler: leave the plan to ``torch.compile``.
        state: of a training that goes on, instead of the arrays.
        often: the sizes that get programs, instead of those that come often.
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
        state: State | None = None,
        often: Sequence[int] | None = None,
    ) -> None:
        self._by_compiler = by_compiler
        self.engine = "compile" if by_compiler else "program"
        self._checked = examples.check_all()
        begin = time.perf_counter()
        self.step, self.examples = step, examples
        self.job = Job(step, examples)
        known = [size for size, times in sizes.items() if times >= REPAYS] or [max(sizes)]
        self.sizes = tuple(often or known)
        self._device = examples.device
        self._untold: list[tuple[Tensor, float]] = []
        self._reads = 1 if examples.device.type == "cpu" else FAR
        state = state or State({path: tensor.detach() for path, tensor in arrays.items()}, Memory())
        tape = self.job.tape(max(self.sizes), state.arrays)
        layouts = {name.removeprefix(ARRAY): way for name, way in weight_layouts(tape).items()}
        self.flat: Flat = flattened(state, step, layouts)
        self.state = self.flat.state
        self.tally = Tally(step.objective, step.gauges)
        self.walking = Walking(step, examples, self.state)
        self.walking.tally = self.tally
        self._loss = zero(tape.fact(tape.outputs[LOSS]))
        self._stages = {max(self.sizes): self._stage(tape, max(self.sizes))}
        for size in self.sizes:
            if size not in self._stages:
                self._stages[size] = self._stage(self.job.tape(size, self.state.arrays), size)
        self.threads = threads_for(max(flops(tape), default=0))
        self.told = (
            f"{'compile' if by_compiler else 'program'}, planned in {time.perf_counter() - begin:.2f} s"
        )

    def epoch(
        self, batches: Sequence[Tensor], watch: Watch, number: int = 1, factor: Factor = always
    ) -> None:
        steps = self._far if self._reads > 1 else self._near
        with torch.inference_mode():  # once for all steps: entering it costs as much as a small operation
            for rows, loss in steps(batches, number, factor):
                if watch(rows, loss):
                    while self._untold:  # these have moved the arrays already
                        watch(*self._untold.pop(0))
                    return
        self._checked = True

    @property
    def is_settled(self) -> bool:
        return not self._untold and self._reads == 1

    def _near(self, batches: Sequence[Tensor], epoch: int, factor: Factor) -> Iterator[tuple[Tensor, float]]:
        """Steps whose losses are read one by one, which costs nothing on the processor itself."""
        left = len(batches)
        for rows, packed in zip(batches, self._packed(batches), strict=False):
            left -= 1
            stage = self._stages.get(len(rows))
            if stage is None:
                yield rows, self._walked(rows, packed, epoch, factor(0), last=not left)
                continue
            stage.fill(rows, packed, self.state.count, epoch)
            stage.run()
            loss = self._loss.item()
            if math.isfinite(loss):
                self.flat.sweep(self.step, factor(0), last=not left)
                self.tally.count(self.job.counts[len(rows)])
            yield rows, loss

    def _far(self, batches: Sequence[Tensor], epoch: int, factor: Factor) -> Iterator[tuple[Tensor, float]]:
        """Steps whose losses are read many at once, for each reading waits for the device."""
        losses = self._loss.new_zeros(self._reads)
        waiting: list[Tensor] = []
        left = len(batches)
        for rows, packed in zip(batches, self._packed(batches), strict=False):
            left -= 1
            stage = self._stages.get(len(rows))
            if stage is None or len(waiting) == self._reads:
                yield from self._told(waiting, losses)
                waiting = []
            if stage is None:
                yield rows, self._walked(rows, packed, epoch, factor(0), last=not left)
                continue
            stage.fill(rows.to(self._device), packed, self.state.count, epoch)
            stage.run()
            losses[len(waiting)].copy_(self._loss)
            self.flat.sweep(self.step, factor(len(waiting)), last=not left)
            self.tally.count(self.job.counts[len(rows)])
            waiting.append(rows)
        yield from self._told(waiting, losses)

    def _told(self, waiting: Sequence[Tensor], losses: Tensor) -> Iterator[tuple[Tensor, float]]:
        """Steps with their losses, read at once."""
        self._untold = [*zip(waiting, losses.tolist(), strict=False)]
        while self._untold:
            yield self._untold.pop(0)

    def _packed(self, batches: Sequence[Tensor]) -> Iterator[Mapping[str, Tensor] | None]:
        """The packed columns of the batches; None for each where stages have all of them at hand."""
        feed = self.examples.feed
        if isinstance(feed, ResidentFeed):
            yield from repeat(None, len(batches))
            return
        like: dict[str, Any] = {}
        for rows, packed in zip(batches, feed.stream(batches), strict=True):
            if not self._checked:
                shapes = {name: tensor.shape[1:] for name, tensor in packed.items()}
                if shapes == like:
                    self.examples.check_packed(packed, rows)
                else:
                    self.examples.check(self.examples.arrive(packed, rows))
                like = shapes
            yield packed

    def _walked(
        self,
        rows: Tensor,
        packed: Mapping[str, Tensor] | None,
        epoch: int,
        factor: float,
        *,
        last: bool,
    ) -> float:
        with torch.inference_mode(False):
            taken = packed or self.examples.feed.take(rows)
            return self.walking.advance(taken, rows, epoch, factor, last=last)

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
        return Target(self.tally.sums.setdefault(path, zero(fact)), adds=True)


def runner_of(
    engine: str,
    step: Step,
    examples: Examples,
    arrays: Mapping[str, Tensor],
    sizes: dict[int, int],
    *,
    state: State | None = None,
    often: Sequence[int] | None = None,
) -> Runner:
    """Who runs a training.

    Args:
        engine: ``"auto"``, ``"program"``, ``"compile"`` or ``"walk"``.
        arrays: to begin with, by path, on the device.
        sizes: how many batches of each size there will be in all.
        state: of a training that goes on, instead of the arrays.
        often: the sizes that had programs there.
    Raises:
        NotFlatError: a program was asked for, and the net decides by the numbers it sees.
    """
    why = ""
    walked = _walked_only(step, examples)
    if walked and engine in ("program", "compile"):
        raise NotFlatError(f"{walked}", fix='engine="walk", or leave engine out')
    if walked:
        why = f": {walked}" if engine == "auto" else ""
    elif engine == "auto" and max(sizes.values(), default=0) < REPAYS:
        why = ", for so few steps"
    elif engine == "auto" and not program_on(examples.device):
        why = f", as on every {examples.device.type}"
    elif engine != "walk" and sizes:
        try:
            compiled = engine == "compile"
            return Flowing(step, examples, arrays, sizes, by_compiler=compiled, state=state, often=often)
        except NotFlatError as error:
            if engine != "auto":
                raise
            why = f": {error.message}"
    walking = Walking(step, examples, state or step.start(arrays))
    walking.told += why
    return walking


def _walked_only(step: Step, examples: Examples) -> str:
    """Why the steps of a training are always walked; "" where they need not be."""
    if step.optimizer.closure:
        return f"{type(step.optimizer).__name__} asks for the loss many times a step"
    if examples.feed.varies:
        return "examples vary in size"
    return "fp16 skips steps that overflow" if step.precision.scales else ""
