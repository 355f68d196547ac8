"""Boxes: their forms, overlaps and suppression against loops, grids, lists, frames, and a small detector."""

import itertools
import pathlib
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import retia as rt
from retia.codecs.overlap import FORMS, from_corners, overlaps, suppress, to_corners

DATA = pathlib.Path(__file__).parents[2] / ".." / "shared" / "data"
PETS = ["cat", "dog", "fox"]


def boxes_in(size, count, seed=0):
    """Corners of boxes with whole sides in a picture (height, width)."""
    random = np.random.default_rng(seed)
    x = np.sort(np.stack([random.choice(size[1] + 1, 2, replace=False) for _ in range(count)]), axis=1)
    y = np.sort(np.stack([random.choice(size[0] + 1, 2, replace=False) for _ in range(count)]), axis=1)
    return np.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], axis=1).astype(float)


# Overlaps -----------------------------------------------------------------------------------------


@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 6))
def test_overlaps_are_counted_pixels(seed, n, m):
    """The reference: pixels of a picture that both boxes cover, by those that either covers."""
    one, other = boxes_in((9, 12), n, seed), boxes_in((9, 12), m, seed + 1)

    def covered(box):
        pixels = np.zeros((9, 12), bool)
        left, top, right, bottom = box.astype(int)
        pixels[top:bottom, left:right] = True
        return pixels

    wanted = [[(covered(a) & covered(b)).sum() / (covered(a) | covered(b)).sum() for b in other] for a in one]
    assert np.allclose(overlaps(one, other), wanted, atol=1e-12)
    assert np.allclose(overlaps(one, other), overlaps(other, one).T)


def test_boxes_without_area_overlap_with_nothing():
    point, inside_out = [3.0, 3.0, 3.0, 3.0], [5.0, 5.0, 1.0, 1.0]
    table = overlaps(np.array([point, inside_out]), np.array([point, inside_out, [0.0, 0.0, 9.0, 9.0]]))
    assert np.array_equal(table, np.zeros((2, 3)))
    assert overlaps(np.zeros((0, 4)), np.zeros((3, 4))).shape == (0, 3)


@given(st.integers(0, 10**6), st.sampled_from(FORMS))
def test_every_form_says_the_same_box(seed, form):
    boxes = boxes_in((20, 30), 5, seed)
    assert np.allclose(to_corners(from_corners(boxes, form), form), boxes)
    left, top, right, bottom = boxes[0]
    wanted = {
        "corners": (left, top, right, bottom),
        "corner": (left, top, right - left, bottom - top),
        "center": ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top),
    }
    assert np.allclose(from_corners(boxes, form)[0], wanted[form])


@given(st.integers(0, 10**6), st.integers(0, 25), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_suppression_is_what_a_loop_keeps(seed, count, most):
    random = np.random.default_rng(seed)
    boxes = boxes_in((8, 8), count, seed) if count else np.zeros((0, 4))
    scores, classes = random.integers(0, 5, count) / 5, random.integers(0, 2, count)
    kept = []
    for i in sorted(range(count), key=lambda i: (-scores[i], i)):
        same = [j for j in kept if classes[j] == classes[i]]
        if all(overlaps(boxes[i : i + 1], boxes[j : j + 1])[0, 0] <= most for j in same):
            kept.append(i)
    assert suppress(boxes, scores, classes, most).tolist() == kept


# There and back -----------------------------------------------------------------------------------


def assert_same(found, thing, gap):
    """Every box of an example is among those found, with its label, and there are no others."""
    assert sorted(found["labels"]) == sorted(thing["labels"])
    for label, box in zip(thing["labels"], thing["boxes"], strict=True):
        gaps = np.abs(found["boxes"] - box).max(axis=1)
        assert gaps.min() < gap
        assert found["labels"][gaps.argmin()] == label


@given(
    st.integers(0, 10**6), st.integers(0, 6), st.sampled_from(FORMS), st.sampled_from(["relative", "pixels"]),
    st.sampled_from(["grid", "list"]),
)  # fmt: skip
def test_boxes_that_are_apart_come_back(seed, count, corners, units, form):
    """Middles at least two cells apart, so that each is a peak of its own; overlaps are let alone."""
    random = np.random.default_rng(seed)
    cells = random.permutation([(y, x) for y in range(1, 16, 4) for x in range(1, 16, 4)])[:count]
    sides = random.uniform(0.02, 0.1, (count, 2)) if count else np.zeros((0, 2))
    middles = (cells[:, ::-1] + random.uniform(0, 0.99, (count, 2))) / 16
    pixels = np.array([96, 64, 96, 64]) if units == "pixels" else 1
    boxes = to_corners(np.concatenate([middles, sides], axis=1), "center") * pixels
    codec = rt.Boxes(
        PETS, form=form, grid=(16, 16) if form == "grid" else None, most=6, corners=corners, units=units,
        size=(64, 96) if units == "pixels" else None, overlap=1.0,
    )  # fmt: skip
    thing = {"boxes": from_corners(boxes, corners), "labels": random.choice(PETS, count).tolist()}
    found = codec.decode(codec.encode(thing))
    assert_same(found, thing, 1e-3)
    assert found["scores"].tolist() == [1.0] * count


def test_a_grid_has_a_peak_in_the_cell_of_each_middle():
    codec = rt.Boxes(PETS, grid=(4, 8))
    array = codec.encode({"boxes": [[0.25, 0.0, 0.5, 0.75]], "labels": ["dog"]})
    assert array.shape == (7, 4, 8)
    assert array[1].argmax() == 1 * 8 + 3
    assert array[1, 1, 3] == 1
    assert array[-4:, 1, 3].tolist() == [0.0, 0.5, 0.25, 0.75]
    assert float(array[1, 1, 2]) == pytest.approx(np.exp(-0.5 / ((0.54 * 2 + 1) / 6) ** 2), rel=1e-5)
    assert float(array[1, 0, 3]) == pytest.approx(np.exp(-0.5 / ((0.54 * 3 + 1) / 6) ** 2), rel=1e-5)
    assert array[0].abs().sum() == array[2].abs().sum() == 0
    assert (array[-4:].abs().sum(0) > 0).sum() == 1


def test_of_two_middles_in_one_cell_the_smaller_box_shows():
    codec = rt.Boxes(PETS, grid=(2, 2))
    large, small = [0.0, 0.0, 0.6, 0.6], [0.2, 0.2, 0.3, 0.3]
    for order in ([large, small], [small, large]):
        found = codec.decode(codec.encode({"boxes": order, "labels": ["cat", "cat"]}))
        assert np.allclose(found["boxes"], [small], atol=1e-6)


def test_a_list_is_padded_with_rows_of_zeros():
    codec = rt.Boxes(PETS, form="list", most=3)
    array = codec.encode({"boxes": [[0.0, 0.0, 0.5, 1.0]], "labels": ["fox"]})
    assert array.tolist() == [[0, 0, 1, 0.25, 0.5, 0.5, 1.0], [0] * 7, [0] * 7]
    with pytest.raises(rt.CodecError) as caught:
        codec.pack([{"boxes": [], "labels": []}, {"boxes": [[0, 0, 1, 1]] * 4, "labels": ["cat"] * 4}])
    assert str(caught.value) == (
        "Boxes: row 1 has 4 boxes, more than the 3 of the list.\n  fix   Boxes(labels, most=4)"
    )


# Frames -------------------------------------------------------------------------------------------

FRAMES = [
    {"fit": "stretch"}, {"fit": "crop"}, {"fit": "pad"}, {"resize": 60, "crop": "center"},
]  # fmt: skip


@given(st.integers(30, 120), st.integers(30, 120), st.sampled_from(FRAMES), st.integers(0, 999))
def test_boxes_stay_on_what_they_mark(height, width, frame, seed):
    """The reference: a white box painted into the picture, and what the Image beside it shows of it."""
    (box,) = boxes_in((height, width), 1, seed)
    left, top, right, bottom = box.astype(int)
    picture = np.zeros((height, width), np.uint8)
    picture[top:bottom, left:right] = 255
    seen = rt.Image(60, 44, color="gray", resample="nearest", **frame).pack([picture])[0, 0].numpy() > 0
    relative = box / (width, height, width, height)
    for units, given_box in (("pixels", box), ("relative", relative)):
        codec = rt.Boxes(["box"], form="list", most=1, units=units, size=(60, 44), **frame)
        array = codec.encode({"boxes": [given_box], "labels": ["box"], "size": (height, width)})[0]
        if not seen.any():
            assert float(array[0]) == 0 or float((array[3:] * torch.tensor([44.0, 60.0])).min()) < 1
            continue
        x, y, wide, tall = (array[1:] * torch.tensor([44.0, 60.0, 44.0, 60.0])).tolist()
        rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
        slack = 1.01 + 0.5 * (frame.get("fit") == "pad")
        found = [x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2]
        shown = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        assert np.abs(np.subtract(found, shown)).max() <= slack


def test_boxes_that_are_not_seen_are_left_out():
    codec = rt.Boxes(PETS, form="list", most=2, size=(10, 10), fit="crop")
    array = codec.encode(
        {"boxes": [[0, 0, 0.2, 1], [0.2, 0, 0.5, 1]], "labels": ["cat", "dog"], "size": (10, 30)}
    )
    assert array[0, :3].tolist() == [0, 1, 0]
    assert np.allclose(array[0, 3:], [0.25, 0.5, 0.5, 1], atol=1e-6)
    assert array[1].abs().sum() == 0


# What a net says ----------------------------------------------------------------------------------


def test_weak_and_doubled_boxes_are_left_out_as_asked():
    codec = rt.Boxes(PETS, form="list", most=4, score=0.5, overlap=0.5)
    rows = torch.tensor([
        [0.1, 0.9, 0.0, 0.5, 0.5, 0.4, 0.4], [0.0, 0.8, 0.1, 0.5, 0.5, 0.4, 0.5],
        [0.7, 0.0, 0.0, 0.5, 0.5, 0.4, 0.4], [0.0, 0.0, 0.4, 0.2, 0.2, 0.1, 0.1],
    ])  # fmt: skip
    assert codec.decode(rows)["labels"] == ["dog", "cat"]
    assert codec.decode(rows, ("above", 0.3))["labels"] == ["dog", "cat", "fox"]
    assert codec.decode(rows, ("above", 0.95))["labels"] == []
    assert codec.decode(rows, "candidates")["labels"] == ["dog", "dog", "cat", "fox"]
    assert np.allclose(codec.decode(rows, "candidates")["scores"], [0.9, 0.8, 0.7, 0.4])
    assert [each["labels"] for each in codec.decode(torch.stack([rows, rows * 0]))] == [["dog", "cat"], []]
    with pytest.raises(rt.ArgumentError, match=r'\("above", score\) needs a score from 0 to 1; got None.'):
        codec.decode(rows, "above")


def test_peaks_are_cells_above_their_neighbours():
    """The reference: every cell compared with each of its neighbours by loops."""
    random = np.random.default_rng(0)
    codec = rt.Boxes(PETS, grid=(6, 5), most=1000)
    array = random.random((7, 6, 5))
    wanted = []
    for label, y, x in itertools.product(range(3), range(6), range(5)):
        around = array[label, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        if array[label, y, x] == around.max():
            wanted.append((array[label, y, x], PETS[label]))
    found = codec.decode(torch.tensor(array), "candidates")
    assert found["labels"] == [label for _, label in sorted(wanted, reverse=True)]
    assert np.allclose(found["scores"], [score for score, _ in sorted(wanted, reverse=True)])
    assert (
        rt.Boxes(PETS, grid=(6, 5), most=2).decode(torch.tensor(array), "candidates")["labels"]
        == (found["labels"][:2])
    )


@pytest.mark.parametrize(
    ("codec", "thing", "text"),
    [
        ({}, {"boxes": [[0, 0, 1, 1]], "label": ["cat"]},
         "is no dict of boxes and labels. Did you mean 'labels'?"),
        ({}, {"boxes": [[0, 0, 1, 1]], "labels": ["cow"]}, "Boxes: 'cow' is not one of the 3 labels."),
        ({}, {"boxes": [[0, 0, 1, 1]], "labels": []}, "0 labels need boxes of shape (0, 4); got (1, 4)"),
        ({}, {"boxes": [[0, 0, 1]], "labels": ["cat"]}, "1 labels need boxes of shape (1, 4); got (1, 3)"),
        ({}, {"boxes": [[10, 10, 50, 60]], "labels": ["cat"]},
         "Boxes: box 0 is no box of its picture: left, top, right and bottom are 10, 10, 50, 60 of it.\n"
         "  from  corners='corners', units='relative'"),
        ({}, {"boxes": [[0.5, 0.5, 0.4, 0.6]], "labels": ["cat"]}, "are 0.5, 0.5, 0.4, 0.6 of it"),
        ({}, {"boxes": [[0, 0, np.nan, 1]], "labels": ["cat"]}, "are 0, 0, nan, 1 of it"),
        ({"size": (8, 8), "fit": "pad"}, {"boxes": [[0, 0, 1, 1]], "labels": ["cat"]},
         "Boxes has no size; the height and width of its picture are needed.\n"
         '  fix   {"boxes": ..., "labels": ..., "size": (height, width)}'),
        ({"size": (8, 8), "fit": "pad"}, {"boxes": [[0, 0, 1, 1]], "labels": ["cat"], "size": (0, 8)},
         "Boxes has the size (0, 8); the height"),
    ],
)  # fmt: skip
def test_what_is_no_boxes_is_refused(codec, thing, text):
    with pytest.raises(rt.CodecError) as caught:
        rt.Boxes(PETS, grid=(4, 4), **codec).encode(thing)
    assert text in str(caught.value)
    with pytest.raises(rt.CodecError, match="Boxes: 7 is no dict of boxes and labels"):
        rt.Boxes(PETS, grid=(4, 4)).encode(7)


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ({"units": "pixels"}, "the size of what the net sees is missing"),
        ({"fit": "pad"}, "the size of what the net sees is missing"),
        ({"grid": (4, 4), "form": "list"}, "a list has no grid"),
        ({"grid": 4}, "grid is a pair (height, width); got (4,)"),
        ({"score": 2}, "score is a number from 0 to 1"),
        ({"labels": None}, "labels are missing"),
    ],
)
def test_settings_that_cannot_be_are_refused(how, text):
    with pytest.raises(rt.ArgumentError) as caught:
        rt.Boxes(**{"labels": PETS, **how})
    assert text in str(caught.value)


def test_boxes_of_real_pictures_come_back(full):
    archive = DATA / "coco128" / "coco128_416px.zip"
    if not archive.exists():
        pytest.skip("coco128 of the shared data is not there")
    grid = rt.Boxes(range(80), grid=(64, 64), corners="center", overlap=1.0, most=1000)
    rows = rt.Boxes(range(80), form="list", corners="center", overlap=1.0, most=100)
    with zipfile.ZipFile(archive) as files:
        names = [name for name in files.namelist() if name.endswith(".txt")]
        for name in names if full else names[::11]:
            table = np.array([line.split() for line in files.read(name).decode().splitlines()], float)
            thing = {"boxes": table[:, 1:], "labels": table[:, 0].astype(int).tolist()}
            listed = rows.decode(rows.encode(thing))
            assert_same(listed, thing, 2e-2)
            found = grid.decode(grid.encode(thing), ("above", 1.0))
            assert len(found["labels"]) >= 0.7 * len(thing["labels"])
            best = overlaps(to_corners(found["boxes"], "center"), to_corners(thing["boxes"], "center")).max(
                axis=1
            )
            assert best.min() > 0.9
