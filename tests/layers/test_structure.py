"""Layers that move elements: against NumPy, with sizes inferred both ways and sizes that vary."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import retia as rt
from retia.engine.walk import Run, walk


def counted(*shape):
    return np.arange(math.prod(shape), dtype=np.float32).reshape(shape)


SHAPES = st.lists(st.integers(1, 4), max_size=4).map(tuple)

# Flatten and Reshape ------------------------------------------------------------------------------


@given(SHAPES)
def test_flatten_is_numpys(shape):
    x = counted(*shape)
    assert np.array_equal(rt.Flatten(input=shape)(x).numpy(), x.reshape(-1))


@given(SHAPES, st.data())
def test_reshape_is_numpys_and_its_sizes_are_inferred_both_ways(shape, data):
    total = math.prod(shape)
    first = data.draw(st.sampled_from([n for n in range(1, total + 1) if total % n == 0]))
    new = (first, total // first)
    open_axis = data.draw(st.sampled_from([None, 0, 1]))
    said = tuple(-1 if axis == open_axis else n for axis, n in enumerate(new))
    x = counted(*shape)
    net = rt.Reshape(*said, input=shape)
    assert net.outputs["output"].shape == new
    assert np.array_equal(net(x).numpy(), x.reshape(new))
    if shape:
        unknown = data.draw(st.integers(0, len(shape) - 1))
        before = tuple(None if axis == unknown else n for axis, n in enumerate(shape))
        assert rt.Reshape(*new, input=before).inputs["input"].shape == shape
        assert rt.Flatten(input=before, output=total).inputs["input"].shape == shape


def test_sizes_may_stand_in_one_tuple():
    assert rt.Reshape((2, 3)) == rt.Reshape(2, 3)
    assert repr(rt.Reshape((2, None))) == "Reshape(2, None)"
    assert rt.Reshape(-1, 2) == rt.Reshape(None, 2)
    assert rt.Reshape((), input=(1, 1))([[5.0]]).shape == ()
    assert repr(rt.Reshape(())) == "Reshape(())"


def test_a_varying_first_axis_goes_through_a_reshape():
    net = rt.Reshape(None, 2, 3, input=("n", 6))
    assert str(net.outputs["output"].shape[0]) == "n"
    assert str(rt.Reshape(None, 3, input=("n", 6)).outputs["output"].shape[0]) == "2*n"
    short, long = counted(1, 6), counted(3, 6)
    assert [each.tolist() for each in net([short, long])] == [
        short.reshape(1, 2, 3).tolist(),
        long.reshape(3, 2, 3).tolist(),
    ]


def test_flattening_what_varies_keeps_what_is_real(keeps_the_batch_law):
    keeps_the_batch_law(rt.Flatten(input=("n", 2)), {"n": [1, 3, 2]}, padding=5.0)
    keeps_the_batch_law(rt.Reshape(None, 2, input=("n", 4)), {"n": [1, 3, 2]}, padding=5.0)


# Transpose and Replicate --------------------------------------------------------------------------


@given(SHAPES, st.randoms())
def test_transpose_is_numpys_and_its_inverse_takes_it_back(shape, random):
    order = random.sample(range(len(shape)), len(shape))
    x = counted(*shape)
    net = rt.Transpose(tuple(order), input=shape)
    assert np.array_equal(net(x).numpy(), x.transpose(order))
    back = rt.Chain(net, rt.Transpose(tuple(np.argsort(order).tolist())))
    assert np.array_equal(back(x).numpy(), x)
    assert rt.Transpose(tuple(order), output=net.outputs["output"].shape).inputs["input"].shape == shape


@given(SHAPES, st.integers(1, 3), st.data())
def test_replicate_repeats_along_a_new_axis(shape, times, data):
    axis = data.draw(st.integers(-len(shape) - 1, len(shape)))
    x = counted(*shape)
    net = rt.Replicate(times, axis, input=shape)
    assert np.array_equal(net(x).numpy(), np.stack([x] * times, axis))
    assert rt.Replicate(times, axis, output=net.outputs["output"].shape).inputs["input"].shape == shape


# Part ---------------------------------------------------------------------------------------------

INDICES = st.one_of(
    st.integers(-2, 1),
    st.slices(4).filter(lambda each: each.step is None or each.step > 0),
    st.none(),
)


@given(st.lists(INDICES, max_size=4), st.integers(0, 4))
def test_part_is_pythons_indexing(items, place):
    if sum(item is not None for item in items) > 3:
        items = items[:3]
    index = tuple(items[:place]) + (...,) * (place < 4) + tuple(items[place:])
    x = counted(2, 4, 3)
    try:
        expected = x[index]
    except IndexError:
        expected = None
    if expected is None:
        with pytest.raises(rt.ShapeError, match="there is no part"):
            rt.Part(index, input=(2, 4, 3))
        return
    net = rt.Graph(lambda w: w[index], input=(2, 4, 3))
    assert net.outputs["output"].shape == expected.shape
    assert np.array_equal(net(x).numpy(), expected)
    part = next(iter(net.children.values()))
    assert eval(repr(part), vars(rt)) == part == rt.Part(index)


FORMS = [
    (0, "Part(0)"),
    (-1, "Part(-1)"),
    (slice(1, None), "Part('1:')"),
    (slice(0, 3, 1), "Part(':3')"),
    ((0, slice(None), slice(1, -1, 2)), "Part('0, :, 1:-1:2')"),
    ((..., 0), "Part('..., 0')"),
    ((0, ...), "Part(0)"),
    (..., "Part('...')"),
    ((None, slice(2)), "Part('None, :2')"),
    ((), "Part('')"),
    (" 1: , -2 ", "Part('1:, -2')"),
    (np.int64(3), "Part(3)"),
]


@pytest.mark.parametrize(("index", "text"), FORMS, ids=[text for _, text in FORMS])
def test_an_index_is_kept_as_the_text_between_the_brackets(index, text):
    made = rt.Part(index)
    assert repr(made) == text
    assert eval(text, vars(rt)) == made


def test_a_whole_slice_carries_sizes_both_ways():
    assert rt.Part((slice(None), 0), output=(5,)).inputs["input"].shape == (5, None)
    assert rt.Part((slice(None), 0), output=(5,), input=(None, 3)).inputs["input"].shape == (5, 3)
    assert rt.Part(slice(1, -2), output=4, input=(None,)).inputs["input"].shape == (7,)


def test_the_last_of_a_varying_axis_is_the_last_of_each_example():
    net = rt.Part(-1, input=("n", 2))
    rows = [counted(3, 2), counted(1, 2) + 10, counted(2, 2) + 20]
    assert net(rows).tolist() == [row[-1].tolist() for row in rows]
    inner = rt.Part((slice(None), -2), input=("m", "n"))
    rows = [counted(2, 3), counted(1, 2) + 10]
    assert [each.tolist() for each in inner(rows)] == [row[:, -2].tolist() for row in rows]


def test_parts_of_what_varies_keep_what_is_real(keeps_the_batch_law):
    for index in (0, -1, slice(1, None), slice(None, -1), (slice(None), 0)):
        keeps_the_batch_law(rt.Part(index, input=("n", 2)), {"n": [2, 4, 3]}, padding=5.0)


def test_a_part_that_an_example_does_not_have_is_an_error():
    with pytest.raises(rt.ShapeError, match=r"Part\(2\).*: there is no part 2 of an axis of 1"):
        rt.Part(2, input=("n",))([[1.0], [1.0, 2.0, 3.0]])
    with pytest.raises(rt.ShapeError, match=r"Part\('2:'\): an example is shorter than 2"):
        rt.Part(slice(2, None), input=("n",))([[1.0], [1.0, 2.0, 3.0]])
    lengths = {"n": torch.tensor([1, 3])}
    for index, needed in ((2, 3), (-2, 2), (slice(1, -1), 2)):
        with pytest.raises(rt.ShapeError, match=f"an example is shorter than {needed}"):
            walk(rt.Part(index, input=("n",)), {"input": torch.ones(2, 3)}, {}, Run(lengths=lengths))
    with pytest.raises(rt.ShapeError, match=r"the part :5 of an axis that varies \(n\) has no one size"):
        rt.Part(slice(5), input=("n",))


# Pad ----------------------------------------------------------------------------------------------

MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}


@pytest.mark.parametrize("mode", MODES)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=3))
def test_pad_is_numpys(mode, amounts):
    x = counted(3, 4, 5)
    more = {"constant_values": 1.5} if mode == "constant" else {}
    wide = [(0, 0)] * (3 - len(amounts)) + amounts
    net = rt.Pad(*amounts, mode=mode, input=(3, 4, 5), **({"value": 1.5} if more else {}))
    expected = np.pad(x, wide, mode=MODES[mode], **more)
    assert np.array_equal(net(x).numpy(), expected)
    back = rt.Pad(*amounts, mode=mode, output=expected.shape, input=(None, None, None))
    assert back.inputs["input"].shape == (3, 4, 5)


def test_amounts_are_numbers_or_pairs():
    assert rt.Pad(1) == rt.Pad((1, 1))
    assert repr(rt.Pad((1, 2), 3)) == "Pad((1, 2), (3, 3))"
    assert rt.Pad(1, 2, input=(5, 5)).outputs["output"].shape == (7, 9)


def test_a_constant_stands_after_each_example(keeps_the_batch_law):
    keeps_the_batch_law(rt.Pad((1, 2), value=3.0, input=("n",)), {"n": [2, 4, 1]})
    net = rt.Pad((1, 2), value=3.0, input=("n",))
    assert [each.tolist() for each in net([[1.0], [1.0, 2.0]])] == [[3, 1, 3, 3], [3, 1, 2, 3, 3]]
    with pytest.raises(rt.ShapeError, match="axis 0 of its input varies"):
        rt.Pad(1, mode="reflect", input=("n",))


# Reduce -------------------------------------------------------------------------------------------

HOW = {"sum": np.sum, "mean": np.mean, "max": np.max, "min": np.min}


@pytest.mark.parametrize("how", HOW)
@given(st.none() | st.lists(st.integers(-3, 2), min_size=1, max_size=3, unique_by=lambda axis: axis % 3))
def test_reduce_is_numpys(how, axes):
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    axes = None if axes is None else tuple(axes)
    mixed = axes is not None and min(axes) < 0 <= max(axes)
    net = rt.Reduce(how, axes, input=(2, 3, 4)) if not mixed or fits(axes) else None
    if net is not None:
        assert np.allclose(net(x).numpy(), HOW[how](x, axis=axes), atol=1e-5)


def fits(axes):
    """Axes counted from both ends are apart where the rank is unknown too."""
    return max(axes) + 1 - min(axes) <= 3


@pytest.mark.parametrize("how", HOW)
def test_what_varies_is_reduced_over_what_each_example_has(keeps_the_batch_law, how):
    keeps_the_batch_law(rt.Reduce(how, input=("n", 2)), {"n": [2, 4, 1]})
    keeps_the_batch_law(rt.Reduce(how, 0, input=("n", 2)), {"n": [2, 4, 1]})
    keeps_the_batch_law(rt.Reduce(how, 0, input=("n", "m")), {"n": [2, 4, 1], "m": [1, 3, 2]})
    keeps_the_batch_law(rt.Reduce(how, -1, input=("n", 2)), {"n": [2, 4, 1]})


def test_a_mean_over_no_elements_of_an_example_is_zero():
    x = {"input": torch.ones(2, 3)}
    for how in HOW:
        y = walk(rt.Reduce(how, input=("n",)), x, {}, Run(lengths={"n": torch.tensor([0, 2])}))["output"]
        assert y[0] == 0


# Errors -------------------------------------------------------------------------------------------

REFUSED = [
    (lambda: rt.Flatten(1), "Flatten() keeps the batch and makes one vector of the rest"),
    (lambda: rt.Flatten(input=(2, "n")), "only the first axis of what is flattened may vary"),
    (lambda: rt.Flatten(input=(2, None), output=7), "7 elements cannot be 2 times a whole number"),
    (lambda: rt.Reshape(), "size is missing"),
    (lambda: rt.Reshape(-1, None), "at most one size is inferred; got (-1, None)"),
    (lambda: rt.Reshape(-2, 3), "size is a whole number of at least -1, or None; got -2"),
    (lambda: rt.Reshape(4, 2, input=(3, 3)), "Reshape(4, 2): (3, 3) has 9 elements, (4, 2) has 8."),
    (lambda: rt.Reshape(None, 2, input=(3, 3)), "9 elements cannot be 2 times a whole number"),
    (lambda: rt.Reshape(2, None, input=("n", 2)), "(n, 2) varies, so it becomes (?, ...)"),
    (lambda: rt.Reshape(None, 4, input=("n", 2)), "(n, 2) varies, so it becomes (?, ...)"),
    (lambda: rt.Transpose(1, 2), "the axes are 0 to 1, each once; got (1, 2)"),
    (lambda: rt.Transpose(), "axes is missing"),
    (lambda: rt.Transpose(1, 0, input=(2, 3, 4)), "Transpose(1, 0)"),
    (lambda: rt.Replicate(0), "times is a whole number of at least 1"),
    (lambda: rt.Replicate(2, 0, 1), "Replicate takes times, axis; 3 were given"),
    (lambda: rt.Part(0, 1), "Part((0, 1)) takes parts along two axes"),
    (lambda: rt.Part("a"), "whole numbers, slices, ... and None, as between brackets; got 'a'"),
    (lambda: rt.Part([0, 1]), "as between brackets; got [0, 1]"),
    (lambda: rt.Part(True), "as between brackets; got True"),
    (lambda: rt.Part(slice(None, None, -1)), "a step is at least 1"),
    (lambda: rt.Part((..., 0, ...)), "one ... at most"),
    (lambda: rt.Part(3, input=(3, 2)), "Part(3): there is no part 3 of an axis of 3."),
    (lambda: rt.Pad(-1), "for each of the last axes, a whole number or a pair"),
    (lambda: rt.Pad((1, 2, 3)), "for each of the last axes, a whole number or a pair"),
    (lambda: rt.Pad("same"), "for each of the last axes, a whole number or a pair"),
    (lambda: rt.Pad(), "amounts is missing"),
    (lambda: rt.Pad(1, mode="edge"), "mode is one of 'constant', 'reflect', 'replicate'; got 'edge'"),
    (lambda: rt.Pad(3, mode="reflect", input=3), "reflect by 3 needs 4 elements; got 3."),
    (lambda: rt.Pad(3, output=5), "5 elements cannot be 6 more than there were"),
    (lambda: rt.Reduce("sum", 0, 1), 'Reduce("sum", (0, 1)): several axes are one tuple'),
    (lambda: rt.Reduce("total"), "how is one of 'sum', 'mean', 'max', 'min'; got 'total'"),
    (lambda: rt.Reduce("sum", (0, 0)), "axes are one or more, once each; got (0, 0)"),
    (lambda: rt.Reduce("sum", 2, input=(3, 4)), "Reduce('sum', (2,))"),
]


@pytest.mark.parametrize(("call", "text"), REFUSED, ids=[text[:50] for _, text in REFUSED])
def test_wrong_arguments_and_sizes_are_refused(call, text):
    with pytest.raises(rt.Error) as caught:
        call()
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("name", "ours"), [("Squeeze", "Part"), ("Unsqueeze", "Part"), ("Permute", "Transpose")]
)
def test_well_known_names_answer_with_the_right_one(name, ours):
    with pytest.raises(AttributeError, match=f"It is called rt.{ours} here"):
        getattr(rt, name)
