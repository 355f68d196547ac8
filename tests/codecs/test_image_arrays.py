"""Arrays as pictures: the tables of layouts and ranges."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as pillow

import retia as rt


def array(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


GRAY, RGB, OPEN, GRAY_OPEN = (
    rt.Image(28, 28, color="gray"),
    rt.Image(28, 28),
    rt.Image(),
    rt.Image(color="gray"),
)

READINGS = [
    # codec, shape, whether it is one, and the axes (n h w c) that it is read as
    (GRAY, (28, 28), True, "hw"),
    (GRAY, (28, 28, 1), True, "hwc"),
    (GRAY, (28, 28, 3), True, "hwc"),
    (GRAY, (28, 28, 4), True, "hwc"),
    (GRAY, (3, 28, 28), False, "nhw"),
    (GRAY, (10, 28, 28), False, "nhw"),
    (GRAY, (28, 28, 28), False, "nhw"),
    (GRAY, (5, 28, 28, 1), False, "nhwc"),
    (GRAY, (5, 28, 28, 3), False, "nhwc"),
    (GRAY, (5, 1, 28, 28), False, "nchw"),
    (GRAY, (1, 1, 28, 28), False, "nchw"),
    (GRAY, (3, 3, 28, 28), False, "nchw"),
    (GRAY, (200, 300, 3), True, "hwc"),
    (GRAY, (50, 40), True, "hw"),
    (RGB, (28, 28), True, "hw"),
    (RGB, (28, 28, 3), True, "hwc"),
    (RGB, (3, 28, 28), True, "chw"),
    (RGB, (10, 28, 28), False, "nhw"),
    (RGB, (100, 192, 192, 3), False, "nhwc"),
    (RGB, (2, 3, 50, 40), False, "nchw"),
    (OPEN, (200, 300, 3), True, "hwc"),
    (OPEN, (3, 200, 300), True, "chw"),
    (OPEN, (200, 300, 4), True, "hwc"),
    (OPEN, (10, 200, 300), False, "nhw"),
    (GRAY_OPEN, (64, 64, 3), True, "hwc"),
    (GRAY_OPEN, (64, 64, 1), True, "hwc"),
    (rt.Image(color="rgba"), (4, 20, 30), True, "chw"),
    (rt.Image(3, 4), (3, 4, 3), True, "hwc"),
    (rt.Image(4, 3), (3, 4, 3), True, "chw"),
    (rt.Image(5, 3, color="gray"), (9, 5, 3), False, "nhw"),
    (rt.Image(layout="chw"), (3, 4, 3), True, "chw"),
    (rt.Image(layout="hwc"), (3, 4, 3), True, "hwc"),
    (rt.Image(layout="hw"), (3, 4, 3), False, "nhw"),
    (rt.Image(28, 28, color="gray", layout="chw"), (1, 28, 28), True, "chw"),
    (rt.Image(28, 28, color="gray", layout="hw"), (1, 28, 28), False, "nhw"),
]


@pytest.mark.parametrize(("codec", "shape", "one", "axes"), READINGS, ids=str)
def test_an_array_is_read_by_the_table(codec, shape, one, axes):
    pixels = array(*shape)
    assert codec.is_one(pixels) is one
    assert codec.is_one(torch.from_numpy(pixels)) is one
    assert codec.is_one(pixels[:, :30].tolist() if pixels.size > 1e6 else pixels.tolist()) is one
    packed = codec.pack([pixels] if one else pixels)
    each = pixels[None] if one else pixels
    named = ("n" + axes).replace("nn", "n")
    each = each if "c" in named else each[..., None]
    each = each.transpose(*((named if "c" in named else named + "c").index(axis) for axis in "nhwc"))
    assert torch.equal(
        packed, codec.pack([pillow.fromarray(p[..., 0] if p.shape[2] == 1 else p) for p in each])
    )


@pytest.mark.parametrize(
    ("codec", "shape", "readings", "fixes"),
    [
        (
            GRAY,
            (1, 28, 28),
            "as a batch of (h, w) or as one (c, h, w)",
            ["layout", "net.one(x) or net.batch(xs)"],
        ),
        (
            RGB,
            (4, 28, 28),
            "as a batch of (h, w) or as one (c, h, w)",
            ["layout", "net.one(x) or net.batch(xs)"],
        ),
        (OPEN, (3, 4, 3), "as one (h, w, c) or as one (c, h, w)", ["layout"]),
        (OPEN, (2, 3, 4, 3), "as a batch of (h, w, c) or as a batch of (c, h, w)", ["layout"]),
        (rt.Image(3, 3), (3, 3, 3), "as one (h, w, c) or as one (c, h, w)", ["layout"]),
    ],
    ids=str,
)
def test_what_can_be_read_two_ways_is_refused_with_the_cure(codec, shape, readings, fixes):
    with pytest.raises(rt.CodecError) as caught:
        codec.is_one(array(*shape))
    assert caught.value.message == f"Image: an array of shape {shape} can be read {readings}."
    for fix in fixes:
        assert fix in caught.value.fix
    assert ("net.one" in caught.value.fix) is ("net.one(x) or net.batch(xs)" in fixes)


def test_knowing_whether_it_is_one_settles_most_doubts():
    pixels = array(1, 28, 28)
    assert GRAY.pack([pixels]).shape == GRAY.pack(pixels).shape == (1, 1, 28, 28)
    assert RGB.pack([array(4, 28, 28)]).shape == (1, 3, 28, 28)
    assert RGB.pack(array(4, 28, 28)).shape == (4, 3, 28, 28)


@pytest.mark.parametrize(
    ("codec", "shape"),
    [
        (GRAY, (784,)), (GRAY, (10, 784, 1, 1, 1)), (GRAY, ()), (RGB, (2, 5, 9, 9)),
        (rt.Image(layout="hwc"), (28, 28)), (rt.Image(layout="chw"), (5, 28, 28)),
    ],
    ids=str,
)  # fmt: skip
def test_what_has_no_reading_is_refused(codec, shape):
    with pytest.raises(rt.CodecError, match="is not a picture or a batch of them"):
        codec.is_one(array(*shape))


def test_a_batch_of_one_size_can_hold_no_two_sizes_of_array():
    with pytest.raises(rt.CodecError, match="Image: row 1: an array of shape .* is not one picture"):
        GRAY.pack([array(28, 28), array(5, 28, 28)])
    with pytest.raises(rt.CodecError, match="has no pixels"):
        GRAY.pack(array(2, 0, 28))


def test_the_seeds_shapes_and_their_batches():
    assert rt.Image(64).encode(array(100, 192, 192, 3)).shape == (100, 3, 64, 64)
    assert GRAY.encode(array(20, 28, 28)).shape == (20, 1, 28, 28)
    assert GRAY.encode(array(28, 28)).shape == (1, 28, 28)
    assert GRAY.encode([]).shape == (0, 1, 28, 28)


# Ranges -------------------------------------------------------------------------------------------


def test_every_type_of_pixel_has_its_range():
    levels = np.array([[0, 51, 255]], np.uint8)
    wanted = torch.tensor([[[0.0, 0.2, 1.0]]])
    for pixels in (
        levels,
        levels.astype(np.int64),
        levels.astype(">i2"),
        levels.astype(np.uint16) * np.uint16(257),
        (levels.astype(np.uint16) * np.uint16(257)).astype(">u2"),
        levels / 255,
        (levels / 255).astype(np.float32),
        levels.astype(np.float64) / 255 + 1e-5,
        torch.from_numpy(levels),
        torch.from_numpy(levels / 255),
        levels.tolist(),
        (levels / 255).tolist(),
    ):
        assert torch.allclose(GRAY_OPEN.encode(pixels), wanted, atol=2e-5)
    for rough in (torch.from_numpy(levels / 255).bfloat16(), (levels / 255).astype(np.float16)):
        assert torch.allclose(GRAY_OPEN.encode(rough), wanted, atol=2e-3)
    assert GRAY_OPEN.encode(np.array([[False, True]])).tolist() == [[[0.0, 1.0]]]


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=30))
def test_a_real_picture_is_not_divided_again(values):
    pixels = np.array([values], np.float32)
    assert np.allclose(GRAY_OPEN.encode(pixels)[0].numpy(), pixels, rtol=3e-7, atol=1e-12)


@pytest.mark.parametrize(
    ("pixels", "text", "fix"),
    [
        (np.array([[0, 300]]), "whole pixels are 0..255 .*; got 0..300", 'x.astype("uint16")'),
        (np.array([[-1, 3]]), "whole pixels are 0..255 .*; got -1..3", "scale them to 0..255"),
        (np.array([[0.0, 255.0]]), "real pixels .* are 0..1; got 0..255", "x / 255"),
        (np.array([[-1.0, 1.0]]), "real pixels .* are 0..1; got -1..1", "scale them to 0..1"),
        (np.array([[0.0, 1.01]]), "real pixels .* are 0..1; got 0..1.01", "x / 255"),
        (np.array([[0.0, np.nan]]), "NaN or infinite", None),
        (np.array([[0.0, np.inf]]), "NaN or infinite", None),
        (np.array([[1j, 0]]), "not made of real pixels", None),
        (np.ma.array([[1, 2]], mask=[[True, False]]), "masked entries", "x.filled(value)"),
        ([[0, 1], [2]], "not one array", None),
    ],
    ids=str,
)
def test_pixels_out_of_range_are_refused_with_the_cure(pixels, text, fix):
    with pytest.raises(rt.CodecError, match=text) as caught:
        GRAY_OPEN.pack([pixels])
    assert (caught.value.fix is None) if fix is None else caught.value.fix.startswith(fix)


def test_a_row_that_is_wrong_is_named():
    with pytest.raises(rt.CodecError, match="Image: row 2: real pixels"):
        GRAY.pack([array(28, 28), array(20, 20), np.full((28, 28), 7.0)])


# Colours and sizes --------------------------------------------------------------------------------


@pytest.mark.parametrize("color", ["gray", "rgb", "rgba"])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(12, 9), (None, None), (24, 18), (5, 7)], ids=str)
def test_many_at_once_are_what_they_are_one_by_one(color, channels, size):
    codec = rt.Image(*size, color=color, fit="crop", layout="hwc")
    pictures = array(4, 12, 9, channels)
    together = codec.pack(pictures)
    assert torch.equal(together, codec.pack(list(pictures)))
    assert torch.equal(together, torch.cat([codec.pack([each]) for each in pictures]))
    assert torch.equal(
        together, codec.pack([pillow.fromarray(p[..., 0] if channels == 1 else p) for p in pictures])
    )


@pytest.mark.parametrize("color", ["gray", "rgb", "rgba"])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("method", ["bilinear", "nearest", "lanczos"])
def test_deeper_pictures_are_treated_as_8_bit_ones_without_their_rounding(color, channels, method):
    codec = rt.Image(7, 5, color=color, resample=method, fit="pad", layout="hwc")
    pictures = array(2, 12, 9, channels)
    exact = codec.pack(pictures / 255)
    assert exact.dtype == torch.float32
    assert float(exact.min()) >= 0
    assert float(exact.max()) <= 255
    rounded = codec.pack(pictures).float()
    seen = rounded[:, 3:] > 40 if color == "rgba" else torch.tensor(True)
    gap = (exact - rounded).abs() * seen
    assert float(gap.mean()) < 1
    if method != "lanczos":  # which overshoots, and 8 bits are cut at 0 and 255 between its two passes
        # Colours under little alpha are divided by it, which enlarges the rounding of 8 bits.
        assert float(gap.max()) < (6 if color == "rgba" and channels == 4 else 2.6)


def test_what_is_packed_is_never_a_view_of_what_was_given():
    pixels = array(3, 28, 28)
    pixels.flags.writeable = False
    packed = GRAY.pack(pixels)
    packed += 1
    assert np.array_equal(pixels, array(3, 28, 28))


def test_a_net_takes_pictures_of_every_kind(tmp_path):
    path = tmp_path / "seven.png"
    pillow.fromarray(array(28, 28)).save(path)
    net = rt.Chain(
        rt.Flatten(), rt.Linear(), rt.Softmax(), input=GRAY, output=rt.Classes(range(10))
    ).init(seed=0)  # fmt: skip
    answer = net(path)
    assert answer in range(10)
    assert net([path, array(28, 28)]) == [answer, answer]
    assert net(array(28, 28)) == answer
    assert net(np.stack([array(28, 28)] * 3)) == [answer] * 3
    assert net.one(array(1, 28, 28)) == answer
    assert net.batch(array(1, 28, 28)) == [answer]
    assert sum(net(path, "probabilities").values()) == pytest.approx(1, abs=1e-5)
    assert next(iter(net(path, top=3))) == answer
