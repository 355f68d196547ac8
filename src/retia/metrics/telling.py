"""A measurement as a table of plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retia.metrics.kept import Decisions, Detections

if TYPE_CHECKING:
    from retia.metrics.measurement import Measurement

IN_UNITS = ("rmse", "mae", "median_absolute_error", "max_error")
"""Figures in the unit of the numbers."""


def table(m: Measurement) -> str:
    """The figures, then precision, recall and F1 by class; output by output where there are several."""
    if m.parts:
        told = {"loss": m.loss, **m.others}
        inner = [f"{port}\n{_indented(table(part))}" for port, part in m.parts.items()]
        return "\n\n".join([_figures(m.examples, told), *inner])
    text = _figures(m.examples, m.figures(), m.unit)
    if isinstance(m.kept, Decisions | Detections) and m.asked is None:
        text += f"\n\n{m.per_class}"
    return text


def _figures(examples: int, figures: dict[str, float], unit: str | None = None) -> str:
    """A line for each figure; errors with the unit that they are in."""
    width = max(len(name) for name in ("examples", *figures))
    units = {} if unit is None else {**dict.fromkeys(IN_UNITS, f" {unit}"), "mse": f" {unit}²"}
    lines = [f"{'examples':<{width}}  {examples:,}"]
    lines += [f"{name:<{width}}  {value:.4f}{units.get(name, '')}" for name, value in figures.items()]
    return "\n".join(lines)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" if line else "" for line in text.split("\n"))
