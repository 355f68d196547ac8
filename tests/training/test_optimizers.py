"""Optimizers against torch.optim, as pure functions, and as values."""

import subprocess
import sys
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

import retia as rt
from retia.training.flat import flattened
from retia.training.motion import Motion
from retia.training.optimizer import Memory
from retia.training.optimizers import (
    LBFGS,
    OPTIMIZERS,
    Adadelta,
    Adamax,
    Lion,
    NAdam,
    RAdam,
    SignSGD,
    read_optimizer,
)
from retia.training.rates import Rates
from retia.training.step import State


def pair(name, *args, **how):
    """The same optimizer here and there, on parameters that are then given."""
    ours = dict(how)
    return OPTIMIZERS[name](*args, **ours), lambda p: getattr(torch.optim, name)(p, *args, **how)


PAIRS = [
    pair("SGD", 0.1),
    pair("SGD", 0.1, momentum=0.9),
    pair("SGD", 0.1, weight_decay=0.1),
    pair("SGD", 0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    pair("Adam", 0.02),
    pair("Adam", 0.02, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.1),
    pair("Adam", 0.02, amsgrad=True),
    pair("AdamW", 0.02),
    pair("AdamW", 0.02, weight_decay=0.0),
    pair("AdamW", 0.02, betas=(0.5, 0.6), amsgrad=True),
    pair("NAdam"),
    pair("NAdam", 0.02, weight_decay=0.1, momentum_decay=0.01),
    pair("NAdam", 0.02, weight_decay=0.1, decoupled_weight_decay=True),
    pair("NAdam", 0.02, betas=(0.1, 0.9)),
    pair("RAdam"),
    pair("RAdam", 0.02, betas=(0.8, 0.99), weight_decay=0.1),
    pair("RAdam", 0.02, weight_decay=0.1, decoupled_weight_decay=True),
    pair("Adamax"),
    pair("Adamax", 0.02, betas=(0.8, 0.9), weight_decay=0.1),
    pair("Adadelta"),
    pair("Adadelta", 0.5, rho=0.8, eps=1e-5, weight_decay=0.1),
    pair("RMSprop"),
    pair("RMSprop", 0.02, alpha=0.9, momentum=0.5, weight_decay=0.1),
    pair("RMSprop", 0.02, centered=True),
    pair("RMSprop", 0.02, centered=True, momentum=0.5, weight_decay=0.1),
    pair("Adagrad"),
    pair("Adagrad", 0.1, initial_accumulator_value=0.1, weight_decay=0.1),
]

ELEMENTWISE = [kind for kind in OPTIMIZERS.values() if not kind.closure]


def arrays_and_gradients(steps=20):
    generator = torch.Generator().manual_seed(0)
    start = {
        "w": torch.randn(23, 17, generator=generator),
        "b": torch.randn(5, generator=generator),
        "kernel": torch.randn(4, 3, 2, 2, generator=generator),
    }
    pulls = [
        {path: torch.randn(t.shape, generator=generator) * 10.0 ** -(step % 4) for path, t in start.items()}
        for step in range(steps)
    ]
    return start, pulls


def steps_of_torch(theirs, start, pulls, each=lambda _: None):
    """The arrays after each step of a PyTorch optimizer."""
    parameters = {path: torch.nn.Parameter(t.clone()) for path, t in start.items()}
    reference = theirs([*parameters.values()])
    schedule = each(reference)
    for pull in pulls:
        for path, parameter in parameters.items():
            parameter.grad = pull[path].clone()
        reference.step()
        if schedule is not None:
            schedule.step()
        yield {path: parameter.detach() for path, parameter in parameters.items()}


def same(ours, theirs):
    return ours.keys() == theirs.keys() and all(torch.equal(ours[p], theirs[p]) for p in ours)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_every_step_is_that_of_torch_optim_to_the_bit(ours, theirs):
    start, pulls = arrays_and_gradients()
    arrays, state = start, ours.start(start)
    for pull, expected in zip(pulls, steps_of_torch(theirs, start, pulls), strict=True):
        arrays, state = ours.step(arrays, pull, state)
        assert same(arrays, expected), state.count


def test_nadam_is_pytorchs_also_when_its_product_of_momenta_has_died_away():
    start, pulls = arrays_and_gradients(150)
    ours, theirs = pair("NAdam", betas=(0.7, 0.9))
    arrays, state = start, ours.start(start)
    for pull in pulls:
        arrays, state = ours.step(arrays, pull, state)
    *_, expected = steps_of_torch(theirs, start, pulls)
    assert same(arrays, expected)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS[::3])
def test_a_factor_is_a_schedule_of_torch_optim(ours, theirs):
    start, pulls = arrays_and_gradients()

    def factor(step):
        return 1 / (1 + 0.3 * step)

    expected = steps_of_torch(
        theirs, start, pulls, lambda optimizer: torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    )
    arrays, state = start, ours.start(start)
    for step, (pull, there) in enumerate(zip(pulls, expected, strict=True)):
        arrays, state = ours.step(arrays, pull, state, factor=factor(step))
        assert same(arrays, there), step


def signs_of_numpy(optimizer, w, pulls):
    """Lion and SignSGD in double precision."""
    m, lr, decay = np.zeros_like(w), optimizer.learning_rate, optimizer.weight_decay
    for g in pulls:
        if isinstance(optimizer, Lion):
            b1, b2 = optimizer.betas
            c, m = b1 * m + (1 - b1) * g, b2 * m + (1 - b2) * g
        else:
            c = m = optimizer.momentum * m + (1 - optimizer.momentum) * g
        w = w - lr * (np.sign(c) + decay * w)
    return w


@pytest.mark.parametrize("steps", [1, 20])
@pytest.mark.parametrize(
    "optimizer",
    [
        Lion(),
        Lion(0.01, betas=(0.8, 0.95), weight_decay=0.1),
        SignSGD(),
        SignSGD(0.01, weight_decay=0.1),
        SignSGD(0.01, momentum=0.9, weight_decay=0.1),
    ],
)
def test_what_torch_optim_does_not_have_is_its_formula_in_double_precision(optimizer, steps):
    start, pulls = arrays_and_gradients(steps)
    arrays, state = start, optimizer.start(start)
    for pull in pulls:
        arrays, state = optimizer.step(arrays, pull, state)
    for path, ours in arrays.items():
        doubles = [pull[path].double().numpy() for pull in pulls]
        expected = signs_of_numpy(optimizer, start[path].double().numpy(), doubles)
        assert np.allclose(ours.numpy(), expected, rtol=1e-6, atol=1e-6)
        assert np.abs(ours.numpy() - start[path].numpy()).max() > steps * optimizer.learning_rate / 10


@pytest.mark.parametrize("kind", ELEMENTWISE)
def test_a_step_changes_nothing_that_it_is_given(kind):
    start, pulls = arrays_and_gradients(2)
    optimizer = kind(momentum=0.9) if kind in (rt.SGD, rt.RMSprop) else kind()
    arrays, state = optimizer.step(start, pulls[0], optimizer.start(start))
    before = {p: t.clone() for p, t in arrays.items()}, state.clone()
    first = optimizer.step(arrays, pulls[1], state)
    again = optimizer.step(arrays, pulls[1], state)
    assert all(torch.equal(arrays[p], before[0][p]) for p in arrays)
    assert state.count == before[1].count == 1
    for name, slot in state.slots.items():
        assert all(torch.equal(slot[p], before[1].slots[name][p]) for p in slot)
    assert all(torch.equal(first[0][p], again[0][p]) for p in arrays)


@pytest.mark.parametrize("kind", ELEMENTWISE)
def test_a_step_in_place_is_the_same_step(kind):
    start, pulls = arrays_and_gradients(3)
    optimizer = kind()
    arrays, state = start, optimizer.start(start)
    own, own_state = {p: t.clone() for p, t in start.items()}, optimizer.start(start)
    for pull in pulls:
        arrays, state = optimizer.step(arrays, pull, state)
        optimizer.step_in_place(own, pull, own_state)
    assert all(torch.equal(arrays[p], own[p]) for p in arrays)


@pytest.mark.parametrize(("ours", "_"), PAIRS[1::2])
def test_a_state_that_was_kept_goes_on_to_the_bit(ours, _):
    start, pulls = arrays_and_gradients()
    arrays, state = start, ours.start(start)
    for number, pull in enumerate(pulls):
        if number == 10:
            slots = {name: {p: t.clone() for p, t in own.items()} for name, own in state.slots.items()}
            kept, kept_state = {p: t.clone() for p, t in arrays.items()}, Memory(state.count, slots)
        arrays, state = ours.step(arrays, pull, state)
    for pull in pulls[10:]:
        kept, kept_state = ours.step(kept, pull, kept_state)
    assert same(kept, arrays)


@dataclass
class Stepped:
    """What flat memory asks of a step."""

    optimizer: object
    paces: Rates
    motion: Motion = field(default_factory=Motion)

    @property
    def learned(self):
        """Paths of the arrays that move."""
        return self.paces.moved


@pytest.mark.parametrize("ours", [pair[0] for pair in PAIRS] + [Lion(), SignSGD(momentum=0.9)])
def test_a_sweep_of_flat_memory_is_a_step_of_groups(ours):
    start, pulls = arrays_and_gradients()
    rates = {"w": 1.0, "b": 0.5, "kernel": 1.0}
    step = Stepped(ours, Rates(rates))
    flat = flattened(State(dict(start), Memory()), step, {"w": (1, 23)})
    assert len(flat.stretches) == 2
    own, state = {p: t.clone() for p, t in start.items()}, ours.start(start)
    for pull in pulls:
        for path, gradient in pull.items():
            flat.gradients[path].copy_(gradient)
        flat.sweep(step)
        ours.step_in_place(own, pull, state, rates)
    assert flat.state.memory.count == state.count == 20
    for path, array in own.items():
        torch.testing.assert_close(flat.state.arrays[path], array, rtol=2e-5, atol=2e-6)


def regression(count=40):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(count, 3, generator=generator)
    return x.numpy(), (x @ torch.tensor([[1.0], [-2.0], [0.5]])).tanh().numpy()


SMALL = {rt.SGD: 0.05, Adadelta: 0.5, Lion: 1e-3}


@pytest.mark.parametrize("kind", ELEMENTWISE)
def test_programs_and_the_walk_train_alike_with_every_optimizer(kind):
    net = rt.Chain(rt.Linear(4), rt.Tanh(), rt.Linear(1), input=3, output=1)
    how = {"epochs": 8, "batch_size": 8, "validation": 0, "progress": False, "seed": 2}
    chosen = kind(SMALL.get(kind, 0.003))
    walk, program = (
        rt.train(net, regression(), optimizer=chosen, engine=engine, **how) for engine in ("walk", "program")
    )
    assert program.settings["engine"].startswith("program")
    assert program.history[-1]["loss"] < program.history[0]["loss"]
    for path, array in walk.last.arrays.items():
        torch.testing.assert_close(program.last.arrays[path], array, rtol=1e-3, atol=1e-4)


# L-BFGS -------------------------------------------------------------------------------------------


def module(seed=0):
    torch.manual_seed(seed)
    net = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
    x, y = torch.randn(90, 6), torch.randint(0, 3, (90,))

    def loss(arrays):
        return torch.nn.functional.cross_entropy(torch.func.functional_call(net, arrays, (x,)), y)

    def again(arrays):
        leaves = {path: tensor.detach().requires_grad_() for path, tensor in arrays.items()}
        found = loss(leaves)
        return found.detach(), dict(zip(leaves, torch.autograd.grad(found, [*leaves.values()]), strict=True))

    return net, loss, again


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {}),
        ({"history_size": 3, "max_iter": 7}, {"history_size": 3, "max_iter": 7}),
        ({"learning_rate": 0.3, "max_iter": 1}, {"lr": 0.3, "max_iter": 1}),
        ({"learning_rate": 50.0, "max_iter": 4}, {"lr": 50.0, "max_iter": 4}),
        ({"learning_rate": 1e-3, "max_iter": 4}, {"lr": 1e-3, "max_iter": 4}),
        ({"max_eval": 1}, {"max_eval": 1}),
        ({"max_eval": 3, "tolerance_change": 1e-3}, {"max_eval": 3, "tolerance_change": 1e-3}),
        ({"tolerance_grad": 0.01}, {"tolerance_grad": 0.01}),
    ],
    ids=str,
)
@pytest.mark.parametrize("seed", [0, 1])
def test_lbfgs_is_pytorchs_to_the_bit(ours, theirs, seed):
    net, loss, again = module(seed)
    optimizer, looks = LBFGS(**ours), [0, 0]
    reference = torch.optim.LBFGS(net.parameters(), line_search_fn="strong_wolfe", **theirs)
    arrays = {path: p.detach().clone() for path, p in net.named_parameters()}
    state = optimizer.start(arrays)

    def closure():
        looks[0] += 1
        reference.zero_grad()
        found = loss(dict(net.named_parameters()))
        found.backward()
        return found

    def asked(at):
        looks[1] += 1
        return again(at)

    begin = loss(arrays)
    for step in range(20):
        reference.step(closure)
        arrays, state = optimizer.step_by(arrays, asked, state)
        assert same(arrays, {path: p.detach() for path, p in net.named_parameters()}), step
        assert looks[0] == looks[1]
    assert loss(arrays) < begin
    assert state.count == 20


def test_lbfgs_goes_on_from_a_state_that_was_kept_and_changes_nothing_given():
    net, _, again = module()
    optimizer = LBFGS(max_iter=2, history_size=4)
    arrays = {path: p.detach().clone() for path, p in net.named_parameters()}
    state = optimizer.start(arrays)
    assert state.slots == {}
    for step in range(10):
        if step == 5:
            kept, kept_state = {p: t.clone() for p, t in arrays.items()}, state.clone()
        arrays, state = optimizer.step_by(arrays, again, state)
    assert state.slots["steps"][""].shape == (4, sum(t.numel() for t in arrays.values()))
    for _ in range(5):
        before = kept, kept_state, {p: t.clone() for p, t in kept.items()}, kept_state.clone()
        kept, kept_state = optimizer.step_by(kept, again, kept_state)
        assert same(before[0], before[2])
        assert before[1].count == before[3].count
        for name, slot in before[1].slots.items():
            assert torch.equal(slot[""], before[3].slots[name][""])
    assert same(kept, arrays)


def test_lbfgs_moves_only_what_has_a_gradient():
    net, _, again = module()
    arrays = {path: p.detach().clone() for path, p in net.named_parameters()}

    def last(at):
        loss, gradients = again(at)
        return loss, {path: g for path, g in gradients.items() if path.startswith("2.")}

    moved, _ = LBFGS().step_by(arrays, last, LBFGS().start(arrays))
    assert [path for path in arrays if torch.equal(arrays[path], moved[path])] == ["0.weight", "0.bias"]


def test_lbfgs_comes_back_from_where_the_loss_is_not_finite():
    def again(at):
        w = at["w"].detach().requires_grad_()
        loss = (w - w.log()).sum()
        return loss.detach(), {"w": torch.autograd.grad(loss, w)[0]}

    arrays = {"w": torch.tensor([5.0, 0.2])}
    optimizer = LBFGS(1000.0, max_iter=30, max_eval=200)
    moved, _ = optimizer.step_by(arrays, again, optimizer.start(arrays))
    torch.testing.assert_close(moved["w"], torch.ones(2), rtol=1e-3, atol=1e-3)


def test_lbfgs_stays_where_the_loss_is_not_a_number():
    arrays = {"w": torch.ones(2)}
    again = lambda at: (torch.tensor(float("nan")), {"w": torch.ones(2)})  # noqa: E731
    moved, state = LBFGS().step_by(arrays, again, LBFGS().start(arrays))
    assert same(moved, arrays)
    assert (state.count, state.slots) == (1, {})


def test_lbfgs_without_the_loss_is_refused():
    arrays = {"w": torch.ones(2)}
    state = LBFGS().start(arrays)
    with pytest.raises(rt.ArgumentError) as caught:
        LBFGS().step(arrays, arrays, state)
    assert str(caught.value) == (
        "LBFGS asks for the loss at several places in one step; the gradients at one are not enough.\n"
        "  fix   optimizer.step_by(arrays, again, state), where again(arrays) answers loss and gradients;"
        " rt.train does so by itself"
    )
    assert state.count == 0


def test_other_optimizers_look_at_the_loss_once_in_a_step_by_a_function():
    start, (pull,) = arrays_and_gradients(1)
    seen = []
    optimizer = rt.Adam()

    def again(at):
        seen.append(at)
        return torch.tensor(1.0), pull

    found, _ = optimizer.step_by(start, again, optimizer.start(start), factor=0.5)
    expected, _ = optimizer.step(start, pull, optimizer.start(start), factor=0.5)
    assert len(seen) == 1
    assert same(found, expected)


# Optimizers as values -----------------------------------------------------------------------------


def test_optimizers_are_values():
    assert rt.Adam(1e-3) == rt.Adam()
    assert rt.Adam() != rt.AdamW()
    assert len({rt.SGD(0.1), rt.SGD(0.1), rt.SGD(0.2)}) == 2
    for optimizer in [pair[0] for pair in PAIRS] + [kind() for kind in OPTIMIZERS.values()]:
        pasted = eval(repr(optimizer), dict(OPTIMIZERS))
        assert pasted == optimizer
        assert type(optimizer).from_settings(optimizer.settings()) == optimizer
    with pytest.raises(AttributeError):
        rt.Adam().learning_rate = 3


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (None, rt.Adam(1e-3)),
        ("adamw", rt.AdamW()),
        ("Nadam", NAdam()),
        ("NAdam", NAdam()),
        ("radam", RAdam()),
        ("adamax", Adamax()),
        ("lion", Lion()),
        ("sign-sgd", SignSGD()),
        ("signum", SignSGD(momentum=0.9)),
        ("rms_prop", rt.RMSprop()),
        ("RMSprop", rt.RMSprop()),
        ("l-bfgs", LBFGS()),
        ("nag", rt.SGD(momentum=0.9, nesterov=True)),
        ("Nesterov", rt.SGD(momentum=0.9, nesterov=True)),
        ("momentum", rt.SGD(momentum=0.9)),
        ("amsgrad", rt.Adam(amsgrad=True)),
        ("torch.optim.Adadelta", Adadelta()),
        ("keras.optimizers.Adagrad", rt.Adagrad()),
        ("AdamOptimizer", rt.Adam()),
    ],
)
def test_optimizers_go_by_the_names_of_pytorch_and_keras(given, meant):
    assert read_optimizer(given) == meant


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("addam", r"none called 'addam'\. Did you mean 'Adam'\?"),
        ("nestrov", r"none called 'nestrov'\. Did you mean 'nesterov'\?"),
        (rt.Adam, r"is the class Adam, not a value"),
        (3, r"optimizer is one of rt\.SGD, .*; got 3"),
    ],
)
def test_what_is_no_optimizer_is_refused(given, said):
    with pytest.raises(rt.ArgumentError, match=said):
        read_optimizer(given)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (torch.optim.RMSprop, "rt.RMSprop(learning_rate)"),
        (torch.optim.Rprop, "one of rt.SGD"),
        (lambda p: torch.optim.RAdam, "rt.RAdam(learning_rate)"),
    ],
)
def test_pytorchs_optimizer_is_answered_with_the_one_here(theirs, ours):
    with pytest.raises(rt.ArgumentError, match="which owns its arrays") as caught:
        read_optimizer(theirs([torch.zeros(1, requires_grad=True)]))
    assert caught.value.fix.startswith(ours)


def test_pytorchs_optimizer_is_answered_with_ours():
    theirs = torch.optim.Adam([torch.zeros(1, requires_grad=True)])
    with pytest.raises(rt.ArgumentError, match=r"PyTorch's Adam, which owns its arrays\.\n.*rt\.Adam"):
        read_optimizer(theirs)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: rt.Adam(lr=0.1), r"Adam has no argument 'lr'\. Here it is called learning_rate"),
        (lambda: rt.Adam(-1), "learning_rate is a number from 0 to inf; got -1"),
        (lambda: rt.Adam(float("nan")), "learning_rate is a number"),
        (lambda: rt.Adam(True), "learning_rate is a number"),
        (lambda: rt.Adam(betas=(0.9, 1.0)), "betas is a number from 0 to below 1"),
        (lambda: rt.Adam(betas=0.9), "betas is two numbers"),
        (lambda: rt.Adam(1e-3, 0.9), "takes learning_rate; 2 were given by position"),
        (lambda: NAdam(beta_2=0.9), r"NAdam has no argument 'beta_2'\. Here they are called betas, a pair"),
        (lambda: rt.Adam(momentum=0.9), r"no argument 'momentum'\. Here the first of betas is the like"),
        (lambda: rt.SGD(maximize=True), r"no argument 'maximize'\. Here negative rates climb"),
        (lambda: LBFGS(line_search_fn="strong_wolfe"), "Here it is always strong Wolfe, so leave it out"),
        (lambda: LBFGS(max_iter=0), "max_iter is a whole number of at least 1; got 0"),
        (lambda: rt.SGD(momentum=1.0), "momentum is a number from 0 to below 1"),
        (lambda: rt.SGD(nesterov=True), "nesterov looks ahead by the momentum, which is 0"),
        (lambda: rt.SGD(weight_decay=-0.1), "weight_decay is a number from 0"),
    ],
)
def test_settings_out_of_range_are_refused(make, said):
    with pytest.raises(rt.ArgumentError, match=said):
        make()


def test_training_does_not_import_the_compiler_that_torch_optim_needs():
    code = (
        "import sys, retia as rt; rt.train(rt.Linear(1), ([[0.0], [1.0]], [[1.0], [3.0]]), progress=False);"
        "print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
