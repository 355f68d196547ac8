"""How decoders answer that choose among labels: the same words for every one of them.

``"decision"``, ``top=k``, ``"probabilities"``, ``("probability", label)``, ``"entropy"`` in nats, and
``"sample"``, a random draw with a temperature. What the net ends in says what its numbers are:
probabilities after Softmax, their logarithms after LogSoftmax, one probability for each label by itself
after Sigmoid, else logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia.codecs.arrays import rows_where
from retia.errors import ArgumentError, CodecError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from retia.nets.codec import Reading

PROPERTIES = ("decision", "probabilities", "probability", "entropy", "sample")
SLACK = 0.02
"""So far may probabilities be from a sum of 1: nets of low precision round."""


def scores_of(name: str, batch: Tensor, shape: tuple[int, ...]) -> NDArray[Any]:
    """The numbers of an output port in float64, of the shape that they should have and none of them NaN."""
    scores = batch.detach().cpu().double().numpy()
    if scores.shape[1:] != shape:
        raise CodecError(
            f"{name} decodes arrays of shape {shape}; got {scores.shape[1:]}.",
            expected=shape,
            got=scores.shape,
        )
    bad = rows_where(np.isnan(scores))
    if bad.any():
        row = int(bad.argmax())
        raise CodecError(
            f"{name}: row {row} of the net's output is NaN ({int(bad.sum())} of {len(bad)} rows are).",
            fix="look at the array with net(x, None)",
            path=f"row {row}",
        )
    return scores


def softmax(scores: NDArray[Any]) -> NDArray[Any]:
    """Exponentials over their sum, along the last axis."""
    with np.errstate(invalid="ignore"):
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    # A row that is -inf everywhere, or has an infinite winner, says nothing of its other entries.
    powers = np.where(np.isnan(powers), 1.0, powers)
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def probabilities(name: str, scores: NDArray[Any], ending: str | None) -> NDArray[Any]:
    """What a net's numbers say of each label, by what the net ends in."""
    if ending is None:
        return softmax(scores)
    table = np.exp(scores) if ending == "log_softmax" else scores
    off = (table < -SLACK) | (table > 1 + SLACK)
    if ending != "sigmoid":
        off = off.any(axis=-1) | (np.abs(table.sum(axis=-1) - 1) > SLACK)
    if off.any():
        raise CodecError(
            f"{name}: {brief_row(scores, off)} is not made of probabilities.",
            fix="end the net in rt.Softmax() or rt.Sigmoid(), or ask for the decision",
        )
    return np.asarray(table.clip(0.0, 1.0))


def brief_row(table: NDArray[Any], off: NDArray[Any]) -> str:
    """The first row of a table that is off, as an error shows it."""
    row = int(rows_where(off).argmax())
    shown = ", ".join(f"{v:g}" for v in np.ravel(table[row])[:5])
    return f"row {row} [{shown}{', ...' if table[row].size > 5 else ''}]"


@dataclass(frozen=True)
class Choices:
    """Labels and their probabilities, one row for each example.

    Attributes:
        name: of the codec, for errors.
        labels: one for each column.
        table: probabilities (examples, labels).
    """

    name: str
    labels: Sequence[Any]
    table: NDArray[Any]

    def answer(self, word: str, about: Any, reading: Reading) -> list[Any]:
        """One answer for each example."""
        if reading.top is not None:
            return self.best(reading.top)
        if word == "probability":
            return [*self.table[:, self._column(about)].tolist()]
        if word == "entropy":
            return self.entropy()
        if word == "sample":
            return self.sample(reading.temperature, reading.seed)
        return [dict(zip(self.labels, row, strict=True)) for row in self.table.tolist()]

    def best(self, top: int) -> list[dict[Any, float]]:
        """The ``top`` likeliest labels with their probabilities, likeliest first; equal ones as listed."""
        if isinstance(top, bool) or not isinstance(top, int) or top < 1:
            raise ArgumentError(f"top is a whole number of at least 1; got {top!r}.", got=top)
        order = np.argsort(-self.table, axis=1, kind="stable")[:, :top]
        chances = np.take_along_axis(self.table, order, axis=1).tolist()
        return [
            {self.labels[i]: chance for i, chance in zip(row, values, strict=True)}
            for row, values in zip(order.tolist(), chances, strict=True)
        ]

    def entropy(self) -> list[float]:
        """How undecided each row is, in nats: 0 for certainty, log n for n equal chances."""
        shares = self._shares()
        logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
        return (-(shares * logs).sum(axis=1) + 0.0).tolist()  # type: ignore[no-any-return]

    def sample(self, temperature: float | None, seed: int | None) -> list[Any]:
        """One random label a row; below 1 the temperature favours the likelier ones, above 1 it levels."""
        heat = 1.0 if temperature is None else temperature
        if isinstance(heat, bool) or not isinstance(heat, int | float) or not 0 < heat < float("inf"):
            raise ArgumentError(f"temperature is a number above 0; got {temperature!r}.", got=temperature)
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or seed < 0):
            raise ArgumentError(f"seed is a whole number of at least 0; got {seed!r}.", got=seed)
        with np.errstate(divide="ignore"):
            sums = softmax(np.log(self._shares()) / heat).cumsum(axis=1)
        draws = np.random.default_rng(seed).random((len(sums), 1)) * sums[:, -1:]
        return [self.labels[i] for i in (sums <= draws).sum(axis=1).tolist()]

    def _shares(self) -> NDArray[Any]:
        """Probabilities that sum to 1, also where each label has one of its own."""
        total = self.table.sum(axis=1, keepdims=True)
        return np.where(total > 0, self.table / np.where(total > 0, total, 1), 1 / len(self.labels))

    def _column(self, label: Any) -> int:
        found = [i for i, known in enumerate(self.labels) if type(known) is type(label) and known == label]
        if not found:
            raise CodecError(
                f"{self.name}: {label!r} is not one of the {len(self.labels)} labels.",
                fix=f'net(x, ("probability", {self.labels[0]!r}))',
                got=label,
            )
        return found[0]
