"""Figures class by class: a dict, a table and a picture."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from retia._columns import cut
from retia._figures import MARKERS, SERIES, TITLE, answer, axes, grid, ink, legend
from retia.metrics.detections import AveragePrecision
from retia.metrics.formulas import Rates

SHOWN = 20
"""Up to so many classes each has a line; of more, those that do worst."""

WIDE = 24
"""Longer labels are cut."""

OF_RATES = {"precision": "precision", "recall": "recall", "f1": "f1", "iou": "iou", "examples": "examples"}
OF_BOXES = {"ap_50": "at_50", "ap_75": "at_75", "ap": "mean", "boxes": "boxes"}


class PerClass(dict[Any, Any]):
    """The figures of each class by its label; ``print`` shows a table, ``.plot()`` draws it.

    Example:
        >>> import retia as rt
        >>> net = rt.Chain(rt.ReLU(), input=2, output=rt.Classes(["cat", "dog"]))
        >>> m = rt.measure(net, ([[0.1, 0.9], [0.2, 0.8], [0.7, 0.3]], ["dog", "cat", "cat"]))
        >>> m.per_class["dog"].recall
        1.0
        >>> print(m.per_class)
        class     precision  recall      f1  examples
        cat          1.0000  0.5000  0.6667         2
        dog          0.5000  1.0000  0.6667         1
        macro        0.7500  0.7500  0.6667         3
        weighted     0.8333  0.6667  0.6667         3
    """

    def __init__(
        self,
        figures: Mapping[Any, Rates | AveragePrecision],
        columns: Mapping[str, str],
        *,
        by: str,
        means: Iterable[tuple[str, Rates]] = (),
    ) -> None:
        super().__init__(figures)
        self._columns = columns
        self._by = by
        self._means = tuple(means)

    def plot(self, path: str | os.PathLike[str] | None = None, ax: Any = None) -> Any:
        """Draw the figures of each class, one below the other; of many classes those that do worst.

        Args:
            path: where to save the picture (.png, .svg, .pdf), if anywhere.
            ax: matplotlib axes to draw on, instead of a figure of its own.
        Returns:
            The matplotlib figure, or the axes that were given. Nothing global is changed.
        """
        *names, count = self._columns
        shown = self._shown()
        place = axes(ax, 5.6, 1.1 + 0.3 * max(len(shown), 2))
        rows = range(len(shown))
        for row, (_, figures) in zip(rows, shown, strict=True):
            ends = [self._of(figures, name) for name in names]
            place.plot([min(ends), max(ends)], [row, row], color=ink(place), alpha=0.25, linewidth=2)
        for number, name in enumerate(names):
            values = [self._of(figures, name) for _, figures in shown]
            place.plot(values, rows, MARKERS[number], color=SERIES[number], markersize=6, label=name)
        told = [f"{cut(str(label), WIDE)}  ({self._of(figures, count):,})" for label, figures in shown]
        place.set_yticks(rows, told)
        place.set(ylim=(len(shown) - 0.5, -0.5), xlim=(-0.02, 1.02))
        place.set_title(self._left_out() if len(shown) < len(self) else "", fontsize=TITLE)
        grid(place)
        legend(place, loc="upper left", bbox_to_anchor=(1, 1))
        return answer(place, ax, path)

    def __str__(self) -> str:
        shown = self._shown()
        lines = [(cut(str(label), WIDE), figures) for label, figures in shown]
        first = "class" if "examples" in self._columns else "label"
        width = max(len(name) for name in (first, *(how for how, _ in self._means), *(n for n, _ in lines)))
        text = [f"{first:<{width}}" + "".join(f"  {name:>{_width(name)}}" for name in self._columns)]
        text += [self._line(name, figures, width) for name, figures in lines]
        if len(shown) < len(self) and len(self) > SHOWN:
            text.append(f"... the {self._left_out()}; all are in m.per_class")
        return "\n".join(text + [self._line(how, mean, width) for how, mean in self._means])

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))  # IPython has a way of its own with dicts

    def _shown(self) -> list[tuple[Any, Any]]:
        """Classes and their figures; boxes have a line for labels that occur."""
        *_, count = self._columns
        every = [*self.items()]
        there = [each for each in every if self._of(each[1], count)]
        if len(there if count == "boxes" else every) > SHOWN:
            return sorted(there, key=lambda each: float(self._of(each[1], self._by)))[:SHOWN]
        return there if count == "boxes" else every

    def _left_out(self) -> str:
        *_, count = self._columns
        every = sum(self._of(each, count) > 0 for each in self.values()) if count == "boxes" else len(self)
        return f"{len(self._shown())} of {every:,} with the lowest {self._by}"

    def _line(self, name: str, figures: Any, width: int) -> str:
        *names, count = self._columns
        cells = [f"{self._of(figures, each):{_width(each)}.4f}" for each in names]
        return "  ".join([f"{name:<{width}}", *cells, f"{self._of(figures, count):{_width(count)},}"])

    def _of(self, figures: Any, name: str) -> Any:
        return getattr(figures, self._columns[name])


def rates_by_class(
    found: Mapping[Any, Rates], means: Iterable[tuple[str, Rates]], *, has_iou: bool
) -> PerClass:
    """The rates of classes, and their averages by name."""
    columns = {name: own for name, own in OF_RATES.items() if has_iou or name != "iou"}
    return PerClass(found, columns, by="f1", means=means)


def _width(name: str) -> int:
    return max(len(name), 0 if name in ("examples", "boxes") else 6)
