"""What ``data.plot()`` draws, read back from the figure and compared with pandas and scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image
from sklearn.decomposition import PCA

import retia as rt
from retia.sources.plots import correlations

MIXED = {
    "weight": [1.5, 2.5, float("nan"), 4.0],
    "note": ["a b", "longer text", "c", "one of four"],  # all different: texts, not labels
    "kind": ["cat", "dog", "dog", "dog"],
}


def numbers_of(place):
    return [round(bar.get_height()) for bar in place.patches]


def test_every_column_is_drawn_as_it_suits():
    drawn = rt.data({**MIXED, "input": np.zeros((4, 3), np.float32)}).plot()
    places = [place for place in drawn.axes if place.get_visible()]
    assert [place.get_xlabel() or place.get_title() for place in places] == [
        "weight", "note, characters", "examples", "input",
    ]  # fmt: skip
    assert sum(numbers_of(places[0])) == 3
    assert places[2].get_title() == "kind"
    assert [text.get_text() for text in places[2].get_yticklabels()] == ["cat", "dog"]
    assert [bar.get_width() for bar in places[2].patches] == [1, 3]


def test_one_kind_is_drawn_on_axes_that_are_given(tmp_path):
    ax = Figure().subplots()
    data = rt.data(MIXED)
    assert data.plot("lengths", ax=ax) is ax
    counts = {round(bar.get_x() + 0.5): round(bar.get_height()) for bar in ax.patches}
    assert {length: count for length, count in counts.items() if count} == {1: 1, 3: 1, 11: 2}
    data.plot("counts", path=tmp_path / "counts.png")
    with Image.open(tmp_path / "counts.png") as opened:
        assert opened.format == "PNG"
    with pytest.raises(rt.ArgumentError, match="ax= is one place, and there are 3 to draw: 'weight'"):
        data.plot(ax=ax)


def test_the_most_frequent_labels_are_drawn_in_their_order():
    labels = [str(n) for n in range(40) for _ in range(1 + (n % 7 == 0) * 3 + 1)]
    place = rt.data((range(len(labels)), labels)).plot("counts").axes[0]
    shown = [text.get_text() for text in place.get_yticklabels()]
    assert len(shown) == 30
    assert shown == sorted(shown, key=int)
    assert {"0", "7", "14", "21", "28", "35"} <= {*shown}
    assert place.get_title() == "output, 30 most frequent of 40"


def test_sizes_are_those_of_the_files(tmp_path):
    for number, size in enumerate([(3, 5), (3, 5), (7, 2)]):
        Image.new("L", size).save(tmp_path / f"{number}.png")
    (tmp_path / "bad.png").write_bytes(b"")
    data = rt.data({"input": sorted(tmp_path.glob("*.png"))})
    place = data.plot("sizes").axes[0]
    assert sorted(map(tuple, place.collections[0].get_offsets().tolist())) == [(3, 5), (7, 2)]
    assert place.get_title() == "input, 3 pictures of 2 sizes"


def test_correlations_are_those_of_pandas():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(50, 4)) @ rng.normal(size=(4, 4))
    table[rng.random(table.shape) < 0.1] = np.nan
    expected = pd.DataFrame(table).corr().to_numpy()
    assert np.allclose(correlations([*table.T]), expected, rtol=0, atol=1e-12)
    drawn = rt.data({f"c{n}": column for n, column in enumerate(table.T)}).plot("correlations")
    assert np.allclose(drawn.axes[0].images[0].get_array(), expected, rtol=0, atol=1e-12)
    constant = correlations([np.ones(3), np.arange(3.0)])
    assert np.isnan(constant[0]).all()
    assert constant[1, 1] == 1


def test_a_map_is_the_pca_of_scikit_learn():
    x = np.random.default_rng(0).normal(size=(60, 5)) * [1, 5, 2, 1, 9]
    place = rt.data((x, ["b", "a"] * 30)).plot("map").axes[0]
    found = np.concatenate([each.get_offsets() for each in place.collections])
    expected = PCA(2).fit(x)
    placed = expected.transform(x)
    placed = np.concatenate([placed[1::2], placed[::2]])
    assert np.allclose(np.abs(found), np.abs(placed), atol=1e-9)
    assert place.get_xlabel() == f"first component ({expected.explained_variance_ratio_[0]:.0%})"
    assert [text.get_text() for text in place.get_legend().get_texts()] == ["a", "b"]


def test_a_map_goes_by_what_enters_a_nets_last_layer():
    net = rt.Chain(
        rt.Linear(4), rt.Tanh(), rt.Linear(2), rt.Softmax(), input=3, output=rt.Classes(["a", "b"])
    ).init(0)
    x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    data = rt.data((x, ["a", "b"] * 10))
    inner = PCA(2).fit_transform(net[:2].batch(x, None).numpy())
    found = np.concatenate([each.get_offsets() for each in data.plot("map", by=net).axes[0].collections])
    assert np.allclose(np.abs(found), np.abs(np.concatenate([inner[::2], inner[1::2]])), atol=1e-5)
    same = np.concatenate([each.get_offsets() for each in data.plot("map", by=net[:2]).axes[0].collections])
    assert np.allclose(np.abs(same), np.abs(found), atol=1e-9)


def test_what_cannot_be_drawn_is_told():
    data = rt.data((["some text", "another"], [0.5, 1.5]))
    for call, told in (
        (lambda: data.plot("histogram"), "Did you mean 'histograms'?"),
        (lambda: data.plot("sizes"), "the set has no sizes to draw: input, output"),
        (lambda: data.plot("map"), "a map needs numbers, and str is none"),
        (lambda: data.plot("correlations"), "correlations are of 2 to 60 columns of numbers; got 1"),
        (lambda: data.plot(by=rt.Linear(2, input=2)), "by= is for the map"),
        (lambda: data.take(0).plot(), "the set is empty"),
        (lambda: rt.data((np.array([[1.0], [np.nan]]), [0, 1])).plot("map"), "some are missing or infinite"),
    ):
        with pytest.raises(rt.Error) as caught:
            call()
        assert told.lower() in str(caught.value).lower()
