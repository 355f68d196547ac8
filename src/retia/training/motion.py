"""What stands between the gradients of a batch and the optimizer: gathering, clipping, turns, averages.

Everything here works on lists of tensors, so that the walk (one tensor an array) and programs (one buffer for
many arrays) share it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.errors import ArgumentError
from retia.nets.net import Net
from retia.nets.patterns import matches, refuse_idle
from retia.nets.settings import real, whole

if TYPE_CHECKING:
    from torch import Tensor

EARLY = 10
"""An average of so many steps or fewer leans on the newest: ``(1 + n) / (10 + n)`` of the old is kept."""
EPS = 1e-6
"""Added to a norm before it divides, as in PyTorch."""


@dataclass(frozen=True)
class Motion:
    """How gradients become a step.

    Attributes:
        clip_norm: above 0, of all gradients together; longer ones are shortened. None: they stay.
        clip_value: above 0; every number is brought to within it. None: they stay.
        accumulate: at least 1, batches whose mean gradient makes one step.
        ema: 0..1, how much of the arrays' running average is kept at a step; None for no average.
        turns: of the steps, in a circle: the paths that move in each; empty where all always move.
    """

    clip_norm: float | None = None
    clip_value: float | None = None
    accumulate: int = 1
    ema: float | None = None
    turns: tuple[frozenset[str], ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing between gradients and optimizer."""
        return self == Motion()

    def gather(
        self, pending: Sequence[Tensor], gradients: Sequence[Tensor], gathered: int, last: bool
    ) -> bool:
        """Add a batch to those that wait; answers whether it is time for a step.

        Args:
            pending: changed in place; once it is time, the mean gradients.
            gradients: of the batch.
            gathered: how many batches wait, with this one.
            last: whether no other will come to them.
        """
        torch._foreach_add_([*pending], [*gradients])
        if gathered < self.accumulate and not last:
            return False
        torch._foreach_div_([*pending], gathered)
        return True

    def clipped(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        """The gradients, brought to within the bounds; what is given stays."""
        found = [*gradients]
        if self.clip_value is not None:
            found = [*torch._foreach_clamp_min(found, -self.clip_value)]
            torch._foreach_clamp_max_(found, self.clip_value)
        if self.clip_norm is not None:
            norm = torch.linalg.vector_norm(
                torch.stack([n.to(found[0].device) for n in torch._foreach_norm(found)])
            )
            share = torch.clamp(self.clip_norm / (norm + EPS), max=1.0)
            found = [*torch._foreach_mul(found, share)]
        return found

    def average(self, averages: Sequence[Tensor], arrays: Sequence[Tensor], count: int) -> None:
        """Let averages follow the arrays after a step.

        Args:
            averages: changed in place.
            arrays: as they are now.
            count: of the step, from 1.
        """
        assert self.ema is not None
        kept = min(self.ema, (1 + count) / (EARLY + count))
        torch._foreach_lerp_([*averages], [*arrays], 1 - kept)

    # Turns ----------------------------------------------------------------------------------------

    def moves(self, path: str, count: int) -> bool:
        """Whether an array moves in a step, counted from 0."""
        return not self.turns or path in self.turns[count % len(self.turns)]

    def moved(self, path: str, count: int) -> int:
        """How often an array has moved in the first so many steps."""
        if not self.turns:
            return count
        rounds, rest = divmod(count, len(self.turns))
        return rounds * sum(path in turn for turn in self.turns) + sum(path in t for t in self.turns[:rest])


def read_motion(
    net: Net,
    moved: Iterable[str],
    *,
    clip_norm: Any = None,
    clip_value: Any = None,
    accumulate: Any = 1,
    ema: Any = None,
    turns: Any = None,
) -> Motion:
    """The arguments of ``rt.train`` by these names.

    Args:
        net: whose paths ``turns`` means.
        moved: the arrays that are trained.
        turns: path patterns, or lists of them; the steps take them in turn.
    Raises:
        ArgumentError: out of range, or a turn in which nothing moves, or an array that never does.
        UnknownNameError: a pattern that matches nothing.
    Example:
        >>> import retia as rt
        >>> net = rt.Chain(body=rt.Linear(3), head=rt.Linear(2), input=4)
        >>> motion = read_motion(net, net.learned(), turns=["body", ["body", "head"]])
        >>> motion.moves("head.bias", 0), motion.moves("head.bias", 1), motion.moved("head.bias", 5)
        (False, True, 2)
    """
    return Motion(
        _above(clip_norm, "clip_norm"),
        _above(clip_value, "clip_value"),
        whole(1)("train: accumulate", accumulate),
        None if ema is None else real(0, 1, open_high=True)("train: ema", ema),
        _turns(net, tuple(moved), turns),
    )


def _above(value: Any, name: str) -> float | None:
    if value is None:
        return None
    bad = isinstance(value, bool | str | bytes) or not hasattr(value, "__float__")
    number = math.nan if bad else float(value)
    if not 0 < number < math.inf:
        raise ArgumentError(
            f"train: {name} is a number above 0; got {value!r}.", fix=f"leave {name} out", got=value
        )
    return number


def _turns(net: Net, moved: tuple[str, ...], given: Any) -> tuple[frozenset[str], ...]:
    if given is None:
        return ()
    if isinstance(given, str | Mapping) or not isinstance(given, Iterable):
        raise _no_turns(given)
    turns = [[turn] if isinstance(turn, str) else turn for turn in given]
    if len(turns) < 2 or not all(
        isinstance(t, list | tuple) and all(isinstance(p, str) for p in t) for t in turns
    ):
        raise _no_turns(given)
    known = [*net.learned(), *(node.path for node in net.wiring.nodes)]
    for pattern in dict.fromkeys(pattern for turn in turns for pattern in turn):
        refuse_idle("turns", [pattern], known)
    found = tuple(frozenset(p for p in moved if any(matches(each, p) for each in turn)) for turn in turns)
    for turn, paths in zip(turns, found, strict=True):
        if not paths:
            raise ArgumentError(f"train: nothing that is trained moves in the turn {turn!r}.", got=turn)
    idle = [path for path in moved if not any(path in turn for turn in found)]
    if idle:
        raise ArgumentError(
            f"train: {idle[0]} has no turn.", fix=f'rates={{"{idle[0]}": 0}} freezes it, or name it in turns',
            path=idle[0],
        )  # fmt: skip
    return found


def _no_turns(given: Any) -> ArgumentError:
    return ArgumentError(
        f"train: turns is a list of at least two path patterns, or lists of them; got {given!r}.",
        fix='turns=["discriminator", "generator"]',
        got=given,
    )
