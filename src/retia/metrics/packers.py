"""What packs the things of a column for a port: host halves of codecs, and plain numbers.

Where sizes vary from example to example rows are packed one by one and stand without padding in ``Ragged``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia._torch import torch
from retia.engine.intake import as_batch
from retia.errors import ShapeError
from retia.metrics.loss import CLASSES, LABELS, PAIRS, SEQUENCE, Loss
from retia.metrics.terms import Term
from retia.nets.codec import Codec
from retia.nets.ports import Port
from retia.shapes import Shape, show, varies
from retia.sources.packed import Packer
from retia.sources.ragged import Ragged

if TYPE_CHECKING:
    from torch import Tensor

BEYOND = -1
"""Stands beyond the end of a sequence of class numbers whose length is not the output's."""


def is_whole(things: Any) -> bool:
    """Whether things are whole numbers, or arrays of them."""
    if hasattr(things, "dtype"):
        return things.dtype.kind in "iu"
    try:
        return np.asarray(things).dtype.kind in "iu"
    except ValueError:  # sequences of several lengths
        return all(is_whole(thing) for thing in things)


def input_packer(port: Port) -> Packer:
    """What packs the things of an input port."""
    if not varies(port.shape):
        return partial(_pack, port)
    codec = port.codec
    if codec is not None:
        return partial(_codec_rows, codec)
    return partial(_ragged, port, port.shape or (), port.kind, 0)


def target_packer(port: Port, term: Term | None, things: Sequence[Any]) -> Packer:
    """What packs the targets of an output port.

    Args:
        port: as the net gives it.
        term: of the objective, for the output; None where one function is of all outputs.
        things: all targets.
    """
    loss = term.loss if term is not None else None
    form = loss.form if isinstance(loss, Loss) else None
    if port.codec is None and form == SEQUENCE:
        return partial(_ragged, port, None, "int", BEYOND)
    if port.codec is not None and (form == SEQUENCE or varies(port.shape)):
        codec, name = port.codec, loss.name if isinstance(loss, Loss) else port.codec.loss()
        fill = BEYOND if form == SEQUENCE else 0
        return partial(_target_rows, codec, name, fill)
    numbered = is_whole(things) and (form is None or form in (CLASSES, LABELS, PAIRS))
    if varies(port.shape):
        assert port.shape is not None
        classes = numbered and term is not None and form == CLASSES
        shape = _without(port.shape, term.axis) if classes and term is not None else port.shape
        return partial(_ragged, port, shape, "int" if numbered else "float", 0)
    return partial(_pack_target, port, term, numbered)


def _without(shape: Shape, axis: int) -> Shape:
    """A shape without an axis of its batch."""
    place = (axis if axis < 0 else axis - 1) % len(shape)
    return shape[:place] + shape[place + 1 :]


def _pack(port: Port, things: Sequence[Any]) -> Tensor:
    if port.codec is not None:
        return port.codec.pack(things)
    return as_batch(things, port.kind, torch.float32, port.name)


def _codec_rows(codec: Codec, things: Sequence[Any]) -> Ragged:
    return Ragged.of(codec.rows(things))


def _target_rows(codec: Codec, loss: str, fill: int, things: Sequence[Any]) -> Ragged:
    return Ragged.of(codec.target_rows(things, loss), fill)


def _pack_target(port: Port, term: Term | None, numbered: bool, things: Sequence[Any]) -> Tensor:
    loss = term.loss if term is not None else None
    if port.codec is not None:
        target = port.codec.pack_target(things, loss.name if isinstance(loss, Loss) else port.codec.loss())
        return target.unsqueeze(1) if port.codec.column and port.shape == (1,) else target
    return as_batch(things, "int" if numbered else "float", torch.float32, port.name)


def _ragged(port: Port, shape: Shape | None, kind: str, fill: int, things: Sequence[Any]) -> Ragged:
    """Arrays of several sizes, each of the rank that a port has."""
    rank = 1 if shape is None else len(shape)
    rows = [as_batch(thing, kind, torch.float32, port.name) for thing in things]
    for number, row in enumerate(rows):
        if row.dim() != rank:
            takes = "a sequence of whole numbers" if shape is None else show(shape)
            raise ShapeError(
                f"{port.name}: row {number}: {takes} is expected for each example; "
                f"got {show(tuple(row.shape))}.",
                path=port.name,
                expected=shape,
                got=tuple(row.shape),
            )
    return Ragged.of(rows, fill)
