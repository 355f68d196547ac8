from html.parser import HTMLParser

import retia as rt


class Cells(HTMLParser):
    """Collects tags and the texts between them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def html(net: rt.Net) -> Cells:
    page = Cells()
    page.feed(net._repr_mimebundle_()["text/html"])
    return page


def test_a_notebook_shows_the_same_texts_as_the_terminal() -> None:
    net = rt.Chain(rt.Linear(30), rt.Tanh(), input=2)
    bundle = net._repr_mimebundle_()
    assert bundle["text/plain"] == str(net)
    assert {"Linear(30)", "90", "(30)", "total"} <= set(html(net).texts)


def test_the_html_is_static_and_asks_nothing_of_any_host() -> None:
    net = rt.Chain(rt.Linear(30), input=2)
    table = {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    drawing = {"svg", "title", "desc", "style", "rect", "path", "text"}
    assert set(html(net).tags) == table | drawing | {"div", "details", "summary"}
    for form in ("text/html", "image/svg+xml"):
        text = net._repr_mimebundle_()[form].replace("http://www.w3.org/2000/svg", "")
        assert "http" not in text
        assert "url(" not in text
        assert "@import" not in text


def test_the_table_has_no_colours_of_its_own_and_the_diagram_is_the_nets() -> None:
    net = rt.Chain(rt.Linear(30), input=2)
    bundle = net._repr_mimebundle_()
    assert "#" not in bundle["text/html"].partition("<details>")[2]
    assert bundle["image/svg+xml"] == net.diagram().svg
    assert bundle["image/svg+xml"] in bundle["text/html"]


def test_what_a_net_says_is_escaped() -> None:
    page = html(rt.Chain({"<script>alert(1)</script>": rt.ReLU()}, input=2))
    assert "script" not in page.tags
    assert page.texts.count("<script>alert(1)</script>") == 2
