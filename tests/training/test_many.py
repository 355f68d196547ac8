"""Many nets at once: each is trained as if it were alone, in a stack or one after another."""

from __future__ import annotations

import signal

import numpy as np
import pytest
import torch

import retia as rt
from retia.sources import feeds
from retia.training import common, many, stacked

LABELS = ["a", "b", "c"]


def pictures(count=150, size=6):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (count, size, size), dtype=np.uint8)
    return x, [LABELS[i] for i in (x.reshape(count, -1)[:, :3].argmax(1))]


def numbers(count=150, width=6):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(count, width)).astype(np.float32)
    return x, (x[:, :2] * 2 + 1).astype(np.float32)


GRAY = {"input": rt.Image(6, 6, color="gray"), "output": rt.Classes(LABELS)}
NETS = {
    "dense": (
        rt.Chain(rt.Flatten(), rt.Linear(9), rt.Sigmoid(), rt.Linear(), rt.Softmax(), **GRAY),
        pictures,
    ),
    "wide": (rt.Chain(rt.Flatten(), rt.Linear(20), rt.ReLU(), rt.Linear(), rt.Softmax(), **GRAY), pictures),
    "dropout": (
        rt.Chain(rt.Flatten(), rt.Linear(9), rt.Dropout(0.3), rt.Tanh(), rt.Linear(), rt.Softmax(), **GRAY),
        pictures,
    ),
    "norms": (
        rt.Chain(rt.Linear(8, bias=False), rt.BatchNorm(), rt.ELU(), rt.LayerNorm(), rt.Linear(2), input=6),
        numbers,
    ),
    "yes or no": (
        rt.Chain(rt.Linear(5), rt.Tanh(), rt.Linear(1), rt.Sigmoid(), input=6, output=rt.Boolean()),
        lambda: (numbers()[0], numbers()[0][:, 0] > 0),
    ),
}  # fmt: skip
HOW = {"epochs": 8, "batch_size": 16, "progress": False}  # 9 batches, the last of another size


def relative(ours, theirs):
    return float((ours.double() - theirs.double()).norm() / theirs.double().norm().clamp_min(1e-30))


def same(ours, theirs, near=1e-4):
    """Two trainings, to the last digits."""
    for which in ("net", "last"):
        mine, other = getattr(ours, which), getattr(theirs, which)
        assert mine.arrays.keys() == other.arrays.keys()
        for path, array in other.arrays.items():
            assert relative(mine.arrays[path], array) < near, path
    assert (ours.why, ours.seed, ours.best_epoch) == (theirs.why, theirs.seed, theirs.best_epoch)
    for mine, other in zip(ours.history, theirs.history, strict=True):
        assert mine.keys() == other.keys()
        for name in mine.keys() - {"seconds", "examples_per_second", "waiting"}:
            assert mine[name] == pytest.approx(other[name], rel=near, abs=0.02 * ("accuracy" in name)), name


def at_once(run):
    return " nets at once" in run.settings["engine"]


# In a stack ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("validation", [0, 0.2])
def test_each_net_is_trained_as_if_alone(name, validation):
    net, data = NETS[name]
    how = {**HOW, "validation": validation, "optimizer": rt.Adam(1e-2)}
    runs = rt.train(net, data(), seed=range(4, 7), **how)
    assert [run.seed for run in runs] == [4, 5, 6]
    assert all(at_once(run) for run in runs)
    for run in runs:
        same(run, rt.train(net, data(), seed=run.seed, **how))
    first = next(path for path in runs[0].last.arrays if path.endswith("weight"))
    assert relative(runs[0].last.arrays[first], runs[1].last.arrays[first]) > 0.1


OPTIMIZERS = {
    "SGD": [rt.SGD(0.1, momentum=0.9), rt.SGD(0.01, momentum=0.9), rt.SGD(0.0, momentum=0.9)],
    "Adam": [rt.Adam(0.01), rt.Adam(0.001), rt.Adam(0.1)],
    "AdamW": [rt.AdamW(0.01), rt.AdamW(0.001), rt.AdamW(0.1)],
    "RMSprop": [rt.RMSprop(0.01), rt.RMSprop(0.001), rt.RMSprop(0.002)],
    "Adagrad": [rt.Adagrad(0.01), rt.Adagrad(0.001), rt.Adagrad(0.1)],
}


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_learning_rates_differ_from_net_to_net(kind):
    net, data = NETS["wide"]
    runs = rt.train(net, data(), seed=2, optimizer=OPTIMIZERS[kind], **HOW)
    assert all(at_once(run) for run in runs)
    for run, optimizer in zip(runs, OPTIMIZERS[kind], strict=True):
        same(run, rt.train(net, data(), seed=2, optimizer=optimizer, **HOW), 5e-4)
        assert run.history[0]["rate"] == optimizer.learning_rate
        assert f"learning_rate={optimizer.learning_rate}" in run.settings["optimizer"]


def test_seeds_and_optimizers_are_paired():
    net, data = NETS["dense"]
    chosen = [rt.SGD(0.1), rt.SGD(0.3)]
    runs = rt.train(net, data(), seed=[7, 3], optimizer=chosen, **HOW)
    for run, seed, optimizer in zip(runs, [7, 3], chosen, strict=True):
        same(run, rt.train(net, data(), seed=seed, optimizer=optimizer, **HOW))


@pytest.mark.parametrize("optimizer", [rt.Adam(0.01), [rt.Adam(0.01), rt.Adam(0.02)]])
def test_multipliers_of_the_rate_hold_for_every_net(optimizer):
    net, data = NETS["wide"]
    how = {**HOW, "rates": {"1": 0.1}}
    runs = rt.train(net, data(), seed=[0, 1], optimizer=optimizer, **how)
    assert all(at_once(run) for run in runs)
    for place, run in enumerate(runs):
        one = optimizer[place] if isinstance(optimizer, list) else optimizer
        same(run, rt.train(net, data(), seed=place, optimizer=one, **how))


def test_a_net_that_is_trained_already_goes_on_from_its_arrays():
    net, data = NETS["dense"]
    net = rt.train(net, data(), seed=9, **HOW).net
    for run in rt.train(net, data(), seed=[0, 1], **HOW):
        same(run, rt.train(net, data(), seed=run.seed, **HOW))


def test_codecs_that_learn_the_same_from_each_part_are_fitted():
    net = rt.Chain(rt.Flatten(), rt.Linear(9), rt.ReLU(), rt.Linear(), rt.Softmax(),
                   input=rt.Image(color="gray"), output=rt.Classes())  # fmt: skip
    runs = rt.train(net, pictures(), seed=[0, 1], validation=0.2, **HOW)
    assert all(at_once(run) for run in runs)
    for run in runs:
        same(run, rt.train(net, pictures(), seed=run.seed, validation=0.2, **HOW))
        assert run.net(pictures()[0][0]) in LABELS


def test_validation_data_serve_all():
    net, data = NETS["dense"]
    held_out = pictures(170)
    held_out = held_out[0][150:], held_out[1][150:]
    for run in rt.train(net, data(), seed=[0, 1], validation=held_out, **HOW):
        assert at_once(run)
        same(run, rt.train(net, data(), seed=run.seed, validation=held_out, **HOW))


def test_a_loss_of_ones_own_is_stacked():
    net, data = NETS["norms"]

    def loss(output, target):
        return ((output - target) ** 4).mean()

    for run in rt.train(net, data(), seed=[0, 1], loss=loss, **HOW):
        assert at_once(run)
        same(run, rt.train(net, data(), seed=run.seed, loss=loss, **HOW))


def test_parts_of_a_shuffled_set_keep_their_examples():
    x, y = pictures()
    data = rt.data((x, y)).shuffle(3)[10:140]
    net, _ = NETS["dense"]
    for run in rt.train(net, data, seed=[0, 1], validation=0.3, **HOW):
        assert at_once(run)
        same(run, rt.train(net, data, seed=run.seed, validation=0.3, **HOW))


# One of them --------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["program", "walk"])
def test_one_that_diverges_stays_as_it_was_and_the_others_go_on(engine):
    net, data = NETS["norms"]
    chosen = [rt.SGD(0.01), rt.SGD(1e30), rt.SGD(0.02)]
    runs = rt.train(net, data(), seed=[0, 1, 2], optimizer=chosen, engine=engine, **HOW)
    with pytest.raises(rt.TrainingError) as caught:
        rt.train(net, data(), seed=1, optimizer=chosen[1], engine=engine, **HOW)
    alone = caught.value.run
    assert runs[1].why == alone.why
    assert runs[1].why.startswith(("loss nan in step ", "loss inf in step "))
    assert runs[1].history == []
    for path, array in alone.net.arrays.items():
        assert torch.equal(runs[1].net.arrays[path], array), path
    for place in (0, 2):
        same(runs[place], rt.train(net, data(), seed=place, optimizer=chosen[place], engine=engine, **HOW))


def test_when_all_diverge_training_ends():
    net, data = NETS["norms"]
    told = []
    runs = rt.train(net, data(), seed=[0, 1], optimizer=rt.SGD(1e30), callbacks=told.append, **HOW)
    assert [run.why.split()[0] for run in runs] == ["loss", "loss"]
    assert told == []


def test_a_validation_loss_that_is_not_finite_ends_one():
    net = rt.Chain(rt.Linear(1, bias=False), input=1, output=1)
    x = np.full((64, 1), 1e-3, np.float32)
    how = {**HOW, "validation": (np.full((4, 1), 1e17, np.float32), x[:4]), "epochs": 20, "batch_size": 8}
    chosen = [rt.SGD(0.0), rt.SGD(1e8)]
    runs = rt.train(net, (x, x), seed=[0, 1], optimizer=chosen, engine="program", **how)
    assert runs[0].why == "all 20 epochs done"
    assert "validation after epoch 1" in runs[1].why


def test_callbacks_hear_of_each_net_by_its_seed_and_ends_it_alone():
    net, data = NETS["dense"]
    told = []

    def heard(view):
        told.append((view.epoch, view.seed))
        return "stop" if view.seed == 1 and view.epoch == 2 else None

    how = {**HOW, "epochs": 5}
    runs = rt.train(net, data(), seed=[0, 1], callbacks=heard, **how)
    assert told == [(1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (4, 0), (5, 0)]
    assert [run.why for run in runs] == ["all 5 epochs done", "heard said stop after epoch 2"]
    same(runs[0], rt.train(net, data(), seed=0, **how))
    same(runs[1], rt.train(net, data(), seed=1, callbacks=heard, **how))


# Ctrl-C -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["program", "walk"])
def test_ctrl_c_ends_all_with_what_there_is(engine):
    net, data = NETS["dense"]
    before = signal.getsignal(signal.SIGINT)

    def press(view):
        if view.epoch == 3 and view.seed == 0:
            signal.raise_signal(signal.SIGINT)

    runs = rt.train(net, data(), seed=[0, 1, 2], callbacks=press, engine=engine, **HOW)
    assert [run.why for run in runs] == ["interrupted"] * 3
    assert [run.seed for run in runs] == [0, 1, 2]
    assert [len(run.history) for run in runs] == ([3, 3, 3] if engine == "program" else [3, 0, 0])
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_after_the_last_epoch_comes_too_late():
    net, data = NETS["dense"]

    def press(view):
        if (view.epoch, view.seed) == (8, 1):
            signal.raise_signal(signal.SIGINT)

    runs = rt.train(net, data(), seed=[0, 1], callbacks=press, **HOW)
    assert [run.why for run in runs] == ["all 8 epochs done"] * 2


def test_a_second_ctrl_c_ends_at_once():
    net, data = NETS["dense"]

    def press(view):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        rt.train(net, data(), seed=[0, 1], callbacks=press, **HOW)


# One after another --------------------------------------------------------------------------------

ALONE = {
    "walk": ({"engine": "walk"}, "engine='walk'"),
    "one": ({"seed": [3]}, "there is but one"),
    "short": ({"epochs": 1}, "so few steps"),
    "none": ({"epochs": 0}, "so few steps"),
    "frozen": ({"rates": {"1": 0}}, "what frozen layers give is kept for each alone"),
    "kinds": (
        {"optimizer": [rt.SGD(0.1), rt.Adam(0.1)]},
        "the optimizers differ in more than the learning rate",
    ),
    "settings": (
        {"optimizer": [rt.SGD(0.1), rt.SGD(0.1, momentum=0.5)]},
        "the optimizers differ in more than the learning rate",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ALONE)
def test_what_is_not_stacked_is_trained_one_after_another(name):
    net, data = NETS["dense"]
    how, why = ALONE[name]
    how = {**HOW, "seed": [0, 1], **how}
    seeds, optimizers = how.pop("seed"), how.pop("optimizer", [None] * 2)
    runs = rt.train(net, data(), seed=seeds, **how, **({"optimizer": optimizers} if any(optimizers) else {}))
    for run, seed, optimizer in zip(runs, seeds, optimizers, strict=False):
        assert run.settings["engine"].endswith(f"; one net after another: {why}")
        same(run, rt.train(net, data(), seed=seed, optimizer=optimizer, **how), 1e-12)


def test_convolutions_and_much_work_are_not_stacked(monkeypatch):
    net = rt.Chain(rt.Conv2d(2, 3), rt.Flatten(), rt.Linear(), rt.Softmax(), **GRAY)
    run = rt.train(net, pictures(), seed=[0, 1], **HOW)[1]
    assert run.settings["engine"].endswith("another: convolutions are slower in a stack")
    monkeypatch.setattr(stacked, "MOST", 1000)
    run = rt.train(NETS["dense"][0], pictures(), seed=[0, 1], **HOW)[1]
    assert run.settings["engine"].endswith("another: a step takes 0 MFLOP, 0 or more are no quicker")


def test_codecs_that_learn_something_else_from_each_part_are_not_stacked(monkeypatch):
    net, data = NETS["dense"]
    fitted = iter([net, rt.Chain(rt.Flatten(), rt.Linear(), rt.Softmax(), **GRAY)])
    monkeypatch.setattr(common, "fit", lambda net, train, aims: next(fitted))
    runs = rt.train(net, data(), seed=[0, 1], validation=0.2, **HOW)
    why = "the codecs learn something else from each part"
    assert all(run.settings["engine"].endswith(f"one net after another: {why}") for run in runs)


def test_examples_that_do_not_fit_are_not_stacked(monkeypatch):
    net, data = NETS["norms"]
    monkeypatch.setattr(feeds, "free_memory", lambda: 0)
    runs = rt.train(net, data(), seed=[0, 1], **HOW)
    assert runs[0].settings["engine"].endswith("one net after another: the examples do not fit into memory")
    for run in runs:
        same(run, rt.train(net, data(), seed=run.seed, **HOW), 1e-12)


def test_a_memory_that_is_too_small_for_all_holds_each(monkeypatch):
    def full(*given):
        raise MemoryError("not enough memory")

    net, data = NETS["dense"]
    monkeypatch.setattr(many, "Stack", full)
    runs = rt.train(net, data(), seed=[0, 1], **HOW)
    assert all(run.settings["engine"].endswith(": the memory is too small for all") for run in runs)


# What is said -------------------------------------------------------------------------------------


def test_one_line_an_epoch_is_shown_for_all(capsys):
    net, data = NETS["norms"]
    how = {**HOW, "progress": True}
    rt.train(net, data(), seed=[0, 1, 2], optimizer=[rt.SGD(0.01), rt.SGD(1e30), rt.SGD(0.01)], **how)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 9
    assert lines[0].startswith("seed 1: The loss became ")
    assert all(line.startswith(f"epoch {n}/8  nets 2  loss ") for n, line in enumerate(lines[1:], 1))


def test_one_after_another_each_is_named(capsys):
    net, data = NETS["dense"]
    rt.train(net, data(), seed=[5, 8], **{**HOW, "epochs": 1, "progress": True})
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["seed 5", "epoch 1/1", "seed 8", "epoch 1/1"]


WRONG = {
    "no seeds": ({"seed": []}, "train: seed is an empty list, so there is nothing to train."),
    "no optimizers": ({"optimizer": []}, "train: optimizer is an empty list, so there is nothing to train."),
    "lengths": (
        {"seed": [0, 1, 2], "optimizer": [rt.SGD(), rt.SGD()]},
        "train: 3 seeds, but 2 optimizers.\n  fix   one optimizer for each seed, or one for all",
    ),
    "a seed": ({"seed": [0, -1]}, "train: seed is a whole number of at least 0; got -1."),
}


@pytest.mark.parametrize("name", WRONG)
def test_lists_that_cannot_be(name):
    how, said = WRONG[name]
    with pytest.raises(rt.ArgumentError) as caught:
        rt.train(NETS["dense"][0], pictures(), **how)
    assert str(caught.value) == said


def test_an_optimizer_that_is_none_is_named():
    with pytest.raises(rt.ArgumentError, match="there is none called 'admm'"):
        rt.train(NETS["dense"][0], pictures(), optimizer=["adam", "admm"])


def test_what_cannot_be_learned_from_is_refused_with_its_row():
    x, y = numbers()
    x[40, 2] = np.nan
    with pytest.raises(rt.DataError, match="row 40 holds nan"):
        rt.train(NETS["norms"][0], (x, y), seed=[0, 1], **HOW)


def test_a_log_of_several_trainings_is_refused(tmp_path):
    net, data = NETS["dense"]
    with pytest.raises(rt.ArgumentError) as caught:
        rt.train(net, data(), seed=[0, 1], callbacks=[rt.CSV(tmp_path / "log.csv")], **HOW)
    assert str(caught.value) == (
        "train: CSV writes the log of one training, but there are several.\n"
        "  fix   callbacks=[a function of the view], which has view.seed; run.history has all of it"
    )
