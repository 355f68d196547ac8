"""Verbs of sequences: against NumPy, each example by its own length."""

import operator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import retia as rt
from retia.engine.values import ValuesProgram
from retia.engine.walk import Run, walk

LENGTHS = st.lists(st.integers(1, 5), min_size=1, max_size=4)
ELEMENTS = st.sampled_from([(), (2,), (2, 3)])
VERBS = {
    rt.First(): lambda x: x[0],
    rt.Last(): lambda x: x[-1],
    rt.Most(): lambda x: x[:-1],
    rt.Rest(): lambda x: x[1:],
    rt.Reverse(): lambda x: x[::-1],
}
verbs = pytest.mark.parametrize(("verb", "of"), VERBS.items(), ids=[str(type(v).__name__) for v in VERBS])
SHORTER = [rt.First(), rt.Last(), rt.Most(), rt.Rest()]


def sequences(lengths, elements, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((length, *elements)).astype(np.float32) for length in lengths]


def same(found, expected):
    return all(np.array_equal(one.numpy(), other) for one, other in zip(found, expected, strict=True))


@verbs
@given(lengths=LENGTHS, elements=ELEMENTS)
def test_each_example_is_treated_as_numpy_would_treat_it_alone(verb, of, lengths, elements):
    rows = sequences(lengths, elements)
    net = type(verb)(input=("n", *elements))
    assert same(net(rows), map(of, rows))
    for row in rows:
        assert np.array_equal(type(verb)(input=row.shape)(row).numpy(), of(row))


@given(LENGTHS, ELEMENTS, st.integers(1, 3), st.randoms())
def test_join_puts_what_is_real_together(lengths, elements, number, random):
    lists = [sequences(random.sample(lengths, len(lengths)), elements, seed=i) for i in range(number)]
    ports = {f"p{i}": (f"n{i}", *elements) for i in range(number)}
    given = dict(zip(ports, lists, strict=True)) if number > 1 else lists[0]
    net = rt.Join(input=ports)
    assert same(net(given), (np.concatenate(each) for each in zip(*lists, strict=True)))


def test_join_takes_sequences_of_fixed_and_of_varying_length():
    net = rt.Join(input={"start": (1, 2), "text": ("n", 2), "end": (2, 2)})
    assert str(net.outputs["output"].shape[0]) == "n + 3"
    starts, texts, ends = sequences((1, 1), (2,)), sequences((3, 1), (2,), 1), sequences((2, 2), (2,), 2)
    found = net({"start": starts, "text": texts, "end": ends})
    assert same(found, (np.concatenate(each) for each in zip(starts, texts, ends, strict=True)))


def test_an_empty_sequence_may_be_joined_and_reversed():
    join = rt.Join(input={"a": ("n",), "b": ("m",)})
    found = join({"a": [[], [1.0]], "b": [[2.0, 3.0], []]})
    assert [each.tolist() for each in found] == [[2.0, 3.0], [1.0]]
    assert [each.tolist() for each in rt.Reverse(input=("n",))([[], [1.0, 2.0]])] == [[], [2.0, 1.0]]


@pytest.mark.parametrize("verb", VERBS, ids=repr)
@pytest.mark.parametrize("elements", [(), (2,), (2, 3)], ids=str)
def test_the_law_of_the_batch_holds_and_padding_never_leaks(verb, elements, keeps_the_batch_law):
    net = rt.Chain(rt.Rest(), verb, input=("n", *elements))
    padding = 3.0 if type(verb) in (rt.Most, rt.Rest, rt.Reverse) else torch.nan  # those pass it on as it is
    keeps_the_batch_law(net, {"n": [4, 2, 6, 3]}, padding)


@pytest.mark.parametrize("how", ["sum", "mean", "max", "min"])
@pytest.mark.parametrize("verb", [rt.Most(), rt.Rest(), rt.Reverse(), rt.RNN(3)], ids=repr)
def test_what_is_pooled_along_the_sequence_holds_nothing_of_the_padding(verb, how, keeps_the_batch_law):
    keeps_the_batch_law(rt.Chain(verb, rt.Reduce(how, 0), input=("n", 2)), {"n": [4, 2, 5]})


@pytest.mark.parametrize("pool", [rt.GlobalAvgPool(), rt.GlobalMaxPool()], ids=repr)
def test_channels_of_a_sequence_are_pooled_by_its_own_length(pool, keeps_the_batch_law):
    keeps_the_batch_law(rt.Chain(rt.Reverse(), rt.Transpose(1, 0), pool, input=("n", 3)), {"n": [4, 1, 6]})


def test_verbs_keep_whole_numbers_whole():
    for verb in VERBS:
        net = type(verb)(input=("n",))
        found = walk(net, {"input": torch.tensor([[1, 2, 3]])}, {}, Run(lengths={"n": torch.tensor([2])}))
        assert found["output"].dtype == torch.int64
    tokens = rt.Chain(rt.Last(), rt.Embedding(2, classes=9), input=("n",)).init()
    assert torch.equal(tokens([[1, 2], [3]]), tokens.arrays["1.weight"][[2, 3]])


@pytest.mark.parametrize("verb", [*VERBS, rt.Join()], ids=repr)
def test_a_program_gives_what_the_walk_gives_whatever_the_lengths(verb):
    ports = {"a": ("n", 2), "b": ("m", 2)} if type(verb) is rt.Join else {"input": ("n", 2)}
    net = type(verb)(input=ports)
    inputs = {name: torch.randn(3, 4, 2) for name in ports}
    names = ("n", "m")[: len(ports)]
    first, second = ({name: torch.tensor(each) for name in names} for each in ([4, 2, 1], [1, 3, 4]))
    wanted = tuple(net.wiring.outputs.values())
    program = ValuesProgram(net, wanted, inputs, {}, constant=False, lengths=first)
    for lengths in (first, second):
        expected = walk(net, inputs, {}, Run(lengths=lengths))["output"]
        assert torch.equal(program(inputs, lengths)[wanted[0]], expected)


# Sizes and words ----------------------------------------------------------------------------------


def test_sizes_are_inferred_both_ways():
    for verb in (rt.Most, rt.Rest):
        assert verb(input=(5, 2)).outputs["output"].shape == (4, 2)
        assert verb(input=(None, None), output=(4, 2)).inputs["input"].shape == (5, 2)
        assert str(verb(input=("n", 2)).outputs["output"].shape[0]) == "n - 1"
    for verb in (rt.First, rt.Last):
        assert verb(input=("n", None), output=(2,)).inputs["input"].shape[1] == 2
    assert rt.Reverse(input=(None, 2), output=(3, 2)).inputs["input"].shape == (3, 2)
    join = rt.Join(input={"a": (2, 3), "b": (None, None)}, output=(7, 3))
    assert join.inputs["b"].shape == (5, 3)


@pytest.mark.parametrize("verb", SHORTER, ids=repr)
def test_an_empty_sequence_is_refused_when_the_net_is_made_and_when_it_is_called(verb):
    with pytest.raises(rt.ShapeError) as caught:
        type(verb)(input=(0, 2))
    assert str(caught.value) == f"{verb!r}: an empty sequence has no {verb.what}."
    net = type(verb)(input=("n",))
    with pytest.raises(rt.ShapeError) as caught:
        net([[1.0], []])
    assert str(caught.value) == f"{verb!r}, with n = 0: an empty sequence has no {verb.what}."


def test_sequences_that_do_not_fit_together_are_refused():
    with pytest.raises(rt.ShapeError) as caught:
        rt.Join(input={"a": ("n", 2), "b": ("m", 3)})
    assert str(caught.value).splitlines()[0] == "Join() takes (m, 2) at b, but the input 'b' gives (m, 3)."
    with pytest.raises(rt.ShapeError) as caught:
        rt.Join(input={"a": (4,), "b": (None,)}, output=(3,))
    assert str(caught.value) == "Join(): its inputs are 4 long already, its output 3."


@pytest.mark.parametrize("word", ["Last", "Most", "Rest", "Reverse"])
def test_names_of_other_frameworks_are_known(word):
    with pytest.raises(AttributeError, match=rf"It is called rt\.{word} here"):
        operator.attrgetter(f"Sequence{word}Layer")(rt)


@pytest.mark.parametrize("verb", [*VERBS, rt.Join()], ids=repr)
def test_a_verb_comes_back_from_its_text_and_its_file(verb, comes_back, tmp_path):
    net = rt.Chain(rt.Linear(2), verb, input=("n", 3)) if type(verb) is not rt.Join else verb
    comes_back(net)
    net = net.init() if net.children else net
    net.save(tmp_path / "net.safetensors")
    assert rt.load(tmp_path / "net.safetensors") == net
