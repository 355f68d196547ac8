"""scikit-learn's MLPClassifier: ``partial_fit``, which keeps Adam's memory. It computes no accuracy."""

from typing import Any

import numpy as np
import workloads
from sklearn.neural_network import MLPClassifier
from turns import Turns

from peers.common import Unable

ACTIVATIONS = {"relu": "relu", "sigmoid": "logistic"}


def train(turns: Turns, folder: str, net: str, examples: int, **_: Any) -> dict[str, float]:
    """An epoch a turn, from arrays of its own."""
    spec = workloads.NETS[net]
    if workloads.is_convolutional(spec):
        raise Unable("has no convolutions")
    sizes = [layer[1] for layer in spec if layer[0] == "dense"]
    model = MLPClassifier(
        sizes[:-1], activation=ACTIVATIONS[spec[2][0]], solver="adam", alpha=0.0,
        batch_size=workloads.BATCH, learning_rate_init=workloads.RATE, random_state=0,
    )  # fmt: skip
    x, y = workloads.digits(folder, count=examples)
    rows, classes = workloads.scaled(x).reshape(len(x), -1), np.arange(10)
    while turns.go() is not None:
        model.partial_fit(rows, y, classes=classes)
        turns.done(loss=float(model.loss_))
    x, y = workloads.digits(folder, "test")
    return {"test": float(model.score(workloads.scaled(x).reshape(len(x), -1), y))}
