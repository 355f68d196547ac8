"""Arrays by name, wherever they are kept: safetensors, NumPy's ``.npz``, PyTorch's ``.pt``, or a dict.

Of a file the names, shapes and types are read first, and only arrays that are asked for afterwards, so that
no file decides how much memory is taken. Nothing in a file is executed: ``.npz`` without pickles, ``.pt``
by ``torch.load(weights_only=True)`` and in no other way.
"""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from retia import _atomic
from retia._late import numpy as np
from retia._torch import torch
from retia.errors import ArgumentError, Error, FormatError
from retia.formats import header
from retia.formats.container import open_plain, place_of, read_arrays, told
from retia.formats.foreign import START, recognise
from retia.formats.header import DTYPES, MOST_ARRAYS, MOST_AXES
from retia.formats.strict import quote

if TYPE_CHECKING:
    from torch import Tensor

MOST_LEVELS = 8
"""Dicts within dicts of a PyTorch file."""

LONGEST_HEADER = 10_000
"""Bytes that an array's description in an ``.npz`` may have."""

ZIP = b"PK\x03\x04"
WHAT = "set of arrays"


@dataclass(frozen=True)
class Stored:
    """An array that can be read.

    Attributes:
        shape: sizes of its axes.
        kind: PyTorch's name of its type, ``"float32"``.
        read: answers it, on the CPU; it may share memory with where it is kept.
    """

    shape: tuple[int, ...]
    kind: str
    read: Callable[[], Tensor]


@contextmanager
def stored_arrays(source: Any) -> Iterator[Mapping[str, Stored]]:
    """The arrays of a source by name, to be read as long as the context lasts.

    Args:
        source: a dict of tensors, NumPy arrays or nested lists; or a path.
    Raises:
        ArgumentError: it is neither. FormatError: the file holds no arrays, is damaged, or would have to be
            executed. MissingFileError: there is no such file.
    Example:
        >>> with stored_arrays({"weight": [[1.0, 2.0]]}) as found:
        ...     found["weight"].shape, found["weight"].kind
        ((1, 2), 'float32')
    """
    if isinstance(source, Mapping):
        yield {_name(name): _of(value, name) for name, value in source.items()}
        return
    if isinstance(source, torch.nn.Module):
        raise ArgumentError("a module is no dict of arrays.", fix="module.state_dict()", got=source)
    place = place_of(source)
    try:
        with told(place, WHAT), open_plain(place) as file:
            start = file.read(START)
            size = file.seek(0, 2)
            file.seek(0)
            with _reader(start, place)(file, size, place) as found:
                yield found
    except OSError as error:
        if isinstance(error, Error):
            raise
        raise _atomic.failed(place, "could not be read", error) from None


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise ArgumentError(f"arrays go by name, a text; got {name!r}.", got=name)
    return name


def _of(value: Any, name: str) -> Stored:
    try:
        tensor = value.detach() if isinstance(value, torch.Tensor) else torch.as_tensor(np.array(value))
    except (TypeError, ValueError, RuntimeError):
        raise ArgumentError(
            f"{name} is no array of numbers; got {type(value).__name__}.", got=value
        ) from None
    if tensor.dtype == torch.float64 and isinstance(value, list | tuple | float):
        tensor = tensor.float()
    return _stored(tensor)


def _stored(tensor: Tensor) -> Stored:
    return Stored(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), lambda: tensor)


def _reader(start: bytes, place: str) -> Any:
    """How to read a file that begins so."""
    if start.startswith(ZIP):
        return _zip
    if start[:1] == b"\x80":
        _check_protocol(start)
        return _pickled
    kind = recognise(start, place)
    if kind is not None and start[8:9] != b"{":
        raise FormatError(
            f"it is {kind}, which holds no arrays by name.", fix="a .safetensors, .npz or .pt file", got=kind
        )
    return _safetensors


@contextmanager
def _safetensors(file: BinaryIO, size: int, place: str) -> Iterator[Mapping[str, Stored]]:
    found = header.read(file, size)

    def read(entry: header.Entry) -> Tensor:
        return read_arrays(file, found.start + entry.begin, [entry])[entry.path]

    yield {
        entry.path: Stored(entry.shape, DTYPES[entry.dtype][0], partial(read, entry))
        for entry in found.entries
    }


# NumPy's archives ---------------------------------------------------------------------------------


@contextmanager
def _zip(file: BinaryIO, size: int, place: str) -> Iterator[Mapping[str, Stored]]:
    with _damage_told("the archive"):
        archive = zipfile.ZipFile(file)
    with archive:
        members = archive.infolist()
        _check_members(members, size)
        if any(member.filename.endswith("data.pkl") for member in members):
            _check_torch(archive, members)
            with _pickled(file, size, place) as found:
                yield found
            return
        yield {member.filename.removesuffix(".npy"): _member(archive, member) for member in members}


def _check_members(members: list[zipfile.ZipInfo], size: int) -> None:
    if len(members) > MOST_ARRAYS:
        raise FormatError(f"it has {len(members):,} members, at most {MOST_ARRAYS:,} are read.")
    names = [member.filename for member in members]
    if len(set(names)) != len(names):
        raise FormatError("two of its members have one name.")
    if sum(member.compress_size for member in members) > size:
        raise FormatError("its members overlap.")


def _check_torch(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo]) -> None:
    """Refuse what ``torch.save`` does not write, for its reader would unpack members of any size."""
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise FormatError("its members are compressed, which PyTorch's files are not.")
    for member in members:
        if member.filename.endswith("data.pkl"):
            with _damage_told(quote(member.filename)), archive.open(member) as stream:
                _check_protocol(stream.read(2))


def _check_protocol(start: bytes) -> None:
    if start[1:2] != b"\x02":
        raise FormatError("it is a pickle that torch.save did not write, which is a program.")


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Stored:
    """An array of an ``.npz``: its description is read, its numbers are not yet."""
    name = quote(member.filename)
    if not member.filename.endswith(".npy"):
        raise FormatError(f"{name} is no array (.npy).")
    header.check_path(member.filename.removesuffix(".npy"))
    with _damage_told(name), archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise FormatError(f"{name} is of format {version}; 1.0 and 2.0 are read.")
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, by_columns, dtype = read(stream, max_header_size=LONGEST_HEADER)
        begin = stream.tell()
    if dtype.hasobject:
        raise FormatError(f"{name} holds Python's objects (a pickle), which are programs.")
    if len(shape) > MOST_AXES or any(not 0 <= n <= header.LARGEST_AXIS for n in shape):
        raise FormatError(f"the shape of {name} is {quote(str(shape))}.")
    if math.prod(shape) * dtype.itemsize != member.file_size - begin:
        raise FormatError(f"{name} has {member.file_size - begin:,} bytes, but its shape is {tuple(shape)}.")
    kind = dtype.newbyteorder("=").name
    return Stored(tuple(shape), kind, partial(_numbers, archive, member, begin, shape, dtype, by_columns))


def _numbers(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, begin: int, shape: Any, dtype: Any, by_columns: bool
) -> Tensor:
    name = quote(member.filename)
    if dtype.newbyteorder("=").name not in {kind for kind, _ in DTYPES.values()}:
        raise FormatError(f"{name} holds {dtype}, which nets do not.")
    try:
        flat = np.empty(math.prod(shape), dtype)
    except (MemoryError, ValueError):
        raise FormatError(f"{name}, {member.file_size:,} bytes, does not fit into memory.") from None
    rest = flat.view(np.uint8).data if flat.size else memoryview(b"")
    with _damage_told(name), archive.open(member) as stream:
        stream.seek(begin)
        while len(rest):
            piece = stream.read(min(len(rest), 2**20))
            if not piece:
                raise FormatError(f"{name} is shorter than it says.")
            rest[: len(piece)] = piece
            rest = rest[len(piece) :]
        stream.read(1)  # at the end the checksum is compared
    array = flat.reshape(shape, order="F" if by_columns else "C")
    return torch.from_numpy(array.astype(dtype.newbyteorder("="), order="C", copy=False))


@contextmanager
def _damage_told(name: str) -> Iterator[None]:
    try:
        yield
    except (Error, OSError):
        raise
    except Exception as error:  # whatever a hostile file makes of its reader
        raise FormatError(f"{name} is damaged: {_line(error)}.") from None


# PyTorch's files ----------------------------------------------------------------------------------


@contextmanager
def _pickled(file: BinaryIO, size: int, place: str) -> Iterator[Mapping[str, Stored]]:
    file.seek(0)
    mapped = file.read(4) == ZIP
    try:
        held = torch.load(place, map_location="cpu", weights_only=True, mmap=mapped)
    except OSError:
        raise
    except Exception as error:  # whatever a hostile file makes of PyTorch's reader
        raise _refused(error) from None
    pairs = [*_flat(held, "", [0])] if isinstance(held, Mapping) else []
    arrays = dict(pairs)
    if not arrays:
        raise FormatError("it holds no arrays by name.", got=type(held).__name__)
    if len(arrays) != len(pairs):
        raise FormatError("two of its arrays have one name.")
    yield arrays


def _whole(tensor: Tensor, name: str) -> Tensor:
    """A tensor of a file, which stands there as often as it says: a small file could mean a large one."""
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise FormatError(f"{quote(name)} has shape {tuple(tensor.shape)}, but the file holds less of it.")
    return tensor


def _refused(error: Exception) -> FormatError:
    found = re.search(r"GLOBAL ([\w.]{1,80})", str(error))
    if found is None:
        return FormatError("PyTorch cannot read arrays from it. Nothing of it was executed.")
    return FormatError(
        f"it holds more than arrays: {quote(found[1])}, which would have to be executed. Nothing of it was.",
        fix="torch.save(module.state_dict(), path) where the module is known writes arrays alone",
        got=found[1],
    )


def _flat(value: Any, name: str, seen: list[int], level: int = 0) -> Iterator[tuple[str, Stored]]:
    """The tensors within dicts, by names with points; what is no tensor (an epoch's number) is left out."""
    seen[0] += 1
    if seen[0] > MOST_ARRAYS or level > MOST_LEVELS:
        raise FormatError(f"it holds dicts of more than {MOST_ARRAYS:,} entries or {MOST_LEVELS} levels.")
    if isinstance(value, torch.Tensor):
        header.check_path(name)
        if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized:
            raise FormatError(f"{quote(name)} is no plain array.")
        yield name, replace(_stored(value.detach()), read=partial(_whole, value.detach(), name))
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _flat(each, f"{name}.{key}" if name else str(key), seen, level + 1)


def _line(error: Exception) -> str:
    """The first line of another's error, short."""
    words = str(error).strip().split("\n")[0] or type(error).__name__
    return (words if len(words) <= 160 else words[:157] + "...").rstrip(".")
