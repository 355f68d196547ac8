"""Loads mutated files and reports what happened: ``python fuzzing.py COUNT SEED``, a process of its own.

The process may not grow by more than 64 MB, and an audit hook notes every import, every piece of code
that is compiled or run, every process, socket and file that is opened for writing during a load.
"""

from __future__ import annotations

import copy
import importlib
import json
import os
import random
import resource
import socket
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from crafting import apart, forge, layer, together

import retia as rt

ROOM = 64 * 2**20
FORBIDDEN = (
    "import",
    "exec",
    "compile",
    "code.",
    "marshal.",
    "pickle.",
    "subprocess.",
    "os.",
    "socket.",
    "ctypes.",
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

HOSTILE: list[Any] = [
    None, True, 0, -1, 3, 2**40, 2**62, 2**64, 0.5, "", "x", "\u001b[2J", "os.system", [], [1, 2], [[]], {},
    {"type": "Linear"}, {"type": "dict", "items": []}, layer("ReLU"), layer("Linear", size=10**9), "9" * 3000,
]  # fmt: skip

watched = {"on": False}
seen: list[str] = []


def note(event: str, args: tuple[Any, ...]) -> None:
    """The audit hook."""
    if not watched["on"]:
        return
    if event == "open":
        if isinstance(args[2], int) and args[2] & WRITING:
            seen.append(f"open {args}")
    elif event.startswith(FORBIDDEN):
        seen.append(f"{event} {args}"[:200])


def corpus() -> dict[str, rt.Net]:
    """Nets of every kind of file."""
    twin = rt.Shared("twin", rt.Linear(3))
    return {
        "digits": rt.Chain(
            rt.Flatten(), rt.Linear(4), rt.ReLU(), rt.Linear(), rt.Softmax(),
            input=rt.Image(4, 4, color="gray"), output=rt.Classes(range(3)),
        ).init(seed=1),
        "graph": rt.Graph(
            lambda x, y: rt.Linear(2)(x) * rt.Tanh()(y) + rt.Linear(2)(x), input={"x": 3, "y": 2}
        ).init(seed=2),
        "shared": rt.Chain(twin, rt.Chain(inner=twin, other=rt.Linear(3, bias=False)), input=3).init(seed=3),
        "varying": rt.Chain(rt.Linear(3), rt.Softmax(), input=("n", 3)).init(seed=4),
        "open": rt.Chain(rt.Linear(3), rt.Linear(2)).with_arrays({"0.weight": [[1.0] * 4] * 3}),
        "none": rt.Chain(rt.Linear(2), input=3),
    }  # fmt: skip


# Mutations ----------------------------------------------------------------------------------------


def flipped(raw: bytes, draw: random.Random) -> bytes:
    """A few bits turned, mostly in the header."""
    changed = bytearray(raw)
    end = 8 + int.from_bytes(raw[:8], "little") if draw.random() < 0.6 else len(raw)
    for _ in range(draw.choice((1, 1, 1, 2, 8))):
        changed[draw.randrange(end)] ^= 1 << draw.randrange(8)
    return bytes(changed)


def truncated(raw: bytes, draw: random.Random) -> bytes:
    """Cut in the length, in the header, at its end, among the arrays, before the last byte."""
    start = 8 + int.from_bytes(raw[:8], "little")
    places = [(0, 9), (8, start), (start - 1, start + 2), (start, len(raw)), (len(raw) - 1, len(raw))]
    low, high = draw.choice(places)
    return raw[: draw.randrange(low, max(high, low + 1))]


def lying(raw: bytes, draw: random.Random) -> bytes:
    """Another length of the header."""
    length = int.from_bytes(raw[:8], "little")
    lies = [
        0,
        1,
        length - 1,
        length + 1,
        len(raw),
        len(raw) - 8,
        2**31,
        2**62,
        2**64 - 1,
        draw.randrange(2**64),
    ]
    return draw.choice(lies).to_bytes(8, "little") + raw[8:]


def spliced(raw: bytes, draw: random.Random, others: list[bytes]) -> bytes:
    """A piece doubled, left out, moved, put in from elsewhere, or the arrays of another file."""
    a, b = sorted(draw.randrange(len(raw) + 1) for _ in range(2))
    c = draw.randrange(len(raw) + 1)
    other = draw.choice(others)
    return draw.choice([
        raw[:a] + raw[a:b] * 2 + raw[b:],
        raw[:a] + raw[b:],
        raw[:c] + raw[a:b] + raw[c:],
        raw[:a] + other[a:b] + raw[b:],
        raw[:a] + draw.randbytes(draw.randrange(1, 40)) + raw[a:],
        raw + draw.randbytes(draw.randrange(1, 40)),
        together(apart(raw)[0], apart(other)[1]),
    ])  # fmt: skip


def edited(raw: bytes, draw: random.Random) -> bytes:
    """A header that is still JSON, with one thing in it changed; the checksums as they were."""
    header, data = apart(raw)
    return together(changed_somewhere(header, draw), data)


def forged(raw: bytes, draw: random.Random) -> bytes:
    """Another expression, or other arrays, with checksums that agree."""
    header, data = apart(raw)
    said = header.pop("__metadata__")
    expression = json.loads(said["retia.expression"])
    for _ in range(draw.choice((1, 1, 2))):
        expression = changed_somewhere(expression, draw)
    arrays = {
        path: (each["dtype"], each["shape"], data[slice(*each["data_offsets"])])
        for path, each in header.items()
    }
    more = {"missing": said["retia.missing"]} if "retia.missing" in said else {}
    return forge(expression, arrays, **more)


def changed_somewhere(tree: Any, draw: random.Random) -> Any:
    """JSON data with one place changed: another value, one less, one more, two exchanged, a new name."""
    tree = copy.deepcopy(tree)
    places = [(holder, key) for holder in holders(tree) for key in keys(holder)]
    if not places:
        return draw.choice(HOSTILE)
    holder, key = draw.choice(places)
    how = draw.randrange(6)
    if how == 0:
        del holder[key]
    elif how == 1:
        other, place = draw.choice(places)
        holder[key], other[place] = copy.deepcopy(other[place]), copy.deepcopy(holder[key])
    elif how == 2 and isinstance(holder, dict):
        holder[draw.choice(["type", "x", "size", "\u001b", "0", "weight"])] = holder.pop(key)
    elif how == 3 and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    elif how == 4 and isinstance(holder[key], int):
        holder[key] += draw.choice((-1, 1, 2**32))
    else:
        holder[key] = copy.deepcopy(draw.choice(HOSTILE))
    return tree


def holders(tree: Any) -> list[Any]:
    """All lists and dicts of a tree."""
    found = [tree] if isinstance(tree, dict | list) else []
    for holder in found:
        below = holder.values() if isinstance(holder, dict) else holder
        found += [each for each in below if isinstance(each, dict | list)]
    return found


def keys(holder: Any) -> list[Any]:
    """The keys of a dict, the positions of a list."""
    return list(holder) if isinstance(holder, dict) else list(range(len(holder)))


# The run ------------------------------------------------------------------------------------------


def mutant(files: dict[str, bytes], draw: random.Random) -> tuple[str, str, bytes]:
    """A name of a net, a kind of mutation, and the file."""
    name = draw.choice(list(files))
    raw = files[name]
    kind = draw.choice(["flipped", "truncated", "lying", "spliced", "edited", "edited", "forged", "forged"])
    if kind == "spliced":
        return name, kind, spliced(raw, draw, list(files.values()))
    return name, kind, globals()[kind](raw, draw)


def attempt(place: Path) -> tuple[rt.Net | None, BaseException | None, float]:
    """Load under watch."""
    tracemalloc.reset_peak()
    began = time.perf_counter()
    watched["on"] = True
    try:
        return rt.load(place), None, time.perf_counter() - began
    except BaseException as error:
        return None, error, time.perf_counter() - began
    finally:
        watched["on"] = False


def run(count: int, seed: int) -> dict[str, Any]:
    """The report: how many of each outcome, and every fault with the file that showed it."""
    folder = Path(tempfile.mkdtemp())
    nets = corpus()
    files = {}
    for name, net in nets.items():
        net.save(folder / name)
        files[name] = (folder / name).read_bytes()
        assert rt.load(folder / name).hash == net.hash
    place = folder / "mutant"
    warm = random.Random(0)
    for _ in range(50):
        place.write_bytes(mutant(files, warm)[2])
        attempt(place)
    sys.addaudithook(note)
    tracemalloc.start()
    limit_memory()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    draw = random.Random(seed)
    outcomes: Counter[str] = Counter()
    faults: list[str] = []
    peak = slowest = 0.0
    for number in range(count):
        name, kind, raw = mutant(files, draw)
        place.write_bytes(raw)
        start = tracemalloc.get_traced_memory()[0]
        net, error, seconds = attempt(place)
        peak = max(peak, tracemalloc.get_traced_memory()[1] - start)
        slowest = max(slowest, seconds)
        fault = judge(net, error, nets[name], kind, raw == files[name]) or "; ".join(seen)
        outcomes[f"{kind} {'loaded' if error is None else 'refused'}"] += 1
        if fault:
            faults.append(f"{number} {name} {kind}: {fault}")
            seen.clear()
    return {
        "outcomes": outcomes,
        "faults": faults[:20],
        "python_bytes": peak,
        "grown_bytes": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024,
        "slowest_seconds": slowest,
    }


def judge(
    net: rt.Net | None, error: BaseException | None, original: rt.Net, kind: str, unchanged: bool
) -> str | None:
    """What is wrong with an outcome; None if nothing."""
    if error is None:
        if kind != "forged" and (net != original or net.hash != original.hash):
            return f"another net: {net!r}"
        return None
    if unchanged:
        return f"the very file was refused: {error}"
    if type(error) is not rt.FormatError or error.__cause__ is not None:
        return f"{type(error).__name__}: {error} from {error.__cause__!r}"
    if "does not fit into memory" in str(error):
        return f"it asked for memory: {error}"
    return None


def limit_memory() -> None:
    """No more address space than there is now and 64 MB: PyTorch's allocations count too."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def watch() -> dict[str, Any]:
    """Does what no load may do, and tells what of it was noticed."""
    sys.addaudithook(note)
    limit_memory()
    watched["on"] = True
    importlib.import_module("colorsys")
    with suppress(ImportError):
        exec("import no_such_module")
    with suppress(OSError):
        Path("/no/such/folder/file").write_bytes(b"")
    with suppress(OSError):
        subprocess.Popen(["/no/such/program"])
    socket.socket().close()
    watched["on"] = False
    try:
        torch.empty(ROOM + 2**20, dtype=torch.uint8)
    except RuntimeError:
        return {"noticed": list(dict.fromkeys(event.split()[0] for event in seen)), "room": False}
    return {"noticed": seen, "room": True}


if __name__ == "__main__":
    print(json.dumps(watch() if sys.argv[1] == "watch" else run(int(sys.argv[1]), int(sys.argv[2]))))
