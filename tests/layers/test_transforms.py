"""Transforms: against NumPy's, and against the matrices that define them, in double precision."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import retia as rt
from retia.engine.walk import walk

NORMS = st.sampled_from(["backward", "ortho", "forward"])


def run(net, x):
    return walk(net, {"input": torch.from_numpy(x)}, {})["output"].numpy()


def drawn(*shape):
    return np.random.default_rng(5).standard_normal(shape)


def near(found, expected):
    return np.linalg.norm(found - expected) <= 1e-12 * max(1.0, np.linalg.norm(expected))


@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 3), NORMS)
def test_fourier_is_numpys_over_one_to_three_axes(n, m, axes, norm):
    x = drawn(2, 3, m, n)
    net = rt.Fourier(axes=axes, norm=norm, input=x.shape[1:])
    assert net.outputs["output"].shape == (3, m, n // 2 + 1, 2)
    expected = np.fft.rfftn(x, axes=range(-axes, 0), norm=norm)
    assert near(run(net, x), np.stack([expected.real, expected.imag], -1))


@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 3), NORMS)
def test_the_inverse_takes_a_spectrum_back(n, m, axes, norm):
    x = drawn(2, 3, m, n)
    there = rt.Fourier(axes=axes, norm=norm, input=x.shape[1:])
    back = rt.InverseFourier(odd=n % 2 == 1, axes=axes, norm=norm)
    assert rt.Chain(there, back).outputs["output"].shape == x.shape[1:]
    assert near(run(rt.Chain(there, back), x), x)


@given(st.integers(2, 6), st.integers(1, 3), st.booleans(), st.integers(1, 2), NORMS)
def test_the_inverse_is_numpys_also_where_no_real_numbers_have_such_a_spectrum(bins, m, odd, axes, norm):
    x = drawn(2, m, bins, 2)
    net = rt.InverseFourier(odd=odd, axes=axes, norm=norm, input=x.shape[1:])
    n = 2 * bins - 2 + odd
    expected = np.fft.irfftn(x[..., 0] + 1j * x[..., 1], (m, n)[-axes:], range(-axes, 0), norm)
    assert net.outputs["output"].shape == (m, n)
    if axes == 1:  # over more, NumPy and PyTorch leave other parts out of account
        assert near(run(net, x), expected)


def test_sizes_are_inferred_where_only_one_will_do():
    assert rt.InverseFourier(output=8).inputs["input"].shape == (5, 2)
    assert rt.InverseFourier(odd=True, output=9).inputs["input"].shape == (5, 2)
    assert rt.Fourier(output=(5, 2)).inputs["input"].shape == (None,)
    assert rt.WalshHadamard(output=8).inputs["input"].shape == (8,)


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(rt.ShapeError, match="there is no spectrum of no numbers"):
        rt.Fourier(input=0)
    with pytest.raises(rt.ShapeError, match="one frequency makes one number, which is odd"):
        rt.InverseFourier(input=(1, 2))
    with pytest.raises(rt.ShapeError, match=r"it makes a number of values that is even and above 0; got 7\."):
        rt.InverseFourier(output=7)
    with pytest.raises(rt.ShapeError) as caught:
        rt.WalshHadamard(input=12)
    assert "12 is no power of 2." in str(caught.value)
    assert "Pad((0, 4)) before it makes 16" in str(caught.value)


@pytest.mark.parametrize("layer", [rt.Fourier(), rt.WalshHadamard()])
def test_a_transform_of_a_varying_length_is_refused(layer):
    with pytest.raises(rt.ShapeError, match="varies"):
        rt.Chain(layer, input=("n",))


def hadamard(n):
    """Sylvester's matrix."""
    matrix = np.ones((1, 1))
    while len(matrix) < n:
        matrix = np.kron([[1, 1], [1, -1]], matrix)
    return matrix


@given(st.integers(0, 6), NORMS)
def test_walsh_hadamard_is_a_product_with_sylvesters_matrix(power, norm):
    n = 2**power
    x = drawn(2, 3, n)
    scale = {"backward": 1, "ortho": n**-0.5, "forward": 1 / n}[norm]
    net = rt.WalshHadamard(norm=norm, input=(3, n))
    assert near(run(net, x), x @ hadamard(n) * scale)


def test_walsh_hadamard_is_its_own_inverse():
    x = drawn(2, 16)
    assert near(run(rt.Chain(rt.WalshHadamard(), rt.WalshHadamard(), input=16), x), x)


@pytest.mark.parametrize("layer", [rt.Fourier(), rt.WalshHadamard()])
def test_half_precision_stays_half(layer):
    net = type(layer)(input=8)
    x = torch.rand(2, 8)
    found = walk(net, {"input": x.bfloat16()}, {})["output"]
    assert found.dtype == torch.bfloat16
    assert torch.allclose(found.float(), walk(net, {"input": x}, {})["output"], atol=0.1)
