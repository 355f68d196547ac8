"""The learning-rate range test: the net stays, rates rise, the loss is what those steps give."""

from __future__ import annotations

import signal

import numpy as np
import pytest
import torch

import retia as rt
from retia.experiments.finding import _losses
from retia.training.optimizers import LBFGS


def line(count=70):
    x = np.linspace(-1, 1, count, dtype=np.float32)[:, None]
    return x, 3 * x + 1


def test_the_net_is_untouched():
    net = rt.Chain(rt.Linear(4), rt.BatchNorm(), rt.Tanh(), rt.Linear(1), input=1).init(seed=3)
    before = net.hash
    rt.find_rate(net, line())
    assert net.hash == before


def test_the_losses_are_those_of_sgd_in_plain_pytorch_at_rising_rates():
    x, y = line()
    net = rt.Linear(1, input=1).init(seed=0)
    found = rt.find_rate(net, (x, y), lowest=1e-3, highest=1.0, steps=20, batch_size=70, optimizer=rt.SGD())
    weight = net.arrays["weight"].clone().requires_grad_()
    bias = net.arrays["bias"].clone().requires_grad_()
    for i, (rate, loss) in enumerate(zip(found.rates, found.losses, strict=True)):
        assert rate == pytest.approx(1e-3 * 1000 ** (i / 19))
        theirs = torch.nn.functional.mse_loss(torch.from_numpy(x) @ weight.T + bias, torch.from_numpy(y))
        assert loss == pytest.approx(theirs.item(), rel=1e-5)
        grads = torch.autograd.grad(theirs, [weight, bias])
        with torch.no_grad():
            weight -= rate * grads[0]
            bias -= rate * grads[1]
    assert len(found.rates) == 20
    assert found.why == "all 20 steps done"


def test_the_steps_are_those_of_a_training_with_the_same_seed():
    x, y = line()
    net = rt.Chain(rt.Linear(8), rt.Dropout(0.5), rt.Linear(1), input=1)
    found = rt.find_rate(net, (x, y), lowest=1e-12, highest=1e-11, steps=10, batch_size=10, seed=5)
    run = rt.train(net, (x, y), epochs=1, batch_size=10, seed=5, optimizer=rt.Adam(0.0), progress=False)
    assert np.mean(found.losses[:7]) == pytest.approx(run.history[0]["loss"], rel=1e-5)


def test_it_ends_where_the_loss_diverges():
    found = rt.find_rate(rt.Linear(1), line(), optimizer=rt.SGD(), highest=1e6)
    assert found.why.startswith(("the loss diverged at ", "the loss became "))
    assert len(found.rates) < 100
    assert 0.01 < found.suggestion < 2


def test_the_suggestion_is_the_steepest_fall_before_the_lowest_loss():
    rates = 10.0 ** np.linspace(-6, 0, 61)
    fall = 1 / (1 + np.exp(8 * (np.log10(rates) + 3)))  # steepest at 1e-3
    rise = np.maximum(np.log10(rates) + 1, 0) * 3
    found = rt.RateTest(tuple(rates), tuple(2 + fall + rise), "over")
    assert found.suggestion == pytest.approx(1e-3, rel=0.3)


def test_one_loss_that_blew_up_is_not_seen_far_around_it():
    rates = 10.0 ** np.linspace(-6, 0, 61)
    fall = 1 / (1 + np.exp(8 * (np.log10(rates) + 3)))
    losses = 2 + fall
    losses[-1] = 1e30
    found = rt.RateTest(tuple(rates), tuple(losses), "over")
    assert found.smoothed.max() < 12
    assert found.suggestion == pytest.approx(1e-3, rel=0.3)


def test_a_loss_that_never_falls_suggests_nothing():
    found = rt.RateTest((0.1, 1.0, 10.0), (1.0, 2.0, 3.0), "over")
    with pytest.raises(rt.TrainingError) as caught:
        _ = found.suggestion
    assert str(caught.value) == (
        "find_rate: the loss never fell, so there is no rate to suggest.\n"
        "  fix   lowest= below the first rate tried, or more steps="
    )
    assert repr(found) == "<RateTest: 3 rates to 10, the loss never fell; over>"


def test_multipliers_hold():
    x, y = line()
    net = rt.Chain(rt.Linear(3), rt.Tanh(), rt.Linear(1), input=1).init(seed=0)
    still = rt.find_rate(net, (x, y), rates={"2": 1e-30, "*": 0}, steps=10, highest=1.0, batch_size=70)
    assert still.losses == pytest.approx([still.losses[0]] * 10)


def test_the_picture_has_the_suggestion(tmp_path):
    found = rt.find_rate(rt.Linear(1), line(), optimizer=rt.SGD())
    drawn = found.plot(tmp_path / "rate.png")
    assert (tmp_path / "rate.png").stat().st_size > 1000
    (ax,) = drawn.axes
    assert ax.get_xscale() == "log"
    told = [text.get_text() for text in ax.get_legend().get_texts()]
    assert told == ["loss of each batch", "smoothed", f"suggestion {found.suggestion:.2g}"]
    never = rt.RateTest((0.1, 1.0, 10.0), (1.0, 2.0, 3.0), "over").plot()
    assert len(never.axes[0].get_legend().get_texts()) == 2


def test_ctrl_c_ends_it_with_what_there_is(monkeypatch):
    def pressed(*given):
        signal.raise_signal(signal.SIGINT)
        return _losses(*given)

    monkeypatch.setattr("retia.experiments.finding._losses", pressed)
    found = rt.find_rate(rt.Linear(1), line())
    assert found.why == "interrupted"
    assert len(found.losses) == 1


def test_penalties_and_clipping_are_those_of_the_training():
    x, y = line()
    net = rt.Linear(1, input=1).init(seed=0)
    how = {"steps": 10, "lowest": 0.1, "highest": 1.0, "batch_size": 70, "optimizer": rt.SGD()}
    plain = rt.find_rate(net, (x, y), **how).losses
    assert rt.find_rate(net, (x, y), clip_norm=1e-30, **how).losses == pytest.approx([plain[0]] * 10)
    assert rt.find_rate(net, (x, y), l2=0.5, **how).losses[-1] > 1.5 * plain[-1]


WRONG = {
    "argument": (
        {"clipnorm": 1.0},
        "find_rate has no argument 'clipnorm'. Did you mean 'clip_norm'?\n  fix   of rt.train's it has: "
        "batch_size, optimizer, loss, seed, device, rates, l1, l2, clip_norm, clip_value, accumulate, turns, "
        "precision, mix",
    ),
    "order": (
        {"lowest": 1.0, "highest": 0.1},
        "find_rate: lowest is above 0 and below highest; got 1 and 0.1.",
    ),
    "zero": ({"lowest": 0.0}, "find_rate: lowest is above 0 and below highest; got 0 and 10."),
    "steps": ({"steps": 3}, "find_rate: steps is a whole number of at least 10; got 3."),
    "search": (
        {"optimizer": LBFGS()},
        "find_rate: LBFGS searches the length of every step itself, so no rate need be found.\n"
        "  fix   rt.train(..., optimizer=LBFGS())",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_refused(name):
    how, said = WRONG[name]
    with pytest.raises(rt.ArgumentError) as caught:
        rt.find_rate(rt.Linear(1), line(), **how)
    assert str(caught.value) == said


def test_a_first_loss_that_is_not_finite_is_told():
    net = rt.Linear(1, input=1).init().with_arrays({"weight": [[np.inf]]})
    with pytest.raises(rt.TrainingError, match="find_rate: the loss of the first batch is (inf|nan)."):
        rt.find_rate(net, line())
