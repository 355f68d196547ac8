"""From a tape to a program: where every number stands in memory, and the code that computes it.

Every buffer is taken once, every view is a constant, calls write their results into memory that is there
(``out=``), in place where nothing else reads. What has no such form is called as it is. The plan is made by
running the tape once, so each call is tried on the memory that it will have.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.engine.buffers import Pool
from retia.engine.kernels import Form, forms, is_dense, same_place
from retia.engine.layouts import CONVOLUTIONS, adapted, channels_last, is_picture, layout
from retia.engine.rewrite import written_by
from retia.engine.source import Source
from retia.engine.trace import Call, NotFlatError, Ref, Tape, contiguous, map_refs, refs_in

if TYPE_CHECKING:
    from torch import Tensor

COPIES = ("aten::_to_copy", "aten::clone")
UNSAFE_VIEW = "aten::_unsafe_view"
RESHAPES = ("aten::view", UNSAFE_VIEW)


@dataclass
class Slot:
    """A tensor of the tape in the plan.

    Attributes:
        tensor: the numbers, as they are while the plan is made.
        fixed: whether it stands at this address in every run.
        home: the pool's memory that it stands in, if any.
    """

    tensor: Tensor
    fixed: bool
    home: Tensor | None = None


@dataclass(frozen=True)
class Target:
    """Where an output goes.

    Attributes:
        tensor: fixed memory.
        adds: the output is added to what stands there.
        early: it may be written as soon as it is known, because nothing in the program reads the memory.
    """

    tensor: Tensor
    adds: bool = False
    early: bool = False


@dataclass(frozen=True)
class Program:
    """Straight-line code on fixed memory. Not for two threads at once.

    Attributes:
        run: takes the free inputs in order, answers the outputs that have no target, in order.
        source: its code.
        calls: how many calls of PyTorch a run makes.
        bytes: of memory that it holds.
    """

    run: Callable[..., Any]
    source: str
    calls: int
    bytes: int


@dataclass
class Planner:
    """Makes one program of one tape.

    Attributes:
        tape: what to compute.
        fixed: memory of inputs that stay where they are, by name.
        free: inputs that come with each run, by name: examples of them.
        targets: where outputs go, by name; the others are answered.
        plain: keep the layouts that were recorded, so that the same kernels give the same bits.
    """

    tape: Tape
    fixed: Mapping[str, Tensor]
    free: Mapping[str, Tensor] = field(default_factory=dict)
    targets: Mapping[str, Target] = field(default_factory=dict)
    plain: bool = False

    def __post_init__(self) -> None:
        self.slots: dict[int, Slot] = {}
        self.pool = Pool()
        self.source = Source()
        self.homes: dict[int, list[Tensor]] = {}
        self.presets: dict[int, Tensor] = {}
        self.pictures = any(call.op._schema.name in CONVOLUTIONS for call in self.tape.calls)
        self._producer = {r.number: c for c in self.tape.calls for r in c.results if r is not None}
        self._written = self._mutated()
        self._last = self._lifetimes()
        self._reshaped = {
            _viewed(call).number for call in self.tape.calls if call.op._schema.name in RESHAPES
        }
        answered = [ref for name, ref in self.tape.outputs.items() if name not in self.targets]
        self._answered = {self._group(ref) for ref in answered}

    def plan(self) -> Program:
        """The program."""
        with torch.no_grad():
            self._place_inputs()
            self._preset_outputs()
            for number, call in enumerate(self.tape.calls):
                self._take(call, number)
                self._release(call, number)
            answers = self._finish()
        run = self.source.compiled([*self.free], answers)
        return Program(run, self.source.text, self.source.calls, self.pool.bytes)

    # What lives how long ---------------------------------------------------------------------------

    def _group(self, ref: Ref) -> int:
        return self.tape.facts[ref.number].alias

    def _mutated(self) -> set[int]:
        """Groups of tensors in one memory that a call changes, or that depend on their strides."""
        found = set()
        for call in self.tape.calls:
            if "as_strided" in call.op._schema.name:
                found |= {self._group(ref) for ref in call.refs()}
            found |= {self._group(ref) for ref in written_by(call)}
        given = {self._group(ref) for ref in self.tape.inputs.values()}
        if found & (given | set(self.tape.constants)):
            raise NotFlatError("The net changes what it was given in place.", fix='engine="walk"')
        return found

    def _lifetimes(self) -> dict[int, int]:
        last: dict[int, int] = {}
        for number, call in enumerate(self.tape.calls):
            for ref in (*call.refs(), *(r for r in call.results if r is not None)):
                last[self._group(ref)] = number
        end = len(self.tape.calls)
        for ref in (*self.tape.outputs.values(), *self.tape.inputs.values()):
            last[self._group(ref)] = end
        last.update(dict.fromkeys(self.tape.constants, end))
        return last

    def _release(self, call: Call, number: int) -> None:
        """Give back the memory of what nobody reads any more."""
        every = (*call.refs(), *(r for r in call.results if r is not None))
        for group in {self._group(ref) for ref in every}:
            if self._last[group] != number:
                continue
            for home in self.homes.pop(group, ()):
                self.pool.give(home)
        for ref in {ref for ref in every if self._last[self._group(ref)] == number}:
            slot = self.slots.get(ref.number)
            if slot is not None and not slot.fixed:
                self.source.forget(slot.tensor)
                del self.slots[ref.number]

    # Inputs and outputs ----------------------------------------------------------------------------

    def _place_inputs(self) -> None:
        for name, ref in self.tape.inputs.items():
            if name in self.free:
                self.slots[ref.number] = Slot(self.free[name], False)
                self.source.name(self.free[name], name)
            else:
                self.slots[ref.number] = Slot(self.fixed[name], True)
        for number, tensor in self.tape.constants.items():
            self.slots[number] = Slot(tensor, True)

    def _preset_outputs(self) -> None:
        """Let the calls that make outputs write them where they go."""
        for name, target in self.targets.items():
            if not target.early or target.adds:
                continue
            ref, place = self.tape.outputs[name], target.tensor
            while (call := self._producer.get(ref.number)) is not None and _is_view(self.tape, call):
                back = _inverse(call, place, self.tape.fact(_viewed(call)).shape)
                if back is None:
                    break
                ref, place = _viewed(call), back
            if call is None or len(call.results) != 1 or self._group(ref) in self._written:
                continue
            if self._group(ref) == ref.number and self.tape.fact(ref).dtype == place.dtype:
                self.presets.setdefault(ref.number, place)

    def _finish(self) -> list[str]:
        """Bring outputs to their targets; answers the names of those that have none."""
        answers = []
        for name, ref in self.tape.outputs.items():
            slot = self.slots[ref.number]
            target = self.targets.get(name)
            if target is None:
                given = slot.fixed or self._group(ref) in {self._group(r) for r in self.tape.inputs.values()}
                answers.append(self.source.text_of(slot.tensor) + (".clone()" if given else ""))
            elif target.adds:
                self.source.method(target.tensor, "add_", [slot.tensor])
            elif not same_place(slot.tensor, target.tensor):
                self.source.method(target.tensor, "copy_", [slot.tensor])
        return answers

    # Calls -----------------------------------------------------------------------------------------

    def _take(self, call: Call, number: int) -> None:
        name = call.op._schema.name
        if _is_view(self.tape, call):
            self._view(call)
        elif name in COPIES:
            self._copy(call, number)
        elif written_by(call):
            self.source.call(call.op, *self._given(call), [])
            call.op(*self._given(call)[0], **self._given(call)[1])
        elif not self._into_memory(call, number):
            self._as_it_is(call)

    def _given(self, call: Call) -> tuple[Any, dict[str, Any]]:
        def tensor(ref: Ref) -> Tensor:
            return self.slots[ref.number].tensor

        return map_refs(call.args, tensor), {k: map_refs(v, tensor) for k, v in call.kwargs.items()}

    def _view(self, call: Call) -> None:
        source = self.slots[_viewed(call).number]
        args, kwargs = self._given(call)
        op = torch.ops.aten.view.default if call.op._schema.name == UNSAFE_VIEW else call.op
        try:
            found = op(*args, **kwargs)
        except RuntimeError:  # the layout that was chosen cannot be seen so
            source = self._rowwise(call)
            args = [source.tensor, *args[1:]]
            found = op(*args, **kwargs)
        results = found if isinstance(found, list | tuple) else (found,)
        if not source.fixed:
            self.source.call(op, args, kwargs, list(results), several=found is not results[0])
        for ref, tensor in zip(call.results, results, strict=True):
            if ref is not None:
                self.slots[ref.number] = Slot(tensor, source.fixed, source.home)
                self._as_picture(ref, tensor)

    def _as_picture(self, ref: Ref, tensor: Tensor) -> None:
        """Put rows that are seen as pictures channels last, as convolutions and pools like them."""
        rows = self.pictures and not self.plain and self._group(ref) not in self._written
        if not rows or tensor.dim() != 4 or not is_picture(tensor):
            return
        slot = self._buffer(ref, channels_last(tuple(tensor.shape)), self._group(ref))
        slot.tensor.copy_(tensor)
        self.source.method(slot.tensor, "copy_", [tensor])

    def _rowwise(self, call: Call) -> Slot:
        """A copy of what a view is of, in the layout that it was recorded with; others read the original."""
        ref = _viewed(call)
        group = self._group(ref)
        if group in self._written:
            raise NotFlatError("A view of memory that is changed in place has another layout here.")
        fact, original = self.tape.fact(ref), self.slots[ref.number]
        slot = self._buffer(ref, fact.strides if is_dense(fact.shape, fact.strides) else None, group)
        slot.tensor.copy_(original.tensor)
        self.source.method(slot.tensor, "copy_", [original.tensor])
        self.slots[ref.number] = original
        return slot

    def _copy(self, call: Call, number: int) -> None:
        """Changes of type and layout, into memory that is there."""
        args, kwargs = self._given(call)
        ref = call.result
        source = args[0]
        wanted = kwargs.get("memory_format")
        if self._group(ref) in self._answered or source.is_sparse:
            self._as_it_is(call)
            return
        if ref.number in self.presets or self._group(ref) in self._written or source.dim() == 0:
            strides = None
        elif wanted in (None, torch.preserve_format):
            strides = self._layout(call, ref, [source])
        else:
            strides = torch.empty(source.shape, device="meta").contiguous(memory_format=wanted).stride()
        slot = self._buffer(ref, strides, self._group(ref))
        slot.tensor.copy_(source)
        self.source.method(slot.tensor, "copy_", [source])

    def _into_memory(self, call: Call, number: int) -> bool:
        """Call with ``out=``; answers whether that could be done."""
        op, ways = call.op, forms(call.op)
        refs = [ref for ref in call.results if ref is not None]
        if not ways or len(refs) != len(call.results) or len(refs) != len(ways[0].outs):
            return False
        if any(self._group(ref) in self._answered for ref in refs):
            return False
        args, kwargs = self._given(call)
        given = [self.slots[ref.number].tensor for ref in call.refs()]
        strides = [self._layout(call, ref, given) for ref in refs]
        before = self.pool.mark()
        over = self._in_place(call, number, strides[0]) if len(refs) == 1 else None
        if over is not None:
            self._reuse(call, over)
        else:
            for ref, each in zip(refs, strides, strict=True):
                self._buffer(ref, each, self._group(ref))
        outs = [self.slots[ref.number].tensor for ref in refs]
        fixed = all(self.slots[ref.number].fixed for ref in call.refs())
        for way in ways:
            form, took, gives, helps = adapted(way, op, args, outs, free=fixed and not self.plain)
            with suppress(TypeError):
                self._run(form, took, kwargs, gives, helps)
                return True
        for ref in refs:
            del self.slots[ref.number]
            self.homes.pop(self._group(ref), None)
        self.pool.back(before)
        return False

    def _run(
        self,
        form: Form,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        outs: Sequence[Tensor],
        helps: Sequence[tuple[Tensor, Tensor]],
    ) -> None:
        """Try a call on the memory that it will have, then write it down."""
        for made, source in helps:
            made.copy_(source)
        form.function(*args, **kwargs, **dict(zip(form.outs, outs, strict=True)))
        for made, source in helps:
            self.source.method(made, "copy_", [source])
        self.source.call(form.function, args, {**kwargs, **dict(zip(form.outs, outs, strict=True))}, [])

    def _as_it_is(self, call: Call) -> None:
        """Call as it was recorded; its results stand where PyTorch puts them."""
        args, kwargs = self._given(call)
        found = call.op(*args, **kwargs)
        results = list(found) if isinstance(found, list | tuple) else [found]
        self.source.call(call.op, args, kwargs, results, several=isinstance(found, list | tuple))
        for ref, tensor in zip(call.results, results, strict=True):
            if ref is None:
                continue
            self.slots[ref.number] = Slot(tensor, False)
            if self._group(ref) in self._written and tensor.stride() != self.tape.fact(ref).strides:
                slot = self._buffer(ref, None, self._group(ref))
                slot.tensor.copy_(tensor)
                self.source.method(slot.tensor, "copy_", [tensor])

    # Memory ----------------------------------------------------------------------------------------

    def _buffer(self, ref: Ref, strides: tuple[int, ...] | None, group: int) -> Slot:
        """Memory for a tensor: where an output goes, or from the pool."""
        fact = self.tape.fact(ref)
        if (place := self.presets.get(ref.number)) is not None:
            slot = Slot(place, True)
        else:
            if self._group(ref) in self._written:
                strides = fact.strides
            tensor, home = self.pool.take(fact.shape, strides, fact.dtype, fact.device)
            slot = Slot(tensor, True, home)
            self.homes.setdefault(group, []).append(home)
        self.slots[ref.number] = slot
        return slot

    def _layout(self, call: Call, ref: Ref, given: Sequence[Tensor]) -> tuple[int, ...]:
        """The strides of a result."""
        fact = self.tape.fact(ref)
        if not self.plain:
            return layout(call, given, fact, self.pictures, ref.number in self._reshaped)
        return fact.strides if is_dense(fact.shape, fact.strides) else contiguous(fact.shape)

    def _in_place(self, call: Call, number: int, strides: tuple[int, ...]) -> Ref | None:
        """An argument whose memory the result may take: pointwise, not read again, alike in all."""
        result = call.result
        if torch.Tag.pointwise not in call.op.tags or result.number in self.presets:
            return None
        fact = self.tape.fact(result)
        refs = [*call.refs()]
        for ref in refs:
            slot, group = self.slots[ref.number], self._group(ref)
            alone = all(other == ref or self._group(other) != group for other in refs)
            fits = slot.tensor.dtype == fact.dtype and slot.tensor.stride() == strides
            whole = slot.tensor.shape == fact.shape and is_dense(fact.shape, slot.tensor.stride())
            homes = self.homes.get(group, ())
            mine = len(homes) == 1 and homes[0] is slot.home
            unread = self._last[group] == number and group not in self._written
            if alone and fits and whole and mine and unread and math.prod(fact.shape) > 1:
                return ref
        return None

    def _reuse(self, call: Call, over: Ref) -> None:
        slot, group = self.slots[over.number], self._group(over)
        self.homes[self._group(call.result)] = self.homes.pop(group)
        self.slots[call.result.number] = Slot(slot.tensor, True, slot.home)


def _viewed(call: Call) -> Ref:
    """What a view is of."""
    return next(refs_in(call.args))


def _is_view(tape: Tape, call: Call) -> bool:
    """Whether a call only looks at memory in another way."""
    if written_by(call):
        return False
    made = next((ref for ref in call.results if ref is not None), None)
    return made is not None and tape.facts[made.number].alias != made.number


def _inverse(call: Call, place: Tensor, shape: tuple[int, ...]) -> Tensor | None:
    """The memory of a view's result, seen as what the view is of; None where it cannot be."""
    name = call.op._schema.name
    if name == "aten::t":
        return place.t()
    if name == "aten::transpose":
        return place.transpose(call.args[1], call.args[2])
    if name == "aten::permute":
        order = [axis % place.dim() for axis in call.args[1]]
        return place.permute([order.index(axis) for axis in range(len(order))])
    if name in ("aten::view", UNSAFE_VIEW, "aten::unsqueeze", "aten::squeeze", "aten::detach", "aten::alias"):
        with suppress(RuntimeError):
            return place.view(shape)
    return None
