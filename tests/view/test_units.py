"""Units and single neurons: every number in the picture is the array's, recomputed by NumPy in float64."""

import re
from xml.etree.ElementTree import Element

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import retia as rt
from retia.zoo.small import dense, lenet
from view.sketches import SVG, Read, kinds, overlap, span, within

X = [0.5, -1.0, 2.0]


def small(activation: rt.Net, seed: int = 1) -> rt.Net:
    net = rt.Chain(rt.Linear(2), activation, rt.Linear(1), rt.Sigmoid(), input=3).init(seed=seed)
    return net.with_arrays({"0.bias": [0.25, -0.75], "2.bias": [0.125]})


def title(mark: Element) -> str | None:
    """What a mark says when it is pointed at."""
    return mark.findtext(f"{SVG}title")


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def test_weights_values_and_biases_are_written_as_they_are() -> None:
    net = small(rt.Tanh())
    arrays = {path: array.double().numpy() for path, array in net.arrays.items()}
    hidden = np.tanh(arrays["0.weight"] @ X + arrays["0.bias"])
    result = sigmoid(arrays["2.weight"] @ hidden + arrays["2.bias"])
    seen = Read(net.diagram(view="units", x=X).svg)
    weights = [f"{w:.3g}" for name in ("0.weight", "2.weight") for w in arrays[name].T.ravel()]
    inside = [f"{value:.3g}" for value in (*X, *hidden, *result)] + ["b 0.25", "b -0.75", "b 0.12"]
    heads = ["3", "input", "2", "Linear(2)", "Tanh", "1", "Linear(1)", "Sigmoid"]
    assert sorted(seen.words[:-1]) == sorted([*weights, *inside, *heads])


def test_lines_tell_sign_and_size_of_their_weights() -> None:
    net = small(rt.ReLU())
    seen = Read(net.diagram(view="units").svg)
    lines = [p for p in seen.root.iter(f"{SVG}path") if set(kinds(p)) & {"positive", "negative"}]
    told = {}
    for line in lines:
        target, source, weight = re.fullmatch(
            r"(\d+) from (\d+): (\S+)", line.find(f"{SVG}title").text
        ).groups()
        told[len(told), int(target), int(source)] = (
            kinds(line)[0],
            float(line.get("stroke-width")),
            float(weight),
        )
    weights = [*net.arrays["0.weight"].numpy().T.ravel(), *net.arrays["2.weight"].numpy().T.ravel()]
    assert len(told) == len(weights) == 8
    for (sign, _, said), weight in zip(told.values(), weights, strict=True):
        assert said == pytest.approx(weight, rel=1e-3)
        assert sign == ("positive" if weight >= 0 else "negative")
    first = sorted(list(told.values())[:6], key=lambda each: abs(each[2]))
    assert [width for _, width, _ in first] == sorted(width for _, width, _ in first)


def test_wide_columns_have_an_ellipsis_with_the_number() -> None:
    seen = Read(dense([784, 200, 60, 10]).init().diagram(view="units").svg)
    assert {"784", "200", "60", "10", "+769 more", "+185 more", "+45 more"} <= set(seen.words)
    assert len(list(seen.root.iter(f"{SVG}circle"))) == 15 * 3 + 10
    assert {"+764 more"} <= set(Read(dense([784, 10]).diagram(view="units", most=21).svg).words)


def test_units_do_not_overlap_and_texts_stay_on_the_sheet() -> None:
    for net in (dense([784, 200, 60, 10]), dense([784, 15, 10]), small(rt.ReLU())):
        seen = Read(net.init().diagram(view="units").svg)
        circles = [[float(c.get(name)) for name in ("cx", "cy", "r")] for c in seen.root.iter(f"{SVG}circle")]
        boxes = {(x - r, y - r, x + r, y + r) for x, y, r in circles}
        assert not any(overlap(one, two) for one in boxes for two in boxes if one != two)
        assert all(within(box, seen.sheet) for box in boxes)
        turned = {id(text) for group in seen.root.iter(f"{SVG}g") for text in group}
        assert all(within(span(text), seen.sheet) for text in seen.texts if id(text) not in turned)


def test_a_net_without_arrays_is_drawn_without_weights() -> None:
    seen = Read(dense([784, 15, 10]).diagram(view="units").svg)
    assert "Its weights are not made yet." in seen.words
    assert not any(set(kinds(p)) & {"positive", "negative"} for p in seen.root.iter(f"{SVG}path"))


def test_pictures_go_through_their_codec() -> None:
    net = dense([784, 20, 10]).init()
    x = rt.data("mnist").test.take(1).arrays()["input"][0]
    pixels = net.inputs["input"].codec.encode(x).double().numpy().ravel()
    arrays = {path: array.double().numpy() for path, array in net.arrays.items()}
    hidden = np.maximum(arrays["1.weight"] @ pixels + arrays["1.bias"], 0)
    scores = arrays["3.weight"] @ hidden + arrays["3.bias"]
    chances = np.exp(scores) / np.exp(scores).sum()
    seen = Read(net.diagram(view="units", x=x).svg)
    told = [
        c.find(f"{SVG}title").text
        for c in seen.root.iter(f"{SVG}circle")
        if c.find(f"{SVG}title") is not None
    ]
    assert told[-10:] == [f"unit {n}: {value:.4g}" for n, value in enumerate(chances)]


@given(
    seed=st.integers(0, 1000),
    x=st.lists(st.integers(-20, 20), min_size=3, max_size=3),
    unit=st.integers(0, 1),
)
def test_the_sum_of_a_neuron_adds_up_as_it_is_printed(seed: int, x: list[int], unit: int) -> None:
    net = small(rt.Tanh(), seed)
    x = [value / 8 for value in x]
    weight, bias = net.arrays["0.weight"][unit].double().numpy(), float(net.arrays["0.bias"][unit])
    seen = Read(net.diagram(view="neuron", layer="0", unit=unit, x=x).svg)
    desc = seen.root.find(f"{SVG}desc").text
    terms, total, result = re.fullmatch(r"z [=≈] (.*) [=≈] (\S+); a = Tanh: (\S+)", desc).groups()
    printed = [float(term.strip("()")) for term in terms.split(" + ")]
    assert printed[:-1] == pytest.approx(
        [round(w * v, 3) for w, v in zip(weight, x, strict=True)], abs=1.1e-3
    )
    assert printed[-1] == bias
    assert float(total) == pytest.approx(weight @ x + bias, abs=6e-4)
    assert float(result) == pytest.approx(np.tanh(weight @ x + bias), abs=6e-4)
    if desc.startswith("z ="):
        assert round(sum(printed), 3) == float(total)
    for value, text in zip(x, weight, strict=True):
        assert f"× {text:.3f}" in seen.words
        assert f"{value:.3g}" in seen.words


def test_of_many_inputs_the_largest_products_are_told_and_the_rest_as_one_sum() -> None:
    net = rt.Chain(rt.Linear(4), rt.ReLU(), rt.Linear(2), rt.Softmax(), input=30).init(seed=3)
    x = np.linspace(-1, 1, 30)
    products = net.arrays["0.weight"][2].double().numpy() * x
    order = np.argsort(-np.abs(products))
    words = Read(net.diagram(view="neuron", layer="0", unit=2, x=x).svg).words
    assert [text for text in words if text.startswith("input ")] == [f"input {n}" for n in sorted(order[:8])]
    assert "22 others" in words
    assert f"= {products[order[8:]].sum():.3f}" in words


def test_the_curve_is_the_activations_and_the_mark_lies_on_it() -> None:
    seen = Read(small(rt.ReLU()).diagram(view="neuron", layer="0", unit=1, x=[1.0, 1.0, 1.0]).svg)
    curve = next(p for p in seen.root.iter(f"{SVG}path") if "thick" in kinds(p))
    points = [tuple(map(float, pair.split())) for pair in curve.get("d").removeprefix("M").split("L")]
    heights = [y for _, y in points]
    assert heights[:20] == [heights[0]] * 20
    assert np.allclose(np.diff(heights[20:], 2), 0, atol=0.11)
    spot = next(c for c in seen.root.iter(f"{SVG}circle") if "down" in kinds(c))
    x, y = float(spot.get("cx")), float(spot.get("cy"))
    assert np.interp(x, *zip(*points, strict=True)) == pytest.approx(y, abs=0.3)


@pytest.mark.parametrize(
    ("net", "how", "said"),
    [
        (
            lenet(), {"view": "units"},
            'diagram: view="units" draws Linear layers with activations between them; 0 is Conv2d(20, 5).\n'
            '  fix   view="layers"',
        ),
        (
            rt.Graph(lambda x: rt.Linear(3)(x) + rt.Linear(3)(x), input=2), {"view": "units"},
            'diagram: view="units" draws nets that do not branch; Graph does.\n  fix   view="layers"',
        ),
        (
            dense([784, 10]), {"view": "neuron"},
            'diagram: view="neuron" shows weights, which are not made yet.\n  fix   net.init(seed=0)',
        ),
        (
            dense([784, 10]).init(), {"view": "neuron", "layer": "0"},
            "diagram: layer is one of '1'; got '0'.",
        ),
        (
            dense([784, 10]).init(), {"view": "neuron", "unit": 10},
            "diagram: unit is a whole number from 0 to 9; got 10.",
        ),
        (
            rt.Chain(rt.Linear(2), input=("n", 3)), {"view": "units"},
            'diagram: view="units" draws vectors of known size; the input gives (n, 3).\n'
            "  fix   net.init(), or rt.Flatten() before the first Linear",
        ),
        (
            small(rt.ReLU()), {"view": "units", "x": [X, X]},
            "diagram: x is one example; got what gives an array of shape (2, 2).\n  fix   x=xs[0]",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_as_units_says_why(net: rt.Net, how: dict[str, object], said: str) -> None:
    with pytest.raises(rt.Error) as caught:
        net.diagram(**how)
    assert str(caught.value) == said
