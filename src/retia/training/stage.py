"""A recorded job on batches of one size: the memory that its program reads, filled for every run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from retia._torch import torch
from retia.engine.plan import Planner, Target
from retia.engine.trace import Fact, Tape
from retia.sources.feeds import ResidentFeed
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
    """

    def __init__(
        self,
        job: Job,
        tape: Tape,
        arrays: Mapping[str, Tensor],
        target: Callable[[str, Fact], Target],
        size: int,
    ) -> None:
        self._job, self._arrays = job, arrays
        read = {ref.number for call in tape.calls for ref in call.refs()}
        read |= {ref.number for ref in tape.outputs.values()}
        used = [name for name, ref in tape.inputs.items() if ref.number in read]
        places = {name: self._place(name, tape.fact(ref)) for name, ref in tape.inputs.items()}
        feed = job.examples.feed
        whole = feed.tensors if isinstance(feed, ResidentFeed) else {}
        columns = [name.removeprefix(COLUMN) for name in used if name.startswith(COLUMN)]
        self._columns = [(name, whole.get(name), places[COLUMN + name]) for name in columns]
        self._keys = [(name.removeprefix(KEY), places[name]) for name in used if name.startswith(KEY)]
        self._rows = places[ROWS] if ROWS in used else None
        self.fill(torch.arange(size) % len(job.examples), None, 0)
        targets = {name: target(name, tape.fact(ref)) for name, ref in tape.outputs.items()}
        self.program = Planner(tape, places, {}, targets).plan()
        self.run = self.program.run

    def _place(self, name: str, fact: Fact) -> Tensor:
        """The memory that an input of the program is read from."""
        return self._arrays[name.removeprefix(ARRAY)] if name.startswith(ARRAY) else zero(fact)

    def fill(self, rows: Tensor, packed: Mapping[str, Tensor] | None, count: int) -> None:
        """Bring a batch and the keys of its draws to where the program reads them.

        Args:
            rows: of the batch.
            packed: its columns; None where the feed has all of them.
            count: of the steps done.
        """
        if packed is None and any(whole is None for _, whole, _ in self._columns):
            packed = self._job.examples.feed.take(rows)
        for name, whole, place in self._columns:
            if packed is not None:
                place.copy_(packed[name])
            elif whole is not None:
                torch.index_select(whole, 0, rows, out=place)
        if self._rows is not None:
            self._rows.copy_(rows)
        for path, place in self._keys:
            place.copy_(torch.tensor(self._job.key(path, count)))


def zero(fact: Fact) -> Tensor:
    """Memory for a tensor of a tape, outside the program's own."""
    return torch.zeros(fact.shape, dtype=fact.dtype, device=fact.device)
