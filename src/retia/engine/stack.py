"""Many computations of one form as one: a tape whose every tensor has one axis more in front.

A tape is written again with PyTorch's ``vmap``, call by call, so derivatives and rewrites that stand on it
already stay. What one call does for all is then a product of stacks of matrices and the like.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.engine.kernels import whole_stacks
from retia.engine.rewrite import Change, Rule, View
from retia.engine.rules import NOBODY, call_of, op_of
from retia.engine.trace import Call, NotFlatError, Ref, Tape, contiguous, map_refs, record

if TYPE_CHECKING:
    from torch import Tensor


def stacked(tape: Tape, count: int, shared: Collection[str] = ()) -> Tape:
    """A tape that does what ``count`` tapes do, each output with an axis for them in front.

    Args:
        tape: of one; its constants are those of all.
        count: how many, at least 1.
        shared: inputs that are the same for all; the others have the new axis too.
    Raises:
        NotFlatError: a call has no form for many.
    Example:
        >>> tape = record(lambda x, w: {"y": x @ w}, {"x": torch.ones(2, 3), "w": torch.ones(3, 4)})
        >>> both = stacked(tape, 5, shared=["x"])
        >>> both.fact(both.outputs["y"]).shape
        (5, 2, 4)
    """
    given = {
        name: _example(tape, ref, () if name in shared else (count,)) for name, ref in tape.inputs.items()
    }
    axes = {name: None if name in shared else 0 for name in given}
    mapped = torch.func.vmap(lambda inputs: _replayed(tape, inputs), in_dims=(axes,))
    try:
        with whole_stacks():
            return record(lambda **inputs: mapped(inputs), given)
    except (RuntimeError, NotImplementedError) as error:
        said = str(error).splitlines()[0]
        raise NotFlatError(f"a call has no form for many at once: {said}") from None


def _example(tape: Tape, ref: Ref, front: tuple[int, ...]) -> Tensor:
    fact = tape.fact(ref)
    return torch.zeros((*front, *fact.shape), dtype=fact.dtype, device=fact.device)


def _replayed(tape: Tape, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every call of a tape once more."""
    known: dict[int, Any] = {ref.number: inputs[name] for name, ref in tape.inputs.items()}
    known.update(tape.constants)
    for call in tape.calls:
        args = map_refs(call.args, lambda ref: known[ref.number])
        kwargs = {name: map_refs(value, lambda ref: known[ref.number]) for name, value in call.kwargs.items()}
        found = call.op(*args, **kwargs)
        results = found if isinstance(found, list | tuple) else (found,)
        known.update(
            {ref.number: each for ref, each in zip(call.results, results, strict=True) if ref is not None}
        )
    return {name: known[ref.number] for name, ref in tape.outputs.items()}


# Rewrites -----------------------------------------------------------------------------------------


def _once(view: View, call: Call) -> Change | None:
    """One times anything is itself."""
    same = view.tape.fact(call.args[0]).dtype == view.tape.fact(call.result).dtype
    if not same or call.args[1] != 1 or isinstance(call.args[1], Ref):
        return None
    return {call: [call_of(op_of("alias"), call.args[:1], call.result)]}


def _all_count(view: View, call: Call) -> Change | None:
    """Where nobody is left out, what holds for those who are not holds for all."""
    test = view.made_by(call.args[0], "ne")
    shape = view.tape.fact(call.result).shape
    if test is None or test.args[1] != NOBODY or view.tape.fact(call.args[1]).shape != shape:
        return None
    return {call: [call_of(op_of("alias"), call.args[1:2], call.result)]}


def _product_and_bias(view: View, call: Call) -> Change | None:
    """A stack of products, scaled or not, with something added to every row is one call."""
    if len(call.args) != 2 or call.kwargs.keys() - {"alpha"}:
        return None
    for bias, product in (call.args,) if call.kwargs else (call.args, call.args[::-1]):
        maker = view.made_by(product, "bmm")
        if maker is None or not isinstance(bias, Ref) or not view.read_only_by(maker.result, [call]):
            continue
        shape, dtype = view.tape.fact(call.result).shape, view.tape.fact(product).dtype
        if view.tape.fact(bias).dtype != dtype or view.tape.fact(product).shape != shape:
            continue
        if view.tape.fact(bias).shape == (shape[0], 1, shape[2]):
            made = call_of(op_of("baddbmm"), (bias, *maker.args), call.result, **call.kwargs)
            return {maker: [], call: [made]}
        if _is_nothing(view.value_of(bias)):
            nothing = view.tape.constant(
                torch.zeros(1, 1, 1, dtype=dtype, device=view.tape.fact(bias).device)
            )
            made = call_of(op_of("baddbmm"), (nothing, *maker.args), call.result, beta=0, **call.kwargs)
            return {maker: [], call: [made]}
    return None


def _is_nothing(tensor: Tensor | None) -> bool:
    """Whether a constant is a single 0."""
    return tensor is not None and tensor.numel() == 1 and not bool(tensor.any())


def _one_hot(view: View, call: Call) -> Change | None:
    """Columns of one table that all read, by stacks of numbers, are its columns by all numbers at once."""
    tape, (table, axis, index) = view.tape, call.args[:3]
    numbers, values = tape.fact(index).shape, view.value_of(table)
    if values is None or values.dim() != 3 or axis != 2 or not bool((values == values[:1]).all()):
        return None
    seen = view.made_by(index, "expand")
    source = view.made_by(seen.args[0], "view") if seen is not None else None
    if source is None or tape.fact(source.args[0]).shape != (numbers[0], numbers[2]):
        return None
    stacks, columns, width = numbers
    flat = _seen(tape, source.args[0], (stacks * width,))
    found = tape.like(call.result, (columns, stacks * width))
    apart = _seen(tape, found, (columns, stacks, width))
    across = tape.new(tape.fact(call.result), found.number)
    return {
        call: [
            call_of(op_of("view"), (source.args[0], [-1]), flat),
            call_of(op_of("index_select"), (tape.constant(values[0].contiguous()), 1, flat), found),
            call_of(op_of("view"), (found, [columns, stacks, width]), apart),
            call_of(op_of("permute"), (apart, [1, 0, 2]), across),
            call_of(op_of("clone"), (across,), call.result),
        ]
    }


def _seen(tape: Tape, ref: Ref, shape: tuple[int, ...]) -> Ref:
    """A tensor for a view of another in this shape."""
    fact = replace(tape.fact(ref), shape=shape, strides=contiguous(shape))
    return tape.new(fact, ref.number)


STACKED = (
    Rule("once", "mul", _once),
    Rule("nobody is left out", "where", _all_count),
    Rule("a product and a bias", "add", _product_and_bias),
    Rule("columns by all numbers", "gather", _one_hot),
)
"""Rewrites of what stacking leaves."""
