"""The memory of a program's state: learned arrays side by side, so that one call moves them all.

Arrays, gradients and what the optimizer remembers stand in flat buffers, one for all arrays of a type that
move alike. The state's tensors are views of them, so walking and saving see nothing unusual.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.engine.trace import contiguous
from retia.training.motion import Motion
from retia.training.optimizer import Group, Memory
from retia.training.step import State, Step

if TYPE_CHECKING:
    from torch import Tensor

ALIGN = 16
"""Arrays begin at multiples of so many elements: a cache line."""


@dataclass
class Stretch:
    """One flat buffer of arrays, of their gradients, of each slot, and of what else a step keeps of them.

    Attributes:
        rate: the multiplier of the learning rate.
        path: of its first array; all of them move at the same steps.
        pending, average: as in ``State``; None where there are none.
    """

    arrays: Tensor
    gradients: Tensor
    slots: dict[str, Tensor]
    rate: float
    path: str
    pending: Tensor | None = None
    average: Tensor | None = None


@dataclass
class Flat:
    """A state in flat buffers.

    Attributes:
        state: its tensors are views.
        gradients: by path; views.
        stretches: the buffers.
    """

    state: State
    _plain: bool
    gradients: dict[str, Tensor] = field(default_factory=dict)
    stretches: list[Stretch] = field(default_factory=list)

    def sweep(self, step: Step, factor: float = 1.0, *, last: bool = False) -> None:
        """Move every array by its gradient: ``Step.apply`` on whole buffers.

        Args:
            factor: of the learning rate, as a schedule answers it.
            last: whether gradients that wait are not to wait longer.
        """
        optimizer, memory, motion = step.optimizer, self.state.memory, step.motion
        self.state.count += 1
        rate = optimizer.learning_rate * factor
        if self._plain:  # nothing more than needed: a step of a small net is a few hundred us
            memory.count += 1
            for stretch, group in self._groups:
                group.count, group.rate = memory.count, rate * stretch.rate
                optimizer.sweep(group)
            return
        pulls = self._gathered(motion, [stretch.gradients for stretch in self.stretches], last)
        if pulls is None:
            return
        for (stretch, group), pull in zip(self._groups, pulls, strict=True):
            if motion.moves(stretch.path, memory.count):
                group.count = motion.moved(stretch.path, memory.count) + 1
                group.rate, group.gradients = rate * stretch.rate, [pull]
                optimizer.sweep(group)
        memory.count += 1
        averages = [stretch.average for stretch in self.stretches if stretch.average is not None]
        if averages:
            motion.average(averages, [stretch.arrays for stretch in self.stretches], memory.count)

    def _gathered(self, motion: Motion, pulls: list[Tensor], last: bool) -> list[Tensor] | None:
        """The gradients of a step; None where there is none yet. Buffers of the program stay as they are."""
        if motion.accumulate > 1:
            pending = [stretch.pending for stretch in self.stretches if stretch.pending is not None]
            self.state.gathered += 1
            if not motion.gather(pending, pulls, self.state.gathered, last):
                return None
            pulls = [tensor.clone() for tensor in pending]
            torch._foreach_zero_(pending)
            self.state.gathered = 0
        clips = motion.clip_norm is not None or motion.clip_value is not None
        return motion.clipped(pulls) if clips else pulls

    @cached_property
    def _groups(self) -> list[tuple[Stretch, Group]]:
        """The stretches as optimizers take them."""
        return [
            (s, Group([s.arrays], [s.gradients], {name: [slot] for name, slot in s.slots.items()}, 0, 0.0))
            for s in self.stretches
        ]


def flattened(state: State, step: Step, layouts: Mapping[str, tuple[int, ...]]) -> Flat:
    """A copy of a state in flat buffers. A memory without slots is one before the first step.

    Args:
        step: says what moves, and how.
        layouts: strides of arrays that shall not stand row by row, by path.
    """
    slots = step.optimizer.slots()
    made = State(dict(state.arrays), Memory(state.memory.count), state.count, gathered=state.gathered)
    flat = Flat(made, step.motion.is_plain)
    made.memory.slots = {name: {} for name in slots}
    groups: dict[tuple[Any, ...], list[str]] = {}
    moved = {path: step.paces.of[path] for path in step.learned}
    for path, rate in moved.items():
        array = state.arrays[path]
        turns = tuple(path in turn for turn in step.motion.turns)
        groups.setdefault((array.dtype, array.device, rate, turns), []).append(path)
    for paths in groups.values():
        _lay(flat, state, paths, step, layouts)
    for path, array in state.arrays.items():
        if path not in moved:
            made.arrays[path] = array.detach().clone()
    return flat


def _lay(
    flat: Flat, state: State, paths: Sequence[str], step: Step, layouts: Mapping[str, tuple[int, ...]]
) -> None:
    """Put the arrays of one stretch side by side."""
    first, made, motion = state.arrays[paths[0]], flat.state, step.motion
    total = sum(_room(state.arrays[path]) for path in paths)
    slots = {name: first.new_full((total,), value) for name, value in step.optimizer.slots().items()}
    stretch = Stretch(
        first.new_zeros(total), first.new_zeros(total), slots, step.paces.of[paths[0]], paths[0]
    )
    stretch.pending = first.new_zeros(total) if motion.accumulate > 1 else None
    stretch.average = first.new_zeros(total) if motion.ema is not None else None
    flat.stretches.append(stretch)
    start = 0
    for path in paths:
        array = state.arrays[path]
        place = (start, array.shape, layouts.get(path, contiguous(tuple(array.shape))))
        made.arrays[path] = _piece(stretch.arrays, *place).copy_(array)
        flat.gradients[path] = _piece(stretch.gradients, *place)
        if stretch.pending is not None:
            made.pending[path] = _filled(_piece(stretch.pending, *place), state.pending.get(path))
        if stretch.average is not None:
            made.average[path] = _filled(_piece(stretch.average, *place), state.average.get(path, array))
        for name, buffer in slots.items():
            before = state.memory.slots.get(name, {}).get(path)
            made.memory.slots[name][path] = _filled(_piece(buffer, *place), before)
        start += _room(array)


def _room(array: Tensor) -> int:
    """Elements that an array takes, up to where the next one begins."""
    return -(-array.numel() // ALIGN) * ALIGN


def _piece(buffer: Tensor, start: int, shape: torch.Size, strides: tuple[int, ...]) -> Tensor:
    return buffer[start : start + shape.numel()].as_strided(shape, strides)


def _filled(place: Tensor, before: Tensor | None) -> Tensor:
    return place if before is None else place.copy_(before)
