"""Masks pixel by pixel: IoU against scikit-learn's, and a class that counts nothing anywhere."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk
from torch.nn import functional as F

import retia as rt
from retia.metrics.objective import objective
from retia.metrics.tally import Tally, read_metrics

PARK = ["path", "grass", "unknown"]
close = dict(rel_tol=1e-6, abs_tol=1e-7)


def pixels(seed, count=7, classes=3, size=(4, 5)):
    """Scores, class numbers that they answer at times, and logits as a net of a mask has them."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(count, classes, *size)).round(1).astype(np.float32)
    truths = np.where(
        rng.random((count, *size)) < 0.4, scores.argmax(1), rng.integers(0, classes, (count, *size))
    )
    return scores, truths


def net_of(output, classes=3, size=(4, 5)):
    return rt.Chain(rt.Softmax(axis=0), input=(classes, *size), output=output)


@given(st.integers(0, 1000), st.integers(1, 6))
def test_iou_is_the_jaccard_index(seed, classes):
    scores, truths = pixels(seed, classes=max(classes, 2))
    truths = np.minimum(truths, classes - 1)  # some classes are never meant
    m = rt.measure(net_of(None, max(classes, 2)), (scores, truths))
    true, answered = truths.ravel(), scores.argmax(1).ravel()
    assert math.isclose(m.mean_iou, sk.jaccard_score(true, answered, average="macro"), **close)
    assert m["iou"] == m["mean-iou"] == m["mIoU"] == m.averaged("macro").iou == m.mean_iou
    for how in ("micro", "weighted"):
        assert math.isclose(m.averaged(how).iou, sk.jaccard_score(true, answered, average=how), **close)
    each = sk.jaccard_score(true, answered, average=None, labels=range(max(classes, 2)), zero_division=0)
    assert np.allclose([rates.iou for rates in m.per_class.values()], each)


def test_masks_tell_their_iou_unasked():
    scores, truths = pixels(0)
    net = net_of(rt.Mask(PARK))
    m = rt.measure(net, (scores, truths))
    assert [*m.figures()][:3] == ["loss", "accuracy", "mean_iou"]
    header, first = str(m).splitlines()[-6:-4]
    assert header.split() == ["class", "precision", "recall", "f1", "iou", "examples"]
    assert float(first.split()[-2]) == pytest.approx(m.per_class["path"].iou, abs=1e-4)
    lower = objective(net)
    assert [gauge.name for gauge in read_metrics(net, lower, ["iou"])] == ["accuracy", "mean_iou"]


# A class that is ignored --------------------------------------------------------------------------

WAYS = {
    "of the loss": (rt.Mask(PARK), rt.CrossEntropy(ignore="unknown")),
    "of the codec": (rt.Mask(PARK, ignore="unknown"), None),
    "by name": (rt.Mask(PARK, ignore="unknown"), "cross-entropy"),
    "focal": (rt.Mask(PARK, ignore="unknown"), rt.Focal(0)),
    "by number": (None, rt.CrossEntropy(ignore=2)),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_is_ignored_counts_nothing(way):
    codec, loss = WAYS[way]
    scores, truths = pixels(3)
    m = rt.measure(net_of(codec), (scores, truths), loss=loss)
    known = truths != 2
    wanted = F.cross_entropy(torch.from_numpy(scores), torch.from_numpy(truths), ignore_index=2)
    assert math.isclose(m.loss, float(wanted), rel_tol=1e-5)
    true, answered = truths[known], scores.argmax(1)[known]
    chances = np.moveaxis(torch.from_numpy(scores).double().softmax(1).numpy(), 1, -1)[known]
    assert math.isclose(m.accuracy, (true == answered).mean(), **close)
    how = dict(labels=[0, 1], average="macro")
    assert math.isclose(m.mean_iou, sk.jaccard_score(true, answered, **how), **close)
    assert math.isclose(m.f1, sk.f1_score(true, answered, **how), **close)
    assert len(m.per_class) == 2
    assert math.isclose(m.log_loss, sk.log_loss(true, chances, labels=[0, 1, 2]), **close)
    best = np.argsort(-chances, axis=1, kind="stable")[:, :2]
    assert math.isclose(m.top(2), (best == true[:, None]).any(1).mean(), **close)
    whole = ((scores.argmax(1) == truths) | ~known).all((1, 2))
    assert math.isclose(m.sequence_accuracy, whole.mean(), **close)
    assert m.confusion.counts.tolist() == sk.confusion_matrix(true, answered, labels=[0, 1, 2]).tolist()
    label = 1 if codec is None else "grass"
    assert math.isclose(m.roc(label).area, sk.roc_auc_score(true == 1, chances[:, 1]), **close)
    assert len(m.wrong) == (~whole).sum()


@pytest.mark.parametrize("beyond", [255, -100])
def test_a_number_beyond_the_classes_may_be_ignored(beyond):
    scores, truths = pixels(5)
    with_hole = np.where(truths == 1, beyond, truths).astype(np.int64)
    m = rt.measure(net_of(None), (scores, with_hole), loss=rt.CrossEntropy(ignore=beyond))
    wanted = F.cross_entropy(torch.from_numpy(scores), torch.from_numpy(with_hole), ignore_index=beyond)
    assert math.isclose(m.loss, float(wanted), rel_tol=1e-5)
    assert math.isclose(m.accuracy, (scores.argmax(1) == truths)[truths != 1].mean(), **close)
    with pytest.raises(rt.DataError, match=f"row 0 has the class number {beyond}, but there are 3 classes"):
        rt.measure(net_of(None), (scores, with_hole))


@given(st.integers(1, 7), st.integers(0, 50))
def test_metrics_of_batches_ignore_it_too(size, seed):
    scores, truths = pixels(seed)
    net = net_of(rt.Mask(PARK, ignore="unknown"))
    names = [
        "acc",
        "iou",
        "f1",
        "log_loss",
        "brier",
        "top_2",
        "sequence_accuracy",
        "calibration_error",
        "auc",
    ]
    m = rt.measure(net, (scores, truths), metrics=names)
    small = rt.measure(net, (scores, truths), metrics=names, batch_size=size)
    assert small.figures() == pytest.approx(m.figures(), rel=1e-6, nan_ok=True)
    from retia.engine.walk import Run, walk_values
    from retia.metrics.examples import Examples

    lower = objective(net)
    tally = Tally(lower, read_metrics(net, lower, names), whole=True)
    for batch in Examples(net, rt.data((scores, truths)), lower, torch.device("cpu")).in_order(size):
        tally.add(walk_values(net, batch.inputs, net.arrays, Run(), lower.wanted), batch)
    found = tally.figures()
    assert found == pytest.approx({name: m[name] for name in found}, rel=1e-6, abs=1e-9, nan_ok=True)


def test_training_heeds_only_what_counts():
    scores, truths = pixels(7, count=24)
    # Whatever stands where nothing counts, the training is the same.
    inputs = np.where(truths[:, None] == 2, 0, scores).astype(np.float32)
    kinds = [rt.Mask(PARK, ignore="unknown"), None]
    losses = [None, rt.CrossEntropy(ignore=77)]
    histories = []
    for kind, loss, target in zip(kinds, losses, [truths, np.where(truths == 2, 77, truths)], strict=True):
        net = rt.Chain(
            rt.Conv2d(3, 1, input=(3, 4, 5)), rt.Softmax(axis=0), **({} if kind is None else {"output": kind})
        )
        run = rt.train(
            net, (inputs, target), loss=loss, epochs=3, batch_size=8, validation=0.25, progress=False,
            optimizer=rt.Adam(0.1),
        )  # fmt: skip
        histories.append([(e["loss"], e["val_loss"], e["accuracy"], e["val_accuracy"]) for e in run.history])
    assert np.allclose(histories[0], histories[1], rtol=1e-5)


def test_a_batch_in_which_nothing_counts_moves_nothing():
    loss = rt.CrossEntropy(ignore="unknown")
    net = rt.Chain(rt.Linear(3, input=2), rt.Softmax(), output=rt.Classes(PARK)).init(seed=0)
    run = rt.train(
        net, ([[1.0, 2.0]] * 4, ["unknown"] * 4), loss=loss, epochs=1, optimizer=rt.SGD(1.0), validation=0,
        progress=False,
    )  # fmt: skip
    assert torch.equal(run.last.arrays["0.weight"], net.arrays["0.weight"])
    assert run.history[0]["loss"] == 0


def test_where_nothing_counts_nothing_is_measured():
    scores, truths = pixels(0)
    with pytest.raises(rt.DataError) as caught:
        rt.measure(net_of(rt.Mask(PARK, ignore="unknown")), (scores, np.full_like(truths, 2)))
    assert str(caught.value) == (
        "output: nothing can be measured, for all targets are of the class that is ignored."
    )


def test_a_label_that_there_is_not_cannot_be_ignored():
    with pytest.raises(rt.ArgumentError) as caught:
        objective(net_of(rt.Mask(PARK)), rt.CrossEntropy(ignore="unknwon"))
    assert str(caught.value) == (
        "CrossEntropy(ignore='unknwon'): ignore names 'unknwon', which is none of the 3 labels. "
        "Did you mean 'unknown'?"
    )
    with pytest.raises(rt.ArgumentError, match=r"CrossEntropy: ignore is a label, or a class .*; got 1\.5"):
        rt.CrossEntropy(ignore=1.5)
    with pytest.raises(rt.ArgumentError, match="Mask: 'sky' is not one of the 3 labels"):
        rt.Mask(PARK, ignore="sky")
