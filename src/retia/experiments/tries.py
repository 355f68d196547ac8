"""Trains the trials of a sweep, those together that differ in nothing but seed and learning rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from retia.errors import ArgumentError, Error, did_you_mean
from retia.experiments.ranges import Choice
from retia.experiments.swept import Trial
from retia.nets.net import Net
from retia.nets.settings import make
from retia.sources.dataset import Data
from retia.training import table
from retia.training.interrupt import INTERRUPTED
from retia.training.optimizer import Optimizer
from retia.training.optimizers import read_optimizer
from retia.training.progress import Progress
from retia.training.result import Training
from retia.training.start import train

Try: TypeAlias = "tuple[int, dict[str, Choice]]"
"""A trial's number, and what it tries."""
OWN = "optimizer."
"""What settings of the optimizer's begin with; the learning rate also goes by its own name."""
UNTOLD = ("epoch", "rate", "examples_per_second", "seconds", "waiting")


class Tries:
    """Trains trials, those together that may be."""

    def __init__(
        self, net: Any, data: Data, taken: Mapping[str, Any], how: Mapping[str, Any], seed: int, figure: str
    ) -> None:
        self._net, self._data, self._taken, self._how = net, data, taken, how
        self._seed, self._figure = seed, figure

    def run(self, trials: Sequence[Try], epochs: int, shown: Progress) -> tuple[list[Trial], bool]:
        """Train some trials for so many epochs; answers them, and whether somebody ended it."""
        done: list[Trial] = []
        try:
            for together in self._groups(trials):
                told = [
                    ", ".join(f"{name}={table.show(c.value)}" for name, c in values.items())
                    for _, values in together
                ]
                shown.note(
                    "\n".join(f"trial {n}: {each}" for (n, _), each in zip(together, told, strict=True))
                )
                found = self._tried(together, epochs)
                stopped = any(trial.run is not None and trial.run.why == INTERRUPTED for trial in found)
                done += [trial for trial in found if not stopped or trial.figures]
                if stopped:
                    return done, True
        except KeyboardInterrupt:
            return done, True
        return done, False

    def _groups(self, trials: Sequence[Try]) -> list[list[Try]]:
        """Trials that differ in nothing but seed and learning rate, together."""
        groups: dict[Any, list[Try]] = {}
        for number, values in trials:
            marks = [(name, str(each.mark)) for name, each in values.items() if not self._apart(name)]
            try:
                optimizer = self._optimizer(values)
                rest = {**optimizer.settings(), "learning_rate": 0}
                key: Any = (*marks, type(optimizer).__name__, str(rest))
            except Error:
                key = number  # it will be told where it is tried
            groups.setdefault(key, []).append((number, values))
        return [*groups.values()]

    def _apart(self, name: str) -> bool:
        """Whether trainings at once may differ in it."""
        mine = name in ("seed", "optimizer", "learning_rate") or name.startswith(OWN)
        return mine and name not in self._taken

    def _tried(self, together: Sequence[Try], epochs: int) -> list[Trial]:
        """Train a group at once; one by one where that fails, so that the error is told where it belongs."""
        try:
            runs = self._train(together, epochs)
        except Exception as error:
            if len(together) > 1:
                return [trial for each in together for trial in self._tried([each], epochs)]
            number, values = together[0]
            said = error.message if isinstance(error, Error) else f"{type(error).__name__}: {error}"
            run = getattr(error, "run", None)
            return [self._trial(number, values, run if isinstance(run, Training) else None, epochs, said)]
        return [
            self._trial(number, values, run, epochs)
            for (number, values), run in zip(together, runs, strict=True)
        ]

    def _train(self, together: Sequence[Try], epochs: int) -> list[Training]:
        values = together[0][1]
        made = {name: values[name].value for name in self._taken if name in values}
        net = self._net if isinstance(self._net, Net) else self._net(**made)
        plain = {n: c.value for n, c in values.items() if n not in self._taken and not self._apart(n)}
        how = {"epochs": epochs, **self._how, **plain}
        how.pop("optimizer", None)
        seeds = [self._seed_of(each) for _, each in together]
        optimizers = [self._optimizer(each) for _, each in together]
        if len(together) == 1:
            return [train(net, self._data, seed=seeds[0], optimizer=optimizers[0], **how)]
        return train(net, self._data, seed=seeds, optimizer=optimizers, **how)

    def _seed_of(self, values: Mapping[str, Choice]) -> int:
        swept = "seed" in values and "seed" not in self._taken
        return int(values["seed"].value) if swept else self._seed

    def _optimizer(self, values: Mapping[str, Choice]) -> Optimizer:
        own = {name: each.value for name, each in values.items() if self._apart(name)}
        chosen = read_optimizer(own.get("optimizer", self._how.get("optimizer")))
        settings = {name.removeprefix(OWN): value for name, value in own.items() if name.startswith(OWN)}
        if "learning_rate" in own:
            settings["learning_rate"] = own["learning_rate"]
        return make(type(chosen), {**chosen.settings(), **settings}) if settings else chosen

    def _trial(
        self, number: int, values: Mapping[str, Choice], run: Training | None, epochs: int, error: str = ""
    ) -> Trial:
        figures: dict[str, float] = {}
        if run is not None and run.history:
            entry = run.history[run.best_epoch - 1 if run.best_epoch else -1]
            figures = {name: value for name, value in entry.items() if name not in UNTOLD}
            if self._figure not in figures:
                raise ArgumentError(
                    f"sweep: by={self._figure!r} is nothing that trainings tell."
                    + did_you_mean(self._figure, figures),
                    fix=f"one of {', '.join(name for name in figures if name.startswith('val_'))}",
                    got=self._figure,
                )
        plain = {name: each.value for name, each in values.items()}
        return Trial(number, plain, run, figures, epochs, error)
