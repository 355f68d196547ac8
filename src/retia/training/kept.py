"""What a net gives at a cut, computed once for every example and kept, so that only the rest is trained.

Kept is in memory, in a file that is mapped into memory where it would not fit, and between runs in a folder
if the user names one (``cache.py``). Which of these, and which cut, follows from sizes alone.
"""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

from retia._atomic import made_folder
from retia._torch import torch
from retia.engine.trace import NotFlatError
from retia.engine.values import ValuesProgram
from retia.engine.walk import Run, walk_values
from retia.errors import ArgumentError
from retia.metrics.examples import Batch, Examples
from retia.nets.net import Net
from retia.nets.wiring import Value
from retia.sources.feeds import free_memory
from retia.training.cache import Cache, example_keys
from retia.training.frozen import Cut, find_frozen
from retia.training.prepare import Prepared
from retia.training.step import Step

if TYPE_CHECKING:
    from torch import Tensor

NEAR, FAR = 20 * 2**20, 2**29
"""Bytes that the largest value of a chunk may have: what caches hold, and where memory is a device's own.

Measured with EfficientNet-lite0 on a processor: 4 pictures at once are twice as fast as 32.
"""
MOST = 256
"""Examples of a chunk."""
REPAYS = 6
"""From so many chunks on, a program repays its planning."""

Allot: TypeAlias = "Callable[[tuple[int, ...], torch.dtype], Tensor]"
"""How room for numbers is taken: from a shape and a type."""


def read_cache(given: Any) -> bool | str:
    """The argument ``cache`` of ``train``: True, False, or a folder.

    Raises:
        ArgumentError: none of these.
    """
    if isinstance(given, bool):
        return given
    if isinstance(given, str | os.PathLike) and os.fspath(given):
        return os.fspath(given)
    raise ArgumentError(
        f"train: cache is True, False or a folder; got {given!r}.",
        fix='cache="folder" keeps what frozen layers give between runs, cache=False keeps nothing',
        got=given,
    )


def with_kept(ready: Prepared, step: Step, epochs: int, cache: bool | str) -> Prepared:
    """A training whose examples begin at a cut, if the step's net has frozen layers and it can be cut.

    Args:
        ready: to begin with.
        step: with its rates.
        epochs: that are asked for.
        cache: whether to keep anything, or the folder to keep it in between runs.
    Returns:
        The same, or another one whose examples hold what is kept; ``frozen`` says what was done, and why.
    Raises:
        FileError: the folder cannot be made.
    """
    if not step.paces.frozen:
        return ready
    frozen = f"{len(step.paces.frozen)} of {len(step.paces.of)} arrays"
    why = _refused(ready, step, epochs, cache)
    if why:
        return replace(ready, frozen=f"{frozen}; nothing kept: {why}")
    keeper = Keeper(ready, step, epochs, cache)
    kept, told = keeper.kept()
    train, validation = kept[0], kept[1] if len(kept) > 1 else None
    return replace(ready, train=train, validation=validation, frozen=f"{frozen}; {told}")


def _refused(ready: Prepared, step: Step, epochs: int, cache: bool | str) -> str:
    """Why nothing is kept whatever the net, in words; "" where something may be."""
    if epochs == 0:
        return "no epochs"
    if cache is False:
        return "cache=False"
    if step.mix is not None:
        return "examples are mixed"
    parts = [ready.train, *([ready.validation] if ready.validation is not None else [])]
    return "examples vary in size" if any(part.feed.varies for part in parts) else ""


class Keeper:
    """Finds a cut, and keeps what the net gives there. Its arguments are those of ``with_kept``."""

    def __init__(self, ready: Prepared, step: Step, epochs: int, cache: bool | str) -> None:
        self._parts = [ready.train, *([ready.validation] if ready.validation is not None else [])]
        self._number = sum(map(len, self._parts))
        self._found = 0
        self._step, self._epochs = step, epochs
        self._folder = made_folder(cache) if isinstance(cache, str) else None
        self._arrays = {path: tensor.to(ready.train.device) for path, tensor in ready.net.arrays.items()}

    def kept(self) -> tuple[list[Examples], str]:
        """The examples, from the cut on if there is one, and what was done, in words."""
        checked = [part.check_all() for part in self._parts]
        one = self._parts[0].batch(torch.arange(1))
        if not checked[0]:
            self._parts[0].check(one)
        found = find_frozen(self._step, self._arrays, one)
        if found.why:
            return self._parts, f"nothing kept: {found.why}"
        needed = []
        for cut in found.cuts():
            needed.append(self._number * cut.bytes)
            for allot, where in self._places(needed[-1]):
                room = self._room(cut, allot)
                if room is not None:
                    return self._filled(cut, room, checked), self._told(cut, where, needed)
        least = min(needed)
        if self._epochs == 1 and least <= free_disk() // 2:
            return self._parts, f"nothing kept: too few epochs to write {told_bytes(least)} into a file"
        return self._parts, f"nothing kept: {told_bytes(least)} fit neither into memory nor on the disk"

    def _places(self, needed: int) -> Iterator[tuple[Allot, str]]:
        """Where so many bytes may be kept: how to take room, and its name."""
        if needed <= free_memory() // 4:
            yield in_memory, "in memory"
        elif self._epochs > 1 and needed <= free_disk() // 2:
            yield in_file, "in a file, for they would not fit into memory"

    def _room(self, cut: Cut, allot: Allot) -> list[dict[Value, Tensor]] | None:
        """Room for the values of all parts; None where the disk is fuller than it said."""
        with suppress(OSError):
            return [
                {value: allot((len(part), *like.shape[1:]), like.dtype) for value, like in cut.values.items()}
                for part in self._parts
            ]
        return None

    def _filled(
        self, cut: Cut, room: Sequence[Mapping[Value, Tensor]], checked: Sequence[bool]
    ) -> list[Examples]:
        cache = Cache(self._folder, self._step.net, cut, self._arrays) if self._folder else None
        trunk = Trunk(self._step.net, cut, self._arrays, self._number)
        for part, values, known in zip(self._parts, room, checked, strict=True):
            self._found += len(part) - fill(part, values, trunk, cache, known)
        return [part.starting(values, cut.rest) for part, values in zip(self._parts, room, strict=True)]

    def _told(self, cut: Cut, where: str, needed: Sequence[int]) -> str:
        layers = f"{len(cut.nodes)} layer{'s' * (len(cut.nodes) > 1)}"
        told = f"{layers} computed once for {self._number:,} examples"
        if self._folder is not None:
            told += f" ({self._found:,} of them found in {self._folder})"
        told += f", {told_bytes(needed[-1])} kept {where}"
        if len(needed) > 1:
            told += f"; cut early, for later there is no room for {told_bytes(needed[0])}"
        return told


class Trunk:
    """The part of a net before a cut, in inference behaviour.

    Args:
        net: that is cut.
        cut: where.
        arrays: by path.
        number: of the examples that it will be asked for; many repay a program.
    Attributes:
        size: of the batches that it takes.
        whole: whether all batches must be of that size.
    """

    def __init__(self, net: Net, cut: Cut, arrays: Mapping[str, Tensor], number: int) -> None:
        self._net, self._cut, self._arrays = net, cut, arrays
        room = NEAR if next(iter(arrays.values())).device.type == "cpu" else FAR
        self.size = max(1, min(MOST, room // max(cut.widest, 1)))
        self.whole = number >= REPAYS * self.size
        self._program: ValuesProgram | None = None

    def __call__(self, batch: Batch) -> dict[Value, Tensor]:
        """The values at the cut."""
        inputs = {port: batch.inputs[port] for port in self._cut.ports}
        if self.whole and self._program is None:
            try:
                values = tuple(self._cut.values)
                self._program = ValuesProgram(self._net, values, inputs, self._arrays, constant=True)
            except NotFlatError:
                self.whole = False
        if self._program is not None:
            return self._program(inputs)
        with torch.no_grad():
            return walk_values(self._net, inputs, self._arrays, Run(), self._cut.values)


def fill(
    examples: Examples, values: Mapping[Value, Tensor], trunk: Trunk, cache: Cache | None, checked: bool
) -> int:
    """Compute the values of all examples, or find them; answers how many were computed.

    Args:
        examples: from the net's inputs on.
        values: room for them, one row an example.
        trunk: computes them.
        cache: where they may be found, and are kept after.
        checked: whether the examples were checked.
    """
    rows = torch.arange(len(examples))
    keys: list[bytes] = []
    if cache is not None:
        batches = torch.split(rows, MOST)
        for some, packed in zip(batches, examples.feed.stream(batches), strict=True):
            keys += example_keys([packed[examples.packed(port)] for port in cache.ports])
            if not checked:
                examples.check(examples.arrive(packed, some))
        rows = cache.find(keys, values)
    parts = torch.split(rows, trunk.size) if len(rows) else ()
    padded = [_padded(part, trunk.size) if trunk.whole else part for part in parts]
    for part, batch in zip(parts, examples.batches(padded), strict=True):
        if not checked and cache is None:
            examples.check(batch)
        for value, tensor in trunk(batch).items():
            values[value].index_copy_(0, part, tensor[: len(part)].to(values[value].device))
    if cache is not None and len(rows):
        cache.add([keys[row] for row in rows.tolist()], {v: t[rows] for v, t in values.items()})
    return len(rows)


def _padded(rows: Tensor, size: int) -> Tensor:
    """As many rows as a program takes; what is lacking is the last one again."""
    return torch.cat([rows, rows[-1:].expand(size - len(rows))])


# Room ---------------------------------------------------------------------------------------------


def in_memory(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Room in memory."""
    return torch.empty(shape, dtype=dtype)


def in_file(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Room in a file that is seen as memory.

    The file's name is gone at once where the system allows that, so that nothing is left over however the
    program ends.

    Raises:
        OSError: the disk has no room.
    """
    number = math.prod(shape)
    with tempfile.TemporaryDirectory(prefix="retia-", ignore_cleanup_errors=True) as folder:
        path = os.path.join(folder, "values")
        with open(path, "wb") as file:
            _reserve(file, number * dtype.itemsize)
        return torch.from_file(path, shared=True, size=number, dtype=dtype).reshape(shape)


def _reserve(file: BinaryIO, size: int) -> None:
    """Take room on the disk now: a mapped file that lacks it later ends the program."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
        return
    block = bytes(2**20)
    for start in range(0, size, len(block)):
        file.write(block[: size - start])


def free_disk() -> int:
    """Bytes that are free where temporary files stand."""
    return shutil.disk_usage(tempfile.gettempdir()).free


def told_bytes(number: int) -> str:
    """Bytes for people.

    Example:
        >>> told_bytes(2_560_000), told_bytes(312)
        ('2.6 MB', '312 B')
    """
    size = float(number)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
