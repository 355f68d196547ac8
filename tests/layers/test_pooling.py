"""Pooling against PyTorch's own, its sizes both ways, and the batch law."""

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

import retia as rt
from retia.engine.walk import Run, walk

NAMES = ("d", "h", "w")
KINDS = ["MaxPool", "AvgPool"]


def at(value, axis):
    return value[axis] if isinstance(value, tuple) else value


def make(name, rank, given, **ports):
    given = dict(given)
    return getattr(rt, f"{name}{rank}d")(given.pop("kernel_size"), **given, **ports)


@st.composite
def poolings(draw, name, rank):
    """A pooling's settings, and a shape that it takes."""

    def each(low, high):
        one = st.integers(low, high)
        return draw(st.one_of(one, st.tuples(*[one] * rank)))

    given = {
        "kernel_size": each(1, 4),
        "stride": draw(st.none()) if draw(st.booleans()) else each(1, 4),
        "ceil_mode": draw(st.booleans()),
    }
    most = min(at(given["kernel_size"], axis) for axis in range(rank)) // 2
    given["padding"] = each(0, most)
    if name == "MaxPool":
        given["dilation"] = each(1, 2)
    else:
        given["count_include_pad"] = draw(st.booleans())
    sizes = []
    for axis in range(rank):
        dilation = at(given.get("dilation", 1), axis)
        reach = (at(given["kernel_size"], axis) - 1) * dilation + 1
        least = max(1, reach - 2 * at(given["padding"], axis), dilation)
        # PyTorch's average over three axes wants the window to fit into the input without the padding.
        least = max(least, reach) if name == "AvgPool" and rank == 3 else least
        sizes.append(draw(st.integers(least, least + 6)))
    return given, (2, *sizes)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("name", KINDS)
@given(data=st.data())
def test_pooling_is_that_of_pytorch_in_values_and_gradients(name, rank, data, equals_pytorch):
    given, shape = data.draw(poolings(name, rank))
    theirs = getattr(torch.nn, f"{name}{rank}d")(**given)
    equals_pytorch(make(name, rank, given, input=shape), theirs, shape)


@pytest.mark.parametrize("name", KINDS)
@given(data=st.data(), size=st.integers(1, 12))
def test_a_size_is_refused_exactly_when_pytorch_has_nothing_to_give(name, data, size):
    given, _ = data.draw(poolings(name, 1))
    # Shorter than the dilation, some windows may lie in the padding alone; all such sizes are refused.
    assume(not at(given["padding"], 0) or size >= at(given.get("dilation", 1), 0))
    theirs = getattr(torch.nn, f"{name}1d")(**given)
    try:
        expected = theirs(torch.rand(1, 1, size))
    except RuntimeError:
        expected = torch.zeros(0)
    if expected.numel() and torch.isfinite(expected).all():
        assert make(name, 1, given, input=(1, size)).outputs["output"].shape == tuple(expected.shape[1:])
    else:
        with pytest.raises(rt.ShapeError, match="its window needs n to be at least"):
            make(name, 1, given, input=(1, size))


@pytest.mark.parametrize("name", KINDS)
@given(data=st.data(), wanted=st.integers(1, 12))
def test_a_size_is_inferred_backward_exactly_when_one_alone_gives_the_output(name, data, wanted):
    given, _ = data.draw(poolings(name, 1))
    giving = [size for size in range(1, 70) if out_of(name, given, size) == wanted]
    try:
        found = make(name, 1, given, output=(3, wanted)).inputs["input"].shape
    except rt.ShapeError:
        assert giving == []
    else:
        assert found[0] == 3
        assert [found[1]] == giving or (found[1] is None and len(giving) > 1)


def out_of(name, given, size):
    try:
        return make(name, 1, given, input=(1, size)).outputs["output"].shape[1]
    except rt.ShapeError:
        return None


@pytest.mark.parametrize("name", KINDS)
@given(data=st.data())
def test_the_length_of_a_varying_axis_goes_through_the_strides(name, data):
    given, shape = data.draw(poolings(name, 1))
    given["count_include_pad"] = False
    given = {k: v for k, v in given.items() if name == "AvgPool" or k != "count_include_pad"}
    extent = make(name, 1, given, input=(2, "n")).outputs["output"].shape[1]
    assert extent.evaluate({"n": shape[1]}) == out_of(name, given, shape[1])


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("name", KINDS)
@given(data=st.data())
def test_padded_batches_give_what_their_examples_give_alone(name, rank, data, keeps_the_batch_law):
    given, shape = data.draw(poolings(name, rank))
    varying = data.draw(st.lists(st.sampled_from(range(rank)), min_size=1, unique=True))
    named = tuple(NAMES[a] if a in varying else size for a, size in enumerate(shape[1:]))
    more = [[shape[1 + a] + n for n in data.draw(st.tuples(*[st.integers(0, 5)] * 3))] for a in varying]
    try:
        net = make(name, rank, given, input=(2, *named))
    except rt.ShapeError:
        assert name == "AvgPool"
        assert given["ceil_mode"]
        assert given["count_include_pad"]
        assert given["padding"]
    else:
        keeps_the_batch_law(net, {NAMES[a]: lengths for a, lengths in zip(varying, more, strict=True)})


GLOBAL = ["GlobalAvgPool", "GlobalMaxPool"]


@pytest.mark.parametrize("name", GLOBAL)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_global_pooling_is_that_of_pytorch_in_values_and_gradients(name, rank, equals_pytorch):
    adaptive = getattr(torch.nn, f"{name.replace('Global', 'Adaptive')}{rank}d")
    theirs = torch.nn.Sequential(adaptive(1), torch.nn.Flatten())
    shape = (3, 4, 5, 2)[: rank + 1]
    equals_pytorch(getattr(rt, name)(input=shape), theirs, shape)


@pytest.mark.parametrize("name", GLOBAL)
def test_global_pooling_without_axes_gives_what_it_takes(name):
    net = getattr(rt, name)(input=3)
    assert net.outputs["output"].shape == (3,)
    assert torch.equal(net([1.0, -2.0, 3.0]), torch.tensor([1.0, -2.0, 3.0]))


@pytest.mark.parametrize("name", GLOBAL)
@pytest.mark.parametrize("shape", [("n",), ("n", 4), (4, "n"), ("n", "m"), (2, "n", "m")])
def test_global_pooling_takes_each_example_by_its_own_length(name, shape, keeps_the_batch_law):
    lengths = {"n": [1, 3, 7], "m": [5, 2, 4]}
    net = getattr(rt, name)(input=(3, *shape))
    keeps_the_batch_law(net, {axis: lengths[axis] for axis in shape if isinstance(axis, str)})


@pytest.mark.parametrize("name", GLOBAL)
@pytest.mark.parametrize("longest", [0, 3])
def test_global_pooling_of_nothing_is_zero(name, longest):
    x = torch.full((2, 3, longest), torch.nan, requires_grad=True)
    net = getattr(rt, name)(input=(3, "n"))
    result = walk(net, {"input": x}, {}, Run(lengths={"n": torch.tensor([0, 0])}))["output"]
    assert torch.equal(result, torch.zeros(2, 3))
    assert not torch.autograd.grad(result.sum(), x)[0].any()


def test_global_pooling_leaves_the_axes_open_when_only_the_output_is_known():
    net = rt.GlobalAvgPool(output=3)
    assert net.inputs["input"].shape is None
    assert rt.Chain(rt.Conv2d(None, 3), rt.GlobalAvgPool(), output=3).array_shapes()["0.bias"] == (3,)


def test_what_lies_beyond_an_example_spoils_no_later_derivative(keeps_the_batch_law):
    net = rt.Chain(
        rt.MaxPool1d(2), rt.Conv1d(2, 1), rt.AvgPool1d(2, count_include_pad=False, padding=1), input=(2, "n")
    )
    keeps_the_batch_law(net, {"n": [2, 9, 16]})


@pytest.mark.parametrize(
    "net",
    [
        rt.MaxPool1d(2),
        rt.MaxPool2d((2, 3), stride=(1, 2), ceil_mode=True, input=(3, 8, 9)),
        rt.MaxPool3d(3, padding=1, dilation=(1, 2, 1)),
        rt.AvgPool1d(2, output=(3, 5)),
        rt.AvgPool2d(3, stride=2, padding=(0, 1), count_include_pad=False),
        rt.AvgPool3d((1, 2, 2)),
        rt.GlobalAvgPool(),
        rt.GlobalMaxPool(input=(3, "n")),
    ],
)
def test_repr_and_json_come_back(net, comes_back):
    comes_back(net)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("name", KINDS)
def test_no_examples_give_no_results(name, rank):
    net = make(name, rank, {"kernel_size": 2}, input=(3, *[4] * rank))
    assert tuple(walk(net, {"input": torch.zeros((0, 3, *[4] * rank))}, {})["output"].shape) == (
        0,
        3,
        *[2] * rank,
    )


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("name", KINDS)
def test_the_positional_form_of_pytorch_is_refused_with_the_cure(name, rank):
    name = f"{name}{rank}d"
    with pytest.raises(rt.ArgumentError) as caught:
        getattr(rt, name)(3, 2)
    assert str(caught.value) == (
        f"{name}(3, 2): {name} takes kernel_size; 2 were given by position.\n"
        "  from  sizes of inputs are never positional, they are inferred (or given by input=)\n"
        f"  fix   {name}(2) halves each axis; PyTorch's {name}(3, 2) is {name}(3, stride=2)"
    )


@pytest.mark.parametrize(("name", "other"), [("GlobalAvgPool", "AvgPool2d"), ("GlobalMaxPool", "MaxPool2d")])
def test_global_pooling_takes_no_size(name, other):
    with pytest.raises(rt.ArgumentError) as caught:
        getattr(rt, name)(1)
    assert str(caught.value) == (
        f"{name}(1): {name} takes no positional argument; 1 were given by position.\n"
        "  from  sizes of inputs are never positional, they are inferred (or given by input=)\n"
        f"  fix   {name}() takes all axes after the channels; {other}(7) takes windows"
    )


ERRORS = [
    (lambda: rt.MaxPool2d(), "MaxPool2d(): kernel_size is missing."),
    (
        lambda: rt.MaxPool2d(2, stride=(1, 2, 3)),
        "MaxPool2d: stride is a whole number, or 2 of them; got (1, 2, 3).\n  fix   stride=1",
    ),
    (
        lambda: rt.AvgPool2d(3, padding=2),
        "AvgPool2d: padding is at most half of kernel_size, so that every window meets the input; "
        "got 2 for 3.\n  fix   padding=1",
    ),
    (
        lambda: rt.Chain(rt.MaxPool2d(2), rt.MaxPool2d(2), input=(1, 3, 28)),
        "1 (MaxPool2d(2)): its window needs h to be at least 2; got 1.\n"
        "  fix   a smaller kernel_size, more padding, or a larger input",
    ),
    (
        lambda: rt.MaxPool1d(2, stride=1, padding=1, dilation=3, input=(1, 2)),
        "MaxPool1d(2, stride=1, padding=1, dilation=3): its window needs n to be at least 3; got 2.\n"
        "  fix   a smaller kernel_size, more padding, or a larger input",
    ),
    (
        lambda: rt.AvgPool3d(2, padding=1, input=(1, 4, 1, 4)),
        "AvgPool3d(2, padding=1): its window needs h to be at least 2; got 1.\n"
        "  fix   a smaller kernel_size, more padding, or a larger input",
    ),
    (
        lambda: rt.AvgPool1d(2, padding=1, ceil_mode=True, input=(1, "n")),
        "AvgPool1d(2, padding=1, ceil_mode=True): n varies from example to example (n), and with ceil_mode "
        "the padding that counts in the last window would be that of the batch.\n"
        "  fix   count_include_pad=False, or ceil_mode=False",
    ),
    (
        lambda: rt.GlobalMaxPool(input=(3, 0)),
        "GlobalMaxPool(): there is nothing to pool along an axis of size 0.",
    ),
]


@pytest.mark.parametrize(("call", "text"), ERRORS, ids=[text.split("\n")[0][:60] for _, text in ERRORS])
def test_errors_say_what_is_wrong_and_what_to_do(call, text):
    with pytest.raises(rt.Error) as caught:
        call()
    assert str(caught.value) == text
