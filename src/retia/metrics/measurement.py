"""What ``rt.measure`` answers: the figures of one output, and of several by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia.errors import ArgumentError, Error, UnknownNameError, did_you_mean
from retia.metrics.confusion import Confusion, confusion
from retia.metrics.scores import BOOLEAN, CLASSES, NUMBERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIGURES = {
    CLASSES: ("loss", "accuracy", "error_rate"),
    BOOLEAN: ("loss", "accuracy", "error_rate", "precision", "recall", "f1", "auc"),
    NUMBERS: ("loss", "mse", "mae", "r2"),
}


@dataclass(frozen=True, eq=False, repr=False)
class Measurement:
    """How well a net does on a set of examples, every one counting alike; ``rt.measure`` makes it.

    For classes: ``accuracy``, ``error_rate``, ``top(k)``, ``confusion``. For booleans also ``precision``,
    ``recall``, ``f1`` and ``auc``. For numbers: ``mse``, ``mae`` and ``r2``. Always ``loss``. Where a net
    has several outputs, each has its own: ``m["age"].mae``.

    Attributes:
        loss: as training would compute it, in inference behaviour.
        examples: how many.
        parts: by output port, where there are several.
    Example:
        >>> import retia as rt
        >>> net = rt.Chain(rt.ReLU(), input=2, output=rt.Classes(["cat", "dog"]))
        >>> m = rt.measure(net, ([[0.1, 0.9], [0.2, 0.8], [0.7, 0.3]], ["dog", "cat", "cat"]))
        >>> round(m.accuracy, 4), m.top(2)
        (0.6667, 1.0)
    """

    loss: float
    examples: int
    sense: str = NUMBERS
    labels: tuple[Any, ...] = ()
    parts: Mapping[str, Measurement] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __getitem__(self, port: str) -> Measurement:
        """The figures of one of several outputs."""
        if port not in self.parts:
            raise UnknownNameError(
                f"There is no output {port!r}; there are {', '.join(self.parts) or 'no several ones'}."
                + did_you_mean(port, self.parts),
                path=port,
            )
        return self.parts[port]

    # Decisions ------------------------------------------------------------------------------------

    @property
    def accuracy(self) -> float:
        """Share of right decisions, 0..1."""
        true, answered = self._decisions("accuracy")
        return float((true == answered).mean())

    @property
    def error_rate(self) -> float:
        """Share of wrong decisions, 0..1."""
        return 1 - self.accuracy

    @property
    def confusion(self) -> Confusion:
        """Which label was taken for which."""
        true, answered = self._decisions("confusion")
        return confusion(self.labels, true.astype(np.int64), answered.astype(np.int64))

    def top(self, k: int) -> float:
        """Share of examples whose right class is among the ``k`` best scores, 0..1."""
        self._check("top", CLASSES)
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise ArgumentError(f"top is of a whole number of at least 1; got {k!r}.", got=k)
        return float((self.arrays["rank"] < k).mean())

    # Yes or no ------------------------------------------------------------------------------------

    @property
    def precision(self) -> float:
        """Share of those answered True that are; 0 where none was."""
        true, answered = self._truths("precision")
        return _ratio((true & answered).sum(), answered.sum())

    @property
    def recall(self) -> float:
        """Share of those that are True that were answered so; 0 where none is."""
        true, answered = self._truths("recall")
        return _ratio((true & answered).sum(), true.sum())

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        true, answered = self._truths("f1")
        return _ratio(2 * (true & answered).sum(), true.sum() + answered.sum())

    @property
    def auc(self) -> float:
        """Area under the ROC curve: how often a True scores above a False, ties counting half.

        NaN where all examples are alike.
        """
        true, _ = self._truths("auc")
        _, places, ties = np.unique(self.arrays["score"], return_inverse=True, return_counts=True)
        ranks = (np.cumsum(ties) - (ties - 1) / 2)[places]
        yes, no = int(true.sum()), int((~true).sum())
        if not yes or not no:
            return float("nan")
        return float((ranks[true].sum() - yes * (yes + 1) / 2) / (yes * no))

    # Numbers --------------------------------------------------------------------------------------

    @property
    def mse(self) -> float:
        """Mean of the squared errors."""
        self._check("mse", NUMBERS)
        return float(self.arrays["squares"].mean() / self.examples)

    @property
    def mae(self) -> float:
        """Mean of the absolute errors."""
        self._check("mae", NUMBERS)
        return float(self.arrays["absolutes"].mean() / self.examples)

    @property
    def r2(self) -> float:
        """Share of the variance that is explained, at most 1; the mean over the numbers of an output."""
        self._check("r2", NUMBERS)
        wrong, spread = self.arrays["squares"], self.arrays["spread"]
        flat = np.where(wrong == 0, 1.0, 0.0)
        return float(np.where(spread > 0, 1 - wrong / np.where(spread > 0, spread, 1), flat).mean())

    # Telling --------------------------------------------------------------------------------------

    def figures(self) -> dict[str, float]:
        """All figures by name; those of several outputs as ``"port.figure"``."""
        if self.parts:
            inner = {f"{port}.{k}": v for port, part in self.parts.items() for k, v in part.figures().items()}
            return {"loss": self.loss, **inner}
        return {name: float(getattr(self, name)) for name in FIGURES[self.sense]}

    def __str__(self) -> str:
        figures = self.figures()
        width = max(len(name) for name in ("examples", *figures))
        lines = [f"{'examples':<{width}}  {self.examples:,}"]
        return "\n".join(lines + [f"{name:<{width}}  {value:.4f}" for name, value in figures.items()])

    def __repr__(self) -> str:
        told = ", ".join(f"{name} {value:.4f}" for name, value in self.figures().items())
        return f"<Measurement of {self.examples:,} examples: {told}>"

    def _decisions(self, asked: str) -> tuple[NDArray[Any], NDArray[Any]]:
        self._check(asked, CLASSES, BOOLEAN)
        return self.arrays["true"], self.arrays["answered"]

    def _truths(self, asked: str) -> tuple[NDArray[Any], NDArray[Any]]:
        self._check(asked, BOOLEAN)
        return self.arrays["true"], self.arrays["answered"]

    def _check(self, asked: str, *senses: str) -> None:
        if self.parts:
            first = next(iter(self.parts))
            raise _no_figure(f"{asked} is of one output", f"m[{first!r}].{asked}")
        if self.sense not in senses:
            there = ", ".join(FIGURES[self.sense])
            raise _no_figure(f"{asked} is of {' or '.join(senses)}, but the output is {self.sense}", there)


def _ratio(part: Any, whole: Any) -> float:
    return float(part / whole) if whole else 0.0


def _no_figure(why: str, instead: str) -> Error:
    return UnknownNameError(f"{why}.", fix=instead)
