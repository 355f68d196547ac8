"""From the start of a process to the end of its first epoch."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from how import How
from report import Table
from workers import Peer, Row, reason

TITLE = "Start-up"
SCRIPTS = Path(__file__).parent.parent / "startup"
WORDS = """
Seconds from the start of a process until the first epoch of 784-200-60-10 is told (468 steps of 128,
Adam): the scripts in `bench/startup/`, and Retia's command line. Compiled files and data are in the
system's cache. The peers read arrays that lie ready; Retia reads its own set. Keras imports TensorFlow
where it is installed, on the other backends too.
"""
COMMAND = ("train", "mnist", "--epochs", "1", "--batch-size", "128", "--validation", "0")
KERAS = (("jax", "JAX", "jax"), ("tensorflow", "TensorFlow", "tensorflow"), ("torch", "PyTorch", "torch"))


def peers() -> list[tuple[Peer, list[str]]]:
    """Each peer with its command."""
    python = sys.executable
    found = [
        (Peer("retia", "Retia, script", ""), [python, str(SCRIPTS / "with_retia.py")]),
        (Peer("retia-command", "Retia, command line", ""), [python, "-m", "retia", *COMMAND]),
        (
            Peer("torch-loader", "PyTorch, DataLoader", "", needs=("torch",)),
            [python, str(SCRIPTS / "with_torch.py")],
        ),
        (
            Peer("torch-best", "PyTorch, best loop", "", needs=("torch",)),
            [python, str(SCRIPTS / "with_torch_best.py")],
        ),
        (Peer("jax", "JAX, scan", "", needs=("jax",)), [python, str(SCRIPTS / "with_jax.py")]),
        (Peer("sklearn", "scikit-learn", "", needs=("sklearn",)), [python, str(SCRIPTS / "with_sklearn.py")]),
    ]
    for backend, words, module in KERAS:
        peer = Peer(
            f"keras-{backend}", f"Keras on {words}", "", needs=("keras", module),
            environment={"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2"},
        )  # fmt: skip
        found.append((peer, [python, str(SCRIPTS / "with_keras.py")]))
    return found


def measure(how: How) -> Iterator[Table]:
    """One table."""
    asked = [(Row(peer), command) for peer, command in peers() if how.is_wanted(peer.key)]
    for row, _ in asked:
        missing = row.peer.missing()
        row.failed = f"not installed: {', '.join(missing)}" if missing else None
    for count in range(how.rounds + 1):
        shift = count % len(asked)
        for row, command in asked[shift:] + asked[:shift]:
            if row.failed is not None:
                continue
            seconds, row.failed = until_told(row.peer, command, how)
            print(f"  {count:>2} {row.peer.words:<30} {seconds:.3g}", file=sys.stderr, flush=True)
            if count:
                row.seconds.append(seconds)
    yield Table(
        "Start to the end of the first epoch: seconds",
        [row for row, _ in asked],
        ours=("retia", "retia-command"),
    )


def until_told(peer: Peer, command: Sequence[str], how: How) -> tuple[float, str | None]:
    """Seconds until a process tells of its first epoch, and why it did not if so."""
    environment = {
        **os.environ,
        **peer.environment,
        "BENCH_DATA": how.folder,
        "BENCH_EXAMPLES": str(how.examples),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    lines: list[str] = []
    begin = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    late = threading.Timer(how.limit, process.kill)
    late.start()
    for line in process.stdout:
        lines.append(line.strip())
        if line.startswith("epoch 1"):
            break
    seconds = time.perf_counter() - begin
    process.communicate()
    late.cancel()
    told = bool(lines) and lines[-1].startswith("epoch 1")
    return seconds, None if told else reason([line for line in lines if line], process.returncode)
