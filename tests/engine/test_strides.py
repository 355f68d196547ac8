"""What is said of operations and layouts, tried on every call that layers and losses make."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from itertools import permutations
from random import Random
from typing import Any, NamedTuple

import pytest
import torch
from tapes import Job, NetJob, Tensors

from contract.layer_cases import CASES
from retia.engine.kernels import forms
from retia.engine.strides import ALIKE, misread, reads_any, stands_so, takes_any, writes_there
from retia.engine.trace import map_refs, map_tensors, record

F = torch.nn.functional


class Made(NamedTuple):
    """A call with its numbers, and what it gave."""

    op: Any
    args: Any
    kwargs: Any
    results: tuple[torch.Tensor, ...]


def numbers(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def calls(job: Job, given: Tensors) -> list[Made]:
    """Every call of a tape that gives tensors in memory of their own."""
    tape = record(job, given)
    values = {ref.number: given[name] for name, ref in tape.inputs.items()} | tape.constants
    found = []
    for call in tape.calls:
        args, kwargs = (map_refs(each, lambda r: values[r.number]) for each in (call.args, dict(call.kwargs)))
        made = call.op(*args, **kwargs)
        made = tuple(made) if isinstance(made, list | tuple) else (made,)
        values.update({r.number: each for r, each in zip(call.results, made, strict=True) if r is not None})
        own = all(tape.facts[ref.number].alias == ref.number for ref in call.made())
        if own and not call.written() and len(call.made()) == len(made):
            kept = map_tensors([args, kwargs, made], torch.Tensor.clone)  # some are changed in place later
            found.append(Made(call.op, *kept))
    return found


def pulled(loss) -> Job:
    """A loss and its derivative."""

    def job(x, t):
        leaf = x.detach().requires_grad_()
        with torch.enable_grad():
            y = loss(leaf, t)
            pull = torch.linspace(0.5, 1.5, y.numel()).view(y.shape)
            return {"y": y.detach(), "dx": torch.autograd.grad(y, leaf, pull)[0]}

    return job


LOSSES = {
    "cross entropy": lambda x, t: F.cross_entropy(x, t.argmax(1)),
    "weighted": lambda x, t: F.cross_entropy(x, t.argmax(1), torch.arange(1.0, 6), label_smoothing=0.1),
    "log sigmoid": lambda x, t: F.logsigmoid(x) * t,
    "gather": lambda x, t: x.gather(1, t.argmax(1, keepdim=True)),
    "rows": lambda x, t: x[t.argmax(1)],
    "nearest": lambda x, t: F.interpolate(x[None, None], scale_factor=2),
    "adaptive": lambda x, t: F.adaptive_avg_pool2d(x[None, None], 2),
    "gated": lambda x, t: F.glu(torch.stack([x, t]).flip(0).roll(1, 1), 0),
    "attention": lambda x, t: F.scaled_dot_product_attention(x[None, None], t[None, None], x[None, None]),
    "reflected": lambda x, t: F.pad(x[None, None], (1, 1, 1, 1), mode="reflect"),
    "norms": lambda x, t: x.var(0) + x.norm() + x.logsumexp(0) + x.cumsum(0)[0],
    **{
        f"{name} {how}": lambda x, t, name=name, how=how: getattr(F, name)(x.sigmoid(), t, reduction=how)
        for how in ("none", "mean", "sum")
        for name in ("mse_loss", "smooth_l1_loss", "huber_loss", "l1_loss", "binary_cross_entropy")
    },
    "with logits": lambda x, t: F.binary_cross_entropy_with_logits(x, t),
}


@cache
def samples() -> dict[str, list[Made]]:
    """Calls of every layer and of losses, by operation."""
    made: list[Made] = []
    for name in CASES:
        for seed in range(3):
            case = CASES[name](Random(f"{name} {seed}"))
            net = case.net().init(seed=0)
            inputs = {
                port: case.draw((3, *shape), numbers(seed + i), i)
                for i, (port, shape) in enumerate(zip(net.wiring.inputs, case.shapes, strict=True))
            }
            inputs = {n: t.float() if t.is_floating_point() else t for n, t in inputs.items()}
            job = NetJob(net, training=seed != 1)
            made += calls(job, job.inputs(inputs, net.arrays))
    given = {"x": torch.randn(6, 5, generator=numbers()), "t": torch.rand(6, 5, generator=numbers(1))}
    for loss in LOSSES.values():
        made += calls(pulled(loss), given)
    found: dict[str, list[Made]] = defaultdict(list)
    for each in made:
        random = torch.Tag.nondeterministic_seeded in each.op.tags or "empty" in each.op.name()
        if not random and len(found[each.op.name()]) < 40:
            found[each.op.name()].append(each)
    return found


def laid(tensor: torch.Tensor, order) -> torch.Tensor:
    """The same numbers, with axes in another order in memory, the slowest first."""
    back = [order.index(axis) for axis in range(len(order))]
    return tensor.permute(order).clone(memory_format=torch.contiguous_format).permute(back)


def orders(rank: int):
    if rank < 4:
        return [*permutations(range(rank))]
    return [[*reversed(range(rank))], [0, *range(2, rank), 1], [*range(rank - 2), rank - 1, rank - 2]]


def wide(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to(torch.complex128 if tensor.is_complex() else torch.float64)


def same(got, expected) -> bool:
    return all(
        a.shape == b.shape and torch.allclose(wide(a), wide(b), 1e-5, 1e-6, equal_nan=True)
        for a, b in zip(got, expected, strict=True)
    )


def test_there_are_many_samples():
    assert len(samples()) > 120
    assert sum(takes_any(each[0].op) for each in samples().values()) > 80


def shuffled(tensor: torch.Tensor, random: Random) -> torch.Tensor:
    return laid(tensor, random.sample(range(tensor.dim()), tensor.dim()))


def test_operations_that_take_any_layout_read_any():
    """Every tensor of a call in a layout of its own."""
    random = Random(0)
    for name, group in samples().items():
        for made in group:
            tried = reads_any(made.op) and made.op._schema.name not in ALIKE
            for _ in range(4 if tried else 0):
                found = made.op(*map_tensors(made.args, lambda each: shuffled(each, random)), **made.kwargs)
                found = found if isinstance(found, list | tuple) else (found,)
                assert same(found, made.results), name


def test_the_derivative_of_a_batch_normalization_reads_what_stands_alike():
    op = torch.ops.aten.native_batch_norm_backward.default
    x, pull = (torch.rand(3, 4, 1, 4, generator=numbers(seed)) for seed in range(2))
    rest = [torch.rand(4, generator=numbers(seed)) + 0.5 for seed in range(3, 8)]
    expected = op(pull, x, *rest, False, 1e-5, [True] * 3)
    for order in permutations(range(4)):
        turned = (laid(pull, order), laid(x, order), *rest)
        assert not misread(op, turned, [pull.stride(), x.stride(), *[(1,)] * 5])
        assert same(op(*turned, False, 1e-5, [True] * 3), expected)
        mixed = (laid(pull, order), x, *rest)
        told = misread(op, mixed, [pull.stride(), x.stride(), *[(1,)] * 5])
        assert told == ([] if mixed[0].stride() == x.stride() else [0])


def test_results_are_written_wherever_it_is_said_that_they_can_be():
    tried = 0
    for name, group in samples().items():
        for made in group:
            for form in forms(made.op):
                for order in orders(made.results[0].dim()):
                    tried += check_form(name, made, form, order)
    assert tried > 2000


def check_form(name: str, made: Made, form, order) -> bool:
    outs = [
        laid(torch.full_like(each, 7), order if each.dim() == len(order) else [*range(each.dim())])
        for each in made.results
    ]
    if len(outs) != len(form.outs) or not writes_there(made.op, made.args, outs):
        return False
    before = [(out.data_ptr(), out.stride()) for out in outs]
    try:
        form.function(*made.args, **made.kwargs, **dict(zip(form.outs, outs, strict=True)))
    except TypeError:
        return False
    assert all(
        out.data_ptr() == place and stands_so(out, way)
        for out, (place, way) in zip(outs, before, strict=True)
    )
    assert same(outs, made.results), (name, order)
    return True


@pytest.mark.parametrize("loss", ["mse_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy"])
def test_a_mean_is_not_written_where_pytorch_makes_room_for_more(loss):
    op = getattr(torch.ops.aten, loss).default
    x = torch.rand(3)
    assert not writes_there(op, (x, x), [torch.zeros(())])


def test_strides_of_axes_of_one_or_none_do_not_count():
    assert stands_so(torch.zeros(3, 1, 4), (4, 99, 1))
    assert not stands_so(torch.zeros(3, 2, 4), (4, 99, 1))
    assert stands_so(torch.zeros(3, 0), (7, 7))
