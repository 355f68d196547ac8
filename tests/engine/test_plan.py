"""Plans: memory that is used again never holds what is still needed, and outputs go where they are told."""

from __future__ import annotations

import pytest
import torch
from tapes import Planned, interpreted

from retia.engine import kernels
from retia.engine.buffers import Pool
from retia.engine.plan import Planner, Program, Target
from retia.engine.rewrite import rewritten
from retia.engine.rules import TRAINING
from retia.engine.source import Source
from retia.engine.trace import Tape, record

F = torch.nn.functional


def numbers(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def planned(tape: Tape, **how) -> Planner:
    return Planner(tape, **{"fixed": {}, **how})


def run(program: Program, *given: torch.Tensor) -> tuple[torch.Tensor, ...]:
    with torch.no_grad():
        return program.run(*given)


def program_of(job, *examples, **how) -> Program:
    """A program whose inputs are all free."""
    given = dict(zip("abcde", examples, strict=False))
    tape = record(lambda **given: dict(enumerate_outputs(job(*given.values()))), given)
    return planned(tape, free={name: torch.ones_like(each) for name, each in given.items()}, **how).plan()


def enumerate_outputs(found):
    return {str(i): each for i, each in enumerate(found if isinstance(found, tuple | list) else (found,))}


def check(job, *shapes, near=1e-6, **how) -> Program:
    """A program answers what the job does, for one set of inputs, another, and the first again."""
    program = program_of(job, *(numbers(*shape) for shape in shapes), **how)
    sets = [[numbers(*shape, seed=seed + i) for i, shape in enumerate(shapes)] for seed in (5, 50)]
    kept = []
    for given in (*sets, sets[0]):
        before = [each.clone() for each in given]
        expected = [*enumerate_outputs(job(*given)).values()]
        answers = run(program, *given)
        kept.append((answers, expected))
        assert all(torch.equal(a, b) for a, b in zip(given, before, strict=True)), "inputs are only read"
    for answers, expected in kept:  # looked at after all runs: answers are memory of their own
        for ours, theirs in zip(answers, expected, strict=True):
            assert ours.shape == theirs.shape
            assert torch.allclose(ours, theirs, rtol=near, atol=near)
    return program


# Memory -------------------------------------------------------------------------------------------


def test_a_chain_of_functions_takes_one_buffer():
    def job(x):
        y = x * 2
        for _ in range(10):
            y = (y + 1).tanh()
        return y.sum()

    program = check(job, (64, 64))
    assert program.bytes <= 64 * 64 * 4 + 64


def test_memory_is_not_written_over_while_somebody_reads_it():
    def job(x):
        a = x * 2
        b = a + 1
        c = b.tanh()
        d = a * c
        e = b - d
        return e.exp() + a, (c + e).sum(0)

    check(job, (5, 7))


def test_a_view_keeps_its_memory():
    def job(x):
        a = x + 1
        row = a[1]
        b = a.exp()
        c = b * 3
        d = (c + 1).tanh()
        return d.sum() + row.sum(), c.t()[2] + row[2]

    check(job, (4, 5))


def test_both_arguments_may_be_the_same():
    def job(x):
        a = x + 1
        b = a * a
        return b + b, (b.view(-1) + b.reshape(-1)).sum()

    check(job, (3, 4))


def test_an_argument_that_is_seen_another_way_by_the_same_call_is_not_written_over():
    def job(x):
        a = x + 1
        return (a + a.t()) * 2

    check(job, (4, 4))


def test_an_argument_that_is_broadcast_is_not_written_over():
    def job(x, y):
        a, b = x + 1, y + 1
        return (a + b) * 2, (b + 1)

    check(job, (3, 1), (3, 4))


def test_types_change_on_the_way():
    def job(x):
        whole = (x * 10).to(torch.int64)
        mask = whole > 2
        return torch.where(mask, x, 0.0).double() + whole * 3, mask.sum(), (whole + 1.5).half()

    check(job, (4, 6))


def test_a_pool_gives_a_piece_again_to_what_needs_no_more_than_half_as_much_less():
    pool = Pool()
    _, piece = pool.take((64, 64), None, torch.float32, torch.device("cpu"))
    pool.give(piece)
    _, small = pool.take((16,), None, torch.float32, torch.device("cpu"))
    assert small is not piece
    tensor, again = pool.take((40, 64), (1, 40), torch.float32, torch.device("cpu"))
    assert again is piece
    assert tensor.stride() == (1, 40)
    assert pool.bytes == 64 * 64 * 4 + 64


def test_answers_of_a_run_outlive_the_program():
    program = program_of(lambda x: (x * 2, (x * 3).t(), x + 0), numbers(3, 4))
    x = numbers(3, 4, seed=1)
    first = run(program, x)
    second = run(program, -x)
    assert torch.equal(first[0], x * 2)
    assert torch.equal(first[1], (x * 3).t())
    assert torch.equal(second[0], -x * 2)
    first[0].zero_()
    assert torch.equal(run(program, x)[0], x * 2)


def test_answers_that_are_inputs_or_constants_are_copies():
    table = numbers(3, 4, seed=9)
    kept = table.clone()
    fixed = numbers(4)
    tape = record(
        lambda a, b: {"a": a, "at": a.t(), "b": b, "table": table}, {"a": numbers(3, 4), "b": fixed}
    )
    program = Planner(tape, {"b": fixed}, {"a": numbers(3, 4)}).plan()
    x = numbers(3, 4, seed=2)
    for answer, expected in zip(run(program, x), (x, x.t(), fixed, table), strict=True):
        assert torch.equal(answer, expected)
        answer.add_(1)
    assert torch.equal(table, kept)
    assert torch.equal(x, numbers(3, 4, seed=2))


def test_what_a_run_makes_is_let_go_when_it_was_read():
    def job(x):
        y = F.layer_norm(x, (4,))
        seen = y.t()
        return (seen * 2).sum()

    lines = check(job, (3, 4)).source.splitlines()
    assert sum(line.startswith("del") for line in lines) == 4, "three results of the norm, and a view"


# Outputs ------------------------------------------------------------------------------------------


def test_an_early_target_is_written_by_the_call_that_makes_it():
    place = torch.zeros(3, 5)
    tape = record(lambda x, w: {"y": x @ w}, {"x": numbers(3, 4), "w": numbers(4, 5)})
    free = {"x": numbers(3, 4), "w": numbers(4, 5)}
    program = planned(tape, free=free, targets={"y": Target(place, early=True)}).plan()
    x, w = numbers(3, 4, seed=1), numbers(4, 5, seed=2)
    assert run(program, x, w) == ()
    assert torch.allclose(place, x @ w)
    assert program.calls == 1


@pytest.mark.parametrize("seen", ["t", "transpose", "permute", "view", "squeeze", "unsqueeze"])
def test_an_early_target_is_written_through_views(seen):
    def job(x):
        y = x.tanh()
        return {
            "t": y.t(),
            "transpose": y.transpose(-1, 0),
            "permute": y.permute(1, 0),
            "view": y.view(2, 6),
            "squeeze": y.view(1, 3, 4).squeeze(0),
            "unsqueeze": y.unsqueeze(1),
        }[seen]

    x = numbers(3, 4)
    place = torch.zeros_like(job(x)).contiguous()
    tape = rewritten(record(lambda x: {"y": job(x)}, {"x": x}), [])
    program = planned(tape, free={"x": x}, targets={"y": Target(place, early=True)}).plan()
    for seed in (1, 2):
        given = numbers(3, 4, seed=seed)
        run(program, given)
        assert torch.equal(place, job(given))
    assert program.calls == 1


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("strided", [False, True])
def test_targets_may_stand_in_any_way(turned, strided):
    """Each kind of result goes into rows, into columns, and into part of something larger."""
    jobs = {
        "softmax": lambda x, w: (x @ w).softmax(1),
        "log of softmax": lambda x, w: x.log_softmax(0),
        "gelu": lambda x, w: F.gelu(x),
        "product": lambda x, w: x @ w,
        "sum": lambda x, w: x.sum(0, keepdim=True) + w,
        "layer norm": lambda x, w: F.layer_norm(x, (4,)),
        "copy": lambda x, w: x.t().contiguous().double(),
        "cat": lambda x, w: torch.cat([x, w.t()], 0),
        "one-hot": lambda x, w: torch.zeros(4, 4).scatter(1, (x * 2).long().abs(), 1.0),
    }
    given = {"x": numbers(4, 4), "w": numbers(4, 4, seed=1)}
    tape = record(lambda x, w: {name: job(x, w) for name, job in jobs.items()}, given)
    places = {}
    for name, ref in tape.outputs.items():
        rows, width = tape.fact(ref).shape
        room = torch.zeros(2 * rows, 2 * width, dtype=tape.fact(ref).dtype)[:: 1 + strided, :: 1 + strided]
        place = room[:rows, :width]
        places[name] = (
            torch.zeros(2 * width, 2 * rows, dtype=place.dtype).t()[:rows, :width] if turned else place
        )
    targets = {name: Target(place, early=True) for name, place in places.items()}
    program = planned(tape, free=given, targets=targets).plan()
    for seed in (3, 4):
        x, w = numbers(4, 4, seed=seed), numbers(4, 4, seed=seed + 5)
        run(program, x, w)
        for name, job in jobs.items():
            assert torch.allclose(places[name], job(x, w), atol=1e-6), name


def test_a_target_adds():
    loss, count = torch.tensor(5.0), torch.tensor(2)
    given = {"x": numbers(6)}
    tape = record(lambda x: {"loss": x.sum(), "count": (x > 0).sum()}, given)
    targets = {"loss": Target(loss, adds=True), "count": Target(count, adds=True, early=True)}
    program = planned(tape, free=given, targets=targets).plan()
    assert (float(loss), int(count)) == (5.0, 2), "planning adds nothing"
    x = numbers(6, seed=1)
    run(program, x)
    run(program, x)
    assert torch.allclose(loss, 5 + 2 * x.sum())
    assert int(count) == 2 + 2 * int((x > 0).sum())


def test_targets_may_be_inputs():
    """As running statistics are: read, and given their next values at the end."""
    mean, spread = torch.ones(3), torch.full((3,), 2.0)
    x = numbers(4, 3)

    def job(x, mean, spread):
        return {"y": (x - mean) / spread, "mean": mean * 0.5 + x.mean(0), "spread": spread + mean}

    tape = record(job, {"x": x, "mean": mean, "spread": spread})
    fixed = {"mean": mean.clone(), "spread": spread.clone()}
    targets = {"mean": Target(fixed["mean"]), "spread": Target(fixed["spread"])}
    program = Planner(tape, fixed, {"x": x}, targets).plan()
    for _ in range(3):
        expected = job(x, mean, spread)
        (y,) = run(program, x)
        assert torch.allclose(y, expected["y"])
        mean, spread = expected["mean"], expected["spread"]
        assert torch.allclose(fixed["mean"], mean)
        assert torch.allclose(fixed["spread"], spread)


def test_inputs_can_change_places():
    tape = record(lambda a, b: {"a": b, "b": a, "old": a}, {"a": numbers(3), "b": numbers(3)})
    a, b = numbers(3, seed=1), numbers(3, seed=2)
    places = {"a": a.clone(), "b": b.clone()}
    program = Planner(tape, places, {}, {"a": Target(places["a"]), "b": Target(places["b"])}).plan()
    (old,) = run(program)
    assert torch.equal(old, a)
    assert torch.equal(places["a"], b)
    assert torch.equal(places["b"], a)


def test_one_tensor_may_be_several_outputs():
    def job(x):
        y = x.exp()
        return {"one": y, "two": y, "seen": y.t(), "answer": y}

    x = numbers(3, 4)
    places = {"one": torch.zeros(3, 4), "two": torch.zeros(3, 4), "seen": torch.zeros(4, 3)}
    tape = record(job, {"x": x})
    program = planned(
        tape, free={"x": x}, targets={n: Target(p, early=True) for n, p in places.items()}
    ).plan()
    (answer,) = run(program, 2 * x)
    found = {**places, "answer": answer}
    assert all(torch.equal(found[name], each) for name, each in job(2 * x).items())
    answer.zero_()
    assert torch.equal(places["one"], (2 * x).exp())


def test_an_output_may_be_read_on_after_it_went_to_its_target():
    def job(x):
        y = x.tanh()
        return {"y": y, "z": (y + 1).exp() * y}

    x = numbers(3, 4)
    place = torch.zeros(3, 4)
    program = planned(record(job, {"x": x}), free={"x": x}, targets={"y": Target(place, early=True)}).plan()
    (z,) = run(program, x)
    assert torch.equal(place, job(x)["y"])
    assert torch.allclose(z, job(x)["z"])


# Inputs -------------------------------------------------------------------------------------------


def test_one_tensor_may_be_the_example_of_several_inputs():
    x = numbers(3)
    tape = record(lambda a, b: {"y": a - b}, {"a": x, "b": x})
    program = planned(tape, free={"a": x, "b": x}).plan()
    assert torch.equal(run(program, 3 * x, x)[0], 3 * x - x)


def test_free_inputs_come_in_the_order_of_their_names_in_free():
    tape = record(lambda a, b: {"y": a - b}, {"a": numbers(3), "b": numbers(3)})
    program = planned(tape, free={"b": numbers(3), "a": numbers(3)}).plan()
    assert torch.equal(run(program, torch.ones(3), torch.zeros(3))[0], -torch.ones(3))


def test_names_of_inputs_may_be_any_text():
    given = {"at 1.weight": numbers(3), "at 1_weight": numbers(3), "класс": numbers(3)}
    tape = record(lambda **named: {"y": torch.stack([*named.values()])}, given)
    program = planned(tape, free=given).plan()
    assert torch.equal(run(program, *given.values())[0], torch.stack([*given.values()]))


def test_free_inputs_may_come_in_any_layout():
    def job(x, p):
        return F.group_norm(x, 2) + x.reshape(2, -1)[0, 0], F.conv2d(p, torch.ones(2, 3, 2, 2)), x.t() @ x

    x, p = numbers(4, 6), numbers(2, 3, 5, 5)
    last = p.contiguous(memory_format=torch.channels_last)
    for example in (p, last):
        tape = record(lambda x, p: dict(enumerate_outputs(job(x, p))), {"x": x, "p": p})
        program = planned(tape, free={"x": x, "p": example}).plan()
        for given in ((x, p), (x.t().contiguous().t(), last), (numbers(8, 12)[::2, ::2], p.flip(3))):
            for ours, theirs in zip(run(program, *given), job(*given), strict=True):
                assert torch.allclose(ours, theirs, atol=1e-5)


def test_fixed_inputs_are_read_where_they_stand_in_every_run():
    place = numbers(4)
    program = Planner(record(lambda w: {"y": (w * 2).sum()}, {"w": place}), {"w": place}).plan()
    for seed in (1, 2):
        place.copy_(numbers(4, seed=seed))
        assert torch.allclose(run(program)[0], place.sum() * 2)


def test_fixed_inputs_may_stand_otherwise_than_they_were_recorded():
    def job(w, k, x):
        return {
            "y": F.conv2d(x, k).flatten(1) @ w.t(),
            "w": w.view(-1)[:5] * 2,
            "n": F.layer_norm(w, (8,)),
            "s": w.as_strided((3,), (2,)) + 0,
        }

    w, k, x = numbers(4, 8), numbers(2, 3, 2, 2), numbers(5, 3, 3, 3)
    tape = record(job, {"w": w, "k": k, "x": x})
    fixed = {"w": w.t().contiguous().t(), "k": k.contiguous(memory_format=torch.channels_last)}
    program = Planner(tape, fixed, {"x": x}).plan()
    for _ in range(2):
        for ours, theirs in zip(run(program, x), job(fixed["w"].contiguous(), k, x).values(), strict=True):
            assert torch.allclose(ours, theirs, atol=1e-6)
        fixed["w"].mul_(2)


# Calls --------------------------------------------------------------------------------------------


def test_results_of_several_views():
    def job(x):
        a, b = (x + 1).chunk(2)
        c, d, e = (x * 2).split([1, 2, 1])
        rows = (x - 3).unbind(1)
        return a + b, d * 2, c + e, sum(rows[1:], rows[0]), rows[2]

    check(job, (4, 3))
    check(lambda x: [part + 1 for part in F.layer_norm(x, (3,)).unbind(0)], (4, 3))
    check(lambda x: F.layer_norm(x, (3,)).split(4)[0] + 1, (4, 3))


def test_numbers_without_axes_and_empty_tensors():
    check(lambda x: (x * 2 + x.sum(), x.exp().clamp(0, 1)), ())
    check(lambda x, y: (torch.cat([x + 1, y]), x.sum(), x.t() @ (y + 1)[:0]), (0, 4), (3, 4))
    check(lambda x: (x.view(4, 0).sum(0), (x * 2).flatten()), (0, 4))
    check(lambda x: [*x[:0].unbind(0), x * 2], (2, 2))


def test_memory_that_is_changed_in_place():
    def job(x, y):
        found = torch.zeros(4, 3)
        found.copy_(x)
        found[1].mul_(2)
        found.index_put_((torch.tensor([0, 2]),), y)
        seen = found.t()
        found += 1
        return seen * 2, found.view(-1)[:4] + 0

    check(job, (4, 3), (2, 3))


def test_memory_that_was_computed_and_is_then_changed():
    def job(x):
        y = (x @ x).tanh()
        rows = y.view(-1)
        y[0] = 5
        y.t()[1].add_(3)
        return rows * 2, y

    check(job, (4, 4))


def test_memory_that_a_call_laid_out_otherwise_and_is_then_changed():
    def job(x, k):
        y = F.conv2d(x, k)
        seen = y.view(2, -1)
        y.mul_(2)
        return seen + 0, y

    check(job, (2, 3, 4, 4), (5, 3, 2, 2), near=1e-5)


def test_a_call_that_changes_some_and_gives_others():
    def job(x):
        mean, variance = torch.zeros(3), torch.ones(3)
        y = F.batch_norm(x, mean, variance, training=True)
        return y * 2, mean, variance

    check(job, (6, 3), near=1e-5)


def test_strides_that_a_call_names_are_kept():
    check(lambda x: (x @ x).as_strided((3,), (5,)) * 2, (4, 4))
    check(lambda x: x.as_strided((2, 2), (1, 4)) * 2, (4, 4))
    check(
        lambda x: torch.stft(x, 4, return_complex=True, center=False, window=torch.ones(4)).abs(),
        (16,),
        near=1e-5,
    )


def test_operations_that_take_rows_alone_get_rows():
    """Group normalization and three-dimensional pools, after what makes columns."""
    check(lambda x, w: F.group_norm(x @ w, 1), (4, 6), (6, 8), near=1e-5)
    check(lambda x: F.avg_pool3d(x.transpose(2, 4) * 2, 2), (2, 3, 4, 4, 6), near=1e-5)
    check(lambda x, w: F.layer_norm(x @ w, (8,)).softmax(0), (4, 6), (6, 8), near=1e-5)


def test_draws_are_new_in_every_run():
    def job(x):
        return (
            x + torch.rand(5),
            x * torch.bernoulli(torch.full((5,), 0.5)),
            F.dropout(x, 0.5),
            torch.randperm(50),
        )

    program = program_of(job, numbers(5))
    torch.manual_seed(0)
    x = torch.ones(5)
    first, second = run(program, x), run(program, x)
    assert not torch.equal(first[0], second[0])
    assert not torch.equal(first[3], second[3])
    torch.manual_seed(0)
    assert all(torch.equal(a, b) for a, b in zip(run(program, x), first, strict=True))


def test_arguments_of_every_kind_are_written_down():
    def job(x):
        return (
            x.clamp(-float("inf"), float("inf")),
            torch.full((2,), float("nan")).nan_to_num(2.5) + x.sum(),
            x.to(torch.complex64).abs(),
            x.to(torch.float64, memory_format=torch.contiguous_format),
            torch.div(x, 0.3, rounding_mode="floor"),
            F.interpolate(x.view(1, 1, -1), scale_factor=2.0),
            x + 1e30,
            x.mul(True),
        )

    check(job, (6,))


def test_whole_numbers_and_their_bounds():
    def job(x):
        pixels = (x.abs() * 255).to(torch.uint8)
        return (
            pixels + 3,
            pixels * 2.5,
            pixels >= 128,
            pixels.long() << 33,
            pixels & 15,
            pixels > 300.5,
            -pixels.int() // 7,
        )

    check(job, (5, 5))


def test_a_row_through_a_dense_layer_and_softmax_is_a_row():
    def job(x, w, b):
        return torch.addmm(b, x, w.t()).log_softmax(1), (x @ w.t()).softmax(-1).argmax(1)

    for rows in (1, 2, 7):
        check(job, (rows, 6), (4, 6), (4,), near=1e-5)


def test_a_softmax_of_what_every_run_makes_anew():
    def job(x, w):
        y = F.hardswish(x.t() @ w)  # columns, then in memory that the run takes
        return F.mish(y).softmax(1), F.rrelu(y).log_softmax(1), torch.addmm(w[0], F.celu(y), w)

    check(job, (6, 4), (6, 6), near=1e-5)

    def back(x):
        leaf = x.detach().requires_grad_()
        with torch.enable_grad():
            y = F.hardswish(leaf.tanh().permute(0, 2, 1).log_softmax(2))
            return torch.autograd.grad(y.square().sum(), leaf)[0]

    check(back, (3, 3, 3), near=1e-5)


def test_plain_plans_keep_the_bits_of_what_was_recorded():
    def job(x, k, w):
        y = F.max_pool2d(F.conv2d(x, k).relu(), 2).flatten(1)
        return (y @ w).softmax(1), y.var(0), F.gelu(y)

    given = [numbers(5, 3, 9, 9), numbers(8, 3, 2, 2), numbers(8 * 16, 10)]
    program = program_of(job, *given, plain=True)
    for ours, theirs in zip(run(program, *given), job(*given), strict=True):
        assert torch.equal(ours, theirs)


def test_a_form_that_refuses_its_arguments_is_passed_over(monkeypatch):
    def refuse(*_, **__):
        raise TypeError("not like this")

    real = kernels.forms

    def broken(op):
        return tuple(way._replace(function=refuse) for way in real(op))

    monkeypatch.setattr("retia.engine.plan.forms", broken)
    check(lambda x: ((x + 1) * 2).tanh().sum(0), (3, 4))


# Large and odd ------------------------------------------------------------------------------------


def deep(x, weights):
    leaves = [w.detach().requires_grad_() for w in weights]
    with torch.enable_grad():
        y = x
        for w in leaves:
            y = (y @ w).relu() + y
        found = torch.autograd.grad(y.square().mean(), leaves)
    return {"y": y.detach(), **{f"d{i}": each for i, each in enumerate(found)}}


def test_three_hundred_layers_make_one_program():
    weights = [numbers(6, 6, seed=i) / 20 for i in range(300)]
    names = [f"w{i}" for i in range(300)]
    given = {"x": numbers(4, 6), **dict(zip(names, weights, strict=True))}

    def job(x, **named):
        return deep(x, [*named.values()])

    tape = rewritten(record(job, given), TRAINING)
    program = Planned(tape, ["x"], [f"d{i}" for i in range(300)])
    assert len(tape.calls) > 1800
    for scale in (1.0, -0.5):
        changed = {name: scale * tensor for name, tensor in given.items()}
        ours, theirs = program(changed), job(**changed)
        assert all(torch.allclose(ours[name], theirs[name], rtol=1e-4, atol=1e-6) for name in theirs)
    assert program.program.bytes < 400 * 64 * 4, "activations alone; the rest is used again"


def test_code_of_thousands_of_names_works():
    source = Source()
    place = torch.zeros(())
    ones = [torch.ones(()) for _ in range(6000)]
    for one in ones:
        source.method(place, "add_", [one])
    source.compiled([], [])()
    assert float(place) == 6000
    assert source.calls == 6000


def test_a_program_tells_its_code():
    program = program_of(lambda x: (x.tanh() + 1).sum(), numbers(3, 4))
    lines = [line for line in program.source.splitlines() if not line.startswith("del")]
    assert lines[0] == "v1 = v1.contiguous()"
    assert len(lines[1:]) == program.calls == 3


def test_planning_leaves_what_it_is_given_as_it_is():
    x, w = numbers(3, 4), numbers(4, 5)
    before = (x.clone(), w.clone())
    tape = record(lambda x, w: {"y": (x @ w).relu()}, {"x": x, "w": w})
    text = str(tape)
    Planner(tape, {"w": w}, {"x": x}).plan()
    assert torch.equal(x, before[0])
    assert torch.equal(w, before[1])
    assert str(tape) == text
    assert torch.equal(interpreted(tape, {"x": x, "w": w})["y"], (x @ w).relu())
