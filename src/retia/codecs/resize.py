"""The one way in which Retia brings a picture to a size, whatever it was given as.

It is Pillow's resampling, which widens its filter when it shrinks (antialiased). Files, Pillow images
and arrays all come through here, so a net sees the same pixels in training and in service; masks and
boxes come through the same frame, so they stay on what they mark. When a change here moves a pixel, the
version of ``Image`` is raised, and older files keep what they had.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia._late import pillow_image
from retia.errors import ArgumentError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILTERS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
FITS = ("stretch", "crop", "pad")
CROPS = (None, "center")


@dataclass(frozen=True)
class Frame:
    """What of a picture is seen in another size, and where.

    Attributes:
        height: in pixels, of what comes out.
        width: in pixels.
        fit: ``"stretch"`` ignores the aspect ratio; ``"crop"`` fills the size with the middle; ``"pad"``
            shows all of the picture, in the middle of bars.
        shorter: length that the shorter side is brought to before the middle of ``height`` x ``width`` is
            cut out; then ``fit`` says nothing.
    """

    height: int
    width: int
    fit: str = "stretch"
    shorter: int | None = None

    def window(self, height: int, width: int) -> tuple[float, float, float, float]:
        """What is seen of a picture (height, width): left, top, right and bottom in its own pixels.

        It reaches beyond the picture where there are bars.
        """
        if self.shorter is not None:
            tall, wide = self._scaled(height, width)
            left, top = self._corner(tall, wide)
            across, down = width / wide, height / tall
            return left * across, top * down, (left + self.width) * across, (top + self.height) * down
        if self.fit == "crop":
            scale = min(width / self.width, height / self.height)
            beside = max((width - self.width * scale) / 2, 0)
            above = max((height - self.height * scale) / 2, 0)
            return beside, above, min(width - beside, width), min(height - above, height)
        if self.fit == "pad":
            tall, wide = self._inner(height, width)
            left, top = (self.width - wide) // 2, (self.height - tall) // 2
            across, down = width / wide, height / tall
            return -left * across, -top * down, (self.width - left) * across, (self.height - top) * down
        return 0, 0, width, height

    def apply(
        self, image: pillow_image.Image, resample: str, fill: float | tuple[int, ...] = 0
    ) -> pillow_image.Image:
        """A picture in this frame.

        Args:
            image: of any mode that Pillow resamples (``L``, ``RGB``, ``RGBA``, ``F``).
            resample: one of ``FILTERS``.
            fill: the pixel that bars are made of.
        """
        method = pillow_image.Resampling[resample.upper()]
        if self.shorter is not None:
            tall, wide = self._scaled(image.height, image.width)
            left, top = self._corner(tall, wide)
            scaled = image if image.size == (wide, tall) else image.resize((wide, tall), method)
            return scaled.crop((left, top, left + self.width, top + self.height))
        size = (self.width, self.height)
        if image.size == size:
            return image
        if self.fit == "crop":
            return image.resize(size, method, self.window(image.height, image.width))
        if self.fit == "pad":
            tall, wide = self._inner(image.height, image.width)
            canvas = pillow_image.new(image.mode, size, fill)
            corner = ((self.width - wide) // 2, (self.height - tall) // 2)
            canvas.paste(image.resize((wide, tall), method), corner)
            return canvas
        return image.resize(size, method)

    def apply_real(self, picture: NDArray[Any], resample: str) -> NDArray[Any]:
        """The same for real pixels (height, width, channels) from 0 to 255, colour by colour, alpha last."""
        clear = picture.shape[2] == 4
        if clear:  # colours count by how much they are seen, as Pillow does it for RGBA
            picture = np.concatenate([picture[..., :3] * (picture[..., 3:] / 255), picture[..., 3:]], axis=2)
        planes = [np.ascontiguousarray(picture[..., i], np.float32) for i in range(picture.shape[2])]
        small = [self.apply(pillow_image.fromarray(plane), resample) for plane in planes]
        made = np.stack([np.asarray(plane) for plane in small], axis=2)
        if clear:
            alpha = made[..., 3:] / 255
            made[..., :3] = np.divide(made[..., :3], alpha, out=np.zeros_like(made[..., :3]), where=alpha > 0)
        return made.clip(0, 255)

    def _scaled(self, height: int, width: int) -> tuple[int, int]:
        """Height and width where the shorter side has its length; the longer one is cut to whole pixels."""
        assert self.shorter is not None
        short = min(height, width)
        return self.shorter * height // short, self.shorter * width // short

    def _corner(self, height: int, width: int) -> tuple[int, int]:
        """Left and top of the middle that is cut out; of two middles the one with an even corner."""
        return round((width - self.width) / 2), round((height - self.height) / 2)

    def _inner(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of all of a picture between bars."""
        scale = min(self.width / width, self.height / height)
        return max(round(height * scale), 1), max(round(width * scale), 1)


def check_frame(
    name: str, size: tuple[int | None, int | None], fit: str, shorter: int | None, crop: str | None
) -> None:
    """Make sure that the settings of a frame go together. Raises ``ArgumentError``.

    Args:
        name: of the codec.
        size: height and width, as far as they are known.
        fit: one of ``FITS``.
        shorter: what ``resize=`` says.
        crop: one of ``CROPS``.
    """
    if (shorter is None) != (crop is None):
        given = f"resize={shorter}" if crop is None else f"crop={crop!r}"
        raise ArgumentError(
            f'{name}: resize= and crop="center" go together; only {given} is given.',
            fix='resize=256, crop="center" brings the shorter side to 256 and cuts out the middle; '
            'fit="crop" cuts out as much as it can',
        )
    if shorter is not None and fit != "stretch":
        raise ArgumentError(
            f"{name}: fit={fit!r} and resize={shorter} are two ways to one size.", fix="give one of them"
        )
    largest = max(size[0] or 0, size[1] or 0)
    if shorter is not None and shorter < largest:
        raise ArgumentError(
            f"{name}: resize={shorter} makes the shorter side less than the {largest} that are cut out.",
            fix=f"resize={largest} or more",
            expected=largest,
            got=shorter,
        )
