"""Which metrics a training has, and their totals over batches: counted by the example, never by the batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from retia.codecs.mask import Mask
from retia.errors import ArgumentError, did_you_mean
from retia.metrics.collector import Collector
from retia.metrics.examples import Batch
from retia.metrics.formulas import explained
from retia.metrics.gauges import (
    COUNTED,
    Adder,
    ByClass,
    Chances,
    Errors,
    Finish,
    Gauge,
    Hits,
    Metric,
    Own,
    Sequences,
    Steps,
    Sums,
    Tops,
    Values,
    calibration_error,
    counted_of,
    error_spread_of,
    spread_of,
)
from retia.metrics.measurement import Measurement
from retia.metrics.names import DECIDED, FIGURES, LOWER, Figure, average_of, find_figure, top_of
from retia.metrics.objective import Objective
from retia.metrics.scores import BOOLEAN, BOXES, CLASSES, ORDERED, sense
from retia.metrics.terms import Term
from retia.nets.net import Net
from retia.nets.wiring import Value

if TYPE_CHECKING:
    from torch import Tensor

_BY_CLASS = ("balanced_accuracy", "mean_iou", "cohen_kappa", "matthews")
_RATES = ("precision", "recall", "f1")
_FINISHES: dict[str, tuple[Callable[[Net, Term], Adder], Finish]] = {
    "accuracy": (Hits, lambda s, n: s["right"] / n),
    "error_rate": (Hits, lambda s, n: 1 - s["right"] / n),
    "sequence_accuracy": (Sequences, lambda s, n: s["right"] / n),
    "log_loss": (Chances, lambda s, n: s["losses"] / n),
    "perplexity": (Chances, lambda s, n: math.exp(min(s["losses"] / n, 700))),
    "brier": (Chances, lambda s, n: s["squares"] / n),
    "calibration_error": (Chances, calibration_error),
    "mse": (Errors, lambda s, n: s["squares"].mean() / n),
    "rmse": (Errors, lambda s, n: math.sqrt(s["squares"].mean() / n)),
    "mae": (Errors, lambda s, n: s["absolutes"].mean() / n),
    "r2": (Errors, lambda s, n: explained(s["squares"], spread_of(s, n))),
    "explained_variance": (Errors, lambda s, n: explained(error_spread_of(s, n), spread_of(s, n))),
}


class Tally:
    """Sums of metrics over batches; the host reads them only when the figures are asked.

    A program adds to ``sums`` what ``found`` names, and ``count`` what it was of; or ``add`` does both.

    Args:
        objective: that the metrics were read for.
        gauges: from ``read_metrics``.
        whole: also those that need all examples at once, as in validation; ``keep`` feeds them.
    Attributes:
        sums: by key, on the device.
        counts: of positions or examples, by the key of the adder.
    """

    def __init__(self, objective: Objective, gauges: Sequence[Gauge], *, whole: bool = False) -> None:
        self._objective = objective
        self._gauges = [gauge for gauge in gauges if gauge.adder is not None or whole]
        self._adders = {g.adder.key: g.adder for g in self._gauges if g.adder is not None}
        self._ports = {gauge.port for gauge in self._gauges if gauge.adder is None}
        self._collectors: dict[str, Collector] = {}
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        self.clear()

    @property
    def kept(self) -> tuple[Value, ...]:
        """The values that ``keep`` must see of every batch."""
        return tuple(term.reads for term in self._objective.terms if term.port in self._ports)

    def found(self, values: Values, batch: Batch) -> tuple[Sums, dict[str, int]]:
        """What a batch adds: sums by key, counts by the adder's key."""
        sums = {
            f"{key}.{name}": tensor
            for key, adder in self._adders.items()
            for name, tensor in adder.sums(values, batch).items()
        }
        return sums, {key: adder.count(values, batch) for key, adder in self._adders.items()}

    def add(self, values: Values, batch: Batch) -> None:
        """Add a batch, from the values that the objective reads."""
        sums, counts = self.found(values, batch)
        for key, tensor in sums.items():
            self.put(key, tensor)
        self.count(counts)
        self.keep(values, batch)

    def put(self, key: str, summed: Tensor) -> None:
        """Add what was summed elsewhere; the total stays where it stands, for programs add to it too."""
        if key in self.sums:
            self.sums[key].add_(summed)
        else:
            self.sums[key] = summed.clone()

    def count(self, counts: Mapping[str, int]) -> None:
        """Say how many positions or examples the sums have grown by."""
        for key, every in counts.items():
            self.counts[key] = self.counts.get(key, 0) + every

    def keep(self, values: Values, batch: Batch) -> None:
        """Keep the scores of a batch for the metrics that need all of them."""
        for term in self._objective.terms:
            if term.port in self._collectors:
                self._collectors[term.port].add(values[term.reads], batch.targets[term.port], batch.lengths)

    def clear(self) -> None:
        """Begin anew, in the same memory."""
        for total in self.sums.values():
            total.zero_()
        self.counts = dict.fromkeys(self.counts, 0)
        self._collectors = {
            term.port: Collector(self._objective.net, term, 0, every=True)
            for term in self._objective.terms
            if term.port in self._ports
        }

    def figures(self) -> dict[str, float]:
        """The metrics of everything that was added, by name; without those that nothing was added to."""
        ports = {port: Measurement(math.nan, 0, kept=c.kept()) for port, c in self._seen().items()}
        arrays: dict[str, dict[str, Any]] = {key: {} for key in self._adders}
        for key, total in self.sums.items():
            home, _, name = key.rpartition(".")
            arrays[home][name] = total.cpu().numpy()[()]
        found = {}
        for gauge in self._gauges:
            if gauge.adder is None and gauge.port in ports:
                found[gauge.name] = gauge.finish({"measured": ports[gauge.port]}, 0)
            elif gauge.adder is not None and self.counts.get(gauge.adder.key):
                sums = arrays[gauge.adder.key]
                count = int(sums.get(COUNTED, self.counts[gauge.adder.key]))
                if count:
                    found[gauge.name] = float(gauge.finish(sums, count))
        return found

    def _seen(self) -> dict[str, Collector]:
        return {port: each for port, each in self._collectors.items() if each.seen}


def read_metrics(net: Net, objective: Objective, given: Any = ()) -> list[Gauge]:
    """The metrics of a training: what every output has unasked, and what was asked for.

    That is the accuracy of outputs that decide, of masks also the mean IoU, of boxes ``map_50``.

    Args:
        net: that is trained.
        objective: its losses.
        given: names, ``"port.name"`` for one of several outputs, functions of outputs and targets, or
            ``rt.Metric`` values; one of these or several.
    Raises:
        ArgumentError: no such metric, or it suits no output; before anything is computed.
    Example:
        >>> import retia as rt
        >>> from retia.metrics.objective import objective
        >>> net = rt.Chain(rt.Linear(3), rt.Softmax(), input=2)
        >>> [gauge.name for gauge in read_metrics(net, objective(net), ["acc", "top2", "AUC"])]
        ['accuracy', 'top_2', 'auc']
    """
    senses = {sense(net, term) for term in objective.terms}
    unasked = [
        *(["accuracy"] if senses & {*DECIDED} else []),
        *(f"{term.port}.mean_iou" for term in objective.terms if _is_mask(net, term)),
        *(["map_50"] if BOXES in senses else []),
    ]
    return gauges_of(net, objective, [*unasked, *listed(given)])


def _is_mask(net: Net, term: Term) -> bool:
    return isinstance(net.outputs[term.port].codec, Mask) and sense(net, term) == CLASSES


def gauges_of(net: Net, objective: Objective, given: Any) -> list[Gauge]:
    """What was asked for alone; the arguments are as of ``read_metrics``."""
    gauges: list[Gauge] = []
    for each in listed(given):
        gauges += _own(objective, each) if isinstance(each, Metric) else _by_name(net, objective, each)
    found: dict[str, Gauge] = {}
    for gauge in gauges:
        if (gauge.port == "" or found.get(gauge.name, gauge).port == "") and gauge.name in found:
            raise ArgumentError(f"metrics: two are called {gauge.name}.", fix="rt.Metric(function, name=...)")
        found[gauge.name] = gauge
    return [*found.values()]


def listed(given: Any) -> list[Any]:
    """What ``metrics=`` takes, as a list of names and functions.

    Raises:
        ArgumentError: it is something else.
    """
    if given is None:
        return []
    things = [given] if isinstance(given, str | Metric) or callable(given) else given
    if not isinstance(things, Iterable) or isinstance(things, Mapping):
        raise ArgumentError(f"metrics is a list of names and functions; got {given!r}.", got=given)
    found = list(things)
    for each in found:
        if not isinstance(each, str | Metric) and (not callable(each) or isinstance(each, type | Net)):
            raise ArgumentError(
                f"metrics are names, functions of outputs and targets, or rt.Metric values; got {each!r}.",
                fix=f"one of {', '.join(FIGURES)}, top_5, f1_macro",
                got=each,
            )
    return [Metric(each) if callable(each) and not isinstance(each, Metric) else each for each in found]


def direction_of(key: str, gauges: Iterable[Gauge]) -> str:
    """Whether a figure of the history is better ``"higher"`` or ``"lower"``.

    Args:
        key: ``"loss"``, ``"val_f1"``, ...
        gauges: of the training.
    Raises:
        ArgumentError: there is no such figure, or no one said which way it is better.
    Example:
        >>> direction_of("val_loss", [])
        'lower'
    """
    name = key.removeprefix("val_")
    known = {gauge.name: gauge for gauge in gauges}
    if name == "loss":
        return LOWER
    if name not in known:
        every = [f"{start}{each}" for each in ("loss", *known) for start in ("val_", "")]
        raise ArgumentError(
            f"There is no figure {key!r} in this training.{did_you_mean(key, every)}",
            fix=f"one of {', '.join(every)}; others with metrics=",
            expected=every,
            got=key,
        )
    better = known[name].better
    if better is None:
        raise ArgumentError(
            f"Is {name} better when it is higher or lower?",
            fix=f'metrics=[rt.Metric({name}, better="lower")]',
            path=name,
        )
    return better


def _own(objective: Objective, metric: Metric) -> list[Gauge]:
    return [Gauge(metric.name, metric.better, Own(metric, objective), lambda s, n: s["summed"] / n)]


def _by_name(net: Net, objective: Objective, name: str) -> list[Gauge]:
    port, _, rest = name.rpartition(".")
    terms = [term for term in objective.terms if term.port == port] if port else [*objective.terms]
    figure = find_figure(rest if terms else name)
    suited = [term for term in terms if sense(net, term) in figure.senses]
    if not suited:
        raise _suits_none(net, objective, figure)
    every = [term for term in objective.terms if sense(net, term) in figure.senses]
    alone = len(every) == 1
    return [
        _gauge(net, term, figure, figure.name if alone else f"{term.port}_{figure.name}") for term in suited
    ]


def _suits_none(net: Net, objective: Objective, figure: Figure) -> ArgumentError:
    senses = [(term.port, sense(net, term)) for term in objective.terms]
    told = (
        ", ".join(f"{port} is {said}" for port, said in senses) or "the loss is one function of all outputs"
    )
    there = [n for n, each in FIGURES.items() if any(said in each.senses for _, said in senses)]
    return ArgumentError(
        f"metrics: {figure.name} is of {' or '.join(figure.senses)}, but {told}.",
        fix=f"one of {', '.join(there)}" if there else "a function of outputs and targets",
        expected=there,
        got=figure.name,
    )


def _gauge(net: Net, term: Term, figure: Figure, name: str) -> Gauge:
    if figure.whole:
        return Gauge(
            name, figure.better, None, lambda s, n: s["measured"][figure.name], term.port, figure.name
        )
    adder, finish = _adder(net, term, figure.name)
    return Gauge(name, figure.better, adder, finish, term.port, figure.name)


def _adder(net: Net, term: Term, name: str) -> tuple[Adder, Finish]:
    k, average = top_of(name), average_of(name)
    if k is not None:
        return Tops(net, term, k), lambda s, n: s["right"] / n
    if name in _BY_CLASS:
        return ByClass(net, term), lambda s, n: float(getattr(counted_of(s, term.ignored), name))
    if average is not None or name in _RATES:
        rate, how = average or (name, "of True" if sense(net, term) == BOOLEAN else "macro")
        return ByClass(net, term), partial(_rate, rate, how, term.ignored)
    if name == "mae" and sense(net, term) == ORDERED:
        return Steps(net, term), lambda s, n: s["steps"] / n
    made, finish = _FINISHES[name]
    return made(net, term), finish


def _rate(rate: str, how: str, ignored: int | None, sums: Mapping[str, Any], count: int) -> float:
    counted = counted_of(sums, ignored)
    return float(getattr(counted.of(1) if how == "of True" else counted.averaged(how), rate))
