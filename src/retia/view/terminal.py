"""Small gray pictures in the terminal.

Two pixels stand in one character: a half block whose two halves have their own shade. Where colours or
UTF-8 are not to be had, darkness is drawn with plain characters.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, TextIO

from retia._late import numpy as np
from retia._late import pillow_image
from retia.errors import ArgumentError

if TYPE_CHECKING:
    from numpy.typing import NDArray

RAMP = " .:-=+*#%@"
"""Characters from black to white, as on a dark screen."""

SHADES = range(232, 256)
"""The grays among the 256 colours of a terminal, from black to white."""


def picture(image: Any, *, width: int = 20, shaded: bool | None = None) -> str:
    """A picture as lines of text.

    Args:
        image: a Pillow image, or an array (h, w) or (1, h, w), uint8 or float in 0..1.
        width: in characters, at least 2; the height follows.
        shaded: half blocks with escape codes; without them, plain ASCII. Left out: what the
            terminal behind ``sys.stdout`` can do, and what ``NO_COLOR`` asks for.
    Raises:
        ArgumentError: what is not one gray picture.
    Example:
        >>> print(picture([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]], width=3, shaded=False))
         @
    """
    rows = _pixels(image, width)
    if has_shades(sys.stdout) if shaded is None else shaded:
        return "\n".join(_shade(top, bottom) for top, bottom in zip(rows[::2], rows[1::2], strict=True))
    level = (rows[::2].astype(int) + rows[1::2]) * len(RAMP) // 512
    return "\n".join("".join(RAMP[value] for value in row).rstrip() for row in level)


def gallery(images: Iterable[Any], captions: Sequence[str], *, columns: int = 80, width: int = 18) -> str:
    """Pictures side by side, each above its caption, as many in a row as fit.

    Example:
        >>> print(gallery([[[1.0]], [[0.0]]], ["one", "none"], width=6).splitlines()[-1])
        one     none
    """
    blocks = [picture(image, width=width).splitlines() for image in images]
    across = max(1, (columns + 2) // (width + 2))
    texts = []
    for start in range(0, len(blocks), across):
        row, under = blocks[start : start + across], captions[start : start + across]
        for parts in zip_longest(*row, fillvalue=""):
            texts.append("  ".join(_pad(part, width) for part in parts).rstrip())
        texts += ["  ".join(text[:width].ljust(width) for text in under).rstrip(), ""]
    return "\n".join(texts[:-1])


def has_shades(stream: TextIO) -> bool:
    """Whether a stream shows half blocks in shades: a UTF-8 terminal whose user did not refuse colour."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    encoding = (getattr(stream, "encoding", None) or "").lower().replace("-", "")
    return encoding == "utf8" and stream.isatty()


def _pixels(image: Any, width: int) -> NDArray[Any]:
    """Gray values 0..255, so wide, with an even number of rows."""
    if width < 2:
        raise ArgumentError(f"picture: width is at least 2 characters; got {width}.", got=width)
    if not isinstance(image, pillow_image.Image):
        image = pillow_image.fromarray(_bytes(image))
    gray = image.convert("L")
    height = max(1, round(width * gray.height / gray.width / 2)) * 2
    return np.asarray(gray.resize((width, height), pillow_image.Resampling.BOX))


def _bytes(image: Any) -> NDArray[Any]:
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 2 or not array.size:
        raise ArgumentError(
            f"picture: a gray picture has shape (h, w) or (1, h, w); got {array.shape}.", got=array.shape
        )
    return array if array.dtype == np.uint8 else (np.clip(array, 0, 1) * 255).round().astype(np.uint8)


def _shade(top: NDArray[Any], bottom: NDArray[Any]) -> str:
    cells = [f"\x1b[38;5;{_gray(a)};48;5;{_gray(b)}m▀" for a, b in zip(top, bottom, strict=True)]
    return "".join(cells) + "\x1b[0m"


def _gray(value: int) -> int:
    return SHADES[int(value) * len(SHADES) // 256]


def _pad(line: str, width: int) -> str:
    return line if line.endswith("\x1b[0m") else line.ljust(width)
