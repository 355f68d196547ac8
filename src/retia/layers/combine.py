"""Layers that bring several inputs together, element by element or as matrices.

Element by element they follow NumPy's rules of broadcasting: axes are matched from the last, and an
axis of size 1 is repeated. The batch is never broadcast.
"""

from __future__ import annotations

import functools
import operator
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from retia._torch import torch
from retia.errors import ShapeError
from retia.layers.axes import MOST, PASS, around, filled, in_batch
from retia.nets.layer import Layer, layer
from retia.nets.settings import setting, whole
from retia.shapes import Shape, Signature, Size, show, signature

if TYPE_CHECKING:
    from torch import Tensor


def broadcast(shapes: list[Shape]) -> Shape:
    """The shape that several shapes broadcast to; None where a size cannot be told yet."""
    rank = max(len(shape) for shape in shapes)
    padded = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    return tuple(_together(sizes, shapes) for sizes in zip(*padded, strict=True))


def _together(sizes: tuple[Size | None, ...], shapes: list[Shape]) -> Size | None:
    wide: Size | None = None
    for size in sizes:
        if size is None or size == 1:
            continue
        if wide is not None and wide != size:
            raise ShapeError(
                f"shapes {' and '.join(map(show, shapes))} do not broadcast: {wide} against {size}.",
                fix="give them equal sizes, or 1 where one is to be repeated",
                expected=wide,
                got=size,
            )
        wide = size
    if wide is not None:
        return wide
    return None if any(size is None for size in sizes) else 1


def align(tensors: tuple[Tensor, ...]) -> list[Tensor]:
    """Batches of different rank with axes of size 1 put in after the batch."""
    rank = max(t.dim() for t in tensors)
    return [t.reshape(t.shape[0], *(1,) * (rank - t.dim()), *t.shape[1:]) for t in tensors]


class Combiner(Layer):
    """The interface of layers that combine inputs element by element."""

    variadic: ClassVar[bool] = True
    fewest: ClassVar[int] = 2
    most: ClassVar[int] = 1000
    solves: ClassVar[tuple[str, ...]] = ("*out",)
    axes: ClassVar[Mapping[str, str]] = {"*": "pass"}

    def ports(self, arity: int | None = None) -> Signature:
        number = min(max(arity or len(_named(self)) or 2, self.fewest), self.most)
        inputs = [f"{name}: *{name_of(i)}" for i, name in enumerate(_names(self, number))]
        return signature(f"{', '.join(inputs)} -> *out")

    def solve(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        shapes = [shape for name, shape in known.items() if name != "*out"]
        if any(shape is None for shape in shapes):
            return {}
        return {"*out": broadcast(shapes)}


def name_of(position: int) -> str:
    """The signature variable of an input."""
    return f"s{position}"


def _named(layer: Layer) -> list[str]:
    return list(layer.input) if isinstance(layer.input, Mapping) else []


def _names(layer: Layer, number: int) -> list[str]:
    named = _named(layer)
    return named if len(named) == number else [str(i) for i in range(1, number + 1)]


@layer
class Plus(Combiner):
    """Sum of its inputs, element by element: ``y = a + b + ...``. ``a + b`` on wires makes it.

    Shape:  (*s0), (*s1), ... -> (*out), broadcast
    Example:
        >>> import retia as rt
        >>> rt.Plus(input={"a": 2, "b": 2})({"a": [1.0, 2.0], "b": [3.0, 4.0]})
        tensor([4., 6.])
    """

    kinds = {"*": "same"}

    def forward(self, *x: Tensor) -> Tensor:
        return functools.reduce(operator.add, align(x))


@layer
class Times(Combiner):
    """Product of its inputs, element by element: ``y = a * b * ...``. ``a * b`` on wires makes it.

    Shape:  (*s0), (*s1), ... -> (*out), broadcast
    Example:
        >>> import retia as rt
        >>> rt.Times(input={"a": 2, "b": ()})({"a": [1.0, 2.0], "b": 3.0})
        tensor([3., 6.])
    """

    kinds = {"*": "same"}

    def forward(self, *x: Tensor) -> Tensor:
        return functools.reduce(operator.mul, align(x))


@layer
class Minus(Combiner):
    """Difference of two inputs: ``y = a - b``. ``a - b`` on wires makes it.

    Shape:  (*s0), (*s1) -> (*out), broadcast
    Example:
        >>> import retia as rt
        >>> rt.Minus(input={"a": 2, "b": 2})({"a": [1.0, 2.0], "b": [3.0, 3.0]})
        tensor([-2., -1.])
    """

    most = 2
    kinds = {"*": "same"}

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        a, b = align((a, b))
        return a - b


@layer
class Divide(Combiner):
    """Quotient of two inputs: ``y = a / b``. ``a / b`` on wires makes it.

    Shape:  (*s0), (*s1) -> (*out), broadcast
    Example:
        >>> import retia as rt
        >>> rt.Divide(input={"a": 2, "b": 2})({"a": [1.0, 2.0], "b": [2.0, 4.0]})
        tensor([0.5000, 0.5000])
    """

    most = 2

    def forward(self, a: Tensor, b: Tensor, *, moment: Any) -> Tensor:
        a, b = align((a, filled(b, moment.mask(1), 1)))
        return a / b


@layer
class Power(Combiner):
    """One input to the power of the other: ``y = a ** b``. ``a ** b`` on wires makes it.

    Shape:  (*s0), (*s1) -> (*out), broadcast
    Example:
        >>> import retia as rt
        >>> rt.Power(input={"a": 2, "b": ()})({"a": [1.0, 2.0], "b": 3.0})
        tensor([1., 8.])
    """

    most = 2

    def forward(self, a: Tensor, b: Tensor, *, moment: Any) -> Tensor:
        a, b = align((filled(a, moment.mask(0), 1), filled(b, moment.mask(1), 1)))
        return torch.pow(a, b)


@layer
class Maximum(Combiner):
    """The greatest of its inputs, element by element.

    Shape:  (*s0), (*s1), ... -> (*out), broadcast
    Example:
        >>> import retia as rt
        >>> rt.Maximum(input={"a": 2, "b": 2})({"a": [1.0, 5.0], "b": [3.0, 4.0]})
        tensor([3., 5.])
    """

    kinds = {"*": "same"}

    def forward(self, *x: Tensor) -> Tensor:
        return functools.reduce(torch.maximum, align(x))


@layer
class Minimum(Combiner):
    """The least of its inputs, element by element.

    Shape:  (*s0), (*s1), ... -> (*out), broadcast
    Example:
        >>> import retia as rt
        >>> rt.Minimum(input={"a": 2, "b": 2})({"a": [1.0, 5.0], "b": [3.0, 4.0]})
        tensor([1., 4.])
    """

    kinds = {"*": "same"}

    def forward(self, *x: Tensor) -> Tensor:
        return functools.reduce(torch.minimum, align(x))


@layer
class Dot(Layer):
    """Product of two matrices (or of a matrix and a vector, or of two vectors). ``a @ b`` on wires makes it.

    Sums over the last axis of the left and the first axis of the right; vectors stay vectors.

    Shape:  (*m, k), (k, *n) -> (*m, *n), each at most a matrix
    Raises:
        ShapeError: an input with more than two axes, or sizes k that differ.
    Example:
        >>> import retia as rt
        >>> rt.Dot(input={"left": 2, "right": 2})({"left": [1.0, 2.0], "right": [3.0, 4.0]})
        tensor(11.)
    """

    signature = "left: *m k, right: k *n -> *out"
    solves = ("*m", "*n", "*out")
    axes = {"*m": "pass", "*n": "pass", "k": "mix"}

    def solve(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        left, right = known["*m"], known["*n"]
        if left is None or right is None:
            return {}
        if len(left) > 1 or len(right) > 1:
            raise ShapeError(f"takes vectors and matrices; got {len(left) + 1} and {len(right) + 1} axes.")
        return {"*out": left + right}

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        a = left if left.dim() == 3 else left.unsqueeze(1)
        b = right if right.dim() == 3 else right.unsqueeze(2)
        product = torch.bmm(a, b)
        if left.dim() == 2:
            product = product.squeeze(1)
        return product if right.dim() == 3 else product.squeeze(-1)


class Joiner(Layer):
    """The interface of layers that put their inputs one after another along an axis."""

    variadic: ClassVar[bool] = True
    solves: ClassVar[tuple[str, ...]] = ("n",)
    kinds: ClassVar[Mapping[str, str]] = {"*": "same"}

    @abstractmethod
    def along(self) -> int:
        """The axis, counted without the batch."""

    def ports(self, arity: int | None = None) -> Signature:
        number = max(arity or len(_named(self)) or 2, 1)
        names = enumerate(_names(self, number))
        inputs = [f"{name}: {around(self.along(), f'n{i}')}" for i, name in names]
        return signature(f"{', '.join(inputs)} -> {around(self.along(), 'n')}")

    def solve(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        sizes = {name: size for name, size in known.items() if name[0] == "n" and name != "n"}
        unknown = [name for name, size in sizes.items() if size is None]
        total = functools.reduce(operator.add, (size for size in sizes.values() if size is not None), 0)
        if not unknown:
            return {"n": total}
        if len(unknown) > 1 or known["n"] is None:
            return {}
        if isinstance(total, int) and isinstance(known["n"], int) and total > known["n"]:
            raise ShapeError(f"its inputs are {total} long already, its output {known['n']}.", got=total)
        return {unknown[0]: known["n"] - total}


@layer
class Concat(Joiner):
    """Its inputs one after another along an axis.

    Shape:  (n1, *s), (n2, *s), ... -> (n1 + n2 + ..., *s), or the axis elsewhere
    Args:
        axis: which axis, from 0; negative ones count from the last.
    Raises:
        ShapeError: the other axes differ, or there is no such axis.
    Example:
        >>> import retia as rt
        >>> rt.Concat(input={"a": 2, "b": 1})({"a": [1.0, 2.0], "b": [3.0]})
        tensor([1., 2., 3.])
    """

    axes = PASS

    axis: int = setting(whole(-MOST, MOST - 1), default=0)

    def along(self) -> int:
        return self.axis

    def forward(self, *x: Tensor) -> Tensor:
        return torch.cat(x, dim=in_batch(self.axis))
