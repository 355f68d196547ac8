"""What people hand to a net, as the batches that the walk takes: one rule for every port.

A port with a codec asks the codec. A port without one takes arrays of any make (NumPy, PyTorch, lists,
anything with ``__array__`` or DLPack); whether it is one example or a batch follows from its rank.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.codecs.arrays import as_array, as_tensor, brief
from retia.engine.walk import Run, walk
from retia.errors import CodecError, ShapeError, StructureError
from retia.nets.codec import Codec
from retia.nets.inference import infer
from retia.nets.net import Net
from retia.nets.ports import Port
from retia.nets.wiring import Declared, Wiring
from retia.shapes import Extent, show, varies

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class Intake:
    """A batch as the walk takes it.

    Attributes:
        values: by port, batch first, on the net's device.
        many: whether a batch was given (else one example).
        lengths: of varying sizes, by name, one for each example.
    """

    values: dict[str, Tensor] = field(default_factory=dict)
    many: bool | None = None
    lengths: dict[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return next(iter(self.values.values())).shape[0] if self.values else 1


def intake(net: Net, thing: Any, many: bool | None = None) -> Intake:
    """Encode what was handed to a net.

    Args:
        net: with all its arrays.
        thing: one example or a batch; a dict by port where the net has several.
        many: True or False where the caller says which it is.
    Raises:
        CodecError: it cannot be encoded. ShapeError: it has another shape than the port.
    """
    if isinstance(thing, torch.Tensor) and (ready := as_it_is(net, thing, many)) is not None:
        return ready
    taken = Intake(many=many)
    ports = net.inputs
    kind, device = float_kind(net), device_of(net)
    for name, each in by_port(ports, thing).items():
        port = ports[name]
        if port.codec is not None:
            batch = _by_codec(taken, port, each, kind, device)
        else:
            batch = _by_rank(taken, port, each, kind, device)
        if taken.values and len(batch) != len(taken):
            raise ShapeError(
                f"{name}: {len(batch)} examples, but {len(taken)} at the other inputs.", path=name
            )
        taken.values[name] = batch.contiguous()
    check_shapes(net, taken.values)
    check_lengths(net, taken.lengths)
    return taken


def as_it_is(net: Net, tensor: Tensor, many: bool | None) -> Intake | None:
    """A tensor that is what the only port takes, so that nothing is to be done; else None."""
    if "_port_alone" not in net.__dict__:
        net.__dict__["_port_alone"] = _port_alone(net)
    alone = net.__dict__["_port_alone"]
    if alone is None or tensor.dtype is not alone[2] or tensor.device != alone[3]:
        return None
    name, shape, got = alone[0], alone[1], tensor.shape
    if many is not False and got[1:] == shape and len(got) > len(shape):
        return Intake({name: tensor.detach().contiguous()}, True)
    if many is not True and got == shape:
        return Intake({name: tensor.detach().unsqueeze(0).contiguous()}, False)
    return None


def _port_alone(net: Net) -> tuple[str, Any, torch.dtype, torch.device] | None:
    """Name, shape, type and device of the only input, where it has no codec and nothing is open."""
    port = next(iter(net.inputs.values())) if len(net.inputs) == 1 else None
    if port is None or port.codec is not None or port.shape is None:
        return None
    if not all(isinstance(size, int) for size in port.shape):
        return None
    return port.name, port.shape, torch.int64 if port.kind == "int" else float_kind(net), device_of(net)


def by_port(ports: Mapping[str, Port], thing: Any) -> dict[str, Any]:
    """What was handed over, by input port."""
    if len(ports) == 1:
        name, port = next(iter(ports.items()))
        if isinstance(thing, Mapping) and set(thing) == {name} and port.codec is None:
            return dict(thing)
        return {name: thing}
    if isinstance(thing, Mapping):
        if set(thing) == set(ports):
            return {name: thing[name] for name in ports}
        raise StructureError(
            f"The net's inputs are {', '.join(ports)}; got {', '.join(map(str, thing)) or 'nothing'}."
        )
    if not ports:
        return {}
    raise StructureError(
        f"The net has {len(ports)} inputs, so it takes one dict.",
        fix="net({" + ", ".join(f"{name!r}: ..." for name in ports) + "})",
    )


def float_kind(net: Net) -> torch.dtype:
    """The real type that a net computes in: that of its arrays, float32 if it has none."""
    return _frame(net)[0]


def device_of(net: Net) -> torch.device:
    """Where a net's arrays live."""
    return _frame(net)[1]


def _frame(net: Net) -> tuple[torch.dtype, torch.device]:
    known: tuple[torch.dtype, torch.device] | None = net.__dict__.get("_frame")
    if known is None:
        arrays = [*net.arrays.values()]
        kind = next((t.dtype for t in arrays if t.is_floating_point()), torch.float32)
        known = kind, arrays[0].device if arrays else torch.device("cpu")
        net.__dict__["_frame"] = known
    return known


def on_device_half(codec: Codec, packed: Tensor, kind: torch.dtype) -> Tensor:
    """Packed things through the codec's device half."""
    wanted = kind if codec.kind == "float" else torch.int64
    if packed.dtype != wanted:
        packed = packed.to(wanted)
    net = codec.device()
    if net is None:
        return packed
    if net.arrays and packed.device.type != "cpu":
        net = net.to(packed.device)
    return next(iter(walk(net, {"input": packed}, net.arrays, Run()).values()))


def encode(codec: Codec, thing: Any) -> Tensor:
    """One thing, or a batch, to what a port takes (``codec.encode``)."""
    one = codec.is_one(thing)
    batch = on_device_half(codec, codec.pack([thing] if one else thing), torch.float32)
    return batch[0] if one else batch


def check_shapes(net: Net, values: Mapping[str, Tensor]) -> None:
    """Make sure that a batch fits the net, also where the net left sizes open."""
    ports = net.inputs
    for name, batch in values.items():
        wanted, got = ports[name].shape, tuple(batch.shape[1:])
        if wanted is not None and not _fits(wanted, got):
            raise ShapeError(
                f"{_where(name)} takes {show(wanted)}; got {show(got)}.",
                path=name,
                expected=wanted,
                got=got,
            )
    if any((shape := ports[name].shape) is None or None in shape for name in values):
        key = tuple((name, tuple(batch.shape[1:])) for name, batch in values.items())
        known = net.__dict__.setdefault("_checked", set())
        if key not in known:
            _infer_with(net, dict(key))
            known.add(key)


def check_lengths(net: Net, lengths: Mapping[str, Tensor]) -> None:
    """Make sure that the shortest example is long enough for every layer.

    Args:
        net: that takes the examples.
        lengths: of varying sizes, by name, one for each example; nothing is checked where there are none.
    Raises:
        ShapeError: a layer takes longer ones only.
    """
    shortest = {name: int(each.min()) for name, each in lengths.items() if len(each)}
    if not shortest:
        return
    for node in net.wiring.nodes:
        known = {name: _at(size, shortest) for name, size in net.solution.sizes(node.path).items()}
        try:
            node.layer.solve(known)
        except ShapeError as error:
            told = ", ".join(f"{name} = {length}" for name, length in shortest.items())
            raise ShapeError(
                f"{node.label}, with {told}: {error.message}", fix=error.fix, path=node.path
            ) from None


def _at(size: Any, lengths: Mapping[str, int]) -> Any:
    if isinstance(size, tuple):
        return tuple(_at(each, lengths) for each in size)
    return size.evaluate(lengths) if isinstance(size, Extent) else size


def _where(name: str) -> str:
    return "The input" if name == "input" else f"The input {name!r}"


def _infer_with(net: Net, shapes: Mapping[str, tuple[int, ...]]) -> None:
    plain = net.wiring
    said = [Declared("", "input", name, ("", name), shape) for name, shape in shapes.items()]
    infer(Wiring(plain.inputs, plain.outputs, plain.nodes, said + plain.declared))


def as_batch(value: Any, kind: str, real: torch.dtype, where: str) -> Tensor:
    """Any array as a tensor of the port's kind; never a view that could be written to by mistake."""
    tensor = _tensor(value, where)
    if tensor.is_complex() or tensor.dtype == torch.bool and kind == "int":
        raise CodecError(f"{where} takes real numbers; got {tensor.dtype}.", path=where)
    if kind != "int":
        return tensor.to(real)
    if tensor.is_floating_point() and not bool((tensor == tensor.round()).all()):
        raise CodecError(f"{where} takes whole numbers; got {tensor.dtype} with fractions.", path=where)
    return tensor.long()


def _tensor(value: Any, where: str) -> Tensor:
    if isinstance(value, torch.Tensor):
        return value.detach() if value.layout == torch.strided else value.detach().to_dense()
    if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
        return torch.utils.dlpack.from_dlpack(value)
    array = as_array(value, where)
    if array.dtype.kind not in "biuf":
        raise CodecError(
            f"{where} takes numbers; got {brief(value)} ({array.dtype}).",
            fix="a codec at the port converts what is no number: input=rt.Image(...), output=rt.Classes()",
            path=where,
        )
    return as_tensor(array)


def _by_codec(taken: Intake, port: Port, thing: Any, kind: torch.dtype, device: torch.device) -> Tensor:
    codec = port.codec
    assert codec is not None
    many = taken.many if taken.many is not None else not codec.is_one(thing)
    taken.many = many
    things = thing if many else [thing]
    if varies(port.shape):
        rows = codec.rows(things)
        packed = _together(taken, port, rows, rows[0].dtype if rows else kind)
    else:
        packed = codec.pack(things)
    return on_device_half(codec, packed.to(device), kind)


def _by_rank(taken: Intake, port: Port, thing: Any, kind: torch.dtype, device: torch.device) -> Tensor:
    where = _where(port.name)
    shape = port.shape
    if varies(shape):
        return _padded(taken, port, thing, kind, where).to(device)
    if isinstance(thing, Sequence) and len(thing) == 0 and shape != (0,) and taken.many is not False:
        taken.many = True
        sizes = [size if isinstance(size, int) else 0 for size in shape or ()]
        return torch.zeros((0, *sizes), dtype=torch.int64 if port.kind == "int" else kind, device=device)
    tensor = as_batch(thing, port.kind, kind, where)
    many = taken.many
    if many is None and shape is None:
        raise ShapeError(
            f"{where} has no known rank, so {tuple(tensor.shape)} could be one example or a batch.",
            fix="net.one(x) or net.batch(xs); or give the net an input=",
            path=port.name,
        )
    if many is None:
        many = _is_batch(tensor, shape or (), where)
    taken.many = many
    return (tensor if many else tensor.unsqueeze(0)).to(device)


def _is_batch(tensor: Tensor, shape: tuple[Any, ...], where: str) -> bool:
    rank = tensor.dim()
    if rank not in (len(shape), len(shape) + 1):
        raise ShapeError(
            f"{where} takes {show(shape)}, or a batch of these; got {show(tuple(tensor.shape))}.",
            expected=shape,
            got=tuple(tensor.shape),
        )
    return rank == len(shape) + 1


def _padded(taken: Intake, port: Port, thing: Any, kind: torch.dtype, where: str) -> Tensor:
    shape = port.shape or ()
    if isinstance(thing, list | tuple) and _ragged(thing, shape, port.kind, kind, where):
        rows = [as_batch(row, port.kind, kind, where) for row in thing]
        many = True
    else:
        tensor = as_batch(thing, port.kind, kind, where)
        many = _is_batch(tensor, shape, where) if taken.many is None else taken.many
        rows = list(tensor) if many else [tensor]
    taken.many = many
    return _together(taken, port, rows, torch.int64 if port.kind == "int" else kind)


def _together(taken: Intake, port: Port, rows: list[Tensor], kind: torch.dtype) -> Tensor:
    """Examples of varying sizes as one batch, padded, with their lengths noted."""
    where, shape = _where(port.name), port.shape or ()
    for row in rows:
        if not _fits(shape, tuple(row.shape)):
            raise ShapeError(f"{where} takes {show(shape)}; got {show(tuple(row.shape))}.", path=port.name)
    sizes = [max((row.shape[axis] for row in rows), default=0) for axis in range(len(shape))]
    batch = torch.zeros((len(rows), *sizes), dtype=kind)
    for place, row in zip(batch, rows, strict=True):
        for axis, size in enumerate(row.shape):
            place = place.narrow(axis, 0, size)
        place.copy_(row)
    for axis, varying in enumerate(shape):
        if isinstance(varying, Extent):
            name = str(varying)
            lengths = torch.tensor([row.shape[axis] for row in rows], dtype=torch.int64)
            if name in taken.lengths and not torch.equal(taken.lengths[name], lengths):
                raise ShapeError(f"{where}: {name} is one size, but it differs within an example.", path=name)
            taken.lengths[name] = lengths
    return batch


def _ragged(rows: Sequence[Any], shape: tuple[Any, ...], kind: str, real: torch.dtype, where: str) -> bool:
    if not len(rows):
        return True
    try:
        return as_batch(rows[0], kind, real, where).dim() == len(shape)
    except (CodecError, RuntimeError):
        return False


def _fits(shape: tuple[Any, ...], got: tuple[int, ...]) -> bool:
    return len(shape) == len(got) and all(
        s is None or isinstance(s, Extent) or s == g for s, g in zip(shape, got, strict=True)
    )
