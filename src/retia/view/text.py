"""A net as a table of text: what ``print(net)`` and ``net.show()`` give.

The table is made from the view model alone, so it needs neither PyTorch nor arrays. ``summary`` gathers its
lines; the notebook shows the same ones. The text holds no colour and, unless a name in the net does, nothing
beyond ASCII, so that it can be printed and logged anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn

from retia._columns import room
from retia.errors import NotYetError
from retia.nets import Net
from retia.view.model import Part, PortFacts, Sizes, View, number, show_sizes, total, view

HEADINGS = ("name", "layer", "from", "input", "output", "trained", "arrays", "parameters")
SPARE = (HEADINGS.index("arrays"), HEADINGS.index("input"))
"""Columns that are left out first where there is no room."""


@dataclass(frozen=True)
class Line:
    """One line of the table: a port, a part of the net, or a total.

    Attributes:
        name: of the port or part, without the names of the parts around it.
        depth: how many parts stand around it.
        what: the codec or the expression.
        sources: what feeds it, where it is a node of a graph.
        input: shape of one example of what it takes.
        output: shape of one example of what it gives.
        trained: ``"frozen"``, or nothing.
        arrays: shapes of what it learns, ``"30x2 + 30"``, shared ones where they are kept.
        count: its parameters, ``"?"`` while a size is unknown.
    """

    name: str = ""
    depth: int = 0
    what: str = ""
    sources: str = ""
    input: str = ""
    output: str = ""
    trained: str = ""
    arrays: str = ""
    count: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """The line's texts, one a column."""
        name = "  " * self.depth + self.name
        return (name, self.what, self.sources, self.input, self.output, self.trained, self.arrays, self.count)


@dataclass(frozen=True)
class Summary:
    """What there is to show of a net: its ports, its parts, what they come to, and a word on its arrays."""

    inputs: tuple[Line, ...]
    parts: tuple[Line, ...]
    outputs: tuple[Line, ...]
    totals: tuple[Line, ...]
    note: str

    @property
    def blocks(self) -> tuple[tuple[Line, ...], ...]:
        """The groups of lines between which a rule is drawn."""
        return tuple(block for block in (self.inputs, self.parts, self.outputs, self.totals) if block)


def table(net: Net, width: int | None = None, *, rates: Mapping[str, float] | None = None) -> str:
    """A net's table, at most so many characters wide.

    Args:
        net: any net.
        width: characters, at least 60; the terminal's where it is left out, 80 where there is none. Where it
            is not enough, shapes of arrays are left out first, then what the layers take; then the longest
            texts are cut.
        rates: as ``rt.train`` takes them; what has 0 is told to be frozen.
    Example:
        >>> import retia as rt
        >>> print(table(rt.Chain(rt.Linear(30), rt.Tanh(), rt.Linear(3), input=2), 60))
        name    layer       input  output  arrays     parameters
        --------------------------------------------------------
        input                      (2)
        --------------------------------------------------------
        0       Linear(30)  (2)    (30)    30x2 + 30          90
        1       Tanh()      (30)   (30)
        2       Linear(3)   (30)   (3)     3x30 + 3           93
        --------------------------------------------------------
        output                     (3)
        --------------------------------------------------------
        total                                                183
        Its arrays are not made yet; net.init(seed=0) makes them.
    """
    summed = summary(net, rates=rates)
    most = room(width)
    lines = [line.cells for block in summed.blocks for line in block]
    shown = [i for i in range(len(HEADINGS)) if i == len(HEADINGS) - 1 or any(cells[i] for cells in lines)]
    widths = [max(len(cells[i]) for cells in [HEADINGS, *lines]) for i in shown]
    for spare in SPARE:
        if spare in shown and sum(widths) + 2 * len(widths) - 2 > most:
            del widths[shown.index(spare)]
            shown.remove(spare)
    widths = _fit(widths, most)
    texts = [_join([HEADINGS[i] for i in shown], widths)]
    for block in summed.blocks:
        texts.append("-" * (sum(widths) + 2 * len(widths) - 2))
        texts += [_join([line.cells[i] for i in shown], widths) for line in block]
    return "\n".join([*texts, summed.note])


def show(net: Net) -> None:
    """Print a net's table."""
    print(table(net))


def not_yet(what: str, where: str) -> NoReturn:
    """Raise the error of something that is planned and not there yet.

    Raises:
        NotYetError: always.
    """
    raise NotYetError(f"{what} comes with {where}, which is not there yet.", path=what)


def summary(net: Net, *, rates: Mapping[str, float] | None = None) -> Summary:
    """What the table of a net says, line by line.

    Example:
        >>> import retia as rt
        >>> [line.output for line in summary(rt.Chain(rt.Linear(30), rt.Linear(3), input=2)).parts]
        ['(30)', '(3)']
    """
    seen = view(net, rates=rates)
    return Summary(
        inputs=tuple(_port(port) for port in seen.inputs),
        parts=tuple(_parts(seen)),
        outputs=tuple(_port(port) for port in seen.outputs),
        totals=tuple(_totals(seen)),
        note=seen.note,
    )


def _port(port: PortFacts) -> Line:
    plain = "whole numbers" if port.kind == "int" else ""
    return Line(port.name, what=port.codec or plain, output=show_sizes(port.shape))


def _parts(seen: View) -> Iterator[Line]:
    for path, part in seen.parts.items():
        if not path and part.kind == "group":
            continue
        around = seen.parts[path.rpartition(".")[0]]
        yield Line(
            name=part.name or "*",
            depth=path.count("."),
            what=_what(part),
            sources=_sources(part) if around.type == "Graph" else "",
            input=_shapes(part.inputs),
            output=_shapes(part.outputs),
            trained="frozen" if part.frozen and part.arrays else "",
            arrays=" + ".join(_product(held.shape) for held in part.arrays if held.learned and not held.lent),
            count=_count(part),
        )


def _what(part: Part) -> str:
    if not part.shared:
        return part.expression
    only = f", only={part.only[0]!r}" if len(part.only) == 1 else f", only={part.only!r}" if part.only else ""
    return f"Shared({part.shared!r}, {part.expression}{only})"


def _sources(part: Part) -> str:
    return ", ".join(name or port for name, port in part.sources.values())


def _shapes(ports: Mapping[str, Sizes]) -> str:
    shapes = {port: show_sizes(shape) for port, shape in ports.items()}
    if len(shapes) == 1 or all(port.isdigit() for port in shapes):
        return ", ".join(shapes.values())
    return ", ".join(f"{port} {shape}" for port, shape in shapes.items())


def _count(part: Part) -> str:
    if not part.arrays:
        return ""
    if all(held.lent for held in part.arrays):
        return "shared"
    learned = [held for held in part.arrays if held.learned]
    return number(total(held.count for held in learned if not held.lent)) if learned else ""


def _product(shape: Sizes) -> str:
    if shape is None:
        return "?"
    return "x".join("?" if size is None else str(size) for size in shape) or "1"


def _totals(seen: View) -> Iterator[Line]:
    yield Line("total", count=number(seen.count))
    if any(not held.learned for part in seen.layers for held in part.arrays):
        yield Line("other", what="numbers that gradients do not move", count=number(seen.others))


def _fit(widths: list[int], total: int) -> list[int]:
    """Column widths that leave two spaces between them and fit; the widest gives way first."""
    widths = list(widths)
    over = sum(widths) + 2 * len(widths) - 2 - total
    while over > 0:
        widths[widths.index(max(widths))] -= 1
        over -= 1
    return widths


def _join(cells: list[str], widths: list[int]) -> str:
    cut = [_cut(cell, width) for cell, width in zip(cells, widths, strict=True)]
    left = [cell.ljust(width) for cell, width in zip(cut[:-1], widths, strict=False)]
    return "  ".join([*left, cut[-1].rjust(widths[-1])]).rstrip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(width - 3, 0)] + "..."[: max(width, 0)]
