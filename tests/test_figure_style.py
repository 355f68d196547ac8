"""The style of all pictures: light and dark, self-contained, the same each time, shown in notebooks."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import sklearn.metrics as sk
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from scipy.special import softmax
from sklearn.calibration import calibration_curve

import retia as rt
from retia import _figures as figures
from retia._late import Late

M = rt.measure(
    rt.Chain(rt.Softmax(), input=2, output=rt.Classes(["cat", "dog"])),
    ([[0.0, 3.0], [2.0, 0.0], [0.0, 1.0]], ["cat", "cat", "dog"]),
)
TEST = rt.RateTest((0.1, 1.0, 10.0), (3.0, 1.0, 9.0), "the loss diverged")
DRAWN = {
    "confusion": M.confusion, "curve": M.roc("cat"), "calibration": M.calibration(), "rates": TEST,
}  # fmt: skip


def luminance(color):
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_words_and_marks_can_be_seen_on_light_and_on_dark():
    assert contrast(figures.INK, figures.GROUND) >= 7
    assert contrast(figures.DARK_INK, figures.DARK_GROUND) >= 7
    for color in figures.SERIES:
        assert contrast(color, figures.GROUND) >= 3, color
        assert contrast(color, figures.DARK_GROUND) >= 3, color
    assert contrast("#ffffff", figures.STRONG) >= 4.5
    assert contrast("#000000", figures.SECOND) >= 4.5


@pytest.mark.parametrize("name", DRAWN)
def test_a_saved_svg_follows_the_page_and_asks_no_host(name, tmp_path):
    DRAWN[name].plot(tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text(encoding="utf8")
    root = ET.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "prefers-color-scheme: dark" in text
    assert figures.INK not in text.split("</style>")[1]
    loaded = re.findall(r'(?:href|src)="([^"]*)"|url\(([^)]*)\)|@import', text)
    assert all(place.startswith(("#", "data:")) for place in map("".join, loaded))
    DRAWN[name].plot(tmp_path / "b.svg")
    assert (tmp_path / "b.svg").read_text(encoding="utf8") == text


def test_names_within_pictures_of_one_page_differ():
    first, second = (figures.svg(each.plot()) for each in (M.confusion, M.calibration()))
    names = [{*re.findall(r'\bid="([^"]+)"', text)} for text in (first, second)]
    assert names[0].isdisjoint(names[1])
    for text, own in zip((first, second), names, strict=True):
        assert len(re.findall(r'\bid="', text)) == len(own)
        assert {*re.findall(r'(?:href="#|url\(#)([^")]+)', text)} <= own


@pytest.mark.parametrize("name", DRAWN)
def test_a_notebook_shows_figures_and_results_as_pictures(name):
    thing = DRAWN[name]
    of_figure, said = thing.plot()._repr_mimebundle_()
    assert re.match(r'<svg [^>]*role="img" aria-label="[^"]{5,}"', of_figure["image/svg+xml"])
    assert thing._repr_mimebundle_() == ({**of_figure, "text/plain": str(thing)}, said)


def test_a_notebook_gets_a_png_where_an_svg_would_be_large(monkeypatch):
    monkeypatch.setattr(figures, "LARGEST", 1000)
    bundle, said = M.confusion.plot()._repr_mimebundle_()
    assert sorted(bundle) == ["image/png", "text/plain"]
    assert bundle["image/png"].startswith(b"\x89PNG")
    assert said == {"image/png": {"alt": figures.said(M.confusion.plot())}}
    assert "true" in said["image/png"]["alt"]


def test_without_matplotlib_a_notebook_gets_text(monkeypatch):
    monkeypatch.setattr(figures, "_figure", Late("matplotlib_that_nobody_has.figure", extra="plots"))
    assert M.confusion._repr_mimebundle_() == ({"text/plain": str(M.confusion)}, {})


@pytest.mark.parametrize("name", DRAWN)
def test_axes_that_are_given_come_back_and_keep_their_style(name, tmp_path):
    own = Figure(facecolor="black").subplots()
    own.xaxis.label.set_color("lime")
    assert DRAWN[name].plot(tmp_path / "a.png", ax=own) is own
    assert (tmp_path / "a.png").is_file()
    assert own.figure.get_facecolor()[:3] == (0, 0, 0)
    assert own.xaxis.label.get_color() == "lime"
    if own.get_legend() is not None:
        assert {to_hex(text.get_color()) for text in own.get_legend().get_texts()} == {"#00ff00"}


# The numbers of pictures that show a measurement ---------------------------------------------------


def decided(n=300, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n, classes)).astype(np.float32) * 2
    labels = np.where(rng.random(n) < 0.7, scores.argmax(1), rng.integers(0, classes, n))
    net = rt.Chain(rt.Softmax(), input=classes, output=rt.Classes(range(classes)))
    return rt.measure(net, (scores, labels)), softmax(scores.astype(np.float64), 1), labels


def test_a_confusion_has_the_shares_of_each_row_and_every_count():
    m, chances, labels = decided()
    place = m.confusion.plot().axes[0]
    counts = sk.confusion_matrix(labels, chances.argmax(1))
    assert np.allclose(place.images[0].get_array(), counts / counts.sum(1, keepdims=True))
    written = {text.get_position(): int(text.get_text()) for text in place.texts}
    assert written == {(column, row): n for (row, column), n in np.ndenumerate(counts) if n}


def test_a_reliability_diagram_is_that_of_scikit_learn():
    m, chances, labels = decided()
    place = m.calibration(10).plot().axes[0]
    share, confidence = calibration_curve(chances.argmax(1) == labels, chances.max(1), n_bins=10)
    line = place.lines[1]
    assert np.allclose(line.get_xdata(), confidence, atol=1e-6)
    assert np.allclose(line.get_ydata(), share)
    assert np.allclose([bar.get_height() for bar in place.patches], share)


def test_curves_over_thresholds_are_those_of_scikit_learn():
    m, chances, labels = decided()
    x, y, _ = sk.roc_curve(labels == 2, chances[:, 2], drop_intermediate=False)
    line, chance = m.roc(2).plot().axes[0].lines
    assert np.allclose(line.get_xdata(), x)
    assert np.allclose(line.get_ydata(), y)
    assert line.get_label() == f"2: AUC {sk.roc_auc_score(labels == 2, chances[:, 2]):.3f}"
    assert [*chance.get_ydata()] == [0, 1]
    place = m.precision_recall(2).plot().axes[0]
    assert np.allclose(place.lines[1].get_ydata(), (labels == 2).mean())


def test_a_rate_test_has_its_losses_and_its_suggestion():
    place = TEST.plot().axes[0]
    named = {line.get_label(): line for line in place.lines}
    assert [*named["loss of each batch"].get_ydata()] == [*TEST.losses]
    assert np.array_equal(named["smoothed"].get_ydata(), TEST.smoothed)
    assert [*named["suggestion 0.1"].get_xdata()] == [TEST.suggestion] * 2
