"""``rt.measure``: a net run over a set of examples, in their order and in inference behaviour."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia._torch import torch
from retia.engine.devices import program_on
from retia.engine.intake import device_of
from retia.engine.trace import NotFlatError
from retia.engine.values import ValuesProgram
from retia.engine.walk import Run, walk_values
from retia.errors import ArgumentError, DataError
from retia.metrics.examples import Batch, Examples, whole_targets
from retia.metrics.measurement import Measurement
from retia.metrics.objective import Term, aims_of, objective
from retia.metrics.scores import CLASSES, NUMBERS, decider, ranks
from retia.metrics.totals import Means
from retia.nets.net import Net, missing_arrays
from retia.nets.wiring import Value
from retia.sources.dataset import Data
from retia.sources.reading import data as read_data

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

CHUNK = 256

REPAYS = 8
"""From so many full batches on, planning a program costs less than it saves."""


def measure(net: Net, data: Any, *, loss: Any = None, batch_size: int = CHUNK) -> Measurement:
    """How well a net does on a set of examples.

    The net is run as in a call, so nothing in it is random and nothing changes. Figures are counted over
    examples, never averaged over batches.

    Args:
        net: with all its arrays.
        data: as ``rt.data`` takes it, with targets; of a set with parts, one of them.
        loss: as in ``rt.train``; left out, it follows from the output.
        batch_size: at least 1, examples at once; it changes nothing but speed and memory.
    Returns:
        ``.accuracy``, ``.confusion``, ``.top(5)``, ``.r2``, ...: what suits the output.
    Raises:
        ArraysError: arrays are missing. DataError: no targets, or a set with parts.
    Example:
        >>> import retia as rt
        >>> double = rt.Chain(rt.ReLU(), input=1, output=1)
        >>> rt.measure(double, ([[1.0], [2.0]], [[1.0], [4.0]])).mse
        2.0
    """
    if not isinstance(net, Net):
        raise ArgumentError(f"measure: the first argument is a net; got {net!r}.", got=net)
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ArgumentError(
            f"measure: batch_size is a whole number of at least 1; got {batch_size!r}.", got=batch_size
        )
    missing_arrays(net)
    examples = _examples(net, _one_part(read_data(data), data), loss)
    means = Means(examples.objective)
    collected = {term.port: _Collected(net, term) for term in examples.objective.terms}
    values_of = _values_of(net, examples, batch_size)
    for batch in examples.in_order(batch_size):
        examples.check(batch)
        with torch.no_grad():
            values = values_of(batch)
            means.add(values, batch)
            for term in examples.objective.terms:
                collected[term.port].add(values[term.reads], batch.targets[term.port])
    parts = {port: each.measurement(len(examples), means) for port, each in collected.items()}
    if len(parts) == 1:
        return next(iter(parts.values()))
    return Measurement(means.mean(), len(examples), parts=parts)


def _values_of(net: Net, examples: Examples, size: int) -> Callable[[Batch], Mapping[Value, Tensor]]:
    """What gives the values that the objective reads: a program for full batches, where there are enough."""
    arrays, wanted = net.arrays.check(), examples.objective.wanted

    def walked(batch: Batch) -> Mapping[Value, Tensor]:
        return walk_values(net, batch.inputs, arrays, Run(), wanted)

    if len(examples) // size < REPAYS or not program_on(examples.device):
        return walked
    try:
        first = examples.batch(torch.arange(size))
        program = ValuesProgram(net, wanted, first.inputs, arrays, constant=True)
    except NotFlatError:
        return walked
    return lambda batch: program(batch.inputs) if len(batch) == size else walked(batch)


def _one_part(data: Data, source: Any) -> Data:
    if data.parts:
        raise DataError(
            f"measure: the set has parts ({', '.join(data.parts)}); which of them is meant?",
            fix=f"rt.data({source!r}).test" if isinstance(source, str) else "rt.measure(net, data.test)",
            got=[*data.parts],
        )
    return data


def _examples(net: Net, data: Data, loss: Any) -> Examples:
    lower = objective(net, loss, whole_targets(net, data, aims_of(net, loss)))
    return Examples(net, data, lower, device_of(net))


class _Collected:
    """What is kept of one output: a few numbers an example for decisions, sums for numbers."""

    def __init__(self, net: Net, term: Term) -> None:
        self.codec = net.outputs[term.port].codec
        self.term = term
        self.decider = decider(net, term)
        self.kept: dict[str, list[NDArray[Any]]] = {}
        self.spread = _Spread()
        self.classes = 0

    def add(self, value: Tensor, target: Tensor) -> None:
        if self.decider.sense == NUMBERS:
            self.spread.add(value.double().cpu().numpy(), target.double().cpu().numpy())
            return
        truths = self.decider.truths(value, target)
        self._keep("true", truths)
        self._keep("answered", self.decider.answers(value))
        if self.decider.sense == CLASSES:
            self.classes = value.shape[self.term.axis]
            self._keep("rank", ranks(value, truths, self.term.axis))
        else:
            self._keep("score", value.double())

    def measurement(self, examples: int, means: Means) -> Measurement:
        loss, sense = means.of(self.term.port), self.decider.sense
        if sense == NUMBERS:
            return Measurement(loss, examples, sense, arrays=self.spread.arrays())
        known = getattr(self.codec, "labels", None) or tuple(range(self.classes))
        arrays = {name: np.concatenate(parts) for name, parts in self.kept.items()}
        return Measurement(loss, examples, sense, known if sense == CLASSES else (False, True), arrays=arrays)

    def _keep(self, name: str, values: Tensor) -> None:
        self.kept.setdefault(name, []).append(values.flatten().cpu().numpy())


class _Spread:
    """Errors and the spread of targets, by position, added up in float64 without losing digits.

    Source: Chan, Golub and LeVeque 1983, for joining the spreads of batches.
    """

    def __init__(self) -> None:
        self.count = 0
        self.squares: Any = 0.0
        self.absolutes: Any = 0.0
        self.mean: Any = 0.0
        self.spread: Any = 0.0

    def add(self, value: NDArray[Any], target: NDArray[Any]) -> None:
        error = value - target
        self.squares = self.squares + (error**2).sum(0)
        self.absolutes = self.absolutes + abs(error).sum(0)
        count, mean = len(target), target.mean(0)
        total = self.count + count
        apart = mean - self.mean
        self.spread = self.spread + ((target - mean) ** 2).sum(0) + apart**2 * (self.count * count / total)
        self.mean = self.mean + apart * (count / total)
        self.count = total

    def arrays(self) -> dict[str, NDArray[Any]]:
        found = {"squares": self.squares, "absolutes": self.absolutes, "spread": self.spread}
        return {name: np.asarray(values) for name, values in found.items()}
