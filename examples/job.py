"""What the example scripts share: their options, the folder of prepared data, and how they end.

The last thing that a script prints is one JSON object a job, in a line, which ``examples/table.py`` collects:

    {"job": "...", "data": "...", "split": "...", "parameters": 431080,
     "figure": {"test accuracy": 0.91}, "baseline": {"most frequent class": 0.1}, "seconds": 95.2}
"""

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path

import retia as rt

DATA = Path(__file__).parent.parent.parent / "shared" / "data"
marks = [time.perf_counter()]


def options(text: str, *, epochs: int) -> argparse.Namespace:
    """What the command line says: ``epochs``, ``data`` and ``examples``.

    Args:
        text: the script's docstring; its first line is told by ``--help``.
        epochs: how many, unless it is said.
    """
    parser = argparse.ArgumentParser(description=text.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=epochs, help=f"how often all is seen; {epochs}")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the prepared data; %(default)s")
    parser.add_argument("--examples", type=int, metavar="N", help="use only so many, to see whether it works")
    return parser.parse_args()


def prepared(asked: argparse.Namespace, path: str) -> str:
    """The path of a prepared set; where it is not there, the script ends and says so."""
    found: Path = asked.data / path
    if not found.exists():
        raise SystemExit(f"{found} is not there. --data DIR says where the prepared data lies.")
    return str(found)


def some(data: rt.Data, asked: argparse.Namespace) -> rt.Data:
    """All examples, or as many as ``--examples`` says, drawn by chance."""
    return data if asked.examples is None else data.shuffle().take(asked.examples)


def tell(
    job: str,
    *,
    data: str,
    split: str,
    net: rt.Net,
    figure: Mapping[str, float],
    baseline: Mapping[str, float],
) -> None:
    """Print the line of a job: what was done, on which data, how well, and how long it took.

    The seconds are those since the line before, or since the script began.

    Args:
        job: in a few words.
        data: the set, with its size.
        split: which part was learned from, chosen by, and measured on.
        net: its size is told.
        figure: by name, measured on examples that the net never saw.
        baseline: the same figure of something simpler.
    """
    marks.append(time.perf_counter())
    line = {
        "job": job,
        "data": data,
        "split": split,
        "parameters": net.count,
        "figure": {name: round(value, 4) for name, value in figure.items()},
        "baseline": {name: round(value, 4) for name, value in baseline.items()},
        "seconds": round(marks[-1] - marks[-2], 1),
    }
    print(json.dumps(line))
