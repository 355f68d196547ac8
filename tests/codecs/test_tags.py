import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import MultiLabelBinarizer

import retia as rt
from retia.nets import Reading

LABELS = st.lists(
    st.one_of(st.text(max_size=5), st.integers(2, 10**20), st.booleans()), min_size=1, max_size=6, unique=True
)


def ask(codec, rows, property="decision", **how):
    return codec.unpack(torch.as_tensor(rows, dtype=torch.float32), Reading(property=property, **how))


@given(LABELS, st.data())
def test_sets_of_labels_come_back_with_their_types(labels, data):
    codec = rt.Tags(labels)
    things = data.draw(st.lists(st.sets(st.sampled_from(labels)), max_size=8))
    back = ask(codec, codec.pack(things), ending="sigmoid")
    assert [set(row) for row in back] == things
    assert [sorted(map(labels.index, row)) for row in back] == [[*map(labels.index, row)] for row in back]


@given(st.lists(st.sets(st.text(max_size=3), max_size=4), min_size=1, max_size=8))
def test_learned_labels_and_vectors_are_those_of_scikit_learn(things):
    reference = MultiLabelBinarizer().fit(things)
    if len(reference.classes_):
        codec = rt.Tags().fit(things)
        assert codec.labels == tuple(reference.classes_)
        assert np.array_equal(codec.pack(things).numpy(), reference.transform(things))


@pytest.mark.parametrize(
    ("thing", "one"),
    [
        ({"a"}, True),
        (set(), True),
        (frozenset({"a"}), True),
        (["a", "b"], True),
        (("a",), True),
        ([], False),
        ([{"a"}, set()], False),
        ([["a"], []], False),
        ([[]], False),
        (np.zeros(2), True),
        (np.zeros((3, 2)), False),
        (torch.zeros(3, 2), False),
        (np.array([["a"], ["b", "a"]], object), False),
    ],
    ids=str,
)
def test_one_set_or_many_follows_from_what_it_is(thing, one):
    assert rt.Tags(["a", "b"]).is_one(thing) is one


@pytest.mark.parametrize("make", [list, np.array, torch.tensor])
def test_an_array_is_the_vector_itself(make):
    codec = rt.Tags(["a", "b"])
    if make is not list:
        assert codec.pack(make([[0, 1], [1, 1]])).tolist() == [[0, 1], [1, 1]]
        assert codec.pack([make([0, 1]), make([1.0, 0.5])]).tolist() == [[0, 1], [1, 0.5]]
    assert codec.pack([make([]) if make is list else {"a"}, {"b"}])[1].tolist() == [0, 1]


def test_an_unknown_label_is_told_with_its_row():
    with pytest.raises(rt.CodecError) as caught:
        rt.Tags(["comedy", "drama"]).pack([{"comedy"}, ["drama", "comdy"], {7}])
    assert str(caught.value) == (
        "Tags: row 1: 'comdy' is not one of the 2 labels (2 rows in all). Did you mean 'comedy'?\n"
        "  from  the labels are 'comedy', 'drama'"
    )
    with pytest.raises(
        rt.CodecError, match="row 0: '7' is not one of the 1 labels. The label 7 is of another"
    ):
        rt.Tags([7]).pack([{"7"}])


@pytest.mark.parametrize(
    ("things", "text", "fix"),
    [
        (["a"], "Tags: row 0: an example is a set or a list of labels; got 'a'.", "{'a'}, a set of one"),
        ([{"a"}, None], "Tags: row 1: an example is a set or a list of labels; got None.", None),
        (
            [{"a": 1}],
            "Tags: row 0: an example is a set",
            "{label for label, value",
        ),
        ([[1.5]], "Tags: row 0: 1.5 is no label", "y.astype(int)"),
        (np.array([[0, 2]]), "row 0: an array holds zeros", "a list of sets of labels"),
        (
            np.array([[0.0, math.nan]]),
            "row 0: an array holds zeros",
            "a list of sets of labels",
        ),
        (np.zeros((2, 3)), "one for the 2 labels; got shape .2, 3.", "a list of sets of labels"),
    ],
)
def test_what_are_no_tags_is_refused(things, text, fix):
    with pytest.raises(rt.CodecError, match=text) as caught:
        rt.Tags(["a", "b"]).pack(things)
    assert (caught.value.fix or "").startswith(fix or "")


def test_a_text_alone_is_no_example():
    with pytest.raises(rt.CodecError, match="Tags: an example is a set or a list of labels; got 'ab'"):
        rt.Tags(["a", "b"]).is_one("ab")


def test_without_labels_it_says_so():
    with pytest.raises(rt.CodecError, match="has learned no labels yet"):
        rt.Tags().pack([{"a"}])
    with pytest.raises(rt.CodecError, match="Tags: there are no examples to learn labels from"):
        rt.Tags().fit([set(), set()])
    with pytest.raises(rt.CodecError, match="Tags: row 1: None is no label"):
        rt.Tags().fit([{"a"}, [None]])


def test_every_label_has_a_probability_of_its_own():
    codec = rt.Tags(["a", "b", "c"], threshold=0.25)
    logits = torch.tensor([[2.0, -1.5, -1.0]])
    chances = torch.sigmoid(logits.double())
    want = dict(zip("abc", chances[0].tolist(), strict=True))
    for rows, ending in ((logits, None), (chances, "sigmoid")):
        assert ask(codec, rows, ending=ending) == [["a", "c"]]
        assert ask(codec, rows, "probabilities", ending=ending)[0] == pytest.approx(want)
        assert ask(codec, rows, ("probability", "b"), ending=ending) == pytest.approx([want["b"]])
        assert list(ask(codec, rows, top=2, ending=ending)[0]) == ["a", "c"]
        entropy = torch.distributions.Bernoulli(probs=chances).entropy().sum()
        assert ask(codec, rows, "entropy", ending=ending) == pytest.approx([float(entropy)])
    with pytest.raises(rt.CodecError, match="not made of probabilities"):
        ask(codec, logits, ending="sigmoid")


def test_draws_are_of_each_label_by_itself():
    codec = rt.Tags(["a", "b"])
    rows = torch.tensor([[0.8, 0.3]]).repeat(4000, 1)
    drawn = ask(codec, rows, "sample", seed=1, ending="sigmoid")
    assert drawn == ask(codec, rows, "sample", seed=1, ending="sigmoid")
    counts = {label: sum(label in row for row in drawn) for label in "ab"}
    both = sum(len(row) == 2 for row in drawn)
    assert counts["a"] == pytest.approx(3200, abs=120)
    assert counts["b"] == pytest.approx(1200, abs=120)
    assert both == pytest.approx(4000 * 0.24, abs=120)


def test_a_net_learns_tags_and_is_measured_label_by_label():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3)).astype(np.float32)
    names = np.array(["left", "high", "far"])
    tags = [set(names[row].tolist()) for row in x > 0]
    net = rt.Chain(rt.Linear(), rt.Sigmoid(), input=3, output=rt.Tags())
    run = rt.train(net, (x, tags), epochs=30, optimizer=rt.Adam(0.1), seed=0, validation=0)
    assert run.net.outputs["output"].codec == rt.Tags(["far", "high", "left"])
    assert set(run.net([3.0, -3.0, 3.0])) == {"left", "far"}
    answers = run.net([*x])
    share = np.mean(
        [(label in a) == (label in t) for a, t in zip(answers, tags, strict=True) for label in names]
    )
    assert rt.measure(run.net, (x, tags)).accuracy == pytest.approx(share)
    assert share > 0.95
