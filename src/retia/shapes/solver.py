"""The solver: sizes inferred both ways, with the reason of every one.

Unknown sizes (``Unknown``) point to what they equal, stars (``Rest``) to a run of sizes. Joining two
shapes strips what is equal at both ends; what stays open is kept and tried again; layers' hooks for
arithmetic are repeated until nothing changes. Each binding keeps the ``Fact`` that made it, which is
what ``why`` and the errors tell. Nothing here knows of layers or nets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from retia.errors import ShapeError
from retia.shapes.dims import Extent, Shape, Size, show

MOST_AXES = 64
"""PyTorch's limit. Without one, layers that each add an axis would make shapes as long as the net."""
MOST_SIZE = 2**63 - 1
MOST_RUNS = 500_000


@dataclass(frozen=True)
class Fact:
    """Why something holds: a sentence, the terms it was drawn from, and the place it speaks of.

    ``drawn`` finds the terms when somebody asks, where that costs.
    """

    text: str
    quiet: bool = False
    site: object = None
    drawn: Callable[[], Sequence[Unknown | Rest]] = tuple


@dataclass(eq=False)
class Unknown:
    """One size that may become known."""

    label: str
    bound: Unknown | Size | None = field(default=None, repr=False)
    fact: Fact | None = field(default=None, repr=False)


@dataclass(eq=False)
class Rest:
    """A run of sizes (a star in a signature) whose length may become known."""

    label: str
    bound: Pattern | None = field(default=None, repr=False)
    fact: Fact | None = field(default=None, repr=False)
    near: Pattern | None = field(default=None, repr=False)


Item: TypeAlias = "int | Extent | Unknown | Rest"
Pattern: TypeAlias = "tuple[Item, ...]"
Known: TypeAlias = "dict[str, Size | Shape | None]"
Hook: TypeAlias = Callable[[Known], "Mapping[str, Size | Shape | None]"]


class Conflict(Exception):
    """Two things that cannot be equal: whole shapes, or a size of them."""

    def __init__(self, left: Pattern, right: Pattern, fact: Fact, clash: tuple[Item, Item] | None) -> None:
        super().__init__(fact.text)
        self.left = left
        self.right = right
        self.fact = fact
        self.clash = clash


@dataclass
class Solver:
    """Holds what is known of a net's sizes while it is being found out."""

    _open: list[tuple[Pattern, Pattern, Fact]] = field(default_factory=list)
    _hooks: list[tuple[Hook, Mapping[str, Unknown | Rest], str, object]] = field(default_factory=list)
    _changes: int = 0

    def hook(self, hook: Hook, terms: Mapping[str, Unknown | Rest], text: str, site: object) -> None:
        """Add arithmetic: a function from what is known of ``terms`` to what follows for them."""
        self._hooks.append((hook, terms, text, site))
        self._run(*self._hooks[-1])

    def unify(self, left: Pattern, right: Pattern, fact: Fact) -> None:
        """Two shapes are equal, because of ``fact``. Raises ``Conflict`` where they cannot be."""
        try:
            if not self._join(left, right, fact):
                self._open.append((left, right, fact))
        except _Clash as clash:
            raise Conflict(left, right, fact, clash.pair) from None

    def solve(self) -> None:
        """Repeat what is open until nothing changes.

        Hooks run back and forth, so that what is known at either end of a net crosses it in one round. The
        bound is for nets that are made to be slow: what it leaves open is open, never wrong.
        """
        runs = 0
        while runs <= MOST_RUNS:
            before = self._changes
            waiting, self._open = self._open, []
            for left, right, fact in waiting:
                self.unify(left, right, fact)
            self._hooks.reverse()
            for hooked in self._hooks:
                self._run(*hooked)
            runs += len(self._hooks) + len(waiting)
            if self._changes == before:
                return

    def _run(self, hook: Hook, terms: Mapping[str, Unknown | Rest], text: str, site: object) -> None:
        known: Known = {
            name: value(term) if isinstance(term, Unknown) else shape((term,)) for name, term in terms.items()
        }
        for name, found in hook(known).items():
            term = terms[name]
            fact = Fact(text, site=site, drawn=partial(_needed, hook, known, terms, name))
            if isinstance(found, tuple):
                self.unify((term,), _filled(term, name, found, fact), fact)
            elif found is not None:
                self.unify((term,), (found,), fact)

    def _join(self, left: Pattern, right: Pattern, fact: Fact) -> bool:
        for one, other in ((left, right), (right, left)):
            if (
                len(one) == 1
                and isinstance(one[0], Rest)
                and one[0].bound is None
                and one[0] not in spread(other)
            ):
                self._bind(one[0], other, fact)
                return True
        a, b = spread(left), spread(right)
        for one, other in ((a, b), (b, a)):
            fixed = sum(not isinstance(item, Rest) for item in other)
            if not any(isinstance(item, Rest) for item in one) and fixed > len(one):
                raise _Clash(None)
        while a and b and not isinstance(a[0], Rest) and not isinstance(b[0], Rest):
            self._equal(a[0], b[0], fact)
            a, b = a[1:], b[1:]
        while a and b and not isinstance(a[-1], Rest) and not isinstance(b[-1], Rest):
            self._equal(a[-1], b[-1], fact)
            a, b = a[:-1], b[:-1]
        if not a and not b:
            return True
        if len(a) == len(b) == 1 and a[0] is b[0]:
            return True
        for one, other in ((a, b), (b, a)):
            if len(one) == 1 and isinstance(one[0], Rest):
                self._bind(one[0], other, fact)
                return True
        return False

    def _equal(self, a: Item, b: Item, fact: Fact) -> None:
        left, right = find(a), find(b)
        if left is right or (not isinstance(left, Unknown) and left == right):
            return
        if isinstance(left, Unknown):
            self._bind(left, b, fact)
        elif isinstance(right, Unknown):
            self._bind(right, a, fact)
        else:
            raise _Clash((a, b))

    def _bind(self, term: Item, to: object, fact: Fact) -> None:
        if isinstance(term, Rest) and isinstance(to, tuple) and term in to:
            raise _Clash(None)
        for item in to if isinstance(to, tuple) else (to,):
            size = find(item)
            if isinstance(size, int) and size > MOST_SIZE:
                raise ShapeError("A size of more than 2**63 - 1, which no array has.", expected=MOST_SIZE)
        self._changes += 1
        term.bound = to  # type: ignore[union-attr]
        term.fact = fact  # type: ignore[union-attr]


def _needed(
    hook: Hook, known: Known, terms: Mapping[str, Unknown | Rest], name: str
) -> Sequence[Unknown | Rest]:
    """The terms that arithmetic needed to find one: without any of the others it finds the same."""
    found = hook(known)[name]
    left = {**known, name: None}
    if hook(left).get(name) != found:  # it was known in part
        left[name] = known[name]
    for other in known:
        tried = {**left, other: None}
        if other != name and known[other] is not None and _finds(hook, tried, name, found):
            left = tried
    return [terms[each] for each in terms if each != name and left[each] is not None and left[each] != ()]


def _finds(hook: Hook, known: Known, name: str, found: Size | Shape | None) -> bool:
    try:
        return hook(known).get(name) == found
    except ShapeError:
        return False


class _Clash(Exception):
    def __init__(self, pair: tuple[Item, Item] | None) -> None:
        super().__init__()
        self.pair = pair


def sized(found: Shape, label: str, fact: Fact) -> Pattern:
    """A shape as a pattern whose every size keeps the fact that it comes from."""
    return tuple(
        Unknown(f"{label}{i}") if size is None else Unknown(f"{label}{i}", size, fact)
        for i, size in enumerate(found)
    )


def _filled(term: Unknown | Rest, name: str, found: Shape, fact: Fact) -> Pattern:
    """A hook's shape with what it leaves open as it was, so that saying nothing new changes nothing."""
    now = expand((term,))
    if len(now) != len(found) or any(isinstance(item, Rest) for item in now):
        return sized(found, name, fact)
    return tuple(old if size is None else size for old, size in zip(now, found, strict=True))


def find(item: Item) -> Item:
    """The end of the chain of equalities that starts at an item."""
    while isinstance(item, Unknown) and item.bound is not None:
        item = item.bound
    return item


def value(item: Item) -> Size | None:
    """The size that an item is known to have; None while it is open."""
    found = find(item)
    return None if isinstance(found, Unknown | Rest) else found


def expand(pattern: Sequence[Item]) -> Pattern:
    """A pattern with its solved stars spread out, its sizes followed to what they equal."""
    return tuple(find(item) for item in spread(pattern))


def spread(pattern: Sequence[Item]) -> Pattern:
    """A pattern with its solved stars spread out, its sizes as they were written."""
    items: list[Item] = []
    for item in pattern:
        items += _run_of(item) if isinstance(item, Rest) and item.bound is not None else [item]
    if len(items) > MOST_AXES:
        raise ShapeError(f"An array of more than {MOST_AXES} axes; PyTorch has none.", expected=MOST_AXES)
    return tuple(items)


def _run_of(rest: Rest) -> Pattern:
    """What a solved star stands for. Remembered on the way, for stars form chains as long as the net."""
    items: list[Item] = []
    stack: list[Item] = [rest]
    while stack:
        item = stack.pop()
        if isinstance(item, Rest) and item.bound is not None:
            stack += reversed(item.bound if item.near is None else item.near)
        else:
            items.append(item)
    rest.near = tuple(items)
    return rest.near


def shape(pattern: Sequence[Item]) -> Shape | None:
    """The shape that a pattern is known to have; None while its rank is open."""
    items = expand(pattern)
    if any(isinstance(item, Rest) for item in items):
        return None
    return tuple(value(item) for item in items)


def describe(pattern: Sequence[Item]) -> str:
    """A pattern as a person reads it: known sizes, else the names that its author gave."""
    words = []
    for item in expand(pattern):
        words.append(item.label if isinstance(item, Unknown | Rest) else str(item))
    return "(" + ", ".join(words) + ")"


def reasons(item: Item) -> Iterator[str]:
    """The sentences that led to an item's size, the nearest first, each once."""
    seen: set[int] = set()
    told: set[str] = set()
    queue: list[object] = [item]
    while queue:
        term = queue.pop(0)
        if not isinstance(term, Unknown | Rest) or id(term) in seen:
            continue
        seen.add(id(term))
        if term.fact is not None:
            if not term.fact.quiet and term.fact.text not in told:
                told.add(term.fact.text)
                yield term.fact.text
            queue += term.fact.drawn()
        queue += term.bound if isinstance(term.bound, tuple) else [term.bound]


__all__ = [
    "Conflict", "Fact", "Hook", "Known", "Pattern", "Rest", "Solver", "Unknown",
    "describe", "expand", "find", "reasons", "shape", "show", "sized", "spread", "value",
]  # fmt: skip
