"""Mutated files: an error or the very net, no code, no memory. ``fuzzing`` does the work, apart."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from bombing import ALL, FEW
from fuzzing import corpus

import retia as rt

HERE = Path(__file__).parent
ROOM = 64 * 2**20


def apart(script, *arguments):
    """What a script of this folder reports, run in a process of its own."""
    done = subprocess.run(
        [sys.executable, str(HERE / script), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def assert_safe(report, count):
    assert report["faults"] == []
    assert sum(report["outcomes"].values()) == count
    assert report["python_bytes"] < ROOM
    assert report["grown_bytes"] < ROOM
    kinds = {outcome.split()[0] for outcome in report["outcomes"] if outcome.endswith("refused")}
    assert kinds == {"flipped", "truncated", "lying", "spliced", "edited", "forged"}
    assert report["outcomes"].get("forged loaded", 0) > 0, (
        "no forged file was a good one: they test too little"
    )


def test_mutated_files_are_refused_or_the_very_net():
    assert_safe(apart("fuzzing.py", 300, 1), 300)


@pytest.mark.full
def test_10_000_mutated_files_are_refused_or_the_very_net():
    assert_safe(apart("fuzzing.py", 10_000, 2), 10_000)


def test_the_watch_notices_what_it_is_there_for():
    report = apart("fuzzing.py", "watch")
    events = {"marshal.loads", "import", "compile", "exec", "open", "subprocess.Popen", "socket.__new__"}
    assert set(report["noticed"]) >= events
    assert report["room"] is False


def test_files_that_are_made_to_be_large_take_little_memory(tmp_path, full):
    bombs = ALL if full else FEW
    rt.Linear(2, input=3).init().save(tmp_path / "good")
    for name, make in bombs.items():
        (tmp_path / f"bomb of {name}").write_bytes(make())
    report = apart("bombing.py", tmp_path)
    assert report["accepted"] == []
    assert report["grown_bytes"] < ROOM


def test_a_file_cut_anywhere_is_refused(tmp_path, full):
    net = corpus()["shared"]
    net.save(tmp_path / "net")
    raw = (tmp_path / "net").read_bytes()
    places = range(len(raw)) if full else random.Random(3).sample(range(len(raw)), 150)
    for place in places:
        (tmp_path / "cut").write_bytes(raw[:place])
        with pytest.raises(rt.FormatError):
            rt.load(tmp_path / "cut")


def test_a_bit_turned_at_any_byte_is_an_error_or_changes_nothing(tmp_path, full):
    net = corpus()["shared"]
    net.save(tmp_path / "net")
    raw = (tmp_path / "net").read_bytes()
    draw = random.Random(4)
    for place in range(0, len(raw), 1 if full else 13):
        changed = bytearray(raw)
        changed[place] ^= 1 << draw.randrange(8)
        (tmp_path / "flipped").write_bytes(changed)
        try:
            loaded = rt.load(tmp_path / "flipped")
        except rt.FormatError:
            continue
        assert loaded.hash == net.hash
