"""Types and codecs at the ports of a net that is there: set, replaced, removed."""

import pytest
import torch

import retia as rt

CATS = rt.Classes(["cat", "dog"])
BOTH = rt.Graph(lambda a, b: a + b, input={"a": 2, "b": 2})


def test_what_is_not_named_stays_and_none_removes():
    net = rt.Chain(rt.Linear(2), input=3, output=CATS).init()
    assert repr(net.with_ports(output=None)) == "Chain(Linear(2), input=3)"
    assert repr(net.with_ports(input=None)) == "Chain(Linear(2), output=Classes(('cat', 'dog')))"
    assert net.with_ports(input=rt.Vector(3)) == rt.Chain(
        rt.Linear(2), input=rt.Vector(3), output=CATS
    ).with_arrays(net.arrays)
    assert net.with_ports() == net


def test_the_old_net_stays_and_arrays_are_the_same_tensors():
    net = rt.Chain(rt.Linear(2), input=3).init()
    before = (repr(net), net.hash)
    made = net.with_ports(output=CATS)
    assert (repr(net), net.hash) == before
    assert made.arrays["0.weight"] is net.arrays["0.weight"]
    assert made([0.0, 0.0, 0.0]) in ("cat", "dog")


def test_codecs_that_parts_declare_go_with_those_of_the_net():
    inner = rt.Chain(rt.Linear(2, input=3), rt.Softmax(output=CATS))
    net = rt.Chain(feature=inner)
    assert net.outputs["output"].codec == CATS
    assert repr(net.with_ports(input=None, output=None)) == "Chain(feature=Chain(Linear(2), Softmax()))"
    renamed = net.with_ports(output=rt.Classes(["no", "yes"]))
    assert renamed.outputs["output"].codec == rt.Classes(["no", "yes"])
    assert repr(renamed["feature"]) == "Chain(Linear(2, input=3), Softmax())"


def test_what_is_declared_inside_stays():
    net = rt.Chain(rt.Chain(rt.Linear(4, output=4)), rt.Linear(2), input=3)
    assert repr(net.with_ports(input=5)) == "Chain(Chain(Linear(4, output=4)), Linear(2), input=5)"


def test_ports_of_several_go_by_name():
    made = BOTH.with_ports(input={"a": rt.Vector(2), "b": None}, output=2)
    assert made.inputs["a"].codec == rt.Vector(2)
    assert dict(made.input) == {"a": rt.Vector(2), "b": None}
    assert made == rt.Graph(lambda a, b: a + b, input={"a": rt.Vector(2), "b": None}, output=2)
    assert BOTH.with_ports(input={"b": rt.Vector(2)}) == rt.Graph(
        lambda a, b: a + b, input={"a": 2, "b": rt.Vector(2)}
    )


@pytest.mark.parametrize(
    "net",
    [rt.Linear(2, input=3), rt.Shared("f", rt.Linear(2, input=3)), rt.Map(rt.Linear(2), input=("n", 3))],
    ids=lambda net: type(net).__name__,
)
def test_layers_shared_nets_and_operators_have_ports_too(net):
    net = net.init()
    bare = net.with_ports(input=None)
    assert bare.input is None
    assert bare.arrays.keys() == net.arrays.keys()
    assert bare.with_ports(input=net.input if net.input is not None else 3) == net


def test_a_plus_keeps_its_number_of_inputs():
    plus = rt.Plus(input={"input1": 2, "input2": 2})
    made = plus.with_ports(input={"input1": None, "input2": None})
    assert made.input_names() == ("input1", "input2")


def test_ports_that_are_not_there_are_told_all_at_once():
    with pytest.raises(rt.ArgumentError) as caught:
        BOTH.with_ports(input={"aa": 2, "c": 2}, output={"sum": 2})
    assert str(caught.value) == (
        "with_ports: there is no input 'aa'; there are a, b. Did you mean 'a'?\n"
        "  from  there is no input 'c'; there are a, b.\n"
        "  from  there is no output 'sum'; there are output."
    )
    with pytest.raises(rt.ArgumentError) as caught:
        BOTH.with_ports(input=2)
    assert str(caught.value) == (
        "with_ports: input= is one type, but there are 2 ports: a, b.\n  fix   input={'a': ..., 'b': ...}"
    )


def test_a_type_that_does_not_fit_is_refused():
    net = rt.Chain(rt.Linear(2), input=3).init()
    with pytest.raises(rt.ShapeError) as caught:
        net.with_ports(output=rt.Classes(["a", "b", "c"]))
    assert str(caught.value).startswith(
        "The net declares its output as Classes(('a', 'b', 'c')), (3), but 0 (Linear(2)) gives (2)."
    )


def test_one_who_sets_a_codec_again_has_the_net_again():
    net = rt.Chain(rt.Linear(2), input=rt.Vector(3), output=CATS).init()
    assert net.with_ports(input=None, output=None).with_ports(input=rt.Vector(3), output=CATS) == net


def test_ports_are_in_the_lineage():
    net = rt.Chain(rt.Linear(2)).with_ports(input=3, output=None)
    assert [str(step) for step in net.lineage] == ["with_ports(input=3, output=None)"]


def test_a_removed_codec_answers_the_bare_array():
    net = rt.Chain(rt.Linear(2), input=3, output=CATS).init()
    x = torch.ones(3)
    assert torch.equal(net.with_ports(output=None)(x), net(x, None))
