"""Training on examples of several sizes: texts, sequences, sounds; nothing that pads may be seen."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import retia as rt
from retia.metrics.examples import Examples
from retia.metrics.objective import objective
from retia.sources import feeds
from retia.sources.ragged import SIZES, Ragged
from retia.training.prepare import batches, prepare

CPU = torch.device("cpu")
WORDS = ["a", "bb", "abc", "bcab", "c", "cabba", "ab", "bca", "cc", "abcabca"]


def reader(**how):
    """A net that reads texts of any length."""
    return rt.Chain(
        rt.Embedding(4), rt.GRU(5), rt.Last(), rt.Linear(), rt.Softmax(),
        input=rt.Characters("abc"), output=rt.Classes(["few", "many"]), **how,
    )  # fmt: skip


def texts(n=40):
    words = (WORDS * n)[:n]
    return rt.data((words, ["many" if len(word) > 2 else "few" for word in words]))


def tagger():
    """A net that says something of every place."""
    return rt.Chain(
        rt.Embedding(6), rt.GRU(8, bidirectional=True), rt.Linear(), rt.Softmax(),
        input=rt.Characters("abc"), output=rt.Characters("xyz"),
    )  # fmt: skip


def tagged(n=30):
    words = (WORDS * n)[:n]
    return rt.data((words, [word.translate(str.maketrans("abc", "zxy")) for word in words]))


# Feeds --------------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.integers(1, 9), max_size=6), min_size=1, max_size=12), st.data())
def test_rows_of_several_sizes_come_back_padded_with_their_sizes(rows, draw):
    column = Ragged.of([torch.tensor(row, dtype=torch.int64) for row in rows], fill=-1)
    index = draw.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=8))
    got, sizes = column.take(torch.tensor(index))
    assert sizes[:, 0].tolist() == [len(rows[i]) for i in index]
    assert got.tolist() == [rows[i] + [-1] * (got.shape[1] - len(rows[i])) for i in index]
    assert got.shape[1] == max(len(rows[i]) for i in index)
    assert [row.tolist() for row in column.rows()] == rows
    assert [row.tolist() for row in column.part(torch.tensor(index)).rows()] == [rows[i] for i in index]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=8))
def test_rows_may_vary_along_several_axes(shapes):
    rows = [torch.rand(shape) for shape in shapes]
    got, sizes = Ragged.of(rows).take(torch.arange(len(rows)))
    assert sizes.tolist() == [list(shape) for shape in shapes]
    for row, place in zip(rows, got, strict=True):
        high, wide = row.shape
        assert torch.equal(place[:high, :wide], row)
        assert place.sum() == pytest.approx(float(row.sum()), abs=1e-5)


def test_a_streaming_feed_gives_what_a_kept_one_gives():
    data = texts(50)
    packers = {"input": lambda things: Ragged.of(rt.Characters("abc").rows(things))}
    kept = feeds.feed(data, packers)
    flowing = feeds.StreamingFeed(data, packers, varies=True)
    index = torch.tensor([5, 0, 9])
    for one, other in (
        (kept.take(index), flowing.take(index)),
        (next(kept.stream([index])), kept.take(index)),
    ):
        assert {name: each.tolist() for name, each in one.items()} == {
            n: e.tolist() for n, e in other.items()
        }
    assert kept.take(index)[SIZES + "input"].tolist() == [[5], [1], [7]]
    assert isinstance(feeds.feed(data, packers, limit=10), feeds.StreamingFeed)


def test_texts_of_one_length_stand_in_a_plain_feed_and_run_as_a_program():
    data = rt.data((["abc", "bca", "cab"] * 40, ["many"] * 60 + ["few"] * 60))
    run = rt.train(reader(), data, epochs=20, batch_size=4, validation=0, engine="program")
    assert run.settings["engine"].startswith("program")


# Batches ------------------------------------------------------------------------------------------


@given(st.integers(1, 9), st.integers(0, 5), st.integers(1, 3))
def test_every_epoch_takes_every_example_once_in_batches_of_like_lengths(size, seed, epoch):
    ready = prepare(reader(), texts(200), 0, None, 0, CPU)
    rows = batches(ready, seed, epoch, size)
    assert sorted(torch.cat(rows).tolist()) == [*range(200)]
    assert [len(each) for each in rows[:-1]] == [size] * (len(rows) - 1)
    again = batches(ready, seed, epoch, size)
    assert all(torch.equal(one, other) for one, other in zip(rows, again, strict=True))


def test_batches_are_of_like_lengths_and_in_no_order_of_length():
    ready = prepare(reader(), texts(2000), 0, None, 0, CPU)
    lengths = ready.train.extents()
    rows = batches(ready, 0, 1, 20)
    spread = torch.tensor([float(lengths[own].max() - lengths[own].min()) for own in rows])
    assert spread.mean() < 1
    means = np.array([float(lengths[own].double().mean()) for own in rows])
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.5


def test_a_padded_batch_has_the_loss_and_gradients_of_its_examples_alone():
    for net, data, weigh in ((reader(), texts(10), False), (tagger(), tagged(10), True)):
        fitted = prepare(net, data, 0, None, 0, CPU)
        step = rt.step(fitted.net)
        examples, arrays = fitted.train, fitted.net.arrays
        together = step.pull(dict(arrays), examples.batch(torch.arange(10)), 0)
        total, weight = {path: torch.zeros_like(t) for path, t in together.gradients.items()}, 0.0
        loss = 0.0
        for row in range(10):
            alone = step.pull(dict(arrays), examples.batch(torch.tensor([row])), 0)
            own = len(WORDS[row]) if weigh else 1
            weight += own
            loss += own * float(alone.loss)
            for path, gradient in alone.gradients.items():
                total[path] += own * gradient
        assert float(together.loss) == pytest.approx(loss / weight, rel=1e-5)
        for path, gradient in together.gradients.items():
            assert torch.dist(gradient, total[path] / weight) <= 1e-5 * max(1.0, float(gradient.norm()))


# Trainings ----------------------------------------------------------------------------------------


def test_a_net_learns_from_texts_of_several_lengths():
    run = rt.train(reader(), texts(400), epochs=8, batch_size=20, optimizer=rt.Adam(0.02), validation=0.2)
    assert run.history[-1]["val_accuracy"] == 1
    assert run.net(["aaaaaa", "c"]) == ["many", "few"]
    assert run.settings["engine"] == "walk: examples vary in size"
    measured = rt.measure(run.net, texts(60), batch_size=7)
    assert measured.accuracy == 1


def test_a_net_learns_to_tag_every_place_and_accuracy_counts_real_places_alone():
    run = rt.train(tagger(), tagged(300), epochs=6, batch_size=20, optimizer=rt.Adam(0.03), validation=0)
    assert run.history[-1]["accuracy"] == 1
    assert run.net("cabbage"[:4]) == "yzxx"
    untrained = tagger().init(seed=3)
    data = tagged(10)
    answers = untrained([x for x, _ in data])
    pairs = [
        (a, b) for answer, (_, y) in zip(answers, data, strict=True) for a, b in zip(answer, y, strict=True)
    ]
    right = sum(a == b for a, b in pairs)
    assert rt.measure(untrained, data, batch_size=10).accuracy == pytest.approx(right / len(pairs))
    examples = Examples(untrained, data, objective(untrained), CPU)
    assert len(examples) == 10


def test_arrays_of_several_lengths_need_no_codec():
    rng = np.random.default_rng(0)
    xs = [rng.normal(size=(n, 3)).astype(np.float32) for n in rng.integers(1, 9, 120)]
    ys = [float(x.mean()) for x in xs]
    net = rt.Chain(rt.LSTM(8), rt.Last(), rt.Linear(1), input=("n", 3), output=1)
    run = rt.train(net, (xs, [[y] for y in ys]), epochs=20, optimizer=rt.Adam(0.02), validation=0)
    assert run.history[-1]["loss"] < 0.3 * run.history[0]["loss"]


@pytest.mark.parametrize("form", ["codec", "numbers"])
def test_sequences_without_known_places_are_learned_by_ctc(form):
    rng = np.random.default_rng(1)
    words = ["".join(rng.choice([*"ab"], rng.integers(1, 4))) for _ in range(200)]
    xs = [np.repeat(np.array([[1.0, 0.0] if c == "a" else [0.0, 1.0] for c in w]), 3, axis=0) for w in words]
    if form == "codec":
        output, ys, how = rt.Characters("ab", blank=True), words, {}
    else:
        output, ys, how = None, [[1 + "ab".index(c) for c in w] for w in words], {"loss": "ctc"}
    net = rt.Chain(rt.GRU(16), rt.Linear(3), rt.Softmax(), input=("n", 2), output=output)
    run = rt.train(net, (xs, ys), epochs=12, batch_size=16, optimizer=rt.Adam(0.03), validation=0, **how)
    assert run.history[-1]["loss"] < 0.3 * run.history[0]["loss"]


def test_a_training_on_texts_goes_on_where_it_was_stopped(tmp_path):
    whole = rt.train(reader(), texts(100), epochs=4, batch_size=8, validation=0.2)
    folder = tmp_path / "checkpoint"
    rt.train(reader(), texts(100), epochs=4, batch_size=8, validation=0.2, checkpoint=folder,
             stop=lambda entry: entry["epoch"] == 2)  # fmt: skip
    on = rt.train(
        reader(), texts(100), epochs=4, batch_size=8, validation=0.2, checkpoint=folder, resume=True
    )
    assert all(torch.equal(on.last.arrays[p], whole.last.arrays[p]) for p in whole.last.arrays)


def test_streamed_texts_train_too(monkeypatch):
    monkeypatch.setattr(feeds, "free_memory", lambda: 100)
    run = rt.train(reader(), texts(100), epochs=3, batch_size=8, validation=0)
    assert run.history[-1]["loss"] < run.history[0]["loss"]


def test_frozen_layers_several_seeds_and_folds_work_on_texts():
    frozen = rt.train(reader(), texts(60), epochs=2, rates={"0": 0, "*": 1}, validation=0)
    assert "examples vary in size" in frozen.settings["frozen"]
    runs = rt.train(reader(), texts(60), epochs=2, seed=[0, 1], validation=0.2)
    alone = rt.train(reader(), texts(60), epochs=2, seed=1, validation=0.2)
    assert runs[1].history[-1]["loss"] == alone.history[-1]["loss"]
    folds = rt.cross_validate(reader(), texts(60), folds=3, epochs=2)
    assert len(folds.folds) == 3


# What is refused ----------------------------------------------------------------------------------


def test_targets_of_another_length_than_the_net_gives_are_told_by_row():
    words = ["abc", "ab", "cab"]
    with pytest.raises(rt.DataError) as caught:
        rt.train(tagger(), (words, ["xyz", "xyz", "zzz"]), epochs=1)
    assert str(caught.value) == (
        "output: the target in row 1 is 3 long, but the net gives 2 there (n of its input).\n"
        "  fix   targets of the length that the net gives; a text's begin and end count too"
    )


def test_two_inputs_that_share_a_size_have_it_alike():
    net = rt.Chain(
        rt.Graph(lambda a, b: a + b, input={"a": ("n", 2), "b": ("n", 2)}), rt.Last(), rt.Linear(1)
    )
    one = [np.ones((n, 2), np.float32) for n in (2, 3, 4)]
    other = [np.ones((n, 2), np.float32) for n in (2, 4, 3)]
    with pytest.raises(rt.DataError, match=r"^b: row 1 has 4 along n, but 3 at the input before\."):
        rt.train(net, {"a": one, "b": other, "output": np.zeros((3, 1))}, epochs=1)


def test_an_example_that_is_too_short_for_a_layer_is_told_before_the_first_step():
    net = rt.Chain(rt.Conv1d(4, 3), rt.GlobalAvgPool(), rt.Linear(1), input=(2, "n"))
    xs = [np.ones((2, n), np.float32) for n in (5, 2, 4)]
    with pytest.raises(rt.ShapeError, match="n = 2"):
        rt.train(net, (xs, np.zeros((3, 1))), epochs=1)


def test_an_empty_text_is_told_by_the_layer_that_needs_one():
    with pytest.raises(rt.Error, match="Last"):
        rt.train(reader(), (["abc", "", "a"], ["few", "many", "few"]), epochs=1)


def test_what_varies_in_size_is_not_mixed():
    xs = [np.ones((n, 2), np.float32) for n in (2, 3, 4)]
    net = rt.Chain(rt.GRU(4), rt.Last(), rt.Linear(1), input=("n", 2))
    with pytest.raises(rt.TrainingError, match=r"^MixUp: input varies in size"):
        rt.train(net, (xs, np.zeros((3, 1))), epochs=1, mix=rt.MixUp(0.2))


def test_open_sizes_are_learned_beside_ones_that_vary():
    xs = [np.ones((n, 2), np.float32) for n in (2, 3, 4)]
    net = rt.Chain(rt.GRU(4), rt.Last(), rt.Linear(1), input=("n", None))
    run = rt.train(net, (xs, np.zeros((3, 1))), epochs=1)
    assert str(run.net.inputs["input"].shape) == "(n, 2)"
