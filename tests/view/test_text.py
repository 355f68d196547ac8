import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import retia as rt
from retia.view.text import table

DIGITS = rt.Chain(
    rt.Flatten(), rt.Linear(200), rt.ReLU(), rt.Linear(60), rt.ReLU(), rt.Linear(10), rt.Softmax(),
    input=(28, 28),
)  # fmt: skip


def test_the_table_of_a_chain_shows_layers_shapes_and_counts() -> None:
    assert str(DIGITS) == (
        "name    layer        input     output    arrays         parameters\n"
        "------------------------------------------------------------------\n"
        "input                          (28, 28)\n"
        "------------------------------------------------------------------\n"
        "0       Flatten()    (28, 28)  (784)\n"
        "1       Linear(200)  (784)     (200)     200x784 + 200     157,000\n"
        "2       ReLU()       (200)     (200)\n"
        "3       Linear(60)   (200)     (60)      60x200 + 60        12,060\n"
        "4       ReLU()       (60)      (60)\n"
        "5       Linear(10)   (60)      (10)      10x60 + 10            610\n"
        "6       Softmax()    (10)      (10)\n"
        "------------------------------------------------------------------\n"
        "output                         (10)\n"
        "------------------------------------------------------------------\n"
        "total                                                      169,670\n"
        "Its arrays are not made yet; net.init(seed=0) makes them."
    )


def test_where_there_is_no_room_for_them_the_columns_of_arrays_and_inputs_are_left_out() -> None:
    net = rt.Chain(rt.Conv2d(8, 3, padding=1, bias=False), rt.Flatten(), input=(3, 100, 100))
    whole = ["name", "layer", "input", "output", "arrays", "parameters"]
    assert table(net, 120).splitlines()[0].split() == whole
    assert table(net, 90).splitlines()[0].split() == [name for name in whole if name != "arrays"]
    assert table(net, 80).splitlines()[0].split() == ["name", "layer", "output", "parameters"]
    assert "Conv2d(8, 3, padding=1, bias=False)" in table(net, 80)


def test_what_the_rates_freeze_is_told() -> None:
    net = rt.Chain(body=rt.Chain(rt.Linear(4), rt.ReLU()), head=rt.Linear(2), input=3)
    lines = [line.split() for line in net.table(80, rates={"head": 1, "*": 0}).splitlines()]
    assert lines[0][-3:] == ["trained", "arrays", "parameters"]
    frozen = [line for line in lines if "frozen" in line]
    assert frozen == [["0", "Linear(4)", "(3)", "(4)", "frozen", "4x3", "+", "4", "16"]]
    assert "frozen" not in net.table(80)


def test_nested_parts_are_indented_and_unknown_sizes_are_question_marks() -> None:
    net = rt.Chain(body=rt.Chain(first=rt.Linear(3), second=rt.ReLU()), head=rt.Linear())
    lines = str(net).splitlines()
    assert "body      Chain      (*s, 3)" not in lines
    assert [line.split()[0] for line in lines[4:8]] == ["body", "first", "second", "head"]
    assert lines[5].startswith("  first ")
    assert lines[7].endswith("?")
    assert lines[-2].split() == ["total", "?"]


def test_the_table_of_a_graph_says_what_feeds_each_node() -> None:
    net = rt.Graph(lambda x: rt.ReLU()(x) * rt.Tanh()(x), input=3)
    assert str(net).splitlines()[4:7] == [
        "relu    ReLU()   input       (3)       (3)",
        "tanh    Tanh()   input       (3)       (3)",
        "times   Times()  relu, tanh  (3), (3)  (3)",
    ]


def test_shared_arrays_are_counted_once() -> None:
    net = rt.Graph(
        lambda a, b: rt.Shared("f", rt.Linear(3))(a) - rt.Shared("f", rt.Linear(3))(b),
        input={"a": 2, "b": 2},
    )
    counts = [line.split()[-1] for line in str(net).splitlines() if "Shared" in line]
    assert counts == ["9", "shared"]
    assert str(net).splitlines()[-2].split() == ["total", "9"]


def test_several_ports_stand_at_top_and_bottom() -> None:
    x, y = rt.Input(2, name="x"), rt.Input(2, name="y")
    net = rt.Graph({"sum": x + y, "product": x * y})
    first = [line.split()[0] for line in str(net).splitlines()]
    assert first[2:4] == ["x", "y"]
    assert first[-5:-3] == ["sum", "product"]


def test_sizes_that_vary_are_shown_by_their_name() -> None:
    assert "(n, 30)" in str(rt.Chain(rt.Linear(30), input=("n", 50)))


def test_a_single_layer_is_a_net_of_one_line() -> None:
    assert re.search(
        r"^\* +Linear\(10, input=784\) +\(784\) +\(10\) +10x784 \+ 10 +7,850$",
        str(rt.Linear(10, input=784)),
        re.M,
    )


@pytest.mark.parametrize(
    ("net", "note"),
    [
        (rt.ReLU(input=2), "It has no arrays."),
        (rt.Linear(3, input=2).init(), "Its arrays take 36 bytes: float32 on cpu."),
        (rt.Linear(10, input=784).init(), "Its arrays take 31.4 kB: float32 on cpu."),
        (rt.Chain(rt.Linear(3, input=2).init(), rt.Linear(1)), "2 of its 4 arrays are made; "),
    ],
)
def test_the_last_line_tells_of_the_arrays(net: rt.Net, note: str) -> None:
    assert str(net).splitlines()[-1].startswith(note)


@pytest.mark.parametrize("width", [60, 80, 120])
@given(sizes=st.lists(st.integers(1, 10**6), max_size=4), depth=st.integers(0, 12))
def test_no_line_is_wider_than_asked(width: int, sizes: list[int], depth: int) -> None:
    net: rt.Net = rt.Chain({f"layer_with_a_long_name_{i}": rt.Linear(size) for i, size in enumerate(sizes)})
    for _ in range(depth):
        net = rt.Chain({"outer": net})
    text = table(rt.Chain(net, input=7), width)
    assert max(map(len, text.splitlines())) <= width


def test_the_terminal_decides_the_width_and_a_pipe_has_80(monkeypatch: pytest.MonkeyPatch) -> None:
    long = rt.Chain({f"name{'_' * 40}": rt.Linear(3, init={"weight": "zeros", "bias": "zeros"})}, input=2)
    monkeypatch.setenv("COLUMNS", "100")
    assert max(map(len, str(long).splitlines())) == 100
    monkeypatch.delenv("COLUMNS")
    monkeypatch.setattr("sys.__stdout__", None)
    assert max(map(len, str(long).splitlines())) == 80


def test_show_prints_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    DIGITS.show()
    assert capsys.readouterr().out == f"{DIGITS}\n"


def test_what_is_not_there_yet_says_so() -> None:
    with pytest.raises(rt.NotYetError, match=r"net\.look comes with the studio, which is not there yet\."):
        DIGITS.look("seven.png")
