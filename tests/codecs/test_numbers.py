import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import retia as rt
from retia.nets import Reading

REAL = st.floats(-(2.0**100), 2.0**100, width=32)


@given(st.lists(REAL, max_size=8))
def test_a_number_comes_back_to_the_bit(values):
    packed = rt.Scalar().pack(values)
    assert packed.dtype == torch.float32
    assert rt.Scalar().unpack(packed, Reading()) == values


@given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=1, max_dims=4, max_side=4), elements=REAL))
def test_an_array_comes_back_to_the_bit(batch):
    codec = rt.Tensor(batch.shape[1:])
    for things in (
        batch,
        list(batch),
        batch.tolist(),
        torch.from_numpy(batch),
        [torch.tensor(row) for row in batch],
    ):
        assert np.array_equal(codec.pack(things).numpy(), batch)
    back = codec.unpack(codec.pack(batch), Reading())
    assert all(np.array_equal(a, b) for a, b in zip(back, batch, strict=True))


@pytest.mark.parametrize(
    "array",
    [
        np.array([1, 0, 2], np.uint8),
        np.array([1, 0, 2], ">i2"),
        np.array([1, 0, 2], np.float16),
        np.array([1, 0, 2], np.uint64),
        np.array([[1, 5], [0, 5], [2, 5]])[:, 0],
        torch.tensor([1, 0, 2], dtype=torch.bfloat16),
        torch.tensor([1.0, 0, 2], requires_grad=True),
        [1, 0, 2],
        [np.float64(1), torch.tensor(0), 2],
        (1, False, 2.0),
        np.array([1, 0, 2], object).astype(float),
        np.ma.array([1, 0, 2]),
    ],
    ids=str,
)
def test_numbers_of_any_make_become_float32(array):
    packed = rt.Scalar().pack(array)
    assert packed.dtype == torch.float32
    assert packed.tolist() == [1.0, 0.0, 2.0]


def test_what_speaks_only_dlpack_is_read():
    class Foreign:
        def __init__(self, tensor):
            self.tensor, self.shape = tensor, tensor.shape

        def __dlpack__(self, **how):
            return self.tensor.__dlpack__(**how)

        def __dlpack_device__(self):
            return self.tensor.__dlpack_device__()

    assert rt.Scalar().is_one(Foreign(torch.arange(3))) is False
    assert rt.Scalar().pack(Foreign(torch.arange(3))).tolist() == [0.0, 1.0, 2.0]


def test_what_is_packed_is_never_a_view_of_what_was_given():
    array = np.zeros((2, 3), np.float32)
    array.flags.writeable = False
    for given_array in (array, torch.zeros(2, 3)):
        packed = rt.Vector(3).pack(given_array)
        packed += 1
        assert given_array.sum() == 0


def test_decoded_arrays_are_read_only_and_their_own():
    batch = torch.zeros(2, 3)
    (first, _) = rt.Vector(3).unpack(batch, Reading())
    batch += 1
    assert first.tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 1


@pytest.mark.parametrize(
    ("codec", "thing", "one"),
    [
        (rt.Scalar(), 2.0, True),
        (rt.Scalar(), np.float32(2), True),
        (rt.Scalar(), torch.tensor(2.0), True),
        (rt.Scalar(), [2.0], False),
        (rt.Scalar(), np.zeros(3), False),
        (rt.Scalar(), [], False),
        (rt.Vector(3), [1, 2, 3], True),
        (rt.Vector(3), np.zeros(3), True),
        (rt.Vector(3), np.zeros((2, 3)), False),
        (rt.Vector(3), [np.zeros(3)], False),
        (rt.Vector(3), [[1, 2, 3]], False),
        (rt.Vector(3), [], False),
        (rt.Tensor((2, 2)), [[1, 2], [3, 4]], True),
        (rt.Tensor((2, 2)), torch.zeros(5, 2, 2), False),
        (rt.Tensor(()), 1, True),
        (rt.Tensor(()), [1], False),
    ],
    ids=str,
)
def test_one_or_many_follows_from_the_number_of_axes(codec, thing, one):
    assert codec.is_one(thing) is one


def test_another_number_of_axes_is_told():
    with pytest.raises(
        rt.CodecError, match=r"Vector\(3\): one example has 1 axes and a batch 2; got .* with 3"
    ):
        rt.Vector(3).is_one(np.zeros((2, 2, 3)))
    with pytest.raises(rt.CodecError) as caught:
        rt.Scalar().is_one(np.zeros((5, 1)))
    assert caught.value.fix == "y.ravel()"
    with pytest.raises(rt.CodecError, match=r"an example has shape \(\), but the batch is \(5, 1\)"):
        rt.Scalar().pack(np.zeros((5, 1)))


@pytest.mark.parametrize(
    ("codec", "things", "text"),
    [
        (rt.Vector(2), [[1, 2], [3]], r"row 1 has shape \(1\), expected \(2\)"),
        (rt.Vector(), [[1, 2], [3]], r"row 1 has shape \(1\), expected \(2\)"),
        (rt.Vector(2), [[1, 2], [3, "x"]], "row 1: .* is not made of real numbers"),
        (rt.Vector(2), [[1, 2], [3, None]], "row 1: .* is not made of real numbers"),
        (rt.Vector(2), [[1, 2], [3, [4]]], "row 1: .* is not one array"),
        (rt.Vector(2), [[1, 2], {"a": 1}], "row 1: .* is not made of real numbers"),
        (rt.Vector(2), np.zeros((2, 3)), r"an example has shape \(2\), but the batch is \(2, 3\)"),
        (rt.Vector(2), np.array([["a", "b"]]), "is not made of real numbers"),
        (rt.Vector(2), np.array([[1j, 2]]), "is not made of real numbers"),
        (rt.Scalar(), ["1"], "row 0: '1' is not made of real numbers"),
        (rt.Scalar(), [1, None], "row 1: None is not made of real numbers"),
        (rt.Scalar(), [object()], "is not made of real numbers"),
        (rt.Scalar(), [2**70], "is not made of real numbers"),
        (
            rt.Scalar(),
            [1.0, math.nan, math.nan],
            r"row 1 has nan, which is not a finite number \(2 of 3 rows\)",
        ),
        (rt.Scalar(), np.array([math.inf]), "row 0 has inf, which is not a finite number"),
        (rt.Vector(2), [[0, 1], [1e300, 0]], "row 1 has 1e.300, which is beyond float32"),
        (rt.Scalar(), np.ma.array([1.0, 2.0], mask=[True, False]), "has masked entries"),
        (rt.Scalar(), torch.tensor([1.0, 0.0]).to_sparse(), "is a sparse or quantized tensor"),
    ],
)
def test_what_is_not_numbers_is_refused_with_its_row(codec, things, text):
    with pytest.raises(rt.CodecError, match=text):
        codec.pack(things)


def test_open_sizes_come_from_the_data_or_the_net():
    assert rt.Vector().fit(np.zeros((4, 7))) == rt.Vector(7)
    assert rt.Vector().fit([[1, 2], [3, 4]]) == rt.Vector(2)
    assert rt.Tensor((None, 2)).fit(np.zeros((4, 7, 2))) == rt.Tensor((7, 2))
    assert rt.Vector().with_shape((5,)) == rt.Vector(5)
    assert rt.Vector().with_shape((None,)) == rt.Vector()
    assert rt.Vector(3).with_shape((5,)) == rt.Vector(3)
    with pytest.raises(rt.CodecError, match="no examples to learn the size from"):
        rt.Vector().fit([])


def test_numbers_have_no_best_answers():
    with pytest.raises(rt.CodecError, match="Scalar has no best answers"):
        rt.Scalar().unpack(torch.zeros(1), Reading(top=3))
    with pytest.raises(rt.CodecError, match="Vector does not answer 'probabilities'"):
        rt.Vector(1).decode([1.0], "probabilities")


@pytest.mark.parametrize("wrong", [-1, 2.5, True, "3"])
def test_a_size_is_a_whole_number(wrong):
    with pytest.raises(rt.ArgumentError, match="Vector: size is a whole number"):
        rt.Vector(wrong)


def test_sizes_given_one_by_one_are_told_what_to_do():
    with pytest.raises(rt.ArgumentError) as caught:
        rt.Tensor(3, 4)
    assert caught.value.fix == "Tensor((3, 4)) takes the sizes as one tuple"


def test_numbers_stand_at_the_ports_of_a_net():
    net = rt.Chain(rt.Linear(), input=rt.Vector(3), output=rt.Vector(2)).init(seed=0)
    assert net([1, 2, 3]).shape == (2,)
    assert [row.shape for row in net([[1, 2, 3], [4, 5, 6]])] == [(2,), (2,)]
    assert isinstance(rt.Sigmoid(input=rt.Scalar(), output=rt.Scalar())(0.0), float)
