"""Texts as they are handed over: which thing is one, which is many, and what is none."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from retia.codecs.arrays import as_array, brief, is_array
from retia.errors import ArgumentError, CodecError
from retia.nets.settings import Rule, choice

FORMS = ("NFC", "NFD", "NFKC", "NFKD")
normalization: Rule = choice(None, *FORMS)
"""The rule of ``normalize=``."""


class Tokens:
    """One text that is cut into tokens already: no codec cuts, lowers or frames it again.

    Args:
        tokens: texts, as the codec's vocabulary has them, or their whole numbers there.
    Raises:
        ArgumentError: something else.
    Example:
        >>> import retia as rt
        >>> words = rt.Words(["red", "blue"], unknown="error")
        >>> words.encode(rt.Tokens(["blue", "red"])).tolist()
        [1, 0]
    """

    __slots__ = ("tokens",)

    def __init__(self, tokens: Iterable[str | int]) -> None:
        if isinstance(tokens, str | bytes) or not isinstance(tokens, Iterable):
            raise ArgumentError(f"Tokens takes a list of tokens; got {brief(tokens)}.", got=tokens)
        found: list[Any] = [_plain(token) for token in tokens]
        wrong = [token for token in found if isinstance(token, bool) or not isinstance(token, str | int)]
        if wrong:
            raise ArgumentError(f"Tokens are texts or whole numbers; got {brief(wrong[0])}.", got=wrong[0])
        self.tokens: tuple[str | int, ...] = tuple(found)

    def __len__(self) -> int:
        return len(self.tokens)

    def __iter__(self) -> Iterator[str | int]:
        return iter(self.tokens)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokens) and self.tokens == other.tokens

    def __hash__(self) -> int:
        return hash(self.tokens)

    def __repr__(self) -> str:
        return f"Tokens({list(self.tokens)!r})"


def _plain(thing: Any) -> Any:
    """A scalar of NumPy's or PyTorch's as Python has it, and anything else as it is."""
    return thing.item() if getattr(thing, "shape", None) == () else thing


def is_one_text(thing: Any) -> bool:
    """Whether a thing is one text (what is no text at all counts as one, and is refused when it is read)."""
    if is_array(thing):
        return len(getattr(thing, "shape", ())) == 0
    return not isinstance(thing, list | tuple)


def listed(name: str, things: Sequence[Any]) -> Sequence[Any]:
    """A batch of texts as a list. Raises ``CodecError`` for an array of more axes."""
    if not is_array(things):
        return things
    array = as_array(things, name)
    if array.ndim != 1:
        raise CodecError(
            f"{name}: texts have one axis, one text for each example; got shape {array.shape}.",
            fix="rt.Tokens(row) for each row, if these are ready tokens",
            expected=1,
            got=array.shape,
        )
    return array.tolist()  # type: ignore[no-any-return]


def read_text(name: str, row: int, thing: Any) -> str:
    """A text as plain Python has it, of whole characters only. Raises ``CodecError`` with the row."""
    thing = _plain(thing)
    if not isinstance(thing, str):
        raise _no_text(name, row, thing)
    text = str.__str__(thing)
    if not text.isascii():
        check_whole(name, row, text)
    return text


def check_whole(name: str, row: int, text: str) -> None:
    """Make sure that no character of a text is half of one (a surrogate)."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise CodecError(
            f"{name}: row {row}: character {error.start} is half of a character, the surrogate "
            f"{ascii(text[error.start])}.",
            fix='text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") makes it whole',
            path=f"row {row}",
            got=text[error.start],
        ) from None


def cased(text: str, lower: bool, form: str | None) -> str:
    """A text in lower case, where that is asked, and then in a normal form of Unicode's."""
    text = text.lower() if lower else text
    return text if form is None or text.isascii() else unicodedata.normalize(form, text)  # type: ignore[arg-type]


def _no_text(name: str, row: int, thing: Any) -> CodecError:
    cure = None
    if isinstance(thing, os.PathLike):
        cure = "path.read_text()"
    elif isinstance(thing, bytes):
        cure = "text.decode()"
    elif isinstance(thing, list | tuple) or is_array(thing):
        cure = "rt.Tokens([...]) is one text of ready tokens"
    elif thing is None or thing != thing:
        cure = "leave such rows out, or fill in a text, first"
    return CodecError(
        f"{name}: row {row}: {brief(thing)} is no text.", fix=cure, path=f"row {row}", got=thing
    )
