"""What every file of Retia's has in common: named arrays, opened, read and told of with care.

A place is opened without waiting for it, only plain files are read, and arrays go into memory of their
own. Whatever is wrong is one ``FormatError`` that names the file and quotes nothing raw.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from retia import _atomic
from retia._torch import torch
from retia.errors import ArgumentError, Error, FileError, FormatError, plain
from retia.formats.foreign import START, recognise
from retia.formats.header import DTYPES, Entry
from retia.formats.strict import quote

if TYPE_CHECKING:
    from torch import Tensor


def place_of(path: Any) -> str:
    """A path as the system takes it.

    Raises:
        ArgumentError: it is none.
    """
    if not isinstance(path, str | bytes | os.PathLike):
        raise ArgumentError(f"a path is a text or a pathlib.Path; got {path!r}.", got=path)
    place = os.fsdecode(path)
    if not place or "\0" in place:
        raise ArgumentError(f"a path is not empty and holds no NUL; got {place!r}.", got=path)
    return place


@contextmanager
def told(place: str, what: str = "net") -> Iterator[None]:
    """Faults inside are told as one ``FormatError`` that names the file and quotes nothing raw.

    Args:
        place: the file. what: it is to hold, in a word.
    """
    try:
        yield
    except FileError:
        raise
    except RecursionError:
        raise FormatError(f"{plain(place)}: its {what} is nested too deeply.", path=place) from None
    except Error as error:
        kind = type(error) if isinstance(error, FormatError) else FormatError
        raise kind(
            f"{plain(place)}: {plain(error.message)}",
            because=[plain(line) for line in error.because],
            fix=plain(error.fix) if error.fix else None,
            path=place,
            expected=error.expected,
            got=error.got,
        ) from error.__cause__


@contextmanager
def opened(place: str, what: str = "net") -> Iterator[tuple[BinaryIO, int]]:
    """A file to read from, and its size in bytes. Faults inside are ``told``."""
    try:
        with told(place, what), open_plain(place) as file:
            start = file.read(START)
            file.seek(0)
            try:
                yield file, os.fstat(file.fileno()).st_size
            except (Error, OSError, RecursionError) as error:
                raise _better(error, start, place, what) from None
            except Exception as fault:
                # A layer's own check that failed: a fault of ours, but the file is still not to be trusted.
                raise FormatError(f"its {what} cannot be made: {type(fault).__name__}: {fault}.") from fault
    except FileError:
        raise
    except OSError as error:
        raise _atomic.failed(place, "could not be read", error) from None


def open_plain(place: str) -> BinaryIO:
    """A plain file, opened unbuffered. Raises ``FormatError`` where it is something else."""
    # Not blocking, for opening a pipe would wait for ever; what is no plain file is refused unread.
    handle = os.open(place, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    mode = os.fstat(handle).st_mode
    if stat.S_ISREG(mode):
        return open(handle, "rb", buffering=0)
    os.close(handle)
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    raise FormatError(f"it is {kinds.get(stat.S_IFMT(mode), 'a device')}, not a file.")


def _better(error: Exception, start: bytes, place: str, what: str) -> Exception:
    """The error, or another where the first bytes tell what the file is instead."""
    kind = recognise(start, place) if isinstance(error, FormatError) and start[8:9] != b"{" else None
    if kind is None:
        return error
    return FormatError(f"it is {kind}, not a {what} that Retia saved. Nothing of it was executed.", got=kind)


def dtype_of(path: str, tensor: Tensor) -> str:
    """What files call an array's type of numbers.

    Raises:
        FormatError: they do not hold such numbers.
    """
    for name, (dtype, _) in DTYPES.items():
        if tensor.dtype == getattr(torch, dtype):
            return name
    raise FormatError(f"{path} is of {tensor.dtype}, which files do not hold.", got=tensor.dtype)


def bytes_of(tensor: Tensor) -> memoryview:
    """The bytes of an array that stands row by row on the CPU."""
    return tensor.reshape(-1).view(torch.uint8).numpy().data


def read_arrays(file: BinaryIO, start: int, entries: Iterable[Entry]) -> dict[str, Tensor]:
    """The arrays, each read into memory of its own: a file that changes later changes none of them.

    Args:
        file: opened. start: where the arrays' bytes begin. entries: checked by ``header.read``.
    """
    file.seek(start)
    arrays = {}
    for entry in entries:
        try:
            with torch.inference_mode(False):
                tensor = torch.empty(entry.shape, dtype=getattr(torch, DTYPES[entry.dtype][0]), device="cpu")
        except (RuntimeError, MemoryError):
            size = entry.end - entry.begin
            raise FormatError(f"{quote(entry.path)}, {size:,} bytes, does not fit into memory.") from None
        _fill(file, bytes_of(tensor))
        if entry.dtype == "BOOL" and tensor.numel() and int(tensor.view(torch.uint8).max()) > 1:
            raise FormatError(f"{quote(entry.path)} holds bytes that are neither true nor false.")
        arrays[entry.path] = tensor
    return arrays


def _fill(file: BinaryIO, buffer: memoryview) -> None:
    while len(buffer):
        number = file.readinto(buffer)  # type: ignore[attr-defined]
        if not number:
            raise FormatError("the file became shorter while it was read.")
        buffer = buffer[number:]
