"""Arrays as layers without inputs: constants, and learned ones. Each example gets the same."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia._torch import torch
from retia.errors import ArgumentError
from retia.nets.initial import Initial
from retia.nets.layer import ZEROS, Array, Layer, layer
from retia.nets.settings import flag, setting, whole_tuple
from retia.shapes import Signature, signature

if TYPE_CHECKING:
    from torch import Tensor

SMALL = 100
"""Constants of at most so many elements stand in the expression."""


def read_value(name: str, value: Any) -> Any:
    """The rule of a constant: nested tuples of numbers where it is small and finite, else a tensor."""
    if value is None:
        return None
    if hasattr(value, "__array__") and not hasattr(value, "tolist"):
        value = np.asarray(value)
    if math.prod(getattr(value, "shape", ())) > SMALL:
        return _kept(name, value)
    nested = _nested(name, value)
    _ = _shape(name, nested)
    for count, number in enumerate(_numbers(nested), 1):
        if count > SMALL or not math.isfinite(number):
            return torch.tensor(nested, dtype=torch.float32)
    return nested


def _kept(name: str, array: Any) -> Tensor:
    """An array as a tensor of its own, which nobody else can change."""
    tensor = array.detach() if hasattr(array, "detach") else None
    if tensor is None and array.dtype.kind in "biuf":
        tensor = torch.from_numpy(array.astype(np.float32))
    if tensor is None or tensor.is_complex():
        raise ArgumentError(f"{name} is real numbers; got an array of {array.dtype}.", got=array.dtype)
    kept: Tensor = tensor.to(torch.float32, copy=True)
    return kept


def _nested(name: str, value: Any) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, bool | int | float):
        return int(value) if isinstance(value, bool) else value
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return tuple(_nested(name, each) for each in value)
    raise ArgumentError(f"{name} is a number, nested lists of numbers or an array; got {value!r}.", got=value)


def _shape(name: str, nested: Any) -> tuple[int, ...]:
    if not isinstance(nested, tuple):
        return ()
    inner = {_shape(name, each) for each in nested} or {()}
    if len(inner) > 1:
        raise ArgumentError(f"{name} has rows of different sizes: {sorted(inner)}.", got=inner)
    return (len(nested), *inner.pop())


def _numbers(nested: Any) -> Iterator[float]:
    if not isinstance(nested, tuple):
        yield nested
        return
    for each in nested:
        yield from _numbers(each)


def _expand(array: Tensor, moment: Any) -> Tensor:
    return array.to(moment.real).expand(moment.batch, *array.shape)


@layer
class Constant(Layer):
    """The same fixed array for each example. Arrays in the arithmetic of wires become constants.

    Small and finite ones (at most 100 elements) stand in the expression; others are an array of the layer.

    Shape:  nothing -> (*size)
    Arrays: value (*size), not learned, where it does not stand in the expression
    Args:
        value: a number, nested lists of numbers, or an array of any make; real.
        size: of a value that is an array of the layer; then ``value`` is left out.
    Raises:
        ArgumentError: something else, or rows of different sizes.
    Example:
        >>> import retia as rt
        >>> x = rt.Input(2)
        >>> rt.Graph(x + rt.Constant([10, 20]))([1.0, 2.0])
        tensor([11., 22.])
    """

    value: Any = setting(read_value, default=None)
    _: KW_ONLY
    size: tuple[int, ...] | None = setting(whole_tuple(0, optional=True), default=None)

    def validate(self) -> None:
        if (self.value is None) == (self.size is None):
            raise ArgumentError("Constant takes a value, or the size of one that is to come, and not both.")
        if self.value is not None and not isinstance(self.value, tuple | int | float):
            held = self.value
            object.__setattr__(self, "value", None)
            object.__setattr__(self, "size", tuple(held.shape))
            self.__dict__["held"] = {"value": held}

    def ports(self, arity: int | None = None) -> Signature:
        return signature(f"-> {self._dims()}")

    def _dims(self) -> str:
        shape = self.size if self.size is not None else _shape("Constant", self.value)
        return " ".join(map(str, shape)) or "()"

    def owns(self) -> Mapping[str, Array]:
        return {} if self.size is None else {"value": Array(self._dims(), ZEROS, learned=False)}

    def forward(self, *, moment: Any, value: Tensor | None = None) -> Tensor:
        if value is None:
            shape = _shape("Constant", self.value)
            value = torch.tensor(self.value, dtype=moment.real, device=moment.device).reshape(shape)
        return _expand(value, moment)


@layer
class Parameter(Layer):
    """A learned array, the same for each example.

    Shape:  nothing -> (*size)
    Arrays: weight (*size); with ``nameless`` it is called as the layer, ``token`` and not ``token.weight``
    Args:
        size: whole numbers; None for what follows from where it goes; nothing at all leaves the shape
            open (a single number is ``Parameter(())``).
        nameless: the array has no name of its own, as a parameter of a PyTorch module has none.
        init: how it starts (normal, with standard deviation 0.02, by default).
    Raises:
        ShapeError: a size that cannot be known, once arrays are made.
    Example:
        >>> import retia as rt
        >>> x = rt.Input(3)
        >>> rt.Graph(x @ rt.Parameter(None, 2)).count
        6
    """

    gathers = True

    size: tuple[int | None, ...] | None = setting(whole_tuple(1, optional=True, nothing=True), default=None)
    _: KW_ONLY
    nameless: bool = setting(flag, default=False)

    def ports(self, arity: int | None = None) -> Signature:
        return signature(f"-> {self._dims()}")

    def _dims(self) -> str:
        if self.size is None:
            return "*s"
        dims = [f"d{i}" if size is None else str(size) for i, size in enumerate(self.size)]
        return " ".join(dims) or "()"

    def owns(self) -> Mapping[str, Array]:
        return {"" if self.nameless else "weight": Array(self._dims(), Initial("normal", std=0.02))}

    def forward(self, *, moment: Any, **arrays: Tensor) -> Tensor:
        return _expand(next(iter(arrays.values())), moment)
