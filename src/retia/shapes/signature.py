"""Signatures: what a layer takes and gives, as one line of text.

``"in h w -> out y x"`` names the dimensions of each port; ``*s`` stands for any number of them, a
number for itself, ``()`` for a scalar. Several ports stand between commas and may be named,
``"left: m k, right: k n -> m n"``. The batch is never in a signature.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class Term:
    """One port of a signature: its name and its dimensions (``"*s"``, ``"in"``, ``"3"``)."""

    name: str
    dims: tuple[str, ...]

    def names(self, rank: int) -> list[str]:
        """The dimension that each axis of a shape of this rank is, a star standing for several.

        Example:
            >>> signature("*s in -> out").inputs[0].names(3)
            ['*s', '*s', 'in']
        """
        names: list[str] = []
        for dim in self.dims:
            names += [dim] * (rank - len(self.dims) + 1) if dim.startswith("*") else [dim]
        return names

    def __str__(self) -> str:
        return "(" + ", ".join(self.dims) + ")"


@dataclass(frozen=True)
class Signature:
    """The ports of a layer and how their dimensions hang together.

    Example:
        >>> signature("*s in -> *s out").outputs[0].dims
        ('*s', 'out')
    """

    inputs: tuple[Term, ...]
    outputs: tuple[Term, ...]


@lru_cache(maxsize=1024)
def signature(text: str) -> Signature:
    """Read a signature; a fault in it is a fault of the layer's author, so a plain ``ValueError``."""
    left, arrow, right = text.partition("->")
    if not arrow:
        raise ValueError(f"signature {text!r}: '->' is missing")
    inputs = _terms(left, "input") if left.strip() else ()
    return Signature(inputs, _terms(right, "output"))


@lru_cache(maxsize=1024)
def dimensions(text: str) -> tuple[str, ...]:
    """The dimensions of one shape in words: ``"out in kh kw"``, ``"()"`` for a scalar."""
    dims = () if text.strip() == "()" else tuple(text.split())
    for dim in dims:
        if not dim.removeprefix("*").isidentifier() and not dim.isdigit():
            raise ValueError(f"{text!r}: {dim!r} is neither a name nor a number")
    if sum(dim.startswith("*") for dim in dims) > 1:
        raise ValueError(f"{text!r}: at most one star in a shape")
    return dims


def _terms(text: str, kind: str) -> tuple[Term, ...]:
    pieces = text.split(",")
    terms = []
    for number, piece in enumerate(pieces, 1):
        name, colon, dims = piece.rpartition(":")
        default = kind if len(pieces) == 1 else str(number)
        terms.append(Term(name.strip() if colon else default, dimensions(dims)))
    return tuple(terms)
