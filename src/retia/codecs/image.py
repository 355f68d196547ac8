"""Pictures at a port: files, Pillow images and arrays to pixels, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from retia._late import numpy as np
from retia._late import pillow_image
from retia._torch import torch
from retia.codecs.arrays import as_array, brief, is_array, rows_where
from retia.codecs.layouts import LAYOUTS, Layout, are_alike, find_layout, is_nested_numbers
from retia.codecs.normalize import learned, read_normalize, scale_of
from retia.codecs.pictures import (
    WHITE,
    in_colour,
    is_picture,
    name_of,
    named,
    open_picture,
    read_color,
    real_in_colour,
    size_of,
    to_255,
)
from retia.codecs.resize import CROPS, FILTERS, FITS, Frame, check_frame
from retia.codecs.threads import in_threads
from retia.errors import ArgumentError, CodecError
from retia.nets.codec import Codec, Reading, codec
from retia.nets.expression import MIGRATIONS
from retia.nets.graph import Graph
from retia.nets.net import Net
from retia.nets.settings import choice, make, setting, whole
from retia.shapes import Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from retia.nets.wires import Wire


CHANNELS = {"rgb": 3, "gray": 1, "rgba": 4}
AT_ONCE = 1 << 24
"""Pixels whose colours are converted together."""


@codec
class Image(Codec):
    """A picture: real numbers from 0 (black) to 1, colours first; decoded to a Pillow image.

    Takes paths, bytes of a file, open files, Pillow images, and arrays by the tables of layouts and ranges
    in ``retia.codecs.layouts``; a real picture is in 0..1 already and is not divided again. Every one of
    them goes through the same resizing. Orientation tags are obeyed; transparency stands on the background
    unless the colour has it; of several frames the first is taken; colour profiles are not applied. Gray
    pictures keep up to 16 bits, colours 8. Several files are decoded in threads.

    Shape:  (c, height, width), c = 3 for rgb, 1 for gray, 4 for rgba
    Args:
        height: in pixels; both sizes come from the net or the data when left out.
        width: in pixels; the height again when left out, so that ``Image(64)`` is square.
        color: ``"rgb"``, ``"gray"`` or ``"rgba"``.
        fit: for pictures of another aspect ratio: ``"stretch"``, ``"crop"`` (the middle) or ``"pad"`` (all of
            it, between black bars).
        resize: in pixels; the shorter side is brought to this length first, then ``crop="center"`` cuts out
            the middle. ``Image(224, resize=255, crop="center")`` is what many trained nets expect.
        crop: ``"center"``, together with ``resize``.
        resample: ``"nearest"``, ``"box"``, ``"bilinear"``, ``"hamming"``, ``"bicubic"`` or ``"lanczos"``.
        background: what transparent pixels stand on: (red, green, blue) from 0 to 255, ``"#rrggbb"``,
            ``"white"`` or ``"black"``.
        normalize: (mean, deviation) of pixels in 0..1, a number each or one for each colour: what the net
            takes is ``(pixel - mean) / deviation``. ``"imagenet"`` for those of ImageNet, ``"data"`` for
            those of the training part, learned before the first step.
        layout: how arrays are read: ``"hw"``, ``"hwc"`` or ``"chw"``; by shape when left out.
    Raises:
        CodecError: no picture, a damaged or too large one, or an array with two readings.
    Source: Pillow's resampling; gray by ITU-R BT.601.
    Example:
        >>> import retia as rt
        >>> image = rt.Image(2, 2, color="gray")
        >>> image.encode([[0, 51], [102, 255]])
        tensor([[[0.0000, 0.2000],
                 [0.4000, 1.0000]]])
        >>> image.decode([[[0.0, 0.2], [0.4, 1.0]]]).tobytes()
        b'\\x003f\\xff'
    """

    version: ClassVar[int] = 2
    cure: ClassVar[str] = 'Image(28, 28) is 28 x 28 in rgb; Image(28, 28, color="gray") has one colour'

    height: int | None = setting(whole(1, 65535, optional=True), default=None)
    width: int | None = setting(whole(1, 65535, optional=True), default=None)
    _: KW_ONLY
    color: str = setting(choice(*CHANNELS), default="rgb")
    fit_: str = setting(choice(*FITS), default="stretch", alias="fit")
    resize: int | None = setting(whole(1, 65535, optional=True), default=None)
    crop: str | None = setting(choice(*CROPS), default=None)
    resample: str = setting(choice(*FILTERS), default="bilinear")
    background: tuple[int, int, int] = setting(read_color, default=WHITE)
    normalize: Any = setting(read_normalize, default=None)
    layout: str | None = setting(choice(None, *LAYOUTS), default=None)

    def validate(self) -> None:
        if self.height is None and self.width is not None:
            raise ArgumentError(
                f"Image: the width is {self.width}, but the height is missing.", fix="give both"
            )
        if self.width is None:
            object.__setattr__(self, "width", self.height)
        check_frame("Image", (self.height, self.width), self.fit_, self.resize, self.crop)
        for each in (None if self.normalize == "data" else self._scale()) or ():
            if len(each) != self.channels:
                raise ArgumentError(
                    f"Image: normalize has {len(each)} numbers, {self.color} has {self.channels} colours.",
                    expected=self.channels,
                    got=len(each),
                )

    @property
    def channels(self) -> int:
        """Number of colours, alpha included."""
        return CHANNELS[self.color]

    @property
    def shape(self) -> Shape | None:
        return (self.channels, self.height, self.width)

    def is_fitted(self) -> bool:
        return self.height is not None and self.normalize != "data"

    def fit(self, things: Sequence[Any]) -> Image:
        """The size that all pictures have, and their mean and deviation, where they were left open."""
        if self.height is None:
            sizes = dict.fromkeys(self._sizes(things))
            if len(sizes) != 1:
                raise _different(list(sizes))
            return self._with_size(*next(iter(sizes))).fit(things)
        if self.normalize != "data":
            return self
        return make(Image, {**self.settings(), "normalize": learned(things, self._pixels)})

    def with_shape(self, shape: Shape | None) -> Image:
        if self.height is not None or shape is None or len(shape) != 3:
            return self
        height, width = shape[1:]
        return self._with_size(height, width) if isinstance(height, int) and isinstance(width, int) else self

    def _with_size(self, height: int, width: int) -> Image:
        return make(Image, {**self.settings(), "height": height, "width": width})

    def is_one(self, thing: Any) -> bool:
        if is_picture(thing):
            return True
        if isinstance(thing, list | tuple) and not is_nested_numbers(thing):
            return False
        if not is_array(thing) and not isinstance(thing, list | tuple):
            raise _no_picture(thing, "Image")
        array = as_array(thing, "Image")
        if array.dtype.kind in "SUO":
            return False
        return self._layout(array.shape, None, "Image").many is False

    # Encoding -------------------------------------------------------------------------------------

    def pack(self, things: Sequence[Any]) -> Tensor:
        """Pixels 0..255, colours first: uint8, or float32 if one of the pictures is deeper than 8 bits."""
        batch = self._pixels(things)
        return torch.from_numpy(np.array(np.moveaxis(batch, -1, 1), order="C"))

    def pack_target(self, things: Sequence[Any], loss: str) -> Tensor:
        """Pictures as the net gives them: 0..1, or normalised."""
        pixels = self.pack(things).float() / 255
        scale = self._scale()
        if scale is None:
            return pixels
        mean, deviation = (torch.tensor(each).reshape(-1, 1, 1) for each in scale)
        return (pixels - mean) / deviation

    def device(self) -> Net:
        return self._to_port

    @cached_property
    def _to_port(self) -> Net:
        def scaled(input: Wire) -> Wire:
            scale = self._scale()
            if scale is None:
                return input / 255
            mean, deviation = (tuple(((each,),) for each in channel) for channel in scale)
            return (input / 255 - mean) / deviation

        return Graph(scaled, input=self.shape)

    def _scale(self) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """Mean and deviation of each channel; None where pixels stay in 0..1."""
        return scale_of(self.normalize, self.channels)

    def _pixels(self, things: Sequence[Any]) -> NDArray[Any]:
        """A batch (n, h, w, c) of this size and colour."""
        if is_array(things):
            array = as_array(things, "Image")
            if array.dtype.kind not in "SUO":
                return self._of_array(array, self._layout(array.shape, True, "Image"), "Image")
            things = array.tolist()
        if len(things) == 0:
            return np.zeros((0, self.height or 0, self.width or 0, self.channels), np.uint8)
        if len(things) > 1 and are_alike(things):
            layout = self._layout(things[0].shape, False, "Image: row 0")
            return self._of_array(np.stack(list(things)), Layout(layout.axes, True), "Image")
        rows = in_threads(lambda i, thing: self._of_thing(thing, _row(i, things)), things)
        sizes = dict.fromkeys(row.shape[:2] for row in rows)
        if len(sizes) > 1:
            raise _different(list(sizes))
        return np.stack(rows)

    def _of_thing(self, thing: Any, where: str) -> NDArray[Any]:
        if is_picture(thing):
            with named(where):
                found = in_colour(open_picture(thing), self.color, name_of(thing), self.background)
            return self._sized(found) if isinstance(found, pillow_image.Image) else self._sized_real(found)
        if not is_array(thing) and not isinstance(thing, list | tuple):
            raise _no_picture(thing, where)
        array = as_array(thing, where)
        return next(iter(self._of_array(array, self._layout(array.shape, False, where), where)))

    def _of_array(self, array: NDArray[Any], layout: Layout, where: str) -> NDArray[Any]:
        pixels = to_255(layout.apply(array), where)
        if 0 in pixels.shape[1:3]:
            raise CodecError(
                f"{where}: an array of shape {array.shape} has no pixels.", path=where, got=array.shape
            )
        if pixels.dtype != np.uint8:
            pixels = real_in_colour(pixels, self.color, self.background)
            sized = [self._sized_real(each) for each in pixels] if self._resizes(pixels) else pixels
        else:
            pixels = self._coloured(pixels)
            sized = [self._sized(_as_image(each)) for each in pixels] if self._resizes(pixels) else pixels
        return np.stack(sized) if isinstance(sized, list) else sized

    def _coloured(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """8-bit pictures (n, h, w, c) in this colour, many at once as one tall picture."""
        n, h, w, c = pixels.shape
        if c == self.channels or not n:
            return pixels if c == self.channels else np.zeros((n, h, w, self.channels), np.uint8)
        made = []
        for part in np.array_split(pixels, max(pixels.size // AT_ONCE, 1)):
            tall = in_colour(_as_image(part.reshape(-1, w, c)), self.color, "Image", self.background)
            made.append(np.asarray(tall).reshape(len(part), h, w, self.channels))
        return np.concatenate(made)

    @cached_property
    def _frame(self) -> Frame | None:
        if self.height is None or self.width is None:
            return None
        return Frame(self.height, self.width, self.fit_, self.resize)

    def _resizes(self, pixels: NDArray[Any]) -> bool:
        if self._frame is None or not len(pixels):
            return False
        return self.resize is not None or pixels.shape[1:3] != (self.height, self.width)

    def _sized(self, image: pillow_image.Image) -> NDArray[Any]:
        image = self._frame.apply(image, self.resample) if self._frame is not None else image
        return np.asarray(image).reshape(image.height, image.width, self.channels)

    def _sized_real(self, pixels: NDArray[Any]) -> NDArray[Any]:
        return self._frame.apply_real(pixels, self.resample) if self._frame is not None else pixels

    def _layout(self, shape: tuple[int, ...], many: bool | None, where: str) -> Layout:
        size = (self.height, self.width)
        return find_layout(shape, axes=self.layout, size=size, colours=self.channels, many=many, where=where)

    def _sizes(self, things: Sequence[Any]) -> list[tuple[int, int]]:
        """Heights and widths of pictures, without decoding files."""
        if is_array(things) and (array := as_array(things, "Image")).dtype.kind not in "SUO":
            layout = self._layout(array.shape, True, "Image")
            return [(layout.size(array.shape, "h"), layout.size(array.shape, "w"))] if len(array) else []
        found = []
        for i, thing in enumerate(things):
            if is_picture(thing):
                found.append(size_of(thing))
            else:
                found.append(self._of_thing(thing, _row(i, things)).shape[:2])
        return found

    # Decoding -------------------------------------------------------------------------------------

    def unpack(self, batch: Tensor, reading: Reading) -> list[Any]:
        self.asked(reading)
        pixels = batch.detach().cpu().double().numpy()
        if pixels.ndim != 4 or pixels.shape[1] != self.channels:
            raise CodecError(
                f"{self!r} decodes arrays ({self.channels}, height, width); got {pixels.shape[1:]}.",
                expected=self.shape,
                got=pixels.shape[1:],
            )
        if np.isnan(pixels).any():
            row = int(rows_where(np.isnan(pixels)).argmax())
            raise CodecError(f"{self!r}: row {row} to decode has pixels that are NaN.", path=f"row {row}")
        scale = self._scale()
        if scale is not None:
            mean, deviation = (np.array(each).reshape(-1, 1, 1) for each in scale)
            pixels = pixels * deviation + mean
        levels = np.rint(pixels.clip(0, 1) * 255).astype(np.uint8)
        return [_as_image(each) for each in np.moveaxis(levels, 1, -1)]


def _since_2(settings: dict[str, Any]) -> dict[str, Any]:
    """``fit="fit"`` is called ``"pad"`` since version 2; no pixel has moved."""
    return {**settings, "fit": "pad" if settings.get("fit") == "fit" else settings.get("fit", "stretch")}


MIGRATIONS["Image", 1] = _since_2


def _as_image(pixels: NDArray[Any]) -> pillow_image.Image:
    """8-bit pixels (h, w, c) as a Pillow image."""
    plain = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    return pillow_image.fromarray(np.ascontiguousarray(plain))


def _row(row: int, things: Sequence[Any]) -> str:
    return f"Image: row {row}" if len(things) > 1 else "Image"


def _no_picture(thing: Any, where: str) -> CodecError:
    return CodecError(
        f"{where}: {brief(thing)} is no path, bytes, open file, Pillow image or array of a picture.",
        path=where,
        got=thing,
    )


def _different(sizes: list[tuple[int, int]]) -> CodecError:
    if not sizes:
        return CodecError("Image: there are no pictures to learn the size from.", fix="Image(height, width)")
    told = " and ".join(f"{height} x {width}" for height, width in sizes[:2])
    return CodecError(
        f"Image: the pictures have {len(sizes)} different sizes, {told}{' ...' if len(sizes) > 2 else ''}.",
        fix=f"Image({sizes[0][0]}, {sizes[0][1]}) brings all to one size",
        got=sizes,
    )
