import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import retia as rt
from retia.sources.natural import natural


def picture(path: Path, color: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), (color, 10, 20)).save(path)
    return path


@pytest.fixture
def pets(tmp_path):
    for number in (10, 2, 1):
        picture(tmp_path / "pets" / "cat" / f"{number}.png", number)
    picture(tmp_path / "pets" / "dog" / "inner" / "5.JPG")
    (tmp_path / "pets" / "dog" / "notes.txt").write_text("not a picture")
    (tmp_path / "pets" / ".git").mkdir()
    return tmp_path / "pets"


def told(source, **how):
    with pytest.raises(rt.DataError) as caught:
        rt.data(source, **how)
    return str(caught.value)


def test_a_pair_of_arrays_is_two_columns_that_are_neither_copied_nor_writable():
    x, y = np.zeros((3, 2), np.float32), np.array([5, 6, 7], np.int32)
    data = rt.data((x, y))
    found = data.arrays()
    assert np.shares_memory(found["input"], x)
    assert not found["input"].flags.writeable
    assert x.flags.writeable
    assert not data[0][0].flags.writeable
    assert data[1][1] == 6
    assert type(data[1][1]) is int


def test_a_tensor_is_seen_through_the_same_memory():
    x = torch.arange(6.0, requires_grad=True).reshape(3, 2)
    data = rt.data((x, torch.tensor([True, False, True])))
    assert np.shares_memory(data.arrays()["input"], x.detach().numpy())
    assert data[0][1] is True
    half = rt.data({"input": torch.ones(2, 2, dtype=torch.bfloat16)})
    assert half.arrays()["input"].dtype == np.float32


def test_pairs_columns_and_two_columns_are_the_same_set():
    pairs = rt.data([("a.png", "cat"), ("b.png", "dog")])
    columns = rt.data({"output": ["cat", "dog"], "input": ["a.png", "b.png"]})
    assert pairs == rt.data((["a.png", "b.png"], ["cat", "dog"])) == columns
    assert [*pairs] == [*columns] == [("a.png", "cat"), ("b.png", "dog")]
    assert rt.data(zip(["a.png", "b.png"], ["cat", "dog"], strict=True)) == pairs
    assert rt.data(pairs) is pairs


def test_other_columns_make_dicts():
    data = rt.data({"left": [[1], [2]], "right": [[3], [4]], "output": [True, False]})
    assert {k: np.asarray(v).tolist() for k, v in data[1].items()} == {
        "left": [2],
        "right": [4],
        "output": False,
    }
    assert rt.data({"input": ["a", "b"]})[0] == {"input": "a"}


def test_lists_of_numbers_have_one_type_for_all_rows():
    data = rt.data(([[1, 2], [0.5, 1]], [1, 2.5]))
    assert data.arrays()["input"].dtype == np.float64
    assert [y for _, y in data] == [1.0, 2.5]
    ragged = rt.data(([[1, 2], [3]], ["a", "b"]))
    assert [x for x, _ in ragged] == [[1, 2], [3]]


def test_numbers_of_numpy_and_torch_in_lists_are_labels():
    assert rt.data((["a", "b", "c"], [*np.array([3, 1, 3])])).counts() == {1: 1, 3: 2}
    assert rt.data((["a", "b"], [torch.tensor(4), torch.tensor(4)])).counts() == {4: 2}


def test_parts_are_given_by_name():
    data = rt.data({"train": ([1, 2], ["a", "b"]), "test": ([3], ["a"])})
    assert (len(data), len(data.train), len(data.test), data.validation) == (2, 2, 1, None)
    assert rt.data(([1], [2])).train == rt.data(([1], [2]))
    assert rt.data(([1], [2])).test is None


def test_a_folder_of_class_folders_is_in_natural_order(pets):
    data = rt.data(pets)
    assert [x.relative_to(pets).as_posix() for x, _ in data] == [
        "cat/1.png", "cat/2.png", "cat/10.png", "dog/inner/5.JPG",
    ]  # fmt: skip
    assert data.counts() == {"cat": 3, "dog": 1}
    assert rt.data(str(pets) + "/") == data
    assert data.name == "pets"


def test_a_folder_with_parts_has_parts(tmp_path):
    for part in ("train", "val", "test"):
        for label in ("2", "10"):
            picture(tmp_path / part / label / "a.png")
    data = rt.data(tmp_path)
    assert [*data.parts] == ["train", "validation", "test"]
    assert [y for _, y in data.validation] == ["2", "10"]


def test_a_label_may_be_called_train(tmp_path):
    picture(tmp_path / "train" / "a.png")
    picture(tmp_path / "car" / "a.png")
    assert rt.data(tmp_path).counts() == {"car": 1, "train": 1}


def test_natural_order_counts_runs_of_digits():
    names = ["img10", "img9", "img", "b2", "img09", "2", "10", "a", "img10b"]
    assert sorted(names, key=natural) == ["2", "10", "a", "b2", "img", "img09", "img9", "img10", "img10b"]
    assert sorted(["x1y10", "x1y9", "x01y9", "x0y99"], key=natural) == ["x0y99", "x01y9", "x1y9", "x1y10"]
    assert sorted(["9" * 5000, "1"], key=natural)[0] == "1"


def test_columns_of_different_lengths_are_refused_with_their_lengths():
    text = told(([1, 2, 3], ["a", "b"]))
    assert text == "The columns have different numbers of examples: 'input' has 3, 'output' has 2."


@pytest.mark.parametrize(
    "source",
    [[], ([], []), {"input": np.zeros((0, 3))}, {}, iter(())],
    ids=["list", "pair", "array", "dict", "iter"],
)
def test_an_empty_set_is_refused(source):
    assert "empty" in told(source) or "needs columns" in told(source)


def test_an_unknown_name_is_answered_with_the_nearest_and_the_list():
    text = told("mnst")
    assert text.startswith("data: 'mnst' is neither a known set nor a file or folder. Did you mean 'mnist'?")
    assert "known sets: mnist, iris" in text


def test_what_could_be_read_two_ways_is_refused_with_the_cure():
    x, y = np.zeros((2, 3)), np.zeros(2)
    assert "rt.data({'train': (x, y), 'test': (x2, y2)})" in told(((x, y), (x, y)))
    assert "alone does not say which" in told(x)
    assert "row 1 is str" in told([("a", 1), "b"])
    assert "row 0 is ndarray" in told([x, y])
    assert "a tuple is the two columns" in told((x, y, x))
    assert "'input' is str, which has no rows" in told(("abc", [1, 2, 3]))
    assert "a single number" in told({"input": np.array(3.0)})
    assert "the name of a column is a word; got 3" in told({3: [1]})


def test_folders_that_are_no_set_say_what_is_wrong(tmp_path, pets):
    picture(tmp_path / "loose" / "a.png")
    assert "has no folders, but 1 pictures in it" in told(tmp_path / "loose")
    (pets / "bird").mkdir()
    assert "1 of 3 folders in" in told(pets)
    assert "have no pictures: bird" in told(pets)
    picture(tmp_path / "parts" / "test" / "cat" / "a.png")
    assert "which are not one set's parts" in told(tmp_path / "parts")
    picture(tmp_path / "parts" / "train" / "cat" / "a.png")
    picture(tmp_path / "parts" / "rest" / "a.png")
    assert "rest, test, train" in told(tmp_path / "parts")
    assert "is a file of a kind that is not read" in told(pets / "dog" / "notes.txt")


def test_unreadable_pictures_are_named_and_counted(pets):
    whole = (pets / "cat" / "10.png").read_bytes()
    (pets / "cat" / "10.png").write_bytes(whole[: len(whole) // 2])
    (pets / "dog" / "inner" / "5.JPG").write_bytes(b"no picture")
    data = rt.data(pets)
    with pytest.raises(
        rt.DataError, match=r"There are 2 of 4 unreadable pictures: 10\.png, 5\.JPG"
    ) as caught:
        data.check()
    assert caught.value.got == [2, 3]
    with pytest.warns(rt.RetiaWarning, match=r"skipped 2 of 4 unreadable pictures: 10\.png, 5\.JPG"):
        left = rt.data(pets, on_error="skip")
    assert left.counts() == {"cat": 2}
    assert left.check() == left


def test_unreadable_pictures_are_skipped_in_every_part(tmp_path):
    for part in ("train", "test"):
        picture(tmp_path / part / "cat" / "good.png")
        (tmp_path / part / "cat" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.warns(rt.RetiaWarning, match="skipped 1 of 2"):
        data = rt.data(tmp_path, on_error="skip")
    assert (len(data), len(data.test)) == (1, 1)
    for path in tmp_path.rglob("good.png"):
        path.write_bytes(b"")
    with pytest.raises(rt.DataError, match=r"2 of 2|1 of 1"):
        data.check(on_error="skip")


def test_what_to_do_with_errors_is_one_of_two_words(pets):
    with pytest.raises(rt.ArgumentError, match="'raise' or 'skip'"):
        rt.data(pets, on_error="ignore")
    with pytest.raises(rt.ArgumentError, match="'raise' or 'skip'"):
        rt.data(pets).check(on_error="ignore")


def test_a_fingerprint_is_of_contents_and_not_of_places(pets, tmp_path):
    before = rt.data(pets).fingerprint
    moved = pets.rename(tmp_path / "elsewhere")
    assert rt.data(moved).fingerprint == before
    picture(moved / "cat" / "1.png", 77)
    assert rt.data(moved).fingerprint != before
    gone = rt.data(moved)
    (moved / "cat" / "1.png").unlink()
    with pytest.raises(rt.DataError, match=r"1\.png cannot be read"):
        _ = gone.fingerprint


def test_fingerprints_tell_types_and_orders_apart():
    sets = [
        rt.data({"input": given})
        for given in (
            [1, 2], [2, 1], ["1", "2"], [True, 2], [1.0, 2.0], np.array([1, 2]), np.array([1, 2], np.int32),
            [[1], [2]], [(1, "a"), (2, "b")], [b"1", b"2"], [None, None],
            [Image.new("L", (1, 1), 1), Image.new("L", (1, 1), 2)], [np.ones(1), np.ones(2)],
            [Path("1.png"), "2.png"],
        )
    ]  # fmt: skip
    assert len({data.fingerprint for data in sets}) == len(sets)
    assert len(set(sets)) == len(sets)
    assert rt.data({"input": [1, 2]}).fingerprint == rt.data({"input": range(1, 3)}).fingerprint
    with pytest.raises(rt.DataError, match="no content hash"):
        _ = rt.data({"input": [object()]}).fingerprint


@pytest.fixture
def cats_and_dogs(tmp_path):
    packed = Path(__file__).parents[3] / "shared" / "data" / "cats_dogs" / "cats_dogs_200px.zip"
    if not packed.exists():
        pytest.skip(f"{packed} is not there")
    with zipfile.ZipFile(packed) as opened:
        names = [n for n in opened.namelist() if n.endswith(".jpg")]
        for start in ("train/cat", "train/dog", "test/cat", "test/dog"):
            opened.extractall(tmp_path, [n for n in names if n.startswith(start)][:6])
    return tmp_path


def test_real_pictures_are_read_from_class_folders(cats_and_dogs):
    data = rt.data(cats_and_dogs)
    assert [*data.parts] == ["train", "test"]
    assert data.counts() == data.test.counts() == {"cat": 6, "dog": 6}
    assert data.check() == data
    numbers = [int(x.name.split(".")[1]) for x, y in data if y == "dog"]
    assert numbers == sorted(numbers)
    with Image.open(data[0][0]) as opened:
        assert opened.size == (200, 200)
