"""What every layer promises to who leads it along a sequence: the pieces of the whole, or a refusal."""

from __future__ import annotations

from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from layer_cases import CASES, Case

import retia as rt
from retia.engine.stateful import Stateful

GOES = {
    "Attention", "MultiHeadAttention", "GRU", "LSTM", "RNN", "PositionEmbedding", "SinusoidalPositions",
    "First", "Last", "ReLU", "Linear", "Embedding", "LayerNorm", "Softmax", "Plus", "Concat", "Part",
}  # fmt: skip
"""Layers of which some case at least can be led along."""


def viewed(case: Case, r: Random) -> tuple[Stateful, rt.Net, dict[str, torch.Tensor], list[str]] | None:
    """A view of a layer's net, the net, its inputs, and those that go along; None where there is none."""
    net = case.net()
    names = list(net.wiring.inputs)
    moving = [name for name in names if r.random() < 0.7] or names[:1]
    lengths = {net.inputs[name].shape[:1] for name in moving}
    if len(lengths) > 1 or () in lengths:
        return None
    net = net.init()
    net = net.with_arrays({path: array.double() for path, array in net.arrays.items()})
    numbers = torch.Generator().manual_seed(r.randrange(2**32))
    inputs = {
        name: case.draw(shape, numbers, place).to(
            torch.int64 if net.inputs[name].kind == "int" else net_kind(net)
        )
        for place, (name, shape) in enumerate(zip(names, case.shapes, strict=True))
    }
    try:
        view = net.stateful(given={name: inputs[name] for name in names if name not in moving})
    except rt.StructureError:
        return None
    return view, net, inputs, moving


def net_kind(net: rt.Net) -> torch.dtype:
    return next((t.dtype for t in net.arrays.values() if t.is_floating_point()), torch.float32)


def cut(r: Random, length: int) -> list[int]:
    """Sizes of pieces."""
    sizes = []
    while sum(sizes) < length:
        sizes.append(r.randint(1, length - sum(sizes)))
    return sizes


def close(got: torch.Tensor, expected: torch.Tensor) -> None:
    assert got.shape == expected.shape
    got, expected = got.double(), expected.double()
    assert float((got - expected).norm()) <= 1e-5 * max(1.0, float(expected.norm()))


def check(name: str, seed: int) -> bool:
    """Whether the case could be led along; it is led along then, and held against the whole."""
    r = Random(f"{name} {seed}")
    case = CASES[name](r)
    found = viewed(case, r) if case.shapes else None
    if found is None:
        return False
    view, net, inputs, moving = found
    whole = net.one(inputs if len(inputs) > 1 else next(iter(inputs.values())), None)
    wholes = whole if isinstance(whole, dict) else {"output": whole}
    at = 0
    for size in cut(r, inputs[moving[0]].shape[0]):
        piece = {each: inputs[each][at : at + size] for each in moving}
        got = view(piece if len(piece) > 1 else next(iter(piece.values())), None)
        at += size
        for port, each in (got if isinstance(got, dict) else {"output": got}).items():
            axis = view.course.axes.get(net.wiring.outputs[port])
            if axis is not None:
                close(each, wholes[port].narrow(axis, at - size, size))
            elif at == inputs[moving[0]].shape[0]:
                close(each, wholes[port])
    assert len(view) == at
    return True


@pytest.mark.parametrize("name", sorted(set(CASES) - GOES))
@given(seed=st.integers(0, 2**32))
def test_what_a_layer_gives_of_pieces_is_what_it_gives_of_the_whole(name: str, seed: int) -> None:
    check(name, seed)


@pytest.mark.parametrize("name", sorted(GOES))
def test_a_layer_that_can_be_led_along_is(name: str) -> None:
    assert any([check(name, seed) for seed in range(60)])
