"""The examples in docstrings run, in every module of the package."""

from __future__ import annotations

import doctest
import pkgutil
from importlib import import_module

import pytest

import retia

EVERY = [found.name for found in pkgutil.walk_packages(retia.__path__, "retia.")]
MODULES = sorted(name for name in EVERY if not name.endswith("__main__"))


@pytest.mark.parametrize("name", ["retia", *MODULES])
def test_the_examples_of_a_module_run(name: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    failed, _ = doctest.testmod(
        import_module(name), extraglobs={"rt": retia}, optionflags=doctest.NORMALIZE_WHITESPACE
    )
    assert not failed


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder()
    found = [test for name in MODULES for test in finder.find(import_module(name)) if test.examples]
    assert len(found) > 60
