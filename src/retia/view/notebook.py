"""A net in a notebook: its diagram, and its table as text and as static HTML.

Neither holds a script or asks anything of any host, so both survive saving and conversion. The table has no
colour of its own, so that it looks right on light and dark pages; the diagram brings its own ground. Where a
page that is not trusted loses the diagram, the table stays. Whatever a net says is escaped.
"""

from __future__ import annotations

import html

from retia.nets import Net
from retia.view.diagram import diagram
from retia.view.model import view
from retia.view.paint import titled
from retia.view.text import HEADINGS, Line, Summary, summary, table

CELL = "padding: 0.15em 0.8em; text-align: {side}; white-space: pre; font-variant-numeric: tabular-nums"
RULE = "border-top: 1px solid currentColor"


def mimebundle(net: Net) -> dict[str, str]:
    """A net's table in the forms that notebooks show.

    Example:
        >>> import retia as rt
        >>> sorted(mimebundle(rt.Linear(3, input=2)))
        ['image/svg+xml', 'text/html', 'text/plain']
    """
    drawn = diagram(net).svg
    said = html.escape(titled(view(net)))
    page = f"<div>{drawn}</div><details><summary>{said}</summary>{_page(summary(net))}</details>"
    return {"text/plain": table(net), "image/svg+xml": drawn, "text/html": page}


def _page(summed: Summary) -> str:
    head = _row(HEADINGS, "th")
    bodies = "".join(f'<tbody style="{RULE}">{"".join(map(_line, block))}</tbody>' for block in summed.blocks)
    note = f"<caption style='caption-side: bottom; text-align: left'>{html.escape(summed.note)}</caption>"
    return (
        '<table style="border-collapse: collapse; color: inherit; background: none">'
        f"{note}<thead>{head}</thead>{bodies}</table>"
    )


def _line(line: Line) -> str:
    return _row(line.cells, "td")


def _row(cells: tuple[str, ...], tag: str) -> str:
    made = []
    for position, cell in enumerate(cells):
        side = "right" if position == len(cells) - 1 else "left"
        text = html.escape(cell)
        made.append(f'<{tag} style="{CELL.format(side=side)}">{text}</{tag}>')
    return f"<tr>{''.join(made)}</tr>"
