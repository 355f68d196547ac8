"""The choice of a device, and the batch that fits where memory is too small."""

from __future__ import annotations

import errno
import gc
import json
import subprocess
import sys
import weakref
from typing import Any

import pytest
import torch

import retia as rt
from retia.engine.devices import (
    batch_that_fits,
    captured_on,
    fits,
    is_out_of_memory,
    program_on,
    read_device,
)
from retia.errors import OutOfMemoryError

CUDA, MPS = torch.cuda.is_available(), torch.backends.mps.is_available()


# Choice -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cuda", "mps", "float64", "chosen"),
    [
        (True, True, False, "cuda"),
        (True, False, True, "cuda"),
        (False, True, False, "mps"),
        (False, True, True, "cpu"),
        (False, False, False, "cpu"),
    ],
)
def test_the_best_device_is_chosen(
    cuda: bool, mps: bool, float64: bool, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert read_device(float64=float64) == torch.device(chosen)


@pytest.mark.parametrize("given", ["cpu", "cpu:0", torch.device("cpu")])
def test_a_device_that_is_named_is_taken(given: Any) -> None:
    assert read_device(given) == torch.device("cpu")
    assert read_device(given, float64=True) == torch.device("cpu")


@pytest.mark.skipif(not CUDA, reason="no CUDA")
def test_a_device_of_cuda_is_taken_by_number() -> None:
    assert read_device("cuda:0") == torch.device("cuda:0")
    with pytest.raises(rt.ArgumentError, match="device='cuda:99' is not there: "):
        read_device("cuda:99")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("meta", "device='meta' computes no numbers."),
        ("gpu", "device='gpu' is not there. It is called 'cuda' here."),
        ("metal:0", "device='metal:0' is not there. It is called 'mps' here."),
        ("cdua", "device='cdua' is not there. Did you mean 'cuda'?"),
        (True, "device=True is no device. It is a name like 'cuda:1'."),
        (2.5, "device=2.5 is no device. It is a name like 'cuda:1'."),
        pytest.param(
            "cuda:1",
            "device='cuda:1' is not there: Torch not compiled with CUDA enabled.",
            marks=pytest.mark.skipif(torch.version.cuda is not None, reason="built with CUDA"),
        ),
        pytest.param(
            "mps",
            "device='mps' is not there: Could not run 'aten::empty.memory_format' with arguments from the "
            "'MPS' backend.",
            marks=pytest.mark.skipif(torch.backends.mps.is_built(), reason="built with mps"),
        ),
        ("hpu", "device='hpu' is not there: No module named 'torch.hpu'."),
    ],
)
def test_a_device_that_does_not_compute_is_refused(given: Any, message: str) -> None:
    with pytest.raises(rt.ArgumentError) as caught:
        read_device(given)
    assert str(caught.value) == f"{message}\n  fix   device='cpu'"
    assert caught.value.got == given


def test_a_device_without_float64_is_refused_for_nets_that_need_it(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = torch.ones

    def ones(*size: int, **how: Any) -> torch.Tensor:
        if how.get("dtype") is torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype as MPS has none. Use float32.")
        return plain(*size, **{**how, "device": "cpu"})

    monkeypatch.setattr("retia.engine.devices.torch.ones", ones, raising=False)
    assert read_device("mps") == torch.device("mps")
    with pytest.raises(rt.ArgumentError, match="device='mps' has no float64, which the net's arrays are"):
        read_device("mps", float64=True)


def test_programs_run_where_they_can_and_are_captured_on_cuda() -> None:
    kinds = ("cpu", "cuda", "cuda:1", "mps", "xpu", "xla")
    assert [program_on(kind) for kind in kinds] == [True, True, True, True, False, False]
    assert [captured_on(kind) for kind in kinds] == [False, True, True, False, False, False]
    assert program_on(torch.device("cpu"))


# Memory -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory: you"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] data. DefaultCPUAllocator: not enough memory: you"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.05 GB)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("std::bad_alloc"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
)
def test_memory_that_is_exhausted_is_known_by_its_errors(error: BaseException) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [ValueError("out of memory"), RuntimeError("size mismatch"), OSError(errno.ENOENT, "No such file")],
)
def test_other_errors_are_not_taken_for_it(error: Exception) -> None:
    assert not is_out_of_memory(error)
    with pytest.raises(type(error)) as caught, fits(8, lambda size: None):
        raise error
    assert caught.value is error


def work(most: int, tried: list[int]) -> Any:
    """Something that has memory for so many examples, and notes how many were tried."""

    def attempt(size: int) -> None:
        tried.append(size)
        if size > most:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    return attempt


@pytest.mark.parametrize(
    ("size", "most", "fitting", "tries"),
    [
        (64, 63, 32, [32]),
        (64, 5, 4, [32, 16, 8, 4]),
        (100, 30, 25, [50, 25]),
        (7, 1, 1, [3, 1]),
        (4, 0, None, [2, 1]),
        (1, 0, None, []),
    ],
)
def test_the_batch_that_fits_is_found_by_trying(
    size: int, most: int, fitting: int | None, tries: list[int]
) -> None:
    tried: list[int] = []
    assert batch_that_fits(work(most, tried), size) == fitting
    assert tried == tries


def test_trying_ends_where_the_work_cannot_be_done_with_so_few() -> None:
    def attempt(size: int) -> None:
        if size == 1:
            raise rt.TrainingError("BatchNorm needs at least 2 examples.")
        raise MemoryError

    assert batch_that_fits(attempt, 8) is None


def test_a_fault_while_trying_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        batch_that_fits(lambda size: 1 // 0, 8)


def test_the_error_names_the_batch_that_fits() -> None:
    tried: list[int] = []
    attempt = work(300, tried)
    with pytest.raises(OutOfMemoryError) as caught, fits(4096, attempt):
        attempt(4096)
    assert str(caught.value) == (
        "A training step with 4,096 examples does not fit into the memory.\n"
        "  from  DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes\n"
        "  fix   batch_size=256, which was tried just now and fits"
    )
    assert (caught.value.expected, caught.value.got) == (256, 4096)
    assert isinstance(caught.value, rt.TrainingError)
    assert isinstance(caught.value, MemoryError)


def test_the_error_says_where_not_even_one_example_fits() -> None:
    with pytest.raises(OutOfMemoryError) as caught, fits(1, work(0, []), what="A call"):
        raise MemoryError
    assert str(caught.value) == (
        "A call with 1 example does not fit into the memory.\n"
        "  from  MemoryError\n"
        "  fix   a smaller net, or a device with more memory: no smaller batch fits"
    )


def test_work_that_fits_is_not_tried_again() -> None:
    tried: list[int] = []
    with fits(8, work(0, tried)):
        pass
    assert tried == []


def test_what_failed_holds_no_memory_while_smaller_batches_are_tried() -> None:
    held: list[weakref.ref[torch.Tensor]] = []
    alive: list[int] = []

    def attempt(size: int) -> None:
        alive.append(sum(each() is not None for each in held))
        values = torch.zeros(size)
        held.append(weakref.ref(values))
        if size > 2:
            try:
                raise RuntimeError("not enough memory")
            except RuntimeError as error:
                raise MemoryError from error

    gc.disable()
    try:
        with pytest.raises(OutOfMemoryError, match="batch_size=2"), fits(16, attempt):
            attempt(16)
    finally:
        gc.enable()
    assert alive == [0, 0, 0, 0]


LIMITED = """
import json, os, resource
import retia as rt
from retia.engine.devices import fits
import torch
torch.set_num_threads(1)
net = rt.Chain(rt.Linear(16), *[rt.Tanh() for _ in range(40)], rt.Linear(1), input=4).init(seed=0)
step = rt.step(net, "mse", rt.Adam(0.1))
state = step.start()
before = {path: tensor.clone() for path, tensor in state.arrays.items()}
x, y = torch.randn(1 << 17, 4), torch.randn(1 << 17, 1)
step(state, x[:8], y[:8])
def attempt(size):
    step(state, x[:size], y[:size])
with open("/proc/self/statm") as file:
    pages = int(file.read().split()[0])
limit = pages * os.sysconf("SC_PAGE_SIZE") + (100 << 20)
hard = resource.getrlimit(resource.RLIMIT_AS)[1]
resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
told = {}
try:
    with fits(len(x), attempt):
        attempt(len(x))
except rt.TrainingError as error:
    told["size"], told["text"] = error.expected, str(error)
resource.setrlimit(resource.RLIMIT_AS, (limit + (16 << 20), hard))  # what lies in pieces is not all usable
attempt(told["size"])
try:
    attempt(2 * told["size"])
except RuntimeError as error:
    told["twice"] = str(error)
told["whole"] = all(torch.equal(tensor, before[path]) for path, tensor in state.arrays.items())
told["count"] = state.count
print(json.dumps(told))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of the address space")
def test_a_step_in_a_process_with_little_memory_names_a_batch_that_fits_there() -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    size = told["size"]
    assert 1 <= size < 1 << 17
    assert "memory" in told["twice"]
    assert told["whole"]
    assert told["count"] == 0
    first, because, fix = told["text"].splitlines()
    assert first == "A training step with 131,072 examples does not fit into the memory."
    assert "DefaultCPUAllocator" in because
    assert fix == f"  fix   batch_size={size}, which was tried just now and fits"
