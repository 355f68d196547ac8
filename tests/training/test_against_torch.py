"""``rt.train`` as a whole against loops written by hand in PyTorch: the same batches, the same bits."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import retia as rt
from retia.metrics.examples import Batch
from retia.training.mixing import read_mix
from retia.training.optimizers import LBFGS, OPTIMIZERS
from retia.training.prepare import batches, prepare

COUNT, SIZE, EPOCHS = 36, 8, 4  # an epoch has five batches, the last of four examples
SEED = 7
WHOLE = {"epochs": 1, "batch_size": COUNT}

ARRAYS = ("0.weight", "0.bias", "2.weight", "2.bias")


def inputs():
    return torch.randn(COUNT, 5, generator=torch.Generator().manual_seed(0))


def numbers():
    return torch.rand(COUNT, 3, generator=torch.Generator().manual_seed(1))


def labels():
    return numbers().argmax(1)


def net(ending="Softmax"):
    last = [getattr(rt, ending)()] if ending else []
    return rt.Chain(rt.Linear(6), rt.Tanh(), rt.Linear(3), *last, input=5).init(seed=3)


def module():
    made = torch.nn.Sequential(torch.nn.Linear(5, 6), torch.nn.Tanh(), torch.nn.Linear(6, 3))
    made.load_state_dict(dict(net().arrays))
    return made


def trained(given=None, data=None, **how):
    how = {"epochs": EPOCHS, "batch_size": SIZE, "optimizer": rt.SGD(0.1), "engine": "walk"} | how
    data = data or (inputs().numpy(), labels().numpy())
    return rt.train(given or net(), data, seed=SEED, validation=0, progress=False, **how)


def rows_of(epochs=EPOCHS, batch_size=SIZE):
    """The batches of every epoch, as ``rt.train`` takes them."""
    ready = prepare(net(), (inputs().numpy(), labels().numpy()), 0, None, SEED, torch.device("cpu"))
    return [batches(ready, SEED, epoch, batch_size) for epoch in range(1, epochs + 1)]


@dataclass
class Hand:
    """A loop written by hand.

    ``pull`` is called between the gradients and the step; ``ended`` after it.
    """

    optimizer: Any = lambda p: torch.optim.SGD(p, 0.1)
    loss: Any = F.cross_entropy
    targets: Any = labels
    extra: Any = lambda model: 0
    pull: Any = lambda model: None
    scheduler: Any = lambda optimizer: None
    ended: Any = lambda model: None
    accumulate: int = 1

    def __call__(self, epochs=EPOCHS, batch_size=SIZE, model=None):
        """The model after the loop, and the mean loss of the last epoch's examples."""
        model, x, t = model or module(), inputs(), self.targets()
        optimizer = self.optimizer(model.parameters())
        scheduler = self.scheduler(optimizer)
        for epoch in rows_of(epochs, batch_size):
            told = 0.0
            for first in range(0, len(epoch), self.accumulate):
                group = epoch[first : first + self.accumulate]
                optimizer.zero_grad()
                for rows in group:
                    loss = self.loss(model(x[rows]), t[rows])
                    (loss + self.extra(model)).backward()
                    told += loss.item() * len(rows)
                for parameter in model.parameters():
                    parameter.grad /= len(group)
                self.pull(model)
                optimizer.step()
                self.ended(model)
                if scheduler is not None:
                    scheduler.step()
        return model, told / COUNT


def same(run, model, loss=None):
    """Make sure that a training ended with a model's bits."""
    expected = model.state_dict()
    assert {*run.last.arrays} == {*expected}
    for path, tensor in expected.items():
        assert torch.equal(run.last.arrays[path], tensor), path
    if loss is not None:  # of each example first, then their mean: PyTorch adds up in another order
        assert run.history[-1]["loss"] == pytest.approx(loss, rel=1e-6)


# Optimizers ---------------------------------------------------------------------------------------


def pair(name, *args, **how):
    """The same optimizer here and there."""
    return OPTIMIZERS[name](*args, **how), lambda p: getattr(torch.optim, name)(p, *args, **how)


PAIRS = [
    pair("SGD", 0.1),
    pair("SGD", 0.1, momentum=0.9, weight_decay=0.01),
    pair("SGD", 0.1, momentum=0.9, nesterov=True),
    pair("Adagrad", 0.1),
    pair("Adadelta", 0.5),
    pair("RMSprop", 0.01),
    pair("RMSprop", 0.01, centered=True, momentum=0.9),
    pair("Adam", 0.02),
    pair("Adam", 0.02, amsgrad=True, weight_decay=0.01),
    pair("AdamW", 0.02, weight_decay=0.1),
    pair("NAdam", 0.02),
    pair("RAdam", 0.02),
    pair("Adamax", 0.02),
]


@pytest.mark.parametrize("how", [WHOLE, {}], ids=["1 step", "20 steps"])
@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_training_is_a_loop_of_torch_optim_to_the_bit(ours, theirs, how):
    same(trained(optimizer=ours, **how), *Hand(theirs)(**how))


@pytest.mark.parametrize("epochs", [1, 20])
def test_lbfgs_is_a_loop_of_torch_optim_to_the_bit(epochs):
    run = trained(optimizer=LBFGS(max_iter=5), epochs=epochs, batch_size=COUNT)
    model, x, t = module(), inputs(), labels()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=5, line_search_fn="strong_wolfe")
    for (rows,) in rows_of(epochs, COUNT):

        def closure(rows=rows):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x[rows]), t[rows], reduction="none").mean()
            loss.backward()
            return loss

        optimizer.step(closure)
    same(run, model)


@pytest.mark.parametrize("ours", [rt.SignSGD(0.01, momentum=0.9), rt.Lion(0.003, weight_decay=0.1)])
def test_what_torch_optim_does_not_have_is_its_formula(ours):
    class Formula:
        """Chen et al. 2023 for Lion; Bernstein et al. 2018 for the sign of the momentum."""

        def __init__(self, parameters):
            self.arrays = [*parameters]
            self.kept = [np.zeros(p.shape) for p in self.arrays]

        def zero_grad(self):
            for array in self.arrays:
                array.grad = None

        @torch.no_grad()
        def step(self):
            for i, array in enumerate(self.arrays):
                kept, pull = self.kept[i], array.grad.double().numpy()
                if isinstance(ours, rt.Lion):
                    way, kept = 0.9 * kept + 0.1 * pull, 0.99 * kept + 0.01 * pull
                    array.mul_(1 - 0.003 * 0.1).add_(torch.as_tensor(np.sign(way)), alpha=-0.003)
                else:
                    kept = way = 0.9 * kept + 0.1 * pull
                    array.add_(torch.as_tensor(np.sign(way)), alpha=-0.01)
                self.kept[i] = kept

    run = trained(optimizer=ours)
    model, _ = Hand(Formula)()
    for path, tensor in model.state_dict().items():  # 1e-6: the formula is in double precision
        torch.testing.assert_close(run.last.arrays[path], tensor, rtol=1e-6, atol=1e-6)


# Losses -------------------------------------------------------------------------------------------


def shares():
    return (3 * numbers()).softmax(1)


def truths():
    return (numbers() > 0.5).float()


WEIGHTS = [0.5, 2.0, 1.0]


def weighted(y, t):
    """Divided by the number of examples; PyTorch's own mean divides by their weights."""
    return F.cross_entropy(y, t, torch.tensor(WEIGHTS), label_smoothing=0.1, reduction="none").mean()


def each_binary(y, t):
    """The mean of an example first: a mean of all numbers at once differs in the last bit."""
    return F.binary_cross_entropy_with_logits(y, t, reduction="none").mean(1).mean()


def log_cosh(y, t):
    return (y - t).cosh().log().mean()


LOSSES = {
    "cross-entropy": (None, "Softmax", labels, F.cross_entropy),
    "probabilities": (rt.CrossEntropy(), "Softmax", shares, F.cross_entropy),
    "weights and smoothing": (rt.CrossEntropy(weights=WEIGHTS, smoothing=0.1), "Softmax", labels, weighted),
    "kl": (
        rt.KL(), "LogSoftmax", shares,
        lambda y, t: F.kl_div(y.log_softmax(1), t, reduction="batchmean"),
    ),
    "binary": ("bce", "Sigmoid", truths, each_binary),
    "mse": ("mse", None, numbers, F.mse_loss),
    "mae": ("mae", None, numbers, F.l1_loss),
    "huber": (rt.Huber(0.3), None, numbers, lambda y, t: F.huber_loss(y, t, delta=0.3)),
    "poisson": (rt.Poisson(), None, truths, F.poisson_nll_loss),
    "a function": (log_cosh, None, numbers, log_cosh),
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
def test_training_by_a_loss_is_a_loop_to_the_bit(name):
    loss, ending, targets, reference = LOSSES[name]
    data = (inputs().numpy(), targets().numpy())
    run = trained(net(ending), data, loss=loss, optimizer=rt.SGD(0.1, momentum=0.9))
    hand = Hand(lambda p: torch.optim.SGD(p, 0.1, momentum=0.9), reference, targets)
    same(run, *hand())


def test_several_outputs_add_their_losses_by_weights():
    x = rt.Input(5)
    body = rt.Tanh()(rt.Linear(6)(x))
    both = rt.Graph({"kind": rt.Softmax()(rt.Linear(3)(body)), "size": rt.Linear(3)(body)}).init(seed=1)
    data = {"input": inputs().numpy(), "kind": labels().numpy(), "size": numbers().numpy()}
    run = trained(both, data, loss={"kind": "cross-entropy", "size": ("mse", 0.5)})

    weights = {path: tensor.clone().requires_grad_() for path, tensor in both.arrays.items()}
    optimizer = torch.optim.SGD([*weights.values()], 0.1)
    (w, b), (wk, bk), (ws, bs) = [*zip(*[iter(weights.values())] * 2, strict=True)]
    for rows in (rows for epoch in rows_of() for rows in epoch):
        hidden = F.linear(inputs()[rows], w, b).tanh()
        kind = F.cross_entropy(F.linear(hidden, wk, bk), labels()[rows])
        loss = kind + 0.5 * F.mse_loss(F.linear(hidden, ws, bs), numbers()[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for path, tensor in weights.items():
        assert torch.equal(run.last.arrays[path], tensor), path


def test_convolutions_and_batch_statistics_are_those_of_a_module():
    there = torch.nn
    made = there.Sequential(
        there.Conv2d(1, 4, 3), there.BatchNorm2d(4), there.ReLU(), there.MaxPool2d(2), there.Flatten(),
        there.Linear(16, 3),
    )  # fmt: skip
    ours = rt.Chain(
        rt.Conv2d(4, 3), rt.BatchNorm(), rt.ReLU(), rt.MaxPool2d(2), rt.Flatten(), rt.Linear(3),
        rt.Softmax(), input=(1, 6, 6),
    ).init(seed=2)  # fmt: skip
    made.load_state_dict(dict(ours.arrays), strict=False)
    x = torch.randn(COUNT, 1, 6, 6, generator=torch.Generator().manual_seed(4))
    run = trained(ours, (x.numpy(), labels().numpy()), optimizer=rt.Adam(0.01))
    optimizer = torch.optim.Adam(made.parameters(), 0.01)
    for rows in (rows for epoch in rows_of() for rows in epoch):
        optimizer.zero_grad()
        F.cross_entropy(made(x[rows]), labels()[rows]).backward()
        optimizer.step()
    same(run, made)


# Schedules ----------------------------------------------------------------------------------------

there = torch.optim.lr_scheduler

SCHEDULES = {
    "function": (lambda step: 1 / (1 + step), lambda o: there.LambdaLR(o, lambda step: 1 / (1 + step))),
    "halves": (rt.StepDecay(7, 0.5, per="step"), lambda o: there.StepLR(o, 7, 0.5)),
    "milestones": (rt.Milestones((3, 9), 0.3, per="step"), lambda o: there.MultiStepLR(o, [3, 9], 0.3)),
    "exponential": (rt.ExponentialDecay(0.9, per="step"), lambda o: there.ExponentialLR(o, 0.9)),
    "polynomial": (rt.PolynomialDecay(2), lambda o: there.PolynomialLR(o, 20, 2)),
    "warm-up": (rt.Warmup(6), lambda o: there.LinearLR(o, 1 / 7, total_iters=6)),
    "cosine": (rt.CosineDecay(), lambda o: there.CosineAnnealingLR(o, 20)),
    "one-cycle": (rt.OneCycle(), lambda o: there.OneCycleLR(o, 0.1, 20, cycle_momentum=False)),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_training_by_a_schedule_is_a_loop_with_its_scheduler(name):
    ours, theirs = SCHEDULES[name]
    run = trained(schedule=ours)
    same(run, *Hand(scheduler=theirs)())


@pytest.mark.parametrize("name", ["step", "exponential", "plateau"])
def test_training_by_a_schedule_of_epochs_is_a_loop_with_its_scheduler(name):
    ours, theirs = {
        "step": (rt.StepDecay(2, 0.5), lambda o: there.StepLR(o, 2, 0.5)),
        "exponential": (rt.ExponentialDecay(0.5), lambda o: there.ExponentialLR(o, 0.5)),
        "plateau": (
            rt.OnPlateau(0.5, on="loss", patience=2, least_change=0.05),
            lambda o: there.ReduceLROnPlateau(
                o, factor=0.5, patience=1, threshold=0.05, threshold_mode="abs"
            ),
        ),
    }[name]
    run = trained(schedule=ours, epochs=12)
    model, x, t = module(), inputs(), labels()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    scheduler, rates = theirs(optimizer), []
    for epoch in rows_of(12):
        rates.append(optimizer.param_groups[0]["lr"])
        told = 0.0
        for rows in epoch:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x[rows]), t[rows], reduction="none").mean()
            loss.backward()
            optimizer.step()
            told += loss.item() * len(rows)
        scheduler.step(*([told / COUNT] if name == "plateau" else []))
    same(run, model)
    assert [entry["rate"] for entry in run.history] == rates
    assert len({*rates}) > 1


# Between gradients and optimizer ------------------------------------------------------------------


def shortened(model):
    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.05)


def bounded(model):
    torch.nn.utils.clip_grad_value_(model.parameters(), 0.01)


def both(model):
    bounded(model)
    shortened(model)


CLIPS = {
    "norm": ({"clip_norm": 0.05}, shortened),
    "value": ({"clip_value": 0.01}, bounded),
    "value, then norm": ({"clip_norm": 0.05, "clip_value": 0.01}, both),
}


@pytest.mark.parametrize("name", CLIPS)
def test_clipping_is_torchs_to_the_bit(name):
    how, theirs = CLIPS[name]
    same(trained(**how), *Hand(pull=theirs)())
    assert not torch.equal(trained().last.arrays["0.weight"], trained(**how).last.arrays["0.weight"])


@pytest.mark.parametrize("accumulate", [2, 3, 5, 7])
def test_a_step_of_several_batches_is_by_the_mean_of_their_gradients(accumulate):
    """Five batches are an epoch; what is left of them at its end makes a step by what it has."""
    run = trained(accumulate=accumulate, optimizer=rt.Adam(0.02), schedule=lambda step: 1 / (1 + step))
    slower = lambda o: there.LambdaLR(o, lambda step: 1 / (1 + step))  # noqa: E731
    hand = Hand(lambda p: torch.optim.Adam(p, 0.02), scheduler=slower, accumulate=accumulate)
    same(run, *hand())


def test_clipping_is_of_the_mean_of_several_batches():
    same(trained(accumulate=2, clip_norm=0.05), *Hand(pull=shortened, accumulate=2)())


def squares(model):
    return 0.01 * (model[0].weight.square().sum() + model[2].weight.square().sum())


def sizes(model):
    return 0.02 * (model[0].weight.abs().sum() + model[2].weight.abs().sum())


def chosen(model):
    return 0.02 * model[0].weight.abs().sum() + 0.01 * model[2].bias.square().sum()


PENALTIES = {
    "l2": ({"l2": 0.01}, squares),
    "l1": ({"l1": 0.02}, sizes),
    "l1 and l2": ({"l1": 0.02, "l2": 0.01}, lambda model: sizes(model) + squares(model)),
    "patterns": ({"l1": {"0.weight": 0.02}, "l2": {"2.bias": 0.01}}, chosen),
}


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_are_added_to_what_is_lowered_but_not_to_the_loss_that_is_told(name):
    how, extra = PENALTIES[name]
    same(trained(optimizer=rt.Adam(0.02), **how), *Hand(lambda p: torch.optim.Adam(p, 0.02), extra=extra)())


@pytest.mark.parametrize("ema", [0.0, 0.1])
def test_a_running_average_is_torchs(ema):
    model = module()
    kept = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(ema))
    kept.update_parameters(model)  # the first call copies
    Hand(ended=kept.update_parameters)(model=model)
    same(trained(ema=ema), kept.module)


def test_a_running_average_leans_on_the_newest_at_first():
    model, count = module(), 0
    averages = [parameter.detach().double().clone() for parameter in model.parameters()]

    def follow(model):
        nonlocal count
        count += 1
        kept = min(0.5, (1 + count) / (10 + count))
        for average, parameter in zip(averages, model.parameters(), strict=True):
            average.mul_(kept).add_(parameter.detach().double(), alpha=1 - kept)

    Hand(ended=follow)(model=model)
    run = trained(ema=0.5)
    assert count == 20
    for path, average in zip(ARRAYS, averages, strict=True):  # 1e-6: averages here are in double precision
        torch.testing.assert_close(run.last.arrays[path].double(), average, rtol=1e-6, atol=1e-7)
        assert not torch.equal(run.last.arrays[path], trained().last.arrays[path])


def groups(kind, *, body, head, **how):
    """An optimizer whose groups have rates of their own; PyTorch refuses negative ones only at first."""

    def made(parameters):
        arrays = [*parameters]
        optimizer = kind([{"params": arrays[:2]}, {"params": arrays[2:]}], lr=1.0, **how)
        for group, rate in zip(optimizer.param_groups, (body, head), strict=True):
            group["lr"] = rate
        return optimizer

    return made


@pytest.mark.parametrize(
    ("ours", "kind", "how"),
    [
        (rt.SGD(0.1, momentum=0.9), torch.optim.SGD, {"momentum": 0.9}),
        (rt.Adam(0.1), torch.optim.Adam, {}),
        (rt.RMSprop(0.1), torch.optim.RMSprop, {}),
    ],
)
@pytest.mark.parametrize("rates", [{"0": 0.25, "2": 1}, {"0": -0.125, "2": 0.5}])
def test_rates_are_those_of_groups_of_parameters_also_when_they_climb(ours, kind, how, rates):
    run = trained(optimizer=ours, rates=rates)
    same(run, *Hand(groups(kind, body=0.1 * rates["0"], head=0.1 * rates["2"], **how))())


def test_a_rate_of_0_is_a_parameter_that_needs_no_gradient():
    model = module()
    same(
        trained(optimizer=rt.Adam(0.02), rates={"0": 0, "*": 1}, cache=False),
        *Hand(lambda p: torch.optim.Adam([*p][2:], 0.02))(model=model),
    )
    assert torch.equal(model[0].weight, net().arrays["0.weight"])


class InTurn:
    """Two optimizers of PyTorch's, one after the other; the second has two steps of three."""

    def __init__(self, kind, parameters):
        arrays = [*parameters]
        self.body, self.head, self.count = kind(arrays[:2]), kind(arrays[2:]), 0

    def zero_grad(self):
        for optimizer in (self.body, self.head):
            optimizer.zero_grad()

    def step(self):
        (self.head if self.count % 3 else self.body).step()
        self.count += 1


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_turns_are_two_optimizers_in_turn(ours, theirs):
    """Each counts its own steps, which says how far its averages are from their beginning."""
    run = trained(optimizer=ours, turns=["0", "2", ["2.weight", "2.bias"]])
    same(run, *Hand(lambda p: InTurn(theirs, p))())


@pytest.mark.parametrize("mix", [rt.MixUp(0.4), rt.CutMix(), [rt.MixUp(), rt.CutMix(chance=0.5)]])
def test_mixed_examples_have_the_losses_of_both_targets_by_their_shares(mix):
    ours = rt.Chain(rt.Flatten(), rt.Linear(3), rt.Softmax(), input=(1, 4, 4)).init(seed=6)
    x = torch.randn(COUNT, 1, 4, 4, generator=torch.Generator().manual_seed(5))
    run = trained(ours, (x.numpy(), labels().numpy()), mix=mix)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
    model.load_state_dict(dict(ours.arrays))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    mixing, moved = read_mix(mix), 0
    for number, rows in enumerate(rows for epoch in rows_of() for rows in epoch):
        batch = Batch({"input": x[rows]}, {"output": labels()[rows]}, rows)
        mixed = mixing.mixed(batch, mixing.key(SEED, number))
        moved += int((mixed.share < 1).sum())
        found = model(mixed.batch.inputs["input"])
        own, other = (
            F.cross_entropy(found, target, reduction="none")
            for target in (labels()[rows], mixed.partners["output"])
        )
        optimizer.zero_grad()
        (mixed.share * own + (1 - mixed.share) * other).mean().backward()
        optimizer.step()
    assert moved > COUNT
    same(run, model)


def test_everything_at_once_is_still_the_loop():
    """Accumulated, penalised, clipped, scheduled, averaged: in this order."""
    model = module()
    kept = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.1))
    kept.update_parameters(model)
    hand = Hand(
        lambda p: torch.optim.AdamW(p, 0.02), extra=squares, pull=both, accumulate=2,
        scheduler=lambda o: there.StepLR(o, 4, 0.5), ended=kept.update_parameters,
    )  # fmt: skip
    hand(model=model)
    run = trained(
        optimizer=rt.AdamW(0.02), l2=0.01, clip_norm=0.05, clip_value=0.01, accumulate=2, ema=0.1,
        schedule=rt.StepDecay(4, 0.5, per="step"),
    )  # fmt: skip
    same(run, kept.module)
