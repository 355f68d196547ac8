"""Feeds: examples as compact tensors, by their numbers. Training stands on this.

A *resident* feed packs everything once and keeps it; a *streaming* feed packs rows when they are asked
for, a few batches ahead. Both give the same tensors. What packs (codecs, mostly) is handed in.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from retia._late import numpy as np
from retia._torch import torch
from retia.codecs.arrays import as_numbers, as_tensor
from retia.errors import ArgumentError, DataError, Error, did_you_mean
from retia.sources.archives import Member
from retia.sources.pictures import unreadable

if TYPE_CHECKING:
    from torch import Tensor

    from retia.sources.dataset import Data

Packer: TypeAlias = "Callable[[Any], Tensor]"
"""Turns some rows of a column (an array of arrays, else a list) into one tensor, batch first, row by row."""

CHUNK = 256
AHEAD = 4
UNKNOWN_MEMORY = 4 * 2**30


class Feed(ABC):
    """The interface of feeds: rows of a set, packed.

    Attributes:
        names: of the columns that are packed.
    """

    names: tuple[str, ...]

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def take(self, index: Tensor) -> dict[str, Tensor]:
        """The packed rows of these numbers (int64, 0..n-1), in their order.

        Raises:
            CodecError, DataError: a thing cannot be packed; named by row, column and file.
        """

    @abstractmethod
    def stream(self, batches: Iterable[Tensor]) -> Iterator[dict[str, Tensor]]:
        """``take`` of one index after the other, in order, the next ones being packed meanwhile."""


class ResidentFeed(Feed):
    """A feed that has packed everything and keeps it, as compact as the packers make it.

    Args:
        data: a set that is not empty.
        packers: by column.
        threads: that pack, at least 1.
    Attributes:
        tensors: whole columns, packed.
    """

    def __init__(self, data: Data, packers: Mapping[str, Packer], *, threads: int | None = None) -> None:
        _check(data, packers)
        self.names = tuple(packers)
        with ThreadPoolExecutor(_threads(threads)) as pool:
            self.tensors: Mapping[str, Tensor] = {
                name: _whole(data, name, packer, pool) for name, packer in packers.items()
            }

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> ResidentFeed:
        """A feed of columns that are packed already, by name."""
        made = cls.__new__(cls)
        made.names, made.tensors = tuple(tensors), tensors
        return made

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    def take(self, index: Tensor) -> dict[str, Tensor]:
        return {name: tensor.index_select(0, index) for name, tensor in self.tensors.items()}

    def stream(self, batches: Iterable[Tensor]) -> Iterator[dict[str, Tensor]]:
        return (self.take(index) for index in batches)


class StreamingFeed(Feed):
    """A feed that packs rows when they are asked for.

    Args:
        data: a set that is not empty.
        packers: by column.
        threads: that pack, at least 1.
    """

    def __init__(self, data: Data, packers: Mapping[str, Packer], *, threads: int | None = None) -> None:
        _check(data, packers)
        self.names = tuple(packers)
        self._data = data
        self._packers = dict(packers)
        self._threads = _threads(threads)

    def __len__(self) -> int:
        return len(self._data)

    def take(self, index: Tensor) -> dict[str, Tensor]:
        return {
            name: _pack(self._data, name, packer, index.numpy()) for name, packer in self._packers.items()
        }

    def stream(self, batches: Iterable[Tensor]) -> Iterator[dict[str, Tensor]]:
        coming = iter(batches)
        waiting: deque[Future[dict[str, Tensor]]] = deque()
        pool = ThreadPoolExecutor(self._threads)
        try:
            while True:
                while len(waiting) < self._threads + AHEAD and (index := next(coming, None)) is not None:
                    waiting.append(pool.submit(self.take, index))
                if not waiting:
                    return
                yield waiting.popleft().result()
        finally:  # also when the reader stops early, or a batch failed
            pool.shutdown(wait=True, cancel_futures=True)


class JoinedFeed(Feed):
    """Columns of two feeds of the same examples, side by side."""

    def __init__(self, one: Feed, other: Feed) -> None:
        self.names = (*one.names, *other.names)
        self._one, self._other = one, other

    def __len__(self) -> int:
        return len(self._one)

    def take(self, index: Tensor) -> dict[str, Tensor]:
        return {**self._one.take(index), **self._other.take(index)}

    def stream(self, batches: Iterable[Tensor]) -> Iterator[dict[str, Tensor]]:
        every = list(batches)
        for one, other in zip(self._one.stream(every), self._other.stream(every), strict=True):
            yield {**one, **other}


class PartFeed(Feed):
    """Some rows of another feed, counted from 0 again; nothing is copied.

    Args:
        whole: the other feed.
        rows: int64, its rows in their new order.
    """

    def __init__(self, whole: Feed, rows: Tensor) -> None:
        self.names = whole.names
        self._whole, self._rows = whole, rows

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, index: Tensor) -> dict[str, Tensor]:
        return self._whole.take(self._rows[index])

    def stream(self, batches: Iterable[Tensor]) -> Iterator[dict[str, Tensor]]:
        return self._whole.stream(self._rows[index] for index in batches)


def joined(one: Feed, other: Feed) -> Feed:
    """The columns of two feeds of the same examples in one, resident where both are."""
    if isinstance(one, ResidentFeed) and isinstance(other, ResidentFeed):
        return ResidentFeed.of({**one.tensors, **other.tensors})
    return JoinedFeed(one, other)


def feed(
    data: Data, packers: Mapping[str, Packer], *, limit: int | None = None, threads: int | None = None
) -> Feed:
    """The feed that suits a set: resident where the packed columns fit, else streaming.

    Args:
        data: a set that is not empty.
        packers: what packs each column that is wanted, by its name; each row by itself.
        limit: bytes that the packed columns may take; a quarter of the free memory when left out.
        threads: that pack, at least 1; as many as there are processors, at most 8, when left out.
    Raises:
        DataError: the set is empty or has no such column.
    Example:
        >>> import retia as rt
        >>> fed = feed(rt.data(([[1, 2], [3, 4]], [0, 1])), {"input": numbers, "output": numbers})
        >>> fed.take(torch.tensor([1]))
        {'input': tensor([[3, 4]]), 'output': tensor([1])}
    """
    _check(data, packers)
    limit = free_memory() // 4 if limit is None else limit
    first = np.zeros(1, np.int64)
    sizes = [_pack(data, name, packer, first) for name, packer in packers.items()]
    needed = len(data) * sum(one.numel() * one.element_size() for one in sizes)
    return (ResidentFeed if needed <= limit else StreamingFeed)(data, packers, threads=threads)


def numbers(things: Any) -> Tensor:
    """Numbers as they are, as a tensor of their own; float64 becomes float32. For columns without a codec.

    Raises:
        CodecError: they are not numbers, or not all of one shape.
    """
    tensor = as_tensor(as_numbers(things, "numbers"))
    return tensor.float() if tensor.dtype == torch.float64 else tensor


def free_memory() -> int:
    """Bytes of memory that are free, also in a container; a cautious guess where nobody says."""
    free = [UNKNOWN_MEMORY]
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = [1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1])]
    with suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        most, used = (int((group / f"memory.{what}").read_text()) for what in ("max", "current"))
        free.append(max(0, most - used))
    return min(free)


# Packing ------------------------------------------------------------------------------------------


def _check(data: Data, packers: Mapping[str, Packer]) -> None:
    if not len(data):
        raise DataError("The set is empty: there are no examples to feed.")
    for name in packers:
        if name not in data.columns:
            raise DataError(
                f"The data has no column {name!r}; it has {', '.join(data.columns)}."
                + did_you_mean(name, data.columns),
                fix=f"rt.data({{{name!r}: ...}})",
                path=name,
                expected=name,
                got=tuple(data.columns),
            )


def _threads(threads: int | None) -> int:
    if threads is None:
        return min(8, os.cpu_count() or 1)
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise ArgumentError(f"feed: threads is a whole number of at least 1; got {threads!r}.", got=threads)
    return threads


def _whole(data: Data, name: str, packer: Packer, pool: ThreadPoolExecutor) -> Tensor:
    """A column, packed by chunks into memory that is taken once."""
    chunks = [np.arange(start, min(start + CHUNK, len(data))) for start in range(0, len(data), CHUNK)]
    head = _pack(data, name, packer, chunks[0])
    whole = head.new_empty((len(data), *head.shape[1:]))
    whole[: len(head)] = head

    deeper: dict[int, Tensor] = {}  # pictures of more than 8 bits, after ones of 8

    def fill(rows: Any) -> None:
        packed = _pack(data, name, packer, rows)
        _check_alike(name, int(rows[0]), packed, head)
        if packed.is_floating_point() and not whole.is_floating_point():
            deeper[int(rows[0])] = packed
        else:
            whole[int(rows[0]) : int(rows[-1]) + 1] = packed

    waiting = [pool.submit(fill, rows) for rows in chunks[1:]]
    try:
        for each in waiting:
            each.result()
    finally:
        for each in waiting:
            each.cancel()
    if deeper:
        whole = whole.to(torch.float32)
    for start, packed in deeper.items():
        whole[start : start + len(packed)] = packed
    return whole


def _check_alike(name: str, row: int, packed: Tensor, head: Tensor) -> None:
    pictures = {packed.dtype, head.dtype} <= {torch.uint8, torch.float32}
    if packed.shape[1:] != head.shape[1:] or (packed.dtype != head.dtype and not pictures):
        raise DataError(
            f"{name!r}: the examples from row {row} on are {packed.dtype} {tuple(packed.shape[1:])}, "
            f"those before {head.dtype} {tuple(head.shape[1:])}.",
            fix="give the codec a size, rt.Image(28, 28), or make the examples alike",
            path=name,
            expected=tuple(head.shape[1:]),
            got=tuple(packed.shape[1:]),
        )


def _pack(data: Data, name: str, packer: Packer, rows: Any) -> Tensor:
    """Some rows of a column, packed; a failure is told by row."""
    if not len(rows):
        return _pack(data, name, packer, np.zeros(1, np.int64))[:0]
    try:
        packed = packer(_things(data, name, rows))
    except Exception as error:
        raise _located(data, name, packer, rows, error) from error
    if len(packed) != len(rows):
        raise DataError(f"{name!r}: {len(rows)} rows were packed into {len(packed)}.", path=name)
    return packed


def _things(data: Data, name: str, rows: Any) -> Any:
    return data.columns[name].things(data[rows].rows)


def _located(data: Data, name: str, packer: Packer, rows: Any, error: Exception) -> Error:
    """The error of some rows with the rows that are to blame, found by packing each alone."""
    found: list[tuple[int, Exception]] = []
    for row in rows.tolist():
        try:
            packer(_things(data, name, np.array([row])))
        except Exception as alone:
            found.append((row, alone))
    if not found:
        return _told(error, f"{name!r}, rows {rows[0]} to {rows[-1]}", ())
    row, first = found[0]
    others = [f"{_where(data, name, row)} too" for row, _ in found[1:6]]
    if len(found) > 6:
        others.append(f"and {len(found) - 6} more of the {len(rows)} that were packed together")
    at = data.columns[name].name_of(int(data.rows[row]))
    cure = 'rt.data(folder, on_error="skip") leaves unreadable pictures out'
    thing = data.columns[name].item(int(data.rows[row])) if at else None
    bad = isinstance(thing, Path | Member) and unreadable([thing])
    return _told(first, _where(data, name, row, first), others, cure if bad else None)


def _where(data: Data, name: str, row: int, error: Exception | None = None) -> str:
    given = int(data.rows[row])
    at = data.columns[name].name_of(given) or (f"row {given} as given" if given != row else "")
    return f"{name!r}, row {row}" + (f" ({at})" if at and at not in str(error) else "")


def _told(error: Exception, where: str, others: Iterable[str], cure: str | None = None) -> Error:
    if not isinstance(error, Error):
        return DataError(f"{where}: {type(error).__name__}: {error}", because=others, fix=cure, path=where)
    message = error.message.replace(" row 0:", "", 1)  # the number in a list of one
    return type(error)(
        f"{where}: {message}",
        because=[*error.because, *others],
        fix=error.fix or cure,
        path=where,
        expected=error.expected,
        got=error.got,
    )
