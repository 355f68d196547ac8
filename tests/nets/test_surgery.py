"""Surgery, operation by operation: what it answers, what it keeps, and its errors whole."""

from __future__ import annotations

import pytest
import torch

import retia as rt

CODEC = rt.Classes(["cat", "dog", "owl"])


@pytest.fixture(scope="module")
def chain() -> rt.Net:
    """A trained classifier: an input of two numbers, three classes."""
    layers = rt.Linear(30), rt.Tanh(), rt.Linear(3)
    return rt.Chain(*layers, probabilities=rt.Softmax(), input=2, output=CODEC).init(seed=1)


@pytest.fixture(scope="module")
def skip() -> rt.Net:
    """A graph with a connection that skips two layers."""
    return rt.Graph(
        {"conv": rt.Linear(4), "relu": rt.ReLU(), "plus": rt.Plus(), "head": rt.Linear(3)},
        "input -> conv -> relu -> plus",
        "input -> plus -> head",
        input=4,
        output=CODEC,
    ).init(seed=1)


def block() -> rt.Net:
    return rt.Chain(conv=rt.Linear(3), relu=rt.ReLU())


def told(run: object) -> str:
    """The whole text of the error that a call raises."""
    with pytest.raises(rt.Error) as caught:
        run()  # type: ignore[operator]
    return str(caught.value)


# Cutting ------------------------------------------------------------------------------------------


def test_an_end_that_is_cut_off_takes_its_type_with_it(chain: rt.Net) -> None:
    assert chain.take(2).outputs["output"].codec is None
    assert chain.take(2).input == 2
    assert chain.drop(2).output == CODEC
    assert chain.drop(2).input is None
    assert chain["1":"probabilities"] == chain[1:3]
    assert repr(chain[1:3]) == "Chain(Tanh(), Linear(3))"


def test_take_and_drop_count_from_both_ends_and_go_by_names(chain: rt.Net) -> None:
    assert chain.take(-1) == chain.drop(3) == chain["probabilities":]
    assert chain.drop(-1) == chain.take(3) == chain[:"probabilities"]
    assert chain.take("2") == chain[:3]
    assert chain.take("1", "2") == chain[1:3]


def test_a_slice_of_a_graph_is_what_a_part_depends_on(skip: rt.Net) -> None:
    assert repr(skip[:"head"]) == (
        "Graph({'conv': Linear(4), 'relu': ReLU(), 'plus': Plus()}, 'input -> conv -> relu -> plus', "
        "'input -> plus -> output', input=4)"
    )
    assert repr(skip["head":]) == f"Graph({{'head': Linear(3)}}, 'input -> head -> output', output={CODEC!r})"
    assert skip[:"head"].arrays["conv.weight"] is skip.arrays["conv.weight"]
    assert [*skip["plus":"head"].inputs] == ["input", "relu"]
    assert [*skip.take("conv", "plus").children] == ["conv", "relu", "plus"]


def test_a_slice_that_cuts_a_skip_connection_names_it(skip: rt.Net) -> None:
    said = (
        "would leave a wire dangling: input -> plus.\n  fix   cut where nothing passes by, or "
        "net.split('relu'), whose parts have ports for it"
    )
    assert told(lambda: skip[:"relu"]) == f"Graph[:'relu']: the cut before relu {said}"
    assert told(lambda: skip["relu":]) == f"Graph['relu':]: the cut before relu {said}"
    assert told(lambda: skip.drop("relu")) == f"drop: the cut after relu {said}"
    nested = rt.Chain(block=skip[:"head"], head=rt.Linear(2))
    assert told(lambda: nested[:"block.relu"]) == (
        "Chain[:'block.relu']: the cut before block.relu would leave a wire within block dangling: "
        "input -> plus.\n  fix   cut where nothing passes by, or net.split('block.relu'), whose parts have "
        "ports for it"
    )


def test_a_split_has_ports_named_after_what_crosses(skip: rt.Net) -> None:
    first, second = skip.split("plus")
    assert [*first.outputs], [*second.inputs] == (["relu"], ["input", "relu"])
    x = torch.rand(4)
    assert torch.equal(second({"input": x, "relu": first(x)}, None), skip(x, None))
    again = first.join(second)
    assert again == skip


def test_a_cut_within_a_part_leaves_both_halves_under_its_name() -> None:
    net = rt.Chain(stem=rt.Linear(4), block=block(), head=rt.Linear(2), input=4).init()
    first, second = net.split("block.relu")
    assert repr(first) == "Chain(stem=Linear(4), block=Chain(conv=Linear(3)), input=4)"
    assert repr(second) == "Chain(block=Chain(relu=ReLU()), head=Linear(2))"
    assert repr(net[:"block.conv"]) == "Chain(stem=Linear(4), input=4)"
    x = torch.rand(4)
    assert torch.equal(second.one(first(x)), net(x))


def test_errors_of_cutting_say_what_would_be_right(chain: rt.Net, skip: rt.Net) -> None:
    assert told(lambda: skip[:2]) == (
        "Graph[:2]: numbers count the parts of a chain; those of a Graph have names: conv, relu, plus, head."
    )
    assert told(lambda: skip["conv":"head":2]) == "A Graph is not sliced with a step."
    assert told(lambda: skip[:"had"]) == (
        "Graph[:'had']: there is no part 'had'. Did you mean 'head'?\n"
        "  fix   the net has conv, relu, plus, head"
    )
    assert told(lambda: skip["head":"plus"]) == "Graph['head':'plus']: plus does not come after head."
    assert told(lambda: chain.take(9)) == "take: 9 of 4 parts."
    assert told(lambda: chain.drop(None)) == "drop: a number of parts, or the path of the last; got None."
    shared = rt.Chain(rt.Shared("f", block()), rt.Linear(2), input=4)
    assert told(lambda: shared.split("0.relu")) == (
        "split: 0.relu is shared, so that the net cannot be cut there.\n  fix   cut at '0'"
    )


# End to end ---------------------------------------------------------------------------------------


def test_what_comes_to_an_end_leaves_the_type_of_the_port(chain: rt.Net) -> None:
    longer = chain.prepend(rt.GaussianNoise(0.1)).append(rt.ReLU())
    assert (longer.input, longer.output) == (2, CODEC)
    assert [*longer.children] == ["0", "1", "2", "3", "probabilities", "5"]
    assert longer.arrays["1.weight"] is chain.arrays["0.weight"]


def test_a_part_of_a_graph_comes_to_its_ends_under_a_free_name(skip: rt.Net) -> None:
    longer = skip.append(rt.ReLU()).prepend(rt.Tanh(), norm=rt.LayerNorm())
    assert [*longer.children] == ["tanh", "norm", "conv", "relu", "plus", "head", "relu2"]
    assert (longer.input, longer.output) == (4, CODEC)
    assert longer.arrays["conv.weight"] is skip.arrays["conv.weight"]


def test_a_port_is_no_part(chain: rt.Net) -> None:
    assert told(lambda: chain[:-1].append(rt.Linear(), output=rt.Classes(["a"]))) == (
        "append: output= would be a part of this name; got Classes(('a',)).\n"
        "  fix   net.with_ports(output=...) sets the type of a port"
    )


def test_a_layer_becomes_a_chain_with_what_is_appended() -> None:
    assert repr(rt.Linear(3, input=2).append(rt.ReLU())) == "Chain(Linear(3, input=2), ReLU())"


def test_a_type_that_no_longer_fits_is_told_where_it_happens(chain: rt.Net) -> None:
    assert told(lambda: chain.append(rt.Linear(5))).splitlines()[0] == (
        f"The net declares its output as {CODEC!r}, (3), but 4 (Linear(5)) gives (5)."
    )
    assert chain.with_ports(output=None).append(rt.Linear(5)).outputs["output"].shape == (5,)
    assert told(lambda: chain.delete(0)).splitlines()[0] == (
        "1 (Linear(3)): its weight would have shape (3, 2) here, but it was made with (3, 30)."
    )


def test_joining_drops_the_codecs_that_come_inside_and_says_so(chain: rt.Net) -> None:
    with pytest.warns(rt.RetiaWarning) as caught:
        joined = chain.join(rt.Chain(rt.Linear(2), input=rt.Vector(3)))
    assert [str(each.message) for each in caught] == [
        f"join: the {codec}, would come inside and is dropped; codecs act at the outer ports."
        for codec in (f"output codec, {CODEC!r}", "input codec, Vector(3)")
    ]
    assert {each.filename for each in caught} == {__file__}
    assert repr(
        joined
    ) == "Chain({'0': Linear(30), '1': Tanh(), '2': Linear(3), 'probabilities': Softmax(), " + (
        "'4': Linear(2)}, input=2)"
    )


def test_sizes_that_were_said_where_nets_meet_stay_known() -> None:
    net = rt.Chain(rt.Linear(), output=5).join(rt.Chain(rt.Linear(2), input=5))
    assert net.array_shapes()["1.weight"] == (2, 5)


def test_nets_meet_by_the_names_of_their_ports() -> None:
    first = rt.Graph(lambda x: {"low": rt.ReLU()(x), "high": rt.Tanh()(x)}, input=3)
    second = rt.Graph(lambda high, extra: rt.Plus()(high, extra), input={"high": 3, "extra": 3})
    both = first.join(second)
    assert ([*both.inputs], [*both.outputs]) == (["input", "extra"], ["output", "low"])
    third = rt.Graph(lambda a, b: a + b)
    assert told(lambda: first.join(third)) == (
        "join: what comes before gives low, high, but what comes after takes a, b: no two have one name."
        "\n  fix   say which goes where with rt.Graph"
    )
    assert told(lambda: rt.Chain(head=rt.Linear(2)).join(rt.Chain(head=rt.Linear(2)))) == (
        "join: two parts would be called 'head'.\n"
        """  fix   net.rename({'head': "..."}) gives one of them another name"""
    )
    assert told(lambda: rt.Chain(rt.ReLU()).join(3)) == "join: 1 is 3, which is not a net."


# Parts that come and go ---------------------------------------------------------------------------


def test_parts_are_inserted_before_after_and_on_edges(chain: rt.Net, skip: rt.Net) -> None:
    assert [*chain.insert("probabilities", rt.ReLU(), drop=rt.Dropout()).children] == [
        "0", "1", "2", "3", "drop", "probabilities",
    ]  # fmt: skip
    assert (
        chain.insert(1, rt.ReLU())
        == chain.insert(0, rt.ReLU(), after=True)
        == chain.insert("0 -> 1", rt.ReLU())
    )
    assert chain.insert(4, rt.ReLU()) == chain.append(rt.ReLU())
    for net in (skip.insert("plus", t=rt.Tanh(), after=True), skip.insert("head", t=rt.Tanh())):
        assert net.edges() == ("input -> conv -> relu -> plus", "input -> plus -> t -> head -> output")
    net = skip.insert("input -> plus", t=rt.Tanh())
    assert net.edges()[-1] == "t -> plus -> head -> output"
    assert "input -> t" in net.edges()
    deep = rt.Chain(block=skip[:"head"], last=rt.ReLU()).insert("block.relu -> block.plus", t=rt.Tanh())
    assert deep["block"].edges()[0] == "input -> conv -> relu -> t -> plus"


def test_a_place_with_several_wires_is_refused_with_these(skip: rt.Net) -> None:
    assert told(lambda: skip.insert("plus", rt.Tanh())) == (
        "insert: 2 wires lead to plus, so nothing says on which of them the new parts stand: relu -> plus, "
        "input -> plus.\n  fix   net.insert('relu -> plus', ...)"
    )
    assert told(lambda: skip.delete("plus")) == (
        "delete: 2 wires lead to plus, so nothing says what would take its place: relu -> plus, "
        "input -> plus.\n  fix   net.replace('plus', ...)"
    )
    assert told(lambda: skip.insert("conv -> plus", rt.Tanh())) == (
        "insert: there is no wire 'conv -> plus'. Did you mean 'conv -> relu'?\n"
        "  fix   the wires are input -> conv, conv -> relu, relu -> plus, input -> plus, plus -> head, "
        "head -> output"
    )
    twice = rt.Graph({"times": rt.Times()}, "input -> times", "input -> times", input=3)
    assert told(lambda: twice.insert("input -> times", rt.Tanh())) == (
        "insert: 2 wires are 'input -> times'.\n  fix   the wires are input -> times.1, input -> times.2"
    )
    pair = rt.Graph(lambda a, b: a + b)
    assert told(lambda: skip.insert("head", pair)).endswith(
        "takes a, b and gives output; what stands on a wire has one input and one output.\n"
        "  fix   say which goes where with rt.Graph"
    )
    assert told(lambda: skip.insert("head", relu=rt.Tanh())) == (
        "insert: two parts would be called 'relu'.\n"
        """  fix   net.rename({'relu': "..."}) gives one of them another name"""
    )


def test_parts_are_deleted_by_path_number_and_pattern(chain: rt.Net, skip: rt.Net) -> None:
    assert repr(chain.delete(-1, 1)) == f"Chain(Linear(30), Linear(3), input=2, output={CODEC!r})"
    assert skip.delete("relu").edges()[0] == "input -> conv -> plus"
    blocks = rt.Chain(a=block(), b=block(), input=4)
    assert repr(blocks.delete("*.relu")) == "Chain(a=Chain(conv=Linear(3)), b=Chain(conv=Linear(3)), input=4)"
    assert told(lambda: blocks.delete("*.relo")) == (
        "delete: '*.relo' matches no part. Did you mean 'b.relu'?\n"
        "  fix   the net has a, a.conv, a.relu, b, b.conv, b.relu"
    )
    assert told(lambda: chain.delete(7)) == "delete: there is no child 7: the chain has 4."
    assert told(lambda: chain.delete(None)) == "delete: a place is a path or a number; got None."


def test_parts_are_replaced_by_path_pattern_class_and_function(chain: rt.Net) -> None:
    blocks = rt.Chain(a=block(), b=block(), input=4).init(seed=1)
    gelu = "Chain(conv=Linear(3), relu=GELU())"
    for net in (
        blocks.replace("*.relu", rt.GELU()),
        blocks.replace(rt.ReLU, rt.GELU()),
        blocks.replace(lambda layer: isinstance(layer, rt.ReLU), lambda layer: rt.GELU()),
        blocks.replace("a.relu", rt.GELU()).replace("b.relu", rt.GELU()),
        blocks.map_layers(lambda path, layer: rt.GELU() if path.endswith("relu") else layer),
    ):
        assert repr(net) == f"Chain(a={gelu}, b={gelu}, input=4)"
        assert net.arrays["b.conv.weight"] is blocks.arrays["b.conv.weight"]
    two = rt.Chain(rt.Linear(3), input=2).replace(0, rt.Linear(5))
    assert two.outputs["output"].shape == (5,)


def test_what_replaces_nothing_or_does_not_fit_is_told(chain: rt.Net, skip: rt.Net) -> None:
    assert told(lambda: chain.replace("*.relu", rt.GELU())) == (
        "replace: '*.relu' matches no part.\n  fix   the net has 0, 1, 2, probabilities"
    )
    assert told(lambda: chain.replace(rt.ReLU, rt.GELU())) == (
        "replace: ReLU matches no layer.\n  fix   the net has layers of Linear, Softmax, Tanh"
    )
    assert told(lambda: chain.replace("probabilitys", rt.GELU())) == (
        "replace: there is no part 'probabilitys'. Did you mean 'probabilities'?\n"
        "  fix   the net has 0, 1, 2, probabilities"
    )
    assert told(lambda: chain.replace(0, rt.Linear(7))).splitlines()[0] == (
        "2 (Linear(3)): its weight would have shape (3, 7) here, but it was made with (3, 30)."
    )
    assert told(lambda: chain.replace(0, rt.Linear)) == (
        "replace: new is the class Linear, not a net.\n  fix   Linear()"
    )
    assert told(lambda: chain.replace(0, lambda old: 3)) == "replace: new is 3, which is not a net."
    pair = rt.Graph(lambda a, b: a + b)
    assert told(lambda: skip.replace("relu", pair)) == (
        "replace: relu takes input in this place, but the new net takes a, b.\n"
        "  fix   a net with the same ports, rt.Graph(..., input={...}, output={...})"
    )


def test_names_and_paths_of_arrays_follow_a_renaming(skip: rt.Net) -> None:
    net = rt.Chain(block=skip[:"head"], head=rt.Linear(2)).init()
    new = net.rename({"block": "trunk", "block.conv": "first"})
    assert [*new.arrays] == ["trunk.first.weight", "trunk.first.bias", "head.weight", "head.bias"]
    assert new.arrays["trunk.first.weight"] is net.arrays["block.conv.weight"]
    swapped = skip.rename({"conv": "head", "head": "conv"})
    assert swapped.edges()[0] == "input -> head -> relu -> plus"
    assert [*net.rename(str.upper).children] == ["BLOCK", "HEAD"]
    assert told(lambda: net.rename({"head": "block"})).splitlines()[0] == (
        "rename: two parts would be called 'block'."
    )
    assert told(lambda: net.rename({"head": "a.b"})) == (
        "rename: a part's name is a word without dots or spaces; got 'a.b'."
    )
    assert told(lambda: net.rename({"had": "x"})).splitlines()[0] == (
        "rename: there is no part 'had'. Did you mean 'head'?"
    )


# Levels -------------------------------------------------------------------------------------------


def test_flattening_goes_between_chains_and_graphs() -> None:
    chain = rt.Chain(a=block(), b=rt.Chain(rt.Chain(rt.Linear(2))), input=4)
    assert repr(chain.flatten()) == "Chain(a_conv=Linear(3), a_relu=ReLU(), b_0=Linear(2), input=4)"
    assert repr(chain.flatten(1)) == ("Chain(a_conv=Linear(3), a_relu=ReLU(), b_0=Chain(Linear(2)), input=4)")
    assert chain.flatten(0) == chain
    line = rt.Graph({"a": block(), "b": rt.ReLU()}, "a -> b", input=4, output=rt.Vector(3))
    assert (
        repr(line.flatten()) == "Chain(a_conv=Linear(3), a_relu=ReLU(), b=ReLU(), input=4, output=Vector(3))"
    )
    around = rt.Chain(rt.Linear(3), rt.Graph(lambda x: rt.ReLU()(x) + x), rt.Linear(2), input=4)
    assert [*around.flatten().children] == ["linear", "relu", "plus", "linear2"]
    within = rt.Map(rt.Chain(rt.Chain(rt.Linear(2))))
    assert repr(within.flatten()) == "Map(Chain(Linear(2)))"
    assert told(lambda: chain.flatten(-1)) == "flatten: levels is a whole number from 0 on, or None; got -1."


def test_codecs_of_an_inner_end_become_those_of_the_whole() -> None:
    net = rt.Chain(head=rt.Chain(rt.Linear(), input=2, output=CODEC)).init()
    assert (net.flatten().input, net.flatten().output) == (2, CODEC)


def test_some_parts_become_one(chain: rt.Net, skip: rt.Net) -> None:
    nested = chain.nest("trunk", 0, 2)
    assert repr(nested["trunk"]) == "Chain(Linear(30), Tanh())"
    assert [*nested.children] == ["trunk", "1", "probabilities"]
    assert nested.arrays["trunk.0.weight"] is chain.arrays["0.weight"]
    assert skip.nest("block", "conv", "head").edges() == ("input -> block -> head -> output",)
    two = skip.nest("block", "plus", "head")
    assert [*two["block"].input_names()] == ["relu", "input"]
    assert told(lambda: chain.nest("trunk", 2, 2)) == "nest: there is no part from 2 to before 2."
    assert told(lambda: chain.nest("probabilities", 0, 2)).splitlines()[0] == (
        "nest: two parts would be called 'probabilities'."
    )


def test_an_inner_value_becomes_an_output(chain: rt.Net, skip: rt.Net) -> None:
    shown = chain.expose("1", scores="2")
    x = torch.rand(2)
    assert torch.equal(shown(x)["1"], chain.at("1")(x))
    assert [*shown.outputs] == ["output", "1", "scores"]
    assert shown.outputs["output"].codec == chain.outputs["output"].codec
    assert [*shown.arrays] == [*chain.arrays]
    assert eval(repr(shown.expose("0")), vars(rt)).expression_hash == shown.expose("0").expression_hash
    deep = rt.Chain(block=skip[:"head"], head=rt.Linear(2)).init().expose("block.relu")
    assert [*deep.outputs] == ["output", "block_relu"]
    assert (
        told(lambda: shown.expose(scores="0")).splitlines()[0]
        == "expose: there is an output 'scores' already."
    )
    shared = rt.Chain(f=rt.Shared("f", block()), input=4)
    assert told(lambda: shared.expose("f.relu")) == (
        "expose: relu is shared, so that it has no value of its own in the net around it.\n"
        "  fix   expose the part around it"
    )


# Sharing, operators, views ------------------------------------------------------------------------


def test_what_is_shared_changes_in_all_its_places() -> None:
    def siamese(a: rt.Input, b: rt.Input) -> object:
        return rt.Shared("f", block())(a) - rt.Shared("f", block())(b)

    net = rt.Graph(siamese, input={"a": 2, "b": 2}).init(seed=1)
    for new in (
        net.replace("shared.relu", rt.Tanh()),
        net.replace("shared2.relu", rt.Tanh()),
        net.replace("*.relu", rt.Tanh()),
        net.replace(rt.ReLU, rt.Tanh()),
        net.delete("shared.relu").insert("shared2.conv", relu=rt.Tanh(), after=True),
    ):
        assert [repr(part) for part in new.children.values()][:2] == [
            "Shared('f', Chain(conv=Linear(3), relu=Tanh()))"
        ] * 2
        assert [*new.arrays] == ["shared.conv.weight", "shared.conv.bias"]
        assert new.arrays["shared.conv.weight"] is net.arrays["shared.conv.weight"]
    renamed = net.rename({"shared2.conv": "first"})
    assert [*renamed.arrays] == ["shared.first.weight", "shared.first.bias"]


def test_a_net_within_an_operator_is_reached_by_its_path() -> None:
    net = rt.Chain(rt.Map(block()), head=rt.Linear(2), input=(5, 4)).init(seed=1)
    assert repr(net.replace("0.net.relu", rt.GELU())[0]) == "Map(Chain(conv=Linear(3), relu=GELU()))"
    assert repr(net.insert("0.net.relu", rt.Dropout())[0]) == (
        "Map(Chain({'conv': Linear(3), '1': Dropout(), 'relu': ReLU()}))"
    )
    assert [*net.rename({"0.net.conv": "first"}).arrays][0] == "0.net.first.weight"
    assert told(lambda: net.replace("0.net", rt.Plus())).splitlines()[0].startswith("Map: its net takes")
    assert told(lambda: net[:"0.net"]) == (
        "Chain[:'0.net']: 0.net runs within 0, so that the net cannot be cut there.\n  fix   cut at '0'"
    )


def test_a_view_of_inner_parts_keeps_to_its_paths(chain: rt.Net) -> None:
    view = chain.at("1")
    assert repr(view.replace("1", rt.ReLU())).endswith(".at('1')")
    assert "at('1')" in told(lambda: view.delete("0"))


def test_every_operation_stands_in_the_lineage(chain: rt.Net) -> None:
    net = chain.take(3).append(rt.ReLU()).delete("1").rename({0: "first"})[:2]
    assert [str(step) for step in net.lineage] == [
        "init(seed=1)", "take(3)", "append(ReLU())", "delete('1')", "rename({0: 'first'})", "[:2]",
    ]  # fmt: skip
