"""The loss of a net that has learned nothing: of the best answer that is the same for all examples."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from retia._torch import torch
from retia.metrics.objective import Objective

if TYPE_CHECKING:
    from torch import Tensor

    from retia.shapes import Shape

ENOUGH = 10
"""Examples a class: with fewer, the entropy of their labels is guessed too low."""


def chance_of(objective: Objective, targets: Mapping[str, Tensor]) -> float | None:
    """The loss of the best constant answer; None where there is no formula for it, or too few examples.

    Cross-entropies have the entropy of the labels, squared errors their variance, absolute errors the mean
    distance from the median.

    Args:
        objective: that is lowered.
        targets: by output port, batch first.
    Example:
        >>> import retia as rt
        >>> from retia.metrics.objective import objective
        >>> lower = objective(rt.Chain(rt.Linear(2), rt.Softmax(), input=3))
        >>> round(chance_of(lower, {"output": torch.tensor([0, 1] * 10)}), 4)  # log 2
        0.6931
    """
    if not objective.terms:
        return None
    total = 0.0
    for term in objective.terms:
        shape = objective.net.solution.shape(term.reads) or ()
        target = targets.get(term.port)
        part = None if target is None else _of_output(term.name, target, shape, term.axis)
        if part is None:
            return None
        total += term.weight * part
    return total


def _of_output(name: str, target: Tensor, shape: Shape, axis: int) -> float | None:
    """The loss of one output, by the loss's name; settings in it make it another one."""
    if len(target) < 2:
        return None
    if name == "cross-entropy":
        return _of_classes(target, shape, axis)
    real = target.double() if target.device.type != "mps" else target.cpu().double()
    if name == "binary-cross-entropy":
        return float(torch.special.entr(_both(real.mean(0))).sum(0).mean())
    if name == "mse":
        return float(real.var(0, correction=0).mean())
    if name == "mae":
        return float((real - real.median(0).values).abs().mean())
    return None


def _of_classes(target: Tensor, shape: Shape, axis: int) -> float | None:
    """The entropy of class numbers, with Miller's correction for how few they are.

    Source: Miller 1955.
    """
    if target.is_floating_point():
        return None
    counts = torch.bincount(target.flatten().cpu()).double()
    count, size = float(counts.sum()), shape[axis] if shape else None
    if not isinstance(size, int) or count < ENOUGH * size:
        return None
    seen = int((counts > 0).sum())
    found = float(torch.special.entr(counts / count).sum()) + (seen - 1) / (2 * count)
    return min(found, math.log(size))


def _both(share: Tensor) -> Tensor:
    return torch.stack([share, 1 - share])
