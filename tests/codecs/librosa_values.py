"""Writes ``librosa.npz``: what librosa makes of real recordings, for ``test_audio.py``.

    python tests/codecs/librosa_values.py      (in an environment with librosa 0.11 and soundfile)

librosa brings numba and LLVM, 200 MB, so its values are kept here and it is no dependency of the tests.
"""

import io
import pathlib
import zipfile

import librosa
import numpy as np
import soundfile

DATA = pathlib.Path(__file__).parents[2] / ".." / "shared" / "data" / "fsdd" / "fsdd_1020_wav.zip"
NAMES = ("7_jackson_3", "0_lucas_1", "4_yweweler_12")
RATE, WINDOW, STEP, BANDS, COEFFICIENTS = 8000, 256, 80, 40, 13


def features(samples: np.ndarray) -> dict[str, np.ndarray]:
    how = {"n_fft": WINDOW, "hop_length": STEP, "window": "hann", "center": True, "pad_mode": "constant"}
    power = np.abs(librosa.stft(samples, **how)) ** 2
    mel = librosa.feature.melspectrogram(S=power, sr=RATE, n_mels=BANDS, htk=False, norm="slaney")
    decibels = librosa.power_to_db(mel, ref=1.0, amin=1e-10, top_db=None)
    mfcc = librosa.feature.mfcc(S=decibels, n_mfcc=COEFFICIENTS, dct_type=2, norm="ortho")
    return {"spectrogram": power, "mel": mel, "log_mel": decibels, "mfcc": mfcc}


def main() -> None:
    found = {}
    with zipfile.ZipFile(DATA) as archive:
        for name in NAMES:
            file = next(each for each in archive.namelist() if each.endswith(f"{name}.wav"))
            samples, rate = soundfile.read(io.BytesIO(archive.read(file)), dtype="float32")
            assert rate == RATE
            for form, values in features(samples).items():
                found[f"{name} {form}"] = values[:, ::4].T.astype(np.float32)
    np.savez_compressed(pathlib.Path(__file__).with_name("librosa.npz"), **found)


if __name__ == "__main__":
    main()
