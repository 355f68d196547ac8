"""Masks: what pixels mean, the same frame as the picture beside them, and what a net's scores say."""

import io
import pathlib
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as pillow

import retia as rt
from retia.codecs.meanings import palette

DATA = pathlib.Path(__file__).parents[2] / ".." / "shared" / "data"
PARK = ["ground", "person", "tree"]


def numbers(height, width, classes=3, seed=0):
    return np.random.default_rng(seed).integers(0, classes, (height, width), np.uint8)


def scores(classes, count=3):
    """Logits whose largest are these classes, batch first."""
    noise = np.random.default_rng(1).random((count, *classes.shape)) * 0.9
    return torch.tensor(noise + (np.arange(count)[:, None, None] == classes)).unsqueeze(0)


def saved(image, kind="PNG", **how):
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


# Encoding -----------------------------------------------------------------------------------------


def test_numbers_are_read_as_they_are_stored(tmp_path):
    classes = numbers(6, 5)
    indexed = pillow.fromarray(classes)
    indexed.putpalette(np.random.default_rng(0).integers(0, 256, 768, np.uint8).tobytes())
    deep = pillow.fromarray(classes.astype(np.uint16))
    path = tmp_path / "mask.png"
    indexed.save(path)
    things = [
        path, str(path), path.read_bytes(), indexed, pillow.fromarray(classes), deep, saved(deep),
        pillow.fromarray(classes.astype(np.int32)), classes, torch.from_numpy(classes.astype(np.int64)),
        classes.tolist(),
    ]  # fmt: skip
    mask = rt.Mask(PARK, 6, 5)
    assert [mask.is_one(thing) for thing in things] == [True] * len(things)
    packed = mask.pack(things)
    assert packed.dtype == torch.int64
    assert all(np.array_equal(each, classes) for each in packed)
    assert np.array_equal(rt.Mask(PARK).pack([path])[0], classes)
    assert mask.is_one([path, path]) is mask.is_one(np.stack([classes] * 2)) is False
    assert np.array_equal(mask.encode(np.stack([classes] * 2))[1], classes)


def test_black_and_white_is_two_classes():
    classes = numbers(5, 9, 2)
    mask = rt.Mask([False, True], 5, 9)
    for thing in (pillow.fromarray(classes * 255).convert("1"), classes.astype(bool)):
        assert np.array_equal(mask.encode(thing), classes)


def test_levels_and_ranges_of_levels_are_labels():
    levels = np.array([[0, 1, 7], [255, 300, 65535]], np.uint16)
    things = [levels, levels.astype(int), saved(pillow.fromarray(levels))]
    wanted = [[0, 1, 1], [1, 2, 2]]
    for how in (
        [0, range(1, 256), (256, 65535)],
        {"tree": (256, 65535), "ground": 0, "person": range(1, 256)},
    ):
        mask = rt.Mask(PARK, levels=how)
        assert mask.pack(things).tolist() == [wanted] * 3
        assert mask == rt.Mask(PARK, levels=(0, (1, 255), (256, 65535)))


def test_colours_are_labels():
    classes = numbers(7, 4)
    colors = {"ground": "black", "tree": "#00ff80", "person": (255, 9, 1)}
    mask = rt.Mask(PARK, colors=colors)
    painted = np.array([(0, 0, 0), (255, 9, 1), (0, 255, 128)], np.uint8)[classes]
    picture = pillow.fromarray(painted)
    things = [
        painted,
        painted.tolist(),
        picture,
        picture.quantize(8),
        picture.convert("RGBA"),
        saved(picture),
    ]
    assert [mask.is_one(thing) for thing in things] == [True] * len(things)
    assert mask.is_one(painted[None]) is False
    for each in mask.pack(things):
        assert np.array_equal(each, classes)
    gray = rt.Mask([0, 1], colors=["black", "white"])
    assert gray.encode(pillow.fromarray(numbers(3, 3, 2) * 255)).tolist() == numbers(3, 3, 2).tolist()


def test_other_pixels_have_the_other_label_or_are_refused():
    levels = np.array([[0, 1, 2], [9, 255, 9]], np.uint8)
    assert rt.Mask(PARK, other="tree").encode(levels).tolist() == [[0, 1, 2], [2, 2, 2]]
    with pytest.raises(rt.CodecError) as caught:
        rt.Mask(PARK).pack([levels[:1], levels])
    assert str(caught.value) == (
        "Mask: row 1: 3 of the pixels have numbers that mean no label: 9, 255.\n"
        "  fix   levels= says what pixels mean, other= which label all others have"
    )
    with pytest.raises(rt.CodecError, match="2 of the pixels have numbers that mean no label: -1, 70000"):
        rt.Mask(PARK).encode([[-1, 70000]])
    painted = np.array([[[0, 0, 0], [255, 128, 1]]], np.uint8)
    with pytest.raises(rt.CodecError) as caught:
        rt.Mask([0, 1], colors=["black", "white"]).encode(painted)
    assert str(caught.value) == (
        "Mask: 1 of the pixels have colours that mean no label: #ff8001.\n"
        "  fix   colors= says what pixels mean, other= which label all others have"
    )
    assert rt.Mask([0, 1], colors=["black", "white"], other=1).encode(painted).tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("thing", "text"),
    [
        (pillow.new("RGB", (2, 2)), "the picture has colours (RGB), but the labels have none.\n  fix   "
         'Mask(labels, colors={"person": (255, 0, 0), ...})'),
        (np.zeros((2, 2)), "Mask: the pixels of a mask are whole numbers; these are float64.\n"
         "  fix   x.astype(int), if they are"),
        (np.zeros((2, 0), int), "Mask: a mask is (h, w); got shape (2, 0)."),
        (None, "Mask: None is no path, bytes, open file, Pillow image or array of a mask."),
    ],
)  # fmt: skip
def test_what_is_no_mask_is_refused(thing, text):
    with pytest.raises(rt.CodecError) as caught:
        rt.Mask(PARK).pack([thing])
    assert str(caught.value) == text
    with pytest.raises(rt.CodecError, match="one mask has 2 axes and a batch 3; got shape"):
        rt.Mask(PARK).is_one(np.zeros((2, 2, 2, 2), int))


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ({"labels": ["a"]}, "labels are 2 to 256; got ('a',)"),
        ({"labels": range(257)}, "labels are 2 to 256"),
        ({"colors": ["red"] * 2}, "a colour is (red, green, blue)"),
        ({"colors": ["white"] * 2}, "colors are different from each other"),
        ({"colors": ["white"]}, "colors is a list, or a dict by label, of one for each of the 2 labels"),
        ({"colors": {"a": "white", "c": "black"}}, "colors has one for each label; not so: 'c', 'b'"),
        ({"levels": [1, range(1, 3)]}, "a level has one label"),
        ({"levels": [1, 65536]}, "a level is a whole number from 0 to 65535, a range, or a pair"),
        ({"levels": [1, range(1, 9, 2)]}, "a level is a whole number from 0 to 65535, a range, or a pair"),
        ({"levels": [0, 1], "colors": ["white", "black"]}, "pixels are colours or levels, not both"),
        ({"other": "c"}, "'c' is not one of the 2 labels"),
        ({"width": 4}, "the width is 4, but the height is missing"),
        ({"resize": 4}, 'resize= and crop="center" go together'),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(how, text):
    with pytest.raises(rt.ArgumentError) as caught:
        rt.Mask(**{"labels": ["a", "b"], **how})
    assert text in str(caught.value)


def test_the_size_comes_from_the_net_or_the_data():
    things = [numbers(4, 6), pillow.fromarray(numbers(4, 6))]
    assert rt.Mask(PARK).fit(things) == rt.Mask(PARK, 4, 6)
    assert rt.Mask(PARK).with_shape((3, 4, 6)) == rt.Mask(PARK, 4, 6)
    with pytest.raises(rt.CodecError) as caught:
        rt.Mask(PARK).fit([*things, numbers(2, 3)])
    assert str(caught.value) == (
        "Mask: the masks have 2 different sizes, 4 x 6 and 2 x 3.\n"
        "  fix   Mask(labels, 4, 6) brings all to one size"
    )
    with pytest.raises(rt.CodecError, match="there are no masks to learn the size from"):
        rt.Mask(PARK).fit([])


# In step with the picture -------------------------------------------------------------------------

FRAMES = [
    {"fit": "stretch"}, {"fit": "crop"}, {"fit": "pad"}, {"resize": 40, "crop": "center"},
    {"resize": 33, "crop": "center"},
]  # fmt: skip


@given(st.integers(4, 90), st.integers(4, 90), st.sampled_from(FRAMES), st.integers(0, 9))
def test_a_mask_is_seen_in_the_same_frame_as_its_picture(height, width, frame, seed):
    classes = numbers(height, width, 2, seed)
    seen = rt.Image(33, 21, color="gray", resample="nearest", **frame).pack([classes * 255])[0, 0]
    mask = rt.Mask([0, 1], 33, 21, **frame)
    for thing in (classes, pillow.fromarray(classes)):
        assert np.array_equal(mask.encode(thing) * 255, seen)


def test_bars_have_the_other_label():
    mask = rt.Mask(PARK, 8, 8, other="tree", fit="pad")
    assert mask.encode(np.zeros((4, 8), int))[:, 0].tolist() == [2, 2, 0, 0, 0, 0, 2, 2]


@pytest.mark.parametrize("orientation", [3, 6])
def test_masks_are_turned_upright_as_pictures_are(orientation):
    classes = numbers(6, 4, 2)
    exif = pillow.Exif()
    exif[0x0112] = orientation
    coded = saved(pillow.fromarray(classes * 255), exif=exif)
    mask = rt.Mask([0, 1], levels=[0, 255])
    assert np.array_equal(mask.encode(coded) * 255, rt.Image(color="gray").pack([coded])[0, 0])


# Decoding -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mask",
    [
        rt.Mask(PARK), rt.Mask(PARK, levels=[7, (20, 30), 255]), rt.Mask(PARK, levels=[0, 256, 60000]),
        rt.Mask(PARK, colors=["black", "#ff8000", (1, 2, 3)]), rt.Mask(range(3), 6, 5),
    ],
)  # fmt: skip
def test_a_decoded_mask_encodes_to_the_same_classes(mask):
    classes = numbers(6, 5)
    (picture,) = mask.decode(scores(classes))
    assert np.array_equal(mask.encode(picture), classes)
    assert np.array_equal(mask.encode(saved(picture)), classes)
    assert mask.decode(scores(classes)[0]).tobytes() == picture.tobytes()
    if mask.levels is None:
        assert np.array_equal(np.asarray(picture), classes)
        colors = np.array(mask.colors or palette(3))
        assert np.array_equal(np.asarray(picture.convert("RGB")), colors[classes])


def test_all_colours_of_the_palette_are_different():
    assert len(set(palette(256))) == 256
    assert palette(4) == [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0)]


def test_areas_are_shares_of_the_classes():
    classes = np.array([[0, 0, 0, 2]])
    assert rt.Mask(PARK).decode(scores(classes)[0], "areas") == {"ground": 0.75, "person": 0.0, "tree": 0.25}


def test_probabilities_of_a_label_by_what_the_net_ends_in():
    mask = rt.Mask(PARK, 3, 2)
    rows = torch.randn(2, 3, 3, 2)
    for last in (rt.Softmax(axis=0), rt.Softmax(axis=-3), rt.LogSoftmax(axis=0), rt.ReLU()):
        net = rt.Chain(last, input=(3, 3, 2), output=mask)
        logits = rows.relu() if last == rt.ReLU() else rows
        told = np.stack(net(rows, ("probability", "person")))
        assert np.allclose(told, logits.softmax(1)[:, 1], atol=1e-6)
        assert torch.equal(net(rows, "logits"), logits)
    with pytest.raises(
        rt.ArgumentError, match=r"'persn' is not one of the 3 labels. Did you mean 'person'\?"
    ):
        mask.decode(rows, ("probability", "persn"))
    with pytest.raises(rt.CodecError, match="row 1 of the net's output has scores that are NaN"):
        mask.decode(torch.stack([rows[0], rows[1] * torch.nan]))


def test_an_overlay_shows_the_mask_on_the_picture():
    mask = rt.Mask(PARK, 4, 6, fit="crop")
    classes = numbers(4, 6)
    photo = np.random.default_rng(3).integers(0, 256, (9, 12, 3), np.uint8)
    seen = rt.Image(4, 6, fit="crop").pack([photo])[0].permute(1, 2, 0).numpy().astype(float)
    paint = np.array(palette(3))[classes]
    wanted = np.where((classes == 0)[..., None], seen, (seen + paint) / 2)
    shown = mask.decode(scores(classes)[0], ("overlay", photo))
    assert np.abs(np.asarray(shown) - wanted).max() <= 0.5
    both = mask.decode(scores(classes).expand(2, -1, -1, -1), ("overlay", [photo, pillow.fromarray(photo)]))
    assert [each.tobytes() for each in both] == [shown.tobytes()] * 2
    with pytest.raises(rt.CodecError, match="there are 2 masks, but 1 pictures to lay them on"):
        mask.decode(scores(classes).expand(2, -1, -1, -1), ("overlay", photo))
    with pytest.raises(rt.CodecError, match="an overlay needs a picture"):
        mask.decode(scores(classes)[0], "overlay")


# Training -----------------------------------------------------------------------------------------


def colour_net(last):
    return rt.Chain(
        rt.Conv2d(3, 1), *last, input=rt.Image(8, 8), output=rt.Mask(PARK),
    )  # fmt: skip


def colour_data(count):
    classes = np.random.default_rng(0).integers(0, 3, (count, 8, 8), np.uint8)
    pixels = np.eye(3, dtype=np.uint8)[classes] * 200 + 20
    return pixels, classes


@pytest.mark.parametrize("last", [[rt.Softmax(axis=0)], [rt.LogSoftmax(axis=0)], []])
def test_a_net_learns_a_class_for_every_pixel(last):
    pixels, classes = colour_data(24)
    run = rt.train(
        colour_net(last), {"input": list(pixels), "output": list(classes)}, epochs=30, batch_size=8,
        optimizer=rt.Adam(0.1), validation=0,
    )  # fmt: skip
    assert run.net.outputs["output"].codec == rt.Mask(PARK, 8, 8)
    assert np.array_equal(np.asarray(run.net(pixels[0])), classes[0])
    measured = rt.measure(run.net, (pixels, classes))
    assert measured.accuracy == 1


def test_its_loss_is_the_cross_entropy_of_every_pixel():
    pixels, classes = colour_data(4)
    classes[0, 0] = 1
    net = colour_net([rt.Softmax(axis=0)]).init(seed=0)
    logits = net(pixels, "logits")
    wanted = torch.nn.functional.cross_entropy(logits, torch.from_numpy(classes.astype(np.int64)))
    measured = rt.measure(net, (pixels, classes))
    assert measured.loss == pytest.approx(float(wanted), rel=1e-5)
    right = (logits.argmax(1).numpy() == classes).mean()
    assert measured.accuracy == pytest.approx(right)
    assert rt.measure(colour_net([]).with_arrays(dict(net.arrays)), (pixels, classes)).loss == pytest.approx(
        float(wanted), rel=1e-5
    )


def test_pedestrians_are_read_with_their_masks(full):
    archive = DATA / "penn_fudan" / "penn_fudan_256px.zip"
    if not archive.exists():
        pytest.skip("penn_fudan of the shared data is not there")
    mask = rt.Mask(["background", "pedestrian"], 64, 96, levels=[0, range(1, 256)], fit="pad")
    with zipfile.ZipFile(archive) as files:
        names = [name for name in files.namelist() if name.endswith(".png")]
        for name in names if full else names[::41]:
            instances = np.asarray(pillow.open(io.BytesIO(files.read(name))))
            whole = rt.Mask(mask.labels, levels=mask.levels).encode(files.read(name))
            assert np.array_equal(whole, instances > 0)
            classes = mask.encode(files.read(name))
            share = mask.decode(torch.stack([classes == 0, classes == 1]).float(), "areas")
            scale = min(64 / instances.shape[0], 96 / instances.shape[1])
            assert share["pedestrian"] * 64 * 96 == pytest.approx((instances > 0).sum() * scale**2, rel=0.1)
