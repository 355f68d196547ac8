"""Labelled boxes at a port: what stands where in a picture, to arrays and back.

===========  ====================  ====================================================================
form         array                 content
===========  ====================  ====================================================================
``"grid"``   (n + 4, rows, cols)   a map of each label: 1 in the cell of a box's middle, falling off around
                                   it by the box's size; in that cell also where in the cell the middle is
                                   (x, y, 0..1), and the box's width and height by the picture's; else 0
``"list"``   (most, n + 4)         for each box a 1 for its label among zeros; x and y of its middle, width
                                   and height, by the picture's; rows without a 1 are padding
===========  ====================  ====================================================================

The grid is what a detector in one stage gives (Zhou et al. 2019, Objects as Points): no anchors, and peaks of
the maps are the boxes that are found. All its numbers are 0..1, so the net ends in ``rt.Sigmoid()``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from retia._late import numpy as np
from retia._torch import torch
from retia.codecs.arrays import as_array, as_numbers, brief, is_array
from retia.codecs.choices import scores_of
from retia.codecs.labels import Label, read_label, read_labels
from retia.codecs.overlap import FORMS, from_corners, suppress, to_corners
from retia.codecs.resize import CROPS, FITS, Frame, check_frame
from retia.errors import ArgumentError, CodecError, did_you_mean
from retia.nets.codec import Codec, Reading, codec
from retia.nets.settings import choice, make, real, setting, whole, whole_tuple
from retia.shapes import Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

KEYS = ("boxes", "labels", "scores", "size")
REACH = 0.54
"""How far a box's peak reaches, by its half width and height (TTFNet, Liu et al. 2020)."""


@codec
class Boxes(Codec):
    """Labelled boxes in a picture, as a detector in one stage gives them.

    One example is a dict: ``{"boxes": (k, 4), "labels": k labels}``, and ``"size"``, (height, width) of its
    picture in pixels, where boxes are in pixels or the picture is not stretched. Boxes follow the frame of
    the ``Image`` beside it; what of a box is not seen there is cut off. What is decoded is such a dict, the
    best box first, with ``"scores"``; its boxes are in what the net sees.

    Answers: ``"decision"``; ``("above", score)``: with another least score; ``"candidates"``: the ``most``
        best peaks, whatever their score and overlap.
    Shape:  (n + 4, rows, columns), or (most, n + 4) for ``form="list"``; see ``retia.codecs.boxes``
    Loss:   of a grid ``rt.Detection()``, of a list the squared error
    Args:
        labels: of boxes, in the order of their maps.
        most: boxes that are decoded; of a list, also those that are encoded.
        form: ``"grid"`` or ``"list"``.
        grid: rows and columns; from the net when left out.
        corners: what the four numbers of a box are: ``"corners"``, ``"corner"`` (COCO's) or ``"center"``
            (YOLO's); see ``retia.codecs.overlap``.
        units: ``"relative"`` (0..1, by the picture's width and height) or ``"pixels"``.
        size: (height, width) in pixels of what the net sees, needed for pixels and frames.
        score: 0..1, the least of a box that is found.
        overlap: 0..1; of two boxes of a label that overlap by more (IoU) the better one stays.
        fit: as in ``Image``.
        resize: as in ``Image``.
        crop: as in ``Image``.
    Raises:
        CodecError: no boxes, an unknown label, a box beyond its picture, or more than ``most`` in a list.
    Example:
        >>> import retia as rt
        >>> boxes = rt.Boxes(["cat", "dog"], grid=(4, 4))
        >>> array = boxes.encode({"boxes": [[0.25, 0.5, 0.75, 1.0]], "labels": ["dog"]})
        >>> array.shape, float(array[1, 3, 2])
        (torch.Size([6, 4, 4]), 1.0)
        >>> found = boxes.decode(array)
        >>> found["labels"], found["boxes"].tolist()
        (['dog'], [[0.25, 0.5, 0.75, 1.0]])
    """

    properties: ClassVar[tuple[str, ...]] = ("decision", "above", "candidates")
    ending: ClassVar[str | None] = "sigmoid"
    cure: ClassVar[str] = 'Boxes(["cat", "dog"], most=100) takes the labels as one list'

    labels: tuple[Label, ...] = setting(read_labels)
    _: KW_ONLY
    most: int = setting(whole(1, 100_000), default=100)
    form: str = setting(choice("grid", "list"), default="grid")
    grid: tuple[int, int] | None = setting(whole_tuple(1, optional=True), default=None)
    corners: str = setting(choice(*FORMS), default="corners")
    units: str = setting(choice("relative", "pixels"), default="relative")
    size: tuple[int, int] | None = setting(whole_tuple(1, optional=True), default=None)
    score: float = setting(real(0, 1), default=0.3)
    overlap: float = setting(real(0, 1), default=0.5)
    fit_: str = setting(choice(*FITS), default="stretch", alias="fit")
    resize: int | None = setting(whole(1, 65535, optional=True), default=None)
    crop: str | None = setting(choice(*CROPS), default=None)

    def validate(self) -> None:
        if self.labels is None:
            raise ArgumentError("Boxes: labels are missing.", fix=self.cure)
        for name in ("grid", "size"):
            pair = getattr(self, name)
            if pair is not None and len(pair) != 2:
                raise ArgumentError(f"Boxes: {name} is a pair (height, width); got {pair!r}.", got=pair)
        if self.grid is not None and self.form == "list":
            raise ArgumentError("Boxes: a list has no grid.", fix="leave grid= out")
        check_frame("Boxes", self.size or (None, None), self.fit_, self.resize, self.crop)
        if self.size is None and (self.units == "pixels" or self.fit_ != "stretch" or self.resize):
            raise ArgumentError(
                "Boxes: the size of what the net sees is missing.",
                fix="size=(128, 128), the height and width of the Image beside it",
            )

    @property
    def shape(self) -> Shape | None:
        channels = len(self.labels) + 4
        return (self.most, channels) if self.form == "list" else (channels, *(self.grid or (None, None)))

    def is_fitted(self) -> bool:
        return self.form == "list" or self.grid is not None

    def with_shape(self, shape: Shape | None) -> Boxes:
        if self.is_fitted() or shape is None or len(shape) != 3 or not _are_whole(shape[1:]):
            return self
        return make(Boxes, {**self.settings(), "grid": shape[1:]})

    def is_one(self, thing: Any) -> bool:
        if isinstance(thing, Mapping):
            return True
        if isinstance(thing, list | tuple) or is_array(thing):
            return False
        raise _no_boxes(thing, "Boxes")

    def loss(self) -> str:
        return "mse" if self.form == "list" else "detection"

    # Encoding -------------------------------------------------------------------------------------

    def seen(self, thing: Any) -> dict[str, Any]:
        """What of an example's boxes is in what the net sees, as decoded boxes are; each with the score 1.

        Raises:
            CodecError: as encoding does.
        Example:
            >>> import retia as rt
            >>> boxes = rt.Boxes(["cat"], size=(10, 10), fit="crop")
            >>> boxes.seen({"boxes": [[0, 0, 0.5, 1]], "labels": ["cat"], "size": (10, 20)})["boxes"]
            array([[0. , 0. , 0.5, 1. ]])
        """
        numbers, boxes = self._read(thing, "Boxes")
        return self._told(numbers, to_corners(boxes, "center"), np.ones(len(boxes)))

    def corners_of(self, boxes: Any) -> NDArray[Any]:
        """Boxes as they are decoded, as left, top, right and bottom."""
        return to_corners(np.asarray(boxes, np.float64).reshape(-1, 4), self.corners)

    def pack(self, things: Sequence[Any]) -> Tensor:
        if is_array(things):
            things = as_array(things, "Boxes").tolist()
        if not self.is_fitted():
            raise CodecError("Boxes has no grid yet.", fix="Boxes(labels, grid=(16, 16)), or a net's output")
        packed = np.zeros((len(things), *self.shape), np.float32)  # type: ignore[misc]
        for i, (place, thing) in enumerate(zip(packed, things, strict=True)):
            where = f"Boxes: row {i}" if len(things) > 1 else "Boxes"
            numbers, boxes = self._read(thing, where)
            if self.form == "grid":
                self._draw(place, numbers, boxes)
            elif len(boxes) > self.most:
                raise CodecError(
                    f"{where} has {len(boxes)} boxes, more than the {self.most} of the list.",
                    fix=f"Boxes(labels, most={len(boxes)})",
                    path=where,
                    expected=self.most,
                    got=len(boxes),
                )
            else:
                place[np.arange(len(boxes)), numbers] = 1
                place[: len(boxes), len(self.labels) :] = boxes
        return torch.from_numpy(packed)

    def _read(self, thing: Any, where: str) -> tuple[NDArray[Any], NDArray[Any]]:
        """Class numbers (k) and boxes (k, 4) of an example: middle, width, height, by what the net sees."""
        if not isinstance(thing, Mapping) or not {"boxes", "labels"} <= set(thing) <= set(KEYS):
            raise _no_boxes(thing, where)
        labels = list(thing["labels"])
        numbers = np.array([self._number(label, where) for label in labels], np.int64)
        boxes = as_numbers(thing["boxes"], where).astype(np.float64)
        boxes = boxes.reshape(0, 4) if not boxes.size else boxes
        if boxes.shape != (len(labels), 4):
            raise CodecError(
                f"{where}: {len(labels)} labels need boxes of shape ({len(labels)}, 4); got {boxes.shape}.",
                path=where,
                expected=(len(labels), 4),
                got=boxes.shape,
            )
        boxes = to_corners(boxes, self.corners)
        size = self._size(thing, where)
        if self.units == "pixels":
            boxes = boxes / (size[1], size[0], size[1], size[0])
        self._check(boxes, where)
        boxes = boxes.clip(0, 1)
        if self._frame is not None:
            left, top, right, bottom = self._frame.window(*size)
            boxes = boxes * (size[1], size[0], size[1], size[0]) - (left, top, left, top)
            boxes = (boxes / ((right - left, bottom - top) * 2)).clip(0, 1)
        seen = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        return numbers[seen], from_corners(boxes[seen], "center")

    def _size(self, thing: Mapping[str, Any], where: str) -> tuple[int, int]:
        """Height and width of an example's picture; what the net sees, where nothing needs to be known."""
        needed = self._frame is not None or (self.units == "pixels" and self.size is None)
        if "size" not in thing and not needed:
            return self.size or (1, 1)
        sizes = as_numbers(thing.get("size", ()), where).ravel().tolist()
        if len(sizes) != 2 or min(sizes) < 1 or any(each != int(each) for each in sizes):
            given = f"has the size {thing['size']!r}" if "size" in thing else "has no size"
            raise CodecError(
                f"{where} {given}; the height and width of its picture are needed.",
                fix='{"boxes": ..., "labels": ..., "size": (height, width)}',
                path=where,
                got=thing.get("size"),
            )
        return int(sizes[0]), int(sizes[1])

    def _check(self, boxes: NDArray[Any], where: str) -> None:
        """Make sure that boxes are in their picture, but for what rounding leaves, and have an area."""
        out = (boxes < -SLACK) | (boxes > 1 + SLACK) | ~np.isfinite(boxes)
        out |= np.tile(boxes[:, 2:] <= boxes[:, :2], 2)
        if not out.any():
            return
        row = int(out.any(axis=1).argmax())
        shown = ", ".join(f"{each:g}" for each in boxes[row])
        raise CodecError(
            f"{where}: box {row} is no box of its picture: left, top, right and bottom are {shown} of it.",
            because=[f"corners={self.corners!r}, units={self.units!r}"],
            fix='corners="center" is middle and size, corners="corner" left, top and size; units="pixels"',
            path=where,
            got=boxes[row].tolist(),
        )

    def _number(self, thing: Any, where: str) -> int:
        label = read_label(thing)
        number = None if label is None else self._numbers.get((type(label), label))
        if number is None:
            hint = did_you_mean(str(label), [each for each in self.labels if isinstance(each, str)])
            raise CodecError(
                f"{where}: {brief(thing)} is not one of the {len(self.labels)} labels.{hint}",
                path=where,
                expected=self.labels,
                got=thing,
            )
        return number

    @cached_property
    def _numbers(self) -> dict[tuple[type, Label], int]:
        return {(type(label), label): i for i, label in enumerate(self.labels)}

    @cached_property
    def _frame(self) -> Frame | None:
        if self.size is None or (self.fit_ == "stretch" and self.resize is None):
            return None
        return Frame(*self.size, self.fit_, self.resize)

    def _draw(self, place: NDArray[Any], numbers: NDArray[Any], boxes: NDArray[Any]) -> None:
        """Boxes on a grid (n + 4, rows, columns), the largest first: of two in one cell the smaller shows."""
        rows, columns = place.shape[1:]
        for i in np.argsort(-boxes[:, 2] * boxes[:, 3], kind="stable"):
            x, y, width, height = boxes[i] * (columns, rows, columns, rows)
            column, row = min(int(x), columns - 1), min(int(y), rows - 1)
            across = np.exp(-0.5 * ((np.arange(columns) - column) / ((REACH * width + 1) / 6)) ** 2)
            down = np.exp(-0.5 * ((np.arange(rows) - row) / ((REACH * height + 1) / 6)) ** 2)
            np.maximum(place[numbers[i]], np.outer(down, across), out=place[numbers[i]])
            place[-4:, row, column] = x - column, y - row, *boxes[i, 2:]

    # Decoding -------------------------------------------------------------------------------------

    def unpack(self, batch: Tensor, reading: Reading) -> list[Any]:
        word, about = self.asked(reading)
        if not self.is_fitted() and batch.dim() == 4:
            return self.with_shape(tuple(batch.shape[1:])).unpack(batch, reading)
        if reading.ending is None and self.form == "grid":
            batch = batch.sigmoid()
        array = scores_of("Boxes", batch, self.shape)  # type: ignore[arg-type]
        least = about if word == "above" else 0.0 if word == "candidates" else self.score
        if isinstance(least, bool) or not isinstance(least, int | float) or not 0 <= least <= 1:
            raise ArgumentError(f'("above", score) needs a score from 0 to 1; got {least!r}.', got=least)
        return [self._found(each, least, word != "candidates") for each in array]

    def _found(self, array: NDArray[Any], least: float, thinned: bool) -> dict[str, Any]:
        numbers, scores, boxes = self._peaks(array) if self.form == "grid" else self._rows(array)
        best = np.argsort(-scores, kind="stable")
        best = best[(scores[best] >= least) & (scores[best] > 0)][: self.most]
        corners = to_corners(boxes[best], "center").clip(0, 1)
        if thinned:
            kept = suppress(corners, scores[best], numbers[best], self.overlap)
            best, corners = best[kept], corners[kept]
        return self._told(numbers[best], corners, scores[best])

    def _told(self, numbers: NDArray[Any], corners: NDArray[Any], scores: NDArray[Any]) -> dict[str, Any]:
        """Boxes in the codec's form and units, from their corners by what the net sees."""
        if self.units == "pixels" and self.size is not None:
            corners = corners * (self.size[1], self.size[0], self.size[1], self.size[0])
        return {
            "boxes": from_corners(corners, self.corners),
            "labels": [self.labels[i] for i in numbers],
            "scores": scores,
        }

    def _rows(self, array: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """The class number, score and box of every row of a list."""
        classes = array[:, : len(self.labels)]
        return classes.argmax(axis=1), classes.max(axis=1), array[:, len(self.labels) :]

    def _peaks(self, array: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """The same of every cell of a grid that is no less than the eight around it."""
        maps = array[: len(self.labels)]
        rows, columns = maps.shape[1:]
        beyond = np.pad(maps, ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
        around = [beyond[:, y : y + rows, x : x + columns] for y in range(3) for x in range(3)]
        numbers, row, column = np.nonzero((maps == np.maximum.reduce(around)) & (maps > 0))
        x, y, width, height = array[-4:, row, column]
        boxes = np.stack([(column + x) / columns, (row + y) / rows, width, height], axis=1)
        return numbers, maps[numbers, row, column], boxes


SLACK = 0.01
"""So far may a box be beyond its picture, by the picture's size, as rounding leaves it."""


def _are_whole(sizes: Sequence[Any]) -> bool:
    return all(isinstance(size, int) for size in sizes)


def _no_boxes(thing: Any, where: str) -> CodecError:
    odd = [str(key) for key in thing if key not in KEYS] if isinstance(thing, Mapping) else []
    hint = did_you_mean(odd[0], KEYS) if odd else ""
    return CodecError(
        f"{where}: {brief(thing)} is no dict of boxes and labels.{hint}",
        fix='{"boxes": [[0.1, 0.2, 0.5, 0.6]], "labels": ["cat"]}; "size" and "scores" may be there too',
        path=where,
        expected=KEYS,
        got=thing,
    )
