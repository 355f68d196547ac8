"""Keras 3 on the backend that the environment names: ``model.fit``, as its documents write it."""

from typing import Any

import keras
import workloads
from keras import layers
from turns import Turns

LAYERS = {
    "conv": lambda channels, kernel, padding: layers.Conv2D(
        channels, kernel, padding="same" if padding else "valid"
    ),
    "dense": lambda size: layers.Dense(size),
    "flatten": lambda: layers.Flatten(),
    "pool": lambda: layers.MaxPooling2D(2),
    "relu": lambda: layers.Activation("relu"),
    "sigmoid": lambda: layers.Activation("sigmoid"),
}


class _Taking(keras.callbacks.Callback):
    """Ends a turn after every epoch, and waits for the next."""

    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self.turns = turns

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.turns.done(loss=float(logs["loss"]), accuracy=float(logs["accuracy"]))
        self.model.stop_training = self.turns.go() is None


def train(
    turns: Turns, folder: str, net: str, rounds: int, examples: int, together: int = 1, **_: Any
) -> dict[str, float]:
    """An epoch a turn, all of one ``fit``.

    Args:
        together: steps in one execution.
    """
    spec = workloads.NETS[net]
    model = keras.Sequential([keras.Input((28, 28, 1)), *(LAYERS[kind](*numbers) for kind, *numbers in spec)])
    own = [layer for layer in model.layers if layer.weights]
    arrays = workloads.channels_last(spec, workloads.weights(folder, net))
    for layer, (weight, bias) in zip(own, arrays, strict=True):
        layer.set_weights([weight, bias])
    model.compile(
        optimizer=keras.optimizers.Adam(workloads.RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        steps_per_execution=together,
    )
    x, y = workloads.digits(folder, count=examples)
    pixels = workloads.scaled(x)[..., None]
    turns.go()
    model.fit(
        pixels, y, batch_size=workloads.BATCH, epochs=rounds + 1, shuffle=True, verbose=0,
        callbacks=[_Taking(turns)],
    )  # fmt: skip
    x, y = workloads.digits(folder, "test")
    _, accuracy = model.evaluate(workloads.scaled(x)[..., None], y, batch_size=1000, verbose=0)
    return {"test": float(accuracy)}
