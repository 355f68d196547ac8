"""The tables of rewrites for inference: what training keeps apart is computed together.

``FOLDING`` comes first and leaves fewer calls; ``FUSING`` puts what is left into kernels that do several
things at once. Weights that are constants are kept in the order in which kernels read them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.engine.kernels import FusedConvolution, fused_convolution
from retia.engine.rewrite import LARGEST, Change, Rule, View
from retia.engine.rules import EXACT, call_of, op_of, pool_first
from retia.engine.trace import Call, Ref, fact_of

if TYPE_CHECKING:
    from torch import Tensor

CHEAP = 4
"""Weights are scaled in every run where the result has at least so many times as many elements."""

# Batch normalization ------------------------------------------------------------------------------


def _norm(view: View, call: Call) -> Change | None:
    """Normalization by running statistics scales and shifts channels: what made them can do that."""
    x, weight, bias, mean, variance, training, _, eps = call.args
    result = call.results[0]
    unread = all(ref is None or not view.readers[ref.number] for ref in call.results[1:])
    if training or eps <= 0 or result is None or not unread:
        return None
    calls, scale = _scale(view, weight, variance, eps)
    for fold in (_into_convolution, _into_product):
        found = fold(view, x, result, scale, mean, bias)
        if found is not None:
            maker, more = found
            return {maker: [], call: [*calls, *more]}
    fact = view.tape.fact(result)
    places = [1, fact.shape[1], *(1 for _ in fact.shape[2:])]
    more, shift = _shift(view, scale, mean, bias, None)
    wide, high = view.tape.like(scale, tuple(places)), view.tape.like(shift, tuple(places))
    return {
        call: [
            *calls, *more,
            call_of(op_of("view"), (scale, places), wide),
            call_of(op_of("view"), (shift, places), high),
            call_of(op_of("addcmul"), (high, x, wide), result),
        ]
    }  # fmt: skip


def _scale(view: View, weight: Ref | None, variance: Ref, eps: float) -> tuple[list[Call], Ref]:
    tape = view.tape
    wider, root = tape.like(variance), tape.like(variance)
    calls = [
        call_of(op_of("add", "Tensor"), (variance, eps), wider),
        call_of(op_of("rsqrt"), (wider,), root),
    ]
    if weight is None:
        return calls, root
    scale = tape.like(variance)
    return [*calls, call_of(op_of("mul", "Tensor"), (root, weight), scale)], scale


def _shift(view: View, scale: Ref, mean: Ref, bias: Ref | None, inner: Ref | None) -> tuple[list[Call], Ref]:
    """``bias + (inner - mean) * scale``."""
    tape = view.tape
    calls = []
    if inner is not None:
        below = tape.like(mean)
        calls.append(call_of(op_of("sub", "Tensor"), (mean, inner), below))
        mean = below
    moved, shift = tape.like(mean), tape.like(mean)
    calls.append(call_of(op_of("mul", "Tensor"), (mean, scale), moved))
    if bias is None:
        calls.append(call_of(op_of("neg"), (moved,), shift))
    else:
        calls.append(call_of(op_of("sub", "Tensor"), (bias, moved), shift))
    return calls, shift


def _into_convolution(
    view: View, x: Ref, result: Ref, scale: Ref, mean: Ref, bias: Ref | None
) -> tuple[Call, list[Call]] | None:
    maker = view.made_by(x, "convolution")
    if maker is None or maker.args[6] or not _repays(view, x, maker.args[1], scale):
        return None
    weight, inner = maker.args[1:3]
    shape = view.tape.fact(weight).shape
    wide = view.tape.like(scale, (shape[0], *(1 for _ in shape[1:])))
    scaled = view.tape.like(weight)
    more, shift = _shift(view, scale, mean, bias, inner)
    return maker, [
        call_of(op_of("view"), (scale, list(view.tape.fact(wide).shape)), wide),
        call_of(op_of("mul", "Tensor"), (weight, wide), scaled),
        *more,
        call_of(maker.op, (maker.args[0], scaled, shift, *maker.args[3:]), result),
    ]


def _into_product(
    view: View, x: Ref, result: Ref, scale: Ref, mean: Ref, bias: Ref | None
) -> tuple[Call, list[Call]] | None:
    maker = view.made_by(x, "addmm") or view.made_by(x, "mm")
    if maker is None or maker.kwargs:
        return None
    inner, left, right = maker.args if len(maker.args) == 3 else (None, *maker.args)
    plain = inner is None or view.tape.fact(inner).shape == view.tape.fact(mean).shape
    if not plain or not _repays(view, x, right, scale):
        return None
    scaled = view.tape.like(right)
    more, shift = _shift(view, scale, mean, bias, inner)
    return maker, [
        call_of(op_of("mul", "Tensor"), (right, scale), scaled),
        *more,
        call_of(op_of("addmm"), (shift, left, scaled), result),
    ]


def _repays(view: View, x: Ref, weight: Ref, scale: Ref) -> bool:
    """Whether nobody else reads what is normalized, and scaling the weights costs next to nothing."""
    size, made = (math.prod(view.tape.fact(ref).shape) for ref in (weight, x))
    known = _is_constant(view, weight) and size <= LARGEST
    readers = view.readers[x.number]
    same = view.tape.fact(scale).dtype == view.tape.fact(weight).dtype
    return same and len(readers) == 1 and view.read_only_by(x, readers) and (known or CHEAP * size <= made)


def _is_constant(view: View, ref: Ref) -> bool:
    """Whether nothing that comes with a run leads to a tensor."""
    maker = view.maker.get(ref.number)
    if maker is None:
        return ref.number in view.tape.constants
    return all(_is_constant(view, each) for each in maker.refs())


# Padding ------------------------------------------------------------------------------------------


def _pads(view: View, call: Call) -> Change | None:
    """Zeros before and after, as many on both sides, are the convolution's own padding."""
    x, weight, bias, stride, padding, *rest = call.args
    pad = view.made_by(x, "constant_pad_nd")
    if pad is None or rest[1] or not _is_finite(view.value_of(weight)):
        return None
    sizes, filling = pad.args[1], pad.args[2] if len(pad.args) > 2 else 0
    sides = [*zip(sizes[::2], sizes[1::2], strict=True)][::-1]
    if filling != 0 or len(sides) > len(padding) or any(a != b or a < 0 for a, b in sides):
        return None
    more = [0] * (len(padding) - len(sides)) + [a for a, _ in sides]
    wider = [a + b for a, b in zip(padding, more, strict=True)]
    return {call: [call_of(call.op, (pad.args[0], weight, bias, stride, wider, *rest), call.result)]}


# Convolutions with what follows -------------------------------------------------------------------


def _activated(view: View, call: Call) -> Change | None:
    """A convolution's kernel computes the function that follows it before it writes."""
    kernels, act = fused_convolution(), _activation(call)
    maker = view.made_by(call.args[0], "convolution")
    if kernels is None or act is None or maker is None or not _alone(view, maker, call):
        return None
    found = _fused(view, kernels, maker)
    if found is None:
        return None
    before, (x, *how) = found
    return {maker: [], call: [*before, call_of(kernels.plain, (x, *how, *act, ""), call.result)]}


def _activation(call: Call) -> tuple[str, list[float]] | None:
    """How fused kernels name a function, and its numbers."""
    name = call.op._schema.name
    if name == "aten::relu":
        return "relu", []
    low, high = [*call.args[1:], *(-1, 1)[len(call.args) - 1 :]][:2]
    return "hardtanh", [float(low), float(high)]


def _added(view: View, call: Call) -> Change | None:
    """A convolution's kernel adds what is added to it (and rectifies the sum) before it writes."""
    kernels = fused_convolution()
    if kernels is None or len(call.args) != 2 or call.kwargs:
        return None
    for other, given in (call.args, call.args[::-1]):
        maker = view.made_by(given, "convolution")
        if maker is None or other == given or not _alone(view, maker, call):
            continue
        if not isinstance(other, Ref) or not _same_kind(view, other, given):
            continue
        found = _fused(view, kernels, maker)
        if found is None:
            continue
        before, (x, *how) = found
        after = [call, *view.readers[call.result.number]]
        relu = after[1] if len(after) == 2 and _rectifies(view, call, after[1]) else None
        result, act = (call.result, None) if relu is None else (relu.result, "relu")
        fused = call_of(kernels.added, (x, other, *how, "add", None, act, [], ""), result)
        return {maker: [], call: [*before, fused], **({} if relu is None else {relu: []})}
    return None


def _rectifies(view: View, call: Call, reader: Call) -> bool:
    return reader.op is op_of("relu") and view.read_only_by(call.result, [reader])


def _packed(view: View, call: Call) -> Change | None:
    """A convolution reads a weight in the order in which it was packed for it."""
    kernels = fused_convolution()
    found = None if kernels is None else _fused(view, kernels, call)
    if kernels is None or found is None:
        return None
    before, (x, *how) = found
    return {call: [*before, call_of(kernels.plain, (x, *how, "none", [], ""), call.result)]}


def _alone(view: View, maker: Call, reader: Call) -> bool:
    return view.read_only_by(maker.result, [reader])


def _same_kind(view: View, a: Ref, b: Ref) -> bool:
    one, two = view.tape.fact(a), view.tape.fact(b)
    return one.shape == two.shape and one.dtype == two.dtype


def _fused(view: View, kernels: FusedConvolution, call: Call) -> tuple[list[Call], list[Any]] | None:
    """A convolution's arguments as fused kernels take them, and calls before; None where they cannot.

    They make numbers of what is none (the greater of NaN and 0 is 0), so weights are finite constants and
    ``ValuesProgram`` looks at what comes in.
    """
    x, weight, bias, stride, padding, dilation, transposed, _, groups = call.args
    fact, numbers = view.tape.fact(x), view.value_of(weight)
    rows = fact.shape[0] if fact.shape else 0
    fits = fact.dtype == torch.float32 and fact.device.type == "cpu" and len(fact.shape) == 4 and rows > 0
    finite = numbers is not None and _is_finite(numbers)
    if transposed or not fits or not finite or not _is_finite(view.value_of(bias), bias is None):
        return None
    assert numbers is not None
    packed = kernels.pack(numbers, padding, stride, dilation, groups, list(fact.shape))
    ref = view.tape.new(fact_of(numbers))
    view.tape.constants[ref.number] = packed
    calls = []
    if not _stands_in_pictures(view, x):
        last = view.tape.like(x)
        how = {"memory_format": torch.channels_last}
        calls = [Call(op_of("clone"), (x,), how, (last,))]
        x = last
    return calls, [x, ref, bias, padding, stride, dilation, groups]


def is_fragile(call: Call) -> bool:
    """Whether a call may answer a number where it is given none."""
    kernels = fused_convolution()
    if kernels is None or call.op not in (kernels.plain, kernels.added):
        return False
    return any(act in ("relu", "hardtanh") for act in call.args if isinstance(act, str))


def _stands_in_pictures(view: View, x: Ref) -> bool:
    """Whether a planner gives a tensor a layout of its own, which is channels last."""
    maker = view.maker.get(x.number)
    return maker is not None and view.tape.facts[x.number].alias == x.number


def _is_finite(tensor: Tensor | None, otherwise: bool = False) -> bool:
    return otherwise if tensor is None else bool(torch.isfinite(tensor).all())


FOLDING: Sequence[Rule] = (
    Rule("normalization into what is before it", "native_batch_norm", _norm),
    Rule("pads of a convolution", "convolution", _pads),
)
"""Rewrites that leave fewer calls."""

FUSING: Sequence[Rule] = (
    Rule("convolution and sum", "add", _added),
    Rule("convolution and rectifier", "relu", _activated),
    Rule("convolution and bounds", "hardtanh", _activated),
    Rule("pool before relu", "max_pool2d_with_indices", pool_first),
    *EXACT,
    Rule("packed convolution", "convolution", _packed),
)
"""Rewrites into kernels that do several things at once."""

INFERENCE: Sequence[Sequence[Rule]] = (FOLDING, FUSING)
"""The tables of an inference program, one after another."""
