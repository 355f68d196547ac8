"""Views that are led along a sequence: against the whole run, in random nets, pieces and batches."""

from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import retia as rt
from retia.layers.memory import Growing

SIZE = 8


def close(got: torch.Tensor, expected: torch.Tensor, within: float = 1e-5) -> None:
    assert got.shape == expected.shape
    assert float((got - expected).norm()) <= within * max(1.0, float(expected.norm()))


def cut(r: Random, length: int) -> list[int]:
    sizes: list[int] = []
    while sum(sizes) < length:
        sizes.append(r.randint(1, length - sum(sizes)))
    return sizes


def led(view, x: torch.Tensor, sizes: list[int], axis: int = 0) -> torch.Tensor:
    """What a view answers to all pieces, together."""
    return torch.cat([view(piece, None) for piece in torch.split(x, sizes, axis)], axis)


# Random nets --------------------------------------------------------------------------------------


def block(r: Random) -> rt.Net:
    """A net (n, SIZE) -> (n, SIZE) that sees nothing of what comes later."""
    heads = r.choice([1, 2])
    several = {"layers": r.randint(1, 2)}
    attention = rt.MultiHeadAttention(
        heads, causal=True, rotary=r.random() < 0.5, key_value_heads=r.choice([None, 1])
    )
    made = r.choice([
        lambda: rt.RNN(SIZE, **several), lambda: rt.GRU(SIZE, **several), lambda: rt.LSTM(SIZE, **several),
        lambda: attention, rt.SinusoidalPositions, lambda: rt.PositionEmbedding(r.randint(12, 20)),
        lambda: rt.Linear(SIZE), rt.GELU, rt.LayerNorm, rt.Softmax, lambda: rt.Dropout(0.5),
        lambda: rt.TransformerEncoder(1, heads, size=SIZE, causal=True, norm_first=r.random() < 0.5),
        lambda: rt.Chain(rt.Reshape(None, 2, SIZE // 2), rt.Transpose(0, 2, 1), rt.Reshape(None, SIZE)),
        lambda: rt.Chain(rt.Part("..., :4"), rt.Linear(SIZE)),
    ])()  # fmt: skip
    if r.random() < 0.3:
        return joined(r, made)
    return made


def joined(r: Random, made: rt.Net) -> rt.Net:
    """Two ways that meet again."""
    other = rt.Linear(SIZE)
    meet = r.choice([
        lambda a, b: a + b, lambda a, b: a * b, rt.Maximum(),
        lambda a, b: rt.Attention(causal=True)(a, b, a), lambda a, b: rt.Linear(SIZE)(rt.Concat(-1)(a, b)),
        lambda a, b: rt.MultiHeadAttention(2, cross=True, causal=True)(a, b, b),
    ])  # fmt: skip
    return rt.Graph(lambda x: meet(made(x), other(x)))


@given(seed=st.integers(0, 2**32))
def test_pieces_of_a_random_net_are_those_of_the_whole(seed: int) -> None:
    r = Random(seed)
    varies, tokens = r.random() < 0.5, r.random() < 0.3
    axis = ("n" if varies else 12,) if tokens else ("n" if varies else 12, SIZE)
    first = [rt.Embedding(SIZE, classes=5)] if tokens else []
    net = rt.Chain(*first, *[block(r) for _ in range(r.randint(1, 4))], input=axis).init(seed=seed % 1000)
    length, batch = r.randint(1, 12) if varies else 12, r.choice([None, 1, 3])
    numbers = torch.Generator().manual_seed(seed)
    shape = ((batch,) if batch else ()) + (length,) + (() if tokens else (SIZE,))
    x = torch.randint(5, shape, generator=numbers) if tokens else torch.randn(shape, generator=numbers)
    view = net.stateful(batch)
    whole = (net.one if batch is None else net.batch)(x, None)
    whole = whole if isinstance(whole, torch.Tensor) else torch.stack(whole)
    close(led(view, x, cut(r, length), 0 if batch is None else 1), whole)
    assert len(view) == length
    view.reset()
    close(led(view, x, cut(r, length), 0 if batch is None else 1), whole)


@given(seed=st.integers(0, 2**32))
def test_a_copy_goes_on_by_itself_and_rows_are_taken(seed: int) -> None:
    r = Random(seed)
    net = rt.Chain(*[block(r) for _ in range(2)], input=("n", SIZE)).init()
    x = torch.randn((2, 9, SIZE), generator=torch.Generator().manual_seed(seed))
    whole = torch.stack(net(x, None))
    view = net.stateful(2)
    view(x[:, :4], None)
    # Each of these writes after the same four elements: none may see what another one wrote.
    other = view.copy()
    swapped = view.take([1, 0, 1])
    mixed = torch.cat([x[:, :4], x.flip(0)[:, 4:]], 1)
    close(led(other, mixed[:, 4:], [2, 3], 1), torch.stack(net(mixed, None))[:, 4:])
    close(led(view, x[:, 4:], [1, 4], 1), whole[:, 4:])
    close(led(swapped, x[[1, 0, 1], 4:], [5], 1), whole[[1, 0, 1], 4:])
    assert (len(view), len(other), len(swapped), swapped.batch) == (9, 9, 9, 3)


def test_a_chain_that_ends_in_the_last_element_answers_for_the_run_so_far() -> None:
    net = rt.Chain(
        rt.Embedding(4), rt.LSTM(6, layers=2), rt.Last(), rt.Linear(), rt.Softmax(),
        input=rt.Characters("abc"), output=rt.Classes(["x", "y"]),
    ).init(seed=3)  # fmt: skip
    view, text = net.stateful(), "abcacb"
    for number, character in enumerate(text, 1):
        close(view.copy()(character, None), net(text[:number], None))
        assert view(character, "probabilities") == pytest.approx(net(text[:number], "probabilities"))
    assert view.copy()("ab", "logits").shape == (2,)


def test_the_first_element_is_remembered() -> None:
    net = rt.Graph(lambda x: rt.First()(x) + rt.Last()(x), input=("n",))
    view = net.stateful()
    assert [float(view([number], None)) for number in (5.0, 1.0, 2.0)] == [10.0, 6.0, 7.0]


def test_an_element_without_its_axis_is_answered_without_it() -> None:
    net = rt.GRU(3, input=("n", 2)).init()
    x = torch.randn(4, 2)
    one = net.stateful()
    close(torch.stack([one(element) for element in x]), net(x))
    two = net.stateful(2)
    assert two(torch.stack([x[0], x[1]])).shape == (2, 3)
    assert rt.Embedding(3, classes=4, input=("n",)).init().stateful()(2).shape == (3,)


def test_shared_layers_remember_each_for_its_place() -> None:
    shared = rt.Shared("cell", rt.GRU(3))
    net = rt.Chain(shared, rt.Tanh(), shared, input=("n", 3)).init()
    x = torch.randn(5, 3)
    close(led(net.stateful(), x, [2, 1, 2]), net(x))


def test_what_is_remembered_is_not_the_callers_memory() -> None:
    ports = {"query": ("m", 2), "key": ("n", 2), "value": ("n", 2)}
    net, x = rt.Attention(causal=True, input=ports), torch.randn(4, 2)
    view, buffer = net.stateful(), torch.empty(1, 2)
    found = []
    for element in x:
        buffer[0] = element
        result = view(dict.fromkeys(ports, buffer))
        found.append(result.clone())
        result.zero_()  # nor is what it answered
    close(torch.cat(found), net(dict.fromkeys(ports, x)))


# What is known whole ------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [None, 2])
def test_a_decoder_attends_to_a_memory_that_stays(batch: int | None) -> None:
    decoder = rt.TransformerDecoder(2, 2, size=SIZE)
    net = rt.Graph(
        lambda x, memory: decoder(x, memory), input={"x": ("n", SIZE), "memory": ("m", SIZE)}
    ).init()
    rows = (batch,) if batch else ()
    x, memory = torch.randn((*rows, 7, SIZE)), torch.randn((*rows, 4, SIZE))
    whole = net({"x": x, "memory": memory})
    view = net.stateful(batch, given={"memory": memory})
    axis = 0 if batch is None else 1
    close(led(view, x, [1, 3, 1, 2], axis), whole if batch is None else torch.stack([*whole]))
    if batch:
        view.reset()
        view(x[:, :3])
        close(view.take([1])(x[1:, 3:]), whole[1].unsqueeze(0)[:, 3:])


def test_the_encoder_of_what_is_given_may_need_all_of_it() -> None:
    def both(source, target):
        seen = rt.GRU(SIZE // 2, bidirectional=True)(source)
        return rt.MultiHeadAttention(2, cross=True)(rt.GRU(SIZE)(target), seen, seen)

    net = rt.Graph(both, input={"source": ("m", 3), "target": ("n", SIZE)}).init()
    source, target = torch.randn(5, 3), torch.randn(6, SIZE)
    view = net.stateful(given={"source": source})
    close(led(view, target, [2, 1, 3]), net({"source": source, "target": target}))


@pytest.mark.parametrize("kind", [rt.RNN, rt.GRU, rt.LSTM])
def test_states_go_in_and_come_out(kind) -> None:
    net = kind(3, layers=2, states="both", input={"input": ("n", 2)}).init()
    start = {name: torch.randn(2, 3) for name in net.memory}
    x = torch.randn(5, 2)
    whole = net({"input": x, **start})
    view = net.stateful(given=start)
    pieces = [view(piece) for piece in torch.split(x, [2, 1, 2])]
    close(torch.cat([piece["output"] for piece in pieces]), whole["output"])
    for name in net.memory:
        close(pieces[-1][name], whole[name])


# Texts --------------------------------------------------------------------------------------------


def test_pieces_of_a_text_are_encoded_and_decoded_with_one_beginning() -> None:
    codec = rt.Characters("abcd", length=12, begin=True, end=True)
    net = rt.Chain(
        rt.Embedding(SIZE), rt.PositionEmbedding(12), rt.TransformerEncoder(1, 2, size=SIZE, causal=True),
        rt.Linear(), rt.Softmax(), input=codec, output=codec,
    ).init(seed=1)  # fmt: skip
    whole = net("abcdabcd", None)
    view = net.stateful()
    pieces = [view("abc", None), view(rt.Tokens(["d"]), None), view("abcd", None)]
    close(torch.cat(pieces), whole[:9])  # the beginning and eight characters
    assert len(view) == 9
    view.reset()
    assert view("ab", "tokens") == [codec.vocabulary[n] for n in whole[:3].argmax(-1)]
    close(net.stateful(2)(["abc", "bcd"], None)[1], net("bcd", None)[:4])


# Layers of one's own ------------------------------------------------------------------------------


def test_a_layer_of_ones_own_says_what_it_remembers() -> None:
    @rt.layer
    class RunningMean(rt.Layer):
        """The mean of all elements so far."""

        signature = "n *s -> n *s"
        axes = {"n": "mix", "*s": "pass"}

        def forward(self, x):
            return self.advance(None, x)[0]

        def steps(self, along):
            return rt.Steps(remembers=True, most=6) if tuple(along) == ("n",) else super().steps(along)

        def advance(self, memory, x):
            total, count = (0.0, 0) if memory is None else memory
            sums = x.cumsum(1) + (total if memory is None else total.unsqueeze(1))
            counts = torch.arange(count + 1, count + 1 + x.shape[1])
            return sums / counts.reshape(1, -1, *[1] * (x.dim() - 2)), (sums[:, -1], count + x.shape[1])

    net = RunningMean(input=("n", 2))
    x = torch.randn(6, 2)
    view = net.stateful()
    close(led(view, x, [1, 3, 2]), net(x))
    with pytest.raises(rt.DataError, match="6 elements at most, because of RunningMean"):
        view(x[0])


# What is refused ----------------------------------------------------------------------------------

BEFORE = "net.at('0').stateful() goes along what comes before it"
REFUSED = [
    (
        rt.GRU(SIZE, bidirectional=True), "its other direction begins at the last element.",
        "bidirectional=False",
    ),
    (rt.MultiHeadAttention(2), "each element takes up what comes after it.", "causal=True"),
    (rt.Softmax(axis=0), "it needs all elements at once.", BEFORE),
    (rt.Reduce("mean", 0), "it needs all elements at once.", BEFORE),
    (rt.Reverse(), "it begins with the last element.", BEFORE),
    (rt.Most(), "it makes (n - 1, 8) of (n, 8), not one result for each element.", BEFORE),
    (rt.Part(-1), "it makes (8) of (n, 8), not one result for each element.", BEFORE),
    (rt.Flatten(), "it makes (8*n) of (n, 8), not one result for each element.", BEFORE),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "why", "fix"), REFUSED, ids=lambda each: type(each).__name__)
def test_a_layer_that_needs_what_comes_later_is_refused_by_name(layer: rt.Layer, why: str, fix: str) -> None:
    net = rt.Chain(rt.Linear(SIZE), layer, input=("n", 3)).init()
    with pytest.raises(rt.StructureError) as caught:
        net.stateful()
    assert str(caught.value) == (
        f"1 ({layer!r}) cannot go along a sequence piece by piece: {why}\n  fix   {fix}"
    )
    assert caught.value.path == "1"


def test_pooling_over_the_sequence_is_refused() -> None:
    net = rt.Chain(rt.Transpose(1, 0), rt.GlobalAvgPool(), input=("n", 3))
    with pytest.raises(rt.StructureError, match=r"1 \(GlobalAvgPool\(\)\) cannot go along"):
        net.stateful()


def test_what_all_elements_give_cannot_stand_beside_each_of_them() -> None:
    net = rt.Graph(lambda x: x + rt.Last()(x), input=("n", 3))
    with pytest.raises(rt.StructureError, match="it takes what is known of all elements beside each of them"):
        net.stateful()


def test_attention_says_what_it_cannot_go_along() -> None:
    def made(**settings):
        ports = {"query": ("m", 2), "key": ("n", 2), "value": ("n", 1)}
        return rt.Attention(input=ports, **settings)

    keys = {"key": torch.randn(3, 2), "value": torch.randn(3, 1)}
    query = {"query": torch.randn(3, 2)}
    close(made().stateful(given=keys)(query["query"]), made()({**query, **keys}))
    with pytest.raises(rt.StructureError, match="it needs all elements at once"):
        made(causal=True).stateful(given=keys)
    with pytest.raises(rt.StructureError, match="it needs all elements at once"):
        made().stateful(given=query)
    with pytest.raises(
        rt.StructureError, match=r"each element takes up what comes after it\.\n  fix   causal"
    ):
        made().stateful()
    cross = rt.MultiHeadAttention(
        1, cross=True, causal=True, input={"query": ("n", 2), "key": ("m", 2)}
    ).init()
    with pytest.raises(rt.StructureError, match="its queries go on while its keys stay"):
        cross.stateful(given={"key": torch.randn(3, 2), "value": torch.randn(3, 2)})


def test_more_elements_than_there_are_positions_are_refused_once_and_nothing_is_forgotten() -> None:
    net = rt.Chain(rt.PositionEmbedding(4), rt.GRU(2), input=("n", 2)).init()
    view, x = net.stateful(), torch.randn(4, 2)
    assert view.most == 4
    view(x[:3])
    with pytest.raises(rt.DataError) as caught:
        view(x[:2])
    assert str(caught.value) == (
        "This net goes along 4 elements at most, because of 0 (PositionEmbedding(4)): 3 were taken, and 2 "
        "more came.\n  fix   view.reset() begins anew; net.generate goes on with the last part of a text"
    )
    close(view(x[3:]), net(x)[3:])
    fixed = rt.GRU(2, input=(3, 2)).init().stateful()
    with pytest.raises(rt.DataError, match="3 elements at most, because of the size of input:"):
        fixed(x)


def test_what_is_no_piece_is_refused() -> None:
    net = rt.GRU(2, input=("n", 2)).init()
    view = net.stateful()
    with pytest.raises(rt.ShapeError, match=r"input: this view takes \(\?, 2\); got \(4, 3\)\."):
        view(torch.zeros(4, 3))
    with pytest.raises(rt.ShapeError, match=r"input: this view takes 2 of \(\?, 2\); got \(3, 4, 2\)\."):
        net.stateful(2)(torch.zeros(3, 4, 2))
    with pytest.raises(rt.DataError, match="A piece has at least one element; got none."):
        view(torch.zeros(0, 2))
    with pytest.raises(rt.ArgumentError, match="batch is a whole number of at least 1, or None; got 0."):
        net.stateful(0)
    with pytest.raises(rt.ArgumentError, match="take: there are the rows 0 to 0; got 1."):
        view.take([1])
    with pytest.raises(rt.UnknownNameError, match="given: there is no input 'inputs'; there are input."):
        net.stateful(given={"inputs": 1})
    with pytest.raises(rt.StructureError, match="All inputs are given"):
        net.stateful(given={"input": torch.zeros(3, 2)})
    with pytest.raises(rt.ArraysError, match="no arrays yet"):
        rt.GRU(2, input=("n", 2)).stateful()
    with pytest.raises(rt.StructureError, match="The input has no axis that a sequence could go along."):
        rt.ReLU(input=()).stateful()
    texts = rt.Chain(rt.Embedding(2), input=rt.Characters("ab")).init().stateful(2)
    with pytest.raises(rt.ShapeError, match=r"input: pieces of a batch are equally long; got \(1\), \(2\)"):
        texts(["a", "ab"])
    with pytest.raises(rt.DataError, match="this view is of 2 sequences, so it takes a list of 2; got 'ab'."):
        texts("ab")


def test_a_codec_of_whole_things_takes_no_pieces() -> None:
    net = rt.Flatten(input=rt.Image(4, 4, color="gray"))
    with pytest.raises(rt.StructureError):
        net.stateful()
    with pytest.raises(
        rt.CodecError, match="Image encodes whole things; a piece of one is not a piece of its"
    ):
        rt.Image(4, 4).pieces(["a.png"], True)


def test_a_net_that_was_changed_behind_its_back_is_refused() -> None:
    net = rt.GRU(2, input=("n", 2)).init()
    view = net.stateful()
    net.arrays["weight_ih_l0"].add_(1)
    with pytest.raises(rt.ArraysError):
        view([0.0, 1.0])


# What layers remember -----------------------------------------------------------------------------


@given(seed=st.integers(0, 2**32))
def test_growing_values_share_their_room_and_nothing_else(seed: int) -> None:
    r = Random(seed)
    axis = r.randint(1, 2)
    shape = [2, 3, 3]
    start = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    known = [(Growing(start, axis), start)]
    for number in range(30):
        grown, plain = r.choice(known)
        if r.random() < 0.2:
            rows = torch.tensor([1, 0])
            known.append((grown.rows(rows), plain[rows]))
            continue
        shape[axis] = r.randint(1, 9)
        more = torch.full(shape, float(number))
        known.append((grown.plus(more), torch.cat([plain, more], axis)))
    for grown, plain in known:
        assert torch.equal(grown.all, plain)
        assert len(grown) == plain.shape[axis]
