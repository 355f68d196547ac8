"""A few steps on throw-away state: how a training would begin, what it costs, how long it would take.

Arrays are copied first, so the net stays as it is. Nothing global is changed for longer than a call.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from retia._torch import torch
from retia.engine.cost import flops
from retia.engine.process import steady
from retia.engine.trace import NotFlatError, record
from retia.metrics.examples import Batch
from retia.metrics.loss import Loss
from retia.training.findings.audit import Finding, listed
from retia.training.job import Job
from retia.training.prepare import Prepared, batches
from retia.training.reports.chance import chance_of
from retia.training.reports.records import LayerRecord, Records, probe_size, records_of
from retia.training.reports.symptoms import DEAD, SATURATED, VANISHED
from retia.training.runner import runner_of
from retia.training.step import Step

if TYPE_CHECKING:
    from torch import Tensor

STEPS, LEAST, SECONDS = 30, 3, 1.0
"""So many steps are timed, or as many as fit into the time; few in more time, where each takes long."""
TIMES, BESIDE = 10.0, 2.0
"""A loss above so many times chance, and so much beside, is no bad luck of the first arrays.

Plain tables, of a few units each way, begin at five times chance and learn all the same.
"""
JUDGED = 3
"""Judging an example costs a third of learning from it: a step has three products for the one."""


@dataclass(frozen=True)
class Pace:
    """What training costs.

    Attributes:
        example: seconds that an example takes in a step.
        planned: seconds before the first step.
        steps: that were timed.
        engine: how steps run, in words.
        flops: floating-point operations of an example's products and convolutions; None where the net
            decides by the numbers it sees.
    """

    example: float
    planned: float
    steps: int
    engine: str
    flops: float | None


def arrays_of(ready: Prepared) -> dict[str, Tensor]:
    """Copies of a net's arrays on the device of its examples."""
    device = ready.train.device
    return {path: tensor.detach().clone().to(device) for path, tensor in ready.net.arrays.items()}


def beginning(ready: Prepared, step: Step, seen: Batch) -> tuple[list[Finding], int]:
    """What looks wrong in the net's first answers and gradients, and by how many examples that was seen.

    Args:
        seen: a sample of the training part, for what chance would give.
    """
    size = probe_size(step.net, len(ready.train))
    batch = ready.train.batch(torch.arange(size) * len(ready.train) // size)
    with steady():
        begun = records_of(step, arrays_of(ready), batch)
    about = [*_of_loss(step, begun, chance_of(step.objective, seen.targets)), *_of_layers(step, begun)]
    return about, size


def paced(ready: Prepared, step: Step, batch_size: int, epochs: int, engine: str) -> Pace:
    """Time a few steps, as ``train`` would run them.

    Args:
        epochs: that are asked for, which settle how steps run.
        engine: as in ``train``.
    """
    rows = batches(ready, step.seed, 1, batch_size)
    sizes = {size: times * epochs for size, times in Counter(map(len, rows)).items()}
    with steady():
        begun = time.perf_counter()
        runner = runner_of(engine, step, ready.train, arrays_of(ready), sizes)
        torch.set_num_threads(runner.threads)
        runner.epoch(rows[:1], lambda rows, loss: False)  # what is done once is no part of a step's time
        planned = time.perf_counter() - begun
        again = (rows[1:] + rows * STEPS)[:STEPS]
        took, stamps = [], [time.perf_counter()]

        def watch(rows: Tensor, loss: float) -> bool:
            stamps.append(time.perf_counter())
            took.append((stamps[-1] - stamps[-2]) / len(rows))
            enough = SECONDS if len(took) >= LEAST else LEAST * SECONDS
            return stamps[-1] - stamps[0] > enough

        runner.epoch(again, watch)
        by_step = ready.train.device.type == "cpu"  # elsewhere many steps are waited for at once
        each = statistics.median(took) if by_step else statistics.fmean(took)
        return Pace(each, planned, len(took), runner.told, _flops(ready, step, len(rows[0])))


def seconds(pace: Pace, ready: Prepared, epochs: int) -> float:
    """How long a training would take."""
    judged = len(ready.validation) / JUDGED if ready.validation is not None else 0
    return (pace.planned if epochs else 0) + epochs * pace.example * (len(ready.train) + judged)


def _flops(ready: Prepared, step: Step, size: int) -> float | None:
    job = Job(step, ready.train)
    try:
        return sum(flops(record(job, job.first(size, arrays_of(ready))))) / size
    except NotFlatError:
        return None


# What is striking ---------------------------------------------------------------------------------


def _of_loss(step: Step, begun: Records, chance: float | None) -> Iterator[Finding]:
    senses = {term.loss.sense if isinstance(term.loss, Loss) else "" for term in step.objective.terms}
    if chance is None or not senses <= {"classes", "boolean"} or begun.loss <= TIMES * chance + BESIDE:
        return
    largest = max(begun.layers, key=lambda each: each.deviation or 0.0)
    yield Finding(
        "first loss",
        f"The loss starts at {begun.loss:.3g}; the same answer to everything has {chance:.3g}. Numbers are "
        f"largest after {_named(largest)}, of deviation {largest.deviation or 0:.3g}.",
        largest.path,
        "inputs of about -1 to 1, smaller first weights, or the labels that the net was trained with",
    )


def _of_layers(step: Step, begun: Records) -> Iterator[Finding]:
    dead = [each for each in begun.layers if (each.dead or 0.0) >= DEAD]
    if dead:
        yield Finding(
            "dead units",
            f"Units that are 0 for all {begun.examples} examples looked at: {_shares(dead, 'dead')}.",
            dead[0].path,
            "inputs of about -1 to 1, rt.LeakyReLU(), or rt.BatchNorm() before",
        )
    ends = {value[0] for value in step.net.wiring.outputs.values()}
    full = [each for each in begun.layers if (each.saturated or 0.0) >= SATURATED and each.path not in ends]
    if full:
        yield Finding(
            "saturated units",
            f"Outputs at the ends of their range, where gradients vanish: {_shares(full, 'saturated')}.",
            full[0].path,
            "inputs of about -1 to 1, smaller first weights, or rt.BatchNorm() before",
        )
    yield from _of_gradients(begun)


def _of_gradients(begun: Records) -> Iterator[Finding]:
    learned = [each for each in begun.layers if each.gradient is not None]
    still = [each for each in learned if each.gradient == 0]
    if still:
        yield Finding(
            "no gradient",
            f"The first step would not move {listed(map(_named, still))}: the gradient is 0.",
            still[0].path,
            "look for dead units, weights of 0 and what cuts gradients off behind these layers",
        )
        return
    if not learned:
        return
    first, greatest = learned[0], max(learned, key=_gradient)
    if _gradient(first) < VANISHED * _gradient(greatest):
        yield Finding(
            "vanishing gradients",
            f"The gradient is {_gradient(greatest):.2g} at {_named(greatest)}, but {_gradient(first):.2g} at "
            f"{_named(first)}, which will hardly learn.",
            first.path,
            "rt.ReLU() in place of Sigmoid or Tanh, rt.BatchNorm() between layers, or paths around layers",
        )


def _gradient(layer: LayerRecord) -> float:
    return layer.gradient or 0.0


def _shares(layers: list[LayerRecord], name: str) -> str:
    return listed(f"{getattr(each, name):.0%} of {_named(each)}" for each in layers)


def _named(layer: LayerRecord) -> str:
    return f"{layer.path} ({layer.layer})" if layer.path else layer.layer
