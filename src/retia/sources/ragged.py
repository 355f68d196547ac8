"""Rows of several sizes in one tensor: texts, sequences and sounds, packed without padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from retia._torch import torch
from retia.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

SIZES = "sizes of "
"""Before a column's name: its rows' sizes, in what a feed gives."""


@dataclass(frozen=True, eq=False)
class Ragged:
    """Tensors of one rank and several sizes, one after the other.

    Attributes:
        values: of all rows, flat.
        sizes: int64 (rows, rank), the shape of each row.
        fill: what stands beyond a row's end where rows are put together.
    """

    values: Tensor
    sizes: Tensor
    fill: int = 0

    @classmethod
    def of(cls, rows: Sequence[Tensor], fill: int = 0) -> Ragged:
        """Rows put together.

        Raises:
            DataError: they are of several ranks, or of none.
        Example:
            >>> rows = Ragged.of([torch.tensor([1, 2]), torch.tensor([3])])
            >>> padded, sizes = rows.take(torch.tensor([0, 1]))
            >>> padded.tolist(), sizes.tolist()
            ([[1, 2], [3, 0]], [[2], [1]])
        """
        ranks = {row.dim() for row in rows}
        if len(ranks) != 1 or 0 in ranks:
            raise DataError(f"Examples of one rank are expected; got {sorted(ranks)}.", got=sorted(ranks))
        sizes = torch.tensor([tuple(row.shape) for row in rows], dtype=torch.int64)
        return cls(torch.cat([row.reshape(-1) for row in rows]), sizes, fill)

    @classmethod
    def joined(cls, parts: Sequence[Ragged]) -> Ragged:
        """The rows of several, in order.

        Raises:
            DataError: they are of several ranks.
        """
        ranks = {part.sizes.shape[1] for part in parts}
        if len(ranks) > 1:
            raise DataError(f"Examples of one rank are expected; got {sorted(ranks)}.", got=sorted(ranks))
        values, sizes = (torch.cat([getattr(part, name) for part in parts]) for name in ("values", "sizes"))
        return cls(values, sizes, parts[0].fill)

    def __len__(self) -> int:
        return len(self.sizes)

    @cached_property
    def numels(self) -> Tensor:
        """How many numbers each row has, int64."""
        return self.sizes.prod(1)

    @cached_property
    def _starts(self) -> Tensor:
        return self.numels.cumsum(0) - self.numels

    @cached_property
    def _inner(self) -> tuple[int, ...] | None:
        """The sizes after the first, if no row has others."""
        inner = self.sizes[:, 1:]
        alike = len(inner) > 0 and bool((inner == inner[:1]).all()) and bool((inner > 0).all())
        return tuple(inner[0].tolist()) if alike else None

    def row(self, number: int) -> Tensor:
        """One row, as it is."""
        start, size = int(self._starts[number]), int(self.numels[number])
        return self.values[start : start + size].reshape(self.sizes[number].tolist())

    def rows(self) -> list[Tensor]:
        """All rows, as they are."""
        flat = torch.split(self.values, self.numels.tolist())
        return [own.reshape(size) for own, size in zip(flat, self.sizes.tolist(), strict=True)]

    def alike(self) -> Tensor | None:
        """All rows in one tensor where they have one size; else None."""
        if len(self) and not bool((self.sizes == self.sizes[:1]).all()):
            return None
        return self.values.reshape(-1, *self.sizes[0].tolist())

    def part(self, index: Tensor) -> Ragged:
        """Some of the rows, in memory of their own."""
        if not len(index):
            return Ragged(self.values[:0], self.sizes[:0], self.fill)
        return Ragged.of([self.row(number) for number in index.tolist()], self.fill)

    def take(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Some of the rows as one tensor, as large as the largest of them, and their sizes.

        Args:
            index: int64, their numbers.
        """
        sizes = self.sizes[index]
        most = sizes.amax(0).tolist() if len(index) else [0] * self.sizes.shape[1]
        if self._inner is not None and len(self.values):
            return self._gathered(index, sizes[:, 0], most[0]), sizes
        batch = self.values.new_full((len(index), *most), self.fill)
        for place, number in zip(batch, index.tolist(), strict=True):
            row = self.row(number)
            place[tuple(slice(size) for size in row.shape)] = row
        return batch, sizes

    def _gathered(self, index: Tensor, lengths: Tensor, most: int) -> Tensor:
        """Rows that only differ in their first size, without a loop over them."""
        assert self._inner is not None
        places = self.values.view(-1, *self._inner)  # (total, *inner)
        steps = torch.arange(most)
        first = self._starts[index] // self.numels.new_tensor(self._inner).prod()
        beyond = steps >= lengths.unsqueeze(1)  # (batch, most)
        wanted = (first.unsqueeze(1) + steps).masked_fill_(beyond, 0)
        found = places[wanted]  # (batch, most, *inner)
        return found.masked_fill_(beyond.reshape(*beyond.shape, *[1] * len(self._inner)), self.fill)
