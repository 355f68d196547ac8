"""What every layer promises, checked for each one that is registered."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import json
from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from layer_cases import CASES, Case

import retia as rt
from retia.engine.walk import Run, walk
from retia.errors import ArgumentError, ShapeError
from retia.nets import expression, registry
from retia.nets.layer import Layer
from retia.nets.operator import Operator
from retia.nets.settings import argument, make
from retia.shapes import Extent

EVERY = {n: c for n, c in registry.registered(Layer).items() if c.__module__.startswith("retia.")}
LAYERS = {name: cls for name, cls in EVERY.items() if name != "Placeholder"}
"""All but the one that does not compute."""

every = pytest.mark.parametrize("name", sorted(LAYERS))
SEEDS = st.integers(0, 2**32)
TRIES = range(12)
METHODS = {"zeros": 0.0, "ones": 1.0}


def case_of(name: str, seed: int) -> Case:
    return CASES[name](Random(f"{name} {seed}"))


def numbers(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def arrays_of(net: rt.Net, seed: int) -> dict[str, torch.Tensor]:
    """Arrays between 0.5 and 1.5 in double precision; counters as they are."""
    arrays = dict(net.init().arrays)
    for path, array in arrays.items():
        if array.is_floating_point():
            arrays[path] = 0.5 + torch.rand(array.shape, generator=numbers(seed), dtype=torch.float64)
    return arrays


def run(net: rt.Net, inputs: list[torch.Tensor], arrays: dict[str, torch.Tensor], **how) -> torch.Tensor:
    return walk(net, dict(zip(net.wiring.inputs, inputs, strict=True)), arrays, Run(**how))["output"]


def test_every_layer_has_a_case_here() -> None:
    assert set(CASES) == set(LAYERS)
    assert all(type(case_of(name, 0).layer).__name__ == name for name in CASES)


# Values -------------------------------------------------------------------------------------------


@every
def test_a_layer_is_frozen(name: str) -> None:
    made = case_of(name, 0).layer
    for each in dataclasses.fields(made):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(made, each.name, None)


@every
def test_equality_and_hash_go_by_content(name: str) -> None:
    one, same, other = case_of(name, 0).layer, case_of(name, 0).layer, case_of(name, 0).net()
    assert one is not same
    assert one == same
    assert hash(one) == hash(same)
    assert one.hash == same.hash
    assert one != rt.Chain(one)
    if one.input_names():
        assert one != other


@every
def test_the_repr_pastes_back(name: str) -> None:
    for seed in TRIES:
        case = case_of(name, seed)
        for made in (case.layer.bare(), case.net().bare(), case.net()):
            if not made.held:
                again = eval(repr(made), vars(rt))
                assert again == made
                assert repr(again) == repr(made)


@every
def test_json_rebuilds_it(name: str) -> None:
    for seed in TRIES:
        made = case_of(name, seed).net()
        again = expression.from_json(json.loads(json.dumps(expression.to_json(made))))
        assert type(again) is type(made)
        assert again.expression_hash == made.expression_hash
        assert again.with_arrays(made.arrays) == made


# Sizes and kinds ----------------------------------------------------------------------------------


@every
@given(seed=SEEDS)
def test_the_inferred_shapes_are_those_of_the_walk(name: str, seed: int) -> None:
    case = case_of(name, seed)
    net = case.net()
    arrays = arrays_of(net, seed)
    inputs = [case.draw((2, *s), numbers(seed), i) for i, s in enumerate(case.shapes)]
    result = run(net, inputs, arrays)
    assert (2 if inputs else 1, *net.outputs["output"].shape) == tuple(result.shape)
    assert {path: tuple(array.shape) for path, array in arrays.items()} == net.array_shapes()


@every
def test_an_empty_batch_gives_an_empty_batch(name: str) -> None:
    case = case_of(name, 1)
    net = case.net()
    if case.shapes:
        inputs = [case.draw((0, *s), numbers(0), i) for i, s in enumerate(case.shapes)]
        assert tuple(run(net, inputs, arrays_of(net, 0)).shape) == (0, *net.outputs["output"].shape)


@every
def test_kinds_are_those_of_the_walk(name: str) -> None:
    for seed in TRIES:
        case = case_of(name, seed)
        net = case.net()
        result = run(
            net,
            [case.draw((2, *s), numbers(seed), i) for i, s in enumerate(case.shapes)],
            arrays_of(net, seed),
        )
        assert net.outputs["output"].kind == ("float" if result.is_floating_point() else "int")
        rules = {net.kinds.get(port, net.kinds.get("*", "float")) for port in (*net.inputs, "output")}
        if rules == {"same"}:
            whole = [torch.ones((2, *s), dtype=torch.int64) for s in case.shapes]
            assert run(net, whole, {}).dtype == torch.int64


@every
def test_a_layer_of_whole_numbers_refuses_real_ones(name: str) -> None:
    case = case_of(name, 0)
    if case.classes is not None and case.numbered is None:
        with pytest.raises(ShapeError, match="takes whole numbers at input, but 0 .* gives real ones"):
            rt.Chain(rt.Sigmoid(), case.layer, input=case.shapes[0])


# Derivatives --------------------------------------------------------------------------------------


@every
def test_derivatives_are_right_and_reach_every_array_and_input(name: str) -> None:
    for seed in TRIES[:4]:
        case = case_of(name, seed)
        net = case.net()
        arrays = arrays_of(net, seed)
        inputs = [case.draw((2, *s), numbers(seed + i), i) for i, s in enumerate(case.shapes)]
        learned = net.learned()
        moving = [x for x in [*inputs, *(arrays[path] for path in learned)] if x.is_floating_point()]
        for each in moving:
            each.requires_grad_(True)
        if not moving:
            continue
        result = run(net, inputs, arrays)
        if name == "StopGradient" or not result.is_floating_point():  # places have no derivatives
            assert not result.requires_grad
            continue
        assert torch.autograd.gradcheck(lambda *_: run(net, inputs, arrays), moving)  # noqa: B023
        weight = torch.rand(result.shape, generator=numbers(seed), dtype=torch.float64)
        found = torch.autograd.grad((result * weight).sum(), moving, allow_unused=True)
        assert all(gradient is not None for gradient in found)
        assert all(found[-i - 1].abs().sum() > 0 for i in range(len(learned)))


# The batch ----------------------------------------------------------------------------------------


@every
@given(seed=SEEDS)
def test_a_batch_gives_what_its_examples_give_one_at_a_time(name: str, seed: int) -> None:
    case = case_of(name, seed)
    net = case.net()
    arrays = arrays_of(net, seed)
    inputs = [case.draw((3, *s), numbers(seed + i), i) for i, s in enumerate(case.shapes)]
    if inputs:
        together = run(net, inputs, arrays)
        apart = [run(net, [x[i : i + 1] for x in inputs], arrays) for i in range(3)]
        close(together, torch.cat(apart))


@every
@given(seed=SEEDS)
def test_a_padded_batch_gives_what_its_examples_give_one_at_a_time(name: str, seed: int) -> None:
    case = case_of(name, seed)
    for places in varied(case):
        check_padded(case, places, seed)


@every
def test_a_layer_with_roles_can_vary(name: str) -> None:
    checked = sum(
        check_padded(case, places, seed)
        for seed in TRIES
        for case in [case_of(name, seed)]
        for places in varied(case)
    )
    assert bool(checked) == (bool(LAYERS[name].axes) and bool(case_of(name, 0).shapes))


Places = list[tuple[int, int]]
"""Inputs, and an axis of each, that vary together."""


def varied(case: Case) -> list[Places]:
    """Each axis of each input alone, and of several inputs those that belong together."""
    alone = [[(i, axis)] for i, s in enumerate(case.shapes) for axis in range(len(s))]
    ranks = [len(s) for s in case.shapes]
    together = []
    if len(ranks) > 1:
        for back in range(1, max(ranks) + 1):
            together.append([(i, rank - back) for i, rank in enumerate(ranks) if rank >= back])
        if type(case.layer) is rt.Dot:
            together.append([(0, ranks[0] - 1), (1, 0)])
    return [*alone, *(places for places in together if len(places) > 1)]


def check_padded(case: Case, places: Places, seed: int) -> bool:
    """Whether these axes may vary; if so, the law has been checked for them."""
    shapes: list[tuple[int | str, ...]] = list(case.shapes)
    for i, axis in places:
        shapes[i] = (*shapes[i][:axis], "n", *shapes[i][axis + 1 :])
    terms = case.layer.ports(len(shapes)).inputs
    roles = {case.layer.role(name_at(terms[i].dims, axis, len(shapes[i]))) for i, axis in places}
    try:
        padded = case.net(tuple(shapes))
    except ShapeError:
        by_hook = case.layer.solves or len(shapes) > 1 or isinstance(case.layer, Operator)
        assert by_hook or "refuse" in roles, f"{case.layer!r} should take an axis that varies"
        return False
    assert roles <= {"pass", "mix"}, f"{padded!r} should refuse an axis that varies"
    most = max(case.shapes[i][axis] for i, axis in places)
    lengths = [fitting(case, padded, places, Random(seed + k).randint(1, most), most) for k in range(3)]
    if None in lengths:
        return False
    check_law(case, padded, places, lengths, seed)
    return True


def name_at(dims: tuple[str, ...], axis: int, rank: int) -> str:
    """The signature variable of an axis."""
    names = []
    for dim in dims:
        names += [dim] * (rank - len(dims) + 1) if dim.startswith("*") else [dim]
    return names[axis]


def at_length(case: Case, places: Places, length: int) -> tuple[tuple[int, ...], ...]:
    shapes = list(case.shapes)
    for i, axis in places:
        shapes[i] = (*shapes[i][:axis], length, *shapes[i][axis + 1 :])
    return tuple(shapes)


def fitting(case: Case, padded: Layer, places: Places, length: int, most: int) -> int | None:
    """The least length from this on that an example may have alone."""
    for each in range(length, most + 1):
        with contextlib.suppress(ShapeError):
            case.net(at_length(case, places, each))
            if min(sizes_at(padded, each), default=0) >= 0:
                return each
    return None


def check_law(case: Case, padded: Layer, places: Places, lengths: list[int], seed: int) -> None:
    arrays = arrays_of(padded, seed)
    learned = {path: arrays[path].requires_grad_(True) for path in padded.learned()}
    inputs = [
        case.draw((3, *s), numbers(seed + i), i) for i, s in enumerate(at_length(case, places, max(lengths)))
    ]
    moving = [x.requires_grad_(True) for x in inputs if x.is_floating_point()]
    leaves = [*moving, *learned.values()]
    together = run(padded, inputs, arrays, lengths={"n": torch.tensor(lengths)})
    assert torch.isfinite(together).all(), "padding is finite, else it spoils the derivatives of others"
    total, total_apart = torch.zeros(()), torch.zeros(())
    for k, length in enumerate(lengths):
        alone = case.net(at_length(case, places, length))
        expected = run(alone, [cut(x, k, places, i, length) for i, x in enumerate(inputs)], arrays)[0]
        got = together[(k, *map(slice, sizes_at(padded, length)))]
        close(got, expected)
        weight = torch.rand(expected.shape, generator=numbers(k), dtype=torch.float64)
        total = total + (got * weight).sum()
        total_apart = total_apart + (expected * weight).sum()
    if leaves and total.requires_grad:
        ours = torch.autograd.grad(total, leaves, allow_unused=True)
        theirs = torch.autograd.grad(total_apart, leaves, allow_unused=True)
        for got, expected, leaf in zip(ours, theirs, leaves, strict=True):
            close(*(torch.zeros_like(leaf) if g is None else g for g in (got, expected)))


def sizes_at(padded: Layer, length: int) -> list[int]:
    """The output's sizes for an example of this length."""
    shape = padded.outputs["output"].shape
    return [size.evaluate({"n": length}) if isinstance(size, Extent) else size for size in shape]


def cut(x: torch.Tensor, k: int, places: Places, i: int, length: int) -> torch.Tensor:
    """One example of a padded batch, as a batch of one without its padding."""
    for place, axis in places:
        if place == i:
            x = x.narrow(axis + 1, 0, length)
    return x[k : k + 1]


def close(got: torch.Tensor, expected: torch.Tensor) -> None:
    assert got.shape == expected.shape
    got, expected = got.detach().double(), expected.detach().double()
    assert torch.isfinite(got).all()
    assert (got - expected).norm() <= 1e-9 * max(1.0, float(expected.norm()))


# Constructors and words ---------------------------------------------------------------------------


@every
def test_the_docstring_has_what_a_reader_looks_for(name: str) -> None:
    cls = LAYERS[name]
    text = inspect.getdoc(cls) or ""
    first, _, rest = text.partition("\n")
    assert 5 < len(first) <= 110
    assert first.endswith((".", "``"))
    assert "Shape:" in rest
    assert "Example:" in rest
    assert ">>> " in rest
    owned = {array for seed in TRIES for array in case_of(name, seed).layer.owns()}
    assert ("Arrays:" in rest) == bool(owned)
    assert all(array in rest for array in owned)
    said = {argument(f) for f in dataclasses.fields(cls) if f.init} - {"init", "input", "output"}
    assert all(f"{argument}:" in rest for argument in said)


@every
def test_a_surplus_positional_is_refused_with_a_cure(name: str) -> None:
    cls = LAYERS[name]
    positional = [f for f in dataclasses.fields(cls) if f.init and not f.kw_only]
    if not cls.gathers:
        with pytest.raises(ArgumentError, match=f"{name} takes .*by position") as caught:
            cls(*range(1, len(positional) + 2))
        assert caught.value.fix
        assert caught.value.expected == len(positional)


@every
def test_an_unknown_keyword_is_refused_with_those_that_there_are(name: str) -> None:
    with pytest.raises(ArgumentError, match=f"{name} has no argument 'colour'") as caught:
        LAYERS[name](colour=1)
    assert "input" in caught.value.fix


@every
@pytest.mark.parametrize("method", METHODS)
def test_init_says_how_the_weight_starts(name: str, method: str) -> None:
    case = case_of(name, 3)
    owned = case.layer.owns()
    settings = {**case.net().settings(), "init": method}
    if not {"weight", ""} & set(owned):  # one without a name is the weight of a layer that has no other
        with pytest.raises(ArgumentError, match="init names 'weight'"):
            make(LAYERS[name], settings)
        return
    chosen = make(LAYERS[name], settings).init()
    assert (chosen.arrays["weight"] == METHODS[method]).all()
    by_name = make(LAYERS[name], {**settings, "init": dict.fromkeys(owned, method)}).init()
    assert all((array == METHODS[method]).all() for array in by_name.arrays.values())
    with pytest.raises(ArgumentError, match="Did you mean 'orthogonal'"):
        make(LAYERS[name], {**settings, "init": "ortogonal"})
