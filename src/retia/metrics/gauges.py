"""Figures while a net is trained: what a batch adds to them, and how they follow from the sums.

Sums are tensors on the device, so that a recorded step adds them without being waited for. Over the batches
of an epoch, while the net moves, they are running figures; over a set after it, the exact ones.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from retia._late import numpy as np
from retia._torch import torch
from retia.engine.walk import mask_of
from retia.errors import ArgumentError, TrainingError
from retia.metrics.calibration import BINS, binned
from retia.metrics.examples import Batch
from retia.metrics.formulas import Counted
from retia.metrics.names import HIGHER, LOWER
from retia.metrics.objective import Objective
from retia.metrics.scores import BOOLEAN, brier_of, decider, scale_of, wide
from retia.metrics.terms import Term
from retia.nets.net import Net
from retia.nets.wiring import Value
from retia.shapes import varies

if TYPE_CHECKING:
    from torch import Tensor

Values: TypeAlias = "Mapping[Value, Tensor]"
Sums: TypeAlias = "dict[str, Tensor]"
Finish: TypeAlias = "Callable[[Mapping[str, Any], int], float]"
"""From sums as NumPy arrays, and how many positions or examples they are of, to a figure."""

COUNTED = "counted"
"""The sum of how many positions there were, where not all of a batch count."""


@dataclass(frozen=True)
class Metric:
    """A function as a metric: ``rt.train(net, data, metrics=[rt.Metric(function, better="lower")])``.

    Args:
        function: of outputs and targets (dicts by port where there are several) as tensors, batch first, to
            a number an example; or to one for the batch, which is then averaged by examples.
        name: as the history calls it; the function's own where it is left out.
        better: ``"higher"`` or ``"lower"``, which ``rt.EarlyStopping`` and the like need to know.
    Raises:
        ArgumentError: no function, no name, or another direction.
    Example:
        >>> import retia as rt
        >>> worst = rt.Metric(lambda y, t: (y - t).abs().amax(1), name="worst", better="lower")
        >>> net = rt.Chain(rt.ReLU(), input=2, output=2)
        >>> rt.measure(net, ([[1.0, 2.0]], [[1.0, 4.0]]), metrics=[worst])["worst"]
        2.0
    """

    function: Callable[[Any, Any], Any]
    name: str = ""
    better: str | None = None

    def __post_init__(self) -> None:
        if not callable(self.function) or isinstance(self.function, type | Net):
            raise ArgumentError(
                f"Metric: the first argument is a function of outputs and targets; got {self.function!r}.",
                got=self.function,
            )
        if self.better not in (None, HIGHER, LOWER):
            raise ArgumentError(
                f'Metric: better is "higher" or "lower"; got {self.better!r}.', got=self.better
            )
        name = self.name or getattr(self.function, "__name__", type(self.function).__name__)
        if not isinstance(name, str) or not name.isidentifier() or name == "loss" or name[:4] == "val_":
            raise ArgumentError(
                f"Metric: a name is one word other than loss, without val_ before it; got {name!r}.",
                fix='rt.Metric(function, name="distance")',
                got=name,
            )
        object.__setattr__(self, "name", name)


class Adder(ABC):
    """The interface of what is added up. One adder serves all the figures that follow from it.

    Attributes:
        key: different for different sums; no colon in it.
    """

    key: str

    @abstractmethod
    def sums(self, values: Values, batch: Batch) -> Sums:
        """What a batch adds, on its device, in shapes that no batch changes."""

    def count(self, values: Values, batch: Batch) -> int:
        """How many positions or examples a batch has."""
        return len(batch)


@dataclass(frozen=True)
class Gauge:
    """A metric of a net in training.

    Attributes:
        name: as the history calls it, with the port before it where several outputs have it.
        better: ``"higher"``, ``"lower"``, or None where no one said.
        adder: of the sums that it follows from; None where it needs all examples at once.
        finish: how it follows.
        port: of which output; ``""`` for a function of all.
        figure: its name without the port.
    """

    name: str
    better: str | None
    adder: Adder | None
    finish: Finish
    port: str = ""
    figure: str = ""


class OfOutput(Adder):
    """The interface of sums of one output that decides, or of numbers.

    Where not all positions count (padding, or a class that is ignored), how many do is the sum ``COUNTED``.

    Args:
        net: whose output it is.
        term: of the objective, for the output.
    """

    kind = ""

    def __init__(self, net: Net, term: Term) -> None:
        self.term = term
        self.decider = decider(net, term)
        self.shape = net.solution.shape(term.reads)
        self.key = f"{term.port}.{self.kind}"

    @abstractmethod
    def of(self, value: Tensor, target: Tensor, known: Tensor | None) -> Sums:
        """What a batch adds, from the value that the objective reads.

        Args:
            known: True where a decision counts; None where all do.
        """

    def sums(self, values: Values, batch: Batch) -> Sums:
        value, target = values[self.term.reads].detach(), batch.targets[self.term.port]
        mask = mask_of(self.shape, value, batch.lengths) if batch.lengths else None
        known = self.decider.known(value, target, mask)
        found = self.of(value, target, known)
        return found if known is None or not self.by_position else {**found, COUNTED: known.sum()}

    by_position = True
    """Whether positions are counted, else examples."""

    def count(self, values: Values, batch: Batch) -> int:
        return self.decider.positions(values[self.term.reads]) if self.by_position else len(batch)


class Hits(OfOutput):
    """Right decisions."""

    kind = "hits"

    def of(self, value: Tensor, target: Tensor, known: Tensor | None) -> Sums:
        return {"right": _and(self.decider.hits(value, target), known).sum()}


class Tops(OfOutput):
    """Decisions whose right class is among the k best scores."""

    def __init__(self, net: Net, term: Term, k: int) -> None:
        self.kind, self.k = f"top_{k}", k
        super().__init__(net, term)

    def of(self, value: Tensor, target: Tensor, known: Tensor | None) -> Sums:
        truths = self.decider.truths(value, target)
        best = self.decider.ranks(value, truths) < self.k
        return {"right": _and(best, known).sum()}


class ByClass(OfOutput):
    """How often each class was right, meant and answered."""

    kind = "classes"

    def of(self, value: Tensor, target: Tensor, known: Tensor | None) -> Sums:
        true, answered = self.decider.truths(value, target), self.decider.answers(value)
        true, answered = true.flatten().long(), answered.flatten().long()
        none = torch.zeros(self.decider.classes(value), dtype=torch.int64, device=value.device)
        ones = torch.ones_like(true) if known is None else known.flatten().long()
        return {
            "right": none.index_add(0, true, (true == answered).long() * ones),
            "true": none.index_add(0, true, ones),
            "answered": none.index_add(0, answered, ones),
        }


class Steps(OfOutput):
    """How many steps the answers are off, among classes that stand in an order."""

    kind = "steps"

    def of(self, value: Tensor, target: Tensor, known: Tensor | None) -> Sums:
        off = (self.decider.answers(value) - self.decider.truths(value, target)).abs()
        return {"steps": off.sum()}


class Sequences(OfOutput):
    """Examples that are right at every position."""

    kind = "sequences"
    by_position = False

    def of(self, value: Tensor, target: Tensor, known: Tensor | None) -> Sums:
        hits = self.decider.hits(value, target)
        hits = hits if known is None else hits | ~known
        return {"right": hits.reshape(len(value), -1).all(1).sum()}


class Chances(OfOutput):
    """What probabilities say of the truth: log-loss, Brier score, and how far they can be trusted."""

    kind = "chances"

    def of(self, value: Tensor, target: Tensor, known: Tensor | None) -> Sums:
        truths = self.decider.truths(value, target)
        if self.decider.sense == BOOLEAN:
            logit, true = self.decider.logit(value), truths.to(torch.bool)
            confidence = logit.sigmoid()
            losses = torch.nn.functional.softplus(torch.where(true, -logit, logit))
            squares, came = (confidence - true.to(logit.dtype)) ** 2, true
        else:
            logs = self.decider.logs(value)
            losses = -logs.gather(-1, truths.unsqueeze(-1)).squeeze(-1)
            squares = brier_of(logs, truths)
            confidence, came = logs.amax(-1).exp(), self.decider.answers(value) == truths
        if known is not None:
            losses, squares = torch.where(known, losses, 0), torch.where(known, squares, 0)
        return {
            "losses": losses.sum(),
            "squares": squares.sum(),
            **_bins(confidence.flatten(), came.flatten(), None if known is None else known.flatten()),
        }


def _and(hits: Tensor, known: Tensor | None) -> Tensor:
    return hits if known is None else hits & known


def _bins(confidence: Tensor, came: Tensor, known: Tensor | None) -> Sums:
    edges = torch.linspace(0, 1, BINS + 1, dtype=confidence.dtype, device=confidence.device)
    places = torch.bucketize(confidence, edges[1:-1])
    inside = places == torch.arange(BINS, device=confidence.device).unsqueeze(1)  # (bins, n)
    inside = _and(inside, known)
    # Not added by index: on CUDA sums of real numbers would then depend on the order of the threads.
    return {
        "counts": inside.sum(1),
        "confidence": torch.where(inside, confidence, 0).sum(1),
        "came": (inside & came).sum(1),
    }


class Errors(OfOutput):
    """Errors and targets by position, in float64 and the data's own units; of padded ones all together."""

    kind = "errors"

    def __init__(self, net: Net, term: Term) -> None:
        super().__init__(net, term)
        self.scale = scale_of(net, term)
        self.by_position = varies(self.shape)

    def of(self, value: Tensor, target: Tensor, known: Tensor | None) -> Sums:
        wanted = wide(target)
        error = wide(value) - wanted
        if self.scale is not None:  # r2 asks for no mean: shifted targets have the same spread
            by = torch.as_tensor(self.scale.deviation, dtype=error.dtype, device=error.device)
            error, wanted = error * by, wanted * by
        axes: tuple[int, ...] = (0,)
        if known is not None:
            error, wanted, axes = torch.where(known, error, 0), torch.where(known, wanted, 0), ()
        return {
            "absolutes": error.abs().sum(axes), "squares": (error**2).sum(axes), "errors": error.sum(axes),
            "targets": wanted.sum(axes), "target_squares": (wanted**2).sum(axes),
        }  # fmt: skip


class Own(Adder):
    """What a function of outputs and targets gives.

    Args:
        metric: the function.
        objective: whose outputs it gets, as the net gives them.
    """

    def __init__(self, metric: Metric, objective: Objective) -> None:
        self.metric = metric
        self.objective = objective
        self.key = f"function {metric.name}"

    def sums(self, values: Values, batch: Batch) -> Sums:
        outputs = self._outputs(values)
        alone = len(self.objective.net.outputs) == 1 and len(outputs) == 1
        first = next(iter(outputs.values()))
        got = self.metric.function(
            first if alone else outputs, batch.targets[next(iter(outputs))] if alone else batch.targets
        )
        if isinstance(got, torch.Tensor) and got.dim() and len(got) == len(batch):
            return {"summed": wide(got).flatten(1).mean(1).sum() if got.dim() > 1 else wide(got).sum()}
        if isinstance(got, int | float):
            got = first.new_full((), got)
        if isinstance(got, torch.Tensor) and got.dim() == 0:
            return {"summed": wide(got) * len(batch)}
        told = tuple(got.shape) if isinstance(got, torch.Tensor) else repr(got)
        raise TrainingError(
            f"The metric {self.metric.name} answers one number, or one for each of the {len(batch)} "
            f"examples; got {told}.",
            got=got,
        )

    def _outputs(self, values: Values) -> dict[str, Tensor]:
        if self.objective.whole is not None:
            return {name: values[at].detach() for name, at in self.objective.net.wiring.outputs.items()}
        return {term.port: _ended(term, values[term.reads].detach()) for term in self.objective.terms}


def _ended(term: Term, value: Tensor) -> Tensor:
    """What the net gives, from what the objective reads."""
    if term.reads == term.output:
        return value
    if term.ending == "sigmoid":
        return value.sigmoid()
    return value.log_softmax(term.axis) if term.ending == "log_softmax" else value.softmax(term.axis)


def counted_of(sums: Mapping[str, Any], ignored: int | None) -> Counted:
    """Decisions by class, from the sums of ``ByClass``."""
    return Counted(sums["right"], sums["true"], sums["answered"], ignored)


def calibration_error(sums: Mapping[str, Any], count: int) -> float:
    """From the sums of ``Chances``."""
    edges = np.linspace(0, 1, BINS + 1)
    return binned(edges, sums["counts"], sums["confidence"], sums["came"], "").error


def spread_of(sums: Mapping[str, Any], count: int) -> Any:
    """Squared distances of the targets from their mean, by position, from the sums of ``Errors``."""
    return np.maximum(sums["target_squares"] - sums["targets"] ** 2 / count, 0)


def error_spread_of(sums: Mapping[str, Any], count: int) -> Any:
    """Squared distances of the errors from their mean, by position."""
    return np.maximum(sums["squares"] - sums["errors"] ** 2 / count, 0)
