"""Which loss an output has, and what it reads: the output itself, or the logits before its ending.

Settled before the first step, from the net, the output's codec and what was said. What the graph shows to
be wrong (softmax applied twice, probabilities where scores are due) is refused here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from retia._torch import torch
from retia.engine.ending import ENDINGS
from retia.errors import ArgumentError, ShapeError, TrainingError
from retia.metrics.loss import CLASSES, LABELS, NONE, PAIRS, SEQUENCE, SHARES, Loss, ignored_class, is_numbers
from retia.metrics.losses import find_loss, foreign_loss
from retia.metrics.sequence_losses import Own
from retia.nets.net import Net
from retia.nets.wiring import Node, Value
from retia.shapes import Extent, show

if TYPE_CHECKING:
    from torch import Tensor

Function: TypeAlias = "Callable[[Any, Any], Tensor]"

LOSS = "loss"
"""An output of this name is a loss that the net computes itself."""

_KEEPS_SENSE = (
    "Flatten", "Reshape", "Transpose", "Part", "Concat", "Replicate", "Resize", "Upsample",
    "Plus", "Times", "Arithmetic", "Maximum", "Minimum", "Reduce",
)  # fmt: skip
"""Layers that move or mix elements: of probabilities alone they make probabilities, never logits."""

_HALF = ("float16", "bfloat16")


@dataclass(frozen=True)
class Term:
    """The loss of one output.

    Attributes:
        port: which output.
        loss: a loss, or a function of output and target.
        weight: factor in the sum over the outputs.
        output: the value that the net gives.
        reads: the value that the formula takes: ``output``, or the logits before it.
        ending: the activation that gives the output, as a decoder knows it.
        axis: of the classes in a batch, for losses that sum over classes.
        of_logits: whether it reads logits.
        ignored: the class number of targets that count nothing, in the loss and in all metrics.
    """

    port: str
    loss: Loss | Function
    weight: float
    output: Value
    reads: Value
    ending: str | None
    axis: int = -1
    of_logits: bool = False
    ignored: int | None = None

    @property
    def name(self) -> str:
        """The loss as settings and summaries show it."""
        if isinstance(self.loss, Loss):
            return self.loss.told
        return getattr(self.loss, "__name__", type(self.loss).__name__)

    @property
    def has_targets(self) -> bool:
        """Whether the output is compared with anything."""
        return not isinstance(self.loss, Loss) or self.loss.form != NONE

    def each(self, value: Tensor, target: Any, mask: Tensor | None = None) -> Tensor:
        """The losses of a batch: one a position, one an example, or one for all."""
        if not isinstance(self.loss, Loss):
            return answered(self.loss(value, target), value, self.name)
        if str(value.dtype).removeprefix("torch.") in _HALF:  # sums over a batch need more digits
            value = value.float()
        formula = self.loss.of_logits if self.of_logits else self.loss.formula
        return formula(value, self.within(value, target), self.axis, mask)

    def sums(self, value: Tensor, target: Any, mask: Tensor | None) -> tuple[Tensor, Tensor | int]:
        """The losses of a batch added up, and how many positions or examples they are of.

        ``mask`` is True where the value is real and not padding; only real positions count, and of these
        only those whose target is not the class that is ignored.
        """
        each = self.each(value, target, mask)
        if each.dim() == 0:
            return each * len(value), len(value)
        known = self.known(value, target)
        if mask is None and known is None:
            return each.sum(), each.numel()
        if mask is not None:
            if each.dim() < mask.dim():
                mask = mask.select(self.axis, 0) if each.dim() == mask.dim() - 1 else mask.flatten(1).any(1)
            mask = mask.expand_as(each)
            known = mask if known is None else mask & known
        assert known is not None
        return torch.where(known, each, each.new_zeros(())).sum(), known.sum()

    def known(self, value: Tensor, target: Tensor) -> Tensor | None:
        """True where the target is not the class that is ignored; None where none is."""
        if self.ignored is None:
            return None
        return (target if is_numbers(target, value) else target.argmax(self.axis)) != self.ignored

    def within(self, value: Tensor, target: Any) -> Any:
        """The targets; where the number that is ignored is none of the classes, one that is stands for it."""
        if self.ignored is None or not is_numbers(target, value):
            return target
        if 0 <= self.ignored < value.shape[self.axis]:
            return target
        return torch.where(target == self.ignored, torch.zeros_like(target), target)


def term_of(net: Net, port: str, given: Any, whole: Mapping[str, bool]) -> Term:
    """The loss of an output, as it was given.

    Args:
        net: with its codecs as they are in training.
        port: which output.
        given: None, a name, a loss, a function, or a pair of one of these and its weight.
        whole: for outputs without codec, whether their targets are whole numbers.
    Raises:
        ArgumentError: it is none. TrainingError: it cannot suit the output.
    """
    weight = 1.0
    if isinstance(given, tuple):
        if len(given) != 2 or isinstance(given[1], bool) or not isinstance(given[1], int | float):
            raise ArgumentError(f"loss: a pair is a loss and its weight; got {given!r}.", got=given)
        given, weight = given
    if not 0 < weight < float("inf"):
        idle = weight == 0 and len(net.outputs) > 1
        cure = f"leave {port!r} out of loss=: outputs without a loss are not trained" if idle else None
        raise ArgumentError(f"loss: the weight of {port} is above 0; got {weight!r}.", fix=cure, got=weight)
    at = net.wiring.outputs[port]
    ending = _ending(net.wiring.producer(at))
    if given is None:
        given = _suiting(net, port, ending, whole)
    if isinstance(given, str):
        given = find_loss(given)
    if isinstance(given, Loss):
        return _by_loss(net, port, given, float(weight), at, ending)
    refuse_foreign(given)
    if isinstance(given, type) and issubclass(given, Loss):
        raise ArgumentError(
            f"loss is the class {given.__name__}, not a value.", fix=f"loss=rt.{given.__name__}()", got=given
        )
    if callable(given) and not isinstance(given, type | Net):
        return Term(port, given, float(weight), at, at, ending)
    raise ArgumentError(
        "loss is a name, a loss, a function of output and target, or a dict of these by port; "
        f"got {given!r}.",
        got=given,
    )


def refuse_foreign(given: Any) -> None:
    """Make sure that a function is no loss of another framework's, which would take softmax for logits.

    Raises:
        ArgumentError: it is one.
    """
    known = foreign_loss(given)
    if known is not None:
        raise ArgumentError(
            f"loss is another framework's {known[0]}, which cannot see what the net ends in.",
            fix=f"loss=rt.{known[1]}()",
            got=given,
        )


def _by_loss(net: Net, port: str, loss: Loss, weight: float, at: Value, ending: str | None) -> Term:
    node = net.wiring.producer(at)
    axis = _axis(node) if ending in ("softmax", "log_softmax") else _codec_axis(net, port)
    _refuse_mixed_up(port, loss, ending, node)
    loss = _settled(net, port, loss, at, axis)
    ignored = _ignored(net, port, loss)
    shape = net.solution.shape(at)
    _refuse_shape(port, loss, shape, axis)
    if ending in loss.suits and node is not None and not _varies(net, at, axis):
        return Term(port, loss, weight, at, node.sources[0], ending, axis, True, ignored)
    logits = bool(loss.suits) and not _is_probability(net, at)
    return Term(port, loss, weight, at, at, ending, axis, logits, ignored)


def _ignored(net: Net, port: str, loss: Loss) -> int | None:
    """Which class counts nothing: that of the loss, else that of the output's codec."""
    codec = net.outputs[port].codec
    label = getattr(loss, "ignore", None)
    if label is None and loss.form == CLASSES:
        label = getattr(codec, "ignore", None)
    return None if label is None else ignored_class(label, getattr(codec, "labels", None), loss.told)


def _settled(net: Net, port: str, loss: Loss, at: Value, axis: int) -> Loss:
    shape = net.solution.shape(at)
    last = shape[axis if axis < 0 else axis - 1] if shape else None
    labels = getattr(net.outputs[port].codec, "labels", None)
    return loss.settled(labels, last if isinstance(last, int) else None)


def _refuse_mixed_up(port: str, loss: Loss, ending: str | None, node: Node | None) -> None:
    """Make sure that a loss gets probabilities, logits or scores, whichever it is of."""
    if node is None or ending is None:
        return
    many = loss.form in (CLASSES, SHARES, SEQUENCE)
    if many and ending == "sigmoid":
        raise TrainingError(
            f"{port}: {loss.name} takes probabilities that sum to 1, but {node.label} gives each alone.",
            fix="end in rt.Softmax(), or loss='binary-cross-entropy' or 'mse'",
            path=port,
        )
    if loss.sense == "boolean" and ending == "log_softmax":
        raise TrainingError(
            f"{port}: {loss.name} takes a probability for each entry, but {node.label} gives logarithms.",
            fix="end in rt.Sigmoid(), or loss='cross-entropy'",
            path=port,
        )
    if loss.scores:
        raise TrainingError(
            f"{port}: {loss.name} takes scores of any size, but {node.label} gives probabilities.",
            fix=f"leave {node.path} out, or loss='{'binary-' * (ending == 'sigmoid')}cross-entropy'",
            path=port,
        )


_SHAPES = {
    NONE: ("is one number an example", 'rt.Reduce("mean") before it makes it one'),
    PAIRS: ("is an embedding, (n), or a distance, ()", "rt.Flatten(); rt.Part(0) of a distance in a column"),
    LABELS: ("is an embedding, (n)", "rt.Flatten()"),
    SEQUENCE: ("is (time, classes), the classes last", "rt.Transpose, or rt.Softmax() along the last axis"),
}  # fmt: skip


def _refuse_shape(port: str, loss: Loss, shape: Any, axis: int) -> None:
    """Make sure that an output has the form that its loss needs."""
    if shape is None or loss.form not in _SHAPES:
        return
    rank = len(shape)
    fits = {
        NONE: shape in ((), (1,)),
        PAIRS: rank == 0 or (rank == 1 and shape != (1,)),
        LABELS: rank == 1,
        SEQUENCE: rank == 2 and axis in (-1, 2),
    }
    if not fits[loss.form]:
        needs, fix = _SHAPES[loss.form]
        what = f"an output named {LOSS!r}" if loss.form == NONE else f"what {loss.name} compares"
        raise ShapeError(
            f"{port}: {what} {needs}; the net gives {show(shape)}.", fix=fix, path=port, got=shape
        )


def _suiting(net: Net, port: str, ending: str | None, whole: Mapping[str, bool]) -> Loss | str:
    if port == LOSS:
        return Own()
    codec = net.outputs[port].codec
    if codec is not None:
        name = codec.loss()
        return "binary-cross-entropy" if name == "cross-entropy" and ending == "sigmoid" else name
    if ending in ("softmax", "log_softmax") and whole.get(port, True):
        return "cross-entropy"
    return "mse"


def _ending(node: Node | None) -> str | None:
    return ENDINGS.get(type(node.layer).__name__) if node is not None else None


def _axis(node: Node | None) -> int:
    axis = int(getattr(node.layer, "axis", -1)) if node is not None else -1
    return axis if axis < 0 else axis + 1


def _codec_axis(net: Net, port: str) -> int:
    codec = net.outputs[port].codec
    axis = -1 if codec is None else codec.axis
    return axis if axis < 0 else axis + 1


def _varies(net: Net, at: Value, axis: int) -> bool:
    shape = net.solution.shape(at)
    if not shape:
        return False
    return isinstance(shape[axis if axis < 0 else axis - 1], Extent)


def _is_probability(net: Net, at: Value) -> bool:
    """Whether a value is made of what ``Softmax`` or ``Sigmoid`` gives by moving and mixing alone."""
    node = net.wiring.producer(at)
    if node is None:
        return False
    if _ending(node) in ("softmax", "sigmoid"):
        return True
    moves = type(node.layer).__name__ in _KEEPS_SENSE
    return moves and bool(node.sources) and all(_is_probability(net, source) for source in node.sources)


def refuse_twice(net: Net) -> None:
    """Make sure that no activation squashes probabilities again.

    Raises:
        TrainingError: one does.
    """
    for node in net.wiring.needed():
        before = net.wiring.producer(node.sources[0]) if node.sources else None
        if _ending(node) is None or before is None or _ending(before) is None:
            continue
        squashes = {_ending(node), _ending(before)}
        if squashes <= {"softmax", "log_softmax"} or squashes == {"sigmoid"}:
            raise TrainingError(
                f"{node.label} comes right after {before.label}: the probabilities would be squashed twice, "
                "and the net could hardly learn.",
                fix=f"leave {before.path} out",
                path=node.path,
            )


def answered(result: Any, value: Tensor, name: str) -> Tensor:
    """What a user's loss function answered, as one number for all or one for each example."""
    if not isinstance(result, torch.Tensor) or not (result.dim() == 0 or len(result) == len(value)):
        got = tuple(result.shape) if isinstance(result, torch.Tensor) else repr(result)
        raise TrainingError(
            f"The loss function {name} answers one number, or one for each of the {len(value)} examples; "
            f"got {got}.",
            got=result,
        )
    return result if result.dim() < 2 else result.flatten(1).mean(1)
