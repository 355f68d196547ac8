"""Cross-validation: folds trained as if alone, every example judged once by a net that has not seen it."""

from __future__ import annotations

import importlib.util
import signal
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

import retia as rt
from retia.experiments import folds
from retia.nets.settings import setting, whole
from retia.training.optimizers import LBFGS

LABELS = ["a", "b", "c"]
HOW = {"epochs": 8, "batch_size": 16, "progress": False}


def numbers(count=150, width=6):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(count, width)).astype(np.float32)
    return x, [LABELS[i] for i in x[:, :3].argmax(1)]


def classifier(*layers, output=None):
    inner = layers or (rt.Linear(9), rt.Tanh())
    return rt.Chain(*inner, rt.Linear(), rt.Softmax(), input=6, output=output or rt.Classes(LABELS))


def same(ours, theirs, near=1e-4):
    for path, array in theirs.net.arrays.items():
        gap = (ours.net.arrays[path].double() - array.double()).norm() / array.double().norm().clamp_min(
            1e-30
        )
        assert gap <= near, path
    assert ours.best_epoch == theirs.best_epoch
    for mine, other in zip(ours.history, theirs.history, strict=True):
        assert mine["loss"] == pytest.approx(other["loss"], rel=max(near, 1e-9))


def without(data, fold):
    return data[np.setdiff1d(np.arange(len(data)), fold.rows)]


# Each fold is as if alone -------------------------------------------------------------------------

NETS = {
    "dense": classifier(),
    "dropout": classifier(rt.Linear(9), rt.Dropout(0.3), rt.Tanh()),
    "norms": classifier(rt.Linear(8, bias=False), rt.BatchNorm(), rt.ELU()),
}


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("validation", [0, 0.2])
@pytest.mark.parametrize("count", [150, 203])
def test_folds_that_are_trained_at_once_are_trained_as_if_alone(name, validation, count):
    data = rt.data(numbers(count))
    how = {**HOW, "validation": validation, "optimizer": rt.Adam(1e-2), "seed": 3}
    found = rt.cross_validate(NETS[name], data, **how)
    assert len(found.folds) == 5
    for fold in found.folds:
        assert "program of 5 nets at once" in fold.run.settings["engine"]
        same(fold.run, rt.train(NETS[name], without(data, fold), **how))
        alone = rt.measure(fold.run.net, data[fold.rows])
        assert fold.measurement.figures() == alone.figures()


def test_folds_that_are_walked_one_after_another_have_the_same_bits_as_alone():
    data = rt.data(numbers(61))
    how = {**HOW, "epochs": 2, "engine": "walk"}
    for fold in rt.cross_validate(classifier(), data, 3, **how).folds:
        same(fold.run, rt.train(classifier(), without(data, fold), **how), 0)


def test_folds_of_a_shuffled_part_of_a_set_keep_their_examples():
    data = rt.data(numbers()).shuffle(3)[10:140]
    found = rt.cross_validate(classifier(), data, **HOW)
    for fold in found.folds:
        same(fold.run, rt.train(classifier(), without(data, fold), **HOW))


def test_parts_whose_batches_seldom_agree_are_trained_one_after_another():
    data = rt.data(numbers(32))
    found = rt.cross_validate(classifier(), data, **{**HOW, "epochs": 40})
    why = "too many of their batches are of different sizes"
    for fold in found.folds:
        assert fold.run.settings["engine"].endswith(f"one net after another: {why}")
        same(fold.run, rt.train(classifier(), without(data, fold), **{**HOW, "epochs": 40}), 1e-12)


def test_an_optimizer_that_looks_around_is_not_stacked():
    found = rt.cross_validate(classifier(), numbers(30), 2, optimizer=LBFGS(), **{**HOW, "epochs": 0})
    told = "one net after another: the optimizer looks at the loss at several places"
    assert found.folds[0].run.settings["engine"].endswith(told)


# Who is held out ----------------------------------------------------------------------------------


@pytest.mark.parametrize("stratify", [True, False])
def test_every_example_is_held_out_once(stratify):
    x, y = numbers(62)
    found = rt.cross_validate(classifier(), (x, y), 4, stratify=stratify, **{**HOW, "epochs": 0})
    assert sorted(np.concatenate([fold.rows for fold in found.folds]).tolist()) == list(range(62))
    assert [fold.number for fold in found.folds] == [1, 2, 3, 4]
    for label in LABELS if stratify else []:
        own = [Counter(y[row] for row in fold.rows)[label] for fold in found.folds]
        assert max(own) - min(own) <= 1


def test_examples_of_a_group_are_held_out_together():
    x, y = numbers(60)
    patients = [f"p{row // 4}" for row in range(60)]
    data = rt.data({"input": x, "output": y, "patient": patients})
    found = rt.cross_validate(classifier(), data, 3, groups="patient", **{**HOW, "epochs": 0})
    homes = {}
    for fold in found.folds:
        for row in fold.rows:
            homes.setdefault(patients[row], set()).add(fold.number)
    assert len(homes) == 15
    assert all(len(folds) == 1 for folds in homes.values())


def test_a_test_part_is_never_touched_and_a_validation_part_serves_all():
    every = rt.data(numbers(90))
    parts = {"train": every[:60], "validation": every[60:70], "test": every[70:]}
    found = rt.cross_validate(classifier(), rt.Data.of_parts(parts), 3, **{**HOW, "epochs": 1})
    assert sorted(row for fold in found.folds for row in fold.rows) == list(range(60))
    assert {fold.run.settings["validation"] for fold in found.folds} == {"10 examples: given"}
    assert {fold.run.settings["examples"] for fold in found.folds} == {40}


@rt.codec
class SeenTotal(rt.Codec):
    """Learns the sum of the numbers that it was fitted on."""

    total: int | None = setting(whole(optional=True), default=None)

    @property
    def shape(self):
        return (1,)

    def is_one(self, thing):
        return not isinstance(thing, list)

    def pack(self, things):
        return torch.tensor([[float(thing)] for thing in things])

    def unpack(self, batch, reading):
        return batch.flatten().tolist()

    def is_fitted(self):
        return self.total is not None

    def fit(self, things):
        return SeenTotal(int(sum(things)))


def test_codecs_learn_from_the_training_part_of_each_fold_alone():
    x = [*range(20)]
    net = rt.Chain(rt.Linear(1), input=SeenTotal(), output=1)
    found = rt.cross_validate(net, (x, [[0.0]] * 20), 4, **{**HOW, "epochs": 1})
    for fold in found.folds:
        assert fold.run.net.inputs["input"].codec == SeenTotal(sum(x) - sum(fold.rows.tolist()))


# What is answered ---------------------------------------------------------------------------------


def test_predictions_are_of_the_net_that_has_not_seen_the_example_in_the_order_of_the_data():
    x, y = numbers(40)
    found = rt.cross_validate(classifier(), (x, y), 4, **HOW)
    assert len(found.predictions) == 40
    for fold in found.folds:
        for row in fold.rows:
            assert found.predictions[row] == fold.run.net(x[row])
    right = np.mean([mine == true for mine, true in zip(found.predictions, y, strict=True)])
    assert right == pytest.approx(np.mean([fold.measurement.accuracy for fold in found.folds]))


def test_predictions_without_a_codec_are_one_tensor_and_of_several_outputs_a_dict():
    x, _ = numbers(20)
    found = rt.cross_validate(rt.Linear(2, input=6), (x, x[:, :2]), 4, **{**HOW, "epochs": 1})
    assert found.predictions.shape == (20, 2)
    fold = found.folds[1]
    assert torch.equal(found.predictions[torch.from_numpy(fold.rows)], fold.run.net.batch(x[fold.rows]))

    wire = rt.Input(6)
    net = rt.Graph({"one": rt.Linear(1)(wire), "two": rt.Linear(2)(wire)}, output={"one": 1, "two": 2})
    data = rt.data({"input": x, "one": x[:, :1], "two": x[:, :2]})
    found = rt.cross_validate(net, data, 4, **{**HOW, "epochs": 1})
    assert {port: tuple(each.shape) for port, each in found.predictions.items()} == {
        "one": (20, 1),
        "two": (20, 2),
    }
    assert "one.mae" in found.mean


def test_mean_and_deviation_are_those_of_the_folds():
    found = rt.cross_validate(classifier(), numbers(), **HOW)
    losses = np.asarray([fold.measurement.loss for fold in found.folds])
    assert found.mean["loss"] == pytest.approx(losses.mean())
    assert found.deviation["loss"] == pytest.approx(losses.std(ddof=1))
    assert [row["loss"] for row in found.rows] == losses.tolist()
    lines = str(found).splitlines()
    assert lines[0].split() == ["figure", "mean", "deviation", "1", "2", "3", "4", "5"]
    assert lines[1].split()[:3] == ["loss", f"{losses.mean():.4g}", f"{losses.std(ddof=1):.4g}"]
    assert lines[-2] == "fold 1, 2, 3, 4, 5: all 8 epochs done"
    assert lines[-1].startswith("engine: program of 5 nets at once")
    assert repr(found).startswith("<CrossValidation of 5 folds: loss ")


def test_metrics_say_what_is_told():
    found = rt.cross_validate(classifier(), numbers(40), 2, metrics=["f1_macro"], **{**HOW, "epochs": 1})
    assert "f1_macro" in found.mean
    assert "brier" not in found.mean


def test_a_frame_has_one_line_a_fold():
    found = rt.cross_validate(classifier(), numbers(40), 2, **{**HOW, "epochs": 1})
    if importlib.util.find_spec("pandas") is None:
        with pytest.raises(rt.MissingExtraError) as caught:
            found.to_pandas()
        assert str(caught.value) == (
            "This needs pandas, which is not installed.\n  fix   pip install 'retia[pandas]'"
        )
    else:
        assert found.to_pandas()["fold"].tolist() == [1, 2]


def test_a_fold_that_diverges_is_told():
    x, y = numbers(40)
    found = rt.cross_validate(
        rt.Linear(2, input=6), (x, x[:, :2]), 2, **{**HOW, "optimizer": rt.SGD(1e30), "epochs": 3}
    )
    assert all(fold.run.why.startswith("loss ") for fold in found.folds)
    assert "fold 1: loss " in str(found) or "fold 1, 2: loss " in str(found)


@pytest.mark.parametrize(("engine", "left"), [("walk", [1]), ("program", [1, 2, 3, 4, 5])])
def test_ctrl_c_leaves_what_is_finished(engine, left):
    calls = []

    def press(view):
        calls.append(view.epoch)
        if len(calls) == 10:
            signal.raise_signal(signal.SIGINT)

    found = rt.cross_validate(classifier(), numbers(), callbacks=press, engine=engine, **HOW)
    assert [fold.number for fold in found.folds] == left
    known = {row for fold in found.folds for row in fold.rows.tolist()}
    assert {row for row, answer in enumerate(found.predictions) if answer is not None} == known


def test_where_no_fold_was_finished_those_begun_are_left():
    run = rt.train(classifier(), numbers(20), epochs=1, progress=False)
    begun, idle = replace(run, why="interrupted"), replace(run, why="interrupted", history=[])
    assert [number for number, _, _ in folds._finished("abc", [begun, begun, idle])] == [1, 2]
    assert [number for number, _, _ in folds._finished("abc", [begun, run, idle])] == [2]
    with pytest.raises(rt.TrainingError) as caught:
        folds._finished("abc", [idle, idle, idle])
    assert str(caught.value) == "cross_validate was interrupted before the first epoch was over."


# What is refused ----------------------------------------------------------------------------------

WRONG = {
    "one": ({"folds": 1}, rt.ArgumentError, "cross_validate: folds is a whole number of at least 2; got 1."),
    "few": ({"folds": 200}, rt.DataError, "150 examples do not make 200 folds."),
    "column": (
        {"groups": "outpit"},
        rt.DataError,
        "There is no column 'outpit'; there are input, output. Did you mean 'output'?",
    ),
    "metric": ({"metrics": ["acuracy"]}, rt.ArgumentError, "metrics: there is none called 'acuracy'."),
    "words": ({"stratify": "no"}, rt.ArgumentError, "cross_validate: stratify is True or False; got 'no'."),
    "argument": ({"epoch": 3}, rt.ArgumentError, "train has no argument 'epoch'."),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_refused(name):
    how, kind, said = WRONG[name]
    with pytest.raises(kind) as caught:
        rt.cross_validate(classifier(), numbers(), **{**HOW, **how})
    assert str(caught.value).startswith(said)


def test_a_class_that_a_fold_would_not_know_is_refused_before_training():
    x, y = numbers(40)
    y[7] = "rare"
    with pytest.raises(rt.DataError) as caught:
        rt.cross_validate(classifier(output=rt.Classes()), (x, y), 4, **HOW)
    assert str(caught.value) == (
        "cross_validate: all examples of 'rare' are in one fold, so the net trained without it does not know "
        "that class.\n  fix   output=rt.Classes([...]) with all labels, or more examples of 'rare'"
    )
    known = classifier(output=rt.Classes([*LABELS, "rare"]))
    assert len(rt.cross_validate(known, (x, y), 4, **{**HOW, "epochs": 1}).folds) == 4


def test_what_is_no_net_is_named():
    with pytest.raises(rt.ArgumentError, match="cross_validate: the first argument is a net; got 'net'."):
        rt.cross_validate("net", numbers())
