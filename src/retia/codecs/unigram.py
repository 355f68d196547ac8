"""Pieces of words and their chances, learned so that the words of a text become likely.

The trainer of the ``tokenizers`` library gives other pieces each time, for it adds in the order of a hash
table. This one gives the same for the same words; the library then cuts texts with its pieces.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping

LONGEST = 16
"""Characters of a piece at most."""
STRETCH = 32
"""Words are looked at in stretches of so many characters, so that no chance becomes 0."""
SEEDS = 10
"""At first there are at most so many times the pieces that are wanted."""
KEPT = 0.75
"""The share of the pieces that a round keeps."""
GROWN = 64.0
"""Chances are multiplied by this for each character, which keeps those of long words in range."""


def learn(counts: Mapping[str, int], size: int) -> list[tuple[str, float]]:
    """Pieces with the logs of their chances, likeliest first.

    Args:
        counts: how often each word occurs.
        size: so many pieces at most; all single characters are among them, whatever the number.
    Source: Kudo 2018, "Subword regularization"; sums in a fixed order.
    Example:
        >>> [piece for piece, _ in learn({"banana": 9, "bandana": 3}, 6)]
        ['banana', 'bandana', 'a', 'b', 'n', 'd']
    """
    words = _stretches(counts)
    single = Counter[str]()
    for word, count in words.items():
        for character in word:
            single[character] += count
    pieces = _seeds(words, single, SEEDS * size)
    while True:
        for _ in range(2):
            expected = _expected(words, pieces)
            pieces = _chances({p: e for p, e in expected.items() if e >= 0.5 or p in single})
        if len(pieces) <= max(size, len(single)):
            break
        pieces = _pruned(pieces, expected, single, max(size, int(KEPT * len(pieces))))
    return sorted(
        ((p, math.log(chance)) for p, chance in pieces.items()), key=lambda each: (-each[1], each[0])
    )


def _stretches(counts: Mapping[str, int]) -> dict[str, int]:
    found = Counter[str]()
    for word in sorted(counts):
        for start in range(0, len(word), STRETCH):
            found[word[start : start + STRETCH]] += counts[word]
    return {word: found[word] for word in sorted(found)}


def _seeds(words: Mapping[str, int], single: Mapping[str, int], most: int) -> dict[str, float]:
    found = Counter[str]()
    for word, count in words.items():
        for start in range(len(word)):
            for stop in range(start + 2, min(start + LONGEST, len(word)) + 1):
                found[word[start:stop]] += count
    often = [(piece, count) for piece, count in found.items() if count > 1]
    often.sort(key=lambda each: (-each[1] * len(each[0]), each[0]))
    return _chances({**{c: float(single[c]) for c in sorted(single)}, **dict(often[:most])})


def _chances(counts: Mapping[str, float]) -> dict[str, float]:
    # A character that no segmentation uses stays possible.
    counts = {piece: max(count, 1e-3) for piece, count in counts.items()}
    total = math.fsum(counts.values())
    return {piece: count / total for piece, count in counts.items()}


def _edges(word: str, pieces: Mapping[str, float]) -> Iterator[tuple[int, int, float]]:
    """Pieces that a word has, by start and stop, with chances that grow with the length."""
    for start in range(len(word)):
        for stop in range(start + 1, min(start + LONGEST, len(word)) + 1):
            chance = pieces.get(word[start:stop])
            if chance is not None:
                yield start, stop, chance * GROWN ** (stop - start)


def _expected(words: Mapping[str, int], pieces: Mapping[str, float]) -> dict[str, float]:
    """How often each piece is expected over all ways to cut the words."""
    found = dict.fromkeys(pieces, 0.0)
    for word, count in words.items():
        edges = [*_edges(word, pieces)]
        before = [1.0] + [0.0] * len(word)
        for start, stop, chance in edges:
            before[stop] += before[start] * chance
        if not before[-1]:
            continue
        after = [0.0] * len(word) + [1.0]
        for start, stop, chance in reversed(edges):
            after[start] += chance * after[stop]
        share = count / before[-1]
        for start, stop, chance in edges:
            found[word[start:stop]] += share * before[start] * chance * after[stop]
    return found


def _pruned(
    pieces: Mapping[str, float], expected: Mapping[str, float], single: Mapping[str, int], keep: int
) -> dict[str, float]:
    """The pieces without which the words would be least likely."""
    losses = {}
    for piece, chance in pieces.items():
        if piece not in single:
            best = [1.0] + [0.0] * len(piece)
            for start, stop, each in _edges(piece, pieces):
                if stop - start < len(piece):
                    best[stop] = max(best[stop], best[start] * each)
            instead = best[-1] / GROWN ** len(piece)
            losses[piece] = expected[piece] * (math.log(chance) - math.log(max(instead, 1e-300)))
    order = sorted(losses, key=lambda piece: (-losses[piece], piece))
    kept = {*single, *order[: max(0, keep - len(single))]}
    return _chances({piece: expected[piece] for piece in pieces if piece in kept})
