"""The tables: rows to Markdown, and a section into the file that has the others."""

import json
import statistics
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workers import Row

WIDTH = 110
HEAD = """# Measurements

Made by `make bench`, a section at a time; each says when, where and with what. Peers take turns, and each
round begins with another one. A figure is the median of the rounds, with the quartiles in brackets; a ratio
is the median of the ratios within the rounds, below 1 where Retia needs less. Every training computes loss
and accuracy at every step and shuffles at every epoch; all begin with the same arrays unless it is said.
"""


@dataclass(frozen=True)
class Table:
    """One comparison.

    Attributes:
        title: what is measured, with its unit.
        rows: what every peer did.
        ours: keys of Retia's rows, a column of ratios each.
        scale: of the numbers: 1e3 for milliseconds.
        first: whether to tell the round that is not counted.
        beside: other numbers that were told, by the heads of their columns.
        notes: what else there is to say.
    """

    title: str
    rows: Sequence[Row]
    ours: Sequence[str] = ("retia",)
    scale: float = 1.0
    first: bool = False
    beside: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def markdown(self) -> str:
        """The table, what was left out, and how quiet it was."""
        done = [row for row in self.rows if row.failed is None and _counted(row)]
        ours = [row for key in self.ours for row in done if row.peer.key == key]
        tests = any("test" in row.last for row in done)
        heads = [
            "",
            "median",
            *(["first"] if self.first else []),
            *(f"{row.peer.words} / it" for row in ours),
        ]
        heads += [*self.beside.values(), *(["test accuracy"] if tests else [])]
        lines = [line(heads), line(["---"] * len(heads))]
        for row in done:
            cells = [row.peer.words, self._spread(row)]
            cells += [_number((row.first or 0) * self.scale)] if self.first else []
            cells += ["" if our is row else ratio(our, row) for our in ours]
            cells += [_number(self._told(row, name)) for name in self.beside]
            cells += [f"{row.last['test']:.2%}" if "test" in row.last else ""] if tests else []
            lines.append(line(cells))
        left = [f"Left out: {row.peer.words}: {row.failed}." for row in self.rows if row.failed]
        short = [f"{row.peer.words}: {len(_counted(row))} rounds." for row in done if None in row.seconds]
        return "\n".join(
            [f"### {self.title}", "", *lines, *paragraph([*self.notes, *short, *left, quiet(done)])]
        )

    def _told(self, row: Row, name: str) -> float:
        return self.scale * statistics.median(told[name] for told in row.told)

    def _spread(self, row: Row) -> str:
        seconds = [value * self.scale for value in _counted(row)]
        low, middle, high = quartiles(seconds)
        return f"{_number(middle)} ({_number(low)}-{_number(high)})"


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile; of one value itself."""
    if len(values) < 2:
        return (values[0],) * 3
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def ratio(ours: Row, theirs: Row) -> str:
    """The median of the ratios within the rounds that both took part in."""
    both = [
        a / b for a, b in zip(ours.seconds, theirs.seconds, strict=False) if a is not None and b is not None
    ]
    return f"{statistics.median(both):.2f}" if both else ""


def quiet(rows: Iterable[Row]) -> str:
    """What else used the machine in these rows' turns."""
    outside = [share for row in rows for share in row.outside]
    if not outside:
        return ""
    idle = max(row.idle for row in rows)
    middle, most = statistics.median(outside), max(outside)
    told = f"Besides the peer at work, {middle:.2f} of a core was busy"
    return f"{told} (median of the turns; at most {most:.2f}); a waiting peer used at most {idle:.2f}."


def section(title: str, words: str, stamp: str, parts: Iterable[str]) -> str:
    """A section of the file."""
    return "\n\n".join([f"## {title}", *map(filled, [*words.strip().split("\n\n"), stamp]), *parts]) + "\n"


def filled(words: str) -> str:
    """A paragraph in lines that fit a screen."""
    return textwrap.fill(" ".join(words.split()), WIDTH, break_long_words=False, break_on_hyphens=False)


def merge(path: Path, made: dict[str, str], order: Sequence[str]) -> str:
    """Write sections into a file, in order; those that were not made stay as they are. Answers the text."""
    before = path.read_text(encoding="utf8") if path.exists() else ""
    kept = {part.split("\n", 1)[0]: f"## {part}" for part in before.split("\n## ")[1:]}
    every = {**{title: text.rstrip("\n") + "\n" for title, text in kept.items()}, **made}
    text = "\n".join([HEAD, *(every[title] for title in order if title in every)])
    path.write_text(text, encoding="utf8")
    return text


def remember(path: Path, title: str, stamp: str, tables: Iterable[Table]) -> None:
    """Write the rounds of a section into a JSON file beside those of the others."""
    every: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    every[title] = {
        "stamp": stamp,
        "tables": {table.title: [_raw(row) for row in table.rows] for table in tables},
    }
    path.write_text(json.dumps(every, indent=1))


def _raw(row: Row) -> dict[str, Any]:
    told = {
        name: getattr(row, name) for name in ("seconds", "first", "last", "told", "failed", "idle", "outside")
    }
    return {"peer": row.peer.key, **told}


def _counted(row: Row) -> list[float]:
    return [value for value in row.seconds if value is not None]


def paragraph(sentences: Iterable[str]) -> list[str]:
    """Sentences under a table, after an empty line; nothing where there are none."""
    said = " ".join(sentence for sentence in sentences if sentence)
    return ["", filled(said)] if said else []


def line(cells: Iterable[str]) -> str:
    """A line of a table."""
    return f"| {' | '.join(cells)} |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
