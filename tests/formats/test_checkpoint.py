"""Checkpoints: the last state that stood is never lost, and nothing but it is ever read."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import random
import resource
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from crafting import apart, together
from hypothesis import given
from hypothesis import strategies as st

import retia as rt
from retia.errors import FileError, MissingFileError
from retia.formats import facts, header, record
from retia.formats.checkpoint import CheckpointFolder, name_of, read_checkpoint
from retia.formats.record import NewerFormatError, read_record, write_record

HERE = Path(__file__).parent
HISTORY = [{"epoch": e, "loss": 1 / e, "val_loss": math.nan if e % 7 == 0 else e / 3} for e in range(1, 40)]


def tensors(step):
    draw = torch.Generator().manual_seed(step)
    return {
        "array/0.weight": torch.randn(30, 20, generator=draw),
        "array/bfloat": torch.randn(5, generator=draw).bfloat16(),
        "slot/mean/0.weight": torch.full((30, 20), float("nan")),
        "rows": torch.arange(step, step + 9),
        "flag": torch.tensor(True),
        "none": torch.empty(0, 4),
    }


def written(folder, *steps):
    with CheckpointFolder(folder) as held:
        for step in steps:
            held.write(step, tensors(step), {"step": step, "history": HISTORY})
    return folder


def assert_is(found, step):
    assert found.step == step
    assert found.path.name == name_of(step)
    assert found.facts["step"] == step
    expected = tensors(step)
    assert found.tensors.keys() == expected.keys()
    for name, tensor in expected.items():
        got = found.tensors[name]
        assert (got.dtype, got.shape) == (tensor.dtype, tensor.shape)
        same = [t.reshape(-1).view(torch.uint8) for t in (got, tensor)]
        assert same[0].equal(same[1])


def names(folder):
    return sorted(name for name in os.listdir(folder) if name != ".lock")


# What is kept -------------------------------------------------------------------------------------


def test_the_newest_is_read_and_two_are_kept(tmp_path):
    folder = written(tmp_path / "runs" / "pets", 10, 20, 30, 40)
    assert names(folder) == [name_of(30), name_of(40)]
    found = read_checkpoint(folder)
    assert_is(found, 40)
    assert found.notes == ()
    assert repr(found.facts["history"]) == repr(HISTORY)


def test_older_ones_are_removed_only_when_the_new_one_is_on_the_disk(tmp_path, monkeypatch):
    written(tmp_path, 10, 20)
    steps = []
    for name in ("fsync", "replace", "unlink"):
        real = getattr(os, name)

        def watched(*how, name=name, real=real):
            steps.append(name)
            return real(*how)

        monkeypatch.setattr(os, name, watched)
    with CheckpointFolder(tmp_path) as held:
        held.read()
        held.write(30, tensors(30), {})
    assert steps == ["fsync", "replace", "fsync", "unlink"]
    assert names(tmp_path) == [name_of(20), name_of(30)]


def test_a_damaged_one_is_passed_over_and_never_kept_instead_of_a_good_one(tmp_path):
    written(tmp_path, 10, 20)
    os.truncate(tmp_path / name_of(20), 700)
    with CheckpointFolder(tmp_path) as held:
        found = held.read()
        assert_is(found, 10)
        assert found.notes == (
            f"{tmp_path / name_of(20)}: its header would have "
            f"{header_length(tmp_path / name_of(20)):,} bytes, but 692 follow. "
            "Going on from step 10, the one before.",
        )
        held.write(30, tensors(30), {"step": 30})
    assert names(tmp_path) == [name_of(10), name_of(30)]


def header_length(path):
    return int.from_bytes(path.read_bytes()[:8], "little")


def test_a_step_that_is_written_again_leaves_the_one_before(tmp_path):
    written(tmp_path, 10, 20)
    with CheckpointFolder(tmp_path) as held:
        held.read()
        held.write(20, tensors(20), {"step": 20})
        held.write(15, tensors(15), {"step": 15})
    assert names(tmp_path) == [name_of(15), name_of(20)]


def test_nothing_is_removed_down_to_one_by_a_training_that_did_not_read(tmp_path):
    written(tmp_path, 10, 20)
    written(tmp_path, 30)
    assert names(tmp_path) == [name_of(20), name_of(30)]


def test_a_folder_without_checkpoints_says_so(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(MissingFileError, match=f"^{folder}: there is no checkpoint in it.$"):
            read_checkpoint(folder)


def test_all_damaged_are_named(tmp_path):
    written(tmp_path, 10, 20)
    for step in (10, 20):
        (tmp_path / name_of(step)).write_bytes(b"")
    with pytest.raises(rt.FormatError) as caught:
        read_checkpoint(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: no checkpoint in it can be used.\n"
        f"  from  {tmp_path / name_of(20)}: a net's file has at least 8 bytes; this one has 0.\n"
        f"  from  {tmp_path / name_of(10)}: a net's file has at least 8 bytes; this one has 0."
    )


def test_other_files_in_the_folder_are_left_alone(tmp_path):
    for name in ("notes.txt", "step-1.safetensors", f"old-{name_of(5)}"):
        (tmp_path / name).write_text("mine")
    written(tmp_path, 10, 20, 30)
    assert names(tmp_path) == sorted(
        ["notes.txt", "step-1.safetensors", f"old-{name_of(5)}", name_of(20), name_of(30)]
    )


def test_a_new_training_is_not_written_over_an_old_one(tmp_path):
    written(tmp_path, 1200)
    with pytest.raises(rt.ArgumentError) as caught, CheckpointFolder(tmp_path, new=True):
        pass
    assert str(caught.value) == (
        f"checkpoint: {tmp_path} holds a training of 1,200 steps.\n"
        "  fix   resume=True goes on from there; another folder keeps both"
    )
    with CheckpointFolder(tmp_path):
        pass
    with CheckpointFolder(tmp_path / "new", new=True):
        pass


def test_a_checkpoint_is_no_net_and_a_net_no_checkpoint(tmp_path):
    written(tmp_path, 10)
    with pytest.raises(rt.FormatError) as caught:
        rt.load(tmp_path / name_of(10))
    assert str(caught.value) == (
        f"{tmp_path / name_of(10)}: it is a checkpoint, not a net.\n"
        "  fix   rt.train(..., checkpoint=folder, resume=True) goes on from a folder of checkpoints"
    )
    rt.Linear(2, input=3).init().save(tmp_path / name_of(20))
    assert "it is no checkpoint" in read_checkpoint(tmp_path).notes[0]
    write_record(tmp_path / "other", "replay", {}, {})
    with pytest.raises(rt.FormatError, match="other: it is a 'replay', expected a checkpoint.$"):
        read_record(tmp_path / "other", "checkpoint")


# Two at once --------------------------------------------------------------------------------------


def test_two_trainings_do_not_write_to_one_folder(tmp_path):
    with CheckpointFolder(tmp_path):
        with pytest.raises(FileError) as caught, CheckpointFolder(tmp_path):
            pass
        assert str(caught.value) == (
            f"checkpoint: {tmp_path} is written to by another training "
            f"(process {os.getpid()} on {os.uname().nodename}).\n"
            "  fix   end that one first, or give this one another folder"
        )
    with CheckpointFolder(tmp_path):
        pass


def test_without_locks_a_checkpoint_from_elsewhere_is_noticed(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", none)
    with CheckpointFolder(tmp_path) as one, CheckpointFolder(tmp_path) as other:
        one.write(10, tensors(10), {})
        with pytest.raises(FileError, match="has a checkpoint of step 10 that this training did not write"):
            other.write(5, tensors(5), {})
        one.write(20, tensors(20), {})
    assert names(tmp_path) == [name_of(10), name_of(20)]


def test_what_a_killed_training_left_half_written_is_removed(tmp_path):
    (tmp_path / ".retia-0123456789abcdef.tmp").write_bytes(b"half")
    written(tmp_path, 10)
    assert names(tmp_path) == [name_of(10)]


# Kills and full disks -----------------------------------------------------------------------------


def test_kills_at_random_moments_lose_nothing_that_stood(tmp_path, full):
    count = 200 if full else 12
    done = subprocess.run(
        [sys.executable, str(HERE / "killing.py"), str(tmp_path / "run"), str(count), "7"],
        capture_output=True,
        text=True,
        timeout=1200,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout)
    assert report["faults"] == []
    assert report["said"] >= count * 2 // 3, "too few were written between two kills"
    if full:
        assert report["halves"] > 0, "no kill came while a file was written"


@pytest.fixture
def limited():
    """At most 5,000 bytes a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_limit_on_files_leaves_the_old_checkpoints(tmp_path, request):
    written(tmp_path, 10, 20)
    with CheckpointFolder(tmp_path) as held:
        held.read()
        request.getfixturevalue("limited")
        with pytest.raises(FileError) as caught:
            held.write(30, tensors(30), {"step": 30})
    size = caught.value.expected
    assert caught.value.errno == errno.EFBIG
    assert str(caught.value) == (
        f"{tmp_path / name_of(30)}: could not be written: File too large. It takes {size:,} bytes, more than "
        "one file may have here (ulimit -f). What was there is as it was."
    )
    assert names(tmp_path) == [name_of(10), name_of(20)]
    assert_is(read_checkpoint(tmp_path), 20)


def test_a_full_disk_leaves_the_old_checkpoints_and_tells_the_bytes(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small)]
    if sys.platform != "linux" or os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no small file system can be mounted here")
    try:
        written(small / "run", 10, 20)
        large = {"w": torch.zeros(70_000)}
        with CheckpointFolder(small / "run") as held:
            held.read()
            with pytest.raises(FileError) as caught:
                held.write(30, large, {})
            free = os.statvfs(small).f_bavail * os.statvfs(small).f_frsize
        size = caught.value.expected
        assert size > 280_000 > free
        assert caught.value.got == free
        assert str(caught.value) == (
            f"{small / 'run' / name_of(30)}: could not be written: No space left on device. It takes "
            f"{size:,} bytes; {free:,} are free, {size - free:,} are missing. What was there is as it was."
        )
        assert names(small / "run") == [name_of(10), name_of(20)]
        assert_is(read_checkpoint(small / "run"), 20)
    finally:
        subprocess.run(["umount", str(small)], check=True)


@pytest.mark.parametrize("step", ["open", "fsync", "replace"])
def test_a_system_that_refuses_leaves_the_old_checkpoints(step, tmp_path, monkeypatch):
    written(tmp_path, 10, 20)

    def closed(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    with CheckpointFolder(tmp_path) as held, monkeypatch.context() as patched:
        held.read()
        patched.setattr(os, step, closed)
        with pytest.raises(FileError) as caught:
            held.write(30, tensors(30), {})
    assert str(caught.value) == f"{tmp_path / name_of(30)}: could not be written: Read-only file system."
    assert names(tmp_path) == [name_of(10), name_of(20)]


# Damage -------------------------------------------------------------------------------------------


def test_a_checkpoint_cut_anywhere_is_passed_over(tmp_path):
    written(tmp_path, 10, 20)
    newest = tmp_path / name_of(20)
    raw = newest.read_bytes()
    for end in [*range(0, len(raw), 1000), len(raw) - 1]:
        newest.write_bytes(raw[:end])
        found = read_checkpoint(tmp_path)
        assert_is(found, 10)
        assert len(found.notes) == 1
    newest.write_bytes(raw)
    assert_is(read_checkpoint(tmp_path), 20)


def test_a_checkpoint_with_one_bit_turned_is_passed_over(tmp_path, full):
    written(tmp_path, 10, 20)
    newest = tmp_path / name_of(20)
    raw = newest.read_bytes()
    draw = random.Random(1)
    places = range(8 * len(raw)) if full else range(0, 8 * len(raw), 997)
    for place in places if not full else draw.sample(places, 5000):
        changed = bytearray(raw)
        changed[place // 8] ^= 1 << place % 8
        newest.write_bytes(changed)
        found = read_checkpoint(tmp_path)
        assert found.step == 10, f"bit {place}"
        assert len(found.notes) == 1


def test_a_disk_that_cannot_be_read_is_passed_over(tmp_path):
    written(tmp_path, 10, 20)
    (tmp_path / name_of(20)).unlink()
    (tmp_path / name_of(20)).mkdir()
    os.mkfifo(tmp_path / name_of(30))
    found = read_checkpoint(tmp_path)
    assert_is(found, 10)
    assert found.notes == (
        f"{tmp_path / name_of(30)}: it is a pipe, not a file. Going on from step 10, the one before.",
        f"{tmp_path / name_of(20)}: it is a folder, not a file. Going on from step 10, the one before.",
    )


def forged(raw, **metadata):
    """A record with other metadata, its checksums right."""
    head, data = apart(raw)
    said = {**head.pop("__metadata__"), **{f"retia.{name}": text for name, text in metadata.items()}}
    said.pop("retia.header_sha256")
    entries = [header.Entry(n, e["dtype"], tuple(e["shape"]), *e["data_offsets"]) for n, e in head.items()]
    said["retia.header_sha256"] = hashlib.sha256(header.write(entries, said)).hexdigest()
    return header.write(entries, said) + data


def test_a_checkpoint_of_a_newer_retia_is_not_passed_over(tmp_path):
    written(tmp_path, 10, 20)
    newest = tmp_path / name_of(20)
    newest.write_bytes(forged(newest.read_bytes(), record_format="2", version="9.0"))
    with pytest.raises(NewerFormatError) as caught:
        read_checkpoint(tmp_path)
    assert str(caught.value) == (
        f"{newest}: it is of format '2', written by Retia '9.0'; this Retia reads up to 1.\n"
        "  fix   pip install -U retia"
    )


HOSTILE = {
    "a key twice": '{"a":1,"a":2}',
    "NaN": "NaN",
    "infinity": "1e999",
    "a long number": "9" * 40,
    "depth": "[" * 400 + "]" * 400,
    "many lists": "[" + "[]," * 260_000 + "[]]",
    "half a character": '"\\ud800"',
    "no JSON": "import os",
    "a tag": '{"$import":"os"}',
    "a number's tag": '{"$number":"1e5"}',
    "no such column": '{"$array":"7"}',
    "a column twice": '[{"$array":"0"},{"$array":"0"}]',
    "a column unused": "[]",
    "a table of other things": '{"$table":[["a",{"$array":"0"}],["b",3]]}',
    "a table of unequal columns": '{"$table":[["a",{"$array":"0"}],["b",[1]]]}',
    "a table's name twice": '{"$table":[["a",{"$array":"0"}],["a",[1]]]}',
    "a table of numbers": '{"$table":7}',
    "a dict of no pairs": '{"$dict":[[1,2]]}',
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_facts_made_by_hand_are_refused(kind, tmp_path):
    place = tmp_path / "record"
    write_record(place, "note", {}, list(range(20)))
    raw = place.read_bytes()
    assert read_record(place, "note").facts == list(range(20))
    place.write_bytes(forged(raw, facts='{"x":{"$array":"0"}}'))
    assert read_record(place, "note").facts == {"x": list(range(20))}
    place.write_bytes(forged(raw, facts=HOSTILE[kind]))
    with pytest.raises(rt.FormatError, match=f"^{place}: ") as caught:
        read_record(place, "note")
    assert caught.value.__cause__ is None


def test_columns_of_other_kinds_or_too_many_are_refused(monkeypatch):
    for column in (torch.zeros(2, 2), torch.zeros(3), torch.zeros(3, dtype=torch.bool)):
        with pytest.raises(rt.FormatError, match="the facts: the column '0' is of"):
            facts.unpack('{"$array":"0"}', {"0": column})
    monkeypatch.setattr(facts, "MOST_NUMBERS", 50)
    with pytest.raises(rt.FormatError, match="^the facts have 51 numbers, at most 50.$"):
        facts.pack([*range(51)])
    with pytest.raises(rt.FormatError, match="^the facts have 51 numbers, at most 50.$"):
        facts.unpack('{"$array":"0"}', {"0": torch.zeros(51)})


def test_a_record_with_two_equal_names_or_a_stranger_in_its_header_is_refused(tmp_path):
    place = tmp_path / "record"
    write_record(place, "note", {"w": torch.ones(1)}, None)
    head, data = apart(place.read_bytes())
    text = json.dumps(head)
    entry = json.dumps({"w": head["w"]})[1:-1]
    place.write_bytes(together((text[:-1] + "," + entry + "}").encode(), data))
    with pytest.raises(rt.FormatError, match="the header: the key 'w' stands twice"):
        read_record(place, "note")
    head["w"]["code"] = "import os"
    place.write_bytes(together(head, data))
    with pytest.raises(rt.FormatError, match="not described by dtype, shape and data_offsets alone"):
        read_record(place, "note")


# Facts --------------------------------------------------------------------------------------------

ODD = [0.0, -0.0, 5e-324, -1e-310, math.inf, -math.inf, math.nan, 1e308, 0.1, 2.2250738585072014e-308]
FLOATS = st.sampled_from(ODD) | st.binary(min_size=8, max_size=8).map(lambda raw: struct.unpack("<d", raw)[0])
NUMBERS = FLOATS | st.integers(-(2**64) + 1, 2**64 - 1)
LEAVES = st.none() | st.booleans() | NUMBERS | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "loss", "$number", "$x", ""]), inner, max_size=3)
        | st.lists(FLOATS, min_size=16, max_size=20)
        | st.lists(st.integers(-(2**63) - 1, 2**63), min_size=16, max_size=20)
        | st.lists(st.fixed_dictionaries({"$e": NUMBERS}), min_size=16, max_size=18)
        | st.lists(st.fixed_dictionaries({"e": inner, "b": FLOATS}), min_size=16, max_size=18)
    ),
    max_leaves=12,
)


def bits(value):
    """A tree with floats as their bits: NaN equals itself, 0.0 is neither -0.0 nor 5e-324, 1 is not 1.0."""
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, list):
        return [bits(each) for each in value]
    if isinstance(value, dict):
        return [(key, bits(each)) for key, each in value.items()]
    return (type(value), value)


@pytest.fixture(params=[False, True], ids=["denormals", "flushed"], scope="module")
def flushed(request):
    """Whether this process takes denormals for 0, as training does."""
    before = math.ldexp(1.0, -1060) * 2.0 == 0.0
    torch.set_flush_denormal(request.param)
    yield
    torch.set_flush_denormal(before)


@pytest.mark.usefixtures("flushed")
@given(TREES)
def test_facts_come_back_to_the_bit(tree):
    text, columns = facts.pack(tree)
    assert bits(facts.unpack(text, columns)) == bits(tree)


def test_a_history_of_any_length_fits(tmp_path):
    history = [{"epoch": e, "loss": 1 / e, "val_loss": math.inf, "why": None} for e in range(1, 100_000)]
    write_record(tmp_path / "long", "note", {}, {"history": history})
    assert read_record(tmp_path / "long", "note").facts == {"history": history}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [1, {2: 3}]}, "facts.a[1] has the key 2; keys are texts."),
        ({"a": 2**64}, f"facts.a is {2**64}; whole numbers go up to 2**64."),
        ({"a": torch.ones(1)}, "facts.a is a Tensor, which a file's facts do not hold."),
        ({"a": {1}}, "facts.a is a set, which a file's facts do not hold."),
    ],
)
def test_facts_that_files_do_not_hold_are_named(value, message):
    with pytest.raises(rt.ArgumentError) as caught:
        facts.pack(value)
    assert caught.value.message == message


def test_facts_and_tensors_that_could_not_be_read_again_are_refused_before_anything_is_written(tmp_path):
    place = tmp_path / "record"
    for tensors, about, words in (
        ({}, {"x": "\ud800"}, "half of a character"),
        ({}, {"k" * 2000: 1}, "a key has 2,000 characters"),
        ({}, ["x" * 13_000_000], "the facts has 13,"),
        ({"a\nb": torch.ones(1)}, None, "cannot be an array's path"),
        ({"c": torch.ones(1, dtype=torch.complex64)}, None, "which files do not hold"),
        ({"retia.facts.0": torch.ones(1)}, None, "begins as only names of Retia's own do"),
        ({str(n): torch.ones(1) for n in range(50_001)}, None, "at most 50,000 are read"),
    ):
        with pytest.raises(rt.FormatError, match=words):
            write_record(place, "note", tensors, about)
        assert os.listdir(tmp_path) == []


def test_records_of_equal_content_have_equal_bytes_and_views_are_written_whole(tmp_path):
    base = torch.arange(12.0).reshape(3, 4)
    write_record(tmp_path / "a", "note", {"t": base.T, "part": base[:, 1]}, {})
    write_record(tmp_path / "b", "note", {"part": base[:, 1].clone(), "t": base.T.clone()}, {})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert read_record(tmp_path / "a", "note").tensors["t"].equal(base.T)
    assert record.FORMAT == 1
