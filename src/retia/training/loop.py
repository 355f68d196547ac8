"""The epochs of one net: steps, judging, what is added up, kept and told."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.engine.process import in_words
from retia.engine.walk import Run
from retia.errors import TrainingError
from retia.metrics.examples import Batch, Examples
from retia.metrics.tally import Tally
from retia.nets.lineage import descended, known
from retia.nets.net import Net
from retia.training.callbacks import View
from retia.training.diagnosis import diverged
from retia.training.frozen import resting
from retia.training.how import How
from retia.training.interrupt import Interrupt
from retia.training.judge import Judge
from retia.training.prepare import Prepared, batches
from retia.training.progress import Progress
from retia.training.reports.records import Recorder
from retia.training.reports.report import versions
from retia.training.result import Training
from retia.training.runner import REPAYS, Runner, runner_of
from retia.training.schedule import Moment
from retia.training.step import State, Step, row_major

if TYPE_CHECKING:
    from torch import Tensor

    from retia.training.saving import Saver

JUDGED = 4
"""Validation takes so many training batches at once: no gradients stand in memory."""


@dataclass
class Course:
    """How far a training has come, besides its arrays: with the state, all that the rest depends on.

    Attributes:
        epoch: that is at hand or was done last, from 1.
        batch: how many of its batches are done.
        total, done: the losses of its examples added up, and how many these are.
        history: the entries of the epochs that are done.
        best_epoch: the one with the lowest validation loss; 0 where none was judged.
        seconds: that the training took before this process went on with it.
    """

    epoch: int = 0
    batch: int = 0
    total: float = 0.0
    done: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = 0
    seconds: float = 0.0


class Loop:
    """The epochs of one net.

    Args:
        ready: what to train.
        step: what one is.
        how: it is trained.
        runner: of the steps, where it is there already.
        saver: writes checkpoints, and knows the one to go on from.
    """

    def __init__(
        self,
        ready: Prepared,
        step: Step,
        how: How,
        runner: Runner | None = None,
        saver: Saver | None = None,
    ) -> None:
        self.ready, self.step, self.how, self.saver = ready, step, how, saver
        self.stops = how.stops(ready, step)
        begun = saver.begun if saver is not None else None
        self.course = begun.course if begun is not None else Course()
        self.best: Mapping[str, Tensor] = begun.best if begun is not None else ready.net.arrays
        self.finished: Mapping[str, Tensor] = ready.net.arrays
        self.finished_count = -1
        self.resting = resting(ready.net, step.paces)
        self.rate = step.optimizer.learning_rate
        self.limit = self.stops.seconds
        self.heeds = saver is not None or self.limit < math.inf or how.callbacks.want("step")
        self.started = self.begun = time.perf_counter()
        self.steps = [len(rows) for rows in self.rows(1)]
        self.runner = runner or self._runner()
        if begun is not None:
            begun.resume(self.runner.tally)
        self.judge = self._judge_of(ready.validation, how.batch_size * JUDGED)
        self.recorder = Recorder(step, ready.train, how.epochs, begun.records if begun is not None else ())
        self.settings = self._settings(ready.train.device)
        self._factor = 1.0
        self._waited = 0.0

    def _runner(self) -> Runner:
        device = self.ready.train.device
        arrays = {path: tensor.to(device) for path, tensor in self.ready.net.arrays.items()}
        sizes = {size: times * self.how.epochs for size, times in Counter(self.steps).items()}
        recipe = self.saver.recipe if self.saver is not None else None
        engine = recipe.engine if recipe is not None else self.how.engine
        often = recipe.sizes if recipe is not None else None
        state = self.saver.begun.state if self.saver is not None and self.saver.begun is not None else None
        return runner_of(engine, self.step, self.ready.train, arrays, sizes, state=state, often=often)

    def _judge_of(self, examples: Examples | None, size: int) -> Judge | None:
        if examples is None:
            return None
        flat = self.runner.by_program and len(examples) // size * self.how.epochs >= REPAYS
        return Judge(self.step, examples, self.state, size, flat=flat)

    @property
    def state(self) -> State:
        """What the steps move."""
        return self.runner.state

    @property
    def history(self) -> list[dict[str, Any]]:
        """The entries of the epochs that are done."""
        return self.course.history

    @property
    def done(self) -> int:
        """Examples of the epoch at hand."""
        return self.course.done

    @property
    def seconds(self) -> float:
        """That the training took until now."""
        return self.course.seconds + time.perf_counter() - self.started

    # Epochs ---------------------------------------------------------------------------------------

    def run(self, stop: Interrupt, shown: Progress) -> str:
        """Train until the end; answers why it ended."""
        why = self._call("start")
        if self.course.epoch == 0 and self.how.epochs:
            self.recorder.look(self.state, 0)
        while not why:
            why = self._between() or stop.why or self._epoch(self._next(), stop, shown)
        return why

    def _next(self) -> int:
        """The epoch that is to be done: the one at hand, if there is more of it."""
        course = self.course
        return course.epoch if course.batch < len(self.steps) and course.epoch else course.epoch + 1

    def _between(self) -> str:
        """Why there is no other epoch, from the history alone, so that it is the same after a resumption."""
        if self._next() == self.course.epoch:
            return ""
        ended = f"all {self.how.epochs} epochs done" if self._next() > self.how.epochs else ""
        return (self.stops.why(self.history, self.seconds) if self.history else "") or ended

    def _epoch(self, epoch: int, stop: Interrupt, shown: Progress) -> str:
        """One epoch, or what is left of it; answers why it was the last one, "" where it was not."""
        self.begin(epoch)
        ended = ""

        def watch(rows: Tensor, loss: float) -> bool:
            nonlocal ended
            self.add(rows, loss)
            if shown.is_due():
                shown.batch(epoch, self.done, self.so_far())
            if self.heeds or stop.asked:
                ended = ended or self._after_step(loss, stop)
            return ended != ""

        left = self.rows(epoch)[self.course.batch :]
        self.runner.epoch(left, watch, epoch, self.factor)
        if ended and self.course.batch < len(self.steps):
            return ended
        entry = self.end(time.perf_counter())
        self.keep(entry)
        shown.epoch(entry)
        self.recorder.look(self.state, epoch, last=epoch == self.how.epochs)
        why = self._call("epoch") or ended
        if self.saver is not None:
            self.saver.epoch(self)
        return why

    def _after_step(self, loss: float, stop: Interrupt) -> str:
        """What may end a training between two steps."""
        if self.saver is not None and self.runner.is_settled:
            self.saver.step(self)
        if stop.asked:
            return stop.why
        if self.seconds >= self.limit:
            return self.stops.why(self.history, self.seconds)
        return self._call("step", loss) if self.how.callbacks.want("step") else ""

    def begin(self, epoch: int) -> None:
        """Begin an epoch, counted from 1, or go on with it."""
        self.begun, self._waited = time.perf_counter(), self.ready.train.feed.waited()
        course = self.course
        if course.epoch != epoch:
            course.epoch, course.batch, course.total, course.done = epoch, 0, 0.0, 0
            self.runner.tally.clear()
        schedule = self.how.schedule
        self._factor = schedule.factor(self.moment()) if schedule is not None else 1.0

    def moment(self, ahead: int = 0) -> Moment:
        """Where in the run the step at hand is, or one so many batches after it in the epoch."""
        gathered, course = self.step.motion.accumulate, self.course
        steps = -(-len(self.steps) // gathered)
        at = (course.epoch - 1) * steps + (course.batch + ahead) // gathered
        return Moment(at, steps * self.how.epochs, course.epoch - 1, self.how.epochs, course.history)

    def factor(self, ahead: int = 0) -> float:
        """By how much the learning rate is multiplied, so many batches after the step at hand."""
        schedule = self.how.schedule
        if schedule is not None and not schedule.by_epoch():
            self._factor = schedule.factor(self.moment(ahead))
        return self._factor

    def add(self, rows: Tensor, loss: float) -> None:
        """Add a batch and the loss before its step.

        Raises:
            TrainingError: the loss is not finite.
        """
        if not math.isfinite(loss):
            where = f"step {self.state.count + 1} (epoch {self.course.epoch})"
            raise self._diverged(self.ready.train.origin.batch(rows), loss, where, True)
        course, size = self.course, len(rows)
        course.total += loss * size
        course.done += size
        course.batch += 1

    def so_far(self) -> dict[str, float]:
        """Loss, metrics and speed of the epoch until now."""
        speed = self.done / (time.perf_counter() - self.begun)
        return {**self._told(), "examples_per_second": speed, **self._waiting(time.perf_counter())}

    def _waiting(self, now: float) -> dict[str, float]:
        """The share of the epoch's time until now that was spent waiting for data, where they stream."""
        feed = self.ready.train.feed
        return {"waiting": (feed.waited() - self._waited) / (now - self.begun)} if feed.streams else {}

    def end(self, trained: float) -> dict[str, Any]:
        """The entry of the epoch, whose last step was done at a time.

        Raises:
            TrainingError: the validation loss is not finite.
        """
        entry = {"epoch": self.course.epoch, **self._told()}
        if self.judge is not None:
            entry |= self._judge(self.course.epoch)
        return entry | {
            "seconds": time.perf_counter() - self.begun,
            "rate": self.rate * self._factor,
            "examples_per_second": self.done / (trained - self.begun),
            **self._waiting(trained),
        }

    def told_to_stop(self) -> str:
        """Whether the training ends after the epoch that was kept: why, "" where it goes on."""
        return self._call("epoch") or self.stops.why(self.history, self.seconds)

    def close(self) -> None:
        """Tell callbacks of the end."""
        self._call("end")

    def _call(self, moment: str, loss: float | None = None) -> str:
        if not self.how.callbacks.want(moment):
            return ""
        course = self.course
        steps = len(self.steps) * self.how.epochs
        done = (max(course.epoch, 1) - 1) * len(self.steps) + course.batch
        view = View(
            course.epoch, done, steps, loss, self.step.seed, course.history,
            lambda: self.step.finish(self.state), self.state.clone,
        )  # fmt: skip
        return self.how.callbacks.call(moment, view)

    def rows(self, epoch: int) -> list[Tensor]:
        """The batches of an epoch."""
        return batches(self.ready, self.step.seed, epoch, self.how.batch_size)

    def _judge(self, epoch: int) -> dict[str, float]:
        """Loss and metrics of the validation part."""
        held_out = self.ready.validation
        assert self.judge is not None
        assert held_out is not None
        where = f"validation after epoch {epoch}"

        def fault(batch: Batch, loss: float) -> TrainingError:
            assert batch.rows is not None
            return self._diverged(held_out.origin.batch(batch.rows.cpu()), loss, where, False)

        told = self.judge(fault)
        return {f"val_{name}": value for name, value in told.items()}

    def _told(self) -> dict[str, float]:
        tally: Tally = self.runner.tally
        return {"loss": self.course.total / self.course.done, **tally.figures()}

    def keep(self, entry: dict[str, Any]) -> None:
        """Put an epoch into the history, and its arrays by if they are the best so far."""
        before = min((past["val_loss"] for past in self.history if "val_loss" in past), default=math.inf)
        self.history.append(entry)
        self.finished, self.finished_count = self.arrays(), self.state.count
        if entry.get("val_loss", -math.inf) < before:
            self.best, self.course.best_epoch = self.finished, entry["epoch"]

    def arrays(self) -> dict[str, Tensor]:
        """The net's arrays as they are now: copies of those that may move."""
        chosen, own, rest = self.state.chosen, self.ready.net.arrays, self.resting
        return {**own, **{path: row_major(each) for path, each in chosen.items() if path not in rest}}

    # Results --------------------------------------------------------------------------------------

    def result(self, why: str) -> Training:
        """What there is now."""
        fresh = self.state.count == self.finished_count
        last = self._trained(self.finished if fresh else self.arrays(), len(self.history))
        judged = self.ready.validation is not None and self.course.best_epoch > 0
        kept = judged and self.how.keep == "best"
        best = self._trained(self.best, self.course.best_epoch) if kept else last
        return self._training(best, last, why)

    def _trained(self, arrays: Mapping[str, Tensor], epochs: int) -> Net:
        """The net with these arrays, and with the training in its lineage."""
        net, examples = self.ready.net, len(self.ready.train)
        words = f"trained {epochs} epoch{'s' * (epochs != 1)} on {examples:,} examples, seed={self.step.seed}"
        return descended(net.with_arrays(arrays), known(net), words)

    def _training(self, net: Net, last: Net, why: str, broken: str = "") -> Training:
        course = self.course
        return Training(
            net,
            last,
            [*course.history],
            course.best_epoch,
            why,
            self.step.seed,
            self.settings,
            records=tuple(self.recorder.records),
            versions=versions(),
            seconds=self.seconds,
            parts={"training": self.ready.train.data, **self._held()},
            loss=self.how.loss,
            diverged=broken,
        )

    def _held(self) -> dict[str, Any]:
        return {"validation": self.ready.validation.data} if self.ready.validation is not None else {}

    def _diverged(self, batch: Batch, loss: float, where: str, training: bool) -> TrainingError:
        step, state = self.step, self.state
        run = step.run(batch, state.count, self.course.epoch) if training else Run(seed=step.seed)
        arrays = state.arrays if training else state.chosen
        error = diverged(self.ready.net, arrays, batch, run, loss, where)
        net = self._trained(self.best, self.course.best_epoch)
        last = self._trained(self.finished, len(self.history))
        error.run = self._training(net, last, f"loss {loss:g} in {where}", error.message)
        if self.saver is not None and training:
            error = self.saver.failed(self, batch, error)
        return error

    def _settings(self, device: torch.device) -> dict[str, Any]:
        ready, optimizer, how, step = self.ready, self.step.optimizer, self.how, self.step
        told = ", ".join(f"{name}={value}" for name, value in optimizer.settings().items())
        held_out = len(ready.validation) if ready.validation is not None else 0
        settings = {
            "parameters": ready.net.count,
            "examples": len(ready.train),
            "validation": f"{held_out:,} examples: {ready.chosen}" if held_out else ready.chosen,
            "loss": ready.objective.name,
            "optimizer": f"{type(optimizer).__name__}({told})",
            "schedule": repr(how.schedule) if how.schedule is not None else None,
            "epochs": how.epochs,
            "batch_size": how.batch_size,
            "accumulate": how.accumulate if how.accumulate > 1 else None,
            "l1": how.l1,
            "l2": how.l2,
            "clip_norm": how.clip_norm,
            "clip_value": how.clip_value,
            "ema": how.ema,
            "mix": ", ".join(map(repr, how.mix.ways)) if how.mix is not None else None,
            "rates": how.rates,
            "turns": how.turns,
            "metrics": ", ".join(gauge.name for gauge in step.gauges) or None,
            "stop": ", ".join(map(repr, self.stops.each)) or None,
            "keep": how.keep,
            "seed": step.seed,
            "device": str(device),
            "frozen": ready.frozen,
            "precision": how.precision.name,
            "engine": self.runner.told,
            "threads": self.runner.threads,
            "process": in_words(),
            "checkpoint": how.checkpoint,
            "resumed": self.saver.told if self.saver is not None else None,
            "torch": torch.__version__,
        }
        return {name: value for name, value in settings.items() if value is not None}
