"""The training step: what ``train`` runs for every batch, for loops of one's own too.

A step is a value. It is called with a state and a batch and answers the next state; ``gradients`` is
its first half alone. The loop uses the same code on a state of its own, in place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from retia._torch import torch
from retia.engine.walk import Run, walk_values
from retia.errors import ArgumentError, ArraysError, did_you_mean
from retia.metrics.examples import Batch
from retia.metrics.objective import Objective, objective
from retia.nets.net import Net, missing_arrays
from retia.nets.wiring import Value
from retia.training.optimizer import Memory, Optimizer
from retia.training.optimizers import read_optimizer
from retia.training.rates import Rates, read_rates

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class State:
    """Everything that a step changes.

    Attributes:
        arrays: all of the net's, by path.
        memory: the optimizer's.
        count: of the steps done, part of every random draw's key.
    """

    arrays: dict[str, Tensor]
    memory: Memory
    count: int = 0

    def clone(self) -> State:
        """The same state in memory of its own."""
        arrays = {path: tensor.detach().clone() for path, tensor in self.arrays.items()}
        return State(arrays, self.memory.clone(), self.count)


class Pull(NamedTuple):
    """What a batch says: its loss, and where it pulls the arrays."""

    loss: Tensor
    gradients: dict[str, Tensor]
    updates: dict[str, Tensor]
    values: dict[Value, Tensor]


@dataclass(frozen=True)
class Step:
    """A net, what it is to lower, and how; made by ``rt.step``.

    Attributes:
        net: with all its arrays.
        objective: the losses of its outputs.
        optimizer: moves the arrays.
        seed: of dropout and other draws.
        rates: multipliers of the learning rate; those of all learned arrays are 1 when left out.
    """

    net: Net
    objective: Objective
    optimizer: Optimizer
    seed: int = 0
    rates: Rates | None = None

    @cached_property
    def paces(self) -> Rates:
        """What moves, and how fast."""
        return self.rates if self.rates is not None else read_rates(self.net, None)

    @property
    def learned(self) -> tuple[str, ...]:
        """Paths of the arrays that the step moves by gradients."""
        return self.paces.moved

    def start(self, arrays: Mapping[str, Tensor] | None = None) -> State:
        """The state before the first step.

        Args:
            arrays: by path, instead of the net's own. They are copied.
        """
        own = {p: t.detach().clone() for p, t in (self.net.arrays if arrays is None else arrays).items()}
        missing = [path for path in self.net.array_shapes() if path not in own]
        if missing:
            raise ArraysError(
                f"start: {missing[0]!r} is missing.{did_you_mean(missing[0], own)}", path=missing[0]
            )
        return State(own, self.optimizer.start({path: own[path] for path in self.learned}))

    def __call__(
        self,
        state: State,
        inputs: Any,
        targets: Any,
        *,
        rows: Tensor | None = None,
        lengths: Mapping[str, Tensor] | None = None,
    ) -> tuple[State, Tensor]:
        """One step. Nothing that is given is changed.

        Args:
            state: from ``start`` or the last step.
            inputs: a tensor, batch first, as the port takes it (codecs have done their work); a dict by
                port where there are several.
            targets: the same for the outputs, as the loss takes them.
            rows: the examples' numbers, for random draws; counted from 0 by default.
            lengths: of varying sizes, by name.
        Returns:
            The next state, and the loss before the step (a tensor of one number).
        """
        batch = self.batch(inputs, targets, rows=rows, lengths=lengths)
        after = state.clone()
        return after, self.advance(after, batch).loss

    def gradients(
        self,
        arrays: Mapping[str, Tensor] | State,
        inputs: Any,
        targets: Any,
        *,
        rows: Tensor | None = None,
        lengths: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch in training behaviour, and its derivative by every learned array.

        Args:
            arrays: by path, or a state. inputs, targets, rows, lengths: as in a call of the step.
        """
        batch = self.batch(inputs, targets, rows=rows, lengths=lengths)
        state = arrays if isinstance(arrays, State) else None
        own = dict(state.arrays if state is not None else arrays)  # type: ignore[arg-type]
        pull = self.pull(own, batch, state.count if state is not None else 0)
        return pull.loss, pull.gradients

    def finish(self, state: State) -> Net:
        """The net with a state's arrays (copies of them, on the CPU)."""
        return self.net.with_arrays({path: row_major(t) for path, t in state.arrays.items()})

    # What the loop uses ---------------------------------------------------------------------------

    def batch(
        self,
        inputs: Any,
        targets: Any,
        *,
        rows: Tensor | None = None,
        lengths: Mapping[str, Tensor] | None = None,
    ) -> Batch:
        """Check a batch that a user made."""
        made = Batch(
            _by_port("inputs", inputs, tuple(self.net.inputs)),
            _by_port("targets", targets, self.objective.ports),
            rows,
            lengths or {},
        )
        self.objective.check(made.targets)
        return made

    def run(self, batch: Batch, count: int, keys: Mapping[str, Any] | None = None) -> Run:
        """What a walk of a training step is for."""
        return Run(
            training=True,
            seed=self.seed,
            step=count,
            rows=batch.rows,
            lengths=batch.lengths,
            inference=self.paces.still.__contains__,
            keys=keys,
        )

    def pull(
        self,
        arrays: Mapping[str, Tensor],
        batch: Batch,
        count: int,
        keys: Mapping[str, Any] | None = None,
    ) -> Pull:
        """Loss and gradients of a batch, with new running statistics, and the values that the loss read."""
        leaves = {path: arrays[path].detach().requires_grad_() for path in self.learned}
        run = self.run(batch, count, keys)
        wanted = self.objective.wanted
        with torch.enable_grad():
            values = walk_values(self.net, batch.inputs, {**arrays, **leaves}, run, wanted, batch.given)
            loss = self.objective(values, batch.targets, batch.lengths)
            found = torch.autograd.grad(
                loss, list(leaves.values()), allow_unused=True, materialize_grads=True
            )
        return Pull(loss.detach(), dict(zip(self.learned, found, strict=True)), run.updates, values)

    def advance(self, state: State, batch: Batch) -> Pull:
        """One step that changes the state in place."""
        pull = self.pull(state.arrays, batch, state.count)
        self.apply(state, pull)
        return pull

    def apply(self, state: State, pull: Pull) -> None:
        """Move a state's arrays by what a batch said, in place."""
        self.optimizer.step_in_place(state.arrays, pull.gradients, state.memory, self.paces.of)
        for path, tensor in pull.updates.items():
            state.arrays[path].copy_(tensor)  # where it stands: programs may hold that memory
        state.count += 1


def row_major(array: Tensor) -> Tensor:
    """A copy on the CPU that stands row by row, whatever the layout in training."""
    return array.detach().cpu().clone(memory_format=torch.contiguous_format)


def step(net: Net, loss: Any = None, optimizer: Any = None, *, seed: int = 0) -> Step:
    """The step that ``rt.train`` runs, for a loop of one's own.

    Args:
        net: with all its arrays (``net.init(seed=0)``).
        loss: as in ``rt.train``; left out, it follows from the output.
        optimizer: as in ``rt.train``; ``rt.Adam(1e-3)`` by default.
        seed: of dropout and other draws.
    Raises:
        ArraysError: arrays are missing. TrainingError: a loss that cannot suit the net.
    Example:
        >>> import retia as rt
        >>> net = rt.Linear(1, input=1, output=1).init(seed=0)
        >>> step = rt.step(net, "mse", rt.SGD(0.1))
        >>> state = step.start()
        >>> x = torch.tensor([[1.0], [2.0]])
        >>> for _ in range(200):
        ...     state, loss = step(state, x, 3 * x)
        >>> bool(loss < 0.1)
        True
        >>> trained = step.finish(state)
    """
    if not isinstance(net, Net):
        raise ArgumentError(f"step: the first argument is a net; got {net!r}.", got=net)
    missing_arrays(net)
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ArgumentError(f"step: seed is a whole number; got {seed!r}.", got=seed)
    return Step(net, objective(net, loss), read_optimizer(optimizer), seed)


def _by_port(what: str, given: Any, ports: tuple[str, ...]) -> dict[str, Tensor]:
    if not isinstance(given, Mapping):
        if len(ports) != 1:
            raise ArgumentError(f"step: {what} are a dict of {', '.join(ports)}.", expected=ports)
        given = {ports[0]: given}
    if set(given) != set(ports):
        raise ArgumentError(
            f"step: {what} are for {', '.join(ports)}; got {', '.join(map(str, given)) or 'none'}.",
            expected=ports,
            got=[*given],
        )
    return {name: torch.as_tensor(given[name]) for name in ports}
