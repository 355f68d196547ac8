"""What looks wrong before the first step, as far as it is seen in a moment: ``train`` says it once.

``rt.check`` says it too, with what takes longer to find. Nothing here refuses anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia.codecs import Boolean, Classes
from retia.metrics.examples import Batch, Examples, columns_of
from retia.metrics.loss import CLASSES, Loss
from retia.nets.net import Net
from retia.nets.wiring import join
from retia.training.findings.alike import Alike, alike, packed_bytes
from retia.training.findings.audit import Finding, listed
from retia.training.findings.looks import of_numbers, sample
from retia.training.frozen import reached, resting
from retia.training.prepare import Prepared
from retia.training.step import Step

if TYPE_CHECKING:
    from retia.sources.dataset import Data

QUICK = 2**26
"""Bytes of packed inputs among which rows are compared in a moment."""
UNEVEN = 10
"""So many times as many examples of one class as of another are called unbalanced."""
REPEATED = 0.01
"""This share of examples may stand in training more than once."""
FASTEST = {"SGD": 10.0, "Adagrad": 10.0, "Adadelta": 100.0, "LBFGS": 100.0}
"""Learning rates that no training needs; 1 for the others, which move every number by about the rate."""


@dataclass(frozen=True)
class Tally:
    """How often each label of an output stands in the parts.

    Attributes:
        port: of the output.
        counts: by label, one number for each part: training, then validation if there is one.
    """

    port: str
    counts: Mapping[Any, tuple[int, ...]]


def quick_warnings(
    ready: Prepared,
    step: Step,
    *,
    batch_size: int = 64,
    given: Net | None = None,
    data: Data | None = None,
) -> list[Finding]:
    """What looks wrong, as far as it is seen in a moment.

    Args:
        ready: before anything frozen is computed once.
        step: with its rates.
        batch_size: at least 1.
        given: the net before ``prepare``, which tells what was never trained.
        data: the set before ``prepare``, which tells what is its test part.
    Example:
        >>> import retia as rt
        >>> from retia._torch import torch
        >>> from retia.training.prepare import prepare
        >>> net, data = rt.Linear(2), rt.data(([[1.0], [2.0]], [[1.0, 2.0], [2.0, 4.0]]))
        >>> ready = prepare(net, data, None, None, 0, torch.device("cpu"))
        >>> step = Step(ready.net, ready.objective, rt.Adam(3.0))
        >>> [finding.kind for finding in quick_warnings(ready, step)]
        ['learning rate']
    """
    small = sum(packed_bytes(part) or 0 for part in _parts(ready)) <= QUICK
    twins = alike(ready.train, ready.validation) if small else Alike()
    return all_warnings(ready, step, sample(ready.train), twins, batch_size, given, data)


def all_warnings(
    ready: Prepared,
    step: Step,
    batch: Batch,
    twins: Alike,
    batch_size: int,
    given: Net | None,
    data: Data | None,
) -> list[Finding]:
    """What data, net and settings show. ``batch`` is a sample of the training part; else as above."""
    return [
        *(finding for tally in tallies(ready) for finding in _of_classes(tally)),
        *_of_twins(ready, twins),
        *of_numbers(ready.train.origin, batch),
        *_of_test(ready, data),
        *_of_pace(step),
        *_of_ones(ready, batch_size),
        *_of_rest(ready.net, step, given),
        *_of_unread(ready.net, step),
    ]


# Classes and parts --------------------------------------------------------------------------------


def tallies(ready: Prepared) -> list[Tally]:
    """How often each label stands in the parts, for every output that has labels."""
    found = []
    for port in ready.objective.ports:
        labels = _labels(ready, port)
        counts = [_counts(part, port) for part in _parts(ready)]
        if labels is not None and None not in counts:
            every = {label: tuple(each.get(label, 0) for each in counts if each) for label in labels}
            found.append(Tally(port, every))
    return found


def _parts(ready: Prepared) -> list[Examples]:
    return [part for part in (ready.train, ready.validation) if part is not None]


def _labels(ready: Prepared, port: str) -> Iterable[Any] | None:
    codec = ready.net.outputs[port].codec
    if isinstance(codec, Classes):
        return codec.labels
    if isinstance(codec, Boolean):
        return (False, True)
    term = next((term for term in ready.objective.terms if term.port == port), None)
    if codec is not None or term is None or not isinstance(term.loss, Loss) or term.loss.form != CLASSES:
        return None
    shape = ready.net.solution.shape(term.reads)
    size = shape[0] if shape and len(shape) == 1 else None
    return range(size) if isinstance(size, int) else None


def _counts(examples: Examples, port: str) -> Mapping[Any, int] | None:
    data = examples.data
    column = columns_of(examples.net, data, [port])[port]
    return data.counts(column) if data.columns[column].labels(range(0)) is not None else None


def _of_classes(tally: Tally) -> Iterator[Finding]:
    port = tally.port
    missing = [label for label, counts in tally.counts.items() if not counts[0]]
    present = {label: counts[0] for label, counts in tally.counts.items() if counts[0]}
    if missing:
        yield Finding(
            "class missing",
            f"{port}: no training example is {listed(map(repr, missing))}.",
            port,
            "examples of every class, or output=rt.Classes() to learn the labels from the data",
        )
    if len(present) == 1:
        yield Finding("one class", f"{port}: all training examples are {next(iter(present))!r}.", port)
    unseen = [label for label, counts in tally.counts.items() if counts[0] and not all(counts)]
    if unseen:
        yield Finding(
            "class missing",
            f"{port}: no validation example is {listed(map(repr, unseen))}, so nothing tells how well that "
            "is learned.",
            port,
            "more examples in the validation part, validation=0.2",
        )
    if not present:
        return
    often, rare = max(present, key=lambda n: present[n]), min(present, key=lambda n: present[n])
    if present[often] >= UNEVEN * present[rare]:
        yield Finding(
            "unbalanced classes",
            f"{port}: {often!r} has {present[often]:,} training examples, {rare!r} {present[rare]:,}.",
            port,
            "more of the rare ones; rt.measure(net, data).confusion shows what accuracy hides",
        )


def _of_twins(ready: Prepared, twins: Alike) -> Iterator[Finding]:
    if twins.shared and ready.validation is not None:
        where = [_pair(ready, "validation", *pair) for pair in twins.shared]
        yield Finding(
            "in both parts",
            f"{len(twins.shared):,} of {len(ready.validation):,} validation examples are in the training "
            f"part too: {listed(where, 3)}. What is measured there flatters.",
            "validation",
            "take them out of one part; where the data has copies, before the split",
        )
    if len(twins.repeated) >= REPEATED * len(ready.train):
        where = [_pair(ready, "training", *pair) for pair in twins.repeated]
        if where:
            yield Finding(
                "repeated examples",
                f"{len(where):,} of {len(ready.train):,} training examples are there before: "
                f"{listed(where, 3)}.",
                "training",
            )
    if twins.torn:
        where = [_pair(ready, *each) for each in twins.torn]
        yield Finding(
            "contradicting targets",
            f"{len(where):,} examples have the inputs of another one and another target: {listed(where, 3)}.",
            "training",
            "look at these rows: one of each two is wrong, or the inputs do not say enough",
        )


def _pair(ready: Prepared, part: str, row: int, first: int) -> str:
    """Two rows as the user's columns have them."""
    later = ready.train if part == "training" else ready.validation
    assert later is not None
    rows = int(later.data.rows[row]), int(ready.train.data.rows[first])
    return f"{'validation ' * (part == 'validation')}row {rows[0]} as training row {rows[1]}"


def _of_test(ready: Prepared, data: Data | None) -> Iterator[Finding]:
    test = data.test if data is not None else None
    if test is None or ready.validation is None:
        return
    if ready.validation.data is test or ready.validation.data == test:
        yield Finding(
            "test set",
            "The test part is used for validation: the best net is chosen by it, so it is no test any more.",
            "validation",
            "validation=0.1, and rt.measure(run.net, data.test) once at the end",
        )


# Settings and net ---------------------------------------------------------------------------------


def _of_pace(step: Step) -> Iterator[Finding]:
    name, rate = type(step.optimizer).__name__, float(step.optimizer.learning_rate)
    fastest = rate * max(map(abs, step.paces.of.values()), default=0.0)
    if step.paces.of and fastest == 0:
        yield Finding("learning rate", f"{name}'s learning rate is 0: nothing moves.", "optimizer")
    elif fastest >= FASTEST.get(name, 1.0):
        much = "" if fastest == rate else f", {fastest:g} with rates"
        yield Finding(
            "learning rate",
            f"{name}'s learning rate is {rate:g}{much}: such steps leap over everything.",
            "optimizer",
            f"rt.{name}(learning_rate={0.01 if name == 'SGD' else 0.001:g})",
        )


def _of_ones(ready: Prepared, batch_size: int) -> Iterator[Finding]:
    mixing = [path for path, layer in ready.net.layers() if layer.mixes_batch]
    if mixing and min(batch_size, len(ready.train)) == 1:
        yield Finding(
            "batches of one",
            f"{listed(mixing)} take mean and deviation over a batch, and a batch is one example.",
            mixing[0],
            "batch_size=16 or more, or rt.GroupNorm(groups)",
        )


def _of_rest(net: Net, step: Step, given: Net | None) -> Iterator[Finding]:
    """Frozen layers that hold what nobody has learned."""
    rest = resting(net, step.paces)
    learned = set(step.paces.frozen)
    made = {path for path in rest & learned if given is not None and path not in given.arrays}
    layers = [node for node in net.wiring.nodes if node.path in step.paces.still]
    drawn = [node.label for node in layers if any(node.at(own) in made for own in node.layer.owns())]
    fresh = [node.label for node in layers if _is_fresh(net, node.key, node.layer.owns())]
    if drawn:
        yield Finding(
            "frozen at random",
            f"Frozen, but never trained: {listed(drawn)}. Their arrays were drawn from the seed just now.",
            drawn[0],
            "freeze layers of a trained net, or train these too",
        )
    if fresh and not drawn:
        yield Finding(
            "fresh statistics",
            f"Frozen with mean 0 and variance 1, as before any training: {listed(fresh)}.",
            fresh[0],
            "load a trained net's running statistics too, or leave these layers free",
        )


def _is_fresh(net: Net, key: str, owns: Iterable[str]) -> bool:
    """Whether a layer has running statistics, and they are as they begin."""
    mean, var = (net.arrays.get(join(key, name)) for name in ("running_mean", "running_var"))
    if not {"running_mean", "running_var"} <= set(owns) or mean is None or var is None:
        return False
    return not bool(mean.any()) and bool((var == 1).all())


def _of_unread(net: Net, step: Step) -> Iterator[Finding]:
    nodes, alive = reached(net, step.objective.wanted)
    read = {node.at(own) for node in nodes for own in node.layer.owns()}
    idle = [path for path in step.learned if path not in read]
    if idle:
        yield Finding(
            "never trained",
            f"The loss ({step.objective.name}) does not read {listed(idle)}, so nothing moves them.",
            idle[0],
            'a loss for their output too, or rates={"' + idle[0].split(".")[0] + '": 0}',
        )
    unread = [name for name in net.inputs if ("", name) not in alive]
    if unread:
        yield Finding("unread input", f"The loss does not depend on {listed(unread)}.", unread[0])
