"""Examples that stand twice: within training, in training and validation, and with different targets.

Inputs are compared as they are packed. A hash of every row, computed by the whole column, finds those that
may be alike; these few are compared byte by byte, so nothing is called alike that is not. In coarse tables
rows are alike by chance; how many of them that makes is estimated, and nothing is said of so few.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia._torch import torch
from retia.metrics.examples import Examples
from retia.sources.feeds import ResidentFeed

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

CHUNK = 2048
CHANCE = 100
"""So many times as many pairs as independent columns would give count as chance: columns hang together."""
LOOKED, WIDE = 256, 1024
"""Rows and numbers of a row from which chance is estimated."""
SHIFTS = (1, 23, 57, 85, 101, 128)


@dataclass(frozen=True)
class Alike:
    """Rows with the same inputs.

    Attributes:
        shared: pairs of a row of the validation part and one of the training part.
        repeated: pairs of a row of the training part and an earlier one of it.
        torn: those of both kinds whose targets differ, with the part of the later one before them.
    """

    shared: tuple[tuple[int, int], ...] = ()
    repeated: tuple[tuple[int, int], ...] = ()
    torn: tuple[tuple[str, int, int], ...] = ()


def packed_bytes(examples: Examples) -> int | None:
    """What the packed inputs of a set take in memory; None where they are not there."""
    columns = _inputs(examples)
    return None if columns is None else sum(each.numel() * each.element_size() for each in columns)


def alike(train: Examples, validation: Examples | None) -> Alike:
    """Find rows with the same inputs; none where the examples are not in memory.

    Args:
        train: to learn from.
        validation: to judge by, if any.
    """
    parts = [part for part in (train, validation) if part is not None]
    columns = [_inputs(part) for part in parts]
    if any(own is None or not own for own in columns):
        return Alike()
    blocks = [[_rows(tensor) for tensor in own or ()] for own in columns]
    keys = np.concatenate([_keys(own) for own in blocks])
    places, counts = _repeating(keys)
    pairs = int((counts * (counts - 1) // 2).sum())
    if not pairs or pairs <= CHANCE * math.comb(len(keys), 2) * _chance(columns[0] or []):
        return Alike()
    return _sorted_out(parts, [*_twins(blocks, places.tolist())])


def _sorted_out(parts: list[Examples], twins: list[tuple[int, int]]) -> Alike:
    size = len(parts[0])
    targets = [_targets(part) for part in parts]
    shared: list[tuple[int, int]] = []
    repeated: list[tuple[int, int]] = []
    torn: list[tuple[str, int, int]] = []
    for row, first in twins:
        if first >= size:
            continue  # both of validation
        part = int(row >= size)
        own = row - size * part
        (shared if part else repeated).append((own, first))
        if any(not torch.equal(a[own], b[first]) for a, b in zip(targets[part], targets[0], strict=True)):
            torn.append(("validation" if part else "training", own, first))
    return Alike(tuple(shared), tuple(repeated), tuple(torn))


def _inputs(examples: Examples) -> list[Tensor] | None:
    feed = examples.feed
    if not isinstance(feed, ResidentFeed):
        return None
    return [feed.tensors[examples.packed(port)] for port in examples.ports]


def _targets(examples: Examples) -> list[Tensor]:
    feed = examples.feed
    assert isinstance(feed, ResidentFeed)
    return [feed.tensors[examples.packed(port)] for port in examples.objective.ports]


def _rows(tensor: Tensor) -> NDArray[np.uint32]:
    """The bytes of every row, four at once."""
    flat = tensor.cpu().contiguous().reshape(len(tensor), -1).view(torch.uint8).numpy()
    over = -flat.shape[1] % 4
    flat = np.pad(flat, ((0, 0), (0, over))) if over else flat
    return flat.view(np.uint32)


def _keys(blocks: list[NDArray[np.uint32]]) -> NDArray[np.uint64]:
    """A hash of each row: words by odd numbers, added up modulo 2**64 (multilinear hashing).

    Source: Lemire and Kaser 2014, Strongly universal string hashing is fast.
    """
    keys = np.zeros(len(blocks[0]), np.uint64)
    draw = np.random.Generator(np.random.PCG64(0))  # of its own: no global state
    for words in blocks:
        factors = draw.integers(0, 2**63, words.shape[1], np.uint64) * np.uint64(2) + np.uint64(1)
        for start in range(0, len(words), CHUNK):
            keys[start : start + CHUNK] += words[start : start + CHUNK].astype(np.uint64) @ factors
    return keys


def _repeating(keys: NDArray[np.uint64]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The places of keys that are there several times, ascending, and how often each such key is."""
    order = np.argsort(keys, kind="stable")
    edges = np.flatnonzero(np.diff(keys[order])) + 1
    counts = np.diff(np.concatenate([[0], edges, [len(keys)]]))
    return np.sort(order[np.repeat(counts > 1, counts)]), counts[counts > 1]


def _twins(blocks: list[list[NDArray[np.uint32]]], places: list[int]) -> Iterator[tuple[int, int]]:
    """Pairs of a row and the first one with the same bytes; validation's are counted on from training's."""
    size = len(blocks[0][0])
    first: dict[bytes, int] = {}
    for place in places:
        own, row = (blocks[0], place) if place < size else (blocks[1], place - size)
        content = b"".join(words[row].tobytes() for words in own)
        if content in first:
            yield place, first[content]
        else:
            first[content] = place


def _chance(columns: list[Tensor]) -> float:
    """How likely two rows are alike if their numbers had nothing to do with each other; at least that."""
    total = 0.0
    for tensor in columns:
        rows = torch.linspace(0, len(tensor) - 1, min(len(tensor), LOOKED)).long()
        flat = tensor.cpu().reshape(len(tensor), -1)
        across = torch.linspace(0, flat.shape[1] - 1, min(flat.shape[1], WIDE)).long()
        looked = flat[rows][:, across]
        shifts = [shift for shift in SHIFTS if shift < len(looked)] or [0]
        same = torch.stack([(looked == looked.roll(shift, 0)).double().mean(0) for shift in shifts]).mean(0)
        total += float(same.clamp_min(1 / (len(looked) * len(shifts))).log().sum())
    return math.exp(total)
