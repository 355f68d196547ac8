"""Marks as SVG: text in and out, with everything in it that a picture needs.

No script, no font and no address of any host. Colours are classes within the picture's own class, so that
several pictures stand on one page; with ``"auto"`` they follow what the reader's system prefers. Families of
layers are told by hue and by the text in the box; hues are those of Okabe and Ito, which differ for all eyes.

Source: Okabe and Ito 2008 for the hues.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from retia.view.layering import Point
from retia.view.lettering import FONT, text_width

THEMES = ("auto", "light", "dark")

LIGHT = {
    "ground": "#ffffff", "ink": "#1b1f24", "muted": "#57606a", "line": "#6b7480", "frame": "#f6f8fa",
    "frame-line": "#afb8c1", "linear": "#dcebf7 #0062a3", "convolution": "#fdeccb #a06400",
    "pooling": "#fbdccd #b84a00", "normalization": "#d5efe6 #00795a", "activation": "#fbf6c4 #857400",
    "sequence": "#f3dfeb #a1487f", "combine": "#e2f3fc #1b7cb0", "shape": "#eceef1 #6b7280",
    "random": "#ece7f6 #6f5bb0", "other": "#ffffff #57606a", "group": "#f6f8fa #57606a",
    "port": "#ffffff #1b1f24", "positive": "#0062a3", "negative": "#b84a00", "unit": "#ffffff",
}  # fmt: skip
DARK = {
    "ground": "#0f1419", "ink": "#eef1f5", "muted": "#a6afba", "line": "#8b95a1", "frame": "#171d24",
    "frame-line": "#4c5764", "linear": "#12324a #6db6ea", "convolution": "#40300c #e8b04a",
    "pooling": "#47260f #f08a5a", "normalization": "#0f3a2d #45c39b", "activation": "#3a3608 #dccb3c",
    "sequence": "#43283c #dd93bf", "combine": "#0f3346 #6cc4ee", "shape": "#2a3038 #98a2b0",
    "random": "#2f2a4a #b0a6e6", "other": "#0f1419 #a6afba", "group": "#1d242c #a6afba",
    "port": "#0f1419 #eef1f5", "positive": "#6db6ea", "negative": "#f08a5a", "unit": "#0f1419",
}  # fmt: skip
FAMILIES = tuple(name for name, colors in LIGHT.items() if " " in colors)


def sheet(
    width: float, height: float, marks: Iterable[str], *, title: str, description: str, theme: str = "auto",
    largest: float | None = None,
) -> str:  # fmt: skip
    """A whole SVG.

    Args:
        width: of what is drawn. height: of it.
        marks: elements, in the order in which they are drawn.
        title: what it shows, in a few words.
        description: the same as is drawn, for those who listen.
        theme: ``"light"``, ``"dark"``, or ``"auto"`` for what the reader prefers.
        largest: width in pixels that it is shown with at most; its own where left out.
    """
    body = "\n".join(marks)
    key = "retia-" + hashlib.sha256(f"{title}{description}{body}{theme}".encode()).hexdigest()[:10]
    margin = 16
    box = f"{-margin} {-margin} {num(width + 2 * margin)} {num(height + 2 * margin)}"
    shown = min(width + 2 * margin, largest or width + 2 * margin)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="{key}" viewBox="{box}" width="{num(shown)}" '
        f'style="max-width:100%;height:auto" role="img" aria-labelledby="{key}-t {key}-d">\n'
        f'<title id="{key}-t">{escape(title)}</title>\n<desc id="{key}-d">{escape(description)}</desc>\n'
        f"<style>{_style('.' + key, theme)}</style>\n"
        f'<rect class="ground" x="{-margin}" y="{-margin}" width="{num(width + 2 * margin)}" '
        f'height="{num(height + 2 * margin)}" rx="8"/>\n{body}\n</svg>\n'
    )


def text(
    x: float, y: float, words: str, size: float, kind: str = "", *, bold: bool = False, anchor: str = "start"
) -> str:  # fmt: skip
    """A line of text, as wide as it was measured, in any font."""
    if not words:
        return ""
    kinds = " ".join(filter(None, (kind, "b" if bold else "", "h" if anchor == "middle" else "")))
    return (
        f'<text class="{kinds or "t"}" x="{num(x)}" y="{num(y)}" font-size="{num(size)}" '
        f'textLength="{num(text_width(words, size, bold=bold))}" lengthAdjust="spacingAndGlyphs">'
        f"{escape(words)}</text>"
    )


def element(tag: str, content: str = "", **attributes: object) -> str:
    """An element; ``kind`` is its class, and underscores in names become hyphens."""
    said = "".join(
        f' {"class" if name == "kind" else name.replace("_", "-")}="{escape(_shown(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    return f"<{tag}{said}>{content}</{tag}>" if content else f"<{tag}{said}/>"


def path_of(points: Sequence[Point]) -> str:
    """The way through points: straight to one above or beside, with rounded corners; else a curve."""
    said = [f"M{num(points[0][0])} {num(points[0][1])}"]
    for n, (one, two) in enumerate(zip(points, points[1:], strict=False)):
        after = points[n + 2] if n + 2 < len(points) else None
        before = points[n - 1] if n else None
        if not _is_straight(one, two):
            middle = (one[1] + two[1]) / 2
            said.append(
                f"C{num(one[0])} {num(middle)} {num(two[0])} {num(middle)} {num(two[0])} {num(two[1])}"
            )
            continue
        if before is not None and _is_corner(before, one, two):
            x, y = _toward(one, two)
            said.append(f"Q{num(one[0])} {num(one[1])} {num(x)} {num(y)}")
        x, y = _toward(two, one) if after is not None and _is_corner(one, two, after) else two
        said.append(f"L{num(x)} {num(y)}")
    return "".join(said)


def straight(one: Point, two: Point) -> str:
    """A straight way."""
    return f"M{num(one[0])} {num(one[1])}L{num(two[0])} {num(two[1])}"


def num(value: float) -> str:
    """A number with at most one decimal.

    Example:
        >>> num(3.0), num(2.25), num(-0.04)
        ('3', '2.2', '0')
    """
    rounded = round(value, 1)
    return str(int(rounded)) if rounded == int(rounded) else str(rounded)


def _shown(value: object) -> str:
    return num(value) if isinstance(value, float) else str(value)


def _is_straight(one: Point, two: Point) -> bool:
    return abs(one[0] - two[0]) < 0.3 or abs(one[1] - two[1]) < 0.3


def _is_corner(one: Point, two: Point, three: Point) -> bool:
    across = abs(one[1] - two[1]) < 0.3
    return _is_straight(one, two) and _is_straight(two, three) and across != (abs(two[1] - three[1]) < 0.3)


def _toward(start: Point, end: Point) -> Point:
    """A little on the way."""
    far = abs(end[0] - start[0]) + abs(end[1] - start[1])
    part = min(6.0, far / 2) / far if far else 0.0
    return start[0] + (end[0] - start[0]) * part, start[1] + (end[1] - start[1]) * part


def _style(key: str, theme: str) -> str:
    fixed = (
        f"{key}{{color-scheme:{'light dark' if theme == 'auto' else theme}}}"
        f"{key} text{{font-family:{FONT};font-weight:400;stroke:none}}{key} .b{{font-weight:700}}"
        f"{key} .edge{{fill:none;stroke-width:1.3}}{key} .box{{stroke-width:1.3}}"
        f"{key} .frame{{stroke-width:1}}{key} .shared{{stroke-width:2.2;stroke-dasharray:6 3}}"
        f"{key} .halo{{paint-order:stroke;stroke-width:3px;stroke-linejoin:round}}"
        f"{key} .negative{{stroke-dasharray:5 3}}{key} .thick{{stroke-width:2}}"
    )
    if theme != "auto":
        return fixed + _colors(key, LIGHT if theme == "light" else DARK)
    return fixed + _colors(key, LIGHT) + f"@media(prefers-color-scheme:dark){{{_colors(key, DARK)}}}"


def _colors(key: str, colors: Mapping[str, str]) -> str:
    said = [
        f"{key} .ground{{fill:{colors['ground']}}}{key} text{{fill:{colors['ink']}}}",
        f"{key} .m{{fill:{colors['muted']}}}{key} .edge{{stroke:{colors['line']}}}",
        f"{key} .arrow{{fill:{colors['line']};stroke:none}}{key} .halo{{stroke:{colors['ground']}}}",
        f"{key} .frame{{fill:{colors['frame']};stroke:{colors['frame-line']}}}",
        f"{key} .inside{{stroke:{colors['frame']}}}",
        f"{key} .positive{{stroke:{colors['positive']}}}{key} .negative{{stroke:{colors['negative']}}}",
        f"{key} .unit{{fill:{colors['unit']};stroke:{colors['ink']}}}",
        f"{key} .up{{fill:{colors['positive']};stroke:none}}",
        f"{key} .down{{fill:{colors['negative']};stroke:none}}",
    ]
    for family in FAMILIES:
        fill, stroke = colors[family].split()
        said.append(f"{key} .{family}{{fill:{fill};stroke:{stroke}}}")
    return "".join(said)
