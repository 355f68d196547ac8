"""Programs against the walk: every layer, random nets, masks, shared layers, numbers that are none.

Programs are planned with other numbers than they are then run with, twice, so nothing of the planning can
stand in an answer. See ``tapes.off`` for how near is near enough.
"""

from __future__ import annotations

from random import Random

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tapes import NetJob, Tensors, off, otherwise, programs

import retia as rt
from contract.layer_cases import CASES
from nets.random_nets import nets

TYPES = (torch.float64, torch.float32)
SEEDS = st.integers(0, 2**32)
UNSETTLED = ("GELU", "ReLU6", "HardTanh")
"""Layers that PyTorch computes with kernels of which one says NaN, another a number, where the input is not
finite; which of them runs depends on where a number stands in memory."""


def numbers(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def typed(tensors: Tensors, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    return {name: t.to(dtype) if t.is_floating_point() else t for name, t in tensors.items()}


def moved(arrays: Tensors, seed: int) -> dict[str, torch.Tensor]:
    """Arrays with something added, always the same for a seed."""
    random = numbers(seed)
    return {
        path: a + 0.1 * torch.rand(a.shape, generator=random) if a.is_floating_point() else a
        for path, a in arrays.items()
    }


def compare(job: NetJob, recorded: Tensors, *others: Tensors) -> None:
    """All kinds of programs of a job, made for one set of inputs, against the walk on others."""
    made = programs(job, recorded)
    for given_ in others:
        walked, other = job(**given_), job(**otherwise(given_))
        for kind, program in made.items():
            assert not off(program(given_), walked, other), kind


# Layers -------------------------------------------------------------------------------------------


def check_layer(name: str, seed: int, dtype: torch.dtype, training: bool) -> None:
    case = CASES[name](Random(f"{name} {seed}"))
    net = case.net()
    start = net.init().arrays

    def draw(seed: int) -> dict[str, torch.Tensor]:
        inputs = {
            port: case.draw((3, *shape), numbers(seed + place), place)
            for place, (port, shape) in enumerate(zip(net.wiring.inputs, case.shapes, strict=True))
        }
        return typed(job.inputs(inputs, moved(start, seed)), dtype)

    job = NetJob(net, training)
    compare(job, draw(seed), draw(seed + 10), draw(seed + 20))


@pytest.mark.parametrize("name", CASES)
def test_a_program_of_a_layer_is_its_walk(name: str, full: bool) -> None:
    for seed in range(30 if full else 1):
        check_layer(name, seed, torch.float32, training=True)
        check_layer(name, seed + 1, torch.float64, training=True)
        check_layer(name, seed + 2, torch.float32, training=False)


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_program_of_a_batch_of_none_is_its_walk(name: str) -> None:
    case = CASES[name](Random(f"{name} 1"))
    net = case.net()
    if case.shapes and type(net) is not rt.BatchNorm:  # which has nothing to learn from none
        inputs = {
            port: typed({port: case.draw((0, *shape), numbers(0), place)}, torch.float32)[port]
            for place, (port, shape) in enumerate(zip(net.wiring.inputs, case.shapes, strict=True))
        }
        job = NetJob(net)
        given_ = job.inputs(inputs, net.init().arrays)
        compare(job, given_, given_)


# Random nets --------------------------------------------------------------------------------------


def drawn(net: rt.Net, seed: int, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    x = torch.rand((3, *net.inputs["input"].shape), generator=numbers(seed), dtype=dtype)
    return typed(NetJob(net).inputs({"input": x}, moved(net.arrays, seed)), dtype)


@given(nets(), SEEDS, st.sampled_from(TYPES), st.booleans())
def test_a_program_of_a_random_net_is_its_walk(net, seed, dtype, training):
    net = net.init(seed=0)
    compare(NetJob(net, training), *(drawn(net, seed + k, dtype) for k in range(3)))


@given(nets(), SEEDS, st.sampled_from([float("nan"), float("inf"), -float("inf")]), st.booleans())
def test_what_is_not_a_number_or_infinite_goes_where_the_walk_takes_it(net, seed, odd, weights):
    assume(not any(f"{name}(" in repr(net) for name in UNSETTLED))
    net = net.init(seed=0)
    spoiled = drawn(net, seed, torch.float32)
    learned = [f"at {path}" for path in net.learned()]
    name = Random(seed).choice(learned) if weights and learned else "in input"
    spoiled[name].view(-1)[seed % spoiled[name].numel()] = odd
    compare(NetJob(net), drawn(net, seed + 1, torch.float32), spoiled, drawn(net, seed + 2, torch.float32))


@pytest.mark.full
@settings(max_examples=1500)
@given(nets(), SEEDS, st.sampled_from(TYPES), st.booleans())
def test_programs_of_very_many_random_nets_are_their_walks(net, seed, dtype, training):
    net = net.init(seed=0)
    compare(NetJob(net, training), *(drawn(net, seed + k, dtype) for k in range(3)))


# Ports, masks, sharing ----------------------------------------------------------------------------


def check_net(net: rt.Net, inputs, *, training: bool = True, lengths=None) -> None:
    """Against the walk in both types; ``inputs`` and ``lengths`` make them from a seed."""
    net = net.init(seed=0)
    for dtype in TYPES:
        sets = []
        for seed in range(3):
            long = {} if lengths is None else lengths(seed)
            job = NetJob(net, training)
            sets.append(typed(job.inputs(inputs(seed), moved(net.arrays, seed), long), dtype))
        compare(NetJob(net, training), *sets)


def reals(*shape: int):
    return lambda seed: {"input": torch.rand((4, *shape), generator=numbers(seed))}


VARYING = {
    "pass": (rt.Linear(3), rt.ReLU(), rt.LayerNorm(), rt.Dropout(0.3)),
    "softmax": (rt.Softmax(axis=0), rt.Linear(2)),
    "batch norm": (rt.Transpose(1, 0), rt.BatchNorm(), rt.Transpose(1, 0)),
    "mean": (rt.Linear(3), rt.Reduce("mean", 0)),
    "max": (rt.Tanh(), rt.Reduce("max", 0), rt.Linear(2)),
    "map": (rt.Map(rt.Chain(rt.Linear(3), rt.Dropout(0.3), rt.BatchNorm(), rt.Tanh())),),
    "fold": (rt.Fold(rt.Graph(lambda x, h: rt.Tanh()(rt.Dropout(0.3)(x) + rt.Linear(5)(h))), 5), rt.Last()),
    "convolution": (rt.Transpose(1, 0), rt.Conv1d(3, 2), rt.ReLU(), rt.MaxPool1d(2), rt.GlobalAvgPool()),
}


@pytest.mark.parametrize("layers", VARYING.values(), ids=VARYING)
@pytest.mark.parametrize("training", [True, False])
def test_lengths_are_inputs_of_a_program(layers, training):
    def lengths(seed):
        return {"n": torch.randint(4, 8, (4,), generator=numbers(seed)).clamp_(max=7)}

    check_net(rt.Chain(*layers, input=rt.Input("n", 5)), reals(7, 5), training=training, lengths=lengths)


def test_several_inputs_and_outputs():
    net = rt.Graph(
        {"a": rt.Linear(3), "b": rt.Linear(3), "sum": rt.Plus(), "c": rt.Tanh(), "d": rt.Softmax()},
        "left -> a -> sum", "right -> b -> sum", "sum -> c -> first", "sum -> d -> second",
        input={"left": 4, "right": 5}, output={"first": 3, "second": 3},
    )  # fmt: skip
    check_net(
        net,
        lambda seed: {
            "left": torch.rand(4, 4, generator=numbers(seed)),
            "right": torch.rand(4, 5, generator=numbers(seed + 9)),
        },
    )


def test_shared_layers():
    both = rt.Shared("both", rt.Linear(4))
    check_net(rt.Chain(both, rt.Tanh(), both, rt.BatchNorm(), both, input=4), reals(4))


def test_whole_numbers_in():
    net = rt.Chain(rt.Embedding(5, classes=9), rt.Dropout(0.4), rt.Flatten(), rt.Linear(3), input=6)
    check_net(net, lambda seed: {"input": torch.randint(9, (4, 6), generator=numbers(seed))})
    pixels = rt.Chain(rt.Flatten(), rt.Linear(3), rt.ReLU(), input=(2, 3))
    check_net(pixels, lambda seed: {"input": torch.randint(255, (4, 2, 3), dtype=torch.uint8)})


def test_pictures_through_everything_that_pictures_go_through():
    net = rt.Chain(
        rt.Conv2d(4, 3, padding=1, bias=False), rt.BatchNorm(), rt.ReLU(), rt.MaxPool2d(2),
        rt.Graph(lambda x: x + rt.Conv2d(4, 3, padding=1)(rt.ReLU()(x))), rt.Conv2d(6, 2), rt.ReLU(),
        rt.MaxPool2d(2), rt.Dropout(0.3), rt.Flatten(), rt.Linear(5), rt.LogSoftmax(), input=(2, 9, 8),
    )  # fmt: skip
    check_net(net, reals(2, 9, 8))
    check_net(net, reals(2, 9, 8), training=False)
