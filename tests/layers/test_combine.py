"""Layers of several inputs, against NumPy; sizes inferred both ways and sizes that vary."""

import functools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

import retia as rt
from retia.engine.walk import Run, walk

COMBINERS = {
    "Plus": np.add, "Times": np.multiply, "Minus": np.subtract, "Divide": np.divide, "Power": np.power,
    "Maximum": np.maximum, "Minimum": np.minimum,
}  # fmt: skip


def uniform(seed, shape):
    return np.random.default_rng(seed).uniform(0.5, 2, shape).astype(np.float32)


@pytest.mark.parametrize("name", COMBINERS)
@given(data=st.data())
def test_values_and_shapes_are_those_of_numpys_broadcasting(name, data):
    kind = getattr(rt, name)
    number = data.draw(st.integers(2, min(kind.most, 4)))
    shapes = data.draw(mutually_broadcastable_shapes(num_shapes=number, max_dims=3, max_side=3)).input_shapes
    arrays = {f"in{i}": uniform(i, shape) for i, shape in enumerate(shapes)}
    net = kind(input={name: array.shape for name, array in arrays.items()})
    expected = functools.reduce(COMBINERS[name], arrays.values())
    assert net.outputs["output"].shape == expected.shape
    assert np.allclose(net(arrays).numpy(), expected, rtol=1e-4)


@pytest.mark.parametrize("name", COMBINERS)
def test_shapes_that_do_not_broadcast_are_an_error_that_names_both(name):
    with pytest.raises(rt.ShapeError) as caught:
        getattr(rt, name)(input={"a": (2, 3), "b": (4,)})
    assert "shapes (2, 3) and (4) do not broadcast: 3 against 4." in str(caught.value)
    assert "give them equal sizes, or 1" in str(caught.value)


@pytest.mark.parametrize("name", COMBINERS)
def test_a_size_that_varies_broadcasts_by_its_name(name):
    net = getattr(rt, name)(input={"a": ("n", 2), "b": (2,)})
    assert [str(size) for size in net.outputs["output"].shape] == ["n", "2"]
    a, b = [uniform(i, (n, 2)) for i, n in enumerate((1, 3))], uniform(5, (2, 2))
    got = net({"a": a, "b": b})
    for i in range(2):
        assert np.allclose(got[i].numpy(), COMBINERS[name](a[i], b[i]), rtol=1e-4)
    with pytest.raises(rt.ShapeError, match="do not broadcast: n against m"):
        getattr(rt, name)(input={"a": ("n",), "b": ("m",)})


@pytest.mark.parametrize("name", ["Minus", "Divide", "Power"])
def test_layers_of_two_inputs_refuse_a_third(name):
    with pytest.raises(rt.Error):
        getattr(rt, name)(input={"a": 2, "b": 2, "c": 2})
    x = rt.Input(2)
    with pytest.raises(rt.StructureError, match=f"{name}.* takes 2 inputs; got 3 wires"):
        getattr(rt, name)()(x, x, x)


def test_whole_numbers_stay_whole_where_the_operation_keeps_them():
    rt.Graph(lambda a, b: rt.Embedding(2, classes=9)(a + b), input={"a": 3, "b": 3})
    with pytest.raises(rt.ShapeError, match="takes whole numbers"):
        rt.Graph(lambda a, b: rt.Embedding(2, classes=9)(a / b), input={"a": 3, "b": 3})


# Concat -------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 3), min_size=1, max_size=3), st.integers(1, 4), st.data())
def test_concat_is_numpys_and_a_missing_size_is_inferred(shape, number, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    shapes = []
    for _ in range(number):
        shape[axis] = data.draw(st.integers(1, 3))
        shapes.append(tuple(shape))
    arrays = {f"in{i}": uniform(i, each) for i, each in enumerate(shapes)}
    net = rt.Concat(axis, input={name: array.shape for name, array in arrays.items()})
    expected = np.concatenate([*arrays.values()], axis)
    assert net.outputs["output"].shape == expected.shape
    assert np.array_equal(net(arrays).numpy(), expected)
    unknown = data.draw(st.integers(0, number - 1))
    specs = {f"in{i}": each for i, each in enumerate(shapes)}
    specs[f"in{unknown}"] = tuple(None for _ in shape)
    back = rt.Concat(axis, input=specs, output=expected.shape)
    assert back.inputs[f"in{unknown}"].shape == shapes[unknown]


def test_concat_keeps_what_varies_beside_its_axis():
    net = rt.Concat(-1, input={"a": ("n", 2), "b": ("n", 1)})
    assert [str(size) for size in net.outputs["output"].shape] == ["n", "3"]
    a, b = (
        [uniform(i, (n, 2)) for i, n in enumerate((1, 3))],
        [uniform(i, (n, 1)) for i, n in enumerate((1, 3))],
    )
    for got, left, right in zip(net({"a": a, "b": b}), a, b, strict=True):
        assert np.array_equal(got.numpy(), np.concatenate([left, right], 1))
    with pytest.raises(rt.ShapeError, match="axis 0 of its a varies from example to example"):
        rt.Concat(input={"a": ("n", 2), "b": (1, 2)})


CONCAT = [
    (lambda: rt.Concat(0, 1), "Concat takes axis; 2 were given"),
    (lambda: rt.Concat(dim=1), "Here it is called axis"),
    (lambda: rt.Concat("a"), "axis is a whole number of at least -16; got 'a'"),
    (
        lambda: rt.Concat(input={"a": (2, 3), "b": (2, 4)}),
        "Concat() takes (2, 3) at b, but the input 'b' gives (2, 4)",
    ),
    (lambda: rt.Concat(1, input={"a": (2,), "b": (2,)}), "Concat(1) takes"),
    (
        lambda: rt.Concat(input={"a": 2, "b": 3}, output=6),
        "declares its output as (6), but Concat() gives (5)",
    ),
    (
        lambda: rt.Concat(input={"a": 4, "b": (None,)}, output=3),
        "its inputs are 4 long already, its output 3",
    ),
]


@pytest.mark.parametrize(("call", "text"), CONCAT, ids=[text[:40] for _, text in CONCAT])
def test_what_cannot_be_joined_is_refused(call, text):
    with pytest.raises(rt.Error) as caught:
        call()
    assert text in str(caught.value)


# Dot ----------------------------------------------------------------------------------------------

RANKS = [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4))]


@pytest.mark.parametrize(("left", "right"), RANKS, ids=str)
def test_dot_is_numpys_for_vectors_and_matrices(left, right):
    a, b = uniform(0, left), uniform(1, right)
    net = rt.Graph(lambda left, right: left @ right, input={"left": left, "right": right})
    assert net.outputs["output"].shape == (a @ b).shape
    assert np.allclose(net({"left": a, "right": b}).numpy(), a @ b, rtol=1e-5)
    many = net({"left": np.stack([a, 2 * a]), "right": np.stack([b, b])})
    assert np.allclose(many.numpy(), np.stack([a @ b, 2 * a @ b]), rtol=1e-5)


@pytest.mark.parametrize(
    ("left", "right"),
    [(("n", 3), (3, 2)), ((2, "n"), ("n", 3)), (("n",), ("n",)), (("n", "m"), ("m",))],
    ids=str,
)
def test_dot_sums_over_what_each_example_has(left, right):
    net = rt.Dot(input={"left": left, "right": right})
    sizes = [{"n": 1, "m": 2}, {"n": 3, "m": 1}]
    rows = [
        [uniform(i, tuple(each.get(n, n) for n in shape)) for i, each in enumerate(sizes)]
        for shape in (left, right)
    ]
    for got, a, b in zip(net({"left": rows[0], "right": rows[1]}), *rows, strict=True):
        assert np.allclose(got.numpy(), a @ b, rtol=1e-5)


def test_padding_of_a_product_takes_no_part_in_it():
    net = rt.Dot(input={"left": (2, "n"), "right": ("n", 3)})
    left, right = torch.full((1, 2, 4), torch.nan), torch.full((1, 4, 3), torch.nan)
    left[:, :, :2], right[:, :2] = 1.0, 2.0
    y = walk(net, {"left": left, "right": right}, {}, Run(lengths={"n": torch.tensor([2])}))["output"]
    assert y.tolist() == [[[4.0] * 3] * 2]


def test_products_that_cannot_be_are_refused():
    with pytest.raises(rt.ShapeError, match="takes vectors and matrices; got 3 and 1 axes"):
        rt.Dot(input={"left": (2, 3, 4), "right": 4})
    with pytest.raises(rt.ShapeError):
        rt.Dot(input={"left": (2, 3), "right": 4})
    with pytest.raises(rt.ArgumentError, match="no positional argument"):
        rt.Dot(1)
