"""Activations, softmax, functions by name and arithmetic, against PyTorch and NumPy."""

import math
import operator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import retia as rt
from retia.engine.walk import Run, walk
from retia.layers.functions import FUNCTIONS
from retia.nets.settings import make

PAIRS = [
    (rt.ReLU(), nn.ReLU()),
    (rt.ReLU6(), nn.ReLU6()),
    (rt.LeakyReLU(), nn.LeakyReLU()),
    (rt.LeakyReLU(0.3), nn.LeakyReLU(0.3)),
    (rt.PReLU(), nn.PReLU(3)),
    (rt.PReLU(shared=True), nn.PReLU()),
    (rt.ELU(), nn.ELU()),
    (rt.ELU(0.5), nn.ELU(0.5)),
    (rt.SELU(), nn.SELU()),
    (rt.GELU(), nn.GELU()),
    (rt.GELU(approximate="tanh"), nn.GELU("tanh")),
    (rt.SiLU(), nn.SiLU()),
    (rt.Mish(), nn.Mish()),
    (rt.Sigmoid(), nn.Sigmoid()),
    (rt.Tanh(), nn.Tanh()),
    (rt.Softplus(), nn.Softplus()),
    (rt.Softplus(3.0), nn.Softplus(3.0)),
    (rt.Softsign(), nn.Softsign()),
    (rt.HardSigmoid(), nn.Hardsigmoid()),
    (rt.HardSwish(), nn.Hardswish()),
    (rt.HardTanh(), nn.Hardtanh()),
    (rt.HardTanh(-0.5, 2), nn.Hardtanh(-0.5, 2.0)),
    (rt.Softmax(), nn.Softmax(-1)),
    (rt.Softmax(axis=0), nn.Softmax(1)),
    (rt.Softmax(axis=-2), nn.Softmax(-2)),
    (rt.LogSoftmax(), nn.LogSoftmax(-1)),
    (rt.LogSoftmax(axis=1), nn.LogSoftmax(2)),
]


@pytest.mark.parametrize(("layer", "theirs"), PAIRS, ids=[repr(layer) for layer, _ in PAIRS])
def test_values_and_derivatives_are_those_of_pytorch(equals_pytorch, layer, theirs):
    equals_pytorch(make(type(layer), {**layer.settings(), "input": (3, 4, 2)}), theirs, (3, 4, 2))


def test_prelu_starts_at_a_quarter_as_in_pytorch():
    assert rt.PReLU(input=3).init().arrays["weight"].tolist() == [0.25] * 3
    assert torch.equal(rt.PReLU(shared=True).init().arrays["weight"], nn.PReLU().weight.detach())


# Softmax ------------------------------------------------------------------------------------------


@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=6))
def test_softmax_sums_to_one_and_log_softmax_is_its_logarithm(values):
    x = torch.tensor(values)
    probabilities = rt.Softmax(input=len(values))(x)
    assert float(probabilities.sum()) == pytest.approx(1, abs=1e-5)
    assert torch.allclose(rt.LogSoftmax(input=len(values))(x).exp(), probabilities, atol=1e-6)


@pytest.mark.parametrize("kind", [rt.Softmax, rt.LogSoftmax])
def test_an_axis_out_of_the_rank_is_an_error_when_the_net_is_made(kind):
    with pytest.raises(rt.ShapeError, match=r"max\(axis=2\)\) takes \(.*\), but .* gives \(3, 4\)"):
        rt.Chain(rt.Linear(4), kind(axis=2), input=(3, 4))
    with pytest.raises(rt.ShapeError):
        kind(input=())


@pytest.mark.parametrize("kind", [rt.Softmax, rt.LogSoftmax])
def test_softmax_over_a_varying_axis_goes_over_what_each_example_has(keeps_the_batch_law, kind):
    keeps_the_batch_law(kind(axis=0, input=("n", 2)), {"n": [1, 4, 2]})
    keeps_the_batch_law(kind(axis=-1, input=("n", "m")), {"n": [1, 4, 2], "m": [3, 1, 2]})
    keeps_the_batch_law(kind(input=("n", 3)), {"n": [2, 5, 1]})


def test_an_example_of_no_length_gives_no_nan():
    net = rt.Softmax(axis=0, input=("n",))
    x = torch.ones(2, 3, requires_grad=True)
    y = walk(net, {"input": x}, {}, Run(lengths={"n": torch.tensor([0, 2])}))["output"]
    assert y.tolist() == [[0, 0, 0], [0.5, 0.5, 0]]
    (gradient,) = torch.autograd.grad((y * torch.arange(3.0)).sum(), x)
    assert gradient.tolist() == [[0, 0, 0], [-0.25, 0.25, 0]]


# Functions by name --------------------------------------------------------------------------------

INDEPENDENT = {
    "acos": np.arccos, "asin": np.arcsin, "asinh": np.arcsinh, "atan": np.arctan, "neg": np.negative,
    "erf": np.vectorize(math.erf), "erfc": np.vectorize(math.erfc), "frac": lambda x: x - np.trunc(x),
    "relu": lambda x: np.maximum(x, 0), "rsqrt": lambda x: 1 / np.sqrt(x),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_what_its_name_says(name):
    x = np.linspace(0.05, 0.95, 7, dtype=np.float32)
    expected = INDEPENDENT.get(name) or getattr(np, name)
    got = rt.Elementwise(name, input=7)(x).numpy()
    assert np.allclose(got, expected(x.astype(np.float64)), rtol=1e-5, atol=1e-6)


def test_a_function_that_is_not_known_is_told_the_nearest():
    with pytest.raises(rt.ArgumentError, match=r"got 'recipocal'\. Did you mean 'reciprocal'\?"):
        rt.Elementwise("recipocal")


def test_abs_on_wires_is_a_function_by_name():
    net = rt.Graph(lambda x: abs(x), input=2)
    assert net([-1.0, 2.0]).tolist() == [1, 2]
    assert [*net.children.values()] == [rt.Elementwise("abs")]


# Arithmetic ---------------------------------------------------------------------------------------

OPERATORS = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "**": operator.pow,
}  # fmt: skip


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", OPERATORS)
@given(value=st.integers(1, 4) | st.floats(0.5, 4))
def test_arithmetic_is_pythons(name, reverse, value):
    x = np.array([0.5, 1.0, 2.5])
    expected = OPERATORS[name](value, x) if reverse else OPERATORS[name](x, value)
    assert np.allclose(rt.Arithmetic(name, value, reverse=reverse, input=3)(x).numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("name", OPERATORS)
def test_numbers_on_either_side_of_a_wire_make_arithmetic(name):
    x = np.array([0.5, 1.0, 2.5])
    for formula in (lambda w: OPERATORS[name](w, 3), lambda w: OPERATORS[name](1.5, w)):
        net = rt.Graph(formula, input=3)
        assert [type(child) for child in net.children.values()] == [rt.Arithmetic]
        assert np.allclose(net(x).numpy(), formula(x), rtol=1e-5)
        assert eval(repr(net), vars(rt)) == net


def test_the_order_of_sums_and_products_is_no_difference():
    assert rt.Arithmetic("+", 2, reverse=True) == rt.Arithmetic("+", 2)
    assert rt.Graph(lambda x: 2 * x) == rt.Graph(lambda x: x * 2)
    assert rt.Arithmetic("-", 2, reverse=True) != rt.Arithmetic("-", 2)


def test_whole_numbers_stay_whole_in_sums_and_become_real_in_quotients():
    rt.Chain(rt.Arithmetic("+", 1), rt.Embedding(2, classes=5), input=())
    for made in (rt.Arithmetic("/", 2), rt.Arithmetic("*", 0.5), rt.Arithmetic("**", -1)):
        with pytest.raises(rt.ShapeError, match="takes whole numbers"):
            rt.Chain(made, rt.Embedding(2, classes=5), input=())


def test_whole_numbers_become_real_where_a_layer_takes_real_ones():
    net = rt.Graph(lambda x: (rt.Embedding(2, classes=4)(x), rt.Linear(1, init="ones")(x)), input=3).init()
    assert net([1, 2, 3])["output2"].tolist() == [6]
    reciprocal = rt.Arithmetic("**", -1, input=(2,))
    whole = {"input": torch.tensor([[1, 2]])}
    assert walk(reciprocal, whole, {})["output"].tolist() == [[1, 0.5]]


def test_division_by_zero_and_unknown_operators_are_refused():
    with pytest.raises(rt.ArgumentError, match=r"Arithmetic: division by zero\."):
        rt.Graph(lambda x: x / 0)
    with pytest.raises(rt.ArgumentError, match=r"operator is one of '\+', '-', '\*', '/', '\*\*'; got '%'"):
        rt.Arithmetic("%", 2)
    with pytest.raises(rt.ArgumentError, match="value is a number"):
        rt.Arithmetic("+", float("inf"))


# Padding ------------------------------------------------------------------------------------------

SINGULAR = [
    *(rt.Elementwise(name) for name in ("log", "sqrt", "reciprocal", "rsqrt", "log2", "log10")),
    rt.Arithmetic("/", 1, reverse=True),
    rt.Arithmetic("**", 0.5),
    rt.Arithmetic("**", -1),
    rt.Softmax(),
    rt.LogSoftmax(),
    rt.LayerNorm(),
    rt.RMSNorm(eps=1e-6),
    rt.Reduce("max", -1),
    rt.Graph(lambda x: x / x),
    rt.Graph(lambda x: x**x),
]


@pytest.mark.parametrize("made", SINGULAR)
def test_padding_never_spoils_the_derivatives_of_weights_before_it(made):
    """Padding is 0, a linear layer keeps it so, and there 1 / x and its like have no derivative."""
    net = rt.Chain(rt.Linear(3, init="ones"), made, rt.Reduce("sum"), input=("n", 2)).init()
    x = torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [0.0, 0.0]]])
    arrays = {path: array.clone().requires_grad_(True) for path, array in net.arrays.items()}
    y = walk(net, {"input": x}, arrays, Run(lengths={"n": torch.tensor([2, 1])}))["output"]
    assert torch.isfinite(y).all()
    gradients = torch.autograd.grad(y.sum(), arrays.values())
    apart = [walk(net, {"input": x[:1]}, arrays, Run(lengths={"n": torch.tensor([2])}))["output"]]
    apart += [walk(net, {"input": x[1:, :1]}, arrays, Run(lengths={"n": torch.tensor([1])}))["output"]]
    expected = torch.autograd.grad(sum(each.sum() for each in apart), arrays.values())
    for got, wanted in zip(gradients, expected, strict=True):
        assert torch.allclose(got, wanted, atol=1e-5)


# Constructors -------------------------------------------------------------------------------------

REFUSED = [
    (lambda: rt.ReLU(True), "no positional argument"),
    (lambda: rt.ReLU(inplace=True), "Here nothing is done in place; leave it out."),
    (lambda: rt.LeakyReLU(0.1, True), "LeakyReLU takes slope; 2 were given"),
    (lambda: rt.LeakyReLU(negative_slope=0.1), "Here it is called slope."),
    (lambda: rt.PReLU(64), "has a slope for each channel, however many there are"),
    (lambda: rt.PReLU(num_parameters=64), "shared=True makes one for all"),
    (lambda: rt.GELU("tanh"), "name the others: .*approximate"),
    (lambda: rt.GELU(approximate="tahn"), "Did you mean 'tanh'"),
    (lambda: rt.Softmax(1), r"PyTorch's Softmax\(1\) of vectors is Softmax\(\)"),
    (lambda: rt.LogSoftmax(1), r"PyTorch's LogSoftmax\(1\) of vectors is LogSoftmax\(\)"),
    (lambda: rt.Softmax(dim=1), "Here it is called axis."),
    (lambda: rt.Softmax(axis=1.5), "axis is a whole number"),
    (lambda: rt.Softplus(0), "beta is a number above 0"),
    (lambda: rt.HardTanh(1, -1), "low is 1, not below high, -1"),
    (lambda: rt.ELU("a"), "alpha is a number"),
    (lambda: rt.Linear(784, 10), r"PyTorch's Linear\(784, 10\) is Linear\(10\)"),
]


@pytest.mark.parametrize(("call", "text"), REFUSED, ids=[text[:40] for _, text in REFUSED])
def test_wrong_arguments_are_refused_with_the_cure(call, text):
    with pytest.raises(rt.ArgumentError, match=text):
        call()
