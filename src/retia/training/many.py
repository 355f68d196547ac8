"""Many nets of one expression at once: other seeds, other learning rates, other parts of one set.

They are trained as one stacked program where that is quicker, else one after another; ``settings`` says
which and why. Either way each is trained as if it were alone.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.engine.devices import is_out_of_memory, program_on
from retia.engine.process import steady
from retia.engine.trace import NotFlatError
from retia.errors import ArgumentError, TrainingError
from retia.nets.net import Net
from retia.nets.settings import whole
from retia.sources.dataset import Data
from retia.sources.reading import data as read_data
from retia.training.common import Common, NotStackedError
from retia.training.frozen import refuse_idle, resting
from retia.training.how import How
from retia.training.interrupt import INTERRUPTED, Interrupt
from retia.training.optimizer import Optimizer
from retia.training.optimizers import read_optimizer
from retia.training.prepare import Prepared, batches
from retia.training.progress import Progress
from retia.training.result import Training
from retia.training.runner import REPAYS
from retia.training.stacked import Stack

if TYPE_CHECKING:
    from torch import Tensor

    from retia.training.loop import Loop

ALIKE = 0.9
"""A stack needs so large a share of batches that are of one size for all nets: the others are walked.

Five nets of 15 units on 784 inputs, seconds in a stack over seconds one after another (one thread): all
batches of one size 0.66, 12 of 13 0.89, 4 of 5 0.98.
"""
_seed = whole(0, 2**63 - 1)


@dataclass(frozen=True)
class Portion:
    """A seed whose net learns from a part of the data; it may stand in a list of seeds.

    Attributes:
        seed: as in ``train``.
        data: some rows of the data that ``train`` is given.
        name: what it is called in messages.
    """

    seed: int
    data: Data
    name: str


@dataclass(frozen=True)
class Lane:
    """What one of the nets has for itself.

    Attributes:
        seed, optimizer: as in ``train``.
        part: of the data, to learn from; None for all.
        name: what it is called in messages.
    """

    seed: int
    optimizer: Optimizer
    part: Data | None = None
    name: str = ""


@dataclass(frozen=True)
class Asked:
    """What ``train`` was asked for, the same for all nets.

    Attributes:
        net, data, validation: as there.
        how: to train.
        device: where.
        alone: trains one net on data, with validation, how, optimizer and seed.
        loop: makes the loop of one net whose runner is there.
    """

    net: Net
    data: Any
    validation: Any
    how: How
    device: torch.device
    alone: Callable[..., Training]
    loop: Callable[..., Loop]


def pairs_of(seed: Any, optimizer: Any) -> list[Lane] | None:
    """What each net has for itself; None where seed and optimizer are given for one.

    Raises:
        ArgumentError: there are none, or lists of different lengths, or one is no seed or optimizer.
    Example:
        >>> import retia as rt
        >>> pairs_of([0, 1], "sgd")[1]
        Lane(seed=1, optimizer=SGD(), part=None, name='seed 1')
        >>> pairs_of(0, None)
    """
    seeds, optimizers = _several(seed), _several(optimizer)
    if seeds is None and optimizers is None:
        return None
    count = len(seeds if seeds is not None else optimizers or ())
    for name, given in (("seed", seeds), ("optimizer", optimizers)):
        if given == []:
            raise ArgumentError(f"train: {name} is an empty list, so there is nothing to train.", got=given)
        if given is not None and len(given) != count:
            raise ArgumentError(
                f"train: {count} seeds, but {len(given)} optimizers.",
                fix="one optimizer for each seed, or one for all",
                expected=count,
                got=len(given),
            )
    chosen = [read_optimizer(each) for each in (optimizers or [optimizer] * count)]
    return [_lane(each, how) for each, how in zip(seeds or [seed] * count, chosen, strict=True)]


def _lane(seed: Any, optimizer: Optimizer) -> Lane:
    if isinstance(seed, Portion):
        return Lane(seed.seed, optimizer, seed.data, seed.name)
    return Lane(_seed("train: seed", seed), optimizer, name=f"seed {seed}")


def _several(given: Any) -> list[Any] | None:
    """What stands in a list or the like; None for a single thing."""
    if isinstance(given, str | Optimizer) or not isinstance(given, Iterable):
        return None
    return [*given]


def train_many(asked: Asked, lanes: Sequence[Lane]) -> list[Training]:
    """Train one net for each lane, together where that is quicker."""
    asked = replace(asked, data=read_data(asked.data))
    if asked.validation is not None and not isinstance(asked.validation, int | float):
        asked = replace(asked, validation=read_data(asked.validation))
    with steady():
        try:
            together = _planned(asked, lanes)
        except (NotStackedError, NotFlatError) as error:
            return _one_by_one(asked, lanes, error.message)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return _one_by_one(asked, lanes, "the memory is too small for all")
        return together.train()


# One after another --------------------------------------------------------------------------------


def _one_by_one(asked: Asked, lanes: Sequence[Lane], why: str) -> list[Training]:
    runs: list[Training] = []
    stopped = False
    for number, lane in enumerate(lanes):
        Progress(asked.how.progress if not stopped else False, 0, 0).note(lane.name)
        run = _alone(asked, lane, number, stopped)
        stopped = stopped or run.why == INTERRUPTED
        told = f"{run.settings['engine']}; one net after another: {why}"
        runs.append(replace(run, settings={**run.settings, "engine": told}))
    return runs


def _alone(asked: Asked, lane: Lane, number: int, stopped: bool) -> Training:
    """One net; as it begins if training was stopped, and what there is if it diverged."""
    data = asked.data if lane.part is None else lane.part
    if stopped:
        never = replace(asked.how, epochs=0, progress=False, checkpoint=None, resume=False)
        return replace(asked.alone(data, asked.validation, never, lane.optimizer, lane.seed), why=INTERRUPTED)
    try:
        how = asked.how
        if how.checkpoint is not None:  # one folder holds one training
            how = replace(how, checkpoint=os.path.join(how.checkpoint, f"net-{number}"))
        return asked.alone(data, asked.validation, how, lane.optimizer, lane.seed)
    except TrainingError as error:
        if not isinstance(error.run, Training):
            raise
        return error.run


# Together -----------------------------------------------------------------------------------------


def _planned(asked: Asked, lanes: Sequence[Lane]) -> Together:
    """Everything for a training of all nets at once.

    Raises:
        NotStackedError, NotFlatError: it cannot be, or would not be quicker.
    """
    _refuse(asked, lanes)
    common = Common(asked.net, asked.data, asked.validation, asked.how.loss, asked.device)
    known = {(each.seed, id(each.part)): each for each in lanes}
    shares = {key: common.share(each.seed, each.part) for key, each in known.items()}
    own = [shares[each.seed, id(each.part)] for each in lanes]
    ready = [share.ready for share in own]
    how = asked.how
    steps = [how.step(each, lane.optimizer, lane.seed) for each, lane in zip(ready, lanes, strict=True)]
    if how.epochs:
        refuse_idle(steps[0])
    if steps[0].paces.frozen or resting(ready[0].net, steps[0].paces):
        raise NotStackedError("what frozen layers give is kept for each alone")
    sizes = _sizes(asked, ready)
    if not how.epochs or (how.engine == "auto" and max(sizes.values()) < REPAYS):
        raise NotStackedError("so few steps")
    numbers = torch.nn.utils.rnn.pad_sequence([share.numbers for share in own], batch_first=True)
    stack = Stack(steps, common.whole, [each.train for each in ready], numbers, sizes)
    return Together(asked, lanes, ready, stack)


def _sizes(asked: Asked, ready: Sequence[Prepared]) -> dict[int, int]:
    """How many batches of each size there will be in all, where all nets have the same.

    Raises:
        NotStackedError: they seldom have.
    """
    every = [[len(rows) for rows in batches(each, 0, 1, asked.how.batch_size)] for each in ready]
    places = [*zip_longest(*every, fillvalue=0)]
    alike = Counter(place[0] for place in places if len({*place}) == 1)
    if alike.total() < ALIKE * len(places):
        raise NotStackedError("too many of their batches are of different sizes")
    return {size: times * asked.how.epochs for size, times in alike.items()}


def _refuse(asked: Asked, lanes: Sequence[Lane]) -> None:
    kind, settings = type(lanes[0].optimizer), lanes[0].optimizer.settings()
    if len(lanes) == 1:
        raise NotStackedError("there is but one")
    if asked.how.alone():
        raise NotStackedError(asked.how.alone())
    if lanes[0].optimizer.closure:
        raise NotStackedError("the optimizer looks at the loss at several places")
    if not program_on(asked.device):
        raise NotStackedError(f"every {asked.device.type} walks")
    for other in (lane.optimizer for lane in lanes):
        differ = {name for name, value in other.settings().items() if value != settings.get(name)}
        if type(other) is not kind or differ - {"learning_rate"}:
            raise NotStackedError("the optimizers differ in more than the learning rate")


class Together:
    """Trains nets whose step is one program.

    Args:
        asked: by the user.
        lanes: what each net has for itself.
        ready: each net's training.
        stack: the program.
    """

    def __init__(self, asked: Asked, lanes: Sequence[Lane], ready: Sequence[Prepared], stack: Stack) -> None:
        self._asked, self._lanes, self._ready, self._stack = asked, lanes, ready, stack
        self._loops: list[Loop] = []
        for each, lane in zip(ready, stack.lanes, strict=True):
            self._loops.append(asked.loop(each, lane.step, asked.how, lane))
        self._alive = {*range(len(ready))}
        self._runs: dict[int, Training] = {}

    def train(self) -> list[Training]:
        """Train until the end; one training for each net."""
        torch.set_num_threads(self._stack.lanes[0].threads)
        how = self._asked.how
        why = f"all {how.epochs} epochs done"
        count = len(self._ready[0].train)
        with Interrupt() as stop, Progress(how.progress, how.epochs, count) as shown:
            try:
                for epoch in range(1, how.epochs + 1):
                    if stop.asked or not self._epoch(epoch, stop, shown):
                        why = INTERRUPTED
                        break
                    if not self._alive:
                        break
            except KeyboardInterrupt:
                if stop.asked:
                    raise
                why = INTERRUPTED
        return [self._runs.get(number) or loop.result(why) for number, loop in enumerate(self._loops)]

    def _epoch(self, epoch: int, stop: Interrupt, shown: Progress) -> bool:
        """One epoch of the nets that go on; answers whether it was finished."""
        for number in self._alive:
            self._loops[number].begin(epoch)
        for rows in self._batches(epoch):
            self._step(rows, epoch, shown)
            if stop.asked or not self._alive:
                return not stop.asked
            if shown.is_due():
                loops = [self._loops[number] for number in self._alive]
                shown.batch(epoch, loops[0].done, self._mean([loop.so_far() for loop in loops]))
        entries = self._entries(time.perf_counter(), shown)
        if entries:
            shown.epoch({"epoch": epoch, **self._mean([*entries.values()])})
        for number in entries:
            loop = self._loops[number]
            if epoch == self._asked.how.epochs:  # every net has its own look, so there is but one
                loop.recorder.look(loop.state, epoch, last=True)
            why = loop.told_to_stop()
            if why:
                self._out(number, loop.result(why))
        return True

    def _batches(self, epoch: int) -> Iterable[Sequence[Tensor]]:
        """The batches of an epoch, one for each net; an empty one where its epoch is over."""
        none = torch.empty(0, dtype=torch.int64)
        return zip_longest(*(loop.rows(epoch) for loop in self._loops), fillvalue=none)

    def _step(self, rows: Sequence[Tensor], epoch: int, shown: Progress) -> None:
        """One step of all nets."""
        factors = {number: self._loops[number].factor() for number in sorted(self._alive)}
        losses = self._stack.losses(rows, [*factors], epoch, factors)
        for number, loss in losses.items():
            try:
                self._loops[number].add(rows[number], loss)
            except TrainingError as error:
                self._fail(number, error, shown)
        self._stack.move(rows, self._alive, factors)

    def _entries(self, trained: float, shown: Progress) -> dict[int, dict[str, Any]]:
        """What there is to tell of an epoch, by net; it is kept."""
        entries = {}
        for number in sorted(self._alive):
            try:
                entries[number] = self._loops[number].end(trained)
            except TrainingError as error:
                self._fail(number, error, shown)
            else:
                self._loops[number].keep(entries[number])
        return entries

    def _mean(self, entries: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """One line for all: means, but the speeds added up."""
        told: dict[str, float] = {"nets": len(entries)}
        for name in entries[0]:
            if name not in ("epoch", "rate"):
                total = sum(entry[name] for entry in entries)
                told[name] = total if name == "examples_per_second" else total / len(entries)
        return told

    def _fail(self, number: int, error: TrainingError, shown: Progress) -> None:
        """Leave a net as it was before its loss was not finite; the others go on."""
        assert isinstance(error.run, Training)
        shown.note(f"{self._lanes[number].name}: {error.message}")
        self._out(number, error.run)

    def _out(self, number: int, run: Training) -> None:
        self._alive.discard(number)
        self._runs[number] = run
