"""Normalization, against PyTorch's layers: values, derivatives, running statistics, and padding."""

import pytest
import torch
from torch import nn

import retia as rt
from retia.engine.walk import Run, walk
from retia.layers.normalization import by_groups
from retia.nets.settings import make


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def shaped(layer, shape):
    return make(type(layer), {**layer.settings(), "input": shape})


PAIRS = [
    (rt.LayerNorm(), nn.LayerNorm(3), (4, 3)),
    (rt.LayerNorm(), nn.LayerNorm(3), (3,)),
    (rt.LayerNorm(axes=2, eps=0.1), nn.LayerNorm((4, 3), eps=0.1), (2, 4, 3)),
    (rt.LayerNorm(affine=False), nn.LayerNorm(3, elementwise_affine=False), (4, 3)),
    (rt.LayerNorm(bias=False), nn.LayerNorm(3, bias=False), (4, 3)),
    (rt.RMSNorm(), nn.RMSNorm(3), (4, 3)),
    (rt.RMSNorm(axes=2, eps=0.1), nn.RMSNorm((4, 3), eps=0.1), (2, 4, 3)),
    (rt.RMSNorm(affine=False), nn.RMSNorm(3, elementwise_affine=False), (3,)),
    (rt.GroupNorm(2), nn.GroupNorm(2, 6), (6, 3)),
    (rt.GroupNorm(3, eps=0.1), nn.GroupNorm(3, 6, eps=0.1), (6, 3, 2)),
    (rt.GroupNorm(2, affine=False), nn.GroupNorm(2, 6, affine=False), (6,)),
    (rt.InstanceNorm(), nn.InstanceNorm1d(4), (4, 3)),
    (rt.InstanceNorm(affine=True), nn.InstanceNorm2d(4, affine=True), (4, 3, 2)),
    (rt.InstanceNorm(eps=0.1), nn.InstanceNorm3d(4, eps=0.1), (4, 2, 3, 2)),
    (rt.LocalResponseNorm(3), nn.LocalResponseNorm(3), (5, 3)),
    (
        rt.LocalResponseNorm(2, alpha=0.5, beta=0.6, k=2.0),
        nn.LocalResponseNorm(2, alpha=0.5, beta=0.6, k=2.0),
        (5, 3, 2),
    ),
]


@pytest.mark.parametrize(
    ("layer", "theirs", "shape"), PAIRS, ids=[f"{pair[0]!r} {pair[2]}" for pair in PAIRS]
)
def test_values_and_derivatives_are_those_of_pytorch(equals_pytorch, layer, theirs, shape):
    equals_pytorch(shaped(layer, shape), theirs, shape)


def test_response_normalization_takes_vectors_too():
    x = drawn(2, 5)
    ours = walk(rt.LocalResponseNorm(3, input=5), {"input": x}, {})["output"]
    assert torch.allclose(ours, nn.LocalResponseNorm(3)(x.unsqueeze(2)).squeeze(2))


# Batch normalization ------------------------------------------------------------------------------

KINDS = [
    ((4,), nn.BatchNorm1d),
    ((4, 5), nn.BatchNorm1d),
    ((4, 3, 2), nn.BatchNorm2d),
    ((4, 2, 2, 3), nn.BatchNorm3d),
]


@pytest.mark.parametrize("how", [{}, {"eps": 0.1, "momentum": 0.3}, {"affine": False}], ids=str)
@pytest.mark.parametrize(("shape", "kind"), KINDS, ids=str)
def test_batch_norm_trains_and_infers_as_pytorchs(shape, kind, how):
    theirs = kind(4, **how).double()
    net = rt.BatchNorm(**how, input=shape)
    state = {path: array.detach().clone() for path, array in theirs.state_dict().items()}
    assert net.array_shapes() == {path: tuple(array.shape) for path, array in state.items()}
    assert {path: array.dtype for path, array in net.init().arrays.items()} == {
        path: torch.float32 if array.is_floating_point() else torch.int64 for path, array in state.items()
    }
    for step in range(3):
        x = 3 * drawn(5, *shape, seed=step) + 1
        run = Run(training=True)
        leaves = [x.requires_grad_(True), *(state[path].requires_grad_(True) for path in net.learned())]
        ours = walk(net, {"input": x}, state, run)["output"]
        expected = theirs(x)
        assert torch.allclose(ours, expected)
        weight = drawn(*expected.shape, seed=9)
        mine = torch.autograd.grad((ours * weight).sum(), leaves)
        other = torch.autograd.grad((expected * weight).sum(), [x, *theirs.parameters()])
        assert all(torch.allclose(a, b) for a, b in zip(mine, other, strict=True))
        state |= run.updates
        for path, array in theirs.state_dict().items():
            assert torch.allclose(state[path], array), path
            assert state[path].dtype == array.dtype
    x = drawn(2, *shape, seed=7)
    assert torch.allclose(walk(net, {"input": x}, state)["output"], theirs.eval()(x))


def test_updates_leave_the_arrays_of_the_net_as_they_are():
    net = rt.BatchNorm(input=3).init()
    run = Run(training=True)
    walk(net, {"input": torch.randn(4, 3)}, net.arrays.check(), run)
    assert set(run.updates) == {"running_mean", "running_var", "num_batches_tracked"}
    assert net == rt.BatchNorm(input=3).init()


def test_training_with_padding_takes_the_statistics_of_what_is_real():
    lengths = [2, 5, 1]
    rows = [3 * drawn(4, n, seed=n) + 1 for n in lengths]
    padded = torch.full((3, 4, 5), 100.0, dtype=torch.float64)
    for number, row in enumerate(rows):
        padded[number, :, : row.shape[1]] = row
    net = rt.BatchNorm(input=(4, "n"))
    arrays = {path: a.double() if a.is_floating_point() else a for path, a in net.init().arrays.items()}
    run = Run(training=True, lengths={"n": torch.tensor(lengths)})
    x = padded.requires_grad_(True)
    ours = walk(net, {"input": x}, arrays, run)["output"]
    theirs = nn.BatchNorm1d(4).double()
    joined = torch.cat(rows, 1).T.requires_grad_(True)
    expected = theirs(joined)
    real = torch.cat([ours[i, :, :n] for i, n in enumerate(lengths)], 1).T
    assert torch.allclose(real, expected)
    for path in run.updates:
        assert torch.allclose(run.updates[path], theirs.state_dict()[path]), path
    weight = drawn(*expected.shape, seed=3)
    (mine,) = torch.autograd.grad((real * weight).sum(), x)
    (other,) = torch.autograd.grad((expected * weight).sum(), joined)
    assert torch.allclose(torch.cat([mine[i, :, :n] for i, n in enumerate(lengths)], 1).T, other)
    assert not mine[0, :, 2:].any()


def test_one_value_a_channel_cannot_be_trained_with():
    net = rt.Chain(rt.Linear(3), norm=rt.BatchNorm(), input=2).init()
    with pytest.raises(rt.TrainingError) as caught:
        walk(net, {"input": torch.ones(1, 2)}, net.arrays.check(), Run(training=True))
    assert str(caught.value).startswith("norm (BatchNorm()): one value for each channel has no variance")
    assert caught.value.path == "norm"
    assert net([1.0, 2.0]).shape == (3,)


def test_batch_norm_in_a_frozen_part_behaves_as_in_inference():
    net = rt.BatchNorm(input=3).init()
    x = torch.randn(4, 3)
    run = Run(training=True, inference=lambda path: True)
    assert torch.equal(walk(net, {"input": x}, net.arrays.check(), run)["output"], net(x))
    assert not run.updates


# Sizes and padding --------------------------------------------------------------------------------

VARYING = [
    (rt.BatchNorm(input=(2, "n", 3)), {"n": [2, 1, 4]}),
    (rt.InstanceNorm(eps=0.1, input=(2, "n")), {"n": [2, 1, 4]}),
    (rt.InstanceNorm(affine=True, eps=0.1, input=(2, "n", "m")), {"n": [2, 1, 3], "m": [1, 2, 3]}),
    (rt.GroupNorm(2, input=(4, "n")), {"n": [2, 1, 4]}),
    (rt.GroupNorm(2, input=(4, 2, "n")), {"n": [2, 1, 4]}),
    (rt.LayerNorm(input=("n", 3)), {"n": [2, 1, 4]}),
    (rt.RMSNorm(eps=1e-3, input=("n", 3)), {"n": [2, 1, 4]}),
]


@pytest.mark.parametrize(("net", "lengths"), VARYING, ids=[repr(net) for net, _ in VARYING])
def test_padding_does_not_matter(net, lengths):
    net = net.init()
    shape = net.inputs["input"].shape
    own = [tuple(n if isinstance(n, int) else lengths[str(n)][i] for n in shape) for i in range(3)]
    rows = [drawn(*each, seed=i) for i, each in enumerate(own)]
    sizes = [max(row.shape[axis] for row in rows) for axis in range(rows[0].dim())]
    batch = torch.full((3, *sizes), 7.0, dtype=torch.float64)
    for number, row in enumerate(rows):
        batch[(number, *map(slice, row.shape))] = row
    arrays = {path: array.double() for path, array in net.arrays.items()}
    named = {name: torch.tensor(each) for name, each in lengths.items()}
    together = walk(net, {"input": batch}, arrays, Run(lengths=named))["output"]
    for number, row in enumerate(rows):
        alone = walk(shaped(net.bare(), tuple(row.shape)), {"input": row.unsqueeze(0)}, arrays)["output"][0]
        assert torch.allclose(together[(number, *map(slice, row.shape))], alone)


def test_a_normalized_axis_that_varies_is_refused():
    with pytest.raises(rt.ShapeError, match="axis 1 of its input varies"):
        rt.LayerNorm(affine=False, input=(3, "n"))
    with pytest.raises(rt.ShapeError, match="axis 0 of its input varies"):
        rt.LocalResponseNorm(3, input=("n", 3))


def test_masked_groups_are_plain_groups_where_all_is_real():
    x, mask = drawn(2, 6, 3), torch.ones(2, 1, 3, dtype=torch.bool)
    assert torch.allclose(by_groups(x, mask, 3, None, None, 0.1), by_groups(x, None, 3, None, None, 0.1))


REFUSED = [
    (lambda: rt.BatchNorm(64), r"BatchNorm\(\) has as many channels as come in"),
    (lambda: rt.BatchNorm(num_features=64), "Here sizes are inferred; leave it out"),
    (lambda: rt.LayerNorm(64), r"LayerNorm\(\) takes the last axis, however long it is"),
    (lambda: rt.LayerNorm((8, 64)), r"LayerNorm\(axes=2\) the last two"),
    (lambda: rt.LayerNorm(normalized_shape=64), "sizes are inferred"),
    (lambda: rt.LayerNorm(axes=0), "axes is a whole number of at least 1"),
    (lambda: rt.LayerNorm(epsilon=1e-6), "Here it is called eps"),
    (lambda: rt.RMSNorm(64), r"RMSNorm\(\) takes the last axis"),
    (lambda: rt.InstanceNorm(64), r"InstanceNorm\(\) has as many channels as come in"),
    (lambda: rt.GroupNorm(8, 64), r"PyTorch's GroupNorm\(8, 64\) is GroupNorm\(8\)"),
    (lambda: rt.GroupNorm(), "groups is missing"),
    (lambda: rt.GroupNorm(3, input=(4, 2)), r"GroupNorm\(3.*\): 4 channels do not make 3 equal groups"),
    (lambda: rt.LocalResponseNorm(5, 1e-4, 0.75, 2), "name the others: .*alpha, beta, k"),
    (lambda: rt.BatchNorm(momentum=1.5), "momentum is a number from 0 to 1; got 1.5"),
    (lambda: rt.BatchNorm(input=()), r"BatchNorm.* takes \(c, \*s\)"),
    (lambda: rt.InstanceNorm(input=3), r"InstanceNorm.* takes \(c, n, \*s\)"),
]


@pytest.mark.parametrize(("call", "text"), REFUSED, ids=[text[:40] for _, text in REFUSED])
def test_wrong_arguments_are_refused_with_the_cure(call, text):
    with pytest.raises(rt.Error, match=text):
        call()


@pytest.mark.parametrize("shape", [(4, 3, 1), (4, 1, 3), (3, 1, 1), (2, 2, 1, 3)])
@pytest.mark.parametrize("training", [True, False])
def test_derivatives_beside_an_axis_of_one_do_not_depend_on_what_follows(shape, training):
    """PyTorch's own kernel gets them wrong where the axes of what comes back stand in another order."""
    rank = len(shape)
    for axes in ([*range(1, rank), 0], [*reversed(range(rank))]):
        net = rt.Chain(rt.BatchNorm(), rt.Transpose(*axes), rt.Tanh(), input=shape).init()
        arrays = {p: a.double() if a.is_floating_point() else a for p, a in net.arrays.items()}
        x = torch.rand(3, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        leaves = [x.requires_grad_(), *(arrays[path].requires_grad_() for path in net.learned())]

        def run(*_, net=net, x=x, arrays=arrays):
            return walk(net, {"input": x}, arrays, Run(training=training))["output"]

        assert torch.autograd.gradcheck(run, leaves)
