"""Milliseconds of ``import retia``."""

import os
import subprocess
import sys
from collections.abc import Iterator

from how import How
from report import Table
from workers import Peer, Row

TITLE = "Import"
WORDS = "Milliseconds of one import in a fresh interpreter, from compiled files as pip installs them."


def measure(how: How) -> Iterator[Table]:
    """``import retia`` against ``import torch``."""
    rows = [Row(Peer("retia", "`import retia`", "")), Row(Peer("torch", "`import torch`", ""))]
    for count in range(how.rounds + 1):
        for row in rows:
            seconds = seconds_to_import(row.peer.key)
            if count:
                row.seconds.append(seconds)
    yield Table("Import: milliseconds", rows, scale=1e3)


def seconds_to_import(module: str) -> float:
    """Seconds that a fresh interpreter takes for one import."""
    code = f"import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
    compiled = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return float(
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=compiled).stdout
    )
