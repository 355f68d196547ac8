"""What the solver says is what the engine produces: random nets of every layer, all inner values."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_nets import candidates, nets

import retia as rt
from retia.engine.walk import Run, walk_values
from retia.nets.layer import Layer
from retia.nets.registry import registered


@given(nets(), st.integers(0, 1000))
def test_inferred_shapes_are_those_that_the_engine_produces(net, seed):
    made = net.init(seed=seed)
    shapes = {path: tuple(array.shape) for path, array in made.arrays.items()}
    assert shapes == net.array_shapes()
    x = torch.rand((3, *net.inputs["input"].shape), generator=torch.Generator().manual_seed(seed))
    wanted = [value for node in net.wiring.steps for value in node.outputs]
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
    if any(node.layer.noisy for node in net.wiring.nodes):
        x = x[:1]  # noise follows from the place in the batch
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
    seen = {"Plus", "Times", "Minus", "Maximum", "Minimum", "Concat", "Join"}
    for rank in range(5):
        seen |= set(candidates(rng, (4,) * rank))
    alone = {
        "Dot",
        "Divide",
        "Power",
        "Embedding",
        "OneHot",
        "Constant",
        "Parameter",
        "Attention",
        "Spectrum",
        "InverseFourier",
        "Gather",
        "Positions",
        "ArgSort",
        "Prepend",
        "Append",
        "CosineSimilarity",
        "PairwiseDistance",
        "SpatialTransform",
        "Placeholder",
        "Operation",
    }
    ours = {name for name, layer in registered(Layer).items() if layer.__module__.startswith("retia.")}
    assert ours <= seen | alone
