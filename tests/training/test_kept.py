"""What is kept at a cut: the same training in less work, wherever it is kept."""

import errno
import os
import tempfile

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import retia as rt
from retia import _atomic
from retia.errors import FileError, RetiaWarning
from retia.sources import feeds
from retia.training import kept
from retia.training.prepare import prepare
from retia.training.rates import read_rates
from retia.training.step import Step
from retia.zoo.efficientnet import efficientnet_lite0

RATES = {"head": 1, "*": 0}


def pictures(n=60, seed=0):
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 3, n)
    return (draw.integers(0, 100, (n, 8, 8)) + 50 * labels[:, None, None]).astype("uint8"), labels


def net(body=None, **how):
    body = rt.Chain(rt.Conv2d(4, 3), rt.BatchNorm(), rt.ReLU(), rt.Dropout(0.3)) if body is None else body
    made = rt.Chain(
        body=body, pool=rt.GlobalAvgPool(),
        head=rt.Chain(rt.Linear(8), rt.Dropout(0.2), rt.Linear(), rt.Softmax()),
        input=rt.Image(8, 8, color="gray", **how), output=rt.Classes(range(3)),
    )  # fmt: skip
    return made.init(seed=1)


def trained(net, data, **how):
    return rt.train(net, data, **{"rates": RATES, "batch_size": 16, "progress": False, **how})


def numbers(run):
    return [[e[k] for k in ("loss", "accuracy", "val_loss", "val_accuracy") if k in e] for e in run.history]


def apart(run, other):
    """How far two trainings are apart: in their histories, and in their arrays."""
    arrays = [(run.last.arrays[path] - array).float().norm() for path, array in other.last.arrays.items()]
    return max(np.abs(np.array(numbers(run)) - np.array(numbers(other))).max(), float(max(arrays)))


@pytest.fixture
def few(monkeypatch):
    """Chunks of four examples, so that few examples repay a program."""
    monkeypatch.setattr(kept, "MOST", 4)


# The same training --------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["walk", "program"])
def test_it_is_the_same_training_as_without(engine, few):
    before = net()
    how = {"epochs": 8, "validation": 0.25, "engine": engine}
    run, plain = (trained(before, pictures(), cache=cache, **how) for cache in (True, False))
    assert (
        run.settings["frozen"]
        == "4 of 8 arrays; 5 layers computed once for 60 examples, 960 B kept in memory"
    )
    assert plain.settings["frozen"] == "4 of 8 arrays; nothing kept: cache=False"
    assert plain.history[-1]["loss"] < plain.history[0]["loss"]
    assert apart(run, plain) < 1e-5
    for path, array in before.arrays.items():
        assert torch.equal(run.net.arrays[path], array) == (not path.startswith("head"))


def test_layers_before_the_cut_see_every_example_once():
    seen = []

    @rt.layer
    class Seen(rt.Layer):
        """Counts examples."""

        signature = "*s -> *s"

        def forward(self, x):
            seen.append(len(x))
            return x

    body = rt.Chain(Seen(), rt.Conv2d(4, 3))
    trained(net(body), pictures(), epochs=5, validation=0.25, engine="walk")
    assert sum(seen) == 60 + 1  # and one to find the cut by


@pytest.mark.parametrize("number", [30, 32, 5])
def test_what_is_kept_is_what_the_walk_gives(number, few):
    before = net()
    data = rt.data(pictures(number))
    ready, step = prepared(before, data)
    after = kept.with_kept(ready, step, 2, True)
    (value,) = after.train.batch(torch.arange(1)).given
    assert value == ("pool", "output")
    given = after.train.batch(torch.arange(number)).given[value]
    expected = before[:2](pictures(number)[0], None)
    assert torch.allclose(given, expected, rtol=1e-5, atol=1e-5)
    assert not after.train.batch(torch.arange(1)).inputs
    assert torch.equal(
        after.train.batch(torch.tensor([3])).targets["output"], torch.tensor(pictures()[1][3:4])
    )


def prepared(net, data, rates=RATES):
    ready = prepare(net, data, 0, None, 0, torch.device("cpu"))
    return ready, Step(ready.net, ready.objective, rt.SGD(0.1), 0, read_rates(ready.net, rates))


def test_layers_that_decide_by_numbers_are_walked(few):
    @rt.layer
    class Deciding(rt.Layer):
        """Negated where the first number is positive."""

        signature = "*s -> *s"

        def forward(self, x):
            return -x if x.flatten()[0] > 0 else x

    before = net(rt.Chain(rt.Conv2d(4, 3), Deciding()))
    run, plain = (trained(before, pictures(), batch_size=1, epochs=1, cache=cache) for cache in (True, False))
    assert "3 layers computed once" in run.settings["frozen"]
    assert len(run.history) == len(plain.history) == 1


def test_inputs_that_are_still_read_stay():
    two = rt.Graph(
        {"a": rt.Linear(5), "tanh": rt.Tanh(), "b": rt.Linear(5), "plus": rt.Plus(), "head": rt.Linear(1)},
        "left -> a -> tanh -> plus", "right -> b -> plus -> head", input={"left": 3, "right": 2},
    ).init()  # fmt: skip
    draw = np.random.default_rng(0)
    data = {
        "left": draw.normal(size=(40, 3)),
        "right": draw.normal(size=(40, 2)),
        "output": draw.normal(size=(40, 1)),
    }
    for engine in ("walk", "program"):
        how = {"rates": {"a": 0}, "epochs": 4, "validation": 0.2, "engine": engine}
        run, plain = (trained(two, data, cache=cache, **how) for cache in (True, False))
        assert "2 layers computed once for 40 examples, 800 B kept" in run.settings["frozen"]
        assert apart(run, plain) < 1e-5


def test_data_that_is_packed_when_it_is_asked_for_gives_the_same(monkeypatch):
    how = {"epochs": 2, "validation": 0.25}
    expected = trained(net(), pictures(), **how)
    monkeypatch.setattr(feeds, "free_memory", lambda: 0)
    assert apart(trained(net(), pictures(), **how), expected) == 0
    assert apart(trained(net(), pictures(), cache=False, **how), expected) < 1e-5


def test_columns_beside_what_is_kept_may_be_packed_when_they_are_asked_for():
    data = rt.data({"a": np.arange(6), "b": np.arange(6) * 2})
    resident = feeds.resident(feeds.columns(data, {"a": feeds.numbers}))
    streaming = feeds.StreamingFeed(data, {"b": feeds.numbers})
    both = feeds.joined(resident, streaming)
    assert (len(both), both.names) == (6, ("a", "b"))
    rows = torch.tensor([4, 1])
    assert {name: t.tolist() for name, t in both.take(rows).items()} == {"a": [4, 1], "b": [8, 2]}
    streamed = [{name: t.tolist() for name, t in each.items()} for each in both.stream([rows, rows[:1]])]
    assert streamed == [{"a": [4, 1], "b": [8, 2]}, {"a": [4], "b": [8]}]
    assert isinstance(feeds.joined(resident, resident), feeds.ResidentFeed)


# What is said -------------------------------------------------------------------------------------


def test_settings_say_why_nothing_is_kept():
    def told(net, **how):
        return trained(net, pictures(), **{"epochs": 1, **how}).settings["frozen"]

    assert told(net(), rates=None) == "nothing"
    assert told(net(), rates={"head": 2}) == "nothing"
    assert told(net(), epochs=0) == "4 of 8 arrays; nothing kept: no epochs"
    first = rt.Chain(rt.Dropout(0.5), rt.Conv2d(4, 3))
    assert told(net(first), rates={"body.1": 0}) == (
        "2 of 6 arrays; nothing kept: body.0 (Dropout()), before the frozen layers, draws anew in every step"
    )
    run = trained(net(), pictures(), epochs=1)
    assert "frozen         4 of 8 arrays; 5 layers computed once" in str(run)


@pytest.mark.parametrize(("given", "told"), [(None, "None"), (1, "1"), ("", "''"), (["a"], r"\['a'\]")])
def test_what_is_no_cache_is_refused(given, told):
    with pytest.raises(rt.ArgumentError, match=f"train: cache is True, False or a folder; got {told}"):
        trained(net(), pictures(), cache=given)


def test_a_row_that_is_not_finite_is_still_named(monkeypatch):
    x = np.ones((30, 4), "float32")
    x[17, 2] = np.inf
    chain = rt.Chain(body=rt.Linear(3), head=rt.Linear(1), input=4)
    for memory in (2**30, 0):
        monkeypatch.setattr(feeds, "free_memory", lambda memory=memory: memory)
        with pytest.raises(rt.DataError, match="input: row 17 holds inf"):
            trained(chain, (x, x[:, :1]), epochs=1)


def test_a_layer_before_the_cut_that_overflows_is_named():
    chain = rt.Chain(body=rt.Linear(3), head=rt.Linear(1), input=1).init()
    chain = chain.with_arrays({"body.weight": torch.full((3, 1), 3e38)})
    x = np.full((20, 1), 10.0)
    for validation in (0, (x, x)):
        with pytest.raises(
            rt.TrainingError, match=r"first layer whose output is not finite is body \(Linear\(3\)\)"
        ):
            trained(chain, (x, x), epochs=1, validation=validation)


# Where it is kept ---------------------------------------------------------------------------------


def test_what_does_not_fit_into_memory_is_in_a_file_that_leaves_nothing_behind(monkeypatch, tmp_path):
    how = {"epochs": 2, "validation": 0.25}
    expected = trained(net(), pictures(), **how)
    monkeypatch.setattr(kept, "free_memory", lambda: 0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    run = trained(net(), pictures(), **how)
    assert run.settings["frozen"].endswith("960 B kept in a file, for they would not fit into memory")
    assert apart(run, expected) == 0
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("fallocate", [True, False])
def test_room_in_a_file_is_zeros_that_can_be_written(fallocate, monkeypatch):
    if not fallocate:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    room = kept.in_file((300_000, 2), torch.float32)
    assert room.shape == (300_000, 2)
    assert not room.any()
    room.index_copy_(0, torch.tensor([299_999]), torch.tensor([[1.0, 2.0]]))
    assert room[299_999].tolist() == [1.0, 2.0]


def test_too_few_epochs_do_not_repay_a_file(monkeypatch):
    monkeypatch.setattr(kept, "free_memory", lambda: 0)
    run = trained(net(), pictures(), epochs=1)
    assert run.settings["frozen"] == "4 of 8 arrays; nothing kept: too few epochs to write 960 B into a file"


def test_without_room_anywhere_the_whole_net_is_trained(monkeypatch):
    expected = trained(net(), pictures(), epochs=2, cache=False)
    monkeypatch.setattr(kept, "free_memory", lambda: 0)
    monkeypatch.setattr(kept, "free_disk", lambda: 0)
    run = trained(net(), pictures(), epochs=2)
    assert run.settings["frozen"].endswith("nothing kept: 960 B fit neither into memory nor on the disk")
    assert apart(run, expected) == 0


def test_a_disk_that_is_fuller_than_it_said_is_survived(monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(kept, "free_memory", lambda: 0)
    monkeypatch.setattr(kept, "_reserve", full)
    run = trained(net(), pictures(), epochs=2)
    assert run.settings["frozen"].endswith("nothing kept: 960 B fit neither into memory nor on the disk")
    assert len(run.history) == 2


def test_where_the_best_cut_has_no_room_an_earlier_one_may(monkeypatch):
    chain = rt.Chain(a=rt.Linear(2), b=rt.Linear(90), head=rt.Linear(1), input=3).init()
    x = np.random.default_rng(0).normal(size=(40, 3))
    how = {"rates": {"head": 1, "*": 0}, "epochs": 3}
    expected = trained(chain, (x, x[:, :1]), **how)
    monkeypatch.setattr(kept, "free_memory", lambda: 4 * 40 * 4 * 10)
    monkeypatch.setattr(kept, "free_disk", lambda: 0)
    run = trained(chain, (x, x[:, :1]), **how)
    assert run.settings["frozen"] == (
        "4 of 6 arrays; 1 layer computed once for 40 examples, 320 B kept in memory; "
        "cut early, for later there is no room for 14.4 kB"
    )
    assert apart(run, expected) < 1e-5


# Between runs -------------------------------------------------------------------------------------


def found(run):
    told = run.settings["frozen"]
    return int(told[told.index("(") + 1 :].split()[0])


def test_a_folder_keeps_it_between_runs(tmp_path):
    folder = tmp_path / "new" / "cache"
    how = {"epochs": 2, "validation": 0.25, "cache": folder}
    first, second = (trained(net(), pictures(), **how) for _ in range(2))
    assert (
        f"5 layers computed once for 60 examples (0 of them found in {folder}), 960 B"
        in first.settings["frozen"]
    )
    assert (found(first), found(second)) == (0, 60)
    assert apart(first, second) == 0
    assert apart(second, trained(net(), pictures(), **{**how, "cache": False})) < 1e-5


def test_only_what_is_new_is_computed(tmp_path):
    x, y = pictures(80)
    trained(net(), (x[:60], y[:60]), epochs=1, cache=tmp_path)
    more = trained(net(), (x, y), epochs=1, cache=tmp_path)
    assert found(more) == 60
    assert apart(more, trained(net(), (x, y), epochs=1)) < 1e-6
    changed = x.copy()
    changed[7, 0, 0] += 1
    assert found(trained(net(), (changed, y), epochs=1, cache=tmp_path)) == 79
    shuffled = np.random.default_rng(0).permutation(80)
    assert found(trained(net(), (x[shuffled], y[shuffled]), epochs=1, cache=tmp_path)) == 80


def test_layers_are_known_by_what_they_are_and_not_by_their_names(tmp_path):
    before = net()
    trained(before, pictures(), epochs=1, cache=tmp_path)
    renamed = rt.Chain(
        trunk=before["body"], mean=before["pool"], classifier=rt.Chain(rt.Linear(), rt.Softmax()),
        input=before.input, output=rt.Classes(range(3)),
    )  # fmt: skip
    rates = {"classifier": 1, "*": 0}
    assert found(trained(renamed, pictures(), epochs=1, rates=rates, cache=tmp_path)) == 60
    other = before.with_arrays({"body.0.bias": before.arrays["body.0.bias"] + 1})
    assert found(trained(other, pictures(), epochs=1, cache=tmp_path)) == 0
    scaled = net(normalize=(0.5, 0.25)).with_arrays(before.arrays)
    assert found(trained(scaled, pictures(), epochs=1, cache=tmp_path)) == 0


def test_files_that_are_damaged_or_strange_are_passed_over(tmp_path):
    first = trained(net(), pictures(), epochs=1, cache=tmp_path)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    for damaged in (
        whole[:-1],
        whole[:-1] + bytes([whole[-1] ^ 1]),
        b"",
        whole[:50],
        whole.replace(b"keys", b"kyes"),
    ):
        for each in tmp_path.iterdir():
            each.unlink()
        file.write_bytes(damaged)
        again = trained(net(), pictures(), epochs=1, cache=tmp_path)
        assert found(again) == 0
        assert apart(again, first) == 0
        assert found(trained(net(), pictures(), epochs=1, cache=tmp_path)) == 60
    (tmp_path / "notes.txt").write_text("mine")
    assert found(trained(net(), pictures(), epochs=1, cache=tmp_path)) == 60


def test_what_is_kept_is_a_safetensors_file(tmp_path):
    trained(net(), pictures(), epochs=1, cache=tmp_path)
    (file,) = tmp_path.glob("*.safetensors")
    arrays = load_file(file)
    assert {name: (t.dtype, tuple(t.shape)) for name, t in arrays.items()} == {
        "keys": (torch.uint8, (60, 32)), "0": (torch.float32, (60, 4)), "sha256": (torch.uint8, (32,)),
    }  # fmt: skip


def test_a_folder_that_cannot_be_written_to_is_warned_of_and_does_not_stop_the_run(tmp_path, monkeypatch):
    def full(path, chunks):
        raise FileError(f"{path}: could not be written: No space left on device.")

    monkeypatch.setattr(_atomic, "write", full)
    with pytest.warns(
        RetiaWarning, match="What the frozen layers give is not kept: .*No space left on device"
    ):
        run = trained(net(), pictures(), epochs=1, cache=tmp_path)
    assert len(run.history) == 1


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot be made as a folder: File exists"):
        trained(net(), pictures(), epochs=1, cache=tmp_path / "file")


def test_data_that_is_not_resident_is_kept_and_checked_too(tmp_path, monkeypatch):
    monkeypatch.setattr(feeds, "free_memory", lambda: 0)
    runs = [trained(net(), pictures(), epochs=1, cache=tmp_path) for _ in range(2)]
    assert [*map(found, runs)] == [0, 60]
    chain = rt.Chain(body=rt.Linear(3), head=rt.Linear(1), input=4)
    with pytest.raises(rt.DataError, match="input: row 2 holds nan"):
        trained(chain, (np.array([[1, 2, 3, 4.0], [1] * 4, [np.nan] * 4]), np.ones((3, 1))), cache=tmp_path)


@pytest.mark.full
def test_a_new_head_on_a_real_trunk_learns_what_it_would_without():
    draw = torch.Generator().manual_seed(0)
    x = (torch.rand(40, 3, 7, 7, generator=draw) * 255).to(torch.uint8)
    x = torch.nn.functional.interpolate(x, scale_factor=32).permute(0, 2, 3, 1).contiguous()
    trunk = efficientnet_lite0(labels=None)[:-2].init(seed=0)
    pets = rt.Chain(
        feature=trunk, classifier=rt.Linear(), probabilities=rt.Softmax(), output=rt.Classes(["cat", "dog"])
    )
    data = (x, ["cat", "dog"] * 20)
    how = {"rates": {"classifier": 1, "*": 0}, "epochs": 2, "validation": 0.2}
    run, plain = trained(pets, data, **how), trained(pets, data, engine="walk", cache=False, **how)
    assert "142 layers computed once for 40 examples, 204.8 kB kept in memory" in run.settings["frozen"]
    assert np.allclose(numbers(run), numbers(plain), rtol=1e-5, atol=1e-5)
    assert all(torch.equal(run.last.arrays[f"feature.{path}"], array) for path, array in trunk.arrays.items())
