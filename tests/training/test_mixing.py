"""Examples mixed with each other: how, by which shares, and what the loss makes of it."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats

import retia as rt
from retia.engine import draws
from retia.engine.plan import Planner, Target
from retia.engine.trace import record
from retia.engine.walk import Run, walk_values
from retia.metrics.examples import Batch
from retia.metrics.objective import objective
from retia.training.mixing import Mixing, beta, read_mix
from retia.training.stage import zero

WAYS = {
    "mixup": rt.MixUp(0.4),
    "cutmix": rt.CutMix(),
    "seldom": rt.MixUp(1, chance=0.3),
    "either": [rt.MixUp(0.4), rt.CutMix(chance=0.8)],
}
every = pytest.mark.parametrize("name", WAYS)


def batch(count: int = 64, shape: tuple[int, ...] = (2, 6, 5), first: int = 0) -> Batch:
    """Pictures of which each is one number, so that shares can be read off; targets are the same."""
    number = torch.arange(count, dtype=torch.float32)
    x = number.reshape(-1, *(1,) * len(shape)).expand(count, *shape)
    return Batch({"input": x}, {"output": number.long()}, torch.arange(first, first + count))


def mixed_of(way: object, given: Batch, seed: int = 0, step: int = 0):
    mixing = read_mix(way)
    assert mixing is not None
    return mixing.mixed(given, mixing.key(seed, step))


# Shares -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.5, 1, 2, 8, 100])
def test_shares_have_the_beta_distribution(alpha: float) -> None:
    first, second = draws.uniform(0, 0, "a", torch.arange(20000), (2,)).T
    shares = beta(alpha, first, second)
    assert shares.isfinite().all()
    assert shares.min() >= 0
    assert shares.max() <= 1
    middle = shares[(shares > 1e-6) & (shares < 1 - 1e-6)].double().numpy()
    known = stats.beta(alpha, alpha)
    low, high = known.cdf(1e-6), known.cdf(1 - 1e-6)
    assert stats.kstest(middle, lambda x: (known.cdf(x) - low) / (high - low)).pvalue > 1e-3
    assert stats.binomtest(len(middle), 20000, high - low).pvalue > 1e-3


def test_the_ends_of_the_draws_give_finite_shares() -> None:
    ends = torch.tensor([0.0, 0.25, 0.5, 0.75, 1 - 2.0**-24])
    first, second = torch.cartesian_prod(ends, ends).T
    for alpha in (0.001, 0.2, 1, 1000):
        shares = beta(alpha, first, second)
        assert shares.isfinite().all()
        assert ((shares >= 0) & (shares <= 1)).all()


@every
def test_each_example_is_the_partner_of_one(name: str) -> None:
    mixed = mixed_of(WAYS[name], batch())
    assert sorted(mixed.partners["output"].tolist()) == list(range(64))
    assert torch.equal(mixed.batch.targets["output"], torch.arange(64))


def test_mixup_blends_by_the_shares() -> None:
    mixed = mixed_of(WAYS["mixup"], batch())
    partner = mixed.partners["output"].float()
    expected = mixed.share * torch.arange(64.0) + (1 - mixed.share) * partner
    found = mixed.batch.inputs["input"]
    torch.testing.assert_close(found, expected.reshape(-1, 1, 1, 1).expand_as(found))


def test_cutmix_puts_in_a_rectangle_and_shares_by_its_area() -> None:
    given = batch(2000, (2, 20, 30))
    mixed = mixed_of(WAYS["cutmix"], given)
    found, partner = mixed.batch.inputs["input"], mixed.partners["output"].reshape(-1, 1, 1, 1)
    own = given.inputs["input"]
    other = (found == partner) & (found != own)
    apart = partner.flatten() != torch.arange(2000)
    assert torch.equal(found, torch.where(other, partner.float(), own))
    inside = other[apart, 0]
    assert torch.equal(other[:, 0], other[:, 1])
    assert torch.equal(inside.any(2).sum(1) * inside.any(1).sum(1), inside.flatten(1).sum(1))
    torch.testing.assert_close(mixed.share[apart], 1 - inside.flatten(1).sum(1) / 600)
    assert 0.95 < inside.any(0).float().mean() <= 1
    assert 1 - mixed.share.mean() > 0.2


def test_the_rectangle_of_cutmix_is_where_its_draws_say() -> None:
    mixed = mixed_of(WAYS["cutmix"], batch(60, (1, 20, 30)))
    numbers = draws.uniform(0, 0, "(mix)", torch.arange(60), (7,))
    for row, (_, _, first, second, down, right, _) in enumerate(numbers):
        half = math.sqrt(1 - beta(1, first, second)) / 2
        top, left = int(down * 20), int(right * 30)
        high, wide = int(half * 20), int(half * 30)
        expected = torch.full((20, 30), float(row))
        area = slice(max(top - high, 0), top + high), slice(max(left - wide, 0), left + wide)
        expected[area] = float(mixed.partners["output"][row])
        assert torch.equal(mixed.batch.inputs["input"][row, 0], expected)


def test_chances_say_how_many_are_mixed_and_how() -> None:
    seldom = mixed_of(rt.MixUp(1, chance=0.3), batch(4000))
    assert stats.binomtest(int((seldom.share < 1).sum()), 4000, 0.3).pvalue > 1e-3
    either = mixed_of([rt.MixUp(1), rt.CutMix()], batch(4000, (1, 8, 8)))
    x = either.batch.inputs["input"].flatten(1)
    blended = (x == x[:, :1]).all(1) & (either.share < 1) & (x[:, 0] != torch.arange(4000))
    assert 0.4 < blended.float().mean() < 0.6
    assert torch.equal(
        mixed_of(rt.MixUp(1, chance=0), batch()).batch.inputs["input"], batch().inputs["input"]
    )


@every
def test_draws_follow_from_seed_step_and_example(name: str) -> None:
    first, same = (mixed_of(WAYS[name], batch(), seed=1, step=2) for _ in range(2))
    assert torch.equal(first.batch.inputs["input"], same.batch.inputs["input"])
    assert not torch.equal(mixed_of(WAYS[name], batch(), seed=1, step=3).share, first.share)
    assert not torch.equal(mixed_of(WAYS[name], batch(), seed=2, step=2).share, first.share)
    assert not torch.equal(mixed_of(WAYS[name], batch(first=64), seed=1, step=2).share, first.share)


# Losses -------------------------------------------------------------------------------------------


def net_of(*layers: rt.Layer, shape: tuple[int, ...] = (2, 6, 5), **how) -> rt.Net:
    return rt.Chain(rt.Flatten(), *layers, input=shape, **how).init(seed=0)


def loss_of(net: rt.Net, loss: object, given: Batch, mixing: Mixing):
    lower = objective(net, loss)
    mixed = mixing.mixed(given, mixing.key(0, 0))
    values = walk_values(net, mixed.batch.inputs, net.arrays, Run(training=True), lower.wanted)
    return mixing.loss(lower, values, mixed), mixed, net(mixed.batch.inputs["input"])


def test_the_loss_is_that_of_soft_targets() -> None:
    net = net_of(rt.Linear(7), rt.Softmax())
    given = Batch(
        {"input": torch.randn(20, 2, 6, 5, generator=torch.Generator().manual_seed(0))},
        {"output": torch.arange(20) % 7},
    )
    found, mixed, outputs = loss_of(net, "cross-entropy", given, Mixing((rt.MixUp(1),)))
    own, other = (
        torch.nn.functional.one_hot(t, 7) for t in (given.targets["output"], mixed.partners["output"])
    )
    share = mixed.share.unsqueeze(1)
    expected = -((share * own + (1 - share) * other) * outputs.log()).sum(1).mean()
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("loss", ["mse", "mae", lambda y, t: ((y - t) ** 2).mean(1)])
def test_losses_of_numbers_are_shared_too(loss: object) -> None:
    net = net_of(rt.Linear(3))
    generator = torch.Generator().manual_seed(1)
    x, t = torch.randn(16, 2, 6, 5, generator=generator), torch.randn(16, 3, generator=generator)
    found, mixed, y = loss_of(
        net, loss, Batch({"input": x}, {"output": t}), Mixing((rt.MixUp(1), rt.CutMix()))
    )
    far = (lambda a: a.abs()) if loss == "mae" else (lambda a: a**2)
    own, other = far(y - t).mean(1), far(y - mixed.partners["output"]).mean(1)
    torch.testing.assert_close(found, (mixed.share * own + (1 - mixed.share) * other).mean())


def test_several_outputs_add_up_by_their_weights() -> None:
    net = rt.Graph(
        {"body": rt.Linear(4), "a": rt.Linear(2), "b": rt.Linear(3)}, "body -> a", "body -> b", input=5
    ).init(seed=0)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(12, 5, generator=generator)
    targets = {"a": torch.randn(12, 2, generator=generator), "b": torch.randn(12, 3, generator=generator)}
    mixing = Mixing((rt.MixUp(1),))
    mixed = mixing.mixed(Batch({"input": x}, targets), mixing.key(0, 0))
    lower = objective(net, {"a": ("mse", 3.0), "b": "mae"})
    values = walk_values(net, mixed.batch.inputs, net.arrays, Run(training=True), lower.wanted)
    whole = objective(
        net, lambda y, t: 3 * ((y["a"] - t["a"]) ** 2).mean(1) + (y["b"] - t["b"]).abs().mean(1)
    )
    torch.testing.assert_close(mixing.loss(lower, values, mixed), mixing.loss(whole, values, mixed))


def test_a_loss_of_one_number_for_a_batch_cannot_be_shared() -> None:
    net = net_of(rt.Linear(3))
    given = Batch({"input": torch.randn(4, 2, 6, 5)}, {"output": torch.randn(4, 3)})

    def spread(y: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return (y - t).var()

    with pytest.raises(rt.TrainingError) as caught:
        loss_of(net, spread, given, Mixing((rt.MixUp(1),)))
    assert str(caught.value) == (
        "mix= needs a loss of one number an example; spread answers one for the whole batch.\n"
        "  fix   leave mix= out, or let the loss answer one number for each example"
    )


# Programs -----------------------------------------------------------------------------------------


@every
def test_mixing_is_recorded_with_its_key_as_an_input(name: str) -> None:
    mixing = read_mix(WAYS[name])
    given = batch(16)

    def job(x: torch.Tensor, y: torch.Tensor, rows: torch.Tensor, key: torch.Tensor) -> dict:
        mixed = mixing.mixed(Batch({"input": x}, {"output": y}, rows), (key[0], key[1]))
        return {"x": mixed.batch.inputs["input"], "partners": mixed.partners["output"], "share": mixed.share}

    inputs = {"x": given.inputs["input"], "y": given.targets["output"], "rows": given.rows}
    tape = record(job, {**inputs, "key": torch.zeros(2, dtype=torch.int64)})
    assert set(tape.inputs) == {"x", "y", "rows", "key"}
    targets = {name: Target(zero(tape.fact(ref))) for name, ref in tape.outputs.items()}
    Planner(tape, {**inputs, "key": torch.tensor(mixing.key(3, 4))}, {}, targets).plan().run()
    expected = mixing.mixed(given, mixing.key(3, 4))
    torch.testing.assert_close(targets["x"].tensor, expected.batch.inputs["input"])
    torch.testing.assert_close(targets["share"].tensor, expected.share)
    assert torch.equal(targets["partners"].tensor, expected.partners["output"])


# Settings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["mixup", rt.MixUp, [], [rt.MixUp(), 3], 0.2])
def test_other_things_are_no_way_to_mix(given: object) -> None:
    with pytest.raises(rt.ArgumentError) as caught:
        read_mix(given)
    assert str(caught.value) == (
        f"mix is rt.MixUp(...), rt.CutMix(...), or a list of them; got {given!r}.\n  fix   mix=rt.MixUp(0.2)"
    )


def test_nothing_is_mixed_unless_it_is_asked_for() -> None:
    assert read_mix(None) is None


def test_alpha_and_chance_have_their_ranges() -> None:
    for make, text in [
        (lambda: rt.MixUp(0), "MixUp: alpha is a number from 0.001 to 1000; got 0."),
        (lambda: rt.CutMix(math.inf), "CutMix: alpha is a number from 0.001 to 1000; got inf."),
        (lambda: rt.CutMix(chance=2), "CutMix: chance is a number from 0 to 1; got 2."),
    ]:
        with pytest.raises(rt.ArgumentError) as caught:
            make()
        assert str(caught.value) == text


def test_nets_whose_inputs_have_no_mean_are_refused() -> None:
    words = rt.Chain(rt.Embedding(3, classes=9), rt.Flatten(), input=4)
    with pytest.raises(rt.TrainingError) as caught:
        Mixing((rt.MixUp(),)).check(words)
    assert str(caught.value) == (
        "MixUp: input takes whole numbers, which have no mean.\n  fix   leave mix= out"
    )
    with pytest.raises(rt.TrainingError) as caught:
        Mixing((rt.CutMix(),)).check(rt.Linear(3, input=4))
    assert str(caught.value) == (
        "CutMix: it takes nets with one input, a picture of channels, height and width; this one takes "
        "input (4).\n  fix   mix=rt.MixUp(0.2), which mixes any numbers"
    )
    Mixing((rt.MixUp(), rt.CutMix())).check(net_of(rt.Linear(3)))


def test_ways_to_mix_are_values() -> None:
    assert rt.MixUp(0.2) == rt.MixUp()
    assert rt.MixUp(0.3) != rt.MixUp()
    assert repr(rt.CutMix(0.5, chance=0.1)) == "CutMix(0.5, chance=0.1)"
