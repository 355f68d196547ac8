"""Every loss in training: the walk against a plain loop of PyTorch's, the program against the walk."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import retia as rt

COUNT, BATCH, STEPS = 48, 16, 20


def inputs():
    return torch.randn(COUNT, 5, generator=torch.Generator().manual_seed(0))


def labels():
    return torch.randint(0, 3, (COUNT,), generator=torch.Generator().manual_seed(1))


def reals():
    return torch.rand(COUNT, 3, generator=torch.Generator().manual_seed(2))


def truths():
    return (reals() > 0.5).float()


def shares():
    return reals().softmax(1)


WEIGHTS = torch.tensor([0.5, 2.0, 1.0])
NONE = {"reduction": "none"}
CASES = {
    "cross-entropy": (rt.CrossEntropy(), "Softmax", labels, lambda y, t: F.cross_entropy(y, t, **NONE)),
    "soft": (rt.CrossEntropy(), "Softmax", shares, lambda y, t: F.cross_entropy(y, t, **NONE)),
    "weights": (
        rt.CrossEntropy(weights=[0.5, 2, 1], smoothing=0.1), "Softmax", labels,
        lambda y, t: F.cross_entropy(y, t, WEIGHTS, label_smoothing=0.1, **NONE),
    ),
    "kl": (rt.KL(), "LogSoftmax", shares, lambda y, t: F.kl_div(y.log_softmax(1), t, **NONE).sum(1)),
    "bce": (
        rt.BinaryCrossEntropy(), "Sigmoid", truths,
        lambda y, t: F.binary_cross_entropy_with_logits(y, t, **NONE),
    ),
    "weight of true": (
        rt.BinaryCrossEntropy(weight_of_true=3), "Sigmoid", truths,
        lambda y, t: F.binary_cross_entropy_with_logits(y, t, pos_weight=torch.tensor([3.0]), **NONE),
    ),
    "mse": (rt.MSE(), None, reals, lambda y, t: F.mse_loss(y, t, **NONE)),
    "mae": (rt.MAE(), None, reals, lambda y, t: F.l1_loss(y, t, **NONE)),
    "huber": (rt.Huber(0.3), None, reals, lambda y, t: F.huber_loss(y, t, "none", 0.3)),
    "poisson": (rt.Poisson(), None, truths, lambda y, t: F.poisson_nll_loss(y, t, **NONE)),
    "focal": (rt.Focal(1.5, weights=[0.5, 2, 1]), "Softmax", labels, None),
    "binary focal": (rt.BinaryFocal(weight_of_true=2), "Sigmoid", truths, None),
    "hinge": (rt.Hinge(squared=True), None, truths, None),
    "contrastive": (rt.Contrastive(), None, labels, None),
    "triplet": (rt.Triplet(), None, labels, None),
}  # fmt: skip


def net(ending):
    last = [getattr(rt, ending)()] if ending else []
    return rt.Chain(rt.Linear(6), rt.Tanh(), rt.Linear(3), *last, input=5)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[3] is not None])
def test_twenty_steps_are_those_of_a_plain_loop_to_the_bit(name):
    loss, ending, targets, reference = CASES[name]
    step = rt.step(net(ending).init(seed=4), loss, rt.SGD(0.1, momentum=0.9))
    state, x, t = step.start(), inputs(), targets()
    weights = [step.net.arrays[path].clone().requires_grad_() for path in step.learned]
    optimizer = torch.optim.SGD(weights, 0.1, momentum=0.9, foreach=True)
    for number in range(STEPS):
        rows = torch.arange(BATCH) + number % 3 * BATCH
        optimizer.zero_grad()
        hidden = F.linear(x[rows], weights[0], weights[1]).tanh()
        expected = reference(F.linear(hidden, weights[2], weights[3]), t[rows]).mean()
        expected.backward()
        optimizer.step()
        state, found = step(state, x[rows], t[rows])
        assert found.equal(expected.detach()), number
    for path, tensor in zip(step.learned, weights, strict=True):
        assert state.arrays[path].equal(tensor.detach()), path


@pytest.mark.parametrize("name", CASES)
def test_a_program_has_the_losses_of_the_walk(name):
    loss, ending, targets, _ = CASES[name]
    how = {"epochs": 6, "batch_size": BATCH, "optimizer": rt.SGD(0.05), "seed": 0, "progress": False}
    ours, theirs = (
        rt.train(net(ending), (inputs().numpy(), targets().numpy()), loss=loss, engine=engine, **how)
        for engine in ("program", "walk")
    )
    assert ours.settings["engine"].startswith("program")
    assert ours.settings["loss"] == theirs.settings["loss"] == loss.told
    for mine, reference in zip(ours.history, theirs.history, strict=True):
        assert mine["loss"] == pytest.approx(reference["loss"], rel=1e-5)
    assert theirs.history[-1]["loss"] < theirs.history[0]["loss"]


@pytest.mark.parametrize("name", CASES)
def test_nets_trained_at_once_have_the_losses_of_each_alone(name):
    loss, ending, targets, _ = CASES[name]
    how = {"epochs": 3, "batch_size": BATCH, "optimizer": rt.SGD(0.05), "progress": False, "loss": loss}
    data = (inputs().numpy(), targets().numpy())
    both = rt.train(net(ending), data, seed=[0, 1], engine="program", **how)
    for seed, ours in enumerate(both):
        assert ours.settings["engine"].startswith("program of 2 nets at once")
        theirs = rt.train(net(ending), data, seed=seed, engine="walk", **how)
        assert ours.history[-1]["loss"] == pytest.approx(theirs.history[-1]["loss"], rel=1e-5)


def test_an_output_named_loss_is_trained_by_walk_and_program_alike():
    x, t = rt.Input(5, name="x"), rt.Input(3, name="t")
    own = rt.Graph({"loss": rt.Reduce("mean")((rt.Linear(3)(x) - t) ** 2)})
    data = rt.data({"x": inputs().numpy(), "t": reals().numpy()})
    how = {"epochs": 6, "batch_size": BATCH, "optimizer": rt.SGD(0.1), "seed": 0, "progress": False}
    ours, theirs = (
        rt.train(own, data, engine=engine, validation=data, **how) for engine in ("program", "walk")
    )
    assert ours.settings["engine"].startswith("program")
    for mine, reference in zip(ours.history, theirs.history, strict=True):
        assert mine["val_loss"] == pytest.approx(reference["val_loss"], rel=1e-5)
    plain = rt.train(rt.Linear(3, input=5), (inputs().numpy(), reals().numpy()), **how)
    assert len(plain.history) == len(theirs.history)
    assert theirs.history[-1]["loss"] < theirs.history[0]["loss"]


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32, np.int64])
@pytest.mark.parametrize("real", [np.float16, np.float64, np.int32])
def test_numbers_and_labels_of_any_type_are_trained_on(kind, real):
    x, y = (inputs().numpy() * 3).astype(real), labels().numpy().astype(kind)
    how = {"epochs": 1, "batch_size": BATCH, "seed": 0, "progress": False}
    run = rt.train(net("Softmax"), (x, y), loss="cross-entropy", **how)
    same = rt.train(net("Softmax"), (x.astype(np.float32), y.astype(np.int64)), loss="cross-entropy", **how)
    assert run.history[0]["loss"] == same.history[0]["loss"]


def test_a_step_takes_labels_of_any_type():
    step = rt.step(net("Softmax").init(), "cross-entropy")
    losses = {
        float(step(step.start(), inputs(), labels().to(kind))[1])
        for kind in (torch.int64, torch.int32, torch.uint8)
    }
    assert len(losses) == 1


def test_labels_of_any_kind_weigh_by_their_name():
    words = np.array(["cat", "dog", "eel"])[labels()]
    pets = rt.Chain(rt.Linear(6), rt.Tanh(), rt.Linear(), rt.Softmax(), input=5, output=rt.Classes())
    how = {"epochs": 2, "batch_size": BATCH, "seed": 0, "progress": False}
    run = rt.train(pets, (inputs().numpy(), words), loss=rt.CrossEntropy(weights={"dog": 4}), **how)
    assert run.settings["loss"] == "CrossEntropy(weights=(1.0, 4.0, 1.0))"
    assert rt.train(pets, (inputs().numpy(), words), loss="focal", **how).history[-1]["accuracy"] > 0


def test_probabilities_of_labels_are_targets_too():
    pets = rt.Chain(rt.Linear(), rt.Softmax(), input=5, output=rt.Classes(["cat", "dog", "eel"]))
    how = {"epochs": 2, "batch_size": BATCH, "seed": 0, "progress": False}
    soft = rt.train(pets, (inputs().numpy(), shares().numpy()), **how)
    plain = rt.train(pets[:2], (inputs().numpy(), shares().numpy()), loss="cross-entropy", **how)
    assert [line["loss"] for line in soft.history] == [line["loss"] for line in plain.history]
    one_hot = rt.train(pets, (inputs().numpy(), F.one_hot(labels()).numpy()), **how)
    words = rt.train(pets, (inputs().numpy(), np.array(["cat", "dog", "eel"])[labels()]), **how)
    assert one_hot.history[-1]["loss"] == pytest.approx(words.history[-1]["loss"], rel=1e-6)


@pytest.mark.parametrize("loss", ["contrastive", "triplet"])
def test_what_has_nothing_but_a_loss_is_measured_by_it(loss):
    embedding = net(None).init(seed=1)
    found = rt.measure(embedding, (inputs().numpy(), labels().numpy()), loss=loss, batch_size=COUNT)
    value = getattr(rt, loss.capitalize())().formula(embedding(inputs(), None), labels())
    assert found.loss == pytest.approx(float(value), rel=1e-6)
    assert set(found.figures()) == {"loss"}
