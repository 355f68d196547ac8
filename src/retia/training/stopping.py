"""When a training ends before its last epoch: values that look at the history and say why, or nothing.

An answer is a pure function of the history (of its time, for a limit of time), so a training that goes on
from a checkpoint ends where it would have ended. Names are checked before the first step.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from types import MappingProxyType
from typing import Any, ClassVar, TypeAlias

from retia.errors import ArgumentError, did_you_mean
from retia.nets import registry
from retia.nets.expression import Content
from retia.nets.settings import choice, declared, real, setting, settle, whole
from retia.training.direction import HIGHER, LOWER, better_of

Entry: TypeAlias = Mapping[str, Any]
Direction: TypeAlias = Callable[[str], str]
"""From a figure's name to ``"higher"`` or ``"lower"``, whichever is better."""

FOREIGN = {
    "monitor": "it is called on",
    "min_delta": "it is called least_change",
    "threshold": "it is called least_change",
    "mode": 'it is called better, "lower" or "higher"',
    "restore_best_weights": "train returns the best net by itself, so leave it out",
    "verbose": "the reason stands in run.why, so leave it out",
}
"""Arguments of other frameworks' early stopping, and what is said here instead."""


class Stop(Content, ABC):
    """The interface of what ends a training; ``rt.train(net, data, stop=...)`` takes one or a list.

    To have one of your own give ``stop`` a function of the epoch's entry that answers True or "stop".
    """

    foreign: ClassVar[Mapping[str, str]] = FOREIGN

    def __post_init__(self) -> None:
        settle(self)
        self.validate()

    def validate(self) -> None:  # noqa: B027 (most leaves have nothing to check)
        """Check settings against each other; for leaves to fill in."""

    @abstractmethod
    def why(self, history: Sequence[Entry], seconds: float, direction: Direction) -> str:
        """Why the training ends after the last epoch of the history; "" to go on.

        Args:
            history: the entries of all epochs, those before a resumption too.
            seconds: that the training took, those before a resumption too.
            direction: which way figures are better, where a value does not say so itself.
        """

    def needs(self) -> tuple[str, ...]:
        """The figures that every entry of the history must have."""
        return ()

    def turned(self) -> tuple[str, ...]:
        """Those of which it must be known which way is better."""
        return ()


@declared
class EarlyStopping(Stop):
    """End when a figure has not become better for some epochs.

    Args:
        patience: at least 1, epochs in a row without a better figure after which it ends.
        on: which figure of the history.
        least_change: at least 0, by more than which a figure must be better to count.
        better: ``"lower"`` or ``"higher"``; left out, it follows from the figure.
    Raises:
        ArgumentError: (before the first step) there is no such figure, or its direction is not known.
    Source: Prechelt 1998.
    Example:
        >>> history = [{"epoch": e, "val_loss": v} for e, v in enumerate([3.0, 1.0, 1.5, 1.2], 1)]
        >>> read_stops(EarlyStopping(patience=2)).why(history, 0.0)
        'val_loss was no better for 2 epochs; it was best in epoch 2, 1'
    """

    patience: int = setting(whole(1), default=5)
    _: KW_ONLY
    on: str = setting(default="val_loss")
    least_change: float = setting(real(0), default=0.0)
    better: str | None = setting(choice(None, LOWER, HIGHER), default=None)

    def validate(self) -> None:
        """A figure has a name."""
        if not isinstance(self.on, str):
            raise ArgumentError(f"EarlyStopping: on is a figure's name; got {self.on!r}.", got=self.on)

    def why(self, history: Sequence[Entry], seconds: float, direction: Direction) -> str:
        """No better figure for ``patience`` epochs; NaN is never better."""
        sign = _sign(self.better or direction(self.on))
        best, at = math.inf, -1
        for number, entry in enumerate(history):
            value = sign * entry[self.on]
            if best - value > self.least_change or (at < 0 and not math.isnan(value)):
                best, at = value, number
        waited = len(history) - 1 - at
        if waited < self.patience:
            return ""
        epochs = "epoch" if self.patience == 1 else "epochs"
        if at < 0:
            return f"{self.on} was not a number for {waited} {epochs}"
        where = f"it was best in epoch {history[at]['epoch']}, {sign * best:.6g}"
        return f"{self.on} was no better for {waited} {epochs}; {where}"

    def needs(self) -> tuple[str, ...]:
        """The figure."""
        return (self.on,)

    def turned(self) -> tuple[str, ...]:
        """The figure, where its direction was not given."""
        return (self.on,) if self.better is None else ()


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Target(Stop):
    """End when figures have reached what was asked for, all of them in one epoch.

    Args:
        better: ``"lower"`` or ``"higher"`` for all; left out, it follows from each figure.
        targets: by figure, ``val_accuracy=0.99``; at least one.
    Raises:
        ArgumentError: no target, or one that is no finite number.
    Example:
        >>> read_stops(Target(val_accuracy=0.99)).why([{"epoch": 7, "val_accuracy": 0.993}], 0.0)
        'val_accuracy reached 0.99 in epoch 7'
    """

    targets: Mapping[str, float]
    better: str | None

    def __init__(self, *, better: str | None = None, **targets: float) -> None:
        object.__setattr__(self, "better", choice(None, LOWER, HIGHER)("Target: better", better))
        if not targets:
            raise ArgumentError("Target has no target.", fix="rt.Target(val_accuracy=0.99)")
        wanted = {name: real()(f"Target: {name}", value) for name, value in targets.items()}
        object.__setattr__(self, "targets", MappingProxyType(wanted))

    def settings(self) -> dict[str, Any]:
        """The targets, and the direction."""
        return {"better": self.better, **self.targets}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Target:
        """The value of these settings."""
        return cls(**settings)

    def __repr__(self) -> str:
        given = [f"{name}={value!r}" for name, value in self.targets.items()]
        given += [f"better={self.better!r}"] if self.better is not None else []
        return f"Target({', '.join(given)})"

    def why(self, history: Sequence[Entry], seconds: float, direction: Direction) -> str:
        """All targets are reached in the last epoch."""
        if not history:
            return ""
        for name, wanted in self.targets.items():
            sign = _sign(self.better or direction(name))
            if not sign * history[-1][name] <= sign * wanted:  # NaN reaches nothing
                return ""
        told = " and ".join(f"{name} reached {wanted:g}" for name, wanted in self.targets.items())
        return f"{told} in epoch {history[-1]['epoch']}"

    def needs(self) -> tuple[str, ...]:
        """The figures."""
        return tuple(self.targets)

    def turned(self) -> tuple[str, ...]:
        """The figures, where their direction was not given."""
        return tuple(self.targets) if self.better is None else ()


@declared
class TimeLimit(Stop):
    """End when the training took so long: after the step that is then at hand.

    What is given is added up. A training that goes on from a checkpoint counts what it took before.

    Args:
        seconds: above 0 in all. minutes, hours: the same in other units.
    Raises:
        ArgumentError: nothing is given, or it is not above 0.
    Example:
        >>> TimeLimit(minutes=90).limit
        5400.0
    """

    seconds: float = setting(real(0), default=0.0)
    _: KW_ONLY
    minutes: float = setting(real(0), default=0.0)
    hours: float = setting(real(0), default=0.0)

    def validate(self) -> None:
        """There is a time."""
        if not self.limit > 0:
            raise ArgumentError(
                "TimeLimit is above 0 seconds.", fix="rt.TimeLimit(minutes=10)", got=self.limit
            )

    @property
    def limit(self) -> float:
        """In seconds."""
        return float(self.seconds + 60 * self.minutes + 3600 * self.hours)

    def why(self, history: Sequence[Entry], seconds: float, direction: Direction) -> str:
        """The time is over."""
        return f"the time limit of {self.limit:g} s was reached" if seconds >= self.limit else ""


class _Asked(Stop):
    """A user's function of the epoch's entry."""

    def __init__(self, function: Callable[[Entry], Any]) -> None:
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Asked) and self.function is other.function

    def __hash__(self) -> int:
        return hash(self.function)

    def __repr__(self) -> str:
        return self.name

    def why(self, history: Sequence[Entry], seconds: float, direction: Direction) -> str:
        if not history:
            return ""
        answer = self.function(MappingProxyType(history[-1]))
        if answer is None or _is(answer, False):
            return ""
        if _is(answer, True) or (isinstance(answer, str) and answer == "stop"):
            return f"{self.name} said stop after epoch {history[-1]['epoch']}"
        raise ArgumentError(
            f'stop: {self.name} answers True or "stop" to end the training, else False or None; '
            f"got {answer!r}.",
            got=answer,
        )


def _is(answer: Any, value: bool) -> bool:
    """Whether an answer is this truth value, of Python, NumPy or PyTorch; a number is none."""
    told = answer.item() if hasattr(answer, "dtype") and hasattr(answer, "item") else answer
    return told is value


def _sign(better: str) -> int:
    """What turns a figure so that lower is better."""
    return -1 if better == HIGHER else 1


for _kind in (EarlyStopping, Target, TimeLimit):
    registry.register(_kind)


# Reading ------------------------------------------------------------------------------------------


def by_name(key: str) -> str:
    """Which way a figure of the history is better, by its name alone. Raises ``ArgumentError``."""
    return better_of(key, "stop")


@dataclass(frozen=True)
class Stops:
    """All that may end a training; ``read_stops`` makes it.

    Attributes:
        each: in the order given; the first that says why is heard.
        direction: which way figures are better.
    """

    each: tuple[Stop, ...] = ()
    direction: Direction = by_name

    @property
    def seconds(self) -> float:
        """The least limit of time; infinite where there is none. Steps may look at it too."""
        return min((stop.limit for stop in self.each if isinstance(stop, TimeLimit)), default=math.inf)

    def check(self, names: Iterable[str]) -> None:
        """Make sure, before the first step, that all can answer.

        Args:
            names: of the figures that every entry of the history will have.
        Raises:
            ArgumentError: a figure that will not be there, or whose direction nobody knows.
        Example:
            >>> read_stops(EarlyStopping(on="val_los")).check(["epoch", "loss", "val_loss"])
            Traceback (most recent call last):
            ...
            retia.errors.ArgumentError: EarlyStopping: there is no figure 'val_los'. Did you mean 'val_loss'?
              fix   one of loss, val_loss
        """
        known = [name for name in names if name != "epoch"]
        for stop in self.each:
            for name in stop.needs():
                if name not in known:
                    raise _unknown(stop, name, known)
            for name in stop.turned():
                self.direction(name)

    def why(self, history: Sequence[Entry], seconds: float) -> str:
        """Why the training ends after the last epoch of the history; "" to go on.

        Args:
            history: the entries of all epochs. seconds: that the training took.
        """
        told = (stop.why(history, seconds, self.direction) for stop in self.each)
        return next((why for why in told if why), "")


def read_stops(given: Any, direction: Direction = by_name) -> Stops:
    """What may end a training, as it was given.

    Args:
        given: None, a value, a function of the epoch's entry, or a list of these.
        direction: which way figures are better; raises where nobody knows.
    Raises:
        ArgumentError: it is something else.
    """
    if given is None:
        return Stops((), direction)
    if isinstance(given, Stop) or callable(given) or not isinstance(given, Iterable | Mapping):
        given = [given]
    return Stops(tuple(map(_read, given)), direction)


def _read(given: Any) -> Stop:
    if isinstance(given, Stop):
        return given
    if isinstance(given, type) and issubclass(given, Stop):
        raise ArgumentError(
            f"stop is the class {given.__name__}, not a value.", fix=f"rt.{given.__name__}(...)", got=given
        )
    if callable(given):
        return _Asked(given)
    fix = "stop=rt.EarlyStopping(patience=5), rt.Target(val_accuracy=0.99) or rt.TimeLimit(minutes=10)"
    if isinstance(given, int) and not isinstance(given, bool):
        fix = f"stop=rt.EarlyStopping(patience={given})"
    raise ArgumentError(
        f"stop is rt.EarlyStopping, rt.Target, rt.TimeLimit, a function of the epoch's entry, or a list of "
        f"these; got {given!r}.",
        fix=fix,
        got=given,
    )


def _unknown(stop: Stop, name: str, known: Sequence[str]) -> ArgumentError:
    kind = type(stop).__name__
    if name.startswith("val_") and not any(each.startswith("val_") for each in known):
        return ArgumentError(
            f"{kind}: {name} is of the validation part, and there is none.",
            fix=f"validation=0.1 holds out a tenth; or look at {name.removeprefix('val_')!r}",
            got=name,
        )
    return ArgumentError(
        f"{kind}: there is no figure {name!r}.{did_you_mean(name, known)}",
        fix=f"one of {', '.join(known)}",
        expected=[*known],
        got=name,
    )
