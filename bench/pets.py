"""Pictures of cats and dogs for the transfer section, cropped and resized once for everybody."""

import io
import zipfile
from pathlib import Path

import numpy as np

ARCHIVE = Path(__file__).parents[2] / "shared" / "data" / "cats_dogs" / "cats_dogs_200px.zip"
LABELS = ("cat", "dog")
SIDE = 224
COUNTS = {"train": 500, "test": 200}
BATCH = 32
NORMALIZE = (127 / 255, 128 / 255)


def prepare(folder: str) -> None:
    """Write pictures (n, 224, 224, 3) uint8 and labels, half of them cats."""
    from PIL import Image

    with zipfile.ZipFile(ARCHIVE) as archive:
        for part, count in COUNTS.items():
            pictures, labels = [], []
            for number in range(count):
                label = number % 2
                names = [n for n in archive.namelist() if n.startswith(f"{part}/{LABELS[label]}/")]
                picture = Image.open(io.BytesIO(archive.read(names[number // 2]))).convert("RGB")
                side = min(picture.size)
                left, top = ((size - side) // 2 for size in picture.size)
                square = picture.crop((left, top, left + side, top + side))
                pictures.append(np.asarray(square.resize((SIDE, SIDE), Image.Resampling.BICUBIC)))
                labels.append(label)
            np.save(Path(folder) / f"pets_{part}_x.npy", np.stack(pictures))
            np.save(Path(folder) / f"pets_{part}_y.npy", np.array(labels, np.int64))

    _keep_features(folder)


def _keep_features(folder: str) -> None:
    """What PyTorch's trunk makes of the first pictures: every peer has to make the same."""
    import torch
    from peers.torch_transfer import Trunk

    x = normalized(pets(folder)[0][:BATCH])
    with torch.inference_mode():
        np.save(Path(folder) / "pets_features.npy", Trunk()(torch.from_numpy(x)).numpy())


def features(folder: str) -> np.ndarray:
    """The answers to the first batch of pictures."""
    return np.load(Path(folder) / "pets_features.npy")


def pets(folder: str, part: str = "train") -> tuple[np.ndarray, np.ndarray]:
    """Pictures and labels of a part."""
    return np.load(Path(folder) / f"pets_{part}_x.npy"), np.load(Path(folder) / f"pets_{part}_y.npy")


def normalized(x: np.ndarray) -> np.ndarray:
    """What the trunk takes: float32 (n, 3, 224, 224)."""
    mean, deviation = NORMALIZE
    real = (x.astype(np.float32) / np.float32(255) - np.float32(mean)) / np.float32(deviation)
    return np.ascontiguousarray(real.transpose(0, 3, 1, 2))
