"""L-BFGS: for small data, where every step looks at the whole loss several times."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from retia._torch import torch
from retia.errors import ArgumentError
from retia.nets.settings import declared, setting, whole
from retia.training.optimizer import Again, Group, Memory, Optimizer
from retia.training.optimizers.rules import RATE
from retia.training.optimizers.wolfe import Number, Point, Search

if TYPE_CHECKING:
    from torch import Tensor

CURVED = 1e-10
"""A step along which the gradient changed less says nothing of the loss's curvature."""

ROWS = ("steps", "changes", "inverses")
"""Slots that hold a row for every step of the history."""

NET = ""
"""The path of the whole net, under which the memory keeps what belongs to no array alone."""


@declared
class LBFGS(Optimizer):
    """L-BFGS: Newton's method, with the curvature guessed from the last steps; strong Wolfe line search.

    For data that fit into one batch and nets without dropout: every step asks for the loss again at several
    places, and it must be the same function there.

    Args:
        learning_rate: at least 0; the first length that a line search tries.
        max_iter: at least 1, directions in one step.
        max_eval: at least 1, looks at the loss in one step; a quarter more than max_iter when left out.
        tolerance_grad: at least 0; a step ends where no element of the gradient is larger.
        tolerance_change: at least 0; a step ends when neither the loss nor any element changes more.
        history_size: at least 1, steps to guess the curvature from.
    Source: Liu and Nocedal 1989; Nocedal and Wright 2006, algorithms 3.5, 3.6, 7.4.
    Example:
        >>> w = {"w": torch.tensor([3.0, -2.0])}
        >>> lbfgs = LBFGS()
        >>> moved, _ = lbfgs.step_by(w, lambda at: ((at["w"] ** 4).sum(), {"w": 4 * at["w"] ** 3}),
        ...                          lbfgs.start(w))
        >>> bool(moved["w"].abs().max() < 0.1)
        True
    """

    closure: ClassVar[bool] = True
    learning_rate: float = setting(RATE, default=1.0)
    _: KW_ONLY
    max_iter: int = setting(whole(1), default=20)
    max_eval: int | None = setting(whole(1, optional=True), default=None)
    tolerance_grad: float = setting(RATE, default=1e-7)
    tolerance_change: float = setting(RATE, default=1e-9)
    history_size: int = setting(whole(1), default=100)

    def slots(self) -> Mapping[str, float]:
        """Nothing for every element: what is remembered is of the whole net, and grows."""
        return {}

    def move(self, group: Group) -> None:
        """Gradients at one place are not enough."""
        raise ArgumentError(
            "LBFGS asks for the loss at several places in one step; the gradients at one are not enough.",
            fix="optimizer.step_by(arrays, again, state), where again(arrays) answers loss and gradients;"
            " rt.train does so by itself",
        )

    def step_by(
        self, arrays: Mapping[str, Tensor], again: Again, state: Memory, *, factor: float = 1.0
    ) -> tuple[dict[str, Tensor], Memory]:
        """One step: up to ``max_iter`` directions with a line search along each."""
        here = _look(again, {path: tensor.detach().clone() for path, tensor in arrays.items()})
        curvature = _Curvature.read(state)
        if math.isfinite(here.loss) and here.steepness > self.tolerance_grad:
            here = self._descend(here, again, curvature, self.learning_rate * factor)
        return here.arrays, Memory(state.count + 1, curvature.slots())

    def _descend(self, here: _Place, again: Again, curvature: _Curvature, rate: float) -> _Place:
        looks, most = 1, self.max_eval or self.max_iter * 5 // 4
        for _ in range(self.max_iter):
            first = rate * _modest(here.gradient) if curvature.is_new else rate
            direction = curvature.direction(here.gradient, self.history_size)
            slope = here.gradient.dot(direction)
            curvature.gradient, curvature.step = here.gradient, direction.mul(first)
            if slope > -self.tolerance_change:
                break
            search = Search(
                partial(_point, here, again, direction),
                Point(0, here.loss, here.gradient, slope),
                direction.abs().max(),
                self.tolerance_change,
                most - looks,
            )
            found = search.run(first)
            looks += search.looks
            curvature.step, fall = direction.mul(found.at), here.loss - found.loss
            here = here.moved(found.at, direction, found.loss, found.gradient)
            if looks >= most or here.steepness <= self.tolerance_grad:
                break
            if curvature.step.abs().max() <= self.tolerance_change or abs(fall) < self.tolerance_change:
                break
        return here


def _modest(gradient: Tensor) -> Number:
    """The share of a gradient that moves all elements together by no more than 1."""
    share = 1.0 / gradient.abs().sum()
    return share if share < 1.0 else 1.0


@dataclass(frozen=True)
class _Place:
    """Arrays, with the loss there and its gradient, flat."""

    arrays: dict[str, Tensor]
    paths: tuple[str, ...]
    loss: float
    gradient: Tensor

    @property
    def steepness(self) -> Tensor:
        """The size of the gradient's largest element."""
        return self.gradient.abs().max()

    def moved(self, at: Number, direction: Tensor, loss: float, gradient: Tensor) -> _Place:
        """The place so many times the direction from here, of which the loss is known."""
        return replace(self, arrays=self.along(at, direction), loss=loss, gradient=gradient)

    def along(self, at: Number, direction: Tensor) -> dict[str, Tensor]:
        """The arrays so many times the direction from here."""
        moved, begin = dict(self.arrays), 0
        for path in self.paths:
            array = self.arrays[path]
            piece = direction[begin : begin + array.numel()].view(array.shape)
            moved[path] = array.add(piece, alpha=float(at))
            begin += array.numel()
        return moved


def _look(again: Again, arrays: dict[str, Tensor]) -> _Place:
    loss, gradients = again(dict(arrays))
    return _Place(arrays, tuple(gradients), float(loss), _flat(gradients.values()))


def _point(here: _Place, again: Again, direction: Tensor, at: Number) -> Point:
    loss, gradients = again(here.along(at, direction))
    gradient = _flat(gradients[path] for path in here.paths)
    return Point(at, float(loss) if math.isfinite(loss) else math.nan, gradient, gradient.dot(direction))


def _flat(gradients: Iterable[Tensor]) -> Tensor:
    return torch.cat([gradient.detach().reshape(-1) for gradient in gradients])


@dataclass
class _Curvature:
    """The last steps and how the gradient changed along them, which say how the loss bends.

    Attributes:
        steps: flat, the oldest first.
        changes: of the gradient along each.
        inverses: of the product of each pair.
        scale: of the guess that the pairs correct.
        step: the last one, whether or not it stands in ``steps`` yet.
        gradient: before it.
    """

    steps: list[Tensor] = field(default_factory=list)
    changes: list[Tensor] = field(default_factory=list)
    inverses: list[Tensor] = field(default_factory=list)
    scale: Tensor | None = None
    step: Tensor | None = None
    gradient: Tensor | None = None

    @property
    def is_new(self) -> bool:
        """Whether there was no step yet."""
        return self.gradient is None

    def direction(self, gradient: Tensor, most: int) -> Tensor:
        """Where Newton's method would go, with the curvature of at most so many steps."""
        if self.step is not None and self.gradient is not None:
            self._learn(self.step, gradient.sub(self.gradient), most)
        pull, shares = gradient.neg(), []
        for step, change, inverse in reversed([*zip(self.steps, self.changes, self.inverses, strict=True)]):
            shares.append(step.dot(pull) * inverse)
            pull.add_(change, alpha=-shares[-1].item())
        if self.scale is not None:
            pull.mul_(self.scale)
        pairs = zip(self.steps, self.changes, self.inverses, reversed(shares), strict=True)
        for step, change, inverse, share in pairs:
            pull.add_(step, alpha=(share - change.dot(pull) * inverse).item())
        return pull

    def _learn(self, step: Tensor, change: Tensor, most: int) -> None:
        product = change.dot(step)
        if not product > CURVED:
            return
        if len(self.steps) == most:
            for kept in (self.steps, self.changes, self.inverses):
                del kept[0]
        self.steps.append(step)
        self.changes.append(change)
        self.inverses.append(1.0 / product)
        self.scale = product / change.dot(change)

    # As the optimizer's memory keeps it ------------------------------------------------------------

    @classmethod
    def read(cls, state: Memory) -> _Curvature:
        """From a memory; what is in it stays as it is."""
        own = {name: slot[NET] for name, slot in state.slots.items()}
        # rows are copied, for where an array begins in memory can change the last bit of a product
        steps, changes, inverses = ([row.clone() for row in own.get(name, ())] for name in ROWS)
        return cls(steps, changes, inverses, own.get("scale"), own.get("step"), own.get("gradient"))

    def slots(self) -> dict[str, dict[str, Tensor]]:
        """For a memory: the history as one array of each kind, a row a step."""
        own = {"scale": self.scale, "step": self.step, "gradient": self.gradient}
        lists = zip(ROWS, (self.steps, self.changes, self.inverses), strict=True)
        own.update({name: torch.stack(kept) for name, kept in lists if kept})
        return {name: {NET: tensor} for name, tensor in own.items() if tensor is not None}
