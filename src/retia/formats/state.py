"""State dicts: a net's arrays as PyTorch has them, and arrays from elsewhere by name into a net.

Names, shapes and types are compared first, and everything in which they differ is told at once; nothing is
loaded then.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from retia._torch import torch
from retia.errors import ArgumentError, ArraysError, UnknownNameError, did_you_mean, plain
from retia.formats.stored import Stored, stored_arrays
from retia.formats.strict import quote
from retia.nets.lineage import descended
from retia.nets.patterns import matches, refuse_idle
from retia.nets.wiring import join
from retia.shapes import Shape, show

if TYPE_CHECKING:
    from torch import Tensor

    from retia.nets.layer import Array
    from retia.nets.net import Net

MOST_TOLD = 8
"""So many faults of a sort are told."""

DEEPEST = 4
"""Steps of a prefix that is looked for."""

Rename = Mapping[str, str | None] | Callable[[str], str | None]


def state_dict(net: Net) -> dict[str, Tensor]:
    """Copies of a net's arrays, by the keys that a PyTorch module of the same nesting has.

    Shared arrays stand under each of their places, and are one tensor, as in PyTorch.

    Raises:
        ArraysError: arrays that were not made yet.
    """
    places = _places(net)
    missing = [path for path in places if places[path] not in net.arrays]
    if missing:
        raise ArraysError(
            f"state_dict: this net has no arrays yet: {', '.join(missing[:4])}"
            f"{'...' if len(missing) > 4 else ''}.",
            fix="net = net.init(seed=0), or rt.train(net, data)",
            path=missing[0],
        )
    copies = {path: tensor.clone() for path, tensor in net.arrays.check().items()}
    return {path: copies[home] for path, home in places.items()}


def with_state_dict(
    net: Net, source: Any, rename: Rename | None = None, only: str | Iterable[str] | None = None
) -> Net:
    """The net with arrays from a dict or a file, by name; ``net.with_state_dict`` tells all of it."""
    patterns = None if only is None else [only] if isinstance(only, str) else [*only]
    paths = [*net.array_shapes()]
    if patterns is not None:
        refuse_idle("with_state_dict: only", patterns, paths)
        paths = [path for path in paths if any(matches(pattern, path) for pattern in patterns)]
    with stored_arrays(source) as found:
        match = _Match(net, paths, found, _renaming(rename, [*found]), partly=patterns is not None)
        read = {} if match.faults else match.read()
    where = "" if isinstance(source, Mapping) else os.path.basename(os.fsdecode(source))
    if match.faults:
        raise match.error(where)
    words = repr(where) if where else f"{len(read)} arrays"
    return descended(net.with_arrays(read), net, f"with_state_dict({words})")


def _renaming(rename: Rename | None, names: list[str]) -> Callable[[str], str | None]:
    """Their names to ours, None for those to be left out."""
    if rename is None:
        return lambda name: name
    if not isinstance(rename, Mapping):
        return rename
    for old, new in rename.items():
        if not isinstance(old, str) or not (new is None or isinstance(new, str)):
            raise ArgumentError(f"with_state_dict: rename is of texts; got {old!r}: {new!r}.", got=rename)
        if new is not None and set(old) & set("*?["):
            raise ArgumentError(
                f"with_state_dict: rename={{{old!r}: ...}} is a pattern, which can only be left out.",
                fix=f"{{{old!r}: None}}, or a function of the name",
                got=rename,
            )
    idle = [old for old in rename if not any(_covers(old, name) for name in names)]
    if idle:
        known = sorted({name.split(".")[0] for name in names})
        raise UnknownNameError(
            f"with_state_dict: rename: no name there is {idle[0]!r} or begins so."
            + did_you_mean(idle[0], [*known, *names]),
            fix=f"the names begin with {', '.join(known[:8])}{', ...' if len(known) > 8 else ''}",
            path=idle[0],
        )

    def renamed(name: str) -> str | None:
        old = next((old for old in rename if _covers(old, name)), None)
        if old is None:
            return name
        new = rename[old]
        return None if new is None else _join(new, name[len(old) :].removeprefix("."))

    return renamed


def _covers(old: str, name: str) -> bool:
    return not old or name == old or name.startswith(f"{old}.") or matches(old, name)


def _join(path: str, name: str) -> str:
    return ".".join(filter(None, (path, name)))


class _Match:
    """Which of their arrays go where in a net, and everything that does not fit."""

    def __init__(
        self,
        net: Net,
        paths: list[str],
        found: Mapping[str, Stored],
        renamed: Callable[[str], str | None],
        *,
        partly: bool,
    ) -> None:
        self.net, self.paths = net, paths
        self.faults: dict[str, list[str]] = {}
        self.bad: set[str] = set()
        self.unknown: list[str] = []
        self.taken: dict[str, dict[str, tuple[str, Stored]]] = {}
        places = _places(net)
        for theirs, stored in found.items():
            ours = renamed(theirs)
            home = places.get(ours or "")
            if ours is None or partly and home not in paths:
                continue
            if home is None:
                self.unknown.append(theirs)
                self._fault("unknown", f"{quote(theirs)} {show(stored.shape)} is unknown")
            elif ours in self.taken.setdefault(home, {}):
                before = self.taken[home][ours][0]
                self._fault("given twice", f"{quote(before)} and {quote(theirs)} are both {ours}", home)
            else:
                self.taken[home][ours] = theirs, stored
        self._compare()

    def _compare(self) -> None:
        shapes, arrays = self.net.array_shapes(), _arrays(self.net)
        self.missing = [p for p in self.paths if p not in self.taken and not _counts(arrays[p])]
        for path in self.missing:
            self._fault("missing", f"{path} {show(shapes[path])} is missing", path)
        for path in self.paths:
            wanted, kind = shapes[path], arrays[path].kind
            for theirs, stored in self.taken.get(path, {}).values():
                is_as = f"{quote(theirs)} has shape {show(stored.shape)}, expected {show(wanted)}"
                if not _fits(wanted, stored.shape):
                    self._fault("of another shape", is_as, path)
                elif _is_real(stored) != (kind == "float"):
                    self._fault("of another type", f"{quote(theirs)} is {stored.kind}, expected {kind}", path)

    def _fault(self, sort: str, line: str, path: str = "") -> None:
        self.faults.setdefault(sort, []).append(line)
        self.bad |= {path} - {""}

    def read(self) -> dict[str, Tensor]:
        """Copies of the arrays, of the types and where the net has its own."""
        made = {}
        device = next((tensor.device for tensor in self.net.arrays.values()), torch.device("cpu"))
        for home, given in self.taken.items():
            (theirs, stored), *others = given.values()
            tensor = stored.read()
            for other, again in others:
                if not torch.equal(tensor, again.read()):
                    both = f"{quote(theirs)} and {quote(other)}"
                    self._fault("in conflict", f"{both} differ, but the net shares them", home)
            old = self.net.arrays.get(home)
            kind = old.dtype if old is not None else torch.float32 if _is_real(stored) else torch.int64
            made[home] = tensor.to(device, kind, copy=True).contiguous()
        for path, array in _arrays(self.net).items():
            if path in self.paths and path not in made and path not in self.net.arrays and _counts(array):
                made[path] = torch.zeros((), dtype=torch.int64, device=device)
        return made

    def error(self, where: str) -> ArraysError:
        """All that does not fit, as one error."""
        counts = ", ".join(f"{len(lines)} {sort}" for sort, lines in self.faults.items())
        told = []
        for lines in self.faults.values():
            told += lines[:MOST_TOLD]
            told += [f"and {len(lines) - MOST_TOLD} more"] if len(lines) > MOST_TOLD else []
        whose = f"the arrays of {plain(where)}" if where else "these arrays"
        message = f"with_state_dict: {whose} do not fit the net: {counts}."
        return ArraysError(message, because=told, fix=self._cure())

    def _cure(self) -> str | None:
        """What would probably help: another prefix, or a part of the net."""
        missing, unknown = set(self.missing), self.unknown
        for prefix in _prefixes(unknown):
            freed = {name for name in unknown if name.startswith(f"{prefix}.")}
            hit = {name[len(prefix) + 1 :] for name in freed} & missing
            if 2 * len(hit) > len(missing):
                rest = "" if len(freed) == len(unknown) else ", '*': None"
                return f"rename={{{prefix!r}: ''{rest}}}, for their names begin with {prefix + '.'!r}"
        for prefix in _prefixes(self.missing):
            hit = {f"{prefix}.{name}" for name in unknown} & missing
            if 2 * len(hit) > len(unknown) > 0:
                rest = "" if len(hit) == len(missing) else f", only={prefix!r}"
                return f"rename={{'': {prefix!r}}}{rest}, for the net's names begin with {prefix + '.'!r}"
        return self._partly()

    def _partly(self) -> str | None:
        """The parts of the net that all arrays fit, if there are some."""
        parts = {path.split(".")[0] for path in self.paths}
        fitting = sorted(parts - {path.split(".")[0] for path in self.bad})
        if not fitting or len(fitting) > MOST_TOLD:
            return None
        return f"only={fitting} loads what fits; net.init() makes what is missing then"


def _prefixes(names: list[str]) -> list[str]:
    """What names begin with, the commonest first."""
    counts: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        counts.update(".".join(parts[:n]) for n in range(1, min(len(parts), DEEPEST + 1)))
    return [prefix for prefix, _ in counts.most_common(20)]


def _places(net: Net) -> dict[str, str]:
    """The path of every array, at each of its places, and where it is kept."""
    return {join(node.path, name): node.at(name) for node in net.wiring.nodes for name in node.layer.owns()}


def _arrays(net: Net) -> dict[str, Array]:
    return {node.at(name): array for node in net.wiring.nodes for name, array in node.layer.owns().items()}


def _counts(array: Array) -> bool:
    """Whether it counts what was seen in training; older files have no such array."""
    return array.kind == "int" and not array.learned


def _is_real(stored: Stored) -> bool:
    return "float" in stored.kind


def _fits(shape: Shape | None, got: tuple[int, ...]) -> bool:
    if shape is None:
        return True
    return len(shape) == len(got) and all(s is None or s == g for s, g in zip(shape, got, strict=True))
