"""Arrays of any make as NumPy arrays: the first step of every codec's host half.

Nothing that numbers are read from is changed, and nothing that comes out is a view of it unless the
caller copies; what holds no plain numbers (masked, sparse, complex, objects) is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia._torch import torch
from retia.errors import CodecError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


def is_array(thing: Any) -> bool:
    """Whether a thing is an array of some make: NumPy's, PyTorch's, or one that says it is convertible."""
    return hasattr(thing, "__array__") or hasattr(thing, "__dlpack__")


def as_array(thing: Any, where: str) -> NDArray[Any]:
    """An array, or nested lists of numbers, as a NumPy array. Raises ``CodecError``.

    Args:
        thing: as the user gave it.
        where: how errors call it, ``"Image: row 3"``.
    """
    array = _plain(thing, where)
    if np.ma.is_masked(array):
        raise CodecError(f"{where} has masked entries.", fix="x.filled(value)", path=where)
    return np.asarray(array)


def as_numbers(thing: Any, where: str) -> NDArray[Any]:
    """As ``as_array``, and of real numbers: no texts, objects or complex numbers."""
    array = as_array(thing, where)
    if array.dtype.kind not in "biuf":
        raise CodecError(
            f"{where}: {brief(thing)} is not made of real numbers ({array.dtype}).", path=where, got=thing
        )
    return array


def as_tensor(array: NDArray[Any]) -> Tensor:
    """An array of real numbers as a tensor of its own; types that PyTorch lacks become the nearest it has."""
    wide = {"u2": np.int64, "u4": np.int64, "u8": np.int64, "f16": np.float64, "f12": np.float64}
    kind = wide.get(f"{array.dtype.kind}{array.dtype.itemsize}", array.dtype.newbyteorder("="))
    return torch.from_numpy(np.array(array, kind))


def rows_where(mask: NDArray[Any]) -> NDArray[Any]:
    """Which rows of a mask are true anywhere."""
    return np.asarray(mask.any(axis=tuple(range(1, mask.ndim))))


def brief(thing: Any) -> str:
    """A thing as an error shows it."""
    if is_array(thing) and getattr(thing, "shape", ()) != ():
        return f"{type(thing).__name__} of shape {tuple(thing.shape)}"
    text = repr(thing)
    return text if len(text) <= 60 else text[:57] + "..."


def _plain(thing: Any, where: str) -> Any:
    if isinstance(thing, torch.Tensor):
        if thing.layout != torch.strided or thing.is_quantized:
            raise CodecError(f"{where} is a sparse or quantized tensor.", fix="x.to_dense()", path=where)
        return (thing.float() if thing.dtype == torch.bfloat16 else thing).detach().cpu().numpy()
    if hasattr(thing, "__dlpack__") and not hasattr(thing, "__array__"):
        return torch.utils.dlpack.from_dlpack(thing).cpu().numpy()
    if isinstance(thing, list | tuple) and any(isinstance(each, torch.Tensor) for each in thing):
        thing = [_plain(each, where) for each in thing]
    try:
        return np.asanyarray(thing)
    except (ValueError, TypeError, OverflowError):
        raise CodecError(
            f"{where}: {brief(thing)} is not one array; its parts differ in length, or are no numbers.",
            path=where,
            got=thing,
        ) from None
