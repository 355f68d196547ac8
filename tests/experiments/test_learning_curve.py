"""Learning curves: nested sets, one validation part, and a verdict that follows from the numbers."""

from __future__ import annotations

import importlib.util
import math

import numpy as np
import pytest

import retia as rt
from retia.experiments import curve as curves
from retia.experiments.curved import LearningCurve, Point, standard_error

LABELS = ["a", "b", "c"]
HOW = {"epochs": 2, "progress": False, "optimizer": rt.Adam(0.05)}


def numbers(count=200):
    x = np.random.default_rng(1).normal(size=(count, 6)).astype(np.float32)
    return x, [LABELS[i] for i in x[:, :3].argmax(1)]


def net():
    return rt.Chain(rt.Linear(8), rt.ReLU(), rt.Linear(), rt.Softmax(), input=6, output=rt.Classes())


def point(size, validated, trained=None):
    """A point whose pieces and seeds have these figures, (pieces, seeds)."""
    pieces = np.asarray(validated, dtype=float)
    own = [1.0] * pieces.shape[1] if trained is None else trained
    return Point(size, 1, (), own, pieces.mean(0).tolist(), pieces)


# What is trained ----------------------------------------------------------------------------------


def test_sets_are_nested_and_keep_the_shares_of_labels(monkeypatch):
    parts, judged = [], []

    def watched(net, part, seeds, how):
        parts.append(part)
        judged.append(how["validation"])
        return found(net, part, seeds, how)

    found = curves._runs
    monkeypatch.setattr(curves, "_runs", watched)
    curve = rt.learning_curve(net(), numbers(), (0.1, 0.4, 1.0), **HOW)
    rows = [set(np.asarray(part.rows).tolist()) for part in parts]
    assert [len(part) for part in parts] == [16, 64, 160] == [each.size for each in curve.points]
    assert rows[0] < rows[1] < rows[2]
    held_out = set(np.asarray(judged[0].rows).tolist())
    assert len(held_out) == 40
    assert not held_out & rows[2]
    assert judged[0] is judged[1] is judged[2]
    every = parts[2].counts()
    for label, count in parts[1].counts().items():
        assert abs(count - 0.4 * every[label]) <= 1.5


def test_each_point_is_a_training_that_can_be_had_again():
    data = rt.data(numbers())
    held_out, learned = data.split(0.2, seed=0)
    curve = rt.learning_curve(net(), data, (50, 160), **HOW)
    last = curve.points[-1]
    bare = last.runs[0].net.map_layers(lambda path, layer: layer.with_held({}))
    alone = rt.train(bare, learned, validation=held_out, **HOW)
    assert last.runs[0].net == alone.net
    assert last.validation == rt.measure(alone.net, held_out).accuracy
    assert last.training == rt.measure(alone.net, learned).accuracy


def test_small_sets_get_as_many_steps():
    curve = rt.learning_curve(net(), numbers(), (20, 80, 160), batch_size=20, **HOW)
    assert [each.epochs for each in curve.points] == [16, 4, 2]
    assert [len(each.runs[0].history) for each in curve.points] == [16, 4, 2]


def test_every_seed_is_trained_and_the_figures_are_means():
    curve = rt.learning_curve(net(), numbers(), (20, 160), seeds=3, seed=7, **HOW)
    for each in curve.points:
        assert [run.seed for run in each.runs] == [7, 8, 9]
        assert each.validation == pytest.approx(np.mean(each.validated))
        assert each.pieces.shape == (8, 3)
    listed = rt.learning_curve(net(), numbers(), (20, 160), seeds=[5], **HOW)
    assert [run.seed for run in listed.points[0].runs] == [5]


def test_the_pieces_make_up_the_validation_part():
    curve = rt.learning_curve(net(), numbers(), (20, 160), by="loss", **HOW)
    assert curve.points[0].pieces.mean() == pytest.approx(curve.points[0].validation, rel=1e-6)


def test_a_small_set_knows_classes_that_it_does_not_have():
    curve = rt.learning_curve(net(), numbers(), (2, 160), **HOW)
    assert curve.points[0].runs[0].net.outputs["output"].codec == rt.Classes(LABELS)


def test_the_figure_is_accuracy_where_the_net_decides_else_the_loss():
    x, _ = numbers(60)
    lines = rt.learning_curve(rt.Linear(2, input=6), (x, x[:, :2]), (0.5, 1.0), **HOW)
    assert (lines.by, lines.better) == ("loss", "lower")
    decided = rt.learning_curve(net(), numbers(60), (0.5, 1.0), **HOW)
    assert (decided.by, decided.better) == ("accuracy", "higher")
    asked = rt.learning_curve(net(), numbers(60), (0.5, 1.0), by="f1_macro", **HOW)
    found = rt.measure(asked.points[0].runs[0].net, numbers(60), metrics=["f1_macro"]).figures()
    assert asked.by in found


# What is told -------------------------------------------------------------------------------------


def test_gain_and_uncertainty_follow_the_formulas():
    before = np.asarray([[0.70, 0.72], [0.60, 0.66], [0.65, 0.61]])
    after = before + np.asarray([[0.10, 0.12], [0.08, 0.10], [0.12, 0.08]])
    curve = LearningCurve((point(100, before), point(400, after)), "accuracy", "higher")
    apart = after - before
    assert curve.gain == pytest.approx(apart.mean() / 2)
    by_pieces = apart.mean(1).var(ddof=1) / 3
    by_seeds = apart.mean(0).var(ddof=1) / 2
    assert curve.uncertainty == pytest.approx(2 * math.sqrt(by_pieces + by_seeds) / 2)
    assert math.isnan(standard_error(np.asarray([[0.5]])))


VERDICTS = {
    "worth it": (
        [[0.75], [0.5]], [[0.875], [0.625]], None,
        "More data is worth it: from 100 to 200 examples accuracy improved by 0.12 ± 0 with each doubling. "
        "400 may give about 0.875.",
    ),
    "hardly": (
        [[0.70], [0.60]], [[0.70], [0.60]], [0.9],
        "More data is hardly worth it: from 100 to 200 examples accuracy improved by 0 ± 0 with each "
        "doubling.",
    ),
    "too small a net": (
        [[0.70], [0.60]], [[0.70], [0.60]], [0.66],
        "More data is hardly worth it: from 100 to 200 examples accuracy improved by 0 ± 0 with each "
        "doubling. The net does no better on what it has seen: a larger one, or more epochs, may help more.",
    ),
    "noise": (
        [[0.70], [0.60]], [[0.60], [0.80]], None,
        "It cannot be told whether more data is worth it: from 100 to 200 examples accuracy improved by 0.05 "
        "± 0.3 with each doubling. More seeds, or more examples for validation, would tell.",
    ),
    "unknown": (
        [[0.75]], [[0.70]], None,
        "It cannot be told whether more data is worth it: from 100 to 200 examples accuracy worsened by 0.05 "
        "with each doubling, but nobody knows how certain that is.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", VERDICTS)
def test_the_verdict_follows_from_the_last_stretch(name):
    before, after, trained, said = VERDICTS[name]
    curve = LearningCurve((point(100, before), point(200, after, trained)), "accuracy", "higher")
    assert curve.verdict == said


def test_a_loss_that_falls_is_a_gain():
    curve = LearningCurve((point(100, [[2.0], [1.9]]), point(200, [[1.0], [0.95]])), "loss", "lower")
    assert curve.gain == pytest.approx(0.975)
    assert curve.verdict.startswith("More data is worth it: from 100 to 200 examples loss improved by 0.97")
    assert curve.verdict.endswith("400 may give about 0.")


def test_one_size_tells_nothing():
    curve = LearningCurve((point(100, [[0.5]]),), "accuracy", "higher")
    assert curve.verdict == "Fewer than two sizes were trained, so nothing can be told."
    with pytest.raises(rt.TrainingError, match="so there is no last stretch"):
        _ = curve.gain
    with pytest.raises(rt.TrainingError, match="No size was trained, so there is no curve."):
        LearningCurve((), "accuracy", "higher").plot()


def test_more_data_is_worth_it_where_a_class_is_hard_to_learn():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 20)).astype(np.float32)
    y = ["yes" if each else "no" for each in (x[:, :10].sum(1) > x[:, 10:].sum(1))]
    wide = rt.Chain(rt.Linear(), rt.Softmax(), input=20, output=rt.Classes())
    how = {"epochs": 30, "progress": False, "optimizer": rt.Adam(0.01)}
    curve = rt.learning_curve(wide, (x, y), (12, 480), validation=0.2, **how)
    assert curve.verdict.startswith("More data is worth it: ")


def test_table_frame_and_picture(tmp_path):
    curve = rt.learning_curve(net(), numbers(), (20, 160), **HOW)
    lines = str(curve).splitlines()
    assert lines[0].split() == ["examples", "epochs", "seeds", "accuracy", "val_accuracy", "error"]
    assert lines[1].split()[0] == "20"
    assert lines[-1] == curve.verdict
    assert repr(curve).startswith("<LearningCurve of val_accuracy, 20: ")
    drawn = curve.plot(tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 1000
    (ax,) = drawn.axes
    assert ax.get_xscale() == "log"
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["20", "160"]
    assert ax.lines[0].get_ydata().tolist() == [each.training for each in curve.points]
    assert ax.lines[1].get_ydata().tolist() == [each.validation for each in curve.points]
    if importlib.util.find_spec("pandas") is None:
        with pytest.raises(rt.MissingExtraError, match="This needs pandas, which is not installed."):
            curve.to_pandas()
    else:
        assert curve.to_pandas()["examples"].tolist() == [20, 160]


# What is refused ----------------------------------------------------------------------------------

WRONG = {
    "one size": (
        {"sizes": (1.0,)},
        rt.ArgumentError,
        "learning_curve: sizes are two or more; got (1.0,).\n  fix   sizes=(0.1, 0.3, 1.0)",
    ),
    "share": (
        {"sizes": (0.5, 1.5)},
        rt.ArgumentError,
        "learning_curve: a size is a share from 0 to 1.0 or a number of examples; got 1.5.\n"
        "  fix   sizes=(0.1, 0.3, 1.0) or (100, 300, 1000)",
    ),
    "many": (
        {"sizes": (10, 1000)},
        rt.DataError,
        "learning_curve: 1,000 examples are asked for, but 160 are left to learn from.",
    ),
    "seeds": (
        {"seeds": 0},
        rt.ArgumentError,
        "learning_curve: seeds is a whole number of at least 1; got 0.",
    ),
    "figure": (
        {"by": "acuracy"},
        rt.ArgumentError,
        "metrics: there is none called 'acuracy'.",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_refused(name):
    how, kind, said = WRONG[name]
    with pytest.raises(kind) as caught:
        rt.learning_curve(net(), numbers(), **{**HOW, **how})
    assert str(caught.value).startswith(said)
