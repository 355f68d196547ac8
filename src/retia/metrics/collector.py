"""Gathering what a measurement keeps of an output, batch by batch; what it is, says ``kept.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from retia._late import numpy as np
from retia._torch import torch
from retia.codecs.boxes import Boxes
from retia.engine.walk import mask_of
from retia.errors import DataError
from retia.metrics import kept
from retia.metrics.kept import BooleanDecisions, ClassDecisions, Detections, Kept, Nothing, Numbers
from retia.metrics.scores import (
    BOOLEAN,
    BOXES,
    CLASSES,
    NOTHING,
    NUMBERS,
    ORDERED,
    brier_of,
    decider,
    scale_of,
)
from retia.metrics.terms import Term
from retia.nets.codec import Reading
from retia.nets.net import Net

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


class Collector:
    """Gathers what is kept of one output, batch by batch.

    Args:
        net: whose output it is.
        term: of the objective, for the output.
        examples: how many there will be.
        every: keep all scores, however many.
        things: what the data has at an output of boxes, in its order; else they are read off the targets,
            where of two boxes in a cell of the grid there is one.
    """

    def __init__(
        self,
        net: Net,
        term: Term,
        examples: int,
        *,
        every: bool = False,
        things: Sequence[Any] | None = None,
    ) -> None:
        self.decider = decider(net, term)
        self._term, self._codec = term, net.outputs[term.port].codec
        self._shape, self._scale = net.solution.shape(term.reads), scale_of(net, term)
        self._things = things
        self._found: list[dict[str, Any]] = []
        self._true: list[dict[str, Any]] = []
        self._labels = getattr(net.outputs[term.port].codec, "labels", None)
        self._examples, self._every = examples, every
        self._parts: dict[str, list[NDArray[Any]]] = {}
        self._targets, self._errors = _Spread(), _Spread()
        self._squares: Any = 0.0
        self._absolutes: Any = 0.0
        self._log_losses = self._briers = 0.0
        self._classes = 0

    def add(self, value: Tensor, target: Tensor | None, lengths: Mapping[str, Tensor] | None = None) -> None:
        """Add a batch, from the value that the objective reads."""
        if self.decider.sense == NOTHING or target is None:
            return
        value, target = value.detach().cpu(), target.cpu()
        if self.decider.sense == BOXES:
            self._add_boxes(value, target)
            return
        mask = mask_of(self._shape, value, lengths) if lengths else None
        known = self.decider.known(value, target, mask)
        if mask is not None:
            real = mask.expand_as(value) if self.decider.sense == NUMBERS else mask
            self._parts.setdefault("sizes", []).append(real.flatten(1).sum(1).numpy())
        if self.decider.sense == NUMBERS:
            self._add_numbers(value, target, known)
            return
        truths, answers = self.decider.truths(value, target), self.decider.answers(value)
        if known is not None:
            self._keep("known", known)
        if self.decider.sense == BOOLEAN:
            self._keep("true", truths, torch.uint8)
            self._keep("answered", answers, torch.uint8)
            self._keep("logit", self.decider.logit(value))
            return
        logs = self.decider.logs(value)
        self._classes = logs.shape[-1]
        small = torch.uint8 if self._classes <= 256 else torch.int32
        self._keep("true", truths, small)
        self._keep("answered", answers, small)
        self._keep("rank", self.decider.ranks(value, truths), small)
        self._keep("confidence", logs.amax(-1).exp())
        losses, briers = logs.gather(-1, truths.unsqueeze(-1)).squeeze(-1), brier_of(logs, truths)
        self._log_losses -= float((losses if known is None else losses[known]).sum())
        self._briers += float((briers if known is None else briers[known]).sum())
        if self._is_kept(logs):
            self._keep("logs", logs, torch.float32)

    @property
    def seen(self) -> bool:
        """Whether anything was added."""
        return bool(self._parts) or self._targets.count > 0 or bool(self._found)

    def kept(self) -> Kept:
        """What was gathered.

        Raises:
            DataError: nothing of it counts.
        """
        if "known" in self._parts and not any(part.any() for part in self._parts["known"]):
            raise DataError(
                f"{self._term.port}: nothing can be measured, for all targets are of the class that is "
                "ignored.",
                path=self._term.port,
            )
        arrays = {name: _stacked(parts) for name, parts in self._parts.items()}
        if self.decider.sense in (CLASSES, ORDERED):
            arrays |= {"log_losses": np.array(self._log_losses), "briers": np.array(self._briers)}
            labels = self._labels or tuple(range(self._classes))
            return ClassDecisions(arrays, labels, self.decider.sense, self._term.ignored)
        if self.decider.sense == BOOLEAN:
            return BooleanDecisions(arrays)
        if self.decider.sense == NOTHING:
            return Nothing(arrays)
        if isinstance(self._codec, Boxes):
            return Detections(arrays, self._found, self._true, self._codec)
        sums = {
            "squares": self._squares, "absolutes": self._absolutes, "spread": self._targets.spread,
            "error_spread": self._errors.spread,
        }  # fmt: skip
        arrays |= {name: np.asarray(s) for name, s in sums.items()}
        return Numbers(arrays, self._targets.count, self._scale)

    def _add_boxes(self, value: Tensor, target: Tensor) -> None:
        codec = self._codec
        assert isinstance(codec, Boxes)
        rows = range(len(self._found), len(self._found) + len(value))
        ending = None if self._term.of_logits else self._term.ending
        self._found += codec.unpack(value, Reading(("above", 0.0), ending=ending))
        if self._things is not None:
            self._true += [codec.seen(self._things[row]) for row in rows]
            return
        placed = codec.unpack(target, Reading("candidates", ending=codec.ending))
        for each in placed:
            count = int((each["scores"] == 1).sum())
            self._true.append({name: column[:count] for name, column in each.items()})

    def _add_numbers(self, value: Tensor, target: Tensor, known: Tensor | None) -> None:
        if known is not None:  # what is real of padded sequences, one position after the other
            value, target = value[known], target[known]
        if self._is_kept(value):
            self._keep("value", value, torch.float32)
            self._keep("target", target, torch.float32)
        values, targets = value.double().numpy(), target.double().numpy()
        if self._scale is not None:  # no mean: what is shifted has the same errors and the same spread
            values, targets = values * self._scale.deviation, targets * self._scale.deviation
        error = values - targets
        self._squares = self._squares + (error**2).sum(0)
        self._absolutes = self._absolutes + abs(error).sum(0)
        self._targets.add(targets)
        self._errors.add(error)

    def _is_kept(self, value: Tensor) -> bool:
        return self._every or self._examples * value[0].numel() <= kept.KEPT

    def _keep(self, name: str, values: Tensor, dtype: torch.dtype | None = None) -> None:
        if values.shape[1:] == (1,):  # a yes or no that stands in a column
            values = values.squeeze(1) if self.decider.sense == BOOLEAN else values
        self._parts.setdefault(name, []).append(values.to(dtype or values.dtype).numpy())


def _stacked(parts: list[NDArray[Any]]) -> NDArray[Any]:
    """Batches one after the other; where they are padded to different lengths, to the greatest."""
    sizes = [max(each) for each in zip(*(part.shape[1:] for part in parts), strict=True)]
    if all(part.shape[1:] == parts[0].shape[1:] for part in parts):
        return np.concatenate(parts)
    padded = [
        np.pad(part, [(0, 0), *((0, size - own) for size, own in zip(sizes, part.shape[1:], strict=True))])
        for part in parts
    ]
    return np.concatenate(padded)


class _Spread:
    """Squared distances from the mean, by position, added up in float64 without losing digits.

    Source: Chan, Golub and LeVeque 1983, for joining the spreads of batches.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: Any = 0.0
        self.spread: Any = 0.0

    def add(self, values: NDArray[Any]) -> None:
        count, mean = len(values), values.mean(0)
        total = self.count + count
        apart = mean - self.mean
        self.spread = self.spread + ((values - mean) ** 2).sum(0) + apart**2 * (self.count * count / total)
        self.mean = self.mean + apart * (count / total)
        self.count = total
