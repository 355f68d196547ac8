"""Edit distance: how many insertions, deletions and replacements make one sequence of another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from retia._late import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK = 4096
"""So many pairs at once, to bound the memory."""


def edit_distances(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    """The edit distance of each pair of rows.

    Shape:  (n, a), (n, b) -> (n)
    Source: Levenshtein 1966; Wagner and Fischer 1974.
    Example:
        >>> import numpy as np
        >>> edit_distances(np.array([[1, 2, 3, 4]]), np.array([[2, 3, 4, 5]])).tolist()
        [2]
    """
    parts = range(0, len(first), CHUNK)
    found = [_distances(first[at : at + CHUNK], second[at : at + CHUNK]) for at in parts]
    return np.concatenate(found) if found else np.zeros(0, np.int32)


def _distances(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    """All pairs step by step through the table, of which one row is kept."""
    places = np.arange(second.shape[1] + 1, dtype=np.int32)
    row = np.repeat(places[:, None], len(first), axis=1)  # (b + 1, n)
    for number in range(first.shape[1]):
        above, row = row, np.empty_like(row)
        row[0] = number + 1
        changed = above[:-1] + (first[:, number] != second.T)
        best = np.minimum(above[1:] + 1, changed)
        for place in places[1:]:
            np.minimum(best[place - 1], row[place - 1] + 1, out=row[place])
    return np.asarray(row[-1])
