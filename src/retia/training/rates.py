"""Multipliers of the learning rate by path pattern; 0 freezes.

The first pattern that matches, in the dict's order, wins; what none matches has 1. A layer whose own path
has 0, or all of whose learned arrays have it, behaves as in inference: its statistics and dropout rest too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from retia.errors import ArgumentError
from retia.nets.net import Net
from retia.nets.patterns import refuse_idle, winner


@dataclass(frozen=True)
class Rates:
    """What moves, and how fast.

    Attributes:
        of: the multiplier of every array that the net learns, by path.
        still: paths of the layers that behave as in inference.
    """

    of: Mapping[str, float]
    still: frozenset[str] = frozenset()

    @property
    def moved(self) -> tuple[str, ...]:
        """The arrays that are trained."""
        return tuple(path for path, rate in self.of.items() if rate != 0)

    @property
    def frozen(self) -> tuple[str, ...]:
        """The arrays that are learned elsewhere, and stay as they are here."""
        return tuple(path for path, rate in self.of.items() if rate == 0)


def read_rates(net: Net, given: Any) -> Rates:
    """Multipliers as they were given.

    Args:
        net: whose paths are meant.
        given: None, or a dict from patterns to numbers, ``{"classifier": 1, "*": 0}``.
    Raises:
        ArgumentError: no dict, or a multiplier that is no finite number, or nothing is left to train.
        UnknownNameError: a pattern that matches nothing, or nothing that an earlier one has not.
    Example:
        >>> import retia as rt
        >>> net = rt.Chain(body=rt.Linear(3), head=rt.Linear(2), input=4)
        >>> read_rates(net, {"head": 1, "*": 0}).moved
        ('head.weight', 'head.bias')
    """
    learned = net.learned()
    if given is None:
        return Rates(dict.fromkeys(learned, 1.0))
    if not isinstance(given, Mapping) or not given:
        raise ArgumentError(
            f"rates is a dict from path patterns to multipliers; got {given!r}.",
            fix='rates={"classifier": 1, "*": 0}',
            got=given,
        )
    rates = {str(pattern): _rate(pattern, value) for pattern, value in given.items()}
    layers = {node.path: node for node in net.wiring.nodes}
    refuse_idle("rates", rates, [*learned, *layers])
    of = {path: _first(rates, path) for path in learned}
    if of and not any(of.values()):
        raise ArgumentError("rates: every array has the rate 0, so there is nothing to train.", got=given)
    still = set()
    for path, node in layers.items():
        own = [of[key] for name in node.layer.owns() if (key := node.at(name)) in of]
        if _first(rates, path) == 0 and not any(own) or own and not any(own):
            still.add(path)
    return Rates(of, frozenset(still))


def _rate(pattern: Any, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ArgumentError(f"rates: {pattern!r} has {value!r}, which is no finite number.", got=value)
    return float(value)


def _first(rates: Mapping[str, float], path: str) -> float:
    won = winner(rates, path)
    return 1.0 if won is None else rates[won]
