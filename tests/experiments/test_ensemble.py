"""Ensembles: a net that answers the mean of several, whatever they end in."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import retia as rt

X = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
LABELS = ["a", "b", "c"]
ENDS = {
    "softmax": (rt.Linear(), rt.Softmax()),
    "log softmax": (rt.Linear(), rt.LogSoftmax()),
    "logits": (rt.Linear(),),
}


def members(*layers, count=3, **ports):
    return [rt.Chain(rt.Linear(5), rt.Tanh(), *layers, input=6, **ports).init(seed=i) for i in range(count)]


def chances(net):
    """Probabilities as a decoder tells them, (examples, classes)."""
    return np.asarray([[one[label] for label in LABELS] for one in net(X, "probabilities")])


@pytest.mark.parametrize("end", ENDS)
def test_probabilities_are_averaged_as_probabilities(end):
    nets = members(*ENDS[end], output=rt.Classes(LABELS))
    mean = np.mean([chances(net) for net in nets], axis=0)
    both = rt.ensemble(nets)
    assert np.abs(chances(both) - mean).max() < 1e-6
    assert both(X) == [LABELS[place] for place in mean.argmax(1)]


@pytest.mark.parametrize("end", [(rt.Linear(1), rt.Sigmoid()), (rt.Linear(1),)], ids=["sigmoid", "logits"])
def test_chances_of_yes_are_averaged(end):
    nets = members(*end, output=rt.Boolean())
    raw = [net(X, None) if len(end) == 2 else torch.sigmoid(net(X, None)) for net in nets]
    both = rt.ensemble(nets)
    assert (both(X, None) - torch.stack(raw).mean(0)).abs().max() < 1e-6


def test_numbers_are_averaged_as_numbers():
    nets = members(rt.Linear(2))
    mean = torch.stack([net(X) for net in nets]).mean(0)
    assert torch.allclose(rt.ensemble(nets)(X), mean, atol=1e-6)


def test_its_loss_is_that_of_the_mean_probabilities():
    nets = members(rt.Linear(), rt.Softmax(), output=rt.Classes(LABELS))
    y = [LABELS[i % 3] for i in range(40)]
    mean = np.mean([chances(net) for net in nets], axis=0)
    theirs = -np.log(mean[np.arange(40), np.arange(40) % 3]).mean()
    found = rt.measure(rt.ensemble(nets), (X, y))
    assert found.loss == pytest.approx(theirs, rel=1e-5)


def test_a_probability_of_nothing_has_a_finite_loss():
    net = rt.Chain(rt.Linear(2), rt.Softmax(), input=1, output=rt.Classes(["no", "yes"])).init()
    sure = net.with_arrays({"0.weight": [[0.0], [0.0]], "0.bias": [0.0, 500.0]})
    found = rt.measure(rt.ensemble([sure, sure]), ([[1.0], [1.0]], ["yes", "no"]))
    assert 40 < found.loss < 50


def test_arrays_stand_under_the_names_of_the_nets():
    nets = members(rt.Linear(2), count=2)
    both = rt.ensemble(nets)
    assert set(both.arrays) == {f"net{i}.{path}" for i in (1, 2) for path in nets[0].arrays}
    assert torch.equal(both.arrays["net2.0.weight"], nets[1].arrays["0.weight"])
    named = rt.ensemble({"calm": nets[0], "mean": nets[1]})
    assert torch.equal(named.arrays["mean.0.weight"], nets[1].arrays["0.weight"])
    assert torch.allclose(named(X), both(X))


def test_it_is_a_net_like_any_other(tmp_path):
    runs = rt.train(
        rt.Chain(rt.Linear(5), rt.Tanh(), rt.Linear(), rt.Softmax(), input=6, output=rt.Classes()),
        (X, [LABELS[i % 3] for i in range(40)]),
        seed=[0, 1],
        epochs=2,
        progress=False,
    )
    both = rt.ensemble([run.net for run in runs])
    both.save(tmp_path / "both.safetensors")
    loaded = rt.load(tmp_path / "both.safetensors")
    assert loaded == both
    assert loaded(X) == both(X)
    assert eval(repr(both), vars(rt)).expression_hash == both.expression_hash
    further = rt.train(both, (X, both(X)), epochs=1, progress=False)
    assert np.isfinite(further.history[0]["loss"])
    assert "net1" in str(both)


def test_several_ports_are_averaged_one_by_one():
    def net(seed):
        a, b = rt.Input(6, name="a"), rt.Input(6, name="b")
        both = rt.Concat()(a, b)
        outputs = {"kind": rt.Softmax()(rt.Linear(3)(both)), "size": rt.Linear(1)(both)}
        return rt.Graph(outputs, output={"kind": rt.Classes(LABELS), "size": 1}).init(seed=seed)

    nets = [net(0), net(1)]
    given = {"a": X, "b": X + 1}
    found = rt.ensemble(nets)(given, None)
    for port in ("kind", "size"):
        mean = torch.stack([each(given, None)[port] for each in nets]).mean(0)
        assert torch.allclose(found[port], mean, atol=1e-6)


def test_lengths_may_vary():
    nets = [rt.Chain(rt.Linear(2), rt.Reduce("mean", 0), input=("n", 3)).init(seed=i) for i in range(2)]
    x = np.ones((4, 3), np.float32)
    mean = (nets[0](x) + nets[1](x)) / 2
    assert torch.allclose(rt.ensemble(nets)(x), mean, atol=1e-6)


def test_what_has_no_mean_is_refused():
    net = rt.Chain(rt.Linear(2), input=6).init()
    with pytest.raises(rt.ArgumentError) as caught:
        rt.ensemble([net])
    assert str(caught.value).startswith("ensemble takes two or more nets; got [Chain(")
    assert str(caught.value).endswith("fix   rt.ensemble([run.net for run in runs])")
    with pytest.raises(rt.ArgumentError, match="ensemble takes two or more nets"):
        rt.ensemble(net)
    with pytest.raises(rt.StructureError) as caught:
        rt.ensemble([net, rt.Chain(rt.Linear(3), input=6).init()])
    assert str(caught.value) == (
        "ensemble: net2 has the outputs output: (3), but the first net has output: (2)."
    )
    with pytest.raises(rt.StructureError) as caught:
        rt.ensemble([net, rt.Chain(rt.Linear(2), rt.Softmax(), input=6).init()])
    assert str(caught.value) == (
        "ensemble: outputs of one kind have a mean, but net1 gives numbers, "
        "net2 gives probabilities of classes."
    )
    with pytest.raises(rt.ArraysError, match="This net has no arrays yet"):
        rt.ensemble([net, rt.Chain(rt.Linear(2), input=6)])
