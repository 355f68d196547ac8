"""One unit of a linear layer with its sum: inputs, weights, bias, activation, and the numbers of an example.

What is printed re-adds as printed; where rounding does not allow that, it says so by the sign of being about
equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from retia.errors import ArgumentError
from retia.nets import Chain, Net
from retia.view import svg
from retia.view.dense import Column, inputs_of
from retia.view.layering import Point
from retia.view.lettering import cut, text_width
from retia.view.marks import SMALL, TITLE
from retia.view.model import View
from retia.view.paint import arrow

SHOWN = 8
"""Inputs that are drawn; the others come as one sum."""

PITCH, LEFT, START, SUM, BOX = 40.0, 90.0, 230.0, 440.0, 580.0
"""Between two inputs; and from the left: the inputs, their lines, the sum, the activation."""

POINTS = 41
LINEAR = "as it is"


@dataclass(frozen=True)
class Sum:
    """What a unit computes.

    Attributes:
        inputs: of each input that is drawn: its number, its value (None without an example), its weight.
        others: how many are not drawn, and what their products come to.
        bias: None where the layer has none.
        total: the sum, None without an example.
        result: what the activation makes of it.
        activation: its expression, and (x, y) along its curve where it has one.
    """

    inputs: tuple[tuple[int, float | None, float], ...]
    others: tuple[int, float | None]
    bias: float | None
    total: float | None
    result: float | None
    activation: tuple[str, tuple[Point, ...]]


def summed(net: Net, view: View, found: Sequence[Column], layer: str | None, unit: int) -> tuple[str, Sum]:
    """The path of the layer that is meant, and what one of its units computes.

    Args:
        net: whose activation is drawn.
        view: with weights and, if there are any, values.
        found: its columns.
        layer: the path of a linear layer; None for the last.
        unit: its number from 0.
    Raises:
        ArgumentError: another layer, a unit that is not there, weights that are not made.
    """
    known = {column.linear or "": n for n, column in enumerate(found) if n}
    path = found[-1].linear or "" if layer is None else layer
    if path not in known:
        raise ArgumentError(
            f"diagram: layer is one of {', '.join(map(repr, known))}; got {layer!r}.", got=layer
        )
    column, before = found[known[path]], found[known[path] - 1]
    if isinstance(unit, bool) or not isinstance(unit, int) or not 0 <= unit < column.size:
        raise ArgumentError(
            f"diagram: unit is a whole number from 0 to {column.size - 1}; got {unit!r}.", got=unit
        )
    arrays = view.attached["weights"].get(path)
    if arrays is None:
        raise ArgumentError(
            'diagram: view="neuron" shows weights, which are not made yet.', fix="net.init(seed=0)"
        )
    weights = [float(w) for w in arrays["weight"][unit]]
    values = inputs_of(view, before)
    order = sorted(
        range(len(weights)), key=lambda i: -abs(weights[i] * (1.0 if values is None else values[i]))
    )
    shown = sorted(order[:SHOWN])
    rest = None if values is None else sum(weights[i] * values[i] for i in order[SHOWN:])
    held = view.attached.get("values")
    return path, Sum(
        tuple((i, None if values is None else values[i], weights[i]) for i in shown),
        (len(weights) - len(shown), rest),
        float(arrays["bias"][unit]) if "bias" in arrays else None,
        None if held is None else float(held[path][unit]),
        None if held is None else float(held[column.last or ""][unit]),
        _activation(net, view, column),
    )


def neuron(view: View, path: str, unit: int, made: Sum, theme: str) -> tuple[str, str]:
    """The SVG of one unit, and its title."""
    rows = len(made.inputs) + bool(made.others[0])
    height = max(PITCH * rows, 150.0)
    title = f"Unit {unit} of {path or 'the layer'}, {view.parts[path].label}"
    words = equation(made)
    marks = [*_inputs(made, height), *_right(made, height)]
    marks += [svg.text(0, height + 26, title, TITLE, bold=True)]
    marks += [svg.text(0, height + 44 + 14 * n, line, SMALL) for n, line in enumerate(_lines(words))]
    wide = max([BOX + 210, *(text_width(line, SMALL) for line in _lines(words))])
    tall = height + 44 + 14 * len(_lines(words))
    return svg.sheet(wide, tall, marks, title=title, description=words, theme=theme), title


def _inputs(made: Sum, height: float) -> Iterator[str]:
    rows = len(made.inputs) + bool(made.others[0])
    top = (height - PITCH * rows) / 2 + PITCH / 2
    largest = max((abs(w) for _, _, w in made.inputs), default=0.0)
    for n, (i, value, weight) in enumerate(made.inputs):
        y = top + n * PITCH
        share = abs(weight) / largest if largest else 0.0
        yield svg.element(
            "path", d=svg.straight((START, y), (SUM - 24, height / 2)), fill="none",
            kind="positive" if weight >= 0 else "negative", stroke_width=0.6 + 3 * share,
        )  # fmt: skip
        yield svg.element("circle", cx=LEFT, cy=y, r=17.0, kind="unit", stroke_width="1.3")
        name = f"input {i}"
        yield svg.text(LEFT - 24 - text_width(name, SMALL), y + 3.5, name, SMALL, "m")
        inside = "x" if value is None else f"{value:.3g}"
        yield svg.text(LEFT - text_width(inside, SMALL) / 2, y + 3.5, inside, SMALL)
        yield svg.text(LEFT + 24, y + 3.5, f"× {weight:.3f}", SMALL)
        if value is not None:
            yield svg.text(LEFT + 84, y + 3.5, _product(inside, weight, value * weight), SMALL)
    count, rest = made.others
    if count:
        y = top + len(made.inputs) * PITCH
        yield svg.element("path", d=svg.straight((START, y), (SUM - 24, height / 2)), kind="edge")
        yield svg.text(LEFT + 24, y + 3.5, f"{count:,} others", SMALL, "m")
        if rest is not None:
            yield svg.text(LEFT + 84, y + 3.5, f"= {rest:.3f}", SMALL)


def _product(value: str, weight: float, product: float) -> str:
    """The product with the sign of being equal, where it is equal as it is printed."""
    is_exact = round(float(value) * round(weight, 3), 3) == round(product, 3)
    return f"{'=' if is_exact else '≈'} {product:.3f}"


def _right(made: Sum, height: float) -> Iterator[str]:
    y = height / 2
    yield svg.element("path", d=svg.straight((SUM + 24, y), (BOX - 8, y)), kind="edge")
    yield arrow((BOX - 2, y), (SUM, y))
    yield svg.element("circle", cx=SUM, cy=y, r=24.0, kind="unit", stroke_width="1.6")
    yield svg.text(SUM - text_width("Σ", 18) / 2, y + 6, "Σ", 18)
    if made.bias is not None:
        words = f"+ bias {made.bias:.3f}"
        yield svg.text(SUM - text_width(words, SMALL) / 2, y + 40, words, SMALL)
    if made.total is not None:
        words = f"z = {made.total:.3f}"
        yield svg.text((SUM + 24 + BOX) / 2 - text_width(words, SMALL) / 2, y - 7, words, SMALL)
    yield from _curve(made, y)
    yield svg.element("path", d=svg.straight((BOX + 96, y), (BOX + 130, y)), kind="edge")
    yield arrow((BOX + 136, y), (BOX, y))
    words = "a" if made.result is None else f"{made.result:.3f}"
    yield svg.text(BOX + 142, y + 4, words, TITLE, bold=True)


def _curve(made: Sum, y: float) -> Iterator[str]:
    name, points = made.activation
    yield svg.element("rect", x=BOX, y=y - 48, width=96.0, height=96.0, rx="4", kind="box activation")
    words = cut(name, SMALL, 92, bold=True)
    yield svg.text(BOX + 48 - text_width(words, SMALL, bold=True) / 2, y - 35, words, SMALL, bold=True)
    if not points:
        words = "of all units" if made.activation[0] != LINEAR else "z"
        yield svg.text(BOX + 48 - text_width(words, SMALL) / 2, y + 8, words, SMALL)
        return
    low, high = min(b for _, b in points), max(b for _, b in points)

    def place(point: Point) -> Point:
        a, b = point
        span = points[-1][0] - points[0][0]
        return BOX + 8 + (a - points[0][0]) / span * 80, y + 40 - (b - low) / ((high - low) or 1.0) * 66

    way = "L".join(f"{svg.num(a)} {svg.num(b)}" for a, b in map(place, points))
    yield svg.element("path", d=f"M{way}", kind="edge thick")
    if made.total is not None and made.result is not None and points[0][0] <= made.total <= points[-1][0]:
        a, b = place((made.total, made.result))
        yield svg.element("circle", cx=a, cy=b, r=4.0, kind="down")


def equation(made: Sum) -> str:
    """The sum in words and numbers, which re-add as they are printed or are said to be about so."""
    if made.total is None:
        terms = [f"{w:.3f}·x{i}" for i, _, w in made.inputs]
        terms += [f"{made.others[0]:,} others"] if made.others[0] else []
        terms += [f"{made.bias:.3f}"] if made.bias is not None else []
        return f"z = {' + '.join(terms)}; a = {made.activation[0]}(z)"
    products = [round((x or 0.0) * w, 3) for _, x, w in made.inputs]
    products += [round(made.others[1] or 0.0, 3)] if made.others[0] else []
    products += [round(made.bias, 3)] if made.bias is not None else []
    exact = abs(round(sum(products), 3) - round(made.total, 3)) < 5e-4
    words = " + ".join(f"({p:.3f})" if p < 0 else f"{p:.3f}" for p in products)
    sign = "=" if exact else "≈"
    return f"z {sign} {words} {sign} {made.total:.3f}; a = {made.activation[0]}: {made.result:.3f}"


def _lines(words: str) -> list[str]:
    lines = [""]
    for word in words.split(" "):
        if text_width(f"{lines[-1]} {word}", SMALL) > BOX + 200:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _activation(net: Net, view: View, column: Column) -> tuple[str, tuple[Point, ...]]:
    """What follows the sum, and its curve where each unit's result is a function of its own sum alone."""
    if column.last == column.linear:
        return LINEAR, ()
    paths = [part.path for part in view.layers]
    after = paths[paths.index(column.linear or "") + 1 : paths.index(column.last or "") + 1]
    name = ", ".join(view.parts[path].label.removesuffix("()") for path in after)
    layers = [net.part(path) for path in after]
    if any(not _is_alone(layer) for layer in layers):
        return name, ()
    xs = [-4.0 + 8.0 * n / (POINTS - 1) for n in range(POINTS)]
    curve: Any = Chain(*layers, input=POINTS)
    ys = curve(xs, None).tolist()
    return name, tuple(zip(xs, ys, strict=True))


def _is_alone(layer: Any) -> bool:
    return not layer.owns() and all(role == "pass" for role in layer.axes.values())
