"""How layers name one axis of any shape in a signature, and how they fill what is padding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retia._torch import torch

if TYPE_CHECKING:
    from torch import Tensor

MOST = 16
"""Axes are counted up to this many."""

PASS = {"*s": "pass", **{f"a{i}": "pass" for i in range(MOST)}}
"""Roles of the axes around the one that ``around`` names."""


def around(axis: int, middle: str) -> str:
    """Dimensions of a shape in which ``middle`` stands at an axis; negative ones count from the last.

    Example:
        >>> around(1, "n"), around(-2, "n")
        ('a0 n *s', '*s n a0')
    """
    if axis >= 0:
        return " ".join([*(f"a{i}" for i in range(axis)), *middle.split(), "*s"])
    return " ".join(["*s", *middle.split(), *(f"a{i}" for i in range(-axis - 1))])


def in_batch(axis: int) -> int:
    """An axis of one example as an axis of the batch."""
    return axis + 1 if axis >= 0 else axis


def filled(x: Tensor, mask: Tensor | None, value: float) -> Tensor:
    """The batch with ``value`` where it is padding, so that no infinity or NaN arises there."""
    return x if mask is None else torch.where(mask, x, value)
