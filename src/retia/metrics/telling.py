"""A measurement as a table of plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from retia.metrics.formulas import Rates
from retia.metrics.kept import Decisions

if TYPE_CHECKING:
    from retia.metrics.measurement import Measurement

SHOWN = 20
"""Up to so many classes each has a line; of more, those of the lowest F1."""

WIDE = 24
"""Longer labels are cut."""


def table(m: Measurement) -> str:
    """The figures, then precision, recall and F1 by class; output by output where there are several."""
    if m.parts:
        told = {"loss": m.loss, **m.others}
        inner = [f"{port}\n{_indented(table(part))}" for port, part in m.parts.items()]
        return "\n\n".join([_figures(m.examples, told), *inner])
    text = _figures(m.examples, m.figures())
    if isinstance(m.kept, Decisions) and m.asked is None:
        text += "\n\n" + _classes(m)
    return text


def _figures(examples: int, figures: dict[str, float]) -> str:
    width = max(len(name) for name in ("examples", *figures))
    lines = [f"{'examples':<{width}}  {examples:,}"]
    return "\n".join(lines + [f"{name:<{width}}  {value:.4f}" for name, value in figures.items()])


def _classes(m: Measurement) -> str:
    found = m.per_class
    shown = [*found.items()]
    if len(found) > SHOWN:
        shown = sorted(((k, v) for k, v in found.items() if v.examples), key=lambda item: item[1].f1)[:SHOWN]
    lines = [(_cut(label), rates) for label, rates in shown]
    means = [(how, m.averaged(how)) for how in ("macro", "weighted")]
    width = max(len(name) for name, _ in [("weighted", None), *lines])
    text = [f"{'class':<{width}}  precision  recall      f1  examples"]
    text += [_line(name, rates, width) for name, rates in lines]
    if len(found) > SHOWN:
        text.append(f"... the {len(shown)} of {len(found):,} with the lowest f1; all are in m.per_class")
    return "\n".join(text + [_line(name, rates, width) for name, rates in means])


def _line(name: str, rates: Rates, width: int) -> str:
    return (
        f"{name:<{width}}  {rates.precision:9.4f}  {rates.recall:6.4f}  {rates.f1:6.4f}  {rates.examples:8,}"
    )


def _cut(label: Any) -> str:
    text = str(label)
    return text if len(text) <= WIDE else text[: WIDE - 1] + "…"


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" if line else "" for line in text.split("\n"))
