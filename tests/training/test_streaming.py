"""Training on data that stream: the numbers are those of data in memory, and waiting is told."""

import subprocess
import sys
import time

import numpy as np
import pytest
import torch

import retia as rt
from retia.sources import feeds
from retia.sources.feeds import StreamingFeed, feed, free_memory, numbers
from retia.training.progress import tell

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4)).astype(np.float32)
Y = [("a", "b", "c")[n % 3] for n in range(300)]


def net():
    return rt.Chain(
        rt.Linear(8), rt.Tanh(), rt.Linear(3), rt.Softmax(), input=4, output=rt.Classes(["a", "b", "c"])
    )


@pytest.mark.parametrize("engine", ["walk", "program"])
def test_streamed_data_give_the_bits_of_data_in_memory(engine):
    how = dict(epochs=3, batch_size=32, validation=0.2, engine=engine, progress=False)
    kept = rt.train(net(), rt.data((X, Y)), **how)
    streamed = rt.train(net(), rt.data((X, Y)).stream(), **how)
    assert streamed.net == kept.net
    assert [e["val_loss"] for e in streamed.history] == [e["val_loss"] for e in kept.history]
    assert all(0 <= entry["waiting"] <= 1 for entry in streamed.history)
    assert "waiting" not in kept.history[0]


def test_streaming_stays_with_what_is_made_of_a_set():
    data = rt.data({"train": (X, Y), "test": (X, Y)}).stream()
    assert data.test.streams
    first, second = data.train.shuffle(1).split(0.5)
    assert first.streams
    assert second.filter(output="a".__eq__).streams
    assert not data.stream(False).test.streams
    assert feed(data.train, {"input": numbers}).streams
    assert feed(data.train.stream(False), {"input": numbers}).streams is False


def test_the_share_of_waiting_is_the_time_that_packing_holds_a_training_up():
    def slow(thing):
        time.sleep(0.002)
        return thing

    data = rt.data((X[:64], Y[:64])).map(input=slow).stream()
    entry = rt.train(net(), data, epochs=1, batch_size=16, validation=0, progress=False).history[0]
    assert 0 < entry["waiting"] <= 1


def test_waiting_is_told_where_it_is_worth_it():
    assert tell({"loss": 1.0, "waiting": 0.31}) == "loss 1  waiting for data 31%"
    assert tell({"loss": 1.0, "waiting": 0.01}) == "loss 1"


def test_feeds_that_are_made_of_others_pass_the_waiting_on():
    streaming = StreamingFeed(rt.data((X, Y)), {"input": numbers})
    [*streaming.stream(torch.arange(300).split(50))]
    streaming._waited += 2.0
    part = streaming.part(torch.arange(10))
    joined = feeds.joined(part, feed(rt.data((X[:10], Y[:10])), {"input": numbers}))
    assert part.streams
    assert joined.streams
    assert joined.waited() == part.waited() == streaming.waited() >= 2.0


LIMITED = """
import resource
import retia as rt
from retia.sources.feeds import free_memory

before = free_memory()
lines = open("/proc/self/status").read().splitlines()
used = dict(line.split(":", 1) for line in lines)
for name, held in (("RLIMIT_DATA", "VmData"), ("RLIMIT_AS", "VmSize")):
    at = 1024 * int(used[held].split()[0])
    resource.setrlimit(getattr(resource, name), (at + 2**30, resource.RLIM_INFINITY))
    assert 0 <= free_memory() <= 2**30 < before, (name, free_memory())
    resource.setrlimit(getattr(resource, name), (resource.RLIM_INFINITY,) * 2)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are read from /proc")
def test_limits_of_the_process_count_as_memory():
    if free_memory() <= 2**30:
        pytest.skip("there is less than 1 GiB of memory")
    subprocess.run([sys.executable, "-c", LIMITED], check=True)


TENFOLD = """
import resource, sys, threading
import numpy as np
import retia as rt

given, path = 8 * 2**20, sys.argv[1]
threading.stack_size(2**19)  # what stacks may grow to counts as taken
x = np.load(path, mmap_mode="r")
y = np.arange(len(x)) % 10
net = rt.Chain(rt.Flatten(), rt.Linear(10), rt.Softmax(), input=rt.Image(28, 28, color="gray"),
               output=rt.Classes(range(10)))
how = dict(batch_size=256, validation=0, epochs=1, progress=False)
for _ in range(4):  # until what is freed is what is taken again
    rt.train(net, rt.data((x[:2560], y[:2560])).stream(), **how)
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
assert x.nbytes >= 10 * given
resource.setrlimit(resource.RLIMIT_DATA, (1024 * int(status["VmData"].split()[0]) + given,) * 2)
[entry] = rt.train(net, (x, y), **how).history
print("waiting" in entry)
try:
    np.array(x)  # what a set in memory takes
except MemoryError:
    print("does not fit")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are read from /proc")
def test_a_set_of_ten_times_the_memory_is_streamed_without_being_asked(tmp_path):
    place = tmp_path / "many.npy"
    made = np.lib.format.open_memmap(place, "w+", np.uint8, (107_000, 28, 28))
    made[::1000] = RNG.integers(0, 256, made[::1000].shape)
    made.flush()
    asked = [sys.executable, "-c", TENFOLD, str(place)]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.stdout.split("\n") == ["True", "does not fit", ""], done.stderr
