"""Before the first step: which examples train and which validate, and what the net learns from them first.

Codecs are fitted on the training part alone, open sizes are taken from it, missing arrays are made. All
that can be known to be wrong is refused here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.engine.intake import as_batch, on_device_half
from retia.errors import ArgumentError, DataError
from retia.metrics.examples import Examples, columns_of, things_of, whole_targets
from retia.metrics.objective import Objective, aims_of, objective
from retia.nets.codec import Codec
from retia.nets.lineage import descended
from retia.nets.net import Net
from retia.nets.outer import with_specs
from retia.nets.ports import Port, Spec
from retia.shapes import Extent
from retia.sources.dataset import Data
from retia.sources.order import order, permutation
from retia.sources.reading import data as read_data

if TYPE_CHECKING:
    from torch import Tensor

ENOUGH = 1000
"""From so many examples on, a tenth is held out when nothing is said of validation."""
SHARE = 0.1
NEAR = 50
"""Among so many batches those examples are put together that are of like sizes."""


@dataclass(frozen=True)
class Prepared:
    """A training that can start.

    Attributes:
        net: with fitted codecs, known sizes and all arrays.
        objective: what is to be lowered.
        train: the examples to learn from.
        validation: the examples to judge by, or None.
        chosen: how the validation part came about, in words.
        frozen: what was made of frozen layers, in words.
    """

    net: Net
    objective: Objective
    train: Examples
    validation: Examples | None
    chosen: str
    frozen: str = "nothing"


def prepare(net: Net, data: Any, validation: Any, loss: Any, seed: int, device: torch.device) -> Prepared:
    """Bring a net and its data together."""
    train, held_out, chosen = parts_of(read_data(data), validation, seed)
    aims = aims_of(net, loss)
    net = fit(net, train, aims)
    net = net.init(seed)
    lower = objective(net, loss, whole_targets(net, train, aims))
    return Prepared(
        net,
        lower,
        Examples(net, train, lower, device),
        Examples(net, held_out, lower, device) if held_out is not None else None,
        chosen,
    )


def batches(ready: Prepared, seed: int, epoch: int, size: int) -> list[Tensor]:
    """The batches of an epoch, as rows. A last one of one example joins its neighbour where layers mix them.

    Args:
        seed: of the order.
        epoch: from 1.
        size: of a batch.
    """
    rows = [*torch.split(order(len(ready.train), seed, epoch - 1), size)]
    extents = ready.train.extents()
    if extents is not None:
        rows = _of_like_size(rows, extents, seed, epoch - 1)
    mixed = any(layer.mixes_batch for _, layer in ready.net.layers())
    if mixed and len(rows) > 1 and len(rows[-1]) == 1:
        rows[-2:] = [torch.cat(rows[-2:])]
    return rows


def _of_like_size(rows: Sequence[Tensor], extents: Tensor, seed: int, epoch: int) -> list[Tensor]:
    """Batches whose examples are of like sizes, so that little is padded.

    Within every ``NEAR`` batches the examples are sorted; the batches then come in an order of their own, but
    for the last one, which may be smaller.
    """
    size = len(rows[0])
    made: list[Tensor] = []
    for start in range(0, len(rows), NEAR):
        near = torch.cat([*rows[start : start + NEAR]])
        made += torch.split(near[extents[near].argsort(stable=True)], size)
    taken = permutation(len(made) - 1, "batches", seed, epoch)
    return [*(made[number] for number in taken), made[-1]]


def parts_of(data: Data, validation: Any, seed: int) -> tuple[Data, Data | None, str]:
    """The training part, the validation part, and how that was chosen.

    A test part is never touched. Raises ``ArgumentError`` where ``validation`` is none of its forms.
    """
    train = data.train
    if validation is None:
        if data.validation is not None:
            return train, data.validation, "the data's own part"
        if len(train) < ENOUGH:
            return train, None, f"none (fewer than {ENOUGH:,} examples)"
        validation = SHARE
    if isinstance(validation, bool) or (isinstance(validation, int) and validation != 0):
        raise _no_validation(validation)
    if isinstance(validation, int | float):
        if not 0 <= validation < 1:
            raise _no_validation(validation)
        if validation == 0:
            return train, None, "none"
        held_out, rest = train.split(float(validation), seed=seed)
        return rest, held_out, f"{validation:.4g} of the examples, drawn by seed {seed}"
    return train, read_data(validation), "given"


def _no_validation(given: Any) -> ArgumentError:
    return ArgumentError(
        f"validation is a fraction from 0 to below 1, data, or a pair (x, y); got {given!r}.",
        fix="validation=0.1 holds out a tenth, validation=0 nothing",
        got=given,
    )


def fit(net: Net, train: Data, aims: Sequence[str]) -> Net:
    """The net whose codecs have learned from the training part, and whose open ports have its shapes.

    Args:
        net: any net.
        train: the examples to learn from.
        aims: the outputs that need targets.
    """
    inputs, outputs = net.inputs, net.outputs
    columns = columns_of(net, train, [*inputs, *aims])
    if not len(train):
        raise DataError("There are no examples to train on.", got=0)
    learned: dict[str, dict[str, Spec]] = {"input": {}, "output": {}}
    for side, ports in (("input", inputs), ("output", {name: outputs[name] for name in aims})):
        for name, port in ports.items():
            if port.codec is not None and not port.codec.is_fitted():
                learned[side][name] = port.codec.fit(things_of(train, columns[name]))
    given, net = net, with_specs(net, **learned)
    opened: dict[str, Spec] = {}
    for name, port in net.inputs.items():
        if port.shape is None or None in port.shape:
            opened.update(_opened(port, things_of(train[:1], columns[name])))
    return descended(with_specs(net, opened), given)


def _opened(port: Port, things: Sequence[Any]) -> dict[str, Spec]:
    """What the first example says of an open port."""
    sizes = tuple(_first(port.codec, port, things).shape[1:])
    if port.codec is None:
        return {port.name: _sizes(port, sizes)}
    sized = port.codec.with_shape(sizes)
    return {} if sized.shape is None or None in sized.shape else {port.name: sized}


def _sizes(port: Port, sizes: tuple[int, ...]) -> tuple[int | str | None, ...]:
    """What an example says of an open port; sizes that vary go on to do so, by their names."""
    if port.shape is None or len(port.shape) != len(sizes):
        return sizes
    pairs = zip(port.shape, sizes, strict=True)
    return tuple(str(own) if isinstance(own, Extent) else got for own, got in pairs)


def _first(codec: Codec | None, port: Port, things: Sequence[Any]) -> Tensor:
    if codec is None:
        return as_batch(things, port.kind, torch.float32, port.name)
    return on_device_half(codec, codec.pack(things), torch.float32)
