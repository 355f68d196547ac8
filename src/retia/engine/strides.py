"""Which operations compute rightly however their tensors are laid out; the others get what was recorded.

Some kernels of PyTorch take it for granted that a tensor stands row by row, and read or write the wrong
numbers where it does not. Those named here were tried in every layout; what is not known is not risked.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.engine.trace import contiguous

if TYPE_CHECKING:
    from torch import Tensor

SOFTMAX = ("aten::_softmax", "aten::_log_softmax")
SOFTMAX_BACK = ("aten::_softmax_backward_data", "aten::_log_softmax_backward_data")
AS_READ = ("aten::gelu", "aten::gelu_backward")
"""Pointwise, but their results must stand as what they read does."""
ALIKE = ("aten::native_batch_norm_backward",)
"""Takes any layout, but what is of one shape must stand in one way: else an axis of size 1 misleads it."""
RESIZE = ("aten::mse_loss", "aten::smooth_l1_loss", "aten::huber_loss", "aten::binary_cross_entropy")
"""Losses whose ``out=`` form takes the memory of a mean for what it is the mean of."""
TRIED = tuple(
    f"aten::{name}"
    for name in (
        "_adaptive_avg_pool2d", "_adaptive_avg_pool2d_backward", "_native_batch_norm_legit",
        "_prelu_kernel", "_prelu_kernel_backward", "addmm", "addmv", "avg_pool2d", "avg_pool2d_backward",
        "baddbmm", "binary_cross_entropy", "binary_cross_entropy_backward",
        "binary_cross_entropy_with_logits", "bmm", "cat", "constant_pad_nd", "convolution",
        "convolution_backward", "copy_", "elu_backward", "embedding", "embedding_dense_backward", "flip",
        "gather", "glu", "glu_backward", "hardsigmoid_backward", "hardswish", "hardswish_backward",
        "hardtanh_backward", "huber_loss", "huber_loss_backward", "index", "index_add", "index_put",
        "index_select", "leaky_relu_backward", "log_sigmoid_backward", "log_sigmoid_forward",
        "max_pool2d_with_indices", "max_pool2d_with_indices_backward", "mm", "mse_loss",
        "mse_loss_backward", "mv", "native_batch_norm", "native_batch_norm_backward", "nll_loss_backward",
        "nll_loss_forward", "roll", "scatter", "scatter_add", "select_backward", "slice_backward",
        "smooth_l1_loss", "smooth_l1_loss_backward", "softplus_backward", "stack", "upsample_bilinear2d",
        "upsample_bilinear2d_backward", "upsample_linear1d", "upsample_linear1d_backward",
        "upsample_nearest2d", "upsample_nearest2d_backward",
    )
) + ("mkldnn::_convolution_pointwise",)  # fmt: skip


@lru_cache(maxsize=1024)
def takes_any(op: Any) -> bool:
    """Whether an operation reads and writes tensors that stand in any way."""
    tagged = torch.Tag.pointwise in op.tags or torch.Tag.reduction in op.tags
    return op._schema.name in TRIED or (tagged and op._schema.name not in AS_READ)


@lru_cache(maxsize=1024)
def reads_any(op: Any) -> bool:
    """Whether an operation reads tensors that stand in any way."""
    return takes_any(op) or op._schema.name in (*AS_READ, *SOFTMAX, *SOFTMAX_BACK)


def misread(op: Any, tensors: Sequence[Tensor], recorded: Sequence[Sequence[int]]) -> list[int]:
    """Which of the tensors that a call reads have to be laid as they were recorded, by their places.

    Args:
        recorded: the strides that each had.
    """
    if op._schema.name in ALIKE:
        ways = {tensor.stride() for tensor in tensors if tensor.shape == tensors[0].shape}
        pairs = enumerate(zip(tensors, recorded, strict=True)) if len(ways) > 1 else ()
        return [place for place, (tensor, strides) in pairs if tensor.stride() != tuple(strides)]
    pairs = () if reads_any(op) else enumerate(zip(tensors, recorded, strict=True))
    return [place for place, (tensor, strides) in pairs if not stands_so(tensor, strides)]


def writes_there(op: Any, args: Sequence[Any], outs: Sequence[Tensor]) -> bool:
    """Whether an operation's ``out=`` form fills results that stand as these do."""
    if op._schema.name in RESIZE or takes_any(op):
        return op._schema.name not in RESIZE
    if op._schema.name in AS_READ:
        tensors = [arg for arg in args if isinstance(arg, torch.Tensor)]
        return all(stands_so(outs[0], tensor.stride()) for tensor in tensors)
    return all(stands_so(out, contiguous(tuple(out.shape))) for out in outs)


def stands_so(tensor: Tensor, strides: Sequence[int]) -> bool:
    """Whether a tensor's strides are these, but for those that no step is taken by."""
    steps = zip(tensor.shape, tensor.stride(), strides, strict=True)
    return tensor.numel() == 0 or all(size == 1 or mine == theirs for size, mine, theirs in steps)
