"""Operators that run a net on all elements of sequences at once, and what ``Fold`` shares with them.

Whatever can be said of nets within nets by chains and graphs alone is in ``composed.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.errors import ArgumentError, did_you_mean
from retia.nets.layer import layer
from retia.nets.operator import Operator
from retia.nets.settings import declared, setting
from retia.shapes import Extent, Signature, Term

if TYPE_CHECKING:
    from torch import Tensor


def read_names(name: str, value: Any) -> tuple[str, ...]:
    """The rule of ``constants``: a port's name, or a tuple of names."""
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, Sequence) or not all(isinstance(each, str) for each in names):
        raise ArgumentError(f"{name} is a port's name, or a tuple of names; got {value!r}.", got=value)
    return tuple(names)


def real_places(x: Tensor, moment: Any) -> Tensor | None:
    """Which elements of a batch of sequences are real, (batch, n); None where none is padding."""
    size = moment.size("n")
    if not isinstance(size, Extent) or not moment.run.lengths:
        return None
    lengths: Tensor = size.evaluate(moment.run.lengths).to(x.device)
    return torch.arange(x.shape[1], device=x.device) < lengths.unsqueeze(1)


def beside(here: Tensor, x: Tensor) -> Tensor:
    """Truth values of the first axes of a batch with as many axes as the batch has."""
    return here.reshape(*here.shape, *(1,) * (x.dim() - here.dim()))


def elements_of(x: Tensor, here: Tensor | None) -> Tensor:
    """Sequences with the first element of each where it is padding; zeros in those that are empty.

    So the net within is run on nothing that no example has, where its derivatives might be infinite.
    """
    if here is None or x.shape[1] == 0:
        return x
    real = beside(here, x)
    return torch.where(real, x, torch.where(real[:, :1], x[:, :1], 0))


def emptied(x: Tensor, here: Tensor | None) -> Tensor:
    """Sequences with zeros where they are padding."""
    return x if here is None else torch.where(beside(here, x), x, 0)


def inside_of(name: str) -> str:
    """The signature's variable for the shape of what the net gives at a port."""
    return f"*{name}'"


@declared
class Along(Operator):
    """The interface of operators that take the elements of sequences to their net."""

    rows = "n"

    def constant(self) -> Sequence[str]:
        """The net's inputs that are the same for all elements."""
        return ()

    def ports(self, arity: int | None = None) -> Signature:
        inputs = [self._outside(term) for term in self.within(arity).inputs]
        return Signature(tuple(inputs), tuple(_drawn_out(self.within(arity).outputs)))

    def within(self, arity: int | None = None) -> Signature:
        inputs = (Term(name, (f"*{name}",)) for name in self.net.input_names(arity))
        return Signature(
            tuple(inputs), tuple(Term(name, (inside_of(name),)) for name in self.net.output_names())
        )

    def forward(self, *inputs: Tensor, moment: Any) -> Any:
        names = [term.name for term in moment.node.signature.inputs]
        along = [name not in self.constant() for name in names]
        first = inputs[along.index(True)]
        here = real_places(first, moment)
        batch, n = first.shape[:2]
        rows = [
            elements_of(x, here).flatten(0, 1) if each else x.repeat_interleave(n, 0)
            for x, each in zip(inputs, along, strict=True)
        ]  # (batch, n, *s) -> (batch n, *s)
        ends = moment.inside(rows, torch.arange(n, device=first.device), here)
        found = tuple(emptied(y.reshape(batch, n, *y.shape[1:]), here) for y in ends)
        return found if len(found) > 1 else found[0]

    def _outside(self, term: Term) -> Term:
        return term if term.name in self.constant() else Term(term.name, ("n", *term.dims))


def _drawn_out(terms: Iterable[Term]) -> Iterable[Term]:
    """Each with the axis of the sequence in front."""
    return (Term(term.name, ("n", *term.dims)) for term in terms)


@layer
class Map(Along):
    """A net applied to every element of a sequence: ``y[i] = net(x[i])``, with the same arrays.

    All elements of a batch go through the net at once. Layers that keep the axes before the last, as
    ``Linear``, need no ``Map``.

    Shape:  (n, *s) -> (n, *t), where the net is (*s) -> (*t)
    Args:
        net: with one input; its arrays stand under ``net``.
    Raises:
        ArgumentError: the net has another number of inputs.
    Example:
        >>> import retia as rt
        >>> rt.Map(rt.Reduce("mean"), input=("n", 2))([[[1.0, 3.0], [5.0, 7.0]], [[0.0, 1.0]]])
        [tensor([2., 6.]), tensor([0.5000])]
        >>> rt.Map(rt.Chain(rt.Conv2d(4, 3), rt.Flatten()), input=("n", 1, 5, 5)).outputs["output"].shape
        (n, 36)
    """

    def validate(self) -> None:
        names = self.net.input_names(1)
        if len(names) != 1:
            raise ArgumentError(
                f"Map: its net takes {len(names)} inputs ({', '.join(names)}).",
                fix="rt.MapThread takes several sequences side by side",
                expected=1,
                got=len(names),
            )


@layer
class MapThread(Along):
    """A net applied to the elements of several sequences side by side: ``y[i] = net(a[i], b[i], ...)``.

    All elements of a batch go through the net at once. Sequences of one example are equally long.

    Shape:  (n, *s), (n, *t), ... -> (n, *u), where the net is (*s), (*t), ... -> (*u)
    Args:
        net: with any inputs, whose names are the ports; its arrays stand under ``net``.
        constants: inputs of the net that are the same for all elements of an example.
    Raises:
        ArgumentError: a constant that is no input of the net, or no other input is left.
    Example:
        >>> import retia as rt
        >>> scaled = rt.MapThread(rt.Graph(lambda x, by: x * by), constants="by", input={"x": 3, "by": ()})
        >>> scaled({"x": [1.0, 2.0, 3.0], "by": 10.0})
        tensor([10., 20., 30.])
    """

    _: KW_ONLY
    constants: tuple[str, ...] = setting(read_names, default=())

    def validate(self) -> None:
        check_constants(self, self.constants, self.net.input_names())

    def constant(self) -> Sequence[str]:
        return self.constants


def check_constants(operator: Operator, constants: Sequence[str], names: Sequence[str]) -> None:
    """Make sure that constants are inputs of an operator's net, and that it has others.

    Raises:
        ArgumentError: they are not, or it has none.
    """
    kind = type(operator).__name__
    for name in constants:
        if name not in names:
            raise ArgumentError(
                f"{kind}: its net has no input {name!r}; it has {', '.join(names) or 'none'}."
                + did_you_mean(name, names),
                expected=names,
                got=name,
            )
    if len(constants) == len(names):
        raise ArgumentError(f"{kind}: no input of its net takes elements.", expected=names, got=constants)
