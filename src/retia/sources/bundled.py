"""The sets that come with Retia: read offline from the package, each file verified by its sha256.

Files are the well-known IDX files (a short header, then bytes), packed by xz.
"""

from __future__ import annotations

import functools
import hashlib
import math
import struct
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retia._late import Late
from retia._late import numpy as np
from retia.errors import DataError, did_you_mean
from retia.sources.columns import LateColumn
from retia.sources.dataset import Data

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


def names() -> tuple[str, ...]:
    """Names of the bundled sets.

    Example:
        >>> names()
        ('mnist',)
    """
    return tuple(SETS)


def bundled(name: str) -> Data:
    """A bundled set; its files are read when their arrays are first asked for.

    Raises:
        DataError: there is no set of this name; or, when read, a file is not what was packed.
    """
    if name not in SETS:
        raise DataError(
            f"There is no bundled set {name!r}.{did_you_mean(name, SETS)}", expected=names(), got=name
        )
    return unpack(name, FOLDER / name)


def unpack(name: str, folder: Path) -> Data:
    """A bundled set whose files lie in a folder."""
    about = _bytes(folder / "ABOUT.txt").decode().strip()
    parts = {
        part: Data({key: _column(folder, file) for key, file in files.items()}, name=name, about=about)
        for part, files in SETS[name].items()
    }
    return Data.of_parts(parts, name=name, about=about)


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
    packed = _bytes(path)
    found = hashlib.sha256(packed).hexdigest()
    if found != file.sha256:
        raise _damaged(path, f"has sha256 {found[:12]}..., but {file.sha256[:12]}... was packed")
    try:
        data = lzma.decompress(packed)
    except ImportError:
        raise DataError("This Python was built without lzma, which bundled sets are packed by.") from None
    header = struct.pack(f">HBB{len(file.shape)}I", 0, 8, len(file.shape), *file.shape)
    assert data[: len(header)] == header
    assert len(data) == len(header) + math.prod(file.shape)
    array = np.frombuffer(data, np.uint8, offset=len(header)).reshape(file.shape)
    return array.astype(np.int64) if array.ndim == 1 else array


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _damaged(path, f"cannot be read: {error.strerror}") from None


def _damaged(path: Path, what: str) -> DataError:
    return DataError(
        f"The bundled file {path.name} {what}.", fix="pip install --force-reinstall retia", path=str(path)
    )
