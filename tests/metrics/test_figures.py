"""Every figure of ``rt.measure`` against scikit-learn's: ties, missing classes, all wrong, one example."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn import metrics as sk

import retia as rt
from retia.metrics.editing import edit_distances

CLASSES = 4
close = dict(rel_tol=1e-6, abs_tol=1e-7)


@st.composite
def tables(draw, most=40):
    """Scores with ties, and labels among which some may be missing."""
    count = draw(st.integers(1, most))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    scores = rng.normal(size=(count, CLASSES)).round(draw(st.integers(0, 2))).astype(np.float32)
    labels = rng.integers(0, draw(st.integers(1, CLASSES)), count)
    kind = draw(st.sampled_from(["chance", "right", "wrong"]))
    if kind == "right":
        labels = scores.argmax(1)
    if kind == "wrong":
        labels = (scores.argmax(1) + 1) % CLASSES
    return scores, labels


@st.composite
def truths(draw, most=40):
    """Logits with ties, and what is true."""
    count = draw(st.integers(1, most))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    logits = (3 * rng.normal(size=count)).round(draw(st.integers(0, 2))).astype(np.float32)
    return logits, rng.random(count) < draw(st.sampled_from([0.0, 0.2, 0.5, 1.0]))


def of_classes(scores, labels, **how):
    net = rt.Chain(rt.Softmax(), input=CLASSES, output=rt.Classes(range(CLASSES)))
    return rt.measure(net, (scores, labels), **how)


def of_booleans(logits, true, **how):
    net = rt.Chain(rt.Sigmoid(), input=(), output=rt.Boolean())
    return rt.measure(net, (logits, true), **how)


def quiet(function, *args, **how):
    """What scikit-learn says, without its warnings about what is not defined."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **how)


@given(tables())
def test_decisions_of_classes_agree_with_scikit_learn(case):
    scores, labels = case
    m, answered = of_classes(scores, labels), scores.argmax(1)
    for how in ("macro", "micro", "weighted"):
        found = m.averaged(how)
        p, r, f, _ = quiet(sk.precision_recall_fscore_support, labels, answered, average=how, zero_division=0)
        assert math.isclose(found.precision, p, **close)
        assert math.isclose(found.recall, r, **close)
        assert math.isclose(found.f1, f, **close)
        assert found.examples == len(labels)
        assert m[f"f1_{how}"] == found.f1
    every = quiet(
        sk.precision_recall_fscore_support, labels, answered, labels=range(CLASSES), zero_division=0
    )
    assert [*m.per_class] == [*range(CLASSES)]
    for number, rates in m.per_class.items():
        told = [rates.precision, rates.recall, rates.f1, rates.examples]
        assert np.allclose(told, [column[number] for column in every])
    assert m.precision == m.averaged("macro").precision
    assert math.isclose(m.balanced_accuracy, quiet(sk.balanced_accuracy_score, labels, answered), **close)
    assert math.isclose(m.matthews, quiet(sk.matthews_corrcoef, labels, answered), **close)
    kappa = quiet(sk.cohen_kappa_score, labels, answered, labels=range(CLASSES))
    assert math.isclose(m.cohen_kappa, kappa, **close) or (math.isnan(m.cohen_kappa) and math.isnan(kappa))
    assert np.array_equal(m.confusion.counts, sk.confusion_matrix(labels, answered, labels=range(CLASSES)))


@given(tables())
def test_probabilities_of_classes_agree_with_scikit_learn(case):
    scores, labels = case
    m, chances = of_classes(scores, labels), softmax(scores.astype(float), 1)
    assert np.allclose(m.probabilities, chances, atol=1e-7)
    assert math.isclose(m.log_loss, quiet(sk.log_loss, labels, chances, labels=range(CLASSES)), **close)
    assert math.isclose(m.perplexity, math.exp(m.log_loss), **close)
    assert math.isclose(m.brier, ((chances - np.eye(CLASSES)[labels]) ** 2).sum(1).mean(), **close)
    areas, precisions = [], []
    for label in range(CLASSES):
        true = labels == label
        if not true.any():
            continue
        precisions.append(sk.average_precision_score(true, m.probabilities[:, label]))
        assert math.isclose(m.precision_recall(label).area, precisions[-1], **close)
        if not true.all():
            areas.append(quiet(sk.roc_auc_score, true, m.probabilities[:, label]))
            assert math.isclose(m.roc(label).area, areas[-1], **close)
    assert math.isclose(m.average_precision, np.mean(precisions), **close)
    assert math.isclose(m.auc, np.mean(areas), **close) if areas else math.isnan(m.auc)


@given(truths())
def test_figures_of_booleans_agree_with_scikit_learn(case):
    logits, true = case
    m, answered = of_booleans(logits, true), logits > 0
    chances = 1 / (1 + np.exp(-logits.astype(float)))
    p, r, f, _ = quiet(sk.precision_recall_fscore_support, true, answered, average="binary", zero_division=0)
    assert np.allclose([m.precision, m.recall, m.f1], [p, r, f])
    assert math.isclose(m.matthews, quiet(sk.matthews_corrcoef, true, answered), **close)
    assert math.isclose(m.log_loss, quiet(sk.log_loss, true, chances, labels=[False, True]), **close)
    assert math.isclose(m.brier, ((chances - true) ** 2).mean(), **close)
    assert np.allclose(m.probabilities, chances)
    if true.any():
        assert math.isclose(m.average_precision, sk.average_precision_score(true, logits), **close)
        precision, recall, _ = sk.precision_recall_curve(true, logits)
        curve = m.precision_recall()
        assert np.allclose(curve.x, recall[::-1])
        assert np.allclose(curve.y, precision[::-1])
        assert np.allclose(curve.thresholds[1:], np.unique(chances)[::-1])
    if true.any() and not true.all():
        curve = m.roc()
        x, y, _ = sk.roc_curve(true, logits, drop_intermediate=False)
        assert np.allclose(curve.x, x)
        assert np.allclose(curve.y, y)
        assert math.isclose(m.auc, quiet(sk.roc_auc_score, true, logits), **close)
        assert math.isclose(m.roc(False).area, m.auc, **close)
    else:
        assert math.isnan(m.auc)


@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 3), st.integers(1, 30))
def test_figures_of_numbers_agree_with_scikit_learn(seed, count, width, batch):
    rng = np.random.default_rng(seed)
    value, target = rng.normal(5, 2, (2, count, width)).round(1).astype(np.float32)
    m = rt.measure(rt.Chain(rt.Flatten(), input=width), (value, target), batch_size=batch)
    a, t = value.astype(float), target.astype(float)
    assert math.isclose(m.mse, sk.mean_squared_error(t, a), **close)
    assert math.isclose(m.rmse, math.sqrt(m.mse), **close)
    assert math.isclose(m.mae, sk.mean_absolute_error(t, a), **close)
    assert m.mean_deviation == m.mae
    assert math.isclose(m.median_absolute_error, np.median(abs(a - t)), **close)
    assert math.isclose(m.max_error, abs(a - t).max(), **close)
    if count > 1:
        assert math.isclose(m.r2, quiet(sk.r2_score, t, a), rel_tol=1e-6, abs_tol=1e-6)
        assert math.isclose(
            m.explained_variance, quiet(sk.explained_variance_score, t, a), rel_tol=1e-6, abs_tol=1e-6
        )
    assert np.array_equal(m.predictions, value)
    assert np.array_equal(m.truths, target)


@given(tables(), st.integers(1, 20))
def test_calibration_is_the_mean_gap_over_the_bins(case, bins):
    scores, labels = case
    found = of_classes(scores, labels).calibration(bins)
    chances = softmax(scores.astype(float), 1)
    sure, came = chances.max(1), scores.argmax(1) == labels
    error, seen = 0.0, 0
    for number in range(bins):
        inside = (sure > found.edges[number]) & (sure <= found.edges[number + 1])
        assert found.counts[number] == inside.sum()
        seen += inside.sum()
        if inside.any():
            error += abs(sure[inside].mean() - came[inside].mean()) * inside.mean()
    assert seen == len(labels)
    assert math.isclose(found.error, error, **close)
    assert found.largest >= found.error - 1e-12


def test_the_temperature_lowers_the_log_loss_most():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(300, CLASSES)).astype(np.float32) * 3
    labels = (scores / 3 + rng.gumbel(size=scores.shape)).argmax(1)

    def loss(heat):
        return -log_softmax(scores.astype(float) / heat, 1)[np.arange(300), labels].mean()

    best = minimize_scalar(loss, bounds=(0.05, 50), method="bounded", options={"xatol": 1e-9})
    m = of_classes(scores, labels)
    assert math.isclose(m.temperature, best.x, rel_tol=1e-5)
    assert loss(m.temperature) <= best.fun + 1e-12
    logits = scores[:, 0]
    true = rng.random(300) < 1 / (1 + np.exp(-logits / 2))

    def binary(heat):
        return np.logaddexp(0, np.where(true, -1, 1) * logits.astype(float) / heat).mean()

    best = minimize_scalar(binary, bounds=(0.05, 50), method="bounded", options={"xatol": 1e-9})
    assert math.isclose(of_booleans(logits, true).temperature, best.x, rel_tol=1e-5)


def test_a_temperature_without_end_stops_at_its_bounds():
    scores = np.eye(CLASSES, dtype=np.float32)
    assert of_classes(scores, np.arange(CLASSES)).temperature == 0.01
    assert of_classes(scores, (np.arange(CLASSES) + 1) % CLASSES).temperature == 100


def by_hand(first, second):
    """The edit distance by its definition."""
    if not first or not second:
        return len(first) + len(second)
    if first[0] == second[0]:
        return by_hand(first[1:], second[1:])
    return 1 + min(
        by_hand(first[1:], second), by_hand(first, second[1:]), by_hand(first[1:], second[1:])
    )  # fmt: skip


@given(st.integers(0, 1000), st.integers(0, 5), st.integers(0, 5))
def test_edit_distances_follow_their_definition(seed, first, second):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 3, (3, first)), rng.integers(0, 3, (3, second))
    expected = [by_hand(x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    assert edit_distances(a, b).tolist() == expected


def test_sequences_are_measured_token_by_token_and_whole():
    scores = np.zeros((3, 4, CLASSES), np.float32)
    answered = np.array([[0, 1, 2, 3], [1, 1, 1, 1], [3, 0, 1, 2]])
    true = np.array([[0, 1, 2, 3], [1, 1, 1, 0], [0, 1, 2, 3]])
    np.put_along_axis(scores, answered[..., None], 5, -1)
    m = rt.measure(rt.Chain(rt.Softmax(), input=(4, CLASSES)), (scores, true))
    assert m.token_accuracy == m.accuracy == 7 / 12
    assert m.sequence_accuracy == 1 / 3
    assert m.edit_distance == (0 + 1 + 2) / 3
    assert m.predictions == answered.tolist()
    assert m.confusion[3, 0].count == m.confusion[1, 1].count - 4 == 0
    assert m.confusion[0, 3].rows == (2,)
    assert len(m.wrong) == 2


def test_predictions_stand_in_the_order_of_the_data():
    scores = np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32)
    labels = [["cat", 7, "7"][i] for i in scores.argmax(1)]
    net = rt.Chain(rt.Softmax(), input=3, output=rt.Classes(["cat", 7, "7"]))
    data = rt.data((scores, labels)).shuffle(3)
    m = rt.measure(net, data, batch_size=7)
    assert m.predictions == m.truths == data.arrays()["output"]
    assert m.accuracy == 1
    assert len(m.wrong) == 0


def test_the_examples_behind_a_cell_are_given_in_order():
    scores = np.eye(3, dtype=np.float32)[[0, 1, 1, 2, 1]]
    data = rt.data((scores, ["4", "4", "9", "4", "4"]))
    m = rt.measure(rt.Chain(rt.Softmax(), input=3, output=rt.Classes(["4", "9", "1"])), data)
    cell = m.confusion["4", "9"]
    assert (cell.count, cell.rows) == (2, (1, 4))
    assert np.array_equal(cell.examples.arrays()["input"], scores[[1, 4]])
    assert repr(cell) == "<Cell: '4' taken for '9', 2 times>"
    assert [(each.true, each.answered, each.count) for each in m.confusion.worst(2)] == [
        ("4", "9", 2),
        ("4", "1", 1),
    ]
    assert len(m.confusion["1", "1"].examples) == 0
    with pytest.raises(rt.UnknownNameError) as caught:
        m.confusion[4, "9"]
    assert str(caught.value) == (
        "There is no label 4; the labels are '4', '9', '1'. The label '4' is of another type."
    )
    with pytest.raises(rt.UnknownNameError, match="a pair of labels, true and answered; got '4'"):
        m.confusion["4"]


ENDS = {
    "logits": rt.Flatten(),
    "softmax": rt.Softmax(),
    "log_softmax": rt.LogSoftmax(),
    "sigmoid": rt.Sigmoid(),
}


def test_of_very_many_labels_there_is_no_matrix():
    net = rt.Chain(rt.Flatten(), input=9000, output=rt.Classes(range(9000)))
    m = rt.measure(net, (np.eye(2, 9000, dtype=np.float32), [0, 2]))
    assert m.per_class[2].recall == 0
    with pytest.raises(
        rt.UnknownNameError, match="no confusion matrix of more than 8,192 labels; here are 9,000"
    ):
        _ = m.confusion


@pytest.mark.parametrize("loss", [None, "mse"])
@pytest.mark.parametrize("end", ENDS)
def test_probabilities_are_what_the_decoder_says_whatever_the_loss(end, loss):
    net = rt.Chain(ENDS[end], input=3, output=rt.Classes([0, 1, 2]))
    scores = np.random.default_rng(2).normal(size=(20, 3)).astype(np.float32)
    m = rt.measure(net, (scores, scores.argmax(1)), loss=loss)
    told = np.array([[*each.values()] for each in net(scores, "probabilities")])
    assert np.allclose(m.probabilities, told / told.sum(1, keepdims=True), atol=1e-6)
    assert m.accuracy == 1


def test_half_precision_and_certainty_stay_finite():
    scores = np.array([[200.0, 0, 0, 0], [0, 200, 0, 0]], np.float32)
    net = rt.Chain(rt.Softmax(), rt.Flatten(), input=CLASSES, output=rt.Classes(range(CLASSES)))
    m = rt.measure(net, (scores, [1, 1]))
    assert all(math.isfinite(value) for value in m.figures().values())
    assert math.isfinite(m.perplexity)


def test_figures_go_by_name_in_every_spelling():
    scores, labels = np.eye(CLASSES, dtype=np.float32), [0, 1, 2, 0]
    m = of_classes(scores, labels)
    assert m["acc"] == m["accuracy"] == m.accuracy
    assert m.top(300) == 1
    assert m["TopKCategoricalAccuracy"] == m["top_5"] == 1
    assert m["F1Score"] == m.f1
    assert m["loss"] == m.loss
    assert m.figures(["f1", "top2"]) == {"f1": m.f1, "top2": m.top(2)}
    with pytest.raises(
        rt.ArgumentError, match="metrics: there is none called 'acuracy'. Did you mean 'accuracy'"
    ):
        m["acuracy"]
    with pytest.raises(rt.UnknownNameError, match="mae is of numbers, but the output is classes"):
        m["mae"]


def test_only_the_metrics_asked_for_are_told():
    scores, labels = np.eye(CLASSES, dtype=np.float32), [0, 1, 2, 0]
    sure = rt.Metric(lambda y, t: y.amax(1), name="sure", better="higher")
    m = of_classes(scores, labels, metrics=["acc", "f1_weighted", sure])
    assert [*m.figures()] == ["loss", "accuracy", "f1_weighted", "sure"]
    assert math.isclose(m["sure"], m.probabilities.max(1).mean(), rel_tol=1e-6)
    assert str(m).splitlines()[-1].split()[0] == "sure"
    assert m.recall > 0
    with pytest.raises(rt.ArgumentError, match="metrics: there is none called 'f2'"):
        of_classes(scores, labels, metrics=["f2"])
    with pytest.raises(rt.ArgumentError, match="metrics: mae is of numbers or ordered classes, but"):
        of_classes(scores, labels, metrics="mae")


def test_scores_beyond_the_limit_are_kept_only_when_they_are_asked_for(monkeypatch):
    from retia.metrics import kept

    monkeypatch.setattr(kept, "KEPT", 10)
    scores, labels = np.eye(CLASSES, dtype=np.float32), [0, 1, 2, 0]
    m = of_classes(scores, labels)
    assert m.accuracy == 0.75
    assert m.log_loss > 0
    with pytest.raises(rt.UnknownNameError) as caught:
        _ = m.auc
    assert str(caught.value) == (
        "auc needs every score, and unasked only 10 are kept.\n"
        '  fix   rt.measure(net, data, metrics=["auc"]) keeps all of them, in 4 bytes each'
    )
    assert of_classes(scores, labels, metrics=["auc"]).auc > 0.5


def test_an_example_has_one_decision_and_no_edit_distance():
    with pytest.raises(
        rt.UnknownNameError, match="edit_distance is of sequences, but an example has one decision"
    ):
        _ = of_classes(np.eye(CLASSES, dtype=np.float32), [0, 1, 2, 0]).edit_distance


def test_a_set_without_examples_cannot_be_measured():
    data = rt.data((np.eye(CLASSES, dtype=np.float32), [0, 1, 2, 3])).take(0)
    with pytest.raises(rt.DataError, match="measure: there are no examples"):
        rt.measure(rt.Chain(rt.Softmax(), input=CLASSES, output=rt.Classes(range(CLASSES))), data)


def test_the_table_has_a_line_for_each_class():
    scores = np.eye(3, dtype=np.float32)[[0, 1, 1]] * 9
    net = rt.Chain(rt.Softmax(), input=3, output=rt.Classes(["cat", "dog", "x" * 40]))
    lines = str(rt.measure(net, (scores, ["cat", "dog", "cat"]))).splitlines()
    assert lines[0] == "examples           3"
    at = lines.index("class                     precision  recall      f1  examples")
    assert lines[at + 1 : at + 4] == [
        "cat                          1.0000  0.5000  0.6667         2",
        "dog                          0.5000  1.0000  0.6667         1",
        "xxxxxxxxxxxxxxxxxxxxxxx…     0.0000  0.0000  0.0000         0",
    ]
    assert lines[-1].startswith("weighted ")


def test_of_many_classes_the_worst_are_shown():
    scores = np.eye(50, dtype=np.float32)
    labels = np.arange(50)
    labels[7] = 8
    text = str(rt.measure(rt.Chain(rt.Softmax(), input=50, output=rt.Classes(range(50))), (scores, labels)))
    assert "... the 20 of 50 with the lowest f1; all are in m.per_class" in text
    assert text.split("examples\n")[1].split()[0] == "8"


def test_curves_and_calibration_are_drawn(tmp_path):
    m = of_booleans(np.array([-1.0, 0.5, 2.0, -3.0], np.float32), np.array([True, True, False, False]))
    for number, drawn in enumerate((m.roc(), m.precision_recall(), m.calibration())):
        path = tmp_path / f"{number}.png"
        figure = drawn.plot(path)
        assert path.read_bytes().startswith(b"\x89PNG")
        lines = len(figure.axes[0].lines)
        assert drawn.plot(ax=figure.axes[0]) is figure.axes[0]
        assert len(figure.axes[0].lines) == 2 * lines


# Calibrated nets ------------------------------------------------------------------------------------


def overconfident(seed=0):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(200, 3)).astype(np.float32)
    return 5 * scores, (scores + rng.gumbel(size=scores.shape)).argmax(1)


@pytest.mark.parametrize(
    "net",
    [
        rt.Chain(rt.Linear(3), rt.Softmax(), input=3, output=rt.Classes(range(3))),
        rt.Chain(body=rt.Chain(rt.Linear(3), rt.LogSoftmax()), input=3, output=rt.Classes(range(3))),
        rt.Chain(rt.Linear(3), input=3, output=rt.Classes(range(3))),
        rt.Chain(body=rt.Linear(3), temperature=rt.ReLU(), input=3, output=rt.Classes(range(3))),
        rt.Graph({"output": rt.Softmax()(rt.Linear(3)(rt.Input(3)))}, output=rt.Classes(range(3))),
    ],
    ids=["chain", "inner", "logits", "taken", "graph"],
)
def test_a_calibrated_net_has_the_temperature_and_the_same_decisions(net):
    examples = overconfident()
    net = net.init()
    path = next(path for path in net.arrays if path.endswith("weight"))
    net = net.with_arrays({path: np.eye(3, dtype=np.float32)})
    before = rt.measure(net, examples)
    new = rt.calibrated(net, examples)
    after = rt.measure(new, examples)
    assert set(new.arrays) == set(net.arrays)
    assert math.isclose(after.temperature, 1, rel_tol=1e-5)
    assert before.predictions == after.predictions
    assert after.log_loss < before.log_loss
    assert new.inputs.keys() == net.inputs.keys()
    assert eval(repr(new), vars(rt)).expression_hash == new.expression_hash


def test_a_lone_layer_and_a_boolean_are_calibrated():
    scores, labels = overconfident()
    lone = rt.calibrated(rt.Softmax(input=3, output=rt.Classes(range(3))), (scores, labels))
    assert math.isclose(rt.measure(lone, (scores, labels)).temperature, 1, rel_tol=1e-5)
    logits, true = scores[:, 0], labels == 0
    yes = rt.calibrated(rt.Chain(rt.Sigmoid(), input=(), output=rt.Boolean()), (logits, true))
    assert math.isclose(rt.measure(yes, (logits, true)).temperature, 1, rel_tol=1e-5)


def test_what_cannot_be_calibrated_is_refused():
    scores, labels = overconfident()
    with pytest.raises(rt.StructureError, match="its logits are the last thing in the net"):
        rt.calibrated(rt.Linear(3, input=3, output=rt.Classes(range(3))).init(), (scores, labels))
    x = rt.Input(3)
    p = rt.Softmax()(x)
    net = rt.Graph({"label": p, "twice": p * 2})
    with pytest.raises(rt.StructureError, match="is also read within the net"):
        rt.calibrated(net, {"input": scores, "label": labels, "twice": scores})


def test_numbers_have_nothing_to_calibrate():
    with pytest.raises(rt.StructureError) as caught:
        rt.calibrated(rt.Chain(rt.ReLU(), input=1), ([[1.0]], [[2.0]]))
    assert str(caught.value) == (
        "No output of the net is of classes or booleans (output), so none has a temperature.\n"
        "  fix   output=rt.Classes(...) or rt.Boolean()"
    )


# Several outputs, and such as have nothing to compare ------------------------------------------------


def test_metrics_of_several_outputs_are_told_by_port():
    net = rt.Graph(lambda x: {"twice": x + x, "same": rt.Softmax()(x)}, input=3)
    scores = np.eye(3, dtype=np.float32)
    data = {"input": scores, "x": scores, "twice": 2 * scores, "same": [0, 1, 0]}
    m = rt.measure(net, data, metrics=["mae", "same.f1", rt.Metric(lambda y, t: 1, name="one")])
    assert [*m.figures()] == ["loss", "twice.loss", "twice.mae", "same.loss", "same.f1", "one"]
    assert m["one"] == 1
    assert m["same"]["f1"] == m["same"].f1
    assert str(m).splitlines()[:5] == [
        "examples  3",
        f"loss      {m.loss:.4f}",
        "one       1.0000",
        "",
        "twice",
    ]


def test_a_loss_over_all_outputs_is_all_there_is_to_say():
    net = rt.Graph(lambda x: {"twice": x + x, "same": rt.Softmax()(x)}, input=3)
    scores = np.eye(3, dtype=np.float32)
    data = {"input": scores, "x": scores, "twice": scores, "same": scores}
    m = rt.measure(net, data, loss=lambda y, t: ((y["twice"] - t["twice"]) ** 2).flatten(1).sum(1))
    assert m.loss == 1
    assert m.figures() == {"loss": 1}
    with pytest.raises(
        rt.UnknownNameError, match="accuracy is of classes or boolean, but the output is nothing"
    ):
        _ = m.accuracy
    with pytest.raises(rt.ArgumentError, match="f1 is of .*, but the loss is one function of all outputs"):
        rt.measure(net, data, loss=lambda y, t: y["twice"].sum(), metrics=["f1"])


def test_an_output_that_is_its_own_loss_has_no_other_figure():
    x = rt.Input(2, name="x")
    m = rt.measure(rt.Graph({"loss": rt.Reduce("mean")(x * x)}), {"x": [[1.0, 1.0], [2.0, 2.0]]})
    assert m.figures() == {"loss": 2.5}


def test_classes_along_the_first_axis_are_measured_pixel_by_pixel():
    rng = np.random.default_rng(4)
    scores = rng.normal(size=(6, 3, 4, 5)).astype(np.float32)
    labels = rng.integers(0, 3, (6, 4, 5))
    m = rt.measure(rt.Chain(rt.Softmax(axis=0), input=(3, 4, 5)), (scores, labels))
    flat, true = np.moveaxis(scores, 1, -1).reshape(-1, 3), labels.ravel()
    assert np.array_equal(m.predictions, scores.argmax(1))
    assert math.isclose(m.f1, sk.f1_score(true, flat.argmax(1), average="macro"), **close)
    assert math.isclose(m.log_loss, sk.log_loss(true, softmax(flat.astype(float), 1)), **close)
    assert math.isclose(m.roc(2).area, sk.roc_auc_score(true == 2, softmax(flat, 1)[:, 2]), **close)
    assert math.isclose(m.sequence_accuracy, (scores.argmax(1) == labels).all((1, 2)).mean(), **close)
    with pytest.raises(rt.UnknownNameError, match="an example has 2 axes of decisions"):
        _ = m.edit_distance
