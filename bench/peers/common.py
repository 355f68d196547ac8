"""What peers share: the reason that one of them cannot do a job, and calls that are timed."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from turns import Turns

AT_LEAST = 0.3
"""Seconds of calls in a turn."""


class Unable(Exception):
    """A peer cannot do a job at all; the words say why."""


def timed_calls(turns: Turns, call: Callable[[], Any], reference: np.ndarray | None = None) -> None:
    """Turns of a job that answers: the median seconds of a call, after its answer was checked.

    Args:
        call: answers an array or a tensor.
        reference: what the answer has to be, to 1e-3.
    """
    if reference is not None:
        _check(np.asarray(call()), reference)
    while turns.go() is not None:
        seconds: list[float] = []
        until = time.perf_counter() + AT_LEAST
        while time.perf_counter() < until or len(seconds) < 3:
            begin = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - begin)
        turns.done(seconds=float(np.median(seconds)))


def _check(got: np.ndarray, reference: np.ndarray) -> None:
    far = float(np.abs(got.reshape(reference.shape) - reference).max())
    if not far < 1e-3:
        raise Unable(f"answers something else: off by {far:.2g}")
