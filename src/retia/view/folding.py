"""What is drawn of a group: its parts, with equal blocks in a row folded into one, and too many left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from retia.view.model import End, Part, View

LONGEST = 16
"""Layers of a block that is found again without standing in a group of its own."""

SHORTEST = 6
"""Layers that stand in a row, at least, before they are folded without being groups."""


@dataclass(frozen=True)
class Entry:
    """One thing that is drawn of a group.

    Attributes:
        paths: the parts that are drawn: one, or a block of several.
        times: how often it stands there.
        covered: all parts that it stands for.
        hidden: whether it stands for parts that are not drawn.
    """

    paths: tuple[str, ...]
    times: int = 1
    covered: tuple[str, ...] = ()
    hidden: bool = False


def entries(view: View, path: str, *, fold: bool = True, most: int = 300) -> tuple[Entry, ...]:
    """The entries of a group, in the order of computation.

    Args:
        view: of the net.
        path: of the group.
        fold: whether equal blocks become one.
        most: entries; those in the middle become one that stands for them.
    Example:
        >>> import retia as rt
        >>> from retia.view.model import view
        >>> net = rt.Chain(rt.TransformerEncoder(12, 2, size=8)["layers"], input=("n", 8))
        >>> [(entry.paths, entry.times) for entry in entries(view(net), "0")]
        [(('0.0',), 12)]
    """
    children = view.parts[path].children
    found = [Entry((child,), 1, (child,)) for child in children]
    if fold:
        kinds: dict[tuple[object, ...], int] = {}
        found = [entry for row in _rows(view, path) for entry in _folded(view, row, kinds)]
    if len(found) <= most:
        return tuple(found)
    first, last = most // 2, most - most // 2 - 1
    middle = tuple(child for entry in found[first:-last] for child in entry.covered)
    return (*found[:first], Entry(middle[:1], 1, middle, hidden=True), *found[-last:])


def _rows(view: View, path: str) -> list[list[str]]:
    """The children in rows, in each of which a part feeds the next and nothing else."""
    group = view.parts[path]
    fed = Counter({name: 1 for name, _ in group.ends.values()})
    for child in group.children:
        fed.update({name for name, _ in view.parts[child].sources.values()})
    rows: list[list[str]] = []
    for child in group.children:
        last = view.parts[rows[-1][-1]].name if rows else ""
        names = {name for name, _ in view.parts[child].sources.values()}
        if rows and last in names and fed[last] == 1:
            rows[-1].append(child)
        else:
            rows.append([child])
    return rows


def _folded(view: View, row: Sequence[str], kinds: dict[tuple[object, ...], int]) -> list[Entry]:
    beside = _beside(view, row)
    marks = [_numbered((_mark(view, row[n], kinds), beside[n]), kinds) for n in range(len(row))]
    found: list[Entry] = []
    start = 0
    while start < len(row):
        span, times = _best(view, row, marks, start, 1 if any(beside) else LONGEST)
        covered = tuple(row[start : start + span * times])
        found.append(Entry(tuple(row[start : start + span]), times, covered))
        start += span * times
    return found


def _beside(view: View, row: Sequence[str]) -> list[tuple[tuple[str, End], ...]]:
    """What feeds each part of a row besides the one before; the first's by the ports of the second."""
    sources = [view.parts[child].sources for child in row]
    names = [view.parts[child].name for child in row]
    ports = [
        {port for port, end in each.items() if end[0] == name}
        for each, name in zip(sources[1:], names, strict=False)
    ]
    first = ports[0] if ports else set(sources[0])
    return [
        tuple((port, end) for port, end in each.items() if port not in led)
        for each, led in zip(sources, [first, *ports], strict=True)
    ]


def _best(
    view: View, row: Sequence[str], marks: Sequence[int], start: int, longest: int
) -> tuple[int, int]:  # fmt: skip
    """The block that begins here and covers most with its repetitions: its length and how often it stands."""
    best = (1, 1)
    for span in range(1, min(longest, (len(row) - start) // 2) + 1):
        block, times = marks[start : start + span], 1
        while marks[start + span * times : start + span * (times + 1)] == block:
            times += 1
        grouped = any(view.parts[child].kind == "group" for child in row[start : start + span])
        enough = times >= 2 if grouped else times >= 3 and span * times >= SHORTEST
        if enough and span * times > best[0] * best[1]:
            best = (span, times)
    return best


def _mark(view: View, path: str, kinds: dict[tuple[object, ...], int]) -> int:
    """A number that is the same for parts that look the same, within and without."""
    part = view.parts[path]
    known = (
        part.type, part.label, part.shared, part.frozen, _plain(part.inputs), _plain(part.outputs),
        tuple((held.shape, held.learned) for held in part.arrays), tuple(part.ends.items()),
        tuple((_mark(view, child, kinds), *_links(view.parts[child])) for child in part.children),
    )  # fmt: skip
    return _numbered(known, kinds)


def _numbered(known: tuple[object, ...], kinds: dict[tuple[object, ...], int]) -> int:
    return kinds.setdefault(known, len(kinds))


def _links(part: Part) -> tuple[object, ...]:
    return part.name, tuple(part.sources.items())


def _plain(shapes: Mapping[str, object]) -> tuple[tuple[str, object], ...]:
    return tuple(shapes.items())
