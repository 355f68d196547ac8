"""The whole public face in a few seconds: from an expression to a trained net in a file and back."""

from pathlib import Path

import numpy as np
import pytest
import torch

import retia as rt


def digits(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures whose label can be seen: the row that is lit."""
    labels = np.arange(count) % 4
    pictures = np.random.default_rng(0).random((count, 4, 4)) * 0.2
    pictures[np.arange(count), labels] += 0.8
    return pictures, labels


def test_a_net_is_written_trained_measured_saved_loaded_and_called(tmp_path: Path) -> None:
    net = rt.Chain(
        rt.Flatten(), rt.Linear(16), rt.ReLU(), rt.Linear(), rt.Softmax(),
        input=rt.Image(4, 4, color="gray"), output=rt.Classes(range(4)),
    )  # fmt: skip
    assert net.count == 16 * 17 + 4 * 17
    pictures, labels = digits(200)

    run = rt.train(net, (pictures, labels), epochs=10, batch_size=20, optimizer=rt.Adam(0.01), seed=0)
    assert [line["epoch"] for line in run.history] == list(range(1, 11))
    assert run.history[-1]["loss"] < run.history[0]["loss"]
    assert rt.measure(run.net, rt.data((pictures, labels))).accuracy > 0.95

    assert run.net(pictures[3]) == 3
    assert run.net(pictures[:4]) == [0, 1, 2, 3]
    best = run.net(pictures[2], top=2)
    assert list(best)[0] == 2
    assert run.net(pictures[:4], None).shape == (4, 4)
    assert run.net.at("1")(pictures[0]).shape == (16,)

    run.net.save(tmp_path / "net.safetensors")
    loaded = rt.load(tmp_path / "net.safetensors")
    assert loaded == run.net
    assert loaded(pictures[:4]) == [0, 1, 2, 3]
    run.plot(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000


def test_nets_are_values_that_are_sliced_joined_and_compared() -> None:
    net = rt.Chain(rt.Linear(30), rt.Tanh(), rt.Linear(3), input=2)
    assert eval(repr(net), vars(rt)) == net
    assert net[:-1] != net
    assert rt.Chain(*net[:2], head=rt.Linear(5), input=2).outputs["output"].shape == (5,)
    with pytest.raises(rt.ShapeError, match="takes"):
        rt.Chain(net, rt.Linear(3, input=4))


def test_the_two_notations_of_a_graph_compute_the_same() -> None:
    x = rt.Input(5)
    a = rt.ReLU()(x)
    b = rt.Tanh()(a)
    wires = rt.Graph(a * b + b)
    nodes = rt.Graph(
        dict(relu=rt.ReLU(), tanh=rt.Tanh(), times=rt.Times(), plus=rt.Plus()),
        "relu -> tanh -> times", "relu -> times -> plus", "tanh -> plus",
    )  # fmt: skip
    values = np.linspace(-2, 2, 5, dtype=np.float32)
    relu = np.maximum(values, 0)
    expected = relu * np.tanh(relu) + np.tanh(relu)
    assert np.allclose(wires(values), expected, atol=1e-6)
    assert np.allclose(nodes.one(values), expected, atol=1e-6)


def test_a_step_of_ones_own_loop_lowers_the_loss() -> None:
    net = rt.Chain(rt.Linear(1), input=2).init(seed=0)
    step = rt.step(net, "mse", rt.SGD(0.1))
    x = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    state, first = step(step.start(), x, x.sum(1, keepdim=True))
    for _ in range(50):
        state, last = step(state, x, x.sum(1, keepdim=True))
    assert last < first / 10
    assert step.finish(state)(x[2]).shape == (1,)


def test_every_error_is_of_one_family_and_says_the_cure() -> None:
    with pytest.raises(rt.Error) as caught:
        rt.Linear(784, 10)
    assert isinstance(caught.value, rt.ArgumentError)
    assert "Linear(10)" in str(caught.value)
