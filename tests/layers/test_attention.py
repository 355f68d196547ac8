"""Attention, positions and Transformers: against PyTorch and NumPy, and the laws of padding and time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import retia as rt
from retia.engine import draws
from retia.engine.walk import Run, walk
from retia.errors import ArgumentError, DataError, ShapeError, UnknownNameError

PORTS = ("query", "key", "value")
SEEDS = st.integers(0, 2**32)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def arrays_of(net: rt.Net, seed: int = 0) -> dict[str, Tensor]:
    """Arrays in double precision, none of them at its start."""
    shapes = net.array_shapes().items()
    return {path: drawn(*shape, seed=seed + i).requires_grad_() for i, (path, shape) in enumerate(shapes)}


def close(got: Tensor, expected: Tensor, bound: float = 1e-12) -> None:
    got, expected = got.detach(), expected.detach()
    assert got.shape == expected.shape
    assert torch.isfinite(got).all()
    assert (got - expected).norm() <= bound * max(1.0, float(expected.norm()))


def compare(
    net: rt.Net, arrays: Mapping[str, Tensor], inputs: Sequence[Tensor], theirs: Callable[..., Tensor]
) -> None:
    """Values and gradients of a net are those of a function of the same inputs."""
    inputs = [x.requires_grad_() for x in inputs]
    got = walk(net, dict(zip(net.inputs, inputs, strict=True)), arrays)["output"]
    expected = theirs(*inputs)
    close(got, expected)
    weight = drawn(*expected.shape, seed=99)
    leaves = [*inputs, *arrays.values()]
    ours = torch.autograd.grad((got * weight).sum(), leaves)
    for mine, other in zip(ours, torch.autograd.grad((expected * weight).sum(), leaves), strict=True):
        close(mine, other)


def future(n: int, m: int) -> Tensor:
    """True where PyTorch's modules must not look."""
    return torch.ones(n, m, dtype=torch.bool).triu(1)


# Values -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("scale", [None, 0.3, -2])
@pytest.mark.parametrize(("m", "n", "d", "v"), [(3, 5, 4, 4), (5, 3, 2, 7), (1, 1, 1, 1), (4, 4, 8, 8)])
def test_attention_is_its_formula(m: int, n: int, d: int, v: int, scale: float | None, causal: bool) -> None:
    net = rt.Attention(causal=causal, scale=scale, input={"query": (m, d), "key": (n, d), "value": (n, v)})
    q, k, x = drawn(2, m, d), drawn(2, n, d, seed=1), drawn(2, n, v, seed=2)
    products = np.einsum("bmd,bnd->bmn", q.numpy(), k.numpy()) * (d**-0.5 if scale is None else scale)
    if causal:
        products[:, ~np.tri(m, n, dtype=bool)] = -np.inf
    weights = np.exp(products - products.max(-1, keepdims=True))
    expected = weights / weights.sum(-1, keepdims=True) @ x.numpy()
    got = walk(net, {"query": q, "key": k, "value": x}, {})["output"]
    close(got, torch.from_numpy(expected))


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("causal", [False, True])
def test_self_attention_is_pytorchs(heads: int, bias: bool, causal: bool) -> None:
    theirs = torch.nn.MultiheadAttention(8, heads, bias=bias, batch_first=True, dtype=torch.float64)
    net = rt.MultiHeadAttention(heads, bias=bias, causal=causal, input=(5, 8))
    arrays = dict(theirs.named_parameters())
    assert net.array_shapes() == {path: tuple(array.shape) for path, array in arrays.items()}
    mask = future(5, 5) if causal else None
    compare(net, arrays, [drawn(3, 5, 8)], lambda x: theirs(x, x, x, attn_mask=mask, need_weights=False)[0])


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("causal", [False, True])
def test_cross_attention_is_pytorchs(separate: bool, causal: bool) -> None:
    sizes = {"kdim": 3, "vdim": 7} if separate else {}
    theirs = torch.nn.MultiheadAttention(8, 2, batch_first=True, dtype=torch.float64, **sizes)
    shapes = [(5, 8), (4, 3), (4, 7)] if separate else [(5, 8), (4, 8), (4, 8)]
    net = rt.MultiHeadAttention(
        2, cross=True, separate=separate, causal=causal, input=dict(zip(PORTS, shapes, strict=True))
    )
    state = theirs.state_dict()
    assert net.with_arrays(state).array_shapes() == {path: tuple(a.shape) for path, a in state.items()}
    mask = future(5, 4) if causal else None
    compare(
        net,
        dict(theirs.named_parameters()),
        [drawn(3, *shape, seed=i) for i, shape in enumerate(shapes)],
        lambda q, k, v: theirs(q, k, v, attn_mask=mask, need_weights=False)[0],
    )


def test_keys_and_values_of_fewer_heads_are_those_heads_several_times() -> None:
    grouped = rt.MultiHeadAttention(4, key_value_heads=2, causal=True, input=(5, 8))
    full = rt.MultiHeadAttention(4, causal=True, input=(5, 8))
    arrays = arrays_of(grouped)
    assert {path: tuple(array.shape) for path, array in arrays.items()} == {
        "in_proj_weight": (16, 8),
        "in_proj_bias": (16,),
        "out_proj.weight": (8, 8),
        "out_proj.bias": (8,),
    }

    def repeated(array: Tensor) -> Tensor:
        query, key, value = array.split([8, 4, 4])
        twice = [x.unflatten(0, (2, 1, 2)).expand(2, 2, 2, *x.shape[1:]).flatten(0, 2) for x in (key, value)]
        return torch.cat([query, *twice])

    def theirs(x: Tensor) -> Tensor:
        wide = {**arrays, **{path: repeated(arrays[path]) for path in ("in_proj_weight", "in_proj_bias")}}
        return walk(full, {"input": x}, wide)["output"]

    compare(grouped, arrays, [drawn(3, 5, 8)], theirs)


def test_a_size_of_its_own_is_that_of_the_result() -> None:
    net = rt.MultiHeadAttention(2, size=6, input=("n", 4))
    assert net.outputs["output"].shape == (*net.inputs["input"].shape[:1], 6)
    assert net.array_shapes() == {
        "in_proj_weight": (18, 4),
        "in_proj_bias": (18,),
        "out_proj.weight": (6, 6),
        "out_proj.bias": (6,),
    }
    # A map to six numbers first is the same.
    arrays = arrays_of(net)
    x = drawn(2, 3, 4)
    query, key, value = torch.nn.functional.linear(x, arrays["in_proj_weight"], arrays["in_proj_bias"]).split(
        6, -1
    )
    plain = rt.Attention(input={"query": (3, 3), "key": (3, 3), "value": (3, 3)})
    heads = [
        walk(plain, dict(zip(PORTS, (p[..., at] for p in (query, key, value)), strict=True)), {})["output"]
        for at in (slice(0, 3), slice(3, 6))
    ]
    expected = torch.nn.functional.linear(
        torch.cat(heads, -1), arrays["out_proj.weight"], arrays["out_proj.bias"]
    )
    close(walk(net, {"input": x}, arrays)["output"], expected)


# Positions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "size"), [(1, 1), (5, 2), (7, 5), (40, 16)])
def test_sinusoidal_positions_are_their_formula(n: int, size: int) -> None:
    expected = np.empty((n, size))
    for i in range(n):
        for k in range(size):
            angle = i / 10000 ** (2 * (k // 2) / size)
            expected[i, k] = np.cos(angle) if k % 2 else np.sin(angle)
    x = drawn(2, n, size)
    got = walk(rt.SinusoidalPositions(input=(n, size)), {"input": x}, {})["output"]
    close(got, x + torch.from_numpy(expected))


def test_learned_positions_are_added_from_the_first_on() -> None:
    net = rt.PositionEmbedding(6, input=(4, 3))
    table = torch.nn.Embedding(6, 3, dtype=torch.float64)
    compare(net, dict(table.named_parameters()), [drawn(2, 4, 3)], lambda x: x + table(torch.arange(4)))


def test_rotary_attention_turns_pairs_as_complex_numbers_turn() -> None:
    net = rt.MultiHeadAttention(2, rotary=True, causal=True, bias=False, input=(6, 16))
    arrays = arrays_of(net)
    x = drawn(3, 6, 16)
    packed = (x @ arrays["in_proj_weight"].T).detach().numpy().reshape(3, 6, 3, 2, 8)
    query, key, value = packed.transpose(2, 0, 3, 1, 4)  # each (batch, heads, n, d)
    turn = np.exp(1j * np.arange(6)[:, None] / 10000 ** (np.arange(4) / 4))
    query, key = ((z[..., :4] + 1j * z[..., 4:]) * turn for z in (query, key))
    products = (query @ key.conj().swapaxes(-1, -2)).real / np.sqrt(8)
    products[..., ~np.tri(6, dtype=bool)] = -np.inf
    weights = np.exp(products - products.max(-1, keepdims=True))
    heads = weights / weights.sum(-1, keepdims=True) @ value
    joined = heads.transpose(0, 2, 1, 3).reshape(3, 6, 16)
    expected = torch.from_numpy(joined) @ arrays["out_proj.weight"].T
    close(walk(net, {"input": x}, arrays)["output"], expected)


def test_attention_without_positions_does_not_mind_the_order_and_with_rotary_does() -> None:
    x, order = drawn(1, 5, 8), torch.tensor([3, 1, 4, 0, 2])
    for rotary in (False, True):
        net = rt.MultiHeadAttention(2, rotary=rotary, input=(5, 8))
        arrays = arrays_of(net)
        moved, plain = (walk(net, {"input": each}, arrays)["output"] for each in (x[:, order], x))
        assert torch.allclose(moved, plain[:, order]) is not rotary


# Padding ------------------------------------------------------------------------------------------

SELF = {
    "plain": rt.MultiHeadAttention(2, input=("n", 8)),
    "causal": rt.MultiHeadAttention(2, causal=True, input=("n", 8)),
    "rotary": rt.MultiHeadAttention(2, rotary=True, key_value_heads=1, input=("n", 8)),
    "encoder": rt.Chain(rt.TransformerEncoder(2, 2, size=8, norm_first=False), input=("n", 8)),
    "causal encoder": rt.Chain(rt.TransformerEncoder(2, 2, size=8, causal=True), input=("n", 8)),
}


@pytest.mark.parametrize("name", SELF)
@pytest.mark.parametrize("lengths", [[3, 5, 1], [4, 4, 4], [1, 7, 2]])
def test_padding_never_leaks(keeps_the_batch_law, name: str, lengths: list[int]) -> None:
    if "encoder" not in name:
        keeps_the_batch_law(SELF[name], {"n": lengths})
    keeps_the_batch_law(SELF[name], {"n": lengths}, 1e6)


@pytest.mark.parametrize("net", [rt.PositionEmbedding(9), rt.SinusoidalPositions()])
def test_positions_keep_the_batch_law(keeps_the_batch_law, net: rt.Layer) -> None:
    keeps_the_batch_law(rt.Chain(net, input=("n", 5)), {"n": [3, 9, 1]}, 7.0)


def of_both(make: Callable[..., rt.Net], names: Sequence[str] = PORTS) -> rt.Net:
    """A net of two sequences: m elements at its first port, n at the others."""
    return make(input={name: ("n" if i else "m", 4) for i, name in enumerate(names)})


def decoder(**settings) -> Callable[..., rt.Net]:
    made = rt.TransformerDecoder(2, 2, size=4, **settings)
    return lambda input: rt.Graph(lambda x, memory: made(x, memory), input=input)


BOTH = {
    "attention": of_both(lambda input: rt.Attention(input=input)),
    "causal attention": of_both(lambda input: rt.Attention(causal=True, input=input)),
    "cross": of_both(lambda input: rt.MultiHeadAttention(2, cross=True, input=input)),
    "causal cross": of_both(lambda input: rt.MultiHeadAttention(2, cross=True, causal=True, input=input)),
    "separate": of_both(lambda input: rt.MultiHeadAttention(2, cross=True, separate=True, input=input)),
    "decoder": of_both(decoder(), ("x", "memory")),
    "rotary decoder": of_both(decoder(norm_first=False, rotary=True), ("x", "memory")),
}


def padded(rows: list[Tensor], with_what: float) -> Tensor:
    batch = torch.full((len(rows), max(map(len, rows)), *rows[0].shape[1:]), with_what, dtype=torch.float64)
    for number, row in enumerate(rows):
        batch[number, : len(row)] = row
    return batch.requires_grad_()


@pytest.mark.parametrize("name", BOTH)
@given(seed=SEEDS)
def test_two_sequences_of_their_own_lengths_keep_the_batch_law(name: str, seed: int) -> None:
    net, random = BOTH[name], Random(seed)
    ports, arrays = list(net.inputs), arrays_of(net, seed % 1000)
    lengths = {size: [random.randint(1, 5) for _ in range(3)] for size in "mn"}
    by_port = [lengths["n" if i else "m"] for i in range(len(ports))]
    rows = [[drawn(n, 4, seed=b + i) for b, n in enumerate(each)] for i, each in enumerate(by_port)]
    batch = [padded(each, 1e6 if "decoder" in name else torch.nan) for each in rows]
    named = {size: torch.tensor(each) for size, each in lengths.items()}
    together = walk(net, dict(zip(ports, batch, strict=True)), arrays, Run(lengths=named))["output"]
    assert torch.isfinite(together).all()

    total, total_apart = torch.zeros(()), torch.zeros(())
    for b in range(3):
        alone = {port: each[b].unsqueeze(0) for port, each in zip(ports, rows, strict=True)}
        own = {size: each[b : b + 1] for size, each in named.items()}
        apart = walk(net, alone, arrays, Run(lengths=own))["output"][0]
        close(together[b, : len(apart)], apart, 1e-9)
        weight = drawn(*apart.shape, seed=b)
        total = total + (together[b, : len(apart)] * weight).sum()
        total_apart = total_apart + (apart * weight).sum()

    if arrays:
        ours = torch.autograd.grad(total, arrays.values(), retain_graph=True)
        for mine, other in zip(ours, torch.autograd.grad(total_apart, arrays.values()), strict=True):
            close(mine, other, 1e-9)
    for pull, each in zip(torch.autograd.grad(total, batch), by_port, strict=True):
        for b, n in enumerate(each):
            assert torch.isfinite(pull[b, :n]).all()
            assert not pull[b, n:].any(), "padding has no say"


@pytest.mark.parametrize("training", [False, True])
def test_a_query_without_any_key_takes_up_nothing(training: bool) -> None:
    net = rt.Attention(dropout=0.5, input={"query": ("m", 2), "key": ("n", 2), "value": ("n", 3)})
    inputs = {"query": drawn(2, 2, 2), "key": drawn(2, 3, 2), "value": drawn(2, 3, 3)}
    inputs["query"].requires_grad_()
    lengths = {"m": torch.tensor([2, 2]), "n": torch.tensor([0, 3])}
    got = walk(net, inputs, {}, Run(training=training, lengths=lengths))["output"]
    assert (got[0] == 0).all()
    assert got[1].any()
    assert torch.isfinite(torch.autograd.grad(got.sum(), inputs["query"])[0]).all()


# Time ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_later_elements_change_nothing_earlier(dropout: float) -> None:
    net = rt.Chain(
        rt.PositionEmbedding(6),
        rt.TransformerEncoder(2, 2, size=8, causal=True, rotary=True, dropout=dropout),
        input=(6, 8),
    )
    arrays, x = arrays_of(net), drawn(2, 6, 8).requires_grad_()
    y = walk(net, {"input": x}, arrays, Run(training=True))["output"]
    for i in range(6):
        (pull,) = torch.autograd.grad(y[:, i].sum(), x, retain_graph=True)
        assert not pull[:, i + 1 :].any()
        assert pull[:, : i + 1].any()


def test_without_causal_every_element_sees_every_other() -> None:
    net = rt.MultiHeadAttention(2, input=(4, 8))
    x = drawn(1, 4, 8).requires_grad_()
    y = walk(net, {"input": x}, arrays_of(net))["output"]
    (pull,) = torch.autograd.grad(y[:, 0].sum(), x)
    assert pull.any(-1).all()


# Dropout ------------------------------------------------------------------------------------------


def weights_of(net: rt.Layer, n: int, run: Run) -> Tensor:
    """The weights themselves: what attention makes of a value for each key."""
    values = torch.eye(n, dtype=torch.float64).expand(2, n, n)
    inputs = {"query": drawn(2, n, 4), "key": drawn(2, n, 4, seed=1), "value": values}
    return walk(net, inputs, {}, run)["output"]


def test_dropout_takes_weights_away_and_keeps_their_mean() -> None:
    plain = rt.Attention(input={"query": (60, 4), "key": (60, 4), "value": (60, 60)})
    net = rt.Attention(dropout=0.25, input={"query": (60, 4), "key": (60, 4), "value": (60, 60)})
    whole = weights_of(plain, 60, Run(training=True))
    close(weights_of(net, 60, Run()), whole)
    some = weights_of(net, 60, Run(training=True, seed=3, step=4))
    kept = some != 0
    close(some[kept] * 0.75, whole[kept])
    assert abs(float(kept.double().mean()) - 0.75) < 0.02
    expected = draws.uniform(3, 4, "", torch.arange(2), (1, 60, 60))[:, 0] >= 0.25
    assert torch.equal(kept, expected)
    assert not torch.equal(kept, weights_of(net, 60, Run(training=True, seed=3, step=5)) != 0)


def test_dropout_of_a_causal_net_leaves_the_future_out() -> None:
    net = rt.Attention(dropout=0.25, causal=True, input={"query": (9, 4), "key": (9, 4), "value": (9, 9)})
    some = weights_of(net, 9, Run(training=True))
    assert not some.triu(1).any()
    assert (some.tril() == 0).tril().any()


def test_dropout_of_an_example_does_not_depend_on_how_far_it_is_padded() -> None:
    x, rows = drawn(3, 6, 8), torch.tensor([4, 7, 9])
    lengths = torch.tensor([2, 6, 3])
    for causal in (False, True):
        net = rt.MultiHeadAttention(2, dropout=0.4, causal=causal, key_value_heads=1, input=("n", 8))
        arrays = arrays_of(net)
        how = {"training": True, "seed": 1, "step": 2}
        together = walk(net, {"input": x}, arrays, Run(**how, rows=rows, lengths={"n": lengths}))["output"]
        for b, n in enumerate(lengths.tolist()):
            own = Run(**how, rows=rows[b : b + 1], lengths={"n": lengths[b : b + 1]})
            close(together[b, :n], walk(net, {"input": x[b : b + 1, :n]}, arrays, own)["output"][0])
            whole = walk(net, {"input": x[b : b + 1, :n]}, arrays, Run(lengths=own.lengths))["output"][0]
            assert not torch.allclose(together[b, :n], whole)


def test_the_draws_of_longer_examples_only_add_to_those_of_shorter_ones() -> None:
    net = rt.Attention(dropout=0.5, input={"query": ("n", 4), "key": ("n", 4), "value": ("n", 4)})
    seen = []
    for n in (3, 7):
        inputs = {"query": torch.zeros(1, n, 4), "key": torch.zeros(1, n, 4), "value": torch.eye(n, 4)[None]}
        run = Run(training=True, seed=2, lengths={"n": torch.tensor([n])})
        seen.append(walk(net, inputs, {}, run)["output"][0, :3, :3] != 0)
    assert torch.equal(*seen)
    assert seen[0].any()
    assert not seen[0].all()


def test_the_fused_kernel_runs_unless_weights_are_dropped(monkeypatch) -> None:
    calls = []
    kernel = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        torch.nn.functional, "scaled_dot_product_attention",
        lambda *args, **kwargs: calls.append(kwargs) or kernel(*args, **kwargs),
    )  # fmt: skip
    net = rt.MultiHeadAttention(2, dropout=0.5, causal=True, input=("n", 8))
    lengths = {"n": torch.tensor([2, 3])}
    walk(net, {"input": drawn(2, 3, 8)}, arrays_of(net), Run(training=True, lengths=lengths))
    assert not calls
    walk(net, {"input": drawn(2, 3, 8)}, arrays_of(net), Run(lengths=lengths))
    assert [(call["is_causal"], call["attn_mask"]) for call in calls] == [(True, None)]


# Errors and files ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (
            lambda: rt.MultiHeadAttention(3, input=(5, 8)),
            ShapeError,
            "MultiHeadAttention(3): a size of 8 is not 3 heads of one size.\n  fix   a multiple of 3",
        ),
        (
            lambda: rt.MultiHeadAttention(4, rotary=True, input=(5, 4)),
            ShapeError,
            "MultiHeadAttention(4, rotary=True): a size of 4 is not 4 heads of an even size, which rotary "
            "needs.\n  fix   a multiple of 8",
        ),
        (
            lambda: rt.MultiHeadAttention(2, rotary=True, cross=True),
            ArgumentError,
            "MultiHeadAttention: rotary positions are those of one sequence, but cross has two.",
        ),
        (
            lambda: rt.MultiHeadAttention(2, separate=True),
            ArgumentError,
            "MultiHeadAttention: separate weights are for inputs of their own.\n  fix   cross=True",
        ),
        (
            lambda: rt.MultiHeadAttention(4, key_value_heads=3),
            ArgumentError,
            "MultiHeadAttention: key_value_heads divides heads; got 3 and 4.",
        ),
        (
            lambda: rt.MultiHeadAttention(512, 8),
            ArgumentError,
            "MultiHeadAttention(512, 8): MultiHeadAttention takes heads; 2 were given by position.\n"
            "  from  sizes of inputs are never positional, they are inferred (or given by input=)\n"
            "  fix   MultiHeadAttention(8) has 8 heads, of the input's size together; PyTorch's "
            "MultiheadAttention(512, 8) is MultiHeadAttention(8)",
        ),
        (
            lambda: rt.Attention(input={"query": (2, 3), "key": (4, 5), "value": (4, 1)}),
            ShapeError,
            "Attention() takes (4, 3) at key, but the input 'key' gives (4, 5).\n"
            "  from  3 because the input query is (2, 3)\n"
            "  from  5 because the input key is (4, 5)",
        ),
        (
            lambda: rt.PositionEmbedding(4, input=(5, 8)),
            ShapeError,
            "PositionEmbedding(4): 5 elements are more than the 4 positions that it has.\n"
            "  fix   most=5, or a part of the sequence before it",
        ),
        (
            lambda: rt.PositionEmbedding(4, input=("n", 1)).init()([[0.0]] * 5),
            ShapeError,
            "PositionEmbedding(4), with n = 5: 5 elements are more than the 4 positions that it has.\n"
            "  fix   most=5, or a part of the sequence before it",
        ),
        (
            lambda: rt.PositionEmbedding(4, input=("n", 1)).init()([[[0.0]] * 2, [[0.0]] * 5]),
            DataError,
            "PositionEmbedding(4) has 4 positions; got 5 elements.\n"
            "  fix   shorter examples, or a layer with more positions",
        ),
    ],
)
def test_what_cannot_be_is_said(make: Callable[[], object], error: type[rt.Error], text: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("MultiheadAttention", "MultiHeadAttention"),
        ("TransformerEncoderLayer", "TransformerEncoder"),
        ("PositionalEncoding", "SinusoidalPositions"),
    ],
)
def test_names_of_other_frameworks_are_told(name: str, ours: str) -> None:
    with pytest.raises(UnknownNameError, match=f"It is called rt.{ours} here"):
        getattr(rt, name)


def test_a_keyword_of_pytorchs_is_told() -> None:
    with pytest.raises(ArgumentError, match="Here it is called heads, and comes first"):
        rt.MultiHeadAttention(num_heads=2, embed_dim=8)
    with pytest.raises(ArgumentError, match="masks follow from the lengths of the examples, and from causal"):
        rt.MultiHeadAttention(2, attn_mask=None)


def test_arrays_with_points_in_their_names_are_spoken_of_as_others() -> None:
    net = rt.Chain(attend=rt.MultiHeadAttention(2), input=("n", 8))
    assert net.why("attend.out_proj.weight") == (
        "attend.out_proj.weight is (8, 8)\n"
        "  8  because the input is ('n', 8)\n"
        "  8  because the input is ('n', 8)"
    )
    with pytest.raises(ShapeError, match="attend.out_proj.bias has shape \\(size\\)"):
        rt.Chain(attend=rt.MultiHeadAttention(2)).init()


def test_a_net_with_attention_is_saved_and_loaded(tmp_path: Path, comes_back) -> None:
    for name, net in {**SELF, **BOTH}.items():
        comes_back(net)
        made = net.init(seed=3)
        made.save(tmp_path / "net.safetensors")
        assert rt.load(tmp_path / "net.safetensors") == made, name
