"""Two nets compared: layers, wires, ports and arrays in which they differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from retia._torch import torch
from retia.errors import ArgumentError
from retia.nets.net import Net
from retia.nets.wiring import Node
from retia.shapes import show

if TYPE_CHECKING:
    from torch import Tensor

WIDEST = 48
"""Characters of an expression in the table; attributes have all of it."""


@dataclass(frozen=True)
class Change:
    """One difference.

    Attributes:
        what: ``"layer"``, ``"wire"``, ``"port"``, ``"array"`` or ``"part"`` (what parts within are called or
            declare).
        how: ``"added"``, ``"removed"``, ``"changed"`` or ``"moved"`` (the same at another path).
        path: where it is in the second net; of what was removed, where it was in the first.
        before: an expression, a port or a path in the first net; ``""`` for none.
        after: the same of the second.
        norm: of a changed array, the norm of the difference over the norm of the first.
        most: of a changed array, the greatest difference.
    """

    what: str
    how: str
    path: str
    before: str = ""
    after: str = ""
    norm: float | None = None
    most: float | None = None


@dataclass(frozen=True)
class Difference:
    """What ``rt.diff`` answers; printed, a table.

    Attributes:
        changes: everything in which the nets differ; none for equal ones.
        same: number of arrays that are the same.
    """

    changes: tuple[Change, ...]
    same: int

    @property
    def is_equal(self) -> bool:
        """Whether the nets are equal."""
        return not self.changes

    @property
    def layers(self) -> tuple[Change, ...]:
        """The layers that were added, removed, changed or moved."""
        return tuple(change for change in self.changes if change.what == "layer")

    @property
    def ports(self) -> tuple[Change, ...]:
        """The ports that were."""
        return tuple(change for change in self.changes if change.what == "port")

    @property
    def arrays(self) -> tuple[Change, ...]:
        """The arrays that were."""
        return tuple(change for change in self.changes if change.what == "array")

    def __str__(self) -> str:
        if self.is_equal:
            return "The nets are equal."
        rows = [[c.what, c.how, c.path, *_columns(c)] for c in self.changes]
        widths = [max(len(row[place]) for row in rows) for place in range(4)]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, [*widths, 0], strict=True)) for row in rows]
        return "\n".join([*(line.rstrip() for line in lines), f"{self.same} arrays are the same."])


def diff(a: Net, b: Net) -> Difference:
    """Compare two nets: what ``b`` has that ``a`` has not, and the other way round.

    Layers that stand at other numbers of a chain, for something came before them, are found again.

    Args:
        a: the net as it was.
        b: the net as it is.
    Returns:
        A value to be printed; ``.is_equal``, ``.layers``, ``.ports``, ``.arrays`` and ``.changes`` for
        programs.
    Example:
        >>> import retia as rt
        >>> old = rt.Chain(rt.Linear(3), rt.ReLU(), rt.Linear(2), input=4).init()
        >>> print(diff(old, rt.Chain(old[0], rt.Tanh(), old[2], input=4)))
        layer  changed  1  ReLU()  Tanh()
        4 arrays are the same.
    """
    for net in (a, b):
        if not isinstance(net, Net):
            raise ArgumentError(f"diff compares two nets; got {net!r}.", got=net)
    pairs = _aligned(a, b)
    changes = [*_of_layers(a, b, pairs), *_of_wires(a, b, pairs), *_of_ports(a, b)]
    if not changes and a.expression_hash != b.expression_hash:
        changes = [Change("part", "changed", "", repr(a), repr(b))]
    arrays, same = _of_arrays(a, b, pairs)
    return Difference((*changes, *arrays), same)


# Layers -------------------------------------------------------------------------------------------


def _nodes(net: Net) -> dict[str, Node]:
    return {node.path: node for node in net.wiring.nodes}


def _aligned(a: Net, b: Net) -> dict[str, str]:
    """For the path of a layer in the first net its path in the second, where it is there."""
    old, new = list(_nodes(a).values()), list(_nodes(b).values())
    if a.expression_hash == b.expression_hash:
        return {node.path: node.path for node in old}
    matcher = SequenceMatcher(None, [*map(_key, old)], [*map(_key, new)], autojunk=False)
    pairs = {}
    for begin, there, size in matcher.get_matching_blocks():
        for number in range(size):
            pairs[old[begin + number].path] = new[there + number].path
    taken = set(pairs.values())
    for path in _nodes(a):  # the same place, another layer
        if path not in pairs and path in _nodes(b) and path not in taken:
            pairs[path] = path
    return pairs


def _key(node: Node) -> tuple[str, str]:
    """What makes a layer the same: its expression and its names, but not its numbers."""
    names = ["" if name.isdigit() else name for name in node.path.split(".")]
    return ".".join(names), repr(node.layer.bare())


def _of_layers(a: Net, b: Net, pairs: Mapping[str, str]) -> Iterator[Change]:
    old, new = _nodes(a), _nodes(b)
    there = {after: before for before, after in pairs.items()}
    for path, node in old.items():
        if path not in pairs:
            yield Change("layer", "removed", path, repr(node.layer.bare()))
    for path, node in new.items():
        text = repr(node.layer.bare())
        before = there.get(path)
        if before is None:
            yield Change("layer", "added", path, after=text)
        elif (was := repr(old[before].layer.bare())) != text:
            yield Change("layer", "changed", path, was, text)
        elif before != path:
            yield Change("layer", "moved", path, before, path)


def _of_wires(a: Net, b: Net, pairs: Mapping[str, str]) -> Iterator[Change]:
    """Layers that are there in both and are fed by others that are there in both."""
    old, new = _nodes(a), _nodes(b)
    kept = {*pairs.values(), ""}
    for before, after in pairs.items():
        was = [(pairs.get(path.rstrip(">*"), path), port) for path, port in old[before].sources]
        now = [*new[after].sources]
        known = all(path in kept for path, _ in [*was, *now])
        if known and was != now:
            yield Change("wire", "changed", after, _told(was), _told(now))


def _told(sources: list[tuple[str, str]]) -> str:
    return ", ".join(path or port for path, port in sources)


def _of_ports(a: Net, b: Net) -> Iterator[Change]:
    for side in ("input", "output"):
        old, new = ({**getattr(net, f"{side}s")} for net in (a, b))
        for name in [*old, *(name for name in new if name not in old)]:
            before, after = (str(ports[name]) if name in ports else "" for ports in (old, new))
            if before != after:
                how = "changed" if before and after else "added" if after else "removed"
                begin = f"{name}: "
                yield Change("port", how, name, before.removeprefix(begin), after.removeprefix(begin))


# Arrays -------------------------------------------------------------------------------------------


def _of_arrays(a: Net, b: Net, pairs: Mapping[str, str]) -> tuple[list[Change], int]:
    old, new = dict(a.arrays.check()), dict(b.arrays.check())
    nodes = _nodes(b)
    origin: dict[str, str] = {}
    for node in a.wiring.nodes:
        after = nodes.get(pairs.get(node.path, "?"))
        for name in node.layer.owns() if after is not None else ():
            if after is not None and name in after.layer.owns():
                origin.setdefault(after.at(name), node.at(name))
    changes, same, used = [], 0, set()
    for path, tensor in new.items():
        before = origin.get(path, path)
        if before in old:
            used.add(before)
            change = _changed(before, path, old[before], tensor)
            same += change is None
            changes += [change] if change is not None else []
    left = {path: tensor for path, tensor in old.items() if path not in used}
    for path, tensor in new.items():
        if origin.get(path, path) in old:
            continue
        found = next((before for before, was in left.items() if _alike(was, tensor)), None)
        changes.append(
            Change("array", "added", path, after=_kind(tensor))
            if found is None
            else Change("array", "moved", path, found, path)
        )
        left.pop(found or "", None)
    changes += [Change("array", "removed", path, _kind(tensor)) for path, tensor in left.items()]
    return changes, same


def _changed(before: str, path: str, old: Tensor, new: Tensor) -> Change | None:
    if _alike(old, new):
        return None if before == path else Change("array", "moved", path, before, path)
    if old.shape != new.shape or old.dtype != new.dtype:
        return Change("array", "changed", path, _kind(old), _kind(new))
    was, now = old.detach().cpu().double(), new.detach().cpu().double()
    apart = now - was
    norm = float(torch.linalg.vector_norm(apart) / torch.linalg.vector_norm(was))
    return Change("array", "changed", path, norm=norm, most=float(apart.abs().max()))


def _alike(one: Tensor, other: Tensor) -> bool:
    """Whether two arrays are the same to the bit."""
    if one is other:
        return True
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    left, right = (t.detach().cpu().contiguous().reshape(-1).view(torch.uint8) for t in (one, other))
    return torch.equal(left, right)


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {show(tuple(tensor.shape))}"


# Text ---------------------------------------------------------------------------------------------


def _columns(change: Change) -> tuple[str, str]:
    if change.norm is not None:
        return f"by {change.norm:.3g} of its norm", f"at most {change.most:.3g}"
    return _short(change.before), _short(change.after)


def _short(text: str) -> str:
    return text if len(text) <= WIDEST else text[: WIDEST - 3] + "..."
