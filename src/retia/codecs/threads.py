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

_LOCK = threading.Lock()
_POOL: list[ThreadPoolExecutor] = []


def in_threads(function: Callable[[int, Any], T], things: Sequence[Any]) -> list[T]:
    """``function(i, thing)`` of every thing, in their order; the error of the first that fails.

    The function must not come back here.
    """
    if len(things) < 2 or len({id(thing) for thing in things}) < len(things):  # one open file, given twice
        return [function(i, thing) for i, thing in enumerate(things)]
    return list(_pool().map(function, range(len(things)), things))


def _pool() -> ThreadPoolExecutor:
    with _LOCK:
        if not _POOL:
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=_POOL.clear)  # threads do not outlive a fork
            _POOL.append(ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1), "retia-decode"))
        return _POOL[0]
