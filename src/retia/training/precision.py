"""The precision of a training's products: float32, or half of it where the arrays stay float32.

``bf16`` has the range of float32 and needs nothing more. ``fp16`` has not: its loss is scaled up before the
derivative and the gradients down again, by a factor that follows what overflows.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.errors import ArgumentError, TrainingError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

FIRST, GROWS, AFTER = 2.0**16, 2.0, 2000
"""The first scale of fp16's loss, by how much it grows, and after so many steps without an overflow."""

LEAST = 2.0**-16
"""Gradients that are not finite at a scale below this are so at any."""

NAMES = {
    "float32": "float32", "fp32": "float32", "single": "float32",
    "bf16": "bf16", "bfloat16": "bf16", "mixedbfloat16": "bf16", "bf16mixed": "bf16",
    "fp16": "fp16", "float16": "fp16", "half": "fp16", "mixedfloat16": "fp16", "16mixed": "fp16",
}  # fmt: skip


@dataclass(frozen=True)
class Precision:
    """How products are computed.

    Attributes:
        name: ``"float32"``, ``"bf16"`` or ``"fp16"``.
    """

    name: str = "float32"

    @property
    def scales(self) -> bool:
        """Whether the loss is scaled."""
        return self.name == "fp16"

    def active(self, device: torch.device) -> AbstractContextManager[Any]:
        """A context in which PyTorch chooses that precision where it is safe."""
        if self.name == "float32":
            return nullcontext()
        kind = torch.bfloat16 if self.name == "bf16" else torch.float16
        return torch.autocast(device.type, dtype=kind, cache_enabled=False)

    def full(self, tensor: Tensor) -> Tensor:
        """A value as losses and metrics take it: not in half precision."""
        half = tensor.dtype in (torch.bfloat16, torch.float16) and self.name != "float32"
        return tensor.float() if half else tensor


@dataclass
class Scale:
    """By what fp16's loss is multiplied.

    Attributes:
        factor: now.
        good: steps since the last overflow, or growth.
    """

    factor: float = FIRST
    good: int = 0

    def learn(self, finite: bool) -> None:
        """Follow whether the gradients of a step were finite.

        Raises:
            TrainingError: they are not, and a smaller scale will not help.
        """
        self.good = self.good + 1 if finite else 0
        if not finite:
            self.factor /= GROWS
            if self.factor < LEAST:
                raise TrainingError(
                    "fp16: the gradients are not finite, however small the loss is made, so nothing moves.",
                    fix='precision="float32" tells of the layer where it begins, "bf16" has a wider range',
                )
        elif self.good == AFTER:
            self.factor, self.good = self.factor * GROWS, 0


def read_precision(given: Any) -> Precision:
    """A precision by its name, also in PyTorch's, Keras's or Lightning's spelling.

    Raises:
        ArgumentError: no precision is called so.
    Example:
        >>> read_precision("mixed_bfloat16").name
        'bf16'
    """
    plain = "".join(c for c in given.lower() if c.isalnum()) if isinstance(given, str) else ""
    if plain not in NAMES:
        known = ["float32", "bf16", "fp16"]
        raise ArgumentError(
            f"train: precision is {', '.join(map(repr, known))}; got {given!r}."
            + did_you_mean(str(given), known),
            fix="leave precision out for float32; a net with float64 arrays is trained in float64",
            got=given,
        )
    return Precision(NAMES[plain])
