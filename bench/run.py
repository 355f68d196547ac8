"""Measure Retia against a peer, in the same run, and write ``bench/RESULTS.md``.

Every line is a ratio: both sides take turns in fresh processes, and medians are compared.

    python bench/run.py
"""

import datetime
import os
import platform
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

ROUNDS = 9
RESULTS = Path(__file__).parent / "RESULTS.md"


def seconds_to_import(module: str) -> float:
    """Seconds that a fresh interpreter takes for one import, from compiled files as pip installs them."""
    code = f"import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
    compiled = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return float(
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=compiled).stdout
    )


def imports() -> str:
    """The line of ``import retia`` against ``import torch``."""
    for module in ("retia", "torch"):
        seconds_to_import(module)
    rounds = [(seconds_to_import("retia"), seconds_to_import("torch")) for _ in range(ROUNDS)]
    ours, theirs = (statistics.median(side) for side in zip(*rounds, strict=True))
    return f"| import | {ours * 1000:.0f} ms | `import torch`: {theirs * 1000:.0f} ms | {ours / theirs:.3f} |"


def processor() -> str:
    """The processor's name, as the system tells it."""
    names = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def main() -> None:
    """Measure every line and write the table."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("retia", "torch", "numpy"))
    text = f"""# Measurements

Made by `make bench` on {datetime.date.today()}, {processor()}, {os.cpu_count()} cores, {platform.system()},
Python {platform.python_version()}, {versions}.
Medians of {ROUNDS} rounds, both sides in turn, each time in a fresh process.

| what | Retia | peer | ratio |
| --- | --- | --- | --- |
{imports()}
"""
    RESULTS.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
