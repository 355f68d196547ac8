"""Nets made of a net: repeated, nested, in both directions, of two inputs, against another."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

import retia as rt
from retia.engine.walk import Run, walk


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def doubled(net: rt.Net) -> dict[str, Tensor]:
    return {path: array.double().requires_grad_() for path, array in net.arrays.items()}


def close(got: Tensor, expected: Tensor) -> None:
    got, expected = got.detach(), expected.detach()
    assert got.shape == expected.shape
    assert (got - expected).norm() <= 1e-9 * max(1.0, float(expected.norm()))


# Repeat and Nest ----------------------------------------------------------------------------------


def test_copies_have_arrays_of_their_own(comes_back):
    net = rt.Chain(rt.Repeat(rt.Chain(rt.Linear(3), rt.Tanh()), 3), input=3)
    assert net.count == 3 * 12
    assert [*net.array_shapes()][::2] == ["0.0.0.weight", "0.1.0.weight", "0.2.0.weight"]
    comes_back(net)
    made = net.init()
    assert not torch.equal(made.arrays["0.0.0.weight"], made.arrays["0.1.0.weight"])


@pytest.mark.parametrize("times", [1, 2, 5])
def test_a_nest_is_so_many_calls(times, comes_back):
    inner = rt.Chain(rt.Linear(3), rt.Tanh())
    net = rt.Chain(rt.Nest(inner, times, name="step"), input=3)
    assert net.count == 12
    assert net == rt.Chain(rt.Repeat(inner, times, shared="step"), input=3)
    comes_back(net)
    arrays, x = doubled(net.init()), numbers(4, 3).requires_grad_()
    expected = x
    for _ in range(times):
        expected = torch.tanh(expected @ arrays["0.0.0.weight"].T + arrays["0.0.0.bias"])
    got = walk(net, {"input": x}, arrays)["output"]
    close(got, expected)
    leaves = [x, *arrays.values()]
    ours = torch.autograd.grad(got.square().sum(), leaves)
    for mine, theirs in zip(ours, torch.autograd.grad(expected.square().sum(), leaves), strict=True):
        close(mine, theirs)


def test_how_often_is_a_whole_number():
    with pytest.raises(rt.ArgumentError, match=r"^Repeat: times is a whole number of at least 1; got 0\.$"):
        rt.Repeat(rt.Linear(3), 0)
    with pytest.raises(rt.ArgumentError, match=r"^Nest: times is a whole number of at least 1; got 2\.5\.$"):
        rt.Nest(rt.Linear(3), 2.5, name="a")
    with pytest.raises(rt.ArgumentError, match=r"^Repeat: net is the class Linear, not a net\."):
        rt.Repeat(rt.Linear, 3)


# Bidirectional ------------------------------------------------------------------------------------


@pytest.mark.parametrize("join", ["concat", "sum", "mean"])
def test_an_lstm_in_both_directions_is_one_that_is_bidirectional(join, comes_back):
    net = rt.Chain(rt.Bidirectional(rt.LSTM(3), join=join), input=("n", 2))
    comes_back(net)
    theirs = rt.LSTM(3, bidirectional=True, input=("n", 2)).init(seed=3)
    weights = doubled(theirs)
    arrays = {}
    for path in net.array_shapes():
        _, side, name = path.split(".")
        arrays[path] = weights[name + "_reverse" * (side == "backward")]
    x, run = numbers(3, 5, 2).requires_grad_(), Run(lengths={"n": torch.tensor([5, 2, 3])})
    real = (torch.arange(5) < torch.tensor([[5], [2], [3]])).unsqueeze(2)
    got = walk(net, {"input": x}, arrays, run)["output"] * real
    expected = walk(theirs, {"input": x}, weights, run)["output"] * real
    if join != "concat":
        expected = (expected[..., :3] + expected[..., 3:]) / (2 if join == "mean" else 1)
    close(got, expected)
    leaves = [x, *weights.values()]
    ours = torch.autograd.grad(got.square().sum(), leaves)
    for mine, other in zip(ours, torch.autograd.grad(expected.square().sum(), leaves), strict=True):
        close(mine, other)


def test_padding_goes_nowhere_in_both_directions(keeps_the_batch_law):
    keeps_the_batch_law(rt.Chain(rt.Bidirectional(rt.GRU(3), rt.GRU(2)), input=("n", 2)), {"n": [3, 1, 4]})


def test_directions_are_joined_in_three_ways():
    with pytest.raises(rt.ArgumentError, match="Bidirectional: join is one of 'concat', 'sum', 'mean'"):
        rt.Bidirectional(rt.GRU(3), join="cat")


# Pair ---------------------------------------------------------------------------------------------


def places() -> rt.Chain:
    return rt.Chain(rt.Linear(4), rt.Tanh(), rt.Linear(3))


def test_a_pair_is_symmetric_and_has_one_set_of_arrays(comes_back):
    net = rt.Chain(rt.Pair(places(), rt.PairwiseDistance(), name="place"), input={"left": 2, "right": 2})
    assert net.count == 12 + 15
    comes_back(net)
    net = net.init()
    a, b = torch.randn(5, 2), torch.randn(5, 2)
    one, other = net({"left": a, "right": b}), net({"left": b, "right": a})
    assert torch.allclose(one, other, atol=1e-5)
    both = rt.Chain(rt.Pair(places(), name="place"), input={"left": 2, "right": 2})
    each = both.with_arrays({p: net.arrays[p] for p in both.array_shapes()})({"left": a, "right": b})
    assert torch.allclose((each["left"] - each["right"]).norm(dim=1), one, atol=1e-4)


def test_a_head_may_take_both_results_as_one():
    net = rt.Chain(rt.Pair(places(), rt.Linear(1), name="place"), input={"left": 2, "right": 2})
    assert net.array_shapes()["0.head.weight"] == (1, 6)


def test_a_pair_learns_which_are_alike():
    r = torch.Generator().manual_seed(0)
    kinds, others = torch.randint(3, (200,), generator=r), torch.randint(3, (200,), generator=r)
    middle = torch.tensor([[0.0, 2.0], [2.0, -1.0], [-2.0, -1.0]])
    left, right = (middle[k] + 0.3 * torch.randn(200, 2, generator=r) for k in (kinds, others))
    net = rt.Chain(rt.Pair(places(), rt.PairwiseDistance(), name="p"), input={"left": 2, "right": 2})
    run = rt.train(
        net, {"left": left, "right": right, "output": kinds == others}, loss=rt.Contrastive(), epochs=15,
        optimizer=rt.Adam(0.02), progress=False,
    )  # fmt: skip
    far = run.net({"left": left, "right": right})
    assert ((far < 0.5) == (kinds == others)).float().mean() > 0.95


def test_what_cannot_be_a_pair_is_refused():
    with pytest.raises(rt.ArgumentError) as caught:
        rt.Pair(rt.Dot(), name="a")
    assert str(caught.value) == "Pair: net has one input and one output; it has left, right and output."
    three = rt.Graph(lambda a, b, c: a + b + c)
    with pytest.raises(rt.ArgumentError) as caught:
        rt.Pair(rt.Linear(2), three, name="a")
    assert str(caught.value) == "Pair: the head has one or two inputs and one output; it has 3 and 1."


# StopGradient and GAN -----------------------------------------------------------------------------


def dense(*sizes: int, slope: float = 0.0) -> rt.Chain:
    """Linear layers with LeakyReLU between them."""
    layers = [layer for size in sizes for layer in (rt.Linear(size), rt.LeakyReLU(slope))]
    return rt.Chain(*layers[:-1])


def test_no_derivative_goes_back_through_a_stop():
    net = rt.Graph(lambda x: x * rt.StopGradient()(x), input=2)
    x = numbers(3, 2).requires_grad_()
    (found,) = torch.autograd.grad(walk(net, {"input": x}, {})["output"].sum(), [x])
    close(found, x)


@pytest.mark.parametrize("game", ["logistic", "least-squares", "wasserstein"])
def test_each_net_gets_the_derivatives_of_its_own_game(game, comes_back):
    net = rt.GAN(dense(8, 2), dense(8, 1), game=game)
    comes_back(net)
    sample, latent = numbers(6, 2), numbers(6, 3, seed=1)
    shaped = rt.Chain(net, input={"sample": 2, "latent": 3}).init()
    arrays = doubled(shaped)
    loss = walk(shaped, {"sample": sample, "latent": latent}, arrays)["loss"].mean()

    def through(name: str, x: Tensor) -> Tensor:
        w = {path.removeprefix(f"0.{name}."): a for path, a in arrays.items() if f".{name}." in path}
        return torch.relu(x @ w["0.weight"].T + w["0.bias"]) @ w["2.weight"].T + w["2.bias"]

    made, ones, zeros = through("generator", latent), torch.ones(6, 1).double(), torch.zeros(6, 1).double()
    real, fooled, held = (through("discriminator", x) for x in (sample, made, made.detach()))
    judged, played = {
        "logistic": (cross_entropy(real, ones) + cross_entropy(held, zeros), cross_entropy(fooled, ones)),
        "least-squares": ((real - 1).square().mean() + held.square().mean(), (fooled - 1).square().mean()),
        "wasserstein": (held.mean() - real.mean(), -fooled.mean()),
    }[game]
    close(loss, judged)
    for name, expected in {"discriminator": judged, "generator": played}.items():
        own = [array for path, array in arrays.items() if f".{name}." in path]
        assert len(own) == 4
        ours = torch.autograd.grad(loss, own, retain_graph=True)
        for mine, theirs in zip(ours, torch.autograd.grad(expected, own, retain_graph=True), strict=True):
            close(mine, theirs)


def ring(number: int, seed: int) -> Tensor:
    """Eight narrow Gaussians on a circle."""
    r = torch.Generator().manual_seed(seed)
    angle = torch.randint(8, (number,), generator=r) * (math.pi / 4)
    return torch.stack([angle.cos(), angle.sin()], 1) + 0.03 * torch.randn(number, 2, generator=r)


def distance(a: Tensor, b: Tensor) -> float:
    """The energy distance of two samples, 0 for equal distributions."""
    return float(2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean())


@pytest.mark.parametrize("turns", [None, ["discriminator", "generator"]])
def test_a_generator_learns_a_ring(turns):
    gan = rt.GAN(dense(48, 48, 2, slope=0.2), dense(48, 48, 1, slope=0.2), latent=4).init(seed=1)
    run = rt.train(
        gan, {"sample": ring(512, 0)}, validation=0, keep="last", batch_size=128, epochs=100, turns=turns,
        optimizer=rt.Adam(1e-3, betas=(0.5, 0.9)), seed=3, progress=False,
    )  # fmt: skip
    noise, fresh = torch.randn(1000, 4, generator=torch.Generator().manual_seed(9)), ring(1000, 7)
    before = distance(gan["generator"].batch(noise), fresh)
    assert distance(run.net["generator"].batch(noise), fresh) < 0.5 * before


def test_what_cannot_play_is_refused():
    with pytest.raises(rt.ArgumentError) as caught:
        rt.GAN(dense(2), rt.Chain(rt.Linear(1), rt.Sigmoid()))
    assert str(caught.value) == (
        "GAN: the discriminator ends in a Sigmoid, but the game takes scores.\n  fix   leave it out"
    )
    with pytest.raises(rt.ArgumentError) as caught:
        rt.GAN(rt.Dot(), dense(1), latent=3)
    assert str(caught.value) == (
        "GAN: the generator has one output, and one input where latent= is given; it takes left, right and "
        "gives output."
    )
    with pytest.raises(rt.ArgumentError, match="GAN: game is one of 'logistic', 'least-squares'"):
        rt.GAN(dense(2), dense(1), game="hinge")
