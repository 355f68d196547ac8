"""Ordered classes: from the least to the most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from retia._late import numpy as np
from retia._torch import torch
from retia.codecs.arrays import is_array
from retia.codecs.choices import PROPERTIES, Choices, probabilities, scores_of
from retia.codecs.labels import Label, Places, learn_labels, read_label, read_labels
from retia.errors import ArgumentError, CodecError
from retia.nets.codec import Codec, Reading, codec
from retia.nets.settings import setting
from retia.shapes import Shape

if TYPE_CHECKING:
    from torch import Tensor


@codec
class Ordinal(Codec):
    """One of several classes that stand in an order: for each step between two, whether it is passed.

    Of K classes the k-th is k ones and then zeros, K - 1 places in all: a mistake by two classes costs more
    than one by one. At an output each place has a probability of its own, that the class lies above it (after
    Sigmoid; else the net gives logits); these may not rise from one place to the next, so each is taken as
    the least so far. The decision is the median: the first class that is at least as likely to be reached as
    to be passed. Accuracy and what goes with it are of decisions; ``mae`` is how many classes these are off.

    Answers: ``"decision"``, ``top=k``, ``"probabilities"``, ``("probability", label)``, ``"entropy"`` (nats),
        ``"sample"`` (with a temperature), ``"place"`` (the expected place, 0..K-1).
    Shape:  (K - 1)
    Loss:   binary cross-entropy, each place by itself
    Args:
        labels: from the least to the most, at least 2, all different; whole numbers are learned when left
            out, by value.
    Raises:
        CodecError: a label that is not one of them, with its row; texts whose order was not given.
    Source: Frank and Hall 2001; as one net Cheng, Wang and Pollastri 2008.
    Example:
        >>> import retia as rt
        >>> size = rt.Ordinal(["small", "medium", "large"])
        >>> size.encode(["small", "large"])
        tensor([[0., 0.],
                [1., 1.]])
        >>> size.decode([0.9, 0.3])
        'medium'
        >>> size.decode([0.75, 0.25], "probabilities")
        {'small': 0.25, 'medium': 0.5, 'large': 0.25}
    """

    properties: ClassVar[tuple[str, ...]] = (*PROPERTIES, "place")
    ending: ClassVar[str | None] = "sigmoid"
    cure: ClassVar[str] = 'Ordinal(["low", "high"]) takes the labels as one list'

    labels: tuple[Label, ...] | None = setting(read_labels, default=None)
    _: KW_ONLY

    def validate(self) -> None:
        if self.labels is not None and len(self.labels) < 2:
            raise ArgumentError(
                f"Ordinal: an order has at least two labels; got {self.labels!r}.", got=self.labels
            )

    @property
    def shape(self) -> Shape | None:
        return (None if self.labels is None else len(self.labels) - 1,)

    def __len__(self) -> int:
        return len(self._known())

    def is_fitted(self) -> bool:
        return self.labels is not None

    def fit(self, things: Sequence[Any]) -> Ordinal:
        if self.labels is not None:
            return self
        labels = learn_labels("Ordinal", things)
        texts = [label for label in labels if isinstance(label, str)]
        if texts or len(labels) < 2:
            what = f"texts such as {texts[0]!r} have no order of their own" if texts else "there is one label"
            raise CodecError(
                f"Ordinal: {what}.", fix="Ordinal([...]), from the least to the most", got=labels
            )
        return Ordinal(labels)

    def is_one(self, thing: Any) -> bool:
        if is_array(thing):
            return len(getattr(thing, "shape", ())) == 0
        return not isinstance(thing, list | tuple | range)

    def pack(self, things: Sequence[Any]) -> Tensor:
        numbers = torch.from_numpy(self._places.numbers(things))
        return (numbers.unsqueeze(1) > torch.arange(len(self) - 1)).float()

    def loss(self) -> str:
        return "binary-cross-entropy"

    def unpack(self, batch: Tensor, reading: Reading) -> list[Any]:
        word, about = self.asked(reading)
        labels = self._known()
        scores = scores_of("Ordinal", batch, (len(labels) - 1,))
        if reading.ending is None:
            above = 0.5 * (1 + np.tanh(0.5 * scores))
        else:
            known = np.exp(scores) if reading.ending == "log_softmax" else scores
            above = probabilities("Ordinal", known, "sigmoid")
        above = np.minimum.accumulate(above, axis=1)
        if word == "place":
            return above.sum(axis=1).tolist()  # type: ignore[no-any-return]
        if word == "decision" and reading.top is None:
            return [labels[place] for place in (above > 0.5).sum(axis=1).tolist()]
        table = -np.diff(above, axis=1, prepend=1, append=0)
        return Choices("Ordinal", labels, table).answer(word, read_label(about), reading)

    @cached_property
    def _places(self) -> Places:
        return Places("Ordinal", self._known())

    def _known(self) -> tuple[Label, ...]:
        if self.labels is None:
            raise CodecError(
                "Ordinal() has learned no labels yet.",
                fix="rt.Ordinal([...]), codec.fit(labels), or rt.train",
            )
        return self.labels
