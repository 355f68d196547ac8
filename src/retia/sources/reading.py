"""From whatever people have to a set of examples: names, folders, arrays, pairs, columns."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from retia.errors import ArgumentError, DataError, did_you_mean
from retia.sources.bundled import bundled, names
from retia.sources.columns import FileColumn, ListColumn, column
from retia.sources.dataset import Data
from retia.sources.natural import natural
from retia.sources.pictures import SUFFIXES

FOLDERS = {
    "train": "train", "training": "train", "validation": "validation", "val": "validation",
    "valid": "validation", "test": "test", "testing": "test",
}  # fmt: skip
"""Names of the folders that are parts of a set."""


def data(source: Any, *, on_error: str = "raise") -> Data:
    """A set of examples, from a bundled set's name, a folder of pictures, or what is in memory.

    Args:
        source: one of
            ``"mnist"``, a bundled set (``retia.sources.names()`` lists them; a folder of the same name is
            ``"./mnist"``);
            ``"pets/"``, a folder with one folder of pictures for each label, or with such folders in
            ``train``, ``validation`` and ``test`` (in natural order, "10" after "2");
            ``(x, y)``, a tuple of two columns: arrays, tensors or lists;
            ``[(x, y), ...]``, a list of pairs;
            ``{"input": x, "output": y}``, columns by the names of a net's ports;
            ``{"train": ..., "test": ...}``, parts, each any of these; or a set itself.
        on_error: what to do with pictures that cannot be read: ``"raise"`` when one is encoded (nothing is
            opened before), or ``"skip"``: open all of them now and leave those out, with one warning.
    Returns:
        The set; nothing that was given is copied or changed.
    Raises:
        DataError: the source is unknown, empty, or its columns differ in length.
    Example:
        >>> import retia as rt
        >>> rt.data({"input": ["up", "down"], "output": [0, 1]})[1]
        ('down', 1)
    """
    if on_error not in ("raise", "skip"):
        raise ArgumentError(f"data: on_error is 'raise' or 'skip'; got {on_error!r}.", got=on_error)
    found = _read(source)
    return found.check(on_error="skip") if on_error == "skip" else found


def _read(source: Any) -> Data:
    if isinstance(source, Data):
        return source
    if isinstance(source, str) and source in names():
        return bundled(source)
    if isinstance(source, str | os.PathLike):
        return _named(Path(source), os.fspath(source))
    if isinstance(source, Mapping):
        return _mapping(source)
    if isinstance(source, tuple):
        return _columns(source)
    if isinstance(source, list | Iterator):
        return _pairs(list(source))
    alone = f"{type(source).__name__} alone does not say which are the inputs and which the outputs"
    raise DataError(
        f"data: {alone}.",
        fix="rt.data((x, y)), rt.data([(x, y), ...]) or rt.data({'input': x, 'output': y})",
        got=source,
    )


def _named(path: Path, text: str) -> Data:
    if path.is_dir():
        return _folder(path)
    what = "is a file, not a folder of pictures" if path.exists() else "is neither a bundled set nor a folder"
    raise DataError(
        f"data: {text!r} {what}.{did_you_mean(text, names())}",
        because=[f"bundled sets: {', '.join(names())}"],
        path=text,
        expected=names(),
        got=text,
    )


def _mapping(source: Mapping[Any, Any]) -> Data:
    if "train" in source and set(source) <= {"train", "validation", "test"}:
        return Data.of_parts({name: _read(part).train for name, part in source.items()})
    for name in source:
        if not isinstance(name, str) or not name:
            raise DataError(f"data: the name of a column is a word; got {name!r}.", got=name)
    return Data({name: column(name, given) for name, given in source.items()})


def _columns(source: tuple[Any, ...]) -> Data:
    if len(source) != 2:
        raise DataError(
            f"data: a tuple is the two columns (x, y); got {len(source)}.",
            fix="rt.data({'input': x, 'output': y, ...}) for more columns",
            got=source,
        )
    if all(isinstance(part, tuple) and len(part) == 2 and all(map(_many, part)) for part in source):
        raise DataError(
            "data: two pairs of arrays could be two examples or two parts.",
            fix="rt.data({'train': (x, y), 'test': (x2, y2)}), or rt.data(([x, x2], [y, y2]))",
            got=source,
        )
    return Data({"input": column("input", source[0]), "output": column("output", source[1])})


def _many(thing: Any) -> bool:
    return bool(getattr(thing, "shape", ())) or isinstance(thing, list)


def _pairs(source: list[Any]) -> Data:
    if not source:
        raise DataError("data: the set is empty: a list without examples.", got=source)
    for row, pair in enumerate(source):
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise DataError(
                f"data: a list holds pairs (x, y), one for each example; row {row} is {type(pair).__name__}.",
                fix="rt.data((x, y)) for two columns, rt.data({'input': x}) for one",
                path=f"row {row}",
                got=pair,
            )
    return _columns(tuple([pair[side] for pair in source] for side in (0, 1)))


# Folders ------------------------------------------------------------------------------------------


def _folder(root: Path) -> Data:
    inside = _folders(root)
    parts = [name for name in inside if name in FOLDERS and _folders(root / name)]
    if not parts:
        return _classes(root, inside)
    found = {FOLDERS[name]: root / name for name in parts}
    strange = [name for name in inside if name not in parts]
    if strange or len(found) < len(parts) or "train" not in found:
        raise DataError(
            f"data: {root} has the folders {', '.join(inside)}, which are not one set's parts.",
            fix="either one folder for each label, or train (and validation, test) with these inside",
            path=str(root),
            got=inside,
        )
    sets = {part: _classes(path, _folders(path), root.name) for part, path in found.items()}
    return Data.of_parts(
        {name: sets[name] for name in ("train", "validation", "test") if name in sets}, name=root.name
    )


def _classes(root: Path, labels: list[str], name: str = "") -> Data:
    if not labels:
        loose = len(_pictures(root))
        raise DataError(
            f"data: {root} has no folders" + (f", but {loose:,} pictures in it" if loose else "") + ".",
            fix="one folder for each label, with its pictures inside: pets/cat/1.jpg, pets/dog/1.jpg",
            path=str(root),
        )
    found = {label: _pictures(root / label) for label in labels}
    bare = [label for label, files in found.items() if not files]
    if bare:
        raise DataError(
            f"data: {len(bare)} of {len(labels)} folders in {root} have no pictures: {', '.join(bare[:10])}.",
            because=[f"pictures are {', '.join(sorted(SUFFIXES))}"],
            path=str(root),
            got=bare,
        )
    files = [f"{label}/{file}" for label, inside in found.items() for file in inside]
    words = [label for label, inside in found.items() for _ in inside]
    return Data(
        {"input": FileColumn(root, files), "output": ListColumn(words)}, name=name or root.resolve().name
    )


def _folders(root: Path) -> list[str]:
    inside = [each.name for each in os.scandir(root) if each.is_dir() and not each.name.startswith(".")]
    return sorted(inside, key=natural)


def _pictures(root: Path) -> list[str]:
    """The picture files in a folder and the folders below it, by their path from there."""
    found = []
    for folder, below, files in os.walk(root):
        below[:] = [name for name in below if not name.startswith(".")]
        inside = Path(folder).relative_to(root)
        found += [(inside / name).as_posix() for name in files if _is_picture_file(name)]
    return sorted(found, key=natural)


def _is_picture_file(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES
