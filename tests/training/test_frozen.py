"""Where a net is cut: only behind layers that give the same for an example in every step."""

import numpy as np
import pytest
import torch

import retia as rt
from retia.engine.trace import record
from retia.metrics.examples import Batch, Examples
from retia.sources.feeds import ResidentFeed
from retia.training.frozen import find_frozen, reached, resting
from retia.training.job import Job
from retia.training.rates import read_rates
from retia.training.step import Step


def step_of(net, rates, loss="mse"):
    return Step(net, rt.step(net, loss).objective, rt.SGD(0.1), 0, read_rates(net, rates))


def found_in(net, rates, loss="mse"):
    net = net.init(seed=0)
    one = {name: torch.ones(1, *port.shape) for name, port in net.inputs.items()}
    return find_frozen(step_of(net, rates, loss), net.arrays, Batch(one, {}))


def cuts_in(net, rates, loss="mse"):
    return [[path for path, _ in cut.values] for cut in found_in(net, rates, loss).cuts()]


def why_in(net, rates):
    found = found_in(net, rates)
    assert not [*found.cuts()]
    return found.why


# Cuts ---------------------------------------------------------------------------------------------


def test_the_cut_is_behind_the_last_frozen_layer_and_others_are_further_to_the_front():
    net = rt.Chain(rt.Linear(3), rt.Linear(5), rt.Linear(4), rt.Linear(2), input=6)
    assert cuts_in(net, {"3": 1, "*": 0}) == [["2"], ["1"], ["0"]]
    assert cuts_in(net, {"0": 0}) == [["0"]]


def test_layers_without_arrays_are_before_the_cut_where_that_makes_what_is_kept_smaller():
    shrinking = rt.Chain(rt.Conv2d(8, 3), rt.ReLU(), rt.GlobalAvgPool(), rt.Linear(2), input=(3, 9, 9))
    assert cuts_in(shrinking, {"0": 0})[0] == ["2"]
    alike = rt.Chain(rt.Linear(8), rt.ReLU(), rt.Linear(2), input=4)
    assert cuts_in(alike, {"0": 0})[0] == ["1"]
    growing = rt.Chain(rt.Conv2d(2, 3), rt.Upsample(4), rt.Conv2d(2, 3), input=(3, 9, 9))
    assert cuts_in(growing, {"0": 0})[0] == ["0"]


def test_what_is_known_of_a_cut():
    net = rt.Chain(rt.Conv2d(8, 3), rt.GlobalAvgPool(), rt.Linear(2), input=(3, 9, 9))
    cut = next(found_in(net, {"0": 0}).cuts())
    assert [node.path for node in cut.nodes] == ["0", "1"]
    assert (cut.ports, cut.rest) == (("input",), ())
    assert (cut.bytes, cut.widest) == (8 * 4, 8 * 7 * 7 * 4)
    assert [tuple(like.shape) for like in cut.values.values()] == [(1, 8)]
    assert all(like.device.type == "meta" for like in cut.values.values())


def test_frozen_dropout_and_statistics_are_no_hindrance():
    body = rt.Chain(rt.Linear(5), rt.BatchNorm(), rt.Dropout(0.5), rt.Linear(3))
    net = rt.Chain(body=body, head=rt.Linear(2), input=4)
    assert cuts_in(net, {"body": 0})[0] == ["body.3"]


def test_a_net_that_reads_its_input_twice_keeps_what_is_read_after_the_cut():
    x = rt.Input(4)
    net = rt.Graph(rt.Linear(2)(rt.Linear(4)(x) + x))
    cut = next(found_in(net, {"linear": 0}).cuts())
    assert [path for path, _ in cut.values] == ["plus"]
    assert cut.rest == ()
    both = rt.Graph(
        {"a": rt.Linear(3), "b": rt.Linear(3), "plus": rt.Plus()},
        "left -> a -> plus", "right -> b -> plus", input={"left": 4, "right": 5},
    )  # fmt: skip
    cut = next(found_in(both, {"a": 0}).cuts())
    assert [path for path, _ in cut.values] == ["a"]
    assert (cut.ports, cut.rest) == (("left",), ("right",))


def test_several_values_are_kept_where_several_are_read():
    net = rt.Graph(
        {"a": rt.Linear(3), "b": rt.Linear(3), "c": rt.Linear(3), "plus": rt.Plus()},
        "input -> a -> b -> plus", "a -> c -> plus", input=4,
    )  # fmt: skip
    assert cuts_in(net, {"a": 0, "b": 0})[0] == ["a", "b"]


def test_a_branch_that_is_only_moved_about_is_not_kept():
    net = rt.Graph(
        {"a": rt.Linear(3), "flat": rt.Flatten(), "cat": rt.Concat(), "head": rt.Linear(2)},
        "left -> a -> cat -> head", "right -> flat -> cat", input={"left": 4, "right": (50, 50)},
    )  # fmt: skip
    cut = next(found_in(net, {"a": 0}).cuts())
    assert [path for path, _ in cut.values] == ["a"]
    assert cut.rest == ("right",)


def test_frozen_outputs_that_the_loss_reads_are_kept_too():
    x = rt.Input(4)
    net = rt.Graph({"a": rt.Linear(2)(x), "b": rt.Linear(2)(x)})
    assert cuts_in(net, {"linear": 0}, {"a": "mse", "b": "mse"})[0] == ["linear"]


def test_what_the_loss_does_not_read_is_not_computed():
    x = rt.Input(4)
    y = rt.Linear(3)(x)
    net = rt.Graph({"a": rt.Linear(2)(y), "b": rt.Linear(7)(y)})
    assert cuts_in(net, {"linear3": 0, "linear": 0}, {"a": "mse"}) == [["linear"]]


def test_a_single_value_is_needed_by_what_leads_from_it():
    net = rt.Chain(rt.Linear(3), rt.Linear(5), rt.Linear(2), input=6)
    nodes, read = reached(net, [("2", "output")], given=[("0", "output")])
    assert [node.path for node in nodes] == ["1", "2"]
    assert ("", "input") not in read


# Hindrances ---------------------------------------------------------------------------------------


def test_randomness_before_the_frozen_layers_hinders():
    net = rt.Chain(drop=rt.Dropout(0.1), body=rt.Linear(3), head=rt.Linear(2), input=4)
    assert (
        why_in(net, {"body": 0}) == "drop (Dropout(0.1)), before the frozen layers, draws anew in every step"
    )


def test_randomness_behind_the_frozen_layers_does_not():
    net = rt.Chain(body=rt.Linear(3), drop=rt.Dropout(0.1), head=rt.Linear(2), input=4)
    assert cuts_in(net, {"body": 0}) == [["body"]]


def test_a_first_layer_that_is_trained_hinders():
    net = rt.Chain(stem=rt.Linear(6), body=rt.Linear(3), head=rt.Linear(2), input=4)
    assert why_in(net, {"body": 0}) == "stem (Linear(6)), before the frozen layers, is trained"


def test_a_first_layer_that_mixes_the_batch_hinders():
    net = rt.Chain(norm=rt.BatchNorm(affine=False), body=rt.Linear(3), head=rt.Linear(2), input=4)
    expected = "norm (BatchNorm(affine=False)), before the frozen layers, mixes the batch in training"
    assert why_in(net, {"body": 0}) == expected
    assert cuts_in(net, {"norm": 0, "body": 0})[0] == ["body"]


def test_frozen_layers_that_the_loss_does_not_read_are_none():
    x = rt.Input(4)
    net = rt.Graph({"a": rt.Linear(2)(x), "b": rt.Linear(2)(x)}).init()
    found = find_frozen(
        step_of(net, {"linear2": 0}, {"a": "mse"}), net.arrays, Batch({"input": torch.ones(1, 4)}, {})
    )
    assert found.why == "the loss reads no frozen layer"


def test_an_array_that_is_trained_in_another_place_hinders():
    net = rt.Chain(
        a=rt.Shared("s", rt.Linear(4)), b=rt.Linear(4), c=rt.Shared("s", rt.Linear(4)), input=4
    )  # fmt: skip
    assert why_in(net, {"b": 0}) == "a (Linear(4)), before the frozen layers, is trained"


def test_layers_of_ones_own_are_watched_while_they_run():
    @rt.layer
    class Louder(rt.Layer):
        """Twice as much in training."""

        signature = "*s -> *s"

        def forward(self, x, *, moment):
            return 2 * x if moment.training else x

    @rt.layer
    class Noisy(rt.Layer):
        """Noise, in inference too."""

        signature = "*s -> *s"

        def forward(self, x, *, moment):
            return x + moment.uniform(x)

    @rt.layer
    class Careful(rt.Layer):
        """Asks for a mask, and is always the same."""

        signature = "*s -> *s"

        def forward(self, x, *, moment):
            return x if moment.mask() is None else x * 0

    def chain(first):
        return rt.Chain(first=first, body=rt.Linear(3), head=rt.Linear(2), input=4)

    assert why_in(chain(Louder()), {"body": 0}).endswith("behaves otherwise in training")
    assert cuts_in(chain(Louder()), {"first": 0, "body": 0}) == [["body"]]
    assert why_in(chain(Noisy()), {"body": 0}).endswith("draws anew in every step")
    assert why_in(chain(Noisy()), {"first": 0, "body": 0}).endswith("draws anew in every step")
    assert cuts_in(chain(Careful()), {"body": 0}) == [["body"]]


# Arrays that rest ---------------------------------------------------------------------------------


def test_arrays_rest_where_neither_gradients_nor_statistics_move_them():
    net = rt.Chain(a=rt.Linear(4), b=rt.BatchNorm(), c=rt.BatchNorm(), input=4)
    rates = read_rates(net, {"a.weight": 0, "b": 0, "c.weight": 0})
    rest = resting(net, rates)
    assert rest == {f"b.{name}" for name in net["b"].owns()}


@pytest.mark.parametrize(
    ("rates", "products"),
    [(None, 5), ({"b": 0}, 4), ({"c": 0}, 4), ({"a": 0}, 3), ({"a": 0, "b": 0}, 1), ({"b.weight": 0}, 4)],
)
def test_no_gradient_is_computed_that_nobody_needs(rates, products):
    net = rt.Chain(a=rt.Linear(5), b=rt.Linear(6), c=rt.Linear(2), input=4).init()
    step = step_of(net, rates)
    data = rt.data((np.ones((8, 4), "float32"), np.ones((8, 2), "float32")))
    examples = Examples(net, data, step.objective, torch.device("cpu"))
    assert isinstance(examples.feed, ResidentFeed)
    job = Job(step, examples)
    tape = record(job, job.inputs(examples.feed.tensors, net.arrays, torch.arange(8)))
    names = [call.op._schema.name for call in tape.calls]
    assert names.count("aten::addmm") == 3
    assert names.count("aten::mm") == products


@pytest.mark.parametrize("trained", ["head", "stem", "stem+head"])
def test_frozen_layers_amid_trained_ones_are_constants_of_the_program(trained):
    def unit(n):
        return rt.Chain(rt.Conv2d(n, 3, padding="same", bias=False), rt.BatchNorm(), rt.ReLU())

    net = rt.Chain(
        drop=rt.Dropout(0.1), stem=unit(3), body=rt.Chain(unit(6), rt.MaxPool2d(2), unit(8)),
        head=rt.Chain(rt.GlobalAvgPool(), rt.Linear(2)), input=(3, 8, 8),
    ).init(seed=1)  # fmt: skip
    moved = {p: torch.rand(t.shape) + 0.5 for p, t in net.arrays.items() if "running" in p}
    net = net.with_arrays(moved)
    draw = np.random.default_rng(0)
    data = draw.normal(size=(32, 3, 8, 8)).astype("float32"), draw.normal(size=(32, 2)).astype("float32")
    rates = {**dict.fromkeys(trained.split("+"), 1), "*": 0}
    runs = [
        rt.train(
            net,
            data,
            rates=rates,
            epochs=10,
            batch_size=8,
            optimizer=rt.SGD(0.02),
            engine=engine,
            progress=False,
        )
        for engine in ("walk", "program")
    ]
    for path, array in net.arrays.items():
        walked, flowed = (run.last.arrays[path].double() for run in runs)
        assert float((walked - flowed).norm()) <= 1e-5 * float(walked.norm()) + 1e-7
        moves = path.startswith(tuple(trained.split("+")))
        assert [torch.equal(run.last.arrays[path], array) for run in runs] == [not moves, not moves]
    step = step_of(net, rates)
    examples = Examples(net, rt.data(data), step.objective, torch.device("cpu"))
    tape = Job(step, examples).tape(8, net.arrays)
    read = {name.removeprefix("array:") for name in tape.inputs if name.startswith("array:")}
    assert read == {path for path in net.arrays if path.startswith(tuple(trained.split("+")))}
    norms = [call for call in tape.calls if call.op._schema.name == "aten::native_batch_norm"]
    assert len(norms) < 3
