"""Penalties on large arrays, L1 and L2: a net that must pay for every weight learns fewer accidents.

They are added to the loss, so every optimizer sees their pull in the gradients. Decay that is apart from the
gradients is ``rt.AdamW``'s.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from retia.errors import ArgumentError, UnknownNameError
from retia.nets.net import Net
from retia.nets.patterns import matches, refuse_idle, winner

if TYPE_CHECKING:
    from torch import Tensor

CONSTANT = ("zeros", "ones", "constant")
"""How biases, scales, shifts and slopes start, and weights do not."""


@dataclass(frozen=True)
class Penalties:
    """What is added to the loss: ``l1 * |w| + l2 * w^2``, summed over elements and arrays.

    Attributes:
        l1: factors of the absolute values, by the arrays' paths; only those above 0.
        l2: factors of the squares, likewise.
    """

    l1: Mapping[str, float] = field(default_factory=dict)
    l2: Mapping[str, float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.l1 or self.l2)

    def __call__(self, arrays: Mapping[str, Tensor]) -> Tensor | None:
        """The penalty, one number with its derivative; None where there is none.

        Args:
            arrays: by path.
        Example:
            >>> from retia._torch import torch
            >>> Penalties(l1={"w": 0.5}, l2={"w": 0.25})({"w": torch.tensor([2.0, -4.0])})
            tensor(8.)
        """
        total: Tensor | None = None
        for factor, paths in _by_factor(self.l1):
            total = _plus(total, factor * _added([arrays[path].abs().sum() for path in paths]))
        for factor, paths in _by_factor(self.l2):
            total = _plus(total, factor * _added([arrays[path].square().sum() for path in paths]))
        return total


def read_penalties(net: Net, l1: Any, l2: Any, moved: Collection[str] | None = None) -> Penalties:
    """Penalties as they were given.

    A number is for all weights: what its layer does not start at one number everywhere, as it does biases
    and the scales and shifts of normalization. So is what a pattern matches by a layer's path or by ``*``;
    one that ends in the array's own name (``"*.bias"``) is for that array.

    Args:
        net: whose paths are meant.
        l1, l2: None, a number of at least 0, or a dict from path patterns to numbers, of which the first
            that matches wins; what none matches has no penalty.
        moved: the arrays that are trained, where not all are; the others have no penalty.
    Raises:
        ArgumentError: a factor that is no finite number of at least 0, or no dict of these.
        UnknownNameError: a pattern that matches nothing, or nothing that an earlier one has not.
    Example:
        >>> import retia as rt
        >>> net = rt.Chain(body=rt.Linear(3), norm=rt.BatchNorm(), head=rt.Linear(2), input=4)
        >>> read_penalties(net, None, 1e-4).l2
        {'body.weight': 0.0001, 'head.weight': 0.0001}
        >>> read_penalties(net, None, {"body": 0.1, "*.bias": 0.2}).l2
        {'body.weight': 0.1, 'body.bias': 0.2, 'norm.bias': 0.2, 'head.bias': 0.2}
    """
    return Penalties(_read("l1", net, l1, moved), _read("l2", net, l2, moved))


def weights_of(net: Net) -> list[str]:
    """The paths of the learned arrays that are weights; the others are biases, scales, shifts and slopes.

    Example:
        >>> import retia as rt
        >>> weights_of(rt.Chain(rt.Linear(3), rt.LayerNorm(), rt.PReLU(), input=4))
        ['0.weight']
    """
    return [
        node.at(name)
        for node in net.wiring.nodes
        for name, array in node.layer.owns().items()
        if name in node.kept and array.learned and array.init.method not in CONSTANT
    ]


def _read(what: str, net: Net, given: Any, moved: Collection[str] | None) -> dict[str, float]:
    if given is None:
        return {}
    patterns = given if isinstance(given, Mapping) else {"*": given}
    if not patterns:
        raise ArgumentError(
            f"{what} is a number, or a dict from path patterns to numbers; got {given!r}.",
            fix=f'{what}={{"classifier": 1e-4}}, or {what}=1e-4 for all weights',
            got=given,
        )
    factors = {str(pattern): _factor(what, pattern, value, given) for pattern, value in patterns.items()}
    learned, weights = net.learned(), frozenset(weights_of(net))

    def speaks_of(pattern: str, path: str) -> bool:
        return matches(pattern, path) and (path in weights or _names(pattern, path))

    if isinstance(given, Mapping):
        _refuse_weightless(what, factors, learned, speaks_of)
        refuse_idle(what, factors, learned, speaks_of)
    found = {path: factors[won] for path in learned if (won := winner(factors, path, speaks_of)) is not None}
    return {path: factor for path, factor in found.items() if factor and (moved is None or path in moved)}


def _factor(what: str, pattern: Any, value: Any, given: Any) -> float:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    if plain and 0 <= value < math.inf:
        return float(value)
    if not isinstance(given, Mapping):
        raise ArgumentError(
            f"{what} is a number of at least 0, or a dict from path patterns to such; got {given!r}.",
            fix=f"{what}=1e-4",
            got=given,
        )
    raise ArgumentError(
        f"{what}: {pattern!r} has {value!r}, which is no finite number of at least 0.", got=value
    )


def _names(pattern: str, path: str) -> bool:
    """Whether a pattern ends in an array's own name."""
    layer, _, last = pattern.rpartition(".")
    alike = bool(layer) == ("." in path) and fnmatchcase(path.rpartition(".")[2], last)
    return alike and bool(last.strip("*")) and fnmatchcase(path, pattern)


def _refuse_weightless(what: str, patterns: Mapping[str, float], learned: list[str], speaks_of: Any) -> None:
    """Make sure that no pattern is meant for arrays that it does not name."""
    for pattern in patterns:
        idle = [path for path in learned if matches(pattern, path)]
        if idle and not any(speaks_of(pattern, path) for path in idle):
            raise UnknownNameError(
                f"{what}: {pattern!r} matches no weight, only {', '.join(idle[:4])}.",
                fix=f"name the array itself, {what}={{{idle[0]!r}: ...}}",
                path=pattern,
            )


def _by_factor(factors: Mapping[str, float]) -> list[tuple[float, list[str]]]:
    groups: dict[float, list[str]] = defaultdict(list)
    for path, factor in factors.items():
        groups[factor].append(path)
    return [*groups.items()]


def _added(sums: list[Tensor]) -> Tensor:
    total = sums[0]
    for each in sums[1:]:
        total = total + each
    return total


def _plus(total: Tensor | None, part: Tensor) -> Tensor:
    return part if total is None else total + part
