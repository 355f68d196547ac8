"""The loop of PyTorch's own tutorials: a DataLoader, Adam, numbers read after every step."""

from typing import Any

import torch
import workloads
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset
from turns import Turns

from peers import torch_net


def train(turns: Turns, folder: str, net: str, examples: int, **_: Any) -> dict[str, float]:
    """An epoch a turn."""
    x, y = workloads.digits(folder, count=examples)
    pairs = TensorDataset(torch_net.pixels(x), torch.from_numpy(y))
    loader = DataLoader(pairs, batch_size=workloads.BATCH, shuffle=True)
    model = torch_net.loaded(folder, net)
    optimizer = torch.optim.Adam(model.parameters(), workloads.RATE)
    while turns.go() is not None:
        total, right = 0.0, 0
        for inputs, labels in loader:
            optimizer.zero_grad()
            outputs = model(inputs)
            loss = functional.cross_entropy(outputs, labels)
            loss.backward()
            optimizer.step()
            total += loss.item()
            right += (outputs.argmax(1) == labels).sum().item()
        turns.done(loss=total / len(loader), accuracy=right / len(pairs))
    return {"test": torch_net.test_accuracy(model, folder)}
