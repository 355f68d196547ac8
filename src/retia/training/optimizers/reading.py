"""How an optimizer is read from what the user said: a value, or a name as PyTorch and Keras spell it."""

from __future__ import annotations

from typing import Any

from retia.errors import ArgumentError, did_you_mean
from retia.nets import registry
from retia.training.optimizer import Optimizer
from retia.training.optimizers.adam import Adam, AdamW
from retia.training.optimizers.adaptive import Adadelta, Adagrad, RMSprop
from retia.training.optimizers.lbfgs import LBFGS
from retia.training.optimizers.sgd import SGD
from retia.training.optimizers.sign import Lion, SignSGD
from retia.training.optimizers.variants import Adamax, NAdam, RAdam

KINDS: tuple[type[Optimizer], ...] = (
    SGD, Adam, AdamW, NAdam, RAdam, Adamax, RMSprop, Adagrad, Adadelta, Lion, SignSGD, LBFGS,
)  # fmt: skip
OPTIMIZERS: dict[str, type[Optimizer]] = {kind.__name__: kind for kind in KINDS}

OTHER_NAMES: dict[str, Optimizer] = {
    "momentum": SGD(momentum=0.9),
    "nesterov": SGD(momentum=0.9, nesterov=True),
    "nag": SGD(momentum=0.9, nesterov=True),
    "gradientdescent": SGD(),
    "amsgrad": Adam(amsgrad=True),
    "nadamw": NAdam(decoupled_weight_decay=True),
    "radamw": RAdam(decoupled_weight_decay=True),
    "signum": SignSGD(momentum=0.9),
}
"""What else a name may mean, without its case and marks."""

for _kind in OPTIMIZERS.values():
    registry.register(_kind)


def read_optimizer(given: Any) -> Optimizer:
    """An optimizer as a value, by name, or the default, ``Adam(1e-3)``.

    Case, ``-`` and ``_`` do not matter, and a path such as ``torch.optim.SGD`` counts by its end.

    Raises:
        ArgumentError: it is none.
    Example:
        >>> read_optimizer("sgd"), read_optimizer("nesterov"), read_optimizer(None)
        (SGD(), SGD(momentum=0.9, nesterov=True), Adam())
    """
    if isinstance(given, Optimizer):
        return given
    if given is None:
        return Adam()
    if isinstance(given, str):
        return _named(given)
    choices = _choices()
    kind = given if isinstance(given, type) else type(given)
    if kind is given and issubclass(kind, Optimizer):
        raise ArgumentError(
            f"optimizer is the class {kind.__name__}, not a value.", fix=f"rt.{kind.__name__}()", got=given
        )
    owner = _owner(kind)
    if owner is not None:
        ours = _known(kind.__name__)
        fix = f"rt.{type(ours).__name__}(learning_rate)" if ours is not None else f"one of {choices}"
        raise ArgumentError(
            f"optimizer is {owner}'s {kind.__name__}, which owns its arrays.", fix=fix, got=given
        )
    raise ArgumentError(f"optimizer is one of {choices}, or its name; got {given!r}.", got=given)


def _named(given: str) -> Optimizer:
    found = _known(given)
    if found is None:
        raise ArgumentError(
            f"optimizer: there is none called {given!r}.{did_you_mean(given, [*OPTIMIZERS, *OTHER_NAMES])}",
            fix=f"one of {_choices()}",
            got=given,
        )
    return found


def _known(name: str) -> Optimizer | None:
    plain = _plain(name)
    for ours, kind in OPTIMIZERS.items():
        if plain == ours.lower():
            return kind()
    return OTHER_NAMES.get(plain)


def _plain(name: str) -> str:
    """A name without its module, case and marks."""
    letters = "".join(letter for letter in name.rpartition(".")[2].lower() if letter.isalnum())
    return letters.removesuffix("optimizer")


def _owner(kind: type[Any]) -> str | None:
    """The framework whose optimizer this is."""
    owners = {"torch": "PyTorch", "keras": "Keras"}
    return owners.get(kind.__module__.partition(".")[0]) if ".optim" in kind.__module__ else None


def _choices() -> str:
    return ", ".join(f"rt.{name}" for name in OPTIMIZERS)
