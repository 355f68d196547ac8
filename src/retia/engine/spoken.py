"""Text as its tokens come: whole characters as soon as they are sure, and nothing after a text that stops."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from os.path import commonprefix

from retia.codecs.characters import UNSEEN
from retia.codecs.text import Texts

AROUND = 8
"""So many tokens of what came before are read with the first new one: they say whether a space is due."""


class Spoken:
    """What tokens add to a text, one after another.

    Args:
        codec: of the tokens.
        before: numbers of what the text begins with, which is not said again.
    Example:
        >>> import retia as rt
        >>> spoken = Spoken(rt.Bytes(), [65])
        >>> spoken.add(0xC3), spoken.add(0x9F)
        ('', 'ß')
    """

    def __init__(self, codec: Texts, before: Sequence[int]) -> None:
        self._codec = codec
        end = codec.specials.get("end")
        self._said = [number for number in before if number != end][-AROUND:]
        self._new: list[int] = []

    def add(self, token: int) -> str:
        """The characters that are whole with this token; none while bytes of one are missing."""
        self._new.append(token)
        found = self.rest()
        if not found or found.endswith(UNSEEN):
            return ""
        self._said, self._new = self._new, []
        return found

    def rest(self) -> str:
        """What is not said yet, be it whole or not."""
        before, now = self._codec.text(self._said), self._codec.text([*self._said, *self._new])
        return now[len(commonprefix([before, now])) :]


def pieces(
    tokens: Generator[int, None, str], spoken: Spoken, stop: Sequence[str]
) -> Generator[str, None, str]:
    """Pieces of text as tokens come, up to a text that stops it; and why it ended.

    Args:
        tokens: numbers, which return why they end.
        spoken: makes text of them.
        stop: texts; what may be the beginning of one is held back.
    """
    held, why = "", ""
    while not why:
        try:
            held += spoken.add(next(tokens))
        except StopIteration as ended:
            held, why = held + spoken.rest(), ended.value
        places = [place for each in stop if (place := held.find(each)) >= 0]
        if places:
            held, why = held[: min(places)], "stop"
        sure = len(held) if why else len(held) - _begun(held, stop)
        if sure:
            yield held[:sure]
        held = held[sure:]
    return why


def _begun(text: str, stop: Sequence[str]) -> int:
    """How long an end of a text is that a text which stops it may begin with."""
    return max(
        (
            size
            for each in stop
            for size in range(1, min(len(each), len(text) + 1))
            if text.endswith(each[:size])
        ),
        default=0,
    )
