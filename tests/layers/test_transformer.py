"""Transformers: against PyTorch's, as values that are cut, and trained in walk and program alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

import retia as rt
from retia.engine.walk import Run, walk
from retia.errors import ArgumentError, ShapeError


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def close(got: Tensor, expected: Tensor) -> None:
    got, expected = got.detach(), expected.detach()
    assert got.shape == expected.shape
    assert torch.isfinite(got).all()
    assert (got - expected).norm() <= 1e-12 * max(1.0, float(expected.norm()))


def compare(net: rt.Net, theirs: torch.nn.Module, inputs: Sequence[Tensor], **how: Tensor | None) -> None:
    """Names of arrays, values and gradients are the module's, with arrays that are not at their start."""
    arrays = dict(theirs.named_parameters())
    for number, array in enumerate(arrays.values()):
        array.data = drawn(*array.shape, seed=number)
    assert net.array_shapes() == {path: tuple(array.shape) for path, array in arrays.items()}
    inputs = [x.requires_grad_() for x in inputs]
    got = walk(net, dict(zip(net.inputs, inputs, strict=True)), arrays)["output"]
    expected = theirs(*inputs, **how)
    close(got, expected)
    weight = drawn(*expected.shape, seed=99)
    leaves = [*inputs, *arrays.values()]
    ours = torch.autograd.grad((got * weight).sum(), leaves)
    for mine, other in zip(ours, torch.autograd.grad((expected * weight).sum(), leaves), strict=True):
        close(mine, other)


def with_input(net: rt.Net, **ports: tuple[int | str, ...]) -> rt.Net:
    """The same net, which keeps its arrays' names, with types at its ports."""
    if isinstance(net, rt.Chain):
        return rt.Chain(dict(net.children), input=ports["input"])
    return rt.Graph(dict(net.children), *net.edges(), input=ports)


def future(n: int) -> Tensor:
    return torch.ones(n, n, dtype=torch.bool).triu(1)


norms = pytest.mark.parametrize("norm_first", [False, True])
activations = pytest.mark.parametrize("activation", ["gelu", "relu"])


@norms
@activations
@pytest.mark.parametrize("causal", [False, True])
def test_the_encoder_is_pytorchs(norm_first: bool, activation: str, causal: bool) -> None:
    block = torch.nn.TransformerEncoderLayer(
        8, 2, 24, 0.0, activation, batch_first=True, norm_first=norm_first, dtype=torch.float64
    )
    end = torch.nn.LayerNorm(8, dtype=torch.float64) if norm_first else None
    theirs = torch.nn.TransformerEncoder(block, 2, end, enable_nested_tensor=False)
    settings = {"norm_first": norm_first, "activation": activation, "causal": causal}
    net = with_input(rt.TransformerEncoder(2, 2, size=8, hidden=24, **settings), input=(5, 8))
    compare(net, theirs, [drawn(3, 5, 8)], mask=future(5) if causal else None)


@norms
@activations
def test_the_decoder_is_pytorchs(norm_first: bool, activation: str) -> None:
    block = torch.nn.TransformerDecoderLayer(
        8, 2, 24, 0.0, activation, batch_first=True, norm_first=norm_first, dtype=torch.float64
    )
    end = torch.nn.LayerNorm(8, dtype=torch.float64) if norm_first else None
    theirs = torch.nn.TransformerDecoder(block, 2, end)
    made = rt.TransformerDecoder(2, 2, size=8, hidden=24, norm_first=norm_first, activation=activation)
    net = with_input(made, input=(5, 8), memory=(4, 8))
    compare(net, theirs, [drawn(3, 5, 8), drawn(3, 4, 8, seed=1)], tgt_mask=future(5))


def test_one_block_is_pytorchs_layer() -> None:
    theirs = torch.nn.TransformerEncoderLayer(8, 4, 32, 0.0, batch_first=True, dtype=torch.float64)
    made = rt.TransformerEncoder(1, 4, size=8, norm_first=False, activation="relu")
    compare(with_input(made["layers"][0], input=(5, 8)), theirs, [drawn(3, 5, 8)])


@norms
def test_dropout_stands_where_it_stands_in_pytorch(norm_first: bool) -> None:
    net = rt.TransformerEncoder(1, 2, size=8, norm_first=norm_first, dropout=0.3)
    branch = ["self_attn", "dropout1"], ["linear1", "gelu", "dropout", "linear2", "dropout2"]
    ends = ["plus1", "norm1"], ["plus2", "norm2"]
    assert [*net["layers"][0].children] == [*branch[0], *ends[0], *branch[1], *ends[1]]
    rates = {
        path: getattr(layer, "dropout", None) or getattr(layer, "rate", None) for path, layer in net.layers()
    }
    assert {path.rpartition(".")[2]: rate for path, rate in rates.items() if rate is not None} == {
        "self_attn": 0.3, "dropout1": 0.3, "dropout": 0.3, "dropout2": 0.3,
    }  # fmt: skip
    net = with_input(net, input=(5, 8)).init()
    x = torch.randn(2, 5, 8)
    whole, again = (walk(net, {"input": x}, net.arrays)["output"] for _ in range(2))
    assert torch.equal(whole, again)
    assert not torch.equal(whole, walk(net, {"input": x}, net.arrays, Run(training=True))["output"])


def test_blocks_are_cut_and_joined_as_any_net() -> None:
    net = rt.TransformerEncoder(3, 2, size=8)
    whole = rt.Chain(net, input=("n", 8)).init()
    shorter = rt.Chain(whole[0]["layers"][:2], input=("n", 8))
    assert len(shorter[0].children) == 2
    assert torch.equal(shorter.arrays["0.1.linear1.weight"], whole.arrays["0.layers.1.linear1.weight"])
    assert eval(repr(net), vars(rt).copy()) == net
    decoder = rt.TransformerDecoder(2, 2, size=8)
    assert eval(repr(decoder), vars(rt).copy()) == decoder
    assert [*decoder["layers"].children] == ["0", "1"]


def test_settings_of_the_attention_reach_every_block() -> None:
    made = rt.MultiHeadAttention(4, causal=True, rotary=True, key_value_heads=2, bias=False, dropout=0.1)
    net = rt.TransformerEncoder(
        2, 4, size=16, causal=True, rotary=True, key_value_heads=2, bias=False, dropout=0.1
    )
    assert [part["self_attn"] for part in net["layers"].children.values()] == [made, made]
    cross = rt.TransformerDecoder(1, 4, size=16, rotary=True, key_value_heads=2, bias=False, dropout=0.1)
    block = cross["layers"]["0"]
    assert block["self_attn"] == made
    assert block["multihead_attn"] == rt.MultiHeadAttention(
        4, cross=True, key_value_heads=2, bias=False, dropout=0.1
    )


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"layers": 0}, "TransformerEncoder: layers is a whole number of at least 1; got 0."),
        ({"size": 2.5}, "TransformerEncoder: size is a whole number of at least 1; got 2.5."),
        ({"hidden": 0}, "TransformerEncoder: hidden is a whole number of at least 1, or None; got 0."),
        ({"dropout": 1}, "TransformerEncoder: dropout is a number from 0 to below 1; got 1."),
        ({"norm_first": 1}, "TransformerEncoder: norm_first is True or False; got 1."),
        ({"activation": "silu"}, "TransformerEncoder: activation is one of 'gelu', 'relu'; got 'silu'."),
    ],
)
def test_settings_out_of_range_are_refused(settings: Mapping[str, object], text: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        rt.TransformerEncoder(**{"layers": 1, "heads": 2, "size": 8, **settings})
    assert str(caught.value) == text


def test_a_sequence_of_another_size_is_refused() -> None:
    with pytest.raises(ShapeError, match="do not broadcast: 8 against 6"):
        rt.Chain(rt.TransformerEncoder(1, 2, size=8), input=("n", 6))


def language_model(**settings: object) -> rt.Chain:
    return rt.Chain(
        rt.Embedding(16, classes=5),
        rt.PositionEmbedding(12),
        rt.TransformerEncoder(2, 2, size=16, causal=True, **settings),
        rt.Linear(5),
        rt.Softmax(),
        input=12,
    )


def cycles(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Sequences that count up to 4 and start again, from anywhere, with their next elements."""
    starts = np.random.default_rng(0).integers(0, 5, (count, 1))
    numbers = (starts + np.arange(13)) % 5
    return numbers[:, :-1], numbers[:, 1:]


@pytest.mark.parametrize("settings", [{}, {"dropout": 0.1, "rotary": True, "key_value_heads": 1}])
def test_a_small_language_model_learns_and_alike_in_walk_and_program(settings: Mapping[str, object]) -> None:
    x, y = cycles(80)
    how = {"epochs": 8, "batch_size": 20, "optimizer": rt.Adam(0.01), "loss": "cross-entropy", "seed": 1}
    runs = [
        rt.train(language_model(**settings), (x, y), validation=0, engine=engine, **how)
        for engine in ("walk", "program")
    ]
    walked, planned = ([line["loss"] for line in run.history] for run in runs)
    assert walked[-1] < 0.2 * walked[0]
    assert np.allclose(walked, planned, rtol=1e-3)
    # Derivatives of keys' biases are 0 but for rounding, of which Adam makes steps: the arrays differ there.
    first, second = (run.net.batch(x[:4], None) for run in runs)
    assert (first - second).norm() <= 1e-3 * first.norm()
    assert (second.argmax(-1).numpy() == y[:4]).all()
