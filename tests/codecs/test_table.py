import csv
import datetime
import decimal
import gzip
import math
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, RobustScaler, StandardScaler

import retia as rt
from retia.nets import Reading

TABLES = Path(__file__).parents[2].parent / "shared" / "data" / "tables"
ROWS = [
    {"age": 20, "sex": "f", "alone": True, "born": datetime.date(2001, 1, 31)},
    {"age": 40.5, "sex": "m", "alone": False, "born": datetime.date(1980, 12, 24)},
    {"age": None, "sex": "m", "alone": True, "born": datetime.date(1999, 6, 3)},
]

VALUES = {
    "number": st.floats(-1e6, 1e6),
    "code": st.sampled_from(["a", "b", "c"]),
    "yes": st.booleans(),
    "day": st.dates(datetime.date(1900, 1, 1), datetime.date(2100, 12, 31)),
}
TABLE = st.lists(st.fixed_dictionaries({k: st.none() | v for k, v in VALUES.items()}), min_size=1, max_size=8)
FULL = {"number": 1.0, "code": "a", "yes": True, "day": datetime.date(2000, 1, 1)}


def declared(**how):
    parts = rt.DateColumn(["year", "month", "day"])
    return rt.Table({"number": "number", "code": list("abc"), "yes": "boolean", "day": parts}, **how)


# Laws ---------------------------------------------------------------------------------------------


@given(TABLE)
def test_rows_come_back(rows):
    rows = [*rows, dict(FULL)]
    table = declared().fit(rows)
    for row, back in zip(rows, table.unpack(table.pack(rows), Reading()), strict=True):
        number = row.pop("number")
        assert back.pop("number") == (None if number is None else pytest.approx(number, rel=1e-4, abs=1.0))
        assert back == row


@given(TABLE, st.permutations([*VALUES]))
def test_the_order_of_columns_never_matters(rows, order):
    rows = [*rows, dict(FULL)]
    turned = [{name: row[name] for name in order} for row in rows]
    kinds = declared().columns
    again = rt.Table({name: kinds[name] for name in order})
    assert again == declared()
    table = declared().fit(rows)
    assert again.fit(turned) == table
    assert torch.equal(table.pack(turned), table.pack(rows))
    columns = {name: [row[name] for row in rows] for name in order}
    assert torch.equal(table.pack(columns), table.pack(rows))


@given(st.lists(st.one_of(st.none(), st.floats(-1e5, 1e5)), min_size=2, max_size=9).filter(any))
def test_numbers_are_those_of_scikit_learn(values):
    rows = [{"x": value} for value in values]
    column = np.array([[math.nan if value is None else value] for value in values])
    for how, scaler in (("data", StandardScaler()), ("robust", RobustScaler(unit_variance=True))):
        packed = rt.Table(normalize=how).fit(rows).pack(rows).numpy()
        want = scaler.fit_transform(column)
        quarter, rest = np.nanquantile(column, (0.25, 0.75))
        if (np.nanstd(column) if how == "data" else rest - quarter) > 1e-3:
            assert np.allclose(packed[:, 0], np.nan_to_num(want[:, 0]), rtol=1e-4, atol=1e-4)
        assert np.array_equal(packed[:, 1:].ravel(), np.isnan(column).ravel() if None in values else [])


@given(st.lists(st.text(max_size=3), min_size=1, max_size=20))
def test_categories_are_those_of_scikit_learn(values):
    rows = [{"x": value} for value in values]
    want = OneHotEncoder(sparse_output=False).fit_transform(np.array(values, object)[:, None])
    assert np.array_equal(rt.Table().fit(rows).pack(rows).numpy(), want)


@given(st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2200, 1, 1)))
def test_the_parts_of_a_date_are_those_of_python(moment):
    words = ["month", "day", "weekday", "yearday", "hour", "minute", "second"]
    table = rt.Table({"t": rt.DateColumn(words, mean=0, deviation=1, missing=False)})
    turns = {
        "month": (moment.month - 1) / 12,
        "day": (moment.day - 1) / 31,
        "weekday": moment.weekday() / 7,
        "yearday": (moment.timetuple().tm_yday - 1) / 366,
        "hour": moment.hour / 24,
        "minute": moment.minute / 60,
        "second": moment.second / 60,
    }
    want = [f(2 * math.pi * turns[word]) for word in words for f in (math.sin, math.cos)]
    for thing in (moment, moment.isoformat(), np.datetime64(moment)):
        assert table.encode({"t": thing}).tolist() == pytest.approx(want, abs=1e-6)
    assert table.decode(table.encode({"t": moment}))["t"] == {
        "month": moment.month,
        "day": moment.day,
        "weekday": moment.weekday(),
        "yearday": moment.timetuple().tm_yday,
        "hour": moment.hour,
        "minute": moment.minute,
        "second": moment.second,
    }


# What is learned ----------------------------------------------------------------------------------


def test_what_was_learned_stands_in_the_repr():
    rows = [{"age": 20, "sex": "f", "alone": True}, {"age": 40, "sex": "m", "alone": False}]
    assert repr(rt.Table().fit([*rows, {"age": None, "sex": "m", "alone": True}])) == (
        "Table({'age': NumberColumn(30.0, 10.0, missing=True), 'alone': BooleanColumn(missing=False), "
        "'sex': CategoryColumn(('f', 'm'), missing=False, other=False)})"
    )


def test_every_entry_has_a_name():
    table = rt.Table(missing="always", unknown="other").fit(ROWS)
    assert table.entries == (
        *("age", "age missing", "alone", "alone missing"),
        *("born year", "born month sin", "born month cos", "born day sin", "born day cos"),
        *("born weekday sin", "born weekday cos", "born missing"),
        *("sex=f", "sex=m", "sex other", "sex missing"),
    )
    nothing = table.encode(dict.fromkeys(ROWS[0])).tolist()
    assert nothing == [0, 1, 0.5, 1, *[0] * 7, 1, 0, 0, 0, 1]
    assert table.decode(nothing) == dict.fromkeys(ROWS[0])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2.5, np.float32(3), decimal.Decimal("0.5"), None], rt.NumberColumn),
        ([True, None, np.True_], rt.BooleanColumn),
        (["a", "b", None], rt.CategoryColumn),
        (["2024-01-31", "2023-05-01T10:30", None], rt.DateColumn),
        (["2024-01-31", "soon"], rt.CategoryColumn),
        ([datetime.datetime(2024, 1, 1, 5), datetime.date(2023, 1, 1)], rt.DateColumn),
        ([datetime.time(5), datetime.time(6)], rt.DateColumn),
        ([np.datetime64("2024-01-01"), np.datetime64("2025-01-01T00:00:00.000000001"), None], rt.DateColumn),
        (np.array(["2024-01-01", "NaT", "2025-01-01"], "datetime64[ns]"), rt.DateColumn),
        (np.array([1.5, math.nan]), rt.NumberColumn),
        (torch.tensor([1, 2]), rt.NumberColumn),
        (np.array([True, False]), rt.BooleanColumn),
        (np.array(["a", "b"]), rt.CategoryColumn),
    ],
    ids=str,
)
def test_the_kind_follows_from_what_stands_in_a_column(values, kind):
    table = rt.Table().fit({"x": values})
    assert type(table.columns["x"]) is kind
    gaps = [thing is None or thing != thing for thing in values]
    assert table.columns["x"].missing is any(gaps)


def test_a_declared_kind_is_kept_and_the_rest_is_learned():
    rows = [{"grade": 3, "when": "2020-01-01", "x": 1}, {"grade": 1.0, "when": None, "x": 5}]
    table = rt.Table({"grade": "category", "when": rt.DateColumn("year"), "x": rt.NumberColumn(0)}).fit(rows)
    assert table.columns["grade"] == rt.CategoryColumn([1, 3], missing=False, other=False)
    assert table.columns["when"] == rt.DateColumn("year", mean=2020.0, deviation=1.0, missing=True)
    assert table.columns["x"] == rt.NumberColumn(0, 2.0, missing=False)
    assert table.fit(rows) is table
    assert rt.Table(["grade"], surplus="ignore").fit(rows).entries == ("grade",)
    assert rt.Table(normalize=None).fit([{"x": 7}]).encode({"x": 9}).tolist() == [9]


def test_unknown_and_rare_categories_have_an_entry_if_asked():
    rows = [{"c": c} for c in "aaabbbz"]
    table = rt.Table(unknown="other", rare=2).fit(rows)
    assert table.entries == ("c=a", "c=b", "c other")
    assert table.encode([{"c": "z"}, {"c": "new"}, {"c": "b"}]).tolist() == [[0, 0, 1], [0, 0, 1], [0, 1, 0]]
    assert table.decode([0.1, 0.2, 0.7]) == {"c": "other"}


def test_blanks_are_words_for_what_is_missing():
    rows = [{"x": "NA", "c": ""}, {"x": 1.0, "c": "NA"}, {"x": 3.0, "c": "a"}]
    table = rt.Table(blanks=("NA", "")).fit(rows)
    assert table.entries == ("c=a", "c missing", "x", "x missing")
    assert table.encode(rows).tolist() == [[0, 1, 0, 1], [0, 1, -1, 0], [1, 0, 1, 0]]


# Derived columns ----------------------------------------------------------------------------------


def test_derived_columns_are_computed_from_the_others():
    rows = [{"a": 1.0, "b": 4.0}, {"a": 2.0, "b": 8.0}, {"a": None, "b": 2.0}]
    table = rt.Table(
        ["sum", "twice", "less", "share", "log", "bin"],
        derived={
            "sum": ("sum", "a", "b", "b"),
            "twice": ("product", "sum", "b"),
            "less": ("difference", "b", "a"),
            "share": ("ratio", "a", "b"),
            "log": ("log", "b"),
            "bin": ("bins", "b", [2, 4.5]),
        },
        normalize=None,
    ).fit(rows)
    assert table.needed == {"a", "b"}
    found = dict(zip(table.entries, table.pack(rows).T.tolist(), strict=True))
    assert found == {
        "bin=below 2": [0, 0, 0],
        "bin=2 to 4.5": [1, 0, 1],
        "bin=from 4.5": [0, 1, 0],
        "less": [3, 6, 0],
        "less missing": [0, 0, 1],
        "log": pytest.approx(np.log([4, 8, 2])),
        "share": [0.25, 0.25, 0],
        "share missing": [0, 0, 1],
        "sum": [9, 18, 0],
        "sum missing": [0, 0, 1],
        "twice": [36, 144, 0],
        "twice missing": [0, 0, 1],
    }
    assert table.unpack(table.pack(rows), Reading()) == [{}, {}, {}]


def test_a_derived_column_that_is_no_number_is_told():
    table = rt.Table(derived={"r": ("ratio", "a", "b"), "l": ("log", "b")}).fit([{"a": 1, "b": 2}])
    with pytest.raises(rt.CodecError) as caught:
        table.pack([{"a": 1, "b": 1}, {"a": 1, "b": 0}])
    assert str(caught.value) == (
        "Table: row 1: column 'l': the log of 0 is no finite number.\n"
        "  from  row 1: column 'r': the ratio of 1, 0 is no finite number"
    )


@pytest.mark.parametrize(
    ("derived", "text"),
    [
        ({"r": ("ration", "a", "b")}, "begins with one of 'sum', .*Did you mean 'ratio'?"),
        ({"r": ("ratio", "a")}, "'ratio' takes the names of 2 columns"),
        ({"r": ("sum", "a")}, "'sum' takes the names of two columns or more"),
        ({"r": ("log", 3)}, "'log' takes the name of one column"),
        ({"r": ("bins", "a")}, "'bins' takes a column and a list of edges"),
        ({"r": ("bins", "a", [2, 1])}, "edges are numbers that rise"),
        ({"r": lambda row: 1}, "is a tuple that begins with one of"),
        ({"": ("log", "a")}, "the name of a column is a text"),
        ({"a": ("log", "b"), "b": ("log", "a")}, "'a' would be computed from itself"),
        ([1], "is a dict from names of new columns to recipes"),
    ],
)
def test_recipes_that_cannot_be_are_refused(derived, text):
    with pytest.raises(rt.ArgumentError, match=text):
        rt.Table(derived=derived)


# Errors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([{"age": 1}], "Table: row 0: column 'sex': the row does not have it."),
        (
            [{"age": 1, "sx": "f"}],
            "Table: row 0: column 'sex': the row does not have it. Did you mean 'sx'?\n"
            "  from  row 0: column 'sx': the table has no such column. Did you mean 'sex'?",
        ),
        (
            [{"age": 1, "sex": "f"}, {"age": 1, "sex": "f", "agee": 2}],
            "Table: row 1: column 'agee': the table has no such column. Did you mean 'age'?\n"
            '  fix   Table(surplus="ignore") leaves out what it does not know',
        ),
        (
            [{"age": "1.5", "sex": "f"}, {"age": 1, "sex": "mm"}],
            "Table: row 0: column 'age': '1.5' is no number.\n"
            "  from  row 1: column 'sex': 'mm' is not one of the 2 categories, 'f', 'm'. Did you mean 'm'?\n"
            "  fix   float(...) of it, if it is a number written as text",
        ),
        (
            [{"age": math.inf, "sex": "f"}, {"age": True, "sex": 1.5}],
            "Table: row 0: column 'age': inf is not a finite number.\n"
            "  from  row 1: column 'age': True is no number\n"
            "  from  row 1: column 'sex': 1.5 is no text, whole number or truth value",
        ),
        (
            [{"age": 1, "sex": None}],
            "Table: row 0: column 'sex': nothing is there, and no row of the training part missed it.\n"
            "  fix   Table({'sex': rt.CategoryColumn(missing=True)}) or Table(missing=\"always\")",
        ),
        (
            {"age": [1], "sx": ["f"]},
            "Table: there is no column 'sex'. Did you mean 'sx'?\n  from  there are 'age', 'sx'",
        ),
        (
            {"age": [1], "sex": ["f"], "x": [1]},
            "Table: it has no column 'x'.\n  from  it has 'age', 'sex'\n"
            '  fix   Table(surplus="ignore") leaves out what it does not know',
        ),
        (
            {"age": [1], "sex": ["f", "m"]},
            "Table: the columns have different numbers of rows: 'age' has 1, 'sex' has 2.",
        ),
        (
            [{"age": 1, "sex": "f"}, 5],
            "Table: row 1: a row is a dict by the names of the columns; got 5.\n"
            "  fix   a list of dicts, a dict of columns or a frame holds many rows",
        ),
        (
            {"age": np.zeros((1, 2)), "sex": ["f"]},
            "Table: column 'age' has one thing for each row; got shape (1, 2).",
        ),
    ],
    ids=str,
)
def test_what_is_wrong_is_told_by_row_and_column(rows, text):
    table = rt.Table().fit([{"age": 20, "sex": "f"}, {"age": 40, "sex": "m"}])
    with pytest.raises(rt.CodecError) as caught:
        table.pack(rows)
    assert str(caught.value) == text


def test_ten_faults_are_told_and_the_rest_counted():
    table = rt.Table().fit([{"x": 1.0}])
    with pytest.raises(rt.CodecError) as caught:
        table.pack([{"x": "?"}] * 1500)
    assert caught.value.path == "row 0, column 'x'"
    assert caught.value.because[0] == "row 1: column 'x': '?' is no number"
    assert caught.value.because[-1] == "and 1,490 more"


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([], "there are no rows to learn from"),
        ([{"x": None}], "column 'x': all 1 rows miss it"),
        (
            [{"x": 1}, {"x": "a"}],
            r"things of several kinds: number \(row 0: 1\) and category",
        ),
        ([{"x": 1}, {"x": True}], "holds things of several kinds: number .* and boolean"),
        ([{"x": [1]}], r"row 0: column 'x': \[1\] is no number, text, truth value or date"),
        ([{"x": str(i)} for i in range(30)], "30 different things in 30 rows are no categories"),
        ([{"x": datetime.date(2000, 1, 1)}], "it is always the same date"),
        ([{"x": 1e200}, {"x": -1e200}], "the numbers are too large to be standardised"),
    ],
)
def test_what_cannot_be_learned_is_told(rows, text):
    with pytest.raises(rt.CodecError, match=text):
        rt.Table().fit(rows)


def test_what_was_not_learned_is_not_used():
    with pytest.raises(rt.CodecError, match="it has learned no columns yet"):
        rt.Table(["x"]).pack([{"x": 1}])
    with pytest.raises(rt.CodecError, match="'x' is both a column of the rows and a derived one"):
        rt.Table(derived={"x": ("log", "y")}).fit([{"x": 1, "y": 2}])
    with pytest.raises(rt.CodecError, match="no category is there 3 times"):
        rt.Table(rare=3).fit([{"x": "a"}])


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        (["a", "a"], "Table: columns: 'a' is there more than once"),
        ([], "are the names of columns, or a dict"),
        ({"a": "numbr"}, r"columns\['a'\] is a column, one of 'number'"),
        ({3: "number"}, "the name of a column is a text; got 3"),
        ({"a": ["x", "x"]}, "labels are different from each other"),
        ({"a": rt.Scalar()}, "is a column, one of"),
    ],
)
def test_columns_that_cannot_be_are_refused(columns, text):
    with pytest.raises(rt.ArgumentError, match=text):
        rt.Table(columns)


def test_the_parts_of_a_date_are_words():
    with pytest.raises(rt.ArgumentError, match="Did you mean 'weekday'?"):
        rt.DateColumn(["wekday"])
    table = rt.Table({"d": rt.DateColumn("year", mean=2000, deviation=1, missing=False)})
    with pytest.raises(rt.CodecError, match="row 0: column 'd': '24.12.2024' is no date or time"):
        table.encode({"d": "24.12.2024"})
    assert table.decode([3.2]) == {"d": {"year": 2003}}


# One or many --------------------------------------------------------------------------------------

Person = namedtuple("Person", "age sex")


@pytest.mark.parametrize(
    ("thing", "one"),
    [
        ({"age": 1, "sex": "f"}, True),
        ({"age": np.float64(1), "sex": np.str_("f")}, True),
        (Person(1, "f"), True),
        ([Person(1, "f")], False),
        ([{"age": 1, "sex": "f"}], False),
        ({"age": [1], "sex": ("f",)}, False),
        ({"age": np.array([1]), "sex": ["f"]}, False),
        ([], False),
    ],
    ids=str,
)
def test_a_dict_of_scalars_is_a_row_and_a_dict_of_columns_a_batch(thing, one):
    table = rt.Table().fit([{"age": 1, "sex": "f"}, {"age": 3, "sex": "m"}])
    assert table.is_one(thing) is one
    if thing != []:
        assert table.encode(thing).ravel().tolist() == [-1, 1, 0]
    assert rt.Table().fit({"age": [1, 3], "sex": ["f", "m"]}) == table


def test_a_dict_of_both_is_refused():
    with pytest.raises(rt.CodecError) as caught:
        rt.Table().is_one({"age": [1, 2], "sex": "f"})
    assert caught.value.fix == "net.one(x) or net.batch(xs)"
    with pytest.raises(rt.CodecError, match="Table: a row is a dict by the names of the columns; got 'abc'"):
        rt.Table().is_one("abc")


@pytest.mark.parametrize(
    "make", ["pandas.DataFrame", "polars.DataFrame", "polars.LazyFrame", "pyarrow.table"]
)
def test_frames_are_many_rows(make):
    pytest.importorskip("narwhals")
    package, name = make.split(".")
    made = getattr(pytest.importorskip(package), name)
    columns = {
        "age": [1.5, None, 3.0],
        "sex": ["f", "m", None],
        "alone": [True, False, True],
        "day": [datetime.datetime(2020, 1, 1), datetime.datetime(2021, 2, 3, 4), None],
    }
    frame = made(columns)
    table = rt.Table().fit(columns)
    assert table.is_one(frame) is False
    assert rt.Table().fit(frame) == table
    assert torch.equal(table.encode(frame), table.encode(columns))


def test_rows_and_doubled_columns_of_pandas():
    pytest.importorskip("narwhals")
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"age": [1, 3], "sex": pandas.Categorical(["f", "m"])})
    table = rt.Table().fit(frame)
    assert table.encode(frame.iloc[1]).tolist() == [1, 0, 1]
    frame.columns = ["age", "age"]
    with pytest.raises(rt.CodecError, match="the frame has the column 'age' more than once"):
        table.encode(frame)


# Embeddings ---------------------------------------------------------------------------------------


def test_with_form_index_each_column_has_numbers_of_its_own():
    rows = [{"a": "x", "b": True, "n": 30}, {"a": "y", "b": None, "n": 10}, {"a": None, "b": False, "n": 20}]
    table = rt.Table(["a", "b", "bin"], derived={"bin": ("bins", "n", [15, 25])}, form="index").fit(rows)
    assert table.entries == ("a", "b", "bin")
    packed = table.pack(rows)
    assert packed.dtype == torch.int64
    assert packed.tolist() == [[0, 4, 8], [1, 5, 6], [2, 3, 7]]
    assert table.class_count == 9
    assert table.unpack(packed, Reading()) == [{k: r[k] for k in "ab"} for r in rows]
    with pytest.raises(rt.CodecError, match="column 'n' is no category, which form='index' takes"):
        rt.Table(form="index").fit(rows)


def test_numbers_and_embeddings_stand_at_two_ports():
    rng = np.random.default_rng(0)
    rows = [
        {"x": float(x), "c": c} for x, c in zip(rng.normal(size=200), rng.choice([*"abcd"], 200), strict=True)
    ]
    y = [row["x"] + 3 * "abcd".index(row["c"]) for row in rows]
    numbers = rt.Table(["x"], surplus="ignore")
    codes = rt.Table(["c"], form="index", surplus="ignore").fit(rows)
    net = rt.Graph(
        {
            "vectors": rt.Embedding(2, classes=codes.class_count),
            "flat": rt.Flatten(),
            "both": rt.Concat(),
            "end": rt.Linear(),
        },
        "codes -> vectors -> flat -> both",
        "numbers -> both",
        "both -> end",
        input={"numbers": numbers, "codes": codes},
        output=rt.Scalar(normalize="data"),
    )
    run = rt.train(
        net,
        {"numbers": rows, "codes": rows, "output": y},
        epochs=80,
        optimizer=rt.Adam(0.05),
        seed=0,
        validation=0,
    )
    assert run.net({"numbers": {"x": 0.5, "c": "d"}, "codes": {"x": 0.5, "c": "d"}}) == pytest.approx(
        9.5, abs=0.3
    )


# Real tables --------------------------------------------------------------------------------------


def read(name, labels, numbers, target, separator=",", names=None):
    """Rows and targets of a prepared table, numbers as numbers and gaps as None."""
    path = TABLES / name
    if not path.exists():
        pytest.skip(f"the prepared table {name} is not here")
    text = (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode()
    rows = []
    for found in csv.DictReader(text.splitlines(), fieldnames=names, delimiter=separator):
        row = {k: found[k] or None for k in labels}
        row |= {k: float(found[k]) if found[k] not in ("", "NA") else None for k in numbers}
        rows.append(({k: None if v == "NA" else v for k, v in row.items()}, found[target]))
    return rows


def held_out(pairs, seed=0):
    order = np.random.default_rng(seed).permutation(len(pairs))
    cut = int(0.75 * len(pairs))
    parts = [[pairs[i] for i in order[:cut]], [pairs[i] for i in order[cut:]]]
    return [tuple(map(list, zip(*part, strict=True))) for part in parts]


def matrix(rows, names):
    return np.array([[np.nan if r[n] is None else r[n] for n in names] for r in rows])


def reference(model, labels, numbers):
    """The usual pipeline of scikit-learn over the same columns."""
    every = [*labels, *numbers]
    index = {name: place for place, name in enumerate(every)}
    coded = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="?"), OneHotEncoder(handle_unknown="ignore")
    )
    scaled = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    made = make_column_transformer(
        (coded, [index[name] for name in labels]), (scaled, [index[name] for name in numbers])
    )
    return make_pipeline(made, model)


def objects(rows, names):
    made = np.empty((len(rows), len(names)), object)
    for i, row in enumerate(rows):
        for j, name in enumerate(names):
            made[i, j] = np.nan if row[name] is None and not isinstance(name, str) else row[name]
    return made


CLASSIFIED = {
    "penguins": (
        "penguins.csv",
        ["island", "sex"],
        ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"],
        "species",
    ),
    "titanic": ("titanic.csv", ["sex", "embarked", "class"], ["age", "sibsp", "parch", "fare"], "survived"),
}
MEASURED = {
    "mpg": (
        "mpg.csv",
        ["origin"],
        ["cylinders", "displacement", "horsepower", "weight", "acceleration", "model_year"],
        "mpg",
    ),
    "california": (
        "california_housing.csv.gz",
        ["ocean_proximity"],
        [
            "longitude",
            "latitude",
            "housing_median_age",
            "total_rooms",
            "total_bedrooms",
            "households",
            "median_income",
        ],
        "median_house_value",
    ),
}


@pytest.mark.parametrize("name", CLASSIFIED)
def test_a_real_table_is_classified_as_well_as_by_scikit_learn(name):
    file, labels, numbers, target = CLASSIFIED[name]
    (x, y), (x2, y2) = held_out(read(file, labels, numbers, target))
    model = reference(LogisticRegression(max_iter=1000), labels, numbers)
    every = [*labels, *numbers]
    model.fit(objects(x, every), y)
    theirs = model.score(objects(x2, every), y2)
    net = rt.Chain(rt.Linear(), rt.Softmax(), input=rt.Table(missing="always"), output=rt.Classes())
    run = rt.train(net, (x, y), epochs=60, batch_size=32, optimizer=rt.Adam(0.02), seed=0, validation=0)
    ours = rt.measure(run.net, (x2, y2)).accuracy
    assert ours >= theirs - 0.03
    assert np.mean([a == b for a, b in zip(run.net(x2), y2, strict=True)]) == pytest.approx(ours)


@pytest.mark.parametrize("name", MEASURED)
def test_a_real_table_is_measured_as_well_as_by_scikit_learn(name):
    file, labels, numbers, target = MEASURED[name]
    pairs = [(row, float(value)) for row, value in read(file, labels, numbers, target)[:4000]]
    (x, y), (x2, y2) = held_out(pairs)
    every = [*labels, *numbers]
    model = reference(Ridge(), labels, numbers)
    model.fit(objects(x, every), y)
    theirs = model.score(objects(x2, every), y2)
    table = rt.Table(missing="always", unknown="other")
    net = rt.Chain(rt.Linear(16), rt.Tanh(), rt.Linear(), input=table, output=rt.Scalar(normalize="data"))
    run = rt.train(net, (x, y), epochs=25, batch_size=32, optimizer=rt.Adam(0.01), seed=0, validation=0)
    assert rt.measure(run.net, (x2, y2)).r2 >= theirs - 0.03
    answers = np.array(run.net(x2))
    ours = 1 - np.sum((answers - y2) ** 2) / np.sum((y2 - np.mean(y2)) ** 2)
    assert ours == pytest.approx(rt.measure(run.net, (x2, y2)).r2, abs=1e-3)


def test_wine_is_graded_in_order():
    names = [f"c{i}" for i in range(11)]
    pairs = read("winequality-red.csv", [], names, "quality", names=[*names, "quality"])
    (x, y), (x2, y2) = held_out([(row, int(value)) for row, value in pairs])
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(matrix(x, names), y)
    theirs = model.score(matrix(x2, names), y2)
    net = rt.Chain(rt.Linear(), rt.Sigmoid(), input=rt.Table(), output=rt.Ordinal())
    run = rt.train(net, (x, y), epochs=40, optimizer=rt.Adam(0.02), seed=0, validation=0)
    assert np.mean(np.array(run.net(x2)) == y2) >= theirs - 0.04


def test_a_trained_table_is_saved_and_loaded_with_its_net(tmp_path):
    data = rt.data((ROWS, [1, 0, 1]))
    net = rt.Chain(rt.Linear(), rt.Softmax(), input=rt.Table(), output=rt.Classes())
    run = rt.train(net, data, epochs=1, seed=0)
    run.net.save(tmp_path / "net.safetensors")
    again = rt.load(tmp_path / "net.safetensors")
    assert again.inputs["input"].codec == run.net.inputs["input"].codec
    assert torch.equal(again(ROWS, None), run.net(ROWS, None))
    assert rt.data((ROWS, [1, 0, 1])) == data
    assert rt.data(([dict(row, age=1) for row in ROWS], [1, 0, 1])) != data


def test_a_row_that_does_not_fit_is_told_in_training_by_its_number():
    rows = [{"x": float(i)} for i in range(600)]
    validation = [*rows[:400], {"x": "many"}, *rows[:5]]
    net = rt.Chain(rt.Linear(1), input=rt.Table(), output=rt.Scalar())
    with pytest.raises(rt.CodecError, match="'input', row 400: Table: column 'x': 'many' is no number"):
        rt.train(net, (rows, [0.0] * 600), validation=(validation, [0.0] * 406), epochs=1)
