"""Figures of sequences that differ in length: padding counts nowhere."""

import math

import numpy as np
import pytest
from sklearn import metrics as sk

import retia as rt
from retia.metrics.editing import edit_distances

close = dict(rel_tol=1e-6, abs_tol=1e-7)


def sequences(count=23):
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(size, 3)).astype(np.float32) for size in rng.integers(1, 9, count)]
    return x, [rng.integers(0, 3, len(each)) for each in x]


@pytest.mark.parametrize("size", [1, 5, 256])
def test_every_real_position_counts_alike(size):
    x, y = sequences()
    net = rt.Chain(rt.Linear(3), rt.Softmax(), input=("n", 3)).init(seed=0)
    m = rt.measure(net, {"input": x, "output": y}, batch_size=size)
    chances = [net(each, None).double().numpy() for each in x]
    answers = [each.argmax(-1) for each in chances]
    true, answered, likely = np.concatenate(y), np.concatenate(answers), np.concatenate(chances)
    assert math.isclose(m.accuracy, (true == answered).mean(), **close)
    assert math.isclose(m.f1, sk.f1_score(true, answered, average="macro"), **close)
    assert math.isclose(m.log_loss, sk.log_loss(true, likely / likely.sum(1, keepdims=True)), rel_tol=1e-5)
    assert math.isclose(m.roc(1).area, sk.roc_auc_score(true == 1, likely[:, 1]), **close)
    assert math.isclose(
        m.sequence_accuracy, np.mean([(a == t).all() for a, t in zip(answers, y, strict=True)])
    )
    apart = [edit_distances(a[None], t[None])[0] for a, t in zip(answers, y, strict=True)]
    assert math.isclose(m.edit_distance, np.mean(apart))
    assert m.confusion.counts.sum() == len(true)
    assert m.predictions == [each.tolist() for each in answers]
    assert m.truths == [each.tolist() for each in y]


def test_a_training_counts_them_so():
    x, y = sequences()
    net = rt.Chain(rt.Linear(3), rt.Softmax(), input=("n", 3))
    held = {"input": x[:9], "output": y[:9]}
    run = rt.train(
        net, {"input": x[9:], "output": y[9:]}, validation=rt.data(held), epochs=2, batch_size=4,
        metrics=["f1", "log_loss", "sequence_accuracy", "auc"], progress=False,
    )  # fmt: skip
    m = rt.measure(run.last, held)
    for name in ("loss", "accuracy", "f1", "log_loss", "sequence_accuracy", "auc"):
        assert math.isclose(run.history[-1][f"val_{name}"], m[name], rel_tol=1e-5), name


@pytest.mark.parametrize("size", [1, 5, 256])
def test_numbers_of_several_lengths_are_compared_position_by_position(size):
    x, _ = sequences()
    y = [each.sum(1, keepdims=True) for each in x]
    net = rt.Chain(rt.Linear(), input=("n", 3), output=("n", 1)).init(seed=0)
    m = rt.measure(net, {"input": x, "output": y}, batch_size=size)
    answers = np.concatenate([net(each, None).numpy() for each in x]).ravel()
    true = np.concatenate(y).ravel()
    assert math.isclose(m.mae, sk.mean_absolute_error(true, answers), rel_tol=1e-5)
    assert math.isclose(m.r2, sk.r2_score(true, answers), rel_tol=1e-5)
    assert [len(each) for each in m.predictions] == [len(each) for each in x]
    assert np.allclose(np.concatenate(m.truths), true)
