"""Nets in files. A file is data: reading one imports, evaluates and unpickles nothing.

``file`` saves and loads nets; ``header`` is the strict reader of what stands before the arrays,
``strict`` that of JSON, ``foreign`` names what is no net; ``pytorch`` is the door to PyTorch's modules.
"""

from retia.formats.file import load
from retia.formats.pytorch import from_torch

__all__ = ["from_torch", "load"]
