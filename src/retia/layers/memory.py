"""What layers remember of a sequence that comes piece by piece, where it grows with the sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

ROOM = 32
"""Elements that there is room for at least."""


class Growing:
    """Elements along an axis of a batch, to which others are added without moving those that are there.

    It is a value: adding answers another one, and what was there stays as it was. The two share their room,
    and only the first that adds to what it has writes into it; any other one moves into its own. So a copy
    costs nothing until it grows.

    Args:
        elements: those at the beginning, a batch of tensors.
        axis: along which they are added, the batch being axis 0.
    Example:
        >>> import torch
        >>> first = Growing(torch.tensor([[1, 2]]), 1)
        >>> first.plus(torch.tensor([[3]])).all, first.plus(torch.tensor([[4]])).all
        (tensor([[1, 2, 3]]), tensor([[1, 2, 4]]))
    """

    __slots__ = ("_axis", "_room", "_size")

    def __init__(self, elements: Tensor, axis: int) -> None:
        self._axis = axis
        self._size = elements.shape[axis]
        self._room = _Room(elements, axis, self._size)

    def __len__(self) -> int:
        return self._size

    @property
    def all(self) -> Tensor:
        """The elements. What is written there is written into every value that shares them."""
        return self._room.tensor.narrow(self._axis, 0, self._size)

    def plus(self, more: Tensor) -> Growing:
        """These elements and then others."""
        start, end = self._size, self._size + more.shape[self._axis]
        room = self._room
        if room.taken != start or end > room.tensor.shape[self._axis]:
            room = _Room(self.all, self._axis, max(2 * start, end, ROOM))
        room.tensor.narrow(self._axis, start, end - start).copy_(more)
        room.taken = end
        made = Growing.__new__(Growing)
        made._axis, made._size, made._room = self._axis, end, room
        return made

    def rows(self, numbers: Tensor) -> Growing:
        """The same of some rows of the batch, in another order or several times."""
        return Growing(self.all.index_select(0, numbers), self._axis)


class _Room:
    """A tensor that is longer than what stands in it, and how much of it is taken."""

    __slots__ = ("taken", "tensor")

    def __init__(self, elements: Tensor, axis: int, size: int) -> None:
        self.taken = elements.shape[axis]
        shape = [*elements.shape]
        shape[axis] = size
        if self.taken == size:
            self.tensor = elements
        else:
            self.tensor = elements.new_empty(shape)
            self.tensor.narrow(axis, 0, self.taken).copy_(elements)
