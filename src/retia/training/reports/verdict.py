"""What a training tells, in words: the rules, with their thresholds and where these come from.

Curves are looked at through running medians, so that one epoch that jumps out says nothing. Thresholds
without a source were chosen so that of 200 healthy curves of each kind, with 3 % of noise, none gives a
false alarm (the tests draw them). What the layers tell stands in ``symptoms.py``.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from retia.training.reports.records import Records
from retia.training.reports.symptoms import Verdict, symptoms
from retia.training.reports.trend import fall, noise, smooth, turns

RISE = 0.05
"""Validation loss so far above its lowest is over-fitting: 5 % is the widest criterion of Prechelt 1998."""

NOISES = 5.0
"""A rise counts from so many standard deviations of the curve's noise on."""

GAP = 0.03
"""Training accuracy so far above validation accuracy, with a validation loss at rest, is over-fitting."""

TIMES = 3.0
"""The same for outputs without accuracy: validation loss so many times the training loss."""

CHANCE, CHANCE_HELD = 0.98, 0.95
"""Above this share of chance a training loss has learned nothing, if that of validation, noisier, agrees."""

HIGH = 0.5
"""A training loss above this share of chance at the end is under-fitting."""

LEFT = 0.1
"""A training loss that still falls is under-fitting where more than this share of chance is left."""

FALLING = 0.05
"""A loss falls still if it loses this share an epoch at the end."""

ALIKE = 1.25
"""Validation and training loss are alike up to this ratio."""

BLOWN = 2.0
"""A training loss so many times its lowest, and no better than chance, has diverged."""

NOISY = 0.15
"""Validation is noisy if it jumps by this share of its level from epoch to epoch, ..."""

TURNING = 0.4
"""... to and fro: so many of its points are peaks or dips (pure noise has 2/3)."""

ENOUGH = 3
"""Epochs that a verdict needs."""

STEADY = 5
"""Epochs that it takes to tell a rise from noise."""


@dataclass(frozen=True)
class Curves:
    """What the rules look at.

    Attributes:
        epochs: their numbers.
        loss, held: training and validation loss, smoothed; the latter empty where there is none.
        raw: the validation loss as it was.
        right, right_held: the accuracies, smoothed, where there are any.
        chance: the loss of a net that knows nothing, where that is known.
        start: the loss before the first step, else of the first epoch.
    """

    epochs: list[int]
    loss: list[float]
    held: list[float]
    raw: list[float]
    right: list[float]
    right_held: list[float]
    chance: float | None
    start: float

    @property
    def base(self) -> float:
        """What losses are measured by."""
        return self.chance if self.chance is not None else self.start


def verdict(
    history: Sequence[Mapping[str, Any]],
    records: Sequence[Records] = (),
    *,
    diverged: str = "",
    given: Collection[str] = (),
) -> Verdict:
    """What a training tells.

    Args:
        history: one dict an epoch, as in ``run.history``.
        records: of the layers, as in ``run.records``.
        diverged: what became infinite or NaN, and where, if something did.
        given: arguments of ``rt.train`` that were used; nobody is advised to use them.
    Example:
        >>> history = [{"epoch": e, "loss": 2 / e, "val_loss": 2 / min(e, 5) + e / 50} for e in range(1, 15)]
        >>> print(verdict(history).text)
        Over-fitting from epoch 6: validation loss rises while training loss falls.
    """
    found = _verdict(history, records, diverged)
    return replace(
        found, also=tuple(_new(each, given) for each in found.also), advice=_new(found, given).advice
    )


def _new(told: Verdict, given: Collection[str]) -> Verdict:
    """A verdict without advice that was taken already."""
    advice = tuple(line for line in told.advice if not any(f"{name}=" in line for name in given))
    return replace(told, advice=advice)


def _verdict(history: Sequence[Mapping[str, Any]], records: Sequence[Records], diverged: str) -> Verdict:
    told = symptoms(records)
    main = _of_curves(history, records, diverged)
    if told and (
        main.kind in ("not-learning", "under-fitting", "too-short") or _is_poor(main, history, records)
    ):
        rest = () if main.kind in ("too-short", "fine") else (main,)
        return replace(told[0], also=(*rest, *told[1:]))
    return replace(main, also=told)


def _is_poor(main: Verdict, history: Sequence[Mapping[str, Any]], records: Sequence[Records]) -> bool:
    """Whether much of the loss is left though the curves look fine: then the layers are to be told first."""
    curves = _curves(history, records) if main.kind == "fine" else None
    return curves is not None and curves.loss[-1] > LEFT * curves.base


def _of_curves(history: Sequence[Mapping[str, Any]], records: Sequence[Records], diverged: str) -> Verdict:
    losses = [entry[name] for entry in history for name in ("loss", "val_loss") if name in entry]
    if diverged or not all(map(math.isfinite, losses)):
        return _diverged([diverged or "a loss of the history is not finite"])
    if not history:
        return _too_short(0)
    curves = _curves(history, records)
    for rule in (_blown, _not_learning):
        found = rule(curves)
        if found is not None:
            return found
    if len(history) < ENOUGH:
        return _too_short(len(history))
    for rule in (_rising, _apart, _unfinished, _high, _noisy):
        found = rule(curves)
        if found is not None:
            return found
    return _fine(curves)


def _curves(history: Sequence[Mapping[str, Any]], records: Sequence[Records]) -> Curves:
    def column(name: str) -> list[float]:
        return [entry[name] for entry in history] if all(name in entry for entry in history) else []

    return Curves(
        epochs=[entry["epoch"] for entry in history],
        loss=smooth(column("loss")),
        held=smooth(column("val_loss")),
        raw=column("val_loss"),
        right=smooth(column("accuracy")),
        right_held=smooth(column("val_accuracy")),
        chance=next((each.chance for each in records if each.chance is not None), None),
        start=next((each.loss for each in records if each.epoch == 0), history[0]["loss"]),
    )


# Rules of learning at all -------------------------------------------------------------------------


def _diverged(evidence: Sequence[str]) -> Verdict:
    advice = ("a learning rate ten times smaller", "clip_norm=1.0", "inputs of about -1 to 1")
    return Verdict("diverged", "Diverged: the loss left its range.", tuple(evidence), advice)


def _too_short(epochs: int) -> Verdict:
    text = f"Too short to tell: {epochs or 'no'} epoch{'s' * (epochs != 1)}; {ENOUGH} say something."
    return Verdict("too-short", text, advice=(f"epochs={ENOUGH} or more",))


def _blown(curves: Curves) -> Verdict | None:
    lowest = min(curves.loss)
    at = curves.epochs[curves.loss.index(lowest)]
    end = curves.loss[-1]
    worse = curves.chance if curves.chance is not None else max(curves.start, curves.loss[0])
    if lowest <= 0 or end < BLOWN * lowest or end < worse or len(curves.loss) < ENOUGH:
        return None
    return _diverged([f"training loss {lowest:.3g} at epoch {at}, {end:.3g} at the end"])


def _not_learning(curves: Curves) -> Verdict | None:
    """Both losses no better than the best constant answer; where that is unknown, than at the start."""
    if len(curves.loss) < ENOUGH or fall(curves.loss) >= FALLING:
        return None
    bar, what = (curves.chance, "chance") if curves.chance is not None else (curves.start, "at the start")
    end = curves.loss[-1]
    if bar <= 0 or end < CHANCE * bar or (curves.held and curves.held[-1] < CHANCE_HELD * bar):
        return None
    evidence = [f"training loss {end:.3g}, {bar:.3g} {'is ' * (what == 'chance')}{what}", *_held(curves)]
    advice = (
        "rt.find_rate finds a learning rate",
        "do inputs and labels belong together? rt.check(net, data)",
    )
    return Verdict("not-learning", "Not learning: the loss stays at chance.", tuple(evidence), advice)


# Rules of fitting ---------------------------------------------------------------------------------

LESS = (
    "rt.Dropout, l2=1e-4, augmentation: each makes it harder to learn by heart",
    "more examples, or a smaller net",
    "stop=rt.EarlyStopping(patience=5) saves the time after it",
)
MORE = ("more epochs", "a greater learning rate", "a wider or deeper net, or less regularization")


def _rising(curves: Curves) -> Verdict | None:
    """Validation loss rises from its lowest on, while training loss falls further."""
    held = curves.held
    if len(held) < STEADY:
        return None
    near = held.index(min(held))
    at = min(range(max(near - 1, 0), min(near + 2, len(held))), key=curves.raw.__getitem__)
    after = curves.raw[at + 1 :]
    if len(after) < 2:
        return None
    rise = median(after[-STEADY:]) - held[near]
    jumps = noise(curves.raw[-max(len(after) + 1, STEADY, len(held) // 2) :])
    further = curves.loss[-1] < curves.loss[at] - 0.02 * abs(curves.loss[at])
    if rise < RISE * abs(held[near]) or rise < NOISES * jumps or not further:
        return None
    first = curves.epochs[at + 1]
    lowest, end = curves.epochs[at], median(after[-STEADY:])
    evidence = [
        f"validation loss {curves.raw[at]:.3g} at epoch {lowest}, {end:.3g} at the end",
        f"training loss {curves.loss[at]:.3g} at epoch {lowest}, {curves.loss[-1]:.3g} at the end",
        *_accuracies(curves),
    ]
    text = f"Over-fitting from epoch {first}: validation loss rises while training loss falls."
    return Verdict("over-fitting", text, tuple(evidence), LESS, epoch=first)


def _apart(curves: Curves) -> Verdict | None:
    """Validation loss rests far above the training loss, which goes on to fall."""
    loss, held = curves.loss, curves.held
    if len(held) < ENOUGH or fall(held) > FALLING / 5 or held[-1] < curves.base / 50:
        return None
    known = bool(curves.right and curves.right_held)
    wide = known and curves.right[-1] - curves.right_held[-1] >= GAP and held[-1] >= 2 * loss[-1]
    if not wide and (known or held[-1] < TIMES * loss[-1]):
        return None
    ratio = 2 if known else TIMES
    far = [v >= ratio * t for t, v in zip(loss, held, strict=True)]
    first = curves.epochs[max((at + 1 for at, is_far in enumerate(far) if not is_far), default=0)]
    evidence = [
        f"training loss {loss[-1]:.3g}, validation loss {held[-1]:.3g} at the end",
        *_accuracies(curves),
    ]
    text = f"Over-fitting from epoch {first}: the training loss leaves a resting validation loss behind."
    return Verdict("over-fitting", text, tuple(evidence), LESS, epoch=first)


def _unfinished(curves: Curves) -> Verdict | None:
    """Both losses still fall, and much of them is left."""
    falls = [fall(losses) for losses in (curves.loss, curves.held) if losses]
    if min(falls) < FALLING or curves.loss[-1] < LEFT * curves.base:
        return None
    text = "Under-fitting: it was still learning when it stopped."
    evidence = [f"training loss {curves.loss[-1]:.3g}, still {falls[0]:.0%} less every epoch", *_held(curves)]
    return Verdict("under-fitting", text, (*evidence, *_of_chance(curves)), MORE[:2])


def _high(curves: Curves) -> Verdict | None:
    """Both losses alike, and high."""
    end = curves.loss[-1]
    alike = not curves.held or curves.held[-1] <= ALIKE * end
    if curves.chance is None or end < HIGH * curves.chance or not alike:
        return None
    text = "Under-fitting: the training examples themselves are not fitted, unless the inputs say no more."
    evidence = (f"training loss {end:.3g}", *_held(curves), *_of_chance(curves))
    return Verdict("under-fitting", text, evidence, (*MORE[1:], "inputs that say more"))


def _noisy(curves: Curves) -> Verdict | None:
    """Validation loss jumps to and fro."""
    last = curves.raw[-max(2 * STEADY, len(curves.raw) // 2) :]
    if len(last) < 2 * STEADY:
        return None
    level, jumps = abs(median(last)), noise(last)
    if jumps < NOISY * level or turns(last) < TURNING:
        return None
    text = "Noisy validation: from epoch to epoch its loss jumps more than it changes."
    evidence = (f"validation loss about {level:.3g}, give or take {jumps / level:.0%}",)
    advice = (
        "a larger validation part",
        "a smaller learning rate or a schedule",
        "ema=0.999",
        "larger batches",
    )
    return Verdict("noisy-validation", text, evidence, advice)


def _fine(curves: Curves) -> Verdict:
    evidence = [f"training loss {curves.loss[-1]:.3g}", *_held(curves), *_accuracies(curves)]
    falls = [fall(losses) for losses in (curves.loss, curves.held) if losses]
    advice = ("more epochs: the loss still falls",) if min(falls) >= FALLING / 2 else ()
    if not curves.held:
        return Verdict(
            "fine",
            "The training examples are fitted; without a validation part, no more is known.",
            tuple(evidence),
            ("validation=0.1", *advice),
        )
    return Verdict("fine", "Fine: what was learned holds for the validation part.", tuple(evidence), advice)


# Evidence -----------------------------------------------------------------------------------------


def _held(curves: Curves) -> list[str]:
    return [f"validation loss {curves.held[-1]:.3g}"] if curves.held else []


def _accuracies(curves: Curves) -> list[str]:
    if not curves.right or not curves.right_held:
        return []
    return [f"accuracy {curves.right[-1]:.1%} in training, {curves.right_held[-1]:.1%} in validation"]


def _of_chance(curves: Curves) -> list[str]:
    return [f"chance is {curves.chance:.3g}"] if curves.chance is not None else []
