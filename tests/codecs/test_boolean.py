import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

import retia as rt
from retia.nets import Reading


def ask(codec, rows, property="decision", **how):
    return codec.unpack(torch.as_tensor(rows, dtype=torch.float32), Reading(property=property, **how))


@pytest.mark.parametrize(
    "things",
    [
        [True, False, True],
        [1, 0, 1],
        [1.0, 0.0, 1.0],
        np.array([True, False, True]),
        np.array([1, 0, 1]),
        np.array([1.0, 0.0, 1.0]),
        torch.tensor([True, False, True]),
        (np.bool_(True), np.int8(0), torch.tensor(1)),
    ],
    ids=str,
)
def test_truth_values_of_any_make(things):
    codec = rt.Boolean()
    assert codec.is_one(things) is False
    assert codec.is_one(things[0]) is True
    packed = codec.pack(things)
    assert packed.dtype == torch.float32
    assert packed.tolist() == [1.0, 0.0, 1.0]
    assert codec.pack_target(things, codec.loss()).tolist() == [1.0, 0.0, 1.0]


@pytest.mark.parametrize("wrong", [2, -1, 0.5, "yes", None, math.nan, [1], b"1"], ids=str)
def test_what_is_neither_true_nor_false_is_refused(wrong):
    with pytest.raises(rt.CodecError, match="Boolean: row 1: .* is not True, False, 1 or 0"):
        rt.Boolean().pack([True, wrong])


def test_texts_and_columns_are_told_what_to_do():
    with pytest.raises(rt.CodecError, match="rt.Classes"):
        rt.Boolean().pack(["no"])
    with pytest.raises(rt.CodecError, match="y.ravel()"):
        rt.Boolean().pack(np.ones((3, 1)))


@given(st.floats(-40, 40, width=32), st.one_of(st.none(), st.floats(0.01, 0.99)))
def test_a_logit_and_its_probability_decide_alike(logit, threshold):
    codec = rt.Boolean(threshold)
    chance = 1 / (1 + math.exp(-logit))
    assert ask(codec, [logit], "probability") == pytest.approx([chance], abs=1e-9)
    cut = 0.5 if threshold is None else threshold
    assume(logit == 0 or abs(chance - cut) > 1e-9)  # nearer, two ways of rounding may differ
    assert ask(codec, [logit]) == [chance > cut]


def test_booleans_answer_the_same_words():
    codec = rt.Boolean()
    chances = [0.75, 0.5]
    assert ask(codec, chances, ending="sigmoid") == [True, False]
    assert ask(codec, chances, "probability", ending="sigmoid") == [0.75, 0.5]
    assert ask(codec, chances, ("probability", False), ending="sigmoid") == [0.25, 0.5]
    assert ask(codec, chances, "probabilities", ending="sigmoid")[0] == {False: 0.25, True: 0.75}
    assert ask(codec, chances, top=1, ending="sigmoid")[0] == {True: 0.75}
    assert ask(codec, chances, "entropy", ending="sigmoid")[1] == pytest.approx(math.log(2))
    assert ask(codec, [1.0, 0.0], "sample", ending="sigmoid") == [True, False]
    assert ask(codec, [1.0, 0.0], "entropy", ending="sigmoid") == [0.0, 0.0]
    assert [type(answer) for answer in ask(codec, chances, ending="sigmoid")] == [bool, bool]


@pytest.mark.parametrize("threshold", [-0.1, 1.1, math.nan, "half", True])
def test_a_threshold_is_a_probability(threshold):
    with pytest.raises(rt.ArgumentError, match="Boolean: threshold is a number from 0 to 1"):
        rt.Boolean(threshold)
