"""Sets of other packages: PyTorch's ``Dataset`` and ``DataLoader``, Hugging Face's ``datasets``.

They are known by what they have, and nothing is imported. Examples are asked for by their numbers, when they
are needed; a ``DataLoader``'s set is read, its batches, order and workers are not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from retia.errors import DataError, Error
from retia.sources.columns import Column
from retia.sources.dataset import Data
from retia.sources.made import MadeColumn

PARTS = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "dev": "validation",
    "test": "test",
}


class AskedColumn(MadeColumn):
    """One side of examples that a function gives by their numbers.

    Args:
        get: gives an example.
        length: how many there are.
        key: of the side in an example: a place in a tuple, or a name; None for the whole of it.
        told: what errors call the source.
    """

    def __init__(self, get: Callable[[int], Any], length: int, key: int | str | None, told: str) -> None:
        self._get = get
        self._length = length
        self._key = key
        self._told = told
        self._small: dict[int, str | int | float] = {}

    def __len__(self) -> int:
        return self._length

    def make(self, rows: Sequence[int]) -> list[Any]:
        return [self._small[row] if row in self._small else self._made(row) for row in rows]

    def _made(self, row: int) -> Any:
        try:
            example = self._get(row)
            thing = example if self._key is None else example[self._key]
        except Error:
            raise
        except Exception as error:
            raise DataError(
                f"{self._told} has no example {row}: {type(error).__name__}: {error}", path=f"row {row}"
            ) from error
        thing = thing.item() if getattr(thing, "ndim", None) == 0 and hasattr(thing, "item") else thing
        if isinstance(thing, int | float) or (isinstance(thing, str) and len(thing) <= 100):
            self._small[row] = thing  # labels are asked for again and again, and the example with them
        return thing

    def how(self) -> str:
        return f"from {self._told}"


def example_columns(get: Callable[[int], Any], length: int, name: str, told: str) -> dict[str, Column]:
    """Columns of examples by their numbers: of the pairs (x, y) or dicts that the first shows."""
    try:
        first = get(0)
    except Exception as error:
        raise DataError(f"data: {name} has no example 0: {type(error).__name__}: {error}") from error
    if isinstance(first, Mapping):
        keys: dict[str, int | str] = {str(key): key for key in first}
    elif isinstance(first, tuple | list) and len(first) == 2:
        keys = {"input": 0, "output": 1}
    else:
        what = f"{len(first)} things" if isinstance(first, tuple | list) else type(first).__name__
        raise DataError(
            f"data: an example of {name} is a pair (x, y) or a dict by column; example 0 is {what}.",
            fix="rt.data(lambda row: {'input': ..., 'output': ...}, take=len(dataset))",
            got=first,
        )
    return {each: AskedColumn(get, length, key, told) for each, key in keys.items()}


# PyTorch ------------------------------------------------------------------------------------------


def is_torch(thing: Any) -> bool:
    """Whether a thing is a ``Dataset`` or a ``DataLoader`` of PyTorch."""
    names = {(each.__module__.partition(".")[0], each.__name__) for each in type(thing).__mro__}
    return bool(names & {("torch", "Dataset"), ("torch", "DataLoader")})


def read_torch(source: Any) -> Data:
    """The examples of a map-style set, by their numbers; see ``rt.data``."""
    kinds = {each.__name__ for each in type(source).__mro__}
    dataset = source.dataset if "DataLoader" in kinds else source
    name = type(dataset).__name__
    if not hasattr(dataset, "__getitem__") or "IterableDataset" in {
        e.__name__ for e in type(dataset).__mro__
    }:
        raise DataError(
            f"data: {name} gives its examples one after the other, not by number.",
            fix="rt.data(lambda: iter(dataset), take=10_000) reads that many",
            got=source,
        )
    try:
        length = len(dataset)
    except (TypeError, NotImplementedError):
        raise DataError(
            f"data: {name} does not say how many examples it has.",
            fix="rt.data(dataset.__getitem__, take=10_000)",
            got=source,
        ) from None
    if not length:
        raise DataError(f"data: the set is empty: {name} has no examples.", got=source)
    return Data(example_columns(dataset.__getitem__, length, name, name))


# Hugging Face -------------------------------------------------------------------------------------


def is_hugging_face(thing: Any) -> bool:
    """Whether a thing is a set of Hugging Face's ``datasets``, or a dict of them."""
    if isinstance(thing, Mapping):
        return bool(thing) and all(is_hugging_face(each) for each in thing.values())
    return isinstance(getattr(thing, "column_names", None), list) and hasattr(thing, "__getitem__")


def read_hugging_face(source: Any) -> Data:
    """The columns of a set, each read by itself; of a dict of sets, its parts; see ``rt.data``."""
    if isinstance(source, Mapping):
        parts = {PARTS[name]: read_hugging_face(each) for name, each in source.items() if name in PARTS}
        if "train" not in parts:
            raise DataError(f"data: there is no train among {', '.join(map(str, source))}.", got=source)
        return Data.of_parts(parts)
    if not len(source):
        raise DataError("data: the set is empty: the dataset has no examples.", got=source)
    return Data({name: _asked(source, name) for name in source.column_names})


def _asked(source: Any, name: str) -> Column:
    alone = source.select_columns([name]) if hasattr(source, "select_columns") else source
    return AskedColumn(alone.__getitem__, len(source), name, type(source).__name__)
