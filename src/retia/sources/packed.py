"""Rows of a set, packed: what a column's packer makes of things, with failures told by row.

A packer answers one tensor, batch first; or, where sizes vary from example to example, ``Ragged``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from retia._late import numpy as np
from retia._torch import torch
from retia.errors import DataError, Error
from retia.sources.archives import Member
from retia.sources.media import unreadable
from retia.sources.ragged import Ragged

if TYPE_CHECKING:
    from torch import Tensor

    from retia.sources.dataset import Data

Packer: TypeAlias = "Callable[[Any], Tensor | Ragged]"
"""Turns some rows of a column (an array of arrays, else a list) into what is packed, row by row."""

CHUNK = 256


def whole(data: Data, name: str, packer: Packer, pool: Executor) -> Tensor | Ragged:
    """A column, packed by chunks; rows that could be of several sizes but are not make a plain tensor."""
    chunks = [np.arange(start, min(start + CHUNK, len(data))) for start in range(0, len(data), CHUNK)]
    head = pack(data, name, packer, chunks[0])
    if isinstance(head, Ragged):
        waiting = [pool.submit(pack, data, name, packer, rows) for rows in chunks[1:]]
        column = Ragged.joined([head, *_results(waiting)])
        alike = column.alike()
        return column if alike is None else alike
    return _dense(data, name, packer, pool, head, chunks)


def _dense(data: Data, name: str, packer: Packer, pool: Executor, head: Tensor, chunks: list[Any]) -> Tensor:
    """A column of things of one size, in memory that is taken once."""
    whole = head.new_empty((len(data), *head.shape[1:]))
    whole[: len(head)] = head

    deeper: dict[int, Tensor] = {}  # pictures of more than 8 bits after ones of 8, sounds of more than 16

    def fill(rows: Any) -> None:
        packed = pack(data, name, packer, rows)
        assert not isinstance(packed, Ragged)
        _check_alike(name, int(rows[0]), packed, head)
        if packed.is_floating_point() and not whole.is_floating_point():
            deeper[int(rows[0])] = packed
        else:
            whole[int(rows[0]) : int(rows[-1]) + 1] = packed

    _results([pool.submit(fill, rows) for rows in chunks[1:]])
    if deeper:
        whole = whole.to(torch.float32)
    for start, packed in deeper.items():
        whole[start : start + len(packed)] = packed
    return whole


def _results(waiting: list[Future[Any]]) -> list[Any]:
    """What was submitted, in order; after a failure nothing more is begun."""
    try:
        return [each.result() for each in waiting]
    finally:
        for each in waiting:
            each.cancel()


def _check_alike(name: str, row: int, packed: Tensor, head: Tensor) -> None:
    kinds = {packed.dtype, head.dtype}
    deeper = torch.float32 in kinds and kinds <= {torch.uint8, torch.int16, torch.float32}
    if packed.shape[1:] != head.shape[1:] or (len(kinds) > 1 and not deeper):
        raise DataError(
            f"{name!r}: the examples from row {row} on are {packed.dtype} {tuple(packed.shape[1:])}, "
            f"those before {head.dtype} {tuple(head.shape[1:])}.",
            fix="give the codec a size, rt.Image(28, 28), or make the examples alike",
            path=name,
            expected=tuple(head.shape[1:]),
            got=tuple(packed.shape[1:]),
        )


def pack(data: Data, name: str, packer: Packer, rows: Any) -> Tensor | Ragged:
    """Some rows of a column, packed; a failure is told by row.

    Raises:
        CodecError, DataError: a thing cannot be packed; named by row, column and file.
    """
    if not len(rows):
        one = pack(data, name, packer, np.zeros(1, np.int64))
        return one.part(torch.arange(0)) if isinstance(one, Ragged) else one[:0]
    try:
        packed = packer(_things(data, name, rows))
    except Exception as error:
        raise _located(data, name, packer, rows, error) from error
    if len(packed) != len(rows):
        raise DataError(f"{name!r}: {len(rows)} rows were packed into {len(packed)}.", path=name)
    return packed


def _things(data: Data, name: str, rows: Any) -> Any:
    return data.columns[name].things(data[rows].rows)


def _located(data: Data, name: str, packer: Packer, rows: Any, error: Exception) -> Error:
    """The error of some rows with the rows that are to blame, found by packing each alone."""
    found: list[tuple[int, Exception]] = []
    for row in rows.tolist():
        try:
            packer(_things(data, name, np.array([row])))
        except Exception as alone:
            found.append((row, alone))
    if not found:
        return _told(error, f"{name!r}, rows {rows[0]} to {rows[-1]}", ())
    row, first = found[0]
    others = [f"{_where(data, name, row)} too" for row, _ in found[1:6]]
    if len(found) > 6:
        others.append(f"and {len(found) - 6} more of the {len(rows)} that were packed together")
    at = data.columns[name].name_of(int(data.rows[row]))
    cure = 'rt.data(folder, on_error="skip") leaves unreadable pictures out'
    thing = data.columns[name].item(int(data.rows[row])) if at else None
    bad = isinstance(thing, Path | Member) and unreadable([thing])
    return _told(first, _where(data, name, row, first), others, cure if bad else None)


def _where(data: Data, name: str, row: int, error: Exception | None = None) -> str:
    given = int(data.rows[row])
    at = data.columns[name].name_of(given) or (f"row {given} as given" if given != row else "")
    return f"{name!r}, row {row}" + (f" ({at})" if at and at not in str(error) else "")


def _told(error: Exception, where: str, others: Iterable[str], cure: str | None = None) -> Error:
    if not isinstance(error, Error):
        return DataError(f"{where}: {type(error).__name__}: {error}", because=others, fix=cure, path=where)
    message = error.message.replace(" row 0:", "", 1)  # the number in a list of one
    return type(error)(
        f"{where}: {message}",
        because=[*error.because, *others],
        fix=error.fix or cure,
        path=where,
        expected=error.expected,
        got=error.got,
    )
