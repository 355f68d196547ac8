"""A ``tokenizer.json`` as data: what it must have, its tokens by number, and how it frames a text.

Read without the library, so that a net's sizes are known without it. Nothing in it is code.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from retia.codecs.arrays import brief
from retia.errors import ArgumentError

MODELS = ("BPE", "WordPiece", "Unigram")
LONGEST = 12 * 2**20
"""Characters of a tokenizer at most, as a net's file can hold them."""


def read_tokenizer(name: str, value: Any) -> str | None:
    """The rule of ``tokenizer=``: the text of a tokenizer.json, or a tokenizer of the library."""
    if value is None:
        return None
    text = value.to_str() if hasattr(value, "to_str") else value
    if not isinstance(text, str) or not text.lstrip().startswith("{"):
        raise ArgumentError(
            f"{name} is the text of a tokenizer.json; got {brief(value)}.",
            fix="rt.Subwords.load(path)" if isinstance(text, str) else None,
            got=value,
        )
    if len(text) > LONGEST:
        raise ArgumentError(f"{name} has {len(text):,} characters, at most {LONGEST:,}.", expected=LONGEST)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise ArgumentError(f"{name} is not JSON.") from None
    model = data.get("model")
    kind = model.get("type") if isinstance(model, dict) else None
    if kind not in MODELS:
        raise ArgumentError(f"{name}: its model is one of {', '.join(MODELS)}; got {brief(kind)}.", got=kind)
    if not all(_is_token(*token) for token in _tokens(name, data)):
        raise ArgumentError(f"{name}: its vocabulary is not made of texts with whole numbers.")
    tokens_of(data, name)
    return text


def check_tokenizer(data: Mapping[str, Any]) -> str:
    """A tokenizer's text as it is stored: without padding, truncation and frame, which the codec has."""
    bare = {**data, "truncation": None, "padding": None, "post_processor": None}
    return json.dumps(bare, ensure_ascii=False, separators=(",", ":"))


def tokens_of(data: Mapping[str, Any], name: str = "tokenizer") -> tuple[str, ...]:
    """Tokens by their numbers; a number that no token has is called by itself, ``<7>``."""
    found = {number: token for token, number in _tokens(name, data)}
    most = max(found, default=-1) + 1
    if most == 0 or most > 2 * len(found) + 1000:
        raise ArgumentError(f"{name}: its {len(found):,} tokens have numbers below {most:,}.", got=most)
    return tuple(found.get(number, f"<{number}>") for number in range(most))


def hidden(text: str, numbers: Collection[int]) -> str:
    """A tokenizer that meets its special tokens in no text.

    A Unigram would take "<end>" for that piece wherever it is written. With a space before it no text that
    is cut at its spaces has it; other models have no such way.
    """
    data = json.loads(text)
    if data["model"]["type"] != "Unigram":
        return text
    pieces = data["model"]["vocab"]
    for number in numbers:
        if number < len(pieces):
            pieces[number][0] = f" {pieces[number][0]}"
    data["added_tokens"] = [token for token in data.get("added_tokens") or () if token["id"] not in numbers]
    return json.dumps(data, ensure_ascii=False)


def frame_of(data: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The special tokens that a tokenizer puts before and after a text."""
    before: list[str] = []
    after: list[str] = []
    for step in _steps(data.get("post_processor")):
        if step.get("type") in ("BertProcessing", "RobertaProcessing"):
            before.append(step["cls"][0])
            after.append(step["sep"][0])
        elif step.get("type") == "TemplateProcessing":
            side = before
            for part in step["single"]:
                if "Sequence" in part:
                    side = after
                else:
                    side.append(part["SpecialToken"]["id"])
    return before, after


def _steps(step: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(step, dict) and step.get("type") == "Sequence":
        for each in step.get("processors", ()):
            yield from _steps(each)
    elif isinstance(step, dict):
        yield step


def _tokens(name: str, data: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    vocabulary = data["model"].get("vocab")
    try:
        if isinstance(vocabulary, dict):
            yield from vocabulary.items()
        else:
            yield from ((piece, number) for number, (piece, _) in enumerate(vocabulary))
        yield from ((token["content"], token["id"]) for token in data.get("added_tokens") or ())
    except (TypeError, ValueError, KeyError):
        raise ArgumentError(f"{name}: its vocabulary cannot be read.") from None


def _is_token(token: Any, number: Any) -> bool:
    return isinstance(token, str) and type(number) is int and number >= 0
