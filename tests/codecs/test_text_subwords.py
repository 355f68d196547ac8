import gzip
import json
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

import retia as rt
from retia.codecs import unigram

tokenizers = pytest.importorskip("tokenizers")

SENTENCES = Path(__file__).parents[2] / "../shared/data/text/sst2_dev.tsv.gz"
TEXTS = [
    "the lowest tower is lower than the towers of the lowlands",
    "slowly the flowing river grows, and it grows slower",
    "towers, rivers and lowlands: the newest are the lowest!",
    "na\u00efve caf\u00e9s \u2014 \u0434\u0430, \u043d\u0435\u0442; \U0001f642",
]
MODELS = ["bpe", "wordpiece", "unigram"]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
LEARNED = {model: rt.Subwords(model, size=330).fit(TEXTS) for model in MODELS}


def written(codec, text):
    numbers = codec.encode(text)
    return codec.decode(torch.eye(codec.class_count)[numbers])


def loaded(codec):
    """The same tokenizer, run by its library alone."""
    return tokenizers.Tokenizer.from_str(codec.tokenizer)


@given(TEXT)
@example("\0 e\u0301 \u00e9 \U0001f468\u200d\U0001f469  \n<end><unknown>")
def test_joined_bytes_come_back_as_every_text_that_they_were(text):
    assert written(LEARNED["bpe"], text) == text


@pytest.mark.parametrize("text", [*TEXTS[:3], "the lower towers"])
def test_known_texts_come_back_from_all_models(text):
    assert written(LEARNED["unigram"], text) == text
    words = text
    for mark in ",:!":
        words = words.replace(mark, f" {mark}")
    assert written(LEARNED["wordpiece"], text) == words


@pytest.mark.parametrize("model", MODELS)
@given(text=TEXT)
def test_tokens_are_those_of_the_library(model, text):
    codec = LEARNED[model]
    assert codec.encode(text).tolist() == loaded(codec).encode(text, add_special_tokens=False).ids
    assert list(codec.vocabulary) == [loaded(codec).id_to_token(n) for n in range(codec.class_count)]


@pytest.mark.parametrize("model", MODELS)
def test_equal_texts_give_equal_tokenizers_in_every_process(model):
    code = f"""
import hashlib, retia as rt
codec = rt.Subwords({model!r}, size=330, begin=True, length=9).fit({TEXTS!r})
print(hashlib.sha256(codec.tokenizer.encode()).hexdigest())
"""
    told = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert told[0] == told[1]
    assert (
        rt.Subwords(model, size=330).fit(TEXTS) == rt.Subwords(model, size=330).fit(TEXTS) == LEARNED[model]
    )


@pytest.mark.parametrize("model", MODELS)
def test_special_tokens_have_the_first_numbers_and_texts_cannot_name_them(model):
    codec = rt.Subwords(model, size=330, begin=True, end=True, length=12, unknown="token").fit(TEXTS)
    unknown = [] if model == "bpe" else ["<unknown>"]
    names = ["<padding>", *unknown, "<begin>", "<end>"]
    assert list(codec.vocabulary[: len(names)]) == names
    assert dict(codec.specials) == {name[1:-1]: number for number, name in enumerate(names)}
    row = codec.encode("the <end>").tolist()
    assert row[0] == codec.specials["begin"]
    assert row.count(codec.specials["end"]) == 1
    assert len(row) == 12
    assert codec.encode("").tolist()[:3] == [*(codec.specials[each] for each in ("begin", "end", "padding"))]
    assert codec.encode(TEXTS[0]).tolist()[-1] == codec.specials["end"]


@pytest.mark.parametrize("model", ["wordpiece", "unigram"])
def test_unknown_characters_have_a_token_or_are_named_with_their_place(model):
    codec = LEARNED[model]
    assert codec.specials["unknown"] in codec.encode("the \u4e00").tolist()
    assert "\ufffd" in codec.text(codec.encode("the \u4e00"))
    strict = rt.Subwords(model, size=330, unknown="error").fit(TEXTS)
    assert strict.text(strict.encode("the tower")) == "the tower"
    with pytest.raises(rt.CodecError) as caught:
        strict.encode(["the", "a \u4e00"])
    assert caught.value.path == "row 1"
    assert "\u4e00" in str(caught.value.got)
    assert str(caught.value).endswith('\n  fix   unknown="token" has a token for such')


def test_casing_comes_before_learning_and_cutting():
    codec = rt.Subwords(size=300, lower=True).fit(["THE TOWER"] * 3)
    assert codec == rt.Subwords(size=300, lower=True).fit(["the tower"] * 3)
    assert codec.encode("The Tower").tolist() == codec.encode("the tower").tolist()


# Tokenizers of others ----------------------------------------------------------------------------


def bert(tmp_path, frame=True):
    """A tokenizer as BERT's, written by the library."""
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "tower", "##s", "low", "##er", ",", "[MASK]"]
    made = tokenizers.Tokenizer(
        tokenizers.models.WordPiece({token: n for n, token in enumerate(vocabulary)}, unk_token="[UNK]")
    )
    made.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.decoder = tokenizers.decoders.WordPiece()
    made.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    if frame:
        made.post_processor = tokenizers.processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    made.enable_truncation(7)
    made.enable_padding(length=7)
    made.save(str(tmp_path / "tokenizer.json"))
    return made


def test_a_loaded_tokenizer_gives_what_its_library_gives(tmp_path):
    made = bert(tmp_path)
    codec = rt.Subwords.load(tmp_path / "tokenizer.json", length=7)
    texts = ["The TOWERS", "", "lower, lower, lower towers", "blue"]
    assert codec.encode(texts).tolist() == [made.encode(text).ids for text in texts]
    assert (codec.model, codec.begin, codec.end) == ("wordpiece", True, True)
    assert codec.text(codec.encode("The towers")) == "the towers"
    assert codec == rt.Subwords(tokenizer=made, length=7)
    varying = rt.Subwords.load(str(tmp_path / "tokenizer.json"))
    assert varying.encode("lower").tolist() == [2, 7, 8, 3]


def test_a_tokenizer_frames_texts_as_it_is_asked_where_its_file_says_nothing(tmp_path):
    bert(tmp_path, frame=False)
    assert rt.Subwords.load(tmp_path / "tokenizer.json").encode("lower").tolist() == [7, 8]
    assert rt.Subwords.load(tmp_path / "tokenizer.json", end=True).encode("lower").tolist() == [7, 8, 3]


def test_a_tokenizer_is_saved_with_its_net_and_needs_no_file(tmp_path):
    bert(tmp_path)
    codec = rt.Subwords.load(tmp_path / "tokenizer.json", length=5)
    (tmp_path / "tokenizer.json").unlink()
    net = rt.Chain(rt.Embedding(3), rt.Linear(2), input=codec).init(0)
    net.save(tmp_path / "net.safetensors")
    again = rt.load(tmp_path / "net.safetensors")
    assert again == net
    assert torch.equal(again("the tower"), net("the tower"))


def test_what_is_no_tokenizer_is_refused(tmp_path):
    path = tmp_path / "tokenizer.json"
    with pytest.raises(OSError, match="cannot be read"):
        rt.Subwords.load(path)
    with pytest.raises(rt.ArgumentError, match="text of a tokenizer.json; got 'tokenizer.json'.\n.*load"):
        rt.Subwords(tokenizer="tokenizer.json")
    bert(tmp_path)
    good = json.loads(path.read_text())
    vocabulary = good["model"]["vocab"]
    for change, told in (
        ("{", "is not JSON"),
        ("{" + '"a":[' * 10**5, "is not JSON"),
        ({"model": None}, "its model is one of BPE, WordPiece, Unigram; got None"),
        ({"model": {"type": "WordLevel"}}, "got 'WordLevel'"),
        ({"model": {"type": "BPE", "vocab": 3}}, "its vocabulary cannot be read"),
        ({"model": {"type": "BPE", "vocab": {"a": -1}}}, "not made of texts with whole numbers"),
        ({"model": {"type": "BPE", "vocab": {"a": 10**9}}}, "have numbers below 1,000,000,001"),
        ({"model": {"type": "BPE", "vocab": {}}, "added_tokens": []}, "its 0 tokens"),
        ({"added_tokens": [3]}, "its vocabulary cannot be read"),
        ({"model": {**good["model"], "vocab": {**vocabulary, "b": 0.5}}}, "not made of texts"),
    ):
        text = change if isinstance(change, str) else json.dumps({**good, **change})
        with pytest.raises(rt.ArgumentError, match=told):
            rt.Subwords(tokenizer=text)
    odd = {**good, "post_processor": {"type": "BertProcessing", "cls": ["[MASK]", 10], "sep": ["[SEP]", 3]}}
    with pytest.raises(
        rt.ArgumentError, match=r"puts \[MASK\] at the begin of a text; known there are <begin>"
    ):
        rt.Subwords(tokenizer=json.dumps(odd))
    bare = {"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}
    with pytest.raises(rt.ArgumentError, match="has no token for padding") as caught:
        rt.Subwords(tokenizer=json.dumps(bare), length=4)
    assert caught.value.fix == "padding=False"
    broken = rt.Subwords(tokenizer=json.dumps({**bare, "pre_tokenizer": {"type": "Nonsense"}}))
    with pytest.raises(rt.CodecError, match="the tokenizer cannot be used"):
        broken.encode("a")


def test_numbers_without_a_token_are_called_by_themselves():
    text = json.dumps({"model": {"type": "BPE", "vocab": {"a": 0, "b": 3}, "merges": []}})
    assert rt.Subwords(tokenizer=text).vocabulary == ("a", "<1>", "<2>", "b")


def test_what_has_learned_nothing_says_so():
    with pytest.raises(rt.CodecError) as caught:
        rt.Subwords(size=9).encode("a")
    assert str(caught.value) == (
        "Subwords(size=9) has learned no tokens yet.\n"
        "  fix   rt.Subwords.load(path), codec.fit(texts), or rt.train"
    )
    with pytest.raises(rt.CodecError, match="there are no texts to learn from"):
        rt.Subwords().fit(["", " "])


def test_without_the_library_the_extra_is_named():
    code = """
import sys; sys.modules["tokenizers"] = None
import retia as rt
rt.Subwords().fit(["a b"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "This needs tokenizers, which is not installed.\n  fix   pip install 'retia[text]'" in done.stderr


# Learning pieces ---------------------------------------------------------------------------------


def segmentations(word, pieces):
    if not word:
        yield ()
    for stop in range(1, len(word) + 1):
        if word[:stop] in pieces:
            yield from ((word[:stop], *rest) for rest in segmentations(word[stop:], pieces))


@given(
    st.dictionaries(st.text("abc", min_size=1, max_size=6), st.integers(1, 9), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
)
def test_expected_counts_are_those_of_all_segmentations(words, random):
    pieces = {word[i:j] for word in words for i in range(len(word)) for j in range(i + 1, len(word) + 1)}
    chances = {piece: random.random() + 0.01 for piece in sorted(pieces)}
    expected = Counter()
    for word, count in words.items():
        ways = [(way, math.prod(chances[p] for p in way)) for way in segmentations(word, chances)]
        total = sum(chance for _, chance in ways)
        for way, chance in ways:
            for piece in way:
                expected[piece] += count * chance / total
    assert unigram._expected(words, chances) == pytest.approx(dict(expected))


@given(
    st.dictionaries(st.text("abcd", min_size=1, max_size=40), st.integers(1, 9), min_size=1),
    st.integers(1, 30),
)
def test_pieces_are_as_many_as_asked_and_can_write_every_word(words, size):
    single = {character for word in words for character in word}
    pieces = unigram.learn(words, size)
    assert len(pieces) <= max(size, len(single))
    assert single <= {piece for piece, _ in pieces}
    assert math.fsum(math.exp(log) for _, log in pieces) == pytest.approx(1)
    backwards = dict(reversed(words.items()))
    assert unigram.learn(backwards, size) == pieces


@pytest.mark.skipif(not SENTENCES.is_file(), reason="the real texts are not here")
def test_learned_pieces_are_as_good_as_the_librarys():
    with gzip.open(SENTENCES, "rt", encoding="utf8") as file:
        texts = [line.split("\t")[0] for line in file]
    codec = rt.Subwords("unigram", size=800).fit(texts)
    theirs = tokenizers.Tokenizer(tokenizers.models.Unigram())
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    theirs.train_from_iterator(
        texts,
        tokenizers.trainers.UnigramTrainer(
            vocab_size=800, unk_token="<unknown>", special_tokens=["<unknown>"], show_progress=False
        ),
    )
    ours = sum(len(row) for row in codec.rows(texts))
    others = sum(len(each.ids) for each in theirs.encode_batch(texts))
    assert codec.class_count == 800
    assert ours < 1.03 * others
