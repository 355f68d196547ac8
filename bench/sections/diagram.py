"""Milliseconds from a net to its table and its diagram."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from how import How
from report import Table
from workers import Peer, Row

import retia as rt
from retia.view.model import view
from retia.view.scene import scene
from retia.zoo.resnet import resnet18

TITLE = "Diagrams"
WORDS = """
Milliseconds from a net, whose sizes are solved, to a table of text, to the places of everything in its
diagram (view model, layers, crossings, places, columns), and to the whole SVG; and from a diagram that is
there to its text of 100 columns, whose places are found anew. Of 1,000 layers that repeat
two are drawn, with their number; of 8,000 nodes 300, with the number of the others.
"""


def growing(count: int) -> rt.Net:
    """A chain in which no layer is like another."""
    return rt.Chain(*[rt.Linear(10 + n) if n % 2 else rt.ReLU() for n in range(count)], input=10)


def skipping(count: int) -> rt.Net:
    """A row of nodes of which every seventh adds what the fifth before it gave."""
    nodes = {f"n{n}": rt.Plus() if n % 7 == 6 else rt.ReLU() for n in range(count)}
    skips = [f"n{n - 5} -> n{n}" for n in range(count) if n % 7 == 6]
    return rt.Graph(nodes, " -> ".join(["input", *nodes]), *skips, input=3)


def works() -> dict[str, Callable[[], object]]:
    """What is measured, by its words."""
    fifty, fivehundred = growing(50), growing(500)
    repeating = rt.Chain(*[rt.Linear(64) if n % 2 else rt.ReLU() for n in range(1000)], input=64)
    mixed, many, resnet = skipping(1000), skipping(8000), resnet18()
    for net in (fifty, fivehundred, repeating, mixed, many, resnet):
        _ = net.solution
    return {
        "table, 500 layers": lambda: fivehundred.table(100),
        "places, chain of 50 layers": lambda: scene(view(fifty)),
        "places, ResNet-18 with all of its 69 layers": lambda: scene(view(resnet), depth=9, unfold=True),
        "SVG, ResNet-18 with all of its 69 layers": lambda: resnet.diagram(depth=9, unfold=True),
        "SVG, 1,000 layers, folded": lambda: repeating.diagram(),
        "SVG, 1,000 nodes with skips, all drawn": lambda: mixed.diagram(most=1000, unfold=True),
        "SVG, 8,000 nodes with skips": lambda: many.diagram(),
        "text, chain of 50 layers": drawn_as_text(fifty),
        "text, 1,000 nodes with skips, all drawn": drawn_as_text(mixed, most=1000, unfold=True),
        "text, 8,000 nodes with skips": drawn_as_text(many),
    }


def drawn_as_text(net: rt.Net, **asked: Any) -> Callable[[], object]:
    """What prints a diagram that is there."""
    made = net.diagram(**asked)
    return lambda: made.text(100)


def measure(how: How) -> Iterator[Table]:
    """One table."""
    rows = {words: Row(Peer(words, words, "")) for words in works()}
    for count in range(how.rounds + 1):
        for words, work in works().items():  # nets made anew, that remember nothing
            start = time.perf_counter()
            work()
            if count:
                rows[words].seconds.append(time.perf_counter() - start)
    yield Table("Tables and diagrams: milliseconds", list(rows.values()), ours=(), scale=1e3)
