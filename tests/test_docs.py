"""The Python of the pages in docs runs as it stands, and answers what its comments say."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PAGES = {
    name: re.split(r"^## ", (ROOT / "docs" / f"{name}.md").read_text(encoding="utf8"), flags=re.M)
    for name in ("data", "surgery", "training", "gallery")
}
SECTIONS = [(name, section) for name, (_, *sections) in PAGES.items() for section in sections]


def blocks(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, re.S)


def run(block: str, names: dict[str, Any]) -> None:
    """Run a block; what an expression answers is compared with the comment behind it."""
    lines = block.splitlines()
    for statement in ast.parse(block).body:
        if not isinstance(statement, ast.Expr):
            exec(compile(ast.Module([statement], []), "page", "exec"), names)
            continue
        answer = eval(compile(ast.Expression(statement.value), "page", "eval"), names)
        last = lines[(statement.end_lineno or 0) - 1]
        said = re.fullmatch(r"\s+# (.*)", last[statement.end_col_offset or 0 :])
        if said and answer is not None:
            assert str(answer) == said[1], last


def test_the_page_says_which_answers_it_means(tmp_path: Path) -> None:
    names: dict[str, Any] = {}
    run("x = 2\nx + 1   # 3\nprint(x)  # not an answer", names)
    with pytest.raises(AssertionError, match=r"x \* 2  # 5"):
        run("x * 2  # 5", names)


@pytest.mark.parametrize(
    ("page", "section"), SECTIONS, ids=[f"{page}: {text.splitlines()[0]}" for page, text in SECTIONS]
)
def test_what_a_page_says_is_so(
    page: str, section: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in [*blocks(PAGES[page][0]), *blocks(section)]:
        run(block, names)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", *sorted(
    f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")
)])  # fmt: skip
def test_every_link_leads_somewhere(page: str) -> None:
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(encoding="utf8"), flags=re.S)
    for place, _, heading in re.findall(r"\]\((?!https?:)([^)#]*)(#?)([^)]*)\)", text):
        target = (ROOT / page).parent / place if place else ROOT / page
        assert target.is_file(), place
        if heading:
            titles = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf8"), re.M)
            assert heading in {re.sub(r"[^\w-]", "", t.lower().replace(" ", "-")) for t in titles}, heading


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_file_that_is_named_is_there(page: str) -> None:
    named = re.findall(r"`((?:src|tests|docs|bench|examples)/[\w/]+\.\w+)`", (ROOT / page).read_text())
    assert [place for place in named if not (ROOT / place).is_file()] == []


PICTURES = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (ROOT / "docs" / "gallery.md").read_text(encoding="utf8"))


def test_every_block_of_the_gallery_but_the_first_has_its_picture() -> None:
    first, *others = blocks((ROOT / "docs" / "gallery.md").read_text(encoding="utf8"))
    drawn = [block for block in others if isinstance(ast.parse(block).body[-1], ast.Expr)]
    assert drawn == others
    assert len(PICTURES) == len({*PICTURES}) == len(others)
    kept = {f"pictures/{path.name}" for path in (ROOT / "docs" / "pictures").iterdir()}
    assert kept == {*PICTURES}


@pytest.mark.parametrize("place", PICTURES)
def test_a_picture_is_small_and_an_svg_is_light_and_dark_and_loads_nothing(place: str) -> None:
    path = ROOT / "docs" / place
    assert path.stat().st_size < 100_000
    if path.suffix == ".svg":
        text = path.read_text(encoding="utf8")
        assert re.search(r"prefers-color-scheme: ?dark", text)
        loaded = re.findall(r'(?:href|src)="([^"]*)"|url\(([^)]*)\)', text)
        assert all(one.startswith(("#", "data:")) for one in map("".join, loaded))
