"""What all codecs of texts have in common: special tokens, length, packing, and the answers of a decoder.

A leaf says how a text is cut into tokens and how tokens are put together; tokens are numbered, the special
ones first. At an input a text is its tokens' numbers, at an output it is scores of all tokens at each place.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from retia._late import numpy as np
from retia._torch import torch
from retia.codecs.reading import Readout, scores_at_places
from retia.codecs.tokens import Tokens, is_one_text, listed, normalization
from retia.errors import ArgumentError, CodecError, did_you_mean
from retia.nets.codec import Codec, Reading
from retia.nets.settings import choice, declared, flag, make, setting, whole
from retia.shapes import Shape, extent

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

KINDS = ("blank", "padding", "unknown", "begin", "end")
"""Of special tokens, in the order of their numbers."""


def read_length(name: str, value: Any) -> int | str:
    """The rule of ``length=``: a whole number of at least 1, or the name of a size that varies."""
    if isinstance(value, str) and value.isidentifier():
        return value
    if isinstance(value, str):
        raise ArgumentError(f"{name} is a whole number, or a name for a size that varies; got {value!r}.")
    return whole(1)(name, value)  # type: ignore[no-any-return]


def read_padding(name: str, value: Any) -> bool | None:
    """The rule of ``padding=``."""
    return None if value is None else flag(name, value)


@declared
class Texts(Codec):
    """The interface of codecs of texts; its settings are those of all of them."""

    properties: ClassVar[tuple[str, ...]] = ("decision", "tokens", "probabilities", "entropy", "sample")
    ending: ClassVar[str | None] = "softmax"
    writes: ClassVar[bool] = True

    _: KW_ONLY
    length: int | str = setting(read_length, default="n")
    truncate: str = setting(choice("end", "start", "error"), default="end")
    padding: bool | None = setting(read_padding, default=None)
    begin: bool = setting(flag, default=False)
    end: bool = setting(flag, default=False)
    blank: bool = setting(flag, default=False)
    lower: bool = setting(flag, default=False)
    normalize: str | None = setting(normalization, default=None)

    @property
    @abstractmethod
    def vocabulary(self) -> tuple[str, ...]:
        """All tokens by their numbers. Raises ``CodecError`` where they are not learned yet."""

    @property
    @abstractmethod
    def specials(self) -> Mapping[str, int]:
        """Numbers of the special tokens that there are, by their kind."""

    @abstractmethod
    def split(self, things: Sequence[Any]) -> list[NDArray[Any]]:
        """Texts as the numbers of their tokens, without begin and end. Raises ``CodecError`` with the row."""

    @abstractmethod
    def join(self, numbers: Sequence[int]) -> str:
        """The text of tokens that are not special, but for the unknown one."""

    def check(self) -> None:
        """Check the leaf's own settings against each other; for leaves to fill in."""

    # Finished -------------------------------------------------------------------------------------

    def validate(self) -> None:
        name = type(self).__name__
        framed = [kind for kind in ("begin", "end", "padding") if getattr(self, kind)]
        if self.blank and framed:
            raise ArgumentError(
                f"{name}: blank=True is for texts whose places are not known, which have no {framed[0]}."
            )
        if self.blank and isinstance(self.length, int):
            raise ArgumentError(f"{name}: blank=True is for texts of any length; got length={self.length}.")
        if isinstance(self.length, int) and self.length <= self.begin + self.end:
            raise ArgumentError(f"{name}: a length of {self.length} leaves no place between begin and end.")
        self.check()

    @property
    def kind(self) -> str:
        return "int"

    @property
    def output_kind(self) -> str:
        return "float"

    @property
    def shape(self) -> Shape | None:
        return (self.length if isinstance(self.length, int) else extent(self.length),)

    @property
    def output_shape(self) -> Shape | None:
        # Where the length varies it is left to the net: what comes out is as long as the net makes it.
        return (self.length if isinstance(self.length, int) else None, self.class_count)

    @property
    def class_count(self) -> int | None:
        return len(self.vocabulary) if self.is_fitted() else None

    @property
    def pads(self) -> bool:
        """Whether there is a token for places after a text's end: by default, where the length is fixed."""
        return isinstance(self.length, int) if self.padding is None else self.padding

    def loss(self) -> str:
        return "ctc" if self.blank else "cross-entropy"

    def is_one(self, thing: Any) -> bool:
        return isinstance(thing, str | bytes | Tokens) or is_one_text(thing)

    def pack(self, things: Sequence[Any]) -> Tensor:
        return torch.from_numpy(self._padded(self._numbers(things), self.compact))

    def rows(self, things: Sequence[Any]) -> list[Tensor]:
        return [torch.from_numpy(row.astype(self.compact)) for row in self._numbers(things)]

    def pieces(self, things: Sequence[Any], begins: bool) -> list[Tensor]:
        things = listed(type(self).__name__, things)
        rows = self.whole(things)
        if begins:
            before = self.frame[0]
            framed = [not isinstance(thing, Tokens) for thing in things]
            rows = [np.concatenate([before, r]) if f else r for r, f in zip(rows, framed, strict=True)]
        return [torch.from_numpy(row.astype(self.compact)) for row in rows]

    def of_pieces(self) -> Codec:
        if not isinstance(self.length, int):
            return self
        return make(type(self), {**self.settings(), "length": "n", "padding": self.pads})

    def pack_target(self, things: Sequence[Any], loss: str) -> Tensor:
        """Class numbers, int64; for CTC rows that end in -1."""
        return torch.from_numpy(self._padded(self._numbers(things), np.int64, -1 if self.blank else None))

    def target_rows(self, things: Sequence[Any], loss: str) -> list[Tensor]:
        return [torch.from_numpy(row.astype(np.int64)) for row in self._numbers(things)]

    def unpack(self, batch: Tensor, reading: Reading) -> list[Any]:
        word, _ = self.asked(reading)
        vocabulary = self.vocabulary
        size = self.length if isinstance(self.length, int) else None
        scores = scores_at_places(type(self).__name__, batch, (size, len(vocabulary)))
        return Readout(type(self).__name__, vocabulary, self.specials, self.text).answer(
            scores, word, reading
        )

    def text(self, numbers: Sequence[int]) -> str:
        """The text of tokens' numbers: up to the end token, without the other special ones.

        An unknown token is shown as U+FFFD.
        """
        specials = self.specials
        silent = {number for kind, number in specials.items() if kind != "unknown"}
        said: list[int] = []
        for number in map(int, numbers):
            if number == specials.get("end"):
                break
            if number not in silent:
                said.append(number)
        return self.join(said)

    @property
    def compact(self) -> Any:
        """The smallest type that holds every token's number; it does not depend on the texts."""
        most = len(self.vocabulary)
        return np.uint8 if most <= 256 else np.int16 if most <= 2**15 else np.int32

    def whole(self, things: Sequence[Any]) -> list[NDArray[Any]]:
        """Each thing's tokens, neither framed nor cut."""
        ready = {row for row, thing in enumerate(things) if isinstance(thing, Tokens)}
        texts = iter(self.split([thing for row, thing in enumerate(things) if row not in ready]))
        return [
            self._of_tokens(row, thing) if row in ready else next(texts) for row, thing in enumerate(things)
        ]

    def _numbers(self, things: Sequence[Any]) -> list[NDArray[Any]]:
        """Each thing's tokens, framed and cut to the length."""
        things = listed(type(self).__name__, things)
        before, after = self.frame
        rows = []
        for row, (thing, numbers) in enumerate(zip(things, self.whole(things), strict=True)):
            if isinstance(thing, Tokens):
                rows.append(self._cut(row, numbers, 0))
            else:
                kept = self._cut(row, numbers, len(before) + len(after))
                rows.append(np.concatenate([before, kept, after]) if len(before) + len(after) else kept)
        return rows

    @cached_property
    def frame(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Numbers that stand before and after every text."""
        before = [self.specials["begin"]] if self.begin else []
        after = [self.specials["end"]] if self.end else []
        return np.array(before, np.int64), np.array(after, np.int64)

    def _cut(self, row: int, numbers: NDArray[Any], taken: int) -> NDArray[Any]:
        if not isinstance(self.length, int) or len(numbers) <= self.length - taken:
            return numbers
        place = self.length - taken
        if self.truncate == "error":
            raise CodecError(
                f"{type(self).__name__}: row {row} has {len(numbers)} tokens, more than the {place} places.",
                fix='truncate="end" leaves out what is too much',
                path=f"row {row}",
                expected=place,
                got=len(numbers),
            )
        return numbers[:place] if self.truncate == "end" else numbers[len(numbers) - place :]

    def _padded(self, rows: list[NDArray[Any]], kind: Any, filler: int | None = None) -> NDArray[Any]:
        width = self.length if isinstance(self.length, int) else max(map(len, rows), default=0)
        if filler is None:
            filler = self.specials.get("padding", 0)
        batch = np.full((len(rows), width), filler, kind)
        for number, row in enumerate(rows):
            if len(row) < width and isinstance(self.length, int) and not self.pads:
                raise CodecError(
                    f"{type(self).__name__}: row {number} has {len(row)} tokens, fewer than {width} places.",
                    fix="padding=True has a token for the others",
                    path=f"row {number}",
                    expected=width,
                    got=len(row),
                )
            batch[number, : len(row)] = row
        return batch

    def _of_tokens(self, row: int, tokens: Tokens) -> NDArray[Any]:
        numbers = [self._index.get(t, -1) if isinstance(t, str) else t for t in tokens]
        most = len(self.vocabulary)
        for token, number in zip(tokens, numbers, strict=True):
            if not 0 <= number < most:
                known = self.vocabulary if isinstance(token, str) else ()
                raise CodecError(
                    f"{type(self).__name__}: row {row}: {token!r} is none of the {most} tokens."
                    + did_you_mean(str(token), known),
                    path=f"row {row}",
                    got=token,
                )
        return np.array(numbers, np.int64)

    @cached_property
    def _index(self) -> Mapping[str, int]:
        return {token: number for number, token in enumerate(self.vocabulary)}


def bracketed(kind: str) -> str:
    """How a special token is called."""
    return f"<{kind}>"
