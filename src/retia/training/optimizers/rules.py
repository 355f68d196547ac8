"""What the optimizers' settings have in common, and the weight decay that goes through the gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from retia._torch import torch
from retia.errors import ArgumentError
from retia.nets.settings import real
from retia.training.optimizer import Group

if TYPE_CHECKING:
    from torch import Tensor

Tensors: TypeAlias = "list[Tensor] | tuple[Tensor, ...]"

RATE = real(0)
SHARE = real(0, 1, open_high=True)


def shares(name: str, value: Any) -> tuple[float, float]:
    """A rule: two numbers from 0 to below 1."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise ArgumentError(f"{name} is two numbers from 0 to below 1; got {value!r}.", got=value)
    return (SHARE(name, value[0]), SHARE(name, value[1]))


def decayed(group: Group, weight_decay: float) -> Tensors:
    """The gradients, with that share of the arrays added to them."""
    if not weight_decay:
        return group.gradients
    return torch._foreach_add(group.gradients, group.arrays, alpha=weight_decay)
