"""Bad data from outside: one clear error of ours, or a skip that is counted and named; never a crash."""

import gzip
import io
import json
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import retia as rt
from retia._late import Late
from retia.codecs.sounds import wav
from retia.sources import media

TONE = wav(np.sin(np.arange(800) / 9) / 2, 8000)


def picture(kind="PNG", size=(9, 7)):
    file = io.BytesIO()
    pixels = np.arange(3 * size[0] * size[1], dtype=np.uint8).reshape(size[1], size[0], 3)
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def outcome(call):
    """The error of ours that a call ends in, as text; nothing where it ends well."""
    try:
        call()
    except rt.Error as error:
        return str(error)
    return ""


def folder(root, files):
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def refused(call, kind=rt.DataError):
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


# Named cases --------------------------------------------------------------------------------------

BAD_SOUNDS = {
    "no bytes": (b"", "is not a sound that can be read: it is empty."),
    "no samples": (wav(np.zeros(0), 8000), "has no samples."),
    "cut off": (TONE[:500], "is cut off: 1,600 bytes of samples are announced, 456 are there."),
    "cut before its samples": (TONE[:20], "is cut off: it is a WAV file without samples."),
    "text": (b"hello", "is not a sound that can be read: expected WAV, FLAC, Ogg, MP3, AIFF, CAF or AU."),
}


@pytest.mark.parametrize("name", BAD_SOUNDS)
def test_a_bad_sound_is_told_or_skipped_by_name(tmp_path, name):
    content, why = BAD_SOUNDS[name]
    folder(tmp_path, {"yes/1.wav": TONE, "yes/2.wav": content, "no/1.wav": TONE})
    data = rt.data(tmp_path)
    assert refused(data.check).replace(str(tmp_path), "words") == (
        "There are 1 of 3 unreadable sounds: 2.wav\n"
        f"  from  words/yes/2.wav {why}\n"
        '  fix   rt.data(folder, on_error="skip") leaves them out'
    )
    encoded = refused(
        lambda: data.arrays({"input": rt.Audio(rate=8000), "output": rt.Classes()}), rt.CodecError
    )
    assert why.rstrip(".") in encoded
    with pytest.warns(rt.RetiaWarning, match=r"skipped 1 of 3 unreadable sounds: 2\.wav$"):
        left = rt.data(tmp_path, on_error="skip")
    assert left.counts() == {"no": 1, "yes": 1}


def test_sounds_that_need_a_missing_package_are_not_called_bad(tmp_path, monkeypatch):
    folder(tmp_path, {"yes/1.flac": b"fLaC....", "no/1.wav": TONE})
    monkeypatch.setattr("retia.codecs.sounds.soundfile", Late("soundfile_that_nobody_has", extra="audio"))
    with pytest.raises(rt.MissingExtraError, match=r"retia\[audio\]"):
        rt.data(tmp_path, on_error="skip")


def test_a_folder_without_files_is_told_or_skipped_by_name(tmp_path):
    folder(tmp_path, {"cat/1.png": picture(), "dog/1.png": picture(), "fish/notes.txt": b"none yet"})
    (tmp_path / "bird").mkdir()
    assert refused(lambda: rt.data(tmp_path)).startswith(
        f"data: 2 of 4 folders in {tmp_path} have no pictures: bird, fish.\n"
    )
    with pytest.warns(rt.RetiaWarning, match=r"skipped 2 of 4 folders in .* without pictures: bird, fish$"):
        assert rt.data(tmp_path, on_error="skip").counts() == {"cat": 1, "dog": 1}
    for file in tmp_path.rglob("*.png"):
        file.unlink()
    assert "4 of 4 folders" in refused(lambda: rt.data(tmp_path, on_error="skip"))


def test_a_picture_beyond_the_limits_is_skipped_like_a_broken_one(tmp_path, monkeypatch):
    folder(tmp_path, {"cat/1.png": picture(), "cat/2.png": picture(size=(20, 20))})
    monkeypatch.setattr("retia.codecs.pictures.LIMIT", 100)
    with pytest.warns(rt.RetiaWarning, match=r"skipped 1 of 2 unreadable pictures: 2\.png"):
        assert len(rt.data(tmp_path, on_error="skip")) == 1


def test_files_that_are_not_there_are_told_or_skipped_by_name(tmp_path):
    folder(tmp_path, {"1.png": picture(), "2.npy": b"?"})
    files = [tmp_path / name for name in ("1.png", "gone.png", "2.npy", "gone.npy")]
    data = rt.data({"input": files, "output": [1, 2, 3, 4]})
    assert refused(data.check).replace(str(tmp_path), "here").splitlines()[:3] == [
        "There are 2 of 4 unreadable files: gone.png, gone.npy",
        "  from  here/gone.png is not there.",
        "  from  here/gone.npy cannot be read: No such file or directory.",
    ]
    with pytest.warns(rt.RetiaWarning, match="skipped 2 of 4 unreadable files: gone.png, gone.npy"):
        assert data.check(on_error="skip").arrays()["output"] == [1, 3]


def test_files_in_rows_are_looked_at_too(tmp_path):
    folder(tmp_path, {"1.png": picture(), "2.png": b""})
    files = [tmp_path / "1.png", tmp_path / "2.png"]
    rows = rt.data({"photo": files, "age": [3, 4], "kind": ["a", "b"]}).select(output="kind")
    assert "1 of 2 unreadable pictures: 2.png" in refused(rows.check)


def test_bad_pictures_and_bad_sounds_of_one_set_are_counted_together(tmp_path):
    folder(tmp_path, {"1.png": picture(), "2.png": b"", "1.wav": TONE, "2.wav": b"", "3.png": picture()})
    data = rt.data(
        {
            "picture": [tmp_path / f"{n}.png" for n in (1, 2, 3)],
            "sound": [tmp_path / f"{n}.wav" for n in (1, 1, 2)],
        }
    )
    assert refused(data.check).startswith("There are 2 of 3 unreadable files: 2.png, 2.wav\n")


def test_mixed_types_in_memory_are_told_by_their_row():
    data = rt.data((range(3), [1.5, "two", 3.0]))
    assert refused(
        lambda: data.arrays({"input": rt.Scalar(), "output": rt.Scalar()}), rt.CodecError
    ).startswith("'output', row 1: Scalar(): 'two' is not made of real numbers")


def test_an_unknown_category_is_told_by_its_name_and_row():
    data = rt.data((range(3), ["cat", "dog", "dgo"]))
    assert (
        refused(
            lambda: data.arrays({"input": rt.Scalar(), "output": rt.Classes(["cat", "dog"])}), rt.CodecError
        )
        == "'output', row 2: Classes: 'dgo' is not one of the 2 labels. Did you mean 'dog'?\n"
        "  from  the labels are 'cat', 'dog'"
    )


def test_a_missing_column_is_told_by_its_name():
    data = rt.data({"input": [{"age": 3}, {"ag": 4}]})
    table = rt.Table({"age": rt.NumberColumn()}).fit([{"age": 3}, {"age": 5}])
    text = refused(lambda: data.arrays({"input": table}), rt.CodecError)
    assert "row 1" in text
    assert "'age'" in text


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_duplicate_columns_are_told(tmp_path, ending):
    path = tmp_path / f"cars.{ending}"
    path.write_text("a,b,a\n1,2,3\n" if ending == "csv" else '{"a": 1, "b": 2, "a": 3}\n')
    text = refused(lambda: rt.data(path))
    assert "'a'" in text
    assert "twice" in text or "2 times" in text or "columns 1 and 3" in text


# Any damage at all --------------------------------------------------------------------------------


def table_of(kind):
    rows = [{"age": n, "name": f"n{n}", "share": n / 7} for n in range(5)]
    if kind == "jsonl":
        return "".join(json.dumps(row) + "\n" for row in rows).encode()
    lines = ["age,name,share", *(",".join(map(str, row.values())) for row in rows)]
    text = "\n".join(lines).encode()
    return gzip.compress(text) if kind == "csv.gz" else text


@st.composite
def damaged(draw, whole):
    """Bytes with some changed, and the end cut off."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(0, 4))):
        content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    return bytes(content[: draw(st.integers(0, len(content)))])


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "jsonl"])
@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_a_damaged_table_is_read_or_refused_in_our_words(tmp_path, kind, on_error, recwarn):
    path = tmp_path / f"table.{kind}"

    @given(damaged(table_of(kind)))
    def run(content):
        path.write_bytes(content)
        told = outcome(lambda: rt.data(path, on_error=on_error).arrays())
        assert not told or path.name in told

    run()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "wav"])
def test_a_damaged_file_is_found_by_the_check_if_and_only_if_it_cannot_be_encoded(tmp_path, kind, recwarn):
    path = tmp_path / f"file.{kind.lower()}"
    codec = rt.Audio(rate=8000) if kind == "wav" else rt.Image(4, 4)

    @given(damaged(TONE if kind == "wav" else picture(kind)))
    def run(content):
        path.write_bytes(content)
        told = outcome(lambda: codec.encode(path))
        assert bool(told) == bool(media.unreadable([path]))
        assert not told or str(path) in told

    run()


def test_a_damaged_archive_is_read_or_refused_in_our_words(tmp_path, recwarn):
    path = tmp_path / "pets.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name in ("cat/1.png", "dog/1.png"):
            file.writestr(name, picture())

    @given(damaged(path.read_bytes()))
    def run(content):
        path.write_bytes(content)
        told = outcome(lambda: rt.data(path, on_error="skip"))
        assert not told or path.name in told

    run()
