"""Going on from a checkpoint: the bits of a training that was never stopped, whatever it consists of."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import retia as rt
from retia.formats.checkpoint import read_checkpoint

OPTIMIZERS = [
    rt.SGD(0.05), rt.SGD(0.05, momentum=0.9, nesterov=True), rt.Adagrad(0.05), rt.Adadelta(0.5),
    rt.RMSprop(0.01), rt.Adam(0.01), rt.Adam(0.01, amsgrad=True), rt.AdamW(0.01), rt.NAdam(0.01),
    rt.RAdam(0.01), rt.Adamax(0.01), rt.Lion(1e-3), rt.SignSGD(1e-3, momentum=0.9),
]  # fmt: skip

FORMS = {
    "norm and dropout": {},
    "augmentation": {"augmented": True, "mix": rt.MixUp(0.4)},
    "accumulation": {"accumulate": 2, "clip_norm": 0.5},
    "average": {"ema": 0.9, "schedule": rt.OnPlateau(patience=1)},
    "penalties": {
        "l2": 1e-3,
        "l1": {"body.weight": 1e-4},
        "clip_value": 0.05,
        "schedule": rt.CosineDecay(warmup=3),
    },
    "turns": {"turns": ["body", ["norm", "head"]], "rates": {"head": 0.5, "*": 1}},
    "frozen": {"rates": {"body": 0, "*": 1}},
    "stopping": {"stop": rt.EarlyStopping(patience=2, on="val_accuracy"), "metrics": ["f1", "auc"]},
    "half": {"precision": "bf16"},
}


def pictures(count=44):
    drawn = np.random.default_rng(0)
    x = drawn.normal(size=(count, 1, 6, 6)).astype(np.float32)
    return x, (x.mean((1, 2, 3)) > 0).astype(np.int64)


def net(augmented=False):
    layers = {
        "body": rt.Conv2d(3, 3), "norm": rt.BatchNorm(), "relu": rt.ReLU(), "drop": rt.Dropout(0.3),
        "flat": rt.Flatten(), "head": rt.Linear(2), "end": rt.Softmax(),
    }  # fmt: skip
    if augmented:
        layers = {"crop": rt.RandomCrop(5, padding=1), "noise": rt.GaussianNoise(0.1)} | layers
    return rt.Chain(layers, input=(1, 6, 6))


def trained(how, **more):
    how = {"epochs": 3, "batch_size": 8, "validation": 0.2, "progress": False, "seed": 5, **how, **more}
    return rt.train(net(how.pop("augmented", False)), pictures(), **how)


def timeless(history):
    return [
        {k: v for k, v in entry.items() if k not in ("seconds", "examples_per_second")} for entry in history
    ]


def same(ours, theirs):
    for one, other in ((ours.net, theirs.net), (ours.last, theirs.last)):
        assert [*one.arrays] == [*other.arrays]
        for path, array in other.arrays.items():
            assert torch.equal(one.arrays[path], array), path
    assert timeless(ours.history) == timeless(theirs.history)
    assert (ours.best_epoch, ours.why) == (theirs.best_epoch, theirs.why)


class AtStep:
    """Ends a training after one more step, or so many."""

    def __init__(self, steps=1):
        self.left = steps

    def step(self, view):
        self.left -= 1
        return "stop" if self.left == 0 else None


def in_pieces(how, folder, stops):
    """A training that is ended after every step, and gone on with."""
    for number in range(1000):
        run = trained(how, checkpoint=folder, resume=number > 0, callbacks=AtStep(stops(number)))
        if "said stop after step" not in run.why:
            return run
    raise AssertionError("it never ended")


def check(how, folder, engine):
    how = {**how, "engine": engine}
    whole = trained(how)
    same(in_pieces(how, folder, lambda number: 1), whole)


@pytest.mark.parametrize("engine", ["walk", "program"])
@pytest.mark.parametrize("form", FORMS)
def test_a_training_that_is_stopped_after_every_step_ends_with_the_same_bits(form, engine, tmp_path):
    check(FORMS[form], tmp_path / "run", engine)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_so_it_does_with_every_optimizer(optimizer, tmp_path, full):
    for form in FORMS if full else ["norm and dropout"]:
        for engine in ("walk", "program") if full else ("program",):
            check({**FORMS[form], "optimizer": optimizer}, tmp_path / f"{form} {engine}", engine)


def test_so_it_does_with_lbfgs_and_with_scaled_losses(tmp_path):
    lbfgs = {"optimizer": rt.LBFGS(0.5, max_iter=4), "batch_size": 12}
    same(in_pieces(lbfgs, tmp_path / "a", lambda number: 1), trained(lbfgs))
    half = {"precision": "fp16", "epochs": 2}
    same(in_pieces(half, tmp_path / "b", lambda number: 1), trained(half))


def test_a_training_may_be_stopped_at_any_step_of_its_middle(tmp_path):
    whole = trained({})
    for stops in (3, 7, 11):
        same(in_pieces({}, tmp_path / str(stops), lambda number, stops=stops: stops), whole)


def test_ten_epochs_and_then_ten_more_are_twenty(tmp_path):
    for how in ({}, {"schedule": rt.StepDecay(2)}, {"engine": "program"}):
        folder = tmp_path / str(len(how)) / next(iter(how), "plain")
        first = trained(how, epochs=4, checkpoint=folder)
        assert first.why == "all 4 epochs done"
        more = trained(how, epochs=7, checkpoint=folder, resume=True)
        whole = trained(how, epochs=7)
        assert timeless(more.history) == timeless(whole.history)
        assert all(torch.equal(more.last.arrays[p], a) for p, a in whole.last.arrays.items())
        assert more.settings["resumed"].startswith("after step 20 (epoch 4), from ")


def test_where_a_schedule_looks_at_the_whole_run_that_is_said(tmp_path, capfd):
    trained({"schedule": "cosine"}, epochs=2, checkpoint=tmp_path)
    trained({"schedule": "cosine"}, epochs=3, checkpoint=tmp_path, resume=True, progress=None)
    said = " ".join(capfd.readouterr().err.split())
    assert (
        "CosineDecay() looks at how long a training is: 2 epochs and then up to 3 are not 3 at once" in said
    )


def test_a_finished_training_is_answered_as_it_was(tmp_path):
    first = trained({}, checkpoint=tmp_path)
    again = trained({}, checkpoint=tmp_path, resume=True)
    same(again, first)
    assert again.seconds >= first.history[-1]["seconds"]


def test_an_empty_folder_begins_anew(tmp_path):
    same(trained({}, checkpoint=tmp_path / "new", resume=True), trained({}))


def test_another_training_is_refused_with_what_differs(tmp_path):
    trained({}, checkpoint=tmp_path, epochs=1)
    with pytest.raises(rt.ArgumentError) as caught:
        trained({"optimizer": rt.SGD(0.1), "batch_size": 4}, checkpoint=tmp_path, resume=True)
    assert "it differs in batch_size, optimizer" in str(caught.value)
    with pytest.raises(rt.ArgumentError, match="holds a training of 5 steps"):
        trained({}, checkpoint=tmp_path)
    x, y = pictures()
    with pytest.raises(rt.ArgumentError, match="differs in training examples"):
        rt.train(net(), (x + 1, y), epochs=3, batch_size=8, validation=0.2, progress=False, seed=5,
                 checkpoint=tmp_path, resume=True)  # fmt: skip


def test_resume_needs_a_folder():
    with pytest.raises(rt.ArgumentError, match="resume=True goes on from a checkpoint, and there is none"):
        trained({}, resume=True)


def test_one_that_is_damaged_is_passed_over_and_that_is_said(tmp_path, capfd):
    whole = trained({})
    in_part = trained({}, checkpoint=tmp_path, callbacks=AtStep(12))
    assert in_part.why == "AtStep said stop after step 12 (epoch 3)"
    newest = read_checkpoint(tmp_path).path
    newest.write_bytes(newest.read_bytes()[:-7])
    run = trained({}, checkpoint=tmp_path, resume=True, progress=None)
    same(run, whole)
    assert "Going on from step 10, the one before." in " ".join(capfd.readouterr().err.split())


def test_a_full_disk_leaves_the_checkpoint_and_the_training(tmp_path):
    resource = pytest.importorskip("resource")
    trained({}, checkpoint=tmp_path, epochs=1)
    before = read_checkpoint(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
        with pytest.warns(rt.RetiaWarning, match="The training goes on; checkpoints that are there stay"):
            run = trained({}, checkpoint=tmp_path, resume=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, old)
    same(run, trained({}))
    assert read_checkpoint(tmp_path).step == before.step
    same(trained({}, checkpoint=tmp_path, resume=True), run)


# What goes wrong ----------------------------------------------------------------------------------


def test_a_loss_that_is_not_finite_leaves_the_step_to_be_done_again(tmp_path):
    with pytest.raises(rt.TrainingError) as caught:
        trained({"optimizer": rt.SGD(1e30)}, checkpoint=tmp_path, engine="walk")
    (file,) = tmp_path.glob("replay-*")
    assert f"rt.replay({str(file)!r}) does the step again" in str(caught.value)
    found = rt.replay(file)
    assert found.first is not None
    assert found.first.path in str(caught.value) or found.first.label in str(caught.value)


def test_a_step_in_which_something_fails_can_be_done_again(tmp_path):
    calls = []

    def picky(output, target):
        calls.append(len(output))
        if len(calls) == 9:
            raise RuntimeError("the ninth is too much")
        return (output.log_softmax(1).gather(1, target.unsqueeze(1)).squeeze(1)).neg()

    with pytest.raises(RuntimeError, match="the ninth is too much") as caught:
        trained({"loss": picky}, checkpoint=tmp_path, engine="walk")
    (note,) = caught.value.__notes__
    (file,) = tmp_path.glob("replay-*")
    assert note == f"rt.replay({str(file)!r}) does the step again, layer by layer"
    assert rt.replay(file, loss=picky).why == "RuntimeError: the ninth is too much"


def test_a_callback_that_fails_loses_nothing(tmp_path):
    def fails(view):
        if view.epoch == 2:
            raise KeyError("gone")

    with pytest.raises(rt.TrainingError, match="The callback fails failed after epoch 2: KeyError: 'gone'"):
        trained({}, checkpoint=tmp_path, callbacks=fails)
    same(trained({}, checkpoint=tmp_path, resume=True), trained({}))


SCRIPT = """
import sys, time, json
sys.path[:0] = json.loads(sys.argv[3])
import retia as rt
import test_resume as here
print("up", flush=True)

class Slow:
    def step(self, view):
        print(view.step, flush=True)
        time.sleep(0.01)

run = here.trained({"epochs": int(sys.argv[2])}, checkpoint=sys.argv[1], resume=True, callbacks=Slow())
print("done", run.last.hash, len(run.history), flush=True)
"""


def started(folder, epochs=6):
    places = [str(Path(__file__).parent), *sys.path]
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder), str(epochs), json.dumps(places)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def test_sigterm_finishes_the_step_writes_and_exits_143(tmp_path):
    process = started(tmp_path)
    seen = 0
    while seen < 8:
        line = process.stdout.readline().strip()
        seen = int(line) if line.isdigit() else seen
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert read_checkpoint(tmp_path).step >= 8
    out, err = started(tmp_path).communicate(timeout=60)
    assert f"done {trained({'epochs': 6}).last.hash} 6" in out, err


def test_a_training_that_is_killed_again_and_again_loses_no_epoch(tmp_path, full):
    expected = trained({"epochs": 6}).last.hash
    drawn = random.Random(0)
    kills, wanted, round_ = 0, 200 if full else 3, 0
    while kills < wanted:
        folder = tmp_path / str(round_)
        done = 0
        while True:
            process = started(folder)
            steps = drawn.randrange(1, 9)
            told = []
            for line in process.stdout:
                told.append(line.strip())
                if told[-1].startswith("done"):
                    break
                if len(told) > steps:
                    time.sleep(drawn.random() * 0.02)
                    process.kill()
                    break
            process.wait(timeout=60)
            process.stdout.close()
            process.stderr.close()
            if told and told[-1].startswith("done"):
                assert told[-1] == f"done {expected} 6"
                break
            kills += 1
            last = max((int(each) for each in told if each.isdigit()), default=0)
            whole = (last - 1) // 5 * 5  # an epoch is written when its last step was told
            kept = read_checkpoint(folder).step if max(whole, done) else 0
            assert kept >= max(whole, done), told
            done = kept
        round_ += 1


def test_many_nets_have_a_folder_each(tmp_path):
    how = {"seed": [3, 4], "epochs": 2}
    trained({**how, "epochs": 1}, checkpoint=tmp_path)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["net-0", "net-1"]
    more = trained(how, checkpoint=tmp_path, resume=True)
    for run, seed in zip(more, (3, 4), strict=True):
        same(run, trained({"seed": seed, "epochs": 2}))


def test_where_more_epochs_would_be_a_program_that_is_said(tmp_path, capfd):
    trained({}, epochs=2, checkpoint=tmp_path)
    trained({}, epochs=12, checkpoint=tmp_path, resume=True, progress=None)
    said = " ".join(capfd.readouterr().err.split())
    assert "the walk of 2 epochs goes on; 12 at once would be a program, with other bits" in said
