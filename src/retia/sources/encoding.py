"""Whole columns as the tensors that stand at a net's ports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from retia.nets import Codec, Net
from retia.shapes import varies
from retia.sources.feeds import columns, numbers
from retia.sources.packed import Packer
from retia.sources.ragged import Ragged

if TYPE_CHECKING:
    from retia.sources.dataset import Data


def encoded(data: Data, codecs: Mapping[str, Codec]) -> dict[str, Any]:
    """The columns of a set, encoded by these codecs or as numbers; see ``Data.arrays``."""
    packed = columns(data, {name: _encoder(codecs.get(name)) for name in data.columns})
    return {name: each.rows() if isinstance(each, Ragged) else each for name, each in packed.items()}


def codecs_of(by: Net | Mapping[str, Codec] | None) -> Mapping[str, Codec]:
    """The codecs of a net by port, or those that are given."""
    if not isinstance(by, Net):
        return by or {}
    ports = {**by.inputs, **by.outputs}
    return {name: port.codec for name, port in ports.items() if port.codec is not None}


def _encoder(codec: Codec | None) -> Packer:
    if codec is None:
        return numbers
    if varies(codec.shape):
        return lambda things: Ragged.of([codec.encode([thing])[0] for thing in things])
    return lambda things: codec.encode([*things])  # a list, which no codec takes for one thing
