"""L1 and L2: what they are of, what they add to loss and gradients, and what is refused."""

import numpy as np
import pytest
import torch

import retia as rt
from retia.engine.trace import record
from retia.training.penalties import Penalties, read_penalties, weights_of


def net():
    return rt.Chain(
        body=rt.Chain(conv=rt.Conv2d(4, 3), norm=rt.BatchNorm(), act=rt.PReLU()), flat=rt.Flatten(),
        head=rt.Linear(2), input=(1, 5, 5),
    ).init(seed=1)  # fmt: skip


# Which arrays -------------------------------------------------------------------------------------


def test_weights_are_what_does_not_start_at_one_number_everywhere():
    assert weights_of(net()) == ["body.conv.weight", "head.weight"]
    assert weights_of(rt.Chain(rt.Embedding(3, classes=5), rt.LayerNorm(axes=2), input=(4,))) == ["0.weight"]


def test_how_the_user_starts_an_array_does_not_matter():
    assert weights_of(rt.Linear(2, input=3, init="zeros")) == ["weight"]


def test_an_array_that_is_shared_pays_once():
    one = rt.Shared("one", rt.Linear(3))
    assert len(weights_of(rt.Chain(one, rt.Tanh(), one, input=3))) == 1


def test_a_number_is_for_weights_alone():
    both = read_penalties(net(), 0.1, 0.2)
    assert both == Penalties(
        {"body.conv.weight": 0.1, "head.weight": 0.1}, {"body.conv.weight": 0.2, "head.weight": 0.2}
    )


def test_nothing_given_is_no_penalty():
    none = read_penalties(net(), None, None)
    assert not none
    assert none(net().arrays) is None
    assert not read_penalties(net(), 0, {"head": 0.0})


def test_the_first_pattern_that_matches_wins_and_what_none_matches_pays_nothing():
    assert read_penalties(net(), None, {"head": 0.3, "*": 0.1}).l2 == {
        "body.conv.weight": 0.1, "head.weight": 0.3,
    }  # fmt: skip
    assert read_penalties(net(), None, {"head": 0, "*": 0.1}).l2 == {"body.conv.weight": 0.1}
    assert read_penalties(net(), {"body": 1}, None).l1 == {"body.conv.weight": 1.0}


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("*.bias", ["body.conv.bias", "body.norm.bias", "head.bias"]),
        ("head.bias", ["head.bias"]),
        ("body.norm.weight", ["body.norm.weight"]),
        ("body.*.weight", ["body.conv.weight", "body.norm.weight", "body.act.weight"]),
        ("b*", ["body.conv.weight"]),
        ("head.*", ["head.weight"]),
    ],
)
def test_a_pattern_that_names_an_array_is_for_it_and_every_other_for_weights(pattern, paths):
    assert [*read_penalties(net(), None, {pattern: 1}).l2] == paths


def test_arrays_of_a_net_of_one_layer_have_names_without_dots():
    one = rt.Linear(2, input=3)
    assert read_penalties(one, None, {"bias": 1, "*": 2}).l2 == {"weight": 2.0, "bias": 1.0}


def test_frozen_arrays_pay_nothing():
    assert read_penalties(net(), None, 0.1, moved=["head.weight", "head.bias"]).l2 == {"head.weight": 0.1}


# What they add ------------------------------------------------------------------------------------


def test_loss_and_gradients_are_pytorchs_to_the_bit():
    one = rt.Chain(rt.Linear(5), rt.Tanh(), rt.Linear(3), input=4).init(seed=2)
    penalties = read_penalties(one, 0.01, 0.1)
    ours = {path: tensor.clone().requires_grad_() for path, tensor in one.arrays.items()}
    theirs = {path: tensor.clone().requires_grad_() for path, tensor in one.arrays.items()}
    penalty = penalties(ours)
    weights = [theirs["0.weight"], theirs["2.weight"]]
    expected = 0.01 * sum(w.abs().sum() for w in weights) + 0.1 * sum((w**2).sum() for w in weights)
    assert penalty.equal(expected)
    penalty.backward()
    expected.backward()
    for path, tensor in ours.items():
        if path.endswith("bias"):
            assert tensor.grad is None
        else:
            assert tensor.grad.equal(theirs[path].grad), path


def test_the_penalty_is_the_sum_that_numpy_finds():
    one = net()
    factors = {"head": 0.3, "*": 0.1}
    penalty = read_penalties(one, 0.2, factors)({p: t.double() for p, t in one.arrays.items()})
    conv, head = (one.arrays[f"{path}.weight"].double().numpy() for path in ("body.conv", "head"))
    expected = 0.2 * (np.abs(conv).sum() + np.abs(head).sum()) + 0.1 * (conv**2).sum() + 0.3 * (head**2).sum()
    assert abs(float(penalty) - expected) < 1e-12


def test_derivatives_agree_with_differences():
    one = rt.Linear(2, input=3).init(seed=0)
    penalties = read_penalties(one, 0.3, 0.2)
    weight = one.arrays["weight"].double().requires_grad_()
    assert torch.autograd.gradcheck(lambda w: penalties({"weight": w}), weight)


def test_a_penalty_can_be_recorded_with_its_derivative():
    penalties = Penalties({"w": 0.5}, {"w": 0.25, "v": 0.25})

    def pulled(**arrays):
        leaves = {path: tensor.requires_grad_() for path, tensor in arrays.items()}
        penalty = penalties(leaves)
        found = torch.autograd.grad(penalty, [*leaves.values()])
        return {"penalty": penalty.detach(), **dict(zip(leaves, found, strict=True))}

    given = {"w": torch.tensor([2.0, -4.0]), "v": torch.tensor([3.0])}
    tape = record(pulled, given)
    assert set(tape.outputs) == {"penalty", "w", "v"}
    assert [ref.number for ref in tape.inputs.values()] == [0, 1]
    found = pulled(**given)
    assert found["penalty"] == 0.5 * 6 + 0.25 * (20 + 9)
    assert found["w"].tolist() == [0.5 + 0.5 * 2, -0.5 - 0.5 * 4]


# What is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [-1, float("nan"), float("inf"), True, "1e-4", [0.1]])
def test_what_is_no_factor_is_refused(given):
    with pytest.raises(rt.ArgumentError) as caught:
        read_penalties(net(), None, given)
    assert str(caught.value) == (
        f"l2 is a number of at least 0, or a dict from path patterns to such; got {given!r}.\n  fix   l2=1e-4"
    )
    with pytest.raises(rt.ArgumentError) as caught:
        read_penalties(net(), {"head": given}, None)
    assert str(caught.value) == f"l1: 'head' has {given!r}, which is no finite number of at least 0."


def test_an_empty_dict_is_refused():
    with pytest.raises(rt.ArgumentError) as caught:
        read_penalties(net(), None, {})
    assert str(caught.value) == (
        "l2 is a number, or a dict from path patterns to numbers; got {}.\n"
        '  fix   l2={"classifier": 1e-4}, or l2=1e-4 for all weights'
    )


def test_a_pattern_that_matches_nothing_is_refused():
    with pytest.raises(rt.UnknownNameError) as caught:
        read_penalties(net(), None, {"haed": 0.1})
    assert str(caught.value) == (
        "l2: 'haed' matches no path. Did you mean 'head'?\n  fix   the net has body, head"
    )


def test_a_pattern_that_an_earlier_one_covers_is_refused():
    with pytest.raises(rt.UnknownNameError) as caught:
        read_penalties(net(), {"*": 0.1, "head": 0.2}, None)
    assert str(caught.value) == (
        "l1: all that 'head' matches is matched by a pattern before it.\n"
        "  fix   put the narrower pattern first"
    )


def test_a_pattern_that_matches_no_weight_is_refused():
    with pytest.raises(rt.UnknownNameError) as caught:
        read_penalties(net(), None, {"body.norm": 0.1})
    assert str(caught.value) == (
        "l2: 'body.norm' matches no weight, only body.norm.weight, body.norm.bias.\n"
        "  fix   name the array itself, l2={'body.norm.weight': ...}"
    )
