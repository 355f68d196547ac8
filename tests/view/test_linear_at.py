"""The affine map that a net is at an input: against products of masked matrices, and against the net."""

from __future__ import annotations

import matplotlib.figure
import numpy as np
import pytest
import torch

import retia as rt
from retia.zoo.resnet import resnet18


def moved(net: rt.Net, seed: int = 0) -> rt.Net:
    """Biases and running statistics that are not where they start."""
    draws = torch.Generator().manual_seed(seed)
    changed = {}
    for path, tensor in net.arrays.items():
        if path.endswith(("bias", "running_mean")):
            changed[path] = 0.3 * torch.randn(tensor.shape, generator=draws)
        if path.endswith("running_var"):
            changed[path] = 0.5 + torch.rand(tensor.shape, generator=draws)
    return net.with_arrays(changed)


def dense(*sizes: int, seed: int = 0) -> rt.Net:
    layers = [layer for size in sizes[1:-1] for layer in (rt.Linear(size), rt.ReLU())]
    return moved(rt.Chain(*layers, rt.Linear(sizes[-1]), input=sizes[0]).init(seed=seed), seed)


@pytest.mark.parametrize("seed", range(5))
def test_the_map_of_a_dense_net_is_the_product_of_its_masked_matrices(seed: int) -> None:
    net = dense(6, 12, 9, 4, seed=seed)
    a = {path: tensor.double().numpy() for path, tensor in net.arrays.items()}
    x = np.random.default_rng(seed).normal(size=6).astype(np.float32)
    first = a["0.weight"] @ x + a["0.bias"] > 0
    second = a["2.weight"] @ np.maximum(a["0.weight"] @ x + a["0.bias"], 0) + a["2.bias"] > 0
    lower = np.diag(second * 1.0) @ a["2.weight"]
    weight = a["4.weight"] @ lower @ np.diag(first * 1.0) @ a["0.weight"]
    bias = a["4.weight"] @ (lower @ np.diag(first * 1.0) @ a["0.bias"] + second * a["2.bias"]) + a["4.bias"]
    m = net.linear_at(x)
    np.testing.assert_allclose(m.weight, weight, atol=1e-12)
    np.testing.assert_allclose(m.bias, bias, atol=1e-12)
    np.testing.assert_array_equal(m.on["1"], first)
    np.testing.assert_array_equal(m.on["3"], second)
    assert np.abs(m.weight @ m.input.ravel() + m.bias - net(x).numpy()).max() < 1e-5
    np.testing.assert_allclose(m.norms, [np.sqrt((row**2).sum()) for row in weight])
    angles = [np.degrees(np.arccos(row @ x / np.sqrt((row @ row) * (x @ x)))) for row in weight]
    np.testing.assert_allclose(m.angles, angles, atol=1e-4)


STRAIGHT = [
    rt.Chain(rt.Conv2d(4, 3), rt.ReLU(), rt.MaxPool2d(2), rt.Conv2d(5, 2, padding=1), rt.LeakyReLU(0.2),
             rt.AvgPool2d(2), rt.Flatten(), rt.Dropout(0.5), rt.Linear(3), input=(2, 9, 9)),
    rt.Chain(rt.Conv2d(4, 3), rt.BatchNorm(), rt.ReLU6(), rt.GlobalAvgPool(), rt.Linear(3), input=(2, 6, 6)),
    rt.Chain(rt.Linear(8), rt.PReLU(), rt.Linear(8), rt.HardTanh(), rt.Linear(4), rt.HardSigmoid(), input=5),
    rt.Graph(lambda x: rt.Linear(5)(rt.ReLU()(rt.Linear(5)(x))) + x, input=5),
    rt.Graph(lambda x: abs(rt.Linear(4)(x)) * 2 - 1, input=5),
    rt.Chain(rt.ConvTranspose2d(3, 2), rt.GlobalMaxPool(), input=(2, 4, 4)),
    rt.Chain(rt.Upsample(2), rt.Conv2d(2, 3), rt.Reduce("max", 0), rt.Flatten(), input=(2, 4, 4)),
    rt.Chain(rt.ColorJitter(), rt.RandomFlip(), rt.Pad(1), rt.Conv2d(2, 3), rt.GlobalAvgPool(),
             input=(3, 4, 4)),
    rt.Graph(lambda x: rt.Linear(3)(x) * rt.Parameter(3) / 2, input=5),
    rt.Graph(lambda x: rt.Maximum()(rt.Linear(3)(x), rt.Linear(3)(x)), input=5),
    rt.Chain(rt.Map(rt.Chain(rt.Linear(4), rt.ReLU())), rt.Reduce("sum", 0), input=(3, 5)),
]  # fmt: skip


@pytest.mark.parametrize("net", STRAIGHT, ids=range(len(STRAIGHT)))
def test_the_map_is_the_net_and_stays_it_near_by(net: rt.Net) -> None:
    net = moved(net.init(seed=1))
    rng = np.random.default_rng(0)
    x = rng.normal(size=net.inputs["input"].shape)
    m = net.linear_at(x)
    answer = net(x, None).double().numpy().ravel()
    assert np.abs(m.weight @ m.input.ravel() + m.bias - answer).max() < 1e-5
    np.testing.assert_allclose(m.output, answer, atol=1e-5)
    step = 1e-4 * rng.normal(size=x.shape)
    beside = net(x + step, None).double().numpy().ravel()
    assert np.abs(m.weight @ (x + step).ravel() + m.bias - beside).max() < 1e-5


def test_a_deep_net_with_additions_is_one_map() -> None:
    net = resnet18(size=32, labels=range(4)).init(seed=0)
    picture = np.random.default_rng(0).random((32, 32, 3))
    m = net.linear_at(picture)
    answer = net(picture, "logits").double().numpy()
    assert m.ending == "softmax"
    assert m.weight.shape == (4, 3 * 32 * 32)
    assert np.abs(m.weight @ m.input.ravel() + m.bias - answer).max() < 1e-5 * max(1, np.abs(answer).max())
    assert set(m.on) == {node.path for node in net.wiring.nodes if isinstance(node.layer, rt.ReLU)}


def test_before_a_softmax_it_is_the_map_of_the_logits_by_label() -> None:
    net = rt.Chain(rt.Linear(), rt.Softmax(), input=3, output=rt.Classes(["a", "b", "c"])).init(seed=0)
    x = [1.0, -2.0, 0.5]
    m = net.linear_at(x, ["c", "a"])
    assert m.labels == ("c", "a")
    np.testing.assert_allclose(m.weight, net.arrays["0.weight"].numpy()[[2, 0]], rtol=1e-6)
    np.testing.assert_allclose(m.output, net(x, "logits").numpy()[[2, 0]], atol=1e-6)
    assert net.linear_at(x, "b").weight.shape == (1, 3)


def test_units_just_at_a_bend_are_counted() -> None:
    m = rt.Chain(rt.ReLU(), input=3).linear_at([0.0, 1.0, -1.0])
    assert m.borders == 1
    assert m.on["0"].tolist() == [False, True, False]


def test_what_is_not_straight_is_named_with_what_stands_before_it() -> None:
    net = rt.Chain(rt.Linear(3), rt.GELU(), rt.Linear(2), input=4).init(seed=0)
    x = np.ones(4)
    with pytest.raises(rt.StructureError) as error:
        net.linear_at(x)
    assert str(error.value) == (
        "linear_at: 1 (GELU()) is not made of straight pieces, so no one map is the net there.\n"
        "  fix   net.at('0').linear_at(x), the map of what stands before it"
    )
    assert error.value.path == "1"
    np.testing.assert_allclose(net.at("0").linear_at(x).weight, net.arrays["0.weight"].numpy())


@pytest.mark.parametrize(
    "net",
    [
        rt.Graph(lambda x: rt.Linear(2)(x) * rt.Linear(2)(x), input=3),
        rt.Graph(lambda x: 1 / rt.Linear(2)(x), input=3),
        rt.Chain(rt.LayerNorm(), input=3),
        rt.Chain(rt.Softmax(), rt.Linear(2), input=3),
        rt.Chain(rt.StopGradient(), input=3),
    ],
    ids=["product", "quotient", "norm", "softmax", "stopped"],
)
def test_products_quotients_and_curves_are_refused(net: rt.Net) -> None:
    with pytest.raises(rt.StructureError, match="is not made of straight pieces"):
        net.init(seed=0).linear_at(np.ones(3))


def test_a_map_that_would_fill_the_memory_is_refused() -> None:
    net = rt.Chain(rt.Upsample(8), input=(1, 64, 64)).init()
    with pytest.raises(rt.ArgumentError) as error:
        net.linear_at(np.ones((1, 64, 64)))
    assert str(error.value) == (
        "linear_at: a map of 262,144 outputs and 4,096 inputs is too large.\n"
        "  fix   net.linear_at(x, of=[0]), for some of the outputs"
    )


def test_the_picture_has_the_rows() -> None:
    net = rt.Chain(
        rt.Flatten(), rt.Linear(7), rt.ReLU(), rt.Linear(),
        input=rt.Image(5, 5, color="gray"), output=rt.Classes(["a", "b", "c"]),
    ).init(seed=0)  # fmt: skip
    m = net.linear_at(np.random.default_rng(0).random((5, 5)))
    ax = m.plot(ax=matplotlib.figure.Figure().subplots())
    cells = ax.images[-1].get_array()
    for number, row in enumerate(m.weight):
        down, across = divmod(number, 2)
        tile = cells[down * 6 : down * 6 + 5, across * 6 : across * 6 + 5]
        np.testing.assert_allclose(tile, row.reshape(5, 5))
    names = [f"{label}: {angle:.0f}°" for label, angle in zip("abc", m.angles, strict=True)]
    assert [text.get_text() for text in ax.texts] == names
