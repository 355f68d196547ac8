"""The objective of a net: which loss each output has, and the one number that training lowers.

It is settled before the first step, from the net, its codecs and ``loss=``. What the graph shows to be
wrong (softmax applied twice, targets of another shape than the output) is refused here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from retia._torch import torch
from retia.engine.ending import ENDINGS
from retia.engine.walk import mask_of
from retia.errors import ArgumentError, TrainingError, did_you_mean
from retia.metrics.losses import Loss, find_loss
from retia.metrics.targets import check_target
from retia.nets.net import Net
from retia.nets.wiring import Node, Value
from retia.shapes import Extent

if TYPE_CHECKING:
    from torch import Tensor

Function: TypeAlias = "Callable[[Any, Any], Tensor]"

_KEEPS_SENSE = ("Flatten", "Reshape", "Transpose", "Part", "Concat", "Replicate", "Resize", "Upsample")
"""Layers that only move elements: probabilities stay probabilities."""


@dataclass(frozen=True)
class Term:
    """The loss of one output.

    Attributes:
        port: which output.
        loss: by name, or a function of output and target.
        weight: factor in the sum over the outputs.
        output: the value that the net gives.
        reads: the value that the formula takes: ``output``, or the logits before it.
        ending: the activation that gives the output, as a decoder knows it.
        axis: of the classes in a batch, for losses that sum over classes.
    """

    port: str
    loss: Loss | Function
    weight: float
    output: Value
    reads: Value
    ending: str | None
    axis: int = -1
    of_logits: bool = False

    @property
    def name(self) -> str:
        """The loss as settings and summaries show it."""
        if isinstance(self.loss, Loss):
            return self.loss.name
        return getattr(self.loss, "__name__", type(self.loss).__name__)

    def each(self, value: Tensor, target: Tensor) -> Tensor:
        """The losses of a batch: one a position, one an example, or one for all."""
        if not isinstance(self.loss, Loss):
            return _answer(self.loss(value, target), value, self.name)
        formula = self.loss.of_logits if self.of_logits else self.loss.formula
        assert formula is not None
        return formula(value, target, self.axis)

    def sums(self, value: Tensor, target: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | int]:
        """The losses of a batch added up, and how many positions or examples they are of.

        ``mask`` is True where the value is real and not padding; only real positions count.
        """
        each = self.each(value, target)
        if each.dim() == 0:
            return each * len(value), len(value)
        if mask is None:
            return each.sum(), each.numel()
        if each.dim() < mask.dim():
            mask = mask.select(self.axis, 0) if each.dim() == mask.dim() - 1 else mask.flatten(1).any(1)
        real = mask.expand_as(each)
        return torch.where(real, each, each.new_zeros(())).sum(), real.sum()


@dataclass(frozen=True)
class Objective:
    """What training lowers: the sum of the outputs' losses, each a mean over the batch, by their weights.

    Attributes:
        net: whose outputs are meant.
        terms: one for each output that has a loss.
        whole: a function of all outputs and targets (dicts by port) instead of terms.
    """

    net: Net
    terms: tuple[Term, ...]
    whole: Function | None = None

    @cached_property
    def wanted(self) -> tuple[Value, ...]:
        """The values that a walk must give."""
        if self.whole is not None:
            return tuple(self.net.wiring.outputs.values())
        return tuple(term.reads for term in self.terms)

    @property
    def ports(self) -> tuple[str, ...]:
        """The outputs that need targets."""
        return tuple(self.net.outputs) if self.whole is not None else tuple(t.port for t in self.terms)

    @property
    def has_functions(self) -> bool:
        """Whether a user's own function is part of it."""
        return self.whole is not None or any(not isinstance(term.loss, Loss) for term in self.terms)

    @property
    def name(self) -> str:
        """The loss in a few words."""
        if self.whole is not None:
            return getattr(self.whole, "__name__", "function")
        if len(self.terms) == 1 and self.terms[0].weight == 1:
            return self.terms[0].name
        return " + ".join(f"{t.weight:g} * {t.name}({t.port})" for t in self.terms)

    def __call__(
        self,
        values: Mapping[Value, Tensor],
        targets: Mapping[str, Tensor],
        lengths: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """The loss of a batch, one number.

        Args:
            values: those that are ``wanted``, from a walk.
            targets: by output port, batch first.
            lengths: of varying sizes, by name.
        """
        total: Tensor | None = None
        for weight, summed, count in self.parts(values, targets, lengths):
            part = summed / count
            part = part if weight == 1 else part * weight
            total = part if total is None else total + part
        assert total is not None
        return total

    def parts(
        self,
        values: Mapping[Value, Tensor],
        targets: Mapping[str, Tensor],
        lengths: Mapping[str, Tensor] | None = None,
    ) -> list[tuple[float, Tensor, Tensor | int]]:
        """For every term its weight, the sum of its losses over the batch, and how many there are."""
        if self.whole is not None:
            outputs = {name: values[value] for name, value in self.net.wiring.outputs.items()}
            some = next(iter(outputs.values()))
            return [
                (1.0, _answer(self.whole(outputs, targets), some, self.name).mean() * len(some), len(some))
            ]
        found = []
        for term in self.terms:
            value = values[term.reads]
            mask = mask_of(self.net.solution.shape(term.reads), value, lengths) if lengths else None
            found.append((term.weight, *term.sums(value, targets[term.port], mask)))
        return found

    def check(self, targets: Mapping[str, Tensor], rows: Any = None) -> None:
        """Make sure that targets fit the outputs: shapes, whole numbers, and labels in range.

        Args:
            targets: by output port, batch first.
            rows: the examples' numbers, for messages; counted from 0 where they are left out.
        Raises:
            ShapeError: another shape than the output's, (N) against (N, 1) too.
            DataError: class numbers out of range, or a number that is not finite.
        """
        missing = [port for port in self.ports if port not in targets]
        if missing:
            raise TrainingError(
                f"There are no targets for {', '.join(missing)}.{did_you_mean(missing[0], targets)}",
                path=missing[0],
                expected=list(self.ports),
                got=[*targets],
            )
        for term in self.terms:
            if isinstance(term.loss, Loss):
                shape = self.net.solution.shape(term.reads)
                check_target(term.port, term.loss, shape, term.axis, targets[term.port], rows)


def objective(net: Net, loss: Any = None, whole: Mapping[str, bool] | None = None) -> Objective:
    """What training a net is to lower.

    Args:
        net: with its codecs as they are in training.
        loss: None (from the output's codec, else by how the net ends), a name, a function of outputs and
            targets, ``(loss, weight)``, or a dict of these by output port. Outputs that a dict leaves out
            are not trained.
        whole: for outputs without codec, whether their targets are whole numbers.
    Raises:
        ArgumentError: no such loss, or no such output. TrainingError: a loss that cannot suit the net.
    Example:
        >>> import retia as rt
        >>> objective(rt.Chain(rt.Linear(3), rt.Softmax(), input=2)).name
        'cross-entropy'
    """
    aims = aims_of(net, loss)
    if callable(loss) and len(aims) > 1:
        return Objective(net, (), loss)
    chosen = loss if isinstance(loss, Mapping) else dict.fromkeys(aims, loss)
    _refuse_twice(net)
    return Objective(net, tuple(_term(net, port, given, whole or {}) for port, given in chosen.items()))


def aims_of(net: Net, loss: Any) -> tuple[str, ...]:
    """The outputs that ``loss=`` is of: those that a dict names, else all.

    Raises:
        ArgumentError: it names none, or one that is not there.
    """
    ports = tuple(net.outputs)
    if not isinstance(loss, Mapping):
        return ports
    for name in loss:
        if name not in ports:
            raise ArgumentError(
                f"loss: there is no output {name!r}; there are {', '.join(ports)}."
                + did_you_mean(str(name), ports),
                expected=ports,
                got=name,
            )
    if not loss:
        raise ArgumentError("loss names no output.", expected=ports, got=loss)
    return tuple(loss)


def _term(net: Net, port: str, given: Any, whole: Mapping[str, bool]) -> Term:
    weight = 1.0
    if isinstance(given, tuple):
        if len(given) != 2 or isinstance(given[1], bool) or not isinstance(given[1], int | float):
            raise ArgumentError(f"loss: a pair is a loss and its weight; got {given!r}.", got=given)
        given, weight = given
    if not 0 < weight < float("inf"):
        raise ArgumentError(f"loss: the weight of {port} is above 0; got {weight!r}.", got=weight)
    at = net.wiring.outputs[port]
    node = net.wiring.producer(at)
    ending = _ending(node)
    if given is None:
        given = _suiting(net, port, ending, whole)
    if isinstance(given, str):
        return _by_name(net, port, find_loss(given), float(weight), at, ending)
    if callable(given) and not isinstance(given, type | Net):
        return Term(port, given, float(weight), at, at, ending)
    raise ArgumentError(
        f"loss is a name, a function of output and target, or a dict of these by port; got {given!r}.",
        got=given,
    )


def _by_name(net: Net, port: str, loss: Loss, weight: float, at: Value, ending: str | None) -> Term:
    node = net.wiring.producer(at)
    axis = _axis(node) if ending in ("softmax", "log_softmax") else -1
    if loss.classes and ending == "sigmoid":
        raise TrainingError(
            f"{port}: cross-entropy takes probabilities that sum to 1, but {_named(node)} gives each alone.",
            fix="end in rt.Softmax(), or loss='binary-cross-entropy' or 'mse'",
            path=port,
        )
    if ending in loss.suits and node is not None and not _varies(net, at, axis):
        return Term(port, loss, weight, at, node.sources[0], ending, axis, of_logits=True)
    logits = loss.of_logits is not None and not _is_probability(net, at)
    return Term(port, loss, weight, at, at, ending, axis, of_logits=logits)


def _suiting(net: Net, port: str, ending: str | None, whole: Mapping[str, bool]) -> str:
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


def _named(node: Node | None) -> str:
    return node.label if node is not None else "the input"


def _varies(net: Net, at: Value, axis: int) -> bool:
    shape = net.solution.shape(at)
    if not shape:
        return False
    return isinstance(shape[axis if axis < 0 else axis - 1], Extent)


def _is_probability(net: Net, at: Value) -> bool:
    """Whether a value is made of what ``Softmax`` or ``Sigmoid`` gives by moving elements only."""
    node = net.wiring.producer(at)
    if node is None:
        return False
    if _ending(node) in ("softmax", "sigmoid"):
        return True
    moves = type(node.layer).__name__ in _KEEPS_SENSE
    return moves and all(_is_probability(net, source) for source in node.sources)


def _refuse_twice(net: Net) -> None:
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


def _answer(result: Any, value: Tensor, name: str) -> Tensor:
    """What a user's loss function answered, as one number for all or one for each example."""
    if not isinstance(result, torch.Tensor) or not (result.dim() == 0 or len(result) == len(value)):
        got = tuple(result.shape) if isinstance(result, torch.Tensor) else repr(result)
        raise TrainingError(
            f"The loss function {name} answers one number, or one for each of the {len(value)} examples; "
            f"got {got}.",
            got=result,
        )
    return result if result.dim() < 2 else result.flatten(1).mean(1)
