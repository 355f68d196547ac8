"""One epoch of digits with scikit-learn."""

import os
from pathlib import Path

import numpy as np
from sklearn.neural_network import MLPClassifier

folder, count = Path(os.environ["BENCH_DATA"]), int(os.environ["BENCH_EXAMPLES"])
x = np.load(folder / "train_x.npy")[:count].reshape(count, -1).astype(np.float32) / np.float32(255)
y = np.load(folder / "train_y.npy")[:count]
model = MLPClassifier((200, 60), alpha=0.0, batch_size=128)
model.partial_fit(x, y, classes=np.arange(10))
print("epoch 1", model.loss_, flush=True)
