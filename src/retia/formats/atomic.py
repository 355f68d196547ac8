"""Whole files or none: what stood under a path before stays until what replaces it is on the disk."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterable
from contextlib import suppress
from typing import TypeAlias

from retia.errors import FileError, MissingFileError
from retia.formats.strict import plain

Chunk: TypeAlias = "bytes | memoryview"


def write(path: str, chunks: Iterable[Chunk]) -> None:
    """Write a file in one step.

    It is written next to its place under another name, flushed to the disk, and then takes the place.
    A link keeps pointing where it pointed; a file that was there keeps its permissions.

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
    temporary = os.path.join(folder, f".retia-{secrets.token_hex(8)}.tmp")
    try:
        mode = _mode(target)
        _fill(temporary, chunks, mode)
        os.replace(temporary, target)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            raise failed(path, "could not be written", error) from None
        raise
    _flush_folder(folder)


def failed(path: str, what: str, error: OSError) -> FileError:
    """The error of a path that the system refuses, in its words."""
    kind = MissingFileError if isinstance(error, FileNotFoundError) else FileError
    made = kind(f"{plain(path)}: {what}: {error.strerror or error}.", path=path)
    made.errno, made.filename = error.errno, path
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
