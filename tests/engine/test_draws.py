"""Random draws: pure functions of what they are for, even and independent.

Everything here is settled by the keys, so a test that passes once passes always; the levels say how unlikely
a true source of chance would be to look as bad. ``--full`` takes ten times as many draws.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

import retia as rt
from retia.engine import draws
from retia.engine.walk import Run, walk

LEVEL = 1e-4
WORD = 0xFFFFFFFF


@pytest.fixture(scope="module")
def size(full: bool) -> tuple[int, int]:
    """Rows and units: about 10^6 draws, or 10^7."""
    return (4000, 2560) if full else (1000, 1024)


def numbers(seed=0, step=0, path="a", rows=2000, units=50) -> torch.Tensor:
    return draws.uniform(seed, step, path, torch.arange(rows), (units,))


def mixed(x: int) -> int:
    """The mixing function, on Python's own whole numbers."""
    x = ((x ^ (x >> 16)) * 0x21F0AAAD) & WORD
    x = ((x ^ (x >> 15)) * 0x735A2D97) & WORD
    return x ^ (x >> 15)


def words(seed: int, step: int, path: str, row: int) -> tuple[int, int]:
    """What a row's draws are made of."""
    low, high = draws.halves(seed, step, path)
    first = mixed(mixed((row & WORD) ^ low) ^ (row >> 32) ^ high)
    return first, mixed(first ^ low)


# What they follow from ----------------------------------------------------------------------------


def test_draws_are_those_of_the_hash_in_whole_numbers() -> None:
    rows = [0, 1, 77, 2**31, 2**32 - 1, 2**32, 2**40 + 5]
    found = draws.uniform(3, 4, "net.2", torch.tensor(rows), (257,))
    for row, got in zip(rows, found, strict=True):
        first, second = words(3, 4, "net.2", row)
        expected = [(mixed(mixed(unit ^ first) ^ second) >> 8) / 2**24 for unit in range(257)]
        assert got.tolist() == expected


def test_keys_may_be_tensors_and_many_at_once() -> None:
    rows = torch.tensor([5, 2**33])
    keys = torch.tensor([draws.halves(seed, 1, "a") for seed in range(3)])
    whole = torch.func.vmap(lambda key: draws.from_halves((key[0], key[1]), rows, (4, 3)))(keys)
    for seed, found in enumerate(whole):
        assert torch.equal(found, draws.uniform(seed, 1, "a", rows, (4, 3)))


def test_a_draw_depends_on_its_example_and_not_on_the_batch() -> None:
    whole = numbers()
    parts = [draws.uniform(0, 0, "a", torch.tensor([i]), (50,)) for i in (0, 7, 1999)]
    for i, part in zip((0, 7, 1999), parts, strict=True):
        assert torch.equal(whole[i : i + 1], part)


def test_large_row_numbers_differ() -> None:
    rows = torch.tensor([1, 1 + 2**32, 2**40])
    values = draws.uniform(0, 0, "a", rows, (64,))
    assert len({tuple(row.tolist()) for row in values}) == 3


def test_rows_whose_first_words_are_near_do_not_share_their_numbers() -> None:
    known = sorted((words(0, 0, "a", row)[0], row) for row in range(20000))
    near = [
        (one[1], other[1])
        for one, other in zip(known, known[1:], strict=False)
        if (one[0] ^ other[0]) < 1024 and one[0] != other[0]
    ]
    assert near
    for pair in near[:20]:
        one, other = draws.uniform(0, 0, "a", torch.tensor(pair), (1024,)).numpy()
        assert len(np.intersect1d(one, other)) < 8


# Evenness -----------------------------------------------------------------------------------------


def test_draws_are_even(size: tuple[int, int]) -> None:
    flat = numbers(rows=size[0], units=size[1]).flatten()
    assert flat.min() >= 0
    assert flat.max() < 1
    assert stats.kstest(flat.numpy(), "uniform").pvalue > LEVEL
    for bins in (2, 10, 100, 1000, 4096):
        assert stats.chisquare(np.bincount((flat * bins).long().numpy(), minlength=bins)).pvalue > LEVEL


def test_each_of_their_bits_is_even_and_independent_of_the_others(size: tuple[int, int]) -> None:
    whole = (numbers(rows=size[0], units=size[1]).flatten() * 2**24).long()
    bits = torch.stack([(whole >> place) & 1 for place in range(24)]).double() * 2 - 1
    # Under chance, sums of n signs over sqrt(n) are normal.
    products = (bits @ bits.T / len(whole) ** 0.5).numpy()
    singles = (bits.sum(1) / len(whole) ** 0.5).numpy()
    off = products[np.triu_indices(24, 1)]
    assert stats.kstest(off, "norm").pvalue > LEVEL
    assert np.abs(off).max() < 4.5
    assert np.abs(singles).max() < 4


def test_rows_and_units_are_each_even(size: tuple[int, int]) -> None:
    values = numbers(rows=size[0], units=size[1]).double()
    for axis in (0, 1):
        means = (values.mean(axis) - 0.5) * (12 * values.shape[axis]) ** 0.5
        assert stats.kstest(means.numpy(), "norm").pvalue > LEVEL
        kept = (values >= 0.3).sum(axis).numpy()
        spread = ((kept - 0.7 * values.shape[axis]) ** 2).sum() / (0.21 * values.shape[axis])
        assert LEVEL < stats.chi2.cdf(spread, len(kept)) < 1 - LEVEL


# Independence -------------------------------------------------------------------------------------


def pairs(first: torch.Tensor, second: torch.Tensor, bins: int = 16) -> float:
    """How likely it is that two draws have nothing to do with each other: a chi-square over a grid."""
    cells = (first * bins).long() * bins + (second * bins).long()
    return float(stats.chisquare(np.bincount(cells.flatten().numpy(), minlength=bins * bins)).pvalue)


@pytest.mark.parametrize("lag", [1, 2, 3, 7, 28, 32, 100, 512])
def test_units_that_lie_apart_are_independent(lag: int, size: tuple[int, int]) -> None:
    values = numbers(rows=size[0], units=size[1])
    assert pairs(values[:, :-lag], values[:, lag:]) > LEVEL


@pytest.mark.parametrize("lag", [1, 2, 3, 16, 64, 500])
def test_rows_that_lie_apart_are_independent(lag: int, size: tuple[int, int]) -> None:
    values = numbers(rows=size[0], units=size[1])
    assert pairs(values[:-lag], values[lag:]) > LEVEL


@pytest.mark.parametrize("mask", [1, 2, 3, 4, 64, 511, 1023])
def test_units_whose_numbers_differ_in_a_few_bits_are_independent(mask: int, size: tuple[int, int]) -> None:
    values = numbers(rows=size[0], units=1024)
    assert pairs(values, values[:, torch.arange(1024) ^ mask]) > LEVEL


@pytest.mark.parametrize(
    "other",
    [{"step": 1}, {"step": 2}, {"step": 1000}, {"seed": 1}, {"seed": 2**62}, {"path": "b"}, {"path": "a.0"}],
    ids=str,
)
def test_draws_of_other_steps_seeds_and_layers_are_independent(other: dict, size: tuple[int, int]) -> None:
    how = {"rows": size[0], "units": size[1]}
    first, second = numbers(**how), numbers(**how, **other)
    assert pairs(first, second) > LEVEL
    assert pairs(first[1:], second[:-1]) > LEVEL
    assert pairs(first[:, 1:], second[:, :-1]) > LEVEL


def test_three_in_a_row_are_independent(size: tuple[int, int]) -> None:
    cells = (numbers(rows=size[0], units=size[1] // 3 * 3) * 8).long().reshape(-1, 3)
    counts = np.bincount((cells @ torch.tensor([64, 8, 1])).numpy(), minlength=512)
    assert stats.chisquare(counts).pvalue > LEVEL


def test_the_order_of_five_neighbours_is_even(size: tuple[int, int]) -> None:
    five = numbers(rows=size[0], units=size[1] // 5 * 5).reshape(-1, 5).argsort(1).argsort(1)
    _, counts = np.unique((five @ torch.tensor([625, 125, 25, 5, 1])).numpy(), return_counts=True)
    assert len(counts) == 120
    assert stats.chisquare(counts).pvalue > LEVEL


def test_a_mask_has_no_visible_structure() -> None:
    mask = (numbers(rows=1024, units=1024) >= 0.5).double().numpy() * 2 - 1
    power = np.abs(np.fft.fft2(mask)) ** 2 / mask.size
    half = power[1:512, 1:].flatten()  # the rest repeats it
    assert stats.kstest(half, "expon").pvalue > LEVEL
    assert half.max() < np.log(len(half)) + 10


def test_steps_of_one_unit_are_independent(full: bool) -> None:
    steps = 4000 if full else 600
    over = torch.stack([numbers(step=step, rows=40, units=40) for step in range(steps)])
    assert pairs(over[1:], over[:-1]) > LEVEL
    kept = (over >= 0.5).sum(0).flatten().numpy()
    spread = ((kept - steps / 2) ** 2).sum() / (steps / 4)
    assert LEVEL < stats.chi2.cdf(spread, len(kept)) < 1 - LEVEL


# Dropout ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.5, 0.75, 0.95])
def test_dropout_has_the_mean_and_the_variance_that_it_should(rate: float, size: tuple[int, int]) -> None:
    x = torch.ones(size)
    y = walk(rt.Chain(rt.Dropout(rate), input=size[1:]), {"input": x}, {}, Run(training=True))["output"]
    kept = int((y != 0).sum())
    assert stats.binomtest(kept, y.numel(), 1 - rate).pvalue > LEVEL
    assert torch.equal(y.unique(), torch.tensor([0.0, 1 / (1 - rate)]))
    assert float(y.double().mean()) == pytest.approx(1, abs=5 * (rate / (1 - rate) / y.numel()) ** 0.5)
    assert float(y.double().var()) == pytest.approx(rate / (1 - rate), rel=0.02)
    by_row = (y != 0).sum(1).numpy()
    spread = ((by_row - (1 - rate) * size[1]) ** 2).sum() / (rate * (1 - rate) * size[1])
    assert LEVEL < stats.chi2.cdf(spread, len(by_row)) < 1 - LEVEL
