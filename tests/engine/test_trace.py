"""Recording: a tape says what was asked of PyTorch, and refuses what it could not say again."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from tapes import interpreted

from retia.engine.trace import Call, NotFlatError, Ref, record

F = torch.nn.functional


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def check(function: Callable[..., torch.Tensor], *shapes: tuple[int, ...]) -> None:
    """A tape of one set of inputs gives what the function gives for another."""
    places = [*enumerate(zip("xyz", shapes, strict=False))]
    first, second = ({name: numbers(*s, seed=seed + i) for i, (name, s) in places} for seed in (0, 10))
    tape = record(lambda **given: {"out": function(*given.values())}, first)
    for given in (second, first):
        assert torch.equal(interpreted(tape, given)["out"], function(*given.values()))


def refusal(function: Callable[[torch.Tensor], object]) -> str:
    with pytest.raises(NotFlatError) as caught:
        record(lambda x: {"out": function(x)}, {"x": numbers(3, 4)})
    assert caught.value.fix == 'engine="walk"'
    return caught.value.message


# What is written down -----------------------------------------------------------------------------


def test_a_tape_reads_like_a_program():
    tape = record(lambda x, w: {"y": torch.cat([x @ w, x]).relu()}, {"x": numbers(2, 3), "w": numbers(3, 3)})
    assert str(tape).splitlines() == [
        "v2 = aten.mm.default(x, w)",
        "v3 = aten.cat.default([v2, x])",
        "v4 = aten.relu.default(v3)",
    ]
    assert tape.outputs == {"y": Ref(4)}


def test_derivatives_are_on_the_tape_like_everything_else():
    def pull(x, w):
        w = w.detach().requires_grad_()
        with torch.enable_grad():
            return torch.autograd.grad(torch.sigmoid(x @ w).square().sum(), w)[0]

    check(pull, (4, 3), (3, 2))


def test_views_know_whose_memory_they_share():
    tape = record(lambda x: {"y": (x * 2).t().reshape(2, 6)[0]}, {"x": numbers(4, 3)})
    product = tape.calls[0].result.number
    groups = [tape.facts[ref.number].alias for call in tape.calls for ref in call.made()]
    assert groups[:2] == [product, product]
    assert groups[2] != product, "a reshape that copies has memory of its own"
    assert groups[-1] == groups[2]


def test_views_of_several_results_are_followed():
    check(lambda x: torch.stack([part * k for k, part in enumerate(x.unbind(0), 1)]), (3, 4))
    check(lambda x: torch.cat([2 * part for part in x.split([1, 2, 1], 1)][::-1], 1), (3, 4))


def test_changes_in_place_are_changes_of_the_same_tensor():
    def put(x):
        found = torch.zeros(3, 4)
        found[1:].copy_(x[1:])
        found.mul_(3).index_put_((torch.tensor([0]),), x[2])
        return found + 1

    check(put, (3, 4))
    tape = record(lambda x: {"y": torch.zeros(3).add_(x)}, {"x": numbers(3)})
    assert tape.calls[1].written() == [tape.calls[0].result]
    assert tape.calls[1].results == (tape.calls[0].result,)


def test_a_change_of_shape_in_place_is_another_view():
    check(lambda x: (x * 2).unsqueeze_(0).transpose_(0, 1).squeeze_() + 1, (3, 4))


def test_results_by_keyword_stand_where_they_were_told():
    def out(x):
        place = torch.empty(3, 4)
        torch.add(x, 1, out=place)
        return place * 2

    check(out, (3, 4))


def test_tensors_that_python_makes_are_made_in_every_run():
    def total(x):
        found = torch.tensor(0.0)
        for row in x:
            found += row.sum()
        return found * torch.tensor([1.0, 2.0])

    check(total, (3, 4))


def test_statistics_that_change_without_a_word_are_seen():
    def normalized(x):
        mean, variance = torch.zeros(4), torch.ones(4)
        y = F.batch_norm(x, mean, variance, training=True, momentum=0.5)
        return y + mean + variance

    check(normalized, (5, 4))


def test_what_was_there_before_is_a_constant():
    weights = numbers(4, seed=7)
    tape = record(lambda x: {"y": x * weights}, {"x": numbers(3, 4)})
    assert [torch.equal(tensor, weights) for tensor in tape.constants.values()] == [True]


def test_one_tensor_under_two_names_is_two_inputs():
    x = numbers(3)
    tape = record(lambda a, b: {"y": a - 2 * b}, {"a": x, "b": x})
    assert torch.equal(interpreted(tape, {"a": x, "b": 3 * x})["y"], x - 6 * x)


def test_an_output_may_be_an_input_or_a_constant():
    one = torch.ones(2)
    tape = record(lambda x: {"x": x, "one": one, "view": x.t()}, {"x": numbers(2, 3)})
    assert tape.outputs["x"] == tape.inputs["x"]
    assert torch.equal(tape.constants[tape.outputs["one"].number], one)


def test_inputs_stay_as_they_were():
    x = numbers(3).requires_grad_()
    record(lambda x: {"y": x * 2}, {"x": x})
    assert x.requires_grad
    assert x.grad_fn is None


def test_a_call_with_other_tensors_is_the_same_call():
    call = Call(torch.ops.aten.cat.default, ([Ref(0), Ref(1)],), {"dim": 1}, (Ref(2),))
    other = call.replaced(lambda ref: Ref(ref.number + 5))
    assert [*other.refs()] == [Ref(5), Ref(6)]
    assert (other.op, other.kwargs, other.result) == (call.op, call.kwargs, Ref(2))


def test_errors_of_the_function_are_its_own():
    with pytest.raises(ZeroDivisionError):
        record(lambda x: {"y": x / (1 // 0)}, {"x": numbers(3)})


# What is refused ----------------------------------------------------------------------------------

STATE = torch.zeros(())

REFUSED = {
    "a number as a condition": (lambda x: x if x.sum() > 0 else -x, "answers by the numbers it sees"),
    "a number for Python": (lambda x: x * x.sum().item(), "answers by the numbers it sees"),
    "a comparison of all": (lambda x: x * torch.equal(x, 2 * x), "answers by the numbers it sees"),
    "a mask as an index": (lambda x: x[x > 0.5], "answers by the numbers it sees"),
    "a mask of bytes": (lambda x: x.masked_select(x > 0.5), "answers by the numbers it sees"),
    "places of what is not zero": (lambda x: x.nonzero(), "answers by the numbers it sees"),
    "unlike numbers": (lambda x: x.unique(), "answers by the numbers it sees"),
    "packed sequences": (
        lambda x: torch.nn.utils.rnn.pack_padded_sequence(x, torch.tensor([4, 2, 1]), batch_first=True).data,
        "answers by the numbers it sees",
    ),
    "numpy": (lambda x: torch.from_numpy(np.sort(x.numpy())), "Tensor.numpy takes numbers out of PyTorch"),
    "an array": (lambda x: torch.tensor(np.asarray(x)), "Tensor.__array__ takes numbers out of PyTorch"),
    "a list": (lambda x: torch.tensor(x.tolist()), "Tensor.tolist takes numbers out of PyTorch"),
    "another library": (torch.from_dlpack, "Tensor.__dlpack__ takes numbers out of PyTorch"),
    "a copy by Python": (copy.deepcopy, "Tensor.__deepcopy__ takes numbers out of PyTorch"),
    "an input that changes": (lambda x: x.add_(1), "aten.add_.Tensor changes in place what was there before"),
    "a view of an input that changes": (
        lambda x: x.t()[0].mul_(2),
        "aten.mul_.Tensor changes in place what was there before",
    ),
    "a state that changes": (
        lambda x: x + STATE.add_(1),
        "aten.add_.Tensor changes in place what was there before",
    ),
    "statistics that change": (
        lambda x: F.batch_norm(x, STATE.expand(4).clone(), x[0], training=True),
        "aten._native_batch_norm_legit.default changes in place what was there before",
    ),
    "another size in place": (
        lambda x: (x * 2).resize_(2),
        "aten.resize_.default changes the size of a tensor in place",
    ),
    "memory by its place": (
        lambda x: x.as_strided((2,), (1,), 1) + 1,
        "aten.as_strided.default may read memory outside of what it was given",
    ),
    "a sparse tensor": (
        lambda x: x.to_sparse().sum(),
        "aten._to_sparse.default gives a tensor that is not dense",
    ),
}


@pytest.mark.parametrize(("function", "why"), REFUSED.values(), ids=REFUSED)
def test_what_no_flat_list_can_say_is_refused(function, why):
    assert why in refusal(function)
    assert float(STATE.zero_()) == 0


def test_the_whole_text_of_a_refusal():
    with pytest.raises(NotFlatError) as caught:
        record(lambda x: {"y": x * x.sum().item()}, {"x": numbers(3)})
    assert str(caught.value) == (
        "aten._local_scalar_dense.default answers by the numbers it sees, "
        'so no flat program can replay it.\n  fix   engine="walk"'
    )


def test_numpy_of_what_no_input_leads_to_is_fine():
    check(lambda x: x * torch.from_numpy(np.arange(4.0, dtype=np.float32)).sqrt(), (3, 4))
    scale = torch.tensor([1.0, 2.0])
    check(lambda x: x * float(scale.numpy()[1]), (3, 4))


def test_recording_does_not_import_the_compiler():
    code = (
        "import sys, torch; from retia.engine.trace import record; "
        "pull = lambda x: {'y': torch.autograd.grad(x.requires_grad_().exp().sum(), x)[0]}; "
        "record(pull, {'x': torch.ones(2)}); "
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
