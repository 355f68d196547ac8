"""Texts by their characters, or by their bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import KW_ONLY
from functools import cached_property
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia.codecs.arrays import brief
from retia.codecs.text import KINDS, Texts, bracketed
from retia.codecs.tokens import Tokens, cased, check_whole, listed, read_text
from retia.errors import ArgumentError, CodecError
from retia.nets.codec import Codec, codec
from retia.nets.settings import choice, make, setting

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNSEEN = "\ufffd"
"""What stands in a text for a token that is not known."""


def read_alphabet(name: str, value: Any) -> str | None:
    """The rule of ``alphabet=``: different characters in their order, as a text or a list."""
    if value is None:
        return None
    if not isinstance(value, str):
        if isinstance(value, AbstractSet | Mapping) or not isinstance(value, Iterable):
            raise ArgumentError(f"{name} is a text, or a list of characters; got {brief(value)}.", got=value)
        things = list(value)
        wrong = [thing for thing in things if not isinstance(thing, str) or len(thing) != 1]
        if wrong:
            raise ArgumentError(f"{name} has single characters; got {brief(wrong[0])}.", got=wrong[0])
        value = "".join(things)
    text = str.__str__(value)
    twice = (
        sorted({character for character in text if text.count(character) > 1}) if not _differ(text) else []
    )
    if twice or not text:
        what = f"more than once: {', '.join(map(repr, twice[:5]))}" if twice else "got none"
        raise ArgumentError(f"{name} has characters that differ from each other, at least one; {what}.")
    try:
        check_whole(name, 0, text)
    except CodecError as error:
        raise ArgumentError(f"{name} has half of a character, a surrogate.", got=error.got) from None
    return text


def _differ(text: str) -> bool:
    return len(set(text)) == len(text)


@codec
class Characters(Texts):
    r"""A text by its characters (Unicode code points): their numbers, or scores of each at every place.

    An alphabet that is not given is learned from the training data, in the order of the code points. A
    combining mark and each part of a joined emoji is a character by itself; ``normalize="NFC"`` composes
    what can be composed, with the Unicode tables of the Python that runs.

    Answers: ``"decision"`` (the likeliest text), ``top=k`` texts with their probabilities, ``"tokens"``,
        ``"probabilities"`` and ``"entropy"`` (nats) at every place, ``"sample"`` (with a temperature).
    Shape:  at an input (length) whole numbers, at an output (length, n)
    Args:
        alphabet: the characters in their order, as a text or a list; learned when left out.
        unknown: for characters outside the alphabet: ``"error"`` names the first, ``"token"`` has a token for
            all of them.
        length: a number of places, to which texts are padded and truncated; or a name for the size
            where it varies from text to text.
        truncate: which part of too long a text is left out: its ``"end"``, its ``"start"``, or neither
            (``"error"``).
        padding: have a token for the places after a text; by default where the length is fixed.
        begin: have a token before each text. end: have one after it; what is decoded stops there.
        blank: have a token between places, as the CTC loss needs it; its number is 0.
        lower: texts in lower case, by Unicode's rules.
        normalize: ``"NFC"``, ``"NFD"``, ``"NFKC"`` or ``"NFKD"``, after that.
    Raises:
        CodecError: what is no text, half a character (a surrogate), or an unknown one, with row and place.
    Example:
        >>> import retia as rt
        >>> dna = rt.Characters("ACGT")
        >>> dna.encode("GAT").tolist()
        [2, 0, 3]
        >>> dna.decode([[0.1, 0.2, 0.7, 0.0], [0.9, 0.1, 0.0, 0.0]])
        'GA'
        >>> rt.Characters("ab", length=4, end=True).encode(["ab", "b"]).tolist()
        [[2, 3, 1, 0], [3, 1, 0, 0]]
    """

    alphabet: str | None = setting(read_alphabet, default=None)
    _: KW_ONLY
    unknown: str = setting(choice("error", "token"), default="error")

    def is_fitted(self) -> bool:
        return self.alphabet is not None

    def fit(self, things: Sequence[Any]) -> Codec:
        """The codec with the alphabet of these texts, where none was given."""
        if self.is_fitted():
            return self
        found: set[str] = set()
        for row, thing in enumerate(listed("Characters", things)):
            found.update(thing if isinstance(thing, Tokens) else self._read(row, thing))  # type: ignore[arg-type]
        if not found:
            raise CodecError(
                "Characters: there are no texts to learn an alphabet from.", fix='Characters("ab")'
            )
        return make(Characters, {**self.settings(), "alphabet": "".join(sorted(found))})

    @property
    def vocabulary(self) -> tuple[str, ...]:
        if self.alphabet is None:
            raise CodecError(
                "Characters() has learned no alphabet yet.",
                fix='rt.Characters("..."), codec.fit(texts), or rt.train',
            )
        return (*map(bracketed, self.specials), *self.alphabet)

    @cached_property
    def specials(self) -> Mapping[str, int]:
        return numbered(self, self.unknown == "token")

    def split(self, things: Sequence[Any]) -> list[NDArray[Any]]:
        return [self._of_text(row, self._read(row, thing)) for row, thing in enumerate(things)]

    def join(self, numbers: Sequence[int]) -> str:
        first, alphabet = len(self.specials), self.alphabet or ""
        return "".join(alphabet[n - first] if n >= first else UNSEEN for n in numbers)

    def _read(self, row: int, thing: Any) -> str:
        return cased(read_text("Characters", row, thing), self.lower, self.normalize)

    def _of_text(self, row: int, text: str) -> NDArray[Any]:
        points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        known, order = self._points
        places = np.searchsorted(known, points).clip(max=len(known) - 1)
        missing = known[places] != points
        numbers = np.asarray(order[places] + len(self.specials))
        if missing.any():
            if self.unknown == "error":
                raise self._unknown(row, text, int(missing.argmax()), int(missing.sum()))
            numbers[missing] = self.specials["unknown"]
        return numbers

    @cached_property
    def _points(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """The alphabet's code points in order, and the place of each in the alphabet."""
        _ = self.vocabulary
        points = np.frombuffer((self.alphabet or "").encode("utf-32-le"), np.uint32)
        order = np.argsort(points)
        return points[order], order

    def _unknown(self, row: int, text: str, place: int, count: int) -> CodecError:
        more = f" ({count} such characters in all)" if count > 1 else ""
        return CodecError(
            f"Characters: row {row}: character {place}, {text[place]!r}, is not in the alphabet{more}.",
            fix='unknown="token" has a token for such',
            path=f"row {row}",
            got=text[place],
        )


@codec
class Bytes(Texts):
    r"""A text by the bytes of its UTF-8: 256 tokens know every text of every language.

    Answers: as Characters; bytes that are no UTF-8 are decoded as U+FFFD.
    Shape:  at an input (length) whole numbers, at an output (length, n), n = 256 and the special tokens
    Args:
        length: a number of places, or a name for the size where it varies.
        truncate: ``"end"``, ``"start"`` or ``"error"``; a cut may go through a character.
        padding: have a token for the places after a text; by default where the length is fixed.
        begin: have a token before each text. end: have one after it; what is decoded stops there.
        blank: have a token between places, as the CTC loss needs it; its number is 0.
        lower: texts in lower case. normalize: ``"NFC"``, ``"NFD"``, ``"NFKC"`` or ``"NFKD"``, after that.
    Raises:
        CodecError: what is neither text nor bytes, or holds half a character (a surrogate), with its row.
    Example:
        >>> import retia as rt
        >>> rt.Bytes().encode("Aß").tolist()
        [65, 195, 159]
    """

    def is_fitted(self) -> bool:
        return True

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        return (*map(bracketed, self.specials), *(f"0x{number:02x}" for number in range(256)))

    @cached_property
    def specials(self) -> Mapping[str, int]:
        return numbered(self, False)

    def split(self, things: Sequence[Any]) -> list[NDArray[Any]]:
        raw = [
            thing if isinstance(thing, bytes) else self._read(row, thing) for row, thing in enumerate(things)
        ]
        return [np.frombuffer(each, np.uint8).astype(np.int64) + len(self.specials) for each in raw]

    def join(self, numbers: Sequence[int]) -> str:
        return bytes(number - len(self.specials) for number in numbers).decode(errors="replace")

    def _read(self, row: int, thing: Any) -> bytes:
        return cased(read_text("Bytes", row, thing), self.lower, self.normalize).encode()


def numbered(codec: Texts, unknown: bool) -> dict[str, int]:
    """The special tokens that a codec's settings ask for, numbered in their order."""
    there = {
        "blank": codec.blank,
        "padding": codec.pads,
        "unknown": unknown,
        "begin": codec.begin,
        "end": codec.end,
    }
    return {kind: number for number, kind in enumerate(kind for kind in KINDS if there[kind])}
