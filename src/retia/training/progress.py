"""What is seen while a net is trained: a live line in a terminal, one line an epoch elsewhere.

It goes to stderr, so that a program's results stay alone on stdout.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from retia._late import Late

_console: Any = Late("rich.console")
_progress: Any = Late("rich.progress")

WORTH = 0.05
"""A share of the time spent waiting for data that is told."""

SPARE = ("examples_per_second", "seconds")
"""What a finished epoch's line goes without where a terminal is narrow."""

EVERY = 0.1
"""Seconds between two looks at the numbers."""


class Progress:
    """Shows a training as it goes on.

    Args:
        shown: False for nothing at all; None and True for a live line in a terminal or a notebook, and one
            line an epoch elsewhere.
        epochs: how many there will be.
        examples: in an epoch.
    """

    def __init__(self, shown: bool | None, epochs: int, examples: int) -> None:
        self.epochs = epochs
        self.examples = examples
        self.console = _console.Console(stderr=True, highlight=False) if shown is not False else None
        self.live: Any = None
        self.task: Any = None
        self.next_look = 0.0
        self.started = 0.0

    def __enter__(self) -> Progress:
        if self.console is not None and (self.console.is_terminal or self.console.is_jupyter):
            columns = (
                _progress.TextColumn("{task.description}"),
                _progress.BarColumn(bar_width=24),
                _progress.TextColumn("{task.fields[told]}"),
                _progress.TimeRemainingColumn(),
            )
            self.live = _progress.Progress(*columns, console=self.console, transient=True)
            self.live.start()
            self.task = self.live.add_task("", total=self.epochs * self.examples, told="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live is not None:
            self.live.stop()

    def is_due(self) -> bool:
        """Whether it is time to show the state within an epoch."""
        return self.live is not None and time.perf_counter() >= self.next_look

    def batch(self, epoch: int, done: int, numbers: Mapping[str, float]) -> None:
        """Show the state within an epoch.

        Args:
            epoch: from 1.
            done: examples of this epoch.
            numbers: what to tell: loss, accuracy, examples a second.
        """
        self.next_look = time.perf_counter() + EVERY
        self.live.update(
            self.task,
            completed=(epoch - 1) * self.examples + done,
            description=f"epoch {epoch}/{self.epochs}  {done:,}/{self.examples:,}",
            told=tell(numbers),
        )

    def epoch(self, entry: Mapping[str, Any]) -> None:
        """Show a finished epoch, as its entry in the history."""
        if self.console is None:
            return
        if self.live is not None:
            self.live.update(self.task, completed=entry["epoch"] * self.examples)
        numbers = {k: v for k, v in entry.items() if k not in ("epoch", "rate")}
        start = f"epoch {entry['epoch']:>{len(str(self.epochs))}}/{self.epochs}  "
        for spare in SPARE if self.live is not None else ():
            if len(start + tell(numbers)) > self.console.width:
                numbers.pop(spare, None)
        self.console.print(start + tell(numbers), soft_wrap=True, markup=False)

    def note(self, text: str) -> None:
        """Say a sentence."""
        if self.console is not None:
            self.console.print(text, soft_wrap=True, markup=False)


def tell(numbers: Mapping[str, Any]) -> str:
    """Numbers in a line: ``"loss 0.1234  accuracy 0.965  1.2 s"``.

    Example:
        >>> tell({"loss": 0.12345, "accuracy": 0.965, "seconds": 1.23, "examples_per_second": 41234.5})
        'loss 0.1235  accuracy 0.9650  1.2 s  41,234 examples/s'
    """
    words = []
    for name, value in numbers.items():
        if name == "seconds":
            words.append(f"{value:.1f} s" if value >= 0.1 else f"{1000 * value:.0f} ms")
        elif name == "examples_per_second":
            words.append(f"{value:,.0f} examples/s")
        elif name == "waiting":
            words += [f"waiting for data {value:.0%}"] if value >= WORTH else []
        elif "accuracy" in name:
            words.append(f"{name} {value:.4f}")
        else:
            words.append(f"{name} {value:.4g}")
    return "  ".join(words)
