"""A class for every pixel: masks to arrays of class numbers, and scores of classes back to masks.

What a mask's pixels mean stands in ``meanings.py``; how it is brought to a size, in ``resize.py``: in the
same frame as the picture beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from retia._late import numpy as np
from retia._late import pillow_image
from retia._torch import torch
from retia.codecs.arrays import as_array, brief, is_array
from retia.codecs.image import Image
from retia.codecs.labels import Label, read_label, read_labels
from retia.codecs.layouts import is_nested_numbers
from retia.codecs.meanings import Meanings, palette, read_colors, read_levels
from retia.codecs.pictures import is_picture, name_of, named, open_picture, size_of
from retia.codecs.resize import CROPS, FITS, Frame, check_frame
from retia.codecs.threads import in_threads
from retia.errors import ArgumentError, CodecError, did_you_mean
from retia.nets.codec import Codec, Reading, codec
from retia.nets.settings import choice, make, setting, whole
from retia.shapes import Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

NUMBERED = ("cross-entropy", "focal")
"""Losses whose targets are class numbers; the others compare with one-hot arrays."""


@codec
class Mask(Codec):
    """A class for every pixel: class numbers where it is encoded, scores of all classes where decoded.

    Takes paths, bytes of a file, open files and Pillow images, and arrays (h, w) of whole numbers. Numbers
    are read as they are stored: a palette's entry, a level of gray. With ``colors`` masks are pictures, and
    arrays are (h, w, 3). Sizes change by the nearest pixel; give the same frame as to the ``Image``
    beside it. A net for it ends in ``rt.Softmax(axis=0)``; its loss is the cross-entropy of every pixel.

    Answers: ``"decision"``: a Pillow image with a palette, whose numbers encode to the same classes again;
        ``"areas"``: the share of each class; ``("overlay", picture)``: the mask, half clear, on what the net
        sees of the picture; ``("probability", label)``: an array (h, w).
    Shape:  at an input (height, width) whole numbers; at an output (n, height, width)
    Args:
        labels: of the classes in the order of the scores, 2 to 256 of them.
        height: in pixels; both sizes come from the net or the data when left out.
        width: in pixels; the height again when left out.
        colors: of each label: (red, green, blue) from 0 to 255 or ``"#rrggbb"``; a list, or a dict by label.
        levels: of each label: the number of its pixels, or a range of them (``range(1, 256)``, or the pair
            (first, last)); a list, or a dict by label. 0, 1, 2, ... when left out.
        other: the label of pixels of any other colour or level; refused when left out. Also that of bars.
        ignore: the label of pixels that count nothing, in the loss and in every metric, such as borders that
            nobody can say more of.
        fit: as in ``Image``; ``"pad"`` adds bars of the label ``other``, else of the first one.
        resize: as in ``Image``.
        crop: as in ``Image``.
    Raises:
        CodecError: no mask, or a pixel that has no label.
    Example:
        >>> import retia as rt
        >>> mask = rt.Mask(["ground", "person"], 2, 2, levels=[0, range(1, 256)])
        >>> mask.encode([[0, 7], [0, 8]])
        tensor([[0, 1],
                [0, 1]])
        >>> mask.decode([[[0.9, 0.2], [0.8, 0.7]], [[0.1, 0.8], [0.2, 0.3]]], "areas")
        {'ground': 0.75, 'person': 0.25}
    """

    properties: ClassVar[tuple[str, ...]] = ("decision", "areas", "overlay", "probability")
    ending: ClassVar[str | None] = "softmax"
    axis: ClassVar[int] = 0
    cure: ClassVar[str] = 'Mask(["ground", "person"], 128, 128) takes the labels as one list'

    labels: tuple[Label, ...] = setting(read_labels)
    height: int | None = setting(whole(1, 65535, optional=True), default=None)
    width: int | None = setting(whole(1, 65535, optional=True), default=None)
    _: KW_ONLY
    colors: tuple[tuple[int, int, int], ...] | None = setting(default=None)
    levels: tuple[Any, ...] | None = setting(default=None)
    other: Label | None = setting(default=None)
    ignore: Label | None = setting(default=None)
    fit_: str = setting(choice(*FITS), default="stretch", alias="fit")
    resize: int | None = setting(whole(1, 65535, optional=True), default=None)
    crop: str | None = setting(choice(*CROPS), default=None)

    def validate(self) -> None:
        if self.labels is None or not 2 <= len(self.labels) <= 256:
            raise ArgumentError(f"Mask: labels are 2 to 256; got {brief(self.labels)}.", got=self.labels)
        if self.height is None and self.width is not None:
            raise ArgumentError(
                f"Mask: the width is {self.width}, but the height is missing.", fix="give both"
            )
        if self.width is None:
            object.__setattr__(self, "width", self.height)
        check_frame("Mask", (self.height, self.width), self.fit_, self.resize, self.crop)
        object.__setattr__(self, "colors", read_colors(self.labels, self.colors))
        object.__setattr__(self, "levels", read_levels(self.labels, self.levels))
        if self.colors is not None and self.levels is not None:
            raise ArgumentError("Mask: pixels are colours or levels, not both.", fix="give one of them")
        for name in ("other", "ignore"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, self.labels[self._number(getattr(self, name))])

    @property
    def shape(self) -> Shape | None:
        return (self.height, self.width)

    @property
    def kind(self) -> str:
        return "int"

    @property
    def output_shape(self) -> Shape | None:
        return (len(self.labels), self.height, self.width)

    @property
    def output_kind(self) -> str:
        return "float"

    def is_fitted(self) -> bool:
        return self.height is not None

    def fit(self, things: Sequence[Any]) -> Mask:
        """The size that all masks have, where none was given."""
        if self.is_fitted():
            return self
        sizes = dict.fromkeys(self._size(thing, f"Mask: row {i}") for i, thing in enumerate(things))
        if len(sizes) != 1:
            raise _different(list(sizes))
        return self._with_size(*next(iter(sizes)))

    def with_shape(self, shape: Shape | None) -> Mask:
        if self.is_fitted() or shape is None or len(shape) not in (2, 3):
            return self
        height, width = shape[-2:]
        return self._with_size(height, width) if isinstance(height, int) and isinstance(width, int) else self

    def _with_size(self, height: int, width: int) -> Mask:
        return make(Mask, {**self.settings(), "height": height, "width": width})

    def is_one(self, thing: Any) -> bool:
        if is_picture(thing):
            return True
        if isinstance(thing, list | tuple) and not is_nested_numbers(thing):
            return False
        if not is_array(thing) and not isinstance(thing, list | tuple):
            raise _no_mask(thing, "Mask")
        array = as_array(thing, "Mask")
        if array.dtype.kind in "SUO":
            return False
        own = 2 if self.colors is None else 3
        if array.ndim not in (own, own + 1):
            raise CodecError(
                f"Mask: one mask has {own} axes and a batch {own + 1}; got shape {array.shape}.",
                expected=own,
                got=array.shape,
            )
        return array.ndim == own

    # Encoding -------------------------------------------------------------------------------------

    def pack(self, things: Sequence[Any]) -> Tensor:
        return torch.from_numpy(self._classes(things)).long()

    def pack_target(self, things: Sequence[Any], loss: str) -> Tensor:
        """Class numbers, a byte each, for cross-entropies; arrays of zeros and ones for other losses."""
        numbers = torch.from_numpy(self._classes(things))
        if loss in NUMBERED:
            return numbers
        return torch.stack([numbers == i for i in range(len(self.labels))], dim=1).float()

    def loss(self) -> str:
        return "cross-entropy"

    def _classes(self, things: Sequence[Any]) -> NDArray[Any]:
        """Class numbers (n, h, w), of this size."""
        if is_array(things):
            array = as_array(things, "Mask")
            things = array.tolist() if array.dtype.kind in "SUO" else list(array)
        if not len(things):
            return np.zeros((0, self.height or 0, self.width or 0), np.uint8)
        many = len(things) > 1
        rows = in_threads(
            lambda i, thing: self._of_thing(thing, f"Mask: row {i}" if many else "Mask"), things
        )
        sizes = dict.fromkeys(row.shape for row in rows)
        if len(sizes) > 1:
            raise _different(list(sizes))
        return np.stack(rows)

    def _of_thing(self, thing: Any, where: str) -> NDArray[Any]:
        if is_picture(thing):
            with named(where):
                numbers = self._meanings.of_picture(open_picture(thing), name_of(thing))
        elif is_array(thing) or isinstance(thing, list | tuple):
            numbers = self._meanings.of_array(as_array(thing, where), where)
        else:
            raise _no_mask(thing, where)
        if self._frame is None or (self.resize is None and numbers.shape == self.shape):
            return numbers
        fill = 0 if self.other is None else self._number(self.other)
        return np.array(self._frame.apply(pillow_image.fromarray(numbers), "nearest", fill))

    def _size(self, thing: Any, where: str) -> tuple[int, int]:
        return size_of(thing) if is_picture(thing) else self._of_thing(thing, where).shape

    @cached_property
    def _frame(self) -> Frame | None:
        if self.height is None or self.width is None:
            return None
        return Frame(self.height, self.width, self.fit_, self.resize)

    @cached_property
    def _meanings(self) -> Meanings:
        other = None if self.other is None else self._number(self.other)
        return Meanings(self.labels, self.colors, self.levels, other)

    def _number(self, label: Any) -> int:
        wanted = read_label(label)
        for i, each in enumerate(self.labels):
            if type(each) is type(wanted) and each == wanted:
                return i
        raise ArgumentError(
            f"Mask: {label!r} is not one of the {len(self.labels)} labels."
            + did_you_mean(str(label), [each for each in self.labels if isinstance(each, str)]),
            expected=self.labels,
            got=label,
        )

    # Decoding -------------------------------------------------------------------------------------

    def unpack(self, batch: Tensor, reading: Reading) -> list[Any]:
        word, about = self.asked(reading)
        batch = batch.detach().cpu().float()
        if batch.dim() != 4 or batch.shape[1] != len(self.labels):
            raise CodecError(
                f"Mask decodes arrays ({len(self.labels)}, height, width); got {tuple(batch.shape[1:])}.",
                expected=self.output_shape,
                got=tuple(batch.shape[1:]),
            )
        bad = batch.isnan().flatten(1).any(1)
        if bool(bad.any()):
            row = int(bad.int().argmax())
            raise CodecError(
                f"Mask: row {row} of the net's output has scores that are NaN.", path=f"row {row}"
            )
        if word == "probability":
            return self._probability(batch, about, reading.ending)
        classes = batch.argmax(1).to(torch.uint8).numpy()
        if word == "areas":
            counts = [np.bincount(each.ravel(), minlength=len(self.labels)) for each in classes]
            return [dict(zip(self.labels, (c / c.sum()).tolist(), strict=True)) for c in counts]
        if word == "overlay":
            return self._overlays(classes, about)
        return [self._meanings.picture(each) for each in classes]

    def _probability(self, batch: Tensor, label: Any, ending: str | None) -> list[Any]:
        number = self._number(label)
        if ending is None:
            batch = batch.softmax(1)
        elif ending == "log_softmax":
            batch = batch.exp()
        return [*batch[:, number].numpy()]

    def _overlays(self, classes: NDArray[Any], about: Any) -> list[Any]:
        """The masks on what the net sees of pictures, one for each; black classes are clear."""
        height, width = classes.shape[1:]
        image = Image(height, width, fit=self.fit_, resize=self.resize, crop=self.crop)
        if about is None:
            raise CodecError("Mask: an overlay needs a picture.", fix='net(x, ("overlay", x))')
        pictures = [about] if image.is_one(about) else about
        if len(pictures) != len(classes):
            raise CodecError(
                f"Mask: there are {len(classes)} masks, but {len(pictures)} pictures to lay them on.",
                expected=len(classes),
                got=len(pictures),
            )
        seen = np.moveaxis(image.pack(pictures).numpy(), 1, -1).astype(np.float32)
        colors = np.array(palette(len(self.labels)) if self.colors is None else self.colors, np.float32)
        paint = colors[classes]
        mixed = np.where(paint.any(axis=-1, keepdims=True), (seen + paint) / 2, seen)
        return [pillow_image.fromarray(each) for each in mixed.round().astype(np.uint8)]


def _no_mask(thing: Any, where: str) -> CodecError:
    return CodecError(
        f"{where}: {brief(thing)} is no path, bytes, open file, Pillow image or array of a mask.",
        path=where,
        got=thing,
    )


def _different(sizes: list[tuple[int, int]]) -> CodecError:
    if not sizes:
        return CodecError(
            "Mask: there are no masks to learn the size from.", fix="Mask(labels, height, width)"
        )
    told = " and ".join(f"{height} x {width}" for height, width in sizes[:2])
    return CodecError(
        f"Mask: the masks have {len(sizes)} different sizes, {told}{' ...' if len(sizes) > 2 else ''}.",
        fix=f"Mask(labels, {sizes[0][0]}, {sizes[0][1]}) brings all to one size",
        got=sizes,
    )
