"""``net(x)`` again and again, and ``net.program``, against the walk: every layer, random nets."""

from __future__ import annotations

from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tapes import off

import retia as rt
from contract.layer_cases import CASES
from nets.random_nets import nets
from retia.engine import pools
from retia.engine.pools import programs_of
from retia.engine.walk import walk

SEEDS = st.integers(0, 2**32)


def numbers(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def doubled(net: rt.Net) -> rt.Net:
    return net.with_arrays({p: t.double() for p, t in net.arrays.items() if t.is_floating_point()})


def moved(net: rt.Net, seed: int) -> rt.Net:
    """The net with something added to its arrays."""
    random = numbers(seed)
    return net.with_arrays(
        {
            path: a + 0.1 * torch.rand(a.shape, generator=random)
            for path, a in net.arrays.items()
            if a.is_floating_point()
        }
    )


def of_case(name: str, seed: int) -> tuple[rt.Net, dict[str, torch.Tensor]]:
    case = CASES[name](Random(f"{name} {seed}"))
    net = moved(case.net().init(), seed)
    inputs = {
        port: case.draw((3, *shape), numbers(seed), place)
        for place, (port, shape) in enumerate(zip(net.inputs, case.shapes, strict=True))
    }
    return net, {n: x if x.dtype == torch.int64 else x.float() for n, x in inputs.items()}


def typed(net: rt.Net, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Whole numbers where the net's ports take them, else its real type."""
    real = next((a.dtype for a in net.arrays.values() if a.is_floating_point()), torch.float32)
    return {n: x.to(torch.int64 if net.inputs[n].kind == "int" else real) for n, x in inputs.items()}


def same_bits(one: torch.Tensor, two: torch.Tensor) -> bool:
    return (
        one.dtype == two.dtype
        and torch.equal(one.nan_to_num(), two.nan_to_num())
        and torch.equal(one.isnan(), two.isnan())
    )


def check_repeats(net: rt.Net, inputs: dict[str, torch.Tensor]) -> None:
    """A call answers the same bits before and after there is a program for it."""
    thing = next(iter(inputs.values())) if len(inputs) == 1 else inputs
    answers = [net.batch(thing, None) for _ in range(pools.OFTEN + 2)]
    first = answers[0] if isinstance(answers[0], dict) else {"output": answers[0]}
    with torch.no_grad():  # while derivatives are recorded, PyTorch takes another kernel for LSTMs
        expected = walk(net, typed(net, inputs), net.arrays)
    for answer in answers:
        found = answer if isinstance(answer, dict) else {"output": answer}
        assert all(same_bits(found[name], first[name]) for name in first)
    assert all(same_bits(first[name], tensor) for name, tensor in zip(first, expected.values(), strict=True))


def check_program(net: rt.Net, inputs: dict[str, torch.Tensor]) -> None:
    """A program answers what the walk does, in single and in double precision."""
    for each, exact in ((net, doubled(net)), (doubled(net), None)):
        taken = typed(each, inputs)
        rows = len(next(iter(taken.values())))
        expected = walk(each, taken, each.arrays)
        found = each.program(batch=rows)(taken)
        named = dict(zip(expected, found.values() if isinstance(found, dict) else [found], strict=True))
        truth = None if exact is None else walk(exact, typed(exact, taken), exact.arrays)
        assert not off(named, expected, truth)


@pytest.mark.parametrize("name", CASES)
def test_a_layer_called_often_answers_the_same_bits(name: str) -> None:
    net, inputs = of_case(name, 0)
    if inputs:
        check_repeats(net, inputs)
        assert programs_of(net).bytes >= 0


@pytest.mark.parametrize("name", CASES)
def test_a_layers_program_answers_what_its_walk_does(name: str, full: bool) -> None:
    for seed in range(20 if full else 2):
        net, inputs = of_case(name, seed)
        if inputs:
            check_program(net, inputs)


@pytest.mark.parametrize("size", [1, 5, 16])
def test_an_lstm_called_often_answers_the_same_bits(size: int) -> None:
    for seed in range(5):
        net = rt.Chain(rt.LSTM(size), rt.LogSoftmax(), input=(3, 5)).init(seed=seed)
        check_repeats(net, {"input": torch.rand((3, 3, 5), generator=numbers(seed))})
        assert programs_of(net).bytes > 0


@given(nets(), SEEDS)
def test_a_random_net_called_often_answers_the_same_bits(net: rt.Net, seed: int) -> None:
    net = moved(net.init(seed=0), seed)
    check_repeats(net, {"input": torch.rand((3, *net.inputs["input"].shape), generator=numbers(seed))})


@given(nets(), SEEDS)
def test_a_random_nets_program_answers_what_its_walk_does(net: rt.Net, seed: int) -> None:
    net = moved(net.init(seed=0), seed)
    check_program(net, {"input": torch.rand((3, *net.inputs["input"].shape), generator=numbers(seed))})


@given(nets(), SEEDS, st.sampled_from([float("nan"), float("inf"), -float("inf")]))
def test_a_program_leaves_no_numbers_where_the_walk_does(net: rt.Net, seed: int, odd: float) -> None:
    if "GELU" in repr(net) and odd == odd:
        return  # PyTorch's own answer for infinite numbers depends on where they stand
    net = moved(net.init(seed=0), seed)
    x = torch.rand((3, *net.inputs["input"].shape), generator=numbers(seed))
    x.view(-1)[seed % x.numel()] = odd
    check_program(net, {"input": x})


def test_a_small_net_gets_a_program_at_its_third_call_and_a_large_batch_none() -> None:
    net = rt.Chain(rt.Linear(4), rt.ReLU(), input=8).init()
    x = torch.randn(2, 8)
    for calls in range(pools.OFTEN):
        assert programs_of(net).bytes == 0, calls
        net(x, None)
    net(x, None)
    assert programs_of(net).bytes > 0
    held, large = programs_of(net).bytes, torch.randn(pools.SMALL, 8)
    for _ in range(pools.OFTEN + 2):
        net(large, None)
    assert programs_of(net).bytes == held
