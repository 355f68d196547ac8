"""Embedding and one-hot vectors against PyTorch; dropout, its draws and its law."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import retia as rt
from retia.engine.walk import Run, walk


@pytest.mark.parametrize("shape", [(), (4,), (2, 3)], ids=str)
def test_embedding_is_pytorchs_in_values_and_derivatives(shape):
    theirs = nn.Embedding(7, 5)
    net = rt.Embedding(5, classes=7, input=shape)
    assert net.array_shapes() == {"weight": (7, 5)}
    x = torch.randint(7, (3, *shape), generator=torch.Generator().manual_seed(0))
    ours = walk(net, {"input": x}, {"weight": theirs.weight})["output"]
    expected = theirs(x)
    assert torch.equal(ours, expected)
    weight = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    (mine,) = torch.autograd.grad((ours * weight).sum(), theirs.weight)
    (other,) = torch.autograd.grad((expected * weight).sum(), theirs.weight)
    assert torch.equal(mine, other)


def test_embedding_starts_normal_as_pytorchs():
    weight = rt.Embedding(50, classes=400).init(seed=3).arrays["weight"]
    assert abs(float(weight.mean())) < 0.03
    assert float(weight.std()) == pytest.approx(1, abs=0.03)


def test_the_size_of_vectors_is_inferred_from_what_follows():
    net = rt.Chain(rt.Embedding(classes=9), rt.Reduce("mean", 0), input=(4,), output=3)
    assert net.array_shapes() == {"0.weight": (9, 3)}
    with pytest.raises(rt.ShapeError, match=r"0\.weight has shape \(classes, 3\)"):
        rt.Chain(rt.Embedding(3), rt.Tanh(), input=()).init()


def test_a_text_of_any_length_is_embedded():
    net = rt.Chain(rt.Embedding(2, classes=5), rt.Reduce("mean", 0), input=("n",)).init()
    weight = net.arrays["0.weight"]
    got = net([[1, 2, 3], [4]])
    assert torch.allclose(got, torch.stack([weight[[1, 2, 3]].mean(0), weight[4]]))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=4))
def test_one_hot_is_a_row_of_the_identity(numbers):
    got = rt.OneHot(6, input=(len(numbers),))(numbers)
    assert got.dtype == torch.float32
    assert np.array_equal(got.numpy(), np.eye(6)[numbers])


@pytest.mark.parametrize("wrong", [[0, 5], [-1, 2]])
@pytest.mark.parametrize("layer", [rt.Embedding(2, classes=5, input=(2,)), rt.OneHot(5, input=(2,))])
def test_a_number_beyond_the_classes_is_an_error_that_names_it(layer, wrong):
    found = [n for n in wrong if not 0 <= n < 5][0]
    with pytest.raises(rt.DataError, match=f"knows the numbers 0 to 4; got {found}") as caught:
        layer.init()(wrong)
    assert caught.value.got == found


def test_fractions_are_refused_at_the_call():
    with pytest.raises(rt.CodecError, match="whole numbers"):
        rt.OneHot(3, input=())(0.5)
    assert rt.OneHot(3, input=())(1.0).tolist() == [0, 1, 0]


# Dropout ------------------------------------------------------------------------------------------


def dropped(layer, x, **how):
    return walk(layer, {"input": x}, {}, Run(training=True, **how))["output"]


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_mean_and_zeroes_the_rate(rate):
    y = dropped(rt.Dropout(rate, input=1000), torch.ones(50, 1000))
    kept = y != 0
    assert float((~kept).float().mean()) == pytest.approx(rate, abs=0.01)
    assert torch.allclose(y[kept], torch.tensor(1 / (1 - rate)))


def test_dropout_is_nothing_in_inference_and_at_rate_0():
    x = torch.randn(3, 4)
    assert torch.equal(rt.Dropout(0.9, input=4)(x), x)
    assert torch.equal(dropped(rt.Dropout(0, input=4), x), x)


def test_draws_depend_on_seed_step_layer_and_example_and_nothing_else():
    net = rt.Chain(rt.Dropout(), input=64)
    x = torch.ones(8, 64)
    first = dropped(net, x)
    assert torch.equal(first, dropped(net, x))
    assert not torch.equal(first, dropped(net, x, seed=1))
    assert not torch.equal(first, dropped(net, x, step=1))
    rows = torch.tensor([5, 2])
    assert torch.equal(dropped(net, x[:2], rows=rows), first[rows])
    twice = rt.Graph(lambda w: (rt.Dropout()(w), rt.Dropout()(w)), input=64)
    one, other = walk(twice, {"input": x}, {}, Run(training=True)).values()
    assert not torch.equal(one, other)


def test_channels_are_dropped_whole():
    y = dropped(rt.Dropout(0.5, channels=True, input=(40, 3, 2)), torch.ones(5, 40, 3, 2))
    assert ((y == 0).all((2, 3)) | (y == 2).all((2, 3))).all()
    assert 0 < float((y == 0).float().mean()) < 1


def test_the_derivative_goes_where_the_value_went():
    x = torch.ones(2, 50, requires_grad=True)
    y = dropped(rt.Dropout(0.25, input=50), x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert torch.equal(gradient, y.detach())


REFUSED = [
    (lambda: rt.Embedding(1000, 64), "it is PyTorch's Embedding(1000, 64)"),
    (lambda: rt.Embedding(num_embeddings=1000), "Here it is called classes"),
    (lambda: rt.Embedding(embedding_dim=64), "Here it is called size, and comes first"),
    (lambda: rt.Embedding(0), "size is a whole number of at least 1"),
    (lambda: rt.OneHot(), "classes is missing"),
    (lambda: rt.Dropout(1), "rate is a number from 0 to below 1; got 1"),
    (lambda: rt.Dropout(-0.1), "rate is a number from 0 to below 1; got -0.1"),
    (lambda: rt.Dropout(p=0.5), "Here it is called rate"),
    (lambda: rt.Dropout(0.5, True), "Dropout takes rate; 2 were given"),
]


@pytest.mark.parametrize(("call", "text"), REFUSED, ids=[text[:40] for _, text in REFUSED])
def test_wrong_arguments_are_refused_with_the_cure(call, text):
    with pytest.raises(rt.ArgumentError) as caught:
        call()
    assert text in str(caught.value)
