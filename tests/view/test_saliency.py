"""Where an answer comes from: every method against its definition, written out in loops and in PyTorch."""

from __future__ import annotations

import matplotlib.figure
import numpy as np
import pytest
import torch
from torch.nn import functional as F

import retia as rt
from retia.zoo.resnet import resnet18
from retia.zoo.small import lenet

LABELS = ("cat", "dog", "owl")


def small(seed: int = 0, color: str = "gray") -> rt.Net:
    """A net for pictures of 8 x 8 pixels, with biases that are not 0."""
    net = rt.Chain(
        rt.Conv2d(4, 3, padding=1), rt.ReLU(), rt.MaxPool2d(2), rt.Conv2d(5, 3), rt.ReLU(),
        rt.Flatten(), rt.Linear(), rt.Softmax(),
        input=rt.Image(8, 8, color=color), output=rt.Classes(LABELS),
    ).init(seed=seed)  # fmt: skip
    draws = torch.Generator().manual_seed(seed)
    moved = {p: torch.randn(t.shape, generator=draws) * 0.3 for p, t in net.arrays.items() if "bias" in p}
    return net.with_arrays(moved)


def logits(net: rt.Net, x: torch.Tensor) -> torch.Tensor:
    """What ``small`` computes, by PyTorch alone, in float64."""
    a = {path: tensor.double() for path, tensor in net.arrays.items()}
    x = F.max_pool2d(F.relu(F.conv2d(x, a["0.weight"], a["0.bias"], padding=1)), 2)
    x = F.relu(F.conv2d(x, a["3.weight"], a["3.bias"]))
    return F.linear(x.flatten(1), a["6.weight"], a["6.bias"])


def pixels(seed: int = 1, channels: int = 1) -> np.ndarray:
    found = np.random.default_rng(seed).random((8, 8, channels)).astype(np.float32)
    return found[..., 0] if channels == 1 else found


def batch(picture: np.ndarray) -> torch.Tensor:
    tensor = torch.from_numpy(picture).double()
    return tensor[None, None] if picture.ndim == 2 else tensor.permute(2, 0, 1)[None]


def slope(net: rt.Net, x: torch.Tensor, place: int) -> torch.Tensor:
    x = x.clone().requires_grad_(True)
    return torch.autograd.grad(logits(net, x)[:, place].sum(), x)[0]


@pytest.mark.parametrize("color", ["gray", "rgb"])
def test_the_gradient_is_that_of_the_logit_and_its_map_the_greatest_of_the_colours(color: str) -> None:
    net, picture = small(color=color), pixels(channels=3 if color == "rgb" else 1)
    found = net.saliency(picture)
    x = batch(picture)
    place = int(logits(net, x).argmax())
    expected = slope(net, x, place)[0].numpy()
    assert found.of == LABELS[place] == net(picture)
    np.testing.assert_allclose(found.values, expected, atol=1e-6)
    np.testing.assert_allclose(found.map, np.abs(expected).max(0), atol=1e-6)
    assert found.score == pytest.approx(float(logits(net, x)[0, place]), abs=1e-5)
    assert not found.values.flags.writeable


@pytest.mark.parametrize("label", LABELS)
def test_any_label_can_be_explained(label: str) -> None:
    net, picture = small(), pixels()
    expected = slope(net, batch(picture), LABELS.index(label))[0].numpy()
    np.testing.assert_allclose(net.saliency(picture, label).values, expected, atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_integrated_gradients_add_up_to_what_the_score_gained(seed: int) -> None:
    net, picture = small(seed), pixels(seed)
    for baseline, start in ((None, torch.zeros(1, 1, 8, 8)), (0.5, torch.full((1, 1, 8, 8), 0.5))):
        found = net.saliency(picture, "dog", method="integrated", baseline=baseline)
        gained = float((logits(net, batch(picture)) - logits(net, start.double()))[0, 1])
        assert abs(float(found.values.sum(dtype=np.float64)) - gained) < 1e-3
        assert found.score - found.baseline == pytest.approx(gained, abs=1e-5)
        assert found.gap == pytest.approx(float(found.values.sum(dtype=np.float64)) - gained, abs=1e-4)


def test_integrated_gradients_of_so_many_steps_are_the_sum_over_their_middles() -> None:
    net, picture = small(), pixels()
    x, total = batch(picture), torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    for step in range(20):
        total += slope(net, x * (step + 0.5) / 20, 2)
    found = net.saliency(picture, "owl", method="integrated", steps=20)
    np.testing.assert_allclose(found.values, (total / 20 * x)[0].numpy(), atol=1e-5)
    assert found.steps == 20


def test_integrated_gradients_that_were_refined_are_those_of_very_many_steps() -> None:
    net, picture = small(3), pixels(3)
    x, total = batch(picture), torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    for part in ((torch.arange(20_000) + 0.5) / 20_000).double().split(1000):
        total += slope(net, x * part.reshape(-1, 1, 1, 1), 0).sum(0, keepdim=True) / 20_000
    found = net.saliency(picture, "cat", method="integrated")
    np.testing.assert_allclose(found.values, (total * x)[0].numpy(), atol=1e-3)
    assert found.steps < 2000


def test_black_stays_black_where_pixels_are_normalised() -> None:
    image = rt.Image(4, 4, color="gray", normalize=(0.5, 0.25))
    net = rt.Chain(rt.Flatten(), rt.Linear(1), input=image).init(seed=0)
    found = net.saliency(np.ones((4, 4), np.float32), method="integrated")
    weight = net.arrays["1.weight"].reshape(4, 4).numpy()
    np.testing.assert_allclose(found.map, weight * (2.0 - -2.0), rtol=1e-4)


@pytest.mark.parametrize("path", ["3", "4"])
def test_grad_cam_is_the_sum_of_maps_weighted_by_their_mean_gradient(path: str) -> None:
    net, picture = small(2), pixels(2)
    a = {path: tensor.double() for path, tensor in net.arrays.items()}
    x = F.max_pool2d(F.relu(F.conv2d(batch(picture), a["0.weight"], a["0.bias"], padding=1)), 2)
    maps = F.conv2d(x, a["3.weight"], a["3.bias"])
    maps = (F.relu(maps) if path == "4" else maps).detach().requires_grad_(True)
    active = maps if path == "4" else F.relu(maps)
    scores = F.linear(active.flatten(1), a["6.weight"], a["6.bias"])[0]
    warmest = 0.0
    for place, label in enumerate(LABELS):
        (gradient,) = torch.autograd.grad(scores[place], maps, retain_graph=True)
        heat = np.zeros(maps.shape[2:])
        for channel in range(maps.shape[1]):
            heat += float(gradient[0, channel].mean()) * maps[0, channel].detach().numpy()
        heat = torch.from_numpy(np.maximum(heat, 0))[None, None]
        expected = F.interpolate(heat, (8, 8), mode="bilinear", align_corners=False)[0, 0]
        found = net.saliency(picture, label, method="grad-cam", path=path)
        np.testing.assert_allclose(found.map, expected, atol=1e-5)
        warmest = max(warmest, float(found.map.max()))
    assert warmest > 0.01


def test_black_is_found_where_the_picture_stands_beside_other_inputs() -> None:
    picture, number = rt.Input(rt.Image(4, 4, color="gray"), name="picture"), rt.Input(2, name="number")
    net = rt.Graph(rt.Linear(1)(rt.Flatten()(picture)) + rt.Linear(1)(number)).init(seed=0)
    x = {"picture": np.ones((4, 4), np.float32), "number": [1.0, 2.0]}
    found = net.saliency(x, method="integrated")
    weight = next(t for t in net.arrays.values() if t.shape == (1, 16))
    np.testing.assert_allclose(found.map.ravel(), weight[0].numpy(), rtol=1e-5)


@pytest.fixture(scope="module")
def trained() -> rt.Net:
    return rt.train(lenet(), rt.data("mnist").train[:1500], epochs=1, validation=0, seed=0).net


@pytest.mark.parametrize("row", range(5))
def test_of_a_trained_net_the_shares_add_up_and_the_net_is_one_map(trained: rt.Net, row: int) -> None:
    digit = rt.data("mnist").test[row][0]
    found = trained.saliency(digit, method="integrated")
    black = np.zeros((28, 28), np.uint8)
    scores = trained([digit, black], "logits").double().numpy()
    assert found.of == trained(digit)
    assert abs(found.values.sum(dtype=np.float64) - (scores[0] - scores[1])[found.of]) < 1e-3
    m = trained.linear_at(digit)
    assert np.abs(m.weight @ m.input.ravel() + m.bias - scores[0]).max() < 1e-5
    np.testing.assert_allclose(trained.saliency(digit).values[0], m.rows[found.of][0], atol=1e-4)


def test_grad_cam_looks_at_the_last_convolution_with_what_normalises_adds_and_activates_it() -> None:
    found = small().saliency(pixels(), method="grad-cam")
    assert found.path == "4"
    np.testing.assert_array_equal(found.map, small().saliency(pixels(), method="grad-cam", path="4").map)
    picture = np.random.default_rng(0).random((32, 32, 3))
    block = resnet18(size=32, labels=["a", "b"]).init(seed=0).saliency(picture, method="grad-cam")
    assert block.path == "layer4.1.relu2"


@pytest.mark.parametrize(("window", "stride"), [(3, 2), (2, 1), ((1, 4), (3, 3))])
def test_occlusion_is_the_mean_fall_behind_the_windows_over_a_place(window, stride) -> None:
    net, picture = small(), pixels()
    own = float(logits(net, batch(picture))[0, 0])
    tall, wide = (window, window) if isinstance(window, int) else window
    down, right = (stride, stride) if isinstance(stride, int) else stride
    falls, counts = np.zeros((8, 8)), np.zeros((8, 8))
    for top in sorted({*range(0, 9 - tall, down), 8 - tall}):
        for left in sorted({*range(0, 9 - wide, right), 8 - wide}):
            hidden = picture.copy()
            hidden[top : top + tall, left : left + wide] = 0.25
            fall = own - float(logits(net, batch(hidden))[0, 0])
            falls[top : top + tall, left : left + wide] += fall
            counts[top : top + tall, left : left + wide] += 1
    found = net.saliency(picture, "cat", method="occlusion", window=window, stride=stride, baseline=0.25)
    np.testing.assert_allclose(found.map, falls / counts.clip(1), atol=1e-5)


def test_smooth_is_the_mean_gradient_under_noise_that_follows_from_the_seed() -> None:
    net, picture = small(), pixels()
    noise = torch.randn((7, 1, 8, 8), generator=torch.Generator().manual_seed(5)).double()
    spread = 0.2 * float(picture.max() - picture.min())
    expected = slope(net, batch(picture) + spread * noise, 0).mean(0).numpy()
    found = net.saliency(picture, "cat", method="smooth", samples=7, noise=0.2, seed=5)
    np.testing.assert_allclose(found.values, expected, atol=1e-5)
    still = net.saliency(picture, "cat", method="smooth", noise=0.0)
    np.testing.assert_allclose(still.values, net.saliency(picture, "cat").values, atol=1e-6)


# Texts, tables, several ports -----------------------------------------------------------------------


def reader(**how) -> rt.Net:
    words = rt.Words(["good", "bad", "very", "film"])
    chain = rt.Chain(rt.Embedding(5), rt.LSTM(6), rt.Last(), rt.Linear(), rt.Softmax(), input=words, **how)
    return chain.init(seed=1)


def test_a_text_is_explained_token_by_token() -> None:
    net = reader(output=rt.Classes(["no", "yes"]))
    text = "very very good film"
    tail, vectors = net[1:4], net[:1](text)

    def score(v: torch.Tensor) -> torch.Tensor:
        return tail.batch(v, None)[:, 1]

    found = net.saliency(text, "yes", method="occlusion")
    assert found.names == ("very", "very", "good", "film")
    for place in range(4):
        hidden = vectors.clone()
        hidden[place] = 0
        fall = float(score(vectors[None]) - score(hidden[None]))
        assert found.map[place] == pytest.approx(fall, abs=1e-5)
    whole = net.saliency(text, "yes", method="integrated")
    gained = float(score(vectors[None]) - score(torch.zeros_like(vectors)[None]))
    assert whole.map.shape == (4,)
    assert float(whole.map.sum()) == pytest.approx(gained, abs=1e-3)
    slopes = tail.grad(vectors, of=lambda y: y[:, 1].sum())
    np.testing.assert_allclose(net.saliency(text, "yes").map, slopes.norm(dim=1).numpy(), atol=1e-5)


def test_a_table_is_explained_by_its_entries() -> None:
    rows = [{"age": 20, "sex": "f"}, {"age": 40, "sex": "m"}, {"age": 60, "sex": "f"}]
    net = rt.Chain(rt.Linear(1), rt.Sigmoid(), input=rt.Table().fit(rows), output=rt.Boolean()).init(seed=0)
    weight = net.arrays["0.weight"][0].numpy()
    yes = net.saliency(rows[1], True)
    assert yes.names == ("age", "sex=f", "sex=m")
    np.testing.assert_allclose(yes.map, weight)
    np.testing.assert_allclose(net.saliency(rows[1], False).map, -weight)
    assert net.saliency(rows[1]).of is net(rows[1])
    other = net.saliency(rows[1], True, method="integrated", baseline=rows[0])
    x = net.inputs["input"].codec.encode(rows)
    np.testing.assert_allclose(other.map, weight * (x[1] - x[0]).numpy(), atol=1e-5)


def test_several_ports_are_named() -> None:
    a, b = rt.Input(2, name="a"), rt.Input(3, name="b")
    net = rt.Graph({"sum": rt.Linear(1)(a) + rt.Linear(1)(b), "first": rt.Linear(4)(a)}).init(seed=0)
    x = {"a": [1.0, 2.0], "b": [0.0, 1.0, 2.0]}
    found = net.saliency(x, "sum", input="b")
    assert (found.port, found.input, found.map.shape) == ("sum", "b", (3,))
    np.testing.assert_allclose(found.map, net.grad(x, "b", of=lambda y: y["sum"].sum()).numpy(), atol=1e-6)
    assert net.saliency(x, ("first", 2), input="a").of == 2
    with pytest.raises(rt.ArgumentError) as error:
        net.saliency(x, "sum")
    assert str(error.value) == (
        "saliency: the net has 2 inputs, a, b; one of them is looked at.\n  fix   net.saliency(x, input='a')"
    )
    with pytest.raises(rt.ArgumentError) as error:
        net.saliency(x, input="a")
    assert str(error.value) == (
        "saliency: the net has 2 outputs, sum, first; of= says which is meant.\n"
        "  fix   of='sum', or of=('sum', label)"
    )


def test_a_function_of_the_logits_can_be_explained() -> None:
    net, picture = small(), pixels()
    x = batch(picture)
    found = net.saliency(picture, lambda scores: scores[0] - scores[2])
    np.testing.assert_allclose(found.values, (slope(net, x, 0) - slope(net, x, 2))[0].numpy(), atol=1e-6)


def test_the_pixels_of_a_class_are_explained_together() -> None:
    image = rt.Image(6, 6, color="gray")
    mask = rt.Mask(["sky", "tree"], 6, 6)
    net = rt.Chain(rt.Conv2d(2, 3, padding=1), rt.Softmax(axis=0), input=image, output=mask).init(seed=0)
    picture = pixels()[:6, :6]
    x = batch(picture).float().requires_grad_(True)
    scores = F.conv2d(x, net.arrays["0.weight"], net.arrays["0.bias"], padding=1)[0]
    (expected,) = torch.autograd.grad(scores[1][scores.argmax(0) == 1].sum(), x)
    np.testing.assert_allclose(net.saliency(picture, "tree").values, expected[0].numpy(), atol=1e-5)


# What is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (dict(method="gradcam"),
         "saliency: method is one of 'gradient', 'smooth', 'integrated', 'grad-cam', 'occlusion'; got "
         "'gradcam'. Did you mean 'grad-cam'?"),
        (dict(steps=5), "saliency: steps= is for 'integrated', not 'gradient'."),
        (dict(method="smooth", baseline=0),
         "saliency: baseline= is for 'integrated' and 'occlusion', not 'smooth'."),
        (dict(method="integrated", steps=0), "saliency: steps is a whole number from 1; got 0."),
        (dict(method="smooth", noise=-1.0), "saliency: noise is a number from 0; got -1.0."),
        (dict(method="occlusion", window=9),
         "saliency: window is a whole number from 1, at most the input's (8, 8), or one for each "
         "axis; got 9."),
        (dict(of="cow"), "There is no label 'cow'; the labels are 'cat', 'dog', 'owl'. Did you mean 'owl'?"),
        (dict(input="x"), "saliency: there is no input 'x'; the inputs are input."),
        (dict(method="grad-cam", path="5"), "saliency: 5 gives no feature maps, (channels, places)."),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(how, message) -> None:
    with pytest.raises(rt.Error) as error:
        small().saliency(pixels(), **how)
    assert str(error.value) == message


def test_a_batch_is_refused() -> None:
    with pytest.raises(rt.ArgumentError) as error:
        small().saliency([pixels(), pixels()])
    assert str(error.value) == (
        "saliency takes one example; got a batch of 2.\n  fix   [net.saliency(x) for x in xs]"
    )


@pytest.mark.parametrize(
    ("net", "of", "message"),
    [
        (rt.Chain(rt.Linear(3), input=2, output=rt.Vector(3)), None,
         "saliency: the output has 3 numbers; of= says which is meant.\n  fix   of=0"),
        (rt.Chain(rt.Linear(3), input=2), "x",
         "saliency: the output has 3 numbers; of= says which is meant, 0 to 2; got 'x'.\n  fix   of=0"),
        (rt.Chain(rt.Linear(3), input=2), 3, "saliency: of=3, but the output has 3 numbers."),
        (rt.Chain(rt.Linear(6), rt.Reshape(2, 3), input=2), None,
         "saliency: the output has 2 × 3 numbers; of= says which is meant.\n"
         "  fix   of=lambda scores: scores[0, 0]"),
    ],
)  # fmt: skip
def test_a_number_has_to_be_named_where_nothing_is_decided(net: rt.Net, of, message: str) -> None:
    with pytest.raises(rt.Error) as error:
        net.init(seed=0).saliency([1.0, 2.0], of)
    assert str(error.value) == message


def test_it_works_where_derivatives_are_switched_off() -> None:
    net, picture = small(), pixels()
    expected = net.saliency(picture).values
    for mode in (torch.no_grad(), torch.inference_mode()):
        with mode:
            np.testing.assert_array_equal(net.saliency(picture).values, expected)


def test_grad_cam_of_a_sequence_has_a_number_for_each_place() -> None:
    net = rt.Chain(rt.Conv1d(3, 5), rt.ReLU(), rt.GlobalAvgPool(), rt.Linear(2), input=(2, 20)).init(seed=0)
    x = np.random.default_rng(0).normal(size=(2, 20)).astype(np.float32)
    maps = net.at("1")(x)
    weights = net.arrays["3.weight"][0] / 16  # the mean of each map goes into the score
    heat = torch.relu((weights[:, None] * maps).sum(0))[None, None]
    expected = F.interpolate(heat, 20, mode="linear", align_corners=False)[0, 0]
    np.testing.assert_allclose(net.saliency(x, 0, method="grad-cam").map, expected, atol=1e-6)


def test_grad_cam_wants_a_convolution() -> None:
    with pytest.raises(rt.StructureError) as error:
        rt.Linear(2, input=3).init().saliency([1.0, 2.0, 3.0], method="grad-cam")
    assert str(error.value) == (
        "saliency: Grad-CAM looks at the feature maps of a convolution, and there is none.\n"
        "  fix   method='integrated', or path= of a layer with feature maps"
    )


def test_whole_numbers_that_are_not_looked_up_are_refused() -> None:
    net = rt.Chain(rt.Arithmetic("*", 2), input=rt.Characters("ab"))
    with pytest.raises(rt.StructureError) as error:
        net.saliency("ab")
    assert str(error.value) == (
        "saliency: the input 'input' is whole numbers, which have no derivative, and is read by "
        "0 (Arithmetic('*', 2)).\n  fix   a net in which one Embedding or OneHot reads it"
    )


# Pictures -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["gradient", "smooth", "integrated", "grad-cam", "occlusion"])
def test_the_heat_in_the_picture_is_the_map_over_what_the_net_sees(method: str) -> None:
    net, picture = small(color="rgb"), pixels(channels=3)
    found = net.saliency(picture, "dog", method=method)
    ax = matplotlib.figure.Figure().subplots()
    assert found.plot(ax=ax) is ax
    under, heat = ax.images
    np.testing.assert_array_equal(heat.get_array(), found.map)
    gray = found.picture @ (0.299, 0.587, 0.114)
    np.testing.assert_allclose(under.get_array(), 0.3 + 0.4 * gray)
    np.testing.assert_allclose(found.picture, picture, atol=1 / 255)
    low, high = heat.get_clim()
    assert high == np.abs(found.map).max()
    assert low == (-high if (found.map < 0).any() else 0)
    assert ax.get_title(loc="left") == found.title


def test_of_many_pixels_the_strongest_are_clipped_and_counted() -> None:
    net = rt.Chain(rt.Flatten(), rt.Linear(1), input=rt.Image(120, 100, color="gray")).init(seed=0)
    found = net.saliency(np.ones((120, 100), np.float32), method="integrated")
    ax = found.plot(ax=matplotlib.figure.Figure().subplots())
    most = np.percentile(np.abs(found.map), 99.5)
    assert ax.images[1].get_clim() == pytest.approx((-most, most))
    assert ax.get_title(loc="left").splitlines()[1] == f"60 of 12,000 places clipped at {most:.3g}"


def test_without_axes_a_figure_comes_back_and_is_saved(tmp_path) -> None:
    found = small().saliency(pixels())
    drawn = found.plot(tmp_path / "heat.png")
    assert isinstance(drawn, matplotlib.figure.Figure)
    assert (tmp_path / "heat.png").stat().st_size > 1000
    assert set(found._repr_mimebundle_()[0]) == {"text/plain", "image/svg+xml"}


def test_the_bars_of_a_table_are_the_numbers() -> None:
    rows = [{"age": 20, "sex": "f"}, {"age": 40, "sex": "m"}]
    net = rt.Chain(rt.Linear(1), input=rt.Table().fit(rows)).init(seed=0)
    found = net.saliency(rows[0])
    ax = found.plot(ax=matplotlib.figure.Figure().subplots())
    np.testing.assert_allclose([bar.get_width() for bar in ax.patches], found.map)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == [*found.names]


def test_of_many_numbers_the_strongest_have_bars_and_the_rest_is_counted() -> None:
    names = [f"c{number:03}" for number in range(100)]
    rows = [dict.fromkeys(names, 0.0), dict.fromkeys(names, 1.0)]
    net = rt.Chain(rt.Linear(1), input=rt.Table().fit(rows)).init(seed=0)
    found = net.saliency(rows[1])
    ax = found.plot(ax=matplotlib.figure.Figure().subplots())
    strongest = sorted(np.argsort(-np.abs(found.map))[:40])
    np.testing.assert_allclose([bar.get_width() for bar in ax.patches], found.map[strongest])
    assert ax.get_xlabel() == "derivative of the score; +60 weaker ones"


def test_a_text_is_written_with_each_token_on_its_colour() -> None:
    net = reader(output=rt.Classes(["no", "yes"]))
    found = net.saliency(" ".join(["very"] * 30 + ["bad"]), "yes", method="integrated")
    ax = found.plot(ax=matplotlib.figure.Figure().subplots())
    assert [text.get_text() for text in ax.texts] == [*found.names]
    strength = np.array([patch.get_facecolor()[3] for patch in ax.patches])
    expected = np.abs(found.map) / np.abs(found.map).max()
    np.testing.assert_allclose(strength, expected, atol=0.01)
    assert len(ax.lines) == (found.map < 0).sum()  # a dotted line says minus besides the colour
