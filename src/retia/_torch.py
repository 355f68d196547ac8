"""PyTorch, the engine, imported at its first use. Every room takes it from here.

``from retia._torch import torch`` gives a stand-in whose first attribute imports the real module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from retia._late import Late

if TYPE_CHECKING:
    import torch
else:
    torch = Late("torch")

__all__ = ["torch"]
