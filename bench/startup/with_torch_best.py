"""One epoch of digits with PyTorch: tensors in memory, fused Adam, denormals flushed."""

import os
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

torch.set_flush_denormal(True)
folder, count = Path(os.environ["BENCH_DATA"]), int(os.environ["BENCH_EXAMPLES"])
x = torch.from_numpy(np.load(folder / "train_x.npy")[:count]).float().div_(255).flatten(1)
y = torch.from_numpy(np.load(folder / "train_y.npy")[:count])
model = nn.Sequential(nn.Linear(784, 200), nn.ReLU(), nn.Linear(200, 60), nn.ReLU(), nn.Linear(60, 10))
optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
total, right = torch.zeros(()), torch.zeros((), dtype=torch.int64)
rows = torch.randperm(count).split(128)
for row in rows:
    optimizer.zero_grad(set_to_none=True)
    labels = y.index_select(0, row)
    outputs = model(x.index_select(0, row))
    loss = functional.cross_entropy(outputs, labels)
    loss.backward()
    optimizer.step()
    total += loss.detach()
    right += (outputs.detach().argmax(1) == labels).sum()
print("epoch 1", total.item() / len(rows), right.item() / count, flush=True)
