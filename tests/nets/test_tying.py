"""Arrays that layers share: whole parts, or single arrays of different layers; tied and untied."""

import pickle

import pytest
import torch
from hypothesis import given
from random_nets import nets

import retia as rt

TOKENS = rt.Characters("abc ")
GPT = rt.Chain(
    tokens=rt.Embedding(8), body=rt.Linear(8), head=rt.Linear(bias=False), input=TOKENS, output=TOKENS
)
TIED = GPT.tie("tokens.weight", "head.weight")
NAMES = {name: getattr(rt, name) for name in ("Chain", "Characters", "Embedding", "Linear", "Shared")}


def test_an_embedding_and_the_layer_that_scores_its_tokens_share_one_array():
    assert TIED.count == GPT.count - 32
    assert list(TIED.array_shapes()) == ["tokens.weight", "body.weight", "body.bias"]
    net = TIED.init(seed=1)
    x = torch.tensor([[0, 3, 1]])
    weight = net.arrays["tokens.weight"]
    body = torch.nn.functional.linear(weight[x], net.arrays["body.weight"], net.arrays["body.bias"])
    assert torch.allclose(net.with_ports(input=(3,), output=None)(x), body @ weight.T, atol=1e-6)


def test_sizes_go_through_a_tied_array():
    net = rt.Chain(tokens=rt.Embedding(8, classes=50), head=rt.Linear(bias=False))
    assert net.array_shapes()["head.weight"] == (None, 8)
    tied = net.tie("tokens.weight", "head.weight").with_ports(input=(3,))
    assert tied.outputs["output"].shape == (3, 50)


def test_sharing_of_arrays_stands_in_repr_json_and_hash():
    assert repr(TIED["head"]) == "Shared('tokens.weight', Linear(bias=False), only='weight')"
    assert eval(repr(TIED), dict(NAMES)) == TIED
    assert pickle.loads(pickle.dumps(TIED.init())) == TIED.init()
    assert TIED.expression_hash != GPT.expression_hash


def test_a_tied_net_comes_back_from_its_file_with_the_array_once(tmp_path):
    net = TIED.init(seed=2)
    net.save(tmp_path / "net")
    assert rt.load(tmp_path / "net") == net
    assert "head.weight" not in rt.load(tmp_path / "net").arrays


def test_the_state_dict_of_a_tied_net_has_both_keys():
    module = torch.nn.Module()
    module.tokens, module.body = torch.nn.Embedding(4, 8), torch.nn.Linear(8, 8)
    module.head = torch.nn.Linear(8, 4, bias=False)
    module.head.weight = module.tokens.weight
    net = TIED.with_state_dict(module.state_dict())
    assert list(net.state_dict()) == list(module.state_dict())
    module.load_state_dict(net.state_dict(), strict=True)
    assert torch.equal(net.arrays["tokens.weight"], module.head.weight)


def test_training_moves_a_tied_array_by_the_sum_of_its_gradients():
    net = TIED.init(seed=3).with_ports(input=(3,), output=None)
    x, y = (
        torch.tensor([[0, 1, 2], [3, 0, 1]]),
        torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0)),
    )
    weight = net.arrays["tokens.weight"].clone().requires_grad_()
    hidden = torch.nn.functional.linear(weight[x], net.arrays["body.weight"], net.arrays["body.bias"])
    ((hidden @ weight.T - y) ** 2).mean().backward()
    for engine in ("walk", "program"):
        run = rt.train(
            net,
            (x, y),
            loss="mse",
            epochs=1,
            optimizer=rt.SGD(0.1),
            validation=0,
            engine=engine,
            progress=False,
        )
        expected = net.arrays["tokens.weight"] - 0.1 * weight.grad
        assert torch.allclose(run.last.arrays["tokens.weight"], expected, atol=1e-6)


def test_equal_parts_are_tied_with_the_arrays_of_the_first_path():
    net = rt.Chain(a=rt.Linear(3), b=rt.ReLU(), c=rt.Linear(3), input=3).init(seed=1)
    with pytest.warns(rt.RetiaWarning) as told:
        tied = net.tie("c", "a", name="f")
    assert [str(each.message) for each in told] == [
        "tie: the arrays of a differ from those of c, which both have now."
    ]
    assert told[0].filename == __file__
    assert repr(tied) == "Chain(a=Shared('f', Linear(3)), b=ReLU(), c=Shared('f', Linear(3)), input=3)"
    assert torch.equal(tied.arrays["a.weight"], net.arrays["c.weight"])
    assert list(tied.arrays) == ["a.weight", "a.bias"]
    assert [str(step) for step in tied.lineage] == ["init(seed=1)", "tie('c', 'a')"]


def test_untying_gives_each_place_what_they_shared():
    tied = TIED.init(seed=4)
    net = tied.untie("head.weight")
    assert repr(net) == repr(GPT)
    assert torch.equal(net.arrays["head.weight"], tied.arrays["tokens.weight"])
    three = rt.Chain(a=rt.Linear(3), b=rt.Linear(3), c=rt.Linear(3), input=3).tie("a", "b", "c")
    assert repr(three.untie("b")) == (
        "Chain(a=Shared('a', Linear(3)), b=Linear(3), c=Shared('a', Linear(3)), input=3)"
    )


def test_a_layer_may_be_tied_array_by_array():
    net = rt.Chain(a=rt.Linear(3), b=rt.Linear(3), c=rt.Linear(3), input=3)
    tied = net.tie("a.weight", "b.weight").tie("b.bias", "c.bias")
    assert list(tied.array_shapes()) == ["a.weight", "a.bias", "b.bias", "c.weight"]
    assert repr(tied.untie("b.bias").untie("b.weight")) == repr(net)


def test_parts_that_are_not_the_same_are_refused():
    with pytest.raises(rt.StructureError) as caught:
        GPT.tie("body", "head")
    assert str(caught.value) == (
        "tie: body is Linear(8), but head is Linear(bias=False).\n"
        "  fix   tied parts are the same but for their arrays; of others single arrays may be tied, "
        'net.tie("body.weight", "head.weight")'
    )


def test_arrays_of_other_shapes_are_refused():
    with pytest.raises(rt.ShapeError) as caught:
        rt.Chain(body=rt.Linear(4), head=rt.Linear(5), input=4).tie("body.weight", "head.weight")
    assert str(caught.value) == (
        "head (Linear(5)): (4) cannot be (5).\n"
        "  from  4 because head (Linear(5)) is shared with body\n"
        "  from  4 because body (Linear(4)) says so\n"
        "  from  5 because head (Linear(5)) says so"
    )


def test_paths_that_cannot_be_tied_are_refused():
    with pytest.raises(rt.ArgumentError, match="tie: name the paths of two parts or arrays, or of more"):
        GPT.tie("head")
    with pytest.raises(rt.ArgumentError, match="tie: head.weight is an array, but body is not"):
        GPT.tie("head.weight", "body")
    with pytest.raises(rt.UnknownNameError, match="There is no part or array 'haed'. Did you mean 'head'?"):
        GPT.tie("haed", "body")
    with pytest.raises(rt.StructureError) as caught:
        TIED.untie("body")
    assert str(caught.value) == "untie: body is not tied; tied are tokens.weight, head.weight."


def test_one_name_shares_everything_or_some_arrays_but_not_both():
    with pytest.raises(rt.StructureError) as caught:
        rt.Chain(rt.Shared("f", rt.Linear(3)), rt.Shared("f", rt.Linear(3), only="weight"), input=3)
    assert str(caught.value) == (
        "1: Shared('f') shares weight here and everything at 0.\n  fix   give one of them another name"
    )
    with pytest.raises(rt.StructureError, match="shares everything here and some arrays at another place"):
        rt.Chain(rt.Shared("f", rt.Linear(3), only="weight"), rt.Shared("f", rt.Linear(3)), input=3)
    with pytest.raises(rt.UnknownNameError) as unknown:
        rt.Shared("f", rt.Linear(3), only="wieght")
    assert str(unknown.value) == (
        "Shared: only='wieght', but the net's arrays are weight, bias. Did you mean 'weight'?"
    )


@given(nets())
def test_tying_a_part_of_any_net_to_its_equal_and_untying_it_is_the_same_net(net):
    pair = rt.Graph(
        {"a": net, "b": net},
        "x -> a -> left",
        "y -> b -> right",
        input={"x": None, "y": None},
        output={"left": None, "right": None},
    )
    tied = pair.tie("a", "b")
    assert len(tied.array_shapes()) * 2 == len(pair.array_shapes())
    assert tied.untie("a") == pair
