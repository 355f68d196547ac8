"""How the numbers at a net's ports look: columns that say nothing, columns that say too much, scales.

Everything is judged by a sample of the training part, as the net takes it: after the codecs, before the
first layer. Columns are those of ports of one number or a row of numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia._torch import torch
from retia.codecs import Table as Rows
from retia.metrics.examples import Batch, Examples
from retia.metrics.loss import Loss
from retia.nets.net import Net
from retia.sources.feeds import ResidentFeed
from retia.training.findings.audit import Finding, listed

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST, FEW = 4096, 16
"""Examples of a sample; and of one that has to be packed first."""
NUMBERS = 2**18
"""So many numbers of each input make a sample, where an example has many."""
ENOUGH = 20
"""From so many examples on, it is no chance that a column follows the target."""
LARGE = 30.0
"""Inputs whose root mean square is above this are called large."""
FAR = 100.0
"""Targets whose root mean square is above this are far from where a net starts."""
APART = 1000.0
"""Columns whose deviations are so many times each other are called unlike."""
BROAD = 100
"""Of more columns, some that never change are usual."""
EXACT = 1e-9
ERRORS = ("mse", "mae", "huber")
"""Losses that compare outputs with targets by their difference."""
NORMS = ("BatchNorm", "LayerNorm", "InstanceNorm", "GroupNorm", "RMSNorm")
BESIDE = ("Flatten", "Reshape", "Dropout")
"""Layers after which numbers are still on the scale on which they came."""


@dataclass(frozen=True)
class Table:
    """Inputs that are columns.

    Attributes:
        names: ``"age"`` for a port of one number, ``"input[3]"`` for one of a row, ``"input['sex=f']"`` where
            a codec has a name for it.
        places: of each the port, and which of its numbers it is.
        values: one row an example, float64.
    """

    names: tuple[str, ...]
    places: tuple[tuple[str, int], ...]
    values: NDArray[Any]


def sample(examples: Examples) -> Batch:
    """Examples spread over a set, few where they are large or have to be packed first."""
    examples = examples.origin
    count = FEW
    if isinstance(examples.feed, ResidentFeed):
        widest = max((tensor[:1].numel() for tensor in examples.feed.tensors.values()), default=1)
        count = min(MOST, max(FEW, NUMBERS // max(widest, 1)))
    rows = torch.linspace(0, len(examples) - 1, min(count, len(examples)), dtype=torch.float64)
    return examples.batch(rows.round().long())


def of_numbers(examples: Examples, batch: Batch) -> list[Finding]:
    """What is striking about inputs and targets.

    Args:
        examples: the training part.
        batch: a sample of it.
    """
    found = table_of(examples.net, batch)
    about = [*_far_targets(examples, batch)]
    if found is not None:
        about += [*_constant(examples, found), *_telling(examples, batch, found)]
        unlike = [*_unlike(found)] if not _norms(examples.net, ("BatchNorm",)) else []
        if unlike:
            return [*about, *unlike]
    return [*about, *_large(examples.net, batch)]


def table_of(net: Net, batch: Batch) -> Table | None:
    """The columns among the inputs of a batch; None where there are none."""
    names: list[str] = []
    places: list[tuple[str, int]] = []
    values = []
    for name, port in net.inputs.items():
        tensor = batch.inputs[name]
        if port.kind == "float" and tensor.dim() <= 2:
            numbers = tensor.reshape(len(tensor), -1)
            entries = port.codec.entries if isinstance(port.codec, Rows) else range(numbers.shape[1])
            names += [name] if tensor.dim() == 1 else [f"{name}[{entry!r}]" for entry in entries]
            places += [(name, number) for number in range(numbers.shape[1])]
            values.append(numbers.cpu().double().numpy())
    return Table(tuple(names), tuple(places), np.concatenate(values, axis=1)) if names else None


def never_change(examples: Examples) -> dict[str, float]:
    """For inputs of several axes, pictures mostly: the share of their packed numbers that never change."""
    feed = examples.origin.feed
    if not isinstance(feed, ResidentFeed) or len(examples) < 2:
        return {}
    tensors = {name: feed.tensors[examples.packed(name)] for name in examples.net.inputs}
    return {
        name: float((tensor == tensor[:1]).all(0).double().mean())
        for name, tensor in tensors.items()
        if tensor.dim() > 2
    }


# One finding each --------------------------------------------------------------------------------


def _constant(examples: Examples, table: Table) -> Iterator[Finding]:
    flat = [n for n in np.flatnonzero(np.ptp(table.values, axis=0) == 0).tolist() if len(table.values) > 1]
    still = [n for n in flat if _is_constant(examples, *table.places[n])]
    every = len(table.names)
    if not still or (every > BROAD and len(still) <= every // 2):
        return
    told = listed(f"{table.names[n]} ({table.values[0, n]:g})" for n in still)
    yield Finding(
        "constant column",
        f"{len(still)} of {every} columns hold{'s' * (len(still) == 1)} one number in all training "
        f"examples: {told}.",
        table.names[still[0]],
        "leave out what never changes",
    )


def _is_constant(examples: Examples, port: str, number: int) -> bool:
    """Whether a number that never changes in a sample is so in all examples, where they are at hand.

    What a table says of missing things is meant to be there, also while nothing is missing.
    """
    codec, feed = examples.net.inputs[port].codec, examples.origin.feed
    if isinstance(codec, Rows) and codec.missing == "always" and codec.entries[number].endswith(" missing"):
        return False
    if not isinstance(feed, ResidentFeed):
        return True
    column = feed.tensors[examples.packed(port)].reshape(len(examples), -1)[:, number]
    return bool((column == column[0]).all())


def _telling(examples: Examples, batch: Batch, table: Table) -> Iterator[Finding]:
    """Columns that give the target away."""
    rows, columns = table.values.shape
    if rows < ENOUGH or columns < 2:
        return
    for port in examples.objective.ports:
        target = batch.targets[port].cpu()
        flat = target.reshape(rows, -1)
        if target.is_floating_point():
            given = {n: _follows(table.values, flat[:, n].double().numpy()) for n in range(flat.shape[1])}
        else:
            given = {0: _stands_for(table.values, flat[:, 0].numpy())} if target.dim() == 1 else {}
        for number, which in given.items():
            if len(which):
                aim = port if target.dim() == 1 or flat.shape[1] == 1 else f"{port}[{number}]"
                names = [table.names[column] for column in which.tolist()]
                yield Finding(
                    "target among inputs",
                    f"{listed(names)} give{'s' * (len(names) == 1)} {aim} away: each value of the one goes "
                    "with one of the other.",
                    names[0],
                    "leave out what is not known when the net is asked",
                )


def _follows(values: NDArray[Any], target: NDArray[Any]) -> NDArray[Any]:
    """Columns that are an affine function of a target."""
    x, y = values - values.mean(0), target - target.mean()
    spread = (x * x).sum(0) * (y @ y)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = 1 - (y @ x) ** 2 / spread
    return np.flatnonzero((spread > 0) & (left < EXACT))


def _stands_for(values: NDArray[Any], numbers: NDArray[Any]) -> NDArray[Any]:
    """Columns with one value for each class, and another one for another class."""
    order = np.argsort(numbers, kind="stable")
    starts = np.flatnonzero(np.diff(numbers[order], prepend=numbers[order][0] - 1))
    if len(starts) < 2:
        return np.zeros(0, np.int64)
    sorted_values = values[order]
    low, high = (f.reduceat(sorted_values, starts, axis=0) for f in (np.minimum, np.maximum))
    ranked = np.sort(low, axis=0)
    return np.flatnonzero((low == high).all(0) & (np.diff(ranked, axis=0) > 0).all(0))


def _unlike(table: Table) -> Iterator[Finding]:
    deviations = table.values.std(0)
    moving = np.flatnonzero(deviations > 0)
    if len(moving) < 2:
        return
    low, high = (int(moving[f(deviations[moving])]) for f in (np.argmin, np.argmax))
    if deviations[high] > APART * deviations[low]:
        small, large = table.names[low], table.names[high]
        yield Finding(
            "unlike columns",
            f"The deviation of {large} is {deviations[high]:.3g}, that of {small} {deviations[low]:.3g}: the "
            "net hears the large one alone.",
            large,
            "(x - mean) / deviation for each column, by the training part's numbers, or rt.BatchNorm() first",
        )


def _large(net: Net, batch: Batch) -> Iterator[Finding]:
    if _norms(net, NORMS):
        return
    for name, port in net.inputs.items():
        values = batch.inputs[name].cpu()
        if port.kind != "float" or not values.is_floating_point():
            continue
        size = float(values.double().square().mean().sqrt())
        if size > LARGE:
            picture = values.dim() > 2
            yield Finding(
                "large inputs",
                f"{name}: the numbers go from {float(values.min()):.4g} to {float(values.max()):.4g}; nets "
                "learn well from inputs of about -1 to 1.",
                name,
                f"input=rt.Image({values.shape[-2]}, {values.shape[-1]}) scales pixels, or x / 255"
                if picture
                else "(x - mean) / deviation, by the training part's numbers, or rt.BatchNorm() first",
            )


def _far_targets(examples: Examples, batch: Batch) -> Iterator[Finding]:
    terms = {term.port: term.loss for term in examples.objective.terms}
    for port, loss in terms.items():
        target = batch.targets.get(port)
        if target is None or not target.is_floating_point():
            continue
        if not isinstance(loss, Loss) or loss.name not in ERRORS:
            continue
        values = target.cpu().double()
        mean, deviation = float(values.mean()), float(values.std(correction=0))
        if float(values.square().mean().sqrt()) > FAR or (abs(mean) > 10 and abs(mean) > 10 * deviation):
            yield Finding(
                "far targets",
                f"{port}: the targets have mean {mean:.4g} and deviation {deviation:.4g}; a net starts near "
                "0 and needs long to get there.",
                port,
                "train on (y - mean) / deviation, by the training part's numbers",
            )


def _norms(net: Net, kinds: Sequence[str]) -> bool:
    """Whether every input goes to such a layer first."""
    read: list[Any] = [("", name) for name in net.wiring.inputs]
    first = []
    for node in net.wiring.nodes:
        if any(source in read for source in node.sources):
            kind = type(node.layer).__name__
            first.append(kind)
            if kind in BESIDE:
                first.pop()
                read += node.outputs
    return bool(first) and all(kind in kinds for kind in first)
