"""Figures of the layers: against PyTorch's own modules and NumPy, and what a probe must not do."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import retia as rt
from retia.engine.draws import halves
from retia.metrics.objective import objective
from retia.training.prepare import prepare
from retia.training.rates import read_rates
from retia.training.reports.chance import chance_of
from retia.training.reports.records import Recorder, is_moment, probe_size, records_of
from retia.training.step import Step
from retia.zoo.small import dense


def step_of(net: Any, loss: Any = None, **how: Any) -> Step:
    return rt.step(net.init(seed=3), loss, **how)


def test_norms_and_activations_are_those_of_pytorch() -> None:
    step = step_of(rt.Chain(rt.Linear(7), rt.Tanh(), rt.Linear(4), rt.ReLU(), rt.Linear(1), input=5), "mse")
    x, y = torch.randn(40, 5, generator=torch.manual_seed(0)), torch.randn(40, 1)
    found = records_of(step, step.net.arrays, step.batch(x, y), epoch=2, steps=9)

    theirs = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 4), nn.ReLU(), nn.Linear(4, 1))
    theirs.load_state_dict({path: step.net.arrays[path] for path in theirs.state_dict()})
    values, between = x, []
    for module in theirs:
        values = module(values)
        between.append(values)
    loss = nn.functional.mse_loss(values, y)
    loss.backward()

    assert (found.epoch, found.steps, found.examples) == (2, 9, 40)
    assert found.loss == pytest.approx(loss.item(), rel=1e-5)
    assert [each.path for each in found.layers] == ["0", "1", "2", "3", "4"]
    assert [each.layer for each in found.layers] == [
        "Linear(7)", "Tanh()", "Linear(4)", "ReLU()", "Linear(1)"
    ]  # fmt: skip
    for at, value in enumerate(between):
        mine = found[str(at)]
        assert mine.mean == pytest.approx(value.mean().item(), abs=1e-5)
        assert mine.deviation == pytest.approx(value.std(correction=0).item(), rel=1e-4)
        if isinstance(theirs[at], nn.Linear):
            assert mine.weight == pytest.approx(theirs[at].weight.norm().item(), rel=1e-5)
            assert mine.gradient == pytest.approx(theirs[at].weight.grad.norm().item(), rel=1e-4)
        else:
            assert (mine.weight, mine.gradient, mine.update) == (None, None, None)


def test_an_update_is_the_way_since_the_record_before_by_the_size_then() -> None:
    step = step_of(rt.Chain(rt.Linear(3), rt.Linear(1), input=2), "mse")
    before = dict(step.net.arrays)
    after = {path: array * 1.5 for path, array in before.items()}
    batch = step.batch(torch.ones(4, 2), torch.ones(4, 1))
    found = records_of(step, after, batch, before=before)
    assert [each.update for each in found.layers] == pytest.approx([0.5, 0.5])
    assert [each.update for each in records_of(step, after, batch).layers] == [None, None]


def test_biases_count_where_there_is_nothing_else() -> None:
    step = step_of(rt.Chain(rt.Linear(3), rt.LayerNorm(), rt.Linear(1), input=2), "mse")
    batch = step.batch(torch.ones(4, 2), torch.ones(4, 1))
    norm = records_of(step, step.net.arrays, batch)["1"]
    assert norm.weight == pytest.approx(3**0.5)  # three scales of 1, three shifts of 0


def test_a_unit_is_dead_that_is_zero_for_the_whole_batch() -> None:
    net = rt.Chain(rt.Linear(4), rt.ReLU(), rt.Linear(1), input=1).init(seed=0)
    arrays = {**net.arrays, "0.weight": torch.tensor([[1.0], [-1.0], [0.0], [1.0]])}
    arrays["0.bias"] = torch.tensor([0.0, 0.0, -1.0, -1.5])
    step = rt.step(net.with_arrays(arrays), "mse")
    both = step.batch(torch.tensor([[1.0], [2.0]]), torch.zeros(2, 1))
    assert records_of(step, step.net.arrays, both)["1"].dead == 0.5
    first = step.batch(torch.tensor([[1.0]]), torch.zeros(1, 1))
    assert records_of(step, step.net.arrays, first)["1"].dead == 0.75


def test_a_channel_of_a_picture_is_one_unit() -> None:
    net = rt.Chain(rt.Conv2d(2, 1), rt.ReLU(), rt.Flatten(), rt.Linear(1), input=(1, 3, 3)).init(seed=0)
    arrays = {**net.arrays, "0.weight": torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1)}
    step = rt.step(net.with_arrays(arrays), "mse")
    x = torch.zeros(2, 1, 3, 3)
    x[0, 0, 1, 1] = 1.0  # one pixel of one picture wakes the first channel
    assert records_of(step, step.net.arrays, step.batch(x, torch.zeros(2, 1)))["1"].dead == 0.5


@pytest.mark.parametrize(
    ("layer", "limit"), [(rt.Sigmoid(), np.log(0.995 / 0.005)), (rt.Tanh(), np.arctanh(0.99))]
)
def test_what_is_beyond_99_percent_of_the_range_is_saturated(layer: Any, limit: float) -> None:
    step = step_of(rt.Chain(layer, rt.Linear(1), input=4), "mse")
    x = torch.tensor([[-1.01, -0.99, 0.99, 1.01]]) * limit
    assert records_of(step, step.net.arrays, step.batch(x, torch.zeros(1, 1)))["0"].saturated == 0.5


def test_nothing_is_changed_by_a_look() -> None:
    net = rt.Chain(rt.Linear(6), rt.BatchNorm(), rt.ReLU(), rt.Dropout(0.5), rt.Linear(1), input=3)
    step = step_of(net, "mse", optimizer=rt.Adam(0.1))
    batch = step.batch(torch.randn(8, 3), torch.randn(8, 1))
    state = step.start()
    for _ in range(2):
        step.advance(state, batch)
    before = state.clone()
    found = records_of(step, state.arrays, batch, steps=state.count)
    assert found == records_of(step, state.arrays, batch, steps=state.count)
    assert all(torch.equal(state.arrays[path], array) for path, array in before.arrays.items())
    assert not any(array.requires_grad for array in state.arrays.values())
    assert state.count == before.count == 2


def test_a_look_draws_as_the_step_would() -> None:
    step = step_of(rt.Chain(rt.Dropout(0.5), rt.ReLU(), rt.Linear(1), input=50), "mse", seed=5)
    batch = step.batch(torch.ones(3, 50), torch.zeros(3, 1))
    assert halves(5, 4, "0") != halves(5, 7, "0")
    means = [records_of(step, step.net.arrays, batch, steps=steps)["1"].mean for steps in (4, 4, 7)]
    assert means[0] == means[1]
    assert means[0] != means[2]


def test_layers_that_the_loss_does_not_read_are_left_out() -> None:
    parts = {"trunk": rt.Linear(4, input=3), "a": rt.Linear(1), "b": rt.Linear(2)}
    net = rt.Graph(parts, "trunk -> a", "trunk -> b").init(seed=0)
    step = rt.step(net, {"a": "mse"})
    batch = step.batch(torch.ones(2, 3), {"a": torch.ones(2, 1)})
    assert [each.path for each in records_of(step, net.arrays, batch).layers] == ["trunk", "a"]


def test_frozen_layers_have_no_gradient() -> None:
    net = rt.Chain(body=rt.Linear(4), head=rt.Linear(1), input=3).init(seed=0)
    step = Step(net, objective(net, "mse"), rt.SGD(0.1), 0, read_rates(net, {"head": 1, "*": 0}))
    found = records_of(step, net.arrays, step.batch(torch.ones(2, 3), torch.ones(2, 1)))
    assert found["body"].weight == pytest.approx(net.arrays["body.weight"].norm().item())
    assert found["body"].gradient is None
    assert found["head"].gradient is not None


# Chance -------------------------------------------------------------------------------------------


def test_chance_of_classes_is_the_entropy_of_their_labels() -> None:
    lower = objective(rt.Chain(rt.Linear(4), rt.Softmax(), input=2))
    labels = torch.tensor([0] * 500 + [1] * 300 + [2] * 200)
    share = np.array([0.5, 0.3, 0.2])
    assert chance_of(lower, {"output": labels}) == pytest.approx(-(share * np.log(share)).sum(), abs=2e-3)
    assert chance_of(lower, {"output": labels[::30]}) is None  # too few to say


def test_chance_is_the_loss_of_the_best_constant() -> None:
    y = torch.randn(200, 3, generator=torch.manual_seed(1))
    for loss, constant in (("mse", y.mean(0)), ("mae", y.median(0).values)):
        lower = objective(rt.Chain(rt.Linear(3), input=2), loss)
        values = {lower.wanted[0]: constant.expand(200, 3)}
        assert chance_of(lower, {"output": y}) == pytest.approx(lower(values, {"output": y}).item(), rel=1e-5)
    lower = objective(rt.Chain(rt.Linear(1), rt.Sigmoid(), input=2), "binary-cross-entropy")
    truths = (y[:, :1] > 0.5).float()
    share = truths.mean()
    values = {lower.wanted[0]: torch.log(share / (1 - share)).expand(200, 1)}
    assert chance_of(lower, {"output": truths}) == pytest.approx(
        lower(values, {"output": truths}).item(), rel=1e-5
    )


def test_chance_of_a_function_is_unknown() -> None:
    lower = objective(rt.Chain(rt.Linear(1), input=2), lambda output, target: (output - target).abs().sum())
    assert chance_of(lower, {"output": torch.zeros(50, 1)}) is None


# Moments ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("epochs", [1, 2, 5, 10, 11, 100, 1000])
def test_long_trainings_are_looked_at_seldom_and_most_in_the_beginning(epochs: int) -> None:
    moments = [epoch for epoch in range(epochs + 1) if is_moment(epoch, epochs)]
    assert {0, 1, epochs} <= {*moments}
    assert len(moments) <= 3 + math.log2(epochs)
    gaps = [later - earlier for earlier, later in pairwise(moments[:-1])]
    assert gaps == sorted(gaps)


def test_a_probe_is_small_beside_the_training() -> None:
    net = dense([784, 30, 10])
    assert [probe_size(net, count) for count in (1, 40, 1000, 10**6)] == [1, 32, 125, 256]


def test_a_recorder_looks_at_its_moments_and_at_the_end() -> None:
    digits = rt.data("mnist").train.take(300)
    ready = prepare(dense([784, 12, 10]), digits, 0, None, 0, torch.device("cpu"))
    step = Step(ready.net, ready.objective, rt.SGD(0.1))
    state = step.start()
    recorder = Recorder(step, ready.train, 30)
    recorder.look(state, 0)
    for epoch in range(1, 5):
        step.advance(state, ready.train.batch(torch.arange(32) + epoch))
        recorder.look(state, epoch)
    recorder.look(state, 4, last=True)
    recorder.look(state, 4, last=True)
    assert [each.epoch for each in recorder.records] == [0, 1, 2, 4]
    assert [each.steps for each in recorder.records] == [0, 1, 2, 4]
    assert recorder.records[0]["1"].update is None
    assert all(each["1"].update > 0 for each in recorder.records[1:])
    assert recorder.records[0].examples == 37
    again = Recorder(step, ready.train, 30, recorder.records)
    again.look(state, 4, last=True)
    assert again.records == recorder.records
