"""``rt.train``: all that is read, made and refused before the first step."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, overload

from retia._torch import torch
from retia.engine.devices import fits, read_device
from retia.engine.process import steady
from retia.errors import ArgumentError, NotYetError, TrainingError
from retia.nets.net import Net
from retia.nets.settings import whole
from retia.sources.dataset import Data
from retia.sources.reading import data as read_data
from retia.training.findings.warned import quick_warnings
from retia.training.frozen import refuse_idle
from retia.training.how import How, read_how
from retia.training.interrupt import EXIT_OF_TERMINATED, INTERRUPTED, TERMINATED, Interrupt
from retia.training.kept import with_kept
from retia.training.loggers import CSV, JSONLines, TensorBoard
from retia.training.loop import Loop
from retia.training.many import Asked, pairs_of, train_many
from retia.training.optimizer import Optimizer
from retia.training.optimizers import read_optimizer
from retia.training.prepare import Prepared, prepare
from retia.training.progress import Progress
from retia.training.result import Training
from retia.training.saving import Saver
from retia.training.step import Step


@overload
def train(
    net: Net,
    data: Any,
    *,
    validation: Any = None,
    epochs: int = 5,
    batch_size: int = 64,
    optimizer: Optimizer | str | None = None,
    schedule: Any = None,
    loss: Any = None,
    l1: float | Mapping[str, float] | None = None,
    l2: float | Mapping[str, float] | None = None,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    accumulate: int = 1,
    ema: float | None = None,
    precision: str = "float32",
    metrics: Any = (),
    rates: Mapping[str, float] | None = None,
    turns: Sequence[Any] | None = None,
    mix: Any = None,
    stop: Any = None,
    callbacks: Any = None,
    keep: str = "best",
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    seed: int = 0,
    device: Any = None,
    engine: str = "auto",
    progress: bool | None = None,
    cache: bool | str | os.PathLike[str] = True,
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
    schedule: Any = None,
    loss: Any = None,
    l1: float | Mapping[str, float] | None = None,
    l2: float | Mapping[str, float] | None = None,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    accumulate: int = 1,
    ema: float | None = None,
    precision: str = "float32",
    metrics: Any = (),
    rates: Mapping[str, float] | None = None,
    turns: Sequence[Any] | None = None,
    mix: Any = None,
    stop: Any = None,
    callbacks: Any = None,
    keep: str = "best",
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    seed: int | Sequence[int] = 0,
    device: Any = None,
    engine: str = "auto",
    progress: bool | None = None,
    cache: bool | str | os.PathLike[str] = True,
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
        schedule: of the learning rate: ``rt.CosineDecay()``, ``rt.OneCycle()``, ..., a name, or a function
            from the number of the step to a factor.
        loss: None (from the output's codec: classes cross-entropy, booleans binary cross-entropy, numbers
            squared error; without codec by the ending), a name, a value like ``rt.CrossEntropy(smoothing=
            0.1)``, a function of outputs and targets, a pair of these with a weight, or a dict by output
            port. A function is recorded once when the engine is a program; one that does something else at
            every call is found out and walked.
        l1, l2: factor of the sum of all weights' absolute values, or squares, that is added to what is
            lowered; or a dict by path pattern. The history's loss is without it.
        clip_norm: above 0, the longest that all gradients together may be; longer ones are shortened.
        clip_value: above 0, the largest that a gradient's number may be.
        accumulate: at least 1, batches whose mean gradient makes one step.
        ema: 0..1, how much a running average of the arrays keeps at every step (less in the first ones);
            the average is then judged and answered instead of the arrays.
        precision: ``"float32"``; ``"bf16"`` or ``"fp16"`` for products in half precision, of float32 arrays.
        metrics: names and functions of outputs and targets, told beside the loss: over the epoch's batches
            as they came (running), and with ``val_`` over the validation part after the epoch.
        rates: multipliers of the learning rate by path pattern, ``{"classifier": 1, "*": 0}``; 0 freezes,
            the first pattern that matches wins, what none matches has 1; negative ones climb. A layer with
            0 behaves as in inference: its statistics and its dropout rest too. What a frozen beginning of
            the net gives is computed once for each example and kept; ``run.settings["frozen"]`` tells.
        turns: path patterns, or lists of them, that move in turn, one after each step, in a circle: for
            nets that are trained against each other.
        mix: ``rt.MixUp(0.2)``, ``rt.CutMix()``, or a list of which one is drawn for each example.
        stop: ``rt.EarlyStopping(patience=5)``, ``rt.Target(val_accuracy=0.99)``, ``rt.TimeLimit(minutes=
            10)``, a function of the epoch's entry that answers True, or a list of these.
        callbacks: functions of the view after every epoch, or objects with ``start``, ``step``, ``epoch`` or
            ``end``; whoever answers "stop" ends the training. Loggers are callbacks.
        keep: ``"best"``: ``run.net`` is the net of the lowest validation loss; ``"last"``: the last one.
        checkpoint: a folder for the state of the training: after every epoch, every ten minutes, and when it
            ends, however. Many nets have a folder each within it, ``net-0`` and so on.
        resume: go on from there, with the same bits as if nothing had happened; a folder without a
            checkpoint begins anew. More epochs than before are added to those done.
        seed: 0..2**63 - 1, of everything random: new arrays, the validation part, the order, dropout. A
            list, or ``range(8)``, trains one net with each, as if alone: small nets all at once, as one
            program; ``run.settings["engine"]`` tells. One that diverges stays as it was, its ``why`` tells,
            and the others go on.
        device: ``"cpu"``, ``"cuda"``, ...; by default a GPU of CUDA where there is one.
        engine: ``"program"``, the whole step as one flat program; ``"walk"``, layer by layer, for looking
            for faults; ``"auto"``, the program where there are steps enough to repay its planning;
            ``"compile"``, the step by ``torch.compile``, which needs a compiler and takes its time.
        progress: False for silence; else a live line in a terminal, one line an epoch elsewhere.
        cache: True to keep what frozen layers give for this run, in memory or in a temporary file; a folder
            to keep it between runs too, by the content of layers and examples (it may be deleted at any
            time); False to compute the whole net in every step.
        look: not there yet.
    Returns:
        The training: ``.net``, ``.last``, ``.history``, ``.verdict``, ``.report()``, ``.plot()``. Ctrl-C ends
        it after the step at hand, with what there is. With a list of seeds or optimizers, a list of
        trainings in its order.
    Raises:
        ArgumentError: an argument out of its range. TrainingError: a loss that cannot suit the net, or one
            that became infinite or NaN (then ``error.run`` is what there is). DataError, CodecError: data
            that cannot be learned from, with the row. SystemExit: 143, after SIGTERM, where there is a
            checkpoint.
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
    known = {name: value for name, value in locals().items() if name in How.__dataclass_fields__}
    if look is not None:
        raise NotYetError("train: look= is not there yet.", fix="leave it out", path="look")
    how = read_how(known, unknown)
    if not isinstance(net, Net):
        raise ArgumentError(f"train: the first argument is a net; got {net!r}.", got=net)
    data = read_data(data)
    data.train.ahead()  # bundled sets unpack while PyTorch is imported
    place = read_device(device)
    lanes = pairs_of(seed, optimizer)
    if lanes is not None:
        _refuse_loggers(callbacks)
        asked = Asked(net, data, validation, how, place, partial(_alone, net, place), Loop)
        return train_many(asked, lanes)
    number: int = whole(0, 2**63 - 1)("train: seed", seed)
    return _alone(net, place, data, validation, how, read_optimizer(optimizer), number)


def _refuse_loggers(callbacks: Any) -> None:
    """A logger's file is of one training."""
    every = callbacks if isinstance(callbacks, list | tuple) else [callbacks]
    for each in every:
        if isinstance(each, JSONLines | CSV | TensorBoard):
            raise ArgumentError(
                f"train: {type(each).__name__} writes the log of one training, but there are several.",
                fix="callbacks=[a function of the view], which has view.seed; run.history has all of it",
                got=each,
            )


def _alone(
    net: Net,
    device: torch.device,
    data: Data,
    validation: Any,
    how: How,
    optimizer: Optimizer,
    seed: int,
) -> Training:
    """Train one net."""
    prepared = prepare(net, data, validation, how.loss, seed, device)
    step = how.step(prepared, optimizer, seed)
    if how.epochs:
        refuse_idle(step)
    how.stops(prepared, step)
    with steady(), Progress(how.progress, how.epochs, len(prepared.train)) as shown:
        if how.progress is not False:
            for finding in quick_warnings(prepared, step, batch_size=how.batch_size, given=net, data=data):
                shown.note(str(finding))
        prepared = with_kept(prepared, step, how.epochs, how.cache)
        if step.paces.frozen:
            shown.note(f"frozen: {prepared.frozen}")
        if how.checkpoint is None:
            return _run(prepared, step, how, shown, None)
        with Saver(prepared, step, how) as saver:
            for note in saver.notes:
                shown.note(note)
            return _run(prepared, step, how, shown, saver)


def _run(ready: Prepared, step: Step, how: How, shown: Progress, saver: Saver | None) -> Training:
    """The epochs, from the first or from a checkpoint on."""

    def trial(size: int) -> None:  # the state does not stand twice, so what fits here fits there
        rows = torch.arange(size) % len(ready.train)
        arrays = {path: tensor.to(ready.train.device) for path, tensor in ready.net.arrays.items()}
        step.pull(arrays, ready.train.batch(rows), 0)

    with fits(how.batch_size, trial):
        loop = Loop(ready, step, how, saver=saver)
        torch.set_num_threads(loop.runner.threads)
        with Interrupt(terminate=saver is not None) as stop:
            try:
                why = loop.run(stop, shown)
            except KeyboardInterrupt:
                if stop.asked:
                    raise
                why = INTERRUPTED
            except TrainingError as error:
                error.run = error.run or loop.result(error.message)
                if saver is not None:
                    saver.end(loop)
                raise
            except Exception as error:
                if saver is not None:
                    saver.broke(loop, error)
                raise
            if saver is not None:
                saver.end(loop)
            loop.close()
        if why == TERMINATED:
            sys.exit(EXIT_OF_TERMINATED)
        return loop.result(why)
