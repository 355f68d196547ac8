"""Sounds at a port: files and arrays to waveforms or spectra, and waveforms back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from retia._late import numpy as np
from retia._torch import torch
from retia.codecs.arrays import as_array, brief, is_array, rows_where
from retia.codecs.pictures import named
from retia.codecs.resample import resampled
from retia.codecs.scaling import read_normalize as read_scale
from retia.codecs.sounds import FASTEST, FULL, is_sound, open_sound, wav
from retia.codecs.threads import in_threads
from retia.errors import ArgumentError, CodecError
from retia.layers.spectrum import FORMS, Spectrum, settled
from retia.nets.codec import Codec, Reading, codec
from retia.nets.graph import Graph
from retia.nets.net import Net
from retia.nets.settings import choice, flag, make, real, setting, whole
from retia.shapes import Shape, extent, show

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from retia.nets.wires import Wire

LONGEST = 2**31
MOST = 10_000
"""Sounds that mean and deviation are learned from at most; more would not change their third digit."""

AT_ONCE = 64
"""Sounds that stand in memory at once meanwhile."""


def read_normalize(name: str, value: Any) -> Any:
    """The rule of ``normalize=``: None, ``"data"``, or (mean, deviation), numbers or tuples."""
    if isinstance(value, str) and value != "data":
        raise ArgumentError(f"{name} is None, 'data', or a pair (mean, deviation); got {value!r}.", got=value)
    return read_scale(name, value)


def read_samples(name: str, value: Any) -> int | str | None:
    """The rule of ``samples=``: a whole number of at least 1, the name of a size that varies, or None."""
    if isinstance(value, str) and value.isidentifier():
        return value
    if isinstance(value, str):
        raise ArgumentError(f"{name} is a whole number, or a name for a size that varies; got {value!r}.")
    return whole(1, LONGEST, optional=True)(name, value)  # type: ignore[no-any-return]


@codec
class Audio(Codec):
    """A sound, as its waveform or its spectra; waveforms are decoded to (samples, rate).

    Takes paths, bytes of a file, open files, (samples, rate) pairs, and arrays of samples at this rate. The
    samples are int16, int32, uint8 (128 is silence) or real ones from -1 to 1; several channels, as
    (n, channels) in a pair, are averaged. WAV files need no package; FLAC, Ogg, MP3, AIFF, CAF and AU need
    the extra ``audio``. Other rates are resampled by a windowed sinc: what is below 0.9 of the lower half
    rate stays as it is.

    Longer sounds are cut at their end, after shorter ones comes silence. Sounds of 16 bits are kept
    so until a batch of them is needed; the net itself then makes the spectra (``Spectrum``), on the device.
    Where the length varies they are made before, as the number of frames follows from each sound's own.

    Answers: ``"decision"``: of a waveform the pair of real samples and their rate, of a spectrum its numbers
        (which no longer determine a sound); ``"wav"``: the bytes of a WAV file of a waveform.
    Shape:  (samples) for the waveform; (frames, bins) for spectra, frames = samples // step + 1 with their
        middles at 0, step, ...; ``rt.Transpose(1, 0)`` puts the bins first, as Conv1d takes them
    Args:
        seconds: the length of every sound.
        samples: the same as a number of samples; or a name for the size where it varies, as it does under
            ``"n"`` when neither is given.
        rate: samples a second, at least 1.
        form: ``"waveform"``, ``"spectrogram"`` (power), ``"mel"`` or ``"mfcc"``, as Spectrum defines them.
        bands: of mel, 64 when left out.
        coefficients: of mfcc, 13 when left out.
        window: of spectra, in samples; 25 ms when left out.
        step: from window to window, in samples; 10 ms when left out.
        log: spectra in decibels, from -100; mfcc always are.
        normalize: (mean, deviation), a number each or one for each bin: what the net takes is
            ``(x - mean) / deviation``. ``"data"`` for those of the training part, learned before step 1.
    Raises:
        CodecError: no sound, a damaged, cut off or empty one, samples that are NaN, or out of their range.
        MissingExtraError: a format that needs soundfile, which is not there.
    Source: Smith and Gossett 1984 (resampling); see Spectrum for the others.
    Example:
        >>> import retia as rt
        >>> tone = rt.Audio(samples=4, rate=8000)
        >>> tone.encode(([0.0, 0.5, -0.5], 8000))
        tensor([ 0.0000,  0.5000, -0.5000,  0.0000])
        >>> samples, rate = tone.decode([0.0, 0.5, -0.5, 0.0])
        >>> samples.tolist(), rate
        ([0.0, 0.5, -0.5, 0.0], 8000)
        >>> rt.Audio(seconds=1, rate=8000, form="mel", bands=40).shape
        (101, 40)
    """

    properties: ClassVar[tuple[str, ...]] = ("decision", "wav")
    cure: ClassVar[str] = 'Audio(seconds=1, rate=16000, form="mel")'

    _: KW_ONLY
    seconds: float | None = setting(real(1e-6, 1e6, optional=True), default=None)
    samples: int | str | None = setting(read_samples, default=None)
    rate: int = setting(whole(1, FASTEST), default=16000)
    form: str = setting(choice("waveform", *FORMS), default="waveform")
    bands: int | None = setting(whole(1, 4096, optional=True), default=None)
    coefficients: int | None = setting(whole(1, 4096, optional=True), default=None)
    window: int | None = setting(whole(2, 2**20, optional=True), default=None)
    step: int | None = setting(whole(1, 2**20, optional=True), default=None)
    log: bool = setting(flag, default=True)
    normalize: Any = setting(read_normalize, default=None)

    def validate(self) -> None:
        if self.seconds is not None and self.samples is not None:
            raise ArgumentError("Audio takes seconds or samples, and not both.", fix="leave one out")
        if self.length == 0 or (isinstance(self.length, int) and self.length > LONGEST):
            raise ArgumentError(f"Audio: {self.seconds:g} seconds at {self.rate} are {self.length} samples.")
        if self.form == "waveform":
            given = [
                name
                for name in ("bands", "coefficients", "window", "step")
                if getattr(self, name) is not None
            ]
            if given:
                raise ArgumentError(f"Audio: {given[0]} belongs to spectra.", fix='form="mel"', got=given[0])
        else:
            for name, value in settled("Audio", self.form, self.settings()).items():
                object.__setattr__(self, name, value)
        for each in (self.normalize or ()) if self.normalize != "data" else ():
            if isinstance(each, tuple) and len(each) != self.bins:
                raise ArgumentError(
                    f"Audio: normalize has {len(each)} numbers, the {self.form} has {self.bins}.",
                    expected=self.bins,
                    got=len(each),
                )

    @property
    def length(self) -> int | str:
        """Samples of every sound, or the name under which they vary."""
        if self.seconds is not None:
            return round(self.seconds * self.rate)
        return "n" if self.samples is None else self.samples

    @property
    def bins(self) -> int:
        """How many numbers stand at each time."""
        return 1 if self._spectrum is None else self._spectrum.bins

    @property
    def shape(self) -> Shape | None:
        length = self.length
        first = extent(length) if isinstance(length, str) else self._times(length)
        return (first,) if self._spectrum is None else (first, self.bins)

    @property
    def output_shape(self) -> Shape | None:
        # Where the length varies it is left to the net: what comes out is as long as the net makes it.
        first, *rest = self.shape or ()
        return (first if isinstance(first, int) else None, *rest)

    def is_fitted(self) -> bool:
        return bool(self.normalize != "data")

    def fit(self, things: Sequence[Any]) -> Audio:
        """Mean and deviation of each bin, where they are the data's."""
        if self.is_fitted():
            return self
        step = -(-len(things) // MOST) or 1
        total: Any = 0.0
        squares: Any = 0.0
        count = 0
        for start in range(0, len(things), AT_ONCE * step):
            for sound in self._sounds(things[start : start + AT_ONCE * step : step]):
                times = self._measured(sound).double().reshape(-1, self.bins)
                total, squares = total + times.sum(0), squares + times.square().sum(0)
                count += len(times)
        if not count:
            raise CodecError("Audio: there are no sounds to learn mean and deviation from.")
        mean = total / count
        deviation = (squares / count - mean**2).clamp(min=0).sqrt()
        pair = _rounded(mean), _rounded(torch.where(deviation < 1e-9, 1.0, deviation))
        return make(Audio, {**self.settings(), "normalize": pair})

    def is_one(self, thing: Any) -> bool:
        if is_sound(thing):
            return True
        if isinstance(thing, list | tuple):
            first = next(iter(thing), None)
            return isinstance(first, int | float) or getattr(first, "shape", None) == ()
        if not is_array(thing):
            raise CodecError(
                f"Audio: {brief(thing)} is no path, bytes, open file, samples or (samples, rate) pair.",
                path="Audio",
                got=thing,
            )
        array = as_array(thing, "Audio")
        return bool(array.ndim == 1 and array.dtype.kind not in "SUO")

    # Encoding -------------------------------------------------------------------------------------

    def pack(self, things: Sequence[Any]) -> Tensor:
        """Samples on the scale of 16 bits, int16 where all are; as the port takes them where n varies."""
        rows = self.rows(things)
        if isinstance(self.length, int):
            kind = torch.int16 if all(row.dtype == torch.int16 for row in rows) else torch.float32
            return (
                torch.stack([row.to(kind) for row in rows])
                if rows
                else torch.zeros((0, self.length), dtype=kind)
            )
        bins = () if self._spectrum is None else (self.bins,)
        batch = torch.zeros((len(rows), max(map(len, rows), default=0), *bins))
        for place, row in zip(batch, rows, strict=True):
            place[: len(row)] = row
        return batch

    def rows(self, things: Sequence[Any]) -> list[Tensor]:
        sounds = self._sounds(things)
        return [*map(torch.from_numpy if isinstance(self.length, int) else self._features, sounds)]

    def pack_target(self, things: Sequence[Any], loss: str) -> Tensor:
        """Waveforms or spectra as the net gives them, normalised."""
        if not isinstance(self.length, int) or not len(things):
            shape = (0, *(size if isinstance(size, int) else 0 for size in self.shape or ()))
            return self.pack(things) if len(things) else torch.zeros(shape)
        return torch.stack([*map(self._features, self._sounds(things))])

    def device(self) -> Net | None:
        return self._to_port if isinstance(self.length, int) else None

    @cached_property
    def _spectrum(self) -> Spectrum | None:
        """The layer that makes spectra; None for waveforms."""
        if self.form == "waveform":
            return None
        names = ("form", "rate", "window", "step", "bands", "coefficients", "log")
        padding = (self.window or 0) // 2
        return make(Spectrum, {**{name: getattr(self, name) for name in names}, "padding": padding})

    @cached_property
    def _to_port(self) -> Net:
        def made(input: Wire) -> Wire:
            wave = input / FULL
            if self._spectrum is not None:
                wave = self._spectrum(wave)
            scale = self._scale()
            return wave if scale is None else (wave - scale[0]) / scale[1]

        return Graph(made, input=self.length)

    def _scale(self) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """Mean and deviation, for each bin or for all; None where numbers stay as they are."""
        if self.normalize is None:
            return None
        if self.normalize == "data":
            raise CodecError(
                "Audio(normalize='data') has learned nothing yet.",
                fix="rt.train(net, data), codec.fit(sounds), or normalize=(mean, deviation)",
            )
        mean, deviation = (np.asarray(each, np.float32) for each in self.normalize)
        return mean, deviation

    def _times(self, length: int) -> int:
        """How many samples or frames a sound of so many samples has."""
        found = (
            {"n": length} if self._spectrum is None else self._spectrum.solve({"n": length, "frames": None})
        )
        return int(next(iter(found.values())))

    def _measured(self, sound: NDArray[Any]) -> Tensor:
        """Samples as real ones, or as their spectra; not normalised."""
        wave = torch.from_numpy(sound).float() / FULL
        return wave if self._spectrum is None else self._spectrum.forward(wave)

    def _features(self, sound: NDArray[Any]) -> Tensor:
        """Samples as what the port takes."""
        found, scale = self._measured(sound), self._scale()
        return found if scale is None else (found - torch.from_numpy(scale[0])) / torch.from_numpy(scale[1])

    def _sounds(self, things: Sequence[Any]) -> list[NDArray[Any]]:
        """One channel of each, at this rate and of this length: int16, or float32 on its scale."""
        if is_array(things):
            array = as_array(things, "Audio")
            if array.ndim > 2:
                raise CodecError(
                    f"Audio: a batch of samples has two axes, one sound in each row; got {array.shape}.",
                    fix="(samples, rate) pairs for sounds of several channels",
                    got=array.shape,
                )
            things = list(array)
        several = len(things) > 1
        return in_threads(
            lambda i, thing: self._sound(thing, f"Audio: row {i}" if several else "Audio"), things
        )

    def _sound(self, thing: Any, where: str) -> NDArray[Any]:
        with named(where):
            sound = open_sound(thing, self.rate, where)
        samples = _at_rate(_mono(sound.samples), sound.rate, self.rate)
        if not isinstance(self.length, int) or len(samples) == self.length:
            return samples
        return np.pad(samples[: self.length], (0, max(self.length - len(samples), 0)))

    # Decoding -------------------------------------------------------------------------------------

    def unpack(self, batch: Tensor, reading: Reading) -> list[Any]:
        word, _ = self.asked(reading)
        found = batch.detach().cpu().double().numpy()
        wanted = self.output_shape or ()
        if len(wanted) != found.ndim - 1 or any(
            w not in (None, g) for w, g in zip(wanted, found.shape[1:], strict=True)
        ):
            raise CodecError(
                f"{self!r} decodes arrays of shape {show(wanted)}; got {show(found.shape[1:])}.",
                expected=wanted,
                got=found.shape[1:],
            )
        if not np.isfinite(found).all():
            row = int(rows_where(~np.isfinite(found)).argmax())
            raise CodecError(
                f"{self!r}: row {row} to decode has numbers that are NaN or infinite.", path=f"row {row}"
            )
        if word == "wav" and self._spectrum is not None:
            raise CodecError(f"{self!r}: a {self.form} does not determine a sound.", fix='form="waveform"')
        scale = self._scale()
        plain = (found if scale is None else found * scale[1] + scale[0]).astype(np.float32)
        if word == "wav":
            return [wav(each, self.rate) for each in plain]
        plain.flags.writeable = False
        return list(plain) if self._spectrum is not None else [(each, self.rate) for each in plain]


def _mono(samples: NDArray[Any]) -> NDArray[Any]:
    """The mean of all channels."""
    return (
        samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float64).astype(np.float32)
    )


def _at_rate(samples: NDArray[Any], old: int, new: int) -> NDArray[Any]:
    return np.ascontiguousarray(samples) if old == new else resampled(samples, old, new).astype(np.float32)


def _rounded(values: Tensor) -> Any:
    """Six digits of a number, or of each of several."""
    short = [float(f"{value:.6g}") for value in values.tolist()]
    return short[0] if len(short) == 1 else tuple(short)
