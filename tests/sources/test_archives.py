"""Zip and tar: the same sets as the folders they were made of, and nothing that is not to be trusted."""

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import retia as rt
from retia.sources import archives

REAL = Path(__file__).parents[3] / "shared" / "data"


def png(color):
    page = io.BytesIO()
    Image.new("RGB", (4, 3), (color, 0, 0)).save(page, "PNG")
    return page.getvalue()


FILES = {f"{part}/{label}/{n}.png": png(n) for part in ("train", "test") for label in "ab" for n in (10, 2)}


def zipped(path, files, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return path


def tarred(path, files, mode="w"):
    with tarfile.open(path, mode) as packed:
        for name, content in files.items():
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
    return path


def told(path):
    with pytest.raises(rt.DataError) as caught:
        rt.data(path)
    return str(caught.value).replace(str(path), path.name)


@pytest.mark.parametrize("top", ["", "pets/"])
@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.xz"])
def test_an_archive_of_class_folders_is_the_set_that_the_folders_are(tmp_path, kind, top):
    for name, content in FILES.items():
        (tmp_path / "pets" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pets" / name).write_bytes(content)
    folder = rt.data(tmp_path / "pets")
    files = {f"{top}{name}": content for name, content in FILES.items()} | {"__MACOSX/train/a/._2.png": b"x"}
    path = tmp_path / f"pets.{kind}"
    zipped(path, files) if kind == "zip" else tarred(path, files, f"w:{kind[4:]}")
    packed = rt.data(path)
    assert packed.name == "pets"
    assert [*packed.parts] == ["train", "test"]
    assert [y for _, y in packed] == [y for _, y in folder] == ["a", "a", "b", "b"]
    assert [x.read() for x, _ in packed] == [x.read_bytes() for x, _ in folder]
    codecs = {"input": rt.Image(3, 4), "output": rt.Classes(["a", "b"])}
    for one, other in ((packed, folder), (packed.test, folder.test)):
        assert np.array_equal(one.arrays(codecs)["input"], other.arrays(codecs)["input"])
    assert packed.check() == packed
    assert np.array_equal(np.asarray(packed.show().picture), np.asarray(folder.show().picture))
    assert packed[0][0].name == f"{path}/{top}train/a/2.png"


def test_damaged_members_are_named_or_skipped(tmp_path):
    path = zipped(tmp_path / "pets.zip", {**FILES, "train/b/3.png": png(3)[:30]})
    data = rt.data(path)
    with pytest.raises(rt.CodecError, match=r"'input', row 3: .*pets\.zip/train/b/3\.png is .*"):
        data.arrays({"input": rt.Image(3, 4), "output": rt.Classes(["a", "b"])})
    with pytest.warns(rt.RetiaWarning, match=r"skipped 1 of 5 unreadable pictures: 3\.png"):
        assert rt.data(path, on_error="skip").counts() == {"a": 2, "b": 2}


def test_a_flipped_bit_in_a_member_is_told_by_its_checksum(tmp_path):
    path = zipped(tmp_path / "pets.zip", FILES, zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 6] ^= 1
    path.write_bytes(content)
    with pytest.raises(rt.DataError) as caught:
        rt.data(path)[1][0].read()
    assert str(caught.value).replace(str(path), path.name) == (
        "pets.zip/train/a/10.png is damaged: Bad CRC-32 for file 'train/a/10.png'."
    )


@pytest.mark.parametrize("name", ["../out.png", "/abs.png", "a/../../b.png", "..\\b.png", "C:/b.png"])
def test_names_that_lead_outside_refuse_the_archive(tmp_path, name):
    wanted = f"{name!r} leads outside the archive.\n  fix   pack the pictures again, as plain files"
    assert told(zipped(tmp_path / "x.zip", {**FILES, name: b""})) == f"x.zip is not read: {wanted}"
    assert told(tarred(tmp_path / "x.tar", {**FILES, name: b""})) == f"x.tar is not read: {wanted}"


def test_names_alike_but_for_case_refuse_the_archive(tmp_path):
    assert told(zipped(tmp_path / "x.zip", {**FILES, "train/A/2.PNG": b"", "TRAIN/a/10.png": b""})) == (
        "x.zip is not read: 'train/A/2.PNG' differs from 'train/a/2.png' in case alone.\n"
        "  from  'TRAIN/a/10.png' differs from 'train/a/10.png' in case alone\n"
        "  fix   pack the pictures again, as plain files"
    )
    path = zipped(tmp_path / "y.zip", {"a/1.png": b"", "a/2.png": b""})
    path.write_bytes(path.read_bytes().replace(b"a/2.png", b"a/1.png"))
    assert told(tmp_path / "y.zip").startswith("y.zip is not read: 'a/1.png' is there twice.")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_refuse_the_archive(tmp_path, kind):
    info = tarfile.TarInfo("train/a/link.png")
    info.type, info.linkname = kind, "2.png"
    path = tarred(tmp_path / "x.tar", {**FILES, info: b""})
    assert told(path).startswith("x.tar is not read: 'train/a/link.png' is a link or a device.")


def test_links_in_a_zip_refuse_it(tmp_path):
    path = zipped(tmp_path / "x.zip", FILES)
    info = zipfile.ZipInfo("train/a/link.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as packed:
        packed.writestr(info, "2.png")
    assert told(path).startswith("x.zip is not read: 'train/a/link.png' is a link or a device.")


def test_bombs_are_refused_before_anything_of_them_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "LET_OFF", 1 << 20)
    bomb = zipped(tmp_path / "bomb.zip", {"a/1.png": bytes(1 << 24)})
    size = bomb.stat().st_size
    assert told(bomb) == (
        f"bomb.zip is not read: its {size:,} bytes unfold to 16,777,216, more than 200 times as many.\n"
        "  fix   pack the pictures again, as plain files"
    )
    monkeypatch.setattr(archives, "LARGEST", 1000)
    assert told(zipped(tmp_path / "x.zip", {"a/1.png": bytes(1001)})).startswith(
        "x.zip is not read: 'a/1.png' has 1,001 bytes, more than 1,000."
    )
    monkeypatch.setattr(archives, "MEMBERS", 3)
    assert told(zipped(tmp_path / "y.zip", FILES)).startswith(
        "y.zip is not read: it has more than 3 members."
    )
    monkeypatch.setattr(archives, "MEMBERS", 100)
    monkeypatch.setattr(archives, "TOGETHER", 1500)
    many = tarred(tmp_path / "z.tar.gz", {f"a/{n}.png": bytes(900) for n in range(3)}, "w:gz")
    assert told(many) == (
        "z.tar.gz is compressed as a whole and unfolds to more than 1,500 bytes.\n"
        "  fix   pack it as zip, or as tar without compression: members are then read singly"
    )


def test_a_size_that_lies_reads_no_more_than_it_says(tmp_path):
    path = zipped(tmp_path / "x.zip", {"a/1.png": bytes(100_000)})
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02") + 24
    content[at : at + 4] = (10).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(rt.DataError, match=r"x\.zip/a/1\.png is damaged: Bad CRC-32"):
        rt.data(path)[0][0].read()


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.tar.gz"])
def test_what_is_no_archive_is_told(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"not an archive" * 100)
    assert told(path).startswith(f"{name} cannot be read as an archive: ")
    cut = tarred(tmp_path / "cut.tar.gz", FILES, "w:gz")
    cut.write_bytes(cut.read_bytes()[:200])
    assert told(cut).startswith("cut.tar.gz cannot be read as an archive: ")


def test_an_archive_without_folders_says_how_to_read_it(tmp_path):
    assert told(zipped(tmp_path / "x.zip", {"1.png": b"", "2.png": b""})) == (
        "data: x.zip has no folders, but 2 pictures in it.\n"
        "  fix   one folder for each label, with its pictures inside: pets/cat/1.jpg, pets/dog/1.jpg"
    )


@pytest.mark.skipif(not REAL.exists(), reason=f"{REAL} is not there")
def test_real_archives_are_read_in_place():
    flowers = rt.data(REAL / "flowers" / "flowers_160px.zip")
    assert flowers.counts() == dict.fromkeys(["daisy", "dandelion", "roses", "sunflowers", "tulips"], 120)
    assert set(flowers.test.counts().values()) == {30}
    digits = rt.data(
        f"{REAL}/fsdd/fsdd_1020_wav.zip/{{digit:int}}_{{speaker}}_{{take:int}}.wav", output="digit"
    )
    assert digits.counts("output") == dict.fromkeys(range(10), 102)
    first, second = digits.split((680, 340), group="speaker")
    assert not {*first.counts("speaker")} & {*second.counts("speaker")}
    assert (len(first), len(second)) == (680, 340)
    assert digits[0]["input"].read()[:4] == b"RIFF"
