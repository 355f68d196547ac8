import enum
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import retia as rt
from retia.nets import Reading

LABELS = st.lists(
    st.one_of(st.text(max_size=5), st.integers(2, 10**20), st.integers(-5, -1), st.booleans()),
    min_size=1,
    max_size=8,
    unique=True,
)


def ask(codec, rows, property="decision", **how):
    return codec.unpack(torch.as_tensor(rows, dtype=torch.float32), Reading(property=property, **how))


@given(LABELS, st.data())
def test_labels_come_back_with_their_type(labels, data):
    codec = rt.Classes(labels)
    things = data.draw(st.lists(st.sampled_from(labels), max_size=10))
    numbers = codec.pack(things)
    assert numbers.dtype == torch.int64
    back = ask(codec, torch.eye(len(labels))[numbers])
    assert back == things
    assert [type(b) for b in back] == [type(t) for t in things]


@given(LABELS, st.randoms())
def test_learned_labels_do_not_depend_on_the_order_of_the_data(labels, random):
    mixed = labels * 2
    random.shuffle(mixed)
    assert rt.Classes().fit(mixed) == rt.Classes().fit(labels)


def test_learned_labels_are_sorted_truth_values_then_numbers_by_value_then_texts():
    assert rt.Classes().fit([10, "b", 9, "10", "9", False, -1]).labels == (False, -1, 9, 10, "10", "9", "b")
    assert rt.Classes().fit(np.array([3, 1, 3, 2], np.uint8)).labels == (1, 2, 3)
    assert rt.Classes().fit(np.array(["dog", "cat", "dog"])) == rt.Classes(["cat", "dog"])
    assert rt.Classes().fit(np.array(["dog", "cat"], object)) == rt.Classes(["cat", "dog"])
    assert rt.Classes(form="one-hot").fit(torch.tensor([1, 0])) == rt.Classes([0, 1], form="one-hot")


def test_given_labels_are_not_learned_anew():
    codec = rt.Classes(["a"])
    assert codec.fit(["b"]) is codec


@pytest.mark.parametrize(
    "things",
    [
        [2, 0, 2, 1],
        (2, 0, 2, 1),
        np.array([2, 0, 2, 1]),
        np.array([2, 0, 2, 1], np.uint8),
        np.array([2, 0, 2, 1], ">i4"),
        np.array([2, 0, 2, 1], object),
        torch.tensor([2, 0, 2, 1]),
        [np.int64(2), np.uint8(0), torch.tensor(2), np.array(1)],
    ],
    ids=str,
)
@pytest.mark.parametrize("labels", [range(3), [2, 1, 0], [0, 1, 2, "2"]], ids=str)
def test_numbers_of_any_make_are_the_labels_that_they_equal(things, labels):
    codec = rt.Classes(labels)
    assert codec.pack(things).tolist() == [list(labels).index(label) for label in (2, 0, 2, 1)]


def test_texts_and_enums_of_any_make_are_texts():
    color = enum.Enum("Color", {"RED": "red", "BLUE": "blue"}, type=str)
    level = enum.IntEnum("Level", {"LOW": 1, "HIGH": 2})
    assert rt.Classes(["blue", "red"]).pack([color.RED, np.str_("blue"), "red"]).tolist() == [1, 0, 1]
    assert rt.Classes(["blue", "red"]).pack(np.array(["red", "blue"])).tolist() == [1, 0]
    assert rt.Classes([2, 1]).pack([level.LOW, 2]).tolist() == [1, 0]
    assert repr(rt.Classes([level.LOW, color.RED])) == "Classes((1, 'red'))"


def test_a_label_of_another_type_is_another_label():
    with pytest.raises(
        rt.CodecError, match="row 1: '7' is not one of the 10 labels. The label 7 is of another"
    ):
        rt.Classes(range(10)).pack([7, "7"])
    with pytest.raises(
        rt.CodecError, match="row 0: 1 is not one of the 2 labels. The label True is of another"
    ):
        rt.Classes([False, True]).pack([1])
    with pytest.raises(rt.CodecError, match="False is not one of the 2 labels"):
        rt.Classes([0, 1]).pack(np.array([False, True]))
    assert rt.Classes([7, "7"]).pack(["7", 7]).tolist() == [1, 0]


def test_an_unknown_label_is_told_with_its_row_its_count_and_what_may_be_meant():
    with pytest.raises(rt.CodecError) as caught:
        rt.Classes(["cat", "dog"]).pack(["cat", "dgo", "cow"])
    assert str(caught.value) == (
        "Classes: row 1: 'dgo' is not one of the 2 labels (2 rows in all). Did you mean 'dog'?\n"
        "  from  the labels are 'cat', 'dog'"
    )
    assert caught.value.path == "row 1"
    assert caught.value.got == "dgo"


@pytest.mark.parametrize("number", [-1, 10, 2**40])
@pytest.mark.parametrize("make", [list, np.array, torch.tensor])
def test_numbers_out_of_range_are_refused(number, make):
    with pytest.raises(rt.CodecError, match=f"row 2: {number} is not one of the 10 labels"):
        rt.Classes(range(10)).pack(make([0, 9, number]))


@pytest.mark.parametrize(
    ("things", "text"),
    [
        ([0, None], "row 1: None is no label"),
        ([0, 1.0], "row 1: 1.0 is no label"),
        (np.array([0.0, 1.5]), "row 0: 0.0 is no label"),
        ([b"cat"], "row 0: b'cat' is no label"),
        ([[0], [1]], "is no label"),
        (np.zeros((3, 1), int), "labels have one axis"),
        (np.eye(3), "labels have one axis"),
        (torch.tensor([1 + 1j]), "no label"),
    ],
    ids=str,
)
def test_what_is_no_label_is_refused(things, text):
    with pytest.raises(rt.CodecError, match=text):
        rt.Classes(range(3)).pack(things)
    with pytest.raises(rt.CodecError, match=text):
        rt.Classes().fit(things)


def test_one_hot_rows_are_told_what_to_do():
    with pytest.raises(rt.CodecError) as caught:
        rt.Classes(range(3)).pack(np.eye(3))
    assert caught.value.fix == "y.argmax(1)"


@pytest.mark.parametrize(
    "labels",
    [[], "cat", b"cat", {"a", "b"}, {"a": 1}, 3, ["a", "a"], [1, True], [0.5], [None], [["a"]]],
)
def test_labels_that_cannot_be_are_refused_when_the_codec_is_made(labels):
    with pytest.raises(rt.ArgumentError, match="Classes: labels"):
        rt.Classes(labels)


def test_labels_given_one_by_one_are_told_what_to_do():
    with pytest.raises(rt.ArgumentError) as caught:
        rt.Classes("cat", "dog")
    assert caught.value.fix == 'Classes(["cat", "dog"]) takes the labels as one list'


def test_a_codec_without_labels_says_so():
    assert not rt.Classes().is_fitted()
    assert rt.Classes().output_shape == (None,)
    with pytest.raises(rt.CodecError, match="has learned no labels yet"):
        rt.Classes().pack(["a"])
    with pytest.raises(rt.CodecError, match="no examples to learn labels from"):
        rt.Classes().fit([])
    assert len(rt.Classes(["cat", "dog"])) == 2


@pytest.mark.parametrize(
    ("thing", "one"),
    [
        ("cat", True),
        (7, True),
        (True, True),
        (np.int64(7), True),
        (np.str_("a"), True),
        (torch.tensor(3), True),
        (np.array(3), True),
        ([], False),
        (["cat"], False),
        (("cat",), False),
        (range(3), False),
        (np.array([1]), False),
        (torch.tensor([1, 2]), False),
        (np.array(["a"]), False),
    ],
    ids=str,
)
def test_one_label_or_many_follows_from_what_it_is(thing, one):
    assert rt.Classes(range(10)).is_one(thing) is one


def test_targets_suit_the_loss():
    codec = rt.Classes(["a", "b", "c"])
    assert codec.pack_target(["c", "a"], "cross-entropy").tolist() == [2, 0]
    for loss in ("mse", "mae", "binary-cross-entropy"):
        target = codec.pack_target(["c", "a"], loss)
        assert target.dtype == torch.float32
        assert target.tolist() == [[0, 0, 1], [1, 0, 0]]


@pytest.mark.parametrize("make", [np.asarray, torch.tensor])
def test_a_row_of_numbers_is_taken_for_the_labels_probabilities(make):
    codec = rt.Classes(["a", "b", "c"])
    assert codec.pack_target(["a", "c"], "focal").tolist() == [0, 2]
    soft = codec.pack_target(make([[0.5, 0.25, 0.25], [0.0, 0.0, 1.0]]), "cross-entropy")
    assert soft.dtype == torch.float32
    assert soft.tolist() == [[0.5, 0.25, 0.25], [0, 0, 1]]
    with pytest.raises(rt.CodecError, match="labels have one axis"):
        codec.pack_target(make([[0.5, 0.5]]), "cross-entropy")


def test_at_an_input_the_form_says_what_the_net_takes():
    number = rt.Classes(["a", "b", "c"])
    vector = rt.Classes(["a", "b", "c"], form="one-hot")
    assert (number.shape, number.kind) == ((), "int")
    assert (vector.shape, vector.kind) == ((3,), "float")
    assert number.output_shape == vector.output_shape == (3,)
    assert vector.encode("b").tolist() == [0.0, 1.0, 0.0]
    assert vector.encode(["b", "a"]).tolist() == [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    net = rt.Linear(2, input=vector)
    assert net.inputs["input"].shape == (3,)
    assert net.init(seed=0)("c").shape == (2,)
    with pytest.raises(rt.ShapeError):
        rt.Linear(2, input=number)


def test_an_output_of_classes_fixes_the_width_before_it():
    net = rt.Chain(rt.Linear(), rt.Softmax(), input=4, output=rt.Classes(["cat", "dog"]))
    assert net.array_shapes()["0.weight"] == (2, 4)
    assert net.outputs["output"].kind == "float"


# Decoding -----------------------------------------------------------------------------------------

SCORES = st.lists(st.floats(-30, 30, width=32), min_size=3, max_size=3)


@given(st.lists(SCORES, min_size=1, max_size=4))
def test_the_decision_is_the_largest_whatever_the_net_ends_in(rows):
    codec = rt.Classes(["a", "b", "c"])
    scores = torch.tensor(rows, dtype=torch.float32)
    best = [codec.labels[i] for i in np.argmax(scores.numpy(), axis=1)]
    for ending in (None, "sigmoid", "softmax", "log_softmax"):
        assert ask(codec, scores, ending=ending) == best


@given(st.lists(SCORES, min_size=1, max_size=4))
def test_probabilities_are_those_of_pytorch(rows):
    codec = rt.Classes(["a", "b", "c"])
    scores = torch.tensor(rows)
    soft = torch.softmax(scores.double(), 1)
    for given_scores, ending in (
        (scores, None),
        (torch.softmax(scores, 1), "softmax"),
        (torch.log_softmax(scores, 1), "log_softmax"),
    ):
        told = ask(codec, given_scores, "probabilities", ending=ending)
        assert all(list(row) == ["a", "b", "c"] for row in told)
        assert torch.allclose(
            torch.tensor([list(r.values()) for r in told], dtype=torch.float64), soft, atol=1e-6
        )
        entropy = torch.distributions.Categorical(probs=soft, validate_args=False).entropy()
        found = torch.tensor(ask(codec, given_scores, "entropy", ending=ending), dtype=torch.float64)
        assert torch.allclose(found, entropy, atol=1e-5)
        assert ask(codec, given_scores, ("probability", "b"), ending=ending) == [row["b"] for row in told]


def test_after_sigmoid_each_class_has_a_probability_of_its_own():
    codec = rt.Classes(["a", "b", "c"])
    row = torch.tensor([[0.9, 0.8, 0.0]])
    assert ask(codec, row, "probabilities", ending="sigmoid")[0] == pytest.approx(
        {"a": 0.9, "b": 0.8, "c": 0.0}
    )
    shares = np.array([0.9, 0.8]) / 1.7
    assert ask(codec, row, "entropy", ending="sigmoid") == pytest.approx([-(shares * np.log(shares)).sum()])
    nothing = torch.zeros(1, 3)
    assert ask(codec, nothing, "entropy", ending="sigmoid") == pytest.approx([math.log(3)])


def test_the_best_answers_fall_and_are_plain_numbers():
    codec = rt.Classes([7, 9, 2, 4])
    (best,) = ask(codec, [[0.98, 0.012, 0.004, 0.004]], top=3, ending="softmax")
    assert list(best) == [7, 9, 2]
    assert best == pytest.approx({7: 0.98, 9: 0.012, 2: 0.004})
    assert {type(chance) for chance in best.values()} == {float}
    assert list(ask(codec, [[0.25] * 4], top=10, ending="softmax")[0]) == [7, 9, 2, 4]
    with pytest.raises(rt.ArgumentError, match="top is a whole number of at least 1; got 0"):
        ask(codec, [[0.25] * 4], top=0, ending="softmax")


def test_draws_follow_probabilities_temperature_and_seed():
    codec = rt.Classes(["a", "b", "c"])
    chances = torch.tensor([[0.5, 0.5, 0.0]]).repeat(4000, 1)
    drawn = ask(codec, chances, "sample", seed=1, ending="softmax")
    assert drawn == ask(codec, chances, "sample", seed=1, ending="softmax")
    assert drawn != ask(codec, chances, "sample", seed=2, ending="softmax")
    assert set(drawn) == {"a", "b"}
    assert 1800 < drawn.count("a") < 2200
    skew = torch.tensor([[0.8, 0.2, 0.0]]).repeat(4000, 1)
    share = {
        t: ask(codec, skew, "sample", temperature=t, seed=3, ending="softmax").count("a")
        for t in (0.25, 1, 50)
    }
    assert share[0.25] > 3900
    assert 3100 < share[1] < 3300
    assert 1900 < share[50] < 2200
    for bad in (0, -1.0, math.nan, math.inf, True, "hot"):
        with pytest.raises(rt.ArgumentError, match="temperature is a number above 0"):
            ask(codec, skew, "sample", temperature=bad, ending="softmax")
    with pytest.raises(rt.ArgumentError, match="seed is a whole number"):
        ask(codec, skew, "sample", seed=-1, ending="softmax")


def test_what_is_not_made_of_probabilities_is_refused_when_they_are_asked():
    codec = rt.Classes(["a", "b"])
    with pytest.raises(rt.CodecError, match=r"row 1 \[2, 5\] is not made of probabilities"):
        ask(codec, [[0.5, 0.5], [2.0, 5.0]], "probabilities", ending="softmax")
    with pytest.raises(rt.CodecError, match="not made of probabilities"):
        ask(codec, [[0.9, 0.9]], top=1, ending="softmax")
    assert codec.decode([2.0, 5.0]) == "b"


def test_nan_is_no_decision():
    with pytest.raises(rt.CodecError, match=r"row 1 of the net's output is NaN \(1 of 2 rows are\)"):
        ask(rt.Classes(["a", "b"]), [[0.5, 0.5], [math.nan, 0.5]])


def test_infinite_logits_still_have_probabilities():
    codec = rt.Classes(["a", "b", "c"])
    assert ask(codec, [[0.0, 0.0, -math.inf]], "probabilities")[0] == {"a": 0.5, "b": 0.5, "c": 0.0}
    assert ask(codec, [[0.0, math.inf, 0.0]], "probabilities")[0] == {"a": 0.0, "b": 1.0, "c": 0.0}


def test_the_probability_of_an_unknown_label_is_an_error_with_the_form_to_use():
    with pytest.raises(rt.CodecError) as caught:
        ask(rt.Classes(["a", "b"]), [[0.5, 0.5]], ("probability", "x"), ending="softmax")
    assert caught.value.fix == "net(x, (\"probability\", 'a'))"


def test_a_net_answers_every_word_of_its_codec():
    codec = rt.Classes(["cat", "dog"])
    net = rt.Chain(rt.Softmax(), input=2, output=codec)
    logits = [math.log(0.25), math.log(0.75)]
    assert net(logits) == "dog"
    assert net([logits, logits[::-1]]) == ["dog", "cat"]
    assert net(logits, "probabilities") == pytest.approx({"cat": 0.25, "dog": 0.75})
    assert net(logits, ("probability", "cat")) == pytest.approx(0.25)
    assert net(logits, top=1) == pytest.approx({"dog": 0.75})
    assert net(logits, "entropy") == pytest.approx(0.25 * math.log(4) + 0.75 * math.log(4 / 3))
    assert net(logits, "sample", temperature=1e-3, seed=0) == "dog"
    plain = rt.Chain(input=2, output=codec)
    assert plain(logits, "probabilities") == pytest.approx({"cat": 0.25, "dog": 0.75})


def test_codecs_work_without_a_net():
    codec = rt.Classes(["cat", "dog"])
    assert codec.encode("dog") == torch.tensor(1)
    assert codec.decode([0.1, 0.9]) == "dog"
    assert codec.decode([[0.1, 0.9], [0.8, 0.2]], top=1) == [
        pytest.approx({"dog": 0.9}),
        pytest.approx({"cat": 0.8}),
    ]


def test_below_the_threshold_the_answer_is_the_word_given():
    codec = rt.Classes(["a", "b"], threshold=0.75)
    rows = [[0.75, 0.25], [0.25, 0.75], [0.6, 0.4]]
    assert ask(codec, rows, ending="softmax") == ["a", "b", "uncertain"]
    assert ask(codec, torch.tensor(rows).log(), ending="log_softmax")[2] == "uncertain"
    assert ask(codec, [[0.0, 2.0], [0.0, 1.0]]) == ["b", "uncertain"]
    assert ask(codec, rows, top=1, ending="softmax")[2] == pytest.approx({"a": 0.6})
    assert ask(rt.Classes(["a", "b"], threshold=0.9, uncertain=-1), rows, ending="softmax") == [-1, -1, -1]
    assert rt.Classes(threshold=0.75, uncertain="?").fit(["b", "a"]) == rt.Classes(
        ["a", "b"], threshold=0.75, uncertain="?"
    )


def test_the_word_for_uncertain_is_none_of_the_labels():
    with pytest.raises(rt.ArgumentError, match="Classes: uncertain is 'b', which is one of the labels"):
        rt.Classes(["a", "b"], threshold=0.5, uncertain="b")
    with pytest.raises(
        rt.ArgumentError, match="Classes: uncertain is a text, a whole number or a truth value"
    ):
        rt.Classes(["a", "b"], threshold=0.5, uncertain=None)
    assert rt.Classes(["sure", "uncertain"]).decode([0.4, 0.6]) == "uncertain"


def test_an_embedding_after_labels_knows_how_many_there_are():
    layers = (rt.Embedding(4), rt.Linear(1))
    assert rt.Chain(*layers, input=rt.Classes(["a", "b", "c"])).array_shapes()["0.weight"] == (3, 4)
    assert rt.Classes().class_count is None
    assert rt.Classes(["a", "b"], form="one-hot").class_count is None
    open_ = rt.Chain(*layers, input=rt.Classes(), output=rt.Vector(1))
    run = rt.train(open_, (["a", "b"] * 8, [[1.0], [2.0]] * 8), epochs=1, validation=0)
    assert run.net.array_shapes()["0.weight"] == (2, 4)
    said = rt.Chain(rt.Embedding(4, classes=9), input=rt.Classes(["a", "b"]))
    assert said.array_shapes()["0.weight"] == (9, 4)
