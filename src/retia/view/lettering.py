"""How wide a text is, without a font: the widths of Helvetica's letters, which Arial and Liberation share.

Texts in diagrams are told their width in the SVG too (``textLength``), so that they stay in their boxes in
any font that stands in.
"""

from __future__ import annotations

import unicodedata

FONT = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
WIDTHS = (
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556,
    556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722,
    278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278,
    469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333,
    500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
)  # fmt: skip
"""Of the characters from the space to the tilde, in thousandths of the size."""

BOLDER = 1.07
OTHER, WIDE = 600, 1000


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """The width of a line of text.

    Args:
        text: one line.
        size: of the font, in pixels.
        bold: letters are a little wider then.
    Example:
        >>> text_width("ReLU", 10)
        25.56
    """
    total = sum(map(_letter, text)) * size / 1000
    return round(total * (BOLDER if bold else 1.0), 2)


def cut(text: str, size: float, room: float, *, bold: bool = False) -> str:
    """The text, or as much of it as fits, with three points.

    Example:
        >>> cut("Conv2d(64, 3, padding=1)", 10, 60)
        'Conv2d(64...'
    """
    if text_width(text, size, bold=bold) <= room:
        return text
    kept = len(text)
    while kept and text_width(f"{text[:kept]}...", size, bold=bold) > room:
        kept -= 1
    return f"{text[:kept].rstrip()}..."


def _letter(letter: str) -> int:
    code = ord(letter) - 32
    if 0 <= code < len(WIDTHS):
        return WIDTHS[code]
    return WIDE if unicodedata.east_asian_width(letter) in "WF" else OTHER
