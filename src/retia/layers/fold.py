"""A net applied along a sequence, element after element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.errors import ArgumentError, ShapeError, did_you_mean
from retia.layers.operators import (
    beside,
    check_constants,
    elements_of,
    emptied,
    inside_of,
    read_names,
    real_places,
)
from retia.nets.layer import Steps, layer
from retia.nets.operator import Operator
from retia.nets.settings import choice, setting, whole, whole_tuple
from retia.shapes import Signature, Term, show

if TYPE_CHECKING:
    from torch import Tensor


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
        A single one is the port ``output``, as a single sequence is the port ``input``; several keep their
        names.
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
        check_constants(self, self.constants, self.net.input_names())
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
        check_constants(self, [*self.constants, *memory], inputs)
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

    def targets(self, names: Sequence[str] = ()) -> Mapping[str, str]:
        memory, every = self.memory(), self.net.input_names()
        along = [name for name in every if name not in (*self.constants, *memory)]
        alone = along[0] if len(along) == 1 and "input" not in every else ""
        return {
            "input" if name == alone else name: name for name in every if self._takes or name not in memory
        }

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
        shapes = {term.name: term.dims for term in own.inputs}
        inputs = [
            Term(name, shapes[target] if target in still else ("n", *shapes[target]))
            for name, target in self.targets().items()
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
        given = dict(zip(self.targets().values(), inputs, strict=True))
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
