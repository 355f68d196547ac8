"""Texts that nets write: against whole runs, brute force, and what tokens say together."""

import itertools
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import retia as rt
from retia.codecs.drawing import narrowed
from retia.engine import draws
from retia.engine.spoken import Spoken

SIZE = 16


def gpt(codec: rt.Codec, positions: int = 64, seed: int = 0) -> rt.Net:
    blocks = rt.TransformerEncoder(2, 2, size=SIZE, causal=True)
    layers = [rt.Embedding(SIZE), rt.PositionEmbedding(positions), blocks, rt.Linear(), rt.Softmax()]
    return rt.Chain(*layers, input=codec, output=codec).init(seed=seed)


def table(codec: rt.Codec, chances: list[list[float]] | torch.Tensor) -> rt.Net:
    """A net whose next token follows from the last one alone, by these chances."""
    chances = torch.as_tensor(chances, dtype=torch.float32)
    net = rt.Chain(rt.Embedding(len(chances)), rt.Softmax(), input=codec, output=codec)
    return net.with_arrays({"0.weight": chances.log()})


def cycle(codec: rt.Codec, text: str) -> rt.Net:
    """A net that says the tokens of a text, each but once in it, again and again."""
    numbers = codec.encode(text).tolist()
    assert len(set(numbers)) == len(numbers)
    chances = torch.full((len(codec.vocabulary),) * 2, 1e-6)
    for one, other in zip(numbers, [*numbers[1:], numbers[0]], strict=True):
        chances[one, other] = 1.0
    return table(codec, chances)


def whole_runs(net: rt.Net, prompt: str, length: int, choose) -> str:
    """What is written where every token costs the whole text again."""
    text, alphabet = prompt, net.outputs["output"].codec.vocabulary
    for place in range(length):
        text += alphabet[choose(net(text, None)[-1].double().numpy(), place)]
    return text[len(prompt) :]


# Which tokens -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_each_token_is_the_likeliest_by_default(seed: int) -> None:
    net = gpt(rt.Characters("abcdefgh"), seed=seed)
    written = net.generate("hag", length=40)
    assert str(written) == whole_runs(net, "hag", 40, lambda chances, _: int(chances.argmax()))
    assert (written.ended, written.seed, written.prompt) == ("length", None, "hag")


@pytest.mark.parametrize(
    "how", [{}, {"temperature": 0.5}, {"top_k": 3}, {"top_p": 0.7, "temperature": 2.0}], ids=str
)
def test_draws_follow_from_the_seed_and_are_those_of_the_whole_run(how: dict[str, float]) -> None:
    net = gpt(rt.Characters("abcdefgh"))
    units = draws.uniform(7, 0, "text", torch.tensor([0]), (64,))[0].tolist()

    def choose(chances, place):
        sums = narrowed(chances, **how).cumsum()
        return int((sums <= units[place] * sums[-1]).sum())

    expected = whole_runs(net, "a", 30, choose)
    assert str(net.generate("a", length=30, seed=7, **how)) == expected
    assert str(net.generate("a", length=30, seed=8, **how)) != expected


def test_a_draw_without_a_seed_can_be_written_again() -> None:
    net = gpt(rt.Characters("abcdefgh"))
    one, other = (net.generate("a", length=30, temperature=5) for _ in range(2))
    assert str(one) != str(other)
    assert str(net.generate("a", length=30, temperature=5, seed=one.seed)) == str(one)


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    chances = np.array([[0.1, 0.6, 0.3], [0.5, 0.25, 0.25], [0.2, 0.2, 0.6]])
    text = "a" + str(table(rt.Characters("abc"), chances).generate("a", length=6000, temperature=1, seed=3))
    counts = np.zeros((3, 3))
    for one, other in itertools.pairwise(text):
        counts["abc".index(one), "abc".index(other)] += 1
    assert np.abs(counts / counts.sum(1, keepdims=True) - chances).max() < 0.03


@given(seed=st.integers(0, 2**32), width=st.integers(1, 3))
def test_a_wide_search_finds_the_likeliest_of_all_texts(seed: int, width: int) -> None:
    r, length = Random(seed), 4
    codec = rt.Characters("ab", end=True)
    chances = np.array([[r.random() for _ in range(3)] for _ in range(3)])
    chances /= chances.sum(1, keepdims=True)
    net = table(codec, chances)
    found: dict[str, float] = {}
    for path in itertools.product(range(3), repeat=length):
        cut = path[: path.index(0) + 1] if 0 in path else path
        chance, last = 1.0, 1
        for each in cut:
            chance, last = chance * chances[last, each], each
        found[codec.text(cut)] = chance
    best = max(found, key=found.__getitem__)
    assert str(net.generate("a", length=length, beam=100)) == best
    few = str(net.generate("a", length=length, beam=width))
    greedy = str(net.generate("a", length=length))
    assert few in found
    assert width > 1 or few == greedy


def test_a_search_reads_what_each_of_its_texts_says() -> None:
    net = gpt(rt.Characters("abc"), seed=5)
    chances: dict[str, float] = {}
    for path in itertools.product("abc", repeat=4):
        text, total = "b", 1.0
        for each in path:
            total *= float(net(text, None)[-1]["abc".index(each)])
            text += each
        chances[text[1:]] = total
    assert str(net.generate("b", length=4, beam=81)) == max(chances, key=chances.__getitem__)


# Where it ends ------------------------------------------------------------------------------------


def test_the_end_token_ends_a_text_and_other_special_tokens_are_never_written() -> None:
    codec = rt.Characters("ab", begin=True, end=True, unknown="token", padding=True)
    assert list(codec.specials) == ["padding", "unknown", "begin", "end"]
    chances = torch.full((6, 6), 1e-6)
    chances[2, 4] = chances[4, 5] = chances[5, 3] = 0.5  # begin, a, b, end
    chances[:, 1] = chances[:, 2] = 10.0
    net = table(codec, chances / chances.sum(1, keepdim=True))
    for how in ({}, {"beam": 3}):
        written = net.generate("", **how)
        assert (str(written), written.ended) == ("ab", "end")
    chances[5, 3], chances[5, 0] = 0.0, 0.5
    assert str(table(codec, chances / chances.sum(1, keepdim=True)).generate("a")) == "b"


@pytest.mark.parametrize("how", [{}, {"beam": 2}, {"seed": 1}], ids=str)
@pytest.mark.parametrize(
    ("stop", "text"), [("ef", "bcd"), (["fg", "d"], "bc"), ("cde", "b"), ("ab", "bcdefgh"), ("b", "")]
)
def test_a_text_stops_before_what_stops_it(stop, text: str, how: dict[str, int]) -> None:
    net = cycle(rt.Characters("abcdefgh"), "abcdefgh")
    written = net.generate("a", length=30, stop=stop, **how)
    pieces = list(written)
    assert ("".join(pieces), written.text, written.ended) == (text, text, "stop")
    assert all(pieces)


def test_what_may_begin_a_stop_is_held_back_and_said_when_it_does_not() -> None:
    net = cycle(rt.Characters("abcdefgh"), "abcdefgh")
    written = net.generate("a", length=9, stop=["cdx", "hz"])
    assert list(written) == ["b", "cde", "f", "g", "ha", "b"]
    assert written.ended == "length"
    assert str(net.generate("a", length=2, stop="cd")) == "bc"


# Pieces -------------------------------------------------------------------------------------------


def test_pieces_come_as_they_are_made_and_the_text_is_all_of_them() -> None:
    net = cycle(rt.Characters("abcd"), "abcd")
    written = net.generate("a", length=5)
    assert next(written) == "b"
    assert repr(written) == "<a text after 'a', so far 'b'>"
    assert written.ended is None
    assert [*written] == ["c", "d", "a", "b"]
    assert (str(written), written.text, [*written]) == ("bcdab", "bcdab", [])


def test_bytes_come_as_whole_characters() -> None:
    net = cycle(rt.Bytes(), "aé€😀")
    assert [*net.generate("a", length=10)] == ["é", "€", "😀", "a"]
    assert [*net.generate("a", length=7)] == ["é", "€", "\ufffd"]  # cut within a character
    assert [*net.generate(b"a\xc3", length=1)] == ["é"]


TEXT = ["the low lower lowest newer, newest wider: “naïve” fünf 10 000 €", "ein ß und 😀!"] * 3
CODECS = [
    rt.Characters().fit(TEXT), rt.Bytes(), rt.Words().fit(TEXT), rt.Subwords(size=300).fit(TEXT),
    rt.Subwords("wordpiece", size=80).fit(TEXT), rt.Subwords("unigram", size=80).fit(TEXT),
    rt.Subwords(size=300, begin=True, end=True).fit(TEXT),
]  # fmt: skip


@given(seed=st.integers(0, 2**32))
@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: f"{type(codec).__name__} {len(codec.vocabulary)}")
def test_pieces_together_are_the_text_of_all_tokens(codec: rt.Codec, seed: int) -> None:
    r = Random(seed)
    text = [*range(len(codec.specials), len(codec.vocabulary))]
    before = [r.choice(text) for _ in range(r.randint(0, 12))] if r.random() < 0.5 else []
    text = codec.split([r.choice(TEXT)])[0].tolist() if r.random() < 0.5 else text
    tokens = [r.choice(text) for _ in range(20)] if r.random() < 0.5 else text[:20]
    spoken = Spoken(codec, before)
    pieces = [spoken.add(token) for token in tokens]
    assert not any(piece.endswith("\ufffd") for piece in pieces)
    whole = codec.text([*before, *tokens])
    said = codec.text(before)
    if not said.endswith("\ufffd"):
        assert whole == said + "".join(pieces) + spoken.rest()


def test_words_come_with_the_spaces_between_them() -> None:
    net = cycle(rt.Words(["to", "be", "or", "not"]), "to be or not")
    written = net.generate("to be", length=4)
    assert [*written] == [" or", " not", " to", " be"]


# Prompts ------------------------------------------------------------------------------------------


def test_every_prompt_of_a_list_is_gone_on_from_with_draws_of_its_own() -> None:
    net = gpt(rt.Characters("abcdefgh"))
    many = net.generate(["ab", "ab", "abc"], length=20, seed=3)
    texts = [str(each) for each in many]
    assert texts[0] == str(net.generate("ab", length=20, seed=3))
    assert len({*texts}) == 3
    greedy = [str(each) for each in net.generate(["ab", "abc"], length=20)]
    assert greedy == [str(net.generate(each, length=20)) for each in ("ab", "abc")]
    tokens = rt.Tokens(["a", "b"])
    assert str(net.generate(tokens, length=20)) == greedy[0]


def test_what_else_a_net_reads_is_given() -> None:
    codec = rt.Characters("ab", begin=True, end=True)

    def both(source, target):
        seen = rt.GRU(SIZE, bidirectional=True)(rt.Embedding(SIZE)(source))
        own = rt.GRU(2 * SIZE)(rt.Embedding(SIZE)(target))
        return rt.Linear()(rt.MultiHeadAttention(2, cross=True)(own, seen, seen) + own)

    ports = {"source": rt.Characters("xyz", length="m"), "target": codec}
    net = rt.Graph(both, input=ports, output=codec).init(seed=2)
    numbers = [codec.specials["begin"]]
    while len(numbers) < 7 and numbers[-1] != codec.specials["end"]:
        scores = net({"source": "xyzzy", "target": rt.Tokens(numbers)}, None)[-1]
        numbers.append(1 + int(scores[1:].argmax()))  # begin is 0, and never written
    assert len(numbers) > 2
    assert str(net.generate(length=6, given={"source": "xyzzy"})) == codec.text(numbers)
    several = net.generate(["", ""], length=6, given={"source": ["xyzzy", "zx"]})
    assert str(several[0]) == codec.text(numbers)
    assert refused(net, ["", ""], given={"source": ["x"]}) == (
        "generate: there are 2 prompts, but 1 things are given at source."
    )


@pytest.mark.parametrize("fixed", [True, False])
def test_where_all_places_are_taken_it_goes_on_with_the_last_half(fixed: bool) -> None:
    codec = rt.Characters("abcdef", padding=False, length=8 if fixed else "n")
    net = gpt(codec, positions=8)
    free = gpt(rt.Characters("abcdef", padding=False), positions=8).with_arrays(net.arrays)
    read = text = "abc"
    for _ in range(30):
        if len(read) > 8:
            read = read[-4:]
        new = "abcdef"[int(free(read, None)[-1].argmax())]
        read, text = read + new, text + new
    assert str(net.generate("abc", length=30)) == text[3:]
    long = "abcdefabcdefabc"
    assert str(net.generate(long, length=1)) == str(free.generate(long[-8:], length=1))


# What is refused ----------------------------------------------------------------------------------


def refused(net: rt.Net, *prompt, **how) -> str:
    with pytest.raises(rt.Error) as caught:
        net.generate(*prompt, **how)
    return str(caught.value)


def test_what_cannot_be_asked_is_refused_before_anything_is_written() -> None:
    net = gpt(rt.Characters("ab"))
    assert refused(net, "a", length=0) == "generate: length is a whole number of at least 1; got 0."
    assert refused(net, "a", beam=0) == "generate: beam is a whole number of at least 1; got 0."
    assert refused(net, "a", temperature=0) == "temperature is a number above 0; got 0."
    assert refused(net, "a", top_p=2) == "top_p is a number above 0, at most 1; got 2."
    assert refused(net, "a", seed=-1) == "seed is a whole number of at least 0; got -1."
    assert refused(net, "a", beam=2, top_k=3) == (
        "generate: beam searches for the likeliest text, but top_k is of a random draw.\n  fix   one of them"
    )
    assert refused(net, "a", stop=[""]) == "generate: stop is a text, or a list of texts; got ['']."
    assert refused(net, 5) == "generate: a prompt is a text, or rt.Tokens; got 5."
    assert refused(net) == (
        "An empty prompt gives the net nothing to go on from: Characters has no begin token.\n"
        '  fix   net.generate("\\n"); or begin=True, and train with it'
    )
    assert "is not in the alphabet" in refused(net, "xyz")


def test_a_net_that_does_not_write_texts_is_refused() -> None:
    same = rt.Characters("ab")
    other = rt.Chain(rt.Embedding(3), input=same, output=rt.Characters("abc")).init()
    assert refused(other, "a") == (
        "What this net writes is not what it reads: Characters('abc') has other tokens than Characters('ab')."
        "\n  fix   the same codec at both ends"
    )
    cure = "\n  fix   rt.Chain(..., input=rt.Characters(), output=rt.Characters())"
    assert refused(rt.Chain(rt.Embedding(2), input=same).init(), "a") == (
        "generate writes with a net that has a codec of texts at one of its outputs; this one has not." + cure
    )
    assert refused(rt.Chain(rt.Linear(2), input=("n", 3), output=same).init(), "a") == (
        "generate writes with a net that has a codec of texts at its input; this one has not." + cure
    )
    blank = rt.Characters("ab", blank=True)
    assert "has a blank between tokens" in refused(
        rt.Chain(rt.Embedding(3), input=blank, output=blank).init()
    )
    two = rt.Graph(
        lambda a, b: rt.Embedding(2)(a) + rt.Embedding(2)(b), input={"a": same, "b": same}, output=same
    )
    assert refused(two.init(), "a") == (
        "generate leads one input along; left are a, b.\n"
        "  fix   given={...} has the inputs that are known whole"
    )


def test_a_net_that_needs_the_whole_text_is_refused_with_the_cure() -> None:
    codec = rt.Characters("ab", length=8)
    net = rt.Chain(rt.Embedding(4), rt.MultiHeadAttention(2), rt.Linear(), input=codec, output=codec).init()
    assert refused(net, "a") == (
        "1 (MultiHeadAttention(2)) cannot go along a sequence piece by piece: each element takes up what "
        "comes after it.\n  fix   causal=True"
    )
    with pytest.raises(rt.ArraysError, match="no arrays yet"):
        rt.Chain(rt.Embedding(), input=codec, output=codec).generate("a")
