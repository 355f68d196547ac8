"""How a schedule is read from what the user said: a value, a name, or a function of the step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from retia.errors import ArgumentError, did_you_mean
from retia.nets import registry
from retia.training.schedule import Moment, Schedule
from retia.training.schedules.course import CosineDecay, OneCycle, PolynomialDecay, Warmup
from retia.training.schedules.decay import ExponentialDecay, Milestones, Steady, StepDecay
from retia.training.schedules.plateau import OnPlateau

SCHEDULES: dict[str, type[Schedule]] = {
    kind.__name__: kind
    for kind in (
        Steady, StepDecay, Milestones, ExponentialDecay, PolynomialDecay, CosineDecay, OneCycle, OnPlateau,
        Warmup,
    )
}  # fmt: skip

OTHER_NAMES = {
    "constant": "Steady", "constantlr": "Steady", "step": "StepDecay", "steplr": "StepDecay",
    "multistep": "Milestones", "multisteplr": "Milestones", "piecewiseconstantdecay": "Milestones",
    "exponential": "ExponentialDecay", "exponentiallr": "ExponentialDecay", "linear": "PolynomialDecay",
    "lineardecay": "PolynomialDecay", "polynomial": "PolynomialDecay", "polynomiallr": "PolynomialDecay",
    "cosine": "CosineDecay", "cosineannealing": "CosineDecay", "cosineannealinglr": "CosineDecay",
    "onecyclelr": "OneCycle", "plateau": "OnPlateau", "reducelronplateau": "OnPlateau",
    "linearlr": "Warmup",
}  # fmt: skip
"""What else a schedule may be called, without case and marks: as PyTorch and Keras spell it, and shorter."""

SHORT = ("steady", "linear", "cosine", "one-cycle", "plateau")
"""Names of those that need no argument."""

WRITTEN = {
    "StepDecay": "rt.StepDecay(30)",
    "Milestones": "rt.Milestones((30, 60, 80))",
    "ExponentialDecay": "rt.ExponentialDecay(0.95)",
    "Warmup": "rt.Warmup(500, then=rt.CosineDecay())",
}
"""How those are written that a name alone does not make."""

for _kind in SCHEDULES.values():
    registry.register(_kind)


@dataclass(frozen=True, repr=False, eq=False)
class Function(Schedule):
    """A function of the step's number, from 0, that answers the factor; ``read_schedule`` makes it."""

    function: Callable[[int], Any]

    def factor(self, at: Moment) -> float:
        """What the function answers.

        Raises:
            ArgumentError: it is no number of at least 0.
        """
        found = self.function(at.step)
        if isinstance(found, bool | str) or not hasattr(found, "__float__"):
            raise self._refused(at.step, found)
        number = float(found)
        if not math.isfinite(number) or number < 0:
            raise self._refused(at.step, found)
        return number

    def extends(self) -> bool:
        """It sees no more than the step."""
        return True

    def settings(self) -> dict[str, Any]:
        """Its name; a function is not written into files."""
        return {"function": self._name()}

    def __repr__(self) -> str:
        return self._name()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Function) and self.function == other.function

    def __hash__(self) -> int:
        return hash(self.function)

    def _name(self) -> str:
        kind = type(self.function)
        return str(getattr(self.function, "__qualname__", kind.__qualname__))

    def _refused(self, step: int, found: Any) -> ArgumentError:
        return ArgumentError(
            f"schedule: {self._name()}({step}) is the factor of the learning rate, a number of at least 0;"
            f" got {found!r}.",
            got=found,
        )


def read_schedule(given: Any) -> Schedule | None:
    """A schedule as a value, by name, as a function of the step, or none.

    Raises:
        ArgumentError: it is none of these, or a function that fails at step 0.
    Example:
        >>> read_schedule("one-cycle"), read_schedule(None)
        (OneCycle(), None)
        >>> read_schedule(lambda step: 1 / (1 + step)).factor(Moment(step=3, steps=10))
        0.25
    """
    if given is None or isinstance(given, Schedule):
        return given
    if isinstance(given, str):
        return _named(given)
    kind = given if isinstance(given, type) else type(given)
    owner = {"torch": "PyTorch", "keras": "Keras"}.get(kind.__module__.partition(".")[0])
    if owner is not None and kind.__module__ != "torch":
        ours = _known(kind.__name__)
        raise ArgumentError(
            f"schedule is {owner}'s {kind.__name__}, which answers rates for an optimizer of its own.",
            fix=f"one of {_choices()}" if ours is None else WRITTEN.get(ours, f"rt.{ours}()"),
            got=given,
        )
    if kind is given and issubclass(kind, Schedule):
        fix = WRITTEN.get(kind.__name__, f"rt.{kind.__name__}()")
        raise ArgumentError(f"schedule is the class {kind.__name__}, not a value.", fix=fix, got=given)
    if callable(given) and kind is not given:
        return _tried(Function(given))
    raise ArgumentError(
        f"schedule is one of {_choices()}, a name ({', '.join(map(repr, SHORT))}), or a function of the step;"
        f" got {given!r}.",
        got=given,
    )


def _named(given: str) -> Schedule:
    name = _known(given)
    if name is None:
        known = [*SHORT, *SCHEDULES]
        raise ArgumentError(
            f"schedule: there is none called {given!r}.{did_you_mean(given, known)}",
            fix=f"one of {', '.join(map(repr, SHORT))}, or of {_choices()}",
            got=given,
        )
    if name in WRITTEN:
        raise ArgumentError(
            f"schedule: {given!r} alone does not say enough.", fix=f"schedule={WRITTEN[name]}", got=given
        )
    return SCHEDULES[name]()


def _known(name: str) -> str | None:
    """The name here of what may be spelled otherwise."""
    plain = "".join(letter for letter in name.rpartition(".")[2].lower() if letter.isalnum())
    ours = {kind.lower(): kind for kind in SCHEDULES}
    return ours.get(plain) or OTHER_NAMES.get(plain)


def _tried(made: Function) -> Function:
    try:
        made.factor(Moment(0, 1))
    except ArgumentError:
        raise
    except Exception as error:
        raise ArgumentError(
            f"schedule: {made!r}(0) fails: {type(error).__name__}: {error}",
            fix="a function of the step's number, from 0, that answers a factor: lambda step: 0.999**step",
            got=made.function,
        ) from error
    return made


def _choices() -> str:
    return ", ".join(f"rt.{name}" for name in SCHEDULES)
