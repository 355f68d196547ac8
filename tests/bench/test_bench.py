"""What the measurements rest on: tables, the file that sections are merged into, peers that cannot."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCH = Path(__file__).parents[2] / "bench"
JOBS = """import sys
from turns import Turns


def count(turns, start, **_):
    while (asked := turns.go()) is not None:
        start += asked["step"]
        turns.done(seconds=start)
    return {"test": 0.5}


def once(turns, start, **_):
    turns.go()
    turns.done(seconds=start, whole=2 * start)


def fails(turns, **_):
    raise ValueError("no such thing")


def falls(turns, **_):
    turns.go()
    sys.exit("gone")
"""


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> object:
    """Imports a module of the folder, and forgets it after the test."""
    monkeypatch.syspath_prepend(str(BENCH))
    before = set(sys.modules)

    def take(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield take
    for name in set(sys.modules) - before:
        if str(BENCH) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def peer(bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Makes peers of the jobs above, that workers find."""
    (tmp_path / "jobs.py").write_text(JOBS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    workers = bench("workers")
    monkeypatch.setattr(workers, "SETTLE", 0.0)

    def make(key: str, job: str, start: float = 0.0, **how: object) -> object:
        return workers.Peer(key, key.capitalize(), job, {"start": start}, **how)

    return make


def field(bench, *peers: object, rounds: int = 3):
    return bench("workers").Field(peers, rounds=rounds, extra={}, limit=60.0, patience=60.0)


def test_workers_keep_their_state_between_turns_and_the_first_is_not_counted(bench, peer) -> None:
    rows = field(bench, peer("retia", "jobs:count"), peer("torch", "jobs:count", 10.0)).measure({"step": 1})
    assert [row.first for row in rows] == [1.0, 11.0]
    assert [row.seconds for row in rows] == [[2.0, 3.0, 4.0], [12.0, 13.0, 14.0]]
    assert [row.last for row in rows] == [{"test": 0.5}] * 2


def test_a_fresh_peer_begins_anew_every_round(bench, peer) -> None:
    (row,) = field(bench, peer("retia", "jobs:once", 3.0, fresh=True)).measure(warm=False)
    assert row.seconds == [3.0, 3.0, 3.0]
    assert row.told == [{"whole": 6.0}] * 3


def test_a_peer_that_cannot_is_a_reason_and_stops_nobody(bench, peer) -> None:
    rows = field(
        bench,
        peer("retia", "jobs:count"),
        peer("fails", "jobs:fails"),
        peer("falls", "jobs:falls"),
        peer("missing", "jobs:count", needs=("no_such_package",)),
    ).measure({"step": 1})
    assert [row.failed for row in rows] == [
        None, "ValueError: no such thing", "gone", "not installed: no_such_package",
    ]  # fmt: skip
    assert rows[0].seconds == [2.0, 3.0, 4.0]
    told = " ".join(bench("report").Table("T", rows).markdown().split())
    assert told.endswith("Left out: Falls: gone. Left out: Missing: not installed: no_such_package.")


def test_a_ratio_is_the_median_of_those_within_rounds(bench) -> None:
    workers, report = bench("workers"), bench("report")
    ours = workers.Row(workers.Peer("retia", "Retia", ""), [1.0, 1.0, 4.0], first=9.0, last={"test": 0.97})
    theirs = workers.Row(workers.Peer("torch", "PyTorch", ""), [2.0, 4.0, 4.0], first=2.0)
    assert (
        report.Table("A table", [ours, theirs], first=True).markdown()
        == """\
### A table

|  | median | first | Retia / it | test accuracy |
| --- | --- | --- | --- | --- |
| Retia | 1 (1-2.5) | 9 |  | 97.00% |
| PyTorch | 4 (3-4) | 2 | 0.50 |  |"""
    )


def test_sections_that_are_not_measured_stay_in_the_file(bench, tmp_path: Path) -> None:
    report, path = bench("report"), tmp_path / "RESULTS.md"
    order = ["Training", "Memory", "Import"]
    for made in ({"Import": "## Import\n\nold\n"}, {"Training": "## Training\n\n### A\n\none\n"}):
        report.merge(path, made, order)
    text = report.merge(path, {"Import": "## Import\n\nnew\n"}, order)
    assert text == f"{report.HEAD}\n## Training\n\n### A\n\none\n\n## Import\n\nnew\n"
    assert path.read_text() == text


def test_arrays_with_colours_last_are_the_same_net(bench) -> None:
    workloads = bench("workloads")
    spec = workloads.NETS["cnn"]
    rng = np.random.default_rng(0)
    shapes = [shape for _, shape in workloads.sides(spec)]
    assert shapes == [(32, 1, 3, 3), (64, 32, 3, 3), (128, 3136), (10, 128)]
    arrays = [(rng.normal(size=shape), np.zeros(shape[0])) for shape in shapes]
    last = workloads.channels_last(spec, arrays)
    assert [weight.shape for weight, _ in last] == [(3, 3, 1, 32), (3, 3, 32, 64), (3136, 128), (128, 10)]
    x = rng.normal(size=(64, 7, 7))
    first = arrays[2][0] @ x.reshape(-1)
    np.testing.assert_allclose(x.transpose(1, 2, 0).reshape(-1) @ last[2][0], first)
