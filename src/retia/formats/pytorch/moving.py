"""Operations that move elements and change none, as layers: views, permutations, parts, joints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from retia._torch import torch
from retia.errors import StructureError
from retia.formats.pytorch.places import (
    FIRST,
    Place,
    Sizes,
    axis_in_net,
    labels,
    measured,
    of_example,
    regrouped,
)
from retia.formats.pytorch.trace import Converter, Trace
from retia.formats.pytorch.values import Call, Fixed, Flow, Rows, Weight
from retia.layers import Concat, Flatten, Operation, Pad, Part, Reshape, Transpose


def same(trace: Trace, call: Call) -> Any:
    """A copy, a layout, a change of precision: nothing in a net."""
    x = next(iter(call.given.values()))
    if isinstance(x, Weight):
        return x
    if x.kind == call.kind:
        return x
    if call.kind == "float":  # a layer that takes real numbers is given real numbers
        return trace.add(call.node, Operation("clone"), [x], x.sizes, x.place, word="to")
    word = "bool" if call.kind == "bool" else "int64"
    net = Operation("to.dtype", ({"input": 0}, {"type": word}), takes=(x.kind,), gives=call.kind)
    return trace.add(call.node, net, [x], x.sizes, x.place, call.kind, word="to")


def viewed(trace: Trace, call: Call) -> Flow | None:
    """The same elements in the same order."""
    x = trace.flow(next(iter(call.given.values())))
    sizes = call.sizes
    if x.place is not None and sizes.axis is None:
        raise StructureError(
            "it has the size of the traced batch written into it.",
            fix="x.reshape(x.shape[0], ...) in the module",
        )
    place = regrouped(x.sizes, x.place, sizes)
    return reshaped(trace, call, x, sizes, place)


def reshaped(trace: Trace, call: Call, x: Flow, sizes: Sizes, place: Place | None) -> Flow:
    """A value with other sizes in the net, where they are others at all."""
    shape = of_example(sizes, place)
    if shape == x.shape:
        return Flow(x.item, x.port, sizes, place, x.kind)
    flatter = len(shape) == 1 and len(x.shape) > 1
    return trace.add(call.node, Flatten() if flatter else Reshape(shape), [x], sizes, place, x.kind)


def permuted(trace: Trace, call: Call) -> Flow | None:
    """The axes in another order."""
    x = trace.flow(next(iter(call.given.values())))
    rank = x.sizes.rank
    order = _order(call, rank)
    groups = labels(rank, x.place)
    before = [label for group in groups for label in group]
    after = [label for axis in order for label in groups[axis]]
    sizes, place = call.sizes, x.place
    if place is not None:
        place = (order.index(place[0]), *place[1:])
    if before == after:
        return Flow(x.item, x.port, sizes, place, x.kind)
    axes = tuple(before.index(label) for label in after)
    return trace.add(call.node, Transpose(axes), [x], sizes, place, x.kind)


def _order(call: Call, rank: int) -> list[int]:
    order = list(range(rank))
    if call.name == "permute.default":
        return [axis % rank for axis in call["dims"]]
    if call.name == "movedim.int":
        source, target = call["source"] % rank, call["destination"] % rank
        order.insert(target, order.pop(source))
        return order
    first, second = (0, rank - 1) if call.name in ("t.default", "numpy_T.default") else _two(call)
    order[first % rank], order[second % rank] = order[second % rank], order[first % rank]
    return order


def _two(call: Call) -> tuple[int, int]:
    names = ("axis0", "axis1") if "axis0" in call.given else ("dim0", "dim1")
    return call[names[0]], call[names[1]]


def expanded(trace: Trace, call: Call) -> Flow | None:
    """Axes of size 1 repeated; for what all examples have in common, each gets its own."""
    x, sizes = trace.flow(call["self"]), call.sizes
    place = x.place
    if place is None and sizes.axis is not None:
        if sizes.dims[sizes.axis] != 1:
            return None
        place = (sizes.axis, 1, 1)
        x = shared(trace, call, x, sizes.rank, place)
    elif place is not None:
        place = (place[0] + sizes.rank - x.sizes.rank, *place[1:])
    shape = of_example(sizes, place)
    if shape == x.shape:
        return Flow(x.item, x.port, sizes, place, x.kind)
    net = Operation(
        "expand",
        ({"input": 0}, ({"batch": 1}, *shape)),
        takes=() if x.kind == "float" else (x.kind,),
        gives=x.kind,
    )
    if len(shape) > len(x.shape):
        x = reshaped(trace, call, x, _plain((1,) * (len(shape) - len(x.shape)) + x.shape), FIRST)
    return trace.add(call.node, net, [x], sizes, place, x.kind, word="expand")


def _plain(shape: Sequence[int]) -> Sizes:
    return Sizes((1, *shape), 0)


def shared(trace: Trace, call: Call, x: Flow, rank: int, place: Place) -> Flow:
    """What all examples have in common beside a batch of so many axes, its batch being at a place."""
    missing = rank - x.sizes.rank
    axis = place[0] - missing
    dims = list(x.sizes.dims)
    if axis < 0:
        return x
    if dims[axis] != 1:
        raise StructureError("it gives rows of a batch different constants.")
    rows = tuple(n for n in place[1:] if n != 1)
    dims = dims[:axis] + [1] * len(rows) + dims[axis + 1 :]
    return reshaped(trace, call, x, Sizes(tuple(dims), None), None)


def aligned(trace: Trace, call: Call, values: Sequence[Any]) -> tuple[list[Flow], Place | None] | None:
    """Values that broadcast in the module as values that broadcast in the net, and the place of the batch."""
    flows = [trace.flow(value) for value in values]
    rank = call.sizes.rank
    places = {
        (flow.place[0] + rank - flow.sizes.rank, *flow.place[1:]) for flow in flows if flow.place is not None
    }
    if not places:
        return flows, None
    if len(places) > 1:
        return None
    place = places.pop()
    found = [flow if flow.place is not None else shared(trace, call, flow, rank, place) for flow in flows]
    return found, place


def joined(trace: Trace, call: Call) -> Flow | None:
    """One after another along an axis."""
    values = call["tensors"]
    rank = call.sizes.rank
    flows = [trace.flow(value) for value in values]
    if len({flow.place for flow in flows}) > 1 or any(flow.sizes.rank != rank for flow in flows):
        return None
    axis = axis_in_net(call["dim"], rank, flows[0].place)
    if axis is None:
        raise StructureError("it puts examples of one batch behind those of another.")
    return trace.add(call.node, Concat(axis), flows, call.sizes, flows[0].place, call.kind)


def _part(trace: Trace, call: Call, x: Flow, item: int | slice, sizes: Sizes, axis: int) -> Flow:
    place = x.place
    inner = axis_in_net(axis, x.sizes.rank, place)
    if inner is None:
        raise StructureError("it takes some examples of the batch and not others.")
    if isinstance(item, int) and place is not None and axis % x.sizes.rank < place[0]:
        place = (place[0] - 1, *place[1:])
    index: Any = (*[slice(None)] * inner, item)
    net = Part(index)
    return trace.add(call.node, net, [x], sizes, place, x.kind)


def selected(trace: Trace, call: Call) -> Flow | None:
    """One place along an axis."""
    x = trace.flow(call["self"])
    return _part(trace, call, x, call["index"], call.sizes, call["dim"])


def sliced(trace: Trace, call: Call) -> Flow | None:
    """Some places along an axis."""
    x = trace.flow(call["self"])
    axis = call["dim"] % x.sizes.rank
    start, stop, step = call["start"] or 0, call["end"], call["step"]
    whole = x.place is not None and axis == x.place[0]
    if isinstance(stop, Rows) and whole and stop.times >= x.sizes.dims[axis]:
        stop = None
    if whole:
        if start == 0 and (stop is None or (isinstance(stop, int) and stop >= 2**31)) and step == 1:
            return x
        raise StructureError("it takes some examples of the batch and not others.")
    if any(isinstance(each, Rows) for each in (start, stop, step)):
        raise StructureError("it takes as many places as there are examples.")
    found = slice(*slice(start, stop, step).indices(x.sizes.dims[axis]))
    if len(range(found.start, found.stop, found.step)) == x.sizes.dims[axis]:
        return x
    return _part(trace, call, x, found, call.sizes, axis)


def split(trace: Trace, call: Call) -> Any:
    """Several parts along an axis, of which each that is used becomes a layer."""
    x = trace.flow(call["self"])
    axis = call["dim"] % x.sizes.rank
    parts = [measured(each.shape) for each in call.value]

    def part(node: Any, place: int) -> Flow:
        there = Call(node, call.name, call.given, call.value[place])
        if call.name == "unbind.int":
            return _part(trace, there, x, place, parts[place], axis)
        start = sum(each.dims[axis] for each in parts[:place])
        piece = slice(start, start + parts[place].dims[axis])
        return _part(trace, there, x, piece, parts[place], axis)

    return part


def padded(trace: Trace, call: Call) -> Flow | None:
    """More elements at the ends of the last axes."""
    x, amounts, mode = trace.flow(call["self"]), call["pad"], call.given.get("mode", "constant")
    axes = len(amounts) // 2
    inside = x.place is None or x.place[0] < x.sizes.rank - axes
    if not inside or min(amounts, default=0) < 0 or mode == "circular" or x.kind != "float":
        return None
    pairs = [(amounts[2 * i], amounts[2 * i + 1]) for i in range(axes)][::-1]
    if not any(amounts):
        return x
    value = float(call["value"] or 0) if mode == "constant" else 0.0
    return trace.add(call.node, Pad(*pairs, mode=mode, value=value), [x], call.sizes, x.place)


def indexed(trace: Trace, call: Call) -> Flow | None:
    """Places of each example by its number in the batch: the same places of all examples."""
    x, indices = call["self"], call["indices"]
    if not isinstance(x, Flow) or x.place != FIRST or not all(isinstance(each, Fixed) for each in indices):
        return None
    rows, *others = (each.tensor for each in indices)
    rank = call.sizes.rank - (x.sizes.rank - len(indices))
    numbers = torch.arange(trace.batch, device=rows.device).reshape(-1, *(1,) * (rank - 1))
    if not torch.equal(rows, numbers) or any(each.dim() == rank and len(each) > 1 for each in others):
        return None
    inner = [each[0] if each.dim() == rank else each for each in others]
    constants = tuple(("int", *each.shape) for each in inner)
    net = Operation(
        "index.Tensor", ({"input": 0}, (None, *({"array": i} for i in range(len(inner))))),
        takes=(x.kind,), gives=x.kind, constants=constants,
    )  # fmt: skip
    arrays = {f"constant{i}": each for i, each in enumerate(inner)}
    return trace.add(call.node, net, [x], call.sizes, FIRST, x.kind, word="index", arrays=arrays)


VIEWS = (
    "view.default", "reshape.default", "flatten.using_ints", "unflatten.int", "unsqueeze.default",
    "squeeze.default", "squeeze.dim", "squeeze.dims", "_unsafe_view.default", "view_as.default",
)  # fmt: skip
SAME = (
    "contiguous.default", "clone.default", "alias.default", "detach.default", "detach_.default",
    "lift_fresh_copy.default", "lift_fresh.default", "to.dtype", "to.dtype_layout", "to.device", "to.other",
    "_to_copy.default", "type_as.default",
)  # fmt: skip
PERMUTED = (
    "permute.default", "transpose.int", "t.default", "numpy_T.default", "movedim.int", "swapaxes.default",
    "swapdims.default",
)  # fmt: skip

CONVERTERS: dict[str, Converter] = {
    **dict.fromkeys(VIEWS, viewed),
    **dict.fromkeys(SAME, same),
    **dict.fromkeys(PERMUTED, permuted),
    "expand.default": expanded,
    "expand_as.default": expanded,
    "cat.default": joined,
    "concat.default": joined,
    "select.int": selected,
    "slice.Tensor": sliced,
    "split.Tensor": split,
    "split_with_sizes.default": split,
    "split.sizes": split,
    "chunk.default": split,
    "unbind.int": split,
    "pad.default": padded,
    "constant_pad_nd.default": padded,
    "index.Tensor": indexed,
}

__all__ = ["CONVERTERS", "aligned", "reshaped"]
