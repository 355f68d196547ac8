"""Rewrites: each fires on its pattern, leaves alone what others read, and keeps the numbers."""

from __future__ import annotations

import pytest
import torch
from tapes import interpreted

from retia.engine import rules
from retia.engine.plan import Planner
from retia.engine.rewrite import Rule, rewritten
from retia.engine.rules import EXACT, LONGEST, MOST_CLASSES, NOBODY, TRAINING, call_of, op_of
from retia.engine.trace import Tape, record

F = torch.nn.functional
RULES = {rule.name: rule for rule in TRAINING}


def numbers(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


def names(tape: Tape) -> list[str]:
    return [call.op._schema.name.removeprefix("aten::") for call in tape.calls]


def applied(name, job, inputs, *others, exact=False) -> Tape:
    """The tape of a job after one rule, checked against the tape before on these inputs and others."""
    tape = record(job, inputs)
    before = str(tape)
    new = rewritten(tape, [RULES[name]])
    assert str(tape) == before, "the tape that is given stays as it is"
    for given in (inputs, *others):
        plain, ours = interpreted(tape, given), interpreted(new, given)
        assert plain.keys() == ours.keys()
        for key in plain:
            near = 0.0 if exact else 1e-14
            assert torch.allclose(ours[key], plain[key], rtol=near, atol=near, equal_nan=True), key
    return new


def spoiled(tensor, *values):
    tensor = tensor.clone()
    tensor.view(-1)[torch.arange(len(values)) * 3] = torch.tensor(values, dtype=tensor.dtype)
    return tensor


ODD = (float("nan"), float("inf"), -float("inf"), 0.0, -0.0)

# Rules --------------------------------------------------------------------------------------------


def test_a_relu_is_a_clamp():
    x = numbers(4, 5)
    new = applied("relu as a clamp", lambda x: {"y": x.relu()}, {"x": x}, {"x": spoiled(x, *ODD)}, exact=True)
    assert names(new) == ["clamp_min"]


def test_a_relu_of_whole_numbers_stays():
    new = applied("relu as a clamp", lambda x: {"y": x.relu()}, {"x": torch.arange(-3, 3)})
    assert names(new) == ["relu"]


@pytest.mark.parametrize("x", [numbers(4, 5), torch.arange(6).view(2, 3), numbers(3, 4) > 0, numbers(0, 3)])
def test_a_whole_sum_is_one_over_its_axes(x):
    new = applied("a whole sum over its axes", lambda x: {"y": x.sum()}, {"x": x}, exact=True)
    assert [str(call.op) for call in new.calls] == ["aten.sum.dim_IntList"]


def test_a_sum_of_one_number_or_over_some_axes_stays():
    assert names(applied("a whole sum over its axes", lambda x: {"y": x.sum()}, {"x": numbers()})) == ["sum"]
    new = applied("a whole sum over its axes", lambda x: {"y": x.sum(1)}, {"x": numbers(3, 4)})
    assert list(new.calls[0].args[1]) == [1]


def test_column_sums_are_a_product():
    x = numbers(6, 5)
    for shape in ((6, 5), (LONGEST, 2), (1, 3), (0, 3)):
        job = lambda x: {"y": x.sum(0, keepdim=True)}  # noqa: E731
        new = applied("column sums as a product", job, {"x": numbers(*shape)})
        assert names(new) == ["mm"]
    applied("column sums as a product", job, {"x": x}, {"x": spoiled(x, *ODD)})


@pytest.mark.parametrize(
    ("job", "x"),
    [
        (lambda x: x.sum(0), numbers(6, 5)),
        (lambda x: x.sum(1, keepdim=True), numbers(6, 5)),
        (lambda x: x.sum(0, keepdim=True), numbers(6, 5, 2)),
        (lambda x: x.sum(0, keepdim=True), torch.arange(6).view(2, 3)),
        (lambda x: x.float().sum(0, keepdim=True, dtype=torch.float64), numbers(6, 5)),
        (lambda x: x.sum(0, keepdim=True), numbers(LONGEST + 1, 2)),
    ],
    ids=["no axis kept", "rows", "three axes", "whole numbers", "another type", "long columns"],
)
def test_other_sums_stay(job, x):
    new = applied("column sums as a product", lambda x: {"y": job(x)}, {"x": x})
    assert "mm" not in names(new)


def pooled(x, **how):
    """A pooling of a rectifier, and its derivative for given pulls."""
    leaf = x.detach().requires_grad_()
    with torch.enable_grad():
        y = F.max_pool2d(leaf.relu(), **how)
        pull = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view(y.shape)
        (found,) = torch.autograd.grad(y, leaf, pull)
    return {"y": y.detach(), "dx": found}


@pytest.mark.parametrize(
    "how",
    [{"kernel_size": 2}, {"kernel_size": 3, "stride": 1, "padding": 1}, {"kernel_size": 2, "stride": 1}],
)
def test_a_pool_goes_before_a_relu(how):
    x = numbers(2, 3, 6, 6)
    ties = (x * 3).round()
    given = [{"x": each} for each in (x, ties, -x.abs(), spoiled(x, *ODD), spoiled(ties, *ODD))]
    new = applied("pool before relu", lambda x: pooled(x, **how), *given, exact=True)
    order = names(new)
    assert order.index("max_pool2d_with_indices") < order.index("relu")
    assert order.index("threshold_backward") < order.index("max_pool2d_with_indices_backward")
    sizes = [new.fact(c.result).shape for c in new.calls if c.op is op_of("threshold_backward")]
    assert sizes == [new.fact(new.outputs["y"]).shape], "it is the smaller picture that is rectified"


def test_a_pool_goes_before_a_relu_without_derivatives():
    new = applied(
        "pool before relu",
        lambda x: {"y": F.max_pool2d(x.relu(), 2)},
        {"x": numbers(2, 3, 6, 6)},
        exact=True,
    )
    assert names(new) == ["max_pool2d_with_indices", "relu"]


def _with_neighbour(x):
    return {**pooled(x, kernel_size=2), "sum": x.relu().sum()}


def _rectified_is_wanted(x):
    y = x.relu()
    return {"y": F.max_pool2d(y, 2), "relu": y}


def _read_twice(x):
    y = x.relu()
    return {"y": F.max_pool2d(y, 2) + F.avg_pool2d(y, 2)}


def _two_pools(x):
    y = x.relu()
    return {"y": F.max_pool2d(y, 2), "z": F.max_pool2d(y, 3)}


def _places_are_wanted(x):
    y, places = F.max_pool2d(x.relu(), 2, return_indices=True)
    return {"y": y, "places": places}


def _places_are_read(x):
    y, places = F.max_pool2d(x.relu(), 2, return_indices=True)
    return {"y": F.max_unpool2d(y, places, 2)}


def _changed_in_place(x):
    y = x.relu()
    y.add_(-1)
    return {"y": F.max_pool2d(y, 2)}


@pytest.mark.parametrize(
    "job",
    [_rectified_is_wanted, _read_twice, _two_pools, _places_are_wanted, _places_are_read, _changed_in_place],
)
def test_a_pool_stays_behind_a_relu_that_others_see(job):
    x = numbers(2, 3, 6, 6) - 0.8
    new = applied("pool before relu", job, {"x": x}, exact=True)
    order = names(new)
    assert order.index("relu") < order.index("max_pool2d_with_indices")


def test_another_relu_of_the_same_numbers_does_not_keep_a_pool_back():
    new = applied("pool before relu", _with_neighbour, {"x": numbers(2, 3, 6, 6)}, exact=True)
    assert names(new)[0] == "max_pool2d_with_indices"


def entropy(logits, targets, *, scale=1.0, **how):
    """A mean cross-entropy and its derivative."""
    leaf = logits.detach().requires_grad_()
    with torch.enable_grad():
        loss = F.cross_entropy(leaf, targets, **{"reduction": "none", "ignore_index": NOBODY, **how}).mean()
        (found,) = torch.autograd.grad(loss * scale, leaf)
    return {"loss": loss.detach(), "d": found}


CLOSED = "cross-entropy's gradient in closed form"


def classes(*shape, below=5):
    return torch.randint(below, shape, generator=torch.Generator().manual_seed(1))


def test_the_gradient_of_a_cross_entropy_is_softmax_less_one_hot():
    x, other = numbers(6, 5) * 4, {"x": numbers(6, 5, seed=3), "t": classes(6).flip(0)}
    odd = {"x": spoiled(x, float("nan"), -float("inf"), float("inf")), "t": classes(6)}
    for scale in (1.0, 0.25):
        job = lambda x, t, scale=scale: entropy(x, t, scale=scale)  # noqa: E731
        new = applied(CLOSED, job, {"x": x, "t": classes(6)}, other, odd)
        assert "_log_softmax_backward_data" not in names(new)
        assert "nll_loss_backward" not in names(new)
        assert "exp" in names(new)


@pytest.mark.parametrize(
    ("job", "x", "t"),
    [
        (lambda x, t: entropy(x, t, ignore_index=-100), numbers(6, 5), classes(6)),
        (lambda x, t: entropy(x, t, reduction="mean"), numbers(6, 5), classes(6)),
        (lambda x, t: entropy(x, t, weight=torch.arange(5.0).double()), numbers(6, 5), classes(6)),
        (lambda x, t: entropy(x, t, label_smoothing=0.1), numbers(6, 5), classes(6)),
        (lambda x, t: entropy(x, t, scale=x.detach().sum()), numbers(6, 5), classes(6)),
        (lambda x, t: entropy(x, t), numbers(6, 5, 3), classes(6, 3)),
        (lambda x, t: entropy(x, t), numbers(2, MOST_CLASSES + 1), classes(2)),
    ],
    ids=["ignored", "mean", "weights", "smoothed", "scaled by numbers", "many a row", "many classes"],
)
def test_other_losses_keep_their_gradient(job, x, t):
    assert "_log_softmax_backward_data" in names(applied(CLOSED, job, {"x": x, "t": t}))


def test_targets_that_are_ignored_have_no_part_in_a_loss():
    t = classes(6).clone()
    t[2] = -100
    given = {"x": numbers(6, 5), "t": t}
    applied(CLOSED, lambda x, t: entropy(x, t, ignore_index=-100), given)


SCALED = "products scaled afterwards"


def dense(x, w, b, *, by=255.0, more=None):
    """A dense layer on scaled whole numbers, and the gradient of its matrix."""
    pixels = x.double() / by
    y = torch.addmm(b, pixels.flatten(1), w.t())
    found = {"y": y, "d": y.t() @ pixels.flatten(1)}
    return found if more is None else found | {"more": more(pixels)}


def pixels():
    bytes_ = torch.randint(256, (6, 1, 2, 4), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
    return {"x": bytes_, "w": numbers(3, 8), "b": numbers(3, seed=4)}


def test_products_of_whole_numbers_are_scaled_afterwards():
    odd = pixels() | {"w": spoiled(numbers(3, 8), float("nan"), float("inf"), -float("inf"))}
    new = applied(SCALED, dense, pixels(), odd)
    assert "div" not in names(new)
    assert names(new).count("addmm") == 2


@pytest.mark.parametrize(
    "job",
    [
        lambda x, w, b: dense(x, w, b, more=lambda scaled: scaled.sum()),
        lambda x, w, b: dense(x, w, b, more=lambda scaled: scaled),
        lambda x, w, b: dense(x, w, b, more=lambda scaled: scaled.flatten(1) @ scaled.flatten(1).t()),
        lambda x, w, b: dense(x, w, b, by=torch.arange(1.0, 5.0).double()),
        lambda x, w, b: dense(w.view(3, 1, 2, 4), w, b),
    ],
    ids=["read elsewhere", "an output", "both factors", "a scale for each", "no whole numbers"],
)
def test_other_scaled_numbers_stay(job):
    assert "div" in names(applied(SCALED, job, pixels()))


def test_the_exact_rules_are_exact():
    assert set(EXACT) < set(TRAINING)

    def job(x):
        return {"y": x.relu(), "s": x.relu().sum(), "t": (x.tanh() + 1).sum()}

    x = numbers(40, 30).float()
    tape = record(job, {"x": x})
    ours, plain = interpreted(rewritten(tape, EXACT), {"x": x}), interpreted(tape, {"x": x})
    assert all(torch.equal(ours[key], plain[key]) for key in plain)


# What holds of all rules --------------------------------------------------------------------------


def test_what_nobody_reads_is_left_out():
    def job(x):
        unused = x.exp().sum()
        unused.add_(1)
        return {"y": x * 2}

    assert names(rewritten(record(job, {"x": numbers(3)}), [])) == ["mul"]


def test_what_is_changed_for_an_output_is_kept():
    def job(x):
        y = torch.zeros(4, dtype=x.dtype)
        y[:2].copy_(x[:2])
        y[2:].copy_(x[2:] * 3)
        return {"y": y}

    given = {"x": numbers(4)}
    tape = record(job, given)
    assert names(rewritten(tape, [])).count("copy_") == 2
    assert torch.equal(interpreted(rewritten(tape, []), given)["y"], job(**given)["y"])


def test_what_depends_on_constants_alone_is_computed_once():
    table = numbers(3)

    def job(x):
        mask = torch.arange(3).double() * table + torch.full_like(x, 2.0) + torch.ones_like(x).t().t()
        return {"y": x * mask}

    given = {"x": numbers(3)}
    new = rewritten(record(job, given), [])
    assert names(new) == ["mul"]
    assert len(new.constants) == 1
    assert torch.equal(interpreted(new, given)["y"], job(**given)["y"])


def test_a_constant_stands_as_it_was_recorded():
    given = {"x": numbers(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)}

    def job(x):
        return {"y": x * torch.ones_like(x).permute(0, 2, 3, 1).view(32, 3).sum()}

    new = rewritten(record(job, given), [])
    assert names(new) == ["mul"]


def test_draws_are_not_constants():
    def job(x):
        return {"y": x + torch.rand(3) + torch.bernoulli(torch.full((3,), 0.5)) + torch.randperm(3)}

    new = rewritten(record(job, {"x": numbers(3)}), [])
    assert {"rand", "bernoulli", "randperm"} <= set(names(new))


def test_what_is_changed_in_place_is_not_a_constant():
    def job(x):
        count = torch.zeros(3, dtype=x.dtype)
        count += 1
        return {"y": x + count}

    given = {"x": numbers(3)}
    new = rewritten(record(job, given), [])
    assert "add_" in names(new)
    for _ in range(2):
        assert torch.equal(interpreted(new, given)["y"], given["x"] + 1)


def test_large_constants_are_made_again_in_every_run(monkeypatch):
    monkeypatch.setattr("retia.engine.rewrite.LARGEST", 10)
    new = rewritten(record(lambda x: {"y": x + torch.ones(11)}, {"x": numbers(11)}), [])
    assert names(new) == ["ones", "add"]


@pytest.mark.parametrize(
    "job",
    [
        lambda x: x.detach().view(3, 3).t().t() + 1,
        lambda x: x.transpose(0, 0) + 1,
        lambda x: x.permute(0, 1).squeeze(0) + 1,
        lambda x: x.expand(3, 3) + 1,
    ],
)
def test_views_that_change_nothing_are_left_out(job):
    assert names(rewritten(record(lambda x: {"y": job(x)}, {"x": numbers(3, 3)}), [])) == ["add"]


@pytest.mark.parametrize(
    ("job", "shape"),
    [
        (lambda x: x.t() @ x, (3, 3)),
        (lambda x: x.permute(1, 0) + x, (3, 3)),
        (lambda x: x.transpose(0, -1) + 1, ()),
        (lambda x: x.permute([]) + 1, ()),
        (lambda x: x.transpose(1, 0) * torch.arange(3.0), (1, 1)),
        (lambda x: x.t().t().t() - x, (4, 4)),
    ],
)
def test_views_keep_their_meaning(job, shape):
    x = numbers(*shape)
    new = rewritten(record(lambda x: {"y": job(x)}, {"x": x}), [])
    assert torch.equal(interpreted(new, {"x": x})["y"], job(x))


def test_views_of_what_changes_in_place_follow_it():
    def job(x):
        y = x * 2
        seen = y.detach().view(4)
        y.mul_(5)
        return {"seen": seen, "y": y}

    given = {"x": numbers(4)}
    assert torch.equal(interpreted(rewritten(record(job, given), []), given)["seen"], given["x"] * 10)


def test_two_changes_do_not_take_from_each_other_what_they_saw():
    """One rule drops what only its call reads; another, in the same round, comes to read it."""

    def drop(view, call):
        inner = view.made_by(call.args[0], "sin")
        if inner is None or not view.read_only_by(inner.result, [call]):
            return None
        return {inner: [], call: [call_of(op_of("exp"), inner.args, call.result)]}

    def read(view, call):
        maker = view.maker[call.args[0].number]
        seen = maker.args[0]
        return {call: [call_of(op_of("neg"), (seen,), call.result)]}

    table = [Rule("drop", "cos", drop), Rule("read", "abs", read)]
    tape = record(lambda x: {"y": x.sin().cos().abs()}, {"x": numbers(3)})
    interpreted(rewritten(tape, table), {"x": numbers(3)})
    interpreted(rewritten(tape, table[::-1]), {"x": numbers(3)})


def test_rules_follow_on_each_other():
    def job(x):
        return {"y": F.max_pool2d(F.max_pool2d(x.relu(), 2).relu(), 2).sum()}

    given = {"x": numbers(1, 1, 8, 8)}
    new = rewritten(record(job, given), TRAINING)
    assert set(names(new)) == {"max_pool2d_with_indices", "clamp_min", "sum"}
    assert torch.equal(interpreted(new, given)["y"], job(**given)["y"])


def test_a_rewritten_tape_can_be_planned():
    given = {"x": numbers(6, 5), "t": classes(6)}
    tape = rewritten(record(entropy, {"logits": given["x"], "targets": given["t"]}), rules.TRAINING)
    program = Planner(tape, {"logits": given["x"], "targets": given["t"]}).plan()
    expected = entropy(given["x"], given["t"])
    for got, key in zip(program.run(), expected, strict=True):
        assert torch.allclose(got, expected[key])
