"""Writing: a whole file or none, and what stood there before stays until then."""

from __future__ import annotations

import os
import resource
import stat
import tempfile

import pytest

import retia as rt
from retia import _atomic

NET = rt.Linear(2, input=3).init()
LARGE = rt.Linear(300, input=300).init()


@pytest.fixture
def old(tmp_path):
    """A file with a net in it, and nothing beside it."""
    NET.save(tmp_path / "net")
    return tmp_path / "net"


def assert_untouched(place):
    assert os.listdir(place.parent) == [place.name]
    assert rt.load(place) == NET


def test_a_net_takes_the_place_of_another(old):
    LARGE.save(old)
    assert os.listdir(old.parent) == [old.name]
    assert rt.load(old) == LARGE


def test_a_full_disk_leaves_the_old_file(old):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(rt.FormatError) as caught:
            LARGE.save(old)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    size = caught.value.expected
    assert size > 300 * 300 * 4
    assert str(caught.value) == (
        f"{old}: could not be written: File too large. It takes {size:,} bytes, more than one file may "
        "have here (ulimit -f). What was there is as it was."
    )
    assert isinstance(caught.value, OSError)
    assert_untouched(old)


@pytest.mark.parametrize("step", ["open", "fsync", "chmod", "replace"])
def test_a_system_that_refuses_any_step_leaves_the_old_file(step, old, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, step, full)
        with pytest.raises(rt.FormatError, match="could not be written: No space left on device.") as caught:
            LARGE.save(old)
    assert (caught.value.errno, caught.value.filename, caught.value.path) == (28, str(old), str(old))
    assert_untouched(old)


def test_an_interruption_leaves_the_old_file_and_nothing_else(old):
    def chunks():
        yield b"half of it"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _atomic.write(str(old), chunks())
    assert_untouched(old)


def test_the_file_is_flushed_before_it_takes_its_place_and_the_folder_after(old, monkeypatch):
    steps = []
    fsync, replace = os.fsync, os.replace

    def watched(handle):
        steps.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    monkeypatch.setattr(os, "replace", lambda *how: (steps.append("replace"), replace(*how)))
    LARGE.save(old)
    assert steps == ["file", "replace", "folder"]


def test_a_folder_that_is_missing_is_named(tmp_path):
    place = tmp_path / "no" / "such" / "net"
    with pytest.raises(FileNotFoundError, match=f"there is no folder {tmp_path / 'no' / 'such'}") as caught:
        NET.save(place)
    assert isinstance(caught.value, rt.FormatError)
    assert os.listdir(tmp_path) == []


def test_a_folder_or_a_device_is_not_replaced(tmp_path):
    with pytest.raises(rt.FormatError, match="could not be written: it is a folder"):
        NET.save(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", "/dev/null"):
        with pytest.raises(rt.FormatError, match="it is a device or a pipe"):
            NET.save(place)
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_link_keeps_pointing_where_it_pointed(old, tmp_path_factory):
    link = tmp_path_factory.mktemp("elsewhere") / "link"
    link.symlink_to(old)
    LARGE.save(link)
    assert link.is_symlink()
    assert rt.load(old) == LARGE
    assert os.listdir(old.parent) == [old.name]


def test_another_name_of_the_old_file_keeps_the_old_net(old, tmp_path_factory):
    other = tmp_path_factory.mktemp("elsewhere") / "other"
    os.link(old, other)
    LARGE.save(old)
    assert rt.load(other) == NET


def test_permissions_are_those_of_the_process_or_of_the_old_file(old):
    (old.parent / "plain").write_bytes(b"")
    assert stat.S_IMODE(old.stat().st_mode) == stat.S_IMODE((old.parent / "plain").stat().st_mode)
    old.chmod(0o640)
    LARGE.save(old)
    assert stat.S_IMODE(old.stat().st_mode) == 0o640


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_closed_folder_is_named(old):
    old.parent.chmod(0o500)
    try:
        with pytest.raises(rt.FormatError, match="could not be written: Permission denied"):
            LARGE.save(old)
    finally:
        old.parent.chmod(0o700)
    assert_untouched(old)


def test_names_of_the_longest_kind_are_written():
    with tempfile.TemporaryDirectory() as folder:
        place = os.path.join(folder, "n" * 255)
        NET.save(place)
        assert rt.load(place) == NET
