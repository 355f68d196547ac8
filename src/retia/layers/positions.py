"""Positions: what tells the elements of a sequence apart for layers that do not mind their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.errors import DataError, ShapeError
from retia.nets.initial import Initial
from retia.nets.layer import Array, Layer, Steps, layer
from retia.nets.settings import setting, whole

if TYPE_CHECKING:
    from torch import Tensor

BASE = 10000.0
"""The slowest of the waves takes about so many elements to go by one radian."""


def angles(start: int, n: int, size: int, like: Tensor) -> Tensor:
    """Angles ``i / base^(2 k / size)``, i from start on: of shape (n, half of size, rounded up)."""
    rates = BASE ** (torch.arange(0, size, 2, dtype=like.dtype, device=like.device) / -max(size, 1))
    return torch.arange(start, start + n, dtype=like.dtype, device=like.device).unsqueeze(1) * rates


def rotated(x: Tensor, real: torch.dtype, start: int = 0) -> Tensor:
    """Each pair of numbers (k, k + half) turned by its angle at its position; x is (..., n, size).

    Args:
        real: the type in which angles are computed.
        start: the first position.
    """
    turn = angles(start, x.shape[-2], x.shape[-1], x.new_empty(0, dtype=real))
    cos, sin = turn.cos(), turn.sin()
    first, second = x.chunk(2, -1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1).to(x.dtype)


@layer
class PositionEmbedding(Layer):
    """Adds a learned vector for each position: ``y_i = x_i + W_i``.

    It knows no position beyond those it was trained with: ``SinusoidalPositions``, or ``rotary`` in
    ``MultiHeadAttention``, can go on.

    Shape:  (n, size) -> (n, size), n at most ``most``
    Arrays: weight (most, size)
    Args:
        most: how many positions there are, at least 1.
        init: how the weight starts (normal, with standard deviation 0.02, by default).
    Raises:
        ShapeError: sequences longer than ``most``. DataError: such an example, where lengths vary.
    Source: Gehring et al. 2017.
    Example:
        >>> import retia as rt
        >>> rt.PositionEmbedding(16, input=("n", 8)).count
        128
    """

    signature = "n size -> n size"
    solves = ("n",)
    axes = {"n": "pass"}
    cure = "PositionEmbedding(512) has 512 positions; the size is that of what comes in"

    most: int = setting(whole(1))

    def sizes(self) -> Mapping[str, Any]:
        return {"most": self.most}

    def solve(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        if isinstance(known["n"], int) and known["n"] > self.most:
            raise ShapeError(
                f"{known['n']} elements are more than the {self.most} positions that it has.",
                fix=f"most={known['n']}, or a part of the sequence before it",
                expected=self.most,
                got=known["n"],
            )
        return {}

    def owns(self) -> Mapping[str, Array]:
        return {"weight": Array("most size", Initial("normal", std=0.02))}

    def forward(self, x: Tensor, *, weight: Tensor) -> Tensor:
        if x.shape[1] > self.most:
            raise DataError(
                f"{self.brief} has {self.most} positions; got {x.shape[1]} elements.",
                fix="shorter examples, or a layer with more positions",
                expected=self.most,
                got=x.shape[1],
            )
        return x + weight[: x.shape[1]]

    def steps(self, along: Sequence[str | None]) -> Steps:
        return Steps(remembers=True, most=self.most) if tuple(along) == ("n",) else super().steps(along)

    def advance(self, memory: int | None, x: Tensor, *, weight: Tensor) -> tuple[Tensor, int]:
        start = memory or 0
        end = start + x.shape[1]
        return x + weight[start:end], end


@layer
class SinusoidalPositions(Layer):
    """Adds waves: ``y_i,2k = x + sin(a)``, ``y_i,2k+1 = x + cos(a)``, where ``a = i / 10000^(2k/size)``.

    Nothing is learned, so sequences may be longer than those of the training.

    Shape:  (n, size) -> (n, size)
    Source: Vaswani et al. 2017.
    Example:
        >>> import retia as rt
        >>> rt.SinusoidalPositions(input=(2, 2))([[0.0, 0.0], [0.0, 0.0]])
        tensor([[0.0000, 1.0000],
                [0.8415, 0.5403]])
    """

    signature = "n size -> n size"
    axes = {"n": "pass"}
    cure = "SinusoidalPositions() has as many positions and numbers as come in"

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        return self.advance(0, x, moment=moment)[0]

    def steps(self, along: Sequence[str | None]) -> Steps:
        return Steps(remembers=True) if tuple(along) == ("n",) else super().steps(along)

    def advance(self, memory: int | None, x: Tensor, *, moment: Any) -> tuple[Tensor, int]:
        start, (n, size) = memory or 0, x.shape[1:]
        turn = angles(start, n, size, x.new_empty(0, dtype=moment.real))
        waves = torch.stack([turn.sin(), turn.cos()], -1).flatten(1)[:, :size]
        return x + waves.to(x.dtype), start + n
