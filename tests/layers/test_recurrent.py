"""Recurrent layers: against PyTorch's, by the law of the batch, and in programs."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import retia as rt
from retia.engine import draws
from retia.engine.plan import Planner
from retia.engine.trace import record
from retia.engine.values import ValuesProgram
from retia.engine.walk import Run, walk
from retia.nets.settings import make

KINDS = [rt.RNN, rt.GRU, rt.LSTM]
kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
VARIANTS = [
    {},
    {"bias": False},
    {"layers": 3},
    {"bidirectional": True},
    {"layers": 2, "bidirectional": True, "bias": False},
]
variants = pytest.mark.parametrize("how", VARIANTS, ids=str)


def theirs_of(kind, how, size=3, features=4):
    torch.manual_seed(5)
    named = {("num_layers" if name == "layers" else name): value for name, value in how.items()}
    return getattr(torch.nn, kind.__name__)(features, size, batch_first=True, **named).double()


def close(got, expected, within=1e-12):
    got, expected = got.detach(), expected.detach()
    assert got.shape == expected.shape
    assert torch.isfinite(got).all()
    assert float((got - expected).norm()) <= within * max(1.0, float(expected.norm()))


def random(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def states_of(theirs, batch, seed=9):
    """A first state for each of PyTorch's, as its modules take them."""
    number = theirs.num_layers * (2 if theirs.bidirectional else 1)
    many = 2 if isinstance(theirs, torch.nn.LSTM) else 1
    return [
        random(number, batch, theirs.hidden_size, seed=seed + i).requires_grad_(True) for i in range(many)
    ]


# Values and derivatives ---------------------------------------------------------------------------


@kinds
@variants
def test_values_and_derivatives_are_pytorchs(kind, how):
    theirs = theirs_of(kind, how)
    net = kind(3, **how, input=(5, 4))
    arrays = dict(theirs.named_parameters())
    assert list(net.array_shapes().items()) == [(name, tuple(a.shape)) for name, a in arrays.items()]
    x = random(2, 5, 4).requires_grad_(True)
    got, expected = walk(net, {"input": x}, arrays)["output"], theirs(x)[0]
    assert tuple(got.shape[1:]) == net.outputs["output"].shape
    close(got, expected)
    weight, leaves = random(*expected.shape, seed=1), [x, *arrays.values()]
    ours = torch.autograd.grad((got * weight).sum(), leaves)
    for mine, other in zip(ours, torch.autograd.grad((expected * weight).sum(), leaves), strict=True):
        close(mine, other)


@kinds
@variants
def test_states_go_in_and_come_out_as_pytorchs_do(kind, how):
    theirs = theirs_of(kind, how)
    net = kind(3, **how, states="both", input={"input": (5, 4)})
    assert net.input_names() == ("input", *net.memory)
    assert net.output_names() == ("output", *net.memory)
    x, states = random(2, 5, 4).requires_grad_(True), states_of(theirs, 2)
    given = dict(zip(net.memory, (state.transpose(0, 1) for state in states), strict=True))
    arrays = dict(theirs.named_parameters())
    got = walk(net, {"input": x, **given}, arrays)
    expected, last = theirs(x, tuple(states) if len(states) > 1 else states[0])
    last = last if isinstance(last, tuple) else (last,)
    pairs = [(got["output"], expected)]
    pairs += [(got[name], state.transpose(0, 1)) for name, state in zip(net.memory, last, strict=True)]
    leaves = [x, *states, *arrays.values()]
    for number, (mine, other) in enumerate(pairs):
        assert tuple(mine.shape[1:]) == list(net.outputs.values())[number].shape
        close(mine, other)
        weight = random(*other.shape, seed=number)
        ours = torch.autograd.grad((mine * weight).sum(), leaves, retain_graph=True, allow_unused=True)
        reference = torch.autograd.grad((other * weight).sum(), leaves, retain_graph=True, allow_unused=True)
        for one, another, leaf in zip(ours, reference, leaves, strict=True):
            close(*(torch.zeros_like(leaf) if each is None else each for each in (one, another)))


def test_a_rnn_may_have_the_other_function():
    theirs = torch.nn.RNN(4, 3, nonlinearity="relu", batch_first=True)
    net = rt.RNN(3, nonlinearity="relu", input=("n", 4)).with_arrays(theirs.state_dict())
    x = random(2, 5, 4).float()
    close(net(x)[0], theirs(x)[0][0], 1e-6)


@kinds
def test_pytorchs_arrays_load_under_their_own_names(kind):
    theirs = theirs_of(kind, {"layers": 2, "bidirectional": True}).float()
    net = kind(3, layers=2, bidirectional=True, input=(5, 4)).with_arrays(theirs.state_dict())
    x = random(2, 5, 4).float()
    close(net(x), theirs(x)[0], 1e-6)


@kinds
def test_arrays_start_as_pytorchs(kind):
    net = rt.Chain(kind(layers=2, bidirectional=True), input=(5, 30), output=(5, 200)).init(seed=1)
    for array in net.arrays.values():
        bound = 100**-0.5
        assert float(array.abs().max()) <= bound
        assert float(array.abs().max()) > 0.9 * bound
        assert float(array.std()) == pytest.approx(bound / 3**0.5, rel=0.15)


# The batch ----------------------------------------------------------------------------------------


@kinds
@variants
def test_a_padded_batch_gives_what_its_examples_give_alone(kind, how, keeps_the_batch_law):
    keeps_the_batch_law(kind(3, **how, input=("n", 2)), {"n": [4, 1, 6, 3]})


@kinds
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4), variant=st.sampled_from(VARIANTS))
def test_so_it_does_for_any_lengths_and_behind_other_layers(kind, lengths, variant, keeps_the_batch_law):
    net = rt.Chain(kind(2, **variant), rt.Linear(3), rt.Reverse(), kind(2), rt.Last(), input=("n", 2))
    keeps_the_batch_law(net, {"n": lengths})


@kinds
@variants
@pytest.mark.parametrize("real", [torch.float32, torch.float64], ids=str)
def test_last_states_are_those_after_each_examples_own_end(kind, how, real):
    net = kind(3, **how, states="both", input={"input": ("n", 4)}).init(seed=2)
    within = 1e-5 if real == torch.float32 else 1e-12
    arrays = {name: array.to(real).requires_grad_(True) for name, array in net.arrays.items()}
    lengths = [3, 6, 1, 0]
    x = torch.full((4, 6, 4), torch.nan, dtype=real)
    for number, length in enumerate(lengths):
        x[number, :length] = random(length, 4, seed=number).to(real)
    number = net.inputs["hidden"].shape[0]
    states = {name: random(4, number, 3, seed=i).to(real) for i, name in enumerate(net.memory)}
    together = walk(net, {"input": x, **states}, arrays, Run(lengths={"n": torch.tensor(lengths)}))
    total, total_apart = torch.zeros((), dtype=real), torch.zeros((), dtype=real)
    for row, length in enumerate(lengths):
        own = {name: state[row : row + 1] for name, state in states.items()}
        alone = walk(net, {"input": x[row : row + 1, :length], **own}, arrays)
        close(together["output"][row, :length], alone["output"][0], within)
        for name in net.memory:
            close(together[name][row], alone[name][0], within)
            weight = random(number, 3, seed=row).to(real)
            total = total + (together[name][row] * weight).sum()
            total_apart = total_apart + (alone[name][0] * weight).sum()
            if length == 0:
                assert torch.equal(alone[name], own[name])
    ours = torch.autograd.grad(total, list(arrays.values()))
    for mine, other in zip(ours, torch.autograd.grad(total_apart, list(arrays.values())), strict=True):
        close(mine, other, within)


def test_an_empty_sequence_has_no_results_and_keeps_its_state():
    net = rt.LSTM(3, bidirectional=True, states="out", input=("n", 2)).init()
    found = net([np.zeros((0, 2)), np.ones((2, 2))])
    assert [tuple(each.shape) for each in found["output"]] == [(0, 6), (2, 6)]
    assert torch.equal(found["cell"][0], torch.zeros(2, 3))
    assert found["cell"][1].abs().min() > 0


# Dropout ------------------------------------------------------------------------------------------


def in_training(net, x, lengths=None, rows=None):
    named = {} if lengths is None else {"n": torch.tensor(lengths)}
    arrays = {name: array.double() for name, array in net.arrays.items()}
    return walk(net, {"input": x}, arrays, Run(training=True, seed=3, step=7, lengths=named, rows=rows))


@kinds
@pytest.mark.parametrize("both", [False, True])
def test_dropout_stands_between_layers_and_is_drawn_by_the_counter(kind, both):
    net = kind(4, layers=3, dropout=0.4, bidirectional=both, input=("n", 2)).init(seed=1)
    x = random(2, 5, 2)
    before = torch.get_rng_state()
    got = in_training(net, x)["output"]
    assert torch.equal(torch.get_rng_state(), before)
    kept = draws.uniform(3, 7, "", torch.arange(2), (5, 2, 8 if both else 4)) >= 0.4
    for level in range(3):
        one = kind(4, bidirectional=both, input=(5, x.shape[2]))
        own = {n: net.arrays[n.replace("_l0", f"_l{level}")].double() for n in one.owns()}
        x = walk(one, {"input": x}, own)["output"]
        x = torch.where(kept[:, :, level], x / 0.6, 0.0) if level < 2 else x
    close(got, x)


@kinds
def test_what_is_dropped_does_not_depend_on_the_other_examples(kind):
    net = kind(4, layers=3, dropout=0.5, bidirectional=True, input=("n", 2)).init(seed=1)
    lengths = [2, 5, 1]
    x = torch.full((3, 5, 2), torch.nan, dtype=torch.float64)
    for row, length in enumerate(lengths):
        x[row, :length] = random(length, 2, seed=row)
    together = in_training(net, x, lengths)["output"]
    for row, length in enumerate(lengths):
        alone = in_training(net, x[row : row + 1, :length], rows=torch.tensor([row]))["output"]
        close(together[row, :length], alone[0])


def test_there_is_no_dropout_in_inference():
    plain = rt.GRU(4, layers=2, input=(5, 2)).init(seed=1)
    dropping = make(rt.GRU, {**plain.settings(), "dropout": 0.5}).with_arrays(plain.arrays)
    x = random(2, 5, 2).float()
    assert torch.equal(plain(x), dropping(x))


# Sizes and words ----------------------------------------------------------------------------------


@kinds
def test_sizes_are_inferred_both_ways(kind):
    assert rt.Chain(kind(), input=("n", 3), output=("n", 7)).array_shapes()["0.weight_hh_l0"][1] == 7
    both = rt.Chain(kind(bidirectional=True), rt.Last(), rt.Softmax(), input=("n", 3), output=6)
    assert both.array_shapes()["0.weight_hh_l0"][1] == 3
    before = rt.Chain(rt.Linear(), kind(5), rt.Last(), input=("n", 3))
    before = before.with_arrays({"1.weight_ih_l0": torch.zeros(5 * kind.gates, 9)})
    assert before.array_shapes()["0.weight"] == (9, 3)
    held = kind().with_held({"bias_ih_l0": torch.zeros(4 * kind.gates)})
    assert rt.Chain(held, input=(2, 3)).outputs["output"].shape == (2, 4)
    assert str(kind(5, input=("n", 3)).outputs["output"].shape[0]) == "n"


REFUSED = [
    (
        lambda: rt.LSTM(8, dropout=0.2),
        "LSTM: dropout stands between layers, and there is only one.\n"
        "  fix   layers=2, or rt.Dropout(0.2) after it",
    ),
    (
        lambda: rt.Chain(rt.GRU(bidirectional=True), input=(3, 2), output=(3, 5)),
        "0 (GRU(bidirectional=True)): 5 is not two directions of one size.\n  fix   a multiple of 2",
    ),
    (
        lambda: rt.Chain(rt.LSTM().with_held({"bias_ih_l0": torch.zeros(6)}), input=(3, 2)),
        "0 (LSTM()): 6 is not 4 gates of one size.\n  fix   a multiple of 4",
    ),
    (
        lambda: rt.Chain(rt.RNN(4), input=(3,)),
        "0 (RNN(4)) takes (n, in), but the input gives (3).",
    ),
    (
        lambda: rt.LSTM(8, states="yes"),
        "LSTM: states is one of None, 'in', 'out', 'both'; got 'yes'.",
    ),
]


@pytest.mark.parametrize(("call", "text"), REFUSED, ids=[text[:40] for _, text in REFUSED])
def test_what_cannot_be_is_refused_with_the_cure(call, text):
    with pytest.raises(rt.Error) as caught:
        call()
    assert str(caught.value) == text


WORDS = [
    ("hidden_size", "Here it is called size, and comes first."),
    ("num_layers", "Here it is called layers."),
    ("return_sequences", "Here every element has its result; Last() after it takes the last one."),
    ("return_state", 'Here states="out" gives the final states.'),
    ("batch_first", "Here nets are written for one example, so there is no batch to place."),
]


@kinds
@pytest.mark.parametrize(("word", "text"), WORDS)
def test_words_of_other_frameworks_are_known(kind, word, text):
    with pytest.raises(rt.ArgumentError) as caught:
        kind(8, **{word: 1})
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("foreign", "ours"), [("SimpleRNN", "RNN"), ("LongShortTermMemoryLayer", "LSTM"), ("CuDNNGRU", "GRU")]
)
def test_names_of_other_frameworks_are_known(foreign, ours):
    with pytest.raises(AttributeError, match=f"It is called rt.{ours} here"):
        getattr(rt, foreign)


@kinds
@variants
def test_it_comes_back_from_its_text_and_its_file(kind, how, comes_back, tmp_path):
    for states in (None, "in", "out", "both"):
        net = kind(3, **how, states=states, input={"input": ("n", 2)}).init(seed=4)
        comes_back(kind(3, **how, states=states))
        net.save(tmp_path / "net.safetensors")
        again = rt.load(tmp_path / "net.safetensors")
        assert again == net
        assert all(torch.equal(again.arrays[path], array) for path, array in net.arrays.items())


# States handed on ---------------------------------------------------------------------------------


@kinds
def test_steps_with_the_state_handed_on_are_the_whole_run(kind):
    whole = kind(4, layers=2, input=(6, 3)).init(seed=1)
    settings = {**whole.settings(), "states": "both", "input": None}
    stepping = make(kind, settings).with_arrays(whole.arrays)
    x = random(6, 3).float()
    state = {name: torch.zeros(2, 4) for name in kind.memory}
    results = []
    for row in x:
        found = stepping.one({"input": row.unsqueeze(0), **state})
        results.append(found.pop("output")[0])
        state = found
    close(torch.stack(results), whole(x), 1e-6)


def test_one_net_hands_its_state_to_another():
    def translate(source, target):
        state = rt.LSTM(5, states="out")(source)
        return rt.Linear(3)(rt.LSTM(5, states="in")(target, state["hidden"], state["cell"]))

    net = rt.Graph(translate, input={"source": ("n", 2), "target": ("m", 4)}).init(seed=0)
    sources = [random(n, 2, seed=n).float() for n in (3, 1, 4)]
    targets = [random(m, 4, seed=m).float() for m in (2, 5, 1)]
    together = net({"source": sources, "target": targets})
    for row, (source, target) in enumerate(zip(sources, targets, strict=True)):
        close(together[row], net({"source": source, "target": target}), 1e-5)


# Programs -----------------------------------------------------------------------------------------


@kinds
@pytest.mark.parametrize("how", [{}, {"layers": 2, "bidirectional": True}], ids=str)
def test_a_program_gives_what_the_walk_gives_whatever_the_lengths(kind, how):
    net = kind(3, **how, states="out", input=("n", 2)).init(seed=0)
    wanted = tuple(net.wiring.outputs.values())
    lengths = [torch.tensor([5, 2, 3]), torch.tensor([1, 4, 0])]
    batches = [random(3, 5, 2, seed=i).float() for i in range(2)]
    program = ValuesProgram(
        net, wanted, {"input": batches[0]}, net.arrays, constant=False, lengths={"n": lengths[0]}
    )
    for x, each in zip(batches, lengths, strict=True):
        found = program({"input": x}, {"n": each})
        expected = walk(net, {"input": x}, net.arrays, Run(lengths={"n": each}))
        for name, value in net.wiring.outputs.items():
            close(found[value], expected[name], 1e-5)


@kinds
def test_derivatives_stand_in_a_program_whatever_the_lengths(kind):
    net = kind(3, layers=2, bidirectional=True, states="out", input=("n", 2)).init(seed=0)

    def gradients(x, n, **arrays):
        leaves = {name: array.requires_grad_(True) for name, array in arrays.items()}
        with torch.enable_grad():
            found = walk(net, {"input": x}, leaves, Run(lengths={"n": n}))
            real = torch.arange(5) < n.unsqueeze(1)
            total = (found["output"].square() * real.unsqueeze(2)).sum() + found[net.memory[-1]].sin().sum()
            return dict(zip(leaves, torch.autograd.grad(total, list(leaves.values())), strict=True))

    batches = [
        (random(3, 5, 2, seed=i).float(), torch.tensor(n)) for i, n in enumerate([[5, 2, 3], [1, 4, 0]])
    ]
    first = {"x": batches[0][0], "n": batches[0][1], **net.arrays}
    program = Planner(record(gradients, first), {}, first).plan()
    for x, n in batches:
        found = [each.clone() for each in program.run(x, n, *net.arrays.values())]
        copies = {name: array.clone() for name, array in net.arrays.items()}
        for got, expected in zip(found, gradients(x, n, **copies).values(), strict=True):
            close(got, expected, 1e-5)


@kinds
@pytest.mark.parametrize("how", [{}, {"layers": 2, "bidirectional": True, "dropout": 0.3}], ids=str)
def test_training_by_program_is_training_by_walk(kind, how):
    x = random(40, 6, 3).float().numpy()
    y = (x[:, :, 0].sum(1) > 0).astype(int)
    net = rt.Chain(kind(4, **how), rt.Last(), rt.Linear(), output=rt.Classes([0, 1]))
    said = {"epochs": 2, "batch_size": 8, "seed": 1, "validation": 0, "progress": False}
    program, walked = (rt.train(net, (x, y), engine=engine, **said) for engine in ("program", "walk"))
    for path, array in walked.net.arrays.items():
        close(program.net.arrays[path], array, 1e-4)
    assert walked.history[-1]["loss"] == pytest.approx(program.history[-1]["loss"], rel=1e-4)
