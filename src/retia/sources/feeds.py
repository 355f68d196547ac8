"""Feeds: examples as compact tensors, by their numbers. Training stands on this.

A *resident* feed packs everything once and keeps it, a *ragged* one too where sizes vary from example to
example; a *streaming* feed packs rows when they are asked for, a few batches ahead. All give the same
tensors. What packs (codecs, mostly) is handed in.
"""

from __future__ import annotations

import importlib
import os
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia._torch import torch
from retia.codecs.arrays import as_numbers, as_tensor
from retia.errors import ArgumentError, DataError, did_you_mean
from retia.sources.packed import Packer, pack, whole
from retia.sources.ragged import SIZES, Ragged

if TYPE_CHECKING:
    from torch import Tensor

    from retia.sources.dataset import Data

AHEAD = 4
QUICK, PATIENCE = 5e-4, 0.01
"""Seconds: batches that are packed so quickly are packed in passing, until slower ones have cost so much.

Measured with a LeNet on two cores: handing 0.1 ms of work to a thread cost a tenth of a step of 8 ms,
because its kernels then waited for a processor.
"""
UNKNOWN_MEMORY = 4 * 2**30
TRIED = 16
"""So many rows of several sizes tell how much memory all of them take."""


class Feed(ABC):
    """The interface of feeds: rows of a set, packed.

    Attributes:
        names: of the columns that are packed.
        varies: whether sizes vary from example to example: then batches are padded, and hold the sizes of
            such a column beside it, under ``SIZES`` and its name.
        streams: whether rows are packed when they are asked for, so that a reader may have to wait.
    """

    names: tuple[str, ...]
    varies: bool = False
    streams: bool = False

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

    def extents(self) -> Tensor | None:
        """How much each example has of what varies, int64; None where nothing does, or it is not known."""
        return None

    def waited(self) -> float:
        """Seconds that readers of ``stream`` have waited until now for rows that were not packed yet."""
        return 0.0

    def part(self, rows: Tensor) -> Feed:
        """Some rows, counted from 0 again, in memory of their own where all rows are in memory."""
        return PartFeed(self, rows)


class ResidentFeed(Feed):
    """A feed that keeps everything, as compact as the packers made it.

    Args:
        tensors: whole columns, packed.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.names, self.tensors = tuple(tensors), tensors

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    def take(self, index: Tensor) -> dict[str, Tensor]:
        return {name: tensor.index_select(0, index) for name, tensor in self.tensors.items()}

    def stream(self, batches: Iterable[Tensor]) -> Iterator[dict[str, Tensor]]:
        return (self.take(index) for index in batches)

    def part(self, rows: Tensor) -> Feed:
        return ResidentFeed(self.take(rows))


class RaggedFeed(Feed):
    """A feed that keeps everything, some of it in rows of several sizes, and pads what is taken together.

    Args:
        columns: whole, packed.
    """

    varies = True

    def __init__(self, columns: Mapping[str, Tensor | Ragged]) -> None:
        self.names, self.columns = tuple(columns), columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def take(self, index: Tensor) -> dict[str, Tensor]:
        return _taken({name: (column, index) for name, column in self.columns.items()})

    def stream(self, batches: Iterable[Tensor]) -> Iterator[dict[str, Tensor]]:
        return (self.take(index) for index in batches)

    def extents(self) -> Tensor | None:
        numels = [column.numels for column in self.columns.values() if isinstance(column, Ragged)]
        return torch.stack(numels).sum(0)

    def part(self, rows: Tensor) -> Feed:
        return resident(
            {
                name: column.part(rows) if isinstance(column, Ragged) else column.index_select(0, rows)
                for name, column in self.columns.items()
            }
        )


class StreamingFeed(Feed):
    """A feed that packs rows when they are asked for.

    Args:
        data: a set that is not empty.
        packers: by column.
        threads: that pack, at least 1.
        varies: whether a packer answers rows of several sizes.
    """

    streams = True

    def __init__(
        self,
        data: Data,
        packers: Mapping[str, Packer],
        *,
        threads: int | None = None,
        varies: bool = False,
    ) -> None:
        _check(data, packers)
        self.names, self.varies = tuple(packers), varies
        self._data = data
        self._packers = dict(packers)
        self._threads = _threads(threads)
        self._waited = self._spent = 0.0

    def __len__(self) -> int:
        return len(self._data)

    def take(self, index: Tensor) -> dict[str, Tensor]:
        every = torch.arange(len(index))
        packed = {n: pack(self._data, n, packer, index.numpy()) for n, packer in self._packers.items()}
        return _taken({name: (column, every) for name, column in packed.items()}, whole=True)

    def stream(self, batches: Iterable[Tensor]) -> Iterator[dict[str, Tensor]]:
        coming = iter(batches)
        while self._spent < PATIENCE:  # a thread would take the processor from the step
            index = next(coming, None)
            if index is None:
                return
            begun = time.perf_counter()
            with torch.inference_mode(False):  # as in a thread, which has no mode of the reader's
                packed = self.take(index)
            took = time.perf_counter() - begun
            self._waited += took
            self._spent += max(0.0, took - QUICK)
            yield packed
        yield from self._ahead(coming)

    def _ahead(self, coming: Iterator[Tensor]) -> Iterator[dict[str, Tensor]]:
        """The batches, packed by threads while others are used."""
        waiting: deque[Future[dict[str, Tensor]]] = deque()
        pool = ThreadPoolExecutor(self._threads)
        try:
            while True:
                while len(waiting) < self._threads + AHEAD and (index := next(coming, None)) is not None:
                    waiting.append(pool.submit(self.take, index))
                if not waiting:
                    return
                yield self._result(waiting.popleft())
        finally:  # also when the reader stops early, or a batch failed
            pool.shutdown(wait=True, cancel_futures=True)

    def _result(self, coming: Future[dict[str, Tensor]]) -> dict[str, Tensor]:
        if coming.done():
            return coming.result()
        begun = time.perf_counter()
        try:
            return coming.result()
        finally:
            self._waited += time.perf_counter() - begun

    def waited(self) -> float:
        return self._waited


class JoinedFeed(Feed):
    """Columns of two feeds of the same examples, side by side."""

    def __init__(self, one: Feed, other: Feed) -> None:
        self.names = (*one.names, *other.names)
        self.varies, self.streams = one.varies or other.varies, one.streams or other.streams
        self._one, self._other = one, other

    def __len__(self) -> int:
        return len(self._one)

    def take(self, index: Tensor) -> dict[str, Tensor]:
        return {**self._one.take(index), **self._other.take(index)}

    def stream(self, batches: Iterable[Tensor]) -> Iterator[dict[str, Tensor]]:
        every = list(batches)
        for one, other in zip(self._one.stream(every), self._other.stream(every), strict=True):
            yield {**one, **other}

    def waited(self) -> float:
        return self._one.waited() + self._other.waited()

    def extents(self) -> Tensor | None:
        one, other = self._one.extents(), self._other.extents()
        return other if one is None else one if other is None else one + other


class PartFeed(Feed):
    """Some rows of another feed, counted from 0 again; nothing is copied.

    Args:
        whole: the other feed.
        rows: int64, its rows in their new order.
    """

    def __init__(self, whole: Feed, rows: Tensor) -> None:
        self.names, self.varies, self.streams = whole.names, whole.varies, whole.streams
        self._whole, self._rows = whole, rows

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, index: Tensor) -> dict[str, Tensor]:
        return self._whole.take(self._rows[index])

    def stream(self, batches: Iterable[Tensor]) -> Iterator[dict[str, Tensor]]:
        return self._whole.stream(self._rows[index] for index in batches)

    def waited(self) -> float:
        return self._whole.waited()

    def extents(self) -> Tensor | None:
        every = self._whole.extents()
        return None if every is None else every[self._rows]

    def part(self, rows: Tensor) -> Feed:
        return self._whole.part(self._rows[rows])


def joined(one: Feed, other: Feed) -> Feed:
    """The columns of two feeds of the same examples in one, resident where both are."""
    if isinstance(one, ResidentFeed) and isinstance(other, ResidentFeed):
        return ResidentFeed({**one.tensors, **other.tensors})
    return JoinedFeed(one, other)


def feed(
    data: Data, packers: Mapping[str, Packer], *, limit: int | None = None, threads: int | None = None
) -> Feed:
    """The feed that suits a set: resident where the packed columns fit, else streaming; or what it asks for.

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
    tried = [_tried(data, name, packer) for name, packer in packers.items()]
    if sum(needed for needed, _ in tried) > limit or data.streams:
        return StreamingFeed(data, packers, threads=threads, varies=any(varies for _, varies in tried))
    return resident(columns(data, packers, threads=threads))


def _tried(data: Data, name: str, packer: Packer) -> tuple[float, bool]:
    """How many bytes a column takes when it is packed, and whether its rows vary in size.

    Where all rows are as large as the first no other one is packed for it: pictures take their time.
    """
    one = pack(data, name, packer, np.zeros(1, np.int64))
    if not isinstance(one, Ragged):
        return len(data) * one.numel() * one.element_size(), False
    rows = np.unique(np.linspace(0, len(data) - 1, TRIED).astype(np.int64))
    some = pack(data, name, packer, rows)
    assert isinstance(some, Ragged)
    return len(data) / len(rows) * some.values.numel() * some.values.element_size(), True


def columns(
    data: Data, packers: Mapping[str, Packer], *, threads: int | None = None
) -> dict[str, Tensor | Ragged]:
    """Whole columns of a set, packed; its arguments are those of ``feed``."""
    _check(data, packers)
    with ThreadPoolExecutor(_threads(threads)) as pool:
        return {name: whole(data, name, packer, pool) for name, packer in packers.items()}


def resident(columns: Mapping[str, Tensor | Ragged]) -> Feed:
    """The feed of columns that are packed already."""
    plain = {name: column for name, column in columns.items() if not isinstance(column, Ragged)}
    return ResidentFeed(plain) if len(plain) == len(columns) else RaggedFeed(columns)


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
    return min([*free, *_allowed()])


def _allowed() -> list[int]:
    """Bytes that the limits of this process still allow (``ulimit -v`` and ``-d``), where there are any."""
    found: list[int] = []
    with suppress(ImportError, OSError, ValueError):
        limits = importlib.import_module("resource")
        told = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        for name, used in (("RLIMIT_AS", "VmSize"), ("RLIMIT_DATA", "VmData")):
            most = limits.getrlimit(getattr(limits, name))[0]
            if most != limits.RLIM_INFINITY:
                found.append(max(0, most - 1024 * int(told[used].split()[0])))
    return found


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


def _taken(
    columns: Mapping[str, tuple[Tensor | Ragged, Tensor]], *, whole: bool = False
) -> dict[str, Tensor]:
    """Rows of columns, those of several sizes with their sizes; ``whole`` ones as they are."""
    found = {}
    for name, (column, index) in columns.items():
        if isinstance(column, Ragged):
            found[name], found[SIZES + name] = column.take(index)
        else:
            found[name] = column if whole else column.index_select(0, index)
    return found
