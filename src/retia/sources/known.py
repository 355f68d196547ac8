"""The sets that are known by name, those that come with Retia and those that are fetched, as one list."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from retia._late import numpy as np
from retia.errors import DataError
from retia.sources import bundled
from retia.sources.archives import Archive
from retia.sources.catalogue import CATALOGUE, Entry
from retia.sources.columns import ListColumn, column
from retia.sources.dataset import Data
from retia.sources.tables import TableFormat
from retia.sources.trees import Packed

if TYPE_CHECKING:
    from numpy.typing import NDArray

Reader: TypeAlias = "Callable[[str, TableFormat], Data]"
"""Reads what ``rt.data`` would, from a path."""

TOPICS = ("World", "Sports", "Business", "Sci/Tech")
BATCHES = {
    "train": tuple(f"cifar-10-batches-bin/data_batch_{i}.bin" for i in range(1, 6)),
    "test": ("cifar-10-batches-bin/test_batch.bin",),
}
SIDE = 32
"""Pixels of CIFAR-10's pictures; each is a byte for its label, then as many for red, green and blue."""


@dataclass(frozen=True)
class Known:
    """A set that ``rt.data`` knows by name.

    Attributes:
        name: for ``rt.data``.
        where: ``"package"`` (it comes with Retia), ``"download"``, or ``"by hand"``.
        bytes: of its files, as they are packed.
        licence: in a few words.
        title: what it is, in a line.
        about: all that is said about it.
    """

    name: str
    where: str
    bytes: int
    licence: str
    title: str
    about: str


def sets() -> tuple[Known, ...]:
    """All sets that ``rt.data`` knows by name.

    Example:
        >>> for each in sets()[:3]:
        ...     print(each.name, each.where, each.licence)
        mnist package CC BY-SA 3.0, as it is commonly given.
        iris package a public teaching set; none stated. UCI gives it as CC BY 4.0.
        penguins package CC0.
    """
    return (*map(_bundled, bundled.names()), *map(_of_entry, CATALOGUE.values()))


def all_names() -> tuple[str, ...]:
    """The names of all sets that are known.

    Example:
        >>> [name for name in all_names() if "mnist" in name]
        ['mnist', 'fashion-mnist']
    """
    return (*bundled.names(), *CATALOGUE)


def _bundled(name: str) -> Known:
    about = bundled.about(name)
    title = about.partition("\n")[0].removeprefix(f"{name}: ")
    licence = about.partition("\nLicence ")[2].replace("\n        ", " ")
    files = [each for each in (bundled.FOLDER / name).iterdir() if each.suffix == ".xz"]
    return Known(name, "package", sum(each.stat().st_size for each in files), licence, title, about)


def _of_entry(entry: Entry) -> Known:
    where = "by hand" if entry.by_hand else "download"
    return Known(entry.name, where, entry.bytes, entry.licence, entry.title, entry.about)


# From files to a set ------------------------------------------------------------------------------


def arranged(entry: Entry, folder: Path, read: Reader) -> Data:
    """The set whose files lie in a folder, with its parts, its name and what it is about."""
    way = ARRANGED.get(entry.arranged, _by_parts)
    return named(way(entry, folder, read), entry)


def named(data: Data, entry: Entry) -> Data:
    """A set, and its parts, under the name of its entry."""
    parts = {part: replace(each, name=entry.name, about=entry.about) for part, each in data.parts.items()}
    return replace(data, parts=parts, name=entry.name, about=entry.about)


def _by_parts(entry: Entry, folder: Path, read: Reader) -> Data:
    found = _read_parts(entry, folder, read)
    return found[""] if "" in found else Data.of_parts(found)


def _read_parts(entry: Entry, folder: Path, read: Reader) -> dict[str, Data]:
    how = TableFormat(
        header=list(entry.header) or None, missing=frozenset({entry.missing} if entry.missing else ())
    )
    return {part: read(str(folder / path), how) for part, path in entry.parts.items()}


def _ag_news(entry: Entry, folder: Path, read: Reader) -> Data:
    parts = {}
    for part, table in _read_parts(entry, folder, read).items():
        cells = table.arrays()
        texts = [f"{title}\n{text}" for title, text in zip(cells["title"], cells["description"], strict=True)]
        topics = [TOPICS[int(topic) - 1] for topic in cells["topic"]]
        parts[part] = Data({"input": ListColumn(texts), "output": ListColumn(topics)})
    return Data.of_parts(parts)


def _fsdd(entry: Entry, folder: Path, read: Reader) -> Data:
    every = read(f"{folder / entry.files[0].name}/{{output:int}}_{{speaker}}_{{take:int}}.wav", TableFormat())
    return Data.of_parts(
        {"train": every.filter(take=lambda take: take > 4), "test": every.filter(take=lambda take: take < 5)}
    )


def _penn_fudan(entry: Entry, folder: Path, read: Reader) -> Data:
    tree = Packed(folder / entry.files[0].name)
    pictures = sorted(tree.files("images"))
    masks = [f"masks/{Path(each).stem}.png" for each in pictures]
    kind = "picture file"
    return Data({"input": tree.column(pictures, kind), "output": tree.column(masks, kind)})


def _cifar10(entry: Entry, folder: Path, read: Reader) -> Data:
    arrays = _cifar_arrays(folder / entry.files[0].name)
    return Data.of_parts(
        {part: Data({name: column(name, each) for name, each in own.items()}) for part, own in arrays.items()}
    )


@functools.lru_cache(maxsize=1)
def _cifar_arrays(path: Path) -> Mapping[str, Mapping[str, NDArray[Any]]]:
    """Pictures and labels of both parts, read from the archive once in a process."""
    archive = Archive(path)
    found: dict[str, dict[str, NDArray[Any]]] = {}
    for part, members in BATCHES.items():
        if lacking := [each for each in members if each not in archive.files]:
            raise DataError(f"{path} has no {', '.join(lacking)}.", path=str(path), expected=members)
        content = np.frombuffer(b"".join(map(archive.read, members)), np.uint8)
        size = 1 + 3 * SIDE**2
        if len(content) % size:
            raise DataError(f"{path} is damaged: its {part} part breaks off in a picture.", path=str(path))
        rows = content.reshape(-1, size)
        pictures = rows[:, 1:].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
        found[part] = {"input": np.ascontiguousarray(pictures), "output": rows[:, 0].astype(np.int64)}
    return found


ARRANGED: Mapping[str, Callable[[Entry, Path, Reader], Data]] = {
    "ag-news": _ag_news, "cifar10": _cifar10, "fsdd": _fsdd, "penn-fudan": _penn_fudan,
}  # fmt: skip
"""Sets that are put together in a way of their own."""
