"""A net of one number as a curve, with its derivative: what an activation does."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._figures import FIRST, SECOND, answer, axes, grid, ink, legend
from retia._late import numpy as np
from retia._torch import torch
from retia.errors import ArgumentError, ShapeError
from retia.nets import Net
from retia.nets.settings import real

if TYPE_CHECKING:
    from numpy.typing import NDArray

POINTS = 401
"""Of a curve; an odd number, so that the middle is one."""

LONGEST = 30
"""Characters of an expression that stands in the picture."""

ONE = ((), (1,))
"""Shapes of one number."""


@dataclass(frozen=True, eq=False)
class Curve:
    """A function of one number, at some places: what it gives there, and its derivative."""

    x: NDArray[Any]
    y: NDArray[Any]
    slope: NDArray[Any]


def curve(net: Net, low: float, high: float) -> Curve:
    """A net at numbers from low to high.

    Raises:
        ArgumentError: an empty range. ShapeError: the net is not of one number.
    Example:
        >>> import retia as rt
        >>> found = curve(rt.Tanh(), -1, 1)
        >>> [float(each[200]) for each in (found.x, found.y, found.slope)]
        [0.0, 0.0, 1.0]
    """
    low, high = real()("plot: low", low), real()("plot: high", high)
    if low >= high:
        raise ArgumentError(f"plot: low is below high; got {low:g} and {high:g}.", got=(low, high))
    net, is_vector = _of_one(net)
    x = torch.from_numpy(np.linspace(low, high, POINTS)).float()
    given = x[:, None] if is_vector else x
    y, slope = net.batch(given, None), net.grad(given)
    return Curve(*(np.asarray(each.detach().cpu()).reshape(-1) for each in (x, y, slope)))


def plot(net: Net, low: float, high: float, path: str | os.PathLike[str] | None, ax: Any) -> Any:
    """See ``Net.plot``."""
    found = curve(net, low, high)
    place = axes(ax, 4.2, 3.0)
    for level in (place.axhline, place.axvline):
        level(0, color=ink(place), alpha=0.4, linewidth=0.8)
    place.plot(found.x, found.y, color=FIRST, linewidth=1.8, label=_name(net))
    place.plot(found.x, found.slope, "--", color=SECOND, linewidth=1.8, label="derivative")
    place.set_xlabel("x")
    grid(place)
    legend(place)
    return answer(place, ax, path)


def _name(net: Net) -> str:
    told = repr(net)
    return told if len(told) <= LONGEST else type(net).__name__


def _of_one(net: Net) -> tuple[Net, bool]:
    """The net with a single number going in and one coming out, and whether it is in a vector."""
    if len(net.inputs) == len(net.outputs) == 1:
        (port,), (out,) = net.inputs.values(), net.outputs.values()
        if port.shape is None or any(not isinstance(size, int) for size in port.shape):
            net = net.with_ports(input=())
            (port,), (out,) = net.inputs.values(), net.outputs.values()
        if port.shape in ONE and out.shape in ONE and port.codec is None:
            return net, port.shape == (1,)
    raise ShapeError(
        "plot draws nets of one number, that give one.",
        fix="net.diagram() and net.show() are for any net",
        got=repr(net),
    )
