"""Optimizers against torch.optim, as pure functions, and as values."""

import subprocess
import sys

import pytest
import torch

import retia as rt
from retia.training.optimizers import OPTIMIZERS, read_optimizer

PAIRS = [
    (rt.SGD(0.1), lambda p: torch.optim.SGD(p, 0.1)),
    (rt.SGD(0.1, momentum=0.9), lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)),
    (
        rt.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    ),
    (rt.Adam(0.02), lambda p: torch.optim.Adam(p, 0.02)),
    (
        rt.Adam(0.02, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.1),
        lambda p: torch.optim.Adam(p, 0.02, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.1),
    ),
    (rt.AdamW(0.02), lambda p: torch.optim.AdamW(p, 0.02)),
    (rt.AdamW(0.02, weight_decay=0.0), lambda p: torch.optim.AdamW(p, 0.02, weight_decay=0)),
    (rt.RMSprop(), lambda p: torch.optim.RMSprop(p)),
    (
        rt.RMSprop(0.02, alpha=0.9, momentum=0.5, weight_decay=0.1),
        lambda p: torch.optim.RMSprop(p, 0.02, alpha=0.9, momentum=0.5, weight_decay=0.1),
    ),
    (rt.Adagrad(), lambda p: torch.optim.Adagrad(p)),
    (
        rt.Adagrad(0.1, initial_accumulator_value=0.1, weight_decay=0.1),
        lambda p: torch.optim.Adagrad(p, 0.1, initial_accumulator_value=0.1, weight_decay=0.1),
    ),
]


def arrays_and_gradients(steps=20):
    generator = torch.Generator().manual_seed(0)
    start = {"w": torch.randn(3, 4, generator=generator), "b": torch.randn(5, generator=generator)}
    pulls = [
        {path: torch.randn(t.shape, generator=generator) for path, t in start.items()} for _ in range(steps)
    ]
    return start, pulls


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=lambda p: repr(p) if isinstance(p, rt.SGD) else None)
def test_20_steps_are_those_of_torch_optim(ours, theirs):
    start, pulls = arrays_and_gradients()
    parameters = {path: torch.nn.Parameter(t.clone()) for path, t in start.items()}
    reference = theirs([*parameters.values()])
    arrays, state = start, ours.start(start)
    for pull in pulls:
        arrays, state = ours.step(arrays, pull, state)
        for path, parameter in parameters.items():
            parameter.grad = pull[path].clone()
        reference.step()
    for path, parameter in parameters.items():
        assert torch.allclose(arrays[path], parameter, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", OPTIMIZERS.values())
def test_a_step_changes_nothing_that_it_is_given(kind):
    start, pulls = arrays_and_gradients(2)
    optimizer = kind(momentum=0.9) if kind in (rt.SGD, rt.RMSprop) else kind()
    arrays, state = optimizer.step(start, pulls[0], optimizer.start(start))
    before = {p: t.clone() for p, t in arrays.items()}, state.clone()
    first = optimizer.step(arrays, pulls[1], state)
    again = optimizer.step(arrays, pulls[1], state)
    assert all(torch.equal(arrays[p], before[0][p]) for p in arrays)
    assert state.count == before[1].count == 1
    for name, slot in state.slots.items():
        assert all(torch.equal(slot[p], before[1].slots[name][p]) for p in slot)
    assert all(torch.equal(first[0][p], again[0][p]) for p in arrays)


@pytest.mark.parametrize("kind", OPTIMIZERS.values())
def test_a_step_in_place_is_the_same_step(kind):
    start, pulls = arrays_and_gradients(3)
    optimizer = kind()
    arrays, state = start, optimizer.start(start)
    own, own_state = {p: t.clone() for p, t in start.items()}, optimizer.start(start)
    for pull in pulls:
        arrays, state = optimizer.step(arrays, pull, state)
        optimizer.step_in_place(own, pull, own_state)
    assert all(torch.equal(arrays[p], own[p]) for p in arrays)


def test_optimizers_are_values():
    assert rt.Adam(1e-3) == rt.Adam()
    assert rt.Adam() != rt.AdamW()
    assert len({rt.SGD(0.1), rt.SGD(0.1), rt.SGD(0.2)}) == 2
    for optimizer, _ in PAIRS:
        pasted = eval(repr(optimizer), vars(rt))
        assert pasted == optimizer
        assert type(optimizer).from_settings(optimizer.settings()) == optimizer
    with pytest.raises(AttributeError):
        rt.Adam().learning_rate = 3


def test_optimizers_go_by_name_too():
    assert read_optimizer("adamw") == rt.AdamW()
    assert read_optimizer(None) == rt.Adam(1e-3)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("adma", r"none called 'adma'\. Did you mean 'Adam'\?"),
        (rt.Adam, r"is the class Adam, not a value"),
        (3, r"optimizer is one of rt\.SGD, .*; got 3"),
    ],
)
def test_what_is_no_optimizer_is_refused(given, said):
    with pytest.raises(rt.ArgumentError, match=said):
        read_optimizer(given)


def test_pytorchs_optimizer_is_answered_with_ours():
    theirs = torch.optim.Adam([torch.zeros(1, requires_grad=True)])
    with pytest.raises(rt.ArgumentError, match=r"PyTorch's Adam, which owns its arrays\.\n.*rt\.Adam"):
        read_optimizer(theirs)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: rt.Adam(lr=0.1), r"Adam has no argument 'lr'\. Here it is called learning_rate"),
        (lambda: rt.Adam(-1), "learning_rate is a number from 0 to inf; got -1"),
        (lambda: rt.Adam(float("nan")), "learning_rate is a number"),
        (lambda: rt.Adam(True), "learning_rate is a number"),
        (lambda: rt.Adam(betas=(0.9, 1.0)), "betas is a number from 0 to below 1"),
        (lambda: rt.Adam(betas=0.9), "betas is two numbers"),
        (lambda: rt.Adam(1e-3, 0.9), "takes learning_rate; 2 were given by position"),
        (lambda: rt.SGD(momentum=1.0), "momentum is a number from 0 to below 1"),
        (lambda: rt.SGD(nesterov=True), "nesterov looks ahead by the momentum, which is 0"),
        (lambda: rt.SGD(weight_decay=-0.1), "weight_decay is a number from 0"),
    ],
)
def test_settings_out_of_range_are_refused(make, said):
    with pytest.raises(rt.ArgumentError, match=said):
        make()


def test_training_does_not_import_the_compiler_that_torch_optim_needs():
    code = (
        "import sys, retia as rt; rt.train(rt.Linear(1), ([[0.0], [1.0]], [[1.0], [3.0]]), progress=False);"
        "print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
