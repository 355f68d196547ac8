"""The spatial transformer: against PyTorch's own."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

import retia as rt
from retia.engine.walk import walk

SIZES = st.integers(1, 5)


def both(shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(2, *shape, generator=generator, dtype=torch.float64)
    noise = torch.rand(2, 6, generator=generator, dtype=torch.float64) - 0.5
    return x, noise + torch.tensor([1.0, 0, 0, 0, 1, 0], dtype=torch.float64)


def theirs(x, theta, size, mode, padding):
    grid = functional.affine_grid(theta.reshape(-1, 2, 3), [*x.shape[:2], *size], align_corners=False)
    return functional.grid_sample(x, grid, mode, padding, align_corners=False)


@given(st.tuples(SIZES, SIZES, SIZES), st.none() | st.tuples(SIZES, SIZES), st.sampled_from([0.0, "edge"]))
def test_it_is_pytorchs_with_derivatives_to_both(shape, size, fill):
    x, theta = (each.requires_grad_() for each in both(shape))
    net = rt.SpatialTransform(size=size, fill=fill, input={"input": shape, "parameters": 6})
    found = walk(net, {"input": x, "parameters": theta}, {})["output"]
    expected = theirs(x, theta, size or shape[1:], "bilinear", "border" if fill == "edge" else "zeros")
    assert net.outputs["output"].shape == tuple(found.shape[1:])
    weight = torch.linspace(-1, 1, found.numel(), dtype=torch.float64).reshape(found.shape)
    ours = torch.autograd.grad((found * weight).sum(), [x, theta])
    other = torch.autograd.grad((expected * weight).sum(), [x, theta])
    for one, two in zip([found, *ours], [expected, *other], strict=True):
        assert (one - two).detach().norm() <= 1e-12 * max(1.0, float(two.detach().norm()))


def test_the_nearest_pixel_and_a_number_around_the_picture():
    x, theta = both((2, 4, 5), seed=1)
    net = rt.SpatialTransform(mode="nearest", fill=0.5, input={"input": (2, 4, 5), "parameters": 6})
    found = walk(net, {"input": x, "parameters": theta}, {})["output"]
    assert torch.allclose(found, theirs(x - 0.5, theta, (4, 5), "nearest", "zeros") + 0.5)


def test_what_changes_nothing_changes_nothing():
    x = torch.rand(1, 3, 4)
    net = rt.SpatialTransform(input={"input": (1, 3, 4), "parameters": 6})
    assert torch.allclose(net({"input": x, "parameters": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]}), x, atol=1e-6)


def test_the_layer_that_finds_the_parameters_knows_that_they_are_six():
    net = rt.Graph(
        lambda x: rt.SpatialTransform()(x, rt.Linear()(rt.Flatten()(x))), input=(1, 4, 4), output=(1, 4, 4)
    )
    assert net.count == 16 * 6 + 6


def test_a_size_is_two_numbers():
    with pytest.raises(rt.ArgumentError, match=r"size is a height and a width; got \(2,\)\."):
        rt.SpatialTransform(size=2)
    with pytest.raises(rt.ShapeError, match="there is nothing to read off a picture without pixels"):
        rt.SpatialTransform(input={"input": (1, 0, 4), "parameters": 6})
