"""Files that are made to be large or slow once they are read. ``python bombing.py FOLDER`` loads them."""

from __future__ import annotations

import functools
import json
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from crafting import chain, forge, layer, linear, together

import retia as rt

RELU = layer("ReLU")


def header(entries: str) -> bytes:
    """A file whose header holds one long list."""
    return together(f'{{"a":[{entries}]}}'.encode())


def arrays() -> bytes:
    count = 50_000
    entries = {f"a{i}": {"dtype": "U8", "shape": [1], "data_offsets": [i, i + 1]} for i in range(count)}
    return together(entries, bytes(count))


def labels() -> bytes:
    names = [f"s{i}" for i in range(290_000)]
    return forge(chain(linear(), output={"type": "Classes", "version": 1, "labels": names, "form": "index"}))


def parts(part: dict[str, Any]) -> bytes:
    """As many layers as are read, and a fault that shows at the end."""
    return forge(chain(*[part] * 14_990), missing='["x"]')


def nested() -> bytes:
    inner = chain(*[RELU] * 3200, input=None)
    return forge(functools.reduce(lambda net, _: chain(net, input=None), range(60), inner), missing='["x"]')


FEW: dict[str, Callable[[], bytes]] = {
    "one long text": lambda: header('"' + "x" * 12_000_000 + '"'),
    "one long name of a layer": lambda: forge(json.dumps({"type": "x" * 12_000_000})),
    "lists": lambda: header("[]," * 248_000 + "[]"),
    "dicts": lambda: header('{"b":1},' * 248_000 + "[]"),
    "numbers": lambda: header("1.5," * 299_000 + "1"),
    "texts": lambda: header(",".join(f'"s{i:030d}"' for i in range(299_000))),
    "labels": labels,
    "arrays": arrays,
}
ALL = {
    **FEW,
    "layers": lambda: parts(RELU),
    "layers with arrays": lambda: parts(linear(2)),
    "layers of unknown sizes": lambda: parts(linear(None)),
    "layers with arithmetic": lambda: parts(layer("Flatten")),
    "nested": nested,
}


def run(folder: Path) -> dict[str, Any]:
    """By how much this process grew over the files of a folder, and which of them were not refused."""
    rt.load(folder / "good")
    before = peak()
    accepted = []
    for place in sorted(folder.glob("bomb *")):
        try:
            rt.load(place)
        except rt.FormatError as error:
            if error.__cause__ is None:
                continue
        accepted.append(place.name)
    return {"accepted": accepted, "grown_bytes": peak() - before}


def peak() -> int:
    """The most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]))))
