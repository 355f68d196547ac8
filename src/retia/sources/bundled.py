"""The sets that come with Retia: read offline from the package, each file verified by its sha256.

MNIST's files are the well-known IDX files (a short header, then bytes); the others are tables, or text. All
are packed by xz.
"""

from __future__ import annotations

import functools
import hashlib
import math
import struct
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retia._late import Late
from retia._late import numpy as np
from retia.errors import DataError, did_you_mean
from retia.sources.columns import LateColumn, ListColumn
from retia.sources.dataset import Data
from retia.sources.tables import TableFormat, read_csv

if TYPE_CHECKING:
    import lzma

    from numpy.typing import NDArray
else:
    lzma = Late("lzma")

FOLDER = Path(__file__).parent / "sets"
READING = threading.Lock()


@dataclass(frozen=True)
class File:
    """One IDX file of a bundled set.

    Attributes:
        name: in the set's folder.
        sha256: of the file as it is packed.
        shape: of the array in it.
    """

    name: str
    sha256: str
    shape: tuple[int, ...]


SETS: dict[str, dict[str, dict[str, File]]] = {
    "mnist": {
        "train": {
            "input": File(
                "train-images-idx3-ubyte.xz",
                "e0df4efee99320d7e24eb6aa5a75715dff6f5dc693734a18015d889777d46a28",
                (60000, 28, 28),
            ),
            "output": File(
                "train-labels-idx1-ubyte.xz",
                "20a7a3cc7dd59f68da0e5f812baaf1774a0f4dc4a555d067f6d4772b900b6184",
                (60000,),
            ),
        },
        "test": {
            "input": File(
                "t10k-images-idx3-ubyte.xz",
                "f2949fa6e64c62daa0fe9e758b355db391b8a5b6628510e226ad53e42d9d9baa",
                (10000, 28, 28),
            ),
            "output": File(
                "t10k-labels-idx1-ubyte.xz",
                "3a73558704f83efcff5ccbf398196652ae45ae612cd5f29e24f20d6c2f760ca6",
                (10000,),
            ),
        },
    },
}


@dataclass(frozen=True)
class Table:
    """A bundled set that is a table, or one text.

    Attributes:
        file: in the set's folder.
        sha256: of the file as it is packed.
        output: the column that is the output, or None.
        input: the column that is the input, or None for rows of all others.
        missing: words that mean a missing cell.
    """

    file: str
    sha256: str
    output: str | None = None
    input: str | None = None
    missing: frozenset[str] = frozenset()


TABLES = {
    "iris": Table(
        "iris.csv.xz", "024d27c6de7403db584420369805dbc9555e63f6c98f6e477f25f8c44ebf7966", "species"
    ),
    "penguins": Table(
        "penguins.csv.xz",
        "2fb1b42a66a02f8564941c0d71ae64c7e89e2bd778089e8e915a3e335e5e69c3",
        "species",
        missing=frozenset({"NA"}),
    ),
    "wine": Table(
        "wine.csv.xz", "4255d1ff8a5ba4f91e9a0f4fdef7b4c1b504e3876e4fa28726f770891d5501a0", "quality"
    ),
    "sms_spam": Table(
        "sms_spam.csv.xz", "4de64a940433b195deb06369e7f737061015bf8be18aee11bf6121c7451d9f62", "label", "text"
    ),
    "names": Table(
        "names.csv.xz", "a6f8f3621e55b3c5e545f9c3dcb78a9cb8e0fb6f08d50bca89cc158952969466", input="name"
    ),
    "shakespeare": Table(
        "shakespeare.txt.xz", "21b40ccf4999c004256d116655824719001352dbc22636354d9cd0c645d03a4a"
    ),
}


def names() -> tuple[str, ...]:
    """Names of the bundled sets.

    Example:
        >>> names()
        ('mnist', 'iris', 'penguins', 'wine', 'sms_spam', 'names', 'shakespeare')
    """
    return (*SETS, *TABLES)


def about(name: str) -> str:
    """What a bundled set is: what its columns hold, its source and licence."""
    return _bytes(FOLDER / name / "ABOUT.txt").decode().strip()


def bundled(name: str, input: Any = None, output: Any = None) -> Data:
    """A bundled set; pictures are read when their arrays are first asked for.

    Args:
        name: one of ``names()``.
        input: as in ``rt.data``; both None: the set's own choice.
        output: as in ``rt.data``.
    Raises:
        DataError: there is no set of this name; or, when read, a file is not what was packed.
    """
    if name in SETS:
        return unpack(name, FOLDER / name).select(input=input, output=output)
    if name not in TABLES:
        raise DataError(
            f"There is no bundled set {name!r}.{did_you_mean(name, names())}", expected=names(), got=name
        )
    table = TABLES[name]
    path = FOLDER / name / table.file
    packed = _verified(path, table.sha256)
    if table.file.endswith(".txt.xz"):
        return _text(name, _unpacked(packed).decode()).select(input=input, output=output)
    found = read_csv(path, TableFormat(missing=table.missing), "raise")
    if input is None and output is None:
        input, output = table.input, table.output
    return replace(found.select(input=input, output=output), name=name, about=about(name))


def _text(name: str, text: str) -> Data:
    """One text in two parts: the first nine tenths to train on, the last to validate."""
    cut = len(text) * 9 // 10
    given = {"train": text[:cut], "validation": text[cut:]}
    told = about(name)
    parts = {part: Data({"input": ListColumn([own])}, name=name, about=told) for part, own in given.items()}
    return Data.of_parts(parts, name=name, about=told)


def unpack(name: str, folder: Path) -> Data:
    """A bundled set whose files lie in a folder."""
    told = _bytes(folder / "ABOUT.txt").decode().strip()
    parts = {
        part: Data({key: _column(folder, file) for key, file in files.items()}, name=name, about=told)
        for part, files in SETS[name].items()
    }
    return Data.of_parts(parts, name=name, about=told)


def _column(folder: Path, file: File) -> LateColumn:
    dtype = "int64" if len(file.shape) == 1 else "uint8"
    return LateColumn(file.shape, dtype, functools.partial(read, folder / file.name, file))


def read(path: Path, file: File) -> NDArray[Any]:
    """The array in an IDX file, verified and read once in a process, from any thread; labels as int64.

    Raises:
        DataError: the file is missing, or not the one that was packed.
    """
    with READING:
        return _read(path, file)


@functools.cache
def _read(path: Path, file: File) -> NDArray[Any]:
    data = _unpacked(_verified(path, file.sha256))
    header = struct.pack(f">HBB{len(file.shape)}I", 0, 8, len(file.shape), *file.shape)
    assert data[: len(header)] == header
    assert len(data) == len(header) + math.prod(file.shape)
    array = np.frombuffer(data, np.uint8, offset=len(header)).reshape(file.shape)
    return array.astype(np.int64) if array.ndim == 1 else array


def _verified(path: Path, sha256: str) -> bytes:
    packed = _bytes(path)
    found = hashlib.sha256(packed).hexdigest()
    if found != sha256:
        raise _damaged(path, f"has sha256 {found[:12]}..., but {sha256[:12]}... was packed")
    return packed


def _unpacked(packed: bytes) -> bytes:
    try:
        return lzma.decompress(packed)
    except ImportError:
        raise DataError("This Python was built without lzma, which bundled sets are packed by.") from None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _damaged(path, f"cannot be read: {error.strerror}") from None


def _damaged(path: Path, what: str) -> DataError:
    return DataError(
        f"The bundled file {path.name} {what}.", fix="pip install --force-reinstall retia", path=str(path)
    )
