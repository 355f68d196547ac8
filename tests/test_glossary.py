"""Every name of the glossary is there, and stands where the glossary says."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import retia as rt

ROOT = Path(__file__).parent.parent
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "glossary.md").read_text(encoding="utf8").splitlines()
    if line.startswith("|") and not line.startswith(("| term", "| ---"))
]
OWNERS = {"rt": rt, "net": rt.Net, "run": rt.Training, "Step": type(rt.step(rt.Linear(1, input=1).init()))}
TERMS = """
batch cross-entropy dense features labels learning_rate logits loss neuron one-hot relu sigmoid softmax tensor
layer convolutional Adam activation weights biases momentum RMSprop SGD gradient epochs batch_size optimizer
early_stopping l2 augmentation cross-validation over-fitting under-fitting
number_of_layers neurons_in_each_layer NAG Adagrad MSE backpropagation validation accuracy
"""


def named(cell: str) -> list[tuple[str, Any]]:
    """The names of a cell, each with what it stands for."""
    found = []
    for owner, name, argument in re.findall(r"`(\w+)\.(\w+)(?:\((\w+)=\))?`", cell):
        thing = vars(OWNERS[owner]).get(name) if owner != "rt" else getattr(rt, name)
        if owner == "run" and thing is None:
            thing = rt.Training if name in rt.Training.__dataclass_fields__ else None
        assert thing is not None, f"{owner}.{name}"
        if argument:
            assert argument in inspect.signature(thing).parameters, f"rt.{name}({argument}=)"
        found.append((name, getattr(thing, "func", getattr(thing, "fget", thing))))
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_every_name_is_there_and_stands_where_the_page_says(row: list[str]) -> None:
    _, _, names, where = row
    path = ROOT / where.strip("`")
    assert path.is_file()
    things = named(names)
    assert things
    for name, thing in things:
        assert Path(inspect.getsourcefile(inspect.unwrap(thing)) or "").resolve() == path.resolve(), name


def test_the_page_has_the_words_of_the_introductions() -> None:
    terms = " ".join(row[0] for row in ROWS).lower().replace(" ", "_")
    assert [term for term in TERMS.split() if term.lower() not in terms] == []


def test_no_term_stands_twice() -> None:
    terms = [row[0] for row in ROWS]
    assert len(terms) == len({*terms})
