"""Map, filter, join, balance, windows, splits by group and by time, and the table of a set."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import retia as rt


def told(call, *args, **how):
    with pytest.raises(rt.Error) as caught:
        call(*args, **how)
    return str(caught.value)


def pets(labels):
    return rt.data((range(len(labels)), [*labels]))


def test_a_map_calls_its_function_when_it_is_asked():
    asked = []
    data = rt.data((["a", "b", "c"], [0, 1, 0])).map(input=lambda x: asked.append(x) or x * 2)
    assert asked == []
    assert data[1] == ("bb", 1)
    assert asked == ["b"]
    assert data[1:].arrays()["input"] == ["bb", "cc"]
    assert rt.data({"train": data, "test": data[:1]}).map(input=str.upper).test[0] == ("AA", 0)


def test_a_map_names_the_row_that_its_function_failed_for(tmp_path):
    (tmp_path / "n.csv").write_text("n\n1\n0\n")
    data = rt.data(tmp_path / "n.csv").map(n=lambda n: 1 / n)
    assert (
        told(data.arrays)
        == "map: <lambda> failed for 'n', n.csv, line 3: ZeroDivisionError: division by zero"
    )
    assert told(pets("ab").map) == ("map: name a column and what makes it.\n  fix   data.map(input=function)")
    assert told(pets("ab").map, input=3) == "map: 'input' is made by a function or a net; got 3."


def test_a_nets_outputs_are_a_column():
    net = rt.Chain(rt.Linear(3), rt.ReLU(), input=2).init(0)
    x = np.arange(8, dtype=np.float32).reshape(4, 2)
    data = rt.data((x, [*"abab"])).map(features=net)
    found = torch.stack(data.arrays()["features"])
    assert torch.allclose(found, net.batch(x))
    assert torch.allclose(data[2]["features"], net(x[2]))


def test_a_filter_keeps_what_passes_and_reads_no_other_column():
    data = pets("abcab").map(input=lambda x: 1 / 0)
    assert data.filter(output=lambda y: y != "b").counts("output") == {"a": 2, "c": 1}
    assert len(pets("abcab").filter(lambda pair: pair[0] > 1, output="a".__eq__)) == 1
    assert told(pets("ab").filter, input=lambda x: 1 / x) == (
        "filter: <lambda> failed for 'input', row 0: ZeroDivisionError: division by zero"
    )
    assert told(pets("ab").filter).startswith("filter: give a function of an example")
    assert told(pets("ab").filter, outptu=bool) == (
        "filter: there is no column 'outptu'; there are input, output. Did you mean 'output'?"
    )


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=9), st.lists(st.integers(0, 9), min_size=1, max_size=9)
)
def test_a_join_is_one_set_after_the_other(one, other):
    for make in (list, np.asarray):
        a, b = rt.data({"input": make(one)}), rt.data({"input": make(other)})
        found = a[::-1].join(b, a).arrays()["input"]
        assert [*map(int, found)] == one[::-1] + other + one


def test_sets_that_cannot_be_joined_are_told():
    a, b = rt.data({"id": [1, 2], "x": [5, 6]}), rt.data({"id": [2, 2], "y": [7, 8]})
    assert told(a.join, b) == (
        "join: the sets have other columns: id, x here, number 1 id, y.\n"
        '  fix   data.join(other, on="column") sets columns side by side, by what stands in one'
    )
    assert told(a.join, b, on="id") == "join: 1 values stand more than once in 'id' of the other set: 2."
    assert told(a.join, b[:1], on="id") == (
        "join: 1 of 2 examples have a 'id' that the other set does not: row 0, 1.\n"
        "  fix   data.filter(id=known.__contains__)"
    )
    assert told(a.join, a, on="id") == "join: both sets have 'x'.\n  fix   select() columns first"


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=40), st.integers(0, 2**63 - 1))
def test_balanced_labels_are_equally_frequent(labels, seed):
    data = pets(labels)
    counts = data.counts()
    for to, size in (("most", max(counts.values())), ("fewest", min(counts.values()))):
        even = data.balance(to, seed=seed)
        assert even.counts() == dict.fromkeys(counts, size)
        rows = even.arrays()["input"]
        assert rows == sorted(rows)
        own = np.bincount(rows, minlength=len(labels))
        assert own.max() - own[own > 0].min() <= 1 or to == "most"
        assert to == "fewest" or own.min() >= 1
        assert even == data.balance(to, seed=seed)


@given(st.lists(st.integers(0, 9), min_size=12, max_size=40), st.integers(0, 2**63 - 1))
def test_groups_stay_together(groups, seed):
    data = rt.data({"input": range(len(groups)), "who": groups})
    if len(set(groups)) < 3:
        assert told(data.split, (0.5, 0.3, 0.2), group="who") == (
            f"split: {len(set(groups))} groups do not make 3 parts."
        )
        return
    if max(map(groups.count, groups)) > len(groups) // 2:
        return  # a part may have none
    parts = data.split((0.5, 0.3, 0.2), group="who", seed=seed)
    seen = [set(part.arrays()["who"]) for part in parts]
    assert sum(map(len, seen)) == len(set(groups))
    assert sum(map(len, parts)) == len(groups)


def test_a_split_by_time_takes_the_earliest_first():
    days = ["2024-03-01", "2023-12-31", "2024-02-29", "2024-01-01"]
    data = rt.data({"input": range(4), "day": days})
    first, second = data.split(0.5, time="day")
    assert (first.arrays()["input"], second.arrays()["input"]) == ([1, 3], [2, 0])
    numbers = rt.data({"input": range(3), "t": [3.5, -1.0, 2.0]})
    assert [part.arrays()["input"] for part in numbers.split((1, 1, 1), time="t")] == [[1], [2], [0]]
    assert told(rt.data({"input": range(2), "t": ["2024-01-01", "soon"]}).split, 0.5, time="t") == (
        "split: times are numbers or dates such as 2024-05-31; 't', row 1, has 'soon'."
    )
    assert told(data.split, 0.5, time="day", group="day") == (
        "split: by group or by time, not both.\n  fix   leave one of them out"
    )


def test_a_label_that_a_part_lacks_is_warned_of():
    data = rt.data({"input": range(4), "output": [*"aabb"], "t": [1, 2, 3, 4]})
    with pytest.warns(rt.RetiaWarning) as caught:
        data.split(0.5, time="t")
    assert [str(each.message) for each in caught] == [
        "split by 't': part 1 has no example of 'b'.", "split by 't': part 2 has no example of 'a'.",
    ]  # fmt: skip


@given(st.text(max_size=30), st.integers(1, 9), st.integers(1, 9))
def test_windows_are_the_stretches_that_slices_are(text, length, step):
    data = rt.data({"input": [text, "xyz" * 4]})
    every = [t[n : n + length] for t in (text, "xyz" * 4) for n in range(0, len(t) - length + 1, step)]
    assert data.windows(length, step=step).arrays()["input"] == every


def test_columns_are_joined_by_what_stands_in_one():
    ages = rt.data({"id": [9, 1, 2], "age": [0, 7, 8]})
    found = rt.data({"id": [2, 1, 2], "name": [*"xyz"]})[::-1].join(ages, on="id")
    assert found.arrays() == {"id": [2, 1, 2], "name": ["z", "y", "x"], "age": [8, 7, 8]}


def test_the_table_of_a_set_tells_what_its_columns_hold(tmp_path):
    for n, size in enumerate([(4, 3), (4, 3), (8, 3)]):
        Image.new("L", size).save(tmp_path / f"{n}.png")
    (tmp_path / "3.png").write_bytes(b"")
    (tmp_path / "labels.csv").write_text("file,x,w\n0.png,1.5,a\n1.png,,b\n2.png,-2,\n3.png,0.5,b\n")
    table = rt.data(tmp_path).describe()
    assert str(table) == (
        f"{tmp_path.name}: 4 examples\n"
        "  column  type          missing  holds\n"
        "  input   picture file        0  2 sizes, 3 x 4..8 pixels, 1 unreadable\n"
        "  x       float64             1  -2 to 1.5, mean 0\n"
        "  w       str                 1  2 labels: a 1, b 2"
    )
    assert (table["x"].low, table["x"].high, table["w"].counts) == (-2, 1.5, {"a": 1, "b": 2})


def test_bundled_tables_are_complete_and_say_where_they_are_from():
    counts = {"iris": 150, "penguins": 344, "wine": 6497, "sms_spam": 5574, "names": 32033, "shakespeare": 1}
    for name, count in counts.items():
        data = rt.data(name)
        assert (len(data), data.name) == (count, name)
        assert data.about.startswith(f"{name}: ")
        assert "Source" in data.about
        assert "Licence" in data.about
    assert rt.data("sms_spam").counts() == {"ham": 4827, "spam": 747}
    assert rt.data("penguins").describe()["input.sex"].missing == 11
    text = rt.data("shakespeare")
    assert len(text[0]["input"]) + len(text.validation[0]["input"]) == 1_115_394


@given(st.text("abc", min_size=5, max_size=60), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))
def test_windows_ahead_are_what_stands_so_many_places_later(text, length, step, ahead):
    data = rt.data({"input": [text, "abcabcab"]})
    every = [
        (t[i : i + length], t[i + ahead : i + ahead + length])
        for t in (text, "abcabcab")
        for i in range(0, len(t) - length - ahead + 1, step)
    ]
    assert [*data.windows(length, step=step, ahead=ahead)] == every


def test_windows_ahead_are_refused_where_there_is_an_output():
    with pytest.raises(rt.DataError, match=r"^windows: ahead= makes a column 'output', and there is one\."):
        rt.data((["abc"], ["d"])).windows(2, ahead=1)
    with pytest.raises(rt.ArgumentError, match=r"^windows: length, step and ahead are whole numbers"):
        rt.data({"input": ["abc"]}).windows(2, ahead=0)


def test_texts_that_are_all_different_are_not_listed_as_labels():
    data = rt.data((range(20), [f"text {n}" for n in range(20)]))
    assert str(data).endswith("20 different")


def test_columns_are_called_otherwise_in_all_parts():
    data = rt.data({"train": {"text": ["a", "b"], "mark": [1, 2]}, "test": {"text": ["c"], "mark": [3]}})
    renamed = data.rename(text="input", mark="output")
    assert [*renamed.train] == [("a", 1), ("b", 2)]
    assert [*renamed.test] == [("c", 3)]
    with pytest.raises(rt.DataError, match=r"^rename: two columns would be called 'mark'\."):
        data.rename(text="mark")
    with pytest.raises(rt.DataError, match=r"no column 'txt'.*Did you mean 'text'\?"):
        data.rename(txt="input")
