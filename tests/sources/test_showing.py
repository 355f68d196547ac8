"""What ``data.show()`` draws and prints: pictures, masks, boxes, sounds, tables, texts."""

import io

import numpy as np
import pytest
from PIL import Image

import retia as rt
from retia.codecs.sounds import wav

GRAY = np.full((80, 80, 3), 100, np.uint8)


def test_a_table_is_printed_with_a_row_for_each_example():
    data = rt.data({"input": [{"age": 3, "who": "a\n b"}, {"age": None, "who": "c"}], "output": [0.5, 1 / 3]})
    assert str(data.show()) == ("Data: 2 examples\n  age  who  output\n  3    a b  0.5\n       c    0.3333")
    assert repr(data.show(1)).startswith("Data: 1 of 2 examples\n")


def test_long_texts_are_cut_so_that_a_row_fits():
    lines = str(rt.data((["word " * 100], ["a" * 300])).show()).splitlines()
    assert max(map(len, lines)) <= 102
    assert lines[2].count("…") == 2


def test_things_are_told_by_what_they_are(tmp_path):
    sheet = rt.data(
        {
            "array": [np.zeros((2, 3, 4)), np.zeros((5, 3, 4))],
            "picture": [Image.new("L", (4, 3))] * 2,
            "sound": [(np.zeros(4000, np.int16), 8000)] * 2,
            "boxes": [{"boxes": [[0, 0, 1, 1]], "labels": ["cat"]}] * 2,
            "tags": [["red", "big"], []],
            "vector": [[1.0, 2.5], [0.25, 3.0]],
        }
    ).show()
    told = ("2 x 3 x 4 float64", "picture 3 x 4", "0.50 s of sound", "1 boxes: cat", "red, big", "1  2.5")
    assert sheet.rows[0] == told


def test_a_notebook_gets_a_picture_or_a_table():
    bundle, said = rt.data((np.zeros((2, 8, 8), np.uint8), ["a", "b"])).show()._repr_mimebundle_()
    assert sorted(bundle) == ["image/png", "text/plain"]
    assert said == {"image/png": {"alt": "Data: 2 examples"}}
    with Image.open(io.BytesIO(bundle["image/png"])) as opened:
        assert opened.format == "PNG"
    bundle, _ = rt.data((["<b>", "c"], [1, 2])).show()._repr_mimebundle_()
    assert "&lt;b&gt;" in bundle["text/html"]
    assert "<b>" not in bundle["text/html"]


def test_a_mask_lies_over_its_picture_and_is_clear_where_it_is_0():
    mask = np.zeros((80, 80), np.uint8)
    mask[:40] = 7
    page = np.asarray(rt.data(([GRAY], [mask])).show().picture)
    assert page[8 + 120, 8 + 80].tolist() == [100, 100, 100]
    red, green, blue = page[8 + 40, 8 + 80].tolist()
    assert red > 105
    assert green == blue < 60


def test_pictures_of_another_size_or_many_colours_are_no_masks():
    other = np.arange(80 * 80).reshape(80, 80) % 251
    assert rt.data(([GRAY], [other.astype(np.uint8)])).show().picture.width == 8 + 2 * (96 + 8)


@pytest.mark.parametrize("scale", [1, 80], ids=["relative", "pixels"])
def test_boxes_stand_where_they_are(scale):
    boxes = {"boxes": np.array([[0.25, 0.5, 0.75, 1.0]]) * scale}
    page = np.asarray(rt.data(([GRAY], [boxes])).show().picture)
    edges = (page[8:-8, 8:-8] != 100).any(2)
    rows, columns = np.where(edges)
    assert (rows.min(), columns.min(), columns.max()) == (80, 40, 120)


def test_a_codec_says_how_boxes_are_meant():
    boxes = {"boxes": [[40, 60, 40, 40]], "labels": ["cat"]}
    codec = rt.Boxes(["cat"], grid=(16, 16), corners="center", units="pixels", size=(80, 80))
    page = np.asarray(rt.data(([GRAY], [boxes])).show(by={"output": codec}).picture)
    dark = (page[8:-8, 8:-8] == [128, 0, 0]).all(2)
    rows, columns = np.where(dark)
    assert (rows.min(), columns.min(), columns.max()) == (80, 40, 120)


def test_by_a_net_pictures_are_what_it_sees():
    net = rt.Chain(rt.Flatten(), rt.Linear(2), input=rt.Image(4, 4, color="gray"))
    sheet = rt.data(([np.eye(8, dtype=np.uint8) * 255], [0])).show(by=net)
    assert sheet.rows[0][0] == "picture 4 x 4"


def test_a_sound_is_drawn_from_its_lowest_to_its_highest(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav(np.concatenate([np.zeros(480), np.full(480, 0.5)]), 8000))
    page = np.asarray(rt.data(([tmp_path / "a.wav"], ["a"])).show().picture)[8:104, 8:104]
    ink = (page == (31, 102, 181)).all(2)
    assert np.flatnonzero(ink[:, 10]).tolist() == [48]
    assert np.flatnonzero(ink[:, 90]).tolist() == [24]


def test_a_sound_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"")
    with pytest.raises(rt.DataError, match="A sound cannot be shown: .*it is empty"):
        rt.data(([tmp_path / "a.wav"], ["a"])).show()
