"""What the introductions to neural networks say, as Retia does it: their nets, shapes and numbers."""

import math

import numpy as np
import pytest
import torch

import retia as rt
from retia.training.prepare import batches, prepare


def test_the_tensors_of_rank_0_to_n():
    for value, rank in ((0.0, 0), ([0.0, 1.0], 1), ([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]], 2)):
        shape = np.shape(value)
        assert len(shape) == rank
        assert np.allclose(rt.Arithmetic("*", 2, input=shape)(value).numpy(), 2 * np.array(value))


def test_an_image_of_64_by_64_gray_pixels_goes_to_numbers_and_back():
    codec = rt.Image(64, 64, color="gray")
    picture = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    encoded = codec.encode(picture)
    assert encoded.shape == (1, 64, 64)
    decoded = rt.Image(color="gray").decode(encoded)
    assert np.array_equal(np.asarray(decoded), picture)


def test_a_linear_layer_is_weight_times_data_plus_bias():
    data = torch.tensor([2.0, 10.0, 3.0])
    layer = rt.Linear(2, input=3).init()
    assert torch.allclose(layer(data), layer.arrays["weight"] @ data + layer.arrays["bias"])


def test_the_chain_with_three_vectors_between_takes_2_and_gives_3():
    net = rt.Chain(
        rt.Linear(30), rt.Tanh(), rt.Linear(3), rt.Tanh(), rt.Linear(3), rt.Sigmoid(), input=2
    ).init()
    answer = net([0.5, -1.0])
    assert answer.shape == (3,)
    assert bool(((answer > 0) & (answer < 1)).all())


def test_the_graph_of_ramp_and_tanh_multiplied_and_added():
    net = rt.Graph(
        dict(relu=rt.ReLU(), tanh=rt.Tanh(), times=rt.Times(), plus=rt.Plus()),
        "relu -> tanh -> times", "relu -> times -> plus", "tanh -> plus",
    )  # fmt: skip
    x = torch.tensor([-1.0, 0.5, 2.0])
    ramp = x.clamp(min=0)
    assert torch.allclose(net.one(x), ramp * ramp.tanh() + ramp.tanh())


@pytest.mark.parametrize(("sizes", "count"), [((784, 15, 10), 11_935), ((784, 10), 7_850)])
def test_the_numbers_of_parameters(sizes, count):
    layers = [layer for size in sizes[1:] for layer in (rt.Linear(size), rt.Sigmoid())]
    assert rt.Chain(rt.Flatten(), *layers, input=(28, 28)).count == count


def test_one_layer_on_100_pictures_is_softmax_of_x_w_plus_b():
    net = rt.Chain(rt.Flatten(), rt.Linear(10), rt.Softmax(), input=(28, 28)).init()
    pictures = np.random.default_rng(0).random((100, 28, 28))
    x, w = pictures.reshape(100, 784), net.arrays["1.weight"].numpy().T
    scores = np.exp(x @ w + net.arrays["1.bias"].numpy())
    assert np.allclose(net(pictures).numpy(), scores / scores.sum(1, keepdims=True), atol=1e-5)


def test_the_sigmoid_is_a_half_at_zero_and_its_derivative_is_itself_times_the_rest():
    sigmoid = rt.Sigmoid(input=())
    assert sigmoid(0.0).item() == 0.5
    for x in (-3.0, -0.5, 0.0, 1.0, 4.0):
        y = sigmoid(x).item()
        assert y == pytest.approx(1 / (1 + math.exp(-x)), rel=1e-6)
        assert sigmoid.grad(x).item() == pytest.approx(y * (1 - y), rel=1e-5)


def test_a_batch_of_100_colour_pictures_is_one_tensor():
    pictures = np.zeros((100, 192, 192, 3), np.uint8)
    assert rt.Image(192, 192).encode(pictures).shape == (100, 3, 192, 192)
    assert rt.Image(28, 28, color="gray").encode(np.zeros((100, 28, 28), np.uint8)).shape == (100, 1, 28, 28)


def test_twenty_digits_give_20_by_10_probabilities_whose_largest_are_the_answers():
    net = rt.Chain(
        rt.Flatten(), rt.Linear(10), rt.Softmax(),
        input=rt.Image(28, 28, color="gray"), output=rt.Classes(range(10)),
    ).init()  # fmt: skip
    digits = np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8)
    probabilities = net(digits, None)
    assert probabilities.shape == (20, 10)
    assert torch.allclose(probabilities.sum(1), torch.ones(20))
    assert net(digits) == probabilities.argmax(1).tolist()


@pytest.mark.parametrize("optimizer", [rt.SGD(0.01), rt.SGD(0.01, momentum=0.9), rt.Adam(0.01)])
def test_the_loop_written_out_ends_with_the_bits_of_train(optimizer):
    """For each epoch, for each batch: output, loss, gradients, step; then the accuracy is stored."""
    generator = np.random.default_rng(0)
    digits = generator.integers(0, 256, (200, 28, 28), dtype=np.uint8)
    labels = digits[:, :2].reshape(200, 56)[:, :10].argmax(1)
    codecs = {"input": rt.Image(28, 28, color="gray"), "output": rt.Classes(range(10))}
    net = rt.Chain(rt.Flatten(), rt.Linear(10), rt.Softmax(), **codecs).init(seed=0)
    how = {"epochs": 10, "batch_size": 64, "seed": 3, "validation": 0}
    run = rt.train(net, (digits, labels), optimizer=optimizer, engine="walk", progress=False, **how)
    orders = prepare(net, (digits, labels), 0, None, 3, torch.device("cpu"))

    x, y = codecs["input"].encode(digits), codecs["output"].encode(labels)
    step = rt.step(net, "cross-entropy", optimizer)
    arrays, memory = net.arrays, optimizer.start(net.arrays)
    accuracies = []
    for epoch in range(10):
        for rows in batches(orders, 3, epoch + 1, 64):
            loss, gradients = step.gradients(arrays, x[rows], y[rows])
            arrays, memory = optimizer.step(arrays, gradients, memory)
        accuracies.append(float((net.with_arrays(arrays)(x, None).argmax(1) == y).double().mean()))
    trained = net.with_arrays(arrays)

    assert trained == run.net
    for path, array in run.net.arrays.items():
        assert torch.equal(trained.arrays[path], array), path
    assert trained(digits) == run.net(digits)
    assert memory.count == 40
    assert accuracies[-1] == rt.measure(run.net, rt.data((digits, labels))).accuracy
    assert accuracies[-1] > accuracies[0]


def test_the_loop_written_out_is_that_of_pytorch():
    """The same lines with modules: model, loss_fn, zero_grad, backward, step."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(100, 784, generator=generator), torch.randint(0, 10, (100,), generator=generator)
    net = rt.Chain(rt.Linear(10), rt.Softmax(), input=784).init(seed=0)
    step, ours = rt.step(net, "cross-entropy"), rt.SGD(0.01)
    arrays, memory = net.arrays, ours.start(net.arrays)
    model = torch.nn.Sequential(torch.nn.Linear(784, 10))
    model.load_state_dict(dict(net.arrays))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for rows in torch.arange(100).split(20):
        _, gradients = step.gradients(arrays, x[rows], y[rows])
        arrays, memory = ours.step(arrays, gradients, memory)
        loss = torch.nn.functional.cross_entropy(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for path, parameter in model.named_parameters():
        assert torch.equal(arrays[path], parameter), path
