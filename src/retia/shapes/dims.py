"""Sizes: whole numbers, and extents that vary from example to example.

An ``Extent`` is a sum of named sizes, products of them and floors of quotients, in a normal form, so
that two of them are equal when they look equal: a text's length ``n`` after a convolution is ``n - 2``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from retia.errors import ShapeError


@dataclass(frozen=True, repr=False)
class Quotient:
    """The atom ``floor(numerator / divisor)`` of an extent."""

    numerator: Extent
    divisor: int

    def __str__(self) -> str:
        return f"({self.numerator})//{self.divisor}"

    __repr__ = __str__


Atom: TypeAlias = "str | Quotient"
Monomial: TypeAlias = "tuple[Atom, ...]"


@dataclass(frozen=True, repr=False)
class Extent:
    """A size that varies: ``constant`` plus the sum of ``coefficient * product of atoms``.

    Example:
        >>> n = extent("n")
        >>> str((2 * n + 4) // 2 - 1)
        'n + 1'
        >>> ((n - 3) // 2 + 1).evaluate({"n": 10})
        4
    """

    terms: tuple[tuple[Monomial, int], ...]
    constant: int = 0

    @property
    def names(self) -> frozenset[str]:
        """Names of the sizes that this extent depends on."""
        found: set[str] = set()
        for monomial, _ in self.terms:
            for atom in monomial:
                found |= {atom} if isinstance(atom, str) else atom.numerator.names
        return frozenset(found)

    def evaluate(self, sizes: Mapping[str, Any]) -> Any:
        """Its value for named sizes (whole numbers, or whole arrays of them)."""
        total: Any = self.constant
        for monomial, coefficient in self.terms:
            product: Any = coefficient
            for atom in monomial:
                product = product * (
                    sizes[atom] if isinstance(atom, str) else atom.numerator.evaluate(sizes) // atom.divisor
                )
            total = total + product
        return total

    def __add__(self, other: Size) -> Size:
        return _normal([*self.terms, *_terms(other)], self.constant + _constant(other))

    def __mul__(self, other: Size) -> Size:
        left = [*self.terms, ((), self.constant)]
        right = [*_terms(other), ((), _constant(other))]
        return _normal([(a + b, m * n) for a, m in left for b, n in right], 0)

    def __floordiv__(self, divisor: int) -> Size:
        whole = [(m, c // divisor) for m, c in self.terms]
        rest = _normal([(m, c % divisor) for m, c in self.terms], self.constant % divisor)
        offset = self.constant // divisor
        if isinstance(rest, int):
            return _normal(whole, offset)
        return _normal([*whole, ((Quotient(rest, divisor),), 1)], offset)

    def __neg__(self) -> Size:
        return self * -1

    def __sub__(self, other: Size) -> Size:
        return self + -other

    def __rsub__(self, other: Size) -> Size:
        return -self + other

    __radd__ = __add__
    __rmul__ = __mul__

    def __str__(self) -> str:
        parts: list[str] = []
        for monomial, coefficient in self.terms:
            product = "*".join(map(str, monomial))
            size = product if abs(coefficient) == 1 else f"{abs(coefficient)}*{product}"
            parts += ["-" if coefficient < 0 else "+", size]
        if self.constant:
            parts += ["-" if self.constant < 0 else "+", str(abs(self.constant))]
        return " ".join(parts[1:]) if parts[0] == "+" else "-" + " ".join(parts[1:])

    __repr__ = __str__


LARGEST = 2**63
Size: TypeAlias = "int | Extent"
Shape: TypeAlias = "tuple[Size | None, ...]"


def extent(name: str) -> Extent:
    """The size that varies under a name."""
    return Extent((((name,), 1),))


def show(shape: Shape | None) -> str:
    """A shape as a person reads it: ``(28, 28)``, ``(n, 50)``, ``(?, 3)``, ``...`` for no known rank."""
    if shape is None:
        return "(...)"
    return "(" + ", ".join("?" if size is None else str(size) for size in shape) + ")"


def varies(shape: Shape | None) -> bool:
    """Whether a size of a shape varies from example to example; not as far as it is unknown.

    Example:
        >>> varies((extent("n"), 50)), varies((3, None)), varies(None)
        (True, False, False)
    """
    return any(isinstance(size, Extent) for size in shape or ())


def product(sizes: Shape) -> Size | None:
    """The number of elements of a shape; None while a size is unknown.

    Example:
        >>> product((3, 4)), product((3, None)), product(())
        (12, None, 1)
    """
    total: Size = 1
    for size in sizes:
        if size is None:
            return None
        total = total * size
    return total


def _terms(size: Size) -> tuple[tuple[Monomial, int], ...]:
    return size.terms if isinstance(size, Extent) else ()


def _constant(size: Size) -> int:
    return size.constant if isinstance(size, Extent) else size


def _normal(terms: list[tuple[Monomial, int]], constant: int) -> Size:
    collected: dict[Monomial, int] = {}
    for monomial, coefficient in terms:
        key = tuple(sorted(monomial, key=str))
        collected[key] = collected.get(key, 0) + coefficient
    constant += collected.pop((), 0)
    if any(abs(number) > LARGEST for number in (constant, *collected.values())):
        raise ShapeError("A size that varies has a factor of more than 2**63, which no array has.")
    kept = sorted(((m, c) for m, c in collected.items() if c), key=lambda term: str(term[0]))
    return Extent(tuple(kept), constant) if kept else constant
