"""Nets of one form that are trained by one program: each of their arrays stands in a stack.

The program is the step of one net, stacked. What every net sees of the state are views of the stacks, so
each can be judged, walked and saved as if it were alone.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from retia._torch import torch
from retia.engine.capture import captured
from retia.engine.cost import flops
from retia.engine.devices import captured_on
from retia.engine.layouts import CONVOLUTIONS, weight_layouts
from retia.engine.plan import Planner, Target
from retia.engine.process import threads_for
from retia.engine.rewrite import rewritten
from retia.engine.rules import TRAINING
from retia.engine.stack import STACKED, stacked
from retia.engine.trace import Fact, Tape
from retia.metrics.examples import Examples
from retia.training.common import NotStackedError
from retia.training.flat import flattened
from retia.training.job import ARRAY, COLUMN, GRADIENT, KEY, LOSS, ROWS, UPDATE, Job
from retia.training.optimizer import Group, Memory
from retia.training.runner import REPAYS, Walking
from retia.training.stage import resident, zero
from retia.training.step import State, Step

if TYPE_CHECKING:
    from torch import Tensor

MOST = 30e6
"""A step of so many FLOPs or more gains nothing from being stacked; see ``refused``."""


class Stack:
    """The program of many nets, and the state that it moves.

    Args:
        steps: one for each net; they differ in seeds and learning rates alone.
        whole: all examples that any of them learns from, packed and at hand.
        parts: each net's examples.
        numbers: those of each net's examples in the whole, int64 (nets, examples), filled up.
        sizes: how many batches of each size there will be in all, where all nets have the same.
    Attributes:
        whole: as it was given.
        packed: its columns, on the device.
        lanes: one for each net: it walks batches of rare sizes, and knows the net's state and counts.
    Raises:
        NotStackedError: it would gain nothing. NotFlatError: it cannot be.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        whole: Examples,
        parts: Sequence[Examples],
        numbers: Tensor,
        sizes: Mapping[int, int],
    ) -> None:
        begin = time.perf_counter()
        self.whole = whole
        self._steps, self._numbers = steps, numbers
        self._jobs = [Job(step, whole) for step in steps]
        self._job = self._jobs[0]
        self.packed = resident(whole.feed, whole.device)
        if not self.packed:
            varied = "the examples vary in size"
            raise NotStackedError(varied if whole.feed.varies else "the examples do not fit into memory")
        often = [size for size, times in sizes.items() if times >= REPAYS] or [max(sizes)]
        arrays = [{p: t.to(whole.device) for p, t in step.net.arrays.items()} for step in steps]
        tapes = {size: self._tape(size, arrays[0]) for size in often}
        layouts = weight_layouts(tapes[max(often)])
        state = State({path: torch.stack([own[path] for own in arrays]) for path in arrays[0]}, Memory())
        self._flat = flattened(state, steps[0], {n.removeprefix(ARRAY): way for n, way in layouts.items()})
        self.lanes = [
            Walking(step, part, _one_of(self._flat.state, number))
            for number, (step, part) in enumerate(zip(steps, parts, strict=True))
        ]
        first = tapes[max(often)]
        self._losses = zero(first.fact(first.outputs[LOSS]))
        self._sums: dict[str, Tensor] = {}
        self._groups = [self._groups_of(number) for number in range(len(steps))]
        self._alike = len({step.optimizer.learning_rate for step in steps}) == 1
        self._stages = {size: _Stage(self, tape, size) for size, tape in tapes.items()}
        self._tell(max(flops(tapes[max(often)]), default=0), begin)

    def _tape(self, size: int, arrays: Mapping[str, Tensor]) -> Tape:
        one = self._job.tape(size, arrays)
        why = refused(one)
        if why:
            raise NotStackedError(why)
        return rewritten(stacked(one, len(self._steps)), (*STACKED, *TRAINING))

    def _tell(self, work: int, begin: float) -> None:
        told = f"program of {len(self.lanes)} nets at once, planned in {time.perf_counter() - begin:.2f} s"
        for number, lane in enumerate(self.lanes):
            lane.told, lane.threads, lane.by_program = told, threads_for(work), True
            lane.tally.sums = {key: summed[number] for key, summed in self._sums.items()}

    # Steps ----------------------------------------------------------------------------------------

    def losses(
        self, rows: Sequence[Tensor], alive: Collection[int], epoch: int, factors: Mapping[int, float]
    ) -> dict[int, float]:
        """The losses of a batch for the nets that go on and have one, by number, before their step.

        Args:
            rows: for each net, of its own examples; none where its epoch is over.
            alive: the nets that go on.
            epoch: that the batch belongs to.
            factors: of the learning rates of those.
        """
        stage = self._stage(rows)
        if stage is None:  # these have moved as well
            there = [number for number in alive if len(rows[number])]
            return {n: self._walked(self.lanes[n], rows[n], epoch, factors[n]) for n in there}
        together = torch.stack([*rows])
        with torch.inference_mode():
            stage.fill(together, self._numbers.gather(1, together), epoch)
            stage.run()
        found = self._losses.tolist()
        return {number: found[number] for number in alive}

    def _stage(self, rows: Sequence[Tensor]) -> _Stage | None:
        """The program of a batch; None where it is walked."""
        sizes = {len(own) for own in rows}
        return self._stages.get(sizes.pop()) if len(sizes) == 1 else None

    def _walked(self, lane: Walking, rows: Tensor, epoch: int, factor: float) -> float:
        return lane.advance(lane.examples.feed.take(rows), rows, epoch, factor)

    def move(self, rows: Sequence[Tensor], alive: Collection[int], factors: Mapping[int, float]) -> None:
        """Move all nets by what ``losses`` found in a batch, whose other arguments it has."""
        if self._stage(rows) is None:
            return
        counts = {self.lanes[number].state.count for number in alive}
        at_once = self._alike and len(counts) == 1 and len(set(factors.values())) == 1
        with torch.inference_mode():
            if at_once:
                self._flat.state.memory.count = counts.pop()
                self._flat.sweep(self._steps[0], next(iter(factors.values())))
            for number, (step, lane) in enumerate(zip(self._steps, self.lanes, strict=True)):
                lane.state.count += 1
                lane.state.memory.count = lane.state.count
                rate = step.optimizer.learning_rate * factors.get(number, 1.0)
                for pace, group in [] if at_once else self._groups[number]:
                    group.count, group.rate = lane.state.count, rate * pace
                    step.optimizer.sweep(group)
                lane.tally.count(self._job.counts[len(rows[0])])

    def _groups_of(self, number: int) -> list[tuple[float, Group]]:
        """What the optimizer of one net moves, in the stacks, with the multipliers of its rate."""
        step, state = self._steps[number], self.lanes[number].state
        by_rate: dict[float, list[str]] = defaultdict(list)
        for path in step.learned:
            by_rate[step.paces.of[path]].append(path)
        return [
            (
                rate,
                Group(
                    [state.arrays[path] for path in paths],
                    [self._flat.gradients[path][number] for path in paths],
                    {name: [slot[path] for path in paths] for name, slot in state.memory.slots.items()},
                    0,
                    0.0,
                ),
            )
            for rate, paths in by_rate.items()
        ]

    def target(self, name: str, fact: Fact) -> Target:
        """Where an output of the program goes."""
        _, _, path = name.partition(":")
        if name == LOSS:
            return Target(self._losses, early=True)
        if name.startswith(GRADIENT):
            return Target(self._flat.gradients[path], early=True)
        if name.startswith(UPDATE):
            return Target(self._flat.state.arrays[path])
        return Target(self._sums.setdefault(path, zero(fact)), adds=True)

    def place(self, name: str, fact: Fact) -> Tensor:
        """The memory that an input of the program is read from."""
        return self._flat.state.arrays[name.removeprefix(ARRAY)] if name.startswith(ARRAY) else zero(fact)

    def keys(self, path: str, epoch: int) -> Tensor:
        """The keys of a layer's draws in the next step, one for each net."""
        pairs = zip(self._jobs, self.lanes, strict=True)
        return torch.tensor([job.key(path, lane.state.count, epoch) for job, lane in pairs])


def _one_of(state: State, number: int) -> State:
    """One net's part of a stacked state: views."""
    slots = {
        name: {path: tensor[number] for path, tensor in own.items()}
        for name, own in state.memory.slots.items()
    }
    arrays = {path: tensor[number] for path, tensor in state.arrays.items()}
    return State(arrays, Memory(state.memory.count, slots), state.count)


class _Stage:
    """A stack's program for one size of batch, with what it reads."""

    def __init__(self, stack: Stack, tape: Tape, size: int) -> None:
        self._stack = stack
        device = stack.whole.device
        read = {ref.number for call in tape.calls for ref in call.refs()}
        used = [name for name, ref in tape.inputs.items() if ref.number in read]
        places = {name: stack.place(name, tape.fact(ref)) for name, ref in tape.inputs.items()}
        columns = [name for name in used if name.startswith(COLUMN)]
        self._columns = [(stack.packed[n.removeprefix(COLUMN)], places[n].flatten(0, 1)) for n in columns]
        self._keys = [(name.removeprefix(KEY), places[name]) for name in used if name.startswith(KEY)]
        self._rows = places[ROWS] if ROWS in used else None
        few = torch.zeros(len(stack.lanes), size, dtype=torch.int64)
        self.fill(few, few, 1)
        targets = {name: stack.target(name, tape.fact(ref)) for name, ref in tape.outputs.items()}
        self.run = Planner(tape, places, {}, targets).plan().run
        if captured_on(device):
            changed = [target.tensor for target in targets.values() if not target.early]
            self.run = captured(self.run, device, changed)

    def fill(self, rows: Tensor, numbers: Tensor, epoch: int) -> None:
        """Bring a batch and the keys of its draws to where the program reads them.

        Args:
            rows: (nets, batch), as each net counts its examples.
            numbers: the same as the whole counts them.
            epoch: that the batch belongs to.
        """
        flat = numbers.flatten().to(self._stack.whole.device)
        for whole, place in self._columns:
            torch.index_select(whole, 0, flat, out=place)
        if self._rows is not None:
            self._rows.copy_(rows)
        for path, place in self._keys:
            place.copy_(self._stack.keys(path, epoch))


def refused(tape: Tape) -> str:
    """Why the step of one net is better not stacked; "" where it is.

    Stacking saves calls, but no arithmetic, and where that takes the time many arrays at once only crowd the
    caches. Eight dense nets of 784 inputs at batches of 128, seconds in a stack over seconds one after
    another (one thread): 4 units 0.57, 15 units 0.71, 32 units 0.78, 64 units (26 MFLOP) 0.91, 128 units
    (52 MFLOP) 1.01, 200 and 60 units (90 MFLOP) 1.11. At batches of 32: 15 units 0.51, 64 units 0.68, 200
    and 60 units (22 MFLOP) 0.95. Two nets of 15 units 0.89. Small convolutions 1.5: they become grouped
    ones, which processors compute slowly.
    """
    if any(call.op._schema.name in CONVOLUTIONS for call in tape.calls):
        return "convolutions are slower in a stack"
    work = sum(flops(tape))
    return f"a step takes {work / 1e6:.0f} MFLOP, {MOST / 1e6:.0f} or more are no quicker" * (work >= MOST)
