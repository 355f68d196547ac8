"""``rt.find_rate``: which learning rate suits, by trying ever larger ones and watching the loss."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from retia._figures import FIRST, Drawable, answer, axes, grid, ink, legend
from retia._late import numpy as np
from retia.engine.devices import read_device
from retia.engine.process import steady
from retia.errors import ArgumentError, TrainingError, did_you_mean
from retia.nets.net import Net
from retia.nets.settings import make, real, whole
from retia.sources.order import check_seed
from retia.training import table
from retia.training.how import How, read_how
from retia.training.interrupt import Interrupt
from retia.training.optimizer import Optimizer
from retia.training.optimizers import read_optimizer
from retia.training.prepare import Prepared, batches, prepare
from retia.training.start import train
from retia.training.step import Step

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

KEPT = 0.9
"""How much of the running mean of the losses each step keeps."""

DIVERGED = 4.0
"""The test ends when the running mean is so many times its lowest value."""

OF_STEPS = (
    "rates", "l1", "l2", "clip_norm", "clip_value", "accumulate", "turns", "precision", "mix",
)  # fmt: skip
"""Arguments of ``train`` that change what a step does."""

SPREAD = 0.03
"""Losses are smoothed over about this share of the steps to each side, for the curve and the suggestion."""


@dataclass(frozen=True, eq=False, repr=False)
class RateTest(Drawable):
    """What ``rt.find_rate`` answers.

    Attributes:
        rates: the learning rates that were tried, ascending.
        losses: the loss of each step's batch, before the step.
        why: the reason it ended.
    Example:
        >>> import retia as rt
        >>> test = RateTest((0.1, 1.0, 10.0), (3.0, 1.0, 9.0), "the loss diverged")
        >>> test.suggestion
        0.1
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    why: str

    @property
    def smoothed(self) -> NDArray[Any]:
        """The losses without most of the batches' noise: means of neighbours on both sides, so none lags.

        One loss that blew up shall not be seen far around it, so none counts for more than four of the first.
        """
        losses = np.asarray(self.losses)
        losses = losses.clip(max=DIVERGED * abs(losses[: -(-len(losses) // 10)]).mean())
        width = max(SPREAD * len(losses), 1e-9)
        steps = np.arange(len(losses))
        weights = np.exp(-(((steps[:, None] - steps) / width) ** 2) / 2)
        return np.asarray(weights @ losses / weights.sum(1))

    @property
    def suggestion(self) -> float:
        """The rate at which the smoothed loss falls fastest, over the logarithm of the rate.

        Only rates up to that of the lowest loss count. It is a good one to begin with for an optimizer
        without schedule; a schedule that rises to a highest rate (one-cycle) takes up to ten times as much.
        Source: Smith 2017, *Cyclical Learning Rates for Training Neural Networks*, for the test; the rule of
        the steepest fall is fastai's.
        Raises:
            TrainingError: the loss never fell.
        """
        smoothed = self.smoothed
        lowest = int(smoothed.argmin())
        falls = np.diff(smoothed[: lowest + 1])
        if not falls.size:
            raise TrainingError(
                "find_rate: the loss never fell, so there is no rate to suggest.",
                fix="lowest= below the first rate tried, or more steps=",
                got=self.rates[0],
            )
        return self.rates[int(falls.argmin())]

    def plot(self, path: str | os.PathLike[str] | None = None, ax: Any = None) -> Any:
        """Draw the loss against the learning rate, with the suggestion.

        Args:
            path: where to save the picture (.png, .svg, .pdf), if anywhere.
            ax: matplotlib axes to draw on, instead of a figure of its own.
        Returns:
            The matplotlib figure, or the axes that were given.
        """
        place = axes(ax, 5.6, 3.3)
        smoothed = self.smoothed
        faint = {"color": ink(place), "alpha": 0.35, "linewidth": 0.9}
        place.plot(self.rates, self.losses, label="loss of each batch", **faint)
        place.plot(self.rates, smoothed, color=FIRST, linewidth=1.8, label="smoothed")
        place.set_xscale("log")
        spread = smoothed.max() - smoothed.min() or 1.0
        first = np.asarray(self.losses[: max(len(self.losses) // 2, 1)])
        high = max(float(first.max()), float(smoothed.min() + spread / 2))
        place.set_ylim(float(smoothed.min() - 0.1 * spread), high + 0.1 * spread)
        if smoothed.argmin() > 0:
            found = self.suggestion
            place.axvline(
                found, color=ink(place), linewidth=1, linestyle=":", label=f"suggestion {found:.2g}"
            )
        place.set_xlabel("learning rate")
        place.set_ylabel("loss")
        grid(place)
        legend(place)
        return answer(place, ax, path)

    def to_pandas(self) -> Any:
        """Rates, losses and smoothed losses as a ``pandas.DataFrame``.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        every = zip(self.rates, self.losses, self.smoothed.tolist(), strict=True)
        return table.frame([{"rate": rate, "loss": loss, "smoothed": mean} for rate, loss, mean in every])

    def __repr__(self) -> str:
        told = f"suggestion {self.suggestion:.3g}" if self.smoothed.argmin() > 0 else "the loss never fell"
        return f"<RateTest: {len(self.rates)} rates to {self.rates[-1]:.3g}, {told}; {self.why}>"


def find_rate(
    net: Net,
    data: Any,
    *,
    lowest: float = 1e-7,
    highest: float = 10.0,
    steps: int = 100,
    batch_size: int = 64,
    optimizer: Any = None,
    loss: Any = None,
    validation: Any = None,
    seed: int = 0,
    device: Any = None,
    **how: Any,
) -> RateTest:
    """A learning-rate range test: train for some steps at ever larger rates, and watch the loss.

    The net is not changed, and no epoch is trained: it takes as long as so many steps. The examples, the
    order and the random draws are those of a training with the same seed.

    Args:
        net: as in ``rt.train``.
        data: as in ``rt.train``; batches come from its training part.
        lowest: above 0, the learning rate of the first step.
        highest: above ``lowest``, that of the last. In between the rate grows by the same factor each step.
        steps: at least 10.
        batch_size, loss, validation, seed, device: as in ``rt.train``.
        optimizer: as in ``rt.train``; its own learning rate does not matter.
        how: what else changes a step, as in ``rt.train``: ``rates``, ``l1``, ``l2``, ``clip_norm``,
            ``clip_value``, ``accumulate``, ``turns``, ``precision``, ``mix``.
    Returns:
        ``.suggestion``, ``.plot()``, ``.rates``, ``.losses``. Ctrl-C ends it with what there is.
    Raises:
        ArgumentError: an argument out of its range. TrainingError: the first loss is not finite.
    Example:
        >>> import retia as rt
        >>> x = [[float(i % 7)] for i in range(70)]
        >>> test = rt.find_rate(rt.Linear(1), (x, x), optimizer=rt.SGD())
        >>> 0.001 < test.suggestion < 0.3
        True
    """
    if not isinstance(net, Net):
        raise ArgumentError(f"find_rate: the first argument is a net; got {net!r}.", got=net)
    low = real(0)("find_rate: lowest", lowest)
    high = real(0)("find_rate: highest", highest)
    if not 0 < low < high:
        raise ArgumentError(
            f"find_rate: lowest is above 0 and below highest; got {low:g} and {high:g}.", got=(low, high)
        )
    chosen = read_optimizer(optimizer)
    if chosen.closure:
        raise ArgumentError(
            f"find_rate: {type(chosen).__name__} searches the length of every step itself, so no rate need be"
            " found.",
            fix=f"rt.train(..., optimizer={chosen!r})",
            got=chosen,
        )
    number = whole(10)("find_rate: steps", steps)
    drawn = check_seed(seed)
    asked = _asked({"batch_size": batch_size, "loss": loss}, how)
    ready = prepare(net, data, validation, loss, drawn, read_device(device))
    step = asked.step(ready, chosen, drawn)
    tried = [low * (high / low) ** (i / (number - 1)) for i in range(number)]
    with steady(), Interrupt() as stop:
        losses, why = _losses(step, ready, tried, asked.batch_size, stop)
    return RateTest(tuple(tried[: len(losses)]), tuple(losses), why)


def _asked(own: Mapping[str, Any], how: Mapping[str, Any]) -> How:
    """How steps are made; what is not said is as in ``train``."""
    for name in how:
        if name not in OF_STEPS:
            raise ArgumentError(
                f"find_rate has no argument {name!r}.{did_you_mean(name, OF_STEPS)}",
                fix=f"of rt.train's it has: batch_size, optimizer, loss, seed, device, {', '.join(OF_STEPS)}",
                got=name,
            )
    usual = {name: each.default for name, each in inspect.signature(train).parameters.items()}
    known = {name: value for name, value in usual.items() if name in How.__dataclass_fields__}
    return read_how({**known, **own, **how}, {})


def with_rate(optimizer: Optimizer, rate: float) -> Optimizer:
    """The same optimizer with another learning rate.

    Example:
        >>> import retia as rt
        >>> with_rate(rt.SGD(0.1, momentum=0.9), 0.5)
        SGD(0.5, momentum=0.9)
    """
    return make(type(optimizer), {**optimizer.settings(), "learning_rate": rate})


def _losses(
    step: Step, ready: Prepared, rates: list[float], size: int, stop: Interrupt
) -> tuple[list[float], str]:
    """The losses of the steps at these rates, as far as they go, and why they ended."""
    arrays = {path: tensor.to(ready.train.device) for path, tensor in ready.net.arrays.items()}
    state = step.start(arrays)
    checked = ready.train.check_all()
    losses: list[float] = []
    mean, best = 0.0, math.inf
    for rate, (epoch, rows) in zip(rates, _rows(ready, step.seed, size), strict=False):
        batch = ready.train.batch(rows)
        if not checked:
            ready.train.check(batch)
        at_rate = replace(step, optimizer=with_rate(step.optimizer, rate))
        loss = float(at_rate.advance(state, batch, epoch).loss)
        if not math.isfinite(loss) and not losses:
            raise TrainingError(f"find_rate: the loss of the first batch is {loss:g}.", got=loss)
        if not math.isfinite(loss):
            return losses, f"the loss became {loss:g} at {rate:.3g}"
        losses.append(loss)
        mean = KEPT * mean + (1 - KEPT) * loss
        running = mean / (1 - KEPT ** len(losses))
        best = min(best, running)
        if running > best + (DIVERGED - 1) * abs(best):
            return losses, f"the loss diverged at {rate:.3g}"
        if stop.asked:
            return losses, "interrupted"
    return losses, f"all {len(rates)} steps done"


def _rows(ready: Prepared, seed: int, size: int) -> Iterator[tuple[int, Tensor]]:
    """The batches of one epoch after another, with its number."""
    for epoch in count(1):
        for rows in batches(ready, seed, epoch, size):
            yield epoch, rows
