"""Retia's LeNet on pictures in memory, and on ten times as many as the memory that it is given can hold."""

import io
import resource
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import workloads
from PIL import Image
from turns import Turns

import retia as rt
from retia.zoo.small import lenet

GIVEN = 16 * 2**20
"""Bytes that the process may take more than it has after a few trainings."""

TIMES = 10
STACK = 2**19
"""Bytes of a thread's stack: what it may grow to counts as taken."""

FEW = 10_240
WARM = 4
"""Trainings after which what is freed is what is taken again: memory of the process then stays as it is."""


def resident(turns: Turns, folder: str, **_: Any) -> None:
    """Pictures that are packed once and kept."""
    x, y = workloads.digits(folder, count=FEW)
    epochs(turns, lenet(), rt.data((x, y)))


def streamed(turns: Turns, folder: str, **_: Any) -> None:
    """A memory-mapped array of ten times the memory that there is."""
    x, y = mapped(folder)
    threading.stack_size(STACK)
    few = rt.data((x[:FEW], y[:FEW])).stream()
    for _ in range(WARM):
        rt.train(lenet(), few, validation=0, epochs=1, progress=False)
    resource.setrlimit(resource.RLIMIT_DATA, (taken("VmData") + GIVEN, resource.RLIM_INFINITY))
    epochs(turns, lenet(), rt.data((x, y)))


def files(turns: Turns, folder: str, kept: bool = False, **_: Any) -> None:
    """PNG files in an archive, decoded in every epoch, or once for all trainings."""
    data = rt.data(archived(folder))
    data = data.cache(Path(folder) / "kept") if kept else data.stream()
    epochs(turns, lenet(labels=[str(number) for number in range(10)]), data)


def epochs(turns: Turns, net: rt.Net, data: rt.Data) -> None:
    """An epoch a turn: seconds for 10,000 pictures, and what it did to the memory."""
    while turns.go() is not None:
        watched = Watched()
        run = rt.train(net, data, validation=0, epochs=1, progress=False, callbacks=watched)
        entry = run.history[-1]
        seconds = 1e4 / entry["examples_per_second"]
        turns.done(seconds=seconds, waiting=entry.get("waiting", 0.0), **watched.told())


class Watched:
    """The memory of the process, looked at every hundred steps."""

    def __init__(self) -> None:
        self.looks: list[int] = []

    def step(self, view: Any) -> None:
        """Look, now and then."""
        if view.step % 100 == 1:
            self.looks.append(taken("RssAnon"))

    def told(self) -> dict[str, float]:
        """By how many megabytes it grew from its first tenth to its last, and in all."""
        tenth = max(1, len(self.looks) // 10)
        first, last = (sum(part) / tenth * 1e-6 for part in (self.looks[:tenth], self.looks[-tenth:]))
        return {"grown": last - first, "span": (max(self.looks) - min(self.looks)) * 1e-6}


def archived(folder: str) -> Path:
    """A zip of class folders of digits as PNG files."""
    place = Path(folder) / "digits.zip"
    if not place.exists():
        digits, labels = workloads.digits(folder, count=FEW)
        with zipfile.ZipFile(place.with_suffix(".part"), "w") as made:
            for number, (digit, label) in enumerate(zip(digits, labels.tolist(), strict=True)):
                file = io.BytesIO()
                Image.fromarray(digit).save(file, "PNG")
                made.writestr(f"{label}/{number}.png", file.getvalue())
        place.with_suffix(".part").replace(place)
    return place


def mapped(folder: str) -> tuple[Any, Any]:
    """Digits again and again in a file, and their labels."""
    digits, labels = workloads.digits(folder)
    number = TIMES * GIVEN // digits[0].nbytes
    place = Path(folder) / "many.npy"
    if not place.exists():
        made = np.lib.format.open_memmap(place, "w+", digits.dtype, (number, *digits.shape[1:]))
        for start in range(0, number, len(digits)):
            made[start : start + len(digits)] = digits[: number - start]
        made.flush()
        del made
    return np.load(place, mmap_mode="r"), np.resize(labels, number)


def taken(what: str) -> int:
    """Bytes that the process has, as the system tells them."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(f"{what}:")).split()[1])
