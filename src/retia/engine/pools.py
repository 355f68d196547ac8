"""Inference programs of a net: made when a shape is first met, kept, and lent to one thread each.

They belong to the net and go with it. A net is a value, so they never grow stale; arrays that were changed
behind its back are refused as everywhere.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from retia._torch import torch
from retia.engine.devices import PROGRAMS
from retia.engine.intake import device_of
from retia.engine.trace import NotFlatError
from retia.engine.values import ValuesProgram
from retia.engine.walk import Run, walk_values
from retia.nets.net import Net
from retia.nets.wiring import Node, Value
from retia.shapes import Extent

if TYPE_CHECKING:
    from torch import Tensor

HELD = 2**28
"""Bytes that the programs of one net may hold; those that were not used for longest go first."""
PIECE = 2**24
"""Bytes of a net's largest value, above which a batch is computed in pieces: what caches hold."""

SMALL = 2**18
"""Bytes of a net's largest value, up to which a repeated call is worth a program that keeps every bit."""
OFTEN = 2
"""Calls of a shape that the walk answers before a program does."""
NUMBERS = "the numbers of examples"
"""Stands among the lengths for where examples stand in the whole batch; no dimension has such a name."""

SHAPES = 1024
"""How many shapes of calls are counted."""

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
        self._calls: dict[Hashable, int] = {}

    def is_often(self, key: Hashable) -> bool:
        """Count a call; answers whether there were enough before it to make a program."""
        calls = self._calls.get(key, 0)
        if calls < OFTEN:
            if len(self._calls) >= SHAPES:
                self._calls.clear()
            self._calls[key] = calls + 1
        return calls >= OFTEN

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
    found: Programs | None = net.__dict__.get("_programs")
    return net.__dict__.setdefault("_programs", Programs()) if found is None else found


def values_of(
    net: Net,
    wanted: tuple[Value, ...],
    inputs: Mapping[str, Tensor],
    lengths: Mapping[str, Tensor],
    *,
    most: int | None = None,
    first: int = 0,
) -> tuple[Tensor, ...]:
    """Values of a batch, to the bit those of the walk; large batches in pieces.

    Small batches of a shape that comes often are computed by a program of the same bits.

    Args:
        most: examples at once; by default so many that caches hold the net's largest value.
        first: number of the first example, where the batch is a part of a longer one.
    """
    rows = next(iter(inputs.values())).shape[0] if inputs else 1
    sizes = {name: int(each.max()) for name, each in lengths.items()} if rows else {}
    if is_noisy(net):
        numbers = torch.arange(first, first + rows, device=device_of(net))
        parts = split(rows, most or per_piece(net, sizes))
        return in_pieces(
            parts, inputs, {**lengths, NUMBERS: numbers}, lambda a, b: _walked(net, wanted, a, b)
        )
    small = 0 < 4 * _largest(net, sizes) * rows <= SMALL
    if small and (most is None or rows <= most):
        return _often(net, wanted, inputs, lengths)
    parts = split(rows, most) if most else pieces(net, rows, sizes)
    return in_pieces(parts, inputs, lengths, lambda a, b: _walked(net, wanted, a, b))


def is_noisy(net: Net) -> bool:
    """Whether a net draws random numbers when it is called, so that the places of examples matter."""
    if "_noisy" not in net.__dict__:
        net.__dict__["_noisy"] = any(node.layer.noisy for node in net.wiring.nodes)
    return bool(net.__dict__["_noisy"])


def in_pieces(
    parts: Sequence[int],
    inputs: Mapping[str, Tensor],
    lengths: Mapping[str, Tensor],
    function: Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], tuple[Tensor, ...]],
) -> tuple[Tensor, ...]:
    """A function of inputs and lengths, computed part by part."""
    if len(parts) == 1:
        return function(inputs, lengths)
    found, start = [], 0
    for rows in parts:
        cut = [{n: each[start : start + rows] for n, each in of.items()} for of in (inputs, lengths)]
        found.append(function(*cut))
        start += rows
    return tuple(torch.cat(each) for each in zip(*found, strict=True))


def _often(
    net: Net, wanted: tuple[Value, ...], inputs: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
) -> tuple[Tensor, ...]:
    key = _key(wanted, inputs, lengths, exact=True)
    if programs_of(net).is_often(key):
        return _computed(net, key, inputs, lengths)
    return _walked(net, wanted, inputs, lengths)


def compute(
    net: Net, wanted: tuple[Value, ...], inputs: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
) -> tuple[Tensor, ...]:
    """Values of a batch by the program that costs least, or by the walk where there can be no program."""
    return _computed(net, _key(wanted, inputs, lengths, exact=False), inputs, lengths)


def pool_for(net: Net, wanted: tuple[Value, ...], inputs: Mapping[str, Tensor]) -> Pool | None:
    """The programs that ``compute`` has for batches like one; None where there can be none."""
    return _pool(net, _key(wanted, inputs, {}, exact=False), {})


class Key(NamedTuple):
    """What programs are alike in."""

    wanted: tuple[Value, ...]
    exact: bool
    inputs: tuple[Any, ...]
    lengths: tuple[str, ...]


def _key(
    wanted: tuple[Value, ...], inputs: Mapping[str, Tensor], lengths: Mapping[str, Tensor], *, exact: bool
) -> Key:
    like = tuple([(name, t.shape, t.dtype, t.device) for name, t in inputs.items()])
    return Key(wanted, exact, like, tuple(lengths))


def _pool(net: Net, key: Key, lengths: Mapping[str, Tensor]) -> Pool | None:
    if device_of(net).type not in PROGRAMS:
        return None
    return programs_of(net).find(key, lambda: _maker(net, key, lengths))


def _computed(
    net: Net, key: Key, inputs: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
) -> tuple[Tensor, ...]:
    pool = _pool(net, key, lengths)
    if pool is None:
        return _walked(net, key.wanted, inputs, lengths)
    return pool.run((*inputs.values(), *lengths.values()))


def _walked(
    net: Net, wanted: tuple[Value, ...], inputs: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
) -> tuple[Tensor, ...]:
    """The reference's values, in memory that is neither the net's nor the caller's."""
    arrays = net.arrays.check()
    rows = lengths.get(NUMBERS)
    lengths = {name: each for name, each in lengths.items() if name != NUMBERS}
    with torch.no_grad():
        values = walk_values(net, inputs, arrays, Run(lengths=lengths, rows=rows), wanted)
    others = {t.untyped_storage().data_ptr() for t in (*arrays.values(), *inputs.values())}
    found = (values[value] for value in wanted)
    return tuple(t.clone() if t.untyped_storage().data_ptr() in others else t for t in found)


def _maker(net: Net, key: Key, lengths: Mapping[str, Tensor]) -> Maker:
    """What makes programs for batches like one; it keeps no net, lest a net kept itself."""
    kept = weakref.ref(net)
    long = {name: tensor.clone() for name, tensor in lengths.items()}

    def make() -> ValuesProgram:
        own = kept()
        assert own is not None
        inputs = {n: torch.zeros(shape, dtype=d, device=at) for n, shape, d, at in key.inputs}
        arrays = own.arrays.check()
        return ValuesProgram(own, key.wanted, inputs, arrays, constant=True, lengths=long, exact=key.exact)

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
    return [rows] if is_noisy(net) else split(rows, per_piece(net, sizes))


def split(rows: int, most: int) -> list[int]:
    """Sizes of the fewest parts of at most so many rows, which differ by one at most."""
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
    key = tuple(sizes.items()) if sizes else ()
    if key not in known:
        if len(known) >= SHAPES:
            known.clear()
        values = [*(("", name) for name in net.wiring.inputs)]
        largest = max((_elements(net.solution.shape(value), sizes) for value in values), default=1)
        known[key] = max(largest, _largest_of(net, net.wiring.steps, sizes))
    return known[key]


def _largest_of(net: Net, nodes: Iterable[Node], sizes: Mapping[str, int]) -> int:
    """The same of what some nodes give, and the nodes within them."""
    largest = 1
    for node in nodes:
        for value in node.outputs:
            largest = max(largest, _elements(net.solution.shape(value), sizes))
        if node.inside is not None:
            rows = net.solution.sizes(node.path)[node.inside.rows] if node.inside.rows else 1
            each = _largest_of(net, node.inside.steps, sizes)
            largest = max(largest, each * _elements((rows,), sizes))
    return largest


def _elements(shape: Any, sizes: Mapping[str, int]) -> int:
    total = 1
    for size in shape or ():
        if isinstance(size, Extent):
            total *= int(size.evaluate(sizes)) if size.names <= sizes.keys() else 1
        else:
            total *= size or 1
    return total
