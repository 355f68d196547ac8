"""The loss of a detector in one stage: which cells hold the middle of a box, where in them, and how large."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import TYPE_CHECKING

from retia._torch import torch
from retia.metrics.loss import Loss, loss
from retia.nets.settings import real, setting

if TYPE_CHECKING:
    from torch import Tensor

LEAST = 1e-4
"""Probabilities are taken to be at least so far from 0 and 1."""


@loss
class Detection(Loss):
    """What a net on a grid of ``rt.Boxes`` is trained by, which is its loss where none is said.

    A focal cross-entropy of the maps, in which cells near a middle count less, and, in the cells of middles,
    the absolute errors of place (in cells) and of size (in cells, by ``size``); all by the number of boxes.

    Shape:   (n + 4, rows, columns) -> (), numbers 0..1, or their logits
    Targets: as ``rt.Boxes`` encodes them
    Args:
        size: at least 0, the weight of the error of size.
    Source: Zhou, Wang, Krähenbühl 2019, Objects as Points, equations 1 to 4.
    Example:
        >>> import retia as rt
        >>> boxes = rt.Boxes(["cat"], grid=(2, 2))
        >>> target = boxes.encode([{"boxes": [[0.0, 0.0, 0.5, 0.5]], "labels": ["cat"]}])
        >>> Detection().formula(target, target) < 1e-6
        tensor([True])
    """

    name = "detection"
    sense = "boxes"
    suits = ("sigmoid",)
    low, high = 0.0, 1.0

    _: KW_ONLY
    size: float = setting(real(0), default=0.1)

    def formula(self, output: Tensor, target: Tensor, axis: int = -1, mask: Tensor | None = None) -> Tensor:
        chance = output[:, :-4].clamp(LEAST, 1 - LEAST)
        return self._of(chance.log(), (1 - chance).log(), output[:, -4:], target)

    def of_logits(self, output: Tensor, target: Tensor, axis: int = -1, mask: Tensor | None = None) -> Tensor:
        logs = torch.nn.functional.logsigmoid
        maps = output[:, :-4]
        return self._of(logs(maps), logs(-maps), output[:, -4:].sigmoid(), target)

    def _of(self, yes: Tensor, no: Tensor, boxes: Tensor, target: Tensor) -> Tensor:
        """From logarithms of the maps' probabilities and of the rest to 1, and from places and sizes."""
        rows, columns = target.shape[2:]
        truth = target[:, :-4]
        middle = (truth == 1).to(yes.dtype)
        near = (2 * no).exp() * yes * middle
        far = (1 - truth) ** 4 * (2 * yes).exp() * no * (1 - middle)
        there = middle.amax(1)  # (batch, rows, columns)
        error = (boxes - target[:, -4:]).abs() * there.unsqueeze(1)
        placed = error[:, :2].sum((1, 2, 3))
        sized = self.size * (error[:, 2] * columns + error[:, 3] * rows).sum((1, 2))
        count = there.sum((1, 2)).clamp_min(1)
        return (placed + sized - near.sum((1, 2, 3)) - far.sum((1, 2, 3))) / count
