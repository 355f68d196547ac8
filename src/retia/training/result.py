"""What a training answers: the net, the history, the settings, the curves."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from retia._columns import hanging
from retia._figures import answer, figure, save
from retia.errors import TrainingError
from retia.nets.net import Net
from retia.sources.dataset import Data
from retia.training import table
from retia.training.reports import curves, page
from retia.training.reports.records import Records
from retia.training.reports.report import figures_of, text_of
from retia.training.reports.symptoms import Verdict
from retia.training.reports.verdict import verdict

TAKEN = ("l1", "l2", "clip_norm", "clip_value", "ema", "mix", "stop", "schedule", "accumulate")
"""Arguments that a verdict does not advise where they were given."""

COUNTS = ("parameters", "examples")
"""Settings that are told with commas."""

COURSE = ("epoch", "rate", "seconds", "examples_per_second", "waiting")
"""What an entry of the history says of the training and not of the net."""


@dataclass(frozen=True, eq=False, repr=False)
class Training:
    """A training that is over: ``rt.train`` makes it.

    Attributes:
        net: the best net, by the validation loss where there is one; else the last.
        last: the net after the last step.
        history: one dict an epoch: ``epoch`` (from 1), ``loss`` and ``accuracy`` (running means over the
            epoch's examples, in training behaviour), ``val_loss`` and ``val_accuracy`` (after the epoch, in
            inference behaviour), ``seconds`` (the whole epoch), ``rate``, ``examples_per_second``; where data
            stream, ``waiting``: the share of the training's time that was spent waiting for them. Accuracy
            stands there where the output is classes or booleans, ``val_`` where there is a validation part;
            so do other ``metrics``.
        best_epoch: from 1; 0 if no epoch was finished.
        why: the reason it stopped.
        seed: of everything random.
        settings: everything that was chosen, by the user or by default.
        records: what the layers did, at the start and after epochs.
        versions: of what it ran on.
        seconds: that it took, until its last step.
        parts: the examples that it learned from and was judged by.
        loss: as it was given.
        diverged: what became infinite or NaN, if something did.
    Example:
        >>> import retia as rt
        >>> run = rt.train(rt.Linear(1, input=1), ([[0.0], [1.0]], [[1.0], [3.0]]), epochs=2, progress=False)
        >>> [entry["epoch"] for entry in run.history], run.why
        ([1, 2], 'all 2 epochs done')
    """

    net: Net
    last: Net
    history: list[dict[str, Any]]
    best_epoch: int
    why: str
    seed: int
    settings: Mapping[str, Any]
    records: tuple[Records, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    parts: Mapping[str, Data] = field(default_factory=dict)
    loss: Any = None
    diverged: str = ""

    @cached_property
    def verdict(self) -> Verdict:
        """What the training tells: under-fitting, over-fitting from which epoch, or fine; and why."""
        given = [name for name in TAKEN if name in self.settings]
        return verdict(self.history, self.records, diverged=self.diverged, given=given)

    @cached_property
    def figures(self) -> Mapping[str, Mapping[str, float]]:
        """The figures of the net on every part, measured in inference behaviour when first asked for."""
        return figures_of(self.net, self.parts, self.loss)

    def report(self, path: str | os.PathLike[str] | None = None, *, test: Any = None) -> str:
        """All that there is to tell: verdict, figures of every part, epochs, layers, settings, versions.

        Args:
            path: where to save it as one HTML file that asks no host for anything, if anywhere.
            test: data that neither the training nor any choice has seen, to be measured too.
        Returns:
            The report as text, 80 characters wide.
        Raises:
            ArgumentError: the path does not end in .html.
        Example:
            >>> import retia as rt
            >>> data = ([[0.0], [1.0]], [[1.0], [3.0]])
            >>> run = rt.train(rt.Linear(1, input=1), data, epochs=2, progress=False)
            >>> print(run.report().splitlines()[0])
            Too short to tell: 2 epochs; 3 say something.
        """
        figures = dict(self.figures)
        if test is not None:
            figures |= figures_of(self.net, {"test": test}, self.loss)
        if path is not None:
            page.write(self, path, figures)
        return text_of(self, figures)

    def to_pandas(self) -> Any:
        """The history as a frame of pandas, one row an epoch.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return table.frame(self.history)

    def _repr_html_(self) -> str:
        return page.fragment(self)

    def plot(self, path: str | os.PathLike[str] | None = None, ax: Any = None) -> Any:
        """Draw the curves of the loss and of every metric, for training and validation, and the gap between.

        Args:
            path: where to save the picture (.png, .svg, .pdf), if anywhere.
            ax: matplotlib axes to draw the loss on, instead of a figure of its own.
        Returns:
            The matplotlib figure, or the axes that were given. Nothing global is changed.
        Raises:
            TrainingError: no epoch was finished, so there is nothing to draw.
        """
        if not self.history:
            raise TrainingError("No epoch was finished, so there are no curves.", fix="epochs=1 or more")
        if ax is not None:
            curves.draw(ax, self.history, "loss", self.best_epoch)
            return answer(ax, ax, path)
        quantities = curves.quantities_of(self.history)
        across = min(len(quantities), 2)
        down = -(-len(quantities) // across)
        drawn, places = figure(3.7 * across, 2.9 * down, across, down)
        for place, quantity in zip(places, quantities, strict=False):
            curves.draw(place, self.history, quantity, self.best_epoch)
        for place in places[len(quantities) :]:
            place.set_visible(False)
        return save(drawn, path)

    def __str__(self) -> str:
        counts = {k: f"{v:,}" for k, v in self.settings.items() if k in COUNTS and isinstance(v, int)}
        lines = [hanging(f"{k:<14} ", str(v)) for k, v in {**self.settings, **counts}.items()]
        lines += [hanging(f"{'stopped':<14} ", self.why)]
        if self.history:
            best = self.history[self.best_epoch - 1]
            told = [f"{k} {v:.4g}" for k, v in best.items() if k not in COURSE]
            lines += [hanging(f"{'best epoch':<14} ", f"{self.best_epoch}: {', '.join(told)}")]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Training: {len(self.history)} epochs, best {self.best_epoch}, {self.why}>"
