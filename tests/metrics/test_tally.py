"""Metrics added up over batches, by the walk and by a recorded program, against ``rt.measure``."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import retia as rt
from retia.engine.plan import Planner, Target
from retia.engine.trace import record
from retia.engine.walk import Run, walk_values
from retia.metrics.examples import Batch, Examples
from retia.metrics.names import BOOLEAN, CLASSES, FIGURES, NUMBERS
from retia.metrics.objective import objective
from retia.metrics.tally import Tally, direction_of, read_metrics

ENDS = {
    "softmax": rt.Softmax(),
    "log_softmax": rt.LogSoftmax(),
    "logits": rt.Flatten(),
    "sigmoid": rt.Sigmoid(),
}
NETS = {
    **{end: rt.Chain(layer, input=3, output=rt.Classes([*"abc"])) for end, layer in ENDS.items()},
    "boolean": rt.Chain(rt.Sigmoid(), input=(), output=rt.Boolean(0.6)),
    "column": rt.Chain(rt.Flatten(), input=(1,), output=rt.Boolean()),
    "numbers": rt.Chain(rt.Flatten(), input=3),
    "sequence": rt.Chain(rt.Softmax(), input=(5, 3)),
    "pixels": rt.Chain(rt.Softmax(axis=0), input=(3, 2, 2)),
}
SENSES = {"numbers": NUMBERS, "boolean": BOOLEAN, "column": BOOLEAN}


def examples_of(kind, count=23, seed=0):
    rng = np.random.default_rng(seed)
    if kind == "numbers":
        return tuple(rng.normal(9, 2, (2, count, 3)).round(1).astype(np.float32))
    if kind == "sequence":
        return rng.normal(size=(count, 5, 3)).round(1).astype(np.float32), rng.integers(0, 3, (count, 5))
    if kind == "pixels":
        return rng.normal(size=(count, 3, 2, 2)).astype(np.float32), rng.integers(0, 3, (count, 2, 2))
    if SENSES.get(kind) == BOOLEAN:
        x = rng.normal(size=(count, 1) if kind == "column" else count).round(1).astype(np.float32)
        return x, rng.random(count) < 0.4
    return rng.normal(size=(count, 3)).round(1).astype(np.float32), [
        "abc"[i] for i in rng.integers(0, 3, count)
    ]


def names_of(kind):
    sense = SENSES.get(kind, CLASSES)
    names = [name for name, figure in FIGURES.items() if sense in figure.senses]
    if kind != "sequence" and sense != NUMBERS:
        names.remove("edit_distance")
    return [*names, *(["top_2"] if sense == CLASSES else []), *(["f1_weighted"] if sense != NUMBERS else [])]


def prepared(kind, names, seed=0):
    net = NETS[kind]
    lower = objective(net, None, {"output": kind in ("sequence", "pixels")})
    examples = Examples(net, rt.data(examples_of(kind, seed=seed)), lower, torch.device("cpu"))
    return net, lower, examples, read_metrics(net, lower, names)


def added(kind, size, names, seed=0):
    net, lower, examples, gauges = prepared(kind, names, seed)
    tally = Tally(lower, gauges, whole=True)
    for batch in examples.in_order(size):
        tally.add(walk_values(net, batch.inputs, net.arrays, Run(), lower.wanted), batch)
    return tally.figures()


@given(st.sampled_from([*NETS]), st.integers(1, 23), st.integers(0, 100))
def test_added_up_over_batches_metrics_are_those_of_the_whole(kind, size, seed):
    found = added(kind, size, names_of(kind), seed)
    m = rt.measure(NETS[kind], examples_of(kind, seed=seed))
    assert set(found) >= set(names_of(kind))
    for name, value in found.items():
        if not math.isnan(m[name]):
            assert math.isclose(value, m[name], rel_tol=1e-6, abs_tol=1e-7), name
        else:
            assert math.isnan(value), name


@pytest.mark.parametrize("kind", NETS)
def test_a_recorded_program_adds_the_same_sums(kind):
    net, lower, examples, gauges = prepared(kind, names_of(kind))
    tally, walked = Tally(lower, gauges), Tally(lower, gauges)
    counts = {}

    def job(x, t):
        batch = Batch({"input": x}, {"output": t})
        sums, found = tally.found(walk_values(net, batch.inputs, net.arrays, Run(), lower.wanted), batch)
        counts.update(found)
        return sums

    first = examples.batch(torch.arange(8))
    places = {"x": first.inputs["input"].clone(), "t": first.targets["output"].clone()}
    with torch.no_grad():
        tape = record(job, places)
    for key, ref in tape.outputs.items():
        fact = tape.fact(ref)
        tally.sums[key] = torch.zeros(fact.shape, dtype=fact.dtype)
    targets = {key: Target(total, adds=True) for key, total in tally.sums.items()}
    program = Planner(tape, places, {}, targets).plan()
    tally.clear()
    for start in (0, 8):
        batch = examples.batch(torch.arange(start, start + 8))
        places["x"].copy_(batch.inputs["input"])
        places["t"].copy_(batch.targets["output"])
        program.run()
        tally.count(counts)
        walked.add(walk_values(net, batch.inputs, net.arrays, Run(), lower.wanted), batch)
    assert tally.figures() == pytest.approx(walked.figures(), rel=1e-12)
    assert tally.counts == walked.counts


def test_a_cleared_tally_begins_anew_in_the_same_memory():
    net, lower, examples, gauges = prepared("softmax", ["f1", "auc"])
    tally = Tally(lower, gauges, whole=True)
    assert tally.figures() == {}
    for rows in (torch.arange(10), torch.arange(10, 23)):
        tally.clear()
        before = {key: total.data_ptr() for key, total in tally.sums.items()}
        batch = examples.batch(rows)
        tally.add(walk_values(net, batch.inputs, net.arrays, Run(), lower.wanted), batch)
        assert before in ({}, {key: total.data_ptr() for key, total in tally.sums.items()})
    alone = Tally(lower, gauges, whole=True)
    alone.add(walk_values(net, batch.inputs, net.arrays, Run(), lower.wanted), batch)
    assert tally.figures() == alone.figures()
    assert tally.kept == lower.wanted


def test_metrics_that_need_every_score_are_left_to_validation():
    _, lower, _, gauges = prepared("softmax", ["auc"])
    assert [gauge.name for gauge in gauges] == ["accuracy", "auc"]
    assert [gauge.adder is None for gauge in gauges] == [False, True]
    assert Tally(lower, gauges).kept == ()


def test_functions_see_what_the_net_gives():
    def sure(outputs, targets):
        return outputs.amax(1)

    def gap(outputs, targets):
        return (outputs[:, 0].mean() - 0.5).abs()

    for kind in ("softmax", "sigmoid", "log_softmax", "logits"):
        net = NETS[kind]
        x, labels = examples_of(kind)
        found = added(kind, 23, [sure, rt.Metric(gap, name="off", better="lower")])
        given = net(x, None)
        assert math.isclose(found["sure"], given.amax(1).mean(), rel_tol=1e-5)
        assert math.isclose(found["off"], abs(given[:, 0].mean() - 0.5), rel_tol=1e-5)


def test_one_number_for_a_batch_is_averaged_by_examples():
    found = added("numbers", 10, [rt.Metric(lambda y, t: (y - t).abs().max(), name="most")])
    x, t = examples_of("numbers")
    most = [abs(x[at : at + 10] - t[at : at + 10]).max() for at in (0, 10, 20)]
    assert math.isclose(found["most"], (10 * most[0] + 10 * most[1] + 3 * most[2]) / 23, rel_tol=1e-5)
    assert added("numbers", 10, [rt.Metric(lambda y, t: 2, name="two")]) == {"two": 2}


def test_several_outputs_have_metrics_of_their_own():
    net = rt.Graph(lambda x: {"twice": x + x, "same": rt.Softmax()(x), "other": rt.Softmax()(-x)}, input=3)
    lower = objective(net, None, {"same": True, "other": True})

    def names(given):
        return [gauge.name for gauge in read_metrics(net, lower, given)]

    assert names([]) == ["same_accuracy", "other_accuracy"]
    assert names(["mae", "other.f1"]) == ["same_accuracy", "other_accuracy", "mae", "other_f1"]
    assert names(["acc", "accuracy"]) == ["same_accuracy", "other_accuracy"]
    said = "mae is of numbers or ordered classes, but twice is numbers, same is classes"
    with pytest.raises(rt.ArgumentError, match=said):
        read_metrics(net, lower, ["same.mae"])
    both = read_metrics(net, lower, [rt.Metric(lambda y, t: y["same"][:, 0] + t["same"], name="sum")])[-1]
    x, labels = torch.rand(4, 3), torch.tensor([0, 1, 2, 0])
    batch = Batch({"x": x}, {"twice": x, "same": labels, "other": labels})
    values = walk_values(net, {next(iter(net.inputs)): x}, net.arrays, Run(), lower.wanted)
    tally = Tally(lower, [both])
    tally.add(values, batch)
    assert math.isclose(tally.figures()["sum"], float((x.softmax(1)[:, 0] + labels).mean()), rel_tol=1e-6)


def test_what_is_no_metric_is_refused_before_anything_is_computed():
    net = NETS["softmax"]
    lower = objective(net)

    def refused(given):
        with pytest.raises(rt.ArgumentError) as caught:
            read_metrics(net, lower, given)
        return str(caught.value)

    assert refused(["acuracy"]).startswith(
        "metrics: there is none called 'acuracy'. Did you mean 'accuracy'?\n  fix"
    )
    assert refused("output.f2").startswith("metrics: there is none called 'f2'.")
    assert refused(["mae"]).startswith(
        "metrics: mae is of numbers or ordered classes, but output is classes.\n  fix   one of accuracy,"
    )
    assert refused(3) == "metrics is a list of names and functions; got 3."
    assert refused([3]).startswith(
        "metrics are names, functions of outputs and targets, or rt.Metric values; got 3."
    )
    assert refused([lambda y, t: 0]).startswith("Metric: a name is one word other than loss")
    assert refused([rt.Metric(max, name="accuracy")]).startswith("metrics: two are called accuracy.")
    with pytest.raises(rt.ArgumentError, match='better is "higher" or "lower"; got \'up\''):
        rt.Metric(max, better="up")
    with pytest.raises(rt.ArgumentError, match="the first argument is a function of outputs and targets"):
        rt.Metric("f1")
    with pytest.raises(
        rt.TrainingError, match=r"The metric wide answers one number, .* 23 examples; got \(7,\)"
    ):
        added("softmax", 23, [rt.Metric(lambda y, t: torch.zeros(7), name="wide")])


def test_a_figure_knows_which_way_it_is_better():
    net = NETS["softmax"]
    own = [rt.Metric(max, name="most", better="lower"), rt.Metric(min, name="least")]
    gauges = read_metrics(net, objective(net), ["error_rate", *own])
    keys = ("loss", "val_loss", "accuracy", "val_accuracy", "val_error_rate", "most")
    assert [direction_of(key, gauges) for key in keys] == [
        "lower",
        "lower",
        "higher",
        "higher",
        "lower",
        "lower",
    ]
    with pytest.raises(rt.ArgumentError) as caught:
        direction_of("val_least", gauges)
    assert str(caught.value) == (
        'Is least better when it is higher or lower?\n  fix   metrics=[rt.Metric(least, better="lower")]'
    )
    with pytest.raises(
        rt.ArgumentError, match="no figure 'val_acuracy' in this training. Did you mean 'val_accuracy'"
    ):
        direction_of("val_acuracy", gauges)
