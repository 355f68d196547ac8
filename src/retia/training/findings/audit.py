"""What ``rt.check`` answers: what would be refused, what looks wrong, and what a training would be.

Findings are values, so that programs can read them; ``print(audit)`` is the report for people.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from retia._figures import Printed
from retia.errors import Error

WIDTH = 80
SHOWN = 12
"""So many entries of a list are written out."""


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        kind: what it is, in a word or two: ``"constant column"``, or the name of the error.
        text: where and what, in a sentence.
        where: the port, column, layer or argument that is meant.
        fix: what to do about it, where that can be said.
    Example:
        >>> print(Finding("learning rate", "Adam moves nothing at 0.", "optimizer", "rt.Adam(1e-3)"))
        learning rate: Adam moves nothing at 0.
          fix   rt.Adam(1e-3)
    """

    kind: str
    text: str
    where: str = ""
    fix: str = ""

    @classmethod
    def of(cls, error: Error) -> Finding:
        """What an error says."""
        text = " ".join([error.message, *error.because])
        return cls(type(error).__name__, text, error.path or "", error.fix or "")

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}" + (f"\n  fix   {self.fix}" if self.fix else "")


@dataclass(frozen=True, repr=False)
class Audit(Printed):
    """What was found before a training; ``rt.check`` makes it.

    Attributes:
        problems: what ``rt.train`` would refuse.
        warnings: what it would do, though it looks wrong.
        facts: what it would do, by name: ``"parameters"``, ``"trained"``, ``"frozen"``, ``"examples"``,
            ``"classes"``, ``"loss"``, ``"steps"``, ``"flops"`` and ``"seconds"`` of all epochs, ...
    Example:
        >>> import retia as rt
        >>> x, y = [[0.0], [1.0], [2.0], [3.0]], [[1.0], [3.0], [5.0], [7.0]]
        >>> audit = rt.check(rt.Linear(1), (x, y), epochs=20)
        >>> audit.problems, audit.facts["parameters"], audit.facts["steps"]
        ((), 2, 20)
        >>> [finding.kind for finding in audit.warnings]
        ['batch size']
    """

    problems: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    facts: Mapping[str, Any]

    def __str__(self) -> str:
        lines = [", ".join([_number(len(self.problems), "problem"), _number(len(self.warnings), "warning")])]
        for title, found in (("rt.train refuses this", self.problems), ("looks wrong", self.warnings)):
            if found:
                lines += ["", title, *(line for finding in found for line in _lines(finding))]
        if self.facts:
            lines += ["", "what would be done", *_facts(self.facts)]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Audit: {len(self.problems)} problems, {len(self.warnings)} warnings>"


def listed(things: Iterable[Any], most: int = 8) -> str:
    """The first of some things in a line, and how many more there are.

    Example:
        >>> listed(["a", "b", "c"], 2)
        'a, b and 1 more'
    """
    every = [str(thing) for thing in things]
    more = f" and {len(every) - most:,} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def _number(count: int, of: str) -> str:
    return f"{count or 'no'} {of}{'' if count == 1 else 's'}"


def _lines(finding: Finding) -> Iterator[str]:
    yield from _wrapped(f"{finding.kind}: {finding.text}", "  - ", "    ")
    if finding.fix:
        yield from _wrapped(finding.fix, "    fix   ", "          ")


def _facts(facts: Mapping[str, Any]) -> Iterator[str]:
    width = max(map(len, facts))
    for name, value in facts.items():
        yield from _wrapped(_told(name, value), f"  {name:<{width}}  ", " " * (width + 4))


def _told(name: str, value: Any) -> str:
    if name == "flops":
        return "unknown" if value is None else f"{_short(value)} in products and convolutions"
    if name == "seconds":
        return f"about {_time(value)}"
    if name == "classes":
        return "; ".join(f"{port}: {_counts(counts)}" for port, counts in value.items())
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_told('', each)}" for key, each in value.items()) or "nothing"
    if isinstance(value, tuple | list):
        return "; ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)


def _counts(counts: Mapping[Any, tuple[int, ...]]) -> str:
    texts = [f"{label!r} {' + '.join(f'{count:,}' for count in each)}" for label, each in counts.items()]
    return listed(texts, SHOWN)


def _short(number: float) -> str:
    """A number by the thousand.

    Example:
        >>> _short(1234567.0)
        '1.23 MFLOP'
    """
    power = 0
    while number >= 1000 and power < 5:
        number, power = number / 1000, power + 1
    return f"{number:.3g} {('', 'k', 'M', 'G', 'T', 'P')[power]}FLOP"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    ) or [first.rstrip()]
