"""What stands between gradients and optimizer: by itself, by walk and program alike, and its arguments."""

import numpy as np
import pytest
import torch

import retia as rt
from retia.training import runner
from retia.training.motion import Motion, read_motion
from retia.training.runner import REPAYS

COUNT, SIZE, EPOCHS = 36, 8, 4  # an epoch has five batches, the last of four examples


def drawn(*shapes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for shape in shapes]


# Clipping, gathering, averages --------------------------------------------------------------------


def clipped_by_torch(gradients, clip_norm, clip_value):
    parameters = [torch.nn.Parameter(torch.zeros_like(each)) for each in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient.clone()
    if clip_value is not None:
        torch.nn.utils.clip_grad_value_(parameters, clip_value)
    if clip_norm is not None:
        torch.nn.utils.clip_grad_norm_(parameters, clip_norm)
    return [parameter.grad for parameter in parameters]


@pytest.mark.parametrize("norm", [None, 0.1, 1.0, 100.0])
@pytest.mark.parametrize("value", [None, 1e-3, 0.5, 100.0])
@pytest.mark.parametrize("size", [0.0, 1e-6, 1.0, 1e4])
def test_clipping_is_torchs_and_leaves_what_is_given(norm, value, size):
    given = [size * each for each in drawn((7, 5), (5,), (3, 2, 2, 2), ())]
    before = [each.clone() for each in given]
    found = Motion(norm, value).clipped(given)
    for ours, theirs, kept, own in zip(
        found, clipped_by_torch(before, norm, value), before, given, strict=True
    ):
        assert torch.equal(ours, theirs)
        assert torch.equal(own, kept)


def test_gradients_that_are_not_finite_clip_as_in_torch():
    for odd in (float("inf"), float("nan")):
        given = [torch.tensor([1.0, odd]), torch.tensor([2.0])]
        for norm, value in ((1.0, None), (None, 0.5)):
            ours = Motion(norm, value).clipped(given)
            for mine, theirs in zip(ours, clipped_by_torch(given, norm, value), strict=True):
                torch.testing.assert_close(mine, theirs, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("accumulate", [1, 2, 3, 5])
def test_gathered_gradients_are_a_mean(accumulate):
    motion, pending, seen = Motion(accumulate=accumulate), drawn((3, 2), (4,), seed=9), []
    torch._foreach_zero_(pending)
    for number in range(1, accumulate + 1):
        pulls = drawn((3, 2), (4,), seed=number)
        seen.append(pulls)
        assert motion.gather(pending, pulls, number, False) == (number == accumulate)
    for found, *each in zip(pending, *seen, strict=True):
        expected = torch.stack(each).double().mean(0)
        torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-7)


def test_what_is_gathered_goes_when_nothing_else_comes():
    motion, pending = Motion(accumulate=4), [torch.zeros(2)]
    assert not motion.gather(pending, [torch.tensor([1.0, 2.0])], 1, False)
    assert motion.gather(pending, [torch.tensor([3.0, 6.0])], 2, True)
    assert torch.equal(pending[0], torch.tensor([2.0, 4.0]))


def test_an_average_keeps_less_in_the_first_steps():
    kept = []
    for count in (1, 2, 10, 100, 10_000):
        average = [torch.ones(1, dtype=torch.float64)]
        Motion(ema=0.99).average(average, [torch.zeros(1, dtype=torch.float64)], count)
        kept.append(average[0].item())
    assert kept == pytest.approx([2 / 11, 3 / 12, 11 / 20, 101 / 110, 0.99], rel=1e-12)


# Turns --------------------------------------------------------------------------------------------


def small():
    return rt.Chain(body=rt.Linear(6), tanh=rt.Tanh(), head=rt.Linear(2), input=5).init(seed=3)


@pytest.mark.parametrize(
    "turns",
    [["body", "head"], ["body", "head", "head"], ["*", "head"], [["body", "head.bias"], ("head.weight",)]],
)
def test_how_often_an_array_has_moved_is_counted(turns):
    motion = read_motion(small(), small().learned(), turns=turns)
    for path in small().learned():
        moves = [motion.moves(path, count) for count in range(20)]
        assert [motion.moved(path, count) for count in range(21)] == [sum(moves[:n]) for n in range(21)]
        assert any(moves)


def test_without_turns_all_arrays_move_at_every_step():
    motion = read_motion(small(), small().learned())
    assert motion == Motion()
    assert motion.is_plain
    assert all(motion.moves("head.bias", count) for count in range(5))
    assert motion.moved("head.bias", 5) == 5


def test_an_array_stays_to_the_bit_while_it_is_not_its_turn():
    seen = []

    class Watching:
        def step(self, view):
            seen.append({path: tensor.clone() for path, tensor in view.state.arrays.items()})

    trained("walk", rt.Adam(0.02), turns=["body", ["norm", "head"]], callbacks=Watching())
    assert len(seen) == EPOCHS * 5
    for number, (before, after) in enumerate(zip(seen, seen[1:], strict=False)):
        for path, tensor in before.items():
            moves = "running" in path or "num" in path or path.startswith("body") == (number % 2 == 1)
            assert torch.equal(tensor, after[path]) != moves, (number, path)


# Walk and program ---------------------------------------------------------------------------------


def data():
    x = np.random.default_rng(0).normal(size=(COUNT, 5)).astype(np.float32)
    return x, (x[:, :2] > 0.3).argmax(1)


def classes():
    return rt.Chain(
        body=rt.Linear(6), tanh=rt.Tanh(), norm=rt.BatchNorm(), head=rt.Linear(2), end=rt.Softmax(), input=5
    ).init(seed=3)


def trained(engine, optimizer, **how):
    how = {"epochs": EPOCHS, "batch_size": SIZE, "seed": 7, "validation": 0, "progress": False} | how
    return rt.train(classes(), data(), engine=engine, optimizer=optimizer, **how)


SETTINGS = {
    "plain": {},
    "clip_norm": {"clip_norm": 0.05},
    "clip_value": {"clip_value": 0.01},
    "both clips": {"clip_norm": 0.05, "clip_value": 0.01},
    "accumulate": {"accumulate": 3},
    "accumulate an epoch": {"accumulate": 5},
    "ema": {"ema": 0.6},
    "turns": {"turns": ["body", ["norm", "head"], "*"]},
    "rates": {"rates": {"body": 0.5, "head.bias": -0.25, "*": 1}},
    "frozen": {"rates": {"body": 0, "*": 1}},
    "l1": {"l1": 0.003},
    "l2": {"l2": {"body": 0.01, "*.bias": 0.02}},
    "schedule": {"schedule": lambda step: 1 / (1 + step)},
    "warm-up": {"schedule": rt.CosineDecay(warmup=4)},
    "mixup": {"mix": rt.MixUp(0.4)},
    "metrics": {"metrics": ["f1"]},
    "bf16": {"precision": "bf16"},
    "everything": {
        "clip_norm": 0.05, "clip_value": 0.01, "accumulate": 2, "ema": 0.6, "l1": 0.003, "l2": 0.01,
        "turns": ["body", ["norm", "head"]], "rates": {"head": 0.5, "*": 1}, "mix": rt.MixUp(0.4),
        "schedule": rt.CosineDecay(warmup=4),
    },
}  # fmt: skip


def relative(ours, theirs):
    return float((ours.double() - theirs.double()).norm() / theirs.double().norm().clamp_min(1e-30))


def near(ours, theirs, most):
    for path, tensor in theirs.last.arrays.items():
        assert relative(ours.last.arrays[path], tensor) < most, path
    for mine, other in zip(ours.history, theirs.history, strict=True):
        assert mine.keys() == other.keys()
        assert mine["loss"] == pytest.approx(other["loss"], rel=10 * most)
        assert mine["rate"] == other["rate"]


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize(("optimizer", "most"), [(rt.SGD(0.1), 1e-5), (rt.Adam(0.01), 1e-4)])
def test_twenty_steps_of_a_program_are_those_of_the_walk(name, optimizer, most):
    how = SETTINGS[name]
    walk, program = (trained(engine, optimizer, **how) for engine in ("walk", "program"))
    assert walk.settings["engine"] == "walk"
    assert program.settings["engine"].startswith("program")
    if name == "bf16":
        most = 1e-2  # both round to 8 bits, and a program may do so in another order
    near(program, walk, most)
    plain = trained("walk", optimizer)
    assert name in ("plain", "metrics") or any(
        not torch.equal(plain.last.arrays[path], tensor) for path, tensor in walk.last.arrays.items()
    )


@pytest.mark.parametrize("name", ["clip_norm", "accumulate", "ema", "turns", "schedule", "everything"])
def test_losses_that_are_read_many_at_once_change_nothing(name, monkeypatch):
    """As on a device of its own, where a step does not wait for what the last one said."""
    near_by = trained("program", rt.Adam(0.01), **SETTINGS[name])
    begin = runner.Flowing.__init__

    def far(self, *args, **how):
        begin(self, *args, **how)
        self._reads = 4

    monkeypatch.setattr(runner.Flowing, "__init__", far)
    far_off = trained("program", rt.Adam(0.01), **SETTINGS[name])
    for path, tensor in near_by.last.arrays.items():
        assert torch.equal(far_off.last.arrays[path], tensor), path
    assert [entry["loss"] for entry in far_off.history] == [entry["loss"] for entry in near_by.history]


@pytest.mark.parametrize("name", ["plain", "rates", "l1", "l2", "schedule", "warm-up", "metrics"])
@pytest.mark.parametrize(("optimizer", "most"), [(rt.SGD(0.1), 1e-5), (rt.Adam(0.01), 1e-4)])
def test_nets_trained_at_once_are_those_trained_alone(name, optimizer, most):
    runs = trained("program", optimizer, seed=[7, 8], **SETTINGS[name])
    for seed, run in zip((7, 8), runs, strict=True):
        assert run.settings["engine"].startswith("program of 2 nets at once")
        near(run, trained("walk", optimizer, seed=seed, **SETTINGS[name]), most)


def test_nets_trained_at_once_have_schedules_of_their_own():
    how = {"schedule": rt.OnPlateau(0.5, patience=1, least_change=0.05), "epochs": 12}
    how["validation"] = tuple(column[:12] for column in data())
    runs = trained("program", rt.SGD(0.3), seed=[1, 2, 3], **how)
    for seed, run in zip((1, 2, 3), runs, strict=True):
        near(run, trained("walk", rt.SGD(0.3), seed=seed, **how), 1e-5)
    assert len({tuple(entry["rate"] for entry in run.history) for run in runs}) > 1


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("clip_norm", "clip_norm"), ("clip_value", "clip_value"), ("accumulate", "accumulate"),
        ("ema", "ema"), ("turns", "turns"), ("mixup", "mix"), ("bf16", "precision"),
    ],
)  # fmt: skip
def test_what_is_each_nets_own_is_trained_one_after_another(name, why):
    how = {"epochs": 2, **SETTINGS[name]}
    runs = trained("auto", rt.SGD(0.1), seed=[7, 8], **how)
    for seed, run in zip((7, 8), runs, strict=True):
        told = f"; one net after another: {why} is each net's own"
        assert run.settings["engine"] == f"walk, for so few steps{told}"
        alone = trained("walk", rt.SGD(0.1), seed=seed, **how)
        for path, tensor in alone.last.arrays.items():
            assert torch.equal(run.last.arrays[path], tensor), path
    assert EPOCHS * 5 < REPAYS


# Arguments ----------------------------------------------------------------------------------------

TURNS = "train: turns is a list of at least two path patterns, or lists of them; got "
GAN = '\n  fix   turns=["discriminator", "generator"]'
LOOKS = (
    "train: LBFGS asks for the loss of a batch many times, so it takes no accumulate, clip_norm, clip_value "
    "or turns.\n  fix   leave them out; batch_size=len(data) makes one batch of all"
)
PACES = "\n  fix   rates of 0 and 1, or another optimizer"
REFUSED = [
    ({"clip_norm": 0}, "train: clip_norm is a number above 0; got 0.\n  fix   leave clip_norm out"),
    ({"clip_norm": -1.5}, "train: clip_norm is a number above 0; got -1.5.\n  fix   leave clip_norm out"),
    ({"clip_norm": True}, "train: clip_norm is a number above 0; got True.\n  fix   leave clip_norm out"),
    ({"clip_norm": "1"}, "train: clip_norm is a number above 0; got '1'.\n  fix   leave clip_norm out"),
    ({"clip_norm": [1]}, "train: clip_norm is a number above 0; got [1].\n  fix   leave clip_norm out"),
    (
        {"clip_value": float("inf")},
        "train: clip_value is a number above 0; got inf.\n  fix   leave clip_value out",
    ),
    (
        {"clip_value": float("nan")},
        "train: clip_value is a number above 0; got nan.\n  fix   leave clip_value out",
    ),
    ({"accumulate": 0}, "train: accumulate is a whole number of at least 1; got 0."),
    ({"accumulate": 1.5}, "train: accumulate is a whole number of at least 1; got 1.5."),
    ({"accumulate": True}, "train: accumulate is a whole number of at least 1; got True."),
    ({"accumulate": None}, "train: accumulate is a whole number of at least 1; got None."),
    ({"ema": 1.0}, "train: ema is a number from 0 to below 1; got 1.0."),
    ({"ema": -0.1}, "train: ema is a number from 0 to below 1; got -0.1."),
    ({"ema": "0.9"}, "train: ema is a number from 0 to below 1; got '0.9'."),
    ({"turns": "body"}, f"{TURNS}'body'.{GAN}"),
    ({"turns": ["body"]}, f"{TURNS}['body'].{GAN}"),
    ({"turns": {"body": 1}}, f"{TURNS}{{'body': 1}}.{GAN}"),
    ({"turns": ["body", 3]}, f"{TURNS}['body', 3].{GAN}"),
    ({"turns": ["body", ["head", 3]]}, f"{TURNS}['body', ['head', 3]].{GAN}"),
    ({"turns": ["body", []]}, "train: nothing that is trained moves in the turn []."),
    ({"turns": ["*", "tanh"]}, "train: nothing that is trained moves in the turn ['tanh']."),
    (
        {"turns": ["body", ["norm", "haed"]]},
        "turns: 'haed' matches no path. Did you mean 'head'?\n"
        "  fix   the net has body, end, head, norm, tanh",
    ),
    (
        {"turns": ["body", "norm"]},
        'train: head.weight has no turn.\n  fix   rates={"head.weight": 0} freezes it, or name it in turns',
    ),
    (
        {"turns": ["body", "*"], "rates": {"body": 0, "*": 1}},
        "train: nothing that is trained moves in the turn ['body'].",
    ),
    ({"optimizer": rt.LBFGS(), "accumulate": 2}, LOOKS),
    ({"optimizer": rt.LBFGS(), "turns": ["body", "*"]}, LOOKS),
    ({"optimizer": rt.LBFGS(), "clip_norm": 1.0}, LOOKS),
    ({"optimizer": rt.LBFGS(), "clip_value": 1.0}, LOOKS),
    (
        {"optimizer": rt.LBFGS(), "rates": {"body": 0.5, "*": 1}},
        "train: LBFGS moves all arrays at one rate, but rates give body.weight 0.5." + PACES,
    ),
    (
        {"optimizer": rt.LBFGS(), "rates": {"head": -1}},
        "train: LBFGS moves all arrays at one rate, but rates give head.weight -1." + PACES,
    ),
    (
        {"optimizer": rt.LBFGS(), "engine": "program"},
        'LBFGS asks for the loss many times a step\n  fix   engine="walk", or leave engine out',
    ),
    (
        {"gradient_clip_val": 1.0},
        "train has no argument 'gradient_clip_val'. Here it is called clip_norm.",
    ),
    ({"clip_nrom": 1.0}, "train has no argument 'clip_nrom'. Did you mean 'clip_norm'?"),
]


@pytest.mark.parametrize(
    ("how", "said"), REFUSED, ids=lambda value: str(value) if type(value) is dict else ""
)
def test_what_cannot_be_is_refused_before_the_first_step(how, said):
    how = {"optimizer": rt.SGD(0.1), "engine": "walk", **how}
    with pytest.raises(rt.Error) as caught:
        trained(how.pop("engine"), how.pop("optimizer"), **how)
    assert (str(caught.value) if "no argument" not in said else caught.value.message) == said


@pytest.mark.parametrize(
    "how", [{"clip_norm": np.float32(0.5)}, {"clip_value": 2}, {"ema": 0}, {"accumulate": np.int64(2)}]
)
def test_numbers_of_any_kind_are_numbers(how):
    plain = {name: float(value) if name != "accumulate" else int(value) for name, value in how.items()}
    ours, theirs = (trained("walk", rt.SGD(0.1), epochs=1, **each) for each in (how, plain))
    for path, tensor in theirs.last.arrays.items():
        assert torch.equal(ours.last.arrays[path], tensor), path


def test_lbfgs_takes_frozen_layers_penalties_and_averages():
    how = {"batch_size": COUNT, "rates": {"body": 0, "norm": 0, "*": 1}, "l2": 0.01, "ema": 0.5}
    run = trained("auto", rt.LBFGS(max_iter=4), **how)
    assert run.settings["engine"] == "walk: LBFGS asks for the loss many times a step"
    assert run.history[-1]["loss"] < run.history[0]["loss"]
    assert torch.equal(run.last.arrays["body.weight"], classes().arrays["body.weight"])
