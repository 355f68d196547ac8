"""Columns of a table that are computed from others: recipes that are data, never code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia.codecs.arrays import brief
from retia.codecs.columns import Faults, read_numbers
from retia.errors import ArgumentError, did_you_mean
from retia.nets.settings import real

if TYPE_CHECKING:
    from numpy.typing import NDArray

Recipe = tuple[Any, ...]

OPERATIONS = {"sum": None, "product": None, "difference": 2, "ratio": 2, "log": 1, "bins": 1}
"""How many columns each takes; None for two and more."""

_EDGE = real(-1e300, 1e300)


def read_derived(name: str, value: Any) -> Mapping[str, Recipe] | None:
    """The rule of ``derived=``: a dict from names to recipes such as ``("ratio", "rooms", "people")``."""
    if value is None or (isinstance(value, Mapping) and not value):
        return None
    if not isinstance(value, Mapping):
        raise ArgumentError(
            f"{name} is a dict from names of new columns to recipes; got {brief(value)}.",
            fix='derived={"rooms each": ("ratio", "rooms", "people")}',
            got=value,
        )
    made = {key: _recipe(f"{name}[{key!r}]", key, value[key]) for key in sorted(value, key=str)}
    for key in made:
        _refuse_circles(name, key, made, ())
    return MappingProxyType(made)


def sources(recipe: Recipe) -> tuple[str, ...]:
    """The columns that a recipe takes."""
    return recipe[1:2] if recipe[0] == "bins" else recipe[1:]


def given(names: set[str], derived: Mapping[str, Recipe]) -> set[str]:
    """The columns that rows must have so that all of these can be had."""
    found = {name for name in names if name not in derived}
    deeper = {source for name in names if name in derived for source in sources(derived[name])}
    return found | (given(deeper, derived) if deeper else set())


def compute(
    name: str, derived: Mapping[str, Recipe], columns: dict[str, list[Any]], faults: Faults
) -> list[Any]:
    """A derived column, None where one of its sources is missing. Others that it takes are computed too."""
    operation, *_ = recipe = derived[name]
    for source in sources(recipe):
        if source in derived and source not in columns:
            columns[source] = compute(source, derived, columns, faults)
    numbers = [read_numbers(source, columns[source], faults) for source in sources(recipe)]
    gaps = np.isnan(np.stack(numbers)).any(axis=0)
    if operation == "bins":
        words = bin_words(recipe[2])
        places = np.searchsorted(recipe[2], np.where(gaps, 0, numbers[0]), side="right").tolist()
        return [None if gap else words[place] for place, gap in zip(places, gaps, strict=True)]
    with np.errstate(all="ignore"):
        found = _FORMULAS[operation](numbers)
    for row in np.flatnonzero(~np.isfinite(found) & ~gaps).tolist():
        values = ", ".join(f"{each[row]:g}" for each in numbers)
        faults.add(row, name, f"the {operation} of {values} is no finite number", got=values)
    return [None if gap else number for number, gap in zip(found.tolist(), gaps, strict=True)]


def bin_words(edges: Sequence[float]) -> tuple[str, ...]:
    """What bins between these edges are called; each takes its lower edge."""
    between = [f"{low} to {high}" for low, high in pairwise(edges)]
    return (f"below {edges[0]}", *between, f"from {edges[-1]}")


def _product(numbers: list[NDArray[Any]]) -> NDArray[Any]:
    return np.asarray(np.stack(numbers).prod(axis=0))


_FORMULAS: dict[str, Callable[[list[NDArray[Any]]], NDArray[Any]]] = {
    "sum": lambda numbers: np.asarray(np.stack(numbers).sum(axis=0)),
    "product": _product,
    "difference": lambda numbers: numbers[0] - numbers[1],
    "ratio": lambda numbers: numbers[0] / numbers[1],
    "log": lambda numbers: np.asarray(np.log(numbers[0])),
}


def _recipe(where: str, key: Any, value: Any) -> Recipe:
    if not isinstance(key, str) or not key:
        raise ArgumentError(f"{where}: the name of a column is a text; got {key!r}.", got=key)
    if not isinstance(value, list | tuple) or not value or value[0] not in OPERATIONS:
        hint = did_you_mean(value[0], OPERATIONS) if isinstance(value, list | tuple) and value else ""
        raise ArgumentError(
            f"{where} is a tuple that begins with one of {', '.join(map(repr, OPERATIONS))}; "
            f"got {brief(value)}.{hint}",
            fix='("ratio", "rooms", "people"), ("log", "price"), ("bins", "age", [18, 65])',
            expected=tuple(OPERATIONS),
            got=value,
        )
    operation, *rest = value
    edges = [rest.pop()] if operation == "bins" and len(rest) == 2 else []
    many = OPERATIONS[operation]
    right = (len(rest) == many if many else len(rest) >= 2) and (operation == "bins") == bool(edges)
    if not right or not all(isinstance(each, str) and each for each in rest):
        wants = "a column and a list of edges" if edges or operation == "bins" else _wants(many)
        raise ArgumentError(f"{where}: {operation!r} takes {wants}; got {brief(value)}.", got=value)
    return (operation, *rest, *(_edges(where, each) for each in edges))


def _wants(many: int | None) -> str:
    return {None: "the names of two columns or more", 1: "the name of one column"}.get(
        many, f"the names of {many} columns"
    )


def _edges(where: str, value: Any) -> tuple[float, ...]:
    value = value.tolist() if hasattr(value, "tolist") else value
    listed = value if isinstance(value, list | tuple) else ()
    edges = tuple(_EDGE(f"{where}: an edge", each) for each in listed)
    if not edges or any(low >= high for low, high in pairwise(edges)):
        raise ArgumentError(f"{where}: edges are numbers that rise; got {brief(value)}.", got=value)
    return edges


def _refuse_circles(name: str, key: str, made: Mapping[str, Recipe], above: tuple[str, ...]) -> None:
    if key in above:
        raise ArgumentError(f"{name}: {key!r} would be computed from itself.", path=key)
    for source in sources(made[key]) if key in made else ():
        _refuse_circles(name, source, made, (*above, key))
