"""The nets and the data that every peer gets: written once, read by all, so that they are the same.

A net is a list of layers as plain values; each peer builds it in its own words and starts from the same
arrays. This file needs NumPy alone.
"""

from pathlib import Path
from typing import Any

import numpy as np

BATCH = 128
STEPS = 468
EXAMPLES = BATCH * STEPS
"""Of MNIST's 60,000: whole batches only, so that everybody takes the same number of steps."""
RATE = 1e-3
SIDE = 28
KINDS = ("weight", "bias")

Spec = list[list[Any]]
Weights = list[tuple[np.ndarray, np.ndarray]]


def dense(width: int, depth: int, activation: str = "relu") -> Spec:
    """``depth`` hidden layers of one width, from 784 pixels to 10 classes."""
    hidden = [layer for _ in range(depth) for layer in (["dense", width], [activation])]
    return [["flatten"], *hidden, ["dense", 10]]


NETS: dict[str, Spec] = {
    "784-15-10": dense(15, 1, "sigmoid"),
    "784-200-60-10": [["flatten"], ["dense", 200], ["relu"], ["dense", 60], ["relu"], ["dense", 10]],
    "784-4096-10": dense(4096, 1),
    "cnn": [
        ["conv", 32, 3, 1], ["relu"], ["pool"], ["conv", 64, 3, 1], ["relu"], ["pool"],
        ["flatten"], ["dense", 128], ["relu"], ["dense", 10],
    ],
    "lenet": [
        ["conv", 20, 5, 0], ["relu"], ["pool"], ["conv", 50, 5, 0], ["relu"], ["pool"],
        ["flatten"], ["dense", 500], ["relu"], ["dense", 10],
    ],
}  # fmt: skip
WORDS = {
    "cnn": "CNN: conv 32, conv 64 (3 x 3, pooled), dense 128",
    "lenet": "LeNet: conv 20, conv 50 (5 x 5, pooled), dense 500",
    "784-15-10": "784-15-10, sigmoid",
    "784-200-60-10": "784-200-60-10, ReLU",
}


def is_convolutional(spec: Spec) -> bool:
    """Whether the net begins with pictures, not with a row of pixels."""
    return any(layer[0] == "conv" for layer in spec)


def sides(spec: Spec) -> list[tuple[str, tuple[int, ...]]]:
    """Of every layer with arrays: its kind, and the shape of its weight as PyTorch writes it."""
    shape: tuple[int, ...] = (1, SIDE, SIDE)
    found: list[tuple[str, tuple[int, ...]]] = []
    for kind, *numbers in spec:
        if kind == "conv":
            channels, kernel, padding = numbers
            found.append((kind, (channels, shape[0], kernel, kernel)))
            shape = (channels, *(side + 2 * padding - kernel + 1 for side in shape[1:]))
        elif kind == "pool":
            shape = (shape[0], shape[1] // 2, shape[2] // 2)
        elif kind == "flatten":
            shape = (int(np.prod(shape)),)
        elif kind == "dense":
            found.append((kind, (numbers[0], shape[0])))
            shape = (numbers[0],)
    return found


def weights(folder: str, net: str) -> Weights:
    """The arrays that every peer begins with: (weight, bias) of each layer, as PyTorch lays them."""
    with np.load(Path(folder) / f"{net}.npz") as file:
        return [(file[f"weight{i}"], file[f"bias{i}"]) for i in range(len(file.files) // 2)]


def channels_last(spec: Spec, arrays: Weights) -> Weights:
    """The same arrays for pictures with colours last, (in, out): as JAX and Keras lay them."""
    found: Weights = []
    channels = 0
    for (kind, shape), (weight, bias) in zip(sides(spec), arrays, strict=True):
        if kind == "conv":
            channels = shape[0]
            found.append((weight.transpose(2, 3, 1, 0), bias))
            continue
        if channels:
            side = int((shape[1] // channels) ** 0.5)
            weight = weight.reshape(-1, channels, side, side).transpose(0, 2, 3, 1).reshape(shape)
            channels = 0
        found.append((np.ascontiguousarray(weight.T), bias))
    return found


def digits(folder: str, part: str = "train", *, count: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (n, 28, 28) uint8 and labels (n) int64."""
    x, y = (np.load(Path(folder) / f"{part}_{name}.npy") for name in ("x", "y"))
    return x[:count], y[:count]


def scaled(x: np.ndarray) -> np.ndarray:
    """Pixels as float32 in 0..1."""
    return x.astype(np.float32) / np.float32(255)


def questions(folder: str, net: str, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures to answer, float32 (batch, 1, 28, 28), and the logits that every peer has to give."""
    x, _ = digits(folder, "test", count=batch)
    return scaled(x)[:, None], np.load(Path(folder) / f"{net}.logits.npy")[:batch]


def prepare(folder: str) -> None:
    """Write the digits, the arrays of every net as Retia makes them from seed 0, and PyTorch's logits."""
    import torch
    from peers import retia_net, torch_net

    import retia as rt

    every = rt.data("mnist")
    for part, examples in (("train", every.train), ("test", every.test)):
        columns = examples.arrays()
        np.save(Path(folder) / f"{part}_x.npy", np.asarray(columns["input"], np.uint8))
        np.save(Path(folder) / f"{part}_y.npy", np.asarray(columns["output"], np.int64))
    for name, spec in NETS.items():
        arrays = [np.asarray(array) for array in retia_net.build(spec).init(seed=0).arrays.values()]
        pairs = enumerate(zip(arrays[::2], arrays[1::2], strict=True))
        written = {f"{kind}{i}": array for i, pair in pairs for kind, array in zip(KINDS, pair, strict=True)}
        np.savez(Path(folder) / f"{name}.npz", **written)
        x, _ = digits(folder, "test", count=1024)
        with torch.no_grad():
            logits = torch_net.loaded(folder, name)(torch_net.pixels(x))
        np.save(Path(folder) / f"{name}.logits.npy", logits.numpy())
