"""How an array is read as a picture, or as several.

===================  ==================================  =================================
layout               one picture                         a batch
===================  ==================================  =================================
``"hw"``             (h, w)                              (n, h, w)
``"hwc"``            (h, w, c)                           (n, h, w, c)
``"chw"``            (c, h, w)                           (n, c, h, w)
===================  ==================================  =================================

Colours c are 1 (gray), 3 (red, green, blue) or 4 (and alpha). ``Image(layout=...)`` says which it is;
otherwise all three are tried. Where several fit, those of the codec's own size stay; if that tells
nothing, a last axis of 1, 3 or 4 is colours; then those of the codec's own colour stay. What still has
two readings is refused.

===================  ==================================
type of pixels       range, from black to white
===================  ==================================
bool                 False, True
uint8                0..255
uint16               0..65535
other whole numbers  0..255, else refused
real numbers         0..1, else refused
===================  ==================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia.errors import CodecError

if TYPE_CHECKING:
    from numpy.typing import NDArray

LAYOUTS = ("hw", "hwc", "chw")
COLOURS = (1, 3, 4)


@dataclass(frozen=True)
class Layout:
    """One reading of an array.

    Attributes:
        axes: ``"hw"``, ``"hwc"`` or ``"chw"``.
        many: whether a batch stands before them.
    """

    axes: str
    many: bool

    def size(self, shape: tuple[int, ...], axis: str) -> int:
        """The size along ``"h"``, ``"w"`` or ``"c"``."""
        return shape[self.axes.index(axis) + self.many] if axis in self.axes else 1

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of a shape can be read so."""
        return len(shape) == len(self.axes) + self.many and self.size(shape, "c") in COLOURS

    def apply(self, array: NDArray[Any]) -> NDArray[Any]:
        """The array as a batch (n, h, w, c)."""
        batch = array if self.many else array[None]
        if self.axes == "hw":
            return batch[..., None]
        return batch if self.axes == "hwc" else np.moveaxis(batch, 1, -1)


def find_layout(
    shape: tuple[int, ...],
    *,
    axes: str | None,
    size: tuple[int | None, int | None],
    colours: int,
    many: bool | None,
    where: str,
) -> Layout:
    """The one reading of an array, by the rule at the top of this file. Raises ``CodecError``.

    Args:
        shape: of the array.
        axes: the layout, if the user said it.
        size: height and width of the codec, as far as they are known.
        colours: of the codec.
        many: whether it is a batch, if that is known.
        where: how errors call the array.
    """
    tried = [Layout(each, batch) for each in ((axes,) if axes else LAYOUTS) for batch in (False, True)]
    found = [layout for layout in tried if layout.fits(shape) and many in (None, layout.many)]
    if not found:
        raise _no_layout(shape, axes, many, where)
    own = [each for each in found if (each.size(shape, "h"), each.size(shape, "w")) == size]
    found = own or found
    if not own and any(each.axes == "hwc" for each in found):
        found = [each for each in found if each.axes != "hw" or shape[-1] not in COLOURS]
    found = [each for each in found if each.size(shape, "c") == colours] or found
    if len(found) > 1:
        raise _several(shape, found, where)
    return found[0]


def are_alike(things: Sequence[Any]) -> bool:
    """Whether all are NumPy arrays of one shape and type, so that they can be read together."""
    first = things[0]
    return all(
        type(each) is np.ndarray and each.shape == first.shape and each.dtype == first.dtype
        for each in things
    )


def is_nested_numbers(thing: Any) -> bool:
    """Whether a thing is a number, or lists of numbers, lists of these, and so on."""
    while isinstance(thing, list | tuple) and thing:
        thing = thing[0]
    return isinstance(thing, bool | int | float)


def _no_layout(shape: tuple[int, ...], axes: str | None, many: bool | None, where: str) -> CodecError:
    what = {None: "a picture or a batch of them", True: "a batch of pictures", False: "one picture"}[many]
    said = f' by layout="{axes}"' if axes else ""
    return CodecError(
        f"{where}: an array of shape {shape} is not {what}{said}.",
        because=[
            "a picture is (h, w), (h, w, c) or (c, h, w), with 1, 3 or 4 colours; a batch has one axis more"
        ],
        fix="x.reshape(-1, h, w) makes pictures of flat rows" if len(shape) <= 2 else None,
        path=where,
        got=shape,
    )


def _several(shape: tuple[int, ...], found: list[Layout], where: str) -> CodecError:
    told = [f"{'a batch of' if each.many else 'one'} ({', '.join(each.axes)})" for each in found]
    cures = []
    if len({each.axes for each in found}) > 1:
        cures.append(
            "Image(layout="
            + ") or (layout=".join(f'"{each}"' for each in dict.fromkeys(e.axes for e in found))
            + ")"
        )
    if len({each.many for each in found}) > 1:
        cures.append("net.one(x) or net.batch(xs)")
    return CodecError(
        f"{where}: an array of shape {shape} can be read as {' or as '.join(told)}.",
        fix="; ".join(cures),
        path=where,
        got=shape,
    )
