import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import retia as rt
from retia.nets import Reading

CHANCES = st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3)


def ask(codec, rows, property="decision", **how):
    return codec.unpack(torch.as_tensor(rows, dtype=torch.float32), Reading(property=property, **how))


@given(
    st.lists(st.one_of(st.text(max_size=4), st.integers(2, 99)), min_size=2, max_size=6, unique=True),
    st.data(),
)
def test_labels_come_back(labels, data):
    codec = rt.Ordinal(labels)
    things = data.draw(st.lists(st.sampled_from(labels), max_size=8))
    packed = codec.pack(things)
    assert packed.sum(1).tolist() == [labels.index(thing) for thing in things]
    assert bool((packed.diff(dim=1) <= 0).all())
    for ending, rows in (("sigmoid", packed), (None, 20 * packed - 10)):
        assert ask(codec, rows, ending=ending) == things


@given(CHANCES)
def test_probabilities_are_the_differences_of_what_falls(row):
    codec = rt.Ordinal(["a", "b", "c", "d"])
    above = [1.0, row[0], min(row[:2]), min(row), 0.0]
    want = [above[i] - above[i + 1] for i in range(4)]
    (told,) = ask(codec, [row], "probabilities", ending="sigmoid")
    assert list(told.values()) == pytest.approx(want)
    assert sum(told.values()) == pytest.approx(1)
    assert ask(codec, [row], "place", ending="sigmoid") == pytest.approx([np.dot(range(4), want)])
    median = next(i for i in range(4) if above[i + 1] <= 0.5)
    assert ask(codec, [row], ending="sigmoid") == ["abcd"[median]]


def test_whole_numbers_are_learned_by_value_and_texts_need_an_order():
    assert rt.Ordinal().fit([10, 2, 2, 9]) == rt.Ordinal([2, 9, 10])
    assert rt.Ordinal().fit(np.array([3, 1])) == rt.Ordinal([1, 3])
    with pytest.raises(rt.CodecError) as caught:
        rt.Ordinal().fit(["low", "high"])
    assert caught.value.message == "Ordinal: texts such as 'high' have no order of their own."
    assert caught.value.fix == "Ordinal([...]), from the least to the most"
    with pytest.raises(rt.CodecError, match="Ordinal: there is one label"):
        rt.Ordinal().fit([3, 3])
    with pytest.raises(rt.CodecError, match="has learned no labels yet"):
        rt.Ordinal().pack([3])
    with pytest.raises(rt.ArgumentError, match="an order has at least two labels"):
        rt.Ordinal(["a"])


def test_an_unknown_label_is_told_with_its_row():
    with pytest.raises(rt.CodecError) as caught:
        rt.Ordinal(["low", "high"]).pack(["low", "hihg"])
    assert str(caught.value) == (
        "Ordinal: row 1: 'hihg' is not one of the 2 labels. Did you mean 'high'?\n"
        "  from  the labels are 'low', 'high'"
    )


def test_a_net_learns_an_order_and_errs_by_little():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (400, 1)).astype(np.float32)
    names = np.array(["cold", "mild", "warm", "hot"])
    y = names[np.digitize(x[:, 0], [-0.5, 0, 0.5])].tolist()
    net = rt.Chain(
        rt.Linear(8), rt.Tanh(), rt.Linear(), rt.Sigmoid(), input=1, output=rt.Ordinal(names.tolist())
    )
    run = rt.train(net, (x, y), epochs=40, optimizer=rt.Adam(0.05), seed=0, validation=0)
    assert run.net([[-0.9], [-0.25], [0.25], [0.9]]) == ["cold", "mild", "warm", "hot"]
    places = np.array(run.net([*x], "place"))
    assert np.corrcoef(places, x[:, 0])[0, 1] > 0.9
