"""Retia, by its public names alone."""

from typing import Any

import numpy as np
import workloads
from turns import Turns

import retia as rt
from peers import memory
from peers.common import timed_calls

LAYERS = {
    "flatten": rt.Flatten,
    "dense": rt.Linear,
    "relu": rt.ReLU,
    "sigmoid": rt.Sigmoid,
    "conv": lambda channels, kernel, padding: rt.Conv2d(channels, kernel, padding=padding),
    "pool": lambda: rt.MaxPool2d(2),
}


def build(spec: workloads.Spec) -> rt.Net:
    """The net of a list of layers, from pictures to digits."""
    layers = [LAYERS[kind](*numbers) for kind, *numbers in spec]
    return rt.Chain(*layers, rt.Softmax(), input=rt.Image(28, 28, color="gray"), output=rt.Classes(range(10)))


def train(turns: Turns, net: str, rounds: int, examples: int, **_: Any) -> dict[str, float]:
    """An epoch a turn, all of one call of ``rt.train``."""
    every = rt.data("mnist")

    def after(view: Any) -> str | None:
        turns.done(loss=view.entry["loss"], accuracy=view.entry["accuracy"])
        return None if turns.go() is not None else "stop"

    begun = build(workloads.NETS[net]).init(seed=0)
    turns.go()
    run = rt.train(
        begun, every.train.take(examples), validation=0, epochs=rounds + 1,
        batch_size=workloads.BATCH, optimizer=rt.Adam(workloads.RATE), progress=False,
        callbacks=after,
    )  # fmt: skip
    return {"test": rt.measure(run.last, every.test).accuracy}


def answer(turns: Turns, folder: str, net: str, batch: int, checked: bool = False, **_: Any) -> None:
    """A batch of pictures as float32 numbers, to raw outputs: by a program, or by a call with its checks."""
    spec = workloads.NETS[net]
    layers = [LAYERS[kind](*numbers) for kind, *numbers in spec]
    begun = rt.Chain(*layers, input=(1, 28, 28))
    begun = begun.with_arrays(
        dict(zip(begun.array_shapes(), build(spec).init(seed=0).arrays.values(), strict=True))
    )
    x, reference = workloads.questions(folder, net, batch)
    import torch  # after Retia, which sets what pays for the process where it is the first

    x = torch.from_numpy(x)
    if checked and batch == 1:
        one = x[0]
        return timed_calls(turns, lambda: begun(one, None), reference)
    program = (lambda x: begun(x, None)) if checked else begun.program(batch=batch)
    return timed_calls(turns, lambda: program(x), reference)


def seeds(turns: Turns, net: str, count: int, epochs: int, examples: int, **_: Any) -> dict[str, float]:
    """Whole trainings of several seeds at once, a turn."""
    every = rt.data("mnist")
    learned = every.train.take(examples)
    runs: list[Any] = []
    while turns.go() is not None:
        runs = rt.train(
            build(workloads.NETS[net]), learned, validation=0, epochs=epochs, batch_size=workloads.BATCH,
            optimizer=rt.Adam(workloads.RATE), seed=[*range(count)], progress=False,
        )  # fmt: skip
        turns.done()
    return {"test": float(np.mean([rt.measure(run.last, every.test).accuracy for run in runs]))}


def folds(
    turns: Turns, net: str, count: int, epochs: int, examples: int, alone: bool = False, **_: Any
) -> dict[str, float]:
    """A whole cross-validation a turn: in one call, or one fold after another."""
    data = rt.data("mnist").train.take(examples).shuffle(0)
    begun = build(workloads.NETS[net])
    how: dict[str, Any] = {
        "validation": 0, "epochs": epochs, "batch_size": workloads.BATCH,
        "optimizer": rt.Adam(workloads.RATE), "progress": False,
    }  # fmt: skip
    places = np.arange(len(data))
    found = 0.0
    while turns.go() is not None:
        if alone:
            each = []
            for fold in range(count):
                run = rt.train(begun, data[places[places % count != fold]], **how)
                each.append(rt.measure(run.last, data[places[places % count == fold]]).accuracy)
            found = float(np.mean(each))
        else:
            found = rt.cross_validate(begun, data, count, **how).mean["accuracy"]
        turns.done()
    return {"test": found}


def peak(turns: Turns, folder: str, net: str, examples: int, epochs: int, **_: Any) -> None:
    """Bytes of a training above those of the imported packages and the loaded data."""
    x, y = workloads.digits(folder, count=examples)
    begun = build(workloads.NETS[net])
    one = rt.Linear(1, input=1)  # what is imported late is no part of a training
    rt.train(one, ([[0.0]], [[0.0]]), validation=0, engine="program", progress=False)
    turns.go()
    before = memory.start()
    rt.train(
        begun, (x, y), validation=0, epochs=epochs, batch_size=workloads.BATCH,
        optimizer=rt.Adam(workloads.RATE), progress=False,
    )  # fmt: skip
    turns.done(seconds=memory.peak() - before, whole=memory.peak())


def grow(turns: Turns, folder: str, **_: Any) -> None:
    """The best epoch after the first, of the net and the numbers that each turn asks for."""
    x, y = workloads.digits(folder)
    while (asked := turns.go()) is not None:
        examples, epochs = asked["examples"], asked["epochs"]
        run = rt.train(
            build(asked["spec"]), (x[:examples], y[:examples]), validation=0, epochs=epochs,
            batch_size=asked["batch"], optimizer=rt.Adam(workloads.RATE), engine="program", progress=False,
        )  # fmt: skip
        turns.done(seconds=min(entry["seconds"] for entry in run.history[1:]))
