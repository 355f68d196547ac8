"""Columns of a set, packed once for all runs: in a folder, under the hash of what they are made of.

That is the codec's expression, and the content of every thing: files are read for it, for a file's size and
time do not tell all changes, and reading is far cheaper than decoding. So nothing that is out of date can be
found, and the folder may be deleted at any time. What is found is mapped into memory, not read into it.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterator, Mapping
from functools import partial
from importlib import metadata
from typing import TYPE_CHECKING, Any

from retia._atomic import made_folder
from retia._late import numpy as np
from retia._torch import torch
from retia.errors import DataError, RetiaWarning
from retia.formats import shelf
from retia.formats.shelf import Item
from retia.metrics.loss import Loss
from retia.metrics.terms import Term
from retia.nets.codec import Codec
from retia.nets.expression import canonical
from retia.nets.ports import Port
from retia.sources.dataset import Data
from retia.sources.feeds import Feed, StreamingFeed, columns, resident
from retia.sources.packed import CHUNK, Packer, pack
from retia.sources.ragged import Ragged

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = "1"
DECODERS = ("retia", "numpy", "pillow", "soundfile", "tokenizers")
"""Packages whose version may change what is packed."""


class _NoKeyError(Exception):
    """Something that has no content to go by; the words are for the user."""


class _UnlikeError(Exception):
    """A chunk of another type than those before: the column is packed as a whole."""


def stored_feed(data: Data, packers: Mapping[str, Packer], folder: str) -> Feed:
    """The feed of a set whose packed columns are kept in a folder.

    What has no content hash, or is made by a codec that is not Retia's, is packed anew, with a warning.

    Args:
        data: a set that is not empty.
        packers: by column.
        folder: made if it is not there.
    Raises:
        FileError: the folder cannot be made.
    """
    made_folder(folder)
    return resident({name: _column(data, name, packer, folder) for name, packer in packers.items()})


def _column(data: Data, name: str, packer: Packer, folder: str) -> Tensor | Ragged:
    try:
        key = key_of(data, name, packer)
    except _NoKeyError as error:
        warnings.warn(f"{name!r} is not kept in {folder}: {error}.", RetiaWarning, stacklevel=2)
        return columns(data, {name: packer})[name]
    path = os.path.join(folder, f"{key[:32]}.safetensors")
    found = shelf.get(path, key)
    if found is None:
        try:
            found = _made(data, name, packer, path, key)
        except OSError as error:
            warnings.warn(f"{name!r} is not kept in {folder}: {error}", RetiaWarning, stacklevel=2)
    column = _read(found)
    return columns(data, {name: packer})[name] if column is None else column


def _read(found: Mapping[str, Tensor] | None) -> Tensor | Ragged | None:
    if found is None or "values" not in found:
        return None
    return (
        Ragged(found["values"], found["sizes"], int(found["fill"])) if "sizes" in found else found["values"]
    )


# What a column is known by ------------------------------------------------------------------------


def key_of(data: Data, name: str, packer: Packer) -> str:
    """sha256 of all that a packed column depends on: how it is packed, and what."""
    digest = hashlib.sha256("\n".join([FORMAT, *_versions(), *_how(packer)]).encode())
    try:
        data.columns[name].feed_hash(data.rows, digest.update)
    except DataError as error:
        raise _NoKeyError(error.message.rstrip(".")) from None
    digest.update(f"{len(data)} rows".encode())
    return digest.hexdigest()


def _versions() -> Iterator[str]:
    for package in DECODERS:
        try:
            yield f"{package} {metadata.version(package)}"
        except metadata.PackageNotFoundError:
            yield f"no {package}"


def _how(packer: Any) -> Iterator[str]:
    """How things are packed, in words that are the same in every process."""
    if isinstance(packer, partial):
        yield f"{packer.func.__module__}.{packer.func.__qualname__}"
        for each in packer.args:
            yield from _how(each)
    elif isinstance(packer, Codec):
        if not type(packer).__module__.startswith("retia."):
            raise _NoKeyError(f"{type(packer).__name__} is a codec of your own, and may change")
        yield canonical(packer)
    elif isinstance(packer, Port):
        yield f"{packer.kind} {packer.shape}"
        yield from _how(packer.codec)
    elif isinstance(packer, Term):
        yield f"{packer.loss.name} {packer.loss.form}" if isinstance(packer.loss, Loss) else "a function"
    elif packer is None or isinstance(packer, str | int | tuple):
        yield repr(packer)
    else:
        raise _NoKeyError(f"a {type(packer).__name__} packs it, which has no content to go by")


# Making a file ------------------------------------------------------------------------------------


def _made(data: Data, name: str, packer: Packer, path: str, key: str) -> dict[str, Tensor] | None:
    """Pack a column into a file, a few chunks at a time where things are of one size; what is then there."""
    head = pack(data, name, packer, np.zeros(1, np.int64))
    try:
        if isinstance(head, Ragged):
            raise _UnlikeError
        item = Item(head.dtype, (len(data), *head.shape[1:]), _blocks(data, name, packer, head))
        shelf.put(path, {"values": item}, key)
    except _UnlikeError:
        shelf.put(path, _items(columns(data, {name: packer})[name]), key)
    return shelf.get(path, key)


def _blocks(data: Data, name: str, packer: Packer, head: Tensor) -> Iterator[Tensor]:
    for chunk in StreamingFeed(data, {name: packer}).stream(torch.split(torch.arange(len(data)), CHUNK)):
        if chunk[name].dtype != head.dtype or chunk[name].shape[1:] != head.shape[1:]:
            raise _UnlikeError
        yield chunk[name]


def _items(column: Tensor | Ragged) -> dict[str, Item]:
    if not isinstance(column, Ragged):
        return {"values": Item.of(column)}
    fill = torch.tensor(column.fill)
    return {"values": Item.of(column.values), "sizes": Item.of(column.sizes), "fill": Item.of(fill)}
