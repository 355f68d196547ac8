"""Texts by parts of words, cut by the ``tokenizers`` library (extra ``text``)."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia._late import tokenizers
from retia.codecs import unigram
from retia.codecs.characters import UNSEEN
from retia.codecs.text import KINDS, Texts, bracketed
from retia.codecs.tokenizer import check_tokenizer, frame_of, hidden, read_tokenizer, tokens_of
from retia.codecs.tokens import cased, listed, read_text
from retia.errors import ArgumentError, CodecError, FileError
from retia.nets.codec import Codec, codec
from retia.nets.settings import choice, make, setting, whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAMES = {
    "blank": ("<blank>",),
    "padding": ("<padding>", "[PAD]", "<pad>"),
    "unknown": ("<unknown>", "[UNK]", "<unk>"),
    "begin": ("<begin>", "[CLS]", "<s>", "<bos>", "<|startoftext|>"),
    "end": ("<end>", "[SEP]", "</s>", "<eos>", "<|endoftext|>"),
}
"""How tokenizers call their special tokens, by kind; the first is what Retia calls them."""


@codec
class Subwords(Texts):
    """A text by parts of words: frequent words whole, rare ones in pieces.

    A tokenizer that is not given is learned from the training data, the same for the same texts:
    ``"bpe"`` joins bytes, so that it knows every text, and decodes to just what was encoded;
    ``"wordpiece"`` joins characters within words and punctuation marks, and joins words by spaces when it
    decodes; ``"unigram"`` takes the pieces that make the words likeliest, a space being part of the piece
    after it, and takes no account of one space at the beginning. A special token that stands in a text is
    read as plain text. The tokenizer is stored in the net's file, as data.

    Answers: as Characters.
    Shape:  at an input (length) whole numbers, at an output (length, n)
    Args:
        model: ``"bpe"``, ``"wordpiece"`` or ``"unigram"``.
        size: learn at most so many tokens, the special ones included (but all bytes or characters).
        unknown: for characters that no token has, which ``"bpe"`` does not meet: ``"token"`` has a token for
            them, ``"error"`` names the first.
        tokenizer: the text of a ``tokenizer.json``, or a tokenizer of the ``tokenizers`` library;
            ``Subwords.load(path)`` reads a file. Learned when left out.
        length: a number of places, to which texts are padded and truncated; or a name for the size
            where it varies from text to text.
        truncate: which part of too long a text is left out: ``"end"``, ``"start"``, or neither (``"error"``).
        padding: have a token for the places after a text; by default where the length is fixed.
        begin: have a token before each text. end: have one after it; what is decoded stops there.
        blank: have a token between places, as the CTC loss needs it; its number is 0.
        lower: texts in lower case. normalize: ``"NFC"``, ``"NFD"``, ``"NFKC"`` or ``"NFKD"``, after that.
    Raises:
        MissingExtraError: the library is not installed. CodecError: what is no text, with its row.
    Source: Sennrich et al. 2016 (BPE); Schuster and Nakajima 2012 (WordPiece); Kudo 2018 (Unigram).
    Example:
        >>> import retia as rt
        >>> pieces = rt.Subwords(size=259).fit(["low lower lowest"] * 5)
        >>> [pieces.vocabulary[number] for number in pieces.encode("slow")]
        ['s', 'low']
    """

    model: str = setting(choice("bpe", "wordpiece", "unigram"), default="bpe")
    _: KW_ONLY
    size: int = setting(whole(1), default=8000)
    unknown: str = setting(choice("token", "error"), default="token")
    tokenizer: str | None = setting(read_tokenizer, default=None)

    @classmethod
    def load(cls, path: str | os.PathLike[str], **settings: Any) -> Subwords:
        """The codec of a ``tokenizer.json``. It frames texts by special tokens if the file says so.

        Args:
            path: of the file.
            settings: as the class takes them, but for ``model`` and ``size``.
        Raises:
            FileError: it cannot be read. ArgumentError: it is no tokenizer, or frames texts in another way.
        """
        try:
            text = Path(path).read_text(encoding="utf8")
        except (OSError, UnicodeDecodeError) as error:
            raise FileError(f"{os.fspath(path)} cannot be read: {error}.", path=os.fspath(path)) from None
        return cls(tokenizer=text, **settings)

    def check(self) -> None:
        if self.tokenizer is None:
            return
        data = json.loads(self.tokenizer)
        object.__setattr__(self, "model", data["model"]["type"].lower())
        before, after = frame_of(data)
        for kind, said in (("begin", before), ("end", after)):
            if said and (len(said) > 1 or said[0] not in NAMES[kind]):
                raise ArgumentError(
                    f"Subwords: the tokenizer puts {' '.join(said)} at the {kind} of a text; known there are "
                    f"{', '.join(NAMES[kind])}.",
                    got=said,
                )
            if said:
                object.__setattr__(self, kind, True)
        object.__setattr__(self, "tokenizer", check_tokenizer(data))
        for kind, wanted in self._wanted().items():
            if wanted and kind != "unknown" and kind not in self.specials:
                raise ArgumentError(
                    f"Subwords: the tokenizer has no token for {kind}; known are {', '.join(NAMES[kind])}.",
                    fix="padding=False" if kind == "padding" else None,
                    path=kind,
                )

    def is_fitted(self) -> bool:
        return self.tokenizer is not None

    def fit(self, things: Sequence[Any]) -> Codec:
        """The codec with a tokenizer learned from these texts, where none was given."""
        if self.is_fitted():
            return self
        texts = [self._read(row, thing) for row, thing in enumerate(listed("Subwords", things))]
        if not any(text.strip() for text in texts):
            raise CodecError("Subwords: there are no texts to learn from.", fix="Subwords.load(path)")
        names = [bracketed(kind) for kind in KINDS if self._wanted()[kind]]
        train = {"bpe": _train_bpe, "wordpiece": _train_wordpiece, "unigram": _train_unigram}[self.model]
        return make(Subwords, {**self.settings(), "tokenizer": train(texts, self.size, names)})

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        if self.tokenizer is None:
            raise CodecError(
                f"{self!r} has learned no tokens yet.",
                fix="rt.Subwords.load(path), codec.fit(texts), or rt.train",
            )
        return tokens_of(json.loads(self.tokenizer))

    @cached_property
    def specials(self) -> Mapping[str, int]:
        numbers = {token: number for number, token in enumerate(self.vocabulary)}
        found = {kind: next((n for n in names if n in numbers), None) for kind, names in NAMES.items()}
        return {kind: numbers[name] for kind, name in found.items() if name is not None}

    def split(self, things: Sequence[Any]) -> list[NDArray[Any]]:
        texts = [self._read(row, thing) for row, thing in enumerate(things)]
        found = self._cutter.encode_batch(texts, add_special_tokens=False)
        if self.unknown == "error":
            for row, (text, each) in enumerate(zip(texts, found, strict=True)):
                self._check_known(row, text, each)
        return [np.array(each.ids, np.int64) for each in found]

    def join(self, numbers: Sequence[int]) -> str:
        unknown = self.specials.get("unknown")
        tokens = [UNSEEN if number == unknown else self.vocabulary[number] for number in numbers]
        decoder = self._cutter.decoder
        return " ".join(tokens) if decoder is None else str(decoder.decode(tokens))

    def _wanted(self) -> dict[str, bool]:
        unknown = self.model != "bpe"
        framed = {"padding": self.pads, "begin": self.begin, "end": self.end}
        return {"blank": self.blank, "unknown": unknown, **framed}

    def _read(self, row: int, thing: Any) -> str:
        return cased(read_text("Subwords", row, thing), self.lower, self.normalize)

    @cached_property
    def _cutter(self) -> Any:
        _ = self.vocabulary
        try:
            cutter = tokenizers.Tokenizer.from_str(hidden(self.tokenizer or "", self.specials.values()))
        except Exception as error:  # the library raises bare Exceptions
            raise CodecError(f"Subwords: the tokenizer cannot be used: {error}.") from None
        cutter.encode_special_tokens = True  # "<end>" within a text is no end
        return cutter

    def _check_known(self, row: int, text: str, encoding: Any) -> None:
        unknown = self.specials.get("unknown")
        if unknown in encoding.ids:
            start, stop = encoding.offsets[encoding.ids.index(unknown)]
            raise CodecError(
                f"Subwords: row {row}: character {start}, no token has {text[start:stop]!r}.",
                fix='unknown="token" has a token for such',
                path=f"row {row}",
                got=text[start:stop],
            )


def _train_bpe(texts: list[str], size: int, names: list[str]) -> str:
    space = tokenizers.pre_tokenizers.ByteLevel
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = space(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size, special_tokens=names, initial_alphabet=sorted(space.alphabet()), show_progress=False
    )
    made.train_from_iterator(texts, trainer)
    return str(made.to_str())


def _train_wordpiece(texts: list[str], size: int, names: list[str]) -> str:
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token=bracketed("unknown")))
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.decoder = tokenizers.decoders.WordPiece(cleanup=False)
    # The library numbers the inner characters as a hash table has them, and so breaks ties at random. As
    # special tokens they have the numbers that they are given; that name for them is taken off again.
    inner = {character for word in _words(made, texts) for character in word[1:]}
    first = [f"##{character}" for character in sorted(inner)]
    trainer = tokenizers.trainers.WordPieceTrainer(
        vocab_size=size, special_tokens=[*names, *first], show_progress=False
    )
    made.train_from_iterator(texts, trainer)
    data = json.loads(made.to_str())
    data["added_tokens"] = [token for token in data["added_tokens"] if token["content"] in names]
    return json.dumps(data)


def _train_unigram(texts: list[str], size: int, names: list[str]) -> str:
    made = tokenizers.Tokenizer(tokenizers.models.Unigram())
    made.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    pieces = unigram.learn(_words(made, texts), max(1, size - len(names)))
    vocabulary = [*((name, 0.0) for name in names), *((p, c) for p, c in pieces if p not in names)]
    made.model = tokenizers.models.Unigram(vocabulary, names.index(bracketed("unknown")))
    made.decoder = tokenizers.decoders.Metaspace()
    made.add_special_tokens(names)
    return str(made.to_str())


def _words(cutter: Any, texts: list[str]) -> Counter[str]:
    """The words that a tokenizer would cut up further, with how often each occurs."""
    return Counter(word for text in texts for word, _ in cutter.pre_tokenizer.pre_tokenize_str(text))
