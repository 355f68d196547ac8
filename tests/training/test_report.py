"""A training's report: what stands in it, in 80 columns, in a notebook, and in a file that asks nobody."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

import retia as rt
from retia._late import Late
from retia.training.reports.curves import draw
from retia.training.reports.page import curves_svg, fragment, page, write
from retia.training.reports.records import LayerRecord, Records
from retia.training.reports.report import figures_of, layers_table, shown_epochs, tables_of, text_of, versions
from retia.training.reports.symptoms import Verdict
from retia.zoo.small import dense

NET = rt.Chain(
    rt.Linear(3), rt.ReLU(), rt.Linear(2), rt.Softmax(), input=2, output=rt.Classes(["<a>", "b&c"])
)

HISTORY = [
    {
        "epoch": epoch,
        "loss": 1 / epoch,
        "accuracy": 1 - 0.5 / epoch,
        "val_loss": 0.5 + abs(epoch - 4) / 20,
        "val_accuracy": 0.8,
        "seconds": 0.25,
        "rate": 0.001,
        "examples_per_second": 4000.0,
    }
    for epoch in range(1, 31)
]

RECORDS = [
    Records(
        epoch,
        epoch * 10,
        32,
        0.5,
        0.69,
        (
            LayerRecord("0", "Linear(3)", 1.5, 0.01, 0.002 if epoch else None, 0.1, 0.9),
            LayerRecord("1", "ReLU()", mean=0.3, deviation=0.4, dead=0.25),
        ),
    )
    for epoch in (0, 28, 30)
]

FIGURES = {
    "training": {"examples": 1000.0, "loss": 0.0321, "accuracy": 0.995},
    "validation": {"examples": 200.0, "loss": 0.51, "accuracy": 0.8},
}


@dataclass
class Run:
    """What a report reads of a training."""

    net: Any = NET
    history: list[dict[str, Any]] = field(default_factory=lambda: [*HISTORY])
    records: list[Records] = field(default_factory=lambda: [*RECORDS])
    verdict: Verdict = Verdict(
        "over-fitting", "Over-fitting <from> epoch 5.", ("a & b",), ("more", "less"), epoch=5
    )
    best_epoch: int = 4
    why: str = "all 30 epochs done"
    settings: Mapping[str, Any] = field(
        default_factory=lambda: {"parameters": 123456, "optimizer": "Adam(" + "x=1, " * 30 + ")", "seed": 7}
    )
    versions: Mapping[str, str] = field(default_factory=versions)


class Page(HTMLParser):
    """Checks that every element is closed, and gathers what a browser would fetch or run."""

    OPEN = {"meta", "br", "hr", "img", "link", "input"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in self.OPEN:
            self.stack.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster") or name.startswith(
                "on"
            ):
                self.asked.append((name, value or ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.OPEN:
            self.stack.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_a_report_of_text_fits_80_columns_and_begins_with_the_verdict() -> None:
    text = text_of(Run(), FIGURES)
    assert max(map(len, text.splitlines())) <= 80
    assert text.splitlines()[:4] == [
        "Over-fitting <from> epoch 5.",
        "  seen  a & b",
        "  try   more",
        "  try   less",
    ]


def test_a_report_says_everything_there_is_to_know() -> None:
    run = Run()
    text = text_of(run, FIGURES)
    for word in ("measured in inference behaviour", "The net of epoch 4", "0.9950", "Layers after epoch 30"):
        assert word in text
    for word in ("all 30 epochs done", "7.5 s for 30 epochs, 4,000 examples/s", "123,456", *run.versions):
        assert word in text
    assert "moved: since epoch 28" in " ".join(text.split())
    assert re.search(r"^\*\s+4\s+0\.2500", text, re.M)


def test_names_that_are_long_are_cut_and_surplus_columns_left_out() -> None:
    wide = [{**entry, **{f"val_measurement_{n}": 0.5 for n in range(6)}} for entry in HISTORY]
    deep = Records(
        1, 1, 8, 1.0, None, (LayerRecord("block." * 20 + "0", "Linear(3)", 1.0, 1.0, 1.0, 0.0, 1.0),)
    )
    text = text_of(Run(history=wide, records=[deep]), FIGURES)
    assert max(map(len, text.splitlines())) <= 80
    assert "..." in text


@pytest.mark.parametrize(("count", "best"), [(1, 1), (16, 3), (17, 0), (500, 77), (500, 500), (500, 0)])
def test_the_table_of_epochs_has_first_last_and_best(count: int, best: int) -> None:
    shown = shown_epochs(count, best)
    assert shown == sorted({*shown})
    assert {0, count - 1} <= {*shown}
    assert best == 0 or best - 1 in shown
    assert len(shown) <= 17


def test_a_run_without_epochs_or_records_has_a_report_too() -> None:
    run = Run(history=[], records=[], best_epoch=0, verdict=Verdict("too-short", "Too short to tell."))
    assert [table.title for table in tables_of(run, {})] == ["How it was trained", "Versions"]
    assert text_of(run).startswith("Too short to tell.\n\nHow it was trained\n")
    Page(page(run, {}))


def test_figures_are_measured_again_on_every_part() -> None:
    digits = rt.data("mnist").train.take(60)
    run = rt.train(dense([784, 10]), digits, validation=0, epochs=1, progress=False)
    parts = {"training": digits, "validation": digits[:20]}
    figures = figures_of(run.net, parts)
    for name, part in parts.items():
        answers = np.array(run.net(part.arrays()["input"]))
        assert figures[name]["accuracy"] == pytest.approx((answers == part.arrays()["output"]).mean())
        assert figures[name]["examples"] == len(part)


def test_a_training_reports_itself_with_the_test_part_only_if_it_is_named(tmp_path: Path) -> None:
    digits = rt.data("mnist").train.take(300)
    run = rt.train(dense([784, 10]), digits[:200], validation=digits[200:250], epochs=3, progress=False)
    heads = re.search(r"measured in inference behaviour\n +(.*)", run.report())
    assert heads is not None
    assert heads[1].split() == ["training", "validation"]
    text = run.report(tmp_path / "run.html", test=digits[250:])
    assert re.search(r"^ +training +validation +test$", text, re.M)
    assert max(map(len, text.splitlines())) <= 80
    words = Page((tmp_path / "run.html").read_text(encoding="utf8")).words
    assert {"test", run.verdict.text, run.why} <= {*words} | {word.split(";")[0] for word in words}
    assert run.verdict.text in Page(run._repr_html_()).words


def test_the_file_asks_no_host_and_runs_nothing(tmp_path: Path) -> None:
    write(Run(), tmp_path / "run.html", FIGURES)
    text = (tmp_path / "run.html").read_text(encoding="utf8")
    found = Page(text)
    assert [value for _, value in found.asked if not value.startswith("#")] == []
    assert found.tags.isdisjoint({"script", "link", "iframe", "object", "embed", "img", "base"})
    assert re.findall(r"@import|url\((?!#)", text) == []
    addresses = {*re.findall(r"""https?://[^"'\s<>]+""", text)}
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}  # names, not places


def test_the_file_says_what_the_text_says_and_escapes_it() -> None:
    text = page(Run(), FIGURES)
    words = " ".join(Page(text).words)
    for word in (
        "Over-fitting <from> epoch 5.",
        "a & b",
        "0.9950",
        "all 30 epochs done",
        "Layers after epoch 30",
    ):
        assert word in words
    assert "<from>" not in text
    assert "'<a>'" not in text
    assert text.count('<tr class="best"') == 1


def test_the_file_is_for_light_and_dark() -> None:
    text = page(Run(), FIGURES)
    assert "color-scheme: light dark" in text
    assert "prefers-color-scheme: dark" in text
    used = {*re.findall(r"var\((--\w+)\)", text)}
    for ground in re.findall(r":root \{([^}]*)\}", text):
        assert used == {*re.findall(r"(--\w+):", ground)}


def test_the_curves_take_their_ink_from_the_page() -> None:
    drawn = curves_svg(Run(), "loss")
    assert drawn.startswith("<svg ")
    assert 'aria-label="Curves of loss"' in drawn
    assert {*re.findall(r"#[0-9a-f]{6}\b", drawn)} == {"#3b82d6", "#d9730d"}
    assert "currentColor" in drawn
    assert curves_svg(Run(), "loss") == drawn
    names = re.findall(r'\bid="([^"]+)"', drawn)
    assert len(names) == len({*names})
    assert {*re.findall(r'(?:href="#|url\(#)([^")]+)', drawn)} <= {*names}


def test_every_metric_has_its_curves_and_no_name_stands_twice() -> None:
    more = [{**entry, "top_3": 0.5, "val_top_3": 0.4} for entry in HISTORY]
    text = page(Run(history=more), FIGURES)
    assert re.findall(r'aria-label="Curves of (\w+)"', text) == ["loss", "accuracy", "top_3"]
    names = re.findall(r'\bid="([^"]+)"', text)
    assert len(names) == len({*names})


def test_without_validation_there_is_one_curve_and_no_gap() -> None:
    alone = [{"epoch": entry["epoch"], "loss": entry["loss"], **TIMES} for entry in HISTORY]
    drawn = curves_svg(Run(history=alone, best_epoch=0), "loss")
    assert {*re.findall(r"#[0-9a-f]{6}\b", drawn)} == {"#3b82d6"}


TIMES = {"seconds": 0.1, "rate": 0.1, "examples_per_second": 10.0}


def test_without_matplotlib_the_report_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Late("matplotlib_that_nobody_has.figure", extra="plots")
    monkeypatch.setattr("retia._figures._figure", absent)
    words = " ".join(Page(page(Run(), FIGURES)).words)
    said = "This needs matplotlib_that_nobody_has, which is not installed. pip install 'retia[plots]'"
    assert f"Curves: {said}" in words


def test_a_notebook_gets_no_style_sheet_and_no_page() -> None:
    text = fragment(Run(), FIGURES)
    found = Page(text)
    assert found.tags.isdisjoint({"style", "script", "html", "head", "body", "link"})
    assert "Over-fitting <from> epoch 5." in found.words


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(rt.ArgumentError) as error:
        write(Run(), tmp_path / "run.pdf")
    assert str(error.value).endswith('ends in no .html.\n  fix   run.report("run.html")')
    assert [*tmp_path.iterdir()] == []


def test_layers_have_the_columns_that_say_something() -> None:
    assert layers_table(RECORDS).heads == (
        "layer",
        "weights",
        "gradient",
        "moved",
        "mean",
        "deviation",
        "dead",
    )
    first = layers_table(RECORDS[:1])
    assert first.title == "Layers before the first step"
    assert "moved" not in first.heads


def test_the_gap_of_the_curves_is_that_of_the_history() -> None:
    run = Run()
    ax = Figure().subplots()
    draw(ax, run.history, "loss", run.best_epoch)
    best = run.history[run.best_epoch - 1]
    gap = abs(best["val_loss"] - best["loss"])
    told = [text.get_text() for text in ax.get_legend().get_texts()]
    assert told == ["training", "validation", f"gap, {gap:.3g} at the best", f"best, epoch {run.best_epoch}"]
    (shade,) = ax.collections
    outline = {tuple(point) for point in shade.get_paths()[0].vertices.tolist()}
    for entry in run.history:
        assert {(entry["epoch"], entry["loss"]), (entry["epoch"], entry["val_loss"])} <= outline
