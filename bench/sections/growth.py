"""Time against width, depth, batch and examples: how it grows, as a picture."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import workloads
from how import How
from report import line, paragraph, quiet
from workers import Field, Peer, Row

TITLE = "Growth"
PLOT = Path(__file__).parent.parent / "growth.png"
WORDS = """
Seconds of an epoch against the width of a hidden layer (1 layer, 128 a batch, 6,400 examples), the
number of hidden layers of 64, the batch (200 wide), and the number of examples (200 wide): the best
epoch after the first.

![Seconds of an epoch against width, depth, batch and examples](growth.png)
"""
PEERS = (
    Peer("retia", "Retia", "peers.retia_net:grow"),
    Peer("torch-best", "PyTorch, best loop", "peers.torch_best:grow", needs=("torch",)),
    Peer("jax", "JAX", "peers.jax_net:grow", needs=("jax",)),
)
FEW = 6400
AXES: dict[str, dict[int, dict[str, Any]]] = {
    "width": {n: {"spec": workloads.dense(n, 1)} for n in (16, 64, 256, 1024, 4096)},
    "depth": {n: {"spec": workloads.dense(64, n)} for n in (1, 4, 16, 64)},
    "batch": {n: {"batch": n} for n in (8, 32, 128, 512, 2048)},
    "examples": {n: {"examples": n} for n in (1024, 4096, 16384, 59904)},
}
USUAL = {"spec": workloads.dense(200, 1), "batch": workloads.BATCH, "examples": FEW, "epochs": 3}


@dataclass(frozen=True)
class Axis:
    """What growing along one axis costs: a line a point."""

    title: str
    name: str
    rows: list[Row]

    def markdown(self) -> str:
        """The table, with Retia's ratio to each other."""
        done = [row for row in self.rows if row.failed is None]
        others = [row for row in done if row.peer.key != "retia"]
        heads = [
            self.name,
            *(row.peer.words for row in done),
            *(f"Retia / {row.peer.words}" for row in others),
        ]
        lines = [line(heads), line(["---"] * len(heads))]
        for count, point in enumerate(AXES[self.name]):
            seconds = {row.peer.key: row.seconds[count] for row in done}
            ratios = [
                f"{seconds['retia'] / seconds[row.peer.key]:.2f}" for row in others if "retia" in seconds
            ]
            lines.append(line([f"{point:,}", *(f"{value:.3g}" for value in seconds.values()), *ratios]))
        left = [f"Left out: {row.peer.words}: {row.failed}." for row in self.rows if row.failed]
        return "\n".join([f"### {self.title}", "", *lines, *paragraph([*left, quiet(done)])])


def measure(how: How) -> Iterator[Axis]:
    """A table an axis; the picture is drawn after the last."""
    drawn: dict[str, list[Row]] = {}
    peers = [peer for peer in PEERS if how.is_wanted(peer.key)]
    for axis, points in AXES.items():
        print(axis, file=sys.stderr)
        field = Field(peers, rounds=1, extra={"folder": how.folder}, limit=how.limit, patience=how.patience)
        drawn[axis] = field.sweep([{**USUAL, **changed} for changed in points.values()])
        yield Axis(f"Seconds an epoch by {axis}", axis, drawn[axis])
    if how.keep and find_spec("matplotlib") is None:
        print("growth.png is not drawn: matplotlib is not installed", file=sys.stderr)
    elif how.keep:
        draw(drawn)


def draw(drawn: dict[str, list[Row]]) -> None:
    """The four pictures, both axes logarithmic."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 7), dpi=90, layout="constrained")
    for place, (axis, rows) in zip(figure.subplots(2, 2).flat, drawn.items(), strict=True):
        for row in rows:
            if row.failed is None:
                place.loglog([*AXES[axis]], row.seconds, marker="o", label=row.peer.words)
        place.set_xlabel(axis)
        place.set_ylabel("seconds an epoch")
        place.grid(alpha=0.3, which="both")
        place.legend()
    figure.savefig(PLOT)
