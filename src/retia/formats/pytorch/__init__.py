"""PyTorch's door: a net as a plain module, and a module as a net.

``module`` makes the one, ``reading`` the other: it follows a traced call (``trace``), makes layers of its
operations (``computing``, ``moving``) wherever the batch stands in them (``places``), and puts them into the
tree that the module has (``building``). Only what is called here imports PyTorch's tracer.
"""

from retia.formats.pytorch.module import module_of
from retia.formats.pytorch.reading import from_torch

__all__ = ["from_torch", "module_of"]
