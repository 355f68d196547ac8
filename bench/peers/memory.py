"""The resident memory of this process, and its peak since a moment."""

import gc
from pathlib import Path

STATUS = Path("/proc/self/status")


def start() -> int:
    """Forget the peak so far; answers the bytes that are resident now."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    return _bytes("VmRSS")


def peak() -> int:
    """The most bytes that were resident since ``start``."""
    return _bytes("VmHWM")


def _bytes(name: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024
