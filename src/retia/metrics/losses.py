"""All losses by name, and how one is found under the spellings of other frameworks."""

from __future__ import annotations

from functools import partial
from typing import Any

from retia.errors import ArgumentError, did_you_mean
from retia.metrics.batch_losses import Contrastive, Triplet
from retia.metrics.class_losses import KL, BinaryCrossEntropy, BinaryFocal, CrossEntropy, Focal
from retia.metrics.detection_loss import Detection
from retia.metrics.loss import Loss
from retia.metrics.number_losses import MAE, MSE, Hinge, Huber, Poisson
from retia.metrics.sequence_losses import CTC

LOSSES: dict[str, type[Loss]] = {
    kind.name: kind
    for kind in (
        CrossEntropy, BinaryCrossEntropy, Focal, BinaryFocal, MSE, MAE, Huber, Hinge, Poisson, KL,
        Contrastive, Triplet, CTC, Detection,
    )
}  # fmt: skip

_ALIASES = {
    "categoricalcrossentropy": "cross-entropy", "sparsecategoricalcrossentropy": "cross-entropy",
    "ce": "cross-entropy", "nll": "cross-entropy", "logloss": "cross-entropy",
    "softmaxcrossentropy": "cross-entropy", "multiclasslogloss": "cross-entropy",
    "bce": "binary-cross-entropy", "bcewithlogits": "binary-cross-entropy",
    "binarycrossentropywithlogits": "binary-cross-entropy", "multilabelsoftmargin": "binary-cross-entropy",
    "binarylogloss": "binary-cross-entropy", "categoricalfocalcrossentropy": "focal",
    "binaryfocalcrossentropy": "binary-focal", "sigmoidfocal": "binary-focal",
    "meansquarederror": "mse", "meansquared": "mse", "squarederror": "mse", "l2": "mse",
    "meanabsoluteerror": "mae", "meanabsolute": "mae", "absoluteerror": "mae", "l1": "mae",
    "smoothl1": "huber", "poissonnll": "poisson", "kld": "kl", "kldiv": "kl", "kldivergence": "kl",
    "kullbackleiblerdivergence": "kl", "tripletmargin": "triplet", "tripletsemihard": "triplet",
}  # fmt: skip

_NEAREST = {
    "squaredhinge": "Hinge(squared=True)", "triplethard": 'Triplet(mining="hard")',
    "gaussiannll": "MSE()", "logcosh": "Huber()", "multimargin": "Hinge()", "multilabelmargin": "Hinge()",
    "softmargin": "BinaryCrossEntropy()", "categoricalhinge": "Hinge()", "hingeembedding": "Contrastive()",
    "cosineembedding": "Contrastive()", "cosinesimilarity": "Contrastive()",
}  # fmt: skip
"""What other frameworks have under a name, and what does the same or nearly so here."""


def find_loss(name: str) -> Loss:
    """A loss by its name, also in Keras's or PyTorch's spelling, with its usual settings.

    Raises:
        ArgumentError: no loss is called so.
    Example:
        >>> find_loss("CrossEntropyLoss"), find_loss("mean_squared_error")
        (CrossEntropy(), MSE())
    """
    known = _known(name)
    if known is not None:
        return LOSSES[known]()
    nearest = _NEAREST.get(_plain(name)) or _NEAREST.get(_plain(name).removesuffix("loss"))
    if nearest is not None:
        raise ArgumentError(
            f"loss: there is none called {name!r}; the nearest is rt.{nearest}.",
            fix=f"loss=rt.{nearest}, or a function of outputs and targets",
            expected=[*LOSSES],
            got=name,
        )
    raise ArgumentError(
        f"loss: there is none called {name!r}.{did_you_mean(name, LOSSES)}",
        fix=f"one of {', '.join(map(repr, LOSSES))}, or a function of outputs and targets",
        expected=[*LOSSES],
        got=name,
    )


def foreign_loss(given: Any) -> tuple[str, str] | None:
    """What a loss of PyTorch's or Keras's is called there and here; None for anything else."""
    given = given.func if isinstance(given, partial) else given
    name = getattr(given, "__name__", None)
    named = name if isinstance(name, str) else type(given).__name__
    place = getattr(given, "__module__", None) or ""
    if not place.startswith(("torch.nn.modules.loss", "torch.nn.functional", "keras.", "tensorflow.")):
        return None
    known = _known(named)
    return (named, LOSSES[known].__name__) if known is not None else None


def _known(name: str) -> str | None:
    plain = _plain(name)
    names = {_plain(known): known for known in LOSSES} | _ALIASES
    return names.get(plain) or names.get(plain.removesuffix("loss"))


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


__all__ = [
    "BinaryCrossEntropy",
    "BinaryFocal",
    "CTC",
    "Contrastive",
    "CrossEntropy",
    "Detection",
    "Focal",
    "Hinge",
    "Huber",
    "KL",
    "LOSSES",
    "Loss",
    "MAE",
    "MSE",
    "Poisson",
    "Triplet",
    "find_loss",
    "foreign_loss",
]
