"""Text files line by line, plain or packed, with limits on everything that grows; and what is wrong in them.

What is wrong with a row is told by its line: all such rows at once in one error, or counted, named and left
out where that is asked.
"""

from __future__ import annotations

import codecs
import gzip
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from retia._late import Late
from retia.errors import DataError, RetiaWarning

if TYPE_CHECKING:
    import bz2
    import lzma
else:
    bz2, lzma = Late("bz2"), Late("lzma")

PACKED = frozenset({".gz", ".bz2", ".xz"})
LONGEST = 1 << 26
"""Bytes of the longest line that is read."""

LARGEST = 1 << 33
"""Bytes of the largest file that is read, unpacked: a small file can unfold to any number."""

TOLD = 10
"""Faults that are told one by one."""


class Faults:
    """What is wrong with a file's rows, by line.

    Args:
        path: of the file.
        on_error: ``"raise"`` or ``"skip"``.
    """

    def __init__(self, path: Path, on_error: str) -> None:
        self.path = path
        self.lines: dict[int, str] = {}
        self._on_error = on_error

    def add(self, line: int, what: str) -> None:
        """Something is wrong with a line; the first thing counts."""
        self.lines.setdefault(line, what)

    def settle(self, rows: int, fix: str) -> None:
        """Raise, or warn of the rows that are left out."""
        if not self.lines:
            return
        told = [f"line {line}{what}" for line, what in sorted(self.lines.items())]
        more = [f"and {len(told) - TOLD:,} more"] if len(told) > TOLD else []
        if self._on_error == "raise" or len(told) == rows:
            raise DataError(
                f"{self.path}, {told[0]}.",
                because=[*told[1:TOLD], *more],
                fix=fix if len(told) == rows else f'{fix}, or leave such rows out: on_error="skip"',
                path=f"{self.path}, line {min(self.lines)}",
                got=sorted(self.lines),
            )
        warnings.warn(
            f"{self.path}: skipped {len(told):,} of {rows:,} rows: {'; '.join([*told[:TOLD], *more])}",
            RetiaWarning,
            stacklevel=5,
        )


@dataclass(frozen=True)
class Places:
    """What the rows of a file are called: its name and their lines."""

    name: str
    lines: Sequence[int]

    def __call__(self, row: int) -> str:
        return f"{self.name}, line {self.lines[row]}"


def ending(path: Path) -> str:
    """What kind of file a name says it is: its ending, that of a packed file before it was packed."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix in PACKED else suffix


def stem(path: Path) -> str:
    """A file's name without its endings."""
    return Path(path.stem).stem if path.suffix.lower() in PACKED else path.stem


def lines_of(path: Path, encoding: str) -> Iterator[str]:
    """The lines of a file with their ends, decoded one by one so that a fault has a line."""
    number, total = 0, 0
    try:
        with _opened(path) as file:
            while raw := _line(file):
                number += 1
                total += len(raw)
                if len(raw) > LONGEST or total > LARGEST:
                    what, limit = ("line", LONGEST) if len(raw) > LONGEST else ("table", LARGEST)
                    raise DataError(
                        f"{path}, line {number}: the {what} has more than {limit:,} bytes.", path=str(path)
                    )
                yield from _decoded(path, number, raw, encoding)
    except FileNotFoundError:
        raise DataError(f"{path} is not there.", path=str(path)) from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}.", path=str(path)) from None


def _line(file: BinaryIO) -> bytes:
    try:
        return file.readline(LONGEST + 1)
    except Exception as error:  # each packer has an error of its own
        raise error if isinstance(error, OSError) else OSError(str(error)) from None


def _opened(path: Path) -> BinaryIO:
    suffix = path.suffix.lower()
    if suffix not in PACKED:
        return open(path, "rb")
    if suffix == ".gz":
        return cast("BinaryIO", gzip.open(path, "rb"))
    return cast("BinaryIO", bz2.open(path, "rb") if suffix == ".bz2" else lzma.open(path, "rb"))


def _decoded(path: Path, number: int, raw: bytes, encoding: str) -> Iterator[str]:
    if number == 1:
        raw = raw.removeprefix(codecs.BOM_UTF8)
        if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise DataError(f"{path} is UTF-16.", fix="save it as UTF-8", path=str(path))
    try:
        line = raw.decode(encoding)
    except UnicodeDecodeError as error:
        byte = raw[error.start]
        raise DataError(
            f"{path}, line {number}: byte 0x{byte:02x} at {error.start} is not {encoding}.",
            fix='encoding="cp1252" reads what Windows writes in the west, "latin-1" any byte',
            path=f"{path}, line {number}",
        ) from None
    if "\r" in line[:-2]:  # lines ended by a carriage return alone
        yield from re.findall(r"[^\r]*\r\n?|[^\r]+$", line)
    else:
        yield line
