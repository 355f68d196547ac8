"""The confusion matrix: which label was taken for which, and in which examples."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._figures import figure, save
from retia._late import numpy as np
from retia.errors import UnknownNameError, did_you_mean
from retia.sources.dataset import Data

if TYPE_CHECKING:
    from numpy.typing import NDArray

WRITTEN = 20
"""Up to so many labels the numbers are written into the picture."""

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

    @property
    def examples(self) -> Data:
        """The examples themselves, in their order: ``.show()`` draws pictures."""
        return self.data[[*self.rows]]  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"<Cell: {self.true!r} taken for {self.answered!r}, {self.count:,} times>"


@dataclass(frozen=True, eq=False, repr=False)
class Confusion:
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
    decisions: tuple[NDArray[Any], NDArray[Any]]
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
            The matplotlib figure. No global state of matplotlib is used or changed.
        """
        drawn = None if ax is None else ax.figure
        if drawn is None:
            side = min(12.0, 3.0 + 0.4 * len(self.labels))
            drawn, (ax,) = figure(side, side)
        shares = self.counts / np.maximum(self.counts.sum(1, keepdims=True), 1)
        ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        places = range(len(self.labels))
        ax.set_xticks(places, [str(label) for label in self.labels], rotation=90)
        ax.set_yticks(places, [str(label) for label in self.labels])
        ax.set_xlabel("answered")
        ax.set_ylabel("true")
        for (row, column), count in np.ndenumerate(self.counts):
            if len(self.labels) <= WRITTEN and count:
                color = "white" if shares[row, column] > 0.5 else "black"
                ax.text(column, row, f"{count:,}", ha="center", va="center", color=color, fontsize=8)
        return save(drawn, path)

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
        return "\n".join(
            f"{line[0]:<{first}}"
            + "".join(f"  {cell:>{width}}" for cell, width in zip(line[1:], widths, strict=True))
            for line in lines
        )

    def __repr__(self) -> str:
        right = int(np.trace(self.counts))
        return f"<Confusion of {len(self.labels)} labels: {right:,} of {int(self.counts.sum()):,} right>"

    def _cell(self, row: int, column: int) -> Cell:
        true, answered = self.decisions
        found = (true == row) & (answered == column)
        rows = np.flatnonzero(found.reshape(len(found), -1).any(1))
        return Cell(
            self.labels[row], self.labels[column], int(self.counts[row, column]), tuple(rows.tolist()),
            self.data,
        )  # fmt: skip

    def _number(self, label: Any) -> int:
        return number_of(self.labels, label)


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


def confusion(
    labels: tuple[Any, ...],
    true: NDArray[Any],
    answered: NDArray[Any],
    data: Data,
    known: NDArray[Any] | None = None,
) -> Confusion:
    """The matrix of class numbers, one row an example.

    Args:
        labels: of the classes.
        true: what is meant.
        answered: what the net answers.
        data: the examples.
        known: True for decisions that count; None where all do.
    Raises:
        UnknownNameError: there are too many labels for one.
    """
    size = len(labels)
    if size > MOST:
        raise UnknownNameError(
            f"There is no confusion matrix of more than {MOST:,} labels; here are {size:,}.",
            fix="m.per_class, m.wrong",
            got=size,
        )
    if known is not None:  # beyond the matrix, and no cell's
        true = np.where(known, true, size)
    pairs = true.ravel().astype(np.int64) * size + answered.ravel()
    pairs = pairs if known is None else pairs[known.ravel()]
    counts = np.bincount(pairs, minlength=size * size).reshape(size, size)
    counts.flags.writeable = False
    return Confusion(labels, counts, (true, answered), data)
