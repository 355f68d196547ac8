"""Tags: any number of several labels at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import KW_ONLY
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from retia._late import numpy as np
from retia._torch import torch
from retia.codecs.arrays import as_array, as_numbers, brief, is_array, rows_where
from retia.codecs.choices import PROPERTIES, Choices, probabilities, scores_of
from retia.codecs.labels import Label, Places, learn_labels, no_label, read_label, read_labels
from retia.errors import CodecError
from retia.nets.codec import Codec, Reading, codec
from retia.nets.settings import make, real, setting
from retia.shapes import Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


@codec
class Tags(Codec):
    """Any number of several labels: a vector of zeros and ones, one place for each label.

    An example is a set, a list or a tuple of labels, the empty set too; a batch is a list of these, and
    ``[]`` an empty batch. An array holds the zeros and ones themselves (or probabilities), one axis for one
    example and two for a batch. Sets are safest where labels are numbers: equally long lists of numbers are
    taken for an array. Each label has a probability of its own, after Sigmoid; else the net gives logits.
    Decisions are lists, in the order of the labels. Accuracy is counted label by label.

    Answers: ``"decision"``, ``top=k``, ``"probabilities"``, ``("probability", label)``, ``"entropy"`` (nats,
        the sum over the labels), ``"sample"`` (each label by itself, with a temperature).
    Shape:  (n)
    Loss:   binary cross-entropy, each label by itself
    Args:
        labels: in the order of the places, all different; learned when left out, in the order of Classes.
        threshold: 0..1, above which probability a label is given.
    Raises:
        CodecError: a label that is not one of them, with its row.
    Example:
        >>> import retia as rt
        >>> genre = rt.Tags(["comedy", "drama", "war"])
        >>> genre.encode([{"war", "drama"}, set()])
        tensor([[0., 1., 1.],
                [0., 0., 0.]])
        >>> genre.decode([0.1, 0.9, 0.6])
        ['drama', 'war']
        >>> genre.decode([0.1, 0.75, 0.6], top=1)
        {'drama': 0.75}
    """

    properties: ClassVar[tuple[str, ...]] = PROPERTIES
    ending: ClassVar[str | None] = "sigmoid"
    cure: ClassVar[str] = 'Tags(["comedy", "drama"]) takes the labels as one list'

    labels: tuple[Label, ...] | None = setting(read_labels, default=None)
    _: KW_ONLY
    threshold: float = setting(real(0, 1), default=0.5)

    @property
    def shape(self) -> Shape | None:
        return (None if self.labels is None else len(self.labels),)

    def __len__(self) -> int:
        return len(self._known())

    def is_fitted(self) -> bool:
        return self.labels is not None

    def fit(self, things: Sequence[Any]) -> Tags:
        if self.labels is not None:
            return self
        rows = [(row, each) for row, thing in enumerate(_listed(things)) for each in _collection(row, thing)]
        wrong = [(row, each) for row, each in rows if read_label(each) is None]
        if wrong:
            raise no_label("Tags", *wrong[0])
        return make(Tags, {**self.settings(), "labels": learn_labels("Tags", [each for _, each in rows])})

    def is_one(self, thing: Any) -> bool:
        if isinstance(thing, AbstractSet):
            return True
        if is_array(thing):
            return len(getattr(thing, "shape", ())) == 1 and as_array(thing, "Tags").dtype.kind in "biuf"
        if not isinstance(thing, list | tuple):
            raise _no_collection(None, thing)
        return len(thing) > 0 and read_label(thing[0]) is not None

    def pack(self, things: Sequence[Any]) -> Tensor:
        if is_array(things) and (array := as_array(things, "Tags")).dtype.kind in "biuf":
            return torch.from_numpy(self._ready(array))
        things = _listed(things)
        packed = np.zeros((len(things), len(self)), np.float32)
        wrong: list[tuple[int, Any]] = []
        for row, thing in enumerate(things):
            if is_array(thing) and (array := as_array(thing, f"Tags: row {row}")).dtype.kind in "biuf":
                packed[row] = self._ready(array[None])[0]
                continue
            for each in _collection(row, thing):
                place = self._places.place(each)
                if place < 0:
                    wrong.append((row, each))
                else:
                    packed[row, place] = 1
        if wrong:
            raise self._places.unknown(wrong)
        return torch.from_numpy(packed)

    def loss(self) -> str:
        return "binary-cross-entropy"

    def unpack(self, batch: Tensor, reading: Reading) -> list[Any]:
        word, about = self.asked(reading)
        labels = self._known()
        scores = scores_of("Tags", batch, (len(labels),))
        if reading.ending is None:
            chances = 0.5 * (1 + np.tanh(0.5 * scores))
        else:
            chances = probabilities("Tags", np.exp(scores) if "log" in reading.ending else scores, "sigmoid")
        if reading.top is not None or word in ("probabilities", "probability"):
            return Choices("Tags", labels, chances).answer(word, read_label(about), reading)
        if word == "entropy":
            return [
                sum(Choices("Tags", (False, True), np.stack([1 - row, row], 1)).entropy()) for row in chances
            ]
        chosen = chances > self.threshold
        if word == "sample":
            flat = np.stack([1 - chances.ravel(), chances.ravel()], 1)
            drawn = Choices("Tags", (False, True), flat).sample(reading.temperature, reading.seed)
            chosen = np.array(drawn, bool).reshape(chances.shape)
        return [[labels[place] for place in np.flatnonzero(row)] for row in chosen]

    def _known(self) -> tuple[Label, ...]:
        if self.labels is None:
            raise CodecError(
                "Tags() has learned no labels yet.", fix="rt.Tags([...]), codec.fit(examples), or rt.train"
            )
        return self.labels

    @cached_property
    def _places(self) -> Places:
        return Places("Tags", self._known())

    def _ready(self, things: Any) -> NDArray[Any]:
        """Zeros and ones, or probabilities, as they were given."""
        array = as_numbers(things, "Tags").astype(np.float32)
        if array.ndim != 2 or array.shape[1] != len(self):
            raise CodecError(
                f"Tags: an array has one axis for the examples and one for the {len(self)} labels; got shape "
                f"{array.shape}.",
                fix="a list of sets of labels, where these are numbers",
                expected=len(self),
                got=array.shape,
            )
        off = rows_where(~((array >= 0) & (array <= 1)))
        if off.any():
            row = int(off.argmax())
            raise CodecError(
                f"Tags: row {row}: an array holds zeros and ones, or probabilities; "
                f"got {brief(array[row].tolist())}.",
                fix="a list of sets of labels, where these are numbers",
                path=f"row {row}",
            )
        return array


def _listed(things: Sequence[Any]) -> Sequence[Any]:
    return as_array(things, "Tags").tolist() if is_array(things) else things


def _collection(row: int, thing: Any) -> Sequence[Any] | AbstractSet[Any]:
    if is_array(thing):
        thing = as_array(thing, f"Tags: row {row}").tolist()
    if not isinstance(thing, list | tuple | AbstractSet):
        raise _no_collection(row, thing)
    return thing


def _no_collection(row: int | None, thing: Any) -> CodecError:
    where = "Tags" if row is None else f"Tags: row {row}"
    label = read_label(thing)
    cure = "{" + repr(label) + "}, a set of one" if label is not None else None
    if isinstance(thing, Mapping):
        cure = "{label for label, value in example.items() if value}"
    return CodecError(
        f"{where}: an example is a set or a list of labels; got {brief(thing)}.",
        fix=cure,
        path=None if row is None else f"row {row}",
        got=thing,
    )
