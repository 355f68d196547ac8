"""Sizes that vary: the algebra agrees with plain whole numbers, and equal sizes look equal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retia.shapes import Extent, extent, product, show

NAMES = ("n", "m")


@st.composite
def formulas(draw, depth=3):
    """A function of sizes that uses + - * //, to be run on extents and on whole numbers alike."""
    if depth == 0:
        name = draw(st.sampled_from([*NAMES, None]))
        number = draw(st.integers(-5, 9))
        return (lambda sizes: sizes[name]) if name else (lambda sizes: number)
    left, right = draw(formulas(depth - 1)), draw(formulas(depth - 1))
    operation = draw(st.sampled_from(["+", "-", "*", "//"]))
    divisor = draw(st.integers(1, 5))
    if operation == "+":
        return lambda sizes: left(sizes) + right(sizes)
    if operation == "-":
        return lambda sizes: left(sizes) - right(sizes)
    if operation == "*":
        return lambda sizes: left(sizes) * divisor
    return lambda sizes: left(sizes) // divisor


@given(formulas(), st.integers(0, 50), st.integers(0, 50))
def test_an_extent_has_the_value_of_its_formula(formula, n, m):
    symbolic = formula({name: extent(name) for name in NAMES})
    value = symbolic.evaluate({"n": n, "m": m}) if isinstance(symbolic, Extent) else symbolic
    assert value == formula({"n": n, "m": m})


@given(st.integers(0, 30), st.integers(0, 30))
def test_products_of_extents_have_the_value_of_the_product(n, m):
    area = extent("n") * (extent("m") + 1)
    assert area.evaluate({"n": n, "m": m}) == n * (m + 1)
    assert area.names == {"n", "m"}


def test_equal_extents_are_equal_values_in_a_normal_form():
    n, m = extent("n"), extent("m")
    assert n + m == m + n
    assert (2 * n + 4) // 2 - 1 == n + 1
    assert n - n == 0
    assert (n + 5) // 3 == (n + 2) // 3 + 1
    assert hash(n * m) == hash(m * n)
    assert n + 1 != n


@pytest.mark.parametrize(
    ("shape", "text"),
    [((), "()"), ((3, None), "(3, ?)"), (None, "(...)"), ((extent("n") - 2, 50), "(n - 2, 50)")],
)
def test_shapes_are_shown_as_a_person_reads_them(shape, text):
    assert show(shape) == text


def test_extents_are_shown_with_signs_and_quotients():
    n = extent("n")
    assert str(-n) == "-n"
    assert str(3 - n) == "-n + 3"
    assert str(2 * n * extent("k") + (n + 1) // 2) == "2*k*n + (n + 1)//2"


def test_product_counts_elements_and_knows_what_it_does_not_know():
    assert product((2, 3, 4)) == 24
    assert product(()) == 1
    assert product((2, None)) is None
    assert product((extent("n"), 3)) == 3 * extent("n")
