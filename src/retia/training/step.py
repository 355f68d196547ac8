"""The training step: what ``train`` runs for every batch, for loops of one's own too.

A step is a value. It is called with a state and a batch and answers the next state; ``gradients`` is
its first half alone. The loop uses the same code on a state of its own, in place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from retia._torch import torch
from retia.engine.walk import Run, walk_values
from retia.errors import ArgumentError, ArraysError, did_you_mean
from retia.metrics.examples import Batch
from retia.metrics.gauges import Gauge
from retia.metrics.objective import Objective, objective
from retia.nets.net import Net, missing_arrays
from retia.nets.wiring import Value
from retia.training.mixing import PATH, Mixing
from retia.training.motion import Motion
from retia.training.optimizer import Again, Memory, Optimizer
from retia.training.optimizers import read_optimizer
from retia.training.penalties import Penalties
from retia.training.precision import Precision, Scale
from retia.training.rates import Rates, read_rates

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class State:
    """Everything that a step changes.

    Attributes:
        arrays: all of the net's, by path.
        memory: the optimizer's; its count is of the steps that moved arrays.
        count: of the batches seen, part of every random draw's key.
        pending: gradients that wait for others to come to them, by path.
        gathered: of how many batches they are.
        average: the running averages of the arrays that move, by path; empty where none are kept.
        scale: of the loss in fp16.
    """

    arrays: dict[str, Tensor]
    memory: Memory
    count: int = 0
    pending: dict[str, Tensor] = field(default_factory=dict)
    gathered: int = 0
    average: dict[str, Tensor] = field(default_factory=dict)
    scale: Scale = field(default_factory=Scale)

    @property
    def chosen(self) -> dict[str, Tensor]:
        """The arrays as they are judged and answered: averages where they are kept."""
        return {**self.arrays, **self.average} if self.average else self.arrays

    def clone(self) -> State:
        """The same state in memory of its own."""
        arrays, pending, average = (_copied(each) for each in (self.arrays, self.pending, self.average))
        return State(
            arrays, self.memory.clone(), self.count, pending, self.gathered, average, replace(self.scale)
        )


def _copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {path: tensor.detach().clone() for path, tensor in tensors.items()}


class Pull(NamedTuple):
    """What a batch says: its loss, and where it pulls the arrays.

    ``loss`` is the objective's, ``total`` with the penalties: what the gradients are of.
    """

    loss: Tensor
    total: Tensor
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
        penalties: on large arrays.
        motion: what is between gradients and optimizer.
        mix: how examples are mixed.
        precision: of the products.
        gauges: the metrics that are counted beside.
    """

    net: Net
    objective: Objective
    optimizer: Optimizer
    seed: int = 0
    rates: Rates | None = None
    penalties: Penalties = field(default_factory=Penalties)
    motion: Motion = field(default_factory=Motion)
    mix: Mixing | None = None
    precision: Precision = field(default_factory=Precision)
    gauges: tuple[Gauge, ...] = ()

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
        learned = {path: own[path] for path in self.learned}
        state = State(own, self.optimizer.start(learned))
        if self.motion.accumulate > 1:
            state.pending = {path: torch.zeros_like(tensor) for path, tensor in learned.items()}
        if self.motion.ema is not None:
            state.average = _copied(learned)
        return state

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

        Penalties pull too, but are not in the loss.

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
        return self.net.with_arrays({path: row_major(t) for path, t in state.chosen.items()})

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

    def run(
        self, batch: Batch, count: int, epoch: int | None = None, keys: Mapping[str, Any] | None = None
    ) -> Run:
        """What a walk of a training step is for."""
        return Run(
            training=True,
            seed=self.seed,
            step=count,
            epoch=epoch,
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
        epoch: int | None = None,
        *,
        keys: Mapping[str, Any] | None = None,
        scale: float = 1.0,
    ) -> Pull:
        """Loss and gradients of a batch, with new running statistics, and the values that the loss read.

        Args:
            count: of the batches before, part of the draws' keys.
            epoch: that the batch belongs to, where epochs are counted.
            keys: of the draws, where they come as tensors.
            scale: by which the loss is multiplied before the derivative, and the gradients divided after it.
        """
        leaves = {path: arrays[path].detach().requires_grad_() for path in self.learned}
        with torch.enable_grad():
            loss, values, run = self._lowered({**arrays, **leaves}, batch, count, epoch, keys)
            extra = self.penalties(leaves)
            total = loss if extra is None else loss + extra
            found = torch.autograd.grad(
                total if scale == 1 else total * scale,
                list(leaves.values()),
                allow_unused=True,
                materialize_grads=True,
            )
        if scale != 1:
            found = tuple(torch._foreach_div(found, scale))
        gradients = dict(zip(self.learned, found, strict=True))
        return Pull(loss.detach(), total.detach(), gradients, run.updates, values)

    def _lowered(
        self,
        arrays: Mapping[str, Tensor],
        batch: Batch,
        count: int,
        epoch: int | None,
        keys: Mapping[str, Any] | None,
    ) -> tuple[Tensor, dict[Value, Tensor], Run]:
        """The loss of a batch in training behaviour, the values that it read, and the run that gave them."""
        run = self.run(batch, count, epoch, keys)
        mixed = None
        if self.mix is not None:
            key = keys[PATH] if keys is not None else self.mix.key(self.seed, count)
            mixed = self.mix.mixed(batch, key)
            batch = mixed.batch
        wanted = self.objective.wanted
        with self.precision.active(next(iter(arrays.values())).device):
            values = walk_values(self.net, batch.inputs, arrays, run, wanted, batch.given)
        values = {value: self.precision.full(tensor) for value, tensor in values.items()}
        if self.mix is not None and mixed is not None:
            return self.mix.loss(self.objective, values, mixed), values, run
        return self.objective(values, batch.targets, batch.lengths), values, run

    def advance(
        self, state: State, batch: Batch, epoch: int | None = None, *, factor: float = 1.0, last: bool = False
    ) -> Pull:
        """One step that changes the state in place; its arguments are those of ``apply``."""
        pull = self.seen(state, batch, epoch)
        self.apply(state, pull, factor=factor, last=last, again=self.again(state, batch, epoch))
        return pull

    def seen(self, state: State, batch: Batch, epoch: int | None = None) -> Pull:
        """What a batch says at a state."""
        scale = state.scale.factor if self.precision.scales else 1.0
        return self.pull(state.arrays, batch, state.count, epoch, scale=scale)

    def again(self, state: State, batch: Batch, epoch: int | None = None) -> Again:
        """The loss of a batch and its gradients at other arrays, for optimizers that ask more than once."""
        count = state.count

        def again(arrays: dict[str, Tensor]) -> tuple[Tensor, Mapping[str, Tensor]]:
            pull = self.pull({**state.arrays, **arrays}, batch, count, epoch)
            return pull.total, pull.gradients

        return again

    def apply(
        self,
        state: State,
        pull: Pull,
        *,
        factor: float = 1.0,
        last: bool = False,
        again: Again | None = None,
    ) -> None:
        """Move a state's arrays by what a batch said, in place.

        Args:
            factor: of the learning rate, as a schedule answers it.
            last: whether gradients that wait are not to wait longer.
            again: the loss at other arrays, for optimizers that ask for it.
        """
        for path, tensor in pull.updates.items():
            state.arrays[path].copy_(tensor)  # where it stands: programs may hold that memory
        state.count += 1
        gradients = self._gathered(state, pull.gradients, last)
        if gradients is None:
            return
        motion = self.motion
        if motion.clip_norm is not None or motion.clip_value is not None:
            gradients = dict(zip(gradients, motion.clipped([*gradients.values()]), strict=True))
        self._move(state, gradients, factor, again)
        if motion.ema is not None:
            arrays = [state.arrays[path] for path in state.average]
            motion.average([*state.average.values()], arrays, state.memory.count)

    def _gathered(
        self, state: State, gradients: Mapping[str, Tensor], last: bool
    ) -> Mapping[str, Tensor] | None:
        """The gradients that a step is made of; None where there is none yet, or they overflowed."""
        if self.precision.scales:
            finite = all(bool(each.isfinite().all()) for each in gradients.values())
            state.scale.learn(finite)
            if not finite:
                return None
        if self.motion.accumulate == 1:
            return gradients
        state.gathered += 1
        pending = [state.pending[path] for path in gradients]
        if not self.motion.gather(pending, [*gradients.values()], state.gathered, last):
            return None
        found = {path: tensor.clone() for path, tensor in zip(gradients, pending, strict=True)}
        torch._foreach_zero_(pending)
        state.gathered = 0
        return found

    def _move(
        self, state: State, gradients: Mapping[str, Tensor], factor: float, again: Again | None
    ) -> None:
        if self.optimizer.closure:
            assert again is not None, "the loop asks for the loss again"
            learned = {path: state.arrays[path] for path in self.learned}
            moved, state.memory = self.optimizer.step_by(learned, again, state.memory, factor=factor)
            for path, tensor in moved.items():
                state.arrays[path].copy_(tensor)
            return
        motion, memory = self.motion, state.memory
        own = {path: each for path, each in gradients.items() if motion.moves(path, memory.count)}
        counts = {path: motion.moved(path, memory.count) for path in own} if motion.turns else None
        self.optimizer.step_in_place(state.arrays, own, memory, self.paces.of, factor=factor, counts=counts)


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
