"""CSV, TSV and JSON Lines: values against pandas' and Python's own, types, and every kind of bad row."""

import csv
import gzip
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import retia as rt
from retia.sources import lines, tables

REAL = Path(__file__).parents[3] / "shared" / "data" / "tables"


@pytest.fixture
def cars(tmp_path):
    def write(content, name="cars.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def told(path, **how):
    """The error's whole text, with the file's name alone for its path."""
    with pytest.raises(rt.Error) as caught:
        rt.data(path, **how)
    return str(caught.value).replace(str(path), path.name)


def listed(data):
    return {n: v.tolist() if hasattr(v, "tolist") else v for n, v in data.arrays().items()}


# Values -------------------------------------------------------------------------------------------


def test_every_column_has_one_type(cars):
    data = rt.data(cars("a,b,c,d,e,f\n1,2.5,true,x,,0123\n-2,1e3,False,y z,,77\n"))
    kinds = {name: column.kind() for name, column in data.columns.items()}
    assert kinds == {"a": "int64", "b": "float64", "c": "bool", "d": "str", "e": "float64", "f": "str"}
    found = listed(data)
    assert np.isnan(found.pop("e")).all()
    assert found == {
        "a": [1, -2], "b": [2.5, 1000.0], "c": [True, False], "d": ["x", "y z"], "f": ["0123", "77"],
    }  # fmt: skip
    assert data.name == "cars"


def test_missing_cells_are_nan_among_numbers_and_none_among_words(cars):
    path = cars("n,t,w\n1,true,NA\nNA,,\n3,false,x\n")
    data = rt.data(path)
    assert data.columns["n"].kind() == "float64"
    assert np.array_equal(data.arrays()["n"], [1, np.nan, 3], equal_nan=True)
    assert data.arrays()["t"] == [True, None, False]
    assert data.arrays()["w"] == ["NA", None, "x"]
    assert rt.data(path, missing="NA").arrays()["w"] == [None, None, "x"]


def test_types_that_are_named_hold(cars):
    path = cars("zip,n,flag\n123,1,true\n4567,2,false\n")
    data = rt.data(path, types={"zip": str, "n": float, "flag": str})
    assert listed(data) == {"zip": ["123", "4567"], "n": [1.0, 2.0], "flag": ["true", "false"]}
    assert data.columns["n"].kind() == "float64"


def test_a_header_is_a_row_where_names_are_given(cars):
    path = cars("1,x\n2,y\n")
    assert listed(rt.data(path, header=["n", "w"])) == {"n": [1, 2], "w": ["x", "y"]}
    assert listed(rt.data(path, header=True)) == {"1": [2], "x": ["y"]}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_byte_order_marks_line_ends_and_blank_lines_are_no_matter(cars, end):
    text = end.join(["", "a,b", "1,x", "", '2,"y', 'z"', ""])
    data = rt.data(cars("\ufeff" + text))
    assert data.arrays()["a"].tolist() == [1, 2]
    assert data.arrays()["b"][0] == "x"
    assert data.arrays()["b"][1].split() == ["y", "z"]
    assert [data.columns["b"].name_of(row) for row in (0, 1)] == ["cars.csv, line 3", "cars.csv, line 5"]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_what_parts_the_first_line_into_most_cells(cars, separator):
    assert listed(rt.data(cars("a,b\n1,2\n".replace(",", separator)))) == {"a": [1], "b": [2]}


def test_quotation_marks_in_tsv_are_characters(cars):
    data = rt.data(cars('a\tb\n"x" y\t1\n"\t2\n', "cars.tsv"))
    assert data.arrays()["a"] == ['"x" y', '"']


def test_other_encodings_and_packed_files_are_read(cars):
    assert rt.data(cars("a\ncafé\n".encode("cp1252")), encoding="cp1252").arrays()["a"] == ["café"]
    packed = cars(gzip.compress(b"a\n1\n"), "cars.csv.gz")
    assert listed(rt.data(packed)) == {"a": [1]}
    assert rt.data(packed).name == "cars"


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=8)


@given(st.lists(st.tuples(text, text), min_size=1, max_size=8))
def test_words_that_python_writes_are_read_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("words") / "words.csv"
    page = io.StringIO()
    csv.writer(page, quoting=csv.QUOTE_ALL).writerows([("a,1", "b"), *rows])
    path.write_bytes(page.getvalue().encode())
    found = rt.data(path, types={"a,1": str, "b": str}).arrays()
    assert found["a,1"] == [a if a.strip() else None for a, _ in rows]
    assert found["b"] == [b if b.strip() else None for _, b in rows]


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1), min_size=1)
)
def test_numbers_that_python_writes_are_read_to_the_bit(tmp_path_factory, numbers):
    path = tmp_path_factory.mktemp("numbers") / "numbers.csv"
    path.write_text("n\n" + "\n".join(map(repr, numbers)) + "\n")
    found = rt.data(path).arrays()["n"]
    assert found.dtype == (np.int64 if all(isinstance(n, int) for n in numbers) else np.float64)
    assert found.tolist() == [*map(float, numbers)] if found.dtype == np.float64 else numbers


@pytest.mark.skipif(not REAL.exists(), reason=f"{REAL} is not there")
@pytest.mark.parametrize("name", ["titanic.csv", "mpg.csv", "tips.csv", "california_housing.csv.gz"])
def test_real_tables_are_read_as_numpy_reads_them(name):
    data = rt.data(REAL / name)
    raw = (REAL / name).read_bytes()
    page = (gzip.decompress(raw) if name.endswith(".gz") else raw).decode()
    rows = [*csv.DictReader(io.StringIO(page, newline=""))]
    assert len(data) == len(rows)
    for column, found in data.arrays().items():
        cells = [row[column] for row in rows]
        if isinstance(found, np.ndarray) and found.dtype.kind in "if":
            wanted = np.array([float(cell) if cell else np.nan for cell in cells])
            assert np.array_equal(found, wanted, equal_nan=True)
        elif isinstance(found, np.ndarray):
            assert [str(each) for each in found] == cells
        else:
            assert [each or "" for each in found] == cells


# Bad rows -----------------------------------------------------------------------------------------


def test_ragged_rows_are_told_by_line_all_at_once(cars):
    path = cars("a,b\n1,2\n3\n4,5,6\n7,8\n")
    assert told(path) == (
        "cars.csv, line 3 has 1 cell, but there are 2 columns.\n"
        "  from  line 4 has 3 cells, but there are 2 columns\n"
        '  fix   mend the file, or leave such rows out: on_error="skip"'
    )


def test_bad_rows_are_skipped_counted_and_named(cars):
    path = cars("a,b\n1,2\n3\nx,5\n7,8\n9,\0\n6,6\n")
    with pytest.warns(rt.RetiaWarning) as caught:
        data = rt.data(path, on_error="skip")
    assert str(caught[0].message).replace(str(path), path.name) == (
        "cars.csv: skipped 3 of 6 rows: line 3 has 1 cell, but there are 2 columns; "
        "line 4, column 'a': 'x' is no number, but 3 of the column's 4 cells are; "
        "line 6: cell 2 holds a NUL byte"
    )
    assert listed(data) == {"a": [1, 7, 6], "b": [2, 8, 6]}
    assert data.columns["a"].name_of(1) == "cars.csv, line 5"


def test_mixed_types_are_told_by_line_and_column(cars):
    path = cars("age,name\n31,x\n32,y\nold,z\n")
    assert told(path) == (
        "cars.csv, line 4, column 'age': 'old' is no number, but 2 of the column's 3 cells are.\n"
        "  fix   types={'age': str} keeps the column as words, or leave such rows out: on_error=\"skip\""
    )
    assert rt.data(path, types={"age": str}).arrays()["age"] == ["31", "32", "old"]
    assert rt.data(cars("age\n31\nold\nolder\n")).arrays()["age"] == ["31", "old", "older"]


def test_nul_bytes_are_told(cars):
    assert told(cars("a,b\n1,x\0y\n2,z\n")) == (
        "cars.csv, line 2: cell 2 holds a NUL byte.\n"
        '  fix   mend the file, or leave such rows out: on_error="skip"'
    )


def test_numbers_that_no_number_can_hold_are_told(cars):
    assert told(cars("x\n1\n1e999\n")) == (
        "cars.csv, line 3, column 'x': '1e999' is more than a number can hold.\n"
        "  fix   types={'x': str} keeps the column as words, or leave such rows out: on_error=\"skip\""
    )
    assert told(cars(f"x\n1\n{2**63}\n")).startswith(
        "cars.csv, line 3, column 'x': '9223372036854775808' has more than 64 bits."
    )
    assert rt.data(cars("x\n1\n-inf\n")).arrays()["x"].tolist() == [1, -np.inf]


def test_types_that_cells_do_not_have_are_told(cars):
    path = cars("a,b\n1,yes\n2.5,true\n3,true\n")
    assert told(path, types={"a": int, "b": bool}) == (
        "cars.csv, line 2, column 'b': 'yes' is neither true nor false; types= says True or False.\n"
        "  from  line 3, column 'a': '2.5' is no whole number, types= says whole numbers\n"
        "  fix   types={'b': str} keeps the column as words, or leave such rows out: on_error=\"skip\""
    )
    assert told(path, types={"c": int}) == "types: cars.csv has no column 'c'."
    with pytest.raises(rt.ArgumentError) as caught:
        rt.data(path, types={"a": list})
    assert str(caught.value) == (
        "data: the type of a column is str, int, float or bool; got <class 'list'> for 'a'."
    )


def test_duplicate_columns_are_told_by_their_places(cars):
    assert told(cars("a,b, a,b\n1,2,3,4\n")) == (
        "cars.csv has 2 names of columns more than once: 'a' is columns 1 and 3.\n"
        "  from  'b' too\n"
        "  fix   rename them in the file's first line"
    )


def test_a_column_without_a_name_is_called_by_its_number(cars):
    assert [*rt.data(cars(",a\n0,5\n")).columns] == ["column 1", "a"]


def test_a_first_line_of_numbers_is_refused_as_a_header(cars):
    path = cars("5.1,setosa\n4.9,setosa\n")
    assert told(path) == (
        "cars.csv: its first line holds the number 5.1, so it may be a row and no header.\n"
        "  fix   header=[the columns' names], or header=True where the line is one"
    )


def test_a_cell_that_is_huge_is_told_and_so_is_the_quotation_mark_behind_it(cars):
    assert told(cars('a,b\n1,"x' + "y" * 200_000 + "\n2,3\n")) == (
        "cars.csv, line 2: a cell has more than 131,072 characters.\n"
        "  from  a quotation mark that is never closed makes such a cell\n"
        "  fix   csv.field_size_limit(1310720) before, where cells are that long"
    )
    assert told(cars('a,b\n1,"x" y\n')).startswith("cars.csv, line 2: ',' expected after '\"'.")


def test_lines_files_and_headers_have_limits(cars, monkeypatch):
    monkeypatch.setattr(lines, "LONGEST", 100)
    assert told(cars("a\n" + "1" * 101 + "\n")) == "cars.csv, line 2: the line has more than 100 bytes."
    monkeypatch.setattr(lines, "LARGEST", 1000)
    bomb = cars(gzip.compress(b"a\n" * 1_000_000), "bomb.csv.gz")
    assert told(bomb) == "bomb.csv.gz, line 501: the table has more than 1,000 bytes."
    monkeypatch.setattr(tables, "WIDEST", 3)
    assert told(cars("a,b,c,d\n1,2,3,4\n")) == "cars.csv has 4 columns; at most 3 are read."


def test_bytes_of_another_encoding_are_told(cars):
    assert told(cars("a\nx\ncafé\n".encode("latin-1"))) == (
        "cars.csv, line 3: byte 0xe9 at 3 is not utf-8.\n"
        '  fix   encoding="cp1252" reads what Windows writes in the west, "latin-1" any byte'
    )
    assert told(cars("a\n1\n".encode("utf-16"))) == "cars.csv is UTF-16.\n  fix   save it as UTF-8"
    with pytest.raises(rt.ArgumentError, match="there is no encoding 'utf-9'"):
        rt.data(cars("a\n1\n"), encoding="utf-9")


def test_files_without_rows_damaged_and_missing_files_are_told(cars, tmp_path):
    assert told(cars("a,b\n")) == "cars.csv has no rows."
    assert told(cars("")) == "cars.csv is empty."
    packed = cars(gzip.compress(b"a\n" + b"1\n" * 5000)[:-20], "cut.csv.gz")
    assert "cut.csv.gz cannot be read: " in told(packed)
    with pytest.raises(rt.DataError) as caught:
        rt.data("nowhere/cars.csv")
    assert str(caught.value) == "data: 'nowhere/cars.csv' is not there."
    assert told(cars("a,b\n1\n2\n"), on_error="skip") == (
        "cars.csv, line 2 has 1 cell, but there are 2 columns.\n"
        "  from  line 3 has 1 cell, but there are 2 columns\n"
        "  fix   mend the file"
    )


def test_a_codec_names_the_line_of_what_it_cannot_encode(cars):
    data = rt.data(cars("x,y\n1,cat\n2,dog\n3,bird\n"), output="y", input=["x"]).shuffle(1)
    with pytest.raises(rt.CodecError, match=r"'output', row \d \(cars\.csv, line 4\): Classes: 'bird'"):
        data.arrays({"output": rt.Classes(["cat", "dog"])})


# JSON Lines ---------------------------------------------------------------------------------------


def test_json_lines_are_columns_by_name(cars):
    data = rt.data(cars('{"a": 1, "b": "x", "c": [1, 2]}\n\n{"a": 2.5, "c": [3]}\n', "cars.jsonl"))
    assert listed(data) == {"a": [1.0, 2.5], "b": ["x", None], "c": [[1, 2], [3]]}
    whole = rt.data(cars('{"a": 1, "t": true}\n{"a": 2, "t": false}\n', "cars.jsonl"))
    assert {name: column.kind() for name, column in whole.columns.items()} == {"a": "int64", "t": "bool"}


def test_bad_lines_of_json_are_told_all_at_once(cars):
    rows = [
        '{"a": 1}',
        "[1]",
        '{"a": 1, "a": 2}',
        '{"a": NaN}',
        '{"a": "x"}',
        '{"a": 1e999}',
        "{",
        '{"a": 3}',
    ]
    path = cars("\n".join(rows), "cars.jsonl")
    assert told(path) == (
        "cars.jsonl, line 2 is no object but list.\n"
        "  from  line 3 is no JSON: 'a' stands in it twice\n"
        "  from  line 4 is no JSON: NaN is no number in JSON\n"
        "  from  line 5, column 'a': \"x\" among numbers\n"
        "  from  line 6, column 'a': Infinity is more than a number can hold\n"
        "  from  line 7 is no JSON: Expecting property name enclosed in double quotes at "
        "character 1\n"
        '  fix   mend the file, or leave such rows out: on_error="skip"'
    )
    with pytest.warns(rt.RetiaWarning, match="skipped 6 of 8 rows"):
        assert rt.data(path, on_error="skip").arrays()["a"].tolist() == [1, 3]
    deep = cars("[" * 100_000 + "\n" + '{"a": 1}', "deep.jsonl")
    assert "deep.jsonl, line 1 is no JSON: " in told(deep)


def test_json_keeps_types_that_are_named(cars):
    path = cars('{"id": 7}\n{"id": "x7"}\n', "cars.jsonl")
    assert rt.data(path, types={"id": str}).arrays()["id"] == ["7", "x7"]
    assert told(path, types={"idd": str}) == "types: cars.jsonl has no column 'idd'. Did you mean 'id'?"


@given(st.lists(st.fixed_dictionaries({"w": st.text(), "l": st.lists(st.text())}), min_size=1, max_size=5))
def test_json_that_python_writes_is_read_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("json") / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    assert [*rt.data(path)] == rows


# Which columns ------------------------------------------------------------------------------------

CARS = "weight,year,origin,mpg\n3504,70,usa,18.0\n2372,71,japan,24.5\n"


def test_the_output_is_named_and_the_rest_is_rows(cars):
    data = rt.data(cars(CARS), output="mpg")
    assert data[1] == ({"weight": 2372, "year": 71, "origin": "japan"}, 24.5)
    assert data.arrays()["input"] == [data[0][0], data[1][0]]
    assert data.columns["input"].kind() == "row of 3: weight, year, origin"


def test_columns_of_numbers_make_vectors(cars):
    data = rt.data(cars(CARS), input=["weight", "mpg"], output=["year"])
    assert data.arrays()["input"].tolist() == [[3504, 18], [2372, 24.5]]
    assert data.arrays()["output"].tolist() == [[70], [71]]
    assert rt.data(cars(CARS), input="origin", output="mpg")[0] == ("usa", 18.0)


def test_columns_that_cannot_be_chosen_are_told(cars):
    path = cars(CARS)
    assert told(path, output="mgp") == (
        "output: there is no column 'mgp'; there are weight, year, origin, mpg. Did you mean 'mpg'?"
    )
    assert told(path, input=["weight", "origin"], output="mpg") == (
        "input: a vector needs numbers, and column 'origin' holds str.\n"
        "  fix   name the columns of numbers alone, or leave input= out for rows by name"
    )
    assert told(path, input=3) == "input is a column's name or a list of names; got 3."


def test_rows_chosen_once_can_be_chosen_again(cars):
    data = rt.data(cars(CARS), output="mpg").select(input="year", output="weight")
    assert data[0] == (70, 3504)


@pytest.mark.parametrize("how", [{"header": 3}, {"header": []}, {"header": [1]}, {"header": False}])
def test_headers_of_other_kinds_are_refused(cars, how):
    with pytest.raises(rt.ArgumentError, match="header is True or a list of the columns' names"):
        rt.data(cars(CARS), **how)
