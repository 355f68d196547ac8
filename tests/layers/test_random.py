"""Random arrays: the distributions by their moments and quantiles, and what a draw depends on."""

import numpy as np
import pytest
import torch

import retia as rt
from retia.engine.walk import Run, walk

HOW = {
    "normal": ({"mean": 3, "std": 2}, lambda: torch.distributions.Normal(3.0, 2.0)),
    "uniform": ({"low": -1, "high": 4}, lambda: torch.distributions.Uniform(-1.0, 4.0)),
    "exponential": ({"rate": 3}, lambda: torch.distributions.Exponential(3.0)),
    "laplace": ({"mean": 1, "scale": 2}, lambda: torch.distributions.Laplace(1.0, 2.0)),
    "gumbel": ({"mean": -1, "scale": 0.5}, lambda: torch.distributions.Gumbel(-1.0, 0.5)),
}


def draw(net, number=1, **how):
    """Numbers for so many examples."""
    graph = rt.Graph(lambda x: x + net, input=net.outputs["output"].shape)
    return walk(graph, {"input": torch.zeros(number, *net.outputs["output"].shape)}, {}, Run(**how))["output"]


@pytest.mark.parametrize("name", HOW)
def test_numbers_follow_their_distribution(name):
    settings, theirs = HOW[name]
    found = draw(rt.RandomArray(1000, distribution=name, **settings), 100).double()
    assert torch.isfinite(found).all()
    by_theirs = theirs().cdf(found.flatten()).sort().values  # even from 0 to 1 if it is theirs
    even = (torch.arange(len(by_theirs), dtype=torch.float64) + 0.5) / len(by_theirs)
    assert (by_theirs - even).abs().max() < 1.63 / len(by_theirs) ** 0.5  # Kolmogorov and Smirnov, 1 %


def test_bernoulli_is_1_as_often_as_was_said():
    found = draw(rt.RandomArray(1000, distribution="bernoulli", chance=0.3), 100)
    assert set(found.unique().tolist()) == {0.0, 1.0}
    assert abs(found.mean().item() - 0.3) < 0.006
    assert draw(rt.RandomArray(50, distribution="bernoulli", chance=0)).sum() == 0
    assert draw(rt.RandomArray(50, distribution="bernoulli", chance=1)).sum() == 50


def test_neighbours_have_nothing_to_do_with_each_other():
    net = rt.RandomArray(64)
    both = [draw(net, 500), draw(rt.RandomArray(64, seed=1), 500), draw(net, 500, step=1)]
    flat = np.stack([each.numpy().ravel() for each in both])
    assert np.abs(np.corrcoef(flat) - np.eye(3)).max() < 0.02
    rows = np.corrcoef(both[0].numpy()[:64])
    assert np.abs(rows - np.eye(64)).max() < 0.6


def test_a_draw_follows_from_seed_step_row_and_its_own_seed_alone():
    net = rt.RandomArray(3, seed=4)
    first = draw(net, 4, seed=1, step=2)
    assert torch.equal(draw(net, 4, seed=1, step=2), first)
    assert torch.equal(draw(net, 2, seed=1, step=2, rows=torch.tensor([3, 1])), first[[3, 1]])
    assert torch.equal(draw(net, 4, seed=1, step=2, training=True), first)
    for other in ({"seed": 2, "step": 2}, {"seed": 1, "step": 3}):
        assert not torch.isin(draw(net, 4, **other), first).any()
    assert not torch.isin(draw(rt.RandomArray(3), 4, seed=1, step=2), first).any()


def test_two_layers_draw_their_own_numbers():
    net = rt.Graph(lambda x: x + rt.RandomArray(2) - rt.RandomArray(2), input=2)
    assert (net([0.0, 0.0]) != 0).all()


def test_a_call_gives_the_same_again_and_each_example_its_own():
    net = rt.Graph(lambda x: x + rt.RandomArray(2), input=2)
    x = torch.zeros(3, 2)
    first = net(x)
    assert len(first.unique()) == 6
    assert all(torch.equal(net(x), first) for _ in range(4))
    assert torch.equal(net.program(batch=3)(x), first)
    assert torch.equal(net(x[:1]), first[:1])


def test_an_autoencoder_with_noise_is_trained_and_draws_anew_in_each_step():
    net = rt.Graph(
        lambda x: rt.Linear(4)(rt.Linear(2)(x) + rt.RandomArray(2, std=0.1)), input=4, output=rt.Vector(4)
    )
    x = np.random.default_rng(0).standard_normal((64, 4)).astype(np.float32)
    runs = [
        rt.train(net, (x, x), epochs=3, validation=0, seed=3, engine=engine) for engine in ("walk", "program")
    ]
    walked, planned = ([epoch["loss"] for epoch in run.history] for run in runs)
    assert walked == pytest.approx(planned, rel=1e-5)


def test_a_setting_of_another_distribution_is_refused():
    with pytest.raises(rt.ArgumentError) as caught:
        rt.RandomArray(2, distribution="uniform", std=1)
    assert str(caught.value) == (
        "RandomArray: std says nothing about the distribution 'uniform'.\n  fix   it has: low, high"
    )
    with pytest.raises(rt.ArgumentError, match=r"RandomArray: low is 2, above high, 1\."):
        rt.RandomArray(2, distribution="uniform", low=2, high=1)
    with pytest.raises(rt.ArgumentError, match="Did you mean 'normal'"):
        rt.RandomArray(2, distribution="norml")


def test_the_noise_of_an_example_does_not_depend_on_how_a_batch_is_cut():
    net = rt.Graph(lambda x: x + rt.RandomArray(2), input=rt.Vector(2))
    x = np.zeros((600, 2), np.float32)
    whole = net(x, None)
    assert len(whole[:, 0].unique()) > 590
    assert torch.equal(net(x, None, batch_size=100), whole)
    assert torch.equal(net([list(row) for row in x], None), whole)  # encoded piece by piece
    assert torch.equal(net(torch.from_numpy(x), None), whole)
