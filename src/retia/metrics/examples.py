"""What a set of examples is to a net: its columns, encoded by the batch as the walk takes them.

Host halves of codecs run once, in the feed; device halves run here, for every batch. Inputs and targets
come together and in one order, so predictions and labels cannot part.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.engine.intake import check_lengths, check_shapes, float_kind
from retia.engine.walk import Run, walk
from retia.errors import DataError, did_you_mean
from retia.metrics.lengths import Lengths
from retia.metrics.objective import Objective, Term
from retia.metrics.packers import input_packer, is_whole, target_packer
from retia.metrics.stored import stored_feed
from retia.nets.net import Net
from retia.nets.ports import Port
from retia.nets.wiring import Value
from retia.sources.dataset import Data
from retia.sources.feeds import Feed, PartFeed, RaggedFeed, ResidentFeed, StreamingFeed, feed, joined

if TYPE_CHECKING:
    from torch import Tensor

CHECKED = 4096
"""Examples are looked at so many at once."""


@dataclass
class Batch:
    """Examples as the walk takes them.

    Attributes:
        inputs: by input port, batch first.
        targets: by output port, batch first.
        rows: int64, the number of each example in the data; part of every random draw's key.
        lengths: of varying sizes, by name, one for each example.
        given: values within the net that are known already.
    """

    inputs: Mapping[str, Tensor]
    targets: Mapping[str, Tensor]
    rows: Tensor | None = None
    lengths: Mapping[str, Tensor] = field(default_factory=dict)
    given: Mapping[Value, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter((self.inputs or self.given or self.targets).values())))


def columns_of(net: Net, data: Data, ports: Sequence[str]) -> dict[str, str]:
    """Which column belongs to which port: that of its name; a pair's also to the only input and output.

    Args:
        net: whose ports are meant.
        data: whose columns are meant.
        ports: those that need a column.
    Raises:
        DataError: a port has no column.
    """
    lonely = {
        side: [*found] for side, found in (("input", net.inputs), ("output", net.outputs)) if len(found) == 1
    }
    chosen = {}
    for port in ports:
        side = next((s for s, names in lonely.items() if names == [port]), port)
        name = port if port in data.columns else side
        if name not in data.columns:
            raise DataError(
                f"The net's port {port!r} has no column; the data's are {', '.join(map(repr, data.columns))}."
                + did_you_mean(port, data.columns),
                fix="rt.data({" + ", ".join(f"{p!r}: ..." for p in ports) + "}) names columns as the ports",
                path=port,
                expected=list(ports),
                got=[*data.columns],
            )
        chosen[port] = name
    return chosen


def things_of(data: Data, column: str) -> Sequence[Any]:
    """What stands in a column: an array, or a list."""
    things: Sequence[Any] = data.columns[column].things(data.rows)
    return things


def whole_targets(net: Net, data: Data, ports: Sequence[str]) -> dict[str, bool]:
    """For outputs without a codec, whether their targets are whole numbers (class numbers)."""
    plain = [port for port in ports if net.outputs[port].codec is None]
    return {port: is_whole(things_of(data, column)) for port, column in columns_of(net, data, plain).items()}


class Examples:
    """A set of examples as batches for a net and its objective.

    Args:
        net: with fitted codecs and known sizes.
        data: columns that match its ports.
        objective: says which targets are needed, and in which form.
        device: where batches go.
    Attributes:
        origin: the same examples from the net's inputs on; another one only after ``starting``.
        ports: the inputs that batches have.
    Raises:
        CodecError: a thing that its codec cannot encode, with its row. DataError: a port without column.
    """

    def __init__(self, net: Net, data: Data, objective: Objective, device: torch.device) -> None:
        self.net = net
        self.data = data
        self.objective = objective
        self.device = device
        self._kind = float_kind(net)
        self._inputs, self._outputs = net.inputs, net.outputs
        self._columns = columns_of(net, data, [*self._inputs, *objective.ports])
        self._halves = {name: _half(port, device) for name, port in self._inputs.items()}
        self.origin = self
        self.ports = tuple(self._inputs)
        self._known: dict[Value, str] = {}
        packers = {self._columns[name]: input_packer(port) for name, port in self._inputs.items()}
        for name in objective.ports:
            column = self._columns[name]
            packers[column] = target_packer(
                self._outputs[name], _term(objective, name), things_of(data, column)
            )
        self._packers = packers
        self._lengths = Lengths(net, objective, self._columns)
        self.feed = feed(data, packers) if data.kept is None else stored_feed(data, packers, data.kept)

    def __len__(self) -> int:
        return len(self.data)

    def batches(self, rows: Sequence[Tensor]) -> Iterator[Batch]:
        """Batches of these rows, each an int64 tensor, in the order given."""
        for numbers, packed in zip(rows, self.feed.stream(rows), strict=True):
            yield self.arrive(packed, numbers)

    def in_order(self, size: int) -> Iterator[Batch]:
        """All examples in their order, ``size`` a batch."""
        return self.batches(torch.split(torch.arange(len(self)), size))

    def batch(self, rows: Tensor) -> Batch:
        """The batch of these rows."""
        return self.arrive(self.feed.take(rows), rows)

    def starting(self, known: Mapping[Value, Tensor], ports: Collection[str]) -> Examples:
        """The same examples, begun within the net.

        What they were made of is forgotten where it can be had again: ``origin`` packs it when it is asked.

        Args:
            known: values within the net, one row an example.
            ports: the inputs that are still read.
        """
        made, made.origin = copy.copy(self), copy.copy(self)
        made.origin.origin = made.origin
        made.origin.feed = StreamingFeed(self.data, self._packers, varies=self.feed.varies)
        made.ports = tuple(name for name in self.ports if name in ports)
        made._known = {value: f"value {value}" for value in known}
        columns = {self._columns[name] for name in (*made.ports, *self.objective.ports)}
        if isinstance(self.feed, ResidentFeed):
            rest: Feed = ResidentFeed({name: self.feed.tensors[name] for name in columns})
        else:
            rest = feed(self.data, {name: self._packers[name] for name in columns})
        kept = ResidentFeed({column: known[value] for value, column in made._known.items()})
        made.feed = joined(kept, rest)
        return made

    def part(self, data: Data, rows: Tensor, *, copied: bool = False) -> Examples:
        """Some of the examples, on the columns that are packed here.

        Args:
            data: that they make.
            rows: their numbers here.
            copied: have them side by side in memory of their own.
        """
        made = copy.copy(self)
        made.origin, made.data = made, data
        made.feed = self.feed.part(rows) if copied else PartFeed(self.feed, rows)
        return made

    def packed(self, port: str) -> str:
        """The feed's column of an input port."""
        return self._columns[port]

    def check(self, batch: Batch) -> None:
        """Make sure that a batch can be learned from.

        Raises:
            DataError: an input or a target that is not finite, or a class number out of range, with its row.
            ShapeError: inputs or targets of another shape than the net's.
        """
        check_shapes(self.net, batch.inputs)
        self._check(batch.inputs, batch.targets, batch.lengths, batch.rows)

    def check_all(self) -> bool:
        """``check`` of all examples where they are at hand; answers whether they are.

        Raises: as ``check``.
        """
        if self._known:  # they were when the values were computed
            return True
        if not isinstance(self.feed, ResidentFeed | RaggedFeed):
            return False
        self.check(self.batch(torch.arange(1)))
        for rows in torch.split(torch.arange(len(self)), CHECKED):
            self.check_packed(self._side_by_side(rows), rows)
        return True

    def check_packed(self, packed: Mapping[str, Tensor], rows: Tensor) -> None:
        """``check`` of what the feed gave, without the codecs' device halves: shapes are known to fit.

        Raises: as ``check``.
        """
        inputs = {name: packed[self._columns[name]] for name in self.ports}
        targets = {name: packed[self._columns[name]] for name in self.objective.ports}
        self._check(inputs, targets, self._lengths.of(packed, rows), rows)

    def _check(
        self,
        inputs: Mapping[str, Tensor],
        targets: Mapping[str, Tensor],
        lengths: Mapping[str, Tensor],
        rows: Tensor | None,
    ) -> None:
        """``check`` of all but the shapes of inputs."""
        for name, values in inputs.items():
            if self._inputs[name].codec is None:  # codecs give finite numbers
                _check_finite(name, values, rows)
        check_lengths(self.net, lengths)
        self.objective.check(targets, rows)

    def _side_by_side(self, rows: Tensor) -> Mapping[str, Tensor]:
        """Rows one after the other, as they are packed."""
        if not isinstance(self.feed, ResidentFeed):
            return self.feed.take(rows)
        first = int(rows[0])
        return {name: tensor[first : first + len(rows)] for name, tensor in self.feed.tensors.items()}

    def extents(self) -> Tensor | None:
        """How much each example has of what varies, int64; None where nothing does, or it is not known."""
        return self.feed.extents()

    def arrive(self, packed: Mapping[str, Tensor], rows: Tensor) -> Batch:
        """Packed rows of the feed as a batch on the device, through the codecs' device halves.

        Raises:
            DataError: two inputs, or a target and what the net gives, differ in a size that varies.
        """
        inputs = {name: self._arrive(name, self._inputs[name], packed) for name in self.ports}
        targets = {name: packed[self._columns[name]].to(self.device) for name in self.objective.ports}
        given = {value: packed[column].to(self.device) for value, column in self._known.items()}
        lengths = {name: each.to(self.device) for name, each in self._lengths.of(packed, rows).items()}
        return Batch(inputs, targets, rows.to(self.device), lengths, given)

    def _arrive(self, name: str, port: Port, packed: Mapping[str, Tensor]) -> Tensor:
        """What an input port takes: on the device, through the codec's device half."""
        values = packed[self._columns[name]].to(self.device)
        if port.codec is not None:
            values = values.to(self._kind if port.codec.kind == "float" else torch.int64)
        half = self._halves[name]
        return (
            values if half is None else next(iter(walk(half, {"input": values}, half.arrays, Run()).values()))
        )


def _check_finite(name: str, values: Tensor, rows: Tensor | None) -> None:
    """Make sure that an input holds numbers."""
    if not values.is_floating_point() or bool((finite := values.isfinite()).all()):
        return
    first = (~finite).nonzero()[0]
    row = int(first[0]) if rows is None else int(rows[first[0]])
    raise DataError(
        f"{name}: row {row} holds {float(values[tuple(first)]):g}.",
        fix="leave the row out, or fill the gap",
        path=f"row {row}",
        got=float(values[tuple(first)]),
    )


def _half(port: Port, device: torch.device) -> Net | None:
    half = port.codec.device() if port.codec is not None else None
    return half.to(device) if half is not None else None


def _term(objective: Objective, port: str) -> Term | None:
    return next((term for term in objective.terms if term.port == port), None)
