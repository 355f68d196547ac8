"""Dealing rows out: into folds, or in an order whose every beginning is fair.

Both are seeded and give each label its share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia.errors import DataError
from retia.sources.order import permutation
from retia.sources.splitting import codes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retia.sources.columns import Label


def deal(
    n: int,
    folds: int,
    seed: int,
    labels: Sequence[Label] | None = None,
    groups: Sequence[Label] | None = None,
) -> NDArray[Any]:
    """The fold of every row, 0..folds-1. Folds differ by at most one row where there are no groups.

    Args:
        n: number of rows, at least ``folds``.
        folds: at least 2.
        seed: of the draw.
        labels: one a row; every fold has a label's share of each, rounded up or down.
        groups: one a row; all rows of a group are in one fold. Groups are dealt out from the largest on,
            each to the fold where the labels' shares stay most even.
    Raises:
        DataError: there are fewer rows, or groups, than folds.
    Example:
        >>> deal(6, 3, seed=0, labels=["cat", "dog"] * 3).tolist()
        [0, 1, 1, 0, 2, 2]
    """
    what, count = ("examples", n) if groups is None else ("groups", len(set(groups)))
    if count < folds:
        raise DataError(f"{count} {what} do not make {folds} folds.", expected=folds, got=count)
    mixed = permutation(n, "folds", seed)
    numbers = codes(labels)[mixed] if labels is not None else np.zeros(n, np.int64)
    found = np.empty(n, np.int64)
    if groups is None:
        found[mixed[np.argsort(numbers, kind="stable")]] = np.arange(n) % folds
    else:
        found[mixed] = _by_group(numbers, codes([groups[row] for row in mixed]), folds)
    return found


def _by_group(labels: NDArray[Any], groups: NDArray[Any], folds: int) -> NDArray[Any]:
    """The fold of every row, by what group it is of.

    Source: the greedy rule of scikit-learn's ``StratifiedGroupKFold``, with squares for deviations.
    """
    own = np.zeros((groups.max() + 1, labels.max() + 1))
    np.add.at(own, (groups, labels), 1 / np.bincount(labels)[labels])
    filled = np.zeros((folds, own.shape[1]))
    chosen = np.empty(len(own), np.int64)
    for group in np.argsort(-np.bincount(groups), kind="stable"):
        grown = ((filled + own[group]) ** 2 - filled**2).sum(1)
        chosen[group] = grown.argmin()
        filled[chosen[group]] += own[group]
    return np.asarray(chosen[groups])


def nested(n: int, seed: int, labels: Sequence[Label] | None = None) -> NDArray[Any]:
    """All rows in an order of which any beginning has about its share of each label.

    Args:
        n: number of rows.
        seed: of the draw.
        labels: one a row; None: drawn from all alike.
    Example:
        >>> order = nested(6, seed=0, labels=["cat", "dog"] * 3)
        >>> [["cat", "dog"][row % 2] for row in order]
        ['cat', 'dog', 'cat', 'dog', 'dog', 'cat']
    """
    mixed = permutation(n, "nested", seed)
    numbers = codes(labels)[mixed] if labels is not None else np.zeros(n, np.int64)
    grouped = np.argsort(numbers, kind="stable")
    counts = np.bincount(numbers)
    places = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)
    shares = np.empty(n)
    shares[grouped] = (places + 0.5) / np.repeat(counts, counts)
    return np.asarray(mixed[np.argsort(shares, kind="stable")])
