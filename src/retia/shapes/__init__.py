"""Dimensions, signatures and their unification, both directions. This room knows nothing of nets."""

from retia.shapes.dims import Extent, Shape, Size, extent, product, show, varies
from retia.shapes.signature import Signature, Term, dimensions, signature
from retia.shapes.solver import Conflict, Fact, Rest, Solver, Unknown

__all__ = [
    "Conflict", "Extent", "Fact", "Rest", "Shape", "Signature", "Size", "Solver", "Term", "Unknown",
    "dimensions", "extent", "product", "show", "signature", "varies",
]  # fmt: skip
