"""Where a net comes from: the operations that made it, and the hashes of the nets that they began from.

A net's lineage is no part of its value: ``==`` and hashes do not see it. Every operation that answers
another net ends with ``descended``. Hashes cost a pass over all arrays, so that only those of nets that
stand somewhere else too are noted: in a file, or as what a training began from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from retia.errors import FormatError

if TYPE_CHECKING:
    from retia.nets.net import Net

    N = TypeVar("N", bound=Net)

MOST_STEPS = 64
"""Older steps are forgotten; a hash among those that stay leads on to them."""

LONGEST = 160
LONGEST_PATH = 1024
"""Characters of a step's words, and of its path."""

HASH = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Step:
    """One operation in a net's lineage.

    Attributes:
        words: what was done, ``"drop(2)"``.
        parent: the hash of the net that it was done to, where that was in a file or was trained.
        path: the part of the net that it was done to, before that became a part; ``""`` for the whole.
        times: how often it was done in a row.
    Example:
        >>> print(Step("drop(2)", path="feature"))
        feature: drop(2)
    """

    words: str
    parent: str | None = None
    path: str = ""
    times: int = 1

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        again = f", {self.times} times" if self.times > 1 else ""
        return where + self.words + (f" of {self.parent[:12]}" if self.parent else "") + again


def descended(new: N, old: Net, words: str = "") -> N:
    """The new net as a descendant of the old one.

    Args:
        new: what an operation made; it may be a part of the old net, which stays as it is.
        old: what the operation was done to.
        words: the operation as it is called, ``"drop(2)"``; none for what changes no value (``to``).
    Example:
        >>> import retia as rt
        >>> old = rt.Chain(rt.Linear(2), rt.ReLU(), input=3).init(seed=1)
        >>> [str(step) for step in descended(old[:1], old, "[:1]").lineage]
        ['init(seed=1)', '[:1]']
    """
    if new is old:
        return new
    steps = old.lineage
    if words:
        step = Step(shortened(words), old.hash if "_known" in old.__dict__ else None)
        if steps and replace(steps[-1], times=1) == step:
            steps, step = steps[:-1], replace(step, times=steps[-1].times + 1)
        steps = (*steps, step)
    return remember(new, steps)


def known(net: N) -> N:
    """The net, marked as one that stands somewhere else too: its hash goes into its descendants' lineage."""
    net.__dict__["_known"] = True
    return net


def remember(net: N, steps: Iterable[Step]) -> N:
    """The same net with this lineage. It is another object, for the given one may be a part of others."""
    made: N = object.__new__(type(net))
    made.__dict__.update(net.__dict__)
    made.__dict__["_lineage"] = tuple(steps)[-MOST_STEPS:]
    made.__dict__.pop("_known", None)
    return made


def lineage_of(net: Net) -> tuple[Step, ...]:
    """A net's own steps; of a net that was built from parts, those of its parts."""
    own: tuple[Step, ...] | None = net.__dict__.get("_lineage")
    if own is not None:
        return own
    inner: Net | None = net.__dict__.get("net")
    if inner is not None and net.children.get("net") is not inner:  # sharing adds no step to paths
        return lineage_of(inner)
    return tuple(
        replace(step, path=(f"{name}.{step.path}" if step.path else name)[:LONGEST_PATH])
        for name, part in net.children.items()
        for step in lineage_of(part)
    )[-MOST_STEPS:]


def lines_of(steps: Iterable[Step]) -> list[list[Any]]:
    """A lineage as JSON data."""
    return [[step.words, step.parent, step.path, step.times] for step in steps]


def steps_of(lines: Any) -> tuple[Step, ...]:
    """A lineage of JSON data that nobody vouches for.

    Raises:
        FormatError: it is none.
    """
    if not isinstance(lines, list) or len(lines) > MOST_STEPS or not all(map(_is_line, lines)):
        raise FormatError("its lineage is no list of operations.")
    return tuple(Step(*line) for line in lines)


def _is_line(line: Any) -> bool:
    if not isinstance(line, list) or len(line) != 4:
        return False
    words, parent, path, times = line
    if not all(isinstance(text, str) and text.isprintable() for text in (words, path)):
        return False
    whole = type(times) is int and times > 0
    known = parent is None or isinstance(parent, str) and HASH.fullmatch(parent) is not None
    return bool(words) and len(words) <= LONGEST and len(path) <= LONGEST_PATH and whole and known


def shortened(words: str) -> str:
    """Words for one line."""
    words = "".join(character if character.isprintable() else " " for character in words)
    return words if len(words) <= LONGEST else words[: LONGEST - 3] + "..."
