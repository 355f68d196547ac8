"""Data: an immutable set of examples, columns that match a net's ports.

A set is its columns and the numbers of the rows that belong to it; taking, shuffling and splitting make
new numbers and copy nothing. Where columns come from stands in ``reading.py``.
"""

from __future__ import annotations

import hashlib
import operator
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from retia._figures import Printed, save
from retia._late import numpy as np
from retia.errors import ArgumentError, DataError, RowError, did_you_mean
from retia.nets import Codec, Net
from retia.sources import description, encoding, inspection, plots, selection, showing, splitting, verbs
from retia.sources.columns import Column, Label, LateColumn, Rows
from retia.sources.natural import sort_labels
from retia.sources.order import permutation

if TYPE_CHECKING:
    from retia.sources.description import Description
    from retia.sources.showing import Sheet

PAIR = {"input", "output"}
EVERY: Any = "every row"


@dataclass(frozen=True, eq=False, repr=False)
class Data(Printed):
    """A set of examples: named columns of one length. ``rt.data`` makes it.

    An example is a tuple ``(x, y)`` where the columns are ``input`` and ``output``, else a dict by column.
    A set with parts behaves as its training part; what its methods make has no parts of its own. Every
    method answers a new set, and nothing that was given is copied or changed.

    Attributes:
        columns: by name.
        rows: which rows of the columns belong to the set, in its order.
        parts: ``"train"``, ``"validation"`` and ``"test"``, as far as the set comes with them.
        name: of a bundled set or a folder.
        about: source, licence and shapes of a bundled set.
        streams: whether it is packed while a net is trained on it, whatever the memory; see ``stream``.
        kept: the folder that what is packed is kept in, or None; see ``cache``.
    Example:
        >>> import retia as rt
        >>> pets = rt.data([("a.png", "cat"), ("b.png", "dog"), ("c.png", "cat")])
        >>> len(pets), pets[0], pets.counts()
        (3, ('a.png', 'cat'), {'cat': 2, 'dog': 1})
    """

    columns: Mapping[str, Column]
    rows: Rows = EVERY
    parts: Mapping[str, Data] = field(default_factory=dict)
    name: str = ""
    about: str = ""
    streams: bool = False
    kept: str | None = None

    def __post_init__(self) -> None:
        length = inspection.common_length(self.columns)
        if isinstance(self.rows, str):
            object.__setattr__(self, "rows", range(length))
        object.__setattr__(self, "columns", MappingProxyType(dict(self.columns)))
        object.__setattr__(self, "parts", MappingProxyType(dict(self.parts)))

    @classmethod
    def of_parts(cls, parts: Mapping[str, Data], *, name: str = "", about: str = "") -> Data:
        """A set with parts, one of them ``"train"``."""
        train = parts["train"]
        return cls(train.columns, train.rows, parts, name, about)

    # Looking --------------------------------------------------------------------------------------

    @property
    def train(self) -> Data:
        """The training part; the set itself where it has no parts."""
        return self.parts.get("train", self)

    @property
    def validation(self) -> Data | None:
        """The validation part, or None."""
        return self.parts.get("validation")

    @property
    def test(self) -> Data | None:
        """The test part, or None."""
        return self.parts.get("test")

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: Any) -> Any:
        """One example by its number; a set of some by a slice or a list of numbers."""
        if isinstance(key, slice):
            return self._with(self.rows[key])
        if isinstance(key, list | np.ndarray):
            return self._with(self._numbers(key))
        try:
            number = operator.index(key)
        except TypeError:
            raise ArgumentError(
                f"Examples are numbered; got {key!r}.",
                fix="data[0], data[:100], data[[3, 1]]; data.arrays()['input'] for a column",
                got=key,
            ) from None
        if not -len(self) <= number < len(self):
            raise RowError(f"There is no example {number}; the set has {len(self):,}.", got=number)
        return self.at(int(self.rows[number]))

    def __iter__(self) -> Iterator[Any]:
        return (self.at(int(row)) for row in self.rows)

    def arrays(self, by: Net | Mapping[str, Codec] | None = None) -> dict[str, Any]:
        """Whole columns, by name.

        Args:
            by: None for what was given (arrays read-only, files as paths); a net, or codecs by column, for
                the tensors that stand at its ports; lists of tensors where their sizes vary.
        Raises:
            CodecError: a thing that its codec cannot encode, with its row. DataError: words or pictures
                without a codec.
        Example:
            >>> import retia as rt
            >>> pets = rt.data(([[1.0], [2.0]], ["cat", "dog"]))
            >>> pets.arrays({"output": rt.Classes(["cat", "dog"])})["output"]
            tensor([0, 1])
        """
        if by is None:
            return {name: column.things(self.rows) for name, column in self.columns.items()}
        return encoding.encoded(self, encoding.codecs_of(by))

    def batches(
        self, size: int, *, shuffle: bool = False, seed: int = 0, drop_last: bool = False
    ) -> Iterator[dict[str, Any]]:
        """Examples by the batch, as dicts of arrays and lists by column, as given.

        Args:
            size: examples a batch, at least 1.
            shuffle: in an order that depends on the seed alone.
            seed: 0 to 2**63 - 1.
            drop_last: leave out the last batch where it is smaller.
        """
        size = _whole("batches: size", size, 1)
        data = self.shuffle(seed) if shuffle else self
        stop = len(data) // size * size if drop_last else len(data)
        return (data[start : start + size].arrays() for start in range(0, stop, size))

    def counts(self, column: str | None = None) -> dict[Label, int]:
        """How many examples each label has, in the labels' order.

        Args:
            column: ``"output"`` where it is left out, or the only other one that holds labels.
        Raises:
            DataError: the column holds no labels.
        """
        name = self.label_column if column is None else self._known(column)
        found = None if name is None else self.columns[name].labels(self.rows)
        if found is None:
            which = f"{column!r} holds" if column else "The set has"
            raise DataError(f"{which} no labels: words, whole numbers, True or False.", path=column)
        counts = Counter(found)
        return {label: counts[label] for label in sort_labels(counts)}

    def show(
        self,
        n: int = 25,
        path: str | os.PathLike[str] | None = None,
        *,
        by: Net | Mapping[str, Codec] | None = None,
    ) -> Sheet:
        """Some of the examples to look at, evenly spread over the set.

        Pictures stand with their labels below, with the masks and boxes that belong to them over them;
        sounds as curves. What cannot be drawn is a table.

        Args:
            n: how many at most, at least 1.
            path: where to save the contact sheet as well (.png, .jpg).
            by: a net, or codecs by column: pictures then stand as the net sees them, and boxes and masks are
                read as it reads them.
        Returns:
            A ``Sheet``: printed it is a table, in a notebook a picture or a table; ``.picture`` is Pillow's.
        Raises:
            DataError: the set is empty, a picture cannot be read, or nothing can be drawn for ``path``.
        Example:
            >>> import retia as rt
            >>> rt.data("iris", input=["petal_length", "petal_width"], output="species").show(3)
            iris: 3 of 150 examples
              input     output
              1.4  0.2  setosa
              4.3  1.3  versicolor
              5.1  1.8  virginica
        """
        some = np.linspace(0, len(self) - 1, min(_whole("show: n", n, 1), len(self))).round()
        chosen = self._with(self._numbers(some.astype(np.int64)))
        sheet = showing.show(chosen, encoding.codecs_of(by), len(self))
        if path is not None:
            sheet.picture.save(path)
        return sheet

    def plot(
        self,
        what: str | None = None,
        *,
        by: Net | None = None,
        path: str | os.PathLike[str] | None = None,
        ax: Any = None,
    ) -> Any:
        """Draw what the columns hold, each as it suits: all of them, or one kind of drawing.

        Args:
            what: ``"histograms"`` of numbers, ``"counts"`` of labels, ``"sizes"`` of pictures, ``"lengths"``
                of texts; ``"correlations"`` of all columns of numbers; ``"map"``, the examples on the first
                two principal components of their inputs (numbers as they are, rows as ``rt.Table`` has them,
                pictures 32 x 32), coloured by label, 2,000 at most. Every column when left out.
            by: a net whose features the map goes by instead: what enters the last layer with arrays where
                its output has a codec, else what it gives.
            path: where to save the picture (.png, .svg, .pdf), if anywhere.
            ax: matplotlib axes to draw on, where there is one thing to draw.
        Returns:
            The matplotlib figure, or the axes that were given. Nothing global is changed.
        Raises:
            DataError: there is nothing of this kind to draw.
            MissingExtraError: matplotlib is not installed.
        Example:
            >>> import retia as rt
            >>> drawn = rt.data("iris").plot("correlations")
            >>> [each.get_text() for each in drawn.axes[0].get_xticklabels()][:2]
            ['sepal_length', 'sepal_width']
        """
        return save(plots.plot(self, what, by, ax), path)

    def describe(self) -> Description:
        """A table with a row for each column: type, missing things, range, counts, sizes of pictures.

        All is read for it, of picture files the beginnings; ``str(data)`` tells less and reads labels alone.

        Example:
            >>> import retia as rt
            >>> rt.data(([[1.0, 2.0], [3.0, 8.0]], ["cat", "dog"])).describe()
            Data: 2 examples
              column  type          missing  holds
              input   float64 (2,)        0  1 to 8, mean 3.5
              output  str                 0  2 labels: cat 1, dog 1
        """
        return description.describe(self)

    # New sets -------------------------------------------------------------------------------------

    def take(self, n: int) -> Data:
        """The first ``n`` examples, all of them where there are fewer."""
        return self._with(self.rows[: _whole("take: n", n, 0)])

    def shuffle(self, seed: int = 0) -> Data:
        """The same examples in an order that depends on the seed (0 to 2**63 - 1) alone."""
        return self._with(self._numbers(permutation(len(self), "shuffle", seed)))

    def ahead(self) -> None:
        """Begin to read what is read late, while something else is done."""
        for column in self.columns.values():
            if isinstance(column, LateColumn):
                column.ahead()

    def split(
        self,
        size: Any,
        *,
        seed: int = 0,
        stratify: bool = True,
        group: str | None = None,
        time: str | None = None,
    ) -> tuple[Data, ...]:
        """Two sets or more that share no example, drawn by chance, each in the order of this set.

        Args:
            size: of the first, a fraction between 0 and 1 or a number of examples, the rest being the
                second; or a list with the size of every part, and what is over is left out.
            seed: of the draw, 0 to 2**63 - 1.
            stratify: give each label its share of all parts, rounded up or down.
            group: a column, such as who speaks: examples that are alike in it come into one part, and sizes
                are as near as that allows. Nothing is stratified then.
            time: a column of numbers or dates: nothing is drawn, the earliest examples are the first part.
        Returns:
            A tuple of the sets; printed, the counts of each label in each of them.
        Raises:
            DataError: a part would be empty, or there are too few examples or groups.
        Example:
            >>> import retia as rt
            >>> data = rt.data((range(10), ["cat", "dog"] * 5))
            >>> train, validation, test = data.split((0.6, 0.2, 0.2))
            >>> train.counts(), validation.counts(), test.counts()
            ({'cat': 3, 'dog': 3}, {'cat': 1, 'dog': 1}, {'cat': 1, 'dog': 1})
        """
        return splitting.split(self, size, seed, stratify, group, time)

    def map(self, **columns: Any) -> Data:
        """The set with columns that a function or a net makes, one thing at a time, when it is asked for.

        Args:
            columns: for the name of a column, what makes it: a function of the thing that stands there, or,
                where the name is new, of the whole example; or a net, whose inputs are columns by the names
                of its ports and whose decoded output is the thing. Parts are mapped too.
        Raises:
            DataError: when asked for, a function failed, by row.
        Example:
            >>> import retia as rt
            >>> data = rt.data((["ab", "c"], [2, 1])).map(input=str.upper, length=lambda pair: len(pair[0]))
            >>> data[0]
            {'input': 'AB', 'output': 2, 'length': 2}
        """
        return verbs.map_columns(self, columns)

    def rename(self, **columns: str) -> Data:
        """The set with columns called otherwise, such as a net's ports; parts too.

        Args:
            columns: the new name of each, by its old one.
        Raises:
            DataError: there is no such column, or two would be called alike.
        Example:
            >>> import retia as rt
            >>> rt.data({"text": ["ab", "c"], "stars": [5, 1]}).rename(text="input", stars="output")[0]
            ('ab', 5)
        """
        return verbs.rename(self, columns)

    def filter(self, test: Callable[[Any], Any] | None = None, **tests: Callable[[Any], Any]) -> Data:
        """The examples that pass.

        Args:
            test: a function of an example, true for those that stay.
            tests: functions of one column's things, by the column's name; only these columns are read.
        Example:
            >>> import retia as rt
            >>> rt.data((range(4), ["cat", "dog"] * 2)).filter(output=lambda label: label == "dog").arrays()
            {'input': [1, 3], 'output': ['dog', 'dog']}
        """
        return verbs.keep(self, test, tests)

    def join(self, *others: Data, on: str | None = None) -> Data:
        """This set's examples and those of others after them; or, by a column, the columns of both.

        Args:
            others: sets with the same columns.
            on: a column of both sets: each example gets the other set's columns from the one row there that
                has the same in it.
        Raises:
            DataError: the columns differ; or an example has no row in the other set, or several.
        Example:
            >>> import retia as rt
            >>> cats = rt.data({"id": [1, 2], "name": ["Tom", "Mia"]})
            >>> cats.join(rt.data({"id": [2, 1], "age": [5, 3]}), on="id")[0]
            {'id': 1, 'name': 'Tom', 'age': 3}
        """
        if on is None:
            return verbs.join(self, others)
        if len(others) != 1:
            raise ArgumentError(f"join: on= joins two sets; got {1 + len(others)}.", got=len(others))
        return verbs.join_on(self, others[0], on)

    def balance(self, to: str = "most", *, column: str | None = None, seed: int = 0) -> Data:
        """The set with every label equally often, in this set's order. Balance the training part alone.

        Args:
            to: ``"most"`` repeats examples of rarer labels, ``"fewest"`` leaves out some of the others.
            column: of the labels; ``"output"`` where it is left out, or the only other one that holds labels.
            seed: of which examples are repeated or stay.
        Example:
            >>> import retia as rt
            >>> rt.data((range(5), ["cat", "cat", "cat", "cat", "dog"])).balance().counts()
            {'cat': 4, 'dog': 4}
        """
        return verbs.balance(self, to, column, seed)

    def windows(
        self, length: int, *, step: int | None = None, column: str = "input", ahead: int | None = None
    ) -> Data:
        """Stretches of one length of long texts or sequences, each an example; what is left over is dropped.

        Args:
            length: of a window, at least 1.
            step: from one window's beginning to the next; the length when left out.
            column: that is cut; the others are repeated.
            ahead: makes a column ``output`` of the windows that begin so many places later: with 1 a net
                learns to say at each place what comes next.
        Example:
            >>> import retia as rt
            >>> rt.data({"input": ["abcdefg"]}).windows(3, step=2, ahead=1).arrays()
            {'input': ['abc', 'cde'], 'output': ['bcd', 'def']}
        """
        return verbs.windows(self, length, step, column, ahead)

    def stream(self, on: bool = True) -> Data:
        """The set, packed anew in every epoch, in threads and a few batches ahead, instead of once.

        Without it a set is packed once where that takes at most a quarter of the free memory, and streamed
        where it takes more. Both give the same numbers. How much of its time a training waits for the data
        stands in its history as ``waiting``.

        Args:
            on: False to leave the choice to the memory again.
        Example:
            >>> import retia as rt
            >>> x, y = [[0.0], [1.0]], [[1.0], [3.0]]
            >>> run = rt.train(rt.Linear(1), rt.data((x, y)).stream(), epochs=1, progress=False)
            >>> 0 <= run.history[0]["waiting"] <= 1
            True
        """
        parts = {name: part.stream(on) for name, part in self.parts.items()}
        return replace(self, streams=on, parts=parts)

    def cache(self, folder: str | os.PathLike[str] | None) -> Data:
        """The set, whose encoded columns are kept on disk when a net is trained on it, for the next training.

        They stand there under the hash of the codec's expression and of the content of all that is encoded,
        so what has changed is encoded anew; they are mapped into memory, so that they may be larger than it.
        Several processes may use a folder at once, and it may be deleted at any time. Things that functions
        make (``map``) are made for the hash every time.

        Args:
            folder: made if it is not there; None keeps nothing.
        Example:
            >>> import retia as rt, tempfile
            >>> x, y = [[0.0], [1.0]], [[1.0], [3.0]]
            >>> kept = rt.data((x, y)).cache(tempfile.mkdtemp())
            >>> first, second = (rt.train(rt.Linear(1), kept, epochs=1, progress=False) for _ in range(2))
            >>> first.net == second.net
            True
        """
        place = None if folder is None else os.fspath(folder)
        parts = {name: part.cache(folder) for name, part in self.parts.items()}
        return replace(self, kept=place, parts=parts)

    def select(self, *, input: Any = None, output: Any = None) -> Data:
        """The set with the columns ``input`` and ``output`` chosen.

        Args:
            input: a column's name; a list of names of columns of numbers, whose numbers are then vectors; or
                None for all that is not the output: each input is then a row, a dict by column.
            output: a column's name, or a list of names for vectors.
        Raises:
            DataError: there is no such column, or a vector is to be made of words.
        Example:
            >>> import retia as rt
            >>> cars = rt.data({"weight": [3504, 2372], "origin": ["usa", "japan"], "mpg": [18.0, 24.0]})
            >>> cars.select(output="mpg")[0]
            ({'weight': 3504, 'origin': 'usa'}, 18.0)
        """
        return selection.select(self, input, output)

    def check(self, *, on_error: str = "raise") -> Data:
        """Open every file once, pictures and sounds whole, on several threads.

        Args:
            on_error: ``"raise"`` an error that names all unreadable files, or ``"skip"`` them with a warning.
        Returns:
            The set, its parts too, without the unreadable ones.
        Raises:
            DataError: files cannot be read, or nothing is left.
        """
        return inspection.check(self, on_error)

    # Value ----------------------------------------------------------------------------------------

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the names and contents of all columns, parts included; files are read for it once."""
        digest = hashlib.sha256()
        for name, part in sorted(self.parts.items()):
            digest.update(f"{name} {part.fingerprint}\0".encode())
        for name, column in sorted(self.columns.items()):
            digest.update(f"{name} {len(self)}\0".encode())
            column.feed_hash(self.rows, digest.update)
        return digest.hexdigest()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Data):
            return NotImplemented
        alike = len(self) == len(other) and set(self.columns) == set(other.columns)
        return self is other or (alike and self.fingerprint == other.fingerprint)

    def __hash__(self) -> int:
        return hash((len(self), frozenset(self.columns)))

    def __str__(self) -> str:
        return inspection.table(self)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} {len(part):,}" for name, part in self.parts.items()) or f"{len(self):,}"
        return f"<Data {f'{self.name} ' if self.name else ''}{sizes}: {', '.join(self.columns)}>"

    # Inside ---------------------------------------------------------------------------------------

    def _with(self, rows: Rows) -> Data:
        return replace(self, rows=rows, parts={})

    def at(self, row: int) -> Any:
        """The example in a row of the columns, whether it belongs to the set or not."""
        if set(self.columns) == PAIR:
            return self.columns["input"].item(row), self.columns["output"].item(row)
        return {name: column.item(row) for name, column in self.columns.items()}

    def _numbers(self, numbers: Any) -> Rows:
        chosen = np.asarray(numbers)
        if chosen.size == 0:
            return range(0)
        if chosen.dtype.kind not in "iu" or chosen.ndim != 1:
            raise ArgumentError(
                f"Rows are whole numbers in a list; got {chosen.dtype} {chosen.shape}.", got=numbers
            )
        if chosen.min() < -len(self) or chosen.max() >= len(self):
            wrong = chosen.max() if chosen.max() >= len(self) else chosen.min()
            raise RowError(f"There is no example {wrong}; the set has {len(self):,}.", got=numbers)
        chosen = np.where(chosen < 0, chosen + len(self), chosen).astype(np.int64)
        if isinstance(self.rows, range):
            return np.asarray(self.rows.start + self.rows.step * chosen)
        return np.asarray(self.rows[chosen])

    @cached_property
    def label_column(self) -> str | None:
        """The column that splits and counts go by: ``"output"``, or the only other one of labels, or None."""
        holders = [name for name in self.columns if self.columns[name].labels(range(0)) is not None]
        if "output" in holders:
            return "output"
        holders = [name for name in holders if name != "input"]
        return holders[0] if len(holders) == 1 else None

    def _known(self, name: str) -> str:
        if name not in self.columns:
            raise DataError(
                f"There is no column {name!r}; there are {', '.join(self.columns)}."
                + did_you_mean(name, self.columns),
                path=name,
            )
        return name


def _whole(name: str, value: Any, low: int) -> int:
    try:
        number = -1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = -1
    if number < low:
        raise ArgumentError(f"{name} is a whole number of at least {low}; got {value!r}.", got=value)
    return number
