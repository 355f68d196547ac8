"""A step that went wrong, from its file: done again to the bit, and the first bad array named."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import retia as rt
from retia.metrics.examples import Batch
from retia.nets import registry
from retia.training.motion import Motion
from retia.training.penalties import Penalties
from retia.training.replay import read_moment, replay, replay_name, write_replay

sys.path.insert(0, str(Path(__file__).parent.parent / "formats"))

DEEP = rt.Chain(first=rt.Linear(4), act=rt.Tanh(), second=rt.Linear(3), third=rt.Linear(1), input=2).init(
    seed=1
)
X = torch.linspace(-1, 1, 10).reshape(5, 2)
Y = torch.linspace(0, 1, 5).reshape(5, 1)


def changed(net, **arrays):
    """The net with some arrays all of one number."""
    names = {path.replace(".", "_"): path for path in net.arrays}
    return net.with_arrays({names[n]: torch.full_like(net.arrays[names[n]], v) for n, v in arrays.items()})


def replayed(tmp_path, step, x=X, y=Y, *, state=None, loss=None, **how):
    place = tmp_path / replay_name(1)
    write_replay(place, step, state or step.start(), step.batch(x, y), why="the loss became nan", **how)
    return replay(place, loss=loss)


# The first that is not finite ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("net", "x", "rate", "kind", "path", "verdict"),
    [
        (DEEP, X * math.nan, 0.1, "input", "input", "the input input is not finite"),
        (changed(DEEP, second_bias=math.inf), X, 0.1, "array", "second.bias",
         "second.bias was not finite before the step: the gradients of the step before were not"),
        (changed(DEEP, second_weight=3e38, first_weight=1, first_bias=2), X, 0.1, "output", "second",
         "the first layer whose output is not finite is second (Linear(3))"),
        (changed(DEEP, third_bias=1e30), X, 0.1, "loss", "",
         "all outputs are finite, and the loss is not: it overflows"),
        (rt.Chain(a=rt.Linear(1, bias=False), b=rt.Elementwise("sqrt"), c=rt.Linear(1), input=2)
         .init(seed=0).with_arrays({"a.weight": torch.zeros(1, 2)}), X, 0.1, "gradient", "a.weight",
         "the loss is finite; the first gradient that is not, on the way back, is that of a.weight"),
        (changed(DEEP, third_bias=1e4), X, 1e37, "moved", "first.weight",
         "gradients are finite, and first.weight is not after the step: the step is too large"),
    ],
    ids=["input", "array", "output", "loss", "gradient", "moved"],
)  # fmt: skip
def test_the_first_array_that_is_not_finite_is_named(net, x, rate, kind, path, verdict, tmp_path):
    found = replayed(tmp_path, rt.step(net, "mse", rt.SGD(rate)), x)
    assert (found.first.kind, found.first.path, found.verdict) == (kind, path, verdict)
    assert found.error == ""


def test_all_that_the_step_came_by_is_seen_in_its_order(tmp_path):
    net = rt.Chain(a=rt.Linear(3), n=rt.BatchNorm(), b=rt.Linear(1), input=2).init(seed=0)
    found = replayed(tmp_path, rt.step(net, "mse", rt.Adam()), epoch=4)
    seen = [(each.kind, each.path) for each in found.seen]
    arrays = [*net.arrays]
    learned = ["a.weight", "a.bias", "n.weight", "n.bias", "b.weight", "b.bias"]
    statistics = [path for path in arrays if path not in learned]
    assert seen == [
        ("input", "input"),
        *(("array", path) for path in arrays),
        *(("output", path) for path in ("a", "n", "b")),
        ("loss", ""),
        *(("gradient", path) for path in reversed(learned)),
        *(("statistic", path) for path in statistics),
        *(("moved", path) for path in learned),
    ]
    assert found.first is None
    assert (found.step, found.epoch) == (1, 4)
    assert found.loss == rt.step(net, "mse").gradients(dict(net.arrays), X, Y)[0].item()
    first = found.seen[0]
    assert (first.shape, first.smallest, first.largest, first.nans) == ((5, 2), -1, 1, 0)


def test_what_is_printed_says_all_of_it(tmp_path):
    step = rt.step(changed(DEEP, third_bias=math.inf), "mse", rt.SGD(0.1))
    lines = str(replayed(tmp_path, step, epoch=2)).splitlines()
    assert lines[:3] == [
        "step 1 (epoch 2): the loss became nan",
        "found     third.bias was not finite before the step: the gradients of the step before were not",
        "fix       a smaller learning rate, or inputs of about -1 to 1",
    ]
    assert lines[3] == "input     input  5x2  -1 to 1"
    assert "array     third.bias  1  1 infinite" in lines
    healthy = replayed(tmp_path, rt.step(DEEP, "mse"))
    assert repr(healthy) == (
        "<Replay of step 1: everything is finite: walked layer by layer, this step goes well>"
    )


def test_a_layer_that_raises_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_KINDS", dict(registry._KINDS))

    @rt.layer
    class Broken(rt.Layer):
        """Takes all batches but those of five."""

        signature = "*s -> *s"

        def forward(self, x):
            if len(x) == 5:
                raise RuntimeError("five are too many")
            return x

    net = rt.Chain(rt.Linear(2), Broken(), rt.Linear(1), input=2).init(seed=0)
    found = replayed(tmp_path, rt.step(net, "mse"))
    assert found.verdict.startswith("1 (Broken()) raised ")
    assert "five are too many" in found.error
    assert [each.path for each in found.seen if each.kind == "output"] == ["0"]


# The very step ------------------------------------------------------------------------------------


def assert_same_bits(state, other):
    for mine, its in (
        (state.arrays, other.arrays),
        (state.average, other.average),
        (state.pending, other.pending),
    ):
        assert mine.keys() == its.keys()
        for path, tensor in mine.items():
            assert tensor.numpy().tobytes() == its[path].numpy().tobytes(), path
    assert (state.count, state.gathered) == (other.count, other.gathered)


FULL = rt.Chain(
    rt.Linear(6), rt.BatchNorm(), rt.Dropout(0.3), rt.ReLU(), rt.Linear(), rt.Softmax(),
    input=2, output=rt.Classes(["a", "b", "c"]),
).init(seed=3)  # fmt: skip
KINDS = [rt.SGD(0.1, momentum=0.9), rt.Adam(0.01), rt.AdamW(), rt.RMSprop(), rt.Adagrad(), rt.NAdam(),
         rt.RAdam(), rt.Adamax(), rt.Adadelta(), rt.Lion(), rt.SignSGD(), rt.LBFGS()]  # fmt: skip


@pytest.mark.parametrize("optimizer", KINDS)
def test_a_step_comes_back_to_the_bit_with_every_optimizer(optimizer, tmp_path):
    step = rt.step(FULL, None, optimizer, seed=11)
    targets = torch.tensor([0, 1, 2, 1, 0])
    batch = step.batch(X, targets, rows=torch.tensor([4, 9, 2, 7, 0]))
    state = step.start()
    for _ in range(3):
        step.advance(state, batch)
    write_replay(tmp_path / "file", step, state, batch, why="", factor=0.5)
    again = read_moment(tmp_path / "file")
    assert again.state.count == 3
    for each in (step, again.step):
        at, its = (state, batch) if each is step else (again.state, again.batch)
        each.advance(at, its, factor=0.5)
    assert_same_bits(again.state, state)
    assert not again.state.arrays["0.weight"].equal(FULL.arrays["0.weight"])


def test_a_step_comes_back_with_all_that_is_between_gradients_and_optimizer(tmp_path):
    step = rt.step(FULL, None, rt.Adam(0.01), seed=11)
    paths = step.learned
    step = replace(
        step,
        penalties=Penalties(l1={paths[0]: 0.1}, l2={paths[-1]: 0.2}),
        motion=Motion(clip_norm=0.5, clip_value=0.1, accumulate=2, ema=0.9),
    )
    batch = step.batch(X, torch.tensor([0, 1, 2, 1, 0]))
    state = step.start()
    for _ in range(3):
        step.advance(state, batch)
    write_replay(tmp_path / "file", step, state, batch, why="")
    again = read_moment(tmp_path / "file")
    step.advance(state, batch)
    again.step.advance(again.state, again.batch)
    assert_same_bits(again.state, state)


def test_writing_changes_nothing_and_the_file_holds_the_state_before(tmp_path):
    step = rt.step(DEEP, "mse", rt.SGD(0.1))
    state = step.start()
    write_replay(tmp_path / "file", step, state, step.batch(X, Y), why="")
    assert_same_bits(state, step.start())
    step.advance(state, step.batch(X, Y))
    assert_same_bits(read_moment(tmp_path / "file").state, step.start())


# Functions ----------------------------------------------------------------------------------------


def far(outputs, targets):
    return (outputs - targets).abs().sum(1)


def test_a_loss_function_is_given_again(tmp_path):
    step = rt.step(DEEP, far, rt.SGD(0.1))
    with pytest.raises(rt.ArgumentError) as caught:
        replayed(tmp_path, step)
    assert str(caught.value) == (
        "replay: the loss 'far' is a function, which no file holds.\n"
        "  fix   rt.replay(file, loss=...) with the loss that rt.train was given"
    )
    assert replayed(tmp_path, step, loss=far).loss == far(DEEP(X, None), Y).mean().item()


def test_loss_functions_of_several_outputs_are_given_again_by_port(tmp_path):
    x = rt.Input(2)
    net = rt.Graph({"a": rt.Linear(1)(x), "b": rt.Linear(1)(x)}).init(seed=0)
    loss = {"a": (far, 2.0), "b": "mse"}
    step = rt.step(net, loss, rt.SGD(0.1))
    y = {"a": Y, "b": Y}
    with pytest.raises(rt.ArgumentError, match="the loss 'far' is a function"):
        replayed(tmp_path, step, y=y, loss={"b": far})
    assert replayed(tmp_path, step, y=y, loss=loss).loss == step.gradients(dict(net.arrays), X, y)[0].item()


# Hostile files ------------------------------------------------------------------------------------


def rewritten(place, change):
    """The file with other facts, its checksums right."""
    from test_checkpoint import forged

    from retia.formats.record import read_record

    facts = read_record(place, "replay").facts
    place.write_bytes(forged(place.read_bytes(), facts=json.dumps(change(facts))))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: {**f, "step": {"kind": "Popen", "fields": {}}}, "there is no 'Popen' in a step."),
        (lambda f: {**f, "step": {"kind": "Step", "fields": {"os": 1}}}, "Step has no 'os': another Retia"),
        (lambda f: {**f, "step": {"eval": "1"}}, "'eval' means nothing."),
        (lambda f: {**f, "step": f["state"]}, "expected a Step, got a State."),
        (lambda f: {**f, "state": {"tensor": "nowhere"}}, "not say all of a step: KeyError: 'nowhere'."),
        (lambda f: {**f, "batch": {"value": {"type": "os.system", "version": 1}}}, "os.system"),
        (lambda f: {k: v for k, v in f.items() if k != "why"}, "not say all of a step: KeyError: 'why'."),
        (lambda f: {**f, "nets": [7]}, "its expression is not that of a net."),
        (lambda f: [], "it does not say all of a step: TypeError"),
    ],
)  # fmt: skip
def test_files_made_by_hand_are_refused(change, words, tmp_path):
    step = rt.step(DEEP, "mse")
    place = tmp_path / "file"
    write_replay(place, step, step.start(), step.batch(X, Y), why="")
    rewritten(place, lambda facts: facts)
    assert replay(place).first is None
    rewritten(place, change)
    with pytest.raises(rt.FormatError) as caught:
        replay(place)
    assert str(caught.value).startswith(f"{place}: ")
    assert words in str(caught.value)


def test_a_cut_file_and_other_files_are_refused(tmp_path):
    step = rt.step(DEEP, "mse")
    write_replay(tmp_path / "file", step, step.start(), step.batch(X, Y), why="")
    raw = (tmp_path / "file").read_bytes()
    for end in range(0, len(raw), 500):
        (tmp_path / "cut").write_bytes(raw[:end])
        with pytest.raises(rt.FormatError):
            replay(tmp_path / "cut")
    DEEP.save(tmp_path / "net")
    with pytest.raises(rt.FormatError, match="net: it is no replay"):
        replay(tmp_path / "net")
    with pytest.raises(FileNotFoundError):
        replay(tmp_path / "nowhere")


def test_what_no_file_holds_is_told_when_it_is_written(tmp_path):
    step = rt.step(DEEP, "mse")
    batch = Batch({"input": X}, {"output": {1, 2}})
    with pytest.raises(rt.FormatError, match="batch.targets.output is a set, which no file holds"):
        write_replay(tmp_path / "file", step, step.start(), batch, why="")
    assert [*tmp_path.iterdir()] == []
