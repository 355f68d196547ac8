"""A recorded job on batches of one size: the memory that its program reads, filled for every run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.engine.capture import captured
from retia.engine.compiled import compiled
from retia.engine.devices import captured_on
from retia.engine.plan import Planner, Target
from retia.engine.trace import Fact, Tape
from retia.sources.feeds import Feed, ResidentFeed
from retia.training.job import ARRAY, COLUMN, KEY, ROWS, Job

if TYPE_CHECKING:
    from torch import Tensor


class Stage:
    """A program with what it reads.

    Args:
        job: that was recorded.
        tape: of it.
        arrays: by path; they are read where they stand.
        target: where an output goes, from its name and what is known of it.
        size: of a batch.
        by_compiler: leave the plan to ``torch.compile``.
    """

    def __init__(
        self,
        job: Job,
        tape: Tape,
        arrays: Mapping[str, Tensor],
        target: Callable[[str, Fact], Target],
        size: int,
        *,
        by_compiler: bool = False,
    ) -> None:
        self._job, self._arrays = job, arrays
        self.run: Callable[[], Any]
        read = {ref.number for call in tape.calls for ref in call.refs()}
        read |= {ref.number for ref in tape.outputs.values()}
        used = [name for name, ref in tape.inputs.items() if ref.number in read]
        places = {name: self._place(name, tape.fact(ref)) for name, ref in tape.inputs.items()}
        whole = resident(job.examples.feed, job.examples.device)
        columns = [name.removeprefix(COLUMN) for name in used if name.startswith(COLUMN)]
        self._columns = [(name, whole.get(name), places[COLUMN + name]) for name in columns]
        self._streams = any(whole is None for _, whole, _ in self._columns)
        self._keys = [(name.removeprefix(KEY), places[name]) for name in used if name.startswith(KEY)]
        self._rows = places[ROWS] if ROWS in used else None
        self.fill(torch.arange(size, device=job.examples.device) % len(job.examples), None, 0)
        targets = {name: target(name, tape.fact(ref)) for name, ref in tape.outputs.items()}
        if by_compiler:
            self.run = compiled(tape, places, targets)
            return
        self.run = Planner(tape, places, {}, targets).plan().run
        if captured_on(job.examples.device):
            changed = [target.tensor for target in targets.values() if not target.early]
            self.run = captured(self.run, job.examples.device, changed)

    def _place(self, name: str, fact: Fact) -> Tensor:
        """The memory that an input of the program is read from."""
        return self._arrays[name.removeprefix(ARRAY)] if name.startswith(ARRAY) else zero(fact)

    def fill(
        self, rows: Tensor, packed: Mapping[str, Tensor] | None, count: int, epoch: int | None = None
    ) -> None:
        """Bring a batch and the keys of its draws to where the program reads them.

        Args:
            rows: of the batch, on the device.
            packed: its columns; None where the feed has all of them.
            count: of the batches before.
            epoch: that the batch belongs to, where epochs are counted.
        """
        if packed is None and self._streams:
            packed = self._job.examples.feed.take(rows.cpu())
        for name, whole, place in self._columns:
            if packed is not None:
                place.copy_(packed[name])
            elif whole is not None:
                torch.index_select(whole, 0, rows, out=place)
        if self._rows is not None:
            self._rows.copy_(rows)
        for path, place in self._keys:
            place.copy_(torch.tensor(self._job.key(path, count, epoch)))


def resident(feed: Feed, device: torch.device) -> Mapping[str, Tensor]:
    """The whole columns of a feed on a device; none where the feed streams, or they do not fit there."""
    if not isinstance(feed, ResidentFeed):
        return {}
    if device.type == "cpu":
        return feed.tensors
    needed = sum(tensor.numel() * tensor.element_size() for tensor in feed.tensors.values())
    if device.type == "cuda" and needed > torch.cuda.mem_get_info(device)[0] // 2:
        return {}
    return {name: tensor.to(device) for name, tensor in feed.tensors.items()}


def zero(fact: Fact) -> Tensor:
    """Memory for a tensor of a tape, outside the program's own."""
    return torch.zeros(fact.shape, dtype=fact.dtype, device=fact.device)
