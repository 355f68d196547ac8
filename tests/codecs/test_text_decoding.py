import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import retia as rt
from retia.codecs.beams import collapsed, labellings, likeliest
from retia.codecs.drawing import narrowed


def table(seed, *shape):
    return np.random.default_rng(seed).dirichlet(np.full(shape[-1], 0.5), shape[:-1])


def every_path(chances):
    """All paths through a table with their chances."""
    times, classes = chances.shape
    for path in itertools.product(range(classes), repeat=times):
        yield path, math.prod(float(chances[time, each]) for time, each in enumerate(path))


def said(path, blank=0):
    """What a path says, by the definition: repeats first, then blanks."""
    return tuple(each for each, _ in itertools.groupby(path) if each != blank)


@given(st.lists(st.integers(0, 3), max_size=12), st.integers(0, 3))
def test_a_path_is_collapsed_by_repeats_and_then_by_blanks(path, blank):
    assert collapsed(path, blank) == said(path, blank)


@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(2, 4))
def test_a_wide_beam_finds_every_labelling_with_its_exact_chance(seed, times, classes):
    chances = table(seed, times, classes)
    sums = Counter()
    for path, chance in every_path(chances):
        sums[said(path)] += chance
    found = labellings(chances, 10**4, blank=0)
    assert {labels for labels, _ in found} == set(sums)
    assert [chance for _, chance in found] == pytest.approx([sums[labels] for labels, _ in found])
    assert [chance for _, chance in found] == sorted((chance for _, chance in found), reverse=True)


@given(st.integers(0, 10**6), st.integers(1, 3))
def test_a_narrow_beam_loses_nothing_by_looking_at_few_classes(seed, width):
    chances = table(seed, 5, 8)
    beam = {(): (0.0, -math.inf)}
    for row in np.log(chances):  # the plain search, over all classes
        grown = {}
        for prefix, (ended, spoken) in beam.items():
            for each in range(8):
                if each == 0:
                    moves = [(prefix, np.logaddexp(ended, spoken) + row[0], -math.inf)]
                elif prefix and prefix[-1] == each:
                    moves = [(prefix, -math.inf, spoken + row[each])]
                    moves += [((*prefix, each), -math.inf, ended + row[each])]
                else:
                    moves = [((*prefix, each), -math.inf, np.logaddexp(ended, spoken) + row[each])]
                for to, e, s in moves:
                    before = grown.get(to, (-math.inf, -math.inf))
                    grown[to] = np.logaddexp(before[0], e), np.logaddexp(before[1], s)
        best = sorted(
            (p for p in grown if np.logaddexp(*grown[p]) > -math.inf), key=lambda p: -np.logaddexp(*grown[p])
        )
        beam = {prefix: grown[prefix] for prefix in best[:width]}
    found = labellings(chances, width, blank=0)
    assert [labels for labels, _ in found] == [*beam]
    assert [math.log(c) for _, c in found] == pytest.approx([np.logaddexp(*each) for each in beam.values()])


def test_labellings_have_the_chances_of_pytorchs_loss():
    chances = table(3, 6, 4)
    logs = torch.as_tensor(chances).log().unsqueeze(1)
    for labels, chance in labellings(chances, 10**4, blank=0)[:20]:
        loss = torch.nn.functional.ctc_loss(
            logs,
            torch.tensor([labels], dtype=torch.int64),
            torch.tensor([6]),
            torch.tensor([len(labels)]),
            reduction="sum",
        )
        assert math.exp(-float(loss)) == pytest.approx(chance)


@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(2, 4), st.integers(1, 9))
def test_the_likeliest_sequences_are_those_of_all(seed, times, classes, most):
    chances = table(seed, times, classes)
    every = sorted((chance for _, chance in every_path(chances)), reverse=True)
    found = likeliest(chances, most)
    assert [chance for _, chance in found] == pytest.approx(every[:most])
    assert [math.prod(chances[range(times), path]) for path, _ in found] == pytest.approx(every[:most])


@given(st.integers(0, 10**6))
def test_what_follows_an_end_does_not_count(seed):
    chances = table(seed, 4, 3)
    sums = Counter()
    for path, chance in every_path(chances):
        sums[path[: path.index(2) + 1] if 2 in path else path] += chance
    assert dict(likeliest(chances, 1000, ends=(2,))) == pytest.approx(dict(sums))


def test_long_sequences_keep_their_order_where_chances_are_too_small_for_a_number():
    chances = np.tile([[0.5, 0.3, 0.2]], (2000, 1))
    chances[700] = [0.2, 0.45, 0.35]
    (best, _), (second, _) = likeliest(chances, 2)
    assert best == (*[0] * 700, 1, *[0] * 1299)
    assert second == (*[0] * 700, 2, *[0] * 1299)
    assert len(labellings(chances, 3, blank=2)) == 3


@given(st.integers(0, 10**6), st.integers(1, 7), st.floats(0.01, 1), st.floats(0.2, 5))
def test_a_draw_is_among_the_best_few_and_the_nucleus(seed, top_k, top_p, temperature):
    chances = table(seed, 6)
    powers = np.exp(np.log(chances) / temperature)
    tempered = powers / powers.sum()
    assert narrowed(chances, temperature) == pytest.approx(tempered)
    order = sorted(range(6), key=lambda i: -tempered[i])[:top_k]
    total = sum(tempered[i] for i in order)
    kept, sum_ = [], 0.0
    for i in order:
        if sum_ < top_p:
            kept.append(i)
            sum_ += tempered[i] / total
    made = narrowed(chances, temperature, top_k, top_p)
    assert made.sum() == pytest.approx(1)
    if abs(sum(tempered[i] for i in kept[:-1]) / total - top_p) > 1e-9:  # no tie on the border
        assert np.flatnonzero(made).tolist() == sorted(kept)
        assert made[kept] == pytest.approx(tempered[kept] / tempered[kept].sum())


@pytest.mark.parametrize(
    "how", [{"temperature": 0}, {"top_k": 0}, {"top_k": True}, {"top_p": 0}, {"top_p": 1.5}]
)
def test_draws_that_cannot_be_are_refused(how):
    with pytest.raises(rt.ArgumentError, match=f"{next(iter(how))} is a "):
        rt.Characters("ab").decode([[0.5, 0.5]], "sample", **how)


def test_a_sample_draws_each_place_by_its_chance():
    codec = rt.Characters("abc")
    rows = np.tile(table(5, 1, 4, 3), (4000, 1, 1))
    texts = codec.decode(rows, "sample", seed=7)
    for place in range(4):
        counts = Counter(text[place] for text in texts)
        for letter, chance in zip("abc", rows[0, place], strict=True):
            error = math.sqrt(chance * (1 - chance) / 4000)
            assert abs(counts[letter] / 4000 - chance) < 5 * error + 1e-9
    assert codec.decode(rows[:5], "sample", seed=7) == texts[:5]
    assert codec.decode(rows[:50], "sample", seed=8) != texts[:50]
    assert set(codec.decode(rows[:99], "sample", seed=1, top_k=1)) == {codec.decode(rows[0])}
    assert set(codec.decode(rows[:99], "sample", seed=1, temperature=0.01)) == {codec.decode(rows[0])}
    assert set(codec.decode(rows[:99], "sample", seed=1, top_p=0.01)) == {codec.decode(rows[0])}


def test_a_decoder_answers_what_is_asked():
    codec = rt.Characters("ab", end=True)
    row = [[0.1, 0.6, 0.3], [0.2, 0.2, 0.6], [0.9, 0.05, 0.05]]
    assert codec.decode(row) == "ab"
    assert codec.decode(row, "tokens") == ["a", "b", "<end>"]
    assert codec.decode(row, "probabilities")[0] == pytest.approx({"<end>": 0.1, "a": 0.6, "b": 0.3})
    assert codec.decode(row, "entropy")[2] == pytest.approx(-0.9 * math.log(0.9) - 0.1 * math.log(0.05))
    assert codec.decode(row, top=2) == pytest.approx({"ab": 0.6 * 0.6 * 0.9, "bb": 0.3 * 0.6 * 0.9})
    assert codec.decode([row, row]) == ["ab", "ab"]
    assert codec.decode(row, "probabilities", top=1) == pytest.approx({"ab": 0.324})


def test_texts_in_several_spellings_are_one():
    codec = rt.Characters("a", length=2)  # a padding token may stand before or after the letter
    assert codec.decode([[0.5, 0.5], [0.5, 0.5]], top=3) == pytest.approx({"a": 0.5, "": 0.25, "aa": 0.25})


def test_a_decoder_with_a_blank_answers_for_all_paths():
    codec = rt.Characters("a", blank=True)
    row = [[0.6, 0.4], [0.6, 0.4]]
    assert codec.decode(row) == ""
    assert codec.decode(row, beam=4) == "a"
    assert codec.decode(row, top=2) == pytest.approx({"a": 0.64, "": 0.36})
    assert codec.decode([[0.1, 0.9], [0.1, 0.9], [0.9, 0.1], [0.1, 0.9]]) == "aa"
    texts = codec.decode(np.tile([row], (2000, 1, 1)), "sample", seed=0)
    assert abs(texts.count("a") / 2000 - 0.64) < 5 * math.sqrt(0.64 * 0.36 / 2000)


@pytest.mark.parametrize("end", [rt.Softmax(), rt.LogSoftmax(), rt.Elementwise("relu")])
def test_numbers_are_read_as_what_the_net_ends_in(end):
    chances = table(9, 3, 4)
    logits = torch.as_tensor(chances, dtype=torch.float32).log() + 9  # above 0, so that ReLU changes nothing
    net = rt.Chain(end, input=(3, 4), output=rt.Characters("abcd")).init(0)
    answer = [[*each.values()] for each in net(logits, "probabilities")]
    np.testing.assert_allclose(answer, chances, atol=1e-5)


def test_arrays_that_cannot_be_decoded_are_refused():
    codec = rt.Characters("abc")
    with pytest.raises(rt.CodecError) as caught:
        codec.decode([[0.5, 0.5]])
    assert str(caught.value) == "Characters decodes arrays of shape (?, 3); got (1, 2)."
    with pytest.raises(rt.CodecError, match=r"decodes arrays of shape \(2, 4\); got \(1, 4\)"):
        rt.Characters("abc", length=2).decode([[0.1, 0.2, 0.3, 0.4]])
    with pytest.raises(rt.CodecError, match="row 1 of the net's output is NaN"):
        codec.decode([[[0.0, 1.0, 0.0]], [[math.nan, 1.0, 0.0]]])
    with pytest.raises(rt.CodecError, match="top_k belongs to a random draw, but 'decision' was asked"):
        codec.decode([[1.0, 0.0, 0.0]], top_k=2)
    with pytest.raises(rt.CodecError, match="beam belongs to a search for the best sequence"):
        codec.decode([[1.0, 0.0, 0.0]], "sample", beam=2)
    with pytest.raises(rt.ArgumentError, match="beam is a whole number of at least 1; got 0"):
        codec.decode([[1.0, 0.0, 0.0]], beam=0)
    with pytest.raises(rt.ArgumentError, match="top is a whole number of at least 1; got 0"):
        codec.decode([[1.0, 0.0, 0.0]], top=0)
    with pytest.raises(rt.CodecError, match="Classes decodes no sequences; top_p=0.5 was asked"):
        rt.Classes(["a", "b"]).decode([0.5, 0.5], "sample", top_p=0.5)


def test_an_empty_text_is_what_no_places_say():
    codec = rt.Characters("ab")
    empty = torch.zeros(1, 0, 2)
    assert codec.decode(empty) == [""]
    assert codec.decode(empty, top=2) == [{"": 1.0}]
    assert codec.decode(empty, "sample", seed=0) == [""]
    assert codec.decode(empty, "entropy") == [[]]
