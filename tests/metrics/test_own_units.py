"""Errors in the data's own units where the net computes in standardised numbers; classes in an order."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

import retia as rt
from retia.metrics.examples import Examples
from retia.metrics.objective import objective
from retia.metrics.tally import Tally, read_metrics

close = dict(rel_tol=1e-5, abs_tol=1e-6)
NUMBERS = ["mse", "rmse", "mae", "median_absolute_error", "max_error", "r2", "explained_variance"]


def tallied(net, data, names, size):
    """What the training's own sums say of the same figures."""
    from retia.engine.walk import Run, walk_values

    lower = objective(net)
    tally = Tally(lower, read_metrics(net, lower, names), whole=True)
    for batch in Examples(net, rt.data(data), lower, torch.device("cpu")).in_order(size):
        tally.add(walk_values(net, batch.inputs, net.arrays, Run(), lower.wanted), batch)
    return tally.figures()


@given(st.integers(0, 1000), st.sampled_from(["scalar", "column", "vector"]), st.integers(1, 20))
def test_errors_are_in_the_units_of_the_data(seed, kind, size):
    rng = np.random.default_rng(seed)
    shape = {"scalar": (20,), "column": (20, 1), "vector": (20, 3)}[kind]
    values = rng.normal(size=shape).astype(np.float32)
    targets = rng.normal(4000, 900, (20, 3) if kind == "vector" else 20)
    scale = ((4000.0, 3900.0, 10.0), (800.0, 900.0, 2.0)) if kind == "vector" else (4000.0, 800.0)
    codec = (rt.Vector if kind == "vector" else rt.Scalar)(normalize=scale, unit="g")
    net = rt.Chain(rt.Arithmetic("+", 0), input=shape[1:], output=codec)
    m = rt.measure(net, (values, targets))
    answers = values.reshape(targets.shape).astype(np.float64) * scale[1] + scale[0]
    assert math.isclose(m.mae, sk.mean_absolute_error(targets, answers), **close)
    assert math.isclose(m.rmse, math.sqrt(sk.mean_squared_error(targets, answers)), **close)
    assert math.isclose(m.median_absolute_error, np.median(abs(targets - answers)), **close)
    assert math.isclose(m.max_error, abs(targets - answers).max(), **close)
    assert math.isclose(m.r2, sk.r2_score(targets, answers), **close)
    assert np.allclose(m.predictions.reshape(targets.shape), answers, rtol=1e-5)
    assert np.allclose(m.truths.reshape(targets.shape), targets, rtol=1e-5)
    standard = (targets - np.array(scale[0])) / np.array(scale[1])
    assert math.isclose(m.loss, ((values.reshape(targets.shape) - standard) ** 2).mean(), rel_tol=1e-4)
    found = tallied(net, (values, targets), NUMBERS, size)
    assert found == pytest.approx({name: m[name] for name in NUMBERS}, rel=1e-5)


def test_the_table_tells_the_unit():
    net = rt.Chain(rt.Arithmetic("+", 0), input=(), output=rt.Scalar(normalize=(10.0, 2.0), unit="cm"))
    m = rt.measure(net, ([0.0, 1.0], [10.0, 10.0]))
    assert m.unit == "cm"
    assert str(m).splitlines() == [
        "examples  2",
        "loss      0.5000",
        "mse       2.0000 cm²",
        "rmse      1.4142 cm",
        "mae       1.0000 cm",
        "r2        0.0000",
    ]
    assert rt.measure(rt.Chain(rt.Arithmetic("+", 0), input=(), output=()), ([0.0], [1.0])).unit is None


def test_a_training_tells_errors_in_the_units_of_the_data():
    x = np.linspace(-1, 1, 64, dtype=np.float32)[:, None]
    y = 5000 + 1000 * x[:, 0]
    net = rt.Chain(rt.Linear(), input=1, output=rt.Scalar(normalize="data", unit="g"))
    run = rt.train(net, (x, y), epochs=2, validation=0.25, metrics=["mae"], optimizer=rt.SGD(0.001))
    last = run.history[-1]
    held = rt.measure(run.last, (x, y))
    assert 100 < held.mae < 5000
    assert last["mae"] > 100
    assert last["val_mae"] > 100
    assert held.loss < 10


# Classes in an order ------------------------------------------------------------------------------

SIZES = ["small", "medium", "large", "huge"]


def ordered(seed, count=30):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 3)).round(1).astype(np.float32), [
        SIZES[i] for i in rng.integers(0, 4, count)
    ]


@pytest.mark.parametrize("end", [rt.Sigmoid(), rt.Arithmetic("+", 0)])
@given(st.integers(0, 1000), st.integers(1, 30))
def test_of_an_order_the_decoded_classes_are_counted(end, seed, size):
    logits, labels = ordered(seed)
    net = rt.Chain(end, input=3, output=rt.Ordinal(SIZES))
    m = rt.measure(net, (logits, labels))
    answers = net(logits)
    assert m.predictions == answers
    assert m.truths == labels
    true, answered = ([SIZES.index(label) for label in side] for side in (labels, answers))
    assert math.isclose(m.accuracy, sk.accuracy_score(true, answered), **close)
    assert math.isclose(m.mae, sk.mean_absolute_error(true, answered), **close)
    assert math.isclose(m.f1, sk.f1_score(true, answered, average="macro"), **close)
    assert m.confusion.counts.tolist() == sk.confusion_matrix(true, answered, labels=range(4)).tolist()
    chances = np.array([[*each.values()] for each in net(logits, "probabilities")])
    own = np.maximum(chances[range(len(true)), true], np.finfo(np.float32).tiny)
    assert math.isclose(m.log_loss, -np.log(own).mean(), rel_tol=1e-4)
    names = ["accuracy", "mae", "f1", "log_loss", "brier", "top_2", "auc"]
    found = tallied(net, (logits, labels), names, size)
    assert found == pytest.approx({name: m[name] for name in names}, rel=1e-5, nan_ok=True)


def test_an_order_is_told_by_class():
    logits, labels = ordered(1)
    m = rt.measure(rt.Chain(rt.Sigmoid(), input=3, output=rt.Ordinal(SIZES)), (logits, labels))
    assert [*m.figures()][:3] == ["loss", "accuracy", "mae"]
    assert set(m.per_class) == set(SIZES)
    with pytest.raises(rt.UnknownNameError) as caught:
        _ = m.temperature
    assert str(caught.value) == "Ordered classes have no temperature.\n  fix   log_loss, calibration"


def test_an_order_has_no_temperature_and_leaves_other_outputs_theirs():
    logits, labels = ordered(2)
    alone = rt.Chain(rt.Sigmoid(), input=3, output=rt.Ordinal(SIZES))
    with pytest.raises(rt.StructureError, match="No output of the net is of classes or booleans"):
        rt.calibrated(alone, (logits, labels))
    net = rt.Graph(
        lambda x: {"size": rt.Sigmoid()(x), "kind": rt.Softmax()(x)},
        input=3, output={"size": rt.Ordinal(SIZES), "kind": rt.Classes([*"abc"])},
    )  # fmt: skip
    kinds = ["abc"[i] for i in np.random.default_rng(0).integers(0, 3, len(labels))]
    data = {next(iter(net.inputs)): logits, "size": labels, "kind": kinds}
    before, after = rt.measure(net, data), rt.measure(rt.calibrated(net, data), data)
    assert after["kind"].log_loss < before["kind"].log_loss
    assert after["size"].loss == before["size"].loss


def test_an_order_is_trained_with_the_accuracy_of_its_classes():
    rng = np.random.default_rng(0)
    x = rng.random((200, 1)).astype(np.float32)
    labels = [SIZES[int(4 * v)] for v in x[:, 0]]
    net = rt.Chain(rt.Linear(16), rt.Tanh(), rt.Linear(), rt.Sigmoid(), input=1, output=rt.Ordinal(SIZES))
    run = rt.train(net, (x, labels), epochs=30, batch_size=16, optimizer=rt.Adam(0.03), metrics=["mae"],
                   validation=0.25)  # fmt: skip
    last = run.history[-1]
    assert {"accuracy", "val_accuracy", "mae", "val_mae"} <= set(last)
    m = rt.measure(run.last, (x, labels))
    assert m.accuracy > 0.8
    assert m.mae <= 1.1 * (1 - m.accuracy)
