"""Sounds of any make: files, bytes and arrays, as samples and a rate.

WAV files are read here (whole numbers of 8 to 32 bits and real ones), so that they need no package and keep
what they hold; every other format is soundfile's. Samples stand on the scale of 16 bits: int16 where nothing
is lost by it, else float32 from -32768 to 32768.
"""

from __future__ import annotations

import io
import os
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia._late import soundfile
from retia.codecs.arrays import as_numbers
from retia.errors import CodecError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FULL = 32768
"""What a real sample of 1 is on the scale of 16 bits."""

LOUDEST = 8.0
"""Real samples are -1..1; so far may they be outside, as mixing leaves them."""

LARGEST_FILE = 1 << 28
"""Bytes of the largest file that is read."""

LIMIT = 1 << 27
"""Samples of the longest sound that is decoded, in all channels; a small file can unfold to any number."""

FASTEST = 10**6
"""Samples a second, at most."""

MOST_CHANNELS = 64
FORMATS = (b"fLaC", b"OggS", b"FORM", b"ID3", b"caff", b".snd", b"RF64", b"RIFX", b"RIFF")
WHOLE, REAL, EXTENSIBLE, UNKNOWN = 1, 3, 0xFFFE, 0xFFFFFFFF
"""Formats of samples in a WAV file, and the length of one that was written to a pipe."""


@dataclass(frozen=True)
class Sound:
    """A sound: samples (n, channels) on the scale of 16 bits, and how many of them are a second."""

    samples: NDArray[Any]
    rate: int


def is_sound(thing: Any) -> bool:
    """Whether a thing is one sound that is no array: a path, bytes, an open file, a (samples, rate) pair."""
    if isinstance(thing, str | os.PathLike | bytes | bytearray | memoryview) or hasattr(thing, "read"):
        return True
    return isinstance(thing, tuple) and len(thing) == 2 and _is_rate(thing[1]) and not _is_rate(thing[0])


def name_of(thing: Any, where: str) -> str:
    """What errors call a sound."""
    if isinstance(thing, str | os.PathLike):
        return os.fsdecode(thing)
    if isinstance(thing, bytes | bytearray | memoryview):
        return f"a sound of {len(thing)} bytes"
    return str(getattr(thing, "name", None) or where)


def open_sound(thing: Any, rate: int, where: str) -> Sound:
    """A sound, decoded; an array has ``rate``. Raises ``CodecError``.

    Args:
        thing: what ``is_sound`` takes, or an array of samples: (n) or (n, channels).
        rate: of an array that comes without one.
        where: how errors call what has no name, ``"Audio: row 3"``.
    """
    name = name_of(thing, where)
    if isinstance(thing, tuple) and is_sound(thing):
        sound = Sound(_of_array(thing[0], name), _read_rate(thing[1], name))
    elif is_sound(thing):
        sound = _decoded(_bytes(thing, name), name)
    else:
        sound = Sound(_of_array(thing, name), rate)
    if not len(sound.samples):
        raise CodecError(f"{name} has no samples.", fix="leave it out", path=name)
    if sound.samples.dtype.kind == "f" and not np.isfinite(sound.samples).all():
        place = int((~np.isfinite(sound.samples)).any(axis=1).argmax())
        raise CodecError(f"{name}: sample {place} is NaN or infinite.", path=name, got=place)
    return sound


def wav(samples: NDArray[Any], rate: int) -> bytes:
    """One channel from -1 to 1 as a WAV file of 16 bits; what is louder is cut."""
    whole: bytes = np.rint(samples * FULL).clip(-FULL, FULL - 1).astype("<i2").tobytes()
    about = struct.pack("<4sIHHIIHH", b"fmt ", 16, WHOLE, 1, rate, 2 * rate, 2, 16)
    body = b"WAVE" + about + struct.pack("<4sI", b"data", len(whole)) + whole
    return struct.pack("<4sI", b"RIFF", len(body)) + body


# Arrays -------------------------------------------------------------------------------------------


def _is_rate(thing: Any) -> bool:
    if isinstance(thing, bool | str | bytes) or getattr(thing, "shape", ()) != ():
        return False
    return hasattr(thing, "__index__") or hasattr(thing, "__float__")


def _read_rate(thing: Any, name: str) -> int:
    rate = float(thing)
    if rate != int(rate) or not 1 <= rate <= FASTEST:
        raise CodecError(f"{name}: a rate is a whole number from 1 to {FASTEST:,}; got {thing}.", path=name)
    return int(rate)


def _of_array(thing: Any, name: str) -> NDArray[Any]:
    array = as_numbers(thing, name)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or not 1 <= array.shape[1] <= MOST_CHANNELS:
        turned = array.ndim == 2 and 1 <= array.shape[0] <= MOST_CHANNELS
        raise CodecError(
            f"{name}: samples have shape (n), or (n, channels) with up to {MOST_CHANNELS} channels; "
            f"got {np.shape(thing)}.",
            fix="x.T" if turned else None,
            path=name,
            got=np.shape(thing),
        )
    kind, width = array.dtype.kind, array.dtype.itemsize
    if kind == "f":
        return _of_real(array, name)
    if kind == "u" and width == 1:
        return (array.astype(np.int16) - np.int16(128)) * np.int16(256)
    if kind == "i" and width == 2:
        return array.astype(np.int16)
    if kind == "i" and width == 4:
        return (array / 65536).astype(np.float32)
    raise CodecError(
        f"{name}: whole samples are int16, int32 or uint8; got {array.dtype}.",
        fix='x.astype("int16"), if they are -32768..32767; x / 32768 for real ones',
        path=name,
        got=array.dtype,
    )


def _of_real(array: NDArray[Any], name: str) -> NDArray[Any]:
    loudest = np.nanmax(np.abs(array), initial=0.0, where=np.isfinite(array))
    if loudest > LOUDEST:
        raise CodecError(
            f"{name}: real samples ({array.dtype}) are -1..1; the loudest is {loudest:g}.",
            fix='x / 32768, or x.astype("int16")',
            path=name,
            got=float(loudest),
        )
    return array.astype(np.float32) * np.float32(FULL)


# Files --------------------------------------------------------------------------------------------


def _bytes(thing: Any, name: str) -> bytes:
    if isinstance(thing, bytes | bytearray | memoryview):
        return bytes(thing)
    if isinstance(thing, str | os.PathLike):
        data = _of_path(os.fspath(thing), name)
    else:
        data = thing.read(LARGEST_FILE + 1)
    if not isinstance(data, bytes) or len(data) > LARGEST_FILE:
        what = f"more than {LARGEST_FILE:,} bytes" if isinstance(data, bytes) else "text"
        raise CodecError(f"{name} gives {what}, no sound.", fix='open(path, "rb")', path=name)
    return data


def _of_path(path: str | bytes, name: str) -> bytes:
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            what = "is a folder" if os.path.isdir(path) else "is no ordinary file"
        else:
            with open(path, "rb") as file:
                return file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        what = "is not there"
    except (OSError, ValueError) as error:
        what = f"cannot be read: {getattr(error, 'strerror', None) or error}"
    fix = "download it first" if "://" in name else None
    raise CodecError(f"{name} {what}.", fix=fix, path=name)


def _decoded(data: bytes, name: str) -> Sound:
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        found = _wav(data, name)
        return found if found is not None else _by_soundfile(data, name)
    mp3 = len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0
    if not mp3 and not data.startswith(FORMATS):
        why = "it is empty" if not data else "expected WAV, FLAC, Ogg, MP3, AIFF, CAF or AU"
        raise CodecError(f"{name} is not a sound that can be read: {why}.", path=name)
    return _by_soundfile(data, name)


def _wav(data: bytes, name: str) -> Sound | None:
    """The sound of a WAV file; None where its samples are compressed."""
    place, about = 12, b""
    while place + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, place)
        place += 8
        if kind == b"fmt ":
            about = data[place : place + size]
        if kind == b"data":
            size = len(data) - place if size == UNKNOWN else size
            if size > len(data) - place:
                raise _cut_off(name, "bytes of samples", size, len(data) - place)
            return _of_chunk(about, data[place : place + size], name)
        place += size + size % 2
    raise CodecError(f"{name} is cut off: it is a WAV file without samples.", path=name)


def _of_chunk(about: bytes, raw: bytes, name: str) -> Sound | None:
    if len(about) < 16:
        raise CodecError(f"{name} is damaged: nothing says what its samples are.", path=name)
    form, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", about)
    if form == EXTENSIBLE and len(about) >= 26:
        form = struct.unpack_from("<H", about, 24)[0]
    if form not in (WHOLE, REAL):
        return None
    width = block // max(channels, 1)
    known = {WHOLE: (1, 2, 3, 4), REAL: (4, 8)}[form]
    fits = width in known and width * channels == block and 8 * width - 7 <= bits <= 8 * width
    if not fits or not 1 <= rate <= FASTEST or channels > MOST_CHANNELS:
        raise CodecError(
            f"{name} is damaged: {channels} channels of {bits} bits, {block} bytes together, "
            f"{rate} times a second.",
            path=name,
        )
    raw = raw[: len(raw) - len(raw) % block]
    return Sound(_samples(raw, form, width, name).reshape(-1, channels), rate)


def _samples(raw: bytes, form: int, width: int, name: str) -> NDArray[Any]:
    if form == REAL:
        return _of_real(np.frombuffer(raw, f"<f{width}"), name)
    if width == 1:
        return (np.frombuffer(raw, np.uint8).astype(np.int16) - np.int16(128)) * np.int16(256)
    if width == 2:
        return np.frombuffer(raw, "<i2").astype(np.int16)
    if width == 4:
        return (np.frombuffer(raw, "<i4") / 65536).astype(np.float32)
    upper = np.zeros((len(raw) // 3, 4), np.uint8)
    upper[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
    return (upper.view("<i4")[:, 0] / 65536).astype(np.float32)


def _by_soundfile(data: bytes, name: str) -> Sound:
    failed = soundfile.LibsndfileError
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            announced = file.frames
            if announced * file.channels > LIMIT:
                raise CodecError(
                    f"{name} has {announced:,} samples of {file.channels} channels; {LIMIT:,} are decoded.",
                    fix="cut it into pieces first",
                    path=name,
                    expected=LIMIT,
                )
            kind = "int16" if file.subtype in ("PCM_16", "PCM_S8", "PCM_U8") else "float32"
            samples, rate = file.read(dtype=kind, always_2d=True), file.samplerate
    except failed as error:
        why = str(error.error_string).rstrip(".")
        raise CodecError(f"{name} is not a sound that can be read: {why}.", path=name) from error
    if len(samples) < announced:
        raise _cut_off(name, "samples", announced, len(samples))
    return Sound(samples if kind == "int16" else _of_real(samples, name), rate)


def _cut_off(name: str, what: str, announced: int, there: int) -> CodecError:
    return CodecError(
        f"{name} is cut off: {announced:,} {what} are announced, {there:,} are there.",
        path=name,
        expected=announced,
        got=there,
    )
