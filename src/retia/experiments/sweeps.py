"""``rt.sweep``: the same training with other settings, and which of them did best.

Nets are values and trainings answer values, so a sweep is a list of trainings and a table. Successive
halving is written here, for it is half a page; Optuna would bring a database layer along, and whoever wants
its samplers calls ``rt.train`` in an objective of three lines.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from retia.errors import ArgumentError, did_you_mean
from retia.experiments.parting import judged_apart
from retia.experiments.ranges import Choice, drawn, grid, read_over
from retia.experiments.swept import Sweep, Trial, in_order
from retia.experiments.tries import OWN, Tries
from retia.nets.net import Net
from retia.nets.settings import choice, whole
from retia.sources.order import check_seed
from retia.sources.reading import data as read_data
from retia.training.direction import better_of
from retia.training.interrupt import INTERRUPTED
from retia.training.progress import Progress
from retia.training.start import train

FACTOR = 3
"""Of so many trials halving lets one go on, for so many times the epochs."""
TOLD = ("loss", "accuracy")
"""Figures that trainings tell by themselves."""
DRAWN = 16
"""Trials, where their number is left out and there is no grid."""


def sweep(
    net: Net | Callable[..., Net],
    data: Any,
    over: Mapping[str, Any],
    *,
    method: str | None = None,
    trials: int | None = None,
    by: str = "val_loss",
    better: str | None = None,
    epochs: int = 5,
    validation: Any = None,
    seed: int = 0,
    progress: bool | None = None,
    **how: Any,
) -> Sweep:
    """Train with one setting after another, and tell which did best on the validation part.

    All trials are judged by the same examples. Those that differ in nothing but seed and learning rate are
    trained at once where that is quicker. An error in one trial is a line of the table; Ctrl-C ends the
    sweep with the table so far.

    Args:
        net: a net, or a function that makes one; its arguments may be swept (width, depth, dropout).
        data: as in ``rt.train``; its test part is never touched.
        over: what is tried, by name: arguments of ``net``, arguments of ``rt.train``, ``learning_rate``,
            and settings of the optimizer as ``"optimizer.momentum"``. Values are a list, or a range to draw
            from, ``rt.Between(1e-4, 1e-1, log=True)``.
        method: ``"grid"``, every combination; ``"random"``, draws from all; ``"halving"``, many draws for a
            few epochs, of which the best third goes on with three times the epochs, until ``epochs`` are
            reached. Left out: a grid where all are lists, else random. Every line of the table is a whole
            training from its first step, so that ``rt.train`` with the same settings gives it again.
        trials: at least 1, of random draws and halving; 16 when left out (for halving over lists, all).
        by: the figure that trials are compared by, of the validation part: ``"val_loss"``,
            ``"val_accuracy"``, or another that ``metrics=`` knows (``"val_f1"``).
        better: ``"higher"`` or ``"lower"``, where the figure is a function of one's own.
        epochs: as in ``rt.train``; the most of them for halving.
        validation: as in ``rt.train``, but a fifth is held out where ``rt.train`` would hold out nothing.
        seed: of the draws, of the validation part, and of trainings whose seed is not swept.
        progress: as in ``rt.train``.
        how: everything else that ``rt.train`` takes, and arguments of ``net`` that are not swept.
    Returns:
        ``.best`` (a training), ``.best_values``, ``.trials``, ``.table()``, ``.plot()``, ``.to_pandas()``.
    Raises:
        ArgumentError: a name that nothing takes, or an argument out of its range.
    Source: Bergstra and Bengio 2012 for random draws; Jamieson and Talwalkar 2016 for halving.
    Example:
        >>> import retia as rt
        >>> def net(width):
        ...     return rt.Chain(rt.Linear(width), rt.Tanh(), rt.Linear(1), input=1)
        >>> x = [[i / 10] for i in range(20)]
        >>> over = {"width": [1, 8], "optimizer": [rt.Adam(0.1), rt.Adam(1e-9)]}
        >>> found = rt.sweep(net, (x, x), over, epochs=40, progress=False)
        >>> len(found.trials), found.best_values["optimizer"]
        (4, Adam(0.1))
    """
    read = read_over(over)
    drawn_by = check_seed(seed)
    taken = _arguments_of(net)
    _refuse_names(read, taken, how)
    number = None if trials is None else whole(1)("sweep: trials", trials)
    chosen, rounds = _planned(read, method, number, whole(1)("sweep: epochs", epochs), drawn_by)
    figure = by if by.startswith("val_") else f"val_{by}"
    asked = choice(None, "higher", "lower")("sweep: better", better)
    way = asked or better_of(figure, "sweep")
    name = figure.removeprefix("val_")
    if better is None and "metrics" not in how and name not in TOLD:
        how["metrics"] = [name]
    learned, held_out = judged_apart("sweep", read_data(data), validation, drawn_by)
    of_net = {name: how.pop(name) for name in taken if name in how}
    made = partial(net, **of_net) if of_net and not isinstance(net, Net) else net
    how = {**how, "validation": held_out, "progress": progress}
    tries = Tries(made, learned, taken, how, drawn_by, figure)
    ends = Progress(progress, 0, 0)
    left = [*enumerate(chosen, 1)]
    found: dict[int, Trial] = {}
    why = f"all {len(chosen)} trials done"
    for place, most in enumerate(rounds):
        done, stopped = tries.run(left, most, ends)
        found.update({trial.number: trial for trial in done})
        if stopped:
            why = INTERRUPTED
            break
        order = [trial for trial in in_order(done, figure, way) if figure in trial.figures]
        going_on = {trial.number for trial in order[: math.ceil(len(left) / FACTOR)]}
        left = [each for each in left if each[0] in going_on] if place < len(rounds) - 1 else []
    return Sweep(tuple(in_order([*found.values()], figure, way)), figure, way, why, dict(over))


def _arguments_of(net: Any) -> Mapping[str, inspect.Parameter]:
    """What the function that makes the net takes; nothing where it is a net."""
    if isinstance(net, Net):
        return {}
    if not callable(net):
        raise ArgumentError(
            f"sweep: the first argument is a net, or a function that makes one; got {net!r}.", got=net
        )
    return inspect.signature(net).parameters


def _refuse_names(
    over: Mapping[str, Any], taken: Mapping[str, inspect.Parameter], how: Mapping[str, Any]
) -> None:
    """Make sure that somebody takes every name, once."""
    of_train = {
        name for name, each in inspect.signature(train).parameters.items() if each.kind is each.KEYWORD_ONLY
    } - {"validation", "progress", "checkpoint", "resume"}
    known = [*taken, *sorted(of_train), "learning_rate"]
    fix = "arguments of the net's function or of rt.train, learning_rate, or optimizer.momentum and the like"
    for name in over:
        if name not in known and not name.startswith(OWN):
            raise ArgumentError(
                f"sweep: nothing takes {name!r}.{did_you_mean(name, known)}", fix=fix, got=name
            )
        if name in how:
            raise ArgumentError(
                f"sweep: {name} is given twice, as a value and in over.", fix="give it once", got=name
            )
    for name in how:
        if name not in of_train and name not in taken:
            raise ArgumentError(
                f"sweep: nothing takes {name!r}.{did_you_mean(name, known)}", fix=fix, got=name
            )
    for name, each in taken.items():
        needed = each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
        if needed and name not in over and name not in how:
            raise ArgumentError(
                f"sweep: the function that makes the net needs {name!r}, which nothing gives.",
                fix=f"over={{{name!r}: [...]}}, or {name}=",
                path=name,
            )


def _planned(
    over: Mapping[str, Any], method: str | None, trials: int | None, epochs: int, seed: int
) -> tuple[list[dict[str, Choice]], list[int]]:
    """What is tried, and the epochs of each round."""
    listed = all(isinstance(given, list) for given in over.values())
    method = method if method is not None else "grid" if listed and trials is None else "random"
    choice("grid", "random", "halving")("sweep: method", method)
    if method == "grid":
        if trials is not None:
            raise ArgumentError(
                "sweep: a grid has as many trials as combinations.", fix="method='random'", got=trials
            )
        return grid(over), [epochs]
    if method == "random":
        return drawn(over, trials or DRAWN, seed), [epochs]
    if "epochs" in over:
        raise ArgumentError("sweep: halving chooses the epochs itself.", fix="method='random'", got="epochs")
    tried = grid(over) if listed and trials is None else drawn(over, trials or DRAWN, seed)
    rounds = min(_powers(len(tried)), _powers(epochs))
    return tried, [math.ceil(epochs / FACTOR**left) for left in range(rounds, -1, -1)]


def _powers(number: int) -> int:
    """How often a number can be divided by the factor."""
    return 0 if number < FACTOR else 1 + _powers(number // FACTOR)
