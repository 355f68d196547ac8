"""``data.cache(folder)``: encoded columns are found again by their content, and by nothing else."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image

import retia as rt
from retia import _atomic
from retia.errors import FileError
from retia.metrics import stored

RNG = np.random.default_rng(0)


@pytest.fixture
def pets(tmp_path):
    for label in ("cat", "dog"):
        for number in range(6):
            path = tmp_path / "pets" / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(RNG.integers(0, 256, (6, 5, 3), dtype=np.uint8)).save(path)
    return tmp_path / "pets"


def net(**how):
    layers = [rt.Flatten(), rt.Linear(2), rt.Softmax()]
    return rt.Chain(*layers, input=rt.Image(4, 4, **how), output=rt.Classes(["cat", "dog"]))


def trained(data, chain=None):
    return rt.train(chain or net(), data, epochs=2, batch_size=4, validation=0, progress=False).net


def files(folder):
    return sorted(folder.glob("*.safetensors"))


@pytest.fixture
def made(monkeypatch):
    """Columns that were packed and not found."""
    names = []
    make = stored._made

    def counted(data, name, *rest):
        names.append(name)
        return make(data, name, *rest)

    monkeypatch.setattr(stored, "_made", counted)
    return names


def test_what_is_kept_is_found_and_gives_the_same_bits(pets, tmp_path, made):
    plain = trained(rt.data(pets))
    for _ in range(2):
        assert trained(rt.data(pets).cache(tmp_path / "kept")) == plain
    assert made == ["input", "output"]
    assert len(files(tmp_path / "kept")) == len(os.listdir(tmp_path / "kept")) == 2


def test_another_codec_or_another_version_is_another_column(pets, tmp_path, made, monkeypatch):
    data = rt.data(pets).cache(tmp_path / "kept")
    trained(data)
    trained(data, net(fit="pad"))
    assert made == ["input", "output", "input"]
    monkeypatch.setattr(stored.metadata, "version", lambda package: "99")
    trained(data)
    assert made[3:] == ["input", "output"]


def test_a_file_that_changed_is_encoded_anew_though_its_size_and_time_did_not(pets, tmp_path, made):
    data = rt.data(pets).cache(tmp_path / "kept")
    trained(data)
    path = pets / "cat" / "0.png"
    before, whole = path.stat(), path.read_bytes()
    other = next(each for each in pets.rglob("*.png") if each.read_bytes() != whole)
    path.write_bytes(other.read_bytes()[: len(whole)].ljust(len(whole), b"\0"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    stored_anew = trained(rt.data(pets).cache(tmp_path / "kept"))
    assert made == ["input", "output", "input"]
    assert stored_anew == trained(rt.data(pets))


def test_other_rows_or_another_order_are_other_columns(pets, tmp_path, made):
    data = rt.data(pets).cache(tmp_path / "kept")
    for some in (data, data.shuffle(1), data[::2]):
        assert trained(some) == trained(some.cache(None))
    assert made == ["input", "output"] * 3


@pytest.mark.parametrize("damage", ["cut", "flipped", "flipped sum", "empty", "foreign", "other key"])
def test_a_damaged_or_foreign_file_is_made_anew(pets, tmp_path, made, damage):
    data = rt.data(pets).cache(tmp_path / "kept")
    first = trained(data)
    for path in files(tmp_path / "kept"):
        whole = bytearray(path.read_bytes())
        place = {"flipped": -40, "flipped sum": -1}.get(damage)
        if place is not None:
            whole[place] ^= 1
        elif damage == "other key":
            at = whole.index(b"retia.key") + 12
            whole[at : at + 8] = b"00000000"
        else:
            whole = {"cut": whole[:-5], "empty": b"", "foreign": b"{} not one of ours"}[damage]
        path.write_bytes(whole)
    assert trained(data) == first
    assert made == ["input", "output"] * 2
    assert trained(data) == first
    assert len(made) == 4


def test_texts_of_several_lengths_are_kept_without_padding(tmp_path, made):
    texts = ["a", "bb a", "c a b b", "abc"] * 3
    chain = rt.Chain(
        rt.Embedding(3), rt.GRU(4), rt.Last(), rt.Linear(2), rt.Softmax(),
        input=rt.Characters(), output=rt.Classes(["cat", "dog"]),
    )  # fmt: skip
    data = rt.data((texts, ["cat", "dog"] * 6))
    plain = trained(data, chain)
    for _ in range(2):
        assert trained(data.cache(tmp_path), chain) == plain
    assert made == ["input", "output"]


def test_pictures_of_more_bits_after_others_are_kept_too(tmp_path, made, monkeypatch):
    monkeypatch.setattr(stored, "CHUNK", 4)
    x = [np.full((4, 4), 10 * n, np.uint8 if n < 8 else np.uint16) for n in range(12)]
    data = rt.data((x, ["cat", "dog"] * 6))
    chain = net(color="gray")
    plain = trained(data, chain)
    for _ in range(2):
        assert trained(data.cache(tmp_path), chain) == plain
    assert made == ["input", "output"]


def test_parts_are_kept_each(tmp_path, made):
    x, y = RNG.random((8, 4, 4)), ["cat", "dog"] * 4
    data = rt.data({"train": (x, y), "validation": (x[:4], y[:4])}).cache(tmp_path)
    for _ in range(2):
        rt.train(net(color="gray"), data, epochs=1, progress=False)
    assert made == ["input", "output"] * 2


@rt.codec
class Twofold(rt.Codec):
    """A number, doubled."""

    @property
    def shape(self):
        return (1,)

    def is_one(self, thing):
        return isinstance(thing, float)

    def pack(self, things):
        return torch.tensor(things).reshape(-1, 1) * 2

    def unpack(self, batch, reading):
        return [float(each) for each in batch]


def test_what_has_no_content_to_go_by_is_encoded_anew_with_a_warning(tmp_path):
    x, y = [1.0, 2.0, 3.0], [[2.0], [4.0], [6.0]]
    chain = rt.Chain(rt.Linear(1), input=Twofold())
    with pytest.warns(rt.RetiaWarning, match="'input' is not kept in .*: Twofold is a codec of your own"):
        kept = rt.train(chain, rt.data((x, y)).cache(tmp_path), epochs=1, progress=False)
    assert kept.net == rt.train(chain, (x, y), epochs=1, progress=False).net
    assert len(files(tmp_path)) == 1


def test_a_full_disk_is_warned_of_and_stops_nothing(pets, tmp_path, monkeypatch):
    def full(path, chunks):
        raise FileError(f"{path}: could not be written: No space left on device.")

    monkeypatch.setattr(_atomic, "write", full)
    with pytest.warns(rt.RetiaWarning, match="'(in|out)put' is not kept in .*No space left on device"):
        kept = trained(rt.data(pets).cache(tmp_path / "kept"))
    assert kept == trained(rt.data(pets))


def test_a_bad_picture_is_told_as_ever_and_leaves_no_file(pets, tmp_path):
    (pets / "cat" / "3.png").write_bytes(b"no picture")
    with pytest.raises(rt.CodecError, match=r"'input', row 3: .*3\.png is not a picture"):
        trained(rt.data(pets).cache(tmp_path / "kept"))
    assert os.listdir(tmp_path / "kept") == []


WORKER = """
import sys, time
import retia as rt
pets, kept, begin = sys.argv[1], sys.argv[2], float(sys.argv[3])
layers = [rt.Flatten(), rt.Linear(2), rt.Softmax()]
net = rt.Chain(*layers, input=rt.Image(4, 4), output=rt.Classes(["cat", "dog"]))
data = rt.data(pets).cache(kept)
while time.time() < begin:
    pass
how = dict(epochs=2, batch_size=4, validation=0, progress=False)
print(rt.train(net, data, **how).net.hash)
"""


def test_two_processes_at_once_and_one_after_them_agree(pets, tmp_path, made):
    kept = tmp_path / "kept"
    asked = [sys.executable, "-c", WORKER, str(pets), str(kept), str(time.time() + 3)]
    both = [subprocess.Popen(asked, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [each.communicate()[0].strip() for each in both]
    assert [each.returncode for each in both] == [0, 0]
    assert said[0] == said[1] == trained(rt.data(pets).cache(kept)).hash
    assert made == []
    assert len(os.listdir(kept)) == len(files(kept)) == 2
