"""Chains: names, slices, sizes both ways, expressions that paste back, and the errors of each."""

import pytest

import retia as rt
from retia.nets import expression

WOLFRAM = rt.Chain(rt.Linear(30), rt.Tanh(), rt.Linear(3), rt.Tanh(), rt.Linear(3), rt.Sigmoid(), input=2)


def test_sizes_follow_from_the_input():
    assert WOLFRAM.outputs["output"].shape == (3,)
    assert WOLFRAM.count == 30 * 2 + 30 + 3 * 30 + 3 + 3 * 3 + 3
    assert WOLFRAM.array_shapes()["2.weight"] == (3, 30)


def test_sizes_follow_from_the_output():
    net = rt.Chain(rt.Linear(), rt.ReLU(), input=(4, 5), output=(4, 7))
    assert net.array_shapes() == {"0.weight": (7, 5), "0.bias": (7,)}


def test_a_net_whose_sizes_are_open_is_a_legal_value():
    net = rt.Chain(rt.Flatten(), rt.Linear(5), rt.Linear())
    assert net.array_shapes()["1.weight"] == (5, None)
    with pytest.raises(rt.ShapeError, match=r"sizes that nothing fixes yet: 1\.weight, 2\.weight, 2\.bias"):
        net.init()


def test_repr_pastes_back():
    nets = [
        WOLFRAM,
        rt.Chain(),
        rt.Chain(rt.ReLU(), a=rt.Linear(3), output=3),
        rt.Chain({"1x1": rt.Linear(2), "class": rt.ReLU()}, input=("n", 4)),
        rt.Chain({"a": rt.ReLU(), "1": rt.Tanh()}),
        rt.Chain(rt.Chain(rt.Linear(2)), rt.Chain(input=2)),
    ]
    names = vars(rt)
    for net in nets:
        assert eval(repr(net), dict(names)) == net, repr(net)
        assert expression.from_json(expression.to_json(net)) == net


def test_slices_keep_arrays_names_and_the_ports_at_their_ends():
    net = rt.Chain(rt.Linear(4), rt.ReLU(), head=rt.Linear(3), last=rt.Tanh(), input=2, output=3).init()
    assert list(net[:-1].children) == ["0", "1", "head"]
    assert net[:"last"] == net[:-1]
    assert net[1:].children.keys() == {"0", "head", "last"}
    assert net[:-1].input == 2
    assert net[:-1].output is None
    assert net["head":].output == 3
    assert net[2] == net["head"]
    assert net[2:3].arrays["head.weight"] is net.arrays["head.weight"]
    assert isinstance(net[2:3], rt.Chain)
    assert net[1:1] == rt.Chain()
    assert net[-1] == rt.Tanh()


def test_slices_refuse_steps_and_unknown_names():
    with pytest.raises(rt.ArgumentError, match="not sliced with a step"):
        WOLFRAM[::2]
    with pytest.raises(rt.ArgumentError, match="no child 'heads'"):
        WOLFRAM[:"heads"]
    with pytest.raises(rt.ArgumentError, match="There is no child 6: the chain has 6"):
        WOLFRAM[6]
    with pytest.raises(rt.UnknownNameError, match=r"no part '7'"):
        WOLFRAM["7"]


def test_parts_at_any_depth_go_by_dotted_names():
    net = rt.Chain(block=rt.Chain(linear=rt.Linear(3)), input=2)
    assert net["block.linear"] == rt.Linear(3)


def test_neighbours_that_do_not_fit_are_named_with_their_reasons():
    with pytest.raises(rt.ShapeError) as caught:
        rt.Chain(rt.Flatten(), rt.Linear(10, input=784), input=(28, 29))
    assert str(caught.value) == (
        "1 (Linear(10)) takes (784), but 0 (Flatten()) gives (812).\n"
        "  from  812 because 0 (Flatten()) makes it so\n"
        "  from  812 because the input is (28, 29)\n"
        "  from  784 because 1's input is 784"
    )
    assert caught.value.path == "1"


def test_a_trained_part_in_a_place_that_does_not_fit_names_the_cure():
    trained = rt.Chain(rt.Linear(3), input=4).init()[0]
    with pytest.raises(rt.ShapeError, match=r"its weight would have shape .* but it was made with") as caught:
        rt.Chain(rt.Linear(5), trained, input=2)
    assert "without_arrays() takes them from Linear(" in str(caught.value)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: rt.Chain([rt.ReLU()]), "given one by one"),
        (lambda: rt.Chain(rt.ReLU), "the class ReLU, not a net"),
        (lambda: rt.Chain("relu"), "which is not a net"),
        (lambda: rt.Chain({"a.b": rt.ReLU()}), "without dots"),
        (lambda: rt.Chain({"5": rt.ReLU()}), "stands at it"),
        (lambda: rt.Chain(rt.Plus(), rt.Linear(3), rt.Plus(input={"a": 3, "b": 3})), "takes 2 inputs"),
        (lambda: rt.Chain(rt.ReLU(), input="three"), "whole number, a tuple"),
        (lambda: rt.Chain(rt.ReLU(), input={"x": 3}), "there is no such port"),
        (lambda: rt.Chain(rt.ReLU(), input=-1), "whole number, a tuple"),
    ],
)
def test_what_a_chain_cannot_be_made_of_is_refused(build, message):
    with pytest.raises(rt.Error, match=message):
        build()


def test_pytorch_modules_in_a_chain_are_refused_with_the_layer_to_use():
    import torch

    with pytest.raises(rt.ArgumentError, match=r"PyTorch's ReLU") as caught:
        rt.Chain(torch.nn.ReLU())
    assert caught.value.fix == "rt.ReLU(...)"


def test_a_chain_of_nothing_hands_its_input_through():
    assert rt.Chain(input=2).init()([1.0, 2.0]).tolist() == [1.0, 2.0]
