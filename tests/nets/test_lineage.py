"""Lineage: what was done to a net and to what, beside its value."""

import copy
import pickle

import pytest
import torch

import retia as rt
from retia.nets.lineage import MOST_STEPS, Step, descended, known, remember

NET = rt.Chain(rt.Linear(4), rt.ReLU(), head=rt.Linear(3), input=2)


def words(net):
    return [str(step) for step in net.lineage]


def test_a_net_that_was_only_written_has_no_lineage():
    assert NET.lineage == ()


def test_operations_on_arrays_are_told_in_their_order():
    net = NET.init(seed=3, method="xavier").init(only="head").with_arrays({"head.bias": torch.ones(3)})
    net = net.with_arrays({"0.bias": torch.ones(4), "head.bias": torch.zeros(3)}).to("cpu").at("head")
    assert words(net) == [
        "init(seed=3, method='xavier')",
        "init(seed=0, only='head')",
        "with_arrays(head.bias)",
        "with_arrays(2 arrays)",
        "at('head')",
    ]


def test_what_changes_nothing_leaves_the_net_and_its_lineage():
    net = NET.init()
    assert net.init() is net
    assert net.with_arrays({}) is net


def test_lineage_is_no_part_of_a_nets_value():
    made = NET.init()
    same = NET.init(seed=9).with_arrays(made.arrays)
    assert made.lineage != same.lineage
    assert made == same
    assert made.hash == same.hash
    assert hash(made) == hash(same)
    assert repr(made) == repr(same)


def test_the_hash_of_a_net_that_stands_elsewhere_is_noted():
    base = known(NET.init())
    net = descended(base[:-1], base, "[:-1]")
    assert net.lineage[-1] == Step("[:-1]", parent=base.hash)
    assert str(net.lineage[-1]) == f"[:-1] of {base.hash[:12]}"
    assert descended(net[:1], net, "[:1]").lineage[-1] == Step("[:1]")


def test_descent_gives_another_object_for_a_part_and_leaves_the_part():
    base = NET.init()
    part = base["head"]
    made = descended(part, base, "['head']")
    assert made is not part
    assert made == part
    assert words(made) == ["init(seed=0)", "['head']"]
    assert part.lineage == ()
    assert made.arrays["weight"] is base.arrays["head.weight"]


def test_what_is_built_from_parts_tells_of_each_by_its_path():
    feature = descended(NET.init()[:1], NET.init(), "[:1]")
    whole = rt.Chain(feature=rt.Shared("f", feature), head=rt.Linear(2))
    assert words(whole) == ["feature: init(seed=0)", "feature: [:1]"]
    assert words(rt.Chain(whole=whole, input=2)) == ["whole.feature: init(seed=0)", "whole.feature: [:1]"]
    made = whole.with_arrays({"feature.0.bias": torch.ones(4)})
    assert words(made)[-1] == "with_arrays(feature.0.bias)"
    assert len(made.lineage) == 3


def test_a_map_tells_of_the_net_within_it():
    inner = rt.Linear(2, input=3).init()
    assert words(rt.Map(inner)) == ["net: init(seed=0)"]


def test_what_is_done_again_and_again_is_one_step():
    net = NET.init()
    for value in range(5):
        net = net.with_arrays({"head.bias": torch.full((3,), float(value))})
    assert words(net) == ["init(seed=0)", "with_arrays(head.bias), 5 times"]


def test_lineage_is_bounded():
    net = NET.init()
    for number in range(MOST_STEPS + 5):
        net = net.with_arrays({("head.bias", "0.bias")[number % 2]: torch.ones(4 if number % 2 else 3)})
    assert len(net.lineage) == MOST_STEPS
    long = descended(net.at("0"), net, "x" * 1000).lineage[-1].words
    assert (len(long), long[-4:]) == (160, "x...")


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_lineage_comes_along_with_copies(again):
    net = remember(NET.init(), [Step("drop(2)", "ab" * 32, "feature", 2)])
    assert again(net) == net
    assert again(net).lineage == net.lineage
