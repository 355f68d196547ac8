"""Files by a pattern of their paths, with labels from what stands in the paths; and tables of labels.

``*`` is any run of characters in one name, ``**`` any number of folders, ``?`` one character, and ``{name}``
such a run that becomes a column, of whole numbers where it is ``{name:int}``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from retia.errors import ArgumentError, DataError
from retia.sources.archives import is_archive
from retia.sources.columns import Column, ListColumn, column
from retia.sources.dataset import Data
from retia.sources.lines import Faults
from retia.sources.media import kind_of
from retia.sources.natural import natural
from retia.sources.trees import Folder, Packed, Tree

MAGIC = re.compile(r"[*?{]")
FIELD = re.compile(r"\{([A-Za-z_]\w*)(:int)?\}")
PIECE = re.compile(r"\*\*/|\*\*|\*|\?|\{[^{}]*\}|[^*?{]+|\{")
PATHS = ("file", "filename", "file_name", "path", "image", "picture", "sound", "audio", "name", "id")
"""Names of the column that holds files in a table of labels; any other that does is found too."""


def is_glob(text: str) -> bool:
    """Whether a text is a pattern of paths, and no file of that name is there."""
    return MAGIC.search(text) is not None and not os.path.lexists(text)


def read_glob(text: str) -> Data:
    """The set of all files that fit a pattern; see ``rt.data``."""
    tree, pattern = _root(text)
    fits, whole = _compiled(pattern, text)
    found = [(file, match) for file in tree.files() if (match := fits.fullmatch(file))]
    if not found:
        raise DataError(f"data: no file fits {text!r}.", path=text, got=text)
    found.sort(key=lambda each: natural(each[0]))
    files = [file for file, _ in found]
    columns: dict[str, Column] = {"input": tree.column(files, kind_of(files))}
    for name in fits.groupindex:
        columns[name] = ListColumn([int(m[name]) if name in whole else m[name] for _, m in found])
    if not fits.groupindex and "/" in pattern:
        columns["output"] = ListColumn([_folder_of(file, tree) for file in files])
    if len(fits.groupindex) == 1:
        columns["output"] = columns.pop(next(iter(fits.groupindex)))
    return Data(columns, name=tree.title)


def _root(text: str) -> tuple[Tree, str]:
    """The folder or archive before a pattern's first special character, and the rest."""
    fixed, rest = [], text.replace(os.sep, "/").split("/")
    while len(rest) > 1 and not MAGIC.search(rest[0]):
        fixed.append(rest.pop(0))
        path = Path("/".join(fixed) or "/")
        if path.is_file() and is_archive(path):
            packed = Packed(path)
            packed.base = ""  # patterns are of the paths as they stand in the archive
            return packed, "/".join(rest)
    root = Path("/".join(fixed) or ("/" if fixed else "."))
    if not root.is_dir():
        raise DataError(f"data: {text!r}: there is no folder {str(root)!r}.", path=text, got=text)
    return Folder(root), "/".join(rest)


def _compiled(pattern: str, text: str) -> tuple[re.Pattern[str], set[str]]:
    """A pattern as a regular expression, and which of its fields are whole numbers."""
    made, whole, seen = "", set(), set()
    for piece in PIECE.findall(pattern):
        field = FIELD.fullmatch(piece)
        if field:
            name = field[1]
            if name == "input" or name in seen:
                raise ArgumentError(f"data: {text!r} has the field {name!r} twice or as its input.", got=text)
            seen.add(name)
            whole |= {name} if field[2] else set()
            made += f"(?P<{name}>{'[0-9]{1,18}' if field[2] else '[^/]+?'})"
        elif piece.startswith("{"):
            raise ArgumentError(
                f"data: {text!r}: {piece} is no field.",
                fix="{label}, or {age:int} for whole numbers",
                got=text,
            )
        else:
            made += {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(piece) or re.escape(
                piece
            )
    return re.compile(made, re.DOTALL), whole


def _folder_of(file: str, tree: Tree) -> str:
    return os.path.basename(os.path.dirname(file)) or tree.title


# Tables of labels ---------------------------------------------------------------------------------


def beside(tree: Tree, table: Data, path: Path, on_error: str) -> Data:
    """The set of the files that a table in their folder names, with the table's other columns.

    Raises:
        DataError: no column holds names of files, or files are missing.
    """
    there = set(tree.files())
    name = _paths(table, there, path)
    given = [str(each) for each in table.columns[name].things(table.rows)]
    faults = Faults(path, on_error)
    files, rows = [], []
    for row, file in enumerate(given):
        known = next((each for each in (file, *_ended(file, there)) if each in there), None)
        if known is None:
            line = int(table.columns[name].name_of(row).rpartition(" ")[2] or row)
            faults.add(line, f", column {name!r}: there is no file {file!r} beside the table")
        else:
            files.append(known)
            rows.append(row)
    faults.settle(len(given), "put the files there")
    kept = table[rows]
    rest: dict[str, Any] = {
        key: column(key, each) for key, each in kept.arrays().items() if key not in (name, "input")
    }
    if len(rest) == 1:
        rest = {"output": next(iter(rest.values()))}
    return Data({"input": tree.column(files, kind_of(files)), **rest}, name=tree.title)


def _ended(file: str, there: set[str]) -> list[str]:
    """A name without its ending, as some tables have it, with the endings that files here have."""
    return (
        []
        if os.path.splitext(file)[1]
        else [f"{file}{end}" for end in {os.path.splitext(f)[1] for f in there}]
    )


def _paths(table: Data, there: set[str], path: Path) -> str:
    words = [name for name in table.columns if isinstance(table.columns[name].item(0), str | int)]
    ordered = sorted(words, key=lambda name: name.lower() not in PATHS)
    for name in ordered:
        first = [str(each) for each in table.columns[name].things(range(min(20, len(table))))]
        if any(file in there or any(each in there for each in _ended(file, there)) for file in first):
            return name
    raise DataError(
        f"{path}: none of its columns names files that lie beside it: {', '.join(table.columns)}.",
        because=[f"the first file there is {min(there)!r}"] if there else [],
        path=str(path),
        got=tuple(table.columns),
    )
