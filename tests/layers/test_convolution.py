"""Convolutions against PyTorch's own, their sizes both ways, and the batch law."""

import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

import retia as rt
from retia.engine.walk import walk

CONV = {1: rt.Conv1d, 2: rt.Conv2d, 3: rt.Conv3d}
TRANSPOSED = {1: rt.ConvTranspose1d, 2: rt.ConvTranspose2d, 3: rt.ConvTranspose3d}
NAMES = ("d", "h", "w")


def settings(draw, rank):
    """Settings that both kinds take, and the channels of the input."""
    groups = draw(st.integers(1, 3))

    def each(low, high):
        one = st.integers(low, high)
        return draw(st.one_of(one, st.tuples(*[one] * rank)))

    given = {
        "channels": groups * draw(st.integers(1, 2)),
        "kernel_size": each(1, 3),
        "stride": each(1, 3),
        "padding": each(0, 2),
        "dilation": each(1, 2),
        "groups": groups,
        "bias": draw(st.booleans()),
    }
    return given, groups * draw(st.integers(1, 2))


def at(value, axis):
    return value[axis] if isinstance(value, tuple) else value


def make(kind, given, **ports):
    given = dict(given)
    return kind(given.pop("channels"), given.pop("kernel_size"), **given, **ports)


@st.composite
def convolutions(draw, rank):
    """A convolution's settings, and a shape that it takes."""
    given, channels = settings(draw, rank)
    sizes = []
    for axis in range(rank):
        reach = (at(given["kernel_size"], axis) - 1) * at(given["dilation"], axis) + 1
        least = max(1, reach - 2 * at(given["padding"], axis))
        sizes.append(draw(st.integers(least, least + 4)))
    return given, (channels, *sizes)


@st.composite
def transposed(draw, rank):
    """A transposed convolution's settings, and a shape that it takes."""
    given, channels = settings(draw, rank)
    most = [max(at(given["stride"], a), at(given["dilation"], a)) - 1 for a in range(rank)]
    given["output_padding"] = tuple(draw(st.integers(0, n)) for n in most)
    shape = (channels, *(draw(st.integers(1, 5)) for _ in range(rank)))
    try:
        make(TRANSPOSED[rank], given, input=shape)
    except rt.ShapeError:
        assume(False)
    return given, shape


def pytorch(name, rank, given, channels):
    given = dict(given)
    cls = getattr(torch.nn, f"{name}{rank}d")
    return cls(channels, given.pop("channels"), given.pop("kernel_size"), **given)


@pytest.mark.parametrize("rank", [1, 2, 3])
@given(data=st.data())
def test_convolution_is_that_of_pytorch_in_values_and_gradients(rank, data, equals_pytorch):
    given, shape = data.draw(convolutions(rank))
    equals_pytorch(make(CONV[rank], given, input=shape), pytorch("Conv", rank, given, shape[0]), shape)


@pytest.mark.parametrize("rank", [1, 2, 3])
@given(data=st.data())
def test_transposed_convolution_is_that_of_pytorch_in_values_and_gradients(rank, data, equals_pytorch):
    given, shape = data.draw(transposed(rank))
    theirs = pytorch("ConvTranspose", rank, given, shape[0])
    equals_pytorch(make(TRANSPOSED[rank], given, input=shape), theirs, shape)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("rank", [1, 2, 3])
@given(data=st.data())
def test_same_without_a_stride_is_that_of_pytorch(rank, data, equals_pytorch):
    given, shape = data.draw(convolutions(rank))
    given |= {"stride": 1, "padding": data.draw(st.sampled_from(["same", "valid"]))}
    assume(fits(CONV[rank], given, shape))
    equals_pytorch(make(CONV[rank], given, input=shape), pytorch("Conv", rank, given, shape[0]), shape)


def fits(kind, given, shape):
    try:
        make(kind, given, input=shape)
    except rt.ShapeError:
        return False
    return True


@given(data=st.data())
def test_same_with_a_stride_is_that_of_tensorflow(data, equals_pytorch):
    given, shape = data.draw(convolutions(2))
    given["padding"] = "same"
    net = make(rt.Conv2d, given, input=shape)
    # The formula of TensorFlow's guide, "Convolution", for padding="SAME".
    edges = []
    for axis, size in enumerate(shape[1:]):
        stride, kernel = at(given["stride"], axis), at(given["kernel_size"], axis)
        reach = (kernel - 1) * at(given["dilation"], axis) + 1
        total = max(reach - stride, 0) if size % stride == 0 else max(reach - size % stride, 0)
        edges.insert(0, (total // 2, total - total // 2))
        assert net.outputs["output"].shape[axis + 1] == math.ceil(size / stride)
    padded = torch.nn.ZeroPad2d([n for pair in edges for n in pair])
    plain = pytorch("Conv", 2, given | {"padding": 0}, shape[0])
    arrays = {name: array.detach().double() for name, array in plain.named_parameters()}
    x = torch.randn((2, *shape), dtype=torch.float64)
    got = walk(net, {"input": x}, arrays)["output"]
    assert tuple(got.shape[1:]) == net.outputs["output"].shape
    assert torch.allclose(got, plain.double()(padded(x)))


@pytest.mark.parametrize("name", ["Conv", "ConvTranspose"])
@given(data=st.data())
def test_a_size_is_inferred_backward_exactly_when_one_alone_gives_the_output(name, data):
    draw = convolutions if name == "Conv" else transposed
    given, _ = data.draw(draw(1))
    if name == "Conv":
        given["padding"] = data.draw(st.sampled_from([given["padding"], "same", "valid"]))
    kind = getattr(rt, f"{name}1d")
    given["channels"] = 6 * given["groups"]
    wanted = data.draw(st.integers(1, 12))
    giving = [size for size in range(1, 40) if out_of(kind, given, size) == wanted]
    try:
        found = make(kind, given, output=(None, wanted)).inputs["input"].shape[1]
    except rt.ShapeError:
        assert giving == []
    else:
        assert [found] == giving or (found is None and len(giving) > 1)


def out_of(kind, given, size):
    try:
        return make(kind, given, input=(given["groups"], size)).outputs["output"].shape[1]
    except rt.ShapeError:
        return None


@pytest.mark.parametrize("name", ["Conv", "ConvTranspose"])
@given(data=st.data())
def test_the_length_of_a_varying_axis_goes_through_the_strides(name, data):
    given, shape = data.draw((convolutions if name == "Conv" else transposed)(1))
    kind = getattr(rt, f"{name}1d")
    extent = make(kind, given, input=(shape[0], "n")).outputs["output"].shape[1]
    assert extent.evaluate({"n": shape[1]}) == out_of(kind, given, shape[1])


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("name", ["Conv", "ConvTranspose"])
@given(data=st.data())
def test_padded_batches_give_what_their_examples_give_alone(name, rank, data, keeps_the_batch_law):
    draw = convolutions if name == "Conv" else transposed
    given, shape = data.draw(draw(rank))
    varying = data.draw(st.lists(st.sampled_from(range(rank)), min_size=1, unique=True))
    named = tuple(NAMES[a] if a in varying else size for a, size in enumerate(shape[1:]))
    more = [[shape[1 + a] + n for n in data.draw(st.tuples(*[st.integers(0, 4)] * 3))] for a in varying]
    net = make(getattr(rt, f"{name}{rank}d"), given, input=(shape[0], *named))
    keeps_the_batch_law(net, {NAMES[a]: lengths for a, lengths in zip(varying, more, strict=True)})


@given(kernel_size=st.integers(1, 4), dilation=st.integers(1, 2), stride=st.integers(1, 4))
def test_same_on_a_varying_axis_keeps_the_batch_law_or_is_refused(
    kernel_size, dilation, stride, keeps_the_batch_law
):
    how = {"stride": stride, "dilation": dilation, "padding": "same"}
    try:
        net = rt.Conv1d(2, kernel_size, **how, input=(3, "n"))
    except rt.ShapeError:
        assert stride > 1
        assert (kernel_size - 1) * dilation > 1
    else:
        keeps_the_batch_law(net, {"n": [1, 2, 3, 4, 5, 6, 7, 8]})


def test_chains_of_strides_keep_the_batch_law(keeps_the_batch_law):
    net = rt.Chain(
        rt.Conv1d(4, 3, stride=2, padding=1), rt.ReLU(), rt.MaxPool1d(2), rt.ConvTranspose1d(3, 4, stride=2),
        rt.Conv1d(2, 3, padding="same"), rt.GlobalAvgPool(), input=(2, "n"),
    )  # fmt: skip
    keeps_the_batch_law(net, {"n": [4, 9, 17, 32]})


@pytest.mark.parametrize(
    "net",
    [
        rt.Conv1d(8, 3),
        rt.Conv1d(None, 3, padding="same"),
        rt.Conv2d(8, (3, 5), stride=(1, 2), padding="same", groups=2, bias=False),
        rt.Conv2d(8, 3, init="xavier", input=(1, 28, 28)),
        rt.Conv3d(8, 3, dilation=2, padding=(1, 0, 1)),
        rt.ConvTranspose1d(8, 3, stride=2, output_padding=1),
        rt.ConvTranspose2d(8, (3, 5), stride=3, output_padding=(0, 2), output=(8, None, 13)),
        rt.ConvTranspose3d(None, 2, groups=2),
    ],
)
def test_repr_and_json_come_back(net, comes_back):
    comes_back(net)


def test_channels_are_inferred_from_either_side():
    assert rt.Conv2d(None, 3, output=(16, 8, 8)).array_shapes() == {"weight": (16, None, 3, 3), "bias": (16,)}
    net = rt.Chain(rt.Conv1d(None, 3, padding="same"), input=(2, 9), output=(7, 9))
    assert net.array_shapes() == {"0.weight": (7, 2, 3), "0.bias": (7,)}
    assert net.count == 7 * 2 * 3 + 7


def test_the_weights_of_groups_hold_their_share_of_the_channels():
    assert rt.Conv1d(8, 3, groups=4, input=(12, 9)).array_shapes()["weight"] == (8, 3, 3)
    assert rt.ConvTranspose1d(8, 3, groups=4, input=(12, 9)).array_shapes()["weight"] == (12, 2, 3)


def test_arrays_that_are_there_say_how_many_channels_come_in():
    held = rt.Conv1d(8, 3, groups=4, input=(12, 9)).init().arrays
    assert rt.Conv1d(8, 3, groups=4).with_arrays(held).inputs["input"].shape == (12, None)
    held = rt.ConvTranspose1d(8, 3, groups=4, input=(12, 9)).init().arrays
    assert rt.ConvTranspose1d(None, 3, groups=4).with_arrays(held).outputs["output"].shape == (8, None)


def test_no_examples_give_no_results():
    for rank in (1, 2, 3):
        for kind in (CONV[rank], TRANSPOSED[rank]):
            net = kind(2, 2, input=(1, *[4] * rank)).init()
            got = walk(net, {"input": torch.zeros((0, 1, *[4] * rank))}, net.arrays)["output"]
            assert tuple(got.shape) == (0, *net.outputs["output"].shape)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("name", ["Conv", "ConvTranspose"])
def test_the_positional_form_of_pytorch_is_refused_with_the_cure(name, rank):
    name = f"{name}{rank}d"
    cure = f"{name}(32, 3) makes 32 channels with windows of 3; PyTorch's {name}(1, 32, 3) is {name}(32, 3)"
    with pytest.raises(rt.ArgumentError) as caught:
        getattr(rt, name)(1, 32, 3)
    assert str(caught.value) == (
        f"{name}(1, 32, 3): {name} takes channels, kernel_size; 3 were given by position.\n"
        "  from  sizes of inputs are never positional, they are inferred (or given by input=)\n"
        f"  fix   {cure}"
    )
    with pytest.raises(rt.ArgumentError) as caught:
        getattr(rt, name)(1, 32, kernel_size=3)
    assert str(caught.value) == (
        f"{name}(1, 32, kernel_size=...): kernel_size is given twice, by position and by name.\n"
        f"  fix   {cure}"
    )


ERRORS = [
    (
        lambda: rt.Conv2d(32),
        "Conv2d: kernel_size is missing.\n  fix   kernel_size=3, or one for each axis",
    ),
    (
        lambda: rt.Conv2d(8, (3, 3, 3)),
        "Conv2d: kernel_size is a whole number, or 2 of them; got (3, 3, 3).\n  fix   kernel_size=3",
    ),
    (
        lambda: rt.Conv2d(8, 3, padding="smae"),
        "Conv2d: padding is a whole number, or one for each axis, or 'same', or 'valid'; got 'smae'.",
    ),
    (
        lambda: rt.ConvTranspose1d(8, 3, padding="same"),
        "ConvTranspose1d: padding is a whole number, or one for each axis; got 'same'.",
    ),
    (
        lambda: rt.Conv2d(10, 3, groups=4),
        "Conv2d: groups must divide channels; 10 channels cannot be 4 groups.\n"
        "  fix   channels=12, or groups that divide 10",
    ),
    (
        lambda: rt.ConvTranspose1d(8, 3, stride=2, output_padding=2),
        "ConvTranspose1d: output_padding is below the stride or the dilation; got 2 for stride 2 and "
        "dilation 1.\n  fix   output_padding=1, or a larger stride",
    ),
    (
        lambda: rt.Conv2d(8, 3, groups=4, input=(6, 9, 9)),
        "Conv2d(8, 3, groups=4): groups must divide the channels of its input; 6 channels cannot be 4 "
        "groups.\n  fix   groups that divide 6",
    ),
    (
        lambda: rt.Chain(rt.Conv2d(kernel_size=3, groups=4), output=(6, 9, 9)),
        "0 (Conv2d(kernel_size=3, groups=4)): groups must divide the channels of its output; 6 channels "
        "cannot be 4 groups.\n  fix   groups that divide 6",
    ),
    (
        lambda: rt.Chain(rt.Conv2d(8, 3), rt.Conv2d(8, 5), input=(1, 6, 28)),
        "1 (Conv2d(8, 5)): its window needs h to be at least 5; got 4.\n"
        "  fix   a smaller kernel_size, more padding, or a larger input",
    ),
    (
        lambda: rt.Conv1d(8, 3, padding=4, output=(8, 2)),
        "Conv1d(8, 3, padding=4): no size of n gives 2 places; the smallest, 1, gives 7.\n"
        "  fix   a larger output, a larger kernel_size or less padding",
    ),
    (
        lambda: rt.ConvTranspose1d(8, 3, stride=2, output=(8, 10)),
        "ConvTranspose1d(8, 3, stride=2): no size of n gives 10; 4 gives 9, 5 gives 11.\n"
        "  fix   an output size that the stride can give, or another output_padding",
    ),
    (
        lambda: rt.ConvTranspose1d(8, 3, stride=2, padding=3, input=(8, 2)),
        "ConvTranspose1d(8, 3, stride=2, padding=3): its padding needs n to be at least 3; got 2.\n"
        "  fix   less padding, or a larger input",
    ),
    (
        lambda: rt.Conv2d(8, 5, stride=2, padding="same", input=(1, "h", 9)),
        "Conv2d(8, 5, stride=2, padding='same'): h varies from example to example (h), and padding='same' "
        "with stride 2 would begin each example elsewhere.\n  fix   padding=2",
    ),
    (
        lambda: rt.Conv2d(8, 3, input=10),
        "Conv2d(8, 3) takes (in, h, w), but the input gives (10).",
    ),
]


@pytest.mark.parametrize(("call", "text"), ERRORS, ids=[text.split("\n")[0][:60] for _, text in ERRORS])
def test_errors_say_what_is_wrong_and_what_to_do(call, text):
    with pytest.raises(rt.Error) as caught:
        call()
    assert str(caught.value) == text


def test_a_varying_number_of_channels_is_refused():
    with pytest.raises(rt.ShapeError, match="axis 0 of its input varies from example to example"):
        rt.Conv1d(8, 3, input=("k", 5))
