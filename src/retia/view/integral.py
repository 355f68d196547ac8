"""Integrated gradients: the mean of the derivatives on the way from a baseline, times the difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.view.asked import Example, Score, baseline_of
from retia.view.attribution import ROOM, Attributed

if TYPE_CHECKING:
    from torch import Tensor

CLOSE = 1e-3
"""Integrated gradients are refined until they add up to the difference of the scores, but for this."""

NOISE = 1e-5
"""Of that difference, where this is more: float32 tells no better."""

FIRST, MANY, LAST = 16, 128, 2048
"""Points on the way that integrated gradients begin with; from which on ``CLOSE`` is a share of the
difference, where this is more; and that they take at most."""

HELD = 2**27
"""Numbers of gradients that are held meanwhile."""


def integrated(example: Example, score: Score, *, baseline: Any, steps: int | None) -> Attributed:
    """The mean of the derivatives on the straight way from a baseline, times the difference.

    With ``steps`` the middles of as many equal pieces are taken. Without, pieces are halved where the
    derivative in their middle does not account for what the score gains along them, which is known.
    """
    start = example.start
    first = baseline_of(example, baseline)
    way = start - first
    ends = score.of_rows(example, torch.cat([first, start]))
    if steps is not None:
        middles = (torch.arange(steps, device=way.device, dtype=way.dtype) + 0.5) / steps
        mean = torch.zeros_like(start)
        for some in torch.split(middles, ROOM):
            mean += score.slopes(example, _points(first, way, some))[1].sum(0, keepdim=True) / steps
    else:
        mean, steps = _refined(example, score, first, way, ends)
    return Attributed((mean * way)[0], float(ends[1]), baseline=float(ends[0]), steps=steps)


@dataclass
class _Piece:
    """A piece of the way: where it begins, how long it is, the scores at its ends, and the slope within."""

    begin: float
    size: float
    low: float
    high: float
    middle: float
    slope: Tensor
    gap: float


def _refined(example: Example, score: Score, first: Tensor, way: Tensor, ends: Tensor) -> tuple[Tensor, int]:
    def pieces(parts: Sequence[tuple[float, float, float, float]]) -> list[_Piece]:
        middles = torch.tensor([begin + size / 2 for begin, size, _, _ in parts], dtype=torch.float64)
        scores, slopes = score.slopes(example, _points(first, way, middles.to(way)))
        along = (slopes * way).flatten(1).double().sum(1).tolist()
        return [
            _Piece(*part, middle, slope, part[3] - part[2] - rise * part[1])
            for part, middle, slope, rise in zip(parts, scores.tolist(), slopes, along, strict=True)
        ]

    cuts = [step / FIRST for step in range(FIRST + 1)]
    at = score.of_rows(example, _points(first, way, torch.tensor(cuts[1:-1]).to(way))).tolist()
    at = [float(ends[0]), *at, float(ends[1])]
    done = pieces([(cuts[i], 1 / FIRST, at[i], at[i + 1]) for i in range(FIRST)])
    asked, most = FIRST, min(LAST, max(HELD // max(way.numel(), 1), FIRST))
    gain = abs(at[-1] - at[0])
    close, closest = CLOSE * max(gain, 1.0), max(CLOSE / 4, NOISE * gain)
    while abs(sum(piece.gap for piece in done)) > (closest if asked < MANY else close) and asked < most:
        done.sort(key=lambda piece: -abs(piece.gap))
        rough = [piece for piece in done if abs(piece.gap) >= abs(done[0].gap) / 4][: (most - asked + 1) // 2]
        halves = []
        for piece in rough:
            half = piece.size / 2
            halves.append((piece.begin, half, piece.low, piece.middle))
            halves.append((piece.begin + half, half, piece.middle, piece.high))
        done = done[len(rough) :] + pieces(halves)
        asked += len(halves)
    mean = torch.zeros_like(way)
    for piece in done:
        mean += piece.size * piece.slope
    return mean, asked


def _points(first: Tensor, way: Tensor, parts: Tensor) -> Tensor:
    return first + parts.reshape(-1, *(1,) * (way.dim() - 1)) * way
