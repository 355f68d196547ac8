"""Ctrl-C during a training: the first ends it after the step at hand, the second at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

INTERRUPTED = "interrupted"
"""Why a training ended that somebody ended so."""


class Interrupt:
    """Catches SIGINT while it is entered; elsewhere than in the main thread it does nothing.

    Attributes:
        asked: whether somebody pressed Ctrl-C.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: Any = None
        self._caught = False

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._press)
            self._caught = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._caught:
            signal.signal(signal.SIGINT, self._before)

    def _press(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
