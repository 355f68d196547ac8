"""Random draws: pure functions of what they are for, even and independent."""

import torch
from scipy import stats

from retia.engine import draws


def numbers(seed=0, step=0, path="a", rows=2000, units=50):
    return draws.uniform(seed, step, path, torch.arange(rows), (units,))


def test_a_draw_depends_on_its_example_and_not_on_the_batch():
    whole = numbers()
    parts = [draws.uniform(0, 0, "a", torch.tensor([i]), (50,)) for i in (0, 7, 1999)]
    for i, part in zip((0, 7, 1999), parts, strict=True):
        assert torch.equal(whole[i : i + 1], part)


def test_draws_are_even():
    flat = numbers().flatten()
    assert flat.min() >= 0
    assert flat.max() < 1
    assert stats.kstest(flat.numpy(), "uniform").pvalue > 1e-3
    counts = torch.histc(flat, 100, 0, 1)
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3


def test_draws_of_other_steps_seeds_layers_rows_and_units_are_independent():
    first = numbers()
    others = [numbers(step=1), numbers(seed=1), numbers(path="b"), first.roll(1, 0), first.roll(1, 1)]
    for other in others:
        assert abs(stats.pearsonr(first.flatten().numpy(), other.flatten().numpy())[0]) < 0.015
        kept = torch.stack([first > 0.5, other > 0.5]).flatten(1).float()
        assert abs((kept[0] * kept[1]).mean().item() - 0.25) < 0.006


def test_large_row_numbers_differ():
    rows = torch.tensor([1, 1 + 2**32, 2**40])
    values = draws.uniform(0, 0, "a", rows, (64,))
    assert len({tuple(row.tolist()) for row in values}) == 3
