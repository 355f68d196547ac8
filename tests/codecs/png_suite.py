"""PNG files of every kind that the format has, written by hand, with the pixels that they hold.

The kinds are those of the PNG specification (third edition, sections 8, 11.2 and 11.3.1): five colour types
at their depths, in order or interlaced, all five row filters, with and without transparency.
"""

import struct
import zlib
from dataclasses import dataclass

import numpy as np

DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


@dataclass(frozen=True)
class Kind:
    """One kind of PNG: colour type, bits of a sample, whether interlaced, whether with a tRNS chunk."""

    color: int
    bits: int
    interlaced: bool
    clear: bool


KINDS = [
    Kind(color, bits, interlaced, clear)
    for color, depths in DEPTHS.items()
    for bits in depths
    for interlaced in (False, True)
    for clear in ((False, True) if color in (0, 2, 3) else (False,))
]


def made(kind, height=13, width=11, seed=0):
    """A file of a kind, and its true pixels: rgba, real numbers from 0 to 1."""
    random = np.random.default_rng(seed)
    top = 2**kind.bits - 1
    samples = random.integers(0, top + 1, (height, width, CHANNELS[kind.color]))
    chunks, pixels = [], samples / top
    if kind.color == 3:
        palette = random.integers(0, 256, (top + 1, 4), np.uint8)
        palette[:, 3] = palette[:, 3] if kind.clear else 255
        chunks.append((b"PLTE", palette[:, :3].tobytes()))
        pixels = palette[samples[..., 0]] / 255
        if kind.clear:
            chunks.append((b"tRNS", palette[:, 3].tobytes()))
    elif kind.clear:
        one = samples[height // 2, width // 2]
        chunks.append((b"tRNS", struct.pack(f">{len(one)}H", *one)))
        alpha = (samples != one).any(axis=2, keepdims=True).astype(float)
        pixels = np.concatenate([_rgb(pixels), alpha], axis=2)
    if pixels.shape[2] == 2:
        pixels = np.concatenate([_rgb(pixels[..., :1]), pixels[..., 1:]], axis=2)
    elif pixels.shape[2] < 4:
        pixels = np.concatenate([_rgb(pixels), np.ones((height, width, 1))], axis=2)
    header = struct.pack(">IIBBBBB", width, height, kind.bits, kind.color, 0, 0, kind.interlaced)
    passes = ADAM7 if kind.interlaced else ((0, 0, 1, 1),)
    parts = [samples[y::dy, x::dx] for y, x, dy, dx in passes]
    body = zlib.compress(b"".join(_rows(part, kind) for part in parts if part.size))
    return png([(b"IHDR", header), *chunks, (b"IDAT", body), (b"IEND", b"")]), pixels


def png(chunks):
    """A file of chunks (name, content)."""
    parts = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _rgb(pixels):
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def _rows(samples, kind):
    """Samples as filtered rows; row y has the filter y % 5."""
    stride = max(CHANNELS[kind.color] * kind.bits // 8, 1)
    bits = (samples.reshape(len(samples), -1, 1) >> np.arange(kind.bits - 1, -1, -1)) & 1
    packed = np.packbits(bits.reshape(len(samples), -1).astype(np.uint8), axis=1).astype(int)
    out = []
    above = np.zeros(packed.shape[1] + stride, int)
    for y, row in enumerate(packed):
        now = np.concatenate([np.zeros(stride, int), row])
        left, up, corner = now[:-stride], above[stride:], above[:-stride]
        guess = [0 * row, left, up, (left + up) // 2, _paeth(left, up, corner)][y % 5]
        out.append(bytes([y % 5]) + ((row - guess) % 256).astype(np.uint8).tobytes())
        above = now
    return b"".join(out)


def _paeth(left, up, corner):
    guess = left + up - corner
    a, b, c = (abs(guess - each) for each in (left, up, corner))
    return np.where((a <= b) & (a <= c), left, np.where(b <= c, up, corner))
