"""PyTorch, the engine, imported at its first use. Every room takes it from here.

``from retia._torch import torch`` gives a stand-in whose first attribute imports the real module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from retia._late import Late

WHEN_FIRST: list[Callable[[], None]] = []
"""Called just after Retia imported PyTorch, if nobody had done so before."""

if TYPE_CHECKING:
    import torch
else:
    torch = Late("torch", when_first=WHEN_FIRST)

__all__ = ["WHEN_FIRST", "torch"]
