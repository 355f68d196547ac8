"""Contact sheets of answers: their words and pictures are those of the measurement and the data."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure

import retia as rt


def measured(n=30, seed=0):
    """A net that answers whatever the first three pixels of random pictures say, and labels of chance."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (n, 5, 6), dtype=np.uint8)
    labels = rng.integers(0, 3, n)
    first = rt.Chain(
        rt.Flatten(), rt.Part(slice(0, 3)), rt.Softmax(), input=(5, 6), output=rt.Classes(["a", "b", "c"])
    )
    return rt.measure(first, (pixels / np.float32(64), ["abc"[k] for k in labels])), pixels


def scores(pixels):
    logits = pixels.reshape(len(pixels), -1)[:, :3].astype(np.float64) / 64
    chances = np.exp(logits - logits.max(1, keepdims=True))
    return chances / chances.sum(1, keepdims=True)


def test_mistakes_are_the_wrong_answers_with_the_highest_probabilities_in_their_order():
    m, pixels = measured()
    chances = scores(pixels)
    wrong = [row for row in range(30) if "abc"[chances[row].argmax()] != m.truths[row]]
    expected = sorted(wrong, key=lambda row: -chances[row].max())
    found = m.mistakes(7)
    assert [*found.rows] == expected[:7]
    assert [*found.answered] == ["abc"[chances[row].argmax()] for row in expected[:7]]
    assert [*found.true] == [m.truths[row] for row in expected[:7]]
    assert np.allclose(found.confidence, [chances[row].max() for row in expected[:7]], atol=1e-6)
    assert found.title == f"The 7 surest of {len(wrong)} mistakes among 30 examples"
    assert len(m.mistakes(1000)) == len(wrong)
    assert np.array_equal(found.examples.arrays()["input"], (pixels / np.float32(64))[expected[:7]])


def test_a_contact_sheet_holds_the_pixels_the_answers_and_frames_around_mistakes():
    m, pixels = measured()
    found = m.show(10)
    (ax,) = found.plot().axes
    assert [*found.rows] == np.linspace(0, 29, 10).round().tolist()
    assert len(ax.images) == 10
    for image, row in zip(ax.images, found.rows, strict=True):
        drawn = np.asarray(image.get_array())
        times = drawn.shape[0] // 5
        exact = (np.clip(pixels[row] / np.float32(64), 0, 1) * 255).round().astype(np.uint8)
        assert np.array_equal(drawn, np.repeat(np.kron(exact, np.ones((times, times)))[..., None], 3, -1))
    wrong = [k for k in range(10) if found.true[k] != found.answered[k]]
    assert len(ax.lines) == len(wrong) > 0
    for k, text in enumerate(ax.texts):
        sure = f"{found.answered[k]}  {found.confidence[k]:.0%}"
        assert text.get_text() == (f"✗ {sure}\nis {found.true[k]}" if k in wrong else f"✓ {sure}")
    own = Figure().subplots()
    assert found.plot(ax=own) is own


def test_the_cell_of_a_confusion_shows_its_examples_the_surest_first():
    m, pixels = measured(90)
    cell = m.confusion.worst(1)[0]
    found = cell.show(4)
    chances = scores(pixels)
    expected = sorted(cell.rows, key=lambda row: -chances[row].max())[:4]
    assert [*found.rows] == expected
    assert {*found.true} == {cell.true}
    assert {*found.answered} == {cell.answered}
    assert found.title == f"{cell.true!r} taken for {cell.answered!r}, 4 of {cell.count}"
    assert np.array_equal(cell.examples.arrays()["input"][0], pixels[cell.rows[0]] / np.float32(64))


def test_of_several_decisions_the_surest_wrong_one_is_told_with_its_place():
    logits = np.array([[[0, 3], [2, 0], [0, 1]], [[4, 0], [0, 2], [3, 0]]], np.float32)
    net = rt.Chain(rt.Softmax(), input=(3, 2))
    found = rt.measure(net, (logits, np.array([[0, 1, 1], [0, 1, 0]])))
    mistakes = found.mistakes()
    assert (mistakes.rows, mistakes.places, mistakes.answered) == ((0,), ((0,),), (1,))
    assert str(mistakes).splitlines()[1].split()[:4] == ["row", "place", "true", "answered"]
    shown = found.show()
    assert shown.places == ((0,), (1,))
    assert shown.confidence[1] == pytest.approx(1 / (1 + np.exp(-2)))
    assert found.confusion[1, 0].show().places == ((1,),)


def test_of_booleans_the_probability_is_that_of_the_answer():
    net = rt.Chain(rt.Sigmoid(), input=(), output=rt.Boolean())
    found = rt.measure(net, ([-2.0, 0.5, 3.0], [True, True, False])).mistakes()
    assert (found.rows, found.answered) == ((2, 0), (True, False))
    assert np.allclose(found.confidence, 1 / (1 + np.exp([-3.0, -2.0])))


def test_what_cannot_be_drawn_is_a_table_also_in_a_notebook():
    net = rt.Chain(rt.Softmax(), input=2, output=rt.Classes(["cat", "dog"]))
    m = rt.measure(net, ([[0.0, 3.0], [2.0, 0.0], [0.0, 1.0]], ["cat", "dog", "dog"]))
    bundle = m.mistakes()._repr_mimebundle_()
    assert bundle == ({"text/plain": str(m.mistakes())}, {})
    with pytest.raises(rt.DataError, match="The set has no pictures to show: input, output"):
        m.mistakes().plot()
    none = m.confusion["cat", "cat"].show()
    assert str(none) == "'cat' taken for 'cat', 0 of 0"
    with pytest.raises(rt.DataError, match="The set is empty"):
        none.plot()


def test_a_number_of_examples_is_at_least_1_and_outputs_decide():
    m, _ = measured()
    for call, name in ((m.mistakes, "mistakes"), (m.show, "show")):
        with pytest.raises(rt.ArgumentError, match=f"{name}: n is a whole number of at least 1; got 0"):
            call(0)
    numbers = rt.measure(rt.Chain(rt.ReLU(), input=1, output=1), ([[1.0]], [[2.0]]))
    with pytest.raises(rt.UnknownNameError, match="mistakes is of classes or boolean"):
        numbers.mistakes()


def test_a_notebook_gets_the_sheet_as_svg_with_the_pictures_within():
    m, _ = measured()
    bundle, _ = m.mistakes(3)._repr_mimebundle_()
    assert bundle["text/plain"] == str(m.mistakes(3))
    assert bundle["image/svg+xml"].count("data:image/png;base64,") == 1  # composed
    assert "http" not in bundle["image/svg+xml"].replace("http://www.w3.org/", "")
    file = io.StringIO(bundle["image/svg+xml"])
    assert file.read(4) == "<svg"
