"""Figures of matplotlib that touch nothing global: no backend is chosen, no window opened."""

from __future__ import annotations

import os
from typing import Any

from retia._late import Late

_figure: Any = Late("matplotlib.figure", extra="plots")
_agg: Any = Late("matplotlib.backends.backend_agg", extra="plots")


def figure(width: float, height: float, places: int = 1, down: int = 1) -> tuple[Any, list[Any]]:
    """An empty figure and its axes, side by side.

    Args:
        width: in inches. height: in inches.
        places: number of axes beside each other.
        down: number of such rows.
    """
    made = _figure.Figure(figsize=(width, height), layout="constrained")
    _agg.FigureCanvasAgg(made)
    return made, list(made.subplots(down, places, squeeze=False).ravel())


def save(drawn: Any, path: str | os.PathLike[str] | None) -> Any:
    """Write a figure where a path is given; answers the figure."""
    if path is not None:
        drawn.savefig(path, dpi=150)
    return drawn
