"""The best loop that a good engineer writes with PyTorch alone.

Tensors that stay in memory, one random order an epoch, fused Adam, denormals flushed before PyTorch's
threads start, colours last for convolutions, loss and accuracy read once an epoch.
"""

import copy
import time
from collections.abc import Callable
from typing import Any

import torch
import workloads
from torch import nn
from torch.nn import functional
from turns import Turns

from peers import memory, torch_net

Step = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def train(
    turns: Turns, folder: str, net: str, examples: int, last: bool = True, compiled: bool = False, **_: Any
) -> dict[str, float]:
    """An epoch a turn.

    Args:
        last: colours last (NHWC), where there are pictures.
        compiled: the net and its loss through ``torch.compile``.
    """
    torch.set_flush_denormal(True)
    model = torch_net.loaded(folder, net)
    x, y = _resident(folder, workloads.NETS[net], examples, last)
    if last:
        model = model.to(memory_format=torch.channels_last)
    epoch = epochs_of(model, x, y, workloads.BATCH, compiled=compiled)
    while turns.go() is not None:
        loss, accuracy = epoch()
        turns.done(loss=loss, accuracy=accuracy)
    return {"test": torch_net.test_accuracy(model, folder)}


def epochs_of(
    model: nn.Module, x: torch.Tensor, y: torch.Tensor, batch: int, *, compiled: bool = False
) -> Callable[[], tuple[float, float]]:
    """A function that trains an epoch and answers its mean loss and accuracy."""
    optimizer = torch.optim.Adam(model.parameters(), workloads.RATE, fused=True)

    def judge(inputs: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        outputs = model(inputs)
        loss = functional.cross_entropy(outputs, labels)
        return loss, (outputs.detach().argmax(1) == labels).sum()

    judge_step: Step = torch.compile(judge, dynamic=False) if compiled else judge

    def epoch() -> tuple[float, float]:
        total, right = torch.zeros(()), torch.zeros((), dtype=torch.int64)
        rows = torch.randperm(len(x)).split(batch)
        for row in rows:
            inputs = x.index_select(0, row)
            if x.dtype == torch.uint8:
                inputs = inputs.float().div_(255)
            optimizer.zero_grad(set_to_none=True)
            loss, hits = judge_step(inputs, y.index_select(0, row))
            loss.backward()
            optimizer.step()
            total += loss.detach()
            right += hits
        return total.item() / len(rows), right.item() / len(x)

    return epoch


def seeds(
    turns: Turns, folder: str, net: str, count: int, epochs: int, examples: int, **_: Any
) -> dict[str, float]:
    """Whole trainings of several seeds one after another, a turn."""
    torch.set_flush_denormal(True)
    spec = workloads.NETS[net]
    x, y = _resident(folder, spec, examples, False)
    models: list[nn.Module] = []
    while turns.go() is not None:
        models = []
        for seed in range(count):
            torch.manual_seed(seed)
            models.append(torch_net.build(spec))
            _train(models[-1], x, y, workloads.BATCH, epochs)
        turns.done()
    return {"test": sum(torch_net.test_accuracy(model, folder) for model in models) / len(models)}


def _train(model: nn.Module, x: torch.Tensor, y: torch.Tensor, batch: int, count: int) -> None:
    epoch = epochs_of(model, x, y, batch)
    for _ in range(count):
        epoch()


def peak(turns: Turns, folder: str, net: str, examples: int, epochs: int, **_: Any) -> None:
    """Bytes of a training that keeps its best weights, above those of PyTorch and the data (bytes too)."""
    torch.set_flush_denormal(True)
    pictures, labels = workloads.digits(folder, count=examples)
    one = nn.Linear(1, 1)  # what is imported late is no part of a training
    epochs_of(one, torch.ones(1, 1), torch.zeros(1, dtype=torch.int64), 1)()
    turns.go()
    before = memory.start()
    x, y = torch.from_numpy(pictures).unsqueeze(1), torch.from_numpy(labels)
    model = torch_net.build(workloads.NETS[net])
    if workloads.is_convolutional(workloads.NETS[net]):
        model = model.to(memory_format=torch.channels_last)
    epoch = epochs_of(model, x, y, workloads.BATCH)
    best, kept = float("inf"), {}
    for _ in range(epochs):
        loss, _accuracy = epoch()
        if loss < best:
            best, kept = loss, copy.deepcopy(model.state_dict())
    turns.done(seconds=memory.peak() - before, whole=memory.peak())
    del kept


def grow(turns: Turns, folder: str, **_: Any) -> None:
    """The best epoch after the first, of the net and the numbers that each turn asks for."""
    torch.set_flush_denormal(True)
    every = workloads.digits(folder)
    x, y = torch_net.pixels(every[0]), torch.from_numpy(every[1])
    while (asked := turns.go()) is not None:
        examples = asked["examples"]
        epoch = epochs_of(torch_net.build(asked["spec"]), x[:examples], y[:examples], asked["batch"])
        seconds = []
        for _ in range(asked["epochs"]):
            begin = time.perf_counter()
            epoch()
            seconds.append(time.perf_counter() - begin)
        turns.done(seconds=min(seconds[1:]))


def _resident(folder: str, spec: workloads.Spec, count: int, last: bool) -> tuple[torch.Tensor, torch.Tensor]:
    x, y = workloads.digits(folder, count=count)
    pixels = torch_net.pixels(x)
    if last and workloads.is_convolutional(spec):
        pixels = pixels.to(memory_format=torch.channels_last)
    return pixels, torch.from_numpy(y)
