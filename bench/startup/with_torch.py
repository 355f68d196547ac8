"""One epoch of digits with PyTorch, as its tutorials write it."""

import os
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

folder, count = Path(os.environ["BENCH_DATA"]), int(os.environ["BENCH_EXAMPLES"])
x = torch.from_numpy(np.load(folder / "train_x.npy")[:count]).float().div_(255)
y = torch.from_numpy(np.load(folder / "train_y.npy")[:count])
loader = DataLoader(TensorDataset(x, y), batch_size=128, shuffle=True)
model = nn.Sequential(
    nn.Flatten(), nn.Linear(784, 200), nn.ReLU(), nn.Linear(200, 60), nn.ReLU(), nn.Linear(60, 10)
)
optimizer = torch.optim.Adam(model.parameters(), 1e-3)
criterion = nn.CrossEntropyLoss()
total, right = 0.0, 0
for inputs, labels in loader:
    optimizer.zero_grad()
    outputs = model(inputs)
    loss = criterion(outputs, labels)
    loss.backward()
    optimizer.step()
    total += loss.item()
    right += (outputs.argmax(1) == labels).sum().item()
print("epoch 1", total / len(loader), right / count, flush=True)
