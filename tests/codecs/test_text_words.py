import gzip
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

import retia as rt

SENTENCES = Path(__file__).parents[2] / "../shared/data/text/sst2_dev.tsv.gz"
MIXED = st.text(
    st.one_of(
        st.sampled_from("aZ\u00e9\u0301_9'\u2019 -.\t\n\0\u0915\u093f\u00b2\u2167"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=14,
)


def is_letter(character):
    return character == "_" or unicodedata.category(character)[0] in "LMN"


def words_of(text):
    """The stated rule, character by character."""
    found, inside = [], False
    for place, character in enumerate(text):
        after = text[place + 1 : place + 2]
        joins = inside and character in "'\u2019" and after and is_letter(after)
        if is_letter(character) or joins:
            found = [*found[:-1], found[-1] + character] if inside else [*found, character]
            inside = True
        else:
            found += [] if character.isspace() else [character]
            inside = False
    return found


@given(MIXED)
@example("Don't stop: l\u2019e\u0301t\u00e9 '90s 'n' \u0939\u093f\u0928\u094d\u0926\u0940 x\u00b2 a_b 3.14")
def test_words_are_cut_by_the_stated_rule_and_come_back_joined_by_spaces(text):
    expected = words_of(text)
    if not expected:
        return
    codec = rt.Words(unknown="error").fit([text])
    numbers = codec.encode(text)
    assert [codec.vocabulary[number] for number in numbers] == expected
    answer = codec.decode(torch.eye(codec.class_count)[numbers])
    assert answer == " ".join(expected)
    assert codec.encode(answer).tolist() == numbers.tolist()


@given(st.lists(MIXED, max_size=6), st.integers(1, 3), st.integers(1, 5), st.randoms())
def test_the_vocabulary_is_the_most_frequent_words_in_one_order(texts, least, size, random):
    counts = Counter(word for text in texts for word in words_of(text.lower()))
    expected = sorted((word for word in counts if counts[word] >= least), key=lambda w: (-counts[w], w))[
        :size
    ]
    mixed = [*texts]
    random.shuffle(mixed)
    codec = rt.Words(size=size, least=least, lower=True)
    if expected:
        assert list(codec.fit(mixed).words) == expected
    else:
        with pytest.raises(rt.CodecError, match="there are no words"):
            codec.fit(mixed)


def test_spaces_alone_may_cut():
    codec = rt.Words(split="spaces", unknown="error").fit(["it's  (so)\u00a0late."])
    assert set(codec.words) == {"it's", "(so)", "late."}


def test_unknown_words_have_a_token_or_are_named_with_their_place():
    codec = rt.Words(["green", "red"])
    assert codec.encode("red blue").tolist() == [2, 0]
    assert codec.text([2, 0]) == "red \ufffd"
    with pytest.raises(rt.CodecError) as caught:
        rt.Words(["green", "red"], unknown="error").encode(["red", "red, gren"])
    assert str(caught.value) == (
        "Words: row 1: word 1, ',', is not one of the 2 words.\n"
        '  fix   unknown="token" has a token for such'
    )
    with pytest.raises(
        rt.CodecError, match="word 0, 'gren', is not one of the 2 words. Did you mean 'green'?"
    ):
        rt.Words(["green", "red"], unknown="error").encode("gren")


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda: rt.Words("red"), "is a list of texts; got 'red'"),
        (lambda: rt.Words({"red"}), "is a list of texts"),
        (lambda: rt.Words(["red", ""]), "texts that are not empty; got ''"),
        (lambda: rt.Words([]), "texts that are not empty; got"),
        (lambda: rt.Words(["red", "red"]), "more than once: 'red'"),
        (lambda: rt.Words(least=0), "whole number of at least 1"),
    ],
)
def test_words_that_cannot_be_are_refused(made, told):
    with pytest.raises(rt.ArgumentError, match=told):
        made()


def test_what_has_learned_nothing_says_so():
    with pytest.raises(rt.CodecError) as caught:
        rt.Words().encode("a")
    assert str(caught.value) == (
        "Words() has learned no words yet.\n  fix   rt.Words([...]), codec.fit(texts), or rt.train"
    )
    with pytest.raises(rt.CodecError) as caught:
        rt.Words(least=3).fit(["a a b"])
    assert str(caught.value) == "Words: there are no words that occur 3 times to learn.\n  fix   least=1"


@pytest.mark.skipif(not SENTENCES.is_file(), reason="the real texts are not here")
def test_a_real_vocabulary_is_that_of_a_plain_count():
    with gzip.open(SENTENCES, "rt", encoding="utf8") as file:
        texts = [line.split("\t")[0] for line in file]
    codec = rt.Words(size=1000).fit(texts)
    counts = Counter(word for text in texts for word in words_of(text))
    assert len(codec.words) == 1000
    assert min(counts[word] for word in codec.words) >= sorted(counts.values())[-1000]
    assert repr(codec).startswith("Words(<1000 entries, ")
    known = {word: number for number, word in enumerate(codec.vocabulary)}
    for text in texts[:200]:
        assert codec.encode(text).tolist() == [known.get(word, 0) for word in words_of(text)]
