import gzip
import lzma
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import retia as rt
from retia import sources
from retia.sources import bundled

TRAIN = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
TEST = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
SOURCE = Path(__file__).parents[3] / "shared" / "data" / "mnist"


@pytest.fixture
def copied(tmp_path):
    shutil.copytree(bundled.FOLDER / "mnist", tmp_path / "mnist")
    yield tmp_path / "mnist"
    bundled._read.cache_clear()


def test_mnist_is_there_with_its_known_counts():
    data = rt.data("mnist")
    assert (len(data), len(data.train), len(data.test), data.validation) == (60000, 60000, 10000, None)
    assert [*data.counts().items()] == [*enumerate(TRAIN)]
    assert [*data.test.counts().items()] == [*enumerate(TEST)]
    x, y = data[0]
    assert (x.shape, x.dtype, y) == ((28, 28), np.uint8, 5)
    assert type(y) is int
    assert data.arrays()["input"].shape == (60000, 28, 28)
    assert data.arrays()["output"].dtype == np.int64
    assert [y for _, y in data.test.take(5)] == [7, 2, 1, 0, 4]


@pytest.mark.skipif(not SOURCE.exists(), reason=f"{SOURCE} is not there")
@pytest.mark.parametrize(
    "file", [f for part in bundled.SETS["mnist"].values() for f in part.values()], ids=str
)
def test_mnist_is_what_its_authors_made(file):
    packed = (bundled.FOLDER / "mnist" / file.name).read_bytes()
    raw = gzip.decompress((SOURCE / file.name.replace(".xz", ".gz")).read_bytes())
    assert lzma.decompress(packed) == raw


def test_a_description_of_mnist_reads_no_pictures(copied):
    (copied / "train-images-idx3-ubyte.xz").unlink()
    data = bundled.unpack("mnist", copied)
    assert "mnist: 60,000 (train), 10,000 (test) examples" in str(data)
    assert "0 5,923, 1 6,742" in str(data)
    with pytest.raises(rt.DataError, match=r"train-images-idx3-ubyte\.xz cannot be read"):
        data.arrays()


def test_mnist_says_where_it_is_from():
    about = rt.data("mnist").about
    for word in ("LeCun", "CC BY-SA 3.0", "60,000", "28 by 28"):
        assert word in about
    assert rt.data("mnist").test.about == about


def test_mnist_is_split_by_labels():
    first, second = rt.data("mnist").split(0.1, seed=3)
    assert (len(first), len(second)) == (6000, 54000)
    assert all(abs(count - TRAIN[label] / 10) < 1 for label, count in first.counts().items())


def test_sets_are_listed_and_unknown_ones_refused():
    assert sources.names() == ("mnist", "iris", "penguins", "wine", "sms_spam", "names", "shakespeare")
    with pytest.raises(rt.DataError, match="no bundled set 'minst'. Did you mean 'mnist'"):
        bundled.bundled("minst")


@pytest.mark.parametrize("place", [0, 1000, -1])
def test_a_flipped_bit_in_a_bundled_file_is_found(copied, place):
    path = copied / "t10k-images-idx3-ubyte.xz"
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    data = bundled.unpack("mnist", copied)
    assert len(data.test) == 10000
    with pytest.raises(rt.DataError, match=r"t10k-images-idx3-ubyte\.xz has sha256 .*was packed") as caught:
        data.test.arrays()
    assert caught.value.fix == "pip install --force-reinstall retia"
    assert caught.value.path == str(path)


def test_a_truncated_or_missing_bundled_file_is_found(copied):
    path = copied / "t10k-labels-idx1-ubyte.xz"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(rt.DataError, match="sha256"):
        bundled.unpack("mnist", copied).test.counts()
    (copied / "ABOUT.txt").unlink()
    with pytest.raises(rt.DataError, match=r"ABOUT\.txt cannot be read"):
        bundled.unpack("mnist", copied)


def test_a_file_is_verified_and_read_once(copied):
    first = bundled.unpack("mnist", copied).test.arrays()["input"]
    (copied / "t10k-images-idx3-ubyte.xz").unlink()
    assert np.shares_memory(bundled.unpack("mnist", copied).test.arrays()["input"], first)


def test_a_python_without_lzma_is_told_so(copied, monkeypatch):
    monkeypatch.setattr(bundled, "lzma", bundled.Late("lzma"))
    monkeypatch.setitem(sys.modules, "lzma", None)
    with pytest.raises(rt.DataError, match="built without lzma"):
        bundled.unpack("mnist", copied).test.arrays()
