"""The chain of facts that fixed a size, and nothing beside it."""

import pytest
from hypothesis import given
from random_nets import nets

import retia as rt

CONVOLUTIONS = (rt.Conv2d(16, 3), rt.ReLU(), rt.MaxPool2d(2), rt.Conv2d(32, 3))
PICTURES = rt.Chain(*CONVOLUTIONS, rt.Flatten(), rt.Linear(10), input=(1, 28, 28))


def test_a_flattened_size_is_led_back_to_the_picture():
    assert PICTURES.why("5.weight") == (
        "5.weight is (10, 3872)\n"
        "  10    because 5 (Linear(10)) says so\n"
        "  3872  because 4 (Flatten()) makes it so; 3 (Conv2d(32, 3)) says so; "
        "3 (Conv2d(32, 3)) makes it so; 2 (MaxPool2d(2)) makes it so; 0 (Conv2d(16, 3)) makes it so; "
        "the input is (1, 28, 28)"
    )


def test_a_convolutions_channels_are_no_reason_for_its_height():
    assert PICTURES.why("3") == (
        "3 is (32, 11, 11)\n"
        "  32  because 3 (Conv2d(32, 3)) says so\n"
        "  11  because 3 (Conv2d(32, 3)) makes it so; 2 (MaxPool2d(2)) makes it so; "
        "0 (Conv2d(16, 3)) makes it so; the input is (1, 28, 28)\n"
        "  11  because 3 (Conv2d(32, 3)) makes it so; 2 (MaxPool2d(2)) makes it so; "
        "0 (Conv2d(16, 3)) makes it so; the input is (1, 28, 28)"
    )


def test_a_head_tells_of_its_trunk_and_of_its_classes():
    trunk = rt.Chain(rt.Conv2d(1280, 1), rt.ReLU(), rt.GlobalAvgPool(), input=(3, 8, 8))
    net = rt.Chain(feature=trunk, classifier=rt.Linear(), output=rt.Classes(["cat", "dog"]))
    assert net.why("classifier.weight") == (
        "classifier.weight is (2, 1280)\n"
        "  2     because the output is Classes(('cat', 'dog'))\n"
        "  1280  because feature.0 (Conv2d(1280, 1)) says so"
    )


def test_sizes_that_follow_from_what_comes_after_are_told_too():
    assert rt.Chain(rt.Linear(), rt.Pad(1), input=5, output=6).why("0.weight") == (
        "0.weight is (4, 5)\n"
        "  4  because 1 (Pad((1, 1))) makes it so; the output is 6\n"
        "  5  because the input is 5"
    )


def test_arrays_that_were_trained_are_a_reason():
    net = rt.Chain(rt.Linear(2), input=3).init().with_ports(input=None)
    assert net.why("0.weight").splitlines()[2] == (
        "  3  because 0 (Linear(2))'s weight was made with shape (2, 3)"
    )


def test_what_nothing_fixes_is_said():
    assert rt.Linear(2).why("weight") == (
        "weight is (2, ?)\n  2  because Linear(2) says so\n  ?  because nothing says yet"
    )


def test_a_tied_array_answers_at_each_of_its_places():
    net = rt.Chain(tokens=rt.Embedding(8, classes=50), head=rt.Linear(bias=False))
    tied = net.tie("tokens.weight", "head.weight")
    assert tied.why("head.weight").splitlines()[1:] == tied.why("tokens.weight").splitlines()[1:]


def test_a_deep_net_is_led_back_to_its_beginning():
    net = rt.Chain(*[rt.Tanh()] * 800, rt.Conv2d(4, 3), *[rt.ReLU()] * 400, input=(3, 9, 9))
    assert net.why("1200") == (
        "1200 is (4, 7, 7)\n"
        "  4  because 800 (Conv2d(4, 3)) says so\n"
        "  7  because 800 (Conv2d(4, 3)) makes it so; the input is (3, 9, 9)\n"
        "  7  because 800 (Conv2d(4, 3)) makes it so; the input is (3, 9, 9)"
    )


def test_a_name_that_is_not_there_is_refused():
    with pytest.raises(rt.UnknownNameError) as caught:
        PICTURES.why("5.wieght")
    assert str(caught.value) == "There is no array, layer or port '5.wieght'. Did you mean '5.weight'?"


@given(nets())
def test_every_size_of_any_net_has_a_reason_that_speaks_of_the_net(net):
    labels = [node.label for node in net.wiring.nodes]
    for path in [*net.array_shapes(), *(path for path, _ in net.layers()), "output"]:
        for line in net.why(path).splitlines()[1:]:
            told = line.partition(" because ")[2]
            known = [
                "the layer is made so",
                *(f"{side} is " for side in ("the input", "the output")),
                *(f"{part}'s {side} is " for part in net.wiring.ends for side in ("input", "output")),
                *labels,
            ]
            assert any(each in told for each in known), (path, line)
