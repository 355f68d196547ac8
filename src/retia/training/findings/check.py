"""``rt.check``: an audit of a net and its data before they are trained. Nothing is changed by it.

What would be refused is found by the same code that refuses it; what looks wrong is in ``warned.py``, for a
moment's look, and here, for what takes a second.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.engine.devices import read_device
from retia.errors import ArgumentError, Error
from retia.metrics.examples import columns_of, whole_targets
from retia.metrics.loss import Loss
from retia.metrics.objective import aims_of, objective
from retia.nets.net import Net
from retia.nets.settings import choice, whole
from retia.sources.dataset import Data
from retia.sources.feeds import ResidentFeed
from retia.sources.inspection import Gaps, gaps
from retia.sources.reading import data as read_data
from retia.training.findings.alike import alike
from retia.training.findings.audit import Audit, Finding
from retia.training.findings.looks import never_change, sample
from retia.training.findings.trial import Pace, beginning, paced, seconds
from retia.training.findings.warned import all_warnings, tallies
from retia.training.frozen import refuse_idle
from retia.training.optimizers import read_optimizer
from retia.training.prepare import Prepared, batches, prepare
from retia.training.rates import read_rates
from retia.training.start import train
from retia.training.step import Step

if TYPE_CHECKING:
    pass

LEAVES_TRACES = ("cache", "callbacks", "checkpoint", "look", "on_epoch", "progress", "resume")
"""Arguments of ``train`` that an audit takes and does not hand on."""


@dataclass
class Asked:
    """What a training is asked for.

    Attributes:
        net, data, validation, loss, rates, optimizer, seed, batch_size, epochs, device, engine: as
            ``train`` takes them, one seed and one optimizer of several.
        more: the other arguments of ``train``.
        problems: what would be refused, as it is found.
    """

    net: Net
    data: Data
    validation: Any
    loss: Any
    rates: Any
    optimizer: Any
    seed: Any
    batch_size: Any
    epochs: Any
    device: torch.device
    engine: str
    more: Mapping[str, Any]
    problems: list[Finding] = field(default_factory=list)

    @contextmanager
    def trying(self) -> Iterator[None]:
        """Around what may be refused: the error becomes a problem, once."""
        try:
            yield
        except Error as error:
            broken = isinstance(error.got, float) and not math.isfinite(error.got)
            told = broken and any(each.kind == NOT_FINITE for each in self.problems)
            if not told and Finding.of(error) not in self.problems:
                self.problems.append(Finding.of(error))


NOT_FINITE = "not finite"


def check(
    net: Net,
    data: Any,
    *,
    validation: Any = None,
    loss: Any = None,
    rates: Mapping[str, float] | None = None,
    batch_size: int = 64,
    epochs: int = 5,
    optimizer: Any = None,
    seed: Any = 0,
    device: Any = None,
    engine: str = "auto",
    **more: Any,
) -> Audit:
    """Look over a net and its data before training: what would be refused, what looks wrong, what it takes.

    Nothing is changed: the net, the data, files and settings stay as they are; a few steps are tried and
    timed on copies. It takes a few seconds, mostly for the data that has to be read.

    Args:
        net, data: as in ``rt.train``, like everything else; give both the same arguments.
        validation, loss, rates, batch_size, epochs, optimizer, seed, device, engine: as in ``rt.train``; of
            several seeds or optimizers the first is looked at.
        more: other arguments of ``rt.train``.
    Returns:
        The audit: ``.problems``, ``.warnings`` and ``.facts``; ``print`` it for a report.
    Raises:
        ArgumentError: what is given first is no net. All else that is wrong is among the problems.
    Example:
        >>> import retia as rt
        >>> net = rt.Chain(rt.Linear(), rt.Softmax(), rt.Softmax(), input=2, output=rt.Classes(["a", "b"]))
        >>> audit = rt.check(net, ([[0.0, 1.0], [1.0, 0.0]], ["a", "b"]))
        >>> [problem.kind for problem in audit.problems]
        ['TrainingError']
    """
    if not isinstance(net, Net):
        raise ArgumentError(f"check: the first argument is a net; got {net!r}.", got=net)
    try:
        found = read_data(data)
        place = read_device(device)
    except Error as error:
        return Audit((Finding.of(error),), (), {})
    one, number = _first(optimizer), _first(seed)
    asked = Asked(net, found, validation, loss, rates, one, number, batch_size, epochs, place, engine, more)
    ready, step = _refused(asked)
    if ready is None or step is None:
        return Audit(tuple(asked.problems), (), {})
    warnings: list[Finding] = []
    facts = _facts(asked, ready, step)
    with asked.trying():
        if not asked.problems:
            warnings, more_facts = _looked_over(asked, ready, step)
            facts |= more_facts
    return Audit(tuple(asked.problems), tuple(warnings), facts)


def _looked_over(asked: Asked, ready: Prepared, step: Step) -> tuple[list[Finding], dict[str, Any]]:
    """What looks wrong, and what can be told by trying.

    Raises: what ``train`` refuses in its first step, a loss function that answers something else, say.
    """
    pace = paced(ready, step, asked.batch_size, asked.epochs, asked.engine)
    seen = sample(ready.train)
    twins = alike(ready.train, ready.validation)
    about = all_warnings(ready, step, seen, twins, asked.batch_size, asked.net, asked.data)
    begun, probed = beginning(ready, step, seen)
    facts = _costs(asked, ready, step, pace) | _looked(ready, len(seen), probed)
    still = {name: f"{share:.1%}" for name, share in never_change(ready.train).items() if share}
    facts |= {"never change": still} if still else {}
    return [*about, *_few_steps(asked, ready), *begun], facts


def _first(given: Any) -> Any:
    """One of several seeds or optimizers."""
    return given[0] if isinstance(given, list | tuple | range) and len(given) else given


# What would be refused ----------------------------------------------------------------------------


def _refused(asked: Asked) -> tuple[Prepared | None, Step | None]:
    """Gather the problems; answers what could be prepared in spite of them."""
    asked.problems += _not_finite(asked)
    ready, step = None, None
    with asked.trying():
        asked.epochs = whole(0)("train: epochs", asked.epochs)
    with asked.trying():
        asked.batch_size = whole(1)("train: batch_size", asked.batch_size)
    with asked.trying():
        choice("auto", "program", "compile", "walk")("train: engine", asked.engine)
    seed = 0
    with asked.trying():
        seed = whole(0, 2**63 - 1)("train: seed", asked.seed)
    with asked.trying():
        same = {"validation": asked.validation, "loss": asked.loss, "rates": asked.rates}
        same |= {"optimizer": asked.optimizer, "seed": asked.seed, "batch_size": asked.batch_size}
        rest = {name: given for name, given in asked.more.items() if name not in LEAVES_TRACES}
        train(asked.net, asked.data, epochs=0, progress=False, device=asked.device, **same, **rest)
    with asked.trying():
        optimizer = read_optimizer(asked.optimizer)
        args = asked.validation, asked.loss, seed, asked.device
        ready = prepare(asked.net, asked.data, *args)
        rates = read_rates(ready.net, asked.rates)
        step = Step(ready.net, ready.objective, optimizer, seed, rates)
        refuse_idle(step)
    if asked.problems:
        _more_problems(asked, ready)
    return ready, step


def _more_problems(asked: Asked, ready: Prepared | None) -> None:
    """What the first error hid."""
    with asked.trying():
        read_optimizer(asked.optimizer)
    with asked.trying():
        read_rates(asked.net, asked.rates)
    if ready is None:
        with asked.trying():
            aims = aims_of(asked.net, asked.loss)
            objective(asked.net, asked.loss, whole_targets(asked.net, asked.data.train, aims))
        return
    for part in (ready.train, ready.validation):
        if part is not None:
            with asked.trying():
                part.check_all()
            if isinstance(part.feed, ResidentFeed):
                ports = ready.objective.ports
                with asked.trying():
                    ready.objective.check({port: part.feed.tensors[part.packed(port)] for port in ports})


def _not_finite(asked: Asked) -> list[Finding]:
    """NaN and infinity in what the net reads, with their rows."""
    sets = {"": asked.data.train}
    if asked.validation is None and asked.data.validation is not None:
        sets["validation "] = asked.data.validation
    elif asked.validation is not None and not isinstance(asked.validation, int | float):
        with asked.trying():
            sets["validation "] = read_data(asked.validation)
    found = []
    for part, data in sets.items():
        with asked.trying():
            ports = [*asked.net.inputs, *aims_of(asked.net, asked.loss)]
            read = {column: port for port, column in columns_of(asked.net, data, ports).items()}
            found += [_gap(part, read[each.column], each) for each in gaps(data) if each.column in read]
    return found


def _gap(part: str, port: str, each: Gaps) -> Finding:
    places = [f"{part}row {row}{_place(place)} ({number:g})" for row, place, number in each.first]
    more = f" and {each.count - len(places):,} more" if each.count > len(places) else ""
    rows = f"{each.rows:,} row{'s' * (each.rows > 1)}"
    text = f"{port}: {rows} hold{'s' * (each.rows == 1)} what is no number: {', '.join(places)}{more}."
    return Finding(NOT_FINITE, text, port, "leave the rows out, or fill the gaps")


def _place(place: tuple[int, ...]) -> str:
    if not place:
        return ""
    return f", column {place[0]}" if len(place) == 1 else f", place {place}"


# Facts --------------------------------------------------------------------------------------------


def _few_steps(asked: Asked, ready: Prepared) -> list[Finding]:
    number = len(ready.train)
    if asked.batch_size <= number or not asked.epochs:
        return []
    return [
        Finding(
            "batch size",
            f"batch_size={asked.batch_size} is more than the {number:,} training examples: an epoch is one "
            f"step, and {asked.epochs} of them are all.",
            "batch_size",
            f"batch_size={max(1, number // 10)}, or more epochs",
        )
    ]


def _facts(asked: Asked, ready: Prepared, step: Step) -> dict[str, Any]:
    """What a training would be, as far as it needs no trying."""
    examples = {"training": len(ready.train)}
    if ready.validation is not None:
        examples["validation"] = len(ready.validation)
    facts: dict[str, Any] = {
        "parameters": ready.net.count,
        "trained": _by_name(ready.net, step.paces.moved),
        "frozen": _by_name(ready.net, step.paces.frozen),
        "examples": examples,
        "validation": ready.chosen,
    }
    counted = {tally.port: tally.counts for tally in tallies(ready)}
    facts |= {"classes": counted} if counted else {}
    unread = set(asked.data.columns) - {ready.train.packed(name) for name in _ports(ready)}
    facts |= {"unread columns": tuple(sorted(unread))} if unread else {}
    return facts | {"loss": _reason(asked, ready)}


def _ports(ready: Prepared) -> tuple[str, ...]:
    return (*ready.net.inputs, *ready.objective.ports)


def _by_name(net: Net, paths: tuple[str, ...]) -> dict[str, int]:
    """Numbers of arrays by the first name in their paths."""
    found: dict[str, int] = {}
    for path in paths:
        name = path.split(".")[0]
        found[name] = found.get(name, 0) + net.arrays[path].numel()
    return found


def _reason(asked: Asked, ready: Prepared) -> str:
    """The loss, and where it comes from."""
    if asked.loss is not None:
        return f"{ready.objective.name}, as given"
    reasons = []
    for term in ready.objective.terms:
        codec = ready.net.outputs[term.port].codec
        ends = f"{term.port} ends in {term.ending}" if term.ending else f"{term.port} is numbers"
        own = isinstance(term.loss, Loss) and not term.has_targets
        why = f"{term.port} is {type(codec).__name__}" if codec is not None else ends
        reasons.append(f"{term.name}, for {'the net computes it' if own else why}")
    return "; ".join(reasons)


def _costs(asked: Asked, ready: Prepared, step: Step, pace: Pace) -> dict[str, Any]:
    steps = len(batches(ready, step.seed, 1, asked.batch_size)) * asked.epochs
    every = asked.epochs * len(ready.train)
    return {
        "optimizer": repr(step.optimizer),
        "steps": steps,
        "engine": pace.engine,
        "flops": None if pace.flops is None else pace.flops * every,
        "seconds": seconds(pace, ready, asked.epochs),
        "timed": f"{pace.steps} steps, {pace.example * asked.batch_size * 1000:.3g} ms each",
    }


def _looked(ready: Prepared, seen: int, probed: int) -> dict[str, Any]:
    """What was judged by a part of the examples only."""
    told = []
    if seen < len(ready.train):
        told.append(f"inputs and targets by {seen:,} training examples")
    if probed < len(ready.train):
        told.append(f"layers by {probed:,}")
    if not isinstance(ready.train.feed, ResidentFeed):
        why = "vary in size" if ready.train.feed.varies else "do not fit into memory"
        told.append(f"rows not compared, for they {why}")
    return {"sampled": tuple(told)} if told else {}
