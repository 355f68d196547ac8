"""The curves of a training: a figure of the history, for training and validation, with the gap between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from retia._figures import FIRST, SECOND, grid, ink, legend
from retia.training.reports.report import HIDDEN

DOTTED = 40
"""Up to so many epochs each has a dot."""

NOT_DRAWN = ("epoch", "seconds", *HIDDEN)


def quantities_of(history: Sequence[Mapping[str, Any]]) -> list[str]:
    """What there are curves of: the loss, the accuracy, and every metric.

    Example:
        >>> quantities_of([{"epoch": 1, "loss": 0.5, "val_loss": 0.6, "top_3": 0.9, "seconds": 1.0}])
        ['loss', 'top_3']
    """
    return [*dict.fromkeys(name.removeprefix("val_") for name in history[0] if name not in NOT_DRAWN)]


def draw(ax: Any, history: Sequence[Mapping[str, Any]], quantity: str, best: int) -> None:
    """Draw the curves of one figure of the history.

    Args:
        ax: the axes.
        history: of at least one epoch.
        quantity: as ``quantities_of`` has it.
        best: the epoch of the best net, from 1; 0 for none.
    """
    epochs = [entry["epoch"] for entry in history]
    ways = ((quantity, "training", FIRST, "-"), (f"val_{quantity}", "validation", SECOND, "--"))
    curves = {}
    for key, label, color, way in ways:
        if key in history[0]:
            curves[label] = [entry[key] for entry in history]
            dot = "." if len(epochs) <= DOTTED else ""
            ax.plot(epochs, curves[label], way, marker=dot, color=color, label=label, linewidth=1.8)
    if len(curves) == 2:
        at = epochs.index(best) if best in epochs else -1
        gap = abs(curves["validation"][at] - curves["training"][at])
        told = f"gap, {gap:.3g} {'at the best' if at >= 0 else 'at the end'}"
        ax.fill_between(epochs, *curves.values(), color=SECOND, alpha=0.15, linewidth=0, label=told)
    if best and "val_loss" in history[0]:
        ax.axvline(best, color=ink(ax), alpha=0.5, linewidth=1, linestyle=":", label=f"best, epoch {best}")
    ax.set_ylabel(quantity)
    ax.set_xlabel("epoch")
    ax.xaxis.get_major_locator().set_params(integer=True)
    grid(ax)
    legend(ax)
