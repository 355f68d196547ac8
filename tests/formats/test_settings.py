"""Every registered layer, container and codec, with settings that nobody would write but a hostile file."""

from __future__ import annotations

import itertools
import json
import warnings
from dataclasses import fields

import pytest
from crafting import forge

import retia as rt
from retia.nets import expression, registry
from retia.nets.settings import argument

RELU = expression.to_json(rt.ReLU())
TABLE = {"type": "dict", "items": [["weight", 1], ["input", "x"]]}
HOSTILE = [
    None, True, 0, -1, 1, 2**31, 2**53, 2**62, 10**24, -(10**24), 0.5, -0.0, 1e308, 1e-320,
    "", "0", "x.y", "relu", "\u0000", "x" * 2000,
    [], [0], [-1, 2], [1, 2, 3], [2**40, 2**40], [[]], [[1, 2], [3, 4]], ["n", "n"], [None] * 3, [1] * 70,
    list("ab") * 40, [0.5, None, "a", True],
    {"type": "dict", "items": []}, TABLE, RELU, [RELU],
    expression.to_json(rt.Classes(["a", "b"])), expression.to_json(rt.Initial("normal")),
]  # fmt: skip


def described():
    """What expressions may name, with the settings of each that a file would have."""
    found = {}
    for name, cls in registry.registered(object).items():
        if not cls.__module__.startswith("retia."):
            continue
        container = CONTAINERS.get(name)
        found[name] = expression.to_json(container) if container else dict.fromkeys(settings(cls))
    return found


def settings(cls):
    return [argument(field) for field in fields(cls) if field.init]


CONTAINERS = {
    "Chain": rt.Chain(rt.Linear(2), rt.ReLU(), input=3),
    "Graph": rt.Graph(lambda x: rt.ReLU()(x) + rt.Tanh()(x), input=3),
    "Shared": rt.Shared("a", rt.Linear(2)),
    "At": rt.Chain(a=rt.Linear(2), b=rt.ReLU(), input=3).at("a"),
}


@pytest.mark.parametrize("name", described())
def test_hostile_settings_make_a_value_or_a_designed_error(name, tmp_path, full):
    base = {**described()[name], "type": name, "version": 1}
    chosen = [argument for argument in base if argument not in ("type", "version")]
    # One argument alone (the others at their defaults), then all pairs where every run counts.
    cases = [{a: h} for a in chosen for h in HOSTILE]
    if full:
        pairs = itertools.combinations(chosen, 2)
        cases += [{a: h, b: i} for a, b in pairs for h in HOSTILE[::4] for i in HOSTILE[1::4]]
    alone = {k: v for k, v in base.items() if v is not None}
    for case in cases:
        load({**alone, **case}, tmp_path)


def load(data, folder):
    """Load a file that says this, alone and as the type of a port. Only one kind of error may come."""
    place = folder / "net"
    for whole in (data, {**RELU, "input": data}, {**RELU, "input": 3, "output": data}):
        place.write_bytes(forge(whole, missing=json.dumps([])))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                net = rt.load(place)
        except rt.FormatError as error:
            if error.__cause__ is not None:
                raise
            continue
        assert expression.from_json(json.loads(expression.canonical(net))) == net
