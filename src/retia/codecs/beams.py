"""The likeliest sequences that a table of chances (times, classes) stands for, with their chances.

Either every time says one class (``likeliest``), or several times may say one together, with blanks
between them (``collapsed`` and ``labellings``: connectionist temporal classification).
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, TypeAlias

from retia._late import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Sequence: TypeAlias = "tuple[int, ...]"
NEVER = -math.inf


def likeliest(chances: NDArray[Any], most: int, ends: Collection[int] = ()) -> list[tuple[Sequence, float]]:
    """The ``most`` likeliest sequences of one class a time, likeliest first.

    Args:
        chances: (times, classes).
        most: how many, at least 1.
        ends: classes that close a sequence, whatever is said after them.
    """
    with np.errstate(divide="ignore"):
        logs = np.log(chances)
    beam: list[tuple[float, Sequence]] = [(0.0, ())]
    for row in logs:
        best = [each for each in np.argsort(-row, kind="stable")[:most].tolist() if row[each] > NEVER]
        longer: list[tuple[float, Sequence, Sequence]] = []
        for log, before in beam:
            closed = bool(before) and before[-1] in ends
            longer += [(log, before, ())] if closed else [(log + float(row[c]), before, (c,)) for c in best]
        longer.sort(key=lambda found: -found[0])
        beam = [(log, before + after) for log, before, after in longer[:most]]
    return [(sequence, math.exp(log)) for log, sequence in beam]


def collapsed(path: Collection[int], blank: int) -> Sequence:
    """What a path through time says: a class that is said on counts once, and blanks say nothing.

    Example:
        >>> collapsed([0, 3, 3, 0, 3, 5], blank=0)
        (3, 3, 5)
    """
    said: list[int] = []
    before = blank
    for each in path:
        if each not in (before, blank):
            said.append(each)
        before = each
    return tuple(said)


def labellings(chances: NDArray[Any], width: int, blank: int) -> list[tuple[Sequence, float]]:
    """The likeliest sequences over all paths that say them, likeliest first: a beam search over prefixes.

    Args:
        chances: (times, classes).
        width: how many prefixes are followed, at least 1; with all of them the search is exact.
        blank: the blank's class.
    Source: Graves 2012, section 7.5.2 of his book; Hannun et al. 2014.
    Example:
        >>> from retia._late import numpy as np
        >>> [(text, round(p, 3)) for text, p in labellings(np.array([[0.6, 0.4], [0.6, 0.4]]), 8, blank=0)]
        [((1,), 0.64), ((), 0.36)]
    """
    with np.errstate(divide="ignore"):
        logs = np.log(chances)
    # For each prefix: the log chance of its paths that end in the blank, and of those that do not.
    beam: dict[Sequence, tuple[float, float]] = {(): (0.0, NEVER)}
    for row in logs:
        beam = _step(beam, row, width, blank)
    return [(prefix, math.exp(_either(*each))) for prefix, each in beam.items()]


def _step(
    beam: dict[Sequence, tuple[float, float]], row: NDArray[Any], width: int, blank: int
) -> dict[Sequence, tuple[float, float]]:
    # No other classes can lead to one of the best: of a prefix's extensions at most ``width`` stay, and one
    # that is a prefix already ends in one of the last classes.
    best = np.argsort(-row, kind="stable")[: width + 2].tolist()
    classes = dict.fromkeys([*best, *(prefix[-1] for prefix in beam if prefix)])
    classes.pop(blank, None)
    said = {each: float(row[each]) for each in classes}
    silent = float(row[blank])
    grown: dict[Sequence, tuple[float, float]] = {}

    def add(prefix: Sequence, ended: float, spoken: float) -> None:
        before = grown.get(prefix, (NEVER, NEVER))
        grown[prefix] = _either(before[0], ended), _either(before[1], spoken)

    for prefix, (ended, spoken) in beam.items():
        either = _either(ended, spoken)
        add(prefix, either + silent, spoken + said[prefix[-1]] if prefix else NEVER)
        for each, log in said.items():
            add((*prefix, each), NEVER, (ended if prefix and prefix[-1] == each else either) + log)
    possible = {prefix: each for prefix, each in grown.items() if _either(*each) > NEVER}
    order = sorted(possible.items(), key=lambda item: -_either(*item[1]))
    return dict(order[:width])


def _either(one: float, other: float) -> float:
    """The log of a sum of chances, from their logs."""
    low, high = sorted((one, other))
    return high if low == NEVER else high + math.log1p(math.exp(low - high))
