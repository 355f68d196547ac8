"""What is set for the whole process: when, in which threads, and what stays as it was."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest
import torch

import retia as rt
from retia.engine import process as settings
from retia.engine.process import in_words, steady, threads_for

GLIBC = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallinfo2")
NOTE = "; PyTorch was imported before Retia, rt.process(flush_denormals=True, malloc=True) sets them"

LOOK = """
import ctypes, json, os, sys
told = {}

def product(size):
    '''Bits of the smallest float times 1, in parallel; made of bits, for 1e-40 might become 0 before.'''
    import torch
    return (torch.ones(size, dtype=torch.int32).view(torch.float32) * 1.0).view(torch.int32)

def look(name):
    import torch
    told[name] = {
        "threads": torch.get_num_threads(),
        "flushed": [not part.any().item() for part in product(1 << 18).chunk(2)],
        "mapped": mapped(),
        "words": rt.process(),
    }

class Info(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

def mapped():
    '''Whether malloc maps a block of 64 MB of its own: glibc counts these.'''
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallinfo2"):
        return None
    libc.mallinfo2.restype = Info
    libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    before = libc.mallinfo2().hblks
    block = libc.malloc(64 << 20)
    after = libc.mallinfo2().hblks
    libc.free(block)
    return after > before
"""


def told_by(code: str, **environment: str) -> dict[str, Any]:
    """What a fresh interpreter tells in ``told``. It has two threads, and warnings are errors."""
    whole = f"{LOOK}\n{code}\nprint(json.dumps(told))"
    env = {**os.environ, "OMP_NUM_THREADS": "2", **environment}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", whole], capture_output=True, text=True, env=env, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_where_retia_imports_torch_denormals_are_flushed_in_every_thread_and_malloc_keeps_memory() -> None:
    told = told_by("""
import retia as rt
told["mapped before"], told["words before"] = mapped(), rt.process()
told["torch before"] = "torch" in sys.modules
rt.Linear(2, input=3).init(seed=0)
look("now")
told["spin"] = os.environ.get("GOMP_SPINCOUNT")
import numpy as np
told["eps"] = float(np.finfo(np.float32).eps)
told["dynamo"] = "torch._dynamo" in sys.modules
""")
    assert not told["torch before"]
    assert not told["dynamo"]
    assert told["words before"] == "when PyTorch is imported: denormals flushed, malloc's thresholds raised"
    assert told["now"]["threads"] == 2
    assert told["now"]["flushed"] == [True, True]
    assert told["now"]["words"].startswith("denormals flushed, malloc's thresholds ")
    assert told["spin"] is None
    assert told["eps"] == np.finfo(np.float32).eps
    if GLIBC:
        assert told["mapped before"] is True
        assert told["now"]["mapped"] is False
        assert told["now"]["words"] == "denormals flushed, malloc's thresholds raised"


def test_where_torch_was_there_first_nothing_is_touched_until_it_is_asked_for() -> None:
    told = told_by("""
import torch
import retia as rt
run = rt.train(rt.Linear(1, input=1), ([[0.0], [1.0]], [[1.0], [3.0]]), epochs=1, progress=False)
look("untouched")
torch.ones(1 << 18).add(1)  # PyTorch's threads run
told["asked"] = rt.process(flush_denormals=True, malloc=True)
look("asked")
try:
    rt.process(flush_denormals=False, malloc=False)
except rt.ArgumentError as error:
    told["malloc"] = str(error)
try:
    rt.process(spin=2000)
except rt.ArgumentError as error:
    told["spin"] = str(error)
told["off"] = rt.process(flush_denormals=False)
""")
    assert told["untouched"]["flushed"] == [False, False]
    assert told["untouched"]["words"] == "denormals kept, malloc's thresholds left alone" + NOTE
    assert told["asked"]["flushed"] == [True, False]
    assert told["asked"]["words"].startswith("denormals flushed in some threads, malloc's thresholds ")
    assert told["off"].startswith("denormals kept, ")
    assert told["spin"] == (
        "process: spin comes too late, PyTorch has read it.\n"
        "  fix   rt.process(spin=2000) before the first computation and before import torch"
    )
    if GLIBC:
        assert told["untouched"]["mapped"] is True
        assert told["asked"]["mapped"] is False
        assert told["malloc"] == (
            "process: malloc's thresholds are raised already.\n"
            "  fix   rt.process(malloc=False) before the first computation"
        )


def test_each_setting_has_a_switch() -> None:
    told = told_by("""
import retia as rt
told["before"] = rt.process(flush_denormals=False, malloc=False, spin=300)
told["torch"] = "torch" in sys.modules
rt.Linear(2, input=3).init(seed=0)
look("now")
told["spin"] = os.environ["GOMP_SPINCOUNT"]
""")
    assert not told["torch"]
    words = "denormals kept, malloc's thresholds left alone, spin count 300"
    assert told["before"] == f"when PyTorch is imported: {words}"
    assert told["now"]["words"] == words
    assert told["now"]["flushed"] == [False, False]
    assert told["now"]["mapped"] is not False
    assert told["spin"] == "300"


def test_another_thread_flushes_while_it_trains() -> None:
    told = told_by("""
import threading
import retia as rt
early = threading.Event()
def work():
    early.wait()
    from retia.engine.process import steady
    told["outside"] = product(1).item() == 0
    with steady():
        told["inside"] = product(1).item() == 0
other = threading.Thread(target=work)
other.start()  # it began before PyTorch was there, so it inherits nothing
rt.Linear(2, input=3).init(seed=0)
early.set()
other.join()
""")
    assert told == {"outside": False, "inside": True}


def test_arguments_are_refused_before_anything_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "_state", settings._State())
    for wrong, text in (
        ({"flush_denormals": 1}, "process: flush_denormals is True or False; got 1."),
        ({"malloc": "yes"}, "process: malloc is True or False; got 'yes'."),
        ({"spin": -1, "malloc": True}, "process: spin is a whole number of at least 0; got -1."),
    ):
        with pytest.raises(rt.ArgumentError) as caught:
            rt.process(**wrong)
        assert caught.value.message == text
    assert settings._state == settings._State()


def test_the_command_line_sets_all_that_pays_whoever_imported_torch() -> None:
    told = told_by("""
import torch
from retia.cli import main
import retia as rt
torch.ones(1)  # none of PyTorch's threads runs yet
sys.argv = ["retia", "--version"]
sys.stdout, out = sys.stderr, sys.stdout
try:
    main()
except SystemExit as left:
    told["status"] = left.code
sys.stdout = out
look("now")
""")
    assert told["status"] == 0
    assert told["now"]["flushed"] == [True, True]
    assert told["now"]["mapped"] is not True or not GLIBC
    assert told["now"]["words"].startswith("denormals flushed, malloc's thresholds ")


# What a call puts back ----------------------------------------------------------------------------


def process_now() -> dict[str, Any]:
    """All that a user could find changed in the process."""
    numpy_state = np.random.get_state()
    return {
        "threads": torch.get_num_threads(),
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warns_only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "cudnn": (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
        "mkldnn": torch.backends.mkldnn.enabled,
        "precision": torch.get_float32_matmul_precision(),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "draws": torch.get_rng_state().tolist(),
        "numpy": (numpy_state[1].tolist(), numpy_state[2]),
        "denormals": (torch.ones(1, dtype=torch.int32).view(torch.float32) * 1.0).tolist(),
        "environment": dict(os.environ),
        "warnings": list(warnings.filters),
        "interrupt": signal.getsignal(signal.SIGINT),
    }


@pytest.mark.parametrize("engine", ["walk", "program"])
@pytest.mark.parametrize("grad", [True, False])
def test_a_training_leaves_the_process_as_it_was(engine: str, grad: bool) -> None:
    data = torch.randn(128, 3), torch.randn(128, 1)
    net = rt.Chain(rt.Linear(4), rt.Dropout(0.5), rt.Linear(1), input=3)
    with torch.set_grad_enabled(grad):
        before = process_now()
        rt.train(net, data, epochs=2, batch_size=4, engine=engine, progress=False)
        assert process_now() == before
        with pytest.raises(rt.TrainingError):
            rt.train(net, data, optimizer=rt.SGD(1e30), batch_size=4, engine=engine, progress=False)
        assert process_now() == before


def test_steady_puts_back_what_a_call_changed() -> None:
    before = process_now()

    @steady()
    def meddle(fails: bool) -> None:
        torch.set_num_threads(before["threads"] + 1)
        torch.set_grad_enabled(False)
        torch.set_deterministic_debug_mode("warn")
        torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark
        torch.backends.cudnn.deterministic = not torch.backends.cudnn.deterministic
        assert process_now() != before
        if fails:
            raise KeyboardInterrupt

    meddle(False)
    assert process_now() == before
    with pytest.raises(KeyboardInterrupt):
        meddle(True)
    assert process_now() == before


def test_steady_keeps_what_the_user_had_set() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with torch.no_grad(), steady():
            torch.set_num_threads(1)
            torch.set_grad_enabled(True)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


# Threads ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("work", "available", "threads"),
    [
        (0, 16, 1),
        (2 * 784 * 200, 16, 1),  # one example of a dense net
        (2 * 128 * 784 * 15, 2, 2),
        (2 * 128 * 784 * 15, 16, 2),  # a small net leaves a large machine alone
        (2 * 128 * 784 * 200, 16, 7),
        (1.6e9, 16, 16),  # a convolution takes all
        (1.6e9, 1, 1),
    ],
)
def test_threads_follow_the_largest_operation(work: float, available: int, threads: int) -> None:
    assert threads_for(work, available) == threads


def test_threads_grow_with_work_and_one_more_never_costs_more_than_it_saves() -> None:
    def cost(work: float, threads: int) -> float:
        return work / settings.PAYS_FROM / threads + threads - 1

    last = 1
    for work in np.geomspace(1e4, 1e10, 200):
        chosen = threads_for(work, 64)
        assert last <= chosen <= 64
        assert cost(work, chosen) == pytest.approx(min(cost(work, each) for each in range(1, 65)))
        last = chosen


def test_never_more_threads_than_torch_may_use() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert threads_for(1e12) == 2
    finally:
        torch.set_num_threads(before)


def test_the_words_are_those_of_a_run() -> None:
    assert in_words() == rt.process()
