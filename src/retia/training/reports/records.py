"""What every layer does while a net is trained: norms, updates, activations, dead and saturated units.

Figures are taken at a few moments from a probe, some examples of the training part that stay the same. The
probe is walked forward and backward as a step would, but nothing is moved by it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from retia._torch import torch
from retia.engine.walk import walk_values
from retia.layers.elementwise import HardSigmoid, HardTanh, ReLU, ReLU6, Sigmoid, Tanh
from retia.metrics.examples import Batch, Examples
from retia.nets.net import Net
from retia.nets.wiring import Node, Value
from retia.sources.feeds import ResidentFeed
from retia.training.reports.chance import chance_of
from retia.training.step import State, Step

if TYPE_CHECKING:
    from torch import Tensor

PROBED = 256
"""Examples of a probe, at most."""

LEAST = 32
"""Examples of a probe where an eighth of all would be fewer."""

ROOM = 2**26
"""Numbers that a probe's activations may have, at most: a quarter of a GiB."""

COUNTED = 2048
"""Examples by whose targets chance is known, where they are at hand."""

ENDS: dict[type, tuple[float, float]] = {
    Sigmoid: (0.0, 1.0),
    HardSigmoid: (0.0, 1.0),
    Tanh: (-1.0, 1.0),
    HardTanh: (-1.0, 1.0),
}
"""The range of the layers that saturate."""

SATURATED = 0.99
"""A unit is saturated beyond this share of the way from the middle of its range to an end."""


@dataclass(frozen=True)
class LayerRecord:
    """The figures of one layer at one moment. What a layer does not have is None.

    Attributes:
        path: of the layer.
        layer: its expression.
        weight: norm of its learned weights: arrays of two axes or more, else all it has.
        gradient: norm of the loss's derivative by them; None where they are frozen.
        update: how far they moved since the record before, as a share of ``weight`` then.
        mean: of its outputs over the probe.
        deviation: standard deviation of them.
        dead: share of the units of a ``ReLU`` that are 0 for the whole probe, 0..1.
        saturated: share of the outputs of a ``Sigmoid`` or ``Tanh`` at the ends of its range, 0..1.
    """

    path: str
    layer: str
    weight: float | None = None
    gradient: float | None = None
    update: float | None = None
    mean: float | None = None
    deviation: float | None = None
    dead: float | None = None
    saturated: float | None = None


@dataclass(frozen=True)
class Records:
    """The figures of all layers at one moment of a training.

    Attributes:
        epoch: that was just finished; 0 before the first step.
        steps: done until then.
        examples: of the probe.
        loss: of the probe, in training behaviour.
        chance: what the loss would be, were every answer the same and the best such; None where that is
            not known.
        layers: in the order of computation; those that only move elements are left out.
    """

    epoch: int
    steps: int
    examples: int
    loss: float
    chance: float | None
    layers: tuple[LayerRecord, ...]

    def __getitem__(self, path: str) -> LayerRecord:
        """The figures of the layer at a path."""
        return next(each for each in self.layers if each.path == path)


def records_of(
    step: Step,
    arrays: Mapping[str, Tensor],
    batch: Batch,
    *,
    epoch: int = 0,
    steps: int = 0,
    before: Mapping[str, Tensor] | None = None,
    chance: float | None = None,
) -> Records:
    """The figures of every layer for a batch. Nothing that is given is changed.

    Args:
        step: whose loss is meant.
        arrays: by path.
        batch: as ``step.batch`` makes it, on the arrays' device.
        epoch: that was just finished. steps: done until now; part of the draws' keys.
        before: the learned arrays at the record before, by path.
        chance: the loss of the best constant answer, where more examples than these tell it.
    Example:
        >>> import retia as rt
        >>> net = rt.Chain(rt.Linear(4), rt.ReLU(), rt.Linear(1), input=2).init(seed=0)
        >>> step = rt.step(net, "mse")
        >>> found = records_of(step, net.arrays, step.batch(torch.ones(3, 2), torch.ones(3, 1)))
        >>> [each.path for each in found.layers], found["1"].dead
        (['0', '1', '2'], 0.5)
    """
    watched = _watched(step, batch)
    outputs = {node.path: node.outputs[0] for node in watched}
    leaves = {path: arrays[path].detach().requires_grad_() for path in step.learned}
    run, objective = step.run(batch, steps), step.objective
    wanted = {*objective.wanted, *outputs.values()}
    with torch.enable_grad():
        values = walk_values(step.net, batch.inputs, {**arrays, **leaves}, run, wanted, batch.given)
        loss = objective(values, batch.targets, batch.lengths)
        found = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True, materialize_grads=True)
    gradients = dict(zip(leaves, found, strict=True))
    with torch.no_grad():
        figures = {
            node.path: {
                **_of_arrays(node, arrays, gradients, before or {}),
                **_of_values(node, values[outputs[node.path]]),
            }
            for node in watched
        }
        told = _read([loss.detach(), *(each for own in figures.values() for each in own.values())])
    return Records(
        epoch=epoch,
        steps=steps,
        examples=len(batch),
        loss=next(told),
        chance=chance_of(objective, batch.targets) if chance is None else chance,
        layers=tuple(
            LayerRecord(
                node.path,
                node.layer.brief,
                **{name: _finite(name, next(told)) for name in figures[node.path]},
            )
            for node in watched
        ),
    )


class Recorder:
    """Looks at the layers before the first step, after epochs, and at the end.

    Args:
        step: that is trained.
        examples: that it learns from.
        epochs: how many there will be.
        records: of a training that goes on.
    """

    def __init__(self, step: Step, examples: Examples, epochs: int, records: Sequence[Records] = ()) -> None:
        self.records = [*records]
        self._step, self._epochs = step, epochs
        size = probe_size(step.net, len(examples))
        self._batch = examples.batch(_spread(len(examples), size))
        many = min(COUNTED, len(examples)) if isinstance(examples.feed, ResidentFeed) else size
        targets = (
            self._batch.targets if many <= size else examples.batch(_spread(len(examples), many)).targets
        )
        self._chance = chance_of(step.objective, targets)
        self._before: dict[str, Tensor] = {}

    def look(self, state: State, epoch: int, *, last: bool = False) -> None:
        """Take the figures after an epoch, if this is a moment to do so.

        Args:
            state: of the training.
            epoch: that was just finished; 0 before the first step.
            last: it was the last one, so look in any case.
        """
        if not (last or is_moment(epoch, self._epochs)) or epoch in {each.epoch for each in self.records}:
            return
        steps, before = state.count, self._before
        self.records.append(
            records_of(
                self._step,
                state.arrays,
                self._batch,
                epoch=epoch,
                steps=steps,
                before=before,
                chance=self._chance,
            )  # fmt: skip
        )
        self._before = {path: state.arrays[path].detach().clone() for path in self._step.learned}


def _spread(count: int, size: int) -> Tensor:
    """So many rows, evenly over all."""
    return torch.arange(size) * count // size


def is_moment(epoch: int, epochs: int) -> bool:
    """Whether the layers are looked at after an epoch: the first, the second, the fourth, ..., and the last.

    What layers do changes most in the beginning, and a look costs as much as a few steps.

    Example:
        >>> [epoch for epoch in range(61) if is_moment(epoch, 60)]
        [0, 1, 2, 4, 8, 16, 32, 60]
    """
    return epoch & (epoch - 1) == 0 or epoch == epochs


def probe_size(net: Net, examples: int) -> int:
    """How many examples a probe takes: so few that it costs little beside an epoch, in time and memory.

    Example:
        >>> import retia as rt
        >>> probe_size(rt.Linear(10, input=784), 60_000), probe_size(rt.Linear(2**22, input=1), 60_000)
        (256, 16)
    """
    shapes = [net.solution.shape(value) or () for node in net.wiring.nodes for value in node.outputs]
    each = sum(math.prod(size for size in shape if isinstance(size, int)) for shape in shapes)
    return min(examples, max(2, min(PROBED, max(examples // 8, LEAST), ROOM // max(each, 1))))


# Which layers -------------------------------------------------------------------------------------


def _watched(step: Step, batch: Batch) -> list[Node]:
    """The layers that the loss depends on and the walk runs, with arrays to learn or units to watch."""
    alive: set[Value] = {*step.objective.wanted} - {*batch.given}
    kept = []
    for node in reversed(step.net.wiring.steps):
        if alive & {*node.outputs}:
            alive |= {*node.sources} - {*batch.given}
            kept.append(node)
    kinds = (ReLU, ReLU6, *ENDS)
    return [node for node in kept[::-1] if _weights(node) or isinstance(node.layer, kinds)]


def _weights(node: Node) -> list[str]:
    """Paths of what a layer learns, or the layers within it, at the first of the places that share it."""
    return [
        part.at(name)
        for part in node.parts
        for name, array in part.layer.owns().items()
        if name in part.kept and array.learned
    ]


# Figures ------------------------------------------------------------------------------------------


def _of_arrays(
    node: Node,
    arrays: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
    before: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    paths = _weights(node)
    paths = [path for path in paths if arrays[path].dim() > 1] or paths
    if not paths:
        return {}
    found = {"weight": _norm([arrays[path] for path in paths])}
    if all(path in gradients for path in paths):
        found["gradient"] = _norm([gradients[path] for path in paths])
    if all(path in before for path in paths):
        moved = _norm([arrays[path] - before[path] for path in paths])
        found["update"] = moved / _norm([before[path] for path in paths])
    return found


def _of_values(node: Node, value: Tensor) -> dict[str, Tensor]:
    value = value.detach().float()
    found = {"mean": value.mean(), "deviation": value.std(correction=0)}
    if isinstance(node.layer, ReLU | ReLU6):
        found["dead"] = _dead(value)
    if type(node.layer) in ENDS:
        low, high = ENDS[type(node.layer)]
        away = (value - (low + high) / 2).abs() / ((high - low) / 2)
        found["saturated"] = (away > SATURATED).float().mean()
    return found


def _dead(value: Tensor) -> Tensor:
    """Share of the units that are 0 for the whole batch. A picture's channel is one unit."""
    units = (
        value.flatten(2).transpose(1, 2).flatten(0, 1) if value.dim() > 3 else value.reshape(len(value), -1)
    )
    return (units <= 0).all(0).float().mean()


def _norm(tensors: Sequence[Tensor]) -> Tensor:
    norms = [torch.linalg.vector_norm(each.float()) for each in tensors]
    whole: Tensor = torch.linalg.vector_norm(torch.stack(norms))
    return whole


def _read(figures: Sequence[Tensor]) -> Iterator[float]:
    """All figures in one go: on a device of its own, each reading waits."""
    return iter(torch.stack([each.float() for each in figures]).tolist())


def _finite(name: str, value: float) -> float | None:
    """A share of nothing is no figure; other infinities and NaNs tell of themselves."""
    return None if name == "update" and not math.isfinite(value) else value
