"""Nets in other numbers: all arrays, or some, and what is computed in which type."""

import pytest
import torch

import retia as rt

NET = rt.Chain(rt.Linear(4), rt.ReLU(), rt.BatchNorm(), head=rt.Linear(3), input=2).init(seed=1)
X = torch.tensor([[0.5, -1.0], [2.0, 1.0]])


@pytest.mark.parametrize("kind", ["float64", "float16", "bfloat16", torch.float64])
def test_a_cast_net_computes_in_the_type_that_was_asked_for(kind):
    net = NET.cast(kind)
    dtype = getattr(torch, kind) if isinstance(kind, str) else kind
    assert {tensor.dtype for tensor in net.arrays.values()} == {dtype, torch.int64}
    assert net(X).dtype == dtype
    module = torch.nn.Sequential(
        torch.nn.Linear(2, 4), torch.nn.ReLU(), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 3)
    )
    module.load_state_dict({name.replace("head", "3"): t for name, t in net.state_dict().items()})
    module = module.to(dtype).eval()
    assert torch.allclose(net(X), module(X.to(dtype)), atol=1e-6 if dtype == torch.float64 else 2e-2)
    assert torch.allclose(net.program(2)(X.to(dtype)), net(X), atol=1e-6 if dtype == torch.float64 else 2e-2)


def test_whole_numbers_are_never_cast_and_the_old_net_stays():
    before = NET.hash
    assert NET.cast("float16").arrays["2.num_batches_tracked"].dtype == torch.int64
    assert NET.hash == before
    with pytest.raises(rt.UnknownNameError) as caught:
        NET.cast("float16", only="2.num_batches_tracked")
    assert str(caught.value) == "cast: only='2.num_batches_tracked' matches whole numbers alone."


def test_widening_and_narrowing_again_is_the_same_net():
    assert NET.cast("float64").cast("float32") == NET


def test_a_layer_computes_in_the_widest_type_of_its_own_arrays():
    net = NET.cast("float64", only="head")
    trunk = NET[:-1](X)
    weight, bias = NET.arrays["head.weight"].double(), NET.arrays["head.bias"].double()
    assert net(X).dtype == torch.float64
    assert torch.allclose(net(X), torch.nn.functional.linear(trunk.double(), weight, bias), atol=1e-12)
    stored = NET.cast("bfloat16", only="*.weight")
    assert stored(X).dtype == torch.float32
    rounded = NET.with_arrays(
        {p: t.bfloat16().float() for p, t in NET.arrays.items() if p.endswith("weight")}
    )
    assert torch.equal(stored(X), rounded(X))
    assert torch.allclose(net.program(2)(X), net(X), atol=1e-6)


def test_values_of_two_types_meet_in_the_wider_one():
    net = rt.Graph(lambda x: rt.Linear(2)(x) + rt.Linear(2)(x), input=2).init()
    assert net.cast("float64", only="linear2")(X).dtype == torch.float64
    concat = rt.Graph(lambda x: rt.Concat()(rt.Linear(2)(x), x), input=2).init()
    assert concat.cast("bfloat16")(X).dtype == torch.bfloat16


def test_a_recurrent_view_of_mixed_types_answers_as_the_net():
    net = rt.Chain(rt.Embedding(4, classes=5), rt.GRU(3), rt.Linear(2), input=("n",)).init()
    net = net.cast("float64", only="1")
    view = net.stateful()
    whole = net([0, 3, 1])
    assert whole.dtype == torch.float32
    assert torch.allclose(torch.cat([view([0, 3]), view([1])]), whole)


def test_what_is_no_type_of_nets_or_no_array_is_refused():
    with pytest.raises(rt.ArgumentError) as caught:
        NET.cast("float46")
    assert str(caught.value) == (
        "cast: a net's numbers are float64, float32, float16, bfloat16; got 'float46'. "
        "Did you mean 'float64'?"
    )
    with pytest.raises(rt.ArgumentError, match="got 'int64'"):
        NET.cast("int64")
    with pytest.raises(rt.ArraysError) as none:
        rt.Linear(2).cast("float64")
    assert str(none.value) == "cast: this net has no arrays yet.\n  fix   net.init(seed=0) first"
    with pytest.raises(rt.UnknownNameError, match="cast: only='haed' matches no array"):
        NET.cast("float64", only="haed")


def test_a_cast_is_kept_by_files_and_told_by_the_lineage(tmp_path):
    net = NET.cast("bfloat16", only="head")
    net.save(tmp_path / "net")
    assert rt.load(tmp_path / "net") == net
    assert str(net.lineage[-1]) == "cast('bfloat16', only='head')"
