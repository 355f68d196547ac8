"""Operators over nets: a net mapped over a sequence, side by side over several, or folded along one.

Whatever can be said with chains and graphs alone is in ``composed.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.errors import ArgumentError, ShapeError, did_you_mean
from retia.nets.layer import Steps, layer
from retia.nets.operator import Operator
from retia.nets.settings import choice, declared, setting, whole, whole_tuple
from retia.shapes import Extent, Signature, Term, show

if TYPE_CHECKING:
    from torch import Tensor


def read_names(name: str, value: Any) -> tuple[str, ...]:
    """The rule of ``constants``: a port's name, or a tuple of names."""
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, Sequence) or not all(isinstance(each, str) for each in names):
        raise ArgumentError(f"{name} is a port's name, or a tuple of names; got {value!r}.", got=value)
    return tuple(names)


def read_feedback(name: str, value: Any) -> Mapping[str, str] | None:
    """The rule of ``feedback``: None, or a dict from outputs to inputs."""
    if value is None:
        return None
    if not isinstance(value, Mapping) or not value or not all(isinstance(p, str) for p in value.values()):
        raise ArgumentError(
            f"{name} is a dict from outputs of the net to its inputs; got {value!r}.",
            fix='feedback={"hidden": "hidden"}',
            got=value,
        )
    return dict(value)


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
        (Extent(terms=((('n',), 1),), constant=0), 36)
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
        _check_constants(self, self.constants, self.net.input_names())

    def constant(self) -> Sequence[str]:
        return self.constants


def _check_constants(operator: Operator, constants: Sequence[str], names: Sequence[str]) -> None:
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


@layer
class Fold(Operator):
    """A net applied along a sequence, to each element and what it gave before: a recurrence of one's own.

    The net takes an element and a state and gives the next state. Beyond an example's own end its state stays
    as it is. For the usual cells ``LSTM`` and ``GRU`` are faster.

    Shape:  (n, *s) -> (n, *t); states as the net has them
    Args:
        net: an element and a state (or several) to the next state, and outputs if it has others. An output
            that is named like an input is the next of that state; else, of a net with two inputs and one
            output, the second input is the state. Its arrays stand under ``net``.
        size: of each state, a number or the sizes of its axes; inferred when left out, if it can be.
        feedback: which output is the next of which input, ``{"next": "state"}``, where names do not say it.
        constants: inputs of the net that are the same at every element.
        states: ``"in"`` takes the first states at the ports of their inputs (else they are 0), ``"out"``
            gives the last ones there, ``"both"`` does both.
        truncate: derivatives go back at most to the last multiple of so many elements; None for all the way.
    Returns:
        At every element the outputs of the net that are no states, or where there are none its first state.
        A single one is the port ``output``, several keep their names.
    Raises:
        ArgumentError: no state, or several ways to understand which it is.
        ShapeError: a first state of 0 whose size is unknown or varies.
    Source: Williams and Peng 1990 for truncation.
    Example:
        >>> import retia as rt
        >>> total = rt.Fold(rt.Graph(lambda x, sum: x + sum), 2, input=("n", 2))
        >>> total([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0]]])
        [tensor([[1., 2.],
                [4., 6.]]), tensor([[5., 6.]])]
    """

    axes = {"n": "mix", "*": "pass"}

    size: tuple[int, ...] | None = setting(whole_tuple(1, optional=True), default=None)
    _: KW_ONLY
    feedback: Mapping[str, str] | None = setting(read_feedback, default=None)
    constants: tuple[str, ...] = setting(read_names, default=())
    states: str | None = setting(choice(None, "in", "out", "both"), default=None)
    truncate: int | None = setting(whole(1, optional=True), default=None)

    def validate(self) -> None:
        _check_constants(self, self.constants, self.net.input_names())
        inputs, outputs = self.net.input_names(), self.net.output_names()
        for output, state in self.fed().items():
            for name, names in ((output, outputs), (state, inputs)):
                if name not in names:
                    raise ArgumentError(
                        f"Fold: feedback names {name!r}, but the net has {', '.join(names)}."
                        + did_you_mean(name, names),
                        expected=names,
                        got=name,
                    )
        memory = self.memory()
        if len(set(memory)) < len(memory) or set(memory) & set(self.constants):
            raise ArgumentError("Fold: a state follows from one output, and is no constant.", got=memory)
        _check_constants(self, [*self.constants, *memory], inputs)
        if twice := [name for name in self.kept() if self._gives and name in memory]:
            raise ArgumentError(
                f"Fold: the output {twice[0]!r} and a last state would have one name.",
                fix="name the net's input for that state otherwise, and say feedback=",
                got=twice[0],
            )

    def fed(self) -> Mapping[str, str]:
        """For each output of the net that is a state, the input that it goes to."""
        if self.feedback is not None:
            return self.feedback
        inputs, outputs = self.net.input_names(), self.net.output_names()
        found = {name: name for name in outputs if name in inputs}
        free = [name for name in inputs if name not in self.constants]
        if not found and len(outputs) == 1 and len(free) == 2:
            return {outputs[0]: free[1]}
        if not found:
            raise ArgumentError(
                f"Fold: which output of its net is the next state? It takes {', '.join(inputs)} and gives "
                f"{', '.join(outputs)}.",
                fix='feedback={"next": "state"}',
                expected=outputs,
                got=inputs,
            )
        return found

    def memory(self) -> tuple[str, ...]:
        """The net's inputs that are states."""
        return tuple(self.fed().values())

    def kept(self) -> Mapping[str, str]:
        """For each output at every element, the net's output that it is."""
        fed = self.fed()
        names = [name for name in self.net.output_names() if name not in fed] or [next(iter(fed))]
        return {name: name for name in names} if len(names) > 1 else {"output": names[0]}

    def origins(self) -> Mapping[str, str]:
        last = {state: output for output, state in self.fed().items()} if self._gives else {}
        return {**self.kept(), **last}

    def sizes(self) -> Mapping[str, Any]:
        return {f"*{name}": self.size for name in self.memory()}

    def within(self, arity: int | None = None) -> Signature:
        fed = self.fed()
        inputs = (Term(name, (f"*{name}",)) for name in self.net.input_names())
        outputs = (
            Term(name, (f"*{fed[name]}" if name in fed else inside_of(name),))
            for name in self.net.output_names()
        )
        return Signature(tuple(inputs), tuple(outputs))

    def ports(self, arity: int | None = None) -> Signature:
        own, memory, kept = self.within(), self.memory(), self.kept()
        still = [*self.constants, *memory]
        inputs = [
            term if term.name in still else Term(term.name, ("n", *term.dims))
            for term in own.inputs
            if self._takes or term.name not in memory
        ]
        dims = {term.name: term.dims for term in own.outputs}
        outputs = [
            Term(name, ("n", *dims[origin]) if name in kept else dims[origin])
            for name, origin in self.origins().items()
        ]
        return Signature(tuple(inputs), tuple(outputs))

    @property
    def _takes(self) -> bool:
        return self.states in ("in", "both")

    @property
    def _gives(self) -> bool:
        return self.states in ("out", "both")

    def steps(self, along: Sequence[str | None]) -> Steps:
        return Steps(remembers=True) if set(along) <= {"n", None} else super().steps(along)

    def forward(self, *inputs: Tensor, moment: Any) -> Any:
        return self._led(inputs, {}, moment)[0]

    def advance(self, memory: Any, *inputs: Any, moment: Any) -> tuple[Any, Any]:
        return self._led(inputs, dict(zip(self.memory(), memory or (), strict=False)), moment)

    def _led(self, inputs: Sequence[Tensor], begun: dict[str, Tensor], moment: Any) -> tuple[Any, Any]:
        """What it gives, and the last states; ``begun`` are the first ones of a sequence that goes on."""
        given = dict(zip((term.name for term in moment.node.signature.inputs), inputs, strict=True))
        names = [name for name in given if name not in (*self.constants, *self.memory())]
        here = real_places(given[names[0]], moment)
        sequences = {name: elements_of(given.pop(name), here) for name in names}
        given = {name: x.to(moment.real) if name in self.memory() else x for name, x in given.items()} | begun
        given |= {name: _nothing(name, moment) for name in self.memory() if name not in given}
        kept, last = self._along(sequences, given, here, moment)
        found = (*(emptied(y, here) for y in kept), *(last if self._gives else ()))
        return found if len(found) > 1 else found[0], tuple(last)

    def _along(
        self, sequences: Mapping[str, Tensor], given: dict[str, Tensor], here: Tensor | None, moment: Any
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The outputs at every element, and the last states."""
        own, fed = moment.node.inside.signature, self.fed()
        n = next(iter(sequences.values())).shape[1]
        kept: dict[str, list[Tensor]] = {origin: [] for origin in self.kept().values()}
        pieces = {name: x.unbind(1) or [x.new_zeros(len(x), *x.shape[2:])] for name, x in sequences.items()}
        for at in range(max(n, 1)):  # an empty sequence is gone along once too, to know the shapes
            if self.truncate and at and at % self.truncate == 0:
                given |= {name: given[name].detach() for name in fed.values()}
            now = {name: piece[at] for name, piece in pieces.items()}
            real = None if here is None or not n else here[:, at : at + 1]
            place = torch.arange(at, at + 1, device=moment.device)
            ends = moment.inside([{**given, **now}[term.name] for term in own.inputs], place, real)
            found = {term.name: end for term, end in zip(own.outputs, ends, strict=True)}
            if n:
                given |= {state: _frozen(found[name], given[state], real) for name, state in fed.items()}
            for origin, values in kept.items():
                values.append(given[fed[origin]] if origin in fed else found[origin])
        return [torch.stack(values, 1)[:, :n] for values in kept.values()], [given[s] for s in fed.values()]


def _nothing(name: str, moment: Any) -> Tensor:
    """A first state of zeros."""
    shape = moment.size(f"*{name}")
    if shape is None or not all(isinstance(size, int) for size in shape):
        raise ShapeError(
            f"{moment.node.label}: the first state {name!r} is 0, but its shape is {show(shape)}.",
            fix='size= says it, or states="in" takes the state as an input',
            path=moment.node.path,
            got=shape,
        )
    return torch.zeros(moment.batch, *shape, dtype=moment.real, device=moment.device)


def _frozen(new: Tensor, old: Tensor, real: Tensor | None) -> Tensor:
    """The next state, or the one before where a sequence has come to its end."""
    return new if real is None else torch.where(beside(real.flatten(), new), new, old)
