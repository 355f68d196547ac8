"""Losses of outputs that say which class, or whether something is so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, replace
from typing import TYPE_CHECKING, Any, Self

from retia._torch import torch
from retia.codecs.labels import Label
from retia.engine.rules import NOBODY
from retia.errors import ArgumentError
from retia.metrics.loss import (
    CLASSES,
    SHARES,
    Loss,
    along,
    by_class,
    is_numbers,
    logs_of,
    loss,
    read_ignore,
    read_weight,
    read_weights,
    row,
)
from retia.nets.settings import real, setting

if TYPE_CHECKING:
    from torch import Tensor

_SHARE = real(0, 1, open_high=True)


@loss
class CrossEntropy(Loss):
    """Cross-entropy: ``-log p[target]``, or ``-sum_i target_i log p_i``.

    With weights it is ``w[target]`` times that. The mean is over examples, whatever their weights, so
    batches add up; PyTorch's divides by the sum of the batch's weights instead.

    Shape:   (*s, classes) -> (*s)
    Targets: labels (class numbers), one-hot vectors, or probabilities of the output's shape
    Args:
        weights: at least 0, one for each class in their order, or a dict by label (1 where it says nothing).
        smoothing: 0..1, the share of a target that is spread evenly over all classes.
        ignore: a label, or without labels a class number (also one beyond the classes, such as 255): what has
            it counts nothing, in the loss and in all metrics.
    Source: Szegedy et al. 2016 for the smoothing.
    Example:
        >>> p = torch.tensor([[0.01, 0.03, 0.0, 0.04, 0.03, 0.05, 0.8, 0.02, 0.01, 0.01]])
        >>> CrossEntropy().formula(p, torch.tensor([6]))
        tensor([0.2231])
        >>> CrossEntropy().of_logits(torch.tensor([[1e4, 0.0]]), torch.tensor([1]))
        tensor([10000.])
    """

    name = "cross-entropy"
    form = CLASSES
    sense = "classes"
    suits = ("softmax", "log_softmax")

    _: KW_ONLY
    weights: Any = setting(read_weights, default=None)
    smoothing: float = setting(_SHARE, default=0.0)
    ignore: Label | None = setting(read_ignore, default=None)

    def settled(self, labels: Sequence[Any] | None, classes: int | None) -> Self:
        """With weights in the order of the classes."""
        return replace(self, weights=by_class(self.weights, labels, classes, self.told))

    def formula(self, output: Tensor, target: Tensor, axis: int = -1, mask: Tensor | None = None) -> Tensor:
        costs = -logs_of(output)
        if self.weights is not None:
            costs = costs * along(self.weights, output, axis)
        if is_numbers(target, output):
            found = costs.gather(axis, target.long().unsqueeze(axis)).squeeze(axis)
        else:
            found = (target.to(output.dtype) * costs).sum(axis)
        if not self.smoothing:
            return found
        return (1 - self.smoothing) * found + self.smoothing * costs.mean(axis)

    def of_logits(self, output: Tensor, target: Tensor, axis: int = -1, mask: Tensor | None = None) -> Tensor:
        numbers = is_numbers(target, output)
        return torch.nn.functional.cross_entropy(
            output.movedim(axis, 1),
            target.long() if numbers else target.to(output.dtype).movedim(axis, 1),
            None if self.weights is None else row(self.weights, output),
            ignore_index=NOBODY,
            reduction="none",
            label_smoothing=self.smoothing,
        )


@loss
class Focal(Loss):
    """Cross-entropy that heeds easy examples less: ``-(1 - p[target])^gamma log p[target]``.

    For sets where some classes are rare. At gamma 0 it is the cross-entropy.

    Shape:   (*s, classes) -> (*s)
    Targets: labels (class numbers), one-hot vectors, or probabilities of the output's shape
    Args:
        gamma: at least 0.
        weights: at least 0, one for each class in their order, or a dict by label (1 where it says nothing).
        ignore: as in ``rt.CrossEntropy``.
    Source: Lin et al. 2017.
    Example:
        >>> p = torch.tensor([[0.5, 0.5], [0.1, 0.9]])
        >>> Focal().formula(p, torch.tensor([0, 0]))
        tensor([0.1733, 1.8651])
    """

    name = "focal"
    form = CLASSES
    sense = "classes"
    suits = ("softmax", "log_softmax")

    gamma: float = setting(real(0), default=2.0)
    _: KW_ONLY
    weights: Any = setting(read_weights, default=None)
    ignore: Label | None = setting(read_ignore, default=None)

    def settled(self, labels: Sequence[Any] | None, classes: int | None) -> Self:
        """With weights in the order of the classes."""
        return replace(self, weights=by_class(self.weights, labels, classes, self.told))

    def formula(self, output: Tensor, target: Tensor, axis: int = -1, mask: Tensor | None = None) -> Tensor:
        return self._of_logs(logs_of(output), target, axis)

    def of_logits(self, output: Tensor, target: Tensor, axis: int = -1, mask: Tensor | None = None) -> Tensor:
        return self._of_logs(torch.log_softmax(output, axis), target, axis)

    def _of_logs(self, logs: Tensor, target: Tensor, axis: int) -> Tensor:
        # not 0, where powers below 1 are infinitely steep
        rest = (-torch.expm1(logs)).clamp_min(torch.finfo(logs.dtype).tiny)
        costs = -logs * rest**self.gamma
        if self.weights is not None:
            costs = costs * along(self.weights, logs, axis)
        if is_numbers(target, logs):
            return costs.gather(axis, target.long().unsqueeze(axis)).squeeze(axis)
        return (target.to(logs.dtype) * costs).sum(axis)


@loss
class KL(Loss):
    """The Kullback-Leibler divergence of the targets from the output: ``sum_i t_i (log t_i - log p_i)``.

    Its derivative is the cross-entropy's; it is 0 where the output is right.

    Shape:   (*s, classes) -> (*s)
    Targets: probabilities of the output's shape
    Source: Kullback and Leibler 1951.
    Example:
        >>> KL().formula(torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]]))
        tensor([0.6931])
    """

    name = "kl"
    form = SHARES
    sense = "classes"
    suits = ("softmax", "log_softmax")

    def formula(self, output: Tensor, target: Tensor, axis: int = -1, mask: Tensor | None = None) -> Tensor:
        return _divergence(logs_of(output), target, axis)

    def of_logits(self, output: Tensor, target: Tensor, axis: int = -1, mask: Tensor | None = None) -> Tensor:
        return _divergence(torch.log_softmax(output, axis), target, axis)


def _divergence(logs: Tensor, target: Tensor, axis: int) -> Tensor:
    return torch.nn.functional.kl_div(logs, target.to(logs.dtype), reduction="none").sum(axis)


@loss
class BinaryCrossEntropy(Loss):
    """Binary cross-entropy: ``-w t log p - (1 - t) log(1 - p)``, element by element.

    Shape:   (*s) -> (*s)
    Targets: truth values, or probabilities, of the output's shape
    Args:
        weight_of_true: at least 0, w in the formula: above 1 where True is rare. A number, or one for each
            entry of the last axis.
    Example:
        >>> BinaryCrossEntropy().formula(torch.tensor([0.8, 0.0]), torch.tensor([True, False]))
        tensor([0.2231, -0.0000])
        >>> BinaryCrossEntropy().of_logits(torch.tensor([-1e4]), torch.tensor([1.0]))
        tensor([10000.])
    """

    name = "binary-cross-entropy"
    sense = "boolean"
    suits = ("sigmoid",)
    low, high = 0.0, 1.0

    _: KW_ONLY
    weight_of_true: Any = setting(read_weight, default=1.0)

    def settled(self, labels: Sequence[Any] | None, classes: int | None) -> Self:
        """With as many weights as there are entries."""
        _check_weights(self, self.weight_of_true, classes)
        return self

    def formula(self, output: Tensor, target: Tensor, axis: int = -1, mask: Tensor | None = None) -> Tensor:
        wanted = target.to(output.dtype)
        yes, no = logs_of(output), logs_of(1 - output)
        return -(wanted * _weighted(self.weight_of_true, yes) + (1 - wanted) * no)

    def of_logits(self, output: Tensor, target: Tensor, axis: int = -1, mask: Tensor | None = None) -> Tensor:
        weight = self.weight_of_true
        if weight != 1:
            weight = row(weight if isinstance(weight, tuple) else (weight,), output)
        return torch.nn.functional.binary_cross_entropy_with_logits(
            output,
            target.to(output.dtype),
            reduction="none",
            pos_weight=weight if isinstance(weight, torch.Tensor) else None,
        )


@loss
class BinaryFocal(Loss):
    """Binary cross-entropy that heeds easy examples less, element by element.

    ``-w t (1 - p)^gamma log p - (1 - t) p^gamma log(1 - p)``.

    Shape:   (*s) -> (*s)
    Targets: truth values, or probabilities, of the output's shape
    Args:
        gamma: at least 0.
        weight_of_true: at least 0, w in the formula. A number, or one for each entry of the last axis.
    Source: Lin et al. 2017.
    Example:
        >>> BinaryFocal().formula(torch.tensor([0.5, 0.1]), torch.tensor([True, True]))
        tensor([0.1733, 1.8651])
    """

    name = "binary-focal"
    sense = "boolean"
    suits = ("sigmoid",)
    low, high = 0.0, 1.0

    gamma: float = setting(real(0), default=2.0)
    _: KW_ONLY
    weight_of_true: Any = setting(read_weight, default=1.0)

    def settled(self, labels: Sequence[Any] | None, classes: int | None) -> Self:
        """With as many weights as there are entries."""
        _check_weights(self, self.weight_of_true, classes)
        return self

    def formula(self, output: Tensor, target: Tensor, axis: int = -1, mask: Tensor | None = None) -> Tensor:
        return self._of_logs(logs_of(output), logs_of(1 - output), target)

    def of_logits(self, output: Tensor, target: Tensor, axis: int = -1, mask: Tensor | None = None) -> Tensor:
        logs = torch.nn.functional.logsigmoid
        return self._of_logs(logs(output), logs(-output), target)

    def _of_logs(self, yes: Tensor, no: Tensor, target: Tensor) -> Tensor:
        wanted = target.to(yes.dtype)
        true = _weighted(self.weight_of_true, yes) * (self.gamma * no).exp()
        return -(wanted * true + (1 - wanted) * no * (self.gamma * yes).exp())


def _weighted(weight: float | tuple[float, ...], logs: Tensor) -> Tensor:
    if weight == 1:
        return logs
    return logs * (row(weight, logs) if isinstance(weight, tuple) else weight)


def _check_weights(own: Loss, weight: Any, entries: int | None) -> None:
    if isinstance(weight, tuple) and entries is not None and len(weight) != entries:
        raise ArgumentError(
            f"{own.told}: there are {len(weight)} weights, but {entries} entries.",
            expected=entries,
            got=len(weight),
        )
