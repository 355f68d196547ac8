"""Sounds as files, bytes and arrays; spectra against librosa's values and the formulas in float64."""

import io
import os
import pathlib
import struct
import sys
import wave
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

import retia as rt
from retia.codecs.resample import resampled
from retia.nets import Reading

FSDD = pathlib.Path(__file__).parents[2] / ".." / "shared" / "data" / "fsdd" / "fsdd_1020_wav.zip"
LIBROSA = pathlib.Path(__file__).with_name("librosa.npz")
RATE = 8000
recorded = pytest.mark.skipif(not FSDD.exists(), reason=f"the spoken digits are not there ({FSDD.name})")


def recordings(wanted):
    """Recordings by their names, digit_speaker_take, as the bytes of their files."""
    with zipfile.ZipFile(FSDD) as archive:
        names = {pathlib.PurePath(name).stem: name for name in archive.namelist()}
        return {stem: archive.read(name) for stem, name in names.items() if wanted(*stem.split("_"))}


GUID = bytes.fromhex("0000 0000 1000 8000 00aa 0038 9b71")
"""What follows the format's number in an extensible WAV file."""


def whole(count, seed=0, low=-20000, high=20000):
    return np.random.default_rng(seed).integers(low, high, count).astype(np.int16)


def wav_file(raw, *, form=1, channels=1, rate=RATE, bits=16, size=None, extra=b""):
    """A WAV file as its definition says, written by hand."""
    width = bits // 8 * channels
    about = struct.pack("<HHIIHH", form, channels, rate, rate * width, width, bits) + extra
    size = len(raw) if size is None else size
    body = b"WAVE" + struct.pack("<4sI", b"fmt ", len(about)) + about
    body += struct.pack("<4sI", b"data", size) + raw
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def by_wave(samples, rate=RATE):
    """A WAV file that the standard library has written."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(samples.tobytes())
    return file.getvalue()


# The formulas, once more --------------------------------------------------------------------------


def power_of(samples, window, step):
    """|DFT|^2 of Hann windows with their middles at 0, step, ..., each by the definition of the DFT."""
    padded = np.pad(samples.astype(np.float64), window // 2)
    count = (len(padded) - window) // step + 1
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    frames = np.stack([padded[i * step : i * step + window] * hann for i in range(count)])
    wave = np.exp(-2j * np.pi * np.outer(np.arange(window), np.arange(window // 2 + 1)) / window)
    return np.abs(frames @ wave) ** 2


def slaney(hertz):
    return 3 * hertz / 200 if hertz < 1000 else 15 + 27 * np.log(hertz / 1000) / np.log(6.4)


def hertz(mel):
    return 200 * mel / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)


def mel_of(power, rate, window, bands):
    edges = [hertz(mel) for mel in np.linspace(0, slaney(rate / 2), bands + 2)]
    found = np.zeros((len(power), bands))
    for band, (low, middle, high) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        for bin in range(window // 2 + 1):
            f = bin * rate / window
            up, down = (f - low) / (middle - low), (high - f) / (high - middle)
            found[:, band] += power[:, bin] * max(0.0, min(up, down)) * 2 / (high - low)
    return found


def decibels(power):
    return 10 * np.log10(np.maximum(power, 1e-10))


def cepstrum_of(bands, count):
    n = bands.shape[1]
    rows = [
        np.cos(np.pi * k * (np.arange(n) + 0.5) / n) * np.sqrt((1 if k == 0 else 2) / n) for k in range(count)
    ]
    return bands @ np.stack(rows).T


def reference(form, samples, rate, window, step, bands, count, log=True):
    power = power_of(samples, window, step)
    if form == "spectrogram":
        return decibels(power) if log else power
    mel = mel_of(power, rate, window, bands)
    return cepstrum_of(decibels(mel), count) if form == "mfcc" else decibels(mel) if log else mel


def far(found, wanted):
    found, wanted = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    assert found.shape == wanted.shape
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


# Spectra ------------------------------------------------------------------------------------------


@recorded
@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("spectrogram", rt.Audio(rate=RATE, form="spectrogram", window=256, step=80, log=False)),
        ("mel", rt.Audio(rate=RATE, form="mel", window=256, step=80, bands=40, log=False)),
        ("log_mel", rt.Audio(rate=RATE, form="mel", window=256, step=80, bands=40)),
        ("mfcc", rt.Audio(rate=RATE, form="mfcc", window=256, step=80, bands=40)),
    ],
)
def test_real_recordings_have_librosas_values(name, codec):
    kept = np.load(LIBROSA)
    stems = [key.split()[0] for key in kept.files if key.endswith(f" {name}")]
    assert len(stems) == 3
    sounds = recordings(lambda *parts: "_".join(parts) in stems)
    for stem in stems:
        found, wanted = codec.rows([sounds[stem]])[0][::4].numpy(), kept[f"{stem} {name}"]
        assert far(found, wanted) < 1e-5
        if name in ("spectrogram", "mel"):
            # Each by itself, where it is not the rounding of the loudest in its window.
            heard = wanted > 1e-6 * wanted.max(axis=1, keepdims=True)
            assert np.abs(found / np.where(heard, wanted, 1) - 1)[heard].max() < 1e-4
        else:
            assert np.abs(found - wanted).max() < 1e-2


@recorded
@pytest.mark.parametrize("form", ["spectrogram", "mel", "mfcc"])
@pytest.mark.parametrize(("window", "step"), [(200, 80), (255, 100)])
def test_real_recordings_have_the_values_of_the_formulas(form, window, step):
    how = {} if form == "spectrogram" else {"bands": 30}
    count = {"coefficients": 20} if form == "mfcc" else {}
    sound = recordings(lambda *parts: parts == ("3", "theo", "7"))["3_theo_7"]
    codec = rt.Audio(samples=4000, rate=RATE, form=form, window=window, step=step, **how, **count)
    samples = np.pad(np.frombuffer(sound[44:], np.int16)[:4000] / 32768, (0, 4000))[:4000]
    found = codec.encode(sound)
    assert tuple(found.shape) == codec.shape
    assert far(found, reference(form, samples, RATE, window, step, 30, 20)) < 1e-5


@pytest.mark.parametrize(("form", "bands"), [("spectrogram", None), ("mel", 20)])
def test_power_is_kept_where_no_decibels_are_asked(form, bands):
    codec = rt.Audio(samples=1000, rate=RATE, form=form, window=128, step=50, bands=bands, log=False)
    samples = whole(1000)
    wanted = reference(form, samples / 32768, RATE, 128, 50, bands, 0, log=False)
    assert far(codec.encode(samples), wanted) < 1e-6


def test_silence_is_minus_100_decibels():
    codec = rt.Audio(samples=1000, rate=RATE, form="mel", bands=20)
    assert torch.equal(codec.encode(np.zeros(1000, np.int16)), torch.full(codec.shape, -100.0))


def test_left_out_settings_of_spectra_are_25_and_10_ms():
    codec = rt.Audio(seconds=1, form="mfcc")
    assert codec == rt.Audio(seconds=1, form="mfcc", window=400, step=160, bands=64, coefficients=13)
    assert codec.shape == (101, 13)
    assert rt.Audio(samples=8000, rate=RATE) == rt.Audio(samples=8000, rate=RATE, log=True)


# Files and arrays ---------------------------------------------------------------------------------


def test_a_path_bytes_a_file_a_pair_and_an_array_are_the_same_sound(tmp_path):
    samples = whole(500)
    path = tmp_path / "tone.wav"
    path.write_bytes(by_wave(samples))
    codec = rt.Audio(samples=500, rate=RATE)
    with open(path, "rb") as file:
        things = [
            path, str(path), path.read_bytes(), bytearray(path.read_bytes()), memoryview(path.read_bytes()),
            file, io.BytesIO(path.read_bytes()), (samples, RATE), (samples[:, None], RATE),
            (torch.from_numpy(samples), RATE), samples, torch.from_numpy(samples),
            (samples / 32768, np.int64(RATE)), (samples / 32768).tolist(),
            (samples / 32768).astype(np.float32), samples.astype(np.int32) * 65536,
        ]  # fmt: skip
        assert [codec.is_one(thing) for thing in things] == [True] * len(things)
        batch = codec.pack(things)
    assert all(torch.equal(each, batch[0]) for each in batch)
    assert torch.equal(codec.encode(path), torch.from_numpy(samples / np.float32(32768)))
    assert codec.is_one([str(path)]) is False
    assert codec.is_one(np.stack([samples, samples])) is False
    assert torch.equal(codec.pack(np.array([str(path)], object))[0], batch[0].to(torch.int16))


def test_packing_keeps_16_bits_and_needs_more_only_where_there_is_more():
    codec = rt.Audio(samples=300, rate=RATE, form="mel", bands=20)
    short, long = whole(200), whole(400)
    packed = codec.pack([short, by_wave(long)])
    assert packed.dtype == torch.int16
    assert torch.equal(packed[0], torch.from_numpy(np.pad(short, (0, 100))))
    assert torch.equal(packed[1], torch.from_numpy(long[:300]))
    assert codec.pack([short, long / 32768]).dtype == torch.float32
    assert codec.pack([(short, 16000)]).dtype == torch.float32


@pytest.mark.parametrize(
    ("raw", "how", "wanted"),
    [
        (bytes([0, 128, 255]), {"bits": 8}, [-1, 0, 127 / 128]),
        (np.array([-32768, 0, 16384], "<i2").tobytes(), {}, [-1, 0, 0.5]),
        (b"\x00\x00\x80\x00\x00\x00\x01\x00\x40", {"bits": 24}, [-1, 0, 0.5 + 2**-23]),
        (np.array([-(2**31), 0, 2**30], "<i4").tobytes(), {"bits": 32}, [-1, 0, 0.5]),
        (np.array([-1, 0, 1.25], "<f4").tobytes(), {"form": 3, "bits": 32}, [-1, 0, 1.25]),
        (np.array([-1, 0, 0.1], "<f8").tobytes(), {"form": 3, "bits": 64}, [-1, 0, np.float32(0.1)]),
        (np.array([2, 4, 0, 0, -3, -4], "<i2").tobytes(), {"channels": 2}, [3 / 32768, 0, -3.5 / 32768]),
        (
            np.array([-32768, 0, 16384], "<i2").tobytes(),
            {"form": 0xFFFE, "extra": struct.pack("<HHIH", 22, 16, 4, 1) + GUID},
            [-1, 0, 0.5],
        ),
        (np.array([1, 2, 3], "<i2").tobytes(), {"size": 0xFFFFFFFF}, np.array([1, 2, 3]) / 32768),
    ],
    ids=["8", "16", "24", "32", "float", "double", "stereo", "extensible", "pipe"],
)
def test_every_kind_of_wav_file_is_read(raw, how, wanted):
    file = wav_file(raw, **how)
    found = rt.Audio(samples=3, rate=RATE).encode(file)
    assert found.tolist() == pytest.approx(list(map(float, wanted)), abs=1e-9)
    soundfile = pytest.importorskip("soundfile")
    if how.get("size") is None:
        theirs, rate = soundfile.read(io.BytesIO(file), dtype="float32", always_2d=True)
        assert rate == RATE
        assert found.tolist() == pytest.approx(theirs.mean(axis=1).tolist(), abs=1e-7)


@pytest.mark.parametrize("kind", ["FLAC", "OGG", "AIFF"])
def test_other_formats_are_read_by_soundfile(kind):
    soundfile = pytest.importorskip("soundfile")
    samples = np.rint(9000 * np.sin(np.arange(4000) / 20)).astype(np.int16)
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format=kind)
    packed = rt.Audio(samples=4000, rate=RATE).pack([file.getvalue()])
    if kind == "OGG":
        assert far(packed[0], samples) < 0.05  # it is lossy
    else:
        assert packed.dtype == torch.int16
        assert torch.equal(packed[0], torch.from_numpy(samples))


def test_a_format_that_needs_soundfile_says_so_where_it_is_not_there(monkeypatch):
    from retia._late import soundfile

    for name in [each for each in vars(soundfile) if not each.startswith("_")]:
        monkeypatch.delitem(vars(soundfile), name)
    monkeypatch.setitem(sys.modules, "soundfile", None)
    codec = rt.Audio(samples=3, rate=RATE)
    with pytest.raises(rt.MissingExtraError, match="This needs soundfile, which is not installed."):
        codec.pack([b"fLaC" + bytes(100)])
    assert codec.encode(wav_file(b"\0\x40" * 3)).tolist() == [0.5, 0.5, 0.5]


BAD = {
    "empty.wav": (b"", "empty.wav is not a sound that can be read: it is empty."),
    "text.wav": (
        b"hello, world",
        "text.wav is not a sound that can be read: expected WAV, FLAC, Ogg, MP3, AIFF, CAF or AU.",
    ),
    "zero.wav": (wav_file(b""), "zero.wav has no samples.\n  fix   leave it out"),
    "cut.wav": (
        by_wave(whole(500))[:644],
        "cut.wav is cut off: 1,000 bytes of samples are announced, 600 are there.",
    ),
    "head.wav": (by_wave(whole(500))[:30], "head.wav is cut off: it is a WAV file without samples."),
    "nothing.wav": (
        b"RIFF\x10\0\0\0WAVEdata\x04\0\0\0\1\0\1\0",
        "nothing.wav is damaged: nothing says what its samples are.",
    ),
    "odd.wav": (
        wav_file(bytes(8), channels=0),
        "odd.wav is damaged: 0 channels of 16 bits, 0 bytes together, 8000 times a second.",
    ),
    "slow.wav": (
        wav_file(bytes(8), rate=0),
        "slow.wav is damaged: 1 channels of 16 bits, 2 bytes together, 0 times a second.",
    ),
    "nan.wav": (
        wav_file(np.array([0, 1, np.nan], "<f4").tobytes(), form=3, bits=32),
        "nan.wav: sample 2 is NaN or infinite.",
    ),
    "loud.wav": (
        wav_file(np.array([0, 20000], "<f4").tobytes(), form=3, bits=32),
        "loud.wav: real samples (float32) are -1..1; the loudest is 20000.\n"
        '  fix   x / 32768, or x.astype("int16")',
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_error_with_its_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data, told = BAD[name]
    pathlib.Path(name).write_bytes(data)
    with pytest.raises(rt.CodecError) as caught:
        rt.Audio(seconds=1, rate=RATE, form="mel").pack([name])
    assert str(caught.value) == told
    assert caught.value.path == name
    with pytest.raises(rt.CodecError) as caught:
        rt.Audio(rate=RATE).pack([whole(9), name])
    assert str(caught.value) == f"Audio: row 1: {told}"


def test_every_cut_of_a_file_is_an_error_or_the_same_sound():
    file = by_wave(whole(40))
    codec = rt.Audio(rate=RATE)
    for end in range(len(file)):
        with pytest.raises(rt.CodecError):
            codec.pack([file[:end]])
    assert len(codec.pack([file])[0]) == 40


def test_a_damaged_flac_file_is_one_error(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    path = tmp_path / "cut.flac"
    soundfile.write(path, whole(9000), RATE)
    path.write_bytes(path.read_bytes()[:6000])
    with pytest.raises(rt.CodecError, match=r"cut\.flac is (cut off|not a sound that can be read)"):
        rt.Audio(rate=RATE).pack([path])
    path.write_bytes(b"fLaC" + bytes(400))
    with pytest.raises(rt.CodecError, match=r"cut\.flac is not a sound that can be read"):
        rt.Audio(rate=RATE).pack([path])


@pytest.mark.parametrize(
    ("thing", "told"),
    [
        ("no.wav", "no.wav is not there."),
        (os.curdir, ". is a folder."),
        ("http://a/b.wav", "http://a/b.wav is not there.\n  fix   download it first"),
        (io.StringIO("text"), 'Audio gives text, no sound.\n  fix   open(path, "rb")'),
        (np.zeros(0), "Audio has no samples.\n  fix   leave it out"),
        (
            (np.zeros((2, 900)), RATE),
            "Audio: samples have shape (n), or (n, channels) with up to 64 channels; got (2, 900).\n"
            "  fix   x.T",
        ),
        (
            np.arange(3),
            "Audio: whole samples are int16, int32 or uint8; got int64.\n"
            '  fix   x.astype("int16"), if they are -32768..32767; x / 32768 for real ones',
        ),
        ((whole(3), 0), "Audio: a rate is a whole number from 1 to 1,000,000; got 0."),
        ((whole(3), 22050.5), "Audio: a rate is a whole number from 1 to 1,000,000; got 22050.5."),
        ([0.0, float("inf")], "Audio: sample 1 is NaN or infinite."),
        (np.array([1j, 0]), "Audio: ndarray of shape (2,) is not made of real numbers (complex128)."),
    ],
)
def test_what_is_no_sound_is_refused(thing, told):
    with pytest.raises(rt.CodecError) as caught:
        rt.Audio(rate=RATE).pack([thing])
    assert str(caught.value) == told


def test_what_cannot_be_one_or_many_is_refused():
    with pytest.raises(rt.CodecError) as caught:
        rt.Audio().is_one(3)
    assert str(caught.value) == "Audio: 3 is no path, bytes, open file, samples or (samples, rate) pair."
    with pytest.raises(rt.CodecError, match="a batch of samples has two axes"):
        rt.Audio().pack(np.zeros((2, 3, 4)))


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"seconds": 1, "samples": 9}, "Audio takes seconds or samples, and not both."),
        ({"seconds": 1e-5, "rate": 100}, "Audio: 1e-05 seconds at 100 are 0 samples."),
        ({"bands": 9}, "Audio: bands belongs to spectra."),
        ({"form": "spectrogram", "bands": 9}, "Audio: bands belongs to mel and mfcc; the form is spec"),
        ({"form": "mel", "coefficients": 9}, "Audio: coefficients belongs to mfcc; the form is mel."),
        ({"form": "mfcc", "bands": 9, "coefficients": 10}, "Audio: there are at most as many coefficients"),
        ({"form": "mel", "window": 64}, "Audio: some of 64 mel bands hold no frequency of a window"),
        ({"form": "mel", "normalize": ((0, 0), 1)}, "Audio: normalize has 2 numbers, the mel has 64."),
        ({"normalize": "robust"}, "Audio: normalize is None, 'data', or a pair"),
        ({"samples": "two words"}, "Audio: samples is a whole number, or a name for a size that varies"),
    ],
)  # fmt: skip
def test_settings_that_contradict_each_other_are_refused(how, told):
    with pytest.raises(rt.ArgumentError) as caught:
        rt.Audio(**how)
    assert str(caught.value).startswith(told)


# Resampling ---------------------------------------------------------------------------------------

RATES = [8000, 11025, 16000, 22050, 44100, 48000, 16001]


@given(
    old=st.sampled_from(RATES),
    new=st.sampled_from(RATES),
    share=st.floats(0.01, 0.88),
    level=st.floats(0.1, 1),
)
def test_a_sine_keeps_its_frequency_its_phase_and_its_level(old, new, share, level):
    frequency = share * min(old, new) / 2
    seconds = 0.1
    tone = level * np.sin(2 * np.pi * frequency * np.arange(int(old * seconds)) / old + 0.3)
    found = resampled(tone, old, new)
    assert len(found) == -(-len(tone) * new // old)
    wanted = level * np.sin(2 * np.pi * frequency * np.arange(len(found)) / new + 0.3)
    edge = int(80 * max(1, new / old)) + 80
    if len(found) > 2 * edge + 20:
        assert np.abs(found - wanted)[edge:-edge].max() < 1e-4 * level


@given(old=st.sampled_from(RATES[3:]), share=st.floats(1.01, 2.5))
def test_what_the_new_rate_cannot_hold_is_gone(old, share):
    frequency = min(share * RATE / 2, 0.99 * old / 2)
    tone = np.sin(2 * np.pi * frequency * np.arange(old // 4) / old)
    if frequency > 1.005 * RATE / 2:
        assert np.abs(resampled(tone, old, RATE))[200:-200].max() < 1e-4


def test_a_constant_stays_one_and_resampling_is_linear():
    x, y = np.random.default_rng(0).normal(size=(2, 3000))
    assert np.allclose(resampled(np.ones(3000), 44100, 16000)[80:-80], 1, atol=1e-12)
    both = resampled(2 * x + y, 44100, 16000)
    assert np.allclose(both, 2 * resampled(x, 44100, 16000) + resampled(y, 44100, 16000), atol=1e-12)
    assert np.array_equal(resampled(x, 16000, 16000), x)
    assert len(resampled(x[:1], 8000, 16001)) == 3


@pytest.mark.parametrize(("old", "new"), [(44100, 16000), (8000, 16000), (48000, 8000), (16000, 22050)])
def test_resampling_is_scipys_with_the_same_filter(old, new):
    x = np.random.default_rng(1).normal(size=2000)
    divisor = np.gcd(old, new)
    up, down = new // divisor, old // divisor
    reach = 64 * max(up, down) / 0.95
    taps = np.arange(-int(reach), int(reach) + 1)
    window = np.i0(10 * np.sqrt(1 - (taps / reach) ** 2))
    filter = np.sinc(0.95 * taps / max(up, down)) * window
    wanted = signal.resample_poly(x, up, down, window=filter / filter.sum())
    assert far(resampled(x, old, new), wanted) < 1e-4


def test_channels_are_averaged_before_the_rate_changes():
    left, right = whole(1000), whole(1000, 1)
    codec = rt.Audio(rate=RATE)
    both = codec.encode((np.stack([left, right], axis=1), 16000))
    assert far(both, resampled((left.astype(float) + right) / 2 / 32768, 16000, RATE)) < 1e-6
    assert len(both) == 500


# Batches ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["waveform", "spectrogram", "mel", "mfcc"])
@given(lengths=st.lists(st.integers(1, 900), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_a_batch_gives_what_its_examples_give_alone(form, lengths, seed):
    sounds = [whole(n, seed + i) for i, n in enumerate(lengths)]
    bands = {} if form in ("waveform", "spectrogram") else {"bands": 20}
    fixed = rt.Audio(samples=600, rate=RATE, form=form, normalize=(0.1, 2.0), **bands)
    together = fixed.encode(sounds)
    for each, sound in zip(together, sounds, strict=True):
        assert far(each, fixed.encode(sound)) < 1e-6
    varying = rt.Audio(rate=RATE, form=form, normalize=(0.1, 2.0), **bands)
    rows, padded = varying.rows(sounds), varying.pack(sounds)
    for row, place, sound in zip(rows, padded, sounds, strict=True):
        exact = rt.Audio(samples=len(sound), rate=RATE, form=form, normalize=(0.1, 2.0), **bands)
        assert far(row, exact.encode(sound)) < 1e-6
        assert torch.equal(place[: len(row)], row)
        assert not place[len(row) :].any()


def test_a_net_takes_sounds_of_any_length():
    codec = rt.Audio(rate=RATE, form="mel", bands=20)
    net = rt.Chain(rt.Linear(3), rt.Reduce("mean", 0), input=codec).init(seed=0)
    sounds = [whole(900), whole(300, 1)]
    together = net(sounds, None)
    assert far(together[1], net(sounds[1], None)) < 1e-5


def test_targets_are_what_the_net_gives():
    codec = rt.Audio(samples=400, rate=RATE, form="mel", bands=20, normalize=(-50.0, 10.0))
    sounds = [whole(400), whole(300, 1)]
    assert far(codec.pack_target(sounds, "mse"), codec.encode(sounds)) < 1e-6
    wave = rt.Audio(samples=400, rate=RATE)
    assert torch.equal(wave.pack_target(sounds, "mse"), wave.encode(sounds))


# Learning and decoding ----------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{"samples": 800}, {}])
def test_mean_and_deviation_are_those_of_the_training_sounds(how):
    codec = rt.Audio(rate=RATE, form="mel", bands=20, normalize="data", **how)
    sounds = [whole(800, i) for i in range(70)]
    with pytest.raises(rt.CodecError, match="has learned nothing yet"):
        codec.encode(sounds)
    fitted = codec.fit(sounds)
    every = fitted.encode(sounds[:70]) if how else torch.stack(fitted.rows(sounds))
    flat = every.double().reshape(-1, 20)
    assert flat.mean(0).abs().max() < 1e-4
    assert (flat.std(0, correction=0) - 1).abs().max() < 1e-4
    assert eval(repr(fitted), vars(rt)) == fitted
    with pytest.raises(rt.CodecError, match="there are no sounds to learn"):
        codec.fit([])
    waves = rt.Audio(samples=800, rate=RATE, normalize="data").fit(sounds)
    assert waves.normalize[1] == pytest.approx(np.stack(sounds).std() / 32768, rel=1e-4)
    silent = rt.Audio(samples=9, normalize="data").fit([np.zeros(9)])
    assert silent.normalize == (0.0, 1.0)


def test_a_waveform_comes_back_as_samples_and_as_a_wav_file(tmp_path):
    codec = rt.Audio(samples=500, rate=RATE, normalize=(0.1, 2.0))
    samples = whole(500)
    found, rate = codec.decode(codec.encode(samples))
    assert rate == RATE
    assert found.dtype == np.float32
    assert not found.flags.writeable
    assert np.abs(found - samples / 32768).max() < 1e-6
    file = codec.decode(codec.encode(samples), "wav")
    with wave.open(io.BytesIO(file)) as reader:
        assert reader.getparams()[:4] == (1, 2, RATE, 500)
        assert reader.readframes(500) == samples.tobytes()
    assert torch.equal(codec.encode(file), codec.encode(samples))


def test_what_is_too_loud_is_cut_in_a_file():
    file = rt.Audio(samples=3, rate=RATE).decode([2.0, -2.0, 0.5], "wav")
    assert np.frombuffer(file[44:], "<i2").tolist() == [32767, -32768, 16384]


def test_spectra_come_back_as_numbers_and_not_as_sounds():
    codec = rt.Audio(samples=400, rate=RATE, form="mel", bands=20, normalize=(-50.0, 10.0))
    plain = rt.Audio(samples=400, rate=RATE, form="mel", bands=20)
    samples = whole(400)
    assert far(codec.decode(codec.encode(samples)), plain.encode(samples)) < 1e-6
    with pytest.raises(rt.CodecError, match="a mel does not determine a sound"):
        codec.decode(codec.encode(samples), "wav")
    with pytest.raises(rt.CodecError, match="row 1 to decode has numbers that are NaN"):
        codec.unpack(torch.stack([torch.zeros(codec.shape), torch.full(codec.shape, torch.nan)]), Reading())


# A net that listens -------------------------------------------------------------------------------


def listener(bands=40):
    return rt.Chain(
        rt.Reshape(1, 101, bands),
        rt.Conv2d(16, 3), rt.BatchNorm(), rt.ReLU(), rt.MaxPool2d(2),
        rt.Conv2d(32, 3), rt.BatchNorm(), rt.ReLU(), rt.MaxPool2d(2),
        rt.Conv2d(64, 3), rt.BatchNorm(), rt.ReLU(), rt.MaxPool2d(2),
        rt.Flatten(), rt.Dropout(0.5), rt.Linear(), rt.Softmax(),
        input=rt.Audio(seconds=1, rate=RATE, form="mel", bands=bands, normalize="data"),
        output=rt.Classes(range(10)),
    )  # fmt: skip


def digits(sounds):
    return {"input": list(sounds.values()), "output": [int(stem[0]) for stem in sounds]}


@recorded
def test_a_small_net_learns_spoken_digits(tmp_path):
    def few(digit, speaker, take):
        return speaker in ("jackson", "theo") and int(take) < 11

    sounds = recordings(few)
    train = {stem: file for stem, file in sounds.items() if int(stem.split("_")[2]) >= 5}
    test = {stem: file for stem, file in sounds.items() if stem not in train}
    assert (len(train), len(test)) == (120, 100)
    run = rt.train(
        listener(), rt.data(digits(train)), validation=0, epochs=12, batch_size=20,
        optimizer=rt.Adam(3e-3), seed=0, progress=False,
    )  # fmt: skip
    assert rt.measure(run.net, rt.data(digits(test))).accuracy > 0.5
    run.net.save(tmp_path / "digits.safetensors")
    again = rt.load(tmp_path / "digits.safetensors")
    some = list(test.values())[:8]
    assert again(some) == run.net(some)
    assert again.inputs["input"].codec == run.net.inputs["input"].codec
