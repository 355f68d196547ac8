"""Columns of text that fit the terminal: long ones are cut or wrapped, and what is left goes below.

Without a terminal, as in a pipe or a notebook, there are 80 characters; never fewer than 60.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from textwrap import wrap

NARROWEST = 60
GAP = 2
HARD = "\xa0"
"""A space at which no line ends."""

LEAST = 12
"""Columns of words are cut to so many characters at least."""


def room(width: int | None = None) -> int:
    """Characters of a line: the terminal's, where no width is asked for."""
    return max(shutil.get_terminal_size((80, 24)).columns if width is None else width, NARROWEST)


def hanging(start: str, text: str) -> str:
    """A text behind its beginning, wrapped so that all of its lines stand below each other.

    What stands between commas is kept together where it fits a line.

    Example:
        >>> print(hanging("stopped  ", "all 3 epochs done"))
        stopped  all 3 epochs done
    """
    most = max(room() - len(start), 20)
    kept = text.replace(" ", HARD).replace(f",{HARD}", ", ")
    text = kept if max(map(len, kept.split(" "))) <= most else text
    lines = [line.replace(HARD, " ") for line in wrap(text, most, break_on_hyphens=False)] or [""]
    return "\n".join([f"{start}{lines[0]}".rstrip(), *(f"{'':<{len(start)}}{line}" for line in lines[1:])])


def columns(rows: Sequence[Sequence[str]], right: Sequence[bool], *, indent: str = "") -> str:
    """Rows of cells, the first of which are the headings.

    Where the terminal is too narrow, columns of words are cut, the widest first; columns that still find no
    place stand in a table of their own below, behind the first column.

    Args:
        rows: all of one length.
        right: of each column, whether its cells stand at the right: they are numbers, and are never cut.
        indent: before each line.
    Example:
        >>> print(columns([["net", "loss"], ["small", "0.5"], ["large", "0.25"]], [False, True]))
        net    loss
        small   0.5
        large  0.25
    """
    most = room() - len(indent)
    natural = [max(map(len, column)) for column in zip(*rows, strict=True)]
    widths = _narrowed(natural, [n for n, at_right in enumerate(right) if not at_right], most)
    blocks = []
    for shown in _blocks(widths, most):
        lines = [[_placed(row[n], widths[n], right[n]) for n in shown] for row in rows]
        blocks.append("\n".join(f"{indent}{(' ' * GAP).join(line)}".rstrip() for line in lines))
    return "\n\n".join(blocks)


def cut(text: str, width: int) -> str:
    """A text of so many characters at most, with a sign where it was cut."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def _narrowed(natural: Sequence[int], words: Sequence[int], most: int) -> list[int]:
    """Widths at which all columns stand beside each other, those of words cut; else what a line can hold."""
    widths = [*natural]
    while sum(widths) + GAP * (len(widths) - 1) > most:
        widest = max(words, key=lambda n: widths[n], default=0)
        if widths[widest] <= LEAST:
            beside = min(natural[0], most // 2)
            return [beside, *(min(width, most - beside - GAP) for width in natural[1:])]
        widths[widest] -= 1
    return widths


def _blocks(widths: Sequence[int], most: int) -> list[list[int]]:
    """Which columns stand beside each other; the first stands in every block."""
    blocks: list[list[int]] = [[0]]
    for n in range(1, len(widths)):
        used = sum(widths[k] + GAP for k in blocks[-1])
        if used + widths[n] > most and len(blocks[-1]) > 1:
            blocks.append([0])
        blocks[-1].append(n)
    return blocks


def _placed(cell: str, width: int, at_right: bool) -> str:
    return cell.rjust(width) if at_right else cut(cell, width).ljust(width)
