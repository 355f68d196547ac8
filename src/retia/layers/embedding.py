"""Layers that turn whole numbers (tokens, class numbers) into vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.errors import DataError
from retia.nets.initial import Initial
from retia.nets.layer import Array, Layer, layer
from retia.nets.settings import setting, whole

if TYPE_CHECKING:
    from torch import Tensor


def _refuse(layer: Layer, x: Tensor, classes: int) -> DataError:
    least, most = int(x.min()), int(x.max())
    wrong = least if least < 0 else most
    return DataError(
        f"{layer.brief} knows the numbers 0 to {classes - 1}; got {wrong}.", expected=classes, got=wrong
    )


@layer
class Embedding(Layer):
    """A learned vector for each whole number: ``y = W[x]``.

    Shape:  (*s) -> (*s, size), from whole numbers below ``classes``
    Arrays: weight (classes, size)
    Args:
        size: of the vectors, at least 1; inferred when left out.
        classes: how many numbers there are, at least 1; as many as the input's codec has when left out.
        init: how the weight starts (normal, with standard deviation 1, by default).
    Raises:
        DataError: a number that is not below ``classes`` (on the CPU; elsewhere PyTorch's error).
    Source: Bengio et al. 2003.
    Example:
        >>> import retia as rt
        >>> rt.Embedding(64, classes=1000).count
        64000
    """

    signature = "*s -> *s size"
    axes = {"*s": "pass"}
    kinds = {"input": "int"}
    counted = "classes"
    cure = "Embedding(64, classes=1000) gives vectors of 64; it is PyTorch's Embedding(1000, 64)"

    size: int | None = setting(whole(1, optional=True), default=None)
    _: KW_ONLY
    classes: int | None = setting(whole(1, optional=True), default=None)

    def sizes(self) -> Mapping[str, Any]:
        return {"size": self.size, "classes": self.classes}

    def owns(self) -> Mapping[str, Array]:
        return {"weight": Array("classes size", Initial("normal"))}

    def forward(self, x: Tensor, *, weight: Tensor) -> Tensor:
        try:
            return torch.nn.functional.embedding(x, weight)
        except IndexError:
            raise _refuse(self, x, weight.shape[0]) from None


@layer
class OneHot(Layer):
    """A vector of zeros with a single 1 for each whole number: ``y_i = 1 where i = x``.

    Shape:  (*s) -> (*s, classes), from whole numbers below ``classes``
    Args:
        classes: how many numbers there are, at least 1.
    Raises:
        DataError: a number that is not below ``classes`` (on the CPU; elsewhere PyTorch's error).
    Example:
        >>> import retia as rt
        >>> rt.OneHot(3, input=())(1)
        tensor([0., 1., 0.])
    """

    signature = "*s -> *s classes"
    axes = {"*s": "pass"}
    kinds = {"input": "int"}

    classes: int = setting(whole(1))

    def sizes(self) -> Mapping[str, Any]:
        return {"classes": self.classes}

    def forward(self, x: Tensor, *, moment: Any) -> Tensor:
        zeros = torch.zeros(*x.shape, self.classes, dtype=moment.real, device=x.device)
        try:  # torch's one_hot looks at the numbers first, which no flat program can do
            return zeros.scatter(-1, x.long().unsqueeze(-1), 1.0)
        except RuntimeError:
            raise _refuse(self, x, self.classes) from None
