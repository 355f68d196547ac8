"""Files of arrays that are kept for another run: written in one step, read by mapping them into memory.

A file is safetensors; its last array is the sha256 of the bytes of all others, so that it can be written as
what it holds is being made. What is damaged, strange or of another key is passed over, never an error.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from retia import _atomic
from retia._late import numpy as np
from retia._torch import torch
from retia.errors import FormatError
from retia.formats import header
from retia.formats.header import DTYPES, Entry

if TYPE_CHECKING:
    from torch import Tensor

SUM = "sha256"
"""The path of the sum."""

KEY = "retia.key"


@dataclass(frozen=True)
class Item:
    """An array that is written.

    Attributes:
        like: whose type its numbers have.
        shape: of the whole.
        blocks: its rows, some at a time, in order.
    """

    like: torch.dtype
    shape: tuple[int, ...]
    blocks: Iterable[Tensor]

    @classmethod
    def of(cls, tensor: Tensor) -> Item:
        """An array that is there."""
        return cls(tensor.dtype, tuple(tensor.shape), [tensor])


def put(path: str, items: Mapping[str, Item], key: str) -> None:
    """Write a file.

    Args:
        path: where to; two processes may write the same at once.
        items: by name.
        key: what the file is known by.
    Raises:
        FileError: the system refuses. What was there is as it was.
    """
    entries = header.lay_out((name, _name(item.like), item.shape) for name, item in items.items())
    end = entries[-1].end if entries else 0
    last = Entry(SUM, "U8", (32,), end, end + 32)
    _atomic.write(path, _chunks([*entries, last], items, key))


def _chunks(entries: list[Entry], items: Mapping[str, Item], key: str) -> Iterator[bytes | memoryview]:
    yield header.write(entries, {"format": "pt", KEY: key})
    total = hashlib.sha256()
    for entry in entries[:-1]:
        for block in items[entry.path].blocks:
            chunk = block.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
            total.update(chunk)
            yield chunk
    yield total.digest()


def get(path: str, key: str) -> dict[str, Tensor] | None:
    """The arrays of a file, as read-only maps of it; None where there is none, or not what is looked for.

    Args:
        path: of the file.
        key: that it must have.
    """
    with suppress(OSError, FormatError, ValueError):
        with open(path, "rb") as file:
            found = header.read(file, os.fstat(file.fileno()).st_size)
        if found.metadata.get(KEY) != key or not found.entries or found.entries[-1].path != SUM:
            return None
        data = np.memmap(path, np.uint8, "r")[found.start :]
        last = found.entries[-1]
        if hashlib.sha256(data[: last.begin].data).digest() == data[last.begin : last.end].tobytes():
            return {entry.path: _tensor(data[entry.begin : entry.end], entry) for entry in found.entries[:-1]}
    return None


def _tensor(data: np.ndarray, entry: Entry) -> Tensor:
    dtype = getattr(torch, DTYPES[entry.dtype][0])
    if not len(data):
        return torch.empty(entry.shape, dtype=dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numbers that cannot be written; nobody writes to what is packed
        return torch.from_numpy(data).view(dtype).reshape(entry.shape)


def _name(dtype: torch.dtype) -> str:
    return next(name for name, (known, _) in DTYPES.items() if getattr(torch, known) == dtype)
