"""The solver: what follows is found, what contradicts is told, and every size has its reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retia.shapes import Conflict, Fact, Rest, Solver, Unknown, dimensions, extent, signature
from retia.shapes.solver import describe, reasons, shape, value

BECAUSE = Fact("a test says so")


def test_a_star_takes_what_is_left_between_the_ends():
    solver, star = Solver(), Rest("*s")
    last = Unknown("out")
    solver.unify((2, star, last), (2, 3, 4, 5), BECAUSE)
    assert shape((star,)) == (3, 4)
    assert value(last) == 5


@given(st.lists(st.integers(1, 9), max_size=5), st.integers(0, 5), st.integers(0, 5))
def test_two_stars_meet_whatever_comes_first(sizes, front, back):
    front, back = min(front, len(sizes)), min(back, len(sizes))
    if front + back > len(sizes):
        back = len(sizes) - front
    a, b = Rest("a"), Rest("b")
    left = (*sizes[:front], a)
    right = (b, *sizes[len(sizes) - back :])
    for order in (0, 1, 2):
        solver = Solver()
        a.bound = b.bound = None
        steps = [
            lambda solver=solver: solver.unify(left, right, BECAUSE),
            lambda solver=solver: solver.unify(left, tuple(sizes), BECAUSE),
            lambda solver=solver: solver.unify(right, tuple(sizes), BECAUSE),
        ]
        for step in steps[order:] + steps[:order]:
            step()
        solver.solve()
        assert shape(left) == shape(right) == tuple(sizes)


def test_an_equation_with_several_solutions_stays_open_until_one_is_left():
    solver, a, b = Solver(), Rest("a"), Rest("b")
    solver.unify((1, a), (b, 1), BECAUSE)
    solver.solve()
    assert shape((a,)) is None
    solver.unify((a,), (7, 1), BECAUSE)
    solver.solve()
    assert shape((b,)) == (1, 7)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((1, 2), (1, 3)),
        ((1, 2), (1, 2, 3)),
        ((extent("n"),), (5,)),
        ((extent("n"),), (extent("m"),)),
        ((1, 2, Rest("s")), (1,)),
    ],
)
def test_what_cannot_be_equal_is_a_conflict(left, right):
    with pytest.raises(Conflict):
        Solver().unify(left, right, BECAUSE)


def test_a_star_cannot_hold_itself_and_more():
    star = Rest("s")
    with pytest.raises(Conflict):
        Solver().unify((star,), (star, 3), BECAUSE)


def test_arithmetic_runs_until_nothing_changes_and_in_both_directions():
    solver = Solver()
    h, y, z = Unknown("h"), Unknown("y"), Unknown("z")

    def less_two(known):
        if known["a"] is not None:
            return {"b": known["a"] - 2}
        return {} if known["b"] is None else {"a": known["b"] + 2}

    solver.hook(less_two, {"a": y, "b": z}, "y - 2", None)
    solver.hook(less_two, {"a": h, "b": y}, "h - 2", None)
    solver.unify((z,), (10,), BECAUSE)
    solver.solve()
    assert (value(h), value(y)) == (14, 12)


def test_reasons_lead_back_through_equalities_and_arithmetic():
    solver = Solver()
    a, b, c = Unknown("a"), Unknown("b"), Unknown("c")
    solver.unify((a,), (3,), Fact("the input is 3"))
    solver.unify((b,), (a,), Fact("", quiet=True))
    solver.hook(lambda known: {"c": known["b"] * 2} if known["b"] else {}, {"b": b, "c": c}, "twice", None)
    assert value(c) == 6
    assert list(reasons(c)) == ["twice", "the input is 3"]


def test_patterns_are_described_with_the_names_of_what_is_open():
    assert describe((Unknown("in"), 3, Rest("*s"))) == "(in, 3, *s)"


def test_signatures_are_read_with_names_numbers_and_scalars():
    read = signature("left: *m k, right: k 3 -> ()")
    assert [term.name for term in read.inputs] == ["left", "right"]
    assert read.inputs[1].dims == ("k", "3")
    assert read.outputs[0].dims == ()
    assert signature("-> *s").inputs == ()
    assert [term.name for term in signature("a, b -> c").inputs] == ["1", "2"]


@pytest.mark.parametrize("text", ["a b", "*a *b -> c", "a! -> b"])
def test_a_faulty_signature_is_an_error(text):
    with pytest.raises(ValueError, match=r"signature|star|neither"):
        signature(text)


def test_dimensions_of_an_array_are_words():
    assert dimensions("out in 3") == ("out", "in", "3")
    assert dimensions("()") == ()
