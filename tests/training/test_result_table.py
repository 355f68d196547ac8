"""Tables: rows of dicts as aligned text."""

from retia.training import table


def test_numbers_stand_to_the_right_and_words_to_the_left():
    rows = [
        {"net": "small", "count": 1234, "loss": 0.123456},
        {"net": "a larger one", "loss": 12.0, "why": "done"},
    ]
    assert table.text(rows).splitlines() == [
        "net           count    loss  why",
        "small         1,234  0.1235",
        "a larger one             12  done",
    ]


def test_long_cells_are_cut():
    assert table.show("x" * 100) == "x" * 37 + "..."
    assert table.show([1, 2]) == "[1, 2]"
    assert table.show(True) == "True"
