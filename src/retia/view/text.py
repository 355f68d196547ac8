"""A net as a table of text: what ``print(net)`` and ``net.show()`` give.

The table is made from the expression and the solved sizes alone, so it needs neither PyTorch nor arrays.
``summary`` gathers its lines; the notebook shows the same ones. The text holds no colour and, unless
a name in the net does, nothing beyond ASCII, so that it can be printed and logged anywhere.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from retia.errors import NotYetError
from retia.nets import Graph, Net, Shared
from retia.shapes import Shape
from retia.shapes import show as show_shape

if TYPE_CHECKING:
    from retia.nets import Port

NARROWEST = 60
HEADINGS = ("name", "layer", "from", "output", "parameters")


@dataclass(frozen=True)
class Line:
    """One line of the table: a port, a part of the net, or a total.

    Attributes:
        name: of the port or part, without the names of the parts around it.
        depth: how many parts stand around it.
        what: the codec or the expression.
        sources: what feeds it, where it is a node of a graph.
        output: shape of one example of what it gives.
        count: its parameters, ``"?"`` while a size is unknown.
    """

    name: str = ""
    depth: int = 0
    what: str = ""
    sources: str = ""
    output: str = ""
    count: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """The line's texts, one a column."""
        return ("  " * self.depth + self.name, self.what, self.sources, self.output, self.count)


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


def table(net: Net, width: int | None = None) -> str:
    """A net's table, at most so many characters wide.

    Args:
        net: any net.
        width: characters, at least 60; the terminal's where it is left out, 80 where there is none.
    Example:
        >>> import retia as rt
        >>> print(table(rt.Chain(rt.Linear(30), rt.Tanh(), rt.Linear(3), input=2), 60))
        name    layer       output  parameters
        --------------------------------------
        input               (2)
        --------------------------------------
        0       Linear(30)  (30)            90
        1       Tanh()      (30)
        2       Linear(3)   (3)             93
        --------------------------------------
        output              (3)
        --------------------------------------
        total                              183
        Its arrays are not made yet; net.init(seed=0) makes them.
    """
    summed = summary(net)
    room = max(shutil.get_terminal_size((80, 24)).columns if width is None else width, NARROWEST)
    lines = [line.cells for block in summed.blocks for line in block]
    last = len(HEADINGS) - 1
    shown = [i for i in range(len(HEADINGS)) if i == last or any(cells[i] for cells in lines)]
    widths = _fit([max(len(cells[i]) for cells in [HEADINGS, *lines]) for i in shown], room)
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


def summary(net: Net) -> Summary:
    """What the table of a net says, line by line.

    Example:
        >>> import retia as rt
        >>> [line.output for line in summary(rt.Chain(rt.Linear(30), rt.Linear(3), input=2)).parts]
        ['(30)', '(3)']
    """
    return Summary(
        inputs=tuple(_port(port) for port in net.inputs.values()),
        parts=tuple(_parts(net)),
        outputs=tuple(_port(port) for port in net.outputs.values()),
        totals=tuple(_totals(net)),
        note=_note(net),
    )


def _port(port: Port) -> Line:
    plain = "whole numbers" if port.kind == "int" else ""
    return Line(port.name, what=repr(port.codec) if port.codec else plain, output=show_shape(port.shape))


def _parts(net: Net) -> Iterator[Line]:
    keys = {node.path: node.key for node in net.wiring.nodes}
    for path in net.wiring.starts:
        if not path and net.children:
            continue
        part = net.part(path) if path else net
        outer, _, name = path.rpartition(".")
        yield Line(
            name=name or "*",
            depth=path.count("."),
            what=_expression(part),
            sources=_sources(net.part(outer) if outer else net, name),
            output=_given(net, path),
            count=_count(net, path, keys[path]) if path in keys else "",
        )


def _expression(part: Net) -> str:
    if isinstance(part, Shared):
        return f"Shared({part.name!r}, {_expression(part.net)})"
    return type(part).__name__ if part.children else repr(part)


def _sources(outer: Net, name: str) -> str:
    if isinstance(outer, Shared):
        return _sources(outer.net, name)
    if not isinstance(outer, Graph) or not name:
        return ""
    return ", ".join(node or port for node, port in outer.links[name].values())


def _given(net: Net, path: str) -> str:
    shapes = {port: show_shape(net.solution.shape(value)) for port, value in net.wiring.ends[path].items()}
    if len(shapes) == 1:
        return next(iter(shapes.values()))
    return ", ".join(f"{port} {shape}" for port, shape in shapes.items())


def _count(net: Net, path: str, key: str) -> str:
    layer = next(node.layer for node in net.wiring.nodes if node.path == path)
    if not layer.owns():
        return ""
    if key != path:
        return "shared"
    learned = [name for name, array in layer.owns().items() if array.learned]
    return _number([net.solution.array_shape(key, name) for name in learned]) if learned else ""


def _totals(net: Net) -> Iterator[Line]:
    shapes, learned = net.array_shapes(), set(net.learned())
    yield Line("total", count=_number([shapes[path] for path in shapes if path in learned]))
    others = [shapes[path] for path in shapes if path not in learned]
    if others:
        yield Line("other", what="numbers that gradients do not move", count=_number(others))


def _number(shapes: list[Shape | None]) -> str:
    total = 0
    for shape in shapes:
        sizes = [size for size in shape or () if isinstance(size, int)]
        if shape is None or len(sizes) < len(shape):
            return "?"
        total += math.prod(sizes)
    return f"{total:,}"


def _note(net: Net) -> str:
    wanted, made = net.array_shapes(), net.arrays
    if not wanted:
        return "It has no arrays."
    if not len(made):
        return "Its arrays are not made yet; net.init(seed=0) makes them."
    if len(made) < len(wanted):
        return f"{len(made)} of its {len(wanted)} arrays are made; net.init(seed=0) makes the rest."
    size = sum(tensor.numel() * tensor.element_size() for tensor in made.values())
    kinds = sorted({f"{str(t.dtype).removeprefix('torch.')} on {t.device}" for t in made.values()})
    return f"Its arrays take {_bytes(size)}: {', '.join(kinds)}."


def _bytes(size: int) -> str:
    power = min(max(len(str(size)) - 1, 0) // 3, 3)
    return f"{size / 1000**power:.3g} {('bytes', 'kB', 'MB', 'GB')[power]}"


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
