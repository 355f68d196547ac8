import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import retia as rt
from retia.sources.order import order
from retia.sources.splitting import fair

labels = st.lists(st.sampled_from(["a", "b", "c"]), min_size=2, max_size=60)
seeds = st.integers(0, 2**63 - 1)


def numbered(n, y=None):
    return rt.data((np.arange(n), y or ["a"] * n))


def inputs(data):
    return data.arrays()["input"].tolist()


# Laws ---------------------------------------------------------------------------------------------


@given(labels, st.floats(0.05, 0.95), seeds)
def test_a_split_is_disjoint_complete_stratified_and_seeded(y, fraction, seed):
    data = numbered(len(y), y)
    size = round(fraction * len(y))
    if not 0 < size < len(y):
        with pytest.raises(rt.DataError, match="leaves the"):
            data.split(fraction, seed=seed)
        return
    first, second = data.split(fraction, seed=seed)
    assert len(first) == size
    assert sorted(inputs(first) + inputs(second)) == [*range(len(y))]
    assert inputs(first) == sorted(inputs(first))
    for label in set(y):
        share = y.count(label) * size / len(y)
        if 1 < len(set(y)) < len(y):
            assert abs(first.counts().get(label, 0) - share) < 1
    assert data.split(size, seed=seed) == (first, second)


@given(labels, st.data(), seeds)
def test_a_split_by_two_sizes_takes_that_many(y, draw, seed):
    first = draw.draw(st.integers(1, len(y) - 1))
    second = draw.draw(st.integers(1, len(y) - first))
    a, b = numbered(len(y), y).split((first, second), seed=seed)
    assert (len(a), len(b)) == (first, second)
    assert not set(inputs(a)) & set(inputs(b))


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=20), st.data())
def test_shares_are_proportional_and_add_up(counts, draw):
    total = sum(counts)
    if total == 0:
        return
    size = draw.draw(st.integers(0, total))
    shares = fair(np.array(counts), size).tolist()
    assert sum(shares) == size
    for share, count in zip(shares, counts, strict=True):
        assert count * size // total <= share <= -(-count * size // total)


@given(st.integers(0, 50), seeds)
def test_shuffling_is_a_permutation_that_depends_on_the_seed_alone(n, seed):
    data = numbered(50).take(n)
    torch.manual_seed(1)
    once = inputs(data.shuffle(seed))
    torch.manual_seed(2)
    assert sorted(once) == [*range(n)]
    assert inputs(data.shuffle(seed)) == once


def test_seeds_make_different_orders():
    data = numbered(100)
    orders = {tuple(inputs(data.shuffle(seed))) for seed in range(20)}
    assert len(orders) == 20
    assert tuple(range(100)) not in orders
    assert inputs(data.split(50, seed=0)[0]) != inputs(data.split(50, seed=1)[0])


@given(st.integers(1, 40), st.data())
def test_slices_and_numbers_mean_what_they_mean_on_lists(n, draw):
    data, plain = numbered(n), [*range(n)]
    for _ in range(4):
        cut = draw.draw(st.slices(len(plain)))
        data, plain = data[cut], plain[cut]
        assert inputs(data) == plain
        assert len(data) == len(plain)
        if plain:
            rows = draw.draw(st.lists(st.integers(-len(plain), len(plain) - 1), max_size=10))
            assert inputs(data[rows]) == [plain[row] for row in rows]
            if draw.draw(st.booleans()):
                data = data[np.arange(len(plain))]  # from here on by an array of numbers
        k = draw.draw(st.integers(0, n + 5))
        assert inputs(data.take(k)) == plain[:k]
        assert [x for x, _ in data] == plain


@given(st.integers(1, 30), st.integers(1, 12), st.booleans(), st.booleans())
def test_batches_are_the_examples_in_order(n, size, shuffle, drop_last):
    data = numbered(n)
    batches = [*data.batches(size, shuffle=shuffle, seed=3, drop_last=drop_last)]
    found = [x for batch in batches for x in batch["input"].tolist()]
    wanted = inputs(data.shuffle(3) if shuffle else data)
    assert found == (wanted[: n // size * size] if drop_last else wanted)
    assert all(len(batch["input"]) == len(batch["output"]) == size for batch in batches[:-1])


@given(st.integers(0, 60), seeds, st.integers(0, 1000))
def test_an_epochs_order_is_a_permutation_that_leaves_the_global_generator_alone(n, seed, epoch):
    torch.manual_seed(7)
    state = torch.get_rng_state()
    found = order(n, seed, epoch)
    assert found.dtype == torch.int64
    assert sorted(found.tolist()) == [*range(n)]
    assert torch.equal(found, order(n, seed, epoch))
    assert torch.equal(state, torch.get_rng_state())


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = {tuple(order(30, seed, epoch).tolist()) for seed in range(8) for epoch in range(8)}
    assert len(orders) == 64


def test_places_of_an_order_are_evenly_filled():
    firsts = [int(order(5, 0, epoch)[0]) for epoch in range(2000)]
    assert np.abs(np.bincount(firsts, minlength=5) - 400).max() < 90  # five standard deviations


# Details ------------------------------------------------------------------------------------------


def test_taking_and_slicing_copies_nothing():
    x = np.zeros((10, 3))
    data = rt.data((x, range(10)))
    assert np.shares_memory(data[2:8:2].arrays()["input"], x)
    assert np.shares_memory(data[::-1].take(3).arrays()["input"], x)
    assert not np.shares_memory(data.shuffle(0).arrays()["input"], x)


def test_what_methods_make_has_no_parts():
    data = rt.data({"train": ([1, 2], ["a", "b"]), "test": ([3], ["a"])})
    assert data.take(1).test is None
    assert data.shuffle(0).parts == {}


def test_labels_of_another_type_are_other_labels():
    counts = rt.data((["x"] * 5, [7, "7", 10, "10", "9"])).counts()
    assert [*counts.items()] == [(7, 1), (10, 1), ("7", 1), ("9", 1), ("10", 1)]


def test_unlike_labels_are_not_stratified_and_numbers_are_no_labels():
    first, second = rt.data((range(10), range(10))).split(5)
    assert len(first) == len(second) == 5
    data = rt.data((["x"] * 4, [0.1, 0.2, 0.1, 0.2]))
    assert len(data.split(0.5)[0]) == 2
    with pytest.raises(rt.DataError, match="The set has no labels"):
        data.counts()
    with pytest.raises(rt.DataError, match="There is no column 'outptu'.*Did you mean 'output'"):
        data.counts("outptu")
    assert data.counts("input") == {"x": 4}


def test_a_column_of_labels_is_found_where_it_has_another_name():
    data = rt.data({"input": ["p", "q", "r", "s"], "kind": ["a", "a", "b", "b"]})
    assert data.counts() == {"a": 2, "b": 2}
    assert data.split(2)[0].counts() == {"a": 1, "b": 1}
    assert data.split(2, stratify=False)[0].counts().keys() <= {"a", "b"}


@pytest.mark.parametrize(
    ("size", "told"),
    [
        (1.5, "a fraction between 0 and 1"), (0.0, "a fraction"), (-3, "a fraction"), ("0.1", "a fraction"),
        (True, "a fraction"), ((8,), "split makes at least two parts; got 1"), ((8, 5), "8 and 5 examples"),
        (0, "leaves the first part empty"), (10, "leaves the second part empty"), (0.01, "leaves the first"),
    ],
)  # fmt: skip
def test_sizes_that_cannot_be_are_refused(size, told):
    with pytest.raises(rt.Error, match=told):
        numbered(10).split(size)


def test_a_split_is_a_tuple_that_prints_its_counts():
    parts = rt.data((range(1500), ["cat", "dog", "dog"] * 500)).split(0.8)
    assert isinstance(parts, tuple)
    assert repr(parts) == str(parts) == (
        "part  examples  cat  dog\n"
        "   1     1,200  400  800\n"
        "   2       300  100  200"
    )  # fmt: skip
    many = rt.data((range(40), [*range(20)] * 2)).split(0.5)
    assert str(many).splitlines()[0].split() == ["part", "examples", *map(str, range(12)), "..."]
    assert (
        str(rt.data((range(4), [[1.0]] * 4)).split(0.5)) == "part  examples\n   1         2\n   2         2"
    )


def test_two_fractions_that_add_up_leave_nothing_over():
    first, second = numbered(15).split((0.9, 0.1))
    assert len(first) + len(second) == 15


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, "1", True, None])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(rt.ArgumentError, match="A seed is a whole number"):
        numbered(3).shuffle(seed)


def test_examples_that_are_not_there_are_named():
    data = numbered(3)
    with pytest.raises(IndexError, match="There is no example 3; the set has 3"):
        data[3]
    with pytest.raises(rt.DataError, match="There is no example -4; the set has 3"):
        data[[0, -4]]
    with pytest.raises(rt.ArgumentError, match="Examples are numbered; got 'input'"):
        data["input"]
    with pytest.raises(rt.ArgumentError, match="Rows are whole numbers"):
        data[[True, False, True]]
    for call in (lambda: data.take(-1), lambda: data.batches(0), lambda: data.show(0)):
        with pytest.raises(rt.ArgumentError, match="a whole number of at least"):
            call()


def test_a_set_is_a_frozen_value():
    data = numbered(3)
    with pytest.raises(AttributeError):
        data.rows = range(2)
    with pytest.raises(TypeError):
        data.columns["more"] = data.columns["input"]
    assert data == numbered(3)
    assert data[:2] != data[1:]
    assert data != 3
    assert hash(data) == hash(numbered(3))


def test_the_description_tells_columns_and_labels():
    data = rt.data((np.zeros((3, 4, 5), np.uint8), ["dog", "cat", "dog"]))
    assert str(data) == (
        "Data: 3 examples\n  input   uint8 (4, 5)\n  output  str\n          2 labels: cat 1, dog 2"
    )
    assert repr(data) == "<Data 3: input, output>"
    assert "uint8" in str(rt.data({"train": data, "test": data}))
    assert "13 labels" in str(numbered(26, [*"abcdefghijklm"] * 2))
    assert "13 different" in str(numbered(13, [*"abcdefghijklm"]))
    assert "int or str" in str(rt.data(([1, "a"], [1.0, 2.0])))


def test_columns_are_encoded_by_a_nets_codecs():
    net = rt.Chain(rt.Linear(), rt.Softmax(), input=2, output=rt.Classes(["cat", "dog"]))
    data = rt.data((np.array([[1, 2], [3, 4]], np.float64), ["dog", "cat"]))
    found = data.arrays(net)
    assert torch.equal(found["input"], torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert found["output"].tolist() == [1, 0]
    assert data.arrays({"output": rt.Classes(["dog", "cat"])})["output"].tolist() == [0, 1]
    with pytest.raises(rt.CodecError, match="'output', row 1: .*'bird'"):
        rt.data(([[1.0, 2.0]] * 2, ["cat", "bird"])).arrays(net)


@pytest.mark.parametrize("n", [1, 2, 257])
def test_pictures_are_encoded_one_by_one_whatever_their_number(n):
    x = np.arange(n * 6, dtype=np.uint8).reshape(n, 2, 3)
    found = rt.data({"input": x}).arrays({"input": rt.Image(2, 3, color="gray")})["input"]
    assert torch.allclose(found, torch.from_numpy(x.copy()).float().unsqueeze(1) / 255)


# Contact sheets -----------------------------------------------------------------------------------

SMALL = np.arange(4 * 6, dtype=np.uint8).reshape(4, 6) * 10


@pytest.mark.parametrize(
    "picture",
    [
        SMALL, SMALL / np.float32(255), SMALL.astype(np.uint16) << 8, SMALL[..., None], SMALL[None],
        np.repeat(SMALL[..., None], 3, 2), Image.fromarray(SMALL), SMALL.astype(np.int64),
    ],
    ids=["bytes", "float", "16 bit", "hw1", "1hw", "rgb", "pillow", "int"],
)  # fmt: skip
def test_a_sheet_shows_pictures_of_every_kind(picture):
    sheet = rt.data({"input": [picture, picture]}).show().picture
    tile = np.asarray(sheet)[8 + 16 : 8 + 16 + 64, 8 : 8 + 96, 0]
    assert np.array_equal(tile[::16, ::16], SMALL)
    assert sheet.mode == "RGB"


def test_a_sheet_is_spread_over_the_set_and_saved(tmp_path):
    x = np.zeros((100, 8, 8), np.uint8)
    x[99] = 255
    sheet = rt.data((x, ["é", "猫"] * 50)).show(4, tmp_path / "sheet.png").picture
    pixels = np.asarray(sheet)
    assert (pixels[8 + 96 + 14 + 8 + 40, 8 + 96 + 8 + 40] == 255).all()
    assert (pixels[8 + 40, 8 + 40] == 0).all()
    with Image.open(tmp_path / "sheet.png") as saved:
        assert np.array_equal(np.asarray(saved), pixels)


def test_files_are_shown_and_what_is_no_picture_is_refused(tmp_path):
    path = tmp_path / "a.png"
    Image.new("L", (300, 100), 9).save(path)
    assert np.asarray(rt.data(([str(path)], ["a"])).show().picture)[8 + 48, 8 + 48].tolist() == [9, 9, 9]
    path.write_bytes(b"")
    with pytest.raises(rt.DataError, match="A picture cannot be shown"):
        rt.data(([path], ["a"])).show()
    with pytest.raises(rt.DataError, match="no pictures to show"):
        _ = numbered(3).show().picture
    with pytest.raises(rt.DataError, match="nothing to show"):
        numbered(3).take(0).show()


def test_truth_values_are_black_and_white():
    sheet = rt.data({"input": np.ones((1, 4, 4), bool)}).show().picture
    assert np.asarray(sheet)[50, 50].tolist() == [255, 255, 255]
