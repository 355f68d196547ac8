"""Programs for some of a net's values, against the walk."""

from __future__ import annotations

import pytest
import torch

import retia as rt
from retia.engine.trace import NotFlatError
from retia.engine.values import ValuesProgram
from retia.engine.walk import Run, walk_values
from retia.nets import registry


def cnn() -> rt.Net:
    return rt.Chain(
        conv=rt.Conv2d(8, 3, padding=1),
        norm=rt.BatchNorm(),
        relu=rt.ReLU(),
        pool=rt.MaxPool2d(2),
        flatten=rt.Flatten(),
        dropout=rt.Dropout(0.5),
        linear=rt.Linear(5),
        softmax=rt.Softmax(),
        input=(3, 8, 8),
    ).init(seed=0)


@pytest.fixture
def own_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers that a test registers are unknown after it."""
    monkeypatch.setattr(registry, "_KINDS", dict(registry._KINDS))


def near(a: torch.Tensor, b: torch.Tensor) -> bool:
    return bool((a - b).norm() <= 1e-5 * b.norm())


@pytest.mark.parametrize("constant", [True, False])
def test_values_at_a_cut_and_at_the_end_are_those_of_the_walk(constant: bool) -> None:
    net = cnn()
    wanted = [("flatten", "output"), ("softmax", "output")]
    arrays = net.arrays.check()
    program = ValuesProgram(net, wanted, {"input": torch.zeros(4, 3, 8, 8)}, arrays, constant=constant)
    x = torch.randn(4, 3, 8, 8)
    found = program({"input": x})
    expected = walk_values(net, {"input": x}, arrays, Run(), wanted)
    assert list(found) == wanted
    assert all(near(found[value], expected[value]) for value in wanted)


def test_arrays_in_fixed_memory_may_change_between_runs() -> None:
    net = cnn()
    wanted = [("softmax", "output")]
    arrays = {path: tensor.clone() for path, tensor in net.arrays.items()}
    x = torch.randn(4, 3, 8, 8)
    program = ValuesProgram(net, wanted, {"input": x}, arrays, constant=False)
    before = program({"input": x})[wanted[0]]
    arrays["linear.weight"].mul_(-3)
    arrays["norm.running_mean"].add_(1)
    after = program({"input": x})[wanted[0]]
    assert not near(after, before)
    assert near(after, walk_values(net, {"input": x}, arrays, Run(), wanted)[wanted[0]])


def test_results_stand_in_memory_of_their_own() -> None:
    net = rt.Chain(rt.Flatten(), rt.Linear(4, bias=False), rt.Flatten(), input=(2, 2)).init(seed=0)
    wanted = [("", "input"), ("0", "output"), *net.wiring.outputs.values()]
    x = torch.randn(3, 2, 2)
    program = ValuesProgram(net, wanted, {"input": x}, net.arrays.check(), constant=True)
    first = program({"input": x})
    kept = {value: tensor.clone() for value, tensor in first.items()}
    program({"input": torch.randn(3, 2, 2)})
    assert all(torch.equal(first[value], kept[value]) for value in wanted)
    assert len({t.data_ptr() for t in (*first.values(), x)}) == 4


def test_lengths_are_read_in_every_run() -> None:
    net = rt.Chain(rt.Linear(3), rt.Softmax(axis=0), input=("n", 2)).init(seed=0)
    wanted = tuple(net.wiring.outputs.values())
    x = torch.randn(2, 5, 2)
    made = {"n": torch.tensor([5, 5])}
    program = ValuesProgram(net, wanted, {"input": x}, net.arrays.check(), constant=True, lengths=made)
    lengths = {"n": torch.tensor([2, 5])}
    found = program({"input": x}, lengths)[wanted[0]]
    expected = walk_values(net, {"input": x}, net.arrays.check(), Run(lengths=lengths), wanted)[wanted[0]]
    assert near(found, expected)


def test_an_exact_program_gives_every_bit_of_the_walk() -> None:
    net = cnn()
    wanted = tuple(net.wiring.outputs.values())
    x = torch.randn(4, 3, 8, 8)
    program = ValuesProgram(net, wanted, {"input": x}, net.arrays.check(), constant=True, exact=True)
    assert torch.equal(
        program({"input": x})[wanted[0]], walk_values(net, {"input": x}, net.arrays, Run(), wanted)[wanted[0]]
    )


def test_a_layer_that_decides_by_numbers_has_no_program(own_layers: None) -> None:
    @rt.layer
    class Peek(rt.Layer):
        """Doubles what is positive in sum."""

        signature = "n -> n"

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2 if float(x.sum()) > 0 else x

    net = Peek(input=3)
    with pytest.raises(NotFlatError, match="no flat program can replay it"):
        ValuesProgram(net, tuple(net.wiring.outputs.values()), {"input": torch.ones(1, 3)}, {}, constant=True)
