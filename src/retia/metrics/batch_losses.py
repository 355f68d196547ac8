"""Losses of embeddings: like examples near each other, unlike ones apart.

What is compared are the examples of a batch, by their labels; so the last batch of an epoch, when it is
smaller, and judging in other sizes, compare fewer or more.
"""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import TYPE_CHECKING

from retia._torch import torch
from retia.metrics.loss import LABELS, PAIRS, Loss, loss
from retia.metrics.number_losses import above
from retia.nets.settings import choice, setting

if TYPE_CHECKING:
    from torch import Tensor


@loss
class Contrastive(Loss):
    """Distances of like pairs squared, and of unlike pairs what misses to the margin, squared.

    ``t d^2 + (1 - t) max(0, margin - d)^2``, with t = 1 for like pairs. The output is either an embedding,
    (n): then the targets are labels, and the pairs are all pairs of a batch. Or it is a distance, (), which
    a net with two inputs gives: then the targets are True for like pairs.

    Shape:   (n) -> one for the batch; () -> ()
    Targets: labels (whole numbers), one an example; for distances truth values
    Args:
        margin: above 0; unlike pairs farther apart than this do not count.
    Source: Hadsell, Chopra and LeCun 2006.
    Example:
        >>> places = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 0.5]])
        >>> Contrastive().formula(places, torch.tensor([0, 0, 1]))
        tensor(8.4167)
        >>> Contrastive().formula(torch.tensor([0.5, 0.5]), torch.tensor([True, False]))
        tensor([0.2500, 0.2500])
    """

    name = "contrastive"
    form = PAIRS
    sense = "nothing"

    margin: float = setting(above, default=1.0)

    def formula(self, output: Tensor, target: Tensor, axis: int = -1, mask: Tensor | None = None) -> Tensor:
        if output.dim() == 1:
            return self._pair(output, target > 0)
        far, alike = _distances(output), target.unsqueeze(0) == target.unsqueeze(1)
        once = torch.ones_like(alike).triu(1)
        return _mean(self._pair(far, alike), once)

    def _pair(self, far: Tensor, alike: Tensor) -> Tensor:
        return torch.where(alike, far, (self.margin - far).clamp_min(0)).square()


@loss
class Triplet(Loss):
    """Each example nearer to those of its label than to others, by a margin.

    ``max(0, d(a, p) - d(a, n) + margin)`` for an anchor a, a p of its label and an n of another, all of one
    batch; the mean over the triplets that are mined. For triplets of one's own a net with three inputs may
    compute the loss itself, at an output named ``loss``.

    Shape:   (n) -> one for the batch
    Targets: labels (whole numbers), one an example
    Args:
        margin: above 0.
        mining: ``"semi-hard"``, for every a and p the nearest n that is farther than p, else the farthest;
            ``"hard"``, for every a the farthest p and the nearest n; ``"all"``, every triplet that is not
            yet right. All but ``"hard"`` need memory for the cube of the batch size.
    Source: Schroff, Kalenichenko and Philbin 2015; Hermans, Beyer and Leibe 2017 for ``"hard"``.
    Example:
        >>> places = torch.tensor([[0.0], [1.0], [1.5]])
        >>> Triplet(1.0).formula(places, torch.tensor([0, 0, 1]))
        tensor(1.)
    """

    name = "triplet"
    form = LABELS
    sense = "nothing"

    margin: float = setting(above, default=1.0)
    _: KW_ONLY
    mining: str = setting(choice("semi-hard", "hard", "all"), default="semi-hard")

    def formula(self, output: Tensor, target: Tensor, axis: int = -1, mask: Tensor | None = None) -> Tensor:
        far, alike = _distances(output), target.unsqueeze(0) == target.unsqueeze(1)
        others = ~alike
        own = alike & ~torch.eye(len(alike), dtype=torch.bool, device=alike.device)
        if self.mining == "hard":
            nearest = _least(far, others, 1)
            missing = -_least(-far, own, 1) - nearest + self.margin
            return _mean(missing.clamp_min(0), own.any(1) & others.any(1))
        if self.mining == "semi-hard":
            beyond = others.unsqueeze(1) & (far.unsqueeze(1) > far.unsqueeze(2))  # (a, p, n)
            farthest = -_least(-far, others, 1).unsqueeze(1)
            chosen = torch.where(beyond.any(2), _least(far.unsqueeze(1), beyond, 2), farthest)
            return _mean((far - chosen + self.margin).clamp_min(0), own & others.any(1, keepdim=True))
        missing = far.unsqueeze(2) - far.unsqueeze(1) + self.margin  # (a, p, n)
        return _mean(missing, own.unsqueeze(2) & others.unsqueeze(1) & (missing > 0))


def _distances(places: Tensor) -> Tensor:
    """Euclidean distances of all pairs; the derivative where two are at one place is 0."""
    return torch.cdist(places, places, compute_mode="donot_use_mm_for_euclid_dist")


def _least(values: Tensor, chosen: Tensor, axis: int) -> Tensor:
    """The least of the chosen values along an axis; the greatest there is where none is chosen."""
    values = values.expand_as(chosen)
    return torch.where(chosen, values, values.amax(axis, keepdim=True)).amin(axis)


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    """The mean of the chosen values; 0 where none is chosen."""
    total = torch.where(chosen, values, values.new_zeros(())).sum()
    return total / chosen.sum().clamp_min(1)
