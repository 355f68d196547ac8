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


def test_the_html_is_static_and_has_no_colours_of_its_own() -> None:
    net = rt.Chain(rt.Linear(30), input=2)
    assert set(html(net).tags) == {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert "#" not in net._repr_mimebundle_()["text/html"]


def test_what_a_net_says_is_escaped() -> None:
    page = html(rt.Chain({"<script>alert(1)</script>": rt.ReLU()}, input=2))
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.texts
