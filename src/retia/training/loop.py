"""``rt.train``: the loop over epochs and batches. It begins when everything that can be refused was."""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, overload

from retia._torch import torch
from retia.engine.devices import fits, read_device
from retia.engine.process import in_words, steady
from retia.engine.walk import Run
from retia.errors import ArgumentError, NotYetError, TrainingError, did_you_mean
from retia.metrics.examples import Batch, Examples
from retia.metrics.totals import Counts
from retia.nets.net import Net
from retia.nets.settings import choice, whole
from retia.sources.reading import data as read_data
from retia.training.diagnosis import diverged
from retia.training.frozen import refuse_idle, resting
from retia.training.interrupt import INTERRUPTED, Interrupt
from retia.training.judge import Judge
from retia.training.kept import read_cache, with_kept
from retia.training.many import Asked, pairs_of, train_many
from retia.training.optimizer import Optimizer
from retia.training.optimizers import read_optimizer
from retia.training.prepare import Prepared, batches, prepare
from retia.training.progress import Progress
from retia.training.rates import read_rates
from retia.training.result import Training
from retia.training.runner import REPAYS, Runner, runner_of
from retia.training.step import State, Step, row_major

if TYPE_CHECKING:
    from torch import Tensor

JUDGED = 4
"""Validation takes so many training batches at once: no gradients stand in memory."""

ELSEWHERE = {
    "lr": "the learning rate belongs to the optimizer, optimizer=rt.Adam(1e-3)",
    "learning_rate": "the learning rate belongs to the optimizer, optimizer=rt.Adam(1e-3)",
    "validation_split": "it is called validation",
    "validation_data": "it is called validation",
    "max_epochs": "it is called epochs",
    "verbose": "it is called progress",
    "criterion": "it is called loss",
    "loss_fn": "it is called loss",
}
LATER = ("checkpoint", "resume", "look")


@overload
def train(
    net: Net,
    data: Any,
    *,
    validation: Any = None,
    epochs: int = 5,
    batch_size: int = 64,
    optimizer: Optimizer | str | None = None,
    loss: Any = None,
    seed: int = 0,
    device: Any = None,
    engine: str = "auto",
    progress: bool | None = None,
    rates: Mapping[str, float] | None = None,
    cache: bool | str | os.PathLike[str] = True,
    on_epoch: Callable[[Mapping[str, Any]], Any] | None = None,
    **unknown: Any,
) -> Training: ...


@overload
def train(
    net: Net, data: Any, *, seed: Sequence[int], optimizer: Any = None, **how: Any
) -> list[Training]: ...


@overload
def train(net: Net, data: Any, *, optimizer: list[Any], **how: Any) -> list[Training]: ...


def train(
    net: Net,
    data: Any,
    *,
    validation: Any = None,
    epochs: int = 5,
    batch_size: int = 64,
    optimizer: Any = None,
    loss: Any = None,
    seed: int | Sequence[int] = 0,
    device: Any = None,
    engine: str = "auto",
    progress: bool | None = None,
    rates: Mapping[str, float] | None = None,
    cache: bool | str | os.PathLike[str] = True,
    on_epoch: Callable[[Mapping[str, Any]], Any] | None = None,
    checkpoint: Any = None,
    resume: Any = None,
    look: Any = None,
    **unknown: Any,
) -> Training | list[Training]:
    """Train a net. It is not changed; the trained one is ``run.net``.

    Args:
        net: any net. Codecs with something to learn learn it from the training part; sizes that it leaves
            open come from the data; arrays that are missing are made from the seed.
        data: as ``rt.data`` takes it: a name, a folder, a pair ``(x, y)``, a dict of columns, a set. Its
            training part is learned from, its test part is never touched.
        validation: None for the data's own part, else a tenth from 1,000 examples on; 0 for none; a
            fraction, each label getting its share; or data, also as a pair.
        epochs: at least 0, how often each example is seen.
        batch_size: at least 1, examples a step.
        optimizer: ``rt.Adam(1e-3)`` by default; a value or a name. A list trains one net with each, as a
            list of seeds does; with both, one net for each pair.
        loss: None (from the output's codec: classes cross-entropy, booleans binary cross-entropy, numbers
            squared error; without codec by the ending), a name, a function of outputs and targets, a pair
            of these with a weight, or a dict by output port. A function is recorded once when the engine
            is a program; one that does something else at every call is found out and walked.
        seed: 0..2**63 - 1, of everything random: new arrays, the validation part, the order, dropout. A
            list, or ``range(8)``, trains one net with each, as if alone: small nets all at once, as one
            program; ``run.settings["engine"]`` tells. One that diverges stays as it was, its ``why`` tells,
            and the others go on.
        device: ``"cpu"``, ``"cuda"``, ...; by default a GPU of CUDA where there is one.
        engine: ``"program"``, the whole step as one flat program; ``"walk"``, layer by layer, for looking
            for faults; ``"auto"``, the program where there are steps enough to repay its planning;
            ``"compile"``, the step by ``torch.compile``, which needs a compiler and takes its time.
        progress: False for silence; else a live line in a terminal, one line an epoch elsewhere.
        rates: multipliers of the learning rate by path pattern, ``{"classifier": 1, "*": 0}``; 0 freezes,
            the first pattern that matches wins, what none matches has 1. A layer with 0 behaves as in
            inference: its statistics and its dropout rest too. What a frozen beginning of the net gives is
            computed once for each example and kept; ``run.settings["frozen"]`` tells.
        cache: True to keep that for this run, in memory or in a temporary file; a folder to keep it between
            runs too, by the content of layers and examples (it may be deleted at any time); False to compute
            the whole net in every step.
        on_epoch: called with every epoch's entry of the history; if it answers "stop", training ends there.
            With many nets, entries have the ``seed`` too, and each net ends by itself.
        checkpoint, resume, look: not there yet.
    Returns:
        The training: ``.net``, ``.last``, ``.history``, ``.plot()``. Ctrl-C ends it after the step at hand,
        with what there is. With a list of seeds or optimizers, a list of trainings in its order.
    Raises:
        ArgumentError: an argument out of its range. TrainingError: a loss that cannot suit the net, or one
            that became infinite or NaN (then ``error.run`` is what there is). DataError, CodecError: data
            that cannot be learned from, with the row.
    Example:
        >>> import retia as rt
        >>> x, y = [[0.0], [1.0], [2.0], [3.0]], [[1.0], [3.0], [5.0], [7.0]]
        >>> run = rt.train(rt.Linear(1), (x, y), epochs=300, optimizer=rt.Adam(0.1), progress=False)
        >>> bool(abs(run.net([4.0]) - 9.0) < 0.1)
        True
        >>> runs = rt.train(rt.Linear(1), (x, y), seed=range(3), epochs=1, progress=False)
        >>> [run.seed for run in runs]
        [0, 1, 2]
    """
    _refuse_unknown(unknown)
    later = {"checkpoint": checkpoint, "resume": resume, "look": look}
    for name in LATER:
        if later[name] is not None:
            raise NotYetError(f"train: {name}= is not there yet.", fix="leave it out", path=name)
    if not isinstance(net, Net):
        raise ArgumentError(f"train: the first argument is a net; got {net!r}.", got=net)
    epochs = whole(0)("train: epochs", epochs)
    batch_size = whole(1)("train: batch_size", batch_size)
    engine = choice("auto", "program", "compile", "walk")("train: engine", engine)
    keeping = read_cache(cache)
    data = read_data(data)
    data.train.ahead()  # bundled sets unpack while PyTorch is imported
    place = read_device(device)
    pairs = pairs_of(seed, optimizer)
    if pairs is not None:
        same: dict[str, Any] = {"loss": loss, "rates": rates, "epochs": epochs, "batch_size": batch_size}
        same |= {"engine": engine, "progress": progress}
        alone = partial(train, net, **same, device=place, cache=cache)
        asked = Asked(net, data, validation, **same, device=place, on_epoch=on_epoch, alone=alone, loop=Loop)
        return train_many(asked, pairs)
    number: int = whole(0, 2**63 - 1)("train: seed", seed)
    chosen = read_optimizer(optimizer)
    prepared = prepare(net, data, validation, loss, number, place)
    step = Step(prepared.net, prepared.objective, chosen, number, read_rates(prepared.net, rates))

    def trial(size: int) -> None:  # the state does not stand twice, so what fits here fits there
        rows = torch.arange(size) % len(prepared.train)
        arrays = {path: tensor.to(place) for path, tensor in prepared.net.arrays.items()}
        step.pull(arrays, prepared.train.batch(rows), 0)

    if epochs:
        refuse_idle(step)
    with steady(), Progress(progress, epochs, len(prepared.train)) as shown:
        prepared = with_kept(prepared, step, epochs, keeping)
        if step.paces.frozen:
            shown.note(f"frozen: {prepared.frozen}")
        with fits(batch_size, trial):
            loop = Loop(prepared, step, epochs, batch_size, engine, on_epoch)
            torch.set_num_threads(loop.runner.threads)
            with Interrupt() as stop:
                try:
                    why = loop.run(stop, shown)
                except KeyboardInterrupt:
                    if stop.asked:
                        raise
                    why = INTERRUPTED
        return loop.result(why)


class Loop:
    """The epochs of one net: what is added up, kept and told."""

    def __init__(
        self,
        ready: Prepared,
        step: Step,
        epochs: int,
        batch_size: int,
        engine: str,
        on_epoch: Callable[[Mapping[str, Any]], Any] | None,
        runner: Runner | None = None,
    ) -> None:
        self.ready = ready
        self.step = step
        self.epochs = epochs
        self.batch_size = batch_size
        self.on_epoch = on_epoch
        self.history: list[dict[str, Any]] = []
        self.best: Mapping[str, Tensor] = ready.net.arrays
        self.finished: Mapping[str, Tensor] = ready.net.arrays
        self.finished_count = -1
        self.resting = resting(ready.net, step.paces)
        self.best_epoch = 0
        self.epoch, self.begun = 0, 0.0
        self.total, self.done = 0.0, 0
        device = ready.train.device
        arrays = {path: tensor.to(device) for path, tensor in ready.net.arrays.items()}
        once = Counter(len(rows) for rows in self.rows(1))
        sizes = {size: times * epochs for size, times in once.items()}
        self.runner = runner or runner_of(engine, step, ready.train, arrays, sizes)
        self.judge = self._judge_of(ready.validation, batch_size * JUDGED)
        self.settings = self._settings(device)

    def _judge_of(self, examples: Examples | None, size: int) -> Judge | None:
        if examples is None:
            return None
        flat = self.runner.by_program and len(examples) // size * self.epochs >= REPAYS
        return Judge(self.step, examples, self.state, size, flat=flat)

    @property
    def state(self) -> State:
        """What the steps move."""
        return self.runner.state

    # Epochs ---------------------------------------------------------------------------------------

    def run(self, stop: Interrupt, shown: Progress) -> str:
        """Train until the end; answers why it ended."""
        for epoch in range(1, self.epochs + 1):
            entry = self._epoch(epoch, stop, shown)
            if entry is None:
                return INTERRUPTED
            self.keep(entry)
            shown.epoch(entry)
            why = self.told_to_stop(entry)
            if why:
                return why
        return f"all {self.epochs} epochs done"

    def _epoch(self, epoch: int, stop: Interrupt, shown: Progress) -> dict[str, Any] | None:
        self.begin(epoch)

        def watch(rows: Tensor, loss: float) -> bool:
            self.add(rows, loss)
            if shown.is_due():
                shown.batch(epoch, self.done, self.so_far())
            return stop.asked

        self.runner.epoch(self.rows(epoch), watch)
        return None if stop.asked else self.end(time.perf_counter())

    def begin(self, epoch: int) -> None:
        """Begin an epoch, counted from 1."""
        self.epoch, self.begun = epoch, time.perf_counter()
        self.total, self.done = 0.0, 0
        self.runner.counts.clear()

    def add(self, rows: Tensor, loss: float) -> None:
        """Add a batch and the loss before its step.

        Raises:
            TrainingError: the loss is not finite.
        """
        if not math.isfinite(loss):
            where = f"step {self.state.count + 1} (epoch {self.epoch})"
            raise self._diverged(self.ready.train.origin.batch(rows), loss, where, True)
        self.total += loss * len(rows)
        self.done += len(rows)

    def so_far(self) -> dict[str, float]:
        """Loss, shares of right decisions and speed of the epoch until now."""
        speed = self.done / (time.perf_counter() - self.begun)
        told = self._told(self.total / self.done, self.runner.counts)
        return {**told, "examples_per_second": speed}

    def end(self, trained: float) -> dict[str, Any]:
        """The entry of the epoch, whose last step was done at a time.

        Raises:
            TrainingError: the validation loss is not finite.
        """
        entry = {"epoch": self.epoch, **self._told(self.total / self.done, self.runner.counts)}
        if self.judge is not None:
            entry |= self._judge(self.epoch)
        return entry | {
            "seconds": time.perf_counter() - self.begun,
            "rate": self.step.optimizer.learning_rate,
            "examples_per_second": self.done / (trained - self.begun),
        }

    def told_to_stop(self, entry: Mapping[str, Any]) -> str:
        """Ask the user after an epoch; answers why it was the last one, "" where it was not."""
        if self.on_epoch is not None and self.on_epoch(entry) == "stop":
            return f"on_epoch said stop after epoch {self.epoch}"
        return ""

    def rows(self, epoch: int) -> list[Tensor]:
        """The batches of an epoch."""
        return batches(self.ready, self.step.seed, epoch, self.batch_size)

    def _judge(self, epoch: int) -> dict[str, float]:
        """Loss and accuracy of the validation part."""
        held_out = self.ready.validation
        assert self.judge is not None
        assert held_out is not None
        where = f"validation after epoch {epoch}"

        def fault(batch: Batch, loss: float) -> TrainingError:
            assert batch.rows is not None
            return self._diverged(held_out.origin.batch(batch.rows.cpu()), loss, where, False)

        told = self.judge(fault)
        return {f"val_{name}": value for name, value in told.items()}

    def _told(self, loss: float, counts: Counts) -> dict[str, float]:
        return {"loss": loss, **counts.shares()}

    def keep(self, entry: dict[str, Any]) -> None:
        """Put an epoch into the history, and its arrays by if they are the best so far."""
        self.history.append(entry)
        own, rest = self.ready.net.arrays, self.resting
        moved = {path: row_major(each) for path, each in self.state.arrays.items() if path not in rest}
        self.finished = {**own, **moved}
        self.finished_count = self.state.count
        lowest = min((past["val_loss"] for past in self.history[:-1] if "val_loss" in past), default=math.inf)
        if entry.get("val_loss", -math.inf) < lowest:
            self.best, self.best_epoch = self.finished, entry["epoch"]

    # Results --------------------------------------------------------------------------------------

    def result(self, why: str) -> Training:
        """What there is now."""
        fresh = self.state.count == self.finished_count
        last = self.ready.net.with_arrays(self.finished) if fresh else self.step.finish(self.state)
        judged = self.ready.validation is not None and self.best_epoch > 0
        return self._training(self.ready.net.with_arrays(self.best) if judged else last, last, why)

    def _training(self, net: Net, last: Net, why: str) -> Training:
        return Training(net, last, [*self.history], self.best_epoch, why, self.step.seed, self.settings)

    def _diverged(self, batch: Batch, loss: float, where: str, training: bool) -> TrainingError:
        run = self.step.run(batch, self.state.count) if training else Run(seed=self.step.seed)
        error = diverged(self.ready.net, self.state.arrays, batch, run, loss, where)
        net = self.ready.net.with_arrays(self.best)
        error.run = self._training(
            net, self.ready.net.with_arrays(self.finished), f"loss {loss:g} in {where}"
        )
        return error

    def _settings(self, device: torch.device) -> dict[str, Any]:
        ready, optimizer = self.ready, self.step.optimizer
        told = ", ".join(f"{name}={value}" for name, value in optimizer.settings().items())
        held_out = len(ready.validation) if ready.validation is not None else 0
        return {
            "parameters": ready.net.count,
            "examples": len(ready.train),
            "validation": f"{held_out:,} examples: {ready.chosen}" if held_out else ready.chosen,
            "loss": ready.objective.name,
            "optimizer": f"{type(optimizer).__name__}({told})",
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "seed": self.step.seed,
            "device": str(device),
            "frozen": ready.frozen,
            "precision": "float32",
            "engine": self.runner.told,
            "threads": self.runner.threads,
            "process": in_words(),
            "torch": torch.__version__,
        }


def _refuse_unknown(unknown: Mapping[str, Any]) -> None:
    for name in unknown:
        known = [
            "rates",
            "cache",
            "on_epoch",
            "validation",
            "epochs",
            "batch_size",
            "optimizer",
            "loss",
            "seed",
            "device",
            "engine",
        ]
        known += ["progress", *LATER]
        hint = f" Here {ELSEWHERE[name]}." if name in ELSEWHERE else did_you_mean(name, known)
        raise ArgumentError(
            f"train has no argument {name!r}.{hint}", fix=f"it has: {', '.join(known)}", got=name
        )
