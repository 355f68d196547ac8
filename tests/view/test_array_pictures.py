"""Arrays as pictures: what is drawn are the numbers, and what is not drawn is told."""

from __future__ import annotations

import math

import matplotlib.figure
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import retia as rt
from retia.view.tiles import lay, strongest


def drawn(picture):
    """The axes, and the cells of its picture."""
    ax = picture.plot(ax=matplotlib.figure.Figure().subplots())
    return ax, ax.images[1 if not picture.color else 0].get_array()


def tile(cells, number: int, across: int, height: int, width: int):
    down, right = divmod(number, across)
    top, left = down * (height + 1), right * (width + 1)
    return cells[top : top + height, left : left + width]


def test_a_matrix_is_drawn_as_it_is() -> None:
    array = np.random.default_rng(0).normal(size=(5, 7))
    ax, cells = drawn(rt.picture(array, title="weights"))
    np.testing.assert_array_equal(cells[:5, :7], array)
    low, high = ax.images[1].get_clim()
    assert (low, high) == (-np.abs(array).max(), np.abs(array).max())
    told = f"weights\n5 × 7, {array.min():.4g} to {array.max():.4g}"
    assert ax.get_title(loc="left") == told


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool])
def test_tensors_of_any_type_are_drawn(kind) -> None:
    tensor = torch.tensor([[0, 1, 1], [1, 0, 1]]).to(kind)
    _, cells = drawn(rt.picture(tensor))
    np.testing.assert_array_equal(cells[:2, :3], tensor.float().numpy())


def test_three_axes_are_maps_in_rows() -> None:
    array = np.random.default_rng(0).random((6, 4, 3))
    picture = rt.picture(array)
    ax, cells = drawn(picture)
    for number in range(6):
        np.testing.assert_array_equal(tile(cells, number, picture.tiles.across, 4, 3), array[number])
    assert [text.get_text() for text in ax.texts] == ["0", "1", "2", "3", "4", "5"]
    assert picture.limits == (0, array.max())


def test_four_axes_are_rows_and_columns_of_maps() -> None:
    array = np.random.default_rng(0).normal(size=(3, 4, 2, 5))
    ax, cells = drawn(rt.picture(array))
    for row, column in np.ndindex(3, 4):
        np.testing.assert_array_equal(tile(cells, row * 4 + column, 4, 2, 5), array[row, column])
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("axis 0", "axis 1")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "1", "2", "3"]


def test_one_axis_is_written_line_by_line() -> None:
    array = np.arange(-50, 50)
    picture = rt.picture(array)
    _, cells = drawn(picture)
    assert picture.notes == ("64 in a row",)
    np.testing.assert_array_equal(cells[:2, :64].compressed(), array)
    assert repr(rt.picture([1.0, 2.0])) == "<Picture: 2, 1 to 2>"


def test_five_axes_are_told() -> None:
    picture = rt.picture(np.zeros((2, 3, 4, 5, 6)))
    assert picture.tiles.cells.shape == (24, 5, 6)
    assert picture.notes == ("axes 1 to 2 side by side",)


def test_nan_and_infinities_are_marked_in_colours_of_their_own_and_counted() -> None:
    array = np.array([[1.0, np.nan, 3.0], [np.inf, -np.inf, np.nan]])
    picture = rt.picture(array)
    assert (picture.nans, picture.infinite, picture.limits) == (2, (1, 1), (0.0, 3.0))
    assert repr(picture) == "<Picture: 2 × 3, 1 to 3, 2 NaN, 1 inf, 1 -inf>"
    ax, cells = drawn(picture)
    np.testing.assert_array_equal(cells[:2, :3].mask, ~np.isfinite(array))
    over = ax.images[2].get_array()[:2, :3]
    assert (over[..., 3] > 0).tolist() == (~np.isfinite(array)).tolist()
    assert len(np.unique(over[~np.isfinite(array)], axis=0)) == 3
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["NaN", "inf", "-inf"]
    assert [len(line.get_xdata()) for line in ax.lines] == [2, 1, 1]
    assert len({line.get_marker() for line in ax.lines}) == 3


def test_nothing_finite_has_a_picture_too() -> None:
    picture = rt.picture(np.full((2, 2), np.nan))
    assert picture.nans == 4
    assert drawn(picture)[0].get_title(loc="left") == "2 × 2, 4 NaN"


def test_outliers_are_clipped_and_said_so() -> None:
    array = np.random.default_rng(0).normal(size=(100, 100))
    array[3, 4] = 1000.0
    picture = rt.picture(array)
    rest = np.abs(np.delete(array.ravel(), 304)).max()
    assert (picture.clipped, picture.limits) == (1, (-rest, rest))
    assert picture.notes == (f"1 of 10,000 clipped at {-rest:.4g} and {rest:.4g}",)
    assert rt.picture(array, limits=(-1, 1)).clipped == (np.abs(array) > 1).sum()


def test_a_large_map_is_summarised_by_its_strongest_numbers() -> None:
    array = np.random.default_rng(0).normal(size=(1000, 900))
    array[777, 333] = np.nan
    picture = rt.picture(array)
    height, width = picture.tiles.block
    assert picture.notes == (f"each cell the one of {height} × {width} numbers that is farthest from 0",)
    assert picture.tiles.cells.size <= 200_000
    for row, column in ((0, 0), (100, 200), (777 // height, 333 // width)):
        block = array[row * height : (row + 1) * height, column * width : (column + 1) * width].ravel()
        expected = block[np.argmax(np.where(np.isnan(block), np.inf, np.abs(block)))]
        np.testing.assert_array_equal(picture.tiles.cells[0, row, column], expected)
    assert picture.nans == 1


def test_of_too_many_maps_the_first_are_drawn_and_the_others_counted() -> None:
    array = np.random.default_rng(0).random((512, 100, 3, 3))
    picture = rt.picture(array)
    assert picture.notes == (
        "first 64 of 512 along axis 0, +448 more", "first 64 of 100 along axis 1, +36 more",
    )  # fmt: skip
    np.testing.assert_array_equal(picture.tiles.cells, array[:64, :64].reshape(-1, 3, 3).astype(np.float64))


@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.integers(0, 99))
def test_whatever_fits_is_drawn_number_by_number(shape: list[int], seed: int) -> None:
    array = np.random.default_rng(seed).normal(size=shape)
    tiles = lay(array)
    if any("first" in note or "each cell" in note for note in tiles.notes):
        assert array.size > 50_000
        assert tiles.cells.size <= 200_000
        return
    assert sorted(array.ravel()) == sorted(tiles.cells.ravel()[: tiles.filled])
    assert tiles.down * tiles.across >= len(tiles.cells) > tiles.across * (tiles.down - 1)


def test_the_strongest_of_a_block_may_be_negative_and_nan_is_stronger() -> None:
    array = np.array([[[1.0, -5.0, 2.0], [np.nan, 3.0, -1.0]]])
    np.testing.assert_array_equal(strongest(array, (1, 2), 0.0), [[[-5.0, 2.0], [np.nan, -1.0]]])
    assert math.isinf(strongest(np.array([[[np.inf, 9.0]]]), (1, 2), 0.0)[0, 0, 0])


def test_filters_of_the_first_layer_are_in_colour() -> None:
    weight = rt.Conv2d(6, 5, input=(3, 9, 9)).init(seed=0).arrays["weight"]
    picture = rt.picture(weight, color=True)
    _, cells = drawn(picture)
    high = float(weight.abs().max())
    for number in range(6):
        shown = tile(cells, number, picture.tiles.across, 5, 5)
        expected = (weight[number].permute(1, 2, 0).numpy() + high) / (2 * high)
        np.testing.assert_allclose(shown[..., :3], expected, atol=1e-6)
        assert (shown[..., 3] == 1).all()
    assert picture.notes == (f"gray is 0; black {-high:.4g}, white {high:.4g} of each colour",)


def test_pixels_in_colour_are_themselves() -> None:
    pixels = np.random.default_rng(0).random((3, 4, 6))
    _, cells = drawn(rt.picture(pixels, color=True))
    np.testing.assert_allclose(cells[:4, :6, :3], np.moveaxis(pixels, 0, -1))


def test_activations_of_a_layer_are_maps() -> None:
    net = rt.Chain(rt.Conv2d(4, 3), rt.ReLU(), rt.Flatten(), input=(1, 6, 6)).init(seed=0)
    x = np.random.default_rng(0).normal(size=(1, 6, 6))
    activations = net.at("1")(x)
    picture = rt.picture(activations, title="1")
    _, cells = drawn(picture)
    for number in range(4):
        np.testing.assert_array_equal(
            tile(cells, number, picture.tiles.across, 4, 4), activations[number].numpy()
        )


def test_it_is_a_value_that_nothing_changes() -> None:
    array = np.zeros((2, 2))
    picture = rt.picture(array)
    array[0, 0] = 9
    assert picture.array[0, 0] == 0
    assert not picture.array.flags.writeable


@pytest.mark.parametrize(
    ("array", "how", "message"),
    [
        (np.zeros((0, 3)), {}, "picture: there are no numbers in an array of shape (0, 3)."),
        ([1j], {}, "picture: an array of real numbers is drawn; got [1j] (complex128)."),
        (["a"], {}, "picture: an array of real numbers is drawn; got ['a'] (<U1)."),
        (np.zeros((2, 4, 4)), dict(color=True),
         "picture: color=True takes (..., 3, height, width); got (2, 4, 4)."),
        ([1.0], dict(limits=(2, 1)), "picture: limits are (low, high); got (2, 1)."),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_refused(array, how, message) -> None:
    with pytest.raises(rt.ArgumentError) as error:
        rt.picture(array, **how)
    assert str(error.value) == message


def test_a_notebook_shows_it() -> None:
    bundle, _ = rt.picture([[1.0, 2.0]])._repr_mimebundle_()
    assert bundle["text/plain"] == "<Picture: 1 × 2, 1 to 2>"
    assert bundle["image/svg+xml"].startswith("<svg")
