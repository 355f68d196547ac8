"""What ``rt.diff`` tells of two nets."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_nets import nets

import retia as rt

OLD = rt.Chain(rt.Linear(3), rt.ReLU(), head=rt.Linear(2), input=4, output=rt.Classes(["a", "b"])).init()


def told(a, b):
    return [(c.what, c.how, c.path, c.before, c.after) for c in rt.diff(a, b).changes]


def test_equal_nets_have_no_difference():
    same = rt.diff(OLD, OLD.with_arrays({p: t.clone() for p, t in OLD.arrays.items()}))
    assert same.is_equal
    assert same.same == 4
    assert str(same) == "The nets are equal."


def test_arrays_that_changed_are_told_with_norms():
    weight = OLD.arrays["head.weight"]
    found = rt.diff(OLD, OLD.with_arrays({"head.weight": weight + 0.5, "0.bias": torch.full((3,), math.nan)}))
    nan, change = sorted(found.arrays, key=lambda each: each.path)
    apart = np.float64(weight.numpy() + np.float32(0.5)) - np.float64(weight.numpy())
    assert (change.path, change.how) == ("head.weight", "changed")
    assert change.norm == pytest.approx(np.linalg.norm(apart) / np.linalg.norm(np.float64(weight.numpy())))
    assert change.most == pytest.approx(np.abs(apart).max())
    assert (nan.path, math.isnan(nan.most)) == ("0.bias", True)
    assert found.same == 2
    assert not found.is_equal


def test_a_layer_that_was_put_in_moves_those_after_it():
    new = rt.Chain(rt.Linear(4, bias=False), OLD[0], rt.ReLU(), head=OLD[2], input=4, output=OLD.output)
    new = new.with_arrays({"1.weight": OLD.arrays["0.weight"], "1.bias": OLD.arrays["0.bias"]})
    assert told(OLD, new) == [
        ("layer", "added", "0", "", "Linear(4, bias=False)"),
        ("layer", "moved", "1", "0", "1"),
        ("layer", "moved", "2", "1", "2"),
        ("array", "moved", "1.weight", "0.weight", "1.weight"),
        ("array", "moved", "1.bias", "0.bias", "1.bias"),
    ]


def test_the_table_is_short_and_aligned():
    new = rt.Chain(OLD[0], rt.Tanh(), head=rt.Linear(3), input=4, output=rt.Classes(["a", "b", "c"]))
    assert str(rt.diff(OLD, new.init(seed=1, only="head"))) == (
        "layer  changed  1            ReLU()               Tanh()\n"
        "layer  changed  head         Linear(2)            Linear(3)\n"
        "port   changed  output       Classes(('a', 'b'))  Classes(('a', 'b', 'c'))\n"
        "array  changed  head.weight  float32 (2, 3)       float32 (3, 3)\n"
        "array  changed  head.bias    float32 (2)          float32 (3)\n"
        "2 arrays are the same."
    )


def test_layers_that_went_take_their_arrays_along():
    assert told(OLD, OLD[:-1]) == [
        ("layer", "removed", "head", "Linear(2)", ""),
        ("port", "changed", "output", "Classes(('a', 'b'))", "(3)"),
        ("array", "removed", "head.weight", "float32 (2, 3)", ""),
        ("array", "removed", "head.bias", "float32 (2)", ""),
    ]


def test_arrays_that_were_not_made_yet_are_added():
    bare = rt.Chain(rt.Linear(3), input=4)
    assert [(c.how, c.path) for c in rt.diff(bare, bare.init()).arrays] == [
        ("added", "0.weight"),
        ("added", "0.bias"),
    ]


def test_another_type_of_numbers_is_told():
    assert told(OLD, OLD.cast("float64", only="head.bias")) == [
        ("array", "changed", "head.bias", "float32 (2)", "float64 (2)")
    ]


def test_wires_and_ports_that_changed_are_told():
    nodes = {"a": rt.ReLU(), "b": rt.Tanh(), "minus": rt.Minus()}
    one = rt.Graph(nodes, "x -> a -> minus", "x -> b -> minus", input={"x": 2})
    other = rt.Graph(nodes, "x -> b -> minus", "x -> a -> minus", input={"x": 2})
    assert told(one, other) == [("wire", "changed", "minus", "a, b", "b, a")]
    renamed = rt.Graph(nodes, "y -> a -> minus", "y -> b -> minus", input={"y": 2})
    assert ("port", "removed", "x", "(2)", "") in told(one, renamed)
    assert ("port", "added", "y", "", "(2)") in told(one, renamed)


def test_what_only_the_expression_tells_is_not_passed_over():
    inner = rt.Chain(rt.Chain(rt.ReLU(output=3)), input=3)
    assert told(inner, rt.Chain(rt.Chain(rt.ReLU()), input=3)) == [
        ("part", "changed", "", "Chain(Chain(ReLU(output=3)), input=3)", "Chain(Chain(ReLU()), input=3)")
    ]


def test_a_tied_array_counts_once():
    net = rt.Chain(a=rt.Linear(3), b=rt.Linear(3), input=3)
    tied = net.tie("a", "b").init()
    changed = tied.with_arrays({"a.bias": torch.ones(3)})
    assert [(c.path, c.most) for c in rt.diff(tied, changed).arrays] == [("a.bias", 1.0)]


def test_two_nets_are_compared_and_nothing_else():
    with pytest.raises(rt.ArgumentError, match="diff compares two nets; got 'net.safetensors'"):
        rt.diff(OLD, "net.safetensors")


@given(nets(), nets(), st.integers(0, 1))
def test_a_difference_is_told_exactly_where_nets_differ(a, b, seed):
    a, b = a.init(), b.init(seed=seed)
    assert rt.diff(a, a.init()).is_equal
    assert rt.diff(a, b).is_equal == (a == b)
    learned = a.learned()
    if learned:
        path = learned[len(learned) // 2]
        changed = a.with_arrays({path: a.arrays[path] + 1})
        assert [(c.what, c.how, c.path) for c in rt.diff(a, changed).changes] == [("array", "changed", path)]
