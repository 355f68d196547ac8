"""What is set for the whole process because it pays: denormals, malloc's thresholds, waiting threads.

Nothing happens when Retia is imported. Where Retia is the first to import PyTorch, denormals are flushed
and malloc's thresholds raised just after it; where PyTorch was there before, the process is the user's and
stays as it is. ``rt.process`` is the switch of each, and a run's summary says which were set.
What else a call of Retia changes for its own time, ``steady`` puts back.
"""

from __future__ import annotations

import ctypes
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from retia._late import numpy as np
from retia._torch import WHEN_FIRST, torch
from retia.errors import ArgumentError
from retia.nets.settings import flag, whole

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
THRESHOLD = 1 << 30
"""Blocks below a GiB stay with the process instead of being mapped and unmapped by every operation."""

SPIN = "GOMP_SPINCOUNT"
SHARE = 1 << 15
"""PyTorch splits elementwise work into parts of so many numbers."""

PAYS_FROM = 0.75e6
"""FLOPs in which one more thread costs what it saves at the second: measured, see ``threads_for``."""


@dataclass
class _State:
    """Attributes: what was asked for (None: the default), and what was done."""

    flush_denormals: bool | None = None
    malloc: bool | None = None
    spin: int | None = None
    first: bool = False
    raised: bool = False


_state = _State()


def process(
    *, flush_denormals: bool | None = None, malloc: bool | None = None, spin: int | None = None
) -> str:
    """Settings of the whole process: switch them before the first computation, or ask what they are.

    All three act on everything in the process, the user's own code too.

    Args:
        flush_denormals: numbers nearer to 0 than 1.2e-38 (float32; 2.2e-308 for float64) count as 0, which
            is many times as fast: Adam's means of inputs that are seldom lit decay to them, and epochs get
            slower and slower. Also for Python's and NumPy's numbers, in this thread and those that it
            starts. By default on where Retia is the first to import PyTorch; on at any time, though
            PyTorch's threads that run already keep what they had.
        malloc: memory below a GiB is kept by the process when a tensor is freed, not returned to the system
            (glibc's M_TRIM_THRESHOLD and M_MMAP_THRESHOLD): half the time of a large convolutional net may
            be page faults. By default on where Retia is the first to import PyTorch; elsewhere than on
            Linux's glibc nothing happens. On at any time; not off again.
        spin: 0..10**9, how many rounds a waiting thread of GNU's OpenMP turns before it sleeps
            (GOMP_SPINCOUNT), read when PyTorch is imported. By default left alone: the built-in one is the
            fastest by 5 to 40 % on a machine that does nothing else. 2000 is for one with other busy
            processes, where threads that spin for each other can make training many times slower.
    Returns:
        What is set now, in words; a run's ``settings["process"]`` says the same.
    Raises:
        ArgumentError: it is too late for a change.
    Example:
        >>> import retia as rt
        >>> rt.process(spin=-1)
        Traceback (most recent call last):
        retia.errors.ArgumentError: process: spin is a whole number of at least 0; got -1.
    """
    _check(flush_denormals, malloc, spin)
    if spin is not None:
        _state.spin = spin
        os.environ[SPIN] = str(spin)
    if flush_denormals is not None:
        _state.flush_denormals = flush_denormals
        if _is_there():
            torch.set_flush_denormal(flush_denormals)
    if malloc is not None:
        _state.malloc = malloc
        if malloc:
            _raise_thresholds()
    return in_words()


def _check(flush_denormals: Any, malloc: Any, spin: Any) -> None:
    for name, given in (("flush_denormals", flush_denormals), ("malloc", malloc)):
        if given is not None:
            flag(f"process: {name}", given)
    if malloc is False and _state.raised:
        raise ArgumentError(
            "process: malloc's thresholds are raised already.",
            fix="rt.process(malloc=False) before the first computation",
            path="malloc",
        )
    if spin is not None:
        whole(0, 10**9)("process: spin", spin)
        if _is_there():
            raise ArgumentError(
                "process: spin comes too late, PyTorch has read it.",
                fix=f"rt.process(spin={spin}) before the first computation and before import torch",
                path="spin",
                got=spin,
            )


def in_words() -> str:
    """What is set for the process now, for a run's summary.

    Flushing is not remembered but looked at, in all threads, for the user may have set it too.
    """
    if not _is_there():
        flushes = "kept" if _state.flush_denormals is False else "flushed"
        memory = "left alone" if _state.malloc is False else "raised"
        told = [f"when PyTorch is imported: denormals {flushes}", f"malloc's thresholds {memory}"]
    else:
        memory = "raised" if _state.raised else "left alone"
        told = [f"denormals {_flushed()}", f"malloc's thresholds {memory}"]
    if _state.spin is not None:
        told.append(f"spin count {_state.spin}")
    late = _is_there() and not _state.first and _state.flush_denormals is None and _state.malloc is None
    hint = "; PyTorch was imported before Retia, rt.process(flush_denormals=True, malloc=True) sets them"
    return ", ".join(told) + (hint if late else "")


@contextmanager
def steady() -> Iterator[None]:
    """Around a call of Retia: what it changes for itself is afterwards as it was, also after an error.

    That is the number of threads, grad mode, and PyTorch's settings of determinism. Denormals are
    flushed in the calling thread where they are to be.

    Example:
        >>> before = torch.get_num_threads()
        >>> with steady():
        ...     torch.set_num_threads(1)
        >>> torch.get_num_threads() == before
        True
    """
    torch.get_num_threads()  # the first use of PyTorch, which settles whether Retia was first
    if _state.first if _state.flush_denormals is None else _state.flush_denormals:
        torch.set_flush_denormal(True)
    before = _held()
    try:
        yield
    finally:
        _restore(before)


def threads_for(work: float, available: int | None = None) -> int:
    """How many threads repay for a step whose largest operation is so much work.

    On t threads an operation takes ``work / (t speed) + t wait``: each thread has to be woken, waited for,
    and read what it needs into its own cache. One more pays while ``t (t - 1) < work / (speed wait)``.
    The product of speed and wait is about 0.75 MFLOP: at 1.5 MFLOP two threads multiply matrices as fast as
    one does (784 x 15 and 200 x 60, batches from 8 to 256). So one example of a dense net takes one
    thread, 784-15-10 two and 784-200-60-10 seven at a batch of 128; convolutions take all.

    Args:
        work: at least 0, FLOPs.
        available: at least 1; by default as many as PyTorch may use.
    Example:
        >>> [threads_for(2 * size, 16) for size in (784 * 200, 128 * 784 * 15, 128 * 784 * 200)]
        [1, 2, 7]
    """
    most = torch.get_num_threads() if available is None else available
    wanted = (1 + math.sqrt(1 + 4 * work / PAYS_FROM)) / 2
    return max(1, min(most, math.ceil(wanted) - 1))


# How ----------------------------------------------------------------------------------------------


def _is_there() -> bool:
    return "torch" in sys.modules


def _act() -> None:
    """Just after Retia was the first to import PyTorch: none of PyTorch's threads runs yet."""
    _state.first = True
    if _state.malloc is not False:
        _raise_thresholds()
    if _state.flush_denormals is not False:
        for kind in (np.float32, np.float64):
            np.finfo(kind)  # kept by NumPy; older ones warn when they look for denormals and find none
        torch.set_flush_denormal(True)


WHEN_FIRST.append(_act)


def _raise_thresholds() -> None:
    """Raise glibc's thresholds. Another C library has none, or refuses: then nothing happens."""
    if _state.raised or sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        _state.raised = all([mallopt(each, THRESHOLD) for each in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD)])


def _flushed() -> str:
    """Where a product of denormals is 0: every thread gets a part of it."""
    bits = torch.ones(SHARE * torch.get_num_threads(), dtype=torch.int32, device="cpu")
    zeros = (bits.view(torch.float32) * 1.0).view(torch.int32) == 0  # floats would be flushed on the way in
    if not zeros.any():
        return "kept"
    return "flushed" if zeros.all() else "flushed in some threads"


def _held() -> dict[str, Any]:
    cudnn = torch.backends.cudnn
    return {
        "threads": torch.get_num_threads(),
        "grad": torch.is_grad_enabled(),
        "deterministic": torch.get_deterministic_debug_mode(),
        "cudnn": (cudnn.benchmark, cudnn.deterministic),
    }


def _restore(before: dict[str, Any]) -> None:
    """Put back only what is different: setting a thing may start threads or import much."""
    now = _held()
    if now["threads"] != before["threads"]:
        torch.set_num_threads(before["threads"])
    if now["grad"] != before["grad"]:
        torch.set_grad_enabled(before["grad"])
    if now["deterministic"] != before["deterministic"]:
        torch.set_deterministic_debug_mode(before["deterministic"])  # its twin would import torch._dynamo
    if now["cudnn"] != before["cudnn"]:
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = before["cudnn"]
