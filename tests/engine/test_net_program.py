"""``net.program``: what it answers, what it refuses, and how it is kept."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

import retia as rt
from retia.engine import pools
from retia.engine.pools import Programs, pieces, programs_of
from retia.engine.walk import Run, walk
from retia.nets import registry


@pytest.fixture
def own_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers that a test registers are unknown after it."""
    monkeypatch.setattr(registry, "_KINDS", dict(registry._KINDS))


def near(a: torch.Tensor, b: torch.Tensor, most: float = 1e-5) -> bool:
    return bool((a - b).norm() <= most * b.norm())


def dense() -> rt.Net:
    return rt.Chain(rt.Flatten(), rt.Linear(20), rt.ReLU(), rt.Linear(5), rt.Softmax(), input=(4, 6)).init(
        seed=0
    )


def pictures() -> rt.Net:
    return rt.Chain(
        rt.Conv2d(8, 3), rt.BatchNorm(), rt.ReLU(), rt.MaxPool2d(2), rt.Flatten(), rt.Linear(5),
        input=(3, 10, 10),
    ).init(seed=0)  # fmt: skip


@pytest.mark.parametrize("make", [dense, pictures])
@pytest.mark.parametrize("batch", [1, 4])
def test_a_program_answers_what_the_net_answers(make: object, batch: int) -> None:
    net = make()  # type: ignore[operator]
    program = net.program(batch=batch)
    for seed in range(3):
        x = torch.randn(batch, *net.inputs["input"].shape, generator=torch.Generator().manual_seed(seed))
        assert near(program(x), net(x, None))


def test_a_program_takes_what_stands_behind_the_codec() -> None:
    chain = rt.Chain(
        rt.Flatten(), rt.Linear(), rt.Softmax(), input=rt.Image(4, 4), output=rt.Classes(("a", "b"))
    )
    net = chain.init(seed=0)
    pixels = torch.randint(0, 256, (4, 4, 3), dtype=torch.uint8).numpy()
    codec = net.inputs["input"].codec
    assert codec is not None
    encoded = codec.encode(pixels)
    assert near(net.program()(encoded.unsqueeze(0))[0], net(pixels, None))


def test_several_ports_are_dicts() -> None:
    net = rt.Graph(
        {"a": rt.Linear(3), "b": rt.Linear(3), "plus": rt.Plus()},
        "left -> a -> plus -> sum", "right -> b -> plus", "b -> other",
        input={"left": 2, "right": 4}, output={"sum": 3, "other": 3},
    ).init(seed=0)  # fmt: skip
    given = {"left": torch.randn(5, 2), "right": torch.randn(5, 4)}
    found = net.program(batch=5)(given)
    expected = walk(net, given, net.arrays)
    assert set(found) == {"sum", "other"}
    assert all(near(found[name], expected[name]) for name in expected)


def test_lengths_reach_the_layers_that_mix() -> None:
    net = rt.Chain(rt.Linear(3), rt.Softmax(axis=0), input=("n", 2)).init(seed=0)
    program = net.program(batch=2)
    x, lengths = torch.randn(2, 5, 2), {"n": torch.tensor([2, 5])}
    assert near(
        program(x, lengths=lengths), walk(net, {"input": x}, net.arrays, Run(lengths=lengths))["output"]
    )
    assert near(program(x[:, :3])[0], net(x[0, :3], None))


def test_answers_have_memory_of_their_own() -> None:
    net = rt.Chain(rt.Flatten(), rt.Flatten(), input=(2, 2))
    program, x = net.program(batch=3), torch.randn(3, 2, 2)
    first = program(x)
    assert first.data_ptr() != x.data_ptr()
    kept = first.clone()
    program(torch.randn(3, 2, 2))
    assert torch.equal(first, kept)


def test_answers_can_be_differentiated_further_and_the_switch_is_left_alone() -> None:
    program = dense().program(batch=2)
    y = program(torch.randn(2, 4, 6, requires_grad=True))
    assert torch.is_grad_enabled()
    assert not y.requires_grad
    assert not y.is_inference()
    scale = torch.ones((), requires_grad=True)
    assert near(torch.autograd.grad((y * scale).sum(), scale)[0], y.sum())


def test_a_program_made_in_inference_mode_serves_outside_of_it() -> None:
    net, x = pictures(), torch.randn(2, 3, 10, 10)
    with torch.inference_mode():
        program = net.program(batch=2)
        inside = program(x.clone())
    assert near(program(x), inside)


def test_threads_get_their_own_answers() -> None:
    program = pictures().program(batch=2)
    inputs = [torch.randn(2, 3, 10, 10) for _ in range(24)]
    expected = [program(x) for x in inputs]
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(program, inputs * 5))
    assert all(torch.equal(a, b) for a, b in zip(found, expected * 5, strict=True))


def test_what_does_not_fit_is_one_error_that_says_what_fits() -> None:
    program = dense().program(batch=2)
    with pytest.raises(rt.ShapeError) as caught:
        program(torch.randn(3, 4, 6))
    assert str(caught.value) == (
        "program: input takes (2, 4, 6) of float32 on cpu; got (3, 4, 6) of float32 on cpu.\n"
        "  fix   net.program(batch=n) for n examples; net(x) takes anything and any number"
    )
    for wrong in (torch.zeros(2, 4, 6).double(), torch.zeros(2, 24), [[1.0]], {"x": torch.zeros(2, 4, 6)}):
        with pytest.raises(rt.ShapeError, match="program: "):
            program(wrong)


def test_lengths_that_cannot_be_are_refused() -> None:
    program = rt.Chain(rt.Linear(3), rt.Softmax(axis=0), input=("n", 2)).init(seed=0).program(batch=2)
    with pytest.raises(rt.ShapeError, match=r"lengths are 2 whole numbers for each of: n \(0 to 5\)"):
        program(torch.randn(2, 5, 2), lengths={"n": torch.tensor([2, 6])})


@pytest.mark.parametrize("batch", [0, True, 1.0])
def test_a_batch_is_a_whole_number(batch: object) -> None:
    with pytest.raises(rt.ArgumentError, match="program: batch is a whole number of at least 1"):
        dense().program(batch=batch)  # type: ignore[arg-type]


def test_arrays_that_are_missing_or_changed_are_refused() -> None:
    with pytest.raises(rt.ArraysError):
        rt.Linear(2, input=3).program()
    net = dense()
    program = net.program()
    net.arrays["1.weight"].mul_(2)
    with pytest.raises(rt.ArraysError, match="changed in place"):
        program(torch.randn(1, 4, 6))


@pytest.mark.parametrize("strange", [float("nan"), float("inf"), 1e30])
def test_what_is_no_number_stays_so(strange: float) -> None:
    net = rt.Chain(rt.Conv2d(8, 3, padding=1), rt.ReLU(), rt.Conv2d(8, 1), rt.ReLU6(), input=(3, 6, 6)).init(
        seed=0
    )
    x = torch.randn(2, 3, 6, 6)
    program = net.program(batch=2)
    for _ in range(2):
        x[1, 2, 3, 3] = strange
        found, expected = program(x), net(x, None)
        assert torch.equal(found.isnan(), expected.isnan())
        assert near(found.nan_to_num(), expected.nan_to_num())
        assert expected.isnan().any() == (strange != strange or strange == float("inf"))


def test_large_batches_are_computed_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = pictures(), torch.randn(11, 3, 10, 10)
    whole = net.program(batch=11)(x)
    monkeypatch.setattr(pools, "PIECE", 4 * 512 * 3)
    assert pieces(net, 11) == [2, 3, 3, 3]
    assert near(net.program(batch=11)(x), whole)


def test_a_layer_that_decides_by_numbers_is_walked(own_layers: None) -> None:
    @rt.layer
    class Choosy(rt.Layer):
        """Doubles what is positive in sum."""

        signature = "n -> n"

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2 if float(x.sum()) > 0 else x

    program = Choosy(input=2).program()
    assert program(torch.ones(1, 2)).tolist() == [[2.0, 2.0]]
    assert program(-torch.ones(1, 2)).tolist() == [[-1.0, -1.0]]


def test_programs_of_a_shape_are_made_once_and_those_unused_go_first() -> None:
    net = dense()
    first = net.program(batch=1)
    assert vars(net.program(batch=1))["_pool"] is vars(first)["_pool"]
    kept = Programs(held=3 * 100)

    class Fake:
        bytes = 100

    for key in "abc":
        kept.find(key, lambda: Fake)  # type: ignore[arg-type, return-value]
    kept.find("a", lambda: Fake)  # type: ignore[arg-type, return-value]
    kept.find("d", lambda: Fake)  # type: ignore[arg-type, return-value]
    assert sorted(map(str, kept._pools)) == ["a", "c", "d"]
    assert kept.bytes == 300


def test_programs_go_with_their_net() -> None:
    net = dense()
    net.program(batch=2)(torch.randn(2, 4, 6))
    held = weakref.ref(programs_of(net))
    gone = weakref.ref(net)
    gc.disable()
    try:
        del net
        assert gone() is None
        assert held() is None
    finally:
        gc.enable()
