"""Files by patterns of their paths, tables of labels beside pictures, folders of sounds and of IDX files."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import retia as rt
from retia.codecs.sounds import wav

REAL = Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture
def photos(tmp_path, monkeypatch):
    for name in ("cat/10.png", "cat/2.png", "dog/deep/1.PNG", "dog/1.txt", ".hidden/1.png", "3.png"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (2, 2), len(name)).save(path, "PNG")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "photos"


def told(source, **how):
    with pytest.raises(rt.Error) as caught:
        rt.data(source, **how)
    return str(caught.value)


def paths(data, root):
    return [each.relative_to(root).as_posix() for each in data.arrays()["input"]]


def test_files_of_a_pattern_have_their_folder_as_label(photos):
    data = rt.data("photos/**/*.png")
    assert [(x.as_posix(), y) for x, y in data] == [
        ("photos/3.png", "photos"), ("photos/cat/2.png", "cat"), ("photos/cat/10.png", "cat"),
    ]  # fmt: skip
    assert rt.data(f"{photos}/*/*.png").counts() == {"cat": 2}
    assert paths(rt.data(f"{photos}/?.png"), photos) == ["3.png"]
    assert [*rt.data(str(photos / "*.png")).columns] == ["input"]


def test_fields_of_a_pattern_are_columns(photos):
    assert rt.data("photos/{animal}/*.png").counts() == {"cat": 2}
    data = rt.data("photos/{animal}/**/{number:int}.*")
    assert data.arrays()["animal"] == ["cat", "cat", "dog", "dog"]
    assert data.arrays()["number"] == [2, 10, 1, 1]
    assert data.select(output="number").arrays()["output"] == [2, 10, 1, 1]


def test_patterns_that_find_or_mean_nothing_are_told(photos):
    assert told("photos/*.gif") == "data: no file fits 'photos/*.gif'."
    assert told("phots/*.png") == "data: 'phots/*.png': there is no folder 'phots'."
    assert told("photos/{a:float}.png") == (
        "data: 'photos/{a:float}.png': {a:float} is no field.\n"
        "  fix   {label}, or {age:int} for whole numbers"
    )
    assert told("photos/{a}_{a}.png") == "data: 'photos/{a}_{a}.png' has the field 'a' twice or as its input."


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(photos):
    (photos / "[a]*.csv").write_text("n\n1\n")
    assert len(rt.data(photos / "[a]*.csv")) == 1


@pytest.fixture
def labelled(tmp_path):
    for name in ("1.png", "2.png", "10.png"):
        Image.new("L", (2, 2)).save(tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("ending", ["", ".png"])
def test_a_table_beside_pictures_labels_them(labelled, ending):
    (labelled / "labels.csv").write_text(f"id,breed\n10{ending},cat\n1{ending},dog\n")
    data = rt.data(labelled)
    assert paths(data, labelled) == ["10.png", "1.png"]
    assert data.arrays()["output"] == ["cat", "dog"]


def test_other_columns_of_the_table_stay(labelled):
    (labelled / "labels.jsonl").write_text('{"age": 3, "picture": "2.png", "breed": "cat"}')
    assert rt.data(labelled, output="breed")[0] == {"input": labelled / "2.png", "age": 3, "output": "cat"}


def test_missing_files_of_a_table_are_told_or_skipped(labelled):
    path = labelled / "labels.csv"
    path.write_text("file,breed\n1.png,cat\n4.png,dog\n2.png,dog\n")
    assert told(labelled).replace(str(path), path.name) == (
        "labels.csv, line 3, column 'file': there is no file '4.png' beside the table.\n"
        '  fix   put the files there, or leave such rows out: on_error="skip"'
    )
    with pytest.warns(rt.RetiaWarning, match="skipped 1 of 3 rows: line 3, column 'file'"):
        assert rt.data(labelled, on_error="skip").counts() == {"cat": 1, "dog": 1}
    path.write_text("file,breed\n7.png,cat\n")
    assert told(labelled).replace(str(path), path.name) == (
        "labels.csv: none of its columns names files that lie beside it: file, breed.\n"
        "  from  the first file there is '1.png'"
    )


def test_class_folders_of_sounds_are_a_set(tmp_path):
    for name in ("yes/2.wav", "yes/10.wav", "no/1.flac", "no/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(wav(np.zeros(4), 8000))
    data = rt.data(tmp_path)
    assert paths(data, tmp_path) == ["no/1.flac", "yes/2.wav", "yes/10.wav"]
    assert data.columns["input"].kind() == "sound file"
    assert data.check() == data
    (tmp_path / "none").mkdir()
    assert told(tmp_path) == (
        f"data: 1 of 3 folders in {tmp_path} have no sounds: none.\n"
        "  from  sounds are .aif, .aiff, .flac, .mp3, .ogg, .opus, .wav"
    )


# IDX files ----------------------------------------------------------------------------------------


def idx(array, kind):
    return struct.pack(f">HBB{array.ndim}I", 0, kind, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def digits(tmp_path):
    x = np.arange(24, dtype=">i4").reshape(3, 2, 4)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(x, 0x0C))
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(
        gzip.compress(idx(np.array([1, 2, 1], np.uint8), 0x08))
    )
    return tmp_path


def test_a_folder_of_idx_files_is_a_set(digits):
    data = rt.data(digits)
    assert data.counts() == {1: 2, 2: 1}
    assert data.arrays()["input"].tolist() == np.arange(24).reshape(3, 2, 4).tolist()
    assert data.columns["input"].kind() == "int32 (2, 4)"
    assert data.test is None


def test_damaged_idx_files_are_told(digits):
    path = digits / "train-images-idx3-ubyte"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(rt.DataError) as caught:
        rt.data(digits).arrays()
    assert str(caught.value) == f"{path} is damaged: its header tells of 96 bytes, and there are 95."
    path.write_bytes(b"\x89PNG" + whole)
    assert told(digits) == f"{path} is damaged: it does not begin as IDX files do."
    path.write_bytes(struct.pack(">HBB3I", 0, 8, 3, 2**31, 2**31, 2**31))
    assert told(digits) == f"{path} is damaged: its header tells of {2**93:,} numbers."
    path.unlink()
    assert told(digits) == (
        f"data: {digits} lacks files of train.\n"
        "  fix   train-images-idx3-ubyte, train-labels-idx1-ubyte, and t10k-... for the test part"
    )


@pytest.mark.skipif(not REAL.exists(), reason=f"{REAL} is not there")
def test_fashion_mnist_is_read_from_its_folder():
    data = rt.data(REAL / "fashion_mnist")
    assert data.counts() == dict.fromkeys(range(10), 6000)
    assert data.test.counts() == dict.fromkeys(range(10), 1000)
    raw = gzip.decompress((REAL / "fashion_mnist" / "t10k-images-idx3-ubyte.gz").read_bytes())
    wanted = np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 28, 28)
    assert np.array_equal(data.test.arrays()["input"], wanted)
