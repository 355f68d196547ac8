"""Losses against PyTorch's own: values and derivatives to the bit where the kernels are the same."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

import retia as rt
from retia.metrics import losses
from retia.nets.expression import from_json, to_json

SIX = [[0.01, 0.03, 0.00, 0.04, 0.03, 0.05, 0.8, 0.02, 0.01, 0.01]]
KINDS = (torch.float32, torch.float64)


def drawn(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def numbers(high, *shape, seed=0):
    return torch.randint(0, high, shape, generator=torch.Generator().manual_seed(seed))


def shares(*shape, seed=0, dtype=torch.float32):
    return drawn(*shape, seed=seed, dtype=dtype).softmax(-1)


def with_slope(function, value):
    """What a function of a tensor gives, and the derivative of its sum."""
    leaf = value.detach().clone().requires_grad_()
    result = function(leaf)
    return result.detach(), torch.autograd.grad(result.sum(), leaf)[0]


def assert_same(ours, theirs, value, tolerance=0.0):
    """That two functions give one value and one derivative."""
    for mine, reference in zip(with_slope(ours, value), with_slope(theirs, value), strict=True):
        assert mine.shape == reference.shape
        if tolerance:
            assert float((mine - reference).abs().max()) <= tolerance
        else:
            assert mine.equal(reference)


# Classes ------------------------------------------------------------------------------------------


def test_the_cross_entropy_of_a_six_given_point_eight():
    each = rt.CrossEntropy().formula(torch.tensor(SIX), torch.tensor([6]))
    assert round(each.item(), 4) == 0.2231
    one_hot = F.one_hot(torch.tensor([6]), 10)
    assert torch.equal(rt.CrossEntropy().formula(torch.tensor(SIX), one_hot), each)


def test_a_right_class_of_probability_0_has_a_finite_loss_and_derivative():
    for loss in (rt.CrossEntropy(), rt.Focal(0.5), rt.CrossEntropy(smoothing=0.1, weights=range(10))):
        found, slope = with_slope(lambda p, f=loss: f.formula(p, torch.tensor([2])), torch.tensor(SIX))
        assert bool(found.isfinite().all())
        assert bool(slope.isfinite().all())


WEIGHTED = [
    {},
    {"weights": [0.5, 2.0, 1.0, 0.0]},
    {"smoothing": 0.1},
    {"weights": [0.5, 2.0, 1.0, 0.25], "smoothing": 0.3},
]


@pytest.mark.parametrize("how", WEIGHTED)
@pytest.mark.parametrize("dtype", KINDS)
def test_cross_entropy_of_logits_is_pytorchs_to_the_bit(how, dtype):
    logits = 5 * drawn(6, 4, dtype=dtype)
    weight = torch.tensor(how["weights"], dtype=dtype) if "weights" in how else None
    plain = {"weight": weight, "label_smoothing": how.get("smoothing", 0.0), "reduction": "none"}
    loss = rt.CrossEntropy(**how)
    for target in (numbers(4, 6), shares(6, 4, seed=1, dtype=dtype)):
        assert_same(
            lambda y, t=target: loss.of_logits(y, t),
            lambda y, t=target: F.cross_entropy(y, t, **plain),
            logits,
        )


@pytest.mark.parametrize("how", WEIGHTED)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.float64, 1e-12)])
def test_cross_entropy_of_probabilities_is_that_of_their_logits(how, dtype, tolerance):
    logits = drawn(6, 4, dtype=dtype)
    loss = rt.CrossEntropy(**how)
    for target in (numbers(4, 6), F.one_hot(numbers(4, 6), 4), shares(6, 4, seed=1, dtype=dtype)):
        assert_same(
            lambda y, t=target: loss.formula(y.softmax(1), t), lambda y, t=target: loss.of_logits(y, t),
            logits, tolerance,
        )  # fmt: skip


def test_weights_multiply_and_the_mean_is_over_examples():
    logits, target, weights = drawn(6, 3), numbers(3, 6), [1.0, 2.0, 5.0]
    ours = rt.CrossEntropy(weights=weights).of_logits(logits, target).mean()
    theirs = F.cross_entropy(logits, target, torch.tensor(weights))  # divides by the sum of weights
    assert torch.allclose(ours * 6 / torch.tensor(weights)[target].sum(), theirs)


@given(st.integers(1, 5), st.integers(2, 6), st.integers(0, 99))
def test_cross_entropy_is_pytorchs_from_logits_and_from_probabilities(batch, classes, seed):
    logits, labels = drawn(batch, classes, seed=seed), numbers(classes, batch, seed=seed)
    soft = drawn(batch, classes, seed=seed + 1).softmax(1)
    for target in (labels, soft):
        reference = F.cross_entropy(logits, target, reduction="none")
        assert torch.equal(rt.CrossEntropy().of_logits(logits, target), reference)
        assert torch.allclose(rt.CrossEntropy().formula(logits.softmax(1), target), reference, atol=1e-5)


@pytest.mark.parametrize("how", [{}, {"weights": [0.5, 2.0, 1.0, 1.0, 3.0], "smoothing": 0.1}])
def test_cross_entropy_along_another_axis_is_pytorchs(how):
    logits, labels = drawn(2, 5, 3, 4), numbers(5, 2, 3, 4)
    weight = torch.tensor(how["weights"]) if how else None
    reference = F.cross_entropy(
        logits, labels, weight, reduction="none", label_smoothing=how.get("smoothing", 0.0)
    )
    loss = rt.CrossEntropy(**how)
    assert torch.equal(loss.of_logits(logits, labels, 1), reference)
    assert torch.allclose(loss.formula(logits.softmax(1), labels, 1), reference, atol=1e-5)


def focal(logits, target, gamma, weights):
    """The paper's formula, in float64."""
    logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    costs = -np.asarray(weights) * (1 - np.exp(logs)) ** gamma * logs
    return costs[np.arange(len(target)), target] if target.ndim == 1 else (target * costs).sum(1)


@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2, 5])
@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 0.5, 3.0]])
def test_focal_is_the_papers_formula(gamma, weights):
    logits, loss = drawn(6, 4, dtype=torch.float64), rt.Focal(gamma, weights=weights)
    for target in (numbers(4, 6), shares(6, 4, seed=1, dtype=torch.float64)):
        reference = torch.from_numpy(focal(logits.numpy(), target.numpy(), gamma, weights or [1.0] * 4))
        assert torch.allclose(loss.of_logits(logits, target), reference, rtol=0, atol=1e-12)
        assert torch.allclose(loss.formula(logits.softmax(1), target), reference, rtol=0, atol=1e-12)


def test_focal_at_gamma_0_is_the_cross_entropy():
    logits, target = drawn(6, 4), numbers(4, 6)
    ours, theirs = rt.Focal(0), rt.CrossEntropy()
    assert_same(lambda y: ours.of_logits(y, target), lambda y: theirs.of_logits(y, target), logits, 1e-6)


def test_kl_is_pytorchs():
    logits, target = drawn(6, 4), shares(6, 4, seed=1)
    target[0] = torch.tensor([0.0, 1.0, 0.0, 0.0])

    def reference(y):
        return F.kl_div(y.log_softmax(1), target, reduction="none").sum(1)

    assert_same(lambda y: rt.KL().of_logits(y, target), reference, logits)
    assert_same(lambda y: rt.KL().formula(y.softmax(1), target), reference, logits, 1e-6)
    assert torch.allclose(rt.KL().formula(target, target), torch.zeros(6), atol=1e-7)


# Yes or no ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [1.0, 3.0, (1.0, 2.0, 0.5)])
@pytest.mark.parametrize("dtype", KINDS)
def test_binary_cross_entropy_of_logits_is_pytorchs_to_the_bit(weight, dtype):
    logits, loss = 5 * drawn(6, 3, dtype=dtype), rt.BinaryCrossEntropy(weight_of_true=weight)
    weights = (
        None if weight == 1 else torch.tensor(weight if isinstance(weight, tuple) else [weight], dtype=dtype)
    )
    for target in (numbers(2, 6, 3), numbers(2, 6, 3).bool(), torch.rand(6, 3).to(dtype)):

        def reference(y, t=target):
            return F.binary_cross_entropy_with_logits(y, t.to(dtype), pos_weight=weights, reduction="none")

        assert_same(lambda y, t=target: loss.of_logits(y, t), reference, logits)
        tolerance = 2e-4 if dtype == torch.float32 else 1e-12
        assert_same(lambda y, t=target: loss.formula(y.sigmoid(), t), reference, logits, tolerance)


@pytest.mark.parametrize("gamma", [0, 0.5, 2])
@pytest.mark.parametrize("weight", [1.0, 3.0, (1.0, 2.0, 0.5)])
def test_binary_focal_is_the_papers_formula(gamma, weight):
    logits, target = drawn(6, 3, dtype=torch.float64), torch.rand(6, 3, dtype=torch.float64)
    p, t = 1 / (1 + np.exp(-logits.numpy())), target.numpy()
    reference = -np.asarray(weight) * t * (1 - p) ** gamma * np.log(p) - (1 - t) * p**gamma * np.log(1 - p)
    loss = rt.BinaryFocal(gamma, weight_of_true=weight)
    for found in (loss.of_logits(logits, target), loss.formula(logits.sigmoid(), target)):
        assert np.allclose(found.numpy(), reference, rtol=0, atol=1e-12)


@pytest.mark.parametrize("squared", [False, True])
def test_hinge_is_kerass_formula_on_truth_values_and_on_signs(squared):
    scores, signs = 2 * drawn(6, 3, dtype=torch.float64), 2 * numbers(2, 6, 3) - 1
    loss = rt.Hinge(1.5, squared=squared)
    reference = np.maximum(1.5 - signs.numpy() * scores.numpy(), 0) ** (1 + squared)
    for target in (signs, signs > 0, (signs > 0).long()):
        assert np.allclose(loss.formula(scores, target).numpy(), reference, rtol=0, atol=1e-12)


# Numbers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "reference"),
    [
        (rt.MSE(), F.mse_loss),
        (rt.MAE(), F.l1_loss),
        (rt.Huber(), F.smooth_l1_loss),
        (rt.Huber(0.5), lambda y, t, reduction: F.huber_loss(y, t, reduction, 0.5)),
        (rt.Poisson(), F.poisson_nll_loss),
        (rt.Poisson(log=False), lambda y, t, reduction: F.poisson_nll_loss(y, t, False, reduction=reduction)),
    ],
)
@pytest.mark.parametrize("dtype", KINDS)
def test_losses_of_numbers_are_pytorchs_to_the_bit(loss, reference, dtype):
    y, t = drawn(4, 3, dtype=dtype).abs(), 3 * drawn(4, 3, seed=1, dtype=dtype).abs()
    assert_same(lambda y: loss.formula(y, t), lambda y: reference(y, t, reduction="none"), y)


# All ----------------------------------------------------------------------------------------------

DENSE = [name for name in losses.LOSSES if name not in ("contrastive", "triplet", "ctc", "detection")]
CLASSED = ("cross-entropy", "focal")


@pytest.mark.parametrize("name", DENSE)
def test_derivatives_agree_with_differences(name):
    loss = losses.LOSSES[name]()
    target = (drawn(3, 4, seed=1) > 0).double()
    for wanted in (target, *([numbers(4, 3)] if name in CLASSED else [])):
        for formula in (loss.formula, loss.of_logits):
            value = drawn(3, 4, seed=2).double().softmax(1).requires_grad_()
            assert torch.autograd.gradcheck(lambda y, f=formula, t=wanted: f(y, t), value)


@pytest.mark.parametrize("name", [name for name in DENSE if losses.LOSSES[name].suits])
@pytest.mark.parametrize("size", [1e4, 1e30])
def test_extreme_logits_have_a_finite_loss_and_derivative(name, size):
    logits = size * torch.tensor([[1.0, -1.0, 0.0], [-1.0, 1.0, 1.0]])
    target = torch.tensor([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    for loss in (losses.LOSSES[name](), *([losses.LOSSES[name](0.5)] if "focal" in name else [])):
        value, slope = with_slope(lambda y, f=loss: f.of_logits(y, target), logits)
        assert bool(value.isfinite().all())
        assert bool(slope.isfinite().all())


@pytest.mark.parametrize("name", DENSE)
@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.int64, torch.float64])
def test_targets_of_any_type_are_compared_alike(name, dtype):
    loss, value = losses.LOSSES[name](), shares(4, 3)
    like = F.one_hot(numbers(3, 4), 3)
    assert loss.formula(value, like.to(dtype)).equal(loss.formula(value, like.float()))
    if name in CLASSED and dtype != torch.float64:
        for formula in (loss.formula, loss.of_logits):
            assert formula(value, numbers(3, 4).to(dtype)).equal(formula(value, numbers(3, 4)))


SETTLED = [
    rt.CrossEntropy(weights=[1, 2.5], smoothing=0.1), rt.CrossEntropy(weights={"cat": 2, "dog": 0.5}),
    rt.Focal(1.5), rt.BinaryCrossEntropy(weight_of_true=3), rt.BinaryFocal(1, weight_of_true=[1, 2]),
    rt.MSE(), rt.Huber(0.5), rt.Hinge(2, squared=True), rt.Poisson(log=False),
    rt.Triplet(0.2, mining="hard"), rt.CTC(blank=3), rt.Detection(size=0.5), rt.CrossEntropy(ignore="void"),
    rt.Focal(ignore=255),
]  # fmt: skip


@pytest.mark.parametrize("loss", SETTLED)
def test_a_loss_is_a_value(loss):
    assert eval(repr(loss), vars(rt)) == loss
    assert from_json(to_json(loss)) == loss
    assert hash(from_json(to_json(loss))) == hash(loss)
    assert loss != type(loss)() or loss == rt.MSE()


def test_a_loss_is_told_by_its_name_where_its_settings_are_the_usual_ones():
    assert rt.CrossEntropy().told == "cross-entropy"
    assert rt.CrossEntropy(smoothing=0.1).told == "CrossEntropy(smoothing=0.1)"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: rt.CrossEntropy(smoothing=1),
            "CrossEntropy: smoothing is a number from 0 to below 1; got 1.",
        ),
        (
            lambda: rt.CrossEntropy(weights="balanced"),
            "CrossEntropy: weights is a number for each class, or a dict from labels to numbers; "
            "got 'balanced'.",
        ),
        (lambda: rt.Focal(weights=[1, -1]), "Focal: weights are numbers of at least 0; got -1."),
        (
            lambda: rt.BinaryCrossEntropy(weight_of_true=math.nan),
            "BinaryCrossEntropy: weight_of_true are numbers of at least 0; got nan.",
        ),
        (lambda: rt.Huber(0), "Huber: delta is above 0; got 0."),
        (
            lambda: rt.Triplet(mining="semihard"),
            "Triplet: mining is one of 'semi-hard', 'hard', 'all'; got 'semihard'. Did you mean 'semi-hard'?",
        ),
    ],
)
def test_settings_out_of_range_are_refused(make, said):
    with pytest.raises(rt.ArgumentError) as caught:
        make()
    assert str(caught.value) == said


# Names --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("CrossEntropyLoss", "cross-entropy"), ("sparse_categorical_crossentropy", "cross-entropy"),
        ("categorical_crossentropy", "cross-entropy"), ("nll_loss", "cross-entropy"),
        ("NLLLoss", "cross-entropy"), ("CrossEntropy", "cross-entropy"),
        ("BCEWithLogitsLoss", "binary-cross-entropy"),
        ("bce", "binary-cross-entropy"), ("binary_crossentropy", "binary-cross-entropy"),
        ("binary_cross_entropy_with_logits", "binary-cross-entropy"), ("BCELoss", "binary-cross-entropy"),
        ("MSELoss", "mse"), ("mean_squared_error", "mse"), ("L1Loss", "mae"), ("mean_absolute_error", "mae"),
        ("SmoothL1Loss", "huber"), ("smooth_l1", "huber"), ("HuberLoss", "huber"), ("hinge", "hinge"),
        ("poisson_nll_loss", "poisson"), ("kld", "kl"), ("KLDivLoss", "kl"), ("kl_divergence", "kl"),
        ("kullback_leibler_divergence", "kl"), ("TripletMarginLoss", "triplet"), ("ctc_loss", "ctc"),
        ("categorical_focal_crossentropy", "focal"), ("binary_focal_crossentropy", "binary-focal"),
        ("BinaryFocal", "binary-focal"),
    ],
)  # fmt: skip
def test_other_spellings_of_losses_are_known(spelling, name):
    assert losses.find_loss(spelling) == losses.LOSSES[name]()


@pytest.mark.parametrize(
    ("spelling", "nearest"),
    [("squared_hinge", "Hinge(squared=True)"), ("log_cosh", "Huber()"), ("MultiMarginLoss", "Hinge()")],
)
def test_what_is_only_nearly_there_is_suggested(spelling, nearest):
    with pytest.raises(rt.ArgumentError) as caught:
        losses.find_loss(spelling)
    assert str(caught.value) == (
        f"loss: there is none called {spelling!r}; the nearest is rt.{nearest}.\n"
        f"  fix   loss=rt.{nearest}, or a function of outputs and targets"
    )


def test_a_misspelt_loss_is_an_error_that_helps():
    with pytest.raises(rt.ArgumentError) as caught:
        losses.find_loss("cros-entropy")
    assert str(caught.value) == (
        "loss: there is none called 'cros-entropy'. Did you mean 'cross-entropy'?\n"
        "  fix   one of 'cross-entropy', 'binary-cross-entropy', 'focal', 'binary-focal', 'mse', 'mae', "
        "'huber', 'hinge', 'poisson', 'kl', 'contrastive', 'triplet', 'ctc', 'detection', or a function of "
        "outputs and targets"
    )


def test_names_of_other_frameworks_are_suggested_as_attributes():
    with pytest.raises(rt.UnknownNameError, match="It is called rt.BinaryCrossEntropy here"):
        _ = rt.BCEWithLogitsLoss
