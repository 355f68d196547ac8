"""Frames, sets of PyTorch and Hugging Face's kind, and functions."""

import datetime
import itertools
from importlib.util import find_spec

import numpy as np
import pytest
import torch

import retia as rt


def told(source, **how):
    with pytest.raises(rt.Error) as caught:
        rt.data(source, **how)
    return str(caught.value)


# Frames -------------------------------------------------------------------------------------------

COLUMNS = {
    "n": [1, 2, 3],
    "x": [0.5, None, 2.0],
    "w": ["a", None, "c"],
    "t": [True, False, True],
    "d": [datetime.date(2024, 5, n) for n in (1, 2, 3)],
}


def frames():
    makers = {"pandas": "DataFrame", "polars": "DataFrame", "pyarrow": "table"}
    return [pytest.param(name, maker, id=name) for name, maker in makers.items()]


@pytest.mark.parametrize(("package", "maker"), frames())
def test_a_frame_is_its_columns(package, maker):
    frame = getattr(pytest.importorskip(package), maker)(COLUMNS)
    data = rt.data(frame)
    found = data.arrays()
    assert found["n"].tolist() == [1, 2, 3]
    assert np.array_equal(found["x"], [0.5, np.nan, 2], equal_nan=True)
    assert found["w"] == ["a", None, "c"]
    assert found["t"].tolist() == [True, False, True]
    assert found["d"] == ["2024-05-01", "2024-05-02", "2024-05-03"]
    assert rt.data(frame, input=["n", "x"], output="w")[0][0].tolist() == [1, 0.5]


def test_frames_of_pandas_with_bad_names_are_told():
    pandas = pytest.importorskip("pandas")
    assert told(pandas.DataFrame([[1, 2]])) == (
        "the frame: the name of a column is a word; got 0.\n  fix   frame.rename(columns=str)"
    )
    assert told(pandas.DataFrame([[1, 2]], columns=["a", "a"])) == (
        "the frame has 1 names of columns more than once: 'a'.\n  fix   rename them"
    )
    assert told(pandas.DataFrame({"a": []})) == "the frame has no rows."


def test_parquet_is_read_by_pyarrow(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "cars.parquet"
    parquet.write_table(arrow.table(COLUMNS), str(path))
    data = rt.data(path, output="w")
    assert data.name == "cars"
    assert data[0][1] == "a"
    path.write_bytes(b"PAR1 broken")
    assert told(path).startswith(f"{path} cannot be read: ")


@pytest.mark.skipif(find_spec("pyarrow") is not None, reason="pyarrow is installed")
def test_parquet_without_pyarrow_is_answered_with_its_extra(tmp_path):
    (tmp_path / "cars.parquet").write_bytes(b"")
    with pytest.raises(rt.MissingExtraError) as caught:
        rt.data(tmp_path / "cars.parquet")
    assert str(caught.value) == (
        "This needs pyarrow, which is not installed.\n  fix   pip install 'retia[parquet]'"
    )


# PyTorch ------------------------------------------------------------------------------------------


class Squares(torch.utils.data.Dataset):
    def __init__(self, length=5):
        self.length = length
        self.asked = []

    def __len__(self):
        return self.length

    def __getitem__(self, row):
        self.asked.append(row)
        if row == 4:
            raise RuntimeError("no disk")
        return torch.full((2,), float(row)), torch.tensor(row * row)


@pytest.mark.parametrize("loaded", [False, True])
def test_a_dataset_of_pytorch_is_read_by_number_when_it_is_asked(loaded):
    squares = Squares()
    data = rt.data(torch.utils.data.DataLoader(squares, batch_size=2) if loaded else squares)
    assert (len(data), [*data.columns]) == (5, ["input", "output"])
    assert squares.asked == [0]
    assert data[3][1] == 9
    assert data.take(4).counts() == {0: 1, 1: 1, 4: 1, 9: 1}
    found = data.take(4).arrays({"output": rt.Classes([0, 1, 4, 9])})
    assert found["input"].tolist() == [[0, 0], [1, 1], [2, 2], [3, 3]]
    assert found["output"].tolist() == [0, 1, 2, 3]
    with pytest.raises(rt.DataError) as caught:
        data[4]
    assert str(caught.value) == "Squares has no example 4: RuntimeError: no disk"


def test_datasets_of_pytorch_that_have_no_numbers_are_told():
    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            return iter([(1, 2)])

    assert told(Stream()) == (
        "data: Stream gives its examples one after the other, not by number.\n"
        "  fix   rt.data(lambda: iter(dataset), take=10_000) reads that many"
    )
    assert told(Squares(0)) == "data: the set is empty: Squares has no examples."
    assert told(torch.utils.data.TensorDataset(torch.ones(2), torch.ones(2), torch.ones(2))) == (
        "data: an example of TensorDataset is a pair (x, y) or a dict by column; example 0 is 3 things.\n"
        "  fix   rt.data(lambda row: {'input': ..., 'output': ...}, take=len(dataset))"
    )


# Hugging Face -------------------------------------------------------------------------------------


class Hub:
    """What a set of Hugging Face's has, and no more."""

    def __init__(self, columns):
        self.columns = columns
        self.column_names = [*columns]

    def __len__(self):
        return len(next(iter(self.columns.values()), []))

    def __getitem__(self, row):
        return {name: values[row] for name, values in self.columns.items()}

    def select_columns(self, names):
        return Hub({name: self.columns[name] for name in names})


def test_a_set_of_hugging_faces_is_its_columns():
    texts = Hub({"text": ["a", "b"], "label": [1, 0]})
    data = rt.data(texts, input="text", output="label")
    assert [*data] == [("a", 1), ("b", 0)]
    parts = rt.data({"train": texts, "test": texts, "unsupervised": texts})
    assert [*parts.parts] == ["train", "test"]
    assert parts.test[0] == {"text": "a", "label": 1}
    assert told({"dev": texts}) == "data: there is no train among dev."
    assert told(Hub({"text": []})) == "data: the set is empty: the dataset has no examples."


# Functions ----------------------------------------------------------------------------------------


def test_a_function_that_begins_an_iterator_is_read_once():
    def pairs():
        yield from zip([1.0, 2.0], ["a", "b"], strict=True)

    assert [*rt.data(pairs)] == [(1.0, "a"), (2.0, "b")]
    endless = rt.data(lambda: ({"n": n, "m": -n} for n in itertools.count()), take=3)
    assert [*endless] == [{"n": 0, "m": 0}, {"n": 1, "m": -1}, {"n": 2, "m": -2}]


def test_a_function_of_a_number_is_called_when_it_is_asked():
    asked = []

    def example(row):
        asked.append(row)
        return [row] * 3, "even" if row % 2 == 0 else "odd"

    data = rt.data(example, take=10**12)
    assert len(data) == 10**12
    assert asked == [0]
    assert data[10**11 + 1] == ([10**11 + 1] * 3, "odd")
    assert len(data.take(4).arrays()["input"]) == 4


def test_functions_that_make_no_set_are_told(monkeypatch):
    monkeypatch.setattr("retia.sources.generators.MOST", 100)
    assert told(lambda: iter(itertools.repeat((1, 2)))) == (
        "data: <lambda>() did not end after 100 examples.\n  fix   rt.data(function, take=10_000)"
    )
    assert told(lambda row: (row, row)) == (
        "data: <lambda> makes the example of a number, and has no end.\n"
        "  fix   rt.data(function, take=10_000)"
    )
    assert told(lambda: [(1, 2)]) == (
        "data: <lambda>() gives list, no iterator.\n  fix   yield the examples, or return iter(examples)"
    )
    assert told(lambda: iter([(1, 2)]), take=2) == "data: <lambda>() ended after 1 examples; take is 2."
    assert told(lambda: iter([])) == "data: the set is empty: <lambda>() gave no examples."
    assert told(lambda: iter([{"a": 1}, {"b": 1}])) == "data: example 1 has b, those before a."
    assert told(lambda a, b: None).startswith("data: <lambda> takes 2 arguments.\n  fix   ")
    assert told(lambda row: 1 / row, take=3) == (
        "data: <lambda> has no example 0: ZeroDivisionError: division by zero"
    )
    for take in (0, -1, 1.5, True, "3"):
        assert told(lambda: iter([]), take=take) == (
            f"data: take is a whole number of at least 1; got {take!r}."
        )
    assert told([(1, 2)], take=3) == "data: take is for functions.\n  fix   rt.data(source).take(n)"
