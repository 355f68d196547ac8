"""Laws that every family of layers is held to, as functions that tests call with nets of their own."""

import json
from collections.abc import Callable, Mapping, Sequence

import pytest
import torch

import retia as rt
from retia.engine.walk import Run, walk
from retia.nets import expression
from retia.shapes import Extent

Lengths = Mapping[str, Sequence[int]]


@pytest.fixture(scope="session")
def keeps_the_batch_law() -> Callable[..., None]:
    """A padded batch gives what its examples give one at a time, in forward and in gradients.

    The padding holds NaN, so that nothing of it can go into a result unseen. (A layer that treats each
    position alone passes it on, and is tried with another number.)
    """

    def check(net: rt.Net, lengths: Lengths, padding: float = torch.nan) -> None:
        net = net.init(seed=1)
        generator = torch.Generator().manual_seed(2)
        shape, shape_out = net.inputs["input"].shape, net.outputs["output"].shape
        number = len(next(iter(lengths.values())))
        own = [{name: each[i] for name, each in lengths.items()} for i in range(number)]
        rows = [torch.randn(_at(shape, sizes), generator=generator, dtype=torch.float64) for sizes in own]
        sizes_out = [_at(shape_out, sizes) for sizes in own]
        weights = [torch.randn(size, generator=generator, dtype=torch.float64) for size in sizes_out]
        together = _run(net, rows, own, sizes_out, weights, padding)
        apart = [_run(net, [rows[i]], [own[i]], [sizes_out[i]], [weights[i]], padding) for i in range(number)]
        for i in range(number):
            _close(together[0][i], apart[i][0][0])
            _close(together[1][i], apart[i][1][0])
        for path in net.arrays:
            _close(together[2][path], sum(each[2][path] for each in apart))

    return check


def _run(net, rows, lengths, sizes_out, weights, padding):
    """Outputs by example, derivatives by example and by array, of a weighted sum of what is real."""
    sizes = [max(row.shape[axis] for row in rows) for axis in range(rows[0].dim())]
    batch = torch.full((len(rows), *sizes), padding, dtype=torch.float64)
    for number, row in enumerate(rows):
        batch[(number, *map(slice, row.shape))] = row
    batch.requires_grad_(True)
    arrays = {path: array.double().requires_grad_(True) for path, array in net.arrays.items()}
    named = {name: torch.tensor([each[name] for each in lengths]) for name in lengths[0]}
    result = walk(net, {"input": batch}, arrays, Run(lengths=named))["output"]
    outputs = [result[(number, *map(slice, size))] for number, size in enumerate(sizes_out)]
    assert [tuple(output.shape) for output in outputs] == sizes_out
    # Beyond the examples too: an infinity times a derivative of 0 would spoil the weights of later layers.
    assert torch.isfinite(result).all()
    total = sum((output * weight).sum() for output, weight in zip(outputs, weights, strict=True))
    by_input, *by_array = torch.autograd.grad(total, [batch, *arrays.values()])
    by_row = [by_input[(number, *map(slice, row.shape))] for number, row in enumerate(rows)]
    return outputs, by_row, dict(zip(arrays, by_array, strict=True))


def _at(shape, sizes):
    return tuple(size.evaluate(sizes) if isinstance(size, Extent) else size for size in shape)


def _close(got: torch.Tensor, expected: torch.Tensor) -> None:
    got, expected = got.detach(), expected.detach()
    assert got.shape == expected.shape
    assert torch.isfinite(got).all()
    assert (got - expected).norm() <= 1e-9 * max(1.0, float(expected.norm()))


@pytest.fixture(scope="session")
def comes_back() -> Callable[[rt.Net], None]:
    """A net is what its repr pastes back to and what its JSON rebuilds."""

    def check(net: rt.Net) -> None:
        pasted = eval(repr(net), vars(rt).copy())
        assert pasted == net
        assert repr(pasted) == repr(net)
        assert expression.from_json(json.loads(json.dumps(expression.to_json(net)))) == net

    return check


@pytest.fixture(scope="session")
def equals_pytorch() -> Callable[[rt.Net, torch.nn.Module, Sequence[int]], None]:
    """A layer with the arrays of PyTorch's own gives its values and its gradients."""

    def check(net: rt.Net, theirs: torch.nn.Module, shape: Sequence[int]) -> None:
        theirs = theirs.double()
        x = torch.randn((2, *shape), dtype=torch.float64, generator=torch.Generator().manual_seed(3))
        x.requires_grad_(True)
        arrays = dict(theirs.named_parameters())
        assert net.array_shapes() == {path: tuple(array.shape) for path, array in arrays.items()}
        got = walk(net, {"input": x}, arrays)["output"]
        expected = theirs(x)
        assert tuple(got.shape[1:]) == net.outputs["output"].shape
        _close(got, expected)
        weight = torch.randn(expected.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
        leaves = [x, *arrays.values()]
        ours = torch.autograd.grad((got * weight).sum(), leaves)
        for mine, other in zip(ours, torch.autograd.grad((expected * weight).sum(), leaves), strict=True):
            _close(mine, other)

    return check
