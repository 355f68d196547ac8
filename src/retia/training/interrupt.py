"""Signals during a training: Ctrl-C ends it after the step at hand, the second at once; so may SIGTERM."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

INTERRUPTED, TERMINATED = "interrupted", "terminated"
"""Why a training ended that somebody ended so."""
EXIT_OF_TERMINATED = 128 + signal.SIGTERM
"""The exit status of a process that was asked to end, and did so in order: 143."""


class Interrupt:
    """Catches signals while it is entered; elsewhere than in the main thread it does nothing.

    Args:
        terminate: catch SIGTERM too, for trainings that then write a checkpoint.
    Attributes:
        asked: whether somebody asked for the end.
        why: ``INTERRUPTED`` or ``TERMINATED``, once somebody did.
    """

    def __init__(self, *, terminate: bool = False) -> None:
        self.asked = False
        self.why = ""
        self._caught = [signal.SIGINT, *([signal.SIGTERM] if terminate else [])]
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            for each in self._caught:
                self._before[each] = signal.signal(each, self._press)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each, before in self._before.items():
            signal.signal(each, before)

    def _press(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTERM:
            self.asked, self.why = True, TERMINATED
            return
        if self.asked:
            raise KeyboardInterrupt
        self.asked, self.why = True, self.why or INTERRUPTED
