"""Nets in files: one valid safetensors file each, the arrays under their paths, the expression beside them.

The expression stands in the metadata as JSON, with the version of the format, the version of Retia, a
sha256 of the expression and one of the arrays. ``load`` checks all of it before it makes an array, and
gives the net that was saved or a ``FormatError``.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING, Any, BinaryIO

from retia import _atomic
from retia.errors import ArgumentError, FormatError
from retia.formats import header, strict
from retia.formats.blueprint import build, check_arrays
from retia.formats.container import bytes_of, dtype_of, opened, place_of, read_arrays, told
from retia.formats.header import Entry, Header
from retia.formats.strict import quote
from retia.nets import expression
from retia.nets.lineage import Step, known, lines_of, remember, steps_of
from retia.nets.net import Net

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 1
MIGRATIONS: dict[int, Callable[[Any], Any]] = {}
"""From the expression of one format to that of the next, for ever: ``MIGRATIONS[1]`` makes 2 of 1."""

MARK = "retia.format"
WRITER = "retia.version"
EXPRESSION = "retia.expression"
EXPRESSION_SUM = "retia.expression_sha256"
ARRAYS_SUM = "retia.arrays_sha256"
MISSING = "retia.missing"
LINEAGE = "retia.lineage"
RECORD = "retia.record"
"""What only files have that hold no net, but a state of a training; ``record`` reads them."""


@dataclass(frozen=True)
class Description:
    """What a file says of its net, before any array is read.

    Attributes:
        format: version of the format.
        version: the Retia that wrote it.
        expression: the net, as JSON data.
        entries: its arrays.
        missing: paths of arrays that were not made yet.
        lineage: the operations that made the net; files of before there was one have none.
        arrays_sha256: checksum of paths, types, shapes and bytes of the arrays.
        size: bytes of the whole file.
        start: where the arrays' bytes begin.
    """

    format: int
    version: str
    expression: Any
    entries: tuple[Entry, ...]
    missing: tuple[str, ...]
    lineage: tuple[Step, ...]
    arrays_sha256: str
    size: int
    start: int


# Saving -------------------------------------------------------------------------------------------


def save(net: Net, path: str | os.PathLike[str]) -> None:
    """Write a net into one file, whole or not at all. Equal nets of one lineage give equal bytes.

    Args:
        net: any net; arrays that were not made yet are noted as missing.
        path: where to; ``.safetensors`` is the usual end of the name.
    Raises:
        FileError: the system refuses, the disk is full. FormatError: a net that could not be loaded again,
            because it is larger than files hold or does not come back from its expression.
    Example:
        >>> import os, tempfile
        >>> import retia as rt
        >>> net = rt.Chain(rt.Linear(2), input=3).init()
        >>> place = os.path.join(tempfile.mkdtemp(), "net.safetensors")
        >>> net.save(place)
        >>> rt.load(place) == net
        True
    """
    if not isinstance(net, Net):
        raise ArgumentError(f"save takes a net; got {type(net).__name__}.", got=net)
    place = place_of(path)
    arrays = {at: tensor.detach().cpu().contiguous() for at, tensor in net.arrays.check().items()}
    with told(place):
        entries = header.lay_out((at, dtype_of(at, each), tuple(each.shape)) for at, each in arrays.items())
        start = header.write(entries, _metadata(net, entries, arrays))
        _try_out(net, start, entries)
    chunks: list[_atomic.Chunk] = [start, *(bytes_of(arrays[entry.path]) for entry in entries)]
    _atomic.write(place, chunks, size=sum(map(len, chunks)))
    known(net)


def _metadata(net: Net, entries: Iterable[Entry], arrays: Mapping[str, Tensor]) -> dict[str, str]:
    text = expression.canonical(net)
    missing = [path for path in net.array_shapes() if path not in arrays]
    return {
        "format": "pt",  # what other tools that read safetensors look for
        MARK: str(FORMAT),
        WRITER: version_of("retia"),
        EXPRESSION: text,
        EXPRESSION_SUM: _sha(text),
        ARRAYS_SUM: _sum(FORMAT, entries, arrays),
        **({MISSING: json.dumps(missing)} if missing else {}),
        **({LINEAGE: json.dumps(lines_of(net.lineage))} if net.lineage else {}),
    }


def _try_out(net: Net, start: bytes, entries: tuple[Entry, ...]) -> None:
    """Refuse now what ``load`` would refuse later."""
    described = _describe(io.BytesIO(start), len(start) + (entries[-1].end if entries else 0))
    again = build(described.expression)
    if again.expression_hash != net.expression_hash:
        raise FormatError("this net does not come back from its expression as it is.")
    check_arrays(again, entries, described.missing)


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _sum(format: int, entries: Iterable[Entry], arrays: Mapping[str, Tensor]) -> str:
    """Checksum of the format and the arrays, whatever their order in the file."""
    lines = [
        [entry.path, entry.dtype, entry.shape, hashlib.sha256(bytes_of(arrays[entry.path])).hexdigest()]
        for entry in entries
    ]
    return _sha(json.dumps([format, *sorted(lines)]))


# Loading ------------------------------------------------------------------------------------------


def load(path: str | os.PathLike[str]) -> Net:
    """The net that was saved in a file. Nothing in the file is executed or imported.

    Layers and codecs of your own are registered by your program: import their module first.

    Args:
        path: a file that ``net.save`` wrote, with this or an earlier Retia.
    Returns:
        The net, its arrays on the CPU and its own.
    Raises:
        FormatError: the file is no net, is damaged, or is of a newer Retia.
        MissingFileError: there is no such file (also a ``FileNotFoundError``).
    Example:
        >>> import retia as rt
        >>> rt.load("nowhere.safetensors")
        Traceback (most recent call last):
        ...
        retia.errors.MissingFileError: nowhere.safetensors: could not be read: No such file or directory.
    """
    with opened(place_of(path)) as (file, size):
        described = _describe(file, size)
        net = build(described.expression)
        check_arrays(net, described.entries, described.missing)
        arrays = read_arrays(file, described.start, described.entries)
        if _sum(described.format, described.entries, arrays) != described.arrays_sha256:
            raise FormatError("its arrays are not those that were saved: the checksum differs.")
        net = net.with_arrays(arrays)
        _ = net.solution
        return known(remember(net, described.lineage))


def read_header(path: str | os.PathLike[str]) -> Description:
    """What a file says of its net, without making the net or reading an array.

    Raises:
        FormatError: the file is no net, is damaged, or is of a newer Retia.
    """
    with opened(place_of(path)) as (file, size):
        return _describe(file, size)


def _describe(file: BinaryIO, size: int) -> Description:
    found = header.read(file, size)
    said = found.metadata
    format = _format(found)
    text = said.get(EXPRESSION, "")
    if _sha(text) != said.get(EXPRESSION_SUM):
        raise FormatError("its expression is not the one that was saved: the checksum differs.")
    data = strict.parse(text, "the expression")
    for number in range(format, FORMAT):
        data = MIGRATIONS[number](data)
    missing = strict.parse(said.get(MISSING, "[]"), MISSING)
    if not isinstance(missing, list) or not all(isinstance(path, str) for path in missing):
        raise FormatError(f"{MISSING} is not a list of paths.")
    lineage = steps_of(strict.parse(said.get(LINEAGE, "[]"), LINEAGE))
    writer, total = said.get(WRITER, "?"), said.get(ARRAYS_SUM, "")
    return Description(format, writer, data, found.entries, tuple(missing), lineage, total, size, found.start)


def _format(found: Header) -> int:
    text = found.metadata.get(MARK)
    if text is None and RECORD in found.metadata:
        raise FormatError(
            f"it is a {found.metadata[RECORD]}, not a net.",
            fix="rt.train(..., checkpoint=folder, resume=True) goes on from a folder of checkpoints",
        )
    if text is None:
        raise FormatError(
            "it holds arrays but no net: Retia's description is not in its metadata.",
            fix="write the net, and give it the arrays: net.with_arrays(safetensors.torch.load_file(path))",
        )
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and int(text) >= 1):
        raise FormatError(f"its format is {quote(text)}, expected a number from 1.", got=text)
    if int(text) > FORMAT:
        writer = quote(found.metadata.get(WRITER, "?"))
        raise FormatError(
            f"it is of format {int(text)}, written by Retia {writer}; this Retia reads up to {FORMAT}.",
            fix="pip install -U retia",
            expected=FORMAT,
            got=int(text),
        )
    return int(text)
