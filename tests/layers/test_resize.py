"""Upsample and Resize against PyTorch, NumPy and Pillow, their sizes both ways, and the batch law."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import retia as rt
from retia.engine.walk import walk

MODES = {
    "nearest": {1: "nearest", 2: "nearest", 3: "nearest"},
    "nearest-exact": {1: "nearest-exact", 2: "nearest-exact", 3: "nearest-exact"},
    "linear": {1: "linear", 2: "bilinear", 3: "trilinear"},
    "cubic": {2: "bicubic"},
    "area": {1: "area", 2: "area", 3: "area"},
}


class Interpolation(torch.nn.Module):
    """PyTorch's function as a module, to be compared with."""

    def __init__(self, **how):
        super().__init__()
        self.how = how

    def forward(self, x):
        return torch.nn.functional.interpolate(x, **self.how)


def sizes(rank, high=6):
    return st.tuples(*[st.integers(1, high)] * rank)


@pytest.mark.parametrize("mode", MODES)
@given(data=st.data())
def test_resize_is_the_interpolation_of_pytorch_in_values_and_gradients(mode, data, equals_pytorch):
    rank = data.draw(st.sampled_from(list(MODES[mode])))
    shape, size = (2, *data.draw(sizes(rank))), data.draw(sizes(rank, 9))
    # One wide, PyTorch's smoothing is wrong; Pillow tells below.
    antialias = mode in ("linear", "cubic") and rank == 2 and size[1] > 1 and data.draw(st.booleans())
    net = rt.Resize(*size, mode=mode, antialias=antialias, input=shape)
    assert net.outputs["output"].shape == (2, *size)
    equals_pytorch(net, Interpolation(size=size, mode=MODES[mode][rank], antialias=antialias), shape)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@given(data=st.data())
def test_upsampling_is_that_of_pytorch_in_values_and_gradients(mode, data, equals_pytorch):
    rank = data.draw(st.sampled_from(list(MODES[mode])))
    shape = (2, *data.draw(sizes(rank)))
    factor = data.draw(st.one_of(st.integers(1, 4), sizes(rank, 4)))
    scale = tuple(map(float, factor)) if isinstance(factor, tuple) else factor
    theirs = torch.nn.Upsample(scale_factor=scale, mode=MODES[mode][rank])
    equals_pytorch(rt.Upsample(factor, mode=mode, input=shape), theirs, shape)


@pytest.mark.parametrize("factor", [2, 7, 41, 47, 61])
def test_the_nearest_are_repeated_also_where_the_reciprocal_of_the_factor_is_rounded_down(factor):
    x = np.arange(64.0, dtype=np.float32).reshape(1, 64)
    got = rt.Upsample(factor, input=(1, 64))(x)
    assert np.array_equal(got.numpy(), np.repeat(x, factor, axis=1))


@given(before=sizes(2, 20), after=sizes(2, 20))
@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_smoothed_resize_is_that_of_pillow(mode, before, after):
    filters = {"linear": "BILINEAR", "cubic": "BICUBIC"}
    picture = np.random.default_rng(before).random(before, dtype=np.float32)
    net = rt.Resize(*after, mode=mode, antialias=True, input=(1, *before))
    expected = Image.fromarray(picture).resize(after[::-1], Image.Resampling[filters[mode]])
    assert np.allclose(net(picture[None])[0].numpy(), np.asarray(expected), atol=1e-5)


@given(before=st.integers(1, 40), after=st.integers(1, 40))
def test_the_nearest_exact_is_the_element_whose_middle_is_nearest(before, after):
    x = torch.arange(before, dtype=torch.float32).reshape(1, before)
    got = rt.Resize(after, mode="nearest-exact", input=(1, before))(x)
    places = (np.arange(after) + 0.5) * before / after - 0.5
    assert np.abs(got[0].numpy() - places).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_smoothing_to_one_column_has_the_gradient_of_smoothing_to_one_row(mode):
    net = rt.Resize(3, 1, mode=mode, antialias=True, input=(2, 7, 5))
    swapped = rt.Resize(1, 3, mode=mode, antialias=True, input=(2, 5, 7))
    x = torch.rand(2, 7, 5, generator=torch.Generator().manual_seed(0))
    weight = torch.tensor([1.0, -2.0, 3.0])
    column = net.grad(x, of=lambda y: (y[..., 0] * weight).sum())
    row = swapped.grad(x.transpose(1, 2), of=lambda y: (y[..., 0, :] * weight).sum())
    assert torch.allclose(column, row.transpose(1, 2))


def test_the_size_before_upsampling_follows_from_the_output():
    for net in (rt.Upsample(3, output=(2, 6, 9)), rt.Upsample((3, 3), output=(2, 6, 9))):
        assert net.inputs["input"].shape == (2, 2, 3)
    net = rt.Upsample((1, 2), input=(None, 4, None), output=(2, 4, 8))
    assert net.inputs["input"].shape == (2, 4, 4)
    net = rt.Upsample(2, output=(None, None, 8))
    assert net.inputs["input"].shape == (None, None, 4)


def test_resize_knows_its_output_and_the_number_of_its_axes():
    net = rt.Resize(4, 5)
    assert net.outputs["output"].shape == (None, 4, 5)
    assert net.inputs["input"].shape == (None, None, None)
    assert rt.Resize((4, 5)) == net
    assert rt.Resize(8, output=(3, 8)).inputs["input"].shape == (3, None)


@pytest.mark.parametrize("shape", [("n",), ("n", 3), (2, "n"), ("n", "m"), (2, "m", "n")])
@pytest.mark.parametrize("factor", [1, 3])
def test_upsampling_the_nearest_keeps_the_batch_law(shape, factor, keeps_the_batch_law):
    net = rt.Upsample(factor, input=(2, *shape))
    lengths = {"n": [1, 4, 7], "m": [5, 2, 3]}
    assert [str(size) for size in net.outputs["output"].shape[1:] if not isinstance(size, int)] == [
        axis if factor == 1 else f"{factor}*{axis}" for axis in shape if isinstance(axis, str)
    ]
    keeps_the_batch_law(net, {axis: lengths[axis] for axis in shape if isinstance(axis, str)}, padding=1e6)


def test_a_varying_size_before_upsampling_follows_where_it_is_whole():
    assert str(rt.Upsample(2, input=(1, "n")).outputs["output"].shape[1]) == "2*n"
    assert rt.Upsample(2, output=(1, "n")).inputs["input"].shape == (1, None)


def test_nothing_upsampled_is_nothing():
    x = torch.zeros((2, 3, 0, 4), requires_grad=True)
    result = walk(rt.Upsample(2, input=(3, "n", 4)), {"input": x}, {})["output"]
    assert tuple(result.shape) == (2, 3, 0, 8)
    assert tuple(torch.autograd.grad(result.sum(), x)[0].shape) == (2, 3, 0, 4)


def test_no_examples_give_no_results():
    for net in (rt.Resize(4, 5, input=(3, 2, 2)), rt.Upsample(2, input=(3, 2, 2))):
        got = walk(net, {"input": torch.zeros((0, 3, 2, 2))}, {})["output"]
        assert tuple(got.shape) == (0, *net.outputs["output"].shape)


@pytest.mark.parametrize(
    ("word", "mode"), [("bilinear", "linear"), ("trilinear", "linear"), ("bicubic", "cubic")]
)
def test_the_words_of_pytorch_name_the_modes_too(word, mode):
    assert rt.Resize(4, 5, mode=word) == rt.Resize(4, 5, mode=mode)
    assert rt.Upsample(2, mode=word) == rt.Upsample(2, mode=mode)


@pytest.mark.parametrize(
    "net",
    [
        rt.Upsample(2),
        rt.Upsample((1, 2), mode="cubic", input=(3, 4, 4)),
        rt.Resize(8),
        rt.Resize(8, 8, mode="cubic", antialias=True),
        rt.Resize(8, 6, 4, mode="area", input=(3, 4, 4, 4)),
    ],
)
def test_repr_and_json_come_back(net, comes_back):
    comes_back(net)


ERRORS = [
    (
        lambda: rt.Upsample(None, 2),
        "Upsample(None, 2): Upsample takes factor; 2 were given by position.\n"
        "  from  sizes of inputs are never positional, they are inferred (or given by input=)\n"
        "  fix   Upsample(2) doubles each axis; to a given size, Resize(64, 64)",
    ),
    (
        lambda: rt.Upsample(scale_factor=2),
        "Upsample(scale_factor=...): Upsample has no argument 'scale_factor'. Here it is called factor, and "
        "comes first.\n  fix   it has: init, input, output, factor, mode",
    ),
    (lambda: rt.Upsample(), "Upsample(): factor is missing."),
    (lambda: rt.Upsample(1.5), "Upsample: factor is a whole number of at least 1; got 1.5."),
    (
        lambda: rt.Upsample((1, 2, 3, 4)),
        "Upsample: factor is a whole number, or one for each of one to three axes; got (1, 2, 3, 4).",
    ),
    (
        lambda: rt.Upsample(2, mode="bilinaer"),
        "Upsample: mode is one of 'nearest', 'linear', 'cubic'; got 'bilinaer'. Did you mean 'linear'?",
    ),
    (
        lambda: rt.Upsample(2, output=(3, 5)),
        "Upsample(2): 5 is not 2 times a whole number.",
    ),
    (
        lambda: rt.Upsample(2, mode="cubic", input=(3, 5)),
        "Upsample(2, mode='cubic'): mode 'cubic' takes two axes after the channels; got 1.",
    ),
    (
        lambda: rt.Upsample(2, input=3),
        "Upsample(2): mode 'nearest' takes one to three axes after the channels; got 0.",
    ),
    (
        lambda: rt.Upsample(2, mode="linear", input=(3, "n")),
        "Upsample(2, mode='linear'): mode 'linear' reads across the end of an example, and a size varies "
        "(n).\n  fix   mode='nearest'",
    ),
    (lambda: rt.Resize(2, "nearest"), "Resize: size is a whole number of at least 1; got 'nearest'."),
    (
        lambda: rt.Resize(1, 2, 3, 4),
        "Resize: size is one whole number for each of one to three axes; got (1, 2, 3, 4).\n"
        "  fix   Resize(64, 64) for pictures",
    ),
    (
        lambda: rt.Resize(4, 4, mode="area", antialias=True),
        "Resize: antialias belongs to the modes 'linear' and 'cubic'; got 'area'.\n"
        "  fix   mode='linear', or mode='area', which averages",
    ),
    (
        lambda: rt.Resize(4, mode="cubic"),
        "Resize: mode='cubic' is for two axes; size has 1.\n  fix   mode='linear'",
    ),
    (
        lambda: rt.Resize(4, antialias=True),
        "Resize: antialias is for two axes; size has 1.\n  fix   mode='linear'",
    ),
    (
        lambda: rt.Resize(4, 4, input=(3, 0, 2)),
        "Resize(4, 4): there is nothing to resize along an axis of size 0.",
    ),
]


@pytest.mark.parametrize(("call", "text"), ERRORS, ids=[text.split("\n")[0][:60] for _, text in ERRORS])
def test_errors_say_what_is_wrong_and_what_to_do(call, text):
    with pytest.raises(rt.Error) as caught:
        call()
    assert str(caught.value) == text


def test_resizing_what_varies_is_refused():
    with pytest.raises(rt.ShapeError, match="axis 1 of its input varies from example to example"):
        rt.Resize(4, input=(3, "n"))
