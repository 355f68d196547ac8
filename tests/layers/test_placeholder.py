"""The layer that is still to come."""

import pytest

import retia as rt


def test_sizes_go_through_a_sketch_as_its_signature_says(comes_back):
    sketch = rt.Chain(
        encode=rt.Placeholder("c h w -> 64 h w"),
        pool=rt.GlobalAvgPool(),
        decide=rt.Linear(),
        input=(3, 32, 32),
        output=rt.Classes(["cat", "dog"]),
    )
    assert sketch.array_shapes() == {"decide.weight": (2, 64), "decide.bias": (2,)}
    assert "Placeholder" in str(sketch)
    comes_back(sketch)


def test_it_has_the_ports_that_its_signature_names():
    gap = rt.Placeholder("query: m d, key: n d -> m n", input={"query": (2, 8), "key": (5, None)})
    assert gap.inputs["key"].shape == (5, 8)
    assert gap.outputs["output"].shape == (2, 5)
    with pytest.raises(rt.ShapeError):
        rt.Placeholder("n d -> n", input=(2, 8), output=3)


def test_it_says_nothing_about_sizes_by_default():
    net = rt.Chain(rt.Placeholder(), rt.Linear(3), input=4)
    assert net.inputs["input"].shape == (4,)
    assert net.outputs["output"].shape is None


def test_it_refuses_to_compute_and_names_its_place():
    net = rt.Chain(body=rt.Chain(gap=rt.Placeholder("n -> n"), act=rt.ReLU()), input=2)
    with pytest.raises(rt.StructureError) as caught:
        net([1.0, 2.0])
    assert str(caught.value) == (
        "body.gap (Placeholder('n -> n')) holds a place and does not compute.\n"
        "  fix   make the net with a layer in its place: gap=rt.Linear(...), say"
    )
    assert caught.value.path == "body.gap"
    net = rt.Chain(rt.Placeholder("n -> 3"), rt.Linear(1), input=2, output=rt.Vector(1))
    with pytest.raises(rt.StructureError, match=r"in its place: rt\.Linear") as caught:
        rt.train(net, ([[1.0, 2.0]] * 4, [[1.0]] * 4))
    assert caught.value.path == "0"


def test_a_signature_is_read_when_the_layer_is_made():
    assert rt.Placeholder("  n   d ->  n") == rt.Placeholder("n d -> n")
    with pytest.raises(rt.ArgumentError, match="'->' is missing"):
        rt.Placeholder("n d")
    with pytest.raises(rt.ArgumentError, match=r"form is a signature such as 'c h w -> c y x'; got 3\."):
        rt.Placeholder(3)
