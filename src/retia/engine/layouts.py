"""Which layout a result gets, and which calls read better another way round.

The rules come from measurements on processors (``bench``): products of matrices are cheaper when their
results stand column by column, so that one feature of all examples is together; convolutions when the
channels of a place are together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.engine.kernels import Form, bound, is_dense
from retia.engine.strides import AS_READ, SOFTMAX, SOFTMAX_BACK, takes_any
from retia.engine.trace import Call, Fact, Ref, Tape, contiguous

if TYPE_CHECKING:
    from torch import Tensor

PRODUCTS = ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm")
CONVOLUTIONS = ("aten::convolution", "aten::convolution_backward", "mkldnn::_convolution_pointwise")
WITH_NUMBERS = tuple(
    f"aten::{name}"
    for name in ("add", "sub", "mul", "div", "ge", "gt", "le", "lt", "eq", "ne", "clamp_min", "clamp_max",
                 "bitwise_and", "bitwise_or", "bitwise_xor", "__rshift__", "__lshift__")
)  # fmt: skip
"""Operations whose second argument may be a number or a tensor."""
ROWS = {"aten::addmm": "addmv", "aten::mm": "mv"}
"""Products of matrices by those of a matrix and a vector, which cost less to call."""
TALL = 512
"""Products of more rows than this are quicker row by row: 1.72 against 1.97 ms for 1,024 x 784 by 200, where
512 take 0.88 against 0.86 and 128 take 0.23 against 0.21."""
NARROW = 16
"""A dense layer of fewer outputs is quicker with its matrix row by row: they do not fill a register."""


def layout(
    call: Call, given: Sequence[Tensor], fact: Fact, pictures: bool, reshaped: bool = False
) -> tuple[int, ...]:
    """The strides of a call's result.

    Args:
        given: the tensors that it reads, as they stand.
        fact: of the result.
        pictures: whether the tape has convolutions.
        reshaped: whether the result is seen in another shape, which only rows can be.
    """
    shape = fact.shape
    if call.op._schema.name in PRODUCTS:
        return contiguous(shape) if reshaped or shape[-2] > TALL else columns(shape)
    name = call.op._schema.name
    turned = name in (*SOFTMAX, *SOFTMAX_BACK) and _turned(given, call.args[len(given)])
    if not takes_any(call.op) and name not in AS_READ and not turned:
        return contiguous(shape)  # the kernel writes row by row, whatever the memory's strides say
    for tensor in given:
        strides = tensor.stride()
        odd = tuple(tensor.shape) == shape and strides != contiguous(shape)
        if odd and is_dense(shape, strides):
            return strides
    if len(shape) == 4 and pictures and (fact.dtype.is_floating_point or _any_last(given)):
        return channels_last(shape)
    return contiguous(shape)


def is_picture(tensor: Tensor) -> bool:
    """Whether a tensor is like a batch of pictures, but not channels last."""
    real = tensor.dtype.is_floating_point and min(tensor.shape[1:]) > 0
    return real and not tensor.is_contiguous(memory_format=torch.channels_last)


def _any_last(given: Sequence[Tensor]) -> bool:
    return any(t.dim() == 4 and t.is_contiguous(memory_format=torch.channels_last) for t in given)


def weight_layouts(tape: Tape) -> dict[str, tuple[int, ...]]:
    """Strides of inputs that are better kept another way than row by row, by name.

    The matrix of a dense layer stands with one input's weights together, unless it is narrow: its gradient
    is then a product that processors compute in two thirds of the time. Kernels of convolutions stand
    channels last.
    """
    readers: dict[int, list[Call]] = {}
    for call in tape.calls:
        for ref in call.refs():
            readers.setdefault(ref.number, []).append(call)
    found = {}
    for name, ref in tape.inputs.items():
        shape, uses = tape.fact(ref).shape, readers.get(ref.number, [])
        names = [call.op._schema.name for call in uses]
        turned = [call.result for call in uses if call.op._schema.name in ("aten::t", "aten::transpose")]
        wide = len(shape) in (2, 3) and shape[-2] >= NARROW
        if wide and any(_is_factor(readers, each) for each in turned):
            found[name] = columns(shape)
        elif len(shape) == 4 and any(each in CONVOLUTIONS for each in names):
            found[name] = channels_last(shape)
    return found


def _is_factor(readers: dict[int, list[Call]], ref: Ref) -> bool:
    return any(call.op._schema.name in PRODUCTS for call in readers.get(ref.number, []))


def columns(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of matrices that stand column by column."""
    *outer, rows, width = shape
    return (*(s * width * rows for s in contiguous(tuple(outer))), 1, max(rows, 1))


def channels_last(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of pictures whose channels stand together."""
    _, channels, height, width = shape
    return (channels * height * width, 1, width * channels, channels)


def adapted(
    form: Form, op: Any, args: Sequence[Any], outs: Sequence[Tensor], *, free: bool
) -> tuple[Form, list[Any], list[Tensor], list[tuple[Tensor, Tensor]]]:
    """A call as the memory of its arguments likes it.

    Args:
        free: whether another kernel may compute it, and its arguments stand at the same place in every run,
            so that views of them can be made beforehand.
    Returns:
        The form, the arguments, where the results go, and copies to make before: (to, from).
    """
    name, args = op._schema.name, [*args]
    if form.bound and name == "aten::clamp_min" and args[0] is outs[0] and args[1] == 0:
        return Form(bound("relu_"), (), True), args[:1], [], []  # the same kernel, found at less cost
    if form.bound and name in WITH_NUMBERS:
        args[1] = _as_tensor(args[0], args[1])
    if free and name in SOFTMAX and _turned([args[0], *outs], args[1]):
        return form, [args[0].mT, args[0].dim() - 2, *args[2:]], [outs[0].mT], []
    if free and name in SOFTMAX_BACK and _turned([*args[:2], *outs], args[2]):
        return form, [args[0].mT, args[1].mT, args[0].dim() - 2, *args[3:]], [outs[0].mT], []
    if free and form.bound and name in ROWS and _is_one_row(args):
        *bias, left, right = args
        return form._replace(function=bound(ROWS[name])), [*bias, right.t(), left[0]], [outs[0][0]], []
    if name == "aten::argmax" and args[0].dim() in (2, 3) and not args[0].is_contiguous():
        rows = torch.empty_strided(args[0].shape, contiguous(args[0].shape), dtype=args[0].dtype)
        rows = rows.to(args[0].device)
        return form, [rows, *args[1:]], [*outs], [(rows, args[0])]
    return form, args, [*outs], []


def _is_one_row(args: Sequence[Any]) -> bool:
    *bias, left, right = args
    return left.shape[0] == 1 and all(tuple(each.shape) == (right.shape[1],) for each in bias)


def _turned(given: Sequence[Tensor], axis: int) -> bool:
    """Whether a softmax of all that is given had better be one down the columns of its transposes."""
    return all(
        t.dim() in (2, 3) and axis % t.dim() == t.dim() - 1 and t.stride() == columns(tuple(t.shape))
        for t in given
    )


def _as_tensor(beside: Any, number: Any) -> Any:
    """A bare number as a tensor without axes, of the type that it counts as: reading one costs less."""
    plain = isinstance(number, int | float) and not isinstance(number, bool)
    if not plain or not isinstance(beside, torch.Tensor) or beside.is_complex():
        return number
    if beside.dtype.is_floating_point:
        alone = beside.dim() == 0  # then both count alike, and the type is the wider one
        return torch.tensor(float(number), dtype=beside.dtype if alone else torch.float64)
    if beside.dim() == 0:
        return number
    if isinstance(number, float):
        return torch.tensor(number, dtype=torch.get_default_dtype())
    return torch.tensor(number) if beside.dtype != torch.bool else number
