"""Measurements against independent formulas in NumPy and SciPy."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

import retia as rt


def same(n, codec=None):
    """A net that answers what it is given."""
    return rt.Chain(rt.Flatten(), input=n, output=codec) if codec else rt.Chain(rt.Flatten(), input=n)


def scored(n=60, classes=4, seed=0):
    draw = np.random.default_rng(seed)
    scores = draw.normal(size=(n, classes)).round(1).astype(np.float32)  # rounded, so that some are equal
    return scores, draw.integers(0, classes, n)


@given(st.integers(0, 50))
def test_figures_of_classes_are_counted(seed):
    scores, labels = scored(seed=seed)
    m = rt.measure(same(4, rt.Classes([*"abcd"])), (scores, ["abcd"[i] for i in labels]))
    answered = scores.argmax(1)
    assert m.accuracy == (answered == labels).mean()
    assert math.isclose(m.error_rate, 1 - m.accuracy)
    counts = np.zeros((4, 4), int)
    np.add.at(counts, (labels, answered), 1)
    assert np.array_equal(m.confusion.counts, counts)
    assert m.confusion.labels == ("a", "b", "c", "d")
    order = np.argsort(-scores, axis=1, kind="stable")
    for k in (1, 2, 4):
        assert math.isclose(m.top(k), (order[:, :k] == labels[:, None]).any(1).mean())
    logs = scores - np.log(np.exp(scores.astype(float)).sum(1, keepdims=True))
    assert math.isclose(m.loss, -logs[np.arange(60), labels].mean(), rel_tol=1e-5)


def truths(seed=0, n=80):
    draw = np.random.default_rng(seed)
    true = draw.random(n) < 0.4
    return (draw.normal(size=n) + true).round(1).astype(np.float32), true


@given(st.integers(0, 50))
def test_figures_of_booleans_follow_their_formulas(seed):
    scores, true = truths(seed)
    m = rt.measure(rt.Chain(rt.Sigmoid(), input=(), output=rt.Boolean()), (scores, true))
    answered = scores > 0
    both = (true & answered).sum()
    assert m.accuracy == (true == answered).mean()
    assert math.isclose(m.precision, both / answered.sum())
    assert math.isclose(m.recall, both / true.sum())
    assert math.isclose(m.f1, 2 / (1 / m.precision + 1 / m.recall))
    ranks = rankdata(scores)
    yes, no = true.sum(), (~true).sum()
    assert math.isclose(m.auc, (ranks[true].sum() - yes * (yes + 1) / 2) / (yes * no))
    assert m.confusion.labels == (False, True)
    assert m.confusion.counts[1, 1] == both
    chance = 1 / (1 + np.exp(-scores.astype(float)))
    assert math.isclose(m.loss, -np.log(np.where(true, chance, 1 - chance)).mean(), rel_tol=1e-5)


def test_the_threshold_of_a_boolean_decides():
    scores, true = truths()
    m = rt.measure(rt.Chain(rt.Sigmoid(), input=(), output=rt.Boolean(0.8)), (scores, true))
    assert m.accuracy == (true == (1 / (1 + np.exp(-scores)) > 0.8)).mean()


def test_figures_of_one_kind_of_truth_are_defined():
    scores, _ = truths()
    m = rt.measure(rt.Chain(rt.Sigmoid(), input=(), output=rt.Boolean()), (scores, scores < -100))
    assert m.recall == m.f1 == 0
    assert math.isnan(m.auc)


@given(st.integers(0, 50), st.integers(1, 40))
def test_figures_of_numbers_follow_their_formulas(seed, batch):
    draw = np.random.default_rng(seed)
    answered, true = draw.normal(1e3, 1, (2, 40, 3)).astype(np.float32)
    m = rt.measure(same(3), (answered, true), batch_size=batch)
    a, t = answered.astype(float), true.astype(float)
    assert math.isclose(m.mse, ((a - t) ** 2).mean(), rel_tol=1e-9)
    assert math.isclose(m.mae, abs(a - t).mean(), rel_tol=1e-9)
    r2 = 1 - ((a - t) ** 2).sum(0) / ((t - t.mean(0)) ** 2).sum(0)
    assert math.isclose(m.r2, r2.mean(), rel_tol=1e-6)
    assert math.isclose(m.loss, m.mse, rel_tol=1e-5)


def test_r2_of_targets_without_spread_is_1_or_0():
    ones = np.ones((4, 1), np.float32)
    assert rt.measure(same(1), (ones, ones)).r2 == 1
    assert rt.measure(same(1), (ones, 2 * ones)).r2 == 0


def test_the_size_of_batches_changes_nothing():
    scores, labels = scored()
    net = same(4, rt.Classes(range(4)))
    whole, parts = (rt.measure(net, (scores, labels), batch_size=size) for size in (60, 7))
    assert whole.accuracy == parts.accuracy
    assert np.array_equal(whole.confusion.counts, parts.confusion.counts)
    assert math.isclose(whole.loss, parts.loss, rel_tol=1e-6)


def test_nothing_in_a_measured_net_is_random_or_changed():
    net = rt.Chain(rt.Dropout(0.5), rt.BatchNorm(), rt.Linear(4), input=4, output=rt.Classes(range(4))).init()
    before = net.hash
    first, second = (rt.measure(net, scored()).loss for _ in range(2))
    assert first == second
    assert net.hash == before


def test_several_outputs_have_their_own_figures():
    net = rt.Graph(lambda x: {"twice": x + x, "same": rt.Softmax()(x)}, input=4)
    scores, labels = scored()
    m = rt.measure(net, {"x": scores, "input": scores, "twice": 2 * scores, "same": labels})
    assert m["twice"].mse == 0
    assert m["same"].accuracy == (scores.argmax(1) == labels).mean()
    assert math.isclose(m.loss, m["twice"].loss + m["same"].loss)
    assert [*m.figures()][:2] == ["loss", "twice.loss"]
    with pytest.raises(rt.UnknownNameError, match="accuracy is of one output"):
        _ = m.accuracy
    with pytest.raises(rt.UnknownNameError, match="no output 'sme'.*Did you mean 'same'"):
        _ = m["sme"]


def test_figures_that_do_not_suit_are_errors():
    m = rt.measure(same(3), (np.zeros((2, 3)), np.zeros((2, 3))))
    for name in ("accuracy", "confusion", "auc"):
        with pytest.raises(rt.UnknownNameError, match=f"{name} is of .*, but the output is numbers"):
            getattr(m, name)
    classes = rt.measure(same(4, rt.Classes(range(4))), scored())
    with pytest.raises(rt.UnknownNameError, match="r2 is of numbers, but the output is classes"):
        _ = classes.r2
    with pytest.raises(rt.ArgumentError, match="top is of a whole number of at least 1; got 0"):
        classes.top(0)


def test_a_measurement_is_read_as_a_table():
    lines = str(rt.measure(same(1), ([[1.0], [2.0]], [[1.0], [4.0]]))).splitlines()
    assert lines == [
        "examples  2",
        "loss      2.0000",
        "mse       2.0000",
        "rmse      1.4142",
        "mae       1.0000",
        "r2        0.1111",
    ]


def test_the_confusion_is_drawn(tmp_path):
    confusion = rt.measure(same(4, rt.Classes(range(4))), scored()).confusion
    figure = confusion.plot(tmp_path / "confusion.png")
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")
    written = {text.get_text() for text in figure.axes[0].texts}
    assert written == {str(count) for count in confusion.counts.ravel() if count}
    assert confusion.plot(ax=figure.axes[0]) is figure.axes[0]
    with pytest.raises(ValueError, match="read-only"):
        confusion.counts[0, 0] = 1


def test_what_cannot_be_measured_is_refused():
    net = same(4, rt.Classes(range(4)))
    scores, labels = scored()
    with pytest.raises(rt.ArgumentError, match="the first argument is a net"):
        rt.measure((scores, labels), net)
    with pytest.raises(rt.ArgumentError, match="batch_size is a whole number of at least 1"):
        rt.measure(net, (scores, labels), batch_size=0)
    with pytest.raises(rt.ArraysError, match="no arrays yet"):
        rt.measure(rt.Linear(1, input=4), (scores, labels))
    with pytest.raises(rt.DataError, match=r"the set has parts \(train, test\)"):
        rt.measure(net, {"train": (scores, labels), "test": (scores, labels)})
    with pytest.raises(rt.DataError, match="input: row 3 holds inf"):
        rt.measure(net, (np.where(np.arange(60)[:, None] == 3, np.inf, scores), labels))
    with pytest.raises(rt.DataError, match="port 'output' has no column"):
        rt.measure(net, {"input": scores})
