"""Memory for the values of a program: taken once, used again when a value is read no more."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from retia._torch import torch
from retia.engine.trace import contiguous

if TYPE_CHECKING:
    from torch import Tensor

WASTE = 2
"""A piece of memory is used again for something at least this part of it."""
ALIGN = 64


class Pool:
    """Pieces of memory by device, taken and given back while a plan is made.

    Attributes:
        bytes: taken in all.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._free: list[Tensor] = []

    def take(
        self,
        shape: tuple[int, ...],
        strides: Sequence[int] | None,
        dtype: torch.dtype,
        device: torch.device,
    ) -> tuple[Tensor, Tensor]:
        """A tensor of a dense layout (row-major when left out), and the piece that it stands in."""
        size = max(math.prod(shape) * dtype.itemsize, 1)
        piece = self._piece(-(-size // ALIGN) * ALIGN, device)
        flat = piece[: math.prod(shape) * dtype.itemsize].view(dtype)
        return flat.as_strided(shape, contiguous(shape) if strides is None else tuple(strides)), piece

    def give(self, piece: Tensor) -> None:
        """Take back a piece that nobody reads any more."""
        self._free.append(piece)

    def mark(self) -> tuple[int, list[Tensor]]:
        """What there is now, for ``back``."""
        return self.bytes, [*self._free]

    def back(self, mark: tuple[int, list[Tensor]]) -> None:
        """As it was at a mark."""
        self.bytes, self._free = mark[0], mark[1]

    def _piece(self, size: int, device: torch.device) -> Tensor:
        fitting = [p for p in self._free if size <= len(p) <= WASTE * size and p.device == device]
        if fitting:
            best = min(fitting, key=len)
            self._free = [piece for piece in self._free if piece is not best]
            return best
        self.bytes += size
        return torch.empty(size, dtype=torch.uint8, device=device)
