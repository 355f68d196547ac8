"""What lets values pass and holds derivatives back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retia.layers.axes import PASS
from retia.nets.layer import Layer, layer

if TYPE_CHECKING:
    from torch import Tensor


@layer
class StopGradient(Layer):
    """What comes in, as if it were constant: ``y = x``, and no derivative goes back.

    Shape:  (*s) -> (*s)
    Example:
        >>> import retia as rt
        >>> rt.StopGradient(input=2)([1.0, 2.0])
        tensor([1., 2.])
    """

    signature = "*s -> *s"
    axes = PASS
    kinds = {"*": "same"}

    def forward(self, x: Tensor) -> Tensor:
        return x.detach()
