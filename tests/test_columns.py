"""Columns of text at the widths of terminals: nothing is wider, and no column is left out."""

import contextlib
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import retia as rt
from retia._columns import columns, hanging
from retia.zoo.small import dense

CELLS = st.text("abc xyz", max_size=50)


@pytest.mark.parametrize("width", [60, 80, 120])
@given(data=st.data())
def test_no_line_is_wider_than_the_terminal_and_every_column_is_there(width, data):
    heads = [f"column{n}" for n in range(data.draw(st.integers(1, 15)))]
    right = [data.draw(st.booleans()) for _ in heads]
    row = [str(10**9) if at_right else data.draw(CELLS) for at_right in right]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(width))
        text = columns([heads, row], right, indent="  ")
        assert max(map(len, text.splitlines())) <= width
        for head in heads:
            assert head in text.split()
        assert text.split().count(str(10**9)) >= sum(right)


def test_columns_stand_below_each_other_where_they_do_not_fit(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    rows = [["row", *(f"number{n}" for n in range(8))], ["1", *("1234567" for _ in range(8))]]
    assert columns(rows, [True] * 9).splitlines() == [
        "row  number0  number1  number2  number3  number4  number5",
        "  1  1234567  1234567  1234567  1234567  1234567  1234567",
        "",
        "row  number6  number7",
        "  1  1234567  1234567",
    ]


def test_a_long_text_hangs_and_is_broken_between_its_parts(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    text = hanging("labels  ", ", ".join(f"label {n}" for n in range(12)))
    assert text.splitlines() == [
        "labels  label 0, label 1, label 2, label 3, label 4,",
        "        label 5, label 6, label 7, label 8, label 9,",
        "        label 10, label 11",
    ]
    assert hanging("a ", "") == "a"


def things():
    """What the house prints, by name."""
    digits = rt.data("mnist")
    net = dense([784, 8, 10])
    run = rt.train(net, digits.train.take(100), validation=digits.test.take(50), epochs=2, progress=False)
    scores = np.random.default_rng(0).normal(size=(600, 60)).astype(np.float32)
    labels = [f"species number {n}" for n in range(60)]
    many = rt.Chain(rt.Softmax(), input=60, output=rt.Classes(labels))
    wide = rt.measure(many, (scores, labels * 10))
    penguins = rt.data("penguins")
    m = rt.measure(run.net, digits.test.take(100))
    over = {"optimizer": [rt.Adam(0.1, betas=(0.9, 0.99)), rt.SGD(0.1, momentum=0.9)]}
    return {
        "net": run.net, "run": run, "report": run.report(), "verdict": run.verdict, "measurement": m,
        "confusion": m.confusion, "wide": wide, "wide confusion": wide.confusion,
        "mistakes": wide.mistakes(3),
        "data": digits.test, "description": penguins.describe(), "sheet": penguins.show(4),
        "texts": rt.data("sms_spam").show(3), "check": rt.check(net, digits.train.take(100)),
        "sweep": rt.sweep(net, digits.train.take(60), over, epochs=1, progress=False),
        "folds": rt.cross_validate(net, digits.train.take(60), 2, epochs=1, progress=False),
    }  # fmt: skip


@pytest.fixture(scope="module")
def printed():
    return things()


@pytest.mark.parametrize("width", [80, 120])
def test_whatever_is_printed_fits_and_holds_no_escape_codes(width, printed, monkeypatch):
    """A pipe and NO_COLOR need nothing of their own: there is no colour in any table."""
    monkeypatch.setenv("COLUMNS", str(width))
    for name, thing in printed.items():
        told = io.StringIO()
        with contextlib.redirect_stdout(told):
            print(thing)
        lines = told.getvalue().splitlines()
        assert max(map(len, lines)) <= width, name
        assert "\x1b" not in told.getvalue(), name


def test_a_matrix_that_is_too_wide_is_told_by_its_most_frequent_confusions(printed, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    confusion = printed["wide confusion"]
    title, heads, *lines, last = str(confusion).splitlines()
    assert title == f"{confusion!r}, too wide to print"
    assert heads.split() == ["true", "answered", "times"]
    told = [(cell.true, cell.answered, str(cell.count)) for cell in confusion.worst(20)]
    assert [tuple(part.strip() for part in line.split("  ") if part.strip()) for line in lines] == told
    others = np.count_nonzero(confusion.counts - np.diag(np.diag(confusion.counts))) - 20
    assert last == f"... and {others:,} other pairs; all are in m.confusion.counts"
