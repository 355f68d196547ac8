"""The table of rewrites. Each says what it replaces, by what, and why the numbers stay the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.engine.rewrite import Change, Rule, View, is_op
from retia.engine.trace import Call, Ref
from retia.engine.views import is_view

if TYPE_CHECKING:
    from torch import Tensor

NOBODY = -(2**31)
"""``ignore_index`` of a loss whose targets are all class numbers, which its caller has checked."""
LONGEST = 1024
"""Columns up to so long are summed by a product; PyTorch's own sum of longer ones is nearer to the truth."""
MOST_CLASSES = 1024
"""Up to so many classes a table of all one-hot vectors is small."""


def op_of(name: str, overload: str = "default") -> Any:
    """An overload of an ATen operation."""
    return getattr(getattr(torch.ops.aten, name), overload)


def call_of(op: Any, args: Sequence[Any], result: Ref, **kwargs: Any) -> Call:
    """A call of one result."""
    return Call(op, tuple(args), kwargs, (result,))


def _relu(view: View, call: Call) -> Change | None:
    """``relu(x)`` is ``clamp_min(x, 0)``, which can write into memory that is there."""
    if not view.tape.fact(call.result).dtype.is_floating_point:
        return None
    return {call: [call_of(op_of("clamp_min"), (call.args[0], 0), call.result)]}


def _whole_sum(view: View, call: Call) -> Change | None:
    """A sum of everything is one over all axes, which can write into memory that is there."""
    axes = list(range(len(view.tape.fact(call.args[0]).shape)))
    if call.op is not op_of("sum") or not axes:
        return None
    return {call: [Call(op_of("sum", "dim_IntList"), (call.args[0], axes, False), call.kwargs, call.results)]}


def _column_sums(view: View, call: Call) -> Change | None:
    """Sums over a batch are a product with ones: the gradient of every bias."""
    source = view.tape.fact(call.args[0])
    real = source.dtype.is_floating_point and not call.kwargs.get("dtype")
    if call.op is not op_of("sum", "dim_IntList") or len(source.shape) != 2 or not real:
        return None
    if source.shape[0] > LONGEST:
        return None
    if list(call.args[1]) != [0] or len(call.args) < 3 or not call.args[2]:
        return None
    ones = torch.ones(1, source.shape[0], dtype=source.dtype, device=source.device)
    return {call: [call_of(op_of("mm"), (view.tape.constant(ones), call.args[0]), call.result)]}


def pool_first(view: View, call: Call) -> Change | None:
    """The greatest of some numbers without their negatives is the greatest without its negatives.

    So the pooling goes first and the smaller picture is rectified; its gradient likewise.
    """
    relu = view.made_by(call.args[0], "relu")
    if relu is None or relu.op is not op_of("relu"):
        return None
    rectified, pooled, places = relu.result, call.results[0], call.results[1]
    back = [c for c in view.readers[rectified.number] if c is not call]
    if not view.read_only_by(_real(places), back):  # where all are negative, the places differ
        return None
    tape = view.tape
    before = tape.like(_real(pooled))
    plain = relu.args[0]
    forward = [
        Call(call.op, (plain, *call.args[1:]), call.kwargs, (before, places)),
        call_of(op_of("relu"), (before,), _real(pooled)),
    ]
    changes: dict[Call, list[Call]] = {relu: [], call: forward}
    if back:
        found = _pool_gradient(view, rectified, plain, _real(pooled), [call, *back])
        if found is None:
            return None
        changes.update(found)
    elif not view.read_only_by(rectified, [call]):
        return None
    return changes


def _pool_gradient(
    view: View, rectified: Ref, plain: Ref, pooled: Ref, readers: Sequence[Call]
) -> dict[Call, list[Call]] | None:
    """The gradients of a pooling and of the rectification before it, the other way round."""
    pools = [c for c in readers if c.op is op_of("max_pool2d_with_indices_backward")]
    halves = [c for c in readers if c.op is op_of("threshold_backward")]
    if len(pools) != 1 or len(halves) != 1 or len(readers) != 3:
        return None
    (pool,), (half,) = pools, halves
    of_pool = half.args[0] == pool.result and view.read_only_by(pool.result, [half])
    if not of_pool or not view.read_only_by(rectified, readers) or half.args[1] != rectified:
        return None
    smaller = view.tape.like(pooled)
    return {
        pool: [call_of(half.op, (pool.args[0], pooled, half.args[2]), smaller)],
        half: [call_of(pool.op, (smaller, plain, *pool.args[2:]), half.result)],
    }


def _real(ref: Ref | None) -> Ref:
    assert ref is not None
    return ref


def _cross_entropy(view: View, call: Call) -> Change | None:
    """The gradient of a mean cross-entropy by its logits: ``(softmax - one-hot) * g``, in closed form."""
    tape, (gradient, logs, axis) = view.tape, call.args[:3]
    loss = view.made_by(gradient, "nll_loss_backward")
    fact = tape.fact(logs)
    if loss is None or len(fact.shape) != 2 or axis % 2 != 1 or loss.args[1] != logs:
        return None
    weight, reduction, ignored = loss.args[3:6]
    share = _uniform(view.value_of(loss.args[0]))
    if weight is not None or reduction != 0 or ignored != NOBODY or share is None:
        return None
    classes, kinds = fact.shape[1], (fact.dtype, tape.fact(loss.args[2]).dtype, call.args[3])
    if classes > MOST_CLASSES or kinds != (fact.dtype, torch.int64, fact.dtype):
        return None
    table = torch.eye(classes, dtype=fact.dtype, device=fact.device) * -share
    chances = tape.like(logs)
    hot = tape.like(logs, (classes, fact.shape[0]))
    across = tape.new(fact, hot.number)
    return {
        call: [
            call_of(op_of("exp"), (logs,), chances),
            call_of(op_of("index_select"), (tape.constant(table), 1, loss.args[2]), hot),
            call_of(op_of("t"), (hot,), across),
            call_of(op_of("add", "Tensor"), (across, chances), call.result, alpha=share),
        ]
    }


def _picked(view: View, call: Call) -> Change | None:
    """The losses of class numbers are the logarithms at their places, and nothing else is asked for."""
    logs, target, weight, reduction, ignored = call.args[:5]
    total = call.results[1]
    plain = weight is None and reduction == 0 and ignored == NOBODY and total is not None
    if not plain or len(view.tape.fact(logs).shape) != 2 or not view.read_only_by(_real(total), ()):
        return None
    tape, losses = view.tape, _real(call.results[0])
    rows = tape.fact(logs).shape[0]
    places = tape.like(target, (rows, 1))
    places = tape.new(tape.fact(places), target.number)
    found = tape.like(logs, (rows, 1))
    flat = tape.new(tape.fact(losses), found.number)
    return {
        call: [
            call_of(op_of("unsqueeze"), (target, 1), places),
            call_of(op_of("gather"), (logs, 1, places), found),
            call_of(op_of("view"), (found, [rows]), flat),
            call_of(op_of("neg"), (flat,), losses),
        ]
    }


def _counted(view: View, call: Call) -> Change | None:
    """A sum of truth values is how many are true."""
    source = view.tape.fact(call.args[0])
    whole = not view.tape.fact(call.result).shape and source.device.type == "cpu"
    counts = source.dtype == torch.bool and view.tape.fact(call.result).dtype == torch.int64
    return (
        {call: [call_of(op_of("count_nonzero"), (call.args[0],), call.result)]} if whole and counts else None
    )


def _scaled_products(view: View, call: Call) -> Change | None:
    """Products of whole numbers by a scale are scaled after they are added up, which costs nothing."""
    x, by = call.args
    step = _uniform(view.value_of(by)) if isinstance(by, Ref) else float(by)
    counted = view.made_by(x, "_to_copy")
    if not step or counted is None or view.tape.fact(counted.args[0]).dtype.is_floating_point:
        return None
    if call.op is not op_of("div", "Tensor") or view.tape.fact(call.result).dtype != view.tape.fact(x).dtype:
        return None
    changes: dict[Call, list[Call]] = {call: []}
    return changes if _scale_readers(view, call.result, x, 1 / step, changes) else None


def _scale_readers(view: View, old: Ref, new: Ref, scale: float, changes: dict[Call, list[Call]]) -> bool:
    """Let the products that read a scaled tensor read the bare one; whether nobody else reads it."""
    tape, readers = view.tape, view.readers[old.number]
    if old.number in view.wanted or not readers:
        return False
    for reader in readers:
        if is_view(tape, reader):
            bare = tape.new(tape.fact(reader.result), new.number)
            changes[reader] = [replace(reader, args=(new, *reader.args[1:]), results=(bare,))]
            if not _scale_readers(view, reader.result, bare, scale, changes):
                return False
            continue
        if not (is_op(reader, "mm") or is_op(reader, "addmm")) or reader.kwargs:
            return False
        *shift, left, right = reader.args
        if old in shift or left == right or reader in changes:
            return False
        how: dict[str, float] = {"alpha": scale}
        if not shift:
            fact = tape.fact(reader.result)
            shift, how["beta"] = [tape.constant(torch.zeros(1, dtype=fact.dtype, device=fact.device))], 0
        factors = [new if each == old else each for each in (left, right)]
        changes[reader] = [call_of(op_of("addmm"), (*shift, *factors), reader.result, **how)]
    return True


def _uniform(tensor: Tensor | None) -> float | None:
    """The number that stands everywhere in a constant; None where it is no such constant."""
    if tensor is None or tensor.numel() == 0:
        return None
    first = float(tensor.flatten()[0])
    return first if bool((tensor == first).all()) else None


EXACT = (
    Rule("relu as a clamp", "relu", _relu),
    Rule("a whole sum over its axes", "sum", _whole_sum),
)
"""Rewrites whose numbers are the same to the bit."""

TRAINING = (
    Rule("pool before relu", "max_pool2d_with_indices", pool_first),
    Rule("cross-entropy's gradient in closed form", "_log_softmax_backward_data", _cross_entropy),
    Rule("losses of classes picked", "nll_loss_forward", _picked),
    Rule("truths counted", "sum", _counted),
    Rule("column sums as a product", "sum", _column_sums),
    Rule("products scaled afterwards", "div", _scaled_products),
    *EXACT,
)
"""Rewrites for a training step."""

__all__ = ["EXACT", "NOBODY", "TRAINING", "call_of", "op_of", "pool_first"]
