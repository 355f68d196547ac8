"""Zip and tar archives, read member by member and never unpacked to disk.

An archive is looked over before anything of it is read: names that lead outside, names alike but for case,
links, devices, encrypted and oversized members refuse it as a whole. A member is read into memory, at most
``LARGEST`` bytes of it. Members of a compressed tar cannot be reached singly, so they are all read at once.
"""

from __future__ import annotations

import io
import os
import stat
import tarfile
import threading
import unicodedata
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from retia._late import Late
from retia.errors import DataError
from retia.sources.columns import Column, Rows

if TYPE_CHECKING:
    import hashlib
else:
    hashlib = Late("hashlib")

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
LARGEST = 1 << 28
"""Bytes of the largest member that is read."""

TOGETHER = 1 << 31
"""Bytes that the members of a compressed tar may have together, for they are kept in memory."""

MEMBERS = 2_000_000
RATIO = 200
"""So many times its packed size may an archive be unpacked; small ones are let off."""

LET_OFF = 1 << 26


@dataclass(frozen=True)
class Member:
    """A file in an archive; a thing to open, as an open file is, and as often as one likes.

    Attributes:
        archive: that holds it.
        path: in the archive.
    """

    archive: Archive
    path: str

    @property
    def name(self) -> str:
        """The archive's path, then the member's."""
        return f"{self.archive.path}/{self.path}"

    def read(self, size: int = -1) -> bytes:
        """Its bytes from the beginning, at most ``size`` of them."""
        return self.archive.read(self.path, size)

    def open(self) -> io.BytesIO:
        """It as an open file, for what must go back and forth: ``PIL.Image.open(member.open())``."""
        return io.BytesIO(self.read())

    def __repr__(self) -> str:
        return f"<Member {self.name}>"


class Archive:
    """A zip or tar file that was looked over.

    Args:
        path: of the archive.
    Attributes:
        files: the paths of its members, in the archive's order; hidden ones are left out.
    Raises:
        DataError: it cannot be read, or is not to be trusted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reading = threading.Lock()
        try:
            read = self._zip() if zipfile.is_zipfile(path) else self._tar()
        except FileNotFoundError:
            raise DataError(f"{path} is not there.", path=str(path)) from None
        except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, ValueError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{path} cannot be read as an archive: {error}.", path=str(path)) from None
        self._read: dict[str, Callable[[int], bytes]] = read
        self.files = tuple(read)

    def read(self, member: str, size: int = -1) -> bytes:
        """The beginning of a member, all of it where no size is given.

        Raises:
            DataError: it is damaged, or more than is read.
        """
        most = LARGEST + 1 if size < 0 else min(size, LARGEST + 1)
        try:
            with self._reading:  # a tar's file has one place to read at
                found = self._read[member](most)
        except Exception as error:  # what the unpackers meet in damaged files
            raise DataError(
                f"{self.path}/{member} is damaged: {error}.", path=f"{self.path}/{member}"
            ) from None
        if len(found) > LARGEST:
            raise self._refused(member, f"has more than {LARGEST:,} bytes")
        return found

    def _zip(self) -> dict[str, Callable[[int], bytes]]:
        opened = zipfile.ZipFile(self.path)
        every = opened.infolist()
        faults = self._faults((each.filename, _zip_fault(each)) for each in every)
        self._check(faults, len(every), sum(each.file_size for each in every))

        def reader(info: zipfile.ZipInfo) -> Callable[[int], bytes]:
            def read(size: int) -> bytes:
                with opened.open(info) as file:
                    return file.read(size)

            return read

        return {each.filename: reader(each) for each in every if not each.is_dir() and _seen(each.filename)}

    def _tar(self) -> dict[str, Callable[[int], bytes]]:
        plain = not self.path.name.lower().endswith(ENDINGS[2:])
        every: list[tuple[str, str]] = []
        found: dict[str, Callable[[int], bytes]] = {}
        total = 0
        with tarfile.open(self.path, "r:" if plain else "r|*") as opened:
            for info in opened:
                every.append((info.name, _tar_fault(info)))
                total += info.size
                if len(every) > MEMBERS or (not plain and total > TOGETHER):
                    break
                if info.isreg() and not every[-1][1] and _seen(info.name):
                    found[info.name] = self._slice(info) if plain else _kept(opened, info)
        self._check(self._faults(every), len(every), 0)
        if not plain and total > TOGETHER:
            raise DataError(
                f"{self.path} is compressed as a whole and unfolds to more than {TOGETHER:,} bytes.",
                fix="pack it as zip, or as tar without compression: members are then read singly",
                path=str(self.path),
            )
        return found

    def _slice(self, info: tarfile.TarInfo) -> Callable[[int], bytes]:
        def read(size: int) -> bytes:
            with open(self.path, "rb") as file:
                file.seek(info.offset_data)
                found = file.read(min(size, info.size))
            if len(found) < min(size, info.size):
                raise EOFError("the archive ends in it")
            return found

        return read

    def _faults(self, every: Iterable[tuple[str, str]]) -> list[str]:
        """What speaks against an archive, member by member."""
        faults = []
        alike: dict[str, str] = {}
        for name, fault in every:
            fault = fault or _name_fault(name)
            key = unicodedata.normalize("NFC", name.rstrip("/")).casefold()
            if not fault and not name.endswith("/") and key in alike:
                same = alike[key] == name
                fault = "is there twice" if same else f"differs from {alike[key]!r} in case alone"
            alike.setdefault(key, name)
            faults += [f"{name!r} {fault}"] if fault else []
        return faults

    def _check(self, faults: list[str], members: int, total: int) -> None:
        packed = os.path.getsize(self.path)
        if members > MEMBERS:
            faults.insert(0, f"it has more than {MEMBERS:,} members")
        if total > LET_OFF and total > RATIO * packed:
            faults.insert(0, f"its {packed:,} bytes unfold to {total:,}, more than {RATIO} times as many")
        if faults:
            more = [f"and {len(faults) - 10:,} more"] if len(faults) > 10 else []
            raise DataError(
                f"{self.path} is not read: {faults[0]}.",
                because=[*faults[1:10], *more],
                fix="pack the pictures again, as plain files",
                path=str(self.path),
                got=faults,
            )

    def _refused(self, member: str, why: str) -> DataError:
        return DataError(f"{self.path}/{member} is not read: it {why}.", path=f"{self.path}/{member}")


class MemberColumn(Column):
    """A column of files in an archive. A thing is a ``Member``; whoever encodes it reads it.

    Args:
        archive: that holds them.
        names: of the members.
        kind: what they are, in a few words.
    """

    def __init__(self, archive: Archive, names: Iterable[str], kind: str = "picture file") -> None:
        self.archive = archive
        self.names = tuple(names)
        self._kind = kind

    def __len__(self) -> int:
        return len(self.names)

    def item(self, row: int) -> Member:
        return Member(self.archive, self.names[row])

    def things(self, rows: Rows) -> list[Member]:
        return [self.item(row) for row in rows]

    def labels(self, rows: Rows) -> None:
        return None

    def kind(self) -> str:
        return f"{self._kind} in an archive"

    def feed_hash(self, rows: Rows, update: Callable[[bytes], None]) -> None:
        for row in rows:
            update(f"{self.names[row]}\0".encode())
            update(hashlib.sha256(self.archive.read(self.names[row])).digest())

    def name_of(self, row: int) -> str:
        return self.item(row).name


def is_archive(path: Path) -> bool:
    """Whether a file's name is that of an archive that is read."""
    return path.name.lower().endswith(ENDINGS)


def _kept(opened: tarfile.TarFile, info: tarfile.TarInfo) -> Callable[[int], bytes]:
    file = opened.extractfile(info)
    assert file is not None
    content = file.read()
    return lambda size: content[:size]


def _seen(name: str) -> bool:
    return not any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _name_fault(name: str) -> str:
    parts: Sequence[str] = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0] or "\0" in name:
        return "leads outside the archive"
    return ""


def _zip_fault(info: zipfile.ZipInfo) -> str:
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    if info.flag_bits & 1:
        return "is encrypted"
    return f"has {info.file_size:,} bytes, more than {LARGEST:,}" if info.file_size > LARGEST else ""


def _tar_fault(info: tarfile.TarInfo) -> str:
    if not info.isreg() and not info.isdir():
        return "is a link or a device"
    return f"has {info.size:,} bytes, more than {LARGEST:,}" if info.size > LARGEST else ""
