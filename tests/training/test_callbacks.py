"""Callbacks: who is told when, what they may do, and what becomes of their faults."""

from __future__ import annotations

import pytest

import retia as rt
from retia.training.callbacks import MOMENTS, Callbacks, View, read_callbacks

ENTRIES = [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}]


def view(epoch=2, step=20, **how):
    return View(epoch, step, 50, entries=ENTRIES, **how)


class Every:
    """Notes every moment."""

    def __init__(self, answers=None):
        self.told = []
        self.answers = answers or {}

    def note(self, moment, view):
        self.told.append((moment, view.epoch, view.step))
        return self.answers.get(moment)

    def start(self, view):
        return self.note("start", view)

    def step(self, view):
        return self.note("step", view)

    def epoch(self, view):
        return self.note("epoch", view)

    def end(self, view):
        return self.note("end", view)


class AtEnd:
    """Has one method, and something else that is called like another."""

    epoch = 7

    def __init__(self):
        self.seen = []

    def end(self, view):
        self.seen.append(view.entry["epoch"])


def test_each_is_told_of_the_moments_that_it_has_a_method_for():
    every, last, seen = Every(), AtEnd(), []
    callbacks = read_callbacks([every, last, lambda view: seen.append(view.epoch)])
    assert [callbacks.want(moment) for moment in MOMENTS] == [True, True, True, True]
    assert [callbacks.call(moment, view()) for moment in MOMENTS] == ["", "", "", ""]
    assert every.told == [(moment, 2, 20) for moment in MOMENTS]
    assert (last.seen, seen) == ([2], [2])


def test_moments_that_nobody_wants_are_known():
    assert [m for m in MOMENTS if read_callbacks([AtEnd(), print]).want(m)] == ["epoch", "end"]
    for none in (None, (), []):
        assert not any(read_callbacks(none).want(moment) for moment in MOMENTS)


def test_one_callback_needs_no_list():
    assert read_callbacks(AtEnd()).want("end")
    assert read_callbacks(print).want("epoch")


@pytest.mark.parametrize(
    ("moment", "why"),
    [
        ("start", "Every said stop at the start"),
        ("step", "Every said stop after step 20 (epoch 2)"),
        ("epoch", "Every said stop after epoch 2"),
    ],
)
def test_stop_ends_the_training_and_the_others_are_told_all_the_same(moment, why):
    later = Every()
    callbacks = read_callbacks([Every({moment: "stop"}), later])
    assert callbacks.call(moment, view()) == why
    assert later.told == [(moment, 2, 20)]


@pytest.mark.parametrize("answer", [None, True, 1, "go on", object()])
def test_other_answers_mean_nothing(answer):
    assert read_callbacks(lambda view: answer).call("epoch", view()) == ""


def test_a_callback_that_fails_ends_the_training_with_its_own_error_as_the_cause():
    def divide(view):
        return 1 // 0

    later = Every()
    with pytest.raises(rt.TrainingError) as caught:
        read_callbacks([divide, later]).call("epoch", view())
    assert str(caught.value) == (
        "The callback divide failed after epoch 2: ZeroDivisionError: integer division or modulo by zero"
    )
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert (caught.value.path, later.told) == ("divide", [])


def test_at_the_end_all_are_told_before_a_fault_is():
    class Broken:
        def end(self, view):
            raise OSError

    later = Every()
    with pytest.raises(rt.TrainingError, match="^The callback Broken failed at the end: OSError$"):
        read_callbacks([Broken(), later]).call("end", view())
    assert later.told == [("end", 2, 20)]


def test_an_interruption_is_not_held_back():
    def press(view):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_callbacks(press).call("epoch", view())


# The view -----------------------------------------------------------------------------------------


def test_a_view_changes_nothing():
    seen = view(loss=0.3)
    assert (seen.entry, seen.history) == (ENTRIES[-1], tuple(ENTRIES))
    with pytest.raises(AttributeError):
        seen.epoch = 5
    with pytest.raises(TypeError, match="does not support item assignment"):
        seen.entry["loss"] = 0
    with pytest.raises(TypeError, match="does not support item assignment"):
        seen.history[0]["loss"] = 0
    assert View(0, 0, 50).entry is None


def test_net_and_state_are_made_when_they_are_asked_for_and_once():
    made = []
    net = rt.Linear(2, input=3).init()
    state = rt.step(net).start()
    seen = view(
        make_net=lambda: made.append("net") or net, copy_state=lambda: made.append("state") or state.clone()
    )
    read_callbacks(lambda view: view.loss).call("epoch", seen)
    assert made == []
    assert seen.net is seen.net is net
    seen.state.arrays["weight"].zero_()
    assert made == ["net", "state"]
    assert state.arrays["weight"].equal(net.arrays["weight"])


# Refused ------------------------------------------------------------------------------------------


class Keras:
    """As it would be written elsewhere."""

    def on_epoch_end(self, epoch, logs):
        """Nothing."""


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Keras(), "callbacks: Keras has on_epoch_end, which is called epoch here.\n"
                  "  fix   def epoch(self, view): ..."),
        ([Every], "callbacks: Every is a class, not a value.\n  fix   Every()"),
        ([3], "callbacks are functions of the view, or objects with start, step, epoch or end; got 3.\n"
              "  fix   callbacks=[lambda view: print(view.entry)]"),
    ],
)  # fmt: skip
def test_what_is_no_callback_is_refused(given, message):
    with pytest.raises(rt.ArgumentError) as caught:
        read_callbacks(given)
    assert str(caught.value) == message


def test_they_are_read_into_a_value():
    assert read_callbacks(print) == Callbacks(
        {"start": (), "step": (), "epoch": (("print", print),), "end": ()}
    )
