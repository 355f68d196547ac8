"""Whole files or none: what stood under a path before stays until what replaces it is on the disk."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterable
from contextlib import suppress
from typing import TypeAlias

from retia.errors import FileError, MissingFileError, plain

Chunk: TypeAlias = "bytes | memoryview"


TEMPORARY = (".retia-", ".tmp")
"""How the names begin and end under which files are written before they take their places."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says where there is no more room."""


def write(path: str, chunks: Iterable[Chunk], *, size: int | None = None) -> None:
    """Write a file in one step.

    It is written next to its place under another name, flushed to the disk, and then takes the place.
    A link keeps pointing where it pointed; a file that was there keeps its permissions.

    Args:
        path: where to.
        chunks: what it will hold, in order.
        size: of all of them in bytes, for the error that tells how many are missing.
    Raises:
        FileError: the folder is missing or closed, the disk is full, the path is a folder or a device.
            What was there is as it was.
    Example:
        >>> import pathlib, tempfile
        >>> place = pathlib.Path(tempfile.mkdtemp()) / "note"
        >>> write(str(place), [b"all ", b"of it"])
        >>> place.read_text()
        'all of it'
    """
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    temporary = os.path.join(folder, secrets.token_hex(8).join(TEMPORARY))
    try:
        mode = _mode(target)
        _fill(temporary, chunks, mode)
        os.replace(temporary, target)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            raise _no_room(path, folder, size, error) from None
        raise
    _flush_folder(folder)


def failed(path: str, what: str, error: OSError, more: str = "") -> FileError:
    """The error of a path that the system refuses, in its words, and ``more`` of ours."""
    kind = MissingFileError if isinstance(error, FileNotFoundError) else FileError
    made = kind(f"{plain(path)}: {what}: {error.strerror or error}.{more}", path=path)
    made.errno, made.filename = error.errno, path
    return made


def made_folder(folder: str) -> str:
    """A folder that is there, made if it was not.

    Raises:
        FileError: it cannot be made, or is a file.
    """
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise failed(folder, "cannot be made as a folder", error) from None
    return folder


def _no_room(path: str, folder: str, size: int | None, error: OSError) -> FileError:
    """The error of a file that was not written; where the room did not suffice, with the bytes missing."""
    if error.errno not in FULL or size is None:
        return failed(path, "could not be written", error)
    free = None
    with suppress(OSError):
        free = shutil.disk_usage(folder).free
    why = ""
    if free is not None and free < size:
        why = f"; {free:,} are free, {size - free:,} are missing"
    elif error.errno == errno.EFBIG:
        why = ", more than one file may have here (ulimit -f)"
    elif error.errno == errno.EDQUOT:
        why = ", more than the quota leaves"
    more = f" It takes {size:,} bytes{why}. What was there is as it was."
    made = failed(path, "could not be written", error, more)
    made.expected, made.got = size, free
    return made


def _mode(target: str) -> int | None:
    if not os.path.lexists(target):
        folder = os.path.dirname(target)
        if not os.path.isdir(folder):
            raise FileNotFoundError(errno.ENOENT, f"there is no folder {folder}")
        return None
    found = os.stat(target).st_mode
    if stat.S_ISDIR(found):
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    if not stat.S_ISREG(found):
        raise OSError(errno.EINVAL, "it is a device or a pipe")
    return stat.S_IMODE(found)


def _fill(temporary: str, chunks: Iterable[Chunk], mode: int | None) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with open(os.open(temporary, flags, 0o666), "wb") as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if mode is not None:
        os.chmod(temporary, mode)


def _flush_folder(folder: str) -> None:
    """Put the new name on the disk too, where the system can (it is in place already)."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
