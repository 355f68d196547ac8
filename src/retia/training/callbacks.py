"""Callbacks: what a user wants to happen while a net is trained, in four moments.

A callback is any object with one of the methods ``start``, ``step``, ``epoch`` and ``end``, or a function,
which is then one of the epoch. Each is given a view that it cannot change the training by, and may answer
"stop". One that fails ends the training, whose state is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

from retia.errors import ArgumentError, TrainingError
from retia.nets.net import Net
from retia.training.step import State

MOMENTS = ("start", "step", "epoch", "end")

FOREIGN = {
    "on_train_begin": "start", "on_train_start": "start", "on_fit_start": "start", "before_fit": "start",
    "on_train_batch_end": "step", "on_batch_end": "step", "after_batch": "step",
    "on_epoch_end": "epoch", "on_train_epoch_end": "epoch", "on_validation_epoch_end": "epoch",
    "on_validation_end": "epoch", "after_epoch": "epoch", "on_evaluate": "epoch",
    "on_train_end": "end", "on_fit_end": "end", "after_fit": "end",
}  # fmt: skip
"""Methods of other frameworks' callbacks, and what they are called here."""


@dataclass(frozen=True, eq=False)
class View:
    """What a callback sees of a training. Nothing that is done to it changes the training.

    Attributes:
        epoch: that is at hand, or was done last, from 1; 0 before the first.
        step: how many steps are done, in all epochs.
        steps: how many there will be, if nothing ends the training before.
        loss: of the last step's batch, before the step; None before the first.
        history: the entries of the epochs that are done, those before a resumption too.
        entry: the last of them; None before.
        net: the net as it is now, made when it is asked for.
        state: the arrays and the optimizer's memory as they are now, copied when they are asked for.
        seed: of the training, where several are done.
    """

    epoch: int
    step: int
    steps: int
    loss: float | None = None
    seed: int = 0
    entries: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    make_net: Callable[[], Net] | None = field(default=None, repr=False)
    copy_state: Callable[[], State] | None = field(default=None, repr=False)

    @cached_property
    def history(self) -> tuple[Mapping[str, Any], ...]:
        """The entries of the epochs that are done."""
        return tuple(MappingProxyType(entry) for entry in self.entries)

    @property
    def entry(self) -> Mapping[str, Any] | None:
        """That of the last epoch that is done."""
        return MappingProxyType(self.entries[-1]) if self.entries else None

    @cached_property
    def net(self) -> Net:
        """The net as it is now."""
        assert self.make_net is not None
        return self.make_net()

    @cached_property
    def state(self) -> State:
        """The arrays and the optimizer's memory as they are now."""
        assert self.copy_state is not None
        return self.copy_state()


@dataclass(frozen=True)
class Callbacks:
    """All callbacks of a training; ``read_callbacks`` makes it.

    Attributes:
        hooks: for each moment the callbacks that want it: their names and methods.
    """

    hooks: Mapping[str, tuple[tuple[str, Callable[[View], Any]], ...]]

    def want(self, moment: str) -> bool:
        """Whether a callback has a method for this moment; a view need not be made where none has."""
        return bool(self.hooks[moment])

    def call(self, moment: str, view: View) -> str:
        """Tell all callbacks of a moment.

        Args:
            moment: ``"start"``, ``"step"``, ``"epoch"`` or ``"end"``.
            view: for them; none is made for moments that nobody wants.
        Returns:
            Why the training ends here; "" where none answered "stop". All are told even so.
        Raises:
            TrainingError: one of them failed. At the end all are told before.
        """
        why, failure = "", None
        for name, method in self.hooks[moment]:
            try:
                answer = method(view)
            except Exception as error:
                failure = failure or _failed(name, moment, view, error)
                if moment != "end":
                    break
                continue
            if isinstance(answer, str) and answer == "stop" and not why:
                why = f"{name} said stop {_when(moment, view)}"
        if failure is not None:
            raise failure from failure.__cause__
        return why


def read_callbacks(given: Any) -> Callbacks:
    """Callbacks as they were given: one, or a list.

    Raises:
        ArgumentError: one that has no method of a callback and is no function.
    Example:
        >>> callbacks = read_callbacks([lambda view: "stop" if view.epoch == 3 else None])
        >>> callbacks.call("epoch", View(3, 30, 100))
        '<lambda> said stop after epoch 3'
        >>> callbacks.want("step")
        False
    """
    if given is None:
        given = ()
    every = [*given] if isinstance(given, Iterable) and not _methods(given) else [given]
    hooks: dict[str, list[tuple[str, Callable[[View], Any]]]] = {moment: [] for moment in MOMENTS}
    for each in every:
        name = getattr(each, "__name__", type(each).__name__)
        for moment, method in _read(each).items():
            hooks[moment].append((name, method))
    return Callbacks({moment: tuple(found) for moment, found in hooks.items()})


def _read(given: Any) -> dict[str, Callable[[View], Any]]:
    if isinstance(given, type):
        raise ArgumentError(
            f"callbacks: {given.__name__} is a class, not a value.", fix=f"{given.__name__}()", got=given
        )
    methods = _methods(given)
    if methods:
        return methods
    foreign = next((name for name in FOREIGN if callable(getattr(given, name, None))), None)
    if foreign is not None:
        raise ArgumentError(
            f"callbacks: {type(given).__name__} has {foreign}, which is called {FOREIGN[foreign]} here.",
            fix=f"def {FOREIGN[foreign]}(self, view): ...",
            got=given,
        )
    if callable(given) and not isinstance(given, Net):
        return {"epoch": given}
    raise ArgumentError(
        f"callbacks are functions of the view, or objects with {', '.join(MOMENTS[:-1])} or {MOMENTS[-1]}; "
        f"got {given!r}.",
        fix="callbacks=[lambda view: print(view.entry)]",
        got=given,
    )


def _methods(given: Any) -> dict[str, Callable[[View], Any]]:
    found = {moment: getattr(given, moment, None) for moment in MOMENTS}
    return {moment: method for moment, method in found.items() if callable(method)}


def _failed(name: str, moment: str, view: View, error: Exception) -> TrainingError:
    told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    made = TrainingError(f"The callback {name} failed {_when(moment, view)}: {told}", path=name, got=error)
    made.__cause__ = error
    return made


def _when(moment: str, view: View) -> str:
    words = {"start": "at the start", "end": "at the end", "epoch": f"after epoch {view.epoch}"}
    return words.get(moment, f"after step {view.step} (epoch {view.epoch})")
