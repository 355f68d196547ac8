"""Graphs: three notations for one value, and the errors of each."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import retia as rt
from retia.nets import expression

NAMES = vars(rt)


def seed_graph():
    """The graph of the first seed: ReLU and Tanh, multiplied and added."""
    return rt.Graph(
        {"relu": rt.ReLU(), "tanh": rt.Tanh(), "times": rt.Times(), "plus": rt.Plus()},
        "relu -> tanh -> times",
        "relu -> times -> plus",
        "tanh -> plus",
    )


def test_nodes_and_edges_wires_and_functions_compute_alike():
    x = rt.Input(64)
    a = rt.ReLU()(x)
    b = rt.Tanh()(a)
    wires = rt.Graph(a * b + b)

    def function(x):
        a = rt.ReLU()(x)
        b = rt.Tanh()(a)
        return a * b + b

    function_net = rt.Graph(function, input=64)
    values = torch.linspace(-2, 2, 64)
    a, b = values.relu(), values.relu().tanh()
    for net in (seed_graph(), wires, function_net):
        assert torch.allclose(net.one(values), a * b + b)
    assert wires == function_net


def test_edges_into_a_node_count_in_the_order_written():
    def minus(*edges):
        nodes = {"a": rt.Arithmetic("*", 1), "b": rt.Arithmetic("*", 2), "minus": rt.Minus()}
        return rt.Graph(nodes, "input -> a", "input -> b", *edges, input=1)([1.0]).item()

    assert minus("a -> minus", "b -> minus") == -1
    assert minus("b -> minus", "a -> minus") == 1
    assert minus("b -> minus.2", "a -> minus.1") == -1


def test_several_inputs_and_outputs_go_by_name():
    net = rt.Graph(
        {"sum": rt.Plus(), "twice": rt.Arithmetic("*", 2)},
        "x -> sum", "y -> sum -> total", "x -> twice -> double",
        input={"x": 2, "y": 2}, output={"total": None, "double": None},
    )  # fmt: skip
    answer = net({"x": [1, 2], "y": [10, 20]})
    assert answer["total"].tolist() == [11, 22]
    assert answer["double"].tolist() == [2, 4]
    assert eval(repr(net), dict(NAMES)) == net


def test_what_nothing_feeds_is_an_input_and_what_feeds_nothing_an_output():
    net = rt.Graph({"dot": rt.Dot(), "relu": rt.ReLU(), "tanh": rt.Tanh()}, "dot -> relu", "dot -> tanh")
    assert net.input_names() == ("dot_left", "dot_right")
    assert net.output_names() == ("relu", "tanh")


def test_a_layer_used_twice_is_two_sets_of_arrays_and_shared_is_one():
    twice = rt.Linear(2)
    apart = rt.Graph(lambda x: twice(x) + twice(x), input=3)
    assert apart.count == 2 * 8
    together = rt.Graph(lambda x: rt.Shared("f", twice)(x) + rt.Shared("f", twice)(x), input=3)
    assert together.count == 8
    made = together.init(seed=3)
    x = torch.tensor([1.0, 2.0, 3.0])
    weight, bias = made.arrays["shared.weight"], made.arrays["shared.bias"]
    assert torch.allclose(made(x), 2 * (weight @ x + bias))
    changed = made.with_arrays({"shared.bias": [1.0, 1.0]})
    assert torch.allclose(changed(x), 2 * (weight @ x) + 2)


def test_shared_parts_must_be_equal_and_agree_in_their_sizes():
    with pytest.raises(rt.StructureError, match=r"Shared\('f'\)"):
        rt.Graph(lambda x: rt.Shared("f", rt.Linear(2))(x) + rt.Shared("f", rt.Linear(3))(x))
    with pytest.raises(rt.ShapeError, match="shares weight"):
        rt.Chain(rt.Shared("f", rt.Linear(2)), rt.Shared("f", rt.Linear(2)), input=3)
    assert rt.Chain(rt.Shared("f", rt.Linear()), rt.Shared("f", rt.Linear()), input=3).count == 12


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: rt.Graph({"a": rt.ReLU(), "b": rt.Tanh()}, "a -> b", "b -> a"), "is a cycle"),
        (lambda: rt.Graph({"a": rt.ReLU()}, "a -> c"), "an edge names 'c'"),
        (lambda: rt.Graph({"relu": rt.ReLU()}, "rely -> output"), "Did you mean 'relu'"),
        (lambda: rt.Graph({"a": rt.ReLU(), "b": rt.Minus()}, "input -> a -> b"), "nothing leads to b"),
        (lambda: rt.Graph({"a": rt.ReLU()}, "input -> a", "input -> a"), "two edges|2 edges"),
        (
            lambda: rt.Graph({"a": rt.ReLU(), "b": rt.ReLU()}, "input -> a -> output", "input -> b"),
            "for nothing",
        ),
        (lambda: rt.Graph({"a": rt.ReLU()}, "x -> a", input={"x": 1, "y": 2}), "'y' is not used"),
        (lambda: rt.Graph({"a": rt.ReLU()}, "a -> output", "a -> output"), "two edges lead to the output"),
        (lambda: rt.Graph({"a": rt.Dot()}, "input -> a.middle"), "there is no 'middle'"),
        (lambda: rt.Graph({"a": rt.ReLU()}, "a b"), "does not say 'a -> b'"),
        (lambda: rt.Graph({"a": rt.ReLU()}, 3), "an edge is a text"),
        (lambda: rt.Graph({}), "made of|no nodes"),
        (lambda: rt.Graph(3), "made of wires"),
        (lambda: rt.Graph(lambda x, y: rt.ReLU()(x)), "'y' is not used"),
        (lambda: rt.Graph(lambda *x: x[0]), "need names"),
        (lambda: rt.Graph(rt.Input(2) + rt.Input(3)), "two inputs are called"),
        (lambda: rt.Graph({"input": rt.ReLU()}, "input -> output"), "both a node and a port"),
    ],
)
def test_what_a_graph_cannot_be_is_refused(build, message):
    with pytest.raises(rt.Error, match=message):
        build()


def test_two_sides_that_do_not_broadcast_are_named():
    with pytest.raises(rt.ShapeError, match=r"plus \(Plus\(\)\): shapes \(3\) and \(4\) do not broadcast"):
        rt.Graph(lambda x: rt.Linear(3)(x) + rt.Linear(4)(x), input=2)


def test_arithmetic_on_wires_is_that_of_numpy():
    rng = np.random.default_rng(0)
    x, y, c = rng.normal(size=(3, 4)), rng.uniform(1, 2, size=4), rng.normal(size=(3, 1))
    formulas = [
        lambda x, y: x + y, lambda x, y: 2 - x * y, lambda x, y: x / y, lambda x, y: 1 / y - abs(x),
        lambda x, y: y**2 + 2**y + y**y + 0 * x, lambda x, y: -x @ y, lambda x, y: x[1] * y,
        lambda x, y: c * x + c - y,
        lambda x, y: x - c + y, lambda x, y: x[0:2, -1] * 1.5 + y[0],
    ]  # fmt: skip
    for formula in formulas:
        net = rt.Graph(formula, input={"x": (3, 4), "y": 4})
        net = net.init()
        assert np.allclose(net({"x": x, "y": y}).numpy(), formula(x, y), rtol=1e-4, atol=1e-5)


@given(st.integers(0, 2**32))
def test_random_graphs_round_trip_through_repr_and_json(seed):
    rng = np.random.default_rng(seed)
    wires = [rt.Input(3)]
    for _ in range(rng.integers(1, 8)):
        picked = [wires[i] for i in rng.integers(0, len(wires), 2)]
        options = [
            lambda p: rt.Linear(3)(p[0]), lambda p: p[0] + p[1], lambda p: rt.Minus()(*p),
            lambda p: rt.Tanh()(p[0]),
            lambda p: rt.Chain(rt.Linear(4), rt.ReLU(), rt.Linear(3))(p[1]),
        ]  # fmt: skip
        wires.append(options[rng.integers(len(options))](picked))
    net = rt.Graph(wires[-1])
    assert eval(repr(net), dict(NAMES)) == net
    assert expression.from_json(expression.to_json(net)) == net
    made = net.init(seed=1)
    rebuilt = eval(repr(net), dict(NAMES)).with_arrays(made.arrays)
    x = rng.normal(size=(5, 3))
    assert torch.equal(made(x), rebuilt(x))


def test_the_seeds_tensor_lines_work_on_wires_numpy_and_pytorch():
    rand, ones = np.random.default_rng(0).random((2, 2)), np.ones((2, 2))
    x = [[1.0, 2.0], [3.0, 4.0]]
    expected = rand + ones * np.array(x)
    for convert in (lambda a: a, torch.tensor):
        net = rt.Graph(lambda x, convert=convert: convert(rand) + convert(ones) * x, input=(2, 2)).init()
        assert np.allclose(net(x).numpy(), expected)
