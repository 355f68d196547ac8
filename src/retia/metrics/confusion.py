"""The confusion matrix: which label was taken for which, and in which examples."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._columns import columns, room
from retia._figures import LABEL, STRONG, Drawable, answer, axes, on_shade, shades
from retia._late import numpy as np
from retia.errors import UnknownNameError, did_you_mean
from retia.metrics.answers import Answers, answers
from retia.nets.settings import whole
from retia.sources.dataset import Data

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retia.metrics.kept import Decisions

WRITTEN = 20
"""Up to so many labels the numbers are written into the picture."""

NAMED = 60
"""Up to so many labels each has its name beside the picture."""

MOST = 2**13
"""Of more labels there is no matrix: it would take half a gigabyte and more, and say nothing to an eye."""


@dataclass(frozen=True, eq=False, repr=False)
class Cell:
    """The decisions in which one label was taken for one.

    Attributes:
        true: the label that was meant.
        answered: the label that was answered.
        count: how many decisions.
        rows: numbers of the examples, rising; an example with several positions stands there once.
    """

    true: Any
    answered: Any
    count: int
    rows: tuple[int, ...]
    data: Data
    kept: Decisions
    found: NDArray[Any]

    @property
    def examples(self) -> Data:
        """The examples themselves, in their order."""
        return self.data[[*self.rows]]  # type: ignore[no-any-return]

    def show(self, n: int = 25) -> Answers:
        """The examples with how surely they were answered so, the surest first: a contact sheet.

        Args:
            n: how many at most, at least 1.
        """
        most = whole(1)("show: n", n)
        rows = sorted(self.rows, key=lambda row: -self.kept.confidence[row][self.found[row]].max())[:most]
        word = f"{self.true!r} taken for {self.answered!r}"
        return answers(self.kept, self.data, rows, f"{word}, {len(rows)} of {len(self.rows):,}", self.found)

    def __repr__(self) -> str:
        return f"<Cell: {self.true!r} taken for {self.answered!r}, {self.count:,} times>"


@dataclass(frozen=True, eq=False, repr=False)
class Confusion(Drawable):
    """How often each label was taken for each; ``confusion["cat", "dog"]`` has the examples.

    Attributes:
        labels: in the order of rows and columns.
        counts: int64 (labels, labels), read-only: a row for what was true, a column for what was answered.
    Example:
        >>> import retia as rt
        >>> net = rt.Chain(rt.ReLU(), input=2, output=rt.Classes(["cat", "dog"]))
        >>> m = rt.measure(net, ([[0.1, 0.9], [0.2, 0.8], [0.7, 0.3]], ["dog", "cat", "cat"]))
        >>> print(m.confusion)
        true \\ answered  cat  dog
        cat                1    1
        dog                0    1
        >>> m.confusion["cat", "dog"].rows
        (1,)
    """

    labels: tuple[Any, ...]
    counts: NDArray[Any]
    kept: Decisions
    data: Data

    def __getitem__(self, pair: tuple[Any, Any]) -> Cell:
        """Where one label was taken for one: ``confusion[true, answered]``.

        Raises:
            UnknownNameError: there is no such label; 7 is not "7".
        """
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise UnknownNameError(
                f"A cell of the confusion is a pair of labels, true and answered; got {pair!r}.",
                fix=f"m.confusion[{self.labels[0]!r}, {self.labels[-1]!r}]",
            )
        return self._cell(*map(self._number, pair))

    def worst(self, n: int = 10) -> list[Cell]:
        """The labels that were confused most often, the most frequent first; at most ``n``."""
        wrong = self.counts - np.diag(np.diag(self.counts))
        order = np.argsort(-wrong, axis=None, kind="stable")[:n]
        pairs = zip(*np.unravel_index(order, wrong.shape), strict=True)
        return [self._cell(int(row), int(column)) for row, column in pairs if wrong[row, column]]

    def plot(self, path: str | os.PathLike[str] | None = None, ax: Any = None) -> Any:
        """Draw the matrix; colours are shares of each row.

        Args:
            path: where to save the picture (.png, .svg, .pdf), if anywhere.
            ax: matplotlib axes to draw on, instead of a figure of its own.
        Returns:
            The matplotlib figure, or the axes that were given. Nothing global is changed.
        """
        side = min(9.0, 1.6 + 0.38 * len(self.labels))
        place = axes(ax, max(side, 3.0), max(side, 3.0))
        shares = self.counts / np.maximum(self.counts.sum(1, keepdims=True), 1)
        place.imshow(shares, cmap=shades(STRONG), vmin=0, vmax=1)
        _name_sides(place, [str(label) for label in self.labels])
        for (row, column), count in np.ndenumerate(self.counts):
            if len(self.labels) <= WRITTEN and count:
                color = on_shade(place, shares[row, column])
                place.text(column, row, f"{count:,}", ha="center", va="center", color=color, fontsize=8)
        return answer(place, ax, path)

    def __str__(self) -> str:
        heads = [str(label) for label in self.labels]
        first = max(len("true \\ answered"), *map(len, heads))
        widths = [
            max(len(head), *(len(f"{count:,}") for count in column))
            for head, column in zip(heads, self.counts.T.tolist(), strict=True)
        ]
        lines = [["true \\ answered", *heads]]
        lines += [
            [head, *(f"{c:,}" for c in row)] for head, row in zip(heads, self.counts.tolist(), strict=True)
        ]
        if first + sum(width + 2 for width in widths) > room():
            return self._told()
        return "\n".join(
            f"{line[0]:<{first}}"
            + "".join(f"  {cell:>{width}}" for cell, width in zip(line[1:], widths, strict=True))
            for line in lines
        )

    def _told(self) -> str:
        """The most frequent confusions, where the matrix is wider than the terminal."""
        worst = self.worst(WRITTEN)
        rows = [["true", "answered", "times"]]
        rows += [[str(cell.true), str(cell.answered), f"{cell.count:,}"] for cell in worst]
        others = int((self.counts > 0).sum() - (np.diag(self.counts) > 0).sum()) - len(worst)
        more = f"\n... and {others:,} other pairs; all are in m.confusion.counts" if others else ""
        return f"{self!r}, too wide to print\n{columns(rows, [False, False, True])}{more}"

    def __repr__(self) -> str:
        right = int(np.trace(self.counts))
        return f"<Confusion of {len(self.labels)} labels: {right:,} of {int(self.counts.sum()):,} right>"

    def _cell(self, row: int, column: int) -> Cell:
        found = (self.kept.true == row) & (self.kept.answered == column)
        found = found if self.kept.known is None else found & self.kept.known
        rows = np.flatnonzero(found.reshape(len(found), -1).any(1))
        return Cell(
            self.labels[row], self.labels[column], int(self.counts[row, column]), tuple(rows.tolist()),
            self.data, self.kept, found,
        )  # fmt: skip

    def _number(self, label: Any) -> int:
        return number_of(self.labels, label)


def _name_sides(ax: Any, labels: list[str]) -> None:
    """The labels at both sides, small where there are many; of very many some."""
    every = -(-len(labels) // NAMED)
    places = range(0, len(labels), every)
    named = {"fontsize": LABEL if len(labels) <= WRITTEN else 6}
    turned = 90 if max(map(len, labels)) > 2 else 0
    ax.set_xticks(places, labels[::every], rotation=turned, **named)
    ax.set_yticks(places, labels[::every], **named)
    ax.set_xlabel("answered")
    ax.set_ylabel("true")
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set(visible=True, alpha=0.3)


def number_of(labels: tuple[Any, ...], label: Any) -> int:
    """Which label it is.

    Raises:
        UnknownNameError: it is none.
    """
    for number, known in enumerate(labels):
        if type(known) is type(label) and known == label:
            return number
    alike = [known for known in labels if str(known) == str(label)]
    hint = f" The label {alike[0]!r} is of another type." if alike else did_you_mean(label, map(str, labels))
    shown = ", ".join(map(repr, labels[:10])) + (", ..." if len(labels) > 10 else "")
    raise UnknownNameError(f"There is no label {label!r}; the labels are {shown}.{hint}", got=label)


def confusion(kept: Decisions, data: Data) -> Confusion:
    """The matrix of what was decided.

    Args:
        kept: what the measurement kept.
        data: the examples.
    Raises:
        UnknownNameError: there are too many labels for one.
    """
    size = len(kept.labels)
    if size > MOST:
        raise UnknownNameError(
            f"There is no confusion matrix of more than {MOST:,} labels; here are {size:,}.",
            fix="m.per_class, m.wrong",
            got=size,
        )
    pairs = kept.flat(kept.true).astype(np.int64) * size + kept.flat(kept.answered)
    counts = np.bincount(pairs.ravel(), minlength=size * size).reshape(size, size)
    counts.flags.writeable = False
    return Confusion(kept.labels, counts, kept, data)
