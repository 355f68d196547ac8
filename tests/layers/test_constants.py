"""Arrays as layers: constants in the arithmetic of wires, and learned ones."""

import json
import operator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import retia as rt
from retia.engine.walk import Run, walk
from retia.nets import expression

# Arithmetic with arrays ---------------------------------------------------------------------------

MAKES = {
    "numpy": lambda a: a,
    "float64": lambda a: a.astype(np.float64),
    "pytorch": torch.from_numpy,
    "lists": lambda a: a.tolist(),
}
OPERATORS = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "**": operator.pow,
}  # fmt: skip


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("name", OPERATORS)
@given(shape=st.lists(st.integers(1, 3), max_size=3).map(tuple), cut=st.integers(0, 3))
def test_arrays_of_any_make_stand_on_either_side_of_a_wire(make, name, shape, cut):
    rng = np.random.default_rng(len(shape))
    x = rng.uniform(0.5, 2, shape).astype(np.float32)
    array = np.asarray(rng.uniform(0.5, 2, shape[cut:]), dtype=np.float32)
    given_array, apply = MAKES[make](array), OPERATORS[name]
    for formula, expected in (
        (lambda w: apply(w, given_array), apply(x, array)),
        (lambda w: apply(given_array, w), apply(array, x)),
    ):
        net = rt.Graph(formula, input=shape)
        assert net.outputs["output"].shape == expected.shape
        assert np.allclose(net(x).numpy(), expected, rtol=1e-5)


def test_products_of_matrices_take_arrays_too():
    x, w = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    for given_array in (w, torch.from_numpy(w)):
        assert np.allclose(rt.Graph(lambda wire: wire @ given_array, input=(2, 3))(x), x @ w)  # noqa: B023
        assert np.allclose(rt.Graph(lambda wire: given_array.T @ wire, input=3)(x[0]), w.T @ x[0])  # noqa: B023


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 4)], ids=str)
def test_the_seeds_line_works_on_wires_and_on_values(shape):
    rng = np.random.default_rng(0)
    x, rand = rng.normal(size=shape), rng.normal(size=shape)
    expected = rand + np.ones(shape) * x
    both = {"x": shape, "rand": shape}
    by_wires = rt.Graph(lambda x, rand: rand + np.ones(shape) * x, input=both)
    assert np.allclose(by_wires({"x": x, "rand": rand}), expected, atol=1e-6)
    by_tensor = rt.Graph(lambda x: torch.from_numpy(np.array(rand)) + torch.ones(shape) * x, input=shape)
    assert np.allclose(by_tensor(x), expected, atol=1e-6)


def test_an_array_of_numpys_numbers_is_one_too():
    assert rt.Graph(lambda x: x * np.float32(2), input=2)([1.0, 2.0]).tolist() == [2, 4]
    assert rt.Graph(lambda x: np.float64(2) * x, input=2)([1.0, 2.0]).tolist() == [2, 4]


# Constant -----------------------------------------------------------------------------------------


class Picture:
    """Something that is an array only when it is asked."""

    def __array__(self, dtype=None, copy=None):
        return np.array([[1.0, 2.0]])


SAME = [
    3,
    (3.0,),
    [1, 2],
    [[1, 2], [3, 4.5]],
    np.float32(2),
    range(4),
    [True, False],
    Picture(),
    [],
    [[], []],
]


@pytest.mark.parametrize("value", SAME, ids=lambda value: type(value).__name__)
def test_a_small_constant_stands_in_its_expression(value):
    made = rt.Constant(value)
    assert eval(repr(made), vars(rt)) == made
    assert expression.from_json(json.loads(json.dumps(expression.to_json(made)))) == made
    assert not made.owns()
    expected = np.asarray(value, dtype=np.float32)
    assert made.outputs["output"].shape == expected.shape
    assert np.array_equal(made().numpy(), expected)


def test_numbers_are_kept_as_they_are_written():
    assert repr(rt.Constant([1, 2.5])) == "Constant((1, 2.5))"
    assert repr(rt.Constant(np.array([[0.5], [1.0]]))) == "Constant(((0.5,), (1.0,)))"
    assert rt.Constant(torch.tensor([1, 2])) == rt.Constant([1, 2])


@pytest.mark.parametrize("make", [lambda a: a, torch.from_numpy, lambda a: a.tolist()])
def test_a_large_constant_is_an_array_of_the_layer(make):
    array = np.random.default_rng(0).normal(size=(11, 10)).astype(np.float32)
    made = rt.Constant(make(array))
    assert repr(made) == "Constant(size=(11, 10))"
    assert list(made.arrays) == ["value"]
    assert not made.learned()
    assert np.array_equal(made().numpy(), array)
    assert made == rt.Constant(size=(11, 10)).with_arrays({"value": array})
    assert made != rt.Constant(array + 1)


def test_what_a_constant_was_made_of_may_change_later():
    array = torch.ones(200)
    made = rt.Constant(array)
    array.zero_()
    assert made().sum() == 200
    result = made()
    result.zero_()
    assert made().sum() == 200


def test_infinities_are_kept_as_an_array():
    made = rt.Constant([0.0, -np.inf])
    assert made().tolist() == [0, -np.inf]
    assert "value" in made.arrays


@pytest.mark.parametrize(
    "layer", [rt.Constant([1.0, 2.0]), rt.Constant(np.ones(101)), rt.Parameter(3).init()]
)
def test_each_example_of_a_batch_gets_the_same_in_the_nets_type(layer):
    wire = rt.Input(1)
    net = rt.Graph(rt.Concat()(wire, layer()))
    arrays = {path: array.double() for path, array in net.arrays.items()}
    y = walk(net, {"input": torch.zeros(4, 1, dtype=torch.float64)}, arrays, Run())["output"]
    assert y.dtype == torch.float64
    assert torch.equal(y[:, 1:], layer().double().expand(4, -1))


REFUSED = [
    (lambda: rt.Constant(), "takes a value, or the size of one that is to come, and not both"),
    (lambda: rt.Constant(1, size=()), "takes a value, or the size of one that is to come, and not both"),
    (lambda: rt.Constant(1, 2), "Constant takes value; 2 were given by position"),
    (lambda: rt.Constant("a"), "value is a number, nested lists of numbers or an array; got 'a'"),
    (lambda: rt.Constant({1: 2}), "value is a number, nested lists of numbers or an array"),
    (lambda: rt.Constant(1j), "value is a number, nested lists of numbers or an array; got 1j"),
    (lambda: rt.Constant(np.ones(200, dtype=complex)), "value is real numbers; got an array of complex128"),
    (lambda: rt.Constant(torch.ones(200, dtype=torch.complex64)), "got an array of torch.complex64"),
    (lambda: rt.Constant([[1, 2], [3]]), "value has rows of different sizes: [(1,), (2,)]"),
    (lambda: rt.Constant([1, [2]]), "value has rows of different sizes: [(), (1,)]"),
    (lambda: rt.Parameter("a"), "size is a whole number of at least 1, or None; got 'a'"),
    (lambda: rt.Parameter(0), "size is a whole number of at least 1, or None; got 0"),
    (lambda: rt.Parameter(3, init="ortogonal"), "Did you mean 'orthogonal'?"),
    (lambda: rt.Graph(lambda x: x + [1, 2], input=3), "do not broadcast: 3 against 2"),
]


@pytest.mark.parametrize(("call", "text"), REFUSED, ids=[text[:50] for _, text in REFUSED])
def test_wrong_arguments_are_refused(call, text):
    with pytest.raises(rt.Error) as caught:
        call()
    assert text in str(caught.value)


# Parameter ----------------------------------------------------------------------------------------


def test_a_parameter_is_learned_and_its_open_sizes_are_inferred():
    net = rt.Graph(lambda x: x @ rt.Parameter(None, 4) + rt.Parameter(4, init="zeros"), input=3).init()
    assert {path: tuple(array.shape) for path, array in net.arrays.items()} == {
        "parameter.weight": (3, 4),
        "parameter2.weight": (4,),
    }
    assert net.learned() == list(net.arrays)
    x = np.arange(3.0, dtype=np.float32)
    weight = net.arrays["parameter.weight"].numpy()
    assert np.allclose(net(x).numpy(), x @ weight, atol=1e-6)
    assert not net.arrays["parameter2.weight"].any()


def test_forms_of_a_parameter():
    assert rt.Parameter((2, 3)) == rt.Parameter(2, 3)
    assert repr(rt.Parameter(2, None)) == "Parameter(2, None)"
    assert rt.Parameter(()).init()().shape == ()
    assert eval(repr(rt.Parameter(())), vars(rt)) == rt.Parameter(()) != rt.Parameter()
    assert rt.Parameter(output=(2, 3)).count == 6
    with pytest.raises(rt.ShapeError, match="nothing fixes yet"):
        rt.Parameter().init()


def test_the_gradient_of_a_parameter_sums_over_the_batch():
    net = rt.Graph(lambda x: x * rt.Parameter(2, init="ones"), input=2).init()
    assert net.grad([[1.0, 2.0], [3.0, 4.0]], "parameter.weight").tolist() == [4, 6]
