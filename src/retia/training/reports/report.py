"""What a training was, on a page: its verdict, its figures, its epochs, its layers, how it was run.

The parts are gathered here as tables of text, which the terminal shows; ``page.py`` makes HTML of the same.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from textwrap import wrap
from typing import Any, Protocol

from retia._late import numpy as np
from retia._torch import torch
from retia.metrics.measure import measure
from retia.nets.net import Net
from retia.sources.dataset import Data
from retia.training.reports.records import LayerRecord, Records
from retia.training.reports.symptoms import Verdict

WIDTH = 80

SHOWN = 16
"""Epochs that a table shows, about; the history has them all."""

HIDDEN = ("rate", "examples_per_second", "waiting")
"""What the table of epochs leaves out: it is told once below."""

LAYER_HEADS = ("layer", "weights", "gradient", "moved", "mean", "deviation", "dead", "saturated")


class Reported(Protocol):
    """What a report reads of a training."""

    @property
    def net(self) -> Net: ...
    @property
    def history(self) -> list[dict[str, Any]]: ...
    @property
    def records(self) -> Sequence[Records]: ...
    @property
    def verdict(self) -> Verdict: ...
    @property
    def best_epoch(self) -> int: ...
    @property
    def why(self) -> str: ...
    @property
    def settings(self) -> Mapping[str, Any]: ...
    @property
    def versions(self) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class Table:
    """Cells under headings. The first column stands at the left, all others at the right.

    Attributes:
        title: what they are of.
        heads: one for each column; all empty where there are none.
        rows: of text.
        note: what is to know of them.
        marked: the rows to point out.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    marked: tuple[int, ...] = ()


def versions() -> dict[str, str]:
    """What a training ran on: versions of Retia, PyTorch, NumPy, Python, and the system.

    Example:
        >>> sorted(versions())
        ['numpy', 'python', 'retia', 'system', 'torch']
    """
    return {
        "retia": version("retia"),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def figures_of(net: Net, splits: Mapping[str, Data], loss: Any = None) -> dict[str, dict[str, float]]:
    """The figures of a net on parts of the data, measured in inference behaviour.

    Those of the history are others: the training loss there is a running mean, in training behaviour.

    Args:
        net: that was trained.
        splits: by their names.
        loss: as ``rt.train`` had it.
    Example:
        >>> import retia as rt
        >>> net = rt.Chain(rt.ReLU(), input=1, output=1)
        >>> figures_of(net, {"training": rt.data(([[1.0], [2.0]], [[1.0], [4.0]]))})["training"]["mse"]
        2.0
    """
    found = {}
    for name, data in splits.items():
        measured = measure(net, data, loss=loss)
        found[name] = {"examples": float(measured.examples), **measured.figures()}
    return found


def text_of(run: Reported, figures: Mapping[str, Mapping[str, float]] | None = None) -> str:
    """A report for the terminal, 80 characters wide.

    Args:
        run: a training.
        figures: as ``figures_of`` answers them, if they were measured.
    """
    parts = [_wrapped(str(run.verdict))]
    parts += [_shown(table) for table in tables_of(run, figures or {})]
    return "\n\n".join(parts)


def tables_of(run: Reported, figures: Mapping[str, Mapping[str, float]]) -> list[Table]:
    """All tables of a report that have something to say."""
    made = (_measured(run, figures), _epochs(run), layers_table(run.records), _how(run), _versions(run))
    return [table for table in made if table.rows]


# Tables -------------------------------------------------------------------------------------------


def _measured(run: Reported, figures: Mapping[str, Mapping[str, float]]) -> Table:
    names = [*dict.fromkeys(name for own in figures.values() for name in own)]
    rows = [(name, *(_number(own.get(name), name) for own in figures.values())) for name in names]
    of = f"The net of epoch {run.best_epoch}" if run.best_epoch else "The net"
    return Table(f"{of}, measured in inference behaviour", ("", *figures), tuple(rows))


def _epochs(run: Reported) -> Table:
    history = run.history
    if not history:
        return Table("Epochs", (), ())
    names = [name for name in history[-1] if name not in HIDDEN]
    chosen = shown_epochs(len(history), run.best_epoch)
    rows = [tuple(_number(history[at].get(name), name) for name in names) for at in chosen]
    marked = tuple(row for row, at in enumerate(chosen) if history[at]["epoch"] == run.best_epoch)
    notes = ["loss and what goes with it: running means in training behaviour; val_: after the epoch."]
    notes += ["* the best net."] * bool(marked)
    notes += [f"{len(rows)} of {len(history)} epochs."] * (len(rows) < len(history))
    return Table("Epochs", tuple(names), tuple(rows), " ".join(notes), marked)


def shown_epochs(count: int, best: int) -> list[int]:
    """Which epochs a table shows, from 0: the first, the last, the best, and some between.

    Example:
        >>> shown_epochs(5, 2)
        [0, 1, 2, 3, 4]
        >>> len(shown_epochs(1000, 7))
        17
    """
    if count <= SHOWN:
        return [*range(count)]
    even = {round(at * (count - 1) / (SHOWN - 1)) for at in range(SHOWN)}
    return sorted(even | ({best - 1} if 0 < best <= count else set()))


def layers_table(records: Sequence[Records]) -> Table:
    """The layers at the last moment that they were looked at.

    Example:
        >>> layers_table([]).rows
        ()
    """
    if not records:
        return Table("Layers", (), ())
    last = records[-1]
    every = [_layer_cells(each) for each in last.layers]
    kept = [at for at in range(len(LAYER_HEADS)) if not at or any(row[at] for row in every)]
    when = f"after epoch {last.epoch}" if last.epoch else "before the first step"
    since = [each.epoch for each in records[-2:-1]]
    note = f"From a probe of {last.examples} training examples. weights, gradient: norms."
    note += f" moved: since epoch {since[0]}, as a share of the weights." if since else ""
    rows = tuple(tuple(row[at] for at in kept) for row in every)
    return Table(f"Layers {when}", tuple(LAYER_HEADS[at] for at in kept), rows, note)


def _layer_cells(layer: LayerRecord) -> tuple[str, ...]:
    name = f"{layer.path} {layer.layer}".strip()
    norms = (layer.weight, layer.gradient)
    shares = (layer.dead, layer.saturated)
    return (
        name,
        *("" if each is None else f"{each:.2g}" for each in norms),
        "" if layer.update is None else f"{layer.update:.1g}",
        *("" if each is None else f"{each:.2f}" for each in (layer.mean, layer.deviation)),
        *("" if each is None else f"{each:.0%}" for each in shares),
    )


def _how(run: Reported) -> Table:
    rows = [("stopped", run.why)]
    if run.history:
        seconds = sum(entry["seconds"] for entry in run.history)
        examples = sum(entry["seconds"] * entry["examples_per_second"] for entry in run.history)
        speed = f", {examples / seconds:,.0f} examples/s" if seconds else ""
        rows.append(("time", f"{seconds:.1f} s for {len(run.history)} epochs{speed}"))
    rows += [(name, f"{value:,}" if isinstance(value, int) else str(value)) for name, value in _settled(run)]
    return Table("How it was trained", ("", ""), tuple(rows))


def _settled(run: Reported) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in run.settings.items() if name not in run.versions]


def _versions(run: Reported) -> Table:
    return Table("Versions", ("", ""), tuple(run.versions.items()))


def _number(value: Any, name: str) -> str:
    """A figure as its name has it: whole, a duration, or with four digits."""
    if value is None:
        return ""
    if name in ("epoch", "examples"):
        return f"{value:,.0f}"
    if name == "seconds":
        return f"{value:.2f}"
    return f"{value:.4g}" if abs(value) >= 1e4 or 0 < abs(value) < 1e-3 else f"{value:.4f}"


# Text ---------------------------------------------------------------------------------------------


def _shown(table: Table) -> str:
    lines = [table.title, *(_pairs(table) if not any(table.heads) else _columns(table))]
    return "\n".join([*lines, *(f"  {line}" for line in wrap(table.note, WIDTH - 2))])


def _pairs(table: Table) -> list[str]:
    """Two columns, the second one wrapped."""
    first = max(len(row[0]) for row in table.rows) + 2
    lines = []
    for name, value in table.rows:
        parts = wrap(value, WIDTH - 2 - first) or [""]
        lines.append(f"  {name:<{first}}{parts[0]}")
        lines += [f"  {'':<{first}}{part}" for part in parts[1:]]
    return lines


def _columns(table: Table) -> list[str]:
    """As many columns as fit."""
    rows = [table.heads, *table.rows]
    widths = [max(len(row[at]) for row in rows) for at in range(len(table.heads))]
    while sum(widths) + 2 * len(widths) > WIDTH - 2 and len(widths) > 2:
        if widths[0] > 24:
            widths[0] -= 1
        else:
            widths.pop()
    lines = []
    for at, row in enumerate(rows):
        first = row[0] if len(row[0]) <= widths[0] else row[0][: widths[0] - 3] + "..."
        side = first.ljust(widths[0]) if not row[0].isdigit() else first.rjust(widths[0])
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=False)]
        mark = "* " if at - 1 in table.marked else "  "
        lines.append((mark + "  ".join([side, *cells])).rstrip())
    return lines


def _wrapped(text: str) -> str:
    """Lines that are too long go on below where their words begin."""
    lines = []
    for line in text.splitlines():
        inset = " " * 8 if line.startswith("  ") else ""
        lines += wrap(line, WIDTH, subsequent_indent=inset, drop_whitespace=True, replace_whitespace=False)
    return "\n".join(lines)
