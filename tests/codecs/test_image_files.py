"""Pictures as files, bytes and Pillow images, against Pillow itself."""

import gzip
import io
import os
import pathlib
import struct
import zipfile
import zlib

import numpy as np
import pytest
import torch
from PIL import Image as pillow

import retia as rt
from retia.codecs import pictures
from retia.nets import Reading

DATA = pathlib.Path(__file__).parents[2] / ".." / "shared" / "data"


def noise(height, width, channels, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    return pillow.fromarray(pixels[..., 0] if channels == 1 else pixels)


def saved(image, kind="PNG", **how):
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def pixels(codec, thing):
    """What the host half makes of one picture, (h, w, c)."""
    return codec.pack([thing])[0].permute(1, 2, 0).numpy()


def same(packed, image):
    wanted = np.asarray(image)
    return np.array_equal(packed, wanted.reshape(*wanted.shape[:2], -1))


@pytest.fixture
def cat(tmp_path):
    path = tmp_path / "cat.png"
    noise(40, 30, 3).save(path)
    return path


def test_a_path_bytes_a_file_an_image_and_its_array_are_the_same_picture(cat):
    codec = rt.Image(16, 12)
    image = pillow.open(cat)
    with open(cat, "rb") as file:
        things = [
            cat, str(cat), cat.read_bytes(), bytearray(cat.read_bytes()), memoryview(cat.read_bytes()), file,
            io.BytesIO(cat.read_bytes()), image, np.asarray(image), np.asarray(image).tolist(),
            torch.from_numpy(np.array(image)),
        ]  # fmt: skip
        assert [codec.is_one(thing) for thing in things] == [True] * len(things)
        batch = codec.pack(things)
    assert batch.shape == (len(things), 3, 16, 12)
    assert batch.dtype == torch.uint8
    assert all(torch.equal(each, batch[0]) for each in batch)
    assert codec.is_one([str(cat)]) is False
    assert codec.is_one(np.array([str(cat), str(cat)])) is False
    assert torch.equal(codec.pack(np.array([str(cat)], object))[0], batch[0])


@pytest.mark.parametrize("method", ["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"])
@pytest.mark.parametrize(("color", "mode"), [("gray", "L"), ("rgb", "RGB"), ("rgba", "RGBA")])
def test_resizing_is_pillows(method, color, mode):
    image = noise(50, 37, 3)
    wanted = image.convert(mode).resize((20, 31), pillow.Resampling[method.upper()])
    assert same(pixels(rt.Image(31, 20, color=color, resample=method), image), wanted)


def test_stretching_is_the_default_and_one_number_is_a_square():
    image = noise(50, 37, 3)
    assert rt.Image(31) == rt.Image(31, 31, fit="stretch", resample="bilinear", color="rgb")
    assert same(pixels(rt.Image(31), image), image.resize((31, 31), pillow.Resampling.BILINEAR))


@pytest.mark.parametrize(("height", "width"), [(40, 80), (80, 40), (1, 300), (300, 1), (33, 33), (7, 5)])
def test_fitting_shows_all_of_the_picture_between_black_bars(height, width):
    image = pillow.new("RGB", (width, height), (200, 100, 50))
    found = pixels(rt.Image(33, 33, fit="pad"), image)
    seen = found.any(axis=2)
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    scale = min(33 / width, 33 / height)
    assert len(rows) == max(round(height * scale), 1)
    assert len(columns) == max(round(width * scale), 1)
    assert abs(rows[0] - (32 - rows[-1])) <= 1
    assert abs(columns[0] - (32 - columns[-1])) <= 1
    assert (found[seen] == (200, 100, 50)).all()
    clear = pixels(rt.Image(33, 33, fit="pad", color="rgba"), image)
    assert (clear[~seen] == 0).all()


def test_cropping_shows_the_middle():
    stripes = np.zeros((10, 30, 3), np.uint8)
    stripes[:, 10:20] = 255
    assert (pixels(rt.Image(10, 10, fit="crop"), stripes) == 255).all()
    smaller = pixels(rt.Image(5, 5, fit="crop"), stripes.transpose(1, 0, 2))
    assert (smaller[1:-1] == 255).all()  # the filter sees a little of what is beside the middle
    assert (smaller > 200).all()
    image = noise(60, 90, 3)
    wanted = image.resize((32, 32), pillow.Resampling.BILINEAR, box=(15, 0, 75, 60))
    assert same(pixels(rt.Image(32, 32, fit="crop"), image), wanted)


def test_without_a_size_pictures_keep_theirs_and_must_agree(cat):
    codec = rt.Image(color="gray")
    assert codec.shape == (1, None, None)
    assert codec.pack([cat, cat]).shape == (2, 1, 40, 30)
    with pytest.raises(rt.CodecError) as caught:
        codec.pack([cat, noise(20, 10, 3)])
    assert str(caught.value) == (
        "Image: the pictures have 2 different sizes, 40 x 30 and 20 x 10.\n"
        "  fix   Image(40, 30) brings all to one size"
    )


def test_the_size_is_learned_where_all_pictures_agree(cat):
    assert rt.Image(color="gray").fit([cat, noise(40, 30, 1)]) == rt.Image(40, 30, color="gray")
    assert rt.Image().fit(np.zeros((7, 12, 9), np.uint8)) == rt.Image(12, 9)
    assert rt.Image(8).fit([cat]) == rt.Image(8)
    assert rt.Image(color="gray").with_shape((1, 5, 6)) == rt.Image(5, 6, color="gray")
    assert rt.Image().with_shape((3, None, 6)) == rt.Image()
    with pytest.raises(rt.CodecError, match="2 different sizes, 40 x 30 and 20 x 10"):
        rt.Image().fit([cat, noise(20, 10, 3)])
    with pytest.raises(rt.CodecError, match="no pictures to learn the size from"):
        rt.Image().fit([])


# Colours ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("color", ["gray", "rgb", "rgba"])
@pytest.mark.parametrize("mode", ["1", "L", "RGB", "CMYK", "YCbCr", "HSV", "P"])
def test_opaque_modes_are_converted_as_pillow_does(mode, color):
    image = noise(9, 7, 3).convert(mode)
    target = pictures.MODES[color]
    plain = image.convert("L") if mode == "1" else image.convert("RGB") if mode != "L" else image
    assert same(pixels(rt.Image(color=color), image), plain.convert(target))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P"])
def test_transparency_stands_on_white(mode):
    clear = pillow.fromarray(np.array([[[255, 0, 0, 0], [0, 0, 0, 255]]], np.uint8))
    image = clear.convert(mode)
    if mode == "P":
        image = clear.quantize(4)
    image = pillow.open(io.BytesIO(saved(image))) if mode != "PA" else image
    assert pixels(rt.Image(), image).tolist() == [[[255, 255, 255], [0, 0, 0]]]
    assert pixels(rt.Image(color="gray"), image).tolist() == [[[255], [0]]]
    assert pixels(rt.Image(color="rgba"), image)[0, :, 3].tolist() == [0, 255]


def test_half_transparency_is_mixed_with_white():
    image = pillow.fromarray(np.array([[[100, 0, 200, 51]]], np.uint8))
    (found,) = pixels(rt.Image(), image)[0]
    assert np.abs(found - (np.array([100, 0, 200]) * 0.2 + 255 * 0.8)).max() <= 1


def test_a_colour_that_stands_for_transparency_is_transparent():
    image = pillow.fromarray(np.array([[[1, 2, 3], [9, 9, 9]]], np.uint8))
    coded = saved(image, transparency=(1, 2, 3))
    assert pixels(rt.Image(), coded).tolist() == [[[255, 255, 255], [9, 9, 9]]]


def test_opaque_pictures_have_full_alpha():
    assert (pixels(rt.Image(color="rgba"), noise(4, 4, 1))[..., 3] == 255).all()


def test_16_bit_pictures_keep_their_precision():
    levels = np.array([[0, 257, 1000, 65535]], np.uint16)
    for image in (pillow.fromarray(levels), pillow.fromarray(levels.astype(np.int32))):
        for thing in (image, saved(image, "TIFF")) if image.mode == "I" else (image, saved(image, "PNG")):
            packed = rt.Image(color="gray").pack([thing])
            assert packed.dtype == torch.float32
            assert np.allclose(packed.numpy().ravel(), levels.ravel() / 257, rtol=1e-6)
    assert rt.Image(2, 3).pack([pillow.fromarray(levels), noise(2, 3, 3)]).dtype == torch.float32
    with pytest.raises(rt.CodecError, match="whole pixels are 0..255"):
        rt.Image().pack([pillow.fromarray(np.array([[-1, 70000]], np.int32))])


def test_real_pictures_are_in_0_to_1():
    image = pillow.fromarray(np.array([[0.0, 0.5, 1.0]], np.float32))
    assert pixels(rt.Image(color="gray"), image).ravel().tolist() == [0.0, 127.5, 255.0]
    with pytest.raises(rt.CodecError, match="real pixels .* are 0..1; got 0..7"):
        rt.Image().pack([pillow.fromarray(np.array([[0.0, 7.0]], np.float32))])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(orientation):
    upright = noise(6, 4, 1)
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    lying = upright.transpose(pillow.Transpose(back[orientation])) if orientation > 1 else upright
    exif = pillow.Exif()
    exif[0x0112] = orientation
    coded = saved(lying, exif=exif)
    assert same(pixels(rt.Image(color="gray"), coded), upright)
    image = pillow.open(io.BytesIO(coded))
    assert same(pixels(rt.Image(color="gray"), image), upright)
    assert image.size == lying.size
    assert rt.Image(color="gray").fit([coded]) == rt.Image(6, 4, color="gray")


def test_of_several_frames_the_first_is_taken():
    frames = [pillow.new("RGB", (3, 2), color) for color in ("red", "lime", "blue")]
    for kind in ("GIF", "PNG", "TIFF", "WEBP"):
        coded = saved(frames[0], kind, save_all=True, append_images=frames[1:])
        found = pixels(rt.Image(), coded)
        assert np.abs(found.astype(int) - (255, 0, 0)).max() <= 8, kind


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
def test_the_usual_formats_are_read(kind):
    image = pillow.new("RGB", (20, 10), (40, 120, 200))
    found = pixels(rt.Image(), saved(image, kind))
    assert found.shape == (10, 20, 3)
    assert np.abs(found.astype(int) - (40, 120, 200)).max() <= 4


# Bad files ----------------------------------------------------------------------------------------


def png(width, height, data=b""):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [8001, 12_000, 20_000, 2**31 - 1])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_picture_that_unfolds_to_too_many_pixels_is_refused_before_it_is_decoded(side, monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("decoded")

    monkeypatch.setattr(pillow.Image, "load", fail)
    with pytest.raises(rt.CodecError, match="more than the 64,000,000 pixels that are decoded"):
        rt.Image(8).pack([png(side, side)])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
def test_a_truncated_file_is_refused_by_name(kind, tmp_path):
    whole = saved(noise(64, 64, 3), kind)
    path = tmp_path / f"half.{kind.lower()}"
    for share in (0.02, 0.5, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(rt.CodecError, match=f"half.{kind.lower()} is (not a picture|damaged)") as caught:
            rt.Image(8).pack([path])
        assert caught.value.path == str(path)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\x89PNG\r\n\x1a\n", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<html><img src=x></html>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", b"GIF89a", b"P6\n1000000 1000000\n255\n",
        bytes(1000), png(0, 5),
    ],
    ids=lambda content: repr(content[:12]),
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_is_no_picture_is_refused_by_name(content, tmp_path):
    path = tmp_path / "seven.png"
    path.write_bytes(content)
    with pytest.raises(rt.CodecError, match="seven.png is "):
        rt.Image(8).pack([path])


def test_flipped_bytes_give_a_picture_or_one_error(full):
    whole = saved(noise(24, 24, 3), "JPEG")
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(3000 if full else 150):
        broken = bytearray(whole)
        for place in random.integers(0, len(whole), 4):
            broken[place] = random.integers(0, 256)
        try:
            assert rt.Image(8).pack([bytes(broken)]).shape == (1, 3, 8, 8)
        except rt.CodecError:
            refused += 1
    assert refused


def test_paths_that_lead_nowhere_are_told(tmp_path):
    codec = rt.Image(8)
    (tmp_path / "loop").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "pipe")
    for name, text in (("none.png", "is not there"), ("loop", "is not there"), (".", "is a folder"),
                       ("pipe", "is no ordinary file")):  # fmt: skip
        with pytest.raises(rt.CodecError, match=text) as caught:
            codec.pack([tmp_path / name])
        assert caught.value.path == str(tmp_path / name)
    with pytest.raises(rt.CodecError, match="/dev/zero is no ordinary file"):
        codec.pack(["/dev/zero"])
    with pytest.raises(rt.CodecError, match="download it first"):
        codec.pack(["https://example.org/cat.png"])
    with pytest.raises(rt.CodecError, match="cannot be read: embedded null"):
        codec.pack(["cat\0.png"])


def test_a_file_opened_as_text_is_told_what_to_do(cat):
    with (
        open(cat, encoding="latin-1") as file,
        pytest.raises(rt.CodecError, match="gives text, no picture") as caught,
    ):
        rt.Image(8).pack([file])
    assert caught.value.fix == 'open(path, "rb")'


@pytest.mark.parametrize("thing", [None, 7, 1.5, {"a": 1}, object(), {1, 2}])
def test_what_is_nothing_like_a_picture_is_refused(thing):
    with pytest.raises(rt.CodecError, match="is no path, bytes, open file, Pillow image or array"):
        rt.Image(8).is_one(thing)
    with pytest.raises(rt.CodecError, match="Image: row 1: .* is no path, bytes, open file"):
        rt.Image(8).pack([np.zeros((8, 8, 3), np.uint8), thing])


# Decoding -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("color", "channels"), [("gray", 1), ("rgb", 3), ("rgba", 4)])
def test_encoding_and_decoding_gives_the_same_picture(color, channels):
    for normalize in (None, (0.5, 0.25), ((0.1,) * channels, (0.3,) * channels)):
        codec = rt.Image(64, 64, color=color, normalize=normalize)
        image = noise(64, 64, channels)
        assert codec.encode(image).shape == (channels, 64, 64)
        assert np.array_equal(np.asarray(codec.decode(codec.encode(image))), np.asarray(image))


def test_the_seeds_gray_picture_goes_there_and_back(cat):
    encoded = rt.Image(64, 64, color="gray").encode(cat)
    assert encoded.shape == (1, 64, 64)
    assert 0 <= float(encoded.min()) <= float(encoded.max()) <= 1
    decoded = rt.Image(color="gray").decode(encoded)
    assert decoded.size == (64, 64)
    assert same(pixels(rt.Image(64, 64, color="gray"), cat), decoded)


def test_decoded_pixels_are_cut_at_black_and_white():
    codec = rt.Image(color="gray")
    (image,) = codec.unpack(torch.tensor([[[[-3.0, 0.5, 7.0]]]]), Reading())
    assert np.asarray(image).tolist() == [[0, 128, 255]]
    with pytest.raises(rt.CodecError, match="row 0 to decode has pixels that are NaN"):
        codec.unpack(torch.full((1, 1, 2, 2), torch.nan), Reading())
    with pytest.raises(rt.CodecError, match="decodes arrays"):
        codec.unpack(torch.zeros(1, 3, 2, 2), Reading())


def test_normalising_subtracts_the_mean_and_divides_by_the_deviation():
    image = noise(5, 6, 3)
    plain = np.asarray(image).transpose(2, 0, 1) / 255
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    wanted = (plain - mean[:, None, None]) / deviation[:, None, None]
    codec = rt.Image(5, 6, normalize="imagenet")
    assert np.allclose(codec.encode(image).numpy(), wanted, atol=1e-6)
    assert np.allclose(codec.pack_target([image], "mse")[0].numpy(), wanted, atol=1e-6)
    assert np.allclose(
        rt.Image(5, 6, normalize=(0.498, 0.502)).encode(image), (plain - 0.498) / 0.502, atol=1e-6
    )
    assert np.allclose(rt.Image(5, 6).pack_target([image], "mse")[0], plain, atol=1e-6)


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ({"normalize": "imagnet"}, "normalize is None, 'imagenet', 'data', or a pair"),
        ({"normalize": 0.5}, "normalize is None, 'imagenet', 'data', or a pair"),
        ({"normalize": (0.5, 0)}, "deviation is a number from 1e-12"),
        ({"normalize": (0.5, (1, 2))}, "normalize has 2 numbers, rgb has 3 colours"),
        ({"normalize": "imagenet", "color": "gray"}, "normalize has 3 numbers, gray has 1 colours"),
        ({"color": "grey"}, "Did you mean 'gray'"),
        ({"fit": "cover"}, "fit is one of 'stretch', 'crop', 'pad'"),
        ({"resample": "cubic"}, "Did you mean 'bicubic'"),
        ({"layout": "whc"}, "layout is one of"),
        ({"width": 5}, "the height is missing"),
        ({"height": 0}, "height is a whole number of at least 1"),
        ({"height": (28, 28)}, "height is a whole number of at least 1"),
    ],
    ids=str,
)
def test_settings_that_cannot_be_are_refused(how, text):
    with pytest.raises(rt.ArgumentError, match=text):
        rt.Image(**how)


# Real pictures ------------------------------------------------------------------------------------


PHOTOGRAPHS = {
    "imagenet_samples/imagenet_samples_256px.zip": 101,
    "cats_dogs/cats_dogs_200px.zip": 401,
    "flowers/flowers_160px.zip": 151,
    "penn_fudan/penn_fudan_256px.zip": 41,
    "coco128/coco128_416px.zip": 31,
}
"""The sets of real pictures, and every how many of them the sampled run looks at."""


@pytest.mark.parametrize("archive", PHOTOGRAPHS)
def test_photographs_come_out_as_pillow_reads_and_resizes_them(archive, full):
    if not (DATA / archive).exists():
        pytest.skip(f"{archive} of the shared data is not there")
    with zipfile.ZipFile(DATA / archive) as photos:
        names = [name for name in photos.namelist() if name.endswith((".jpg", ".png"))]
        for name in names if full else names[:: PHOTOGRAPHS[archive]]:
            coded = photos.read(name)
            image = pillow.open(io.BytesIO(coded)).convert("RGB")
            wanted = image.resize((96, 64), pillow.Resampling.BILINEAR)
            assert same(pixels(rt.Image(64, 96), coded), wanted)
            assert same(pixels(rt.Image(64, 96), np.asarray(image)), wanted)
            assert same(pixels(rt.Image(), coded), image)
            assert same(pixels(rt.Image(color="gray"), coded), image.convert("L"))
            real = pixels(rt.Image(64, 96), np.asarray(image) / 255)
            assert np.abs(real - np.asarray(wanted)).max() < 1.01


def test_sets_of_arrays_come_out_as_they_are():
    places = {
        "mnist/t10k-images-idx3-ubyte.gz": (28, 28),
        "fashion_mnist/t10k-images-idx3-ubyte.gz": (28, 28),
    }
    found = [name for name in places if (DATA / name).exists()]
    if not found:
        pytest.skip("mnist and fashion_mnist of the shared data are not there")
    for name in found:
        raw = np.frombuffer(gzip.decompress((DATA / name).read_bytes()), np.uint8, offset=16)
        images = raw.reshape(-1, *places[name])
        packed = rt.Image(28, 28, color="gray").pack(images)
        assert torch.equal(packed[:, 0], torch.from_numpy(images.copy()))
