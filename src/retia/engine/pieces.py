"""Pieces of sequences as people hand them over, as the batches that the walk takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.codecs.arrays import brief
from retia.engine.intake import as_batch, by_port, device_of, float_kind, on_device_half
from retia.errors import DataError, ShapeError, UnknownNameError, did_you_mean
from retia.nets.codec import Codec
from retia.nets.net import Net
from retia.nets.ports import Port
from retia.shapes import show

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Pieces:
    """What goes into a net that is led along.

    Attributes:
        net: the net.
        batch: how many sequences go side by side; None for one that is no batch.
    """

    net: Net
    batch: int | None

    def whole(self, given: Mapping[str, Any]) -> dict[str, Tensor]:
        """Inputs that are known from the beginning, by port."""
        ports, values = self.net.inputs, {}
        for name, thing in given.items():
            if name not in ports:
                raise UnknownNameError(
                    f"given: there is no input {name!r}; there are {', '.join(ports) or 'none'}."
                    + did_you_mean(name, ports),
                    path=name,
                )
            codec = ports[name].codec
            if codec is None:
                values[name], _ = self._of_rank(ports[name], thing, None)
            else:
                values[name] = self._packed(name, codec, codec.rows(self._listed(name, thing)))
        return values

    def next(self, piece: Any, axes: Mapping[str, int], begins: bool) -> tuple[dict[str, Tensor], bool]:
        """A piece by port, and whether it is a single element without the sequence's axis.

        Args:
            piece: what was handed over.
            axes: along which the sequence goes, by port.
            begins: whether it is the first.
        """
        values: dict[str, Tensor] = {}
        single = True
        for name, thing in by_port({name: self.net.inputs[name] for name in axes}, piece).items():
            port = self.net.inputs[name]
            if port.codec is None:
                values[name], alone = self._of_rank(port, thing, axes[name])
                single = single and alone
            else:
                rows = port.codec.pieces(self._listed(name, thing), begins)
                values[name], single = self._packed(name, port.codec, rows), False
        return values, single

    def _listed(self, name: str, thing: Any) -> Sequence[Any]:
        if self.batch is None:
            return [thing]
        if not isinstance(thing, list | tuple) or len(thing) != self.batch:
            raise DataError(
                f"{name}: this view is of {self.batch} sequences, so it takes a list of {self.batch}; "
                f"got {brief(thing)}.",
                path=name,
                expected=self.batch,
                got=thing,
            )
        return thing

    def _packed(self, name: str, codec: Codec, rows: Sequence[Tensor]) -> Tensor:
        shapes = {tuple(row.shape) for row in rows}
        if len(shapes) > 1:
            raise ShapeError(
                f"{name}: pieces of a batch are equally long; got {', '.join(map(show, sorted(shapes)))}.",
                fix="a view for each sequence, net.stateful()",
                path=name,
            )
        packed = torch.stack([*rows]).to(device_of(self.net))
        return on_device_half(codec, packed, float_kind(self.net))

    def _of_rank(self, port: Port, thing: Any, axis: int | None) -> tuple[Tensor, bool]:
        """An array as a batch, and whether it had no axis to go along."""
        tensor = as_batch(thing, port.kind, float_kind(self.net), port.name).to(device_of(self.net))
        # Not the caller's memory: layers may remember what comes in, and a buffer may be filled again.
        batch = (tensor.unsqueeze(0) if self.batch is None else tensor).clone()
        shape = port.shape
        if shape is None:
            return batch, False
        single = axis is not None and batch.dim() == len(shape)
        batch = batch if axis is None or not single else batch.unsqueeze(axis + 1)
        wanted = tuple(
            size if isinstance(size, int) and at != axis else None for at, size in enumerate(shape)
        )
        if not _fits(wanted, tuple(batch.shape[1:])) or batch.shape[0] != (self.batch or 1):
            each = "" if self.batch is None else f"{self.batch} of "
            raise ShapeError(
                f"{port.name}: this view takes {each}{show(wanted)}; got {show(tuple(tensor.shape))}.",
                path=port.name,
                expected=wanted,
                got=tuple(tensor.shape),
            )
        return batch, single


def _fits(wanted: tuple[int | None, ...], got: tuple[int, ...]) -> bool:
    sizes = zip(wanted, got, strict=False)
    return len(wanted) == len(got) and all(size in (None, has) for size, has in sizes)
