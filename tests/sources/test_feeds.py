import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import retia as rt
from retia.sources import feeds, packed
from retia.sources.feeds import Feed, ResidentFeed, StreamingFeed, columns, feed, numbers, resident

CLASSES = rt.Classes(["a", "b", "c"])


def resident_of(data, packers, **how) -> Feed:
    return resident(columns(data, packers, **how))


def pixels(paths):
    return torch.stack([torch.from_numpy(np.array(Image.open(path))) for path in paths])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    for number in range(40):
        (root / "ab"[number % 2]).mkdir(exist_ok=True)
        Image.new("L", (3, 2), number).save(root / "ab"[number % 2] / f"{number}.png")
    return root


@given(st.integers(1, 700), st.data(), st.integers(1, 3))
def test_both_feeds_give_the_same_rows(n, draw, threads):
    y = [*"abc"] * n
    data = rt.data((np.arange(3 * n * 2, dtype=np.uint8).reshape(-1, 2), y)).shuffle(1).take(n)
    packers = {"input": numbers, "output": CLASSES.pack}
    kept = resident_of(data, packers, threads=threads)
    flowing = StreamingFeed(data, packers, threads=threads)
    assert len(kept) == len(flowing) == n
    batches = draw.draw(st.lists(st.lists(st.integers(0, n - 1), max_size=9), max_size=12))
    indices = [torch.tensor(batch, dtype=torch.int64) for batch in batches]
    one, other = [*kept.stream(indices)], [*flowing.stream(indices)]
    assert len(one) == len(other) == len(indices)
    wanted = data.arrays()
    for index, a, b in zip(indices, one, other, strict=True):
        assert a.keys() == b.keys() == {"input", "output"}
        for name in a:
            assert a[name].dtype == b[name].dtype
            assert torch.equal(a[name], b[name])
        assert np.array_equal(a["input"].numpy(), wanted["input"][index.numpy()])
        assert [("abc")[k] for k in a["output"].tolist()] == [wanted["output"][k] for k in index.tolist()]


def test_picture_files_are_fed_alike_by_both_feeds(pictures, monkeypatch):
    monkeypatch.setattr(packed, "CHUNK", 7)
    data = rt.data(pictures)
    packers = {"input": pixels, "output": CLASSES.pack}
    kept, flowing = resident_of(data, packers), StreamingFeed(data, packers)
    index = torch.tensor([39, 0, 20, 20])
    one, other = kept.take(index), flowing.take(index)
    assert torch.equal(one["input"], other["input"])
    assert one["input"][:, 0, 0].tolist() == [39, 0, 1, 1]
    assert kept.tensors["input"].dtype == torch.uint8
    assert torch.equal(kept.tensors["output"], torch.tensor([0] * 20 + [1] * 20))


def test_a_feed_is_resident_where_it_fits():
    data = rt.data((np.zeros((10, 8), np.uint8), range(10)))
    packers = {"input": numbers, "output": numbers}
    assert isinstance(feed(data, packers, limit=160), ResidentFeed)
    assert isinstance(feed(data, packers, limit=159), StreamingFeed)
    assert isinstance(feed(data, packers), ResidentFeed)
    assert feed(data, {"output": numbers}).names == ("output",)


def test_memory_that_is_free_is_known():
    assert 0 < feeds.free_memory() < 2**50


def test_numbers_stay_what_they_are():
    x = np.arange(3.0)
    x.flags.writeable = False
    assert numbers(x).dtype == torch.float32
    assert numbers([1, 2]).dtype == torch.int64
    assert numbers(np.ones(2, np.uint16)).dtype == torch.int64
    assert numbers(np.ones(2, bool)).dtype == torch.bool
    assert numbers(np.ones(2, ">f4")).tolist() == [1, 1]
    assert numbers([torch.ones(2), torch.zeros(2)]).tolist() == [[1, 1], [0, 0]]
    y = np.zeros(2, np.uint8)
    numbers(y)[0] = 5
    assert y[0] == 0
    with pytest.raises(rt.CodecError, match="numbers"):
        numbers(["a", "b"])


@pytest.mark.parametrize("kind", [resident_of, StreamingFeed])
@pytest.mark.parametrize("row", [3, 30])
def test_a_failure_names_row_column_and_file(kind, row, tmp_path, monkeypatch):
    monkeypatch.setattr(packed, "CHUNK", 8)
    for number in range(40):
        (tmp_path / "a").mkdir(exist_ok=True)
        Image.new("L", (3, 2), number).save(tmp_path / "a" / f"{number}.png")
    (tmp_path / "a" / f"{row}.png").write_bytes(b"broken")
    with pytest.raises(rt.DataError) as caught:
        [*kind(rt.data(tmp_path), {"input": pixels}).stream(torch.arange(40).split(8))]
    text = str(caught.value)
    assert text.startswith(f"'input', row {row}: UnidentifiedImageError: cannot identify image file")
    assert str(tmp_path / "a" / f"{row}.png") in text
    assert text.endswith('fix   rt.data(folder, on_error="skip") leaves unreadable pictures out')


@pytest.mark.parametrize("kind", [resident_of, StreamingFeed])
def test_a_label_that_the_codec_does_not_know_is_told_by_its_row(kind):
    y = ["a"] * 300 + ["bird", "c", "fish"]
    data = rt.data((range(303), y))[::-1]
    with pytest.raises(rt.CodecError) as caught:
        [*kind(data, {"output": CLASSES.pack}).stream([torch.arange(10)])]
    text = str(caught.value)
    assert text.startswith("'output', row 0 (row 302 as given): Classes: 'fish' is not one of the 3 labels.")
    assert "'output', row 2 (row 300 as given) too" in text
    assert caught.value.got == "fish"


@pytest.mark.parametrize("told", ["It is too small.", "{} is too small."])
def test_a_file_is_named_once(pictures, told):
    def refuse(things):
        raise rt.ShapeError(told.format(things[0]))

    data = rt.data(pictures).take(1)
    with pytest.raises(rt.ShapeError, match=r"'input', row 0.* is too small\.$") as caught:
        resident_of(data, {"input": refuse})
    assert str(caught.value).count(str(data[0][0])) == 1


def test_many_failures_are_counted():
    with pytest.raises(rt.CodecError, match="and 4 more of the 10 that were packed together"):
        resident_of(rt.data((range(10), ["x"] * 10)), {"output": CLASSES.pack})


def test_a_failure_of_rows_together_names_them_all():
    def only_one(things):
        if len(things) > 1:
            raise rt.CodecError("They differ.", fix="give a size")
        return torch.zeros(1)

    with pytest.raises(rt.CodecError, match=r"'output', rows 0 to 4: They differ\.\n  fix   give a size"):
        StreamingFeed(rt.data((range(5), range(5))), {"output": only_one}).take(torch.arange(5))


def test_examples_of_different_sizes_are_refused(monkeypatch):
    monkeypatch.setattr(packed, "CHUNK", 2)
    data = rt.data({"input": [[1, 2], [3, 4], [5, 6, 7], [8, 9, 10]]})
    with pytest.raises(
        rt.DataError, match=r"from row 2 on are torch.int64 \(3,\), those before torch.int64 \(2,\)"
    ):
        resident_of(data, {"input": numbers})


def test_a_packer_must_keep_the_number_of_rows():
    with pytest.raises(rt.DataError, match="5 rows were packed into 1"):
        feed(rt.data({"input": range(5)}), {"input": lambda things: numbers([sum(things)])}, limit=10**9)


def test_sets_that_cannot_be_fed_are_refused_at_once():
    data = rt.data({"input": range(5)})
    with pytest.raises(rt.DataError, match="The set is empty"):
        feed(data.take(0), {"input": numbers})
    with pytest.raises(rt.DataError, match="no column 'inptu'; it has input. Did you mean 'input'"):
        feed(data, {"inptu": numbers})
    for threads in (0, -1, 1.5, True):
        with pytest.raises(rt.ArgumentError, match="threads is a whole number"):
            feed(data, {"input": numbers}, threads=threads)


def test_what_is_packed_quickly_is_packed_in_passing_and_what_is_not_by_threads(monkeypatch):
    def threads_of(packer):
        seen = set()

        def noted(things):
            seen.add(threading.current_thread())
            return packer(things)

        stream = StreamingFeed(rt.data({"input": range(100)}), {"input": noted}).stream(
            torch.arange(100).split(5)
        )
        assert [int(batch["input"][0]) for batch in stream] == [*range(0, 100, 5)]
        return seen

    monkeypatch.setattr(feeds, "QUICK", 10.0)
    assert threads_of(numbers) == {threading.current_thread()}
    monkeypatch.setattr(feeds, "QUICK", 0.0)
    monkeypatch.setattr(feeds, "PATIENCE", 1e-9)
    assert threads_of(numbers) > {threading.current_thread()}


def test_what_is_packed_in_passing_can_be_learned_from():
    with torch.inference_mode():
        stream = StreamingFeed(rt.data({"input": range(9)}), {"input": numbers}).stream([torch.arange(9)])
        assert not next(stream)["input"].is_inference()


def test_a_stream_that_is_left_early_leaves_no_threads(monkeypatch):
    monkeypatch.setattr(feeds, "PATIENCE", 0.0)
    before = threading.active_count()
    stream = StreamingFeed(rt.data({"input": range(100)}), {"input": numbers}).stream(
        torch.arange(100).split(5)
    )
    assert next(stream)["input"].tolist() == [0, 1, 2, 3, 4]
    assert threading.active_count() > before
    stream.close()
    assert threading.active_count() == before


def test_a_stream_reads_only_a_few_batches_ahead(monkeypatch):
    monkeypatch.setattr(feeds, "PATIENCE", 0.0)
    asked = []

    def indices():
        for number in range(100):
            asked.append(number)
            yield torch.tensor([number])

    stream = StreamingFeed(rt.data({"input": range(100)}), {"input": numbers}, threads=2).stream(indices())
    next(stream)
    assert len(asked) <= 2 + feeds.AHEAD
    assert [int(batch["input"]) for batch in stream] == [*range(1, 100)]


@pytest.mark.parametrize("deep_from", [0, 3, 7])
def test_pictures_of_8_and_16_bits_stand_in_one_feed(deep_from, monkeypatch):
    monkeypatch.setattr(packed, "CHUNK", 2)
    rng = np.random.default_rng(0)
    shallow = [rng.integers(0, 256, (4, 5)).astype(np.uint8) for _ in range(9)]
    things = [p if i < deep_from else p.astype(np.uint16) * 257 for i, p in enumerate(shallow)]
    codec = rt.Image(4, 5, color="gray")
    got = resident_of(rt.data({"input": things}), {"input": codec.pack}).take(torch.arange(9))["input"]
    assert np.allclose(got[:, 0].numpy(), np.stack(shallow), atol=1e-4)


@pytest.mark.parametrize("deep_from", [0, 3, 7])
def test_sounds_of_16_and_of_more_bits_stand_in_one_feed(deep_from, monkeypatch):
    monkeypatch.setattr(packed, "CHUNK", 2)
    loud = np.random.default_rng(0).integers(-999, 999, (9, 4)).astype(np.int16)
    things = [(row if i < deep_from else row / np.float32(32768), 8000) for i, row in enumerate(loud)]
    codec = rt.Audio(samples=4, rate=8000)
    got = resident_of(rt.data({"input": things}), {"input": codec.pack}).take(torch.arange(9))["input"]
    assert np.allclose(got.numpy(), loud, atol=1e-3)


def test_numbers_of_more_digits_than_pytorch_has_are_taken():
    assert numbers(np.array([0.5, 1.5], np.longdouble)).tolist() == [0.5, 1.5]
