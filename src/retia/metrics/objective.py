"""The objective of a net: which loss each output has, and the one number that training lowers.

It is settled before the first step, from the net, its codecs and ``loss=``. How one output comes by its
loss is in ``terms.py``; whether targets fit, in ``targets.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from retia.engine.walk import mask_of
from retia.errors import ArgumentError, TrainingError, did_you_mean
from retia.metrics.loss import Loss
from retia.metrics.targets import check_column, check_target
from retia.metrics.terms import LOSS, Function, Term, answered, refuse_foreign, refuse_twice, term_of
from retia.nets.net import Net
from retia.nets.wiring import Value

if TYPE_CHECKING:
    from torch import Tensor


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
        if self.whole is not None:
            return tuple(self.net.outputs)
        return tuple(term.port for term in self.terms if term.has_targets)

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
            part = summed / (count if isinstance(count, int) else count.clamp_min(1))
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
                (1.0, answered(self.whole(outputs, targets), some, self.name).mean() * len(some), len(some))
            ]
        found = []
        for term in self.terms:
            value = values[term.reads]
            mask = mask_of(self.net.solution.shape(term.reads), value, lengths) if lengths else None
            found.append((term.weight, *term.sums(value, targets.get(term.port), mask)))
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
            shape = self.net.solution.shape(term.reads)
            if not isinstance(term.loss, Loss):
                check_column(term.port, term.name, shape, targets[term.port])
            elif term.has_targets:
                target = targets[term.port]
                check_target(term.port, term.loss, shape, term.axis, target, rows, term.ignored)


def objective(net: Net, loss: Any = None, whole: Mapping[str, bool] | None = None) -> Objective:
    """What training a net is to lower.

    Args:
        net: with its codecs as they are in training.
        loss: None (from the output's codec, else by how the net ends), a name, a loss with settings, a
            function of outputs and targets, ``(loss, weight)``, or a dict of these by output port. Outputs
            that a dict leaves out are not trained. An output named ``loss`` for which nothing is said is
            itself what is lowered, and alone where ``loss`` is None.
        whole: for outputs without codec, whether their targets are whole numbers.
    Raises:
        ArgumentError: no such loss, or no such output. TrainingError: a loss that cannot suit the net.
    Example:
        >>> import retia as rt
        >>> objective(rt.Chain(rt.Linear(3), rt.Softmax(), input=2)).name
        'cross-entropy'
    """
    refuse_twice(net)
    if callable(loss) and len(net.outputs) > 1:
        refuse_foreign(loss)
        return Objective(net, (), loss)
    chosen = _chosen(net, loss)
    return Objective(net, tuple(term_of(net, port, given, whole or {}) for port, given in chosen.items()))


def aims_of(net: Net, loss: Any) -> tuple[str, ...]:
    """The outputs that ``loss=`` compares with targets: those that a dict names, else all.

    An output named ``loss`` that nothing is said of is not compared with anything.

    Raises:
        ArgumentError: it names none, or one that is not there.
    """
    return tuple(port for port, given in _chosen(net, loss).items() if not _is_own(port, given))


def _chosen(net: Net, loss: Any) -> dict[str, Any]:
    """The outputs that are trained, and what was said of each."""
    ports = tuple(net.outputs)
    if not isinstance(loss, Mapping):
        return dict.fromkeys((LOSS,) if loss is None and LOSS in ports else ports, loss)
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
    return dict(loss)


def _is_own(port: str, given: Any) -> bool:
    return port == LOSS and (given[0] if isinstance(given, tuple) and given else given) is None


__all__ = ["Function", "Objective", "Term", "aims_of", "objective"]
