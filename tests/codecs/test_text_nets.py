"""Texts at the ports of nets: varying lengths, sizes that follow from what was learned, training."""

import pytest
import torch

import retia as rt

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def speller(**output):
    """A net that says one letter for each letter."""
    return rt.Chain(
        rt.Embedding(8),
        rt.Linear(),
        rt.Softmax(),
        input=rt.Characters(LETTERS),
        output=rt.Characters(LETTERS, **output),
    ).init(seed=0)


def test_a_batch_of_texts_answers_as_its_texts_do_one_by_one():
    net = speller()
    texts = ["", "a", "hello", "bc", "zzzzzzzzz"]
    assert net(texts) == [net(text) for text in texts]
    assert [len(answer) for answer in net(texts)] == [len(text) for text in texts]
    for row, text in zip(net(texts, None), texts, strict=True):
        torch.testing.assert_close(row, net(text, None))
    assert net([]) == []
    assert net(texts * 100) == net(texts) * 100  # more than are encoded at once


def test_padding_never_leaks_into_what_mixes_along_a_text():
    net = rt.Chain(
        rt.Embedding(8), rt.Reduce("mean", axes=0), rt.Linear(3), input=rt.Words(["a", "b"], begin=True)
    ).init(seed=0)
    texts = ["a", "a b b a b", "b b"]
    for row, text in zip(net(texts), texts, strict=True):
        torch.testing.assert_close(row, net(text))


def test_examples_of_one_batch_do_not_share_their_draws():
    net = speller()
    text = LETTERS
    same = net([text] * 4, "sample", seed=3)
    assert len(set(same)) == 4
    assert net([text] * 4, "sample", seed=3) == same
    assert net([text, "ab"], "sample", seed=3)[0] == same[0]
    assert net.one(text, "sample", seed=3) == same[0]
    assert net([text] * 3, "sample", seed=3, top_k=1) == [net(text)] * 3


def test_an_embedding_has_as_many_classes_as_the_text_before_it_has_tokens():
    net = rt.Chain(rt.Embedding(4), input=rt.Characters("abc", length=5))
    assert net.array_shapes()["0.weight"] == (4, 4)
    assert rt.Chain(rt.Embedding(4, classes=90), input=rt.Bytes()).array_shapes()["0.weight"] == (90, 4)
    assert "Characters" in str(net.why("0.weight"))
    small = rt.Chain(rt.Embedding(4, classes=2), input=rt.Characters("abc")).init(0)
    with pytest.raises(rt.DataError, match="knows the numbers 0 to 1; got 2"):
        small("abc")


def test_what_is_learned_in_training_sizes_the_net_and_is_saved_with_it(tmp_path):
    texts = ["red green", "blue", "green blue red", "red red", "yellow"] * 4
    labels = ["warm", "cold", "warm", "warm", "warm"] * 4
    net = rt.Chain(
        rt.Embedding(6),
        rt.Reduce("mean", axes=0),
        rt.Linear(),
        rt.Softmax(),
        input=rt.Words(length=4, lower=True),
        output=rt.Classes(),
    )
    run = rt.train(net, (texts, labels), epochs=30, optimizer=rt.Adam(0.05), seed=0, progress=False)
    assert run.net.input.words == ("red", "blue", "green", "yellow")
    assert run.net.array_shapes()["0.weight"] == (6, 6)
    assert run.net(["BLUE blue", "red"]) == ["cold", "warm"]
    run.net.save(tmp_path / "net.safetensors")
    again = rt.load(tmp_path / "net.safetensors")
    assert again == run.net
    assert again(["BLUE blue", "unheard of"]) == run.net(["BLUE blue", "unheard of"])


def test_texts_of_one_length_are_learned_as_targets():
    texts = ["abcab", "cabca", "bbbaa", "ccabb"]
    turned = [text.translate(str.maketrans("abc", "bca")) for text in texts]
    net = rt.Chain(
        rt.Embedding(8),
        rt.Linear(),
        rt.Softmax(),
        input=rt.Characters(length=5),
        output=rt.Characters(length=5),
    )
    run = rt.train(net, (texts, turned), epochs=80, optimizer=rt.Adam(0.1), seed=0, progress=False)
    assert run.net(texts) == turned
    assert run.net("aaccc") == "bbaaa"
