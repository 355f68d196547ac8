"""Lineage: what was done to a net and to what, beside its value."""

import copy
import json
import pickle

import pytest
import torch

import retia as rt
from retia.formats import header
from retia.formats.file import read_header
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


# In files and trainings ---------------------------------------------------------------------------


def test_files_keep_the_lineage_and_the_next_step_tells_the_hash_of_what_was_loaded(tmp_path):
    net = NET.init(seed=2)
    net.save(tmp_path / "net")
    loaded = rt.load(tmp_path / "net")
    assert loaded.lineage == net.lineage == (Step("init(seed=2)"),)
    cut = loaded.with_ports(input=rt.Vector(2))
    assert cut.lineage == (Step("init(seed=2)"), Step("with_ports(input=Vector(2))", parent=net.hash))
    cut.save(tmp_path / "cut")
    assert rt.load(tmp_path / "cut").lineage == cut.lineage
    assert read_header(tmp_path / "cut").lineage == cut.lineage


def test_a_net_that_was_saved_is_the_parent_of_what_follows(tmp_path):
    net = NET.init()
    assert net.with_ports(input=None).lineage[-1].parent is None
    net.save(tmp_path / "net")
    assert net.with_ports(input=None).lineage[-1].parent == net.hash


def test_files_without_a_lineage_are_read(tmp_path):
    NET.save(tmp_path / "net")
    assert b"retia.lineage" not in (tmp_path / "net").read_bytes()
    assert rt.load(tmp_path / "net").lineage == ()


@pytest.mark.parametrize(
    "lines",
    [
        {},
        [["drop(2)"]],
        ["drop(2)"],
        [["drop(2)", None, "", 0]],
        [["drop(2)", None, "", True]],
        [["drop(2)", "abc", "", 1]],
        [["", None, "", 1]],
        [["x" * 161, None, "", 1]],
        [["\x1b[2J", None, "", 1]],
        [["drop(2)", None, 3, 1]],
        [["drop(2)", None, "", 1]] * 65,
    ],
    ids=lambda lines: repr(lines)[:30],
)
def test_a_lineage_that_is_none_is_refused(lines, tmp_path):
    place = tmp_path / "net"
    NET.init().save(place)
    with place.open("rb") as file:
        found = header.read(file, place.stat().st_size)
        data = file.read()
    said = {**found.metadata, "retia.lineage": json.dumps(lines)}
    place.write_bytes(header.write(found.entries, said) + data)
    with pytest.raises(rt.FormatError) as caught:
        rt.load(place)
    assert str(caught.value) == f"{place}: its lineage is no list of operations."


def test_training_tells_what_it_began_from():
    net = rt.Chain(rt.Linear(2), input=3).init(seed=5)
    data = (torch.ones(8, 3), torch.zeros(8, 2))
    run = rt.train(net, data, epochs=2, seed=7, progress=False)
    step = Step("trained 2 epochs on 8 examples, seed=7", parent=net.hash)
    assert run.net.lineage == (Step("init(seed=5)"), step)
    assert run.last.lineage == run.net.lineage
    bare = rt.train(rt.Chain(rt.Linear(2)), data, epochs=1, progress=False).net
    assert words(bare)[0] == "init(seed=0)"
    assert words(bare)[1].startswith("trained 1 epoch on 8 examples, seed=0 of ")


def test_a_head_on_a_trained_trunk_knows_where_the_trunk_comes_from():
    trunk = known(rt.Chain(rt.Linear(4), rt.ReLU(), input=3).init())
    net = rt.Chain(feature=trunk.with_ports(input=None), head=rt.Linear(2), input=3)
    run = rt.train(net, (torch.ones(8, 3), torch.zeros(8, 2)), epochs=1, progress=False)
    assert [(step.path, step.words.partition("(")[0]) for step in run.net.lineage] == [
        ("feature", "init"),
        ("feature", "with_ports"),
        ("", "init"),
        ("", "trained 1 epoch on 8 examples, seed=0"),
    ]
    assert run.net.lineage[1].parent == trunk.hash
