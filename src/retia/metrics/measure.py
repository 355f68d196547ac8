"""``rt.measure``: a net run over a set of examples, in their order and in inference behaviour."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.codecs.boxes import Boxes
from retia.engine.devices import program_on
from retia.engine.intake import device_of
from retia.engine.trace import NotFlatError
from retia.engine.values import ValuesProgram
from retia.engine.walk import Run, walk_values
from retia.errors import ArgumentError, DataError
from retia.metrics.collector import Collector
from retia.metrics.examples import Batch, Examples, columns_of, things_of, whole_targets
from retia.metrics.gauges import Gauge
from retia.metrics.kept import Nothing
from retia.metrics.measurement import Measurement
from retia.metrics.objective import aims_of, objective
from retia.metrics.tally import Tally, gauges_of
from retia.metrics.totals import Means
from retia.nets.net import Net, missing_arrays
from retia.nets.wiring import Value
from retia.sources.dataset import Data
from retia.sources.reading import data as read_data

if TYPE_CHECKING:
    from torch import Tensor

CHUNK = 256

REPAYS = 8
"""From so many full batches on, planning a program costs less than it saves."""


def measure(
    net: Net, data: Any, *, metrics: Any = None, loss: Any = None, batch_size: int = CHUNK
) -> Measurement:
    """How well a net does on a set of examples.

    The net is run as in a call, so nothing in it is random and nothing changes. Figures are counted over
    examples, never averaged over batches, and predictions come in the order of the data.

    Of every decision at most 20 bytes are kept; all scores where they are fewer than 16 million, or where a
    metric asked for needs them (``"auc"``, ``"average_precision"``, ``"median_absolute_error"``).

    Args:
        net: with all its arrays.
        data: as ``rt.data`` takes it, with targets; of a set with parts, one of them.
        metrics: what is told, instead of the usual figures: names such as ``"f1"``, ``"top_5"`` or
            ``"age.mae"``, functions of outputs and targets, ``rt.Metric`` values. Everything else can still
            be asked of the answer.
        loss: as in ``rt.train``; left out, it follows from the output.
        batch_size: at least 1, examples at once; it changes nothing but speed and memory.
    Returns:
        ``.accuracy``, ``.confusion``, ``.top(5)``, ``.r2``, ...: what suits the output.
    Raises:
        ArraysError: arrays are missing. DataError: no targets, no examples, or a set with parts.
        ArgumentError: a metric that there is not, or that suits no output.
    Example:
        >>> import retia as rt
        >>> double = rt.Chain(rt.ReLU(), input=1, output=1)
        >>> rt.measure(double, ([[1.0], [2.0]], [[1.0], [4.0]])).mse
        2.0
    """
    return measured(net, data, metrics=metrics, loss=loss, batch_size=batch_size)


def measured(
    net: Net,
    data: Any,
    *,
    metrics: Any = None,
    loss: Any = None,
    batch_size: int = CHUNK,
    every: bool = False,
) -> Measurement:
    """``measure``, with ``every`` keeping all scores, however many."""
    if not isinstance(net, Net):
        raise ArgumentError(f"measure: the first argument is a net; got {net!r}.", got=net)
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise ArgumentError(
            f"measure: batch_size is a whole number of at least 1; got {batch_size!r}.", got=batch_size
        )
    missing_arrays(net)
    examples = _examples(net, _one_part(read_data(data), data), loss)
    lower = examples.objective
    gauges = gauges_of(net, lower, metrics)
    whole = {gauge.port for gauge in gauges if gauge.adder is None}
    collectors = {
        term.port: Collector(
            net,
            term,
            len(examples),
            every=every or term.port in whole,
            things=_boxes_of(net, examples.data, term.port),
        )
        for term in lower.terms
    }
    means, others = Means(lower), Tally(lower, [gauge for gauge in gauges if not gauge.port])
    values_of = _values_of(net, examples, batch_size)
    for batch in examples.in_order(batch_size):
        examples.check(batch)
        with torch.no_grad():
            values = values_of(batch)
            means.add(values, batch)
            others.add(values, batch)
            for term in lower.terms:
                collectors[term.port].add(values[term.reads], batch.targets.get(term.port), batch.lengths)
    asked = None if metrics is None else gauges
    parts = {
        port: Measurement(means.of(port), len(examples), examples.data, each.kept(), asked=_of(asked, port))
        for port, each in collectors.items()
    }
    if len(parts) == 1:
        return replace(next(iter(parts.values())), others=others.figures())
    kept = None if parts else Nothing({})
    return Measurement(means.mean(), len(examples), examples.data, kept, parts, others=others.figures())


def _of(gauges: list[Gauge] | None, port: str) -> tuple[str, ...] | None:
    """The figures of a port that were asked for."""
    return None if gauges is None else tuple(gauge.figure for gauge in gauges if gauge.port == port)


def _values_of(net: Net, examples: Examples, size: int) -> Callable[[Batch], Mapping[Value, Tensor]]:
    """What gives the values that the objective reads: a program for full batches, where there are enough."""
    arrays, wanted = net.arrays.check(), examples.objective.wanted

    def walked(batch: Batch) -> Mapping[Value, Tensor]:
        return walk_values(net, batch.inputs, arrays, Run(rows=batch.rows, lengths=batch.lengths), wanted)

    few = len(examples) // size < REPAYS
    if few or examples.feed.varies or not program_on(examples.device):
        return walked
    try:
        first = examples.batch(torch.arange(size))
        program = ValuesProgram(net, wanted, first.inputs, arrays, constant=True)
    except NotFlatError:
        return walked
    return lambda batch: program(batch.inputs) if len(batch) == size else walked(batch)


def _boxes_of(net: Net, data: Data, port: str) -> Sequence[Any] | None:
    """What the data has at an output of boxes: more than its grid can hold."""
    if not isinstance(net.outputs[port].codec, Boxes):
        return None
    return things_of(data, columns_of(net, data, [port])[port])


def _one_part(data: Data, source: Any) -> Data:
    if data.parts:
        raise DataError(
            f"measure: the set has parts ({', '.join(data.parts)}); which of them is meant?",
            fix=f"rt.data({source!r}).test" if isinstance(source, str) else "rt.measure(net, data.test)",
            got=[*data.parts],
        )
    if not len(data):
        raise DataError("measure: there are no examples.", got=0)
    return data


def _examples(net: Net, data: Data, loss: Any) -> Examples:
    lower = objective(net, loss, whole_targets(net, data, aims_of(net, loss)))
    return Examples(net, data, lower, device_of(net))
