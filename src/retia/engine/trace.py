"""Recording: what PyTorch is asked to do while a function runs, as a flat list of ATen calls.

A tape is a value: calls in order, each naming what it reads and gives by number. Forward, derivative and
everything between stand on it alike, because recording happens below PyTorch's autograd.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from retia._torch import torch
from retia.engine.kernels import is_dense
from retia.engine.listening import guard, looks_at_numbers, plainly, recorder
from retia.errors import Error

if TYPE_CHECKING:
    from torch import Tensor


class NotFlatError(Error):
    """A function that no flat list of calls can replay: it decides by the numbers it sees."""


class Ref(NamedTuple):
    """A tensor on a tape, by its number."""

    number: int


@dataclass(frozen=True)
class Fact:
    """What is known of a tensor on a tape.

    Attributes:
        shape, strides, dtype, device: as they were recorded.
        alias: the number of the tensor whose memory it shares (itself, where it has its own).
    """

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device
    alias: int = -1

    @property
    def dense(self) -> tuple[int, ...]:
        """The recorded strides, or those of rows where they leave gaps."""
        return self.strides if is_dense(self.shape, self.strides) else contiguous(self.shape)


@dataclass(frozen=True, eq=False)
class Call:
    """One ATen call.

    Attributes:
        op: the overload that was called.
        args, kwargs: as they were given, tensors being refs.
        results: one ref for each tensor that it gives; None where it gives none.
    """

    op: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    results: tuple[Ref | None, ...]

    @property
    def result(self) -> Ref:
        """The only result."""
        (only,) = self.results
        assert only is not None
        return only

    def made(self) -> list[Ref]:
        """Every tensor that it gives."""
        return [ref for ref in self.results if ref is not None]

    def refs(self) -> Iterator[Ref]:
        """Every tensor that it reads."""
        yield from refs_in(self.args)
        yield from refs_in(tuple(self.kwargs.values()))

    def written(self) -> list[Ref]:
        """The tensors that it changes in place."""
        found: list[Ref] = []
        for position, argument in enumerate(self.op._schema.arguments):
            if argument.alias_info is None or not argument.alias_info.is_write:
                continue
            value = self.args[position] if position < len(self.args) else self.kwargs.get(argument.name)
            found += refs_in(value)
        return found

    def replaced(self, swap: Callable[[Ref], Ref]) -> Call:
        """The call with other tensors in the places of those that it reads."""
        kwargs = {name: map_refs(value, swap) for name, value in self.kwargs.items()}
        return Call(self.op, map_refs(self.args, swap), kwargs, self.results)


@dataclass
class Tape:
    """A flat list of calls.

    Attributes:
        calls: in order.
        inputs: by name.
        outputs: by name.
        facts: of every tensor, by number.
        constants: tensors that were neither given nor computed, by number.
    """

    calls: list[Call] = field(default_factory=list)
    inputs: dict[str, Ref] = field(default_factory=dict)
    outputs: dict[str, Ref] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)
    constants: dict[int, Tensor] = field(default_factory=dict)

    def new(self, fact: Fact, alias: int | None = None) -> Ref:
        """A tensor that was not there, in memory of its own unless ``alias`` says whose it shares."""
        number = len(self.facts)
        self.facts.append(replace(fact, alias=number if alias is None else self.facts[alias].alias))
        return Ref(number)

    def like(self, ref: Ref, shape: tuple[int, ...] | None = None, dtype: Any = None) -> Ref:
        """A new tensor of a known one's shape, type and device, unless others are given."""
        fact = self.facts[ref.number]
        chosen = fact.shape if shape is None else shape
        strides = fact.strides if shape is None else contiguous(chosen)
        return self.new(Fact(chosen, strides, fact.dtype if dtype is None else dtype, fact.device))

    def constant(self, tensor: Tensor) -> Ref:
        """A tensor with its numbers."""
        ref = self.new(fact_of(tensor))
        self.constants[ref.number] = tensor
        return ref

    def fact(self, ref: Ref) -> Fact:
        """What is known of a tensor."""
        return self.facts[ref.number]

    def __str__(self) -> str:
        """The calls, one a line, for people."""
        named = {ref.number: name for name, ref in self.inputs.items()}

        def tell(ref: Ref) -> Any:
            return _Name(named.get(ref.number, f"v{ref.number}"))

        lines = []
        for call in self.calls:
            gives = ", ".join("_" if r is None else f"v{r.number}" for r in call.results)
            takes = [repr(map_refs(a, tell)) for a in call.args]
            takes += [f"{name}={map_refs(a, tell)!r}" for name, a in call.kwargs.items()]
            lines.append(f"{gives} = {call.op}({', '.join(takes)})")
        return "\n".join(lines)


class _Name(str):
    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def record(function: Callable[..., Mapping[str, Tensor]], inputs: Mapping[str, Tensor]) -> Tape:
    """Run a function once and write down what it asked PyTorch to do.

    Args:
        function: takes the inputs by name, answers tensors by name. It may differentiate.
        inputs: by name; whatever else it reads becomes a constant of the tape.
    Raises:
        NotFlatError: it read a number off a tensor, so that other inputs might take another way.
    Example:
        >>> tape = record(lambda x: {"y": (x * 2).relu()}, {"x": torch.ones(3)})
        >>> print(tape)
        v1 = aten.mul.Tensor(x, 2)
        v2 = aten.relu.default(v1)
    """
    inputs = {name: tensor.detach() for name, tensor in inputs.items()}  # each another object
    recording = _Recording(inputs)
    with guard()(recording.look), recorder()(recording.note):
        outputs = function(**inputs)
    tape = recording.tape
    tape.outputs = {key: recording.find(tensor) for key, tensor in outputs.items()}
    _check_given(tape)
    return tape


class _Recording:
    """A tape that is being written, and which tensor each of its numbers is."""

    def __init__(self, inputs: Mapping[str, Tensor]) -> None:
        self.tape = Tape()
        self._known: dict[int, tuple[weakref.ref[Tensor], Ref]] = {}
        for key, tensor in inputs.items():
            self.tape.inputs[key] = self._name(tensor, self.tape.new(fact_of(tensor)))

    def knows(self, tensor: Tensor) -> Ref | None:
        """The ref of a tensor that was given or computed."""
        held = self._known.get(id(tensor))
        return held[1] if held is not None and held[0]() is tensor else None

    def find(self, tensor: Tensor) -> Ref:
        """The ref of any tensor; what was neither given nor computed becomes a constant."""
        return self.knows(tensor) or self._name(tensor, self.tape.constant(tensor.detach()))

    def look(self, method: str, tensor: Tensor) -> None:
        """See to it that numbers of what is on the tape are not taken out of PyTorch."""
        ref = self.knows(tensor)
        if ref is not None and ref.number not in self.tape.constants:
            raise _not_flat(f"Tensor.{method} takes numbers out of PyTorch")

    def note(self, op: Any, args: Any, kwargs: Any, results: Any) -> None:
        """Write down a call that was made."""
        if looks_at_numbers(op, args):
            raise _not_flat(f"{op} answers by the numbers it sees")
        plain = plainly(op, args)
        if plain is None:
            raise _not_flat(f"{op} changes the size of a tensor in place")
        if op is torch.ops.aten.lift_fresh.default:  # what is made of it may change, even while recording
            args = (args[0].clone(),)
        taken = map_tensors(args, self.find), map_tensors(kwargs, self.find)
        given = results if isinstance(results, list | tuple) else (results,)
        around = [*tensors_in(args), *tensors_in(tuple(kwargs.values()))]
        refs = [self._result(each, plain, around) if _is_tensor(each) else None for each in given]
        for tensor, ref in zip(given, refs, strict=True):
            if ref is not None:
                self._name(tensor, ref)
        self.tape.calls.append(Call(plain, *taken, tuple(refs)))

    def _name(self, tensor: Tensor, ref: Ref) -> Ref:
        self._known[id(tensor)] = (weakref.ref(tensor), ref)
        return ref

    def _result(self, tensor: Tensor, op: Any, around: Iterable[Tensor]) -> Ref:
        """That of an argument changed in place, or a new one that knows whose memory it shares."""
        if tensor.layout != torch.strided:
            raise _not_flat(f"{op} gives a tensor that is not dense")
        if op is torch.ops.aten.clone.default:
            return self.tape.new(fact_of(tensor))
        own = tensor.untyped_storage().data_ptr()
        for given in around:
            if given is tensor and not op.is_view:
                return self.find(given)
            if given is tensor or (own and given.untyped_storage().data_ptr() == own):
                return self.tape.new(fact_of(tensor), self.find(given).number)
        return self.tape.new(fact_of(tensor))


def _check_given(tape: Tape) -> None:
    """Make sure that a tape leaves what it was given, or was there before, as and where it is."""
    given = {ref.number for ref in tape.inputs.values()} | set(tape.constants)
    for call in tape.calls:
        if any(tape.fact(ref).alias in given for ref in call.written()):
            raise _not_flat(f"{call.op} changes in place what was there before")
        if "as_strided" in call.op._schema.name and tape.fact(call.args[0]).alias in given:
            fact = tape.facts[tape.fact(call.args[0]).alias]
            if len(call.args) > 3 or fact.dense != fact.strides:
                raise _not_flat(f"{call.op} may read memory outside of what it was given")


def fact_of(tensor: Tensor) -> Fact:
    """What a tape keeps of a tensor."""
    return Fact(tuple(tensor.shape), tensor.stride(), tensor.dtype, tensor.device)


def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of a row-major tensor."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def _not_flat(why: str) -> NotFlatError:
    return NotFlatError(f"{why}, so no flat program can replay it.", fix='engine="walk"')


# Nested arguments ---------------------------------------------------------------------------------


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)


def _mapped(value: Any, kind: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, kind):
        return change(value)
    if isinstance(value, list | tuple):
        return type(value)(_mapped(each, kind, change) for each in value)
    if isinstance(value, dict):
        return {name: _mapped(each, kind, change) for name, each in value.items()}
    return value


def map_refs(value: Any, change: Callable[[Ref], Any]) -> Any:
    """Nested arguments with every ref changed."""
    return _mapped(value, Ref, change)


def map_tensors(value: Any, change: Callable[[Tensor], Any]) -> Any:
    """Nested arguments with every tensor changed."""
    return _mapped(value, torch.Tensor, change)


def _found(value: Any, kind: Any) -> Iterator[Any]:
    if isinstance(value, kind):
        yield value
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _found(each, kind)


def refs_in(value: Any) -> Iterator[Ref]:
    """Every ref among nested arguments."""
    return _found(value, Ref)


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Every tensor among nested arguments."""
    return _found(value, torch.Tensor)
