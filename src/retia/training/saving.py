"""Checkpoints of a training: what is written, when, and how a training goes on from there.

A checkpoint holds everything that the rest of the training depends on: arrays that move, the optimizer's
memory, gradients that wait, averages, how far it has come, and the recipe by which its bits are made. What a
training must have in common with the one that it goes on with is compared before the first step.
"""

from __future__ import annotations

import hashlib
import time
import warnings
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.engine.process import in_words
from retia.errors import ArgumentError, FileError, FormatError, RetiaWarning, TrainingError
from retia.formats.checkpoint import Checkpoint, CheckpointFolder
from retia.metrics.examples import Batch, Examples
from retia.metrics.tally import Tally
from retia.training.cache import example_keys
from retia.training.frozen import resting
from retia.training.how import How
from retia.training.loop import Course, Loop
from retia.training.packing import Packing, Unpacking
from retia.training.prepare import Prepared, batches
from retia.training.replay import replay_name, write_replay
from retia.training.reports.records import LayerRecord, Records
from retia.training.runner import REPAYS
from retia.training.step import State, Step, row_major

if TYPE_CHECKING:
    from torch import Tensor

EVERY = 600.0
"""Seconds between two checkpoints within an epoch."""
SEEN = 64
"""Examples of each part by which data are told apart."""
BEST, SUM = "best:", "sum:"


@dataclass(frozen=True)
class Recipe:
    """By what the bits of a training are made.

    Attributes:
        engine: ``"program"``, ``"compile"`` or ``"walk"``.
        sizes: of the batches that have programs.
        around: threads, versions and process settings, by name, in words.
    """

    engine: str
    sizes: tuple[int, ...]
    around: Mapping[str, str]


@dataclass(frozen=True)
class Begun:
    """A training that was begun elsewhere.

    Attributes:
        state: as it was.
        course: how far it had come.
        best: the best arrays until then.
        records: of its layers.
        sums, counts: of the metrics of the epoch at hand.
    """

    state: State
    course: Course
    best: Mapping[str, Tensor]
    records: tuple[Records, ...]
    sums: Mapping[str, Tensor]
    counts: Mapping[str, int]

    def resume(self, tally: Tally) -> None:
        """Give the metrics of the epoch at hand what they had."""
        tally.clear()
        for key, summed in self.sums.items():
            tally.put(key, summed.to(tally.sums[key].device) if key in tally.sums else summed)
        tally.count(self.counts)


class Saver:
    """Writes the checkpoints of one training; a context, while which nobody else writes to the folder.

    Args:
        ready, step, how: the training.
    Attributes:
        begun: what it goes on with; None where it begins anew.
        recipe: of that.
        told: where it goes on, in words.
        notes: sentences for the user.
    Raises:
        ArgumentError: the folder holds another training, or one that was not asked to be gone on with.
        FileError: it cannot be written.
    """

    def __init__(self, ready: Prepared, step: Step, how: How) -> None:
        assert how.checkpoint is not None
        self._ready, self._step, self._how = ready, step, how
        self._folder = CheckpointFolder(how.checkpoint, new=not how.resume)
        self._rest = sorted(resting(ready.net, step.paces))
        self._stack = ExitStack()
        self._saved, self._count = time.perf_counter(), -1
        self.begun: Begun | None = None
        self.recipe: Recipe | None = None
        self.told: str | None = None
        self.notes: list[str] = []

    def __enter__(self) -> Saver:
        self._stack.enter_context(self._folder)
        try:
            if self._how.resume and self._folder.steps():
                self._go_on(self._folder.read())
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    # Writing --------------------------------------------------------------------------------------

    def epoch(self, loop: Loop) -> None:
        """Write after an epoch."""
        self._write(loop)

    def step(self, loop: Loop) -> None:
        """Write within an epoch, when it is time."""
        if time.perf_counter() - self._saved >= EVERY:
            self._write(loop)

    def end(self, loop: Loop) -> None:
        """Write what is not written yet."""
        if loop.state.count != self._count and loop.runner.is_settled:
            self._write(loop)

    def broke(self, loop: Loop, error: Exception) -> None:
        """Write what is needed to do the step again in which something failed, and note it on the error."""
        rows = loop.rows(max(loop.course.epoch, 1))
        if loop.course.batch < len(rows) and loop.runner.is_settled:
            batch = loop.ready.train.origin.batch(rows[loop.course.batch])
            again = self._replay(loop, batch, f"{type(error).__name__}: {error}")
            if again:
                error.add_note(again)

    def failed(self, loop: Loop, batch: Batch, error: TrainingError) -> TrainingError:
        """Write what is needed to do a step again; the error then says where that is."""
        again = self._replay(loop, batch, error.message) if loop.runner.is_settled else ""
        if not again:
            return error
        found = TrainingError(
            error.message,
            because=[*error.because, again],
            fix=error.fix,
            path=error.path,
            got=error.got,
        )
        found.run = error.run
        return found

    def _replay(self, loop: Loop, batch: Batch, why: str) -> str:
        """Write the step at hand; answers how it is done again, "" where it could not be written."""
        path = self._folder.place / replay_name(loop.state.count + 1)
        course, last = loop.course, loop.course.batch == len(loop.steps) - 1
        try:
            write_replay(
                path,
                loop.step,
                loop.state,
                batch,
                why=why,
                epoch=course.epoch,
                factor=loop.factor(),
                last=last,
            )
        except FormatError as fault:
            self._warn(fault)
            return ""
        return f"rt.replay({str(path)!r}) does the step again, layer by layer"

    def _write(self, loop: Loop) -> None:
        """One checkpoint. Where there is no room the training goes on, and the one before stays."""
        self._saved, self._count = time.perf_counter(), loop.state.count
        packing = Packing()
        state = replace(loop.state, arrays=_without(loop.state.arrays, self._rest))
        now = loop.finished_count == loop.state.count and loop.best is loop.finished
        best = {} if now or not loop.course.best_epoch else _without(loop.best, self._rest)
        facts = {
            "state": packing.pack(state, "state"),
            "course": asdict(replace(loop.course, seconds=loop.seconds)),
            "best": "now" if now else "kept" if best else "none",
            "records": [asdict(each) for each in loop.recorder.records],
            "counts": dict(loop.runner.tally.counts),
            "alike": self._alike(),
            "epochs": self._how.epochs,
            "recipe": asdict(recipe_of(loop)),
        }
        tensors = {**packing.tensors, **{BEST + path: each for path, each in best.items()}}
        tensors |= {SUM + key: each for key, each in loop.runner.tally.sums.items()}
        try:
            self._folder.write(loop.state.count, {n: _plain(t) for n, t in tensors.items()}, facts)
        except FileError as error:
            self._warn(error)

    def _warn(self, error: FormatError) -> None:
        told = f"{error.message} The training goes on; checkpoints that are there stay."
        warnings.warn(told, RetiaWarning, stacklevel=2)

    # Going on -------------------------------------------------------------------------------------

    def _alike(self) -> dict[str, Any]:
        """What a training has in common with one that goes on with it, by name."""
        if not self.__dict__.get("_common"):
            ready, how = self._ready, self._how
            packed = Packing().pack(replace(self._step, gauges=()), "step")["fields"]
            net = ready.net
            self._common: dict[str, Any] = {
                "net": net.expression_hash,
                "frozen arrays": _digest({path: net.arrays[path] for path in self._rest}),
                "batch_size": how.batch_size,
                "schedule": repr(how.schedule) if how.schedule is not None else None,
                "training examples": _fingerprint(ready.train.origin),
                "validation examples": _fingerprint(ready.validation and ready.validation.origin),
                **{name: packed[name] for name in packed if name != "net"},
            }
        return self._common

    def _go_on(self, found: Checkpoint) -> None:
        facts = found.facts
        ours, theirs = self._alike(), facts["alike"]
        odd = [name for name in ours if _listed(ours[name]) != _listed(theirs.get(name))]
        if odd:
            raise ArgumentError(
                f"resume: the checkpoint is of another training: it differs in {', '.join(odd)}.",
                because=[f"{name}: {theirs.get(name)!r:.80} there, {ours[name]!r:.80} here" for name in odd],
                fix="give train what it was given then, or another folder",
                path=str(found.path),
            )
        unpacking = Unpacking(found.tensors, [])
        state = unpacking.unpack(facts["state"], State)
        net, device = self._ready.net, self._ready.train.device
        state.arrays = {**{path: net.arrays[path] for path in self._rest}, **state.arrays}
        state.arrays = {path: state.arrays[path] for path in net.arrays}
        course = Course(**facts["course"])
        kept = {name.removeprefix(BEST): t for name, t in found.tensors.items() if name.startswith(BEST)}
        now = {path: row_major(each) for path, each in state.chosen.items()}  # the state's own will move
        best = {**net.arrays, **(kept if facts["best"] == "kept" else now)}
        sums = {name.removeprefix(SUM): t for name, t in found.tensors.items() if name.startswith(SUM)}
        records = tuple(
            Records(**{**each, "layers": tuple(LayerRecord(**layer) for layer in each["layers"])})
            for each in facts["records"]
        )
        self.begun = Begun(_moved(state, device), course, best, records, sums, facts["counts"])
        recipe = facts["recipe"]
        self.recipe = Recipe(recipe["engine"], tuple(recipe["sizes"]), recipe["around"])
        self._count = state.count
        self._tell(found, facts["epochs"])

    def _tell(self, found: Checkpoint, epochs: int) -> None:
        assert self.begun is not None
        assert self.recipe is not None
        course, how = self.begun.course, self._how
        self.told = f"after step {found.step:,} (epoch {course.epoch}), from {found.path}"
        self.notes = [*found.notes, f"resumed {self.told}"]
        if epochs != how.epochs and how.schedule is not None and not how.schedule.extends():
            self.notes.append(
                f"{how.schedule!r} looks at how long a training is: {epochs} epochs and then up to "
                f"{how.epochs} are not {how.epochs} at once"
            )
        sizes = Counter(map(len, batches(self._ready, 0, 1, how.batch_size)))
        often = max(sizes.values(), default=0) * how.epochs
        if self.recipe.engine == "walk" and how.engine == "auto" and often >= REPAYS:
            self.notes.append(
                f"the walk of {epochs} epochs goes on; "
                f"{how.epochs} at once would be a program, with other bits"
            )
        here = around(self._ready.train.device)
        odd = [
            f"{n}: {then} then, {here[n]} now"
            for n, then in self.recipe.around.items()
            if here.get(n) != then
        ]
        if odd:
            self.notes.append(f"the bits may differ from those of an unbroken training ({'; '.join(odd)})")


def recipe_of(loop: Loop) -> Recipe:
    """By what the bits of a training are made."""
    runner = loop.runner
    return Recipe(runner.engine, runner.sizes, around(loop.ready.train.device))


def around(device: torch.device) -> dict[str, str]:
    """What a training's bits depend on besides its own settings, in words."""
    return {
        "device": str(device) if device.type == "cpu" else torch.cuda.get_device_name(device),
        "PyTorch": torch.__version__,
        "processor": torch.backends.cpu.get_cpu_capability(),
        "threads": str(torch.get_num_threads()),
        "process": in_words(),
    }


def _moved(state: State, device: torch.device) -> State:
    for tensors in (state.arrays, state.pending, state.average, *state.memory.slots.values()):
        for path, tensor in tensors.items():
            tensors[path] = tensor.to(device)
    return state


def _without(tensors: Mapping[str, Tensor], paths: list[str]) -> dict[str, Tensor]:
    return {path: tensor for path, tensor in tensors.items() if path not in paths}


def _plain(tensor: Tensor) -> Tensor:
    """As files hold it: on the CPU, row by row, apart from any graph."""
    return tensor.detach().cpu().contiguous()


def _digest(tensors: Mapping[str, Tensor]) -> str:
    total = hashlib.sha256()
    for path, tensor in tensors.items():
        total.update(path.encode())
        total.update(_plain(tensor).reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()[:16]


def _fingerprint(examples: Examples | None) -> str:
    """The number of examples, and a hash of some of them."""
    if examples is None:
        return "none"
    rows = torch.linspace(0, len(examples) - 1, min(SEEN, len(examples))).long()
    packed = examples.feed.take(rows)
    keys = example_keys([packed[name] for name in sorted(packed)])
    return f"{len(examples):,}, {hashlib.sha256(b''.join(keys)).hexdigest()[:16]}"


def _listed(value: Any) -> Any:
    """JSON data as it comes back from a file: without tuples."""
    if isinstance(value, Mapping):
        return {key: _listed(each) for key, each in value.items()}
    return [_listed(each) for each in value] if isinstance(value, list | tuple) else value
