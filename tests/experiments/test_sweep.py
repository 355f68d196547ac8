"""Sweeps: every trial is an ordinary training, the table is in order, one fault is one line."""

from __future__ import annotations

import importlib.util
import signal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import retia as rt
from retia.experiments import ranges, sweeps

LABELS = ["a", "b", "c"]
HOW = {"epochs": 3, "progress": False}


def numbers(count=100):
    x = np.random.default_rng(1).normal(size=(count, 6)).astype(np.float32)
    return x, [LABELS[i] for i in x[:, :3].argmax(1)]


def net(width=5):
    return rt.Chain(
        rt.Linear(width), rt.ReLU(), rt.Linear(), rt.Softmax(), input=6, output=rt.Classes(LABELS)
    )


def figures(trial):
    return {name: value for name, value in trial.figures.items() if "per_second" not in name}


# Trials -------------------------------------------------------------------------------------------


def test_every_trial_is_what_a_training_alone_would_be():
    data = rt.data(numbers())
    held_out, rest = data.split(0.2, seed=4)
    over = {"width": [2, 8], "batch_size": [10, 40], "learning_rate": [0.1, 0.01]}
    found = rt.sweep(net, data, over, seed=4, engine="walk", **HOW)
    assert len(found.trials) == 8
    for trial in found.trials:
        alone = rt.train(
            net(trial.values["width"]), rest, validation=held_out, seed=4, engine="walk",
            batch_size=trial.values["batch_size"], optimizer=rt.Adam(trial.values["learning_rate"]), **HOW,
        )  # fmt: skip
        assert trial.run.net == alone.net
        assert trial.figures["val_loss"] == alone.history[alone.best_epoch - 1]["val_loss"]


def test_trials_of_one_shape_are_trained_at_once():
    over = {"width": [3, 4], "optimizer": [rt.Adam(0.01), rt.Adam(0.1), rt.SGD(0.1)], "seed": [0, 1]}
    found = rt.sweep(net, numbers(), over, epochs=20, batch_size=16, progress=False)
    assert found.why == "all 12 trials done"
    for trial in found.trials:
        both = trial.values["optimizer"] == rt.SGD(0.1)
        assert f"program of {2 if both else 4} nets at once" in trial.run.settings["engine"]
        assert trial.run.seed == trial.values["seed"]


def test_settings_of_the_optimizer_are_swept_by_name():
    over = {"optimizer.momentum": [0.0, 0.9], "learning_rate": [0.1]}
    found = rt.sweep(net(), numbers(), over, optimizer=rt.SGD(nesterov=False), **HOW)
    told = {trial.run.settings["optimizer"] for trial in found.trials}
    assert all("learning_rate=0.1" in each for each in told)
    assert len(told) == 2


def test_the_best_comes_first_whichever_way_is_better():
    over = {"learning_rate": [1e-6, 0.1, 0.01]}
    lower = rt.sweep(net(), numbers(), over, **HOW)
    assert [trial.figures["val_loss"] for trial in lower.trials] == sorted(
        trial.figures["val_loss"] for trial in lower.trials
    )
    higher = rt.sweep(net(), numbers(), over, by="accuracy", **HOW)
    told = [trial.figures["val_accuracy"] for trial in higher.trials]
    assert told == sorted(told, reverse=True)
    assert (lower.better, higher.better, higher.by) == ("lower", "higher", "val_accuracy")
    turned = rt.sweep(net(), numbers(), over, better="higher", **HOW)
    assert [t.number for t in turned.trials] == [t.number for t in lower.trials][::-1]


def test_the_figure_may_be_any_metric():
    found = rt.sweep(
        net(), numbers(), {"learning_rate": [1e-6, 0.1]}, by="f1_macro", epochs=20, progress=False
    )
    assert (found.by, found.better) == ("val_f1_macro", "higher")
    assert found.best_values == {"learning_rate": 0.1}
    assert found.trials[0].figures["val_f1_macro"] > found.trials[1].figures["val_f1_macro"]


def test_all_trials_are_judged_by_the_same_examples_and_the_test_part_is_not_touched():
    every = rt.data(numbers())
    data = rt.Data.of_parts({"train": every[:60], "validation": every[60:80], "test": every[80:]})
    found = rt.sweep(net(), data, {"seed": [0, 1, 2]}, **HOW)
    assert {trial.run.settings["validation"] for trial in found.trials} == {"20 examples: given"}
    assert {trial.run.settings["examples"] for trial in found.trials} == {60}
    drawn = rt.sweep(net(), every, {"seed": [0, 1]}, **HOW)
    assert {trial.run.settings["validation"] for trial in drawn.trials} == {"20 examples: given"}


# Faults -------------------------------------------------------------------------------------------


def made(width):
    if width == 3:
        raise ValueError("no threes")
    return net(width)


def test_a_fault_in_one_trial_is_a_line_of_the_table():
    found = rt.sweep(made, numbers(), {"width": [3, 5, 0], "learning_rate": [0.1, 0.01]}, **HOW)
    assert [trial.values["width"] for trial in found.trials[:2]] == [5, 5]
    told = {(trial.values["width"], trial.error) for trial in found.trials[2:]}
    assert told == {
        (3, "ValueError: no threes"),
        (0, "Linear: size is a whole number of at least 1, or None; got 0."),
    }
    assert str(found).count("ValueError: no threes") == 2
    assert found.best_values["width"] == 5


def test_a_training_that_diverges_is_a_line_of_the_table():
    x, _ = numbers()
    found = rt.sweep(
        rt.Linear(2, input=6), (x, x[:, :2]), {"optimizer": [rt.SGD(1e30), rt.Adam(0.01)]}, **HOW
    )
    assert found.best_values["optimizer"] == rt.Adam(0.01)
    assert found.trials[1].error.startswith("The loss became ")
    assert found.trials[1].run is not None


def test_when_nothing_works_the_best_says_why():
    found = rt.sweep(made, numbers(), {"width": [3]}, **HOW)
    with pytest.raises(rt.TrainingError) as caught:
        _ = found.best
    assert str(caught.value) == "sweep: no trial has a val_loss.\n  from  trial 1: ValueError: no threes"


def test_ctrl_c_gives_the_table_so_far():
    epochs = []

    def press(view):
        epochs.append(view.epoch)
        if len(epochs) == 5:  # the second trial's second
            signal.raise_signal(signal.SIGINT)

    found = rt.sweep(net, numbers(), {"width": [2, 4, 8]}, callbacks=press, **HOW)
    assert found.why == "interrupted"
    assert sorted(trial.number for trial in found.trials) == [1, 2]
    assert {trial.run.why for trial in found.trials} == {"all 3 epochs done", "interrupted"}
    assert found.best.history


def test_ctrl_c_between_two_trainings_gives_the_table_so_far():
    def slow(width):
        if width == 4:
            raise KeyboardInterrupt
        return net(width)

    found = rt.sweep(slow, numbers(), {"width": [2, 4, 8]}, **HOW)
    assert [trial.number for trial in found.trials] == [1]
    assert found.why == "interrupted"


# Halving ------------------------------------------------------------------------------------------


def test_halving_lets_the_best_third_go_on_for_three_times_the_epochs():
    over = {"learning_rate": [1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 3e-2, 0.1, 0.3]}
    found = rt.sweep(net(), numbers(), over, method="halving", epochs=9, progress=False)
    assert [trial.epochs for trial in found.trials] == [9, 3, 3, 1, 1, 1, 1, 1, 1]
    assert [len(trial.run.history) for trial in found.trials] == [9, 3, 3, 1, 1, 1, 1, 1, 1]
    short = rt.sweep(net(), numbers(), over, epochs=1, progress=False)
    assert {t.number for t in found.trials[:3]} == {t.number for t in short.trials[:3]}
    best = found.trials[0]
    alone = rt.sweep(
        net(), numbers(), {"learning_rate": [best.values["learning_rate"]]}, epochs=9, progress=False
    )
    assert best.figures["val_loss"] == pytest.approx(alone.trials[0].figures["val_loss"], rel=1e-4)


ROUNDS = {"few trials": (2, 9, [9]), "few epochs": (27, 2, [2]), "both": (30, 30, [2, 4, 10, 30])}


@pytest.mark.parametrize("name", ROUNDS)
def test_rounds_end_with_all_epochs(name):
    trials, epochs, expected = ROUNDS[name]
    over = {"learning_rate": rt.Between(0.1, 1)}
    assert sweeps._planned(over, "halving", trials, epochs, 0)[1] == expected


# What is tried ------------------------------------------------------------------------------------


def test_a_grid_has_every_combination_in_order():
    found = ranges.grid({"a": [1, 2], "b": ["x", "y", "z"]})
    told = [(each["a"].value, each["b"].value) for each in found]
    assert told == [(a, b) for a in (1, 2) for b in "xyz"]


@given(st.floats(1e-6, 1e3), st.floats(1.01, 1e4), st.booleans(), st.integers(0, 10**6 - 1))
def test_draws_stay_in_their_range(low, factor, log, millionths):
    between = rt.Between(low, low * factor, log=log)
    assert low * (1 - 1e-5) <= between.draw(millionths / 10**6) <= low * factor * (1 + 1e-5)


@pytest.mark.parametrize("log", [False, True])
def test_whole_draws_come_evenly_and_reach_both_ends(log):
    between = rt.Between(1, 4, whole=True, log=log)
    drawn = [between.draw(share) for share in np.linspace(0, 1, 10000, endpoint=False)]
    counts = np.bincount(drawn, minlength=5)[1:]
    assert counts.sum() == 10000
    edges = np.asarray([0.5, 1.5, 2.5, 3.5, 4.5])
    expected = np.diff(np.log(edges) if log else edges) / (np.log(9) if log else 4)
    assert np.abs(counts / 10000 - expected).max() < 1e-3


def test_draws_depend_on_the_seed_alone_and_lists_are_not_drawn_twice():
    over = {"rate": rt.Between(1e-4, 1, log=True), "width": [1, 2, 3]}

    def values(*given):
        return [{name: each.value for name, each in one.items()} for one in ranges.drawn(*given)]

    assert values(over, 5, 1) == values(over, 9, 1)[:5]
    assert values(over, 5, 1) != values(over, 5, 2)
    rates = np.asarray([one["rate"] for one in values(over, 400, 0)])
    assert np.log10(rates).mean() == pytest.approx(-2, abs=0.15)
    listed = values({"a": [1, 2, 3], "b": [4, 5]}, 10, 0)
    assert sorted(map(str, listed)) == sorted(map(str, values({"a": [1, 2, 3], "b": [4, 5]}, 6, 7)))
    assert len(listed) == 6


def test_random_draws_take_the_number_of_trials():
    over = {"learning_rate": rt.Between(1e-3, 1e-1, log=True)}
    assert len(rt.sweep(net(), numbers(), over, **{**HOW, "epochs": 1}).trials) == 16
    assert len(rt.sweep(net(), numbers(), over, trials=3, **{**HOW, "epochs": 1}).trials) == 3
    assert len(rt.sweep(net(), numbers(), {"seed": range(9)}, trials=2, **{**HOW, "epochs": 1}).trials) == 2


# What is shown ------------------------------------------------------------------------------------


def test_the_table_has_a_line_a_trial(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    found = rt.sweep(net, numbers(), {"width": [2, 8], "optimizer": ["sgd", rt.Adam(0.1)]}, **HOW)
    lines = str(found).splitlines()
    assert lines[0].split()[:5] == ["trial", "width", "optimizer", "val_loss", "val_accuracy"]
    assert len(lines) == 6
    assert lines[-1] == "sorted by val_loss (lower is better); all 4 trials done"
    assert repr(found).startswith("<Sweep of 4 trials, best: trial ")
    if importlib.util.find_spec("pandas") is None:
        with pytest.raises(rt.MissingExtraError, match="This needs pandas, which is not installed."):
            found.to_pandas()
    else:
        assert len(found.to_pandas()) == 4


def test_the_picture_has_a_part_for_every_name(tmp_path):
    over = {"width": [2, 8], "learning_rate": rt.Between(1e-3, 1, log=True)}
    found = rt.sweep(net, numbers(), over, trials=4, **HOW)
    drawn = found.plot(tmp_path / "sweep.png")
    assert (tmp_path / "sweep.png").stat().st_size > 1000
    first, second = drawn.axes
    assert [each.get_text() for each in first.get_xticklabels()] == ["2", "8"]
    assert (first.get_xscale(), second.get_xscale()) == ("linear", "log")
    assert second.lines[1].get_xdata().tolist() == [found.best_values["learning_rate"]]
    assert len(second.lines[0].get_xdata()) == 4


# What is refused ----------------------------------------------------------------------------------

FIX = "arguments of the net's function or of rt.train, learning_rate, or optimizer.momentum and the like"
WRONG = {
    "nothing": (
        {},
        "sweep: over is a dict from names to values; got {}.\n  fix   "
        'over={"batch_size": [32, 64], "learning_rate": rt.Between(1e-4, 1e-1, log=True)}',
    ),
    "one value": (
        {"batch_size": 32},
        "sweep: over['batch_size'] is a list of values or an rt.Between; got 32.\n"
        "  fix   over={'batch_size': [32]}",
    ),
    "misspelt": ({"widht": [1]}, "sweep: nothing takes 'widht'. Did you mean 'width'?\n  fix   " + FIX),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_swept_is_refused(name):
    over, said = WRONG[name]
    with pytest.raises(rt.ArgumentError) as caught:
        rt.sweep(net, numbers(), over, **HOW)
    assert str(caught.value) == said


HOWS = {
    "grid of a range": (
        {"method": "grid"},
        "sweep: a grid needs lists, but over['width'] is Between(low=1, high=9, log=False, whole=True).\n"
        "  fix   method='random'",
    ),
    "twice": (
        {"width": 3},
        "sweep: width is given twice, as a value and in over.\n  fix   give it once",
    ),
    "method": (
        {"method": "hyperband"},
        "sweep: method is one of 'grid', 'random', 'halving'; got 'hyperband'.",
    ),
    "misspelt": ({"batchsize": 3}, "sweep: nothing takes 'batchsize'. Did you mean 'batch_size'?"),
    "no validation": (
        {"validation": 0},
        "sweep compares trainings by a validation part, but validation is 0.\n"
        "  fix   validation=0.2, or validation=rt.data(...)",
    ),
    "own figure": (
        {"by": "my_figure"},
        "sweep: whether a higher or a lower 'val_my_figure' is better cannot be known from its name.\n"
        '  fix   better="higher" or better="lower"',
    ),
    "not told": (
        {"by": "my_figure", "better": "lower"},
        "sweep: by='val_my_figure' is nothing that trainings tell.\n  fix   one of val_loss, val_accuracy",
    ),
}


@pytest.mark.parametrize("name", HOWS)
def test_ways_that_cannot_be_are_refused(name):
    how, said = HOWS[name]
    with pytest.raises(rt.ArgumentError) as caught:
        rt.sweep(net, numbers(), {"width": rt.Between(1, 9, whole=True)}, **HOW, **how)
    assert str(caught.value).startswith(said)


def test_halving_chooses_the_epochs_and_a_grid_its_trials():
    with pytest.raises(rt.ArgumentError, match="sweep: halving chooses the epochs itself."):
        rt.sweep(net(), numbers(), {"epochs": [1, 2, 3]}, method="halving", progress=False)
    with pytest.raises(rt.ArgumentError, match="sweep: a grid has as many trials as combinations."):
        rt.sweep(net(), numbers(), {"seed": [1, 2, 3]}, method="grid", trials=2, progress=False)
    found = rt.sweep(net(), numbers(), {"epochs": [1, 2]}, progress=False)
    assert sorted(len(trial.run.history) for trial in found.trials) == [1, 2]


def test_what_the_function_needs_must_be_there():
    with pytest.raises(rt.ArgumentError) as caught:
        rt.sweep(lambda width, depth: net(width), numbers(), {"width": [1]}, **HOW)
    assert str(caught.value) == (
        "sweep: the function that makes the net needs 'depth', which nothing gives.\n"
        "  fix   over={'depth': [...]}, or depth="
    )
    found = rt.sweep(lambda width, depth: net(width + depth), numbers(), {"width": [1]}, depth=2, **HOW)
    assert found.best.net.arrays["0.weight"].shape == (3, 6)
    with pytest.raises(rt.ArgumentError, match="a net, or a function that makes one; got 'net'."):
        rt.sweep("net", numbers(), {"width": [1]}, **HOW)


BETWEEN = {
    "empty": ((3, 1, {}), "Between(low=3, high=1, log=False, whole=False): low is below high."),
    "log": (
        (0, 1, {"log": True}),
        "Between(low=0, high=1, log=True, whole=False): a logarithm needs a low above 0.",
    ),
    "whole": (
        (0.5, 2, {"whole": True}),
        "Between(low=0.5, high=2, log=False, whole=True): the ends of a range of whole numbers are whole.",
    ),
    "words": (("a", 2, {}), "Between: low is a number from -inf to inf; got 'a'."),
}


@pytest.mark.parametrize("name", BETWEEN)
def test_a_range_that_cannot_be_is_refused(name):
    (low, high, how), said = BETWEEN[name]
    with pytest.raises(rt.ArgumentError) as caught:
        rt.Between(low, high, **how)
    assert str(caught.value).startswith(said)
