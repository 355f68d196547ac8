"""Half precision: against PyTorch's own autocast and scaler, for all families of layers, and its scale."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import retia as rt
from retia.training.how import How
from retia.training.precision import AFTER, FIRST, LEAST, Precision, Scale, read_precision
from retia.training.prepare import batches, prepare
from retia.training.step import Step

COUNT, SIZE, SEED = 36, 8, 7


def inputs(*shape, seed=0):
    return torch.randn(COUNT, *shape, generator=torch.Generator().manual_seed(seed))


def labels():
    return torch.randint(0, 3, (COUNT,), generator=torch.Generator().manual_seed(1))


def dense():
    return rt.Chain(rt.Linear(6), rt.Tanh(), rt.Linear(3), rt.Softmax(), input=5).init(seed=3)


def module():
    made = torch.nn.Sequential(torch.nn.Linear(5, 6), torch.nn.Tanh(), torch.nn.Linear(6, 3))
    made.load_state_dict(dict(dense().arrays))
    return made


def trained(net, data, **how):
    how = {"epochs": 4, "batch_size": SIZE, "optimizer": rt.SGD(0.1), "engine": "walk", "seed": SEED} | how
    return rt.train(net, data, validation=how.pop("validation", 0), progress=False, **how)


def rows_of(epochs):
    ready = prepare(dense(), (inputs(5).numpy(), labels().numpy()), 0, None, SEED, torch.device("cpu"))
    return [rows for epoch in range(1, epochs + 1) for rows in batches(ready, SEED, epoch, SIZE)]


# Against PyTorch ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (rt.SGD(0.1), lambda p: torch.optim.SGD(p, 0.1)),
        (rt.Adam(0.02), lambda p: torch.optim.Adam(p, 0.02)),
    ],
)
@pytest.mark.parametrize(("name", "kind"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_half_precision_is_a_loop_with_autocast_and_a_scaler_to_the_bit(ours, theirs, name, kind):
    run = trained(dense(), (inputs(5).numpy(), labels().numpy()), precision=name, optimizer=ours)
    model = module()
    optimizer = theirs(model.parameters())
    scaler = torch.amp.GradScaler("cpu", enabled=name == "fp16")
    for rows in rows_of(4):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=kind):
            answer = model(inputs(5)[rows])
        loss = F.cross_entropy(answer.float(), labels()[rows])
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    plain = trained(dense(), (inputs(5).numpy(), labels().numpy()), optimizer=ours)
    for path, tensor in model.state_dict().items():
        assert torch.equal(run.last.arrays[path], tensor), path
        assert not torch.equal(plain.last.arrays[path], tensor), path
    assert run.settings["precision"] == name


def test_steps_that_overflow_are_those_that_a_scaler_skips():
    """Targets of thousands: at the first scales, the gradients are beyond half precision."""
    x, y = inputs(5), 3000 * inputs(3, seed=4)
    ours = rt.Chain(rt.Linear(6), rt.Tanh(), rt.Linear(3), input=5).init(seed=3)
    how = {"loss": "mse", "precision": "fp16", "optimizer": rt.SGD(1e-6, momentum=0.9)}
    seen = []

    class Watching:
        def step(self, view):
            seen.append((view.state.scale.factor, view.state.memory.count))

    run = trained(ours, (x.numpy(), y.numpy()), callbacks=Watching(), **how)
    model, skipped, expected = module(), 0, []
    optimizer = torch.optim.SGD(model.parameters(), 1e-6, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu")
    for number, rows in enumerate(rows_of(4), 1):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            answer = model(x[rows])
        scaler.scale(F.mse_loss(answer.float(), y[rows])).backward()
        before = scaler.get_scale()
        scaler.step(optimizer)
        scaler.update()
        skipped += scaler.get_scale() < before
        expected.append((scaler.get_scale(), number - skipped))
    assert 3 < skipped < 15
    assert seen == expected
    for path, tensor in model.state_dict().items():
        assert torch.equal(run.last.arrays[path], tensor), path


# Scaling ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("power", [-8, -1, 1, 8, 16])
def test_scaling_by_powers_of_two_leaves_every_bit(power):
    step = rt.step(dense(), optimizer=rt.SGD(0.1))
    batch = step.batch(inputs(5), labels())
    plain, scaled = (step.pull(step.start().arrays, batch, 0, scale=scale) for scale in (1.0, 2.0**power))
    assert torch.equal(plain.loss, scaled.loss)
    for path, gradient in plain.gradients.items():
        assert torch.equal(scaled.gradients[path], gradient), path


def test_scaling_saves_gradients_that_half_precision_would_lose():
    net = dense()
    step = Step(
        net, rt.step(net, ("cross-entropy", 1e-5)).objective, rt.SGD(0.1), precision=Precision("fp16")
    )
    batch, arrays = step.batch(inputs(5), labels()), step.start().arrays
    lost, kept = (step.pull(arrays, batch, 0, scale=scale).gradients["0.weight"] for scale in (1.0, FIRST))
    exact = rt.step(net, ("cross-entropy", 1e-5)).pull(arrays, batch, 0).gradients["0.weight"]
    assert float((kept - exact).norm() / exact.norm()) < 2e-3
    assert float((lost - exact).norm() / exact.norm()) > 0.05


def test_a_scale_halves_at_an_overflow_and_doubles_after_a_long_time():
    scale = Scale()
    scale.learn(False)
    scale.learn(False)
    assert (scale.factor, scale.good) == (FIRST / 4, 0)
    for _ in range(AFTER - 1):
        scale.learn(True)
    assert scale == Scale(FIRST / 4, AFTER - 1)
    scale.learn(True)
    assert scale == Scale(FIRST / 2, 0)
    scale.learn(True)
    scale.learn(False)
    assert scale == Scale(FIRST / 4, 0)


NEVER = (
    "fp16: the gradients are not finite, however small the loss is made, so nothing moves.\n"
    '  fix   precision="float32" tells of the layer where it begins, "bf16" has a wider range'
)


def test_gradients_that_are_never_finite_end_the_training():
    def loss(output, target):  # the root has no derivative at 0
        return 1 + (0 * (output - target).abs().sum()).sqrt()

    data = (inputs(5).numpy(), inputs(3).numpy())
    with pytest.raises(rt.TrainingError) as caught:
        trained(rt.Linear(3, input=5), data, loss=loss, precision="fp16", epochs=20)
    assert str(caught.value) == NEVER
    assert caught.value.run.why == caught.value.message
    steps = int(np.log2(FIRST / LEAST)) + 1
    assert len(caught.value.run.history) == (steps - 1) // 5
    with pytest.raises(rt.TrainingError, match=r"gave 2 \(Linear\(3\)\) a gradient that is not finite"):
        trained(dense()[:-1], data, loss=loss, epochs=20)


def overflowing(**how):
    """A state before and after a step whose gradients overflow."""
    net = rt.Chain(rt.BatchNorm(), rt.Linear(3), input=5).init(seed=3)
    ready = prepare(net, (inputs(5).numpy(), (1e6 * inputs(3)).numpy()), 0, "mse", 0, torch.device("cpu"))
    step = How(precision=Precision("fp16"), **how).step(ready, rt.SGD(1e-9), 0)
    state = step.start()
    before = state.clone()
    step.advance(state, ready.train.batch(torch.arange(SIZE)))
    return step, ready, before, state


def test_a_step_that_overflows_moves_nothing_but_statistics():
    _, _, before, after = overflowing(ema=0.9)
    assert (after.count, after.memory.count) == (1, 0)
    assert after.scale == Scale(FIRST / 2, 0)
    for path, tensor in before.arrays.items():
        assert torch.equal(after.arrays[path], tensor) == ("running" not in path and "num" not in path), path
    for path, tensor in before.average.items():
        assert torch.equal(after.average[path], tensor), path


def test_a_batch_that_overflows_is_left_out_of_those_that_make_a_step():
    step, ready, _, state = overflowing(accumulate=2)
    assert state.gathered == 0
    assert all(not pending.any() for pending in state.pending.values())
    state.scale.factor = 2.0**-8
    first, second = (ready.train.batch(rows) for rows in (torch.arange(8, 16), torch.arange(16, 24)))
    step.advance(state, first)
    assert (state.gathered, state.memory.count) == (1, 0)
    step.advance(state, second)
    assert (state.gathered, state.memory.count, state.count) == (0, 1, 3)


# Families of layers -------------------------------------------------------------------------------


def attending():
    x = rt.Input(4, 6)
    keys, queries, values = (rt.Linear(6)(x) for _ in range(3))
    weights = rt.Softmax()(rt.Dot()(queries, rt.Transpose((1, 0))(keys)))
    return rt.Graph(rt.Linear(3)(rt.Flatten()(rt.Dot()(weights, values))))


FAMILIES = {
    "linear": (lambda: rt.Chain(rt.Linear(8), rt.GELU(), rt.Linear(3), input=6), (6,)),
    "elementwise": (
        lambda: rt.Chain(
            rt.Linear(8), rt.PReLU(), rt.ELU(), rt.Softplus(), rt.Sigmoid(), rt.Linear(3), input=6
        ),
        (6,),
    ),
    "convolution": (
        lambda: rt.Chain(
            rt.Conv2d(4, 3), rt.BatchNorm(), rt.ReLU(), rt.MaxPool2d(2), rt.Conv2d(4, 2), rt.GlobalAvgPool(),
            rt.Linear(3), input=(2, 8, 8),
        ),
        (2, 8, 8),
    ),
    "one axis": (
        lambda: rt.Chain(rt.Conv1d(4, 3), rt.AvgPool1d(2), rt.Flatten(), rt.Linear(3), input=(2, 8)), (2, 8),
    ),
    "transposed": (
        lambda: rt.Chain(rt.ConvTranspose2d(2, 2, stride=2), rt.Flatten(), rt.Linear(3), input=(1, 3, 3)),
        (1, 3, 3),
    ),
    "norms": (
        lambda: rt.Chain(
            rt.Linear(8), rt.LayerNorm(), rt.RMSNorm(), rt.GroupNorm(2), rt.BatchNorm(), rt.Linear(3), input=6
        ),
        (6,),
    ),
    "dropout": (lambda: rt.Chain(rt.Linear(16), rt.Dropout(0.2), rt.Tanh(), rt.Linear(3), input=6), (6,)),
    "residual": (
        lambda: rt.Chain(
            rt.Linear(6), rt.Graph(lambda x: x * rt.Sigmoid()(rt.Linear(6)(x)) + x), rt.Linear(3), input=6
        ),
        (6,),
    ),
    "attention": (attending, (4, 6)),
    "resize": (
        lambda: rt.Chain(rt.Resize(6, 6), rt.Conv2d(2, 3), rt.Flatten(), rt.Linear(3), input=(1, 4, 4)),
        (1, 4, 4),
    ),
    "augmentation": (
        lambda: rt.Chain(
            rt.RandomCrop(5, padding=1), rt.GaussianNoise(0.1), rt.Flatten(), rt.Linear(3), input=(1, 6, 6)
        ),
        (1, 6, 6),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(("precision", "engine"), [("bf16", "walk"), ("bf16", "program"), ("fp16", "walk")])
def test_nets_of_every_family_learn_in_half_precision(name, precision, engine):
    make, shape = FAMILIES[name]
    x = inputs(*shape)
    y = x.reshape(COUNT, -1)[:, :3] * 0.5
    data = (x.numpy(), y.numpy())
    how = {"epochs": 12, "optimizer": rt.Adam(0.01), "validation": data}
    run = trained(make(), data, precision=precision, engine=engine, **how)
    plain = trained(make(), data, engine="walk", **how)
    assert run.settings["engine"].startswith(engine)
    for path, tensor in run.last.arrays.items():
        assert tensor.dtype == plain.last.arrays[path].dtype, path
        assert tensor.isfinite().all(), path
    losses = [entry["val_loss"] for entry in run.history]
    assert losses[-1] < 0.95 * losses[0]
    assert losses[-1] == pytest.approx(plain.history[-1]["val_loss"], rel=0.1)
    assert losses != [entry["val_loss"] for entry in plain.history]


@pytest.mark.parametrize(("precision", "engine"), [("bf16", "walk"), ("bf16", "program"), ("fp16", "walk")])
def test_words_and_labels_learn_in_half_precision(precision, engine):
    net = rt.Chain(
        rt.Embedding(8, classes=20), rt.Flatten(), rt.Linear(3), rt.Softmax(),
        input=(4,), output=rt.Classes(["a", "b", "c"]),
    )  # fmt: skip
    x = torch.randint(0, 20, (COUNT, 4), generator=torch.Generator().manual_seed(0))
    data = (x.numpy(), [["a", "b", "c"][int(n) % 3] for n in x[:, 0]])
    how = {"precision": precision, "engine": engine, "epochs": 12, "optimizer": rt.Adam(0.03)}
    run = trained(net, data, **how)
    assert run.history[-1]["loss"] < 0.5 * run.history[0]["loss"]
    assert {tensor.dtype for tensor in run.last.arrays.values()} == {torch.float32}


# Arguments ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("float32", "float32"), ("fp32", "float32"), ("Float32", "float32"), ("bf16", "bf16"),
        ("bfloat16", "bf16"), ("mixed_bfloat16", "bf16"), ("bf16-mixed", "bf16"), ("fp16", "fp16"),
        ("float16", "fp16"), ("half", "fp16"), ("mixed_float16", "fp16"), ("16-mixed", "fp16"),
    ],
)  # fmt: skip
def test_precisions_go_by_the_names_of_pytorch_keras_and_lightning(given, name):
    assert read_precision(given) == Precision(name)


KNOWN = "train: precision is 'float32', 'bf16', 'fp16'; got "
LEAVE = "\n  fix   leave precision out for float32; a net with float64 arrays is trained in float64"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"precision": "fp8"}, f"{KNOWN}'fp8'.{LEAVE}"),
        ({"precision": "bf61"}, f"{KNOWN}'bf61'. Did you mean 'bf16'?{LEAVE}"),
        ({"precision": 16}, f"{KNOWN}16. Did you mean 'fp16'?{LEAVE}"),
        ({"precision": None}, f"{KNOWN}None.{LEAVE}"),
        ({"precision": ""}, f"{KNOWN}''.{LEAVE}"),
        ({"precision": torch.bfloat16}, f"{KNOWN}torch.bfloat16.{LEAVE}"),
        (
            {"precision": "fp16", "engine": "program"},
            'fp16 skips steps that overflow\n  fix   engine="walk", or leave engine out',
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_what_is_no_precision_is_refused(how, said):
    with pytest.raises(rt.Error) as caught:
        trained(dense(), (inputs(5).numpy(), labels().numpy()), **how)
    assert str(caught.value) == said


def test_fp16_is_walked_and_says_so():
    run = trained(dense(), (inputs(5).numpy(), labels().numpy()), precision="fp16", engine="auto", epochs=10)
    assert run.settings["engine"] == "walk: fp16 skips steps that overflow"
