"""Inference programs of a net: made when a shape is first met, kept, and lent to one thread each.

They belong to the net and go with it. A net is a value, so they never grow stale; arrays that were changed
behind its back are refused as everywhere.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias

from retia._torch import torch
from retia.engine.devices import PROGRAMS
from retia.engine.intake import device_of
from retia.engine.trace import NotFlatError
from retia.engine.values import ValuesProgram
from retia.engine.walk import Run, walk_values
from retia.nets.net import Net
from retia.nets.wiring import Value
from retia.shapes import Extent

if TYPE_CHECKING:
    from torch import Tensor

HELD = 2**28
"""Bytes that the programs of one net may hold; those that were not used for longest go first."""
PIECE = 2**24
"""Bytes of a net's largest value, above which a batch is computed in pieces: what caches hold."""

Maker: TypeAlias = "Callable[[], ValuesProgram]"


@dataclass
class Pool:
    """Programs that do the same, each for one thread at a time.

    Attributes:
        make: makes another.
        free: those that no thread uses.
        bytes: that all of them hold.
        used: a count that grows with every use of any pool.
    """

    make: Maker
    free: list[ValuesProgram] = field(default_factory=list)
    bytes: int = 0
    used: int = 0

    def run(self, given: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The values of some inputs."""
        try:
            program = self.free.pop()
        except IndexError:
            program = self.make()
            self.bytes += program.bytes
        try:
            return program.run(*given)
        finally:
            self.free.append(program)


class Programs:
    """The programs of one net by what they compute, of which shapes, types and devices.

    Args:
        held: bytes that they may hold together; one may hold more.
    """

    def __init__(self, held: int = HELD) -> None:
        self._held = held
        self._pools: dict[Hashable, Pool | None] = {}
        self._count = itertools.count()
        self._lock = Lock()

    def find(self, key: Hashable, maker: Callable[[], Maker]) -> Pool | None:
        """The programs under a key, made when there are none; None where there can be none.

        Args:
            maker: gives what makes them.
        """
        pool = self._pools.get(key)
        if pool is None and key not in self._pools:
            pool = self._made(key, maker())
        if pool is not None:
            pool.used = next(self._count)
        return pool

    def _made(self, key: Hashable, make: Maker) -> Pool | None:
        with self._lock:
            if key in self._pools:
                return self._pools[key]
            pool = Pool(make, used=next(self._count))
            try:
                first = make()
            except NotFlatError:
                self._pools[key] = None
                return None
            pool.free.append(first)
            pool.bytes = first.bytes
            self._pools[key] = pool
            self._shrink(key)
            return pool

    def _shrink(self, newest: Hashable) -> None:
        pools = {key: pool for key, pool in self._pools.items() if pool is not None}
        while len(pools) > 1 and sum(pool.bytes for pool in pools.values()) > self._held:
            oldest = min((key for key in pools if key != newest), key=lambda key: pools[key].used)
            del self._pools[oldest], pools[oldest]

    @property
    def bytes(self) -> int:
        """That they hold."""
        return sum(pool.bytes for pool in [*self._pools.values()] if pool is not None)


def programs_of(net: Net) -> Programs:
    """The programs of a net."""
    found: Programs = net.__dict__.setdefault("_programs", Programs())
    return found


def pool_for(
    net: Net,
    wanted: tuple[Value, ...],
    inputs: Mapping[str, Tensor],
    lengths: Mapping[str, Tensor],
    *,
    exact: bool,
) -> Pool | None:
    """The programs for batches like one; None where there can be none.

    Args:
        exact: every bit is that of the walk.
    """
    if device_of(net).type not in PROGRAMS:
        return None
    shapes = tuple((name, t.shape, t.dtype, t.device) for name, t in inputs.items())
    key = (wanted, exact, shapes, tuple(lengths))
    return programs_of(net).find(key, lambda: _maker(net, wanted, inputs, lengths, exact=exact))


def compute(
    net: Net,
    wanted: tuple[Value, ...],
    inputs: Mapping[str, Tensor],
    lengths: Mapping[str, Tensor],
    *,
    exact: bool,
) -> tuple[Tensor, ...]:
    """Values of a batch by a program of its shape, or by the walk where there can be no program."""
    pool = pool_for(net, wanted, inputs, lengths, exact=exact)
    if pool is not None:
        return pool.run((*inputs.values(), *lengths.values()))
    with torch.no_grad():
        values = walk_values(net, inputs, net.arrays.check(), Run(lengths=lengths), wanted)
    return tuple(values[value].clone() for value in wanted)


def _maker(
    net: Net,
    wanted: tuple[Value, ...],
    inputs: Mapping[str, Tensor],
    lengths: Mapping[str, Tensor],
    *,
    exact: bool,
) -> Maker:
    """What makes programs for batches like one; it keeps no net, lest a net kept itself."""
    kept, like = weakref.ref(net), {name: (t.shape, t.dtype, t.device) for name, t in inputs.items()}
    long = {name: tensor.clone() for name, tensor in lengths.items()}

    def make() -> ValuesProgram:
        own = kept()
        assert own is not None
        examples = {n: torch.zeros(s, dtype=d, device=at) for n, (s, d, at) in like.items()}
        return ValuesProgram(
            own, wanted, examples, own.arrays.check(), constant=True, lengths=long, exact=exact
        )

    return make


def pieces(net: Net, rows: int, sizes: Mapping[str, int] | None = None) -> list[int]:
    """Sizes of the parts in which a batch is computed, so that its largest value stays in caches.

    Args:
        sizes: of varying dimensions, by name.
    Example:
        >>> import retia as rt
        >>> pieces(rt.Linear(1, input=4), 1000), pieces(rt.Conv2d(64, 3, input=(3, 258, 258)), 3)
        ([1000], [1, 1, 1])
    """
    most = per_piece(net, sizes)
    if rows <= most:
        return [rows]
    number = -(-rows // most)
    return [rows * (n + 1) // number - rows * n // number for n in range(number)]


def per_piece(net: Net, sizes: Mapping[str, int] | None = None) -> int:
    """How many examples the largest value holds in ``PIECE`` bytes."""
    return max(1, PIECE // (4 * max(1, _largest(net, sizes or {}))))


def _largest(net: Net, sizes: Mapping[str, int]) -> int:
    """Elements of the largest value of one example, as far as sizes are known."""
    known: dict[Any, int] = net.__dict__.setdefault("_largest", {})
    key = tuple(sizes.items())
    if key not in known:
        values = [*(("", name) for name in net.wiring.inputs)]
        values += [value for node in net.wiring.nodes for value in node.outputs]
        known[key] = max((_elements(net.solution.shape(value), sizes) for value in values), default=1)
    return known[key]


def _elements(shape: Any, sizes: Mapping[str, int]) -> int:
    total = 1
    for size in shape or ():
        if isinstance(size, Extent):
            total *= int(size.evaluate(sizes)) if size.names <= sizes.keys() else 1
        else:
            total *= size or 1
    return total
