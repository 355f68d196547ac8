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
from retia.engine.kernels import Form, direct, forms, is_dense, overlap, same_place
from retia.engine.layouts import CONVOLUTIONS, adapted, channels_last, is_picture, layout
from retia.engine.lives import Lives
from retia.engine.source import Source
from retia.engine.strides import misread, writes_there
from retia.engine.trace import Call, Ref, Tape, map_refs, tensors_in
from retia.engine.views import RESHAPES, UNSAFE_VIEW, inverse, is_view, viewed

if TYPE_CHECKING:
    from torch import Tensor

COPIES = ("aten::_to_copy", "aten::clone")
SMALL = 2**14
"""Bytes up to which an input is copied to where it always stands: in 1 us, as long as one view takes."""


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
        self.lives = Lives(self.tape)
        self.homes: dict[int, list[Tensor]] = {}
        self.presets: dict[int, Tensor] = {}
        self._settled: dict[int, Tensor] = {}
        self.pictures = any(call.op._schema.name in CONVOLUTIONS for call in self.tape.calls)
        answered = [ref for name, ref in self.tape.outputs.items() if name not in self.targets]
        self._answered = {self.lives.group(ref) for ref in answered}
        reshapes = [call for call in self.tape.calls if call.op._schema.name in RESHAPES]
        self._reshaped = {viewed(call).number for call in reshapes}

    def plan(self) -> Program:
        """The program."""
        with torch.no_grad():
            arguments = self._place_inputs()
            self._preset_outputs()
            for call in self.tape.calls:
                self._take(call)
                self._release(call)
            answers = self._finish()
        run = self.source.compiled(arguments, answers)
        return Program(run, self.source.text, self.source.calls, self.pool.bytes)

    # Inputs and outputs ----------------------------------------------------------------------------

    def _place_inputs(self) -> list[Tensor]:
        """Where inputs and constants stand; answers the free inputs in their order."""
        for name, ref in self.tape.inputs.items():
            free = name in self.free
            self.slots[ref.number] = Slot(self.free[name].detach() if free else self.fixed[name], not free)
        for number, tensor in self.tape.constants.items():
            self.slots[number] = Slot(tensor, True)
        refs = [self.tape.inputs[name] for name in self.free]
        arguments = [self.slots[ref.number].tensor for ref in refs]
        seen = {viewed(call).number for call in self.tape.calls if is_view(self.tape, call)}
        for ref, tensor in zip(refs, arguments, strict=True):
            if ref.number not in seen or not _is_small(tensor):
                self.source.argument(tensor)
            else:
                self.source.name(tensor)
                self._copied(ref, tensor, self.tape.fact(ref).strides)
        for number in self.lives.strict & set(self.slots):
            if self.slots[number].home is None:
                self._copied(Ref(number), self.slots[number].tensor, self.tape.facts[number].strides)
        return arguments

    def _preset_outputs(self) -> None:
        """Let the calls that make outputs write them where they go."""
        makers = {ref.number: call for call in self.tape.calls for ref in call.made()}
        for name, target in self.targets.items():
            if not target.early or target.adds:
                continue
            ref, place = self.tape.outputs[name], target.tensor
            while (call := makers.get(ref.number)) is not None and is_view(self.tape, call):
                back = inverse(call, place, self.tape.fact(viewed(call)).shape)
                if back is None:
                    break
                ref, place = viewed(call), back
            own = call is not None and len(call.results) == 1 and self.lives.group(ref) == ref.number
            if own and ref.number not in self.lives.strict and self.tape.fact(ref).dtype == place.dtype:
                self.presets.setdefault(ref.number, place)

    def _finish(self) -> list[Tensor]:
        """Bring outputs to their targets; answers those that have none, each in memory of its own."""
        found = {name: self.slots[ref.number].tensor for name, ref in self.tape.outputs.items()}
        moves = {n: t for n, t in self.targets.items() if t.adds or not same_place(found[n], t.tensor)}
        for name in found:
            if self._is_lent(name) if name not in self.targets else self._is_in_the_way(name, moves):
                copy = found[name].clone()
                self.source.call(torch.clone, [found[name]], {}, [copy])
                found[name] = copy
        for name, target in moves.items():
            self.source.method(target.tensor, "add_" if target.adds else "copy_", [found[name]])
        return [found[name] for name in found if name not in self.targets]

    def _is_lent(self, name: str) -> bool:
        """Whether an output stands in memory that is the program's or its caller's."""
        ref = self.tape.outputs[name]
        given = {self.lives.group(each) for each in self.tape.inputs.values()}
        return self.slots[ref.number].fixed or self.lives.group(ref) in given

    def _is_in_the_way(self, name: str, moves: Mapping[str, Target]) -> bool:
        """Whether an output that is to be moved stands where others go."""
        slot = self.slots[self.tape.outputs[name].number]
        if name not in moves or not slot.fixed or slot.home is not None:
            return False
        return any(overlap(slot.tensor, target.tensor) for other, target in moves.items() if other != name)

    # Calls -----------------------------------------------------------------------------------------

    def _take(self, call: Call) -> None:
        if is_view(self.tape, call):
            self._view(call)
        elif call.op._schema.name in COPIES:
            self._copy(call)
        else:
            self._settle(call)
            if call.written() or not self._into_memory(call):
                self._as_it_is(call)
            self._settled.clear()

    def _settle(self, call: Call) -> None:
        """Lay what a call reads as it was recorded, where the operation may not take it otherwise."""
        refs = [*dict.fromkeys(call.refs())]
        tensors = [self.slots[ref.number].tensor for ref in refs]
        for place in misread(call.op, tensors, [self.tape.fact(ref).strides for ref in refs]):
            self._settled[refs[place].number] = self._recorded(refs[place]).tensor

    def _given(self, call: Call) -> tuple[Any, dict[str, Any]]:
        def tensor(ref: Ref) -> Tensor:
            return self._settled.get(ref.number, self.slots[ref.number].tensor)

        return map_refs(call.args, tensor), {k: map_refs(v, tensor) for k, v in call.kwargs.items()}

    def _view(self, call: Call) -> None:
        source = self.slots[viewed(call).number]
        args, kwargs = self._given(call)
        op = direct(torch.ops.aten.view.default if call.op._schema.name == UNSAFE_VIEW else call.op)
        try:
            found = op(*args, **kwargs)
        except RuntimeError:  # the layout that was chosen cannot be seen so
            source = self._recorded(viewed(call))
            args = [source.tensor, *args[1:]]
            found = op(*args, **kwargs)
        several = isinstance(found, list | tuple)
        results = found if several else (found,)
        if not source.fixed:
            self.source.call(op, args, kwargs, results, several=several)
        for ref, tensor in zip(call.results, results, strict=True):
            if ref is not None:
                self.slots[ref.number] = Slot(tensor, source.fixed, source.home)
                self._as_picture(ref, tensor)

    def _as_picture(self, ref: Ref, tensor: Tensor) -> None:
        """Put rows that are seen as pictures channels last, as convolutions and pools like them."""
        rows = self.pictures and not self.plain and self.lives.group(ref) not in self.lives.strict
        if rows and tensor.dim() == 4 and is_picture(tensor):
            self._copied(ref, tensor, channels_last(tuple(tensor.shape)))

    def _recorded(self, ref: Ref) -> Slot:
        """A copy of a tensor in the layout that it was recorded with; others read the original."""
        assert self.lives.group(ref) not in self.lives.strict, "that stands as it was recorded already"
        original = self.slots[ref.number]
        copy = self._copied(ref, original.tensor, self.tape.fact(ref).dense)
        self.slots[ref.number] = original
        return copy

    def _copy(self, call: Call) -> None:
        """Changes of type and layout, into memory that is there."""
        args, kwargs = self._given(call)
        ref, source, wanted = call.result, args[0], kwargs.get("memory_format")
        if self.lives.group(ref) in self._answered:
            self._as_it_is(call)
            return
        if wanted in (None, torch.preserve_format):
            strides = self._layout(call, ref, [source])
        else:
            strides = torch.empty(source.shape, device="meta").contiguous(memory_format=wanted).stride()
        self._fill(self._buffer(ref, strides), source)

    def _into_memory(self, call: Call) -> bool:
        """Call with ``out=``; answers whether that could be done."""
        ways, refs = forms(call.op), call.made()
        if not ways or len(refs) != len(call.results) or len(refs) != len(ways[0].outs):
            return False
        if any(self.lives.group(ref) in self._answered for ref in refs):
            return False
        given = [*tensors_in(self._given(call)[0])]
        strides = [self._layout(call, ref, given) for ref in refs]
        before = self.pool.mark()
        over = self._in_place(call, strides[0]) if len(refs) == 1 else None
        if over is not None:
            self.slots[refs[0].number] = self.slots[over.number]
        else:
            for ref, each in zip(refs, strides, strict=True):
                self._buffer(ref, each)
        done = any(self._run(way, call) for way in ways)
        if done and over is not None:
            self.homes[self.lives.group(refs[0])] = self.homes.pop(self.lives.group(over))
        if not done and over is None:
            for ref in refs:
                self.homes.pop(self.lives.group(ref), None)
            self.pool.back(before)
        return done

    def _run(self, way: Form, call: Call) -> bool:
        """Try a call on the memory that it will have, then write it down; answers whether it can be done."""
        args, kwargs = self._given(call)
        outs = [self.slots[ref.number].tensor for ref in call.made()]
        free = not self.plain and all(self.slots[ref.number].fixed for ref in call.refs())
        form, args, outs, helps = adapted(way, call.op, args, outs, free=free)
        if not writes_there(call.op, args, outs):
            return False
        kwargs |= dict(zip(form.outs, outs, strict=True))
        try:
            for made, source in helps:
                made.copy_(source)
            form.function(*args, **kwargs)
        except (TypeError, RuntimeError):  # this way takes no such arguments; the recorded one does
            return False
        for made, source in helps:
            self.source.method(made, "copy_", [source])
        self.source.call(form.function, args, kwargs, [])
        return True

    def _as_it_is(self, call: Call) -> None:
        """Call as it was recorded; its results stand where PyTorch puts them, or where they stood before."""
        args, kwargs = self._given(call)
        op, found = _called(call, args, kwargs)
        several = isinstance(found, list | tuple)
        results = found if several else (found,)
        fresh = set(call.made()) - set(call.written())
        self.source.call(op, args, kwargs, results if fresh or not call.written() else [], several=several)
        for ref, tensor in zip(call.results, results, strict=True):
            if ref not in fresh:
                continue
            self.slots[ref.number] = Slot(tensor, False)
            strict = self.lives.group(ref) in self.lives.strict
            if strict and tensor.stride() != self.tape.fact(ref).strides:
                self._copied(ref, tensor, self.tape.fact(ref).strides)

    # Memory ----------------------------------------------------------------------------------------

    def _release(self, call: Call) -> None:
        """Give back the memory of what nobody reads any more."""
        for group in self.lives.ending(call):
            for home in self.homes.pop(group, ()):
                self.pool.give(home)
            for number in self.lives.members(group):
                slot = self.slots.pop(number, None)
                if slot is not None and not slot.fixed:
                    self.source.forget(slot.tensor)

    def _buffer(self, ref: Ref, strides: tuple[int, ...]) -> Slot:
        """Memory for a tensor: where an output goes, or from the pool."""
        place = self.presets.get(ref.number)
        if place is None:
            return self._fresh(ref, strides)
        self.slots[ref.number] = Slot(place, True)
        return self.slots[ref.number]

    def _fresh(self, ref: Ref, strides: tuple[int, ...]) -> Slot:
        """Memory for a tensor from the pool."""
        fact = self.tape.fact(ref)
        tensor, home = self.pool.take(fact.shape, strides, fact.dtype, fact.device)
        self.homes.setdefault(self.lives.group(ref), []).append(home)
        self.slots[ref.number] = Slot(tensor, True, home)
        return self.slots[ref.number]

    def _copied(self, ref: Ref, tensor: Tensor, strides: tuple[int, ...]) -> Slot:
        """A copy of a tensor, laid out another way, that stands for it from here on."""
        slot = self._fresh(ref, strides)
        self._fill(slot, tensor)
        return slot

    def _fill(self, slot: Slot, tensor: Tensor) -> None:
        slot.tensor.copy_(tensor)
        self.source.method(slot.tensor, "copy_", [tensor])

    def _layout(self, call: Call, ref: Ref, given: Sequence[Tensor]) -> tuple[int, ...]:
        """The strides of a result."""
        fact = self.tape.fact(ref)
        if self.plain or self.lives.group(ref) in self.lives.strict:
            return fact.dense
        return layout(call, given, fact, self.pictures, ref.number in self._reshaped)

    def _in_place(self, call: Call, strides: tuple[int, ...]) -> Ref | None:
        """An argument whose memory the result may take: pointwise, not read again, alike in all."""
        if torch.Tag.pointwise not in call.op.tags or call.result.number in self.presets:
            return None
        fact, refs = self.tape.fact(call.result), [*call.refs()]
        for ref in refs:
            slot, group = self.slots[ref.number], self.lives.group(ref)
            alone = all(other == ref or self.lives.group(other) != group for other in refs)
            like = slot.tensor.dtype == fact.dtype and slot.tensor.stride() == strides
            whole = slot.tensor.shape == fact.shape and is_dense(fact.shape, strides)
            homes = self.homes.get(group, ())
            mine = len(homes) == 1 and homes[0] is slot.home
            unread = self.lives.ends(group, call) and group not in self.lives.strict
            if alone and like and whole and mine and unread and math.prod(fact.shape) > 1:
                return ref
        return None


def _is_small(tensor: Tensor) -> bool:
    """Whether a copy of an input costs less than views of it in every run do."""
    return tensor.device.type == "cpu" and tensor.numel() * tensor.element_size() <= SMALL


def _called(call: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, Any]:
    """The cheapest function that makes a call, and what it gives."""
    op = direct(call.op, whole=None not in call.results)
    with suppress(TypeError):  # the operation's Python name may take other arguments
        return op, op(*args, **kwargs)
    return call.op, call.op(*args, **kwargs)
