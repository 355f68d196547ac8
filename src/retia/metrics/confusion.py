"""The confusion matrix: which label was taken for which."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia.metrics.figures import figure, save

if TYPE_CHECKING:
    from numpy.typing import NDArray

WRITTEN = 20
"""Up to so many labels the numbers are written into the picture."""


@dataclass(frozen=True, eq=False, repr=False)
class Confusion:
    """How often each label was taken for each.

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
    """

    labels: tuple[Any, ...]
    counts: NDArray[Any]

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


def confusion(labels: tuple[Any, ...], true: NDArray[Any], answered: NDArray[Any]) -> Confusion:
    """The matrix of class numbers."""
    size = len(labels)
    counts = np.bincount(true * size + answered, minlength=size * size).reshape(size, size)
    counts.flags.writeable = False
    return Confusion(labels, counts)
