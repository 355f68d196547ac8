"""Random numbers as a pure function of what they are for.

A counter hash in whole-number tensor operations: the same numbers on every device, for every number of
workers and in every order of computation. No global generator is read or set.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from retia._torch import torch

if TYPE_CHECKING:
    from torch import Tensor

_MASK = 0xFFFFFFFF
_ODD, _OTHER = 0x9E3779B97F4A7C15 - 2**64, 0xBF58476D1CE4E5B9 - 2**64
"""Odd numbers without a pattern, as int64 has them: products keep their lowest 64 bits."""


def key(*parts: object) -> int:
    """A 64-bit number from anything that has a text."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "little")


def uniform(seed: int, step: int, path: str, rows: Tensor, shape: Sequence[int]) -> Tensor:
    """Numbers in [0, 1) of shape (rows, *shape), each from (seed, step, path, row, unit) alone.

    Args:
        seed: of the run.
        step: of the training.
        path: of the layer.
        rows: int64, the global number of each example.
        shape: of one example.
    """
    return from_halves(halves(seed, step, path), rows, shape)


def halves(seed: int, step: int, path: str) -> tuple[int, int]:
    """The key of a layer's draws in a step, as two numbers of 32 bits."""
    number = key(seed, step, path)
    return number & _MASK, number >> 32


def placed(rows: Tensor, places: Tensor) -> Tensor:
    """Numbers of places within rows, to be drawn for as if they were rows: int64, broadcast."""
    return rows * _ODD + (places + 1) * _OTHER


def from_halves(parts: Sequence[Any], rows: Tensor, shape: Sequence[int]) -> Tensor:
    """``uniform`` from the two halves of its key: numbers, or tensors (a program's, whose keys change)."""
    low, high = map(_word, parts)
    first = _mix(_mix(_word(rows) ^ low) ^ _word(rows >> 32) ^ high)
    second = _mix(first ^ low)  # else rows whose first words are near would have the same numbers, moved
    units = torch.arange(math.prod(shape), dtype=torch.int32, device=rows.device)
    mixed = _mix(_mix(units ^ first.unsqueeze(1)) ^ second.unsqueeze(1))
    return (((mixed >> 8) & 0xFFFFFF).to(torch.float32) * 2.0**-24).reshape(rows.shape[0], *shape)


def _word(x: Any) -> Any:
    """The lowest 32 bits of a whole number or of int64, as int32 has them."""
    signed = ((x & _MASK) ^ 0x80000000) - 0x80000000
    return signed if isinstance(signed, int) else signed.to(torch.int32)


def _mix(x: Tensor) -> Tensor:
    """A bijection of int32 that moves every bit to every other (multiply, shift, xor).

    Products keep their lowest 32 bits. A processor multiplies int32 several times as fast as int64.
    """
    x = (x ^ ((x >> 16) & 0xFFFF)) * 0x21F0AAAD
    x = (x ^ ((x >> 15) & 0x1FFFF)) * 0x735A2D97
    return x ^ ((x >> 15) & 0x1FFFF)
