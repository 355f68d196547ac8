"""Every kind of PNG, the pixels of resizing, frames, batches in threads, what is learned from the data."""

import hashlib
import io
import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as pillow
from png_suite import KINDS, made

import retia as rt
from retia.codecs import normalize, threads
from retia.codecs.resize import Frame
from retia.nets import expression


def noise(height, width, channels, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def saved(image, kind="PNG", **how):
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def packed(codec, thing):
    return codec.pack([thing])[0].permute(1, 2, 0).numpy()


# Every kind of PNG --------------------------------------------------------------------------------

BLIND = {(0, 2), (0, 4), (2, 16)}
"""Colour types and bits whose one transparent colour Pillow does not find again after scaling the samples."""


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_kind_of_png_has_its_true_pixels(kind, full):
    for seed in range(20 if full else 2):
        coded, truth = made(kind, 13 + seed, 11 + seed, seed)
        found = packed(rt.Image(color="rgba"), coded) / 255
        exact = kind.bits < 16 or kind.color == 0  # colours keep 8 bits
        assert np.abs(found - truth)[..., :3].max() < (1e-6 if exact else 1 / 255)
        if not (kind.clear and (kind.color, kind.bits) in BLIND):
            assert np.abs(found - truth)[..., 3].max() < (1e-6 if exact else 1 / 255)


@pytest.mark.parametrize("color", ["gray", "rgb", "rgba"])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_kind_of_png_is_what_pillow_makes_of_it(kind, color):
    coded, truth = made(kind)
    image = pillow.open(io.BytesIO(coded))
    if image.mode == "I;16":  # which Pillow cannot convert without losing half of its bits
        levels = truth[..., :1] * 255
        alpha = truth[..., 3:]
        on_white = levels * alpha + 255 * (1 - alpha)
        wanted = {
            "gray": on_white,
            "rgb": np.repeat(on_white, 3, axis=2),
            "rgba": np.concatenate([levels, levels, levels, alpha * 255], axis=2),
        }[color]
        assert np.allclose(packed(rt.Image(color=color), coded), wanted, atol=1e-2)
        return
    clear = image.convert("RGBA")
    page = pillow.alpha_composite(pillow.new("RGBA", image.size, "white"), clear).convert("RGB")
    opaque = image.convert("L") if image.mode in ("1", "L") and not kind.clear else page
    wanted = {"gray": opaque.convert("L"), "rgb": page, "rgba": clear}[color]
    found = packed(rt.Image(color=color), coded)
    assert np.array_equal(found, np.asarray(wanted).reshape(found.shape))


@pytest.mark.parametrize(
    ("background", "level"), [((10, 20, 30), (10, 20, 30)), ("black", (0, 0, 0)), ("#0aff80", (10, 255, 128))]
)
def test_transparent_pixels_stand_on_the_background(background, level):
    codec = rt.Image(background=background)
    clear = pillow.new("RGBA", (3, 2), (200, 100, 0, 0))
    deep = np.zeros((2, 3, 4), np.float32)
    levels = np.array([[7, 9]], np.uint16)
    coded = saved(pillow.fromarray(levels), transparency=9)
    assert (packed(codec, clear) == level).all()
    assert (packed(codec, np.asarray(clear)) == level).all()
    assert np.allclose(packed(codec, deep), level)
    assert np.allclose(packed(codec, coded)[0], [np.full(3, 7 / 257), level], atol=1e-5)
    assert eval(repr(codec), vars(rt)) == codec == rt.Image(background=level)


@pytest.mark.parametrize("background", ["grey", "#12345", "#gggggg", (1, 2), (1, 2, 256), (0.5, 0, 0), 7])
def test_what_is_no_colour_is_refused(background):
    with pytest.raises(rt.ArgumentError) as caught:
        rt.Image(background=background)
    assert str(caught.value) == (
        "Image: background is (red, green, blue) from 0 to 255, '#rrggbb', 'white' or 'black'; "
        f"got {background!r}."
    )


# The pixels of resizing ---------------------------------------------------------------------------


def triangle(size, length):
    """Weights (length, size) of antialiased bilinear resampling, in float64, by its definition."""
    scale = max(size / length, 1)
    centers = (np.arange(length)[:, None] + 0.5) * size / length
    weights = (1 - np.abs(np.arange(size) + 0.5 - centers) / scale).clip(0)
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("size", [(17, 13), (64, 48), (5, 90), (40, 30)], ids=str)
def test_resizing_is_antialiased_by_its_formula(size):
    pixels = noise(40, 30, 3)
    exact = np.einsum("yh,xw,hwc->yxc", triangle(40, size[0]), triangle(30, size[1]), pixels.astype(float))
    for thing in (
        pixels,
        torch.from_numpy(pixels),
        pillow.fromarray(pixels),
        saved(pillow.fromarray(pixels)),
    ):
        assert np.abs(packed(rt.Image(*size), thing) - exact).max() <= 1.01
    real = packed(rt.Image(*size), pixels / 255)
    assert np.abs(real - exact).max() < 1e-3


GOLDEN = {
    ("stretch", "nearest"): "802aaa74",
    ("stretch", "box"): "affdde5b",
    ("stretch", "bilinear"): "7a6470c0",
    ("stretch", "hamming"): "3b6a0052",
    ("stretch", "bicubic"): "c66c7359",
    ("stretch", "lanczos"): "7a21819c",
    ("crop", "bilinear"): "84dc1b71",
    ("pad", "bilinear"): "e919289d",
    (22, "bilinear"): "85e18fee",
}
"""sha256 of the pixels that version 2 of Image makes; another Pillow that moves one shows here first."""


def framed(how, resample):
    frame = {"resize": how, "crop": "center"} if isinstance(how, int) else {"fit": how}
    return rt.Image(20, 16, resample=resample, **frame)


@pytest.mark.parametrize(("how", "resample"), GOLDEN)
def test_no_pixel_of_this_version_moves(how, resample):
    assert rt.Image.version == 2
    y, x = np.mgrid[:50, :37]
    pixels = np.stack([(x * 7 + y * 3) % 256, (x * y) % 256, (x**2 + y * 5) % 256], axis=2).astype(np.uint8)
    found = framed(how, resample).pack([pixels]).numpy()
    assert hashlib.sha256(found.tobytes()).hexdigest()[:8] == GOLDEN[how, resample]


def test_the_version_stands_in_the_expression_and_older_ones_are_read():
    data = expression.to_json(rt.Image(8, fit="pad"))
    assert data["version"] == 2
    new = ("resize", "crop", "background")
    older = {k: v for k, v in data.items() if k not in new} | {"version": 1, "fit": "fit"}
    assert expression.from_json(older) == rt.Image(8, fit="pad")
    assert expression.from_json({**older, "fit": "crop"}) == rt.Image(8, fit="crop")


# Frames -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(300, 400), (400, 300), (255, 255), (100, 333), (1, 7)], ids=str)
def test_the_shorter_side_then_the_middle_is_what_trained_nets_expect(size):
    """The reference: Resize(255) and CenterCrop(224) as their documentation says, in Pillow's calls."""
    image = pillow.fromarray(noise(*size, 3))
    short, long = min(size), max(size)
    sides = (255, int(255 * long / short))
    across, down = sides if image.width <= image.height else sides[::-1]
    scaled = image.resize((across, down), pillow.Resampling.BILINEAR)
    left, top = int(round((across - 224) / 2.0)), int(round((down - 224) / 2.0))
    wanted = np.asarray(scaled.crop((left, top, left + 224, top + 224)))
    codec = rt.Image(224, resize=255, crop="center")
    assert np.array_equal(packed(codec, image), wanted)
    assert np.array_equal(packed(codec, np.asarray(image)), wanted)
    if short > 1:
        assert np.abs(packed(codec, np.asarray(image) / 255) - wanted).max() < 1.01


def test_pictures_of_the_size_itself_are_still_cut():
    pixels = noise(8, 8, 3)
    codec = rt.Image(8, resize=16, crop="center")
    wanted = pillow.fromarray(pixels).resize((16, 16), pillow.Resampling.BILINEAR).crop((4, 4, 12, 12))
    for thing in (pixels, pillow.fromarray(pixels)):
        assert np.array_equal(packed(codec, thing), np.asarray(wanted))
    assert np.array_equal(codec.pack(pixels[None])[0].permute(1, 2, 0), np.asarray(wanted))


@pytest.mark.parametrize(
    ("how", "text"),
    [
        (
            {"resize": 255},
            'Image: resize= and crop="center" go together; only resize=255 is given.\n  fix   resize=256, '
            'crop="center" brings the shorter side to 256 and cuts out the middle; fit="crop" cuts out as '
            "much as it can",
        ),
        (
            {"crop": "center"},
            "Image: resize= and crop=\"center\" go together; only crop='center' is given.\n"
            '  fix   resize=256, crop="center" brings the shorter side to 256 and cuts out the middle; '
            'fit="crop" cuts out as much as it can',
        ),
        (
            {"resize": 255, "crop": "center", "fit": "pad"},
            "Image: fit='pad' and resize=255 are two ways to one size.\n  fix   give one of them",
        ),
        (
            {"height": 224, "resize": 200, "crop": "center"},
            "Image: resize=200 makes the shorter side less than the 224 that are cut out.\n"
            "  fix   resize=224 or more",
        ),
    ],
)
def test_frames_that_cannot_be_are_refused(how, text):
    with pytest.raises(rt.ArgumentError) as caught:
        rt.Image(**how)
    assert str(caught.value) == text


SIDES = st.integers(1, 60)


@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from(["stretch", "crop", "pad", "shorter"]))
def test_the_window_of_a_frame_is_what_it_shows(height, width, tall, wide, how):
    """The reference: each pixel of the frame seen back in the picture, whose pixels are their own places."""
    frame = Frame(
        tall, wide, "stretch" if how == "shorter" else how, max(tall, wide) if how == "shorter" else None
    )
    rows = pillow.fromarray(np.repeat(np.arange(height, dtype=np.float32)[:, None], width, axis=1))
    columns = pillow.fromarray(np.repeat(np.arange(width, dtype=np.float32)[None], height, axis=0))
    seen = [np.asarray(frame.apply(each, "nearest", -1.0)) for each in (rows, columns)]
    left, top, right, bottom = frame.window(height, width)
    y = top + (np.arange(tall) + 0.5) * (bottom - top) / tall
    x = left + (np.arange(wide) + 0.5) * (right - left) / wide
    for found, wanted, size in ((seen[0][:, wide // 2], y, height), (seen[1][tall // 2], x, width)):
        inside = (wanted > 1e-3) & (wanted < size - 1e-3)
        shown = found >= 0
        assert (np.abs(found + 0.5 - wanted) <= 0.5 + 1e-3)[inside & shown].all()
        assert (inside == shown)[np.abs(wanted - wanted.round()) > 1e-3].all() or not shown.any()


# Threads ------------------------------------------------------------------------------------------


def test_files_are_decoded_in_threads_and_come_in_their_order(tmp_path, monkeypatch):
    arrays = [noise(30 + i, 40 - i, 3, seed=i) for i in range(24)]
    paths = [tmp_path / f"{i}.png" for i in range(24)]
    for path, array in zip(paths, arrays, strict=True):
        pillow.fromarray(array).save(path)
    names = set()
    plain = pillow.open

    def spied(*args, **how):
        names.add(threading.current_thread().name)
        return plain(*args, **how)

    monkeypatch.setattr(pillow, "open", spied)
    codec = rt.Image(16, 16)
    together = codec.pack(paths)
    assert all(name.startswith("retia-decode") for name in names)
    assert len(names) <= threads.THREADS
    assert torch.equal(together, torch.cat([codec.pack([array]) for array in arrays]))
    image = plain(paths[0])  # read when it is first needed, so not by several threads at once
    assert torch.equal(codec.pack([image] * 6), together[:1].expand(6, -1, -1, -1))


def test_the_first_of_several_bad_files_is_named_with_its_row(tmp_path):
    good, bad, worse = tmp_path / "good.png", tmp_path / "bad.png", tmp_path / "worse.png"
    pillow.fromarray(noise(9, 9, 3)).save(good)
    bad.write_bytes(good.read_bytes()[:80])
    for _ in range(5):
        with pytest.raises(rt.CodecError) as caught:
            rt.Image(8).pack([good, good.read_bytes(), bad, worse, str(good), worse])
        assert str(caught.value).startswith(f"Image: row 2: {bad} is damaged and cannot be decoded: ")
        assert caught.value.path == str(bad)


def test_threads_may_ask_for_threads(tmp_path):
    path = tmp_path / "a.png"
    pillow.fromarray(noise(9, 9, 3)).save(path)
    codec = rt.Image(8)
    wanted = codec.pack([path])
    found = []
    askers = [
        threading.Thread(target=lambda: found.append(codec.pack([path, str(path), path.read_bytes()])))
        for _ in range(12)
    ]
    for each in askers:
        each.start()
    for each in askers:
        each.join(60)
    assert len(found) == 12
    assert all(torch.equal(each, wanted.expand(3, -1, -1, -1)) for each in found)


# Learned from the data ----------------------------------------------------------------------------


@pytest.mark.parametrize("color", ["gray", "rgb", "rgba"])
def test_mean_and_deviation_are_learned_from_the_data(color):
    pictures = [pillow.fromarray(noise(12, 9, 3, seed=i) // (i + 1)) for i in range(70)]
    open_ = rt.Image(6, 5, color=color, normalize="data")
    assert open_.is_fitted() is False
    learned = open_.fit(pictures)
    plain = rt.Image(6, 5, color=color).encode(pictures).double().numpy()
    mean, deviation = (np.ravel(each) for each in learned.normalize)
    assert np.allclose(mean, plain.mean(axis=(0, 2, 3)), atol=1e-6)
    if color == "rgba":  # alpha is the same everywhere
        assert deviation[3] == 1
        deviation, plain = deviation[:3], plain[:, :3]
    assert np.allclose(deviation, plain.std(axis=(0, 2, 3)), atol=1e-6)
    assert learned.is_fitted()
    assert learned.fit(pictures[:1]) is learned
    encoded = learned.encode(pictures)[:, : len(deviation)]
    assert abs(float(encoded.mean())) < 1e-4
    back = learned.decode(learned.encode(pictures))
    assert [np.asarray(b).tolist() for b in back] == [
        np.asarray(b).tolist()
        for b in rt.Image(6, 5, color=color).decode(rt.Image(6, 5, color=color).encode(pictures))
    ]


def test_the_size_is_learned_with_mean_and_deviation_and_either_alone():
    pictures = np.stack([noise(7, 6, 3, seed=i) for i in range(5)])
    learned = rt.Image(normalize="data").fit(pictures)
    assert (learned.height, learned.width) == (7, 6)
    assert learned == rt.Image(normalize="data").with_shape((3, 7, 6)).fit(list(pictures))
    with pytest.raises(rt.CodecError) as caught:
        rt.Image(7, 6, normalize="data").encode(pictures)
    assert str(caught.value) == (
        "Image(normalize='data') has learned nothing yet.\n"
        "  fix   rt.train(net, data), codec.fit(pictures), or normalize=(mean, deviation)"
    )
    with pytest.raises(rt.CodecError, match="no pictures to learn mean and deviation from"):
        rt.Image(7, 6, normalize="data").fit([])


def test_of_many_pictures_some_are_looked_at(monkeypatch):
    monkeypatch.setattr(normalize, "MOST", 10)
    pictures = np.arange(100, dtype=np.uint8).reshape(100, 1, 1)
    mean, _ = rt.Image(1, color="gray", normalize="data").fit(pictures).normalize
    assert mean == pytest.approx(np.arange(0, 100, 10).mean() / 255, abs=1e-6)


def test_training_learns_from_its_part_alone():
    pictures = np.concatenate([np.full((20, 4, 4), 50, np.uint8), np.full((4, 4, 4), 250, np.uint8)])
    pictures[:20, 0, 0] = 10
    labels = np.array([0, 1] * 12)
    net = rt.Chain(
        rt.Flatten(), rt.Linear(), rt.Softmax(),
        input=rt.Image(4, color="gray", normalize="data"), output=rt.Classes([0, 1]),
    )  # fmt: skip
    run = rt.train(net, (pictures[:20], labels[:20]), validation=(pictures[20:], labels[20:]), epochs=1)
    assert run.net.inputs["input"].codec == rt.Image(4, color="gray", normalize="data").fit(pictures[:20])
