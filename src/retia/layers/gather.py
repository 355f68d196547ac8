"""Layers that pick elements of a sequence by number, number them, sort them, or add one at an end.

Where the sequence varies from example to example, each example is treated by its own length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any, ClassVar

from retia._torch import torch
from retia.errors import DataError, ShapeError
from retia.layers.axes import MOST, PASS, around, filled, in_batch
from retia.layers.sequences import lengths_of
from retia.nets.layer import Layer, Steps, layer
from retia.nets.settings import declared, flag, setting, whole
from retia.shapes import Signature, signature

if TYPE_CHECKING:
    from torch import Tensor


@layer
class Gather(Layer):
    """Elements of a sequence, picked by an array of numbers: ``y[t] = x[index[t]]``.

    The numbers come from an input, so each example picks its own; a part that is always the same: ``Part``.

    Shape:  input (n, *s), index (*t) of whole numbers below n -> (*t, *s)
    Raises:
        DataError: a number that is not below n, or below the example's own length (on the CPU; elsewhere
            PyTorch's error, where nothing varies).
    Source: NumPy's ``take`` along the first axis.
    Example:
        >>> import retia as rt
        >>> rt.Gather(input={"input": 3, "index": 2})({"input": [5.0, 6.0, 7.0], "index": [2, 0]})
        tensor([7., 5.])
    """

    signature = "input: n *s, index: *t -> output: *out"
    solves = ("*s", "*t", "*out")
    axes = {"*": "pass"}
    kinds = {"input": "same", "index": "int", "output": "same"}

    def solve(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        if known["*s"] is None or known["*t"] is None:
            return {}
        return {"*out": known["*t"] + known["*s"]}

    def forward(self, x: Tensor, index: Tensor, *, moment: Any) -> Tensor:
        mask = moment.mask(1)
        index = filled(index.long(), mask, 0)
        lengths = lengths_of(x, moment.mask(0))
        if lengths is not None:
            self._check(index, mask, lengths.reshape(-1, *(1,) * (index.dim() - 1)))
        at = index.reshape(*index.shape[:1], index[:1].numel() if len(index) else 0, *(1,) * (x.dim() - 2))
        try:
            y = x.gather(1, at.expand(*at.shape[:2], *x.shape[2:]))  # (batch, all of t, *s)
        except RuntimeError:
            self._check(index, mask, torch.tensor(x.shape[1]))
            raise
        return y.reshape(*index.shape, *x.shape[2:])

    def steps(self, along: Sequence[str | None]) -> Steps:
        if "n" in along:
            raise ShapeError("it picks from all elements.")
        return super().steps(along)

    def _check(self, index: Tensor, mask: Tensor | None, lengths: Tensor) -> None:
        bad = (index < 0) | (index >= lengths)
        bad = bad if mask is None else bad & mask
        if bool(bad.any()):
            wrong, most = int(index[bad][0]), int(lengths.expand(bad.shape)[bad][0])
            raise DataError(
                f"{self.brief} picks from {most} elements, numbers 0 to {most - 1}; got {wrong}.",
                expected=most,
                got=wrong,
            )


@layer
class Positions(Layer):
    """The positions of a sequence's elements, from 0: ``y[i] = i``.

    ``rt.Embedding`` after it makes vectors of them; ``rt.PositionEmbedding`` does both and adds.

    Shape:  (n, *s) -> (n), whole numbers
    Example:
        >>> import retia as rt
        >>> rt.Positions(input=("n",))([[5.0, 6.0, 7.0], [8.0]])
        [tensor([0, 1, 2]), tensor([0])]
    """

    signature = "n *s -> n"
    axes = {**PASS, "n": "pass"}
    kinds = {"input": "any", "output": "int"}

    def forward(self, x: Tensor) -> Tensor:
        return self.advance(0, x)[0]

    def steps(self, along: Sequence[str | None]) -> Steps:
        return Steps(remembers=True) if tuple(along) == ("n",) else super().steps(along)

    def advance(self, memory: int | None, x: Tensor) -> tuple[Tensor, int]:
        start, n = memory or 0, x.shape[1]
        return torch.arange(start, start + n, device=x.device).expand(x.shape[:2]), start + n


@declared
class Sorting(Layer):
    """The interface of layers that put elements in order along an axis."""

    axes: ClassVar[Mapping[str, str]] = {**PASS, "n": "mix"}

    axis: int = setting(whole(-MOST, MOST - 1), default=-1)
    _: KW_ONLY
    descending: bool = setting(flag, default=False)

    def ports(self, arity: int | None = None) -> Signature:
        shape = around(self.axis, "n")
        return signature(f"{shape} -> {shape}")

    def order(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Where the elements in order come from; equal ones keep their order, padding comes last."""
        x = filled(x, mask, _last(x.dtype, self.descending))
        return torch.argsort(x, dim=in_batch(self.axis), descending=self.descending, stable=True)


def _last(dtype: torch.dtype, descending: bool) -> float:
    """What comes after all other numbers, or with the last of them."""
    if not dtype.is_floating_point:
        limits = torch.iinfo(dtype)
        return limits.min if descending else limits.max
    return -torch.inf if descending else torch.nan  # which PyTorch takes for the greatest number


@layer
class Sort(Sorting):
    """The elements along an axis in order, the least first.

    Shape:  (*s, n) -> (*s, n), or n at another axis
    Args:
        axis: along which they are sorted; the last by default. Negative ones count from the last.
        descending: the greatest first.
    Example:
        >>> import retia as rt
        >>> rt.Sort(input=("n",))([[3.0, 1.0, 2.0], [5.0, 4.0]])
        [tensor([1., 2., 3.]), tensor([4., 5.])]
    """

    kinds = {"*": "same"}

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        return x.gather(in_batch(self.axis), self.order(x, moment.mask()))


@layer
class ArgSort(Sorting):
    """Numbers of the elements along an axis, in the order of their values: ``x[y[0]] <= x[y[1]] <= ...``.

    The numbers of the three greatest: ``rt.Chain(rt.ArgSort(descending=True), rt.Part(":3"))``; ``Gather``
    takes what is there. Derivatives do not go through it, through ``Sort`` they do.

    Shape:  (*s, n) -> (*s, n), or n at another axis; whole numbers
    Args:
        axis: along which they are sorted; the last by default. Negative ones count from the last.
        descending: the greatest first.
    Example:
        >>> import retia as rt
        >>> rt.ArgSort(input=3)([3.0, 1.0, 2.0])
        tensor([1, 2, 0])
    """

    kinds = {"input": "any", "output": "int"}

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        return self.order(x, moment.mask())


@declared
class Adding(Layer):
    """The interface of layers that make a sequence one element longer."""

    signature: ClassVar[str] = "input: n *s, element: *s -> output: m *s"
    solves: ClassVar[tuple[str, ...]] = ("n", "m")
    axes: ClassVar[Mapping[str, str]] = {**PASS, "n": "pass"}
    kinds: ClassVar[Mapping[str, str]] = {"*": "same"}

    def solve(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        if known["n"] is not None:
            return {"m": known["n"] + 1}
        if known["m"] == 0:
            raise ShapeError("an element more makes at least one.", expected=1, got=0)
        return {} if known["m"] is None else {"n": known["m"] - 1}


@layer
class Prepend(Adding):
    """A sequence with one element more before its first, such as the class token of a transformer.

    Two sequences one after the other: ``Join``.

    Shape:  input (n, *s), element (*s) -> (n + 1, *s)
    Example:
        >>> import retia as rt
        >>> add = rt.Prepend(input={"input": ("n",), "element": ()})
        >>> add({"input": [[1.0, 2.0], [3.0]], "element": [8.0, 9.0]})
        [tensor([8., 1., 2.]), tensor([9., 3.])]
    """

    def forward(self, x: Tensor, element: Tensor) -> Tensor:
        return torch.cat([element.unsqueeze(1), x], 1)


@layer
class Append(Adding):
    """A sequence with one element more after its last, where lengths vary after each example's own last.

    Shape:  input (n, *s), element (*s) -> (n + 1, *s)
    Example:
        >>> import retia as rt
        >>> add = rt.Append(input={"input": ("n",), "element": ()})
        >>> add({"input": [[1.0, 2.0], [3.0]], "element": [8.0, 9.0]})
        [tensor([1., 2., 8.]), tensor([3., 9.])]
    """

    def forward(self, x: Tensor, element: Tensor, *, moment: Any) -> Tensor:
        element = element.unsqueeze(1)
        longer = torch.cat([x, element], 1)
        lengths = lengths_of(x, moment.mask())
        if lengths is None:
            return longer
        here = torch.arange(longer.shape[1], device=x.device) == lengths.unsqueeze(1)
        return torch.where(here.reshape(*here.shape, *(1,) * (x.dim() - 2)), element, longer)
