"""Calling a net: one or many by the port's type, any array, inner parts, derivatives."""

import numpy as np
import pytest
import torch

import retia as rt

NET = rt.Chain(rt.Linear(4), rt.Tanh(), rt.Linear(3), rt.Softmax(), input=2).init()


class Dunder:
    """An array of another library, known by ``__array__`` alone."""

    def __array__(self, dtype=None, copy=None):
        return np.array([1.0, 2.0], dtype=dtype)


class Packed:
    """An array of another library, known by DLPack alone."""

    def __init__(self, tensor):
        self.tensor = tensor

    def __dlpack__(self, **how):
        return self.tensor.__dlpack__(**how)

    def __dlpack_device__(self):
        return self.tensor.__dlpack_device__()


def by_hand(x):
    arrays = NET.arrays
    hidden = torch.tanh(x @ arrays["0.weight"].T + arrays["0.bias"])
    return torch.softmax(hidden @ arrays["2.weight"].T + arrays["2.bias"], -1)


@pytest.mark.parametrize(
    "make",
    [
        list, tuple, np.array, lambda v: np.array(v, np.float64), lambda v: np.array(v, np.int32),
        lambda v: np.array(v, ">f4"), lambda v: np.array(v, np.uint16), lambda v: np.array(v, np.float16),
        torch.tensor, lambda v: torch.tensor(v, dtype=torch.int64),
        lambda v: torch.tensor(v, dtype=torch.bfloat16),
        lambda v: np.array([v, v])[0], lambda v: [torch.tensor(x) for x in v],
        lambda v: Packed(torch.tensor(v)),
    ],
)  # fmt: skip
def test_any_array_is_taken(make):
    assert torch.allclose(NET(make([1, 2])), by_hand(torch.tensor([1.0, 2.0])))


def test_arrays_of_other_libraries_and_read_only_ones_are_taken_and_left_alone():
    assert torch.allclose(NET(Dunder()), by_hand(torch.tensor([1.0, 2.0])))
    array = np.array([[1.0, 2.0], [3.0, 4.0]])
    array.setflags(write=False)
    assert torch.allclose(NET(array), by_hand(torch.tensor([[1.0, 2.0], [3.0, 4.0]])))
    assert array.tolist() == [[1, 2], [3, 4]]


def test_one_or_many_follows_from_the_ports_rank():
    assert NET([1, 2]).shape == (3,)
    assert NET([[1, 2]]).shape == (1, 3)
    assert NET([]).shape == (0, 3)
    assert NET.one([1, 2]).shape == (3,)
    assert NET.batch([[1, 2]]).shape == (1, 3)
    with pytest.raises(rt.ShapeError, match=r"takes \(2\), or a batch of these; got \(1, 1, 2\)"):
        NET([[[1, 2]]])
    with pytest.raises(rt.ShapeError, match=r"The input takes \(2\); got \(3\)"):
        NET([1, 2, 3])


def test_an_unknown_rank_is_an_error_that_names_the_cure():
    with pytest.raises(rt.ShapeError, match="has no known rank") as caught:
        rt.ReLU()([1.0])
    assert "net.one(x) or net.batch(xs)" in caught.value.fix
    assert rt.ReLU().one([-1.0, 1.0]).tolist() == [0, 1]


@pytest.mark.parametrize("thing", ["text", [["a", "b"]], None, {"x": 1}, [[1, 2], [3]], object(), [1j, 2]])
def test_what_is_no_array_of_numbers_is_refused(thing):
    with pytest.raises(rt.Error):
        NET(thing)


def test_logits_stand_before_the_last_activation():
    x = torch.tensor([[1.0, 2.0]])
    assert torch.allclose(torch.softmax(NET(x, "logits"), -1), NET(x))
    ends_in_sigmoid = rt.Chain(rt.Linear(3), rt.Sigmoid(), input=2).init()
    assert torch.allclose(torch.sigmoid(ends_in_sigmoid(x, "logits")), ends_in_sigmoid(x))
    plain = rt.Chain(rt.Linear(3), input=2).init()
    assert torch.equal(plain(x, "logits"), plain(x))


def test_inner_parts_answer_at_their_path():
    x = torch.tensor([1.0, 2.0])
    hidden = torch.tanh(NET.arrays["0.weight"] @ x + NET.arrays["0.bias"])
    assert torch.allclose(NET.at("1")(x), hidden)
    several = NET.at("0", "1")(x)
    assert torch.allclose(several["0"].tanh(), several["1"])
    with pytest.raises(rt.UnknownNameError, match="no part '9'"):
        NET.at("9")


def test_an_inner_part_does_not_need_what_comes_after_it():
    partly = rt.Chain(rt.Arithmetic("+", 1), rt.Linear(3), input=2)
    with pytest.raises(rt.ArraysError):
        partly([1.0, 2.0])
    assert partly[:1]([1.0, 2.0]).tolist() == [2, 3]


def test_derivatives_are_those_of_finite_differences():
    net = rt.Chain(rt.Linear(4), rt.Tanh(), rt.Linear(1), input=2).init(seed=2)
    net = net.with_arrays({path: t.double() for path, t in net.arrays.items()})
    x = torch.tensor([0.3, -0.7], dtype=torch.float64)
    for i in range(2):
        step = torch.zeros(2, dtype=torch.float64)
        step[i] = 1e-6
        expected = (net(x + step) - net(x - step)).item() / 2e-6
        assert net.grad(x)[i].item() == pytest.approx(expected, rel=1e-6)


def test_derivatives_by_arrays_and_of_chosen_numbers():
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    both = NET.grad(x, wrt=["input", "2.bias"], of=lambda y: y[:, 0].log().sum())
    assert both["input"].shape == (2, 2)
    expected = -by_hand(x).sum(0) + torch.tensor([2.0, 0, 0])
    assert torch.allclose(both["2.bias"], expected, atol=1e-6)
    assert NET.grad(x[0]).shape == (2,)
    with pytest.raises(rt.UnknownNameError, match=r"Did you mean '2\.bias'"):
        NET.grad(x, wrt="2.bios")
    with pytest.raises(rt.ShapeError, match="one number"):
        NET.grad(x, of=lambda y: y)


def test_results_never_alias_the_net_or_what_was_given():
    given = torch.zeros(2, 3)
    rt.Flatten(input=(2, 3))(given).add_(1)
    assert given.sum() == 0
    rt.Chain(input=3).init()(given).add_(1)
    assert given.sum() == 0
    net = rt.Graph(lambda x: x + rt.Parameter(3), input=3).init()
    net.at("parameter")([0.0, 0.0, 0.0]).add_(1)
    assert net([0.0, 0.0, 0.0]).shape == (3,)


def test_varying_lengths_are_padded_within_and_never_seen_without():
    net = rt.Chain(rt.Linear(8), rt.ReLU(), rt.Linear(3), rt.Softmax(axis=0), input=("n", 4)).init()
    rng = np.random.default_rng(0)
    texts = [rng.normal(size=(n, 4)) for n in (5, 1, 3)]
    together = net(texts)
    for text, answer in zip(texts, together, strict=True):
        assert answer.shape == (len(text), 3)
        assert torch.allclose(answer, net(text), atol=1e-6)
        assert torch.allclose(answer.sum(0), torch.ones(3))


def test_one_name_is_one_size():
    net = rt.Graph(lambda a, b: a + b, input={"a": ("n", 2), "b": ("n", 2)})
    rows = [np.ones((2, 2)), np.ones((3, 2))]
    assert [len(row) for row in net({"a": rows, "b": rows})] == [2, 3]
    with pytest.raises(rt.ShapeError, match="n is one size"):
        net({"a": rows, "b": rows[::-1]})


def test_a_layer_that_cannot_follow_a_varying_axis_refuses_it_when_the_net_is_made():
    with pytest.raises(rt.ShapeError, match=r"axis 1 of its input varies from example to example \(n\)"):
        rt.Chain(rt.Linear(3), input=(4, "n"))


def test_sizes_left_open_are_checked_when_an_array_comes():
    net = rt.Chain(a=rt.Arithmetic("+", 1), b=rt.Linear(3)).with_arrays(
        {"b.weight": np.zeros((3, 5)), "b.bias": np.zeros(3)}
    )
    with pytest.raises(rt.ShapeError, match=r"b \(Linear\(3\)\)"):
        net.batch(np.zeros((2, 4)))
    assert net.batch(np.zeros((2, 5))).shape == (2, 3)


def test_several_inputs_are_one_dict():
    net = rt.Graph(lambda a, b: a * b, input={"a": 2, "b": 2})
    assert net({"a": [1, 2], "b": [3, 4]}).tolist() == [3, 8]
    with pytest.raises(rt.StructureError, match="takes one dict"):
        net([1, 2])
    with pytest.raises(rt.StructureError, match="inputs are a, b; got a"):
        net({"a": [1, 2]})
    with pytest.raises(rt.ShapeError, match="2 examples"):
        net({"a": [[1, 2]] * 3, "b": [[3, 4]] * 2})


def test_calls_from_several_threads_agree():
    from concurrent.futures import ThreadPoolExecutor

    x = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: NET(x[i : i + 8]), range(0, 56)))
    for i, answer in enumerate(answers):
        assert torch.allclose(answer, by_hand(x[i : i + 8]), atol=1e-6)


def test_a_seeded_draw_does_not_depend_on_how_many_are_computed_at_once():
    net = rt.Chain(rt.Linear(4), rt.Softmax(), input=2, output=rt.Classes(["a", "b", "c", "d"])).init()
    x = np.random.default_rng(0).normal(size=(600, 2))
    drawn = net(x, "sample", seed=3)
    assert drawn == net(x, "sample", seed=3, batch_size=7)
    assert drawn[:256] != drawn[256:512]


def test_a_single_number_may_stand_in_a_column_of_one():
    for codec in (rt.Scalar(), rt.Boolean()):
        column = rt.Chain(rt.Linear(), input=2, output=codec).init()
        assert column.outputs["output"].shape == (1,)
        assert isinstance(column([1.0, 2.0]), float | bool)
        assert len(column([[1.0, 2.0], [3.0, 4.0]])) == 2
        alone = rt.Chain(rt.Reduce("sum"), input=2, output=codec)
        assert alone.outputs["output"].shape == ()
        assert isinstance(alone([1.0, 2.0]), float | bool)


def test_an_example_that_is_too_short_for_a_layer_is_named():
    net = rt.Chain(rt.Conv1d(2, 3), input=(1, "n")).init()
    with pytest.raises(rt.ShapeError, match=r"0 \(Conv1d\(2, 3\)\), with n = 2: its window needs n"):
        net([np.zeros((1, 5)), np.zeros((1, 2))])


def test_masked_entries_are_refused_and_never_read_as_numbers():
    with pytest.raises(rt.CodecError, match="has masked entries"):
        NET(np.ma.array([1.0, 2.0], mask=[False, True]))
