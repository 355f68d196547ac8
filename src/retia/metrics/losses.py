"""Losses by name: formulas from a batch of outputs and targets to one number for each position.

Each formula knows its stable form where the output comes straight from a ``Softmax`` or ``Sigmoid``: it
then reads the logits. Which output has which loss is said in ``objective.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from retia._torch import torch
from retia.engine.rules import NOBODY
from retia.errors import ArgumentError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

Formula: TypeAlias = "Callable[[Tensor, Tensor, int], Tensor]"
"""From outputs, targets and the axis of the classes (1 and up, or negative) to a number a position."""


def cross_entropy(output: Tensor, target: Tensor, axis: int = -1) -> Tensor:
    """Cross-entropy of probabilities: ``-log p[target]``, or ``-sum_i target_i log p_i``.

    Shape:  (batch, *s, classes), (batch, *s) or (batch, *s, classes) -> (batch, *s)
    Args:
        output: probabilities along ``axis``; one that is 0 counts as the least normal number, so the
            loss stays finite.
        target: class numbers (whole), or probabilities of the output's shape.
        axis: along which the classes stand.
    Example:
        >>> p = torch.tensor([[0.01, 0.03, 0.0, 0.04, 0.03, 0.05, 0.8, 0.02, 0.01, 0.01]])
        >>> cross_entropy(p, torch.tensor([6]))
        tensor([0.2231])
    """
    logs = output.clamp_min(torch.finfo(output.dtype).tiny).log()
    if _numbers(target, output):
        return -logs.gather(axis, target.unsqueeze(axis)).squeeze(axis)
    return -(target.to(output.dtype) * logs).sum(axis)


def cross_entropy_of_logits(output: Tensor, target: Tensor, axis: int = -1) -> Tensor:
    """Cross-entropy of ``softmax(output)``, computed from the logits: never overflows.

    Shape:  (batch, *s, classes), (batch, *s) or (batch, *s, classes) -> (batch, *s)
    Example:
        >>> cross_entropy_of_logits(torch.tensor([[1e4, 0.0]]), torch.tensor([1]))
        tensor([10000.])
    """
    if _numbers(target, output):
        logits = output.movedim(axis, 1)
        return torch.nn.functional.cross_entropy(logits, target, ignore_index=NOBODY, reduction="none")
    soft = target.to(output.dtype).movedim(axis, 1)
    return torch.nn.functional.cross_entropy(output.movedim(axis, 1), soft, reduction="none")


def binary_cross_entropy(output: Tensor, target: Tensor, axis: int = -1) -> Tensor:
    """Binary cross-entropy of probabilities: ``-t log p - (1 - t) log(1 - p)``, element by element.

    Shape:  (batch, *s), (batch, *s) -> (batch, *s)
    Args:
        output: probabilities; 0 and 1 count as the nearest numbers between, so the loss stays finite.
        target: truth values, or probabilities.
    Example:
        >>> binary_cross_entropy(torch.tensor([0.8, 0.0]), torch.tensor([True, False]))
        tensor([0.2231, -0.0000])
    """
    wanted = target.to(output.dtype)
    tiny = torch.finfo(output.dtype).tiny
    yes, no = output.clamp_min(tiny).log(), (1 - output).clamp_min(tiny).log()
    return -(wanted * yes + (1 - wanted) * no)


def binary_cross_entropy_of_logits(output: Tensor, target: Tensor, axis: int = -1) -> Tensor:
    """Binary cross-entropy of ``sigmoid(output)``, computed from the logits: never overflows.

    Shape:  (batch, *s), (batch, *s) -> (batch, *s)
    Example:
        >>> binary_cross_entropy_of_logits(torch.tensor([-1e4]), torch.tensor([1.0]))
        tensor([10000.])
    """
    wanted = target.to(output.dtype)
    return torch.nn.functional.binary_cross_entropy_with_logits(output, wanted, reduction="none")


def squared_error(output: Tensor, target: Tensor, axis: int = -1) -> Tensor:
    """Squared error: ``(y - t)^2``, element by element.

    Shape:  (batch, *s), (batch, *s) -> (batch, *s)
    Example:
        >>> squared_error(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 5.0]))
        tensor([1., 9.])
    """
    return torch.nn.functional.mse_loss(output, target.to(output.dtype), reduction="none")


def absolute_error(output: Tensor, target: Tensor, axis: int = -1) -> Tensor:
    """Absolute error: ``|y - t|``, element by element.

    Shape:  (batch, *s), (batch, *s) -> (batch, *s)
    Example:
        >>> absolute_error(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 5.0]))
        tensor([1., 3.])
    """
    return torch.nn.functional.l1_loss(output, target.to(output.dtype), reduction="none")


def huber(output: Tensor, target: Tensor, axis: int = -1) -> Tensor:
    """Huber's loss: ``(y - t)^2 / 2`` up to an error of 1, ``|y - t| - 1/2`` beyond.

    Shape:  (batch, *s), (batch, *s) -> (batch, *s)
    Source: Huber 1964.
    Example:
        >>> huber(torch.tensor([1.0, 2.0]), torch.tensor([0.5, 5.0]))
        tensor([0.1250, 2.5000])
    """
    return torch.nn.functional.huber_loss(output, target.to(output.dtype), reduction="none")


@dataclass(frozen=True)
class Loss:
    """A loss by name.

    Attributes:
        name: as ``loss=`` takes it.
        formula: from outputs as the net gives them.
        of_logits: from what stands before the ending that suits it; None where none does.
        suits: the endings whose logits ``of_logits`` takes.
        classes: whether a class axis is summed away, and targets may be class numbers.
    """

    name: str
    formula: Formula
    of_logits: Formula | None = None
    suits: tuple[str, ...] = ()
    classes: bool = False


LOSSES = {
    loss.name: loss
    for loss in (
        Loss(
            "cross-entropy", cross_entropy, cross_entropy_of_logits, ("softmax", "log_softmax"), classes=True
        ),
        Loss("binary-cross-entropy", binary_cross_entropy, binary_cross_entropy_of_logits, ("sigmoid",)),
        Loss("mse", squared_error),
        Loss("mae", absolute_error),
        Loss("huber", huber),
    )
}

_ALIASES = {
    "crossentropy": "cross-entropy", "categoricalcrossentropy": "cross-entropy", "ce": "cross-entropy",
    "sparsecategoricalcrossentropy": "cross-entropy", "nll": "cross-entropy", "logloss": "cross-entropy",
    "binarycrossentropy": "binary-cross-entropy", "bce": "binary-cross-entropy",
    "bcewithlogits": "binary-cross-entropy", "mse": "mse", "meansquarederror": "mse", "meansquared": "mse",
    "squarederror": "mse", "l2": "mse", "mae": "mae", "meanabsoluteerror": "mae", "absoluteerror": "mae",
    "l1": "mae", "huber": "huber", "smoothl1": "huber",
}  # fmt: skip


def find_loss(name: str) -> Loss:
    """A loss by its name, also in Keras's or PyTorch's spelling.

    Raises:
        ArgumentError: no loss is called so.
    Example:
        >>> find_loss("CrossEntropyLoss").name, find_loss("mean_squared_error").name
        ('cross-entropy', 'mse')
    """
    plain = "".join(c for c in name.lower() if c.isalnum())
    known = _ALIASES.get(plain) or _ALIASES.get(plain.removesuffix("loss"))
    if known is None:
        raise ArgumentError(
            f"loss: there is none called {name!r}.{did_you_mean(name, LOSSES)}",
            fix=f"one of {', '.join(map(repr, LOSSES))}, or a function of outputs and targets",
            expected=[*LOSSES],
            got=name,
        )
    return LOSSES[known]


def _numbers(target: Tensor, output: Tensor) -> bool:
    """Whether targets are class numbers: one axis fewer than the outputs."""
    return target.dim() == output.dim() - 1
