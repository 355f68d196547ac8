"""The header of a safetensors file: what stands where, read strictly and written alike for equal nets.

A file is eight bytes with the header's length, the header (JSON, filled up with spaces), and the
arrays' bytes without a gap. Common readers let pass what here is refused: repeated keys, further
fields, names that a terminal would act on, bytes that belong to nothing. Nothing is allocated for
arrays before all of it is checked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, NoReturn

from retia.errors import FormatError
from retia.formats import strict
from retia.formats.strict import quote

MOST_ARRAYS = 50_000
MOST_AXES = 32
LARGEST_AXIS = 2**48
METADATA = "__metadata__"

DTYPES = {
    "F64": ("float64", 8), "F32": ("float32", 4), "F16": ("float16", 2), "BF16": ("bfloat16", 2),
    "F8_E4M3": ("float8_e4m3fn", 1), "F8_E5M2": ("float8_e5m2", 1),
    "I64": ("int64", 8), "I32": ("int32", 4), "I16": ("int16", 2), "I8": ("int8", 1),
    "U64": ("uint64", 8), "U32": ("uint32", 4), "U16": ("uint16", 2), "U8": ("uint8", 1), "BOOL": ("bool", 1),
}  # fmt: skip
"""Types of numbers by their names in files: PyTorch's name, and the bytes of one."""


@dataclass(frozen=True)
class Entry:
    """An array in a file.

    Attributes:
        path: as the net calls it.
        dtype: as files call it, ``"F32"``.
        shape: sizes of its axes.
        begin: where it starts, in bytes after the header. end: where it stops.
    """

    path: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class Header:
    """What a file says of itself.

    Attributes:
        entries: the arrays, in the order of their bytes.
        metadata: texts by name.
        start: where the arrays' bytes begin in the file.
    """

    entries: tuple[Entry, ...]
    metadata: Mapping[str, str]
    start: int


def read(file: BinaryIO, size: int) -> Header:
    """The header of a file of ``size`` bytes, from its beginning. Raises ``FormatError``."""
    if size < 8:
        raise FormatError(f"a net's file has at least 8 bytes; this one has {size}.", got=size)
    length = int.from_bytes(file.read(8), "little")
    if length > strict.MOST_TEXT:
        raise FormatError(
            f"its header would have {length:,} bytes, at most {strict.MOST_TEXT:,} are read.",
            expected=strict.MOST_TEXT,
            got=length,
        )
    if length > size - 8:
        raise FormatError(f"its header would have {length:,} bytes, but {size - 8:,} follow.", got=length)
    data = strict.parse(_text(file.read(length), length), "the header")
    metadata = data.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        _refuse("its metadata is not a table of texts")
    return Header(_entries(data, size - 8 - length), metadata, 8 + length)


def _text(raw: bytes, length: int) -> str:
    if len(raw) != length:
        _refuse("the file became shorter while it was read")
    if not raw.startswith(b"{") or not raw.rstrip(b" ").endswith(b"}"):
        _refuse("its header does not begin with '{' and end with '}'")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        return _refuse(f"its header is not UTF-8 at byte {error.start}")


def _entries(data: dict[str, Any], size: int) -> tuple[Entry, ...]:
    if len(data) > MOST_ARRAYS:
        _refuse(f"it has {len(data):,} arrays, at most {MOST_ARRAYS:,} are read")
    entries = sorted((_entry(path, each) for path, each in data.items()), key=lambda e: (e.begin, e.end))
    at = 0
    for entry in entries:
        if entry.begin != at:
            why = "overlap" if entry.begin < at else "leave a gap"
            _refuse(f"the bytes of {quote(entry.path)} and those before it {why} at {min(at, entry.begin):,}")
        at = entry.end
    if at != size:
        _refuse(f"its arrays have {at:,} bytes, but {size:,} follow the header")
    return tuple(entries)


def _entry(path: str, data: Any) -> Entry:
    check_path(path)
    if not isinstance(data, dict) or set(data) != {"dtype", "shape", "data_offsets"}:
        _refuse(f"{quote(path)} is not described by dtype, shape and data_offsets alone")
    dtype, shape, offsets = data["dtype"], data["shape"], data["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        _refuse(f"{quote(path)} has dtype {quote(str(dtype))}; known are {', '.join(DTYPES)}")
    if not _are_sizes(shape, LARGEST_AXIS) or len(shape) > MOST_AXES:
        _refuse(
            f"the shape of {quote(path)} is {quote(str(shape))}; expected at most {MOST_AXES} whole numbers "
            f"from 0 to 2**48"
        )
    if not _are_sizes(offsets, 2**63) or len(offsets) != 2:
        _refuse(f"the data_offsets of {quote(path)} are {quote(str(offsets))}; expected two whole numbers")
    bytes_wanted = math.prod(shape) * DTYPES[dtype][1]
    if offsets[1] - offsets[0] != bytes_wanted:
        _refuse(
            f"{quote(path)} is {dtype} of shape {tuple(shape)}, {bytes_wanted:,} bytes, but its data_offsets "
            f"span {offsets[1] - offsets[0]:,}"
        )
    return Entry(path, dtype, tuple(shape), offsets[0], offsets[1])


def _are_sizes(values: Any, most: int) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value <= most for value in values)


def check_path(path: str) -> None:
    """Refuse an array's path that no file should hold."""
    if not path or not path.isprintable() or len(path) > strict.LONGEST_KEY or path == METADATA:
        _refuse(f"{quote(path)} cannot be an array's path")


def lay_out(arrays: Iterable[tuple[str, str, tuple[int, ...]]]) -> tuple[Entry, ...]:
    """Places for arrays (path, dtype, shape): the widest numbers first, so that all stand aligned."""
    entries: list[Entry] = []
    at = 0
    for path, dtype, shape in sorted(arrays, key=lambda array: (-DTYPES[array[1]][1], array[0])):
        end = at + math.prod(shape) * DTYPES[dtype][1]
        entries.append(Entry(path, dtype, shape, at, end))
        at = end
    return tuple(entries)


def write(entries: Iterable[Entry], metadata: Mapping[str, str]) -> bytes:
    """The first bytes of a file: length and header, filled up to a multiple of eight."""
    data: dict[str, Any] = {METADATA: dict(sorted(metadata.items()))}
    for entry in entries:
        check_path(entry.path)
        offsets = [entry.begin, entry.end]
        data[entry.path] = {"dtype": entry.dtype, "shape": list(entry.shape), "data_offsets": offsets}
    text = json.dumps(data, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _refuse(why: str) -> NoReturn:
    raise FormatError(f"{why}.")
