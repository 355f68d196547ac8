"""The threads in which codecs decode: one bounded set for the whole process, started at its first use.

Pillow and the readers of sounds let go of Python's lock while they decode, so threads of one process are
as fast as processes and start at once. Feeds that pack in threads of their own share these.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

THREADS = 8
"""At most so many things are decoded at once, however many threads ask for it: each takes its memory."""

PIECES = 4
"""Pieces for each thread of what is to be done; one thing at a time costs small pictures a third more."""

_LOCK = threading.Lock()
_POOL: list[ThreadPoolExecutor] = []


def in_threads(function: Callable[[int, Any], T], things: Sequence[Any]) -> list[T]:
    """``function(i, thing)`` of every thing, in their order; the error of the first that fails.

    The function must not come back here.
    """
    if len(things) < 2 or len({id(thing) for thing in things}) < len(things):  # one open file, given twice
        return [function(i, thing) for i, thing in enumerate(things)]
    piece = max(1, len(things) // (PIECES * _workers()))

    def some(start: int) -> list[T]:
        return [function(i, things[i]) for i in range(start, min(start + piece, len(things)))]

    return [each for made in _pool().map(some, range(0, len(things), piece)) for each in made]


def _workers() -> int:
    return min(THREADS, os.cpu_count() or 1)


def _pool() -> ThreadPoolExecutor:
    with _LOCK:
        if not _POOL:
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=_POOL.clear)  # threads do not outlive a fork
            _POOL.append(ThreadPoolExecutor(_workers(), "retia-decode"))
        return _POOL[0]
