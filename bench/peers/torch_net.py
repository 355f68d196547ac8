"""The nets in PyTorch, and their answers."""

import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import workloads
from torch import nn
from turns import Turns

from peers.common import timed_calls

LAYERS: dict[str, Callable[..., nn.Module]] = {
    "flatten": nn.Flatten,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "pool": lambda: nn.MaxPool2d(2),
}


def build(spec: workloads.Spec, arrays: workloads.Weights | None = None) -> nn.Sequential:
    """The net of a list of layers, from pixels in 0..1 to logits."""
    shapes = iter(workloads.sides(spec))
    layers = []
    for kind, *numbers in spec:
        if kind == "conv":
            (channels, before, kernel, _) = next(shapes)[1]
            layers.append(nn.Conv2d(before, channels, kernel, padding=numbers[2]))
        elif kind == "dense":
            size, before = next(shapes)[1]
            layers.append(nn.Linear(before, size))
        else:
            layers.append(LAYERS[kind]())
    net = nn.Sequential(*layers)
    if arrays is not None:
        own = [layer for layer in net if isinstance(layer, nn.Conv2d | nn.Linear)]
        with torch.no_grad():
            for layer, (weight, bias) in zip(own, arrays, strict=True):
                layer.weight.copy_(torch.from_numpy(weight))
                layer.bias.copy_(torch.from_numpy(bias))
    return net


def loaded(folder: str, net: str) -> nn.Sequential:
    """A net with the arrays that everybody begins with."""
    return build(workloads.NETS[net], workloads.weights(folder, net))


def pixels(x: np.ndarray) -> torch.Tensor:
    """Pictures as float32 (n, 1, 28, 28)."""
    return torch.from_numpy(workloads.scaled(x)).unsqueeze(1)


def test_accuracy(net: nn.Module, folder: str) -> float:
    """On the 10,000 pictures of the test part."""
    x, y = workloads.digits(folder, "test")
    with torch.inference_mode():
        found = torch.cat([net(part).argmax(1) for part in pixels(x).split(1000)])
    return (found == torch.from_numpy(y)).float().mean().item()


def answer(turns: Turns, folder: str, net: str, batch: int, mode: str, **_: Any) -> None:
    """A batch of pictures as float32 numbers, to logits: eager, no_grad, inference_mode or frozen."""
    x, reference = workloads.questions(folder, net, batch)
    x = torch.from_numpy(x)
    module = loaded(folder, net).eval()
    if mode == "eager":
        return timed_calls(turns, lambda: module(x).detach(), reference)
    if mode == "frozen":
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore", DeprecationWarning)
            module = torch.jit.freeze(torch.jit.trace(module, x))
    with torch.inference_mode() if mode == "inference_mode" else torch.no_grad():
        return timed_calls(turns, lambda: module(x), reference)


def onnx_bytes(module: nn.Module, x: torch.Tensor) -> bytes:
    """The module as an ONNX file, for batches of any size."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(), (x,), file, dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "n"}}
        )
    return file.getvalue()
