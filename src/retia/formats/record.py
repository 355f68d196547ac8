"""Records: tensors by name and facts about them in one file, whole and as they were, or refused.

A record is a safetensors file like a net's: data only, every size bounded before anything is made, and a
sha256 of the header and one of the arrays. Checkpoints and replays are records.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING, Any

from retia import _atomic
from retia.errors import FormatError
from retia.formats import facts, header
from retia.formats.container import bytes_of, dtype_of, opened, place_of, read_arrays, told
from retia.formats.file import RECORD
from retia.formats.header import Header
from retia.formats.strict import quote

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 1

KIND = RECORD
MARK = "retia.record_format"
WRITER = "retia.version"
FACTS = "retia.facts"
ARRAYS_SUM = "retia.arrays_sha256"
HEADER_SUM = "retia.header_sha256"

COLUMNS = "retia.facts."
"""How the names of the facts' columns begin; no tensor's name does."""


class NewerFormatError(FormatError):
    """A record of a Retia that is newer than this one; it is whole."""


@dataclass(frozen=True)
class Record:
    """What a record holds.

    Attributes:
        kind: what it is of, in a word: ``"checkpoint"``.
        tensors: by name, on the CPU, in memory of their own.
        facts: as they were written; tuples have become lists.
        version: the Retia that wrote it.
    """

    kind: str
    tensors: dict[str, Tensor]
    facts: Any
    version: str


def write_record(path: str | os.PathLike[str], kind: str, tensors: Mapping[str, Tensor], about: Any) -> None:
    """Write a record in one step: whole, or what stood there before stays.

    Args:
        path: where to.
        kind: what it is of, in a word.
        tensors: by name.
        about: facts, as ``facts.pack`` takes them.
    Raises:
        FormatError: facts that are no JSON, names or types that files do not hold.
        FileError: the system refuses; the disk is full, then with the bytes that are missing.
    Example:
        >>> import os, tempfile, torch
        >>> place = os.path.join(tempfile.mkdtemp(), "record")
        >>> write_record(place, "note", {"w": torch.ones(2)}, {"loss": float("nan")})
        >>> read_record(place, "note")
        Record(kind='note', tensors={'w': tensor([1., 1.])}, facts={'loss': nan}, version='0.1.0')
    """
    place = place_of(path)
    with told(place, kind):
        text, columns = facts.pack(about)
        taken = [name for name in tensors if name.startswith(COLUMNS)]
        if taken:
            raise FormatError(f"{quote(taken[0])} begins as only names of Retia's own do.", got=taken[0])
        arrays = {**tensors, **{COLUMNS + name: column for name, column in columns.items()}}
        arrays = {name: tensor.detach().cpu().contiguous() for name, tensor in arrays.items()}
        entries = header.lay_out((at, dtype_of(at, each), tuple(each.shape)) for at, each in arrays.items())
        blocks = [bytes_of(arrays[entry.path]) for entry in entries]
        total = hashlib.sha256()
        for block in blocks:
            total.update(block)
        said = {KIND: kind, MARK: str(FORMAT), WRITER: version_of("retia"), FACTS: text}
        said |= {"format": "pt", ARRAYS_SUM: total.hexdigest()}
        said[HEADER_SUM] = _sum(Header(entries, said, 0))
        start = header.write(entries, said)
        header.read(io.BytesIO(start), len(start) + sum(map(len, blocks)))  # refused now rather than later
    _atomic.write(place, [start, *blocks], size=len(start) + sum(map(len, blocks)))


def read_record(path: str | os.PathLike[str], kind: str) -> Record:
    """The record that was written into a file. Nothing in the file is executed or imported.

    Args:
        path: a file that ``write_record`` wrote.
        kind: what it must be of.
    Raises:
        NewerFormatError: a newer Retia wrote it. FormatError: it is no record, of another kind, or
            damaged. MissingFileError: there is no such file.
    """
    with opened(place_of(path), kind) as (file, size):
        found = header.read(file, size)
        said = _checked(found, kind)
        arrays = read_arrays(file, found.start, found.entries)
        total = hashlib.sha256()
        for entry in found.entries:
            total.update(bytes_of(arrays[entry.path]))
        if total.hexdigest() != said.get(ARRAYS_SUM):
            raise FormatError("its arrays are not those that were saved: the checksum differs.")
        columns = {name: arrays.pop(name) for name in [*arrays] if name.startswith(COLUMNS)}
        columns = {name.removeprefix(COLUMNS): column for name, column in columns.items()}
        return Record(kind, arrays, facts.unpack(said.get(FACTS, ""), columns), said.get(WRITER, "?"))


def _checked(found: Header, kind: str) -> Mapping[str, str]:
    """What a header says, once that is what was written."""
    said = found.metadata
    if KIND not in said:
        raise FormatError(f"it is no {kind}: Retia's description of one is not in its metadata.")
    if said.get(HEADER_SUM) != _sum(found):
        raise FormatError("its header is not the one that was saved: the checksum differs.")
    if said[KIND] != kind:
        raise FormatError(f"it is a {quote(said[KIND])}, expected a {kind}.", expected=kind, got=said[KIND])
    if said.get(MARK) != str(FORMAT):
        raise NewerFormatError(
            f"it is of format {quote(said.get(MARK, '?'))}, written by Retia {quote(said.get(WRITER, '?'))}; "
            f"this Retia reads up to {FORMAT}.",
            fix="pip install -U retia",
            expected=FORMAT,
            got=said.get(MARK),
        )
    return said


def _sum(found: Header) -> str:
    """Checksum of a header: all it says of the arrays, and the metadata but for this."""
    said = {name: text for name, text in found.metadata.items() if name != HEADER_SUM}
    return hashlib.sha256(header.write(found.entries, said)).hexdigest()
