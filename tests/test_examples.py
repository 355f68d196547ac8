"""The scripts in examples/: each runs, and tells of its jobs as the table of docs/examples.md takes them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
DATA = ROOT.parent / "shared" / "data"
SCRIPTS = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))
KEYS = ["job", "data", "split", "parameters", "figure", "baseline", "seconds"]

QUICK = {"recommender": 2000, "tables": 300}
"""Scripts that take seconds, and how many examples they are given."""

SLOW = {
    "dates": 500, "detection": 30, "fashion": 500, "gpt": 200, "multitask": 500, "names": 500,
    "segmentation": 30, "sentiment": 200, "spoken_digits": 120, "verifier": 500,
}  # fmt: skip
NEEDS = {
    "detection": "penn_fudan", "fashion": "fashion_mnist", "segmentation": "penn_fudan",
    "sentiment": "text", "spoken_digits": "fsdd",
}  # fmt: skip
"""What of the prepared data a script reads."""


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    import table

    return table


def run(name: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "examples" / f"{name}.py"), *options]
    how = {"capture_output": True, "text": True, "encoding": "utf8", "check": False}
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, **how)


def told(name: str, examples: int) -> list[dict[str, Any]]:
    """The jobs of a script that is given few examples and one epoch."""
    if name in NEEDS and not (DATA / NEEDS[name]).exists():
        pytest.skip(f"{DATA / NEEDS[name]} is not there")
    done = run(name, "--epochs", "1", "--examples", str(examples))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1].startswith('{"job"')
    return [json.loads(line) for line in lines if line.startswith('{"job"')]


def check(job: dict[str, Any]) -> None:
    assert list(job) == KEYS
    assert all(isinstance(job[key], str) and job[key] for key in ("job", "data", "split"))
    assert isinstance(job["parameters"], int)
    for key in ("figure", "baseline"):
        assert job[key]
        assert all(isinstance(value, float) and value == value for value in job[key].values())


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_example_is_python_and_says_what_it_does(name: str) -> None:
    path = ROOT / "examples" / f"{name}.py"
    module = compile(path.read_text(encoding="utf8"), path.name, "exec")
    assert module.co_consts[0].count("\n") >= 2


@pytest.mark.parametrize("name", sorted(QUICK))
def test_quick_examples_tell_of_their_jobs(name: str) -> None:
    for job in told(name, QUICK[name]):
        check(job)


@pytest.mark.full
@pytest.mark.parametrize("name", sorted(SLOW))
def test_slower_examples_tell_of_their_jobs(name: str) -> None:
    for job in told(name, SLOW[name]):
        check(job)


def test_where_the_prepared_data_is_missing_the_script_says_so_in_a_line(tmp_path: Path) -> None:
    done = run("fashion", "--data", str(tmp_path))
    where = tmp_path / "fashion_mnist"
    assert done.stderr == f"{where} is not there. --data DIR says where the prepared data lies.\n"
    assert done.returncode == 1


# The table ----------------------------------------------------------------------------------------


def job(**other: Any) -> dict[str, Any]:
    found = {"job": "names clothes", "data": "d", "split": "s", "parameters": 431080}
    return {**found, "figure": {"accuracy": 0.91234}, "baseline": "none", "seconds": 12.6, **other}


def test_every_script_that_tells_of_a_job_is_in_the_table(table: ModuleType) -> None:
    assert {*QUICK, *SLOW} <= {*table.scripts()}
    assert not {"job", "table", "mnist", "overfitting", "predictions", "vanishing"} & {*table.scripts()}


def test_a_job_is_a_row(table: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "machine", lambda: "a machine")
    cells = table.row("fashion", job()).split(" | ")
    assert cells[:-1] == [
        "| [names clothes](../examples/fashion.py)", "d", "s", "431,080", "accuracy 0.9123", "none", "13",
    ]  # fmt: skip
    assert cells[-1].endswith(", a machine |")


def test_rows_of_scripts_that_were_not_run_stay(table: ModuleType) -> None:
    page = table.merged("", "tables", [table.row("tables", job(job="b")), table.row("tables", job(job="a"))])
    page = table.merged(page, "fashion", [table.row("fashion", job())])
    page = table.merged(page, "tables", [table.row("tables", job(job="new"))])
    rows = [line.partition("]")[0] for line in page.splitlines() if line.startswith("| [")]
    assert rows == ["| [names clothes", "| [new"]
    assert page.startswith(table.HEAD)


def test_what_a_script_prints_beside_its_jobs_does_not_matter(table: ModuleType) -> None:
    output = f"epoch 1/1\n{json.dumps(job())}\n{{'digit': 7}}\n"
    assert table.jobs(output) == [job()]


def test_a_job_that_lacks_something_is_refused(table: ModuleType) -> None:
    with pytest.raises(SystemExit, match="A job's line lacks seconds: "):
        table.jobs(json.dumps({key: 1 for key in KEYS[:-1]}))


def test_the_page_is_what_the_script_writes(table: ModuleType) -> None:
    page = (ROOT / "docs" / "examples.md").read_text(encoding="utf8")
    assert table.merged(page, "", []) == page
