"""Values that end a training: when they do, what they say, and what is refused before the first step."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import retia as rt
from retia.nets.expression import from_json, to_json
from retia.training.stopping import EarlyStopping, Target, TimeLimit, by_name, read_stops

FIGURES = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds")


def history(values, on="val_loss"):
    return [{"epoch": number, on: value} for number, value in enumerate(values, 1)]


def ended(stop, values, on="val_loss"):
    """After how many epochs a training with these figures ends, and why; "" if it does not."""
    stops, past = read_stops(stop), []
    for entry in history(values, on):
        past.append(entry)
        why = stops.why(past, 0.0)
        if why:
            return len(past), why
    return len(past), ""


# Early stopping -----------------------------------------------------------------------------------


def test_it_ends_when_nothing_was_better_for_so_many_epochs():
    assert ended(EarlyStopping(patience=3), [5.0, 4.0, 4.5, 4.0, 4.2, 1.0]) == (
        5,
        "val_loss was no better for 3 epochs; it was best in epoch 2, 4",
    )
    assert ended(EarlyStopping(patience=1), [1.0, 2.0]) == (
        2,
        "val_loss was no better for 1 epoch; it was best in epoch 1, 1",
    )
    assert ended(EarlyStopping(patience=3), [5.0, 4.0, 4.5, 4.0, 3.9, 3.8, 3.7]) == (7, "")


def test_accuracy_is_better_when_it_is_higher_and_better_can_be_told():
    rising = [0.1, 0.2, 0.3, 0.4]
    assert ended(EarlyStopping(patience=2, on="val_accuracy"), rising, "val_accuracy") == (4, "")
    assert ended(EarlyStopping(patience=2, on="val_accuracy", better="lower"), rising, "val_accuracy")[0] == 3
    assert ended(EarlyStopping(patience=2, on="mine", better="higher"), rising, "mine") == (4, "")


def test_a_change_of_less_than_asked_does_not_count():
    falling = [1.0, 0.95, 0.9, 0.85, 0.8, 0.75]
    assert ended(EarlyStopping(patience=2, least_change=0.08), falling) == (6, "")
    assert ended(EarlyStopping(patience=2, least_change=0.2), falling) == (
        3,
        "val_loss was no better for 2 epochs; it was best in epoch 1, 1",
    )


def test_what_is_no_number_is_never_better():
    nan = math.nan
    assert ended(EarlyStopping(patience=2), [nan, nan, 1.0]) == (2, "val_loss was not a number for 2 epochs")
    assert ended(EarlyStopping(patience=2), [3.0, nan, 2.0, nan, nan])[0] == 5
    assert ended(EarlyStopping(patience=2), [math.inf, 5.0, 4.0]) == (3, "")


def keras(values, patience, least_change):
    """Early stopping as Keras writes it, with its counter: after how many epochs it ends."""
    best, wait = math.inf, 0
    for number, value in enumerate(values, 1):
        wait += 1
        if value < best - least_change or (best == math.inf and not math.isnan(value)):
            best, wait = value, 0
        if wait >= patience:
            return number
    return len(values)


@given(
    st.lists(st.sampled_from([0.5, 1.0, 1.5, 2.0, 2.5, math.nan]), max_size=25),
    st.integers(1, 5),
    st.sampled_from([0.0, 0.5, 1.0]),
)
def test_it_ends_where_a_counter_would(values, patience, least_change):
    assert ended(EarlyStopping(patience, least_change=least_change), values)[0] == keras(
        values, patience, least_change
    )


@given(st.lists(st.floats(0, 4, width=16, allow_subnormal=False), max_size=20), st.integers(0, 20))
def test_a_training_that_goes_on_ends_where_it_would_have_ended(values, cut):
    stops = read_stops([EarlyStopping(3), Target(val_loss=0.5)])
    before = [stops.why(history(values[:n]), 0.0) for n in range(1, len(values) + 1)]
    again = read_stops([from_json(to_json(stop)) for stop in stops.each])
    after = [again.why(history(values[:n]), 0.0) for n in range(min(cut, len(values)) + 1, len(values) + 1)]
    assert after == before[min(cut, len(values)) :]


# Targets, time and functions ----------------------------------------------------------------------


def test_a_target_is_reached_in_the_direction_of_its_figure():
    assert ended(Target(val_accuracy=0.9), [0.5, 0.9, 0.95], "val_accuracy") == (
        2,
        "val_accuracy reached 0.9 in epoch 2",
    )
    assert ended(Target(val_loss=0.5), [0.9, 0.6, 0.5]) == (3, "val_loss reached 0.5 in epoch 3")
    assert ended(Target(val_loss=0.5), [0.9, math.nan, 0.6]) == (3, "")
    assert ended(Target(mine=2, better="higher"), [1, 3], "mine") == (2, "mine reached 2 in epoch 2")


def test_several_targets_are_reached_together():
    stops = read_stops(Target(val_accuracy=0.9, val_loss=0.3))
    assert stops.why([{"epoch": 1, "val_accuracy": 0.95, "val_loss": 0.4}], 0.0) == ""
    assert stops.why([{"epoch": 2, "val_accuracy": 0.95, "val_loss": 0.2}], 0.0) == (
        "val_accuracy reached 0.9 and val_loss reached 0.3 in epoch 2"
    )


def test_a_limit_of_time_adds_its_units_up():
    stops = read_stops(TimeLimit(30, minutes=1, hours=1))
    assert stops.seconds == 3690
    assert stops.why([], 3689.9) == ""
    assert stops.why([], 3690.0) == "the time limit of 3690 s was reached"
    assert read_stops([TimeLimit(hours=2), TimeLimit(5), EarlyStopping()]).seconds == 5
    assert read_stops(None).seconds == math.inf


def test_a_function_ends_it_by_true_or_stop():
    def settled(entry):
        return entry["val_loss"] < 1

    assert ended(settled, [3.0, 2.0, 0.5, 0.4]) == (3, "settled said stop after epoch 3")
    for answer in ("stop", True, np.bool_(True), torch.tensor(True)):
        assert ended(lambda entry, a=answer: a, [1.0]) == (1, "<lambda> said stop after epoch 1")
    for answer in (None, False, np.bool_(False), torch.tensor(False)):
        assert ended(lambda entry, a=answer: a, [1.0]) == (1, "")


@pytest.mark.parametrize("answer", [1, 0.5, "yes", torch.tensor(1)])
def test_a_function_that_answers_something_else_is_told(answer):
    with pytest.raises(rt.ArgumentError) as caught:
        ended(lambda entry: answer, [1.0])
    assert str(caught.value) == (
        f'stop: <lambda> answers True or "stop" to end the training, else False or None; got {answer!r}.'
    )


def test_a_function_cannot_change_the_history():
    past = history([1.0])
    with pytest.raises(TypeError, match="does not support item assignment"):
        read_stops(set_it).why(past, 0.0)
    assert past == history([1.0])


def set_it(entry):
    entry["val_loss"] = 0.0


def test_the_first_that_says_why_is_heard():
    past = history([1.0, 2.0])
    assert "val_loss was no better" in read_stops([EarlyStopping(1), lambda entry: True]).why(past, 0.0)
    assert "<lambda>" in read_stops([lambda entry: True, EarlyStopping(1)]).why(past, 0.0)
    assert read_stops(()).why(past, 1e9) == ""


# Before the first step ----------------------------------------------------------------------------


def test_names_are_checked_before_the_first_step():
    read_stops([EarlyStopping(), Target(accuracy=0.9), TimeLimit(1), set_it]).check(FIGURES)
    with pytest.raises(rt.ArgumentError) as caught:
        read_stops(EarlyStopping(on="val_acuracy")).check(FIGURES)
    assert str(caught.value) == (
        "EarlyStopping: there is no figure 'val_acuracy'. Did you mean 'val_accuracy'?\n"
        "  fix   one of loss, accuracy, val_loss, val_accuracy, seconds"
    )
    with pytest.raises(rt.ArgumentError, match="^Target: there is no figure 'val_acc'."):
        read_stops(Target(loss=1, val_acc=0.9)).check(FIGURES)


def test_without_a_validation_part_its_figures_are_not_there():
    with pytest.raises(rt.ArgumentError) as caught:
        read_stops(EarlyStopping()).check(["epoch", "loss", "accuracy"])
    assert str(caught.value) == (
        "EarlyStopping: val_loss is of the validation part, and there is none.\n"
        "  fix   validation=0.1 holds out a tenth; or look at 'loss'"
    )


def test_a_figure_whose_direction_nobody_knows_is_refused():
    with pytest.raises(rt.ArgumentError) as caught:
        read_stops(EarlyStopping(on="seconds")).check(FIGURES)
    assert str(caught.value) == (
        "stop: whether a higher or a lower 'seconds' is better cannot be known from its name.\n"
        '  fix   better="higher" or better="lower"'
    )
    read_stops(EarlyStopping(on="seconds", better="lower")).check(FIGURES)
    told = {"seconds": "higher"}
    assert ended_with(EarlyStopping(2, on="seconds"), [1.0, 2.0, 3.0], told.__getitem__) == ""


def ended_with(stop, values, direction):
    stops = read_stops(stop, direction)
    stops.check(["epoch", "seconds"])
    return stops.why(history(values, "seconds"), 0.0)


@pytest.mark.parametrize(
    ("key", "better"),
    [("loss", "lower"), ("val_loss", "lower"), ("accuracy", "higher"), ("val_top_5", "higher"),
     ("rmse", "lower"), ("val_r2", "higher"), ("val_label.error_rate", "lower"), ("label_f1", "higher")],
)  # fmt: skip
def test_figures_tell_their_direction_by_name(key, better):
    assert by_name(key) == better


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EarlyStopping(0), "EarlyStopping: patience is a whole number of at least 1; got 0."),
        (lambda: EarlyStopping(on=3), "EarlyStopping: on is a figure's name; got 3."),
        (lambda: EarlyStopping(least_change=-1),
         "EarlyStopping: least_change is a number from 0 to inf; got -1."),
        (lambda: Target(), "Target has no target."),
        (lambda: Target(loss="low"), "Target: loss is a number from -inf to inf; got 'low'."),
        (lambda: Target(loss=math.nan), "Target: loss is a number from -inf to inf; got nan."),
        (lambda: TimeLimit(), "TimeLimit is above 0 seconds."),
        (lambda: TimeLimit(minutes=-1), "TimeLimit: minutes is a number from 0 to inf; got -1."),
    ],
)  # fmt: skip
def test_values_out_of_range_are_refused(make, message):
    with pytest.raises(rt.ArgumentError) as caught:
        make()
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("given", "fix"),
    [
        (5, "stop=rt.EarlyStopping(patience=5)"),
        ([EarlyStopping(), "early"], "stop=rt.EarlyStopping(patience=5), rt.Target(val_accuracy=0.99) or "
                                     "rt.TimeLimit(minutes=10)"),
        (EarlyStopping, "rt.EarlyStopping(...)"),
    ],
)  # fmt: skip
def test_what_is_no_stop_is_refused(given, fix):
    with pytest.raises(rt.ArgumentError, match="^stop is ") as caught:
        read_stops(given)
    assert caught.value.fix == fix


def test_they_are_values():
    for stop in (EarlyStopping(3, on="loss"), Target(val_loss=0.5, better="lower"), TimeLimit(minutes=2)):
        again = eval(repr(stop), {"EarlyStopping": EarlyStopping, "Target": Target, "TimeLimit": TimeLimit})
        assert again == stop == from_json(to_json(stop))
        assert hash(again) == hash(stop)
    assert EarlyStopping(3) != EarlyStopping(4)
    assert Target(loss=1) != Target(loss=2)
    one, other = read_stops([lambda e: True, lambda e: False]).each
    assert one != other
