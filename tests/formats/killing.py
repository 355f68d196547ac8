"""Kills processes that write checkpoints: ``python killing.py FOLDER COUNT SEED`` reports what was left.

Each process goes on from the newest checkpoint and says when one stands; it is killed (signal 9) at a
random moment. After each kill the folder is read, and what was found is compared with what was said.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from retia.errors import MissingFileError
from retia.formats.checkpoint import CheckpointFolder, read_checkpoint

SIZE = 50_000


def state(step: int) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors and facts that only this step has."""
    tensors = {"w": torch.arange(step, step + SIZE), "b": torch.full((7,), 1 / (step + 1))}
    return tensors, {"step": step, "history": [{"epoch": e, "loss": step / e} for e in range(1, 30)]}


def write(folder: Path, tell: int) -> None:
    """Go on from what is there, for ever."""
    with CheckpointFolder(folder) as held:
        step = 0
        with suppress(MissingFileError):
            step = held.read().step
        while True:
            step += 1
            held.write(step, *state(step))
            os.write(tell, step.to_bytes(8, "little"))


def killed(folder: Path, seconds: float, *, later: bool) -> int:
    """The last step that a process said it has written, before it was killed; 0 for none.

    Args:
        seconds: from its beginning to the kill. later: from the first step that it has said instead.
    """
    hear, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            write(folder, tell)
        finally:
            os._exit(1)
    os.close(tell)
    said = os.read(hear, 8) if later else b""
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    while piece := os.read(hear, 2**16):
        said += piece
    os.close(hear)
    assert os.WIFSIGNALED(status), f"the process ended by itself: {status}"
    return int.from_bytes(said[-8:], "little")


def run(folder: Path, count: int, seed: int) -> dict[str, Any]:
    """The report: kills, faults, checkpoints said, files left half written."""
    draw = random.Random(seed)
    faults, said, halves, fallen = [], 0, 0, 0
    for number in range(count):
        said = max(said, killed(folder, draw.uniform(0.0, 0.05), later=number % 3 > 0))
        halves += sum(name.endswith(".tmp") for name in os.listdir(folder)) if folder.exists() else 0
        try:
            found = read_checkpoint(folder)
        except MissingFileError:
            if said:
                faults.append(f"{number}: nothing is left of {said}")
            continue
        tensors, facts = state(found.step)
        if found.step < said:
            faults.append(f"{number}: step {found.step} is older than {said}, which stood")
        if found.facts != facts or any(not found.tensors[name].equal(t) for name, t in tensors.items()):
            faults.append(f"{number}: step {found.step} is not what was written")
        fallen += bool(found.notes)
    return {
        "faults": faults,
        "said": said,
        "halves": halves,
        "notes": fallen,
        "left": len(os.listdir(folder)),
    }


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
