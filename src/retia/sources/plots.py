"""Drawings of what a set holds: histograms, counts, correlations, sizes, lengths, a map of the examples."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._figures import (
    FIRST,
    LABEL,
    MARKERS,
    SECOND,
    SERIES,
    STRONG,
    TITLE,
    figure,
    grid,
    legend,
    on_shade,
    shades,
)  # fmt: skip
from retia._late import numpy as np
from retia.codecs.image import Image
from retia.codecs.pictures import size_of
from retia.codecs.table import Table
from retia.errors import ArgumentError, CodecError, DataError, did_you_mean
from retia.nets import Chain, Net
from retia.sources.columns import Arrays, Column
from retia.sources.natural import sort_labels
from retia.sources.order import permutation
from retia.sources.pictures import is_picture
from retia.sources.selection import RowColumn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retia.sources.dataset import Data

MOST = 2000
"""Examples of a map, drawn by chance from larger sets."""

BARS = 30
WRITTEN = 12
"""Correlations of so many columns are written into their squares."""

PLACES = 24
"""Columns of a figure, at most."""

GRAY = "#8b9096"
"""Of what has no label of its own, on light and on dark."""

COLORS = 8
"""Labels that have a colour of their own on a map; the others are gray."""

NUMBERS = 60
"""Columns of numbers whose correlations are drawn, at most."""

SIDE = 32
"""Pictures of a map are brought to this size."""


@dataclass(frozen=True)
class Drawing:
    """A drawing of one column: on which axes it goes, and the call that draws it."""

    kind: str
    column: str
    draw: Callable[[Any], None]


def plot(data: Data, what: str | None, by: Net | None, ax: Any) -> Any:
    """See ``Data.plot``; answers the figure, or the axes that were given."""
    if what is not None and what not in KINDS:
        raise ArgumentError(
            f"plot: what is one of {', '.join(map(repr, KINDS))}; got {what!r}.{did_you_mean(what, KINDS)}",
            got=what,
        )
    if by is not None and what != "map":
        raise ArgumentError("plot: by= is for the map.", fix='data.plot("map", by=net)')
    if not len(data):
        raise DataError("The set is empty: there is nothing to draw.")
    if what == "map":
        drawings = [Drawing("map", "", lambda place: _map(data, by, place))]
    elif what == "correlations":
        drawings = [Drawing("correlations", "", lambda place: _correlations(data, place))]
    else:
        drawings = [each for each in _columns(data) if what in (None, each.kind)][:PLACES]
    if not drawings:
        raise DataError(f"plot: the set has no {what} to draw: {', '.join(data.columns)}.", got=what)
    if ax is not None:
        if len(drawings) > 1:
            names = ", ".join(repr(each.column) for each in drawings)
            raise ArgumentError(
                f"plot: ax= is one place, and there are {len(drawings)} to draw: {names}.",
                fix="data.select(...) chooses columns; leave ax= out for a figure of its own",
            )
        drawings[0].draw(ax)
        return ax
    across = min(4, math.ceil(math.sqrt(len(drawings))))
    down = math.ceil(len(drawings) / across)
    wide = 5.0 if len(drawings) == 1 else 3.6 if across == 2 else 2.6
    made, places = figure(wide * across, 0.8 * wide * down, across, down)
    for place, drawing in zip(places, drawings, strict=False):
        drawing.draw(place)
    for place in places[len(drawings) :]:
        place.set_visible(False)
    return made


# One column ---------------------------------------------------------------------------------------


def _columns(data: Data) -> list[Drawing]:
    every: dict[str, Column] = {}
    for name, column in data.columns.items():
        inner = column.columns if isinstance(column, RowColumn) else {"": column}
        every |= {f"{name}.{key}" if key else name: each for key, each in inner.items()}
    found = [_of_column(data, name, column) for name, column in every.items()]
    return [each for each in found if each is not None]


def _of_column(data: Data, name: str, column: Column) -> Drawing | None:
    first = column.item(int(data.rows[0]))
    if is_picture(first) and not (isinstance(column, Arrays) and len(column.shape) > 1):
        sizes = _sizes(data, column)
        return Drawing("sizes", name, lambda place: _scatter(place, name, sizes))
    things = column.things(data.rows)
    if isinstance(column, Arrays) and (column.dtype.kind == "f" or len(column.shape) > 1):
        numbers = np.asarray(things, np.float64).ravel()
        return Drawing("histograms", name, lambda place: _histogram(place, name, numbers))
    present = [t for t in (things.tolist() if hasattr(things, "tolist") else things) if t is not None]
    labels = all(isinstance(t, str | int) for t in present)
    counts = Counter(present) if labels else Counter[Any]()
    if counts and len(counts) * 2 <= len(present) and (len(counts) <= BARS or isinstance(present[0], str)):
        return Drawing("counts", name, lambda place: _bars(place, name, counts))
    if all(type(t) in (int, float) for t in present):
        return Drawing("histograms", name, lambda place: _histogram(place, name, np.asarray(present)))
    if all(isinstance(t, str | list | tuple) or np.ndim(t) for t in present):
        lengths = np.array([len(t) for t in present])
        unit = "characters" if isinstance(present[0], str) else "long"
        return Drawing("lengths", name, lambda place: _histogram(place, f"{name}, {unit}", lengths))
    return None


def _histogram(ax: Any, name: str, numbers: NDArray[Any]) -> None:
    numbers = numbers[np.isfinite(numbers)]
    whole = numbers.size and bool((numbers == np.round(numbers)).all()) and np.ptp(numbers) < BARS
    bins = np.arange(numbers.min(), numbers.max() + 2) - 0.5 if whole else BARS
    ax.hist(numbers, bins=bins, color=FIRST)
    ax.set_xlabel(name)
    ax.set_ylabel("numbers" if not name.endswith(("characters", "long")) else "examples")
    grid(ax)


def _bars(ax: Any, name: str, counts: Mapping[Any, int]) -> None:
    """Labels one below the other, so that long ones can be read."""
    often = {label for label, _ in Counter(counts).most_common(BARS)}
    labels = [label for label in sort_labels(counts) if label in often]
    ax.barh(range(len(labels)), [counts[label] for label in labels], color=FIRST)
    ax.set_yticks(
        range(len(labels)), [_short(label) for label in labels], fontsize=LABEL if len(labels) < 16 else 6
    )
    ax.invert_yaxis()
    more = f", {len(labels)} most frequent of {len(counts):,}" if len(labels) < len(counts) else ""
    ax.set_title(f"{name}{more}", fontsize=TITLE)
    ax.set_xlabel("examples")
    grid(ax, "x")


def _sizes(data: Data, column: Column) -> list[tuple[int, int]]:
    sizes = []
    for row in data.rows:
        thing = column.item(int(row))
        try:
            sizes.append(tuple(np.shape(thing)[:2]) if hasattr(thing, "shape") else size_of(thing))
        except CodecError:  # describe() counts them, check() names them
            continue
    return sizes


def _scatter(ax: Any, name: str, sizes: Sequence[tuple[int, int]]) -> None:
    counts = Counter(sizes)
    heights, widths = zip(*counts, strict=True) if counts else ((), ())
    area = [20 + 180 * count / max(counts.values()) for count in counts.values()]
    ax.scatter(widths, heights, s=area, alpha=0.5, color=FIRST)
    ax.set_title(f"{name}, {len(sizes):,} pictures of {len(counts):,} sizes", fontsize=TITLE)
    ax.set_xlabel("width")
    ax.set_ylabel("height")
    grid(ax)


# All columns together -----------------------------------------------------------------------------


def numeric(data: Data) -> dict[str, NDArray[Any]]:
    """The columns of numbers as float64, missing ones NaN; a column of vectors as one for each place."""
    found: dict[str, NDArray[Any]] = {}
    for name, column in data.columns.items():
        inner = column.columns if isinstance(column, RowColumn) else {name: column}
        for key, each in inner.items():
            things = each.things(data.rows)
            if isinstance(each, Arrays) and each.dtype.kind in "biuf":
                numbers = np.asarray(things, np.float64)
                flat = numbers.reshape(len(numbers), -1)
                names = [key] if numbers.ndim == 1 else [f"{key}[{n}]" for n in range(flat.shape[1])]
                found |= dict(zip(names, flat.T, strict=True))
            elif all(type(thing) in (int, float, bool, type(None)) for thing in things):
                found[key] = np.array([math.nan if t is None else float(t) for t in things])
    return found


def _correlations(data: Data, ax: Any) -> None:
    columns = numeric(data)
    if not 2 <= len(columns) <= NUMBERS:
        raise DataError(f"plot: correlations are of 2 to {NUMBERS} columns of numbers; got {len(columns)}.")
    matrix = correlations([*columns.values()])
    ax.imshow(matrix, cmap=shades(STRONG, SECOND), vmin=-1, vmax=1)
    ax.tick_params(length=0)
    places = range(len(columns))
    small = {"fontsize": LABEL if len(columns) <= WRITTEN else 6}
    ax.set_xticks(places, [*columns], rotation=90, **small)
    ax.set_yticks(places, [*columns], **small)
    for (row, column), value in np.ndenumerate(matrix):
        if len(columns) <= WRITTEN and np.isfinite(value):
            color = on_shade(ax, -value)
            ax.text(column, row, f"{value:.2f}", ha="center", va="center", color=color, fontsize=8)
    ax.set_title("correlations", fontsize=TITLE)


def correlations(columns: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Pearson's correlation of each column with each, over the rows where both are finite; NaN for constants.

    Example:
        >>> from retia._late import numpy as np
        >>> correlations([np.array([1.0, 2.0, 3.0]), np.array([6.0, 4.0, 2.0])]).round(6)
        array([[ 1., -1.],
               [-1.,  1.]])
    """
    matrix = np.full((len(columns), len(columns)), np.nan)
    for row, one in enumerate(columns):
        for place, other in enumerate(columns[: row + 1]):
            both = np.isfinite(one) & np.isfinite(other)
            if both.sum() < 2:
                continue
            a, b = one[both] - one[both].mean(), other[both] - other[both].mean()
            scale = math.sqrt(float(a @ a) * float(b @ b))
            if scale > 0:
                matrix[row, place] = matrix[place, row] = float(a @ b) / scale
    return matrix


# A map --------------------------------------------------------------------------------------------


def _map(data: Data, by: Net | None, ax: Any) -> None:
    if len(data) > MOST:
        data = data[np.sort(permutation(len(data), "map", 0)[:MOST])]
    points, shares = components(features(data, by))
    name = data.label_column
    labels = (None if name is None else data.columns[name].labels(data.rows)) or []
    often = [label for label, _ in Counter(labels).most_common(COLORS)]
    rest = [*range(len(data))] if not labels else [n for n, label in enumerate(labels) if label not in often]
    if rest:
        ax.scatter(*points[rest].T, s=9, color=GRAY if often else FIRST, label="others")
    for number, label in enumerate(sort_labels(often)):
        rows = [n for n, each in enumerate(labels) if each == label]
        look = {"color": SERIES[number % len(SERIES)], "marker": MARKERS[number % len(MARKERS)]}
        ax.scatter(*points[rows].T, s=12, linewidth=0, label=_short(label), **look)
    if often:
        legend(ax, markerscale=1.5, loc="upper left", bbox_to_anchor=(1, 1))
    ax.set_xlabel(f"first component ({shares[0]:.0%})")
    ax.set_ylabel(f"second component ({shares[1]:.0%})")
    grid(ax)


def features(data: Data, by: Net | None) -> NDArray[Any]:
    """What a map goes by, (examples, numbers): a net's features, or the inputs themselves, packed."""
    if by is not None:
        net = _before_the_last(by)
        given = {p: data.columns[p if p in data.columns else "input"].things(data.rows) for p in net.inputs}
        found = net.batch(next(iter(given.values())) if len(given) == 1 else given, None)
        return np.asarray(found.detach().cpu().double().numpy().reshape(len(data), -1))
    column = data.columns.get("input") or next(iter(data.columns.values()))
    things = column.things(data.rows)
    if isinstance(column, Arrays) and column.dtype.kind in "biuf":
        return np.asarray(things, np.float64).reshape(len(data), -1)
    if isinstance(column, RowColumn):
        return np.asarray(Table(missing="always").fit(things).encode(things).double().numpy())
    if is_picture(things[0]):
        return np.asarray(Image(SIDE, SIDE).pack(things).double().numpy().reshape(len(data), -1))
    raise DataError(
        f"plot: a map needs numbers, and {column.kind()} is none.",
        fix='data.plot("map", by=net) goes by what a net makes of them',
    )


def _before_the_last(net: Net) -> Net:
    """What enters the last layer with arrays where a net decides; else the net as it is."""
    decides = any(port.codec is not None for port in net.outputs.values())
    if not decides or not isinstance(net, Chain):
        return net
    owning = [n for n in range(len(net)) if next(iter(net[n : n + 1].arrays), None) is not None]
    return net[: owning[-1]] if owning and owning[-1] else net


def components(points: NDArray[Any]) -> tuple[NDArray[Any], tuple[float, float]]:
    """Points (n, any) on their first two principal components, and the share of the variance of each.

    Example:
        >>> from retia._late import numpy as np
        >>> placed, shares = components(np.array([[0.0, 0.0, 1.0], [3.0, 4.0, 1.0]]))
        >>> np.abs(placed).round(6).tolist(), round(shares[0], 6)
        ([[2.5, 0.0], [2.5, 0.0]], 1.0)
    """
    centred = points - points.mean(0)
    if not np.isfinite(centred).all():
        raise DataError("plot: a map needs numbers, and some are missing or infinite.", fix="filter them out")
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    total = float((sizes**2).sum()) or 1.0
    placed = np.zeros((len(points), 2))
    placed[:, : len(sizes)] = (left * sizes)[:, :2]
    first = [float(size**2) / total for size in sizes[:2]] + [0.0, 0.0]
    return placed, (first[0], first[1])


def _short(label: Any) -> str:
    text = " ".join(str(label).split())
    return text if len(text) <= 24 else text[:21] + "..."


KINDS = ("histograms", "counts", "correlations", "sizes", "lengths", "map")
