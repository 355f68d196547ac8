"""A step that went wrong, in a file, and done again layer by layer to see where it first did.

The file is a record: the net's expression, arrays, the optimizer's memory, the batch as the walk takes it and
all settings of the step, as data. A loss function of the user's own cannot stand in it and is given again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.engine.walk import walk_values
from retia.errors import Error, FormatError
from retia.formats.container import place_of, told
from retia.formats.record import read_record, write_record
from retia.metrics.examples import Batch
from retia.nets.wiring import Value
from retia.training.diagnosis import FIX
from retia.training.packing import Packing, Unpacking
from retia.training.step import State, Step

if TYPE_CHECKING:
    from torch import Tensor

KIND = "replay"


def replay_name(step: int) -> str:
    """The name of the file with what is needed to do a step again, counted from 1.

    Example:
        >>> replay_name(121)
        'replay-000000000121.safetensors'
    """
    return f"replay-{step:012d}.safetensors"


def write_replay(
    path: str | os.PathLike[str],
    step: Step,
    state: State,
    batch: Batch,
    *,
    why: str,
    epoch: int | None = None,
    factor: float = 1.0,
    last: bool = False,
) -> None:
    """Write what is needed to do exactly this step again.

    Args:
        path: where to.
        step: what was done.
        state: before it.
        batch: on which it was done; nothing within the net is given by it.
        why: what went wrong, in words.
        epoch, factor, last: as the step was told of them.
    Raises:
        FileError: the system refuses.
    """
    packing = Packing()
    facts = {
        "why": why,
        "epoch": epoch,
        "factor": factor,
        "last": last,
        "step": packing.pack(replace(step, gauges=()), "step"),
        "state": packing.pack(state, "state"),
        "batch": packing.pack(batch, "batch"),
    }
    write_record(path, KIND, packing.tensors, {**facts, "nets": packing.nets})


@dataclass(frozen=True)
class Seen:
    """An array that a replayed step came by.

    Attributes:
        kind: ``"input"``, ``"array"`` (before the step), ``"output"``, ``"loss"``, ``"gradient"``,
            ``"statistic"`` or ``"moved"`` (an array after the step).
        path: of the port, the layer or the array.
        label: the same as errors say it.
        shape: of the array.
        nans: how many numbers are NaN. infinities: how many are infinite.
        smallest, largest: of the finite numbers; None where there is none.
    """

    kind: str
    path: str
    label: str
    shape: tuple[int, ...]
    nans: int
    infinities: int
    smallest: float | None
    largest: float | None

    @property
    def is_finite(self) -> bool:
        """Whether all numbers are."""
        return not (self.nans or self.infinities)

    def __str__(self) -> str:
        of = f"{'x'.join(map(str, self.shape)) or '1 number'}"
        range = "" if self.smallest is None else f"  {self.smallest:.4g} to {self.largest:.4g}"
        odd = [f"{self.nans:,} NaN"] if self.nans else []
        odd += [f"{self.infinities:,} infinite"] if self.infinities else []
        return f"{self.kind:<9} {self.label}  {of}{range}{'  ' if odd else ''}{', '.join(odd)}"


@dataclass(frozen=True, repr=False)
class Replay:
    """A step that was done again; ``rt.replay`` makes it.

    Attributes:
        why: what went wrong when it was done first.
        step: its number, from 1. epoch: that it belongs to, or None.
        seen: every array it came by, in the order of the computation: inputs, arrays, the layers' outputs,
            the loss, gradients from the loss back, statistics, arrays after the step.
        error: what a layer or the loss raised, with its place; "" if nothing did. Nothing is seen after it.
        version: the Retia that wrote the file.
    """

    why: str
    step: int
    epoch: int | None
    seen: tuple[Seen, ...]
    error: str
    version: str

    @property
    def first(self) -> Seen | None:
        """The first array that is not finite."""
        return next((each for each in self.seen if not each.is_finite), None)

    @property
    def loss(self) -> float | None:
        """The loss before the step; None where it was not come to, or is not finite."""
        return next((each.smallest for each in self.seen if each.kind == "loss"), None)

    @property
    def verdict(self) -> str:
        """What was found, in a sentence."""
        words = {
            "input": "the input {} is not finite",
            "array": "{} was not finite before the step: the gradients of the step before were not",
            "output": "the first layer whose output is not finite is {}",
            "loss": "all outputs are finite, and the loss is not: it overflows",
            "gradient": "the loss is finite; the first gradient that is not, on the way back, is that of {}",
            "statistic": "the running statistic {} became what is not finite",
            "moved": "gradients are finite, and {} is not after the step: the step is too large",
        }
        if self.first is not None:
            return words[self.first.kind].format(self.first.label)
        return self.error or "everything is finite: walked layer by layer, this step goes well"

    def __str__(self) -> str:
        where = f"step {self.step}" + (f" (epoch {self.epoch})" if self.epoch is not None else "")
        lines = [f"{where}: {self.why}", f"found     {self.verdict}"]
        lines += [f"fix       {FIX}"] if self.first is not None else []
        return "\n".join([*lines, *map(str, self.seen), *([self.error] if self.error else [])])

    def __repr__(self) -> str:
        return f"<Replay of step {self.step}: {self.verdict}>"


def replay(path: str | os.PathLike[str], *, loss: Any = None) -> Replay:
    """Do a step again that went wrong, from the file that the training wrote: ``print(rt.replay(file))``.

    It is walked layer by layer on the CPU, whatever ran it first.

    Args:
        path: the file.
        loss: as it was given to ``rt.train``, where it is a function or has one: files hold no code.
    Raises:
        FormatError: the file is no replay, or is damaged. ArgumentError: the loss function is missing.
        MissingFileError: there is no such file.
    Example:
        >>> import tempfile, torch
        >>> import retia as rt
        >>> net = rt.Chain(rt.Linear(2), rt.Tanh(), rt.Linear(1), input=1).init(seed=0)
        >>> step = rt.step(net.with_arrays({"0.bias": torch.tensor([0.0, float("inf")])}), "mse", rt.SGD(0.1))
        >>> batch = step.batch(torch.ones(4, 1), torch.ones(4, 1))
        >>> place = os.path.join(tempfile.mkdtemp(), replay_name(1))
        >>> write_replay(place, step, step.start(), batch, why="the loss became nan")
        >>> replay(place).first.path
        '0.bias'
    """
    moment = read_moment(path, loss=loss)
    number = moment.state.count + 1
    seen: list[Seen] = []
    error, where = "", _Where("the inputs")
    try:
        for each in _redone(moment, where):
            seen.append(each)
    except Exception as fault:
        error = f"{where.label} raised {type(fault).__name__}: {fault}"
    return Replay(moment.why, number, moment.epoch, tuple(seen), error, moment.version)


@dataclass(frozen=True)
class Moment:
    """All that a step is, as ``write_replay`` was given it."""

    step: Step
    state: State
    batch: Batch
    why: str
    epoch: int | None
    factor: float
    last: bool
    version: str


def read_moment(path: str | os.PathLike[str], *, loss: Any = None) -> Moment:
    """A step from its file, to be done by hand; arguments and errors are those of ``replay``."""
    found = read_record(path, KIND)
    with told(place_of(path), KIND):
        try:
            facts = found.facts
            unpacking = Unpacking(found.tensors, facts["nets"], loss)
            step = unpacking.unpack(facts["step"], Step)
            state = unpacking.unpack(facts["state"], State)
            batch = unpacking.unpack(facts["batch"], Batch)
            made = Moment(
                step,
                state,
                batch,
                facts["why"],
                facts["epoch"],
                facts["factor"],
                facts["last"],
                found.version,
            )
        except Error:
            raise
        except Exception as fault:  # data that is whole but not a step's
            raise FormatError(f"it does not say all of a step: {type(fault).__name__}: {fault}.") from None
    unpacking.refuse_missing()
    return made


@dataclass
class _Where:
    """What is being computed."""

    label: str


def _redone(moment: Moment, where: _Where) -> Iterator[Seen]:
    """Every array of a step, in the order of the computation."""
    step, state, batch, epoch = moment.step, moment.state, moment.batch, moment.epoch
    for name, tensor in batch.inputs.items():
        yield _look("input", name, name, tensor)
    for path, tensor in state.arrays.items():
        yield _look("array", path, path, tensor)
    yield from _forward(step, state, batch, epoch, where)
    where.label = "the loss"
    pull = step.seen(state, batch, epoch)
    yield _look("loss", "", "loss", pull.loss)
    for path in reversed(pull.gradients):
        yield _look("gradient", path, path, pull.gradients[path])
    for path, tensor in pull.updates.items():
        yield _look("statistic", path, path, tensor)
    where.label = "the optimizer"
    again = step.again(state, batch, epoch)
    step.apply(state, pull, factor=moment.factor, last=moment.last, again=again)
    for path in pull.gradients:
        yield _look("moved", path, path, state.arrays[path])


def _forward(step: Step, state: State, batch: Batch, epoch: int | None, where: _Where) -> Iterator[Seen]:
    """The layers' outputs, each computed from those before it."""
    run = step.run(batch, state.count, epoch)
    if step.mix is not None:
        batch = step.mix.mixed(batch, step.mix.key(step.seed, state.count)).batch
    known: dict[Value, Tensor] = {}
    with torch.no_grad(), step.precision.active(torch.device("cpu")):
        for node in step.net.wiring.needed():
            where.label = node.label
            known |= walk_values(step.net, batch.inputs, state.arrays, run, node.outputs, known)
            for value in node.outputs:
                yield _look("output", node.path, node.label, known[value])


def _look(kind: str, path: str, label: str, tensor: Tensor) -> Seen:
    numbers = tensor.detach()
    if not numbers.is_floating_point():
        return Seen(kind, path, label, tuple(numbers.shape), 0, 0, *_range(numbers))
    finite = numbers[numbers.isfinite()]
    nans, infinities = int(numbers.isnan().sum()), int(numbers.isinf().sum())
    return Seen(kind, path, label, tuple(numbers.shape), nans, infinities, *_range(finite))


def _range(numbers: Tensor) -> tuple[float | None, float | None]:
    return (float(numbers.min()), float(numbers.max())) if numbers.numel() else (None, None)
