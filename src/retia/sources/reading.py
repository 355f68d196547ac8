"""From whatever people have to a set of examples: names, files, folders, frames, arrays, functions."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from retia.codecs.rows import is_frame
from retia.errors import ArgumentError, DataError, did_you_mean
from retia.sources import frames, generators, jsonlines, tables
from retia.sources.archives import is_archive
from retia.sources.bundled import bundled, names
from retia.sources.catalogue import CATALOGUE
from retia.sources.columns import column
from retia.sources.dataset import Data
from retia.sources.download import fetched
from retia.sources.foreign import is_hugging_face, is_torch, read_hugging_face, read_torch
from retia.sources.globs import beside, is_glob, read_glob
from retia.sources.idx import holds_idx, read_idx_folder
from retia.sources.known import all_names, arranged
from retia.sources.lines import ending
from retia.sources.tables import TableFormat
from retia.sources.trees import Folder, Packed, class_folders, loose

FILES = (*tables.SEPARATORS, *jsonlines.ENDINGS, *frames.ENDINGS, ".zip", ".tar")
"""Endings of the files that are read."""


def data(
    source: Any,
    *,
    input: Any = None,
    output: Any = None,
    take: int | None = None,
    on_error: str = "raise",
    header: Any = None,
    types: Mapping[str, Any] | None = None,
    missing: Any = (),
    encoding: str = "utf-8",
) -> Data:
    """A set of examples, from a bundled set's name, a file, a folder, or what is in memory.

    Args:
        source: one of
            ``"mnist"``, a set that is known by name (``retia.sources.sets()`` lists them; a folder of the
            same name is ``"./mnist"``): it comes with Retia, or is fetched once and kept;
            ``"pets/"``, a folder with one folder of pictures or sounds for each label, or with such folders
            in ``train``, ``validation`` and ``test`` (in natural order, "10" after "2"); or with pictures and
            a table such as ``labels.csv`` that names them; ``"pets.zip"``, an archive (zip, tar) of class
            folders, read in place;
            ``"photos/**/*.jpg"``, files by a pattern, the folder being the label, or by what stands in their
            names, ``"calls.zip/{digit}_{speaker}_{take:int}.wav"``, each field a column;
            ``"cars.csv"``, a table: CSV, TSV, JSON Lines (also ``.gz``, ``.bz2``, ``.xz``) or Parquet; a
            frame of pandas, polars or Arrow;
            ``(x, y)``, a tuple of two columns: arrays, tensors or lists;
            ``[(x, y), ...]``, a list of pairs;
            ``{"input": x, "output": y}``, columns by the names of a net's ports;
            ``{"train": ..., "test": ...}``, parts, each any of these; or a set itself;
            a ``Dataset`` or ``DataLoader`` of PyTorch, a set of Hugging Face's ``datasets``;
            a function that gives a fresh iterator of examples, or the example of a number.
        input: which columns are the input: a name, a list of names of columns of numbers, which make vectors,
            or None for all that is not the output, as rows.
        output: which columns are the output: a name, or a list of names.
        take: of a function, how many examples; needed where it has no end.
        on_error: what to do with rows, pictures and sounds that cannot be read and with folders of labels
            that hold none: ``"raise"`` (a file is opened when it is encoded, not before), or ``"skip"``:
            leave them out, with a warning that counts and names them.
        header: of a CSV file: a list of the columns' names where its first line is a row; True where it is
            a header that looks like one.
        types: of a table's columns by name, ``str``, ``int``, ``float`` or ``bool``; found out otherwise.
        missing: a word, or several, that mean a missing cell of a table; the empty cell always does, and in
            columns of numbers "NA", "NaN", "null", "None", "?" and "-" as well.
        encoding: of a table's text.
    Returns:
        The set; nothing that was given is copied or changed.
    Raises:
        DataError: the source is unknown, empty or damaged, or its columns differ in length.
    Example:
        >>> import retia as rt
        >>> rt.data({"input": ["up", "down"], "output": [0, 1]})[1]
        ('down', 1)
        >>> rt.data("iris", input=["petal_length", "petal_width"], output="species")[0]
        (array([1.4, 0.2]), 'setosa')
    """
    if on_error not in ("raise", "skip"):
        raise ArgumentError(f"data: on_error is 'raise' or 'skip'; got {on_error!r}.", got=on_error)
    take = generators.check_take(take)
    if take is not None and (not callable(source) or is_torch(source)):
        raise ArgumentError("data: take is for functions.", fix="rt.data(source).take(n)", got=take)
    how = TableFormat.of(header, types, missing, encoding)
    if isinstance(source, str) and source in names():
        return bundled(source, input, output)
    if isinstance(source, str) and source in CATALOGUE and input is None and output is None:
        output = CATALOGUE[source].output
    found = _read(source, how, on_error, take).select(input=input, output=output)
    return found.check(on_error="skip") if on_error == "skip" else found


def _read(source: Any, how: TableFormat, on_error: str, take: int | None = None) -> Data:
    if isinstance(source, Data):
        return source
    if isinstance(source, str) and source in names():
        return bundled(source)
    if isinstance(source, str) and source in CATALOGUE:
        entry = CATALOGUE[source]
        return arranged(entry, fetched(entry), lambda text, how: _named(Path(text), text, how, on_error))
    if isinstance(source, str | os.PathLike):
        return _named(Path(source), os.fspath(source), how, on_error)
    if is_frame(source):
        return frames.read_frame(source)
    if is_torch(source):
        return read_torch(source)
    if is_hugging_face(source):
        return read_hugging_face(source)
    if isinstance(source, Mapping):
        return _mapping(source, how, on_error)
    if isinstance(source, tuple):
        return _columns(source)
    if isinstance(source, list | Iterator):
        return _pairs(list(source))
    if callable(source):
        return generators.read_function(source, take, _examples)
    alone = f"{type(source).__name__} alone does not say which are the inputs and which the outputs"
    raise DataError(
        f"data: {alone}.",
        fix="rt.data((x, y)), rt.data([(x, y), ...]) or rt.data({'input': x, 'output': y})",
        got=source,
    )


# Files --------------------------------------------------------------------------------------------


def _named(path: Path, text: str, how: TableFormat, on_error: str) -> Data:
    if path.is_dir():
        return _folder(path, how, on_error)
    if is_glob(text):
        return read_glob(text)
    if is_archive(path) and path.exists():
        return class_folders(Packed(path), on_error)
    kind = ending(path)
    if path.exists() or kind in FILES:
        return _file(path, kind, text, how, on_error)
    raise DataError(
        f"data: {text!r} is neither a known set nor a file or folder.{did_you_mean(text, all_names())}",
        because=[f"known sets: {', '.join(all_names())}"],
        path=text,
        expected=all_names(),
        got=text,
    )


def _file(path: Path, kind: str, text: str, how: TableFormat, on_error: str) -> Data:
    if not path.exists():
        raise DataError(f"data: {text!r} is not there.", path=text, got=text)
    if kind in tables.SEPARATORS:
        return tables.read_csv(path, how, on_error)
    if kind in jsonlines.ENDINGS:
        return jsonlines.read_jsonlines(path, how, on_error)
    if kind in frames.ENDINGS:
        return frames.read_parquet(path)
    raise DataError(
        f"data: {text!r} is a file of a kind that is not read.",
        because=[f"files that are read: {', '.join(FILES)}"],
        path=text,
        expected=FILES,
        got=text,
    )


def _folder(root: Path, how: TableFormat, on_error: str) -> Data:
    tree = Folder(root)
    if holds_idx(root):
        return read_idx_folder(root)
    beside_it = [file for file in tree.files() if "/" not in file and ending(Path(file)) in FILES[:5]]
    if loose(tree) and len(beside_it) == 1:
        path = root / beside_it[0]
        return beside(tree, _file(path, ending(path), str(path), how, on_error), path, on_error)
    return class_folders(tree, on_error)


# What is in memory --------------------------------------------------------------------------------


def _mapping(source: Mapping[Any, Any], how: TableFormat, on_error: str) -> Data:
    if "train" in source and set(source) <= {"train", "validation", "test"}:
        return Data.of_parts({name: _read(part, how, on_error).train for name, part in source.items()})
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


def _examples(found: list[Any]) -> Data:
    """A set of examples: pairs, or dicts of the same names."""
    if not isinstance(found[0], Mapping):
        return _pairs(found)
    for row, each in enumerate(found):
        if not isinstance(each, Mapping) or set(each) != set(found[0]):
            got = ", ".join(map(str, each)) if isinstance(each, Mapping) else type(each).__name__
            raise DataError(
                f"data: example {row} has {got}, those before {', '.join(map(str, found[0]))}.",
                path=f"row {row}",
                got=each,
            )
    return Data({str(name): column(str(name), [each[name] for each in found]) for name in found[0]})
