"""Texts by their words."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import KW_ONLY
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia.codecs.arrays import brief
from retia.codecs.characters import UNSEEN, numbered
from retia.codecs.text import Texts, bracketed
from retia.codecs.tokens import Tokens, cased, check_whole, listed, read_text
from retia.errors import ArgumentError, CodecError, did_you_mean
from retia.nets.codec import Codec, codec
from retia.nets.settings import choice, make, setting, whole

if TYPE_CHECKING:
    from numpy.typing import NDArray


def read_words(name: str, value: Any) -> tuple[str, ...] | None:
    """The rule of ``words=``: different texts in their order."""
    if value is None:
        return None
    if isinstance(value, str | bytes | Mapping | AbstractSet) or not isinstance(value, Iterable):
        cure = "Words(sorted(words))" if isinstance(value, AbstractSet) else None
        raise ArgumentError(f"{name} is a list of texts; got {brief(value)}.", fix=cure, got=value)
    words = list(value)
    wrong = [word for word in words if not isinstance(word, str) or not word]
    if wrong or not words:
        raise ArgumentError(
            f"{name} are texts that are not empty; got {brief(wrong[0] if wrong else value)}."
        )
    twice = [word for word, count in Counter(words).items() if count > 1]
    if twice:
        raise ArgumentError(
            f"{name} differ from each other; more than once: {', '.join(map(repr, twice[:5]))}."
        )
    try:
        check_whole(name, 0, "".join(words))
    except CodecError as error:
        raise ArgumentError(f"{name} have half of a character, a surrogate.", got=error.got) from None
    return tuple(str.__str__(word) for word in words)


@codec
class Words(Texts):
    """A text by its words: their numbers in a vocabulary, or scores of each word at every place.

    A word is a longest run of letters, marks, numbers (Unicode's categories L, M and N) and underscores; an
    apostrophe (``'`` or U+2019) between two of these belongs to it. Every other character that is no space
    is a word by itself. Use Characters or Subwords for languages that put no spaces between words.

    Words that are not given are learned from the training data, the most frequent first, equally frequent
    ones by their code points. A decoder joins words by spaces.

    Answers: as Characters.
    Shape:  at an input (length) whole numbers, at an output (length, n)
    Args:
        words: the vocabulary in its order; learned when left out.
        size: learn at most so many words, the special tokens not counted.
        least: learn words that occur so often at least.
        unknown: for other words: ``"token"`` has a token for all of them, ``"error"`` names the first.
        split: ``"words"``, as above; or ``"spaces"``, which cuts at spaces only.
        length: a number of places, to which texts are padded and truncated; or a name for the size
            where it varies from text to text.
        truncate: which part of too long a text is left out: ``"end"``, ``"start"``, or neither (``"error"``).
        padding: have a token for the places after a text; by default where the length is fixed.
        begin: have a token before each text. end: have one after it; what is decoded stops there.
        blank: have a token between places, as the CTC loss needs it; its number is 0.
        lower: texts in lower case. normalize: ``"NFC"``, ``"NFD"``, ``"NFKC"`` or ``"NFKD"``, after that.
    Raises:
        CodecError: what is no text, half a character, or an unknown word if that is an error, with its row.
    Example:
        >>> import retia as rt
        >>> words = rt.Words(lower=True).fit(["To be, or not to be"])
        >>> words.words
        ('be', 'to', ',', 'not', 'or')
        >>> words.encode("Be what?").tolist()
        [1, 0, 0]
    """

    words: tuple[str, ...] | None = setting(read_words, default=None)
    _: KW_ONLY
    size: int | None = setting(whole(1, optional=True), default=None)
    least: int = setting(whole(1), default=1)
    unknown: str = setting(choice("token", "error"), default="token")
    split_: str = setting(choice("words", "spaces"), default="words", alias="split")

    def is_fitted(self) -> bool:
        return self.words is not None

    def fit(self, things: Sequence[Any]) -> Codec:
        """The codec with the vocabulary of these texts, where none was given."""
        if self.is_fitted():
            return self
        counts: Counter[str] = Counter()
        for row, thing in enumerate(listed("Words", things)):
            counts.update(map(str, thing) if isinstance(thing, Tokens) else self._cut_up(row, thing))
        order = sorted(counts, key=lambda word: (-counts[word], word))
        kept = [word for word in order[: self.size] if counts[word] >= self.least]
        if not kept:
            often = f" that occur {self.least} times" if counts else ""
            raise CodecError(f"Words: there are no words{often} to learn.", fix="least=1" if counts else None)
        return make(Words, {**self.settings(), "words": tuple(kept)})

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        if self.words is None:
            raise CodecError(
                "Words() has learned no words yet.", fix="rt.Words([...]), codec.fit(texts), or rt.train"
            )
        return (*map(bracketed, self.specials), *self.words)

    @cached_property
    def specials(self) -> Mapping[str, int]:
        return numbered(self, self.unknown == "token")

    def split(self, things: Sequence[Any]) -> list[NDArray[Any]]:
        index, other = self._numbers_of_words, self.specials.get("unknown")
        rows = []
        for row, thing in enumerate(things):
            words = self._cut_up(row, thing)
            numbers = [index.get(word, other) for word in words]
            if other is None and None in numbers:
                raise self._unknown(row, words[numbers.index(None)], numbers.index(None))
            rows.append(np.array(numbers, np.int64))
        return rows

    def join(self, numbers: Sequence[int]) -> str:
        first = len(self.specials)
        return " ".join(self.vocabulary[n] if n >= first else UNSEEN for n in numbers)

    def _cut_up(self, row: int, thing: Any) -> list[str]:
        text = cased(read_text("Words", row, thing), self.lower, self.normalize)
        return text.split() if self.split_ == "spaces" else _pattern(text.isascii()).findall(text)

    @cached_property
    def _numbers_of_words(self) -> Mapping[str, int]:
        first = len(self.specials)
        return {word: number for number, word in enumerate(self.vocabulary[first:], first)}

    def _unknown(self, row: int, word: str, place: int) -> CodecError:
        words = self.words or ()
        return CodecError(
            f"Words: row {row}: word {place}, {word!r}, is not one of the {len(words)} words."
            + did_you_mean(word, words),
            fix='unknown="token" has a token for such',
            path=f"row {row}",
            got=word,
        )


@cache
def _pattern(ascii: bool) -> re.Pattern[str]:
    r"""What a word is; Python's ``\w`` knows letters, numbers and the underscore, but no marks."""
    letter = r"\w" if ascii else rf"[\w{_marks()}]"
    return re.compile(rf"{letter}+(?:['\u2019]{letter}+)*|\S")


def _marks() -> str:
    """All combining marks, as ranges for a regular expression."""
    points = [p for p in range(sys.maxunicode + 1) if unicodedata.category(chr(p)).startswith("M")]
    starts = [p for p, before in zip(points, [-2, *points], strict=False) if p != before + 1]
    stops = [p for p, after in zip(points, [*points[1:], -2], strict=True) if p + 1 != after]
    return "".join(f"{chr(a)}-{chr(b)}" for a, b in zip(starts, stops, strict=True))
