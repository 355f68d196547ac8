"""Examples mixed with each other in training: inputs are blended, and so are the losses of both targets.

What is drawn for an example follows from seed, step and its number; its partner, from those of its batch.
Everything is tensors of known sizes, so that it stands in a recorded step like a layer.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from retia._torch import torch
from retia.engine import draws
from retia.errors import ArgumentError, TrainingError
from retia.metrics.examples import Batch
from retia.metrics.objective import Objective
from retia.metrics.terms import answered
from retia.nets.expression import Content
from retia.nets.net import Net
from retia.nets.settings import declared, real, setting, settle
from retia.nets.wiring import Value
from retia.shapes import show, varies

if TYPE_CHECKING:
    from torch import Tensor

PATH = "(mix)"
"""What stands in the key of its draws where layers have their paths; no layer is called so."""

ALPHA = real(0.001, 1000)


class Mixed(NamedTuple):
    """A batch whose examples are mixed.

    Attributes:
        batch: with blended inputs, and each example's own targets.
        partners: the targets of each example's partner, by port.
        share: how much of each example is its own, (batch,), 0..1.
    """

    batch: Batch
    partners: dict[str, Tensor]
    share: Tensor


class Mix(Content, ABC):
    """The interface of ways to blend two examples.

    Attributes:
        alpha: of the distribution of shares, Beta(alpha, alpha): 1 is even, less prefers 0 and 1.
        chance: with which an example is mixed at all.
    """

    cure: ClassVar[str] = ""
    alpha: float
    chance: float

    def __post_init__(self) -> None:
        settle(self)

    @abstractmethod
    def check(self, net: Net) -> None:
        """Make sure that a net's inputs can be blended.

        Raises:
            TrainingError: they cannot.
        """

    @abstractmethod
    def blend(
        self, inputs: Mapping[str, Tensor], others: Mapping[str, Tensor], share: Tensor, place: Tensor
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Blended inputs, and the shares as they came out.

        Args:
            inputs, others: of the examples and of their partners, by port.
            share: of the examples, (batch,).
            place: two numbers in [0, 1) for each, (2, batch).
        """


@declared
class MixUp(Mix):
    """Each input is a weighted mean of two examples' inputs, and so is the loss of both targets.

    Args:
        alpha: 0.001..1000; shares come from Beta(alpha, alpha): 1 draws them evenly, less prefers 0 and 1.
        chance: 0..1, with which an example is mixed at all.
    Source: Zhang et al. 2018.
    Example:
        >>> import retia as rt
        >>> rt.MixUp(0.2)
        MixUp()
    """

    alpha: float = setting(ALPHA, default=0.2)
    _: KW_ONLY
    chance: float = setting(real(0, 1), default=1.0)

    def check(self, net: Net) -> None:
        """Every input is of real numbers."""
        for name, port in net.inputs.items():
            if port.kind != "float":
                raise TrainingError(
                    f"MixUp: {name} takes whole numbers, which have no mean.",
                    fix="leave mix= out",
                    path=name,
                )
            if varies(port.shape):
                raise TrainingError(
                    f"MixUp: {name} varies in size, and what is of two sizes has no mean.",
                    fix="leave mix= out",
                    path=name,
                )

    def blend(
        self, inputs: Mapping[str, Tensor], others: Mapping[str, Tensor], share: Tensor, place: Tensor
    ) -> tuple[dict[str, Tensor], Tensor]:
        """The weighted mean."""
        found = {}
        for name, x in inputs.items():
            own = _beside(share, x)
            found[name] = own * x + (1 - own) * others[name]
        return found, share


@declared
class CutMix(Mix):
    """A rectangle of each picture comes from another one, and so does that share of the loss.

    The rectangle's middle may be anywhere; what is beyond the edge is not counted.

    Args:
        alpha: 0.001..1000; shares come from Beta(alpha, alpha): 1 draws them evenly, less prefers 0 and 1.
        chance: 0..1, with which an example is mixed at all.
    Source: Yun et al. 2019.
    Example:
        >>> import retia as rt
        >>> rt.CutMix(chance=0.5)
        CutMix(chance=0.5)
    """

    alpha: float = setting(ALPHA, default=1.0)
    _: KW_ONLY
    chance: float = setting(real(0, 1), default=1.0)

    def check(self, net: Net) -> None:
        """The only input is a picture."""
        shapes = {name: port.shape for name, port in net.inputs.items()}
        if [len(shape or ()) for shape in shapes.values()] != [3]:
            raise TrainingError(
                "CutMix: it takes nets with one input, a picture of channels, height and width; this one "
                f"takes {', '.join(f'{name} {show(shape)}' for name, shape in shapes.items())}.",
                fix="mix=rt.MixUp(0.2), which mixes any numbers",
                got=shapes,
            )

    def blend(
        self, inputs: Mapping[str, Tensor], others: Mapping[str, Tensor], share: Tensor, place: Tensor
    ) -> tuple[dict[str, Tensor], Tensor]:
        """The picture with a rectangle of the other."""
        ((name, x),) = inputs.items()
        part = (1 - share).sqrt() / 2
        rows, columns = (_within(n, part, drawn) for n, drawn in zip(x.shape[2:], place, strict=True))
        inside = rows.unsqueeze(2) & columns.unsqueeze(1)  # (batch, h, w)
        left = 1 - inside.flatten(1).sum(1) / (x.shape[2] * x.shape[3])
        return {name: torch.where(inside.unsqueeze(1), others[name], x)}, left


def _within(size: int, half: Tensor, drawn: Tensor) -> Tensor:
    """Which places of an axis are at most so far, in parts of it, from one that was drawn."""
    middle, far = (drawn * size).floor().unsqueeze(1), (half * size).floor().unsqueeze(1)
    places = torch.arange(size, device=drawn.device)
    return (places >= middle - far) & (places < middle + far)


@dataclass(frozen=True)
class Mixing:
    """What ``mix=`` said: ways to blend, one of which is drawn for each example.

    Attributes:
        ways: at least one.
    """

    ways: tuple[Mix, ...]

    def check(self, net: Net) -> None:
        """Make sure that a net's inputs can be blended.

        Raises:
            TrainingError: they cannot.
        """
        for way in self.ways:
            way.check(net)

    def key(self, seed: int, step: int) -> tuple[int, int]:
        """The halves of the key of a step's draws."""
        return draws.halves(seed, step, PATH)

    def mixed(self, batch: Batch, key: Any) -> Mixed:
        """A batch whose examples are mixed; its values within the net must not be known already.

        Args:
            batch: as the walk takes it.
            key: the halves of its key, numbers or tensors.
        Example:
            >>> import retia as rt
            >>> x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([0, 1])
            >>> mixing = Mixing((rt.MixUp(1),))
            >>> mixed = mixing.mixed(Batch({"input": x}, {"output": y}), mixing.key(0, 0))
            >>> mixed.share.shape
            torch.Size([2])
        """
        assert not batch.given
        device = next(iter(batch.inputs.values())).device
        rows = torch.arange(len(batch), device=device) if batch.rows is None else batch.rows
        drawn = draws.from_halves(key, rows, (7,)).T
        partner = drawn[0].argsort(stable=True)
        others = {name: x.index_select(0, partner) for name, x in batch.inputs.items()}
        which = (drawn[1] * len(self.ways)).floor()
        inputs, share = dict(batch.inputs), torch.ones_like(drawn[0])
        for number, way in enumerate(self.ways):
            wanted = beta(way.alpha, drawn[2], drawn[3])
            blended, left = way.blend(batch.inputs, others, wanted, drawn[4:6])
            chosen = (which == number) & (drawn[6] < way.chance)
            inputs = {n: torch.where(_beside(chosen, x), blended[n], x) for n, x in inputs.items()}
            share = torch.where(chosen, left, share)
        targets = {name: target.index_select(0, partner) for name, target in batch.targets.items()}
        return Mixed(replace(batch, inputs=inputs), targets, share)

    def loss(self, objective: Objective, values: Mapping[Value, Tensor], mixed: Mixed) -> Tensor:
        """The loss of a mixed batch: of both targets, by their shares.

        Args:
            objective: whose loss is meant.
            values: those that it reads, from a walk of the mixed batch.
            mixed: the batch.
        Raises:
            TrainingError: the loss is one number for the whole batch.
        """
        total: Tensor | None = None
        own, other = (_each(objective, values, each) for each in (mixed.batch.targets, mixed.partners))
        for (weight, name, mine), (_, _, theirs) in zip(own, other, strict=True):
            if mine.dim() == 0:
                raise TrainingError(
                    f"mix= needs a loss of one number an example; {name} answers one for the whole batch.",
                    fix="leave mix= out, or let the loss answer one number for each example",
                )
            share = _beside(mixed.share, mine)
            part = (share * mine + (1 - share) * theirs).mean() * weight
            total = part if total is None else total + part
        assert total is not None
        return total


def read_mix(given: Any) -> Mixing | None:
    """What ``mix=`` says: None, a way to mix examples, or several.

    Raises:
        ArgumentError: something else.
    Example:
        >>> import retia as rt
        >>> read_mix([rt.MixUp(0.2), rt.CutMix()])
        Mixing(ways=(MixUp(), CutMix()))
    """
    if given is None:
        return None
    ways = tuple(given) if isinstance(given, tuple | list) else (given,)
    if not ways or not all(isinstance(way, Mix) for way in ways):
        raise ArgumentError(
            f"mix is rt.MixUp(...), rt.CutMix(...), or a list of them; got {given!r}.",
            fix="mix=rt.MixUp(0.2)",
            got=given,
        )
    return Mixing(ways)


def beta(alpha: float, first: Tensor, second: Tensor) -> Tensor:
    """Numbers distributed as Beta(alpha, alpha), each made of two even ones.

    A number of Student's distribution, drawn in polar coordinates, is bent onto 0..1.

    Args:
        alpha: above 0.
        first, second: in [0, 1).
    Source: Bailey 1994; Devroye 1996.
    """
    least = (first + 2.0**-25) ** (1 / alpha)
    turn = (second * (2 * math.pi)).cos()
    across = (1 - least) * turn**2
    return 0.5 + 0.5 * turn.sign() * (across / (least + across)).sqrt()


def _each(
    objective: Objective, values: Mapping[Value, Tensor], targets: Mapping[str, Tensor]
) -> list[tuple[float, str, Tensor]]:
    """Of each term its weight, its name, and the losses of a batch."""
    if objective.whole is not None:
        outputs = {name: values[value] for name, value in objective.net.wiring.outputs.items()}
        some = next(iter(outputs.values()))
        return [(1.0, objective.name, answered(objective.whole(outputs, targets), some, objective.name))]
    return [
        (term.weight, term.name, term.each(values[term.reads], targets.get(term.port)))
        for term in objective.terms
    ]


def _beside(each: Tensor, like: Tensor) -> Tensor:
    """One entry an example, to go with an array of them."""
    shaped = each.reshape(-1, *(1,) * (like.dim() - 1))
    return shaped.to(like.dtype) if shaped.is_floating_point() else shaped
