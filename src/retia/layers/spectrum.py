"""Spectra of waveforms: power by frequency over time, in mel bands, and their cepstrum.

The matrices follow from the settings, in double precision; nothing here is learned.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import KW_ONLY
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia._torch import torch
from retia.errors import ArgumentError
from retia.layers.windows import Slide
from retia.nets.layer import Layer, layer
from retia.nets.settings import choice, flag, setting, whole
from retia.shapes import Signature, signature

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

FORMS = ("spectrogram", "mel", "mfcc")
FLOOR = 1e-10
"""Power below this counts as this in decibels: -100 dB."""

WINDOW, STEP = 0.025, 0.010
"""Seconds of a window and from one to the next, where nothing is said: usual for speech."""

BANDS, COEFFICIENTS = 64, 13
LINEAR = 3 / 200
"""Mels per hertz below 1 kHz, in Slaney's scale; above, 27 mels are a factor of 6.4."""

BREAK = 1000.0
LOGARITHMIC = math.log(6.4) / 27


@layer
class Spectrum(Layer):
    """Power spectrum of a waveform, in windows that slide along the last axis.

    Each window of samples is multiplied by a periodic Hann window; power is the square of its discrete
    Fourier transform. Mel bands are triangles of area 1 (in hertz) on Slaney's scale, from 0 to half the
    rate. Decibels are ``10 log10(max(power, 1e-10))``. The cepstrum is the orthonormal DCT-II of the bands
    in decibels.

    Shape:  (*s, n) -> (*s, frames, bins), frames = floor((n + 2 padding - window) / step) + 1,
        bins = window // 2 + 1, ``bands`` for mel or ``coefficients`` for mfcc
    Args:
        form: ``"spectrogram"``, ``"mel"`` or ``"mfcc"``.
        rate: samples a second, at least 1.
        window: in samples, at least 2; 25 ms when left out.
        step: in samples, at least 1; 10 ms when left out.
        padding: zeros at either end; half a window puts the windows' middles at 0, step, ...
        bands: of mel, 64 when left out.
        coefficients: of mfcc, the first ones; 13 when left out.
        log: in decibels; mfcc always is.
    Raises:
        ArgumentError: more mel bands than the window's frequencies can tell apart.
        ShapeError: fewer samples than the window.
    Source: Slaney 1998 (Auditory Toolbox), as librosa computes it; Davis and Mermelstein 1980 (mfcc).
    Example:
        >>> import retia as rt
        >>> rt.Spectrum("mel", rate=8000, bands=40, input=8000).outputs["output"].shape
        (98, 40)
    """

    solves = ("n", "frames")
    axes = {"*s": "pass", "n": "mix"}
    cure = 'Spectrum("mel", rate=16000, window=400, step=160)'

    form: str = setting(choice(*FORMS), default="spectrogram")
    _: KW_ONLY
    rate: int = setting(whole(1, 10**6), default=16000)
    window: int | None = setting(whole(2, 2**20, optional=True), default=None)
    step: int | None = setting(whole(1, 2**20, optional=True), default=None)
    padding: int = setting(whole(0, 2**20), default=0)
    bands: int | None = setting(whole(1, 4096, optional=True), default=None)
    coefficients: int | None = setting(whole(1, 4096, optional=True), default=None)
    log: bool = setting(flag, default=True)

    def validate(self) -> None:
        for name, value in settled("Spectrum", self.form, self.settings()).items():
            object.__setattr__(self, name, value)

    @property
    def bins(self) -> int:
        """How many numbers a frame has."""
        last = {"spectrogram": self._window // 2 + 1, "mel": self.bands, "mfcc": self.coefficients}
        return last[self.form] or 0

    @property
    def _window(self) -> int:
        assert self.window is not None
        return self.window

    @property
    def _step(self) -> int:
        assert self.step is not None
        return self.step

    def ports(self, arity: int | None = None) -> Signature:
        return signature(f"*s n -> *s frames {self.bins}")

    def solve(self, known: Mapping[str, Any]) -> Mapping[str, Any]:
        offset = 2 * self.padding - self._window
        slide = Slide(offset, self._step, max(-offset, 1))
        if known["n"] is not None:
            return {"frames": slide.after("n", known["n"])}
        return {"n": None if known["frames"] is None else slide.before("n", known["frames"])}

    def forward(self, x: Tensor) -> Tensor:
        exact = x if x.dtype == torch.float64 else x.float()  # half precision has no such range
        return self._spectrum(exact).to(x.dtype)

    def _spectrum(self, x: Tensor) -> Tensor:
        padded = torch.nn.functional.pad(x, (self.padding, self.padding))
        frames = padded.unfold(-1, self._window, self._step)  # (b, *s, frames, window)
        if not frames.numel():
            return x.new_zeros((*frames.shape[:-1], self.bins))
        hann = torch.hann_window(self._window, dtype=x.dtype, device=x.device)
        waves = torch.fft.rfft(frames * hann)  # (b, *s, frames, window // 2 + 1)
        power = torch.view_as_real(waves).square().sum(-1)
        if self.bands is not None:
            power = power @ x.new_tensor(mel_bands(self.rate, self._window, self.bands)).T
        if self.log or self.form == "mfcc":
            power = 10 * power.clamp(min=FLOOR).log10()
        if self.coefficients is not None and self.bands is not None:
            power = power @ x.new_tensor(cosines(self.coefficients, self.bands)).T
        return power


def settled(name: str, form: str, given: Mapping[str, Any]) -> dict[str, int | None]:
    """The settings of a spectrum with what was left out filled in.

    Args:
        name: what errors call the owner of the settings.
        form: one of ``FORMS``.
        given: with rate, window, step, bands and coefficients, None where they were left out.
    Raises:
        ArgumentError: a setting of another form, or bands without any frequency.
    """
    rate = given["rate"]
    for each, forms in (("bands", ("mel", "mfcc")), ("coefficients", ("mfcc",))):
        if given[each] is not None and form not in forms:
            raise ArgumentError(
                f"{name}: {each} belongs to {' and '.join(forms)}; the form is {form}.",
                fix=f'form="{forms[0]}"',
            )
    window = given["window"] or max(round(WINDOW * rate), 2)
    step = given["step"] or max(round(STEP * rate), 1)
    bands = None if form == "spectrogram" else given["bands"] or BANDS
    if bands is not None and not mel_bands(rate, window, bands).any(axis=1).all():
        raise ArgumentError(
            f"{name}: some of {bands} mel bands hold no frequency of a window of {window} samples.",
            fix="fewer bands, or a longer window",
            got=bands,
        )
    coefficients = None if form != "mfcc" else given["coefficients"] or min(COEFFICIENTS, bands or 1)
    if coefficients is not None and bands is not None and coefficients > bands:
        raise ArgumentError(
            f"{name}: there are at most as many coefficients as bands, {bands}; got {coefficients}.",
            got=coefficients,
        )
    return {"window": window, "step": step, "bands": bands, "coefficients": coefficients}


@lru_cache(maxsize=16)
def mel_bands(rate: int, window: int, bands: int) -> NDArray[Any]:
    """Triangles of area 1 over the frequencies of a window: (bands, window // 2 + 1), float64."""
    top = np.linspace(0, _mel(rate / 2), bands + 2)
    linear = top / LINEAR
    edges = np.where(top < _mel(BREAK), linear, BREAK * np.exp(LOGARITHMIC * (top - _mel(BREAK))))
    frequencies = np.arange(window // 2 + 1) * (rate / window)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rise, fall = (frequencies - low) / (middle - low), (high - frequencies) / (high - middle)
    return np.maximum(np.minimum(rise, fall), 0) * (2 / (high - low))  # type: ignore[no-any-return]


def _mel(hertz: float) -> float:
    if hertz < BREAK:
        return hertz * LINEAR
    return BREAK * LINEAR + math.log(hertz / BREAK) / LOGARITHMIC


@lru_cache(maxsize=16)
def cosines(coefficients: int, bands: int) -> NDArray[Any]:
    """The first rows of the orthonormal DCT-II: (coefficients, bands), float64."""
    angles = np.pi / bands * np.outer(np.arange(coefficients), np.arange(bands) + 0.5)
    rows = np.cos(angles) * math.sqrt(2 / bands)
    rows[0] /= math.sqrt(2)
    return rows
