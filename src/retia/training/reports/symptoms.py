"""What the layers tell: gradients that vanish or explode, units that are dead or saturated.

Everything is read from the records of the layers, at more than one moment, so that a bad start that mends
itself is no finding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from retia._figures import Printed
from retia.training.reports.records import LayerRecord, Records

VANISHED = 1e-3
"""A layer's gradient vanishes below this share of the greatest one nearer to the loss.

With weights that suit their activation, the gradients of all layers are of one size (Glorot and Bengio 2010,
section 4.2; He et al. 2015), so three powers of ten are no accident.
"""

EXPLODED = 1e3
"""A layer's gradient explodes above so many times that of the layer nearest to the loss."""

DEAD = 0.5
"""A layer of which so many units never fire is half as wide as written."""

SATURATED = 0.5
"""A hidden layer of which so many outputs stand at the ends passes hardly any gradient on."""


@dataclass(frozen=True)
class Verdict(Printed):
    """What a training tells, with the evidence.

    Attributes:
        kind: ``"fine"``, ``"under-fitting"``, ``"over-fitting"``, ``"not-learning"``, ``"diverged"``,
            ``"vanishing"``, ``"exploding"``, ``"dead-units"``, ``"saturated"``, ``"noisy-validation"`` or
            ``"too-short"``.
        text: in a sentence.
        evidence: the figures that it stands on.
        advice: what to try, the likeliest first.
        epoch: from which on, where there is one.
        path: of the layer, where there is one.
        also: what else was found.
    Example:
        >>> print(Verdict("diverged", "Diverged.", ("loss nan",), ("a smaller learning rate",)))
        Diverged.
          seen  loss nan
          try   a smaller learning rate
    """

    kind: str
    text: str
    evidence: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    epoch: int | None = None
    path: str | None = None
    also: tuple[Verdict, ...] = ()

    def __str__(self) -> str:
        seen = [f"  seen  {line}" for line in self.evidence]
        tried = [f"  try   {line}" for line in self.advice]
        return "\n".join([self.text, *seen, *tried, *(f"Also: {each}" for each in self.also)])


def symptoms(records: Sequence[Records]) -> tuple[Verdict, ...]:
    """What the layers tell, the gravest first.

    Args:
        records: of a training, in order; fewer than two tell nothing.
    """
    if len(records) < 2:
        return ()
    found = (_exploding(records), _dead(records), _vanishing(records), _saturated(records))
    return tuple(each for each in found if each is not None)


# Gradients ----------------------------------------------------------------------------------------


def _learned(moment: Records) -> list[LayerRecord]:
    return [each for each in moment.layers if each.gradient is not None]


def _gradient(layer: LayerRecord) -> float:
    return layer.gradient if layer.gradient is not None else 0.0


def _vanished(moment: Records) -> tuple[LayerRecord, LayerRecord] | None:
    """The last layer of the net's beginning whose gradient vanishes, and the one with the greatest."""
    layers, found = _learned(moment), None
    for at, layer in enumerate(layers[:-1]):
        greatest = max(layers[at + 1 :], key=_gradient)
        if _gradient(greatest) == 0 or _gradient(layer) >= VANISHED * _gradient(greatest):
            break
        found = layer, greatest
    return found


def _exploded(moment: Records) -> tuple[LayerRecord, LayerRecord] | None:
    """The last layer of the net's beginning whose gradient explodes, and the one nearest to the loss."""
    layers, found = _learned(moment), None
    broken = [layer for layer in layers if not math.isfinite(_gradient(layer))]
    if broken:
        return broken[-1], layers[-1]
    for layer in layers[:-1]:
        if _gradient(layers[-1]) == 0 or _gradient(layer) <= EXPLODED * _gradient(layers[-1]):
            break
        found = layer, layers[-1]
    return found


def _lasting(found: Sequence[object | None]) -> bool:
    """Whether something is there at the end, and was at half of all moments."""
    return found[-1] is not None and 2 * sum(each is not None for each in found) >= len(found)


def _vanishing(records: Sequence[Records]) -> Verdict | None:
    found = [_vanished(moment) for moment in records]
    if not _lasting(found) or found[-1] is None:
        return None
    layer, greatest = found[-1]
    first = _learned(records[-1])[0]
    evidence = [
        f"gradient {_gradient(greatest):.2g} at {_named(greatest)}, {_gradient(first):.2g} at {_named(first)}"
    ]
    if first.update:
        since = f"from epoch {records[-2].epoch} to {records[-1].epoch}"
        evidence += [f"{_named(first)} moved by {first.update:.1g} of its size {since}"]
    advice = (
        "rt.ReLU() in place of Sigmoid or Tanh",
        "rt.BatchNorm() or rt.LayerNorm() between the layers",
        "connections that skip layers, as in residual nets",
    )
    text = f"Gradients vanish from {_named(layer)} back to the input: these layers hardly learn."
    return Verdict("vanishing", text, tuple(evidence), advice, path=layer.path)


def _exploding(records: Sequence[Records]) -> Verdict | None:
    found = [_exploded(moment) for moment in records]
    if not _lasting(found) or found[-1] is None:
        return None
    layer, nearest = found[-1]
    evidence = (
        f"gradient {_gradient(layer):.2g} at {_named(layer)}, {_gradient(nearest):.2g} at {_named(nearest)}"
    )
    advice = ("clip_norm=1.0", "weights that start smaller", "rt.BatchNorm() or rt.LayerNorm()")
    text = f"Gradients explode from {_named(layer)} back to the input."
    return Verdict("exploding", text, (evidence,), advice, path=layer.path)


# Units --------------------------------------------------------------------------------------------


def _dead(records: Sequence[Records]) -> Verdict | None:
    last = records[-1]
    worst = max((each for each in last.layers if each.dead is not None), key=_share_dead, default=None)
    if worst is None or _share_dead(worst) < DEAD:
        return None
    at_start = [
        f"{_share_dead(each):.0%} at the start" for each in records[0].layers if each.path == worst.path
    ]
    evidence = (
        f"{_share_dead(worst):.0%} of the units of {_named(worst)} are 0 for all {last.examples} examples"
    )
    advice = (
        "a smaller learning rate",
        "rt.LeakyReLU() or rt.GELU() in place of ReLU",
        "rt.BatchNorm() before it",
    )
    text = f"Dead units: most of {_named(worst)} never fires."
    return Verdict("dead-units", text, (", ".join([evidence, *at_start]),), advice, path=worst.path)


def _saturated(records: Sequence[Records]) -> Verdict | None:
    """Of the hidden layers alone: that an output is sure is no fault."""
    last = records[-1]
    learned = [at for at, each in enumerate(last.layers) if each.weight is not None]
    hidden = last.layers[: learned[-1]] if learned else ()
    worst = max((each for each in hidden if each.saturated is not None), key=_share_saturated, default=None)
    if worst is None or _share_saturated(worst) < SATURATED:
        return None
    evidence = f"{_share_saturated(worst):.0%} of what {_named(worst)} gives is at an end of its range"
    advice = ("inputs of about -1 to 1", "a smaller learning rate", "rt.ReLU() in its place", "l2=1e-4")
    text = f"Saturated units: most of {_named(worst)} stands at the ends, where its slope is about 0."
    return Verdict("saturated", text, (evidence,), advice, path=worst.path)


def _share_dead(layer: LayerRecord) -> float:
    return layer.dead or 0.0


def _share_saturated(layer: LayerRecord) -> float:
    return layer.saturated or 0.0


def _named(layer: LayerRecord) -> str:
    return f"{layer.path} ({layer.layer})" if layer.path else layer.layer
