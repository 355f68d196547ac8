"""Cross-validation: every example is held out once, and judged by a net that has not seen it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from retia._figures import Printed
from retia._late import numpy as np
from retia._torch import torch
from retia.codecs import Classes
from retia.errors import ArgumentError, DataError, TrainingError
from retia.experiments.parting import labels_of
from retia.metrics.examples import columns_of, things_of
from retia.metrics.measure import measure
from retia.metrics.measurement import Measurement
from retia.metrics.names import find_figure
from retia.metrics.objective import aims_of
from retia.nets.net import Net
from retia.nets.settings import flag, whole
from retia.sources.columns import Label
from retia.sources.dataset import Data
from retia.sources.dealing import deal
from retia.sources.order import check_seed
from retia.sources.reading import data as read_data
from retia.training import table
from retia.training.interrupt import INTERRUPTED
from retia.training.many import Portion
from retia.training.result import Training
from retia.training.start import train

if TYPE_CHECKING:
    from numpy.typing import NDArray


TOLD = 2
"""Figures in a repr."""


@dataclass(frozen=True, eq=False)
class Fold:
    """One fold: who was trained without it, and how well it did on it.

    Attributes:
        number: from 1.
        rows: the numbers of the examples that were held out, ascending.
        run: the training on the others.
        measurement: of ``run.net`` on those held out.
    """

    number: int
    rows: NDArray[Any]
    run: Training
    measurement: Measurement


@dataclass(frozen=True, eq=False, repr=False)
class CrossValidation(Printed):
    """What ``rt.cross_validate`` answers; ``print`` shows it as a table.

    Attributes:
        folds: each with its ``.run`` and ``.measurement``. Ctrl-C leaves out those that were not finished.
        predictions: what the nets answer for the examples that they have not seen, in the order of the
            data: a list, or a tensor where the output has no codec (a dict of these by port where there are
            several). None for examples of a fold that was left out.
    Example:
        >>> import retia as rt
        >>> x = [[float(i)] for i in range(10)]
        >>> found = rt.cross_validate(rt.Linear(1), (x, x), epochs=1, progress=False)
        >>> sorted(found.mean), len(found.folds), len(found.predictions)
        (['loss', 'mae', 'mse', 'r2', 'rmse'], 5, 10)
    """

    folds: tuple[Fold, ...]
    predictions: Any

    @property
    def mean(self) -> dict[str, float]:
        """The mean over the folds of every figure."""
        return {name: float(np.mean(values)) for name, values in self._by_figure.items()}

    @property
    def deviation(self) -> dict[str, float]:
        """The standard deviation over the folds of every figure (divided by folds - 1); NaN for one fold.

        Folds share most of their training examples, so the mean is less certain than
        ``deviation / sqrt(folds)``.
        Source: Bengio and Grandvalet 2004.
        """
        return {
            name: float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
            for name, values in self._by_figure.items()
        }

    @cached_property
    def _by_figure(self) -> dict[str, list[float]]:
        every = [fold.measurement.figures() for fold in self.folds]
        return {name: [one[name] for one in every] for name in every[0]}

    @property
    def _numbers(self) -> list[int]:
        return [fold.number for fold in self.folds]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One dict a fold: its number, its examples, its figures, the epochs and why training stopped."""
        return [
            {
                "fold": fold.number,
                "examples": len(fold.rows),
                **{name: values[place] for name, values in self._by_figure.items()},
                "epochs": len(fold.run.history),
                "stopped": fold.run.why,
            }
            for place, fold in enumerate(self.folds)
        ]

    def table(self) -> str:
        """One line a figure: its mean, its deviation, and what it is in each fold."""
        each = [
            dict(zip(map(str, self._numbers), values, strict=True)) for values in self._by_figure.values()
        ]
        return table.text(
            [
                {"figure": name, "mean": self.mean[name], "deviation": self.deviation[name], **own}
                for name, own in zip(self._by_figure, each, strict=True)
            ]
        )

    def to_pandas(self) -> Any:
        """The folds as a ``pandas.DataFrame``.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return table.frame(self.rows)

    def __str__(self) -> str:
        ends: dict[str, list[str]] = {}
        for fold in self.folds:
            ends.setdefault(fold.run.why, []).append(str(fold.number))
        told = [f"fold {', '.join(numbers)}: {why}" for why, numbers in ends.items()]
        return "\n".join([self.table(), *told, f"engine: {self.folds[0].run.settings['engine']}"])

    def __repr__(self) -> str:
        told = ", ".join(f"{k} {self.mean[k]:.4g} ± {self.deviation[k]:.2g}" for k in [*self.mean][:TOLD])
        return f"<CrossValidation of {len(self.folds)} folds: {told}>"


def cross_validate(
    net: Net,
    data: Any,
    folds: int = 5,
    *,
    seed: int = 0,
    stratify: bool = True,
    groups: str | None = None,
    loss: Any = None,
    metrics: Any = None,
    **how: Any,
) -> CrossValidation:
    """Train a net once without each fold of the data, and measure it on that fold.

    The fold that is held out has no part in training: it chooses no epoch and stops nothing, and codecs that
    learn do so from the other folds alone. Small nets are trained all at once, as one program, where that
    is quicker; each gives what ``rt.train`` on the other folds would give.

    Args:
        net: as in ``rt.train``.
        data: as in ``rt.train``; its training part is dealt into folds, its test part is never touched.
        folds: at least 2.
        seed: of the folds, and of each training.
        stratify: give every fold each label's share.
        groups: the column that says which examples belong together (one patient, one speaker): they are
            all in one fold.
        loss: as in ``rt.train``.
        metrics: what is told of the folds, as in ``rt.measure``; by default the figures that suit the output.
        how: everything else that ``rt.train`` takes.
    Returns:
        ``.mean``, ``.deviation``, ``.folds``, ``.predictions``, ``.table()``, ``.to_pandas()``.
    Raises:
        ArgumentError: an argument out of its range. DataError: fewer examples, or groups, than folds; or a
            fold that has all examples of a class that the net is to learn from the data.
    Example:
        >>> import retia as rt
        >>> x, y = [[0.0], [1.0]] * 10, ["no", "yes"] * 10
        >>> net = rt.Chain(rt.Linear(), rt.Softmax(), input=1, output=rt.Classes())
        >>> how = {"epochs": 50, "optimizer": rt.Adam(0.1), "progress": False}
        >>> rt.cross_validate(net, (x, y), folds=4, **how).mean["accuracy"]
        1.0
    """
    if not isinstance(net, Net):
        raise ArgumentError(f"cross_validate: the first argument is a net; got {net!r}.", got=net)
    count = whole(2)("cross_validate: folds", folds)
    number = check_seed(seed)
    every = read_data(data)
    own = every.train
    if how.get("validation") is None and every.validation is not None:
        how["validation"] = every.validation
    labels = labels_of(own, groups) if flag("cross_validate: stratify", stratify) else None
    found = deal(len(own), count, number, labels, _groups(own, groups))
    _refuse_unseen(net, own, found)
    for name in [metrics] if isinstance(metrics, str) else metrics or ():
        if isinstance(name, str) and name != "loss":
            find_figure(name.rpartition(".")[2])  # refuses a misspelt one before it takes a training
    parts = [(np.flatnonzero(found == fold), np.flatnonzero(found != fold)) for fold in range(count)]
    seeds: list[Any] = [Portion(number, own[rest], f"fold {i}") for i, (_, rest) in enumerate(parts, 1)]
    runs = train(net, own, seed=seeds, loss=loss, **how)
    made = [
        Fold(i, held, run, measure(run.net, own[held], metrics=metrics, loss=loss))
        for i, (held, _), run in _finished(parts, runs)
    ]
    return CrossValidation(tuple(made), _predictions(own, made, aims_of(net, loss)))


def _groups(data: Data, column: str | None) -> list[Label] | None:
    if column is None:
        return None
    data.counts(column)  # refuses what is no column of labels
    return data.columns[column].labels(data.rows)


def _refuse_unseen(net: Net, data: Data, found: NDArray[Any]) -> None:
    """Make sure that classes which are learned from the data are met in every training part."""
    for port, name in columns_of(net, data, [*net.outputs]).items():
        codec = net.outputs[port].codec
        labels = data.columns[name].labels(data.rows) if isinstance(codec, Classes) else None
        if labels is None or (codec is not None and codec.is_fitted()):
            continue
        homes: dict[Label, set[int]] = {}
        for label, fold in zip(labels, found.tolist(), strict=True):
            homes.setdefault(label, set()).add(fold)
        alone = [label for label, folds in homes.items() if len(folds) == 1]
        if alone:
            raise DataError(
                f"cross_validate: all examples of {alone[0]!r} are in one fold, so the net trained without it"
                f" does not know that class.{f' So are {len(alone) - 1} more.' if alone[1:] else ''}",
                fix=f"output=rt.Classes([...]) with all labels, or more examples of {alone[0]!r}",
                got=alone,
            )


def _finished(parts: Sequence[Any], runs: Sequence[Training]) -> list[tuple[int, Any, Training]]:
    """Number, rows and training of the folds that were finished; of those begun where none was."""
    every = [*zip(range(1, len(runs) + 1), parts, runs, strict=True)]
    done = [each for each in every if each[2].why != INTERRUPTED]
    begun = done or [each for each in every if each[2].history]
    if not begun:
        raise TrainingError("cross_validate was interrupted before the first epoch was over.")
    return begun


def _predictions(data: Data, folds: Sequence[Fold], ports: Sequence[str]) -> Any:
    """What each fold's net answers for it, in the order of the data."""
    order = np.concatenate([fold.rows for fold in folds])
    answers = [_answers(fold.run.net, data[fold.rows], ports) for fold in folds]
    joined = {port: _in_order([one[port] for one in answers], order, len(data)) for port in ports}
    return joined if len(ports) > 1 else next(iter(joined.values()))


def _answers(net: Net, part: Data, ports: Sequence[str]) -> Mapping[str, Any]:
    columns = columns_of(net, part, [*net.inputs])
    things = {port: things_of(part, column) for port, column in columns.items()}
    found = net.batch(things if len(things) > 1 else next(iter(things.values())))
    return found if len(net.outputs) > 1 else {ports[0]: found}


def _in_order(pieces: Sequence[Any], order: NDArray[Any], count: int) -> Any:
    """Answers at their rows; None where there is none."""
    if len(order) == count and all(isinstance(piece, torch.Tensor) for piece in pieces):
        return torch.cat([*pieces])[torch.from_numpy(np.argsort(order))]
    found: list[Any] = [None] * count
    for row, answer in zip(order.tolist(), [each for piece in pieces for each in piece], strict=True):
        found[row] = answer
    return found
