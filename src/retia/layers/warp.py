"""Pictures read off at places that the net itself finds: the spatial transformer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.errors import ArgumentError, ShapeError
from retia.layers.augmentation import FILL
from retia.layers.resize import mode_of
from retia.nets.layer import Layer, layer
from retia.nets.settings import setting, whole_tuple
from retia.shapes import Signature, signature

if TYPE_CHECKING:
    from torch import Tensor


@layer
class SpatialTransform(Layer):
    """Each picture warped by an affine map of its own: ``y[p] = x[A p + b]``, with derivatives to both.

    Places go from -1 to 1 over the picture, (column, row); the six numbers are A and b row by row,
    ``[a11, a12, b1, a21, a22, b2]``: PyTorch's theta. ``[1, 0, 0, 0, 1, 0]`` changes nothing, and is what the
    layer that finds them should start with: ``rt.Linear(init={"weight": "zeros", ...})``, or added to its
    result.

    Shape:  input (c, h, w), parameters (6) -> (c, h, w), or (c, *size)
    Args:
        size: height and width of the result; those of the picture when left out.
        mode: ``"linear"`` (PyTorch's ``"bilinear"`` names it too), or ``"nearest"``, which has no derivatives
            to the parameters.
        fill: what is outside the picture: a number, or ``"edge"`` for what its nearest pixel holds.
    Source: Jaderberg et al. 2015; computed by ``torch.nn.functional.grid_sample`` with
        ``align_corners=False``.
    Example:
        >>> import retia as rt
        >>> warp = rt.SpatialTransform(input={"input": (1, 1, 2), "parameters": 6})
        >>> warp({"input": [[[1.0, 2.0]]], "parameters": [-1.0, 0.0, 0.0, 0.0, 1.0, 0.0]})
        tensor([[[2., 1.]]])
    """

    solves = ("h", "w")

    _: KW_ONLY
    size: tuple[int, ...] | None = setting(whole_tuple(1, optional=True), default=None)
    mode: str = setting(mode_of("linear", "nearest"), default="linear")
    fill: float | str = FILL

    def validate(self) -> None:
        if self.size is not None and len(self.size) != 2:
            raise ArgumentError(
                f"SpatialTransform: size is a height and a width; got {self.size!r}.", got=self.size
            )

    def ports(self, arity: int | None = None) -> Signature:
        after = "h w" if self.size is None else " ".join(map(str, self.size))
        return signature(f"input: c h w, parameters: 6 -> output: c {after}")

    def solve(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        if 0 in (known["h"], known["w"]):
            raise ShapeError("there is nothing to read off a picture without pixels.", got=0)
        return {}

    def forward(self, x: Tensor, parameters: Tensor) -> Tensor:
        high, wide = self.size or x.shape[2:]
        exact = parameters if parameters.dtype == torch.float64 else parameters.float()
        matrix = exact.reshape(-1, 2, 3)
        rows, columns = (
            (2 * torch.arange(n, dtype=matrix.dtype, device=x.device) + 1) / n - 1 for n in (high, wide)
        )
        places = torch.stack(
            [columns.expand(high, wide), rows.unsqueeze(1).expand(high, wide), columns.new_ones(high, wide)],
            2,
        )
        grid = places.reshape(-1, 3) @ matrix.transpose(1, 2)  # (batch, y x, 2), (column, row)
        grid = grid.reshape(-1, high, wide, 2)
        mode = "bilinear" if self.mode == "linear" else self.mode
        fill, outside = (0.0, "border") if isinstance(self.fill, str) else (self.fill, "zeros")
        given = x.to(grid.dtype) - fill
        read = torch.nn.functional.grid_sample(given, grid, mode, outside, align_corners=False)
        return (read + fill).to(x.dtype)
