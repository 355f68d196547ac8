"""The view model says what the net says, in plain data."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from hypothesis import given

import retia as rt
from nets.random_nets import nets
from retia.view.model import view
from retia.zoo.efficientnet import efficientnet_lite0
from retia.zoo.resnet import resnet18
from retia.zoo.small import lenet


@given(net=nets())
def test_shapes_are_those_of_a_run_and_counts_those_of_the_arrays(net: rt.Net) -> None:
    net = net.init()
    seen = view(net)
    x = torch.zeros(net.inputs["input"].shape)
    for part in seen.parts.values():
        if part.path and "net" not in part.path.split("."):
            made = net.at(part.path)(x, None)
            shapes = [made] if isinstance(made, torch.Tensor) else list(made.values())
            assert list(part.outputs.values()) == [tuple(each.shape) for each in shapes]
    held = {held.path: held for part in seen.parts.values() for held in part.arrays}
    assert {path: each.shape for path, each in held.items()} == {
        path: tuple(array.shape) for path, array in net.arrays.items()
    }
    assert seen.count == sum(net.arrays[path].numel() for path in net.learned())
    json.dumps(asdict(seen))


@pytest.mark.parametrize("net", [lenet(), resnet18(), efficientnet_lite0()], ids=["lenet", "resnet", "lite0"])
def test_a_groups_count_is_that_of_its_part(net: rt.Net) -> None:
    seen = view(net)
    assert seen.count == net.count
    for path, part in seen.parts.items():
        arrays = [np.prod(s) for at, s in net.array_shapes().items() if at.startswith(f"{path}.") or not path]
        learned = [at for at in net.learned() if at.startswith(f"{path}.") or not path]
        assert part.count == sum(int(np.prod(net.array_shapes()[at])) for at in learned)
        assert len(arrays) >= len(learned)


def test_what_feeds_a_part_is_a_part_beside_it_or_a_port_around_it() -> None:
    for part in (seen := view(resnet18())).parts.values():
        for child in part.children:
            names = {seen.parts[each].name for each in part.children}
            for name, port in seen.parts[child].sources.values():
                assert name in names if name else port in part.inputs


def test_sharing_is_told_with_the_place_that_keeps_the_arrays() -> None:
    net = rt.Graph(
        lambda a, b: rt.Shared("f", rt.Linear(3))(a) - rt.Shared("f", rt.Linear(3))(b),
        input={"a": 2, "b": 2},
    )
    parts = [part for part in view(net).layers if part.shared]
    assert [(part.shared, part.only, part.count) for part in parts] == [("f", (), 9)] * 2
    assert [[held.lent for held in part.arrays] for part in parts] == [[False] * 2, [True] * 2]
    assert {held.path for part in parts for held in part.arrays} == {*net.array_shapes()}
    assert view(net).count == 9


def test_an_array_that_is_tied_stands_with_the_layer_that_keeps_it() -> None:
    net = rt.Chain(tokens=rt.Embedding(4, classes=9), head=rt.Linear(9), input=()).tie(
        "tokens.weight", "head.weight"
    )
    parts = view(net).parts
    assert [(held.name, held.path, held.lent, held.shape) for held in parts["head"].arrays] == [
        ("weight", "tokens.weight", True, (9, 4)),
        ("bias", "head.bias", False, (9,)),
    ]
    assert parts["head"].only == ("weight",)
    assert view(net).count == net.count == 45
    assert "only='weight'" in str(net)
    lines = {line.split()[0]: line.split()[-1] for line in str(net).splitlines()}
    assert [lines[name] for name in ("tokens", "head", "total")] == ["36", "9", "45"]


def test_what_an_operator_carries_on_is_no_input_of_it() -> None:
    fold = view(rt.Fold(rt.Graph(lambda x, sum: x + sum), 2, input=("n", 2))).parts[""]
    assert fold.inputs == {"input": ("n", 2)}
    assert fold.carried == {"sum": (2,)}


def test_rates_of_zero_freeze_layers_and_the_groups_of_them() -> None:
    net = rt.Chain(body=rt.Chain(rt.Linear(4), rt.BatchNorm()), head=rt.Linear(2), input=3)
    frozen = {path for path, part in view(net, rates={"body": 0}).parts.items() if part.frozen}
    assert frozen == {"body", "body.0", "body.1"}
    assert not any(part.frozen for part in view(net).parts.values())


def test_unknown_sizes_are_none() -> None:
    seen = view(rt.Chain(rt.Linear(3), rt.Linear()))
    assert seen.count is None
    assert [part.count for part in seen.layers] == [None, None]


def test_things_are_attached_to_parts_that_are_there() -> None:
    seen = view(rt.Chain(rt.ReLU(), input=2))
    assert seen.attach("gradients", {"0": [1.0]}).attached == {"gradients": {"0": [1.0]}}
    with pytest.raises(rt.UnknownNameError, match=r"There is no part '1'\."):
        seen.attach("gradients", {"1": [1.0]})
