"""IDX files, as MNIST and its kin come: a short header, then numbers. Plain or packed.

Source: Yann LeCun, "The MNIST database", the IDX file format.
"""

from __future__ import annotations

import functools
import gzip
import math
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from retia._late import Late
from retia._late import numpy as np
from retia.errors import DataError
from retia.sources.columns import LateColumn
from retia.sources.dataset import Data

if TYPE_CHECKING:
    import lzma

    from numpy.typing import NDArray
else:
    lzma = Late("lzma")

NAME = re.compile(r"(train|t10k|test)-(images|labels)[-.]idx[13]-ubyte(\.gz|\.xz)?")
PARTS = {"train": "train", "t10k": "test", "test": "test"}
SIDES = {"images": "input", "labels": "output"}
TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
LARGEST = 1 << 34


def holds_idx(root: Path) -> bool:
    """Whether a folder holds the files of a set such as MNIST."""
    return any(NAME.fullmatch(each.name) for each in root.iterdir())


def read_idx_folder(root: Path) -> Data:
    """The set whose IDX files lie in a folder; see ``rt.data``."""
    columns: dict[str, dict[str, LateColumn]] = {}
    for path in sorted(root.iterdir()):
        if match := NAME.fullmatch(path.name):
            side = columns.setdefault(PARTS[match[1]], {})
            side.setdefault(SIDES[match[2]], _column(path))
    short = [part for part, sides in columns.items() if len(sides) < 2]
    if short or "train" not in columns:
        raise DataError(
            f"data: {root} lacks files of {' and '.join(short or ['train'])}.",
            fix="train-images-idx3-ubyte, train-labels-idx1-ubyte, and t10k-... for the test part",
            path=str(root),
        )
    name = root.resolve().name
    return Data.of_parts(
        {part: Data(columns[part], name=name) for part in ("train", "test") if part in columns}, name=name
    )


def _column(path: Path) -> LateColumn:
    with _opened(path) as file:
        kind, shape = _header(path, file)
    dtype = "int64" if len(shape) == 1 else np.dtype(kind).newbyteorder("=").name
    return LateColumn(shape, dtype, functools.partial(_read, path))


@functools.cache
def _read(path: Path) -> NDArray[Any]:
    with _opened(path) as file:
        kind, shape = _header(path, file)
        size = math.prod(shape) * np.dtype(kind).itemsize
        content = _bytes(path, file, size + 1)
    if len(content) != size:
        more = "more" if len(content) > size else f"{len(content):,}"
        raise _damaged(path, f"its header tells of {size:,} bytes, and there are {more}")
    array = np.frombuffer(content, kind).reshape(shape)
    return (
        array.astype(np.int64) if array.ndim == 1 else array.astype(array.dtype.newbyteorder("="), copy=False)
    )


def _header(path: Path, file: BinaryIO) -> tuple[str, tuple[int, ...]]:
    head = _bytes(path, file, 4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in TYPES or not 1 <= head[3] <= 4:
        raise _damaged(path, "it does not begin as IDX files do")
    sizes = _bytes(path, file, 4 * head[3])
    if len(sizes) < 4 * head[3]:
        raise _damaged(path, "it ends in its header")
    shape = struct.unpack(f">{head[3]}I", sizes)
    if math.prod(shape) > LARGEST:
        raise _damaged(path, f"its header tells of {math.prod(shape):,} numbers")
    return TYPES[head[2]], shape


def _opened(path: Path) -> BinaryIO:
    if path.suffix not in (".gz", ".xz"):
        return open(path, "rb")
    return cast("BinaryIO", gzip.open(path, "rb") if path.suffix == ".gz" else lzma.open(path, "rb"))


def _bytes(path: Path, file: BinaryIO, size: int) -> bytes:
    try:
        return file.read(size)
    except Exception as error:  # each packer has an error of its own
        raise _damaged(path, str(error)) from None


def _damaged(path: Path, what: str) -> DataError:
    return DataError(f"{path} is damaged: {what}.", path=str(path))
