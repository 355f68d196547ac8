import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

import retia as rt

CHARACTERS = st.characters(exclude_categories=["Cs"])
TEXT = st.text(CHARACTERS, max_size=12)
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
HARD = ["", "\0a\0", "e\u0301", "\u00e9", FAMILY, "\U0010ffff", "\ufffd", "\r\n\t \u2028", "\u0644\u0627"]


def scores(codec, numbers):
    return torch.eye(codec.class_count)[torch.as_tensor(numbers, dtype=torch.int64)]


def written(codec, texts):
    """What comes back of texts that are encoded and then decoded one by one."""
    return [codec.decode(scores(codec, codec.encode(text))) for text in texts]


@given(st.lists(TEXT, min_size=1, max_size=5))
@example(HARD)
def test_every_text_comes_back_from_a_learned_alphabet(texts):
    if not any(texts):
        return
    codec = rt.Characters().fit(texts)
    assert codec.alphabet == "".join(sorted(set("".join(texts))))
    assert written(codec, texts) == texts


@given(st.lists(TEXT, min_size=1, max_size=5), st.booleans(), st.booleans())
@example(HARD, True, True)
def test_every_text_comes_back_from_its_bytes(texts, begin, end):
    codec = rt.Bytes(begin=begin, end=end)
    assert written(codec, texts) == texts
    for text in texts:
        raw = [number - begin - end for number in codec.encode(text).tolist()]
        assert bytes(raw[begin : len(raw) - end]) == text.encode()


@given(st.lists(TEXT, max_size=5), st.booleans(), st.booleans())
def test_a_fixed_length_pads_with_its_token_and_comes_back(texts, begin, end):
    codec = rt.Characters().fit([*texts, "a"])
    codec = rt.Characters(codec.alphabet, length=15, begin=begin, end=end)
    batch = codec.encode(texts)
    assert batch.shape == (len(texts), 15)
    assert [codec.decode(scores(codec, row)) for row in batch] == texts
    assert [int((row == codec.specials["padding"]).sum()) for row in batch] == [
        15 - begin - end - len(text) for text in texts
    ]


@given(TEXT, st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
@example("\u1e9b\u0323 \u00c5 \ufb01", "NFKC")
def test_casing_and_normal_forms_are_pythons(text, form):
    codec = rt.Bytes(lower=True, normalize=form)
    assert codec.text(codec.encode(text)) == unicodedata.normalize(form, text.lower())


@given(TEXT.filter(bool), TEXT)
def test_unknown_characters_have_a_token_or_are_named_with_their_place(alphabet, text):
    alphabet = "".join(sorted(set(alphabet)))
    asked = rt.Characters(alphabet, unknown="token")
    shown = "".join(c if c in alphabet else "\ufffd" for c in text)
    assert asked.text(asked.encode(text)) == shown
    wrong = [place for place, c in enumerate(text) if c not in alphabet]
    strict = rt.Characters(alphabet)
    if not wrong:
        assert strict.text(strict.encode(text)) == text
        return
    with pytest.raises(rt.CodecError, match=f"row 0: character {wrong[0]}, ") as caught:
        strict.encode(text)
    assert caught.value.got == text[wrong[0]]


def test_an_unknown_character_is_told_whole():
    with pytest.raises(rt.CodecError) as caught:
        rt.Characters("ab").encode(["ab", "abxay"])
    assert str(caught.value) == (
        "Characters: row 1: character 2, 'x', is not in the alphabet (2 such characters in all).\n"
        '  fix   unknown="token" has a token for such'
    )


@pytest.mark.parametrize("codec", [rt.Characters("ab", unknown="token"), rt.Bytes(), rt.Words(["ab"])])
def test_half_a_character_is_refused_with_its_place(codec):
    with pytest.raises(rt.CodecError) as caught:
        codec.encode(["ab", "ab\ud83d!"])
    assert str(caught.value) == (
        f"{type(codec).__name__}: row 1: character 2 is half of a character, the surrogate '\\ud83d'.\n"
        '  fix   text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") makes it whole'
    )
    with pytest.raises(rt.ArgumentError, match="surrogate"):
        rt.Characters("a\ud83d")
    with pytest.raises(rt.ArgumentError, match="surrogate"):
        rt.Words(["a\ud83d"])


@pytest.mark.parametrize(
    ("thing", "told"),
    [
        (None, "Bytes: row 1: None is no text.\n  fix   leave such rows out, or fill in a text, first"),
        (
            float("nan"),
            "Bytes: row 1: nan is no text.\n  fix   leave such rows out, or fill in a text, first",
        ),
        (7, "Bytes: row 1: 7 is no text."),
        (["a"], "Bytes: row 1: ['a'] is no text.\n  fix   rt.Tokens([...]) is one text of ready tokens"),
        (Path("a"), f"Bytes: row 1: {Path('a')!r} is no text.\n  fix   path.read_text()"),
    ],
)
def test_what_is_no_text_is_refused_with_its_row(thing, told):
    with pytest.raises(rt.CodecError) as caught:
        rt.Bytes().pack(["a", thing])
    assert str(caught.value) == told


def test_a_text_is_one_and_lists_and_arrays_of_texts_are_batches():
    codec = rt.Characters("ab")
    assert codec.encode("ab").tolist() == codec.encode(np.str_("ab")).tolist() == [0, 1]
    for many in (["ab", "ba"], ("ab", "ba"), np.array(["ab", "ba"]), np.array(["ab", "ba"], object)):
        assert codec.encode(many).tolist() == [[0, 1], [1, 0]]
    assert rt.Bytes().encode(b"\xff\x00").tolist() == [255, 0]
    with pytest.raises(rt.CodecError, match=r"texts have one axis.*got shape \(1, 2\)"):
        codec.encode(np.array([["a", "b"]]))


def test_numbers_are_as_compact_as_the_vocabulary_allows_whatever_the_texts():
    alphabet = [chr(0x4E00 + number) for number in range(40_000)]
    for size, kind in (
        (256, torch.uint8),
        (257, torch.int16),
        (2**15, torch.int16),
        (2**15 + 1, torch.int32),
    ):
        codec = rt.Characters(alphabet[:size])
        assert codec.pack([alphabet[0]]).dtype == codec.rows([alphabet[0]])[0].dtype == kind
        assert codec.pack([alphabet[size - 1]]).tolist() == [[size - 1]]
        assert codec.pack_target([alphabet[0]], "cross-entropy").dtype == torch.int64


def test_rows_are_what_pack_pads():
    codec = rt.Characters("abc", begin=True)
    assert [row.tolist() for row in codec.rows(["abc", "", "b"])] == [[0, 1, 2, 3], [0], [0, 2]]
    assert codec.pack(["abc", "", "b"]).tolist() == [[0, 1, 2, 3], [0, 0, 0, 0], [0, 2, 0, 0]]


@pytest.mark.parametrize(
    ("truncate", "numbers"), [("end", [1, 3, 4, 2]), ("start", [1, 4, 5, 2]), ("error", None)]
)
def test_too_long_a_text_keeps_its_begin_and_end(truncate, numbers):
    codec = rt.Characters("abc", length=4, begin=True, end=True, truncate=truncate)
    if numbers is not None:
        assert codec.encode("abc").tolist() == numbers
        return
    with pytest.raises(rt.CodecError) as caught:
        codec.encode(["a", "abc"])
    assert str(caught.value) == (
        "Characters: row 1 has 3 tokens, more than the 2 places.\n"
        '  fix   truncate="end" leaves out what is too much'
    )


def test_without_a_padding_token_texts_have_the_length():
    codec = rt.Characters("ab", length=2, padding=False)
    assert codec.encode(["ab", "bbb"]).tolist() == [[0, 1], [1, 1]]
    assert codec.specials == {}
    with pytest.raises(rt.CodecError) as caught:
        codec.encode(["ab", "a"])
    assert str(caught.value) == (
        "Characters: row 1 has 1 tokens, fewer than 2 places.\n"
        "  fix   padding=True has a token for the others"
    )


def test_special_tokens_have_the_first_numbers_in_one_order():
    codec = rt.Characters("a", length=3, unknown="token", begin=True, end=True)
    assert dict(codec.specials) == {"padding": 0, "unknown": 1, "begin": 2, "end": 3}
    assert codec.vocabulary == ("<padding>", "<unknown>", "<begin>", "<end>", "a")
    assert dict(rt.Characters("a", blank=True, unknown="token").specials) == {"blank": 0, "unknown": 1}
    assert rt.Characters("a", blank=True).loss() == "ctc"
    assert rt.Characters("a").loss() == "cross-entropy"
    assert rt.Characters("ab", blank=True).pack_target(["ab", "b"], "ctc").tolist() == [[1, 2], [2, -1]]


def test_ready_tokens_are_taken_as_they_are():
    codec = rt.Characters("ab", begin=True, end=True, lower=True)
    assert codec.encode(rt.Tokens(["b", "<end>", 2])).tolist() == [3, 1, 2]
    assert codec.encode([rt.Tokens([np.int64(2)]), "A"]).tolist() == [[2, 0, 0], [0, 2, 1]]
    assert rt.Characters().fit([rt.Tokens(["b", "a"])]) == rt.Characters("ab")
    with pytest.raises(rt.CodecError) as caught:
        codec.encode(["a", rt.Tokens(["a", "c"])])
    assert str(caught.value) == "Characters: row 1: 'c' is none of the 4 tokens."
    with pytest.raises(rt.CodecError, match="row 0: 4 is none of the 4 tokens"):
        codec.encode(rt.Tokens([4]))
    with pytest.raises(rt.ArgumentError, match="Tokens takes a list of tokens; got 'ab'"):
        rt.Tokens("ab")
    with pytest.raises(rt.ArgumentError, match=r"Tokens are texts or whole numbers; got 0\.5"):
        rt.Tokens([0.5])
    assert rt.Tokens(["a", 1]) == rt.Tokens(("a", 1)) != rt.Tokens([1, "a"])
    assert repr(rt.Tokens(["a", 1])) == "Tokens(['a', 1])"
    assert len({rt.Tokens(["a"]), rt.Tokens(["a"])}) == 1


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda: rt.Characters(""), "at least one; got none"),
        (lambda: rt.Characters("abcb"), "more than once: 'b'"),
        (lambda: rt.Characters(["a", "bc"]), "has single characters; got 'bc'"),
        (lambda: rt.Characters({"a"}), "is a text, or a list of characters"),
        (lambda: rt.Characters("a", length=0), "length is a whole number of at least 1; got 0"),
        (lambda: rt.Characters("a", length="a b"), "or a name for a size that varies; got 'a b'"),
        (lambda: rt.Characters("a", length=2, begin=True, end=True), "leaves no place between begin and end"),
        (lambda: rt.Characters("a", blank=True, end=True), "which have no end"),
        (lambda: rt.Characters("a", blank=True, length=4), "for texts of any length"),
        (lambda: rt.Characters("a", normalize="NFX"), "one of None, 'NFC'"),
    ],
)
def test_settings_that_cannot_be_are_refused(made, told):
    with pytest.raises(rt.ArgumentError, match=told):
        made()


def test_what_has_learned_nothing_says_so():
    with pytest.raises(rt.CodecError) as caught:
        rt.Characters().encode("a")
    assert str(caught.value) == (
        "Characters() has learned no alphabet yet.\n"
        '  fix   rt.Characters("..."), codec.fit(texts), or rt.train'
    )
    with pytest.raises(rt.CodecError, match="no texts to learn an alphabet from"):
        rt.Characters().fit(["", ""])
    assert rt.Characters(length=4).fit(["ba"]) == rt.Characters("ab", length=4)


def test_a_large_alphabet_is_cut_in_the_repr_alone():
    few = rt.Characters([chr(number) for number in range(33, 127)])
    many = rt.Characters([chr(0x4E00 + number) for number in range(400)])
    assert eval(repr(few), vars(rt)) == few
    assert repr(many).startswith("Characters(<400 characters, '\u4e00")
    assert len(repr(many)) < 80
