"""Figures class by class: the table and the picture say what scikit-learn says."""

import numpy as np
import sklearn.metrics as sk

import retia as rt


def measured(classes, n=200, seed=0):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n, classes)).astype(np.float32)
    labels = np.where(rng.random(n) < 0.6, scores.argmax(1), rng.integers(0, classes, n))
    net = rt.Chain(rt.Softmax(), input=classes, output=rt.Classes(range(classes)))
    return rt.measure(net, (scores, labels)), labels, scores.argmax(1)


def test_the_picture_has_the_figures_of_every_class():
    m, true, answered = measured(4)
    place = m.per_class.plot().axes[0]
    named = {line.get_label(): line for line in place.lines}
    expected = sk.precision_recall_fscore_support(true, answered)
    for name, values in zip(("precision", "recall", "f1"), expected, strict=False):
        assert np.allclose(named[name].get_xdata(), values)
        assert [*named[name].get_ydata()] == [0, 1, 2, 3]
    told = [f"{label}  ({count})" for label, count in enumerate(expected[3])]
    assert [text.get_text() for text in place.get_yticklabels()] == told
    assert m.per_class.plot(ax=place) is place


def test_the_table_is_that_of_the_measurement():
    m, _, _ = measured(4)
    assert str(m).endswith(f"\n\n{m.per_class}")
    assert isinstance(m.per_class, dict)
    assert [*m.per_class] == [0, 1, 2, 3]


def test_of_many_classes_those_that_do_worst_are_drawn():
    m, true, answered = measured(30, 900)
    place = m.per_class.plot().axes[0]
    worst = np.argsort(sk.f1_score(true, answered, average=None), kind="stable")[:20]
    assert [text.get_text().split()[0] for text in place.get_yticklabels()] == [str(k) for k in worst]
    assert place.get_title() == "20 of 30 with the lowest f1"
