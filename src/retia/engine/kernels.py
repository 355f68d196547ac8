"""The private parts of PyTorch that programs stand on, each probed once, each with a public way beside it.

Nothing else in the house names a private part of PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
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

KEEPERS = ("aten::mkldnn_rnn_layer",)
"""Operations that give what their derivatives need, in other kernels, only while derivatives are recorded."""


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
    direct = bound(op._schema.name.removeprefix("aten::"))
    if direct is None or outs != ("out",):
        return (plain,)
    return (Form(direct, outs, True), plain)


@lru_cache(maxsize=1024)
def direct(op: Any, *, whole: bool = False) -> Callable[..., Any]:
    """The cheapest way to call an overload that places its results; it may refuse with a ``TypeError``.

    Args:
        whole: whether it gives all of its results, also those for derivatives.
    """
    if op is torch.ops.aten.view.default:
        return torch.Tensor.view
    if op._schema.name in KEEPERS and whole:
        return torch.enable_grad()(op)  # type: ignore[no-any-return]
    ways = forms(op)
    return ways[0].function if ways and ways[0].bound else op


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


def bound(name: str) -> Any:
    """The operation as bound to Python directly: a call costs a third of one through ``torch.ops``."""
    for home in ("_VariableFunctions", "_nn"):
        found = getattr(getattr(torch._C, home, None), name, None)
        if found is not None:
            return found
    return None


@lru_cache(maxsize=1)
def gradient_switch() -> Callable[[bool], Any]:
    """What sets whether PyTorch records derivatives in this thread from now on, at the least cost."""
    return getattr(torch._C, "_set_grad_enabled", torch.set_grad_enabled)


@lru_cache(maxsize=1)
def fused_adam() -> Callable[..., Any] | None:
    """Adam's step in one call, or None where this PyTorch has none."""
    return getattr(torch, "_fused_adam_", None)


@lru_cache(maxsize=1)
def fused_adamw() -> Callable[..., Any] | None:
    """AdamW's step in one call, or None where this PyTorch has none."""
    return getattr(torch, "_fused_adamw_", None)


class FusedConvolution(NamedTuple):
    """Convolutions of single-precision pictures on processors, with what follows computed on the way.

    Attributes:
        plain: takes x, weight, bias, padding, stride, dilation, groups, the name of a function, its numbers
            and "".
        added: takes x, what is added, weight, bias, padding, stride, dilation, groups, "add", None, the name
            of a function or None, its numbers and "".
        pack: takes weight, padding, stride, dilation, groups and the shape of x; answers the weight in the
            order in which the kernels for this shape read it.
    """

    plain: Any
    added: Any
    pack: Callable[..., Tensor]


@lru_cache(maxsize=1)
def fused_convolution() -> FusedConvolution | None:
    """Convolutions with what follows them in one call, or None where this PyTorch has none that are right."""
    with suppress(AttributeError, RuntimeError, TypeError):
        home = torch.ops.mkldnn
        found = FusedConvolution(
            home._convolution_pointwise.default,
            home._convolution_pointwise.binary,
            home._reorder_convolution_weight.default,
        )
        if _is_right(found):
            return found
    return None


def _is_right(found: FusedConvolution) -> bool:
    """Try fused convolutions on a picture of eight channels."""
    with torch.inference_mode(False), torch.no_grad():
        picture = torch.linspace(-1, 1, 8 * 5 * 5).view(1, 5, 5, 8).permute(0, 3, 1, 2)
        weight = torch.linspace(-1, 1, 8 * 8 * 9).view(8, 8, 3, 3)
        packed = found.pack(weight, [1, 1], [1, 1], [1, 1], 1, [1, 8, 5, 5])
        how = ([1, 1], [1, 1], [1, 1], 1)
        plain = torch.nn.functional.conv2d(picture, weight, padding=1)
        bounded = found.plain(picture, packed, None, *how, "hardtanh", [0, 6], "")
        added = found.added(picture, picture, packed, None, *how, "add", None, "relu", [], "")
    right = torch.allclose(bounded, plain.clamp(0, 6), atol=1e-4)
    return right and torch.allclose(added, (plain + picture).relu(), atol=1e-4)


@contextmanager
def whole_stacks() -> Iterator[None]:
    """While it is entered, ``vmap`` refuses operations that it could only call for one after another.

    Without this part of PyTorch they are called so, with a warning.
    """
    home = getattr(torch._C, "_functorch", None)
    switch = getattr(home, "_set_vmap_fallback_enabled", None)
    before = getattr(home, "_is_vmap_fallback_enabled", bool)()
    if switch is not None:
        switch(False)
    try:
        yield
    finally:
        if switch is not None:
            switch(before)


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


def overlap(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors may share memory: their first and last places cross."""
    begin, end = max(a.data_ptr(), b.data_ptr()), min(_end(a), _end(b))
    return begin < end


def _end(tensor: Tensor) -> int:
    if tensor.numel() == 0:
        return tensor.data_ptr()
    steps = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return tensor.data_ptr() + (steps + 1) * tensor.element_size()


def _strides(tensor: Tensor) -> list[int]:
    return [stride for stride, size in zip(tensor.stride(), tensor.shape, strict=True) if size > 1]


__all__ = [
    "Form", "FusedConvolution", "bound", "direct", "forms", "fused_adam", "fused_adamw", "fused_convolution",
    "gradient_switch", "is_dense", "overlap", "same_place", "whole_stacks",
]  # fmt: skip
