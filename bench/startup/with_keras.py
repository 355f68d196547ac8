"""One epoch of digits with Keras, on the backend that KERAS_BACKEND names."""

import os
from pathlib import Path

import keras
import numpy as np
from keras import layers

folder, count = Path(os.environ["BENCH_DATA"]), int(os.environ["BENCH_EXAMPLES"])
x = np.load(folder / "train_x.npy")[:count].astype(np.float32) / np.float32(255)
y = np.load(folder / "train_y.npy")[:count]
model = keras.Sequential([
    keras.Input((28, 28)), layers.Flatten(), layers.Dense(200, activation="relu"),
    layers.Dense(60, activation="relu"), layers.Dense(10),
])  # fmt: skip
model.compile(
    optimizer=keras.optimizers.Adam(1e-3),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
history = model.fit(x, y, batch_size=128, epochs=1, verbose=0).history
print("epoch 1", history["loss"][0], history["accuracy"][0], flush=True)
