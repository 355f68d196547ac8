"""Schedules over whole runs against torch.optim.lr_scheduler, as pure functions, and as values."""

import math
import warnings

import pytest
import torch

import retia as rt
from retia.nets.expression import from_json, to_json
from retia.training.schedule import Moment, Schedule
from retia.training.schedules import (
    SCHEDULES,
    CosineDecay,
    ExponentialDecay,
    Function,
    Milestones,
    OneCycle,
    OnPlateau,
    PolynomialDecay,
    Steady,
    StepDecay,
    Warmup,
    read_schedule,
)

there = torch.optim.lr_scheduler


def factors_of_torch(make, count, seen=None):
    """The learning rates of so many steps of a PyTorch scheduler, whose optimizer has the rate 1."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True, dtype=torch.float64)], 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SequentialLR warns of its own calls
        scheduler = make(optimizer)
        for step in range(count):
            yield optimizer.param_groups[0]["lr"]
            optimizer.step()
            scheduler.step(*([] if seen is None else [seen[step]]))


def warmed(steps, then):
    """PyTorch's way to a rise of so many steps with something after it."""

    def make(optimizer):
        rise = there.LinearLR(optimizer, start_factor=1 / (steps + 1), total_iters=steps)
        return there.SequentialLR(optimizer, [rise, then(optimizer)], milestones=[steps])

    return make


BY_STEP = [
    (Steady(), lambda o: there.ConstantLR(o, 1.0)),
    (StepDecay(7, 0.5, per="step"), lambda o: there.StepLR(o, 7, 0.5)),
    (Milestones((3, 30, 31), 0.3, per="step"), lambda o: there.MultiStepLR(o, [3, 30, 31], 0.3)),
    (ExponentialDecay(0.97, per="step"), lambda o: there.ExponentialLR(o, 0.97)),
    (PolynomialDecay(), lambda o: there.PolynomialLR(o, 100, 1.0)),
    (PolynomialDecay(2.5), lambda o: there.PolynomialLR(o, 100, 2.5)),
    (PolynomialDecay(least=0.2), lambda o: there.LinearLR(o, 1.0, 0.2, 100)),
    (PolynomialDecay(warmup=10), warmed(10, lambda o: there.PolynomialLR(o, 90, 1.0))),
    (CosineDecay(), lambda o: there.CosineAnnealingLR(o, 100)),
    (CosineDecay(least=0.1), lambda o: there.CosineAnnealingLR(o, 100, 0.1)),
    (CosineDecay(warmup=0.05), warmed(5, lambda o: there.CosineAnnealingLR(o, 95))),
    (Warmup(20), lambda o: there.LinearLR(o, 1 / 21, total_iters=20)),
    (
        Warmup(0.2, then=StepDecay(30, per="step")),
        warmed(20, lambda o: there.StepLR(o, 30)),
    ),
    (OneCycle(), lambda o: there.OneCycleLR(o, 1.0, 100, cycle_momentum=False)),
    (
        OneCycle(0.45, first=0.1, last=0.001, curve="linear"),
        lambda o: there.OneCycleLR(
            o,
            1.0,
            100,
            pct_start=0.45,
            anneal_strategy="linear",
            cycle_momentum=False,
            div_factor=10,
            final_div_factor=100,
        ),
    ),
    (OneCycle(25), lambda o: there.OneCycleLR(o, 1.0, 100, pct_start=0.25, cycle_momentum=False)),
]


@pytest.mark.parametrize(("ours", "theirs"), BY_STEP)
def test_every_step_has_the_rate_of_torch(ours, theirs):
    for step, expected in enumerate(factors_of_torch(theirs, 100)):
        assert ours.factor(Moment(step, 100)) == pytest.approx(expected, rel=1e-9, abs=1e-15), step


@pytest.mark.parametrize(
    ("ours", "formula"),
    [
        (CosineDecay(least=0.1), lambda k: 0.1 + 0.9 * (1 + math.cos(math.pi * k / 1000)) / 2),
        (PolynomialDecay(2, least=0.1), lambda k: 0.1 + 0.9 * (1 - k / 1000) ** 2),
        (ExponentialDecay(0.999, per="step"), lambda k: math.exp(k * math.log(0.999))),
        (StepDecay(100, 0.5, per="step"), lambda k: 2.0 ** -(k // 100)),
        (Warmup(100), lambda k: min((k + 1) / 101, 1)),
    ],
)
def test_no_error_gathers_over_a_long_run(ours, formula):
    for step in range(1000):
        assert ours.factor(Moment(step, 1000)) == pytest.approx(formula(step), rel=1e-12)


@pytest.mark.parametrize("steps", [2, 3, 5, 10])
def test_one_cycle_is_torchs_in_short_runs_too(steps):
    expected = factors_of_torch(lambda o: there.OneCycleLR(o, 1.0, steps, cycle_momentum=False), steps)
    for step, factor in enumerate(expected):
        assert OneCycle().factor(Moment(step, steps)) == pytest.approx(factor, rel=1e-12)


BY_EPOCH = [
    (StepDecay(7), lambda o: there.StepLR(o, 7)),
    (Milestones((2, 9)), lambda o: there.MultiStepLR(o, [2, 9])),
    (ExponentialDecay(0.9), lambda o: there.ExponentialLR(o, 0.9)),
]


@pytest.mark.parametrize(("ours", "theirs"), BY_EPOCH)
def test_every_epoch_has_the_rate_of_torch(ours, theirs):
    for epoch, expected in enumerate(factors_of_torch(theirs, 20)):
        for step in range(3):
            at = Moment(3 * epoch + step, 60, epoch, 20)
            assert ours.factor(at) == pytest.approx(expected, rel=1e-9)


def course(seed, count=60):
    generator = torch.Generator().manual_seed(seed)
    falling = torch.linspace(2, 0, count, dtype=torch.float64).exp()
    noise = torch.randn(count, generator=generator, dtype=torch.float64)
    return (falling + 0.3 * noise).round(decimals=2).tolist()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (OnPlateau(patience=3), {"patience": 2}),
        (OnPlateau(0.5, patience=1), {"factor": 0.5, "patience": 0}),
        (OnPlateau(0.5, patience=2, cooldown=3), {"factor": 0.5, "patience": 1, "cooldown": 3}),
        (OnPlateau(0.5, patience=2, least=0.2), {"factor": 0.5, "patience": 1, "min_lr": 0.2}),
        (OnPlateau(0.5, patience=3, least_change=0.1), {"factor": 0.5, "patience": 2, "threshold": 0.1}),
        (OnPlateau(0.5, patience=3, better="higher"), {"factor": 0.5, "patience": 2, "mode": "max"}),
    ],
    ids=lambda value: repr(value) if isinstance(value, Schedule) else "",
)
def test_a_plateau_is_seen_where_torch_sees_it(ours, theirs, seed):
    seen = course(seed)
    how = {"threshold": 0.0, "threshold_mode": "abs", "eps": 0.0, **theirs}
    history, found = [], []
    for epoch, expected in enumerate(
        factors_of_torch(lambda o: there.ReduceLROnPlateau(o, **how), len(seen), seen)
    ):
        found.append(ours.factor(Moment(epoch, 60, epoch, 60, tuple(history))))
        assert found[-1] == pytest.approx(expected, rel=1e-12), epoch
        history.append({"epoch": epoch + 1, "val_loss": seen[epoch]})
    assert found[-1] < found[0]


@pytest.mark.parametrize(
    ("on", "better"),
    [
        ("loss", "lower"),
        ("val_loss", "lower"),
        ("val_digit_loss", "lower"),
        ("val_accuracy", "higher"),
        ("val_digit_accuracy", "higher"),
        ("mae", "lower"),
        ("val_top_5", "higher"),
    ],
)
def test_which_direction_is_better_follows_from_the_figures_name(on, better):
    rising = [{on: float(figure)} for figure in range(5)]
    factor = OnPlateau(0.5, on=on, patience=3).factor(Moment(0, 1, 5, 9, rising))
    assert factor == (0.5 if better == "lower" else 1.0)


def test_a_figure_that_is_not_a_number_is_not_better():
    history = [{"val_loss": 1.0}, *({"val_loss": math.nan} for _ in range(3))]
    assert OnPlateau(0.5, patience=3).factor(Moment(0, 1, 4, 9, history)) == 0.5


def test_a_plateau_of_a_figure_that_is_not_there_is_an_error():
    with pytest.raises(rt.ArgumentError) as caught:
        OnPlateau(on="val_los", better="lower").factor(Moment(0, 1, 1, 9, [{"loss": 1.0, "val_loss": 0.5}]))
    assert str(caught.value) == (
        "OnPlateau: the history has no 'val_los'. Did you mean 'val_loss'?\n  fix   on= one of loss, val_loss"
    )


def test_a_plateau_of_a_figure_of_ones_own_needs_its_direction():
    with pytest.raises(rt.ArgumentError) as caught:
        OnPlateau(on="val_worst")
    assert str(caught.value) == (
        "OnPlateau: whether a higher or a lower 'val_worst' is better cannot be known from its name.\n"
        '  fix   better="higher" or better="lower"'
    )
    assert OnPlateau(on="val_worst", better="lower").needs() == ("val_worst",)


def test_a_warm_up_waits_with_what_comes_after_it():
    after = Warmup(10, then=OnPlateau(0.5, patience=1, on="loss"))
    history = [{"loss": 1.0}, {"loss": 1.0}]
    assert after.factor(Moment(4, 100)) == 5 / 11
    assert after.factor(Moment(4, 100, 2, 10, history)) == 0.5 * 5 / 11
    assert after.factor(Moment(50, 100, 2, 10, history)) == 0.5
    assert after.needs() == ("loss",)


@pytest.mark.parametrize("ours", [pair[0] for pair in BY_STEP + BY_EPOCH])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_factors_are_numbers_in_every_moment_also_past_the_end(ours, steps):
    for step in range(3 * steps):
        assert 0 <= ours.factor(Moment(step, steps, step, steps)) <= 1


def test_what_looks_at_the_length_of_a_run_does_not_extend():
    extending = [Steady(), StepDecay(3), Milestones((1,)), ExponentialDecay(0.9), OnPlateau(), Warmup(9)]
    for schedule in [*extending, Function(lambda step: 1.0)]:
        assert schedule.extends()
        if isinstance(schedule, OnPlateau):
            continue
        for step in range(10):
            short, long = (schedule.factor(Moment(step, n, step, n)) for n in (10, 20))
            assert short == long
    ending = [PolynomialDecay(), CosineDecay(warmup=3), OneCycle(), Warmup(0.1), Warmup(3, then=OneCycle())]
    for schedule in ending:
        assert not schedule.extends()
        assert schedule.factor(Moment(5, 10)) != schedule.factor(Moment(5, 20)) or schedule == Warmup(0.1)


def test_what_counts_epochs_says_so():
    for schedule in (Steady(), StepDecay(3), Milestones((1,)), ExponentialDecay(0.9), OnPlateau()):
        assert schedule.by_epoch()
    for schedule in (StepDecay(3, per="step"), Milestones((1,), per="step"), CosineDecay(), Warmup(3)):
        assert not schedule.by_epoch()


def test_schedules_are_values():
    values = [pair[0] for pair in BY_STEP + BY_EPOCH] + [OnPlateau(0.5, cooldown=1)]
    assert len({*values}) == len(values)
    for value in values:
        assert eval(repr(value), dict(SCHEDULES)) == value
        assert from_json(to_json(value)) == value
    with pytest.raises(AttributeError):
        Steady().length = 3


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (None, None),
        ("constant", Steady()),
        ("cosine", CosineDecay()),
        ("CosineAnnealingLR", CosineDecay()),
        ("keras.optimizers.schedules.CosineDecay", CosineDecay()),
        ("one-cycle", OneCycle()),
        ("OneCycleLR", OneCycle()),
        ("onecycle", OneCycle()),
        ("linear", PolynomialDecay()),
        ("polynomial", PolynomialDecay()),
        ("plateau", OnPlateau()),
        ("ReduceLROnPlateau", OnPlateau()),
        (StepDecay(3), StepDecay(3)),
    ],
)
def test_schedules_go_by_the_names_of_pytorch_and_keras(given, meant):
    assert read_schedule(given) == meant


def test_a_function_of_the_step_is_a_schedule():
    seen = []

    def halving(step):
        seen.append(step)
        return 0.5**step

    schedule = read_schedule(halving)
    assert seen == [0]
    assert schedule.factor(Moment(3, 10)) == 0.125
    assert schedule == Function(halving) != Function(lambda step: 1)
    assert repr(schedule).endswith("halving")
    assert read_schedule(lambda step: torch.tensor(0.5)).factor(Moment(0, 1)) == 0.5


def failing(step):
    return 1 / step


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("cosin", "schedule: there is none called 'cosin'. Did you mean 'cosine'?"),
        ("step", "schedule: 'step' alone does not say enough.\n  fix   schedule=rt.StepDecay(30)"),
        (
            "exponential",
            "schedule: 'exponential' alone does not say enough.\n  fix   schedule=rt.ExponentialDecay(0.95)",
        ),
        (OneCycle, "schedule is the class OneCycle, not a value.\n  fix   rt.OneCycle()"),
        (StepDecay, "schedule is the class StepDecay, not a value.\n  fix   rt.StepDecay(30)"),
        (
            there.StepLR,
            "schedule is PyTorch's StepLR, which answers rates for an optimizer of its own.\n"
            "  fix   rt.StepDecay(30)",
        ),
        (failing, "schedule: failing(0) fails: ZeroDivisionError: division by zero\n  fix   a function of"),
        (print, "schedule: print(0) is the factor of the learning rate, a number of at least 0; got None."),
        (0.1, "schedule is one of rt.Steady, rt.StepDecay,"),
    ],
)
def test_what_is_no_schedule_is_refused(given, said):
    with pytest.raises(rt.ArgumentError) as caught:
        read_schedule(given)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("answer", [-0.1, math.nan, math.inf, True, "1"])
def test_a_function_answers_a_number_of_at_least_0(answer):
    schedule = Function(lambda step: answer)
    with pytest.raises(rt.ArgumentError, match=r"\(7\) is the factor of the learning rate, a number of"):
        schedule.factor(Moment(7, 10))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: StepDecay(), "StepDecay(): every is missing."),
        (lambda: StepDecay(0), "StepDecay: every is a whole number of at least 1; got 0."),
        (lambda: StepDecay(3, 1.5), "StepDecay: factor is a number from 0 to 1; got 1.5."),
        (lambda: StepDecay(3, per="batch"), "StepDecay: per is one of 'epoch', 'step'; got 'batch'."),
        (
            lambda: StepDecay(3, gamma=0.1),
            "StepDecay(3, gamma=...): StepDecay has no argument 'gamma'. Here it",
        ),
        (
            lambda: Milestones((3, 3)),
            "Milestones: at are whole numbers that rise, like (30, 60, 80); got (3, 3)",
        ),
        (lambda: Milestones(3), "Milestones: at are whole numbers that rise"),
        (
            lambda: CosineDecay(warmup=5.0),
            "CosineDecay: warmup is a whole number of steps, or a share of the run from 0.0 to 1.0; got 5.0.",
        ),
        (lambda: Warmup(-1), "Warmup: length is a whole number of steps"),
        (lambda: Warmup(True), "Warmup: length is a whole number of steps"),
        (lambda: Warmup(5, then="cosine"), "Warmup: then is a schedule; got 'cosine'."),
        (
            lambda: OneCycle(pct_start=0.3),
            "OneCycle(pct_start=...): OneCycle has no argument 'pct_start'. Here",
        ),
        (lambda: OnPlateau(on=3), 'OnPlateau: on is the name of a figure, like "val_loss"; got 3.'),
        (lambda: OnPlateau(mode="max"), "OnPlateau(mode=...): OnPlateau has no argument 'mode'. Here it is"),
    ],
)
def test_settings_out_of_range_are_refused(make, said):
    with pytest.raises(rt.ArgumentError) as caught:
        make()
    assert str(caught.value).startswith(said)


def test_the_curve_of_a_schedule_is_its_factor_at_every_step():
    place = rt.OneCycle().plot(steps=40, epochs=4).axes[0]
    rt.StepDecay(2).plot(steps=40, epochs=4, ax=place)
    one, steps = (line.get_ydata() for line in place.lines)
    assert [*one] == [rt.OneCycle().factor(Moment(step, 40)) for step in range(40)]
    assert [*steps] == [0.1 ** (step // 10 // 2) for step in range(40)]
    with pytest.raises(rt.ArgumentError) as caught:
        rt.OnPlateau().plot()
    assert str(caught.value) == (
        "plot: OnPlateau() looks at val_loss, so it has no curve before a run.\n"
        '  fix   [entry["rate"] for entry in run.history]'
    )
