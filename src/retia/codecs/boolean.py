"""Yes or no."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from retia._late import numpy as np
from retia._torch import torch
from retia.codecs.arrays import as_array, brief, is_array
from retia.codecs.choices import PROPERTIES, Choices, probabilities, scores_of
from retia.codecs.labels import read_label
from retia.errors import CodecError
from retia.nets.codec import Codec, Reading, codec
from retia.nets.settings import real, setting
from retia.shapes import Shape

if TYPE_CHECKING:
    from torch import Tensor


@codec
class Boolean(Codec):
    """Yes or no: 1 or 0 where it is encoded, a probability or a logit where it is decoded.

    The decision is True where the probability is above the threshold; after Sigmoid the number is the
    probability, else the logit, so that a threshold of 0.5 cuts logits at 0.

    Answers: ``"decision"``, ``"probability"`` (of True), ``"probabilities"``, ``top=k``, ``"entropy"``
        (nats), ``"sample"`` (with a temperature).
    Shape:  (), at an output also (1)
    Args:
        threshold: 0..1, above which probability the decision is True; 0.5 when left out.
    Raises:
        CodecError: anything but truth values, 0 and 1, with its row.
    Example:
        >>> import retia as rt
        >>> rt.Boolean().encode([True, False])
        tensor([1., 0.])
        >>> rt.Boolean().decode([0.9, 0.2])
        [True, False]
        >>> rt.Boolean(0.95).decode(0.9)
        False
    """

    properties: ClassVar[tuple[str, ...]] = PROPERTIES
    ending: ClassVar[str | None] = "sigmoid"
    column: ClassVar[bool] = True

    threshold: float | None = setting(real(0, 1, optional=True), default=None)

    @property
    def shape(self) -> Shape | None:
        return ()

    def is_one(self, thing: Any) -> bool:
        if is_array(thing):
            return len(getattr(thing, "shape", ())) == 0
        return not isinstance(thing, list | tuple)

    def pack(self, things: Sequence[Any]) -> Tensor:
        if is_array(things):
            array = as_array(things, "Boolean")
            if array.ndim != 1:
                raise CodecError(
                    f"Boolean: truth values have one axis; got shape {array.shape}.",
                    fix="y.ravel()",
                    got=array.shape,
                )
            things = array.tolist()
        values = np.fromiter(map(_truth, things), np.int8, len(things))
        wrong = np.flatnonzero(values < 0).tolist()
        if wrong:
            texts = isinstance(things[wrong[0]], str)
            more = f" ({len(wrong)} rows in all)" if len(wrong) > 1 else ""
            raise CodecError(
                f"Boolean: row {wrong[0]}: {brief(things[wrong[0]])} is not True, False, 1 or 0{more}.",
                fix='rt.Classes(["no", "yes"]) takes labels of any kind' if texts else None,
                path=f"row {wrong[0]}",
                got=things[wrong[0]],
            )
        return torch.from_numpy(values.astype(np.float32))

    def loss(self) -> str:
        return "binary-cross-entropy"

    def unpack(self, batch: Tensor, reading: Reading) -> list[Any]:
        word, about = self.asked(reading)
        scores = scores_of("Boolean", batch, ())
        if reading.ending is None:
            chance = 0.5 * (1 + np.tanh(0.5 * scores))
        else:
            chance = probabilities("Boolean", scores, "sigmoid")
        if word == "decision" and reading.top is None:
            return (chance > (0.5 if self.threshold is None else self.threshold)).tolist()  # type: ignore[no-any-return]
        about = True if about is None else read_label(about)
        table = np.stack([1 - chance, chance], axis=1)
        return Choices("Boolean", (False, True), table).answer(word, about, reading)


def _truth(thing: Any) -> int:
    if getattr(thing, "shape", None) == ():
        thing = thing.item()
    if isinstance(thing, bool | int | float) and thing in (0, 1):
        return int(thing)
    return -1
