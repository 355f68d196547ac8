"""Augmentation: what each layer does to a picture, by which numbers, and that nothing else has a say."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from scipy import ndimage, stats

import retia as rt
from retia.engine import draws
from retia.engine.walk import Run, walk

LAYERS = {
    "crop": rt.RandomCrop(5),
    "padded crop": rt.RandomCrop((8, 7), padding=2, fill="edge"),
    "flip": rt.RandomFlip("both"),
    "rotation": rt.RandomRotation(30),
    "zoom": rt.RandomZoom(0.3),
    "shear": rt.RandomShear(20, fill=0.5),
    "translation": rt.RandomTranslation(0.3, fill="edge"),
    "affine": rt.RandomAffine(degrees=20, scale=(0.7, 1.3), shear=10, shift=0.1, mode="nearest"),
    "colors": rt.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.2),
    "erasing": rt.RandomErasing(0.7),
    "noise": rt.GaussianNoise(0.2),
}
every = pytest.mark.parametrize("name", LAYERS)


def pictures(count: int = 40, shape: tuple[int, ...] = (3, 8, 7), seed: int = 0) -> torch.Tensor:
    return torch.rand((count, *shape), generator=torch.Generator().manual_seed(seed))


def trained(layer: rt.Layer, x: torch.Tensor, **how) -> torch.Tensor:
    """What a layer gives in training."""
    net = rt.Chain(layer, input=tuple(x.shape[1:]))
    return walk(net, {"input": x}, {}, Run(training=True, **how))["output"]


def drawn(count: int, rows: int, seed: int = 0) -> np.ndarray:
    """The numbers that ``trained`` draws for an augmentation: (count, rows)."""
    return draws.uniform(seed, 0, "0", torch.arange(rows), (count,)).double().numpy().T


# What the draws follow from -----------------------------------------------------------------------


@every
def test_an_example_is_disturbed_in_the_same_way_in_every_batch_of_an_epoch(name: str) -> None:
    x = pictures()
    whole = trained(LAYERS[name], x, seed=3, epoch=2, step=17, rows=torch.arange(40))
    for size in (1, 2, 3, 7, 16, 40):
        order = torch.randperm(40, generator=torch.Generator().manual_seed(size))
        for step, rows in enumerate(order.split(size)):
            part = trained(LAYERS[name], x[rows], seed=3, epoch=2, step=step, rows=rows)
            assert torch.equal(part, whole[rows])


@every
def test_epochs_seeds_and_examples_differ(name: str) -> None:
    x = pictures(1).expand(40, -1, -1, -1)
    first = trained(LAYERS[name], x, seed=3, epoch=2)
    assert not torch.equal(trained(LAYERS[name], x, seed=3, epoch=3), first)
    assert not torch.equal(trained(LAYERS[name], x, seed=4, epoch=2), first)
    assert len({tuple(each.flatten().tolist()) for each in first}) > 3


@every
def test_where_nobody_counts_epochs_steps_differ(name: str) -> None:
    x = pictures()
    assert not torch.equal(trained(LAYERS[name], x, step=0), trained(LAYERS[name], x, step=1))


def test_the_places_of_two_layers_differ() -> None:
    x = pictures()
    twice = rt.Graph(lambda w: (rt.RandomRotation(30)(w), rt.RandomRotation(30)(w)), input=(3, 8, 7))
    one, other = walk(twice, {"input": x}, {}, Run(training=True)).values()
    assert not torch.equal(one, other)


@every
def test_nothing_happens_in_inference(name: str) -> None:
    x = pictures()
    net = rt.Chain(LAYERS[name], input=(3, 8, 7))
    result = walk(net, {"input": x}, {}, Run(seed=5, epoch=3))["output"]
    if "crop" not in name:
        assert torch.equal(result, x)
    assert torch.equal(net(x), result)


@pytest.mark.parametrize(
    "layer",
    [
        rt.RandomFlip(chance=0), rt.RandomRotation(0), rt.RandomZoom(0), rt.RandomShear(0),
        rt.RandomTranslation(0), rt.RandomAffine(), rt.ColorJitter(), rt.RandomErasing(0),
        rt.GaussianNoise(0), rt.AlphaDropout(0), rt.DropPath(0), rt.RandomCrop((8, 7)),
    ],
)  # fmt: skip
def test_a_layer_that_is_asked_for_nothing_does_nothing(layer: rt.Layer) -> None:
    x = pictures()
    assert torch.equal(trained(layer, x), x)


@every
def test_derivatives_are_right_in_training(name: str) -> None:
    x = (0.2 + 0.6 * pictures(3, (3, 5, 5))).double().requires_grad_()
    layer = LAYERS[name] if "padded" not in name else rt.RandomCrop(6, padding=2)
    assert torch.autograd.gradcheck(lambda x: trained(layer, x, seed=1), x)


# Places -------------------------------------------------------------------------------------------


def test_a_crop_is_any_part_of_its_size_each_as_often() -> None:
    x = torch.arange(48.0).reshape(1, 1, 6, 8).expand(6000, 2, 6, 8)
    parts = trained(rt.RandomCrop((4, 7)), x)
    corners = parts[:, 0, 0, 0].long()
    for part, corner in zip(parts[:50], corners, strict=False):
        top, left = divmod(int(corner), 8)
        assert torch.equal(part, x[0, :, top : top + 4, left : left + 7])
    counts = torch.bincount(corners // 8 * 2 + corners % 8)
    assert len(counts) == 6
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3


@pytest.mark.parametrize(
    ("fill", "how"), [(0.0, {}), (2.5, {"constant_values": 2.5}), ("edge", {"mode": "edge"})]
)
def test_a_crop_with_padding_is_a_part_of_the_padded_picture(fill: float | str, how: dict) -> None:
    x = pictures(300, (2, 5, 4))
    parts = trained(rt.RandomCrop((7, 3), padding=2, fill=fill), x)
    padded = np.pad(x.numpy(), [(0, 0), (0, 0), (2, 2), (2, 2)], **how)
    down, right = (drawn(2, 300) * [[9 - 7 + 1], [8 - 3 + 1]]).astype(int)
    assert set(down) == {0, 1, 2}
    assert set(right) == {0, 1, 2, 3, 4, 5}
    for part, whole, top, left in zip(parts, padded, down, right, strict=True):
        np.testing.assert_array_equal(part.numpy(), whole[:, top : top + 7, left : left + 3])


@pytest.mark.parametrize("shape", [(5, 6), (4, 5), (7, 8), (1, 8), (6, 1)])
def test_outside_of_training_a_crop_is_the_middle(shape: tuple[int, int]) -> None:
    x = pictures(2, (2, 5, 6))
    net = rt.RandomCrop(shape, padding=1, fill=7.0, input=(2, 5, 6))
    tops = [(n - size) // 2 + 1 for n, size in zip((5, 6), shape, strict=True)]
    padded = np.pad(x.numpy(), [(0, 0), (0, 0), (1, 1), (1, 1)], constant_values=7.0)
    expected = padded[:, :, tops[0] : tops[0] + shape[0], tops[1] : tops[1] + shape[1]]
    np.testing.assert_array_equal(net(x).numpy(), expected)


@pytest.mark.parametrize(("mode", "axes"), [("horizontal", [3]), ("vertical", [2]), ("both", [2, 3])])
def test_flips_mirror_as_often_as_they_should(mode: str, axes: list[int]) -> None:
    x = pictures(4000, (1, 2, 3))
    flipped = trained(rt.RandomFlip(mode, chance=0.3), x)
    kinds = [[], axes] if len(axes) == 1 else [[], [2], [3], [2, 3]]
    found = [(flipped == (x.flip(kind) if kind else x)).flatten(1).all(1) for kind in kinds]
    assert (torch.stack(found).sum(0) == 1).all()
    for kind, each in zip(kinds, found, strict=True):
        share = 0.3 ** len(kind) * 0.7 ** (len(axes) - len(kind))
        assert stats.binomtest(int(each.sum()), 4000, share).pvalue > 1e-3


def test_an_erased_part_is_a_rectangle_of_its_area_and_form() -> None:
    x = 1 + pictures(2000, (2, 40, 50))
    layer = rt.RandomErasing(0.75, area=(0.05, 0.2), ratio=(0.5, 2.0), fill=-1)
    result = trained(layer, x)
    gone = (result == -1).all(1)
    assert torch.equal(torch.where(gone.unsqueeze(1), x, result), x)
    hit = gone.flatten(1).any(1)
    assert stats.binomtest(int(hit.sum()), 2000, 0.75).pvalue > 1e-3
    numbers = torch.from_numpy(drawn(5, 2000))[:, hit]
    high, wide = gone[hit].any(2).sum(1), gone[hit].any(1).sum(1)
    assert torch.equal(gone[hit].flatten(1).sum(1), high * wide)  # they are rectangles
    area = (0.05 + 0.15 * numbers[1]) * 2000
    ratio = (math.log(0.5) + (math.log(2) - math.log(0.5)) * numbers[2]).exp()
    assert ((high - (area * ratio).sqrt()).abs() <= 0.5 + 1e-4).all()
    assert ((wide - (area / ratio).sqrt()).abs() <= 0.5 + 1e-4).all()
    top, left = gone[hit].any(2).int().argmax(1), gone[hit].any(1).int().argmax(1)
    assert torch.equal(top, (numbers[3] * (40 - high + 1)).long())
    assert torch.equal(left, (numbers[4] * (50 - wide + 1)).long())


def test_an_erased_part_stays_within_the_picture_and_has_a_pixel_at_least() -> None:
    x = torch.ones(200, 1, 3, 4)
    whole = trained(rt.RandomErasing(1, area=(1, 1), ratio=(0.01, 100)), x)
    least = trained(rt.RandomErasing(1, area=(0, 0)), x)
    assert ((whole == 0).flatten(1).sum(1) >= 3).all()
    assert ((least == 0).flatten(1).sum(1) == 1).all()


# Maps ---------------------------------------------------------------------------------------------


def moved(x: np.ndarray, drawn: np.ndarray, layer: rt.Layer) -> np.ndarray:
    """One picture under the map of RandomAffine, by SciPy in double precision."""
    ends = {"degrees": (0, 0), "scale": (1, 1), "shear": (0, 0), "shift": 0, **layer.settings()}
    angle, scale, shear = (
        low + (high - low) * number
        for number, (low, high) in zip(
            drawn, (ends[name] for name in ("degrees", "scale", "shear")), strict=False
        )
    )
    height, width = x.shape[1:]
    shift = [
        (2 * number - 1) * ends["shift"] * n for number, n in zip(drawn[3:], (height, width), strict=True)
    ]
    turn = math.radians(angle)
    # Of (x, y) with y downwards: first lean to the right, then turn against the clock, then scale.
    lean = np.array([[1, -math.tan(math.radians(shear))], [0, 1]])
    turned = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    back = np.linalg.inv(scale * turned @ lean)
    rows, columns = np.mgrid[:height, :width].astype(float)
    middle = (height - 1) / 2, (width - 1) / 2
    places = np.stack([columns - middle[1] - shift[1], rows - middle[0] - shift[0]])
    from_x, from_y = np.einsum("ij,jhw->ihw", back, places)
    mode = "nearest" if layer.fill == "edge" else "grid-constant"
    fill = 0.0 if layer.fill == "edge" else layer.fill
    read = [from_y + middle[0], from_x + middle[1]]
    return np.stack([ndimage.map_coordinates(c, read, order=1, mode=mode, cval=fill) for c in x])


MAPS = [
    rt.RandomRotation((-40, 70)),
    rt.RandomZoom((0.5, 1.7), fill=0.25),
    rt.RandomAffine(degrees=(-180, 180), scale=(0.5, 1.5), shear=(-30, 50), shift=0.3),
    rt.RandomAffine(degrees=(10, 20), scale=(0.5, 1.5), shear=(5, 10), shift=0.1, fill="edge"),
    rt.RandomAffine(degrees=(0, 90), scale=(1, 2), shear=(0, 0), shift=0.1, fill=-2),
]


@pytest.mark.parametrize("layer", MAPS)
@pytest.mark.parametrize("shape", [(2, 9, 12), (1, 8, 5), (1, 1, 6)])
def test_maps_are_those_of_scipy(layer: rt.Layer, shape: tuple[int, ...]) -> None:
    x = pictures(12, shape)
    ours = trained(layer, x)
    exact = trained(layer, x.double())
    for got, double, given, numbers in zip(ours, exact, x, drawn(5, 12).T, strict=True):
        expected = moved(given.double().numpy(), numbers, layer)
        np.testing.assert_allclose(double.numpy(), expected, atol=1e-6)  # draws have 24 bits
        np.testing.assert_allclose(got.numpy(), expected, atol=2e-5)


@pytest.mark.parametrize(
    ("one", "whole"),
    [
        (rt.RandomRotation(30), rt.RandomAffine(degrees=30)),
        (rt.RandomZoom((0.5, 2)), rt.RandomAffine(scale=(0.5, 2))),
        (rt.RandomShear(20, fill="edge"), rt.RandomAffine(shear=20, fill="edge")),
        (rt.RandomTranslation(0.2, mode="nearest"), rt.RandomAffine(shift=0.2, mode="nearest")),
    ],
)
def test_each_map_alone_is_a_part_of_the_whole(one: rt.Layer, whole: rt.Layer) -> None:
    x = pictures()
    assert torch.equal(trained(one, x), trained(whole, x))


def test_a_picture_is_turned_against_the_clock_as_pillow_does() -> None:
    x = torch.from_numpy(ndimage.gaussian_filter(np.random.default_rng(0).random((1, 1, 40, 40)), 2)).float()
    ours = trained(rt.RandomRotation((30, 30)), x)[0, 0].numpy()
    theirs = np.asarray(Image.fromarray(x[0, 0].numpy()).rotate(30, Image.Resampling.BILINEAR))
    np.testing.assert_allclose(ours[12:28, 12:28], theirs[12:28, 12:28], atol=1e-5)
    square = pictures(3, (1, 9, 9))
    np.testing.assert_allclose(
        trained(rt.RandomRotation((90, 90)), square), square.rot90(1, (2, 3)), atol=1e-5
    )


def test_zoom_enlarges_shear_leans_to_the_right_and_shift_moves() -> None:
    spot = torch.zeros(1, 1, 21, 21)
    spot[0, 0, 5, 10] = 1

    def place(layer: rt.Layer) -> list[int]:
        return trained(layer, spot).flatten(1).argmax(1).item()

    assert divmod(place(rt.RandomZoom((2, 2))), 21) in [(0, 10), (1, 10)]
    assert divmod(place(rt.RandomShear((45, 45))), 21) == (5, 15)
    assert divmod(place(rt.RandomRotation((90, 90))), 21) == (10, 5)


def test_shifts_are_even_to_all_sides() -> None:
    x = torch.zeros(3000, 1, 41, 21)
    x[:, :, 20, 10] = 1
    places = trained(rt.RandomTranslation(0.25, mode="nearest"), x).flatten(1).argmax(1)
    down, right = (places // 21 - 20).double(), (places % 21 - 10).double()
    assert stats.kstest(down + 0.001, stats.uniform(-10.25, 20.5).cdf).statistic < 0.05
    assert down.abs().max() == 10
    assert right.abs().max() == 5
    assert abs(np.corrcoef(down, right)[0, 1]) < 0.06


def test_half_precision_places_pixels_as_single_does() -> None:
    x = pictures().half()
    for layer in (
        rt.RandomRotation(30),
        rt.RandomErasing(1),
        rt.RandomCrop(5),
        rt.ColorJitter(brightness=0.2),
    ):
        got = trained(layer, x)
        assert got.dtype == torch.float16
        torch.testing.assert_close(got.float(), trained(layer, x.float()), atol=2e-3, rtol=0)


# Colours ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("brightness", ImageEnhance.Brightness),
        ("contrast", ImageEnhance.Contrast),
        ("saturation", ImageEnhance.Color),
    ],
)
@pytest.mark.parametrize("factor", [0.0, 0.6, 1.0, 1.7])
def test_colours_change_as_in_pillow(name: str, theirs: type, factor: float) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    x = torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0).float()
    layer = rt.ColorJitter(**{name: (factor, factor)}, range=(0, 255))
    ours = trained(layer, x)[0].permute(1, 2, 0).numpy()
    expected = np.asarray(theirs(Image.fromarray(pixels)).enhance(factor)).astype(float)
    assert np.abs(ours - expected).max() < 2.1  # Pillow rounds, gray first and then the result


@pytest.mark.parametrize("turn", [-0.5, -0.17, 0.0, 0.3, 0.5])
def test_hues_turn_as_in_the_standard_library(turn: float) -> None:
    x = pictures(1, (3, 6, 6))
    x[0, :, 0, :3] = torch.tensor([[0.5, 0, 1], [0.5, 0, 1], [0.5, 0, 1]])  # gray, black, white
    ours = trained(rt.ColorJitter(hue=(turn, turn)), x)[0].permute(1, 2, 0).reshape(-1, 3)
    for got, given in zip(ours, x[0].permute(1, 2, 0).reshape(-1, 3).double(), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*given.tolist())
        expected = colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value)
        np.testing.assert_allclose(got.numpy(), expected, atol=1e-5)


def test_colours_change_by_numbers_within_the_given_ends() -> None:
    x = torch.full((500, 1, 2, 2), 0.25)
    factors = trained(rt.ColorJitter(brightness=(0.5, 2)), x)[:, 0, 0, 0] / 0.25
    np.testing.assert_allclose(factors.numpy(), 0.5 + 1.5 * drawn(4, 500)[0], rtol=1e-5)
    gray = pictures(5, (1, 4, 4))
    apart = trained(rt.ColorJitter(contrast=(0.5, 0.5)), gray)
    mean = gray.mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(apart, mean + 0.5 * (gray - mean))


def test_a_range_of_numbers_is_kept() -> None:
    x = pictures() * 4 - 2
    layer = rt.ColorJitter(brightness=0.5, contrast=0.5, saturation=0.5, hue=0.3, range=(-2, 2))
    unit = rt.ColorJitter(brightness=0.5, contrast=0.5, saturation=0.5, hue=0.3)
    torch.testing.assert_close(trained(layer, x), 4 * trained(unit, (x + 2) / 4) - 2, atol=1e-5, rtol=0)


# Noise and dropout --------------------------------------------------------------------------------


def test_noise_is_normal_and_of_its_size() -> None:
    x = torch.full((200, 500), 3.0)
    noise = ((trained(rt.GaussianNoise(0.5), x) - x) / 0.5).flatten().double()
    assert stats.kstest(noise.numpy(), "norm").pvalue > 1e-3
    assert abs(noise.mean()) < 0.015
    assert abs(noise.var() - 1) < 0.02
    assert abs((noise**4).mean() - 3) < 0.15


def test_the_rarest_draws_give_finite_noise() -> None:
    units = torch.tensor([0.0, 1 - 2.0**-24])
    even = units * 2 - (1 - 2.0**-24)
    assert even.tolist() == [-(1 - 2.0**-24), 1 - 2.0**-24]
    assert torch.erfinv(even).isfinite().all()


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_alpha_dropout_gives_the_two_numbers_of_pytorch_and_keeps_mean_and_deviation(rate: float) -> None:
    ours = trained(rt.AlphaDropout(rate), torch.full((100, 100), 0.7))
    theirs = torch.nn.functional.alpha_dropout(torch.full((100, 100), 0.7), rate, training=True)
    torch.testing.assert_close(ours.unique(), theirs.unique())
    assert stats.binomtest(int((ours == ours.min()).sum()), 10000, rate).pvalue > 1e-3
    x = torch.randn(400, 500, generator=torch.Generator().manual_seed(0))
    result = trained(rt.AlphaDropout(rate), x)
    assert abs(result.mean()) < 0.01
    assert abs(result.std() - 1) < 0.01


def test_alpha_dropout_of_channels_treats_each_as_one() -> None:
    result = trained(rt.AlphaDropout(0.5, channels=True), torch.ones(30, 20, 4, 3))
    assert (result == result[:, :, :1, :1]).all()
    assert len(result[:, :, 0, 0].unique()) == 2


def test_a_dropped_path_is_a_whole_example() -> None:
    x = 1 + pictures(3000, (2, 3))
    result = trained(rt.DropPath(0.25), x)
    gone = (result == 0).flatten(1).all(1)
    torch.testing.assert_close(result[~gone], x[~gone] / 0.75)
    assert stats.binomtest(int(gone.sum()), 3000, 0.25).pvalue > 1e-3


# Training -----------------------------------------------------------------------------------------


def data(count: int = 48) -> tuple[np.ndarray, list[int]]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8), [int(n) for n in rng.integers(0, 3, count)]


def net_with(layer: rt.Layer) -> rt.Net:
    """Layers before and behind, so that derivatives go through."""
    return rt.Chain(
        rt.Conv2d(3, 1), layer, rt.Flatten(), rt.Linear(8), rt.Tanh(), rt.Linear(), rt.Softmax(),
        input=rt.Image(8, 8), output=rt.Classes(range(3)),
    )  # fmt: skip


OTHERS = {
    "alpha": rt.AlphaDropout(0.3),
    "path": rt.DropPath(0.3),
    "crop outside": rt.RandomCrop(9, padding=3),
}


@pytest.mark.parametrize("name", [*LAYERS, *OTHERS])
def test_programs_train_as_the_walk_does(name: str) -> None:
    net = net_with((LAYERS | OTHERS)[name]).init(seed=1)
    how = {"epochs": 3, "batch_size": 16, "seed": 4, "progress": False, "optimizer": rt.SGD(0.1)}
    walked, flowed, alone = (
        rt.train(each, data(), engine=engine, **how)
        for each, engine in [(net, "walk"), (net, "program"), (net_with(rt.RandomFlip(chance=0)), "walk")]
    )
    assert "program" in flowed.settings["engine"]
    for one, other in zip(walked.history, flowed.history, strict=True):
        assert other["loss"] == pytest.approx(one["loss"], rel=1e-5)
    for path, array in walked.net.arrays.items():
        assert (flowed.net.arrays[path] - array).norm() <= 1e-5 * array.norm()
    assert walked.history[-1]["loss"] != alone.history[-1]["loss"]


@pytest.mark.parametrize("name", ["crop", "affine", "colors", "erasing", "noise"])
def test_many_nets_at_once_are_disturbed_as_each_alone(name: str) -> None:
    net = rt.Chain(
        LAYERS[name], rt.Flatten(), rt.Linear(), rt.Softmax(),
        input=rt.Image(8, 8), output=rt.Classes(range(3)),
    )  # fmt: skip
    how = {"epochs": 2, "batch_size": 16, "progress": False, "engine": "program"}
    for run in rt.train(net, data(), seed=[3, 5], **how):
        alone = rt.train(net, data(), seed=run.seed, **how)
        assert run.history[-1]["loss"] == pytest.approx(alone.history[-1]["loss"], rel=1e-4)


def test_nothing_before_an_augmentation_is_kept_that_stands_behind_it() -> None:
    net = rt.Chain(
        rt.RandomFlip(), body=rt.Conv2d(2, 3), head=rt.Chain(rt.Flatten(), rt.Linear(), rt.Softmax()),
        input=rt.Image(8, 8), output=rt.Classes(range(3)),
    ).init()  # fmt: skip
    run = rt.train(net, data(), rates={"body": 0}, epochs=1, progress=False)
    assert "draws anew" in run.settings["frozen"]


# Settings -----------------------------------------------------------------------------------------


def spanned(far: str, low: str, high: str, got: str) -> str:
    return f"is a number from 0 to {far}, or a pair (least, most) of numbers from {low} to {high}; got {got}."


@pytest.mark.parametrize(
    ("make", "what", "text"),
    [
        (lambda: rt.RandomRotation(-3), "degrees", spanned("360", "-360", "360", "-3")),
        (lambda: rt.RandomRotation((20, 10)), "degrees", spanned("360", "-360", "360", "(20, 10)")),
        (lambda: rt.RandomZoom((0, 1)), "scale", spanned("0.99", "0.01", "100", "(0, 1)")),
        (lambda: rt.RandomZoom(1.2), "scale", spanned("0.99", "0.01", "100", "1.2")),
        (lambda: rt.RandomShear((1, 2, 3)), "degrees", spanned("89", "-89", "89", "(1, 2, 3)")),
        (lambda: rt.ColorJitter(hue="red"), "hue", spanned("0.5", "-0.5", "0.5", "'red'")),
        (lambda: rt.RandomTranslation(2), "shift", "is a number from 0 to 1; got 2."),
        (
            lambda: rt.RandomAffine(degrees=3, fill="black"),
            "fill",
            "is a finite number, or 'edge'; got 'black'.",
        ),
        (
            lambda: rt.RandomErasing(area=0.2),
            "area",
            "is a pair (least, most) of numbers from 0 to 1; got 0.2.",
        ),
        (
            lambda: rt.ColorJitter(hue=0.1, range=(1, 1)),
            "range",
            "is black and white, two different numbers; got (1, 1).\n  fix   range=(0, 255)",
        ),
        (
            lambda: rt.RandomFlip("sideways"),
            "mode",
            "is one of 'horizontal', 'vertical', 'both'; got 'sideways'.",
        ),
    ],
)
def test_settings_out_of_range_are_refused(make: Callable[[], rt.Layer], what: str, text: str) -> None:
    with pytest.raises(rt.ArgumentError) as caught:
        make()
    assert str(caught.value).partition(": ")[2] == f"{what} {text}"


def test_pictures_that_do_not_fit_are_refused() -> None:
    with pytest.raises(rt.ShapeError) as caught:
        rt.RandomCrop(30, padding=0, input=(3, 28, 40))
    assert "it takes a part that is 30 high of a picture that is 28 high (28 with padding)." in str(
        caught.value
    )
    assert caught.value.fix == "padding=1, or a smaller size"
    with pytest.raises(rt.ShapeError) as caught:
        rt.ColorJitter(hue=0.1, input=(1, 28, 28))
    assert "saturation and hue are those of three channels (red, green, blue); got 1." in str(caught.value)


@pytest.mark.parametrize(
    ("name", "here"),
    [
        ("RandomHorizontalFlip", "RandomFlip"), ("RandomErase", "RandomErasing"),
        ("RandomRotate", "RandomRotation"), ("RandomScale", "RandomZoom"),
        ("RandomColorJitter", "ColorJitter"), ("SpatialDropout2D", "Dropout"),
        ("StochasticDepth", "DropPath"),
    ],
)  # fmt: skip
def test_names_of_other_frameworks_are_understood(name: str, here: str) -> None:
    with pytest.raises(rt.UnknownNameError, match=f"It is called rt.{here} here"):
        getattr(rt, name)
