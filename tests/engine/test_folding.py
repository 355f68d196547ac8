"""Each rewrite for inference: that it happens, that it keeps the numbers, and where it stays away."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch.nn import functional

from retia.engine.folding import FOLDING, FUSING
from retia.engine.kernels import fused_convolution
from retia.engine.plan import Planner
from retia.engine.rewrite import rewritten
from retia.engine.trace import Tape, record

needs_kernels = pytest.mark.skipif(
    fused_convolution() is None, reason="this PyTorch has no fused convolutions"
)
X = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def made(function: object, x: torch.Tensor, **fixed: torch.Tensor) -> tuple[list[str], torch.Tensor]:
    """The operations left of a function by the tables, and what its program answers."""

    def named(**tensors: torch.Tensor) -> Mapping[str, torch.Tensor]:
        return {"y": function(**tensors)}  # type: ignore[operator]

    with torch.no_grad():
        tape: Tape = record(named, {"x": x, **fixed})
        for rules in (FOLDING, FUSING):
            tape = rewritten(tape, rules)
        program = Planner(tape, fixed, {"x": x}).plan()
        return [call.op._schema.name.split("::")[1] for call in tape.calls], program.run(x)[0]


def check(function: object, x: torch.Tensor, **fixed: torch.Tensor) -> list[str]:
    """The operations left, after a comparison in single and in double precision."""
    left, found = made(function, x, **fixed)
    expected = function(x=x, **fixed)  # type: ignore[operator]
    assert (found - expected).norm() <= 1e-5 * expected.norm()
    return left


STATISTICS = {
    (size, dtype): tuple(
        each.to(dtype)
        for each in (numbers(size), numbers(size).abs() + 0.5, numbers(size) + 2, numbers(size))
    )
    for size in (4, 5)
    for dtype in (torch.float32, torch.float64)
}
"""Mean, variance, weight and bias, made before anything is recorded."""


def norm(x: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
    mean, variance, scale, bias = STATISTICS[x.shape[1], x.dtype]
    return functional.batch_norm(x, mean, variance, scale if weight is None else weight, bias, eps=1e-3)


@pytest.mark.parametrize("bias", [None, numbers(4)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_normalization_goes_into_the_convolution_before_it(
    bias: torch.Tensor | None, dtype: torch.dtype
) -> None:
    weight, shift = numbers(4, 3, 3, 3).to(dtype), None if bias is None else bias.to(dtype)
    left, found = made(lambda x: norm(functional.conv2d(x, weight, shift)), X.to(dtype))
    expected = norm(functional.conv2d(X.to(dtype), weight, shift))
    assert (found - expected).norm() <= (1e-10 if dtype == torch.float64 else 1e-5) * expected.norm()
    assert "native_batch_norm" not in left
    assert len(left) <= 2


@pytest.mark.parametrize("bias", [None, numbers(5)])
def test_normalization_goes_into_the_product_before_it(bias: torch.Tensor | None) -> None:
    weight = numbers(5, 6)
    assert check(lambda x: norm(functional.linear(x, weight, bias)), numbers(7, 6)) == ["addmm"]


def test_normalization_of_what_another_reads_stays_a_scale_and_a_shift() -> None:
    weight = numbers(4, 3, 1, 1)

    def function(x: torch.Tensor) -> torch.Tensor:
        y = functional.conv2d(x, weight)
        return norm(y) + y.sigmoid()

    assert "addcmul" in check(function, X)


def test_normalization_with_arrays_that_change_scales_the_weights_in_every_run() -> None:
    def function(x: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        return norm(functional.conv2d(x, weight), weight=scale)

    left = check(function, numbers(8, 3, 8, 8), weight=numbers(4, 3, 3, 3), scale=numbers(4))
    assert "native_batch_norm" not in left
    assert "addcmul" not in left


def test_normalization_without_eps_is_left_alone() -> None:
    weight, mean = numbers(4, 3, 1, 1), numbers(4)
    left = check(lambda x: functional.batch_norm(functional.conv2d(x, weight), mean, mean.abs(), eps=0.0), X)
    assert "native_batch_norm" in left


def test_even_pads_are_the_convolutions_own() -> None:
    weight = numbers(4, 3, 3, 3)
    left = check(lambda x: functional.conv2d(functional.pad(x, (2, 2, 1, 1)), weight, padding=1), X)
    assert "constant_pad_nd" not in left


@pytest.mark.parametrize(
    ("pads", "filling"), [((0, 1, 0, 1), 0.0), ((1, 1), 0.5), ((1, 1, 1, 1, 1, 1), 0.0), ((-1, -1), 0.0)]
)
def test_other_pads_stay(pads: tuple[int, ...], filling: float) -> None:
    weight = numbers(4, 5 if len(pads) == 6 else 3, 3, 3)
    left = check(lambda x: functional.conv2d(functional.pad(x, pads, value=filling), weight), X)
    assert "constant_pad_nd" in left


def test_pads_stay_where_weights_are_not_finite() -> None:
    weight = numbers(4, 3, 3, 3)
    weight[0, 0, 0, 0] = float("inf")
    left, _ = made(lambda x: functional.conv2d(functional.pad(x, (1, 1)), weight), X)
    assert "constant_pad_nd" in left


@needs_kernels
@pytest.mark.parametrize("act", [torch.relu, functional.relu6, lambda y: functional.hardtanh(y, -0.5, 0.25)])
@pytest.mark.parametrize("groups", [1, 3])
def test_a_convolution_and_what_follows_are_one_call(act: object, groups: int) -> None:
    weight, bias = numbers(6, 3 // groups, 3, 3), numbers(6)
    left = check(lambda x: act(functional.conv2d(x, weight, bias, 2, 1, 1, groups)), X)  # type: ignore[operator]
    assert left == ["clone", "_convolution_pointwise"]


@needs_kernels
@pytest.mark.parametrize("act", [torch.relu, lambda y: y])
@pytest.mark.parametrize("turned", [False, True])
def test_a_convolution_and_what_is_added_are_one_call(act: object, turned: bool) -> None:
    first, second = numbers(3, 3, 1, 1), numbers(3, 3, 3, 3)

    def function(x: torch.Tensor) -> torch.Tensor:
        y = functional.conv2d(x, first)
        z = functional.conv2d(y.sigmoid(), second, padding=1)
        return act(y + z if turned else z + y)  # type: ignore[no-any-return, operator]

    left = check(function, X)
    assert left.count("_convolution_pointwise") == 2
    assert not {"add", "relu", "clamp_min"} & set(left)


@needs_kernels
def test_sums_of_other_shapes_or_with_numbers_stay() -> None:
    weight, other = numbers(4, 3, 1, 1), numbers(4, 1, 1)
    assert "add" in check(lambda x: functional.conv2d(x, weight) + other, X)
    assert "add" in check(lambda x: functional.conv2d(x, weight) + 2, X)
    assert "add" in check(
        lambda x: torch.add(functional.conv2d(x, weight), x[:, :1].expand(2, 4, 8, 8), alpha=2), X
    )


@needs_kernels
def test_a_convolution_that_another_reads_is_not_rectified_on_the_way() -> None:
    weight = numbers(4, 3, 1, 1)

    def function(x: torch.Tensor) -> torch.Tensor:
        y = functional.conv2d(x, weight)
        return y.relu() * y

    assert "clamp_min" in check(function, X)


@needs_kernels
@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_not_fused(odd: float) -> None:
    weight = numbers(4, 3, 1, 1)
    weight[1, 1] = odd
    left, found = made(lambda x: functional.conv2d(x, weight).relu(), X)
    assert "_convolution_pointwise" not in left
    assert torch.equal(found.isnan(), functional.conv2d(X, weight).relu().isnan())


def test_double_precision_and_other_ranks_are_not_fused() -> None:
    weight = numbers(4, 3, 3).double()
    assert "convolution" in check(lambda x: functional.conv1d(x, weight).relu(), numbers(2, 3, 8).double())
    turned = numbers(3, 4, 3, 3)
    assert "convolution" in check(lambda x: functional.conv_transpose2d(x, turned).relu(), X)


def test_pooling_goes_before_what_rectifies_where_no_kernel_does_both() -> None:
    left = check(lambda x: functional.max_pool2d(x.sin().relu(), 2), X)
    assert left == ["sin", "max_pool2d_with_indices", "clamp_min"]


def test_one_row_is_a_product_with_a_vector() -> None:
    weight, bias = numbers(5, 6), numbers(5)

    def function(x: torch.Tensor) -> torch.Tensor:
        return functional.linear(functional.linear(x.sin(), weight, bias), weight[:, :5]).sin()

    def named(x: torch.Tensor) -> Mapping[str, torch.Tensor]:
        return {"y": function(x)}

    x = numbers(1, 6)
    program = Planner(record(named, {"x": x}), {}, {"x": x}).plan()
    bound = program.run.__kwdefaults__ or {}
    names = {getattr(value, "__name__", "") for value in bound.values()}
    assert {"addmv", "mv"} <= names
    assert not {"addmm", "mm"} & names
    assert torch.allclose(program.run(x)[0], function(x), rtol=1e-5)
