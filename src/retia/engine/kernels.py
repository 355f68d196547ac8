"""The private parts of PyTorch that programs stand on, each probed once, each with a public way beside it.

Nothing else in the house names a private part of PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from retia._torch import torch

if TYPE_CHECKING:
    from torch import Tensor


class Form(NamedTuple):
    """A way to call an operation that writes its results into memory that is there.

    Attributes:
        function: takes the operation's arguments.
        outs: names of the keywords that take the results.
        bound: whether it is bound to Python directly, and takes a tensor wherever it takes a number.
    """

    function: Callable[..., Any]
    outs: tuple[str, ...]
    bound: bool = False


SEVERAL = ("aten::nll_loss_forward", "aten::max_pool2d_with_indices")
"""Operations of several results whose ``out=`` variant is written by hand and takes any layout."""


@lru_cache(maxsize=1024)
def forms(op: Any) -> tuple[Form, ...]:
    """The ways to call an overload with ``out=``, the cheapest first; none where PyTorch would copy.

    Args:
        op: an ATen overload, without ``out=``.
    """
    variant = _variant(op)
    if variant is None:
        return ()
    outs = tuple(argument.name for argument in variant._schema.arguments if argument.is_out)
    if len(outs) > 1 and op._schema.name not in SEVERAL:
        return ()
    plain = Form(variant, outs)
    bound = _bound(op._schema.name.removeprefix("aten::"))
    if bound is None or outs != ("out",):
        return (plain,)
    return (Form(bound, outs, True), plain)


def _variant(op: Any) -> Any:
    """The overload that takes the same arguments and the memory for the results."""
    wanted = [(argument.name, str(argument.type)) for argument in op._schema.arguments]
    packet = op._overloadpacket
    for name in packet.overloads():
        variant = getattr(packet, name)
        arguments = variant._schema.arguments
        taken = [(argument.name, str(argument.type)) for argument in arguments if not argument.is_out]
        if len(taken) < len(arguments) and taken == wanted and torch.Tag.generated not in variant.tags:
            return variant
    return None


def _bound(name: str) -> Any:
    """The operation as bound to Python directly: a call costs a third of one through ``torch.ops``."""
    for home in ("_VariableFunctions", "_nn"):
        found = getattr(getattr(torch._C, home, None), name, None)
        if found is not None:
            return found
    return None


@lru_cache(maxsize=1)
def fused_adam() -> Callable[..., Any] | None:
    """Adam's step in one call, or None where this PyTorch has none."""
    return getattr(torch, "_fused_adam_", None)


@lru_cache(maxsize=1)
def fused_adamw() -> Callable[..., Any] | None:
    """AdamW's step in one call, or None where this PyTorch has none."""
    return getattr(torch, "_fused_adamw_", None)


def is_dense(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether a layout has no gaps and no place twice."""
    step = 1
    for stride, size in sorted(zip(strides, shape, strict=True)):
        if size == 0:
            return True
        if size == 1:
            continue
        if stride != step:
            return False
        step *= size
    return True


def same_place(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are the same numbers in the same memory."""
    return a.data_ptr() == b.data_ptr() and a.shape == b.shape and _strides(a) == _strides(b)


def _strides(tensor: Tensor) -> list[int]:
    return [stride for stride, size in zip(tensor.stride(), tensor.shape, strict=True) if size > 1]


__all__ = ["Form", "forms", "fused_adam", "fused_adamw", "is_dense", "same_place"]
