"""Trainings of one net with several seeds, or on several parts, of one set, whose columns are packed once.

Seeds draw their own validation parts, and folds leave out their own, so each training has other examples,
but all in the same memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia._torch import torch
from retia.errors import Error
from retia.metrics.examples import Examples, whole_targets
from retia.metrics.objective import Objective, aims_of, objective
from retia.nets.net import Net
from retia.sources.dataset import Data
from retia.training.prepare import Prepared, fit, parts_of

if TYPE_CHECKING:
    from torch import Tensor


class NotStackedError(Error):
    """Nets that are trained one after another, because they cannot be stacked or it would gain nothing."""


@dataclass(frozen=True)
class Share:
    """What one seed has.

    Attributes:
        ready: its training.
        numbers: of its examples among all, int64.
    """

    ready: Prepared
    numbers: Tensor


class Common:
    """What trainings with several seeds have in common.

    Args:
        net, validation, loss, device: as ``prepare`` takes them.
        data: the same, as a set.
    Attributes:
        whole: all examples; there are some from the first share on.
    """

    def __init__(self, net: Net, data: Data, validation: Any, loss: Any, device: torch.device) -> None:
        self._net, self._data, self._validation, self._loss = net, data, validation, loss
        self._device, self._aims = device, aims_of(net, loss)
        self._fitted: Net | None = None
        self._given: Examples | None = None
        self.whole: Examples

    def share(self, seed: int, part: Data | None = None) -> Share:
        """The training of a seed, as ``prepare`` makes it.

        Args:
            seed: of everything random.
            part: of the set, to learn from instead of all of it.
        Raises:
            NotStackedError: it has another form than those before.
        """
        data = self._data if part is None else part
        train, held_out, chosen = parts_of(data, self._validation, seed)
        fitted = fit(self._net, train, self._aims)
        if self._fitted is not None and fitted != self._fitted:
            raise NotStackedError("the codecs learn something else from each part")
        net = fitted.init(seed)
        lower = objective(net, self._loss, whole_targets(net, self._data.train, self._aims))
        if self._fitted is None:
            self._fitted = fitted
            self.whole = Examples(net, self._data.train, lower, self._device)
            self.whole.check_all()
        numbers = numbers_in(train, self._data.train)
        own = self.whole if train is self._data.train else self.whole.part(train, numbers)
        if held_out is None or train is data.train:  # nothing was drawn
            return Share(Prepared(net, lower, own, self._judged(net, held_out, lower), chosen), numbers)
        judged = self.whole.part(held_out, numbers_in(held_out, self._data.train), copied=True)
        return Share(Prepared(net, lower, own, judged, chosen), numbers)

    def _judged(self, net: Net, held_out: Data | None, lower: Objective) -> Examples | None:
        """Examples of their own to judge all by, packed once."""
        if held_out is not None and self._given is None:
            self._given = Examples(net, held_out, lower, self._device)
        return self._given


def numbers_in(part: Data, data: Data) -> Tensor:
    """Which examples of a set a part of it has.

    Example:
        >>> import retia as rt
        >>> data = rt.data(([[1], [2], [3]], [0, 1, 2]))
        >>> numbers_in(data[[2, 0]], data)
        tensor([2, 0])
    """
    rows = np.asarray(data.rows)
    order = np.argsort(rows, kind="stable")
    return torch.from_numpy(order[np.searchsorted(rows, np.asarray(part.rows), sorter=order)])
