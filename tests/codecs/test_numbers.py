import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.preprocessing import StandardScaler

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


# Standardised -------------------------------------------------------------------------------------

ROWS = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=6),
    elements=st.floats(-1e6, 1e6),
)


@given(ROWS)
def test_mean_and_deviation_are_those_of_scikit_learn(rows):
    codec = rt.Vector(normalize="data").fit(rows)
    reference = StandardScaler().fit_transform(rows)
    assert np.allclose(codec.pack(rows).numpy(), reference, rtol=1e-5, atol=1e-5)


@given(ROWS)
def test_what_is_standardised_comes_back(rows):
    for how in ("data", "robust"):
        codec = rt.Vector(normalize=how, unit="m").fit(rows)
        assert codec == rt.Vector(rows.shape[1], normalize=codec.normalize, unit="m")
        back = np.array(codec.unpack(codec.pack(rows), Reading()))
        assert np.allclose(back, rows, rtol=1e-5, atol=1e-6 * (1 + np.abs(rows).max()))
    one = rt.Scalar(normalize="data").fit(rows[:, 0])
    assert one.unpack(one.pack(rows[:, 0]), Reading()) == pytest.approx(
        rows[:, 0].tolist(), rel=1e-5, abs=1e-6 * (1 + np.abs(rows).max())
    )


def test_outliers_count_little_where_it_is_robust():
    values = [*np.random.default_rng(0).normal(5, 2, 2000), 1e6, -1e9]
    mean, deviation = rt.Scalar(normalize="robust").fit(values).normalize
    assert mean == pytest.approx(5, abs=0.2)
    assert deviation == pytest.approx(2, abs=0.2)


def test_what_is_always_the_same_is_divided_by_1():
    assert rt.Scalar(normalize="data").fit([0.1] * 3).normalize == pytest.approx((0.1, 1.0))
    assert rt.Scalar(normalize="robust").fit([2, 2, 2, 2, 2, 8]).normalize[1] == pytest.approx(np.sqrt(5))


def test_numbers_far_from_zero_keep_their_differences():
    years = [1e9 + row for row in range(5)]
    codec = rt.Scalar(normalize="data").fit(years)
    assert codec.decode(codec.encode(years)) == pytest.approx(years, abs=1e-5)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: rt.Scalar(normalize="imagenet"), "normalize is None, 'data', 'robust', or a pair"),
        (lambda: rt.Scalar(normalize=(0, 0)), "Scalar: normalize: deviation is a number from 1e-300"),
        (lambda: rt.Scalar(normalize=((1, 2), 1)), "there is one number"),
        (lambda: rt.Vector(3, normalize=((1, 2), 1)), "normalize has 2 numbers, the vectors have 3"),
        (lambda: rt.Vector(normalize=((1, 2), (1, 1, 1))), "normalize has 3 numbers, the vectors have 2"),
        (lambda: rt.Scalar(unit=""), "Scalar: unit is a text such as 'kg', or None; got ''"),
        (lambda: rt.Scalar(unit=3), "Scalar: unit is a text"),
    ],
)
def test_settings_that_cannot_be_are_refused(make, text):
    with pytest.raises(rt.ArgumentError, match=text):
        make()


def test_what_has_not_been_learned_is_not_used():
    with pytest.raises(rt.CodecError, match="has learned no mean and deviation yet"):
        rt.Scalar(normalize="data").pack([1.0])
    with pytest.raises(rt.CodecError, match="no examples to learn the mean and deviation from"):
        rt.Scalar(normalize="data").fit([])
    with pytest.raises(rt.CodecError, match="row 1 has nan, which is not a finite number"):
        rt.Scalar(normalize="data").fit([1.0, math.nan])
    with pytest.raises(rt.CodecError, match="too large to be standardised"):
        rt.Scalar(normalize="data").fit([1e300, -1e300])


def test_a_net_answers_in_the_unit_of_the_data():
    x = np.linspace(-1, 1, 200, dtype=np.float32).reshape(-1, 1)
    y = 5e5 + 2e5 * x[:, 0]
    net = rt.Linear(1, input=rt.Vector(normalize="data"), output=rt.Scalar(normalize="data", unit="USD"))
    run = rt.train(net, (x, y), epochs=60, optimizer=rt.Adam(0.05), seed=0, validation=0)
    learned = run.net.outputs["output"].codec
    assert learned.normalize == pytest.approx((y.mean(), y.std()))
    assert repr(learned).endswith(", unit='USD')")
    assert run.net([0.5]) == pytest.approx(6e5, rel=0.01)
    assert rt.measure(run.net, (x, y)).r2 > 0.999
