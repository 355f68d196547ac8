"""How decoders of texts answer: what a table of scores, all tokens at each place, says in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.codecs.beams import collapsed, labellings, likeliest
from retia.codecs.choices import Choices, probabilities
from retia.codecs.drawing import drawn, narrowed
from retia.errors import ArgumentError, CodecError
from retia.nets.codec import Reading
from retia.shapes import show

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

WIDTH = 16
"""So many prefixes at least are followed where several best texts are asked and no beam is given."""


@dataclass(frozen=True)
class Readout:
    """Tokens, and what is made of scores of them.

    Attributes:
        name: of the codec, for errors.
        vocabulary: the tokens by number.
        specials: numbers of special tokens by kind; a ``"blank"`` means that places in time are not known.
        text: numbers to a text.
    """

    name: str
    vocabulary: Sequence[str]
    specials: Mapping[str, int]
    text: Callable[[Sequence[int]], str]

    def answer(self, scores: Tensor, word: str, reading: Reading) -> list[Any]:
        """One answer for each example of a batch (examples, places, tokens)."""
        if word == "decision" and reading.top is None and reading.beam is None:
            return [self.text(path) for path in self._paths(scores)]
        if word == "tokens":
            return [[self.vocabulary[number] for number in path] for path in self._paths(scores)]
        table = probabilities(self.name, scores.double().numpy(), reading.ending)
        if word == "sample":
            chances = narrowed(table, reading.temperature, reading.top_k, reading.top_p)
            draws = [drawn(each, reading.seed, reading.row + i).tolist() for i, each in enumerate(chances)]
            return [self.text(self._said(path)) for path in draws]
        if word in ("probabilities", "entropy") and reading.top is None:
            return [Choices(self.name, self.vocabulary, each).answer(word, None, reading) for each in table]
        found = [self._best(each / each.sum(axis=-1, keepdims=True), reading) for each in table]
        return [next(iter(best)) for best in found] if reading.top is None else found

    def _paths(self, scores: Tensor) -> list[Sequence[int]]:
        return [self._said(path) for path in scores.argmax(-1).tolist()]

    def _said(self, path: Sequence[int]) -> Sequence[int]:
        blank = self.specials.get("blank")
        return path if blank is None else collapsed(path, blank)

    def _best(self, chances: NDArray[Any], reading: Reading) -> dict[str, float]:
        """The likeliest texts with their chances; ways to write the same text are added."""
        beam, top = _number("beam", reading.beam, 1), _number("top", reading.top, 1)
        width = max(top, beam if reading.beam is not None else WIDTH)
        blank, end = self.specials.get("blank"), self.specials.get("end")
        if blank is None:
            found = likeliest(chances, width, () if end is None else (end,))
        else:
            found = labellings(chances, width, blank)
        texts: dict[str, float] = {}
        for numbers, chance in found:
            text = self.text(numbers)
            texts[text] = texts.get(text, 0.0) + chance
        order = sorted(texts.items(), key=lambda item: -item[1])
        return dict(order[:top])


def scores_at_places(name: str, batch: Tensor, shape: tuple[int | None, int]) -> Tensor:
    """The numbers of an output port, of the shape that they should have and none of them NaN."""
    scores = batch.detach().cpu()
    got = tuple(scores.shape[1:])
    if len(got) != 2 or got[1] != shape[1] or shape[0] not in (None, got[0]):
        raise CodecError(
            f"{name} decodes arrays of shape {show(shape)}; got {show(got)}.", expected=shape, got=got
        )
    bad = torch.isnan(scores).flatten(1).any(1)
    if bool(bad.any()):
        row = int(bad.nonzero()[0])
        raise CodecError(
            f"{name}: row {row} of the net's output is NaN ({int(bad.sum())} of {len(bad)} rows are).",
            fix="look at the array with net(x, None)",
            path=f"row {row}",
        )
    return scores


def _number(name: str, value: Any, default: int) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ArgumentError(f"{name} is a whole number of at least 1; got {value!r}.", got=value)
    return value
