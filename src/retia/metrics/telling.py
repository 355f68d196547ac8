"""A measurement as a table of plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from retia.metrics.formulas import Rates
from retia.metrics.kept import Decisions, Detections

if TYPE_CHECKING:
    from retia.metrics.measurement import Measurement

SHOWN = 20
"""Up to so many classes each has a line; of more, those of the lowest F1."""

WIDE = 24
"""Longer labels are cut."""

IN_UNITS = ("rmse", "mae", "median_absolute_error", "max_error")
"""Figures in the unit of the numbers."""


def table(m: Measurement) -> str:
    """The figures, then precision, recall and F1 by class; output by output where there are several."""
    if m.parts:
        told = {"loss": m.loss, **m.others}
        inner = [f"{port}\n{_indented(table(part))}" for port, part in m.parts.items()]
        return "\n\n".join([_figures(m.examples, told), *inner])
    text = _figures(m.examples, m.figures(), m.unit)
    if isinstance(m.kept, Decisions) and m.asked is None:
        text += "\n\n" + _classes(m)
    if isinstance(m.kept, Detections) and m.asked is None:
        text += "\n\n" + _labels(m)
    return text


def _figures(examples: int, figures: dict[str, float], unit: str | None = None) -> str:
    """A line for each figure; errors with the unit that they are in."""
    width = max(len(name) for name in ("examples", *figures))
    units = {} if unit is None else {**dict.fromkeys(IN_UNITS, f" {unit}"), "mse": f" {unit}²"}
    lines = [f"{'examples':<{width}}  {examples:,}"]
    lines += [f"{name:<{width}}  {value:.4f}{units.get(name, '')}" for name, value in figures.items()]
    return "\n".join(lines)


def _labels(m: Measurement) -> str:
    """A line for each label of boxes; of many the worst."""
    known = [(label, each) for label, each in m.per_class.items() if each.boxes]
    shown = sorted(known, key=lambda item: item[1].at_50)[:SHOWN] if len(known) > SHOWN else known
    width = max([len("label"), *(len(_cut(label)) for label, _ in shown)])
    text = [f"{'label':<{width}}   ap_50   ap_75      ap  boxes"]
    text += [
        f"{_cut(label):<{width}}  {each.at_50:6.4f}  {each.at_75:6.4f}  {each.mean:6.4f}  {each.boxes:5,}"
        for label, each in shown
    ]
    if len(known) > SHOWN:
        text.append(f"... the {len(shown)} of {len(known):,} with the lowest ap_50; all are in m.per_class")
    return "\n".join(text)


def _classes(m: Measurement) -> str:
    found = m.per_class
    shown = [*found.items()]
    if len(found) > SHOWN:
        shown = sorted(((k, v) for k, v in found.items() if v.examples), key=lambda item: item[1].f1)[:SHOWN]
    lines = [(_cut(label), rates) for label, rates in shown]
    means = [(how, m.averaged(how)) for how in ("macro", "weighted")]
    width = max(len(name) for name, _ in [("weighted", None), *lines])
    iou = "     iou" if m.has_masks else ""
    text = [f"{'class':<{width}}  precision  recall      f1{iou}  examples"]
    text += [_line(name, rates, width, m.has_masks) for name, rates in lines]
    if len(found) > SHOWN:
        text.append(f"... the {len(shown)} of {len(found):,} with the lowest f1; all are in m.per_class")
    return "\n".join(text + [_line(name, rates, width, m.has_masks) for name, rates in means])


def _line(name: str, rates: Rates, width: int, has_iou: bool) -> str:
    each = [f"{rates.precision:9.4f}", f"{rates.recall:6.4f}", f"{rates.f1:6.4f}"]
    each += [f"{rates.iou:6.4f}"] if has_iou else []
    return "  ".join([f"{name:<{width}}", *each, f"{rates.examples:8,}"])


def _cut(label: Any) -> str:
    text = str(label)
    return text if len(text) <= WIDE else text[: WIDE - 1] + "…"


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" if line else "" for line in text.split("\n"))
