"""The sets that are known by name and do not come with Retia: their files, where they are, how they are read.

This module is a table. A file is pinned by its sha256, so that whoever offers it cannot change it. A file
without an address was packed for Retia's own tests and is put into its place by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

RAW = "https://raw.githubusercontent.com"
FASHION = f"{RAW}/zalandoresearch/fashion-mnist/b2617bb6d3ffa2e429640350f613e3291e10b141/data/fashion"
SEABORN = f"{RAW}/mwaskom/seaborn-data/71e2436a092d714350de0fc409ca8a8714e7e78f"
BROWNLEE = f"{RAW}/jbrownlee/Datasets/d20fcb6402ae34e653d4513b00f39257bb37ed7f"
SST = f"{RAW}/clairett/pytorch-sentiment-classification/457ffd83de90a9d6d472d8ffc31bbffe40a8b236/data/SST2"
AG_NEWS = f"{RAW}/mhjabreel/CharCnn_Keras/555590db4219b1243abb1918effd6a7425a2d75f/data/ag_news_csv"
HOUSING = f"{RAW}/ageron/handson-ml2/aa555aa16b9d0af6c84e67c7757f3317d05acb12/datasets/housing"


@dataclass(frozen=True)
class Remote:
    """A file of a set.

    Attributes:
        name: in the set's folder.
        bytes: how many it has.
        sha256: of them.
        url: where it is offered; nowhere where empty.
    """

    name: str
    bytes: int
    sha256: str
    url: str = ""


@dataclass(frozen=True)
class Entry:
    """A set that is known by name.

    Attributes:
        name: of the set.
        title: what it is, in a line.
        shape: what its columns hold, in lines.
        source: who made it, and where the files are from.
        licence: in a few words.
        files: that it is read from.
        parts: what ``rt.data`` reads for each part, relative to the folder; ``""`` stands for the set itself.
        header: names of the columns, where the table has no line of them.
        missing: words that mean a missing cell.
        output: the column that is the output, where the set has one that is usual.
        arranged: how the set is put together where a table of parts does not say it.
    """

    name: str
    title: str
    shape: tuple[str, ...]
    source: str
    licence: str
    files: tuple[Remote, ...]
    parts: Mapping[str, str] = field(default_factory=dict)
    header: tuple[str, ...] = ()
    missing: str = ""
    output: str | None = None
    arranged: str = ""

    @property
    def about(self) -> str:
        """What the set is, as ``.about`` shows it."""
        return "\n".join(
            [f"{self.name}: {self.title}", *self.shape, f"Source  {self.source}", f"Licence {self.licence}"]
        )

    @property
    def bytes(self) -> int:
        """Of all its files."""
        return sum(each.bytes for each in self.files)

    @property
    def by_hand(self) -> bool:
        """Whether a file of it has to be put into its place by hand."""
        return not all(each.url for each in self.files)


SEABORN_SET = "github.com/mwaskom/seaborn-data"
BROWNLEE_SET = "github.com/jbrownlee/Datasets"
TEACHING = "a public teaching set; none stated"
UCI = "CC BY 4.0 (UCI)"


def _table(
    name: str,
    title: str,
    shape: str,
    file: Remote,
    source: str,
    *,
    licence: str = TEACHING,
    output: str | None = None,
    header: tuple[str, ...] = (),
    missing: str = "",
) -> Entry:
    """A set that is one table."""
    lines = tuple(shape.split("\n"))
    return Entry(name, title, lines, source, licence, (file,), {"": file.name}, header, missing, output)


SETS = (
    Entry(
        "fashion-mnist",
        "articles of clothing, 60,000 pictures for training and 10,000 for testing.",
        (
            "input   pictures of 28 by 28 pixels, uint8, 0 to 255",
            "output  0 T-shirt, 1 trouser, 2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt, 7 sneaker,",
            "        8 bag, 9 boot",
        ),
        "H. Xiao, K. Rasul, R. Vollgraf: Fashion-MNIST (2017); github.com/zalandoresearch/fashion-mnist",
        "MIT (Zalando)",
        (
            Remote(
                "train-images-idx3-ubyte.gz", 26421880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                f"{FASHION}/train-images-idx3-ubyte.gz",
            ),
            Remote(
                "train-labels-idx1-ubyte.gz", 29515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                f"{FASHION}/train-labels-idx1-ubyte.gz",
            ),
            Remote(
                "t10k-images-idx3-ubyte.gz", 4422102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                f"{FASHION}/t10k-images-idx3-ubyte.gz",
            ),
            Remote(
                "t10k-labels-idx1-ubyte.gz", 5148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                f"{FASHION}/t10k-labels-idx1-ubyte.gz",
            ),
        ),
        {"": "."},
    ),
    Entry(
        "cifar10",
        "photographs of ten kinds of things, 50,000 for training and 10,000 for testing.",
        (
            "input   pictures of 32 by 32 pixels in colour, uint8, 0 to 255",
            "output  0 airplane, 1 automobile, 2 bird, 3 cat, 4 deer, 5 dog, 6 frog, 7 horse, 8 ship,",
            "        9 truck",
        ),
        "A. Krizhevsky: Learning multiple layers of features from tiny images (2009);\n"
        "        www.cs.toronto.edu/~kriz/cifar.html",
        "none stated; free for research with citation",
        (
            Remote(
                "cifar-10-binary.tar.gz", 170052171,
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            ),
        ),
        arranged="cifar10",
    ),
    Entry(
        "sst2",
        "sentences of film reviews, 6,920 for training, 872 to validate and 1,821 for testing.",
        (
            "input   the sentence, in small letters, words apart",
            "output  1 where it is positive, 0 where negative",
        ),
        "R. Socher and others: Recursive deep models for semantic compositionality (2013);\n"
        "        github.com/clairett/pytorch-sentiment-classification",
        "research",
        (
            Remote(
                "train.tsv", 720259,
                "ec192f833a64da08f475488a77b0d0b47db47acd0f458bd18433fc793b569920",
                f"{SST}/train.tsv",
            ),
            Remote(
                "dev.tsv", 92057,
                "eddea6b39e601dd4e7a672b53cc40fdf6019fa80522f351206c24340ca5d9359",
                f"{SST}/dev.tsv",
            ),
            Remote(
                "test.tsv", 188749,
                "831169c7e2e429d6026e1bdbb542f33b636e3e596caad9602ebc953c205928b7",
                f"{SST}/test.tsv",
            ),
        ),
        {"train": "train.tsv", "validation": "dev.tsv", "test": "test.tsv"},
        ("input", "output"),
    ),
    Entry(
        "ag-news",
        "news on four topics, 120,000 for training and 7,600 for testing.",
        ("input   title and description in two lines", "output  World, Sports, Business or Sci/Tech"),
        "X. Zhang, J. Zhao, Y. LeCun: Character-level convolutional networks (2015), of A. Gulli's news;\n"
        "        github.com/mhjabreel/CharCnn_Keras",
        "non-commercial research",
        (
            Remote(
                "train.csv", 29470338,
                "76a0a2d2f92b286371fe4d4044640910a04a803fdd2538e0f3f29a5c6f6b672e",
                f"{AG_NEWS}/train.csv",
            ),
            Remote(
                "test.csv", 1857427,
                "521465c2428ed7f02f8d6db6ffdd4b5447c1c701962353eb2c40d548c3c85699",
                f"{AG_NEWS}/test.csv",
            ),
        ),
        {"train": "train.csv", "test": "test.csv"},
        ("topic", "title", "description"),
        arranged="ag-news",
    ),
    Entry(
        "fsdd",
        "spoken digits by six speakers in English, 720 for training and 300 for testing.",
        (
            "input   sounds of 0.14 to 2.3 seconds, 8 kHz, 16 bit, mono",
            "output  the digit, 0 to 9",
            "speaker, take  takes 0 to 4 are the test part, as is the custom with it, the others to train",
        ),
        "Z. Jackson and others: Free Spoken Digit Dataset; github.com/Jakobovski/free-spoken-digit-dataset",
        "CC BY-SA 4.0",
        (
            Remote(
                "fsdd_1020_wav.zip", 5434780,
                "2676541da0e70770bcd245eecf060b647663c84441c145df3d7e92d2cfb816eb",
            ),
        ),
        arranged="fsdd",
    ),
    Entry(
        "penn-fudan",
        "pedestrians in streets, 170 photographs.",
        (
            "input   pictures, the long side 256 pixels",
            "output  masks of the same sizes: 0 is background, 1, 2, ... one person each",
        ),
        "L. Wang, J. Shi, G. Song, I. Shen: Object detection combining recognition and segmentation (2007);\n"
        "        github.com/gmguarino/PennFudan, made smaller",
        "none stated; research",
        (
            Remote(
                "penn_fudan_256px.zip", 2994551,
                "d750b3fbe051d505637dcce53bd438972f6ef5281b72280b8ebfd60218c484b4",
            ),
        ),
        arranged="penn-fudan",
    ),
    Entry(
        "cats-dogs",
        "photographs of cats and dogs, 1,600 for training and 400 for testing.",
        ("input   pictures of 200 by 200 pixels in colour", "output  cat or dog"),
        "Microsoft Asirra, Kaggle's Dogs vs. Cats; some of github.com/4GeeksAcademy/Deep-Learning-CarlosFS",
        "research",
        (
            Remote(
                "cats_dogs_200px.zip", 16228026,
                "48f3a75be87fa90b5ff77c2b45b31b50559b41e31e2b5abde745af4d1afc3788",
            ),
        ),
        {"": "cats_dogs_200px.zip"},
    ),
    Entry(
        "flowers",
        "photographs of five kinds of flowers, 600 for training and 150 for testing.",
        (
            "input   pictures in colour, the short side at most 160 pixels",
            "output  daisy, dandelion, roses, sunflowers or tulips",
        ),
        "TensorFlow's flower_photos; some of github.com/Oldpel/flower_photos, made smaller",
        "CC BY 2.0, by photograph (each file's name begins with its number at Flickr)",
        (
            Remote(
                "flowers_160px.zip", 8627262,
                "f512550262be9b5d8b7e147045e7f3d304d87e7cdaff3a7f10191e16d9777adf",
            ),
        ),
        {"": "flowers_160px.zip"},
    ),
    _table(
        "california-housing",
        "20,640 districts of California in 1990.",
        "input   rows: longitude, latitude, housing_median_age, total_rooms, total_bedrooms (some missing),\n"
        "        population, households, median_income, ocean_proximity (a word)\n"
        "output  median_house_value, in dollars, at most 500,001",
        Remote(
            "housing.csv", 1423529,
            "8a3727f4cf54ac1a327f69b1d5b4db54c5834ea81c6e4efc0d163300022a685e",
            f"{HOUSING}/housing.csv",
        ),
        "R. K. Pace, R. Barry: Sparse spatial autoregressions (1997), StatLib; github.com/ageron/handson-ml2",
        licence="public data; the repository Apache-2.0",
        output="median_house_value",
    ),
    _table(
        "titanic",
        "891 passengers of the Titanic.",
        "input   rows: pclass, sex, age (some missing), sibsp, parch, fare, embarked, class, who,\n"
        "        adult_male, deck, embark_town, alive (the output in a word: leave it out), alone\n"
        "output  survived, 1 or 0",
        Remote(
            "titanic.csv", 57018,
            "81787d320d7f7b03df935e91de8bd19e11d45c5bbcab86ef4d4a76dc91b7d4f2",
            f"{SEABORN}/titanic.csv",
        ),
        SEABORN_SET,
        output="survived",
    ),
    _table(
        "mpg",
        "398 cars of 1970 to 1982.",
        "input   rows: cylinders, displacement, horsepower (some missing), weight, acceleration,\n"
        "        model_year, origin, name\n"
        "output  mpg, miles per gallon",
        Remote(
            "mpg.csv", 21222,
            "c14b8b855ea7ee86cb9736bf8caaf281c4685ca08826f3eb2acaccaaf40f0d5a",
            f"{SEABORN}/mpg.csv",
        ),
        SEABORN_SET,
        output="mpg",
    ),
    _table(
        "tips",
        "244 bills of a restaurant.",
        "input   rows: total_bill, sex, smoker, day, time, size\noutput  tip, in dollars",
        Remote(
            "tips.csv", 9729,
            "e54cc4d2ce1bff65d32ca60b3e4b802e06bde1d7e7caf6f796f6bf7370e863b0",
            f"{SEABORN}/tips.csv",
        ),
        SEABORN_SET,
        output="tip",
    ),
    _table(
        "diamonds",
        "53,940 diamonds.",
        "input   rows: carat, cut, color, clarity, depth, table, x, y, z\noutput  price, in dollars",
        Remote(
            "diamonds.csv", 2772143,
            "9574730b03aba241d899c4a97511c5061b19358fab89510774fb6c24168345c4",
            f"{SEABORN}/diamonds.csv",
        ),
        SEABORN_SET,
        output="price",
    ),
    _table(
        "flights",
        "passengers of airlines by month, 1949 to 1960, in thousands.",
        "year, month, passengers  144 rows in order of time",
        Remote(
            "flights.csv", 2350,
            "237d834127d9c6355630d8f443a7a2377b5925923010009b59809ba0b67f4fac",
            f"{SEABORN}/flights.csv",
        ),
        SEABORN_SET,
    ),
    _table(
        "daily-temperatures",
        "the least temperature of each day in Melbourne, 1981 to 1990.",
        "Date, Temp  3,650 rows in order of time, degrees Celsius",
        Remote(
            "daily-min-temperatures.csv", 67921,
            "8b9de63ed6789492bf497625e7f9beb96a63d367b4b0a21754006f749fa5e5da",
            f"{BROWNLEE}/daily-min-temperatures.csv",
        ),
        f"Australian Bureau of Meteorology; {BROWNLEE_SET}",
    ),
    _table(
        "abalone",
        "4,177 sea snails.",
        "input   rows: sex (M, F or I), length, diameter, height, whole, shucked, viscera, shell\n"
        "output  rings; their number and 1.5 are its age in years",
        Remote(
            "abalone.csv", 191872,
            "eb2de13be807e9bb9ec4128b9c89b98ab23d7739121cfd17b7dde69b46ba7bf6",
            f"{BROWNLEE}/abalone.csv",
        ),
        f"W. J. Nash and others (1994), UCI; {BROWNLEE_SET}",
        licence=UCI,
        output="rings",
        header=("sex", "length", "diameter", "height", "whole", "shucked", "viscera", "shell", "rings"),
    ),
    _table(
        "pima-diabetes",
        "768 women of the Pima.",
        "input   rows: pregnancies, glucose, pressure, skin, insulin, bmi, pedigree, age; 0 if unknown\n"
        "output  diabetes, 1 or 0",
        Remote(
            "pima-indians-diabetes.csv", 23278,
            "6bfe5d0f379d17a0e0819b996407e3c09bf80febd4287f2ed212190dfff154af",
            f"{BROWNLEE}/pima-indians-diabetes.csv",
        ),
        f"J. W. Smith and others (1988); {BROWNLEE_SET}",
        output="diabetes",
        header=(
            "pregnancies", "glucose", "pressure", "skin", "insulin", "bmi", "pedigree", "age", "diabetes",
        ),
    ),
    _table(
        "banknotes",
        "1,372 banknotes, genuine or forged.",
        "input   rows: variance, skewness, curtosis, entropy of the wavelet transform of a picture\n"
        "output  forged, 1 or 0",
        Remote(
            "banknote_authentication.csv", 46400,
            "d0539aaed2139ba7a587b3e34fb345ce503ff7d5d33dbf9912d8e195ce425cb9",
            f"{BROWNLEE}/banknote_authentication.csv",
        ),
        f"V. Lohweg (2012), UCI; {BROWNLEE_SET}",
        licence=UCI,
        output="forged",
        header=("variance", "skewness", "curtosis", "entropy", "forged"),
    ),
)  # fmt: skip
"""All of them."""

CATALOGUE: Mapping[str, Entry] = {each.name: each for each in SETS}
