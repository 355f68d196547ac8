"""Files of pictures and sounds: what they are by their names, and which of them cannot be read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from retia.codecs.pictures import open_picture
from retia.codecs.sounds import open_sound
from retia.errors import Error, MissingExtraError

PICTURES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""Endings of the files that count as pictures."""

SOUNDS = frozenset({".aif", ".aiff", ".flac", ".mp3", ".ogg", ".opus", ".wav"})
"""Endings of the files that count as sounds."""

KINDS = {"picture file": PICTURES, "sound file": SOUNDS}


def kind_of(files: Iterable[str]) -> str:
    """What files are by their endings: pictures, sounds, or files of any kind.

    Example:
        >>> kind_of(["a.png", "b.JPG"]), kind_of(["a.wav"]), kind_of(["a.png", "a.wav"])
        ('picture file', 'sound file', 'file')
    """
    endings = {os.path.splitext(file)[1].lower() for file in files}
    return next((kind for kind, known in KINDS.items() if endings <= known), "file")


def is_file(thing: Any, endings: frozenset[str]) -> bool:
    """Whether a thing is the name of a file, or a file in an archive, with one of these endings."""
    with suppress(TypeError, ValueError):
        return os.path.splitext(os.fsdecode(getattr(thing, "path", thing)))[1].lower() in endings
    return False


def unreadable(files: Sequence[Any]) -> dict[int, str]:
    """Which files cannot be read: their places in the list, each with its path and the reason.

    Pictures and sounds are decoded, within the limits that hold where they are encoded; of other files the
    first byte is read.

    Args:
        files: paths, and members of archives.
    Raises:
        MissingExtraError: sounds need a package that is not installed.
    """
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return {place: told for place, told in enumerate(pool.map(_fault, files)) if told}


def listed(files: Sequence[Any], bad: Mapping[int, str], most: int = 10) -> str:
    """The names of unreadable files, for one line."""
    names = [os.path.basename(os.fsdecode(getattr(files[place], "path", files[place]))) for place in bad]
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _fault(file: Any) -> str:
    try:
        if is_file(file, SOUNDS):
            open_sound(file, 0, "")
        elif is_file(file, PICTURES):
            open_picture(file)
        elif hasattr(file, "read"):
            file.read(1)
        else:
            with open(file, "rb") as opened:
                opened.read(1)
    except MissingExtraError:
        raise
    except OSError as error:
        return f"{file} cannot be read: {error.strerror or error}."
    except Error as error:
        return error.message
    return ""
