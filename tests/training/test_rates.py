"""Multipliers of the learning rate: who gets which, what is refused, and what they do."""

import numpy as np
import pytest
import torch

import retia as rt
from retia.sources.order import order
from retia.training.rates import read_rates


def net(**how):
    return rt.Chain(
        body=rt.Chain(conv=rt.Linear(6), norm=rt.BatchNorm(), drop=rt.Dropout(0.5)), head=rt.Linear(2),
        input=4, **how,
    ).init(seed=1)  # fmt: skip


def examples(n=64):
    draw = np.random.default_rng(0)
    return draw.normal(size=(n, 4)).astype("float32"), draw.normal(size=(n, 2)).astype("float32")


def trained(net, rates, **how):
    how = {"epochs": 2, "batch_size": 16, "optimizer": rt.SGD(0.1), "cache": False, **how}
    return rt.train(net, examples(), rates=rates, progress=False, **how)


# Reading ------------------------------------------------------------------------------------------


def test_without_rates_everything_moves_alike():
    rates = read_rates(net(), None)
    assert set(rates.of.values()) == {1.0}
    assert [*rates.of] == net().learned()
    assert rates.frozen == ()
    assert not rates.still


def test_the_first_pattern_that_matches_wins_and_what_none_matches_has_1():
    rates = read_rates(net(), {"body.conv.bias": 3, "body.conv": 0.5, "*.bias": 2})
    assert rates.of == {
        "body.conv.weight": 0.5, "body.conv.bias": 3.0, "body.norm.weight": 1.0, "body.norm.bias": 2.0,
        "head.weight": 1.0, "head.bias": 2.0,
    }  # fmt: skip


def test_a_pattern_covers_all_that_stands_below_what_it_matches():
    rates = read_rates(net(), {"b*": 0})
    assert rates.moved == ("head.weight", "head.bias")
    assert rates.frozen == ("body.conv.weight", "body.conv.bias", "body.norm.weight", "body.norm.bias")
    assert rates.still == {"body.conv", "body.norm", "body.drop"}


def test_a_layer_is_still_when_all_its_arrays_are_frozen_one_by_one():
    rates = read_rates(net(), {"body.norm.weight": 0, "body.norm.bias": 0, "body.conv.weight": 0})
    assert rates.still == {"body.norm"}


def test_a_layer_at_0_is_not_still_when_one_of_its_arrays_moves():
    assert read_rates(net(), {"body.norm.bias": 1, "body": 0}).still == {"body.conv", "body.drop"}


def test_numbers_that_count_as_multipliers():
    assert read_rates(net(), {"head": -1, "body": 1e-3}).of["head.bias"] == -1.0
    for wrong in (True, "1", None, float("nan"), float("inf")):
        with pytest.raises(rt.ArgumentError, match=r"rates: 'head' has .*, which is no finite number"):
            read_rates(net(), {"head": wrong})


@pytest.mark.parametrize("given", [{}, 0.5, ["head"], "head"])
def test_what_is_no_dict_of_patterns_is_refused(given):
    with pytest.raises(rt.ArgumentError) as caught:
        read_rates(net(), given)
    assert str(caught.value) == (
        f"rates is a dict from path patterns to multipliers; got {given!r}.\n"
        '  fix   rates={"classifier": 1, "*": 0}'
    )


def test_a_pattern_that_matches_nothing_is_refused():
    with pytest.raises(rt.UnknownNameError) as caught:
        read_rates(net(), {"haed": 0})
    assert str(caught.value) == (
        "rates: 'haed' matches no path. Did you mean 'head'?\n  fix   the net has body, head"
    )


def test_a_pattern_that_is_wholly_shadowed_is_refused():
    with pytest.raises(rt.UnknownNameError) as caught:
        read_rates(net(), {"*": 0.5, "head": 1})
    assert str(caught.value) == (
        "rates: all that 'head' matches is matched by a pattern before it.\n"
        "  fix   put the narrower pattern first"
    )


def test_nothing_to_train_is_refused():
    with pytest.raises(rt.ArgumentError, match="rates: every array has the rate 0"):
        trained(net(), {"*": 0})


def test_rates_that_leave_the_loss_nothing_to_move_are_refused():
    x = rt.Input(4)
    two = rt.Graph({"a": rt.Linear(2)(x), "b": rt.Linear(2)(x)})
    data = {"input": examples()[0], "a": examples()[1]}
    with pytest.raises(rt.TrainingError) as caught:
        rt.train(two, data, loss={"a": "mse"}, rates={"linear": 0}, progress=False)
    assert str(caught.value) == (
        "The loss (mse) reads no array that is trained.\n  fix   rates above 0 for layers that it reads"
    )
    with pytest.raises(rt.TrainingError, match="The net has no arrays to train"):
        rt.train(rt.ReLU(input=4), (examples()[0], examples()[0]), progress=False)


# What they do -------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["walk", "program"])
@pytest.mark.parametrize(
    ("optimizer", "theirs"),
    [
        (rt.SGD(0.1, momentum=0.9), lambda groups: torch.optim.SGD(groups, 0.1, momentum=0.9)),
        (rt.Adam(0.01), lambda groups: torch.optim.Adam(groups, 0.01)),
    ],
)
def test_arrays_move_by_their_own_multiples_of_the_rate(engine, optimizer, theirs):
    ours = rt.Chain(rt.Linear(5), rt.Tanh(), rt.Linear(2), input=4).init(seed=2)
    x, y = examples(48)
    run = rt.train(
        ours, (x, y), rates={"0.bias": 0, "0": 0.25, "2.bias": 3}, epochs=12, batch_size=16, seed=4,
        optimizer=optimizer, engine=engine, progress=False,
    )  # fmt: skip
    module = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2))
    module.load_state_dict(dict(ours.arrays))
    paces = {"0.weight": 0.25, "2.weight": 1.0, "2.bias": 3.0}
    named = dict(module.named_parameters())
    base = optimizer.learning_rate
    reference = theirs([{"params": [named[path]], "lr": base * pace} for path, pace in paces.items()])
    inputs, targets = torch.tensor(x), torch.tensor(y)
    for epoch in range(12):
        for rows in order(48, 4, epoch).split(16):
            reference.zero_grad()
            torch.nn.functional.mse_loss(module(inputs[rows]), targets[rows]).backward()
            reference.step()
    assert run.settings["engine"].startswith(engine)
    assert torch.equal(run.last.arrays["0.bias"], ours.arrays["0.bias"])
    for path in paces:
        assert torch.allclose(run.last.arrays[path], named[path], rtol=1e-4, atol=1e-6)


def test_a_negative_multiplier_climbs():
    down, up = (
        trained(net(), {"head": rate, "body": 0}, epochs=1, batch_size=64).last.arrays["head.bias"]
        for rate in (1, -1)
    )
    assert torch.allclose(up, -down, atol=1e-6)
    assert down.any()


@pytest.mark.parametrize("engine", ["walk", "program"])
def test_a_frozen_part_behaves_as_in_inference_and_stays_to_the_bit(engine):
    before = net()
    run = trained(before, {"body": 0}, epochs=10, engine=engine)
    for path, array in before.arrays.items():
        assert torch.equal(run.last.arrays[path], array) == path.startswith("body.")
    assert int(run.last.arrays["body.norm.num_batches_tracked"]) == 0
    x, y = examples()
    once = trained(before, {"body": 0}, epochs=1, batch_size=64, engine=engine)
    expected = torch.nn.functional.mse_loss(before(x, None), torch.tensor(y))  # neither dropout nor batches
    assert once.history[0]["loss"] == pytest.approx(expected.item(), rel=1e-6)


def test_statistics_move_where_a_single_array_of_the_layer_does():
    run = trained(net(), {"body.norm.weight": 0})
    assert int(run.last.arrays["body.norm.num_batches_tracked"]) == 8
    assert torch.equal(run.last.arrays["body.norm.weight"], net().arrays["body.norm.weight"])
