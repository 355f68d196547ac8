"""Training by program: the same steps as the walk, to the last digits, for every kind of net and feed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import retia as rt
from retia.metrics.tally import read_metrics
from retia.training import runner
from retia.training.job import Job
from retia.training.prepare import prepare
from retia.training.rates import read_rates
from retia.training.runner import Flowing, Walking
from retia.training.step import Step

LABELS = ["a", "b", "c"]


def pictures(count=70, size=8):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (count, size, size), dtype=np.uint8)
    return x, [LABELS[i] for i in rng.integers(0, 3, count)]


def numbers(count=70, width=6):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(count, width)).astype(np.float32)
    return x, (x[:, :2] * 2 + 1).astype(np.float32)


GRAY = {"input": rt.Image(8, 8, color="gray"), "output": rt.Classes(LABELS)}
NETS = {
    "dense": (rt.Chain(rt.Flatten(), rt.Linear(9), rt.ReLU(), rt.Linear(), rt.Softmax(), **GRAY), pictures),
    "sigmoid": (
        rt.Chain(rt.Flatten(), rt.Linear(9), rt.Sigmoid(), rt.Linear(), rt.Sigmoid(), **GRAY),
        pictures,
    ),
    "dropout": (
        rt.Chain(rt.Flatten(), rt.Linear(20), rt.Dropout(0.4), rt.Tanh(), rt.Linear(), rt.Softmax(), **GRAY),
        pictures,
    ),
    "convolutions": (
        rt.Chain(
            rt.Conv2d(4, 3, bias=False), rt.BatchNorm(), rt.ReLU(), rt.MaxPool2d(2), rt.Conv2d(6, 2),
            rt.ReLU(), rt.MaxPool2d(2), rt.Flatten(), rt.Linear(), rt.Softmax(), **GRAY,
        ),
        pictures,
    ),
    "regression": (rt.Chain(rt.Linear(8), rt.ELU(), rt.LayerNorm(), rt.Linear(2), input=6), numbers),
    "residual": (
        rt.Chain(rt.Linear(6), rt.Graph(lambda x: x + rt.Tanh()(rt.Linear(6)(x))), rt.Linear(2), input=6),
        numbers,
    ),
}  # fmt: skip


def runners(name, optimizer, size=16, seed=3, rates=None):
    net, data = NETS[name]
    ready = prepare(net, data(), 0, None, seed, torch.device("cpu"))
    gauges = tuple(read_metrics(ready.net, ready.objective))
    step = Step(ready.net, ready.objective, optimizer, seed, read_rates(ready.net, rates), gauges=gauges)
    walking = Walking(step, ready.train, step.start())
    flowing = Flowing(step, ready.train, ready.net.arrays, {size: 1000, 6: 1000})
    return walking, flowing


def batches(steps, size=16, count=70):
    order = torch.Generator().manual_seed(0)
    return [torch.randperm(count, generator=order)[: 6 if i % 5 == 4 else size] for i in range(steps)]


def relative(ours, theirs):
    return float((ours.double() - theirs.double()).norm() / theirs.double().norm().clamp_min(1e-30))


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize(
    ("optimizer", "most"),
    [
        (rt.SGD(0.05, momentum=0.9), 1e-5),
        (rt.Adam(1e-3), 1e-4),
        (rt.AdamW(1e-3), 1e-4),
        (rt.RMSprop(1e-3), 1e-4),
    ],
    ids=lambda value: (
        type(value).__name__ if isinstance(value, rt.SGD | rt.Adam | rt.AdamW | rt.RMSprop) else ""
    ),
)
def test_twenty_steps_of_a_program_are_those_of_the_walk(name, optimizer, most):
    walking, flowing = runners(name, optimizer)
    losses = {}
    for each in (walking, flowing):
        losses[each.told[:4]] = seen = []
        each.epoch(batches(20), lambda rows, loss, seen=seen: seen.append(loss))
    assert losses["walk"] == pytest.approx(losses["prog"], rel=1e-4)
    assert walking.state.count == flowing.state.count == 20
    for path, theirs in walking.state.arrays.items():
        assert relative(flowing.state.arrays[path], theirs) < most, path
    for slot, arrays in walking.state.memory.slots.items():
        for path, theirs in arrays.items():
            assert relative(flowing.state.memory.slots[slot][path], theirs) < 10 * most, (slot, path)
    if walking.tally.sums:
        assert walking.tally.figures() == pytest.approx(flowing.tally.figures(), abs=0.02)


def history(engine, data=None, net="convolutions", **how):
    chosen, make = NETS[net]
    how = {"epochs": 8, "batch_size": 16, "progress": False, "seed": 5, "optimizer": rt.SGD(0.01), **how}
    return rt.train(chosen, data or make(), engine=engine, **how)


@pytest.mark.parametrize("name", NETS)
def test_every_epoch_tells_the_same_whoever_runs_it(name):
    _, make = NETS[name]
    ours, theirs = (history(e, net=name, validation=make(66)) for e in ("program", "walk"))
    assert ours.settings["engine"].startswith("program")
    assert theirs.settings["engine"] == "walk"
    for a, b in zip(ours.history, theirs.history, strict=True):
        assert a.keys() == b.keys()
        for key in ("loss", "val_loss"):
            assert a[key] == pytest.approx(b[key], rel=2e-3)
        for key in ("accuracy", "val_accuracy"):
            assert a.get(key, 0) == pytest.approx(b.get(key, 0), abs=0.05)


def test_the_engine_is_chosen_by_the_number_of_steps():
    assert history("auto", epochs=1).settings["engine"] == "walk, for so few steps"
    assert history("auto", epochs=runner.REPAYS).settings["engine"].startswith("program, planned in")


def test_a_program_streams_what_does_not_fit(monkeypatch):
    whole = history("program", net="dropout")
    monkeypatch.setattr("retia.sources.feeds.free_memory", lambda: 0)
    streamed = history("program", net="dropout")
    assert [e["loss"] for e in whole.history] == [e["loss"] for e in streamed.history]


def test_the_same_seed_gives_the_same_bits():
    ours, again = history("program", net="dropout"), history("program", net="dropout")
    assert ours.net == again.net


def test_a_loss_function_of_ones_own_runs_in_a_program():
    def loss(output, target):
        return (output - target).abs().mean()

    ours, theirs = (history(e, net="regression", loss=loss) for e in ("program", "walk"))
    assert ours.history[-1]["loss"] == pytest.approx(theirs.history[-1]["loss"], rel=1e-4)


def test_a_loss_that_changes_from_call_to_call_is_walked():
    calls = []

    def loss(output, target):
        calls.append(1)
        return (output - target).abs().mean() * len(calls)

    run = history("auto", net="regression", loss=loss, epochs=10)
    assert run.settings["engine"] == "walk: the loss function does something else at every call"
    assert len(calls) > 50
    with pytest.raises(rt.Error, match="something else at every call"):
        history("program", net="regression", loss=loss)


def test_a_loss_that_decides_by_numbers_is_walked():
    def loss(output, target):
        error = (output - target).abs().mean()
        return error * 2 if error > 0.5 else error

    run = history("auto", net="regression", loss=loss, epochs=10)
    assert "answers by the numbers it sees" in run.settings["engine"]


def test_a_diverging_program_says_where_and_keeps_the_best():
    x, y = numbers(64)
    y[:] = 1e30
    for engine in ("program", "walk"):
        with pytest.raises(rt.TrainingError, match=r"The loss became (inf|nan) in step 1 \(epoch 1\)"):
            rt.train(rt.Linear(2, input=6), (x, y), engine=engine, epochs=40, batch_size=16, progress=False)


def test_arrays_of_a_program_stand_in_one_flat_buffer():
    _, flowing = runners("convolutions", rt.Adam())
    (stretch,) = flowing.flat.stretches
    low, high = stretch.arrays.data_ptr(), stretch.arrays.data_ptr() + 4 * len(stretch.arrays)
    for path in flowing.step.learned:
        assert low <= flowing.state.arrays[path].data_ptr() < high


def test_the_keys_of_draws_are_inputs_of_the_job():
    net, data = NETS["dropout"]
    ready = prepare(net, data(), 0, None, 0, torch.device("cpu"))
    step = Step(ready.net, ready.objective, rt.SGD(0.1), 7)
    job = Job(step, ready.train)
    rows = torch.arange(16)
    state = step.start()
    inputs = job.inputs(ready.train.feed.take(rows), state.arrays, rows)
    path = next(node.path for node in step.net.wiring.nodes if isinstance(node.layer, rt.Dropout))
    inputs[f"key:{path}"] = torch.tensor(job.key(path, 41, 1))
    found = job(**inputs)
    expected = step.pull(state.arrays, ready.train.batch(rows), 41)
    assert torch.equal(found["loss"], expected.loss)
    assert all(torch.equal(found[f"gradient:{p}"], g) for p, g in expected.gradients.items())


def test_losses_may_be_read_many_at_once():
    _, near = runners("dropout", rt.Adam())
    _, far = runners("dropout", rt.Adam())
    far._reads = 4
    seen = []
    for each in (near, far):
        told: list[tuple[int, float]] = []
        each.epoch(batches(23), lambda rows, loss, told=told: told.append((len(rows), loss)))
        seen.append(told)
    assert seen[0] == seen[1]
    assert near.tally.figures() == far.tally.figures()


@pytest.mark.full
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_step_may_be_left_to_torchs_compiler():
    ours, theirs = (history(e, net="dropout", epochs=2) for e in ("compile", "walk"))
    assert ours.settings["engine"].startswith("compile")
    assert ours.history[-1]["loss"] == pytest.approx(theirs.history[-1]["loss"], rel=1e-4)


def test_the_arrays_of_a_trained_net_stand_row_by_row():
    run = history("program")
    assert all(array.is_contiguous() for array in run.net.arrays.values())
    assert all(array.is_contiguous() for array in run.last.arrays.values())


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.full
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_a_hundred_thousand_steps_of_changing_size_leave_the_memory_as_it_was():
    _, flowing = runners("dense", rt.Adam())
    rows = torch.arange(70)
    sizes = [1 + (7 * number) % 61 for number in range(10_000)]
    flowing.epoch([rows[:size] for size in sizes], lambda rows, loss: False)
    before = resident_bytes()
    for _ in range(9):
        flowing.epoch([rows[:size] for size in sizes], lambda rows, loss: False)
    assert flowing.state.count == 100_000
    assert resident_bytes() - before < 8 * 2**20
