"""What stands under a table: the machine, the versions, and how quiet it was."""

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

HZ = os.sysconf("SC_CLK_TCK")
VERSIONS = (
    "retia", "torch", "numpy", "jax", "keras", "tensorflow-cpu", "tensorflow", "scikit-learn", "onnxruntime",
)  # fmt: skip


def processor() -> str:
    """The processor's name, as the system tells it."""
    names = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def versions(names: Iterable[str] = VERSIONS) -> str:
    """``"torch 2.13.0, jax 0.10.2"``: those that are installed."""
    found = []
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def described() -> str:
    """Processor, cores, system and Python in a line."""
    cores = f"{os.cpu_count()} cores"
    return f"{processor()}, {cores}, {platform.system()}, Python {platform.python_version()}"


def process_seconds(pid: int) -> float:
    """Processor time that a process has used, all its threads and finished children."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return 0.0
    fields = stat.read_text().rpartition(")")[2].split()
    return sum(int(number) for number in fields[11:15]) / HZ


def busy_seconds() -> float:
    """Processor time that everything on the machine has used."""
    fields = _cpu()
    return sum(fields[:3] + fields[5:7]) / HZ


def stolen_seconds() -> float:
    """Processor time that the machine below this one has kept for others."""
    return _cpu()[7] / HZ


def _cpu() -> list[int]:
    lines = _lines("/proc/stat")
    return [int(number) for number in lines[0].split()[1:]] if lines else [0] * 10


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []
