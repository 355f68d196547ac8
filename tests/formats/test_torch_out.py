"""``net.torch()``: a net as a plain module, equal to the net, and a module like any other."""

from __future__ import annotations

import copy
import io
import json
import pickle
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "contract"))
from layer_cases import CASES

import retia as rt
from retia.errors import ArgumentError, ArraysError, ShapeError
from retia.formats.pytorch.reading import traced

every = pytest.mark.parametrize("name", sorted(CASES))
ALWAYS = ("Attention", "BatchNorm", "Conv2d", "Embedding", "LSTM", "MultiHeadAttention", "Plus", "Reduce")
some = pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in ALWAYS else pytest.mark.full) for n in sorted(CASES)]
)

COMPLEX = ("Fourier", "InverseFourier", "Spectrum")
"""They go by complex numbers, which nets do not have between layers."""

BATCHED = ("Gather", "RandomCrop", "MapThread", "Positions")
"""They are written with the size of the batch in their hands, or depend on sizes alone."""


def case(name: str, seed: int) -> tuple[rt.Net, list[torch.Tensor]]:
    made = CASES[name](Random(f"{name} {seed}"))
    numbers = torch.Generator().manual_seed(seed)
    inputs = [made.draw((3, *s), numbers, i) for i, s in enumerate(made.shapes)]
    return made.net().init(seed=1), [x.float() if x.is_floating_point() else x for x in inputs]


def called(net: rt.Net, inputs: list[torch.Tensor]) -> torch.Tensor:
    given = dict(zip(net.inputs, inputs, strict=True))
    return net.batch(given if len(given) > 1 else inputs[0], None) if inputs else net({}, None).unsqueeze(0)


def small() -> rt.Net:
    return rt.Chain(
        rt.Linear(4), norm=rt.BatchNorm(), drop=rt.Dropout(0.5), head=rt.Linear(2), input=3
    ).init()


@every
def test_every_layer_as_a_module_gives_the_same_and_comes_back(name: str) -> None:
    for seed in range(3):
        net, inputs = case(name, seed)
        module = net.torch().eval()
        assert set(module.state_dict()) == set(net.arrays)
        assert {key for key, _ in module.named_parameters()} == set(net.learned())
        expected = called(net, inputs)
        assert torch.allclose(module(*inputs), expected, rtol=1e-6, atol=1e-6, equal_nan=True)
        again = rt.from_torch(module, tuple(inputs))
        assert again == net
        assert torch.equal(called(again, inputs).nan_to_num(), expected.nan_to_num())


@some
def test_every_layer_comes_back_from_a_trace_too(name: str) -> None:
    if name in (*COMPLEX, *BATCHED):
        return
    for seed in range(2):
        net, inputs = case(name, seed)
        if inputs:
            again = traced(net.torch(), tuple(inputs))
            expected = called(net, inputs)
            assert torch.allclose(called(again, inputs), expected, rtol=1e-6, atol=1e-6, equal_nan=True)
            assert set(again.learned()) == set(net.learned())


@some
def test_every_layer_is_exported_for_batches_of_any_size(name: str) -> None:
    net, inputs = case(name, 0)
    if inputs and name not in BATCHED:
        batch = torch.export.Dim("batch")
        sizes = {"inputs": tuple({0: batch} for _ in inputs)}
        program = torch.export.export(net.torch().eval(), tuple(inputs), dynamic_shapes=sizes)
        more = [torch.cat([x, x[:2]]) for x in inputs]
        assert torch.allclose(program.module()(*more), called(net, more), atol=1e-6, equal_nan=True)


def test_training_and_inference_are_those_of_any_module() -> None:
    net = small()
    module = net.torch()
    x = torch.randn(8, 3)
    assert module.training
    torch.manual_seed(1)
    first = module(x)
    second = module(x)
    torch.manual_seed(1)
    assert torch.equal(module(x), first)
    assert not torch.equal(first, second)
    own = torch.nn.BatchNorm1d(4)
    for _ in range(3):
        own(torch.nn.functional.linear(x, net.arrays["0.weight"], net.arrays["0.bias"]))
    for key, value in own.state_dict().items():
        assert torch.allclose(module.state_dict()[f"norm.{key}"], value, atol=1e-6)
    assert "norm.running_mean" not in dict(module.named_parameters())
    trained = net.with_arrays(module.state_dict())
    assert torch.equal(module.eval()(x), trained(x, None))
    assert torch.equal(net.arrays["norm.running_mean"], torch.zeros(4))


def test_a_part_alone_is_put_into_inference() -> None:
    module = small().torch()
    module.get_submodule("drop").eval()
    before = module.state_dict()["norm.running_mean"].clone()
    x = torch.randn(8, 3)
    torch.manual_seed(0)
    assert torch.equal(module(x), module(x))
    module.get_submodule("norm").eval()
    kept = module.state_dict()["norm.running_mean"].clone()
    module(x)
    assert not torch.equal(before, kept)
    assert torch.equal(module.state_dict()["norm.running_mean"], kept)


def test_derivatives_and_steps_are_pytorchs() -> None:
    net = rt.Chain(rt.Linear(4), rt.Tanh(), rt.Linear(2), input=3).init(seed=2)
    module = net.torch()
    plain = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    plain.load_state_dict(module.state_dict())
    x = torch.randn(5, 3)
    for each in (module, plain):
        optimizer = torch.optim.SGD(each.parameters(), 0.1)
        each(x).square().sum().backward()
        optimizer.step()
    for key, value in plain.state_dict().items():
        assert torch.allclose(module.state_dict()[key], value, atol=1e-6)
    assert net == net.init()


def test_it_is_copied_pickled_cast_and_moved_as_any_module() -> None:
    net = small()
    module = net.torch().eval()
    x = torch.randn(2, 3)
    stored = io.BytesIO()
    torch.save(module, stored)
    stored.seek(0)
    for other in (
        copy.deepcopy(module), pickle.loads(pickle.dumps(module)), torch.load(stored, weights_only=False)
    ):  # fmt: skip
        assert torch.equal(other(x), module(x))
        with torch.no_grad():
            next(other.parameters()).add_(1)
        assert not torch.equal(other(x), module(x))
    assert module.half()(x.half()).dtype == torch.float16
    assert module.double().to("cpu")(x.double()).dtype == torch.float64
    assert module.state_dict()["norm.num_batches_tracked"].dtype == torch.int64


def test_ties_varying_sizes_several_ports_and_names_of_methods() -> None:
    shared = rt.Shared("f", rt.Linear(3))
    net = rt.Graph(lambda a, b: {"sum": shared(a) + shared(b), "less": rt.Tanh()(a)}, input={"a": 2, "b": 2})
    module = net.init().torch()
    assert [*module.state_dict()] == ["shared.weight", "shared.bias"]
    a, b = torch.randn(2, 4, 2)
    assert set(module(a, b=b)) == {"sum", "less"}
    text = rt.Chain(rt.GRU(3), rt.Last(), input=("n", 2)).init()
    rows = torch.randn(2, 5, 2)
    found = text.torch()(rows, lengths={"n": torch.tensor([5, 2])})
    assert torch.allclose(found[1], text(rows[1, :2], None), atol=1e-6)
    odd = rt.Chain({"train": rt.Linear(2), "type": rt.Dropout(), "forward": rt.Linear(1)}, input=3).init()
    module = odd.torch().eval()
    assert set(module.state_dict()) == set(odd.arrays)
    assert torch.equal(module(torch.ones(2, 3)), odd(torch.ones(2, 3), None))


def test_its_errors_say_what_is_wrong() -> None:
    with pytest.raises(ArraysError, match="This net has no arrays yet"):
        rt.Linear(2, input=3).torch()
    module = small().torch()
    with pytest.raises(ArgumentError) as caught:
        module()
    assert str(caught.value) == "The module takes input; got 0 by position."
    with pytest.raises(ShapeError) as wrong:
        module(torch.zeros(3))
    assert str(wrong.value) == (
        "The module takes a batch at input, (batch, 3); got (3,).\n  fix   x.unsqueeze(0) is a batch of one"
    )


def test_an_exported_module_runs_where_retia_is_not(tmp_path: Path) -> None:
    net = small()
    program = torch.export.export(net.torch().eval(), (torch.zeros(2, 3),))
    torch.export.save(program, tmp_path / "net.pt2")
    code = (
        "import sys, torch\n"
        f"module = torch.export.load({str(tmp_path / 'net.pt2')!r}).module()\n"
        "print(module(torch.ones(2, 3)).flatten().tolist(), 'retia' in sys.modules)\n"
    )
    call = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    expected = net(torch.ones(2, 3), None).flatten().tolist()
    values, _, known = done.stdout.strip().rpartition(" ")
    assert known == "False"
    assert torch.allclose(torch.tensor(json.loads(values)), torch.tensor(expected), atol=1e-6)
