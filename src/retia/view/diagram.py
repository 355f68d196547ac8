"""Diagrams of nets: layers in boxes, units in circles, one neuron with its sum.

What stands where is found in ``scene``, ``units`` and ``neuron``, of the view model alone; here it becomes a
``Diagram``, a value that notebooks show, files take and terminals print.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from retia._atomic import write
from retia._columns import room
from retia.errors import ArgumentError, MissingExtraError
from retia.nets import Net
from retia.nets.settings import choice, flag, whole
from retia.view import svg
from retia.view.box_art import Sketch, encodable, shortened
from retia.view.dense import columns, numbered
from retia.view.model import view as view_of
from retia.view.neuron import equation, neuron, summed
from retia.view.paint import painted
from retia.view.scene import MOST, scene
from retia.view.units import MOST as PLACES
from retia.view.units import units

VIEWS = ("layers", "units", "neuron")
FITTING = {
    "depth": ("layers",), "unfold": ("layers",), "rates": ("layers",), "most": ("layers", "units"),
    "x": ("units", "neuron"), "layer": ("neuron",), "unit": ("neuron",),
}  # fmt: skip
"""The views that look at an argument."""


@dataclass(frozen=True)
class Diagram:
    """A picture of a net.

    Attributes:
        svg: the picture, complete in itself: it needs no script, no font and no net.
        title: what it shows.
        content: what its text is made of: the layers, or lines of words.
    Example:
        >>> import retia as rt
        >>> rt.Chain(rt.Linear(30), rt.Tanh(), input=2).diagram()
        Diagram('Chain, 2 layers, 90 parameters')
    """

    svg: str = field(repr=False)
    title: str
    content: Sketch | tuple[str, ...] = field(repr=False, compare=False)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it into a file, ``.svg`` or ``.png``.

        Raises:
            ArgumentError: another ending. MissingExtraError: a ``.png`` without ``resvg-py``, which draws it.
            FileError: a file that cannot be written.
        """
        ending = Path(path).suffix.lower()
        if ending not in (".svg", ".png"):
            raise ArgumentError(
                f"A diagram is saved as .svg or .png; got {os.fspath(path)!r}.",
                fix='save("net.svg")',
                got=ending,
            )
        write(os.fspath(path), [self.svg.encode() if ending == ".svg" else _pixels(self.svg)])

    def text(self, width: int | None = None, *, ascii: bool | None = None) -> str:
        """The same diagram in box-drawing characters, as ``print`` shows it.

        Args:
            width: characters, at least 60; the terminal's where it is left out, 80 where there is none. Where
                it is not enough, long texts are cut first; then fewer levels of groups are opened, and the
                last line says so.
            ascii: draw with ``+-|`` instead; left out, that is done where what Python prints to has no boxes.
        Example:
            >>> import retia as rt
            >>> print(rt.Linear(30, input=2).diagram().text(80, ascii=True))
            Linear, 1 layer, 90 parameters
            <BLANKLINE>
                 +-------+
                 | input |
                 +---+---+
                     | (2)
            +--------v--------+
            | Linear(30) - 90 |
            +--------+--------+
                     | (30)
                +----v----+
                | output  |
                +---------+
        """
        whole(optional=True)("text: width", width)
        most = room(width)
        if isinstance(self.content, Sketch):
            lines = ["", *self.content.lines(most)]
        else:
            lines = [line for words in self.content for line in textwrap.wrap(words, most)]
        encoding = "ascii" if ascii else "utf-8"
        if ascii is None:
            encoding = getattr(sys.stdout, "encoding", None) or encoding
        return encodable("\n".join([shortened(self.title, most), *lines]), encoding)

    def __str__(self) -> str:
        return self.text()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": self.text(), "image/svg+xml": self.svg}

    def __repr__(self) -> str:
        return f"Diagram({self.title!r})"


def diagram(
    net: Net,
    *,
    view: str = "layers",
    depth: int | None = None,
    unfold: bool = False,
    most: int | None = None,
    theme: str = "auto",
    rates: Mapping[str, float] | None = None,
    x: Any = None,
    layer: str | None = None,
    unit: int | None = None,
) -> Diagram:
    """A picture of a net; what the arguments are stands at ``Net.diagram``.

    Example:
        >>> import retia as rt
        >>> made = diagram(rt.Chain(rt.Linear(30), rt.Tanh(), input=2), theme="dark")
        >>> made.svg.count('class="box')
        4
    """
    choice(*VIEWS)("diagram: view", view)
    choice(*svg.THEMES)("diagram: theme", theme)
    said = {"depth": depth, "unfold": unfold or None, "rates": rates, "x": x, "layer": layer, "unit": unit}
    _check_fitting(view, {**said, "most": most})
    seen = view_of(net, rates=rates)
    if view == "layers":
        deep, many = whole(0, optional=True)("diagram: depth", depth), whole(3)("diagram: most", most or MOST)
        sketch = Sketch(seen, deep, flag("diagram: unfold", unfold), many)
        drawn = scene(seen, depth=deep, unfold=sketch.unfold, most=many)
        return Diagram(*painted(seen, drawn, theme), sketch)
    found = columns(seen)
    seen = numbered(net, seen, found, x)
    if view == "units":
        told = [f"{column.size:,} units: {', '.join(column.titles)}" for column in found]
        return Diagram(*units(seen, found, theme, whole(4)("diagram: most", most or PLACES)), tuple(told))
    path, made = summed(net, seen, found, layer, 0 if unit is None else unit)
    return Diagram(*neuron(seen, path, 0 if unit is None else unit, made, theme), (equation(made),))


def _check_fitting(view: str, said: Mapping[str, Any]) -> None:
    """Refuse what is given and would not be looked at."""
    for name, value in said.items():
        if value is not None and view not in FITTING[name]:
            fitting = " or ".join(f'view="{each}"' for each in FITTING[name])
            raise ArgumentError(f'diagram: {name} is for {fitting}; got view="{view}".', got=value)


def _pixels(drawn: str) -> bytes:
    """The picture twice as large as it is shown, by resvg, which keeps texts to their widths."""
    try:
        resvg: Any = import_module("resvg_py")
    except ModuleNotFoundError:
        raise MissingExtraError(
            "A diagram becomes a .png by resvg-py, which is not installed.",
            fix="pip install 'retia[diagrams]', or diagram.save(\"net.svg\")",
        ) from None
    return bytes(resvg.svg_to_bytes(svg_string=drawn, zoom=2))
