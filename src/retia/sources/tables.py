"""Tables in text files: CSV and TSV, plain or packed, read by Python's ``csv`` (RFC 4180's quoting).

Every row has a cell for each column, every column one type (``cells.py``); what is otherwise is told by its
line and column.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from retia.errors import ArgumentError, DataError, did_you_mean
from retia.sources.cells import NUMBER, WORDS, Kind, typed
from retia.sources.dataset import Data
from retia.sources.lines import TOLD, Faults, Places, ending, lines_of, stem

SEPARATORS = {".csv": ",;\t|", ".tsv": "\t", ".tab": "\t"}
"""What may stand between cells, by a file's ending."""
UNQUOTED = frozenset({".tsv", ".tab"})
"""Endings of files in which quotation marks are characters like others, as IANA's TSV has it."""

WIDEST = 20_000
"""Columns of the widest table that is read."""


@dataclass(frozen=True)
class TableFormat:
    """How a table is read where the file itself does not say it.

    Attributes:
        header: None: the first line names the columns, and is refused where it holds numbers; True: it does,
            whatever it holds; a list: the names, the first line being a row.
        types: of columns by name, ``str``, ``int``, ``float`` or ``bool``, where they shall not be found out.
        missing: words that mean a missing cell in every column.
        encoding: of the text.
    """

    header: Any = None
    types: Mapping[str, Kind] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    encoding: str = "utf-8"

    @classmethod
    def of(cls, header: Any, types: Any, missing: Any, encoding: Any) -> TableFormat:
        """The arguments of ``rt.data``, checked."""
        named = isinstance(header, list | tuple) and header and all(isinstance(each, str) for each in header)
        if not (header is None or header is True or named):
            raise ArgumentError(
                f"data: header is True or a list of the columns' names; got {header!r}.", got=header
            )
        for name, kind in dict(types or {}).items():
            if kind not in WORDS:
                raise ArgumentError(
                    f"data: the type of a column is str, int, float or bool; got {kind!r} for {name!r}.",
                    got=kind,
                )
        words = [missing] if isinstance(missing, str) else list(missing)
        try:
            codecs.lookup(encoding)
        except (LookupError, TypeError):
            raise ArgumentError(f"data: there is no encoding {encoding!r}.", got=encoding) from None
        return cls(header, dict(types or {}), frozenset(words), encoding)


def read_csv(path: Path, how: TableFormat, on_error: str) -> Data:
    """The columns of a CSV or TSV file; see ``rt.data``."""
    source = lines_of(path, how.encoding)
    head = list(_until_text(source))
    separator = _separator(head, SEPARATORS[ending(path)])
    faults = Faults(path, on_error)
    plain = ending(path) in UNQUOTED
    reader = csv.reader(
        chain(head, source),
        delimiter=separator,
        strict=True,
        quoting=csv.QUOTE_NONE if plain else csv.QUOTE_MINIMAL,
    )
    rows = _rows(reader, faults)
    names = _names(path, next(rows, (1, []))[1] if isinstance(how.header, bool | None) else how.header, how)
    lines, kept = _even(rows, len(names), faults)
    total = len(kept) + len(faults.lines)
    if not total:
        raise DataError(f"{path} has no rows.", path=str(path))
    for _ in range(2):  # again without the rows whose cells are wrong
        columns = dict(zip(names, zip(*kept, strict=True), strict=True)) if kept else {}
        found = {name: typed(cells, how.types.get(name), how.missing) for name, cells in columns.items()}
        for name, each in found.items():
            for row, what in each.faults.items():
                faults.add(lines[row], f", column {name!r}: {what}")
        if on_error == "raise" or not any(each.faults for each in found.values()):
            break
        kept = [cells for line, cells in zip(lines, kept, strict=True) if line not in faults.lines]
        lines = [line for line in lines if line not in faults.lines]
    faults.settle(total, _cure(faults))
    places = Places(path.name, lines)
    return Data({name: each.column(places) for name, each in found.items()}, name=stem(path))


def _cure(faults: Faults) -> str:
    for _, what in sorted(faults.lines.items()):
        if column := re.match(r", column ('.*?'|\".*?\"):", what):
            return f"types={{{column[1]}: str}} keeps the column as words"
        if "NUL" in what or "cells" in what:
            break
    return "mend the file"


def _until_text(source: Iterator[str]) -> Iterator[str]:
    """Lines up to the first that is not blank."""
    for line in source:
        yield line
        if line.strip():
            return


def _separator(head: list[str], known: str) -> str:
    """What parts the first line into most cells; the first of equals."""
    return max(known, key=head[-1].count) if head else known[0]


def _rows(reader: Any, faults: Faults) -> Iterator[tuple[int, list[str]]]:
    """Rows with the lines that they begin in."""
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _unreadable(faults.path, line, error) from None
        if not cells:
            continue
        if any("\0" in cell for cell in cells):
            place = next(n for n, cell in enumerate(cells, 1) if "\0" in cell)
            faults.add(line, f": cell {place} holds a NUL byte")
            continue
        yield line, cells


def _unreadable(path: Path, line: int, error: csv.Error) -> DataError:
    if "field limit" in str(error):
        limit = csv.field_size_limit()
        return DataError(
            f"{path}, line {line}: a cell has more than {limit:,} characters.",
            because=["a quotation mark that is never closed makes such a cell"],
            fix=f"csv.field_size_limit({10 * limit}) before, where cells are that long",
            path=f"{path}, line {line}",
        )
    return DataError(f"{path}, line {line}: {error}.", fix="mend the file", path=f"{path}, line {line}")


def _names(path: Path, given: Iterable[str], how: TableFormat) -> list[str]:
    """The columns' names, of which there are no two alike."""
    names = [name.strip() or f"column {number}" for number, name in enumerate(given, 1)]
    if not names:
        raise DataError(f"{path} is empty.", path=str(path))
    if len(names) > WIDEST:
        raise DataError(f"{path} has {len(names):,} columns; at most {WIDEST:,} are read.", path=str(path))
    numbers = [name for name in names if NUMBER.fullmatch(name)]
    if numbers and how.header is None:
        raise DataError(
            f"{path}: its first line holds the number {numbers[0]}, so it may be a row and no header.",
            fix="header=[the columns' names], or header=True where the line is one",
            path=str(path),
            got=names,
        )
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        at = " and ".join(str(n) for n, name in enumerate(names, 1) if name == twice[0])
        raise DataError(
            f"{path} has {len(twice)} names of columns more than once: {twice[0]!r} is columns {at}.",
            because=[f"{name!r} too" for name in twice[1:TOLD]],
            fix="rename them in the file's first line",
            path=str(path),
            got=twice,
        )
    strange = [name for name in how.types if name not in names]
    if strange:
        hint = did_you_mean(strange[0], names)
        raise ArgumentError(f"types: {path} has no column {strange[0]!r}.{hint}", expected=names, got=strange)
    return names


def _even(
    rows: Iterable[tuple[int, list[str]]], width: int, faults: Faults
) -> tuple[list[int], list[list[str]]]:
    """Rows that have a cell for every column, with their lines."""
    lines, kept = [], []
    for line, cells in rows:
        if len(cells) == width:
            lines.append(line)
            kept.append(cells)
        else:
            what = "1 cell" if len(cells) == 1 else f"{len(cells):,} cells"
            faults.add(line, f" has {what}, but there are {width:,} columns")
    return lines, kept
