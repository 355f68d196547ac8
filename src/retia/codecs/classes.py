"""Labels: one of several classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from retia._torch import torch
from retia.codecs.arrays import as_numbers, as_tensor, brief, is_array
from retia.codecs.choices import PROPERTIES, Choices, probabilities, scores_of
from retia.codecs.labels import Label, Places, learn_labels, read_label, read_labels
from retia.errors import ArgumentError, CodecError
from retia.nets.codec import Codec, Reading, codec
from retia.nets.settings import choice, make, real, setting
from retia.shapes import Shape

if TYPE_CHECKING:
    from torch import Tensor

NUMBERED = ("cross-entropy", "focal")
"""Losses whose targets are class numbers; the others compare with one-hot vectors."""


def read_word(name: str, value: Any) -> Label:
    """The rule of ``uncertain=``: a label that stands for none of them."""
    label = read_label(value)
    if label is None:
        raise ArgumentError(
            f"{name} is a text, a whole number or a truth value; got {brief(value)}.", got=value
        )
    return label


@codec
class Classes(Codec):
    """One of several labels: a class number where it is encoded, scores of all classes where it is decoded.

    A label is a text, a whole number or a truth value and keeps its type: 7 is not "7", and True is not
    1. Labels that are not given are learned from the training data, in order: False, True, then numbers by
    value, then texts by the alphabet. As a decoder it takes the largest score, after Softmax, Sigmoid or
    neither; after Sigmoid each class has a probability of its own, given as it is, and divided by their sum
    for the entropy and for draws.

    Below a threshold it answers ``uncertain`` instead of the likeliest label; what is measured (accuracy) and
    all other answers are those of the labels.

    Answers: ``"decision"``, ``top=k``, ``"probabilities"``, ``("probability", label)``, ``"entropy"`` (nats),
        ``"sample"`` (with a temperature).
    Shape:  at an input () whole numbers, or (n,) for ``form="one-hot"``; at an output (n,)
    Args:
        labels: in the order of the scores, all different; learned when left out.
        form: ``"index"``, what Embedding takes and the cross-entropy compares with; or ``"one-hot"``, a
            vector of zeros with a 1.
        threshold: 0..1, the least probability of a decision; every decision is given when left out.
        uncertain: what is answered below the threshold.
    Raises:
        CodecError: a label that is not one of them, with its row.
    Example:
        >>> import retia as rt
        >>> animal = rt.Classes(["cat", "dog"])
        >>> animal.encode(["dog", "cat", "dog"])
        tensor([1, 0, 1])
        >>> animal.decode([0.25, 0.75], "probabilities")
        {'cat': 0.25, 'dog': 0.75}
        >>> rt.Classes(["cat", "dog"], threshold=0.9).decode([[0.25, 0.75], [0.05, 0.95]])
        ['uncertain', 'dog']
    """

    properties: ClassVar[tuple[str, ...]] = PROPERTIES
    ending: ClassVar[str | None] = "softmax"
    cure: ClassVar[str] = 'Classes(["cat", "dog"]) takes the labels as one list'

    labels: tuple[Label, ...] | None = setting(read_labels, default=None)
    _: KW_ONLY
    form: str = setting(choice("index", "one-hot"), default="index")
    threshold: float | None = setting(real(0, 1, optional=True), default=None)
    uncertain: Label = setting(read_word, default="uncertain")

    def validate(self) -> None:
        if self.threshold is not None and self.uncertain in (self.labels or ()):
            raise ArgumentError(
                f"Classes: uncertain is {self.uncertain!r}, which is one of the labels.",
                fix="another word, or no threshold",
                got=self.uncertain,
            )

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

    @property
    def class_count(self) -> int | None:
        """How many labels there are, where numbers of labels go into a net."""
        return None if self.labels is None or self.form != "index" else len(self.labels)

    def __len__(self) -> int:
        return len(self._known())

    def is_fitted(self) -> bool:
        return self.labels is not None

    def fit(self, things: Sequence[Any]) -> Classes:
        if self.labels is not None:
            return self
        return make(Classes, {**self.settings(), "labels": learn_labels("Classes", things)})

    def is_one(self, thing: Any) -> bool:
        if is_array(thing):
            return len(getattr(thing, "shape", ())) == 0
        return not isinstance(thing, list | tuple | range)

    def pack(self, things: Sequence[Any]) -> Tensor:
        numbers = torch.from_numpy(self._places.numbers(things))
        return numbers if self.form == "index" else self._one_hot(numbers)

    def pack_target(self, things: Sequence[Any], loss: str) -> Tensor:
        """Class numbers for cross-entropies, one-hot vectors for losses that compare numbers.

        A row of numbers, one for each label, is taken for its probabilities.
        """
        if getattr(things, "ndim", 1) == 2 and len(self) > 1 and things.shape[1] == len(self):  # type: ignore[attr-defined]
            return as_tensor(as_numbers(things, "Classes")).float()
        numbers = torch.from_numpy(self._places.numbers(things))
        return numbers if loss in NUMBERED else self._one_hot(numbers).float()

    def loss(self) -> str:
        return "cross-entropy"

    def unpack(self, batch: Tensor, reading: Reading) -> list[Any]:
        word, about = self.asked(reading)
        labels = self._known()
        scores = scores_of("Classes", batch, (len(labels),))
        decided = word == "decision" and reading.top is None
        best = [labels[i] for i in scores.argmax(axis=1).tolist()] if decided else []
        if decided and self.threshold is None:
            return best
        table = probabilities("Classes", scores, reading.ending)
        if decided:
            sure = table.max(axis=1) >= self.threshold
            return [label if known else self.uncertain for label, known in zip(best, sure, strict=True)]
        return Choices("Classes", labels, table).answer(word, read_label(about), reading)

    def _known(self) -> tuple[Label, ...]:
        if self.labels is None:
            raise CodecError(
                "Classes() has learned no labels yet.",
                fix="rt.Classes([...]), codec.fit(labels), or rt.train",
            )
        return self.labels

    @cached_property
    def _places(self) -> Places:
        return Places("Classes", self._known())

    def _one_hot(self, numbers: Tensor) -> Tensor:
        return torch.eye(len(self), dtype=torch.uint8)[numbers]
