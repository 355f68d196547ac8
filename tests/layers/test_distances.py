"""Distances: against PyTorch's own layers."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import retia as rt
from retia.engine.walk import Run, walk


def both(*shape):
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_() for _ in "ab"]


def check(ours, theirs, axis):
    left, right = both(2, 3, 4)
    net = type(ours)(**{**ours.settings(), "input": {"left": (3, 4), "right": (3, 4)}})
    found = walk(net, {"left": left, "right": right}, {})["output"]
    expected = theirs(left, right)
    assert tuple(found.shape[1:]) == net.outputs["output"].shape == ((3,) if axis == -1 else (4,))
    for one, two in zip(
        [found, *torch.autograd.grad(found.sum(), [left, right])],
        [expected, *torch.autograd.grad(expected.sum(), [left, right])],
        strict=True,
    ):
        assert (one - two).detach().norm() <= 1e-12 * float(two.detach().norm())


@pytest.mark.parametrize("axis", [-1, 0])
def test_the_cosine_is_pytorchs(axis):
    check(rt.CosineSimilarity(axis), torch.nn.CosineSimilarity(dim=-1 if axis else 1), axis)


@pytest.mark.parametrize("order", [1, 2, 3.5])
def test_the_distance_is_pytorchs(order):
    check(rt.PairwiseDistance(order=order), torch.nn.PairwiseDistance(p=order), -1)


@given(st.lists(st.integers(1, 4), min_size=2, max_size=3))
def test_each_example_is_compared_over_its_own_length(lengths):
    left, right = both(len(lengths), max(lengths))
    for layer in (rt.CosineSimilarity, rt.PairwiseDistance):
        net = layer(input={"left": ("n",), "right": ("n",)})
        run = Run(lengths={"n": torch.tensor(lengths)})
        found = walk(net, {"left": left, "right": right}, {}, run)["output"]
        for k, length in enumerate(lengths):
            alone = layer(input={"left": length, "right": length})
            cut = {"left": left[k : k + 1, :length], "right": right[k : k + 1, :length]}
            assert torch.allclose(found[k], walk(alone, cut, {})["output"][0], rtol=1e-12)


def test_equal_arrays_have_derivatives():
    for net in (rt.CosineSimilarity, rt.PairwiseDistance):
        x = torch.zeros(1, 3, requires_grad=True)
        made = net(input={"left": 3, "right": 3})
        walk(made, {"left": x, "right": x.detach()}, {})["output"].sum().backward()
        assert torch.isfinite(x.grad).all()
