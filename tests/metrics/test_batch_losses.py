"""Contrastive and triplet: against loops over all pairs and triplets in NumPy, and PyTorch on given ones."""

import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import retia as rt

LABELS = [
    [0, 0, 1, 1, 2, 0, 2, 1],
    [0, 0, 0, 0, 0, 0, 0, 0],
    [0, 1, 2, 3, 4, 5, 6, 7],
    [5, 5, 5, -1, 9, 9, 9, 9],
]


def places(dtype=torch.float64):
    return torch.randn(8, 3, generator=torch.Generator().manual_seed(3), dtype=dtype)


def distance(a, b):
    return float(np.sqrt(((a - b) ** 2).sum()))


def contrastive(x, labels, margin):
    costs = [
        distance(x[i], x[j]) ** 2 if labels[i] == labels[j] else max(0, margin - distance(x[i], x[j])) ** 2
        for i, j in itertools.combinations(range(len(x)), 2)
    ]
    return sum(costs) / len(costs)


def triplets(x, labels, margin, mining):
    costs = []
    every = range(len(x))
    for a in every:
        own = [distance(x[a], x[p]) for p in every if labels[p] == labels[a] and p != a]
        others = [distance(x[a], x[n]) for n in every if labels[n] != labels[a]]
        if not own or not others:
            continue
        if mining == "hard":
            costs.append(max(0, max(own) - min(others) + margin))
        for p in own if mining == "semi-hard" else ():
            beyond = [n for n in others if n > p]
            costs.append(max(0, p - (min(beyond) if beyond else max(others)) + margin))
        if mining == "all":
            costs += [p - n + margin for p in own for n in others if p - n + margin > 0]
    return sum(costs) / len(costs) if costs else 0.0


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("margin", [0.5, 3.0])
def test_contrastive_is_the_mean_over_all_pairs(labels, margin):
    found = rt.Contrastive(margin).formula(places(), torch.tensor(labels))
    assert abs(float(found) - contrastive(places().numpy(), labels, margin)) < 1e-12


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("margin", [0.5, 3.0])
@pytest.mark.parametrize("mining", ["semi-hard", "hard", "all"])
def test_triplets_are_mined_as_loops_would(labels, margin, mining):
    found = rt.Triplet(margin, mining=mining).formula(places(), torch.tensor(labels))
    assert abs(float(found) - triplets(places().numpy(), labels, margin, mining)) < 1e-12


def test_one_triplet_is_pytorchs():
    x = places()[:3]
    found = rt.Triplet(2.0, mining="all").formula(x, torch.tensor([0, 0, 1]))
    both = [F.triplet_margin_loss(x[a], x[p], x[2], 2.0, eps=0, reduction="sum") for a, p in ((0, 1), (1, 0))]
    assert abs(float(found) - float(sum(both)) / 2) < 1e-12


def test_distances_of_pairs_are_compared_with_truth_values():
    far, alike = (
        torch.tensor([0.2, 0.4, 3.0, 0.7], dtype=torch.float64),
        torch.tensor([True, False, False, True]),
    )
    found = rt.Contrastive(1.0).formula(far, alike)
    assert np.allclose(found.numpy(), [0.04, 0.36, 0.0, 0.49], rtol=0, atol=1e-12)
    assert found.equal(rt.Contrastive(1.0).formula(far, alike.long()))


LOSSES = [rt.Contrastive(2.0), *(rt.Triplet(2.0, mining=mining) for mining in ("semi-hard", "hard", "all"))]


@pytest.mark.parametrize("loss", LOSSES)
def test_derivatives_agree_with_differences(loss):
    labels = torch.tensor(LABELS[0])
    assert torch.autograd.gradcheck(lambda x: loss.formula(x, labels), places().requires_grad_())


@pytest.mark.parametrize("loss", LOSSES)
def test_examples_at_one_place_have_a_finite_derivative(loss):
    x = torch.zeros(4, 3, requires_grad=True)
    (slope,) = torch.autograd.grad(loss.formula(x, torch.tensor([0, 0, 1, 1])), x)
    assert bool(slope.isfinite().all())


@pytest.mark.parametrize("loss", LOSSES)
def test_one_example_alone_has_no_loss(loss):
    x = torch.ones(1, 3, requires_grad=True)
    found = loss.formula(x, torch.tensor([0]))
    assert found == 0
    assert not torch.autograd.grad(found, x)[0].any()


def clouds(count=60):
    labels = np.arange(count) % 3
    middle = np.array([[1.0, 0, 0, 1], [0, 1, 0, -1], [0, 0, 1, 0]])
    return middle[labels] + 0.3 * np.random.default_rng(0).normal(size=(count, 4)), labels


@pytest.mark.parametrize("loss", ["contrastive", rt.Triplet(0.5), rt.Triplet(0.5, mining="hard")])
@pytest.mark.parametrize("engine", ["walk", "program"])
def test_embeddings_are_trained_by_labels(loss, engine):
    x, y = clouds()
    net = rt.Chain(rt.Linear(2), input=4)
    run = rt.train(
        net, (x, y), loss=loss, epochs=12, batch_size=20, optimizer=rt.Adam(0.03), progress=False,
        engine=engine, seed=0,
    )  # fmt: skip
    assert run.history[-1]["loss"] < 0.5 * run.history[0]["loss"]
    assert "accuracy" not in run.history[-1]
    places = run.net(x.astype(np.float32))
    far = torch.cdist(places, places) + 100 * torch.eye(60)
    assert (y[far.argmin(1).numpy()] == y).mean() > 0.9


def test_a_net_of_two_inputs_that_gives_their_distance_is_trained_on_pairs():
    x, y = clouds()
    left, right = np.arange(60), np.random.default_rng(1).permutation(60)
    side = rt.Shared("side", rt.Linear(2))
    a, b = rt.Input(4, name="a"), rt.Input(4, name="b")
    apart = rt.Reduce("sum")((side(a) - side(b)) ** 2)
    net = rt.Graph({"far": (apart + 1e-6) ** 0.5})
    data = rt.data({"a": x[left], "b": x[right], "far": y[left] == y[right]})
    run = rt.train(net, data, loss=rt.Contrastive(), epochs=15, batch_size=20, optimizer=rt.Adam(0.03),
                   progress=False, seed=0)  # fmt: skip
    assert run.history[-1]["loss"] < 0.5 * run.history[0]["loss"]


def test_given_triplets_are_trained_by_a_loss_that_the_net_computes():
    x, y = clouds()
    draw = np.random.default_rng(2)
    anchors = np.arange(60)
    like = np.array([draw.choice(np.flatnonzero(y == y[i])) for i in anchors])
    unlike = np.array([draw.choice(np.flatnonzero(y != y[i])) for i in anchors])
    side = rt.Shared("side", rt.Linear(2))
    a, p, n = (rt.Input(4, name=name) for name in ("anchor", "like", "unlike"))

    def apart(one, other):
        return rt.Reduce("sum")((side(one) - side(other)) ** 2)

    net = rt.Graph({"loss": rt.ReLU()(apart(a, p) - apart(a, n) + 1)})
    data = rt.data({"anchor": x, "like": x[like], "unlike": x[unlike]})
    run = rt.train(net, data, epochs=15, batch_size=20, optimizer=rt.Adam(0.03), progress=False, seed=0)
    assert run.settings["loss"] == "own"
    assert run.history[-1]["loss"] < 0.5 * run.history[0]["loss"]
