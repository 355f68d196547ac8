"""Checkpoints: a folder in which a training keeps its last two states, so that no moment can lose both.

A state is a record, ``step-000000001200.safetensors``, written under another name, flushed, renamed, and
only then is an older one removed. Which is the newest is found by looking, never by a pointer that could
be wrong; one that is damaged is passed over, and that is said. One training at a time writes to a folder.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from retia import _atomic
from retia.errors import ArgumentError, FileError, FormatError, MissingFileError, plain
from retia.formats.container import place_of
from retia.formats.record import NewerFormatError, read_record, write_record
from retia.nets.settings import whole

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

if TYPE_CHECKING:
    from torch import Tensor

KIND = "checkpoint"
NAME = re.compile(r"step-(\d{12})\.safetensors")
LAST_STEP = 10**12 - 1
LOCK = ".lock"
FAR = 2**30
"""The byte that is locked: where the system locks bytes, those before it can still be read."""
BUSY = (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)


@dataclass(frozen=True)
class Checkpoint:
    """A state of a training, from its folder.

    Attributes:
        step: how many were done.
        tensors: by name, on the CPU.
        facts: JSON data, as it was written.
        path: the file.
        notes: sentences on newer files that could not be used; empty where all is well.
    """

    step: int
    tensors: dict[str, Tensor]
    facts: Any
    path: Path
    notes: tuple[str, ...] = ()


class CheckpointFolder:
    """A folder of checkpoints, for one training at a time: a context that holds its lock.

    Args:
        folder: made if it is not there.
        new: refuse one that holds checkpoints already.
    Raises:
        FileError: it cannot be made, or (on entering) another training writes to it.
        ArgumentError: it is new and holds checkpoints.
    Example:
        >>> import tempfile, torch
        >>> with CheckpointFolder(tempfile.mkdtemp()) as folder:
        ...     for step in (100, 200, 300):
        ...         _ = folder.write(step, {"w": torch.ones(2)}, {"history": []})
        ...     print(folder.steps(), folder.read().step)
        [200, 300] 300
    """

    def __init__(self, folder: str | os.PathLike[str], *, new: bool = False) -> None:
        self.place = Path(os.path.abspath(place_of(folder)))
        self._new = new
        self._lock: int | None = None
        self._known: set[int] = set()
        self._good: list[int] = []

    def __enter__(self) -> CheckpointFolder:
        _atomic.made_folder(str(self.place))
        self._lock = _lock(self.place)
        try:
            if self._new and self.steps():
                raise ArgumentError(
                    f"checkpoint: {plain(str(self.place))} holds a training of {self.steps()[-1]:,} steps.",
                    fix="resume=True goes on from there; another folder keeps both",
                    path=str(self.place),
                )
            self._known = {*self.steps()}
            self._sweep()
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    def steps(self) -> list[int]:
        """The steps after which there is a checkpoint, damaged ones too, in order."""
        return steps_in(self.place)

    def read(self) -> Checkpoint:
        """The newest checkpoint that is whole. Raises as ``read_checkpoint`` does."""
        found = read_checkpoint(self.place)
        self._good.append(found.step)
        return found

    def write(self, step: int, tensors: Mapping[str, Tensor], facts: Any) -> Path:
        """Write a checkpoint; when it is on the disk, all but it and the last one before it are removed.

        A damaged one is not counted: the one that was read, or written last, stays.

        Args:
            step: how many were done, below 10**12.
            tensors: by name.
            facts: JSON data: finite floats, NaN and infinities keep their bits, tuples become lists.
        Returns:
            The file.
        Raises:
            FileError: the system refuses, with the bytes that are missing where there is no room; or
                checkpoints came from elsewhere. Those that are there stay.
        """
        assert self._lock is not None, "the folder is entered first"
        path = self.place / name_of(step)
        strange = sorted({*self.steps()} - self._known)
        if strange:  # where the file system has no locks
            raise FileError(
                f"checkpoint: {plain(str(self.place))} has a checkpoint of step {strange[-1]:,} that this "
                "training did not write; another one writes to the folder.",
                fix="end that one first, or give this one another folder",
                path=str(self.place),
            )
        write_record(path, KIND, tensors, facts)
        self._known.add(step)
        others = [other for other in self.steps() if other != step]
        good = [other for other in self._good if other in others] or others
        for other in others:
            if other != good[-1]:
                self._remove(other)
        self._good = [*good[-1:], step]
        return path

    def _remove(self, step: int) -> None:
        with suppress(OSError):
            os.unlink(self.place / name_of(step))
            self._known.discard(step)

    def _sweep(self) -> None:
        """Remove what a training that was killed left half written."""
        begin, end = _atomic.TEMPORARY
        for name in os.listdir(self.place):
            if name.startswith(begin) and name.endswith(end):
                with suppress(OSError):
                    os.unlink(self.place / name)

    def _release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def read_checkpoint(folder: str | os.PathLike[str]) -> Checkpoint:
    """The newest checkpoint in a folder that is whole. Nothing in it is executed or imported.

    Args:
        folder: where a training keeps its checkpoints.
    Raises:
        MissingFileError: there is none. NewerFormatError: a newer Retia wrote it.
        FormatError: all are damaged; each is named.
    """
    place = Path(os.path.abspath(place_of(folder)))
    faults: list[str] = []
    for step in reversed(steps_in(place)):
        path = place / name_of(step)
        try:
            found = read_record(path, KIND)
        except NewerFormatError:
            raise
        except FormatError as error:
            faults.append(error.message)
            continue
        notes = tuple(f"{fault} Going on from step {step:,}, the one before." for fault in faults)
        return Checkpoint(step, found.tensors, found.facts, path, notes)
    if faults:
        raise FormatError(
            f"{plain(str(place))}: no checkpoint in it can be used.", because=faults, path=str(place)
        )
    raise MissingFileError(f"{plain(str(place))}: there is no checkpoint in it.", path=str(place))


def steps_in(folder: Path) -> list[int]:
    """The steps after which a folder has checkpoints, in order; none where there is no folder."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _atomic.failed(str(folder), "could not be read", error) from None
    return sorted(int(match[1]) for match in map(NAME.fullmatch, names) if match)


def name_of(step: int) -> str:
    """The name of the checkpoint after so many steps.

    Example:
        >>> name_of(1200)
        'step-000000001200.safetensors'
    """
    return f"step-{whole(0, LAST_STEP)('checkpoint: step', step):012d}.safetensors"


def _lock(place: Path) -> int:
    """An open file that nobody else has locked. The system opens the lock when the process ends, however."""
    path = place / LOCK
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise _atomic.failed(str(path), "could not be opened", error) from None
    try:
        _take(handle)
    except OSError as error:
        if error.errno in BUSY:
            who = plain(os.read(handle, 200).decode(errors="replace")) or "another process"
            os.close(handle)
            made = FileError(
                f"checkpoint: {plain(str(place))} is written to by another training ({who}).",
                fix="end that one first, or give this one another folder",
                path=str(place),
            )
            made.errno, made.filename = error.errno, str(place)
            raise made from None
        # A file system without locks: ``write`` looks for checkpoints from elsewhere.
    with suppress(OSError):
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
    return handle


def _take(handle: int) -> None:
    if sys.platform == "win32":
        os.lseek(handle, FAR, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(handle, 0, os.SEEK_SET)
    else:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
