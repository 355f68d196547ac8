"""Layers that make one number of many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.errors import ArgumentError
from retia.layers.axes import MOST, filled, in_batch
from retia.nets.layer import Layer, layer
from retia.nets.settings import choice, setting, whole_tuple
from retia.shapes import Signature, signature

if TYPE_CHECKING:
    from torch import Tensor


@layer
class Reduce(Layer):
    """Sum, mean, greatest or least element along some axes.

    Where an axis varies, along what each example has.

    Shape:  (*s) -> (); (*s, n) -> (*s) for axis -1, and so for each of the axes
    Args:
        how: ``"sum"``, ``"mean"``, ``"max"`` or ``"min"``.
        axes: one axis or several, counted from 0, negative ones from the last; all of them if None.
    Raises:
        ShapeError: the input has no such axis.
    Example:
        >>> import retia as rt
        >>> rt.Reduce("mean", -1, input=(2, 2))([[1.0, 3.0], [5.0, 7.0]])
        tensor([2., 6.])
    """

    axes = {"*r": "mix", **{f"r{i}": "mix" for i in range(2 * MOST)}, "*": "pass"}
    cure = 'Reduce("sum", (0, 1)): several axes are one tuple'

    how: str = setting(choice("sum", "mean", "max", "min"))
    over: tuple[int, ...] | None = setting(whole_tuple(-MOST, optional=True), default=None, alias="axes")

    def validate(self) -> None:
        if self.over is not None and (not self.over or len(set(self.over)) < len(self.over)):
            raise ArgumentError(f"Reduce: axes are one or more, once each; got {self.over}.", got=self.over)
        if self.over is not None and max(self.over) >= MOST:
            raise ArgumentError(f"Reduce: axes are below {MOST}; got {self.over}.", got=self.over)

    def ports(self, arity: int | None = None) -> Signature:
        if self.over is None:
            return signature("*r -> ()")
        first, last = max(self.over) + 1, -min(self.over)
        left = [f"{'r' if axis in self.over else 'a'}{axis}" for axis in range(first)]
        right = [f"{'r' if -axis in self.over else 'a'}{MOST + axis - 1}" for axis in range(last, 0, -1)]
        dims = [*left, "*s", *right]
        return signature(f"{' '.join(dims)} -> {' '.join(dim for dim in dims if dim[0] != 'r')}")

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        over = tuple(range(1, x.dim())) if self.over is None else tuple(map(in_batch, self.over))
        if not over:
            return x
        mask = moment.mask()
        if self.how == "sum":
            return x.sum(over)
        if self.how == "mean" and mask is None:
            return x.mean(over)
        if self.how == "mean":
            number: Tensor = mask.expand_as(x).sum(over).clamp(min=1)
            return x.sum(over) / number
        least = -torch.inf if self.how == "max" else torch.inf
        y: Tensor = getattr(torch, f"a{self.how}")(filled(x, mask, least), over)
        return y if mask is None else filled(y, mask.expand_as(x).any(over), 0.0)
