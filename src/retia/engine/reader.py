"""What a net says comes next in texts that grow token by token, and the choice among it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias

from retia._late import numpy as np
from retia._torch import torch
from retia.codecs.choices import probabilities
from retia.codecs.drawing import narrowed, shares
from retia.codecs.reading import scores_at_places
from retia.codecs.text import Texts
from retia.engine import draws
from retia.engine.ending import ending
from retia.engine.intake import device_of
from retia.engine.stateful import Stateful

if TYPE_CHECKING:
    from numpy.typing import NDArray

SILENT = ("blank", "unknown", "begin")
"""Special tokens that are never written: no text has them."""
ENDS = ("end", "padding")
"""Special tokens after which there is no text."""
TOGETHER = 64
"""So many random numbers are made at once."""

Choose: TypeAlias = "Callable[[NDArray[Any]], int]"
"""Which token it is, by how likely each one is."""


class Reader:
    """A net that reads texts of one length side by side and says what comes next.

    Where the net has places for so many tokens only and all of them are taken, it goes on with the last half
    of what it has read.

    Args:
        view: of the net, before its first piece.
        port: the input that the tokens go to.
        output: the output that scores the next token at each place.
        codec: of the output.
        before: the numbers that the text begins with, at least one.
    """

    def __init__(self, view: Stateful, port: str, output: str, codec: Texts, before: Sequence[int]) -> None:
        self.codec = codec
        self._view, self._port = view, port
        self._value = view.net.wiring.outputs[output]
        self._ending = ending(view.net, self._value)[0]
        self._past = [[*before]]
        self._new = 0
        self._silent = [number for kind, number in codec.specials.items() if kind in SILENT]

    @property
    def read(self) -> tuple[int, ...]:
        """The numbers that the first text has so far."""
        return tuple(self._past[0])

    def next(self) -> NDArray[Any]:
        """How likely each token comes next, a row for each text."""
        view, most = self._view, self._view.most
        new = self._new or len(self._past[0])
        if most is not None and len(view) + new > most:
            new = min(len(self._past[0]), most if not len(view) else max(1, most // 2))
            view.reset()
        numbers = torch.tensor([past[-new:] for past in self._past], device=device_of(view.net))
        last = view.led({self._port: numbers})[self._value][:, -1:]
        self._new = 0
        name = type(self.codec).__name__
        scores = scores_at_places(name, last, (None, len(self.codec.vocabulary)))
        chances = probabilities(name, scores.double().numpy(), self._ending)[:, 0]
        possible = np.ones(chances.shape[1])
        possible[self._silent] = 0.0
        chances = chances * possible
        return shares(np.where(chances.sum(1, keepdims=True) > 0, chances, possible))

    def add(self, tokens: Sequence[int], rows: Sequence[int] | None = None) -> None:
        """Put a token after each text, or after each of some of them, which are those that are left."""
        if rows is not None:
            self._view = self._view.take(rows)
            self._past = [[*self._past[row]] for row in rows]
        for past, token in zip(self._past, tokens, strict=True):
            past.append(token)
        self._new += 1


def drawing(seed: int, row: int, temperature: float | None, top_k: int | None, top_p: float | None) -> Choose:
    """A choice by draws, which are the same for a seed, the text's number and the token's place in it."""
    numbers = _uniform(seed, row)

    def choose(chances: NDArray[Any]) -> int:
        sums = narrowed(chances, temperature, top_k, top_p).cumsum()
        return int((sums <= next(numbers) * sums[-1]).sum())

    return choose


def _uniform(seed: int, row: int) -> Iterator[float]:
    for block in count():
        found: list[float] = draws.uniform(seed, block, "text", torch.tensor([row]), (TOGETHER,))[0].tolist()
        yield from found


def likeliest(chances: NDArray[Any]) -> int:
    """The likeliest token; of equal ones, the first."""
    return int(chances.argmax())


def one_by_one(reader: Reader, length: int, choose: Choose) -> Generator[int, None, str]:
    """Tokens as they are chosen, and why there are no more of them."""
    ends = _ends(reader.codec)
    for _ in range(length):
        token = choose(reader.next()[0])
        if token in ends:
            return "end"
        yield token
        reader.add([token])
    return "length"


def beams(
    reader: Reader, length: int, width: int, stops: Callable[[Sequence[int]], bool]
) -> Generator[int, None, str]:
    """The tokens of the likeliest text that a search among ``width`` beginnings finds.

    A text that has ended stays among them as it is, and is compared with longer ones by its chance.

    Args:
        stops: whether a text ends because of what these tokens say.
    """
    ends = _ends(reader.codec)
    ended: list[tuple[float, list[int], str]] = []
    going: list[tuple[float, list[int]]] = [(0.0, [])]
    for _ in range(length):
        grown = [(log, tokens, -1, why) for log, tokens, why in ended]
        for row, (chances, (log, tokens)) in enumerate(zip(reader.next(), going, strict=True)):
            with np.errstate(divide="ignore"):
                logs = np.log(chances)
            best = [
                each for each in np.argsort(-logs, kind="stable")[:width].tolist() if logs[each] > -np.inf
            ]
            grown += [(log + float(logs[token]), [*tokens, token], row, "") for token in best]
        grown = sorted(grown, key=lambda each: -each[0])[:width]
        ended, going, rows = [], [], []
        for log, tokens, row, why in grown:
            why = why or ("end" if tokens[-1] in ends else "stop" if stops(tokens) else "")
            if why:
                ended.append((log, tokens, why))
            else:
                going.append((log, tokens))
                rows.append(row)
        if not going or (ended and ended[0][0] >= going[0][0]):
            break  # longer texts are never likelier
        reader.add([tokens[-1] for _, tokens in going], rows)
    found = [*ended, *((log, tokens, "length") for log, tokens in going)]
    _, tokens, why = max(found, key=lambda each: each[0])
    yield from tokens[:-1] if why == "end" else tokens
    return why


def _ends(codec: Texts) -> Collection[int]:
    return {number for kind, number in codec.specials.items() if kind in ENDS}
