"""Columns: what stands under one name in a set of examples, and how a few of its rows are taken out.

Nothing here copies or changes what was given: arrays are read-only views, files are names until
somebody needs their pixels. Which rows belong to a set is the set's business (``dataset.py``).
"""

from __future__ import annotations

import datetime
import hashlib
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from retia._late import numpy as np
from retia.errors import DataError
from retia.sources.media import kind_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retia._torch import torch

Rows: TypeAlias = "range | NDArray[Any]"
"""Numbers of rows: a range where they are evenly spaced, else an int64 array."""

Label: TypeAlias = "str | int | bool"

Places: TypeAlias = "Callable[[int], str]"
"""What a row is called in messages."""


class Column(ABC):
    """The interface of columns: so many things of one kind, numbered from 0."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def item(self, row: int) -> Any:
        """One thing, as people have it: a plain number, a word, a path, an array."""

    @abstractmethod
    def things(self, rows: Rows) -> Any:
        """Some rows: an array (a view where it can be one) from an array, else a list."""

    @abstractmethod
    def labels(self, rows: Rows) -> list[Label] | None:
        """The rows' labels; None where the column holds no words, whole numbers or truth values."""

    @abstractmethod
    def kind(self) -> str:
        """The type of one thing, in a few words."""

    @abstractmethod
    def feed_hash(self, rows: Rows, update: Callable[[bytes], None]) -> None:
        """Tell a hash what stands in these rows."""

    def name_of(self, row: int) -> str:
        """What a row's thing is called in messages; nothing where it has no name."""
        return ""


class Arrays(Column):
    """What is common to columns of arrays, wherever their array comes from."""

    @property
    @abstractmethod
    def array(self) -> NDArray[Any]:
        """All rows, read-only."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Of the array, rows first."""

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[Any]:
        """Of the array."""

    def __len__(self) -> int:
        return self.shape[0]

    def item(self, row: int) -> Any:
        found = self.array[row]
        return found.item() if len(self.shape) == 1 else found

    def things(self, rows: Rows) -> Any:
        return self.array[_slice(rows)] if isinstance(rows, range) else self.array[rows]

    def labels(self, rows: Rows) -> list[Label] | None:
        if len(self.shape) != 1 or self.dtype.kind not in "biuU":
            return None
        return self.things(rows).tolist()  # type: ignore[no-any-return]

    def kind(self) -> str:
        return f"{self.dtype} {self.shape[1:]}" if len(self.shape) > 1 else str(self.dtype)

    def feed_hash(self, rows: Rows, update: Callable[[bytes], None]) -> None:
        update(f"{self.dtype.str}{self.shape[1:]}".encode())
        for start in range(0, len(rows), 4096):
            update(np.ascontiguousarray(self.things(rows[start : start + 4096])).tobytes())


class ArrayColumn(Arrays):
    """A column that is an array in memory.

    Args:
        array: NumPy array, rows first. It is neither copied nor changed.
        places: what each row is called in messages, such as a file's line.
    """

    def __init__(self, array: NDArray[Any], places: Places | None = None) -> None:
        self._array = _read_only(array)
        self._places = places

    @property
    def array(self) -> NDArray[Any]:
        return self._array

    @property
    def shape(self) -> tuple[int, ...]:
        return self._array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._array.dtype

    def name_of(self, row: int) -> str:
        return self._places(row) if self._places else ""


class LateColumn(Arrays):
    """A column that is an array read at its first use.

    Args:
        shape: of the array, rows first.
        dtype: of the array, by name.
        load: reads the array, once, from any thread.
    """

    def __init__(self, shape: tuple[int, ...], dtype: str, load: Callable[[], NDArray[Any]]) -> None:
        self._shape = shape
        self._dtype = dtype
        self._load = load

    @cached_property
    def array(self) -> NDArray[Any]:
        return _read_only(self._load())

    def ahead(self) -> None:
        """Begin to read in a thread; what goes wrong is told when the array is asked for."""

        def load() -> None:
            with suppress(Exception):
                self._load()

        if "array" not in self.__dict__:
            threading.Thread(target=load, daemon=True).start()

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self._dtype)


class ListColumn(Column):
    """A column of plain Python things: labels, words, pictures, arrays of different sizes.

    Args:
        things: in the order of the rows. Numbers of NumPy and PyTorch become plain numbers; None is a thing
            that is missing.
        places: what each row is called in messages, such as a file's line.
    """

    def __init__(self, things: Iterable[Any], places: Places | None = None) -> None:
        self._places = places
        self._things = tuple(thing.item() if getattr(thing, "ndim", None) == 0 else thing for thing in things)

    def __len__(self) -> int:
        return len(self._things)

    def item(self, row: int) -> Any:
        return self._things[row]

    def things(self, rows: Rows) -> list[Any]:
        if isinstance(rows, range):
            return list(self._things[_slice(rows)])
        return [self._things[row] for row in rows.tolist()]

    def labels(self, rows: Rows) -> list[Label] | None:
        return self.things(rows) if self._are_labels else None

    @cached_property
    def _are_labels(self) -> bool:
        return all(isinstance(thing, str | int | bool) for thing in self._things)

    def kind(self) -> str:
        found = {type(thing) for thing in self._things}
        names = sorted(each.__name__ for each in found if each is not type(None)) or ["None"]
        return " or ".join(names[:4]) + (" or others" if len(names) > 4 else "")

    def name_of(self, row: int) -> str:
        return self._places(row) if self._places else ""

    def feed_hash(self, rows: Rows, update: Callable[[bytes], None]) -> None:
        for thing in self.things(rows):
            _hash_thing(thing, update)


class FileColumn(Column):
    """A column of files: pictures, mostly. A thing is a path; whoever encodes it opens it.

    Args:
        root: the folder that names are relative to.
        names: of the files, ``/`` between folders.
        kind: what they are, in a few words.
    """

    def __init__(self, root: Path, names: Iterable[str], kind: str = "picture file") -> None:
        self.root = root
        self.names = tuple(names)
        self._kind = kind

    def __len__(self) -> int:
        return len(self.names)

    def item(self, row: int) -> Path:
        return self.root / self.names[row]

    def things(self, rows: Rows) -> list[Path]:
        return [self.root / self.names[row] for row in rows]

    def labels(self, rows: Rows) -> None:
        return None

    def kind(self) -> str:
        return self._kind

    def feed_hash(self, rows: Rows, update: Callable[[bytes], None]) -> None:
        for row in rows:
            update(f"{self.names[row]}\0".encode())
            try:
                with open(self.item(row), "rb") as file:
                    update(hashlib.file_digest(file, "sha256").digest())
            except OSError as error:
                raise DataError(
                    f"{self.item(row)} cannot be read: {error.strerror}.", path=str(self.item(row))
                ) from None

    def name_of(self, row: int) -> str:
        return str(self.item(row))


def column(name: str, given: Any) -> Column:
    """A column of whatever holds one thing a row.

    Args:
        name: as errors call it.
        given: a NumPy array, a tensor, anything with ``__array__`` or DLPack, a list or other sequence.
            Lists of numbers become one array where they can; ``pathlib.Path``s are files.
    Raises:
        DataError: it holds no rows.
    """
    if isinstance(given, Column):
        return given
    if isinstance(given, str | bytes | os.PathLike | Mapping) or not isinstance(given, Iterable):
        raise DataError(
            f"{name!r} is {type(given).__name__}, which has no rows.",
            fix="a column is an array or a list with one thing for each example",
            path=name,
            got=given,
        )
    array = _as_array(given)
    if array is None:
        things = tuple(given)
        array = _regular(things)
    if array is None:
        if things and all(isinstance(thing, Path) for thing in things):
            names = [str(thing) for thing in things]
            return FileColumn(Path(), names, kind_of(names))
        return ListColumn(things)
    if array.ndim == 0:
        raise DataError(f"{name!r} is a single number, which has no rows.", path=name, got=given)
    return ListColumn(array.tolist()) if array.dtype.kind == "O" else ArrayColumn(array)


def _as_array(given: Any) -> NDArray[Any] | None:
    if isinstance(given, list | tuple | range):
        return None
    if hasattr(given, "detach"):  # a tensor: NumPy sees the same memory, but knows no bfloat16
        tensor: torch.Tensor = given.detach().cpu()
        return tensor.float().numpy() if str(tensor.dtype) == "torch.bfloat16" else tensor.numpy()
    if hasattr(given, "__array__"):
        return np.asarray(given)
    return np.from_dlpack(given) if hasattr(given, "__dlpack__") else None


def _regular(things: tuple[Any, ...]) -> NDArray[Any] | None:
    """Real numbers, or lists of numbers of one shape, as an array: all rows then have one type."""
    leaf = things[0] if things else None
    while isinstance(leaf, list | tuple) and leaf:
        leaf = leaf[0]
    nested = bool(things) and isinstance(things[0], list | tuple) and isinstance(leaf, int | float)
    real = all(type(thing) in (int, float) for thing in things) and float in map(type, things)
    if not nested and not real:
        return None
    try:
        array = np.asarray(things)
    except (ValueError, OverflowError):  # of different lengths
        return None
    return array if array.dtype.kind in "biuf" else None


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view


def _slice(rows: range) -> slice:
    stop = rows.stop if rows.stop >= 0 else None  # a range that runs down ends at -1, a slice at None
    return slice(rows.start, stop, rows.step) if len(rows) else slice(0, 0)


def _hash_thing(thing: Any, update: Callable[[bytes], None]) -> None:
    if isinstance(thing, str | int | float | bool | bytes | None):
        update(f"{type(thing).__name__}:{thing!r}\0".encode())
    elif isinstance(thing, os.PathLike):
        update(f"path:{os.fspath(thing)}\0".encode())
    elif isinstance(thing, Mapping):
        _hash_thing(sorted(thing.items()), update)
    elif isinstance(thing, datetime.date | datetime.time):
        update(f"{type(thing).__name__}:{thing.isoformat()}\0".encode())
    elif isinstance(thing, set | frozenset):
        _hash_thing(sorted(thing, key=repr), update)
    elif isinstance(thing, list | tuple):
        update(f"{len(thing)} things:".encode())
        for each in thing:
            _hash_thing(each, update)
    elif hasattr(thing, "tobytes") and hasattr(thing, "size") and hasattr(thing, "mode"):
        update(f"picture {thing.mode} {thing.size}:".encode() + thing.tobytes())
    elif (array := _as_array(thing)) is not None:
        update(f"{array.dtype.str}{array.shape}:".encode() + np.ascontiguousarray(array).tobytes())
    else:
        raise DataError(f"A {type(thing).__name__} has no content hash.", got=thing)
