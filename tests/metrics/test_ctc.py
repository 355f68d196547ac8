"""CTC against PyTorch's own and against all ways in time; sequences of their own lengths as targets."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import retia as rt
from retia.engine.walk import Run, walk_values
from retia.metrics.objective import objective


def drawn(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


PADDED = torch.tensor([[1, 2, 2, -1], [3, -1, -1, -1], [-1, -1, -1, -1], [1, 1, 1, 2]])
COUNTS = torch.tensor([3, 1, 0, 4])


def ways(p, target):
    """The chance of all ways that say a target, one by one."""
    total = 0.0
    for way in itertools.product(range(p.shape[1]), repeat=p.shape[0]):
        said = [c for c, _ in itertools.groupby(way) if c != 0]
        if said == target:
            total += math.prod(p[time, c] for time, c in enumerate(way))
    return total


def test_ctc_is_the_chance_of_all_ways():
    logits = drawn(4, 7, 4, dtype=torch.float64)
    found = rt.CTC().of_logits(logits, PADDED)
    targets = [row[:count].tolist() for row, count in zip(PADDED, COUNTS, strict=True)]
    expected = [-math.log(ways(p.softmax(1).numpy(), t)) for p, t in zip(logits, targets, strict=True)]
    assert np.allclose(found.numpy(), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("blank", [0, 3])
def test_ctc_is_pytorchs_to_the_bit(blank):
    targets = PADDED if blank == 0 else torch.where(PADDED == 3, 0, PADDED)
    ours, theirs = (drawn(4, 9, 4).requires_grad_() for _ in range(2))
    found = rt.CTC(blank=blank).of_logits(ours, targets)
    expected = F.ctc_loss(
        theirs.log_softmax(2).transpose(0, 1), targets.clamp_min(0), (9,) * 4, tuple(COUNTS.tolist()), blank,
        reduction="none",
    )  # fmt: skip
    assert found.equal(expected)
    assert torch.autograd.grad(found.sum(), ours)[0].equal(torch.autograd.grad(expected.sum(), theirs)[0])


def test_rows_may_be_padded_with_blanks_too():
    logits = drawn(4, 7, 4)
    assert rt.CTC().of_logits(logits, PADDED).equal(rt.CTC().of_logits(logits, PADDED.clamp_min(0)))


def test_probabilities_and_their_logits_have_one_loss():
    logits = drawn(4, 7, 4, dtype=torch.float64)
    assert torch.allclose(rt.CTC().formula(logits.softmax(2), PADDED), rt.CTC().of_logits(logits, PADDED))


def test_derivatives_agree_with_differences():
    logits = drawn(4, 7, 4, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda y: rt.CTC().of_logits(y, PADDED), logits)


def test_only_the_times_that_an_example_has_count():
    net = rt.Chain(rt.Linear(4), rt.Softmax(), input=("n", 2)).init()
    long, short = drawn(1, 8, 2), drawn(1, 5, 2, seed=1)
    lower = objective(net, "ctc")

    def loss(x, targets, **how):
        values = walk_values(net, {"input": x}, net.arrays, Run(lengths=how.get("lengths", {})), lower.wanted)
        return lower(values, {"output": targets}, **how)

    together = loss(
        torch.cat([long, F.pad(short, (0, 0, 0, 3))]), PADDED[:2], lengths={"n": torch.tensor([8, 5])}
    )
    assert torch.allclose(together, (loss(long, PADDED[:1]) + loss(short, PADDED[1:2])) / 2)


# As targets of a training -------------------------------------------------------------------------


def spoken(count=80, time=8):
    """Times that say 1, 2 or nothing; the target is what is said."""
    draw = np.random.default_rng(0)
    said = [draw.integers(1, 3, draw.integers(1, 4)).tolist() for _ in range(count)]
    x = 0.1 * draw.normal(size=(count, time, 3))
    for row, sequence in enumerate(said):
        for place, number in enumerate(sequence):
            x[row, 2 * place, number] += 1
    return x.astype(np.float32), said


def reader():
    return rt.Chain(rt.Linear(3), rt.Softmax(), input=(8, 3))


def padded(sequences):
    return np.array([sequence + [-1] * (3 - len(sequence)) for sequence in sequences])


@pytest.mark.parametrize(
    "form", [lambda y: y, lambda y: [np.array(s) for s in y], padded], ids=["lists", "arrays", "padded"]
)
def test_a_net_learns_to_read_sequences_of_their_own_lengths(form):
    x, said = spoken()
    run = rt.train(
        reader(), (x, form(said)), loss="ctc", epochs=15, batch_size=16, optimizer=rt.Adam(0.1),
        progress=False, seed=0,
    )  # fmt: skip
    assert run.history[-1]["loss"] < 0.2 * run.history[0]["loss"]
    best = run.net(x).argmax(2).tolist()
    read = [[c for c, _ in itertools.groupby(row) if c] for row in best]
    assert sum(r == s for r, s in zip(read, said, strict=True)) > 70


def test_no_flat_program_is_made_of_it():
    x, said = spoken(20)
    run = rt.train(reader(), (x, said), loss="ctc", epochs=2, batch_size=4, progress=False)
    assert run.settings["engine"].startswith("walk")


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        (
            [[1, 2], [1, 4]],
            "output: row 1 has the class number 4, but there are 4 classes, numbered from 0.\n"
            "  fix   output=rt.Classes(labels) takes labels of any kind and numbers them",
        ),
        (
            [[1, 2], [0, 3]],
            "output: row 1 has 0 (the blank) or a negative number before its end.\n"
            "  fix   class numbers without the blank, then only -1; or another CTC(blank=...)",
        ),
        (
            [[1, 2, 3], [1, 1, 2]],
            "output: row 1 needs 4 times, one for each class number and one between two of the same, but the "
            "net gives 3.\n  fix   a net that gives more times, or shorter targets",
        ),
    ],
)
def test_sequences_that_cannot_be_are_refused_with_their_row(targets, said):
    net = rt.Chain(rt.Linear(4), rt.Softmax(), input=(3, 2))
    with pytest.raises(rt.DataError) as caught:
        objective(net, "ctc").check({"output": torch.tensor(targets)})
    assert str(caught.value) == said


def test_targets_that_are_no_sequences_are_refused():
    net = rt.Chain(rt.Linear(4), rt.Softmax(), input=(3, 2))
    with pytest.raises(rt.ShapeError) as caught:
        objective(net, "ctc").check({"output": torch.tensor([1, 2])})
    assert str(caught.value) == (
        "output: the net gives (3, 4) for each example, but the targets are (); ctc cannot compare these.\n"
        "  fix   sequences of class numbers, one for each example; shorter ones end in -1"
    )
