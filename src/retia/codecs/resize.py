"""The one way in which Retia brings a picture to a size, whatever it was given as.

It is Pillow's resampling, which widens its filter when it shrinks (antialiased). Files, Pillow images
and arrays all come through here, so a net sees the same pixels in training and in service. When a
change here moves a pixel, the version of ``Image`` is raised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia._late import pillow_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILTERS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
FITS = ("stretch", "fit", "crop")


def resize(image: pillow_image.Image, height: int, width: int, fit: str, resample: str) -> pillow_image.Image:
    """A picture of another size.

    Args:
        image: of any mode that Pillow resamples (``L``, ``RGB``, ``RGBA``, ``F``).
        height: in pixels.
        width: in pixels.
        fit: ``"stretch"`` ignores the aspect ratio; ``"fit"`` shows all of the picture, in the middle of
            black bars (transparent ones, where there is alpha); ``"crop"`` fills the size with the middle.
        resample: one of ``FILTERS``.
    """
    if image.size == (width, height):
        return image
    method = pillow_image.Resampling[resample.upper()]
    if fit == "crop":
        scale = min(image.width / width, image.height / height)
        left, top = (image.width - width * scale) / 2, (image.height - height * scale) / 2
        box = (
            max(left, 0),
            max(top, 0),
            min(image.width - left, image.width),
            min(image.height - top, image.height),
        )
        return image.resize((width, height), method, box)
    if fit == "fit":
        scale = min(width / image.width, height / image.height)
        inner = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
        canvas = pillow_image.new(image.mode, (width, height))
        canvas.paste(image.resize(inner, method), ((width - inner[0]) // 2, (height - inner[1]) // 2))
        return canvas
    return image.resize((width, height), method)


def resize_real(picture: NDArray[Any], height: int, width: int, fit: str, resample: str) -> NDArray[Any]:
    """The same for real pixels (height, width, channels) from 0 to 255, colour by colour, alpha last."""
    clear = picture.shape[2] == 4
    if clear:  # colours count by how much they are seen, as Pillow does it for RGBA
        picture = np.concatenate([picture[..., :3] * (picture[..., 3:] / 255), picture[..., 3:]], axis=2)
    planes = [np.ascontiguousarray(picture[..., i], np.float32) for i in range(picture.shape[2])]
    small = [resize(pillow_image.fromarray(plane), height, width, fit, resample) for plane in planes]
    made = np.stack([np.asarray(plane) for plane in small], axis=2)
    if clear:
        alpha = made[..., 3:] / 255
        made[..., :3] = np.divide(made[..., :3], alpha, out=np.zeros_like(made[..., :3]), where=alpha > 0)
    return made.clip(0, 255)
