"""Losses against PyTorch's own, derivatives by differences, and what the graph shows to be wrong."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

import retia as rt
from retia.engine.walk import Run, walk_values
from retia.metrics import losses
from retia.metrics.objective import objective

SIX = [[0.01, 0.03, 0.00, 0.04, 0.03, 0.05, 0.8, 0.02, 0.01, 0.01]]


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def numbers(high, *shape, seed=0):
    return torch.randint(0, high, shape, generator=torch.Generator().manual_seed(seed))


def loss_of(net, inputs, targets, loss=None, **how):
    lower = objective(net, loss)
    run = Run(lengths=how.get("lengths", {}))
    values = walk_values(net, {"input": inputs}, net.arrays, run, lower.wanted)
    return lower(values, {"output": targets}, **how)


def test_the_cross_entropy_of_a_six_given_point_eight():
    each = losses.cross_entropy(torch.tensor(SIX), torch.tensor([6]))
    assert round(each.item(), 4) == 0.2231
    one_hot = functional.one_hot(torch.tensor([6]), 10)
    assert torch.equal(losses.cross_entropy(torch.tensor(SIX), one_hot), each)


def test_a_right_class_of_probability_0_has_a_finite_loss_and_derivative():
    p = torch.tensor(SIX, requires_grad=True)
    loss = losses.cross_entropy(p, torch.tensor([2])).sum()
    (derivative,) = torch.autograd.grad(loss, p)
    assert bool(loss.isfinite())
    assert bool(derivative.isfinite().all())


@given(st.integers(1, 5), st.integers(2, 6), st.integers(0, 99))
def test_cross_entropy_is_pytorchs_from_logits_and_from_probabilities(batch, classes, seed):
    logits, labels = drawn(batch, classes, seed=seed), numbers(classes, batch, seed=seed)
    soft = drawn(batch, classes, seed=seed + 1).softmax(1)
    for target in (labels, soft):
        reference = functional.cross_entropy(logits, target, reduction="none")
        assert torch.allclose(losses.cross_entropy_of_logits(logits, target), reference, atol=1e-6)
        assert torch.allclose(losses.cross_entropy(logits.softmax(1), target), reference, atol=1e-5)


def test_cross_entropy_along_another_axis_is_pytorchs():
    logits, labels = drawn(2, 5, 3, 4), numbers(5, 2, 3, 4)
    reference = functional.cross_entropy(logits, labels, reduction="none")
    assert torch.allclose(losses.cross_entropy_of_logits(logits, labels, 1), reference)
    assert torch.allclose(losses.cross_entropy(logits.softmax(1), labels, 1), reference, atol=1e-6)


@given(st.integers(1, 5), st.integers(0, 99))
def test_binary_cross_entropy_is_pytorchs_from_logits_and_from_probabilities(batch, seed):
    logits, target = drawn(batch, 3, seed=seed), numbers(2, batch, 3, seed=seed)
    reference = functional.binary_cross_entropy_with_logits(logits, target.float(), reduction="none")
    assert torch.allclose(losses.binary_cross_entropy_of_logits(logits, target), reference)
    assert torch.allclose(losses.binary_cross_entropy(logits.sigmoid(), target), reference, atol=1e-5)


def test_losses_of_numbers_are_pytorchs():
    y, t = drawn(4, 3), 3 * drawn(4, 3, seed=1)
    assert torch.equal(losses.squared_error(y, t), (y - t) ** 2)
    assert torch.equal(losses.absolute_error(y, t), (y - t).abs())
    assert torch.allclose(losses.huber(y, t), functional.smooth_l1_loss(y, t, reduction="none"))


@pytest.mark.parametrize("name", [*losses.LOSSES])
def test_derivatives_agree_with_differences(name):
    loss = losses.LOSSES[name]
    target = numbers(4, 3) if loss.classes else (drawn(3, 4, seed=1) > 0).double()
    for formula in filter(None, (loss.formula, loss.of_logits)):
        value = drawn(3, 4, seed=2).double().softmax(1).requires_grad_()
        assert torch.autograd.gradcheck(lambda y, f=formula: f(y, target, -1), value)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("CrossEntropyLoss", "cross-entropy"), ("sparse_categorical_crossentropy", "cross-entropy"),
        ("BCEWithLogitsLoss", "binary-cross-entropy"), ("MSELoss", "mse"), ("mean_squared_error", "mse"),
        ("L1Loss", "mae"), ("SmoothL1Loss", "huber"), ("nll_loss", "cross-entropy"),
    ],
)  # fmt: skip
def test_other_spellings_of_losses_are_known(spelling, name):
    assert losses.find_loss(spelling).name == name


def test_a_misspelt_loss_is_an_error_that_helps():
    with pytest.raises(
        rt.ArgumentError, match=r"none called 'cros-entropy'\. Did you mean 'cross-entropy'\?"
    ):
        losses.find_loss("cros-entropy")


@pytest.mark.parametrize("ending", ["Softmax", "LogSoftmax"])
def test_the_loss_of_a_net_that_ends_in_softmax_is_computed_from_its_logits(ending):
    net = rt.Chain(rt.Linear(3), getattr(rt, ending)(), input=2).init()
    x, y = 1e4 * drawn(5, 2), numbers(3, 5)
    logits = functional.linear(x, net.arrays["0.weight"], net.arrays["0.bias"])
    assert torch.allclose(loss_of(net, x, y), functional.cross_entropy(logits, y))
    assert loss_of(net, x, y) > 100  # the probabilities are 0 and 1: from them it could not be known


def test_the_loss_of_a_net_that_ends_in_sigmoid_is_computed_from_its_logits():
    net = rt.Chain(rt.Linear(3), rt.Sigmoid(), input=2).init()
    x, y = 1e4 * drawn(5, 2), numbers(2, 5, 3).float()
    logits = functional.linear(x, net.arrays["0.weight"], net.arrays["0.bias"])
    reference = functional.binary_cross_entropy_with_logits(logits, y)
    assert torch.allclose(loss_of(net, x, y, "binary-cross-entropy"), reference)


def test_a_net_that_ends_in_neither_gives_logits():
    net = rt.Chain(rt.Linear(3), input=2).init()
    x, y = drawn(5, 2), numbers(3, 5)
    logits = functional.linear(x, net.arrays["0.weight"], net.arrays["0.bias"])
    assert torch.allclose(loss_of(net, x, y, "cross-entropy"), functional.cross_entropy(logits, y))


def test_probabilities_that_are_moved_after_softmax_stay_probabilities():
    net = rt.Chain(rt.Linear(3), rt.Softmax(), rt.Flatten(), input=2).init()
    plain = rt.Chain(net[0], rt.Softmax(), input=2)
    x, y = drawn(5, 2), numbers(3, 5)
    assert torch.allclose(loss_of(net, x, y, "cross-entropy"), loss_of(plain, x, y), atol=1e-6)


def test_the_classes_may_stand_along_another_axis():
    net = rt.Chain(rt.Softmax(axis=0), input=(3, 4))
    x, y = drawn(2, 3, 4), numbers(3, 2, 4)
    assert torch.allclose(loss_of(net, x, y), functional.cross_entropy(x, y))


def test_only_real_positions_count_where_examples_are_padded():
    net = rt.Chain(rt.Linear(3), rt.Softmax(), input=("n", 2)).init()
    long, short = drawn(1, 5, 2), drawn(1, 2, 2, seed=1)
    y_long, y_short = numbers(3, 1, 5), numbers(3, 1, 2, seed=1)
    x = torch.cat([long, functional.pad(short, (0, 0, 0, 3))])
    y = torch.cat([y_long, functional.pad(y_short, (0, 3), value=2)])
    together = loss_of(net, x, y, lengths={"n": torch.tensor([5, 2])})
    apart = (5 * loss_of(net, long, y_long) + 2 * loss_of(net, short, y_short)) / 7
    assert torch.allclose(together, apart)


def test_the_loss_follows_from_the_codec_and_the_ending():
    def name(net):
        return objective(net).name

    labels = rt.Classes(["cat", "dog"])
    assert name(rt.Chain(rt.Linear(), rt.Softmax(), input=2, output=labels)) == "cross-entropy"
    assert name(rt.Chain(rt.Linear(), input=2, output=labels)) == "cross-entropy"
    assert name(rt.Chain(rt.Linear(), rt.Sigmoid(), input=2, output=labels)) == "binary-cross-entropy"
    assert name(rt.Chain(rt.Sigmoid(), input=(), output=rt.Boolean())) == "binary-cross-entropy"
    assert name(rt.Chain(rt.Linear(3), rt.Softmax(), input=2)) == "cross-entropy"
    assert name(rt.Chain(rt.Linear(3), input=2)) == "mse"
    softmax = rt.Chain(rt.Linear(3), rt.Softmax(), input=2)
    assert objective(softmax, whole={"output": False}).name == "mse"


def two_ends():
    x = rt.Input(2)
    return rt.Graph({"a": rt.Linear(1)(x), "b": rt.Linear(3)(x)}).init()


def test_the_losses_of_several_outputs_add_by_their_weights():
    net = two_ends()
    x = drawn(4, 2)
    targets = {"a": drawn(4, 1), "b": numbers(3, 4)}
    lower = objective(net, {"a": ("mse", 0.5), "b": "cross-entropy"})
    values = walk_values(net, {"input": x}, net.arrays, Run(), lower.wanted)
    a, b = (values[net.wiring.outputs[port]] for port in ("a", "b"))
    expected = 0.5 * functional.mse_loss(a, targets["a"]) + functional.cross_entropy(b, targets["b"])
    assert torch.allclose(lower(values, targets), expected)
    assert lower.name == "0.5 * mse(a) + 1 * cross-entropy(b)"


def test_outputs_that_a_dict_leaves_out_have_no_loss():
    assert objective(two_ends(), {"a": "mae"}).ports == ("a",)


def test_the_loss_may_be_a_function():
    net = rt.Chain(rt.Linear(1), input=2).init()
    x, y = drawn(4, 2), drawn(4, 1)
    each = loss_of(net, x, y, lambda output, target: (output - target) ** 2)
    one = loss_of(net, x, y, lambda output, target: ((output - target) ** 2).mean())
    assert torch.allclose(each, one)
    assert torch.allclose(one, loss_of(net, x, y, "mse"))
    both = objective(two_ends(), lambda outputs, targets: outputs["a"].square() + targets["b"])
    values = {value: torch.ones(2, 1) for value in both.net.wiring.outputs.values()}
    assert both(values, {"a": torch.zeros(2, 1), "b": torch.ones(2, 1)}) == 2


def test_a_loss_function_that_answers_something_else_is_an_error():
    net = rt.Chain(rt.Linear(1), input=2).init()
    with pytest.raises(rt.TrainingError, match=r"one number, or one for each of the 4 examples; got \(3,\)"):
        loss_of(net, drawn(4, 2), drawn(4, 1), lambda output, target: torch.ones(3))


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        ({"c": "mse"}, r"no output 'c'; there are a, b"),
        ({}, "loss names no output"),
        ({"a": ("mse", -1)}, "weight of a is above 0; got -1"),
        ({"a": ("mse", True)}, "a pair is a loss and its weight"),
        ({"a": 3}, "loss is a name, a function"),
        (torch.nn.MSELoss, "loss is a name, a function"),
    ],
)
def test_what_is_no_loss_is_refused(loss, said):
    if isinstance(loss, type):
        loss = {"a": loss}
    with pytest.raises(rt.ArgumentError, match=said):
        objective(two_ends(), loss)


@pytest.mark.parametrize("loss", [None, "cross-entropy", "mse"])
def test_softmax_twice_is_refused(loss):
    net = rt.Chain(rt.Linear(3), rt.Softmax(), rt.Softmax(), input=2)
    with pytest.raises(rt.TrainingError) as caught:
        objective(net, loss)
    assert str(caught.value) == (
        "2 (Softmax()) comes right after 1 (Softmax()): the probabilities would be squashed twice, "
        "and the net could hardly learn.\n  fix   leave 1 out"
    )


def test_cross_entropy_of_single_probabilities_is_refused():
    net = rt.Chain(rt.Linear(3), rt.Sigmoid(), input=2)
    with pytest.raises(rt.TrainingError, match="sum to 1, but 1 \\(Sigmoid\\(\\)\\) gives each alone"):
        objective(net, "cross-entropy")


def check(net, targets, loss=None):
    objective(net, loss).check({"output": targets})


def test_n_against_n_1_is_refused_with_the_cure():
    with pytest.raises(rt.ShapeError) as caught:
        check(rt.Linear(1, input=2), torch.zeros(5))
    assert "the net gives (1) for each example, but the targets are ()" in str(caught.value)
    assert "y.reshape(-1, 1)" in str(caught.value)
    with pytest.raises(rt.ShapeError, match=r"y\.reshape\(-1\)"):
        check(rt.Chain(rt.Sigmoid(), input=()), torch.zeros(5, 1))
    with pytest.raises(rt.ShapeError, match="class numbers, one for each of"):
        check(rt.Chain(rt.Linear(3), rt.Softmax(), input=2), torch.zeros(5, 1, dtype=torch.int64))


def test_a_label_out_of_range_is_refused_with_its_row():
    net = rt.Chain(rt.Linear(3), rt.Softmax(), input=2)
    with pytest.raises(rt.DataError, match="row 1 has the class number 3, but there are 3 classes"):
        check(net, torch.tensor([0, 3, -1]))
    with pytest.raises(rt.DataError, match="class numbers are whole numbers; the targets are torch.float32"):
        check(net, torch.zeros(3))


def test_a_target_that_is_not_finite_is_refused_with_its_row():
    with pytest.raises(rt.DataError, match="the target in row 2 is nan"):
        check(rt.Linear(1, input=2), torch.tensor([[0.0], [1.0], [np.nan]]))
