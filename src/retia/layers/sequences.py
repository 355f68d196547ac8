"""Verbs of sequences: layers that take, turn or join the elements along the first axis.

Where that axis varies from example to example, each example is treated by its own length. Nothing here
reads a number off a tensor, so that all of it can stand in a program.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from retia._torch import torch
from retia.errors import ShapeError
from retia.layers.axes import PASS
from retia.layers.combine import Joiner
from retia.nets.layer import Layer, Steps, layer
from retia.nets.settings import declared
from retia.shapes import Signature, signature

if TYPE_CHECKING:
    from torch import Tensor


def places(x: Tensor, mask: Tensor) -> Tensor:
    """Where the first axis of a batch is real: of shape (batch, n)."""
    others = tuple(range(2, mask.dim()))
    return (mask.any(others) if others else mask).expand(x.shape[:2])


def lengths_of(x: Tensor, mask: Tensor | None) -> Tensor | None:
    """How much of the first axis each example has; None where all have all of it."""
    return None if mask is None else places(x, mask).sum(1)


def picked(x: Tensor, at: Tensor) -> Tensor:
    """The elements of each example at some places: (batch, n, *s) by (batch, m) to (batch, m, *s)."""
    batch, n = x.shape[:2]
    starts = torch.arange(batch, device=x.device) * n
    rows = (at + starts.unsqueeze(1)).flatten()  # whole rows move, so that one number says where
    return x.flatten(0, 1).index_select(0, rows).reshape(*at.shape, *x.shape[2:])


def turned(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Each example from its last element to its first; padding stays where it is."""
    if lengths is None:
        return x.flip(1)
    here = torch.arange(x.shape[1], device=x.device)
    there = lengths.unsqueeze(1) - 1 - here
    return picked(x, torch.where(there < 0, here, there))


def last_of(x: Tensor, lengths: Tensor) -> Tensor:
    """The last element of each example, (batch, n, *s) to (batch, *s); of an empty one its padding."""
    return picked(x, (lengths - 1).clamp(min=0).unsqueeze(1)).squeeze(1)


@declared
class Verb(Layer):
    """The interface of layers that treat the elements of one sequence.

    Class attributes:
        fewer: by how many elements the result is shorter; None where it is a single element.
        what: the result in words.
    """

    solves: ClassVar[tuple[str, ...]] = ("n", "m")
    axes: ClassVar[Mapping[str, str]] = {**PASS, "n": "pass"}
    kinds: ClassVar[Mapping[str, str]] = {"*": "same"}
    fewer: ClassVar[int | None] = None
    what: ClassVar[str] = ""

    def ports(self, arity: int | None = None) -> Signature:
        return signature("n *s -> *s" if self.fewer is None else "n *s -> m *s")

    def solve(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        size, left = known["n"], known["m"]
        if size == 0:
            raise ShapeError(f"an empty sequence has no {self.what}.", expected=1, got=0)
        if self.fewer is None:
            return {}
        if size is not None:
            return {"m": size - self.fewer}
        return {} if left is None else {"n": left + self.fewer}


@layer
class First(Verb):
    """The first element of a sequence: ``y = x[0]``.

    Shape:  (n, *s) -> (*s)
    Raises:
        ShapeError: the sequence is empty.
    Example:
        >>> import retia as rt
        >>> rt.First(input=("n",))([[1.0, 2.0, 3.0], [4.0]])
        tensor([1., 4.])
    """

    what = "first element"

    def forward(self, x: Tensor) -> Tensor:
        return x[:, 0]

    def steps(self, along: Sequence[str | None]) -> Steps:
        return Steps(remembers=True) if tuple(along) == ("n",) else super().steps(along)

    def advance(self, memory: Tensor | None, x: Tensor) -> tuple[Tensor, Tensor]:
        first = x[:, 0] if memory is None else memory
        return first, first


@layer
class Last(Verb):
    """The last element of a sequence: ``y = x[n - 1]``, where n varies that of each example.

    Shape:  (n, *s) -> (*s)
    Raises:
        ShapeError: the sequence is empty.
    Example:
        >>> import retia as rt
        >>> rt.Last(input=("n",))([[1.0, 2.0, 3.0], [4.0]])
        tensor([3., 4.])
    """

    what = "last element"

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        lengths = lengths_of(x, moment.mask())
        return x[:, -1] if lengths is None else last_of(x, lengths)

    def steps(self, along: Sequence[str | None]) -> Steps:
        # Of all elements so far the last one is that of the newest piece: there is nothing to remember.
        return Steps(remembers=True) if tuple(along) == ("n",) else super().steps(along)


@layer
class Most(Verb):
    """All elements of a sequence but the last: ``y = x[:-1]``.

    Shape:  (n, *s) -> (n - 1, *s)
    Raises:
        ShapeError: the sequence is empty.
    Example:
        >>> import retia as rt
        >>> rt.Most(input=("n",))([[1.0, 2.0, 3.0], [4.0, 5.0]])
        [tensor([1., 2.]), tensor([4.])]
    """

    fewer = 1
    what = "last element to leave out"

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :-1]  # of a shorter example the last one is padding now


@layer
class Rest(Verb):
    """All elements of a sequence but the first: ``y = x[1:]``.

    Shape:  (n, *s) -> (n - 1, *s)
    Raises:
        ShapeError: the sequence is empty.
    Example:
        >>> import retia as rt
        >>> rt.Rest(input=("n",))([[1.0, 2.0, 3.0], [4.0, 5.0]])
        [tensor([2., 3.]), tensor([5.])]
    """

    fewer = 1
    what = "first element to leave out"

    def forward(self, x: Tensor) -> Tensor:
        return x[:, 1:]


@layer
class Reverse(Layer):
    """The elements of a sequence from the last to the first: ``y[i] = x[n - 1 - i]``.

    Shape:  (n, *s) -> (n, *s)
    Example:
        >>> import retia as rt
        >>> rt.Reverse(input=("n",))([[1.0, 2.0, 3.0], [4.0, 5.0]])
        [tensor([3., 2., 1.]), tensor([5., 4.])]
    """

    signature = "n *s -> n *s"
    axes = {**PASS, "n": "pass"}
    kinds = {"*": "same"}

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        return turned(x, lengths_of(x, moment.mask()))

    def steps(self, along: Sequence[str | None]) -> Steps:
        if "n" in along:
            raise ShapeError("it begins with the last element.")
        return super().steps(along)


@layer
class Join(Joiner):
    """Sequences one after another, each of its own length.

    ``Concat()`` does it along any axis whose size is fixed.

    Shape:  (n1, *s), (n2, *s), ... -> (n1 + n2 + ..., *s)
    Raises:
        ShapeError: the elements of the sequences have different shapes.
    Example:
        >>> import retia as rt
        >>> join = rt.Join(input={"a": ("n",), "b": ("m",)})
        >>> join({"a": [[1.0, 2.0], [3.0]], "b": [[7.0], [8.0, 9.0]]})
        [tensor([1., 2., 7.]), tensor([3., 8., 9.])]
    """

    axes = {"*": "pass"}

    def along(self) -> int:
        return 0

    def forward(self, *x: Tensor, moment: Any) -> Tensor:
        joined = torch.cat(x, 1)
        masks = [moment.mask(number) for number in range(len(x))]
        if all(mask is None for mask in masks):
            return joined
        whole = torch.ones((1, 1), dtype=torch.bool, device=joined.device)
        real = [places(each, whole if mask is None else mask) for each, mask in zip(x, masks, strict=True)]
        # What is real keeps its order and comes before all padding.
        return picked(joined, torch.argsort(~torch.cat(real, 1), dim=1, stable=True))
