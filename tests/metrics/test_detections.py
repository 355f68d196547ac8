"""Average precision against a slow, plain count; the detector's loss; boxes that are measured at a port."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import retia as rt
from retia.metrics.detections import THRESHOLDS, Found, average_precisions

PETS = ["cat", "dog"]


def drawn_boxes(rng, count):
    first = rng.random((count, 2)) * 0.7
    return np.concatenate([first, first + 0.05 + 0.25 * rng.random((count, 2))], axis=1)


def drawn_pictures(seed, pictures):
    """True boxes, and found ones: some of the true, moved a little and named anew at times, and others."""
    rng = np.random.default_rng(seed)
    found, true = [], []
    for _ in range(pictures):
        count = int(rng.integers(0, 6))
        boxes = drawn_boxes(rng, count)
        labels = [PETS[i] for i in rng.integers(0, 2, count)]
        true.append(Found(boxes, labels, np.ones(count)))
        near = boxes + rng.uniform(-0.024, 0.024, boxes.shape)
        kept = rng.random(count) < 0.8
        extra = drawn_boxes(rng, int(rng.integers(0, 4)))
        named = [label if rng.random() < 0.9 else PETS[rng.integers(2)] for label in labels]
        every = np.concatenate([near[kept], extra])
        told = [label for label, stays in zip(named, kept, strict=True) if stays]
        told += [PETS[i] for i in rng.integers(0, 2, len(extra))]
        found.append(Found(every, told, rng.permutation(100)[: len(every)] / 100))
    return found, true


def area(box):
    return max(box[2] - box[0], 0) * max(box[3] - box[1], 0)


def overlap(one, other):
    both = area([max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])])
    return both / (area(one) + area(other) - both)


def slow(found, true, label, threshold):
    """The average precision by the definition, box by box."""
    boxes = [
        (-score, picture, number)
        for picture, each in enumerate(found)
        for number, (name, score) in enumerate(zip(each.labels, each.scores, strict=True))
        if name == label
    ]
    left = [
        [box for box, name in zip(each.corners, each.labels, strict=True) if name == label] for each in true
    ]
    count = sum(map(len, left))
    right, points = 0, []
    for place, (_, picture, number) in enumerate(sorted(boxes), 1):
        box = found[picture].corners[number]
        best = max(left[picture], key=lambda other: overlap(box, other), default=None)
        if best is not None and overlap(box, best) >= threshold:
            left[picture] = [other for other in left[picture] if other is not best]
            right += 1
        points.append((right / count, right / place))
    reached = [
        max((precision for recall, precision in points if recall >= least), default=0.0)
        for least in np.linspace(0, 1, 101)
    ]
    return sum(reached) / 101


@given(st.integers(0, 100_000), st.integers(1, 8))
def test_average_precision_is_what_a_slow_count_says(seed, pictures):
    found, true = drawn_pictures(seed, pictures)
    for label, each in average_precisions(found, true, PETS).items():
        assert each.boxes == sum(list(picture.labels).count(label) for picture in true)
        if not each.boxes:
            assert math.isnan(each.mean)
            assert math.isnan(each.at_50)
            continue
        wanted = [slow(found, true, label, threshold) for threshold in THRESHOLDS]
        assert math.isclose(each.at_50, wanted[0], abs_tol=1e-12)
        assert math.isclose(each.at_75, wanted[5], abs_tol=1e-12)
        assert math.isclose(each.mean, np.mean(wanted), abs_tol=1e-12)


def test_a_box_that_is_found_twice_is_right_once():
    box = np.array([[0.1, 0.1, 0.5, 0.5]])
    twice = Found(np.repeat(box, 2, axis=0), ["cat", "cat"], np.array([0.9, 0.8]))
    true = Found(np.concatenate([box, box + 0.4]), ["cat", "cat"], np.ones(2))
    # Half of the boxes are reached, at precision 1: recalls 0, 0.01, ..., 0.5 of the 101.
    assert average_precisions([twice], [true], PETS)["cat"].at_50 == pytest.approx(51 / 101)


def test_what_is_found_where_nothing_is_true_counts_against_the_label():
    box, nothing = np.array([[0.1, 0.1, 0.5, 0.5]]), Found(np.zeros((0, 4)), [], np.zeros(0))
    sure, right = Found(box, ["cat"], np.array([0.9])), Found(box, ["cat"], np.array([0.8]))
    true = Found(box, ["cat"], np.ones(1))
    each = average_precisions([sure, right], [nothing, true], PETS)
    assert each["cat"].at_50 == pytest.approx(0.5)
    assert each["dog"].boxes == 0


# At a port ----------------------------------------------------------------------------------------

SCENES = [
    {"boxes": [[0.05, 0.1, 0.3, 0.45], [0.55, 0.5, 0.95, 0.9]], "labels": ["cat", "dog"]},
    {"boxes": [[0.5, 0.1, 0.9, 0.6]], "labels": ["cat"]},
    {"boxes": np.zeros((0, 4)), "labels": []},
]


def answers_of(codec, things):
    """A net that gives what is put in, and what to put in for things: probabilities."""
    net = rt.Chain(rt.Flatten(), rt.Reshape(codec.shape), input=tuple(codec.shape), output=codec)
    targets = codec.pack(things).clamp(1e-6, 1 - 1e-6)
    return net, torch.logit(targets).numpy()


def test_a_perfect_answer_has_a_precision_of_1():
    codec = rt.Boxes(PETS, grid=(10, 10))
    net, outputs = answers_of(codec, SCENES)
    m = rt.measure(net, {"input": outputs, "output": SCENES})
    assert m.map_50 == m.map_75 == m.mean_average_precision == m["mAP@0.5"] == m["mAP"] == 1
    assert m.per_class["dog"].boxes == 1
    assert [each["labels"] for each in m.predictions] == [["cat", "dog"], ["cat"], []]
    assert np.allclose(m.truths[0]["boxes"], SCENES[0]["boxes"])
    assert [*m.figures()] == ["loss", "map_50", "map_75", "mean_average_precision"]
    assert "map_50" in str(m)


def test_two_boxes_in_one_cell_are_both_true():
    codec = rt.Boxes(PETS, grid=(4, 4))
    scene = {"boxes": [[0.3, 0.3, 0.45, 0.45], [0.26, 0.26, 0.49, 0.49]], "labels": ["cat", "cat"]}
    net, outputs = answers_of(codec, [scene])
    m = rt.measure(net, {"input": outputs, "output": [scene]})
    assert len(m.truths[0]["boxes"]) == 2  # a grid has room for one
    assert m.map_50 == pytest.approx(51 / 101)


@pytest.mark.parametrize("corners", ["corners", "corner", "center"])
def test_what_counts_is_what_the_net_sees_in_every_form(corners):
    codec = rt.Boxes(PETS, grid=(16, 16), size=(64, 64), fit="crop", units="pixels", corners=corners)
    scene = {"boxes": [[30, 20, 40, 36], [44, 24, 50, 30]], "labels": ["cat", "dog"], "size": (64, 96)}
    net, outputs = answers_of(codec, [scene])
    m = rt.measure(net, {"input": outputs, "output": [scene]})
    assert m.map_75 == 1
    found, true = m.predictions[0], m.truths[0]
    order = [found["labels"].index(label) for label in true["labels"]]
    assert np.allclose(found["boxes"][order], true["boxes"], atol=0.1)


def test_figures_that_boxes_do_not_have_are_refused():
    codec = rt.Boxes(PETS, grid=(4, 4))
    net, outputs = answers_of(codec, SCENES)
    m = rt.measure(net, {"input": outputs, "output": SCENES})
    with pytest.raises(rt.UnknownNameError) as caught:
        _ = m.mse
    assert str(caught.value) == (
        "mse is of numbers, but the output is boxes.\n  fix   mean_average_precision, map_50, map_75"
    )
    with pytest.raises(rt.ArgumentError, match="metrics: map_50 is of boxes, but output is numbers"):
        rt.measure(rt.Linear(2, input=2).init(seed=0), ([[1.0, 2.0]], [[1.0, 2.0]]), metrics=["map_50"])


# The loss -----------------------------------------------------------------------------------------


def loss_by_loops(output, target, size):
    total = 0.0
    labels, rows, columns = target.shape[0] - 4, *target.shape[1:]
    middles = [(y, x) for y in range(rows) for x in range(columns) if (target[:labels, y, x] == 1).any()]
    for c, y, x in np.ndindex(labels, rows, columns):
        p, t = output[c, y, x], target[c, y, x]
        total -= (1 - p) ** 2 * np.log(p) if t == 1 else (1 - t) ** 4 * p**2 * np.log(1 - p)
    for y, x in middles:
        gap = np.abs(output[-4:, y, x] - target[-4:, y, x])
        total += gap[0] + gap[1] + size * (gap[2] * columns + gap[3] * rows)
    return total / max(len(middles), 1)


@pytest.mark.parametrize("size", [0.1, 1.0])
def test_the_loss_of_a_detector_is_its_formula(size):
    targets = rt.Boxes(PETS, grid=(5, 7)).pack(SCENES)
    logits = torch.randn(3, 6, 5, 7, generator=torch.Generator().manual_seed(0))
    loss, outputs = rt.Detection(size=size), logits.sigmoid()
    wanted = [
        loss_by_loops(o, t, size) for o, t in zip(outputs.double().numpy(), targets.numpy(), strict=True)
    ]
    assert np.allclose(loss.formula(outputs, targets), wanted, rtol=1e-5)
    assert np.allclose(loss.of_logits(logits, targets), wanted, rtol=1e-5)
    assert float(loss.formula(targets, targets)[2]) < 1e-6  # nothing is there, and nothing is said


@pytest.mark.parametrize("size", [1e3, 1e30])
def test_the_loss_of_a_detector_is_finite_whatever_the_logits(size):
    targets = rt.Boxes(PETS, grid=(5, 7)).pack(SCENES)
    logits = (size * torch.randn(3, 6, 5, 7, generator=torch.Generator().manual_seed(0))).requires_grad_()
    found = rt.Detection().of_logits(logits, targets)
    assert bool(found.isfinite().all())
    assert bool(torch.autograd.grad(found.sum(), logits)[0].isfinite().all())


@pytest.mark.parametrize("ends", [[rt.Sigmoid()], []])
def test_a_detector_is_trained_by_the_loss_of_its_output(ends):
    random = np.random.default_rng(0)
    pictures, things = np.zeros((160, 32, 32), np.uint8), []
    for picture in pictures:
        x, y = random.integers(0, 24, 2)
        picture[y : y + 8, x : x + 8] = 255
        things.append({"boxes": np.array([[x, y, x + 8, y + 8]]) / 32, "labels": ["square"]})
    net = rt.Chain(
        rt.Conv2d(8, 3, stride=2, padding=1), rt.ReLU(), rt.Conv2d(16, 3, stride=2, padding=1), rt.ReLU(),
        rt.Conv2d(16, 3, padding=1), rt.ReLU(), rt.Conv2d(5, 1), *ends,
        input=rt.Image(32, 32, color="gray"), output=rt.Boxes(["square"]),
    )  # fmt: skip
    data = rt.data({"input": list(pictures), "output": things})
    run = rt.train(net, data[:128], validation=data[128:], epochs=12, batch_size=16, optimizer=rt.Adam(0.01))
    assert run.net.outputs["output"].codec.grid == (8, 8)
    first, last = run.history[0], run.history[-1]
    assert {"loss", "val_loss", "val_map_50"} <= set(last)
    assert last["val_loss"] < first["val_loss"] / 2
    m = rt.measure(run.last, data[128:])
    assert m.loss == pytest.approx(last["val_loss"], rel=1e-4)
    assert m.map_50 == pytest.approx(last["val_map_50"], abs=1e-6)
    assert m.map_50 > 0.8


def test_a_list_of_boxes_is_measured_too():
    codec = rt.Boxes(PETS, most=3, form="list")
    net = rt.Chain(rt.Flatten(), rt.Reshape((3, 6)), input=(3, 6), output=codec)
    m = rt.measure(net, {"input": codec.pack(SCENES).numpy(), "output": SCENES})
    assert m.loss == 0
    assert m.map_75 == 1


def test_the_default_loss_of_a_grid_is_that_of_a_detector():
    assert rt.Boxes(PETS, grid=(2, 2)).loss() == "detection"
    assert rt.Boxes(PETS, form="list").loss() == "mse"
