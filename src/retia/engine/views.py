"""Calls that only look at memory in another way."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from retia.engine.trace import Call, Ref, Tape, refs_in

if TYPE_CHECKING:
    from torch import Tensor

UNSAFE_VIEW = "aten::_unsafe_view"
RESHAPES = ("aten::view", UNSAFE_VIEW)
"""Views that only some layouts allow."""


def viewed(call: Call) -> Ref:
    """What a view is of."""
    return next(refs_in(call.args))


def is_view(tape: Tape, call: Call) -> bool:
    """Whether a call only looks at memory in another way."""
    if call.written():
        return False
    made = next((ref for ref in call.results if ref is not None), None)
    return made is not None and tape.facts[made.number].alias != made.number


def inverse(call: Call, place: Tensor, shape: tuple[int, ...]) -> Tensor | None:
    """The memory of a view's result, seen as what the view is of; None where it cannot be."""
    name = call.op._schema.name
    if name == "aten::t":
        return place.t()
    if name == "aten::transpose":
        return place.transpose(call.args[1], call.args[2])
    if name == "aten::permute":
        order = [axis % place.dim() for axis in call.args[1]]
        return place.permute([order.index(axis) for axis in range(len(order))])
    if name in ("aten::view", UNSAFE_VIEW, "aten::unsqueeze", "aten::squeeze", "aten::detach", "aten::alias"):
        with suppress(RuntimeError):
            return place.view(shape)
    return None
