"""A training's report as HTML: a fragment for notebooks, and one file that asks no host for anything.

The curves are SVG in the page itself. Ink takes the colour of the text around it, so that the same picture
stands on light and dark ground; nothing holds a script.
"""

from __future__ import annotations

import html
import os
from collections.abc import Mapping, Sequence

from retia._figures import figure, inline
from retia.errors import ArgumentError, MissingExtraError
from retia.training.reports.curves import draw, quantities_of
from retia.training.reports.report import Reported, Table, tables_of
from retia.training.reports.symptoms import Verdict

CELL = "padding: .15em .7em; text-align: {side}; white-space: {space}; font-variant-numeric: tabular-nums"

LIST = "margin: 0; display: grid; grid-template-columns: max-content 1fr; gap: .1rem .9rem"
"""Of what a verdict stands on; it is said in place, for notebooks have rules of their own."""

STYLE = """
:root { color-scheme: light dark; --ground: #ffffff; --ink: #1c1e21; --soft: #5c6370; --line: #d8dbe0;
  --mark: #eef4fb; --accent: #1f66b5; }
@media (prefers-color-scheme: dark) { :root { --ground: #15171b; --ink: #e4e6ea; --soft: #9aa1ad;
  --line: #343943; --mark: #1e2733; --accent: #6fb0f5; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.2rem 4rem; max-width: 62rem; background: var(--ground);
  color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .2rem; }
h2 { font-size: 1.05rem; margin: 2.2rem 0 .5rem; }
.under { color: var(--soft); margin: 0 0 1.6rem; }
.verdict { border-left: 4px solid var(--accent); background: var(--mark); padding: .8rem 1.1rem;
  border-radius: 0 6px 6px 0; }
.verdict + .verdict { margin-top: .7rem; }
.verdict p { margin: 0 0 .4rem; font-weight: 600; }
.verdict dt { color: var(--soft); }
.verdict dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; }
thead th { border-bottom: 1px solid var(--line); color: var(--soft); font-weight: 600; }
tbody tr.best { background: var(--mark); }
tbody tr:hover { background: var(--mark); }
.note { color: var(--soft); font-size: .85rem; margin: .4rem 0 0; max-width: 46rem; }
svg { max-width: 100%; height: auto; display: block; }
pre { font-size: .8rem; overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; padding: .8rem; }
@media print { body { max-width: none; padding: 0; } }
"""


def write(
    run: Reported, path: str | os.PathLike[str], figures: Mapping[str, Mapping[str, float]] | None = None
) -> None:
    """Write a report as one HTML file.

    Args:
        run: a training.
        path: ending in .html.
        figures: as ``report.figures_of`` answers them, if they were measured.
    Raises:
        ArgumentError: another ending.
    """
    if os.path.splitext(path)[1].lower() not in (".html", ".htm"):
        raise ArgumentError(f"report: {os.fspath(path)!r} ends in no .html.", fix='run.report("run.html")')
    with open(path, "w", encoding="utf8") as file:
        file.write(page(run, figures or {}))


def page(run: Reported, figures: Mapping[str, Mapping[str, float]]) -> str:
    """A report as one HTML document."""
    title = _escape(run.verdict.text)
    under = _escape(f"{run.why}; seed {run.settings.get('seed', '')}")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head><body>"
        f'<h1>Training report</h1><p class="under">{under}</p>'
        f"{_verdicts(run.verdict)}{_curves(run)}"
        + "".join(_section(table) for table in tables_of(run, figures))
        + f"<h2>The net</h2><pre>{_escape(str(run.net))}</pre></body></html>\n"
    )


def fragment(run: Reported, figures: Mapping[str, Mapping[str, float]] | None = None) -> str:
    """A report for a notebook: no style sheet, no colour of its own but the curves'."""
    return (
        f"<div>{_verdicts(run.verdict)}{_curves(run)}"
        + "".join(_section(table, "h4") for table in tables_of(run, figures or {}))
        + "</div>"
    )


# Parts --------------------------------------------------------------------------------------------


def _verdicts(verdict: Verdict) -> str:
    told = [("seen", line) for line in verdict.evidence] + [("try", line) for line in verdict.advice]
    lines, before = [], ""
    for word, line in told:
        name = word if word != before else ""
        lines.append(f'<dt style="width: auto">{name}</dt><dd style="margin: 0">{_escape(line)}</dd>')
        before = word
    own = f'<div class="verdict"><p>{_escape(verdict.text)}</p><dl style="{LIST}">{"".join(lines)}</dl></div>'
    return own + "".join(_verdicts(each) for each in verdict.also)


def _section(table: Table, level: str = "h2") -> str:
    note = f'<p class="note">{_escape(table.note)}</p>' if table.note else ""
    return f'<{level}>{_escape(table.title)}</{level}><div class="scroll">{_table(table)}</div>{note}'


def _table(table: Table) -> str:
    plain = not any(table.heads)
    head = "" if plain else f"<thead>{_row(table.heads, 'th')}</thead>"
    rows = [_row(row, "td", plain=plain, best=at in table.marked) for at, row in enumerate(table.rows)]
    return f'<table style="border-collapse: collapse">{head}<tbody>{"".join(rows)}</tbody></table>'


def _row(cells: Sequence[str], tag: str, *, plain: bool = False, best: bool = False) -> str:
    made = []
    for at, cell in enumerate(cells):
        left = plain or (at == 0 and not cell.isdigit() and cell != "epoch")
        style = CELL.format(side="left" if left else "right", space="normal" if plain and at else "nowrap")
        made.append(f'<{tag} style="{style}">{"* " * (best and not at)}{_escape(cell)}</{tag}>')
    begin = '<tr class="best" style="font-weight: 600">' if best else "<tr>"
    return f"{begin}{''.join(made)}</tr>"


def _escape(text: str) -> str:
    return html.escape(text)


# Curves -------------------------------------------------------------------------------------------


def _curves(run: Reported) -> str:
    """The curves side by side as far as they fit, or the word that they need matplotlib."""
    if not run.history:
        return ""
    try:
        drawn = [curves_svg(run, quantity) for quantity in quantities_of(run.history)]
    except MissingExtraError as error:
        return f'<p class="note">Curves: {_escape(error.message)} {_escape(error.fix or "")}</p>'
    beside = "display: flex; flex-wrap: wrap; gap: 1rem; margin: 1.6rem 0 0"
    return f'<div style="{beside}">{"".join(drawn)}</div>'


def curves_svg(run: Reported, quantity: str) -> str:
    """The curves of one figure of the history, with the gap between training and validation, as ``<svg>``.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    drawn, (place,) = figure(4.6, 3.1)
    draw(place, run.history, quantity, run.best_epoch)
    return inline(drawn, f"Curves of {quantity}")
