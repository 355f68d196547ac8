"""Nets that write: what ``net.generate()`` does."""

from __future__ import annotations

import secrets
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

from retia.codecs.drawing import check_draw, check_seed
from retia.codecs.text import Texts
from retia.codecs.tokens import Tokens
from retia.engine.reader import Reader, beams, drawing, likeliest, one_by_one
from retia.engine.spoken import Spoken, pieces
from retia.engine.stateful import Stateful
from retia.errors import ArgumentError, CodecError, StructureError
from retia.nets.net import Net, missing_arrays


class Writing(Iterator[str]):
    """A text that a net writes: its pieces one after another as they are made, or ``str`` of all of it.

    Attributes:
        prompt: what it goes on from, which is no part of the text.
        seed: of its draws; with it the same net writes the same again. None where nothing is drawn.
        ended: why there is no more: ``"end"`` (the net says so), ``"stop"`` or ``"length"``; None till then.
    """

    def __init__(self, prompt: Any, made: Generator[str, None, str], seed: int | None) -> None:
        self.prompt, self.seed = prompt, seed
        self.ended: str | None = None
        self._made = made
        self._said: list[str] = []

    def __next__(self) -> str:
        try:
            piece = next(self._made)
        except StopIteration as end:
            self.ended = self.ended or end.value
            raise
        self._said.append(piece)
        return piece

    @property
    def text(self) -> str:
        """All of it; what is not written yet is written now."""
        for _ in self:
            pass
        return "".join(self._said)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        so_far = "".join(self._said)
        return f"<a text after {self.prompt!r}, so far {so_far!r}>"


def generate(
    net: Net,
    prompt: Any,
    *,
    length: int,
    temperature: float | None,
    top_k: int | None,
    top_p: float | None,
    beam: int | None,
    seed: int | None,
    stop: str | Sequence[str] | None,
    given: Mapping[str, Any] | None,
) -> Writing | list[Writing]:
    """What ``net.generate(...)`` does; see there."""
    for name, value in (("length", length), ("beam", beam)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ArgumentError(
                f"generate: {name} is a whole number of at least 1; got {value!r}.", got=value
            )
    check_draw(temperature, top_k, top_p)
    check_seed(seed)
    asked = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "seed": seed}
    draws = [name for name, value in asked.items() if value is not None]
    if beam is not None and draws:
        raise ArgumentError(
            f"generate: beam searches for the likeliest text, but {draws[0]} is of a random draw.",
            fix="one of them",
        )
    stops = _stops(stop)
    missing_arrays(net)
    port, output = _ports(net, given or {})
    number = secrets.randbits(32) if draws and seed is None else seed

    def written(each: Any, row: int, known: Mapping[str, Any] | None) -> Writing:
        reader = _reader(net, each, port, output, known)
        before = reader.read
        if beam is not None:
            made = beams(reader, length, beam, lambda tokens: _says(reader.codec, before, tokens, stops))
        else:
            drawn = number is not None and drawing(number, row, temperature, top_k, top_p)
            made = one_by_one(reader, length, drawn or likeliest)
        return Writing(each, pieces(made, Spoken(reader.codec, before), stops), number)

    if not isinstance(prompt, list | tuple):
        return written(prompt, 0, given)
    for name, things in (given or {}).items():
        if len(things) != len(prompt):
            raise ArgumentError(
                f"generate: there are {len(prompt)} prompts, but {len(things)} things are given at {name}.",
                path=name,
                expected=len(prompt),
                got=len(things),
            )
    rows = [{name: things[row] for name, things in (given or {}).items()} for row in range(len(prompt))]
    return [written(each, row, rows[row]) for row, each in enumerate(prompt)]


def _stops(stop: Any) -> tuple[str, ...]:
    found = () if stop is None else (stop,) if isinstance(stop, str) else stop
    if not isinstance(found, list | tuple) or not all(isinstance(each, str) and each for each in found):
        raise ArgumentError(f"generate: stop is a text, or a list of texts; got {stop!r}.", got=stop)
    return tuple(found)


def _says(codec: Texts, before: Sequence[int], tokens: Sequence[int], stops: Sequence[str]) -> bool:
    """Whether tokens say one of some texts."""
    if not stops:
        return False
    spoken = Spoken(codec, before)
    text = "".join(map(spoken.add, tokens)) + spoken.rest()
    return any(each in text for each in stops)


def _ports(net: Net, given: Mapping[str, Any]) -> tuple[str, str]:
    """The input that tokens go to, and the output that scores them.

    Raises:
        StructureError: there is not one of each. CodecError: their tokens are not the same.
    """
    inputs = [name for name in net.inputs if name not in given]
    if len(inputs) != 1:
        raise StructureError(
            f"generate leads one input along; left are {', '.join(inputs) or 'none'}.",
            fix="given={...} has the inputs that are known whole",
        )
    outputs = [name for name, port in net.outputs.items() if isinstance(port.codec, Texts)]
    source = net.inputs[inputs[0]].codec
    if not isinstance(source, Texts) or len(outputs) != 1:
        where = f"its {inputs[0]}" if not isinstance(source, Texts) else "one of its outputs"
        raise CodecError(
            f"generate writes with a net that has a codec of texts at {where}; this one has not.",
            fix="rt.Chain(..., input=rt.Characters(), output=rt.Characters())",
        )
    target = net.outputs[outputs[0]].codec
    assert isinstance(target, Texts)
    for codec in (source, target):
        if not codec.is_fitted():
            raise CodecError(f"{codec!r} has learned no tokens yet.", fix="rt.train(net, data)")
        if codec.blank:
            raise CodecError(
                f"{codec!r} has a blank between tokens, so it does not say which token comes next.",
                fix="blank=False; net(x) reads such a net",
            )
    if (source.vocabulary, source.specials) != (target.vocabulary, target.specials):
        raise CodecError(
            f"What this net writes is not what it reads: {target!r} has other tokens than {source!r}.",
            fix="the same codec at both ends",
        )
    return inputs[0], outputs[0]


def _reader(net: Net, prompt: Any, port: str, output: str, given: Mapping[str, Any] | None) -> Reader:
    source, target = net.inputs[port].codec, net.outputs[output].codec
    assert isinstance(source, Texts)
    assert isinstance(target, Texts)
    if not isinstance(prompt, str | bytes | Tokens):
        raise ArgumentError(f"generate: a prompt is a text, or rt.Tokens; got {prompt!r}.", got=prompt)
    before = source.pieces([prompt], True)[0].tolist()
    if not before:
        name = type(source).__name__
        raise CodecError(
            f"An empty prompt gives the net nothing to go on from: {name} has no begin token.",
            fix='net.generate("\\n"); or begin=True, and train with it',
        )
    view = Stateful(net, given=given)
    if view.course.axes.get(net.wiring.outputs[output]) != 0:
        raise StructureError(
            "generate needs scores of the next token at each place of the text.", path=output
        )
    return Reader(view, port, output, target, before)
