"""JSON from files that nobody vouches for: every size bounded, every ambiguity refused.

Python's own reader takes the last of two equal keys, NaN, numbers of any length and any depth. Here
each of these is a ``FormatError``, and so is a text that would need much memory once it is read.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any, NoReturn

from retia.errors import FormatError

MOST_TEXT = 12 * 2**20
MOST_BRACKETS = 250_000
MOST_ENTRIES = 300_000
MOST_LEVELS = 300
LONGEST_KEY = 1024
LONGEST_NUMBER = 25
"""Bounds of a text in bytes, of lists and dicts in it, of their entries, of nesting, of keys and numbers."""


def parse(text: str, what: str) -> Any:
    """The data of a JSON text. ``what`` names it in errors."""
    check_size(text, what)
    try:
        data = json.loads(
            text,
            object_pairs_hook=lambda pairs: _object(pairs, what),
            parse_int=lambda digits: _whole(digits, what),
            parse_float=lambda digits: _real(digits, what),
            parse_constant=lambda word: _refuse(what, f"{word} is not a finite number"),
        )
    except json.JSONDecodeError as error:
        raise FormatError(f"{what} is not JSON: {error.msg} at character {error.pos}.") from None
    except RecursionError:
        raise FormatError(f"{what} is nested too deeply.", expected=MOST_LEVELS) from None
    _check_tree(data, what)
    return data


def check_size(text: str, what: str) -> None:
    """Refuse a text that is long, or would become large once it is read."""
    found = (
        ("characters", len(text), MOST_TEXT),
        ("lists and dicts", text.count("[") + text.count("{"), MOST_BRACKETS),
        ("entries", text.count(","), MOST_ENTRIES),
    )
    for unit, number, most in found:
        if number > most:
            raise FormatError(f"{what} has {number:,} {unit}, at most {most:,}.", expected=most, got=number)


def quote(text: str, longest: int = 60) -> str:
    """A text from a file as errors show it: nothing in it can reach a terminal or forge a line."""
    return ascii(text if len(text) <= longest else text[: longest - 3] + "...")


def _object(pairs: list[tuple[str, Any]], what: str) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        _refuse(what, f"the key {quote(counts.most_common(1)[0][0])} stands twice")
    return found


def _whole(digits: str, what: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        _refuse(what, f"a number has {len(digits)} digits")
    return int(digits)


def _real(digits: str, what: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        _refuse(what, f"{quote(digits)} is not a finite number")
    return number


def _check_tree(data: Any, what: str) -> None:
    level, deep = [data], 0
    while level:
        deep += 1
        if deep > MOST_LEVELS:
            _refuse(what, f"it is nested more than {MOST_LEVELS} levels deep")
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                for key in value:
                    _check_text(key, what)
                    if len(key) > LONGEST_KEY:
                        _refuse(what, f"a key has {len(key):,} characters: {quote(key)}")
                below += value.values()
            elif isinstance(value, list):
                below += value
            elif isinstance(value, str):
                _check_text(value, what)
        level = below


def _check_text(text: str, what: str) -> None:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        _refuse(what, f"{quote(text)} holds half of a character (a surrogate)")


def _refuse(what: str, why: str) -> NoReturn:
    raise FormatError(f"{what}: {why}.")
