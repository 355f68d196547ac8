"""Tapes of many at once: what one tape does for each, and the rewrites of what stacking leaves."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from tapes import NetJob, Planned, interpreted, off

import retia as rt
from retia.engine.rewrite import Rule, rewritten
from retia.engine.rules import NOBODY, TRAINING
from retia.engine.stack import STACKED, stacked
from retia.engine.trace import NotFlatError, Tape, record

F = torch.nn.functional
RULES = {rule.name: rule for rule in STACKED}
COUNT = 3


def names(tape: Tape) -> list[str]:
    return [call.op._schema.name.removeprefix("aten::") for call in tape.calls]


def drawn(like: torch.Tensor, seed: int) -> torch.Tensor:
    """Numbers of the same kind, other ones for each of the many."""
    maker = torch.Generator().manual_seed(seed)
    if like.dtype.is_floating_point:
        return torch.rand((COUNT, *like.shape), generator=maker, dtype=like.dtype) * 2 - 1
    return torch.randint(0, 3, (COUNT, *like.shape), generator=maker, dtype=like.dtype)


def check(job, inputs, table=(*STACKED, *TRAINING), shared=()) -> Tape:
    """A job stacked, against the same job for each of the many."""
    one = rewritten(record(job, inputs), TRAINING)
    many = rewritten(stacked(one, COUNT, shared), table)
    given = {name: t if name in shared else drawn(t, n) for n, (name, t) in enumerate(inputs.items())}
    expected = each_alone(job, given, shared)
    wide = {name: t.double() if t.is_floating_point() else t for name, t in given.items()}
    exact = each_alone(job, wide, shared)
    assert off(interpreted(many, given), expected, exact) == {}
    assert off(Planned(many, targets=[*expected])(given), expected, exact) == {}
    return many


def each_alone(job, given, shared) -> dict[str, torch.Tensor]:
    runs = [job(**{n: t if n in shared else t[i] for n, t in given.items()}) for i in range(COUNT)]
    return {name: torch.stack([run[name] for run in runs]) for name in runs[0]}


NETS = {
    "dense": (rt.Chain(rt.Linear(20), rt.ReLU(), rt.Linear(3), rt.Softmax(), input=5), (4, 5)),
    "narrow": (rt.Chain(rt.Linear(4), rt.Sigmoid(), rt.Linear(2), input=5), (4, 5)),
    "norms": (rt.Chain(rt.Linear(4, bias=False), rt.BatchNorm(), rt.LayerNorm(), rt.Tanh(), input=5), (6, 5)),
    "pictures": (
        rt.Chain(rt.Conv2d(4, 3, bias=False), rt.BatchNorm(), rt.ReLU(), rt.MaxPool2d(2), rt.Flatten(),
                 rt.Linear(2), input=(2, 8, 8)),
        (3, 2, 8, 8),
    ),
    "words": (rt.Chain(rt.Embedding(4, classes=3), rt.Flatten(), rt.Linear(2), input=5), (4, 5)),
}  # fmt: skip


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_net_and_its_derivative_are_stacked(name, dtype):
    net, shape = NETS[name]
    net = net.init()
    job = NetJob(net)
    arrays = {p: t.to(dtype) if t.is_floating_point() else t for p, t in net.arrays.items()}
    x = torch.ones(shape, dtype=torch.int64 if name == "words" else dtype)
    check(job, job.inputs({"input": x}, arrays))


def test_what_is_the_same_for_all_stands_once():
    many = check(lambda x, w: {"y": x @ w}, {"x": torch.ones(4, 5), "w": torch.ones(5, 2)}, shared=["x"])
    assert many.fact(many.inputs["x"]).shape == (4, 5)
    assert many.fact(many.outputs["y"]).shape == (COUNT, 4, 2)


def test_a_tape_stays_as_it_is():
    tape = record(lambda x: {"y": x.exp()}, {"x": torch.ones(2)})
    before = str(tape)
    stacked(tape, 2)
    assert str(tape) == before


def test_what_has_no_form_for_many_is_refused():
    tape = record(lambda x: {"y": torch.histc(x, 4, 0, 1)}, {"x": torch.ones(8)})
    with pytest.raises(NotFlatError) as caught:
        stacked(tape, 2)
    assert caught.value.message.startswith("a call has no form for many at once: ")


def test_draws_of_pytorch_are_refused():
    tape = record(lambda x: {"y": x + torch.rand(3)}, {"x": torch.ones(3)})
    with pytest.raises(NotFlatError, match="randomness"):
        stacked(tape, 2)


# Rewrites -----------------------------------------------------------------------------------------


def only(rule: Rule, job, inputs) -> list[str]:
    """What a rule alone makes of a stacked job, which is checked."""
    return names(check(job, inputs, [rule]))


def test_a_product_and_a_bias_are_one_call():
    def job(x, w, b):
        return {"y": torch.addmm(b, x, w)}

    inputs = {"x": torch.ones(4, 5), "w": torch.ones(5, 2), "b": torch.ones(2)}
    done = names(check(job, inputs))
    assert "baddbmm" in done
    assert not {"bmm", "mul", "add"} & {*done}


def test_a_scaled_product_is_one_call():
    def job(x, w, b):
        left = torch.addmm(torch.zeros(1, dtype=x.dtype), x, w, beta=0, alpha=0.5)
        return {"y": torch.addmm(b, x, w, alpha=0.25), "z": left}

    inputs = {"x": torch.ones(4, 5), "w": torch.ones(5, 2), "b": torch.ones(2)}
    done = names(check(job, inputs))
    assert done.count("baddbmm") == 2
    assert not {"bmm", "mul", "add"} & {*done}


def test_a_product_that_others_see_keeps_its_bias_apart():
    def job(x, w, b):
        product = x @ w
        return {"y": product + b, "z": product.exp()}

    inputs = {"x": torch.ones(4, 5), "w": torch.ones(5, 2), "b": torch.ones(2)}
    assert "baddbmm" not in only(RULES["a product and a bias"], job, inputs)


def test_what_is_added_to_every_number_stays():
    def job(x, w, b):
        return {"y": x @ w + b}

    inputs = {"x": torch.ones(4, 5), "w": torch.ones(5, 2), "b": torch.ones(4, 2)}
    assert "baddbmm" not in only(RULES["a product and a bias"], job, inputs)


def test_once_is_left_out():
    def job(x, w, b):
        return {"y": torch.addmm(b, x, w)}

    inputs = {"x": torch.ones(4, 5), "w": torch.ones(5, 2), "b": torch.ones(2)}
    assert "mul" in names(stacked(record(job, inputs), COUNT))
    assert "mul" not in only(RULES["once"], job, inputs)


def test_twice_stays():
    assert "mul" in only(RULES["once"], lambda x: {"y": torch.mul(x, 2)}, {"x": torch.ones(3)})


def loss(x, t, ignored=NOBODY):
    return {"y": F.cross_entropy(x, t, ignore_index=ignored, reduction="none")}


def test_a_loss_that_leaves_nobody_out_asks_for_nobody():
    inputs = {"x": torch.ones(4, 3), "t": torch.zeros(4, dtype=torch.int64)}
    assert "where" in names(stacked(record(loss, inputs), COUNT))
    assert not {"where", "ne"} & {*only(RULES["nobody is left out"], loss, inputs)}


def test_a_loss_that_leaves_somebody_out_still_asks():
    inputs = {"x": torch.ones(4, 3), "t": torch.zeros(4, dtype=torch.int64)}
    assert "where" in only(RULES["nobody is left out"], lambda x, t: loss(x, t, 1), inputs)


def test_columns_of_one_table_are_taken_at_once():
    table = torch.arange(12.0, dtype=torch.float64).reshape(3, 4)

    def job(t):
        return {"y": torch.index_select(table, 1, t)}

    done = only(RULES["columns by all numbers"], job, {"t": torch.zeros(5, dtype=torch.int64)})
    assert "index_select" in done
    assert "gather" not in done


def test_columns_of_tables_of_their_own_are_taken_from_each():
    def job(x, t):
        return {"y": torch.index_select(x, 1, t)}

    inputs = {"x": torch.ones(3, 4), "t": torch.zeros(5, dtype=torch.int64)}
    assert "gather" in only(RULES["columns by all numbers"], job, inputs)


def test_stacking_does_not_import_the_compiler():
    code = (
        "import sys, torch; from retia.engine.trace import record; from retia.engine.stack import stacked; "
        "stacked(record(lambda x: {'y': (x @ x).exp()}, {'x': torch.ones(2, 2)}), 3); "
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
