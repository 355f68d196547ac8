"""Splitting rows in two: seeded, and with each label's fair share in both parts."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia.errors import ArgumentError, DataError
from retia.sources.order import permutation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retia.sources.columns import Label


def sizes_of(size: Any, n: int) -> tuple[int, int]:
    """How many of ``n`` examples the two parts of a split get.

    Args:
        size: of the first part, a fraction between 0 and 1 or a count; or a pair with the second's.
        n: number of examples.
    Raises:
        ArgumentError: it is neither. DataError: a part would be empty, or there are too few examples.
    """
    pair = isinstance(size, tuple | list)
    if pair and len(size) != 2:
        raise ArgumentError(
            f"split makes two parts; got {len(size)} sizes.", fix="split(0.8), split((800, 200))", got=size
        )
    if pair:
        first, second = (_count(each, n) for each in size)
        whole = all(isinstance(each, float) for each in size) and abs(sum(size) - 1) < 1e-9
        second = n - first if whole else second  # both were rounded
    else:
        first = _count(size, n)
        second = n - first
    if first + second > n:
        raise DataError(
            f"split: {first:,} and {second:,} examples are asked for, but there are {n:,}.", got=size
        )
    if min(first, second) < 1:
        which = "first" if first < 1 else "second"
        raise DataError(f"split({size!r}) of {n:,} examples leaves the {which} part empty.", got=size)
    return first, second


def _count(size: Any, n: int) -> int:
    if isinstance(size, float) and 0 < size < 1:
        return round(size * n)
    try:
        count = -1 if isinstance(size, bool) else operator.index(size)
    except TypeError:
        count = -1
    if count < 0:
        raise ArgumentError(
            f"split: the size of a part is a fraction between 0 and 1 or a number of examples; got {size!r}.",
            fix="split(0.8) or split(800)",
            got=size,
        )
    return count


def draw(n: int, size: int, seed: int, labels: Sequence[Label] | None) -> NDArray[Any]:
    """Which ``size`` of ``n`` rows come first, ascending.

    Args:
        n: number of rows.
        size: of the first part.
        seed: of the draw.
        labels: one a row; each gets its share of ``size``, rounded up or down. None: drawn from all alike.
    """
    mixed = permutation(n, "split", seed)
    if labels is None or not 1 < len(set(labels)) < n:
        return np.sort(mixed[:size])
    numbers = codes(labels)[mixed]
    grouped = mixed[np.argsort(numbers, kind="stable")]  # by label, each in its mixed order
    counts = np.bincount(numbers)
    starts = np.cumsum(counts) - counts
    shares = fair(counts, size)
    return np.sort(np.concatenate([grouped[s : s + k] for s, k in zip(starts, shares, strict=True)]))


def fair(counts: NDArray[Any], size: int) -> NDArray[Any]:
    """Shares of ``size`` in proportion to ``counts``, each rounded up or down, adding up to ``size``.

    Source: the method of largest remainders (Hamilton); of equal remainders the first wins.
    """
    total = int(counts.sum())
    shares = [int(count) * size // total for count in counts]  # exact: Python's whole numbers
    remainders = [-(int(count) * size % total) for count in counts]
    for place in np.argsort(remainders, kind="stable")[: size - sum(shares)]:
        shares[place] += 1
    return np.asarray(shares, dtype=np.int64)


def codes(labels: Sequence[Label]) -> NDArray[Any]:
    """Labels as numbers from 0, in the order in which they are first met; 1, True and "1" are three."""
    numbers: dict[tuple[type, Label], int] = {}
    return np.asarray([numbers.setdefault((type(label), label), len(numbers)) for label in labels])
