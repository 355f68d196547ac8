"""The interface of losses: values with settings, from a batch of outputs and targets to numbers.

Each leaf knows its stable form where the output comes straight from a ``Softmax`` or ``Sigmoid``: it then
reads the logits. Which output has which loss is said in ``terms.py``; leaves stand by family beside this.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, dataclass_transform

from retia._torch import torch
from retia.codecs.labels import Label, read_label
from retia.errors import ArgumentError, did_you_mean
from retia.nets import registry
from retia.nets.expression import Content, show
from retia.nets.settings import declared, given, setting, settle

if TYPE_CHECKING:
    from torch import Tensor

LIKE, CLASSES, SHARES, LABELS, PAIRS, SEQUENCE, NONE = (
    "like", "classes", "shares", "labels", "pairs", "sequence", "none",
)  # fmt: skip
"""Forms of targets: of the output's shape; class numbers or their probabilities; probabilities; a label an
example; a label or, for distances, a truth value; a sequence of class numbers; no targets."""


class Loss(Content, ABC):
    """The interface of losses. Leaves are ``@loss`` classes.

    Class attributes:
        name: as ``loss=`` takes it.
        form: of the targets.
        sense: what an output without a codec says: ``"classes"``, ``"boolean"``, ``"numbers"``, or
            ``"nothing"`` that could be measured against its targets.
        suits: the endings that it applies itself: it reads what stands before them.
        scores: whether it takes numbers of any size, so that probabilities are a mistake.
        low, high: between which numbers targets are.
    """

    cure: ClassVar[str] = ""
    name: ClassVar[str]
    form: ClassVar[str] = LIKE
    sense: ClassVar[str] = "numbers"
    suits: ClassVar[tuple[str, ...]] = ()
    scores: ClassVar[bool] = False
    low: ClassVar[float] = -math.inf
    high: ClassVar[float] = math.inf

    def __post_init__(self) -> None:
        settle(self)

    # For leaves -----------------------------------------------------------------------------------

    @abstractmethod
    def formula(self, output: Tensor, target: Tensor, axis: int = -1, mask: Tensor | None = None) -> Tensor:
        """The losses of a batch: one for each position or example, or one for all.

        Args:
            output: as the net gives it, batch first.
            target: in the form that is asked for.
            axis: along which classes stand, 1 and up or negative.
            mask: True where the output is real and not padding; None where nothing is padded.
        """

    def of_logits(self, output: Tensor, target: Tensor, axis: int = -1, mask: Tensor | None = None) -> Tensor:
        """The same of what stands before an ending that suits."""
        return self.formula(output, target, axis, mask)

    def settled(self, labels: Sequence[Any] | None, classes: int | None) -> Self:
        """The loss as it is for an output with these labels, or so many classes."""
        return self

    # Finished -------------------------------------------------------------------------------------

    @property
    def told(self) -> str:
        """As summaries show it: its name, or the expression where settings are not the usual ones."""
        return show(self) if given(self) else self.name


K = TypeVar("K", bound=Loss)


@dataclass_transform(frozen_default=True, field_specifiers=(setting,))
def loss(cls: type[K]) -> type[K]:
    """Make a class a loss: a frozen value, known to expressions under its name."""
    made = declared(cls)
    registry.register(made)
    return made


# Weights ------------------------------------------------------------------------------------------


def read_weights(name: str, value: Any) -> Any:
    """The rule of ``weights=``: None, a number for each class, or a dict of them by label."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        return MappingProxyType({label: _weight(name, each) for label, each in value.items()})
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ArgumentError(
            f"{name} is a number for each class, or a dict from labels to numbers; got {value!r}.", got=value
        )
    return tuple(_weight(name, each) for each in value)


def read_weight(name: str, value: Any) -> Any:
    """The rule of ``weight_of_true=``: a number, or one for each entry of the last axis."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list | tuple):
        return tuple(_weight(name, each) for each in value)
    return _weight(name, value)


def _weight(name: str, value: Any) -> float:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    if not plain or not 0 <= value < math.inf:
        raise ArgumentError(f"{name} are numbers of at least 0; got {value!r}.", got=value)
    return float(value)


def by_class(
    weights: Any, labels: Sequence[Any] | None, classes: int | None, told: str
) -> tuple[float, ...] | None:
    """Weights in the order of the classes; those that a dict leaves out are 1.

    Raises:
        ArgumentError: another number of them than of classes, or a label that there is not.
    """
    if isinstance(weights, Mapping):
        known = list(range(classes or 0)) if labels is None else list(labels)
        for label in weights:
            if not any(type(label) is type(each) and label == each for each in known):
                raise ArgumentError(
                    f"{told}: weights names {label!r}, which is none of the {len(known)} labels."
                    + did_you_mean(label, [each for each in known if isinstance(each, str)]),
                    expected=known,
                    got=label,
                )
        weights = tuple(weights.get(each, 1.0) for each in known)
    found: tuple[float, ...] | None = weights
    if found is not None and classes is not None and len(found) != classes:
        raise ArgumentError(
            f"{told}: there are {len(found)} weights, but {classes} classes.",
            expected=classes,
            got=len(found),
        )
    return found


def read_ignore(name: str, value: Any) -> Label | None:
    """The rule of ``ignore=``: None, a label, or a class number."""
    label = read_label(value)
    if label is None and value is not None:
        raise ArgumentError(f"{name} is a label, or a class number; got {value!r}.", got=value)
    return label


def ignored_class(ignore: Label, labels: Sequence[Any] | None, told: str) -> int:
    """The class number of the label that counts nothing; without labels it is the number itself.

    Raises:
        ArgumentError: there is no such label.
    """
    if labels is None and isinstance(ignore, int):
        return int(ignore)
    for number, label in enumerate(labels or ()):
        if type(label) is type(ignore) and label == ignore:
            return number
    raise ArgumentError(
        f"{told}: ignore names {ignore!r}, which is none of the {len(labels or ())} labels."
        + did_you_mean(str(ignore), [each for each in labels or () if isinstance(each, str)]),
        expected=labels,
        got=ignore,
    )


def row(values: tuple[float, ...], like: Tensor) -> Tensor:
    """Numbers as a tensor of another's kind and place."""
    return torch.tensor(values, dtype=like.dtype, device=like.device)


def along(values: tuple[float, ...], like: Tensor, axis: int) -> Tensor:
    """Numbers that stand along one axis of a tensor, for all places of the others."""
    shape = [1] * like.dim()
    shape[axis] = len(values)
    return row(values, like).reshape(shape)


# Parts of formulas --------------------------------------------------------------------------------


def logs_of(chances: Tensor) -> Tensor:
    """Logarithms of probabilities, finite also where they are 0: that counts as the least normal number."""
    return chances.clamp_min(torch.finfo(chances.dtype).tiny).log()


def is_numbers(target: Tensor, output: Tensor) -> bool:
    """Whether targets are class numbers: one axis fewer than the outputs."""
    return target.dim() == output.dim() - 1
