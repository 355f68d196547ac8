"""Labels: one of several classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import KW_ONLY
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from retia._late import numpy as np
from retia._torch import torch
from retia.codecs.arrays import as_array, as_numbers, as_tensor, brief, is_array
from retia.codecs.choices import PROPERTIES, Choices, probabilities, scores_of
from retia.errors import ArgumentError, CodecError, did_you_mean
from retia.nets.codec import Codec, Reading, codec
from retia.nets.settings import choice, setting
from retia.shapes import Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

Label: TypeAlias = "str | int | bool"
NUMBERED = ("cross-entropy", "focal")
"""Losses whose targets are class numbers; the others compare with one-hot vectors."""


def read_label(thing: Any) -> Label | None:
    """A label as plain Python has it (NumPy's 7 is 7); None for what is no label."""
    if isinstance(thing, str):
        return str.__str__(thing)
    if getattr(thing, "shape", None) == ():
        thing = thing.item()
    if isinstance(thing, bool | str):
        return thing
    return int(thing) if isinstance(thing, int) else None


def read_labels(name: str, value: Any) -> tuple[Label, ...] | None:
    """The rule of ``labels=``: a list, tuple, range or array of different labels, in their order."""
    if value is None:
        return None
    if isinstance(value, str | bytes | Mapping | AbstractSet) or not isinstance(value, Iterable):
        cure = f"{name.split(':')[0]}(sorted(labels))" if isinstance(value, AbstractSet) else None
        raise ArgumentError(
            f"{name} is a list of labels in their order; got {brief(value)}.", fix=cure, got=value
        )
    things = list(value)
    labels = [label for label in map(read_label, things) if label is not None]
    if len(labels) != len(things) or not things:
        wrong = next((thing for thing in things if read_label(thing) is None), value)
        raise ArgumentError(
            f"{name} are texts, whole numbers or truth values, at least one; got {brief(wrong)}.", got=wrong
        )
    # By ==, not by type: 1 and True could not both be keys of one dict of probabilities.
    twice = [label for label, count in Counter(labels).items() if count > 1]
    if twice:
        raise ArgumentError(
            f"{name} are different from each other, and 1 from True; more than once: "
            f"{', '.join(map(repr, twice[:5]))}.",
            got=twice,
        )
    return tuple(labels)


def _order(label: Label) -> tuple[int, Any]:
    return (0 if isinstance(label, bool) else 1 if isinstance(label, int) else 2, label)


@codec
class Classes(Codec):
    """One of several labels: a class number where it is encoded, scores of all classes where it is decoded.

    A label is a text, a whole number or a truth value and keeps its type: 7 is not "7", and True is not
    1. Labels that are not given are learned from the training data, in order: False, True, then numbers by
    value, then texts by the alphabet. As a decoder it takes the largest score, after Softmax, Sigmoid or
    neither; after Sigmoid each class has a probability of its own, given as it is, and divided by their sum
    for the entropy and for draws.

    Answers: ``"decision"``, ``top=k``, ``"probabilities"``, ``("probability", label)``, ``"entropy"`` (nats),
        ``"sample"`` (with a temperature).
    Shape:  at an input () whole numbers, or (n,) for ``form="one-hot"``; at an output (n,)
    Args:
        labels: in the order of the scores, all different; learned when left out.
        form: ``"index"``, what Embedding takes and the cross-entropy compares with; or ``"one-hot"``, a
            vector of zeros with a 1.
    Raises:
        CodecError: a label that is not one of them, with its row.
    Example:
        >>> import retia as rt
        >>> animal = rt.Classes(["cat", "dog"])
        >>> animal.encode(["dog", "cat", "dog"])
        tensor([1, 0, 1])
        >>> animal.decode([0.25, 0.75], "probabilities")
        {'cat': 0.25, 'dog': 0.75}
    """

    properties: ClassVar[tuple[str, ...]] = PROPERTIES
    ending: ClassVar[str | None] = "softmax"
    cure: ClassVar[str] = 'Classes(["cat", "dog"]) takes the labels as one list'

    labels: tuple[Label, ...] | None = setting(read_labels, default=None)
    _: KW_ONLY
    form: str = setting(choice("index", "one-hot"), default="index")

    @property
    def shape(self) -> Shape | None:
        return () if self.form == "index" else self.output_shape

    @property
    def kind(self) -> str:
        return "int" if self.form == "index" else "float"

    @property
    def output_shape(self) -> Shape | None:
        return (None if self.labels is None else len(self.labels),)

    @property
    def output_kind(self) -> str:
        return "float"

    def __len__(self) -> int:
        return len(self._known())

    def is_fitted(self) -> bool:
        return self.labels is not None

    def fit(self, things: Sequence[Any]) -> Classes:
        if self.labels is not None:
            return self
        things = _listed(things)
        found = set()
        for row, thing in enumerate(things):
            label = read_label(thing)
            if label is None:
                raise _no_label(row, thing)
            found.add((type(label), label))
        if not found:
            raise CodecError("Classes: there are no examples to learn labels from.", fix="Classes([...])")
        return Classes(tuple(sorted((label for _, label in found), key=_order)), form=self.form)

    def is_one(self, thing: Any) -> bool:
        if is_array(thing):
            return len(getattr(thing, "shape", ())) == 0
        return not isinstance(thing, list | tuple | range)

    def pack(self, things: Sequence[Any]) -> Tensor:
        numbers = torch.from_numpy(self._numbers(things))
        return numbers if self.form == "index" else self._one_hot(numbers)

    def pack_target(self, things: Sequence[Any], loss: str) -> Tensor:
        """Class numbers for cross-entropies, one-hot vectors for losses that compare numbers.

        A row of numbers, one for each label, is taken for its probabilities.
        """
        if getattr(things, "ndim", 1) == 2 and len(self) > 1 and things.shape[1] == len(self):  # type: ignore[attr-defined]
            return as_tensor(as_numbers(things, "Classes")).float()
        numbers = torch.from_numpy(self._numbers(things))
        return numbers if loss in NUMBERED else self._one_hot(numbers).float()

    def loss(self) -> str:
        return "cross-entropy"

    def unpack(self, batch: Tensor, reading: Reading) -> list[Any]:
        word, about = self.asked(reading)
        labels = self._known()
        scores = scores_of("Classes", batch, (len(labels),))
        if word == "decision" and reading.top is None:
            return [labels[i] for i in scores.argmax(axis=1).tolist()]
        table = probabilities("Classes", scores, reading.ending)
        return Choices("Classes", labels, table).answer(word, read_label(about), reading)

    def _known(self) -> tuple[Label, ...]:
        if self.labels is None:
            raise CodecError(
                "Classes() has learned no labels yet.",
                fix="rt.Classes([...]), codec.fit(labels), or rt.train",
            )
        return self.labels

    @cached_property
    def _index(self) -> dict[tuple[type, Label], int]:
        return {(type(label), label): i for i, label in enumerate(self._known())}

    def _one_hot(self, numbers: Tensor) -> Tensor:
        return torch.eye(len(self), dtype=torch.uint8)[numbers]

    def _numbers(self, things: Sequence[Any]) -> NDArray[Any]:
        labels = self._known()
        if is_array(things):
            array = as_array(things, "Classes")
            _check_axes(array)
            if array.dtype.kind in "iu" and labels == tuple(range(len(labels))) and self._all_known(array):
                return array.astype(np.int64)
            if array.dtype.kind in "iubU":
                different, places = np.unique(array, return_inverse=True)
                known = [self._index.get((type(v), v), -1) for v in different.tolist()]
                numbers = np.array(known, np.int64)[places] if known else np.zeros(0, np.int64)
                if (numbers >= 0).all():
                    return np.asarray(numbers)
            things = array.tolist()
        numbers = np.fromiter((self._number(thing) for thing in things), np.int64, len(things))
        if (numbers < 0).any():
            raise self._unknown(things, np.flatnonzero(numbers < 0).tolist())
        return numbers

    def _all_known(self, array: NDArray[Any]) -> bool:
        return not array.size or (array.min() >= 0 and bool(array.max() < len(self)))

    def _number(self, thing: Any) -> int:
        label = read_label(thing)
        return -1 if label is None else self._index.get((type(label), label), -1)

    def _unknown(self, things: Sequence[Any], rows: list[int]) -> CodecError:
        thing = things[rows[0]]
        label = read_label(thing)
        if label is None:
            return _no_label(rows[0], thing)
        labels = self._known()
        alike = [known for known in labels if str(known) == str(label) or known == label]
        hint = f" The label {alike[0]!r} is of another type." if alike else ""
        if not alike and isinstance(label, str):
            hint = did_you_mean(label, [known for known in labels if isinstance(known, str)])
        more = f" ({len(rows)} rows in all)" if len(rows) > 1 else ""
        shown = ", ".join(map(repr, labels[:10])) + (", ..." if len(labels) > 10 else "")
        return CodecError(
            f"Classes: row {rows[0]}: {label!r} is not one of the {len(labels)} labels{more}.{hint}",
            because=[f"the labels are {shown}"],
            path=f"row {rows[0]}",
            expected=labels,
            got=label,
        )


def _listed(things: Sequence[Any]) -> Sequence[Any]:
    if not is_array(things):
        return things
    array = as_array(things, "Classes")
    _check_axes(array)
    if array.dtype.kind in "iubU":
        array = np.unique(array)
    return array.tolist()  # type: ignore[no-any-return]


def _check_axes(array: NDArray[Any]) -> None:
    if array.ndim == 1:
        return
    cure = "y.argmax(1)" if array.ndim == 2 and array.shape[1] > 1 else "y.ravel()"
    raise CodecError(
        f"Classes: labels have one axis, one label for each example; got shape {array.shape}.",
        fix=cure,
        expected=1,
        got=array.shape,
    )


def _no_label(row: int, thing: Any) -> CodecError:
    number = getattr(thing, "shape", ()) == () and isinstance(getattr(thing, "item", lambda: thing)(), float)
    return CodecError(
        f"Classes: row {row}: {brief(thing)} is no label, which is a text, a whole number or a truth value.",
        fix="y.astype(int), if the numbers are classes" if number else None,
        path=f"row {row}",
        got=thing,
    )
