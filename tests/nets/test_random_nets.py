"""What the solver says is what the engine produces: random nets of every layer, all inner values."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

import retia as rt
from retia.engine.walk import Run, walk_values
from retia.nets.layer import Layer
from retia.nets.registry import registered

UNARY = ["exp", "tanh", "square", "sigmoid", "abs"]


def candidates(rng, shape):
    """Layers that fit a shape, each by its class's name."""
    rank = len(shape)
    some = int(rng.integers(1, 6))
    elementwise = [
        "ReLU", "LeakyReLU", "ELU", "SELU", "GELU", "SiLU", "Mish", "Sigmoid", "Tanh", "Softplus", "Softsign",
        "HardSigmoid", "HardTanh", "HardSwish", "ReLU6",
    ]  # fmt: skip
    fitting = {name: getattr(rt, name)() for name in elementwise}
    fitting["Elementwise"] = rt.Elementwise(str(rng.choice(UNARY)))
    fitting["Arithmetic"] = rt.Arithmetic(str(rng.choice(list("+-*"))), float(some))
    fitting["Dropout"] = rt.Dropout(0.5)
    fitting["Flatten"] = rt.Flatten()
    fitting["Replicate"] = rt.Replicate(2)
    if rank:
        axes = [int(a) for a in rng.permutation(rank)]
        fitting["Linear"] = rt.Linear(some)
        fitting["LayerNorm"] = rt.LayerNorm()
        fitting["RMSNorm"] = rt.RMSNorm()
        fitting["Softmax"] = rt.Softmax()
        fitting["LogSoftmax"] = rt.LogSoftmax()
        fitting["Reshape"] = rt.Reshape(-1)
        fitting["Transpose"] = rt.Transpose(*axes)
        fitting["Part"] = rt.Part(slice(0, max(1, shape[0] - 1)))
        fitting["Pad"] = rt.Pad(*[(1, 0)] * rank)
        fitting["Reduce"] = rt.Reduce("mean")
        fitting["BatchNorm"] = rt.BatchNorm()
        fitting["PReLU"] = rt.PReLU()
        fitting["GroupNorm"] = rt.GroupNorm(1)
    if rank in (2, 3, 4):
        n = rank - 1
        kernel = int(rng.integers(1, min(shape[1:]) + 1))
        stride = int(rng.integers(1, 3))
        fitting[f"Conv{n}d"] = getattr(rt, f"Conv{n}d")(some, kernel, stride=stride)
        fitting[f"ConvTranspose{n}d"] = getattr(rt, f"ConvTranspose{n}d")(some, kernel)
        fitting[f"MaxPool{n}d"] = getattr(rt, f"MaxPool{n}d")(kernel, stride=stride)
        fitting[f"AvgPool{n}d"] = getattr(rt, f"AvgPool{n}d")(kernel)
        fitting["GlobalAvgPool"] = rt.GlobalAvgPool()
        fitting["GlobalMaxPool"] = rt.GlobalMaxPool()
        fitting["InstanceNorm"] = rt.InstanceNorm()
        fitting["LocalResponseNorm"] = rt.LocalResponseNorm(3)
        if np.prod(shape) < 400:
            fitting["Upsample"] = rt.Upsample(2)
        fitting["Resize"] = rt.Resize(*[int(s) for s in rng.integers(1, 5, n)])
    return fitting


@st.composite
def nets(draw):
    """A random chain with branches that meet again, on a random input."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    first = tuple(int(s) for s in rng.integers(2, 6, rng.integers(0, 5)))
    layers, shape = [], first
    for _ in range(int(rng.integers(1, 7))):
        fitting = candidates(rng, shape)
        layer = fitting[str(rng.choice(sorted(fitting)))]
        if rng.random() < 0.3:
            combiner = getattr(
                rt, str(rng.choice(["Plus", "Times", "Minus", "Maximum", "Minimum", "Concat"]))
            )
            inner = layer
            x = rt.Input(shape)
            try:
                layer = rt.Graph(combiner()(inner(x), rt.Linear(1)(x) if shape else x))
            except rt.ShapeError:
                layer = inner
        out = rt.Chain(layer, input=shape).outputs["output"].shape
        if np.prod(out) > 3000 or len(out) > 5 or 0 in out:
            continue
        layers.append(layer)
        shape = out
    return rt.Chain(*layers, input=first)


@given(nets(), st.integers(0, 1000))
def test_inferred_shapes_are_those_that_the_engine_produces(net, seed):
    made = net.init(seed=seed)
    shapes = {path: tuple(array.shape) for path, array in made.arrays.items()}
    assert shapes == net.array_shapes()
    x = torch.rand((3, *net.inputs["input"].shape), generator=torch.Generator().manual_seed(seed))
    wanted = [value for node in net.wiring.nodes for value in node.outputs]
    for training in (False, True):
        values = walk_values(made, {"input": x}, made.arrays, Run(training=training, seed=seed), wanted)
        for value in wanted:
            assert tuple(values[value].shape[1:]) == net.solution.shape(value), value


@given(nets())
def test_what_is_inferred_from_the_output_agrees_with_what_the_input_gives(net):
    parts = list(net.children.values())
    backward = rt.Chain(*parts, output=net.outputs["output"].shape)
    for node in net.wiring.nodes:
        for value in node.outputs:
            known, guessed = net.solution.shape(value), backward.solution.shape(value)
            assert guessed is None or all(g in (None, k) for k, g in zip(known, guessed, strict=True)), value


@given(nets(), st.integers(0, 1000))
def test_a_batch_gives_what_its_examples_give_one_at_a_time(net, seed):
    made = net.init(seed=seed)
    x = torch.rand((3, *net.inputs["input"].shape), generator=torch.Generator().manual_seed(seed))
    together = made.batch(x)
    apart = torch.stack([made.one(each) for each in x])
    assert torch.allclose(
        together, apart, rtol=1e-4, atol=1e-5 * float(apart.abs().max().clamp(min=1)), equal_nan=True
    )


@given(nets())
def test_random_nets_paste_back_and_come_back_from_json(net):
    from retia.nets import expression

    assert eval(repr(net), dict(vars(rt))) == net
    assert expression.from_json(expression.to_json(net)) == net


def test_every_layer_takes_part():
    rng = np.random.default_rng(0)
    seen = {"Plus", "Times", "Minus", "Maximum", "Minimum", "Concat"}
    for rank in range(5):
        seen |= set(candidates(rng, (4,) * rank))
    alone = {"Dot", "Divide", "Power", "Embedding", "OneHot", "Constant", "Parameter"}
    assert set(registered(Layer)) <= seen | alone
