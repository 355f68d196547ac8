"""Sets that are fetched: from a server of the tests' own, with everything that can go wrong on the way."""

import functools
import hashlib
import io
import os
import tarfile
import threading
import urllib.error
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import retia as rt
from retia.sources import download
from retia.sources.catalogue import Entry, Remote
from retia.sources.download import fetched, folder_of, open_url

CONTENT = bytes(range(256)) * 9000  # two pieces and a bit
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(BaseHTTPRequestHandler):
    """Answers as the last part of the path says; ``asked`` are the ranges that it was asked for."""

    protocol_version = "HTTP/1.1"
    asked: list[str]

    def do_GET(self) -> None:
        way = self.path.rpartition("/")[2]
        asked = self.headers.get("Range")
        self.asked.append(asked)
        start = int(asked[6:-1]) if asked and way != "whole-again" else 0
        first = len(self.asked) == 1
        if way == "missing" or (way == "busy" and first):
            self.send_error(404 if way == "missing" else 503)
            return
        if way == "elsewhere":
            self.send_response(302)
            self.send_header("Location", "ftp://127.0.0.1/file")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = CONTENT[start:]
        if way == "wrong":
            content = content[:-1] + b"!"
        if way == "long":
            content += b"more"
        self.send_response(206 if start else 200)
        if way == "endless":
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(content + b"more")
            self.close_connection = True
            return
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        cut = {"cut": 700_000, "whole-again": 700_000 if first else None, "never": 0}.get(way)
        self.wfile.write(content[:cut])
        self.close_connection = cut is not None or way == "never"

    def log_message(self, *what: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    kind = type("Own", (Server,), {"asked": []})
    running = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


plain = functools.partial(open_url, scheme="http")


def entry_of(url: str, **files: str) -> Entry:
    made = tuple(Remote(n, len(CONTENT), SHA256, u) for n, u in (files or {"file.bin": url}).items())
    return Entry("things", "things.", ("input   things",), "here", "free", made, {"": made[0].name})


def fetch(server, way: str, folder: Path, **how):
    entry = entry_of(f"http://127.0.0.1:{server.server_port}/{way}")
    return fetched(entry, folder=folder, opener=plain, wait=0.0, **how)


def told(server, way: str, folder: Path) -> str:
    with pytest.raises(rt.DataError) as caught:
        fetch(server, way, folder)
    assert not folder.exists() or os.listdir(folder) == []
    return str(caught.value)


def text_of(server, way: str, folder: Path, why: str) -> str:
    url = f"http://127.0.0.1:{server.server_port}/{way}"
    return (
        f"data: 'things' is not here: file.bin {why.format(url=url)}.\n"
        f"  from  file.bin, 2,304,000 bytes, sha256 {SHA256}, {url}\n"
        f"  fix   put this file into {folder} (RETIA_DATA names another place for all sets)"
    )


# The way there ------------------------------------------------------------------------------------


def test_a_file_is_fetched_once_and_then_read_from_its_place(server, tmp_path, capsys):
    folder = tmp_path / "deep" / "things"
    assert fetch(server, "file", folder) == folder
    assert (folder / "file.bin").read_bytes() == CONTENT
    assert os.listdir(folder) == ["file.bin"]
    assert fetch(server, "file", folder) == folder
    assert len(server.RequestHandlerClass.asked) == 1
    url = f"http://127.0.0.1:{server.server_port}/file"
    assert capsys.readouterr().err == f"fetching file.bin (2.3 MB) from {url}\n"


@pytest.mark.parametrize("way", ["cut", "whole-again"])
def test_a_connection_that_is_cut_goes_on_where_it_broke_off(server, tmp_path, way):
    fetch(server, way, tmp_path)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    asked = server.RequestHandlerClass.asked
    assert asked[:2] == [None, "bytes=700000-"]
    assert len(asked) == (4 if way == "cut" else 2)


def test_a_server_that_is_busy_is_asked_again(server, tmp_path):
    fetch(server, "busy", tmp_path)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_connection_that_never_gives_a_byte_is_given_up(server, tmp_path):
    text = told(server, "never", tmp_path)
    assert text == text_of(
        server, "never", tmp_path, "cannot be fetched from {url}: the connection ended early"
    )
    assert len(server.RequestHandlerClass.asked) == download.TRIES


def test_a_file_that_is_not_offered_is_given_up_at_once(server, tmp_path):
    why = "cannot be fetched from {url}: the answer was 404 Not Found"
    assert told(server, "missing", tmp_path) == text_of(server, "missing", tmp_path, why)
    assert len(server.RequestHandlerClass.asked) == 1


def test_other_bytes_never_stand_in_the_files_place(server, tmp_path):
    found = hashlib.sha256(CONTENT[:-1] + b"!").hexdigest()
    why = f"has other bytes at {{url}} than are meant: sha256 {found}"
    assert told(server, "wrong", tmp_path) == text_of(server, "wrong", tmp_path, why)


def test_a_file_that_is_longer_is_refused_before_it_is_read_or_when_it_goes_on(server, tmp_path):
    assert told(server, "long", tmp_path) == text_of(
        server, "long", tmp_path, "has 2,304,004 bytes at {url}, not 2,304,000"
    )
    assert told(server, "endless", tmp_path) == text_of(
        server, "endless", tmp_path, "has more than 2,304,000 bytes at {url}"
    )


def test_without_a_network_one_error_says_what_to_put_where(tmp_path):
    tries = []

    def offline(url: str, start: int):
        tries.append(url)
        raise urllib.error.URLError(OSError("no route there"))

    urls = {"a.bin": "https://one.test/a", "b.bin": "https://two.test/b"}
    with pytest.raises(rt.DataError) as caught:
        fetched(entry_of("", **urls), folder=tmp_path, opener=offline, wait=0.0)
    assert str(caught.value) == (
        "data: 'things' is not here: a.bin cannot be fetched from https://one.test/a: no route there.\n"
        f"  from  a.bin, 2,304,000 bytes, sha256 {SHA256}, https://one.test/a\n"
        f"  from  b.bin, 2,304,000 bytes, sha256 {SHA256}, https://two.test/b\n"
        f"  fix   put these files into {tmp_path} (RETIA_DATA names another place for all sets)"
    )
    assert caught.value.expected == ["a.bin", "b.bin"]
    assert len(tries) == 1


def test_only_https_is_spoken_also_where_one_is_sent_on(server, tmp_path):
    with pytest.raises(urllib.error.URLError, match="unknown url type: http"):
        open_url(f"http://127.0.0.1:{server.server_port}/file", 0)
    assert server.RequestHandlerClass.asked == []
    assert "ftp" in told(server, "elsewhere", tmp_path)


def test_a_folder_that_cannot_be_written_is_told(server, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        rt.DataError, match=r"'things' is not here: .*cannot be made as a folder: Not a directory"
    ):
        fetch(server, "file", tmp_path / "file" / "things")


def test_what_breaks_off_leaves_nothing_behind(server, tmp_path, monkeypatch):
    def stop(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        fetch(server, "file", tmp_path)
    assert os.listdir(tmp_path) == []


# What is there ------------------------------------------------------------------------------------


def test_a_file_that_was_put_there_by_hand_is_checked(tmp_path):
    entry = entry_of("")
    with pytest.raises(rt.DataError) as caught:
        fetched(entry, folder=tmp_path)
    assert str(caught.value) == (
        "data: 'things' is not here: nobody offers a file of it for download.\n"
        f"  from  file.bin, 2,304,000 bytes, sha256 {SHA256}\n"
        f"  fix   put this file into {tmp_path} (RETIA_DATA names another place for all sets)"
    )
    (tmp_path / "file.bin").write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(rt.DataError) as caught:
        fetched(entry, folder=tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / 'file.bin'} is not the file that is meant.\n"
        f"  from  file.bin of 'things' has 2,304,000 bytes and sha256 {SHA256}\n"
        "  fix   delete it; put the right one there"
    )
    (tmp_path / "file.bin").write_bytes(CONTENT)
    os.chmod(tmp_path, 0o500)
    assert fetched(entry, folder=tmp_path) == tmp_path  # nothing is written
    os.chmod(tmp_path, 0o700)


def test_a_damaged_file_is_never_replaced_unasked(server, tmp_path):
    (tmp_path / "file.bin").write_bytes(b"damaged")
    with pytest.raises(rt.DataError, match="delete it; it is then fetched again"):
        fetch(server, "file", tmp_path)
    assert (tmp_path / "file.bin").read_bytes() == b"damaged"


def test_the_folder_is_the_systems_or_the_one_that_was_named(monkeypatch, tmp_path):
    monkeypatch.setenv("RETIA_DATA", str(tmp_path))
    assert folder_of("things") == tmp_path / "things"
    monkeypatch.delenv("RETIA_DATA")
    for system, variable, rest in (
        ("linux", "XDG_CACHE_HOME", "retia/data/things"),
        ("win32", "LOCALAPPDATA", "retia/data/things"),
    ):
        monkeypatch.setattr(download.sys, "platform", system)
        monkeypatch.setenv(variable, str(tmp_path))
        assert folder_of("things") == tmp_path / rest
    monkeypatch.setattr(download.sys, "platform", "darwin")
    assert folder_of("things").as_posix().endswith("/Library/Caches/retia/data/things")


def test_a_packed_set_is_read_from_its_archive(tmp_path):
    """CIFAR-10's form, with few pictures."""
    from retia.sources import known
    from retia.sources.catalogue import CATALOGUE

    path = tmp_path / "cifar-10-binary.tar.gz"
    pictures = {}
    with tarfile.open(path, "w:gz") as archive:
        for number, name in enumerate([*known.BATCHES["train"], *known.BATCHES["test"]]):
            rows = [bytes([label]) + _planes(number, label) for label in (3, 8)]
            pictures[name] = rows
            info = tarfile.TarInfo(name)
            info.size = sum(map(len, rows))
            archive.addfile(info, io.BytesIO(b"".join(rows)))
    data = known.arranged(CATALOGUE["cifar10"], tmp_path, lambda text, how: rt.data(text))
    assert data.train.arrays()["input"].shape == (10, 32, 32, 3)
    assert data.test.arrays()["output"].tolist() == [3, 8]
    red, green, blue = data.train.arrays()["input"][3].transpose(2, 0, 1)
    assert (red == 1).all()
    assert (green == 108).all()
    assert blue[0, :3].tolist() == [0, 1, 2]
    assert data.about.startswith("cifar10: photographs of ten kinds of things")


def _planes(number: int, label: int) -> bytes:
    return bytes([number]) * 1024 + bytes([100 + label]) * 1024 + bytes(range(256)) * 4


def test_an_archive_that_lacks_a_batch_or_breaks_off_is_told(tmp_path):
    from retia.sources import known

    path = tmp_path / "cifar-10-binary.tar.gz"
    for content, expected in ((None, "has no cifar-10-batches-bin/data_batch_1.bin"), (b"ab", "breaks off")):
        with tarfile.open(path, "w:gz") as archive:
            for name in [*known.BATCHES["train"], *known.BATCHES["test"]] if content else ["other"]:
                info = tarfile.TarInfo(name)
                info.size = 2
                archive.addfile(info, io.BytesIO(b"ab"))
        known._cifar_arrays.cache_clear()
        with pytest.raises(rt.DataError, match=expected):
            known._cifar_arrays(path)


def test_an_entry_with_one_file_by_hand_is_by_hand():
    entry = entry_of("https://a.test/file")
    assert not entry.by_hand
    assert replace(entry, files=(*entry.files, Remote("more", 1, SHA256))).by_hand
