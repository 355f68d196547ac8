"""Layers that give what they take another shape: elements move, and none changes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from retia.errors import ArgumentError, ShapeError
from retia.layers.axes import MOST, PASS, around, in_batch
from retia.nets.layer import Layer, layer
from retia.nets.settings import setting, whole, whole_tuple
from retia.shapes import Extent, Shape, Signature, Size, product, show, signature, varies

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
    cure = "Flatten() keeps the batch and makes one vector of the rest, as PyTorch's Flatten(1)"

    def solve(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        sizes, total = known["*s"], known["n"]
        if sizes is None:
            return {}
        if varies(sizes[1:]):
            raise ShapeError("only the first axis of what is flattened may vary.")
        if product(sizes) is not None:
            return {"n": product(sizes)}
        return {"*s": _completed(sizes, total)} if isinstance(total, int) else {}

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], math.prod(x.shape[1:]))  # (batch, *s) -> (batch, n)


@layer
class Reshape(Layer):
    """The same elements, the last axis running fastest, in another shape.

    Shape:  (*s) -> (*size), as many elements as there were
    Args:
        size: the new sizes; one of them may be None (or -1), which is inferred.
    Raises:
        ShapeError: another number of elements; a varying size that is not the first of both shapes.
    Example:
        >>> import retia as rt
        >>> rt.Reshape(None, 2, input=4)([1.0, 2.0, 3.0, 4.0])
        tensor([[1., 2.],
                [3., 4.]])
    """

    solves = ("*s", "n")
    axes = {"*s": "pass"}
    kinds = {"*": "same"}
    gathers = True

    size: tuple[int | None, ...] = setting(whole_tuple(-1, nothing=True))

    def validate(self) -> None:
        size = tuple(None if each == -1 else each for each in self.size)
        if size.count(None) > 1:
            raise ArgumentError(f"Reshape: at most one size is inferred; got {self.size}.", got=self.size)
        object.__setattr__(self, "size", size)

    def ports(self, arity: int | None = None) -> Signature:
        dims = " ".join("n" if size is None else str(size) for size in self.size)
        return signature(f"*s -> {dims or '()'}")

    def solve(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        sizes, size = known["*s"], known["n"]
        if sizes is None:
            return {}
        new = tuple(size if each is None else each for each in self.size)
        before, after = product(sizes), product(new)
        if isinstance(before, Extent):
            return {"n": self._varying(sizes, before)}
        if before is not None and after is None:
            rest = math.prod(each for each in self.size if each is not None)
            return {"n": _quotient(before, rest)} if rest else {}
        if before is not None and before != after:
            raise ShapeError(
                f"{show(sizes)} has {before} elements, {show(new)} has {after}.", expected=after, got=before
            )
        return {"*s": _completed(sizes, after)} if before is None and isinstance(after, int) else {}

    def _varying(self, sizes: Shape, total: Extent) -> Size:
        rest = math.prod(each for each in self.size if each is not None)
        whole = total // rest if rest else 0
        if varies(sizes[1:]) or self.size[:1] != (None,) or whole * rest != total:
            raise ShapeError(
                f"{show(sizes)} varies, so it becomes (?, ...) with the first size inferred, and only where "
                f"its first axis alone varies and the other sizes divide it; got {show(self.size)}."
            )
        return whole

    def forward(self, x: Tensor) -> Tensor:
        rest = math.prod(size for size in self.size if size is not None)
        n = math.prod(x.shape[1:]) // rest if rest else 0
        return x.reshape(x.shape[0], *(n if size is None else size for size in self.size))


def _completed(sizes: Shape, total: int) -> Shape | None:
    """Sizes of which one is unknown, from their product; None where that does not fix it."""
    rest = product(tuple(size for size in sizes if size is not None))
    if sizes.count(None) != 1 or not isinstance(rest, int) or not rest:
        return None
    return tuple(_quotient(total, rest) if size is None else size for size in sizes)


def _quotient(total: int, rest: int) -> int:
    if total % rest:
        raise ShapeError(f"{total} elements cannot be {rest} times a whole number.")
    return total // rest


@layer
class Transpose(Layer):
    """The axes in another order: axis ``i`` of the output is axis ``axes[i]`` of the input.

    Shape:  (s0, s1, ...) -> (s_axes[0], s_axes[1], ...)
    Args:
        axes: a permutation of all axes, from 0: ``Transpose(1, 0)`` transposes a matrix,
            ``Transpose(0, 2, 1)`` swaps the last two of three axes.
    Raises:
        ShapeError: another number of axes.
    Example:
        >>> import retia as rt
        >>> rt.Transpose(1, 0, input=(1, 2))([[1.0, 2.0]])
        tensor([[1.],
                [2.]])
    """

    axes = PASS
    kinds = {"*": "same"}
    gathers = True

    order: tuple[int, ...] = setting(whole_tuple(0), alias="axes")

    def validate(self) -> None:
        if sorted(self.order) != list(range(len(self.order))):
            raise ArgumentError(
                f"Transpose: the axes are 0 to {max(len(self.order) - 1, 0)}, each once; got {self.order}.",
                fix="Transpose(0, 2, 1) swaps the last two of three axes (the batch is not counted)",
                got=self.order,
            )

    def ports(self, arity: int | None = None) -> Signature:
        names = [f"a{i}" for i in range(len(self.order))]
        left, right = " ".join(names) or "()", " ".join(names[i] for i in self.order) or "()"
        return signature(f"{left} -> {right}")

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, *(axis + 1 for axis in self.order))


@layer
class Replicate(Layer):
    """The same elements several times, along a new axis.

    Shape:  (*s) -> (times, *s), or the new axis elsewhere
    Args:
        times: how often, at least 1.
        axis: where the new axis stands in the output; negative ones count from the last.
    Example:
        >>> import retia as rt
        >>> rt.Replicate(2, input=2)([1.0, 2.0])
        tensor([[1., 2.],
                [1., 2.]])
    """

    axes = PASS
    kinds = {"*": "same"}

    times: int = setting(whole(1))
    axis: int = setting(whole(-MOST, MOST - 1), default=0)

    def ports(self, arity: int | None = None) -> Signature:
        return signature(f"{around(self.axis, '')} -> {around(self.axis, str(self.times))}")

    def forward(self, x: Tensor) -> Tensor:
        axis = in_batch(self.axis)
        sizes = [-1] * (x.dim() + 1)
        sizes[axis] = self.times
        return x.unsqueeze(axis).expand(sizes)
