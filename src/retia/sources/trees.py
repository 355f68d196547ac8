"""Folders and archives seen alike: the files in them, and the sets that class folders make."""

from __future__ import annotations

import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path

from retia.errors import DataError, RetiaWarning
from retia.sources.archives import Archive, MemberColumn
from retia.sources.columns import Column, FileColumn, ListColumn
from retia.sources.dataset import Data
from retia.sources.media import KINDS, PICTURES, SOUNDS
from retia.sources.natural import natural

FOLDERS = {
    "train": "train", "training": "train", "validation": "validation", "val": "validation",
    "valid": "validation", "test": "test", "testing": "test",
}  # fmt: skip
"""Names of the folders that are parts of a set."""


class Tree(ABC):
    """The interface of what holds files in folders.

    Attributes:
        name: as errors call it.
        title: of the set that is made of it.
    """

    name: str
    title: str

    @abstractmethod
    def folders(self, inside: str = "") -> list[str]:
        """The names of the folders in a folder, in natural order; hidden ones are left out."""

    @abstractmethod
    def files(self, inside: str = "") -> list[str]:
        """The paths of all files in a folder and below, from the tree's root; hidden ones are left out."""

    @abstractmethod
    def column(self, files: Iterable[str], kind: str) -> Column:
        """A column of some of the files."""


class Folder(Tree):
    """A folder of the file system.

    Args:
        root: its path.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.name = str(root)
        self.title = root.resolve().name

    def folders(self, inside: str = "") -> list[str]:
        found = os.scandir(self.root / inside)
        return sorted((e.name for e in found if e.is_dir() and not e.name.startswith(".")), key=natural)

    def files(self, inside: str = "") -> list[str]:
        found = []
        for folder, below, files in os.walk(self.root / inside):
            below[:] = [name for name in below if not name.startswith(".")]
            at = Path(folder).relative_to(self.root)
            found += [(at / name).as_posix() for name in files if not name.startswith(".")]
        return found

    def column(self, files: Iterable[str], kind: str) -> Column:
        return FileColumn(self.root, files, kind)


class Packed(Tree):
    """An archive. A single folder that holds all the rest is looked into.

    Args:
        path: of the archive.
    """

    def __init__(self, path: Path) -> None:
        self.archive = Archive(path)
        self.name = str(path)
        self.title = path.name.partition(".")[0]
        self._files = self.archive.files
        self.base = ""
        while len({file.partition("/")[0] for file in self._inside("")}) == 1 and all(
            file.count("/") > 1 for file in self._inside("")
        ):
            self.base += f"{self._inside('')[0].partition('/')[0]}/"

    def _inside(self, inside: str) -> list[str]:
        start = self.base + (f"{inside}/" if inside else "")
        return [file[len(start) :] for file in self._files if file.startswith(start)]

    def folders(self, inside: str = "") -> list[str]:
        found = {file.partition("/")[0] for file in self._inside(inside) if "/" in file}
        return sorted(found, key=natural)

    def files(self, inside: str = "") -> list[str]:
        return [f"{inside}/{file}" if inside else file for file in self._inside(inside)]

    def column(self, files: Iterable[str], kind: str) -> Column:
        return MemberColumn(self.archive, (self.base + file for file in files), kind)


def class_folders(tree: Tree, on_error: str) -> Data:
    """The set of a tree with a folder for each label, or with such folders in its parts; see ``rt.data``."""
    inside = tree.folders()
    parts = [name for name in inside if name in FOLDERS and tree.folders(name)]
    if not parts:
        return _classes(tree, "", inside, on_error)
    found = {FOLDERS[name]: name for name in parts}
    strange = [name for name in inside if name not in parts]
    if strange or len(found) < len(parts) or "train" not in found:
        raise DataError(
            f"data: {tree.name} has the folders {', '.join(inside)}, which are not one set's parts.",
            fix="either one folder for each label, or train (and validation, test) with these inside",
            path=tree.name,
            got=inside,
        )
    sets = {part: _classes(tree, name, tree.folders(name), on_error) for part, name in found.items()}
    return Data.of_parts(
        {name: sets[name] for name in ("train", "validation", "test") if name in sets}, name=tree.title
    )


def loose(tree: Tree) -> list[str]:
    """The pictures, or else the sounds, in the tree's own root."""
    return _media([file for file in tree.files() if "/" not in file])[0]


def _classes(tree: Tree, inside: str, labels: list[str], on_error: str) -> Data:
    at = f"{tree.name}/{inside}" if inside else tree.name
    if not labels:
        found = len(_media(tree.files(inside))[0])
        raise DataError(
            f"data: {at} has no folders" + (f", but {found:,} pictures in it" if found else "") + ".",
            fix="one folder for each label, with its pictures inside: pets/cat/1.jpg, pets/dog/1.jpg",
            path=at,
        )
    below = {label: tree.files(f"{inside}/{label}" if inside else label) for label in labels}
    _, kind = _media([file for files in below.values() for file in files])
    wanted = SOUNDS if kind == "sound file" else PICTURES
    found_in = {label: _of_kind(files, wanted) for label, files in below.items()}
    bare = [label for label, files in found_in.items() if not files]
    if bare:
        _empty(at, bare, len(labels), kind.partition(" ")[0], on_error)
    files = [file for inside_it in found_in.values() for file in inside_it]
    words = [label for label, inside_it in found_in.items() for _ in inside_it]
    return Data({"input": tree.column(files, kind), "output": ListColumn(words)}, name=tree.title)


def _empty(at: str, bare: list[str], labels: int, what: str, on_error: str) -> None:
    """Tell of folders without files: an error, or a warning where they are to be skipped."""
    told = f"{len(bare)} of {labels} folders in {at}"
    names = f"{', '.join(bare[:10])}{', ...' if len(bare) > 10 else ''}"
    if on_error == "skip" and len(bare) < labels:
        warnings.warn(f"skipped {told} without {what}s: {names}", RetiaWarning, stacklevel=6)
        return
    raise DataError(
        f"data: {told} have no {what}s: {names}.",
        because=[f"{what}s are {', '.join(sorted(KINDS[f'{what} file']))}"],
        path=at,
        got=bare,
    )


def _media(files: Iterable[str]) -> tuple[list[str], str]:
    """The pictures among files, or the sounds where there are no pictures; and what they are."""
    files = list(files)
    pictures = _of_kind(files, PICTURES)
    sounds = _of_kind(files, SOUNDS) if not pictures else []
    return (sounds, "sound file") if sounds else (pictures, "picture file")


def _of_kind(files: Iterable[str], endings: frozenset[str]) -> list[str]:
    return sorted((file for file in files if os.path.splitext(file)[1].lower() in endings), key=natural)
