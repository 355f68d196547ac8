"""Examples with what was meant, what a net answered, and how surely: a contact sheet or a table."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._columns import cut
from retia._figures import SECOND, Drawable, answer, axes, ink
from retia._late import numpy as np
from retia.sources import showing
from retia.sources.dataset import Data

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retia.metrics.kept import Decisions

ROW = 6
"""Up to so many examples stand in one row."""

CELL, HIGH = 1.15, 1.5
"""Width and height of an example and its words, in inches."""

CUT = 12
"""Longer labels are cut."""


@dataclass(frozen=True, eq=False, repr=False)
class Answers(Drawable):
    """Examples, and what a net answered: ``m.mistakes()``, ``m.show()`` and cells of a confusion make it.

    ``print`` shows a table; in a notebook it is a contact sheet where there is something to draw.

    Attributes:
        examples: a data set, in this order.
        rows: their numbers in the set that was measured.
        true: what was meant.
        answered: what was answered.
        confidence: the probability of the answer, 0..1.
        places: where in the output the decision stands; ``()`` where an example has but one.
        title: what they are.
    Example:
        >>> import retia as rt
        >>> net = rt.Chain(rt.Softmax(), input=2, output=rt.Classes(["cat", "dog"]))
        >>> m = rt.measure(net, ([[0.0, 3.0], [2.0, 0.0], [0.0, 1.0]], ["cat", "dog", "dog"]))
        >>> print(m.mistakes())
        2 mistakes among 3 examples, the surest first
          row  true  answered  surely  input
          0    cat   dog       95.3%   0  3
          1    dog   cat       88.1%   2  0
    """

    examples: Data
    rows: tuple[int, ...]
    true: tuple[Any, ...]
    answered: tuple[Any, ...]
    confidence: tuple[float, ...]
    places: tuple[tuple[int, ...], ...]
    title: str

    def __len__(self) -> int:
        return len(self.rows)

    def plot(self, path: str | os.PathLike[str] | None = None, ax: Any = None) -> Any:
        """Draw a contact sheet; what is wrong has a frame, a cross and what was meant.

        Args:
            path: where to save the picture (.png, .svg, .pdf), if anywhere.
            ax: matplotlib axes to draw on, instead of a figure of its own.
        Returns:
            The matplotlib figure, or the axes that were given. Nothing global is changed.
        Raises:
            DataError: there are no examples, or nothing of them can be drawn.
        """
        tiles = showing.tiles(self.examples)
        across = len(tiles) if len(tiles) <= ROW else math.ceil(math.sqrt(len(tiles)))
        down = math.ceil(len(tiles) / across)
        place = axes(ax, max(across, 3) * CELL, 0.3 + down * HIGH)
        high = HIGH / CELL
        place.set_axis_off()
        place.set(xlim=(0, across), ylim=(down * high, 0), aspect="equal")
        place.set_title(self.title, fontsize=9)
        for number, tile in enumerate(tiles):
            left, top = number % across, number // across * high
            _draw_tile(place, np.asarray(tile), left, top)
            place.text(left + 0.03, top + 0.97, self._words(number), va="top", fontsize=8, color=ink(place))
            if not self._is_right(number):
                frame = [left + 0.02, left + 0.96, left + 0.96, left + 0.02, left + 0.02]
                place.plot(frame, [top, top, top + 0.94, top + 0.94, top], color=SECOND, linewidth=2)
        place.set(xlim=(0, across), ylim=(down * high, 0))  # pictures move them
        return answer(place, ax, path)

    def __str__(self) -> str:
        if not self.rows:
            return self.title
        sheet = showing.show(self.examples, {}, len(self.examples))
        own: list[tuple[str, list[str]]] = [
            ("row", [str(row) for row in self.rows]),
            ("true", [str(label) for label in self.true]),
            ("answered", [str(label) for label in self.answered]),
            ("surely", [f"{chance:.1%}" for chance in self.confidence]),
        ]
        if any(self.places):
            own.insert(1, ("place", [", ".join(map(str, place)) for place in self.places]))
        others = [(head, [row[n] for row in sheet.rows]) for n, head in enumerate(sheet.heads)]
        told = own + [each for each in others if each[1] != own[-3][1]]  # what is meant stands there once
        cells = zip(*(column for _, column in told), strict=True)
        return str(showing.Sheet(self.title, tuple(head for head, _ in told), tuple(cells), None))

    def __repr__(self) -> str:
        return f"<Answers: {self.title}>"

    def _is_right(self, number: int) -> bool:
        return bool(self.true[number] == self.answered[number])

    def _words(self, number: int) -> str:
        """What is said of an example: the answer, how surely, and what it is where that is another."""
        said = f"{cut(str(self.answered[number]), CUT)}  {self.confidence[number]:.0%}"
        at = f" at {', '.join(map(str, self.places[number]))}" if self.places[number] else ""
        if self._is_right(number):
            return f"✓ {said}{at}"
        return f"✗ {said}\nis {cut(str(self.true[number]), CUT)}{at}"


def answers(
    kept: Decisions, data: Data, rows: Sequence[int], title: str, among: NDArray[Any] | None = None
) -> Answers:
    """What was answered to some examples.

    Of one with several decisions, as a text or a mask has, it is the surest that is wrong; where all are
    right, the one that is least sure.

    Args:
        kept: what the measurement kept.
        data: that was measured.
        rows: numbers of examples, in the order wanted.
        title: what they are.
        among: True for the decisions that may be told, (examples, *positions); None for all.
    """
    numbers = np.asarray(rows, np.int64)
    telling = _telling(kept) if among is None else np.where(among, _telling(kept), -1.0)
    every = (kept.true, kept.answered, kept.confidence, telling)
    shape = kept.true.shape[1:]
    flat = (len(numbers), math.prod(shape))
    true, answered, chance, telling = (each[numbers].reshape(flat) for each in every)
    best = telling.argmax(1)
    at = (np.arange(len(numbers)), best)
    places = np.stack(np.unravel_index(best, shape), 1) if shape else np.empty((len(numbers), 0), np.int64)
    return Answers(
        data[[*map(int, rows)]],
        tuple(int(row) for row in rows),
        tuple(kept.labels[number] for number in true[at]),
        tuple(kept.labels[number] for number in answered[at]),
        tuple(chance[at].tolist()),
        tuple(tuple(each) for each in places.tolist()),
        title,
    )


def surest_mistakes(kept: Decisions, n: int) -> list[int]:
    """Numbers of the examples with a wrong decision, that with the surest one first; at most ``n``."""
    telling = _telling(kept)
    best = telling.reshape(len(telling), -1).max(1)
    order = np.argsort(-best, kind="stable")
    return [int(row) for row in order[:n] if best[row] >= WRONG]


WRONG = 2
"""How telling a decision is: from here on it is wrong."""


def _telling(kept: Decisions) -> NDArray[Any]:
    """How telling each decision is: those that are wrong before the others, the surest of them first."""
    chance = np.asarray(kept.confidence, np.float64)
    right = 1 - chance if kept.known is None else np.where(kept.known, 1 - chance, -1.0)
    return np.where(kept.hits, right, WRONG + chance)


def _draw_tile(ax: Any, pixels: NDArray[Any], left: float, top: float) -> None:
    """A picture in its square, as large as it fits."""
    high, wide = pixels.shape[:2]
    across, down = 0.94 * wide / max(high, wide), 0.94 * high / max(high, wide)
    x, y = left + 0.02 + (0.94 - across) / 2, top + (0.94 - down) / 2
    ax.imshow(pixels, extent=(x, x + across, y + down, y), interpolation="nearest")
