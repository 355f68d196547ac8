"""Facts beside arrays: JSON that keeps every number to the bit, histories of any length as columns.

A run's history is a list of equal dicts, and grows with every epoch. As JSON it would soon pass the bounds
of what is read, so lists of numbers become arrays and lists of equal dicts become their columns. What JSON
has no word for (NaN, infinity), and what a process that flushes denormals would read as 0, is tagged with
its bits: a dict of one key that begins with ``$``.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from retia._torch import torch
from retia.errors import ArgumentError, FormatError
from retia.formats import strict
from retia.formats.strict import quote

if TYPE_CHECKING:
    from torch import Tensor

JSON: TypeAlias = "None | bool | int | float | str | list[JSON] | dict[str, JSON]"

FEW = 16
"""Shorter lists of numbers stay in the text."""

MOST_NUMBERS = 2**23
"""So many numbers stand in a file's columns at most: 12 of them an epoch are 700,000 epochs."""

LARGEST = 2**64
BITS = re.compile("[0-9a-f]{16}")
NUMBER, ARRAY, TABLE, PLAIN = "$number", "$array", "$table", "$dict"


def pack(facts: Any) -> tuple[str, dict[str, Tensor]]:
    """Facts as a text and the columns that it refers to by number.

    Args:
        facts: None, truth values, whole numbers below 2**64 either way, any floats, texts, lists (tuples
            become lists) and dicts with texts as keys.
    Raises:
        ArgumentError: something else, with its place. FormatError: more than a file's facts may be.
    Example:
        >>> text, columns = pack({"history": [{"epoch": e, "loss": 1 / e} for e in range(1, 100)]})
        >>> text
        '{"history":{"$table":[["epoch",{"$array":"0"}],["loss",{"$array":"1"}]]}}'
        >>> unpack(text, columns)["history"][1]
        {'epoch': 2, 'loss': 0.5}
    """
    columns: dict[str, Tensor] = {}
    text = json.dumps(_packed(facts, "facts", columns), separators=(",", ":"))
    strict.parse(text, "the facts")  # what could not be read is refused now
    _bound(columns)
    return text, columns


def unpack(text: str, columns: Mapping[str, Tensor]) -> Any:
    """The facts that were packed.

    Raises:
        FormatError: the text is no JSON, or refers to columns that are not there, or twice to one.
    """
    _bound(columns)
    rest = dict(columns)
    facts = _unpacked(strict.parse(text, "the facts"), rest)
    if rest:
        _refuse(f"nothing refers to the column {quote(next(iter(rest)))}")
    return facts


# Packing ------------------------------------------------------------------------------------------


def _packed(value: Any, where: str, columns: dict[str, Tensor]) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        if not -LARGEST < value < LARGEST:
            raise ArgumentError(f"{where} is {value}; whole numbers go up to 2**64.", path=where, got=value)
        return int(value)
    if isinstance(value, float):
        return _float(float(value))
    if isinstance(value, Mapping):
        return _dict(value, where, columns)
    if isinstance(value, list | tuple):
        return _list(value, where, columns)
    raise ArgumentError(
        f"{where} is a {type(value).__name__}, which a file's facts do not hold.",
        fix="numbers, texts, truth values, None, lists and dicts; tensors stand beside them",
        path=where,
        got=value,
    )


def _float(value: float) -> Any:
    raw = struct.pack(">d", value)
    exponent, rest = int.from_bytes(raw[:2], "big") & 0x7FF0, int.from_bytes(raw, "big") % 2**52
    odd = exponent == 0x7FF0 or (exponent == 0 and rest)  # infinite or NaN; denormal
    return {NUMBER: raw.hex()} if odd else value


def _dict(value: Mapping[Any, Any], where: str, columns: dict[str, Tensor]) -> Any:
    for key in value:
        if not isinstance(key, str):
            raise ArgumentError(f"{where} has the key {key!r}; keys are texts.", path=where, got=key)
    items = {key: _packed(each, f"{where}.{key}", columns) for key, each in value.items()}
    tagged = len(items) == 1 and next(iter(items)).startswith("$")
    return {PLAIN: [[key, each] for key, each in items.items()]} if tagged else items


def _list(value: list[Any] | tuple[Any, ...], where: str, columns: dict[str, Tensor]) -> Any:
    if len(value) >= FEW:
        kind = _kind(value)
        if kind is not None:
            name = str(len(columns))
            columns[name] = torch.tensor(value, dtype=kind, device="cpu")
            return {ARRAY: name}
        names = _names(value)
        if names:
            table = {
                name: _list([row[name] for row in value], f"{where}[].{name}", columns) for name in names
            }
            return {TABLE: [[name, column] for name, column in table.items()]}
    return [_packed(each, f"{where}[{number}]", columns) for number, each in enumerate(value)]


def _kind(values: list[Any] | tuple[Any, ...]) -> torch.dtype | None:
    """The type of a column of numbers; None where these are none."""
    kinds = set(map(type, values))
    if kinds == {float}:
        return torch.float64
    if kinds == {int} and min(values) >= -(2**63) and max(values) < 2**63:
        return torch.int64
    return None


def _names(rows: list[Any] | tuple[Any, ...]) -> list[str]:
    """The keys of all rows, where they are dicts with the same keys in the same order."""
    if not all(isinstance(row, Mapping) for row in rows):
        return []
    names = [*rows[0]]
    return names if all(isinstance(n, str) for n in names) and all([*row] == names for row in rows) else []


# Unpacking ----------------------------------------------------------------------------------------


def _unpacked(data: Any, columns: dict[str, Tensor]) -> Any:
    if isinstance(data, list):
        return [_unpacked(each, columns) for each in data]
    if not isinstance(data, dict):
        return data
    tag, held = next(iter(data.items())) if len(data) == 1 else ("", None)
    if not tag.startswith("$"):
        return {key: _unpacked(each, columns) for key, each in data.items()}
    if tag == NUMBER and isinstance(held, str) and BITS.fullmatch(held):
        return struct.unpack(">d", bytes.fromhex(held))[0]
    if tag == ARRAY and isinstance(held, str):
        return _column(held, columns)
    if tag == PLAIN:
        return {name: _unpacked(each, columns) for name, each in _pairs(tag, held).items()}
    if tag == TABLE:
        return _rows({name: _unpacked(each, columns) for name, each in _pairs(tag, held).items()})
    return _refuse(f"{quote(tag)} of {quote(str(held))} means nothing")


def _column(name: str, columns: dict[str, Tensor]) -> list[Any]:
    column = columns.pop(name, None)  # each once, or a small file could become a large list
    if column is None:
        _refuse(f"the column {quote(name)} is not there, or is referred to twice")
    if column.dim() != 1 or column.dtype not in (torch.float64, torch.int64):
        _refuse(f"the column {quote(name)} is of {column.dtype} and {column.dim()} axes")
    values: list[Any] = column.tolist()
    return values


def _rows(table: dict[str, Any]) -> list[dict[str, Any]]:
    lengths = {len(column) if isinstance(column, list) else -1 for column in table.values()}
    if len(lengths) != 1 or lengths == {-1}:
        _refuse("a table's columns are not of one length")
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


def _pairs(tag: str, held: Any) -> dict[str, Any]:
    if not isinstance(held, list) or any(not isinstance(pair, list) or len(pair) != 2 for pair in held):
        _refuse(f"{tag} is not a list of pairs")
    if any(not isinstance(name, str) for name, _ in held) or len({name for name, _ in held}) != len(held):
        _refuse(f"{tag} names something twice, or not by a text")
    return dict(held)


def _bound(columns: Mapping[str, Tensor]) -> None:
    total = sum(column.numel() for column in columns.values())
    if total > MOST_NUMBERS:
        raise FormatError(
            f"the facts have {total:,} numbers, at most {MOST_NUMBERS:,}.", expected=MOST_NUMBERS, got=total
        )


def _refuse(why: str) -> NoReturn:
    raise FormatError(f"the facts: {why}.")
