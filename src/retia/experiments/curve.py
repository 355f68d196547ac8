"""``rt.learning_curve``: how well a net does with more and more examples, and whether more would help."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from retia._late import numpy as np
from retia.errors import ArgumentError, DataError
from retia.experiments.curved import LearningCurve, Point
from retia.experiments.parting import judged_apart, labels_of
from retia.metrics.measure import measure
from retia.metrics.names import find_figure
from retia.metrics.objective import aims_of
from retia.nets.net import Net
from retia.nets.settings import whole
from retia.sources.dataset import Data
from retia.sources.dealing import nested
from retia.sources.order import check_seed, permutation
from retia.sources.reading import data as read_data
from retia.training.direction import better_of
from retia.training.interrupt import INTERRUPTED
from retia.training.prepare import fit
from retia.training.progress import Progress
from retia.training.result import Training
from retia.training.start import train

BLOCKS = 10
"""The validation part is measured in so many pieces, whose differences tell how certain a figure is."""
SMALLEST = 5
"""Examples of such a piece at least."""
USUAL = 64
"""Examples a batch, where nothing is said."""


def learning_curve(
    net: Net,
    data: Any,
    sizes: Sequence[float] = (0.1, 0.2, 0.5, 1.0),
    *,
    seeds: int | Sequence[int] = 1,
    by: str | None = None,
    epochs: int = 5,
    validation: Any = None,
    seed: int = 0,
    loss: Any = None,
    progress: bool | None = None,
    **how: Any,
) -> LearningCurve:
    """Train on some of the examples, then on more, and tell whether still more would be worth it.

    Each set of examples holds the smaller ones, with each label's share, and all nets are measured on one
    validation part. Small sets get as many steps as the largest, so they are not judged for being seen less.
    Codecs with something to learn learn it once, from the largest set, so all nets know the same classes.

    Args:
        net: as in ``rt.train``.
        data: as in ``rt.train``; its test part is never touched.
        sizes: two or more: shares of the training part (0 to 1.0), or numbers of examples.
        seeds: how many nets to train on each set, or their seeds; the figures are their means.
        by: the figure to tell; accuracy where the net decides, else the loss.
        epochs: as in ``rt.train``, for the largest set.
        validation: as in ``rt.train``, but a fifth is held out where ``rt.train`` would hold out nothing.
        seed: of the validation part, of the sets, and the first of ``seeds``.
        loss, progress: as in ``rt.train``.
        how: everything else that ``rt.train`` takes.
    Returns:
        ``.verdict``, in words; ``.points``, ``.table()``, ``.plot()``, ``.to_pandas()``. Ctrl-C ends it with
        the sizes so far.
    Raises:
        ArgumentError: sizes that are none. DataError: fewer examples than a size asks for.
    Source: Cortes et al. 1994, *Learning Curves: Asymptotic Values and Rate of Convergence*.
    Example:
        >>> import retia as rt
        >>> x = [[i / 50] for i in range(100)]
        >>> curve = rt.learning_curve(rt.Linear(1), (x, x), (0.1, 1.0), epochs=1, progress=False)
        >>> [point.size for point in curve.points]
        [8, 80]
    """
    if not isinstance(net, Net):
        raise ArgumentError(f"learning_curve: the first argument is a net; got {net!r}.", got=net)
    first = check_seed(seed)
    if by is not None and by != "loss":
        find_figure(by.rpartition(".")[2])  # refuses a misspelt one before it takes a training
    longest = whole(1)("learning_curve: epochs", epochs)
    drawn = _seeds(seeds, first)
    learned, held_out = judged_apart("learning_curve", read_data(data), validation, first)
    counts = _counts(sizes, len(learned))
    net = fit(net, learned, aims_of(net, loss))
    order = nested(len(learned), first, labels_of(learned))
    shown = Progress(progress, 0, 0)
    blocks = _blocks(held_out, first)
    batch = how.get("batch_size", USUAL)
    points: list[Point] = []
    for count in counts:
        part = learned[np.sort(order[:count])]
        times = math.ceil(longest * math.ceil(counts[-1] / batch) / math.ceil(count / batch))
        shown.note(f"{count:,} examples")
        same = {"validation": held_out, "epochs": times, "loss": loss, "progress": progress, **how}
        runs = _runs(net, part, drawn, same)
        if any(run.why == INTERRUPTED for run in runs):
            break
        by = by if by is not None else _figure(runs[0], held_out, loss)
        points.append(_point(part, held_out, blocks, runs, by, loss, times))
    return LearningCurve(tuple(points), by or "loss", better_of(by or "loss"))


def _seeds(seeds: Any, first: int) -> list[int]:
    if isinstance(seeds, Sequence) and not isinstance(seeds, str) and len(seeds):
        return [check_seed(each) for each in seeds]
    return [*range(first, first + whole(1)("learning_curve: seeds", seeds))]


def _counts(sizes: Any, every: int) -> list[int]:
    """Numbers of examples, ascending."""
    given = [*sizes] if isinstance(sizes, Sequence) and not isinstance(sizes, str) else []
    found = set()
    for size in given:
        share = isinstance(size, float) and 0 < size <= 1
        if not share and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
            raise ArgumentError(
                f"learning_curve: a size is a share from 0 to 1.0 or a number of examples; got {size!r}.",
                fix="sizes=(0.1, 0.3, 1.0) or (100, 300, 1000)",
                got=size,
            )
        count = max(round(size * every), 1) if share else size
        if count > every:
            raise DataError(
                f"learning_curve: {count:,} examples are asked for, but {every:,} are left to learn from.",
                expected=every,
                got=count,
            )
        found.add(int(count))
    if len(found) < 2:
        raise ArgumentError(
            f"learning_curve: sizes are two or more; got {sizes!r}.", fix="sizes=(0.1, 0.3, 1.0)", got=sizes
        )
    return sorted(found)


def _runs(net: Net, part: Data, seeds: Sequence[int], how: dict[str, Any]) -> list[Training]:
    if len(seeds) == 1:
        return [train(net, part, seed=seeds[0], **how)]
    return train(net, part, seed=seeds, **how)


def _figure(run: Training, held_out: Data, loss: Any) -> str:
    return "accuracy" if "accuracy" in measure(run.net, held_out[:1], loss=loss).figures() else "loss"


def _blocks(held_out: Data, seed: int) -> list[Data]:
    """The validation part in a few pieces; itself where it is too small for that."""
    count = min(BLOCKS, len(held_out) // SMALLEST)
    if count < 2:
        return [held_out]
    return [held_out[rows] for rows in np.array_split(permutation(len(held_out), "blocks", seed), count)]


def _point(
    part: Data, held_out: Data, blocks: Sequence[Data], runs: list[Training], by: str, loss: Any, epochs: int
) -> Point:
    asked = None if by == "loss" else [by]

    def figures(data: Data) -> Iterator[float]:
        for run in runs:
            found = measure(run.net, data, metrics=asked, loss=loss).figures()
            if by not in found:
                raise ArgumentError(
                    f"learning_curve: there is no figure {by!r}.", fix=f"one of {', '.join(found)}", got=by
                )
            yield found[by]

    pieces = np.asarray([[*figures(block)] for block in blocks])
    return Point(len(part), epochs, tuple(runs), [*figures(part)], [*figures(held_out)], pieces)
