"""Losses of sequences whose places in time are not known, and the loss that a net computes itself."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import TYPE_CHECKING

from retia._torch import torch
from retia.metrics.loss import NONE, SEQUENCE, Loss, logs_of, loss
from retia.nets.settings import setting, whole

if TYPE_CHECKING:
    from torch import Tensor


@loss
class CTC(Loss):
    """Connectionist temporal classification: ``-log`` of the chance of all ways to say the targets in time.

    At every time the net says one class, or a blank; a class that is said on without a blank between counts
    once. Where the time varies from example to example, its length is the dimension's. The sum over a
    sequence is not divided by its length.

    Shape:   (time, classes) -> ()
    Targets: sequences of class numbers without the blank, each as long as it is; in one array, shorter ones
        end in -1 or blanks
    Args:
        blank: the blank's class number.
    Source: Graves et al. 2006.
    Example:
        >>> p = torch.tensor([[[0.5, 0.5], [0.5, 0.5]]])  # two times; the classes are the blank and 1
        >>> CTC().formula(p, torch.tensor([[1]])).exp()  # "1 1", "1 -" and "- 1" out of four ways
        tensor([1.3333])
    """

    name = "ctc"
    form = SEQUENCE
    sense = "nothing"
    suits = ("softmax", "log_softmax")

    _: KW_ONLY
    blank: int = setting(whole(0), default=0)

    def formula(self, output: Tensor, target: Tensor, axis: int = -1, mask: Tensor | None = None) -> Tensor:
        return self._of_logs(logs_of(output), target, mask)

    def of_logits(self, output: Tensor, target: Tensor, axis: int = -1, mask: Tensor | None = None) -> Tensor:
        return self._of_logs(torch.log_softmax(output, -1), target, mask)

    def lengths(self, target: Tensor) -> Tensor:
        """How many class numbers each row of a batch has before it is padded."""
        return self._is_real(target).sum(1)

    def _is_real(self, target: Tensor) -> Tensor:
        return (target >= 0) & (target != self.blank)

    def _of_logs(self, logs: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
        counts = self.lengths(target)
        times = torch.full_like(counts, logs.shape[1]) if mask is None else mask.flatten(1).sum(1)
        numbers = torch.where(self._is_real(target), target, self.blank).long()
        return torch.nn.functional.ctc_loss(
            logs.transpose(0, 1), numbers, times, counts, self.blank, reduction="none"
        )


@loss
class Own(Loss):
    """What a net gives at an output named ``loss``: it is lowered as it is, and needs no targets.

    Shape:   () -> (), or (1) -> (1)
    Example:
        >>> import retia as rt
        >>> x, t = rt.Input(2, name="x"), rt.Input(2, name="t")
        >>> net = rt.Graph({"loss": rt.Reduce("mean")((rt.Linear(2)(x) - t) ** 2)})
        >>> data = rt.data({"x": [[0.0, 1.0], [1.0, 0.0]], "t": [[1.0, 0.0], [0.0, 1.0]]})
        >>> run = rt.train(net, data, epochs=1, progress=False)
    """

    name = "own"
    form = NONE
    sense = "nothing"

    def formula(self, output: Tensor, target: Tensor, axis: int = -1, mask: Tensor | None = None) -> Tensor:
        return output
