"""The sets that are known by name: the table, and each set from the prepared data where these are there."""

import gzip
import re
import shutil
from pathlib import Path

import pytest

import retia as rt
from retia.sources import Known, sets
from retia.sources.catalogue import CATALOGUE, RAW
from retia.sources.known import all_names

REAL = Path(__file__).parents[3] / "shared" / "data"
real = pytest.mark.skipif(not REAL.exists(), reason=f"{REAL} is not there")

PLACES = {
    "fashion-mnist": {
        name: f"fashion_mnist/{name}"
        for name in (
            "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz",
            "t10k-labels-idx1-ubyte.gz",
        )
    },
    "sst2": {f"{part}.tsv": f"text/sst2_{part}.tsv.gz" for part in ("train", "dev", "test")},
    "fsdd": {"fsdd_1020_wav.zip": "fsdd/fsdd_1020_wav.zip"},
    "penn-fudan": {"penn_fudan_256px.zip": "penn_fudan/penn_fudan_256px.zip"},
    "cats-dogs": {"cats_dogs_200px.zip": "cats_dogs/cats_dogs_200px.zip"},
    "flowers": {"flowers_160px.zip": "flowers/flowers_160px.zip"},
    "california-housing": {"housing.csv": "tables/california_housing.csv.gz"},
    "diamonds": {"diamonds.csv": "tables/diamonds.csv.gz"},
    **{
        name: {file: f"tables/{file}"}
        for name, file in {
            "titanic": "titanic.csv", "mpg": "mpg.csv", "tips": "tips.csv", "flights": "flights.csv",
            "abalone": "abalone.csv", "pima-diabetes": "pima-indians-diabetes.csv",
            "banknotes": "banknote_authentication.csv", "daily-temperatures": "daily-min-temperatures.csv",
        }.items()
    },
}  # fmt: skip
"""Where the prepared files of a set are."""

SIZES = {
    "fashion-mnist": (60000, None, 10000), "sst2": (6920, 872, 1821), "fsdd": (720, None, 300),
    "penn-fudan": (170, None, None), "cats-dogs": (1600, None, 400), "flowers": (600, None, 150),
    "california-housing": (20640, None, None), "diamonds": (53940, None, None),
    "titanic": (891, None, None), "mpg": (398, None, None), "tips": (244, None, None),
    "flights": (144, None, None), "abalone": (4177, None, None), "pima-diabetes": (768, None, None),
    "banknotes": (1372, None, None), "daily-temperatures": (3650, None, None),
}  # fmt: skip


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("RETIA_DATA", str(tmp_path))

    def put(name: str) -> None:
        folder = tmp_path / name
        folder.mkdir()
        for file, at in PLACES[name].items():
            if at.endswith(".gz") and not file.endswith(".gz"):
                (folder / file).write_bytes(gzip.decompress((REAL / at).read_bytes()))
            else:
                shutil.copyfile(REAL / at, folder / file)

    return put


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_entry_is_whole(name):
    entry = CATALOGUE[name]
    assert entry.name == name
    assert entry.title.endswith(".")
    for file in entry.files:
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
        assert file.bytes > 0
        assert re.fullmatch(r"[\w.-]+", file.name)
        assert not file.url or file.url.startswith("https://")
        if file.url.startswith(RAW):
            assert re.search(r"/[0-9a-f]{40}/", file.url), "a commit, which stays what it is"
    assert all(len(line) <= 110 for line in entry.about.splitlines())


def test_the_list_has_every_set_with_its_licence_and_where_it_comes_from():
    known = {each.name: each for each in sets()}
    assert tuple(known) == all_names()
    assert isinstance(known["mnist"], Known)
    assert {each.where for each in sets()} == {"package", "download", "by hand"}
    assert known["titanic"].where == "download"
    assert known["fsdd"].where == "by hand"
    assert all(each.licence and each.title and each.bytes > 0 for each in sets())
    assert known["titanic"].bytes == 57018


def test_a_name_that_is_almost_known_is_answered_with_it():
    with pytest.raises(rt.DataError) as caught:
        rt.data("fashion_mnist")
    assert str(caught.value).splitlines()[0] == (
        "data: 'fashion_mnist' is neither a known set nor a file or folder. Did you mean 'fashion-mnist'?"
    )
    assert ", flowers, " in str(caught.value)


def test_a_set_that_is_not_there_is_told_with_its_place(place, tmp_path):
    with pytest.raises(rt.DataError) as caught:
        rt.data("fsdd")
    assert str(caught.value) == (
        "data: 'fsdd' is not here: nobody offers a file of it for download.\n"
        "  from  fsdd_1020_wav.zip, 5,434,780 bytes, sha256 "
        "2676541da0e70770bcd245eecf060b647663c84441c145df3d7e92d2cfb816eb\n"
        f"  fix   put this file into {tmp_path / 'fsdd'} (RETIA_DATA names another place for all sets)"
    )


@real
@pytest.mark.parametrize("name", PLACES)
def test_a_set_is_read_from_its_files(place, name):
    place(name)
    data = rt.data(name)
    parts = (data.train, data.validation, data.test)
    assert tuple(None if part is None else len(part) for part in parts) == SIZES[name]
    assert data.name == name
    assert data.about == CATALOGUE[name].about
    assert all(part is None or part.about == data.about for part in parts)
    if CATALOGUE[name].output:
        assert set(data.columns) == {"input", "output"}
        assert data[0][1] == data.train[0][1]


@real
def test_examples_are_what_the_sets_are_about(place):
    for name in ("sst2", "fsdd", "penn-fudan", "titanic", "abalone"):
        place(name)
    assert rt.data("sst2").test[0] == ("no movement , no yuks , not much of anything", 0)
    digits = rt.data("fsdd")
    assert digits.test.counts("output") == dict.fromkeys(range(10), 30)
    assert digits.test.counts("take") == dict.fromkeys(range(5), 60)
    picture, mask = rt.data("penn-fudan")[0]
    assert (picture.path, mask.path) == ("images/FudanPed00001.jpg", "masks/FudanPed00001.png")
    row, survived = rt.data("titanic")[0]
    assert (row["sex"], row["age"], survived) == ("male", 22.0, 0)
    assert rt.data("abalone")[0][1] == 15
    assert rt.data("abalone", input="length", output="sex")[0] == (0.455, "M")


@real
def test_news_are_texts_on_topics(tmp_path):
    from retia.sources.known import arranged

    content = gzip.decompress((REAL / "text" / "ag_news_test.csv.gz").read_bytes())
    for part in ("train", "test"):
        (tmp_path / f"{part}.csv").write_bytes(content)
    data = arranged(CATALOGUE["ag-news"], tmp_path, lambda text, how: rt.data(text, header=list(how.header)))
    assert data.test.counts() == dict.fromkeys(["Business", "Sci/Tech", "Sports", "World"], 1900)
    text, topic = data.test[0]
    assert topic == "Business"
    assert text.startswith("Fears for T N pension after talks\nUnions representing workers at Turner")
