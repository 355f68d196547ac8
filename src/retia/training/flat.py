"""The memory of a program's state: learned arrays side by side, so that one call moves them all.

Arrays, gradients and what the optimizer remembers stand in flat buffers, one for each type and multiplier
of the learning rate. The state's tensors are views of them, so walking and saving see nothing unusual.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from retia._torch import torch
from retia.engine.trace import contiguous
from retia.training.optimizer import Group, Memory, Optimizer
from retia.training.step import State

if TYPE_CHECKING:
    from torch import Tensor

ALIGN = 16
"""Arrays begin at multiples of so many elements: a cache line."""


@dataclass
class Stretch:
    """One flat buffer of arrays, of their gradients, and of each slot."""

    arrays: Tensor
    gradients: Tensor
    slots: dict[str, Tensor]
    rate: float


@dataclass
class Flat:
    """A state in flat buffers.

    Attributes:
        state: its tensors are views.
        gradients: by path; views.
        stretches: the buffers.
    """

    state: State
    gradients: dict[str, Tensor] = field(default_factory=dict)
    stretches: list[Stretch] = field(default_factory=list)

    def sweep(self, optimizer: Optimizer) -> None:
        """Move every array by its gradient."""
        memory = self.state.memory
        memory.count += 1
        self.state.count += 1
        for stretch, group in self._groups:
            group.count, group.rate = memory.count, optimizer.learning_rate * stretch.rate
            optimizer.sweep(group)

    @cached_property
    def _groups(self) -> list[tuple[Stretch, Group]]:
        """The stretches as optimizers take them, made once: a step of a small net is a few hundred us."""
        return [
            (s, Group([s.arrays], [s.gradients], {name: [slot] for name, slot in s.slots.items()}, 0, 0.0))
            for s in self.stretches
        ]


def flattened(
    state: State,
    rates: Mapping[str, float],
    layouts: Mapping[str, tuple[int, ...]],
    optimizer: Optimizer,
) -> Flat:
    """A copy of a state in flat buffers. A memory without slots is one before the first step.

    Args:
        rates: the multiplier of every array that is moved, by path.
        layouts: strides of those that shall not stand row by row, by path.
        optimizer: whose memory the state holds.
    """
    flat = Flat(State(dict(state.arrays), Memory(state.memory.count), state.count))
    flat.state.memory.slots = {name: {} for name in optimizer.slots()}
    groups: dict[tuple[torch.dtype, torch.device, float], list[str]] = {}
    for path, rate in rates.items():
        array = state.arrays[path]
        groups.setdefault((array.dtype, array.device, rate), []).append(path)
    for (_, _, rate), paths in groups.items():
        _lay(flat, state, paths, rate, layouts, optimizer.slots())
    for path, array in state.arrays.items():
        if path not in rates:
            flat.state.arrays[path] = array.detach().clone()
    return flat


def _lay(
    flat: Flat,
    state: State,
    paths: Sequence[str],
    rate: float,
    layouts: Mapping[str, tuple[int, ...]],
    slots: Mapping[str, float],
) -> None:
    """Put the arrays of one stretch side by side."""
    first = state.arrays[paths[0]]
    sizes = [-(-state.arrays[path].numel() // ALIGN) * ALIGN for path in paths]
    arrays, gradients = (first.new_zeros(sum(sizes)) for _ in range(2))
    memory = {name: first.new_full((sum(sizes),), value) for name, value in slots.items()}
    flat.stretches.append(Stretch(arrays, gradients, memory, rate))
    start = 0
    for path, size in zip(paths, sizes, strict=True):
        array = state.arrays[path]
        strides = layouts.get(path, contiguous(tuple(array.shape)))

        def piece(
            buffer: Tensor, array: Tensor = array, at: int = start, strides: tuple[int, ...] = strides
        ) -> Tensor:
            return buffer[at : at + array.numel()].as_strided(array.shape, strides)

        flat.state.arrays[path], flat.gradients[path] = piece(arrays).copy_(array), piece(gradients)
        for name, buffer in memory.items():
            flat.state.memory.slots[name][path] = piece(buffer)
            if name in state.memory.slots:
                piece(buffer).copy_(state.memory.slots[name][path])
        start += size
