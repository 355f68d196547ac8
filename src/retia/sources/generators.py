"""Examples from functions: one that begins an iterator anew, or one that makes the example of a number.

An iterator is read once and kept, for training takes examples by their numbers. A function of a number is
called when its example is asked for, so a set of any size takes no memory.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from retia.errors import ArgumentError, DataError
from retia.sources.dataset import Data
from retia.sources.foreign import example_columns
from retia.sources.made import called

MOST = 10_000_000
"""Examples after which an iterator without ``take`` counts as endless."""


def read_function(function: Callable[..., Any], take: Any, combine: Callable[[list[Any]], Data]) -> Data:
    """The set that a function makes; see ``rt.data``.

    Args:
        function: without arguments, giving a fresh iterator; or of a number from 0, giving its example.
        take: how many examples the set has; None for all that the iterator gives.
        combine: makes the set of a list of examples.
    """
    name = called(function)
    needed = _arguments(function)
    if needed > 1:
        raise DataError(
            f"data: {name} takes {needed} arguments.",
            fix="a function without arguments that begins an iterator, or of an example's number",
            got=function,
        )
    if needed == 1:
        if take is None:
            raise DataError(
                f"data: {name} makes the example of a number, and has no end.",
                fix="rt.data(function, take=10_000)",
                got=function,
            )
        return Data(example_columns(function, take, name, "the function"))
    examples = function()
    if not isinstance(examples, Iterator):
        raise DataError(
            f"data: {name}() gives {type(examples).__name__}, no iterator.",
            fix="yield the examples, or return iter(examples)",
            got=examples,
        )
    found = list(islice(examples, MOST + 1 if take is None else take))
    if len(found) > MOST and take is None:
        raise DataError(
            f"data: {name}() did not end after {MOST:,} examples.", fix="rt.data(function, take=10_000)"
        )
    if take is not None and len(found) < take:
        raise DataError(
            f"data: {name}() ended after {len(found):,} examples; take is {take:,}.",
            expected=take,
            got=len(found),
        )
    if not found:
        raise DataError(f"data: the set is empty: {name}() gave no examples.", got=function)
    return combine(found)


def check_take(take: Any) -> int | None:
    """How many examples are asked for, as a plain number."""
    try:
        number = None if take is None else -1 if isinstance(take, bool) else operator.index(take)
    except TypeError:
        number = -1
    if number is not None and number < 1:
        raise ArgumentError(f"data: take is a whole number of at least 1; got {take!r}.", got=take)
    return number


def _arguments(function: Callable[..., Any]) -> int:
    """How many arguments a function needs."""
    try:
        every = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 0
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(each.default is inspect.Parameter.empty and each.kind in plain for each in every)
