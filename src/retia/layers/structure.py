"""Layers that move elements and change none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from retia.errors import ShapeError
from retia.nets.layer import Layer, layer
from retia.shapes import Extent, product

if TYPE_CHECKING:
    from torch import Tensor


@layer
class Flatten(Layer):
    """All elements in one vector, the last axis running fastest.

    Shape:  (*s) -> (n), n the product of s
    Raises:
        ShapeError: a size after the first varies from example to example.
    Example:
        >>> import retia as rt
        >>> rt.Flatten(input=(2, 2))([[1.0, 2.0], [3.0, 4.0]])
        tensor([1., 2., 3., 4.])
    """

    signature = "*s -> n"
    solves = ("*s", "n")
    axes = {"*s": "pass"}
    kinds = {"*": "same"}

    def solve(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        sizes, total = known["*s"], known["n"]
        if sizes is None:
            return {}
        if any(isinstance(size, Extent) for size in sizes[1:]):
            raise ShapeError("only the first axis of what is flattened may vary.")
        if product(sizes) is not None:
            return {"n": product(sizes)}
        rest = product(tuple(size for size in sizes if size is not None))
        if sizes.count(None) == 1 and isinstance(total, int) and isinstance(rest, int) and rest:
            if total % rest:
                raise ShapeError(f"{total} elements cannot be {rest} times a whole number.")
            return {"*s": tuple(total // rest if size is None else size for size in sizes)}
        return {}

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], -1) if x.numel() else x.flatten(1)
