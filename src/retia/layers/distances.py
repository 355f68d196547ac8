"""How alike two arrays are: one number for each pair of vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any, ClassVar

from retia._torch import torch
from retia.layers.axes import MOST, PASS, around, filled, in_batch
from retia.nets.layer import Layer, layer
from retia.nets.settings import declared, real, setting, whole
from retia.shapes import Signature, signature

if TYPE_CHECKING:
    from torch import Tensor


@declared
class Comparison(Layer):
    """The interface of layers that compare the vectors of two arrays along an axis."""

    axes: ClassVar[Mapping[str, str]] = {**PASS, "n": "mix"}

    axis: int = setting(whole(-MOST, MOST - 1), default=-1)

    def ports(self, arity: int | None = None) -> Signature:
        shape, left = around(self.axis, "n"), around(self.axis, "")
        return signature(f"left: {shape}, right: {shape} -> output: {left}")


@layer
class CosineSimilarity(Comparison):
    """The cosine of the angle between two vectors: ``y = a b / (|a| |b|)``, from -1 to 1.

    Shape:  left (*s, n), right (*s, n) -> (*s), or n at another axis
    Args:
        axis: of the vectors; the last by default. Negative ones count from the last.
        eps: above 0; shorter vectors count as if they had this length.
    Source: ``torch.nn.CosineSimilarity``.
    Example:
        >>> import retia as rt
        >>> rt.CosineSimilarity(input={"left": 2, "right": 2})({"left": [3.0, 4.0], "right": [4.0, 3.0]})
        tensor(0.9600)
    """

    _: KW_ONLY
    eps: float = setting(real(1e-30), default=1e-8)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return torch.nn.functional.cosine_similarity(left, right, in_batch(self.axis), self.eps)


@layer
class PairwiseDistance(Comparison):
    """The distance of two vectors: ``y = (sum |a - b + eps|^order)^(1 / order)``.

    Shape:  left (*s, n), right (*s, n) -> (*s), or n at another axis
    Args:
        axis: of the vectors; the last by default. Negative ones count from the last.
        order: 2 for Euclid's distance, 1 for the sum of the differences; at least 1.
        eps: at least 0; keeps derivatives of the root finite where the vectors are alike.
    Source: ``torch.nn.PairwiseDistance``, where order is called p.
    Example:
        >>> import retia as rt
        >>> rt.PairwiseDistance(input={"left": 2, "right": 2})({"left": [3.0, 4.0], "right": [0.0, 0.0]})
        tensor(5.0000)
    """

    _: KW_ONLY
    order: float = setting(real(1), default=2.0)
    eps: float = setting(real(0), default=1e-6)

    def forward(self, left: Tensor, right: Tensor, *, moment: Any) -> Tensor:
        apart = filled(left - right + self.eps, moment.mask(), 0.0)
        y: Tensor = torch.linalg.vector_norm(apart, self.order, in_batch(self.axis))
        return y
