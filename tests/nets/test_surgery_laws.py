"""The laws of surgery, over random nets: what is taken apart and joined is what it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_nets import nets

import retia as rt
from retia.engine.walk import Run, walk

SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)


@st.composite
def graphs(draw: Any) -> rt.Graph:
    """A random graph of some inputs and outputs, of nodes that each take what came before."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    x = {f"in{i}": rt.Input(3, name=f"in{i}") for i in range(int(rng.integers(1, 3)))}
    wires = list(x.values())
    for _ in range(int(rng.integers(2, 9))):
        first, second = (wires[int(rng.integers(max(0, len(wires) - 4), len(wires)))] for _ in range(2))
        kind = int(rng.integers(5))
        if kind == 0:
            wires.append(first * second)
        elif kind == 1:
            wires.append(first + second)
        elif kind == 2:
            wires.append(rt.Chain(rt.Linear(3), rt.Tanh())(first))
        elif kind == 3:
            wires.append(rt.Graph(lambda y: rt.Linear(3)(y) - y)(first))
        else:
            wires.append(rt.Linear(3)(first))
    loose = [wire for wire in wires[len(x) :] if not _is_read(wire, wires)]
    outputs = {f"out{i}": wire for i, wire in enumerate(loose)}
    if rng.integers(2):
        outputs["aux"] = wires[int(rng.integers(len(x), len(wires)))]
    return rt.Graph(outputs)


def _is_read(wire: Any, wires: list[Any]) -> bool:
    read = [
        source for each in wires if not isinstance(each, rt.Input) for source in each.origin.sources.values()
    ]
    return any(source is wire for source in read)


def ready(net: rt.Net) -> rt.Net:
    return net.init(seed=3)


def batch(net: rt.Net) -> dict[str, torch.Tensor]:
    made = torch.Generator().manual_seed(5)
    return {
        name: torch.rand((2, *(int(n) for n in port.shape or ())), generator=made)
        for name, port in net.inputs.items()
    }


def answers(net: rt.Net, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What the reference walk gives."""
    wanted = {name: inputs[name] for name in net.inputs}
    return walk(net, wanted, net.arrays, Run(seed=1))


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return set(one) == set(other) and all(
        torch.equal(one[name].nan_to_num(), other[name].nan_to_num()) for name in one
    )


def tensors(net: rt.Net) -> list[int]:
    """The tensors themselves."""
    return sorted(id(tensor) for tensor in net.arrays.values())


def fresh_hash(net: rt.Net) -> str:
    """The hash of what a net says and holds now, not of what it once did."""
    for name in ("_hash", "expression_hash"):
        net.__dict__.pop(name, None)
    return net.hash


def same_net(made: rt.Net, net: rt.Net) -> None:
    """A net that is equal, and has the very arrays of the other."""
    assert made == net
    assert tensors(made) == tensors(net)
    assert repr(made) == repr(net)


def is_what_the_engine_gives(net: rt.Net, inputs: dict[str, torch.Tensor]) -> None:
    for name, tensor in answers(net, inputs).items():
        assert net.outputs[name].shape == tuple(tensor.shape[1:])


CHAINS = settings(max_examples=15, deadline=None, suppress_health_check=SLOW)
MANY = settings(max_examples=300, deadline=None, suppress_health_check=SLOW)


def chain_laws(net: rt.Chain, rng: np.random.Generator) -> None:
    net = ready(net)  # type: ignore[assignment]
    before, inputs = net.hash, batch(net)
    number = int(rng.integers(len(net) + 1))
    first, rest = net.take(number), net.drop(number)
    same_net(first.join(rest), net)
    same_net(net[:number].join(net[number:]), net)
    if len(net):
        same_net(net.insert(number, rt.Tanh()).delete(number), net)
    same_net(net.append(rt.ReLU()).delete(-1), net)
    same_net(net.prepend(rt.ReLU()).delete(0), net)
    if len(net):
        place = int(rng.integers(len(net)))
        same_net(net.replace(place, lambda old: old), net)
        same_net(net.replace(place, net[place]), net)
        same_net(net.rename({place: "named"}).rename({"named": str(place)}), net)
        halves = net.split(place)
        same_net(halves[0].join(halves[1]), net)
        middle = answers(halves[0], inputs) if place else {"input": next(iter(inputs.values()))}
        if place:
            is_what_the_engine_gives(halves[0], inputs)
        fed = dict(zip(halves[1].inputs, middle.values(), strict=True))
        assert same(answers(halves[1], fed), answers(net, inputs))
        nested = net.nest("block", place)
        assert same(answers(nested, inputs), answers(net, inputs))
        assert same(answers(nested.flatten(1), inputs), answers(net, inputs))
        shown = net.expose(inner=str(place))
        assert torch.equal(
            answers(shown, inputs)["inner"].nan_to_num(),
            answers(net.at(str(place)), inputs)["output"].nan_to_num(),
        )
        is_what_the_engine_gives(shown, inputs)
    flat = net.flatten()
    assert tensors(flat) == tensors(net)
    assert same(answers(flat, inputs), answers(net, inputs))
    assert all(not isinstance(part, rt.Chain | rt.Graph) for part in flat.children.values())
    same_net(net.map_layers(lambda path, layer: layer), net)
    same_net(net.replace(rt.Layer, lambda layer: layer), net)
    assert fresh_hash(net) == before


@CHAINS
@given(nets(), st.integers(0, 2**32))
def test_a_chain_taken_apart_and_joined_is_what_it_was(net: rt.Chain, seed: int) -> None:
    assume(not any(layer.noisy for _, layer in net.layers()))  # draws follow the path
    chain_laws(net, np.random.default_rng(seed))


@pytest.mark.full
@MANY
@given(nets(), st.integers(0, 2**32))
def test_any_chain_taken_apart_and_joined_is_what_it_was(net: rt.Chain, seed: int) -> None:
    assume(not any(layer.noisy for _, layer in net.layers()))  # draws follow the path
    chain_laws(net, np.random.default_rng(seed))


def graph_laws(net: rt.Graph, rng: np.random.Generator) -> None:
    net = ready(net)  # type: ignore[assignment]
    before, inputs = net.hash, batch(net)
    given_answers = answers(net, inputs)
    name = str(rng.choice([*net.nodes]))
    part = net.nodes[name]
    for path in [name, *(f"{name}.{inner}" for inner in part.children)]:
        first, second = net.split(path)
        whole = first.join(second) if path == name else None
        found = answers(first, inputs) if first.children else {}
        if found:
            is_what_the_engine_gives(first, inputs)
        fed = {**inputs, **found, **({"input": found["output"]} if "output" in found else {})}
        rest = answers(second, fed)
        assert all(torch.equal(rest[port], given_answers[port]) for port in rest)
        assert {*rest, *found} >= set(given_answers)
        assert set(tensors(first)) | set(tensors(second)) == set(tensors(net))
        if whole is not None:
            assert same(answers(whole, inputs), given_answers)
            assert sorted(whole.arrays) == sorted(net.arrays)
            assert tensors(whole) == tensors(net)
        dangling = told(lambda path=path: (net[:path], net[path:]))
        if dangling is not None:
            assert f"before {name}" in dangling
        elif path == name:
            assert same(answers(net[:path].join(net[path:]), inputs), given_answers)
    dangling = told(lambda: (net.take(name), net.drop(name)))
    if dangling is not None:
        assert f"after {name} would leave" in dangling
    elif not set(net.drop(name).inputs) <= set(net.inputs):  # something goes from one to the other
        assert same(answers(net.take(name).join(net.drop(name)), inputs), given_answers)
    edges = [f"{source} -> {target}" for edge in net.edges() for source, target in _steps(edge)]
    edges = [edge for edge in edges if edges.count(edge) == 1]
    if edges:
        edge = str(rng.choice(edges))
        same_net(net.insert(edge, added=rt.Tanh()).delete("added"), net)
    same_net(net.insert(name, added=rt.Tanh(), after=True).delete("added"), net)
    same_net(net.replace(name, lambda old: old), net)
    same_net(net.replace("*", lambda old: old), net)
    same_net(net.rename({name: "named"}).rename({"named": name}), net)
    same_net(net.rename(lambda own: own + "_").rename(lambda own: own[:-1]), net)
    flat = net.flatten()
    assert tensors(flat) == tensors(net)
    assert same(answers(flat, inputs), given_answers)
    nested = net.nest("block", name)
    assert same(answers(nested, inputs), given_answers)
    assert same(answers(nested.flatten(1), inputs), given_answers)
    shown = net.expose(inner=name)
    assert torch.equal(answers(shown, inputs)["inner"], answers(net.at(name), inputs)["output"])
    assert fresh_hash(net) == before


def told(cut: Callable[[], object]) -> str | None:
    """What a cut is refused with."""
    try:
        cut()
    except rt.StructureError as error:
        return str(error)
    return None


def _steps(edge: str) -> list[tuple[str, str]]:
    stops = edge.split(" -> ")
    return list(zip(stops, stops[1:], strict=False))


@CHAINS
@given(graphs(), st.integers(0, 2**32))
def test_a_graph_taken_apart_and_joined_is_what_it_was(net: rt.Graph, seed: int) -> None:
    graph_laws(net, np.random.default_rng(seed))


@pytest.mark.full
@MANY
@given(graphs(), st.integers(0, 2**32))
def test_any_graph_taken_apart_and_joined_is_what_it_was(net: rt.Graph, seed: int) -> None:
    graph_laws(net, np.random.default_rng(seed))
