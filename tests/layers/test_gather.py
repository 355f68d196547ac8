"""Layers that pick, number, sort and add elements: against NumPy, each example by its own length."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import retia as rt
from retia.engine.walk import Run, walk

LENGTHS = st.lists(st.integers(1, 5), min_size=1, max_size=4)
ELEMENTS = st.sampled_from([(), (2,), (2, 3)])


def sequences(lengths, elements, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((length, *elements)).astype(np.float32) for length in lengths]


def same(found, expected):
    return all(np.array_equal(one.numpy(), other) for one, other in zip(found, expected, strict=True))


# Gather -------------------------------------------------------------------------------------------


@given(LENGTHS, ELEMENTS, st.data())
def test_gather_is_numpys_take_in_each_example(lengths, elements, data):
    rows = sequences(lengths, elements)
    picks = [data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=4)) for n in lengths]
    net = rt.Gather(input={"input": ("n", *elements), "index": ("m",)})
    assert str(net.outputs["output"].shape[0]) == "m"
    found = net({"input": rows, "index": [np.array(each) for each in picks]})
    assert same(found, [row[each] for row, each in zip(rows, picks, strict=True)])


@pytest.mark.parametrize("index", [(), (4,), (2, 3)])
def test_an_index_of_any_shape_gives_that_shape(index):
    x = np.random.default_rng(0).standard_normal((3, 5, 2))
    at = np.random.default_rng(1).integers(5, size=(3, *index))
    net = rt.Gather(input={"input": (5, 2), "index": index})
    assert net.outputs["output"].shape == (*index, 2)
    found = walk(net, {"input": torch.tensor(x), "index": torch.tensor(at)}, {})["output"]
    assert np.array_equal(found.numpy(), np.stack([each[i] for each, i in zip(x, at, strict=True)]))


def test_derivatives_go_back_to_where_elements_came_from():
    net = rt.Gather(input={"input": (3, 2), "index": (4,)})
    x = torch.rand(2, 3, 2, dtype=torch.float64, requires_grad=True)
    at = torch.tensor([[0, 0, 1, 0], [2, 1, 1, 1]])
    walk(net, {"input": x, "index": at}, {})["output"].sum().backward()
    assert x.grad[:, :, 0].tolist() == [[3, 1, 0], [0, 3, 1]]


def test_a_number_of_no_element_is_named():
    net = rt.Gather(input={"input": (3,), "index": (2,)})
    with pytest.raises(rt.DataError) as caught:
        net({"input": [1.0, 2.0, 3.0], "index": [0, 3]})
    assert str(caught.value) == "Gather() picks from 3 elements, numbers 0 to 2; got 3."
    with pytest.raises(rt.DataError, match=r"numbers 0 to 2; got -1\."):
        net({"input": [1.0, 2.0, 3.0], "index": [-1, 0]})


def test_a_number_beyond_an_examples_own_end_is_named_too():
    net = rt.Gather(input={"input": ("n",), "index": ()})
    with pytest.raises(rt.DataError, match=r"picks from 2 elements, numbers 0 to 1; got 2\."):
        net({"input": [[1.0, 2.0], [3.0, 4.0, 5.0]], "index": [2, 2]})


def test_gather_picks_from_whole_numbers_and_keeps_them_whole():
    net = rt.Graph(lambda x, at: rt.Gather()(rt.Positions()(x), at), input={"x": 3, "at": ()})
    assert net.outputs["output"].kind == "int"
    assert net({"x": [1.0, 2.0, 3.0], "at": 2}).item() == 2
    with pytest.raises(rt.ShapeError, match="takes whole numbers at index"):
        rt.Graph(lambda x, at: rt.Gather()(x, rt.Tanh()(at)), input={"x": 3, "at": ()})


# Positions, Sort and ArgSort ----------------------------------------------------------------------


@given(LENGTHS, ELEMENTS)
def test_positions_count_each_examples_elements(lengths, elements):
    found = rt.Positions(input=("n", *elements))(sequences(lengths, elements))
    assert [each.tolist() for each in found] == [list(range(n)) for n in lengths]


def test_positions_can_be_embedded():
    net = rt.Chain(rt.Positions(), rt.Embedding(4, classes=9), input=("n", 2)).init(seed=0)
    weight = net.arrays["1.weight"]
    assert torch.equal(net(torch.zeros(3, 2)), weight[:3])


NUMBERS = st.lists(st.sampled_from([-1.5, 0.0, 2.0, np.inf, -np.inf, np.nan]), min_size=1, max_size=6)


@given(st.lists(NUMBERS, min_size=1, max_size=4), st.booleans())
def test_sorting_is_pytorchs_in_each_example_with_infinities_and_nan(rows, descending):
    net, places = (kind(descending=descending, input=("n",)) for kind in (rt.Sort, rt.ArgSort))
    for row, values, at in zip(rows, net(rows), places(rows), strict=True):
        alone = torch.tensor(row)
        expected = torch.sort(alone, descending=descending, stable=True)
        assert torch.equal(values.nan_to_num(7), expected.values.nan_to_num(7))
        assert torch.equal(at, expected.indices)


@given(st.integers(-3, 2), st.booleans())
def test_sorting_goes_along_any_axis(axis, descending):
    x = np.random.default_rng(3).integers(9, size=(2, 4, 3))
    found = rt.Sort(axis, descending=descending, input=x.shape)(x.astype(np.float32)).numpy()
    expected = np.sort(x, axis=axis)
    assert np.array_equal(found, np.flip(expected, axis) if descending else expected)


def test_whole_numbers_are_sorted_by_each_examples_own_length():
    x, lengths = torch.tensor([[-3, -1, 0], [2, 5, -4]]), {"n": torch.tensor([2, 3])}
    for descending, expected in ((False, [[0, 1], [2, 0, 1]]), (True, [[1, 0], [1, 0, 2]])):
        net = rt.ArgSort(descending=descending, input=("n",))
        found = walk(net, {"input": x}, {}, Run(lengths=lengths))["output"]
        assert [found[0, :2].tolist(), found[1].tolist()] == expected


def test_the_greatest_numbers_are_picked_by_sorting():
    net = rt.Chain(rt.Sort(descending=True), rt.Part(":2"), input=4)
    assert net([1.0, 9.0, 3.0, 5.0]).tolist() == [9.0, 5.0]


# Prepend and Append -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [rt.Prepend, rt.Append])
@given(lengths=LENGTHS, elements=ELEMENTS)
def test_an_element_more_stands_at_each_examples_own_end(kind, lengths, elements):
    rows, more = sequences(lengths, elements), np.stack(sequences([1] * len(lengths), elements, 1))
    net = kind(input={"input": ("n", *elements), "element": elements})
    assert str(net.outputs["output"].shape[0]) == "n + 1"
    found = net({"input": rows, "element": list(more[:, 0])})
    order = (lambda row, one: (one, row)) if kind is rt.Prepend else (lambda row, one: (row, one))
    assert same(found, [np.concatenate(order(row, one)) for row, one in zip(rows, more, strict=True)])


@pytest.mark.parametrize("kind", [rt.Prepend, rt.Append])
def test_sizes_are_inferred_both_ways(kind):
    net = kind(output=(5, 2))
    assert net.inputs["input"].shape == (4, 2)
    assert net.inputs["element"].shape == (2,)
    with pytest.raises(rt.ShapeError, match="an element more makes at least one"):
        kind(output=(0, 2))
