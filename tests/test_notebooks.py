"""A notebook is executed and converted: every picture is in the page, and the page asks no host for any."""

import asyncio
import re
import warnings
from html.parser import HTMLParser

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
nbconvert = pytest.importorskip("nbconvert")
pytest.importorskip("ipykernel")

CELLS = """
import retia as rt
from retia.zoo.small import dense
digits = rt.data("mnist")
some, others = digits.train.take(200), digits.test.take(100)
run = rt.train(dense([784, 8, 10]), some, validation=others, epochs=3, progress=False)
m = rt.measure(run.net, digits.test.take(100))
###svg
run.net
###svg
run
###svg
run.plot()
###text
m
###svg
m.confusion
###svg
m.calibration()
###svg
m.roc(3)
###text
m.per_class
###svg
m.per_class.plot()
###svg
m.mistakes(4)
###svg
m.confusion.worst(1)[0].show(3)
###png
digits.test.show(9)
###html
rt.data("penguins").show(3)
###svg
rt.data("iris").plot("map")
###svg
rt.GELU().plot()
###text
digits.test
###text
rt.check(run.net, digits.train.take(100))
"""
KINDS = {"svg": "image/svg+xml", "png": "image/png", "html": "text/html", "text": "text/plain"}


class Loaded(HTMLParser):
    """Whatever a page loads by itself, and the pictures that are in it."""

    def __init__(self, text):
        super().__init__()
        self.places, self.pictures = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag in ("script", "img", "image", "iframe", "embed", "source", "object", "use", "link"):
            self.places += [given.get(name) or "" for name in ("src", "href", "xlink:href", "data")]
        if tag == "svg" or (tag == "img" and str(given.get("src")).startswith("data:image/")):
            self.pictures.append(tag)


@pytest.fixture(scope="module")
def executed():
    first, *others = CELLS.split("###")
    kinds = [each.partition("\n")[0] for each in others]
    sources = [first.strip(), *(each.partition("\n")[2].strip() for each in others)]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of the kernel's own packages
        nbclient.NotebookClient(book, timeout=300, kernel_name="python3").execute()
        asyncio.set_event_loop_policy(None)
        exporter = nbconvert.HTMLExporter(mathjax_url="", require_js_url="", jquery_url="")
        page, _ = exporter.from_notebook_node(book)
    return kinds, book, page


def test_every_value_is_shown_in_its_best_form(executed):
    kinds, book, _ = executed
    for kind, cell in zip(kinds, book.cells[1:], strict=True):
        (output,) = cell.outputs
        if kind == "text":
            assert [*output.data] == ["text/plain"], cell.source
            assert len(output.data["text/plain"].splitlines()) > 1, cell.source
        elif kind == "svg" and KINDS["svg"] not in output.data:
            assert "<svg" in output.data["text/html"], cell.source
        else:
            assert KINDS[kind] in output.data, cell.source


def test_the_page_has_all_pictures_and_loads_nothing(executed):
    kinds, _, page = executed
    found = Loaded(page)
    assert len(found.pictures) >= kinds.count("svg") + kinds.count("png")
    assert [place for place in found.places if place and not place.startswith(("data:", "#"))] == []
    drawn = re.sub(r"<script.*?</script>", "", page, flags=re.S)
    assert re.findall(r"url\(\s*['\"]?(?:https?:)?//[^)]*\)", drawn) == []


def test_saved_notebooks_stay_small(executed):
    _, book, _ = executed
    assert len(nbformat.writes(book)) < 3_000_000


def test_the_texts_are_those_that_are_printed(executed):
    _, book, _ = executed
    table = book.cells[4].outputs[0].data["text/plain"]
    assert table.splitlines()[0].split() == ["examples", "100"]
    assert "macro" in table
    assert book.cells[8].outputs[0].data["text/plain"].split()[:2] == ["class", "precision"]
