"""What a training tells: every rule on curves drawn by hand, both ways, and on real trainings."""

from __future__ import annotations

import inspect
import math
import random
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import retia as rt
from retia.training.reports import symptoms
from retia.training.reports import verdict as verdicts
from retia.training.reports.records import LayerRecord, Records
from retia.training.reports.trend import fall, noise, smooth, turns
from retia.training.reports.verdict import verdict
from retia.zoo.small import dense

Curve = Callable[[int], float]


def decay(start: float, end: float, pace: float) -> Curve:
    """A curve that falls from a start to an end, most of it within so many epochs."""
    return lambda epoch: end + (start - end) * math.exp(-(epoch - 1) / pace)


def rising(curve: Curve, after: int, slope: float) -> Curve:
    """The same curve, with a slope from an epoch on."""
    return lambda epoch: curve(epoch) + slope * max(0, epoch - after)


def history(epochs: int, loss: Curve, held: Curve | None = None, *, jumps: float = 0.0, seed: int = 0):
    """A history of these curves, each value off by a factor drawn around 1."""
    draw = random.Random(seed)
    entries = []
    for epoch in range(1, epochs + 1):
        entry = {"epoch": epoch, "loss": loss(epoch) * math.exp(draw.gauss(0, jumps / 5))}
        if held is not None:
            entry["val_loss"] = held(epoch) * math.exp(draw.gauss(0, jumps))
        entries.append(entry)
    return entries


def moment(epoch: int, *layers: LayerRecord, loss: float = 2.3, chance: float | None = 2.3) -> Records:
    return Records(epoch, 100 * epoch, 256, loss, chance, layers)


def gradients(*norms: float) -> tuple[LayerRecord, ...]:
    """Linear layers with gradients of these norms."""
    return tuple(
        LayerRecord(str(at), "Linear(9)", weight=3.0, gradient=norm, update=0.01)
        for at, norm in enumerate(norms)
    )


HEALTHY = {
    "fast": (decay(2.3, 0.2, 3), decay(2.3, 0.25, 3)),
    "slow": (decay(2.3, 0.1, 15), decay(2.3, 0.12, 15)),
    "at rest": (decay(2.3, 0.5, 2), decay(2.3, 0.5, 2)),
    "a small gap": (decay(2.3, 0.15, 6), decay(2.3, 0.2, 3)),
    "validation below training": (decay(2.3, 0.4, 4), decay(2.2, 0.3, 4)),
}
FAULTS = {"over-fitting", "not-learning", "diverged", "noisy-validation"}


@pytest.mark.parametrize("kind", HEALTHY)
@pytest.mark.parametrize("epochs", [3, 5, 8, 15, 40, 100])
def test_healthy_curves_give_no_false_alarm(kind: str, epochs: int, full: bool) -> None:
    for seed in range(200 if full else 30):
        told = verdict(history(epochs, *HEALTHY[kind], jumps=0.03, seed=seed))
        assert told.kind not in FAULTS, (seed, told)


@pytest.mark.parametrize("jumps", [0.0, 0.03, 0.08])
def test_a_validation_loss_that_rises_is_over_fitting_with_its_epoch(jumps: float, full: bool) -> None:
    for seed in range(200 if full else 30):
        told = verdict(
            history(30, decay(2.3, 0.01, 5), rising(decay(2.3, 0.4, 2), 9, 0.03), jumps=jumps, seed=seed)
        )
        assert told.kind == "over-fitting"
        assert told.epoch is not None
        assert 6 <= told.epoch <= 15
        assert f"from epoch {told.epoch}:" in told.text


def test_the_epoch_is_the_one_after_the_lowest_validation_loss() -> None:
    told = verdict(history(20, decay(2, 0.01, 4), lambda epoch: 0.5 + 0.02 * abs(epoch - 7)))
    assert (told.kind, told.epoch) == ("over-fitting", 8)
    assert told.evidence == (
        "validation loss 0.5 at epoch 7, 0.72 at the end",
        "training loss 0.454 at epoch 7, 0.0297 at the end",  # the mean of the last two
    )


def test_a_rise_of_both_losses_is_no_over_fitting() -> None:
    up = rising(decay(2.3, 0.4, 2), 12, 0.02)
    assert verdict(history(20, up, up)).kind != "over-fitting"


def test_a_rise_within_the_noise_is_no_over_fitting() -> None:
    told = [verdict(history(30, decay(2, 0.2, 9), lambda _: 0.5, jumps=0.1, seed=seed)) for seed in range(50)]
    assert "over-fitting" not in {each.kind for each in told}


def test_one_epoch_that_jumps_out_changes_no_verdict() -> None:
    entries = history(15, *HEALTHY["fast"])
    entries[11]["val_loss"] *= 5
    assert verdict(entries).kind == "fine"


def test_a_gap_that_opens_over_a_resting_validation_loss_is_over_fitting() -> None:
    entries = history(20, decay(2.3, 0.002, 3), decay(2.3, 0.5, 2))
    for entry in entries:
        entry["accuracy"], entry["val_accuracy"] = 1 - entry["loss"] / 5, 0.88
    told = verdict(entries)
    assert (told.kind, told.epoch) == ("over-fitting", 8)
    assert told.evidence[-1] == "accuracy 99.9% in training, 88.0% in validation"
    for entry in entries:
        entry["val_accuracy"] = entry["accuracy"] - 0.01
    assert verdict(entries).kind == "fine"


def test_without_accuracy_a_gap_is_three_times_the_training_loss() -> None:
    assert verdict(history(30, decay(2, 0.1, 3), decay(2, 0.31, 2))).kind == "over-fitting"
    assert verdict(history(30, decay(2, 0.1, 3), decay(2, 0.29, 2))).kind == "fine"


def test_a_gap_between_losses_of_next_to_nothing_is_fine() -> None:
    assert verdict(history(40, decay(2, 1e-7, 2), decay(2, 1e-4, 2))).kind == "fine"


def test_losses_that_still_fall_are_under_fitting() -> None:
    told = verdict(history(5, decay(2.3, 0.1, 5), decay(2.3, 0.1, 5)))
    assert told.kind == "under-fitting"
    assert told.text == "Under-fitting: it was still learning when it stopped."
    assert told.advice[0] == "more epochs"


def test_losses_that_still_fall_when_little_is_left_are_fine_with_a_hint() -> None:
    told = verdict(history(6, decay(2.3, 0, 1.5), decay(2.3, 0, 1.5)))
    assert (told.kind, told.advice) == ("fine", ("more epochs: the loss still falls",))


def test_losses_that_rest_near_chance_are_under_fitting() -> None:
    flat = history(20, decay(2.3, 1.6, 2), decay(2.3, 1.65, 2))
    assert verdict(flat, [moment(0)]).kind == "under-fitting"
    assert verdict(flat).kind == "fine"  # what chance is, nobody knows
    low = history(20, decay(2.3, 0.9, 2), decay(2.3, 0.95, 2))
    assert verdict(low, [moment(0)]).kind == "fine"


def test_a_loss_at_chance_is_not_learning() -> None:
    told = verdict(history(6, lambda _: 2.31, lambda _: 2.30, jumps=0.01), [moment(0, loss=2.5)])
    assert (told.kind, told.text) == ("not-learning", "Not learning: the loss stays at chance.")
    assert told.evidence[0].endswith("2.3 is chance")


def test_a_loss_that_left_chance_is_learning_however_slowly() -> None:
    assert verdict(history(6, decay(2.3, 1.0, 20), decay(2.3, 1.0, 20)), [moment(0)]).kind != "not-learning"


def test_training_loss_with_a_penalty_above_chance_is_judged_by_validation() -> None:
    told = verdict(history(9, lambda e: 4 - e / 9, decay(2.3, 0.4, 3)), [moment(0)])
    assert told.kind != "not-learning"


def test_a_loss_on_its_way_down_to_chance_is_learning() -> None:
    falling = decay(50.0, 2.3, 4)
    assert verdict(history(6, falling, falling), [moment(0, loss=60.0)]).kind == "under-fitting"
    rested = decay(50.0, 2.3, 1)
    assert verdict(history(20, rested, rested), [moment(0, loss=60.0)]).kind == "not-learning"


def test_where_chance_is_unknown_the_start_counts() -> None:
    entries = history(6, lambda _: 5.0, lambda _: 5.0)
    assert verdict(entries, [moment(0, loss=5.0, chance=None)]).kind == "not-learning"
    assert verdict(entries, [moment(0, loss=50.0, chance=None)]).kind != "not-learning"


def test_a_loss_that_is_not_finite_diverged() -> None:
    told = verdict(history(3, decay(2, 1, 1)), diverged="The loss became nan in step 41 (epoch 4).")
    assert told.kind == "diverged"
    assert told.evidence == ("The loss became nan in step 41 (epoch 4).",)
    assert verdict([{"epoch": 1, "loss": math.inf}]).kind == "diverged"


def test_a_training_loss_that_climbs_beyond_chance_diverged() -> None:
    told = verdict(history(12, rising(decay(2.3, 0.5, 2), 5, 1.0), decay(2.3, 0.5, 2)), [moment(0)])
    assert told.kind == "diverged"
    assert told.evidence == ("training loss 0.902 at epoch 4, 7.01 at the end",)


def test_a_training_loss_that_climbs_a_little_did_not_diverge() -> None:
    assert verdict(history(12, rising(decay(2.3, 0.5, 2), 5, 0.05)), [moment(0)]).kind != "diverged"


def test_validation_that_jumps_is_noisy(full: bool) -> None:
    for seed in range(200 if full else 30):
        told = verdict(history(80, decay(2, 0.4, 3), lambda _: 0.5, jumps=0.4, seed=seed))
        assert told.kind == "noisy-validation"


def test_a_steep_curve_is_not_noisy() -> None:
    assert verdict(history(14, decay(2.3, 0, 2), decay(2.3, 0, 2))).kind == "fine"


@pytest.mark.parametrize(
    ("epochs", "text"),
    [
        (0, "Too short to tell: no epochs; 3 say something."),
        (1, "Too short to tell: 1 epoch; 3 say something."),
        (2, "Too short to tell: 2 epochs; 3 say something."),
    ],
)
def test_few_epochs_tell_nothing(epochs: int, text: str) -> None:
    told = verdict(history(epochs, decay(2, 0.1, 1), decay(2, 0.1, 1)))
    assert (told.kind, told.text) == ("too-short", text)


def test_without_validation_no_more_is_said_than_is_known() -> None:
    told = verdict(history(20, decay(2.3, 0.01, 3)))
    assert (told.kind, told.advice[0]) == ("fine", "validation=0.1")


# Layers -------------------------------------------------------------------------------------------


def test_gradients_that_vanish_are_named_by_layer() -> None:
    layers = gradients(1e-6, 1e-5, 1e-3, 0.1, 1.0)
    entries = history(4, lambda _: 2.3, lambda _: 2.3)
    told = verdict(entries, [moment(0, *layers), moment(4, *layers)])
    assert (told.kind, told.path) == ("vanishing", "1")
    assert told.text == "Gradients vanish from 1 (Linear(9)) back to the input: these layers hardly learn."
    assert told.evidence[0] == "gradient 1 at 4 (Linear(9)), 1e-06 at 0 (Linear(9))"
    assert [each.kind for each in told.also] == ["not-learning"]


@pytest.mark.parametrize(
    "norms", [(0.01, 0.1, 1.0), (1.0, 1e-6, 1.0), (5.0, 1.0, 0.5), (0.0, 0.0, 0.0), (1.0,)]
)
def test_gradients_of_about_one_size_do_not_vanish(norms: tuple[float, ...]) -> None:
    layers = gradients(*norms)
    assert verdict([], [moment(0, *layers), moment(4, *layers)]).kind == "too-short"


def test_gradients_that_vanish_at_the_start_alone_are_no_finding() -> None:
    bad, good = gradients(1e-6, 1.0), gradients(0.5, 1.0)
    assert verdict([], [moment(0, *bad), moment(1, *bad), moment(2, *good)]).also == ()
    assert verdict([], [moment(0, *good), moment(1, *good), moment(2, *bad)]).also == ()


def test_gradients_that_explode_are_named_by_layer() -> None:
    layers = gradients(1e5, 1e4, 1.0)
    told = verdict([], [moment(0, *layers), moment(4, *layers)])
    assert (told.kind, told.path) == ("exploding", "1")
    assert told.text == "Gradients explode from 1 (Linear(9)) back to the input."
    broken = gradients(1.0, math.inf, 1.0)
    assert verdict([], [moment(0, *layers), moment(4, *broken)]).path == "1"


def relu(dead: float) -> LayerRecord:
    return LayerRecord("1", "ReLU()", mean=0.1, deviation=1.0, dead=dead)


@pytest.mark.parametrize(("share", "found"), [(0.6, True), (0.4, False)])
def test_dead_units_are_told_from_half_of_a_layer_on(share: float, found: bool) -> None:
    told = verdict([], [moment(0, relu(0.02)), moment(4, relu(share))])
    assert (told.kind == "dead-units") == found
    if found:
        assert told.evidence == (
            "60% of the units of 1 (ReLU()) are 0 for all 256 examples, 2% at the start",
        )


def sigmoid(saturated: float) -> LayerRecord:
    return LayerRecord("1", "Sigmoid()", mean=0.5, deviation=0.5, saturated=saturated)


def test_saturated_hidden_units_are_told_and_sure_outputs_are_not() -> None:
    before, after = gradients(1.0, 1.0)
    assert verdict([], [moment(0), moment(4, before, sigmoid(0.9), after)]).kind == "saturated"
    assert verdict([], [moment(0), moment(4, before, sigmoid(0.3), after)]).kind == "too-short"
    assert verdict([], [moment(0), moment(4, before, after, sigmoid(0.9))]).kind == "too-short"


def test_what_the_layers_tell_comes_after_curves_that_are_good() -> None:
    seen = [moment(0, relu(0.0)), moment(4, relu(0.7))]
    good = verdict(history(20, decay(2.3, 0.05, 2), decay(2.3, 0.06, 2)), seen)
    assert (good.kind, [each.kind for each in good.also]) == ("fine", ["dead-units"])
    poor = verdict(history(20, decay(2.3, 0.9, 2), decay(2.3, 0.9, 2)), seen)
    assert (poor.kind, poor.also) == ("dead-units", ())


def test_a_verdict_prints_its_evidence_and_advice() -> None:
    told = replace(verdict(history(5, decay(2.3, 0.1, 5), decay(2.3, 0.1, 5))), advice=("more epochs",))
    assert str(told) == (
        "Under-fitting: it was still learning when it stopped.\n"
        "  seen  training loss 1.2, still 13% less every epoch\n"
        "  seen  validation loss 1.2\n"
        "  try   more epochs"
    )


# Real trainings -----------------------------------------------------------------------------------


def trained(net: rt.Net, examples: int, **how: Any) -> rt.Training:
    """A short training on the first digits of MNIST, 500 others validating."""
    digits = rt.data("mnist").train.take(examples + 500)
    how = {"epochs": 5, "optimizer": rt.SGD(0.1), **how}
    return rt.train(net, digits[:examples], validation=digits[examples:], progress=False, **how)


def test_a_large_net_over_fits_1000_digits_and_says_from_which_epoch() -> None:
    run = trained(dense([784, 512, 512, 10]), 1000, epochs=25, optimizer=rt.Adam(1e-3))
    assert run.verdict.kind == "over-fitting"
    assert run.verdict.epoch is not None
    assert abs(run.verdict.epoch - run.best_epoch - 1) <= 1
    assert run.report().startswith(f"Over-fitting from epoch {run.verdict.epoch}: ")


def test_ten_layers_of_sigmoids_vanish_and_ten_of_relu_do_not() -> None:
    deep = [784, *[50] * 10, 10]
    sigmoids = trained(dense(deep, activation="sigmoid"), 3000)
    assert sigmoids.verdict.kind == "vanishing"
    assert sigmoids.verdict.path is not None
    assert 3 <= int(sigmoids.verdict.path) <= 13
    assert [each.kind for each in sigmoids.verdict.also] == ["not-learning"]
    assert "vanishing" not in kinds(trained(dense(deep), 3000))


def test_a_net_that_learns_as_it_should_raises_no_alarm() -> None:
    assert kinds(trained(dense([784, 10]), 5000, epochs=8)) <= {"fine", "under-fitting"}


def test_a_learning_rate_of_next_to_nothing_does_not_learn() -> None:
    assert trained(dense([784, 20, 10]), 500, optimizer=rt.SGD(1e-9)).verdict.kind == "not-learning"


def test_a_learning_rate_that_is_far_too_great_kills_units() -> None:
    assert "dead-units" in kinds(trained(dense([784, 200, 60, 10]), 3000, optimizer=rt.Adam(0.1)))


def test_a_training_that_diverged_tells_so() -> None:
    x = [[float(number)] for number in range(200)]
    with pytest.raises(rt.TrainingError) as error:
        rt.train(rt.Linear(1), (x, x), optimizer=rt.SGD(1.0), epochs=40, progress=False)
    run = error.value.run
    assert isinstance(run, rt.Training)
    assert (run.verdict.kind, run.verdict.evidence) == ("diverged", (error.value.message,))


def kinds(run: rt.Training) -> set[str]:
    return {run.verdict.kind, *(each.kind for each in run.verdict.also)}


# Trends -------------------------------------------------------------------------------------------


def test_noise_is_the_deviation_of_what_is_beside_a_line() -> None:
    draw = random.Random(0)
    values = [3 * at + draw.gauss(0, 2.0) for at in range(4000)]
    assert noise(values) == pytest.approx(2.0, rel=0.05)
    assert turns(values[:1] + [draw.gauss(0, 1) for _ in range(4000)]) == pytest.approx(2 / 3, abs=0.03)


def test_trends_of_short_curves() -> None:
    assert (smooth([]), smooth([2.0]), noise([1.0, 2.0, 9.0]), turns([1.0, 2.0])) == ([], [2.0], 0.0, 0.0)
    assert (fall([2.0, 1.0]), fall([0.0, 0.0, 0.0])) == (0.0, 0.0)


def test_the_names_of_the_advice_are_there() -> None:
    code = "".join(inspect.getsource(module) for module in (verdicts, symptoms))
    named = {*re.findall(r"\brt\.(\w+)", code)} - {"train"}
    assert len(named) > 8
    assert named <= {*rt.__all__}
    asked = {*re.findall(r'"(?:stop=rt\.\w+\(\w+=\d+\)|(\w+)=[\d.e-]+)', code)} - {""}
    assert asked <= {*inspect.signature(rt.train).parameters}
