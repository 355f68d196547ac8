"""Labels: what they are, and the places that they have among the labels of a codec.

A label is a text, a whole number or a truth value and keeps its type. Every codec of labels (classes, tags,
ordered classes) counts them here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from retia._late import numpy as np
from retia.codecs.arrays import as_array, brief, is_array
from retia.errors import ArgumentError, CodecError, did_you_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

Label: TypeAlias = "str | int | bool"


def read_label(thing: Any) -> Label | None:
    """A label as plain Python has it (NumPy's 7 is 7); None for what is no label."""
    if isinstance(thing, str):
        return str.__str__(thing)
    if getattr(thing, "shape", None) == () and hasattr(thing, "item"):
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


def label_order(label: Label) -> tuple[int, Any]:
    """A key that sorts False, True, then numbers by value, then texts by the alphabet."""
    return (0 if isinstance(label, bool) else 1 if isinstance(label, int) else 2, label)


@dataclass(frozen=True)
class Places:
    """The labels of a codec, and the place that each has, from 0.

    Attributes:
        name: of the codec, for errors.
        labels: in their order, all different.
    """

    name: str
    labels: tuple[Label, ...]

    def place(self, thing: Any) -> int:
        """Of one label; -1 for what is none of them."""
        label = read_label(thing)
        return -1 if label is None else self._index.get((type(label), label), -1)

    def numbers(self, things: Sequence[Any]) -> NDArray[Any]:
        """The places of many labels, int64. Raises ``CodecError`` for what is none of them, with its row."""
        if is_array(things):
            array = as_array(things, self.name)
            check_axes(self.name, array)
            ordered = self.labels == tuple(range(len(self.labels)))
            if array.dtype.kind in "iu" and ordered and self._has_all(array):
                return array.astype(np.int64)
            if array.dtype.kind in "iubU":
                different, places = np.unique(array, return_inverse=True)
                known = [self._index.get((type(v), v), -1) for v in different.tolist()]
                numbers = np.array(known, np.int64)[places] if known else np.zeros(0, np.int64)
                if (numbers >= 0).all():
                    return np.asarray(numbers)
            things = array.tolist()
        numbers = np.fromiter((self.place(thing) for thing in things), np.int64, len(things))
        wrong = np.flatnonzero(numbers < 0).tolist()
        if wrong:
            raise self.unknown([(row, things[row]) for row in wrong])
        return numbers

    def unknown(self, wrong: Sequence[tuple[int, Any]]) -> CodecError:
        """The error of things that are none of the labels, with their rows."""
        row, thing = wrong[0]
        label = read_label(thing)
        if label is None:
            return no_label(self.name, row, thing)
        more = f" ({len(wrong)} rows in all)" if len(wrong) > 1 else ""
        return CodecError(
            f"{self.name}: row {row}: {label!r} is not one of the {len(self.labels)} labels{more}."
            + alike(label, self.labels),
            because=[f"the labels are {shown(self.labels)}"],
            path=f"row {row}",
            expected=self.labels,
            got=label,
        )

    @cached_property
    def _index(self) -> dict[tuple[type, Label], int]:
        return {(type(label), label): place for place, label in enumerate(self.labels)}

    def _has_all(self, array: NDArray[Any]) -> bool:
        return not array.size or (array.min() >= 0 and bool(array.max() < len(self.labels)))


def learn_labels(name: str, things: Sequence[Any]) -> tuple[Label, ...]:
    """The different labels of training examples: False, True, then numbers by value, then texts.

    Args:
        name: of the codec, for errors.
        things: one label each, a list or an array.
    Raises:
        CodecError: what is no label, with its row; no examples.
    """
    if is_array(things):
        array = as_array(things, name)
        check_axes(name, array)
        things = (np.unique(array) if array.dtype.kind in "iubU" else array).tolist()
    found = set()
    for row, thing in enumerate(things):
        label = read_label(thing)
        if label is None:
            raise no_label(name, row, thing)
        found.add((type(label), label))
    if not found:
        raise CodecError(f"{name}: there are no examples to learn labels from.", fix=f"{name}([...])")
    return tuple(sorted((label for _, label in found), key=label_order))


def alike(label: Label, labels: Sequence[Label]) -> str:
    """What an unknown label may have meant, as the end of a sentence."""
    same = [known for known in labels if str(known) == str(label) or known == label]
    if same:
        return f" The label {same[0]!r} is of another type."
    texts = [known for known in labels if isinstance(known, str)]
    return did_you_mean(label, texts) if isinstance(label, str) else ""


def shown(labels: Sequence[Label]) -> str:
    """The first of some labels, as errors list them."""
    return ", ".join(map(repr, labels[:10])) + (", ..." if len(labels) > 10 else "")


def check_axes(name: str, array: NDArray[Any]) -> None:
    """Make sure that an array holds one label for each example."""
    if array.ndim == 1:
        return
    cure = "y.argmax(1)" if array.ndim == 2 and array.shape[1] > 1 else "y.ravel()"
    raise CodecError(
        f"{name}: labels have one axis, one label for each example; got shape {array.shape}.",
        fix=cure,
        expected=1,
        got=array.shape,
    )


def no_label(name: str, row: int, thing: Any) -> CodecError:
    """The error of what is no label."""
    number = getattr(thing, "shape", ()) == () and isinstance(getattr(thing, "item", lambda: thing)(), float)
    return CodecError(
        f"{name}: row {row}: {brief(thing)} is no label, which is a text, a whole number or a truth value.",
        fix="y.astype(int), if the numbers are classes" if number else None,
        path=f"row {row}",
        got=thing,
    )
