"""Figures of matplotlib in one style, touching nothing global: no backend is chosen, no window opened.

Ink stands on a ground. In SVG both follow the reader's light or dark page, so one file serves both; colours
of lines are told apart on either, also by the colour-blind, and never say alone what a dash or a sign does
not say too. Whoever gives axes of his own keeps their style.
"""

from __future__ import annotations

import hashlib
import html
import io
import os
import re
from functools import cache
from typing import Any, TypeAlias

from retia._late import Late
from retia.errors import Error

_figure: Any = Late("matplotlib.figure", extra="plots")
_agg: Any = Late("matplotlib.backends.backend_agg", extra="plots")
_colors: Any = Late("matplotlib.colors", extra="plots")
_ticker: Any = Late("matplotlib.ticker", extra="plots")

INK, GROUND = "#1c1e22", "#fffffe"
DARK_INK, DARK_GROUND = "#e4e6ea", "#15171b"
"""What the first two become on a dark page."""

FIRST, SECOND = "#3b82d6", "#d9730d"
"""Training and validation, right and wrong: blue and orange have 3:1 on either ground."""

SERIES = (FIRST, SECOND, "#824afd", "#846a62", "#b57947", "#8796a8", "#d217c1", "#fb1876")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", "--", "-.", ":")
STRONG = "#1f66b5"
"""Of a filled cell, on which white is read."""

LABEL, TITLE = 9, 10
PIXELS = 150
"""An inch of pictures within a picture."""

LARGEST = 2**19
"""A notebook is given the SVG of a figure up to so many characters, else the PNG."""

Bundle: TypeAlias = tuple[dict[str, Any], dict[str, Any]]
"""What a notebook is given of a thing: its forms, and what is to be said of them."""


def figure(width: float, height: float, places: int = 1, down: int = 1) -> tuple[Any, list[Any]]:
    """An empty figure and its axes, side by side.

    Args:
        width: in inches; a page holds about seven. height: in inches.
        places: number of axes beside each other.
        down: number of such rows.
    """
    made = _kind()(figsize=(width, height), layout="constrained", facecolor=GROUND)
    _agg.FigureCanvasAgg(made)
    found = list(made.subplots(down, places, squeeze=False).ravel())
    for ax in found:
        _dress(ax)
    return made, found


def axes(given: Any, width: float, height: float) -> Any:
    """The axes to draw on: those that were given, or of a figure of their own."""
    return figure(width, height)[1][0] if given is None else given


def answer(ax: Any, given: Any, path: str | os.PathLike[str] | None) -> Any:
    """What a plot answers, written where a path is given: the axes that it was given, or else its figure."""
    return save(ax.figure if given is None else given, path)


def save(drawn: Any, path: str | os.PathLike[str] | None) -> Any:
    """Write a figure, or that of some axes, where a path is given; answers what it was given."""
    if path is None:
        return drawn
    whole = drawn if isinstance(drawn, _figure.Figure) else drawn.figure
    if isinstance(whole, _kind()) and os.fspath(path).lower().endswith(".svg"):
        with open(path, "w", encoding="utf8") as file:
            file.write(svg(whole))
    else:
        whole.savefig(path, dpi=PIXELS)
    return drawn


class Printed:
    """A mixin of results that notebooks show as they are printed, and not by their short form."""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": str(self)}


class Drawable:
    """A mixin of results that notebooks show as their own picture, or as text where nothing can be drawn."""

    def plot(self) -> Any:
        """Draw it on a figure of its own; for leaves to fill in."""
        raise NotImplementedError

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Bundle:
        try:
            shown, told = self.plot()._repr_mimebundle_()
        except Error:  # matplotlib is missing, or there is nothing to draw
            return {"text/plain": str(self)}, {}
        return {**shown, "text/plain": str(self)}, told


# Style --------------------------------------------------------------------------------------------


def ink(ax: Any) -> Any:
    """The colour of the words on some axes."""
    return ax.xaxis.label.get_color()


def grid(ax: Any, axis: str = "both") -> None:
    """Faint lines behind what is drawn."""
    ax.grid(axis=axis, color=ink(ax), alpha=0.15, linewidth=0.6)
    ax.set_axisbelow(True)


def legend(ax: Any, **where: Any) -> None:
    """The names of what is drawn, without a frame."""
    ax.legend(frameon=False, fontsize=LABEL, labelcolor=ink(ax), **where)


def shades(*ends: str) -> Any:
    """A map of colours: from clear to one colour for 0..1, or from one over clear to another for -1..1."""
    stops = [(*_colors.to_rgb(ends[0]), 0.0), (*_colors.to_rgb(ends[0]), 1.0)]
    if len(ends) == 2:
        second = _colors.to_rgb(ends[1])
        stops = [*reversed(stops), (*second, 0.0), (*second, 1.0)]
        places = [0.0, 0.5, 0.5, 1.0]
        return _colors.LinearSegmentedColormap.from_list("shades", [*zip(places, stops, strict=True)])
    return _colors.LinearSegmentedColormap.from_list("shades", stops)


def key(ax: Any, cells: Any, extend: str) -> None:
    """A bar beside some axes that tells which colours of cells are which numbers.

    Args:
        extend: at which ends there are numbers beyond it, as matplotlib says it.
    """
    few = _ticker.MaxNLocator(5)
    bar = ax.figure.colorbar(cells, ax=ax, shrink=0.8, pad=0.02, extend=extend, ticks=few)
    bar.ax.tick_params(labelsize=8, colors=ink(ax))
    bar.ax.set_facecolor("none")
    bar.outline.set_edgecolor(ink(ax))


def on_shade(ax: Any, strength: float) -> Any:
    """The colour of a word on a cell that is so strongly ``STRONG``, to 1, or ``SECOND``, to -1."""
    return "white" if strength > 0.85 else "black" if strength < -0.7 else ink(ax)


def _dress(ax: Any) -> None:
    ax.set_facecolor("none")
    ax.tick_params(colors=INK, labelsize=LABEL, width=0.8)
    for name, spine in ax.spines.items():
        spine.set(color=INK, linewidth=0.8, visible=name in ("left", "bottom"))
    for label in (ax.xaxis.label, ax.yaxis.label):
        label.set(color=INK, fontsize=LABEL)
    ax.title.set(color=INK, fontsize=TITLE)


# SVG ----------------------------------------------------------------------------------------------


def svg(drawn: Any) -> str:
    """A figure as one SVG element with all in it; it is dark where its reader's pages are.

    Args:
        drawn: a figure that was made here.
    """
    text, name = _named(_written(drawn))
    ground = f'class="{name}-ground" fill="{GROUND}"'
    text = text.replace(f'style="fill: {GROUND}"', ground).replace(INK, "currentColor")
    dark = f".{name} {{ color: {DARK_INK} }} .{name}-ground {{ fill: {DARK_GROUND} }}"
    light = f".{name} {{ color: {INK}; stroke-linejoin: round }}"
    style = f"<style>{light} @media (prefers-color-scheme: dark) {{ {dark} }}</style>"
    head, body = text.split(">", 1)
    return f'{head} class="{name}" role="img" aria-label="{html.escape(said(drawn))}">{style}{body}'


def said(drawn: Any) -> str:
    """A figure in a line, for those who cannot see it: its titles, and the lines that are drawn."""
    told = []
    for ax in drawn.axes:
        sides = " against ".join(side for side in (ax.get_ylabel(), ax.get_xlabel()) if side)
        titles = [ax.get_title(place) for place in ("left", "center", "right")]
        lines = ", ".join(dict.fromkeys(ax.get_legend_handles_labels()[1]))
        told += [": ".join(text for text in (*titles, lines, sides) if text)]
    whole = [drawn.get_suptitle(), *(text.get_text() for text in drawn.texts), *dict.fromkeys(told)]
    return re.sub(r"\s+", " ", "; ".join(text for text in whole if text)) or "a figure"


def inline(drawn: Any, label: str) -> str:
    """A figure as an element of a page of ours: its ink is that of the text around it, its ground is clear.

    Args:
        drawn: a figure that was made here.
        label: what it shows, for those who cannot see it.
    """
    text = _named(_written(drawn, transparent=True))[0].replace(INK, "currentColor")
    seen = f'role="img" aria-label="{html.escape(label)}" style="stroke-linejoin: round"'
    return text.replace("<svg ", f"<svg {seen} ", 1)


def _written(drawn: Any, **how: Any) -> str:
    """The figure as matplotlib writes it, without header, metadata and rules for the whole page."""
    file = io.StringIO()
    drawn.savefig(file, format="svg", dpi=PIXELS, metadata={"Date": None}, **how)
    text = file.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text[text.index("<svg") :], flags=re.S)
    return re.sub(r"\b([1-9]\d*\.\d\d)\d+", r"\1", text.strip())  # hundredths of a point are seen by nobody


def _named(text: str) -> tuple[str, str]:
    """The same with other names within it, and how they begin: matplotlib's are drawn by chance.

    They follow from what is drawn, so that the pictures of one page have different ones.
    """
    found = dict.fromkeys(re.findall(r'\bid="([^"]+)"', text))
    names = {name: str(number) for number, name in enumerate(found)}
    parts = re.split(r'(?<=\bid=")([^"]+)|(?<=href="#)([^"]+)|(?<=url\(#)([^)]+)', text)
    pieces = [(part, part in names) for part in parts if part is not None]
    plain = "".join(names[part] if is_name else part for part, is_name in pieces)
    start = f"retia-{hashlib.sha256(plain.encode()).hexdigest()[:8]}"
    return "".join(f"{start}-{names[part]}" if is_name else part for part, is_name in pieces), start


def _bundle(drawn: Any, include: Any = None, exclude: Any = None) -> Bundle:
    """What a notebook shows of a figure."""
    text = svg(drawn)
    if len(text) <= LARGEST:
        return {"text/plain": repr(drawn), "image/svg+xml": text}, {}
    file = io.BytesIO()
    drawn.savefig(file, format="png", dpi=PIXELS)
    return {"text/plain": repr(drawn), "image/png": file.getvalue()}, {"image/png": {"alt": said(drawn)}}


def _kind() -> Any:
    return _shown(_figure.Figure)


@cache
def _shown(kind: Any) -> Any:
    """Matplotlib's figure, which notebooks would show as a line of text unless pyplot was imported."""
    return type("Figure", (kind,), {"_repr_mimebundle_": _bundle, "__module__": __name__})
