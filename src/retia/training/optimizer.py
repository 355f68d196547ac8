"""The interface of optimizers: frozen values whose ``step`` is a pure function.

One formula, ``move``, written on lists of tensors, serves ``step`` (on copies) and ``step_in_place``. What
depends on the number of steps is computed from it, so a state is arrays and a count.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from retia._torch import torch
from retia.nets.expression import Content
from retia.nets.settings import settle

if TYPE_CHECKING:
    from torch import Tensor

Again: TypeAlias = "Callable[[dict[str, Tensor]], tuple[Tensor, Mapping[str, Tensor]]]"
"""The loss at arrays by path, and its gradients by the paths of those that are to move."""


FOREIGN = {
    "params": "the arrays are those of the net, so leave it out",
    "lr": "it is called learning_rate, and comes first",
    "beta_1": "they are called betas, a pair",
    "beta_2": "they are called betas, a pair",
    "rho": "it is called alpha",
    "momentum": "the first of betas is the like, and SGD, RMSprop and SignSGD have momentum",
    "dampening": "a lower learning_rate does the same",
    "maximize": "negative rates climb: rates={'*': -1} in rt.train",
    "lr_decay": "a schedule does it: schedule=lambda step: 1 / (1 + decay * step) in rt.train",
    "decay": "a schedule does it: schedule=lambda step: 1 / (1 + decay * step) in rt.train",
    "clipnorm": "it is clip_norm= of rt.train",
    "global_clipnorm": "it is clip_norm= of rt.train",
    "clipvalue": "it is clip_value= of rt.train",
    "use_ema": "it is ema= of rt.train",
    "ema_momentum": "it is ema= of rt.train",
    "gradient_accumulation_steps": "it is accumulate= of rt.train",
    "line_search_fn": "it is always strong Wolfe, so leave it out",
    "foreach": "this is chosen by itself, so leave it out",
    "fused": "this is chosen by itself, so leave it out",
    "capturable": "this is chosen by itself, so leave it out",
    "differentiable": "steps are never differentiated, so leave it out",
}
"""Arguments of other frameworks' optimizers, and what is said here instead."""


@dataclass
class Memory:
    """What an optimizer remembers between steps.

    Attributes:
        count: of the steps done.
        slots: by the optimizer's word for them (``"momentum"``), then by the arrays' paths; what belongs to
            the whole net stands under ``""``.
    """

    count: int = 0
    slots: dict[str, dict[str, Tensor]] = field(default_factory=dict)

    def clone(self) -> Memory:
        """The same state in memory of its own."""
        return Memory(
            self.count, {s: {p: t.clone() for p, t in own.items()} for s, own in self.slots.items()}
        )


@dataclass
class Group:
    """Arrays that one step moves together.

    Attributes:
        arrays: changed in place.
        gradients: of the loss, one for each; they stay as they are.
        slots: what is remembered of each, by its name; changed in place.
        count: of the step, from 1.
        rate: how far it goes; the learning rate by the arrays' multiplier.
        steps: a number for each array, for kernels that take the count so; theirs to fill.
    """

    arrays: list[Tensor]
    gradients: list[Tensor]
    slots: Mapping[str, list[Tensor]]
    count: int
    rate: float

    @cached_property
    def steps(self) -> list[Tensor]:
        return [array.new_zeros((), dtype=torch.float32) for array in self.arrays]


class Optimizer(Content, ABC):
    """The interface of optimizers.

    Attributes:
        learning_rate: at least 0; how far a step goes.
        closure: whether one step looks at the loss at several places. Then it is made by ``step_by`` alone,
            on all arrays at one rate.
    """

    cure: ClassVar[str] = ""
    foreign: ClassVar[Mapping[str, str]] = FOREIGN
    closure: ClassVar[bool] = False
    learning_rate: float

    def __post_init__(self) -> None:
        settle(self)
        self.validate()

    def validate(self) -> None:  # noqa: B027 (most leaves have nothing to check)
        """Check settings against each other; for leaves to fill in."""

    @abstractmethod
    def slots(self) -> Mapping[str, float]:
        """What is remembered for every element of every array: its name and first value."""

    @abstractmethod
    def move(self, group: Group) -> None:
        """The formula: change arrays and slots in place. It treats every element by itself."""

    def sweep(self, group: Group) -> None:
        """The same formula as a program runs it, for leaves that have it in fewer calls."""
        self.move(group)

    def start(self, arrays: Mapping[str, Tensor]) -> Memory:
        """The state before the first step.

        Args:
            arrays: what will be trained, by path.
        """
        return Memory(
            0, {s: {p: torch.full_like(t, v) for p, t in arrays.items()} for s, v in self.slots().items()}
        )

    def step(
        self,
        arrays: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor],
        state: Memory,
        *,
        factor: float = 1.0,
    ) -> tuple[dict[str, Tensor], Memory]:
        """One step. Nothing that is given is changed.

        Args:
            arrays: by path.
            gradients: of the loss, by the same paths.
            state: what ``start`` or the last step answered.
            factor: of the learning rate, as a schedule answers it.
        Returns:
            The arrays after the step, and the state after it.
        Example:
            >>> import retia as rt
            >>> sgd = rt.SGD(0.5)
            >>> w = {"w": torch.tensor([1.0])}
            >>> sgd.step(w, {"w": torch.tensor([1.0])}, sgd.start(w))[0]
            {'w': tensor([0.5000])}
        """
        moved = {path: tensor.detach().clone() for path, tensor in arrays.items()}
        after = state.clone()
        self.step_in_place(moved, gradients, after, factor=factor)
        return moved, after

    def step_by(
        self, arrays: Mapping[str, Tensor], again: Again, state: Memory, *, factor: float = 1.0
    ) -> tuple[dict[str, Tensor], Memory]:
        """One step by a function, for optimizers that look at the loss at several places too.

        Args:
            arrays: by path.
            again: answers the loss at arrays, and its gradients; first it is asked at those given.
            state: what ``start`` or the last step answered.
            factor: of the learning rate, as a schedule answers it.
        Returns:
            The arrays after the step, and the state after it. Nothing that is given is changed.
        """
        return self.step(arrays, again(dict(arrays))[1], state, factor=factor)

    def step_in_place(
        self,
        arrays: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor],
        state: Memory,
        rates: Mapping[str, float] | None = None,
        *,
        factor: float = 1.0,
        counts: Mapping[str, int] | None = None,
    ) -> None:
        """The same step on arrays and a state that nobody else reads.

        Args:
            rates: multipliers of the learning rate by path, where they are not 1.
            factor: of the learning rate of all, as a schedule answers it.
            counts: how often each array was moved before, where that is not the state's count.
        """
        alike: dict[tuple[float, int], list[str]] = {}
        for path in gradients:
            rate, count = (rates or {}).get(path, 1.0), (counts or {}).get(path, state.count)
            alike.setdefault((rate, count), []).append(path)
        with torch.no_grad():
            for (rate, count), paths in alike.items():
                slots = {name: [slot[path] for path in paths] for name, slot in state.slots.items()}
                chosen, pulls = [arrays[path] for path in paths], [gradients[path] for path in paths]
                self.move(Group(chosen, pulls, slots, count + 1, self.learning_rate * factor * rate))
        state.count += 1
