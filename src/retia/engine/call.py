"""Calling a net: encode, walk, decode. Always as in inference; there is no mode to forget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.engine.ending import ending
from retia.engine.intake import Intake, as_batch, as_it_is, by_port, encode, intake
from retia.engine.pools import values_of
from retia.engine.walk import Run, mask_of, walk_values
from retia.errors import ArgumentError, CodecError, ShapeError, UnknownNameError, did_you_mean
from retia.nets.codec import Codec, Reading
from retia.nets.net import Net, missing_arrays
from retia.nets.wires import Wire, apply
from retia.nets.wiring import Value
from retia.shapes import Extent, varies

if TYPE_CHECKING:
    from torch import Tensor

DECISION: Any = "decision"
CHUNK = 256
"""Things that are encoded at once at most."""


def call(
    net: Net,
    things: tuple[Any, ...],
    *,
    top: int | None = None,
    temperature: float | None = None,
    seed: int | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    beam: int | None = None,
    batch_size: int | None = None,
    many: bool | None = None,
) -> Any:
    """What ``net(...)`` does; see there."""
    if len(things) == 2 and things[1] is None and top is temperature is batch_size is None:
        arrays = _bare(net, things[0], many)
        if arrays is not None:
            return arrays
    if any(_is_wire(thing) for thing in things):
        return apply(net, things[0] if isinstance(things[0], Mapping) else things)
    if not net.input_names() and not things:
        things = ({},)
    if not 1 <= len(things) <= 2:
        raise ArgumentError(
            f"A net takes one thing (a dict where it has several inputs), then a property; got {len(things)}."
        )
    if batch_size is not None and (not isinstance(batch_size, int) or batch_size < 1):
        raise ArgumentError(
            f"batch_size is a whole number of at least 1; got {batch_size!r}.", got=batch_size
        )
    if top is not None and (isinstance(top, bool) or not isinstance(top, int) or top < 1):
        raise ArgumentError(f"top is a whole number of at least 1; got {top!r}.", got=top)
    missing_arrays(net)
    asked = things[1] if len(things) == 2 else DECISION
    asks = {name: asked.get(name, DECISION) if isinstance(asked, Mapping) else asked for name in net.outputs}
    parts = _pieces(net, things[0], many, batch_size or CHUNK)
    pieces, first = [], 0
    for part in parts:
        pieces.append(_computed(net, part, asks, batch_size, first))
        first += next(iter(part.values.values())).shape[0] if part.values else 1
    reading = Reading(top=top, temperature=temperature, seed=seed, top_k=top_k, top_p=top_p, beam=beam)
    results = {
        name: answer(net, name, asks[name], _join([values[name] for _, values in pieces]), reading)
        for name in asks
    }
    if not pieces[0][0]:
        results = {name: result[0] for name, result in results.items()}
    return results if len(results) > 1 else next(iter(results.values()))


def _bare(net: Net, tensor: Any, many: bool | None) -> Any:
    """The raw arrays of a tensor that is just what the only port takes; None where there is more to do.

    It says nothing that the long way would not say, in a third of its time.
    """
    if not isinstance(tensor, torch.Tensor):
        return None
    missing_arrays(net)
    taken = as_it_is(net, tensor, many)
    if taken is None:
        return None
    net.arrays.check()
    outputs = net.wiring.outputs
    found = values_of(net, tuple(outputs.values()), taken.values, taken.lengths)
    found = found if taken.many else tuple([each[0] for each in found])
    return found[0] if len(found) == 1 else dict(zip(outputs, found, strict=True))


def _pieces(net: Net, thing: Any, many: bool | None, size: int) -> Iterator[Intake]:
    """What was handed over, encoded piece by piece, so that a long list never stands in memory whole."""
    if isinstance(thing, torch.Tensor):
        yield intake(net, thing, many)
        return
    ports = net.inputs
    given = by_port(ports, thing)
    if len(given) == 1 and many is not False:
        name, items = next(iter(given.items()))
        codec = ports[name].codec
        long = codec is not None and isinstance(items, Sequence) and not isinstance(items, str | bytes)
        if long and len(items) > size and (many or not codec.is_one(items)):  # type: ignore[union-attr]
            for start in range(0, len(items), size):
                yield intake(net, items[start : start + size], True)
            return
    yield intake(net, thing, many)


def _computed(
    net: Net, taken: Intake, asks: Mapping[str, Any], size: int | None, first: int
) -> tuple[bool, dict[str, Any]]:
    """Whether a piece is a batch, and its outputs without padding (what stands before them for logits)."""
    wanted = {
        name: ending(net, value, _axis(net, name))[1] if asks[name] == "logits" else value
        for name, value in net.wiring.outputs.items()
    }
    net.arrays.check()
    found = values_of(net, tuple(wanted.values()), taken.values, taken.lengths, most=size, first=first)
    cut = {n: _cut(net, value, each, taken) for (n, value), each in zip(wanted.items(), found, strict=True)}
    return taken.many is not False and bool(taken.values), cut


def answer(net: Net, name: str, asked: Any, batch: Any, reading: Reading, codec: Codec | None = None) -> Any:
    """What the decoder at an output answers; the array where it is asked for, or there is no decoder.

    Args:
        codec: in place of the output's own.
    """
    codec = net.outputs[name].codec if codec is None else codec
    if asked is None or asked == "logits" or (codec is None and asked == DECISION):
        return batch
    if codec is None:
        raise CodecError(
            f"The output has no codec that could answer {asked!r}.",
            fix="net(x, None) gives the array; output=rt.Classes(...) gives it a codec",
        )
    if not codec.is_fitted():
        raise CodecError(f"{codec!r} has learned nothing yet.", fix="rt.train(net, data), or net(x, None)")
    end = ending(net, net.wiring.outputs[name], codec.axis)[0]
    reading = replace(reading, property=asked, ending=end)
    if not isinstance(batch, torch.Tensor):
        rows = enumerate(batch)
        return [codec.unpack(row.unsqueeze(0).cpu(), replace(reading, row=i))[0] for i, row in rows]
    return codec.unpack((batch.flatten() if codec.column else batch).cpu(), reading)


def _axis(net: Net, name: str) -> int:
    codec = net.outputs[name].codec
    return -1 if codec is None else codec.axis


def _cut(net: Net, value: Value, batch: Tensor, taken: Intake) -> Tensor | list[Tensor]:
    """A batch without its padding: as it is where nothing varies, else one tensor for each example."""
    shape = (net.solution.shape(value) or ()) if taken.lengths else ()
    if not varies(shape):
        return batch
    rows = []
    for number in range(len(batch)):
        lengths = {name: int(each[number]) for name, each in taken.lengths.items()}
        sizes = [s.evaluate(lengths) if isinstance(s, Extent) else None for s in shape]
        row = batch[number]
        for axis, size in enumerate(sizes):
            row = row if size is None else row.narrow(axis, 0, size)
        rows.append(row)
    return rows


def _join(parts: list[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    if all(isinstance(part, torch.Tensor) for part in parts):
        return torch.cat(parts)
    return [answer for part in parts for answer in part]


def _is_wire(thing: Any) -> bool:
    if isinstance(thing, Mapping):
        return any(isinstance(each, Wire) for each in thing.values())
    return isinstance(thing, Wire)


def decode(codec: Codec, array: Any, **asked: Any) -> Any:
    """One array of a port, or a batch, back to things (``codec.decode``)."""
    batch = as_batch(array, codec.output_kind, torch.float32, type(codec).__name__)
    rank = codec.output_shape
    if rank is None:
        raise CodecError(f"{codec!r} has learned nothing yet.")
    if batch.dim() not in (len(rank), len(rank) + 1):
        raise CodecError(
            f"{codec!r} decodes arrays of {len(rank)} axes, or a batch; got {tuple(batch.shape)}."
        )
    one = batch.dim() == len(rank)
    reading = Reading(**asked, ending=codec.ending)
    found = codec.unpack(batch.unsqueeze(0) if one else batch, reading)
    return found[0] if one else found


def grad(net: Net, thing: Any, wrt: Any, of: Any) -> Any:
    """What ``net.grad(...)`` does; see there."""
    missing_arrays(net)
    taken = intake(net, thing)
    arrays = dict(net.arrays.check())
    names = [wrt] if isinstance(wrt, str) else list(wrt or [])
    if wrt is None:
        if len(taken.values) != 1:
            raise ArgumentError(f"grad: wrt names one of {', '.join(taken.values) or 'its arrays'}.")
        names = list(taken.values)
    leaves: dict[str, Tensor] = {}
    for name in names:
        home = taken.values if name in taken.values else arrays
        if name not in home:
            known = [*taken.values, *arrays]
            raise UnknownNameError(f"grad: there is no {name!r}.{did_you_mean(name, known)}", path=name)
        if not home[name].is_floating_point():
            raise ArgumentError(f"grad: {name} holds whole numbers, which have no derivative.", path=name)
        leaves[name] = home[name].clone().requires_grad_(True)
        home[name] = leaves[name]
    with torch.enable_grad():
        values = walk_values(
            net, taken.values, arrays, Run(lengths=taken.lengths), net.wiring.outputs.values()
        )
        total = _scalar(net, values, taken, of)
        found = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
    results = {}
    for name, leaf, each in zip(leaves, leaves.values(), found, strict=True):
        each = torch.zeros_like(leaf) if each is None else each
        results[name] = each if taken.many is not False or name not in taken.values else each[0]
    return results if wrt is not None and not isinstance(wrt, str) else next(iter(results.values()))


def _scalar(net: Net, values: Mapping[Value, Tensor], taken: Intake, of: Any) -> Tensor:
    outputs = {name: values[value] for name, value in net.wiring.outputs.items()}
    if of is not None:
        total = of(outputs if len(outputs) > 1 else next(iter(outputs.values())))
        if not isinstance(total, torch.Tensor) or total.numel() != 1:
            raise ShapeError("grad: of= answers one number.")
        return total.reshape(())
    total = torch.zeros(())
    for name, value in net.wiring.outputs.items():
        batch = outputs[name]
        mask = mask_of(net.solution.shape(value), batch, taken.lengths)
        total = total.to(batch) + (batch if mask is None else torch.where(mask, batch, 0.0)).sum()
    return total


__all__ = ["answer", "call", "decode", "encode", "grad"]
