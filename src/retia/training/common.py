"""Trainings of one net with several seeds on one set, whose columns are packed once.

Seeds draw their own validation parts, so each has other examples, but all in the same memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia._torch import torch
from retia.errors import Error
from retia.metrics.examples import Examples, whole_targets
from retia.metrics.objective import aims_of, objective
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
        self._size = 0
        self.whole: Examples

    def share(self, seed: int) -> Share:
        """The training of a seed, as ``prepare`` makes it.

        Raises:
            NotStackedError: it has another form than those before.
        """
        train, held_out, chosen = parts_of(self._data, self._validation, seed)
        fitted = fit(self._net, train, self._aims)
        if self._fitted is not None and fitted != self._fitted:
            raise NotStackedError("the codecs learn something else from each seed's part")
        if self._fitted is not None and len(train) != self._size:
            raise NotStackedError("the seeds' parts are of different sizes")
        net = fitted.init(seed)
        lower = objective(net, self._loss, whole_targets(net, self._data.train, self._aims))
        if self._fitted is None:
            self._fitted, self._size = fitted, len(train)
            self.whole = Examples(net, self._data.train, lower, self._device)
            self.whole.check_all()
        if train is self._data.train:
            if held_out is not None and self._given is None:
                self._given = Examples(net, held_out, lower, self._device)
            return Share(Prepared(net, lower, self.whole, self._given, chosen), torch.arange(len(self.whole)))
        assert held_out is not None
        numbers = numbers_in(train, self._data.train)
        judged = self.whole.part(held_out, numbers_in(held_out, self._data.train), copied=True)
        return Share(Prepared(net, lower, self.whole.part(train, numbers), judged, chosen), numbers)


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
