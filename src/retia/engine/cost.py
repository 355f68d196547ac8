"""What a tape costs: floating-point operations of its products and convolutions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from retia.engine.layouts import PRODUCTS

if TYPE_CHECKING:
    from retia.engine.trace import Call, Tape


def flops(tape: Tape) -> list[int]:
    """Floating-point operations of every product and convolution, two for each multiply-and-add.

    Example:
        >>> from retia._torch import torch
        >>> from retia.engine.trace import record
        >>> flops(record(lambda a: {"b": a @ a}, {"a": torch.ones(3, 3)}))
        [54]
    """
    return [found for call in tape.calls if (found := _of(tape, call))]


def _of(tape: Tape, call: Call) -> int:
    name = call.op._schema.name
    if name in PRODUCTS:
        left = call.args[1 if name in ("aten::addmm", "aten::baddbmm") else 0]
        return 2 * math.prod(tape.fact(call.result).shape) * tape.fact(left).shape[-1]
    if name == "aten::convolution":
        return 2 * math.prod(tape.fact(call.result).shape) * math.prod(tape.fact(call.args[1]).shape[1:])
    if name == "aten::convolution_backward":
        sides = sum(bool(side) for side in call.args[10][:2])
        kernel = math.prod(tape.fact(call.args[2]).shape[1:])
        return 2 * sides * math.prod(tape.fact(call.args[0]).shape) * kernel
    return 0
