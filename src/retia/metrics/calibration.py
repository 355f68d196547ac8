"""Calibration: whether probabilities are as often right as they say, and the temperature that helps."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._figures import FIRST, Drawable, answer, axes, grid, ink, legend
from retia._late import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 15
COLDEST, HOTTEST = 0.01, 100.0
CHUNK = 2**16
"""So many numbers at once while a temperature is fitted, to bound the memory."""


@dataclass(frozen=True, eq=False, repr=False)
class Calibration(Drawable):
    """Probabilities against how often they came true, in bins of equal width.

    Attributes:
        edges: of the bins, from 0 to 1; a bin holds its upper edge and not its lower.
        counts: decisions in each bin.
        confidence: mean probability in each bin; NaN in an empty one.
        share: how often it came true; NaN in an empty bin.
        about: what the probability is of.
    Source: Guo et al. 2017.
    Example:
        >>> import retia as rt
        >>> net = rt.Chain(rt.Softmax(), input=2, output=rt.Classes(["cat", "dog"]))
        >>> m = rt.measure(net, ([[0.0, 3.0], [0.0, 3.0]], ["dog", "cat"]))
        >>> m.calibration(bins=10)
        <Calibration in 10 bins: expected error 0.4526, largest 0.4526>
    """

    edges: NDArray[Any]
    counts: NDArray[Any]
    confidence: NDArray[Any]
    share: NDArray[Any]
    about: str

    @property
    def error(self) -> float:
        """Expected calibration error: mean gap over all decisions, 0..1."""
        held = self.counts > 0
        return float(np.average(self._gaps()[held], weights=self.counts[held]))

    @property
    def largest(self) -> float:
        """Largest gap of a bin, 0..1."""
        return float(self._gaps()[self.counts > 0].max())

    def plot(self, path: str | os.PathLike[str] | None = None, ax: Any = None) -> Any:
        """Draw the reliability curve; the stronger a bar, the more decisions are in its bin.

        Args:
            path: where to save the picture (.png, .svg, .pdf), if anywhere.
            ax: matplotlib axes to draw on, instead of a figure of its own.
        Returns:
            The matplotlib figure, or the axes that were given. Nothing global is changed.
        """
        place = axes(ax, 4.2, 3.9)
        held = self.counts > 0
        weight = np.sqrt(self.counts[held] / self.counts.max())
        bars = place.bar(
            self.edges[:-1][held], self.share[held], width=0.94 * np.diff(self.edges)[held], align="edge",
            color=FIRST, linewidth=0,
        )  # fmt: skip
        for bar, share in zip(bars, weight, strict=True):
            bar.set_alpha(0.15 + 0.6 * float(share))
        place.plot(
            [0, 1], [0, 1], color=ink(place), alpha=0.6, linewidth=1, linestyle=":", label="calibrated"
        )
        told = f"expected error {self.error:.3f}"
        place.plot(
            self.confidence[held], self.share[held], marker=".", color=ink(place), linewidth=1.2, label=told
        )
        place.set(xlim=(0, 1), ylim=(0, 1.02), xlabel=self.about, ylabel="share that is so")
        grid(place)
        legend(place, loc="upper left")
        return answer(place, ax, path)

    def __repr__(self) -> str:
        told = f"expected error {self.error:.4f}, largest {self.largest:.4f}"
        return f"<Calibration in {len(self.counts)} bins: {told}>"

    def _gaps(self) -> NDArray[Any]:
        return np.asarray(np.abs(self.confidence - self.share))


def calibration(chances: NDArray[Any], came: NDArray[Any], bins: int, about: str) -> Calibration:
    """Probabilities and whether they came true, in bins."""
    edges = np.linspace(0, 1, bins + 1)
    places = np.searchsorted(edges[1:-1], chances)
    counts = np.bincount(places, minlength=bins)
    sums = [np.bincount(places, each, minlength=bins) for each in (chances, came)]
    return binned(edges, counts, sums[0], sums[1], about)


def binned(
    edges: NDArray[Any], counts: NDArray[Any], chances: NDArray[Any], came: NDArray[Any], about: str
) -> Calibration:
    """A calibration from sums by bin: of probabilities, and of those that came true."""
    with np.errstate(invalid="ignore"):
        return Calibration(edges, counts, chances / counts, came / counts, about)


def fitted_temperature(logits: NDArray[Any], true: NDArray[Any]) -> float:
    """The temperature that lowers the log-loss of ``softmax(logits / temperature)`` most.

    Newton's method on the inverse of the temperature, in which the log-loss is convex, kept in a bracket.

    Args:
        logits: (n, classes); any number added to a row changes nothing.
        true: (n) class numbers.
    Returns:
        0.01..100; at an end where the loss falls on beyond it, as where everything is right.
    Source: Guo et al. 2017.
    """
    low, high = 1 / HOTTEST, 1 / COLDEST
    if _slopes(logits, true, low)[0] >= 0:
        return HOTTEST
    if _slopes(logits, true, high)[0] <= 0:
        return COLDEST
    cold = 1.0
    for _ in range(100):
        slope, bend = _slopes(logits, true, cold)
        low, high = (low, cold) if slope > 0 else (cold, high)
        step = cold - slope / bend if bend > 0 else low
        new = step if low < step < high else (low + high) / 2
        if abs(new - cold) <= 1e-12 * cold:
            break
        cold = new
    return 1 / cold


def _slopes(logits: NDArray[Any], true: NDArray[Any], cold: float) -> tuple[float, float]:
    """First and second derivative of the summed log-loss by the inverse temperature."""
    slope = bend = 0.0
    rows = max(1, CHUNK // logits.shape[1])
    for at in range(0, len(logits), rows):
        part = logits[at : at + rows].astype(np.float64)
        part -= part.max(1, keepdims=True)
        powers = np.exp(part * cold)
        powers /= powers.sum(1, keepdims=True)
        mean = (powers * part).sum(1)
        slope += float((mean - part[np.arange(len(part)), true[at : at + rows]]).sum())
        bend += float((powers * (part - mean[:, None]) ** 2).sum())
    return slope, bend
