"""Listening to PyTorch while a function runs: the modes that hear it, and what cannot be said again.

A call that answers by the numbers it sees, or a method that takes numbers out unseen, has no place in a flat
list of calls. Some operations do more than their schemas say; those get the names of others that do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from retia._torch import torch

BY_LENGTHS = ("aten::_pack_padded_sequence", "aten::_ctc_loss", "aten::_cudnn_ctc_loss")
"""Operations whose results are as large as the numbers say, though PyTorch does not tell so."""
READS = ("numpy", "__array__", "tolist", "__dlpack__", "__deepcopy__", "__reduce_ex__")
"""Methods of tensors that read numbers without PyTorch's being asked to do anything."""


def looks_at_numbers(op: Any, args: Sequence[Any]) -> bool:
    """Whether a call's results depend on the numbers it sees by a host's decision, or by their shapes."""
    if torch.Tag.data_dependent_output in op.tags or op._schema.name in BY_LENGTHS:
        return True
    if torch.Tag.dynamic_output_shape not in op.tags:
        return False
    masks = (torch.bool, torch.uint8)
    return op.name() != "aten::index.Tensor" or any(t is not None and t.dtype in masks for t in args[1])


def plainly(op: Any, args: Sequence[Any]) -> Any | None:
    """The operation that says in its schema what this one does; None where there is none.

    ``squeeze_`` and the like give a tensor another view of its memory; ``lift_fresh`` stands for a tensor
    that Python makes anew in every run; ``native_batch_norm`` changes statistics without a word.
    """
    aten, name = torch.ops.aten, op._schema.name.removeprefix("aten::")
    if name == "lift_fresh":
        return aten.clone.default
    if name == "native_batch_norm" and args[5] and args[3] is not None:
        return aten._native_batch_norm_legit.default
    if torch.Tag.inplace_view not in op.tags:
        return op
    packet = getattr(aten, name.removesuffix("_"))
    wanted = [str(argument.type) for argument in op._schema.arguments]
    for view in (getattr(packet, each) for each in packet.overloads()):
        if view.is_view and [str(argument.type) for argument in view._schema.arguments] == wanted:
            return view
    return None


@lru_cache(maxsize=1)
def recorder() -> Any:
    """The mode that hears every call below derivatives.

    It takes a function of an overload, its arguments, its keywords and its results. The class is made at its
    first use, for PyTorch is imported late.
    """
    from torch.utils._python_dispatch import TorchDispatchMode

    class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __init__(self, note: Callable[[Any, Any, Any, Any], None]) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self._note = note

        @classmethod
        def _should_skip_dynamo(cls) -> bool:
            return False  # else torch._dynamo is imported, which takes longer than the whole recording

        def __torch_dispatch__(self, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            results = op(*args, **(kwargs or {}))
            self._note(op, args, kwargs or {}, results)
            return results

    return Recorder


@lru_cache(maxsize=1)
def guard() -> Any:
    """The mode that sees methods of ``READS`` before they are called.

    It takes a function of a method's name and its tensor.
    """
    from torch.overrides import TorchFunctionMode

    class Guard(TorchFunctionMode):
        def __init__(self, look: Callable[[str, Any], None]) -> None:
            super().__init__()
            self._look = look

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            name = getattr(func, "__name__", "")
            if name in READS and args:
                self._look(name, args[0])
            return func(*args, **(kwargs or {}))

    return Guard
