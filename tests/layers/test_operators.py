"""Nets within nets: mapped over sequences and folded along them."""

import pytest
import torch
from torch import Tensor

import retia as rt
from retia.engine.walk import Run, walk
from retia.nets.patterns import matches

WITHIN = {
    "a layer": (lambda: rt.Linear(3), (2,)),
    "a chain": (lambda: rt.Chain(rt.Conv1d(4, 2), rt.ReLU(), rt.Flatten(), rt.Linear(2)), (2, 5)),
    "a graph": (lambda: rt.Graph(lambda x: rt.Tanh()(rt.Linear(2)(x)) * rt.Softmax()(x)), (2,)),
    "a sequence's net": (lambda: rt.Chain(rt.GRU(3), rt.Last()), (4, 2)),
    "a root": (lambda: rt.Chain(rt.Linear(3), rt.Elementwise("square"), rt.Elementwise("log")), (2,)),
    "a map": (lambda: rt.Map(rt.Chain(rt.Linear(2), rt.Softmax())), (3, 2)),
    "a fold": (lambda: folded(3), (3, 2)),
    "shared": (lambda: rt.Chain(rt.Shared("a", rt.Linear(2)), rt.Tanh(), rt.Shared("a", rt.Linear(2))), (2,)),
}
within = pytest.mark.parametrize(("net", "shape"), WITHIN.values(), ids=WITHIN)


def folded(size: int, **how) -> rt.Fold:
    """A simple recurrent net."""
    return rt.Fold(rt.Graph(lambda x, h: rt.Tanh()(rt.Linear(size)(x) + rt.Linear(size)(h))), size, **how)


def lstm_cell(size: int) -> rt.Graph:
    def cell(x, hidden, cell):
        gates = rt.Linear(4 * size)(x) + rt.Linear(4 * size)(hidden)
        i, f, g, o = (gates[k * size : (k + 1) * size] for k in range(4))
        after = rt.Sigmoid()(f) * cell + rt.Sigmoid()(i) * rt.Tanh()(g)
        return {"hidden": rt.Sigmoid()(o) * rt.Tanh()(after), "cell": after}

    return rt.Graph(cell)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def doubled(net: rt.Net) -> dict[str, Tensor]:
    return {path: array.double().requires_grad_() for path, array in net.arrays.items()}


def close(got: Tensor, expected: Tensor) -> None:
    got, expected = got.detach(), expected.detach()
    assert got.shape == expected.shape
    assert (got - expected).norm() <= 1e-9 * max(1.0, float(expected.norm()))


# Map ----------------------------------------------------------------------------------------------


@within
def test_a_map_is_its_net_applied_to_each_element(net, shape):
    inner = net()
    outer = rt.Map(inner, input=(5, *shape)).init(seed=1)
    arrays, x = doubled(outer), numbers(3, 5, *shape).requires_grad_()
    own = {path.removeprefix("net").removeprefix("."): array for path, array in arrays.items()}
    alone = rt.Chain(inner, input=shape)
    one = lambda i: walk(alone, {"input": x[:, i]}, {f"0.{p}": a for p, a in own.items()})["output"]  # noqa: E731
    got, expected = walk(outer, {"input": x}, arrays)["output"], torch.stack([one(i) for i in range(5)], 1)
    close(got, expected)
    weight = numbers(*got.shape, seed=1)
    ours = torch.autograd.grad((got * weight).sum(), [x, *arrays.values()])
    for mine, theirs in zip(
        ours, torch.autograd.grad((expected * weight).sum(), [x, *arrays.values()]), strict=True
    ):
        close(mine, theirs)


@within
def test_padding_of_mapped_sequences_goes_nowhere(net, shape, keeps_the_batch_law):
    keeps_the_batch_law(rt.Map(net(), input=("n", *shape)), {"n": [3, 1, 4]})


def test_elements_may_vary_too(keeps_the_batch_law):
    net = rt.Map(rt.Chain(rt.LSTM(2), rt.Last()), input=("n", "m", 2))
    keeps_the_batch_law(net, {"n": [2, 3, 1], "m": [4, 2, 3]})
    assert net.init()([[[[1.0, 2.0]], [[0.0, 1.0]]], [[[1.0, 1.0], [2.0, 2.0]]]])[1].shape == (1, 2)


@within
def test_operators_come_back_from_text_and_files(net, shape, comes_back, tmp_path):
    made = rt.Chain(rt.Map(net()), rt.ReLU(), input=("n", *shape))
    comes_back(made)
    made = made.init(seed=2)
    made.save(tmp_path / "net.safetensors")
    again = rt.load(tmp_path / "net.safetensors")
    assert again == made
    assert again.hash == made.hash


def test_sizes_go_both_ways_through_an_operator():
    inferred = rt.Chain(rt.Map(rt.Chain(rt.Flatten(), rt.Linear())), rt.Linear(7), input=("n", 4, 4))
    assert inferred.array_shapes()["0.net.1.weight"] == (None, 16)
    fixed = rt.Chain(rt.Map(rt.Linear()), input=("n", 4), output=("n", 3))
    assert fixed.array_shapes() == {"0.net.weight": (3, 4), "0.net.bias": (3,)}
    told = rt.Chain(rt.Linear(), rt.Map(rt.Linear(2, input=5)), input=(9, 4))
    assert told.array_shapes()["0.weight"] == (5, 4)
    assert told.why("0.weight").splitlines()[1] == "  5  because 1.net's input is 5"
    assert rt.Chain(rt.Map(rt.Linear(4)), output=(3, 4)).inputs["input"].shape == (3, None)


def test_an_error_names_the_layer_within():
    with pytest.raises(rt.ShapeError) as caught:
        rt.Chain(rt.Map(rt.Chain(rt.Linear(3), rt.Conv2d(2, 3))), input=(5, 4))
    assert str(caught.value) == (
        "0.net.1 (Conv2d(2, 3)) takes (in, h, w), but 0.net.0 (Linear(3)) gives (3)."
    )
    assert caught.value.path == "0.net.1"
    with pytest.raises(rt.ShapeError, match=r"^1\.net \(Conv1d\(2, 1\)\) takes \(in, n\), but 1 \(Map\("):
        rt.Chain(rt.Tanh(), rt.Map(rt.Conv1d(2, 1)), input=(5, 4))


def test_arrays_stand_under_the_path_of_the_net_and_are_parts_like_others():
    net = rt.Chain(rt.Map(rt.Chain(rt.Linear(3), rt.Tanh())), rt.Linear(2), input=("n", 4)).init(seed=3)
    assert [*net.arrays] == ["0.net.0.weight", "0.net.0.bias", "1.weight", "1.bias"]
    assert net.count == 3 * 5 + 2 * 4
    assert [path for path, _ in net.layers()] == ["0", "0.net.0", "0.net.1", "1"]
    assert net["0.net.0"].arrays["weight"] is net.arrays["0.net.0.weight"]
    assert matches("0", "0.net.0.weight")
    again = net.init(seed=4, only="0")
    assert not torch.equal(again.arrays["0.net.0.weight"], net.arrays["0.net.0.weight"])
    assert torch.equal(again.arrays["1.weight"], net.arrays["1.weight"])
    moved = net.with_arrays({"0.net.0.bias": torch.ones(3)})
    assert moved.arrays["0.net.0.bias"].tolist() == [1, 1, 1]
    assert moved != net


def test_the_table_shows_what_is_inside():
    net = rt.Chain(rt.Map(rt.Chain(rt.Linear(3), rt.Tanh())), input=("n", 4))
    assert net.table(70).splitlines()[4:8] == [
        "0       Map        (n, 4)  (n, 3)",
        "  net   Chain      (4)     (3)",
        "    0   Linear(3)  (4)     (3)     3x4 + 3          15",
        "    1   Tanh()     (3)     (3)",
    ]


def test_what_is_within_has_no_value_of_its_own():
    net = rt.Chain(rt.Map(rt.Chain(rt.Linear(3), rt.Tanh())), input=("n", 4)).init()
    assert net.at("0").outputs["output"].shape == net.outputs["output"].shape
    with pytest.raises(rt.ArgumentError) as caught:
        net.at("0.net.0")
    assert str(caught.value) == (
        "at: 0.net.0 is within 0 (Map(Chain(Linear(3), Tanh()))), which runs it many times.\n"
        "  fix   net.at('0')"
    )


def test_a_codec_within_does_nothing_and_says_so():
    with pytest.warns(rt.RetiaWarning) as caught:
        made = rt.Map(rt.Chain(rt.Linear(3), rt.Softmax(), output=rt.Classes(["a", "b", "c"])), input=(5, 2))
    assert str(caught[0].message) == (
        "Map: the output codec of its net, Classes(('a', 'b', 'c')), is inside now and does nothing; codecs "
        "act at the outer ports."
    )
    assert made.outputs["output"].codec is None
    assert made.init().bare().net.output == rt.Classes(["a", "b", "c"])


def test_whole_numbers_reach_the_net():
    net = rt.Chain(rt.Map(rt.Chain(rt.Embedding(3, classes=9), rt.Flatten())), input=("n", 2)).init()
    assert net.inputs["input"].kind == "int"
    assert [y.shape for y in net([[[1, 2], [3, 4]], [[8, 8]]])] == [(2, 6), (1, 6)]
    with pytest.raises(
        rt.ShapeError, match=r"^1\.net \(Embedding.* takes whole numbers at input, but 1 \(Map"
    ):
        rt.Chain(rt.Tanh(), rt.Map(rt.Embedding(3, classes=9)), input=(4, 2))


def test_a_map_takes_one_input():
    with pytest.raises(rt.ArgumentError) as caught:
        rt.Map(rt.Dot())
    assert str(caught.value) == (
        "Map: its net takes 2 inputs (left, right).\n"
        "  fix   rt.MapThread takes several sequences side by side"
    )
    with pytest.raises(rt.ArgumentError, match="Map: net is the class Linear, not a net"):
        rt.Map(rt.Linear)


def test_a_map_within_takes_memory_for_all_its_elements():
    from retia.engine.pools import per_piece

    inner = rt.Chain(rt.Conv2d(64, 3), rt.GlobalAvgPool())
    alone, many = rt.Chain(inner, input=(3, 66, 66)), rt.Map(inner, input=(10, 3, 66, 66))
    assert per_piece(alone) == 10 * per_piece(many) or per_piece(alone) // 10 == per_piece(many)


# MapThread ----------------------------------------------------------------------------------------


def test_several_sequences_go_side_by_side():
    net = rt.MapThread(rt.Graph(lambda a, b: rt.Linear(3)(a) * b), input={"a": (4, 2), "b": (4, 3)})
    arrays, a, b = doubled(net.init()), numbers(2, 4, 2), numbers(2, 4, 3, seed=1)
    expected = (a @ arrays["net.linear.weight"].T + arrays["net.linear.bias"]) * b
    close(walk(net, {"a": a, "b": b}, arrays)["output"], expected)


def test_any_number_of_sequences_goes_into_a_layer_that_takes_any():
    net = rt.Graph(lambda a, b, c: rt.MapThread(rt.Plus())(a, b, c), input=dict.fromkeys("abc", (3, 2)))
    x = numbers(2, 3, 2)
    close(walk(net, {"a": x, "b": 2 * x, "c": 3 * x}, {})["output"], 6 * x)


def test_constants_are_the_same_for_all_elements():
    net = rt.MapThread(rt.Dot(), constants="right", input={"left": ("n", 2), "right": (2, 3)})
    left, right = numbers(4, 2), numbers(2, 3)
    close(walk(net, {"left": left[None], "right": right[None]}, {})["output"], (left @ right)[None])


def test_constants_are_checked():
    with pytest.raises(rt.ArgumentError) as caught:
        rt.MapThread(rt.Dot(), constants="rihgt")
    assert str(caught.value) == (
        "MapThread: its net has no input 'rihgt'; it has left, right. Did you mean 'right'?"
    )
    with pytest.raises(rt.ArgumentError, match=r"^MapThread: no input of its net takes elements\.$"):
        rt.MapThread(rt.Dot(), constants=("left", "right"))
    with pytest.raises(
        rt.ArgumentError, match=r"^MapThread: constants is a port's name, or a tuple of names"
    ):
        rt.MapThread(rt.Dot(), constants=3)


# Fold ---------------------------------------------------------------------------------------------


def test_a_folded_cell_is_an_lstm():
    net = rt.Fold(
        lstm_cell(3), 3, states="both", input={"input": ("n", 2), "hidden": None, "cell": None}
    ).init()
    theirs = rt.LSTM(3, states="both", input={"input": ("n", 2), "hidden": None, "cell": None}).init(seed=5)
    weights = doubled(theirs)
    names = {"linear": "ih_l0", "linear2": "hh_l0"}
    arrays = {path: weights[f"{path.rpartition('.')[2]}_{names[path.split('.')[1]]}"] for path in net.arrays}
    x, h, c = numbers(3, 4, 2).requires_grad_(), numbers(3, 3, seed=1), numbers(3, 3, seed=2)
    run = Run(lengths={"n": torch.tensor([4, 2, 0])})
    ours = walk(net, {"input": x, "hidden": h, "cell": c}, arrays, run)
    states = {"hidden": h.unsqueeze(1), "cell": c.unsqueeze(1)}
    expected = walk(theirs, {"input": x, **states}, weights, run)
    real = torch.arange(4) < torch.tensor([[4], [2], [0]])
    close(ours["output"], expected["output"] * real.unsqueeze(2))
    close(ours["hidden"], expected["hidden"].squeeze(1))
    close(ours["cell"], expected["cell"].squeeze(1))
    leaves = [x, *weights.values()]
    mine, others = (
        torch.autograd.grad((y["output"] * real.unsqueeze(2)).sum() + y["cell"].square().sum(), leaves)
        for y in (ours, expected)
    )
    for got, wanted in zip(mine, others, strict=True):
        close(got, wanted)


@pytest.mark.parametrize("truncate", [None, 1, 2, 3, 7])
def test_derivatives_are_those_of_a_plain_loop(truncate):
    net = folded(3, truncate=truncate, input=(7, 2)).init(seed=1)
    arrays, x = doubled(net), numbers(4, 7, 2).requires_grad_()
    state, results = torch.zeros(4, 3, dtype=torch.float64), []
    for at in range(7):
        if truncate and at % truncate == 0:
            state = state.detach()
        into = x[:, at] @ arrays["net.linear.weight"].T + arrays["net.linear.bias"]
        again = state @ arrays["net.linear2.weight"].T + arrays["net.linear2.bias"]
        state = torch.tanh(into + again)
        results.append(state)
    expected, got = torch.stack(results, 1), walk(net, {"input": x}, arrays)
    close(got["output"], expected)
    weight, leaves = numbers(4, 7, 3, seed=2), [x, *arrays.values()]
    ours = torch.autograd.grad((got["output"] * weight).sum(), leaves)
    for mine, theirs in zip(ours, torch.autograd.grad((expected * weight).sum(), leaves), strict=True):
        close(mine, theirs)


def test_padding_of_folded_sequences_goes_nowhere(keeps_the_batch_law):
    keeps_the_batch_law(folded(3, input=("n", 2)), {"n": [3, 1, 4]})
    keeps_the_batch_law(folded(3, truncate=2, input=("n", 2)), {"n": [3, 1, 4]})
    deep = rt.Chain(folded(4), rt.Reshape(None, 2, 2), rt.Map(folded(2)), input=("n", 2))
    keeps_the_batch_law(deep, {"n": [3, 1, 4]})


def test_outputs_that_are_no_states_come_at_every_element():
    def cell(x, total, count):
        return {"mean": (total + x) / (count + 1), "total": total + x, "count": count + 1}

    net = rt.Fold(rt.Graph(cell), (), states="out", input=("n",))
    found = net([[1.0, 2.0, 6.0], [4.0]])
    assert [y.tolist() for y in found["output"]] == [[1.0, 1.5, 3.0], [4.0]]
    assert found["total"].tolist() == [9, 4]
    assert found["count"].tolist() == [3, 1]


def test_feedback_says_which_output_is_the_next_state():
    cell = rt.Graph(lambda x, before: {"seen": x * before, "next": x + before})
    net = rt.Fold(cell, (), feedback={"next": "before"}, input=(3,))
    assert net([2.0, 3.0, 4.0]).tolist() == [0, 6, 20]
    assert eval(repr(net), vars(rt).copy()) == net
    for wrong, text in {
        "nxt": "Fold: feedback names 'nxt', but the net has seen, next. Did you mean 'next'?",
        "seen": None,
    }.items():
        if text:
            with pytest.raises(rt.ArgumentError) as caught:
                rt.Fold(cell, (), feedback={wrong: "before"})
            assert str(caught.value) == text
    with pytest.raises(rt.ArgumentError) as caught:
        rt.Fold(cell)
    assert str(caught.value) == (
        "Fold: which output of its net is the next state? It takes x, before and gives seen, next.\n"
        '  fix   feedback={"next": "state"}'
    )
    with pytest.raises(rt.ArgumentError, match=r"^Fold: a state follows from one output, and is no constant"):
        rt.Fold(cell, feedback={"next": "before", "seen": "before"})
    with pytest.raises(rt.ArgumentError, match=r"^Fold: no input of its net takes elements"):
        rt.Fold(cell, feedback={"next": "before"}, constants="x")


def test_a_constant_is_given_at_every_element():
    cell = rt.Graph(lambda x, by, total: {"total": total + x * by})
    net = rt.Fold(cell, (), constants="by", input={"input": ("n",), "by": ()})
    assert [y.tolist() for y in net({"input": [[1.0, 2.0], [3.0]], "by": [10.0, 100.0]})] == [[10, 30], [300]]


def test_an_empty_sequence_leaves_the_first_state():
    net = folded(3, states="both", input={"input": (0, 2), "h": 3}).init()
    found = net({"input": torch.zeros(1, 0, 2), "h": torch.ones(1, 3)})
    assert found["output"].shape == (1, 0, 3)
    assert found["h"].tolist() == [[1, 1, 1]]


def test_a_first_state_needs_a_known_shape():
    with pytest.raises(rt.ShapeError) as caught:
        rt.Fold(rt.Graph(lambda x, total: x + total), input=(3, 2)).init()([[1.0, 2.0]] * 3)
    assert str(caught.value) == (
        "Fold(...): the first state 'total' is 0, but its shape is (...).\n"
        '  fix   size= says it, or states="in" takes the state as an input'
    )


def test_a_next_state_has_the_shape_of_the_state():
    cell = rt.Graph(
        {"linear": rt.Linear(3), "join": rt.Concat()}, "x -> linear -> join -> output", "h -> join",
        input={"x": None, "h": None},
    )  # fmt: skip
    with pytest.raises(rt.ShapeError) as caught:
        rt.Chain(rt.Fold(cell, 4), input=(5, 2))
    assert str(caught.value) == (
        "0 (Fold(...)) needs (4) at output of the net within it, but 0.net.join (Concat()) gives (7).\n"
        "  from  4 because 0 (Fold(...)) says so\n"
        "  from  7 because 0.net.join (Concat()) makes it so\n"
        "  from  7 because 0.net.linear (Linear(3)) says so"
    )


# In training --------------------------------------------------------------------------------------


def drawn(net: rt.Net, x: Tensor, **how) -> Tensor:
    return walk(net, {"input": x}, net.arrays, Run(training=True, seed=7, step=3, **how))["output"]


@pytest.mark.parametrize("kind", ["map", "fold", "nested"])
def test_draws_follow_from_example_place_and_unit_alone(kind):
    drop = rt.Graph(lambda x, h: rt.Dropout(0.5)(x) + 0 * h)
    net = {
        "map": rt.Map(rt.Dropout(0.5)), "fold": rt.Fold(drop, 24), "nested": rt.Map(rt.Map(rt.Dropout(0.5))),
    }[kind]  # fmt: skip
    shape = (2, 24) if kind == "nested" else (24,)
    net = rt.Chain(net, input=("n", *shape))
    rows = torch.tensor([5, 9, 2])
    whole = drawn(net, torch.ones(3, 6, *shape), rows=rows, lengths={"n": torch.tensor([6, 6, 6])})
    assert 0.3 < (whole == 0).float().mean() < 0.7
    flat = whole.flatten(0, 1).flatten(1) if kind != "nested" else whole.flatten(0, 2)
    assert len({tuple(each) for each in flat.tolist()}) == len(flat)
    part = drawn(net, torch.ones(2, 4, *shape), rows=rows[1:], lengths={"n": torch.tensor([4, 2])})
    assert torch.equal(part[0], whole[1, :4])
    assert torch.equal(part[1, :2], whole[2, :2])
    assert not part[1, 2:].any()
    alone = drawn(net, torch.ones(1, 6, *shape), rows=rows[:1], lengths={"n": torch.tensor([6])})
    assert torch.equal(alone[0], whole[0])


def test_statistics_of_a_map_are_those_of_its_real_elements():
    net = rt.Map(rt.BatchNorm(), input=("n", 2)).init()
    x, lengths = torch.randn(3, 4, 2), torch.tensor([4, 1, 2])
    run = Run(training=True, lengths={"n": lengths})
    y = walk(net, {"input": x}, net.arrays, run)["output"]
    real = torch.cat([x[i, :n] for i, n in enumerate(lengths.tolist())])
    theirs = torch.nn.BatchNorm1d(2)
    expected = theirs(real)
    assert torch.allclose(torch.cat([y[i, :n] for i, n in enumerate(lengths.tolist())]), expected, atol=1e-5)
    assert torch.allclose(run.updates["net.running_mean"], theirs.running_mean, atol=1e-6)
    assert torch.allclose(run.updates["net.running_var"], theirs.running_var, atol=1e-6)


def test_statistics_of_a_fold_move_at_every_element():
    net = rt.Fold(rt.Graph(lambda x, h: rt.BatchNorm()(x) + h), 2, input=(4, 2)).init()
    x, theirs = torch.randn(8, 4, 2), torch.nn.BatchNorm1d(2)
    run = Run(training=True)
    y = walk(net, {"input": x}, net.arrays, run)["output"]
    assert torch.allclose(y[:, -1], sum(theirs(x[:, at]) for at in range(4)), atol=1e-5)
    name = "net.batch_norm" if "net.batch_norm.running_mean" in run.updates else "net.batchnorm"
    assert torch.allclose(run.updates[f"{name}.running_mean"], theirs.running_mean, atol=1e-6)
    assert int(run.updates[f"{name}.num_batches_tracked"]) == 4


def tiny() -> rt.Chain:
    body = rt.Chain(rt.Linear(4), rt.Tanh(), rt.Dropout(0.2))
    return rt.Chain(rt.Map(body), folded(3), rt.Last(), rt.Linear(1), input=(5, 2))


@pytest.mark.parametrize("engine", ["walk", "program"])
def test_operators_are_trained(engine):
    x = torch.randn(64, 5, 2, generator=torch.Generator().manual_seed(0))
    data = {"input": x, "output": x[:, 3:].mean((1, 2)).unsqueeze(1)}
    how = {"epochs": 15, "batch_size": 16, "optimizer": rt.Adam(0.03), "seed": 1, "progress": False}
    run = rt.train(tiny(), data, engine=engine, **how)
    losses = [each["loss"] for each in run.history]
    assert losses[-1] < 0.5 * losses[0]
    if engine == "program":
        walked = rt.train(tiny(), data, engine="walk", **how)
        for path, array in walked.net.arrays.items():
            assert (run.net.arrays[path] - array).norm() <= 1e-4 * max(1, float(array.norm()))


def test_rates_reach_into_an_operator():
    x = torch.randn(32, 5, 2, generator=torch.Generator().manual_seed(0))
    data, net = {"input": x, "output": x.sum((1, 2)).unsqueeze(1)}, tiny().init(seed=2)
    run = rt.train(net, data, epochs=1, rates={"0.net.0": 0, "*": 1}, progress=False)
    for path, array in net.arrays.items():
        assert torch.equal(run.net.arrays[path], array) == path.startswith("0.net.0"), path
    kept = rt.train(net, data, epochs=2, rates={"0": 0, "*": 1}, progress=False, seed=3)
    plain = rt.train(net, data, epochs=2, rates={"0": 0, "*": 1}, progress=False, seed=3, cache=False)
    for path in net.arrays:
        assert torch.allclose(kept.net.arrays[path], plain.net.arrays[path], atol=1e-5), path


# Step by step -------------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [1, 2])
def test_a_view_of_an_operator_goes_on_where_it_was(piece):
    net = rt.Chain(rt.Map(rt.Linear(4)), folded(3), rt.Linear(2), input=("n", 2)).init()
    x = torch.randn(6, 2)
    view = net.stateful()
    pieces = [view(x[at : at + piece]) for at in range(0, 6, piece)]
    whole = net(x)
    assert torch.allclose(torch.cat(pieces), whole, atol=1e-5)


def test_a_view_does_not_go_along_inside_an_element():
    net = rt.Chain(rt.Map(rt.Chain(rt.Linear(4), rt.Softmax(axis=0))), input=(3, "n", 2)).init()
    with pytest.raises(rt.StructureError, match="the net within it would have to go along too"):
        net.stateful()
