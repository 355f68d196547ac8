"""The public step against hand-written PyTorch: the same arrays after 20 steps."""

import pytest
import torch

import retia as rt
from retia.engine.walk import Run, walk


def batches(number=20, size=16, classes=5):
    generator = torch.Generator().manual_seed(1)
    for _ in range(number):
        x = torch.randn(size, 8, generator=generator)
        yield x, torch.randint(0, classes, (size,), generator=generator)


def digits():
    return rt.Chain(rt.Linear(20), rt.ReLU(), rt.Linear(5), rt.Softmax(), input=8).init(seed=3)


def reference(net):
    module = torch.nn.Sequential(torch.nn.Linear(8, 20), torch.nn.ReLU(), torch.nn.Linear(20, 5))
    module.load_state_dict(dict(net.arrays))
    return module


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (rt.SGD(0.1), lambda p: torch.optim.SGD(p, 0.1)),
        (
            rt.SGD(0.1, momentum=0.9, nesterov=True),
            lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
        ),
        (rt.Adam(0.01), lambda p: torch.optim.Adam(p, 0.01)),
        (rt.AdamW(0.01), lambda p: torch.optim.AdamW(p, 0.01)),
        (rt.RMSprop(0.01), lambda p: torch.optim.RMSprop(p, 0.01)),
        (rt.Adagrad(0.01), lambda p: torch.optim.Adagrad(p, 0.01)),
    ],
)
def test_20_steps_are_those_of_a_hand_written_loop(ours, theirs):
    net = digits()
    module = reference(net)
    optimizer = theirs(module.parameters())
    step = rt.step(net, "cross-entropy", ours)
    state = step.start()
    for x, y in batches():
        state, loss = step(state, x, y)
        expected = torch.nn.functional.cross_entropy(module(x), y)
        optimizer.zero_grad()
        expected.backward()
        optimizer.step()
        assert torch.allclose(loss, expected, rtol=1e-6)
    for path, parameter in module.named_parameters():
        assert torch.allclose(state.arrays[path], parameter, rtol=1e-6, atol=1e-7)
    if type(ours) is rt.SGD:
        assert all(torch.equal(state.arrays[path], p) for path, p in module.named_parameters())


def test_gradients_are_pytorchs():
    net = digits()
    module = reference(net)
    x, y = next(batches())
    loss, gradients = rt.step(net, "cross-entropy").gradients(net.arrays, x, y)
    expected = torch.nn.functional.cross_entropy(module(x), y)
    expected.backward()
    assert torch.allclose(loss, expected)
    assert {*gradients} == {*net.learned()}
    for path, parameter in module.named_parameters():
        assert torch.allclose(gradients[path], parameter.grad, atol=1e-7)


def test_a_step_leaves_net_and_state_as_they_were():
    net = digits()
    before = net.hash
    step = rt.step(net, optimizer=rt.SGD(1.0, momentum=0.9))
    first = step.start()
    arrays = {path: tensor.clone() for path, tensor in first.arrays.items()}
    x, y = next(batches())
    once, _ = step(first, x, y)
    twice, _ = step(first, x, y)
    assert first.count == 0
    assert once.count == 1
    assert all(torch.equal(first.arrays[p], arrays[p]) for p in arrays)
    assert all(torch.equal(once.arrays[p], twice.arrays[p]) for p in arrays)
    assert not torch.equal(once.arrays["0.weight"], arrays["0.weight"])
    assert net.hash == before


def test_finish_gives_the_net_with_the_arrays():
    step = rt.step(digits(), optimizer="sgd")
    state = step.start()
    x, y = next(batches())
    state, _ = step(state, x, y)
    net = step.finish(state)
    assert torch.equal(net.arrays["0.weight"], state.arrays["0.weight"])
    assert net.expression_hash == step.net.expression_hash


def test_dropout_is_a_function_of_seed_step_and_row():
    net = rt.Chain(rt.Dropout(0.5), rt.Linear(1), input=8).init()
    x, y = torch.ones(6, 8), torch.zeros(6, 1)

    def gradient(seed=0, rows=None, count=0):
        step = rt.step(net, "mse", seed=seed)
        state = step.start()
        state.count = count
        return step.gradients(state, x, y, rows=rows)[1]["1.weight"]

    assert torch.equal(gradient(), gradient())
    assert not torch.equal(gradient(), gradient(seed=1))
    assert not torch.equal(gradient(), gradient(count=1))
    assert torch.equal(gradient(), gradient(rows=torch.arange(6)))
    assert not torch.equal(gradient(), gradient(rows=torch.arange(6, 12)))


def test_running_statistics_move_with_the_step():
    net = rt.Chain(rt.BatchNorm(), rt.Linear(1), input=8).init()
    module = torch.nn.BatchNorm1d(8)
    x, y = next(batches())
    step = rt.step(net, "mse")
    state, _ = step(step.start(), x, y.float().unsqueeze(1))
    module(x)
    assert torch.allclose(state.arrays["0.running_mean"], module.running_mean, atol=1e-6)
    assert torch.allclose(state.arrays["0.running_var"], module.running_var, atol=1e-6)
    assert torch.equal(net.arrays["0.running_mean"], torch.zeros(8))


def test_arrays_that_are_not_reached_have_a_gradient_of_zero():
    x = rt.Input(2)
    net = rt.Graph({"a": rt.Linear(1)(x), "b": rt.Linear(1)(x)}).init()
    _, gradients = rt.step(net, {"a": "mse"}).gradients(net.arrays, torch.ones(3, 2), torch.zeros(3, 1))
    unreached = [path for path, g in gradients.items() if not g.any()]
    assert len(gradients) == 4
    assert len(unreached) == 2


def test_padded_examples_pull_as_they_do_alone():
    net = rt.Chain(rt.Linear(3), rt.Softmax(), input=("n", 2)).init()
    step = rt.step(net, "cross-entropy")
    generator = torch.Generator().manual_seed(0)
    long, short = torch.randn(1, 5, 2, generator=generator), torch.randn(1, 2, 2, generator=generator)
    y = torch.randint(0, 3, (2, 5), generator=generator)
    x = torch.cat([long, torch.nn.functional.pad(short, (0, 0, 0, 3))])
    _, together = step.gradients(net.arrays, x, y, lengths={"n": torch.tensor([5, 2])})
    _, first = step.gradients(net.arrays, long, y[:1], lengths={"n": torch.tensor([5])})
    _, second = step.gradients(net.arrays, short, y[1:, :2], lengths={"n": torch.tensor([2])})
    for path, gradient in together.items():
        assert torch.allclose(gradient, (5 * first[path] + 2 * second[path]) / 7, atol=1e-6)
    outputs = walk(net, {"input": x}, net.arrays, Run(lengths={"n": torch.tensor([5, 2])}))
    assert outputs["output"].shape == (2, 5, 3)


def test_a_net_without_arrays_is_refused():
    with pytest.raises(rt.ArraysError, match="no arrays yet"):
        rt.step(rt.Linear(1, input=2))


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda s, x, y: s(s.start(), {"x": x}, y), rt.ArgumentError, "inputs are for input; got x"),
        (lambda s, x, y: s(s.start(), x, y.unsqueeze(1)), rt.ShapeError, "cross-entropy cannot compare"),
        (lambda s, x, y: s(s.start(), x, y + 5), rt.DataError, "there are 5 classes"),
        (lambda s, x, y: s.start({"0.weight": x}), rt.ArraysError, r"'0\.bias' is missing"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(call, error, said):
    x, y = next(batches())
    with pytest.raises(error, match=said):
        call(rt.step(digits(), "cross-entropy"), x, y)


def test_a_net_that_is_none_is_refused():
    with pytest.raises(rt.ArgumentError, match="the first argument is a net"):
        rt.step("net")
